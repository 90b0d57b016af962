"""Conditions and outputs of the shape that widely used rules have, on the live kernel."""

import pytest

pytestmark = pytest.mark.container

NAMES = """
- rule: file of the application opened
  desc: d
  condition: evt.type in (open, openat) and fd.name = /etc/app.conf and container.id != host
  output: user=%user.name group=%group.name uid=%user.uid pid=%proc.pid
  priority: NOTICE
"""
COUNT = 41
"""Opens 25 ms apart: long enough to look into a container that runs one program."""


def test_users_of_a_container_have_its_own_names(stage, start_lanner, container, tmp_path):
    """The names of the host, which runc's helper still sees, are never given to a container's ids.

    uid 33 is www-data on the host.
    """
    container.root.joinpath("etc/passwd").write_text("webby:x:33:33::/:/bin/sh\n")
    container.root.joinpath("etc/group").write_text("webbies:x:33:\n")
    rules = tmp_path / "rules.yaml"
    rules.write_text(NAMES)
    lanner = start_lanner("--json", "-r", str(rules))
    lanner.wait_ready()
    script = f"for i in $(/bin/busybox seq {COUNT}); do cat /etc/app.conf; usleep 25000; done"
    answer = stage.run(*container.command("/bin/sh", "-c", script, uid=33))
    assert answer["returncode"] == 0, answer["output"]
    lanner.wait_alert(lambda _: len(lanner.lines) == COUNT)
    fields = [alert["output_fields"] for alert in lanner.alerts()]

    assert {field["user.uid"] for field in fields} == {33}
    assert {field["user.name"] for field in fields} <= {"webby", "<NA>", None}
    assert (fields[-1]["user.name"], fields[-1]["group.name"]) == ("webby", "webbies")
