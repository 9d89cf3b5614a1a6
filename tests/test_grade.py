"""`autograder grade`: exact as nbgrader's own command, resumable, on any cluster and gradebook."""

import ctypes
import io
import json
import os
import pwd
import random
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import nbformat
import pytest
import small_class
from kills import children
from nbgrader.api import Gradebook
from sqlalchemy import create_engine
from sqlalchemy import text as sql
from test_nbgrader import (
    FIRST,
    NAME,
    RIGHT,
    SECOND,
    SEED,
    WRONG,
    cell_of,
    nbgrader,
    new_course,
)

from autograder import cli
from autograder.exercise import find
from autograder.grading import Refused, farm, hidden, job, sample_class
from autograder.grading.grade import Progress, grade
from autograder.grading.job import Job

TESTS = Path(__file__).resolve().parent
CELL_SECONDS = "4"
DUE = "2026-01-01 12:00:00 UTC"
LATE = "2026-01-02 13:00:00 UTC"


@pytest.fixture(autouse=True)
def _as_an_instructor(monkeypatch):
    monkeypatch.setenv(hidden.VARIABLE, SEED)
    monkeypatch.setenv("AUTOGRADER_CELL_SECONDS", CELL_SECONDS)
    monkeypatch.delenv("AUTOGRADER_DB_URL", raising=False)


def environment(**more):
    paths = os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    own = {"AUTOGRADER_CELL_SECONDS": CELL_SECONDS, hidden.VARIABLE: SEED, "PYTHONPATH": paths}
    return {**os.environ, **own, **more}


def sqlite(root):
    return f"sqlite:///{root / 'class' / 'gradebook.db'}"


def contents(url):
    """All that a gradebook says of a class, whatever its own numbers for it are."""
    said = {}
    with Gradebook(url) as book:
        for student in book.students:
            said[student.id] = (student.first_name, student.last_name, student.email)
            for found in student.submissions:
                key = student.id, found.assignment.name
                notebook = found.notebooks[0]
                said[key] = (
                    found.timestamp,
                    found.extension,
                    found.score,
                    found.needs_manual_grade,
                    notebook.late_submission_penalty,
                    notebook.failed_tests,
                )
                for grade in notebook.grades:
                    said[(*key, "grade", grade.name)] = (
                        grade.auto_score,
                        grade.manual_score,
                        grade.extra_credit,
                        grade.needs_manual_grade,
                        grade.max_score,
                    )
                for comment in notebook.comments:
                    said[(*key, "comment", comment.name)] = (
                        comment.auto_comment,
                        comment.manual_comment,
                    )
        for assignment in book.assignments:
            cells = {cell.name: cell.max_score for cell in assignment.notebooks[0].grade_cells}
            said[assignment.name, "cells"] = (assignment.duedate, cells)
    return said


def graded_files(root):
    """Each graded notebook, and what tells whether it is still the same file."""
    found = (root / "class" / "autograded").glob("*/*/exercises.ipynb")
    return {
        path.parent.parent.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found
    }


def tree(root):
    """Every file of a class, but for the lock."""
    return {
        path: path.read_bytes() if path.is_file() else b""
        for path in sorted((root / "class").rglob("*"))
        if path.name != ".grading-lock"
    }


def due(root, when=DUE):
    """The assignment is due then. A late day costs whatever the course's plugin says."""
    with Gradebook(sqlite(root)) as book:
        book.update_or_create_assignment(NAME, duedate=when)


def stamp(root, student, text):
    (root / "class" / "submitted" / student / NAME / "timestamp.txt").write_text(text)


def submitted(root, student):
    return root / "class" / "submitted" / student / NAME / "exercises.ipynb"


def answer(root, student, text):
    """The student hands in another answer to the first exercise."""
    path = submitted(root, student)
    notebook = json.loads(path.read_text())
    cell_of(notebook, FIRST)["source"] = text
    path.write_text(json.dumps(notebook))


@pytest.fixture(scope="module")
def cluster():
    """Two workers that the tests in this process share."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=50,
    ) as found:
        yield found.scheduler_address


@pytest.fixture(scope="module")
def graded(tmp_path_factory, cluster):
    """The sample class and some who are late, graded by `autograder grade`."""
    root = new_course(tmp_path_factory.mktemp("course"))
    sample_class.make(root, [NAME])
    due(root)
    for student in ("amara-okafor", "bruno-keller"):
        stamp(root, student, LATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(hidden.VARIABLE, SEED)
        patch.setenv("AUTOGRADER_CELL_SECONDS", CELL_SECONDS)
        summary = grade(root, [NAME], scheduler=cluster)
    assert len(summary.graded) == len(sample_class.STUDENTS)
    return root


@pytest.fixture
def own(graded, tmp_path):
    """The graded course, in a folder of the test's own."""
    return Path(shutil.copytree(graded, tmp_path / "course"))


