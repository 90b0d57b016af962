"""The configuration: every error with its place, all at once; foreign keys; options and flags."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.load import InvalidConfigError, load_config
from exporter.config.schema import Config
from exporter.config.section import Section
from exporter.config.units import parse_duration, parse_size
from exporter.rules.priority import Priority

ERRORS = Path(__file__).parent / "errors"
CASES = sorted(path.stem for path in ERRORS.glob("*.yaml"))


def errors_of(tmp_path: Path, text: str, *options: str) -> list[str]:
    """What is said about a file with this text, the file's name left out."""
    file = tmp_path / "lanner.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfigError) as caught:
        load_config(file, options)
    return [str(error).removeprefix(f"{file}:") for error in caught.value.errors]


@pytest.mark.parametrize("case", CASES)
def test_an_error_has_its_place_and_says_what_was_expected(case: str, monkeypatch) -> None:
    """Line, column, key, what was expected and what was found, to the letter."""
    monkeypatch.chdir(ERRORS)
    with pytest.raises(InvalidConfigError) as caught:
        load_config(Path(f"{case}.yaml"))

    assert f"{caught.value}\n" == (ERRORS / f"{case}.txt").read_text()


def test_all_errors_come_at_once(tmp_path) -> None:
    """A file with three mistakes and an option with one give four errors, in order."""
    text = "priority: worst\nfoo: 1\ngrpc:\n  history: x\n"
    places = [error.split(": ")[0] for error in errors_of(tmp_path, text, "json_output=x")]

    assert places == ["1:11", "2:1", "4:12", "error C011"]


def test_errors_of_options_name_the_option(tmp_path) -> None:
    """What -o or a flag set wrong is blamed on it, not on the file."""
    (error,) = errors_of(tmp_path, "grpc: {history: 3}", "grpc.history=many")
    with pytest.raises(InvalidConfigError) as caught:
        load_config(None, (), {"--listen": (("http", "listen"), 3)})

    assert error == (
        "error C011: -o grpc.history=many: grpc.history: expected a whole number; found many"
    )
    assert str(caught.value) == "error C011: --listen: http.listen: expected text; found 3"


@pytest.mark.parametrize("option", ["json_output", "=1", "a..b=1", "[0]=1", "x=[", "a[x]=1"])
def test_what_is_no_option_is_refused(option: str) -> None:
    """An option without key, value or valid YAML is an error, not a crash."""
    with pytest.raises(InvalidConfigError) as caught:
        load_config(None, [option])

    assert f'option "{option}"' in str(caught.value)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("priority=\udcff", r'the option "priority=\xff" is no UTF-8 text'),
        (f"x={'[' * 9999}", "nested too deeply"),
        ("x=2001-99-99", "month must be in 1..12"),
    ],
    ids=["bytes", "deep", "date"],
)
def test_values_that_yaml_cannot_hold_are_refused(option: str, expected: str) -> None:
    """Bytes that are no text, depth without end, dates that do not exist: no crash either."""
    with pytest.raises(InvalidConfigError) as caught:
        load_config(None, [option])

    assert expected in str(caught.value)


def test_a_wrong_secret_is_not_shown(tmp_path) -> None:
    """Neither from a file nor from an option: errors end in logs."""
    file = tmp_path / "lanner.yaml"
    file.write_text("http:\n  bearer_token: 123456\n")
    with pytest.raises(InvalidConfigError) as caught:
        load_config(file, ["k8s_audit.token=[hidden]"])
    lines = str(caught.value).splitlines()

    words = "expected text; what was found is not shown"
    hint = "  hint: write numbers that are text in quotes"
    assert lines == [
        f"{file}:2:17: error C011: http.bearer_token: {words}", hint,
        f"error C011: -o k8s_audit.token: k8s_audit.token: {words}", hint,
    ]  # fmt: skip


def test_flags_win_over_options_win_over_the_file(tmp_path) -> None:
    """The nearer to the command, the stronger."""
    file = tmp_path / "lanner.yaml"
    file.write_text("http: {listen: ':1'}\ngrpc: {history: 1, subscriber_queue: 7}\n")
    config = load_config(
        file, ["http.listen=':2'", "grpc.history=2"], {"--listen": (("http", "listen"), ":3")}
    )

    assert (config.http.listen, config.grpc.history, config.grpc.subscriber_queue) == (":3", 2, 7)


def test_options_reach_into_lists() -> None:
    """`[]` appends, `[0]` replaces, a YAML value sets a whole mapping."""
    config = load_config(
        None,
        [
            "rules[].disable.rule=A",
            "rules[]={enable: {tag: t}}",
            "rules[0].disable.rule=B",
            "rules_files[]=x.yaml",
        ],
    )

    assert [s.model_dump(exclude_none=True) for s in config.rules] == [
        {"disable": {"rule": "B"}},
        {"enable": {"tag": "t"}},
    ]
    assert config.rules_files == ("x.yaml",)


def test_variables_are_expanded_in_the_file(tmp_path) -> None:
    """${X} is replaced, typed like what it holds unless quoted; $${X} stays; unset is empty."""
    file = tmp_path / "lanner.yaml"
    file.write_text(
        'grpc: {history: "${N}", socket: "${UNSET}"}\n'
        "outputs_queue:\n  capacity: ${N}\n"
        "static_fields: {a: '$${N}', b: 'x${S}y'}\n"
    )
    config = load_config(file, environ={"N": "12", "S": "1"})

    assert (config.grpc.socket, config.outputs_queue.capacity) == ("", 12)
    assert config.static_fields == {"a": "${N}", "b": "x1y"}


