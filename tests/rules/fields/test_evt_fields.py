"""What fields of the event itself, and of its paths, say of events built for the purpose."""

import pytest

from exporter.events.fd import Fd, FdType
from exporter.events.params import Dynamic
from tests.factories import make_event
from tests.rules.fields.reading import read


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("openat", {"fd": 3, "flags": 1}, (True, False, False, False)),
        ("openat", {"fd": 3, "flags": 3}, (True, True, False, False)),
        ("openat", {"fd": 3, "flags": 2 | 4, "mode": 0o755}, (False, True, True, False)),
        ("openat", {"fd": 3, "flags": 2 | 4 | 1 << 14, "mode": 0o644}, (False, True, False, True)),
        ("openat", {"fd": 3, "flags": 2 | 1 << 13, "mode": 0o644}, (False, True, False, True)),
        ("openat", {"fd": -1, "flags": 2 | 1 << 13, "mode": 0o644}, (False, True, False, False)),
        ("creat", {"fd": 3, "mode": 0o100}, (False, False, True, False)),
        ("open", {"fd": 3, "flags": 2}, (False, True, False, False)),
        ("openat2", {"fd": 3, "flags": 1}, (True, False, False, False)),
        ("kill", {}, (False, False, False, False)),
    ],
)
def test_open_modes(name, params, expected):
    """read, write, exec, create as the flags and the mode say; false for other events."""
    event = make_event(name, params=params)
    names = ("evt.is_open_read", "evt.is_open_write", "evt.is_open_exec", "evt.is_open_create")

    assert expected == tuple(read(field, event) for field in names)


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("openat", {"fd": 3}, (3, b"SUCCESS", False)),
        ("openat", {"fd": -2}, (-2, b"ENOENT", True)),
        ("connect", {"res": -115}, (-115, b"EINPROGRESS", True)),
        ("procexit", {"status": 0}, (None, None, None)),
        ("PPME_GENERIC_X", {"ID": 1}, (None, None, None)),
    ],
)
def test_results(name, params, expected):
    """The return value as number, errno name and failure; missing where there is none."""
    event = make_event(name, params=params)

    assert expected == tuple(
        read(field, event) for field in ("evt.rawres", "evt.res", "evt.failed")
    )


def test_arguments_by_name_and_index():
    """Resolved text if there is one, else raw; missing when the event has no such parameter."""
    event = make_event("openat", params={"fd": 3, "flags": 1, "name": "/x", "mode": 0o644})

    assert read("evt.arg.flags", event) == b"O_RDONLY"
    assert read("evt.arg[2]", event) == b"/x"
    assert read("evt.arg[50]", event) is None
    assert read("evt.arg.request", event) is None
    assert read("evt.rawarg.flags", event) == 1
    assert b"flags=1(O_RDONLY)" in read("evt.args", event)
    assert read("evt.args", event) == read("evt.info", event)


def test_generic_events_have_the_name_of_the_call():
    """Generic events are named by their system call."""
    from exporter.events.table import load_syscall_table

    call = next(call for call in load_syscall_table().syscalls if call.name == "getpid")
    event = make_event("PPME_GENERIC_X", params={"ID": call.sc})

    assert read("evt.type", event) == b"getpid"
    assert read("syscall.type", event) == b"getpid"


def test_paths_of_file_system_calls():
    """One-path and two-path calls, absolute and as passed; missing when the call failed."""
    renamed = make_event("rename", params={"res": 0, "oldpath": "a", "newpath": "/b/../c"})
    linked = make_event("symlink", params={"res": 0, "target": "../t", "linkpath": "l"})
    failed = make_event("unlink", params={"res": -2, "path": "/x"})
    made = make_event("mkdirat", params={"res": 0, "dirfd": -100, "path": "d"})

    names = ("fs.path.source", "fs.path.target", "fs.path.targetraw")
    assert tuple(read(name, renamed) for name in names) == (b"/root/a", b"/c", b"/b/../c")
    assert tuple(read(name, linked) for name in names) == (b"/root/l", b"/t", b"../t")
    assert read("fs.path.name", failed) is None
    assert (read("fs.path.name", made), read("fs.path.nameraw", made)) == (b"/root/d", b"d")


