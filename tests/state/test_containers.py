"""Container ids and pod uids from cgroup paths (state-tracking.md section 10)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.events.container import ContainerType
from exporter.events.host import INITIAL_MNTNS
from exporter.state.containers import ContainerRule, match_cgroups, pod_uid

A = "0123456789abcdef" * 4
B = "fedcba9876543210" * 4
SHORT_A, SHORT_B = A[:12].encode(), B[:12].encode()
UID = "1a2b3c4d-0000-1111-2222-333344445555"
UNDER = UID.replace("-", "_")


def cgroups(*paths: str) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((b"cpu", path.encode()) for path in paths)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"/docker/{A}", (SHORT_A, ContainerType.DOCKER)),
        (f"/system.slice/docker-{A}.scope", (SHORT_A, ContainerType.DOCKER)),
        (f"/docker/{A}/docker/{B}", (SHORT_B, ContainerType.DOCKER)),
        (f"/kubepods/burstable/pod{UID}/{A}", (SHORT_A, ContainerType.DOCKER)),
        (f"/kubepods.slice/kubepods-pod{UNDER}.slice/cri-containerd-{A}.scope",
         (SHORT_A, ContainerType.CRI)),
        (f"/kubepods.slice/kubepods-besteffort-pod{UNDER}.slice/crio-{A}.scope",
         (SHORT_A, ContainerType.CRI)),
        (f"/kubepods/pod{UID}/crio-{A}", (SHORT_A, ContainerType.CRI)),
        (f"/system.slice/containerd.service/kubepods-x:cri-containerd:{A}",
         (SHORT_A, ContainerType.CRI)),
        (f"/system.slice/nerdctl-{A}.scope", (SHORT_A, ContainerType.CRI)),
        (f"/machine.slice/libpod-{A}.scope", (SHORT_A, ContainerType.PODMAN)),
        (f"/machine.slice/libpod-{A}.scope/container", (SHORT_A, ContainerType.PODMAN)),
        (f"/user.slice/libpod-payload-{A}", (SHORT_A, ContainerType.PODMAN)),
        (f"/libpod-{A}", (SHORT_A, ContainerType.PODMAN)),
        ("/default/my-box", (b"my-box", ContainerType.CONTAINERD)),
        ("/default/a-rather-long-container-name", (b"a-rather-lon", ContainerType.CONTAINERD)),
        ("/lxc/web/init", (b"web", ContainerType.LXC)),
        ("/lxc.payload.a-very-long-name-kept/x/y", (b"a-very-long-name-kept", ContainerType.LXC)),
        ("/box.libvirt-lxc", (b"box", ContainerType.LIBVIRT_LXC)),
        ("/machine.slice/machine-lxc\\x2dbox.scope", (b"box", ContainerType.LIBVIRT_LXC)),
        ("/machine.slice/machine-lxc\\x2dbox.scope/libvirt", (b"box", ContainerType.LIBVIRT_LXC)),
        ("/a/libvirt/lxc/box/c", (b"box", ContainerType.LXC)),
        ("/system.slice/bpm-job.1_x.scope", (b"job.1_x", ContainerType.BPM)),
        # Where monitors of containers live: theirs is the host's mount namespace, but also by name.
        (f"/system.slice/crio-conmon-{A}.scope", None),
        (f"/kubepods.slice/kubepods-pod{UNDER}.slice/crio-conmon-{A}.scope", None),
        (f"/kubepods/besteffort/pod{UID}/crio-conmon-{A}", None),
        (f"/machine.slice/libpod-conmon-{A}.scope", None),
        (f"/libpod_parent/libpod-{A}", (SHORT_A, ContainerType.PODMAN)),
        ("/lxc.monitor.web", None),
        # Engines in a container of an engine: kind, Docker in Docker with either driver.
        (f"/docker/{A}/kubelet.slice/kubelet-kubepods-pod{UNDER}.slice/cri-containerd-{B}.scope",
         (SHORT_B, ContainerType.CRI)),
        (f"/docker/{A}/system.slice/docker-{B}.scope", (SHORT_B, ContainerType.DOCKER)),
        (f"/kubepods/burstable/pod{UID}/{A}/docker/{B}", (SHORT_B, ContainerType.DOCKER)),
        (f"/lxc.payload.web/docker/{B}", (SHORT_B, ContainerType.DOCKER)),
        (f"/kubepods.slice/kubepods-pod{UNDER}.slice/crio-{A}.scope/container",
         (SHORT_A, ContainerType.CRI)),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
         (SHORT_A, ContainerType.PODMAN)),
        ("/", None),
        ("/init.scope", None),
        ("/user.slice/user-0.slice/session-1.scope", None),
        ("/system.slice/cron.service", None),
        # ctr's layout is any name below any name: what no earlier engine claims is its own.
        ("/lxc/web", (b"web", ContainerType.CONTAINERD)),
        (f"/docker/{A[:63]}", (SHORT_A, ContainerType.CONTAINERD)),
        (f"/kubepods/pod{UID}", (b"pod" + UID[:9].encode(), ContainerType.CONTAINERD)),
        (f"/docker/{A[:63]}g/x", None),
    ],
)  # fmt: skip
def test_engines_by_path(path, found):
    """Each engine's layout gives its id, cut to 12 characters where it is a hash."""
    assert found == match_cgroups(cgroups(path))


