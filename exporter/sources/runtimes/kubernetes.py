"""The Kubernetes API as one more engine: a watch of the pods of this node.

Gives what no runtime knows, such as the workload that owns a pod, and stands in for the runtimes
where their sockets are not to be had. One list, then one HTTP stream that goes on where it ended.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
from msgspec import Struct

from exporter.events.container import Container
from exporter.sources.runtimes.engine import SHORT_ID, Change, ChangeKind, EngineError
from exporter.sources.runtimes.facts import dig
from exporter.sources.runtimes.lines import lines_of
from exporter.sources.runtimes.pod_facts import PodFacts, facts_of, pod_uid_of

_PAGE = 500
_LIST_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_WATCH_SECONDS = 300
"""The server ends the stream after so long; it is taken up again where it ended."""

_MAX_LINE_BYTES = 8 << 20


class KubernetesOptions(Struct, frozen=True, kw_only=True):
    """How to reach the API. api: URL. node: whose pods. ca_file: empty for the system's."""

    api: str
    node: str
    token_file: str
    ca_file: str
    label_max_len: int


class KubernetesEngine:
    """Pods of one node. Holds their containers' facts: `fetch` asks nobody."""

    name = "kubernetes"

    def __init__(self, options: KubernetesOptions) -> None:
        self.socket = options.api
        self._options = options
        self._client: httpx2.AsyncClient | None = None
        self._pods: dict[str, PodFacts] = {}
        """By uid."""
        self._version = ""
        self._is_listed = asyncio.Event()

    async def list_ids(self) -> list[str]:
        """Full ids of the containers of the node's pods."""
        pods: dict[str, PodFacts] = {}
        token = ""
        while True:
            more = f"&continue={quote(token, safe='')}" if token else ""
            page = await self._get(f"{self._path()}&limit={_PAGE}{more}")
            for pod in dig(page, "items") or ():
                pods[pod_uid_of(pod)] = facts_of(pod, self._options.label_max_len)
            token = str(dig(page, "metadata", "continue") or "")
            if not token:
                break
        self._version = str(dig(page, "metadata", "resourceVersion") or "")
        self._pods = pods
        self._is_listed.set()
        return [container for pod in pods.values() for container in pod.containers]

    async def fetch(self, container: str) -> Container | None:
        """Facts of a container out of the last that was told of its pod."""
        for pod in self._pods.values():
            if container in pod.containers:
                return pod.containers[container]
            for full_id, facts in pod.containers.items():
                if full_id[:SHORT_ID] == container:
                    return facts
        return None

    def pod(self, uid: bytes) -> Container | None:
        """Facts that all containers of a pod share."""
        found = self._pods.get(uid.decode("ascii", "replace"))
        return None if found is None else found.shared

    async def changes(self) -> AsyncIterator[Change]:
        """Follow the node's pods from the list on."""
        await self._is_listed.wait()
        while True:
            path = (
                f"{self._path()}&watch=1&allowWatchBookmarks=true"
                f"&timeoutSeconds={_WATCH_SECONDS}&resourceVersion={quote(self._version)}"
            )
            async for event in self._stream(path):
                for change in self._taken(event):
                    yield change

    async def close(self) -> None:
        """Let go of the connection; the next list starts anew."""
        client, self._client = self._client, None
        self._is_listed.clear()
        if client is not None:
            await client.aclose()

    def _taken(self, event: Any) -> list[Change]:
        """The changes that one line of the stream means."""
        kind, pod = dig(event, "type"), dig(event, "object")
        if kind == "ERROR":
            # 410 Gone: our version is too old to go on from; the list comes anew.
            raise EngineError(f"{self.socket} ended the watch: {dig(pod, 'message')}")
        self._version = str(dig(pod, "metadata", "resourceVersion") or self._version)
        uid = pod_uid_of(pod)
        if kind not in {"ADDED", "MODIFIED", "DELETED"} or not uid:
            return []
        old = self._pods.pop(uid, None)
        before = {} if old is None else old.containers
        now: dict[str, Container] = {}
        if kind != "DELETED":
            self._pods[uid] = facts_of(pod, self._options.label_max_len)
            now = self._pods[uid].containers
        gone = [Change(ChangeKind.WENT, container) for container in before.keys() - now.keys()]
        came = [
            Change(ChangeKind.CAME, container)
            for container, facts in now.items()
            if before.get(container) != facts
        ]
        return gone + came

    def _path(self) -> str:
        selector = quote(f"spec.nodeName={self._options.node}", safe="")
        return f"{self._options.api}/api/v1/pods?fieldSelector={selector}"

    def _headers(self) -> Mapping[str, str]:
        """The token is read each time: the kubelet renews it within the hour."""
        if not self._options.token_file:
            return {}
        try:
            token = Path(self._options.token_file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise EngineError(f"cannot read the token of the Kubernetes API: {error}") from None
        return {"Authorization": f"Bearer {token}"}

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            ca_file = self._options.ca_file
            try:
                context = ssl.create_default_context(cafile=ca_file or None)
            except OSError as error:
                raise EngineError(f"cannot read {ca_file}: {error}") from None
            self._client = httpx2.AsyncClient(verify=context, trust_env=False)
        return self._client

    async def _get(self, url: str) -> Any:
        try:
            answer = await self._connected().get(
                url, headers=self._headers(), timeout=_LIST_SECONDS
            )
            self._check(answer)
            return msgspec.json.decode(answer.content)
        except httpx2.HTTPError as error:
            raise self._failed(error) from None
        except msgspec.DecodeError as error:
            raise EngineError(f"{self.socket} did not answer in JSON: {error}") from None

    async def _stream(self, url: str) -> AsyncIterator[Any]:
        # The server sends bookmarks about once a minute and ends the stream by itself.
        limits = httpx2.Timeout(_CONNECT_SECONDS, read=_WATCH_SECONDS + _LIST_SECONDS)
        request = self._connected().stream("GET", url, headers=self._headers(), timeout=limits)
        try:
            async with request as answer:
                self._check(answer)
                async for line in lines_of(answer, _MAX_LINE_BYTES):
                    if line:
                        yield json.loads(line)
        except httpx2.HTTPError as error:
            raise self._failed(error) from None
        except ValueError as error:
            raise EngineError(f"{self.socket} sent a broken event: {error}") from None

    def _check(self, answer: httpx2.Response) -> None:
        if answer.status_code != httpx2.codes.OK:
            hint = None
            if answer.status_code in {401, 403}:
                hint = "the service account needs list and watch of pods"
            raise EngineError(f"{self.socket} answered {answer.status_code}", hint=hint)

    def _failed(self, error: httpx2.HTTPError) -> EngineError:
        return EngineError(f"{self.socket} did not answer: {type(error).__name__}: {error}")
