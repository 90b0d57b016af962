"""The probe tells file system calls as the caller made them, on the real kernel."""

import os
import stat
from typing import Any

import pytest

from exporter.events.table import load_event_table
from tests.integration.probe_rig import Rig, of, only

FLAGS = dict(load_event_table().value_tables["file_flags"])
RESOLVE = dict(load_event_table().value_tables["openat2_flags"])


@pytest.fixture(scope="module")
def rig():
    rig = Rig()
    yield rig
    rig.close()


def test_openat_of_a_new_file(rig, tmp_path):
    """openat tells result, path, flags, mode, and device and inode of the file it made."""
    path = tmp_path / "made"

    pid, out, events = rig.run(
        f"""
        os.umask(0)
        out["fd"] = os.open({str(path)!r}, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o640)
        """
    )

    event = only(events, "openat", pid, name=os.fsencode(path))
    facts = path.stat()
    assert event.named_param("fd") == out["fd"]
    assert event.named_param("dirfd") == -100
    assert event.named_param("mode") == 0o640
    assert event.named_param("dev") == facts.st_dev
    assert event.named_param("ino") == facts.st_ino
    expected = ("O_WRONLY", "O_CREAT", "O_EXCL", "O_CLOEXEC", "O_F_CREATED")
    assert event.named_param("flags") == sum(FLAGS[name] for name in expected)


def test_openat_of_a_missing_file(rig):
    """A failed open tells the error and the path, no device and no inode."""
    pid, _, events = rig.run(
        """
        try:
            os.open("/nonexistent/file", os.O_RDONLY)
        except FileNotFoundError:
            pass
        """
    )

    event = only(events, "openat", pid, name=b"/nonexistent/file")
    assert (event.named_param("fd"), event.named_param("dev"), event.named_param("ino")) == (
        -2,
        0,
        0,
    )


def test_relative_path_carries_the_working_directory(rig, tmp_path):
    """An event with a relative path brings the caller's working directory along."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("x")

    pid, _, events = rig.run(
        f"""
        os.chdir({str(tmp_path)!r})
        os.open("sub/file", os.O_RDONLY)
        """
    )

    assert only(events, "openat", pid, name=b"sub/file").live.cwd == os.fsencode(tmp_path)
    chdir = only(events, "chdir", pid)
    assert chdir.named_param("path") == os.fsencode(tmp_path)
    assert chdir.live.cwd == os.fsencode(tmp_path)


def test_dirfd_carries_its_path(rig, tmp_path):
    """A path relative to a descriptor brings the descriptor's directory along."""
    pid, out, events = rig.run(
        f"""
        out["fd"] = os.open({str(tmp_path)!r}, os.O_RDONLY | os.O_DIRECTORY)
        os.mkdir("a", 0o711, dir_fd=out["fd"])
        os.rename("a", "b", src_dir_fd=out["fd"], dst_dir_fd=out["fd"])
        os.rmdir("b", dir_fd=out["fd"])
        """
    )

    mkdir = only(events, "mkdirat", pid, path=b"a")
    assert mkdir.named_param("dirfd") == out["fd"]
    assert mkdir.named_param("mode") == 0o711
    assert mkdir.live.dirfd_path == os.fsencode(tmp_path)
    rename = only(events, "renameat", pid, oldpath=b"a", newpath=b"b")
    assert rename.live.dirfd_path == os.fsencode(tmp_path)
    assert rename.live.dirfd2_path == os.fsencode(tmp_path)
    unlink = only(events, "unlinkat", pid, name=b"b")
    assert unlink.named_param("flags") == 0x200
    assert unlink.live.dirfd_path == os.fsencode(tmp_path)


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "unlink": ("os.unlink('f')", {"res": 0, "path": b"f"}),
    "rename": ("os.rename('f', 'g')", {"oldpath": b"f", "newpath": b"g"}),
    "link": ("os.link('f', 'g')", {"oldpath": b"f", "newpath": b"g"}),
    "symlink": ("os.symlink('/etc/x', 'g')", {"target": b"/etc/x", "linkpath": b"g"}),
    "mkdir": ("os.mkdir('d', 0o750)", {"path": b"d", "mode": 0o750}),
    "rmdir": ("os.mkdir('d'); os.rmdir('d')", {"path": b"d"}),
    "chmod": ("os.chmod('f', 0o4755)", {"filename": b"f", "mode": 0o4755}),
    "fchmod": ("os.fchmod(9, 0o600)", {"fd": 9, "mode": 0o600}),
    "dup": ("SYSCALL(32, 9)", {"oldfd": 9}),
    "dup3": ("os.dup2(9, 50, inheritable=False)", {"res": 50, "oldfd": 9, "newfd": 50}),
    "dup2": ("os.dup2(9, 50)", {"res": 50, "oldfd": 9, "newfd": 50}),
    "fchdir": ("os.fchdir(os.open('/usr', os.O_RDONLY))", {"res": 0}),
}


