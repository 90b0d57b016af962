"""Laws of emitted programs: they decide what the predicate decides, on any memory left behind."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.events.table import event_type
from exporter.pushdown.analysis import CallFilter, analyse
from exporter.pushdown.assembler import Helper
from exporter.pushdown.atoms import Match, TextIs
from exporter.pushdown.emit import RECORD, RECORD_STATE, emit_filter
from exporter.pushdown.emit_facts import Target
from exporter.pushdown.emit_relative import RESOLVER
from exporter.pushdown.emit_resolver import emit_resolver
from exporter.pushdown.emit_socket import ACCEPTS_LET_THROUGH
from exporter.pushdown.facts import Text
from exporter.pushdown.ir import FALSE, TRUE, Literal
from exporter.pushdown.memory import FILTERED, HEAD_BYTES, MAP_SCRATCH
from exporter.pushdown.observation import Socket
from exporter.pushdown.paths import is_plain
from exporter.rules.ruleset import Ruleset
from exporter.sources.probe.maps import FILTER_MEMORY_BYTES
from exporter.sources.probe.source_text import CLOSED_AT, SCRATCH_BYTES
from exporter.sources.probe.syscalls import CALLS, native_numbers
from tests.pushdown.bpf_machine import HOST_MNTNS, OFFSETS, Machine
from tests.pushdown.kernel_conditions import conditions
from tests.pushdown.live_calls import CALL_NAMES, PATHS, LiveCall, live_calls
from tests.pushdown.predicates import NAMES, predicates, texts
from tests.pushdown.test_analysis import ruleset_of
from tests.rules.test_compiler import make_rule

TARGETS = [
    Target(offsets, (HOST_MNTNS,), is_typed=is_typed)
    for offsets, is_typed in (
        (OFFSETS, True),
        ({**OFFSETS, "BTF_RDONLY_CAST": 0}, True),
        (OFFSETS, False),
    )
]

LENGTHS = (
    *range(2, 40), 63, 64, 65, 127, 128, 129, *range(HEAD_BYTES - 3, HEAD_BYTES + 3),
    508, 509, 510, 511, 512, 4000,
)  # fmt: skip


def decide(one, target, call, junk=b"\xa5"):
    """What the program says of the call."""
    machine = Machine(number=native_numbers(target.machine)[call.name])
    paths = dict(zip(call.layout.paths, call.paths, strict=False))
    directories = {-1: call.cwd}
    for base in call.layout.bases:
        if base is not None and base >= 0 and call.directory_of(base) is not None:
            directories[call.args[base] & 0xFFFFFFFF] = call.directory_of(base)
    directories.pop(0xFFFFFF9C, None)
    socket = None if call.layout.socket is None else call.socket
    machine.lay_out(call.observe(), paths, directories, socket)
    if call.name == "close":
        scratch = machine.region(SCRATCH_BYTES, bytes(CLOSED_AT) + call.closed_struct())
        machine.maps[MAP_SCRATCH] = lambda _cpu: scratch
    code = emit_filter(one, target)
    machine.programs = {machine.number: code, RESOLVER: emit_resolver(target)}
    return machine, machine.run(code, junk * FILTER_MEMORY_BYTES)


def filter_for(atom, name="open"):
    """A filter that keeps events for which the atom holds."""
    return filter_of(Literal(atom), name)


def filter_of(predicate, name="open"):
    """A filter that keeps events for which the predicate holds."""
    one = analyse(ruleset_of([]), [name])[name]
    return CallFilter(one.call, predicate, is_needed=False, notes_port=False, shares=())


class TestEquivalence:
    """Program == predicate."""

    @settings(max_examples=80)
    @given(
        st.lists(conditions(), min_size=1, max_size=3),
        st.lists(live_calls(), min_size=2, max_size=5),
        st.sampled_from(TARGETS),
        st.sampled_from((b"\0", b"/", b".", b"\xff")),
    )
    def test_decides_like_the_predicate(self, texts, calls, target, junk):
        """For any rules, calls, kind of program and memory left behind."""
        filters = analyse(ruleset_of(texts), CALL_NAMES)
        for call in calls:
            one = filters[call.name]
            if one.is_pass_through or one.is_unused or one.notes_port:
                continue
            _, is_kept = decide(one, target, call, junk)
            assert is_kept == one.keeps(call.observe()), (str(one.predicate), call)

    @settings(max_examples=200)
    @given(
        st.text("/.ab\x01\x1f \x7f\x80\xff", max_size=40).map(lambda text: text.encode("latin-1")),
        st.sampled_from([match for match in Match if match is not Match.CONTAINS_FOLDED]),
        st.sets(st.text("/.ab", min_size=1, max_size=18).map(str.encode), min_size=1, max_size=12),
    )
    @example(b"/a", Match.NAME, {b"a"})
    @example(b"/aaaaaaaaaaaa\x01\x80\x7e", Match.NAME, {b"a"})
    @example(b"/ab", Match.SUFFIX, {b"/ab"})
    @example(b"/aaaaaaa/b", Match.DIRECTORY, {b"/aaaaaaa", b"/"})
    @example(b"/aaaaaaaa", Match.DIRECTORY, {b"/"})
    def test_texts_of_any_shape(self, path, match, values):
        """Every comparison, on paths made of what makes paths odd."""
        one = filter_for(TextIs(Text.PATH, match, frozenset(values)))
        call = LiveCall("open", 3, paths=[path])
        assert decide(one, TARGETS[0], call)[1] == one.keeps(call.observe())

    @settings(max_examples=150)
    @given(
        predicates,
        st.lists(
            st.tuples(
                st.one_of(texts, texts.map(lambda text: b"/" + text)),
                st.sampled_from(NAMES),
                st.integers(-2, 3),
                st.sampled_from((0, 1, 2, 3, 0x40, 0x42)),
                st.sampled_from((0, 7)),
                st.booleans(),
            ),
            min_size=2,
            max_size=6,
        ),
        st.sampled_from(TARGETS),
        st.sampled_from((b"\0", b"/", b"a", b"\xff")),
    )
    def test_any_predicate(self, predicate, seen, target, junk):
        """Whatever is asked of a path, a task and flags together."""
        if predicate in (TRUE, FALSE):
            return
        one = filter_of(predicate)
        for path, comm, ret, flags, uid, is_host in seen:
            call = LiveCall("open", ret, [0, flags, 0, 0, 0, 0], [path], comm, uid, is_host=is_host)
            is_kept = decide(one, target, call, junk)[1]
            assert is_kept == one.keeps(call.observe()), (str(predicate), call)

    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize("length", LENGTHS)
    def test_paths_of_any_length(self, length, target):
        """The end is seen wherever it lies; what does not fit is kept."""
        path = b"/" + b"x" * (length - 2) + b"y"
        call = LiveCall("open", 3, paths=[path])
        for match, value in ((Match.SUFFIX, b"y"), (Match.CONTAINS, b"xy"), (Match.PREFIX, b"/z")):
            one = filter_for(TextIs(Text.PATH, match, frozenset({value})))
            assert decide(one, target, call)[1] == one.keeps(call.observe()), (length, match)

    @pytest.mark.parametrize("path", PATHS)
    def test_knows_a_plain_path(self, path):
        """What cannot be made a plain path is kept, whatever is asked of it."""
        one = filter_for(TextIs(Text.PATH, Match.EQUAL, frozenset({b"no such path"})))
        call = LiveCall("open", 3, paths=[path])
        is_known = Text.PATH.read(call.observe()) is not None
        assert is_known is not decide(one, TARGETS[0], call)[1]
        assert is_known >= is_plain(path)


def test_counts_what_is_left_out():
    """Under the code of the event, and only then."""
    one = filter_for(TextIs(Text.PATH, Match.EQUAL, frozenset({b"/etc/shadow"})))
    code = one.call.event.code
    for path, count in ((b"/etc/shadow", 0), (b"/etc/passwd", 1)):
        machine, _ = decide(one, TARGETS[0], LiveCall("open", 3, paths=[path]), b"\0")
        assert machine.read(0x50000 + FILTERED + 8 * code, 8) == count


RARELY_ASKED = [
    "evt.type = open and container.id != host and proc.name = tar and not fd.name startswith /etc",
    "evt.type = open and fd.name = /etc/shadow and proc.name != sshd",
    "evt.type = open and fd.name startswith /root/ and proc.tty = 0",
]


@pytest.mark.parametrize(
    ("path", "comm", "asks", "is_kept"),
    [
        (b"/etc/hostname", b"tar", False, False),
        (b"/etc/shadow", b"tar", True, True),
        (b"/etc/shadow", b"sshd", True, False),
        (b"/var/lib/archive", b"cat", True, False),
        (b"/var/lib/archive", b"tar", True, True),
    ],
)
def test_asks_for_the_task_only_behind_the_path(path, comm, asks, is_kept):
    """Rules that a program's name decides do not make every open look at the task."""
    one = analyse(ruleset_of(RARELY_ASKED), ["open"])["open"]
    call = LiveCall("open", 3, paths=[path], comm=comm, is_host=False)
    machine, result = decide(one, TARGETS[0], call)
    assert (Helper.CURRENT_TASK_BTF in machine.calls, result) == (asks, is_kept)


