"""The gRPC stream with real clients of every style, on a real Unix socket."""

import socket
import stat
import threading
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from exporter._proto import (
    outputs_pb2,
    outputs_pb2_grpc,
    schema_pb2,
    version_pb2,
    version_pb2_grpc,
)
from exporter.errors import ServerError
from exporter.rules.priority import Priority
from exporter.server.grpc import GrpcOptions, GrpcServer, make_way, parse_socket
from exporter.server.stream import AlertStream, StreamOptions
from tests.alerts.conftest import make_alert

HISTORY = 5
QUEUE = 7
MAX_SUBSCRIBERS = 11


class Served:
    """A server, its stream and its socket."""

    def __init__(self, loop_thread, path) -> None:
        self.loop_thread = loop_thread
        self.path = path
        self.stream = AlertStream(
            StreamOptions(history=HISTORY, subscriber_queue=QUEUE, max_subscribers=MAX_SUBSCRIBERS)
        )
        self.server: GrpcServer | None = None

    async def start(self) -> None:
        """Serve."""
        self.server = GrpcServer(
            self.stream, GrpcOptions(socket_path=self.path, fields_checksum="abc")
        )
        await self.server.start()

    def publish(self, *seqs: int) -> None:
        """Raise alerts whose rule is their number."""
        self.loop_thread.call(
            self.stream.publish, [make_alert(seq=seq, rule=str(seq)) for seq in seqs]
        )

    def wait_for_subscribers(self, count: int) -> None:
        """Wait until so many follow."""
        self.loop_thread.wait_for(lambda: self.stream.subscriber_count == count)


@pytest.fixture
def served(loop_thread, tmp_path):
    """A running server."""
    served = Served(loop_thread, tmp_path / "made" / "lanner.sock")
    loop_thread.run(served.start())
    yield served
    assert served.server is not None
    loop_thread.run(served.server.stop(1))


@pytest.fixture
def stub(served):
    """A client of the outputs service."""
    with grpc.insecure_channel(f"unix://{served.path}") as channel:
        yield outputs_pb2_grpc.serviceStub(channel)


class Requests:
    """An iterator of requests that a test feeds and closes."""

    def __init__(self) -> None:
        self._more = threading.Semaphore(0)
        self._is_closed = False

    def poll(self) -> None:
        """Send one empty request."""
        self._more.release()

    def close(self) -> None:
        """Close the client's side."""
        self._is_closed = True
        self._more.release()

    def __iter__(self) -> Iterator[outputs_pb2.request]:
        while True:
            self._more.acquire()
            if self._is_closed:
                return
            yield outputs_pb2.request()


def take(stream, count: int) -> list[str]:
    """Rules of the next messages."""
    return [next(stream).rule for _ in range(count)]


def test_a_polling_client_gets_every_alert(served, stub) -> None:
    """A client that sends an empty request now and then gets alerts whenever they come."""
    requests = Requests()
    stream = stub.sub(iter(requests))
    requests.poll()
    stream.initial_metadata()
    served.publish(1, 2)
    first = take(stream, 2)
    for _ in range(101):
        requests.poll()
    served.publish(3)
    second = take(stream, 1)
    requests.close()
    stream.cancel()

    assert (first, second) == (["1", "2"], ["3"])


def test_a_client_that_never_sends_gets_every_alert(served, stub) -> None:
    """No request is required."""
    requests = Requests()
    stream = stub.sub(iter(requests))
    stream.initial_metadata()
    served.publish(1)
    served.publish(2)
    got = take(stream, 2)
    requests.close()
    stream.cancel()

    assert got == ["1", "2"]


def test_a_half_closed_client_gets_every_alert(served, stub) -> None:
    """A client that has closed its side still follows."""
    stream = stub.sub(iter([outputs_pb2.request()]))
    stream.initial_metadata()
    served.publish(1, 2, 3)
    got = take(stream, 3)
    stream.cancel()

    assert got == ["1", "2", "3"]


def test_every_subscriber_gets_every_alert(served, stub) -> None:
    """Subscribers do not compete: real fan-out."""
    streams = [stub.sub(iter(())) for _ in range(3)]
    for stream in streams:
        stream.initial_metadata()
    served.publish(1, 2)
    got = [take(stream, 2) for stream in streams]
    # A message counts when the server has let go of it, which may be after its client took it.
    served.loop_thread.wait_for(lambda: served.stream.sent["sub"] == 6)
    for stream in streams:
        stream.cancel()
    served.wait_for_subscribers(0)

    assert got == [["1", "2"]] * 3


