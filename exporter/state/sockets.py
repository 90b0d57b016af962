"""Sockets: families, ends and roles, from socket to the last datagram.

Source: spec/state-tracking.md section 7. In an entry with a role the source is the client's end and
dest the server's; a listening socket's own address is its dest.
"""

from collections.abc import Mapping

from msgspec import structs

from exporter.events.addresses import address_text, ip_text, is_mapped, pair_text, tuple_text, unmap
from exporter.events.event import Event
from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.host import Host
from exporter.events.params import AF_INET, AF_INET6, AF_UNIX, SocketAddress, SocketTuple
from exporter.events.table import load_event_table
from exporter.state.interfaces import infer_ipv4
from exporter.state.tables import Handler, Tables

_CLOEXEC = dict(load_event_table().value_tables["file_flags"])["O_CLOEXEC"]
_EINPROGRESS = 115
_AF_NETLINK = 16
_SOCK_STREAM, _SOCK_DGRAM, _SOCK_RAW = 1, 2, 3
_SOCK_TYPE_MASK = 0xF
_PROTOCOLS = {6: L4Proto.TCP, 17: L4Proto.UDP, 1: L4Proto.ICMP, 255: L4Proto.RAW}
_BY_TYPE = {_SOCK_STREAM: L4Proto.TCP, _SOCK_DGRAM: L4Proto.UDP}

FAMILY_TYPES: Mapping[int, FdType] = {
    AF_UNIX: FdType.UNIX,
    AF_INET: FdType.IPV4,
    AF_INET6: FdType.IPV6,
    _AF_NETLINK: FdType.NETLINK,
}
"""Socket family -> kind of descriptor."""

IP_TYPES = frozenset({FdType.IPV4, FdType.IPV6, FdType.IPV4_LISTEN, FdType.IPV6_LISTEN})
"""Kinds of descriptor that have addresses and ports."""

_CONNECTIONS = frozenset({FdType.IPV4, FdType.IPV6})
_LISTENING = frozenset({FdType.IPV4_LISTEN, FdType.IPV6_LISTEN})


def on_socket(tables: Tables, event: Event) -> None:
    """socket: family and transport; no name yet."""
    number = event.param(0)
    if number is None or number < 0:
        return
    family = event.param(1) or 0
    fd = Fd(type=FAMILY_TYPES.get(family, FdType.UNKNOWN), socket_family=family)
    if family in {AF_INET, AF_INET6}:
        kind = (event.param(2) or 0) & _SOCK_TYPE_MASK
        protocol = event.param(3) or 0
        if kind == _SOCK_RAW:
            fd.l4 = L4Proto.RAW
        elif protocol == 0:
            fd.l4 = _BY_TYPE.get(kind, L4Proto.UNKNOWN)
        else:
            fd.l4 = _PROTOCOLS.get(protocol, L4Proto.UNKNOWN)
    fd.is_cloexec = bool((event.param(4) or 0) & _CLOEXEC)
    tables.add_fd(event, number, fd)


def on_socketpair(tables: Tables, event: Event) -> None:
    """socketpair: two unix sockets that know each other."""
    if event.param(0) != 0:
        return
    source, peer = event.param(3) or 0, event.param(4) or 0
    if event.param(1) == event.param(2):
        # Both are -1 where the numbers could not be read.
        return
    for index in (1, 2):
        number = event.param(index)
        if number is not None and number >= 0:
            fd = Fd(type=FdType.UNIX, socket_family=AF_UNIX, unix_source=source, unix_dest=peer)
            tables.add_fd(event, number, fd)


def on_bind(tables: Tables, event: Event) -> None:
    """bind: the socket's own address; with a port it is a server."""
    address, fd = event.param(1), event.fd
    if event.param(0) != 0 or fd is None or address is None or not address.is_valid:
        return
    if address.family in {AF_INET, AF_INET6} and address.port > 0:
        own = unmap(address.address)
        fd.type = FdType.IPV4_LISTEN if len(own) == 4 else FdType.IPV6_LISTEN
        fd.dip, fd.dport = own, address.port
        fd.sip, fd.sport = b"", 0
        fd.role = Role.SERVER
        tables.note_server_port(address.port)
    fd.name = address_text(address)


