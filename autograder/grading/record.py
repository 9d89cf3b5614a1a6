"""What a graded notebook means for the gradebook: written as `nbgrader autograde` writes it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.api import (
    Assignment,
    BaseCell,
    Grade,
    Gradebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveAutoGrades
from sqlalchemy import select
from traitlets.config import Config

from autograder.grading import late
from autograder.grading.course import NOTEBOOK
from autograder.grading.sanitise import KEY
from autograder.grading.stamp import SECRET, STAMP, read_secret, read_stamp, stamp_of

MARK = "fingerprint"  # in the metadata of a graded notebook: from what it was made

_log = logging.getLogger(__name__)


class Recorder:
    """Writes graded notebooks and their grades; the only one that touches the gradebook.

    The gradebook comes first and the file last, whole or not at all: a notebook that lies in
    `autograded` is one whose grades are in the gradebook. To record twice is to record once.
    Besides the notebook only what the exchange needs is put there: what else a student hands in is
    neither executed nor shown.
    """

    def __init__(self, directory: CourseDirectory, config: Config):
        self._directory = directory
        self._gradebook = Gradebook(directory.db_url, directory.course_id)
        self._save = SaveAutoGrades(config=config)
        self._save.gradebook = self._gradebook
        self._config, self._policy = config, late.policy_of(config)
        self._scores: dict[str, dict[str, dict[str, float | None]]] = {}

    def close(self) -> None:
        self._gradebook.close()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __call__(self, student: str, assignment: str, notebook: str) -> None:
        """Record a judged notebook, given as JSON."""
        source = self._folder(self._directory.submitted_directory, student, assignment)
        try:
            with self._at_once():
                self._gradebook.update_or_create_student(student)
                stamp = stamp_of(source)
                stamped = {"timestamp": stamp} if stamp else {}
                self._gradebook.update_or_create_submission(assignment, student, **stamped)
                self._grades(student, assignment, nbformat.reads(notebook, as_version=4))
                self._penalty(student, assignment)
        except BaseException:
            self._gradebook.db.rollback()
            raise
        self._file(student, assignment, notebook, source)

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """What nbgrader commits step by step is committed in the end: all of it, or nothing."""
        session = self._gradebook.db
        commit, session.commit = session.commit, session.flush
        try:
            yield
        finally:
            session.commit = commit
        session.commit()

    def graded(self, student: str, assignment: str) -> bool:
        """Whether there is a graded notebook, from whatever it was made."""
        return (
            self._folder(self._directory.autograded_directory, student, assignment)
            / f"{NOTEBOOK}.ipynb"
        ).exists()

    def holds(self, student: str, assignment: str, mark: str) -> bool:
        """Whether it is graded from just this, and the gradebook has the scores that it got.

        The gradebook may be another one than that which was written: restored, or begun anew.
        """
        folder = self._folder(self._directory.autograded_directory, student, assignment)
        try:
            nb = nbformat.read(folder / f"{NOTEBOOK}.ipynb", as_version=4)
            if nb.metadata[KEY][MARK] != mark:
                return False
            scores = {
                cell.metadata.nbgrader.grade_id: utils.determine_grade(cell, _log)[0]
                for cell in nb.cells
                if utils.is_grade(cell)
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return self._known(assignment).get(student) == scores

    def settle(self) -> list[str]:
        """Bring all late penalties up to date, also of those who were not graded again."""
        return late.settle(self._gradebook, self._config)

    def _known(self, assignment: str) -> dict[str, dict[str, float | None]]:
        """The automatic score of every student for every cell, as the gradebook had them."""
        if assignment not in self._scores:
            found = self._scores[assignment] = {}
            rows = self._gradebook.db.execute(
                select(SubmittedAssignment.student_id, BaseCell.name, Grade.auto_score)
                .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
                .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
                .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
                .join(BaseCell, Grade.cell_id == BaseCell.id)
                .where(Assignment.name == assignment)
            )
            for student, cell, score in rows:
                found.setdefault(student, {})[cell] = score
            self._gradebook.db.rollback()  # only looked: keep no transaction open
        return self._scores[assignment]

    def _folder(self, under: str, student: str, assignment: str) -> Path:
        return Path(self._directory.format_path(under, student, assignment))

    def _grades(self, student: str, assignment: str, nb: nbformat.NotebookNode) -> None:
        save = self._save
        save.student_id, save.assignment_id, save.notebook_id = student, assignment, NOTEBOOK
        for index, cell in enumerate(nb.cells):
            save.preprocess_cell(cell, {}, index)

    def _penalty(self, student: str, assignment: str) -> None:
        self._gradebook.db.expire_all()  # sums are the database's
        submission = self._gradebook.find_submission(assignment, student)
        found = self._gradebook.find_submission_notebook(NOTEBOOK, assignment, student)
        score = float(found.score)
        found.late_submission_penalty = late.penalty_due(self._policy, submission, score)

    def _file(self, student: str, assignment: str, notebook: str, source: Path) -> None:
        folder = self._folder(self._directory.autograded_directory, student, assignment)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = read_stamp(source) if stamp_of(source) else ""
        for name, text in ((STAMP, stamp), (SECRET, read_secret(source))):
            if text:
                _replace(folder / name, text)
            else:
                (folder / name).unlink(missing_ok=True)
        # nbgrader leaves them like this, too.
        mode = 0o664 if self._directory.groupshared else 0o444
        _replace(folder / f"{NOTEBOOK}.ipynb", notebook, mode)


def _replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, whole or not at all."""
    partial = path.with_name(f".{path.stem}.part")
    partial.unlink(missing_ok=True)
    partial.write_text(text, encoding="utf-8")
    partial.chmod(mode)
    if path.exists():
        path.chmod(0o644)  # some systems do not replace what is read-only
    os.replace(partial, path)
