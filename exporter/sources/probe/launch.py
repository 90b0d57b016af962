"""Start the compile child, read its answer, and turn whatever went wrong into one sentence."""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from exporter.errors import ProbeError
from exporter.sources.probe import compile_child

_MAX_FDS = 128
_ANSWER_BYTES = 4096
_HINT_REPORT = "please report this, with the log; see the `log` of the error"


class CompileError(ProbeError):
    """The probe's code was refused. log: what clang or the verifier said."""

    def __init__(self, message: str, *, code: str, hint: str, log: str) -> None:
        super().__init__(message, code=code, hint=hint)
        self.log = log


class CompileChild:
    """The short-lived process that holds LLVM. Started early, as its start overlaps ours."""

    def __init__(self, kernel_source: Path, timeout_seconds: float = 30.0) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        ours, theirs = socket.socketpair()
        self._channel = ours
        ours.settimeout(timeout_seconds)
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", "-S", "-B", str(compile_child.__file__)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            env={"BCC_KERNEL_SOURCE": str(kernel_source), "PATH": os.environ.get("PATH", "")},
        )
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()
        self._stderr.close()

    def load(
        self, text: str, cflags: Sequence[str], programs: Sequence[str], maps: Sequence[str]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Descriptors of programs and maps by name. Raises ProbeError."""
        request = json.dumps(
            {"text": text, "cflags": cflags, "programs": programs, "maps": maps}
        ).encode()
        try:
            self._channel.sendall(struct.pack("<I", len(request)) + request)
            body, fds, _, _ = socket.recv_fds(self._channel, _ANSWER_BYTES, _MAX_FDS)
        except TimeoutError:
            raise ProbeError(
                "compiling the probe took too long",
                code="E_COMPILE_TIMEOUT",
                hint="the machine may be overloaded; try again",
            ) from None
        except OSError:
            body, fds = b"", []
        if len(body) < 4:
            raise self._died()
        answer = json.loads(body[4:])
        if "error" in answer:
            raise self._explain(answer["error"])
        names = [*programs, *maps]
        if len(fds) != len(names):
            for fd in fds:
                os.close(fd)
            raise ProbeError(
                "the compile child passed too few descriptors",
                code="E_FDS",
                hint="raise the limit of open files (ulimit -n)",
            )
        by_name = dict(zip(names, fds, strict=True))
        return (
            {name: by_name[name] for name in programs},
            {name: by_name[name] for name in maps},
        )

    def _log(self) -> str:
        self._process.wait(timeout=5)
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def _died(self) -> ProbeError:
        log = self._log()
        return CompileError(
            f"the process that compiles the probe ended with status {self._process.returncode}",
            code="E_COMPILE",
            hint=_last_lines(log) or "it may have been killed for lack of memory (150 MiB)",
            log=log,
        )

    def _explain(self, problem: str) -> ProbeError:
        log = self._log()
        kind, _, rest = problem.partition(" ")
        if kind == "library":
            return ProbeError(
                f"bcc's library is not installed: {rest}",
                code="E_NO_BCC",
                hint="install it: apt install python3-bpfcc",
            )
        if kind == "load":
            number, _, program = rest.partition(" ")
            if int(number) == 1:  # EPERM
                return missing_privileges()
            return CompileError(
                f"the kernel refused the program {program}: {os.strerror(int(number))}",
                code="E_VERIFIER",
                hint=f"{_HINT_REPORT}\n{_last_lines(log)}",
                log=log,
            )
        return CompileError(
            f"the probe does not compile ({problem})",
            code="E_COMPILE",
            hint=f"{_HINT_REPORT}\n{_last_lines(log)}",
            log=log,
        )


def missing_privileges() -> ProbeError:
    """The error for a process that may not load programs."""
    return ProbeError(
        "no permission to load the probe into the kernel",
        code="E_PRIVILEGES",
        hint="run as root, or grant CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE"
        " (CAP_SYS_ADMIN where kernel.unprivileged_bpf_disabled or a lockdown asks for it)",
    )


def _last_lines(log: str, count: int = 6) -> str:
    return "\n".join(log.strip().splitlines()[-count:])
