"""The default rules as content: what every rule must have, whatever it detects."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from exporter.events.table import load_event_table
from exporter.rules.loader.load import LoadReport, RulesSource, load_rules

FILES = sorted((Path(__file__).parents[2] / "exporter/ruleset").glob("*.yaml"))
ITEMS = [item for file in FILES for item in yaml.safe_load(file.read_text())]
RULES = [item for item in ITEMS if "rule" in item]
COMM_BYTES = 15
MACROS = {item["macro"]: item["condition"] for item in ITEMS if "macro" in item}
LISTS = {item["list"]: item["items"] for item in ITEMS if "list" in item}
LIVE_EVENTS = {
    "execve", "execveat", "open", "openat", "openat2", "creat", "connect", "unlink", "unlinkat",
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod",
    "fchmodat", "ptrace", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
}  # fmt: skip
"""Types that the default rules may ask of the kernel; no read, write or close among them."""


@cache
def load() -> LoadReport:
    """The default rules, loaded."""
    return load_rules([RulesSource(file.name, file.read_bytes()) for file in FILES])


def test_they_load_without_a_word():
    """No error and no warning: nothing unused, no odd value, every rule names its event types."""
    report = load()

    assert report.successful, report.verbose()
    assert [warning for result in report.results for warning in result.warnings] == []
    assert [rule.name for rule in report.ruleset.rules] == [item["rule"] for item in RULES]


def test_there_are_twelve_at_least():
    """The first release has the rules that a security engineer expects."""
    assert len(RULES) >= 12


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["rule"])
class TestEveryRule:
    """Laws of each single rule."""

    def test_is_described(self, rule):
        """It says what happened and why it matters, in whole sentences."""
        assert rule["desc"].strip().endswith(".")
        assert len(rule["desc"].split()) >= 12

    def test_has_attack_tags(self, rule):
        """MITRE ATT&CK tactics by name and techniques by number, and where it looks."""
        tags = rule["tags"]

        assert [tag for tag in tags if tag.startswith("mitre_")]
        assert [tag for tag in tags if re.fullmatch(r"T\d{4}(\.\d{3})?", tag)]
        assert {"host", "container"} & set(tags)
        assert len(tags) == len(set(tags))

    def test_output_is_key_and_value(self, rule):
        """A headline, then key=%field pairs in parentheses with unique keys, the usual ones too."""
        match = re.fullmatch(r"[A-Z][^%()]+ \((.*)\)\n?", rule["output"])
        assert match
        pairs = [pair.partition("=") for pair in match[1].split()]
        keys = [key for key, _, _ in pairs]

        assert all(re.fullmatch(r"%[a-z][\w.]*(\[\d\])?", value) for _, _, value in pairs)
        assert len(keys) == len(set(keys))
        assert {"command", "exe", "user", "parent", "pid", "tty", "pod_uid"} <= set(keys)

    def test_priority_is_between_critical_and_notice(self, rule):
        """Louder would claim certainty, quieter would not be read."""
        assert rule["priority"] in {"CRITICAL", "ERROR", "WARNING", "NOTICE"}

    def test_ends_in_a_hook_of_its_own(self, rule):
        """Users except things through `lanner_allowed_...`, which is never true by itself."""
        hook = rule["condition"].split()[-1]

        assert rule["condition"].split()[-3:-1] == ["and", "not"]
        assert hook.startswith("lanner_allowed_")
        assert MACROS[hook] == "(evt.num = 0)"
        assert sum(hook in other["condition"] for other in RULES) == 1

    def test_asks_for_few_event_types(self, rule):
        """Its event set holds what the live probe delivers cheaply, and ASYNCEVENT."""
        loaded = next(r for r in load().ruleset.rules if r.name == rule["rule"])
        names = {load_event_table().events[code].name for code in loaded.event_types}

        assert names <= LIVE_EVENTS | {"asyncevent"}


def test_names_are_our_own():
    """Macros and lists have a prefix, so that they never meet those of other rules files."""
    assert [name for name in (*MACROS, *LISTS) if not name.startswith("lanner_")] == []


def test_program_names_fit_the_kernel():
    """Lists that are compared with proc.name hold nothing longer than the kernel keeps."""
    text = " ".join(item["condition"] for item in ITEMS if "condition" in item)
    groups = re.findall(r"proc\.(?:p?name|aname) (?:in|glob anyof) \(([^)]*)\)", text)
    used = {name.strip() for group in groups for name in group.split(",")}

    assert len(used) >= 5
    assert [n for name in used for n in LISTS[name] if len(n.encode()) > COMM_BYTES] == []


def test_paths_are_plain():
    """Path lists are absolute and normalised; a trailing slash would never match."""
    paths = [item for items in LISTS.values() for item in items if item.startswith("/")]

    assert [p for p in paths if p != "/" and (p.endswith("/") or "//" in p or "/../" in p)] == []
