"""Before an assignment is graded: what is wrong for everybody is told once, and nothing is touched."""

import glob
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from logging import Logger
from pathlib import Path

from nbgrader.coursedir import CourseDirectory

from autograder.errors import Refused
from autograder.grading.course import NOTEBOOK
from autograder.grading.stamp import STAMP, stamp_of, without_time

# nbgrader finds submissions by patterns; and no name may steer a terminal, or turn round what it shows.
UNADDRESSABLE = re.compile(r"[\[\]*?\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_locks: dict[Path, int] = {}  # kept open: the system frees them when the process ends, however


def begin(directory: CourseDirectory, assignment: str, key: str, log: Logger) -> None:
    """Make sure that grading can begin, and clear what a grading that was killed left half done.

    key: where in a graded notebook's metadata the judge leaves its reasons. Raises Refused.
    """
    _lock(Path(directory.root) / "class" / ".grading-lock")
    for folder in _folders(directory, directory.submitted_directory, "*"):
        if UNADDRESSABLE.search(folder.name):
            raise Refused(f"nbgrader cannot address the folder {str(folder)!r}. Rename it.")
    for folder in _folders(directory, directory.submitted_directory, "*", assignment):
        if not (folder / f"{NOTEBOOK}.ipynb").exists():
            others = sorted(path.name for path in folder.glob("*.ipynb"))
            there = f"there is {others[0]!r}: rename it" if others else "it holds no notebook"
            log.warning("%s has no %s.ipynb; %s, and run again.", folder, NOTEBOOK, there)
        if without_time(folder):
            log.warning(
                "%s holds no time: graded without one, so not counted late.", folder / STAMP
            )
    _distrust(directory, assignment)
    for folder in _folders(directory, directory.autograded_directory, "*", assignment):
        if not _finished(folder / f"{NOTEBOOK}.ipynb", key):
            log.warning("%s was left half graded; it is graded again.", folder)
            shutil.rmtree(folder)


def _distrust(directory: CourseDirectory, assignment: str) -> None:
    """Keep nbgrader from what it should not touch in a submission, besides the notebook.

    It copies all files that lie there, and follows links; it reads any timestamp to its end, and
    fails where that is no time. What a course ignores it looks for by patterns: in no other case,
    and not in folders whose names are patterns themselves.
    """
    patterns = [pattern for pattern in directory.ignore if not os.path.isabs(pattern)]
    left = [
        path
        for folder in _folders(directory, directory.submitted_directory, "*", assignment)
        for path in _left_where_it_is(folder, patterns)
    ]
    directory.ignore = patterns + [glob.escape(str(path)) for path in left]
    directory.get_existing_timestamp = lambda folder: stamp_of(Path(folder))


def _left_where_it_is(folder: Path, patterns: list[str]) -> Iterator[Path]:
    """What is not to be copied from a submission."""
    if without_time(folder):
        yield folder / STAMP
    for place, folders, files in os.walk(folder):
        odd = [name for name in folders if UNADDRESSABLE.search(name)]
        folders[:] = [name for name in folders if name not in odd]
        odd += [
            name
            for name in files
            if not _is_plain(Path(place, name))
            or any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
        ]
        yield from (Path(place, name) for name in odd)


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _folders(directory: CourseDirectory, under: str, *pattern: str) -> list[Path]:
    root = Path(directory.root) / under
    return sorted(path for path in root.glob("/".join(pattern)) if path.is_dir())


def _finished(notebook: Path, key: str) -> bool:
    """Whether the judge has been through a notebook."""
    try:
        metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return "reasons" in metadata.get(key, {})


def _lock(path: Path) -> None:
    """Hold the course's lock until this process ends. Raises Refused where another one holds it."""
    try:
        import fcntl
    except ImportError:  # not on Windows: there, nobody may grade twice at once
        return
    if path in _locks:
        return
    path.parent.mkdir(exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise Refused(f"Another grading runs in this course ({path}). Wait for its end.") from None
    _locks[path] = file
