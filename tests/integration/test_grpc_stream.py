"""Clients of the old outputs API receive live alerts over the Unix socket."""

import threading

import grpc

from exporter._proto import outputs_pb2, version_pb2
from tests.integration.live import wait_until

RULE = "Sensitive file read by untrusted program"


def channel_to(lanner):
    """An open channel."""
    return grpc.insecure_channel(f"unix://{lanner.socket}")


def sub(channel):
    """The subscription call."""
    return channel.stream_stream(
        "/falco.outputs.service/sub",
        request_serializer=outputs_pb2.request.SerializeToString,
        response_deserializer=outputs_pb2.response.FromString,
    )


def test_subscriber_receives_the_alert(stage, lanner):
    """`sub` pushes an alert as it happens, with the fields of the JSON form as text."""
    stop = threading.Event()

    def requests():
        yield outputs_pb2.request()
        stop.wait(30)

    with channel_to(lanner) as channel:
        call = sub(channel)(requests(), timeout=30)
        call.initial_metadata()
        stage.run("cat", "/etc/shadow")
        response = next(call)
        stop.set()
        call.cancel()

    assert response.rule == RULE
    assert response.source == "syscall"
    assert response.output_fields["fd.name"] == "/etc/shadow"
    assert response.output_fields["proc.name"] == "cat"
    assert response.priority == 4
    assert "mitre_credential_access" in response.tags


def test_get_drains_what_happened(stage, lanner):
    """`get` gives the alerts that nobody took yet, then ends."""
    before = len(lanner.lines)
    stage.run("cat", "/etc/shadow")
    wait_until(lambda: len(lanner.lines) > before, 5, "the alert")

    with channel_to(lanner) as channel:
        get = channel.unary_stream(
            "/falco.outputs.service/get",
            request_serializer=outputs_pb2.request.SerializeToString,
            response_deserializer=outputs_pb2.response.FromString,
        )
        responses = list(get(outputs_pb2.request(), timeout=10))
        again = list(get(outputs_pb2.request(), timeout=10))

    assert RULE in [response.rule for response in responses]
    assert again == []


def test_version_is_answered(lanner):
    """The version service works on the same socket."""
    with channel_to(lanner) as channel:
        version = channel.unary_unary(
            "/falco.version.service/version",
            request_serializer=version_pb2.request.SerializeToString,
            response_deserializer=version_pb2.response.FromString,
        )
        assert version(version_pb2.request(), timeout=10).engine_version
