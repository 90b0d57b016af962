"""Emission: from plan nodes to the text of a Python function.

One function serves all rules of an event type. Values that are read (`v_N`) and parts that several
rules share (`s_N`) are locals, set when first needed; `...` marks one that is not set yet. What is
certainly set at a place is known while the text is written, so most uses are plain locals.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from exporter.rules.bind import Call, Const, Items, Operand, Read, Test
from exporter.rules.fields.field import Compare
from exporter.rules.fields.field import ValueType as T
from exporter.rules.operators import make_predicate
from exporter.rules.plan import (
    FALSE,
    TRUE,
    AllNode,
    AnyNode,
    NotNode,
    Plan,
    TestNode,
    children_of,
)
from exporter.rules.sharing import affix_groups, count_references, hoisted_reads, is_affix_test
from exporter.rules.transformers import function_of
from exporter.rules.values import NETWORKS

_MAX_NESTING = 25
"""Nodes further down are written as functions of their own: Python limits nested parentheses."""

_MAX_INLINE_NODES = 40
"""Shared parts bigger than this are written once only; other places call a function."""

_INLINE_SET = 12
"""Sets up to this size are written out, bigger ones bound to a name."""

_SHARE_LEAVES = 3
"""Conjunctions and disjunctions from this size on are worth a local when used again."""

_CHEAP = frozenset({
    "=", "!=", "<", "<=", ">", ">=", "in", "startswith", "endswith", "exists", "contains",
    "bcontains", "bstartswith", "intersects",
})  # fmt: skip

_COMPARISONS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "!=": "!="}

_THREAD = re.compile(r"\bt\b")

Known = frozenset[str]
_NONE: Known = frozenset()


@dataclass(slots=True)
class Namespace:
    """Objects that generated text names: readers, predicates, sets, rules."""

    values: dict[str, Any] = field(default_factory=dict)
    names: dict[object, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def bind(self, prefix: str, key: object, value: Any) -> str:
        """The name of a value; the same for the same key."""
        return self.bind_made(prefix, key, lambda: value)

    def bind_made(self, prefix: str, key: object, make: Callable[[], Any]) -> str:
        """Like `bind`, for values that are made when their key is new."""
        name = self.names.get((prefix, key))
        if name is None:
            name = f"{prefix}_{self.counts[prefix]}"
            self.counts[prefix] += 1
            self.names[prefix, key] = name
            self.values[name] = make()
        return name


@dataclass(frozen=True, slots=True)
class Emitted:
    """An expression, and the locals certainly set after it was true or false."""

    code: str
    if_true: Known
    if_false: Known


class FunctionEmitter:
    """Writes one function: the locals it uses and the expressions of its rules."""

    def __init__(self, plan: Plan, space: Namespace, roots: Sequence[int]) -> None:
        self.plan = plan
        self.space = space
        self.maybe: set[str] = set()
        self.unset: set[str] = set()
        self.uses_thread = False
        self.helpers: dict[int, str] = {}
        self._emitted: set[int] = set()
        self._sizes: dict[int, int] = {}
        self._locals: dict[str, str] = {}
        self.references = count_references(plan, roots)
        self._guards = affix_groups(plan, roots)

    def hoist(self, roots: Sequence[int]) -> tuple[list[str], Known]:
        """Assignments of cheap fields that many rules look at, and the locals they set."""
        lines = []
        for read in hoisted_reads(self.plan, roots):
            code, _ = self._read(read, _NONE, is_checked=False)
            name = self._locals.setdefault(read.key, f"v_{len(self._locals)}")
            self.maybe.add(name)
            lines.append(f"    {name} = {code}")
        return lines, frozenset(self.maybe)

    def expression(self, number: int, known: Known, depth: int = 0) -> Emitted:
        """The expression of a node at a place where the locals in `known` are set."""
        if number == FALSE:
            return Emitted("False", known, known)
        if number == TRUE:
            return Emitted("True", known, known)
        if depth > _MAX_NESTING:
            return Emitted(self._helper_call(number), known, known)
        node = self.plan.nodes[number]
        if isinstance(node, NotNode):
            inner = self.expression(node.child, known, depth + 1)
            return Emitted(f"not {inner.code}", inner.if_false, inner.if_true)
        if not self._is_shared(number):
            return self._plain(number, known, depth)
        name = f"s_{number}"
        if name in known:
            return Emitted(name, known, known)
        if number in self._emitted and self._size(number) > _MAX_INLINE_NODES:
            call = self._helper_call(number)
            self.maybe.add(name)
            self.unset.add(name)
            code = f"({name} if {name} is not ... else ({name} := {call}))"
            return Emitted(code, known | {name}, known | {name})
        self._emitted.add(number)
        is_first = name not in self.maybe
        inner = self._plain(number, known, depth + 1)
        self.maybe.add(name)
        after = {name}
        if is_first:
            code = f"({name} := {inner.code})"
            return Emitted(code, inner.if_true | after, inner.if_false | after)
        self.unset.add(name)
        code = f"({name} if {name} is not ... else ({name} := {inner.code}))"
        return Emitted(code, known | after, known | after)

    def _plain(self, number: int, known: Known, depth: int) -> Emitted:
        node = self.plan.nodes[number]
        match node:
            case TestNode(test):
                return self._test(test, known)
            case AllNode(children):
                return self._sequence(children, known, depth, is_all=True)
            case AnyNode(children):
                return self._sequence(children, known, depth, is_all=False)
            case _:
                raise AssertionError(node)

    def _sequence(
        self, children: Iterable[int], known: Known, depth: int, *, is_all: bool
    ) -> Emitted:
        """Children in order; the locals of each are known to the next."""
        codes: list[str] = []
        now = known
        early: Known | None = None
        for child in children:
            part = self.expression(child, now, depth + 1)
            codes.append(part.code)
            now, stopped = (
                (part.if_true, part.if_false) if is_all else (part.if_false, part.if_true)
            )
            early = stopped if early is None else early & stopped
        code = f"({(' and ' if is_all else ' or ').join(codes)})"
        stopped = now if early is None else early
        return Emitted(code, now, stopped) if is_all else Emitted(code, stopped, now)

    def _test(self, test: Test, known: Known) -> Emitted:
        if is_affix_test(test) and (test.left.key, test.op) in self._guards:
            return self._guarded(test, known)
        if _is_never(test):
            # Without its operand in the code, so no local may count as set by it.
            return Emitted("False", known, known)
        left, name, after = self._operand(test.left, known, is_checked=True)
        if test.right is None:
            return Emitted(self._constant_test(test, left, name), after, after)
        right, _, after = self._operand(test.right, after)
        return Emitted(f"rt_compare({test.op!r}, {left}, {right})", after, after)

    def _guarded(self, test: Test, known: Known) -> Emitted:
        """A prefix or suffix test behind one that asks for those of all rules at once."""
        key = (test.left.key, test.op)
        guard = f"g_{list(self._guards).index(key)}"
        name, after, code = self._locals.get(test.left.key, ""), known, guard
        if guard not in known:
            left, name, after = self._operand(test.left, known, is_checked=True)
            whole = self.space.bind("affixes", self._guards[key], self._guards[key])
            asked = f"{left} is not None and {name}.{test.op}({whole})"
            after |= {guard}
            if guard in self.maybe:
                self.unset.add(guard)
                code = f"({guard} if {guard} is not ... else ({guard} := ({asked})))"
                # Whoever set the guard has read the value too.
                after = known | {guard, name}
            else:
                self.maybe.add(guard)
                code = f"({guard} := ({asked}))"
        values = test.values if test.modifier else test.values[0]
        return Emitted(f"({code} and {name}.{test.op}({values!r}))", after, after)

    def _constant_test(self, test: Test, left: str, name: str) -> str:
        if test.op == "exists":
            return f"{left} is not None"
        code = None
        if test.compare is Compare.PLAIN and not test.left.is_list:
            code = _inline_test(test, left, name, self.space)
        if code is not None:
            return code
        predicate = self.space.bind_made("p", test.key, lambda: make_predicate(test))
        return f"({left} is not None and {predicate}({name}))"

    def _operand(
        self, operand: Operand, known: Known, *, is_checked: bool = False
    ) -> tuple[str, str, Known]:
        """First expression, name for further uses in the same test, locals set afterwards."""
        match operand:
            case Const(value):
                return repr(value), repr(value), known
            case Items(items):
                codes = []
                for item in items:
                    code, _, known = self._operand(item, known)
                    codes.append(code)
                text = f"({', '.join(codes)},)" if codes else "()"
                return text, text, known
        key = operand.key if not is_checked else f"{operand.key} checked"
        if isinstance(operand, Read) and operand.use.each is None:
            key = operand.key
        name = self._locals.get(key)
        if name is None:
            name = self._locals[key] = f"v_{len(self._locals)}"
        if name in known:
            return name, name, known
        code, after = self._read(operand, known, is_checked=is_checked)
        after |= {name}
        if name not in self.maybe:
            self.maybe.add(name)
            return f"({name} := {code})", name, after
        self.unset.add(name)
        return f"({name} if {name} is not ... else ({name} := {code}))", name, known | {name}

    def _read(self, operand: Operand, known: Known, *, is_checked: bool) -> tuple[str, Known]:
        if isinstance(operand, Call):
            codes = []
            for arg in operand.args:
                code, _, known = self._operand(arg, known)
                codes.append(code)
            function = f"rt_{operand.name}"
            if operand.selector is not None:
                call = function_of(operand.name, operand.selector)
                function = self.space.bind("f", (operand.name, operand.selector), call)
            return f"{function}({', '.join(codes)})", known
        assert isinstance(operand, Read)
        use = operand.use
        if is_checked and use.each is not None:
            return f"{self.space.bind('f', (use.text, 'each'), use.each)}(e)", known
        if use.field.inline and use.arg is None:
            self.uses_thread = self.uses_thread or _THREAD.search(use.field.inline) is not None
            return f"({use.field.inline})", known
        return f"{self.space.bind('f', use.text, use.read)}(e)", known

    def _is_shared(self, number: int) -> bool:
        if self.references[number] < 2:
            return False
        node = self.plan.nodes[number]
        if isinstance(node, TestNode):
            return _is_expensive(node.test)
        return self._size(number) >= _SHARE_LEAVES

    def _size(self, number: int) -> int:
        """Nodes at and below a node, shared ones counted every time (capped)."""
        pending = [number]
        while pending:
            current = pending[-1]
            below = children_of(self.plan.nodes[current])
            missing = [child for child in below if child not in self._sizes]
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            total = sum(self._sizes[child] for child in below)
            self._sizes[current] = min(total or 1, 1 << 30)
        return self._sizes[number]

    def _helper_call(self, number: int) -> str:
        name = self.helpers.setdefault(number, f"part_{number}")
        return f"{name}(e)"


def _is_expensive(test: Test) -> bool:
    if test.right is not None or test.compare is not Compare.PLAIN or test.left.is_list:
        return True
    return test.op not in _CHEAP or test.left.type in NETWORKS


def _is_never(test: Test) -> bool:
    """Whether no value passes: membership in an empty list, as `proc.name in ()`."""
    return test.right is None and test.op in {"in", "intersects"} and not test.values


def _inline_test(test: Test, left: str, name: str, space: Namespace) -> str | None:
    """The test as an expression; None when a predicate has to do it."""
    kind, op, values = test.left.type, test.op, test.values
    if kind in NETWORKS:
        return None
    if test.modifier is not None:
        return _inline_modified(test, left, name)
    if op in {"in", "intersects"}:
        return f"{left} in {_set_text(values, space)}"
    value = values[0]
    if op == "=":
        return f"{left} is {value}" if kind is T.BOOL else f"{left} == {value!r}"
    if op == "!=" and kind is T.BOOL:
        return f"{left} is {not value}"
    if op in _COMPARISONS:
        return f"({left} is not None and {name} {_COMPARISONS[op]} {value!r})"
    if op in {"contains", "bcontains"}:
        return f"({left} is not None and {value!r} in {name})"
    if op == "icontains":
        return f"({left} is not None and {value.lower()!r} in {name}.lower())"
    if op in {"startswith", "bstartswith", "endswith"}:
        method = "endswith" if op == "endswith" else "startswith"
        return f"({left} is not None and {name}.{method}({value!r}))"
    return None


def _inline_modified(test: Test, left: str, name: str) -> str | None:
    if test.modifier != "anyof" or not test.values:
        return None
    if test.op in {"startswith", "endswith"}:
        return f"({left} is not None and {name}.{test.op}({test.values!r}))"
    return None


def _set_text(values: Sequence[Any], space: Namespace) -> str:
    if len(values) > _INLINE_SET:
        return space.bind("set", values, frozenset(values))
    # The byte-code compiler turns a set of constants into a frozenset made once.
    return f"{{{', '.join(map(repr, values))}}}"
