"""One layout, written down twice: C and Python agree to the byte."""

import re
import shutil
import subprocess
from struct import calcsize

import pytest

from exporter.events import live, native_values
from exporter.events.fd import FdType
from exporter.events.native import translator
from exporter.events.table import event_type, load_syscall_table
from exporter.pushdown import emit_hook
from exporter.pushdown.facts import Kind, Text
from exporter.pushdown.ir import FALSE
from exporter.pushdown.needles import Needles
from exporter.sources.probe import record, source_text, syscalls
from exporter.sources.probe.maps import REASONS

BPF = source_text.locate_bpf()
PRINTER = """
#include <stdio.h>
#define SCRATCH_BYTES {scratch}
#define JUDGED_BYTES {judged}
#define CLOSING_BYTES {closing}
#define CLOSED_AT {closed}
#include "{bpf}/include/linux/types.h"
#define offsetof(t, m) __builtin_offsetof(t, m)
#include "{bpf}/layout.h"
int main(void)
{{
{lines}
    printf("size %zu\\n", sizeof(struct record_header));
    printf("created %u\\n", OPEN_CREATED);
    printf("upper %u\\n", OPEN_UPPER_LAYER);
    printf("lower %u\\n", OPEN_LOWER_LAYER);
    printf("mask %u\\n", OPEN_NATIVE_MASK);
    printf("scratch_flags %zu\\n", offsetof(struct scratch, flags));
    printf("judged_uid %zu\\n", offsetof(struct judged, uid));
    printf("judged_exe_flags %zu\\n", offsetof(struct judged, exe_flags));
    printf("judged_found_env %zu\\n", offsetof(struct judged, found_env));
    printf("judged_found %zu\\n", offsetof(struct judged, found));
    printf("judged_comm %zu\\n", offsetof(struct judged, comm.text));
    printf("judged_parent %zu\\n", offsetof(struct judged, parent.text));
    printf("needles %zu\\n", sizeof(struct needles));
    printf("pidns %u\\n", CLONE_CHILD_IN_PIDNS);
    return 0;
}}
"""


def defines(name):
    """Numbers that a header of the probe defines."""
    text = (BPF / name).read_text()
    found = re.findall(r"^#define (\w+) (?:\(1 << (\d+)\)|(\d+)(?!\w))", text, re.MULTILINE)
    return {name: 1 << int(bit) if bit else int(number) for name, bit, number in found}


@pytest.fixture(scope="module")
def c_layout(tmp_path_factory):
    """What a C compiler makes of bpf/layout.h."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    directory = tmp_path_factory.mktemp("layout")
    lines = "\n".join(
        f'    printf("{field} %zu\\n", offsetof(struct record_header, {field}));'
        for field in _fields_in_c()
    )
    sizes = {
        "scratch": source_text.SCRATCH_BYTES,
        "judged": source_text.JUDGED_BYTES,
        "closing": source_text.CLOSING_BYTES,
        "closed": source_text.CLOSED_AT,
    }
    text = PRINTER.format(bpf=BPF, lines=lines, **sizes)
    # Our own types stand beside the compiler's; keep them apart.
    text = text.replace("#include <stdio.h>\n", "int printf(const char *, ...);\n")
    (directory / "layout.c").write_text(text)
    subprocess.run([compiler, "-w", "-o", directory / "layout", directory / "layout.c"], check=True)
    result = subprocess.run([directory / "layout"], check=True, capture_output=True, text=True)
    return {line.split()[0]: int(line.split()[1]) for line in result.stdout.splitlines()}


def _fields_in_c():
    text = (BPF / "layout.h").read_text()
    body = text.partition("struct record_header {")[2].partition("}")[0]
    return re.findall(r"\bu\d+ (\w+)(?:\[\d+\])?;", body)


def test_header_members_are_the_same_in_the_same_order():
    """The names of both layouts agree."""
    assert tuple(_fields_in_c()) == record.HEADER_FIELDS


def test_header_offsets_agree(c_layout):
    """Every member lies where the reader unpacks it."""
    codes = re.findall(r"\d*\w", record.HEADER.format[1:])
    assert len(codes) == len(record.HEADER_FIELDS)
    at = 0
    for field, code in zip(record.HEADER_FIELDS, codes, strict=True):
        assert (field, c_layout[field]) == (field, at)
        at += calcsize("<" + code)
    assert c_layout["size"] == record.HEADER.size == at


def test_extra_bits_agree(c_layout):
    """The bits that the probe adds to flag words are those that the decoders translate."""
    assert c_layout["created"] == native_values.OPEN_CREATED
    assert c_layout["upper"] == native_values.OPEN_UPPER_LAYER
    assert c_layout["lower"] == native_values.OPEN_LOWER_LAYER
    assert c_layout["mask"] == record.OPEN_NATIVE_MASK
    assert c_layout["pidns"] == native_values.CLONE_CHILD_IN_PIDNS


def test_what_filters_of_records_look_at_agrees(c_layout):
    """struct judged and struct needles are where filters look, and so is the record's flag word."""
    assert c_layout["scratch_flags"] == emit_hook.SCRATCH_FLAGS
    assert c_layout["judged_uid"] == emit_hook.NUMBERS_AT[Kind.UID]
    assert c_layout["judged_exe_flags"] == emit_hook.NUMBERS_AT[Kind.EXE_FLAGS]
    assert c_layout["judged_found_env"] == emit_hook.FOUND_AT[Text.ENVIRONMENT]
    assert c_layout["judged_found"] == emit_hook.FOUND_AT[Text.COMM]
    assert c_layout["judged_comm"] == emit_hook.TEXTS_AT[Text.COMM]
    assert c_layout["judged_parent"] == emit_hook.TEXTS_AT[Text.PARENT_COMM]
    assert c_layout["needles"] == source_text.NEEDLES_BYTES == len(Needles(FALSE).to_bytes())
    assert defines("layout.h")["JUDGED_TEXT_BYTES"] == 512


