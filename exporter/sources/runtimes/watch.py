"""RuntimeWatch: keeps the hot thread told about the containers of every engine of this machine.

Runs on the event loop: lists each engine's containers when it is connected, follows what comes and
goes, and asks the engines about ids that the hot thread meets without facts. An engine that is not
there, or goes away, is tried again and again; detection never waits for any of this.
Source: spec/state-tracking.md section 10.1.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from exporter.events.container import Container
from exporter.sources.runtimes.engine import (
    SHORT_ID,
    ChangeKind,
    EngineError,
    EventsUnsupportedError,
)
from exporter.sources.runtimes.follower import Follower, Place, WatchOptions
from exporter.sources.runtimes.pod_facts import merged


class Receiver(Protocol):
    """Who wants to know. All methods are called on the event loop."""

    def told(self, container: Container) -> None:
        """Facts of a container, new or changed."""

    def gone(self, container: bytes) -> None:
        """A container does not exist any more; its first 12 characters."""

    def missed(self, container: bytes, reason: str) -> None:
        """Nobody could tell of a container that was asked for."""

    def connected(self, *, is_any: bool) -> None:
        """Whether there is any engine to ask."""


_MAX_ENDED = 1024
_MAX_LATE = 1024
"""Containers of one engine that are asked for again at a time; more stay unknown."""

_T = TypeVar("_T")

_POD_UID = b"io.kubernetes.pod.uid"


class RuntimeWatch:
    """Watches all engines. Give it to `Lookups.connect` and await `run()`.

    find: the places to look at; asked again now and then, as sockets of users come and go.
    on_change: told when an engine is connected (no error) or lost (the error).
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Place]],
        receiver: Receiver,
        options: WatchOptions | None = None,
        on_change: Callable[[Place, EngineError | None], None] = lambda _place, _error: None,
    ) -> None:
        self._options = options or WatchOptions()
        self._find = find
        self._followers: dict[tuple[str, str], Follower] = {}
        self._receiver = receiver
        self._on_change = on_change
        self._tasks: set[asyncio.Task[Any]] = set()
        self._has_looked = asyncio.Event()
        # Until an engine was tried, a socket that is there counts as one that will answer.
        receiver.connected(is_any=any(place.exists() for place in find()))

    def engines_up(self) -> dict[tuple[str, str], bool]:
        """(engine, socket) -> whether it is connected, of those that once were."""
        return {
            (follower.place.name, follower.place.socket): follower.is_up
            for follower in tuple(self._followers.values())
            if follower.was_up
        }

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for place in await asyncio.to_thread(self._find):
                        key = (place.name, place.socket)
                        if key not in self._followers:
                            follower = self._followers[key] = Follower(place, self._options)
                            group.create_task(self._keep(follower), name=f"runtime-{place.name}")
                    self._has_looked.set()
                    await asyncio.sleep(self._options.look)
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            for follower in self._followers.values():
                await follower.close()

    def want(self, container: bytes) -> None:
        """Ask the engines for a container, in the background. container: 12 characters, or less."""
        self._spawn(self._ask(container))

    def _spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # One engine, for as long as Lanner runs

    async def _keep(self, follower: Follower) -> None:
        first, longest = self._options.backoff
        pause = first
        while True:
            try:
                await self._follow(follower)
            except (EngineError, TimeoutError) as error:
                if follower.is_up:
                    pause = first
                    reason = error if isinstance(error, EngineError) else None
                    self._on_change(follower.place, reason or EngineError("no answer in time"))
                self._set_up(follower, is_up=False)
            follower.tried.set()
            await follower.close()
            # Jitter: the daemons of a rack come back together after a power cut.
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311
            pause = min(pause * 2, longest)

    async def _follow(self, follower: Follower) -> None:
        """List, then follow changes; returns only by an error."""
        if not follower.place.exists():
            raise EngineError(f"{follower.place.socket} does not exist")
        changes = asyncio.create_task(self._changes(follower))
        try:
            await self._list(follower)
            self._set_up(follower, is_up=True)
            self._on_change(follower.place, None)
            follower.tried.set()
            with contextlib.suppress(EventsUnsupportedError):
                await changes
            while True:
                await asyncio.sleep(self._options.reconcile)
                await self._list(follower)
        finally:
            changes.cancel()
            with contextlib.suppress(asyncio.CancelledError, EngineError):
                await changes

    async def _list(self, follower: Follower) -> None:
        listed = set(await (await follower.engine()).list_ids())
        for container in follower.known.keys() - listed:
            self._forget(follower, container)
        await self._learn(follower, sorted(listed - follower.known.keys()))

    async def _learn(self, follower: Follower, containers: Iterable[str]) -> None:
        """Fetch many; one that ends meanwhile, or cannot be told, is no failure of the engine."""

        async def learn(container: str) -> None:
            try:
                self._told(follower, await follower.fetch_anew(container))
            except (EngineError, TimeoutError) as error:
                if _is_late(error):
                    self._learn_later(follower, container)

        await asyncio.gather(*map(learn, containers))

    def _learn_later(self, follower: Follower, container: str) -> None:
        """Ask again, in the background, for what an engine did not answer in time."""
        name = container[:SHORT_ID]
        if name not in follower.late and len(follower.late) < _MAX_LATE:
            follower.late.add(name)
            self._spawn(self._ask_later(follower, container))

    async def _ask_later(self, follower: Follower, container: str) -> None:
        try:
            for pause in self._options.later:
                await asyncio.sleep(pause)
                if not follower.is_up:
                    return  # The next listing brings it.
                try:
                    self._told(follower, await follower.fetch(container))
                except (EngineError, TimeoutError) as error:
                    if _is_late(error):
                        continue
                return
        finally:
            follower.late.discard(container[:SHORT_ID])

    async def _changes(self, follower: Follower) -> None:
        async for change in (await follower.engine()).changes():
            if change.kind is ChangeKind.WENT:
                self._forget(follower, change.id)
            else:
                self._spawn(self._learn(follower, [change.id]))

    def _told(self, follower: Follower, container: Container | None) -> None:
        if container is None:
            return
        full_id = container.full_id.decode("ascii", "replace")
        if full_id in follower.ended:
            # It ended while it was being asked for; an alert may still wait for its facts.
            self._receiver.told(container)
            self._receiver.gone(container.id)
            return
        follower.known[full_id] = container
        self._receiver.told(self._combined(full_id) or container)

    def _combined(self, full_id: str) -> Container | None:
        """What all engines tell of a container; None when none does."""
        combined: Container | None = None
        for follower in self._followers.values():
            facts = follower.known.get(full_id)
            if facts is not None:
                # The Kubernetes API comes last: it adds to what a runtime tells.
                combined = facts if combined is None else merged(combined, facts)
        uid = b"" if combined is None else combined.labels.get(_POD_UID, b"")
        pods = [follower.pod(uid) for follower in self._followers.values()] if uid else []
        for pod in pods:
            if combined is not None and pod is not None:
                combined = merged(combined, pod)
        return combined

    def _forget(self, follower: Follower, container: str) -> None:
        follower.known.pop(container, None)
        for other in self._followers.values():
            if other.place.is_spare:
                # It learns of the end at its next listing only.
                other.known.pop(container, None)
        follower.ended[container] = None
        if len(follower.ended) > _MAX_ENDED:
            follower.ended.popitem(last=False)
        rest = self._combined(container)
        if rest is None:
            self._receiver.gone(container[:SHORT_ID].encode("ascii", "replace"))
        else:
            self._receiver.told(rest)

    def _set_up(self, follower: Follower, *, is_up: bool) -> None:
        follower.is_up = is_up
        follower.was_up |= is_up
        self._receiver.connected(is_any=any(f.is_up for f in self._followers.values()))

    # One id that the hot thread has met

    async def _ask(self, container: bytes) -> None:
        """Ask every connected engine, again and again for a while, until one knows."""
        name = container.decode("ascii", "replace")
        loop = asyncio.get_running_loop()
        await self._tried()
        known = self._known(name)
        if known is not None:
            # Told before it was met, such as by the list at the start.
            self._receiver.told(known)
            return
        end = loop.time() + self._options.patience
        while True:
            reason = await self._ask_once(name)
            if not reason:
                return
            if loop.time() + self._options.retry > end:
                self._receiver.missed(container, reason)
                if reason == "timeout":
                    for follower in self._followers.values():
                        self._learn_later(follower, name)
                return
            await asyncio.sleep(self._options.retry)

    def _known(self, name: str) -> Container | None:
        """What has been told of a container, by the id it is asked for."""
        for follower in self._followers.values():
            for full_id in follower.known:
                if full_id[:SHORT_ID] == name:
                    return self._combined(full_id)
        return None

    async def _tried(self) -> None:
        """At the start, wait for the first listings: they answer most questions at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.answer):
                await self._has_looked.wait()
                for follower in tuple(self._followers.values()):
                    await follower.tried.wait()

    async def _ask_once(self, name: str) -> str:
        """One round; the reason why nobody knows, empty when the container was found."""
        up = [follower for follower in self._followers.values() if follower.is_up]
        if not up:
            return "no_socket"
        asked = {follower: self._spawn(follower.fetch(name)) for follower in up}
        spare = [follower for follower in up if follower.place.is_spare]
        if spare and len(spare) < len(up):
            first = [task for follower, task in asked.items() if follower not in spare]
            await asyncio.wait(first, timeout=self._options.patience)
            if not any(_is_found(task) for task in first):
                # Read at once, though heard late: a container may live for a moment only.
                await asyncio.wait([asked[follower] for follower in spare])
                if any(_is_found(asked[follower]) for follower in spare):
                    return self._take(name, asked)
        await asyncio.wait(asked.values())
        return self._take(name, asked)

    def _take(self, name: str, asked: Mapping[Follower, asyncio.Future[Container | None]]) -> str:
        """Pass on what is answered, and the rest when it is; the reason when nothing was found."""
        reason = "not_found"
        is_found = False
        is_told = any(_is_found(task) for each, task in asked.items() if not each.place.is_spare)
        for follower, task in asked.items():
            if is_told and follower.place.is_spare:
                continue
            if not task.done():
                self._spawn(self._take_later(follower, name, task))
            elif _is_found(task):
                self._told(follower, task.result())
                is_found = True
            elif _is_late(task.exception()):
                reason = "timeout"
            elif task.exception() is not None and reason != "timeout":
                reason = "error"
        return "" if is_found else reason

    async def _take_later(
        self, follower: Follower, name: str, task: asyncio.Future[Container | None]
    ) -> None:
        """The better answer to a question that was answered meanwhile."""
        try:
            self._told(follower, await task)
        except (EngineError, TimeoutError) as error:
            if _is_late(error):
                self._learn_later(follower, name)


def _is_found(task: asyncio.Future[Container | None]) -> bool:
    """Whether a question was answered with facts. Raises what no engine may raise."""
    if not task.done():
        return False
    error = task.exception()
    if error is not None and not isinstance(error, EngineError | TimeoutError):
        raise error
    return error is None and task.result() is not None


def _is_late(answer: object) -> bool:
    """Whether it says that there was no answer in time."""
    return isinstance(answer, TimeoutError) or getattr(answer, "code", "") == "E_TIMEOUT"
