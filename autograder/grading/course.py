"""Where a course keeps its things: nbgrader's own settings, read from `nbgrader_config.py`."""

import re
from collections.abc import Iterable
from functools import lru_cache, reduce
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import (
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)
from traitlets.config import Config, Configurable
from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

from autograder.errors import Refused
from autograder.exercise import Needs, find

NOTEBOOK = "exercises"
_UPDATES = re.compile(r"^(UPDATES = )\d+", re.MULTILINE)
_CHECK = re.compile(r"""\s*check\(\s*["'](\w+)["']\s*,\s*\w+\s*\)\s*""")


def settings(root: Path) -> Config:
    """nbgrader's settings for the course in `root`. Raises Refused where there is none."""
    try:
        return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    except ConfigFileNotFound:
        raise Refused(
            f"There is no course in {root}: it has no nbgrader_config.py. "
            "Run this from the course's root."
        ) from None


def course(root: Path) -> CourseDirectory:
    """nbgrader's course directory for the course in `root`. Raises Refused where there is none."""
    return CourseDirectory(config=settings(root), root=str(root.resolve()))


def course_of(part: Configurable) -> CourseDirectory:
    """The course directory of the converter that a preprocessor or exporter belongs to."""
    while not hasattr(part, "coursedir"):
        part = part.parent
    return part.coursedir


def assignments(root: Path) -> list[str]:
    """The names of all assignments that have a source, in order."""
    directory = course(root)
    found = Path(directory.format_path(directory.source_directory, ".", "*"))
    return sorted(path.parent.name for path in found.parent.glob(f"*/{NOTEBOOK}.ipynb"))


def exercises_in(directory: CourseDirectory, assignment: str) -> list[str]:
    """The exercises that an assignment checks, in its order."""
    source = Path(directory.format_path(directory.source_directory, ".", assignment))
    return list(exercises_of(_read(source / f"{NOTEBOOK}.ipynb", 0)))


def released(source: Path, config: Config | None = None) -> NotebookNode:
    """The notebook as students get it, made from nbgrader's source: stubs for answers, no outputs.

    Made anew and not read from the released folder, where somebody may have worked.
    """
    notebook = _read(source, source.stat().st_mtime_ns)
    resources: dict = {}
    for step in (
        LockCells,
        ClearSolutions,
        ClearOutput,
        ClearHiddenTests,
        ClearMarkScheme,
        ComputeChecksums,
    ):
        notebook, resources = step(config=config).preprocess(notebook, resources)
    return notebook


@lru_cache(maxsize=32)
def _text(source: Path, _modified: int) -> str:
    return source.read_text(encoding="utf-8")


def _read(source: Path, modified: int) -> NotebookNode:
    return nbformat.reads(_text(source, modified), as_version=4)


def exercise_of(cell: NotebookNode) -> str:
    """The exercise that a test cell checks, or "" for any other cell."""
    marks = cell.metadata.get("nbgrader", {})
    if cell.cell_type != "code" or not marks.get("grade") or marks.get("solution"):
        return ""
    match = _CHECK.fullmatch(cell.source)
    return match[1] if match else ""


def exercises_of(nb: NotebookNode) -> tuple[str, ...]:
    """The exercises that a notebook checks, each once, in its order."""
    return tuple(dict.fromkeys(name for cell in nb.cells if (name := exercise_of(cell))))


def trained_less(text: str, updates: int) -> str:
    """The text of a cell with so many updates in its line `UPDATES = ...`, if it has one.

    That is where a model answer says how long it trains; the answer is then quick, and not as good.
    """
    return _UPDATES.sub(rf"\g<1>{updates}", text)


def needs_of(names: Iterable[str]) -> Needs:
    """What a notebook with these exercises may use where it is graded."""
    return reduce(Needs.__or__, (find(name).needs for name in names), Needs())


def libraries_of(names: Iterable[str]) -> tuple[str, ...]:
    """What may be imported, besides NumPy, where these exercises are done."""
    return tuple(sorted({library for name in names for library in find(name).libraries}))
