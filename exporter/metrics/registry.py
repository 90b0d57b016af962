"""Registry: all instruments of one process, and the page that a scrape gets.

Takes instruments and readers of families declared in `families.py`, gives the page of `/metrics` in
the form the client asks for. One object a process part, no module state, so tests do not see each
other's numbers.
"""

import platform
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector

from exporter import __version__
from exporter.metrics import families
from exporter.metrics.families import FAMILIES, Family, Kind
from exporter.metrics.instruments import (
    HistogramFamily,
    Instrument,
    LabelValues,
    PairsReading,
    ReadFamily,
    Reading,
    ScalarFamily,
    SummaryFamily,
)
from exporter.metrics.negotiation import Form, accepts_gzip, choose_form
from exporter.metrics.series import Series
from exporter.metrics.text import Children, OpenMetricsEncoder, TextEncoder

_DECLARED = tuple(family.name for family in FAMILIES)
_Instrument = TypeVar("_Instrument", bound=Instrument)


class Encoder(Protocol):
    """Puts families into one form of the page."""

    @property
    def content_type(self) -> str:
        """The form's media type."""

    def family(self, family: Family, children: Children) -> Iterator[bytes]:
        """One family in pieces."""

    def end(self) -> bytes:
        """What follows the last family."""


class FamilyOptions(Struct, frozen=True):
    """Labels of a family in place of its default ones; 0: the declared ceiling of series."""

    labels: tuple[str, ...] | None = None
    max_series: int = 0


class Page(Struct, frozen=True):
    """One scrape's answer; `body` is gzip-compressed when `is_gzip`."""

    body: bytes
    content_type: str
    is_gzip: bool


