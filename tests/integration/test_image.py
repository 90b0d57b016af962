"""The image that the Dockerfile makes does the main job with the chart's privileges."""

import subprocess

import pytest

from tests.charts.test_chart import CAPABILITIES, container
from tests.integration.image import ROOT, Image, can_build
from tests.integration.live import Lanner, Stage, wait_until

pytestmark = [pytest.mark.container, pytest.mark.kernel, pytest.mark.timeout(600)]

SHADOW_RULE = "Sensitive file read by untrusted program"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image, built once; its Debian base is kept between runs."""
    if not can_build():
        pytest.skip("building an image needs root, buildah, debootstrap and runc")
    built = Image(tmp_path_factory.mktemp("image"), ROOT / ".cache" / "debian-base")
    try:
        built.build()
        yield built
    finally:
        built.remove()


def test_it_detects_with_the_charts_capabilities_and_a_read_only_root(image, tmp_path):
    """Cold, with four capabilities and nothing writable but its volumes: alert, metric, health."""
    capabilities = container()["securityContext"]["capabilities"]["add"]
    stage = Stage()
    lanner = Lanner(
        tmp_path,
        "--json",
        "--scope-pid",
        str(stage.pid),
        command=image.command(capabilities, tmp_path),
    )
    try:
        lanner.wait_ready()
        since = len(lanner.lines)
        stage.run("cat", "/etc/shadow")
        alert = lanner.wait_alert(lambda alert: alert["rule"] == SHADOW_RULE, since)

        assert capabilities == CAPABILITIES
        assert alert["output_fields"]["fd.name"] == "/etc/shadow"
        wait_until(
            lambda: lanner.total("lanner_alerts_total", rule=SHADOW_RULE) == 1, 5, "the counter"
        )
        assert lanner.fetch("/healthz")[0] == 200
        assert lanner.stop() == 0, lanner.log
    finally:
        lanner.kill()
        stage.close()


def test_its_root_is_really_read_only(image, tmp_path):
    """The first test would mean nothing if the root could be written."""
    command = image.command(CAPABILITIES, tmp_path)
    bundle = tmp_path / "bundle" / "template.json"
    bundle.write_text(
        bundle.read_text().replace('"args": ["lanner"]', '"args": ["touch", "/opt/lanner/mark"]')
    )

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


def test_it_says_how_healthy_it_is(image):
    """The health check asks the port that the image exposes."""
    check = image.config["Healthcheck"]["Test"]

    assert check[0] == "CMD"
    assert "9376" in check[-1]
    assert "/healthz" in check[-1]
    assert "9376/tcp" in image.config["ExposedPorts"]


def test_it_carries_no_compiler_of_python_packages(image):
    """Build tools stay in the first stage: no pip, no hatchling, no C compiler."""
    site = next(image.root.glob("opt/lanner/lib/python3*/site-packages"))

    assert not [name for name in ("pip", "hatchling", "setuptools") if (site / name).exists()]
    assert not list(image.root.glob("usr/bin/gcc*"))
