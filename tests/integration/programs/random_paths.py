"""Random calls with relative paths, from random directories: random_paths.py SEED DIRECTORY CALLS.

Paths climb, calls remove and rename: nothing of the machine may be in reach. So children either
see an empty file system of their own and nothing else (some of them below another root in it), with
mounts in it, or they work in the directory itself, as nobody and with paths that never climb. Where
they work is renamed and removed meanwhile. Descriptors are directories, files, pipes, O_PATH ones
and closed ones. Errors of the calls are part of the game.
"""

import contextlib
import ctypes
import os
import random
import sys

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 4096, 16384, 1 << 18, 2
NOBODY = 65534
NAMES = (
    b"etc", b"shadow", b"a", b"b", b"c", b"dd", b".ssh", b"..x", b"...", b"id_rsa", b"sp ace",
    b"\xc3\xa9t\xc3\xa9", b"\x80\xff", b"n" * 40, b"w" * 24, b"v" * 25, b"seven77", b"eight888",
    b"m" * 200, b"tab\there", b"\x01", b"\x7f",
)  # fmt: skip
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0):
    """mount(2); OSError when it is refused."""
    if libc.mount(source, target, kind, flags, None):
        raise OSError(ctypes.get_errno(), "mount")


class Walker:
    """One process that makes calls."""

    def __init__(self, seed, top, *, climbs):
        self.random = random.Random(seed)
        self.top = top
        self.climbs = climbs
        self.home = os.open(".", os.O_PATH)
        self.fds = []

    def name(self):
        """A name, mostly a short one."""
        return self.random.choice(NAMES[: self.random.choice((6,) * 9 + (12, len(NAMES)))])

    def path(self):
        """A relative path, mostly plain, at times odd or absolute."""
        roll = self.random.random
        parts = [self.name() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
        text = b"/".join(parts)
        if roll() < 0.35:
            front = self.random.choice((b"./", b"../", b"../../", b"././", b".//", b"./../"))
            text = front * self.random.choice((1, 1, 2, 5, 9)) + text
        if roll() < 0.1:
            text = text.replace(b"/", self.random.choice((b"//", b"/./", b"/../")))
        if roll() < 0.1:
            text += self.random.choice((b"/", b"/.", b"/..", b"/x" * 60, b"/x" * 300))
        if roll() < 0.08:
            text = self.random.choice((b".", b"..", b"", b"../..", b"/", b"y" * 255, b"z/" * 2040))
        if not self.climbs:
            text = b"/".join(part for part in text.lstrip(b"/").split(b"/") if part != b"..")
        if roll() < 0.1:
            text = self.top + text
        return text

    def base(self):
        """Keywords that say where the path starts from."""
        roll = self.random.random()
        if roll < 0.5 or not self.fds:
            return None
        if roll < 0.55:
            return self.random.choice((-1, 999, 100_000))
        return self.random.choice(self.fds)

    def open_base(self):
        """One more descriptor to start from."""
        kind = self.random.randrange(8)
        if kind == 0:
            self.fds += os.pipe()
        elif kind == 1 and self.fds:
            with contextlib.suppress(OSError):
                os.close(self.random.choice(self.fds))
        else:
            flags = os.O_PATH if kind < 4 else os.O_RDONLY
            self.fds.append(os.open(self.path(), flags, dir_fd=self.base()))
        while len(self.fds) > 12:
            with contextlib.suppress(OSError):
                os.close(self.fds.pop(0))

    def open_file(self):
        """Opens, some of which make files."""
        flags = self.random.choice((
            os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY, os.O_RDONLY | os.O_DIRECTORY,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
        ))  # fmt: skip
        os.close(os.open(self.path(), flags, 0o644, dir_fd=self.base()))

    def change(self):
        """Calls that change the tree."""
        one, two = self.base(), self.base()
        kind = self.random.randrange(9)
        if kind < 3:
            os.mkdir(self.path(), dir_fd=one)
        elif kind == 3:
            os.rename(self.path(), self.path(), src_dir_fd=one, dst_dir_fd=two)
        elif kind == 4:
            os.link(self.path(), self.path(), src_dir_fd=one, dst_dir_fd=two)
        elif kind == 5:
            os.symlink(self.path(), self.path(), dir_fd=one)
        elif kind == 6:
            os.unlink(self.path(), dir_fd=one)
        elif kind == 7:
            os.rmdir(self.path(), dir_fd=one)
        else:
            os.chmod(self.path(), 0o4700, dir_fd=one)

    def move(self):
        """Go somewhere else: deeper, up, to a descriptor, or a directory that is gone then."""
        kind, name = self.random.randrange(8), self.name()
        if kind == 0 or self.random.random() < 0.1:
            os.fchdir(self.home)
        elif kind == 1 and self.fds:
            os.fchdir(self.random.choice(self.fds))
        elif kind == 2 and self.climbs:
            os.chdir(b"..")
        else:
            libc.mkdir(name, 0o777)
            here = os.open(b".", os.O_PATH)
            try:
                os.chdir(name)
                if kind == 3:
                    os.rmdir(name, dir_fd=here)
                elif kind == 4:
                    os.rename(name, self.name(), src_dir_fd=here, dst_dir_fd=here)
            finally:
                os.close(here)

    def mounts(self):
        """More file systems in a namespace of our own."""
        name = self.name()
        libc.mkdir(name, 0o777)
        kind = self.random.randrange(4)
        if kind == 0:
            mount(b"none", name, b"tmpfs")
        elif kind == 1:
            mount(self.top, name, None, MS_BIND)
        elif kind == 2:
            other = self.name()
            libc.mkdir(other, 0o777)
            mount(other, name, None, MS_BIND | MS_REC)
        else:
            libc.umount2(name, MNT_DETACH)
        os.chdir(name)

    def run(self, calls, *, has_mounts):
        """That many calls."""
        choices = [self.open_file] * 8 + [self.change] * 4 + [self.move] * 3 + [self.open_base] * 2
        if has_mounts:
            choices.append(self.mounts)
        else:
            assert os.getresuid() == (NOBODY,) * 3
        for _ in range(calls):
            with contextlib.suppress(OSError, ValueError):
                self.random.choice(choices)()


def hide_everything(top):
    """Leave nothing of the machine's files in sight but an empty file system."""
    for result in (
        libc.unshare(CLONE_NEWNS),
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
        libc.mount(b"none", top, b"tmpfs", 0, None),
        libc.chdir(top),
        libc.pivot_root(b".", b"."),
        libc.umount2(b".", MNT_DETACH),
        libc.chdir(b"/"),
    ):
        assert result == 0
    assert next(os.scandir("/"), None) is None


def child(seed, top, calls, circumstance):
    """In a process of its own."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if circumstance == 0:
            os.chdir(top)
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            walker = Walker(seed, top + b"/", climbs=False)
        else:
            hide_everything(top)
            outside = os.open("/", os.O_RDONLY)
            if circumstance == 2:
                libc.mkdir(b"/jail", 0o777)
                os.chroot("/jail")
                os.chdir("/")
            walker = Walker(seed, b"/", climbs=True)
            walker.fds.append(outside)
        walker.run(calls, has_mounts=walker.climbs)
        status = 0
    finally:
        os._exit(status)


def main():
    """One child after the other, so that runs with the same seed are alike."""
    seed, top, calls = int(sys.argv[1]), os.fsencode(sys.argv[2]), int(sys.argv[3])
    os.umask(0)
    for turn in range(6):
        pid = child(seed * 100 + turn, top, calls // 6, turn % 3)
        _, status = os.waitpid(pid, 0)
        assert status == 0, status


main()
