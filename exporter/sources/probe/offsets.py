"""Which kernel struct members the probe reads, and their offsets as C constants.

Takes the running kernel's BTF, gives the `#define` lines that go in front of bpf/probe.c.
Members that kernels of different ages name differently list every name, newest first.
"""

import re

from exporter.errors import ProbeError
from exporter.sources.probe.btf import Btf

_CONSTANT = re.compile(r"^#define (\w+) (\d+)$", re.MULTILINE)

# constant -> struct, then the member's names on kernels since 5.8.
MEMBERS: dict[str, tuple[str, ...]] = {
    "TASK_PID": ("task_struct", "pid"),
    "TASK_TGID": ("task_struct", "tgid"),
    "TASK_REAL_PARENT": ("task_struct", "real_parent"),
    "TASK_LEADER": ("task_struct", "group_leader"),
    "TASK_CRED": ("task_struct", "cred"),
    "TASK_MM": ("task_struct", "mm"),
    "TASK_FS": ("task_struct", "fs"),
    "TASK_FILES": ("task_struct", "files"),
    "TASK_NSPROXY": ("task_struct", "nsproxy"),
    "TASK_SIGNAL": ("task_struct", "signal"),
    "TASK_THREAD_PID": ("task_struct", "thread_pid"),
    "TASK_START_BOOTTIME": ("task_struct", "start_boottime"),
    "TASK_START_TIME": ("task_struct", "start_time"),
    "TASK_EXIT_CODE": ("task_struct", "exit_code"),
    "TASK_FLAGS": ("task_struct", "flags"),
    "TASK_CGROUPS": ("task_struct", "cgroups"),
    "TASK_MAJ_FLT": ("task_struct", "maj_flt"),
    "TASK_MIN_FLT": ("task_struct", "min_flt"),
    "TASK_CHILDREN": ("task_struct", "children"),
    "TASK_THREAD_NODE": ("task_struct", "thread_node"),
    "TASK_COMM": ("task_struct", "comm"),
    "CRED_UID": ("cred", "uid"),
    "CRED_EUID": ("cred", "euid"),
    "CRED_EGID": ("cred", "egid"),
    "CRED_FSUID": ("cred", "fsuid"),
    "CRED_FSGID": ("cred", "fsgid"),
    "CRED_CAP_INHERITABLE": ("cred", "cap_inheritable"),
    "CRED_CAP_PERMITTED": ("cred", "cap_permitted"),
    "CRED_CAP_EFFECTIVE": ("cred", "cap_effective"),
    "CRED_USER_NS": ("cred", "user_ns"),
    "CRED_GROUP_INFO": ("cred", "group_info"),
    "GROUP_INFO_N": ("group_info", "ngroups"),
    "GROUP_INFO_GID": ("group_info", "gid"),
    "USER_NS_LEVEL": ("user_namespace", "level"),
    "SIGNAL_PIDS": ("signal_struct", "pids"),
    "SIGNAL_TTY": ("signal_struct", "tty"),
    "SIGNAL_RLIM": ("signal_struct", "rlim"),
    "SIGNAL_LIVE": ("signal_struct", "live"),
    "SIGNAL_THREAD_HEAD": ("signal_struct", "thread_head"),
    "PID_LEVEL": ("pid", "level"),
    "PID_NUMBERS": ("pid", "numbers"),
    "UPID_NS": ("upid", "ns"),
    "PIDNS_LEVEL": ("pid_namespace", "level"),
    "PIDNS_REAPER": ("pid_namespace", "child_reaper"),
    "NSPROXY_MNT": ("nsproxy", "mnt_ns"),
    "NSPROXY_PID_CHILDREN": ("nsproxy", "pid_ns_for_children"),
    "MNTNS_INUM": ("mnt_namespace", "ns.inum"),
    "TTY_INDEX": ("tty_struct", "index"),
    "TTY_DRIVER": ("tty_struct", "driver"),
    "TTY_DRIVER_MAJOR": ("tty_driver", "major"),
    "TTY_DRIVER_MINOR_START": ("tty_driver", "minor_start"),
    "MM_TOTAL_VM": ("mm_struct", "total_vm"),
    "MM_RSS_STAT": ("mm_struct", "rss_stat"),
    "MM_ARG_START": ("mm_struct", "arg_start"),
    "MM_ARG_END": ("mm_struct", "arg_end"),
    "MM_ENV_START": ("mm_struct", "env_start"),
    "MM_ENV_END": ("mm_struct", "env_end"),
    "MM_EXE_FILE": ("mm_struct", "exe_file"),
    "FS_PWD": ("fs_struct", "pwd"),
    "PATH_MNT": ("path", "mnt"),
    "PATH_DENTRY": ("path", "dentry"),
    "DENTRY_PARENT": ("dentry", "d_parent"),
    "DENTRY_NAME": ("dentry", "d_name"),
    "DENTRY_INODE": ("dentry", "d_inode"),
    "QSTR_LEN": ("qstr", "len"),
    "QSTR_NAME": ("qstr", "name"),
    "MOUNT_MNT": ("mount", "mnt"),
    "MOUNT_PARENT": ("mount", "mnt_parent"),
    "MOUNT_MOUNTPOINT": ("mount", "mnt_mountpoint"),
    "VFSMOUNT_ROOT": ("vfsmount", "mnt_root"),
    "VFSMOUNT_FLAGS": ("vfsmount", "mnt_flags"),
    "INODE_MODE": ("inode", "i_mode"),
    "INODE_UID": ("inode", "i_uid"),
    "INODE_GID": ("inode", "i_gid"),
    "INODE_FLAGS": ("inode", "i_flags"),
    "INODE_INO": ("inode", "i_ino"),
    "INODE_SB": ("inode", "i_sb"),
    "SB_DEV": ("super_block", "s_dev"),
    "SB_MAGIC": ("super_block", "s_magic"),
    "SB_FLAGS": ("super_block", "s_flags"),
    "FILE_PATH": ("file", "f_path", "__f_path"),
    "FILE_INODE": ("file", "f_inode"),
    "FILE_FLAGS": ("file", "f_flags"),
    "FILE_MODE": ("file", "f_mode"),
    "FILE_PRIVATE": ("file", "private_data"),
    "FILES_FDT": ("files_struct", "fdt"),
    "FDTABLE_MAX": ("fdtable", "max_fds"),
    "FDTABLE_FD": ("fdtable", "fd"),
    "SOCKET_SK": ("socket", "sk"),
    "SOCKET_TYPE": ("socket", "type"),
    "SOCK_FAMILY": ("sock_common", "skc_family"),
    "SOCK_STATE": ("sock_common", "skc_state"),
    "SOCK_DADDR": ("sock_common", "skc_daddr"),
    "SOCK_SADDR": ("sock_common", "skc_rcv_saddr"),
    "SOCK_DPORT": ("sock_common", "skc_dport"),
    "SOCK_NUM": ("sock_common", "skc_num"),
    "SOCK_V6_DADDR": ("sock_common", "skc_v6_daddr"),
    "SOCK_V6_SADDR": ("sock_common", "skc_v6_rcv_saddr"),
    "SOCK_PROTOCOL": ("sock", "sk_protocol"),
    "SOCK_TYPE": ("sock", "sk_type"),
    "SOCK_BACKLOG": ("sock", "sk_ack_backlog"),
    "SOCK_MAX_BACKLOG": ("sock", "sk_max_ack_backlog"),
    "UNIX_PEER": ("unix_sock", "peer"),
    "UNIX_ADDR": ("unix_sock", "addr"),
    "UNIX_ADDRESS_LEN": ("unix_address", "len"),
    "UNIX_ADDRESS_NAME": ("unix_address", "name"),
    "CSS_SET_SUBSYS": ("css_set", "subsys"),
    "CSS_SET_DFL": ("css_set", "dfl_cgrp"),
    "CSS_CGROUP": ("cgroup_subsys_state", "cgroup"),
    "CGROUP_KN": ("cgroup", "kn"),
    "CGROUP_LEVEL": ("cgroup", "level"),
    "KN_ID": ("kernfs_node", "id"),
    "KN_NAME": ("kernfs_node", "name"),
    "KN_PARENT": ("kernfs_node", "__parent", "parent"),
    "BPRM_FILENAME": ("linux_binprm", "filename"),
}

