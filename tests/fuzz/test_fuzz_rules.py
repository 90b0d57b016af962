"""The fuzzing target on its seeds, so that it cannot rot between fuzzing runs."""

import pytest

from exporter.rules.dns import RESOLVER
from tests.fuzz.fuzz_rules import DICTIONARY, SEEDS, load_target, options_of

SEED_FILES = sorted(SEEDS.iterdir())


@pytest.fixture(scope="module")
def target():
    """The function to fuzz; names in inputs are not looked up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RESOLVER, "is_online", False)
        yield load_target()


@pytest.mark.parametrize("path", SEED_FILES, ids=lambda path: path.name)
def test_seeds_give_reported_errors_only(target, path):
    """Every seed, and every beginning of it, loads or is refused with a reported error."""
    data = path.read_bytes()

    assert data[:1] in {b"c", b"o", b"r"}
    for end in {len(data), *range(0, len(data), 1 + len(data) // 10)}:
        target(data[:end])


def test_every_kind_of_input_has_seeds():
    """Conditions, outputs and rules files are all there."""
    assert {path.read_bytes()[:1] for path in SEED_FILES} == {b"c", b"o", b"r"}


def test_the_command_line_keeps_seeds_apart(tmp_path):
    """New inputs go into the directory that was named; the seeds are only read."""
    corpus = tmp_path / "corpus"

    options = options_of(["-max_total_time=1", str(corpus)])

    assert corpus.is_dir()
    assert [str(corpus), str(SEEDS)] == options[-2:]
    assert f"-dict={DICTIONARY}" in options
