"""Laws of native flag translation (state-tracking.md 11.1)."""

import os
import re
from pathlib import Path

import pytest

from exporter.events.native import live_decoders
from exporter.events.native_values import (
    CLONE_CHILD_IN_PIDNS,
    OPEN_CREATED,
    OPEN_LOWER_LAYER,
    OPEN_UPPER_LAYER,
)
from exporter.events.table import load_event_table
from exporter.events.text import enum_text, flags_text
from tests.factories import find_type


def names(event: str, param: str, native: int, machine: str = "x86_64") -> str:
    """Names of a native flag word as evt.arg shows them."""
    event_type = find_type(event)
    index = event_type.param_index[param]
    value = live_decoders(event_type, machine)[index](native.to_bytes(8, "little"))
    kind = event_type.params[index]
    writer = enum_text if kind.type.startswith("ENUM") else flags_text
    return writer(value, kind.table).decode()


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (0, "O_RDONLY"),
        (os.O_WRONLY, "O_WRONLY"),
        (os.O_RDWR, "O_RDWR"),
        (3, "O_RDONLY"),
        (os.O_WRONLY | os.O_CREAT | os.O_TRUNC, "O_TRUNC|O_CREAT|O_WRONLY"),
        (0o2000000, "O_RDONLY|O_CLOEXEC"),
        (0o200000, "O_DIRECTORY|O_RDONLY|O_TMPFILE"),
        (0o10000, "O_SYNC|O_DSYNC|O_RDONLY"),
        (OPEN_CREATED | os.O_CREAT, "O_CREAT|O_RDONLY|O_F_CREATED"),
        (OPEN_UPPER_LAYER, "O_RDONLY|FD_UPPER_LAYER"),
        (0o100000, "O_LARGEFILE|O_RDONLY"),
    ],
)
def test_open_flags(native, expected):
    """Access mode 3 is read-only, O_DIRECTORY shows O_TMPFILE, O_DSYNC shows O_SYNC."""
    for event in ("open", "openat", "openat2", "open_by_handle_at"):
        assert expected == names(event, "flags", native)


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (0o40000, "O_DIRECTORY|O_RDONLY|O_TMPFILE"),
        (0o200000, "O_DIRECT|O_RDONLY"),
        (0o400000, "O_LARGEFILE|O_RDONLY"),
    ],
)
def test_open_flags_of_aarch64(native, expected):
    """O_DIRECTORY, O_DIRECT and O_LARGEFILE have other bits on aarch64."""
    assert expected == names("openat", "flags", native, "aarch64")