def test_a_terminal_is_read_without_a_helper():
    """Through typed pointers, like all else of the task but numbers of other namespaces."""
    rules = ruleset_of(["evt.type = open and proc.tty = 34817 and fd.name = /etc/shadow"])
    one = analyse(rules, ["open"])["open"]
    for tty in (0, 34816, 34817):
        call = LiveCall("open", 3, paths=[b"/etc/shadow"], tty=tty)
        machine, is_kept = decide(one, TARGETS[0], call)
        assert is_kept == (tty == 34817)
        assert Helper.PROBE_READ_KERNEL not in machine.calls


@pytest.mark.parametrize(
    ("name", "ret", "index"),
    [
        ("chdir", 0, RECORD_STATE),
        ("chdir", -2, None),
        ("clone", 0, RECORD_STATE),
        ("clone", 7, None),
        ("setuid", 0, RECORD_STATE),
        ("unlink", 0, None),
    ],
)
def test_what_the_state_needs_goes_on(name, ret, index):
    """But not what failed, nor the maker's side of a new thread."""
    code = event_type(CALLS[name].event).code
    rule = make_rule(0, f"evt.type = {name} and proc.name = x", codes=frozenset({code}))
    rules = Ruleset((rule,))
    one = analyse(rules, [name])[name]
    call = LiveCall(name, ret, comm=b"y")
    machine, is_kept = decide(one, TARGETS[0], call)
    assert (is_kept, machine.went_to) == (index is not None, index)
    call.comm = b"x"
    machine, is_kept = decide(one, TARGETS[0], call)
    assert (is_kept, machine.went_to) == (True, RECORD)


def test_lets_the_first_accepts_of_a_port_through():
    """The state learns a server that is older than Lanner; later accepts are left out."""
    one = analyse(ruleset_of([]), ["accept4"])["accept4"]
    call = LiveCall("accept4", 5, socket=Socket(2, 0x7F000001, 8080, 0x7F000001, 40000))
    machine = Machine()
    machine.lay_out(call.observe(), {}, {}, call.socket)
    code = emit_filter(one, TARGETS[0])
    kept = [machine.run(code, bytes(FILTER_MEMORY_BYTES)) for _ in range(ACCEPTS_LET_THROUGH + 3)]
    assert kept == [True] * ACCEPTS_LET_THROUGH + [False] * 3
