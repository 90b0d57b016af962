"""Laws of the search by how a path begins: it says what comparing every value would say."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.pushdown.emit_starts import left_of, split, starts_of
from exporter.pushdown.facts import Text
from exporter.pushdown.ir import FALSE, TRUE, holds
from exporter.pushdown.observation import Observation
from tests.pushdown.predicates import predicates, texts


@given(st.frozensets(texts, min_size=1, max_size=8), texts)
def test_each_word_lies_in_the_interval_that_knows_its_starts(starts, text):
    """Of the starts that end within the first word, exactly those that the text has are met."""
    word = int.from_bytes(text[:8].ljust(8, b"\0"), "big")
    intervals = split(starts, 0)
    _, met, longer = [one for one in intervals if one[0] <= word][-1]
    padded = text.ljust(8, b"\0")
    assert met == {start for start in starts if len(start) <= 8 and padded.startswith(start)}
    assert longer == {start for start in starts if len(start) > 8 and start[:8] == padded[:8]}


@given(predicates, texts.map(lambda text: b"/" + text))
def test_what_is_left_decides_like_the_whole(predicate, path):
    """Where a path has just these starts, what is left of a predicate says what it says."""
    ended = path + b"\0"
    met = frozenset(start for start in starts_of(predicate, Text.PATH) if ended.startswith(start))
    left = left_of(predicate, Text.PATH, met, frozenset())
    seen = Observation(paths=(path,))
    assert (left in (TRUE, FALSE)) or not starts_of(left, Text.PATH)
    if Text.PATH.read(seen) is not None:
        assert holds(left, seen) == holds(predicate, seen)
