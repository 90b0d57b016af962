"""No program reads stack memory that it may not have written: verifiers before 6.3 refuse that."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.pushdown.analysis import analyse
from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.emit import emit_filter
from exporter.pushdown.emit_resolver import emit_resolver
from tests.pushdown.kernel_conditions import conditions
from tests.pushdown.live_calls import CALL_NAMES
from tests.pushdown.test_analysis import ruleset_of
from tests.pushdown.test_emit import TARGETS
from tests.pushdown.unwritten_stack import unwritten_reads


@settings(max_examples=80)
@given(st.lists(conditions(), min_size=1, max_size=3), st.sampled_from(TARGETS))
def test_filters_of_any_rules(texts, target):
    """Whatever the rules ask of calls."""
    for name, one in analyse(ruleset_of(texts), CALL_NAMES).items():
        if not one.is_pass_through and not one.is_unused:
            assert unwritten_reads(emit_filter(one, target)) == [], (name, str(one.predicate))


@pytest.mark.parametrize("target", TARGETS)
def test_sockets_that_are_not_known(target):
    """The task is looked at first, and then facts of a socket that could not be read."""
    far = (
        "evt.type=connect and fd.typechar in (4, 6) and container.id!=host"
        " and fd.sip in (169.254.169.254, 'fd00:ec2::254') and fd.sport=80 and fd.l4proto=tcp"
    )
    rules = ruleset_of([far, "evt.type=connect and fd.typechar=u and proc.name=x"])
    one = analyse(rules, ["connect"])["connect"]

    assert unwritten_reads(emit_filter(one, target)) == []


@pytest.mark.parametrize("target", TARGETS)
def test_resolver(target):
    """The one program that all filters share."""
    assert unwritten_reads(emit_resolver(target)) == []


def test_the_check_itself():
    """A byte that one of two ways leaves alone, a key half written, and what a helper writes."""

    def built(*, writes_always: bool, key: Size, reads: int) -> list[int]:
        code, skip = Assembler(), Label()
        if not writes_always:
            code.jump(skip, Jump.EQ, Reg.R1, 0)
        code.store_constant(Size.U64, Reg.R10, -16, 0)
        code.place(skip)
        code.load(Size.U32, Reg.R1, Reg.R10, -16)
        code.store_constant(key, Reg.R10, -24, 0)
        code.move(Reg.R2, Reg.R10)
        code.constant(Reg.R3, 0)
        code.alu(Alu.ADD, Reg.R2, -24)
        code.call(Helper.MAP_LOOKUP)
        code.move(Reg.R1, Reg.R10)
        code.alu(Alu.ADD, Reg.R1, -40)
        code.constant(Reg.R2, reads)
        code.call(Helper.PROBE_READ_KERNEL)
        code.load(Size.U64, Reg.R1, Reg.R10, -40)
        code.exit()
        return [offset for _, offset in unwritten_reads(code.finish())]

    assert built(writes_always=True, key=Size.U32, reads=8) == []
    assert built(writes_always=False, key=Size.U32, reads=8) == [-16]
    assert built(writes_always=True, key=Size.U16, reads=8) == [-24]
    assert built(writes_always=True, key=Size.U32, reads=7) == [-40]
