"""What the kernel knows of each field: the functions that the catalogue's `kernel` names stand for.

Each takes a bound test on its field and the call whose event it is tested on. What the kernel's
value must equal is what the field's reader will say of the live event, once the state room has
taken the event in; each function names the lines it relies on where that is not plain.
"""

from collections.abc import Callable, Mapping

from exporter.events.fd import FdType
from exporter.events.native_values import open_flag_bits
from exporter.events.table import load_event_table
from exporter.events.text import ERRNOS, TYPE_CHARS, errno_name
from exporter.pushdown import arguments, values
from exporter.pushdown.approximation import (
    NEVER,
    UNKNOWN,
    Approximation,
    at_most,
    both,
    by_case,
    either,
    exactly,
    negated,
)
from exporter.pushdown.atoms import Below, InSet
from exporter.pushdown.closed_fields import (
    closed_directory,
    closed_file_name,
    closed_name,
    closed_type,
    closed_type_char,
    is_close,
)
from exporter.pushdown.facts import Fact, Kind, Text
from exporter.pushdown.layout import CallLayout, Form, Place
from exporter.pushdown.simplify import any_of
from exporter.pushdown.socket_fields import HAS_ENDS, SOCKET_FIELDS, socket_type, socket_type_char
from exporter.rules.bind import Read, Test
from exporter.rules.fields.evt_facts import WITHOUT_ABSPATH
from exporter.rules.fields.fd_facts import char_of_event
from exporter.sources.probe.syscalls import Hook, Step

KernelTest = Callable[[Test, CallLayout], Approximation]

_RET = Fact(Kind.RET)
FAILED = exactly(Below(_RET, 0))
SUCCEEDED = negated(FAILED)
ON_HOST = exactly(InSet(Fact(Kind.HOST), frozenset({1})))
_OPENS = frozenset({Step.OPEN, Step.CREAT})
_EXEC_BITS = 0o111
_ACCESS = 3


def _hides_result(call: CallLayout) -> bool:
    """Whether the event has no parameters, not even the result, which then reads as 0."""
    return not call.event.params


def _result(test: Test, call: CallLayout) -> Approximation:
    if _hides_result(call):
        return values.known_value(test, 0)
    found = values.number(test, _RET)
    if not call.has_messages:
        return found
    # The call tells how many there were, the event of each how many bytes it has.
    none = exactly(Below(_RET, 1))
    return by_case((none, found), otherwise=values.number_from_zero(test))


def _result_text(test: Test, call: CallLayout) -> Approximation:
    if _hides_result(call):
        return values.known_value(test, b"SUCCESS")
    named = [(-number, errno_name(number)) for number in ERRNOS]
    failed = values.enumerated(test, _RET, named, b"")
    return by_case((SUCCEEDED, values.known_value(test, b"SUCCESS")), otherwise=failed)


def _failed(test: Test, call: CallLayout) -> Approximation:
    return _truth(test, NEVER if _hides_result(call) else FAILED)


def _truth(test: Test, condition: Approximation) -> Approximation:
    """A test on a field that is true exactly when the condition holds."""
    return by_case(
        (condition, values.known_value(test, value=True)),
        otherwise=values.known_value(test, value=False),
    )


def _thread_text(test: Test, _call: CallLayout) -> Approximation:
    """LiveThreads takes a thread's comm from every event of it."""
    return values.text(test, Text.COMM)


def _number_of(kind: Kind) -> KernelTest:
    return lambda test, _call: values.number(test, Fact(kind))


def _container(test: Test, _call: CallLayout) -> Approximation:
    """A thread in the machine's own mount namespace is on the host; any other may be."""
    return by_case((ON_HOST, values.known_value(test, b"host")), otherwise=UNKNOWN)


def _open_flags(call: CallLayout) -> Place | None:
    place = call.place("flags")
    return place if call.step is Step.OPEN and place is not None else None


def _access(values_: frozenset[int]) -> KernelTest:
    def decide(test: Test, call: CallLayout) -> Approximation:
        place = _open_flags(call)
        if place is None:
            return UNKNOWN
        return _truth(test, exactly(InSet(arguments.masked(place, _ACCESS), values_)))

    return decide


def _is_open_exec(test: Test, call: CallLayout) -> Approximation:
    place, mode = _open_flags(call), call.place("mode")
    if call.step is Step.CREAT and mode is not None:
        return _truth(test, arguments.has_bits(mode, _EXEC_BITS))
    if place is None:
        return UNKNOWN
    assert mode is not None
    bits = arguments.has_bits(mode, _EXEC_BITS)
    return _truth(test, both((arguments.makes_file(place), bits)))


def _is_open_create(test: Test, call: CallLayout) -> Approximation:
    place = _open_flags(call)
    if place is None:
        return UNKNOWN
    is_not = either((FAILED, negated(arguments.makes_file(place))))
    return by_case((is_not, values.known_value(test, value=False)), otherwise=UNKNOWN)


