"""Which mistakes the class made, exercise by exercise, so that the next lecture can be about them.

Points come from the gradebook; what went wrong comes from what the judge left in the graded
notebooks, where a known mistake is named only if the answer equals it in every case.
"""

import re
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory

from autograder.errors import Refused
from autograder.exercise import Exercise, Mistake, UnknownExercise
from autograder.exercise import find as find_exercise
from autograder.grading import course as courses
from autograder.grading import scores
from autograder.grading.course import NOTEBOOK, exercise_of
from autograder.grading.sanitise import KEY

LISTED = 3  # of other reasons, and of parts that were missed
WIDTH = 88


@dataclass
class Tally:
    """What became of one exercise. `mistakes`: how many made each known one; `reasons`: how many
    have no points for another reason; `missed`: what those with some points, and no known mistake,
    did not get."""

    exercise: Exercise
    full: int = 0
    partial: int = 0
    none: int = 0
    mistakes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def known(self) -> list[tuple[Mistake, int]]:
        """The known mistakes that were made, the most frequent first."""
        order = sorted(self.mistakes.items(), key=lambda item: (-item[1], item[0]))
        return [(self.exercise.mistake(name), count) for name, count in order]


@dataclass(frozen=True)
class Lecture:
    """An assignment: how many notebooks were graded, how many files were none, how many wait."""

    assignment: str
    graded: int
    refused: int
    waiting: int
    tallies: tuple[Tally, ...]


def report(lectures: list[Lecture]) -> str:
    """The mistakes, for people to read."""
    return "\n\n\n".join(_show(lecture) for lecture in lectures)


def read(root: Path, assignment: str | None = None) -> list[Lecture]:
    """What the class did in one assignment, or in all that are graded.

    Raises Refused as `scores.read`, and where nothing is graded yet.
    """
    directory = courses.course(root)
    found = [_lecture(directory, sheet) for sheet in scores.read(root, assignment)]
    found = [lecture for lecture in found if lecture.graded]
    if not found:
        raise Refused(f"Nothing is graded yet: run `autograder grade {assignment or ''}`.")
    return found


def _lecture(directory: CourseDirectory, sheet: scores.Sheet) -> Lecture:
    tallies: dict[str, Tally] = {}
    graded = refused = waiting = 0
    for row in sheet.rows:
        notebook = graded_notebook(directory, row.student, sheet.assignment)
        if notebook is None:
            waiting += 1
            continue
        if "refused" in notebook.metadata[KEY]:
            refused += 1
            continue
        graded += 1
        for cell in notebook.cells:
            name = exercise_of(cell)
            try:
                exercise = find_exercise(name) if name else None
            except UnknownExercise:  # an exercise of a former year
                continue
            if exercise is not None:
                tally = tallies.setdefault(name, Tally(exercise))
                _count(tally, cell, sheet, row, notebook.metadata[KEY])
    return Lecture(sheet.assignment, graded, refused, waiting, tuple(tallies.values()))


def graded_notebook(
    directory: CourseDirectory, student: str, assignment: str
) -> NotebookNode | None:
    """The notebook that the judge has finished with, or None."""
    folder = directory.format_path(directory.autograded_directory, student, assignment)
    try:
        notebook = nbformat.read(Path(folder) / f"{NOTEBOOK}.ipynb", as_version=4)
        return notebook if "reasons" in notebook.metadata[KEY] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _count(
    tally: Tally, cell: NotebookNode, sheet: scores.Sheet, row: scores.Row, found: NotebookNode
) -> None:
    """Add a student's exercise; found: what the judge left in the notebook's metadata."""
    name, grade_id = tally.exercise.name, cell.metadata["nbgrader"]["grade_id"]
    score, points = row.parts.get(grade_id) or 0.0, sheet.points.get(grade_id, 0.0)
    if score >= points:
        tally.full += 1
        return
    if score > 0:
        tally.partial += 1
    else:
        tally.none += 1
    mistake = found.get("diagnoses", {}).get(name)  # an older notebook has none
    if mistake in {known.name for known in tally.exercise.mistakes}:
        tally.mistakes[mistake] += 1
    elif score > 0:
        tally.missed.update(_missed(tally.exercise, _text(cell)))
    else:
        tally.reasons[found["reasons"].get(name) or "points taken away by hand"] += 1


def _text(cell: NotebookNode) -> str:
    """The judge's report, as it stands in the graded notebook."""
    first = cell.outputs[0] if cell.get("outputs") else {}
    text = first.get("data", {}).get("text/plain", "")
    return text if isinstance(text, str) else ""


def _missed(exercise: Exercise, text: str) -> list[str]:
    """The aspects that a report's table marks as missed, but for those that only wait for another."""
    table = text.split("\n\n")[0].splitlines()
    rows = [re.split(r" {2,}", line.removeprefix("  --  ")) for line in table if line[2:4] == "--"]
    names = {row[0] for row in rows if len(row) == 2}  # a third part says what it waits for
    return [aspect.name for aspect in exercise.aspects if aspect.name in names]


