"""Private container engines for tests: containerd, Docker and Podman below a temporary directory.

Each has its own state, storage and socket, no network, and images that are made here. Ends what it
started, by process id.
"""

import contextlib
import http.client
import importlib
import json
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import grpc

from tests.integration.containers import cgroup_mounts
from tests.integration.images import write_image
from tests.integration.live import STOP_SECONDS, wait_until

START_SECONDS = 30
IMAGE = "lanner.test/team/box:2.1"
PAUSE = "lanner.test/pause:1"
NODE, CONTAINER = 2, 1
"""Namespace modes of the CRI."""


def missing_programs(*programs: str) -> str:
    """Why these tests cannot run here; empty when they can."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"missing programs: {', '.join(absent)}" if absent else ""


class Daemon:
    """A program that listens on a Unix socket until it is told to stop."""

    def __init__(self, directory: Path, sock: Path, *command: str) -> None:
        self.socket = sock
        self._log = directory / "daemon.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._answers, START_SECONDS, f"{command[0]} on {sock}")

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(errors="replace")[-2000:]
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def stop(self) -> None:
        """End it and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


CONTAINERD_CONFIG = """
version = 2
root = "{base}/root"
state = "{base}/state"
[grpc]
  address = "{base}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{base}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"""


class Containerd:
    """containerd with pods made through its CRI socket, as the kubelet makes them."""

    def __init__(self, base: Path) -> None:
        base.mkdir()
        self.socket = base / "containerd.sock"
        config = base / "config.toml"
        config.write_text(CONTAINERD_CONFIG.format(base=base, pause=PAUSE))
        self._base = base
        self._daemon = Daemon(base, self.socket, "containerd", "-c", str(config))
        namespace = ["ctr", "-a", str(self.socket), "-n", "k8s.io", "image", "import"]
        for name, command in ((IMAGE, ("sleep", "600")), (PAUSE, ("sleep", "86400"))):
            # Of another content, so that an image has one name only.
            write_image(base / "image.tar", name, command=command)
            load = [*namespace, "--snapshotter", "native", str(base / "image.tar")]
            wait_until(lambda load=load: run(load), START_SECONDS, "the image import")
        self._calls = _compile_calls(base)
        self._channel = grpc.insecure_channel(f"unix://{self.socket}")
        self._pods: list[Pod] = []
        self._plain: list[str] = []

    @property
    def pid(self) -> int:
        """Of the daemon, whose descendants the containers are."""
        return self._daemon.pid

    def call(self, method: str, request: Any, answer: type[Any]) -> Any:
        """One call of the runtime service."""
        path = f"/runtime.v1.RuntimeService/{method}"
        unary: Any = self._channel.unary_unary(
            path, lambda message: message.SerializeToString(), answer.FromString
        )
        return unary(request, timeout=START_SECONDS)

    def run_pod(self, *command: str, name: str, namespace: str, labels: dict[str, str]) -> "Pod":
        """A pod in the host's network with one container that runs a command."""
        calls = self._calls
        uid = str(uuid.uuid4())
        modes = calls.NamespaceOption(network=NODE, pid=CONTAINER)
        pod = calls.PodConfig(
            metadata=calls.Metadata(name=name, uid=uid, namespace=namespace),
            log_directory=str(self._base / "logs"),
            labels=labels,
            linux=calls.LinuxPod(
                cgroup_parent=Pod(uid, "", "").cgroup,
                security_context=calls.SecurityContext(namespace_options=modes),
            ),
        )
        sandbox = self.call("RunPodSandbox", calls.RunPod(config=pod), calls.PodId).id
        self._pods.append(Pod(uid, sandbox, ""))
        config = calls.ContainerConfig(
            metadata=calls.Metadata(name="main"),
            image=calls.Image(image=IMAGE),
            command=list(command),
            labels={"io.kubernetes.container.name": "main"},
            mounts=[calls.Mount(container_path="/data", host_path=str(self._base), readonly=True)],
            log_path="main.log",
            linux=calls.LinuxContainer(
                security_context=calls.ContainerSecurity(namespace_options=modes)
            ),
        )
        request = calls.CreateContainer(pod_sandbox_id=sandbox, config=config, sandbox_config=pod)
        container = self.call("CreateContainer", request, calls.ContainerId).id
        self.call("StartContainer", calls.ContainerId(id=container), calls.Nothing)
        self._pods[-1].container = container
        return self._pods[-1]

    def run_plain(self, name: str, *command: str) -> None:
        """A container that belongs to no pod, as ctr makes it."""
        ctr = ["ctr", "-a", str(self.socket)]
        image = [*ctr, "image", "import", "--snapshotter", "native", f"{self._base}/plain.tar"]
        write_image(self._base / "plain.tar", IMAGE)
        subprocess.run(image, check=True, capture_output=True)
        run = [*ctr, "run", "-d", "--null-io", "--snapshotter", "native", IMAGE, name, *command]
        subprocess.run(run, check=True, capture_output=True)
        self._plain.append(name)

    def remove_pod(self, pod: "Pod") -> None:
        """End a pod and forget it."""
        self._remove(pod)
        self._pods.remove(pod)

    def _remove(self, pod: "Pod") -> None:
        calls = self._calls
        self.call("StopPodSandbox", calls.PodId(id=pod.sandbox), calls.Nothing)
        self.call("RemovePodSandbox", calls.PodId(id=pod.sandbox), calls.Nothing)
        for mount in cgroup_mounts():
            # The kubelet would do this; one that is not empty, or not there, is left alone.
            with contextlib.suppress(OSError):
                (mount / pod.cgroup.lstrip("/")).rmdir()

    def stop(self) -> None:
        """Remove what was started, end the daemon."""
        ctr = ["ctr", "-a", str(self.socket)]
        for name in self._plain:
            run([*ctr, "task", "rm", "-f", name])
            run([*ctr, "container", "rm", name])
        for pod in self._pods:
            with contextlib.suppress(grpc.RpcError):
                self._remove(pod)
        self._channel.close()
        self._daemon.stop()