def test_first_path_wins():
    """The list's order decides, not the engines' order."""
    assert match_cgroups(cgroups("/", "/lxc/web/x", f"/docker/{A}")) == (b"web", ContainerType.LXC)


@pytest.mark.parametrize(
    ("path", "uid"),
    [
        (f"/kubepods/burstable/pod{UID}/{A}", UID),
        (f"/kubepods.slice/kubepods-pod{UNDER}.slice/crio-{A}.scope", UID),
        (f"/kubepods.slice/kubepods-besteffort-pod{UNDER}.slice/x", UID),
        (f"/kubepods/pod{'0' * 32}/{A}", "0" * 32),
        (f"/../../kubepods.slice/kubepods-pod{UNDER}.slice/x", UID),
        (
            f"/docker/{A}/kubelet.slice/kubelet-kubepods-pod{UNDER}.slice/cri-containerd-{B}.scope",
            UID,
        ),
        ("/kubepods/podxyz/a", ""),
        (f"/tripod{UID}/a", ""),
        ("/", ""),
    ],
)
def test_pod_uid(path, uid):
    """The uid of the `pod<uid>` component, with dashes; static pods have 32 hex digits."""
    assert uid.encode() == pod_uid(cgroups(path))


@pytest.mark.parametrize(
    ("mntns", "path", "container"),
    [
        (5, f"/docker/{A}", b""),
        (INITIAL_MNTNS, f"/docker/{A}", b""),
        (6, f"/docker/{A}", SHORT_A),
        (0, f"/docker/{A}", SHORT_A),
        (6, "/", b""),
        (6, f"/docker/{B}", b""),
        (6, f"/docker/{B}/docker/{A}", SHORT_A),
        (6, f"/kubepods/pod{UID}/{A}/init.scope", SHORT_A),
        (6, f"/docker/{A}/system.slice/cron.service", SHORT_A),
        (0, f"/kubepods/pod{UID}/{A}/init.scope", b""),
        (6, f"/kubepods.slice/kubepods-pod{UNDER}.slice/crio-{A}.scope/container", SHORT_A),
        (6, f"/lxc.payload.web/system.slice/docker-{A}.scope", SHORT_A),
        (5, f"/system.slice/crio-conmon-{A}.scope", b""),
        (6, "/system.slice/systemd-udevd.service/udev", b""),
        (6, "/user.slice/user-0.slice/user@0.service/app.slice/app-x.scope", b""),
    ],
)
def test_host_rule(mntns, path, container):
    """The initial mount namespace is the host; so is an id that pid 1's own path holds.

    Below a container's id the container stays, where the mount namespace is known to differ.
    """
    rule = ContainerRule(5, cgroups(f"/docker/{B}"))

    assert container == rule.decide(cgroups(path), mntns)[0]


@settings(max_examples=200)
@given(path=st.text(alphabet="/abc0f-._:\\x2d" + A[:4], max_size=120))
def test_any_path_is_decided(path):
    """No path raises, and ids are never empty."""
    found = match_cgroups(cgroups(path))

    assert found is None or found[0]
