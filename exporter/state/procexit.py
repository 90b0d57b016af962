"""Process exit and what decides who inherits orphans.

Source: spec/state-tracking.md section 4.
"""

from collections.abc import Mapping
from functools import partial

from exporter.events.event import Event
from exporter.events.table import load_event_table
from exporter.state.tables import Handler, Tables

_PRCTL = dict(load_event_table().value_tables["prctl_options"])
_SUBREAPER_OPTIONS = frozenset({
    _PRCTL["PR_SET_CHILD_SUBREAPER"],
    _PRCTL["PR_GET_CHILD_SUBREAPER"],
})  # fmt: skip


def on_procexit(tables: Tables, event: Event) -> None:
    """A thread ends: rules still see it, then it is removed."""
    thread = event.thread
    if thread is None:
        return
    tables.threads.kill(thread)
    reaper = event.param(4)
    if thread.children and reaper is not None:
        thread.reaper_tid = reaper
    tables.note_exit(thread.tid, thread.ptid, event.ts_ns)
    tables.entered.pop(event.tid, None)
    tables.deferred.append(partial(tables.threads.remove, thread.tid))
    if thread.container_id and thread.vpid == 1 and thread.vtid == 1 and tables.procfs is not None:
        tables.deferred.append(partial(tables.forget_container, thread.container_id))


def on_prctl(tables: Tables, event: Event) -> None:
    """A process becomes, or stops being, a subreaper."""
    thread = event.thread
    if thread is not None and event.param(0) == 0 and event.param(1) in _SUBREAPER_OPTIONS:
        tables.threads.set_reaper(thread.pid, is_reaper=bool(event.param(3)))


HANDLERS: Mapping[str, Handler] = {
    "PPME_PROCEXIT_1_E": on_procexit,
    "PPME_SYSCALL_PRCTL_X": on_prctl,
}
