"""Rules files of the user: found, read, and loaded as the configuration says."""

from pathlib import Path

import pytest

from exporter.alerts.maker import AlertOptions
from exporter.app.rule_files import (
    InvalidRulesError,
    LoadedRules,
    idle_choices,
    load_active,
    read_rule_files,
    rule_options,
)
from exporter.config.load import load_config
from exporter.rules.priority import Priority
from exporter.rules.ruleset import ExtraField
from tests.factories import make_event

RULE = "- rule: {name}\n  desc: d\n  condition: evt.type = {event}\n  output: o=%evt.type\n"
RULE += "  priority: {priority}\n  tags: [t]\n"


def rule(name: str, event: str = "openat", priority: str = "NOTICE") -> str:
    """The text of one rule."""
    return RULE.format(name=name, event=event, priority=priority)


def load(paths: list[str], *options: str) -> LoadedRules:
    """Load as `lanner run -o ...` does."""
    loaded: list[LoadedRules] = []
    load_active(
        paths,
        rule_options(load_config(None, options)),
        AlertOptions(hostname="h"),
        is_base64=False,
        on_loaded=loaded.append,
    )
    return loaded[0]


def test_files_keep_their_order_and_directories_are_sorted(tmp_path: Path) -> None:
    """Paths in the order given; inside a directory by name, only .yaml and .yml."""
    for name in ("b.yaml", "a.yml", "c.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "d.yaml").mkdir()
    single = tmp_path / "c.txt"

    assert [
        (Path(f.name).name, f.content) for f in read_rule_files([str(single), str(tmp_path)])
    ] == [
        ("c.txt", b"c.txt"),
        ("a.yml", b"a.yml"),
        ("b.yaml", b"b.yaml"),
    ]


def test_the_word_default_adds_to_our_own_rules(tmp_path: Path) -> None:
    """`default` is our own rules, so that rules of one's own can stand beside them."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("")
    own = read_rule_files([])

    assert own == read_rule_files(["default"])
    assert [*own, str(mine)] == [
        *(files := read_rule_files(["default", str(mine)]))[:-1],
        files[-1].name,
    ]


def test_a_missing_file_is_kept_with_its_error(tmp_path: Path) -> None:
    """What cannot be read is reported by the loader like every other error."""
    path = str(tmp_path / "none.yaml")
    with pytest.raises(InvalidRulesError) as caught:
        load([path])

    assert str(caught.value).splitlines() == [
        f"error LOAD_ERR_FILE_READ: cannot read the rules file {path}: No such file or directory",
        "  hint: give files that can be read, or directories of them (-r, rules_files)",
    ]


def test_a_name_with_a_nul_is_a_file_that_cannot_be_read() -> None:
    """No file can have such a name, but a test file of rules can ask for it."""
    (source,) = read_rule_files(["a\0b.yaml"])

    assert isinstance(source.content, OSError)


def test_choices_that_no_rule_is_meant_by_are_told(tmp_path: Path) -> None:
    """Each name pattern and each tag of `rules:` that is about none of the loaded rules."""
    path = tmp_path / "rules.yaml"
    path.write_text(rule("Known"))
    config = load_config(
        None,
        (
            "rules[].disable={rule: Known, tag: none}",
            "rules[].enable={rule: Kn*, tag: t}",
            "rules[].enable.rule=Unknown*",
        ),
    )
    rules = load([str(path)]).active.ruleset.rules

    assert list(idle_choices(config, rules)) == [
        'rules[0].disable.tag: no loaded rule has "none"',
        'rules[2].enable.rule: no loaded rule has "Unknown*"',
    ]


def test_a_closed_directory_is_kept_with_its_error(tmp_path: Path, as_nobody) -> None:
    """It, and what would be below it, cannot be looked into: an error of that path."""
    closed = tmp_path / "closed"
    (closed / "below").mkdir(parents=True)
    closed.chmod(0)
    for path in (closed, closed / "below"):
        with as_nobody():
            (source,) = read_rule_files([str(path)])

        assert source.name == str(path)
        assert isinstance(source.content, PermissionError)


def test_no_paths_are_our_own_rules() -> None:
    """Without files the default rules load, without errors or warnings."""
    loaded = load([])

    assert len(loaded.active.enabled) >= 12
    assert [result.warnings for result in loaded.report.results] == [[]]


def test_all_files_report_their_errors(tmp_path: Path) -> None:
    """Two broken files are two errors, each with its place."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(rule("x", "and"))
    with pytest.raises(InvalidRulesError) as caught:
        load([str(tmp_path)])

    assert [Path(error.span.file).name for error in caught.value.errors if error.span] == [
        "a.yaml",
        "b.yaml",
    ]
    assert {
        (error.span.line, error.span.column) for error in caught.value.errors if error.span
    } == {(3, 25)}


def test_the_place_of_a_yaml_error_counts_from_one(tmp_path: Path) -> None:
    """A wrong priority in line 5 is reported in line 5."""
    path = tmp_path / "a.yaml"
    path.write_text(rule("x", priority="worst"))
    with pytest.raises(InvalidRulesError) as caught:
        load([str(path)])

    assert str(caught.value).startswith(f"{path}:5:")


def test_the_configuration_selects_and_shapes(tmp_path: Path) -> None:
    """Priority, selection, matching and additions to the output come from the configuration."""
    path = tmp_path / "a.yaml"
    path.write_text(rule("A") + rule("B") + rule("C", priority="DEBUG"))
    loaded = load(
        [str(path)],
        "priority=notice",
        "rules[].disable.tag=t",
        "rules[].enable.rule=B",
        "rule_matching=all",
        "append_output=[{extra_output: 'x=%proc.name', extra_fields: [proc.pid, {k: 'v'}]}]",
    )
    (only,) = loaded.active.enabled

    assert loaded.active.ruleset.match_all
    assert (only.name, only.output) == ("B", "o=%evt.type x=%proc.name")
    assert only.extra_fields == (ExtraField("proc.pid"), ExtraField("k", "v"))
    assert {r.priority for r in loaded.active.ruleset.rules} == {Priority.NOTICE}


def test_a_loaded_set_matches_and_makes_alerts(tmp_path: Path) -> None:
    """From a file to an alert through the real engine and formats."""
    path = tmp_path / "a.yaml"
    path.write_text(rule("A"))
    active = load([str(path)], "append_output=[]").active
    event = make_event("openat", fd_name="/etc/shadow")
    (matched,) = active.match(event)
    alert = active.make(matched, event, 1)

    assert alert.message == "o=openat"
    assert alert.output_fields == {"evt.time": event.ts_ns, "evt.type": "openat"}
    assert list(active.match(make_event("mkdir"))) == []
