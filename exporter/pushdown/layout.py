"""Which argument of a system call becomes which parameter of its event.

Takes the probe's table of calls (`CALLS`), gives places by parameter name. Parameters that the
probe makes in another way have no place: the kernel's filter cannot look at them.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from exporter.events.table import EventType, event_type
from exporter.sources.probe.syscalls import (
    CALLS,
    EXECVE,
    HAS_DIRFD,
    IO_MESSAGES,
    OPEN_HOW,
    PROCEXIT,
    CallSpec,
    Hook,
    Step,
    parse_ops,
)


class Form(StrEnum):
    """What an argument is."""

    FD = "descriptor"
    PATH = "path"
    WORD = "32-bit word"
    HALF = "16-bit word"
    MODE = "permission bits"
    HOW = "word of a struct open_how"


CLOSED = -1
"""In place of the argument that is a path: that of what was closed, or CLOSED_PATH."""

HERE = -1
"""In place of the argument with a directory: the task's working directory."""


class Place(Struct, frozen=True):
    """Where a parameter comes from.

    argument: index; with HOW the index of the word. number: of the path among the call's paths,
    from 0. base: argument with the directory that the path starts from when it is relative, or
    HERE; None for a text that is no path of the call.
    """

    argument: int
    form: Form
    number: int = 0
    base: int | None = None


class CallLayout(Struct, frozen=True):
    """One call: its event, where parameters come from, and the arguments that are paths.

    bases: of each of the paths (see Place). socket: argument with the socket that the event is
    about; -1 when it is the descriptor returned; None when there is none. has_messages: a call that
    succeeds has an event for each of its messages, with a result of its own. how: argument that
    points to a struct open_how. hook: where its events come from if not from an exit.
    """

    name: str
    event: EventType
    step: Step
    places: Mapping[int, Place]
    paths: tuple[int, ...]
    bases: tuple[int | None, ...]
    socket: int | None = None
    has_messages: bool = False
    how: int | None = None
    hook: Hook | None = None

    def place(self, name: str) -> Place | None:
        """Where the parameter of this name comes from."""
        index = self.event.param_index.get(name)
        return None if index is None else self.places.get(index)


_LETTERS = {
    "F": Form.FD,
    "D": Form.FD,
    "P": Form.PATH,
    "S": Form.PATH,
    "U": Form.WORD,
    "M": Form.MODE,
}
"""Letters of `CallSpec.ops` that write a parameter. A string argument is looked at like a path."""
_PARAMETERS = {"R": 0, "C": 0, "X": 2, "Y": 2, "V": 3, "K": 3, "J": 6, "E": 6}
"""Letters that write another number of parameters than one (OPS in syscalls.py)."""
_ARGUMENTS = 6
_HOW = 2
_MAX_PATHS = 2


def call_layout(name: str) -> CallLayout:
    """The layout of one call of `CALLS`."""
    spec = CALLS[name]
    kind = event_type(spec.event)
    places: dict[int, Place] = {}
    closed: tuple[int, ...] = ()
    socket: int | None = None
    match spec.step:
        case Step.GENERIC:
            places = _generic(spec)
            socket = 0 if name == "listen" else None
        case Step.OPEN:
            places = _open(spec)
        case Step.CREAT:
            places = {1: Place(0, Form.PATH, base=HERE), 2: Place(1, Form.MODE)}
        case Step.CLOSE:
            places = {1: Place(0, Form.FD)}
            closed = (CLOSED,)
        case Step.SOCKET:
            places = {index: Place(index - 1, Form.WORD) for index in (1, 2, 3)}
        case Step.PTRACE:
            places = {kind.param_index["request"]: Place(0, Form.HALF)}
        case Step.CONNECT | Step.BIND:
            places = {kind.param_index["fd"]: Place(0, Form.FD)}
            socket = 0
        case Step.ACCEPT:
            socket = -1
        case Step.IO if kind.id.startswith("PPME_SOCKET_"):
            socket = 0
        case _:
            pass
    found = [place for place in places.values() if place.form is Form.PATH]
    paths = sorted(found, key=lambda place: place.number)[:_MAX_PATHS]
    return CallLayout(
        name=name,
        event=kind,
        step=spec.step,
        places=places,
        paths=closed or tuple(place.argument for place in paths),
        bases=(None,) if closed else tuple(place.base for place in paths),
        socket=socket,
        has_messages=spec.step is Step.IO and bool(spec.flags & IO_MESSAGES),
        how=_HOW if spec.step is Step.OPEN and spec.flags & OPEN_HOW else None,
    )


def hook_layout(hook: Hook) -> CallLayout:
    """The layout of events that come from a hook: nothing of them is an argument."""
    if hook is Hook.EXEC:
        return CallLayout("execve", event_type(EXECVE), Step.EXEC_END, {}, (), (), hook=hook)
    return CallLayout("procexit", event_type(PROCEXIT), Step.FINISH, {}, (), (), hook=hook)


def _open(spec: CallSpec) -> dict[int, Place]:
    first = 1 if spec.flags & HAS_DIRFD else 0
    places = {first + 1: Place(first, Form.PATH, base=0 if first else HERE)}
    if first:
        places[1] = Place(0, Form.FD)
    if spec.flags & OPEN_HOW:
        # In memory of the caller: flags, mode, resolve.
        places |= {first + 2 + word: Place(word, Form.HOW) for word in range(3)}
    else:
        places |= {first + 2 + word: Place(first + 1 + word, Form.WORD) for word in range(2)}
    return places


def _generic(spec: CallSpec) -> dict[int, Place]:
    """By the letters of `ops`."""
    places: dict[int, Place] = {}
    parameter, paths, base = 1, 0, HERE
    for letter, argument in parse_ops(spec.ops):
        form = _LETTERS.get(letter)
        if form is Form.PATH:
            places[parameter] = Place(argument, form, paths, base if letter == "P" else None)
            paths += 1
        elif form is not None and argument < _ARGUMENTS:
            places[parameter] = Place(argument, form)
        if letter == "D":
            base = argument
        parameter += _PARAMETERS.get(letter, 1)
    return places
