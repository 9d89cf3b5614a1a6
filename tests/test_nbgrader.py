"""nbgrader itself, from a source notebook to the feedback pages, in a small course of its own."""

import csv
import fcntl
import json
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from nbconvert.filters import markdown2html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import OperationalError
from traitlets.config.loader import PyFileConfigLoader

from autograder.answer import ask
from autograder.check import MIME, examine
from autograder.exercise import find, registry
from autograder.grading import (
    Refused,
    course,
    hidden,
    live,
    preflight,
    sample_class,
    scores,
    submission,
    wrong_answers,
)
from autograder.grading import gradebook as patient
from autograder.grading.judging import Judge
from autograder.grading.sanitise import KEY, as_released, harmless, rebuild
from autograder.grading.submission import Cell, NoNotebook
from autograder.verdict import judge

ROOT = Path(__file__).resolve().parent.parent
FIRST, SECOND = list(registry())[:2]  # the exercises of the small course
NAME = find(FIRST).chapter
SEED = "271828"
RIGHT = wrong_answers.written_out(FIRST, live.reference_of(find(FIRST)))
WRONG = wrong_answers.sources(find(FIRST))[0]


def marks(grade_id, **values):
    base = {"schema_version": 3, "grade_id": grade_id}
    base |= {"locked": False, "grade": False, "solution": False, "task": False}
    return {"nbgrader": base | values}


def exercise_cells(name):
    """The statement, the answer cell and the test cell of an exercise, as the source has them."""
    answer = wrong_answers.written_out(name, live.reference_of(find(name)))
    head, arguments, body = answer.partition(f"def {name}({find(name).signature}):\n")
    assert arguments, answer
    answer = f"{head}{arguments}    ### BEGIN SOLUTION\n{body}    ### END SOLUTION"
    return [
        new_markdown_cell(f"## {name}", metadata=marks(f"{name}-text", locked=True)),
        new_code_cell(answer, metadata=marks(name, solution=True)),
        new_code_cell(
            f'check("{name}", {name})',
            metadata=marks(f"{name}-check", locked=True, grade=True, points=find(name).max_score),
        ),
    ]


def source_notebook():
    imports = "import numpy as np\nfrom autograder import check"
    cells = [
        new_code_cell(imports, metadata=marks("imports", locked=True)),
        *exercise_cells(FIRST),
        *exercise_cells(SECOND),
        new_markdown_cell("Because.", metadata=marks("why", solution=True, grade=True, points=4)),
    ]
    for cell in cells:
        cell.id = cell.metadata.nbgrader.grade_id.replace("_", "-")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def nbgrader(root, *arguments):
    """Run the command as an instructor does; nine seconds are plenty for a cell."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=root,
        env={**os.environ, "AUTOGRADER_CELL_SECONDS": "9", hidden.VARIABLE: SEED},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def new_course(root):
    """A course with one assignment, and a reading beside where it will be released."""
    shutil.copy(ROOT / "nbgrader_config.py", root)
    source = root / "solutions" / NAME / "exercises.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(source_notebook(), source)
    (root / "chapters").mkdir()
    (root / "chapters" / f"{NAME}.ipynb").write_text("a reading")
    nbgrader(root, "generate_assignment", NAME)
    return root


def released(root):
    return root / "chapters" / NAME / "exercises.ipynb"


def hand_in(root, student, *edits):
    """What the release becomes by these edits, as that student's submission."""
    path = root / "class" / "submitted" / student / NAME / "exercises.ipynb"
    path.parent.mkdir(parents=True)
    notebook = json.loads(released(root).read_text())
    for edit in edits:
        edit(notebook)
    path.write_text(json.dumps(notebook))


def cell_of(notebook, grade_id):
    found = {c["metadata"].get("nbgrader", {}).get("grade_id"): c for c in notebook["cells"]}
    return found[grade_id]


def answers(source):
    return lambda notebook: cell_of(notebook, FIRST).update(source=source)


def skips_execution(notebook):
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["skip-execution"]


def replaces_the_tests(notebook):
    cell = cell_of(notebook, f"{FIRST}-check")
    cell["source"] = "9.0"
    cell["metadata"]["nbgrader"].update(points=900, checksum="0" * 32)


def adds_a_second_test(notebook):
    cell = json.loads(json.dumps(cell_of(notebook, f"{FIRST}-check")))
    notebook["cells"].append(cell | {"source": "9.0", "id": "pasted"})


def names_the_easier_exercise(notebook):
    cell_of(notebook, f"{SECOND}-check")["metadata"]["nbgrader"]["grade_id"] = f"{FIRST}-check"
    cell_of(notebook, f"{FIRST}-check")["source"] = f'check("{SECOND}", {SECOND})'


