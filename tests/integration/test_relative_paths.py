"""Relative paths on the live kernel: what filters make of them is what fields show.

The same acts under two instances, with pushdown and without: the same alerts. And that what cannot
match does not reach user space.
"""

import json
import os
import random
from pathlib import Path

import pytest

from tests.integration.live import ROOT, compile_source, wait_until
from tests.integration.side_by_side import EVENTS, raised_by_both, start_both

SCRIPT = Path(__file__).parent / "programs" / "random_paths.py"
CALLS = 6000
OPENS = "open, openat, openat2, creat"
PATH_FIELDS = {
    "fd.name": OPENS,
    "fd.directory": OPENS,
    "fd.filename": OPENS,
    "evt.abspath": "openat, mkdirat, unlinkat",
    "evt.arg.name": f"{OPENS}, unlinkat",
    "evt.arg.path": "mkdir, mkdirat, unlink, rmdir",
    "evt.arg.oldpath": "rename, renameat, renameat2, link, linkat",
    "evt.arg.newpath": "rename, renameat, renameat2, link, linkat",
    "evt.arg.target": "symlink, symlinkat",
    "evt.arg.linkpath": "symlink, symlinkat",
    "evt.arg.filename": "chmod, fchmodat",
}
LAST = "/no/such/directory"
"""Not there: its removal tells that the filters of rare calls are in place."""
OUTPUT = (
    "%evt.type %evt.rawres %fd.name %fd.nameraw %evt.arg.name %evt.arg.path %evt.arg.oldpath"
    " %evt.arg.newpath %evt.arg.target %evt.arg.linkpath %evt.arg.filename"
)


def random_check(choice, top, field):
    """One comparison of a path field, with values near what the script does."""
    op = choice(("=", "startswith", "endswith", "contains", "in", "pmatch", "glob"))
    names = ("a", "b", "c", "etc", "shadow", "dd", ".ssh", "id_rsa", "n" * 40, "x")
    parts = [choice(names) for _ in range(3)]
    top = choice((top, "", ""))
    values = [
        f"{top}/{parts[0]}", f"{top}/{parts[0]}/{parts[1]}", f"{top}/{'/'.join(parts)}", parts[0],
        f"{parts[0]}/{parts[1]}", f"/{parts[0]}", f"{top}/jail/{parts[0]}", f"../{parts[0]}",
    ]  # fmt: skip
    value = choice(values[1:3] + values[4:] if op in {"contains", "startswith"} else values)
    if op == "glob":
        value = choice((f"{top}/*/{parts[0]}", f"*/{parts[0]}/*", f"{top}/{parts[0]}*"))
    listed = [json.dumps(choice(values)) for _ in range(3)]
    text = f"({', '.join(listed)})" if op in {"in", "pmatch"} else json.dumps(value)
    return f"{field} {op} {text}"


def rule(name, condition):
    """A rule as a mapping."""
    return {
        "rule": name,
        "desc": "random",
        "condition": condition,
        "output": OUTPUT,
        "priority": "NOTICE",
    }


def random_rules(seed, top, count=24):
    """A rules file of conditions on paths, each of which few events meet."""
    choose = random.Random(seed)
    rules = [rule("last filter", f"evt.type = rmdir and evt.arg.path = {LAST}")]
    for number in range(count):
        field = choose.choice(list(PATH_FIELDS))
        where = random_check(choose.choice, top, field)
        for _ in range(choose.randrange(3)):
            word = choose.choice((" and not ", " and ", " or "))
            where = f"({where}{word}{random_check(choose.choice, top, field)})"
        narrow = choose.choice(("evt.rawres >= 0", "evt.rawres < 0", "evt.num > 0"))
        if field == "fd.name" and choose.random() < 0.5:
            where += f" and fd.nameraw contains {choose.choice(('../', 'a', './'))}"
        condition = f"evt.type in ({PATH_FIELDS[field]}) and {where} and {narrow}"
        rules.append(rule(f"rule {number}", condition))
    return json.dumps(rules)


def has_all_filters(lanner, stage):
    """Whether the filters that come last decide."""
    stage.run("rmdir", LAST + "-")
    return lanner.total(EVENTS, default=0, type="rmdir", stage="filtered") > 0


def compare(stage, start_lanner, tmp_path, seed, calls=CALLS):
    """Both instances' alerts, and the instances."""
    work = tmp_path / f"work-{seed}"
    work.mkdir()
    work.chmod(0o777)
    rules = tmp_path / f"rules-{seed}.yaml"
    rules.write_text(random_rules(seed, str(work)))
    instances = start_both(start_lanner, rules)
    wait_until(lambda: has_all_filters(instances[0], stage), 60, "all filters")
    answer = stage.run("python3", "-I", str(SCRIPT), str(seed), str(work), str(calls))
    assert answer["returncode"] == 0, answer["output"]
    return raised_by_both(instances), instances


SEEDS = [int(seed) for seed in os.environ.get("LANNER_SEEDS", "11").split()]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_paths_raise_the_same_alerts(seed, stage, start_lanner, tmp_path):
    """Whatever the tree, its mounts, roots, descriptors and names (LANNER_SEEDS for more)."""
    (filtered, everything), instances = compare(stage, start_lanner, tmp_path, seed)
    assert filtered == everything
    assert len(everything) > 100
    sent, seen = (instances[0].total(EVENTS, stage=stage) for stage in ("submitted", "seen"))
    assert sent < 0.9 * seen


def test_what_cannot_match_stays_in_the_kernel(stage, start_lanner, tmp_path):
    """Relative opens of a deep directory, by its path and by a descriptor."""
    deep = tmp_path / "one" / "two" / "three" / "four"
    deep.mkdir(parents=True)
    (deep / "name").touch()
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "- rule: one\n  desc: d\n  output: o\n  priority: NOTICE\n"
        f"  condition: evt.type in (open, openat) and fd.name startswith {tmp_path}/two\n"
    )
    lanner = start_lanner("-r", str(rules))
    lanner.wait_ready()
    storm = compile_source(ROOT / "tests/bench/open_storm.c", tmp_path)
    count = 10_007
    before = lanner.total(EVENTS, default=0, stage="submitted", type="open")
    for name in ("name", "./name", "../four/name"):
        answer = stage.run(str(storm), name, str(count), "0", "0", "1", cwd=str(deep))
        assert answer["output"].split()[0] == str(count)
    assert lanner.total(EVENTS, default=0, stage="filtered", type="open") >= 3 * count
    assert lanner.total(EVENTS, default=0, stage="submitted", type="open") == before
