"""Kubernetes CRI over gRPC: containerd and CRI-O."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import grpc
import grpc.aio

from exporter._proto.cri_pb2 import (
    CONTAINER_CREATED_EVENT,
    CONTAINER_DELETED_EVENT,
    CONTAINER_STARTED_EVENT,
    ContainerStatusRequest,
    GetEventsRequest,
    ListContainersRequest,
    ListPodSandboxRequest,
    PodSandboxStatusRequest,
    PodSandboxStatusResponse,
    VersionRequest,
)
from exporter._proto.cri_pb2_grpc import RuntimeServiceStub
from exporter.events.container import Container, ContainerType
from exporter.sources.runtimes.containerd_events import container_events
from exporter.sources.runtimes.cri_facts import (
    container_facts,
    info_of,
    pod_of,
    runtime_type,
    sandbox_facts,
)
from exporter.sources.runtimes.engine import (
    Change,
    ChangeKind,
    EngineError,
    EventsUnsupportedError,
)

_T = TypeVar("_T")
_MAX_MESSAGE_BYTES = 16 << 20
_LIST_SECONDS = 10.0
_FETCH_SECONDS = 2.0
_MAX_PODS = 1024
_EXITED = 2
_NOT_READY = 1
_ABSENT = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT})
_CAME = frozenset({CONTAINER_CREATED_EVENT, CONTAINER_STARTED_EVENT})


class CriEngine:
    """One CRI socket. label_max_len: longer label values are left out."""

    name = "cri"

    def __init__(self, socket: str, label_max_len: int) -> None:
        self.socket = socket
        self._label_max_len = label_max_len
        self._channel: grpc.aio.Channel | None = None
        self._stub: RuntimeServiceStub | None = None
        self._type: ContainerType | None = None
        self._pods: OrderedDict[str, PodSandboxStatusResponse] = OrderedDict()

    async def list_ids(self) -> list[str]:
        """Full ids of the containers and pod sandboxes that exist, ended ones left out."""
        stub = self._connected()
        pods = await self._ask(stub.ListPodSandbox(ListPodSandboxRequest(), timeout=_LIST_SECONDS))
        found = await self._ask(stub.ListContainers(ListContainersRequest(), timeout=_LIST_SECONDS))
        return [
            *(pod.id for pod in pods.items if pod.state != _NOT_READY),
            *(item.id for item in found.containers if item.state != _EXITED),
        ]

    async def fetch(self, container: str) -> Container | None:
        """Facts of a container or pod sandbox; None when the runtime knows neither."""
        stub = self._connected()
        kind = await self._runtime_type(stub)
        request = ContainerStatusRequest(container_id=container, verbose=True)
        answer = await self._find(stub.ContainerStatus(request, timeout=_FETCH_SECONDS))
        if answer is not None and answer.status.id.startswith(container):
            pod_id = pod_of(info_of(answer.info))
            pod = await self._pod(stub, pod_id) if pod_id else None
            return container_facts(answer, pod, pod_id, kind, self._label_max_len)
        pod = await self._pod(stub, container)
        if pod is None or not pod.status.id.startswith(container):
            return None
        return sandbox_facts(pod, kind, self._label_max_len)

    def pod(self, _uid: bytes) -> Container | None:
        """Pods are told with their containers."""
        return None

    async def changes(self) -> AsyncIterator[Change]:
        """Follow what comes and goes. Raises EventsUnsupportedError with older runtimes."""
        stub = self._connected()
        try:
            async for event in stub.GetContainerEvents(GetEventsRequest()):
                if event.container_event_type in _CAME:
                    yield Change(ChangeKind.CAME, event.container_id)
                elif event.container_event_type == CONTAINER_DELETED_EVENT:
                    self._pods.pop(event.container_id, None)
                    yield Change(ChangeKind.WENT, event.container_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise self._failed(error) from None
        else:
            raise EngineError(f"{self.socket} ended its events")
        # containerd before 1.7: its own events, on the same socket, tell the same.
        assert self._channel is not None
        try:
            async for change in container_events(self._channel, is_cri=True):
                yield change
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                raise EventsUnsupportedError(f"{self.socket} tells no container events") from None
            raise self._failed(error) from None
        raise EngineError(f"{self.socket} ended its events")

    async def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        channel, self._channel, self._stub, self._type = self._channel, None, None, None
        self._pods.clear()
        if channel is not None:
            await channel.close()

    def _connected(self) -> RuntimeServiceStub:
        if self._stub is None:
            options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
            self._channel = grpc.aio.insecure_channel(f"unix://{self.socket}", options=options)
            self._stub = RuntimeServiceStub(self._channel)  # type: ignore[no-untyped-call]
        return self._stub

    async def _runtime_type(self, stub: RuntimeServiceStub) -> ContainerType:
        if self._type is None:
            answer = await self._ask(stub.Version(VersionRequest(), timeout=_FETCH_SECONDS))
            self._type = runtime_type(answer.runtime_name)
        return self._type

    async def _pod(self, stub: RuntimeServiceStub, pod_id: str) -> PodSandboxStatusResponse | None:
        """A pod sandbox; asked once, as a pod's containers share it and its names never change."""
        known = self._pods.get(pod_id)
        if known is not None:
            return known
        request = PodSandboxStatusRequest(pod_sandbox_id=pod_id, verbose=True)
        found = await self._find(stub.PodSandboxStatus(request, timeout=_FETCH_SECONDS))
        # Its address comes late where the runtime sets up the network: ask again until it is there.
        if found is not None and found.status.network.ip:
            self._pods[found.status.id] = found
            if len(self._pods) > _MAX_PODS:
                self._pods.popitem(last=False)
        return found

    async def _find(self, call: Awaitable[_T]) -> _T | None:
        """The answer of a call; None when there is no such thing."""
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            if error.code() in _ABSENT:
                return None
            raise self._failed(error) from None

    async def _ask(self, call: Awaitable[_T]) -> _T:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None

    def _failed(self, error: grpc.aio.AioRpcError) -> EngineError:
        code = "E_TIMEOUT" if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else "E_ENGINE"
        reason = f"{error.code().name.lower()}: {error.details()}"
        return EngineError(f"{self.socket} did not answer: {reason}", code=code)