@pytest.fixture
def again(own, cluster):
    """Grade the test's own course again; who was graded."""

    def run(**how):
        summary = grade(own, [NAME], scheduler=cluster, **how)
        assert not summary.failed
        return {line.split()[0] for line in summary.graded}

    return run


EVERYBODY = set(sample_class.STUDENTS)


# Exact


def plain(notebook):
    """A graded notebook without what is another's in each run: marks, and a traceback's numbers."""
    nb = nbformat.read(notebook, as_version=4)
    for cell in nb.cells:
        cell.metadata.pop("execution", None)  # when it ran
    nb.metadata["autograder"].pop("fingerprint", None)
    text = nbformat.writes(nb)
    return re.sub(r"ipykernel_\d+/\d+|0x[0-9a-f]+|<ipython-input-[^>]*>", "", text)


def test_grades_comments_penalties_and_notebooks_are_those_of_nbgraders_own_command(
    graded, tmp_path
):
    other = Path(shutil.copytree(graded, tmp_path / "course"))
    shutil.rmtree(other / "class" / "autograded")
    (other / "class" / "gradebook.db").unlink()
    nbgrader(other, "generate_assignment", NAME)
    due(other)
    nbgrader(other, "autograde", NAME)
    assert contents(sqlite(graded)) == contents(sqlite(other))
    assert set(graded_files(graded)) == set(graded_files(other)) == EVERYBODY
    for student in EVERYBODY:
        ours, theirs = (root / "class" / "autograded" / student / NAME for root in (graded, other))
        assert plain(ours / "exercises.ipynb") == plain(theirs / "exercises.ipynb")
        assert sorted(path.name for path in ours.iterdir()) == sorted(
            path.name for path in theirs.iterdir()
        )
        for path in ours.iterdir():
            assert path.stat().st_mode == (theirs / path.name).stat().st_mode or (
                path.name == "timestamp.txt"
            )


def test_the_penalty_for_lateness_is_what_the_courses_plugin_says(own, again):
    with (own / "nbgrader_config.py").open("a") as file:
        file.write(
            "\nc.AssignLatePenalties.plugin_class = 'nbgrader.plugins.LateSubmissionPlugin'"
            "\nc.LateSubmissionPlugin.penalty_method = 'zero'\n"
        )
    again(force=True)
    said = contents(sqlite(own))
    late, punctual = said["amara-okafor", NAME], said["farid-haddad", NAME]
    assert (late[4], punctual[4]) == (late[2], None)
    assert late[2] > 0


def test_another_late_policy_needs_no_grading_again(own, cluster):
    files, before = graded_files(own), contents(sqlite(own))["amara-okafor", NAME]
    with (own / "nbgrader_config.py").open("a") as file:
        file.write("\nc.LatePolicy.penalty_method = 'percent'\n")
    summary = grade(own, [NAME], scheduler=cluster)
    assert summary.graded == []
    assert summary.settled == [f"amara-okafor {NAME}", f"bruno-keller {NAME}"]
    assert f"brought up to date: amara-okafor {NAME}, bruno" in summary.text()
    after = contents(sqlite(own))["amara-okafor", NAME]
    assert (before[4], after[4]) == (None, pytest.approx(0.2 * before[2]))  # 25 hours late
    assert graded_files(own) == files
    assert grade(own, [NAME], scheduler=cluster).settled == []


def test_a_wrong_late_policy_is_told_in_one_line(own, monkeypatch, capsys):
    with (own / "nbgrader_config.py").open("a") as file:
        file.write("\nc.LatePolicy.percent_per_day = 900\n")
    monkeypatch.chdir(own)
    for command in ("grade", "scores", "export"):
        assert cli.main([command]) == 2
        said = capsys.readouterr().err
        assert "The late policy in nbgrader_config.py is wrong" in said
        assert len(said.splitlines()) == 1


def test_what_else_is_handed_in_is_neither_copied_nor_followed(own, again):
    folder = submitted(own, "amara-okafor").parent
    (folder / "page.html").write_text("<script>")
    (folder / "timestamp.txt").unlink()
    (folder / "timestamp.txt").symlink_to("/dev/zero")
    assert again() == {"amara-okafor"}
    there = own / "class" / "autograded" / "amara-okafor" / NAME
    assert [path.name for path in there.iterdir()] == ["exercises.ipynb"]


# Only what it must


def test_a_second_run_grades_nothing_and_changes_nothing(own, again):
    before, files = contents(sqlite(own)), graded_files(own)
    assert again() == set()
    assert (contents(sqlite(own)), graded_files(own)) == (before, files)