# Not in every configuration of the kernel: constant absent, and the C code leaves the part out.
OPTIONAL_MEMBERS: dict[str, tuple[str, ...]] = {
    "TASK_LOGINUID": ("task_struct", "loginuid"),
    "TASK_THREAD_STATUS": ("task_struct", "thread_info.status"),
    "TASK_THREAD_FLAGS": ("task_struct", "thread_info.flags"),
    "INODE_CTIME": ("inode", "i_ctime_sec", "__i_ctime", "i_ctime"),
    "INODE_CTIME_NSEC": ("inode", "i_ctime_nsec", "__i_ctime.tv_nsec", "i_ctime.tv_nsec"),
    "INODE_MTIME": ("inode", "i_mtime_sec", "__i_mtime", "i_mtime"),
    "INODE_MTIME_NSEC": ("inode", "i_mtime_nsec", "__i_mtime.tv_nsec", "i_mtime.tv_nsec"),
    "CGROUP_ANCESTORS": ("cgroup", "ancestors"),
    "CGROUP_ANCESTOR_IDS": ("cgroup", "ancestor_ids"),
    "USER_NS_UID_MAP": ("user_namespace", "uid_map"),
    "USER_NS_GID_MAP": ("user_namespace", "gid_map"),
    "UID_MAP_EXTENT": ("uid_gid_map", "extent"),
    "UID_MAP_N": ("uid_gid_map", "nr_extents"),
}

BIT_FIELDS: dict[str, tuple[str, str]] = {
    # Of four bits, or a whole byte on newer kernels: the constant names the lowest.
    "SOCK_USERLOCKS": ("sock", "sk_userlocks"),
    "SIGNAL_IS_SUBREAPER": ("signal_struct", "is_child_subreaper"),
    "SIGNAL_HAS_SUBREAPER": ("signal_struct", "has_child_subreaper"),
}