@pytest.mark.parametrize("name", CALLS)
def test_simple_calls(rig, tmp_path, name):
    """Each call is told once, with its arguments in the parameters of its event."""
    code, expected = CALLS[name]
    (tmp_path / "f").write_text("x")

    pid, _, events = rig.run(
        f"""
        import ctypes
        SYSCALL = ctypes.CDLL(None).syscall
        os.chdir({str(tmp_path)!r})
        os.dup2(os.open('f', os.O_RDWR), 9, inheritable=False)
        {code}
        """
    )

    aliases = {"rename": ("renameat", "renameat2"), "unlink": ("unlinkat",), "link": ("linkat",)}
    name = next((n for n in (name, *aliases.get(name, ())) if of(events, n, pid)), name)
    only(events, name, pid, **expected)


def test_open_result_zero_and_descriptor_facts(rig, tmp_path):
    """fchmod and dup bring path, device, inode and kind of the descriptor along."""
    path = tmp_path / "file"
    path.write_text("x")

    pid, out, events = rig.run(
        f"""
        out["fd"] = os.open({str(path)!r}, os.O_RDWR)
        os.fchmod(out["fd"], 0o600)
        out["pipe"] = os.pipe()
        import ctypes
        out["copy"] = ctypes.CDLL(None).syscall(32, out["pipe"][0])
        out["dir"] = os.open("/usr", os.O_RDONLY)
        os.fchdir(out["dir"])
        """
    )

    fd = only(events, "fchmod", pid).live.fds[out["fd"]]
    assert (fd.type.name, fd.name, fd.ino) == ("FILE_V2", os.fsencode(path), path.stat().st_ino)
    assert fd.dev == path.stat().st_dev
    assert fd.openflags & 3 == 3
    copy = only(events, "dup", pid, oldfd=out["pipe"][0]).live.fds
    assert copy[out["copy"]].type.name == "PIPE"
    directory = only(events, "fchdir", pid).live
    assert (directory.fds[out["dir"]].type.name, directory.fds[out["dir"]].name) == (
        "DIRECTORY",
        b"/usr",
    )
    assert directory.cwd == b"/usr"


def test_path_beyond_a_chroot(rig, tmp_path):
    """Directories are told from the root of the mount namespace, not from a chroot."""
    (tmp_path / "in").mkdir()

    pid, _, events = rig.run(
        f"""
        os.chroot({str(tmp_path)!r})
        os.chdir("/in")
        try:
            os.open("x", os.O_RDONLY)
        except FileNotFoundError:
            pass
        """
    )

    assert only(events, "openat", pid, name=b"x").live.cwd == os.fsencode(tmp_path / "in")
    assert only(events, "chroot", pid).named_param("path") == os.fsencode(tmp_path)


def test_long_path_is_flagged(rig):
    """A path of the longest length is kept whole; the kernel itself refuses longer ones."""
    long = b"/" + b"x/" * 2046 + b"yz"
    assert len(long) == 4095

    pid, _, events = rig.run(
        f"""
        try:
            os.open({long!r}, os.O_RDONLY)
        except OSError:
            pass
        """
    )

    assert only(events, "openat", pid, name=long).raw[2] == long + b"\0"


def test_mode_is_zero_without_creation(rig):
    """The mode argument of an open that creates nothing is not told."""
    pid, _, events = rig.run('os.open("/etc/hostname", os.O_RDONLY, 0o777)')

    assert only(events, "openat", pid, name=b"/etc/hostname").named_param("mode") == 0


def test_openat2_and_open(rig, tmp_path):
    """open, creat and openat2 are told as events of their own, with their own arguments."""
    path = tmp_path / "file"

    pid, _, events = rig.run(
        f"""
        import ctypes, struct
        libc = ctypes.CDLL(None, use_errno=True)
        how = ctypes.create_string_buffer(struct.pack("<QQQ", os.O_RDONLY, 0, 8))
        libc.syscall(85, {os.fsencode(path)!r}, 0o604)
        libc.syscall(437, -100, b"relative", how, 24)
        libc.syscall(2, {os.fsencode(path)!r}, os.O_RDONLY, 0)
        """
    )

    assert only(events, "creat", pid).named_param("mode") == 0o604
    openat2 = only(events, "openat2", pid, name=b"relative")
    assert openat2.named_param("resolve") == RESOLVE["RESOLVE_BENEATH"]
    assert openat2.live.cwd is not None
    assert only(events, "open", pid).named_param("ino") == path.stat().st_ino
    assert stat.S_ISREG(path.stat().st_mode)
