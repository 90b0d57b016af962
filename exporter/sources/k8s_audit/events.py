"""AuditEvents: documents of the API server to events, with every loss counted.

The one parser behind log files, followed files and the web hook.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.params import capture_decoders
from exporter.events.table import EventType, load_event_table
from exporter.sources.k8s_audit.document import NotAuditError, parse_event, split

SOURCE = "k8s_audit"
EVENT_NAME = "pluginevent"
"""Name of the events' type, in counters."""

DEFAULT_MAX_EVENT_BYTES = 262_144
_PLUGIN_ID = (1).to_bytes(4, "little")
"""Registered number of the plug-in k8saudit: parameter plugin_id."""


class AuditOptions(Struct, frozen=True, kw_only=True):
    """max_event_bytes: larger events are dropped. max_document_bytes: of a line or request."""

    max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES
    max_document_bytes: int = 12 << 20


class AuditEvents:
    """Makes events; used by one thread.

    losses: reason -> lost parts of documents. not_json and not_audit: no audit event at all.
    no_timestamp and bad_timestamp: stageTimestamp. too_large: more than max_event_bytes.
    on_loss: told about each loss in a sentence.
    """

    def __init__(
        self,
        host: Host,
        options: AuditOptions | None = None,
        on_loss: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self.losses: Counter[str] = Counter()
        self.seen = 0
        self._host = host
        self._max_bytes = (options or AuditOptions()).max_event_bytes
        self._on_loss = on_loss
        self._type = _plugin_event()
        self._decoders = capture_decoders(self._type)

    def lose(self, reason: str, sentence: str, count: int = 1) -> None:
        """Count something lost before it came here."""
        self.losses[reason] += count
        self._on_loss(sentence)

    def of(self, document: bytes) -> Iterator[Event]:
        """The events of one document, in its order."""
        for text in split(document):
            if isinstance(text, NotAuditError):
                self.lose(text.reason, str(text))
                continue
            try:
                time_ns, payload = parse_event(text)
            except NotAuditError as error:
                self.lose(error.reason, str(error))
                continue
            if len(payload) > self._max_bytes:
                self.lose(
                    "too_large",
                    f"an event of {len(payload)} bytes; at most {self._max_bytes} are taken",
                )
                continue
            yield self._event(time_ns, payload)

    def _event(self, time_ns: int, payload: bytes) -> Event:
        self.seen += 1
        host = self._host
        host.first_ts_ns = host.first_ts_ns or time_ns
        return Event(
            num=self.seen,
            ts_ns=time_ns,
            cpu=0,
            # No thread has this number: audit events have no process.
            tid=-1,
            type=self._type,
            raw=(_PLUGIN_ID, payload),
            decoders=self._decoders,
            host=host,
            source=SOURCE,
        )


def _plugin_event() -> EventType:
    return next(e for e in load_event_table().events if e.id == "PPME_PLUGINEVENT_E")
