"""Plan: conditions as one graph in which equal parts are one node, folded for an event type.

Takes bound conditions, gives node numbers. Node 0 is false, node 1 true; every other node is a
test, a negation, or a conjunction or disjunction of earlier nodes. Nothing here recurses, so that
deep conditions cannot exhaust the stack. Source: rule-language.md sections 3 to 5 and 10.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.events.table import EventType
from exporter.rules.ast import And, Check, Exists, MacroRef, Node, Not, Or
from exporter.rules.bind import Read, Test, bind_check
from exporter.rules.conditions import ConditionError
from exporter.rules.fields.field import UNKNOWN, Compare
from exporter.rules.operators import make_predicate
from exporter.rules.values import NETWORKS

FALSE = 0
TRUE = 1


@dataclass(frozen=True, slots=True)
class TestNode:
    """A test on a value."""

    test: Test


@dataclass(frozen=True, slots=True)
class NotNode:
    """The negation of a node."""

    child: int


@dataclass(frozen=True, slots=True)
class AllNode:
    """All of the children are true; evaluated left to right."""

    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnyNode:
    """At least one of the children is true; evaluated left to right."""

    children: tuple[int, ...]


PlanNode = TestNode | NotNode | AllNode | AnyNode | None


class Plan:
    """A growing graph of nodes."""

    def __init__(self) -> None:
        self.nodes: list[PlanNode] = [None, None]
        self._numbers: dict[object, int] = {}

    def _number(self, key: object, node: PlanNode) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = len(self.nodes)
            self.nodes.append(node)
            self._numbers[key] = number
        return number

    def add_test(self, test: Test) -> int:
        """The node of a test."""
        return self._number(test.key, TestNode(test))

    def add_not(self, child: int) -> int:
        """The negation of a node."""
        if child in {FALSE, TRUE}:
            return TRUE - child
        node = self.nodes[child]
        return (
            node.child
            if isinstance(node, NotNode)
            else self._number(("not", child), NotNode(child))
        )

    def add_all(self, children: Sequence[int]) -> int:
        """The conjunction of nodes, simplified."""
        kept = _merge_all(self, _distinct(children, neutral=TRUE))
        if FALSE in kept:
            # What stands before a false part cannot change the result.
            return FALSE
        if len(kept) < 2:
            return kept[0] if kept else TRUE
        return self._number(("all", kept), AllNode(kept))

    def add_any(self, children: Sequence[int]) -> int:
        """The disjunction of nodes, simplified."""
        kept = _merge_any(self, _distinct(children, neutral=FALSE))
        if TRUE in kept:
            return TRUE
        if len(kept) < 2:
            return kept[0] if kept else FALSE
        return self._number(("any", kept), AnyNode(kept))

    def add_condition(self, condition: Node, source: str) -> int:
        """The node of a whole condition, macros expanded. Raises ConditionError."""
        return _fold_ast(condition, lambda leaf: self.add_test(bind_check(leaf, source)), self)

    def folders(self) -> list[tuple[int, Callable[[EventType], int]]]:
        """For every test so far that an event type may decide: node, and what it becomes."""
        found = []
        for number, node in enumerate(self.nodes):
            if isinstance(node, TestNode):
                fold = _folder_of(node.test, number)
                if fold is not None:
                    found.append((number, fold))
        return found

    def specialise_all(self, roots: Iterable[int], folded: Mapping[int, int]) -> list[int]:
        """What is left of each root when some tests have become FALSE or TRUE."""
        done: dict[int, int] = {FALSE: FALSE, TRUE: TRUE, **folded}
        return [self._specialise(root, done) for root in roots]

    def _specialise(self, root: int, done: dict[int, int]) -> int:
        for number in bottom_up(self.nodes, root, done):
            match self.nodes[number]:
                case NotNode(child):
                    done[number] = self.add_not(done[child])
                case AllNode(children):
                    done[number] = self.add_all([done[child] for child in children])
                case AnyNode(children):
                    done[number] = self.add_any([done[child] for child in children])
                case _:
                    done[number] = number
        return done[root]


def children_of(node: PlanNode) -> tuple[int, ...]:
    """Numbers of the nodes right below a node."""
    match node:
        case NotNode(child):
            return (child,)
        case AllNode(children) | AnyNode(children):
            return children
        case _:
            return ()


def bottom_up(nodes: Sequence[PlanNode], root: int, done: Container[int]) -> Iterator[int]:
    """Numbers of the nodes from a root down that are not done yet, each after those below it.

    The caller has each of them in `done` before it asks for the next. Nothing recurses: conditions
    may be deep.
    """
    pending = [root]
    while pending:
        number = pending[-1]
        if number in done:
            pending.pop()
            continue
        missing = [child for child in children_of(nodes[number]) if child not in done]
        if missing:
            pending.extend(missing)
            continue
        pending.pop()
        yield number


def _fold_ast(condition: Node, leaf: Callable[[Check | Exists], int], plan: Plan) -> int:
    """Bottom-up over the AST with a stack of our own; parts that are one object are done once."""
    done: dict[int, int] = {}
    pending: list[Node] = [condition]
    while pending:
        node = pending[-1]
        if id(node) in done:
            pending.pop()
            continue
        match node:
            case And(below) | Or(below):
                missing = [child for child in below if id(child) not in done]
            case Not(child):
                missing = [] if id(child) in done else [child]
            case MacroRef(name):
                raise ConditionError(f"Undefined macro '{name}' used in filter.", node.position)
            case _:
                missing = []
        if missing:
            pending.extend(reversed(missing))
            continue
        pending.pop()
        match node:
            case And(below):
                done[id(node)] = plan.add_all([done[id(child)] for child in below])
            case Or(below):
                done[id(node)] = plan.add_any([done[id(child)] for child in below])
            case Not(child):
                done[id(node)] = plan.add_not(done[id(child)])
            case Check() | Exists():
                done[id(node)] = leaf(node)
    return done[id(condition)]


def _distinct(children: Sequence[int], neutral: int) -> list[int]:
    """Children without repetitions and without those that never matter."""
    return [child for child in dict.fromkeys(children) if child != neutral]


def _folder_of(test: Test, number: int) -> Callable[[EventType], int] | None:
    """What a test becomes for an event type: FALSE, TRUE or itself; None if no type decides it."""
    left = test.left
    if not isinstance(left, Read):
        return None
    field = left.use.field
    if field.name == "evt.num":
        always = _fold_number(test, number)
        return None if always == number else lambda _: always
    constant = field.constant
    if constant is None:
        return None
    is_plain = test.compare is Compare.PLAIN and test.right is None
    predicate = make_predicate(test) if is_plain else None

    def fold(event_type: EventType) -> int:
        value = constant(event_type)
        if value is UNKNOWN:
            return number
        if value is None:
            return FALSE
        return number if predicate is None else TRUE if predicate(value) else FALSE

    return fold


def _fold_number(test: Test, number: int) -> int:
    """evt.num starts at 1, which decides the placeholders of rule files."""
    if test.modifier is not None or test.right is not None:
        return number
    low = test.values[0] if test.values else 0
    match test.op:
        case "exists":
            return TRUE
        case "=" if low == 0:
            return FALSE
        case "!=" if low == 0:
            return TRUE
        case "<" if low <= 1:
            return FALSE
        case "<=" if low == 0:
            return FALSE
        case ">" if low == 0:
            return TRUE
        case ">=" if low <= 1:
            return TRUE
        case "in" | "intersects" if not any(test.values):
            return FALSE
        case _:
            return number


_GROUPS = {"=": "in", "in": "in", "startswith": "startswith", "endswith": "endswith"}
"""Operators whose tests on one operand combine under `or` -> the operator of the combination."""


def _group_of(plan: Plan, number: int) -> tuple[Test, str] | None:
    """A test that can be combined with its neighbours, and how."""
    node = plan.nodes[number]
    if not isinstance(node, TestNode):
        return None
    test = node.test
    is_simple = (
        test.right is None
        and test.compare is Compare.PLAIN
        and not test.left.is_list
        and test.left.type not in NETWORKS
        and test.modifier in {None, "anyof"}
    )
    if not is_simple or test.op not in _GROUPS or (test.modifier and test.op == "in"):
        return None
    return test, _GROUPS[test.op]


def _combine(plan: Plan, tests: Sequence[Test], op: str) -> int:
    """One test that is true when any of these tests on one operand is."""
    values = tuple(dict.fromkeys(value for test in tests for value in test.values))
    modifier = None if op == "in" else "anyof"
    left = tests[0].left
    key = f"{left.key} {op} {modifier or ''} {values!r}"
    combined = replace(tests[0], op=op, modifier=modifier, values=values, key=key)
    return plan.add_test(combined)


def _runs(
    plan: Plan, children: Sequence[int], group: Callable[[Plan, int], tuple[Test, str] | None]
) -> Iterable[tuple[tuple[str, str] | None, list[int], list[Test]]]:
    """Neighbouring children that combine, with their tests."""
    key: tuple[str, str] | None = None
    run: list[int] = []
    tests: list[Test] = []
    for child in children:
        found = group(plan, child)
        new_key = None if found is None else (found[0].left.key, found[1])
        if run and (new_key is None or new_key != key):
            yield key, run, tests
            run, tests = [], []
        key = new_key
        run.append(child)
        if found is not None:
            tests.append(found[0])
    if run:
        yield key, run, tests


def _merge_any(plan: Plan, children: Sequence[int]) -> tuple[int, ...]:
    """Combine neighbouring equalities, memberships, prefixes and suffixes of one operand."""
    out: list[int] = []
    for key, run, tests in _runs(plan, children, _group_of):
        out.extend(run if key is None or len(run) < 2 else [_combine(plan, tests, key[1])])
    return tuple(out)


def _negated_group(plan: Plan, number: int) -> tuple[Test, str] | None:
    node = plan.nodes[number]
    return _group_of(plan, node.child) if isinstance(node, NotNode) else None


def _merge_all(plan: Plan, children: Sequence[int]) -> tuple[int, ...]:
    """The same under `and`, for negations: not a and not b = not (a or b)."""
    out: list[int] = []
    for key, run, tests in _runs(plan, children, _negated_group):
        if key is None or len(run) < 2:
            out.extend(run)
        else:
            out.append(plan.add_not(_combine(plan, tests, key[1])))
    return tuple(out)
