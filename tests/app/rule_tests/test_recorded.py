"""Rule tests on recordings: counts, some alerts among many, what is kept, what is wrong."""

import json

import pytest

from exporter.app.rule_tests.recorded import SeenLog
from exporter.app.rule_tests.runner import RuleTests
from exporter.app.rule_tests.watch import Look, Seen
from exporter.rules.loader import RuleOptions, RulesSource, load_rules
from exporter.rules.testing.document import read_test_file
from exporter.rules.testing.items import TestFileError
from tests.captures.samples import sample_capture

RULES = """
- rule: Created
  desc: d
  condition: ka.verb = create and ka.user.name startswith e
  output: Created by %ka.user.name
  priority: NOTICE
  source: k8s_audit
- rule: Got
  desc: d
  condition: ka.verb = get
  output: Got by %ka.user.name
  priority: INFO
  source: k8s_audit
- rule: Connected
  desc: d
  condition: evt.type = connect and fd.type = ipv6
  output: Connected to %fd.sip
  priority: NOTICE
"""

BOTH = "expect_counts: {Created: 2, Got: 2}"


@pytest.fixture
def log(tmp_path):
    """An audit log: who did what, in order."""
    event = {"kind": "Event", "auditID": "1", "stage": "ResponseComplete"}
    done = [("eve", "create"), ("bob", "get"), ("eli", "create"), ("bob", "create"), ("eve", "get")]
    lines = [
        json.dumps(
            event
            | {"verb": verb, "user": {"username": name}}
            | {"stageTimestamp": f"2024-05-01T12:00:{second:02}Z"}
        )
        for second, (name, verb) in enumerate(done)
    ]
    path = tmp_path / "audit.log"
    path.write_text("\n".join(lines))
    return path


def run(directory, case, *, is_covering=False):
    """The outcome of one test that lies in the directory."""
    report = load_rules([RulesSource("rules.yaml", RULES)], RuleOptions(append_output=()))
    assert report.successful, report.verbose()
    lines = "".join(f"    {line}\n" for line in case.splitlines())
    file = read_test_file(f"tests:\n  - name: it\n{lines}", str(directory / "t.yaml"))
    return RuleTests(report.ruleset, is_covering=is_covering).run([file])


def problems(directory, case):
    """What is wrong with one test."""
    (only,) = run(directory, case).cases
    return only.problems


@pytest.mark.parametrize(
    "expectation",
    [
        "expect_counts: {Created: 2, Got: 2}",
        "expect_counts: {Created: 2}\nothers: allowed",
        "expect_counts: {Created: 2, Got: 2, Connected: 0}",
        "expect: [Created, Got, Created, Got]",
        "expect: [Created, Created]\nothers: allowed",
        "expect: [{rule: Created, output: Created by eli}]\nexpect_counts: {Created: 2, Got: 2}",
        "expect: [{rule: Got, fields: {ka.user.name: eve}}]\nexpect_counts: {Created: 2, Got: 2}",
        "expect_none: [Connected]",
    ],
)
def test_what_passes(log, expectation):
    """Counts are totals; beside them, `expect` picks some alerts in order."""
    assert problems(log.parent, f"audit_log: {log.name}\n{expectation}") == []


@pytest.mark.parametrize(
    ("expectation", "parts"),
    [
        (
            "expect_counts: {Created: 3, Got: 2}",
            ['"Created": expected 3 alerts', "got 2", "nearest event: pluginevent at audit.log"],
        ),
        (
            "expect_counts: {Created: 1, Got: 2}",
            ['"Created": expected 1 alert ', "got 2; the first:", "at audit.log event 1"],
        ),
        (
            "expect_counts: {Created: 2}",
            ['unexpected alert of "Got"', "2 alerts of this rule in all"],
        ),
        (
            "expect: [{rule: Created, output: Created by bob}]\n" + BOTH,
            ['alert of "Created" differs', "expected  Created by bob"],
        ),
        (
            "expect: [{rule: Got, output: Got by eve}, Created]\n" + BOTH,
            ['no alert of "Created"'],
        ),
        ("expect_none: true", ['unexpected alert of "Created"', "because ka.verb = create"]),
    ],
)
def test_what_fails_says_why(log, expectation, parts):
    """The rule, both numbers, and where to look."""
    text = "\n".join(problems(log.parent, f"audit_log: {log.name}\n{expectation}"))

    for part in parts:
        assert part in text


def test_coverage_counts_recordings(log):
    """A recording covers what its events decide, as any other test."""
    outcome = run(
        log.parent, f"audit_log: {log.name}\nexpect_counts: {{Created: 2, Got: 2}}",
        is_covering=True,
    )  # fmt: skip
    assert outcome.coverage is not None
    found = {rule.rule: rule for rule in outcome.coverage}

    assert all(atom.is_covered for atom in found["Created"].atoms)
    assert (found["Created"].positive, found["Connected"].positive) == (1, 0)


def test_a_file_that_is_not_there(tmp_path):
    """The test file is wrong, at the test."""
    with pytest.raises(TestFileError, match=r"the recording of \"it\": .*none\.log") as caught:
        run(tmp_path, "audit_log: none.log\nexpect_none: true")
    assert str(caught.value.span).endswith("t.yaml:2:5")


def test_a_damaged_recording(tmp_path):
    """What stands before the damage proves nothing."""
    capture = sample_capture("curl_google.scap")
    (tmp_path / "cut.scap").write_bytes(capture.read_bytes()[:10_000])
    with pytest.raises(TestFileError, match=r"cut\.scap: byte \d+"):
        run(tmp_path, "capture: cut.scap\nexpect_none: true")


def test_a_capture():
    """Events of a .scap file go through the state: descriptors are known to rules."""
    capture = sample_capture("curl_google.scap")
    expectation = "expect: [{rule: Connected, event: connect, fields: {fd.sport: '80'}}]"
    case = f"capture: {capture}\n{expectation}\nexpect_counts: {{Connected: 2}}"

    assert problems(capture.parent, case) == []


def test_events_that_look_alike_are_kept_once():
    """What is kept does not grow with the recording; alerts have a few examples."""
    log = SeenLog()
    for number in range(1000):
        is_match = number % 2 == 0
        record = Seen("open", 1, str(number), ("R",) if is_match else ())
        record.looks["R"] = Look(None, [is_match], [str(number)], is_match)  # type: ignore[arg-type]
        log.add(record)

    assert len(log.records) == 21
    assert [record.step for record in log.records[:3]] == ["0", "1", "2"]
