"""User and group fields.

Source: fields catalogue classes "user" and "group"; state-tracking.md section 9.
"""

from exporter.events.container import User
from exporter.events.event import Event
from exporter.events.thread import UNKNOWN_ID
from exporter.rules.fields.field import Field, FieldClass
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T

_UNKNOWN = b"<NA>"


def _user(event: Event, *, is_login: bool = False) -> User | None:
    """Passwd entry of the thread's user; a made-up root for an unknown uid 0."""
    thread = event.thread
    if thread is None:
        return None
    uid = thread.loginuid if is_login else thread.uid
    found = event.host.users.get((thread.container_id, uid))
    if found is not None:
        return found
    return User(uid=0, name=b"root", home=b"/root", shell=_UNKNOWN) if uid == 0 else _NOBODY


_NOBODY = User(uid=UNKNOWN_ID, name=_UNKNOWN, home=_UNKNOWN, shell=_UNKNOWN)


def _user_name(event: Event) -> bytes | None:
    user = _user(event)
    return None if user is None else user.name


def _login_name(event: Event) -> bytes | None:
    user = _user(event, is_login=True)
    return None if user is None else user.name


def _home(event: Event) -> bytes | None:
    user = _user(event)
    return None if user is None else user.home


def _shell(event: Event) -> bytes | None:
    user = _user(event)
    return None if user is None else user.shell


def _login_uid(event: Event) -> int | None:
    thread = event.thread
    if thread is None:
        return None
    return -1 if thread.loginuid == UNKNOWN_ID else thread.loginuid


def _group_name(event: Event) -> bytes | None:
    thread = event.thread
    if thread is None:
        return None
    group = event.host.groups.get((thread.container_id, thread.gid))
    if group is not None:
        return group.name
    return b"root" if thread.gid == 0 else _UNKNOWN


USER_CLASS = FieldClass(
    "user",
    "fields of the user that runs the event's thread",
    ("syscall",),
    (
        Field(
            "user.uid",
            T.UINT32,
            "effective uid of the thread",
            lambda e: None if e.thread is None else e.thread.uid,
            inline="t.uid if t is not None else None",
            cost=15,
            kernel="user.uid",
            print_as=P.ID,
        ),
        Field(
            "user.loginuid",
            T.INT64,
            "audit login uid; -1 if unset",
            _login_uid,
            print_as=P.ID,
            kernel="user.loginuid",
        ),
        Field(
            "user.name",
            T.CHARBUF,
            (
                "name of that uid in the host (or container) passwd; root for unknown uid 0, "
                "else <NA>"
            ),
            _user_name,
            cost=200,
            kernel="user.name",
        ),
        Field(
            "user.loginname",
            T.CHARBUF,
            "name of the login uid; root for 0 if unknown, else <NA>",
            _login_name,
            cost=200,
        ),
        Field(
            "user.homedir",
            T.CHARBUF,
            "home directory from passwd; /root for unknown uid 0, else <NA>",
            _home,
            cost=200,
        ),
        Field("user.shell", T.CHARBUF, "login shell from passwd, else <NA>", _shell, cost=200),
    ),
)

GROUP_CLASS = FieldClass(
    "group",
    "fields of the group that the event's thread runs as",
    ("syscall",),
    (
        Field(
            "group.gid",
            T.UINT32,
            "effective gid of the thread",
            lambda e: None if e.thread is None else e.thread.gid,
            inline="t.gid if t is not None else None",
            cost=15,
            print_as=P.ID,
            kernel="group.gid",
        ),
        Field(
            "group.name",
            T.CHARBUF,
            "name of that gid; root for unknown gid 0, else <NA>",
            _group_name,
            cost=200,
        ),
    ),
)