def test_a_changed_submission_alone_is_graded_again(own, again):
    files = graded_files(own)
    answer(own, "greta-lindqvist", RIGHT)
    assert again() == {"greta-lindqvist"}
    after = graded_files(own)
    assert {name for name in files if files[name] != after[name]} == {"greta-lindqvist"}
    score = contents(sqlite(own))["greta-lindqvist", NAME, "grade", f"{FIRST}-check"][0]
    assert score == find(FIRST).max_score


def test_what_a_submission_holds_besides_text_is_no_change(own, again):
    path = submitted(own, "amara-okafor")
    notebook = json.loads(path.read_text())
    notebook["metadata"]["kernelspec"] = {"name": "x", "display_name": "x", "language": "x"}
    notebook["cells"][0]["outputs"] = []
    path.write_text(json.dumps(notebook, indent=4))
    assert again() == set()


def test_another_time_of_handing_in_is_a_change(own, again):
    stamp(own, "farid-haddad", LATE)
    assert again() == {"farid-haddad"}
    late = datetime.strptime(LATE, "%Y-%m-%d %H:%M:%S UTC")
    found = contents(sqlite(own))["farid-haddad", NAME][0]
    assert abs(found - late) < timedelta(seconds=1)


def test_another_hidden_seed_or_limit_is_a_change_for_everybody(own, again, monkeypatch):
    monkeypatch.setenv(hidden.VARIABLE, "5")
    assert again(students=["amara-okafor"]) == {"amara-okafor"}
    assert again() == EVERYBODY - {"amara-okafor"}
    assert again() == set()


def test_other_code_is_a_change_where_it_decides_a_grade(own, again, monkeypatch):
    names = (FIRST, SECOND)
    code = job.sources(names)
    assert "autograder.reference.vanilla_rnn" in code
    assert "autograder.grading.judging" in code
    assert not {"autograder.reference.gru", "autograder.grading.grade", "autograder.cli"} & set(
        code
    )
    before = job.version.__wrapped__(names)
    monkeypatch.setattr(job, "sources", lambda _: {**code, "autograder.compare": b"changed"})
    assert job.version.__wrapped__(names) != before


