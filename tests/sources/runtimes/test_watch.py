"""RuntimeWatch: lists, follows, asks, and outlives every engine."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from msgspec import structs

from exporter.events.container import Container
from exporter.sources.runtimes.engine import (
    Change,
    ChangeKind,
    EngineError,
    EventsUnsupportedError,
)
from exporter.sources.runtimes.follower import Place, WatchOptions
from exporter.sources.runtimes.watch import RuntimeWatch

QUICK = WatchOptions(
    retry=0.001, patience=0.003, answer=60, reconcile=0.01, look=0.01, backoff=(0.001, 0.002)
)


def full(number: int) -> str:
    """A full id."""
    return f"{number:064x}"[::-1]


def short(number: int) -> bytes:
    """The id by which it is asked for."""
    return full(number)[:12].encode()


class FakeEngine:
    """An engine in memory, over a socket file that exists or not."""

    def __init__(self, socket: str, *, tells_changes: bool = True) -> None:
        self.name = "docker"
        self.socket = socket
        self.containers: set[int] = set()
        self.asked: list[str] = []
        self.pods: dict[bytes, Container] = {}
        self.labels: dict[bytes, bytes] = {}
        self.listings = 0
        self.made = 0
        self.error: BaseException | None = None
        self.fetch_error: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.events: asyncio.Queue[Change | EngineError] = asyncio.Queue()
        self._tells_changes = tells_changes

    async def list_ids(self):
        """Those that exist."""
        self.listings += 1
        if self.error:
            raise self.error
        return [full(number) for number in self.containers]

    async def fetch(self, container: str):
        """One of them."""
        self.asked.append(container)
        await self.gate.wait()
        if self.fetch_error:
            raise self.fetch_error
        for number in self.containers:
            if full(number).startswith(container):
                return Container(
                    id=short(number), full_id=full(number).encode(), labels=self.labels
                )
        return None

    def pod(self, uid: bytes):
        """The pod, if the test has given one."""
        return self.pods.get(uid)

    async def changes(self):
        """What the test puts there."""
        if not self._tells_changes:
            raise EventsUnsupportedError("none")
        while True:
            event = await self.events.get()
            if isinstance(event, EngineError):
                raise event
            yield event

    async def close(self) -> None:
        """Nothing to let go of."""


class Told:
    """Receiver that keeps everything."""

    def __init__(self) -> None:
        self.known: set[bytes] = set()
        self.misses: list[tuple[bytes, str]] = []
        self.is_any = False
        self.news: list[str] = []
        self.newest: dict[bytes, Container] = {}

    def told(self, container: Container) -> None:
        """It exists."""
        self.known.add(container.id)
        self.newest[container.id] = container
        self.news.append(f"+{container.id.decode()}")

    def gone(self, container: bytes) -> None:
        """It exists no more."""
        self.known.discard(container)
        self.news.append(f"-{container.decode()}")

    def missed(self, container: bytes, reason: str) -> None:
        """Nobody knows it."""
        self.misses.append((container, reason))

    def connected(self, *, is_any: bool) -> None:
        """Whether there is somebody to ask."""
        self.is_any = is_any


async def until(condition: Callable[[], Any]) -> None:
    """Wait until it holds; the test's timeout ends what never does."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  conditions are of the test's making
            await asyncio.sleep(0.001)


def _same(engine: FakeEngine) -> FakeEngine:
    engine.made += 1
    return engine


@contextlib.asynccontextmanager
async def watching(
    *engines: FakeEngine, options: WatchOptions = QUICK, spares: Sequence[FakeEngine] = ()
):
    """A running watch of these engines, and what it told."""
    told = Told()
    places = [
        Place(engine.name, engine.socket, partial(_same, engine), is_spare=engine in spares)
        for engine in engines
    ]
    watch = RuntimeWatch(lambda: places, told, options)
    task = asyncio.create_task(watch.run())
    try:
        yield watch, told
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def socket(tmp_path) -> str:
    """A socket that is there."""
    path = tmp_path / "docker.sock"
    path.touch()
    return str(path)


def test_lists_then_follows(socket):
    """Containers older than Lanner are told, then those that come; those that go are taken back."""

    async def check() -> None:
        engine = FakeEngine(socket)
        engine.containers = {1, 2}
        async with watching(engine) as (watch, told):
            assert told.is_any  # The socket alone makes somebody to ask.
            await until(lambda: told.known == {short(1), short(2)})
            engine.containers.add(3)
            engine.events.put_nowait(Change(ChangeKind.CAME, full(3)))
            await until(lambda: short(3) in told.known)
            engine.events.put_nowait(Change(ChangeKind.WENT, full(1)))
            await until(lambda: told.known == {short(2), short(3)})
            assert watch.engines_up() == {("docker", socket): True}
            assert (engine.listings, engine.made) == (1, 1)

    asyncio.run(check())


