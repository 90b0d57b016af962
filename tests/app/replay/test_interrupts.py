"""Ctrl-C: noted between batches, at once during waits, and the second time always."""

import os
import signal
import threading
import time

import pytest

from exporter.app.replay.interrupts import Interrupts


def interrupt() -> None:
    """What Ctrl-C does; the handler runs before this returns."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0)


def test_the_first_is_noted():
    """Work goes on to the end of its batch."""
    with Interrupts() as interrupts:
        assert not interrupts.is_set
        interrupt()
        assert interrupts.is_set


def test_the_second_raises():
    """A person who insists is obeyed."""
    with Interrupts() as interrupts:
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        assert interrupts.is_set


def test_a_wait_ends_at_once():
    """Neither a silent pipe nor a far event holds up the end."""
    with Interrupts() as interrupts:
        timer = threading.Timer(0.05, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            interrupts.sleep(60)
        timer.join()
        assert interrupts.is_set


def test_the_handler_before_comes_back():
    """Nothing of it stays behind."""
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
