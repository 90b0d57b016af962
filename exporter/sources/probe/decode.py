"""Records of the ring buffer -> `Event`.

The parameters stay bytes; their decoders (native flags to the event table's) come from
exporter/events/native.py and run when a rule asks.
"""

import struct
from collections.abc import Sequence

from exporter.errors import DecodeError
from exporter.events.event import Event, ParamDecoder
from exporter.events.fd import Fd
from exporter.events.host import Host
from exporter.events.live import LiveContext
from exporter.events.native import live_decoders
from exporter.events.table import EventType, load_event_table
from exporter.sources.probe.fd_facts import decode_fd
from exporter.sources.probe.record import HEADER, RECORD_STATE_ONLY, Attachment
from exporter.sources.probe.record_params import RecordParams

_TLV = struct.Struct("<HH")
_LENGTHS = [struct.Struct(f"<{count}H") for count in range(64)]

_MANY_PARAMS = 20
"""Events with so many tell of a whole process, which the state reads from the record itself."""

_Shape = tuple[EventType, Sequence[ParamDecoder]]


class Decoder:
    """Makes events of records and numbers them from 1.

    host: what fields of rules read through the event. Used by one thread.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.count = 0
        self._types = {event.code: event for event in load_event_table().events}
        self._shapes: dict[int, _Shape] = {}

    def _shape(self, code: int) -> _Shape:
        event = self._types.get(code)
        if event is None:
            raise DecodeError(f"unknown event code {code}", code="D_CODE")
        shape = (event, live_decoders(event))
        self._shapes[code] = shape
        return shape

    def decode(self, data: bytes, offset_ns: int) -> Event:
        """One record -> event. offset_ns: from the kernel's clock to the epoch (clock.py).

        Raises DecodeError when the bytes do not have the shape of a record.
        """
        try:
            return self._decode(data, offset_ns)
        except (struct.error, IndexError) as error:
            raise DecodeError(f"record of {len(data)} bytes: {error}", code="D_RECORD") from error

    def _decode(self, data: bytes, offset_ns: int) -> Event:
        (
            ts_ns, record_len, code, nparams, tid, pid, ptid, vtid, vpid, uid, gid, loginuid, sid,
            pgid, vpgid, tty, mntns, cpu, flags, start_boottime_ns, cgroup_id, comm, pidns_level,
            attachments_len, ppid,
        ) = HEADER.unpack_from(data)  # fmt: skip
        event_type, decoders = self._shapes.get(code) or self._shape(code)
        if record_len != len(data):
            raise DecodeError(
                f"record of {len(data)} bytes says it has {record_len}", code="D_RECORD"
            )
        lengths = _LENGTHS[nparams].unpack_from(data, HEADER.size)
        at = HEADER.size + 2 * nparams
        raw: Sequence[bytes]
        if nparams >= _MANY_PARAMS:
            raw = RecordParams(data, lengths, at)
            at += sum(lengths)
        else:
            raw = parts = []
            for length in lengths:
                end = at + length
                parts.append(data[at:end])
                at = end
        if at + attachments_len != record_len:
            raise DecodeError("the parameters do not fill the record", code="D_RECORD")
        live = LiveContext(
            pid=pid, ptid=ptid, vtid=vtid, vpid=vpid, pidns_level=pidns_level, uid=uid, gid=gid,
            loginuid=loginuid, sid=sid, pgid=pgid, vpgid=vpgid, tty=tty, mntns=mntns,
            cgroup_id=cgroup_id, start_boottime_ns=start_boottime_ns,
            comm=comm.partition(b"\0")[0], truncated=flags & ~RECORD_STATE_ONLY, ppid=ppid,
        )  # fmt: skip
        if attachments_len:
            self._attach(live, data, at)
        self.count += 1
        return Event(
            num=self.count,
            ts_ns=ts_ns + offset_ns,
            cpu=cpu,
            tid=tid,
            type=event_type,
            raw=raw,
            decoders=decoders,
            host=self.host,
            kernel_ts_ns=ts_ns,
            live=live,
            is_hidden=flags & RECORD_STATE_ONLY != 0,
        )

    @staticmethod
    def _attach(live: LiveContext, data: bytes, at: int) -> None:
        fds: dict[int, Fd] = {}
        while at < len(data):
            kind, length = _TLV.unpack_from(data, at)
            at += _TLV.size
            body = data[at : at + length]
            at += length
            if kind == Attachment.CWD:
                live.cwd = body
            elif kind == Attachment.DIRFD:
                live.dirfd_path = body
            elif kind == Attachment.DIRFD2:
                live.dirfd2_path = body
            elif kind == Attachment.CGROUP:
                live.cgroup_path = body
            elif kind == Attachment.FD:
                number, fd = decode_fd(body)
                fds[number] = fd
        if at != len(data):
            raise DecodeError("an attachment is cut short", code="D_RECORD")
        if fds:
            live.fds = fds
