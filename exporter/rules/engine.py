"""Engine: from an event to the rules that match it.

Built whole from a ruleset and never changed, so that a reload is one assignment between two events.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from exporter.events.event import Event
from exporter.events.table import load_event_table
from exporter.rules.compiler import CompiledRuleset, EventFunction, compile_ruleset
from exporter.rules.ruleset import Rule, Ruleset
from exporter.rules.undecided import Candidate, Undecided

SYSCALL = "syscall"

_SHARED_IDS = frozenset({"PPME_PLUGINEVENT_E", "PPME_ASYNCEVENT_E"})
"""Events that any source may send."""

MatchFunction = Callable[[Event], Sequence[Rule]]
Check = Callable[[Event], bool]


class Engine:
    """The compiled rules of all event sources.

    compiled: what the compiler made, for printing. rule_errors: rule name -> checks of it that
    raised; such a rule does not match that event, the others still do.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        """Compile the ruleset. Raises ConditionError."""
        self.ruleset = ruleset
        self.compiled: CompiledRuleset = compile_ruleset(ruleset)
        self.rule_errors: Counter[str] = Counter()
        self._checks: dict[int, list[tuple[Rule, Check]]] = {}
        self._undecided: dict[int, Undecided] = {}
        self._shared = frozenset(
            event.code for event in load_event_table().events if event.id in _SHARED_IDS
        )
        size = 1 + max(event.code for event in load_event_table().events)
        self._by_code: list[MatchFunction | None] = [None] * size
        for code, function in self.compiled.functions.get(SYSCALL, {}).items():
            self._by_code[code] = function.call
        for code in self._shared:
            if any(code in functions for functions in self.compiled.functions.values()):
                self._by_code[code] = partial(_match_by_source, self.compiled)

    @property
    def interesting_codes(self) -> frozenset[int]:
        """Event codes that at least one rule of source syscall can match."""
        return frozenset(self.compiled.functions.get(SYSCALL, {}))

    def match(self, event: Event) -> Sequence[Rule]:
        """The rules that match, in definition order; the first one only unless all are wanted."""
        function = self._by_code[event.type.code]
        if function is None:
            return ()
        try:
            return function(event)
        except Exception:  # noqa: BLE001 - the rule's edge: counted by rule below
            return self._match_carefully(event)

    def weigh(self, event: Event) -> Sequence[Candidate]:
        """What `match` gives, for an event whose container nobody has told of yet.

        Rules whose answer hangs on that come with the question that is left.
        """
        function = self._function_of(event)
        if function is None:
            return ()
        undecided = self._undecided.get(id(function))
        if undecided is None:
            undecided = self._undecided[id(function)] = Undecided(
                function.plan, function.rules, function.nodes, partial(_count, self.rule_errors)
            )
        return undecided.candidates(event, self.match(event), match_all=self.ruleset.match_all)

    def checks(self, event: Event) -> list[tuple[Rule, Check]]:
        """The rules that could match this event, each as a function of its own, for measuring.

        Compiles one function a call, because the hot thread calls: the first calls give few rules.
        """
        function = self._function_of(event)
        if function is None:
            return []
        found = self._checks.setdefault(id(function), [])
        if len(found) < len(function.rules):
            found.append((function.rules[len(found)], function.one(len(found))))
        return found

    def _function_of(self, event: Event) -> EventFunction | None:
        code = event.type.code
        source = event.source if code in self._shared else SYSCALL
        return self.compiled.functions.get(source, {}).get(code)

    def _match_carefully(self, event: Event) -> Sequence[Rule]:
        """Rule by rule, after some check raised."""
        function = self._function_of(event)
        found: list[Rule] = []
        if function is None:
            return found
        for index, rule in enumerate(function.rules):
            try:
                is_match = function.one(index)(event)
            except Exception:  # noqa: BLE001 - the rule's edge
                self.rule_errors[rule.name] += 1
                continue
            if is_match:
                found.append(rule)
                if not self.ruleset.match_all:
                    break
        return found


# Functions, for an engine that held bound methods of its own would hold itself: after a reload the
# old one must go at once, and not with the next full garbage collection.


def _match_by_source(compiled: CompiledRuleset, event: Event) -> Sequence[Rule]:
    """For an event that any source may send."""
    function = compiled.functions.get(event.source, {}).get(event.type.code)
    return () if function is None else function.call(event)


def _count(errors: Counter[str], rule: Rule) -> None:
    errors[rule.name] += 1
