"""The BTF reader: a hand-made blob, and facts of the running kernel that never change."""

import struct

import pytest

from exporter.errors import ProbeError
from exporter.sources.probe import btf, offsets


class BlobBuilder:
    """Writes a BTF blob type by type; ids count from 1."""

    def __init__(self):
        self.strings = b"\0"
        self.types = b""

    def name(self, text):
        offset = len(self.strings)
        self.strings += text.encode() + b"\0"
        return offset

    def type(self, kind, name="", vlen=0, size=0, body=b"", *, flag=0):
        offset = self.name(name) if name else 0
        self.types += struct.pack("<III", offset, flag << 31 | kind << 24 | vlen, size) + body

    def member(self, name, type_id, offset):
        return struct.pack("<III", self.name(name) if name else 0, type_id, offset)

    def blob(self):
        header = struct.pack(
            "<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings)
        )
        return header + self.types + self.strings


@pytest.fixture
def blob():
    """int; struct inner {a, b}; struct outer {x; union {struct inner; y}; typedef z; f:3}; enum."""
    build = BlobBuilder()
    build.type(1, "int", size=4, body=struct.pack("<I", 32))
    build.type(4, "inner", 2, 8, build.member("a", 1, 0) + build.member("b", 1, 32))
    build.type(5, "", 2, 8, build.member("", 2, 0) + build.member("y", 1, 0))
    build.type(8, "inner_t", size=2)
    fields = [("x", 1, 0), ("", 3, 64), ("z", 4, 128), ("f", 1, 3 << 24 | 194)]
    members = b"".join(build.member(*field) for field in fields)
    build.type(4, "outer", 4, 28, members, flag=1)
    build.type(6, "colour", 2, 4, struct.pack("<IiIi", build.name("RED"), 3, build.name("NIL"), -1))
    build.type(19, "wide", 1, 8, struct.pack("<III", build.name("BIG"), 1, 1))
    return build.blob()


def test_members_of_anonymous_parts_are_members_of_the_whole(blob):
    """Offsets run through anonymous structs and unions, and through typedefs of named ones."""
    types = btf.Btf(blob, ["inner", "outer"])

    offsets_of = {path: offset(types, "outer", path) for path in ("x", "a", "b", "y", "z", "z.b")}
    assert offsets_of == {"x": 0, "a": 8, "b": 12, "y": 8, "z": 16, "z.b": 20}


def test_bit_fields_and_sizes(blob):
    """A bit field tells its byte, its bit and its width."""
    types = btf.Btf(blob, ["outer"])

    field = types.find_member("outer", "f")
    assert field is not None
    assert (field.offset, field.bit_offset % 8, field.bit_size) == (24, 2, 3)
    assert types.size("outer") == 28


def test_enums_of_both_widths(blob):
    """Enumerators have their signed or 64-bit values."""
    types = btf.Btf(blob, ["colour", "wide"])

    assert types.enum("colour") == {"RED": 3, "NIL": -1}
    assert types.enum("wide") == {"BIG": 1 << 32 | 1}


def test_what_is_missing_is_named(blob):
    """A struct that is not there is named in the error; a member that is not there is None."""
    types = btf.Btf(blob, ["outer", "task_struct"])

    assert types.find_member("outer", "nothing") is None
    assert types.find_member("outer", "x.deeper") is None
    assert not types.has("task_struct")
    with pytest.raises(ProbeError, match="no struct task_struct"):
        types.size("task_struct")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:10], lambda b: b"xx" + b[2:], lambda b: b[:-20], lambda b: b[:0]]
)
def test_damaged_blobs_are_refused(blob, damage):
    """A blob that is cut short or no BTF at all is an error, not a traceback."""
    with pytest.raises(ProbeError):
        btf.Btf(damage(blob), ["outer"])


def test_unknown_kinds_are_refused():
    """A kind of type that this reader does not know stops it: its length is unknown."""
    build = BlobBuilder()
    build.type(30, "novelty")

    with pytest.raises(ProbeError, match="unknown kind 30"):
        btf.Btf(build.blob(), ["novelty"])


def test_a_kernel_without_btf_is_told(tmp_path):
    """The error names the file and what to do."""
    with pytest.raises(ProbeError, match="does not publish its types") as caught:
        btf.read_vmlinux([], tmp_path / "vmlinux")

    assert "CONFIG_DEBUG_INFO_BTF" in str(caught.value)


def test_a_missing_member_is_named(blob):
    """A kernel whose struct lacks what the probe needs is told by struct and member."""
    with pytest.raises(ProbeError, match="no struct task_struct"):
        offsets.define_offsets(btf.Btf(blob, offsets.STRUCTS))


def offset(types, struct_name, path):
    member = types.find_member(struct_name, path)
    assert member is not None
    return member.offset


needs_btf = pytest.mark.skipif(not btf.VMLINUX.exists(), reason="the kernel has no BTF")


@needs_btf
def test_running_kernel():
    """On a real kernel: layouts that are user ABI or follow from their neighbours."""
    types = btf.read_vmlinux(["list_head", "sockaddr_in", "qstr", "task_struct", *offsets.STRUCTS])

    assert offset(types, "list_head", "prev") == 8
    assert offset(types, "sockaddr_in", "sin_addr") == 4
    assert offset(types, "qstr", "len") in (0, 4)
    pid = offset(types, "task_struct", "pid")
    assert offset(types, "task_struct", "tgid") == pid + 4
    assert offset(types, "task_struct", "comm") < types.size("task_struct")


@needs_btf
def test_every_constant_of_the_running_kernel_is_defined():
    """All members that the probe needs are found here, each once."""
    text = offsets.define_offsets(btf.read_vmlinux(offsets.STRUCTS))

    names = [line.split()[1] for line in text.splitlines()]
    assert len(names) == len(set(names))
    assert {f"OFF_{constant}" for constant in offsets.MEMBERS} <= set(names)
