"""Struct offsets of the running kernel, read from its BTF (/sys/kernel/btf/vmlinux).

Only the few structs that the probe names are resolved; the other hundred thousand types are walked
over by their headers. Members of anonymous structs and unions count as members of the struct
around them, as in C.
Source: the kernel's documentation, "BPF Type Format (BTF)".
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from exporter.errors import ProbeError

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_MAGIC = 0xEB9F
_HEADER = Struct("<HBBIIIII")
_TYPE = Struct("<III")
_MEMBER = Struct("<III")
_ENUM = Struct("<Ii")
_ENUM64 = Struct("<III")

_STRUCT, _UNION, _ENUM_KIND, _TYPEDEF, _FUNCTION, _ENUM64_KIND = 4, 5, 6, 8, 12, 19
_FOLLOWED = frozenset({8, 9, 10, 11, 18})
"""typedef, volatile, const, restrict and type tag: looked through to reach the struct itself."""

# Bytes after the 12-byte head of a type, by kind: fixed part, and part per `vlen`.
_FIXED = (0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0)
_PER_VLEN = (0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12)


class Member(NamedTuple):
    """Where one struct member lies. bit_size is 0 unless it is a bit field."""

    bit_offset: int
    bit_size: int
    type_id: int

    @property
    def offset(self) -> int:
        """Offset in bytes; for a bit field that of the byte it starts in."""
        return self.bit_offset // 8


class Btf:
    """The types of one kernel, found by name.

    data: the whole blob. names: the structs, unions, enums, typedefs and functions that will be
    asked for; asking for another one raises ProbeError or finds nothing.
    """

    def __init__(self, data: bytes, names: Iterable[str]) -> None:
        if len(data) < _HEADER.size:
            raise ProbeError("the kernel's BTF is cut short", code="E_BTF")
        magic, _, _, header_len, type_off, type_len, str_off, str_len = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise ProbeError("the kernel's BTF has no valid header", code="E_BTF")
        types = header_len + type_off
        strings = header_len + str_off
        if len(data) < max(types + type_len, strings + str_len):
            raise ProbeError("the kernel's BTF is cut short", code="E_BTF")
        self._data = data
        self._strings = strings
        wanted = {}
        for name in names:
            # Strings are stored once each, so the first whole match is the only one.
            at = data.find(b"\0" + name.encode() + b"\0", strings, strings + str_len)
            if at >= 0:
                wanted[at + 1 - strings] = name
        self._ids: dict[str, int] = {}
        self._typedefs: dict[str, int] = {}
        self._functions: dict[str, int] = {}
        self._at = [0]
        self._walk(types, types + type_len, wanted)

    def _walk(self, pos: int, end: int, wanted: dict[int, str]) -> None:
        unpack, add = _TYPE.unpack_from, self._at.append
        data, fixed, per_vlen = self._data, _FIXED, _PER_VLEN
        while pos < end:
            name_off, info, _ = unpack(data, pos)
            add(pos)
            kind = info >> 24 & 31
            if name_off in wanted and kind in (_STRUCT, _UNION, _ENUM_KIND, _ENUM64_KIND):
                self._ids.setdefault(wanted[name_off], len(self._at) - 1)
            elif name_off in wanted and kind == _TYPEDEF:
                self._typedefs.setdefault(wanted[name_off], len(self._at) - 1)
            elif name_off in wanted and kind == _FUNCTION:
                self._functions.setdefault(wanted[name_off], len(self._at) - 1)
            try:
                pos += 12 + fixed[kind] + per_vlen[kind] * (info & 0xFFFF)
            except IndexError:
                raise ProbeError(
                    f"the kernel's BTF holds a type of unknown kind {kind}", code="E_BTF"
                ) from None

    def _string(self, offset: int) -> str:
        start = self._strings + offset
        return self._data[start : self._data.index(b"\0", start)].decode()

    def has(self, name: str) -> bool:
        """Whether a struct, union or enum of this name exists."""
        return name in self._ids

    def typedef_id(self, name: str) -> int | None:
        """Id of a typedef, by which the kernel names what a program is attached to."""
        return self._typedefs.get(name)

    def function_id(self, name: str) -> int | None:
        """Id of a function, by which programs call those that the kernel offers them."""
        return self._functions.get(name)

    def struct_id(self, name: str) -> int:
        """Id of a struct or union."""
        return self._id(name)

    def size(self, name: str) -> int:
        """Size of a struct or union in bytes."""
        return int(_TYPE.unpack_from(self._data, self._at[self._id(name)])[2])

    def _id(self, name: str) -> int:
        found = self._ids.get(name)
        if found is None:
            raise ProbeError(
                f"the kernel's BTF has no struct {name}",
                code="E_BTF_TYPE",
                hint="please report this kernel version; its layout is not known yet",
            )
        return found

    def _members(self, type_id: int, base: int) -> Iterator[tuple[str, Member]]:
        pos = self._at[type_id]
        _, info, _ = _TYPE.unpack_from(self._data, pos)
        has_bit_sizes = bool(info >> 31)
        for index in range(info & 0xFFFF):
            name_off, member_type, offset = _MEMBER.unpack_from(self._data, pos + 12 + 12 * index)
            bit_size = offset >> 24 if has_bit_sizes else 0
            bit_offset = base + (offset & 0xFFFFFF if has_bit_sizes else offset)
            if name_off:
                yield self._string(name_off), Member(bit_offset, bit_size, member_type)
            else:
                inner = self._resolve(member_type)
                if inner is not None:
                    yield from self._members(inner, bit_offset)

    def _resolve(self, type_id: int) -> int | None:
        """Id of the struct or union behind typedefs and qualifiers; None for anything else."""
        while True:
            _, info, target = _TYPE.unpack_from(self._data, self._at[type_id])
            kind = info >> 24 & 31
            if kind in (_STRUCT, _UNION):
                return type_id
            if kind not in _FOLLOWED:
                return None
            type_id = target

    def find_member(self, struct: str, path: str) -> Member | None:
        """Member at a dotted path such as "d_name.name"; None when the struct has no such one."""
        type_id: int | None = self._id(struct)
        member = None
        base = 0
        for part in path.split("."):
            if type_id is None:
                return None
            for name, found in self._members(type_id, base):
                if name == part:
                    member = found
                    break
            else:
                return None
            base = member.bit_offset
            type_id = self._resolve(member.type_id)
        return member

    def enum(self, name: str) -> dict[str, int]:
        """Names and values of an enum."""
        pos = self._at[self._id(name)]
        _, info, _ = _TYPE.unpack_from(self._data, pos)
        values: dict[str, int] = {}
        for index in range(info & 0xFFFF):
            if info >> 24 & 31 == _ENUM_KIND:
                name_off, value = _ENUM.unpack_from(self._data, pos + 12 + 8 * index)
            else:
                name_off, low, high = _ENUM64.unpack_from(self._data, pos + 12 + 12 * index)
                value = high << 32 | low
            values[self._string(name_off)] = value
        return values


def read_bytes(path: Path = VMLINUX) -> bytes:
    """The running kernel's BTF. Raises ProbeError when the kernel publishes none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProbeError(
            f"the kernel does not publish its types at {path}: {error.strerror}",
            code="E_NO_BTF",
            hint="use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution's "
            "is); in a container, mount /sys",
        ) from error


def read_vmlinux(names: Iterable[str], path: Path = VMLINUX) -> Btf:
    """The running kernel's types. Raises ProbeError when the kernel publishes none."""
    return Btf(read_bytes(path), names)
