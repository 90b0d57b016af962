"""AuditLogSource: audit logs from files, one JSON document a line, then the end.

Takes paths (a directory stands for the files in it, oldest first) or standard input, plain or
gzip; gives events in batches. A line that is no audit event is counted and told, and reading goes
on with the next. Source: state-tracking.md section 13.
"""

import gzip
import io
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from exporter.errors import AuditLogError
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.sources.k8s_audit.events import EVENT_NAME, AuditEvents, AuditOptions

_BATCH_EVENTS = 512
_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 18
STDIN = "-"


class AuditLogSource:
    """Audit logs as a `Source` that ends.

    on_problem: told about each line that is lost, in a sentence with file and line. error: what
    ended reading early, such as a damaged gzip file; everything before it was given.
    """

    def __init__(
        self,
        paths: Sequence[str],
        host: Host,
        options: AuditOptions | None = None,
        on_problem: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self.error: AuditLogError | None = None
        self.total_bytes = 0
        """Size of all files; 0 when unknown, as for standard input."""
        self._paths = tuple(paths)
        self._options = options or AuditOptions()
        self._on_problem = on_problem
        self._where = ""
        self._line = 0
        self._events = AuditEvents(host, self._options, self._lost)
        self._raw: io.FileIO | None = None
        self._read_before = 0
        self._batches: Iterator[list[Event]] | None = None
        self._is_ended = False

    def open(self) -> None:
        """Look for the files. Raises AuditLogError when one is missing or cannot be read."""
        files = [file for path in self._paths for file in _files(path)]
        with suppress(OSError):
            self.total_bytes = sum(Path(f).stat().st_size for f in files if f != STDIN)
        self._batches = self._read(files)

    @property
    def is_ended(self) -> bool:
        """Whether everything was given."""
        return self._is_ended

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the files so far, as they lie on disk."""
        raw = self._raw
        if raw is None or raw.closed:
            return self._read_before
        try:
            return self._read_before + raw.tell()
        except OSError:  # a pipe has no position
            return self._read_before

    @property
    def events_seen(self) -> int:
        """Events given so far."""
        return self._events.seen

    def poll(self, deadline_ns: int) -> list[Event]:
        """The next batch; a file is always there, so the deadline only bounds how long it gets."""
        if self._batches is None:
            raise RuntimeError("the source is not open")
        events: list[Event] = []
        for batch in self._batches:
            events += batch
            if len(events) >= _BATCH_EVENTS or time.monotonic_ns() >= deadline_ns:
                return events
        self._is_ended = True
        return events

    def drain(self) -> list[Event]:
        """Nothing: what was not polled for was not asked for."""
        self._is_ended = True
        return []

    def close(self) -> None:
        """Close the file that is open; may be called twice."""
        self._is_ended = True
        if self._raw is not None:
            self._raw.close()

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Parts of documents lost so far, by (event name, reason); see `AuditEvents`."""
        return {(EVENT_NAME, reason): n for reason, n in self._events.losses.items()}

    def _lost(self, sentence: str) -> None:
        self._on_problem(f"{self._where}:{self._line}: {sentence}")

    def _read(self, files: Sequence[str]) -> Iterator[list[Event]]:
        for file in files:
            self._where, self._line = "<stdin>" if file == STDIN else file, 0
            try:
                raw = _open_raw(file)
                self._raw = raw
                with raw:
                    try:
                        for line in self._lines(raw):
                            yield list(self._events.of(line))
                    finally:
                        self._read_before = self.bytes_read
                        self._raw = None
            except (OSError, EOFError, zlib.error) as error:
                # gzip says BadGzipFile, EOFError or zlib.error, depending on where it breaks.
                reason = error.strerror if isinstance(error, OSError) else None
                self.error = AuditLogError(
                    f"{self._where}: cannot be read on after line {self._line}, "
                    f"byte {self.bytes_read}: {reason or error}",
                    hint="what was read until there was taken; fetch the log again",
                )
                return

    def _lines(self, raw: io.FileIO) -> Iterator[bytes]:
        limit = self._options.max_document_bytes
        buffered = io.BufferedReader(raw, _BUFFER_BYTES)
        try:
            is_gzip = buffered.peek(2)[:2] == _GZIP_MAGIC
            stream: gzip.GzipFile | io.BufferedReader[io.FileIO] = (
                gzip.GzipFile(fileobj=buffered) if is_gzip else buffered
            )
            while line := stream.readline(limit + 1):
                self._line += 1
                if len(line) > limit and not line.endswith(b"\n"):
                    self._events.lose(
                        "too_large", f"a line of more than {limit} bytes; it is passed over"
                    )
                    while line and not line.endswith(b"\n"):
                        line = stream.readline(_BUFFER_BYTES)
                elif line.strip():
                    yield line
        finally:
            buffered.detach()


def _open_raw(file: str) -> io.FileIO:
    """The file, or standard input, which stays open for whoever else reads it."""
    return io.FileIO(0, closefd=False) if file == STDIN else io.FileIO(file)


def _files(path: str) -> list[str]:
    """The files that a path stands for. Raises AuditLogError."""
    if path == STDIN:
        return [path]
    try:
        if not stat.S_ISDIR(Path(path).stat().st_mode):
            if not os.access(path, os.R_OK):
                raise PermissionError(13, "Permission denied", path)
            return [path]
        found = [(entry.stat(), entry.path) for entry in os.scandir(path)]
    except OSError as error:
        raise AuditLogError(
            f"cannot read the audit log {path}: {error.strerror}",
            hint="give a file of JSON lines, a directory of such files, or - for standard input",
        ) from error
    # Other kinds of file could keep us waiting for ever.
    files = [(info.st_mtime_ns, name) for info, name in found if stat.S_ISREG(info.st_mode)]
    if not files:
        raise AuditLogError(f"the directory {path} has no files")
    return [name for _, name in sorted(files)]