# For people to read


def _show(lecture: Lecture) -> str:
    head = f"{lecture.assignment}: {_many(lecture.graded, 'notebook')} graded"
    if lecture.refused:
        head += f", {_many(lecture.refused, 'file')} that could not be graded"
    if lecture.waiting:
        head += f", {lecture.waiting} not graded yet"
    width = max([len("exercise"), *(len(tally.exercise.name) for tally in lecture.tallies)])
    lines = [head, "", f"  {'exercise':<{width}}   full  partial  none  most frequent mistake"]
    for tally in lecture.tallies:
        known = tally.known()
        most = f"{_words(known[0][0])} ({known[0][1]})" if known else ""
        counts = f"{tally.full:>6}{tally.partial:>9}{tally.none:>6}"
        lines.append(f"  {tally.exercise.name:<{width}} {counts}  {most}".rstrip())
    for tally in lecture.tallies:
        if details := _details(tally):
            lines += ["", f"{tally.exercise.name}: {tally.exercise.see}", *details]
    return "\n".join(lines)


def _details(tally: Tally) -> list[str]:
    lines = []
    for mistake, count in tally.known():
        lines.append(f"  {count:>3}  {_words(mistake)}")
        see = "" if mistake.see == tally.exercise.see else f" The right step: {mistake.see}."
        lines += _wrapped(mistake.says + see)
    for reason, count in tally.reasons.most_common(LISTED):
        lines += _wrapped(reason, f"  {count:>3}  ")
    if more := sum(tally.reasons.values()) - sum(dict(tally.reasons.most_common(LISTED)).values()):
        lines.append(f"  {more:>3}  no points for other reasons")
    for name, count in tally.missed.most_common(LISTED):
        lines += _wrapped(
            f"some points, but missed “{name}”, by no mistake that is known", f"  {count:>3}  "
        )
    return lines


def _wrapped(text: str, first: str = " " * 7) -> list[str]:
    text = "".join(c if c.isprintable() else " " for c in text)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * 7)


def _words(mistake: Mistake) -> str:
    return mistake.name.replace("_", " ")


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


# The plot; colours that stay apart for colour-blind eyes and on paper
FULL, PARTIAL, NONE, MISTAKE = "#0072b2", "#a6cee3", "#bbbbbb", "#d55e00"


def plot(path: Path, lectures: list[Lecture]) -> None:
    """Write an SVG: each exercise's full, partial and no points, and its known mistakes below.

    The same class gives the same file. Raises Refused where it cannot be written, or is to be no SVG.
    """
    if path.suffix.lower() != ".svg":
        raise Refused(f"The plot is an SVG: call the file {path.stem}.svg, not {path.name}.")
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    bars = [bar for lecture in lectures for tally in lecture.tallies for bar in _bars(tally)]
    most = max([1, *(lecture.graded for lecture in lectures)])
    # Text as text: small, searchable, and in the reader's own font.
    settings = {"svg.hashsalt": "lecture", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9, 0.9 + 0.24 * len(bars)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for place, (_, parts) in enumerate(bars):
            left = 0
            for colour, count in parts:
                if count:
                    axes.barh(place, count, left=left, color=colour, height=0.8, edgecolor="white")
                    ink = "white" if colour in (FULL, MISTAKE) else "black"
                    axes.text(
                        left + count / 2, place, str(count), ha="center", va="center", color=ink
                    )
                left += count
        axes.set_yticks(range(len(bars)), [_plain(label) for label, _ in bars])
        for label, (_, parts) in zip(axes.get_yticklabels(), bars, strict=True):
            label.set_fontweight("bold" if len(parts) > 1 else "normal")
        axes.invert_yaxis()
        axes.set_xlim(0, most)
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("students")
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        key = (("all points", FULL), ("some", PARTIAL), ("none", NONE), ("known mistake", MISTAKE))
        handles = [mpl.patches.Patch(color=colour, label=label) for label, colour in key]
        figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
        try:
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        except OSError as error:
            raise Refused(f"{path} cannot be written: {error.strerror}.") from None


def _bars(tally: Tally) -> list[tuple[str, list[tuple[str, int]]]]:
    """An exercise's bar, and one for each mistake, as a label and its coloured parts."""
    shares = [(FULL, tally.full), (PARTIAL, tally.partial), (NONE, tally.none)]
    return [
        (tally.exercise.name, shares),
        *((_words(mistake), [(MISTAKE, count)]) for mistake, count in tally.known()),
    ]


def _plain(label: str) -> str:
    """Without what matplotlib takes for mathematics."""
    return re.sub(r"\$", r"\\$", label)
