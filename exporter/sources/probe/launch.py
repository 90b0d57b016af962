"""Compile the probe's pieces in child processes, and turn what goes wrong into one sentence."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from exporter.errors import ProbeError
from exporter.sources.probe import compile_child
from exporter.sources.probe.source_text import CFLAGS

_TIMEOUT_SECONDS = 60.0
_READABLE_DIRECTORY = 0o755
_READABLE_FILE = 0o644


class CompileError(ProbeError):
    """The probe's C text was refused. log: what clang said."""

    def __init__(self, message: str, *, hint: str, log: str) -> None:
        super().__init__(message, code="E_COMPILE", hint=hint)
        self.log = log


class CompileChild:
    """One short-lived process that holds LLVM. Started early, so that its start overlaps ours."""

    def __init__(self, kernel_source: Path) -> None:
        # Both live as long as the child, so no `with`.
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._source = tempfile.TemporaryDirectory(prefix="lanner-bpf-")
        readable_copy(kernel_source, Path(self._source.name))
        ours, theirs = socket.socketpair()
        self._channel = ours
        ours.settimeout(_TIMEOUT_SECONDS)
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", "-S", "-B", compile_child.__file__],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            env={"BCC_KERNEL_SOURCE": self._source.name, "PATH": os.environ.get("PATH", "")},
        )
        theirs.close()

    def close(self) -> None:
        """End the child, whatever it is doing."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
        self._stderr.close()
        self._source.cleanup()

    def start(self, text: str) -> None:
        """Hand over the text; the child begins at once."""
        request = json.dumps({"text": text, "cflags": CFLAGS}).encode()
        try:
            self._channel.sendall(struct.pack("<I", len(request)) + request)
        except OSError:
            raise self._died() from None

    def finish(self) -> dict[str, bytes]:
        """Instructions by program name. Raises ProbeError."""
        try:
            with self._channel.makefile("rb") as stream:
                head = stream.read(4)
                if len(head) < 4:
                    raise self._died()
                answer = json.loads(stream.read(struct.unpack("<I", head)[0]))
                if "error" in answer:
                    raise self._explain(answer["error"])
                return {name: stream.read(size) for name, size in answer["programs"]}
        except TimeoutError:
            raise ProbeError(
                f"compiling the probe took longer than {_TIMEOUT_SECONDS:.0f} s",
                code="E_COMPILE_TIMEOUT",
                hint="the machine may be overloaded; try again",
            ) from None
        except ConnectionError:
            raise self._died() from None

    def _log(self) -> str:
        self._process.wait(timeout=5)
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def _died(self) -> ProbeError:
        log = self._log()
        return CompileError(
            f"the process that compiles the probe ended with status {self._process.returncode}",
            hint=_last_lines(log) or "it may have been killed for lack of memory (150 MiB)",
            log=log,
        )

    def _explain(self, problem: str) -> ProbeError:
        kind, _, rest = problem.partition(" ")
        if kind == "library":
            return ProbeError(
                f"bcc's library cannot be loaded: {rest}",
                code="E_NO_BCC",
                hint="install it: apt install python3-bpfcc",
            )
        log = self._log()
        return CompileError(
            "the probe's C text does not compile",
            hint=f"please report this with the lines below\n{_last_lines(log)}",
            log=log,
        )


def readable_copy(source: Path, target: Path) -> None:
    """Copy the C files to a directory that everybody may read.

    The child is nobody by the time clang opens them, and a checkout often lies below /root, which
    only root may enter.
    """
    target.chmod(_READABLE_DIRECTORY)
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
            copy.chmod(_READABLE_DIRECTORY)
        elif path.suffix in {".c", ".h"}:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.parent.chmod(_READABLE_DIRECTORY)
            shutil.copyfile(path, copy)
            copy.chmod(_READABLE_FILE)


def _last_lines(log: str, count: int = 6) -> str:
    return "\n".join(log.strip().splitlines()[-count:])
