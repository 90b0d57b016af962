"""`lanner run` with a stopwatch in its parts: processor time of each, written to standard output.

Arguments: those of `lanner run`. Ends when Lanner would say that it is ready, and prints a JSON
object: part -> [milliseconds of processor time, calls], the verifier's filters by name, and under
"total" all threads together. Wrapped from outside, so that Lanner itself needs no stopwatch.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

FILTER = "verifier: filter of"
PARTS: dict[str, list[float]] = {}
_LOCK = threading.Lock()


def add(part: str, since: float) -> None:
    """Add what this thread worked since then to a part."""
    with _LOCK:
        row = PARTS.setdefault(part, [0.0, 0])
        row[0] += (time.thread_time() - since) * 1000
        row[1] += 1


def timed(owner: Any, name: str, part: str | Callable[..., str]) -> None:
    """Time a function or method of a module or class from now on."""
    inner = getattr(owner, name)

    def outer(*args: Any, **options: Any) -> Any:
        """The same, with the stopwatch running."""
        since = time.thread_time()
        try:
            return inner(*args, **options)
        finally:
            add(part if isinstance(part, str) else part(*args), since)

    setattr(owner, name, outer)


def _loaded(program: str, *_rest: object) -> str:
    call = program.removeprefix("filter_")
    return "verifier: the probe" if call == program else f"{FILTER} {call}"


def watch() -> None:
    """Wrap the parts, and end the process once they have run."""
    compose: Any = import_module("exporter.app.compose")
    rule_files = import_module("exporter.app.rule_files")
    install = import_module("exporter.pushdown.install")
    node = import_module("exporter.app.node")
    state = import_module("exporter.state.state")
    timed(rule_files, "load_rules", "rules: parse and check")
    timed(rule_files, "Engine", "rules: compile")
    timed(rule_files, "AlertMaker", "rules: output formats")
    timed(install, "analyse", "filters: analysis")
    timed(install, "emit_filter", "filters: assembling")
    timed(state.State, "scan", "/proc scan")
    timed(node.HttpServer, "__init__", "listeners")
    timed(node, "make_app", "listeners")
    timed(node.Node, "__init__", "node, the rules included")
    settle = compose.settle_interpreter

    def ready() -> None:
        """Settle as usual, then tell."""
        since = time.thread_time()
        settle()
        add("settle the interpreter", since)
        PARTS["total"] = [time.process_time() * 1000, 1]
        os.write(1, json.dumps(PARTS).encode())
        os._exit(0)

    compose.settle_interpreter = ready


def main() -> None:
    """Time the imports, then run."""
    add("interpreter", 0.0)
    since = time.thread_time()
    cli = import_module("exporter.cli")
    import_module("exporter.cli.run")
    add("imports before the probe", since)
    start: Any = import_module("exporter.app.start")
    kernel = import_module("exporter.sources.probe.kernel")
    timed(kernel, "load_program", _loaded)
    timed(kernel, "attach", "attach")
    timed(start.OpeningProbe, "_open", "probe, the next two included")
    imported = start.import_module

    def composed(name: str) -> Any:
        """The second half of the imports."""
        since = time.thread_time()
        module = imported(name)
        add("imports beside the probe", since)
        watch()
        return module

    start.import_module = composed
    sys.argv = ["lanner", "run", *sys.argv[1:]]
    cli.main()


if __name__ == "__main__":
    main()