SIZES = {"INODE": "inode", "UPID": "upid"}

CGROUP_PARAMS = (
    ("cpuset", "cpuset_cgrp_id"),
    ("cpu", "cpu_cgrp_id"),
    ("cpuacct", "cpuacct_cgrp_id"),
    ("io", "io_cgrp_id"),
    ("memory", "memory_cgrp_id"),
)
"""Controllers shown in the `cgroups` parameter, in its order, with their kernel enumerators."""

TYPED_SYS_EXIT = "btf_trace_sys_exit"
"""Type that stands for the tracepoint in front of typed programs."""

CLOSE_FUNCTIONS = ("__x64_sys_close", "__arm64_sys_close")
"""What the kernel calls the function of close."""

CASTS = {
    "FS": "fs_struct",
    "FILES": "files_struct",
    "FDTABLE": "fdtable",
    "FILE": "file",
    "SOCKET": "socket",
    "MOUNT": "mount",
    "DENTRY": "dentry",
    "WORDS": "pt_regs",
}
"""Structures that filters take addresses for; pt_regs stands for a row of 64-bit words."""

CAST_FUNCTION = "bpf_rdonly_cast"
"""Function that lets them, since 6.2."""

STRUCTS = frozenset(
    [names[0] for names in (*MEMBERS.values(), *OPTIONAL_MEMBERS.values(), *BIT_FIELDS.values())]
    + [*SIZES.values(), "mm_rss_stat", "percpu_counter", "cgroup_subsys_id", TYPED_SYS_EXIT]
    + [*CASTS.values(), CAST_FUNCTION, *CLOSE_FUNCTIONS]
)
"""Every type name that `define_offsets` asks the BTF for."""


def _offset(btf: Btf, names: tuple[str, ...]) -> int | None:
    for member in names[1:]:
        found = btf.find_member(names[0], member)
        if found is not None:
            return found.offset
    return None


def cgroup_subsystems(btf: Btf) -> dict[str, int]:
    """Index of each cgroup controller in css_set.subsys, by its enumerator (`cpu_cgrp_id`)."""
    values = btf.enum("cgroup_subsys_id")
    return {name: value for name, value in values.items() if name.endswith("_cgrp_id")}


def define_offsets(btf: Btf) -> str:
    """`#define` lines for bpf/probe.c. Raises ProbeError naming the member that is missing."""
    lines = []
    for constant, names in MEMBERS.items():
        offset = _offset(btf, names)
        if offset is None:
            raise ProbeError(
                f"the kernel's struct {names[0]} has no member {' or '.join(names[1:])}",
                code="E_BTF_MEMBER",
                hint="please report this kernel version; its layout is not known yet",
            )
        lines.append(f"#define OFF_{constant} {offset}")
    for constant, names in OPTIONAL_MEMBERS.items():
        offset = _offset(btf, names)
        if offset is not None:
            lines.append(f"#define OFF_{constant} {offset}")
    for constant, (struct, member) in BIT_FIELDS.items():
        field = btf.find_member(struct, member)
        if field is not None:
            lines.append(f"#define OFF_{constant} {field.offset}")
            lines.append(f"#define BIT_{constant} {1 << field.bit_offset % 8}")
    lines += [f"#define SIZEOF_{constant} {btf.size(struct)}" for constant, struct in SIZES.items()]
    lines += _rss_lines(btf)
    lines.append(f"#define BTF_SYS_EXIT {btf.typedef_id(TYPED_SYS_EXIT) or 0}")
    lines.append(f"#define BTF_RDONLY_CAST {btf.function_id(CAST_FUNCTION) or 0}")
    close = next(filter(None, map(btf.function_id, CLOSE_FUNCTIONS)), 0)
    lines.append(f"#define BTF_SYS_CLOSE {close}")
    lines += [f"#define BTF_{constant} {btf.struct_id(name)}" for constant, name in CASTS.items()]
    subsystems = cgroup_subsystems(btf)
    lines.append("#define SUBSYS_NONE 255")
    for name, enumerator in CGROUP_PARAMS:
        index = subsystems.get(enumerator, "SUBSYS_NONE")
        lines.append(f"#define SUBSYS_{name.upper()} {index}")
    return "\n".join(lines) + "\n"


def _rss_lines(btf: Btf) -> list[str]:
    """Since 6.2 rss_stat is an array of per-CPU counters, before it was one of plain longs."""
    if btf.has("mm_rss_stat"):
        return ["#define RSS_STRIDE 8", "#define OFF_RSS_COUNT 0"]
    count = btf.find_member("percpu_counter", "count")
    if count is None:
        raise ProbeError("the kernel's struct percpu_counter has no member count", code="E_BTF")
    return [
        f"#define RSS_STRIDE {btf.size('percpu_counter')}",
        f"#define OFF_RSS_COUNT {count.offset}",
    ]


def parse_constants(text: str) -> dict[str, int]:
    """The numbers of `define_offsets` by their names."""
    return {name: int(value) for name, value in _CONSTANT.findall(text)}
