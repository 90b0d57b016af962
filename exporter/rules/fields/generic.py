"""Generic event fields: what every event has, whatever its source.

Source: fields catalogue class "evt (generic)"; rule-language.md section 18.
"""

import time
from functools import lru_cache

from exporter.events.event import Event
from exporter.events.table import EventType
from exporter.rules.fields.field import UNKNOWN, Field, FieldClass
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T

NS = 1_000_000_000
ASYNC_ID = "PPME_ASYNCEVENT_E"
PLUGIN_ID = "PPME_PLUGINEVENT_E"
_PLUGIN_NAMES = {"k8s_audit": b"k8saudit"}


@lru_cache(maxsize=64)
def _local(second: int, form: str) -> bytes:
    return time.strftime(form, time.localtime(second)).encode()


@lru_cache(maxsize=64)
def _utc(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


def local_time(ns: int) -> bytes:
    """`HH:MM:SS.nnnnnnnnn` in local time."""
    return b"%s.%09d" % (_local(ns // NS, "%H:%M:%S"), ns % NS)


def iso8601_time(ns: int) -> bytes:
    """`YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000`."""
    return b"%s.%09d+0000" % (_utc(ns // NS), ns % NS)


def is_meta(event_type: EventType) -> bool:
    """Whether the event is about state rather than a call (async, container, user added ...)."""
    return "EC_METAEVENT" in event_type.categories


def async_name(event: Event) -> bytes | None:
    """Name of a meta event; None for every other event."""
    if not is_meta(event.type):
        return None
    if event.type.id == ASYNC_ID:
        name: bytes | None = event.param(1)
        return name
    return event.type.name.encode()


def _relative(event: Event) -> int:
    first = event.host.first_ts_ns
    return event.ts_ns - first if first else event.ts_ns


def _plugin_name(event: Event) -> bytes | None:
    return _PLUGIN_NAMES.get(event.source) if event.type.id == PLUGIN_ID else None


def _plugin_info(event: Event) -> bytes | None:
    if event.type.id != PLUGIN_ID:
        return None
    data: bytes | None = event.param(1)
    return data


def _no_async_name(event_type: EventType) -> object:
    return UNKNOWN if is_meta(event_type) else None


CLASS = FieldClass(
    "evt",
    "fields that every event has",
    (),
    (
        Field(
            "evt.num",
            T.UINT64,
            "running number of the event, starting at 1",
            lambda e: e.num,
            inline="e.num",
            cost=10,
            print_as=P.ID,
        ),
        Field(
            "evt.time",
            T.CHARBUF,
            "local wall-clock time HH:MM:SS.nnnnnnnnn; integer ns in JSON output",
            lambda e: local_time(e.ts_ns),
            cost=800,
        ),
        Field(
            "evt.time.s",
            T.CHARBUF,
            "local wall-clock time without the ns part",
            lambda e: _local(e.ts_ns // NS, "%H:%M:%S"),
            cost=400,
        ),
        Field(
            "evt.time.iso8601",
            T.CHARBUF,
            "UTC timestamp YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000",
            lambda e: iso8601_time(e.ts_ns),
            cost=800,
        ),
        Field(
            "evt.datetime",
            T.CHARBUF,
            "local date and time with ns",
            lambda e: b"%s.%09d" % (_local(e.ts_ns // NS, "%Y-%m-%d %H:%M:%S"), e.ts_ns % NS),
            cost=800,
        ),
        Field(
            "evt.datetime.s",
            T.CHARBUF,
            "local date and time without ns",
            lambda e: _local(e.ts_ns // NS, "%Y-%m-%d %H:%M:%S"),
            cost=400,
        ),
        Field(
            "evt.rawtime",
            T.ABSTIME,
            "ns since the epoch",
            lambda e: e.ts_ns,
            inline="e.ts_ns",
            cost=10,
            print_as=P.DEC,
        ),
        Field(
            "evt.rawtime.s",
            T.ABSTIME,
            "whole seconds since the epoch",
            lambda e: e.ts_ns // NS,
            print_as=P.DEC,
        ),
        Field(
            "evt.rawtime.ns",
            T.ABSTIME,
            "ns remainder of the timestamp (9 digits, zero padded)",
            lambda e: e.ts_ns % NS,
            print_as=P.PADDED,
        ),
        Field(
            "evt.reltime",
            T.RELTIME,
            (
                "ns since the first non-meta event of the capture (absolute ns while none was "
                "seen yet)"
            ),
            _relative,
            print_as=P.PADDED,
        ),
        Field(
            "evt.reltime.s",
            T.RELTIME,
            "whole seconds since the first event",
            lambda e: _relative(e) // NS,
            print_as=P.DEC,
        ),
        Field(
            "evt.reltime.ns",
            T.RELTIME,
            "ns remainder of the relative time",
            lambda e: _relative(e) % NS,
            print_as=P.PADDED,
        ),
        Field(
            "evt.pluginname",
            T.CHARBUF,
            "name of the plugin that produced the event; missing for non-plugin events",
            _plugin_name,
        ),
        Field(
            "evt.plugininfo",
            T.CHARBUF,
            "one-line text form of the event as rendered by its plugin",
            _plugin_info,
        ),
        Field(
            "evt.source",
            T.CHARBUF,
            "name of the event source (syscall, k8s_audit, ...)",
            lambda e: e.source.encode(),
        ),
        Field(
            "evt.is_async",
            T.BOOL,
            "true for meta events (async, container, user/group added, ...)",
            lambda e: is_meta(e.type),
            constant=is_meta,
        ),
        Field(
            "evt.asynctype",
            T.CHARBUF,
            "name of the async event; missing for non-meta events",
            async_name,
            constant=_no_async_name,
        ),
        Field(
            "evt.hostname",
            T.CHARBUF,
            (
                "host name from machine info (overridable by the FALCO_HOSTNAME environment "
                "variable)"
            ),
            lambda e: e.host.hostname,
        ),
    ),
)
