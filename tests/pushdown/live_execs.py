"""One exec seen twice: what the kernel's filter of records sees of it, and the event Python gets.

The record is made as bpf/exec.h writes it; `lay_out` says bpf/judge.h again in Python.
"""

import struct
from dataclasses import dataclass, field

from hypothesis import strategies as st

from exporter.events.container import User
from exporter.events.event import Event
from exporter.events.native import live_decoders
from exporter.events.thread import Thread
from exporter.pushdown.emit_hook import FOUND_AT, NUMBERS_AT, TEXTS_AT
from exporter.pushdown.facts import IMAGE_TEXT_BYTES, Kind, Text
from exporter.pushdown.layout import hook_layout
from exporter.pushdown.needles import HOOK_TEXTS, Needles
from exporter.pushdown.observation import Observation
from exporter.sources.probe.source_text import JUDGED_BYTES
from exporter.sources.probe.syscalls import Hook
from exporter.state.state import State
from tests.live_contexts import HOST_MNTNS, make_live

TID = 4242
EVENT = hook_layout(Hook.EXEC).event
_PARAM_ROOM = 4096
_UNKNOWN = 0xFFFF
_ENV_PLACES = 1024


@dataclass
class LiveExec:
    """A successful exec. env: None where it could not be read, as exepath. parent: None where the
    state does not know it."""

    exe: bytes = b"/bin/cat"
    args: list[bytes] = field(default_factory=list)
    env: list[bytes] | None = None
    exepath: bytes | None = b"/usr/bin/cat"
    comm: bytes = b"cat"
    uid: int = 0
    gid: int = 0
    loginuid: int = 0xFFFFFFFF
    is_host: bool = True
    tty: int = 0
    vpid: int = TID
    flags: int = 0
    names: dict[int, bytes] = field(default_factory=dict)
    parent: bytes | None = b"bash"
    is_parent_told: bool = True

    def texts(self) -> tuple[bytes, bytes, bytes, bytes]:
        """The parameters exe, args, env and exepath."""
        exe = self.exe[: _PARAM_ROOM - 1] + b"\0"
        room = _PARAM_ROOM - len(exe)
        args = _strings(self.args, room)
        env = _strings(self.env or [], _PARAM_ROOM - 1)
        return exe, args, env, b"" if self.exepath is None else self.exepath + b"\0"

    def raw(self) -> list[bytes]:
        """All parameters of the event."""
        exe, args, env, exepath = self.texts()
        values = {
            "res": bytes(8), "exe": exe, "args": args, "tid": _u64(TID), "pid": _u64(TID),
            "ptid": _u64(1), "comm": self.comm + b"\0", "env": env, "tty": _u32(self.tty),
            "vpgid": _u64(TID), "loginuid": _u32(self.loginuid), "flags": _u32(self.flags),
            "cap_inheritable": bytes(8), "cap_permitted": bytes(8), "cap_effective": bytes(8),
            "uid": _u32(self.uid), "trusted_exepath": exepath, "pgid": _u64(TID),
            "gid": _u32(self.gid), "filename": exe,
        }  # fmt: skip
        return [values.get(param.name, b"") for param in EVENT.params]

    def event(self, state: State) -> Event:
        """The event, taken in by the state."""
        event = Event(
            num=1,
            ts_ns=1_700_000_000_000_000_000,
            cpu=0,
            tid=TID,
            type=EVENT,
            raw=self.raw(),
            decoders=live_decoders(EVENT),
            host=state.host,
            live=make_live(
                TID,
                comm=self.comm,
                uid=self.uid,
                gid=self.gid,
                loginuid=self.loginuid,
                tty=self.tty,
                vpid=self.vpid,
                mntns=HOST_MNTNS if self.is_host else HOST_MNTNS + 7,
                cwd=b"/work/dir",
            ),
        )
        names = {(b"", uid): User(uid=uid, name=name) for uid, name in self.names.items()}
        state.host.users.update(names)
        if self.parent is not None:
            state.host.threads[1] = Thread(tid=1, pid=1, ptid=0, comm=self.parent)
        state.before(event)
        return event

    def observe(self) -> Observation:
        """What the filter sees."""
        exe, args, env, exepath = self.texts()
        joined = args[:-1].replace(b"\0", b" ")
        return Observation(
            comm=self.comm,
            uid=self.uid,
            gid=self.gid,
            loginuid=self.loginuid,
            is_host=self.is_host,
            tty=self.tty,
            vpid=self.vpid,
            exe_flags=self.flags,
            exe=exe[:-1],
            exepath=exepath[:-1] if exepath else None,
            arguments=joined,
            command_line=self.comm + b" " + joined if args else self.comm,
            user_name=self.names.get(self.uid, b"<NA>" if self.uid else b"root"),
            parent_comm=(self.parent or b"x") if self.is_parent_told else None,
            environment=env[:-1].replace(b"\0", b" ") if env else None,
        )

    def lay_out(self, needles: Needles, junk: bytes = b"\xa5") -> bytearray:
        """struct judged, over what an earlier exec left there."""
        seen = self.observe()
        out = bytearray(junk * JUDGED_BYTES)
        mntns = HOST_MNTNS if self.is_host else HOST_MNTNS + 7
        for kind, value in (
            (Kind.UID, self.uid), (Kind.GID, self.gid), (Kind.LOGINUID, self.loginuid),
            (Kind.TTY, self.tty), (Kind.VPID, self.vpid), (Kind.HOST, mntns),
            (Kind.EXE_FLAGS, self.flags),
        ):  # fmt: skip
            struct.pack_into("<Q", out, NUMBERS_AT[kind], value)
        tables = needles.to_bytes()
        is_long = seen.arguments is not None and (
            len(seen.arguments) > IMAGE_TEXT_BYTES[Text.ARGUMENTS]
        )
        for text in HOOK_TEXTS:
            data = text.read(seen)
            if is_long and text in {Text.ARGUMENTS, Text.COMMAND_LINE}:
                data = None
            length = _UNKNOWN if data is None else len(data)
            struct.pack_into("<Q", out, TEXTS_AT[text] - 8, length)
            if data is not None:
                at = TEXTS_AT[text]
                out[at : at + length + 8] = data + bytes(8)
                found = _search(tables[: len(tables) // 2], data, 1)
                struct.pack_into("<Q", out, FOUND_AT[text], found)
        found = self._search_env(needles, tables)
        struct.pack_into("<Q", out, FOUND_AT[Text.ENVIRONMENT], found)
        return out

    def _search_env(self, needles: Needles, tables: bytes) -> int:
        env = self.texts()[2]
        if not env or len(env) > needles.stride * _ENV_PLACES:
            return (1 << 64) - 1
        return _search(tables[(len(tables) - 8) // 2 :], env, needles.stride)


def _search(table: bytes, text: bytes, stride: int) -> int:
    """Bits of the needles in a text (needles_at of bpf/judge.h)."""
    padded = text + bytes(16)
    found = 0
    for at in range(0, len(text), stride):
        bits = (1 << 64) - 1
        for place in range(8):
            row = 256 * place + padded[at + place]
            bits &= struct.unpack_from("<Q", table, 8 * row)[0]
        found |= bits
    return found


def _strings(texts: list[bytes], room: int) -> bytes:
    """Strings of an argument or environment area, cut like the probe cuts them."""
    data = b"".join(text + b"\0" for text in texts)[:room]
    return data[:-1] + b"\0" if data else b""


def _u32(value: int) -> bytes:
    return struct.pack("<I", value)


def _u64(value: int) -> bytes:
    return struct.pack("<Q", value)


EXES = (b"/bin/cat", b"cat", b"./x", b"/dev/shm/x", b"", b"-bash", b"/" + b"a" * 600, b"\xff\x01 b")
ARGS = (
    b"-c", b"/dev/shm/a", b"id_rsa", b"", b"a b", b"stratum+tcp://x:1", b"\x01\x7f", b"\xc3\xa9",
    b"--exec", b"BEGIN PRIVATE", b"y" * 480, b"z" * 4090, b" -e", b"/etc/shadow", b"Id_RSA",
)  # fmt: skip
ENVS = (b"PATH=/bin", b"GLIBC_TUNABLES=x", b"xglibc_tunables", b"HTTP_PROXY=", b"A=" + b"b" * 900,
        b"", b"B= C", b"LONG=" + b"c" * 3000)  # fmt: skip
COMMS = (b"cat", b"bash", b"sh", b"python3.13", b"fifteen-letters", b"", b"a b")


@st.composite
def live_execs(draw: st.DrawFn) -> LiveExec:
    """Any exec, mostly plausible ones."""
    return LiveExec(
        exe=draw(st.sampled_from(EXES)),
        args=draw(st.lists(st.sampled_from(ARGS), max_size=4)),
        env=draw(st.one_of(st.none(), st.lists(st.sampled_from(ENVS), max_size=5))),
        exepath=draw(
            st.sampled_from((None, b"/usr/bin/cat", b"/dev/shm/x", b"memfd:a", b"/a" * 300))
        ),
        comm=draw(st.sampled_from(COMMS)),
        uid=draw(st.sampled_from((0, 1, 1000))),
        gid=draw(st.sampled_from((0, 100))),
        loginuid=draw(st.sampled_from((0xFFFFFFFF, 0, 1000))),
        is_host=draw(st.booleans()),
        tty=draw(st.sampled_from((0, 34816))),
        vpid=draw(st.sampled_from((1, TID))),
        flags=draw(st.integers(0, 15)),
        parent=draw(st.sampled_from((None, b"sh", b"nginx", b"x"))),
        is_parent_told=draw(st.booleans()),
        names=draw(st.sampled_from(({}, {0: b"toor", 1: b"daemon"}, {1000: b"x", 1: b"bin"}))),
    )


_TEXT_FIELDS = ("proc.exe", "proc.exepath", "proc.args", "proc.cmdline", "proc.name", "proc.env")
_VALUES = (
    "/bin/cat", "cat", "/dev/shm/", "id_rsa", "-c", "-c /dev/shm/a", "stratum+tcp", "a b", "sh",
    "bash -c", "cat id_rsa", "BEGIN PRIVATE", "glibc_tunables", "GLIBC_TUNABLES", "HTTP_PROXY",
    "x", "/usr", "memfd:a", "./", "cat a b", "bin PATH", " ", "fifteen-letters", "", "b C", "-e",
    "id_rsa -c", "y", "é",
)  # fmt: skip
_FIXED = (
    "user.name in (bin, daemon)", "user.name != root", "user.name icontains OO",
    'user.name = "<NA>"', "user.name startswith d", "user.name exists",
    "proc.pname in (nginx, sh)", "proc.pname != sh", "proc.pname exists", "proc.pname contains g",
    "proc.tty = 0", "proc.tty != 0", "proc.vpid = 1", "proc.vpid > 1", "user.uid = 0",
    "user.uid != 0", "user.loginuid = -1", "group.gid = 100", "container.id = host",
    "container.id != host", "proc.is_exe_upper_layer = true", "proc.is_exe_from_memfd = true",
    "proc.is_exe_writable = false", "proc.is_exe_lower_layer = true", "evt.rawres = 0",
    "evt.rawres < 0", "evt.res = SUCCESS", "evt.failed = true", "proc.pname = sh",
    "proc.args exists", "proc.exepath exists", "proc.env exists", "proc.args[0] = -c",
    "proc.env[PATH] = /bin", "evt.type = execve", "evt.type = execveat", "proc.cwd exists",
    "proc.cmdline regex 'i.*a'", "proc.exe glob '*/x'", "proc.exepath glob '/d?v/*'",
    "proc.exe pmatch (/dev)", "proc.args icontains oneof (id_rsa, b)",
)  # fmt: skip


@st.composite
def exec_checks(draw: st.DrawFn) -> str:
    """One check that the kernel may decide of an exec."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(_FIXED))
    name = draw(st.sampled_from(_TEXT_FIELDS))
    values = st.sampled_from(_VALUES)
    if draw(st.integers(0, 3)) == 0:
        op = draw(st.sampled_from(("in", "contains anyof", "startswith allof", "icontains anyof")))
        some = draw(st.lists(values, min_size=1, max_size=4))
        return f"{name} {op} ({', '.join(_quoted(value) for value in some)})"
    op = draw(
        st.sampled_from(("=", "!=", "startswith", "endswith", "contains", "icontains", "glob"))
    )
    return f"{name} {op} {_quoted(draw(values))}"


def _quoted(value: str) -> str:
    return f'"{value}"'


@st.composite
def _joined(draw: st.DrawFn, parts: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(parts, min_size=1, max_size=4))
    words = draw(st.lists(st.sampled_from((" and ", " or ")), min_size=3, max_size=3))
    text = items[0] + "".join(word + item for word, item in zip(words, items[1:], strict=False))
    return f"not ({text})" if draw(st.booleans()) else f"({text})"


def exec_conditions() -> st.SearchStrategy[str]:
    """A whole condition about an exec."""
    return st.recursive(exec_checks(), _joined, max_leaves=8)
