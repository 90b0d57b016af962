"""Pushdown for people: what the kernel tests of each call, and what is left to Python."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from exporter.pushdown.analysis import CallFilter, RuleShare
from exporter.pushdown.atoms import Atom, InSet
from exporter.pushdown.facts import Fact, Kind
from exporter.pushdown.ir import FALSE, TRUE, All, Literal, Predicate
from exporter.pushdown.ir import Any as Any_
from exporter.pushdown.layout import CallLayout
from exporter.pushdown.observation import Closed
from exporter.rules.bind import Test
from exporter.sources.probe.syscalls import Hook, Step

NO_HOOKS: Mapping[Hook, CallFilter] = {}
_MAX_BLAMED = 3
_WIDTH = 88


class ForcedThrough(Struct, frozen=True):
    """A rule because of which calls reach user space in full."""

    rule: str
    calls: tuple[str, ...]
    blamed: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The part of the condition to blame, as a sentence without its end."""
        if not self.blamed:
            return "its condition asks for nothing but the event type"
        shown = "; ".join(self.blamed[:_MAX_BLAMED])
        more = len(self.blamed) - _MAX_BLAMED
        return f"the kernel cannot test {shown}{f' and {more} more' if more > 0 else ''}"

    def __str__(self) -> str:
        return f'rule "{self.rule}" wants every {", ".join(self.calls)}: {self.reason}'


def test_text(test: Test) -> str:
    """A bound test as it could stand in a condition."""
    op = f"{test.op} {test.modifier}" if test.modifier else test.op
    if test.op == "exists":
        return f"{test.left.key} exists"
    if test.right is not None:
        return f"{test.left.key} {op} {test.right.key}"
    shown = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in test.values]
    many = len(shown) != 1 or test.modifier or test.op in {"in", "intersects", "pmatch"}
    more = f", ... {len(shown)} in all" if len(shown) > 4 else ""
    values = f"({', '.join(shown[:4])}{more})" if many else shown[0]
    return f"{test.left.key} {op} {values}"


def forced_through(
    filters: Mapping[str, CallFilter], hooks: Mapping[Hook, CallFilter] = NO_HOOKS
) -> list[ForcedThrough]:
    """Rules that want every event of some call or hook, in order of the rules."""
    found: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    names: dict[int, str] = {}
    for one in (*filters.values(), *hooks.values()):
        name = one.call.name
        if one.is_needed or one.call.step is Step.EXEC_FAILED:
            # Of execs the successful ones are told, which are more.
            continue
        for share in one.shares:
            if share.predicate == TRUE:
                names[share.rule.index] = share.rule.name
                blamed = tuple(test_text(test) for test in share.blamed)
                found.setdefault((share.rule.index, blamed), []).append(name)
    return [
        ForcedThrough(names[index], tuple(calls), blamed)
        for (index, blamed), calls in sorted(found.items())
    ]


def _entry(names: Iterable[str], text: str) -> str:
    """Calls, and indented below them what is said of them."""
    indented = text.replace("\n", "\n    ")
    return f"  {', '.join(names)}:\n    {indented}"


