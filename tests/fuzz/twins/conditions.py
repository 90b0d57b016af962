"""Random rules about what was seen: conditions that are true of a known event, or nearly so.

Takes specimens (fields of events that an instance without pushdown reported), gives rules. Values
come from the specimens, whole, in part and changed, so that about every check is near an event that
the same kind of scene makes again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from exporter.rules.fields.catalogue import fields_of, is_field

Specimen = Mapping[str, Any]

VOLATILE = (
    "evt.num", "evt.time", "evt.datetime", "evt.rawtime", "evt.reltime", "evt.latency",
    "evt.deltatime", "evt.outputtime", "evt.cpu", "evt.wait_latency", "evt.around", "evt.count",
    "evt.plugin", "evt.info", "proc.duration", "proc.ppid.duration", "proc.pid.ts", "proc.ppid.ts",
    "proc.pidns_init", "proc.exe_ino.ctime_", "proc.vm", "proc.fdopencount", "proc.fdusage",
    "proc.nthreads", "proc.nchilds", "proc.aenv", "thread.cpu", "thread.exectime",
    "thread.totexectime", "thread.vm", "thread.pf", "container.duration", "container.start_ts",
    "util.cnt", "fd.sip.name", "fd.cip.name", "fd.lip.name", "fd.rip.name",
)  # fmt: skip
"""Beginnings of names of fields that two instances need not agree on: each has its own clock."""
_NESTED = ("proc.aname[1]", "proc.aname[2]", "proc.aexe[1]", "proc.acmdline[1]", "proc.apid[1]",
           "proc.env[A]", "proc.args[0]", "proc.args[1]", "evt.abspath.src", "evt.abspath.dst",
           "thread.cgroup.cpu")  # fmt: skip
CORE = ("evt.type", "thread.tid", "proc.name", "evt.rawres", "fd.num", "fd.name", "evt.args")
_FAVOURED = frozenset({
    "proc.name", "fd.name", "fd.nameraw", "fd.directory", "fd.filename", "evt.rawres", "evt.res",
    "evt.failed", "user.uid", "user.loginuid", "group.gid", "container.id", "fd.typechar",
    "fd.type", "fd.num", "evt.is_open_read", "evt.is_open_write", "evt.is_open_exec",
    "evt.is_open_create", "evt.abspath", "fd.sip", "fd.cip", "fd.ip", "fd.snet", "fd.cnet",
    "fd.net", "fd.sport", "fd.cport", "fd.port", "fd.l4proto", "proc.exepath", "proc.exe",
    "proc.args", "proc.cmdline", "proc.is_exe_upper_layer", "proc.is_exe_from_memfd",
    "proc.is_exe_writable", "proc.tty", "proc.vpid", "proc.pname", "fs.path.name",
    "fs.path.nameraw", "fs.path.source", "fs.path.target", "fd.lip", "fd.rip", "fd.lport",
    "fd.rport", "fd.connected", "fd.sockfamily", "thread.cap_effective", "thread.cap_permitted",
    "proc.cwd", "user.name", "proc.exeline",
})  # fmt: skip
"""Fields that the kernel knows or may come to know."""
_ADDRESSES = {"fd.net": "fd.ip", "fd.snet": "fd.sip", "fd.cnet": "fd.cip", "fd.lnet": "fd.lip",
              "fd.rnet": "fd.rip"}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One comparison, as text."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Joined:
    """Parts joined by `and` or `or`."""

    word: str
    parts: tuple["Expression", ...]

    def __str__(self) -> str:
        return "(" + f" {self.word} ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True)
class Negated:
    """`not` of something."""

    part: "Expression"

    def __str__(self) -> str:
        return f"not {self.part}" if isinstance(self.part, Joined) else f"not ({self.part})"


Expression = Check | Joined | Negated


@dataclass(frozen=True)
class RandomRule:
    """One rule. exceptions: lists of (field, operator, value), each a way not to match.

    macro: whether a part of the condition is said by a macro.
    """

    name: str
    condition: Expression
    fields: tuple[str, ...]
    exceptions: tuple[tuple[tuple[str, str, str], ...], ...] = field(default=())
    is_with_macro: bool = False

    def text(self) -> str:
        """As YAML (of the JSON kind)."""
        condition = self.condition
        lines = []
        if self.is_with_macro and isinstance(condition, Joined):
            macro = f"m_{self.name.replace(' ', '_')}"
            lines.append({"macro": macro, "condition": str(condition.parts[-1])})
            condition = Joined(condition.word, (*condition.parts[:-1], Check(macro)))
        rule: dict[str, Any] = {
            "rule": self.name,
            "desc": "random",
            "condition": str(condition),
            "output": " ".join(f"%{name}" for name in self.fields),
            "priority": "NOTICE",
        }
        if self.exceptions:
            rule["exceptions"] = [
                {
                    "name": f"e{at}",
                    "fields": [name for name, _, _ in parts],
                    "comps": [op for _, op, _ in parts],
                    "values": [[value for _, _, value in parts]],
                }
                for at, parts in enumerate(self.exceptions)
            ]
        return "\n".join(f"- {json.dumps(item)}" for item in [*lines, rule]) + "\n"


def stable_fields() -> list[str]:
    """Fields without an argument on whose values two instances must agree, and some with one."""
    names = [
        one.name
        for one in fields_of("syscall").values()
        if not one.name.startswith(VOLATILE) and is_field(one.name, "syscall")
    ]
    return [*names, *_NESTED]


def quoted(value: str) -> str:
    """A value as a constant of a condition."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Conditions:
    """Rules about specimens."""

    def __init__(self, random: Random, specimens: Sequence[Specimen]) -> None:
        self._random = random
        self._specimens = specimens
        self._types = sorted({one["evt.type"] for one in specimens})
        by_field: dict[str, list[Any]] = {}
        for one in specimens:
            for name, value in one.items():
                if value is not None:
                    by_field.setdefault(name, []).append(value)
        self._values = by_field

    @property
    def types(self) -> list[str]:
        """Event types of which there are specimens."""
        return self._types

    def rule(self, name: str, event_type: str = "") -> RandomRule:
        """One rule, mostly true of some specimen. event_type: the only one it is about."""
        random = self._random
        pool = [one for one in self._specimens if event_type in {"", one["evt.type"]}]
        specimen = random.choice(pool)
        self._used: set[str] = set()
        depth = random.choice((0, 1, 1, 2, 2, 3))
        build = random.choice((self._true, self._true, self._true, self._any))
        condition = build(specimen, depth)
        types = Check(f"evt.type = {event_type}") if event_type else self._type_check(specimen)
        whole = condition if types is None else Joined("and", (types, condition))
        exceptions = (self._exception(),) if random.random() < 0.15 else ()
        more = random.sample(sorted(specimen), min(6, len(specimen)))
        fields = dict.fromkeys((*CORE, *sorted(self._used), *more))
        return RandomRule(name, whole, tuple(fields), exceptions, random.random() < 0.15)

    def _type_check(self, specimen: Specimen) -> Expression | None:
        random = self._random
        own = specimen["evt.type"]
        kind = random.random()
        if kind < 0.4:
            return Check(f"evt.type = {own}")
        if kind < 0.9:
            others = random.sample(self._types, min(len(self._types), random.randint(1, 5)))
            return Check(f"evt.type in ({', '.join(dict.fromkeys((own, *others)))})")
        if kind < 0.95:
            others = [
                one for one in random.sample(self._types, min(len(self._types), 20)) if one != own
            ]
            return Check(f"not evt.type in ({', '.join(others)})")
        return None

    def _exception(self) -> tuple[tuple[str, str, str], ...]:
        random = self._random
        other = random.choice(self._specimens)
        names = [n for n in ("proc.name", "fd.name", "fd.directory", "proc.exepath", "evt.res")
                 if isinstance(other.get(n), str)]  # fmt: skip
        chosen = random.sample(names, min(len(names), 2))
        if not chosen:
            return (("proc.name", "=", "nobody"),)
        return tuple(
            (n, random.choice(("=", "startswith", "contains")), other[n] or "x") for n in chosen
        )

    def _true(self, specimen: Specimen, depth: int) -> Expression:
        random = self._random
        if depth == 0:
            return self._check(specimen, is_true=True)
        match random.randrange(4):
            case 0:
                return Negated(self._false(specimen, depth - 1))
            case 1:
                parts = [self._true(specimen, depth - 1), self._any(specimen, depth - 1)]
                random.shuffle(parts)
                return Joined("or", tuple(parts))
            case _:
                count = random.randint(2, 3)
                return Joined("and", tuple(self._true(specimen, depth - 1) for _ in range(count)))

    def _false(self, specimen: Specimen, depth: int) -> Expression:
        random = self._random
        if depth == 0:
            return self._check(specimen, is_true=False)
        match random.randrange(4):
            case 0:
                return Negated(self._true(specimen, depth - 1))
            case 1:
                parts = [self._false(specimen, depth - 1), self._any(specimen, depth - 1)]
                random.shuffle(parts)
                return Joined("and", tuple(parts))
            case _:
                return Joined("or", tuple(self._false(specimen, depth - 1) for _ in range(2)))

    def _any(self, _specimen: Specimen, depth: int) -> Expression:
        other = self._random.choice(self._specimens)
        return self._random.choice((self._true, self._false))(other, depth)

    # -------------------------------------------------------------------------------------- checks

    def _check(self, specimen: Specimen, *, is_true: bool) -> Check:
        """A check that is (most likely) true or false of the specimen."""
        random = self._random
        names = [name for name, value in specimen.items() if value is not None]
        good = [
            n for n in names if n in _FAVOURED or n.startswith(("evt.arg", "evt.rawarg", "evt.abs"))
        ]
        name = random.choice(good if good and random.random() < 0.75 else names)
        networks = [net for net, of in _ADDRESSES.items() if specimen.get(of)]
        if networks and random.random() < 0.15:
            return self._network(random.choice(networks), specimen, is_true=is_true)
        self._used.add(name)
        value = specimen[name]
        if isinstance(value, bool):
            return Check(f"{name} {random.choice(('=', '!='))} {str(value is is_true).lower()}")
        if isinstance(value, int):
            return Check(self._number(name, value, is_true=is_true))
        if not isinstance(value, str):
            return Check(f"{name} exists" if is_true else f"not {name} exists")
        return Check(self._text(name, value, is_true=is_true))

    def _network(self, name: str, specimen: Specimen, *, is_true: bool) -> Check:
        address = str(specimen[_ADDRESSES[name]])
        size = self._random.choice((64, 128, 32, 0, 7) if ":" in address else (8, 16, 24, 32, 0, 3))
        net = f"{address}/{size}" if is_true else self._random.choice(("192.0.2.0/24", "fd00::/8"))
        if self._random.random() < 0.5:
            return Check(f'{name} in ("{net}", "198.51.100.0/24")')
        return Check(f'{name} {self._random.choice(("=", "!="))} "{net}"')

    def _number(self, name: str, value: int, *, is_true: bool) -> str:
        random = self._random
        other = self._other(name, value + random.choice((-1, 1, 100)))
        if not isinstance(other, int) or isinstance(other, bool):
            other = value + 1
        match random.randrange(6):
            case 0:
                return f"{name} {'=' if is_true else '!='} {value}"
            case 1:
                return f"{name} {'!=' if is_true else '='} {other}"
            case 2:
                chosen = [str(other), "7"] + ([str(value)] if is_true else [])
                return f"{name} in ({', '.join(chosen)})"
            case 3:
                return f"{name} {'<=' if is_true else '>'} {max(value, 0)}"
            case 4:
                return f"{name} {'>=' if is_true else '<'} {max(value, 0)}"
            case _:
                return f"{name} {'<' if is_true else '>='} {max(value, -1) + 1}"

    def _other(self, name: str, otherwise: Any) -> Any:
        """A value that another specimen has in this field."""
        random = self._random
        return random.choice(self._values[name]) if random.random() < 0.7 else otherwise

    def _text(self, name: str, value: str, *, is_true: bool) -> str:
        random = self._random
        left = name
        if random.random() < 0.05:
            left = f"{random.choice(('tolower', 'toupper', 'basename'))}({name})"
        other = str(self._other(name, value + "x"))
        chosen = value if is_true else other
        if not is_true and random.random() < 0.3:
            chosen = self._changed(value)
        match random.randrange(14):
            case 0 | 1:
                return f"{left} = {quoted(chosen)}"
            case 2:
                return f"{left} != {quoted(other if is_true else value)}"
            case 3 | 4:
                return f"{left} startswith {quoted(self._beginning(chosen))}"
            case 5 | 6:
                return f"{left} endswith {quoted(self._end(chosen))}"
            case 7:
                op = random.choice(("contains", "contains", "icontains"))
                return f"{left} {op} {quoted(self._middle(chosen))}"
            case 8 | 9:
                values = [
                    chosen,
                    *(str(self._other(name, "x")) for _ in range(random.randint(0, 3))),
                ]
                random.shuffle(values)
                return f"{left} in ({', '.join(map(quoted, values))})"
            case 10:
                op = random.choice(("glob", "glob", "iglob"))
                return f"{left} {op} {quoted(self._pattern(chosen))}"
            case 11:
                values = [self._leading(chosen), self._leading(other)]
                return f"{left} pmatch ({', '.join(map(quoted, values))})"
            case 12:
                op = random.choice(("=", "startswith", "endswith", "contains", "!="))
                word = random.choice(("anyof", "allof", "oneof"))
                values = [self._beginning(chosen), self._end(chosen), chosen]
                return f"{left} {op} {word} ({', '.join(map(quoted, random.sample(values, 2)))})"
            case _:
                return f"{name} exists"

    def _changed(self, value: str) -> str:
        random = self._random
        at = random.randrange(len(value) + 1)
        return random.choice(
            (value[:at] + "x" + value[at:], value[:at] + value[at + 1 :], value * 2)
        )

    def _beginning(self, value: str) -> str:
        random = self._random
        if random.random() < 0.3 and "/" in value:
            return value[: value.rfind("/") + random.choice((0, 1))]
        return value[: random.randint(0, len(value))]

    def _end(self, value: str) -> str:
        return value[self._random.randint(0, len(value)) :]

    def _middle(self, value: str) -> str:
        start = self._random.randint(0, len(value))
        return value[start : start + self._random.randint(1, 12)]

    def _pattern(self, value: str) -> str:
        random = self._random
        escaped = "".join("?" if letter in "*?[]\\" else letter for letter in value)
        at, end = sorted(random.randint(0, len(escaped)) for _ in range(2))
        return random.choice((
            escaped, escaped[:at] + "*", "*" + escaped[at:], "*" + escaped[at:end] + "*",
            escaped[:at] + "*" + escaped[end:], escaped[:at] + "?" + escaped[at + 1 :],
            escaped[:at] + "[!/]" + escaped[at + 1 :], escaped[:at] + "[a-z]*" + escaped[end:],
        ))  # fmt: skip

    def _leading(self, value: str) -> str:
        parts = value.split("/")
        kept = "/".join(parts[: self._random.randint(1, len(parts))])
        return kept.replace("a", "*", 1) if self._random.random() < 0.2 else kept or "/"


def simpler(expression: Expression) -> Iterable[Expression]:
    """Ways to say less: a part instead of the whole, a part left out, a part said more simply."""
    match expression:
        case Joined(word, parts):
            yield from parts
            for at, part in enumerate(parts):
                rest = (*parts[:at], *parts[at + 1 :])
                if len(rest) > 1:
                    yield Joined(word, rest)
                for less in simpler(part):
                    yield Joined(word, (*parts[:at], less, *parts[at + 1 :]))
        case Negated(part):
            yield part
            for less in simpler(part):
                yield Negated(less)
        case Check(text):
            head, opening, listed = text.partition(" (")
            values = listed[:-1].split(", ") if opening else []
            for at in range(len(values)):
                if len(values) > 1:
                    yield Check(f"{head} ({', '.join((*values[:at], *values[at + 1 :]))})")
