"""Laws of cgroup strings."""

from exporter.events.cgroups import parse_cgroups


def test_subsystems_get_the_names_of_proc():
    """The kernel's own names of some subsystems are not those rules know."""
    data = b"cpuset=/a\0cpu_cgroup=/b\0io=/c\0mem_cgroup=/d=e\0perf_event=/f\0"

    assert parse_cgroups(data) == (
        (b"cpuset", b"/a"),
        (b"cpu", b"/b"),
        (b"blkio", b"/c"),
        (b"memory", b"/d=e"),
        (b"perf_event", b"/f"),
    )


def test_a_broken_list_is_none():
    """One string without a path spoils the list; so does nothing at all."""
    assert parse_cgroups(b"cpu=/a\0memory\0") == ()
    assert parse_cgroups(b"") == ()
