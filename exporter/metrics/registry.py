"""Registry: all instruments of one process, and the page that a scrape gets.

Takes instruments and readers of families declared in `families.py`, gives the text of `/metrics` in
the Prometheus text format or in OpenMetrics, whichever the client asks for. One object a process
part, no module state, so tests do not see each other's numbers.
"""

import gzip
import platform
from collections.abc import Callable, Iterator

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.metrics import families
from exporter.metrics.families import FAMILIES, Family, Kind
from exporter.metrics.instruments import (
    HistogramFamily,
    ReadFamily,
    Reading,
    ScalarFamily,
    scalar_metric,
)

Instrument = ScalarFamily | HistogramFamily | ReadFamily


class Page(Struct, frozen=True):
    """One scrape's answer; `body` is gzip-compressed when `is_gzip`."""

    body: bytes
    content_type: str
    is_gzip: bool


class Registry(Collector):
    """Holds one instrument a family, and prints them in the order of declaration."""

    def __init__(self) -> None:
        self._instruments: dict[str, Instrument] = {}
        self._overflow = self.counter(families.SERIES_OVERFLOW)
        self._process = ProcessCollector(registry=CollectorRegistry())
        release = (__version__, platform.python_version(), platform.release())
        self.gauge(families.BUILD_INFO).labels(*release).value = 1.0

    def counter(self, family: Family) -> ScalarFamily:
        """A counter of ours to add to. Raises ValueError for a second instrument of a family."""
        return self._scalar(family, Kind.COUNTER)

    def gauge(self, family: Family) -> ScalarFamily:
        """A gauge of ours to set. Raises ValueError for a second instrument of a family."""
        return self._scalar(family, Kind.GAUGE)

    def histogram(self, family: Family) -> HistogramFamily:
        """A histogram of ours. Raises ValueError for a second instrument of a family."""
        instrument = HistogramFamily(family)
        self._keep(instrument, Kind.HISTOGRAM)
        return instrument

    def read(self, family: Family, reader: Callable[[], Reading]) -> None:
        """Export values that live elsewhere; `reader` is called at every scrape, off the loop.

        A reader that raises costs its family that scrape and shows in
        lanner_scrape_collector_success, nothing else.
        """
        self._keep(ReadFamily(family, reader), family.kind)

    def _scalar(self, family: Family, kind: Kind) -> ScalarFamily:
        instrument = ScalarFamily(family, self._count_overflow)
        self._keep(instrument, kind)
        return instrument

    def _keep(self, instrument: Instrument, kind: Kind) -> None:
        family = instrument.family
        if family not in FAMILIES or family.kind is not kind:
            raise ValueError(f"{family.name} is not declared as a {kind}")
        if family.name in self._instruments:
            raise ValueError(f"{family.name} has its instrument already")
        self._instruments[family.name] = instrument

    def _count_overflow(self, family_name: str) -> None:
        self._overflow.labels(family_name).value += 1

    def collect(self) -> Iterator[Metric]:
        """All families that have an instrument, then the process's own."""
        succeeded: dict[tuple[str, ...], float] = {}
        for family in FAMILIES:
            instrument = self._instruments.get(family.name)
            if instrument is None:
                continue
            try:
                metrics = list(instrument.collect())
            except Exception:  # noqa: BLE001  a broken reader must not cost the whole page
                succeeded[(family.name,)] = 0.0
                continue
            if isinstance(instrument, ReadFamily):
                succeeded[(family.name,)] = 1.0
            yield from metrics
        yield scalar_metric(families.SCRAPE_SUCCESS, succeeded)
        yield from self._process.collect()

    def page(self, accept: str = "", accept_encoding: str = "") -> Page:
        """The page in the form that the request headers ask for. Takes some 20 us a series."""
        encode, content_type = choose_encoder(accept)
        body = encode(self)
        is_gzip = any(
            coding.split(";")[0].strip().lower() == "gzip" for coding in accept_encoding.split(",")
        )
        if is_gzip:
            # Level 1: the page goes over a cluster network, CPU is dearer than bytes.
            body = gzip.compress(body, compresslevel=1, mtime=0)
        return Page(body=body, content_type=content_type, is_gzip=is_gzip)
