"""Instructions of the probe for this kernel: from the cache, else compiled.

The C text holds nothing of one start (see `kernel.place`), so what was compiled once for a kernel
serves until bpf/, the kernel or bcc changes. The cache lies in a directory that only we can write;
one that others could write to is not used, since its contents go into the kernel.
"""

import hashlib
import os
import platform
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from exporter.sources.probe import btf, kernel, offsets
from exporter.sources.probe.launch import CompileChild
from exporter.sources.probe.source_text import CFLAGS, PARTS, build_text, locate_bpf

_FORMAT = b"lanner-probe-1\n"
_MAX_FILES = 4
_DIGEST_BYTES = 32


def cache_directory() -> Path | None:
    """Where instructions are kept: $CACHE_DIRECTORY (systemd), $XDG_CACHE_HOME or ~/.cache.

    LANNER_PROBE_CACHE names another directory, or turns the cache off when empty. None when it
    cannot be made or is not ours alone.
    """
    chosen = os.environ.get("LANNER_PROBE_CACHE")
    if chosen == "":
        return None
    if chosen is None:
        base = os.environ.get("CACHE_DIRECTORY") or os.environ.get("XDG_CACHE_HOME")
        directory = Path(base) if base else Path("~/.cache").expanduser()
        directory /= "lanner"
    else:
        directory = Path(chosen)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = directory.lstat()
    except OSError:
        return None
    is_ours = facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
    return directory if stat.S_ISDIR(facts.st_mode) and is_ours else None


def cache_key(text: str) -> str:
    """Name of what the text compiles to; changes with the text, the flags and bcc itself."""
    digest = hashlib.sha256(_FORMAT)
    for part in (text, *CFLAGS, os.uname().release, *_library_facts()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _library_facts() -> list[str]:
    facts = []
    for directory in sorted(Path("/usr/lib").glob("*-linux-gnu")):
        for library in sorted(directory.glob("libbcc.so.0*")):
            status = library.stat()
            facts.append(f"{library.name} {status.st_size} {status.st_mtime_ns}")
    return facts


def read_cache(path: Path) -> dict[str, bytes] | None:
    """Programs of one file; None when it is absent, damaged, or not ours."""
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            data = file.read()
    except OSError:
        return None
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        return None
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest or not body.startswith(_FORMAT):
        return None
    with suppress(msgspec.DecodeError):
        return msgspec.msgpack.decode(body[len(_FORMAT) :], type=dict[str, bytes])
    return None


def write_cache(path: Path, programs: dict[str, bytes]) -> None:
    """Keep the programs; older files beyond a few are removed. Failing to write is no error."""
    body = _FORMAT + msgspec.msgpack.encode(programs)
    with suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(body + hashlib.sha256(body).digest())
        Path(file.name).replace(path)
        files = sorted(path.parent.glob(f"*{path.suffix}"), key=lambda p: p.stat().st_mtime_ns)
        for old in files[:-_MAX_FILES]:
            old.unlink()


def kernel_offsets() -> str:
    """`#define` lines of this kernel's structures: from the cache, else from its BTF.

    Reading 5 MB of type information costs more than anything else of a start whose instructions
    are cached. Raises ProbeError.
    """
    cache = cache_directory()
    if cache is None:
        return offsets.define_offsets(btf.read_vmlinux(offsets.STRUCTS))
    digest = hashlib.sha256(_FORMAT)
    digest.update(btf.read_bytes())
    for module in (btf, offsets):
        digest.update(Path(str(module.__file__)).read_bytes())
    path = cache / f"{digest.hexdigest()}.offsets"
    cached = read_cache(path)
    if cached is not None and "offsets" in cached:
        return cached["offsets"].decode()
    text = offsets.define_offsets(btf.read_vmlinux(offsets.STRUCTS))
    write_cache(path, {"offsets": text.encode()})
    return text


class Build:
    """One way to the instructions. Children are started at once when the cache holds nothing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cache = cache_directory()
        self._children: dict[int, CompileChild] = {}
        if self._cache is None or not any(self._cache.glob("*.probe")):
            self._start_children()

    def _start_children(self) -> None:
        for part in PARTS:
            if part not in self._children:
                self._children[part] = CompileChild(self._directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children.values():
            child.close()

    def instructions(self, text: str) -> dict[str, bytes]:
        """Instructions by program name. Raises ProbeError."""
        path = None if self._cache is None else self._cache / f"{cache_key(text)}.probe"
        cached = None if path is None else read_cache(path)
        if cached is not None:
            return cached
        self._start_children()
        for part, child in self._children.items():
            child.start(f"#define PART {part}\n{text}")
        programs: dict[str, bytes] = {}
        for child in self._children.values():
            programs.update(child.finish())
        if path is not None:
            write_cache(path, programs)
        return programs


def precompile() -> bool:
    """Put the instructions for this kernel into the cache, so that the next start is quick.

    Needs no privileges beyond reading BTF. False when there is no cache to put them into.
    Raises ProbeError.
    """
    kernel.check_release(platform.release())
    if cache_directory() is None:
        return False
    directory = locate_bpf()
    with Build(directory) as build:
        build.instructions(build_text(directory, kernel_offsets()))
    return True
