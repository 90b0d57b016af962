"""Performs scenes: what the twins watch. Runs inside the walls (walls.py) or a container.

    python3 -I -S actor.py DIRECTORY CAPABILITIES

Checks the walls, says "ready", then reads one scene a line, a JSON object with `acts`, a list of
acts. Each scene runs in a fresh child, which starts in DIRECTORY/w, a fresh tree (`_build_tree`).
An actor with the capability sys_admin has each child enter a root that is nothing but a tmpfs
first. Prints "done" when the child has ended.

Acts:
- `call`, `nr`, `args`: a system call. `keep` remembers its result under a name.
- `fork`, `thread`: acts in a child process or a thread, waited for.
- `exec`: a program by path, with `argv` (and `env`, `how`: execve, spawn), waited for.
- `memfd`: the program at the path, copied into a memfd and run from there.

An argument is a number or an object: `s` text with a NUL, `hex` bytes, `fd` a remembered result,
`mem` memory of 64-bit words, which are arguments again.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
import walls  # type: ignore[import-not-found]

SECONDS_A_SCENE = 2
_CLONE_NEWNS = 0x20000
_TRUE = "/usr/bin/busybox"

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Scene:
    """What the acts of a scene share."""

    def __init__(self):
        self.kept = {}
        self.buffers = []

    def argument(self, value):
        """One argument as a C long or a pointer."""
        if isinstance(value, int):
            return ctypes.c_long(value)
        if "s" in value:
            return self._memory(value["s"].encode("latin-1") + b"\0")
        if "hex" in value:
            return self._memory(bytes.fromhex(value["hex"]))
        if "fd" in value:
            return ctypes.c_long(self.kept.get(value["fd"], -1))
        words = [self.argument(word).value or 0 for word in value["mem"]]
        return self._memory(bytes((ctypes.c_ulong * len(words))(*words)))

    def _memory(self, data):
        buffer = ctypes.create_string_buffer(data, len(data))
        self.buffers.append(buffer)
        return ctypes.c_void_p(ctypes.addressof(buffer))

    def perform(self, acts):
        """One after the other; what fails has been seen by the probe all the same."""
        for act in acts:
            self.buffers.clear()
            self._perform(act)

    def _perform(self, act):
        if "call" in act:
            result = libc.syscall(act["nr"], *map(self.argument, act["args"]))
            if "keep" in act:
                self.kept[act["keep"]] = result
        elif "fork" in act:
            in_child(lambda: self.perform(act["fork"]))
        elif "thread" in act:
            thread = threading.Thread(target=self.perform, args=(act["thread"],))
            thread.start()
            thread.join()
        elif "exec" in act:
            self._run(act)
        elif "memfd" in act:
            in_child(lambda: self._run_from_memory(act))

    def _run(self, act):
        path, argv, env = _program(act)
        if act.get("how") == "spawn" and argv:
            with contextlib.suppress(OSError, ValueError):
                os.waitpid(os.posix_spawn(path, argv, env), 0)
            return
        arguments = (ctypes.c_char_p * (len(argv) + 1))(*argv)
        texts = [name + b"=" + value for name, value in env.items()]
        environment = (ctypes.c_char_p * (len(texts) + 1))(*texts)
        in_child(lambda: libc.execve(path, arguments, environment))

    def _run_from_memory(self, act):
        path, argv, env = _program({**act, "exec": act["memfd"]})
        memory = os.memfd_create(act.get("name", "image"), os.MFD_CLOEXEC)
        with open(path, "rb") as file:  # noqa: PTH123
            os.write(memory, file.read())
        os.execve(memory, argv or [b""], env)


def _program(act):
    """Path, arguments and environment of an act."""
    texts = [text.encode("latin-1") for text in act.get("env", [])]
    env = dict(text.split(b"=", 1) for text in texts if b"=" in text)
    argv = [text.encode("latin-1") for text in act["argv"]]
    return act["exec"].encode("latin-1"), argv, env


def in_child(work):
    """Work in a forked child that ends in any case; waits for it."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(SECONDS_A_SCENE)
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _leave_all_but(directory):
    """A root of the scene's own, in which nothing is but an empty directory and a program."""
    if walls.libc.unshare(_CLONE_NEWNS):
        os._exit(3)
    with open(_TRUE, "rb") as file:  # noqa: PTH123
        program = file.read()
    walls.mount("scene", directory, "tmpfs", 0, "mode=755")
    walls.enter(directory)
    os.makedirs(f"{directory}/w")  # noqa: PTH103
    os.mkdir("/bin")  # noqa: PTH102
    with open("/bin/true", "wb") as file:  # noqa: PTH123
        file.write(program)
    os.chmod("/bin/true", 0o755)  # noqa: PTH101


def _build_tree(directory):
    """Directories, files, links and programs with the names that acts and rules speak of."""
    work = os.path.join(directory, "w")  # noqa: PTH118
    shutil.rmtree(work, ignore_errors=True)
    for name in ("", "a", "a/b", "a/b/c", "etc", "etc/pam.d", "root", "root/.ssh", "x y", "bin"):
        os.mkdir(f"{work}/{name}")  # noqa: PTH102
    for name in ("etc/shadow", "etc/passwd", "etc/pam.d/su", "root/.ssh/id_rsa", "a/f", "a/b/f"):
        with open(f"{work}/{name}", "w") as file:  # noqa: PTH123
            file.write("text\n")
    for name, target in (("link", "a/b"), ("secret", "etc/shadow"), ("loop", "loop")):
        os.symlink(target, f"{work}/{name}")  # noqa: PTH211
    with open(f"{work}/bin/script", "w") as file:  # noqa: PTH123
        file.write("#!/bin/true with words\n")
    with open(f"{work}/bin/garbage", "w") as file:  # noqa: PTH123
        file.write("\1\2\3\4")
    for name in ("script", "garbage"):
        os.chmod(f"{work}/bin/{name}", 0o755)  # noqa: PTH101
    os.chmod(work, 0o777)  # noqa: PTH101
    os.chdir(work)


def _play(scene, directory, capabilities):
    """The child of a scene."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.closerange(3, 64)
    if "sys_admin" in capabilities:
        _leave_all_but(directory)
    _build_tree(directory)
    Scene().perform(scene["acts"])


def main():
    """Serve scenes until the input ends."""
    directory, capabilities = sys.argv[1:3]
    walls.check(directory, walls.mask_of(capabilities))
    print("ready", flush=True)
    for line in sys.stdin:
        scene = json.loads(line)
        in_child(lambda scene=scene: _play(scene, directory, capabilities))
        print("done", flush=True)


if __name__ == "__main__":
    main()
