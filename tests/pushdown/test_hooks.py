"""Laws of filters of finished records: what a rule matches is never for the state alone."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.pushdown.analysis import analyse_hooks, approximate_test
from exporter.pushdown.emit_hook import (
    MAP_JUDGED,
    MAP_NAMES,
    MAP_SCRATCH,
    SCRATCH_FLAGS,
    Asked,
    emit_hook_filter,
)
from exporter.pushdown.ir import FALSE, TRUE, holds
from exporter.pushdown.layout import hook_layout
from exporter.rules.ast import Check, Exists
from exporter.rules.bind import bind_check
from exporter.rules.engine import Engine
from exporter.rules.parser import parse_condition
from exporter.rules.ruleset import Ruleset
from exporter.sources.probe.maps import FILTER_MEMORY_BYTES
from exporter.sources.probe.record import RECORD_STATE_ONLY
from exporter.sources.probe.source_text import JUDGED_BYTES, SCRATCH_BYTES
from exporter.sources.probe.syscalls import Hook
from tests.live_contexts import HOST_MNTNS
from tests.pushdown.bpf_machine import Machine, unreachable
from tests.pushdown.live_calls import new_state
from tests.pushdown.live_execs import EVENT, LiveExec, exec_checks, exec_conditions, live_execs
from tests.pushdown.test_analysis import ruleset_of
from tests.rules.test_compiler import make_rule

CODES = frozenset({EVENT.code})


def rules_of(texts):
    """Rules on execs of the conditions that are ones."""
    return ruleset_of(texts, CODES)


def is_kept(one, seen, junk=b"\xa5"):
    """What the program says of an exec."""
    asked = Asked.of(one.predicate)
    machine = Machine()
    machine.lay_out(seen.observe(), {})
    judged = machine.region(JUDGED_BYTES, seen.lay_out(asked.needles, junk))
    scratch = machine.region(SCRATCH_BYTES)
    names = {
        uid: machine.region(8, bits.to_bytes(8, "little"))
        for uid, bits in asked.names.verdicts(seen.names).items()
    }
    machine.maps = {
        MAP_JUDGED: lambda _: judged,
        MAP_SCRATCH: lambda _: scratch,
        MAP_NAMES: lambda uid: names.get(uid, 0),
    }
    program = emit_hook_filter(one, asked, [HOST_MNTNS])
    assert not unreachable(program), str(one.predicate)
    assert machine.run(program, bytes(FILTER_MEMORY_BYTES))
    flags = machine.read(scratch + SCRATCH_FLAGS, 4)
    assert flags in {0, RECORD_STATE_ONLY}
    return flags == 0


class TestSoundness:
    """The rules see an exec whenever one of them matches."""

    @settings(max_examples=150)
    @given(
        st.lists(exec_conditions(), min_size=1, max_size=3),
        st.lists(live_execs(), min_size=2, max_size=5),
        st.sampled_from((b"\0", b"i", b"/", b"\xff")),
    )
    def test_keeps_what_rules_match(self, tmp_path_factory, texts, execs, junk):
        """Through decoders and state, predicate and program, whatever the memory held before."""
        ruleset = rules_of(texts)
        engine = Engine(ruleset)
        one = analyse_hooks(ruleset)[Hook.EXEC]
        for seen in execs:
            kept = is_kept(one, seen, junk)
            assert kept or not one.keeps(seen.observe()), (str(one.predicate), seen)
            if engine.match(seen.event(new_state(str(tmp_path_factory.getbasetemp())))):
                assert kept, (texts, seen)

    @settings(max_examples=300)
    @given(exec_checks(), live_execs())
    @example('proc.args = ""', LiveExec(args=[b""]))
    @example("proc.exe exists", LiveExec(exe=b""))
    @example('proc.cmdline = "cat "', LiveExec(args=[b""]))
    def test_both_sides_of_a_check(self, tmp_path_factory, text, seen):
        """A check that is true has a true side, and so has one that is false."""
        ruleset = rules_of([text])
        if not ruleset.rules:
            return
        ast = parse_condition(text)
        assert isinstance(ast, Check | Exists)
        sides = approximate_test(bind_check(ast, "syscall"), hook_layout(Hook.EXEC))
        event = seen.event(new_state(str(tmp_path_factory.getbasetemp())))
        is_true = bool(Engine(ruleset).match(event))
        side = sides.if_true if is_true else sides.if_false
        assert holds(side, seen.observe()), (text, seen, str(side), is_true)


class TestPrecision:
    """What the kernel can decide of an exec it does decide."""

    @pytest.mark.parametrize(
        ("condition", "kept", "left_out"),
        [
            ("proc.name in (nc, ncat)", LiveExec(comm=b"nc"), LiveExec(comm=b"ncx")),
            ("proc.exe startswith /dev/shm/", LiveExec(exe=b"/dev/shm/x"), LiveExec(exe=b"x")),
            ("proc.args contains id_rsa", LiveExec(args=[b"a", b"id_rsa"]), LiveExec(args=[b"id"])),
            ('proc.args = "a b"', LiveExec(args=[b"a", b"b"]), LiveExec(args=[b"a", b"c"])),
            ('proc.cmdline = "cat a"', LiveExec(args=[b"a"]), LiveExec(args=[b"a", b""])),
            (
                "proc.args icontains begin",
                LiveExec(args=[b"BEGIN"]),
                LiveExec(args=[b"BEGI", b"N"]),
            ),
            (
                "user.uid = 0 and (proc.tty = 1 or not proc.args contains healthcheck)",
                LiveExec(args=[b"healthcheck"]),
                LiveExec(uid=5),
            ),
            ("not proc.args contains -e", LiveExec(args=[b"-f"]), LiveExec(args=[b"-e"])),
            (
                "proc.env icontains glibc_tunables",
                LiveExec(env=[b"A=1", b"b" * 700, b"xGLIBC_TUNABLES=y"]),
                LiveExec(env=[b"GLIBC=1", b"TUNE=1"]),
            ),
            ("proc.tty != 0 and proc.vpid = 1", LiveExec(tty=5, vpid=1), LiveExec(tty=5)),
            ("proc.is_exe_from_memfd = true", LiveExec(flags=4), LiveExec(flags=11)),
            (
                "user.name in (bin, www-data)",
                LiveExec(uid=33, names={33: b"www-data"}),
                LiveExec(uid=34, names={33: b"www-data"}),
            ),
            ("user.name = root", LiveExec(uid=5, is_host=False), LiveExec(uid=5)),
            (
                "proc.pname in (nginx, httpd)",
                LiveExec(parent=b"nginx"),
                LiveExec(parent=b"bash"),
            ),
            (
                "proc.pname in (nginx, httpd) and user.uid = 0",
                LiveExec(is_parent_told=False),
                LiveExec(uid=5, is_parent_told=False),
            ),
            ("container.id != host", LiveExec(is_host=False), LiveExec()),
            ("proc.exepath endswith /cat", LiveExec(), LiveExec(exepath=b"/bin/dog")),
            ("user.uid != 0 and proc.cwd startswith /x", LiveExec(uid=5), LiveExec()),
        ],
    )
    def test_tells_execs_apart(self, condition, kept, left_out):
        """One of each pair may match, the other cannot."""
        ruleset = rules_of([f"evt.type in (execve, execveat) and {condition}"])
        one = analyse_hooks(ruleset)[Hook.EXEC]
        assert is_kept(one, kept)
        assert not is_kept(one, left_out), str(one.predicate)

    def test_nothing_is_asked_where_no_rule_is(self):
        """Without a rule on them execs and exits are for the state alone."""
        filters = analyse_hooks(Ruleset((make_rule(0, "evt.type = openat"),)))
        assert {one.predicate for one in filters.values()} == {FALSE}

    def test_ends_of_threads(self):
        """Their thread is known, their image is not looked at."""
        rules = [make_rule(0, "evt.type = procexit and proc.exe = x and proc.name = a")]
        one = analyse_hooks(Ruleset(tuple(rules)))[Hook.EXIT]
        assert str(one.predicate) == "comm = a"
        rules = [make_rule(0, "evt.type = procexit and proc.cwd = x")]
        assert analyse_hooks(Ruleset(tuple(rules)))[Hook.EXIT].predicate == TRUE


def test_more_needles_than_bits_are_not_looked_for():
    """What finds no room may be there."""
    words = [f"word{number:03}" for number in range(70)]
    one = analyse_hooks(rules_of([f"proc.args contains {word} and user.uid=0" for word in words]))[
        Hook.EXEC
    ]
    for number in (0, 69):
        assert is_kept(one, LiveExec(args=[b"word%03d" % number]))
