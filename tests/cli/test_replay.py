"""`lanner replay` as people call it: output, errors, pipes, the terminal, exit status."""

import gzip
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.captures.samples import sample_capture
from tests.captures.writer import Capture, Process

LANNER = [sys.executable, "-m", "exporter"]
RULES = """
- rule: Connected
  desc: d
  condition: evt.type = connect and fd.type in (ipv4, ipv6) and evt.dir = <
  output: connected (to=%fd.name by=%proc.name)
  priority: NOTICE
- rule: Every close
  desc: d
  condition: evt.type = close
  output: closed %fd.num
  priority: DEBUG
"""


@pytest.fixture
def rules(tmp_path):
    """A rules file that matches things of the sample captures."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return str(path)


@pytest.fixture
def curl():
    """The recording of a curl."""
    return str(sample_capture("curl_google.scap"))


def run(*args: str, **options) -> subprocess.CompletedProcess[str]:
    """Call the program; its output as text."""
    done = subprocess.run(
        [*LANNER, "replay", *args], capture_output=True, text=True, timeout=60, check=False,
        **options,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def test_alerts_as_json_lines(lanner, curl, rules):
    """One object a line, times of the events in order, nothing on standard error."""
    status, out, err = lanner("replay", curl, "-r", rules, "--json")
    alerts = [json.loads(line) for line in out.splitlines()]

    assert (status, err) == (0, "")
    assert {alert["rule"] for alert in alerts} == {"Connected", "Every close"}
    assert [alert["time"] for alert in alerts] == sorted(alert["time"] for alert in alerts)
    assert all(alert["time"].startswith("20") for alert in alerts)


def test_the_configuration_counts(lanner, curl, rules, tmp_path):
    """-c and -o as in `lanner run`: selection, priority, forms."""
    config = tmp_path / "lanner.yaml"
    config.write_text(f"rules_files: [{rules}]\npriority: notice\njson_output: true\n")
    _, out, _ = lanner("replay", curl, "-c", str(config), "-o", "time_format_iso_8601=true")
    rules_seen = {json.loads(line)["rule"] for line in out.splitlines()}

    assert rules_seen == {"Connected"}
    assert "+0000: Notice connected" in out


def test_the_default_rules_without_any(lanner, curl):
    """As `lanner run`: our own rules."""
    status, out, _ = lanner("replay", curl, "--summary")

    assert status == 0
    assert re.search(r"[\d,]+ events in ", out)


def test_fields_print_each_event(lanner, curl):
    """Without rules, without alerts; numbers rise, hidden events leave gaps."""
    status, out, err = lanner("replay", curl, "--fields", "%evt.num %evt.type")
    numbers = [int(line.split()[0]) for line in out.splitlines()]

    assert (status, err) == (0, "")
    assert len(numbers) > 500
    assert numbers == sorted(set(numbers))


def test_fields_and_filter_as_json(lanner, curl):
    """Typed values of the events that pass."""
    _, out, _ = lanner(
        "replay", curl, "--json", "--fields", "*%evt.num %evt.type %fd.num %evt.is_io",
        "--filter", "evt.type in (read, write) and proc.name = curl",
    )  # fmt: skip
    found = [json.loads(line) for line in out.splitlines()]

    assert found
    assert {entry["evt.type"] for entry in found} == {"read", "write"}
    assert all(type(entry["evt.num"]) is int and entry["evt.is_io"] is True for entry in found)


def test_a_wrong_filter_and_format_have_their_place(lanner, curl):
    """Status 1; nothing is printed before."""
    status, out, err = lanner("replay", curl, "--filter", "proc.name = a b")
    assert (status, out) == (1, "")
    assert err.startswith("--filter:1:")
    assert err.splitlines()[-1].strip() == "^"

    status, out, err = lanner("replay", curl, "--fields", "%evt.num %nope.x")
    assert (status, out) == (1, "")
    assert err.startswith("--fields:1:10: error LOAD_ERR_COMPILE_OUTPUT")


def test_wrong_rules_and_files_are_errors(lanner, curl, tmp_path):
    """Each names the file; status 1."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("- rule: X\n")
    status, out, err = lanner("replay", curl, "-r", str(broken))
    assert (status, out) == (1, "")
    assert str(broken) in err

    missing = str(tmp_path / "missing.scap")
    for path, reason in ((missing, "No such file or directory"), (str(tmp_path), "directory")):
        status, out, err = lanner("replay", path)
        assert (status, out) == (1, "")
        assert path in err
        assert reason in err