def test_a_slow_client_loses_only_its_own_counted(served, stub) -> None:
    """A client that does not read loses alerts; one that reads gets every single one.

    Law: what the slow one gets in the end and what was counted are together what was raised.
    """
    count, text = 1009, "x" * 20_000
    with grpc.insecure_channel(f"unix://{served.path}") as channel:
        slow = outputs_pb2_grpc.serviceStub(channel).sub(iter(()))
        slow.initial_metadata()
        quick = stub.sub(iter(()))
        quick.initial_metadata()
        got_quick = []
        for seq in range(count):
            served.loop_thread.call(
                served.stream.publish, [make_alert(seq=seq, rule=str(seq), output=text)]
            )
            got_quick.append(next(quick).rule)
        dropped = served.loop_thread.call(lambda: served.stream.dropped)
        quick.cancel()
        got_slow = []
        for message in slow:
            got_slow.append(int(message.rule))
            if got_slow[-1] == count - 1:
                break
        slow.cancel()

    assert got_quick == [str(seq) for seq in range(count)]
    assert dropped > 0
    assert len(got_slow) + dropped == count
    assert got_slow == sorted(set(got_slow))


def test_a_client_comes_back_where_it_was(served, stub) -> None:
    """The newest sequence number it has, given as metadata, continues the stream."""
    served.publish(1, 2, 3)
    stream = stub.sub(iter(()), metadata=(("lanner-after-sequence", "1"),))
    metadata = dict(stream.initial_metadata())
    served.publish(4)
    got = [(next(stream).sequence, metadata["lanner-sequence"]) for _ in range(3)]
    stream.cancel()
    other = stub.sub(
        iter(()), metadata=(("lanner-after-sequence", "4"), ("lanner-epoch", "another"))
    )
    again = take(other, 4)
    other.cancel()

    assert got == [(2, "3"), (3, "3"), (4, "3")]
    assert metadata["lanner-epoch"] == served.stream.epoch
    assert again == ["1", "2", "3", "4"]


def test_a_client_may_choose_alerts(served, stub) -> None:
    """The server filters; get with a choice takes nothing away from those who drain."""
    stream = stub.sub(iter(()), metadata=(("lanner-rule", "[24]"),))
    stream.initial_metadata()
    served.publish(1, 2, 3, 4)
    got = take(stream, 2)
    stream.cancel()
    chosen = stub.get(outputs_pb2.request(), metadata=(("lanner-rule", "3"),))
    chosen_rules = [m.rule for m in chosen]
    drained = [m.rule for m in stub.get(outputs_pb2.request())]

    assert (got, chosen_rules, drained) == (["2", "4"], ["3"], ["1", "2", "3", "4"])


def test_metadata_that_mean_nothing_are_refused(served, stub) -> None:
    """INVALID_ARGUMENT with the reason, counted."""
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.get(outputs_pb2.request(), metadata=(("lanner-min-priority", "high"),)))

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert '"high" is no priority' in (caught.value.details() or "")
    assert served.stream.rejected == {"subscribers": 0, "metadata": 1}


def test_the_number_of_followers_is_bounded(served, stub) -> None:
    """One too many is told so at once; those who follow are not disturbed."""
    streams = [stub.sub(iter(())) for _ in range(MAX_SUBSCRIBERS)]
    for stream in streams:
        stream.initial_metadata()
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.sub(iter(())))
    served.publish(1)
    got = [take(stream, 1) for stream in streams]
    for stream in streams:
        stream.cancel()

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert got == [["1"]] * MAX_SUBSCRIBERS
    assert served.stream.rejected["subscribers"] == 1


def test_health_tells_ready_from_alive(served) -> None:
    """NOT_SERVING until the node is ready; every service and the server as a whole have a state."""
    names = ("", "falco.outputs.service", "falco.version.service")
    with grpc.insecure_channel(f"unix://{served.path}") as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def states() -> set[int]:
            return {
                health.Check(health_pb2.HealthCheckRequest(service=name)).status for name in names
            }

        before = states()
        served.loop_thread.run(served.server.set_serving(is_serving=True))
        after = states()

    status = health_pb2.HealthCheckResponse
    assert (before, after) == ({status.NOT_SERVING}, {status.SERVING})


