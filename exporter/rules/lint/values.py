"""Values that never occur, prefixes that match too much, fields that are not there."""

from collections.abc import Iterator

from exporter.rules.ast import And, Check, FieldRef, Node, Not, Or, walk
from exporter.rules.decided import own_types, present_in
from exporter.rules.event_index import SYSCALL
from exporter.rules.lint.conditions import constants
from exporter.rules.lint.findings import Remark
from exporter.rules.ruleset import Rule
from exporter.rules.template import FormatError, Token, split_template

_COMM_BYTES = 15
_COMM_FIELDS = frozenset({"proc.name", "proc.pname", "proc.aname", "proc.sname", "proc.vpgid.name"})
_PATH_FIELDS = frozenset({
    "fd.name", "fd.directory", "fs.path.name", "fs.path.source", "fs.path.target", "proc.exepath",
    "proc.pexepath", "proc.aexepath", "evt.abspath",
})  # fmt: skip
_OFTEN_MISSING = (
    "proc.pname", "proc.pexe", "proc.pexepath", "proc.pcmdline", "proc.aname", "proc.aexe",
    "proc.aexepath", "proc.acmdline", "container.image", "container.name", "k8s.", "ka.", "jevt.",
)  # fmt: skip
_EXACT = frozenset({"=", "==", "in", "intersects"})


def value_remarks(rule: Rule) -> Iterator[Remark]:
    """L015, L016 and L017: constants that do not fit their field."""
    seen: set[Remark] = set()
    for node in walk(rule.ast):
        if isinstance(node, Check) and isinstance(node.left, FieldRef):
            for remark in (*_comm(node, node.left), *_path(node, node.left)):
                if remark not in seen:
                    seen.add(remark)
                    yield remark


def _comm(check: Check, field: FieldRef) -> Iterator[Remark]:
    if field.name not in _COMM_FIELDS or check.op not in _EXACT:
        return
    long = [text for text in constants(check) if len(text.encode("utf-8", "ignore")) > _COMM_BYTES]
    if long:
        yield Remark(
            "L016",
            f"{field} is cut at {_COMM_BYTES} bytes by the kernel and is never "
            f"{', '.join(map(repr, long))}",
            f"write {long[0].encode('utf-8', 'ignore')[:_COMM_BYTES].decode('utf-8', 'ignore')!r}",
        )


def _path(check: Check, field: FieldRef) -> Iterator[Remark]:
    if field.name not in _PATH_FIELDS:
        return
    for text in constants(check):
        if not text.startswith("/"):
            continue
        if check.op == "startswith" and not text.endswith(("/", "-", "_", ".", "*")):
            yield Remark(
                "L015",
                f"{field} startswith {text} also matches {text}-and-more",
                f"write {text}/ for what is below it, or {field} pmatch ({text})",
            )
        is_odd = "//" in text or "/../" in text or "/./" in text
        is_exact = check.op in _EXACT and len(text) > 1 and text.endswith("/")
        if is_odd or is_exact:
            yield Remark("L017", f"{field} is never {text}: paths are normalised")


def missing_remarks(rule: Rule) -> Iterator[Remark]:
    """L013: != on fields that processes and events often do not have."""
    seen: set[str] = set()
    for check in _unguarded(rule.ast, frozenset()):
        assert isinstance(check.left, FieldRef)
        text = str(check.left)
        if text not in seen:
            seen.add(text)
            yield Remark(
                "L013",
                f"{text} != ... is false when {text} is missing, and the rule stays silent",
                f"write not {text} = ..., or ask {text} exists as well",
            )


def _unguarded(node: Node, guarded: frozenset[str]) -> Iterator[Check]:
    """Comparisons with != of fields that nothing beside them says are there."""
    match node:
        case And(children):
            known = guarded | {field for child in children for field in _asked(child)}
            for child in children:
                yield from _unguarded(child, known)
        case Or(children):
            for child in children:
                yield from _unguarded(child, guarded)
        case Not():
            return
        case Check(FieldRef() as left, "!="):
            is_listed = left.name.startswith(_OFTEN_MISSING) or left.name in _OFTEN_MISSING
            if is_listed and str(left) not in guarded:
                yield node


def _asked(node: Node) -> Iterator[str]:
    """Fields that a check is only true for when they are there, != aside."""
    left = getattr(node, "left", None)
    if isinstance(left, FieldRef) and not (isinstance(node, Check) and node.op == "!="):
        yield str(left)


def output_remarks(rule: Rule, own_output: str) -> Iterator[Remark]:
    """L014: fields of the rule's own output that none of its events has."""
    if rule.source != SYSCALL:
        return
    codes = own_types(rule.ast, rule.source)
    if not codes:
        return
    try:
        parts = list(split_template(own_output, rule.source))
    except FormatError:
        return
    absent = [
        part.text
        for part in parts
        if isinstance(part, Token) and not present_in(part.operand, codes)
    ]
    for text in dict.fromkeys(absent):
        yield Remark("L014", f"%{text} prints <NA> for every event of the rule")
