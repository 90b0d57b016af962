"""Notices that a file has changed: certificates and settings that are replaced while running."""

from pathlib import Path


def file_stamp(path: Path) -> tuple[int, int, int]:
    """What differs when a file was written or replaced; zeros when it is missing."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_ino, status.st_size