def test_absolute_paths_of_at_calls():
    """First and second path, built from their directory descriptors."""
    event = make_event(
        "renameat2",
        params={"res": 0, "olddirfd": -100, "oldpath": "a", "newdirfd": -100, "newpath": "/n"},
    )

    assert read("evt.abspath", event) == b"/root/a"
    assert read("evt.abspath.src", event) == b"/root/a"
    assert read("evt.abspath.dst", event) == b"/n"


def test_sizes_of_calls_that_work_on_a_descriptor():
    """Every I/O call with a known descriptor has a size, closing included."""
    fd = Fd(type=FdType.FILE_V2, name=b"/x")
    sizes = {
        name: read("evt.buflen", make_event(name, fd=fd, fd_num=3, params={"res": 4, "fd": 3}))
        for name in ("read", "write", "fcntl", "close", "fstat")
    }
    assert sizes == {"read": 4, "write": 4, "fcntl": 4, "close": 4, "fstat": None}


def test_categories():
    """The class of the call, for I/O that of the descriptor."""

    def category(name, kind=None):
        fd = None if kind is None else Fd(type=kind)
        return read("evt.category", make_event(name, fd=fd, fd_num=3))

    assert category("pipe") == b"IPC"
    assert category("mmap") == b"memory"
    assert category("read") == b"unknown"
    assert category("read", FdType.PIPE) == category("write", FdType.UNIX) == b"ipc"
    assert category("read", FdType.EVENT) == category("read", FdType.INOTIFY) == b"ipc"
    assert category("close", FdType.IPV6_LISTEN) == b"net"
    assert category("readv", FdType.DIRECTORY) == b"file"


def test_parameters_whose_type_depends():
    """A result may be of a chosen type, and what is called `data` may be no buffer."""
    number = Dynamic(0, "INT64", "DEC", -9)
    traced = make_event("ptrace", params={"res": 0, "data": Dynamic(0, "UINT64", "HEX", 5)})
    old = make_event("PPME_SYSCALL_BPF_X", params={"res_or_fd": number})

    assert read("evt.buffer", traced) is None
    assert read("evt.arg.data", traced) == b"5"
    assert read("evt.failed", old) in {True, False}


def test_absolute_paths_end_unknown_directories_in_a_slash():
    """Unlike fd.name, evt.abspath puts a slash behind whatever stands for the directory."""
    unlinked = make_event("unlinkat", params={"res": 0, "dirfd": 77, "name": "a"})
    handle = {"fd": 4, "mountfd": 3, "path": "/x/./y"}

    assert read("evt.abspath", unlinked) == b"<UNKNOWN>/a"
    assert read("evt.abspath", make_event("open_by_handle_at", params=handle)) == b"/x/y"
    assert read("evt.abspath", make_event("open_by_handle_at", params=handle | {"fd": -1})) is None
    assert read("evt.abspath", make_event("mknodat", params={"dirfd": -100, "path": "a"})) is None


def test_errors_count_by_what_failed():
    """A mapped file's error counts twice; a socket call without an entry is no network error."""
    mapped = make_event("mmap", params={"res": -12}, fd=Fd(type=FdType.FILE_V2))
    refused = make_event("connect", params={"res": -111})
    listened = make_event("listen", params={"res": -9})
    kinds = ("file", "net", "memory", "other")

    def counts(event):
        return [read(f"evt.count.error.{kind}", event) for kind in kinds]

    assert counts(mapped) == [1, None, 1, None]
    assert counts(refused) == [None, 1, None, None]
    assert counts(listened) == [None, None, None, 1]


def test_lengths_of_network_traffic_are_those_of_ip_sockets():
    """Reads of unix sockets count as no network traffic, those of directories as no file's."""
    unix = make_event("read", params={"res": 5}, fd=Fd(type=FdType.UNIX))
    inet = make_event("read", params={"res": 5}, fd=Fd(type=FdType.IPV6))
    folder = make_event("read", params={"res": 5}, fd=Fd(type=FdType.DIRECTORY))

    assert (read("evt.buflen", unix), read("evt.buflen.net", unix)) == (5, None)
    assert read("evt.buflen.net.in", inet) == 5
    assert read("evt.buflen.file", folder) is None