def has_another_schema_and_kernel(notebook):
    for cell in notebook["cells"]:
        cell["metadata"]["nbgrader"]["schema_version"] = 99
    notebook["metadata"]["kernelspec"] = {"name": "none", "display_name": "R", "language": "r"}


def claims_to_be_judged(notebook):
    mistake = find(SECOND).mistakes[0].name
    claim = {"reasons": {}, "diagnoses": {FIRST: "x", SECOND: mistake}, "fingerprint": "0" * 64}
    notebook["metadata"]["autograder"] = claim
    for cell in notebook["cells"]:
        cell["metadata"]["autograder"] = claim


def lost_its_cells(notebook):
    plain = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"] = [plain | {"source": RIGHT}]


FORGERS = {
    "skips-tests": [skips_execution],
    "replaces-tests": [replaces_the_tests],
    "doubles-tests": [adds_a_second_test],
    "swaps-tests": [names_the_easier_exercise],
    "shadows-check": [answers(f"def check(*a): return 9.0\ndef {FIRST}(*a): raise ValueError")],
    "answers-itself": [
        answers(
            "import autograder\nfrom IPython.display import publish_display_data as show\n"
            f"autograder.check = lambda *a: show({{{MIME!r}: '[1]', 'text/plain': '9'}})\n"
            f"{FIRST} = 9.0"
        )
    ],
}
ODD = {
    "odd-schema": [answers(RIGHT), has_another_schema_and_kernel],
    "odd-metadata": [answers(RIGHT), claims_to_be_judged],
    "odd-cells": [lost_its_cells],
    "odd-shadow": [answers(f"{RIGHT}\ncheck = None")],
}


TIME = "2026-01-02 13:00:00 UTC"
# What stands in timestamp.txt, of students whose answers are right.
STAMPS = {
    "stamp-words": b"yesterday, honestly",
    "stamp-bytes": b"\xff\xfe\x00",
    "stamp-empty": b"",
    "stamp-digits": b"9" * 400,
    "stamp-huge": TIME.encode() + b" " * 100_000 + b"x",
    "stamp-zone": b"2026-01-02 13:00:00 /proc/self/mem",
    "stamp-link": None,
    "stamp-folder": None,
}
PAGES = ("page.html", "PAGE.HTML", "picture.svg", "more/page.htm", "a[1]/page.html", "secret")
KEPT = ("data.csv", "more/picture.png")


def beside(root, student):
    return root / "class" / "submitted" / student / NAME