def test_falco_keys_mean_the_same(tmp_path) -> None:
    """Keys of falco.yaml that Lanner shares are taken as they are."""
    file = tmp_path / "falco.yaml"
    file.write_text(
        "rules_file: /etc/falco/rules.yaml\n"
        "json_output: true\njson_include_tags_property: false\npriority: INFO\n"
        "rule_matching: all\ntime_format_iso_8601: true\nbuffer_format_base64: true\n"
        "append_output:\n- match: {source: syscall, tags: [a]}\n  extra_output: 'x=%proc.name'\n"
        "  extra_fields: [proc.pid, {k: 'v %proc.name'}]\n- suggested_output: true\n"
        "stdout_output: {enabled: true}\nlog_level: info\noutputs_queue: {capacity: 5}\n"
    )
    config = load_config(file)

    assert config.rules_files == ("/etc/falco/rules.yaml",)
    assert (config.priority, config.rule_matching) == (Priority.INFORMATIONAL, "all")
    assert config.append_output[0].extra_fields == ("proc.pid", {"k": "v %proc.name"})


def test_no_file_gives_the_defaults(tmp_path) -> None:
    """Without a file and with an empty one the defaults hold."""
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing\n")

    assert load_config(None) == load_config(file) == Config()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda _path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "it is no UTF-8 text"),
    ],
)  # fmt: skip
def test_an_unreadable_file_is_said_so(tmp_path, make, expected: str) -> None:
    """A missing file, a directory and binary data are one sentence."""
    path = tmp_path / "lanner.yaml"
    make(path)
    with pytest.raises(InvalidConfigError) as caught:
        load_config(path)

    assert str(caught.value) == f"error C000: cannot read the configuration {path}: {expected}"


def test_every_key_is_described() -> None:
    """The schema says what each key means; the reference docs are made of it."""

    def missing(schema: dict[str, Any]) -> list[str]:
        return [k for k, v in schema.get("properties", {}).items() if "description" not in v]

    schema = Config.model_json_schema()

    assert [missing(part) for part in (schema, *schema["$defs"].values())] == [
        [] for _ in range(1 + len(schema["$defs"]))
    ]


@given(st.text(max_size=200))
def test_no_text_crashes_the_loader(tmp_path_factory, text: str) -> None:
    """Whatever a file holds, the answer is a configuration or errors for a person."""
    file = tmp_path_factory.mktemp("config") / "lanner.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    with contextlib.suppress(InvalidConfigError):
        assert isinstance(load_config(file, environ={}), Config)


ODD_VALUES = (
    "", "[]", "{}", "[1]", "[a, [b]]", "{a: b}", "-1", "99999999999999999999", ".nan", ".inf",
    "true", '"x"', '"a\\0b"', "2001-01-01", "2001-99-99", "!!int x", "!!binary aGk=", "&a [*a]",
    '"${NOPE}"',
)  # fmt: skip


def paths_of(section: type[Section]) -> Iterator[tuple[str, ...]]:
    """Every key of a section and of those in it."""
    for name, field in section.model_fields.items():
        yield (name,)
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from ((name, *rest) for rest in paths_of(kind))


@pytest.mark.parametrize("value", ODD_VALUES)
def test_no_value_of_a_key_crashes_the_loader(tmp_path, value: str) -> None:
    """Each key takes a value, or says at its place, in a file as in an option, what it expected."""
    file = tmp_path / "lanner.yaml"
    for path in paths_of(Config):
        keys = "\n".join(f"{'  ' * depth}{key}:" for depth, key in enumerate(path))
        file.write_text(f"{keys} {value}")
        for source, options in ((file, ()), (None, (f"{'.'.join(path)}={value}",))):
            try:
                config = load_config(source, options, environ={})
            except InvalidConfigError as invalid:
                for error in invalid.errors:
                    blamed = f"{file}:" if source else "option" if "C003" in str(error) else "-o "
                    assert blamed in str(error), (path, value)
            else:
                assert isinstance(config, Config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8MiB", 8 << 20), ("64kB", 64_000), (4096, 4096), ("1.5 GiB", 3 << 29), ("2K", 2048)],
)
def test_sizes(text: object, expected: int) -> None:
    """Binary and decimal units, and plain bytes."""
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("10s", 10), ("250ms", 0.25), ("1.5m", 90), (3, 3), ("2h", 7200)]
)
def test_durations(text: object, expected: float) -> None:
    """Units from ns to hours, and plain seconds."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize("value", [True, None, "", "5 s s", "-1s", [1]])
def test_what_is_no_size_or_duration_is_refused(value: object) -> None:
    """Anything else is a ValueError that says what was expected."""
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(value)
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(value)


def test_metric_families_are_changed_by_name(tmp_path) -> None:
    """Families and labels that do not exist are refused with those that do."""
    name = "lanner_alerts_total"
    (unknown,) = errors_of(tmp_path, "metrics: {families: {lanner_x: {max_series: 5}}}\n")
    (label,) = errors_of(tmp_path, f"metrics: {{families: {{{name}: {{labels: [rule]}}}}}}\n")
    config = load_config(None, [f"metrics.families.{name}.labels=[k8s_ns_name]"])

    assert "expected families among lanner_alerts_total, " in unknown
    assert "among: k8s_ns_name, k8s_pod_name, container, hostname" in label
    assert config.metrics.families[name].labels == ("k8s_ns_name",)


def test_keys_of_falcos_metrics_are_explained(tmp_path) -> None:
    """The section has Falco's name but other keys; each of Falco's says what to know instead."""
    (error,) = errors_of(tmp_path, "metrics:\n  interval: 1h\n")

    assert error == (
        '2:3: error C010: unknown key "metrics.interval"\n  hint: this key of falco.yaml has no use'
        " here: metrics are read by scrapes, when they come"
    )
