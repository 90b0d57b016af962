"""Laws of field readers: what each field says of events built for the purpose."""

import pytest

from exporter.events.container import Container, ContainerType, Group, Mount, User
from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.host import Host, Interface
from exporter.events.params import Dynamic, PollFd
from exporter.events.thread import UNKNOWN_ID, Thread
from exporter.rules.fields.catalogue import find_field
from tests.factories import NOW_NS, make_event, make_thread
from tests.live_contexts import make_live


def read(text, event):
    """The value of a field named as in a rule."""
    name, _, rest = text.partition("[")
    use = find_field(name, rest[:-1] if rest else None, event.source)
    assert use is not None, text
    return use.read(event)


def family():
    """systemd(1) <- sshd(20) <- bash(30) <- cat(40, with a second thread 41)."""
    host = Host(boot_ts_ns=5)
    init = make_thread("systemd", tid=1, ptid=0, clone_ts_ns=7)
    sshd = make_thread("sshd", tid=20, parent=init, args=("-D",), env=("A=1", "SHELL=x"), sid=20)
    bash = make_thread("bash", tid=30, parent=sshd, args=("-l",), sid=30, vpgid=30, pgid=30)
    cat = make_thread(
        "cat",
        tid=40,
        parent=bash,
        args=("/etc/shadow", "-n"),
        env=("HOME=/root", "B=2"),
        sid=30,
        vpgid=40,
        pgid=40,
        cgroups=((b"cpu", b"/a"), (b"memory", b"/b")),
        clone_ts_ns=NOW_NS - 5,
        fds={0: Fd(type=FdType.PIPE), 3: Fd(type=FdType.FILE_V2, name=b"/x")},
        fdlimit=100,
        cap_permitted=1 << 21 | 1,
        loginuid=UNKNOWN_ID,
    )
    other = make_thread("worker", tid=41, pid=40, parent=bash, cwd=b"")
    for thread in (init, sshd, bash, cat, other):
        host.threads[thread.tid] = thread
    return host, cat, other


PROCESS = {
    "proc.name": b"cat",
    "proc.exe": b"cat",
    "proc.exepath": b"/usr/bin/cat",
    "proc.args": b"/etc/shadow -n",
    "proc.args[1]": b"-n",
    "proc.args[2]": b"",
    "proc.cmdline": b"cat /etc/shadow -n",
    "proc.exeline": b"cat /etc/shadow -n",
    "proc.cmdnargs": 2,
    "proc.cmdlenargs": 13,
    "proc.env": b"HOME=/root B=2",
    "proc.env[HOME]": b"/root",
    "proc.env[NONE]": b"",
    "proc.aenv[SHELL]": b"x",
    "proc.aenv[2]": b"A=1 SHELL=x",
    "proc.cwd": b"/root/",
    "proc.pname": b"bash",
    "proc.pexe": b"bash",
    "proc.pexepath": b"/usr/bin/bash",
    "proc.pcmdline": b"bash -l",
    "proc.ppid": 30,
    "proc.pid": 40,
    "proc.apid[2]": 20,
    "proc.aname[0]": b"cat",
    "proc.aname[2]": b"sshd",
    "proc.aname[3]": b"systemd",
    "proc.aname[4]": None,
    "proc.acmdline[2]": b"sshd -D",
    "proc.aexepath[1]": b"/usr/bin/bash",
    "proc.aexe": b"bash sshd systemd",
    "proc.aargs": b"-l -D ",
    "proc.aargs[1]": b"-l",
    "proc.sname": b"bash",
    "proc.sid.exe": b"bash",
    "proc.sid": 30,
    "proc.vpgid.name": b"cat",
    "proc.pgid.exepath": b"/usr/bin/cat",
    "proc.is_vpgid_leader": True,
    "proc.is_sid_leader": False,
    "proc.loginshellid": 30,
    "proc.duration": 5,
    "proc.pid.ts": NOW_NS - 5,
    "proc.ppid.ts": None,
    "proc.ppid.duration": 2,
    "proc.tty": 0,
    "proc.vpid": 40,
    "proc.pvpid": 30,
    "proc.nthreads": 2,
    "proc.nchilds": 1,
    "proc.fdopencount": 2,
    "proc.fdlimit": 100,
    "proc.fdusage": 2.0,
    "proc.exe_ino": None,
    "proc.stdin.type": b"pipe",
    "proc.stdout.type": None,
    "thread.tid": 40,
    "thread.ismain": True,
    "thread.cap_permitted": b"CAP_CHOWN CAP_SYS_ADMIN",
    "thread.cap_effective": b"",
    "thread.cgroups": b"cpu=/a memory=/b",
    "thread.cgroup.memory": b"/b",
    "thread.cgroup.io": None,
    "thread.nametid": b"cat40",
    "user.uid": 0,
    "user.name": b"root",
    "user.homedir": b"/root",
    "user.shell": b"<NA>",
    "user.loginuid": -1,
    "user.loginname": b"<NA>",
    "group.gid": 0,
    "group.name": b"root",
    "container.id": b"host",
    "container.name": b"host",
    "container.image": None,
    "fd.name": b"/etc/shadow",
    "evt.num": 1,
    "evt.type": b"openat",
    "evt.category": b"file",
    "evt.source": b"syscall",
    "evt.hostname": b"",
    "evt.is_async": False,
}


