"""Every field of every kind of event: whatever the parameters hold, reading never raises."""

import random

import pytest

from exporter.errors import DecodeError
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.params import capture_decoders, encode_param
from exporter.events.table import Param, load_event_table
from exporter.events.thread import Thread
from exporter.rules.fields.catalogue import fields_of
from exporter.rules.fields.field import ArgKind
from exporter.rules.format import compile_format
from exporter.state.state import State

_SUFFIXES = (
    "evt.arg.fd", "evt.arg.name", "evt.abspath.src", "evt.abspath.dst", "thread.cgroup.cpu",
    "evt.rawarg.fd", "evt.rawarg.flags", "evt.rawarg.data", "evt.rawarg.uid",
)  # fmt: skip
_TEXTS = (b"/a/b\0", b"x\0", b"..\0", b"\0", b"(NULL)\0")
_TUPLES = (b"\2" + bytes(12), b"\1" + bytes(16) + b"/x\0", b"\12" + bytes(36), b"\5", b"\2\0")
_NUMBERS = (0, 1, 3, 10, 11)


def every_use() -> list[str]:
    """Every field of the syscall source, in each form it can be written."""
    uses = list(_SUFFIXES)
    for name, field in fields_of("syscall").items():
        if not field.is_arg_required:
            uses.append(name)
        if field.arg in {ArgKind.INDEX, ArgKind.INDEX_OR_KEY, ArgKind.SUFFIX_OR_INDEX}:
            uses.append(f"{name}[1]")
        if field.arg in {ArgKind.KEY, ArgKind.INDEX_OR_KEY}:
            uses.append(f"{name}[a]")
    return uses


def some_bytes(param: Param, chance: random.Random) -> bytes:
    """A parameter that is empty, damaged, or a plausible value."""
    kind = chance.random()
    if kind < 0.2:
        return b""
    if kind < 0.35:
        return chance.randbytes(chance.randrange(24))
    if param.type in {"CHARBUF", "FSPATH", "FSRELPATH"}:
        return chance.choice(_TEXTS)
    if param.type in {"SOCKTUPLE", "SOCKADDR"}:
        return chance.choice(_TUPLES)
    try:
        return encode_param(param.type, chance.choice(_NUMBERS), table=param.table)
    except (AttributeError, TypeError, DecodeError):
        return b"\1\0"


@pytest.mark.parametrize("seed", [1, 2])
def test_no_field_raises(seed):
    """Text and JSON form of all fields, for events of all types, of known and unknown threads."""
    chance = random.Random(seed)
    formats = [compile_format(f"*%{use}", "syscall") for use in every_use()]
    host = Host()
    state = State(host, keep_fds=True)
    for tid in (1, 10):
        state.tables.threads.add(Thread(tid=tid, pid=tid, ptid=1, vtid=tid, vpid=tid, cwd=b"/w/"))
    for number, kind in enumerate(load_event_table().events, 1):
        event = Event(
            num=number,
            ts_ns=10**18 + number,
            cpu=0,
            tid=chance.choice((1, 10, 11, 77, -1)),
            type=kind,
            raw=tuple(some_bytes(param, chance) for param in kind.params),
            decoders=capture_decoders(kind),
            host=host,
        )
        state.before(event)
        for form in formats:
            assert form.render(event) is not None
            form.fields(event)
        state.after(event)
    assert state.counters.handler_errors == 0
