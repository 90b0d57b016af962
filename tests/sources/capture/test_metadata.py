"""Blocks before the first event: every version, both byte orders."""

import pytest

from exporter.events.fd import FdType, L4Proto, Role
from exporter.events.thread import UNKNOWN_ID
from tests.captures.replayed import replay
from tests.captures.writer import (
    BOOT_NS,
    FD_LISTS,
    INTERFACE_LISTS,
    USER_LISTS,
    Capture,
    FdEntry,
    Process,
)

ORDERS = pytest.mark.parametrize("big_endian", [False, True])
FULL = Process(
    4242,
    "nginx",
    pid=4240,
    ptid=7,
    sid=8,
    vpgid=9,
    exe="nginx: master",
    exepath="/usr/sbin/nginx",
    args=("-g", "daemon off;"),
    cwd="/srv",
    fdlimit=-5,
    flags=1 << 30,
    uid=33,
    gid=44,
    memory_kb=(100, 50, 3),
    faults=(1 << 40, 2),
    env=("A=1", "B="),
    vtid=2,
    vpid=1,
    cgroups=("cpu=/a", "memory=/b=c"),
    root="/jail",
    pidns_start_ns=123,
    tty=34816,
    loginuid=1000,
    exe_writable=1,
    caps=(1, 1 << 40, 3),
    exe_upper_layer=1,
    exe_ino=(11, 12, 13),
    exe_from_memfd=1,
    exe_lower_layer=1,
    pgid=77,
)


def with_event(capture: Capture) -> Capture:
    """A capture needs an event to be one."""
    return capture.event("PPME_SYSCALL_READ_X", 1, res=0)


@ORDERS
@pytest.mark.parametrize("version", range(1, 10))
def test_every_version_of_the_process_list(version: int, *, big_endian: bool) -> None:
    """A field is there from its version on and has its default before."""
    capture = Capture(big_endian=big_endian).processes(FULL, Process(9, "sh"), version=version)
    threads = replay(with_event(capture)).host.threads
    thread = threads[4242]

    def since(first: int, value, default):
        return value if version >= first else default

    assert (thread.tid, thread.pid, thread.ptid) == (4242, 4240, 0)  # Its parent is not there.
    assert (thread.comm, thread.exe) == (b"nginx", b"nginx: master")
    assert (thread.args, thread.cwd) == ((b"-g", b"daemon off;"), b"/srv/")
    assert (thread.fdlimit, thread.flags, thread.uid, thread.gid) == (-5, 1 << 30, 33, 44)
    assert (thread.vmsize_kb, thread.vmrss_kb, thread.vmswap_kb, thread.pfmajor) == since(
        2, (100, 50, 3, 1 << 40), (0, 0, 0, 0)
    )
    assert thread.env == since(3, (b"A=1", b"B="), ())
    assert (thread.vtid, thread.vpid) == since(4, (2, 1), (-1, -1))
    assert thread.cgroups == since(4, ((b"cpu", b"/a"), (b"memory", b"/b=c")), ())
    assert thread.root == since(5, b"/jail", b"/")
    assert thread.sid == since(6, 8, -1)
    assert thread.exepath == since(7, b"/usr/sbin/nginx", b"")
    assert thread.vpgid == since(8, 9, -1)
    assert (thread.pidns_init_start_ts_ns, thread.tty) == since(9, (123, 34816), (0, 0))
    assert thread.loginuid == since(9, 1000, UNKNOWN_ID)
    assert thread.cap_permitted == since(9, 1 << 40, 0)
    assert (thread.exe_ino, thread.exe_ino_ctime_ns, thread.exe_ino_mtime_ns) == since(
        9, (11, 12, 13), (0, 0, 0)
    )
    layers = (thread.exe_writable, thread.exe_upper_layer, thread.exe_lower_layer)
    assert layers == since(9, (True, True, True), (False, False, False))
    assert (thread.exe_from_memfd, thread.pgid) == since(9, (True, 77), (False, -1))
    assert threads[9].comm == b"sh"


