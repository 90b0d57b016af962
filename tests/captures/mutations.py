"""Damaged captures by the thousand: bit flips, cuts, edited lengths, moved and doubled pieces.

    .venv/bin/python -m tests.captures.mutations --count 10000 [--seed N] [CAPTURE]...

Each goes the whole way: reader, state, rules, rendered fields. A damaged capture may end with one
CaptureError; anything else that is raised, and a run that takes minutes, is a failure.
"""

import argparse
import gzip
import random
import resource
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from exporter.errors import CaptureError
from exporter.rules.engine import Engine
from exporter.rules.fields.catalogue import fields_of
from exporter.rules.format import OutputFormat, compile_format
from exporter.rules.loader import RulesSource, load_rules
from exporter.state.state import State
from tests.captures.everything import everything
from tests.captures.replayed import captured
from tests.captures.samples import sample_captures

RULES = Path(__file__).parents[2] / "exporter" / "ruleset" / "lanner_rules.yaml"
_RENDER_EVERY = 19
"""All fields are rendered for one visible event in so many."""

_NUMBERS = (0, 1, 2, 3, 7, 8, 25, 26, 255, 256, 1024, 4096, 65535, 65536, 1 << 31, (1 << 32) - 1)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """The capture with one to eight things wrong with it."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if len(out) < 64:
            break
        chance.choice(_MUTATIONS)(out, chance)
    return bytes(out)


def _flip(out: bytearray, chance: random.Random) -> None:
    out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)


def _cut(out: bytearray, chance: random.Random) -> None:
    del out[chance.randrange(len(out)) :]


def _remove(out: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(out))
    del out[start : start + chance.choice((1, 2, 4, 8, 100))]


def _repeat(out: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(out))
    piece = out[start : start + chance.choice((1, 4, 8, 40, 1000))]
    at = chance.randrange(len(out))
    out[at:at] = piece


def _overwrite(out: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(out))
    size = chance.choice((1, 4, 8, 40))
    out[start : start + size] = chance.randbytes(len(out[start : start + size]))


def _number(out: bytearray, chance: random.Random) -> None:
    code = chance.choice(("<H", "<I", "<Q"))
    size = struct.calcsize(code)
    at = chance.randrange(len(out) - size)
    if chance.random() < 0.5:
        value = chance.choice(_NUMBERS)
    else:
        value = struct.unpack_from(code, out, at)[0] + chance.choice((-8, -4, -1, 1, 4, 8))
    struct.pack_into(code, out, at, value % (1 << 8 * size))


def block_starts(data: bytes | bytearray) -> list[int]:
    """Where the blocks of a whole capture begin."""
    starts, at = [], 0
    while at + 8 <= len(data):
        starts.append(at)
        total = struct.unpack_from("<I", data, at + 4)[0]
        if total < 12:
            break
        at += total
    return starts


def _length(out: bytearray, chance: random.Random) -> None:
    """One of the lengths that hold a block together, where they are in an event block."""
    start = chance.choice(block_starts(out))
    at = start + chance.choice((0, 4, 8, 10, 26, 30, 32, 36, 38, 40))
    if at + 4 <= len(out):
        old = struct.unpack_from("<I", out, at)[0]
        value = chance.choice((old + 1, old - 1, old + 4, old - 4, *_NUMBERS))
        struct.pack_into("<I", out, at, value % (1 << 32))


def _swap_blocks(out: bytearray, chance: random.Random) -> None:
    starts = block_starts(out)
    if len(starts) < 3:
        return
    first, second = sorted(chance.sample(range(len(starts) - 1), 2))
    piece = out[starts[first] : starts[first + 1]]
    out[starts[second] : starts[second]] = piece


_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _flip, _cut, _remove, _repeat, _overwrite, _number, _number, _length, _length,
    _length, _swap_blocks,
)  # fmt: skip


class WholePath:
    """The whole path of an event, made once and run on many captures."""

    def __init__(self) -> None:
        report = load_rules([RulesSource("rules", RULES.read_bytes())])
        assert report.successful
        self.engine = Engine(report.ruleset)
        self.needed = self.engine.interesting_codes | State.needed_codes(frozenset())
        self.outputs: list[OutputFormat] = [
            compile_format(f"*%{name}", "syscall")
            for name, field in fields_of("syscall").items()
            if not field.is_arg_required
        ]

    def run(self, data: bytes, needed: frozenset[int] | None = None) -> str:
        """Read one capture; the kind of error that it ended with, "" for none."""
        state, source = captured(data, needed)
        try:
            source.open()
        except CaptureError as error:
            return "cannot be opened: " + _kind(error)
        while not source.is_ended:
            for event in source.poll(0):
                state.before(event)
                if not event.is_hidden:
                    self.engine.match(event)
                    if event.num % _RENDER_EVERY == 0:
                        for output in self.outputs:
                            output.render(event)
                state.after(event)
        return "" if source.error is None else "ends early: " + _kind(source.error)


def _kind(error: CaptureError) -> str:
    text = error.message.partition(": byte ")[2].partition(": ")[2]
    return " ".join(
        "N" if word.strip(",:.").isalnum() and any(c.isdigit() for c in word) else word
        for word in text.split()
    )[:60]


def originals(paths: list[Path]) -> list[bytes]:
    """Unpacked captures to damage: those given, or the samples; and one with everything."""
    found = [everything().data()]
    for path in paths or sample_captures():
        data = path.read_bytes()
        found.append(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    return found


def main() -> int:
    """Damage captures until one breaks something; the number of failures decides the status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("captures", nargs="*", type=Path)
    arguments = parser.parse_args()
    whole_path = WholePath()
    sources = originals(arguments.captures)
    ends: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(arguments.seed, arguments.seed + arguments.count):
        chance = random.Random(number)
        data = mutate(chance.choice(sources), chance)
        packed = gzip.compress(data, 1) if number % 50 == 0 else data
        if number % 100 == 0:
            packed = mutate(packed, chance)
        start = time.monotonic()
        try:
            ends[whole_path.run(packed, whole_path.needed if number % 2 else None)] += 1
        except Exception:  # noqa: BLE001 - what is looked for
            trace = traceback.format_exc()
            if trace not in failures:
                print(f"seed {number}:\n{trace}", flush=True)
            failures[trace] += 1
        slowest = max(slowest, time.monotonic() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for end, count in ends.most_common(25):
        print(f"{count:7d}  {end or 'read to the end'}")
    rules = sum(whole_path.engine.rule_errors.values())
    print(
        f"{arguments.count} captures, {sum(failures.values())} tracebacks, {rules} rule errors, "
        f"slowest {slowest:.2f} s, memory {before / 1024:.0f} -> {peak / 1024:.0f} MiB"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
