"""Captures as an independent reader shows them: event by event, the same but for what is listed."""

from pathlib import Path

import pytest

from tests.captures.calls import calls
from tests.captures.samples import sample_captures
from tests.integration.sysdig_rows import (
    DIFFERENCES,
    FIELDS,
    explanation,
    missing_sysdig,
    rows_of_lanner,
    rows_of_sysdig,
)

pytestmark = pytest.mark.skipif(bool(missing_sysdig()), reason=missing_sysdig())

_DOCS = Path(__file__).parents[2] / "docs" / "sysdig-differences.md"
_SAMPLES = sample_captures()
_NONE = pytest.param(
    None, marks=pytest.mark.skip(reason="no sample captures here; set LANNER_CAPTURES")
)


@pytest.fixture
def written(tmp_path) -> Path:
    """The capture that the tests write themselves."""
    return calls().save(tmp_path / "calls.scap")


def compare(capture: Path) -> tuple[list[str], dict[str, int]]:
    """Differences that nothing explains, and how often each listed one was seen."""
    theirs, ours = rows_of_sysdig(capture), rows_of_lanner(capture)
    seen: dict[str, int] = {}
    silent = []
    for key in theirs.keys() | ours.keys():
        if key not in ours and key[2] == ">":
            seen["Enter events"] = seen.get("Enter events", 0) + 1
        elif key not in theirs and key[3] == "procinfo":
            seen["Process information"] = seen.get("Process information", 0) + 1
        elif key not in theirs or key not in ours:
            silent.append(f"{key} is shown by one only")
        else:
            for field in FIELDS:
                if theirs[key][field] == ours[key][field]:
                    continue
                section = explanation(field, theirs[key], ours[key])
                if section:
                    seen[section] = seen.get(section, 0) + 1
                else:
                    silent.append(
                        f"{key} {field}: sysdig {theirs[key][field]!r}, lanner {ours[key][field]!r}"
                    )
    return silent, seen


@pytest.mark.parametrize("capture", _SAMPLES or [_NONE], ids=lambda path: getattr(path, "name", ""))
def test_sample_captures_agree(capture):
    """Real captures of other people: no difference is silent."""
    silent, seen = compare(capture)

    assert silent == []
    assert seen["Enter events"] > 0


def test_a_written_capture_agrees(written):
    """Files, sockets, processes and ids of our own making: no difference is silent."""
    silent, seen = compare(written)

    assert silent == []
    assert seen["Enter events"] > 0
    assert len(rows_of_lanner(written)) > 80


def test_the_document_lists_what_the_test_allows():
    """Every allowed difference has a section with its reason, and there are no others."""
    text = _DOCS.read_text(encoding="utf-8")
    sections = {line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")}
    allowed = {difference.section for difference in DIFFERENCES}

    assert sections == allowed | {"Enter events", "Process information", "Not compared"}
