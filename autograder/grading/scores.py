"""The class's scores as a table, from nbgrader's gradebook."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from nbgrader.api import (
    Assignment,
    BaseCell,
    Grade,
    Gradebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import case, func, select
from sqlalchemy.exc import SQLAlchemyError

from autograder.errors import Refused
from autograder.grading import late
from autograder.grading.course import NOTEBOOK, course
from autograder.grading.gradebook import file_of, trouble
from autograder.grading.sanitise import KEY
from autograder.report import number


@dataclass(frozen=True)
class Row:
    """One student's result. `score` is after the late penalty; `parts` has the score of each graded
    cell, None where none is given yet; `notes` says why exercises earned nothing."""

    student: str
    score: float
    parts: dict[str, float | None]
    to_grade: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    penalty: float = 0.0


@dataclass(frozen=True)
class Sheet:
    """One assignment: the most that each graded cell is worth, in order, and the students' rows.

    `settled` has "student assignment" for those whose late penalty changed just now."""

    assignment: str
    points: dict[str, float]
    rows: tuple[Row, ...]
    settled: tuple[str, ...] = ()


def table(root: Path, assignment: str | None = None) -> str:
    """The scores of one assignment or of all, for people to read, and where to look next.

    Raises Refused where there is no gradebook, no such assignment, or the gradebook is locked.
    """
    directory = course(root)
    shown = [_show(sheet) for sheet in read(root, assignment)]
    return "\n\n".join([*shown, _where_to_look(directory)])


def read(root: Path, assignment: str | None = None) -> list[Sheet]:
    """The scores of one assignment, or of all that somebody handed in. Raises Refused.

    Late penalties in the gradebook are brought up to date first.
    """
    directory = course(root)
    url = directory.db_url
    path = file_of(url)
    if path is not None and not path.is_file():
        raise Refused(
            f"There is no gradebook at {path}: run `nbgrader generate_assignment NAME` and "
            "`autograder grade NAME` first."
        )
    try:
        with Gradebook(url, course_id=directory.course_id) as gradebook:
            names = [found.name for found in gradebook.assignments]
            if assignment and assignment not in names:
                raise Refused(
                    f"The gradebook has no assignment {assignment!r}. "
                    f"It has: {', '.join(sorted(names)) or 'none'}."
                )
            settled = late.settle(gradebook, directory.config)
            chosen = [assignment] if assignment else sorted(names)
            sheets = [_sheet(gradebook, directory, name, settled) for name in chosen]
    except SQLAlchemyError as error:
        raise Refused(trouble(url, error)) from None
    return [sheet for sheet in sheets if sheet.rows or assignment]


def _sheet(
    gradebook: Gradebook, directory: CourseDirectory, name: str, settled: list[str]
) -> Sheet:
    cells = [
        cell
        for notebook in gradebook.find_assignment(name).notebooks
        for cell in [*notebook.grade_cells, *notebook.task_cells]
    ]
    order = _order(directory, name)
    cells.sort(key=lambda cell: order.get(cell.name, len(order)))
    handed_in = {
        path.name
        for path in Path(directory.format_path(directory.submitted_directory, ".", ".")).glob("*")
        if (path / name).is_dir()
    }
    penalties, grades = _penalties(gradebook, name), _grades(gradebook, name)
    rows = []
    for student in sorted(handed_in | set(penalties)):
        notes = _notes(directory, student, name)
        if student in penalties:
            rows.append(_row(student, grades.get(student, []), penalties[student], notes))
        else:
            rows.append(Row(student, 0.0, {}, notes=notes or {"": "not graded yet"}))
    points = {cell.name: float(cell.max_score) for cell in cells}
    changed = tuple(who for who in settled if who.endswith(f" {name}"))
    return Sheet(name, points, tuple(rows), changed)


def _penalties(gradebook: Gradebook, name: str) -> dict[str, float]:
    """The late penalty of everybody whose submission the gradebook knows."""
    found = gradebook.db.execute(
        select(SubmittedAssignment.student_id, func.sum(SubmittedNotebook.late_submission_penalty))
        .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        .outerjoin(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .where(Assignment.name == name)
        .group_by(SubmittedAssignment.student_id)
    )
    return {student: float(penalty or 0.0) for student, penalty in found}


def _grades(gradebook: Gradebook, name: str) -> dict[str, list[tuple[str, float | None, bool]]]:
    """The graded cells of every student: the name, the score, and whether it waits for somebody.

    A grade that was never given has no score of its own; nbgrader counts it as 0.
    """
    found = gradebook.db.execute(
        select(
            SubmittedAssignment.student_id,
            BaseCell.name,
            case((func.coalesce(Grade.manual_score, Grade.auto_score).is_not(None), Grade.score)),
            Grade.needs_manual_grade,
        )
        .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .join(BaseCell, Grade.cell_id == BaseCell.id)
        .where(Assignment.name == name)
    )
    grades: dict[str, list[tuple[str, float | None, bool]]] = {}
    for student, *grade in found:
        grades.setdefault(student, []).append(tuple(grade))
    return grades


def _row(
    student: str,
    grades: list[tuple[str, float | None, bool]],
    penalty: float,
    notes: dict[str, str],
) -> Row:
    parts = {cell: None if score is None else float(score) for cell, score, _ in grades}
    to_grade = tuple(cell for cell, _, waits in grades if waits)
    total = sum(score or 0.0 for _, score, _ in grades)
    return Row(student, max(0.0, total - penalty), parts, to_grade, notes, penalty)


def _notes(directory: CourseDirectory, student: str, name: str) -> dict[str, str]:
    """Why exercises earned nothing, as the judge left it in the graded notebook."""
    graded = Path(directory.format_path(directory.autograded_directory, student, name))
    try:
        text = (graded / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8")
        found = json.loads(text)["metadata"].get(KEY, {})
    except FileNotFoundError:
        handed_in = Path(directory.format_path(directory.submitted_directory, student, name))
        if (handed_in / f"{NOTEBOOK}.ipynb").exists():
            return {"": f"not graded: `autograder grade {name} --student {student}`"}
        others = sorted(path.name for path in handed_in.glob("*"))[:3]
        there = f"; there is {', '.join(others)}" if others else ""
        return {"": f"no notebook called {NOTEBOOK}.ipynb{there}"}
    except (OSError, ValueError, KeyError):
        return {"": f"the graded notebook in {graded} cannot be read"}
    if "reasons" not in found:
        again = f"autograder grade {name} --student {student} --force"
        return {"": f"grading was interrupted: run `{again}`"}
    if "refused" in found:
        return {"": found["refused"].split(". ")[0]}
    return dict(found.get("reasons", {}))


def _order(directory: CourseDirectory, name: str) -> dict[str, int]:
    """Where each graded cell stands in the assignment; the gradebook does not keep it."""
    release = Path(directory.format_path(directory.release_directory, ".", name))
    try:
        cells = json.loads((release / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))["cells"]
        ids = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in cells]
    except (OSError, ValueError, KeyError):
        return {}
    return {grade_id: place for place, grade_id in enumerate(ids)}


def _show(sheet: Sheet) -> str:
    total = sum(sheet.points.values())
    count = len(sheet.rows)
    lines = [f"{sheet.assignment}: {count} student{'s' * (count != 1)}, {number(total)} points"]
    for place, (name, points) in enumerate(sheet.points.items(), 1):
        lines.append(f"  {place:>3}  {_short(name)} ({number(points)})")
    width = max([len("student"), *(len(row.student) for row in sheet.rows)])
    heads = "".join(f"{place:>5}" for place in range(1, len(sheet.points) + 1))
    lines += ["", f"  {'student':<{width}}  score{heads}"]
    for row in sheet.rows:
        cells = "".join(f"{_cell(row, name):>5}" for name in sheet.points)
        lines.append(f"  {row.student:<{width}}  {number(row.score):>5}{cells}")
        lines += [f"      {line}" for line in _remarks(row, sheet.points)]
    if sheet.settled:
        lines += ["", f"  {late.told(sheet.settled)}"]
    if any(row.to_grade for row in sheet.rows):
        lines += ["", "  ?  waits to be graded by hand: `make formgrader`"]
    return "\n".join(lines)


def _cell(row: Row, name: str) -> str:
    score = row.parts.get(name)
    if name in row.to_grade:
        return "?" if score is None else f"{number(score)}?"
    return "-" if score is None else number(score)


def _remarks(row: Row, points: dict[str, float]) -> list[str]:
    """One line for each reason, with the exercises that it explains, in their order."""
    tested = [_short(name) for name in points if name != _short(name)]
    reasons: dict[str, list[str]] = {}
    for name in sorted(row.notes, key=lambda name: tested.index(name) if name in tested else -1):
        reasons.setdefault(row.notes[name], []).append(name)
    return [
        why if names in ([""], tested) else f"{', '.join(names)}: {why}"
        for why, names in reasons.items()
    ]


def _short(name: str) -> str:
    return name.removesuffix("-check")


def _where_to_look(directory: CourseDirectory) -> str:
    feedback = directory.feedback_directory
    return "\n".join(
        [
            f"Feedback pages: {feedback}/STUDENT/ASSIGNMENT/{NOTEBOOK}.html",
            f"Graded notebooks: {directory.autograded_directory}/STUDENT/ASSIGNMENT/",
            "nbgrader's own pages, to grade written answers: make formgrader",
        ]
    )