def test_what_was_told_is_not_asked_for(socket):
    """At the start ids are met before the list has been taken in: it answers them."""

    async def check() -> None:
        engine = FakeEngine(socket)
        engine.containers = {1}
        async with watching(engine) as (watch, told):
            watch.want(short(1))
            await until(lambda: len(told.news) == 2)
            assert engine.asked == [full(1)]
            assert told.news == [f"+{short(1).decode()}"] * 2

    asyncio.run(check())


def test_an_unknown_id_is_asked_for(socket):
    """The engine is asked for one id by its first characters, until it knows it."""

    async def check() -> None:
        engine = FakeEngine(socket)
        async with watching(engine, options=WatchOptions(retry=0.001, patience=60)) as (
            watch,
            told,
        ):
            await until(watch.engines_up)
            watch.want(short(7))
            await until(lambda: len(engine.asked) >= 3)
            engine.containers = {7}
            await until(lambda: short(7) in told.known)
            assert told.misses == []

    asyncio.run(check())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "not_found"),
        (EngineError("broken"), "error"),
        (EngineError("slow", code="E_TIMEOUT"), "timeout"),
        (TypeError("odd answer"), "error"),
    ],
)
def test_a_miss_has_its_reason(socket, error, reason):
    """After a few tries nobody waits any longer, and it is said why; once."""

    async def check() -> None:
        engine = FakeEngine(socket)
        async with watching(engine) as (watch, told):
            await until(watch.engines_up)
            engine.fetch_error = error
            watch.want(short(7))
            await until(lambda: told.misses)
            assert told.misses == [(short(7), reason)]
            assert 1 <= len(engine.asked) <= 4

    asyncio.run(check())


def test_an_answer_that_does_not_come_is_a_timeout(socket):
    """A hanging engine costs its time once a try, and holds up nobody else."""

    async def check() -> None:
        engine = FakeEngine(socket)
        quick = WatchOptions(retry=0.001, patience=0.0, answer=0.01)
        async with watching(engine, options=quick) as (watch, told):
            await until(watch.engines_up)
            engine.gate.clear()
            watch.want(short(7))
            await until(lambda: told.misses)
            assert told.misses == [(short(7), "timeout")]

    asyncio.run(check())


def test_what_was_not_answered_in_time_is_asked_for_again(socket):
    """Alerts wait no longer, but the container is known once the engine has the time."""

    async def check() -> None:
        engine = FakeEngine(socket)
        quick = WatchOptions(retry=0.001, patience=0.0, answer=0.01, later=(0.001, *[0.01] * 1000))
        async with watching(engine, options=quick) as (watch, told):
            await until(watch.engines_up)
            engine.containers = {7, 8}
            engine.gate.clear()
            watch.want(short(7))
            engine.events.put_nowait(Change(ChangeKind.CAME, full(8)))
            await until(lambda: len(engine.asked) > 4)
            assert told.misses == [(short(7), "timeout")]
            engine.gate.set()
            await until(lambda: told.known == {short(7), short(8)})

    asyncio.run(check())


def test_who_asks_at_the_same_time_shares_the_answer(socket):
    """One question a container at a time; what changes meanwhile is asked for once more."""

    async def check() -> None:
        engine = FakeEngine(socket)
        async with watching(engine, options=WatchOptions(answer=60)) as (watch, told):
            await until(watch.engines_up)
            engine.containers = {7}
            engine.gate.clear()
            for _ in range(5):
                watch.want(short(7))
            await until(lambda: engine.asked)
            for _ in range(2):
                engine.events.put_nowait(Change(ChangeKind.CAME, full(7)))
            await until(engine.events.empty)
            engine.gate.set()
            await until(lambda: len(told.news) == 7)
            assert len(engine.asked) == 2

    asyncio.run(check())


def test_no_engine_is_no_socket(tmp_path):
    """Without any socket the answer is quick."""

    async def check() -> None:
        async with watching(FakeEngine(str(tmp_path / "none"))) as (watch, told):
            assert not told.is_any
            watch.want(short(7))
            await until(lambda: told.misses)
            assert told.misses == [(short(7), "no_socket")]
            assert watch.engines_up() == {}

    asyncio.run(check())


def test_a_second_engine_is_asked_too(tmp_path):
    """One engine's error is not the others'."""

    async def check() -> None:
        engines = [FakeEngine(str(tmp_path / name)) for name in ("a", "b")]
        for engine in engines:
            (tmp_path / engine.socket).touch()
        async with watching(*engines) as (watch, told):
            await until(lambda: len(watch.engines_up()) == 2)
            engines[0].fetch_error = EngineError("broken")
            engines[1].containers = {7}
            watch.want(short(7))
            await until(lambda: short(7) in told.known)

    asyncio.run(check())


def test_an_engine_that_restarts(socket):
    """Its end is noticed, its return too; what went meanwhile is taken back."""

    async def check() -> None:
        engine = FakeEngine(socket)
        engine.containers = {1, 2}
        async with watching(engine) as (watch, told):
            await until(lambda: len(told.known) == 2)
            engine.error = EngineError("down")
            engine.events.put_nowait(EngineError("stream ended"))
            await until(lambda: watch.engines_up() == {("docker", socket): False})
            assert not told.is_any
            engine.containers = {2, 3}
            engine.error = None
            await until(lambda: told.known == {short(2), short(3)})
            assert told.is_any

    asyncio.run(check())