def _opens_directory(call: CallLayout) -> Approximation:
    """The state takes what was opened with O_DIRECTORY for a directory, all else for files."""
    place = _open_flags(call)
    if call.step is Step.CREAT or place is None:
        return NEVER
    return arguments.has_bits(place, open_flag_bits()["O_DIRECTORY"])


def _opened(call: CallLayout) -> Text | None:
    """The path of a call of the open family; on success and failure it makes the fd's name."""
    if call.step not in _OPENS:
        return None
    return arguments.path_text(call, call.place("name"))


def _fd_name(test: Test, call: CallLayout) -> Approximation:
    if is_close(call):
        return closed_name(test)
    path = _opened(call)
    return UNKNOWN if path is None else values.text(test, path)


def _fd_raw_name(test: Test, call: CallLayout) -> Approximation:
    """A path as it was given, which a relative one no longer is once the kernel has followed it."""
    path = _opened(call)
    if path is None:
        return UNKNOWN
    is_relative = exactly(InSet(Fact(Kind.RELATIVE), frozenset({1}))).if_true
    absolute = values.text(test, path)
    return Approximation(
        any_of((is_relative, absolute.if_true)), any_of((is_relative, absolute.if_false))
    )


def _fd_file_name(test: Test, call: CallLayout) -> Approximation:
    if is_close(call):
        return closed_file_name(test)
    path = _opened(call)
    if path is None:
        return UNKNOWN
    named = values.last_component(test, path)
    return _split(call, failed=NEVER, directory=NEVER, file=named)


def _fd_directory(test: Test, call: CallLayout) -> Approximation:
    if is_close(call):
        return closed_directory(test)
    path = _opened(call)
    if path is None:
        return UNKNOWN
    above = values.directory(test, path)
    return _split(call, failed=above, directory=values.text(test, path), file=above)


def _split(
    call: CallLayout, *, failed: Approximation, directory: Approximation, file: Approximation
) -> Approximation:
    """The test by what became of an open."""
    found = by_case((_opens_directory(call), directory), otherwise=file)
    return by_case((FAILED, failed), otherwise=found)


def _fd_type_char(test: Test, call: CallLayout) -> Approximation:
    if is_close(call):
        return closed_type_char(test, call)
    if call.socket is not None:
        return socket_type_char(test, call)
    if call.step not in _OPENS:
        return UNKNOWN
    return _split(
        call,
        failed=values.known_value(test, char_of_event(call.event)),
        directory=values.known_value(test, TYPE_CHARS[FdType.DIRECTORY]),
        file=values.known_value(test, TYPE_CHARS[FdType.FILE_V2]),
    )


def _fd_type(test: Test, call: CallLayout) -> Approximation:
    if is_close(call):
        return closed_type(test)
    if call.socket is not None:
        return socket_type(test, call)
    if call.step not in _OPENS:
        return UNKNOWN
    return _split(
        call,
        failed=NEVER,
        directory=values.known_value(test, b"directory"),
        file=values.known_value(test, b"file"),
    )


def _fd_number(test: Test, call: CallLayout) -> Approximation:
    """Calls that make a descriptor: the one made. Others: the one they use."""
    if call.step in _OPENS or call.socket == -1:
        made = values.number(test, _RET)
        if call.socket == -1:
            made = by_case((HAS_ENDS, made), otherwise=UNKNOWN)
        return by_case((FAILED, values.known_value(test, -1)), otherwise=made)
    kind = call.event
    if "EF_USES_FD" not in kind.flags or "EF_CREATES_FD" in kind.flags:
        return UNKNOWN
    # As State does: the first parameter behind the result that is a descriptor.
    index = next((i for i, p in enumerate(kind.params) if i and p.type == "FD"), None)
    place = None if index is None else call.places.get(index)
    if place is None or place.form is not Form.FD:
        return UNKNOWN
    return values.number(test, arguments.word(place))


def _image_text(text: Text) -> KernelTest:
    """A text of a new image. The state takes all of them from the exec's record."""

    def decide(test: Test, call: CallLayout) -> Approximation:
        assert isinstance(test.left, Read)
        is_whole = test.left.use.arg is None
        return values.text(test, text) if call.hook is Hook.EXEC and is_whole else UNKNOWN

    return decide


def _user_name(test: Test, call: CallLayout) -> Approximation:
    """Names of the host's users; containers have users of their own."""
    if call.hook is None:
        return UNKNOWN
    return by_case((ON_HOST, values.text(test, Text.USER_NAME)), otherwise=UNKNOWN)


