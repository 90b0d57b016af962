"""Working and root directories.

Source: spec/state-tracking.md section 4.
"""

from collections.abc import Mapping

from exporter.events.event import Event
from exporter.events.paths import absolute, concatenate, with_slash
from exporter.state.tables import Handler, Tables


def _change(tables: Tables, event: Event, path: bytes) -> None:
    thread = event.thread
    if thread is None or (event.live is not None and event.live.cwd is not None):
        return
    main = tables.leader(thread)
    if main is None:
        return
    # The calling thread's own field is the base, which only leaders have.
    main.cwd = with_slash(concatenate(thread.cwd, path))


def on_chdir(tables: Tables, event: Event) -> None:
    """chdir success; a path that could not be read is the text `<NA>`."""
    path = event.param(1)
    if event.param(0) == 0:
        _change(tables, event, b"<NA>" if path is None else path)


def on_fchdir(tables: Tables, event: Event) -> None:
    """fchdir success: the descriptor's name is the directory."""
    if event.param(0) == 0 and event.fd is not None:
        _change(tables, event, event.fd.name)


def on_getcwd(tables: Tables, event: Event) -> None:
    """getcwd success tells the directory."""
    result, path = event.param(0), event.param(1)
    if result is not None and result >= 0 and path is not None:
        _change(tables, event, path)


def on_chroot(tables: Tables, event: Event) -> None:
    """chroot success: root directory, and the container is decided anew."""
    thread, path = event.thread, event.param(1)
    if thread is None or event.param(0) != 0 or path is None:
        return
    thread.root = absolute(event, path)
    tables.set_container(thread)


HANDLERS: Mapping[str, Handler] = {
    "PPME_SYSCALL_CHDIR_X": on_chdir,
    "PPME_SYSCALL_FCHDIR_X": on_fchdir,
    "PPME_SYSCALL_GETCWD_X": on_getcwd,
    "PPME_SYSCALL_CHROOT_X": on_chroot,
}
