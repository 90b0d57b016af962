"""Laws of binding: which operators, values and transformers a field's type allows."""

import pytest

from exporter.rules.bind import bind_check
from exporter.rules.check import ConditionError, check_condition
from exporter.rules.parser import parse_condition

BAD = "filter error: "
HEX_ONLY = "bcontains and bstartswith operator support hex strings only"


def problem(text: str, source: str = "syscall") -> str:
    """The message of the error that checking the condition raises; empty when it is fine."""
    try:
        check_condition(parse_condition(text, 1000), source)
    except ConditionError as error:
        return error.message
    return ""


STRING_OPS = ("=", "==", "!=", "contains", "icontains", "startswith", "endswith", "glob", "iglob")
VALUES = {
    "proc.name": "x",
    "proc.pid": "1",
    "evt.rawtime": "1",
    "fd.sport": "80",
    "proc.is_exe_writable": "true",
    "fd.sip": "10.0.0.1",
    "fd.snet": '"10.0.0.0/8"',
    "evt.buffer": "41",
    "proc.fdusage": "1",
}
ALLOWED = {
    "proc.name": {*STRING_OPS, "regex", "in", "intersects", "pmatch", "exists"},
    "proc.pid": {"=", "==", "!=", "<", "<=", ">", ">=", "in", "intersects", "exists"},
    "evt.rawtime": {"=", "==", "!=", "<", "<=", ">", ">=", "in", "intersects", "exists"},
    "fd.sport": {"=", "==", "!=", "<", "<=", ">", ">=", "in", "intersects", "exists"},
    "proc.fdusage": {"=", "==", "!=", "<", "<=", ">", ">=", "in", "intersects", "exists"},
    "proc.is_exe_writable": {"=", "==", "!=", "in", "intersects", "exists"},
    "fd.sip": {"=", "==", "!=", "in", "intersects", "exists"},
    "fd.snet": {"=", "==", "!=", "in", "intersects", "exists"},
    "evt.buffer": {
        "=", "==", "!=", "contains", "startswith", "endswith", "in", "intersects", "exists",
        "bcontains", "bstartswith",
    },
    "fd.types": {"in", "intersects", "exists"},
}  # fmt: skip
EVERY_OP = (
    *STRING_OPS,
    "regex",
    "bcontains",
    "bstartswith",
    "in",
    "intersects",
    "pmatch",
    "exists",
)


@pytest.mark.parametrize("field", ALLOWED)
@pytest.mark.parametrize("op", EVERY_OP)
def test_operators_follow_the_type(field, op):
    """Every pair of type and operator is allowed exactly where the reference allows it."""
    value = VALUES.get(field, "x")
    if op == "exists":
        text = f"{field} exists"
    elif op in {"in", "intersects", "pmatch"}:
        text = f"{field} {op} ({value})"
    else:
        text = f"{field} {op} {value}"

    assert (op in ALLOWED[field]) == (problem(text) == ""), problem(text)


