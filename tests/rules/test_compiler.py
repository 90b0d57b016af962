"""Laws of generated functions: they say what the AST says, whatever is shared or folded."""

import linecache
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rules.ast import And, Check, FieldRef, Node, Not, Or, Value
from exporter.rules.compiler import compile_ruleset
from exporter.rules.conditions import ConditionError
from exporter.rules.engine import Engine
from exporter.rules.parser import parse_condition
from exporter.rules.priority import Priority
from exporter.rules.ruleset import Rule, Ruleset
from tests.factories import make_event, make_thread
from tests.rules.condition_strategies import ALL_CODES, DRAWN_CODES, conditions, events
from tests.rules.interpreter import matches

NOT_AN_EVENT: Any = None


def make_rule(
    index: int, condition: str | Node, source: str = "syscall", codes: frozenset[int] = ALL_CODES
) -> Rule:
    """An enabled rule that is tried on every event type unless told otherwise."""
    ast = parse_condition(condition) if isinstance(condition, str) else condition
    return Rule(
        index=index,
        name=f"rule {index}",
        desc="",
        condition=condition if isinstance(condition, str) else "",
        ast=ast,
        output="",
        priority=Priority.DEBUG,
        source=source,
        event_types=codes,
    )


def make_ruleset(
    *conditions: str | Node, match_all: bool = False, codes: frozenset[int] = ALL_CODES
) -> Ruleset:
    """Rules of these conditions, in order."""
    rules = tuple(make_rule(index, text, codes=codes) for index, text in enumerate(conditions))
    return Ruleset(rules, match_all=match_all)


def only_function(ruleset: Ruleset, name: str) -> str:
    """Source of the function of the newest exit event of a name."""
    engine = Engine(ruleset)
    return engine.compiled.functions["syscall"][make_event(name).type.code].text


class TestOracle:
    """Generated code == interpreter."""

    @settings(max_examples=50)
    @given(
        st.lists(conditions(), min_size=1, max_size=4), st.lists(events(), min_size=1, max_size=3)
    )
    def test_first_match_is_the_first_true_condition(self, texts, some):
        """The first rule whose condition the interpreter finds true is the one that matches."""
        ruleset = make_ruleset(*texts, codes=DRAWN_CODES)
        engine = Engine(ruleset)

        for event in some:
            expected = [rule for rule in ruleset.rules if matches(rule.ast, event)][:1]

            assert expected == list(engine.match(event))
        assert not engine.rule_errors

    @settings(max_examples=25)
    @given(
        st.lists(conditions(), min_size=1, max_size=4), st.lists(events(), min_size=1, max_size=3)
    )
    def test_match_all_gives_every_true_condition(self, texts, some):
        """With match_all every true rule is given, in definition order."""
        ruleset = make_ruleset(*texts, match_all=True, codes=DRAWN_CODES)
        engine = Engine(ruleset)

        for event in some:
            expected = [rule for rule in ruleset.rules if matches(rule.ast, event)]

            assert expected == list(engine.match(event))

    @settings(max_examples=25)
    @given(conditions(), conditions(), events())
    def test_shared_parts_mean_the_same_everywhere(self, first, second, event):
        """Parts used by several rules (macros) give each rule its own right answer."""
        texts = (
            f"({first}) and ({second})",
            f"({second}) or ({first})",
            f"not ({first}) and ({second})",
            f"({first}) and not ({second})",
        )
        ruleset = make_ruleset(*texts, match_all=True, codes=DRAWN_CODES)

        expected = [rule.name for rule in ruleset.rules if matches(rule.ast, event)]

        assert expected == [rule.name for rule in Engine(ruleset).match(event)]

    @settings(max_examples=25)
    @given(conditions(), events())
    def test_careful_path_gives_the_same(self, text, event):
        """Rule by rule, as after an error, the answer is that of the fast path."""
        engine = Engine(make_ruleset(text, codes=DRAWN_CODES))

        assert list(engine.match(event)) == list(engine._match_carefully(event))


