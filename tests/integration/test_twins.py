"""Rules at random, calls at random: with pushdown and without the alerts are the same.

The short form, with a fixed seed, of `python -m tests.fuzz.twins`, which looks for more.
"""

import json
import os

import pytest

from tests.fuzz.twins.__main__ import Fuzzer
from tests.fuzz.twins.calls import Calls
from tests.fuzz.twins.conditions import Check, RandomRule
from tests.fuzz.twins.twins import Twins

SEED, ROUNDS = 1, 3
NEW = os.O_CREAT | os.O_WRONLY
OUTSIDE = (
    "/etc/new", "/usr/bin/new", "/root/new", "/dev/new", "/proc/self/cwd/../../../../etc/new",
    "/proc/1/root/etc/new", "/proc/1/cwd/etc/new", "/dev/vda",
)  # fmt: skip
LEADING_OUT = (
    "/proc/self/exe", "/proc/1/exe", "/usr/bin/python3", "/proc/self/root/usr", "/dev/null",
    "/proc/self/fd/0",
)  # fmt: skip

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two instances, and actors to watch."""
    directory = tmp_path_factory.mktemp("twins")
    for above in (directory, directory.parent):
        above.chmod(0o755)
    with Twins(directory) as twins:
        yield twins


@pytest.mark.parametrize("where", ["walled", "bare", "box"])
def test_nothing_gets_out_of_the_walls(twins, where):
    """Random calls are made as root: whatever they are, none of them can change the machine."""
    call = Calls(os.uname().machine)
    acts = [call("openat", -100, {"s": path}, NEW, 0o600) for path in OUTSIDE]
    acts += [call("fchmodat", -100, {"s": path}, 0o755, 0) for path in LEADING_OUT]
    acts += [call("fchmod", number, 0o755) for number in range(8)]
    acts.append(call("mknodat", -100, {"s": "disk"}, 0o60600, 0xFE00))
    named = [call("prctl", 15, {"s": "tries"}, 0, 0, 0), *acts]
    types = "openat, fchmodat, fchmod, mknodat"
    fields = ("evt.type", "evt.rawres")
    twins.load([RandomRule("x", Check(f"proc.name = tries and evt.type in ({types})"), fields)])
    twins.play([{"where": where, "acts": named}])

    both = twins.collect()

    assert both[0] == both[1]
    assert both[0].total() == len(acts)
    assert all(json.loads(text)["evt.rawres"] < 0 for _, text in both[0])


def test_twins_agree_on_random_rules_and_calls(twins, tmp_path):
    """Whatever the rules and the processes, files, sockets and containers that they are about."""
    before = twins.total("filtered")
    fuzzer = Fuzzer(twins, SEED, tmp_path)
    for number in range(ROUNDS):
        fuzzer.round(number)
    filtered = twins.total("filtered")

    assert [file.read_text() for file in fuzzer.found] == []
    # Or nothing would have been compared.
    assert fuzzer.rules > 20 * ROUNDS
    assert fuzzer.alerts > 300 * ROUNDS
    assert filtered[0] > before[0] + 100