def set_tuple(fd: Fd, value: SocketTuple) -> None:
    """Take over both ends and the family; a pair of mapped addresses is IPv4. Name included."""
    if value.family == AF_UNIX:
        fd.type = FdType.UNIX
        fd.unix_source, fd.unix_dest = value.unix_source, value.unix_dest
    else:
        sip, dip = value.sip, value.dip
        if is_mapped(sip) and is_mapped(dip):
            sip, dip = unmap(sip), unmap(dip)
        fd.type = FdType.IPV4 if len(sip) == 4 else FdType.IPV6
        fd.sip, fd.sport, fd.dip, fd.dport = sip, value.sport, dip, value.dport
    fd.socket_family = value.family
    fd.name = tuple_text(value)


def rename(fd: Fd) -> None:
    """Name of an ip connection after its ends changed."""
    fd.name = pair_text(fd.sip, fd.sport, fd.dip, fd.dport)


def swap_ends(fd: Fd) -> None:
    """Source becomes dest and dest source."""
    fd.sip, fd.dip = fd.dip, fd.sip
    fd.sport, fd.dport = fd.dport, fd.sport


_OWN_SAY = frozenset({"connect", "bind"})


def settle_role(tables: Tables, event: Event, fd: Fd) -> None:
    """Give a socket that a live event carries its role; its source is the local end so far.

    The local port decides: one that somebody was seen to bind or accept from is a server's.
    connect and bind say themselves what the socket is.
    """
    if event.type.name in _OWN_SAY:
        return
    if fd.type in _LISTENING:
        fd.role = Role.SERVER
        fd.dip, fd.dport, fd.sip, fd.sport = fd.sip, fd.sport, b"", 0
        fd.name = b"%s:%d" % (ip_text(fd.dip), fd.dport)
    elif fd.type in _CONNECTIONS and fd.dport:
        fd.is_connected = True
        if fd.sport in tables.server_ports:
            fd.role = Role.SERVER
            swap_ends(fd)
        else:
            fd.role = Role.CLIENT
        rename(fd)


def settle_imported(host: Host) -> None:
    """Give the IPv4 connections of imported descriptor lists their roles.

    A connection from a port that any imported process listens on (either family) is a server's:
    its ends are swapped. Every other one is a client's. IPv6 connections get their roles from
    traffic.
    """
    everything = [fd for thread in host.threads.values() for fd in thread.fds.values()]
    for fd in everything:
        if fd.type == FdType.IPV6 and is_mapped(fd.sip) and is_mapped(fd.dip):
            fd.type, fd.sip, fd.dip = FdType.IPV4, unmap(fd.sip), unmap(fd.dip)
    ports = {fd.dport or fd.sport for fd in everything if fd.type in _LISTENING}
    for fd in everything:
        if fd.type in _CONNECTIONS:
            fd.is_connected = fd.l4 == L4Proto.TCP
            if fd.type == FdType.IPV4:
                fd.role = Role.SERVER if fd.sport in ports else Role.CLIENT
                if fd.role == Role.SERVER:
                    swap_ends(fd)
            rename(fd)
        elif fd.type not in _LISTENING:
            fd.name_raw = fd.name
        if fd.type == FdType.UNIX:
            fd.role = Role.SERVER if fd.name else Role.CLIENT


def on_connect(tables: Tables, event: Event) -> None:
    """connect: the caller becomes the client unless the socket has a role already."""
    result = event.param(0)
    if result is None or (result < 0 and result != -_EINPROGRESS):
        return
    value: SocketTuple | None = event.param(1)
    fd = event.fd
    if fd is None:
        # Live: the event alone tells of a socket that was made before the probe was loaded.
        if tables.keep_fds or value is None or not value.is_valid:
            return
        fd = Fd(type=FAMILY_TYPES.get(value.family, FdType.UNKNOWN))
        event.fd = fd
    fd.is_connected = True
    entered = tables.entered_for(event) if tables.entered else None
    if value is None or not value.is_valid:
        if entered is not None:
            _connect_to(fd, entered.named_param("addr"))
        return
    if value.family not in {AF_UNIX, AF_INET, AF_INET6}:
        return
    was_server = fd.role == Role.SERVER
    old = (fd.sip, fd.sport, fd.dip, fd.dport)
    value = _trusted_tuple(event, entered, value)
    set_tuple(fd, value)
    _become_client(fd)
    changed = old != (fd.sip, fd.sport, fd.dip, fd.dport)
    if was_server and changed and fd.l4 == L4Proto.UDP:
        swap_ends(fd)
        rename(fd)


