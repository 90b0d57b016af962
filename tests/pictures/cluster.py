"""Some minutes on three nodes: real pods of real containerds, real events, one Prometheus.

Nothing is made up but the names: what the pods do happens in this machine's kernel, every Lanner
sees the processes of its own containerd only.
"""

import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import grpc

from exporter._proto import outputs_pb2, outputs_pb2_grpc
from tests.integration.engines import Containerd
from tests.integration.live import Lanner, Stage, free_port
from tests.integration.monitoring import Prometheus

SCRAPE_SECONDS = 2
RULES = Path(__file__).with_name("rules.yaml")

_READ_SHADOW = "cat /etc/shadow >/dev/null"
_ENVIRONMENT = "cat /proc/self/environ >/dev/null"
_DROP = "cp /bin/busybox /tmp/true; /tmp/true"
_MINE = "cp /bin/busybox /tmp/xmrig; /tmp/xmrig true"
_ESCAPE = "echo /cmd >/tmp/release_agent"
_WRITE_ETC = "echo 10.0.0.7 db >>/etc/hosts.new"
_LEDGER = "echo 1,2 >/tmp/ledger.csv"
_WHO = "/bin/id"


class Workload(NamedTuple):
    """A pod: after `wait` seconds, the commands in turn, `pause` seconds between them."""

    node: int
    namespace: str
    name: str
    wait: float
    pause: float
    commands: Sequence[str]


WORKLOADS = (
    Workload(0, "shop", "web-6c9f7d5b8-x2k4q", 5, 9, [_ENVIRONMENT] * 5 + [_READ_SHADOW]),
    Workload(0, "shop", "cart-7b8d9c6f5-mm7zt", 30, 31, [_ENVIRONMENT, _WHO, _READ_SHADOW]),
    Workload(0, "payments", "ledger-0", 10, 20, [_LEDGER] * 4 + [_WRITE_ETC]),
    Workload(1, "payments", "ledger-1", 15, 26, [_LEDGER, _LEDGER, _READ_SHADOW]),
    Workload(1, "ci", "runner-58c7d-qzv9w", 60, 14, [_DROP, _WHO, _WRITE_ETC, _ENVIRONMENT]),
    Workload(1, "shop", "web-6c9f7d5b8-p8l2n", 20, 12, [_ENVIRONMENT] * 6 + [_WHO]),
)
INTRUSION = Workload(1, "ci", "runner-58c7d-8hxkj", 0, 4, [
    _WHO, _READ_SHADOW, _DROP, _MINE, _ESCAPE, _WRITE_ETC, _READ_SHADOW, _MINE,
])  # fmt: skip
"""What somebody does who came in through a build job, once."""


class Node:
    """One Lanner, and what it watches: a containerd with pods, or only a process tree."""

    def __init__(self, directory: Path, name: str, *, has_pods: bool) -> None:
        directory.mkdir()
        self.name = name
        self.stage = Stage()
        self.containerd = Containerd(directory / "c") if has_pods else None
        self._directory = directory
        self._starts = 0
        self.lanner = self._start(free_port())

    def _start(self, port: int) -> Lanner:
        self._starts += 1
        directory = self._directory / str(self._starts)
        directory.mkdir()
        cri = f"[{self.containerd.socket}]" if self.containerd else "[]"
        shutil.copy(RULES, directory / "team.yaml")
        config = (
            "rules_files: [team.yaml, default]\nmetrics: {rule_sampling: 5}\n"
            f"containers: {{sockets: {{docker: [], podman: [], cri: {cri}}}}}\n"
        )
        scope = self.containerd.pid if self.containerd else self.stage.pid
        lanner = Lanner(
            directory, "--json", "--scope-pid", str(scope), config=config, port=port, cwd=directory
        )
        lanner.wait_ready()
        return lanner

    def restart(self) -> None:
        """As an update of the DaemonSet does."""
        self.lanner.stop()
        self.lanner = self._start(self.lanner.port)

    def run(self, workload: Workload, *, is_once: bool = False) -> None:
        """Start the pod."""
        assert self.containerd
        turns = "; ".join(
            f"sh -c '{command}'; sleep {workload.pause}" for command in workload.commands
        )
        script = f"{turns}; sleep 3600" if is_once else f"while :; do {turns}; done"
        command = f"sleep {workload.wait}; {script}"
        self.containerd.run_pod(
            "sh", "-c", command, name=workload.name, namespace=workload.namespace, labels={}
        )

    def follow(self) -> None:
        """Subscribe to the stream until Lanner ends."""
        address = f"unix://{self.lanner.socket}"

        def follow() -> None:
            with grpc.insecure_channel(address) as channel:
                try:
                    for _ in outputs_pb2_grpc.serviceStub(channel).sub(
                        iter([outputs_pb2.request()])
                    ):
                        pass
                except grpc.RpcError:
                    return

        threading.Thread(target=follow, daemon=True).start()

    def stop(self) -> None:
        """End all of it."""
        self.lanner.kill()
        if self.containerd:
            self.containerd.stop()
        self.stage.close()


def live(directory: Path, seconds: int) -> tuple[float, float]:
    """Live through the scenario; Prometheus' data stay below the directory. Start and end of it."""
    nodes: list[Node] = []
    prometheus: Prometheus | None = None
    try:
        for index, name in enumerate(("node-a", "node-b", "node-c")):
            nodes.append(Node(directory / name, name, has_pods=index < 2))
        addresses = {f"127.0.0.1:{node.lanner.port}": node.name for node in nodes}
        prometheus = Prometheus(
            directory, {"lanner": list(addresses)}, interval=f"{SCRAPE_SECONDS}s",
            instances=addresses, labels={"cluster": "demo"},
        )  # fmt: skip
        prometheus.wait_ready()
        start = time.time()
        nodes[0].follow()
        for workload in WORKLOADS:
            nodes[workload.node].run(workload)
        _act(nodes, start, seconds)
        return start, time.time()
    finally:
        if prometheus:
            prometheus.stop()
        for node in nodes:
            node.stop()


def _act(nodes: Sequence[Node], start: float, seconds: int) -> None:
    """What the pods do not do themselves, at shares of the time."""
    done: set[str] = set()

    def once(name: str, share: float) -> bool:
        if name in done or time.time() - start < seconds * share:
            return False
        done.add(name)
        return True

    turn = 0
    while time.time() - start < seconds:
        time.sleep(3)
        turn += 1
        for node in nodes:
            if turn % 3 == 0:
                node.stage.run("find", "/usr/lib/python3", "-maxdepth", "2")
        if turn % 19 == 0:
            nodes[2].stage.run("cat", "/etc/shadow")
        if turn % 13 == 0:
            nodes[2].stage.run("true", "x" * 20_000)
        if once("reload", 0.35):
            nodes[0].lanner.process.send_signal(signal.SIGHUP)
        if once("update", 0.5):
            nodes[2].restart()
        if once("intrusion", 0.62):
            nodes[1].run(INTRUSION, is_once=True)
