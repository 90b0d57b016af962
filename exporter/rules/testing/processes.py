"""Steps about processes and containers: who runs where, who starts what, who ends."""

import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from exporter.events.container import ContainerType, User
from exporter.events.event import Event
from exporter.events.thread import UNKNOWN_ID, Thread
from exporter.rules.testing.encode import flag_table, flags_number
from exporter.rules.testing.items import Item
from exporter.rules.testing.world import BOOT_NS, INSTALLED_NS, Box, World, hex_id

_NS = 1_000_000_000
_COMM_BYTES = 15
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_MAX_WAIT = 1_000_000_000
_IMAGE_KEYS = (
    "name", "exe", "argv0", "args", "env", "cwd", "uid", "gid", "loginuid", "tty", "container",
    "exe_flags", "exe_changed_after",
)  # fmt: skip
PROCESS_KEYS = ("as", "parent", *_IMAGE_KEYS)
EXEC_KEYS = ("by", "result", *(key for key in _IMAGE_KEYS if key != "container"))
CONTAINER_KEYS = (
    "as",
    "id",
    "name",
    "image",
    "engine",
    "pod",
    "pod_uid",
    "privileged",
    "host_pid",
    "labels",
)
_ENGINES = {
    "docker": (ContainerType.DOCKER, "/system.slice/docker-{id}.scope"),
    "containerd": (ContainerType.CONTAINERD, "/system.slice/cri-containerd-{id}.scope"),
    "crio": (ContainerType.CRIO, "/machine.slice/crio-{id}.scope"),
    "podman": (ContainerType.PODMAN, "/machine.slice/libpod-{id}.scope"),
}
_POD_CGROUP = "/kubepods.slice/kubepods-pod{uid}.slice/cri-containerd-{id}.scope"
_CLONE_NEWPID_CHILD = "CLONE_CHILD_IN_PIDNS"


@dataclass(slots=True)
class Image:
    """What a process runs, and as whom; None where nothing was said."""

    name: bytes
    exe: bytes
    argv0: bytes
    args: tuple[bytes, ...]
    env: tuple[bytes, ...]
    cwd: bytes | None
    uid: int | None
    gid: int | None
    loginuid: int | None
    tty: int | None
    flags: int
    changed_after: int | None


