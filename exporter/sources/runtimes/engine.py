"""What every container engine can be asked, and what came of it."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from exporter.errors import LannerError
from exporter.events.container import Container

SHORT_ID = 12
"""Characters of an id by which containers are known everywhere else."""


class EngineError(LannerError):
    """An engine did not answer, or with nonsense. The message says which and how."""


class EventsUnsupportedError(EngineError):
    """The engine cannot tell of changes; it has to be asked."""


class ChangeKind(StrEnum):
    """What happened to a container."""

    CAME = "came"
    WENT = "went"


class Change(Struct, frozen=True):
    """One change. id: full id."""

    kind: ChangeKind
    id: str


class Engine(Protocol):
    """One engine behind one socket. All calls raise EngineError and may be cancelled."""

    @property
    def name(self) -> str:
        """The engine's word in the configuration: docker, podman, cri, containerd, kubernetes."""

    @property
    def socket(self) -> str:
        """Path of the socket, or URL."""

    async def list_ids(self) -> list[str]:
        """Full ids of the containers and pod sandboxes that exist, ended ones left out."""

    async def fetch(self, container: str) -> Container | None:
        """Facts of a container by its full id or the first 12 characters; None if unknown."""

    def pod(self, uid: bytes) -> Container | None:
        """What is known of a pod by its uid, before its containers exist; None for most engines."""

    def changes(self) -> AsyncIterator[Change]:
        """Follow what comes and goes. Raises EventsUnsupportedError when the engine cannot."""

    async def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
