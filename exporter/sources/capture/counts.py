"""What became of the events of a capture, by reason. Plain numbers."""

from collections.abc import Mapping

from msgspec import Struct


class CaptureCounts(Struct):
    """Events of a capture by what became of them.

    events: all records. delivered: given to the caller, `hidden` of them not for rules. unneeded:
    numbered but not given, because neither rules nor state look at their type. upgraded: dropped by
    the conversion of old versions (their exit events carry what they told). unknown_type: of a
    newer schema. bad_parameter: not given, because a text of theirs has no valid end. bad_number:
    given, but with a number of the wrong width, or a too long socket address, taken as empty.
    enters_evicted: stored enter events given up because too many waited. list_entries: threads and
    descriptors of the metadata left out for their size.
    """

    events: int = 0
    delivered: int = 0
    hidden: int = 0
    unneeded: int = 0
    upgraded: int = 0
    unknown_type: int = 0
    bad_parameter: int = 0
    bad_number: int = 0
    enters_evicted: int = 0
    list_entries: int = 0

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events and facts lost, by ("", reason)."""
        return {("", reason): getattr(self, reason) for reason in _LOSSES}


_LOSSES = ("unknown_type", "bad_parameter", "bad_number", "enters_evicted", "list_entries")
