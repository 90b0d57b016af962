"""Blocks: the frame of everything in a capture, and a bounded cursor over the body of one.

Source: spec/scap-format.md sections 2 and 3.
"""

import struct
from collections.abc import Mapping

from msgspec import Struct

from exporter.errors import CaptureError
from exporter.events.params import ByteOrder
from exporter.sources.capture.input import Input

SECTION_HEADER = 0x0A0D0D0A
MACHINE_INFO = frozenset({0x201, 0x8002ABCD})
FD_LIST_VERSIONS: Mapping[int, int] = {0x203: 1, 0x8001ABCD: 1, 0x218: 2}
INTERFACE_LIST_VERSIONS: Mapping[int, int] = {0x205: 1, 0x8011ABCD: 1, 0x219: 2}
USER_LIST_VERSIONS: Mapping[int, int] = {0x206: 1, 0x8012ABCD: 1, 0x220: 2}
PROCESS_LIST_VERSIONS: Mapping[int, int] = {
    0x202: 1, 0x207: 2, 0x209: 3, 0x210: 4, 0x211: 5, 0x212: 6, 0x213: 7, 0x214: 8, 0x215: 9,
    0x8000ABCD: 1, 0x8013ABCD: 2, 0x8014ABCD: 3,
}  # fmt: skip

EVENT_V1 = 0x204
EVENT_V1_FLAGS = 0x208
EVENT_V2 = 0x216
EVENT_V2_FLAGS = 0x217
EVENT_V2_LARGE = 0x221
EVENT_V2_LARGE_FLAGS = 0x222
EVENT_V1_PRERELEASE = 0x8010ABCD
EVENT_BLOCKS = frozenset({
    EVENT_V1, EVENT_V1_FLAGS, EVENT_V2, EVENT_V2_FLAGS, EVENT_V2_LARGE, EVENT_V2_LARGE_FLAGS,
    EVENT_V1_PRERELEASE,
})  # fmt: skip

HEADER_BYTES = 8
TRAILER_BYTES = 4
MIN_SECTION_HEADER_BYTES = 28

_MAGIC = 0x1A2B3C4D
_SWAPPED_MAGIC = 0x4D3C2B1A
_MAX_MAJOR = 1


class Packing(Struct, frozen=True):
    """The unpackers of one byte order."""

    order: ByteOrder
    u16: struct.Struct
    u32: struct.Struct
    u64: struct.Struct
    s64: struct.Struct
    header: struct.Struct


def _packing(order: ByteOrder, mark: str) -> Packing:
    return Packing(
        order=order,
        u16=struct.Struct(mark + "H"),
        u32=struct.Struct(mark + "I"),
        u64=struct.Struct(mark + "Q"),
        s64=struct.Struct(mark + "q"),
        header=struct.Struct(mark + "II"),
    )


LITTLE = _packing("little", "<")
BIG = _packing("big", ">")


class Block:
    """The body of one metadata block. Reading past its end is an error, never a read of the next.

    left: bytes of the body that were not taken yet. Fields are read in the writer's byte order.
    """

    def __init__(self, source: Input, name: str, packing: Packing) -> None:
        """Take a block header. Raises CaptureError when the stream ends inside it."""
        self.source = source
        self.name = name
        self.packing = packing
        self.start = source.offset
        self.type, self.total = packing.header.unpack(self._take(HEADER_BYTES))
        if self.total < HEADER_BYTES + TRAILER_BYTES:
            raise self.error(f"wrong block total length {self.total}, at least 12 expected")
        self.left = self.total - HEADER_BYTES - TRAILER_BYTES

    def error(self, message: str, *, offset: int | None = None) -> CaptureError:
        """The error to raise; it stands at the block's first byte unless told otherwise."""
        return error_at(self.name, self.start if offset is None else offset, message)

    def take(self, size: int) -> bytes:
        """The next bytes of the body. Raises CaptureError when it has fewer."""
        if size > self.left:
            raise self.error(
                f"block 0x{self.type:x} ends inside an entry: {size} bytes, {self.left} left",
                offset=self.source.offset,
            )
        data = self._take(size)
        self.left -= size
        return data

    def u8(self) -> int:
        """An unsigned number of 1 byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """An unsigned number of 2 bytes."""
        number: int = self.packing.u16.unpack(self.take(2))[0]
        return number

    def u32(self) -> int:
        """An unsigned number of 4 bytes."""
        number: int = self.packing.u32.unpack(self.take(4))[0]
        return number

    def u64(self) -> int:
        """An unsigned number of 8 bytes."""
        number: int = self.packing.u64.unpack(self.take(8))[0]
        return number

    def s64(self) -> int:
        """A signed number of 8 bytes."""
        number: int = self.packing.s64.unpack(self.take(8))[0]
        return number

    def text(self, limit: int, what: str) -> bytes:
        """A text with its length (u16) in front. Raises CaptureError when longer than `limit`."""
        size = self.u16()
        if size > limit:
            raise self.error(
                f"{what} of {size} bytes in block 0x{self.type:x}, at most {limit} are valid",
                offset=self.source.offset,
            )
        return self.take(size)

    def skip(self, size: int) -> None:
        """Pass over bytes of the body."""
        size = min(size, self.left)
        done = self.source.skip(size)
        if done < size:
            raise self._short(size, done)
        self.left -= size

    def finish(self) -> None:
        """Pass over the rest of the body; the length behind it must be that before it."""
        self.skip(self.left)
        trailer = self.packing.u32.unpack(self._take(TRAILER_BYTES))[0]
        if trailer != self.total:
            raise self.error(
                f"wrong block total length, header={self.total}, trailer={trailer}",
            )

    def _take(self, size: int) -> bytes:
        data = self.source.take(size)
        if len(data) < size:
            raise self._short(size, len(data))
        return data

    def _short(self, size: int, done: int) -> CaptureError:
        message = f"expecting {size} bytes, read {done}"
        if self.source.damage:
            message += f": {self.source.damage}"
        return self.error(message, offset=self.source.offset)


def error_at(name: str, offset: int, message: str) -> CaptureError:
    """An error that tells the capture and the byte of its unpacked stream."""
    return CaptureError(f"{name}: byte {offset}: {message}", offset=offset)


def read_section_header(source: Input, name: str) -> Packing:
    """The byte order of the section that starts here; its header is taken.

    Raises CaptureError for anything that is no section header of a known version.
    """
    found = source.available(HEADER_BYTES + 4)
    start, offset = source.position, source.offset
    if found == 0:
        why = f": {source.damage}" if source.damage else ", the file is empty"
        raise error_at(name, offset, f"expecting {HEADER_BYTES} bytes, read 0{why}")
    magic = source.buffer[start + HEADER_BYTES : start + HEADER_BYTES + 4]
    packing = BIG if magic == LITTLE.u32.pack(_SWAPPED_MAGIC) else LITTLE
    block = Block(source, name, packing)
    if block.type != SECTION_HEADER:
        raise block.error(
            f"block type 0x{block.type:x} where a section header (0x{SECTION_HEADER:x}) must be; "
            "this is no capture"
        )
    if block.total < MIN_SECTION_HEADER_BYTES:
        raise block.error(
            f"section header of {block.total} bytes, at least {MIN_SECTION_HEADER_BYTES} expected"
        )
    if block.u32() != _MAGIC:
        raise block.error("invalid magic number")
    major = block.u16()
    if major > _MAX_MAJOR:
        raise block.error(
            f"format version {major}: cannot correctly parse the capture. Upgrade your version."
        )
    block.finish()
    return packing