@pytest.mark.parametrize("text", PROCESS)
def test_process_fields(text):
    """Fields of a process with parents, session and environment."""
    host, cat, _ = family()
    event = make_event("openat", proc=cat, host=host, fd_name="/etc/shadow")

    assert PROCESS[text] == read(text, event)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proc.name", b"worker"),
        ("proc.pid", 40),
        ("proc.pname", b"bash"),
        ("proc.aname[0]", b"cat"),
        ("proc.env[B]", b"2"),
        ("proc.cwd", b"/root/"),
        ("proc.fdopencount", 2),
        ("thread.ismain", False),
        ("thread.vmsize", 0),
    ],
)
def test_threads_share_what_the_leader_keeps(text, expected):
    """Other threads have a comm of their own; environment and descriptors are the leader's."""
    host, _, worker = family()

    assert expected == read(text, make_event("kill", proc=worker, host=host))


@pytest.mark.parametrize(
    "text", ["proc.name", "proc.aname[1]", "user.name", "container.id", "fd.num"]
)
def test_without_a_thread_everything_is_missing(text):
    """Meta events of unknown threads have no process, user, container or descriptor."""
    assert read(text, make_event("openat", proc=None)) is None


def test_huge_pids_are_missing():
    """A process id beyond 32 bits is no process id."""
    event = make_event("kill", proc=make_thread("x", tid=1 << 33))

    assert read("proc.pid", event) is None


def test_loops_of_parents_end():
    """Threads that are their own ancestors do not hang the walk."""
    host = Host()
    one = make_thread("one", tid=2, ptid=3)
    two = make_thread("two", tid=3, ptid=2)
    host.threads = {2: one, 3: two}
    event = make_event("kill", proc=one, host=host)

    assert read("proc.aexe", event) == b"two"
    assert read("proc.aname[4000000000]", event) == b"one"


def test_users_are_those_of_the_container():
    """Names come from the database of the thread's container, never from the host's."""
    host = Host(
        users={(b"", 5): User(uid=5, name=b"hostuser"), (b"c1", 5): User(uid=5, name=b"inside")},
        groups={(b"c1", 6): Group(gid=6, name=b"crew")},
    )
    inside = make_event("kill", proc=make_thread("x", uid=5, gid=6, container_id=b"c1"), host=host)
    outside = make_event("kill", proc=make_thread("x", uid=5, gid=6), host=host)

    assert (read("user.name", inside), read("group.name", inside)) == (b"inside", b"crew")
    assert (read("user.name", outside), read("group.name", outside)) == (b"hostuser", b"<NA>")


SOCKET = {
    "fd.name": b"10.0.0.1:5->8.8.8.8:53",
    "fd.type": b"ipv4",
    "fd.typechar": b"4",
    "fd.sockfamily": b"ip",
    "fd.l4proto": b"udp",
    "fd.cip": b"\x0a\0\0\1",
    "fd.sip": b"\x08\x08\x08\x08",
    "fd.lip": b"\x0a\0\0\1",
    "fd.rip": b"\x08\x08\x08\x08",
    "fd.cport": 5,
    "fd.sport": 53,
    "fd.lport": 5,
    "fd.rport": 53,
    "fd.sproto": b"53",
    "fd.cproto": b"5",
    "fd.is_server": False,
    "fd.directory": None,
    "fd.filename": None,
    "fd.num": 3,
    "fd.uid": b"10003",
    "fd.containername": b":10.0.0.1:5->8.8.8.8:53",
    "fd.connected": False,
    "fd.name_changed": False,
}


