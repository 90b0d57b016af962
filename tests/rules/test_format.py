"""Laws of output formats: which field a token names, how values print, what JSON shows."""

import time

import pytest

from exporter.events.container import Container
from exporter.events.fd import Fd, FdType, Role
from exporter.rules.format import compile_format
from exporter.rules.template import FormatError
from tests.factories import NOW_NS, make_event, make_thread


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    """Local time is UTC in these tests."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def text(template, event=None, source="syscall"):
    """The template rendered for an event (a plain openat by cat unless given)."""
    event = event or make_event("openat", fd_name="/etc/shadow")
    return compile_format(template, source).render(event)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("*plain text", "plain text"),
        ("*", ""),
        ("*%proc.name", "cat"),
        ("*%proc.nameand more", "catand more"),
        ("*%fd.name.txt", "/etc/shadow.txt"),
        ("*%proc.name[1]", "cat[1]"),
        ("*%proc.aname[0]!", "cat!"),
        ("*%proc.aname[2]", "<NA>"),
        ("*%proc.pid%proc.name", "1000cat"),
        ("*%10proc.name|", "cat       |"),
        ("*%2proc.name|", "ca|"),
        ("*%0proc.name|", "cat|"),
        ("*%4proc.aname[3]|", "<NA>|"),
        ("*%toupper(proc.name)", "CAT"),
        ("*%len(proc.name) bytes", "3 bytes"),
        ("*%toupper(proc.name)[%proc.pid]", "CAT[1000]"),
        ("*%toupper(proc.name)[x]", "CAT[x]"),
        ('*%join("-", (proc.name, proc.pid))!', "cat-1000!"),
        ("*%basename(fd.name)) x", "shadow) x"),
        ("*%evt.time", "22:13:20.123456789"),
        ("*%evt.time.s", "22:13:20"),
        ("*%evt.time.iso8601", "2023-11-14T22:13:20.123456789+0000"),
        ("*%evt.datetime", "2023-11-14 22:13:20.123456789"),
        ("*%evt.rawtime", str(NOW_NS)),
        ("*%evt.rawtime.ns", "123456789"),
        ("*%evt.arg.flags", "<NA>"),
        ("*%evt.arg.flagsx", "<NA>x"),
        ("*%proc.is_exe_writable", "false"),
        ("*%fd.ip %fd.net %fd.proto", "<NA> <NA> <NA>"),
        ("**%proc.name", "*cat"),
        ("*%proc.pname\n%proc.name", "<NA>\ncat"),
    ],
)
def test_templates_render(template, expected):
    """The longest text that names a field is the token; widths pad or cut; missing is <NA>."""
    assert expected == text(template)


def test_without_a_star_a_missing_value_suppresses_the_text():
    """Only a leading star prints missing values."""
    assert text("%proc.name %proc.pname") is None
    assert text("%proc.name") == "cat"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("100%", "invalid formatting syntax: formatting cannot end with a %"),
        ("wide %10", "invalid formatting syntax: formatting cannot end with a number"),
        ("", "empty formatting token"),
        ("100% of", "unknown filter: of"),
        ("%nothing.here x", "unknown filter: nothing.here"),
        ("%evt.arg", "unknown filter: evt.arg"),
        ("%%", "unknown filter: %"),
        ("%tolower(proc.pid)", "unknown filter: can't add field transformer: type 'INT64'"),
        ("%tolower(foo.bar)", "unknown filter: filter_check called with nonexistent field"),
        ("%container.mount x", "unknown filter: container.mount"),
    ],
)
def test_wrong_tokens_are_errors(template, message):
    """A percent sign that starts no field is an error that shows the token."""
    with pytest.raises(FormatError) as caught:
        compile_format(template, "syscall")

    assert caught.value.message.startswith(message)
    assert caught.value.code == "LOAD_ERR_COMPILE_OUTPUT"


def test_transformers_on_wrong_types_are_errors():
    """The types of transformers hold in outputs too."""
    with pytest.raises(FormatError, match="not supported by 'tolower'"):
        compile_format("%tolower(proc.pid)", "syscall")


def test_field_names_are_the_plain_fields_once_each():
    """Fields inside transformers are listed, the transformer is not."""
    found = compile_format("*%proc.name %toupper(proc.exe) %proc.aname[2] %proc.name", "syscall")

    assert found.field_names == ("proc.name", "proc.exe", "proc.aname[2]")


def test_json_values_are_typed():
    """Numbers stay numbers, times are ns, missing is None, addresses and hex are texts."""
    fd = Fd(
        type=FdType.IPV4,
        name=b"x",
        sip=b"\x0a\0\0\1",
        dip=b"\x7f\0\0\1",
        sport=5,
        dport=80,
        role=Role.CLIENT,
        dev=0xAB,
    )
    names = (
        *("evt.time", "evt.time.iso8601", "proc.name", "proc.pid", "proc.is_exe_writable"),
        *("fd.sip", "fd.sport", "fd.dev", "proc.pname", "fd.types", "evt.rawtime.ns"),
        *("evt.latency.ns", "proc.fdusage", "user.loginuid"),
    )
    thread = make_thread("cat", fds={3: fd}, fdlimit=10)
    event = make_event("connect", proc=thread, fd=fd)
    template = "*" + " ".join(f"%{name}" for name in names)

    values = compile_format(template, "syscall").fields(event)

    assert values == {
        "evt.time": NOW_NS,
        "evt.time.iso8601": NOW_NS,
        "proc.name": "cat",
        "proc.pid": 1000,
        "proc.is_exe_writable": False,
        "fd.sip": "127.0.0.1",
        "fd.sport": 80,
        "fd.dev": "AB",
        "proc.pname": None,
        "fd.types": ["ipv4"],
        "evt.rawtime.ns": 123456789,
        "evt.latency.ns": "000000000",
        "proc.fdusage": 10.0,
        "user.loginuid": -1,
    }


def test_text_of_special_types():
    """Addresses, lists, doubles and hex numbers have their own printed forms."""
    fd = Fd(
        type=FdType.IPV6, sip=b"\0" * 15 + b"\1", dip=b"\xfe\x80" + b"\0" * 14, role=Role.SERVER
    )
    thread = make_thread("cat", fds={3: fd, 4: Fd(type=FdType.FILE_V2)}, fdlimit=16)
    event = make_event("connect", proc=thread, fd=fd)

    assert (
        text("*%fd.cip %fd.sip %fd.types %proc.fdusage %fd.dev", event)
        == "::1 fe80:: (ipv6,file) 12.5 0"
    )


def test_buffers_print_with_dots_or_base64():
    """Unprintable bytes are dots; the option prints base64 instead."""
    event = make_event("write", params={"res": 3, "data": b"a\0\xff"}, fd_name="/x")

    assert text("*%evt.buffer", event) == "a.."
    assert compile_format("*%evt.buffer", "syscall", is_base64=True).render(event) == "YQD/"


def test_long_lists_are_cut_and_texts_are_not():
    """Lists and buffers print at most 1023 bytes, plain texts in full."""
    event = make_event(
        "write", params={"data": b"x" * 3000}, proc=make_thread("p", args=("y" * 3000,))
    )

    assert len(text("*%evt.buffer", event) or "") == 1023
    assert len(text("*%proc.args", event) or "") == 3000


def test_bytes_that_are_no_utf8_become_replacement_characters():
    """Text from the kernel cannot break the output's encoding."""
    event = make_event("openat", fd_name=b"/tmp/\xff\xfe")

    assert text("*%fd.name", event) == "/tmp/\ufffd\ufffd"


