"""Counts of everything that the state room repaired, could not find or gave up, by reason."""

from collections.abc import Mapping

from msgspec import Struct


class StateCounters(Struct, kw_only=True):
    """Plain counters, written by the hot thread alone and read by the metrics at any time.

    threads_added / threads_removed: entries of the thread table. threads_full: new threads dropped
    because the table was at its limit. threads_purged: entries whose exit was never seen.
    lives_passed: processes that never needed an entry, as they came and went between two events.
    repaired_unknown: live events of a tid that was not in the table. repaired_reused: entries
    replaced because the id had been given to another process. repaired_parent: parents read late.
    placeholders: tids of which nothing could be learned. proc_reads: processes read from /proc
    after the start; proc_gone: those that had ended; proc_denied: those that could not be read;
    proc_limited: reads not tried because too many were needed at once. mntns_unknown: container
    decisions without the mount namespace of pid 1. handler_errors: events that a handler could not
    take in (the rules still see them). fd_unknown: events on a descriptor nothing is known of.
    users_read: passwd and group files read. users_limited: container user files not read because
    too many were needed at once. memory_full: descriptors, images, users and containers of a
    capture not kept because its tables were at their limit.
    """

    threads_added: int = 0
    threads_removed: int = 0
    threads_full: int = 0
    threads_purged: int = 0
    lives_passed: int = 0
    repaired_unknown: int = 0
    repaired_reused: int = 0
    repaired_parent: int = 0
    placeholders: int = 0
    proc_reads: int = 0
    proc_gone: int = 0
    proc_denied: int = 0
    proc_limited: int = 0
    mntns_unknown: int = 0
    handler_errors: int = 0
    fd_unknown: int = 0
    users_read: int = 0
    users_limited: int = 0
    memory_full: int = 0

    def losses(self) -> Mapping[tuple[str, str], int]:
        """What rules may miss because it was given up, by ("", reason); the rest was repaired."""
        return {("", reason): getattr(self, reason) for reason in _LOSSES}


_LOSSES = ("handler_errors", "memory_full", "threads_full")