def hand_in_odd_things(root):
    """Bad times, pages that run in a browser, and links, beside notebooks with right answers."""
    (root / "secret").write_text(TIME)
    for student, content in STAMPS.items():
        hand_in(root, student, answers(RIGHT))
        if content is not None:
            (beside(root, student) / "timestamp.txt").write_bytes(content)
    (beside(root, "stamp-link") / "timestamp.txt").symlink_to(root / "secret")
    (beside(root, "stamp-folder") / "timestamp.txt").mkdir()
    (beside(root, "stamp-folder") / "timestamp.txt" / "x").touch()
    hand_in(root, "odd-files", answers(RIGHT))
    for name in (*PAGES[:-1], *KEPT, "timestamp.txt"):
        path = beside(root, "odd-files") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TIME)
    (beside(root, "odd-files") / "secret").symlink_to(root / "secret")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The small course with its class graded, feedback made and scores exported: by commands."""
    root = new_course(tmp_path_factory.mktemp("course"))
    sample_class.make(root, [NAME])
    for student, edits in {**FORGERS, **ODD}.items():
        hand_in(root, student, *edits)
    hand_in_odd_things(root)
    (root / "said").write_text(nbgrader(root, "autograde", NAME))
    nbgrader(root, "generate_feedback", NAME)
    nbgrader(root, "export", f"--to={root / 'class' / 'grades.csv'}")
    return root


@pytest.fixture
def judging(tmp_path, monkeypatch):
    """The judge in a course that has nothing but its settings."""
    monkeypatch.setenv(hidden.VARIABLE, SEED)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    judge = Judge()
    judge.coursedir = course.course(tmp_path)
    return judge


def gradebook(root):
    return Gradebook(f"sqlite:///{root / 'class' / 'gradebook.db'}")


def score_of(root, student, name):
    with gradebook(root) as book:
        return book.find_grade(f"{name}-check", "exercises", NAME, student).score


def graded_notebook(root, student):
    path = root / "class" / "autograded" / student / NAME / "exercises.ipynb"
    return nbformat.read(path, as_version=4)


def report_of(root, student, name):
    cell = cell_of(graded_notebook(root, student), f"{name}-check")
    return " ".join(cell.outputs[0].data["text/plain"].split())


def feedback_of(root, student):
    path = root / "class" / "feedback" / student / NAME / "exercises.html"
    return path.read_text(encoding="utf-8")


def full(name):
    return find(name).max_score


# What students get


def test_the_release_is_made_from_the_source_alone_and_each_time_the_same(graded):
    first = released(graded).read_bytes()
    nbgrader(graded, "generate_assignment", NAME)
    assert released(graded).read_bytes() == first
    made = course.released(graded / "solutions" / NAME / "exercises.ipynb")
    assert made == nbformat.read(released(graded), as_version=4)
    assert "SOLUTION" not in first.decode()


def test_the_release_leaves_the_reading_beside_it_alone(graded):
    assert (graded / "chapters" / f"{NAME}.ipynb").read_text() == "a reading"


def test_validate_shows_the_student_what_is_wrong(graded, tmp_path):
    notebook = json.loads(released(graded).read_text())
    answers(WRONG)(notebook)
    (tmp_path / "exercises.ipynb").write_text(json.dumps(notebook))
    said = nbgrader(graded, "validate", str(tmp_path / "exercises.ipynb"))
    assert "VALIDATION FAILED" in said
    assert "exactly those of a known mistake" in " ".join(said.split())
    assert "WARNING" not in said


# Scores


def test_right_answers_earn_all_points(graded):
    for name in (FIRST, SECOND):
        assert score_of(graded, "amara-okafor", name) == full(name)


def test_stubs_earn_nothing_and_are_told_so(graded):
    for name in (FIRST, SECOND):
        assert score_of(graded, "greta-lindqvist", name) == 0
        assert "is not written yet" in report_of(graded, "greta-lindqvist", name)


@pytest.mark.parametrize(
    "student", [s for s, how in sample_class.STUDENTS.items() if "mixed" in how]
)
def test_known_mistakes_earn_what_check_says_and_are_named(graded, student):
    notebook = graded_notebook(graded, student)
    for name in (FIRST, SECOND):
        names = {}
        exec(cell_of(notebook, name).source, names)
        said = examine(name, names[name])
        assert score_of(graded, student, name) == pytest.approx(said.score)
        for mistake in said.diagnosis:
            words = find(name).mistake(mistake).says
            assert words.split()[0] in report_of(graded, student, name)
            assert notebook.metadata[KEY]["diagnoses"][name] == mistake


def test_some_of_the_sample_class_make_a_mistake_that_is_known(graded):
    reports = [report_of(graded, student, FIRST) for student in sample_class.STUDENTS]
    assert any("exactly those of a known mistake" in report for report in reports)


def test_torn_notebooks_with_right_answers_earn_all_points(graded):
    for name in (FIRST, SECOND):
        assert score_of(graded, "farid-haddad", name) == full(name)


@pytest.mark.parametrize("student", ODD)
def test_what_surrounds_a_right_answer_does_not_matter(graded, student):
    assert score_of(graded, student, FIRST) == full(FIRST)


def test_what_the_judge_keeps_is_never_what_a_student_wrote_there(graded):
    notebook = graded_notebook(graded, "odd-metadata")
    assert notebook.metadata[KEY] == {"reasons": {SECOND: "not written yet"}, "diagnoses": {}}
    assert not [cell for cell in notebook.cells if KEY in cell.metadata]


@pytest.mark.parametrize("student", FORGERS)
def test_forging_earns_nothing(graded, student):
    assert score_of(graded, student, FIRST) == 0
    assert score_of(graded, student, SECOND) == 0


def test_a_cell_that_raises_costs_its_own_exercise_and_says_why(graded):
    assert score_of(graded, "hiro-tanaka", FIRST) == 0
    assert "No module named 'scipyy'" in report_of(graded, "hiro-tanaka", FIRST)


def test_a_function_that_ends_python_costs_its_own_exercise(graded):
    assert score_of(graded, "hiro-tanaka", SECOND) == 0
    assert "Python ended while" in report_of(graded, "hiro-tanaka", SECOND)


def test_an_endless_loop_costs_its_own_exercise(graded):
    assert score_of(graded, "ines-carvalho", FIRST) == full(FIRST)
    assert score_of(graded, "ines-carvalho", SECOND) == 0
    assert "loop that never ends" in report_of(graded, "ines-carvalho", SECOND)


def test_a_file_that_is_no_notebook_earns_nothing_and_is_kept(graded):
    path = graded / "class" / "submitted" / "jonas-meyer" / NAME / "exercises.ipynb"
    with pytest.raises(ValueError):
        json.loads(path.read_text())
    assert score_of(graded, "jonas-meyer", FIRST) == 0
    assert "is no notebook" in report_of(graded, "jonas-meyer", FIRST)
    assert "This submission could not be graded" in feedback_of(graded, "jonas-meyer")
    with gradebook(graded) as book:
        found = book.find_submission(NAME, "jonas-meyer")
        assert (found.score, found.needs_manual_grade) == (0, False)


def test_reports_reach_the_feedback_page(graded):
    page = feedback_of(graded, "bruno-keller")
    assert 'class="autograder-report"' in page
    assert page.count("points") >= 2


def test_scores_reach_the_export(graded):
    with (graded / "class" / "grades.csv").open() as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert float(rows["amara-okafor"]["score"]) == full(FIRST) + full(SECOND)
    assert float(rows["amara-okafor"]["max_score"]) == full(FIRST) + full(SECOND) + 4
    assert float(rows["jonas-meyer"]["score"]) == 0


def test_nothing_of_a_students_runs_in_the_graders_browser(judging):
    evil = "<script>alert(1)</script>"
    cell = new_code_cell("x", outputs=[new_output("display_data", data={"text/html": evil})])
    cell.outputs.append(
        new_output("display_data", data={"image/png": f'"{evil}', "text/plain": "x"})
    )
    notebook, _ = judging.preprocess(new_notebook(cells=[cell]), {})
    assert evil not in nbformat.writes(notebook)
    assert harmless(f"if $a<b$ and $a < b$ {evil}") == (
        "if $a< b$ and $a < b$ < script>alert(1)< /script>"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x]( <JavaScript:alert(1)>)",
        "[x](java&#115;cript&colon;alert(1))",
        "![x](&#x6a;avascript:alert(1))",
        "[x]\n\n[x]: javascript:alert(1)",
        "[x]\n\n[x]:\n  <javascript:alert(1)>",
        "[x](<java&Tab;script:alert(1)>)",
        "[x](java\\script:alert(1)) [x](\\javascript:alert(1))",
        "[x](vbscript:a) <javascript:alert(1)>",
        "[x](data:text/html;base64,aaaa)",
    ],
)
def test_no_link_of_a_student_runs_in_the_graders_browser(text):
    shown = markdown2html(harmless(text)).lower()
    assert not re.search(r"(href|src)=.\s*(javascript|vbscript|data)", shown)


def test_ordinary_markdown_stays_what_it_is():
    text = "[a](https://b.c/d:e) ![f](attachment:f.png) [g](#h) [i]: x > y, $a < b$, `t[1:2]`, h[0]: the first. So: yes"
    assert harmless(text) == text


# What lies beside a notebook


@pytest.mark.parametrize("student", STAMPS)
def test_a_bad_time_costs_nothing_and_is_told(graded, student):
    assert score_of(graded, student, FIRST) == full(FIRST)
    with gradebook(graded) as book:
        assert book.find_submission(NAME, student).timestamp is None
    place = Path("class") / "submitted" / student / NAME / "timestamp.txt"
    said = (graded / "said").read_text()
    assert re.search(f"WARNING.*{place} holds no time: graded without one", said)
    there = graded / "class" / "autograded" / student / NAME
    assert [path.name for path in there.iterdir()] == ["exercises.ipynb"]


def test_pages_and_links_are_left_where_they_are(graded):
    for step in ("autograded", "feedback"):
        there = graded / "class" / step / "odd-files" / NAME
        found = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
        written = "exercises.ipynb" if step == "autograded" else "exercises.html"
        assert found == {written, "timestamp.txt", *KEPT}
    with gradebook(graded) as book:
        assert book.find_submission(NAME, "odd-files").timestamp is not None


def test_the_course_ignores_what_nbgrader_ignores_and_pages(root):
    ignored = course.course(root).ignore
    assert {*CourseDirectory().ignore, "*.html", "*.htm", "*.xhtml", "*.svg"} <= {*ignored}


def test_what_is_left_in_one_grading_is_not_left_in_the_next(tmp_path):
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    directory, folder = course.course(tmp_path), beside(tmp_path, "anna")
    folder.mkdir(parents=True)
    (folder / "timestamp.txt").write_text("yesterday")
    before = list(directory.ignore)
    preflight.begin(directory, NAME, KEY, logging.getLogger("quiet"))
    assert directory.ignore == [*before, str(folder / "timestamp.txt")]
    assert directory.get_existing_timestamp(str(folder)) is None
    (folder / "timestamp.txt").write_text(TIME)
    preflight.begin(directory, NAME, KEY, logging.getLogger("quiet"))
    assert directory.ignore == before
    assert directory.get_existing_timestamp(str(folder)) == datetime(2026, 1, 2, 13)


# Grading again


def test_a_source_that_changed_since_the_release_stops_grading_with_a_hint(graded, monkeypatch):
    monkeypatch.setenv(hidden.VARIABLE, SEED)
    path = graded / "solutions" / NAME / "exercises.ipynb"
    before, marked = path.read_text(), score_of(graded, "elif-yildiz", FIRST)
    notebook = json.loads(before)
    cell_of(notebook, f"{FIRST}-check")["metadata"]["nbgrader"]["points"] = 100
    path.write_text(json.dumps(notebook))
    try:
        with pytest.raises(RuntimeError, match=f"run `nbgrader generate_assignment {NAME}`"):
            as_released(course.course(graded), NAME, "exercises")
    finally:
        path.write_text(before)
    assert score_of(graded, "elif-yildiz", FIRST) == marked


def grade_again(root, student):
    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    directory = course.course(root)
    directory.assignment_id, directory.student_id = NAME, student
    grader = Autograde(coursedir=directory, config=config)
    grader.force = True
    grader.start()


def test_grading_again_gives_the_same_and_keeps_what_was_graded_by_hand(graded, monkeypatch):
    monkeypatch.setenv(hidden.VARIABLE, SEED)
    student = "bruno-keller"
    before = [score_of(graded, student, name) for name in (FIRST, SECOND)]
    with gradebook(graded) as book:
        written = book.find_grade("why", "exercises", NAME, student)
        assert written.needs_manual_grade
        written.manual_score = 3.0
        book.find_comment("why", "exercises", NAME, student).manual_comment = "Well seen."
        book.db.commit()
    grade_again(graded, student)
    assert [score_of(graded, student, name) for name in (FIRST, SECOND)] == before
    with gradebook(graded) as book:
        assert book.find_grade("why", "exercises", NAME, student).score == 3.0
        assert book.find_comment("why", "exercises", NAME, student).comment == "Well seen."


# Before grading begins


@pytest.fixture
def own_copy(graded, tmp_path, monkeypatch):
    """The graded course, in a folder of the test's own."""
    monkeypatch.setenv(hidden.VARIABLE, SEED)
    return Path(shutil.copytree(graded, tmp_path / "course"))


