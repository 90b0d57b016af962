"""containerd's own API: containers that no kubelet made, such as those of ctr and nerdctl."""

import re
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from exporter._proto import containerd_pb2 as api
from exporter.events.container import Container, ContainerType
from exporter.sources.runtimes.containerd_events import ELSEWHERE, container_events
from exporter.sources.runtimes.engine import SHORT_ID, Change, EngineError
from exporter.sources.runtimes.facts import as_bytes, labels_of
from exporter.sources.runtimes.images import cri_image
from exporter.sources.runtimes.oci_spec import spec_facts

_LIST_SECONDS = 10.0
_MAX_MESSAGE_BYTES = 16 << 20
_NERDCTL_NAME = "nerdctl/name"
_NS = 1_000_000_000
_ID = re.compile(r"[A-Za-z0-9._-]+")


class ContainerdEngine:
    """One containerd socket. label_max_len: longer label values are left out."""

    name = "containerd"

    def __init__(self, socket: str, label_max_len: int) -> None:
        self.socket = socket
        self._label_max_len = label_max_len
        self._channel: grpc.aio.Channel | None = None

    async def list_ids(self) -> list[str]:
        """Full ids of the containers in all namespaces that are nobody else's."""
        return [container.id for container in await self._list("")]

    async def fetch(self, container: str) -> Container | None:
        """Facts of a container by its id, or its first 12 characters."""
        if _ID.fullmatch(container) is None:
            return None
        # An id that was cut may go on; one that is shorter was not cut.
        end = "" if len(container) >= SHORT_ID else "$"
        found = await self._list(f'id~="^{container.replace(".", "[.]")}{end}"')
        exact = [item for item in found if item.id == container]
        chosen = (exact or found)[:1]
        return container_facts(chosen[0], self._label_max_len) if chosen else None

    def pod(self, _uid: bytes) -> Container | None:
        """There are no pods here."""
        return None

    async def changes(self) -> AsyncIterator[Change]:
        """Follow what comes and goes."""
        try:
            async for change in container_events(self._connected(), is_cri=False):
                yield change
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None
        raise EngineError(f"{self.socket} ended its events")

    async def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def _connected(self) -> grpc.aio.Channel:
        if self._channel is None:
            options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
            self._channel = grpc.aio.insecure_channel(f"unix://{self.socket}", options=options)
        return self._channel

    async def _list(self, selector: str) -> list[api.Container]:
        channel = self._connected()
        namespaces = channel.unary_unary(
            "/containerd.services.namespaces.v1.Namespaces/List",
            request_serializer=api.ListNamespacesRequest.SerializeToString,
            response_deserializer=api.ListNamespacesResponse.FromString,
        )
        containers = channel.unary_unary(
            "/containerd.services.containers.v1.Containers/List",
            request_serializer=api.ListContainersRequest.SerializeToString,
            response_deserializer=api.ListContainersResponse.FromString,
        )
        request = api.ListContainersRequest(filters=[selector] if selector else [])
        found: list[api.Container] = []
        try:
            answer = await namespaces(api.ListNamespacesRequest(), timeout=_LIST_SECONDS)
            for namespace in answer.namespaces:
                if namespace.name not in ELSEWHERE:
                    metadata = (("containerd-namespace", namespace.name),)
                    listed = await containers(request, timeout=_LIST_SECONDS, metadata=metadata)
                    found += listed.containers
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None
        return found

    def _failed(self, error: grpc.aio.AioRpcError) -> EngineError:
        code = "E_TIMEOUT" if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else "E_ENGINE"
        reason = f"{error.code().name.lower()}: {error.details()}"
        return EngineError(f"{self.socket} did not answer: {reason}", code=code)


def container_facts(listed: api.Container, label_max_len: int) -> Container:
    """Facts of a container as containerd keeps it; its specification tells the rest."""
    spec = spec_facts(listed.spec.value)
    image = cri_image(listed.image, "", {})
    return Container(
        id=as_bytes(listed.id[:SHORT_ID]),
        full_id=as_bytes(listed.id),
        type=ContainerType.CONTAINERD,
        name=as_bytes(listed.labels.get(_NERDCTL_NAME, listed.id)),
        image=as_bytes(image.name),
        image_repository=as_bytes(image.repository),
        image_tag=as_bytes(image.tag),
        image_digest=as_bytes(image.digest),
        user=b"" if spec.uid is None else as_bytes(str(spec.uid)),
        labels=labels_of(listed.labels, label_max_len),
        env=spec.env,
        mounts=spec.mounts,
        host_pid=spec.host_pid,
        host_network=spec.host_network,
        host_ipc=spec.host_ipc,
        created_time_ns=listed.created_at.seconds * _NS + listed.created_at.nanos,
    )
