"""From rules to one predicate a system call: which of its events any rule could match.

Takes the enabled rules, gives `CallFilter`s. A condition is walked with negation pushed down to its
tests (`Approximation` has both sides), over the graph of plan.py as folded for the event type, so
that macros that many rules share are translated once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from exporter.pushdown.approximation import ALWAYS, NEVER, UNKNOWN, Approximation, negated
from exporter.pushdown.atoms import Below, InSet
from exporter.pushdown.facts import Fact, Group, Kind, Text
from exporter.pushdown.fields import HOOK_FIELDS, KERNEL_FIELDS
from exporter.pushdown.ir import FALSE, TRUE, Literal, Predicate, groups_of, holds
from exporter.pushdown.layout import CallLayout, call_layout, hook_layout
from exporter.pushdown.observation import Observation
from exporter.pushdown.simplify import all_of, any_of, under, without_heavy
from exporter.pushdown.values import known_value
from exporter.rules.bind import Read, Test
from exporter.rules.plan import (
    AllNode,
    AnyNode,
    NotNode,
    Plan,
    PlanNode,
    TestNode,
    bottom_up,
    children_of,
)
from exporter.rules.ruleset import Rule, Ruleset
from exporter.sources.probe.syscalls import CALLS, STATE_CALLS, Hook, Step
from exporter.state.state import LIVE_NEEDS

SYSCALL = "syscall"


class RuleShare(Struct, frozen=True):
    """What one rule asks of one call.

    left: tests that the kernel cannot decide, or not exactly. blamed: those because of which the
    predicate is TRUE.
    """

    rule: Rule
    predicate: Predicate
    left: tuple[Test, ...] = ()
    blamed: tuple[Test, ...] = ()


class CallFilter(Struct, frozen=True):
    """Which events of one call, or of one hook, the rules see.

    predicate: what any rule asks. is_needed: the state gets those that change something, whatever
    the rules ask, and so it does with all of a hook.
    notes_port: events that tell a port of a server for the first time do as well. shares: by rule.
    """

    call: CallLayout
    predicate: Predicate
    is_needed: bool
    notes_port: bool
    shares: tuple[RuleShare, ...]

    @property
    def is_pass_through(self) -> bool:
        """Whether the rules see every event."""
        return self.predicate == TRUE

    @property
    def is_unused(self) -> bool:
        """Whether no rule looks at any, and no filter is needed to say so of each."""
        is_followed = not self.is_needed or self.call.name in STATE_CALLS
        return is_followed and not self.notes_port and self.predicate == FALSE

    def keeps(self, seen: Observation) -> bool:
        """Whether the rules see an event, but for `notes_port`.

        When a fact that must be read first turns out to be unknown, the event is kept: by then
        what is always known has not ruled it out.
        """
        if self.is_pass_through:
            return True
        if self.call.hook is not None:
            return holds(self.predicate, seen)
        if not holds(without_heavy(self.predicate), seen):
            return False
        is_unknown = any(_is_unknown(seen, group) for group in groups_of(self.predicate))
        return is_unknown or holds(self.predicate, seen)


def _is_unknown(seen: Observation, group: Group) -> bool:
    """Whether a group of facts is unknown in an observation."""
    if group is Group.SOCKET:
        return seen.socket is None
    if group is Group.HOW:
        return seen.how is None
    if group is Group.PATH:
        return Text.PATH.read(seen) is None
    return group is Group.PATH2 and Text.PATH2.read(seen) is None


def analyse(ruleset: Ruleset, calls: Iterable[str] = tuple(CALLS)) -> dict[str, CallFilter]:
    """The filter of every call. Raises ConditionError for a condition that cannot be bound."""
    return {one.call.name: one for one in _analyse(ruleset, map(call_layout, calls))}


def analyse_hooks(ruleset: Ruleset) -> dict[Hook, CallFilter]:
    """The filter of the events of every hook. Raises ConditionError as `analyse` does."""
    return dict(zip(Hook, _analyse(ruleset, map(hook_layout, Hook)), strict=True))


def _analyse(ruleset: Ruleset, layouts: Iterable[CallLayout]) -> Iterator[CallFilter]:
    rules = [rule for rule in ruleset.rules if rule.is_enabled and rule.source == SYSCALL]
    plan = Plan()
    roots = [plan.add_condition(rule.ast, SYSCALL) for rule in rules]
    folders = plan.folders()
    for layout in layouts:
        kind = layout.event
        places = [at for at, rule in enumerate(rules) if kind.code in rule.event_types]
        folded = {number: fold(kind) for number, fold in folders}
        nodes = plan.specialise_all([roots[at] for at in places], folded)
        walker = _Walker(plan.nodes, layout)
        shares = []
        for at, node in zip(places, nodes, strict=True):
            predicate = walker.approximate(node).if_true
            if predicate != FALSE:
                blamed = walker.blame(node) if predicate == TRUE else ()
                shares.append(RuleShare(rules[at], predicate, walker.left(node), blamed))
        predicate = any_of(share.predicate for share in shares)
        if layout.step is Step.EXEC_FAILED:
            # Successful ones come from another tracepoint.
            predicate = under(predicate, [Literal(Below(Fact(Kind.RET), 0))])
        elif layout.hook is Hook.EXEC:
            predicate = under(predicate, [Literal(InSet(Fact(Kind.RET), frozenset({0})))])
        yield CallFilter(
            call=layout,
            predicate=predicate,
            is_needed=_is_needed(layout),
            notes_port=layout.step is Step.ACCEPT,
            shares=tuple(shares),
        )


def _is_needed(layout: CallLayout) -> bool:
    """Whether the state needs every event. Successful execs do not come from the call's exit."""
    if layout.hook is not None:
        return False
    is_state = layout.name in STATE_CALLS or layout.event.id in LIVE_NEEDS
    return is_state and layout.step is not Step.EXEC_FAILED


