"""`make pictures`: live through the scenario, then draw every dashboard, dark and light.

    python -m tests.pictures DIRECTORY [--seconds 660] [--data KEPT]

--data: Prometheus' data are kept there; when it is there already, it is drawn again.
"""

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.dashboards.boards import load
from tests.integration.live import wait_until
from tests.integration.monitoring import Prometheus
from tests.pictures.answers import Asker
from tests.pictures.cluster import SCRAPE_SECONDS, live
from tests.pictures.page import draw, photograph
from tests.pictures.themes import DARK, LIGHT

LIGHT_TOO = {"overview"}
"""Boards that are drawn in the light theme as well."""

VARIABLES = {"investigation": {"namespace": "ci"}}
"""What is chosen; everything elsewhere."""


def main() -> None:
    """Pictures into the directory given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seconds", type=int, default=660)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    # So that a stop by a signal ends what was started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # Short, because paths of sockets are.
        data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p")))
        kept = data / "times.json"
        if not kept.exists():
            data.mkdir(exist_ok=True)
            kept.write_text(json.dumps(live(data, options.seconds)))
        start, end = json.loads(kept.read_text())
        # No targets: the answers are about what was.
        prometheus = Prometheus(data, {})
        stack.callback(prometheus.stop)
        prometheus.wait_ready()
        wait_until(lambda: prometheus.query("lanner_ready", end), 20, "the data")
        for name, board in load().items():
            asker = Asker(prometheus.url, start, end, SCRAPE_SECONDS, VARIABLES.get(name, {}))
            themes = {"": DARK} | ({"-light": LIGHT} if name in LIGHT_TOO else {})
            for suffix, theme in themes.items():
                page, height, empty = draw(board, asker, theme)
                picture = options.directory / f"{name}{suffix}.png"
                photograph(page, height, picture)
                without = f", without data: {', '.join(empty)}" if empty else ""
                print(f"{picture}: {picture.stat().st_size / 1024:.0f} KiB{without}")


if __name__ == "__main__":
    main()
