"""Hypothesis strategies of conditions (as text) and events for the engine's properties."""

from hypothesis import strategies as st

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.host import Host
from exporter.events.table import load_event_table
from tests.factories import find_type, make_event, make_thread

WORDS = ("cat", "bash", "sh", "", "/etc/shadow", "/etc", "/usr/bin/cat", "a b", "CAT", "/a/./b*")
_TEXTS = st.sampled_from(WORDS)
_QUOTED = _TEXTS.map(lambda text: f'"{text}"')
_GLOBS = st.sampled_from(("*", "c?t", "/etc/*", "*sh*", "[a-c]at", "[!a-c]at", "b*h", "*/b*"))
_NUMBERS = st.integers(-2, 5).map(str)

_TEXT_FIELDS = st.sampled_from((
    "proc.name", "proc.pname", "fd.name", "fd.directory", "fd.filename", "proc.cmdline",
    "container.id", "evt.type", "evt.res", "evt.arg.flags", "proc.aname[2]", "user.name",
    "tolower(proc.name)", "basename(fd.name)", "toupper(proc.exe)", "fd.typechar",
    'concat(proc.name, "x")', 'join(",", (proc.name, proc.pid))',
))  # fmt: skip
_NUMBER_FIELDS = st.sampled_from((
    "evt.num", "fd.num", "proc.pid", "evt.rawres", "user.uid", "len(proc.name)", "fd.sport",
    "user.loginuid", "proc.vpid",
))  # fmt: skip
_BOOL_FIELDS = st.sampled_from((
    "evt.is_open_read", "evt.is_open_write", "evt.failed", "fd.connected", "proc.is_exe_writable",
))  # fmt: skip


def _names(field: str) -> st.SearchStrategy[str]:
    return (
        st.sampled_from(("open", "openat", "execve", "close")) if field == "evt.type" else _QUOTED
    )


@st.composite
def checks(draw: st.DrawFn) -> str:
    """One check of some kind."""
    kind = draw(st.integers(0, 9))
    if kind <= 3:
        field = draw(_TEXT_FIELDS)
        op = draw(
            st.sampled_from(("=", "!=", "==", "contains", "icontains", "startswith", "endswith"))
        )
        return f"{field} {op} {draw(_names(field))}"
    if kind == 4:
        field = draw(_TEXT_FIELDS)
        values = draw(st.lists(_names(field), max_size=4))
        if draw(st.booleans()) and field != "evt.type":
            return f"{field} pmatch ({', '.join(values)})" if values else f"{field} exists"
        return f"{field} in ({', '.join(values)})"
    if kind == 5:
        field = draw(_TEXT_FIELDS.filter(lambda name: name != "evt.type"))
        op = draw(st.sampled_from(("glob", "iglob")))
        return f"{field} {op} {draw(_GLOBS)}"
    if kind == 6:
        field = draw(_TEXT_FIELDS)
        op = draw(st.sampled_from(("=", "!=", "contains", "startswith", "endswith")))
        modifier = draw(st.sampled_from(("oneof", "anyof", "allof")))
        values = draw(st.lists(_names(field), max_size=3))
        return f"{field} {op} {modifier} ({', '.join(values)})"
    if kind == 7:
        field = draw(_NUMBER_FIELDS)
        op = draw(st.sampled_from(("=", "!=", "<", "<=", ">", ">=")))
        return f"{field} {op} {draw(_NUMBERS if field != 'fd.sport' else st.just('2'))}"
    if kind == 8:
        op = draw(st.sampled_from(("=", "!=")))
        return f"{draw(_BOOL_FIELDS)} {op} {draw(st.sampled_from(('true', 'false')))}"
    return draw(st.sampled_from((
        "proc.aname in (bash, sh)", "proc.aname = bash", "proc.aname != sh", "fd.name exists",
        "proc.pname exists", "proc.name = val(proc.pname)", "proc.name != val(proc.exe)",
        "tolower(proc.name) in (bash)", 'fd.snet in ("10.0.0.0/8")', 'fd.snet != "10.0.0.0/8"',
        "fd.cip = 10.0.0.1", "fd.types in (file, ipv4)", "fd.types intersects (ipv4)",
        "proc.name regex [a-c]at", "evt.num >= 0", "evt.num = 0", "proc.pid = val(proc.ppid)",
    )))  # fmt: skip


@st.composite
def _joined(draw: st.DrawFn, parts: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(parts, min_size=1, max_size=4))
    words = draw(st.lists(st.sampled_from((" and ", " or ")), min_size=3, max_size=3))
    text = items[0] + "".join(word + item for word, item in zip(words, items[1:], strict=False))
    return f"not ({text})" if draw(st.booleans()) else f"({text})"


def conditions(leaves: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[str]:
    """A whole condition, of these checks."""
    return st.recursive(checks() if leaves is None else leaves, _joined, max_leaves=12)


_TYPES = ("openat", "open", "execve", "close", "connect", "creat", "read", "switch", "kill")


@st.composite
def events(draw: st.DrawFn) -> Event:
    """An event with or without thread, parents, descriptor."""
    host = Host(hostname=b"h")
    parent = None
    for tid in range(2, 2 + draw(st.integers(0, 3))):
        parent = make_thread(draw(_TEXTS), tid=tid, parent=parent)
        host.threads[tid] = parent
    thread = None
    if draw(st.integers(0, 4)):
        thread = make_thread(
            draw(_TEXTS),
            tid=draw(st.integers(3, 6)),
            parent=parent,
            args=tuple(draw(st.lists(_TEXTS, max_size=2))),
            exe=draw(_TEXTS),
            container_id=draw(st.sampled_from((b"", b"0123456789ab"))),
            exe_writable=draw(st.booleans()),
            uid=draw(st.integers(0, 2)),
        )
        host.threads[thread.tid] = thread
    fd = draw(st.one_of(st.none(), st.builds(
        Fd,
        type=st.sampled_from((FdType.FILE_V2, FdType.DIRECTORY, FdType.IPV4, FdType.UNIX)),
        name=_TEXTS.map(str.encode),
        sip=st.just(b"\x0a\0\0\1"),
        dip=st.sampled_from((b"\x0a\0\0\2", b"\x7f\0\0\1")),
        dport=st.integers(0, 3),
        role=st.sampled_from(list(Role)),
        l4=st.just(L4Proto.TCP),
        is_connected=st.booleans(),
    )))  # fmt: skip
    if thread is not None and fd is not None:
        thread.fds = {3: fd}
    name = draw(st.sampled_from(_TYPES))
    params = {}
    if name in {"openat", "open"}:
        params = {"flags": draw(st.integers(0, 8)), "fd": draw(st.integers(-2, 3))}
    return make_event(name, proc=thread, host=host, fd=fd, params=params)


ALL_CODES = frozenset(event.code for event in load_event_table().events)
"""Every event code, for rules that are tried on everything."""

DRAWN_CODES = frozenset(find_type(name).code for name in _TYPES)
"""Codes of the events that `events` draws; compiling for these only keeps properties quick."""
