"""The image's health check, run against the HTTP server as it may be configured."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.server.certificates import Authority
from tests.server.web import Web

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def check(port: int) -> int:
    """The exit status of the command that the Dockerfile gives, asking another port."""
    match = re.search(r"^HEALTHCHECK .*\\\n  CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    assert match
    command = [word.replace("9376", str(port)) for word in json.loads(match[1])]
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode


@pytest.mark.parametrize("has_tls", [False, True])
def test_a_live_server_is_healthy(loop_thread, tmp_path, has_tls):
    """In clear and over TLS, without trusting anybody for it."""
    config = None
    if has_tls:
        pair = Authority(tmp_path, "ca").sign("server")
        config = tmp_path / "web.yaml"
        config.write_text(f"tls_server_config: {{cert_file: {pair.cert}, key_file: {pair.key}}}\n")

    with Web(loop_thread, config=config) as web:
        port = web.port
        assert check(port) == 0
    assert check(port) == 1
