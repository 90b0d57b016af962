"""Predicates that the kernel can evaluate: what is left of conditions for one system call.

A predicate is TRUE, FALSE, a literal, or a conjunction or disjunction of predicates. It has no
negation of its own: a literal says whether its atom must hold or must not. An atom whose fact is
not known (a path with `//` in it, a descriptor that is no socket) makes every literal on it true,
so a predicate is never false by ignorance. `holds` runs one in Python; emit.py makes BPF of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Optional

from msgspec import Struct, structs

from exporter.rules.fields.fd_facts import directory_of

PATH_BYTES = 512
"""Room for a path in the kernel, with its NUL; longer ones are not looked at."""

MAX_DOTS = 8
"""So many `./` and `../` in front of a relative path are followed."""

ALONE = b""
"""Base of a text that is no path of the call, but looked at like one: it stands as it is."""


class Group(IntEnum):
    """Facts that are read together, cheapest first."""

    CALL = 0
    TASK = 1
    HOW = 2
    SOCKET = 3
    PATH = 4
    PATH2 = 5
    IMAGE = 6


HEAVY = frozenset({Group.HOW, Group.SOCKET, Group.PATH, Group.PATH2, Group.IMAGE})
"""Groups that may turn out to be unknown; all others are always there."""

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
_MAPPED = 0xFFFF << 32
_LOW = 0xFFFFFFFF


class Socket(Struct, frozen=True):
    """A socket as filters see it: what its descriptor shows, with its ends as numbers.

    A pair of mapped addresses makes an IPv6 socket an IPv4 one (`as_seen`). protocol: 255 for raw
    sockets. is_bound: bound to a port that the program chose.
    """

    family: int
    local_address: int = 0
    local_port: int = 0
    remote_address: int = 0
    remote_port: int = 0
    protocol: int = 6
    is_bound: bool = False

    def as_seen(self) -> Optional["Socket"]:
        """What filters take the kernel's socket for; None when the state may say otherwise.

        Which mapped addresses count is not the same everywhere where one of them is all zeros.
        """
        if self.family != AF_INET6:
            return self
        ends = self.local_address, self.remote_address
        if all(end >> 32 == _MAPPED >> 32 for end in ends):
            local, remote = (end & _LOW for end in ends)
            return structs.replace(self, family=AF_INET, local_address=local, remote_address=remote)
        return None if all(end == 0 or end >> 32 == _MAPPED >> 32 for end in ends) else self


class Observation(Struct, kw_only=True, frozen=True):
    """What the kernel knows when a call returns.

    args: six 64-bit words. paths: bytes of the path arguments, None where they cannot be read.
    bases: for each of them the directory it starts from when it is relative, None where that is not
    known, or ALONE.
    how: the words of a struct open_how, None where they cannot be read. socket: as filters see it.
    exe_flags and what follows: of a new image, None where the record tells no text.
    """

    ret: int = 0
    args: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    comm: bytes = b""
    uid: int = 0
    gid: int = 0
    loginuid: int = 0xFFFFFFFF
    vpid: int = 0
    tty: int = 0
    how: tuple[int, int, int] | None = None
    is_host: bool = True
    paths: tuple[bytes | None, ...] = ()
    bases: tuple[bytes | None, ...] = ()
    socket: Socket | None = None
    exe_flags: int = 0
    exe: bytes | None = None
    exepath: bytes | None = None
    arguments: bytes | None = None
    command_line: bytes | None = None
    environment: bytes | None = None
    user_name: bytes | None = None
    parent_comm: bytes | None = None


class Kind(StrEnum):
    """Facts that are numbers."""

    RET = "result"
    ARG = "argument"
    UID = "uid"
    GID = "gid"
    LOGINUID = "loginuid"
    VPID = "vpid"
    TTY = "tty"
    HOST = "on the host"
    HOW = "open_how"
    EXE_FLAGS = "executable's flags"
    FAMILY = "socket family"
    PROTOCOL = "protocol"
    BOUND = "bound to a port"
    LOCAL_ADDRESS = "local address"
    LOCAL_ADDRESS6 = "local IPv6 address"
    LOCAL_PORT = "local port"
    REMOTE_ADDRESS = "remote address"
    REMOTE_ADDRESS6 = "remote IPv6 address"
    REMOTE_PORT = "remote port"
    RELATIVE = "path is relative"


_SOCKET_KINDS = {
    Kind.FAMILY: "family",
    Kind.PROTOCOL: "protocol",
    Kind.BOUND: "is_bound",
    Kind.LOCAL_ADDRESS: "local_address",
    Kind.LOCAL_ADDRESS6: "local_address",
    Kind.LOCAL_PORT: "local_port",
    Kind.REMOTE_ADDRESS: "remote_address",
    Kind.REMOTE_ADDRESS6: "remote_address",
    Kind.REMOTE_PORT: "remote_port",
}
_FAMILIES = {
    Kind.LOCAL_ADDRESS: AF_INET,
    Kind.REMOTE_ADDRESS: AF_INET,
    Kind.LOCAL_ADDRESS6: AF_INET6,
    Kind.REMOTE_ADDRESS6: AF_INET6,
}
"""Addresses are 0 in sockets of other families."""

WIDE = frozenset({Kind.LOCAL_ADDRESS6, Kind.REMOTE_ADDRESS6})
"""Facts of 128 bits."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A number. ARG and HOW: argument or word `index`, of which the bits of `mask` count.

    is_signed: of 32 bits.
    """

    kind: Kind
    index: int = 0
    mask: int = 0xFFFFFFFF
    is_signed: bool = False

    @property
    def group(self) -> Group:
        """What is read to know it."""
        if self.kind in _SOCKET_KINDS:
            return Group.SOCKET
        if self.kind is Kind.RELATIVE:
            return Group.PATH
        if self.kind is Kind.HOW:
            return Group.HOW
        return Group.CALL if self.kind in {Kind.RET, Kind.ARG} else Group.TASK

    def read(self, seen: Observation) -> int | None:
        """The number; None when it is not known."""
        match self.kind:
            case Kind.RET:
                return seen.ret
            case Kind.ARG:
                value = seen.args[self.index] & self.mask
                return value - (1 << 32) if self.is_signed and value >> 31 else value
            case Kind.UID:
                return seen.uid
            case Kind.GID:
                return seen.gid
            case Kind.LOGINUID:
                return -1 if seen.loginuid == 0xFFFFFFFF else seen.loginuid
            case Kind.VPID:
                return seen.vpid
            case Kind.TTY:
                return seen.tty
            case Kind.HOST:
                return int(seen.is_host)
            case Kind.RELATIVE:
                path = Text.PATH.read(seen)
                return None if path is None else int(seen.paths[0] != path)
            case Kind.HOW:
                return None if seen.how is None else seen.how[self.index] & self.mask
            case Kind.EXE_FLAGS:
                return seen.exe_flags & self.mask
            case kind:
                return _read_socket(kind, seen.socket)

    def __str__(self) -> str:
        mask = "" if self.mask == 0xFFFFFFFF else f" & {self.mask:#x}"
        match self.kind:
            case Kind.ARG:
                return f"argument {self.index + 1}{mask}"
            case Kind.HOW:
                return f"open_how.{_HOW_WORDS[self.index]}{mask}"
            case kind:
                return f"{kind}{mask}"


_HOW_WORDS = ("flags", "mode", "resolve")


def _read_socket(kind: Kind, socket: Socket | None) -> int | None:
    if socket is None:
        return None
    if _FAMILIES.get(kind, socket.family) != socket.family:
        return 0
    return int(getattr(socket, _SOCKET_KINDS[kind]))


class Text(StrEnum):
    """Facts that are texts."""

    COMM = "comm"
    PATH = "path"
    PATH2 = "second path"
    EXE = "exe"
    EXEPATH = "exepath"
    ARGUMENTS = "arguments"
    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    USER_NAME = "user's name"
    PARENT_COMM = "parent's comm"

    @property
    def group(self) -> Group:
        """What is read to know it."""
        return _GROUPS.get(self, Group.IMAGE)

    def read(self, seen: Observation) -> bytes | None:
        """The text; None when it is not known."""
        if self is Text.COMM:
            return seen.comm
        if self.group is Group.IMAGE:
            text: bytes | None = getattr(seen, self.name.lower())
            return text if text is not None and len(text) <= IMAGE_TEXT_BYTES[self] else None
        index = int(self is Text.PATH2)
        path = seen.paths[index] if index < len(seen.paths) else None
        base = seen.bases[index] if index < len(seen.bases) else None
        if path and base == ALONE:
            return path if is_tidy(path) else None
        if path and path[:1] != b"/" and is_short(path):
            path = None if base is None else join(base, path)
        return path if path and is_plain(path) else None


_GROUPS = {Text.COMM: Group.TASK, Text.PATH: Group.PATH, Text.PATH2: Group.PATH2}
IMAGE_TEXT_BYTES = {
    Text.EXE: 510,
    Text.EXEPATH: 510,
    Text.ARGUMENTS: 495,
    Text.COMMAND_LINE: 511,
    Text.ENVIRONMENT: 4096,
    Text.USER_NAME: 4096,
    Text.PARENT_COMM: 15,
}
"""Longest texts of a new image that are looked at (bpf/judge.h)."""


class Match(StrEnum):
    """How a text is compared."""

    EQUAL = "="
    PREFIX = "startswith"
    SUFFIX = "endswith"
    CONTAINS = "contains"
    CONTAINS_FOLDED = "contains (any case)"
    """Compared with bit 5 of every byte set, so that a few other characters are equal as well."""
    NAME = "last component ="
    DIRECTORY = "directory ="


@dataclass(frozen=True, slots=True)
class InSet:
    """The number is one of these."""

    fact: Fact
    values: frozenset[int]

    def __str__(self) -> str:
        return f"{self.fact} {_any_of(sorted(self.values))}"


@dataclass(frozen=True, slots=True)
class Below:
    """The number is smaller than the limit."""

    fact: Fact
    limit: int

    def __str__(self) -> str:
        return f"{self.fact} < {self.limit}"


@dataclass(frozen=True, slots=True)
class InNetworks:
    """The address lies in one of these networks: (address, mask) as numbers."""

    fact: Fact
    networks: frozenset[tuple[int, int]]

    def __str__(self) -> str:
        text = IPv6Address if self.fact.kind in WIDE else IPv4Address
        shown = [f"{text(base)}/{mask.bit_count()}" for base, mask in sorted(self.networks)]
        return f"{self.fact} in {_any_of(shown)[3:] if len(shown) > 1 else shown[0]}"


@dataclass(frozen=True, slots=True)
class TextIs:
    """The text compares with one of these values."""

    fact: Text
    match: Match
    values: frozenset[bytes]

    def __str__(self) -> str:
        shown = [value.decode(errors="backslashreplace") for value in sorted(self.values)]
        if self.match in {Match.EQUAL, Match.NAME, Match.DIRECTORY}:
            return f"{self.fact} {self.match.removesuffix('=')}{_any_of(shown)}"
        return f"{self.fact} {self.match} {_any_of(shown)[2 if len(shown) < 2 else 3 :]}"


Atom = InSet | Below | InNetworks | TextIs


@dataclass(frozen=True, slots=True)
class Literal:
    """An atom that must hold, or must not."""

    atom: Atom
    is_positive: bool = True

    @property
    def group(self) -> Group:
        """What is read to decide it."""
        return self.atom.fact.group

    def __str__(self) -> str:
        return str(self.atom) if self.is_positive else f"not {self.atom}"


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple["Predicate", ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((All, self.parts)))

    def __hash__(self) -> int:
        # Simplifying asks again and again, and trees are deep.
        return self._hash

    def __str__(self) -> str:
        return " and ".join(_wrapped(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds."""

    parts: tuple["Predicate", ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((Any, self.parts)))

    def __hash__(self) -> int:
        # Simplifying asks again and again, and trees are deep.
        return self._hash

    def __str__(self) -> str:
        return " or ".join(_wrapped(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Constant:
    """Holds always or never."""

    is_true: bool

    def __str__(self) -> str:
        return "always" if self.is_true else "never"


Predicate = Literal | All | Any | Constant
TRUE, FALSE = Constant(is_true=True), Constant(is_true=False)


def _wrapped(part: Predicate) -> str:
    return f"({part})" if isinstance(part, All | Any) else str(part)


_SHOWN = 6


def _any_of(values: Sequence[object]) -> str:
    if len(values) == 1:
        return f"= {values[0]}"
    more = f", ... {len(values)} in all" if len(values) > _SHOWN else ""
    return f"in ({', '.join(map(str, values[:_SHOWN]))}{more})"


def is_short(path: bytes) -> bool:
    """Whether there is room for a path."""
    return len(path) < PATH_BYTES - 1


def is_tidy(path: bytes) -> bool:
    """Whether a text fits and holds neither control characters nor what paths are cleared of."""
    return (
        is_short(path)
        and not path.endswith((b"/", b"/."))
        and b"//" not in path
        and b"/./" not in path
        and b"/.." not in path
        and _CONTROLS.isdisjoint(path)
    )


_CONTROLS = frozenset((*range(0x20), 0x7F))


def is_plain(path: bytes) -> bool:
    """Whether a path is absolute, needs no normalising, and fits."""
    return path[:1] == b"/" and is_tidy(path)


def join(base: bytes, path: bytes) -> bytes:
    """A relative path as an absolute one, or nothing for the root itself.

    base: an absolute path without a slash at its end, or `/`. Only what stands in front is looked
    at, so the result may still not be plain.
    """
    cut = climbed = 0
    for _ in range(MAX_DOTS):
        if path.startswith(b"../", cut):
            cut, climbed = cut + 3, climbed + 1
        elif path.startswith(b"./", cut):
            cut += 2
        else:
            break
    if path[cut:] in {b".", b".."}:
        cut, climbed = len(path), climbed + (path[cut:] == b"..")
    names = [name for name in base.split(b"/") if name]
    above = b"".join(b"/" + name for name in names[: max(0, len(names) - climbed)])
    return above + b"/" + path[cut:] if cut < len(path) else above


def fold(text: bytes) -> bytes:
    """The text as CONTAINS_FOLDED compares it."""
    return bytes(byte | 0x20 for byte in text)


def test_text(match: Match, text: bytes, values: Iterable[bytes]) -> bool:
    """Whether a text compares with one of the values."""
    match match:
        case Match.EQUAL:
            return text in values
        case Match.PREFIX:
            return text.startswith(tuple(values))
        case Match.SUFFIX:
            return text.endswith(tuple(values))
        case Match.CONTAINS:
            return any(value in text for value in values)
        case Match.CONTAINS_FOLDED:
            folded = fold(text)
            return any(fold(value) in folded for value in values)
        case Match.NAME:
            return text[text.rfind(b"/") + 1 :] in values
        case Match.DIRECTORY:
            return directory_of(text) in values


def decide(atom: Atom, seen: Observation) -> bool | None:
    """Whether the atom holds; None when its fact is not known."""
    if isinstance(atom, TextIs):
        text = atom.fact.read(seen)
        return None if text is None else test_text(atom.match, text, atom.values)
    value = atom.fact.read(seen)
    return None if value is None else test_value(atom, value)


def test_value(atom: InSet | Below | InNetworks, value: int) -> bool:
    """Whether the atom holds of a number."""
    match atom:
        case InSet(_, values):
            return value in values
        case Below(_, limit):
            return value < limit
        case InNetworks(_, networks):
            return any(value & mask == base for base, mask in networks)


def holds(predicate: Predicate, seen: Observation) -> bool:
    """Whether the predicate is true; what is not known counts as true."""
    match predicate:
        case Constant(is_true):
            return is_true
        case Literal(atom, is_positive):
            verdict = decide(atom, seen)
            return verdict is None or verdict is is_positive
        case All(parts):
            return all(holds(part, seen) for part in parts)
        case Any(parts):
            return any(holds(part, seen) for part in parts)


def groups_of(predicate: Predicate) -> frozenset[Group]:
    """Groups of facts that a predicate looks at."""
    match predicate:
        case Literal():
            return frozenset({predicate.group})
        case All(parts) | Any(parts):
            return frozenset().union(*(groups_of(part) for part in parts))
        case _:
            return frozenset()