def test_a_file_that_is_no_capture(lanner, tmp_path):
    """One sentence with the place."""
    path = tmp_path / "text.scap"
    path.write_text("not a capture, only some text that is long enough")
    status, out, err = lanner("replay", str(path), "--summary")

    assert (status, out) == (1, "")
    assert f"{path}: byte 0: " in err
    assert "this is no capture" in err


def test_a_cut_capture_is_replayed_to_the_cut(lanner, curl, tmp_path):
    """What stands before the cut comes out; then one error with the offset; status 1."""
    data = gzip.decompress(Path(curl).read_bytes())
    path = tmp_path / "cut.scap"
    path.write_bytes(data[: len(data) * 3 // 4])
    _, whole, _ = lanner("replay", curl, "--fields", "%evt.num %evt.type %proc.name")
    status, part, err = lanner("replay", str(path), "--fields", "%evt.num %evt.type %proc.name")

    assert status == 1
    assert part
    assert whole.startswith(part)
    assert re.search(r"cut\.scap.*byte \d+", err)
    assert err.count("error") == 1


def test_standard_input(curl, rules):
    """`-` reads a pipe, packed or not, and gives what the file gives."""
    packed = Path(curl).read_bytes()
    from_file = run(curl, "-r", rules, "--json")
    for data in (packed, gzip.decompress(packed)):
        done = subprocess.run(
            [*LANNER, "replay", "-", "-r", rules, "--json"],
            input=data, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        assert done.stdout.decode() == from_file.stdout


def test_a_reader_that_goes_away_is_no_noise(curl):
    """`| head -1` gets its line, in order, and nothing is said."""
    command = (
        f"{' '.join(LANNER)} replay {curl} --fields '%evt.num' | head -1; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "1\n"
    assert done.stderr == ""


def test_ctrl_c_prints_the_summary(curl):
    """Status 130, and the summary says that the end was not reached."""
    with subprocess.Popen(
        [*LANNER, "replay", curl, "--speed", "real", "--fields", "%evt.num", "--summary"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=30)

    assert first == "1\n"
    assert process.returncode == 130
    assert f"{curl} (not to its end)" in rest
    assert err == ""


def is_reading_input(pid: int) -> bool:
    """Whether a process waits in read(0, ...); the numbers are those of x86_64 and aarch64."""
    call = Path(f"/proc/{pid}/syscall").read_text().split()
    return call[0] in {"0", "63"} and call[1] == "0x0"


def test_a_silent_pipe_can_be_interrupted():
    """Before a single byte has come."""
    with subprocess.Popen(
        [*LANNER, "replay", "-", "--fields", "%evt.num", "--summary"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not is_reading_input(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in err


def test_audit_logs(lanner, tmp_path):
    """--source k8s_audit reads JSON lines; bad lines are said and passed over."""
    log = tmp_path / "audit.log"
    event = {
        "kind": "Event", "auditID": "1", "verb": "create", "stage": "ResponseComplete",
        "stageTimestamp": "2024-05-01T12:00:00.5Z", "user": {"username": "eve"},
    }  # fmt: skip
    log.write_text(f"{json.dumps(event)}\nnonsense\n{json.dumps(event | {'verb': 'get'})}\n")
    status, out, err = lanner(
        "replay", "--source", "k8s_audit", str(log), "--fields", "%ka.verb %ka.user.name",
        "--filter", "ka.verb in (create, get)",
    )  # fmt: skip

    assert status == 0
    assert out.splitlines() == ["create eve", "get eve"]
    assert f"warning: {log}:2: " in err


def test_a_file_of_another_kind(lanner, curl):
    """Nothing of it is an audit event: that is an error, after some examples."""
    status, out, err = lanner("replay", "--source", "k8s_audit", curl, "--summary")

    assert status == 1
    assert "0 events" in out
    assert err.count("no JSON") == 10
    assert f"error: {curl}: nothing in it is an event of source k8s_audit" in err


def test_odd_names_are_shown(lanner, tmp_path):
    """A path may hold bytes that are no text."""
    path = written(tmp_path / "a\udcff\n.scap", opening("/a"))
    for form in ([], ["--json"]):
        status, out, err = lanner("replay", path, "--summary", *form)
        assert (status, err) == (0, "")
        assert "/a\N{REPLACEMENT CHARACTER}" in out
        assert "\n.scap" not in out


@pytest.mark.parametrize(("closed", "name"), [(">&-", "output"), ("<&-", "input")])
def test_closed_streams_are_errors(closed, name):
    """One sentence."""
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(LANNER)} replay - {closed}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"error: standard {name} is closed\n"


def read_terminal(args: list[str]) -> tuple[str, int]:
    """Everything the program writes to a terminal, and its status; stdout goes elsewhere."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*LANNER, "replay", *args], stdin=slave, stdout=subprocess.DEVNULL, stderr=slave
    ) as process:
        os.close(slave)
        shown = b""
        while select.select([master], [], [], 60)[0]:
            try:
                data = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
        process.wait(30)
    os.close(master)
    return shown.decode(), process.returncode


def test_a_terminal_sees_how_far_it_is(curl):
    """Bytes, percent and events a second on standard error; at the end the cursor is back."""
    shown, status = read_terminal([curl, "--fields", "%evt.num"])

    assert status == 0
    assert re.search(r"replay  \[#* *\]  +\d+%  .*21\.8 KiB/21\.8 KiB  [\d,]+ events/s", shown)
    assert shown.endswith("\r\x1b[K\x1b[?25h")


def test_a_pipe_sees_no_progress(curl):
    """Standard error stays empty when nobody looks."""
    assert run(curl, "--fields", "%evt.num").stderr == ""


def test_the_start_imports_no_server_and_no_probe():
    """A replay of a small capture is over before those would be imported."""
    code = "import sys, exporter.cli.replay; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    heavy = {"asyncio", "grpc", "prometheus_client", "structlog", "uvicorn", "exporter.app.node"}

    assert heavy.isdisjoint(done.stdout.split())
    assert "exporter.sources.probe.probe" not in done.stdout.split()


def written(path: Path, *parts: Capture) -> str:
    """A file with these captures one behind the other."""
    path.write_bytes(b"".join(part.data() for part in parts))
    return str(path)


def opening(*names: str, comm: str = "cat") -> Capture:
    """A capture in which one process opens files, each closed again."""
    capture = Capture().machine("node1").processes(Process(10, comm))
    for name in names:
        capture.event("PPME_SYSCALL_OPENAT_2_X", 10, fd=4, dirfd=-100, name=name, flags=1)
        capture.event("PPME_SYSCALL_CLOSE_X", 10, res=0, fd=4)
    return capture


def test_rules_see_what_the_events_before_made(lanner, tmp_path):
    """The name of a closed descriptor comes from the open, whether the rules look at it or not."""
    rules = tmp_path / "close.yaml"
    rules.write_text(
        "- rule: R\n  desc: d\n  condition: evt.type = close and proc.name = cat\n"
        "  output: closed %fd.name of %proc.exepath\n  priority: INFO\n"
    )
    capture = written(tmp_path / "x.scap", opening("/etc/passwd", "/etc/shadow"))
    _, out, _ = lanner("replay", capture, "-r", str(rules), "-o", "append_output=[]")

    assert [line.partition("Informational ")[2] for line in out.splitlines()] == [
        "closed /etc/passwd of /usr/bin/cat",
        "closed /etc/shadow of /usr/bin/cat",
    ]


@pytest.mark.parametrize("condition", [[], ["--filter", "evt.type = close"]])
def test_lines_see_what_other_events_wrote(lanner, tmp_path, condition):
    """Memory is told by events that neither the filter nor a rule asks for."""
    capture = opening("/a")
    capture.event("PPME_SYSCALL_BRK_4_X", 10, res=1, vm_size=7777, vm_rss=2, vm_swap=0)
    capture.event("PPME_SYSCALL_CLOSE_X", 10, res=0, fd=9)
    path = written(tmp_path / "x.scap", capture)
    _, out, _ = lanner("replay", path, "--fields", "%evt.type %proc.vmsize", *condition)

    assert out.splitlines()[-1] == "close 7777"


def test_captures_behind_one_another_are_apart(lanner, tmp_path):
    """State and numbers begin anew: another machine, another process of the same id."""
    capture = written(tmp_path / "x.scap", opening("/a"), opening("/b", "/c", comm="dog"))
    status, out, err = lanner(
        "replay", capture, "--fields", "%evt.num %proc.name %evt.type %fd.name"
    )

    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "1 cat openat /a", "2 cat close /a",
        "1 dog openat /b", "2 dog close /b", "3 dog openat /c", "4 dog close /c",
    ]  # fmt: skip


def test_enter_events_of_old_captures_are_hidden(lanner, tmp_path):
    """They count, update the state and have no line and no alert."""
    capture = Capture(version=1).processes(Process(10), version=5)
    capture.event("PPME_SYSCALL_OPEN_E", 10, nparams=0)
    capture.event("PPME_SYSCALL_OPEN_X", 10, nparams=4, fd=4, name="/etc/shadow", flags=1, mode=0)
    path = written(tmp_path / "old.scap", capture)
    _, out, _ = lanner("replay", path, "--fields", "%evt.num %evt.type %fd.name")

    assert out == "2 open /etc/shadow\n"


def test_what_cannot_be_read_is_said(lanner, tmp_path):
    """An event of a newer schema is passed over, counted and told."""
    capture = opening("/a").raw_event(5000, 10, (b"x",))
    capture.event("PPME_SYSCALL_CLOSE_X", 10, res=0, fd=4)
    path = written(tmp_path / "new.scap", capture)
    status, out, err = lanner("replay", path, "--fields", "%evt.type", "--summary")

    assert status == 0
    assert out.splitlines()[:3] == ["openat", "close", "close"]
    assert "not read: 1 event (unknown_type)" in out
    assert err == "warning: not read: 1 event (unknown_type)\n"


def test_the_summary_of_a_damaged_capture(lanner, tmp_path):
    """Both: what was found until there, and the error."""
    path = tmp_path / "cut.scap"
    path.write_bytes(opening("/etc/shadow").data()[:-8])
    status, out, err = lanner("replay", str(path), "--summary", "--json")

    assert status == 1
    assert json.loads(out.splitlines()[-1])["summary"]["complete"] is False
    assert re.fullmatch(rf"error: {re.escape(str(path))}: byte \d+: expecting .*\n", err)


def test_the_time_zone_of_text_lines(curl):
    """Text lines show the local time of the event."""
    # In a process of its own: seconds that were shown already keep the zone of then.
    arguments = (curl, "--fields", "%evt.time", "--filter", "evt.num = 797")
    done = run(*arguments, env=os.environ | {"TZ": "Asia/Tokyo"})

    assert done.stdout == "02:35:48.547379676\n"