def _parent_name(test: Test, call: CallLayout) -> Approximation:
    """The state may not know the parent, and then every test is false.

    Where it does, it knows the name that the parent's own events told last; bpf/rename.h keeps
    account of names that none has told.
    """
    if call.hook is not Hook.EXEC or test.op == "exists":
        return UNKNOWN
    return at_most(values.text(test, Text.PARENT_COMM).if_true)


def _environment(test: Test, call: CallLayout) -> Approximation:
    """Only what it holds; an environment that could not be read leaves the one of before."""
    assert isinstance(test.left, Read)
    is_search = test.op in {"contains", "bcontains", "icontains"} and test.modifier is None
    if call.hook is not Hook.EXEC or test.left.use.arg is not None or not is_search:
        return UNKNOWN
    return at_most(values.text(test, Text.ENVIRONMENT).if_true)


def _image_flag(name: str) -> KernelTest:
    bit = dict(load_event_table().value_tables["execve_flags"])[name]
    flag = exactly(InSet(Fact(Kind.EXE_FLAGS, mask=bit), frozenset({bit})))
    return lambda test, call: _truth(test, flag) if call.hook is Hook.EXEC else UNKNOWN


def _parameter(test: Test, call: CallLayout) -> Approximation:
    assert isinstance(test.left, Read)
    index = arguments.parameter_index(call.event, test.left.use.arg)
    return NEVER if index is None else arguments.parameter(test, call, index)


def _raw_parameter(test: Test, call: CallLayout) -> Approximation:
    assert isinstance(test.left, Read)
    index = arguments.parameter_index(call.event, test.left.use.arg)
    return NEVER if index is None else arguments.raw_parameter(test, call, index)


def _absolute_path(test: Test, call: CallLayout) -> Approximation:
    """A plain path stands for itself; which one `.src` and `.dst` name is said by the reader."""
    assert isinstance(test.left, Read)
    arg = test.left.use.arg
    params = call.event.params
    indexes = [i for i, param in enumerate(params) if param.type == "FSRELPATH"]
    if call.step is Step.OPEN_BY_HANDLE:
        return UNKNOWN
    if not indexes or call.event.id in WITHOUT_ABSPATH:
        return NEVER
    at = indexes[-1] if arg == "dst" else indexes[0]
    path = arguments.path_text(call, call.places.get(at))
    return UNKNOWN if path is None else values.text(test, path)


KERNEL_FIELDS: Mapping[str, KernelTest] = {
    "evt.rawres": _result,
    "evt.res": _result_text,
    "evt.failed": _failed,
    "evt.is_open_read": _access(frozenset({0, 2, 3})),
    "evt.is_open_write": _access(frozenset({1, 2})),
    "evt.is_open_exec": _is_open_exec,
    "evt.is_open_create": _is_open_create,
    "evt.abspath": _absolute_path,
    "evt.arg": _parameter,
    "evt.rawarg": _raw_parameter,
    "proc.name": _thread_text,
    "proc.vpid": _number_of(Kind.VPID),
    "proc.tty": _number_of(Kind.TTY),
    "user.uid": _number_of(Kind.UID),
    "user.name": _user_name,
    "user.loginuid": _number_of(Kind.LOGINUID),
    "group.gid": _number_of(Kind.GID),
    "container.id": _container,
    "fd.name": _fd_name,
    "fd.nameraw": _fd_raw_name,
    "fd.filename": _fd_file_name,
    "fd.directory": _fd_directory,
    "fd.typechar": _fd_type_char,
    "fd.type": _fd_type,
    "fd.num": _fd_number,
    "proc.exe": _image_text(Text.EXE),
    "proc.exepath": _image_text(Text.EXEPATH),
    "proc.args": _image_text(Text.ARGUMENTS),
    "proc.cmdline": _image_text(Text.COMMAND_LINE),
    "proc.pname": _parent_name,
    "proc.env": _environment,
    "proc.is_exe_writable": _image_flag("EXE_WRITABLE"),
    "proc.is_exe_upper_layer": _image_flag("EXE_UPPER_LAYER"),
    "proc.is_exe_lower_layer": _image_flag("EXE_LOWER_LAYER"),
    "proc.is_exe_from_memfd": _image_flag("EXE_FROM_MEMFD"),
    **SOCKET_FIELDS,
}
"""`Field.kernel` -> what the kernel says of a test on the field."""


_OF_THREADS = frozenset({
    "proc.name", "user.uid", "user.name", "user.loginuid", "group.gid", "container.id",
})  # fmt: skip
HOOK_FIELDS: Mapping[Hook, frozenset[str]] = {
    Hook.EXEC: _OF_THREADS
    | {name for name in KERNEL_FIELDS if name.startswith("proc.")}
    | {"evt.rawres", "evt.res", "evt.failed"},
    Hook.EXIT: _OF_THREADS,
}
"""What is known where no call returns; an exec from there has succeeded."""
