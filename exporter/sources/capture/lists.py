"""Machine, interfaces, users and groups as a capture's metadata blocks tell them.

Source: spec/scap-format.md sections 4 to 6.
"""

from msgspec import Struct, field

from exporter.events.container import Group, User
from exporter.events.host import Host, Interface
from exporter.sources.capture.blocks import Block

_HOSTNAME_BYTES = 128
_MAX_INTERFACE_NAME = 1023
_MAX_NAME = 256
_MAX_PATH = 1024
_MAX_ENTRIES = 65_536
"""Interfaces, users and groups each; no machine has so many in its files."""

_ENTRY_MIN_BYTES = 4
_USER, _GROUP = 0, 1
_INTERFACE_KINDS = {1: (4, True), 2: (16, True), 3: (4, False), 4: (16, False)}
"""Kind -> bytes of an address, whether a link speed follows."""


class UserList(Struct):
    """The users and groups of the host, by id."""

    users: dict[int, User] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)


def read_machine(block: Block, host: Host) -> None:
    """Number of CPUs, host name and boot time."""
    host.num_cpus = block.u32()
    block.u64()  # Memory.
    block.u64()  # Largest pid.
    host.hostname = block.take(_HOSTNAME_BYTES).split(b"\0", 1)[0]
    host.boot_ts_ns = block.u64()


def read_interfaces(block: Block, version: int) -> list[Interface]:
    """The addresses of the machine. Raises CaptureError for an unknown kind of address."""
    found: list[Interface] = []
    while block.left >= _ENTRY_MIN_BYTES:
        rest = block.left - 4
        size = block.u32() if version > 1 else rest
        interface = _read_interface(block)
        if len(found) < _MAX_ENTRIES:
            found.append(interface)
        if version > 1:
            # A known writer's bug makes entries whose length is wrong; never leave the block.
            block.skip(max(0, size - (rest - block.left)))
    return found


def _read_interface(block: Block) -> Interface:
    offset = block.source.offset
    kind = block.u16()
    size = block.u16()
    if kind not in _INTERFACE_KINDS:
        raise block.error(f"unknown kind {kind} of interface address", offset=offset)
    if size > _MAX_INTERFACE_NAME:
        raise block.error(
            f"interface name of {size} bytes, at most {_MAX_INTERFACE_NAME} are valid",
            offset=offset,
        )
    width, has_speed = _INTERFACE_KINDS[kind]
    address, netmask, broadcast = block.take(width), block.take(width), block.take(width)
    if has_speed:
        block.u64()
    name = block.take(size).split(b"\0", 1)[0]
    return Interface(name=name, address=address, netmask=netmask, broadcast=broadcast)


def read_users(block: Block, version: int) -> UserList:
    """Users and groups; a later entry of an id replaces an earlier one."""
    found = UserList()
    while block.left >= _ENTRY_MIN_BYTES:
        before = block.left
        size = block.u32() if version > 1 else 0
        offset = block.source.offset
        kind = block.u8()
        if kind == _USER:
            uid, gid = block.u32(), block.u32()
            name = block.text(_MAX_NAME, "user name")
            home = block.text(_MAX_PATH, "home directory")
            shell = block.text(_MAX_PATH, "shell")
            if len(found.users) < _MAX_ENTRIES:
                found.users[uid] = User(uid=uid, gid=gid, name=name, home=home, shell=shell)
        elif kind == _GROUP:
            gid = block.u32()
            name = block.text(_MAX_NAME, "group name")
            if len(found.groups) < _MAX_ENTRIES:
                found.groups[gid] = Group(gid=gid, name=name)
        elif version == 1:
            raise block.error(f"unknown kind {kind} of user entry", offset=offset)
        if version > 1:
            _skip_entry(block, size, before)
    return found


def _skip_entry(block: Block, size: int, before: int) -> None:
    """Go to the end of an entry whose length includes itself; before: bytes left at its start."""
    used = before - block.left
    if size < used:
        raise block.error(
            f"entry of {size} bytes whose content takes {used}", offset=block.source.offset
        )
    block.skip(size - used)
