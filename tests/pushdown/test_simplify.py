"""Laws of bounds and splits: none of them says no where the predicate says yes."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.pushdown.facts import Group
from exporter.pushdown.ir import holds
from exporter.pushdown.observation import Observation
from exporter.pushdown.simplify import alternatives, without, without_if_unlikely
from tests.pushdown.predicates import NAMES, predicates, texts

observations = st.builds(
    Observation,
    ret=st.integers(-2, 3),
    args=st.sampled_from((0, 1, 2, 3, 0x40, 0x42)).map(lambda flags: (0, flags, 0, 0, 0, 0)),
    comm=st.sampled_from(NAMES),
    uid=st.sampled_from((0, 7)),
    is_host=st.booleans(),
    paths=texts.map(lambda text: (b"/" + text,)),
)


@given(predicates, observations)
def test_alternatives_are_the_predicate(predicate, seen):
    """One of them holds exactly where the predicate does."""
    assert any(holds(one, seen) for one in alternatives(predicate)) == holds(predicate, seen)


@given(predicates, observations, st.sampled_from((Group.TASK, Group.PATH, Group.CALL)))
def test_a_bound_lies_between(predicate, seen, group):
    """What is likely keeps its facts: less is said than by the predicate, more than without any."""
    bound = without_if_unlikely(predicate, {group})
    assert holds(predicate, seen) <= holds(bound, seen) <= holds(without(predicate, {group}), seen)