def _grouped(parts: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Text -> names that share it."""
    groups: dict[str, list[str]] = {}
    for name, text in parts:
        groups.setdefault(text, []).append(name)
    return groups


def _state_of(one: CallFilter) -> str:
    if one.is_needed or one.call.hook is not None:
        return _for_both(one.predicate, one.call)
    if one.is_unused:
        return "none: not looked at"
    if one.notes_port and one.predicate == FALSE:
        return "the first of each port of a server"
    ports = "\nand the first of each port of a server" if one.notes_port else ""
    return f"{tree(one.predicate, one.call)}{ports}"


def _for_both(predicate: Predicate, call: CallLayout) -> str:
    """Of events that the state needs: those that are for more than that."""
    if predicate == TRUE:
        return "every one"
    if predicate == FALSE:
        return "for the state alone"
    return f"for the rules, all others for the state alone:\n{tree(predicate, call)}"


def _name(one: CallFilter) -> str:
    """Of a call or hook; two sorts of execs are decided in two places."""
    if one.call.hook is Hook.EXEC:
        return "execve and execveat that succeed"
    return f"{one.call.name} that fails" if one.call.step is Step.EXEC_FAILED else one.call.name


def tree(predicate: Predicate, call: CallLayout) -> str:
    """A predicate for people: on one line if it fits, else a part a line."""
    flat = _flat(predicate, call)
    if len(flat) <= _WIDTH or not isinstance(predicate, All | Any_):
        return flat
    head = "all of" if isinstance(predicate, All) else "any of"
    parts = (tree(part, call).replace("\n", "\n  ") for part in predicate.parts)
    return "\n".join([head, *(f"  {part}" for part in parts)])


def _flat(predicate: Predicate, call: CallLayout) -> str:
    match predicate:
        case Literal(atom, is_positive):
            shown = _atom(atom, call)
            return shown if is_positive else f"not {shown}"
        case All(parts):
            return " and ".join(_wrapped(part, call) for part in parts)
        case Any_(parts):
            return " or ".join(_wrapped(part, call) for part in parts)
        case _:
            return "every one" if predicate == TRUE else "none"


def _wrapped(part: Predicate, call: CallLayout) -> str:
    return f"({_flat(part, call)})" if isinstance(part, All | Any_) else _flat(part, call)


def _atom(atom: Atom, call: CallLayout) -> str:
    """An atom with the names of parameters for the numbers of arguments."""
    fact = atom.fact
    if isinstance(fact, Fact) and fact.kind in {Kind.HOST, Kind.RELATIVE}:
        return str(fact)
    if isinstance(atom, InSet) and atom.fact.kind is Kind.CLOSED:
        kinds = ", ".join(Closed(value).name.lower() for value in sorted(atom.values))
        return f"{fact} in ({kinds})"
    if not isinstance(fact, Fact) or fact.kind is not Kind.ARG:
        return str(atom)
    for index, place in call.places.items():
        if place.argument == fact.index:
            return str(atom).replace(f"argument {fact.index + 1}", call.event.params[index].name, 1)
    return str(atom)


def _share_of(one: CallFilter, rule: str) -> RuleShare | None:
    return next((share for share in one.shares if share.rule.name == rule), None)


def rule_to_text(
    filters: Mapping[str, CallFilter], rule: str, hooks: Mapping[Hook, CallFilter] = NO_HOOKS
) -> str:
    """What the kernel tests for one rule, by call and hook."""
    parts: list[tuple[str, str]] = []
    for one in (*filters.values(), *hooks.values()):
        share = _share_of(one, rule)
        if share is None:
            continue
        is_for_state = one.is_needed or one.call.hook is not None
        lines = [(_for_both if is_for_state else tree)(share.predicate, one.call)]
        if share.left:
            lines.append(f"left to Python: {'; '.join(map(test_text, share.left))}")
        elif not is_for_state:
            lines.append("left to Python: paths that are not plain, and the rest of the rules")
        parts.append((_name(one), "\n".join(lines)))
    if not parts:
        return "The kernel sends no event for this rule."
    out = ["Sent by the kernel (pushdown):"]
    out += [_entry(names, text) for text, names in _grouped(parts).items()]
    return "\n".join(out)


def _by_name(
    filters: Mapping[str, CallFilter], hooks: Mapping[Hook, CallFilter]
) -> dict[str, CallFilter]:
    return {**filters, **{str(hook): one for hook, one in hooks.items()}}


def rule_to_json(
    filters: Mapping[str, CallFilter], rule: str, hooks: Mapping[Hook, CallFilter] = NO_HOOKS
) -> dict[str, Any]:
    """The same as plain values: call -> what the rule is asked of and what is left.

    Successful execs are `exec`, ends of threads `exit`.
    """
    out = {}
    for name, one in _by_name(filters, hooks).items():
        share = _share_of(one, rule)
        if share is not None:
            out[name] = {
                "kernel": str(share.predicate),
                "needed_by_state": one.is_needed or one.call.hook is not None,
                "left": [test_text(test) for test in share.left],
                "blamed": [test_text(test) for test in share.blamed],
            }
    return out


def ruleset_to_text(
    filters: Mapping[str, CallFilter], hooks: Mapping[Hook, CallFilter] = NO_HOOKS
) -> str:
    """What reaches user space of each call and hook, for all rules together."""
    parts = [(_name(one), _state_of(one)) for one in (*filters.values(), *hooks.values())]
    out = ["Events that the kernel sends, for all rules together:"]
    out += [_entry(names, text) for text, names in _grouped(parts).items()]
    forced = forced_through(filters, hooks)
    if forced:
        out += ["", "Sent in full:", *(f"  {one}" for one in forced)]
    return "\n".join(out)


def ruleset_to_json(
    filters: Mapping[str, CallFilter], hooks: Mapping[Hook, CallFilter] = NO_HOOKS
) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "calls": {
            name: {
                "kernel": str(one.predicate),
                "needed_by_state": one.is_needed or one.call.hook is not None,
                "rules": [share.rule.name for share in one.shares],
            }
            for name, one in _by_name(filters, hooks).items()
        },
        "sent_in_full": [
            {"rule": one.rule, "calls": list(one.calls), "blamed": list(one.blamed)}
            for one in forced_through(filters, hooks)
        ],
    }
