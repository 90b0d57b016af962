"""Sizes and durations as users write them: `8MiB`, `1.5s`, `250ms`.

Takes text or a plain number (bytes, seconds), gives int bytes or float seconds.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_SIZES = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30,
    "K": 2**10, "M": 2**20, "G": 2**30,
}  # fmt: skip
_DURATIONS = {"": 1.0, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(value: object) -> int:
    """Bytes of `8MiB`, `64kB`, `4096`. Raises ValueError."""
    number, unit = _split(value, "a size such as 8MiB")
    factor = _SIZES.get(unit.upper())
    if factor is None:
        raise ValueError("expected a size such as 8MiB; units are B, kB, MB, GB, KiB, MiB, GiB")
    return round(number * factor)


def parse_duration(value: object) -> float:
    """Seconds of `10s`, `250ms`, `1m`, `5`. Raises ValueError."""
    number, unit = _split(value, "a duration such as 10s")
    factor = _DURATIONS.get(unit)
    if factor is None:
        raise ValueError("expected a duration such as 10s; units are ns, us, ms, s, m, h")
    return number * factor


def _split(value: object, expected: str) -> tuple[float, str]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected {expected}")  # noqa: TRY004  pydantic shows ValueErrors
    match = _NUMBER.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"expected {expected}")
    return float(match[1]), match[2]


Size = Annotated[int, BeforeValidator(parse_size)]
"""Bytes."""

Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds."""
