"""One section of a capture, up to its first event: header and metadata blocks into the host.

Source: spec/scap-format.md sections 3 to 8 and 13.
"""

from msgspec import Struct

from exporter.events.container import User
from exporter.events.host import Host
from exporter.sources.capture import blocks
from exporter.sources.capture.blocks import Block, Packing
from exporter.sources.capture.input import Input
from exporter.sources.capture.lists import UserList, read_interfaces, read_machine, read_users
from exporter.sources.capture.processes import ProcessLists

_LIST_BUDGET_BYTES = 64 << 20


class Section(Struct):
    """What stood before the events. left_out: entries of lists that were too many to keep."""

    packing: Packing
    users: UserList
    left_out: int

    def import_users(self, host: Host) -> None:
        """Take the user list over, in place of what earlier events told; root is always known."""
        host.users.update({(b"", user.uid): user for user in self.users.users.values()})
        host.groups.update({(b"", group.gid): group for group in self.users.groups.values()})
        host.users.setdefault((b"", 0), User(uid=0, gid=0, name=b"root", home=b"/root"))


def read_section(source: Input, name: str, host: Host) -> Section:
    """Read a section header and the metadata up to the first event, which is not taken.

    Fills machine, interfaces, threads and descriptors of the host. Raises CaptureError.
    """
    packing = blocks.read_section_header(source, name)
    lists = ProcessLists(host.threads, _LIST_BUDGET_BYTES)
    users = UserList()
    while True:
        found = source.available(blocks.HEADER_BYTES)
        if found == 0 and not source.damage:
            raise blocks.error_at(name, source.offset, "no events in file")
        if found >= 4:
            kind = packing.u32.unpack_from(source.buffer, source.position)[0]
            if kind in blocks.EVENT_BLOCKS:
                return Section(packing, users, lists.dropped)
        block = Block(source, name, packing)
        if block.type in blocks.USER_LIST_VERSIONS:
            users = read_users(block, blocks.USER_LIST_VERSIONS[block.type])
        else:
            _read_metadata(block, lists, host)
        block.finish()


def _read_metadata(block: Block, lists: ProcessLists, host: Host) -> None:
    """Any other block; unknown ones are passed over."""
    kind = block.type
    if kind in blocks.MACHINE_INFO:
        read_machine(block, host)
    elif kind in blocks.PROCESS_LIST_VERSIONS:
        lists.read_processes(block, blocks.PROCESS_LIST_VERSIONS[kind])
    elif kind in blocks.FD_LIST_VERSIONS:
        lists.read_fds(block, blocks.FD_LIST_VERSIONS[kind])
    elif kind in blocks.INTERFACE_LIST_VERSIONS:
        host.interfaces = read_interfaces(block, blocks.INTERFACE_LIST_VERSIONS[kind])
