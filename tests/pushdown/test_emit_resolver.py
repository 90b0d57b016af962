"""Laws of the resolver: what it makes of a relative path is what fields of the event show."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.events.paths import concatenate, with_slash
from exporter.events.table import event_type
from exporter.pushdown.atoms import Match, TextIs
from exporter.pushdown.emit_relative import AT_FDCWD
from exporter.pushdown.emit_resolver import emit_resolver
from exporter.pushdown.facts import Text
from exporter.pushdown.layout import HERE, call_layout
from exporter.pushdown.memory import LENGTH_AT, MAX_LEVELS, TEXT_AT
from exporter.pushdown.paths import join
from exporter.sources.probe.syscalls import CALLS
from tests.pushdown.kernel_paths import levels
from tests.pushdown.live_calls import CWDS, DIRECTORIES, LiveCall
from tests.pushdown.test_emit import TARGETS, decide, filter_for

_MEMORY = 0x50000
NAMES = st.one_of(
    st.sampled_from((b"a", b".", b"..", b"...", b".x", b"etc", b"shadow", b"", b"e\x01", b"\x80")),
    st.integers(1, 255).map(lambda size: b"n" * size),
)
RELATIVE = st.lists(NAMES, min_size=1, max_size=14).map(b"/".join)
DIRECTORY = st.one_of(
    st.sampled_from(CWDS),
    st.lists(st.integers(1, 60).map(lambda size: b"d" * size), max_size=24).map(
        lambda names: b"/" + b"/".join(names)
    ),
)


def resolve(call, target, text=Text.PATH):
    """The text that a filter compares with in the end; None when it keeps the event."""
    one = filter_for(TextIs(text, Match.EQUAL, frozenset({b"no such path"})), call.name)
    machine, is_kept = decide(one, target, call, b"\0")
    if is_kept:
        return None
    size = machine.read(_MEMORY + LENGTH_AT[text], 8)
    memory, at = machine.find(_MEMORY + TEXT_AT[text], size + 16)
    assert memory[at + size : at + size + 16] == bytes(16)
    return bytes(memory[at : at + size])


class TestResolver:
    """Program == model == fields."""

    @settings(max_examples=250)
    @given(RELATIVE, DIRECTORY, st.sampled_from(TARGETS))
    @example(b"../../x", b"/a", TARGETS[0])
    @example(b"../" * 8 + b"..", b"/d" * 12, TARGETS[0])
    @example(b"../" * 8 + b"../x", b"/d" * 12, TARGETS[0])
    @example(b"x" * 506, b"/d", TARGETS[0])
    @example(b"x" * 507, b"/d", TARGETS[0])
    @example(b"x", b"/" + b"d" * 255, TARGETS[2])
    def test_makes_relative_paths_absolute(self, path, cwd, target):
        """As the model does, and only where the model gives the text that fields show."""
        call = LiveCall("open", 3, paths=[path], cwd=cwd)
        expected = Text.PATH.read(call.observe())
        found = resolve(call, target)
        assert found == expected
        if found is not None:
            assert found == concatenate(with_slash(cwd), path)

    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize("number", [*range(len(DIRECTORIES)), 63, 64, 200, AT_FDCWD, -1, -5])
    def test_starts_from_descriptors(self, number, target):
        """Whatever is no open descriptor leaves the path unknown."""
        args = [number & 0xFFFFFFFF, 0, 0, 0, 0, 0]
        call = LiveCall("openat", 3, args=args, paths=[b"name"])
        base = call.directory_of(0)
        assert resolve(call, target) == (None if base is None else join(base, b"name"))

    @pytest.mark.parametrize("target", TARGETS)
    def test_each_of_two_paths_has_its_own_base(self, target):
        """In any order of relative and absolute ones."""
        for first, second in ((b"a", b"b"), (b"/a", b"../b"), (b"./a", b"/b")):
            call = LiveCall("renameat", args=[2, 0, 3, 0, 0, 0], paths=[first, second])
            for text in (Text.PATH, Text.PATH2):
                expected = text.read(call.observe())
                assert expected is not None
                assert resolve(call, target, text) == expected

    @pytest.mark.parametrize("target", TARGETS)
    def test_depth_has_a_limit(self, target):
        """Beyond it the event is kept."""
        depths = [depth for depth in range(20, 40) if levels(b"/d" * depth) < MAX_LEVELS]
        for depth in (*depths, depths[-1] + 1):
            call = LiveCall("open", 3, paths=[b"x"], cwd=b"/d" * depth)
            assert resolve(call, target) == (b"/d" * depth + b"/x" if depth in depths else None)

    def test_fits_a_small_program(self):
        """Of a size that the verifier does not notice."""
        assert all(len(emit_resolver(target)) < 8 * 500 for target in TARGETS)


def test_bases_are_those_of_the_event_table():
    """The kernel starts a path from where the fields do."""
    for name in CALLS:
        layout = call_layout(name)
        for index, place in layout.places.items():
            param = event_type(layout.event.id).params[index]
            if place.base is None:
                assert param.type not in {"FSPATH", "FSRELPATH"} or place.form != "path"
            elif place.base == HERE:
                assert param.dirfd < 0
            else:
                assert layout.places[param.dirfd].argument == place.base
