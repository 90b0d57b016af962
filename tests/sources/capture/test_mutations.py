"""Damaged captures: some hundreds of those that `python -m tests.captures.mutations` tries."""

import random

import pytest

from exporter.rules.dns import RESOLVER
from tests.captures.everything import everything
from tests.captures.mutations import WholePath, mutate, originals
from tests.captures.samples import sample_captures


@pytest.fixture(scope="module")
def whole_path():
    """Reader, state, rules and fields; names are not looked up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RESOLVER, "is_online", False)
        yield WholePath()


def test_the_capture_with_everything_is_valid(whole_path: WholePath) -> None:
    """What is damaged below is in order before."""
    assert whole_path.run(everything().data()) == ""
    assert whole_path.run(everything().data(packed=True)) == ""


@pytest.mark.parametrize("seed", range(400))
def test_damaged_captures_end_with_one_error_at_most(whole_path: WholePath, seed: int) -> None:
    """Nothing but CaptureError comes out of a damaged capture, and no rule breaks."""
    chance = random.Random(seed)
    whole_path.run(mutate(everything().data(), chance))
    assert not whole_path.engine.rule_errors


@pytest.mark.parametrize("seed", range(30))
def test_damaged_samples_end_with_one_error_at_most(whole_path: WholePath, seed: int) -> None:
    """The same for captures that other programs wrote."""
    if not sample_captures():
        pytest.skip("the sample captures are not here; set LANNER_CAPTURES to their directory")
    chance = random.Random(seed)
    whole_path.run(mutate(chance.choice(originals([])[1:]), chance))
    assert not whole_path.engine.rule_errors
