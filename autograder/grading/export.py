"""The class's scores as a file that a learning platform, or a spreadsheet, can read.

Scores are those after late penalties, which are brought up to date first. A score that is not final
is left empty: while something waits to be graded by hand (unless partial scores are asked for),
while a submission is not graded to its end, and where nothing was handed in.

**Canvas** (Instructure's guide to importing grades, and the importer itself, `gradebook_importer.rb`
in instructure/canvas-lms). The columns Student, ID, SIS User ID, SIS Login ID and Section come
first, in this order, Section may be empty; then one column an assignment. "NAME (NUMBER)" is the
assignment with that number, a bare NAME the one with that title, and else Canvas offers to make a
new one, with the row "Points Possible" for its points. A student is found by ID (Canvas's own
number: read as a number, so nothing else may stand there), else SIS User ID, SIS Login ID, name.
nbgrader's `lms_user_id` is the ID where it is a number, and the SIS User ID where it is not; the
student's folder is the SIS Login ID.

**Moodle** (docs.moodle.org, "Grade import"; `grade/import/csv` in moodle/moodle). Columns are free:
the teacher says in a preview which one identifies students ("Email address", "ID number" or
"Username") and which grade item each other column belongs to. A student that is not found ends the
import, and a row whose identifying cell is empty is booked on the student of the row before; so an
identifying column is written only where everybody in the file has one. Feedback may be imported
only together with the grades.

In both, an empty cell takes away a score that is already there. So students without any score yet
have no row, and assignments without any score yet no column.

**CSV** is for spreadsheets and scripts: one line a student and assignment, with the state of each.

A cell that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV
injection"): names of folders and of people are what others typed.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SQLAlchemyError

from autograder.errors import Refused
from autograder.grading import course as courses
from autograder.grading import late, scores
from autograder.grading.course import NOTEBOOK
from autograder.grading.gradebook import trouble
from autograder.grading.sanitise import KEY
from autograder.report import number

FORMULA = tuple("=+-@＝＋－＠")
WAITS, UNGRADED, GRADED, MISSING = "waits for hand grading", "not graded", "graded", "not handed in"


@dataclass(frozen=True)
class Person:
    """A student as the gradebook knows them; `student` is the name of the folder."""

    student: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""

    @property
    def name(self) -> str:
        """ "Last, First", or what there is of it."""
        return ", ".join(filter(None, (self.last_name, self.first_name))) or self.student


@dataclass(frozen=True)
class Mark:
    """What a student has for an assignment. `score` is after the penalty; None where not final."""

    state: str
    score: float | None = None
    penalty: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grades:
    """What is exported: people, assignments with their points, and marks by both."""

    people: tuple[Person, ...]
    points: dict[str, float]
    marks: dict[tuple[str, str], Mark]

    def mark(self, person: Person, assignment: str) -> Mark:
        return self.marks.get((person.student, assignment), Mark(MISSING))

    def settled(self) -> "Grades":
        """Without the people and the assignments that have no score at all."""
        there = {key for key, mark in self.marks.items() if mark.score is not None}
        students, assignments = {s for s, _ in there}, {a for _, a in there}
        return Grades(
            tuple(person for person in self.people if person.student in students),
            {name: points for name, points in self.points.items() if name in assignments},
            self.marks,
        )


@dataclass(frozen=True)
class Export:
    """The text of the file, and what whoever imports it should know."""

    text: str
    notes: tuple[str, ...]


def export(
    root: Path,
    format: str,
    assignments: list[str] | None = None,
    partial: bool = False,
    numbers: dict[str, str] | None = None,
    feedback: bool = False,
) -> Export:
    """The scores of these assignments (None: all that somebody handed in) as csv, canvas or moodle.

    partial: also scores to which hand grading will still add; numbers: Canvas's number of an
    assignment; feedback: for Moodle, a column with the reasons for lost points beside each score.
    Late penalties in the gradebook are brought up to date. Raises Refused as `scores.read`, and for
    an unknown format or assignment.
    """
    if format not in FORMATS:
        raise Refused(f"There is no format {format!r}. There are: {', '.join(FORMATS)}.")
    if numbers and format != "canvas":
        raise Refused("Numbers of assignments belong to the format canvas.")
    if feedback and format != "moodle":
        raise Refused("A column of feedback belongs to the format moodle.")
    grades, notes = _read(root, assignments, partial)
    if unknown := sorted(set(numbers or ()) - set(grades.points)):
        raise Refused(f"{unknown[0]} is not exported, so its number has no place.")
    rows, more = FORMATS[format](grades, numbers or {}, feedback)
    text, guarded = _text(rows)
    notes += more
    if guarded:
        notes.append(
            f"An apostrophe was put before what a spreadsheet would run: {', '.join(guarded[:3])}"
            f"{' and others' if len(guarded) > 3 else ''}. The platform may not know these by it."
        )
    return Export(text, tuple(notes))


def write(path: Path, text: str) -> None:
    """Write an exported file. Raises Refused where it cannot be."""
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}.") from None


# What the gradebook says


def _read(root: Path, wanted: list[str] | None, partial: bool) -> tuple[Grades, list[str]]:
    directory, notes = courses.course(root), []
    sheets = scores.read(root)
    if settled := [who for sheet in sheets for who in sheet.settled]:
        notes.append(late.told(settled))
    try:
        with Gradebook(directory.db_url, directory.course_id) as gradebook:
            known = sorted(assignment.name for assignment in gradebook.assignments)
            people = {student.id: _person(student) for student in gradebook.students}
    except SQLAlchemyError as error:
        raise Refused(trouble(directory.db_url, error)) from None
    if unknown := [name for name in wanted or () if name not in known]:
        raise Refused(
            f"The gradebook has no assignment {unknown[0]!r}. It has: {', '.join(known) or 'none'}."
        )
    sheets = [sheet for sheet in sheets if not wanted or sheet.assignment in wanted]
    marks = {
        (row.student, sheet.assignment): _mark(directory, sheet, row, partial)
        for sheet in sheets
        for row in sheet.rows
    }
    for state in (WAITS, UNGRADED):
        count = sum(mark.state == state and mark.score is None for mark in marks.values())
        if count:
            notes.append(f"{count} score{'s' * (count > 1)} left empty: {state}.")
    everybody = {**{student: Person(student) for student, _ in marks}, **people}
    order = sorted(everybody.values(), key=lambda person: person.student)
    points = {sheet.assignment: sum(sheet.points.values()) for sheet in sheets}
    return Grades(tuple(order), points, marks), notes


def _person(student) -> Person:
    fields = ("first_name", "last_name", "email", "lms_user_id")
    return Person(student.id, *((getattr(student, name) or "").strip() for name in fields))


def _mark(directory: CourseDirectory, sheet: scores.Sheet, row: scores.Row, partial: bool) -> Mark:
    # A note on the whole submission means that it was not graded to its end, or was refused.
    if not row.parts or ("" in row.notes and not _refused(directory, row.student, sheet)):
        return Mark(UNGRADED, notes=tuple(row.notes.values()))
    score = row.score if partial or not row.to_grade else None
    notes = tuple(f"{name}: {why}" if name else why for name, why in row.notes.items())
    return Mark(WAITS if row.to_grade else GRADED, score, row.penalty, notes)


def _refused(directory: CourseDirectory, student: str, sheet: scores.Sheet) -> bool:
    """Whether the file could not be graded, which is final: no points."""
    folder = directory.format_path(directory.autograded_directory, student, sheet.assignment)
    try:
        text = (Path(folder) / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8")
        found = json.loads(text)["metadata"][KEY]
        return "reasons" in found and "refused" in found
    except (OSError, ValueError, KeyError, TypeError):
        return False


# The formats

Rows = list[list[str | float | None]]


def _csv(grades: Grades, _numbers: dict, _feedback: bool) -> tuple[Rows, list[str]]:
    head = ["student", "last_name", "first_name", "email", "lms_user_id"]
    head += ["assignment", "points", "late_penalty", "score", "state"]
    rows: Rows = [head]
    for name, points in grades.points.items():
        for person in grades.people:
            mark = grades.mark(person, name)
            who = [person.student, person.last_name, person.first_name, person.email]
            penalty = None if mark.score is None else mark.penalty
            rows.append([*who, person.lms_user_id, name, points, penalty, mark.score, mark.state])
    return rows, []


def _canvas(grades: Grades, numbers: dict[str, str], _feedback: bool) -> tuple[Rows, list[str]]:
    grades, notes = grades.settled(), _left_out(grades)
    heads = [f"{name} ({numbers[name]})" if name in numbers else name for name in grades.points]
    rows: Rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *heads]]
    rows.append(["    Points Possible", "", "", "", "", *grades.points.values()])
    for person in grades.people:
        known = person.lms_user_id
        number_, sis = (known, "") if known.isascii() and known.isdecimal() else ("", known)
        cells = [grades.mark(person, name).score for name in grades.points]
        rows.append([person.name, number_, sis, person.student, "", *cells])
    if bare := [name for name in grades.points if name not in numbers]:
        notes.append(
            f"Canvas finds {', '.join(bare)} by title, or offers to make them: "
            "--id NAME=NUMBER names the assignment of that number in its address."
        )
    return rows, notes


def _moodle(grades: Grades, _numbers: dict, feedback: bool) -> tuple[Rows, list[str]]:
    grades, notes = grades.settled(), _left_out(grades)
    columns: dict[str, list[str]] = {"Username": [person.student for person in grades.people]}
    for head, values in (
        ("ID number", [person.lms_user_id for person in grades.people]),
        ("Email address", [person.email for person in grades.people]),
    ):
        if all(values):
            columns[head] = values
        elif lacking := [p.student for p, v in zip(grades.people, values, strict=True) if not v]:
            notes.append(
                f"No column “{head}”: the gradebook has none for {', '.join(lacking[:3])}"
                f"{' and others' if len(lacking) > 3 else ''}."
            )
    heads = [[name, f"{name} (feedback)"] if feedback else [name] for name in grades.points]
    rows: Rows = [["First name", "Last name", *columns, *(head for pair in heads for head in pair)]]
    for place, person in enumerate(grades.people):
        row: list = [person.first_name, person.last_name]
        row += [values[place] for values in columns.values()]
        for name in grades.points:
            mark = grades.mark(person, name)
            row.append(mark.score)
            if feedback:
                row.append("" if mark.score is None else "; ".join(mark.notes))
        rows.append(row)
    first = next((head for head in ("Email address", "ID number") if head in columns), "Username")
    notes.append(f"In Moodle's preview, let both “Map from” and “Map to” say “{first}”.")
    return rows, notes


FORMATS: dict[str, Callable[[Grades, dict[str, str], bool], tuple[Rows, list[str]]]] = {
    "csv": _csv,
    "canvas": _canvas,
    "moodle": _moodle,
}


def _left_out(grades: Grades) -> list[str]:
    kept = grades.settled()
    if not kept.people:
        raise Refused("There is no score to export yet. --partial takes what is graded so far.")
    notes = []
    if count := len(grades.people) - len(kept.people):
        have = "students without any score have" if count > 1 else "student without any score has"
        notes.append(f"{count} {have} no row.")
    if names := [name for name in grades.points if name not in kept.points]:
        notes.append(f"Without any score, so without a column: {', '.join(names)}.")
    if any(kept.mark(p, name).score is None for p in kept.people for name in kept.points):
        notes.append("An empty cell takes away a score that the platform already has.")
    return notes


# The file


def _text(rows: Iterable[list]) -> tuple[str, list[str]]:
    """The rows as CSV, and the cells that were guarded."""
    out, guarded = io.StringIO(), []
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        cells = []
        for value in row:
            if value is None or isinstance(value, (int, float)):
                cells.append("" if value is None else number(float(value)))
                continue
            plain = one_line(value)
            cells.append(without_formula(plain))
            if cells[-1] != plain:
                guarded.append(plain)
        writer.writerow(cells)
    return out.getvalue(), guarded


def one_line(text: str) -> str:
    """Without control characters, which split lines and hide what stands behind them."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def without_formula(text: str) -> str:
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