class TestText:
    """The generated source."""

    def test_is_deterministic(self):
        """The same rules give the same text."""
        rules = make_ruleset("proc.name in (a, b) and fd.name startswith /etc", "proc.name = c")

        assert only_function(rules, "openat") == only_function(rules, "openat")

    def test_event_type_checks_are_folded_away(self):
        """In the function of one event type nothing asks for the type."""
        text = only_function(make_ruleset("evt.type in (open, openat) and proc.name = a"), "openat")

        assert "openat'" not in text
        assert "b'a'" in text

    def test_rules_that_cannot_match_are_left_out(self):
        """A rule of other event types is in no function of this one."""
        engine = Engine(make_ruleset("evt.type = execve and proc.name = a"))

        codes = engine.interesting_codes

        assert make_event("execve").type.code in codes
        assert make_event("openat").type.code not in codes

    def test_placeholders_are_folded_away(self):
        """`evt.num = 0` and `evt.num >= 0` are decided at compile time."""
        text = only_function(
            make_ruleset("evt.num >= 0 and not evt.num = 0 and proc.name = a"), "kill"
        )

        assert "e.num" not in text

    def test_functions_of_other_event_types_are_not_mixed_up(self):
        """Two rules, two tests that the event type may decide: the smallest that once collided."""
        ruleset = make_ruleset("not (evt.type = open)", "fd.name = cat", codes=DRAWN_CODES)
        engine = Engine(ruleset)

        for name, expected in (("open", []), ("close", ["rule 0"]), ("kill", ["rule 0"])):
            assert [rule.name for rule in engine.match(make_event(name, proc=None))] == expected

    def test_a_test_of_an_empty_list_reads_nothing(self):
        """What follows it reads the field itself, in this rule and in the next."""
        ruleset = make_ruleset(
            "proc.name in () or proc.name = cat",
            "not proc.name in () and proc.name = cat",
            match_all=True,
        )
        engine = Engine(ruleset)

        found = engine.match(make_event("openat", proc="cat"))

        assert [rule.name for rule in found] == ["rule 0", "rule 1"]
        assert not engine.rule_errors

    def test_prefixes_of_one_field_are_one_call(self):
        """Neighbouring prefix tests become one startswith with a tuple."""
        text = only_function(
            make_ruleset("fd.name startswith /a or fd.name startswith /b"), "openat"
        )

        assert "startswith((b'/a', b'/b'))" in text

    def test_equalities_of_one_field_are_one_set(self):
        """Neighbouring equality and membership tests become one set."""
        text = only_function(make_ruleset("proc.name = a or proc.name in (b, c)"), "kill")

        assert "in {b'a', b'b', b'c'}" in text

    def test_a_field_is_read_once(self):
        """Rules that read the same field share the value."""
        text = only_function(
            make_ruleset("proc.cmdline contains a", "proc.cmdline contains b"), "kill"
        )

        assert text.count("f_0(e)") == 1

    def test_hostile_rule_names_stay_comments(self):
        """A rule's name cannot break out of the comment that names it."""
        rule = make_rule(0, "proc.name = cat")
        hostile = Rule(
            **{
                **{name: getattr(rule, name) for name in Rule.__dataclass_fields__},
                "name": "x\nimport os\r\u2028'''",
            }
        )

        assert [hostile] == list(Engine(Ruleset((hostile,))).match(make_event("kill")))

    def test_tracebacks_show_generated_lines(self):
        """The source of a generated function is known to linecache."""
        compiled = compile_ruleset(make_ruleset("proc.name = a"))
        function = compiled.functions["syscall"][make_event("kill").type.code]
        with pytest.raises(AttributeError) as caught:
            function.call(NOT_AN_EVENT)

        frame = traceback.extract_tb(caught.value.__traceback__)[-1]

        assert "e.thread" in linecache.getline(frame.filename, frame.lineno or 0)


class TestLaziness:
    """Nothing is read that the answer does not need."""

    def test_short_circuit_keeps_fields_unread(self, monkeypatch):
        """A field behind a false check is not read."""
        from exporter.rules.fields import catalogue

        use = catalogue.find_field("proc.cmdline", None, "syscall")
        assert use is not None
        reads: list[object] = []

        def read(event):
            reads.append(event)
            return b""

        engine = Engine(make_ruleset("proc.name = nobody and proc.cmdline contains x"))
        function = engine.compiled.functions["syscall"][make_event("kill").type.code]
        space = function.call.__globals__
        for name, value in list(space.items()):
            if value is use.read:
                monkeypatch.setitem(space, name, read)

        engine.match(make_event("kill"))
        engine.match(make_event("kill", proc="nobody"))

        assert len(reads) == 1


class TestLimits:
    """Hostile shapes."""

    def nested(self, depth: int) -> Node:
        """a and (b or (a and (b or ...)))."""
        leaf = Check(FieldRef("proc.name"), "=", Value("cat"))
        other = Check(FieldRef("proc.exe"), "=", Value("nothing"))
        node: Node = leaf
        for level in range(depth):
            node = And((leaf, node)) if level % 2 else Or((other, Not(Not(node))))
            if level % 2 == 0:
                other = Check(FieldRef("proc.exe"), "=", Value(f"nothing{level}"))
        return node

    @pytest.mark.parametrize("depth", [50, 1000])
    def test_deep_conditions_compile_and_match(self, depth):
        """Depth beyond Python's own limits is split into functions."""
        engine = Engine(make_ruleset(self.nested(depth)))

        assert len(engine.match(make_event("kill"))) == 1
        assert len(engine.match(make_event("kill", proc="dog"))) == 0
        assert not engine.rule_errors

    def test_wide_conditions_compile(self):
        """Thousands of different checks in one rule are no problem."""
        text = " or ".join(f'proc.cmdline contains "w{n}"' for n in range(3000))
        engine = Engine(make_ruleset(text))

        assert len(engine.match(make_event("kill", proc=make_thread("x", args=("w2999",))))) == 1

    def test_exponential_sharing_stays_small(self):
        """Parts that contain each other twice are written a bounded number of times."""
        node: Node = parse_condition("proc.name = a and proc.exe = b and fd.name = c")
        for level in range(25):
            tail = parse_condition(f"proc.pid = {level}")
            node = Or((And((node, tail)), And((tail, Not(node)))))
        text = only_function(make_ruleset(node, node), "openat")

        assert len(text) < 200_000

    def test_unknown_fields_are_errors_with_a_suggestion(self):
        """Compiling names the field that does not exist and the nearest that does."""
        with pytest.raises(ConditionError) as caught:
            Engine(make_ruleset("proc.nmae = a"))

        assert "nonexistent field proc.nmae" in caught.value.message
        assert "proc.name" in (caught.value.hint or "")