@pytest.mark.parametrize(("kind", "version"), [(0x8000ABCD, 1), (0x8013ABCD, 2), (0x8014ABCD, 3)])
def test_process_lists_of_before_the_first_release(kind: int, version: int) -> None:
    """The numbers of the pre-release lists stand for versions 1 to 3."""
    capture = Capture().processes(FULL, version=version, kind=kind)
    assert replay(with_event(capture)).host.threads[4242].gid == 44


@pytest.mark.parametrize("size", range(68))
def test_a_tail_may_end_after_any_field(size: int) -> None:
    """Each field of the tail is read if it is whole; what follows is found all the same."""
    process = Process(5, "a", loginuid=6, pgid=7, tty=8, tail_bytes=size, has_pidns=size > 29)
    capture = Capture().processes(process, Process(6, "b"))
    threads = replay(with_event(capture)).host.threads
    assert threads[6].comm == b"b"
    assert threads[5].loginuid == (6 if size >= (16 if size > 29 else 4) else UNKNOWN_ID)
    assert threads[5].tty == (8 if size > 29 else 0)


def test_unknown_tails_are_passed_over() -> None:
    """What a newer release appends to an entry disturbs nothing."""
    capture = Capture()
    capture.processes(Process(5, "a", unknown_tail=b"news"), Process(6, "b"))
    capture.fds(5, FdEntry(1, 1, "/x", unknown_tail=b"12345"), FdEntry(2, 1, "/y"))
    capture.users((5, 6, "eve", "/", "/bin/sh"), groups=((7, "staff"),), unknown_tail=b"more")
    host = replay(with_event(capture)).host
    assert host.threads[6].comm == b"b"
    assert host.threads[5].fds[2].name == b"/y"
    assert host.users[b"", 5].name == b"eve"
    assert host.groups[b"", 7].name == b"staff"


def test_only_leaders_keep_directory_and_environment() -> None:
    """The other threads of a process share what their leader has."""
    capture = Capture().processes(
        Process(5, "a", cwd="/five", env=("A=1",)),
        Process(6, "a", pid=5, cwd="/five", env=("A=1",)),
    )
    threads = replay(with_event(capture)).host.threads
    assert (threads[5].cwd, threads[5].env) == (b"/five/", (b"A=1",))
    assert (threads[6].cwd, threads[6].env) == (b"", ())


@ORDERS
@pytest.mark.parametrize("version", FD_LISTS)
def test_every_kind_of_descriptor(version: int, *, big_endian: bool) -> None:
    """Each kind of entry is read whole, so that the next one is found."""
    entries = [
        FdEntry(0, 0),
        *(FdEntry(kind, kind, f"name {kind}", ino=kind) for kind in (1, 2, 7, *range(9, 16))),
        *(FdEntry(kind, kind, f"name {kind}") for kind in range(17, 22)),
        FdEntry(3, 3, source=("10.0.0.1", 40000), dest=("10.0.0.2", 443)),
        FdEntry(4, 4, source=("fd00::1", 40000), dest=("fd00::2", 53), l4=3),
        FdEntry(5, 5, source=("0.0.0.0", 22)),
        FdEntry(6, 6, source=("::", 80)),
        FdEntry(8, 8, "/run/x.sock", unix=(1 << 60, 3)),
        FdEntry(16, 16, "/var/log/x", flags=0x3001, ino=99, device=2049),
        FdEntry(-1, 1, "last"),
    ]
    capture = Capture(big_endian=big_endian).processes(Process(5)).fds(5, *entries, version=version)
    if version == 1:
        entries[-2].device = None
        capture = Capture(big_endian=big_endian).processes(Process(5))
        capture.fds(5, *entries, version=version)
    fds = replay(with_event(capture)).host.threads[5].fds
    assert sorted(fds) == [-1, *range(22)]
    assert all(fds[number].type == number for number in range(22))
    assert fds[0].name == b""
    assert fds[13].name == b"name 13"
    assert (fds[1].name, fds[1].ino) == (b"name 1", 1)
    assert (fds[3].name, fds[3].role) == (b"10.0.0.1:40000->10.0.0.2:443", Role.CLIENT)
    assert (fds[4].name, fds[4].l4) == (b"fd00::1:40000->fd00::2:53", L4Proto.UDP)
    assert (fds[5].name, fds[5].role, fds[5].dport) == (b"0.0.0.0:22", Role.NONE, 22)
    assert fds[6].name == b":::80"
    assert (fds[8].unix_source, fds[8].unix_dest, fds[8].name) == (1 << 60, 3, b"/run/x.sock")
    assert (fds[16].openflags, fds[16].dev) == (0x3001, 2049 if version == 2 else 0)
    assert fds[-1].name == b"last"


