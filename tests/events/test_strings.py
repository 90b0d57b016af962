"""Lists of strings: taken apart when asked, and like tuples in everything readers do with them."""

import pytest

from exporter.events.strings import Strings, as_strings, split_strings


@pytest.mark.parametrize(
    ("data", "strings"),
    [
        (b"", ()),
        (b"-c\0ls\0", (b"-c", b"ls")),
        (b"-c\0ls", (b"-c", b"ls")),
        (b"\0", (b"",)),
        (b"a\0\0b\0", (b"a", b"", b"b")),
    ],
)
def test_strings_of_an_argument_list(data, strings):
    """Strings are NUL-terminated, the last NUL may be missing, empty strings count."""
    assert strings == split_strings(data)
    assert strings == as_strings(data)
    assert strings == Strings(data)


def test_a_list_is_like_its_tuple():
    """Length, order, places, parts, joining, equality both ways, hash."""
    kept, plain = Strings(b"-c\0ls\0\0"), (b"-c", b"ls", b"")

    assert (len(kept), [*kept], kept[1], kept[-1], kept[1:]) == (3, [*plain], b"ls", b"", plain[1:])
    assert (b" ".join(kept), bool(kept), bool(as_strings(b""))) == (b"-c ls ", True, False)
    assert kept == plain
    assert plain == kept
    assert kept != plain[1:]
    assert kept != Strings(b"-c\0")
    assert kept == (*Strings(b"-c\0ls\0")[:2], b"")
    assert Strings(b"a\0") == Strings(b"a")
    assert hash(kept) == hash(plain)
    with pytest.raises(IndexError):
        kept[3]
