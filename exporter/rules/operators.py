"""Operators: a bound test as a function of the value on its left side.

The compiler writes the common ones as Python expressions and calls these functions for the rest.
A predicate is never given a missing value. Source: rule-language.md section 3.
"""

from collections.abc import Callable, Collection
from typing import Any

from exporter.rules.bind import Test
from exporter.rules.dns import RESOLVER
from exporter.rules.fields.field import Compare
from exporter.rules.glob import compile_glob
from exporter.rules.pmatch import compile_pmatch
from exporter.rules.regex import compile_regex
from exporter.rules.values import NETWORKS

Predicate = Callable[[Any], bool]

_NS_PER_MS = 1_000_000
_SETS = frozenset({"in", "intersects"})


class EvaluationError(Exception):
    """A check that the reference engine refuses at run time; the rule does not match."""


def make_predicate(test: Test) -> Predicate:
    """The function that decides a test with constants from the (present) left value."""
    if test.op == "exists":
        return lambda _: True
    match test.compare:
        case Compare.ANCESTOR:
            return _ancestor(test)
        case Compare.EITHER_IP:
            return _either_ip(test)
        case Compare.EITHER_PORT:
            return _either_port(test)
        case Compare.EITHER_NET:
            return _either_net(test)
        case Compare.DNS:
            return _host_name(test)
        case Compare.AROUND:
            return _around(test)
        case _:
            return _plain(test)


def _plain(test: Test) -> Predicate:
    values = test.values
    if test.left.type in NETWORKS:
        return _network(test.op, values)
    if test.left.is_list:
        return list_predicate(test.op, values)
    if test.modifier is not None:
        return _modified(test.modifier, [scalar_predicate(test.op, value) for value in values])
    if test.op in _SETS:
        members = frozenset(values)
        return lambda value: value in members
    if test.op == "pmatch":
        return compile_pmatch(values)
    return scalar_predicate(test.op, values[0])


def list_predicate(op: str, values: Collection[Any]) -> Predicate:
    """`in`: every element is a member; `intersects`: at least one is."""
    members = frozenset(values)
    if op == "in":
        return lambda items: bool(members) and members.issuperset(items)
    return lambda items: not members.isdisjoint(items)


def _modified(modifier: str, parts: list[Predicate]) -> Predicate:
    if modifier == "oneof":
        return lambda value: sum(part(value) for part in parts) == 1
    if modifier == "anyof":
        return lambda value: any(part(value) for part in parts)
    return lambda value: bool(parts) and all(part(value) for part in parts)


def scalar_predicate(op: str, constant: Any) -> Predicate:
    """One operator with one constant."""
    match op:
        case "=":
            return lambda value: bool(value == constant)
        case "!=":
            return lambda value: bool(value != constant)
        case "<":
            return lambda value: bool(value < constant)
        case "<=":
            return lambda value: bool(value <= constant)
        case ">":
            return lambda value: bool(value > constant)
        case ">=":
            return lambda value: bool(value >= constant)
        case "contains" | "bcontains":
            return lambda value: constant in value
        case "icontains":
            folded = constant.lower()
            return lambda value: folded in value.lower()
        case "startswith" | "bstartswith":
            return lambda value: bool(value.startswith(constant))
        case "endswith":
            return lambda value: bool(value.endswith(constant))
        case "glob":
            return compile_glob(constant)
        case "iglob":
            return compile_glob(constant, is_folded=True)
        case "regex":
            return compile_regex(constant)
        case _:
            raise ValueError(op)


def compare_values(op: str, left: Any, right: Any) -> bool:
    """A field-to-field check; false when either side is missing."""
    if left is None or right is None:
        return False
    if op in _SETS:
        members = right if isinstance(right, tuple) else (right,)
        if isinstance(left, tuple):
            return list_predicate(op, members)(left)
        return left in members
    return scalar_predicate(op, right)(left)


def _network(op: str, values: Collection[Any]) -> Predicate:
    if op == "!=":
        return lambda address: all(address not in network for network in values)
    return lambda address: any(address in network for network in values)


def _never(_: Any) -> bool:
    return False


def _ancestor(test: Test) -> Predicate:
    """Any ancestor; single-value operators look at the first constant and ignore modifiers."""
    values = test.values
    if not values:
        return _never
    if test.op in _SETS:
        if not isinstance(values[0], bytes):
            # The reference engine never matches numbers here.
            return _never
        members = frozenset(values)
        return lambda items: not members.isdisjoint(items)
    one = compile_pmatch(values) if test.op == "pmatch" else scalar_predicate(test.op, values[0])
    return lambda items: any(one(item) for item in items)


def _either_ip(test: Test) -> Predicate:
    if test.op == "in" or not test.values:
        return _never
    if test.op == "intersects":
        return _refuse_ip
    address = test.values[0]
    if test.op == "!=":
        return lambda ends: bool(ends) and address not in ends
    return lambda ends: address in ends


def _refuse_ip(ends: Any) -> bool:
    if ends:
        raise EvaluationError("filter error: IP filter only supports '=' and '!=' operators")
    return False


def _either_port(test: Test) -> Predicate:
    values = test.values
    if not values:
        return _never
    if test.op in _SETS:
        members = frozenset(values)
        return lambda ports: not members.isdisjoint(ports)
    if test.op == "!=":
        port = values[0]
        return lambda ports: bool(ports) and port not in ports
    one = scalar_predicate(test.op, values[0])
    return lambda ports: any(one(port) for port in ports)


def _either_net(test: Test) -> Predicate:
    """Only the first network counts, whatever the operator."""
    if not test.values:
        return _never
    network = test.values[0]
    if test.op == "!=":
        return lambda ends: bool(ends) and all(end not in network for end in ends)
    return lambda ends: any(end in network for end in ends)


def _host_name(test: Test) -> Predicate:
    """By the address's known name if there is one, else by the addresses of the names."""
    names = test.values
    for name in names:
        if test.op in {"=", "!=", "in"}:
            RESOLVER.register(name)
    plain = _plain(test)
    is_negated = test.op == "!="
    is_resolvable = test.op in {"=", "!=", "in"} and test.modifier is None

    def matches(address: bytes) -> bool:
        known = RESOLVER.name_of(address)
        if known is not None and plain(known) is not is_negated:
            return not is_negated
        if not is_resolvable:
            return False
        found = any(address in RESOLVER.addresses_of(name) for name in names)
        return found is not is_negated

    return matches


def _around(test: Test) -> Predicate:
    """The value is the distance in ns; the constant the allowed distance in ms."""
    if not test.values:
        return _never
    limit = test.values[0] * _NS_PER_MS
    if test.op == "!=":
        return lambda distance: bool(distance > limit)
    return lambda distance: bool(distance <= limit)
