"""Which operators, comparisons and transformers every field of the catalogue takes, by its type."""

import pytest

from exporter.rules.ast import Check, Exists
from exporter.rules.bind import bind_check
from exporter.rules.conditions import ConditionError
from exporter.rules.fields.catalogue import CLASSES
from exporter.rules.fields.field import NO_RHS, NO_TRANSFORMER, PRINT_ONLY, ValueType
from exporter.rules.loader import RulesSource, load_rules
from exporter.rules.parser import parse_condition
from exporter.rules.template import Token, split_template

ORDER = {"<", "<=", ">", ">="}
EQUALITY = {"=", "!=", "in", "intersects", "exists"}
HEX = {"bcontains", "bstartswith"}
AFFIXES = {"contains", "startswith", "endswith"}
TEXT = {"icontains", "glob", "iglob", "regex", "pmatch"}
OPERATORS = ORDER | EQUALITY | HEX | AFFIXES | TEXT
LISTS = {"in", "intersects", "exists"}
TEXTS = {"CHARBUF", "FSPATH", "FSRELPATH"}
LIST_ELEMENTS = {"CHARBUF", "UINT64", "RELTIME", "ABSTIME", "BOOL", "IPADDR", "IPNET"}
SUFFIXES = {
    "evt.type.is": ".open",
    "evt.arg": ".fd",
    "evt.rawarg": ".fd",
    "thread.cgroup": ".cpu",
}
FIELDS = [
    pytest.param(field, cls.sources[0] if cls.sources else "syscall", id=field.name)
    for cls in CLASSES
    for field in cls.fields
]


def written(field):
    """The field as a condition names it, with an argument where one is required."""
    return field.name + (SUFFIXES.get(field.name, "[1]") if field.is_arg_required else "")


def type_of(field):
    """The type of what `written` reads."""
    return ValueType.FD if field.name == "evt.rawarg" else field.type


def allowed(field):
    """The operators of the field's type (rule-language.md section 4)."""
    kind = str(type_of(field))
    if PRINT_ONLY in field.flags:
        return set()
    if field.is_list:
        return LISTS if kind in LIST_ELEMENTS else {"exists"}
    if kind in TEXTS:
        return OPERATORS - HEX
    if kind == "BYTEBUF":
        return EQUALITY | AFFIXES | HEX
    if kind == "BOOL" or kind.startswith("IP"):
        return EQUALITY
    return EQUALITY | ORDER


def constant(field, operator):
    """A constant of the field's type."""
    kind = str(type_of(field))
    if operator in HEX:
        return "12"
    if field.name == "evt.type":
        return "open"
    if kind in TEXTS | {"BYTEBUF"}:
        return "1"
    if kind == "BOOL":
        return "true"
    if kind.startswith("IP"):
        return "10.0.0.0/8" if kind.endswith("NET") else "10.0.0.1"
    return "1"


def compiles(condition, source):
    """Whether the check compiles."""
    check = parse_condition(condition)
    assert isinstance(check, Check | Exists)
    try:
        bind_check(check, source)
    except ConditionError:
        return False
    return True


@pytest.mark.parametrize(("field", "source"), FIELDS)
def test_operators_go_by_type(field, source):
    """A field takes exactly the operators of its type; `==` is `=`."""
    taken = set()
    for operator in OPERATORS - (ORDER if field.name == "evt.type" else set()):
        value = "1" if operator in ORDER else constant(field, operator)
        right = f"({value})" if operator in {"in", "intersects", "pmatch"} else value
        check = f"{written(field)} {operator}" + ("" if operator == "exists" else f" {right}")
        if compiles(check, source):
            taken.add(operator)

    expected = allowed(field) - (ORDER if field.name == "evt.type" else set())
    assert expected == taken


@pytest.mark.parametrize(("field", "source"), FIELDS)
def test_flags_forbid_the_right_side_and_transformers(field, source):
    """`val()` and `len()` go by type and by the flags of the field."""
    kind, name = str(type_of(field)), written(field)
    is_readable = PRINT_ONLY not in field.flags
    operator = "in" if field.is_list else "="
    can_stand_right = operator in allowed(field) and NO_RHS not in field.flags
    has_length = field.is_list or kind in TEXTS | {"BYTEBUF"}

    assert (can_stand_right and not kind.endswith("NET")) == compiles(
        f"{name} {operator} val({name})", source
    )
    assert (is_readable and has_length and NO_TRANSFORMER not in field.flags) == compiles(
        f"len({name}) = 1", source
    )


@pytest.mark.parametrize(("field", "source"), FIELDS)
def test_every_field_is_a_token_of_outputs(field, source):
    """Outputs may name every field, those that are only for conditions included."""
    (token,) = split_template(f"%{written(field)}", source)

    assert isinstance(token, Token)
    assert written(field) == token.text


