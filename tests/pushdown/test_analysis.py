"""Laws of pushdown: no event that a rule matches is ever left out; and what is left out at all."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.errors import RuleError
from exporter.pushdown.analysis import analyse, approximate_test
from exporter.pushdown.fields import KERNEL_FIELDS
from exporter.pushdown.ir import FALSE, TRUE, holds
from exporter.rules.ast import Check, Exists
from exporter.rules.bind import bind_check
from exporter.rules.engine import Engine
from exporter.rules.fields.catalogue import fields_of
from exporter.rules.parser import parse_condition
from exporter.rules.ruleset import Rule, Ruleset
from tests.pushdown.kernel_conditions import conditions, kernel_checks
from tests.pushdown.live_calls import CALL_NAMES, LiveCall, live_calls, new_state
from tests.rules.test_compiler import make_rule

CODES = frozenset(LiveCall(name).layout.event.code for name in CALL_NAMES)


def ruleset_of(texts, codes=CODES):
    """Rules of the conditions that are ones."""
    rules: list[Rule] = []
    for text in texts:
        try:
            rule = make_rule(len(rules), text, codes=codes)
            Engine(Ruleset((rule,)))
        except RuleError:
            continue
        rules.append(rule)
    return Ruleset(tuple(rules))


class TestSoundness:
    """kept(event) whenever a rule matches."""

    @settings(max_examples=80)
    @given(
        st.lists(conditions(), min_size=1, max_size=3),
        st.lists(live_calls(), min_size=4, max_size=8),
    )
    def test_keeps_what_rules_match(self, tmp_path_factory, texts, calls):
        """Through decoders and state, for several rules at once."""
        ruleset = ruleset_of(texts)
        engine = Engine(ruleset)
        filters = analyse(ruleset, CALL_NAMES)
        for call in calls:
            state = new_state(str(tmp_path_factory.getbasetemp()))
            if engine.match(call.event(state)):
                assert filters[call.name].keeps(call.observe()), (texts, call)

    @settings(max_examples=300)
    @given(kernel_checks(), live_calls())
    @example("fd.filename exists", LiveCall("openat", 3, [0, 0, 0o200000, 0, 0, 0], [b"/etc"]))
    @example("evt.arg.target pmatch (shadow)", LiveCall("symlink", paths=[b"shadow", b"/x"]))
    @example("fd.filename = /", LiveCall("openat", 3, [0, 0, 0, 0, 0, 0], [b"/"]))
    @example("fd.typechar != d", LiveCall("connect", -88))
    @example("fd.num < 0", LiveCall("open", ret=-2, paths=[b"/etc"]))
    @example("evt.abspath.src = /etc", LiveCall("mkdirat", -17, paths=[b"/etc"]))
    @example("evt.abspath = /etc", LiveCall("mknodat", -17, paths=[b"/etc"]))
    @example("evt.failed = false", LiveCall("getsockname", ret=-88))
    @example("evt.rawres = 0", LiveCall("getsockname", ret=-88))
    @example("evt.res = SUCCESS", LiveCall("getsockname", ret=-88))
    def test_both_sides_of_a_check(self, tmp_path_factory, text, call):
        """A check that is true has a true side, and so has one that is false."""
        ast = parse_condition(text)
        assert isinstance(ast, Check | Exists)
        test = bind_check(ast, "syscall")
        sides = approximate_test(test, call.layout)
        event = call.event(new_state(str(tmp_path_factory.getbasetemp())))
        is_true = bool(Engine(Ruleset((make_rule(0, text, codes=CODES),))).match(event))
        side = sides.if_true if is_true else sides.if_false
        assert holds(side, call.observe()), (text, call, str(side), is_true)


def test_every_field_of_the_catalogue_that_names_a_kernel_test_has_one():
    """And every test is named by a field: one place says what the kernel can do."""
    named = {field.kernel for field in fields_of("syscall").values() if field.kernel}
    assert named == set(KERNEL_FIELDS)


def test_what_runtimes_tell_is_unknown_in_the_kernel():
    """It may come after the event: both sides of every such check count as possible."""
    late = [field for field in fields_of("syscall").values() if field.is_late]
    assert late
    assert not [field.name for field in late if field.kernel]
    for text in ("k8s.ns.name = x", "container.image.repository in (x)", "container.name exists"):
        check = parse_condition(text)
        assert isinstance(check, Check | Exists)
        sides = approximate_test(bind_check(check, "syscall"), LiveCall("openat").layout)
        assert (sides.if_true, sides.if_false) == (TRUE, TRUE)


class TestPrecision:
    """What the kernel decides it does decide."""

    @pytest.mark.parametrize(
        ("condition", "kept", "left_out"),
        [
            (
                "evt.type = openat and fd.name startswith /etc and evt.is_open_write = true",
                LiveCall("openat", ret=3, args=[0, 0, 1, 0, 0, 0], paths=[b"/etc/x"]),
                LiveCall("openat", ret=3, args=[0, 0, 0, 0, 0, 0], paths=[b"/etc/x"]),
            ),
            (
                "evt.type = openat and fd.name startswith /etc and proc.pname = sh",
                LiveCall("openat", ret=3, paths=[b"/etc/x"]),
                LiveCall("openat", ret=3, paths=[b"/usr/etc"]),
            ),
            (
                "evt.type = openat and fd.name in (/etc/shadow, /etc/sudoers)",
                LiveCall("openat", ret=3, paths=[b"/etc//shadow"]),
                LiveCall("openat", ret=3, paths=[b"/etc/shadow2"]),
            ),
            (
                "evt.type = openat and fd.name in (/etc/shadow, /etc/sudoers)",
                LiveCall("openat", ret=3, args=[2, 0, 0, 0, 0, 0], paths=[b"shadow"]),
                LiveCall("openat", ret=3, args=[0, 0, 0, 0, 0, 0], paths=[b"shadow"]),
            ),
            (
                "evt.type = open and fd.directory = /etc",
                LiveCall("open", ret=3, paths=[b"../hosts"], cwd=b"/etc/pam.d"),
                LiveCall("open", ret=3, paths=[b"../hosts"], cwd=b"/root"),
            ),
            (
                "evt.type = open and fd.name startswith /etc and fd.nameraw contains '../'",
                LiveCall("open", ret=3, paths=[b"../hosts"], cwd=b"/etc/pam.d"),
                LiveCall("open", ret=3, paths=[b"/etc/hosts"], cwd=b"/root"),
            ),
            (
                "evt.type = renameat and evt.arg.newpath startswith /etc/",
                LiveCall("renameat", args=[0, 0, 2, 0, 0, 0], paths=[b"x", b"y"]),
                LiveCall("renameat", args=[2, 0, 0, 0, 0, 0], paths=[b"x", b"y"]),
            ),
            (
                "evt.type = symlink and evt.arg.target = etc/shadow",
                LiveCall("symlink", paths=[b"etc/shadow", b"/x"]),
                LiveCall("symlink", paths=[b"shadow", b"/x"], cwd=b"/etc"),
            ),
            (
                "evt.type = openat and not fd.name startswith /etc and proc.cmdline != x",
                LiveCall("openat", ret=3, paths=[b"/usr"]),
                LiveCall("openat", ret=3, paths=[b"/etc/x"]),
            ),
            (
                "evt.type = openat and fd.name glob '/home/*/.ssh/*'",
                LiveCall("openat", ret=3, paths=[b"/home/u/.ssh/id"]),
                LiveCall("openat", ret=3, paths=[b"/home/u/.config/id"]),
            ),
            (
                "evt.type = ptrace and evt.arg.request in (PTRACE_ATTACH, PTRACE_SEIZE)",
                LiveCall("ptrace", args=[16, 0, 0, 0, 0, 0]),
                LiveCall("ptrace", args=[3, 0, 0, 0, 0, 0]),
            ),
            (
                "evt.type = chmod and evt.arg.mode contains S_ISUID",
                LiveCall("chmod", args=[0, 0o4755, 0, 0, 0, 0], paths=[b"/x"]),
                LiveCall("chmod", args=[0, 0o755, 0, 0, 0, 0], paths=[b"/x"]),
            ),
            (
                "evt.type = unlink and container.id != host and evt.res = SUCCESS",
                LiveCall("unlink", paths=[b"/x"], is_host=False),
                LiveCall("unlink", paths=[b"/x"]),
            ),
            (
                "evt.type = fchmod and fd.num in (0, 1)",
                LiveCall("fchmod", args=[1, 0, 0, 0, 0, 0]),
                LiveCall("fchmod", args=[2, 0, 0, 0, 0, 0]),
            ),
        ],
    )
    def test_tells_events_apart(self, condition, kept, left_out):
        """One of each pair may match, the other cannot."""
        rules = Ruleset((make_rule(0, condition, codes=CODES),))
        one = analyse(rules, CALL_NAMES)[kept.name]
        assert one.keeps(kept.observe())
        assert not one.keeps(left_out.observe()), str(one.predicate)

    def test_blames_what_the_kernel_does_not_know(self):
        """A rule that asks for every event says which check makes it so."""
        text = "evt.type = unlink and (proc.cmdline contains x or not proc.pname = sh)"
        one = analyse(Ruleset((make_rule(0, text, codes=CODES),)), CALL_NAMES)["unlink"]
        assert one.predicate == TRUE
        assert [test.left.key for test in one.shares[0].blamed] == ["proc.cmdline", "proc.pname"]

    def test_calls_that_nobody_asks_for_are_unused(self):
        """Unless the state needs them."""
        filters = analyse(Ruleset((make_rule(0, "evt.type = unlink", codes=CODES),)))
        assert filters["mkdir"].is_unused
        assert filters["mkdir"].predicate == FALSE
        assert filters["chdir"].is_needed
        assert filters["chdir"].is_unused
        assert filters["setuid"].is_needed
        assert not filters["setuid"].is_unused
        assert not filters["accept"].is_unused
