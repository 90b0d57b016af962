"""Container runtimes of a running node: engines by the configuration, lookups, held alerts.

Takes the `containers` section, gives what state, hot thread and event loop share.
"""

import asyncio
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from exporter.alerts.hold import AlertHold, HoldOptions
from exporter.app.logs import Logger
from exporter.config.containers import ContainersSection
from exporter.errors import ConfigError
from exporter.metrics import families
from exporter.metrics.instruments import LabelValues, Reading
from exporter.metrics.registry import Registry
from exporter.sources.runtimes.engine import Engine, EngineError
from exporter.sources.runtimes.follower import Place
from exporter.sources.runtimes.watch import RuntimeWatch
from exporter.state.lookups import Lookups

_MAX_LINKS = 32


def host_root(section: ContainersSection) -> str:
    """Where the host's root is mounted."""
    return section.host_root or os.environ.get("HOST_ROOT", "") or "/"


class Runtimes:
    """Everything about the runtimes of this machine. Await `run` on the event loop."""

    def __init__(self, section: ContainersSection, log: Logger) -> None:
        self.lookups = Lookups()
        self.hold = AlertHold(
            self.lookups,
            HoldOptions(
                hold_ns=round(section.hold * 1e9),
                capacity=section.hold_capacity,
                memory_bytes=section.hold_memory,
            ),
        )
        self._log = log
        self._section = section
        self._root = host_root(section)
        self._kubernetes = kubernetes_place(section) if section.kubernetes.enabled else None
        self._watch = RuntimeWatch(self._places, self.lookups, on_change=self._changed)

    async def run(self) -> None:
        """Follow the runtimes until cancelled."""
        self.lookups.connect(asyncio.get_running_loop().call_soon_threadsafe, self._watch.want)
        await self._watch.run()

    def export(self, registry: Registry) -> None:
        """Connect the counters to their families."""
        hold, lookups, watch = self.hold, self.lookups, self._watch
        registry.read(
            families.ALERT_HOLDS, lambda: {(step,): count for step, count in hold.counts.items()}
        )
        registry.read(
            families.MATCH_HOLDS,
            lambda: {(step,): count for step, count in hold.decisions.items()},
        )
        registry.read(families.CONTAINER_METADATA_MISSING, lambda: _misses(lookups))
        registry.read(
            families.CONTAINER_RUNTIME_UP,
            lambda: {place: float(is_up) for place, is_up in watch.engines_up().items()},
        )

    def _places(self) -> list[Place]:
        """Every socket of the configuration, those of patterns as far as they exist, each once."""
        sockets = self._section.sockets
        places: dict[tuple[str, str], Place] = {}
        for name, paths in (
            ("podman", sockets.podman),
            ("docker", sockets.docker),
            ("cri", sockets.cri),
            ("containerd", sockets.containerd),
        ):
            for path in paths:
                for socket in _matching(self._root, path):
                    place = Place(name, socket, self._maker(name, socket))
                    places.setdefault((name, socket), place)
        for path in self._section.podman_storage:
            for root in _matching(self._root, path):
                place = Place("podman-storage", root, _storage(root), is_spare=True)
                places.setdefault(("podman-storage", root), place)
        if self._kubernetes is not None:
            # Last: what a runtime tells of a container is newer than what the API does.
            places["kubernetes", self._kubernetes.socket] = self._kubernetes
        return list(places.values())

    def _maker(self, name: str, socket: str) -> Callable[[], Engine]:
        def make() -> Engine:
            # Imported when the first socket is there: an HTTP client costs 6 MiB.
            if name == "cri":
                module = import_module("exporter.sources.runtimes.cri")
                return cast("Engine", module.CriEngine(socket, self._section.label_max_len))
            if name == "containerd":
                module = import_module("exporter.sources.runtimes.containerd")
                return cast("Engine", module.ContainerdEngine(socket, self._section.label_max_len))
            module = import_module("exporter.sources.runtimes.docker")
            return cast("Engine", module.DockerEngine(name, socket, self._section.label_max_len))

        return make

    def _changed(self, place: Place, error: EngineError | None) -> None:
        if error is None:
            self._log.info("container runtime connected", engine=place.name, socket=place.socket)
        else:
            self._log.warning("container runtime lost", engine=place.name, error=error.message)


def kubernetes_place(section: ContainersSection) -> Place:
    """Where the Kubernetes API is. Raises ConfigError when that, or this node, is not known."""
    settings = section.kubernetes
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    # An IPv6 address stands in brackets in a URL.
    inside = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    api = settings.api or (inside if host else "")
    # The chart gives the node's name as that of the host.
    node = settings.node_name or os.environ.get("NODE_NAME") or os.environ.get("LANNER_HOSTNAME")
    for value, key, variable in (
        (api, "api", "KUBERNETES_SERVICE_HOST"),
        (node, "node_name", "NODE_NAME"),
    ):
        if not value:
            raise ConfigError(
                f"containers.kubernetes.{key} is not set, and neither is {variable}",
                code="C024",
                hint=f"set containers.kubernetes.{key}, or switch containers.kubernetes off",
            )

    def make() -> Engine:
        module = import_module("exporter.sources.runtimes.kubernetes")
        options = module.KubernetesOptions(
            api=api.rstrip("/"),
            node=node or "",
            token_file=settings.token_file,
            ca_file=settings.ca_file,
            label_max_len=section.label_max_len,
        )
        return cast("Engine", module.KubernetesEngine(options))

    return Place("kubernetes", api.rstrip("/"), make, is_file=False)


def _storage(root: str) -> Callable[[], Engine]:
    def make() -> Engine:
        module = import_module("exporter.sources.runtimes.podman_storage")
        return cast("Engine", module.PodmanStorage(root))

    return make


def _misses(lookups: Lookups) -> Reading:
    reading: dict[LabelValues, float] = {(why,): n for why, n in lookups.misses.items()}
    return reading | {("lost",): lookups.lost}


def _matching(root: str, path: str) -> list[str]:
    if "*" not in path:
        return [path_below(root, path)]
    found = Path(root).glob(path.lstrip("/"))
    return sorted(str(match) for match in found)


def path_below(root: str, path: str) -> str:
    """Where a path of another root directory is for us, its symbolic links followed.

    An absolute link (/var/run -> /run) means the other root's directory, not ours.
    """
    base = Path(root)
    parts = [part for part in path.split("/") if part not in {"", "."}]
    found: list[str] = []
    links = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            del found[-1:]
            continue
        here = base.joinpath(*found, part)
        # Not Path.is_symlink(), which raises where we may not look: then nothing is there for us.
        if links < _MAX_LINKS and os.path.islink(here):  # noqa: PTH114
            links += 1
            target = str(here.readlink())
            if target.startswith("/"):
                found.clear()
            parts[:0] = [piece for piece in target.split("/") if piece not in {"", "."}]
            continue
        found.append(part)
    return str(base.joinpath(*found))
