"""Alert: one match of one rule, as every output gets it. Immutable, safe to hand across threads.

Made by the hot thread (`maker.py`), because what its text shows is only known while the event is
being looked at; encoded by the outputs (`forms.py`).
"""

from typing import Any

from msgspec import Struct

from exporter.rules.priority import Priority

FieldValue = Any
"""Value of an output field: int, float, bool, str, list of those, or None when missing."""


class Alert(Struct, frozen=True, kw_only=True):
    """One alert.

    seq: running number of alerts of this process from 1. time_ns: time of the event. made_ns: wall
    clock when the alert was made. latency_ns: from the kernel's clock reading to the making; -1
    when the source has no live clock. event_num: evt.num. message: the rule's output without time
    and priority. output: the whole line, unescaped. output_fields: in alphabetical order.
    container: short container id; it and the k8s names are empty for the host.
    """

    seq: int
    time_ns: int
    made_ns: int
    latency_ns: int = -1
    event_num: int = 0
    rule: str
    priority: Priority
    source: str
    message: str
    output: str
    output_fields: dict[str, FieldValue]
    hostname: str
    tags: tuple[str, ...] = ()
    k8s_ns_name: str = ""
    k8s_pod_name: str = ""
    container: str = ""
