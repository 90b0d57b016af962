"""The seeds of the capture fuzzer, so that they cannot rot between fuzzing runs."""

from tests.captures.mutations import WholePath
from tests.fuzz.fuzz_captures import options_of, seeds


def test_seeds_are_valid_captures() -> None:
    """Fuzzing starts from captures that are read to their end."""
    whole_path = WholePath()
    assert {name: whole_path.run(data) for name, data in seeds().items()} == dict.fromkeys(
        seeds(), ""
    )


def test_the_seeds_are_put_into_the_corpus(tmp_path) -> None:
    """The first directory named gets them; bounds come before what was asked for."""
    options = options_of(["-max_total_time=1", str(tmp_path / "corpus")])
    assert {path.name for path in (tmp_path / "corpus").iterdir()} == {
        f"seed-{name}" for name in seeds()
    }
    assert options[-2:] == ["-max_total_time=1", str(tmp_path / "corpus")]