def graded_files(root):
    return {path: path.read_bytes() for path in root.glob("class/autograded/*/*/*.ipynb")}


def test_what_a_killed_grading_left_half_done_is_graded_again(own_copy):
    student, before = "bruno-keller", graded_files(own_copy)
    path = own_copy / "class" / "autograded" / student / NAME / "exercises.ipynb"
    marked = score_of(own_copy, student, FIRST)
    notebook = json.loads(before[path])
    del notebook["metadata"]["autograder"]
    path.chmod(0o644)
    path.write_text(json.dumps(notebook))
    nbgrader(own_copy, "autograde", NAME)
    assert "reasons" in json.loads(path.read_text())["metadata"]["autograder"]
    assert score_of(own_copy, student, FIRST) == marked
    after = graded_files(own_copy)
    assert all(after[other] == before[other] for other in before if other != path)


def refused_at_the_start(root, words):
    before = graded_files(root)
    with pytest.raises(NbGraderException, match=words):
        grade_again(root, "bruno-keller")
    assert graded_files(root) == before


def test_a_locked_gradebook_stops_grading_before_anything_is_touched(own_copy, monkeypatch):
    monkeypatch.setattr(patient, "PATIENCE", 50)
    holder = sqlite3.connect(own_copy / "class" / "gradebook.db")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        refused_at_the_start(own_copy, "locked by another nbgrader, formgrader or backup")
    finally:
        holder.rollback()
        holder.close()


