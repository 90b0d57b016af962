"""Scenarios: every step as the real state and the fields of rules see it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rules.format import compile_format
from exporter.rules.testing.document import read_test_file
from exporter.rules.testing.items import TestFileError
from exporter.rules.testing.scenario import STEPS, run_steps


def shown(steps, template):
    """What a template prints for each event of a scenario."""
    lines = "".join(f"      - {step}\n" for step in steps)
    text = f"tests:\n  - name: n\n    expect_none: true\n    scenario:\n{lines}"
    file = read_test_file(text, "t.yaml")
    output = compile_format(f"*{template}", "syscall")
    return [output.render(event) for _, event in run_steps(file.cases[0].steps)]


def last(steps, template):
    """What a template prints for the last event."""
    return shown(steps, template)[-1]


def test_a_process_is_known_without_events():
    """`process` makes no event; the next one finds it with its image and parents."""
    steps = [
        "process: {as: sh, exe: /bin/bash, args: [-c, 'cat x'], uid: 7, tty: 5, cwd: /srv}",
        "process: {name: cat, parent: sh}",
        "openat: {path: x}",
    ]

    assert shown(steps, "%evt.type %proc.name %proc.pname %proc.pcmdline %user.uid %proc.tty "
                 "%fd.name %proc.aname[2] %container.id") == [
        "openat cat bash bash -c cat x 7 5 /srv/x systemd host"
    ]  # fmt: skip


def test_a_spawned_process_is_cloned_and_runs_its_program():
    """clone as seen by both, then execve with everything of the image."""
    steps = [
        "process: {as: sh, exe: /bin/bash, uid: 7, loginuid: 9}",
        "spawn: {exe: /opt/tool, args: [a, b], env: [K=V], exe_flags: [EXE_UPPER_LAYER]}",
    ]
    template = "%evt.type %proc.name"

    assert shown(steps, template) == ["clone bash", "clone bash", "execve tool"]
    assert (
        last(
            steps,
            "%proc.exepath %proc.cmdline %proc.env %proc.pname %user.uid %user.loginuid "
            "%proc.is_exe_upper_layer %evt.res",
        )
        == "/opt/tool tool a b K=V bash 7 9 true SUCCESS"
    )


def test_names_are_cut_as_the_kernel_cuts_them():
    """15 bytes."""
    assert last(["spawn: a-very-long-program-name"], "%proc.name") == "a-very-long-pro"


def test_containers_have_ids_images_and_pods():
    """The id follows from the cgroup, the rest from what the runtime tells."""
    steps = [
        "container: {as: web, image: 'reg.io:5000/team/app:1.2@sha256:0f', pod: ns/pod-0}",
        "process: {name: app, container: web}",
        "spawn: sh",
    ]

    found = last(
        steps,
        "%container.name %container.image.repository %container.image.tag %container.image.digest "
        "%k8s.ns.name %k8s.pod.name %proc.vpid %proc.pname",
    )
    assert found == "web reg.io:5000/team/app 1.2 sha256:0f ns pod-0 2 app"


@pytest.mark.parametrize("engine", ["docker", "containerd", "crio", "podman"])
def test_container_engines(engine):
    """Each engine's cgroup layout leads to the id."""
    full_id = "0123456789ab" + "c" * 52
    made = f"container: {{as: x, engine: {engine}, id: {full_id}}}"
    steps = [made, "spawn: {name: a, container: x}"]

    assert last(steps, "%container.id %container.full_id") == f"0123456789ab {full_id}"


def test_containers_with_the_machines_process_ids():
    """Ids inside and outside are the same."""
    steps = ["container: {as: c, host_pid: true}", "spawn: {name: a, container: c}"]

    assert last(steps, "%proc.pid %proc.vpid %container.name") == "1000 1000 c"


def test_files_changed_after_the_start_of_a_container():
    """What drift rules ask for."""
    steps = [
        "container: {as: web}",
        "process: {name: app, container: web}",
        "spawn: {name: x, exe_changed_after: 4}",
    ]

    assert last(steps, "%proc.exe_ino.ctime_duration_pidns_start") == str(4 * 10**9)


def test_exec_replaces_or_fails():
    """A failed exec leaves the image alone."""
    steps = ["process: {as: sh, exe: /bin/sh}", "exec: {name: ls, result: ENOENT}"]

    assert last(steps, "%proc.name %evt.res") == "sh ENOENT"
    assert last([*steps, "exec: ls"], "%proc.name %proc.exepath") == "ls /usr/bin/ls"


def test_an_exited_process_can_do_nothing():
    """Its alias is an error afterwards."""
    steps = ["spawn: a", "exit: a", "open: {by: a, path: /x}"]

    assert shown(steps[:2], "%evt.type")[-1] == "procexit"
    with pytest.raises(TestFileError, match='"a" has exited'):
        shown(steps, "%evt.type")


def test_any_system_call_by_its_parameters():
    """Names of the event table, flags by name, paths by `path`, results as errors."""
    assert last(["mkdir: {path: /x, mode: 0755}"], "%evt.arg.mode %fs.path.name") == "1ED /x"
    assert last(["unlinkat: {path: x, flags: AT_REMOVEDIR}"], "%evt.args") == (
        "res=0 dirfd=-100(AT_FDCWD) name=x(/x) flags=512(AT_REMOVEDIR) "
    )
    assert last(["kill: {pid: init, sig: 9, result: EPERM}"], "%evt.rawres %evt.arg.sig") == (
        "-1 SIGKILL"
    )
    opened = ["open: {path: /x, flags: O_RDWR|O_CREAT, created: true}"]
    assert last(opened, "%evt.is_open_write %evt.is_open_create") == "true true"


