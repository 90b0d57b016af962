"""Laws of operators, on values of every kind, through the compiled engine."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.events.fd import Fd, FdType, Role
from exporter.events.host import Host
from exporter.rules import transformers
from exporter.rules.dns import RESOLVER
from exporter.rules.engine import Engine
from exporter.rules.glob import compile_glob
from exporter.rules.pmatch import compile_pmatch
from exporter.rules.regex import compile_regex, needs_no_regex
from tests.factories import make_event, make_thread
from tests.rules.interpreter import glob, path_leads
from tests.rules.test_compiler import make_ruleset


def is_match(condition, event=None):
    """Whether a rule with this condition matches; evaluation must not have failed."""
    event = event or make_event("openat", fd_name="/etc/shadow")
    engine = Engine(make_ruleset(condition, codes=frozenset({event.type.code})))
    found = engine.match(event)
    assert not engine.rule_errors
    return bool(found)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("proc.name = cat", True),
        ("proc.name == cat", True),
        ("proc.name != cat", False),
        ("proc.name contains a", True),
        ("proc.name icontains CA", True),
        ("proc.name startswith ca", True),
        ("proc.name endswith at", True),
        ("proc.name glob c*", True),
        ("proc.name iglob C?T", True),
        ("proc.name regex c.t", True),
        ("proc.name regex c", False),
        ("proc.name in (dog, cat)", True),
        ("proc.name in ()", False),
        ("proc.name intersects (dog, cat)", True),
        ("proc.name exists", True),
        ("fd.name pmatch (/etc)", True),
        ("fd.name pmatch (/etcd)", False),
        ("proc.name < 9", False),
        ("proc.name > 9", True),
        ("proc.name = oneof (cat, dog)", True),
        ("proc.name contains oneof (c, a)", False),
        ("proc.name contains anyof (c, x)", True),
        ("proc.name contains allof (c, a)", True),
        ("proc.name contains allof (c, x)", False),
        ("proc.name contains allof ()", False),
        ("proc.name contains anyof ()", False),
        ("proc.name != anyof (cat, dog)", True),
        ("proc.name != allof (cat, dog)", False),
        ("proc.name startswith anyof (x, c)", True),
        ("proc.name endswith anyof (x, y)", False),
        ("proc.pid >= 1000 and proc.pid <= 1000 and not proc.pid > 1000", True),
        ("proc.pid in (1, 1000)", True),
        ("proc.is_exe_writable = false", True),
        ("proc.is_exe_writable != true", True),
        ("proc.is_exe_writable in (true)", False),
        # Missing values: everything is false, `not` of it true.
        ("proc.pname exists", False),
        ("proc.pname = x", False),
        ("proc.pname != x", False),
        ("not proc.pname = x", True),
        ("proc.pname in (x)", False),
        ("not proc.pname in (x)", True),
        ("proc.pname contains x", False),
        ("proc.pname regex .*", False),
        ("proc.pname = val(proc.name)", False),
        ("proc.name = val(proc.pname)", False),
        ("not proc.name != val(proc.pname)", True),
        ("tolower(proc.pname) exists", False),
        ("proc.name = val(proc.exe)", True),
        ("proc.name in val(proc.exe)", True),
        ("proc.exe endswith val(proc.name)", True),
        ("toupper(proc.name) = CAT", True),
        ("proc.name = tolower(proc.exe)", True),
        ("basename(fd.name) = shadow", True),
        ("len(fd.name) = 11", True),
        ('concat(proc.name, "-", proc.exe) = "cat-cat"', True),
        ("concat(proc.name, proc.pname) exists", False),
        ('join("/", (proc.name, proc.pid)) = "cat/1000"', True),
        ("evt.num = 0", False),
        ("evt.type = openat", True),
        ("evt.type != openat", False),
        ("not evt.type in (open, close)", True),
        ("evt.type.is.openat = 1", True),
        ("evt.dir = <", True),
        ("evt.is_open_read = false", True),
        ("evt.rawarg.flags exists", False),
    ],
)
def test_operators_on_an_openat_by_cat(condition, expected):
    """One line an operator: what it says of a plain event."""
    assert expected == is_match(condition)


SOCKET = Fd(
    type=FdType.IPV4,
    name=b"10.0.0.1:1000->8.8.8.8:53",
    sip=b"\x0a\0\0\1",
    dip=b"\x08\x08\x08\x08",
    sport=1000,
    dport=53,
    role=Role.CLIENT,
)
SOCKET6 = Fd(
    type=FdType.IPV6, sip=b"\xfe\x80" + b"\0" * 13 + b"\1", dip=b"\0" * 16, role=Role.CLIENT
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("fd.sip = 8.8.8.8", True),
        ("fd.cip = 8.8.8.8", False),
        ("fd.cip != 8.8.8.8", True),
        ("fd.sip = ::1", False),
        ("fd.sip != ::1", True),
        ("fd.sip in (1.1.1.1, 8.8.8.8)", True),
        ("fd.ip = 8.8.8.8", True),
        ("fd.ip = 10.0.0.1", True),
        ("fd.ip != 10.0.0.1", False),
        ("fd.ip != 1.1.1.1", True),
        ("fd.ip in (8.8.8.8)", False),
        ("fd.ip exists", True),
        ('fd.net = "10.0.0.0/8"', True),
        ('fd.net != "10.0.0.0/8"', False),
        ('fd.net != "11.0.0.0/8"', True),
        ('fd.net in ("11.0.0.0/8", "10.0.0.0/8")', False),
        ('fd.snet = "8.0.0.0/8"', True),
        ('fd.snet in ("11.0.0.0/8", "8.8.8.0/24")', True),
        ('fd.snet != "8.0.0.0/8"', False),
        ('fd.snet = "fe80::/10"', False),
        ('fd.snet != "fe80::/10"', True),
        ('fd.cnet = "0.0.0.0/0"', True),
        ("fd.port = 53", True),
        ("fd.port = 1000", True),
        ("fd.port != 53", False),
        ("fd.port != 54", True),
        ("fd.port > 999", True),
        ("fd.port > 1000", False),
        ("fd.port in (1, 53)", True),
        ("fd.sport = domain", True),
        ("fd.proto = domain", True),
        ("fd.typechar = 4", True),
        ("fd.lip exists", True),
        ("fd.type = ipv4", True),
    ],
)
def test_addresses_networks_and_ports(condition, expected):
    """Either-end fields look at both ends; families that differ are unequal."""
    assert expected == is_match(condition, make_event("connect", fd=SOCKET))


def test_sets_of_raw_numbers_have_no_members():
    """A raw numeric argument equals its value but is in no set, as in the reference engine."""
    event = make_event("openat", params={"flags": 1})

    assert is_match("evt.rawarg.flags = 1", event)
    assert is_match("evt.rawarg.flags = 2 or evt.rawarg.flags = 1", event)
    assert not is_match("evt.rawarg.flags in (1)", event)


def test_ipv6_networks():
    """IPv6 networks hold IPv6 addresses only."""
    event = make_event("connect", fd=SOCKET6)

    assert is_match('fd.cnet = "fe80::/10"', event)
    assert not is_match('fd.cnet = "0.0.0.0/0"', event)


def test_either_address_of_a_file_never_matches():
    """A descriptor that is no socket has no address, but `exists` is true."""
    event = make_event("openat", fd_name="/x")

    assert not is_match("fd.ip = 1.1.1.1", event)
    assert not is_match("fd.ip != 1.1.1.1", event)
    assert is_match("fd.ip exists", event)


def test_run_time_errors_are_counted_and_the_next_rule_still_matches():
    """fd.ip intersects is refused when evaluated; other rules of the event go on."""
    engine = Engine(make_ruleset("fd.ip intersects (8.8.8.8)", "fd.sip = 8.8.8.8"))

    found = engine.match(make_event("connect", fd=SOCKET))

    assert [rule.name for rule in found] == ["rule 1"]
    assert engine.rule_errors == {"rule 0": 1}


def test_host_names_match_resolved_addresses():
    """A name of a rule matches its addresses once they are known, and only then."""
    event = make_event("connect", fd=SOCKET)
    RESOLVER.is_online = False
    try:
        engine = Engine(make_ruleset("fd.sip.name = dns.example", "fd.sip.name != dns.example"))
        assert [rule.name for rule in engine.match(event)] == ["rule 1"]

        RESOLVER.put(b"dns.example", frozenset({b"\x08\x08\x08\x08"}))

        assert [rule.name for rule in engine.match(event)] == ["rule 0"]
    finally:
        RESOLVER.is_online = True


def ancestry():
    """bash <- sshd <- systemd, as an event of cat below bash."""
    host = Host()
    above = None
    for tid, name in ((2, "systemd"), (3, "sshd"), (4, "bash")):
        above = make_thread(name, tid=tid, parent=above)
        host.threads[tid] = above
    return make_event("openat", proc=make_thread("cat", tid=9, parent=above), host=host)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("proc.aname = sshd", True),
        ("proc.aname = cat", False),
        ("proc.aname in (x, systemd)", True),
        ("proc.aname != bash", True),
        ("proc.aname contains anyof (zzz, ssh)", False),
        ("proc.aname startswith ss", True),
        ("proc.aname pmatch (sshd)", True),
        ("proc.aname regex s.*d", True),
        ("proc.aname[1] = bash", True),
        ("proc.aname[0] = cat", True),
        ("proc.aname[3] = systemd", True),
        ("proc.aname[4] exists", False),
        ("proc.apid = 3", True),
        ("proc.apid in (3)", False),
        ("proc.apid[2] in (3)", True),
        ("proc.aargs contains x", False),
    ],
)
def test_ancestors(condition, expected):
    """Without an index any ancestor counts, with one that level."""
    assert expected == is_match(condition, ancestry())


_PATTERN = st.text("ab*?[]!-\\/.", max_size=8).map(str.encode)
_SUBJECT = st.text("ab/.-[]", max_size=8).map(str.encode)


@settings(max_examples=300)
@given(st.text("ab*?/.", max_size=8).map(str.encode), _SUBJECT)
def test_globs_agree_with_plain_backtracking(pattern, text):
    """Stars and question marks mean what the textbook matcher says."""
    assert glob(pattern, text) == compile_glob(pattern)(text)


@settings(max_examples=200)
@given(_PATTERN, _SUBJECT)
def test_any_pattern_is_a_glob(pattern, text):
    """No pattern raises, with or without case folding."""
    assert compile_glob(pattern)(text) in {True, False}
    assert compile_glob(pattern, is_folded=True)(text) in {True, False}


def test_globs_agree_with_fnmatch_of_the_c_library():
    """The translation agrees with fnmatch(3) on odd patterns."""
    patterns = (
        *("[a-c]", "[!a-c]", "[^a-c]", "[]a]", "[!]a]", "[a", "[[:digit:]]", "[[:alpha:]x]"),
        *("a\\*b", "[\\]]", "a\\", "*", "?", "[a-]", "[--/]", "", "**a", "*.*", "/*/x", "[[]"),
        *("[]-a]", "\\a"),
    )
    texts = ("a", "b", "d", "]", "[", "-", "1", "x", "a*b", "a\\", "", ".", "/y/x", "^", "\\")
    pairs = [(pattern, text) for pattern in patterns for text in texts]
    program = (
        "import ctypes, json, sys\n"
        "lib = ctypes.CDLL(None)\n"
        "pairs = json.load(sys.stdin)\n"
        "print(json.dumps([lib.fnmatch(p.encode(), t.encode(), 0) == 0 for p, t in pairs]))\n"
    )
    import json

    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = json.loads(done.stdout)

    ours = [compile_glob(pattern.encode())(text.encode()) for pattern, text in pairs]

    assert [
        (pair, theirs)
        for pair, mine, theirs in zip(pairs, ours, expected, strict=True)
        if mine != theirs
    ] == []


def test_hostile_globs_take_linear_time():
    """Many stars on a long text that almost matches do not explode."""
    matches = compile_glob(b"*a" * 30 + b"b")

    assert not matches(b"a" * 4000)


_PATHS = st.lists(st.text("ab/*?", max_size=6).map(str.encode), max_size=4)


@settings(max_examples=300)
@given(_PATHS, st.text("ab/", max_size=8).map(str.encode))
def test_pmatch_is_any_component_prefix(paths, text):
    """A text matches when the components of some path lead to it."""
    expected = any(path_leads(path, text) for path in paths)

    assert expected == compile_pmatch(paths)(text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"a[[:digit:]]+", b"a12", True),
        (b"a", b"ab", False),
        (b"a.b", b"a\nb", False),
        (b"(a|ab)(c|bcd)", b"abcd", True),
        ("é.".encode(), b"\xc3\xa9\xff", True),
        (b".", b"\xff", True),
    ],
)
def test_regex_is_posix_and_whole(pattern, text, expected):
    """Whole texts, POSIX classes, longest alternatives, bad UTF-8 as one character."""
    assert expected == compile_regex(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", True),
        ("^abc$", True),
        (".*abc.+", True),
        ("a.c", False),
        ("a|b", False),
        ("^", True),
    ],
)
def test_needless_patterns_are_known(pattern, expected):
    """Patterns that other operators can say."""
    assert expected == needs_no_regex(pattern)


class TestTransformers:
    """Each transformer by its table."""

    @pytest.mark.parametrize(
        ("function", "value", "expected"),
        [
            (transformers.lower, b"A\xc4b", b"a\xc4b"),
            (transformers.lower, (b"A", b"B"), (b"a", b"b")),
            (transformers.upper, b"ab", b"AB"),
            (transformers.basename, b"/a/b", b"b"),
            (transformers.basename, b"a/", b""),
            (transformers.basename, b"a", b"a"),
            (transformers.b64, b"YWJj", b"abc"),
            (transformers.b64, b"YWI=", b"ab"),
            (transformers.b64, b"YQ", b"a"),
            (transformers.b64, b"!!!", None),
            (transformers.length, b"abc", 3),
            (transformers.length, (b"a",), 1),
        ],
    )
    def test_unary(self, function, value, expected):
        """One value in, one out; missing stays missing."""
        assert expected == function(value)
        assert function(None) is None

    def test_join_and_concat(self):
        """Any missing argument makes the result missing; numbers become texts."""
        assert transformers.join(b",", (b"a", 1)) == b"a,1"
        assert transformers.join(b",", ()) == b""
        assert transformers.join(b",", (b"a", None)) is None
        assert transformers.concat(b"a", b"b") == b"ab"
        assert transformers.concat(b"a", None) is None

    @pytest.mark.parametrize(
        ("tokens", "options", "expected"),
        [
            (b"-a -b x", b"ab:", (b"a", b"b", b"x")),
            (b"-abx", b"ab:", (b"a", b"b", b"x")),
            (b"-b", b"b:", (b"b", b"")),
            (b"-z", b"a", (b"?",)),
            (b"-a -- -b", b"ab", (b"a",)),
            (b"-a x -b", b"ab", (b"a",)),
            (b"--long -a", b"a", (b"a",)),
            (b"- -a", b"a", None),
            (b"-a", b":a", (b"a",)),
        ],
    )
    def test_getopt_walks_like_getopt(self, tokens, options, expected):
        """Clusters, values, stops and unknown options."""
        assert expected == transformers.getopt(tuple(tokens.split(b" ")), options)

    @pytest.mark.parametrize(
        ("tokens", "letter", "expected"),
        [
            (b"-b x -b y", b"b", b"y"),
            (b"-a", b"a", b"a"),
            (b"-b", b"b", b""),
            (b"-a", b"b", None),
        ],
    )
    def test_getopt_selects_the_last(self, tokens, letter, expected):
        """A selector gives one value."""
        found = transformers.getopt_selected(tuple(tokens.split(b" ")), b"ab:", letter)

        assert expected == found
