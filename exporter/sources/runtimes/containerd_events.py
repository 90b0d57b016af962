"""containerd's events: what comes and goes in its namespaces, told by every version of it."""

from collections.abc import AsyncIterator

import grpc.aio

from exporter._proto.containerd_pb2 import ContainerEvent, Envelope, SubscribeRequest
from exporter.sources.runtimes.engine import Change, ChangeKind

CRI_NAMESPACE = "k8s.io"
ELSEWHERE = frozenset({CRI_NAMESPACE, "moby"})
"""Namespaces of the kubelet and of Docker, whose own sockets tell more."""

_CONTAINER_CREATED = "/containers/create"
_CONTAINER_DELETED = "/containers/delete"
_TASK_CREATED = "/tasks/create"
_TASK_STARTED = "/tasks/start"


async def container_events(channel: grpc.aio.Channel, *, is_cri: bool) -> AsyncIterator[Change]:
    """Changes of containers. is_cri: of the kubelet's namespace, else of all but `ELSEWHERE`.

    The kubelet's are told when their task is made: the CRI knows a container by then, and its
    program does not run yet. Raises grpc.aio.AioRpcError.
    """
    subscribe = channel.unary_stream(
        "/containerd.services.events.v1.Events/Subscribe",
        request_serializer=SubscribeRequest.SerializeToString,
        response_deserializer=Envelope.FromString,
    )
    came = (_TASK_CREATED, _TASK_STARTED) if is_cri else (_CONTAINER_CREATED,)
    filters = [f'topic=="{topic}"' for topic in (*came, _CONTAINER_DELETED)]
    async for envelope in subscribe(SubscribeRequest(filters=filters)):
        if is_cri != (envelope.namespace == CRI_NAMESPACE):
            continue
        if not is_cri and envelope.namespace in ELSEWHERE:
            continue
        container = ContainerEvent.FromString(envelope.event.value).container_id
        is_gone = envelope.topic == _CONTAINER_DELETED
        yield Change(ChangeKind.WENT if is_gone else ChangeKind.CAME, container)
