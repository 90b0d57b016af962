"""The command line as users meet it: output, errors and exit status of the real program."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter import __version__
from exporter.cli import cli, main

GOOD = "- rule: Good\n  desc: d\n  condition: evt.type = openat\n  output: o\n  priority: INFO\n"
BAD = "- rule: Bad\n  desc: d\n  condition: evt.type = and\n  output: o\n  priority: INFO\n"


@pytest.fixture
def lanner():
    """Call the command in this process: status, standard output, standard error."""

    def call(*args: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(cli, list(args), prog_name="lanner")
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def rules_file(tmp_path):
    """Write a rules file and give its path."""

    def write(text: str, name: str = "rules.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(
    "command", [(), ("run",), ("rules",), ("rules", "validate"), ("rules", "list"), ("fields",)]
)
def test_every_command_explains_itself(lanner, command) -> None:
    """--help of every command works and is more than a usage line."""
    status, out, _ = lanner(*command, "--help")

    assert status == 0
    assert len(out.splitlines()) > 5


def test_help_shows_examples(lanner) -> None:
    """The help of the program and of run contains commands to copy."""
    assert "lanner run -r my_rules.yaml --json" in lanner("--help")[1]
    assert "lanner run --scope-pid" in lanner("run", "--help")[1]


def test_version(lanner) -> None:
    """`lanner version` names us and what we are compatible with, in text and JSON."""
    status, out, _ = lanner("version")
    as_json = json.loads(lanner("version", "--json")[1])

    assert (status, out.splitlines()[0]) == (0, f"lanner {__version__}")
    assert (as_json["lanner_version"], as_json["engine_version_semver"]) == (__version__, "0.63.0")


@pytest.mark.parametrize("args", [("nonsense",), ("run", "--nope"), ("run", "--scope-pid", "0")])
def test_a_wrong_command_line_is_status_2(lanner, args) -> None:
    """Usage errors are click's, with status 2."""
    assert lanner(*args)[0] == 2


def test_good_rules_validate(lanner, rules_file) -> None:
    """A good file is Ok, status 0."""
    path = rules_file(GOOD)

    assert lanner("rules", "validate", path) == (0, f"{path}: Ok\n", "")


def test_bad_rules_do_not_validate(lanner, rules_file) -> None:
    """A bad file is status 1 with its errors on stdout; --json keeps stderr empty."""
    path = rules_file(BAD)
    status, out, err = lanner("rules", "validate", path)
    json_status, json_out, json_err = lanner("rules", "validate", "--json", path)
    (result,) = json.loads(json_out)["falco_load_results"]

    assert (status, out.splitlines()[0]) == (1, f"{path}: Invalid")
    assert err.startswith("Error: ")
    assert (json_status, json_err, result["successful"]) == (1, "", False)
    assert [error["code"] for error in result["errors"]] == ["LOAD_ERR_COMPILE_CONDITION"]


def test_rules_are_listed(lanner, rules_file) -> None:
    """Text and JSON name the rules; keys are in alphabetical order; one rule can be asked for."""
    path = rules_file(GOOD + GOOD.replace("Good", "Other"))
    text = lanner("rules", "list", path)[1]
    listing = json.loads(lanner("rules", "list", "--json", path)[1])
    one = json.loads(lanner("rules", "list", "--json", "--rule", "Other", path)[1])

    assert [line.split()[0] for line in text.splitlines()] == ["Rule", "----", "Good", "Other"]
    assert list(listing) == sorted(listing)
    assert [rule["info"]["name"] for rule in one["rules"]] == ["Other"]


def test_a_missing_rule_or_file_is_one_sentence(lanner, rules_file) -> None:
    """What is not there is said, with status 1."""
    status, _, err = lanner("rules", "list", "--rule", "None", rules_file(GOOD))
    file_status, _, file_err = lanner("rules", "list", "/no/such/file.yaml")

    assert (status, err) == (1, 'error: there is no rule "None"\n')
    assert file_status == 1
    assert "/no/such/file.yaml" in file_err
    assert "No such file" in file_err


def test_a_directory_is_its_yaml_files(lanner, rules_file, tmp_path) -> None:
    """A directory stands for its .yaml and .yml files by name; others are left alone."""
    rules_file(GOOD, "b.yaml")
    rules_file(GOOD.replace("Good", "First"), "a.yml")
    rules_file("not yaml at all: [", "readme.txt")
    text = lanner("rules", "list", str(tmp_path))[1]

    assert [line.split()[0] for line in text.splitlines()[2:]] == ["First", "Good"]


@pytest.mark.parametrize("command", ["validate", "list", "lint", "explain"])
def test_a_directory_without_rules_files_is_told(lanner, tmp_path, command) -> None:
    """That nothing was looked at is not passed over as if all were well."""
    (tmp_path / "rules.txt").write_text(GOOD)
    args = ("-", str(tmp_path)) if command == "explain" else (str(tmp_path),)

    assert lanner("rules", command, *args)[2] == (
        f"warning: no rules files (*.yaml, *.yml) in {tmp_path}\n"
    )


