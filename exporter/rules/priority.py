"""Priorities of rules: syslog numbers, 0 the most severe (spec/rule-language.md section 17)."""

from enum import IntEnum


class Priority(IntEnum):
    """A rule's priority; `str()` is the long name that alerts print."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6
    DEBUG = 7

    def __str__(self) -> str:
        return self.name.capitalize()

    @classmethod
    def parse(cls, text: str) -> "Priority":
        """Priority of a user's spelling: any case, INFO as INFORMATIONAL. Raises ValueError."""
        name = text.upper()
        try:
            return cls["INFORMATIONAL" if name == "INFO" else name]
        except KeyError:
            raise ValueError(text) from None
