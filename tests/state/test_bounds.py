"""No table of the live state grows without bound, whoever fills it; each is filled past its own.

The bounds of lookups, talks and reads per second are tested beside them.
"""

from exporter.events.container import ContainerType
from exporter.state import live as live_module
from exporter.state import tables as tables_module
from exporter.state import users as users_module
from exporter.state.state import PURGE_INTERVAL_NS
from tests.factories import NOW_NS, make_event, make_thread
from tests.live_contexts import HOST_MNTNS, make_live

SECOND_NS = 1_000_000_000
OTHER_MNTNS = HOST_MNTNS + 99


def lxc_thread(tid: int, name: str):
    """A process in a container of an engine that nobody can ask."""
    return make_thread(
        "x", tid=tid, mntns=OTHER_MNTNS, cgroups=((b"memory", f"/lxc/{name}/init".encode()),)
    )


def test_recent_exits(live):
    """The newest exits are kept."""
    tables, most = live.tables, tables_module._MAX_RECENT_EXITS
    for tid in range(1, most + 100):
        tables.note_exit(tid, 7, NOW_NS)

    assert len(tables._exits) == most
    assert not tables.exited_recently(1, 7, NOW_NS)
    assert tables.exited_recently(tid, 7, NOW_NS)


def test_enter_events(live):
    """The oldest waits in vain; one that is too long does not wait at all."""
    tables, most = live.tables, tables_module._MAX_ENTERED
    for tid in range(1, most + 100):
        tables.remember(make_event("open", tid=tid, params={"name": b"/etc/hosts"}))
    tables.remember(make_event("open", tid=1 << 20, params={"name": b"x" * 9000}))

    assert len(tables.entered) == most
    assert 1 not in tables.entered
    assert 1 << 20 not in tables.entered


def test_cgroups_that_events_told(live):
    """Paths of the newest cgroups are kept."""
    live.scan()
    known = live._live.cgroups
    for number in range(2, live_module._MAX_CGROUPS + 100):
        live._live.learn_cgroups(number, HOST_MNTNS, ((b"cpu", b"/a"),))

    assert len(known) == live_module._MAX_CGROUPS
    assert (number, HOST_MNTNS) in known


def test_containers_whose_end_nobody_tells(live):
    """Made in any number below cgroups of an engine's form, the oldest are given up."""
    live.scan()
    containers, most = live.host.containers, tables_module._MAX_SELF_DESCRIBED
    for number in range(most + 100):
        live.tables.set_container(lxc_thread(1000 + number, f"box{number}"))

    assert len(containers) == most
    assert containers[f"box{number}".encode()].type is ContainerType.LXC
    assert b"box0" not in containers


def test_containers_that_everyone_has_left(fed, proc):
    """They go with the next look for entries that ended unseen; those with a process stay."""
    proc.add(50, cgroup="0::/lxc/left/init\n", mntns=OTHER_MNTNS)
    proc.add(51, cgroup="0::/lxc/lived_in/init\n", mntns=OTHER_MNTNS)
    fed.state.scan()
    ended: list[bytes] = []
    fed.state.watch_container_ends(ended.append)
    assert fed.state.host.containers.keys() >= {b"left", b"lived_in"}
    proc.remove(50)
    for _ in range(2):
        fed.now_ns += PURGE_INTERVAL_NS + SECOND_NS
        fed(
            "openat",
            51,
            live=make_live(51, mntns=OTHER_MNTNS),
            fd=3,
            dirfd=-100,
            name=b"/a",
            flags=1,
        )

    assert fed.state.host.containers.keys() == {b"lived_in"}
    assert ended == [b"left"]


def write_names(proc, tid: int, count: int, home: str = "/") -> None:
    """Give a process's root directory many users and as many groups."""
    base = proc.add(tid)
    (base / "root").unlink()
    (base / "root" / "etc").mkdir(parents=True)
    lines = [f"u{uid}:x:{uid}:{uid}::{home}:/bin/sh" for uid in range(count)]
    (base / "root" / "etc" / "passwd").write_text("\n".join(lines))
    (base / "root" / "etc" / "group").write_text(
        "\n".join(f"g{gid}:x:{gid}:" for gid in range(count))
    )


def test_a_container_with_many_users(live, proc):
    """Of a long file the first are kept, and the one that was looked for wherever it stands."""
    write_names(proc, 50, 5000)
    users = live.users
    users.ensure(make_thread("x", tid=50, uid=4000, gid=4001, container_id=b"abc"), NOW_NS)
    host, most = live.host, users_module._MAX_A_FILE

    assert host.users[b"abc", 4000].name == b"u4000"
    assert host.groups[b"abc", 4001].name == b"g4001"
    assert len([key for key in host.users if key[0]]) == most + 1
    assert len([key for key in host.groups if key[0]]) == most + 1


def test_many_containers_with_long_names(live, proc):
    """Past the bound all that containers told is dropped and learned anew."""
    write_names(proc, 50, 1000, home="/" + 900 * "h")
    users, host = live.users, live.host
    users.load_host()
    most = 0
    for number in range(40):
        container = b"c%d" % number
        thread = make_thread("x", tid=50, uid=7, gid=7, container_id=container)
        users.ensure(thread, NOW_NS + number * SECOND_NS)
        assert host.users[container, 7].name == b"u7"
        most = max(most, sum(len(user.home) for (key, _), user in host.users.items() if key))

    assert users_module._MAX_BYTES // 2 < most < users_module._MAX_BYTES
    assert (b"c0", 7) not in host.users
    assert host.users[b"", 1000].name == b"ann"