def test_a_fault_of_ours_is_one_sentence(monkeypatch, capsys) -> None:
    """An error that nobody expected is owned up to; the traceback comes when it is asked for."""

    def fail(**_: object) -> None:
        """As a command with a mistake would."""
        raise RuntimeError("not\nthought of")

    monkeypatch.setattr("exporter.cli.cli", fail)
    with pytest.raises(SystemExit) as ended:
        main()
    err = capsys.readouterr().err
    monkeypatch.setenv("LANNER_TRACEBACK", "1")

    assert ended.value.code == 1
    assert err.startswith("error E_FAULT: this is a fault of Lanner: RuntimeError: not thought of")
    with pytest.raises(RuntimeError):
        main()


def test_options_reach_the_rules(lanner, rules_file) -> None:
    """-o changes what is loaded; a wrong one is blamed."""
    listed = lanner("rules", "list", "-o", "nonsense=1", rules_file(GOOD))

    assert listed[0] == 1
    assert '-o nonsense=1: unknown key "nonsense"' in listed[2]


def test_own_rules_are_the_default(lanner) -> None:
    """Without a file the rules are our own, and they load without a warning."""
    assert lanner("rules", "validate") == (0, "lanner_rules.yaml: Ok\n", "")


def test_fields_in_three_forms(lanner) -> None:
    """Text, JSON and Markdown list the same fields; a source narrows them."""
    listing = json.loads(lanner("fields", "--source", "syscall", "--json")[1])
    names = {field["name"] for cls in listing["fieldclasses"] for field in cls["fields"]}
    text = lanner("fields", "--source", "syscall")[1]
    markdown = lanner("fields", "--source", "syscall", "--markdown")[1]

    assert {"evt.type", "proc.name", "fd.name", "container.id"} <= names
    assert not any(name.startswith("ka.") for name in names)
    assert len(names) == markdown.count("\n| `")
    assert all(name in text for name in names)


def test_an_unknown_source_is_one_sentence(lanner) -> None:
    """A source that does not exist is status 1 with those that do."""
    status, _, err = lanner("fields", "--source", "nope")

    assert (status, err) == (
        1,
        'error: there is no event source "nope"\n  hint: known: syscall, k8s_audit\n',
    )


def run_program(*args: str, **options) -> subprocess.CompletedProcess[str]:
    """Run `python -m exporter` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "exporter", *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[1],
        **options,
    )


def test_bad_rules_at_start_name_the_place(rules_file) -> None:
    """`run` with a bad file: status 1, file:line:column, the line and a caret; no traceback."""
    path = rules_file(BAD)
    done = run_program("run", "-r", path, "--listen", "127.0.0.1:0", "--grpc-socket", "")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{path}:3:25: error LOAD_ERR_COMPILE_CONDITION: unknown event type and\n"
        "  evt.type = and\n"
        "             ^\n"
    )


def test_a_busy_port_is_one_sentence() -> None:
    """`run` on a port in use: status 1 and what to do, before anything else is started."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        done = run_program("run", "--listen", address, "--grpc-socket", "")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error S003: cannot listen on {address}: the port is in use\n")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """`lanner fields | head -1` ends quietly."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter", "fields"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    os.close(writer)
    os.close(reader)
    _, err = process.communicate(timeout=60)

    assert process.returncode in (1, -signal.SIGPIPE)
    assert err == ""


def test_closed_descriptors_are_not_taken_by_files_of_ours() -> None:
    """With standard input and output closed, the next file that is opened has another number."""
    code = (
        "import os, sys; os.close(0); os.close(1); from exporter.cli import main\n"
        "sys.argv[1:] = ['version']\n"
        "try: main()\n"
        "finally: os.write(2, os.readlink('/proc/self/fd/1').encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[1],
    )

    assert done.stderr == "/dev/null"


@pytest.mark.parametrize("command", [("condition", "parse"), ("format", "check")])
def test_a_closed_standard_input_is_one_sentence(command) -> None:
    """`<&-` leaves nothing to read from."""
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" <&-', "bash", sys.executable, "-m", "exporter", *command, "-"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[1],
    )

    assert done.stderr == "error: standard input is closed\n  hint: give a file of text\n"
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("args", [["fields"], ["version"], ["--help"]])
def test_a_full_disk_is_one_sentence(args) -> None:
    """Whatever is printed, help as well; said once, also at the end of the interpreter."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "exporter", *args],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parents[1],
        )

    assert done.returncode == 1
    assert done.stderr == (
        "error O001: standard output cannot be written: No space left on device\n"
    )


@pytest.mark.kernel
def test_probe_compile_fills_the_cache_once(lanner, monkeypatch, tmp_path):
    """The instructions for this kernel lie in the named directory, and are not made twice."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("LANNER_PROBE_CACHE", str(cache))

    assert lanner("probe", "compile")[0] == 0
    first = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.probe")}
    assert lanner("probe", "compile")[0] == 0

    assert len(first) == 1
    assert first == {path.name: path.stat().st_mtime_ns for path in cache.glob("*.probe")}


def test_probe_compile_refuses_a_cache_that_others_can_write_to(lanner, monkeypatch, tmp_path):
    """What is in the cache goes into the kernel, so a directory open to others is an error."""
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setenv("LANNER_PROBE_CACHE", str(cache))

    status, _, err = lanner("probe", "compile")

    assert status == 1
    assert "E_CACHE" in err
    assert "LANNER_PROBE_CACHE" in err
