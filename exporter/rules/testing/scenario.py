"""Scenarios: steps -> events that the real state takes in, one after the other.

A step is named after what happens: one of `STEPS`, or any event (system call) of the event table
with its parameters by name. Iterating a scenario drives the state; the rules look at each event
between its `before` and `after`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from exporter.events.event import Event
from exporter.events.params import SocketAddress, encode_param
from exporter.events.table import EventType, Param
from exporter.events.thread import Thread
from exporter.rules.testing.document import Step
from exporter.rules.testing.encode import (
    encode_default,
    encode_item,
    socket_address,
    socket_tuple,
)
from exporter.rules.testing.event_types import (
    GENERIC_ID,
    event_names,
    find_event_type,
    generic_number,
)
from exporter.rules.testing.items import Item, TestFileError, unknown_key
from exporter.rules.testing.processes import (
    on_container,
    on_exec,
    on_exit,
    on_process,
    on_spawn,
    on_user,
    on_wait,
)
from exporter.rules.testing.world import World

_EINPROGRESS = -115
_O_F_CREATED = 1 << 14
_PATH_TYPES = ("FSPATH", "FSRELPATH")
_OWN_KEYS = ("by", "as", "result", "created")
_SOCKET_KEYS = ("by", "as", "to", "from", "at", "proto", "result", "fd")
_PROTOCOLS = {"tcp": (1, 6), "udp": (2, 17), "icmp": (3, 1)}
"""Name -> socket type and protocol number."""
_EXITS = frozenset({"ERRNO", "FD", "PID"})

StepFunction = Callable[[World, Item], Iterator[Event]]


def run_steps(steps: Sequence[Step]) -> Iterator[tuple[Step, Event]]:
    """Every event with the step it came from, taken in by the state. Raises TestFileError."""
    world = World()
    for step in steps:
        function = STEPS.get(step.name)
        events = _call(world, step) if function is None else function(world, step.item)
        try:
            for event in events:
                world.state.before(event)
                yield step, event
                world.state.after(event)
        except TestFileError as error:
            if error.span is None:
                error.span = step.span
            raise
        except OverflowError:
            raise TestFileError(
                f"a number does not fit what {step.name} can carry", step.span
            ) from None


def _call(world: World, step: Step) -> Iterator[Event]:
    """Any event of the table."""
    kind = find_event_type(step.name)
    if kind is None:
        raise unknown_key(step.name, (*STEPS, *event_names()), step.span)
    body = _body(step, kind)
    thread = world.thread(body.get("by"))
    params: dict[str, bytes] = {}
    for param in kind.params:
        item = body.get(param.name)
        if item is None:
            params[param.name] = encode_default(param, step.name)
        elif param.type in {"FD", "PID"} and isinstance(item.value, str):
            params[param.name] = encode_param(param.type, _number(world, param, item))
        else:
            params[param.name] = encode_item(param, item, step.name)
    _set_result(world, thread, kind, body, params)
    if kind.id == GENERIC_ID:
        params["ID"] = encode_param("SYSCALLID", generic_number(step.name))
    yield world.raw_event(kind, thread.tid, [params[p.name] for p in kind.params])


def _body(step: Step, kind: EventType) -> dict[str, Item]:
    """Arguments by parameter name. A bare text, and `path`, are the first path parameter."""
    item = step.item
    paths = [param.name for param in kind.params if param.type in _PATH_TYPES]
    if item.value is None:
        return {}
    if isinstance(item.value, str):
        if not paths:
            raise item.error(f"the parameters of {step.name}")
        return {paths[0]: item}
    names = tuple(param.name for param in kind.params[_has_result(kind) :])
    aliases = ("path",) if paths and "path" not in names else ()
    body = dict(item.mapping((*_OWN_KEYS, *names, *aliases), f"the parameters of {step.name}"))
    if aliases and "path" in body:
        body[paths[0]] = body.pop("path")
    return body


def _has_result(kind: EventType) -> int:
    """1 when the first parameter is the return value."""
    return int(not kind.is_enter and bool(kind.params) and kind.params[0].type in _EXITS)


def _set_result(
    world: World,
    thread: Thread,
    kind: EventType,
    body: Mapping[str, Item],
    params: dict[str, bytes],
) -> None:
    """The return value: what the step says, else success (a new descriptor where one is made)."""
    if not _has_result(kind):
        return
    first = kind.params[0]
    if "result" in body:
        result = body["result"].result()
    else:
        result = world.take_fd(thread) if first.type == "FD" else 0
    params[first.name] = encode_param(first.type, result)
    if "as" in body:
        world.fds[body["as"].text()] = result
    if "created" in body and body["created"].boolean() and "flags" in params:
        created = int.from_bytes(params["flags"], "little") | _O_F_CREATED
        params["flags"] = created.to_bytes(len(params["flags"]), "little")


def _number(world: World, param: Param, item: Item) -> int:
    """A descriptor or process, by alias or number."""
    known = world.fds if param.type == "FD" else world.processes
    text = item.text()
    return known[text] if text in known else item.number("a number or a name given with `as`")


def _socket_step(call: str) -> StepFunction:
    """connect, bind and accept, with the socket made beforehand unless `fd` names one."""

    def run(world: World, item: Item) -> Iterator[Event]:
        target = "to" if call == "connect" else "at"
        if isinstance(item.value, str):
            item = Item({target: item}, item.span, {target: item.span})
        body = item.mapping(_SOCKET_KEYS, "an address")
        if target not in body:
            raise TestFileError(f"{call} needs {target}", item.span)
        thread = world.thread(body.get("by"))
        far = socket_address(body[target])
        proto = body["proto"].text() if "proto" in body else "tcp"
        if proto not in _PROTOCOLS:
            raise body["proto"].error(f"one of {', '.join(_PROTOCOLS)}")
        if "fd" in body:
            text = body["fd"].text()
            number = world.fds[text] if text in world.fds else body["fd"].number()
        else:
            number = world.take_fd(thread)
            kind, protocol = _PROTOCOLS[proto]
            made = {"fd": number, "domain": far.family, "type": kind, "proto": protocol, "flags": 0}
            yield world.event("PPME_SOCKET_SOCKET_X", thread.tid, made)
        if "as" in body:
            world.fds[body["as"].text()] = number
        result = body["result"].result() if "result" in body else 0
        if call == "bind":
            params = {"res": result, "addr": far, "fd": number}
            yield world.event("PPME_SOCKET_BIND_X", thread.tid, params)
            return
        near = socket_address(body["from"]) if "from" in body else _local_end(far.family, item)
        if call == "connect":
            is_connected = result in {0, _EINPROGRESS}
            params = {
                "res": result,
                "tuple": socket_tuple(near, far) if is_connected else None,
                "fd": number,
                "addr": far,
            }
            yield world.event("PPME_SOCKET_CONNECT_X", thread.tid, params)
            return
        accepted = world.take_fd(thread) if result >= 0 else result
        params = {"fd": accepted, "tuple": socket_tuple(near, far)}
        params |= {"queuepct": 0, "queuelen": 0, "queuemax": 128}
        yield world.event("PPME_SOCKET_ACCEPT_5_X", thread.tid, params)

    return run


def _local_end(family: int, item: Item) -> SocketAddress:
    text = {2: "10.0.0.5:41000", 10: "[fd00::5]:41000"}.get(family, "@")
    return socket_address(Item(text, item.span, {}))


STEPS: Mapping[str, StepFunction] = {
    "container": on_container,
    "process": on_process,
    "user": on_user,
    "spawn": on_spawn,
    "exec": on_exec,
    "exit": on_exit,
    "connect": _socket_step("connect"),
    "bind": _socket_step("bind"),
    "accept": _socket_step("accept"),
    "wait": on_wait,
}
"""Steps that are more than one event, or none, or take other words than their parameters."""
