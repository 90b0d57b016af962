"""Descriptor fields: the file, socket or other object behind an event's fd.

All are missing for events that neither make, use nor close a descriptor.
Source: fields catalogue class "fd"; state-tracking.md sections 6 and 7.
"""

import re
from collections.abc import Callable
from typing import Any

from exporter.events.event import Event
from exporter.events.facts import Fact
from exporter.events.fd import Fd, FdType, Role
from exporter.events.table import EventType
from exporter.events.text import arg_text, type_char
from exporter.rules.dns import RESOLVER
from exporter.rules.fields.fd_facts import (
    CONNECTIONS,
    FD_CODES,
    FILES,
    LISTENERS,
    both_ends,
    both_filled,
    char_of_event,
    client_end,
    creator_path,
    directory_of,
    is_local,
    local_end,
    protocol_name,
    remote_end,
    server_end,
    socket_family,
    type_name,
)
from exporter.rules.fields.field import (
    FILTER_ONLY,
    NO_RHS,
    NO_TRANSFORMER,
    UNKNOWN,
    Arg,
    ArgKind,
    Compare,
    Field,
    FieldClass,
    Reader,
)
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T

End = Callable[[Event, Fd], tuple[bytes, int] | None]

_CONNECT = "PPME_SOCKET_CONNECT_X"
_TUPLE_CREATORS = frozenset({_CONNECT, "PPME_SOCKET_ACCEPT_5_X", "PPME_SOCKET_ACCEPT4_6_X"})
"""Calls whose socket is named by their tuple, also where they made none."""
_SLASHES = re.compile(rb"/{2,}")
_FILE_LIKE = FILES | {FdType.DIRECTORY}


def _no_fd(event_type: EventType) -> object:
    return UNKNOWN if event_type.code in FD_CODES else None


def _is_readable(event: Event) -> bool:
    return event.thread is not None and event.type.code in FD_CODES


def of_fd(read: Callable[[Fd], Any]) -> Reader:
    """Reader of a fact of the event's fd entry."""

    def reader(event: Event) -> Any:
        fd = event.fd
        return read(fd) if fd is not None and _is_readable(event) else None

    return reader


def _number(event: Event) -> int | None:
    return event.fd_num if _is_readable(event) else None


def _name(event: Event) -> bytes | None:
    fd = event.fd
    if not _is_readable(event):
        return None
    if event.error_code and event.type.id == _CONNECT:
        # A call that failed shows where it went, if the kernel said so, not what the socket was.
        return arg_text(event, 1)
    if fd is not None:
        return fd.name
    if event.type.id in _TUPLE_CREATORS:
        return arg_text(event, 1)
    path = creator_path(event)
    return b"" if path is None else path[1]


def _raw_name(event: Event) -> bytes | None:
    fd = event.fd
    if not _is_readable(event):
        return None
    if fd is not None:
        return _SLASHES.sub(b"/", fd.name_raw)
    if event.type.id in _TUPLE_CREATORS:
        return _SLASHES.sub(b"/", arg_text(event, 1))
    path = creator_path(event)
    return b"" if path is None else _SLASHES.sub(b"/", path[0])


def _type_char(event: Event) -> bytes | None:
    if not _is_readable(event):
        return None
    return char_of_event(event.type) if event.fd is None else type_char(event.fd)


def _directory(event: Event) -> bytes | None:
    if not _is_readable(event):
        return None
    fd = event.fd
    if fd is None:
        return directory_of(_name(event) or b"")
    if fd.type not in _FILE_LIKE:
        return None
    return fd.name if fd.type is FdType.DIRECTORY else directory_of(fd.name)


def _file_name(fd: Fd) -> bytes | None:
    if fd.type not in FILES:
        return None
    name = fd.name
    at = name.rfind(b"/")
    if at < 0:
        return b"/"
    return name[at + 1 :] if at < len(name) - 1 else name


def _container_text(event: Event) -> bytes:
    thread = event.thread
    return b"" if thread is None else thread.container_id


def _container_name(event: Event) -> bytes | None:
    name = _name(event)
    return None if name is None else b"%s:%s" % (_container_text(event), name)


def _container_directory(event: Event) -> bytes | None:
    path = _directory(event)
    return None if path is None else b"%s:%s" % (_container_text(event), path)


def _unique_id(event: Event) -> bytes | None:
    return b"%d%d" % (event.tid, event.fd_num) if _is_readable(event) else None


def _name_changed(event: Event) -> bool | None:
    return event.fd_name_changed if event.fd is not None and _is_readable(event) else None