def test_numbers_of_attachments_flags_and_kinds_agree():
    """Attachment kinds, truncation bits and descriptor kinds are numbered alike."""
    numbers = defines("layout.h")

    for kind in record.Attachment:
        assert numbers[f"ATTACH_{kind.name}"] == kind
    for name in ("ARGS", "ENV", "PATH", "CGROUPS"):
        assert numbers[f"RECORD_TRUNCATED_{name}"] == getattr(live, f"TRUNCATED_{name}")
    assert numbers["RECORD_STATE_ONLY"] == record.RECORD_STATE_ONLY
    kinds = {name: value for name, value in numbers.items() if name.startswith("FD_")}
    assert kinds == {name: FdType[name.removeprefix("FD_")] for name in kinds}


def test_steps_reasons_and_call_flags_agree():
    """Program array, reasons and call flags are numbered alike."""
    numbers = defines("maps.h")
    maps = (BPF / "maps.h").read_text()

    assert {step.name: step.value for step in syscalls.Step} == {
        name.removeprefix("STEP_"): value
        for name, value in numbers.items()
        if name.startswith("STEP_") and name != "STEP_COUNT"
    }
    assert numbers["STEP_COUNT"] == len(syscalls.Step)
    slots = re.findall(r"^#define FILTER_(\w+) \(STEP_COUNT \+ (\d+)\)", maps, re.MULTILINE)
    assert {name: len(syscalls.Step) + int(number) for name, number in slots} == {
        hook.name: hook.slot for hook in syscalls.Hook
    }
    for index, reason in enumerate(REASONS):
        assert numbers[f"REASON_{reason.upper()}"] == index
    for name in (
        "HAS_DIRFD", "OPEN_HOW", "ACCEPT4", "CLONE_ARG", "CLONE3_ARG", "EXECVEAT", "PIPE2",
        "SOCKETPAIR", "SET_OPTION", "ONLY_STATE", "STATE",
    ):  # fmt: skip
        assert numbers[f"SYSCALL_{name}"] == getattr(syscalls, name)
    io = defines("syscalls_io.h")
    for name in ("VECTOR", "MSGHDR", "SENT", "ADDRESS", "SIZE_IS_RESULT"):
        assert io[f"IO_{name}"] == getattr(syscalls, f"IO_{name}")


