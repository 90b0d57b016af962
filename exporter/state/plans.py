"""Plans: what the state does with the events of each type, worked out once."""

from msgspec import Struct

from exporter.events.table import EventType, load_event_table
from exporter.state import clone, cwd, execve, files, ids, metadata, procexit, sockets
from exporter.state.tables import Handler

_CONCERNS = (clone, execve, procexit, files, sockets, ids, cwd, metadata)

# Events that no thread made; fields still look their tid up.
_META = frozenset({
    "PPME_CONTAINER_E", "PPME_CONTAINER_JSON_E", "PPME_CONTAINER_JSON_2_E", "PPME_USER_ADDED_E",
    "PPME_USER_DELETED_E", "PPME_GROUP_ADDED_E", "PPME_GROUP_DELETED_E", "PPME_PLUGINEVENT_E",
    "PPME_ASYNCEVENT_E",
})  # fmt: skip
CLONES = frozenset({
    "PPME_SYSCALL_CLONE_20_X", "PPME_SYSCALL_FORK_20_X", "PPME_SYSCALL_VFORK_20_X",
    "PPME_SYSCALL_CLONE3_X",
})  # fmt: skip
EXECS = frozenset({"PPME_SYSCALL_EXECVE_19_X", "PPME_SYSCALL_EXECVEAT_X"})
_LOOKUP_ONLY = frozenset({
    "PPME_SCHEDSWITCH_1_E", "PPME_SCHEDSWITCH_6_E", "PPME_PROCEXIT_E", "PPME_PROCEXIT_1_E",
})  # fmt: skip
"""Events that never make an entry for a tid nobody knows; nor do clones."""

_ENTERS = frozenset({
    "PPME_SYSCALL_OPEN_E", "PPME_SYSCALL_CREAT_E", "PPME_SYSCALL_OPENAT_2_E",
    "PPME_SYSCALL_OPENAT2_E", "PPME_SYSCALL_EXECVE_19_E", "PPME_SYSCALL_EXECVEAT_E",
    "PPME_SOCKET_CONNECT_E",
})  # fmt: skip


class Plan(Struct, gc=False):
    """What `before` does with one event type, worked out once."""

    handler: Handler | None
    has_result: bool
    fd_index: int
    is_meta: bool
    is_unowned: bool
    is_enter: bool
    is_clone: bool
    is_lookup_only: bool
    keeps_enter: bool
    tells_image: bool


def plans() -> list[Plan]:
    """The plan of each event code."""
    by_id = {event_id: handler for part in _CONCERNS for event_id, handler in part.HANDLERS.items()}
    events = load_event_table().events
    unknown = by_id.keys() - {event.id for event in events}
    assert not unknown, f"handlers of unknown events: {unknown}"
    return [
        Plan(
            handler=by_id.get(event.id),
            has_result=_has_result(event),
            fd_index=_fd_index(event),
            is_meta="EC_METAEVENT" in event.categories,
            is_unowned=event.id in _META or "EF_SKIPPARSERESET" in event.flags,
            is_enter=event.id in _ENTERS,
            is_clone=event.id in CLONES,
            is_lookup_only=event.id in CLONES or event.id in _LOOKUP_ONLY,
            keeps_enter="EF_SKIPPARSERESET" in event.flags,
            tells_image=event.id in CLONES or event.id in EXECS,
        )
        for event in events
    ]


def _has_result(event: EventType) -> bool:
    """Whether the first parameter is the return value of a call that can fail."""
    if event.is_enter or not event.params:
        return False
    return event.params[0].type in {"ERRNO", "FD", "PID", "INT64"}


def _fd_index(event: EventType) -> int:
    """Index of the descriptor that an exit event uses; -1 for events that use none."""
    if event.is_enter or "EF_USES_FD" not in event.flags:
        return -1
    for index, param in enumerate(event.params):
        if index and param.type == "FD":
            return index
    return -1
