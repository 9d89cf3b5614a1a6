"""What nbgrader's exchange puts beside a submission, read with care: students can write it, too."""

import datetime
import os
import stat
from pathlib import Path

from nbgrader import utils

from autograder.grading.submission import read_bytes

STAMP = "timestamp.txt"  # when it was handed in
SECRET = "submission_secret.txt"  # by it the exchange returns feedback to its student alone
MOST = 1_000  # bytes


def read_stamp(folder: Path) -> str:
    """The text that says when a submission was handed in; "" where none can be read."""
    return _read(folder / STAMP)


def read_secret(folder: Path) -> str:
    """The submission's secret; "" where none can be read."""
    return _read(folder / SECRET)


def _read(path: Path) -> str:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST:
            return ""
        return read_bytes(path, MOST).decode("utf-8").strip()
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
