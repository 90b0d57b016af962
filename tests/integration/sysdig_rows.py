"""Debian's sysdig and Lanner side by side: what each shows of the same capture.

sysdig 0.29 is four years older than the rules of the road that Lanner follows. Each way in which it
differs is one `Difference` here, with a section of its own in docs/sysdig-differences.md.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FIELDS = (
    "evt.rawtime", "evt.time", "evt.dir", "evt.type", "thread.tid", "evt.res", "evt.rawres",
    "evt.args", "proc.pid", "proc.ppid", "proc.name", "proc.pname", "proc.exe", "proc.exepath",
    "proc.cmdline", "proc.cwd", "fd.num", "fd.name", "fd.type", "fd.typechar", "fd.directory",
    "fd.filename", "fd.cip", "fd.sip", "fd.cport", "fd.sport", "fd.lip", "fd.rport", "fd.l4proto",
    "fd.connected", "fd.name_changed", "user.name", "user.uid", "container.id",
)  # fmt: skip
"""What is compared."""

_BETWEEN, _END = " ~|~ ", " ~$~"
FORMAT = "*" + _BETWEEN.join(f"%{name}" for name in FIELDS) + _END

Row = dict[str, str]
Key = tuple[str, str, str, str]
"""Time, thread, direction and name of an event. Numbers are no key: sysdig counts enter events."""

MISSING = "<NA>"


def missing_sysdig() -> str:
    """Why sysdig cannot be asked; empty when it can."""
    return "" if shutil.which("sysdig") else "Debian's sysdig is not installed"


def rows_of_sysdig(capture: Path) -> dict[Key, Row]:
    """Every event as sysdig shows it."""
    done = subprocess.run(
        ["sysdig", "-r", str(capture), "-p", FORMAT], capture_output=True, check=True, timeout=120
    )
    return _rows(done.stdout.decode("utf-8", "replace"))


def rows_of_lanner(capture: Path) -> dict[Key, Row]:
    """Every event as `lanner replay --fields` shows it."""
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "replay", str(capture), "--fields", FORMAT],
        capture_output=True,
        check=True,
        timeout=120,
    )
    return _rows(done.stdout.decode("utf-8", "replace"))


def _rows(text: str) -> dict[Key, Row]:
    found = {}
    for line in text.split(_END):
        if not line.strip("\n"):
            continue
        row = dict(zip(FIELDS, line.lstrip("\n").split(_BETWEEN), strict=True))
        name = row["evt.type"] = _NEW_NAMES.get(row["evt.type"], row["evt.type"])
        found[row["evt.rawtime"], row["thread.tid"], row["evt.dir"], name] = row
    return found


_NEW_NAMES = {"accept4": "accept"}
"""Names that calls got since; see "names of calls"."""


@dataclass(frozen=True)
class Difference:
    """One way in which sysdig shows something else.

    section: heading in docs/sysdig-differences.md. fields: those it can be in. holds: whether the
    two rows are a case of it.
    """

    section: str
    fields: frozenset[str]
    holds: Callable[[Row, Row], bool]


def _difference(section: str, fields: str, holds: Callable[[Row, Row], bool]) -> Difference:
    return Difference(section, frozenset(fields.split()), holds)


_OF_FD = " ".join(name for name in FIELDS if name.startswith("fd."))
_CUT = re.compile(r"\.\.\. ")


def _appended(theirs: Row, ours: Row) -> bool:
    return ours["evt.args"].startswith(theirs["evt.args"])


def _is_cut(theirs: Row, ours: Row) -> bool:
    found = _CUT.search(theirs["evt.args"])
    return found is not None and ours["evt.args"].startswith(theirs["evt.args"][: found.start()])


def _is_empty_buffer(theirs: Row, ours: Row) -> bool:
    filled = re.sub(r"(data|args|env)= ", r"\1=NULL ", theirs["evt.args"])
    return ours["evt.args"].startswith(filled)


def _is_renamed(theirs: Row, ours: Row) -> bool:
    plain = re.sub(r" loginuid=(\d+)\([^)]*\)", r" loginuid=\1", ours["evt.args"])
    return plain.startswith(theirs["evt.args"].replace(" pgid=", " vpgid="))


def _fails(row: Row) -> bool:
    return row["evt.rawres"].startswith("-")


DIFFERENCES = (
    _difference("Parameters that exit events got", "evt.args", _appended),
    _difference("Long parameters", "evt.args", _is_cut),
    _difference("Empty buffers", "evt.args", _is_empty_buffer),
    _difference("Renamed parameters", "evt.args", _is_renamed),
    _difference(
        "Descriptors of calls that told them at entry only",
        _OF_FD,
        lambda theirs, ours: theirs["fd.num"] == MISSING and ours["fd.num"] != MISSING,
    ),
    _difference(
        "Failed opens",
        _OF_FD,
        lambda theirs, ours: (
            theirs["evt.type"].startswith("open") and _fails(ours) and ours["fd.type"] == MISSING
        ),
    ),
    _difference(
        "Results of calls without a description",
        "evt.res evt.rawres",
        lambda theirs, _: theirs["evt.rawres"] == MISSING,
    ),
    _difference(
        "Processes only known by their events",
        "proc.pid proc.ppid proc.cwd",
        lambda _, ours: ours["proc.pid"] == "-1",
    ),
    _difference(
        "Parents of threads",
        "proc.ppid proc.pname",
        lambda _, ours: ours["proc.pid"] != ours["thread.tid"],
    ),
    _difference(
        "Path of the program",
        "proc.exepath",
        lambda theirs, ours: (
            ours["proc.exepath"] == MISSING
            or Path(ours["proc.exepath"]).name == Path(theirs["proc.exepath"]).name
        ),
    ),
    _difference(
        "Users after old execs",
        "user.name user.uid",
        lambda _, ours: ours["user.uid"] == "4294967295",
    ),
    _difference(
        "Root without a list of users",
        "user.name",
        lambda theirs, ours: (theirs["user.name"], ours["user.name"]) == (MISSING, "root"),
    ),
    _difference(
        "Client ports of sockets that have none",
        "fd.cport",
        lambda theirs, ours: (theirs["fd.cport"], ours["fd.cport"]) == ("0", MISSING),
    ),
)
"""Every way in which the two may differ; the first that holds explains a field."""


def explanation(field: str, theirs: Row, ours: Row) -> str:
    """Section that explains why this field differs; empty for none."""
    for difference in DIFFERENCES:
        if field in difference.fields and difference.holds(theirs, ours):
            return difference.section
    return ""
