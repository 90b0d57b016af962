"""The form of the page follows the client's headers."""

import pytest

from exporter.metrics.negotiation import Form, accepts_gzip, choose_form

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Form.TEXT),
        ("*/*", Form.TEXT),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Form.TEXT),
        ("application/json", Form.TEXT),
        ("application/openmetrics-text", Form.OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5", Form.OPENMETRICS),
        ("text/plain;q=0.9,application/openmetrics-text;version=1.0.0;q=0.8", Form.TEXT),
        ("application/openmetrics-text; version=2.0.0", Form.TEXT),
        ("application/openmetrics-text;q=0", Form.TEXT),
        ("application/openmetrics-text;q=x", Form.TEXT),
        (f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8", Form.PROTOBUF),
        (f"{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;q=0.8", Form.OPENMETRICS),
        ('APPLICATION/openmetrics-text; Version="1.0.0"', Form.OPENMETRICS),
        ("application/vnd.google.protobuf;proto=other;encoding=delimited", Form.TEXT),
        (";;;,q=,/", Form.TEXT),
    ],
)
def test_the_best_liked_form_is_chosen(accept: str, expected: Form) -> None:
    """Quality decides, then the client's order; what we do not know is passed over."""
    assert choose_form(accept) is expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*", True),
        ("identity", False),
    ],
)
def test_gzip_is_refused_by_quality_zero(accept_encoding: str, expected: bool) -> None:  # noqa: FBT001
    """Compression happens for those who accept it, and only for them."""
    assert accepts_gzip(accept_encoding) is expected