def test_a_missing_gradebook_stops_grading_before_anything_is_touched(own_copy):
    (own_copy / "class" / "gradebook.db").unlink()
    refused_at_the_start(own_copy, "does not know .*: run `nbgrader generate_assignment")


def test_a_spoilt_seed_stops_grading_before_anything_is_touched(own_copy, monkeypatch):
    monkeypatch.setenv(hidden.VARIABLE, "xyz")
    refused_at_the_start(own_copy, "hidden seed .* is no positive whole number")


@pytest.mark.parametrize("name", ["star[1]", "a\x9b31m", "a\u202eb"])
def test_a_folder_that_nbgrader_cannot_address_is_told_at_the_start(own_copy, name):
    """Nor may a name steer the terminal on which the tables are shown."""
    (own_copy / "class" / "submitted" / name).mkdir()
    refused_at_the_start(own_copy, f"cannot address the folder .*{re.escape(repr(name)[1:-1])}")


def test_only_one_grading_runs_in_a_course(own_copy):
    lock = (own_copy / "class" / ".grading-lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    refused_at_the_start(own_copy, "Another grading runs")
    lock.close()


# The table of scores


def test_the_table_shows_scores_reasons_and_where_to_look(graded):
    shown = scores.table(graded, NAME)
    line = {row.split()[0]: row.split() for row in shown.splitlines() if row.startswith("  ")}
    assert line["amara-okafor"][1:] == [
        f"{n:g}" for n in (full(FIRST) + full(SECOND), full(FIRST), full(SECOND))
    ] + ["?"]
    for words in (
        "no valid JSON",
        "not written yet",
        "ended Python",
        "was not done in time",
        "scipyy",
        "class/feedback/",
        "make formgrader",
    ):
        assert words in shown


def test_the_table_asks_for_a_gradebook_and_a_known_assignment(graded, tmp_path):
    with pytest.raises(Refused, match="no course in"):
        scores.table(tmp_path)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    with pytest.raises(Refused, match=r"no gradebook at .*gradebook\.db: run"):
        scores.table(tmp_path)
    with pytest.raises(Refused, match=f"no assignment '99-none'. It has: {NAME}"):
        scores.table(graded, "99-none")


def test_a_locked_or_damaged_gradebook_is_told(graded, tmp_path, monkeypatch):
    def locked(*_, **__):
        raise OperationalError("select", {}, Exception("database is locked"))

    with monkeypatch.context() as patched:
        patched.setattr(scores, "Gradebook", locked)
        with pytest.raises(Refused, match="is locked: another nbgrader, formgrader or backup"):
            scores.table(graded)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "gradebook.db").write_text("no database, but a long text" * 100)
    with pytest.raises(Refused, match="cannot be used: file is not a database"):
        scores.table(tmp_path)


