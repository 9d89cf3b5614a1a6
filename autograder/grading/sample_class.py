"""A made-up class, to see grading at work before the first real one hands in."""

import copy
import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Student
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from autograder.errors import Refused
from autograder.exercise import find
from autograder.grading import course, wrong_answers
from autograder.grading.course import NOTEBOOK, exercise_of, trained_less
from autograder.grading.gradebook import file_of, shown, trouble

MARK = "sample-class.json"  # in class/: which students are made up
WRITTEN = "A made-up answer: it waits here to be read, graded and commented on by hand."
SOLVED = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)

# Each hands in what the second word says; "mixed N" gets some right and makes the Nth mistakes.
STUDENTS = {
    "amara-okafor": "right",
    "bruno-keller": "mixed 0",
    "chiara-ricci": "mixed 1",
    "daniel-osei": "mixed 2",
    "elif-yildiz": "mixed 3",
    "farid-haddad": "careless",
    "greta-lindqvist": "stubs",
    "hiro-tanaka": "crashes",
    "ines-carvalho": "endless",
    "jonas-meyer": "cut off",
}

# Where a model is trained: how long by whom, so that not all are the same, and soon done.
UPDATES = {"right": 1200, "mixed 0": 60, "mixed 3": 150, "careless": 300}


def make(root: Path, assignments: list[str] | None = None) -> list[str]:
    """Hand in for the made-up class in `root`, for these assignments (None: all released ones).

    Returns the students' names. Raises Refused where an assignment is not released, and where a
    class is there that is not made up: then nothing is written.
    """
    directory = course.course(root)
    _only_made_up(directory, root)
    every = course.assignments(root)
    notebooks = {name: _notebooks(directory, name, every) for name in assignments or every}
    if not notebooks:
        raise Refused(f"There are no assignments in {root / directory.source_directory}.")
    mark = root / "class" / MARK
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(json.dumps({"students": list(STUDENTS)}, indent=1) + "\n", encoding="utf-8")
    for assignment, (release, source) in notebooks.items():
        for student, manner in STUDENTS.items():
            path = Path(directory.format_path(directory.submitted_directory, student, assignment))
            path.mkdir(parents=True, exist_ok=True)
            text = _hand_in(manner, copy.deepcopy(release), source)
            (path / f"{NOTEBOOK}.ipynb").write_text(text, encoding="utf-8")
    return list(STUDENTS)


def _only_made_up(directory: CourseDirectory, root: Path) -> None:
    """Raises Refused where there is a student who is not one of the last sample class."""
    try:
        made_up = set(json.loads((root / "class" / MARK).read_text(encoding="utf-8"))["students"])
    except FileNotFoundError:
        made_up = set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{root / 'class' / MARK} cannot be read ({error}). Remove it.") from None
    folders = [
        Path(directory.format_path(step, ".", "."))
        for step in (directory.submitted_directory, directory.autograded_directory)
    ]
    there = {path.name for folder in folders for path in folder.glob("*/") if path.is_dir()}
    known = _known(directory.db_url)
    if real := sorted((there | known) - made_up):
        names = ", ".join(real[:3]) + (" and others" if len(real) > 3 else "")
        places = [str(root / "class")] if there - made_up else []
        places += [f"the gradebook {shown(directory.db_url)}"] if known - made_up else []
        raise Refused(
            f"There is a class in {' and '.join(places)} that is not made up ({names}). Nothing "
            "was changed. To see the sample class, use another copy of the course with a gradebook "
            "of its own, or move class/ away."
        )


def _known(db_url: str) -> set[str]:
    """The students in the gradebook, wherever it is. It is only looked at: none is made by this."""
    path = file_of(db_url)
    if path is not None and not path.is_file():
        return set()
    engine = create_engine(db_url)
    students = Student.__table__
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(students.name):
                return set()
            return set(connection.scalars(select(students.c.id)))
    except SQLAlchemyError as error:
        raise Refused(trouble(db_url, error)) from None
    finally:
        engine.dispose()


def _notebooks(directory, name: str, every: list[str]) -> tuple[NotebookNode, NotebookNode]:
    release, source = (
        Path(directory.format_path(step, ".", name)) / f"{NOTEBOOK}.ipynb"
        for step in (directory.release_directory, directory.source_directory)
    )
    if name not in every:
        raise Refused(f"There is no assignment {name!r}. There are: {', '.join(every) or 'none'}.")
    if not release.is_file():
        raise Refused(f"{name} is not released yet: run `nbgrader generate_assignment {name}`.")
    return nbformat.read(release, as_version=4), nbformat.read(source, as_version=4)


def _hand_in(manner: str, notebook: NotebookNode, source: NotebookNode) -> str:
    """The text of the file that a student of this manner hands in."""
    cells = {_grade_id(cell): cell for cell in notebook.cells}
    right = {
        name: SOLVED.sub("", cell.source)
        for cell in source.cells
        if (name := _grade_id(cell)) and cell.metadata["nbgrader"]["solution"]
    }
    exercises = [name for cell in source.cells if (name := exercise_of(cell))]
    if manner != "stubs":
        for name, text in right.items():
            by_hand = cells[name].cell_type == "markdown"
            cells[name].source = WRITTEN if by_hand else trained_less(text, UPDATES.get(manner, 1))
    if manner.startswith("mixed"):
        _mistakes(cells, exercises, int(manner.split()[1]))
    if manner == "careless":
        _carelessly(notebook, cells, exercises)
    if manner == "crashes":
        _crash(cells, exercises)
    if manner == "endless":
        cells[exercises[-1]].source = _instead(exercises[-1], "while True:\n        pass")
    text = nbformat.writes(notebook)
    return text[: len(text) // 2] if manner == "cut off" else text


def _mistakes(cells: dict[str, NotebookNode], exercises: list[str], which: int) -> None:
    """Two of three exercises wrong, each with a mistake that is known for it."""
    for number, name in enumerate(exercises):
        answers = wrong_answers.sources(find(name))
        if answers and (number + which) % 3:
            cells[name].source = answers[(number + 3 * which) % len(answers)]


def _carelessly(notebook: NotebookNode, cells: dict, exercises: list[str]) -> None:
    """Right answers in a notebook that was torn: tests deleted, a cell twice, another kernel."""
    notebook.cells.remove(cells[f"{exercises[0]}-check"])
    twice = copy.deepcopy(cells[exercises[0]])
    twice.id = "pasted"
    notebook.cells.insert(1, twice)
    notebook.metadata.kernelspec = {
        "name": "my-env",
        "display_name": "my env",
        "language": "python",
    }


def _crash(cells: dict[str, NotebookNode], exercises: list[str]) -> None:
    """The first cell raises, the last function ends Python; what is between them is right."""
    cells[exercises[0]].source = "import scipyy\n\n" + cells[exercises[0]].source
    if len(exercises) > 1:
        cells[exercises[-1]].source = _instead(exercises[-1], "import os\n\n    os._exit(1)")


def _instead(name: str, body: str) -> str:
    return f"def {name}({find(name).signature}):\n    {body}\n"


def _grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")
