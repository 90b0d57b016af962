"""Numbers as people read them, by the names that Grafana has for units."""

import math

_SUFFIXES = {"eps": " evt/s", "cpm": " c/m", "reqps": " req/s"}
_SHORT = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_BINARY = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))
_TIMES = (
    (86400.0, " days"), (3600.0, " hours"), (60.0, " mins"), (1.0, " s"), (1e-3, " ms"),
    (1e-6, " µs"), (1e-9, " ns"),
)  # fmt: skip


def show(value: float, unit: str = "short", decimals: int | None = None) -> str:
    """The value with its unit. dateTimeFromNow is told by `age`, not here."""
    if math.isnan(value) or math.isinf(value):
        return "no data"
    if unit == "percentunit":
        return f"{_digits(value * 100, decimals)}%"
    if unit == "s":
        factor, suffix = _scale(value, _TIMES)
        return f"{_digits(value / factor, decimals)}{suffix}"
    if unit == "bytes":
        factor, suffix = _scale(value, (*_BINARY, (1.0, " B")))
        return f"{_digits(value / factor, decimals)}{suffix}"
    factor, suffix = _scale(value, (*_SHORT, (1.0, "")))
    return f"{_digits(value / factor, decimals if factor == 1 else None)}{suffix}" + _SUFFIXES.get(
        unit, ""
    )


def age(milliseconds: float, now: float) -> str:
    """How long ago a time was."""
    seconds = max(0.0, now - milliseconds / 1000)
    if seconds < 45:
        return "a few seconds ago"
    if seconds < 90:
        return "a minute ago"
    return f"{round(seconds / 60)} minutes ago"


def _scale(value: float, steps: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    if value == 0:
        return next((step for step in steps if step[0] == 1), steps[-1])
    return next((step for step in steps if abs(value) >= step[0]), steps[-1])


def _digits(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    places = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(places, 3)}f}".rstrip("0").rstrip(".") if places else f"{value:.0f}"
