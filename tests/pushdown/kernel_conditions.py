"""Conditions about what the kernel can test, for the properties of pushdown."""

from hypothesis import strategies as st

from tests.rules.condition_strategies import conditions as any_conditions

_PATH_VALUES = st.sampled_from((
    "/etc", "/etc/", "/etc/shadow", "/etc/pam.d", "/root/.ssh", "/root", "/", "shadow", ".ssh",
    "id_rsa", "/home/", "bashrc", "/usr/bin", "cat", "x", "/tmp", "..", "/etc/shadow-",
    "/proc/self",
))  # fmt: skip
_PATH_FIELDS = st.sampled_from((
    "fd.name", "fd.nameraw", "fd.directory", "fd.filename", "evt.arg.name", "evt.arg.path",
    "evt.arg.filename", "evt.arg.target", "evt.arg.oldpath", "evt.arg.newpath", "evt.abspath",
))  # fmt: skip
_GLOBS = st.sampled_from((
    "/etc/*", "*shadow", "*ssh*", "/home/*/.bashrc", "/etc/p?m.d/*", "/[er]*", "*/.ssh/*", "*",
    "/etc/shadow",
))  # fmt: skip
_LIST_OPERATORS = ("in", "pmatch", "= anyof", "startswith allof", "contains oneof")
_FIXED = (
    "evt.is_open_read = true", "evt.is_open_write=true", "evt.is_open_write = false",
    "evt.is_open_exec=true", "evt.is_open_create=true", "evt.is_open_create=false",
    "evt.failed=true", "evt.failed = false", "evt.res = SUCCESS", "evt.res != SUCCESS",
    "evt.res in (ENOENT, EACCES)", "evt.res = EINPROGRESS", "evt.rawres >= 0", "evt.rawres < 0",
    "evt.rawres in (0, 1, 2)", "evt.rawres != 0", "evt.rawres <= -2",
    "evt.arg.flags contains O_CREAT", "evt.arg.flags contains O_TRUNC",
    "evt.arg.flags contains O_F_CREATED", "evt.arg.flags contains SYNC",
    "evt.arg.flags contains 1", "evt.arg.mode contains S_IXUSR", "evt.arg.mode contains S_ISUID",
    "evt.arg.mode contains 7", "evt.arg.request in (PTRACE_ATTACH, PTRACE_SEIZE)",
    "evt.arg.request != PTRACE_TRACEME", "evt.arg.request contains ATT", "evt.arg.domain = AF_INET",
    "evt.arg.domain in (AF_PACKET, AF_UNIX)", "evt.arg.domain exists", "evt.arg.name exists",
    "evt.arg[2] contains shadow", "evt.arg[9] exists", "evt.rawarg.flags > 5",
    "evt.rawarg.type = 1",
    "container.id = host", "container.id != host", "container.id in (host, abc)",
    "container.id startswith ho", "proc.name in (cat, sh)", "proc.name != bash",
    "proc.name startswith python", "proc.name contains at", "proc.name endswith sh",
    "proc.name pmatch (cat)", "proc.name = fifteen-letters", "proc.name = sixteen-letters-x",
    'proc.name = ""', "user.uid = 0", "user.uid != 0", "user.uid >= 1000", "user.loginuid = -1",
    "user.loginuid < 0", "user.loginuid >= 1000", "group.gid = 100", "fd.num >= 0", "fd.num < 0",
    "fd.num in (0, 1, 2)", "fd.typechar = f", "fd.typechar in (4, 6)", "fd.typechar != d",
    "fd.typechar = u", "fd.typechar = o", "fd.type in (file, directory)", "fd.type exists",
    "fd.name exists", "fd.filename exists", "fd.sip exists", 'fd.sip = "127.0.0.1"',
    'fd.sip != "127.0.0.1"', 'fd.cip in ("10.0.0.1", "8.8.8.8")', 'fd.snet in ("10.0.0.0/8")',
    'fd.snet in ("10.0.0.0/8", "192.168.0.0/16")', 'fd.snet != "127.0.0.0/8"',
    'fd.cnet = "127.0.0.0/8"', 'fd.ip = "10.0.0.1"', 'fd.ip != "0.0.0.0"',
    'fd.net = "127.0.0.0/8"', 'fd.net != "127.0.0.0/8"', 'fd.net in ("10.0.0.0/8", "8.0.0.0/8")',
    "fd.sport = 443", "fd.sport in (22, 80)", "fd.cport > 1000", "fd.port = 22", "fd.port != 22",
    "fd.port in (53, 443)", "fd.port >= 443", 'fd.snet in ("fe80::/10")', "fd.l4proto = tcp",
    "fd.connected = true", "fd.connected = false", "fd.connected != false", "fd.l4proto != tcp",
    "fd.l4proto in (udp, icmp)", "fd.l4proto = raw", "fd.l4proto startswith u",
    "fd.type in (ipv4, ipv6)", "fd.type = netlink", "fd.type != unix", "fd.sockfamily = ip",
    "fd.sockfamily exists", "fd.sockfamily != unix", "fd.typechar = n", "fd.typechar != o",
    "fd.name_changed = true", 'fd.sip = "::1"', 'fd.cip != "fe80::5"',
    'fd.snet in ("fd00::/8", "10.0.0.0/8")', 'fd.net = "2001:db8::/32"', 'fd.ip != "::1"',
    'fd.ip = "::ffff:808:808"', 'fd.snet != "2001:db8::7/128"', 'fd.cnet in ("8000::/1")',
    "proc.vpid = 1", "proc.vpid != 1", "proc.vpid > 16", "proc.tty = 0", "proc.tty != 0",
    "proc.tty in (34816, 1025)", "proc.tty > 100000", "evt.arg.resolve contains BENEATH",
    "evt.rawarg.resolve = 2", "evt.rawarg.flags = 0", "evt.rawarg.mode = 0",
    "evt.rawarg.mode >= 2048", "evt.rawarg.mode in (493, 511)", "evt.rawarg.mode != 0",
    "evt.type = openat", "evt.type in (open, connect)", "proc.pname = sh",
    "proc.cmdline contains x", "evt.num >= 0", "evt.rawres = oneof (0)",
)  # fmt: skip


@st.composite
def kernel_checks(draw: st.DrawFn) -> str:
    """One check that the kernel may decide."""
    kind = draw(st.integers(0, 4))
    if kind < 2:
        name = draw(_PATH_FIELDS)
        op = draw(st.sampled_from(("=", "!=", "startswith", "endswith", "contains")))
        return f"{name} {op} {draw(_PATH_VALUES)}"
    if kind == 2:
        name = draw(_PATH_FIELDS)
        if draw(st.booleans()):
            return f"{name} glob '{draw(_GLOBS)}'"
        op = draw(st.sampled_from(_LIST_OPERATORS))
        values = ", ".join(draw(st.lists(_PATH_VALUES, min_size=1, max_size=4)))
        return f"{name} {op} ({values})"
    return draw(st.sampled_from(_FIXED))


@st.composite
def _joined(draw: st.DrawFn, parts: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(parts, min_size=1, max_size=4))
    words = draw(st.lists(st.sampled_from((" and ", " or ")), min_size=3, max_size=3))
    text = items[0] + "".join(word + item for word, item in zip(words, items[1:], strict=False))
    return f"not ({text})" if draw(st.booleans()) else f"({text})"


def conditions() -> st.SearchStrategy[str]:
    """A whole condition: mostly what the kernel knows, and some of everything else."""
    return st.recursive(
        st.one_of(kernel_checks(), kernel_checks(), any_conditions()), _joined, max_leaves=8
    )
