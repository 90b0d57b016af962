"""Random rules and random calls, matched with pushdown and without: both must say the same.

    .venv/bin/python -m tests.fuzz.twins --seconds 300 --seed 7
    .venv/bin/python -m tests.fuzz.twins --replay .cache/twins/7-12-0.json

Needs root, like the kernel tests. Each round has some dozens of rules and hundreds of calls. A
difference is made as small as can be and written to --keep; the exit status is then 1.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.twins.acts import Acts
from tests.fuzz.twins.conditions import (
    CORE,
    Check,
    Conditions,
    RandomRule,
    Specimen,
    stable_fields,
)
from tests.fuzz.twins.shrink import shrink
from tests.fuzz.twins.twins import Alerts, LossError, Twins, filters, loadable, say

SCENES = 10
RULES = 40
_A_TYPE = 25
"""Specimens kept of one event type."""
_ROUNDS_A_HARVEST = 12
_SPARSE = 0.7
"""Share of the rounds that have one rule an event type."""
_TRIES = 4
_LOOKED_INTO = 2
"""Differing rules of one round that are made small."""
_SHOWN = 3
_WIDTH = 400


class Fuzzer:
    """One run. Counts what it did; differences are kept as files."""

    def __init__(self, twins: Twins, seed: int, keep: Path) -> None:
        self.rounds = self.rules = self.alerts = self.odd = 0
        self.found: list[Path] = []
        self._twins = twins
        self._seed = seed
        self._keep = keep
        self._specimens: list[Specimen] = []

    def round(self, number: int) -> None:
        """One round, the same for the same seed and number but for what was harvested."""
        random = Random(f"{self._seed}.{number}")
        acts = Acts(random, str(self._twins.stage))
        if not self._specimens or number % _ROUNDS_A_HARVEST == 0:
            self._specimens = harvest(self._twins, acts)
        conditions = Conditions(random, self._specimens)
        is_sparse = random.random() < _SPARSE
        rules = sparse(conditions) if is_sparse else dense(conditions)
        scenes = [acts.scene() for _ in range(SCENES)]
        twins = self._twins
        twins.load(rules)
        twins.play(scenes)
        first, second = twins.collect()
        self.rounds += 1
        self.rules += len(rules)
        self.alerts += second.total()
        only = first - second, second - first
        differing = {rule for side in only for rule, _ in side}
        # One mistake shows in many rules: the shortest tell it best.
        suspects = sorted((r for r in rules if r.name in differing), key=lambda r: len(r.text()))
        if len(suspects) > _LOOKED_INTO:
            say(f"round {number}: {len(suspects)} rules differ, looking into {_LOOKED_INTO}")
        for rule in suspects[:_LOOKED_INTO]:
            if not self._look_into(number, rule, scenes):
                self.odd += 1
                say(f"round {number}: a difference that does not come again: {rule.condition}")
                show(only, rule.name)

    def _look_into(self, number: int, rule: RandomRule, scenes: Sequence[dict[str, Any]]) -> bool:
        """Keep the smallest form of a difference; False when it does not come again."""

        def differs(candidate: RandomRule, some: Sequence[dict[str, Any]]) -> bool:
            with suppress(LossError):
                return loadable([candidate]) != [] and any(
                    self._twins.differences([candidate], some)
                )
            return False

        if not differs(rule, scenes) and not differs(rule, scenes):
            return False
        small, left = shrink(rule, scenes, differs)
        self._keep.mkdir(parents=True, exist_ok=True)
        file = self._keep / f"{self._seed}-{number}-{rule.name}.json"
        only = self._twins.differences([small], left)
        file.write_text(json.dumps({
            "rule": small.text(), "scenes": left,
            "only_with_pushdown": [text for _, text in only[0]],
            "only_without": [text for _, text in only[1]],
        }, indent=1))  # fmt: skip
        self.found.append(file)
        say(f"round {number}: the twins differ, see {file}")
        say(f"  {small.condition}")
        show(only, small.name)
        return True


def show(only: Sequence[Alerts], rule: str) -> None:
    """Say what differs: fields of alerts about the same event, or an alert that only one raised."""
    first, second = ([json.loads(text) for of, text in side if of == rule] for side in only)
    for one in first[:_SHOWN]:
        twin = next((two for two in second if _is_same_event(one, two)), None)
        if twin is None:
            say(f"  only with pushdown: {_short(one)}")
            continue
        second.remove(twin)
        for name in one:
            if one[name] != twin[name]:
                say(f"  {name}: {_short(one[name])} with pushdown, {_short(twin[name])} without")
        say(f"    of {_short({name: one[name] for name in CORE})}")
    for two in second[:_SHOWN] if len(first) <= _SHOWN else ():
        say(f"  only without: {_short(two)}")


def _is_same_event(one: Specimen, two: Specimen) -> bool:
    return all(one[name] == two[name] for name in ("evt.type", "thread.tid", "evt.rawres"))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < _WIDTH else f"{text[:_WIDTH]}..."


def dense(conditions: Conditions) -> list[RandomRule]:
    """Dozens of rules at once, most of them about several event types: what users have."""
    return loadable(conditions.rule(f"r{at}") for at in range(RULES))


def sparse(conditions: Conditions) -> list[RandomRule]:
    """One rule for each event type, such that the kernel has something to decide if possible.

    With many rules on a type it mostly has not: one that it cannot decide has all events sent.
    """
    found = []
    for event_type in conditions.types:
        tries = loadable(conditions.rule(f"only {event_type}", event_type) for _ in range(_TRIES))
        chosen = next((rule for rule in tries if filters(rule)), None)
        found += tries[:1] if chosen is None else [chosen]
    return found


def harvest(twins: Twins, acts: Acts) -> list[Specimen]:
    """Events as the instance without pushdown shows them, some of each type, with all fields."""
    rules = [
        RandomRule(f"harvest {at}", Check(f"evt.type in ({', '.join(names)})"), fields)
        for at, (names, fields) in enumerate(_harvest_fields())
    ]
    twins.load(rules)
    twins.play(acts.scene() for _ in range(SCENES))
    _, alerts = twins.collect()
    by_type: dict[str, list[Specimen]] = {}
    for _, text in sorted(alerts):
        specimen = json.loads(text)
        by_type.setdefault(specimen["evt.type"], []).append(specimen)
    random = Random(len(alerts))
    return [
        one
        for _, found in sorted(by_type.items())
        for one in random.sample(found, min(len(found), _A_TYPE))
    ]


def _harvest_fields() -> list[tuple[list[str], tuple[str, ...]]]:
    """Event types by the parameters that they have -> all fields to show of them."""
    from exporter.events.table import load_event_table
    from exporter.rules.fields.catalogue import is_field
    from exporter.sources.probe.syscalls import CALLS, DEFAULT_CALLS

    wanted = {CALLS[name].event for name in DEFAULT_CALLS} | {"PPME_SYSCALL_CLOSE_X"}
    by_params: dict[tuple[str, ...], list[str]] = {}
    for event in load_event_table().events:
        if event.id in wanted:
            names = tuple(param.name for param in event.params)
            by_params.setdefault(names, []).append(event.name)
    stable = tuple(name for name in stable_fields() if is_field(name.partition("[")[0], "syscall"))
    return [
        (names, (*stable, *(f"evt.arg.{p}" for p in params), *(f"evt.rawarg.{p}" for p in params)))
        for params, names in by_params.items()
    ]


def replay(twins: Twins, file: Path) -> bool:
    """Play a kept difference again; whether the twins still differ."""
    kept = json.loads(file.read_text())
    twins.load_text(kept["rule"])
    twins.play(kept["scenes"])
    first, second = twins.collect()
    for name, side in (("only with pushdown", first - second), ("only without", second - first)):
        for (rule, text), count in side.items():
            say(f"{name}, {count}: {rule}: {text}")
    return first != second


def main() -> int:
    """Fuzz, or replay; 1 when the twins differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.twins", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=0, help="end after so many rounds")
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(".cache/twins"), metavar="DIRECTORY")
    parser.add_argument("--replay", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    # So that Lanner, the actor and its container are ended as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    end = time.monotonic() + arguments.seconds
    with tempfile.TemporaryDirectory(prefix=f"twins-{arguments.seed}-") as place:
        Path(place).chmod(0o755)
        with Twins(Path(place)) as twins:
            if arguments.replay:
                return int(replay(twins, arguments.replay))
            fuzzer = Fuzzer(twins, arguments.seed, arguments.keep)
            number = arguments.first
            while time.monotonic() < end and fuzzer.rounds < (arguments.rounds or number + 1):
                try:
                    fuzzer.round(number)
                except LossError as error:
                    say(f"round {number} does not count: {error}")
                number += 1
            seen, kept = twins.total("seen"), twins.total("delivered")
    say(
        f"{fuzzer.rounds} rounds, {fuzzer.rules} rules, {seen[1]:.0f} events"
        f" ({kept[0]:.0f} delivered with pushdown, {kept[1]:.0f} without),"
        f" {fuzzer.alerts} alerts compared, {len(fuzzer.found)} differences,"
        f" {fuzzer.odd} that did not come again"
    )
    return int(bool(fuzzer.found))


if __name__ == "__main__":
    raise SystemExit(main())
