"""Lanner's own log: structured lines on standard error; standard output is for alerts alone.

Messages of libraries that use the logging module (uvicorn, grpc, asyncio) are led into it.
"""

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog

Logger = structlog.typing.FilteringBoundLogger


class _Forward(logging.Handler):
    """Hands records of the logging module to structlog."""

    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record under its level."""
        error = record.exc_info[1] if record.exc_info else None
        details: dict[str, Any] = {"logger": record.name}
        if error is not None:
            details["error"] = f"{type(error).__name__}: {error}"
        self._log.log(record.levelno, record.getMessage(), **details)


class _Stderr:
    """Standard error for as long as somebody reads it; a log without reader must not stop us."""

    def write(self, text: str) -> int:
        """Write, or do nothing when nobody reads any more."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing when nobody reads any more."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def start_log(level: str, form: str) -> Logger:
    """Configure the log and return it. form: auto (by terminal), console or json."""
    is_console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if is_console
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )
    log = cast("Logger", structlog.get_logger())
    root = logging.getLogger()
    root.handlers = [_Forward(log)]
    root.setLevel(logging.WARNING)
    return log
