"""The table that `make bench` prints: what was measured, its figure, and a reference beside it."""

import math
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure. reference: measured in the same run, to compare; bar: what is promised."""

    what: str
    value: str
    reference: str = ""
    bar: str = ""


def print_table(title: str, rows: Iterable[Row]) -> None:
    """Print one section, columns aligned."""
    lines = [("", "figure", "against", "bar")]
    lines += [(row.what, row.value, row.reference, row.bar) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    print(f"\n{title}")
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells).rstrip())


def print_machine() -> None:
    """One line on what the figures were measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = os.getloadavg()[0]
    model = models[0] if models else platform.machine()
    print(
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python"
        f" {platform.python_version()}, load average {load:.2f} (figures need an idle machine)"
    )


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