def test_system_calls_without_an_event_of_their_own():
    """They are generic events that know their name."""
    assert last(["sysinfo:"], "%evt.type") == "sysinfo"


def test_descriptors_by_name():
    """`as` names what an open returns, other steps use it."""
    steps = ["openat: {path: /x, as: f}", "openat: {path: /y}", "fchmod: {fd: f, mode: S_ISUID}"]

    assert last(steps, "%fd.num %fd.name") == "3 /x"


def test_connections():
    """Sockets are made first; roles, addresses and ports follow."""
    template = "%evt.type %fd.name %fd.l4proto %fd.typechar %fd.sip %fd.sport %evt.res"

    assert shown(["connect: '198.51.100.7:443'"], template) == [
        "socket  <NA> 4 <NA> <NA> SUCCESS",
        "connect 10.0.0.5:41000->198.51.100.7:443 tcp 4 198.51.100.7 443 SUCCESS",
    ]
    assert last(["connect: {to: '[2001:db8::7]:53', proto: udp}"], "%fd.l4proto %fd.sip") == (
        "udp 2001:db8::7"
    )
    assert "/run/x.sock" in str(last(["connect: /run/x.sock"], "%fd.name"))
    assert last(["connect: {to: '1.2.3.4:5', result: ECONNREFUSED}"], "%evt.res") == "ECONNREFUSED"
    assert last(["accept: {at: '10.0.0.5:80', from: '1.2.3.4:5'}"], "%fd.cip %fd.lport") == (
        "1.2.3.4 80"
    )
    assert last(["bind: '0.0.0.0:8080'"], "%fd.name") == "0.0.0.0:8080"


def test_users_have_names():
    """Of the machine and of containers."""
    steps = ["user: {name: ann, uid: 7}", "spawn: {name: a, uid: 7}"]
    inside = ["container: {as: c}", "user: {name: bob, uid: 7, container: c}",
              "spawn: {name: a, uid: 7, container: c}"]  # fmt: skip

    assert last(steps, "%user.name") == "ann"
    assert last(inside, "%user.name") == "bob"


def test_time_passes():
    """Events are a millisecond apart; `wait` adds seconds."""
    times = shown(["spawn: a", "wait: 5", "exec: b"], "%evt.rawtime")
    numbers = [int(str(text)) for text in times]

    assert [b - a for a, b in pairwise(numbers)] == [
        10**6, 10**6, 5 * 10**9 + 10**6
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "place", "message"),
    [
        ("opeen: /x", "5:9", 'unknown key "opeen"'),
        ("open: {pth: /x}", "5:16", 'unknown key "pth"'),
        ("open: {by: nobody, path: /x}", "5:20", 'there is no process "nobody"'),
        ("open: {path: /x, flags: O_NOPE}", "5:33", 'there is no flag "O_NOPE"'),
        ("open: {path: /x, result: ENOPE}", "5:34", "the name of an error"),
        ("open: [a]", "5:15", "expected the parameters of open, found a list"),
        ("setuid: x", "5:17", "expected the parameters of setuid"),
        ("setuid: {uid: x}", "5:23", "expected a number"),
        ("setuid: {uid: 99999999999}", "5:23", "a number that fits UID"),
        ("connect: nowhere", "5:18", "expected an address such as"),
        ("connect: {from: '1.2.3.4:5'}", "5:18", "connect needs to"),
        ("spawn: {name: a, container: c}", "5:37", "expected a container"),
        ("container: {as: c, engine: x}", "5:36", "expected one of docker"),
        ("fchmod: {fd: f}", "5:22", "a number or a name given with `as`"),
        ("wait: long", "5:15", "a number of seconds"),
        ("ptrace: {data: 1}", "5:24", "cannot be given in a test"),
    ],
)
def test_errors_have_their_place(step, place, message):
    """What a step says wrongly is refused where it stands."""
    with pytest.raises(TestFileError) as caught:
        shown([step], "%evt.type")

    assert str(caught.value.span) == f"t.yaml:{place}"
    assert message in caught.value.message


ARGUMENTS = ["by", "as", "name", "path", "exe", "result", "container", "to", "at", "fd", "flags",
             "mode", "uid", "pid", "proto", "target", "id", "pod", "image", "args"]  # fmt: skip
TEXTS = ["x", "init", "0", "-1", "99999999999999999999", "/x", "~", "[a, b]", "{a: b}", "EPERM",
         "1.2.3.4:5", "web", "O_RDWR", "''", "0x", "[]"]  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            lambda name, body: f"{name}: {{{', '.join(f'{k}: {v}' for k, v in body.items())}}}",
            st.sampled_from([*STEPS, "open", "chmod", "ptrace", "kill", "close", "dup2", "futex"]),
            st.dictionaries(st.sampled_from(ARGUMENTS), st.sampled_from(TEXTS), max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_steps_happen_or_are_refused(steps):
    """Nothing but TestFileError comes out of any arguments."""
    spans: list[object] = []
    try:
        shown(steps, "%evt.type %evt.args %proc.cmdline %fd.name")
    except TestFileError as error:
        spans.append(error.span)
    assert None not in spans