def _is_server(event: Event) -> bool | None:
    fd = event.fd
    if fd is None or not _is_readable(event):
        return None
    if fd.type in LISTENERS:
        return True
    return fd.type in CONNECTIONS and is_local(event, both_filled(fd)[1][0])


def _client(_event: Event, fd: Fd) -> tuple[bytes, int] | None:
    return client_end(fd)


def _server(_event: Event, fd: Fd) -> tuple[bytes, int] | None:
    return server_end(fd)


def address_of(end: End) -> Reader:
    """Reader of the packed address of one end."""

    def reader(event: Event) -> bytes | None:
        fd = event.fd
        found = None if fd is None or not _is_readable(event) else end(event, fd)
        return None if found is None or not found[0] else found[0]

    return reader


def port_of(end: End) -> Reader:
    """Reader of the port of one end."""

    def reader(event: Event) -> int | None:
        fd = event.fd
        found = None if fd is None or not _is_readable(event) else end(event, fd)
        return None if found is None else found[1]

    return reader


def protocol_of(end: End) -> Reader:
    """Reader of the port of one end as text.

    The reference engine shows service names only when it is told to resolve ports, which rule
    engines never do.
    """
    port = port_of(end)

    def reader(event: Event) -> bytes | None:
        number = port(event)
        return None if number is None else b"%d" % number

    return reader


def _client_protocol(event: Event) -> Any:
    """Client port of a connection; empty for other descriptors that have a role."""
    fd = event.fd
    if fd is None or not _is_readable(event) or fd.role is Role.NONE:
        return None
    return _CLIENT_PORT_TEXT(event) if fd.type in CONNECTIONS else b""


def _server_protocol(event: Event) -> Any:
    """Server port of a connection; empty for listening sockets."""
    fd = event.fd
    if fd is not None and fd.type in LISTENERS and _is_readable(event):
        return b""
    return _SERVER_PORT_TEXT(event)


_CLIENT_PORT_TEXT, _SERVER_PORT_TEXT = protocol_of(_client), protocol_of(_server)


def host_name_of(end: End) -> Reader:
    """Reader of the host name of one end, as far as it is known without asking the network."""
    address = address_of(end)

    def reader(event: Event) -> bytes | None:
        found = address(event)
        return None if found is None else RESOLVER.name_of(found)

    return reader


def _both_addresses(event: Event) -> tuple[bytes, ...] | None:
    fd = event.fd
    if fd is None or not _is_readable(event):
        return None
    return tuple([end[0] for end in both_ends(fd) if end[0]])


def _both_ports(event: Event) -> tuple[int, ...] | None:
    fd = event.fd
    if fd is None or not _is_readable(event):
        return None
    return tuple([end[1] for end in both_ends(fd)])


def _nothing(event: Event) -> None:
    """Outputs may name filter-only fields; they print as missing."""


def _types(event: Event) -> tuple[bytes, ...] | None:
    thread = event.thread
    if thread is None or not _is_readable(event):
        return None
    fds = event.host.descriptors(thread).values()
    return tuple(dict.fromkeys(type_name(fd) for fd in fds)) or None


def _bind_type(arg: Arg) -> Reader:
    number = arg if isinstance(arg, int) else 0

    def reader(event: Event) -> tuple[bytes, ...] | None:
        thread = event.thread
        if thread is None or not _is_readable(event):
            return None
        fd = event.host.descriptors(thread).get(number)
        return None if fd is None else (type_name(fd),)

    return reader


