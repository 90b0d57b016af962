"""JSON text of the API server to single audit events, still as text or parsed one by one.

A web hook sends up to 12 MiB in one document. It is cut into its events without being parsed as a
whole, so that the interpreter is never held longer than one event takes. Numbers with a fraction
keep their text. Source: state-tracking.md section 13.
"""

import codecs
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec

_BLANKS = b" \t\r\n"
_PREFIX_SHOWN = 40

_DOCUMENT = msgspec.json.Decoder(dict[str, Any], float_hook=lambda text: msgspec.Raw(text.encode()))
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER = msgspec.json.Encoder()

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS = 1_000_000_000
_MAX_NS = (1 << 63) - 1


class NotAuditError(Exception):
    """The text is no audit event; the message says what was found. Never leaves this room."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def split(data: bytes) -> Iterator[bytes | NotAuditError]:
    """The text of each event of a document; an error for each part that is none.

    A document is an array of documents, an object of kind EventList, or one of kind Event.
    """
    waiting: list[Iterator[Any]] = [iter([data.removeprefix(codecs.BOM_UTF8)])]
    while waiting:
        for text in waiting[-1]:
            try:
                found = _open(bytes(text))
            except NotAuditError as error:
                yield error
                continue
            if isinstance(found, bytes):
                yield found
                continue
            inner, is_list = found
            if is_list:
                yield from map(bytes, inner)
                continue
            waiting.append(iter(inner))
            break
        else:
            waiting.pop()


def _open(text: bytes) -> bytes | tuple[list[msgspec.Raw], bool]:
    """The text itself when it is an event; else what is in it, and whether those are events."""
    start = text.lstrip(_BLANKS)[:1]
    if start == b"[":
        return _decode(_ITEMS, text), False
    if start != b"{":
        raise NotAuditError(*_no_object(text))
    keys = _decode(_KEYS, text)
    kind = _kind(keys)
    if kind == "Event":
        return text
    if kind == "EventList":
        items = keys.get("items", msgspec.Raw(b"null"))
        if bytes(items)[:1] == b"[":
            return _decode(_ITEMS, bytes(items)), True
        raise NotAuditError("not_audit", "an EventList without an array of items")
    shown = "an object without a kind" if kind is None else f"an object of kind {kind[:40]!r}"
    raise NotAuditError("not_audit", f"{shown}; expected Event or EventList")


def _no_object(text: bytes) -> tuple[str, str]:
    begin = text.strip(_BLANKS)[:_PREFIX_SHOWN].decode("utf-8", "replace")
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return "not_json", f"no JSON: {begin!r}" if begin else "no JSON: nothing but blanks"
    return "not_audit", f"{begin}; expected an object or an array"


def _kind(keys: dict[str, msgspec.Raw]) -> str | None:
    raw = keys.get("kind")
    if raw is None:
        return None
    kind = msgspec.json.decode(raw)
    return kind if isinstance(kind, str) else None


def parse_event(text: bytes) -> tuple[int, bytes]:
    """Time in ns and compact JSON of one event. Raises NotAuditError."""
    if text.lstrip(_BLANKS)[:1] != b"{":
        raise NotAuditError("not_audit", "an item that is no object")
    event = _decode(_DOCUMENT, text)
    if "stageTimestamp" not in event:
        raise NotAuditError("no_timestamp", "an event without stageTimestamp")
    stamp = event["stageTimestamp"]
    time_ns = parse_timestamp(stamp) if isinstance(stamp, str) else None
    if time_ns is None:
        found = _ENCODER.encode(stamp)[:_PREFIX_SHOWN].decode("utf-8", "replace")
        raise NotAuditError(
            "bad_timestamp", f"stageTimestamp {found} is no time such as 2024-05-01T12:00:00.5Z"
        )
    return time_ns, _ENCODER.encode(event)


def _decode(decoder: msgspec.json.Decoder[Any], text: bytes) -> Any:
    try:
        return decoder.decode(text)
    except RecursionError:
        raise NotAuditError("not_json", "JSON nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = str(error)
    try:
        return decoder.decode(_repaired(text))
    except RecursionError:
        raise NotAuditError("not_json", "JSON nested too deeply") from None
    except ValueError:
        raise NotAuditError("not_json", f"no JSON: {problem}") from None
    except msgspec.DecodeError as error:
        raise NotAuditError("not_json", f"no JSON: {error}") from None


def _repaired(text: bytes) -> bytes:
    """The document with what is no Unicode replaced. Raises ValueError when it is no JSON.

    Half of a surrogate pair, or a byte that is no UTF-8, must not hide an event.
    """

    def refuse(name: str) -> NoReturn:
        raise ValueError(name)

    value = json.loads(text.decode("utf-8", "replace"), parse_constant=refuse)
    shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return shown.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def parse_timestamp(text: str) -> int | None:
    """Ns since the epoch of an RFC 3339 time; None when it is none or lies before 1970."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError:
        return None
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if sign is not None:
        if int(hours) > 24 or int(minutes) > 60:
            return None
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds -= offset if sign == "+" else -offset
    time_ns = seconds * _NS + int(((fraction or "") + "0" * 9)[:9])
    return time_ns if 0 <= time_ns <= _MAX_NS else None