class Pod:
    """Ids of a pod that was made."""

    def __init__(self, uid: str, sandbox: str, container: str) -> None:
        self.uid = uid
        self.cgroup = f"/kubepods/besteffort/pod{uid}"
        self.sandbox = sandbox
        self.container = container


def _compile_calls(base: Path) -> Any:
    """The messages of cri_calls.proto; only the tests make pods, so they are not generated code."""
    source = Path(__file__).parent
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", f"--python_out={base}"]
    subprocess.run([*command, "cri_calls.proto"], check=True)
    sys.path.insert(0, str(base))
    try:
        importlib.invalidate_caches()
        return importlib.import_module("cri_calls_pb2")
    finally:
        sys.path.remove(str(base))


class Docker:
    """dockerd beside a private containerd; containers have no network."""

    def __init__(self, base: Path, containerd: Path) -> None:
        base.mkdir()
        self.socket = base / "docker.sock"
        self._daemon = Daemon(
            base, self.socket, "dockerd",
            "--data-root", f"{base}/data", "--exec-root", f"{base}/exec",
            "--pidfile", f"{base}/pid", "--host", f"unix://{self.socket}",
            "--containerd", str(containerd), "--storage-driver", "vfs",
            "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
            "--ip-masq=false",
        )  # fmt: skip
        write_image(base / "image.tar", IMAGE)
        self.request("POST", "/images/load", (base / "image.tar").read_bytes(), "application/x-tar")
        self._made: list[str] = []

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> Any:
        """One request of the API; its JSON answer, or None."""
        connection = http.client.HTTPConnection("docker", timeout=START_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(START_SECONDS)
        connection.sock.connect(str(self.socket))
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, text
        with contextlib.suppress(ValueError):
            return json.loads(text)

    def run(self, *command: str, name: str, labels: dict[str, str], is_kept: bool = True) -> str:
        """Start a container; its full id. is_kept: whether it is there when it has ended."""
        config = {
            "Image": IMAGE, "Cmd": list(command), "Labels": labels,
            "HostConfig": {
                "NetworkMode": "none", "Binds": ["/tmp:/data:ro"], "AutoRemove": not is_kept,
            },
        }  # fmt: skip
        made = self.request("POST", f"/containers/create?name={name}", json.dumps(config).encode())
        self._made.append(made["Id"])
        self.request("POST", f"/containers/{made['Id']}/start")
        return str(made["Id"])

    def stop(self) -> None:
        """Remove the containers, end the daemon."""
        for container in self._made:
            with contextlib.suppress(AssertionError, OSError):
                self.request("DELETE", f"/containers/{container}?force=1")
        self._daemon.stop()


_ALLOWED = (
    "--network", "none", "--ulimit", "nofile=256:256", "--ulimit", "nproc=256:256",
)  # fmt: skip
"""Podman's own limits are above what an unprivileged root may set."""


class Podman:
    """Podman with a private storage, and its API service."""

    def __init__(self, base: Path) -> None:
        base.mkdir()
        self.socket = base / "podman.sock"
        self.root = base / "root"
        self._podman = [
            "podman", "--root", f"{base}/root", "--runroot", f"{base}/run", "--runtime", "runc",
            "--tmpdir", f"{base}/tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
            "--events-backend", "file",
        ]  # fmt: skip
        self._service = Daemon(
            base, self.socket, *self._podman, "system", "service", "-t", "0",
            f"unix://{self.socket}",
        )  # fmt: skip
        write_image(base / "image.tar", IMAGE)
        self._call("load", "-i", f"{base}/image.tar")
        self._made: list[str] = []

    def _call(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._podman, *arguments], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run_to_end(self, *command: str, name: str) -> None:
        """Run a container that nothing is left of."""
        self._call("run", "--rm", "--name", name, *_ALLOWED, IMAGE, *command)

    def run(self, *command: str, name: str, labels: dict[str, str]) -> str:
        """Start a container; its full id."""
        options = [f"--label={key}={value}" for key, value in labels.items()]
        container = self._call("run", "-d", "--name", name, *options, *_ALLOWED, IMAGE, *command)
        self._made.append(container)
        return container

    def stop(self) -> None:
        """Remove the containers, end the service."""
        for container in self._made:
            with contextlib.suppress(AssertionError):
                self._call("rm", "-f", "-t", "0", container)
        self._service.stop()


def run(command: list[str]) -> bool:
    """Whether a command succeeds."""
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
