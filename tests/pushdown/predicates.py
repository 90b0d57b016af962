"""Random predicates on paths and tasks, and paths made of the values that they compare with."""

from hypothesis import strategies as st

from exporter.pushdown.atoms import InSet, Match, TextIs
from exporter.pushdown.facts import Fact, Kind, Text
from exporter.pushdown.ir import Literal
from exporter.pushdown.simplify import all_of, any_of

NAMES = (b"cat", b"cats", b"sshd", b"a-name-of-fifteen"[:15], b"abcdefgh", b"abcdefghi")
PIECES = (
    b"/", b"a", b"/a", b"/etc", b"/etc/", b"/etcetera", b"/usr/lib", b"/usr/lib64/", b".so", b".",
    b"shadow", b"/.ssh/", b"..", b"../", b"id_rsa", b"x" * 8, b"x" * 9, b"yz", b"\xff",
)  # fmt: skip

_MATCHES = tuple(match for match in Match if match is not Match.CONTAINS_FOLDED)
"""Comparisons that filters of calls make; that one is of texts of a new image alone."""

texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map(b"".join)


def _sets_of(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[frozenset[bytes]]:
    return st.frozensets(values, min_size=1, max_size=6)


_atoms = st.one_of(
    st.builds(TextIs, st.just(Text.PATH), st.sampled_from(_MATCHES), _sets_of(texts)),
    st.builds(
        TextIs,
        st.just(Text.COMM),
        st.sampled_from((Match.EQUAL, Match.PREFIX, Match.SUFFIX, Match.CONTAINS)),
        _sets_of(st.sampled_from((*NAMES, b"a", b"h", b"at"))),
    ),
    st.builds(
        InSet,
        st.sampled_from((Fact(Kind.ARG, 1, 3), Fact(Kind.ARG, 1, 0x40), Fact(Kind.RET))),
        st.frozensets(st.integers(-3, 4), min_size=1, max_size=5),
    ),
    st.builds(InSet, st.just(Fact(Kind.UID)), st.sampled_from((frozenset({0}), frozenset({7, 8})))),
    st.just(InSet(Fact(Kind.HOST), frozenset({1}))),
)
predicates = st.recursive(
    st.builds(Literal, _atoms, st.booleans()),
    lambda parts: st.one_of(
        st.lists(parts, min_size=2, max_size=4).map(all_of),
        st.lists(parts, min_size=2, max_size=4).map(any_of),
    ),
    max_leaves=12,
)