@pytest.mark.parametrize("text", SOCKET)
def test_socket_fields(text):
    """A client's UDP connection from this machine."""
    host = Host(interfaces=[Interface(name=b"eth0", address=b"\x0a\0\0\1", netmask=b"")])
    fd = Fd(
        type=FdType.IPV4,
        name=b"10.0.0.1:5->8.8.8.8:53",
        sip=b"\x0a\0\0\1",
        sport=5,
        dip=b"\x08\x08\x08\x08",
        dport=53,
        l4=L4Proto.UDP,
        role=Role.CLIENT,
    )

    assert SOCKET[text] == read(text, make_event("connect", fd=fd, host=host))


def test_sockets_without_a_role_have_no_ends():
    """Client, server, local and remote are missing until the role is known."""
    fd = Fd(type=FdType.IPV4, sip=b"\1\1\1\1", dip=b"\2\2\2\2", l4=L4Proto.TCP)
    event = make_event("connect", fd=fd)

    for name in ("fd.cip", "fd.sip", "fd.lport", "fd.rip"):
        assert read(name, event) is None
    assert read("fd.l4proto", event) == b"<NA>"


def test_listening_sockets_are_servers():
    """A bound socket's server end is its own address; it has no client."""
    fd = Fd(type=FdType.IPV4_LISTEN, sip=b"\0\0\0\0", sport=80, role=Role.SERVER, l4=L4Proto.TCP)
    event = make_event("listen", fd=fd)

    assert read("fd.sport", event) == 80
    assert read("fd.sip", event) == b"\0\0\0\0"
    assert read("fd.cport", event) is None
    assert read("fd.is_server", event) is True
    assert read("fd.l4proto", event) == b"tcp"


@pytest.mark.parametrize(
    ("event_name", "params", "expected"),
    [
        (
            "openat",
            {"fd": -2, "dirfd": -100, "name": "a/../b"},
            ("/root/b", "f", "a/../b", "/root"),
        ),
        ("openat", {"fd": -2, "dirfd": -100, "name": "/x//y"}, ("/x/y", "f", "/x/y", "/x")),
        ("open", {"fd": -2, "name": "/x"}, ("/x", "o", "/x", "/")),
    ],
)
def test_failed_opens_name_the_path_of_the_call(event_name, params, expected):
    """Without an entry the name is computed, the number is -1 and the type missing."""
    event = make_event(event_name, params=params)
    names = ("fd.name", "fd.typechar", "fd.nameraw", "fd.directory")

    assert expected == tuple(read(name, event).decode() for name in names)
    assert read("fd.num", event) == -1
    assert read("fd.type", event) is None
    assert read("fd.filename", event) is None


def test_descriptor_fields_need_a_descriptor_event():
    """Events that use no descriptor have none, whatever is attached."""
    event = make_event("execve", fd_name="/x")

    for name in ("fd.name", "fd.num", "fd.typechar", "fd.directory"):
        assert read(name, event) is None


