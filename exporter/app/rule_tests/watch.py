"""Watching one event: what every rule that looks at it says, check by check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from exporter.events.event import Event
from exporter.rules.bind import Operand
from exporter.rules.ruleset import Rule
from exporter.rules.testing.evaluation import Watched

Rebind = Callable[[Operand], Operand]


@dataclass(frozen=True, slots=True)
class Look:
    """One rule on one event. values: what each check says. shown: `field = value` of each check."""

    rule: Rule
    values: list[bool]
    shown: list[str]
    result: bool


@dataclass(slots=True)
class Seen:
    """One event of a test, with what was seen while the state was current."""

    event: str
    code: int
    step: str
    matched: tuple[str, ...]
    looks: dict[str, Look] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


class Watcher:
    """The conditions of one ruleset, for one way to read fields."""

    def __init__(self, rules: Sequence[Rule], rebind: Rebind | None) -> None:
        self.rules = [rule for rule in rules if rule.is_enabled]
        self._rebind = rebind
        self._watched: dict[str, Watched] = {}

    def watched(self, rule: Rule) -> Watched:
        """The watched condition of a rule."""
        found = self._watched.get(rule.name)
        if found is None:
            found = self._watched[rule.name] = Watched(rule.ast, rule.source, self._rebind)
        return found

    def match(self, event: Event, *, match_all: bool) -> list[Rule]:
        """The rules that match, in order; the first one only unless all are wanted."""
        found = []
        for rule in self.looking(event):
            if self.watched(rule).matches(event):
                found.append(rule)
                if not match_all:
                    break
        return found

    def looking(self, event: Event) -> list[Rule]:
        """The rules that look at events of this kind."""
        code, source = event.type.code, event.source
        return [rule for rule in self.rules if rule.source == source and code in rule.event_types]

    def look(self, rule: Rule, event: Event) -> Look:
        """Everything one rule says of an event, as long as the state is current."""
        watched = self.watched(rule)
        values = watched.values(event)
        shown = [atom.show(event) for atom in watched.atoms]
        return Look(rule, values, shown, watched.result(values))
