"""Lanner's image: built from the Dockerfile without any registry of images, started by runc.

The base is a Debian root file system made by debootstrap from the package source this machine
uses; buildah runs the Dockerfile on it with this machine's settings for apt and pip, and nothing
else of the machine.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BASE = "localhost/debian:12-slim"
IMAGE = "localhost/lanner:test"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_CA_INSIDE = "/run/host-ca.pem"
_PACKAGE_SOURCE = "$(REPO_URI) $(CODENAME)"


def package_source() -> tuple[str, str]:
    """The first configured package source that has a plain release: its address and code name."""
    command = ["apt-get", "indextargets", "--format", _PACKAGE_SOURCE, "Created-By: Packages"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in answer.stdout.splitlines():
        address, _, codename = line.partition(" ")
        if codename.isalpha():
            return address, codename
    raise AssertionError("no package source: run apt-get update")


class Image:
    """The built image, unpacked, with what its configuration says."""

    def __init__(self, directory: Path, base: Path) -> None:
        self._store = directory / "store"
        self._run_root = directory / "run"
        self._directory = directory
        self._base = base
        self._container = ""
        self.root = Path()
        self.config: dict[str, Any] = {}

    def _buildah(self, *arguments: str) -> str:
        command = ["buildah", "--root", str(self._store), "--runroot", str(self._run_root)]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def build(self) -> None:
        """Make the base where it is missing, run the Dockerfile, mount the result."""
        if not (self._base / "etc/debian_version").exists():
            make_base(self._base)
        scratch = self._buildah("from", "scratch")
        self._buildah("add", "--quiet", scratch, str(self._base), "/")
        self._buildah("commit", "--quiet", "--rm", scratch, BASE)
        pip = self._directory / "pip.conf"
        pip.write_text(pip_settings())
        volumes = ("/etc/apt:/etc/apt:ro", f"{pip}:/etc/pip.conf:ro")
        self._buildah(
            "bud", "--isolation", "chroot", "--network", "host",
            *(f"--volume={volume}" for volume in (*volumes, f"{CA_BUNDLE}:{_CA_INSIDE}:ro")),
            "--build-arg", f"BASE={BASE}", "--format", "docker", "--tag", IMAGE, str(ROOT),
        )  # fmt: skip
        self.config = json.loads(self._buildah("inspect", "--type", "image", IMAGE))["Docker"][
            "config"
        ]
        self._container = self._buildah("from", IMAGE)
        self.root = Path(self._buildah("mount", self._container))

    def command(self, capabilities: Sequence[str], writable: Path) -> list[str]:
        """A command that runs the image's program with the arguments that follow it.

        capabilities: names without CAP_; exactly those. The root is read-only; only what the image
        declares as volumes, /tmp, and `writable` (under the same path inside) can be written.
        """
        bundle = writable / "bundle"
        bundle.mkdir()
        specification = self._specification(capabilities, writable)
        bundle.joinpath("template.json").write_text(json.dumps(specification))
        return [sys.executable, str(Path(__file__).with_name("run_image.py")), str(bundle)]

    def _specification(self, capabilities: Sequence[str], writable: Path) -> dict[str, Any]:
        names = [f"CAP_{name}" for name in capabilities]
        kinds = ("bounding", "effective", "permitted", "inheritable", "ambient")
        temporary = ["/tmp", *self.config["Volumes"]]
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": self.config["Entrypoint"],
                "env": self.config["Env"],
                "cwd": "/",
                "capabilities": dict.fromkeys(kinds, names),
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.root), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                *({"destination": path, "type": "tmpfs", "source": "tmpfs"} for path in temporary),
                {
                    "destination": str(writable),
                    "type": "bind",
                    "source": str(writable),
                    "options": ["bind"],
                },
            ],
            # As with hostPID and hostNetwork: only the mounts are its own.
            "linux": {"namespaces": [{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]},
        }

    def remove(self) -> None:
        """Unmount and delete everything but the base."""
        if self._container:
            self._buildah("rm", self._container)
        self._buildah("rmi", "--all", "--force")
        shutil.rmtree(self._store)


def pip_settings() -> str:
    """This machine's pip settings, with its certificates where the build sees them."""
    lines = ["[global]", f"cert = {_CA_INSIDE}"]
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in {"index-url", "extra-index-url", "trusted-host"}:
            lines.append(f"{name} = {value.strip(chr(39))}")
    return "\n".join(lines) + "\n"


def make_base(directory: Path) -> None:
    """A minimal Debian root file system."""
    address, codename = package_source()
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = directory.with_name(f"{directory.name}-unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", codename]
    done = subprocess.run(
        [*command, str(unfinished), address], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    unfinished.rename(directory)


def can_build() -> bool:
    """Whether images can be built here."""
    return os.geteuid() == 0 and all(map(shutil.which, ("buildah", "debootstrap", "runc")))
