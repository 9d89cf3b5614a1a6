"""nbgrader's first step on a submission: the course's notebook, with only the student's text in it.

Nothing else of a submission survives: no tag, no metadata, no outputs, no kernel. So there is
nothing left to strip, and no submission can name another exercise, other points or another test.
"""

import html
import re
from collections.abc import Iterable
from pathlib import Path

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config

from autograder.errors import Refused
from autograder.grading import hidden, isolation, preflight, submission
from autograder.grading.course import NOTEBOOK, course_of, exercises_of, needs_of, released
from autograder.grading.submission import Cell, NoNotebook

KEY = "autograder"  # where the notebook's metadata say what was found, for the steps that follow
NEW = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
LINK = re.compile(r"(\][(:]\s*)(<[^>\n]*|[^\s)]*)")
SCHEMES = ("http:", "https:", "mailto:", "attachment:")
REMOVED = "] (a link was removed here)"
MISSING = "This cell was missing from the notebook that was handed in."


class SubmissionExporter(NotebookExporter):
    """Reads what students handed in without trusting it, and everything else as nbconvert does."""

    def __init__(self, *args, **kwargs):
        """nbgrader makes it once, before it touches the first submission.

        Raises NbGraderException, in one line, for what is wrong for everybody.
        """
        super().__init__(*args, **kwargs)
        directory = course_of(self)
        name = directory.assignment_id
        try:
            if loud := isolation.warning():
                self.log.warning(loud)
            hidden.seed(Path(directory.root))
            as_released(directory, name, NOTEBOOK)
            preflight.begin(directory, name, KEY, self.log)
        except MissingEntry:
            why = (
                f"The gradebook does not know {name}: run `nbgrader generate_assignment {name}` "
                "(was the gradebook moved? Then put it back)."
            )
        except (Refused, RuntimeError, OSError, SQLAlchemyError) as error:
            why = str(error).splitlines()[0]
        else:
            return
        self.log.error("Nothing was graded or changed. %s", why)
        raise NbGraderException(why)

    def from_filename(self, filename, resources=None, **kwargs):
        """Convert a notebook; a submitted file that is none becomes an empty one with the reason."""
        marks = (resources or {}).get("nbgrader", {})
        directory = course_of(self)
        folder = directory.format_path(
            directory.submitted_directory, marks.get("student", ""), marks.get("assignment", "")
        )
        path = Path(filename)
        if path.parent != Path(folder):
            return super().from_filename(filename, resources, **kwargs)
        try:
            resources[KEY] = {"cells": submission.read(path)}
        except NoNotebook as error:
            self.log.warning("Nothing to grade in %s: %s", filename, error)
            resources[KEY] = {"refused": str(error)}
        resources["metadata"] = {"name": path.stem, "path": str(path.parent)}
        return self.from_notebook_node(new_notebook(), resources, **kwargs)


class Sanitise(NbGraderPreprocessor):
    """Puts the student's cells into a fresh copy of the assignment's notebook."""

    def preprocess(self, nb, resources):
        """The notebook to be executed, for what SubmissionExporter read. Raises as `as_released`."""
        marks, found = resources["nbgrader"], resources.pop(KEY)
        template = as_released(course_of(self), marks["assignment"], marks["notebook"], self.config)
        if "refused" in found:
            return refuse(template, found["refused"]), resources
        try:
            return rebuild(template, found["cells"]), resources
        except NoNotebook as error:
            self.log.warning("Nothing to grade of %s: %s", marks["student"], error)
            return refuse(template, str(error)), resources