def test_argument_kinds_agree():
    """The letters of `ops` stand for the kernel side's numbers, and fit into five bits."""
    kinds = {
        name: number for name, number in defines("syscalls_generic.h").items() if name[:3] == "OP_"
    }
    letters = {
        "F": "FD", "D": "DIRFD", "P": "PATH", "S": "STRING", "U": "U32", "M": "MODE",
        "R": "RESULT_FD", "O": "OUT_STRING", "C": "CWD", "L": "U64", "I": "S32", "H": "U16",
        "B": "U8", "T": "TIMESPEC", "Q": "DEREF_U64", "W": "DEREF_U32", "X": "LIMITS",
        "Y": "OUT_LIMITS", "V": "MEMORY", "K": "CAPS", "J": "RING", "E": "SEMAPHORES",
    }  # fmt: skip

    assert {letter: kinds[f"OP_{name}"] for letter, name in letters.items()} == syscalls.OPS
    assert kinds["OP_COUNT"] == syscalls.MAX_OPS
    assert max(syscalls.OPS.values()) < 32


def test_ops_name_arguments():
    """An op takes the next argument, or the one its digit names; some take none."""
    f, u, r, i = (syscalls.OPS[letter] for letter in "FURI")

    assert syscalls.encode_ops("") == 0
    assert syscalls.encode_ops("FU") == f | (u | 1 << 5) << 8
    assert syscalls.encode_ops("U2R") == u | 2 << 5 | r << 8
    assert syscalls.encode_ops("U1I") == u | 1 << 5 | (i | 2 << 5) << 8


_WORDS = {"UINT32", "INT32", "FLAGS32", "UID", "GID", "MODE", "ENUMFLAGS32", "SIGSET"}
_WIDTHS = {
    "F": {"FD"}, "D": {"FD"}, "I": {"FD", "PID", "INT64", "ERRNO"}, "P": {"FSPATH", "FSRELPATH"},
    "S": {"CHARBUF", "FSPATH"}, "O": {"CHARBUF"}, "U": _WORDS, "M": _WORDS, "W": _WORDS,
    "L": {"UINT64"}, "Q": {"UINT64"}, "B": {"SIGTYPE", "UINT8", "FLAGS8", "ENUMFLAGS8"},
    "H": {"UINT16", "FLAGS16", "ENUMFLAGS16"}, "T": {"RELTIME"},
}  # fmt: skip
_SEVERAL = {
    "X": ["INT64"] * 2, "Y": ["INT64"] * 2, "V": ["UINT32"] * 3, "K": ["UINT64"] * 3,
    "J": ["UINT32", "UINT32", "FLAGS32", "UINT32", "UINT32", "FLAGS32"],
    "E": ["UINT16", "INT16", "FLAGS16"] * 2,
}  # fmt: skip


def test_generic_calls_fill_their_event():
    """The arguments of each generic call are as many, and as wide, as its event's parameters.

    Where the native value is translated, it may be stored wider than the event's type.
    """
    for name, call in syscalls.CALLS.items():
        if call.step != syscalls.Step.GENERIC:
            continue
        event = event_type(call.event)
        given = [
            kind
            for letter in re.findall("[A-Z]", call.ops)
            if letter not in "RC"
            for kind in _SEVERAL.get(letter, [letter])
        ]
        assert len(event.params[1:]) == len(given), name
        for letter, param in zip(given, event.params[1:], strict=True):
            is_translated = translator(event.name, param) is not None
            fits = param.type in _WIDTHS.get(letter, {letter})
            assert fits or (is_translated and letter == "U"), (name, param.name)


def test_transfers_fill_their_event():
    """Every parameter of a reading or writing call is one that the probe can write."""
    for call in syscalls.CALLS.values():
        if call.step == syscalls.Step.IO:
            assert call.flags >> 8 < 16 ** len(event_type(call.event).params[1:])


def test_every_call_of_the_rules_can_be_reported():
    """No call of this architecture is left out."""
    known = {call.name for call in load_syscall_table().syscalls if "x86_64" in call.nr}

    assert known <= syscalls.CALLS.keys()
    assert syscalls.STATE_CALLS <= syscalls.DEFAULT_CALLS <= syscalls.CALLS.keys()


def test_every_function_of_the_probe_is_loaded():
    """Each program in bpf/ is a step or a hook that the loader knows, and the other way round."""
    text = "".join(path.read_text() for path in BPF.glob("*.h"))
    functions = set(re.findall(r"^int (\w+)\(struct bpf_raw_tracepoint_args", text, re.MULTILINE))

    assert functions == {
        *source_text.PROGRAMS,
        *source_text.HOOKS,
        *source_text.CLOSE_PROGRAMS,
        source_text.RECORD,
        source_text.RECORD_STATE,
    }
