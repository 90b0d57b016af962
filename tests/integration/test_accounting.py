"""Nothing is lost without being counted: what the loop did is what the kernel counted."""

from tests.integration.live import ROOT, compile_source, memory_mib, wait_until

PRIME = 100_003


def test_storm_is_accounted_exactly(stage, start_lanner, tmp_path):
    """A prime number of open(2) through a small ring, fast: submitted + dropped is that number.

    Every submitted event is delivered or counted as lost in user space, and memory stays bounded.
    """
    storm = compile_source(ROOT / "tests/bench/open_storm.c", tmp_path)
    lanner = start_lanner("--no-pushdown", config="probe: {ring_size: 256KiB}\n")
    lanner.wait_ready()

    def events(stage_name):
        name = "lanner_events_total"
        return lanner.total(name, default=0, type="open", stage=stage_name)

    def dropped():
        return lanner.total("lanner_events_dropped_total", default=0, type="open")

    assert (events("submitted"), dropped()) == (0, 0)
    answer = stage.run(str(storm), "/etc/hostname", str(PRIME), "0", "0", "1")
    assert answer["output"].split()[:2] == [str(PRIME), "0"]
    wait_until(lambda: events("delivered") >= events("submitted"), 30, "the ring to be drained")

    assert events("submitted") + dropped() == PRIME
    assert events("delivered") == events("submitted")
    assert memory_mib(lanner.process.pid, "VmHWM") < 200
