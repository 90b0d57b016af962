"""Where the shared sample captures are: LANNER_CAPTURES, or `shared` near the checkout."""

import os
from pathlib import Path

import pytest

_NEAR = [parent / "shared" / "data" / "captures" for parent in Path(__file__).parents[3:6]]


def sample_captures() -> list[Path]:
    """All sample captures; empty where they are not at hand."""
    given = os.environ.get("LANNER_CAPTURES")
    places = [Path(given)] if given else _NEAR
    return sorted(path for place in places for path in place.glob("*.scap"))


def sample_capture(name: str) -> Path:
    """One sample capture; the test is skipped, with the reason, where it is not at hand."""
    for path in sample_captures():
        if path.name == name:
            return path
    pytest.skip(f"the sample capture {name} is not here; set LANNER_CAPTURES to its directory")