CLASS = FieldClass(
    "fd",
    "fields of the file descriptor an event is about",
    ("syscall",),
    (
        Field(
            "fd.name",
            T.CHARBUF,
            (
                "path for files, tuple text for sockets, path or tuple for unix sockets, "
                "memfd:/pidfd names; on failed opens the path of the call"
            ),
            _name,
            cost=120,
            kernel="fd.name",
            constant=_no_fd,
        ),
        Field(
            "fd.typechar",
            T.CHARBUF,
            (
                "one character form of fd.type (f d 4 6 u p e s l i t b r m P n o ...); always "
                "present on fd events"
            ),
            _type_char,
            cost=150,
            kernel="fd.typechar",
            constant=_no_fd,
        ),
        Field(
            "fd.num",
            T.INT64,
            (
                "fd number used by the event; -1 when the event has none (failed "
                "open/accept/socket calls included)"
            ),
            _number,
            cost=80,
            kernel="fd.num",
            constant=_no_fd,
            print_as=P.ID,
        ),
        Field(
            "fd.type",
            T.CHARBUF,
            (
                "file, directory, ipv4, ipv6, unix, pipe, event, signalfd, eventpoll, inotify, "
                "timerfd, bpf, userfaultfd, io_uring, memfd, pidfd, netlink, "
                "unsupported/unknown forms; missing without fd entry"
            ),
            of_fd(type_name),
            constant=_no_fd,
            kernel="fd.type",
        ),
        Field(
            "fd.lport",
            T.PORT,
            "local port",
            port_of(local_end),
            constant=_no_fd,
            cost=200,
            print_as=P.DEC,
        ),
        Field(
            "fd.rport",
            T.PORT,
            "remote port",
            port_of(remote_end),
            constant=_no_fd,
            cost=200,
            print_as=P.DEC,
        ),
        Field(
            "fd.l4proto",
            T.CHARBUF,
            "tcp, udp, icmp, raw; the text <NA> for anything else",
            of_fd(protocol_name),
            constant=_no_fd,
            kernel="fd.l4proto",
        ),
        Field(
            "fd.directory",
            T.CHARBUF,
            (
                "directory part of the path (files); the path itself for directories; '/' if "
                "no slash or only a leading one"
            ),
            _directory,
            cost=250,
            constant=_no_fd,
            kernel="fd.directory",
        ),
        Field(
            "fd.net",
            T.IPNET,
            "filter only: client or server address inside the network",
            _nothing,
            each=_both_addresses,
            compare=Compare.EITHER_NET,
            constant=_no_fd,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
            kernel="fd.net",
        ),
        Field(
            "fd.ip",
            T.IPADDR,
            "filter only: client or server address",
            _nothing,
            each=_both_addresses,
            compare=Compare.EITHER_IP,
            constant=_no_fd,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
            kernel="fd.ip",
        ),
        Field(
            "fd.connected",
            T.BOOL,
            "socket is connected (or pending tracking says so)",
            of_fd(lambda fd: fd.is_connected),
            constant=_no_fd,
            facts=frozenset({Fact.CONNECTED}),
            kernel="fd.connected",
        ),
        Field(
            "fd.name_changed",
            T.BOOL,
            "the event changed the name of its fd",
            _name_changed,
            constant=_no_fd,
        ),
        Field(
            "fd.sport",
            T.PORT,
            "server port; for listening sockets the bound port",
            port_of(_server),
            constant=_no_fd,
            cost=200,
            print_as=P.DEC,
            kernel="fd.sport",
        ),
        Field(
            "fd.snet",
            T.IPNET,
            "filter only: server address inside the network",
            _nothing,
            each=address_of(_server),
            constant=_no_fd,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
            kernel="fd.snet",
        ),
        Field(
            "fd.filename",
            T.CHARBUF,
            "last path component of file fds",
            of_fd(_file_name),
            cost=250,
            constant=_no_fd,
            kernel="fd.filename",
        ),
        Field(
            "fd.sip",
            T.IPADDR,
            (
                "server address; for listening sockets the bound address (missing if the role "
                "is unknown)"
            ),
            address_of(_server),
            constant=_no_fd,
            kernel="fd.sip",
        ),
        Field(
            "fd.sip.name",
            T.CHARBUF,
            "host name of the server address",
            host_name_of(_server),
            each=address_of(_server),
            compare=Compare.DNS,
            constant=_no_fd,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "fd.cip.name",
            T.CHARBUF,
            "host name of the client address (cached resolutions only)",
            host_name_of(_client),
            each=address_of(_client),
            compare=Compare.DNS,
            constant=_no_fd,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "fd.cip",
            T.IPADDR,
            "client address of a connected/connecting socket",
            address_of(_client),
            constant=_no_fd,
            kernel="fd.cip",
        ),
        Field("fd.rip", T.IPADDR, "remote address", address_of(remote_end), constant=_no_fd),
        Field(
            "fd.port",
            T.PORT,
            "filter only: client or server port",
            _nothing,
            each=_both_ports,
            compare=Compare.EITHER_PORT,
            constant=_no_fd,
            print_as=P.DEC,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
            kernel="fd.port",
        ),
        Field(
            "fd.sockfamily",
            T.CHARBUF,
            "ip or unix; missing otherwise",
            of_fd(socket_family),
            constant=_no_fd,
            kernel="fd.sockfamily",
        ),
        Field(
            "fd.cnet",
            T.IPNET,
            "filter only: client address inside the network",
            _nothing,
            each=address_of(_client),
            constant=_no_fd,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
            kernel="fd.cnet",
        ),
        Field(
            "fd.rnet",
            T.IPNET,
            "filter only: remote address inside the network",
            _nothing,
            each=address_of(remote_end),
            constant=_no_fd,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "fd.lip.name",
            T.CHARBUF,
            "host name of the local address",
            host_name_of(local_end),
            each=address_of(local_end),
            compare=Compare.DNS,
            constant=_no_fd,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "fd.rip.name",
            T.CHARBUF,
            "host name of the remote address",
            host_name_of(remote_end),
            each=address_of(remote_end),
            compare=Compare.DNS,
            constant=_no_fd,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "fd.nameraw",
            T.CHARBUF,
            "path exactly as passed to the call, only duplicate slashes removed",
            _raw_name,
            cost=300,
            constant=_no_fd,
            kernel="fd.nameraw",
        ),
        Field("fd.lip", T.IPADDR, "local address", address_of(local_end), constant=_no_fd),
        Field(
            "fd.cport",
            T.PORT,
            "client port",
            port_of(_client),
            constant=_no_fd,
            cost=200,
            print_as=P.DEC,
            kernel="fd.cport",
        ),
        Field(
            "fd.is_server",
            T.BOOL,
            "true for listening sockets and for connections whose server address is local",
            _is_server,
            constant=_no_fd,
        ),
        Field(
            "fd.uid",
            T.CHARBUF,
            "tid and fd number concatenated as text",
            _unique_id,
            constant=_no_fd,
        ),
        Field(
            "fd.containername",
            T.CHARBUF,
            "container id, colon, fd.name",
            _container_name,
            constant=_no_fd,
        ),
        Field(
            "fd.containerdirectory",
            T.CHARBUF,
            "container id, colon, fd.directory",
            _container_directory,
            constant=_no_fd,
        ),
        Field(
            "fd.proto",
            T.PORT,
            "filter only: client or server port given as service name",
            _nothing,
            each=_both_ports,
            compare=Compare.EITHER_PORT,
            constant=_no_fd,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "fd.cproto",
            T.CHARBUF,
            "client port as text",
            _client_protocol,
            constant=_no_fd,
        ),
        Field(
            "fd.sproto",
            T.CHARBUF,
            "server port as text",
            _server_protocol,
            constant=_no_fd,
        ),
        Field(
            "fd.lproto",
            T.CHARBUF,
            "local port as text",
            protocol_of(local_end),
            constant=_no_fd,
        ),
        Field(
            "fd.rproto",
            T.CHARBUF,
            "remote port as text",
            protocol_of(remote_end),
            constant=_no_fd,
        ),
        Field(
            "fd.lnet",
            T.IPNET,
            "filter only: local address inside the network",
            _nothing,
            each=address_of(local_end),
            constant=_no_fd,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "fd.dev",
            T.INT32,
            "device number of the file, hex",
            of_fd(lambda fd: fd.dev),
            constant=_no_fd,
            print_as=P.HEX,
        ),
        Field(
            "fd.dev.major",
            T.INT32,
            "major device number",
            of_fd(lambda fd: fd.dev >> 8 & 0xFFF),
            constant=_no_fd,
            print_as=P.DEC,
        ),
        Field(
            "fd.dev.minor",
            T.INT32,
            "minor device number",
            of_fd(lambda fd: fd.dev & 0xFF | fd.dev >> 12 & 0xFFF00),
            constant=_no_fd,
            print_as=P.DEC,
        ),
        Field(
            "fd.ino",
            T.INT64,
            "inode number of the file (pipes: pipe inode)",
            of_fd(lambda fd: fd.ino),
            constant=_no_fd,
            print_as=P.DEC,
        ),
        Field(
            "fd.types",
            T.CHARBUF,
            (
                "list of the distinct fd types open in the process; [N] = type of fd N as "
                "one-element list"
            ),
            _types,
            bind=_bind_type,
            cost=5000,
            arg=ArgKind.INDEX,
            is_list=True,
            flags=frozenset({NO_RHS}),
        ),
        Field(
            "fd.is_upper_layer",
            T.BOOL,
            "file resides in the upper layer of an overlayfs",
            of_fd(lambda fd: fd.is_upper_layer),
            constant=_no_fd,
        ),
        Field(
            "fd.is_lower_layer",
            T.BOOL,
            "file resides in a lower layer of an overlayfs",
            of_fd(lambda fd: fd.is_lower_layer),
            constant=_no_fd,
        ),
    ),
)
