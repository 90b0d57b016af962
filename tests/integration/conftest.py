"""Fixtures of the tests on the real kernel. Without root, BTF or bcc they are skipped, with why."""

import importlib.util
import os
from pathlib import Path

import pytest

from tests.integration.containers import Container, has_runc
from tests.integration.live import Lanner, Stage

_WITHOUT_KERNEL = {"test_sysdig.py"}
"""Tests against other programs that look at files alone."""


def pytest_collection_modifyitems(items):
    """Mark what needs the kernel, nearly everything, and skip it where there is none to be had."""
    here = Path(__file__).parent
    missing = _missing()
    for item in items:
        if not item.path.is_relative_to(here) or item.path.name in _WITHOUT_KERNEL:
            continue
        item.add_marker(pytest.mark.kernel)
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))
        elif item.get_closest_marker("container") and not has_runc():
            item.add_marker(pytest.mark.skip(reason="runc or busybox-static is missing"))


def _missing() -> str:
    if os.geteuid() != 0:
        return "the probe needs root"
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return "the kernel has no BTF"
    if importlib.util.find_spec("bcc") is None:
        return "bcc is missing"
    return ""


@pytest.fixture(scope="module")
def stage():
    """The process tree that the probe watches."""
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def lanner(stage, tmp_path_factory):
    """A ready `lanner run --json` with the default rules, scoped to the stage."""
    lanner = Lanner(tmp_path_factory.mktemp("lanner"), "--json", "--scope-pid", str(stage.pid))
    lanner.wait_ready()
    yield lanner
    lanner.kill()


@pytest.fixture
def start_lanner(stage, tmp_path):
    """Start more, scoped to the stage; not waited for. Takes what Lanner takes."""
    started: list[Lanner] = []

    def start(*options, **settings):
        directory = tmp_path / f"lanner-{len(started)}"
        directory.mkdir()
        lanner = Lanner(directory, "--scope-pid", str(stage.pid), *options, **settings)
        started.append(lanner)
        return lanner

    yield start
    for lanner in started:
        lanner.kill()


@pytest.fixture
def container(tmp_path):
    """A busybox container below /kubepods; nothing of it is left behind."""
    container = Container(tmp_path)
    yield container
    container.remove()
