"""LogFollower: the lines that are appended to one audit log while it is watched.

Begins at the end of the file; a file that was cut is read from its start, and so is one that was
put in its place. A file that is not there yet is waited for. Source: state-tracking.md section 13.
"""

import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress

_INTERVAL_SECONDS = 0.1
_CHUNK_BYTES = 1 << 18


class LogFollower:
    """Follows one file in a thread of its own.

    give: takes one line; False when it must be offered again later. The file itself is the buffer
    of a slow reader. too_long: lines passed over because they exceeded max_line_bytes.
    """

    def __init__(
        self,
        path: str,
        give: Callable[[bytes], bool],
        *,
        max_line_bytes: int,
        on_problem: Callable[[str], None] = lambda _sentence: None,
        interval_seconds: float = _INTERVAL_SECONDS,
    ) -> None:
        self.path = path
        self.too_long = 0
        self._give = give
        self._limit = max_line_bytes
        self._on_problem = on_problem
        self._interval = interval_seconds
        self._fd = -1
        self._identity = (0, 0)
        self._partial = bytearray()
        self._is_skipping = False
        self._problem = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)

    def start(self) -> None:
        """Note where the file ends now, and follow it from there."""
        self._reopen(at_end=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is read already has been given or is in the file still."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                has_read = self._read()
                if not has_read:
                    has_read = self._look_again()
            except OSError as error:
                self._say(f"{self.path}: {error.strerror}")
                self._close()
                has_read = False
            if not has_read:
                self._stopping.wait(self._interval)

    def _look_again(self) -> bool:
        """After the end of the file was met: whether another one, or a shorter one, is there."""
        if self._fd >= 0:
            size = os.fstat(self._fd).st_size
            if size < os.lseek(self._fd, 0, os.SEEK_CUR):
                os.lseek(self._fd, 0, os.SEEK_SET)
                self._end_line()
                return True
        with suppress(FileNotFoundError):
            info = os.stat(self.path)  # noqa: PTH116
            if self._fd < 0 or (info.st_dev, info.st_ino) != self._identity:
                # Written between our last look and the renaming: read before it is left.
                if self._fd >= 0 and self._read():
                    return True
                self._end_line()
                self._reopen(at_end=False)
                # A file that may not be read is there at every look: then wait before the next.
                return self._fd >= 0
        return False

    def _reopen(self, *, at_end: bool) -> None:
        self._close()
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self._say(f"{self.path}: {error.strerror}; it is followed once it can be read")
            return
        info = os.fstat(self._fd)
        if stat.S_ISDIR(info.st_mode):
            self._say(f"{self.path}: is a directory; expected one file, which is waited for")
            self._close()
            return
        self._identity = (info.st_dev, info.st_ino)
        self._problem = ""
        if at_end:
            os.lseek(self._fd, 0, os.SEEK_END)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._forget_partial()

    def _forget_partial(self) -> None:
        self._partial.clear()
        self._is_skipping = False

    def _end_line(self) -> None:
        """The file ended within a line: whole or not, it counts."""
        line = bytes(self._partial)
        self._forget_partial()
        if line.strip():
            self._hand_over(line)

    def _read(self) -> bool:
        """Take what was appended; whether there was something."""
        if self._fd < 0:
            return False
        chunk = os.read(self._fd, _CHUNK_BYTES)
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line = bytes(self._partial) + end
            is_skipping = self._is_skipping
            self._forget_partial()
            if is_skipping or self._is_too_long(len(line)):
                continue
            if line.strip():
                self._hand_over(line)
        if not self._is_skipping:
            self._partial += rest
            if self._is_too_long(len(self._partial)):
                self._partial.clear()
                self._is_skipping = True
        return bool(chunk)

    def _is_too_long(self, length: int) -> bool:
        if length <= self._limit:
            return False
        self.too_long += 1
        self._say(f"{self.path}: a line of more than {self._limit} bytes; it is passed over")
        return True

    def _hand_over(self, line: bytes) -> None:
        while not self._give(line):
            if self._stopping.wait(self._interval):
                return

    def _say(self, sentence: str) -> None:
        """Once until something else is wrong: a missing file stays missing at every look."""
        if sentence != self._problem:
            self._problem = sentence
            self._on_problem(sentence)
