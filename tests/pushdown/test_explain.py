"""What people are told of pushdown: where each check runs, and which rules cost the most."""

import json

from click.testing import CliRunner

from exporter.cli import cli
from exporter.events.table import event_type
from exporter.pushdown.analysis import analyse, analyse_hooks
from exporter.pushdown.explain import forced_through, rule_to_text, ruleset_to_text
from exporter.sources.probe.syscalls import EXECVE
from tests.pushdown.test_analysis import ruleset_of
from tests.rules.condition_strategies import ALL_CODES

READ = (
    "evt.type in (open, openat) and evt.is_open_read = true and fd.name startswith /etc/"
    " and proc.cmdline contains x"
)
ALL = "evt.type in (unlink, unlinkat) and (proc.cmdline contains x or proc.pname in (a, b))"


def test_a_rule_shows_what_runs_where():
    """Calls with the same tests stand together; parameters have their names."""
    text = rule_to_text(analyse(ruleset_of([READ])), "rule 0")
    assert text == (
        "Sent by the kernel (pushdown):\n"
        "  open, openat:\n"
        "    flags & 0x3 in (0, 2, 3) and path startswith /etc/\n"
        "    left to Python: proc.cmdline contains x"
    )


def test_rules_that_want_everything_are_named_with_the_checks_to_blame():
    """One sentence a rule."""
    forced = forced_through(analyse(ruleset_of([READ, ALL, "evt.type = mkdir"])))
    assert [str(one) for one in forced] == [
        (
            'rule "rule 1" wants every unlink, unlinkat: the kernel cannot test proc.cmdline'
            " contains x; proc.pname in (a, b)"
        ),
        'rule "rule 2" wants every mkdir: its condition asks for nothing but the event type',
    ]


def test_the_whole_says_why_events_are_sent():
    """The state's needs, the rules', and what nobody asks for."""
    texts = [READ, "evt.type = chroot and proc.name = a", "evt.type = clone"]
    rules = ruleset_of(texts, ALL_CODES)
    calls = ["chdir", "chroot", "clone", "openat", "mkdir", "accept"]
    text = ruleset_to_text(analyse(rules, calls))
    assert "  chdir:\n    for the state alone" in text
    assert "  chroot:\n    for the rules, all others for the state alone:\n    comm = a" in text
    assert "  clone:\n    every one" in text
    assert "  mkdir:\n    none: not looked at" in text
    assert "  accept:\n    the first of each port of a server" in text


def test_execs_are_told_by_their_end():
    """Those that succeed go to the state; who wants all of them for the rules is named."""
    codes = frozenset({event_type(EXECVE).code})
    narrow = "evt.type = execve and proc.name = a and proc.cwd = b"
    rules = ruleset_of([narrow, "evt.type = execve and (proc.cwd = x or proc.exe = y)"], codes)
    filters, hooks = analyse(rules, ["execve"]), analyse_hooks(rules)
    assert rule_to_text(filters, "rule 0", hooks) == (
        "Sent by the kernel (pushdown):\n"
        "  execve that fails:\n"
        "    comm = a\n"
        "    left to Python: proc.cwd = b\n"
        "  execve and execveat that succeed:\n"
        "    for the rules, all others for the state alone:\n"
        "    comm = a\n"
        "    left to Python: proc.cwd = b"
    )
    assert [str(one) for one in forced_through(filters, hooks)] == [
        'rule "rule 1" wants every execve: the kernel cannot test proc.cwd = x'
    ]
    assert "procexit:\n    for the state alone" in ruleset_to_text(filters, hooks)


def test_the_command_prints_both():
    """As text and as JSON, for one rule and for all."""
    runner = CliRunner()
    listed = json.loads(runner.invoke(cli, ["rules", "list", "--json"]).output)
    name = listed["rules"][0]["info"]["name"]
    one = json.loads(runner.invoke(cli, ["rules", "explain", "--json", name]).output)
    assert set(one["pushdown"]) >= {"execve"}
    every = json.loads(runner.invoke(cli, ["rules", "explain", "--json", "-"]).output)
    assert every["calls"]["openat"]["rules"]
    assert "Events that the kernel sends" in runner.invoke(cli, ["rules", "explain"]).output


def test_lint_names_rules_that_want_everything(tmp_path):
    """With their place, as every other finding; `--ignore` leaves them out."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "- rule: narrow\n  desc: d\n  condition: evt.type=unlink and proc.name=a\n"
        "  output: o\n  priority: INFO\n"
        "- rule: wide\n  desc: d\n  condition: evt.type=unlink and proc.pname=a\n"
        "  output: o\n  priority: INFO\n"
    )
    lines = CliRunner().invoke(cli, ["rules", "lint", str(rules)]).output.splitlines()
    assert lines[0] == (
        f'{rules}:6:3: L018 rule "wide": every unlink is sent to user space: the kernel cannot'
        " test proc.pname = a"
    )
    ignored = CliRunner().invoke(cli, ["rules", "lint", "--ignore", "L018", str(rules)]).output
    assert "L018" not in ignored