def read_image(body: dict[str, Item], default_name: str) -> Image:
    """The image of a step's arguments. Raises TestFileError."""

    def number(key: str) -> int | None:
        return body[key].number() if key in body else None

    exe = body["exe"].text("an absolute path") if "exe" in body else ""
    name = body["name"].text() if "name" in body else exe.rpartition("/")[2] or default_name
    args = body["args"].texts() if "args" in body else ()
    flags = 0
    if "exe_flags" in body:
        flags = flags_number(body["exe_flags"], "execve_flags")
    cwd = body["cwd"].data() if "cwd" in body else None
    return Image(
        name=_bytes(name)[:_COMM_BYTES],
        exe=_bytes(exe or f"/usr/bin/{name}"),
        argv0=body["argv0"].data() if "argv0" in body else _bytes(name),
        args=tuple(map(_bytes, args)),
        env=tuple(map(_bytes, body["env"].texts())) if "env" in body else (),
        cwd=None if cwd is None else cwd.rstrip(b"/") + b"/",
        uid=number("uid"),
        gid=number("gid"),
        loginuid=number("loginuid"),
        tty=number("tty"),
        flags=flags,
        changed_after=number("exe_changed_after"),
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def on_process(world: World, item: Item) -> Iterator[Event]:
    """A process that has been running for long: it is known, no event tells of it."""
    alias, body = _arguments(item, PROCESS_KEYS)
    parent = world.thread(body.get("parent") or Item("init", item.span, {}))
    image = read_image(body, alias)
    box = _box(world, body, parent)
    tid = world.new_pid()
    inside = None if box is None or box.has_host_pids else box
    start = BOOT_NS if inside is None else inside.start_ns
    vtid = tid if inside is None else inside.processes
    thread = Thread(
        tid=tid,
        pid=tid,
        ptid=parent.tid,
        vtid=vtid,
        vpid=vtid,
        sid=parent.sid,
        pgid=tid,
        vpgid=vtid,
        comm=image.name,
        exe=image.argv0,
        exepath=image.exe,
        args=image.args,
        env=image.env,
        uid=parent.uid if image.uid is None else image.uid,
        gid=parent.gid if image.gid is None else image.gid,
        loginuid=UNKNOWN_ID if image.loginuid is None else image.loginuid,
        cwd=parent.cwd if image.cwd is None else image.cwd,
        tty=parent.tty if image.tty is None else image.tty,
        cgroups=_cgroups(box),
        clone_ts_ns=start + _NS,
        lastexec_ts_ns=start + _NS,
        pidns_init_start_ts_ns=start,
        exe_ino=_inode(image),
        exe_ino_ctime_ns=INSTALLED_NS,
        exe_ino_mtime_ns=INSTALLED_NS,
    )
    flags = flag_table("execve_flags")
    thread.exe_writable = bool(image.flags & flags["EXE_WRITABLE"])
    thread.exe_upper_layer = bool(image.flags & flags["EXE_UPPER_LAYER"])
    thread.exe_lower_layer = bool(image.flags & flags["EXE_LOWER_LAYER"])
    thread.exe_from_memfd = bool(image.flags & flags["EXE_FROM_MEMFD"])
    world.state.tables.threads.add(thread)
    world.state.tables.set_container(thread)
    _enter(world, alias, tid, box)
    return iter(())


def on_spawn(world: World, item: Item) -> Iterator[Event]:
    """A new process: clone as parent and child tell it, then execve."""
    alias, body = _arguments(item, PROCESS_KEYS)
    parent = world.thread(body.get("parent"))
    box = _box(world, body, parent)
    inside = None if box is None or box.has_host_pids else box
    tid = world.new_pid()
    own = {
        "exe": parent.exe,
        "args": _strings(parent.args),
        "tid": tid,
        "pid": tid,
        "ptid": parent.tid,
        "comm": parent.comm,
        "cwd": parent.cwd,
        "uid": parent.uid,
        "gid": parent.gid,
        "cgroups": _strings(b"%s=%s" % pair for pair in _cgroups(box)),
        "vtid": tid if inside is None else inside.processes,
        "vpid": tid if inside is None else inside.processes,
        "pidns_init_start_ts": 0 if inside is None else inside.start_ns - BOOT_NS,
        "flags": 0 if inside is None else flag_table("clone_flags")[_CLONE_NEWPID_CHILD],
    }
    told = {**own, "tid": parent.tid, "pid": parent.pid, "ptid": parent.ptid}
    told |= {"vtid": parent.vtid, "vpid": parent.vpid, "res": tid}
    yield world.event("PPME_SYSCALL_CLONE_20_X", parent.tid, told)
    yield world.event("PPME_SYSCALL_CLONE_20_X", tid, {**own, "res": 0})
    _enter(world, alias, tid, box)
    if "loginuid" not in body and parent.loginuid != UNKNOWN_ID:
        world.state.host.threads[tid].loginuid = parent.loginuid
    yield _execve(world, world.state.host.threads[tid], read_image(body, alias), 0)


def on_exec(world: World, item: Item) -> Iterator[Event]:
    """A process runs another program."""
    if isinstance(item.value, str):
        item = Item({"name": item}, item.span, {"name": item.span})
    body = item.mapping(EXEC_KEYS, "a program")
    thread = world.thread(body.get("by"))
    result = body["result"].result() if "result" in body else 0
    image = read_image(body, thread.comm.decode("utf-8", "surrogateescape"))
    yield _execve(world, thread, image, result)


def on_exit(world: World, item: Item) -> Iterator[Event]:
    """A process ends."""
    body = {} if item.value is None else _by_only(item)
    thread = world.thread(body.get("by"))
    yield world.event("PPME_PROCEXIT_1_E", thread.tid, {"status": 0, "ret": 0, "reaper_tid": 1})


def on_container(world: World, item: Item) -> Iterator[Event]:
    """A container and what its runtime tells of it."""
    alias, body = _arguments(item, CONTAINER_KEYS)
    full_id = body["id"].text() if "id" in body else hex_id(alias)
    if not _FULL_ID.fullmatch(full_id):
        raise body["id"].error("64 hex digits")
    engine_name = body["engine"].text() if "engine" in body else "containerd"
    if engine_name not in _ENGINES:
        raise body["engine"].error(f"one of {', '.join(_ENGINES)}")
    engine, cgroup = _ENGINES[engine_name]
    name = body["name"].text() if "name" in body else alias
    image = body["image"].text() if "image" in body else "docker.io/library/busybox:1.36"
    image_name, _, digest = image.partition("@")
    head, slash, last = image_name.rpartition("/")
    last, _, tag = last.partition(":")
    labels = {key: value.text() for key, value, _ in _pairs(body.get("labels"))}
    if "pod" in body:
        namespace, slash, pod = body["pod"].text().partition("/")
        if not slash:
            raise body["pod"].error("NAMESPACE/POD")
        uid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{pod}"))
        uid = body["pod_uid"].text() if "pod_uid" in body else uid
        labels |= {
            "io.kubernetes.pod.namespace": namespace,
            "io.kubernetes.pod.name": pod,
            "io.kubernetes.pod.uid": uid,
            "io.kubernetes.container.name": name,
        }
        cgroup = _POD_CGROUP.replace("{uid}", uid.replace("-", "_"))
    has_host_pids = "host_pid" in body and body["host_pid"].boolean()
    start_ns = world.now_ns - 600 * _NS
    box = Box(full_id, cgroup.replace("{id}", full_id), start_ns, has_host_pids)
    world.boxes[alias] = box
    told = {
        "id": full_id[:12],
        "full_id": full_id,
        "type": int(engine),
        "name": name,
        "image": image,
        "imageid": hex_id(image),
        "imagerepo": f"{head}/{last}" if head else last,
        "imagetag": tag,
        "imagedigest": digest,
        "privileged": body["privileged"].boolean() if "privileged" in body else False,
        "host_pid": has_host_pids,
        "labels": labels,
        "created_time": box.start_ns // _NS,
    }
    data = msgspec.json.encode({"container": told})
    yield world.event("PPME_ASYNCEVENT_E", -1, {"name": b"container", "data": data + b"\0"})


def on_user(world: World, item: Item) -> Iterator[Event]:
    """A user of the machine, or of a container, by name."""
    body = item.mapping(("name", "uid", "home", "shell", "container"), "a user")
    for key in ("name", "uid"):
        if key not in body:
            raise item.error(f"a user with {key}")
    uid = body["uid"].number()
    place = b""
    if "container" in body:
        box = world.boxes.get(body["container"].text())
        if box is None:
            raise body["container"].error("the name of a container")
        place = box.id[:12].encode()
    world.state.host.users[place, uid] = User(
        uid=uid,
        name=body["name"].data(),
        home=body["home"].data() if "home" in body else b"/home/" + body["name"].data(),
        shell=body["shell"].data() if "shell" in body else b"/bin/bash",
    )
    return iter(())


def on_wait(world: World, item: Item) -> Iterator[Event]:
    """Time passes."""
    seconds = item.number("a number of seconds")
    if not 0 <= seconds <= _MAX_WAIT:
        raise item.error(f"a number of seconds up to {_MAX_WAIT}")
    world.now_ns += seconds * _NS
    return iter(())


def _arguments(item: Item, known: tuple[str, ...]) -> tuple[str, dict[str, Item]]:
    """Alias and arguments; a bare text is the name."""
    if isinstance(item.value, str):
        return item.value, {"name": item}
    body = item.mapping(known)
    if "as" in body:
        return body["as"].text(), body
    if "name" in body:
        return body["name"].text(), body
    if "exe" in body:
        return body["exe"].text().rpartition("/")[2], body
    raise item.error("a name")


def _by_only(item: Item) -> dict[str, Item]:
    return {"by": item} if isinstance(item.value, str) else item.mapping(("by",))


def _pairs(item: Item | None) -> Iterator[tuple[str, Item, object]]:
    if item is not None:
        yield from item.pairs()


def _box(world: World, body: dict[str, Item], parent: Thread) -> Box | None:
    """The container of a new process: what the step says, else its parent's."""
    box = world.box_of.get(parent.tid)
    if "container" in body:
        name = body["container"].text("the name of a container")
        if name == "host":
            return None
        if name not in world.boxes:
            raise body["container"].error(f"a container ({', '.join(world.boxes) or 'none yet'})")
        box = world.boxes[name]
    if box is not None:
        box.processes += 1
    return box


def _enter(world: World, alias: str, tid: int, box: Box | None) -> None:
    world.processes[alias] = tid
    world.current = alias
    if box is not None:
        world.box_of[tid] = box


def _cgroups(box: Box | None) -> tuple[tuple[bytes, bytes], ...]:
    path = "/user.slice" if box is None else box.cgroup
    return tuple((name, path.encode()) for name in (b"cpu", b"memory"))


def _strings(items: Iterable[bytes]) -> bytes:
    return b"".join(item + b"\0" for item in items)


def _inode(image: Image) -> int:
    return int(hex_id(image.exe.decode("utf-8", "surrogateescape"), 8), 16) | 1


def _execve(world: World, thread: Thread, image: Image, result: int) -> Event:
    changed = INSTALLED_NS
    if image.changed_after is not None:
        start = thread.pidns_init_start_ts_ns or BOOT_NS
        changed = start + image.changed_after * _NS
    return world.event(
        "PPME_SYSCALL_EXECVE_19_X",
        thread.tid,
        {
            "res": result,
            "exe": image.argv0,
            "args": _strings(image.args),
            "tid": thread.tid,
            "pid": thread.pid,
            "ptid": thread.ptid,
            "cwd": thread.cwd if image.cwd is None else image.cwd,
            "fdlimit": 1024,
            "pgft_maj": 0,
            "pgft_min": 0,
            "comm": image.name if result == 0 else thread.comm,
            "cgroups": _strings(b"%s=%s" % pair for pair in thread.cgroups),
            "env": _strings(image.env),
            "tty": thread.tty if image.tty is None else image.tty,
            "vpgid": thread.vpid,
            "pgid": thread.pid,
            "loginuid": thread.loginuid if image.loginuid is None else image.loginuid,
            "flags": image.flags,
            "exe_ino": _inode(image),
            "exe_ino_ctime": changed,
            "exe_ino_mtime": changed,
            "uid": thread.uid if image.uid is None else image.uid,
            "gid": thread.gid if image.gid is None else image.gid,
            "trusted_exepath": image.exe,
            "filename": image.exe,
        },
    )