@pytest.mark.parametrize(
    ("event", "param", "native", "expected"),
    [
        ("dup3", "flags", 0o2000000, "O_CLOEXEC"),
        ("dup3", "flags", 0, "O_NONE"),
        ("pipe2", "flags", 0o2004000, "O_NONBLOCK|O_CLOEXEC"),
        ("socket", "flags", 0o2000000, "O_CLOEXEC"),
        ("socket", "domain", 2, "AF_INET"),
        ("socket", "domain", 16, "AF_ROUTE|AF_NETLINK"),
        ("socket", "domain", 40, "AF_UNSPEC"),
        ("clone", "flags", 0x10000 | 0x100, "CLONE_THREAD|CLONE_VM"),
        ("clone", "flags", 0x20000000 | CLONE_CHILD_IN_PIDNS, "CLONE_NEWPID|CLONE_CHILD_IN_PIDNS"),
        ("unshare", "flags", 0x10020000, "CLONE_NEWNS|CLONE_NEWUSER"),
        ("setns", "nstype", 0x40000000, "CLONE_NEWNET"),
        ("ptrace", "request", 16, "PTRACE_ATTACH"),
        ("ptrace", "request", 0x4206, "PTRACE_SEIZE"),
        ("ptrace", "request", 99999, "PTRACE_UNKNOWN"),
        ("fcntl", "cmd", 1030, "F_DUPFD_CLOEXEC"),
        ("fcntl", "cmd", 4242, "UNKNOWN"),
        ("access", "mode", 0, "F_OK"),
        ("access", "mode", 6, "R_OK|W_OK"),
        ("unlinkat", "flags", 0x200, "AT_REMOVEDIR"),
        ("linkat", "flags", 0x1400, "AT_SYMLINK_FOLLOW|AT_EMPTY_PATH"),
        ("fchownat", "flags", 0x100, "AT_SYMLINK_NOFOLLOW"),
        ("openat2", "resolve", 0x8 | 0x1, "RESOLVE_BENEATH|RESOLVE_NO_XDEV"),
        ("mmap", "flags", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        ("mmap", "prot", 7, "PROT_READ|PROT_WRITE|PROT_EXEC"),
        ("prctl", "option", 15, "PR_SET_NAME"),
        ("bpf", "cmd", 5, "BPF_PROG_LOAD"),
        ("renameat2", "flags", 2, "RENAME_EXCHANGE"),
        ("mount", "flags", 0xC0ED0000 | 4096, "BIND"),
        ("mount", "flags", 1 << 18, "PRIVATE"),
        ("delete_module", "flags", 0o4000, "O_NONBLOCK"),
        ("setsockopt", "level", 6, "SOL_TCP"),
        ("setsockopt", "optname", 57, "SO_COOKIE"),
        ("setsockopt", "optname", 66, "SO_RCVTIMEO"),
        ("semctl", "cmd", 0, "IPC_RMID"),
        ("quotactl", "cmd", 0x800002 << 8, "Q_QUOTAON"),
        ("memfd_create", "flags", 1, "MFD_CLOEXEC"),
        ("umount2", "flags", 2, "DETACH"),
        ("execve", "flags", 1, "EXE_WRITABLE"),
        ("shutdown", "how", 2, "SHUT_RDWR"),
        ("prlimit", "resource", 7, "RLIMIT_NOFILE"),
        ("prlimit", "resource", 77, "RLIMIT_UNKNOWN"),
    ],
)
def test_flags_by_name(event, param, native, expected):
    """A kernel value is shown by the name that the kernel's headers give it."""
    assert expected == names(event, param, native)


@pytest.mark.parametrize(
    ("event", "native", "expected"),
    [("chmod", 0o106755, 0o6755), ("mknod", 0o644, 0o100644), ("mknod", 0o20660, 0o20660)],
)
def test_modes(event, native, expected):
    """chmod keeps permission and special bits, mknod the kind of file too (none is a regular)."""
    event_type = find_type(event)
    decode = live_decoders(event_type)[event_type.param_index["mode"]]

    assert expected == decode(native.to_bytes(4, "little"))


def test_accept4_flags_are_translated():
    """accept4's flags have no table in the schema but hold the bits of open flags."""
    event_type = find_type("accept4")
    decode = live_decoders(event_type)[event_type.param_index["flags"]]

    assert decode((0o2000000).to_bytes(4, "little")) == 4096


def test_the_probe_sets_the_bits_that_are_read_here():
    """bpf/layout.h and this module agree on the extra bits of native words."""
    layout = (Path(__file__).parents[2] / "bpf" / "layout.h").read_text()
    bits = dict(re.findall(r"#define (\w+) \(1u << (\d+)\)", layout))

    assert {name: 1 << int(bits[name]) for name in bits if name.startswith("OPEN_")} == {
        "OPEN_CREATED": OPEN_CREATED,
        "OPEN_UPPER_LAYER": OPEN_UPPER_LAYER,
        "OPEN_LOWER_LAYER": OPEN_LOWER_LAYER,
    }


def test_every_event_has_live_decoders():
    """Each parameter of each event type can be decoded from a live record."""
    for event in load_event_table().events:
        for decode in live_decoders(event, "aarch64"):
            decode(b"\x01" * 8)
