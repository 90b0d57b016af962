"""The cache of instructions: used only when whole and ours."""

import os

import pytest

from exporter.sources.probe import build, offsets

PROGRAMS = {"hook_exec": bytes(range(16)), "step_path": b"\0" * 8}


def test_what_was_written_is_read(tmp_path):
    """read(write(programs)) == programs, and only the owner may touch the file."""
    path = tmp_path / "a.probe"

    build.write_cache(path, PROGRAMS)

    assert build.read_cache(path) == PROGRAMS
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_damaged_file_is_not_used(tmp_path, position):
    """One wrong byte anywhere, or a cut, makes the file worthless."""
    path = tmp_path / "a.probe"
    build.write_cache(path, PROGRAMS)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)

    assert build.read_cache(path) is None
    path.write_bytes(b"")
    assert build.read_cache(path) is None
    assert build.read_cache(tmp_path / "none") is None


def test_files_and_directories_that_others_can_write_are_not_used(tmp_path, monkeypatch):
    """What others could have put there never goes into the kernel."""
    path = tmp_path / "a.probe"
    build.write_cache(path, PROGRAMS)
    path.chmod(0o666)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("LANNER_PROBE_CACHE", str(shared))

    assert build.read_cache(path) is None
    assert build.cache_directory() is None


def test_the_directory_is_chosen_by_the_environment(tmp_path, monkeypatch):
    """An empty name turns the cache off; systemd's directory is preferred to the user's."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "systemd"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("LANNER_PROBE_CACHE", raising=False)
    assert build.cache_directory() == tmp_path / "systemd" / "lanner"

    monkeypatch.setenv("LANNER_PROBE_CACHE", "")
    assert build.cache_directory() is None


def test_only_a_few_files_are_kept(tmp_path):
    """Old kernels' files go away."""
    for index in range(10):
        path = tmp_path / f"{index}.probe"
        build.write_cache(path, PROGRAMS)
        os.utime(path, ns=(index, index))

    build.write_cache(tmp_path / "new.probe", PROGRAMS)

    assert (tmp_path / "new.probe").exists()
    assert len(list(tmp_path.iterdir())) <= 4


def test_the_key_follows_the_text():
    """Other text, other key; same text, same key."""
    assert build.cache_key("a") == build.cache_key("a")
    assert build.cache_key("a") != build.cache_key("b")


@pytest.mark.kernel
def test_offsets_from_the_cache_are_those_of_the_kernel(tmp_path, monkeypatch):
    """The second reading comes from the cache and says what the kernel's BTF says."""
    monkeypatch.setenv("LANNER_PROBE_CACHE", str(tmp_path / "cache"))
    fresh = build.kernel_offsets()

    monkeypatch.setattr(offsets, "define_offsets", lambda _btf: "not asked again")

    assert fresh.startswith("#define OFF_")
    assert build.kernel_offsets() == fresh