def test_an_interrupted_grading_shows_in_the_table(graded):
    path = graded / "class" / "autograded" / "greta-lindqvist" / NAME / "exercises.ipynb"
    before = path.read_text()
    notebook = json.loads(before)
    del notebook["metadata"]["autograder"]
    path.chmod(0o644)
    path.write_text(json.dumps(notebook))
    assert f"autograder grade {NAME} --student greta-lindqvist --force" in scores.table(graded)
    path.write_text(before)


# The sample class


def test_the_sample_class_never_overwrites_a_real_one(graded):
    before = sorted((graded / "class" / "submitted").rglob("*"))
    with pytest.raises(Refused, match="not made up"):  # the forgers are not of its own making
        sample_class.make(graded, [NAME])
    assert sorted((graded / "class" / "submitted").rglob("*")) == before


def course_like(graded, root):
    """A course with the same assignment, and no class yet."""
    for name in ("solutions", "chapters"):
        shutil.copytree(graded / name, root / name)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return root


@pytest.mark.parametrize("dialect", ["sqlite", "sqlite+pysqlite"])
def test_the_sample_class_sees_a_real_one_in_any_gradebook(graded, tmp_path, monkeypatch, dialect):
    root, path = course_like(graded, tmp_path), tmp_path / "elsewhere.db"
    monkeypatch.setenv("AUTOGRADER_DB_URL", f"{dialect}:///{path}")
    sample_class.make(root)
    assert not path.exists()  # merely to look makes none
    shutil.rmtree(root / "class")
    with Gradebook(f"sqlite:///{path}") as book:
        book.add_student("anna")
    before = path.read_bytes()
    with pytest.raises(Refused, match=r"gradebook \S+elsewhere\.db that is not made up \(anna\)"):
        sample_class.make(root)
    assert path.read_bytes() == before
    assert not (root / "class" / "submitted").exists()


def test_the_sample_class_sees_a_real_one_that_was_only_graded(graded, tmp_path):
    root = course_like(graded, tmp_path)
    (root / "class" / "autograded" / "anna" / NAME).mkdir(parents=True)
    with pytest.raises(Refused, match=r"class that is not made up \(anna\)"):
        sample_class.make(root)


def test_the_sample_class_needs_a_released_assignment(graded, tmp_path):
    shutil.copytree(graded / "solutions", tmp_path / "solutions")
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    with pytest.raises(Refused, match="is not released yet"):
        sample_class.make(tmp_path)
    with pytest.raises(Refused, match="There is no assignment '99-none'"):
        sample_class.make(tmp_path, ["99-none"])
    assert not (tmp_path / "class" / "submitted").exists()


def test_the_sample_class_can_be_made_again(graded, tmp_path):
    root = course_like(graded, tmp_path)
    assert sample_class.make(root) == sample_class.make(root) == [*sample_class.STUDENTS]


