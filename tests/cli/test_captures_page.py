"""What docs/captures.md shows is what the commands print."""

import gzip
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.captures.samples import sample_capture

PAGE = (Path(__file__).parents[2] / "docs" / "captures.md").read_text()
SHOWN = re.findall(r"^\$ (lanner replay .*)\n((?:(?!\$ |```).*\n)*)", PAGE, re.MULTILINE)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with the page's files."""
    capture = sample_capture("curl_google.scap")
    shutil.copy(capture, tmp_path / "evidence.scap")
    data = gzip.decompress(capture.read_bytes())
    (tmp_path / "cut.scap").write_bytes(data[:60_000])
    rules = re.search(r"```yaml\n# outbound\.yaml\n(.*?)```", PAGE, re.DOTALL)
    assert rules is not None
    (tmp_path / "outbound.yaml").write_text(rules[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FALCO_HOSTNAME", "laptop")


def words(command: str) -> list[str]:
    """The command's arguments, as a shell cuts them."""
    return shlex.split(command)[1:]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_page_shows_what_is_printed(lanner, command, shown):
    """Every command on the page, speed aside."""
    _, out, err = lanner(*words(command))
    printed = out + err

    assert _timeless(printed) == _timeless(shown)


def _timeless(text: str) -> str:
    return re.sub(r"in \d+\.\d+ s, [\d,]+/s", "in N s", text)


def test_there_are_commands():
    """The page was understood."""
    assert len(SHOWN) == 6