def as_released(
    directory: CourseDirectory, assignment: str, notebook: str, config: Config | None = None
) -> NotebookNode:
    """A fresh copy of the released notebook. Raises RuntimeError where the gradebook has another."""
    source = Path(directory.format_path(directory.source_directory, ".", assignment))
    template = released(source / f"{notebook}.ipynb", config)
    wanted = {
        _grade_id(cell): float(cell.metadata["nbgrader"]["points"])
        for cell in template.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        cells = gradebook.find_notebook(notebook, assignment).grade_cells
        known = {cell.name: float(cell.max_score) for cell in cells}
    if wanted != known:
        raise RuntimeError(
            f"{source} has other graded cells or points than the gradebook: "
            f"run `nbgrader generate_assignment {assignment}`."
        )
    return template


def refuse(template: NotebookNode, why: str) -> NotebookNode:
    """The notebook for somebody whose file cannot be graded: nothing done, and the reason on top."""
    template.metadata[KEY] = {"refused": why}
    note = f"## This submission could not be graded\n\n{why}\n\nThe file itself was kept as it is."
    template.cells.insert(0, new_markdown_cell(note, id="autograder-refused"))
    return template


def rebuild(template: NotebookNode, cells: list[Cell]) -> NotebookNode:
    """The template with the student's answers, and the student's own cells between its cells.

    An answer goes where the template has it; where an id is there twice, the last one is the answer
    and the others count as own cells, which stand behind the cell that they followed. Raises
    NoNotebook, before anything is changed, where there is more code than the assignment allows.
    """
    _bound(needs_of(exercises_of(template)).code, code_of(cells, code_places(template)))
    places = {_grade_id(cell): cell for cell in template.cells if _grade_id(cell)}
    last = {cell.grade_id: index for index, cell in enumerate(cells) if cell.grade_id in places}
    own: dict[str, list[Cell]] = {name: [] for name in ["", *places]}
    answers: dict[str, Cell] = {}
    behind = ""
    for index, cell in enumerate(cells):
        if last.get(cell.grade_id) == index:
            behind = cell.grade_id
            answers[behind] = cell
        elif cell.grade_id not in places or cell.source != places[cell.grade_id].source:
            own[behind].append(cell)
    rebuilt = list(own[""])
    for name, place in places.items():
        if place.metadata["nbgrader"]["solution"]:
            _answer(place, answers.get(name))
        rebuilt += [place, *own[name]]
    template.cells = [
        _own_cell(cell, number) if isinstance(cell, Cell) else cell
        for number, cell in enumerate(rebuilt, 1)
    ]
    return template


def code_places(template: NotebookNode) -> set[str]:
    """The ids of the cells in which the template has code."""
    return {_grade_id(cell) for cell in template.cells if cell.cell_type == "code"} - {""}


def code_of(cells: Iterable[Cell], places: set[str]) -> list[str]:
    """What of a submission is run as code, if all of it is: whatever a cell says it is, its place counts."""
    return [cell.source for cell in cells if cell.kind == "code" or cell.grade_id in places]


def _bound(most: int | None, code: list[str]) -> None:
    """Raises NoNotebook for more than `most` bytes of code: they could hold the answers as data."""
    size = sum(len(text.encode()) for text in code)
    if most is not None and size > most:
        raise NoNotebook(
            f"The cells of this notebook hold {size} bytes of code; at most {most} are graded here. "
            "Take out what the model does not need: data, and numbers that were trained elsewhere, "
            "do not belong in it."
        )


def _answer(cell: NotebookNode, answer: Cell | None) -> None:
    """Put the student's answer into a cell of the template."""
    if answer:
        cell.source = answer.source
        if cell.cell_type == "markdown":
            cell.source = harmless(answer.source)
            if answer.attachments:
                cell.attachments = answer.attachments
    elif cell.cell_type == "code":
        # The stub would overwrite a function that was written in another cell.
        cell.source = f"# {MISSING}"


def _own_cell(cell: Cell, number: int) -> NotebookNode:
    text = cell.source if cell.kind == "code" else harmless(cell.source)
    new = NEW[cell.kind](text, id=f"students-own-{number}")
    if cell.attachments and cell.kind == "markdown":
        new.attachments = cell.attachments
    return new


def harmless(text: str) -> str:
    """A student's Markdown without HTML: in a grader's browser a script could do all that they can.

    A space behind the `<` ends a tag, and leaves comparisons in formulas what they were. Links stay
    where they lead to a page, a letter, a picture of the cell, or nowhere else.
    """
    return LINK.sub(_link, re.sub(r"<(?=[A-Za-z/!?])", "< ", text))


def _link(found: re.Match) -> str:
    try:
        said = html.unescape(found[2])
    except ValueError:  # the number of a character with thousands of digits
        return REMOVED
    target = re.sub(r"[<\\\x00-\x20]", "", said)
    scheme = re.match(r"[^/?#]*?:", target)
    harmless = scheme is None or scheme[0].lower() in SCHEMES
    return found[0] if harmless else REMOVED


def _grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")