# The gradebook's URL


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:secret@db/class",
        "postgresql+psycopg://me@/class?host=/run&password=secret",
        "postgresql+psycopg://me:sec/secret@db/class",
    ],
)
def test_a_gradebook_is_named_without_its_password(url):
    assert patient.shown(url).startswith("postgresql+psycopg://me")
    assert "secret" not in patient.shown(url)


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "nosuchthing://me:secret@db/class",
        "postgresql+psycopg://me:x@secret@db/class",
        "postgresql+psycopg://me:secret@db:secret/class",
    ],
)
def test_what_is_no_url_is_refused_and_not_repeated(url):
    with pytest.raises(Refused, match=r"The gradebook's URL .* is none: DIALECT") as caught:
        patient.file_of(url)
    assert "secret" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Refused, match="asks for psycopg, which is not installed"):
        patient.file_of("postgresql+psycopg://me@db/class")


# The hidden seed


def test_the_hidden_seed_is_drawn_once_and_the_environment_wins(tmp_path, monkeypatch):
    drawn = hidden.seed(tmp_path)
    assert drawn > 0
    assert hidden.seed(tmp_path) == drawn
    assert [path.name for path in (tmp_path / "class").iterdir()] == ["hidden-seed"]
    monkeypatch.setenv(hidden.VARIABLE, "5")
    assert hidden.seed(tmp_path) == 5


@pytest.mark.parametrize("text", ["", "x", "-3", "0", "1.5"])
def test_a_spoilt_hidden_seed_is_refused(tmp_path, text):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "hidden-seed").write_text(text)
    with pytest.raises(Refused, match="no positive whole number"):
        hidden.seed(tmp_path)


# Reading submissions


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"{", "no valid JSON from line 1"),
        (b"[]", "no notebook"),
        (b"{}", "no list of cells"),
        (b'{"cells": 3}', "no list of cells"),
        (b'{"cells": [3]}', "Cell 1 of"),
        (b'{"cells": [{"source": {"a": 1}}]}', "holds no text"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"[" * 100_000, "no notebook"),
        (b'{"cells": [' + b"{}," * 1000 + b"{}]}", "at most 1000"),
        (b'{"cells": [{"source": "' + b"x" * 200_001 + b'"}]}', "at most 200000"),
        (b" " * (submission.MAX_BYTES + 1), "at most 20 MB"),
    ],
)
def test_what_is_no_notebook_is_refused_with_a_reason(tmp_path, content, words):
    path = tmp_path / "exercises.ipynb"
    path.write_bytes(content)
    with pytest.raises(NoNotebook, match=words):
        submission.read(path)


def test_links_and_folders_are_not_followed(tmp_path):
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "link.ipynb").symlink_to("/dev/zero")
    for name in ("folder.ipynb", "link.ipynb", "missing.ipynb"):
        with pytest.raises(NoNotebook):
            submission.read(tmp_path / name)


def test_odd_but_readable_cells_are_read(tmp_path):
    path = tmp_path / "exercises.ipynb"
    cells = [
        {"cell_type": "code", "source": ["a = 1\n", "b = 2"], "metadata": None},
        {"cell_type": "heading", "source": "\ud800", "metadata": {"nbgrader": {"grade_id": []}}},
        {"cell_type": "code", "input": "old = 3", "metadata": {"nbgrader": {"grade_id": "f"}}},
    ]
    path.write_text(json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3}))
    assert submission.read(path) == [
        Cell("code", "a = 1\nb = 2"),
        Cell("raw", "?"),
        Cell("code", "old = 3", "f"),
    ]


def rebuilt(*cells):
    template = source_notebook()
    return [
        cell.source for cell in rebuild(template, list(cells)).cells if cell.cell_type == "code"
    ]


def test_answers_return_to_their_place_and_own_cells_stay_where_they_were():
    found = rebuilt(
        Cell("code", "print(1)"),
        Cell("code", f"check('{FIRST}', 1)", f"{FIRST}-check"),
        Cell("code", "helper = 1"),
        Cell("code", "early", FIRST),
        Cell("code", "late", FIRST),
    )
    tests = [f'check("{name}", {name})' for name in (FIRST, SECOND)]
    missing = "# This cell was missing from the notebook that was handed in."
    imports = source_notebook().cells[0].source
    assert found == [
        "print(1)",
        imports,
        "late",
        tests[0],
        "helper = 1",
        "early",
        missing,
        tests[1],
    ]


def test_a_rebuilt_notebook_is_valid_and_has_nothing_of_the_students_but_text():
    cells = [
        Cell("markdown", "a", "", {"x.png": {"image/png": "aaaa"}}),
        Cell("raw", "b"),
        Cell("code", "c"),
    ]
    notebook = rebuild(source_notebook(), cells * 3)
    nbformat.validate(notebook)
    assert notebook.metadata == source_notebook().metadata


