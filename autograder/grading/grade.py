"""`autograder grade`: a class at once, resumable, one bad submission never in another one's way."""

import copy
import difflib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

import nbformat
from dask.system import CPU_COUNT
from nbgrader.api import MissingEntry
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config

from autograder.errors import Refused
from autograder.grading import course as courses
from autograder.grading import hidden, isolation, late, preflight, submission
from autograder.grading.course import NOTEBOOK, exercises_of, needs_of
from autograder.grading.farm import farm, outcomes
from autograder.grading.gradebook import file_of, trouble
from autograder.grading.job import Job, fingerprint, settings_of, version
from autograder.grading.record import MARK, Recorder
from autograder.grading.sanitise import KEY, as_released, rebuild, refuse
from autograder.grading.stamp import read_stamp, without_time

SELDOM = 10  # seconds between two lines of progress where nobody watches a terminal

_log = logging.getLogger(__name__)


@dataclass
class Summary:
    """What became of the submissions, as "student assignment" or with a reason behind it.

    `settled` are those whose late penalty changed though they were not graded again.
    """

    graded: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [
            f"{len(self.graded)} graded, {len(self.unchanged)} unchanged since they were graded, "
            f"{len(self.flagged)} flagged, {len(self.failed)} failed."
        ]
        lines += [f"  flagged: {line}" for line in self.flagged]
        lines += [f"  failed:  {line}" for line in self.failed]
        if self.settled:
            lines.append(late.told(self.settled))
        if self.failed:
            lines.append("Nothing was recorded for those that failed: run the same command again.")
        return "\n".join(lines)