def test_audit_events_render():
    """Formats of the audit source read the event's JSON."""
    data = b'{"auditID":"1","verb":"get","user":{"username":"me","groups":["a","b"]}}'
    event = make_event("PPME_PLUGINEVENT_E", source="k8s_audit", params={"event_data": data})

    found = text(
        "*%ka.verb %ka.user.name %ka.user.groups %jevt.value[/user/username]", event, "k8s_audit"
    )

    assert found == "get me (a,b) me"


@pytest.mark.parametrize(
    "template",
    [
        "*%proc.name %fd.name %proc.name",
        "%proc.name %proc.aname[3]",
        "*%10proc.name|%3fd.num|%tolower(proc.name) %evt.rawarg.flags",
        "*%evt.time %evt.rawtime %evt.arg.flags %evt.is_io %fd.types %proc.aname[3]",
        "plain",
    ],
)
def test_text_and_fields_at_once_are_those_apart(template):
    """One look at the event gives the same text and the same values as two."""
    event = make_event("openat", fd_name="/Etc/x", params={"fd": 3, "flags": 1, "name": "/Etc/x"})
    form = compile_format(template, "syscall")

    assert form.render_with_fields(event) == (form.render(event), form.fields(event))


TEMPLATES = (
    "*%container.name %container.id %proc.name %k8s.ns.name %container.image.repository",
    "*%toupper(container.name) %proc.cmdline %evt.time",
    "%20container.name|%proc.name",
    "%proc.name %k8s.pod.name",
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_settled_template_fills_in_metadata_only(template):
    """What the event told is kept; what its container's runtime tells is read at the end."""
    thread = make_thread("sh", container_id=b"0123456789ab")
    event = make_event(proc=thread)
    settled = compile_format(template, "syscall").settled(event)
    labels = {b"io.kubernetes.pod.namespace": b"shop", b"io.kubernetes.pod.name": b"web-0"}
    event.host.containers[b"0123456789ab"] = Container(
        id=b"0123456789ab", name=b"web", image_repository=b"app", labels=labels
    )
    told_at_once = compile_format(template, "syscall")
    text, fields = told_at_once.render(event), told_at_once.fields(event)
    thread.comm = thread.exe = b"other"

    assert text is not None
    assert settled.render(event) == text
    assert settled.fields(event) == fields


def test_settling_changes_no_template():
    """The template itself serves the next event as before."""
    fmt = compile_format("*%proc.name %container.name", "syscall")
    fmt.settled(make_event(proc=make_thread("sh")))

    assert fmt.render(make_event(proc=make_thread("cat"))) == "cat host"