@pytest.mark.parametrize("op", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("field", ALLOWED)
def test_numeric_operators_follow_the_type(field, op):
    """Order is for numbers and texts only."""
    is_fine = field == "proc.name" or op in ALLOWED[field]

    assert is_fine == (problem(f"{field} {op} 1") == "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proc.pid contains 1", BAD + "'contains' operator not supported for numeric filters"),
        ("proc.name bcontains 41", BAD + "'bcontains' operator not supported for string filters"),
        ("evt.failed > 1", BAD + "'>' operator not supported for boolean filters"),
        ("fd.types = file", BAD + "'=' operator not supported for list filters"),
        ("evt.rawarg.euid = 0", "'=' operator not supported for type 'UID'"),
        ("evt.rawarg.data contains x", "wrong parameter type 10"),
        ("proc.nothing = x", "filter_check called with nonexistent field proc.nothing"),
        ("proc.name[1] = x", "filter_check called with nonexistent field proc.name[1]"),
        ("evt.outputtime = x", "filter_check called with nonexistent field evt.outputtime"),
        ("evt.arg.nothing = x", "unknown event argument nothing"),
        ("evt.type = nothing", "unknown event type nothing"),
        ("evt.type contains nothing", "unknown event type nothing"),
        ("evt.type in (open, nothing)", "unknown event type nothing"),
        ("proc.pid = 0x10", "0x10 is not a valid number"),
        ("proc.pid = 1.5", "1.5 is not a valid number"),
        ("proc.pid > 1e+3", "1e+3 is not a valid number"),
        ("proc.pid = x", "x is not a valid number"),
        ("evt.failed = yes", "filter error: unrecognized boolean value yes"),
        ("fd.sport = nothing", "unrecognized protocol nothing"),
        ("fd.sip = 1.2.3", "unrecognized IPv4 address 1.2.3"),
        ("fd.sip = zz", "unrecognized IPv6 address zz"),
        ("fd.snet = 10.0.0.0", "unrecognized IP network 10.0.0.0"),
        ("evt.buffer bcontains 4", HEX_ONLY),
        ("evt.buffer bstartswith zz", HEX_ONLY),
        ('proc.name = "a\\x00b"', "filter value cannot contain a NUL byte (\\x00)"),
        (r"proc.name regex \d", "invalid regex pattern: invalid escape sequence: \\d"),
        ("tolower(proc.pid) = x", ("can't add field transformer: type 'INT64' is not supported by "
         "'tolower' transformer applied on field 'proc.pid'")),
        ("tolower(proc.aname) = x", "field 'proc.aname' does not support transformers"),
        ("len(evt.rawarg.name) = 1", "field 'evt.rawarg.name' does not support transformers"),
        ('getopt(proc.args, "a") in (a)', "getopt() first argument must be a list"),
        ('join(",", proc.args) = x', "join() second argument must be a list"),
        ('getopt((proc.name), "a")[ab] = x',
         "getopt() field argument must be a single option character"),
        ("tolower(proc.name)[a] = x", "transformer 'tolower' does not support field arguments"),
        ("tolower(proc.name, proc.name) = x", "unknown multivalue transformer: tolower"),
        ('join(",") = x', "unknown field transfomer: join"),
        ("proc.name = val(proc.pid)", ("field 'proc.name' has type 'CHARBUF' while the right-hand "
         "side field 'proc.pid' has incompatible type 'INT64'")),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(text, message):
    """Each mistake has its message."""
    assert message == problem(text)


@pytest.mark.parametrize(
    "text",
    [
        "proc.name regex val(proc.pname)",
        "proc.name pmatch val(proc.pname)",
        "proc.name = val(proc.aname)",
        "fd.snet = val(fd.sip)",
        "fd.types in val(fd.types)",
        "fd.ip = val(fd.sip)",
    ],
)
def test_some_fields_are_not_compared_with_fields(text):
    """pmatch, regex, networks and no-right-hand-side fields refuse field-to-field checks."""
    assert problem(text)


@pytest.mark.parametrize(
    "text",
    [
        "evt.type in (open, renameat2, accept4)",
        "evt.type = getpid",
        "syscall.type = nothing",
        "evt.rawarg.uid = 0",
        "evt.rawarg.data exists",
        "proc.name = val(proc.pname)",
        "tolower(proc.name) in (a, b)",
        "len(fd.types) > 2",
        "len(evt.buffer) > 2",
        'getopt((proc.name, proc.pid), "ab:") in (a)',
        'getopt((proc.name, proc.pid), "ab:")[b] startswith x',
        'join("-", (proc.name, proc.pid, "x", 3)) = x',
        'join(",", fd.types) contains file',
        "proc.name = tolower(proc.pname)",
        "fd.sport = https",
        "fd.sport = 70000",
        "user.uid = -1",
        "fd.sip = ::1",
        'fd.snet = "fe80::/10"',
        "evt.around[1] = 5",
        "proc.name in ()",
        "proc.name = oneof",
        "b64(proc.name) = x",
        'evt.buffer contains "\\x00"',
    ],
)
def test_these_are_fine(text):
    """Allowed forms raise nothing."""
    assert problem(text) == ""


def test_values_are_limited_to_255_bytes():
    """The longest constant has 255 bytes."""
    assert problem(f"proc.name = {'x' * 255}") == ""
    assert "too long" in problem(f"proc.name = {'x' * 256}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("proc.pid = -5", -5),
        ("proc.pid = +5", 5),
        ("user.uid = -1", 0xFFFFFFFF),
        ("user.uid = 4294967296", 0),
        ("evt.cpu = 65535", -1),
        ("fd.sport = 65537", 1),
        ("fd.sport = 443", 443),
        ("evt.rawtime = -1", (1 << 64) - 1),
    ],
)
def test_numbers_are_cut_to_their_width(text, value):
    """Constants wrap around as they do when stored in the field's type."""
    node = parse_condition(text)

    test = bind_check(node, "syscall")  # type: ignore[arg-type]

    assert (value,) == test.values


MISUSED_FIELD = "'{}' may be a valid field misused as a const string value"
MISUSED_TRANSFORMER = "'{}' may be a valid field transformer misused as a const string value"
NEEDLESS_REGEX = (
    "regex check with '{}' may be optimized with simpler operators such as '=', 'contains', "
    "'startswith', 'endswith'"
)


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("proc.name = proc.pname", [MISUSED_FIELD.format("proc.pname")]),
        ('proc.name = "tolower(proc.name)"', [MISUSED_TRANSFORMER.format("tolower(proc.name)")]),
        ("proc.name regex abc", [NEEDLESS_REGEX.format("abc")]),
        ("proc.name regex .*abc.*", [NEEDLESS_REGEX.format(".*abc.*")]),
        ("proc.name regex a.c", []),
        ("proc.name in (a, proc.exe)", [MISUSED_FIELD.format("proc.exe")]),
        ("proc.name = cat", []),
    ],
)
def test_suspicious_values_are_warned_of(text, warnings):
    """Values that look like fields, transformers or needless regular expressions are named."""
    found = check_condition(parse_condition(text), "syscall")

    assert warnings == [warning.message for warning in found]


def test_errors_have_a_place():
    """The position is that of the field or value in the condition text."""
    with pytest.raises(ConditionError) as caught:
        check_condition(parse_condition("evt.type = open and proc.nothing = x"), "syscall")

    assert caught.value.position.column == 21