@pytest.mark.parametrize(
    ("path", "kind", "directory", "filename"),
    [
        ("/etc/shadow", FdType.FILE_V2, b"/etc", b"shadow"),
        ("/shadow", FdType.FILE_V2, b"/", b"shadow"),
        ("/", FdType.FILE_V2, b"/", b"/"),
        ("noslash", FdType.FILE_V2, b"/", b"/"),
        ("/etc", FdType.DIRECTORY, b"/etc", None),
        ("/etc/x", FdType.PIPE, None, None),
    ],
)
def test_directory_and_file_name(path, kind, directory, filename):
    """The parts of a path before and after its last slash, for files."""
    event = make_event("openat", fd_name=path, fd_type=kind)

    assert (directory, filename) == (read("fd.directory", event), read("fd.filename", event))


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("openat", {"fd": 3, "flags": 1}, (True, False, False, False)),
        ("openat", {"fd": 3, "flags": 3}, (True, True, False, False)),
        ("openat", {"fd": 3, "flags": 2 | 4, "mode": 0o755}, (False, True, True, False)),
        ("openat", {"fd": 3, "flags": 2 | 4 | 1 << 14, "mode": 0o644}, (False, True, False, True)),
        ("openat", {"fd": 3, "flags": 2 | 1 << 13, "mode": 0o644}, (False, True, False, True)),
        ("openat", {"fd": -1, "flags": 2 | 1 << 13, "mode": 0o644}, (False, True, False, False)),
        ("creat", {"fd": 3, "mode": 0o100}, (False, False, True, False)),
        ("open", {"fd": 3, "flags": 2}, (False, True, False, False)),
        ("openat2", {"fd": 3, "flags": 1}, (True, False, False, False)),
        ("kill", {}, (False, False, False, False)),
    ],
)
def test_open_modes(name, params, expected):
    """read, write, exec, create as the flags and the mode say; false for other events."""
    event = make_event(name, params=params)
    names = ("evt.is_open_read", "evt.is_open_write", "evt.is_open_exec", "evt.is_open_create")

    assert expected == tuple(read(field, event) for field in names)


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("openat", {"fd": 3}, (3, b"SUCCESS", False)),
        ("openat", {"fd": -2}, (-2, b"ENOENT", True)),
        ("connect", {"res": -115}, (-115, b"EINPROGRESS", True)),
        ("procexit", {"status": 0}, (None, None, None)),
        ("PPME_GENERIC_X", {"ID": 1}, (None, None, None)),
    ],
)
def test_results(name, params, expected):
    """The return value as number, errno name and failure; missing where there is none."""
    event = make_event(name, params=params)

    assert expected == tuple(
        read(field, event) for field in ("evt.rawres", "evt.res", "evt.failed")
    )


def test_arguments_by_name_and_index():
    """Resolved text if there is one, else raw; missing when the event has no such parameter."""
    event = make_event("openat", params={"fd": 3, "flags": 1, "name": "/x", "mode": 0o644})

    assert read("evt.arg.flags", event) == b"O_RDONLY"
    assert read("evt.arg[2]", event) == b"/x"
    assert read("evt.arg[50]", event) is None
    assert read("evt.arg.request", event) is None
    assert read("evt.rawarg.flags", event) == 1
    assert b"flags=1(O_RDONLY)" in read("evt.args", event)
    assert read("evt.args", event) == read("evt.info", event)


def test_generic_events_have_the_name_of_the_call():
    """Generic events are named by their system call."""
    from exporter.events.table import load_syscall_table

    call = next(call for call in load_syscall_table().syscalls if call.name == "getpid")
    event = make_event("PPME_GENERIC_X", params={"ID": call.sc})

    assert read("evt.type", event) == b"getpid"
    assert read("syscall.type", event) == b"getpid"


def test_paths_of_file_system_calls():
    """One-path and two-path calls, absolute and as passed; missing when the call failed."""
    renamed = make_event("rename", params={"res": 0, "oldpath": "a", "newpath": "/b/../c"})
    linked = make_event("symlink", params={"res": 0, "target": "../t", "linkpath": "l"})
    failed = make_event("unlink", params={"res": -2, "path": "/x"})
    made = make_event("mkdirat", params={"res": 0, "dirfd": -100, "path": "d"})

    names = ("fs.path.source", "fs.path.target", "fs.path.targetraw")
    assert tuple(read(name, renamed) for name in names) == (b"/root/a", b"/c", b"/b/../c")
    assert tuple(read(name, linked) for name in names) == (b"/root/l", b"/t", b"../t")
    assert read("fs.path.name", failed) is None
    assert (read("fs.path.name", made), read("fs.path.nameraw", made)) == (b"/root/d", b"d")


def test_absolute_paths_of_at_calls():
    """First and second path, built from their directory descriptors."""
    event = make_event(
        "renameat2",
        params={"res": 0, "olddirfd": -100, "oldpath": "a", "newdirfd": -100, "newpath": "/n"},
    )

    assert read("evt.abspath", event) == b"/root/a"
    assert read("evt.abspath.src", event) == b"/root/a"
    assert read("evt.abspath.dst", event) == b"/n"


