"""The class's models, the best first, from what the judge measured of them.

It is made to be shown in class: without names, so that everybody finds only the own row, by the error
rate that stands in the own report.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from autograder import lexicon
from autograder.errors import Refused
from autograder.exercise import find
from autograder.grading import course as courses
from autograder.grading import scores
from autograder.grading.course import exercise_of
from autograder.grading.export import one_line, without_formula
from autograder.grading.lecture import graded_notebook
from autograder.grading.sanitise import KEY
from autograder.report import number

TOO_GOOD = (
    "!  better than any model that we have trained on these words alone: read the notebook. It is a "
    "reason to look, and no verdict."
)


@dataclass(frozen=True)
class Entry:
    """A model that was measured. parameters: as far as its student's kernel could count them; None
    where it could not. too_good: worth a look at the notebook."""

    student: str
    error_rate: float
    words_right: float
    points: float
    parameters: int | None
    too_good: bool


@dataclass(frozen=True)
class Board:
    """What was measured in an assignment, the best first. without: how many have no error rate."""

    assignment: str
    points: float
    words: int
    entries: tuple[Entry, ...]
    without: int

    def place(self, entry: Entry) -> int:
        """Equal error rates, as they are shown, share a place."""
        shown = [f"{other.error_rate:.4f}" for other in self.entries]
        return 1 + shown.index(f"{entry.error_rate:.4f}")


def read(root: Path, assignment: str | None = None) -> Board:
    """What was measured in this assignment, by default the one in which something is.

    Raises Refused as `scores.read`, where nothing is measured in it, and where nothing is graded yet.
    """
    directory = courses.course(root)
    every = courses.assignments(root)
    measured = [name for name in every if _measured(courses.exercises_in(directory, name))]
    if assignment is not None and assignment in every and assignment not in measured:
        some = ", ".join(measured) or "none"
        raise Refused(
            f"In {assignment} nothing is measured that has an order. Where it is: {some}."
        )
    if assignment is None and not measured:
        raise Refused("There is no assignment in which something is measured that has an order.")
    name = assignment or measured[-1]
    (sheet,) = scores.read(root, name)
    entries, asked, points, without = [], 0, 0.0, 0
    for row in sheet.rows:
        notebook = graded_notebook(directory, row.student, name)
        found = notebook.metadata[KEY].get("measures", {}) if notebook else {}
        (exercise,) = _measured(courses.exercises_in(directory, name))
        if exercise not in found:
            without += 1
            continue
        cell = next(cell for cell in notebook.cells if exercise_of(cell) == exercise)
        grade_id = cell.metadata["nbgrader"]["grade_id"]
        asked, points = int(found[exercise]["words"]), sheet.points.get(grade_id, 0.0)
        entries.append(
            Entry(
                row.student,
                found[exercise]["error rate"],
                found[exercise]["words right"],
                row.parts.get(grade_id) or 0.0,
                found[exercise]["parameters"],
                bool(found[exercise]["too good"]),
            )
        )
    if not entries:
        raise Refused(f"Nothing is measured yet in {name}: run `autograder grade {name}`.")
    entries.sort(key=lambda entry: (entry.error_rate, entry.student))
    return Board(name, points, asked, tuple(entries), without)


def _measured(names: list[str]) -> list[str]:
    """Those of the exercises of which something is measured; an assignment has one at most."""
    return [name for name in names if find(name).measure is not None][:1]


def table(board: Board, names: bool = False) -> str:
    """For people to read; between the models stands what the course's own reached."""
    many = f"{len(board.entries)} model{'s' * (len(board.entries) != 1)}"
    lines = [
        f"{board.assignment}: {many}, {board.words} held-out words, {number(board.points)} points",
        "",
        "  place  error rate  words right  points  parameters" + "  student" * names,
    ]
    rows = [(entry.error_rate, _row(board, entry, names)) for entry in board.entries]
    for own in lexicon.measured():
        name, _, how = own["model"].rpartition(", ")
        if how == "greedy":
            rate, right, size = own["error rate"], own["words right"], own["parameters"]
            text = f"      -  {rate:>10.4f}  {right:>10.1%}           {size:>10}  (ours: {name})"
            rows.append((rate, text))
    lines += [line.rstrip() for _, line in sorted(rows, key=lambda row: row[0])]
    if board.without:
        lines += [
            "",
            f"  {board.without} without an error rate: not graded yet, or nothing to measure",
        ]
    if names and any(entry.too_good for entry in board.entries):
        lines += ["", f"  {TOO_GOOD}"]
    return "\n".join(lines)


def _row(board: Board, entry: Entry, names: bool) -> str:
    size = "?" if entry.parameters is None else str(entry.parameters)
    told = f"  {'! ' if entry.too_good else ''}{entry.student}" if names else ""
    return (
        f"  {board.place(entry):>5}  {entry.error_rate:>10.4f}  {entry.words_right:>10.1%} "
        f" {number(entry.points):>7}  {size:>10}{told}"
    )


def as_csv(board: Board, names: bool = False) -> str:
    """A line a model, for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    heads = ["place", "error rate", "words right", "points", "parameters"]
    writer.writerow(heads + ["student", "look"] * names)
    for entry in board.entries:
        row = [board.place(entry), f"{entry.error_rate:.4f}", f"{entry.words_right:.3f}"]
        row += [number(entry.points), "" if entry.parameters is None else entry.parameters]
        named = [without_formula(one_line(entry.student)), "!" * entry.too_good]
        writer.writerow(row + named * names)
    return text.getvalue()
