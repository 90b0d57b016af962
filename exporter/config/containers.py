"""The section `containers`: whom to ask for the names of containers and pods."""

from pydantic import Field

from exporter.config.section import Section
from exporter.config.units import Duration, Size


class ContainerSockets(Section):
    """Where the container engines listen; * matches any name. Below host_root."""

    docker: tuple[str, ...] = Field(
        default=("/var/run/docker.sock", "/run/docker.sock"),
        description="Docker; empty for none.",
    )
    podman: tuple[str, ...] = Field(
        default=("/run/podman/podman.sock", "/run/user/*/podman/podman.sock"),
        description="Podman; empty for none.",
    )
    cri: tuple[str, ...] = Field(
        default=(
            "/run/containerd/containerd.sock",
            "/run/crio/crio.sock",
            "/run/k3s/containerd/containerd.sock",
            "/run/host-containerd/containerd.sock",
        ),
        description="Kubernetes CRI: containerd and CRI-O; empty for none.",
    )
    containerd: tuple[str, ...] = Field(
        default=("/run/containerd/containerd.sock", "/run/host-containerd/containerd.sock"),
        description="containerd itself, for containers of ctr and nerdctl; empty for none.",
    )


_STORAGE = (
    "/var/lib/containers/storage",
    "/run/containers/storage",
    "/home/*/.local/share/containers/storage",
    "/run/user/*/containers",
)


class KubernetesSection(Section):
    """The Kubernetes API: who owns a pod, and pods where no runtime can be asked."""

    enabled: bool = Field(default=False, description="Follow the pods of this node.")
    api: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="URL of the API; empty: that of the cluster Lanner runs in.",
    )
    node_name: str = Field(
        default="", description="Name of this node; empty: $NODE_NAME, else $LANNER_HOSTNAME."
    )
    token_file: str = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/token",
        description="File with the token of the service account; empty for none.",
    )
    ca_file: str = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        description="Certificates the API is trusted by; empty: those of the system.",
    )


class ContainersSection(Section):
    """Names, images, labels and pods of containers, told by their runtimes."""

    enabled: bool = Field(
        default=True, description="Ask the runtimes; without, alerts have ids only."
    )
    host_root: str = Field(
        default="",
        description="Directory where the host's root is mounted; empty: $HOST_ROOT, else /.",
    )
    sockets: ContainerSockets = Field(default=ContainerSockets(), description="Engines.")
    podman_storage: tuple[str, ...] = Field(
        default=_STORAGE,
        description="Podman's storage, for containers that its service does not tell of in time,"
        " and where it has none; * matches any name, below host_root; empty for none.",
    )
    label_max_len: int = Field(
        default=100, ge=0, le=65536, description="Longer values of labels are left out."
    )
    hold: Duration = Field(
        default=0.5,
        ge=0,
        le=10,
        description="Longest wait of an alert, or of a rule's decision, for the metadata of its"
        " container; 0: none waits.",
    )
    kubernetes: KubernetesSection = Field(
        default=KubernetesSection(), description="Kubernetes API."
    )
    hold_capacity: int = Field(
        default=1024, ge=1, le=100_000, description="Alerts and decisions that wait at most."
    )
    hold_memory: Size = Field(
        default=16 << 20, ge=1 << 16, description="Memory that they take at most, roughly."
    )
