"""Random acts with sockets: on loopback addresses of the actor's own network namespace."""

import os
import socket
import struct
from random import Random
from typing import Any

from tests.fuzz.twins.calls import Act, Calls
from tests.fuzz.twins.paths import Paths

_NONBLOCK = os.O_NONBLOCK
_V4 = (
    "127.0.0.1",
    "127.0.0.9",
    "10.1.2.3",
    "203.0.113.5",
    "169.254.169.254",
    "0.0.0.0",
    "10.1.2.4",
)
_V6 = ("::1", "2001:db8::5", "::", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "fe80::1", "2001:db8::6")
_PORTS = (22, 53, 80, 443, 8080, 1, 65535, 40000)


class SocketActs:
    """Sockets of one fuzzing run."""

    def __init__(self, random: Random, paths: Paths, call: Calls) -> None:
        self._random = random
        self._paths = paths
        self._call = call

    def _address(self, family: int, *, known: bool = False) -> tuple[Any, int]:
        random = self._random
        port = random.choice(_PORTS)
        if family == 2:
            address = random.choice(_V4[:4] if known else _V4)
            packed = (
                struct.pack("<H", 2) + struct.pack(">H", port) + bytes(map(int, address.split(".")))
            )
            return {"hex": (packed + bytes(8)).hex()}, 16
        if family == 10:
            address = random.choice(_V6[:2] if known else _V6)
            packed = struct.pack("<H", 10) + struct.pack(">H", port) + bytes(4)
            return {"hex": (packed + socket.inet_pton(10, address) + bytes(4)).hex()}, 28
        name = random.choice(("a/sock", f"{self._paths.work}/sock", "\0abstract", "sock", ""))
        return {"hex": (struct.pack("<H", 1) + name.encode() + b"\0").hex()}, 2 + len(name) + 1

    def streams(self) -> list[Act]:
        """A server and clients, or a socket that comes to nothing."""
        random, call = self._random, self._call
        family = random.choice((2, 2, 2, 10, 10, 1))
        kind = 1 | _NONBLOCK
        if random.random() < 0.25:
            domain = random.choice((0, 1, 2, 10, 16, 17, 38, 40, 99))
            return [call("socket", domain, random.choice((1, 2, 3, 5)) | _NONBLOCK,
                         random.choice((0, 0, 6, 17, 1, 3)), keep="socket")]  # fmt: skip
        where, size = self._address(family, known=True)
        other, other_size = self._address(family)
        acts = [
            call("socket", family, kind, 0, keep="server"),
            call("setsockopt", {"fd": "server"}, 1, 2, {"hex": "01000000"}, 4),
            call("bind", {"fd": "server"}, where, size),
            call("listen", {"fd": "server"}, random.choice((1, 5))),
            call("socket", family, kind, 0, keep="socket"),
        ]
        if random.random() < 0.3:
            acts.append(call("bind", {"fd": "socket"}, *self._address(family)))
        target = (other, other_size) if random.random() < 0.3 else (where, size)
        acts += [
            call("connect", {"fd": "socket"}, *target),
            call(*random.choice((("accept", {"fd": "server"}, 0, 0),
                                 ("accept4", {"fd": "server"}, 0, 0, _NONBLOCK))), keep="accepted"),
            call("connect", {"fd": "socket"}, where, size),
            call("sendto", {"fd": "socket"}, {"hex": "414243"}, 3, 0x4040, 0, 0),
            call("recvfrom", {"fd": "accepted"}, {"hex": "00" * 16}, 16, 0x40, 0, 0),
            call("getsockname", {"fd": "socket"}, {"hex": "00" * 128}, {"hex": "80000000"}),
            call("shutdown", {"fd": "accepted"}, random.choice((0, 1, 2))),
            call("close", {"fd": "accepted"}),
            call("close", {"fd": "server"}),
        ]  # fmt: skip
        if random.random() < 0.3:
            del acts[random.randrange(1, len(acts))]
        return acts

    def datagrams(self) -> list[Act]:
        """A socket of datagrams, bound or not, connected or not."""
        random, call = self._random, self._call
        family = random.choice((2, 2, 10, 1))
        where, size = self._address(family)
        other, other_size = self._address(family)
        vector = {"mem": [{"hex": "4142"}, 2]}
        acts = [call("socket", family, 2 | _NONBLOCK, 0, keep="socket")]
        if random.random() < 0.5:
            acts.append(call("bind", {"fd": "socket"}, other, other_size))
        if random.random() < 0.5:
            acts.append(call("connect", {"fd": "socket"}, where, size))
        message = {"mem": [where, size, vector, 1, 0, 0, 0]}
        acts += random.sample([
            call("sendto", {"fd": "socket"}, {"hex": "4142"}, 2, 0x4040, where, size),
            call("sendto", {"fd": "socket"}, {"hex": "4142"}, 2, 0x4040, 0, 0),
            call("sendmsg", {"fd": "socket"}, message, 0x4040),
            call("recvfrom", {"fd": "socket"}, {"hex": "00" * 64}, 64, 0x40, 0, 0),
            call("recvmsg", {"fd": "socket"}, {"mem": [0, 0, vector, 1, 0, 0, 0]}, 0x40),
            call("sendmmsg", {"fd": "socket"}, {"mem": [*message["mem"], 0] * 2}, 2, 0x4040),
            call("recvmmsg", {"fd": "socket"}, {"mem": [0, 0, vector, 1, 0, 0, 0, 0]}, 1, 0x40, 0),
            call("write", {"fd": "socket"}, {"hex": "4142"}, 2),
            call("connect", {"fd": "socket"}, {"hex": "0000" + "00" * 14}, 16),
        ], 4)  # fmt: skip
        return acts
