"""A Lanner in a pod: what it says of the host comes from where the host's root is mounted."""

import pytest

from tests.integration.live import Lanner, Stage

pytestmark = pytest.mark.kernel

RULE = """
- rule: shadow
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow
  output: "user=%user.name group=%group.name"
  priority: NOTICE
"""


def test_users_are_those_of_the_host(tmp_path):
    """Names of its /etc, not of the image's."""
    host = tmp_path / "host"
    (host / "etc").mkdir(parents=True)
    (host / "etc/passwd").write_text("captain:x:0:0::/:/bin/sh\n")
    (host / "etc/group").write_text("crew:x:0:\n")
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULE)
    stage = Stage()
    lanner = Lanner(
        tmp_path, "--json", "--scope-pid", str(stage.pid), "-r", str(rules),
        env={"HOST_ROOT": str(host)},
    )  # fmt: skip
    try:
        lanner.wait_ready()
        stage.run("cat", "/etc/shadow")
        alert = lanner.wait_alert(lambda alert: alert["rule"] == "shadow")
    finally:
        lanner.kill()
        stage.close()

    fields = alert["output_fields"]
    assert (fields["user.name"], fields["group.name"]) == ("captain", "crew")
