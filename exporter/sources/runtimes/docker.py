"""The Docker API over its Unix socket: Docker, and Podman, which speaks it too."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec

from exporter.events.container import Container, ContainerType
from exporter.sources.runtimes.docker_facts import container_facts, network_owner, own_ip
from exporter.sources.runtimes.engine import Change, ChangeKind, EngineError
from exporter.sources.runtimes.facts import dig
from exporter.sources.runtimes.lines import lines_of

_TYPES = {"docker": ContainerType.DOCKER, "podman": ContainerType.PODMAN}
_LIST_SECONDS = 10.0
_FETCH_SECONDS = 2.0
_MAX_ANSWER_BYTES = 32 << 20
_MAX_LINE_BYTES = 1 << 20
_CAME = frozenset({"create", "start", "rename"})
_WENT = frozenset({"destroy", "remove"})
"""Docker's and Podman's word for the end of a container; one that died may start again."""


class DockerEngine:
    """One socket. name: docker or podman. label_max_len: longer label values are left out."""

    def __init__(self, name: str, socket: str, label_max_len: int) -> None:
        self.name = name
        self.socket = socket
        self._label_max_len = label_max_len
        self._client: httpx2.AsyncClient | None = None
        self._type: ContainerType | None = None

    async def list_ids(self) -> list[str]:
        """Full ids of the containers that exist, ended ones left out."""
        filters = json.dumps({"status": ["created", "running", "paused"]})
        found = await self._get(f"/containers/json?all=1&filters={quote(filters)}", _LIST_SECONDS)
        return [item["Id"] for item in found or () if isinstance(dig(item, "Id"), str)]

    async def fetch(self, container: str) -> Container | None:
        """Facts of a container and its image; None when there is no such container."""
        found = await self._get(f"/containers/{quote(container, safe='')}/json", _FETCH_SECONDS)
        # A name may look like an id: what was asked for is an id.
        if not isinstance(found, dict) or not str(found.get("Id")).startswith(container):
            return None
        image_id = str(found.get("Image") or "")
        image = await self._get(f"/images/{quote(image_id, safe='')}/json", _FETCH_SECONDS)
        shared_ip = ""
        owner = "" if own_ip(found) else network_owner(found)
        if owner:
            other = await self._get(f"/containers/{quote(owner, safe='')}/json", _FETCH_SECONDS)
            shared_ip = own_ip(other or {})
        kind = await self._engine_type()
        return container_facts(found, image, kind, self._label_max_len, shared_ip=shared_ip)

    def pod(self, _uid: bytes) -> Container | None:
        """Pods are told with their containers."""
        return None

    async def changes(self) -> AsyncIterator[Change]:
        """Follow what comes and goes, from a moment before the call."""
        filters = quote(json.dumps({"type": ["container"]}))
        url = f"http://engine/events?since={int(time.time())}&filters={filters}"
        try:
            # No limit on reading: nothing may happen for days.
            limits = httpx2.Timeout(_FETCH_SECONDS, read=None)
            async with self._connected().stream("GET", url, timeout=limits) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise EngineError(f"{self.socket} tells no events: {answer.status_code}")
                async for line in lines_of(answer, _MAX_LINE_BYTES):
                    change = _change(line)
                    if change is not None:
                        yield change
        except httpx2.HTTPError as error:
            raise self._failed(error) from None
        raise EngineError(f"{self.socket} ended its events")

    async def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        client, self._client, self._type = self._client, None, None
        if client is not None:
            await client.aclose()

    async def _engine_type(self) -> ContainerType:
        """Podman also answers on Docker's socket, where somebody linked it there."""
        if self._type is None:
            answer = await self._get("/version", _FETCH_SECONDS)
            parts = dig(answer, "Components") or ()
            is_podman = any("Podman" in str(dig(part, "Name")) for part in parts)
            self._type = ContainerType.PODMAN if is_podman else _TYPES[self.name]
        return self._type

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            # verify=False: no TLS on a Unix socket, and certificates would cost 3 MiB.
            transport = httpx2.AsyncHTTPTransport(uds=self.socket, verify=False)
            self._client = httpx2.AsyncClient(transport=transport, trust_env=False)
        return self._client

    async def _get(self, path: str, seconds: float) -> Any:
        """The JSON answer; None for what does not exist."""
        body = bytearray()
        try:
            request = self._connected().stream("GET", f"http://engine{path}", timeout=seconds)
            async with request as answer:
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise EngineError(f"{self.socket} answered with too much")
            if answer.status_code == httpx2.codes.NOT_FOUND:
                return None
            if answer.status_code != httpx2.codes.OK:
                raise EngineError(f"{self.socket} answered {answer.status_code} to {path}")
            return msgspec.json.decode(body)
        except httpx2.HTTPError as error:
            raise self._failed(error) from None
        except msgspec.DecodeError as error:
            raise EngineError(f"{self.socket} did not answer in JSON: {error}") from None

    def _failed(self, error: httpx2.HTTPError) -> EngineError:
        code = "E_TIMEOUT" if isinstance(error, httpx2.TimeoutException) else "E_ENGINE"
        reason = f"{type(error).__name__}: {error}"
        return EngineError(f"{self.socket} did not answer: {reason}", code=code)


def _change(line: bytes) -> Change | None:
    """The change a line of the event stream tells; None for all other lines."""
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    container = dig(event, "Actor", "ID") or dig(event, "id")
    action = dig(event, "Action") or dig(event, "status")
    if not isinstance(container, str) or dig(event, "Type") not in {"container", None}:
        return None
    if action in _CAME:
        return Change(ChangeKind.CAME, container)
    return Change(ChangeKind.WENT, container) if action in _WENT else None
