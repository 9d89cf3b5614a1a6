"""When a submission was handed in: nbgrader's `timestamp.txt`, which students can write, read with care."""

import datetime
import os
import stat
from pathlib import Path

from nbgrader import utils

STAMP = "timestamp.txt"
MAX_STAMP = 1_000  # bytes


def read_stamp(folder: Path) -> str:
    """The text that says when a submission was handed in; "" where none can be read."""
    path = folder / STAMP
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_STAMP:
            return ""
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def stamp_of(folder: Path) -> datetime.datetime | None:
    """When a submission was handed in, in UTC; None where it does not say so, or not in a time."""
    text = read_stamp(folder)
    try:
        return utils.parse_utc(text) if text else None
    except Exception:  # a time zone may be the name of a file, which may be anything
        return None


def without_time(folder: Path) -> bool:
    """Whether there is a stamp that holds no time."""
    return os.path.lexists(folder / STAMP) and stamp_of(folder) is None
