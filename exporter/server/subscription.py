"""What a gRPC client asks for in the metadata of its call: which alerts, and from where on.

Takes metadata, gives a `Subscription` or one sentence that says what is wrong with it. Values of
one key are alternatives; an alert must satisfy every key.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate

from msgspec import Struct

from exporter.errors import ServerError
from exporter.rules.priority import Priority
from exporter.server.stream import AlertTest, Position

_PREFIX = "lanner-"
EPOCH = "lanner-epoch"
AFTER = "lanner-after-sequence"
_KEYS = {
    EPOCH: "the stream that the sequence number belongs to",
    AFTER: "sequence number of the newest alert that the client has",
    "lanner-min-priority": "least severe priority",
    "lanner-rule": "pattern of rule names",
    "lanner-source": "event source",
    "lanner-tag": "tag of the rule",
    "lanner-namespace": "pattern of Kubernetes namespaces",
}
"""Metadata keys that mean something -> what."""


class Subscription(Struct, frozen=True):
    """position: where to begin; None for now. test: which alerts; None for all."""

    position: Position | None = None
    test: AlertTest | None = None


def read_subscription(metadata: Iterable[tuple[str, str | bytes]]) -> Subscription:
    """What the metadata ask for. Raises ServerError; keys of others are passed over."""
    values: dict[str, list[str]] = {}
    for key, value in metadata:
        if key.startswith(_PREFIX):
            if key not in _KEYS:
                raise ServerError(f'unknown metadata "{key}"; known are {", ".join(_KEYS)}')
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            values.setdefault(key, []).append(text)
    return Subscription(_position(values), _test(values))


def _position(values: Mapping[str, list[str]]) -> Position | None:
    epoch = values.get(EPOCH, [""])[-1]
    after = values.get(AFTER)
    if after is None:
        if epoch:
            raise ServerError(f"{EPOCH} needs {AFTER}")
        return None
    if not after[-1].isascii() or not after[-1].isdecimal():
        raise ServerError(f'{AFTER} takes a number, not "{after[-1]}"')
    return Position(int(after[-1]), epoch)


def _test(values: Mapping[str, list[str]]) -> AlertTest | None:
    tests: list[AlertTest] = []
    if priorities := values.get("lanner-min-priority"):
        limit = _priority(priorities[-1])
        tests.append(lambda s: s.priority <= limit)
    if rules := values.get("lanner-rule"):
        is_rule = _pattern(rules)
        tests.append(lambda s: is_rule(s.rule))
    if sources := frozenset(values.get("lanner-source", ())):
        tests.append(lambda s: s.source in sources)
    if tags := frozenset(values.get("lanner-tag", ())):
        tests.append(lambda s: not tags.isdisjoint(s.tags))
    if namespaces := values.get("lanner-namespace"):
        is_namespace = _pattern(namespaces)
        tests.append(lambda s: is_namespace(s.k8s_ns_name))
    if not tests:
        return None
    return lambda subject: all(test(subject) for test in tests)


def _priority(text: str) -> Priority:
    try:
        return Priority.parse(text)
    except ValueError:
        names = ", ".join(priority.name.lower() for priority in Priority)
        raise ServerError(f'"{text}" is no priority; priorities are {names}') from None


def _pattern(globs: list[str]) -> Callable[[str], bool]:
    pattern = re.compile("|".join(map(translate, globs)))
    return lambda text: pattern.match(text) is not None
