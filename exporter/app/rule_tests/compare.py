"""Compares the alerts that came with those expected, and says the difference to a person."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.app.rule_tests.outcome import Fired
from exporter.app.rule_tests.watch import Seen, Watcher
from exporter.rules.priority import Priority
from exporter.rules.testing.document import Case, Expected

_MAX_BLOCKERS = 6
_MAX_MISSING = 8


@dataclass(frozen=True, slots=True)
class Got:
    """An alert that came. fields: printed values of the fields that the test asks for."""

    fired: Fired
    priority: Priority
    fields: dict[str, str | None]


def compare(
    case: Case,
    got: Sequence[Got],
    counts: Mapping[str, int],
    seen: Sequence[Seen],
    watcher: Watcher,
) -> list[str]:
    """What is wrong, one text of a few lines each; nothing when the test passes.

    got: the alerts, perhaps only the first ones of very many. counts: rule -> all its alerts.
    """
    if case.forbidden is not None:
        names = {name for name, _ in case.forbidden}
        return [_unexpected(item, seen) for item in got if not names or item.fired.rule in names]
    if case.counts is not None:
        return [
            *_counted(case, got, counts, seen, watcher),
            *_some(case, got, seen, watcher),
        ]
    named = case.named
    relevant = [item for item in got if not case.has_others or item.fired.rule in named]
    matcher = difflib.SequenceMatcher(
        a=[expected.rule for expected in case.expected],
        b=[item.fired.rule for item in relevant],
        autojunk=False,
    )
    problems: list[str] = []
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        if kind == "equal":
            for expected, item in zip(case.expected[a:a_end], relevant[b:b_end], strict=True):
                problems.extend(_differences(expected, item))
            continue
        problems += [_missing(expected, seen, watcher) for expected in case.expected[a:a_end]]
        problems += [_unexpected(item, seen) for item in relevant[b:b_end]]
    return problems


def _counted(
    case: Case,
    got: Sequence[Got],
    counts: Mapping[str, int],
    seen: Sequence[Seen],
    watcher: Watcher,
) -> Iterator[str]:
    """Alerts by rule: numbers that differ, and rules that nobody named."""
    for entry in case.counts or ():
        count = counts.get(entry.rule, 0)
        if count == entry.count:
            continue
        head = f'"{entry.rule}": expected {_number(entry.count)} ({entry.span}), got {count}'
        if count < entry.count:
            yield f"{head}\n{_missing(Expected(entry.rule, entry.span), seen, watcher)}"
        else:
            first = next((item for item in got if item.fired.rule == entry.rule), None)
            yield head if first is None else f"{head}; the first:\n{_unexpected(first, seen)}"
    if not case.has_others:
        told: set[str] = set()
        for item in got:
            rule = item.fired.rule
            if rule not in case.named and rule not in told:
                told.add(rule)
                yield f"{_unexpected(item, seen)}\n  {_number(counts[rule])} of this rule in all"


def _some(case: Case, got: Sequence[Got], seen: Sequence[Seen], watcher: Watcher) -> Iterator[str]:
    """Expected alerts, each somewhere behind the one before it."""
    start = 0
    for expected in case.expected:
        nearest: list[str] | None = None
        for place in range(start, len(got)):
            if got[place].fired.rule != expected.rule:
                continue
            wrong = list(_differences(expected, got[place]))
            if not wrong:
                start = place + 1
                break
            if nearest is None or len(wrong) < len(nearest):
                nearest = wrong
        else:
            yield "\n".join(nearest or [_missing(expected, seen, watcher)])


def _number(count: int) -> str:
    return f"{count} alert{'' if count == 1 else 's'}"


def _unexpected(item: Got, seen: Sequence[Seen]) -> str:
    fired = item.fired
    lines = [
        f'unexpected alert of "{fired.rule}"',
        f"  event   {fired.event} at {fired.step}",
        f"  output  {fired.message}",
    ]
    look = next(
        (s.looks[fired.rule] for s in seen if s.step == fired.step and fired.rule in s.looks), None
    )
    if look is not None:
        shown = dict.fromkeys(
            text for text, is_true in zip(look.shown, look.values, strict=True) if is_true
        )
        lines += [f"  because {text}" for text in list(shown)[:_MAX_BLOCKERS]]
    return "\n".join(lines)


def _missing(expected: Expected, seen: Sequence[Seen], watcher: Watcher) -> str:
    """An alert that did not come, and what was nearest to it."""
    lines = [f'no alert of "{expected.rule}" (expected at {expected.span})']
    rule = next((rule for rule in watcher.rules if rule.name == expected.rule), None)
    if rule is None:
        return f"{lines[0]}\n  the rule is off: see `enabled`, -o rules[] and -o priority"
    watched = watcher.watched(rule)
    best: tuple[list[int], Seen] | None = None
    for record in seen:
        look = record.looks.get(expected.rule)
        if look is None:
            continue
        if look.result and expected.rule not in record.matched:
            first = ", ".join(f'"{name}"' for name in record.matched)
            return (
                f"{lines[0]}\n  it matches {record.event} at {record.step}, but the earlier rule "
                f"{first} takes that event"
            )
        if look.result:
            continue
        blockers = watched.blockers(look.values)
        if best is None or len(blockers) < len(best[0]):
            best = blockers, record
    if best is None:
        names = ", ".join(dict.fromkeys(record.event for record in seen)) or "none"
        lines.append(f"  the rule looks at none of the events of this test ({names})")
        return "\n".join(lines)
    blockers, record = best
    look = record.looks[expected.rule]
    lines.append(f"  nearest event: {record.event} at {record.step}")
    for index in blockers[:_MAX_BLOCKERS]:
        word = "true" if look.values[index] else "false"
        lines.append(f"  is {word:5} {watched.atoms[index].text}")
        lines.append(f"           {look.shown[index]}")
    if len(blockers) > _MAX_BLOCKERS:
        lines.append(f"  and {len(blockers) - _MAX_BLOCKERS} more checks")
    if record.missing:
        shown = ", ".join(record.missing[:_MAX_MISSING])
        more = "" if len(record.missing) <= _MAX_MISSING else ", ..."
        lines.append(f"  fields asked for and not given: {shown}{more}")
    return "\n".join(lines)


def _differences(expected: Expected, item: Got) -> Iterator[str]:
    """An alert of the right rule with something else wrong."""
    fired = item.fired
    head = f'alert of "{fired.rule}" differs (expected at {expected.span})'
    if expected.event and expected.event != fired.event:
        yield f"{head}\n{_two('event', expected.event, fired.event)}"
    if expected.priority is not None and expected.priority != item.priority:
        yield f"{head}\n{_two('priority', str(expected.priority), fired.priority)}"
    if expected.output and expected.output != fired.message:
        yield f"{head}\n{_two('output', expected.output, fired.message)}"
    for part in expected.output_contains:
        if part not in fired.message:
            yield f"{head}\n  the output lacks  {part}\n  got               {fired.message}"
    for name, value in expected.fields:
        found = item.fields.get(name)
        if found != value:
            yield f"{head}\n{_two(name, value, found)}"


def _two(what: str, expected: str | None, got: str | None) -> str:
    """Both values below each other, with a mark under the first difference of long ones."""
    wanted = "<missing>" if expected is None else expected
    found = "<missing>" if got is None else got
    lines = [f"  {what}", f"    expected  {wanted}", f"    got       {found}"]
    if max(len(wanted), len(found)) > 16:
        same = 0
        for a, b in zip(wanted, found, strict=False):
            if a != b:
                break
            same += 1
        lines.append(f"{' ' * (14 + same)}^ first difference")
    return "\n".join(lines)
