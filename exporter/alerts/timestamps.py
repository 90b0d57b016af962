"""Times of alerts as people and machines read them, to the nanosecond.

Takes ns since the epoch, gives text. Source: spec/rule-language.md sections 18.3 and 19.
"""

import time
from functools import lru_cache

_NS_A_SECOND = 1_000_000_000


@lru_cache(maxsize=4)
def _utc_seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


@lru_cache(maxsize=4)
def _local_clock(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def rfc3339_time(time_ns: int) -> str:
    """UTC, `2026-01-02T03:04:05.000000006Z`: the `time` of JSON alerts."""
    seconds, ns = divmod(time_ns, _NS_A_SECOND)
    return f"{_utc_seconds(seconds)}.{ns:09d}Z"


def iso_time(time_ns: int) -> str:
    """UTC, `2026-01-02T03:04:05.000000006+0000`: evt.time.iso8601."""
    seconds, ns = divmod(time_ns, _NS_A_SECOND)
    return f"{_utc_seconds(seconds)}.{ns:09d}+0000"


def clock_time(time_ns: int) -> str:
    """Local time of day, `03:04:05.000000006`: evt.time."""
    seconds, ns = divmod(time_ns, _NS_A_SECOND)
    return f"{_local_clock(seconds)}.{ns:09d}"