def test_poll_lists():
    """Numbers and names of the polled descriptors."""
    thread = make_thread("x", fds={3: Fd(type=FdType.FILE_V2, name=b"/x")})
    event = make_event("poll", proc=thread, params={"res": 1, "fds": (PollFd(3, 1), PollFd(9, 1))})

    assert read("fdlist.nums", event) == b"3,9"
    assert read("fdlist.names", event) == b"/x,<NA>"


def boxed():
    """An event in a container of a pod with metadata."""
    labels = {
        b"app": b"web",
        b"io.kubernetes.pod.name": b"web-1",
        b"io.kubernetes.pod.namespace": b"prod",
        b"io.kubernetes.pod.uid": b"u-1",
    }
    box = Container(
        id=b"0123456789ab",
        full_id=b"0123456789abcdef",
        type=ContainerType.CONTAINERD,
        name=b"web",
        image=b"reg/web:1",
        image_repository=b"reg/web",
        image_tag=b"1",
        labels=labels,
        is_privileged=True,
        mounts=(Mount(source=b"/etc", destination=b"/host/etc", is_rdwr=True),),
        pod_sandbox_id=b"fedcba9876543210",
    )
    sandbox = Container(
        id=b"fedcba987654", ip=b"10.1.2.3", pod_sandbox_labels={b"tier": b"front"}, cni_json=b"{}"
    )
    host = Host(containers={box.id: box, sandbox.id: sandbox})
    thread = make_thread("x", container_id=box.id, pidns_init_start_ts_ns=NOW_NS - 9)
    return make_event("kill", proc=thread, host=host)


CONTAINER = {
    "container.id": b"0123456789ab",
    "container.full_id": b"0123456789abcdef",
    "container.name": b"web",
    "container.type": b"containerd",
    "container.image": b"reg/web:1",
    "container.image.repository": b"reg/web",
    "container.image.tag": b"1",
    "container.privileged": True,
    "container.mounts": b"/etc:/host/etc::true:",
    "container.mount[0]": b"/etc:/host/etc::true:",
    "container.mount[1]": None,
    "container.mount.dest[/e*]": b"/host/etc",
    "container.mount.dest[/proc*]": None,
    "container.mount.source[/host/*]": b"/etc",
    "container.mount.rdwr[/etc]": b"true",
    "container.label[app]": b"web",
    "container.label[none]": None,
    "container.labels": b"app:web",
    "container.start_ts": NOW_NS - 9,
    "container.duration": 9,
    "container.healthcheck": None,
    "k8s.pod.name": b"web-1",
    "k8s.ns.name": b"prod",
    "k8s.pod.uid": b"u-1",
    "k8s.pod.id": b"u-1",
    "k8s.pod.sandbox_id": b"fedcba987654",
    "k8s.pod.full_sandbox_id": b"fedcba9876543210",
    "k8s.pod.ip": b"10.1.2.3",
    "k8s.pod.label[tier]": b"front",
    "k8s.pod.labels": b"tier:front",
    "k8s.deployment.name": None,
}


@pytest.mark.parametrize("text", CONTAINER)
def test_container_fields(text):
    """Metadata of the container and of its pod's sandbox."""
    assert CONTAINER[text] == read(text, boxed())


def test_containers_without_metadata_have_an_id_only():
    """Until the runtime answers only what the cgroup and the kernel tell is there."""
    thread = make_thread("x", container_id=b"0123456789ab", pod_uid=b"u-2")
    event = make_event("kill", proc=thread)

    assert read("container.id", event) == b"0123456789ab"
    assert read("container.name", event) is None
    assert read("container.privileged", event) is None
    assert read("k8s.pod.uid", event) is None
    event.live = make_live(1000)
    assert read("k8s.pod.uid", event) == b"u-2"


def test_failed_connects_name_their_ends():
    """A connect that failed shows the tuple of the event, not the name of the socket."""
    fd = Fd(type=FdType.IPV4, name=b"old", role=Role.CLIENT)
    failed = make_event("connect", fd=fd, fd_num=3, params={"res": -111, "fd": 3})
    failed.error_code = 111
    fine = make_event("connect", fd=fd, fd_num=3, params={"res": 0, "fd": 3})

    assert (read("fd.name", failed), read("fd.name", fine)) == (b"NULL", b"old")


