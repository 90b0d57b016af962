"""The first moments of `lanner run`, before anything listens to signals."""

import os
import signal
from types import SimpleNamespace

import pytest

from exporter.app import start
from exporter.config.load import load_config


@pytest.fixture
def run(monkeypatch):
    """Start with these things happening where the node would be composed."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(start, "share_arenas", lambda: None)

    def call(*signals: signal.Signals) -> int:
        def run_composed(_config, _probe, is_reload_due) -> int:
            for number in signals:
                os.kill(os.getpid(), number)
            return int(is_reload_due())

        monkeypatch.setattr(
            start, "import_module", lambda _name: SimpleNamespace(run_composed=run_composed)
        )
        options = ("probe.enabled=false", "k8s_audit.enabled=true", "drop_privileges=false")
        return start.run_node(load_config(None, options))

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_hangup_during_the_start_is_a_reload_to_be_done(run) -> None:
    """It ends nothing: the rules may have been read before they were changed."""
    assert run() == 0
    assert run(signal.SIGHUP) == 1


def test_a_stop_during_the_start_is_success(run) -> None:
    """There is nothing to deliver yet."""
    with pytest.raises(SystemExit) as ended:
        run(signal.SIGTERM)

    assert ended.value.code == 0
