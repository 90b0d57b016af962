"""Tables: everything the per-event handlers work on, and the few operations they share.

One instance a source. `keep_fds` is the policy of the two worlds: captures tell every open and
close, so descriptors are kept per process; live events carry the facts of their descriptors, so
nothing is kept and nothing can grow stale.
Source: spec/state-tracking.md sections 0 and 6.
"""

from collections import OrderedDict
from collections.abc import Callable

from msgspec import structs

from exporter.events.container import Container, ContainerType
from exporter.events.event import Event
from exporter.events.fd import Fd
from exporter.events.host import Host
from exporter.events.paths import find_fd
from exporter.events.thread import Thread
from exporter.state.budget import ENTRY_BYTES, FD_BYTES, MAX_BYTES, Budget, measure
from exporter.state.containers import Cgroups, ContainerRule
from exporter.state.counters import StateCounters
from exporter.state.lookups import Gone, Lookups
from exporter.state.procfs import Procfs
from exporter.state.talks import Talks
from exporter.state.threads import ThreadTable
from exporter.state.users import Users

_MAX_ENTERED = 8192
_MAX_ENTER_BYTES = 8192
"""Enter events hold a path and little else."""

RECENT_EXIT_NS = 2_000_000_000
"""A child that exited this recently (event time) is not created again from its parent's event."""

_MAX_RECENT_EXITS = 4096
_MAX_ANCESTORS = 1024
_MAX_UNIFIED = 4096

_ROOT_CGROUP = 1
"""Id of the root directory of cgroup v2."""

_PROBE_CATEGORIES = {
    "Healthcheck": "healthcheck",
    "LivenessProbe": "liveness",
    "ReadinessProbe": "readiness",
}

_MAX_SELF_DESCRIBED = 4096
"""Nobody tells of their end, and whoever may name cgroups can make as many as he likes."""

_SELF_DESCRIBED = frozenset({ContainerType.LXC, ContainerType.LIBVIRT_LXC, ContainerType.BPM})
"""Engines without a socket to ask: id and type are all there will ever be."""


