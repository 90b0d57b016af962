"""What can go wrong, said to a person: one hierarchy, one form of message.

Rooms raise these at the first place that knows the fact; only the room `cli` prints them and picks
the exit status.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text that a user wrote; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class LannerError(Exception):
    """Base of every error that a user is meant to read.

    message: one sentence: what was found and what was expected.
    code: stable identifier to search for, such as "P003" or "LOAD_ERR_VALIDATE".
    span: where in the user's text, when there is one.
    hint: what to do about it.
    """

    def __init__(
        self, message: str, *, code: str = "", span: Span | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.span = span
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        kind = f"error {self.code}: " if self.code else "error: "
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{where}{kind}{self.message}{hint}"


class ConfigError(LannerError):
    """The configuration file or a command-line option is wrong."""


class RuleError(LannerError):
    """A rules file is wrong."""


class ProbeError(LannerError):
    """The kernel probe cannot be compiled, loaded, attached or read."""


class DecodeError(LannerError):
    """A kernel or capture record does not have the shape its type demands."""


class CaptureError(LannerError):
    """A capture cannot be read, or not further than this. offset: byte of the (unzipped) stream."""

    def __init__(self, message: str, *, offset: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.offset = offset


class OutputError(LannerError):
    """An alert could not be handed to an output."""


class ServerError(LannerError):
    """A listening address or socket cannot be used."""


class AuditLogError(LannerError):
    """A Kubernetes audit log cannot be read."""