def test_descriptors_nothing_is_known_of():
    """The name is empty and the directory its root; nothing else is there."""
    event = make_event("read", fd=None, fd_num=7, params={"res": 1, "fd": 7})

    names = ("fd.name", "fd.directory", "fd.num", "fd.typechar", "fd.type", "fd.filename")
    assert tuple(read(name, event) for name in names) == (b"", b"/", 7, b"o", None, None)


def test_processes_only_known_by_events():
    """A placeholder has no main thread: numbers are 0 or -1, texts empty, the directory `./`."""
    event = make_event("kill", proc=Thread(tid=5), host=Host(threads={5: Thread(tid=5)}))

    expected = {
        "proc.name": b"<NA>",
        "proc.exeline": b"<NA> ",
        "proc.pid": -1,
        "proc.ppid": None,
        "proc.cwd": b"./",
        "proc.env": b"",
        "proc.env[A]": b"",
        "proc.fdlimit": 0,
        "proc.fdopencount": 0,
        "proc.fdusage": 0.0,
        "proc.nthreads": 0,
        "proc.aname": None,
        "thread.ismain": False,
    }
    assert {name: read(name, event) for name in expected} == expected


def test_values_of_variables_have_no_blanks_around():
    """A variable's value is trimmed; one of nothing is as good as none."""
    thread = make_thread("x", env=("A=  b c ", "AB=1", "E="))
    event = make_event("kill", proc=thread)

    assert (read("proc.env[A]", event), read("proc.env[E]", event)) == (b"b c", b"")
    assert read("proc.env", event) == b"A=  b c  AB=1 E="


def test_sizes_of_calls_that_work_on_a_descriptor():
    """Every I/O call with a known descriptor has a size, closing included."""
    fd = Fd(type=FdType.FILE_V2, name=b"/x")
    sizes = {
        name: read("evt.buflen", make_event(name, fd=fd, fd_num=3, params={"res": 4, "fd": 3}))
        for name in ("read", "write", "fcntl", "close", "fstat")
    }
    assert sizes == {"read": 4, "write": 4, "fcntl": 4, "close": 4, "fstat": None}


def test_categories():
    """The class of the call, for I/O that of the descriptor."""

    def category(name, kind=None):
        fd = None if kind is None else Fd(type=kind)
        return read("evt.category", make_event(name, fd=fd, fd_num=3))

    assert category("pipe") == b"IPC"
    assert category("mmap") == b"memory"
    assert category("read") == b"unknown"
    assert category("read", FdType.PIPE) == category("write", FdType.UNIX) == b"ipc"
    assert category("read", FdType.EVENT) == category("read", FdType.INOTIFY) == b"ipc"
    assert category("close", FdType.IPV6_LISTEN) == b"net"
    assert category("readv", FdType.DIRECTORY) == b"file"


def test_sockets_without_an_address_have_the_one_of_zeros():
    """`fd.ip != x` is true of a new socket, and the loopback network of IPv6 holds `::`."""
    lo = Interface(name=b"lo", address=bytes(15) + b"\1", netmask=b"\xff" * 16)
    host = Host(interfaces=[lo])
    new4 = make_event("socket", fd=Fd(type=FdType.IPV4), fd_num=3, host=host)
    new6 = make_event("socket", fd=Fd(type=FdType.IPV6, role=Role.CLIENT), fd_num=3, host=host)
    use = find_field("fd.ip", None, "syscall")
    assert use is not None
    assert use.each is not None

    assert use.each(new4) == (bytes(4), bytes(4))
    assert read("fd.cip", new4) is None
    assert (read("fd.cip", new6), read("fd.sip", new6)) == (bytes(16), bytes(16))
    assert (read("fd.is_server", new4), read("fd.is_server", new6)) == (False, True)


def test_texts_the_runtime_left_empty_are_unknown():
    """Metadata may come in parts: what is empty reads `<NA>`, and a list of nothing is empty."""
    host = Host(containers={b"c1": Container(id=b"c1", type=ContainerType.CRI)})
    event = make_event("kill", proc=make_thread("x", container_id=b"c1"), host=host)

    names = ("name", "full_id", "image", "image.id", "image.repository", "image.tag")
    assert {read(f"container.{name}", event) for name in names} == {b"<NA>"}
    assert (read("container.type", event), read("container.mounts", event)) == (b"cri", b"")