def _become_client(fd: Fd) -> None:
    if fd.role == Role.NONE:
        fd.role = Role.CLIENT


def _trusted_tuple(event: Event, entered: Event | None, value: SocketTuple) -> SocketTuple:
    """The destination as given at entry, if the memory at exit says the tuple came from there."""
    if entered is None or value.family == AF_UNIX:
        return value
    given: SocketAddress | None = entered.named_param("addr")
    at_exit: SocketAddress | None = event.param(3)
    if given is None or not given.is_valid or given.family != value.family:
        return value
    if at_exit is None or (at_exit.address, at_exit.port) != (value.dip, value.dport):
        return value
    return structs.replace(value, dip=given.address, dport=given.port)


def _connect_to(fd: Fd, address: SocketAddress | None) -> None:
    """Take over the address given at entry, which says nothing of the local end: no role, no name.

    A unix path is a whole name.
    """
    if address is None or not address.is_valid:
        return
    if address.family in {AF_INET, AF_INET6}:
        fd.dip, fd.dport = unmap(address.address), address.port
        fd.type = FdType.IPV4 if len(fd.dip) == 4 else FdType.IPV6
        fd.sip = fd.sip if len(fd.sip) == len(fd.dip) else bytes(len(fd.dip))
    elif address.family == AF_UNIX:
        fd.name = address.path


def on_accept(tables: Tables, event: Event) -> None:
    """accept and accept4: a new connection whose server is the caller."""
    number = event.param(0)
    value: SocketTuple | None = event.param(1)
    if number is None or number < 0:
        return
    event.fd_num = number
    if value is None or not value.is_valid:
        return
    if value.family not in {AF_UNIX, AF_INET, AF_INET6}:
        return
    fd = Fd(type=FdType.UNKNOWN, role=Role.SERVER, is_connected=True)
    set_tuple(fd, value)
    if fd.type in IP_TYPES:
        fd.l4 = L4Proto.TCP
        tables.note_server_port(fd.dport)
    tables.add_fd(event, number, fd)


def _transfer(tuple_index: int, *, incoming: bool) -> Handler:
    """A datagram or stream write (incoming False) or read; the tuple names both ends."""

    def handle(tables: Tables, event: Event) -> None:
        result, fd = tables.result, event.fd
        if result is None or result < 0:
            return
        if fd is not None:
            if fd.type in _CONNECTIONS:
                fd.is_connected = True
            if fd.name and fd.l4 == L4Proto.TCP:
                return
            if not tables.keep_fds and fd.type in IP_TYPES:
                _recall(tables, fd)
        value: SocketTuple | None = event.param(tuple_index)
        if fd is None:
            # Only what is sent shows a socket that was not seen to be made.
            if incoming or value is None or value.family not in {AF_INET, AF_INET6}:
                return
            if event.fd_num < 0:
                return
            fd = Fd(type=FAMILY_TYPES[value.family], l4=L4Proto.UDP)
            fd.is_connected = True
            tables.add_fd(event, event.fd_num, fd)
        if value is None or not value.is_valid:
            return
        if not _update(tables, fd, value):
            return
        if fd.type == FdType.UNIX:
            fd.name = tuple_text(value)
            return
        if fd.role == Role.NONE:
            # A quirk of the reference engine: who meets an IPv6 peer first is its client.
            is_server = incoming and fd.type == FdType.IPV4
            fd.role = Role.SERVER if is_server else Role.CLIENT
        if fd.role == (Role.CLIENT if incoming else Role.SERVER):
            # The tuple goes from sender to receiver; entries go from client to server.
            swap_ends(fd)
        rename(fd)
        if not tables.keep_fds:
            tables.talks.note(fd)

    return handle


