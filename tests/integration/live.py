"""Lanner as a subprocess, and the stage it watches: what the kernel tests and the bench share.

Nothing here sleeps for a fixed time: every wait is for a condition, with a deadline that fails.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LANNER = [str(Path(sys.executable).parent / "lanner")]
_RIGHTS = yaml.safe_load((ROOT / "charts/lanner/values.yaml").read_text())["securityContext"]
_BOUNDS = ",".join(["-all", *(f"+{name.lower()}" for name in _RIGHTS["capabilities"]["add"])])
AS_IN_THE_CHART = ["setpriv", f"--bounding-set={_BOUNDS}", f"--inh-caps={_BOUNDS}", *LANNER]
"""Lanner as root with exactly the capabilities that the chart gives."""

READY_SECONDS = 30
STOP_SECONDS = 15
ALERT_SECONDS = 10


def wait_until(condition, seconds, what):
    """The first true answer of `condition`; AssertionError naming `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.005)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Stage:
    """A process tree for the probe to watch; see stage_worker.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stage_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The root of the tree."""
        return self._process.pid

    def run(self, *argv: str, **options: Any) -> dict[str, Any]:
        """Run a program to its end: its pid, returncode and output. Options as in stage_worker."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"argv": argv, **options}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the worker; after a test that failed half-way, also what it still runs."""
        with self._process as process:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


class Lanner:
    """One `lanner run`. Standard output and error are collected line by line with their times."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        config: str = "",
        command: list[str] | None = None,
        env: dict[str, str] | None = None,
        port: int = 0,
        cwd: Path | None = None,
    ) -> None:
        self.port = port or free_port()
        self.socket = directory / "lanner.sock"
        self.lines: list[tuple[int, str]] = []
        """CLOCK_REALTIME ns of arrival, and the line, of standard output."""
        self.log: list[str] = []
        self._changed = threading.Condition()
        file = directory / "lanner.yaml"
        file.write_text(f"grpc: {{socket: 'unix://{self.socket}'}}\n{config}")
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            [
                *(command or LANNER),
                "run",
                "-c",
                str(file),
                "--listen",
                f"127.0.0.1:{self.port}",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | (env or {}),
            cwd=cwd,
        )
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_lines(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            arrival_ns = time.time_ns()
            with self._changed:
                self.lines.append((arrival_ns, line.rstrip("\n")))
                self._changed.notify_all()

    def _read_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    # ------------------------------------------------------------------------------------- HTTP

    def fetch(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        """Status and body of a request to our own server; status 0 while nobody listens."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return 0, ""

    def samples(self) -> dict[str, float]:
        """Every sample of /metrics: `name{labels}` as printed -> value."""
        status, body = self.fetch("/metrics")
        assert status == 200
        lines = (line for line in body.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def total(self, name: str, *, default: float | None = None, **labels: str) -> float:
        """Sum over the series of a metric that have these labels; KeyError when there is none."""
        found = [
            value
            for series, value in self.samples().items()
            if series.partition("{")[0] == name
            and labels.items() <= dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', series)).items()
        ]
        if found:
            return sum(found)
        if default is None:
            raise KeyError(f"{name}{labels}")
        return default

    # ------------------------------------------------------------------------------ start and stop

    def wait_ready(self) -> float:
        """Wait for /readyz to say 200; seconds since the start of the process."""

        def ready() -> bool:
            assert self.process.poll() is None, "\n".join(["lanner ended:", *self.log])
            return self.fetch("/readyz")[0] == 200

        wait_until(ready, READY_SECONDS, "/readyz")
        return (time.monotonic_ns() - self.started_ns) / 1e9

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("\n".join(["lanner did not stop:", *self.log])) from None
        for reader in self._readers:
            reader.join(STOP_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return self.process.returncode

    def kill(self) -> None:
        """End it in whatever way; for clean-up."""
        with contextlib.suppress(AssertionError):
            self.stop()

    # --------------------------------------------------------------------------------- alerts

    def alerts(self, since: int = 0) -> list[dict[str, Any]]:
        """Alerts as JSON objects (needs --json), from the given line number on."""
        return [json.loads(line) for _, line in self.lines[since:]]

    def wait_alert(self, matches, since: int = 0, seconds: float = ALERT_SECONDS) -> dict[str, Any]:
        """The first alert from line `since` on for which `matches` is true."""
        deadline = time.monotonic() + seconds
        index = since
        with self._changed:
            while True:
                while index < len(self.lines):
                    alert: dict[str, Any] = json.loads(self.lines[index][1])
                    if matches(alert):
                        return alert
                    index += 1
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    seen = [line for _, line in self.lines[since:]]
                    raise AssertionError("\n".join(["no such alert among:", *seen[-20:]]))

    def wait_barrier(self, stage: Stage, since: int) -> list[dict[str, Any]]:
        """The alerts from line `since` on, complete up to now.

        Makes one more alert, whose event comes after all others, waits for it and leaves it out.
        """
        pid = stage.run("head", "-c1", "/etc/shadow")["pid"]

        def is_mine(alert: dict[str, Any]) -> bool:
            return bool(alert["output_fields"].get("proc.pid") == pid)

        self.wait_alert(is_mine, since)
        return [alert for alert in self.alerts(since) if not is_mine(alert)]


def memory_mib(pid: int, key: str) -> float:
    """A memory line of /proc/PID/status in MiB: VmRSS, or VmHWM (the highest VmRSS so far)."""
    with Path(f"/proc/{pid}/status").open() as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def compile_program(name: str, directory: Path) -> Path:
    """Compile programs/NAME.c (or an absolute path) statically, so that it runs anywhere."""
    source = Path(__file__).parent / "programs" / f"{name}.c"
    return compile_source(source, directory)


def compile_source(source: Path, directory: Path) -> Path:
    """Compile one C file with gcc; the program has the file's name."""
    gcc = shutil.which("gcc")
    assert gcc, "gcc is missing: run make setup-dev"
    program = directory / source.stem
    command = [gcc, "-O2", "-Wall", "-Werror", "-static", "-o", str(program), str(source)]
    subprocess.run(command, check=True)
    return program
