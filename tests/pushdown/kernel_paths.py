"""Directories in the memory of the small BPF machine: dentries, names and mounts."""

from typing import Protocol

PATH_OFFSETS = {
    "OFF_TASK_FS": 0x80, "OFF_FS_PWD": 16, "OFF_PATH_MNT": 0, "OFF_PATH_DENTRY": 8,
    "OFF_DENTRY_PARENT": 8, "OFF_DENTRY_NAME": 16, "OFF_QSTR_LEN": 4, "OFF_QSTR_NAME": 8,
    "OFF_MOUNT_MNT": 32, "OFF_MOUNT_PARENT": 8, "OFF_MOUNT_MOUNTPOINT": 16, "OFF_VFSMOUNT_ROOT": 8,
    "OFF_FILE_PATH": 24,
    **{f"BTF_{name}": 100 for name in (
        "FS", "FILES", "FDTABLE", "FILE", "MOUNT", "DENTRY", "WORDS", "SOCKET",
    )},
}  # fmt: skip
_INLINE = 32
"""Where a dentry keeps a short name, of up to 39 bytes."""


class Memory(Protocol):
    """What the machine offers."""

    def region(self, size: int, data: bytes = b"") -> int:
        """Address of new memory."""

    def write(self, address: int, size: int, value: int) -> None:
        """Put a number into memory."""

    def write_bytes(self, address: int, data: bytes) -> None:
        """Put bytes into memory."""


def levels(path: bytes) -> int:
    """Names and mounts between a directory and the root."""
    names = len([name for name in path.split(b"/") if name])
    return names + (names + 1) // 2


class Paths:
    """One tree of files. Every second directory below the root is one where something is mounted.

    What is mounted is the root of a file system by turns, and a directory in one.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        root = self._dentry(0, b"/")
        self._tops = (root, self._mount(0, 0, root))

    def _set(self, base: int, name: str, value: int, size: int = 8) -> None:
        self._memory.write(base + PATH_OFFSETS[f"OFF_{name}"], size, value)

    def _dentry(self, parent: int, name: bytes) -> int:
        """A new dentry; its own parent if there is none."""
        dentry = self._memory.region(_INLINE + 40)
        text = dentry + _INLINE if len(name) < 40 else self._memory.region(len(name) + 1)
        self._memory.write_bytes(text, name + b"\0")
        self._set(dentry, "DENTRY_PARENT", parent or dentry)
        at = dentry + PATH_OFFSETS["OFF_DENTRY_NAME"]
        self._set(at, "QSTR_LEN", len(name), 4)
        self._set(at, "QSTR_NAME", text)
        return dentry

    def _mount(self, parent: int, mountpoint: int, root: int) -> int:
        """A new mount; its own parent if there is none."""
        mount = self._memory.region(64)
        self._set(mount, "MOUNT_PARENT", parent or mount)
        self._set(mount, "MOUNT_MOUNTPOINT", mountpoint or root)
        self._set(mount + PATH_OFFSETS["OFF_MOUNT_MNT"], "VFSMOUNT_ROOT", root)
        return mount

    def write_path(self, address: int, path: bytes) -> None:
        """Put the struct path of a directory there."""
        dentry, mount = self._tops
        for depth, name in enumerate(name for name in path.split(b"/") if name):
            dentry = self._dentry(dentry, name)
            if depth % 2 == 0:
                root = self._dentry(0, b"/")
                if depth % 4 == 2:
                    root = self._dentry(root, b"unseen")
                mount = self._mount(mount, dentry, root)
                dentry = root
        self._set(address, "PATH_MNT", mount + PATH_OFFSETS["OFF_MOUNT_MNT"])
        self._set(address, "PATH_DENTRY", dentry)
