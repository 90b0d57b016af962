"""Undecided: rules on an event whose container nobody has told of yet.

Takes the plan's nodes of rules, gives those that match and those whose answer hangs on what the
runtime will tell, each with the question that is left. Everything else that the answer depends on
is read now: threads and descriptors are others by the time the runtime answers. Only events of the
first moments of a container come here, so nothing of it is compiled. Nothing recurses: conditions
may be deep.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from exporter.events.event import Event
from exporter.rules.bind import Const, Operand, Read, Test
from exporter.rules.fields.field import Reader
from exporter.rules.operators import compare_values, make_predicate
from exporter.rules.plan import FALSE, TRUE, AllNode, NotNode, Plan, TestNode, children_of
from exporter.rules.printing import settled_operand, uses_of, value_reader
from exporter.rules.ruleset import Rule
from exporter.rules.sharing import reachable

Question = Callable[[Event], bool]
"""Asked with a copy of the event once the runtime has answered, or will not."""

_Test = Callable[[int], bool | None]
"""What a test says; None when only the runtime can tell."""

_ENTRY_BYTES = 100
"""Of one node whose answer is kept."""


class Candidate(Struct, frozen=True):
    """A rule that may match an event. question: whether it does; None when it does for sure.

    size_bytes: rough size of what the question keeps.
    """

    rule: Rule
    question: Question | None = None
    size_bytes: int = 0


class Undecided:
    """Weighs the rules of one generated function.

    nodes: of each rule in the plan. on_error: told of a rule whose question raised.
    """

    def __init__(
        self,
        plan: Plan,
        rules: Sequence[Rule],
        nodes: Sequence[int],
        on_error: Callable[[Rule], None],
    ) -> None:
        self._plan = plan
        self._on_error = on_error
        self._late = {
            number for number in reachable(plan, nodes) if _is_late_node(plan.nodes[number])
        }
        self._rules = [
            (rule, node, not self._late.isdisjoint(reachable(plan, [node])))
            for rule, node in zip(rules, nodes, strict=True)
        ]
        self._may_wait = any(is_late for _, _, is_late in self._rules)
        self._tests: dict[int, Question] = {}

    def candidates(
        self, event: Event, matched: Sequence[Rule], *, match_all: bool
    ) -> list[Candidate]:
        """The rules that may match, in order; up to the first sure one unless all are wanted.

        matched: what the generated function says. That is right of rules that ask nothing of a
        runtime, as far as it came: of all, or of those up to the first that matched.
        """
        if not self._may_wait:
            return [Candidate(rule) for rule in matched]
        known: dict[int, bool | None] = {FALSE: False, TRUE: True}
        questions: dict[int, Question] = {}

        def look(number: int) -> bool | None:
            """Decide a test now, or keep the question."""
            try:
                if number not in self._late:
                    return self._test(number)(event)
                questions[number] = self._settled(number, event)
            except Exception as error:  # noqa: BLE001  counted if it matters in the end
                questions[number] = _raising(error)
            return None

        found: list[Candidate] = []
        true = {rule.index for rule in matched}
        is_told = True
        for rule, root, is_late in self._rules:
            if is_told and not is_late:
                answer: bool | None = rule.index in true
            else:
                answer = _ask(self._plan, root, known, look)
            is_told = is_told and (match_all or rule.index not in true)
            if answer is None:
                found.append(self._open(rule, root, known, questions))
            elif answer:
                found.append(Candidate(rule))
                if not match_all:
                    break
        return found

    def _open(
        self,
        rule: Rule,
        root: int,
        known: Mapping[int, bool | None],
        questions: Mapping[int, Question],
    ) -> Candidate:
        """A rule whose answer is open, with what is known of its parts."""
        kept: dict[int, bool | None] = {}
        asked: dict[int, Question] = {}
        for number in reachable(self._plan, [root]):
            answer = known.get(number)
            if answer is not None:
                kept[number] = answer
            elif number in questions:
                asked[number] = questions[number]

        def question(event: Event) -> bool:
            """The answer with what the event's copy tells by now."""
            try:
                return bool(_ask(self._plan, root, dict(kept), lambda number: asked[number](event)))
            except Exception:  # noqa: BLE001  the rule's edge
                self._on_error(rule)
                return False

        return Candidate(rule, question, _ENTRY_BYTES * (len(kept) + 4 * len(asked)))

    def _test(self, number: int) -> Question:
        """The test of a node, made when it is first met."""
        found = self._tests.get(number)
        if found is None:
            test = _test_of(self._plan, number)
            found = self._tests[number] = _compared(test, _checked_reader(test.left), test.right)
        return found

    def _settled(self, number: int, event: Event) -> Question:
        """A test with everything read that the event tells."""
        test = _test_of(self._plan, number)
        if isinstance(test.left, Read) and test.right is None:
            return self._test(number)
        right = None if test.right is None else settled_operand(test.right, event)
        left = settled_operand(test.left, event)
        if not isinstance(left, Const):
            return _compared(test, value_reader(left), right)
        value = _checked_reader(test.left)(event)
        return _compared(test, lambda _: value, right)


def _ask(plan: Plan, root: int, known: dict[int, bool | None], look: _Test) -> bool | None:
    """The answer of a node; None when it is open. known: answers so far, added to.

    An open part does not end a conjunction or disjunction: one of the others may settle it.
    """
    path: list[tuple[int, bool, Iterator[int]]] = []
    opened: set[int] = set()
    number = root
    while True:
        if number in known:
            answer = known[number]
        else:
            node = plan.nodes[number]
            if isinstance(node, TestNode):
                answer = known[number] = look(number)
            else:
                below = iter(children_of(node))
                path.append((number, not isinstance(node, AllNode), below))
                number = next(below)
                continue
        while path:
            above, ends, rest = path[-1]
            following = None
            if isinstance(plan.nodes[above], NotNode):
                answer = None if answer is None else not answer
            elif answer is not ends:
                if answer is None:
                    opened.add(above)
                following = next(rest, None)
                if following is None:
                    answer = None if above in opened else not ends
            if following is not None:
                number = following
                break
            path.pop()
            known[above] = answer
        else:
            return answer


def _test_of(plan: Plan, number: int) -> Test:
    node = plan.nodes[number]
    assert isinstance(node, TestNode)
    return node.test


def _is_late_node(node: object) -> bool:
    return isinstance(node, TestNode) and any(
        use.field.is_late
        for operand in (node.test.left, node.test.right)
        if operand is not None
        for use in uses_of(operand)
    )


def _checked_reader(operand: Operand) -> Reader:
    """Reader of what checks look at."""
    if isinstance(operand, Read) and operand.use.each is not None:
        return operand.use.each
    return value_reader(operand)


def _compared(test: Test, left: Reader, right: Operand | None) -> Question:
    if right is not None:
        other = value_reader(right)
        return lambda event: compare_values(test.op, left(event), other(event))
    holds = make_predicate(test)

    def decide(event: Event) -> bool:
        value: Any = left(event)
        return value is not None and holds(value)

    return decide


def _raising(error: Exception) -> Question:
    """Raises what a test raised; only where the generated function would have come to that test."""

    def fail(_event: Event) -> bool:
        raise error

    return fail
