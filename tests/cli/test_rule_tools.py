"""`lanner rules explain`, `lint` and `test`: output, errors and exit status."""

import json
from xml.etree import ElementTree as ET

import pytest

RULES = """\
- list: shells
  items: [sh, bash]
- rule: Shell
  desc: d
  condition: evt.type = execve and proc.name in (shells) and evt.is_open_write = false
  output: Shell %proc.name %fd.name
  priority: NOTICE
"""
TESTS = """\
rules: [rules.yaml]
tests:
  - {name: told, scenario: [{spawn: bash}], expect: [Shell]}
  - {name: silent, scenario: [{spawn: ls}], expect_none: true}
"""


@pytest.fixture
def files(tmp_path):
    """A rules file and a test file beside it."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "test.yaml").write_text(TESTS)
    return tmp_path


def test_explain_shows_everything(lanner, files):
    """Events, canonical condition, fields with cost, decided parts, source with its names."""
    status, out, err = lanner("rules", "explain", "Shell", str(files / "rules.yaml"))

    assert (status, err) == (0, "")
    assert out.startswith("Shell (syscall, Notice)\n\nEvent types (1): execve\n")
    assert "(evt.type = execve and proc.name in (sh, bash) and evt.is_open_write = false)" in out
    assert "  proc.name" in out
    assert "  true   evt.is_open_write = false  (by the event type)" in out
    assert "  def match_execve_" in out
    assert "b'bash'" in out


def test_explain_as_json(lanner, files):
    """The same as plain values; the source is Python that compiles."""
    _, out, _ = lanner("rules", "explain", "--json", "Shell", str(files / "rules.yaml"))
    body = json.loads(out)

    assert body["events"] == ["execve"]
    assert {field["name"]: field["where"] for field in body["fields"]}["fd.name"] == "output"
    compile(body["functions"][0]["python"], "shown", "exec")


def test_explain_suggests_the_nearest_rule(lanner, files):
    """A name that is nearly right."""
    status, out, err = lanner("rules", "explain", "Shel", str(files / "rules.yaml"))

    assert (status, out) == (1, "")
    assert err == "error: there is no rule \"Shel\"\n  hint: did you mean 'Shell'?\n"


def test_lint_prints_and_is_strict_when_told(lanner, files):
    """Status 0 without --strict; --ignore takes a code out."""
    path = str(files / "rules.yaml")
    status, out, _ = lanner("rules", "lint", path)
    lines = out.splitlines()

    assert status == 0
    assert lines[0].startswith(f'{path}:3:3: L003 rule "Shell": ')
    assert lines[1].startswith(f'{path}:3:3: L014 rule "Shell": ')
    assert lines[-1] == "2 findings"
    assert lanner("rules", "lint", "--strict", path)[0] == 1
    assert lanner("rules", "lint", "--strict", "--ignore", "L003", "--ignore", "L014", path) == (
        0, "nothing found\n", ""
    )  # fmt: skip


def test_lint_as_json(lanner, files):
    """Codes, titles and places."""
    _, out, _ = lanner("rules", "lint", "--json", str(files / "rules.yaml"))
    first = json.loads(out)["findings"][0]

    assert (first["code"], first["line"], first["title"]) == ("L003", 3, "a check is always true")


def test_our_own_rules_are_clean(lanner):
    """Lint finds nothing in the default rules."""
    assert lanner("rules", "lint", "--strict") == (0, "nothing found\n", "")


def test_tests_pass_with_status_0(lanner, files):
    """Rules are found beside the test file, wherever we are; a directory stands for its files."""
    status, out, err = lanner("rules", "test", str(files / "test.yaml"))

    assert (status, err) == (0, "")
    assert out.startswith("2 tests passed in ")


def test_a_failing_test_gives_status_1_and_junit(lanner, files):
    """Text on standard output, XML in the file."""
    (files / "test.yaml").write_text(TESTS.replace("spawn: ls", "spawn: sh"))
    report = files / "report.xml"
    status, out, _ = lanner("rules", "test", "--junit", str(report), str(files / "test.yaml"))

    assert status == 1
    assert out.startswith(f"FAIL {files}/test.yaml:4:5 silent\n")
    assert ET.parse(report).getroot().get("failures") == "1"


def test_other_rules_instead(lanner, files):
    """--rules replaces the files that the test names; a selection can turn a rule off."""
    (files / "other.yaml").write_text(RULES.replace("[sh, bash]", "[zsh]"))
    test = str(files / "test.yaml")

    assert lanner("rules", "test", "--rules", str(files / "other.yaml"), test)[0] == 1
    status, out, _ = lanner("rules", "test", "-o", "rules[].disable.rule=Shell", test)
    assert status == 1
    assert "the rule is off" in out
    assert "the rule is off" in lanner("rules", "test", "-o", "priority=error", test)[1]


def test_json_with_coverage(lanner, files):
    """Every check with what the tests made of it."""
    status, out, _ = lanner("rules", "test", "--json", "--coverage", str(files / "test.yaml"))
    body = json.loads(out)

    assert (status, body["passed"]) == (0, 2)
    assert body["coverage"][0]["checks"][1] == {
        "text": "proc.name in (sh, bash)",
        "was_true": True,
        "was_false": True,
        "noticed": True,
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("tests: []\nx: 1", 'test.yaml:2:1: error RULE_TEST_FILE: unknown key "x"'),
        (TESTS.replace("rules.yaml", "nowhere.yaml"), "LOAD_ERR_FILE_READ"),
        (TESTS.replace("[Shell]", "[Shel]"), 'there is no rule "Shel"'),
        (TESTS.replace("spawn", "spavn"), 'unknown key "spavn"'),
    ],
)
def test_wrong_files_give_status_2(lanner, files, text, error):
    """An error with its place on standard error, nothing on standard output."""
    (files / "test.yaml").write_text(text)
    status, out, err = lanner("rules", "test", str(files / "test.yaml"))

    assert (status, out) == (2, "")
    assert error in err


def test_no_files_is_a_wrong_command_line(lanner, tmp_path):
    """Status 2 as for every command; a file that is not there, too."""
    assert lanner("rules", "test")[0] == 2
    assert lanner("rules", "test", str(tmp_path / "none.yaml"))[0] == 2


def test_a_directory_without_tests_has_not_passed(lanner, tmp_path):
    """A mistyped path in a pipeline must not look like tests that pass."""
    (tmp_path / "notes.txt").touch()
    status, out, err = lanner("rules", "test", str(tmp_path))

    assert (status, out) == (2, "")
    assert err == f"error: the directory {tmp_path} has no test files (.yaml or .yml)\n"
