"""Lines of an HTTP answer that never ends, as Docker's events and Kubernetes' watches are."""

from collections.abc import AsyncIterator

import httpx2

from exporter.sources.runtimes.engine import EngineError


async def lines_of(answer: httpx2.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """Lines as they come, without their ends. Raises EngineError at one that is too long."""
    rest = b""
    async for part in answer.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > max_bytes:
            raise EngineError(f"an event is longer than {max_bytes} bytes")