class _Walker:
    """Translates nodes of one graph for one call, each once."""

    def __init__(self, nodes: Sequence[PlanNode], call: CallLayout) -> None:
        self._nodes = nodes
        self._call = call
        self._done: dict[int, Approximation] = {
            0: Approximation(FALSE, TRUE),
            1: Approximation(TRUE, FALSE),
        }

    def approximate(self, root: int) -> Approximation:
        """What the kernel can say of a node."""
        done = self._done
        for number in bottom_up(self._nodes, root, done):
            done[number] = self._combine(self._nodes[number])
        return done[root]

    def _combine(self, node: PlanNode) -> Approximation:
        done = self._done
        match node:
            case TestNode(test):
                return approximate_test(test, self._call)
            case NotNode(child):
                return negated(done[child])
            case AllNode(children):
                return Approximation(
                    all_of(done[child].if_true for child in children),
                    any_of(done[child].if_false for child in children),
                )
            case AnyNode(children):
                return Approximation(
                    any_of(done[child].if_true for child in children),
                    all_of(done[child].if_false for child in children),
                )
            case _:
                raise AssertionError(node)

    def left(self, root: int) -> tuple[Test, ...]:
        """Tests below a node that the kernel does not decide exactly, in the condition's order."""
        found: dict[str, Test] = {}
        pending, seen = [root], set()
        while pending:
            number = pending.pop()
            if number in seen:
                continue
            seen.add(number)
            node = self._nodes[number]
            if isinstance(node, TestNode):
                one = self._done.get(number)
                if (
                    one is not None
                    and TRUE in (one.if_true, one.if_false)
                    and one
                    not in (
                        ALWAYS,
                        NEVER,
                    )
                ):
                    found.setdefault(node.test.key, node.test)
            pending += reversed(children_of(node))
        return tuple(found.values())

    def blame(self, root: int) -> tuple[Test, ...]:
        """Tests because of which a node that may be false counts as always true."""
        found: dict[str, Test] = {}
        pending = [(root, True)]
        while pending:
            number, is_positive = pending.pop()
            node = self._nodes[number]
            approximation = self._done.get(number)
            if approximation is None:
                continue
            side = approximation.if_true if is_positive else approximation.if_false
            if side != TRUE:
                continue
            match node:
                case TestNode(test):
                    found.setdefault(test.key, test)
                case NotNode(child):
                    pending.append((child, not is_positive))
                case _:
                    pending += [(child, is_positive) for child in reversed(children_of(node))]
        return tuple(found.values())


def approximate_test(test: Test, call: CallLayout) -> Approximation:
    """What the kernel can say of one test on the events of a call."""
    if test.right is not None or not isinstance(test.left, Read):
        return UNKNOWN
    if call.hook is not None and test.left.use.field.kernel not in HOOK_FIELDS[call.hook]:
        return UNKNOWN
    if call.step is Step.NUMBER and test.left.use.field.name in {"evt.type", "syscall.type"}:
        # Calls without an event of their own share one, whose name is the call's.
        return known_value(test, call.name.encode())
    decide = KERNEL_FIELDS.get(test.left.use.field.kernel)
    return UNKNOWN if decide is None else decide(test, call)


def counts(filters: Mapping[str, CallFilter]) -> dict[str, int]:
    """How many calls pass in full, are filtered, and are not looked at."""
    out = {"passed": 0, "filtered": 0, "unused": 0}
    for one in filters.values():
        kind = "unused" if one.is_unused else "passed" if one.is_pass_through else "filtered"
        out[kind] += 1
    return out
