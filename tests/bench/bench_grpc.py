"""The gRPC stream: alerts a second through real clients in processes of their own.

Clients count bytes without decoding them, so that the figures are the server's. With many
subscribers the machine cannot carry alerts times subscribers; what is promised then is that
publishing keeps its pace and that every alert not delivered is counted.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from exporter.server.grpc import GrpcOptions, GrpcServer
from exporter.server.stream import AlertStream, StreamOptions
from tests.alerts.conftest import make_alert
from tests.bench.report import Row

TITLE = "gRPC stream (600-byte alerts, server and clients on this machine)"
RATE = 5_000
"""Alerts a second that are raised in the tests with many subscribers."""

CLIENT = """
import asyncio, sys, grpc.aio
path, count = sys.argv[1], int(sys.argv[2])
async def follow(channel):
    call = channel.stream_stream("/falco.outputs.service/sub")(iter(()))
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError:
        pass
async def main():
    options = [("grpc.use_local_subchannel_pool", 1)]
    many = -(-count // 100)
    channels = [grpc.aio.insecure_channel("unix://" + path, options) for _ in range(many)]
    await asyncio.gather(*(follow(channels[n % many]) for n in range(count)))
asyncio.run(main())
"""


class Rig:
    """A server in this process and clients in another."""

    def __init__(self, directory: Path, subscribers: int) -> None:
        self.subscribers = subscribers
        self._path = directory / f"{subscribers}.sock"
        self.stream = AlertStream(StreamOptions(max_subscribers=10_000))

    async def start(self) -> None:
        """Serve, and wait until all clients follow."""
        self.server = GrpcServer(self.stream, GrpcOptions(socket_path=self._path))
        await self.server.start()
        self._clients = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, str(self._path), str(self.subscribers)
        )
        async with asyncio.timeout(60):
            while self.stream.subscriber_count < self.subscribers:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End the streams, with what waits in them."""
        await self.server.stop(1)
        await self._clients.wait()

    async def flood(self, seconds: float, rate: int) -> tuple[float, float]:
        """Raise alerts at this rate, as fast as they are taken at 0.

        The rate at which they were raised, and the longest time the loop kept others waiting.
        """
        alert = make_alert(output="x" * 300)
        batch = 50
        start = last = time.perf_counter()
        raised, worst = 0, 0.0
        while (now := time.perf_counter()) < start + seconds:
            worst = max(worst, now - last)
            if rate:
                due = int((now - start) * rate)
                self.stream.publish([alert] * min(due - raised, 1000))
                raised += min(due - raised, 1000)
            elif self.stream.waiting < 4 * batch * self.subscribers:
                self.stream.publish([alert] * batch)
                raised += batch
            last = time.perf_counter()
            await asyncio.sleep(0.002 if rate else 0)
        return raised / (time.perf_counter() - start), worst


async def measure(directory: Path, subscribers: int, seconds: float, rate: int) -> Row:
    """One row."""
    rig = Rig(directory, subscribers)
    await rig.start()
    started = time.perf_counter()
    raised, worst = await rig.flood(seconds, rate)
    took = time.perf_counter() - started
    stream = rig.stream
    sent, accepted, dropped = stream.sent["sub"], stream.accepted, stream.dropped
    waiting = stream.waiting
    # One message of each subscriber may be on its way.
    assert 0 <= accepted - sent - dropped - waiting <= subscribers, "alerts vanished uncounted"
    await rig.stop()
    what = f"{subscribers:,} subscribers, {raised:,.0f} alerts/s raised"
    rest = f"lost {dropped / max(accepted, 1):.0%}, waiting {waiting / max(accepted, 1):.0%}"
    return Row(what, f"{sent / took:,.0f} messages/s", f"{rest}, loop held {worst * 1e3:.0f} ms")


def run(*, quick: bool) -> list[Row]:
    """One, a hundred and a thousand subscribers."""
    seconds = 1.0 if quick else 5.0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        rows = [asyncio.run(measure(directory, 1, seconds, 0))]
        for subscribers, rate in ((1, RATE), (100, RATE), (1_000, RATE), (1_000, 10)):
            rows.append(asyncio.run(measure(directory, subscribers, seconds, rate)))
    return rows
