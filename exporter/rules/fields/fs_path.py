"""Path fields: the paths that successful file-system calls work on.

Source: fields catalogue class "fs.path"; state-tracking.md section 6.
"""

from exporter.events.event import Event
from exporter.events.paths import absolute
from exporter.events.table import EventType
from exporter.rules.fields.evt_facts import result
from exporter.rules.fields.field import UNKNOWN, Field, FieldClass, Reader
from exporter.rules.fields.field import ValueType as T

# Event id -> name of the parameter that holds the path.
_ONE_PATH = {
    "PPME_SYSCALL_MKDIR_2_X": "path",
    "PPME_SYSCALL_MKDIRAT_X": "path",
    "PPME_SYSCALL_RMDIR_2_X": "path",
    "PPME_SYSCALL_UNLINK_2_X": "path",
    "PPME_SYSCALL_UNLINKAT_2_X": "name",
    "PPME_SYSCALL_OPEN_X": "name",
    "PPME_SYSCALL_OPENAT_2_X": "name",
    "PPME_SYSCALL_OPENAT2_X": "name",
    "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X": "path",
    "PPME_SYSCALL_CREAT_X": "name",
    "PPME_SYSCALL_CHMOD_X": "filename",
    "PPME_SYSCALL_FCHMODAT_X": "filename",
    "PPME_SYSCALL_FCHMOD_X": "",
    "PPME_SYSCALL_CHOWN_X": "path",
    "PPME_SYSCALL_LCHOWN_X": "path",
    "PPME_SYSCALL_FCHOWN_X": "",
    "PPME_SYSCALL_FCHOWNAT_X": "pathname",
    "PPME_SYSCALL_UMOUNT_1_X": "name",
    "PPME_SYSCALL_UMOUNT2_X": "name",
    "PPME_SYSCALL_QUOTACTL_X": "special",
}

# Event id -> names of the parameters that hold source and target. For links the source is the
# new name and the target the existing one.
_TWO_PATHS = {
    "PPME_SYSCALL_RENAME_X": ("oldpath", "newpath"),
    "PPME_SYSCALL_RENAMEAT_X": ("oldpath", "newpath"),
    "PPME_SYSCALL_RENAMEAT2_X": ("oldpath", "newpath"),
    "PPME_SYSCALL_LINK_2_X": ("newpath", "oldpath"),
    "PPME_SYSCALL_LINKAT_2_X": ("newpath", "oldpath"),
    "PPME_SYSCALL_SYMLINK_X": ("linkpath", "target"),
    "PPME_SYSCALL_SYMLINKAT_X": ("linkpath", "target"),
    "PPME_SYSCALL_MOUNT_X": ("dev", "dir"),
}


def _not_one_path(event_type: EventType) -> object:
    return UNKNOWN if event_type.id in _ONE_PATH else None


def _not_two_paths(event_type: EventType) -> object:
    return UNKNOWN if event_type.id in _TWO_PATHS else None


def _argument(event: Event, name: str, *, is_raw: bool) -> bytes | None:
    index = event.type.param_index.get(name)
    path: bytes | None = None if index is None else event.param(index)
    if index is None or path is None:
        return None
    return path if is_raw else absolute(event, path, event.type.params[index].dirfd)


def _failed(event: Event) -> bool:
    return (result(event) or 0) < 0


def _path(*, is_raw: bool) -> Reader:
    def reader(event: Event) -> bytes | None:
        name = _ONE_PATH.get(event.type.id)
        if name is None or event.thread is None or _failed(event):
            return None
        if name:
            return _argument(event, name, is_raw=is_raw)
        # fchmod and fchown name no path: it is that of their descriptor.
        fd = event.fd
        return None if fd is None else (fd.name_raw or fd.name if is_raw else fd.name)

    return reader


def _one_of_two(place: int, *, is_raw: bool) -> Reader:
    def reader(event: Event) -> bytes | None:
        names = _TWO_PATHS.get(event.type.id)
        if names is None or event.thread is None or _failed(event):
            return None
        return _argument(event, names[place], is_raw=is_raw)

    return reader


CLASS = FieldClass(
    "fs.path",
    "fields of the paths a file-system call works on",
    ("syscall",),
    (
        Field(
            "fs.path.name",
            T.CHARBUF,
            (
                "absolute normalised path a successful filesystem call works on (mkdir, rmdir, "
                "unlink, open family, chmod, chown, umount, quotactl families)"
            ),
            _path(is_raw=False),
            constant=_not_one_path,
            cost=900,
        ),
        Field(
            "fs.path.nameraw",
            T.CHARBUF,
            "the same path as passed to the call",
            _path(is_raw=True),
            constant=_not_one_path,
            cost=900,
        ),
        Field(
            "fs.path.source",
            T.CHARBUF,
            (
                "absolute source path of two-path calls (rename old path; link/symlink: the "
                "new link path; mount: device)"
            ),
            _one_of_two(0, is_raw=False),
            constant=_not_two_paths,
            cost=900,
        ),
        Field(
            "fs.path.sourceraw",
            T.CHARBUF,
            "source as passed",
            _one_of_two(0, is_raw=True),
            constant=_not_two_paths,
            cost=900,
        ),
        Field(
            "fs.path.target",
            T.CHARBUF,
            (
                "absolute target path (rename new path; link: existing path; symlink: link "
                "text; mount: directory)"
            ),
            _one_of_two(1, is_raw=False),
            constant=_not_two_paths,
            cost=900,
        ),
        Field(
            "fs.path.targetraw",
            T.CHARBUF,
            "target as passed",
            _one_of_two(1, is_raw=True),
            constant=_not_two_paths,
            cost=900,
        ),
    ),
)
