"""Metadata of gRPC calls: what they mean, and what is said when they mean nothing."""

import pytest

from exporter.alerts.labels import Subject
from exporter.errors import ServerError
from exporter.rules.priority import Priority
from exporter.server.stream import Position
from exporter.server.subscription import Subscription, read_subscription

SUBJECT = Subject(
    rule="Read sensitive file",
    priority=Priority.WARNING,
    source="syscall",
    tags=("files", "T1005"),
    hostname="node1",
    k8s_ns_name="team-a",
)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ([("lanner-min-priority", "warning")], True),
        ([("lanner-min-priority", "Error")], False),
        ([("lanner-rule", "Read *")], True),
        ([("lanner-rule", "Write *")], False),
        ([("lanner-rule", "Write *"), ("lanner-rule", "Read*file")], True),
        ([("lanner-source", "k8s_audit")], False),
        ([("lanner-source", "k8s_audit"), ("lanner-source", "syscall")], True),
        ([("lanner-tag", "T1005")], True),
        ([("lanner-tag", "T10")], False),
        ([("lanner-namespace", "team-*")], True),
        ([("lanner-namespace", "kube-*"), ("lanner-rule", "*")], False),
    ],
)
def test_values_of_a_key_are_alternatives_and_all_keys_must_hold(metadata, expected) -> None:
    """Patterns for names, exact words for tags and sources."""
    test = read_subscription(metadata).test

    assert test is not None
    assert test(SUBJECT) is expected


def test_metadata_of_others_are_passed_over() -> None:
    """A client may send what its libraries add."""
    assert read_subscription([("user-agent", "grpc-go"), ("x-id-bin", b"\x00")]) == Subscription()


def test_a_position_is_read() -> None:
    """The number, and the stream it belongs to."""
    found = read_subscription([("lanner-after-sequence", "41"), ("lanner-epoch", "ab")])

    assert found == Subscription(position=Position(41, "ab"))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([("lanner-priority", "x")], 'unknown metadata "lanner-priority"; known are lanner-epoch'),
        ([("lanner-min-priority", "high")], '"high" is no priority; priorities are emergency'),
        ([("lanner-after-sequence", "-1")], 'lanner-after-sequence takes a number, not "-1"'),
        ([("lanner-after-sequence", "²")], "takes a number"),
        ([("lanner-epoch", "ab")], "lanner-epoch needs lanner-after-sequence"),
    ],
)
def test_what_means_nothing_is_said(metadata, message) -> None:
    """One sentence with what is known."""
    with pytest.raises(ServerError, match=message):
        read_subscription(metadata)
