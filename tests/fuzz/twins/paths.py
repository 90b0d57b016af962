"""Random paths: plain, relative, odd, long, with bytes that no text has.

They are looked at where the machine's files are not (walls.py).
"""

from random import Random

NAMES = (
    "a", "b", "c", "f", "etc", "shadow", "passwd", "pam.d", "su", "root", ".ssh", "id_rsa", "x y",
    "link", "secret", "bin", "script", "garbage", "missing", "new", "n1", "n2", "..x", ".x", "x.",
    "shadow-", "a.b.c", "-", "~", "*", "[a]", "a,b", "a|b", "\\", "'", '"', "%d",
)  # fmt: skip
ODD_NAMES = (
    "\xff\xfe", "\xc3\xa9t\xc3\xa9", "sha\x01dow", "\x7f", "new\nline", "\t", "\xe2\x80\xae",
    "\xc0\xaf", "loop", "fifo",
)  # fmt: skip
KNOWN = (
    "a", "a/b", "a/b/c", "a/f", "a/b/f", "etc", "etc/shadow", "etc/passwd", "etc/pam.d",
    "etc/pam.d/su", "root/.ssh/id_rsa", "root/.ssh", "x y", "link", "link/f", "secret",
    "bin/script",
)  # fmt: skip
# Not /proc/self/exe: it leads out of a mount namespace, to where the program was opened before.
MACHINE = (
    "/etc/shadow", "/etc/passwd", "/etc", "/etc/hostname", "/usr/bin/true", "/usr/lib", "/root",
    "/proc/self/environ", "/proc/self/cwd/a", "/proc/self/root/etc/passwd", "/proc/self/fd/3",
    "/sys/kernel", "/dev/null", "/dev/shm", "/tmp", "/", "/etc/ssl",
    "/proc/sys/kernel/hostname", "/usr/share/doc", "/missing/x", "/etc/pam.d/su", "/root/.ssh",
)  # fmt: skip
LENGTHS = (
    6, 7, 8, 9, 15, 16, 17, 63, 64, 120, 127, 128, 200, 255, 256, 300, 500, 505, 506, 507, 508,
    509, 510, 511, 512, 513, 520, 1000, 2047, 3000, 4000, 4090, 4094, 4095, 4096, 4097, 5000,
)  # fmt: skip


class Paths:
    """Paths of one scene below `directory`/w. Text stands for bytes (Latin-1)."""

    def __init__(self, random: Random, directory: str) -> None:
        self._random = random
        self.work = f"{directory}/w"

    def any(self) -> str:
        """Any path at all."""
        random = self._random
        kind = random.randrange(20)
        if kind < 4:
            return random.choice(MACHINE)
        if kind < 6:
            return self._odd(random.choice(MACHINE))
        if kind < 7:
            return self._long()
        if kind < 8:
            return random.choice(("", ".", "..", "/", "//", "/.", "/..", "./", "../", "...", "/ "))
        return self._below()

    def _below(self) -> str:
        """In the tree, from above or from inside, by a plain or an odd way."""
        random = self._random
        if random.random() < 0.5:
            path = random.choice(KNOWN)
        else:
            names = NAMES if random.random() < 0.8 else (*NAMES, *ODD_NAMES)
            path = "/".join(random.choice(names) for _ in range(random.randint(1, 4)))
        start = random.choice(
            (
                "",
                "",
                "",
                "./",
                "../w/",
                f"{self.work}/",
                f"{self.work}/",
                f"{self.work}/",
                "/",
                "a/",
            )
        )
        path = start + path
        return self._odd(path) if random.random() < 0.3 else path

    def _odd(self, path: str) -> str:
        """The same or nearly the same place, said in another way."""
        random = self._random
        cut = random.choice([at for at, byte in enumerate(path) if byte == "/"] or [0])
        middle = random.choice(
            ("//", "/./", "/../", "/a/../", "/.//", "/..x/", "/.x/", "/ /", "///")
        )
        match random.randrange(6):
            case 0:
                return path + random.choice(("/", "//", "/.", "/..", "/./", "/../", "/...", " "))
            case 1 | 2:
                return path[:cut] + middle + path[cut + 1 :]
            case 3:
                return random.choice(("/", "/.", "/..", ".", "..", "./.")) + path
            case 4:
                at = random.randrange(len(path) + 1)
                byte = chr(random.choice((1, 9, 10, 27, 31, 32, 47, 127, 128, 255)))
                return path[:at] + byte + path[at:]
            case _:
                at = random.randrange(len(path) + 1)
                return path[:at] + path[at + 1 :]

    def _long(self) -> str:
        """A path of a length at which something may change, with a known end or beginning."""
        random = self._random
        length = random.choice(LENGTHS)
        start = random.choice((f"{self.work}/", "/etc/", "", "a/", "./", f"{self.work}/a/b/"))
        end = random.choice(("/shadow", "", "/f", "/.ssh/id_rsa", "x", "/", "/..", "\x01"))
        part = random.choice(("x", "x" * 100 + "/", "./", "/", "../a/", "ab/", "y" * 255 + "/"))
        filler = part * (length // len(part) + 1)
        return start + filler[: max(0, length - len(start) - len(end))] + end