def _recall(tables: Tables, fd: Fd) -> None:
    """Make a live socket what its earlier transfers made of it."""
    talk = tables.talks.find(fd)
    if talk is None:
        return
    fd.is_connected = True
    if fd.role == Role.NONE:
        fd.role = talk.role
    tables.old_name = talk.name


def _update(tables: Tables, fd: Fd, value: SocketTuple) -> bool:
    """Bring an entry's ends up to date; False when the tuple says nothing new."""
    if value.family == AF_UNIX:
        fd.type = FdType.UNIX
        fd.unix_source, fd.unix_dest = value.unix_source, value.unix_dest
        return True
    if value.family not in {AF_INET, AF_INET6}:
        return False
    sip, dip = value.sip, value.dip
    if is_mapped(sip) and is_mapped(dip):
        sip, dip = unmap(sip), unmap(dip)
    kind = FdType.IPV4 if len(sip) == 4 else FdType.IPV6
    if fd.type in _LISTENING or fd.type != kind:
        fd.type = kind
        fd.sip, fd.sport, fd.dip, fd.dport = b"", 0, b"", 0
    else:
        there = (sip, value.sport, dip, value.dport)
        back = (dip, value.dport, sip, value.sport)
        if (fd.sip, fd.sport, fd.dip, fd.dport) in (there, back):
            return False
    fd.sip, fd.sport = sip, value.sport
    if not any(fd.dip):
        fd.dip = dip
    if not fd.dport:
        fd.dport = value.dport
    if fd.l4 == L4Proto.UNKNOWN:
        fd.l4 = L4Proto.UDP
    infer_ipv4(tables.host.interfaces, fd)
    return True


def _mark_connected(_tables: Tables, event: Event) -> None:
    """Any read or write that succeeded shows that an ip socket is connected."""
    result, fd = event.param(0), event.fd
    if fd is not None and fd.type in _CONNECTIONS and result is not None and result >= 0:
        fd.is_connected = True


CONNECTED_EVENTS = frozenset({
    "PPME_SYSCALL_READ_X", "PPME_SYSCALL_WRITE_X", "PPME_SYSCALL_READV_X",
    "PPME_SYSCALL_WRITEV_X", "PPME_SYSCALL_PREADV_X", "PPME_SYSCALL_PWRITEV_X",
})  # fmt: skip
"""Events that change nothing but Fact.CONNECTED."""

HANDLERS: Mapping[str, Handler] = {
    "PPME_SOCKET_SOCKET_X": on_socket,
    "PPME_SOCKET_SOCKETPAIR_X": on_socketpair,
    "PPME_SOCKET_BIND_X": on_bind,
    "PPME_SOCKET_CONNECT_X": on_connect,
    "PPME_SOCKET_ACCEPT_5_X": on_accept,
    "PPME_SOCKET_ACCEPT4_6_X": on_accept,
    "PPME_SOCKET_SEND_X": _transfer(4, incoming=False),
    "PPME_SOCKET_SENDTO_X": _transfer(4, incoming=False),
    "PPME_SOCKET_SENDMSG_X": _transfer(4, incoming=False),
    "PPME_SOCKET_SENDMMSG_X": _transfer(4, incoming=False),
    "PPME_SOCKET_RECV_X": _transfer(4, incoming=True),
    "PPME_SOCKET_RECVMMSG_X": _transfer(4, incoming=True),
    "PPME_SOCKET_RECVFROM_X": _transfer(2, incoming=True),
    "PPME_SOCKET_RECVMSG_X": _transfer(3, incoming=True),
    "PPME_SYSCALL_READ_X": _mark_connected,
    "PPME_SYSCALL_WRITE_X": _mark_connected,
    "PPME_SYSCALL_READV_X": _mark_connected,
    "PPME_SYSCALL_WRITEV_X": _mark_connected,
    "PPME_SYSCALL_PREADV_X": _mark_connected,
    "PPME_SYSCALL_PWRITEV_X": _mark_connected,
}
