"""One layout, written down twice: C and Python agree to the byte."""

import re
import shutil
import subprocess
from struct import calcsize

import pytest

from exporter.events import live, native
from exporter.events.fd import FdType
from exporter.events.table import event_type
from exporter.sources.probe import record, source_text, syscalls
from exporter.sources.probe.probe import REASONS

BPF = source_text.locate_bpf()
PRINTER = """
#include <stdio.h>
#define SCRATCH_BYTES {scratch}
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
    text = PRINTER.format(bpf=BPF, lines=lines, scratch=source_text.SCRATCH_BYTES)
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
    assert c_layout["created"] == native.OPEN_CREATED
    assert c_layout["upper"] == native.OPEN_UPPER_LAYER
    assert c_layout["lower"] == native.OPEN_LOWER_LAYER
    assert c_layout["mask"] == record.OPEN_NATIVE_MASK
    assert c_layout["pidns"] == native.CLONE_CHILD_IN_PIDNS


def test_numbers_of_attachments_flags_and_kinds_agree():
    """Attachment kinds, truncation bits and descriptor kinds are numbered alike."""
    numbers = defines("layout.h")

    for kind in record.Attachment:
        assert numbers[f"ATTACH_{kind.name}"] == kind
    for name in ("ARGS", "ENV", "PATH", "CGROUPS"):
        assert numbers[f"RECORD_TRUNCATED_{name}"] == getattr(live, f"TRUNCATED_{name}")
    kinds = {name: value for name, value in numbers.items() if name.startswith("FD_")}
    assert kinds == {name: FdType[name.removeprefix("FD_")] for name in kinds}


def test_steps_reasons_and_call_flags_agree():
    """Program array, reasons and call flags are numbered alike."""
    numbers = defines("maps.h")

    assert {step.name: step.value for step in syscalls.Step} == {
        name.removeprefix("STEP_"): value
        for name, value in numbers.items()
        if name.startswith("STEP_") and name != "STEP_COUNT"
    }
    assert numbers["STEP_COUNT"] == len(syscalls.Step)
    for index, reason in enumerate(REASONS):
        assert numbers[f"REASON_{reason.upper()}"] == index
    for name in ("HAS_DIRFD", "OPEN_HOW", "ACCEPT4", "CLONE_ARG", "CLONE3_ARG", "EXECVEAT"):
        assert numbers[f"SYSCALL_{name}"] == getattr(syscalls, name)


def test_argument_kinds_agree():
    """The letters of `ops` stand for the kernel side's numbers."""
    numbers = defines("syscalls_generic.h")
    letters = {
        "F": "FD", "D": "DIRFD", "P": "PATH", "S": "STRING", "U": "U32", "M": "MODE",
        "R": "RESULT_FD", "-": "SKIP", "C": "CWD",
    }  # fmt: skip

    assert {letter: numbers[f"OP_{name}"] for letter, name in letters.items()} == syscalls.OPS


def test_generic_calls_fill_their_event():
    """The arguments of each generic call are as many, and as wide, as its event's parameters."""
    widths = {"F": {"FD"}, "D": {"FD"}, "P": {"FSPATH", "FSRELPATH"}, "S": {"CHARBUF"}}
    words = {"UINT32", "INT32", "FLAGS32", "UID", "GID", "MODE", "ENUMFLAGS32"}
    widths |= {"U": words, "M": words}

    for name, call in syscalls.CALLS.items():
        if call.step != syscalls.Step.GENERIC:
            continue
        shown = [letter for letter in call.ops if letter not in "RC-"]
        params = event_type(call.event).params
        assert len(params) == 1 + len(shown), name
        for letter, param in zip(shown, params[1:], strict=True):
            assert param.type in widths[letter], (name, param.name)


def test_native_parameters_exist():
    """Every parameter that is said to be native is one of its event's."""
    for event, names in record.NATIVE_PARAMS.items():
        assert set(names) <= set(event_type(event).param_index)
        assert event in syscalls.supported_events().values()


def test_every_function_of_the_probe_is_loaded():
    """Each program in bpf/ is a step or a hook that the loader knows, and the other way round."""
    text = "".join(path.read_text() for path in BPF.glob("*.h"))
    functions = set(re.findall(r"^int (\w+)\(struct bpf_raw_tracepoint_args", text, re.MULTILINE))

    assert functions == set(source_text.PROGRAMS) | set(source_text.HOOKS)
