"""Laws of path building (state-tracking.md section 6)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.events.fd import Fd, FdType
from exporter.events.paths import TOO_LONG, absolute, concatenate, normalise
from tests.factories import make_event, make_thread
from tests.live_contexts import make_live

PARTS = st.lists(st.sampled_from([b"a", b"bb", b".", b"..", b"", b"..."]), max_size=8)


@pytest.mark.parametrize(
    ("directory", "path", "expected"),
    [
        (b"/home/u/", b"/etc/passwd", b"/etc/passwd"),
        (b"/home/u/", b"file", b"/home/u/file"),
        (b"/home/u/", b"./file", b"/home/u/file"),
        (b"/home/u/", b"a/./b/.", b"/home/u/a/b"),
        (b"/home/u/", b"../file", b"/home/file"),
        (b"/home/u/", b"../../../file", b"/file"),
        (b"/home/u/", b"a//b///c/", b"/home/u/a/b/c"),
        (b"/home/u/", b".hidden", b"/home/u/.hidden"),
        (b"/home/u/", b"...", b"/home/u/..."),
        (b"/home/u/", b".", b"/home/u"),
        (b"/", b"..", b"/"),
        (b"/", b".", b"/"),
        (b"/x/", b"/", b"/"),
        (b"/x/", b"/..", b"/"),
        (b"/x/", b"/../../etc", b"/etc"),
        (b"/x/", b"//etc//", b"/etc"),
        (b"/x/", b"", b""),
        (b"<UNKNOWN>", b"rel/path", b"<UNKNOWN>rel/path"),
        (b"./", b"file", b"./file"),
        (b"/x/", b"\xff\xfe", b"/x/\xff\xfe"),
        (b"/dots/../kept/", b"f", b"/dots/../kept/f"),
        (b"/x/", b"foo../b.", b"/x/foo../b."),
        (b"/x/", b"a\nb/\x7f/\x01..", b"/x/a.b/./..."),
        (b"/x/", b"d\xc3\xa9/../y", b"/x/y"),
        (b"<UNKNOWN>", b"../a", b"<UNKNOWN>../a"),
        (b"<UNKNOWN>", b"./a/../b", b"<UNKNOWN>./b"),
        (b"./", b"../a", b"a"),
        (b"ab/", b"../../c", b"c"),
        (b"/", b"..//a//../b", b"/b"),
    ],
)
def test_concatenate_cases(directory, path, expected):
    """Only the path part is normalised; it may climb into the directory."""
    assert expected == concatenate(directory, path)


def test_too_long_paths_are_replaced():
    """1024 bytes are kept, 1025 are not; an absolute path does not count its directory."""
    assert concatenate(b"", b"/" + b"a" * 1023) == b"/" + b"a" * 1023
    assert concatenate(b"", b"/" + b"a" * 1024) == TOO_LONG
    assert concatenate(b"/b/", b"a" * 1022) == TOO_LONG
    assert concatenate(b"/" + b"b" * 99 + b"/", b"/" + b"a" * 1000) == b"/" + b"a" * 1000


@settings(max_examples=300)
@given(parts=PARTS)
def test_normalise_is_idempotent(parts):
    """A normal absolute path is its own normal form."""
    path = b"/" + b"/".join(parts)
    once = normalise(path)

    assert once == normalise(once)


@settings(max_examples=300)
@given(directory=PARTS, parts=PARTS)
def test_relative_from_a_normal_directory_is_the_joined_path(directory, parts):
    """From a normal directory, a relative path gives what the whole path would give."""
    base = normalise(b"/" + b"/".join(directory))
    base = base if base == b"/" else base + b"/"
    path = b"/".join(parts)
    if path and not path.startswith(b"/"):
        assert normalise(base + path) == concatenate(base, path)


@settings(max_examples=300)
@given(parts=PARTS)
def test_normal_paths_have_no_odd_parts(parts):
    """No dot, dot-dot, double or trailing slash is left in an absolute path."""
    found = normalise(b"/" + b"/".join(parts))

    assert found.startswith(b"/")
    assert found == b"/" or not {b"", b".", b".."} & set(found[1:].split(b"/"))


def openat(dirfd: int, name: bytes, **fields):
    thread = make_thread("cat", tid=7, cwd=b"/home/u/")
    thread.fds = {5: Fd(type=FdType.DIRECTORY, name=b"/srv/data")}
    return make_event("openat", proc=thread, params={"dirfd": dirfd, "name": name}, **fields)


@pytest.mark.parametrize(
    ("dirfd", "name", "expected"),
    [
        (-100, b"f", b"/home/u/f"),
        (5, b"f", b"/srv/data/f"),
        (6, b"f", b"<UNKNOWN>f"),
        (6, b"/f", b"/f"),
    ],
)
def test_directory_of_at_calls(dirfd, name, expected):
    """AT_FDCWD is the working directory, an unknown descriptor is said to be unknown."""
    event = openat(dirfd, name)

    assert expected == absolute(event, name, 1)


def test_working_directory_of_an_unknown_process():
    """Without a main thread the working directory is `./`."""
    event = make_event("open", proc=make_thread("x", tid=9, pid=8), params={"name": b"f"})

    assert absolute(event, b"f") == b"./f"


def test_live_directories_come_with_the_event():
    """What the probe read at the time of the event wins over the tables."""
    live = make_live(cwd=b"/now", dirfd_path=b"/first", dirfd2_path=b"/second")
    event = openat(5, b"f", live=live)
    rename = make_event(
        "renameat",
        proc=event.thread,
        host=event.host,
        live=live,
        params={"olddirfd": 5, "oldpath": b"a", "newdirfd": 6, "newpath": b"b"},
    )

    assert absolute(event, b"f", 1) == b"/first/f"
    assert absolute(event, b"f") == b"/now/f"
    assert absolute(rename, b"a", 1) == b"/first/a"
    assert absolute(rename, b"b", 3) == b"/second/b"