def test_reflection_lists_and_describes_the_services(served) -> None:
    """A client without proto files finds the services and their messages, as grpcurl does."""
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="falco.outputs.service"),
    ]
    with grpc.insecure_channel(f"unix://{served.path}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listing, described = stub.ServerReflectionInfo(iter(requests))
    names = {service.name for service in listing.list_services_response.service}
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in described.file_descriptor_response.file_descriptor_proto
    ]
    methods = {m.name for f in files if f.package == "falco.outputs" for m in f.service[0].method}

    assert names == {
        "falco.outputs.service",
        "falco.version.service",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert methods == {"sub", "get"}


def test_get_drains_a_bounded_history(served, stub) -> None:
    """get ends after the newest kept alerts; the next get gives only what came since."""
    served.publish(*range(8))
    first = [m.rule for m in stub.get(outputs_pb2.request())]
    served.publish(8)
    second = [m.rule for m in stub.get(outputs_pb2.request())]
    third = list(stub.get(outputs_pb2.request()))

    assert (first, second, third) == (["3", "4", "5", "6", "7"], ["8"], [])


def test_the_message_is_encoded_as_agreed(served, stub) -> None:
    """Numbers of priority and source, nanoseconds, and every field value as a string."""
    alert = make_alert(
        priority=Priority.CRITICAL,
        source="k8s_audit",
        output_fields={"n": 1234, "t": True, "x": None, "s": "a\udcff", "l": ["a", 1], "f": 0.5},
    )
    served.loop_thread.call(served.stream.publish, [alert])
    (message,) = stub.get(outputs_pb2.request())

    assert dict(message.output_fields) == {
        "n": "1234",
        "t": "true",
        "x": "null",
        "s": "a\ufffd",
        "l": '["a",1]',
        "f": "0.5",
    }
    assert (message.priority, message.source_deprecated) == (2, schema_pb2.K8S_AUDIT)
    assert message.time.ToNanoseconds() == alert.time_ns
    assert (message.source, message.hostname, list(message.tags)) == (
        "k8s_audit",
        "node1",
        ["T1005", "files"],
    )


def test_an_unknown_source_is_a_plugin(served, stub) -> None:
    """Sources that the old enumeration does not name are PLUGIN there, themselves in field 9."""
    served.loop_thread.call(served.stream.publish, [make_alert(source="okta")])
    (message,) = stub.get(outputs_pb2.request())

    assert (message.source_deprecated, message.source) == (schema_pb2.PLUGIN, "okta")


def test_version_answers(served) -> None:
    """The version service tells the compatible version, the engine's and our own."""
    with grpc.insecure_channel(f"unix://{served.path}") as channel:
        answer = version_pb2_grpc.serviceStub(channel).version(version_pb2.request())

    assert (answer.version, answer.engine_version, answer.engine_fields_checksum) == (
        "0.44.1",
        "0.63.0",
        "abc",
    )
    assert answer.build.startswith("lanner.")


def test_unknown_methods_are_unimplemented(served) -> None:
    """A method we do not have is an UNIMPLEMENTED status."""
    with grpc.insecure_channel(f"unix://{served.path}") as channel:
        call = channel.unary_unary("/falco.outputs.service/none", bytes, bytes)
        code = call.future(b"", timeout=10).code()

    assert code == grpc.StatusCode.UNIMPLEMENTED


def test_streams_end_when_the_server_stops(served, stub) -> None:
    """At shutdown what waits is sent, then the stream ends with OK."""
    stream = stub.sub(iter(()))
    stream.initial_metadata()
    served.publish(1, 2)
    stopping = threading.Thread(target=lambda: served.loop_thread.run(served.server.stop(5)))
    stopping.start()
    got = [message.rule for message in stream]
    stopping.join(10)

    assert got == ["1", "2"]
    assert stream.code() == grpc.StatusCode.OK


def test_the_socket_is_private(served) -> None:
    """Only the owner may connect, and others may not even look into the directory."""
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.path.parent.stat().st_mode) & 0o007 == 0


def test_a_second_server_is_refused(served) -> None:
    """A socket on which somebody listens is not taken away."""
    with pytest.raises(ServerError, match="another program listens there"):
        make_way(served.path)


def test_a_stale_socket_is_replaced(tmp_path) -> None:
    """A socket that a dead process left is removed."""
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    make_way(path)

    assert not path.exists()


def test_other_files_are_never_removed(tmp_path) -> None:
    """What is no socket stays."""
    path = tmp_path / "file"
    path.write_text("precious")

    with pytest.raises(ServerError, match="it exists and is no socket"):
        make_way(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "expected"), [("unix:///run/a.sock", "/run/a.sock"), ("/run/a.sock", "/run/a.sock")]
)
def test_sockets_are_read(text: str, expected: str) -> None:
    """With and without the unix:// prefix."""
    assert str(parse_socket(text)) == expected


@pytest.mark.parametrize("text", ["0.0.0.0:5060", "relative.sock"])
def test_what_is_no_unix_socket_is_refused(text: str) -> None:
    """TCP has its own key, because it needs certificates."""
    with pytest.raises(ServerError, match=r"no Unix socket.*\n.*grpc\.listen"):
        parse_socket(text)


def test_a_path_that_the_kernel_has_no_room_for_is_refused() -> None:
    """107 bytes of UTF-8 fit, 108 do not."""
    longest = f"/{'x' * 104}é"

    assert str(parse_socket(longest)) == longest
    with pytest.raises(ServerError, match="longer than 107 bytes"):
        parse_socket(f"{longest}x")