def grade(
    root: Path,
    assignments: list[str] | None = None,
    students: list[str] | None = None,
    exercise: str | None = None,
    force: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Summary:
    """Grade what was handed in and has not been graded as it is now.

    assignments: by default all that somebody handed in; students: only these; exercise: only
    assignments with it, anew; force: all of them anew; workers, scheduler: see `farm`. Killed at any
    moment and run again, it goes on where it was. Raises Refused: what cannot be done as it is asked
    is said before anything is changed.
    """
    directory, config = courses.course(root), courses.settings(root)
    try:
        class_ = _Class(directory, config, _assignments(directory, root, assignments, exercise))
        class_.only(students)
        with ExitStack() as stack:
            client = stack.enter_context(farm(scheduler=scheduler)) if scheduler else None
            class_.begin()
            record = stack.enter_context(Recorder(directory, config))
            summary = Summary()
            todo = list(class_.to_do(record, force or exercise is not None, summary))
            if todo:
                if client is None and (loud := isolation.warning()):
                    print(loud, file=sys.stderr)
                interrupted = stack.enter_context(_interrupts())
                progress = Progress(len(todo))
                try:
                    for most, group in class_.at_once(todo):
                        few = min(workers or most, len(group))
                        with nullcontext(client) if client else farm(few) as used:
                            jobs = (class_.job(*submitted, summary)[0] for submitted in group)
                            for outcome in outcomes(used, jobs):
                                _take(outcome, record, summary)
                                progress.step()
                                if interrupted:
                                    raise KeyboardInterrupt
                finally:
                    progress.end()
            summary.settled = record.settle()
    except SQLAlchemyError as error:
        said = f"{trouble(directory.db_url, error)} What was graded is kept."
        raise Refused(said) from error
    return summary


@contextmanager
def _interrupts() -> Iterator[list]:
    """What Ctrl-C leaves a note in, where the exception is lost: Python drops it in a callback."""
    notes: list = []

    def interrupt(*signal_and_frame) -> None:
        notes.append(signal_and_frame)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # who cannot be interrupted
        yield notes
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield notes
    finally:
        signal.signal(signal.SIGINT, before)


def _take(outcome, record: Recorder, summary: Summary) -> None:
    """Record what has come back. Raises Refused or SQLAlchemyError where that cannot be done."""
    student, assignment = outcome.job.student, outcome.job.assignment
    why = outcome.failure
    if not why:
        try:
            record(student, assignment, outcome.notebook)
        except (Refused, SQLAlchemyError):
            raise
        except Exception as error:
            _log.debug("%s %s could not be recorded", student, assignment, exc_info=True)
            why = f"could not be recorded ({type(error).__name__}: {error})".splitlines()[0]
    if why:
        summary.failed.append(f"{student} {assignment}: {why}")
    else:
        summary.graded.append(f"{student} {assignment}")


def _assignments(
    directory: CourseDirectory, root: Path, named: list[str] | None, exercise: str | None
) -> list[str]:
    """Those to be graded. Raises Refused where there are none."""
    known = courses.assignments(root)
    for name in named or ():
        if name not in known:
            raise Refused(f"There is no assignment {name!r}. There are: {', '.join(known)}.")
    chosen = list(dict.fromkeys(named)) if named else known
    if exercise is not None:
        chosen = [name for name in chosen if exercise in courses.exercises_in(directory, name)]
        if not chosen:
            raise Refused(f"{exercise!r} is not an exercise of {', '.join(named or known)}.")
    handed_in = [name for name in chosen if _folders(directory, name)]
    if not handed_in:
        what = chosen[0] if len(chosen) == 1 else "ASSIGNMENT"
        place = Path(directory.format_path(directory.submitted_directory, "STUDENT", what))
        raise Refused(f"Nothing was handed in: put notebooks into {place / NOTEBOOK}.ipynb.")
    return handed_in


def _folders(directory: CourseDirectory, assignment: str) -> dict[str, Path]:
    """Where each student's submission lies."""
    pattern = Path(directory.format_path(directory.submitted_directory, "*", assignment))
    found = sorted(Path(directory.root).glob(str(pattern.relative_to(directory.root))))
    left_out = directory.student_id_exclude.split(",")
    return {
        folder.parent.name: folder
        for folder in found
        if folder.is_dir() and folder.parent.name[0] != "." and folder.parent.name not in left_out
    }


class _Class:
    """What was handed in, and what must be graded of it. Raises Refused where grading cannot begin."""

    def __init__(self, directory: CourseDirectory, config: Config, assignments: list[str]):
        self._directory, self._config = directory, config
        path = file_of(directory.db_url)
        if path is not None and not path.is_file():
            # Merely to look into it would make one.
            name = assignments[0]
            raise Refused(f"There is no gradebook: run `nbgrader generate_assignment {name}`.")
        self._folders = {name: _folders(directory, name) for name in assignments}
        self._templates = {name: self._template(name) for name in assignments}
        self._settings = settings_of(config)

    def _template(self, assignment: str) -> tuple[nbformat.NotebookNode, str]:
        """The assignment's notebook, and the version of the code that grades it."""
        try:
            nb = as_released(self._directory, assignment, NOTEBOOK, self._config)
        except MissingEntry:
            raise Refused(
                f"The gradebook does not know {assignment}: "
                f"run `nbgrader generate_assignment {assignment}`."
            ) from None
        except RuntimeError as error:
            raise Refused(str(error)) from None
        return nb, version(exercises_of(nb))

    def only(self, students: list[str] | None) -> None:
        """Leave out all others. Raises Refused where one of them handed in nothing."""
        if not students:
            return
        there = {name for folders in self._folders.values() for name in folders}
        for student in students:
            if student not in there:
                near = difflib.get_close_matches(student, there, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                what = ", ".join(self._folders)
                raise Refused(f"{student!r} handed in nothing for {what}.{hint}")
        for assignment, folders in self._folders.items():
            chosen = {name: path for name, path in folders.items() if name in students}
            self._folders[assignment] = chosen

    def begin(self) -> None:
        """Hold the course's lock, and clear what a killed grading left half done."""
        quiet = logging.Logger("preflight", logging.ERROR)  # the summary says all that it would say
        for assignment in self._folders:
            preflight.begin(self._directory, assignment, KEY, quiet)
        self._seed = hidden.seed(Path(self._directory.root))

    def to_do(self, record: Recorder, force: bool, summary: Summary) -> Iterator[tuple[str, str]]:
        """Who must be graded in what; all others, and all that is odd, into the summary."""
        for assignment, folders in self._folders.items():
            for student, folder in folders.items():
                name = f"{student} {assignment}"
                if not os.path.lexists(folder / f"{NOTEBOOK}.ipynb"):
                    others = sorted(path.name for path in folder.glob("*.ipynb"))
                    there = f"there is {others[0]!r}: rename it" if others else "nothing to grade"
                    summary.flagged.append(f"{name}: no {NOTEBOOK}.ipynb; {there}")
                    continue
                if without_time(folder):
                    summary.flagged.append(f"{name}: timestamp.txt holds no time; not counted late")
                if not force and record.graded(student, assignment):
                    seen = Summary()
                    if record.holds(student, assignment, self.job(student, assignment, seen)[1]):
                        summary.flagged += seen.flagged
                        summary.unchanged.append(name)
                        continue
                yield student, assignment

    def at_once(self, todo: list[tuple[str, str]]) -> list[tuple[int, list[tuple[str, str]]]]:
        """The submissions, those together that need as many cores, and how many this machine has them for."""
        groups: dict[int, list[tuple[str, str]]] = {}
        for submitted in todo:
            template, _ = self._templates[submitted[1]]
            groups.setdefault(needs_of(exercises_of(template)).cores, []).append(submitted)
        return [(max(1, CPU_COUNT // cores), group) for cores, group in sorted(groups.items())]

    def job(self, student: str, assignment: str, summary: Summary) -> tuple[Job, str]:
        """What is to be done for a submission as it lies there now, and the mark of just that.

        What is odd about it goes into the summary.
        """
        folder = self._folders[assignment][student]
        template, code = self._templates[assignment]
        try:
            nb = rebuild(copy.deepcopy(template), submission.read(folder / f"{NOTEBOOK}.ipynb"))
        except submission.NoNotebook as error:
            nb = refuse(copy.deepcopy(template), str(error))
            summary.flagged.append(f"{student} {assignment}: {error}")
        except Exception as error:  # whatever is in a file is the affair of that submission alone
            _log.debug("%s %s could not be read", student, assignment, exc_info=True)
            why = f"`{NOTEBOOK}.ipynb` cannot be read ({type(error).__name__}). {submission.MEND}"
            nb = refuse(copy.deepcopy(template), why)
            summary.flagged.append(f"{student} {assignment}: {why}")
        job = Job(student, assignment, nbformat.writes(nb), self._seed, self._settings, code)
        mark = fingerprint(job, read_stamp(folder))
        nb.metadata.setdefault(KEY, {})[MARK] = mark
        return replace(job, notebook=nbformat.writes(nb)), mark


class Progress:
    """How many are done, and an estimate of the time that is left.

    One line that is written again and again; where nobody watches, a new line every now and then.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total, self._done, self._clock = total, 0, clock
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._began = self._said = clock()
        self._write(self._line())

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if self._live or self._clock() - self._said >= SELDOM:
            self._write(self._line())

    def end(self) -> None:
        """Nothing more will be done."""
        if self._live:
            print(file=self._stream, flush=True)

    def _write(self, line: str) -> None:
        self._said = self._clock()
        start, end = ("\r", "    ") if self._live else ("", "\n")
        print(f"{start}{line}", end=end, file=self._stream, flush=True)

    def _line(self) -> str:
        line = f"{self._done}/{self._total} graded"
        if self._done:
            each = (self._clock() - self._began) / self._done
            line += f", {_time(each * (self._total - self._done))} left"
        full = 30 * self._done // self._total
        return f"[{'#' * full}{'.' * (30 - full)}] {line}" if self._live else line


def _time(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 120 else f"about {seconds:.0f} s"