VOCABULARY = """
- required_engine_version: 0.57.0
- required_plugin_versions: [{name: container, version: 0.4.0}]
- list: private_nets
  items: ['"10.0.0.0/8"', '"172.16.0.0/12"']
- list: hosts
  items: ['"pool.example.net"', "api.example.net"]
- macro: never
  condition: (evt.num=0)
- macro: spawned
  condition: (evt.type in (execve, execveat))
- macro: opened_for_write
  condition: (evt.type in (open,openat,openat2) and evt.is_open_write=true and fd.typechar='f'
    and fd.num>=0)
- macro: contained
  condition: (container.id != host)
- macro: outbound
  condition: >
    (((evt.type = connect) or (evt.type in (sendto,sendmsg) and fd.l4proto != tcp and
      fd.connected=false and fd.name_changed=true)) and (fd.typechar = 4 or fd.typechar = 6) and
      (fd.ip != "0.0.0.0" and fd.net != "127.0.0.0/8" and not fd.snet in (private_nets)) and
      (evt.rawres >= 0 or evt.res = EINPROGRESS))
"""
CHECKS = [
    "opened_for_write and fd.directory in (/etc, /root) and fd.filename in (.bashrc) or never",
    "opened_for_write and fd.nameraw glob *../*../* and fd.name pmatch (/dev/shm, /root/*)",
    "spawned and proc.aname in (sshd) and proc.aname[1] = sh and proc.aname[5] in (a, b)",
    "spawned and proc.duration <= 5000000000 and proc.tty != 0 and proc.vpid = 1",
    'spawned and proc.env icontains HTTP_PROXY and proc.args contains " -e " and proc.args = ""',
    "spawned and proc.exe startswith /tmp and proc.pexe endswith x and proc.aexe[2] endswith y",
    "spawned and proc.is_exe_upper_layer=true and proc.is_exe_from_memfd = true",
    "spawned and proc.is_vpgid_leader=true and proc.pcmdline contains -c and proc.cwd startswith /",
    "spawned and proc.exepath startswith memfd: and thread.cap_permitted contains CAP_SYS_ADMIN",
    "spawned and contained and container.privileged=true and container.mount.dest[/proc*] exists",
    'spawned and container.mount.dest[/var/run/docker.sock] != "N/A" and k8s.pod.name exists',
    "spawned and container.image.repository endswith /x and k8s.ns.name in (kube-system)",
    "spawned and user.uid=0 and user.loginuid = -1 and user.name != root",
    'outbound and fd.sip.name in (hosts) and fd.sport in (80, 443) and fd.sip = "169.254.169.254"',
    "outbound and fd.sockfamily = ip and fd.port in (53) and fd.l4proto=udp and fd.type in (ipv4)",
    'evt.type in (accept, accept4, listen) and fd.cip in ("10.0.0.1") and fd.cip.name in (hosts)',
    "evt.type = listen and not fd.cnet in (private_nets) and fd.rnet in (private_nets)",
    "evt.type = ptrace and evt.arg.request contains PTRACE_ATTACH",
    "evt.type in (symlink, symlinkat) and evt.arg.target in (/etc)",
    "evt.type in (link, linkat) and evt.arg.oldpath in (/etc)",
    "evt.type = socket and evt.arg.domain contains AF_PACKET",
    "evt.type in (dup, dup2, dup3) and evt.rawres in (0, 1, 2) and fd.type in (ipv4, ipv6)",
    "evt.type in (init_module, finit_module) and thread.cap_effective icontains sys_module",
    "evt.type = bpf and evt.arg.cmd in (5, BPF_PROG_LOAD)",
    "evt.type = setuid and evt.arg.uid in (root)",
    (
        "evt.type in (chmod, fchmod, fchmodat) and evt.arg.mode contains S_ISUID and "
        "evt.arg.filename startswith /"
    ),
    (
        "evt.type in (rename, renameat, renameat2, rmdir, unlink, unlinkat) and "
        "(evt.arg.path startswith /x or evt.arg.name endswith y or evt.arg.newpath contains z)"
    ),
    "evt.type in (mkdir, mkdirat, creat, setns, unshare, userfaultfd) and evt.res startswith E",
    "evt.type = recvfrom and fd.type contains ip and evt.buffer bcontains cafebabe",
    "evt.type = open and evt.is_open_exec=true and evt.arg.flags contains O_CREAT",
    (
        "evt.type = open and evt.is_open_read=true and proc.name in (cat) and proc.pname exists "
        "and evt.type intersects (open)"
    ),
]
OUTPUT = (
    "%evt.type %proc.cmdline %proc.pname %proc.tty %user.loginuid %user.uid %user.name "
    "%proc.exepath %fd.lport %fd.rport %fd.l4proto %evt.args %group.gid %group.name "
    "%user.loginname %container.start_ts %proc.aexepath[2] %evt.arg.linkpath %evt.arg.fd %proc.env"
)


@pytest.mark.parametrize("condition", CHECKS)
def test_the_vocabulary_of_default_rules_compiles(condition):
    """Every field, with every operator, that the well-known default rules use loads cleanly."""
    lines = [
        "- rule: r",
        "  desc: d",
        f"  condition: >\n    {condition}",
        f'  output: "{OUTPUT}"',
        "  priority: NOTICE",
    ]

    report = load_rules([RulesSource("a.yaml", VOCABULARY + "\n".join(lines))])

    warned = [str(found.code) for found in report.results[0].warnings]
    assert report.successful, report.verbose()
    assert set(warned) <= {"LOAD_UNUSED_MACRO", "LOAD_UNUSED_LIST"}