def test_all_code_that_a_job_loads_is_in_its_version():
    """But for other chapters' exercises, and what these need: the registry loads all, and looks into one."""
    script = (
        "import sys, nbformat\n"
        "from autograder.grading import job\n"
        "nb = nbformat.reads(sys.stdin.read(), 4)\n"
        "job.run(job.Job('s', 'a', nbformat.writes(nb), 5))\n"
        "loaded = {n for n in sys.modules if n.split('.')[0] == 'autograder'}\n"
        "print(*loaded - set(job.sources(job.exercises_of(nb))))\n"
    )
    from test_nbgrader import source_notebook

    done = subprocess.run(
        [sys.executable, "-c", script],
        input=nbformat.writes(source_notebook()),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    others = r"autograder\.(exercises\.\w+|lexicon)"
    assert all(re.fullmatch(others, name) for name in done.stdout.split())


def test_students_exercises_and_force_choose_what_is_graded_anew(own, again):
    two = ["amara-okafor", "greta-lindqvist"]
    before = contents(sqlite(own))
    assert again(students=two) == set()
    assert again(students=two, force=True) == set(two)
    assert again(exercise=FIRST) == EVERYBODY
    assert again(exercise=FIRST, students=two) == set(two)
    assert contents(sqlite(own)) == before


def test_grades_and_comments_given_by_hand_survive(own, again):
    student = "bruno-keller"
    with Gradebook(sqlite(own)) as book:
        book.find_grade("why", "exercises", NAME, student).manual_score = 3.0
        book.find_grade("why", "exercises", NAME, student).needs_manual_grade = False
        book.find_grade(f"{FIRST}-check", "exercises", NAME, student).manual_score = 1.0
        book.find_comment("why", "exercises", NAME, student).manual_comment = "Well seen."
        book.db.commit()
    before = contents(sqlite(own))
    assert again() == set()
    assert contents(sqlite(own)) == before
    assert again(force=True) == EVERYBODY
    after = contents(sqlite(own))
    assert after[student, NAME][2] == before[student, NAME][2]
    assert after[student, NAME, "grade", "why"][1] == 3.0
    assert after[student, NAME, "grade", f"{FIRST}-check"][1] == 1.0
    assert after[student, NAME, "comment", "why"] == before[student, NAME, "comment", "why"]


def test_a_torn_autograded_folder_is_graded_again(own, again):
    before = contents(sqlite(own))
    there = own / "class" / "autograded"
    for student, text in {"amara-okafor": None, "bruno-keller": "{", "chiara-ricci": "{}"}.items():
        path = there / student / NAME / "exercises.ipynb"
        path.chmod(0o644)
        path.unlink()
        if text:
            path.write_text(text)
    shutil.rmtree(there / "daniel-osei")
    assert again() == {"amara-okafor", "bruno-keller", "chiara-ricci", "daniel-osei"}
    assert contents(sqlite(own)) == before


def test_a_gradebook_that_lost_grades_gets_them_again(own, again):
    before = contents(sqlite(own))
    with Gradebook(sqlite(own)) as book:
        book.find_grade(f"{FIRST}-check", "exercises", NAME, "amara-okafor").auto_score = 0.5
        book.db.commit()
        book.remove_submission(NAME, "bruno-keller")
    assert again() == {"amara-okafor", "bruno-keller"}
    assert contents(sqlite(own)) == before


# One bad submission never in another one's way


def test_without_a_notebook_a_submission_is_flagged_and_not_recorded(own, cluster):
    submitted(own, "amara-okafor").rename(submitted(own, "amara-okafor").with_name("mine.ipynb"))
    empty = own / "class" / "submitted" / "zoe-empty" / NAME
    empty.mkdir(parents=True)
    before = contents(sqlite(own))
    summary = grade(own, [NAME], scheduler=cluster)
    assert summary.graded == summary.failed == []
    flagged = "\n".join(summary.flagged)
    assert "amara-okafor" in flagged and "'mine.ipynb': rename it" in flagged
    assert f"zoe-empty {NAME}: no exercises.ipynb; nothing to grade" in flagged
    assert contents(sqlite(own)) == before


def test_what_cannot_be_read_is_flagged_and_others_are_graded(own, cluster):
    path = submitted(own, "amara-okafor")
    path.unlink()
    path.symlink_to("/dev/zero")
    stamp(own, "bruno-keller", "yesterday, honestly")
    stamp(own, "chiara-ricci", "2026-01-02 13:00:00 /proc/self/mem")  # a time zone may be a file
    answer(own, "greta-lindqvist", RIGHT)
    summary = grade(own, [NAME], scheduler=cluster)
    assert {line.split()[0] for line in summary.graded} == {
        "amara-okafor", "bruno-keller", "chiara-ricci", "greta-lindqvist"
    }  # fmt: skip
    flagged = {line.split()[0]: line for line in summary.flagged}
    assert set(flagged) == {"amara-okafor", "bruno-keller", "chiara-ricci", "jonas-meyer"}
    assert "folder or a link" in flagged["amara-okafor"]
    assert "holds no time" in flagged["bruno-keller"] and "holds no time" in flagged["chiara-ricci"]
    assert contents(sqlite(own))["amara-okafor", NAME][2] == 0


def test_a_grade_that_cannot_be_recorded_fails_alone(own, cluster, monkeypatch):
    from autograder.grading.record import Recorder

    original = Recorder._grades

    def fails_for_one(self, student, *rest):
        if student == "amara-okafor":
            raise ValueError("odd")
        original(self, student, *rest)

    monkeypatch.setattr(Recorder, "_grades", fails_for_one)
    summary = grade(own, [NAME], scheduler=cluster, force=True)
    assert [line for line in summary.failed if "odd" in line] == summary.failed
    assert len(summary.graded) == len(EVERYBODY) - 1
    assert "run the same command again" in summary.text()


# Refused: one line, and nothing changed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["99-none"], "There is no assignment '99-none'"),
        ([NAME, "--student", "amara-okafo"], "Did you mean 'amara-okafor'"),
        ([NAME, "--exercise", "rnn_stepp"], "There is no exercise called"),
        ([NAME, "--exercise", "gru_step"], "is not an exercise of"),
        ([NAME, "--scheduler", "there"], "is no address of a Dask scheduler"),
        ([NAME, "--scheduler", "tcp://127.0.0.1:1"], "There is no Dask scheduler at tcp://"),
        ([NAME, "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"], "give one of them"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line_and_nothing_is_changed(
    arguments, words, own, monkeypatch, capsys
):
    monkeypatch.chdir(own)
    monkeypatch.setattr(farm, "REACH", 1)
    (own / "class" / "autograded" / "amara-okafor" / NAME / "exercises.ipynb").unlink()
    before = tree(own)
    assert cli.main(["grade", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert len(said.err.splitlines()) == 1
    assert tree(own) == before


def test_without_a_gradebook_or_submissions_grading_is_refused(own, monkeypatch, capsys):
    monkeypatch.chdir(own)
    (own / "class" / "gradebook.db").unlink()
    before = tree(own)
    assert cli.main(["grade"]) == 2
    assert f"run `nbgrader generate_assignment {NAME}`" in capsys.readouterr().err
    assert tree(own) == before
    shutil.rmtree(own / "class" / "submitted")
    assert cli.main(["grade"]) == 2
    assert "Nothing was handed in" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["grade", "scores", "export", "mistakes", "sample-class"])
def test_a_gradebook_that_fails_is_told_in_one_line_without_its_password(
    command, own, monkeypatch, capsys
):
    monkeypatch.chdir(own)
    monkeypatch.setenv("AUTOGRADER_DB_URL", "postgresql+psycopg://me:secret@/x?host=/nowhere")
    assert cli.main([command]) == 2
    said = capsys.readouterr().err
    assert "postgresql+psycopg://me:***@/x" in said
    assert "cannot be used" in said and "secret" not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_of_workers_is_one_or_more(number, capsys):
    with pytest.raises(SystemExit):
        cli.main(["grade", f"--workers={number}"])
    assert "a number of processes, 1 or more" in capsys.readouterr().err


# Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def said_by_progress(stream, seconds):
    clock = {"time": 0.0}
    progress = Progress(len(seconds), stream, lambda: clock["time"])
    for each in seconds:
        clock["time"] += each
        progress.step()
    progress.end()
    return stream.getvalue()


def test_where_nobody_watches_there_is_a_line_at_most_every_ten_seconds():
    assert said_by_progress(io.StringIO(), [1] * 25).splitlines() == [
        "0/25 graded",
        "10/25 graded, about 15 s left",
        "20/25 graded, about 5 s left",
    ]


def test_on_a_terminal_there_is_one_line():
    said = said_by_progress(Terminal(), [300, 300])
    assert said.count("\n") == 1
    assert said.count("\r") == 3
    assert "1/2 graded, about 5 min left" in said


# Memory


def fake_run(job):
    return "x" * 100_000


def test_neither_jobs_nor_results_gather_in_the_client(cluster, monkeypatch):
    monkeypatch.setattr(farm, "run", fake_run)
    made = 0

    def jobs():
        nonlocal made
        for number in range(200):
            made += 1
            yield Job(str(number), "a", "{}", 1)

    most = 0
    with farm.farm(scheduler=cluster) as client:
        for done, outcome in enumerate(farm.outcomes(client, jobs()), start=1):
            assert outcome.notebook
            most = max(most, len(client.futures), made - done)
        assert not client.futures
    assert done == 200
    assert most <= farm.AT_LEAST + 1


# Somebody is killed


class LostWithItsWorker:
    """A result that was there, and is being made again when it is asked for."""

    status = "pending"

    def exception(self):
        return None

    def result(self):
        return "made again"


def test_a_result_that_died_with_its_worker_is_waited_for():
    outcome = farm._outcome(Job("s", "a", "{}", 1), LostWithItsWorker())
    assert (outcome.notebook, outcome.failure) == ("made again", "")


THIRTY = [f"student-{number:02}" for number in range(30)]
ENDS_PYTHON = f"def {FIRST}({find(FIRST).signature}):\n    import os\n    os._exit(3)"
MANNERS = [
    RIGHT,
    WRONG,
    f"def {FIRST}({find(FIRST).signature}):\n    raise ValueError('odd')",
    f"import os\n{RIGHT}",
    "import scipyy",
]


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    """A class of thirty that nobody has graded."""
    root = small_class.new_class(tmp_path_factory.mktemp("thirty"))
    due(root)
    second = small_class.model_answer(SECOND)
    for number, student in enumerate(THIRTY):
        first = ENDS_PYTHON if number == 13 else MANNERS[number % len(MANNERS)]
        small_class.hand_in(root, student, {FIRST: first, SECOND: second})
        if number % 7 == 0:
            stamp(root, student, LATE)
    submitted(root, THIRTY[11]).write_text("{")
    return root


def start(root, folder, *arguments):
    """The command, with the kills that are written down in `folder`."""
    return subprocess.Popen(
        [sys.executable, TESTS / "kills.py", folder, NAME, *arguments],
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process):
    output = process.communicate(timeout=300)[0]
    return process.returncode, output


class Undisturbed:
    """A run in which nobody is killed: what the gradebook then says, and when one could be."""

    def __init__(self, root, folder, *arguments):
        code, output = finish(start(root, folder, *arguments))
        assert (code, len(graded_files(root))) == (0, len(THIRTY)), output
        self.said = contents(sqlite(root))
        clocks = json.loads((folder / "clocks.json").read_text())
        self._ticks, self._calls = clocks["ticks"], clocks["calls"]
        self._born = clocks["born"]
        records = [(time, at) for time, at in self._ticks if at[0] == "record" and not at[2]]
        self._ready = next((time for time, _ in records if time > (self._born or 0)), 0)
        self._recorded, self.halfway = records[-1][0], records[len(records) // 2][1]
        self.length = self._ticks[-1][0]

    def _at(self, time):
        return next(at for then, at in self._ticks if then >= time)

    def client(self, share):
        """The client is killed after this share of the run's time."""
        return {"who": "client", "at": self._at(share * self.length)}

    def other(self, who, draw, share):
        """Another one is killed at any moment; one of the client's workers before this share."""
        if who == "a starting worker":
            return {"who": "a worker", "at": self._at(draw.uniform(self._born, self._ready))}
        if who == "a worker":
            latest = min(share * self.length, self._recorded)
            return {"who": who, "at": self._at(draw.uniform(self._ready, latest))}
        student = draw.choice([name for name in THIRTY if self._calls[name][1] > 0])
        last = self._calls[student][0 if who == "worker" else 1]
        return {"who": who, "student": student, "call": draw.randint(1, last)}


# Submissions at once: two of them are threads of the client's, for more it starts workers.
THREADS = ("--workers", "2")
WORKERS = ("--workers", str(farm.THREADS + 1))


@pytest.fixture(scope="module")
def undisturbed(thirty, tmp_path_factory):
    """By the arguments of the command, runs in which nobody is killed; they say the same."""
    found = {}
    for arguments in (THREADS, WORKERS):
        folder = tmp_path_factory.mktemp("undisturbed")
        root = Path(shutil.copytree(thirty, folder / "course"))
        found[arguments] = Undisturbed(root, folder, *arguments)
    assert found[THREADS].said == found[WORKERS].said
    return found


PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def orphans() -> Iterator:
    """Processes whose parents die come to the test; it can wait for all of them to end."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    before = set(children(os.getpid()))
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    def left(seconds=30):
        """Those that have not ended by themselves in that time."""
        while found := set(children(os.getpid())) - before:
            for pid in found:
                end = os.pidfd_open(pid)
                try:
                    if not select.select([end], [], [], seconds)[0]:
                        return found
                finally:
                    os.close(end)
                os.waitpid(pid, 0)
        return set()

    yield left
    for pid in left(0):
        os.kill(pid, signal.SIGKILL)
    left()
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.fixture
def temporary(monkeypatch) -> Iterator[Path]:
    """A folder for all that is temporary; its name is short, for the path of a socket has bounds."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def assert_whole(root, said):
    """The gradebook is sound, and has the grades of an undisturbed run for all who are graded."""
    with sqlite3.connect(root / "class" / "gradebook.db") as book:
        assert book.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert book.execute("PRAGMA foreign_key_check").fetchall() == []
    book.close()
    graded = set(graded_files(root))
    assert graded <= set(THIRTY)
    found = contents(sqlite(root))
    for key, value in said.items():
        if (key if isinstance(key, str) else key[0]) in graded:
            assert found.get(key) == value, key


# In each round three are killed: the client, in another seventh of the time that grading takes, and
# these.
ROUNDS = [
    ("worker", "kernel"),
    ("kernel", "keeper"),
    ("worker", "keeper"),
    ("zygote", "kernel"),
    ("worker", "worker"),
    ("kernel", "kernel"),
    ("a starting worker", "a worker"),
]


@pytest.mark.parametrize(
    ("number", "others"), list(enumerate(ROUNDS)), ids=[", ".join(others) for others in ROUNDS]
)
def test_killed_at_any_moment_and_run_again_it_ends_with_the_same_grades(
    number, others, thirty, undisturbed, tmp_path, temporary, orphans, monkeypatch, capsys
):
    """Twenty-one kills, three in each of seven rounds, with a class of thirty; a seed draws when.

    The client is killed once, at a moment between its first import and its last breath. Two others
    are killed, too: a worker, while it starts, works on a submission or has done so; a kernel; the
    process that keeps its jail; the one that it was forked from. All three kills have hit, or the
    test fails. Where no worker is to be killed, there is none: the client does its work.

    The same command is run until it ends well: once more after the client was killed, and once
    more where a worker was killed that had not yet started; all other kills it survives. After
    each run the gradebook is sound, it has an undisturbed run's grades for all who are graded, and
    within 30 seconds no process is left. What such a run leaves does not hinder the next, which
    does not grade again what was graded. In the end everything is as in an undisturbed run, and
    the same command grades nothing and changes nothing.
    """
    how = WORKERS if {*others} & {"worker", "a worker"} else THREADS
    quiet = undisturbed[how]
    draw = random.Random(number)
    share = (number + draw.random()) / len(ROUNDS)
    kills = [quiet.client(share), *(quiet.other(who, draw, share) for who in others)]
    (tmp_path / "kills.json").write_text(json.dumps(kills))
    root = Path(shutil.copytree(thirty, tmp_path / "course"))

    codes, kept = [], {}
    while 0 not in codes:
        code, output = finish(start(root, tmp_path, *how))
        codes.append(code)
        assert len(codes) <= 3, f"{kills} {codes} {output}"
        assert code in (0, -signal.SIGKILL) or output == f"autograder: {farm.NOT_STARTED}\n"
        assert orphans() == set(), kills
        assert_whole(root, quiet.said)
        after = graded_files(root)
        assert {name: after[name] for name in kept} == kept, kills
        before, kept = kept, after
    assert f"{len(THIRTY) - len(before)} graded, {len(before)} unchanged" in output
    assert " 0 failed" in output
    not_started = [2] if "a starting worker" in others and len(codes) == 3 else []
    assert sorted(codes) == sorted([*not_started, -signal.SIGKILL, 0]), f"{kills} {codes}"
    struck = {mark.name for mark in tmp_path.glob("struck-*")}
    assert struck == {"struck-0", "struck-1", "struck-2"}, kills
    assert set(after) == set(THIRTY)
    assert contents(sqlite(root)) == quiet.said

    monkeypatch.chdir(root)
    assert cli.main(["grade", NAME, *how]) == 0
    assert f"0 graded, {len(THIRTY)} unchanged" in capsys.readouterr().out
    assert (graded_files(root), contents(sqlite(root))) == (after, quiet.said)


def test_at_least_twenty_are_killed_and_of_each_kind_some():
    assert sum(1 + len(others) for others in ROUNDS) >= 20
    assert {who for others in ROUNDS for who in others} == {
        "worker", "a worker", "a starting worker", "kernel", "keeper", "zygote"
    }  # fmt: skip


@pytest.mark.parametrize("how", [THREADS, WORKERS])
def test_an_interrupt_ends_cleanly_and_says_how_to_go_on(how, thirty, tmp_path, temporary, orphans):
    root = Path(shutil.copytree(thirty, tmp_path / "course"))
    process = start(root, tmp_path, *how)
    assert process.stdout.readline() == f"0/{len(THIRTY)} graded\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    code, output = finish(process)
    assert code == 130
    assert output == (
        "\nautograder: interrupted. What was graded is kept: the same command goes on from there.\n"
    )
    assert orphans() == set()


# Other clusters


@pytest.fixture
def own_cluster(tmp_path) -> Iterator:
    """Starts a scheduler or a worker by Dask's own command, where there is no course."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    with ExitStack() as stack:

        def command(name, *arguments, until):
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", name, *arguments, "--no-dashboard"],
                cwd=place,
                env={k: v for k, v in environment().items() if k != hidden.VARIABLE},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.terminate)
            for line in process.stderr:
                if found := re.search(until, line):
                    return process, found[0]
            raise AssertionError(f"dask {name} did not start")

        def scheduler(port=0):
            return command("scheduler", "--host=127.0.0.1", f"--port={port}", until=r"tcp://\S+")

        def worker(address):
            return command("worker", address, "--nthreads=1", until="Registered to")[0]

        yield scheduler, worker


def test_workers_of_another_cluster_need_no_course_and_may_come_late_and_go(
    own_cluster, thirty, undisturbed, tmp_path, temporary
):
    root = Path(shutil.copytree(thirty, tmp_path / "course"))
    scheduler, worker = own_cluster
    number = tmp_path / "process"
    goes = {"who": str(number), "at": undisturbed[WORKERS].halfway, "signal": signal.SIGTERM}
    (tmp_path / "kills.json").write_text(json.dumps([goes]))
    _, address = scheduler()
    process = start(root, tmp_path, "--scheduler", address)
    said = f"The cluster at {address} has no workers yet; waiting for the first.\n"
    assert process.stdout.readline() == said
    first = worker(address)
    number.write_text(str(first.pid))
    worker(address)
    code, output = finish(process)
    assert (code, first.wait()) == (0, 0), output
    assert f"{len(THIRTY)} graded" in output and " 0 failed" in output
    assert contents(sqlite(root)) == undisturbed[WORKERS].said


def test_a_scheduler_lost_midway_is_told_in_one_line_and_the_same_command_goes_on(
    own_cluster, thirty, undisturbed, tmp_path, temporary
):
    root = Path(shutil.copytree(thirty, tmp_path / "course"))
    scheduler, worker = own_cluster
    number = tmp_path / "process"
    (tmp_path / "kills.json").write_text(
        json.dumps([{"who": str(number), "at": undisturbed[WORKERS].halfway}])
    )
    lost, address = scheduler()
    number.write_text(str(lost.pid))
    worker(address)
    code, output = finish(start(root, tmp_path, "--scheduler", address))
    assert (code, lost.wait()) == (2, -signal.SIGKILL), output
    said = [line for line in output.splitlines() if not re.match(r"\d+/30 graded", line)]
    assert said == [f"autograder: {farm.LOST}"]
    assert_whole(root, undisturbed[WORKERS].said)
    kept = graded_files(root)
    assert 0 < len(kept) < len(THIRTY)

    scheduler(port=address.rpartition(":")[2])
    worker(address)
    code, output = finish(start(root, tmp_path, "--scheduler", address))
    assert code == 0, output
    assert f"{len(THIRTY) - len(kept)} graded, {len(kept)} unchanged" in output
    assert contents(sqlite(root)) == undisturbed[WORKERS].said
    after = graded_files(root)
    assert {name: after[name] for name in kept} == kept


def test_workers_with_other_code_are_told_so(own, cluster, monkeypatch):
    from autograder.grading import grade as grading

    monkeypatch.setattr(grading, "version", lambda names: "other")
    monkeypatch.chdir(own)
    before = tree(own)
    with pytest.raises(grading.Refused, match="A Dask worker has other code"):
        grade(own, [NAME], scheduler=cluster)
    assert tree(own) == before


# PostgreSQL


def programs():
    """Where PostgreSQL's server lies. Without one, a developer's test is skipped, and CI's fails."""
    places = [Path(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]]
    places += [Path(shutil.which("initdb") or "/usr/local/bin/initdb").parent]
    if shutil.which("pg_config"):
        done = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True)
        places.append(Path(done.stdout.strip()))
    for place in places:
        if (place / "initdb").exists() and (place / "pg_ctl").exists():
            return place
    why = "PostgreSQL's server is not installed (initdb, pg_ctl): apt-get install postgresql"
    if os.environ.get("CI"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


@pytest.fixture(scope="module")
def postgresql():
    """The URL of a database in a server of the test's own, behind a socket in a folder."""
    place = programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has bounds
    who = {}
    if os.geteuid() == 0:  # the server refuses to be root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def run(name, *arguments):
        done = subprocess.run(
            [place / name, f"--pgdata={folder / 'data'}", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **who,
        )
        assert done.returncode == 0, done.stdout

    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    try:
        run(
            "initdb",
            *("--username=grader", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"),
        )
        run("pg_ctl", "--wait", f"--log={folder / 'log'}", f"--options={options}", "start")
        yield f"postgresql+psycopg://grader@/postgres?host={folder}"
        run("pg_ctl", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


def test_a_class_graded_into_postgresql_is_the_same(
    postgresql, graded, cluster, tmp_path, monkeypatch
):
    root = Path(shutil.copytree(graded, tmp_path / "course"))
    shutil.rmtree(root / "class" / "autograded")
    (root / "class" / "gradebook.db").unlink()
    monkeypatch.setenv("AUTOGRADER_DB_URL", postgresql)
    nbgrader(root, "generate_assignment", NAME)
    with Gradebook(postgresql) as book:
        book.update_or_create_assignment(NAME, duedate=DUE)
    summary = grade(root, [NAME], scheduler=cluster)
    assert len(summary.graded) == len(EVERYBODY)
    assert not (root / "class" / "gradebook.db").exists()
    assert contents(postgresql) == contents(sqlite(graded))
    assert grade(root, [NAME], scheduler=cluster).graded == []
    nbgrader(root, "generate_feedback", NAME, "--student=amara-okafor")
    assert (root / "class" / "feedback" / "amara-okafor" / NAME / "exercises.html").is_file()


def test_the_sample_class_never_mixes_with_a_real_one_in_postgresql(
    postgresql, tmp_path, monkeypatch
):
    engine = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql("CREATE DATABASE another_class"))
    engine.dispose()
    url = postgresql.replace("/postgres?", "/another_class?")
    monkeypatch.setenv("AUTOGRADER_DB_URL", url)
    root = new_course(tmp_path)
    assert sample_class.make(root, [NAME])  # the assignment is there, and nobody in it
    shutil.rmtree(root / "class" / "submitted")
    with Gradebook(url) as book:
        book.add_student("anna")
    with pytest.raises(
        Refused, match=r"gradebook postgresql\+psycopg://\S+ that is not made up \(anna"
    ):
        sample_class.make(root, [NAME])
    assert not (root / "class" / "submitted").exists()


def test_without_namespaces_nothing_is_graded_and_one_line_says_so(own, monkeypatch):
    """Every job would fail for the same reason: it is said once."""
    from distributed import LocalCluster

    from autograder.grading import isolation
    from autograder.grading.farm import Refused

    monkeypatch.setattr(isolation, "no_isolation", lambda: "this is a test")
    monkeypatch.delenv(isolation.VARIABLE, raising=False)
    answer(own, "greta-lindqvist", RIGHT)
    before = contents(sqlite(own))
    with (
        LocalCluster(
            n_workers=1, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
        ) as threads,
        pytest.raises(Refused, match="cannot be isolated on this machine: this is a test"),
    ):
        grade(own, [NAME], scheduler=threads.scheduler_address)
    assert contents(sqlite(own)) == before
