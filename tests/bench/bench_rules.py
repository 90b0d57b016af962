"""Speed of rule matching: ns an event for about a hundred rules, against the plain interpreter.

Rules are of the shape users write: an event type, a macro for the kind of access, path or name
lists, exclusions by program, container and ancestor.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.rules.engine import Engine
from exporter.rules.event_index import event_types
from exporter.rules.loader import RulesSource, load_rules
from exporter.rules.parser import parse_condition
from exporter.rules.priority import Priority
from exporter.rules.ruleset import Rule, Ruleset
from tests.bench.options import RULE_SETS
from tests.bench.report import Row
from tests.factories import make_event, make_thread
from tests.rules.interpreter import matches

TITLE = "matching (one event of each busy kind)"
_MIX = {
    "openat, reading": 60,
    "openat, writing": 10,
    "openat, failed": 15,
    "execve": 2,
    "connect": 3,
    "close": 10,
}
"""Events of each kind in a hundred, about as a busy web node has them."""

_READ = (
    "(evt.type in (open, openat, openat2) and evt.is_open_read=true and fd.typechar='f' "
    "and fd.num>=0)"
)
_WRITE = (
    "(evt.type in (open, openat, openat2) and evt.is_open_write=true and fd.typechar='f' "
    "and fd.num>=0)"
)
_SPAWN = "(evt.type in (execve, execveat))"
_CONTAINER = "(container.id != host)"
_SHELLS = "(proc.name in (bash, sh, zsh, dash, ksh, csh, tcsh, fish))"
_OUTBOUND = (
    "(evt.type in (connect, sendto, sendmsg) and (fd.typechar = 4 or fd.typechar = 6) "
    'and (fd.ip != "0.0.0.0" and fd.net != "127.0.0.0/8") '
    "and (evt.rawres >= 0 or evt.res = EINPROGRESS))"
)
_MANAGERS = "(proc.name in (dpkg, apt, apt-get, yum, dnf, rpm, pip, npm, apk, snapd))"


def conditions() -> list[str]:
    """About a hundred conditions."""
    out: list[str] = []
    for n in range(20):
        out.append(
            f"{_READ} and (fd.name startswith /secret/{n}/ or fd.name in (/etc/s{n}, /etc/t{n})) "
            f"and not {_MANAGERS} and not proc.pname in (cron{n}, at{n})"
        )
        out.append(
            f"{_WRITE} and fd.name startswith /guarded/{n} and not {_MANAGERS} "
            f"and not proc.aname[2] in (ansible{n}, chef{n})"
        )
        out.append(
            f"{_SPAWN} and {_CONTAINER} and {_SHELLS} and proc.tty != 0 "
            f"and proc.pname in (runc{n}, shim{n})"
        )
        out.append(
            f'{_SPAWN} and proc.cmdline contains "--evil-{n}" and not {_MANAGERS} '
            f"and not proc.aname in (systemd{n}, init{n})"
        )
        out.append(f"{_OUTBOUND} and fd.sport = {4000 + n} and {_CONTAINER} and not {_SHELLS}")
    return out


def own_rules() -> Ruleset:
    """The rules of `conditions`, without a file."""
    rules = []
    for index, text in enumerate(conditions()):
        ast = parse_condition(text, 1000)
        rules.append(
            Rule(
                index=index,
                name=f"rule {index}",
                desc="",
                condition=text,
                ast=ast,
                output="",
                priority=Priority.DEBUG,
                event_types=event_types(ast, "syscall"),
            )
        )
    return Ruleset(tuple(rules))


def load(files: list[Path]) -> Ruleset:
    """The enabled rules of rules files."""
    report = load_rules([RulesSource(str(path), path.read_bytes()) for path in files])
    assert report.successful, report.summary()
    rules = [rule for rule in report.ruleset.rules if rule.is_enabled]
    return Ruleset(tuple(rules))


def sample_events() -> dict[str, Event]:
    """One non-matching event of each busy kind."""
    parent = make_thread("bash", tid=50)
    proc = make_thread("python3", tid=100, parent=parent, args=("-m", "http.server"))
    socket = Fd(
        type=FdType.IPV4,
        name=b"10.0.0.1:5->10.0.0.2:443",
        sip=b"\x0a\0\0\1",
        dip=b"\x0a\0\0\2",
        sport=5,
        dport=443,
        role=Role.CLIENT,
        l4=L4Proto.TCP,
    )
    found = {
        "openat, reading": make_event(
            "openat", proc=proc, fd_name="/usr/lib/python3/os.py", params={"fd": 3, "flags": 1}
        ),
        "openat, writing": make_event(
            "openat", proc=proc, fd_name="/tmp/x", params={"fd": 3, "flags": 2}
        ),
        "openat, failed": make_event(
            "openat", proc=proc, params={"fd": -2, "flags": 1, "dirfd": -100, "name": "/nope"}
        ),
        "execve": make_event("execve", proc=proc, params={"res": 0}),
        "connect": make_event("connect", proc=proc, fd=socket, params={"res": 0, "fd": 3}),
        "close": make_event("close", proc=proc, fd_name="/tmp/x"),
    }
    for event in found.values():
        event.host.threads[parent.tid] = parent
    return found


def time_ns(call: Callable[[Event], object], event: Event, rounds: int) -> float:
    """Best of five: ns of processor time a call."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time_ns()
        for _ in range(rounds):
            call(event)
        best = min(best, (time.process_time_ns() - start) / rounds)
    return best


def run(*, quick: bool) -> Iterator[Row]:
    """One row a kind of event, then the mix of them; our own rules match none, the usual case."""
    start = time.perf_counter()
    files = [path for one in RULE_SETS for path in one]
    ruleset = load(files) if files else own_rules()
    seconds = time.perf_counter() - start
    yield Row(f"load {len(ruleset.rules)} rules", f"{1000 * seconds:.0f} ms")
    start = time.perf_counter()
    engine = Engine(ruleset)
    seconds = time.perf_counter() - start
    yield Row(f"compile {len(ruleset.rules)} rules", f"{1000 * seconds:.0f} ms")
    mix_fast = mix_slow = 0.0
    for name, event in sample_events().items():
        code = event.type.code
        tried = [rule for rule in ruleset.rules if code in rule.event_types]

        def interpret(event: Event, tried: list[Rule] = tried) -> None:
            for rule in tried:
                if matches(rule.ast, event):
                    return

        assert files or not engine.match(event)
        fast = time_ns(engine.match, event, 2_000 if quick else 20_000)
        slow = time_ns(interpret, event, 20 if quick else 200) if tried else 0.0
        yield Row(
            f"{name}: {len(tried)} rules tried",
            f"{fast:,.0f} ns, {fast / max(len(tried), 1):.1f} a rule",
            f"interpreter {slow:,.0f} ns: {slow / fast:.1f} x",
            "10 x" if tried else "",
        )
        mix_fast += _MIX[name] * fast / 100
        mix_slow += _MIX[name] * max(slow, fast if not tried else 0.0) / 100
    yield Row(
        "the mix",
        f"{1e9 / mix_fast:,.0f} events/s, {mix_fast:,.0f} ns an event",
        f"interpreter {1e9 / mix_slow:,.0f} events/s: {mix_slow / mix_fast:.1f} x",
        "10 x",
    )
