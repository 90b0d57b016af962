"""What tests of any room may ask for."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from hypothesis import HealthCheck, settings

_NOBODY = 65534

# What an example takes is no law of ours: a busy machine makes every test slow.
settings.register_profile("lanner", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lanner")


@pytest.fixture
def as_nobody() -> Callable[[], AbstractContextManager[None]]:
    """A block without root's right to look into everything, as far as this process has it."""

    @contextmanager
    def block() -> Iterator[None]:
        before = os.geteuid()
        if before == 0:
            os.seteuid(_NOBODY)
        try:
            yield
        finally:
            os.seteuid(before)

    return block
