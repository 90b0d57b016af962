"""The way up, for the resolver: from a directory to the root of all mounts, noting the names.

It goes as the walk of a record's attachments does (bpf/path.h). Whatever is odd about it makes the
path unknown.

R6: context. R7: memory of this CPU. R8: dentry, R9: mount.
"""

from exporter.pushdown.assembler import Alu, Assembler, Jump, Label, Reg, Size
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.emit_relative import AT_FDCWD
from exporter.pushdown.memory import (
    ASK_BASE,
    CLIMB,
    MAX_LEVELS,
    NAMES,
    NAMES_AT,
    NAMES_MASK,
    ROOT,
    TOTAL,
    Slot,
)

_WORD = 8
NAME_BYTES = 255
"""Longest name of a directory entry."""

R0, R1, R2, R3, R4, R5, R7, R8, R9, R10 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R7, Reg.R8, Reg.R9, Reg.R10,
)  # fmt: skip


class Ascent:
    """Writes it. odd: where to go when the path cannot be known."""

    def __init__(self, facts: Facts, odd: Label) -> None:
        self.facts = facts
        self.code = facts.code
        self.odd = odd

    def emit(self) -> None:
        """NAMES, and TOTAL of their lengths, from the directory that was asked for (ASK_BASE)."""
        self._find_directory()
        self._walk()

    def _find_directory(self) -> None:
        """R8 = dentry and R9 = struct mount of the directory."""
        code, at = self.code, self.facts.offset
        from_descriptor, known = Label(), Label()
        self.facts.find_task()
        code.load(Size.U64, R1, R7, ASK_BASE)
        code.jump(from_descriptor, Jump.NE, R1, AT_FDCWD)
        self._member_of_task(R8, "TASK_FS", "FS")
        self._load_path(at("FS_PWD"))
        code.jump(known)
        code.place(from_descriptor)
        self._member_of_task(R8, "TASK_FILES", "FILES")
        self.facts.member(Size.U64, R8, R8, at("FILES_FDT"))
        self.facts.take(R8, "FDTABLE")
        self.facts.member(Size.U32, R9, R8, at("FDTABLE_MAX"))
        code.load(Size.U64, R2, R7, ASK_BASE)
        code.jump(self.odd, Jump.GE, R2, R9)
        self.facts.member(Size.U64, R8, R8, at("FDTABLE_FD"))
        code.load(Size.U64, R2, R7, ASK_BASE)
        code.alu(Alu.LSH, R2, 3)
        code.alu(Alu.ADD, R8, R2)
        self.facts.take(R8, "WORDS")
        self.facts.member(Size.U64, R8, R8, 0)
        code.jump(self.odd, Jump.EQ, R8, 0)
        self.facts.take(R8, "FILE")
        self._load_path(at("FILE_PATH"))
        code.place(known)

    def _member_of_task(self, to: Reg, member: str, structure: str) -> None:
        self.facts.member(Size.U64, to, R9, self.facts.offset(member))
        self.facts.take(to, structure)

    def _load_path(self, offset: int) -> None:
        """R8 and R9 of the struct path at R8 + offset."""
        at = self.facts.offset
        self.facts.member(Size.U64, R9, R8, offset + at("PATH_MNT"))
        self.code.alu(Alu.SUB, R9, at("MOUNT_MNT"))
        self.facts.take(R9, "MOUNT")
        self.facts.member(Size.U64, R8, R8, offset + at("PATH_DENTRY"))
        self.facts.take(R8, "DENTRY")

    def _load_root(self) -> None:
        """ROOT = root of the mount in R9."""
        at = self.facts.offset
        self.facts.member(Size.U64, R1, R9, at("MOUNT_MNT") + at("VFSMOUNT_ROOT"))
        self.code.store(Size.U64, R7, ROOT, R1)

    def _read_head(self) -> None:
        """Parent and name of the dentry in R8 to the stack, where they are not loaded directly."""
        if not self.facts.is_direct:
            at = self.facts.offset
            for slot, size, offset in (
                (Slot.PARENT, Size.U64, at("DENTRY_PARENT")),
                (Slot.NAME, Size.U64, at("DENTRY_NAME") + at("QSTR_NAME")),
                (Slot.LENGTH, Size.U32, at("DENTRY_NAME") + at("QSTR_LEN")),
            ):
                self.facts.read(size, R1, R8, offset)
                self.code.store(Size.U64, R10, slot, R1)

    def _head(self, to: Reg, slot: Slot) -> None:
        if not self.facts.is_direct:
            self.code.load(Size.U64, to, R10, slot)
            return
        at = self.facts.offset
        name = at("DENTRY_NAME")
        if slot is Slot.LENGTH:
            self.code.load(Size.U32, to, R8, name + at("QSTR_LEN"))
        else:
            offset = at("DENTRY_PARENT") if slot is Slot.PARENT else name + at("QSTR_NAME")
            self.code.load(Size.U64, to, R8, offset)

    def _walk(self) -> None:
        """Note the names up to the root of all, deepest first, and the sum of their lengths."""
        code, at = self.code, self.facts.offset
        loop, mounted, done = Label(), Label(), Label()
        code.store_constant(Size.U64, R7, NAMES, 0)
        code.store_constant(Size.U64, R7, TOTAL, 0)
        self._load_root()
        self._refuse_nameless_tree()
        code.store_constant(Size.U64, R10, Slot.TURN, 0)
        code.place(loop)
        code.load(Size.U64, R1, R7, ROOT)
        code.jump(mounted, Jump.EQ, R8, R1)
        self._read_head()
        self._head(R1, Slot.PARENT)
        # A root that is not the mount's: the directory is not in a tree that anybody sees.
        code.jump(self.odd, Jump.EQ, R8, R1)
        self._head(R2, Slot.LENGTH)
        code.jump(self.odd, Jump.EQ, R2, 0)
        code.jump(self.odd, Jump.GT, R2, NAME_BYTES)
        self._head(R3, Slot.NAME)
        self._note_name()
        self._head(R8, Slot.PARENT)
        self.facts.take(R8, "DENTRY")
        self._turn(loop)
        code.place(mounted)
        self.facts.member(Size.U64, R1, R9, at("MOUNT_PARENT"))
        code.jump(done, Jump.EQ, R1, R9)
        code.store(Size.U64, R10, Slot.POINTER, R1)
        self.facts.member(Size.U64, R8, R9, at("MOUNT_MOUNTPOINT"))
        self.facts.take(R8, "DENTRY")
        code.load(Size.U64, R9, R10, Slot.POINTER)
        self.facts.take(R9, "MOUNT")
        self._load_root()
        self._turn(loop)
        code.place(done)

    def _note_name(self) -> None:
        """Note the name at R3 of R2 bytes, unless dots climb above it. Without a branch."""
        code = self.code
        code.load(Size.U64, R1, R7, NAMES)
        code.alu(Alu.AND, R1, NAMES_MASK)
        code.move(R4, R1)
        code.alu(Alu.LSH, R4, 4)
        code.alu(Alu.ADD, R4, R7)
        code.store(Size.U64, R4, NAMES_AT, R3)
        code.store(Size.U64, R4, NAMES_AT + _WORD, R2)
        # R5 = all ones when nothing is left to climb.
        code.load(Size.U64, R3, R7, CLIMB)
        code.move(R5, R3)
        code.alu(Alu.SUB, R5, 1)
        code.alu(Alu.ARSH, R5, 63)
        code.alu(Alu.ADD, R2, 1)
        code.alu(Alu.AND, R2, R5)
        add_to(code, TOTAL, R2)
        code.alu(Alu.SUB, R1, R5)
        code.store(Size.U64, R7, NAMES, R1)
        code.alu(Alu.SUB, R3, 1)
        code.alu(Alu.XOR, R5, -1)
        code.alu(Alu.AND, R3, R5)
        code.store(Size.U64, R7, CLIMB, R3)

    def _refuse_nameless_tree(self) -> None:
        """Go to `odd` for a root with a name of its own, as nsfs has: it shows as that name."""
        code, fine = self.code, Label()
        self._read_head()
        self._head(R1, Slot.PARENT)
        code.jump(fine, Jump.NE, R8, R1)
        self._head(R1, Slot.NAME)
        self.facts.read(Size.U8, R1, R1, 0)
        code.jump(self.odd, Jump.NE, R1, ord("/"))
        code.place(fine)

    def _turn(self, loop: Label) -> None:
        code = self.code
        code.load(Size.U64, R1, R10, Slot.TURN)
        code.alu(Alu.ADD, R1, 1)
        code.store(Size.U64, R10, Slot.TURN, R1)
        code.jump(loop, Jump.LT, R1, MAX_LEVELS)
        code.jump(self.odd)


def add_to(code: Assembler, place: int, value: int | Reg) -> None:
    """Add to a number in the CPU's memory. Changes R0."""
    code.load(Size.U64, R0, R7, place)
    code.alu(Alu.ADD, R0, value)
    code.store(Size.U64, R7, place, R0)