# The judge


def judged(judging, outputs):
    cell = exercise_cells(FIRST)[2]
    cell.outputs = outputs
    notebook, _ = judging.preprocess(new_notebook(cells=[cell]), {})
    nbformat.validate(notebook)
    report, score = notebook.cells[0].outputs
    assert "text/html" in report.data
    return float(score.data["text/plain"]), report.data["text/plain"]


def answers_with(**changes):
    row = {"value": None, "failure": None, "changed": [], "unstable": False, "warned": []}
    cases = len(live.expected(FIRST).cases) + len(live.expected(FIRST, int(SEED)).cases)
    return json.dumps({"problem": "", "answers": [row | changes] * cases})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 10_000,
        '{"problem": "", "answers": []}',
        '{"problem": ["x"], "answers": [1]}',
        answers_with(value={"array": "AAAA", "shape": [-1, -7], "dtype": "f8"}),
        answers_with(value={"array": "", "shape": [0], "dtype": "float64"}),
        answers_with(value={"float": "nan"}),
        answers_with(value={"dict": {"a": {"other": "x" * 10_000}}}),
        answers_with(value=[[[[[[[[1]]]]]]]]),
        answers_with(value=10**400),
        answers_with(value="x", changed=["nothing"], warned=["\x1b[31m" * 100]),
        answers_with(failure={"kinds": [], "message": "", "line": "", "number": 0}),
        answers_with(failure={"kinds": ["E"], "message": "\ud800", "line": "", "number": 0}),
        answers_with(failure={"kinds": [3], "message": 3, "line": None, "number": "7"}),
    ],
)
def test_no_answer_whatever_it_is_makes_the_judge_fail(text, judging):
    shown = {"output_type": "display_data", "data": {MIME: text}, "metadata": {}}
    score, report = judged(judging, [nbformat.from_dict(shown)])
    assert score == 0
    assert find(FIRST).name in report
    report.encode("utf-8")


def test_the_last_answer_counts_and_other_outputs_do_not(judging):
    cases = [*live.expected(FIRST).cases, *live.expected(FIRST, int(SEED)).cases]
    right = ask(find(FIRST), live.reference_of(find(FIRST)), cases).to_json()
    outputs = [
        new_output("stream", name="stderr", text="a warning"),
        new_output("display_data", data={MIME: "{"}),
        new_output("display_data", data={MIME: right}),
        new_output("execute_result", data={"text/plain": "900"}),
    ]
    assert judged(judging, outputs)[0] == full(FIRST)


@pytest.mark.parametrize("name", ["", *(mistake.name for mistake in find(FIRST).mistakes)])
def test_the_judge_keeps_the_name_of_a_known_mistake_and_no_other_word(name, judging):
    exercise = find(FIRST)
    function = live.mistake_functions(exercise)[name] if name else live.reference_of(exercise)
    cases = [*live.expected(FIRST).cases, *live.expected(FIRST, int(SEED)).cases]
    cell = exercise_cells(FIRST)[2]
    text = ask(exercise, function, cases).to_json()
    cell.outputs = [new_output("display_data", data={MIME: text})]
    notebook, _ = judging.preprocess(new_notebook(cells=[cell]), {})
    assert notebook.metadata[KEY]["diagnoses"] == ({FIRST: name} if name else {})


@pytest.mark.parametrize(
    ("ename", "evalue", "words"),
    [
        ("NameError", f"name '{FIRST}' is not defined", "There is no function"),
        ("CellTimeoutError", "", "loop that never ends"),
        ("KernelDied", "", "Python ended"),
        ("NotebookTimeout", "Not run", "takes so long"),
        ("TypeError", "odd", "could not be asked: TypeError: odd"),
    ],
)
def test_an_error_in_the_test_cell_is_told_in_words(ename, evalue, words, judging):
    error = new_output("error", ename=ename, evalue=evalue, traceback=[])
    score, report = judged(judging, [error])
    assert score == 0
    assert words in " ".join(report.split())


# Known mistakes as students would write them


@pytest.mark.parametrize("name", registry())
def test_known_mistakes_written_out_are_still_those_mistakes(name):
    exercise = find(name)
    for mistake, function in live.mistake_functions(exercise).items():
        text = wrong_answers.written_out(name, function)
        if text:
            names = {}
            exec(text, names)
            expected = live.expected(name)
            given = ask(exercise, names[name], list(expected.cases))
            assert judge(exercise, expected, given).diagnosis == (mistake,)
