"""Which form of the page a client gets, by its Accept and Accept-Encoding headers.

Source: RFC 9110 sections 12.4.2 and 12.5; the names of the forms are Prometheus'.
"""

from collections.abc import Iterator
from email.message import Message
from enum import StrEnum

_PROTOBUF = "application/vnd.google.protobuf"
_OPENMETRICS = "application/openmetrics-text"
_OPENMETRICS_VERSIONS = {"", "0.0.1", "1.0.0"}
_TEXT_VERSIONS = {"", "0.0.4"}


class Form(StrEnum):
    """Forms of the page."""

    TEXT = "text"
    OPENMETRICS = "openmetrics"
    PROTOBUF = "protobuf"


def choose_form(accept: str) -> Form:
    """The form the client likes best among ours; text when it likes none, as scrapers expect."""
    best, best_quality = Form.TEXT, 0.0
    for kind, parameters, quality in _choices(accept):
        form = _form(kind, parameters)
        if form is not None and quality > best_quality:
            best, best_quality = form, quality
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the answer may be compressed."""
    qualities = {kind: quality for kind, _, quality in _choices(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _form(kind: str, parameters: dict[str, str]) -> Form | None:
    if (
        kind == _PROTOBUF
        and parameters.get("proto") == "io.prometheus.client.MetricFamily"
        and parameters.get("encoding") == "delimited"
    ):
        return Form.PROTOBUF
    version = parameters.get("version", "")
    if kind == _OPENMETRICS and version in _OPENMETRICS_VERSIONS:
        return Form.OPENMETRICS
    if kind in ("text/plain", "text/*", "*/*") and version in _TEXT_VERSIONS:
        return Form.TEXT
    return None


def _choices(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """(name, parameters, quality) of every element of the header; odd ones have quality 0."""
    for element in header.split(","):
        message = Message()
        message["content-type"] = element.strip()
        (kind, _), *rest = message.get_params([("", "")])
        parameters = {name.lower(): value for name, value in rest}
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            quality = 0.0
        yield kind.strip().lower(), parameters, quality
