"""The summary of a replay: exact counts, greatest first, readable whatever the names are."""

from exporter.alerts.alert import Alert
from exporter.app.replay.summary import Summary, losses_text, summary_json, summary_text
from exporter.rules.priority import Priority
from tests.factories import NOW_NS, make_event, make_thread


def make_alert(rule: str, priority: Priority, time_ns: int = NOW_NS) -> Alert:
    """An alert of which only rule, priority and time matter."""
    return Alert(
        seq=1,
        time_ns=time_ns,
        made_ns=0,
        rule=rule,
        priority=priority,
        source="syscall",
        message="",
        output="",
        output_fields={},
        hostname="h",
    )


def make_summary() -> Summary:
    """Three alerts of two rules by two processes, and one of no process."""
    summary = Summary("x.scap", events=1234567, seconds=2.0)
    summary.losses = {("", "unknown_type"): 3, ("read", "bad"): 0}
    cat, evil = make_thread("cat", tid=7), make_thread("evil\n", tid=8)
    rare, often = ("Rare", Priority.CRITICAL), ("Often", Priority.NOTICE)
    for (rule, priority), proc, step in (
        (often, cat, 0),
        (often, cat, 1),
        (rare, evil, 2),
        (often, None, 3),
    ):
        alert = make_alert(rule, priority, NOW_NS + step * 1_000_000_000)
        summary.count(alert, make_event("openat", proc=proc))
    return summary


def test_the_text_has_three_tables():
    """Head, rules and processes with the greatest first, priorities with the worst first."""
    assert summary_text(make_summary()).splitlines() == [
        "x.scap",
        "1,234,567 events in 2.00 s, 617,284/s",
        "not read: 3 events (unknown_type)",
        "4 alerts, from 2023-11-14T22:13:20.123456789Z to 2023-11-14T22:13:23.123456789Z",
        "",
        "Alerts  Priority  Rule",
        "     3  Notice    Often",
        "     1  Critical  Rare",
        "",
        "Alerts  Priority",
        "     1  Critical",
        "     3  Notice",
        "",
        "Alerts  Pid  Process",
        "     2  7    cat /usr/bin/cat",
        "     1  8    evil\\n /usr/bin/evil\\n",
        "     1  -1   <unknown>",
    ]


def test_each_loss_says_what_became_of_what():
    """Facts that were not kept and events that were not followed have been read."""
    losses = {
        ("", "handler_errors"): 1,
        ("", "memory_full"): 2,
        ("", "threads_full"): 0,
        ("openat", "bad"): 5,
    }

    assert list(losses_text(losses)) == [
        "not followed: 1 event (handler_errors)",
        "not kept: 2 facts (memory_full)",
        "not read: 5 openat events (bad)",
    ]


def test_the_json_form_holds_the_same():
    """Plain values under one key."""
    body = summary_json(make_summary())["summary"]

    assert body["capture"] == "x.scap"
    assert body["complete"] is True
    assert (body["events"], body["alerts"]) == (1234567, 4)
    assert body["losses"] == [{"event": "", "reason": "unknown_type", "count": 3}]
    assert body["rules"][0] == {"rule": "Often", "priority": "Notice", "alerts": 3}
    assert [entry["alerts"] for entry in body["priorities"]] == [1, 3]
    assert body["processes"][1]["name"] == "evil\\n"
    assert body["first_alert"] == "2023-11-14T22:13:20.123456789Z"


def test_without_alerts_there_are_no_tables():
    """A quiet recording is two lines."""
    summary = Summary("x.scap", events=1, seconds=0.5, is_complete=False)

    assert summary_text(summary).splitlines() == [
        "x.scap (not to its end)",
        "1 event in 0.50 s, 2/s",
        "no alerts",
    ]
    assert summary_json(summary)["summary"]["first_alert"] is None


def test_long_tables_of_processes_are_cut():
    """A recording of a build has thousands; JSON has them all."""
    summary = Summary("x.scap")
    for tid in range(1, 30):
        alert = make_alert("R", Priority.DEBUG)
        summary.count(alert, make_event("openat", proc=make_thread("cc", tid=tid)))

    assert summary_text(summary).splitlines()[-1] == "and 9 more processes"
    assert len(summary_json(summary)["summary"]["processes"]) == 29
