"""Fixtures of the state tests: a /proc tree on disk, states of both worlds, events to feed them."""

from pathlib import Path

import pytest

from exporter.events.host import Host
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.factories import NOW_NS, make_event
from tests.live_contexts import HOST_MNTNS


class ProcTree:
    """Builds a /proc below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = root.parent / "programs"
        self.programs.mkdir()
        (root / "stat").write_text("cpu 1 2\ncpu0 1 2\ncpu1 1 2\nbtime 1700000000\n")

    def add(
        self,
        pid: int,
        comm: str = "sleep",
        *,
        ppid: int = 1,
        argv: tuple[str, ...] = ("/bin/sleep", "9"),
        cgroup: str = "0::/init.scope\n",
        mntns: int = HOST_MNTNS,
        uid: int = 0,
        start_ticks: int = 5000,
        nested: tuple[int, int] | None = None,
        environ: bytes = b"A=1\0B=2\0",
    ) -> Path:
        """One process. start_ticks: hundredths of a second since boot. nested: its inner ids."""
        base = self.root / str(pid)
        base.mkdir()
        (base / "ns").mkdir()
        inner = f"\t{nested[0]}" if nested else ""
        (base / "comm").write_text(comm + "\n")
        (base / "cmdline").write_bytes(b"".join(arg.encode() + b"\0" for arg in argv))
        (base / "environ").write_bytes(environ)
        (base / "cgroup").write_text(cgroup)
        (base / "loginuid").write_text("1000")
        (base / "limits").write_text(
            "Limit  Soft  Hard  Units\nMax open files   512  1024  files\n"
        )
        (base / "status").write_text(
            f"Name:\t{comm}\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{ppid}\n"
            f"Uid:\t9\t{uid}\t9\t9\nGid:\t9\t{uid}\t9\t9\nNSpid:\t{pid}{inner}\n"
            f"NStgid:\t{pid}{inner}\nNSpgid:\t{pid}{inner}\nVmSize:\t  100 kB\nVmRSS:\t 50 kB\n"
            "VmSwap:\t 1 kB\nCapInh:\t00\nCapPrm:\tff\nCapEff:\t0f\n"
        )
        fields = ["0"] * 50
        fields[0], fields[1], fields[2], fields[3], fields[4] = (
            "S",
            str(ppid),
            str(pid),
            "77",
            "34816",
        )
        fields[7], fields[9], fields[19] = "3", "4", str(start_ticks)
        (base / "stat").write_text(f"{pid} ({comm}) {' '.join(fields)}\n")
        program = self.programs / argv[0].lstrip("/").replace("/", "_") if argv else self.programs
        program.touch()
        (base / "exe").symlink_to(program)
        (base / "cwd").symlink_to("/home/ann")
        (base / "root").symlink_to("/")
        (base / "ns" / "mnt").symlink_to(f"mnt:[{mntns}]")
        return base

    def remove(self, pid: int) -> None:
        """The process ends."""
        (self.root / str(pid)).rename(self.root / f"gone-{pid}")


@pytest.fixture
def proc(tmp_path) -> ProcTree:
    """A /proc with an init."""
    root = tmp_path / "proc"
    root.mkdir()
    tree = ProcTree(root)
    tree.add(1, "init", ppid=0, argv=("/sbin/init",), start_ticks=1)
    return tree


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """An /etc with two users and a group."""
    root = tmp_path / "etc"
    root.mkdir()
    (root / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\nann:x:1000:4:Ann:/home/ann:/bin/sh\n+nis::::::\n"
    )
    (root / "group").write_text("root:x:0:\nadm:x:4:ann\n")
    return root


@pytest.fixture
def live(proc, etc) -> State:
    """The state of a live host, before its scan."""
    return State(
        Host(boot_ts_ns=NOW_NS - 1000 * 1_000_000_000),
        keep_fds=False,
        procfs=Procfs(proc.root),
        etc=etc,
    )


@pytest.fixture
def replay() -> State:
    """The state of a capture."""
    return State(Host(boot_ts_ns=1_600_000_000_000_000_000), keep_fds=True)


class Feeder:
    """Feeds events to a state, both halves, and gives them back as the rules saw them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.now_ns = NOW_NS
        self.num = 0

    def seen(self, name: str, tid: int, /, *, live=None, after_ns: int = 1000, **params):
        """One event up to the point where rules look at it."""
        self.num += 1
        self.now_ns += after_ns
        event = make_event(
            name,
            proc=None,
            host=self.state.host,
            params=params,
            tid=tid,
            num=self.num,
            ts_ns=self.now_ns,
            live=live,
        )
        self.state.before(event)
        return event

    def __call__(self, name: str, tid: int, /, **arguments):
        """One event, rules and clean-up included."""
        event = self.seen(name, tid, **arguments)
        self.state.after(event)
        return event

    def fork(self, parent: int, child: int, /, **arguments) -> None:
        """Both events of a fork."""
        facts = {"exe": b"/bin/sh", "args": [b"-c"], "comm": b"sh", "uid": 0, "gid": 0}
        facts.update(arguments)
        self("clone", parent, res=child, tid=parent, pid=parent, ptid=1, vtid=parent,
             vpid=parent, flags=0, **facts)  # fmt: skip
        self("clone", child, res=0, tid=child, pid=child, ptid=parent, vtid=child, vpid=child,
             flags=0, **facts)  # fmt: skip

    def execve(self, tid: int, exe: bytes = b"/bin/cat", /, **arguments):
        """A successful exec."""
        facts = {
            "res": 0, "exe": exe, "args": [b"-n"], "tid": tid, "pid": tid, "ptid": 1,
            "comm": exe.rsplit(b"/", 1)[-1], "env": [b"A=1"], "flags": 1, "uid": 0, "gid": 0,
            "trusted_exepath": exe, "cap_inheritable": 0, "cap_permitted": 3, "cap_effective": 3,
            "tty": 0, "pgid": tid, "vpgid": tid,
        }  # fmt: skip
        facts.update(arguments)
        return self("execve", tid, **facts)

    def thread(self, tid: int):
        """The entry of a thread."""
        return self.state.host.threads.get(tid)


@pytest.fixture
def captured(replay) -> Feeder:
    """Feeds a capture's state."""
    return Feeder(replay)


@pytest.fixture
def fed(live) -> Feeder:
    """Feeds a live state that has scanned its /proc."""
    live.scan()
    return Feeder(live)
