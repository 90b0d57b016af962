"""Walls around random system calls made as root: set up first, then the actor is started inside.

    unshare --net --mount --ipc --uts --pid --fork python3 -I -S walls.py DIRECTORY CAPABILITIES ...

What is inside: a root of tmpfs, read-only, with some files of made-up content; the machine's /usr,
read-only; a fresh /proc, read-only; DIRECTORY, a tmpfs, the only place that can be written. The
old root is let go of before the actor is executed, so that neither its program nor its directory
nor a descriptor leads out. It has no capability but those named.

Scenes are made smaller by leaving acts out. So nothing that a scene itself does may be needed to
keep it harmless: all of that is done here.
"""

import ctypes
import os
import sys

_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
_OLD = "old"
FILES = (
    "etc/shadow", "etc/passwd", "etc/hostname", "etc/pam.d/su", "root/.ssh/id_rsa", "etc/ssl/x",
    "etc/group",
)  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0, options=None):
    """mount(2). Raises OSError."""
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else options.encode()
    if libc.mount(*texts, ctypes.c_ulong(flags), data):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def enter(root):
    """Make a directory, which must be a mount, the root, and let go of what was the root."""
    os.mkdir(f"{root}/{_OLD}")  # noqa: PTH102
    if libc.syscall(_PIVOT_ROOT, os.fsencode(root), os.fsencode(f"{root}/{_OLD}")):
        raise OSError(ctypes.get_errno(), "pivot_root", root)
    os.chdir("/")
    if libc.umount2(f"/{_OLD}".encode(), _MNT_DETACH):
        raise OSError(ctypes.get_errno(), "umount", root)
    os.rmdir(f"/{_OLD}")  # noqa: PTH106


def build(directory, actor):
    """The new root, entered. Only `directory` can be written afterwards."""
    root = "/mnt"
    mount(None, "/", flags=_MS_REC | _MS_PRIVATE)
    mount("walls", root, "tmpfs", _MS_NOSUID, "mode=755")
    for name in ("usr", "proc", "dev", "tmp", "sys/kernel", directory.strip("/")):
        os.makedirs(f"{root}/{name}", exist_ok=True)  # noqa: PTH103
    for name in ("bin", "lib", "lib64", "sbin"):
        os.symlink(f"usr/{name}", f"{root}/{name}")  # noqa: PTH211
    for name in FILES:
        os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)  # noqa: PTH103, PTH120
        with open(f"{root}/{name}", "w") as file:  # noqa: PTH123
            file.write("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    with open(actor) as source, open(f"{root}/actor.py", "w") as file:  # noqa: PTH123
        file.write(source.read())
    with open(__file__) as source, open(f"{root}/walls.py", "w") as file:  # noqa: PTH123
        file.write(source.read())
    os.mknod(f"{root}/dev/null", 0o20666, os.makedev(1, 3))
    mount("/usr", f"{root}/usr", flags=_MS_BIND)
    mount(None, f"{root}/usr", flags=_MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID)
    mount("proc", f"{root}/proc", "proc", _MS_RDONLY | _MS_NOSUID)
    mount("scene", f"{root}/{directory}", "tmpfs", _MS_NOSUID, "mode=755")
    enter(root)
    mount(None, "/", flags=_MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID)


def check(directory, allowed):
    """Exit unless everything but `directory` is read-only and no other capability is left."""
    with open("/proc/self/mountinfo") as lines:  # noqa: PTH123
        mounts = [line.split() for line in lines]
    for fields in mounts:
        if fields[4] != directory and "ro" not in fields[5].split(","):
            sys.exit(f"the walls have a hole: {fields[4]} can be written")
    if len(mounts) > _MOST_MOUNTS:
        sys.exit(f"the walls have {len(mounts)} mounts")
    with open("/proc/self/status") as lines:  # noqa: PTH123
        status = dict(line.split(":", 1) for line in lines)
    for name in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"):
        if int(status[name], 16) & ~allowed:
            sys.exit(f"the walls have a hole: {name} is {status[name].strip()}")
    if os.getpid() != 1:
        sys.exit("the walls have a hole: not the first of a pid namespace")


_MOST_MOUNTS = 6
_NUMBERS = {
    "chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7,
    "net_bind_service": 10, "net_raw": 13, "sys_chroot": 18, "sys_admin": 21,
}  # fmt: skip


def mask_of(capabilities):
    """Capabilities by name, separated by commas, as a number."""
    return sum(1 << _NUMBERS[name] for name in capabilities.split(","))


def main():
    """Build the walls, then become the actor."""
    directory, capabilities, actor = sys.argv[1:4]
    build(directory, actor)
    kept = ",".join(f"+{name}" for name in capabilities.split(","))
    python = "/usr/bin/python3"
    inside = [python, "-I", "-S", "/actor.py", directory, capabilities]
    # The bounding set is what a program executed by root may have at most.
    os.execv("/usr/bin/setpriv", [
        "setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all", "--no-new-privs", *inside,
    ])  # fmt: skip


if __name__ == "__main__":
    main()
