"""Filters at the start: those of busy calls come first, and nothing is lost in between."""

from dataclasses import replace

import pytest

from exporter.pushdown.install import Pushdown
from exporter.rules.ruleset import Ruleset
from tests.integration.probe_rig import Rig, of
from tests.rules.test_compiler import make_rule

pytestmark = pytest.mark.kernel

CONDITIONS = {
    "openat": "evt.type=openat and fd.name={tmp}/wanted",
    "unlink": "evt.type=unlink and evt.arg.path={tmp}/wanted",
}
ACTS = """
    import os
    for name in ("other", "wanted"):
        path = {tmp!r} + "/" + name
        os.close(os.open(path, os.O_CREAT | os.O_RDWR))
        os.unlink(path)
"""


def test_rare_calls_are_filtered_last(tmp_path):
    """After `begin` all their events come, after `finish` or `watch` only those that can match."""
    tmp = str(tmp_path)
    rules = Ruleset(
        tuple(
            make_rule(number, text.format(tmp=tmp))
            for number, text in enumerate(CONDITIONS.values())
        )
    )
    rig = Rig()
    try:
        pushdown = Pushdown(rig.source.probe, lambda _: frozenset(CONDITIONS), print)

        def paths() -> tuple[list[bytes], list[bytes]]:
            """Names that were opened, and removed, as far as they are told."""
            _, _, events = rig.run(ACTS.format(tmp=tmp))
            opened = [event.named_param("name") for event in of(events, "openat")]
            removed = [event.named_param("path") for event in of(events, "unlink")]
            here = tmp.encode()
            return [p for p in opened if p.startswith(here)], removed

        other, wanted = (f"{tmp}/{name}".encode() for name in ("other", "wanted"))
        pushdown.begin(rules)
        assert rig.source.probe.filters.calls == {"openat"}
        assert paths() == ([wanted], [other, wanted])
        pushdown.finish()
        assert rig.source.probe.filters.calls == {"openat", "unlink"}
        assert paths() == ([wanted], [wanted])
        pushdown.begin(rules)
        pushdown.watch([rules])
        pushdown.finish()
        assert rig.source.probe.filters.calls == {"openat", "unlink"}
        assert paths() == ([wanted], [wanted])
        # A reload whose first half came before `finish`, and its second behind it.
        pushdown.begin(rules)
        newer = replace(rules)
        pushdown.watch([rules, newer])
        pushdown.finish()
        assert paths() == ([other, wanted], [other, wanted])
        pushdown.watch([newer])
        assert rig.source.probe.filters.calls == {"openat", "unlink"}
        assert paths() == ([wanted], [wanted])
    finally:
        rig.close()