class Tables:
    """State of one host and the operations that several handlers share."""

    def __init__(
        self,
        host: Host,
        counters: StateCounters,
        *,
        keep_fds: bool,
        procfs: Procfs | None,
        users: Users,
        rule: ContainerRule,
        lookups: Lookups | None = None,
    ) -> None:
        self.host = host
        self.counters = counters
        self.keep_fds = keep_fds
        self.procfs = procfs
        self.users = users
        self.rule = rule
        self.lookups = lookups
        self.threads = ThreadTable(host, counters, keep_unknown_parents=procfs is not None)
        self.on_container_end: Callable[[bytes], None] = lambda _container: None
        """Told the short id of every container that has ended."""
        self.deferred: list[Callable[[], None]] = []
        """Deletions decided by the handlers, done once the rules have seen the event."""
        self.result: int | None = None
        """Return value of the event at hand; None when it has none."""
        self.entered: dict[int, Event] = {}
        """Stored enter event of each thread."""
        self.server_ports: set[int] = set()
        """Ports that servers were seen to use."""
        self.talks = Talks()
        """Live datagram sockets."""
        self.old_name = b""
        """Name of the event's descriptor before the event."""
        self.budget = Budget(MAX_BYTES, lambda: measure(host))
        """Of captures; what live events tell has the bounds of the machine itself."""
        self._unified_paths: OrderedDict[int, bytes] = OrderedDict()
        self._exits: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._self_described: OrderedDict[bytes, None] = OrderedDict()

    def note_exit(self, tid: int, ptid: int, ts_ns: int) -> None:
        """Remember a (tid, parent) that ended."""
        self._exits[tid, ptid] = ts_ns
        if len(self._exits) > _MAX_RECENT_EXITS:
            self._exits.popitem(last=False)

    def exited_recently(self, tid: int, ptid: int, ts_ns: int) -> bool:
        """Whether a thread of this number and parent ended within the last two seconds."""
        ended = self._exits.get((tid, ptid))
        return ended is not None and 0 <= ts_ns - ended < RECENT_EXIT_NS

    def note_server_port(self, port: int) -> None:
        """A port that a server uses. Ports are 16 bits: the set has a bound of its own."""
        self.server_ports.add(port)

    def leader(self, thread: Thread) -> Thread | None:
        """Main thread of the thread's process."""
        return self.host.leader(thread)

    def set_container(self, thread: Thread) -> None:
        """Decide host or container for a thread from its cgroups and mount namespace."""
        if not thread.mntns and self.procfs is not None:
            self.counters.mntns_unknown += 1
        container, pod, kind, claim = self._decided(thread, thread.cgroups)
        if not container and thread.mntns and not self.rule.is_host_mntns(thread.mntns):
            container, pod, kind, other = self._decided(thread, self._unified(thread))
            claim = claim or other
        thread.host_claim = claim
        thread.container_id = container
        thread.pod_uid = pod
        thread.category = self._category(thread) if container else ""
        if container and container not in self.host.containers:
            if kind in _SELF_DESCRIBED:
                self._add_self_described(Container(id=container, type=kind))
            elif self.lookups is not None:
                self.lookups.want(container)

    def _decided(
        self, thread: Thread, cgroups: Cgroups
    ) -> tuple[bytes, bytes, ContainerType, bytes]:
        """Container, pod and engine by these paths; and the id that they only seem to name."""
        container, pod, kind = self.rule.decide(cgroups, thread.mntns)
        if container and thread.mntns and self._stayed_on_host(thread, container):
            return b"", b"", ContainerType.HOST, container
        return container, pod, kind, b""

    def _add_self_described(self, container: Container) -> None:
        known = self._self_described
        known[container.id] = None
        if len(known) > _MAX_SELF_DESCRIBED:
            # If it lives, its next process tells of it again.
            self.forget_container(next(iter(known)))
        self.host.containers[container.id] = container

    def forget_left_containers(self) -> None:
        """Drop the containers of which nobody tells the end, where no process is left in them."""
        lived_in = {thread.container_id for thread in self.host.threads.values()}
        for container in [one for one in self._self_described if one not in lived_in]:
            self.forget_container(container)

    def forget_container(self, container: bytes) -> None:
        """A container has ended: drop everything that was known of it."""
        self.on_container_end(container)
        self.host.containers.pop(container, None)
        self._self_described.pop(container, None)
        self.users.forget_container(container)
        if self.lookups is not None:
            self.lookups.forget(container)

    def take_arrivals(self, lookups: Lookups) -> None:
        """Take in what the container runtimes told since the last time.

        The end of a container is left for the next call where its facts came with it: an alert that
        waits for them is finished in between.
        """
        arrived = lookups.arrived
        is_first = True
        while arrived and (is_first or not isinstance(arrived[0], Gone)):
            arrival = arrived.popleft()
            is_first = False
            lookups.settle(arrival)
            if isinstance(arrival, Container):
                self.host.containers[arrival.id] = arrival
            elif isinstance(arrival, Gone):
                self.forget_container(arrival.id)

    def _stayed_on_host(self, thread: Thread, container: bytes) -> bool:
        """Whether a process only left the host's mount namespace, and never entered a container.

        A runtime puts what it starts into another cgroup than its own. A process with an ancestor
        in the host's mount namespace and the same odd cgroup all the way down (`unshare -m`, a
        sandboxed service) inherited that cgroup. The answer outlives the ancestors; children
        inherit it with everything else.
        """
        if thread.host_claim == container:
            return True
        above = self.host.parent(thread)
        for _ in range(_MAX_ANCESTORS):
            if above is None or not above.mntns or above.container_id == container:
                return False
            claim = self.rule.claim(above.cgroups) or self.rule.claim(self._unified(above))
            if claim is None or claim[0] != container:
                return False
            if above.host_claim == container or self.rule.is_host_mntns(above.mntns):
                return True
            above = self.host.parent(above)
        return False

    def _unified(self, thread: Thread) -> Cgroups:
        """The path of a live thread's cgroup v2 directory.

        Exec and clone events tell the paths of five controllers. Where a container's own directory
        has none of them switched on, these are paths of directories above it. Those of processes
        outside the host's mount namespace tell this one too; /proc knows that of the others.
        """
        if self.procfs is None or thread.cgroup_id <= _ROOT_CGROUP:
            return ()
        path = self._unified_paths.get(thread.cgroup_id)
        if path is None:
            path = self.procfs.read_unified_cgroup(thread.tid)
            if path is None:
                return ()
            self.note_unified(thread.cgroup_id, path)
        return ((b"", path),)

    def note_unified(self, cgroup_id: int, path: bytes) -> None:
        """Remember the path of a cgroup v2 directory."""
        self._unified_paths[cgroup_id] = path
        if len(self._unified_paths) > _MAX_UNIFIED:
            self._unified_paths.popitem(last=False)

    def _category(self, thread: Thread) -> str:
        """What a process in a container is: its main program, or a health probe of the runtime.

        Only containers whose metadata is known say so (state-tracking.md 10.2).
        """
        container = self.host.containers.get(thread.container_id)
        if container is None:
            return ""
        if thread.vpid == 1:
            return "container"
        parent = self.host.parent(thread)
        if parent is not None and parent.category:
            return parent.category
        for key, probe in container.health_probes.items():
            if probe == (thread.exe, thread.args) and not self._has_inner_init(thread):
                return _PROBE_CATEGORIES.get(key, "")
        return ""

    def _has_inner_init(self, thread: Thread) -> bool:
        above = self.host.parent(thread)
        for _ in range(_MAX_ANCESTORS):
            if above is None:
                return False
            if above.vpid == 1 and above.container_id:
                return True
            above = self.host.parent(above)
        return False

    # Descriptors

    def add_fd(self, event: Event, number: int, fd: Fd) -> None:
        """The event made descriptor `number`; it becomes the event's descriptor."""
        if self.keep_fds and event.thread is not None:
            fds = self.host.descriptors(event.thread)
            if number in fds or self.affords(FD_BYTES + len(fd.name) + len(fd.name_raw)):
                fds[number] = fd
        event.fd_num = number
        event.fd = fd

    def inherited_fds(self, source: Thread) -> dict[int, Fd]:
        """Descriptors of a process as its new child has them."""
        if not self.keep_fds or not self.affords(FD_BYTES * len(source.fds)):
            return {}
        return copy_fds(source)

    def affords(self, size_bytes: int) -> bool:
        """Whether the tables may grow by so much; counted if not."""
        if self.procfs is not None or self.budget.take(size_bytes):
            return True
        self.counters.memory_full += 1
        return False

    def affords_texts(self, event: Event) -> bool:
        """Whether an entry with the texts of an event may come."""
        return self.procfs is not None or self.affords(ENTRY_BYTES + sum(map(len, event.raw)))

    def remember(self, entered: Event) -> None:
        """Keep an enter event for its exit; the oldest is given up when too many wait."""
        if sum(map(len, entered.raw)) > _MAX_ENTER_BYTES:
            return
        self.entered[entered.tid] = entered
        if len(self.entered) > _MAX_ENTERED:
            del self.entered[next(iter(self.entered))]

    def drop_fd(self, event: Event, number: int) -> None:
        """Forget a descriptor of the event's process after the rules have seen the event."""
        if not self.keep_fds or event.thread is None:
            return
        fds = self.host.descriptors(event.thread)
        self.deferred.append(lambda: _discard(fds, number))

    def find_fd(self, event: Event, number: int) -> Fd | None:
        """What is known of a descriptor of the event's process."""
        return find_fd(event, number)

    def entered_for(self, event: Event) -> Event | None:
        """The stored enter event of this exit event; execve exits also belong to execveat."""
        entered = self.entered.get(event.tid)
        if entered is None:
            return None
        if entered.type.code + 1 == event.type.code or (
            entered.type.name == "execveat" and event.type.name == "execve"
        ):
            return entered
        return None


def _discard(fds: dict[int, Fd], number: int) -> None:
    fds.pop(number, None)


def copy_fds(source: Thread) -> dict[int, Fd]:
    """Descriptors of a process as its new child has them."""
    copies = {number: structs.replace(fd) for number, fd in source.fds.items()}
    for fd in copies.values():
        fd.is_cloned = True
    return copies


Handler = Callable[[Tables, Event], None]
