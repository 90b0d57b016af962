"""Laws of the field catalogue: it holds exactly the known fields, and finds them by text."""

from pathlib import Path

import pytest

from exporter.rules.fields.catalogue import (
    CLASSES,
    UnknownArgumentError,
    fields_of,
    find_field,
    is_field,
    nearest_fields,
)
from exporter.rules.fields.field import (
    FILTER_ONLY,
    NO_RHS,
    NO_TRANSFORMER,
    PRINT_ONLY,
    SUGGESTED,
    TABLE_ONLY,
    UNKNOWN,
    ArgKind,
    Field,
    PrintFormat,
)
from tests.factories import find_type, make_event

_LETTERS = {
    NO_RHS: "R",
    NO_TRANSFORMER: "T",
    FILTER_ONLY: "F",
    PRINT_ONLY: "P",
    TABLE_ONLY: "H",
    SUGGESTED: "S",
}


def fact(source: str, field: Field) -> str:
    """The entry as a line of facts.txt: source, name, type, argument, print format, flags."""
    arg = "-" if field.arg is ArgKind.NONE else "r" if field.is_arg_required else "o"
    flags = "".join(sorted(_LETTERS[flag] for flag in field.flags))
    flags += "D" if field.is_deprecated else ""
    form = "-" if field.print_as is PrintFormat.NA else field.print_as
    kind = f"{field.type}[]" if field.is_list else field.type
    return f"{source} {field.name} {kind} {arg} {form} {flags or '-'}"


def known_lines() -> set[str]:
    """The reference list: s syscall, k k8s_audit, * every source."""
    return set((Path(__file__).parent / "facts.txt").read_text().splitlines())


def test_catalogue_is_the_reference_list():
    """Names, sources, types, arguments, print formats and flags are those of the reference."""
    letters = {(): "*", ("syscall",): "s", ("k8s_audit",): "k"}

    ours = {fact(letters[cls.sources], field) for cls in CLASSES for field in cls.fields}

    assert known_lines() == ours


def test_every_field_has_a_description_and_a_reader():
    """No entry is empty: it is described, and it can be read or bound."""
    for cls in CLASSES:
        for field in cls.fields:
            assert field.desc, field.name
            assert field.read or field.bind, field.name


@pytest.mark.parametrize("source", ["syscall", "k8s_audit"])
def test_every_field_reads_every_kind_of_event(source):
    """No reader raises, whatever the event: with and without thread, descriptor, parameters."""
    names = ["openat", "execve", "connect", "close", "poll", "renameat2", "mmap", "procexit"]
    names += ["PPME_GENERIC_X", "PPME_ASYNCEVENT_E", "PPME_PLUGINEVENT_E", "PPME_PROCINFO_E"]
    events = [make_event(name, source=source) for name in names]
    events += [make_event(name, source=source, proc=None, fd_name="/x") for name in names]
    args = {ArgKind.KEY: "x", ArgKind.SUFFIX: None}
    for name, field in fields_of(source).items():
        uses = [] if field.is_arg_required else [find_field(name, None, source)]
        if field.arg is ArgKind.SUFFIX:
            suffix = {"evt.type.is": "open", "evt.abspath": "src"}.get(name, "name")
            uses.append(find_field(f"{name}.{suffix}", None, source))
        elif field.arg is not ArgKind.NONE:
            uses.append(find_field(name, args.get(field.arg, "1"), source))
        for use in uses:
            assert use is not None, name
            for event in events:
                value = use.read(event)
                assert value is None or isinstance(value, bytes | int | float | tuple), name


def test_constants_agree_with_readers():
    """Where the event type alone decides a field, its reader says the same."""
    for name in ("open", "openat", "creat", "read", "write", "kill", "poll", "execve", "mmap"):
        event_type = find_type(name)
        event = make_event(name, fd_name="/x")
        for field in fields_of("syscall").values():
            if field.constant is None or field.read is None:
                continue
            constant = field.constant(event_type)
            if constant is not UNKNOWN:
                assert constant == field.read(event), (name, field.name)


def test_inline_expressions_agree_with_readers():
    """The expression of a hot field gives what its reader gives, with and without a thread."""
    for event in (make_event("openat"), make_event("openat", proc=None)):
        for field in fields_of("syscall").values():
            if field.inline:
                value = eval(field.inline, {"e": event, "t": event.thread})
                assert field.read is not None
                assert field.read(event) == value, field.name


@pytest.mark.parametrize(
    ("name", "arg", "is_known"),
    [
        ("proc.name", None, True),
        ("proc.nam", None, False),
        ("proc.names", None, False),
        ("proc.name", "1", False),
        ("proc.aname", None, True),
        ("proc.aname", "2", True),
        ("proc.aname", "x", False),
        ("proc.aname", "", False),
        ("proc.env", "HOME", True),
        ("proc.aenv", "2", True),
        ("proc.aenv", "HOME", True),
        ("evt.arg", None, False),
        ("evt.arg", "0", True),
        ("evt.arg", "flags", False),
        ("evt.arg.flags", None, True),
        ("evt.rawarg.flags", None, True),
        ("evt.rawarg", "0", False),
        ("evt.type.is.open", None, True),
        ("evt.abspath", None, True),
        ("evt.abspath.src", None, True),
        ("evt.abspath.foo", None, False),
        ("thread.cgroup.cpu", None, True),
        ("thread.cgroups", None, True),
        ("container.mount", "/etc", True),
        ("container.mount", None, False),
        ("k8s.pod.label", "app", True),
        ("k8s.pod.label.app", None, False),
        ("fd.types", "3", True),
        ("ka.verb", None, False),
    ],
)
def test_lookup_of_system_call_fields(name, arg, is_known):
    """A field is found exactly when its name and argument form exist."""
    assert is_known == (find_field(name, arg, "syscall") is not None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("evt.arg.nothing", "unknown event argument nothing"),
        ("evt.type.is.nothing", "unknown event type nothing"),
    ],
)
def test_unknown_dotted_arguments_are_named(name, message):
    """A dotted argument that names nothing is an error of its own."""
    with pytest.raises(UnknownArgumentError, match=message):
        find_field(name, None, "syscall")


def test_sources_have_their_own_fields():
    """Audit events have audit, JSON and generic fields; system calls have none of the former."""
    assert find_field("ka.verb", None, "k8s_audit")
    assert find_field("jevt.value", "/verb", "k8s_audit")
    assert find_field("evt.time", None, "k8s_audit")
    assert find_field("proc.name", None, "k8s_audit") is None
    assert find_field("ka.req.pod.containers.image", "0", "k8s_audit")


def test_raw_arguments_have_the_type_of_the_event_table():
    """evt.rawarg.NAME has the type of the first event that has the parameter."""
    uid = find_field("evt.rawarg.uid", None, "syscall")
    euid = find_field("evt.rawarg.euid", None, "syscall")

    assert uid is not None
    assert uid.type == "UINT32"
    assert euid is not None
    assert euid.type == "UID"


def test_whole_texts_are_fields():
    """`is_field` takes the argument with the name."""
    assert is_field("proc.aname[2]", "syscall")
    assert is_field('proc.env["A B"]', "syscall")
    assert not is_field("proc.name[2]", "syscall")
    assert not is_field("proc.name]", "syscall")
    assert not is_field("cat", "syscall")


def test_suggestions_are_near_and_current():
    """The nearest names come first; deprecated fields are not suggested."""
    assert nearest_fields("proc.nmae", "syscall")[0] == "proc.name"
    assert "evt.dir" not in nearest_fields("evt.dirr", "syscall")