class Registry:
    """Holds one instrument a family, and prints them in the order of declaration.

    options: family name -> what the configuration changes of it. has_created: whether OpenMetrics
    pages tell when each counter began.
    """

    def __init__(
        self, options: Mapping[str, FamilyOptions] | None = None, *, has_created: bool = True
    ) -> None:
        self._options = options or {}
        self._has_created = has_created
        self._instruments: dict[str, Instrument] = {}
        self._guarded: list[ScalarFamily] = []
        self._overflow = self.counter(families.SERIES_OVERFLOW)
        self.read(families.SERIES, lambda: {(i.family.name,): len(i) for i in self._guarded})
        self.read(
            families.SERIES_LIMIT,
            lambda: {(i.family.name,): i.family.max_series for i in self._guarded},
        )
        self._succeeded: dict[LabelValues, float] = {}
        self._success = ReadFamily(families.SCRAPE_SUCCESS, lambda: self._succeeded)
        self._process = _ProcessFamilies()
        release = (__version__, platform.python_version(), platform.release())
        self.gauge(families.BUILD_INFO).labels(*release).value = 1.0

    def counter(self, family: Family) -> ScalarFamily:
        """A counter of ours to add to. Raises ValueError for a second instrument of a family."""
        return self._scalar(family, Kind.COUNTER)

    def gauge(self, family: Family) -> ScalarFamily:
        """A gauge of ours to set. Raises ValueError for a second instrument of a family."""
        return self._scalar(family, Kind.GAUGE)

    def untyped(self, family: Family) -> ScalarFamily:
        """A family of ours under a foreign name. Raises ValueError for a second instrument."""
        return self._scalar(family, Kind.UNTYPED)

    def histogram(self, family: Family) -> HistogramFamily:
        """A histogram of ours. Raises ValueError for a second instrument of a family."""
        return self._keep(HistogramFamily(self._configured(family)), Kind.HISTOGRAM)

    def summary(self, family: Family) -> SummaryFamily:
        """A summary of ours. Raises ValueError for a second instrument of a family."""
        return self._keep(SummaryFamily(self._configured(family)), Kind.SUMMARY)

    def read(self, family: Family, reader: Callable[[], Reading]) -> None:
        """Export values that live elsewhere; `reader` is called at every scrape, off the loop.

        A reader that raises costs its family that scrape and shows in
        lanner_scrape_collector_success, nothing else.
        """
        self._keep(ReadFamily(family, reader), family.kind)

    def read_pairs(self, family: Family, reader: Callable[[], PairsReading]) -> None:
        """The same where the children of the family differ in their labels."""
        self._keep(ReadFamily(family, reader), family.kind)

    def reading(self, family: Family) -> Reading:
        """The values of a family now; none when it has no instrument or cannot be read."""
        instrument = self._instruments.get(family.name)
        return instrument.reading() if isinstance(instrument, ScalarFamily | ReadFamily) else {}

    def _scalar(self, family: Family, kind: Kind) -> ScalarFamily:
        made = self._keep(ScalarFamily(self._configured(family), self._count_overflow), kind)
        if made.family.max_series:
            self._guarded.append(made)
            self._overflow.labels(family.name)
        return made

    def _configured(self, family: Family) -> Family:
        options = self._options.get(family.name, FamilyOptions())
        labels = family.default_labels if options.labels is None else options.labels
        return family.narrowed(labels, options.max_series)

    def _keep(self, instrument: _Instrument, kind: Kind) -> _Instrument:
        family = instrument.family
        if family.name not in _DECLARED or family.kind is not kind:
            raise ValueError(f"{family.name} is not declared as a {kind}")
        if family.name in self._instruments:
            raise ValueError(f"{family.name} has its instrument already")
        self._instruments[family.name] = instrument
        return instrument

    def _count_overflow(self, family_name: str) -> None:
        self._overflow.labels(family_name).value += 1

    def _families(self) -> Iterator[tuple[Family, Children]]:
        """All families that have an instrument, then the process's own."""
        succeeded = self._succeeded = {}
        for name in _DECLARED:
            instrument = self._instruments.get(name)
            if instrument is None:
                continue
            try:
                children = instrument.children()
            except Exception:  # noqa: BLE001  a broken reader must not cost the whole page
                succeeded[(name,)] = 0.0
                continue
            if isinstance(instrument, ReadFamily):
                succeeded[(name,)] = 1.0
            yield instrument.family, children
        yield self._success.family, self._success.children()
        yield from self._process.families()

    def page(self, accept: str = "", accept_encoding: str = "") -> Page:
        """The page in the form that the request headers ask for.

        Takes about 1 us a series. The interpreter is free for other threads between the pieces:
        while they are made as often as its switch interval says, and while they are compressed.
        """
        encoder = self._encoder(choose_form(accept))
        pieces = (
            piece
            for family, children in self._families()
            for piece in encoder.family(family, children)
        )
        is_gzip = accepts_gzip(accept_encoding)
        if is_gzip:
            # Level 1: the page goes over a cluster network, CPU is dearer than bytes.
            packer = zlib.compressobj(1, wbits=31)
            packed = [packer.compress(piece) for piece in pieces]
            body = b"".join([*packed, packer.compress(encoder.end()), packer.flush()])
        else:
            body = b"".join([*pieces, encoder.end()])
        return Page(body=body, content_type=encoder.content_type, is_gzip=is_gzip)

    def _encoder(self, form: Form) -> Encoder:
        match form:
            case Form.OPENMETRICS:
                return OpenMetricsEncoder(has_created=self._has_created)
            case Form.PROTOBUF:
                # Imported when a scraper asks for it: most never do.
                from exporter.metrics.protobuf import ProtobufEncoder  # noqa: PLC0415

                return ProtobufEncoder()
            case Form.TEXT:
                return TextEncoder()


class _ProcessFamilies:
    """The `process_*` families of prometheus_client, in our form."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=CollectorRegistry())
        self._children: dict[str, Series] = {}

    def families(self) -> Iterator[tuple[Family, Children]]:
        """Each with its one series."""
        for metric in self._collector.collect():
            for sample in metric.samples:
                child = self._children.setdefault(sample.name, Series())
                child.value = sample.value
                family = Family(sample.name, Kind(metric.type), metric.documentation)
                yield family, [((), child)]