def test_kinds_of_descriptor_of_a_newer_release() -> None:
    """They are called by their number and passed over by their length."""
    capture = Capture().processes(Process(5)).fds(5, FdEntry(1, 22, "?"), FdEntry(2, 1, "/y"))
    fds = replay(with_event(capture)).host.threads[5].fds
    assert (fds[1].type, fds[1].name) == (FdType.UNSUPPORTED, b"unknown-type:[22]")
    assert fds[2].name == b"/y"


def test_descriptors_of_nobody_are_ignored() -> None:
    """A list of a thread that is not in the process list is passed over."""
    capture = Capture().processes(Process(5)).fds(6, FdEntry(1, 1, "/x"))
    assert replay(with_event(capture)).source.error is None


@ORDERS
@pytest.mark.parametrize("with_speed", [True, False])
@pytest.mark.parametrize("version", INTERFACE_LISTS)
def test_every_kind_of_interface(version: int, *, with_speed: bool, big_endian: bool) -> None:
    """IPv4 and IPv6, with and without link speed."""
    items = (("lo", "127.0.0.1", "255.0.0.0"), ("eth0", "fd00::1", "ffff::"))
    capture = Capture(big_endian=big_endian)
    capture.interfaces(*items, version=version, with_speed=with_speed)
    found = replay(with_event(capture)).host.interfaces
    assert [(item.name, len(item.address)) for item in found] == [(b"lo", 4), (b"eth0", 16)]
    assert found[0].broadcast == bytes([127, 255, 255, 255])


@ORDERS
@pytest.mark.parametrize("version", USER_LISTS)
def test_users_of_the_last_list_count(version: int, *, big_endian: bool) -> None:
    """A second list replaces the first; root is known in any case."""
    capture = Capture(big_endian=big_endian)
    capture.users((1, 1, "old", "/", ""), version=version)
    capture.users((2, 3, "eve", "/home/eve", "/bin/sh"), groups=((4, "staff"),), version=version)
    host = replay(with_event(capture)).host
    assert {key: user.name for key, user in host.users.items()} == {
        (b"", 0): b"root",
        (b"", 2): b"eve",
    }
    assert host.groups[b"", 4].name == b"staff"


@ORDERS
@pytest.mark.parametrize("kind", [0x201, 0x8002ABCD])
def test_machine(kind: int, *, big_endian: bool) -> None:
    """Host name, CPUs and boot time."""
    capture = Capture(big_endian=big_endian).machine("node-1", cpus=64, kind=kind)
    host = replay(with_event(capture)).host
    assert (host.hostname, host.num_cpus, host.boot_ts_ns) == (b"node-1", 64, BOOT_NS)


def test_options_and_unknown_blocks_are_passed_over() -> None:
    """Options of the section header and blocks of unknown types say nothing we need."""
    capture = Capture(options=b"\x01\x00\x04\x00test\0\0\0\0").block(0x4242, b"whatever")
    assert replay(with_event(capture)).source.num == 1


def test_lists_are_optional() -> None:
    """A capture may begin with its events."""
    assert replay(with_event(Capture())).source.num == 1