def test_parameters_whose_type_depends():
    """A result may be of a chosen type, and what is called `data` may be no buffer."""
    number = Dynamic(0, "INT64", "DEC", -9)
    traced = make_event("ptrace", params={"res": 0, "data": Dynamic(0, "UINT64", "HEX", 5)})
    old = make_event("PPME_SYSCALL_BPF_X", params={"res_or_fd": number})

    assert read("evt.buffer", traced) is None
    assert read("evt.arg.data", traced) == b"5"
    assert read("evt.failed", old) in {True, False}


def test_absolute_paths_end_unknown_directories_in_a_slash():
    """Unlike fd.name, evt.abspath puts a slash behind whatever stands for the directory."""
    unlinked = make_event("unlinkat", params={"res": 0, "dirfd": 77, "name": "a"})
    handle = {"fd": 4, "mountfd": 3, "path": "/x/./y"}

    assert read("evt.abspath", unlinked) == b"<UNKNOWN>/a"
    assert read("evt.abspath", make_event("open_by_handle_at", params=handle)) == b"/x/y"
    assert read("evt.abspath", make_event("open_by_handle_at", params=handle | {"fd": -1})) is None
    assert read("evt.abspath", make_event("mknodat", params={"dirfd": -100, "path": "a"})) is None


def test_errors_count_by_what_failed():
    """A mapped file's error counts twice; a socket call without an entry is no network error."""
    mapped = make_event("mmap", params={"res": -12}, fd=Fd(type=FdType.FILE_V2))
    refused = make_event("connect", params={"res": -111})
    listened = make_event("listen", params={"res": -9})
    kinds = ("file", "net", "memory", "other")

    def counts(event):
        return [read(f"evt.count.error.{kind}", event) for kind in kinds]

    assert counts(mapped) == [1, None, 1, None]
    assert counts(refused) == [None, 1, None, None]
    assert counts(listened) == [None, None, None, 1]


def test_calls_without_a_socket_are_named_by_their_tuple():
    """A failed accept and a connect on an unknown descriptor show the tuple's text."""
    failed = make_event("accept4", params={"fd": -11, "tuple": None})

    assert (read("fd.name", failed), read("fd.directory", failed)) == (b"NULL", b"/")
    assert read("fd.nameraw", failed) == b"NULL"
    assert read("fd.typechar", failed) == b"4"


def test_types_of_descriptors_belong_to_events_with_one():
    """fd.types, as all fields of the class, is missing in events without a descriptor."""
    thread = make_thread("x", fds={3: Fd(type=FdType.FILE_V2)})

    assert read("fd.types", make_event("kill", proc=thread, params={"res": 0})) is None
    assert read("fd.types[3]", make_event("kill", proc=thread, params={"res": 0})) is None


def test_lengths_of_network_traffic_are_those_of_ip_sockets():
    """Reads of unix sockets count as no network traffic, those of directories as no file's."""
    unix = make_event("read", params={"res": 5}, fd=Fd(type=FdType.UNIX))
    inet = make_event("read", params={"res": 5}, fd=Fd(type=FdType.IPV6))
    folder = make_event("read", params={"res": 5}, fd=Fd(type=FdType.DIRECTORY))

    assert (read("evt.buflen", unix), read("evt.buflen.net", unix)) == (5, None)
    assert read("evt.buflen.net.in", inet) == 5
    assert read("evt.buflen.file", folder) is None


def test_ports_as_text_are_empty_where_a_role_is_all_there_is():
    """Listening sockets have a role but no such text: it is empty, not missing."""
    server = Fd(type=FdType.IPV4_LISTEN, dip=bytes(4), dport=22, role=Role.SERVER)
    bound = make_event("bind", params={"res": 0}, fd=server)
    fresh = make_event("bind", params={"res": -1}, fd=Fd(type=FdType.IPV4))

    assert (read("fd.cproto", bound), read("fd.sproto", bound)) == (b"", b"")
    assert (read("fd.cproto", fresh), read("fd.sproto", fresh)) == (None, None)
