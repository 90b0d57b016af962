"""Real containers for tests: a busybox root file system and runc, without any image or daemon."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh", "cat", "ls", "cp", "mv", "rm", "ln", "id", "touch", "chmod", "find", "grep", "nc", "wget",
    "ip", "sleep", "true", "echo", "mkdir", "head", "httpd", "usleep",
)  # fmt: skip
CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",
]  # fmt: skip
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/hostname": "stage\n",
    "etc/app.conf": "colour = blue\n",
    "var/log/auth.log": "Nov 23 10:00:00 sshd: hello\n",
    "var/log/wtmp": "record",
    "var/log/app.log": "line\n",
    "root/.ash_history": "ls\n",
    "run/secrets/kubernetes.io/serviceaccount/token": "eyJ",
    "run/secrets/kubernetes.io/serviceaccount/ca.crt": "PEM",
    "www/index.html": "hello\n",
}
SCRATCH = ("proc", "dev", "tmp", "opt", "usr/local/bin", "sbin", "usr/bin")


class Container:
    """A bundle for `runc run`.

    cgroup: its path with {id} and {pod}; by default the one that the kubelet's cgroupfs driver
    gives.
    """

    def __init__(
        self,
        directory: Path,
        *,
        overlay: bool = False,
        cgroup: str = "/kubepods/besteffort/pod{pod}/{id}",
    ) -> None:
        self.id = uuid.uuid4().hex + uuid.uuid4().hex
        self.pod_uid = str(uuid.uuid4())
        self.bundle = directory / f"bundle-{self.id[:12]}"
        self.cgroup = cgroup.format(id=self.id, pod=self.pod_uid)
        self._made = [path for path in self._cgroup_directories() if not path.exists()]
        self._build_root()
        self._overlay = overlay
        if overlay:
            self._mount_overlay()

    @property
    def short_id(self) -> str:
        """What rules see as container.id."""
        return self.id[:12]

    @property
    def root(self) -> Path:
        """The root file system, as seen from the host."""
        return self.bundle / "rootfs"

    def _build_root(self) -> None:
        (self.root / "bin").mkdir(parents=True)
        shutil.copy(BUSYBOX, self.root / "bin/busybox")
        for applet in APPLETS:
            (self.root / "bin" / applet).symlink_to("busybox")
        # No applet of that name, but a program that starts under it. Scripts name programs by path
        # where their name matters: this shell starts its own applets as /proc/self/exe.
        (self.root / "bin/apk").symlink_to("busybox")
        for name in SCRATCH:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _mount_overlay(self) -> None:
        """Lay a writable layer over the root, as container runtimes do."""
        layers = {name: self.bundle / name for name in ("upper", "work")}
        for layer in layers.values():
            layer.mkdir()
        options = f"lowerdir={self.root},upperdir={layers['upper']},workdir={layers['work']}"
        command = ["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)]
        subprocess.run(command, check=True)

    def _cgroup_directories(self) -> list[Path]:
        """Every directory that running this container makes, deepest first."""
        leaf = Path(self.cgroup)
        names = [path for path in (leaf, *leaf.parents) if path != Path("/")]
        return [mount / name.relative_to("/") for name in names for mount in cgroup_mounts()]

    def command(self, *argv: str, tty: bool = False, uid: int = 0) -> list[str]:
        """The runc command that runs the program in this container, to its end."""
        spec = self._spec(argv, tty=tty, uid=uid)
        self.bundle.joinpath("config.json").write_text(json.dumps(spec))
        return ["runc", "run", "--bundle", str(self.bundle), f"lanner-test-{self.short_id}"]

    def _spec(self, argv: tuple[str, ...], *, tty: bool, uid: int) -> dict[str, object]:
        kinds = ("bounding", "effective", "permitted")
        return {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": tty,
                "user": {"uid": uid, "gid": uid},
                "args": list(argv),
                "env": ["PATH=/bin"],
                "cwd": "/",
                "capabilities": dict.fromkeys(kinds, CAPABILITIES),
            },
            "root": {"path": "rootfs"},
            "hostname": "stage",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {
                    "destination": "/dev/pts",
                    "type": "devpts",
                    "source": "devpts",
                    "options": ["newinstance", "ptmxmode=0666", "mode=0620"],
                },
            ],
            "linux": {
                "cgroupsPath": self.cgroup,
                "namespaces": [
                    {"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")
                ],
            },
        }

    def remove(self) -> None:
        """Delete the container if it still runs, and the cgroup directories made for it."""
        name = f"lanner-test-{self.short_id}"
        subprocess.run(["runc", "delete", "--force", name], check=False, capture_output=True)
        if self._overlay:
            subprocess.run(["umount", str(self.root)], check=True)
        for directory in self._made:
            if directory.is_dir():
                directory.rmdir()


def cgroup_mounts() -> list[Path]:
    """Every mounted cgroup hierarchy, v1 and v2."""
    with Path("/proc/self/mounts").open() as mounts:
        fields = (line.split() for line in mounts)
        return [Path(field[1]) for field in fields if field[2] in ("cgroup", "cgroup2")]


def cgroup2_mount() -> Path | None:
    """Where cgroup v2 is mounted."""
    with Path("/proc/self/mounts").open() as mounts:
        fields = (line.split() for line in mounts)
        return next((Path(field[1]) for field in fields if field[2] == "cgroup2"), None)


def has_runc() -> bool:
    """Whether containers can be started here."""
    return os.geteuid() == 0 and shutil.which("runc") is not None and BUSYBOX.exists()