def test_an_engine_without_events_is_listed_now_and_then(socket):
    """Older CRI runtimes: containers that end without being asked for do not stay for ever."""

    async def check() -> None:
        engine = FakeEngine(socket, tells_changes=False)
        engine.containers = {1}
        async with watching(engine) as (_, told):
            await until(lambda: told.known == {short(1)})
            engine.containers = {2}
            await until(lambda: told.known == {short(2)})

    asyncio.run(check())


def test_a_container_that_ends_while_it_is_asked_for(socket):
    """Its facts are told all the same, for the alert that waits, and taken back at once."""

    async def check() -> None:
        engine = FakeEngine(socket)
        async with watching(engine) as (watch, told):
            await until(watch.engines_up)
            engine.containers = {1}
            engine.gate.clear()
            watch.want(short(1))
            await until(lambda: engine.asked)
            engine.events.put_nowait(Change(ChangeKind.WENT, full(1)))
            await until(lambda: told.news)
            engine.gate.set()
            await until(lambda: len(told.news) == 3)
            name = short(1).decode()
            assert told.news == [f"-{name}", f"+{name}", f"-{name}"]

    asyncio.run(check())


def test_sockets_that_appear_later(tmp_path):
    """The places are looked for again: a user's Podman starts with the user's session."""

    async def check() -> None:
        engine = FakeEngine(str(tmp_path / "late.sock"))
        engine.containers = {1}
        places: list[Place] = []
        told = Told()
        watch = RuntimeWatch(lambda: places, told, QUICK)
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(0)
        (tmp_path / "late.sock").touch()
        places.append(Place("podman", engine.socket, lambda: engine))
        await until(lambda: told.known)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(check())


def test_the_api_adds_to_what_a_runtime_tells(tmp_path):
    """A container's pod is looked up by its uid; the runtime's word wins, the rest is added."""

    async def check() -> None:
        runtime, api = (FakeEngine(str(tmp_path / name)) for name in ("runtime", "api"))
        for engine in (runtime, api):
            (tmp_path / engine.socket).touch()
        uid = b"io.kubernetes.pod.uid"
        runtime.labels = {uid: b"u1", b"a": b"runtime"}
        api.pods[b"u1"] = Container(id=b"", ip=b"10.0.0.1", labels={b"a": b"api", b"b": b"api"})
        async with watching(runtime, api) as (watch, told):
            await until(lambda: len(watch.engines_up()) == 2)
            runtime.containers = {1}
            runtime.events.put_nowait(Change(ChangeKind.CAME, full(1)))
            await until(lambda: told.newest)
            facts = told.newest[short(1)]
            assert (facts.id, facts.ip) == (short(1), b"10.0.0.1")
            assert facts.labels == {uid: b"u1", b"a": b"runtime", b"b": b"api"}

    asyncio.run(check())


def test_a_spare_engine_is_heard_when_the_others_are_slow(tmp_path):
    """It is asked at the same time; the better answer, when it comes, is passed on as well."""

    async def check() -> None:
        engines = [FakeEngine(str(tmp_path / name)) for name in ("a", "b")]
        for engine in engines:
            (tmp_path / engine.socket).touch()
        slow, spare = engines
        async with watching(slow, spare, spares=(spare,)) as (watch, told):
            await until(lambda: len(watch.engines_up()) == 2)
            slow.labels, spare.labels = {b"from": b"slow"}, {b"from": b"spare"}
            slow.gate.clear()
            slow.containers = spare.containers = {7}
            watch.want(short(7))
            await until(lambda: spare.asked)
            spare.containers = set()
            await until(lambda: told.newest)
            assert told.newest[short(7)].labels == {b"from": b"spare"}
            slow.gate.set()
            await until(lambda: told.newest[short(7)].labels == {b"from": b"slow"})
            slow.events.put_nowait(Change(ChangeKind.WENT, full(7)))
            await until(lambda: not told.known)
            assert told.misses == []

    asyncio.run(check())


def test_a_spare_engine_is_not_heard_when_another_knows(tmp_path):
    """What it tells is less."""

    async def check() -> None:
        engines = [FakeEngine(str(tmp_path / name)) for name in ("a", "b")]
        for engine in engines:
            (tmp_path / engine.socket).touch()
        options = structs.replace(QUICK, patience=5, answer=5)
        async with watching(*engines, spares=engines[:1], options=options) as (watch, told):
            await until(lambda: len(watch.engines_up()) == 2)
            engines[0].labels = {b"from": b"spare"}
            engines[1].gate.clear()
            for engine in engines:
                engine.containers = {7}
            watch.want(short(7))
            await until(lambda: engines[0].asked and engines[1].asked)
            assert told.news == []
            engines[1].gate.set()
            await until(lambda: told.known == {short(7)})
            assert told.newest[short(7)].labels == {}

    asyncio.run(check())
