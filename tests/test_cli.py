"""The command line, as students and instructors meet it."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import cli
from autograder.exercise import registry

STEP = """\
import numpy as np

def rnn_step(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + h @ W_h.T + b)
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return command


def write(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return name


def judged(run, text, *options, name="rnn_step.py"):
    status, out, err = run("check", write(name, text), "--json", *options)
    assert err == ""
    row = json.loads(out)
    assert list(row) == ["exercise", "passed", "score", "max_score", "diagnosis", "message"]
    assert status == (0 if row["passed"] else 1)
    return row


def test_list_shows_every_exercise_below_its_chapter_with_its_load(run):
    status, out, _ = run("list")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    for chapter in {exercise.chapter for exercise in registry().values()}:
        own = [e for e in registry().values() if e.chapter == chapter]
        at = next(n for n, row in enumerate(rows) if row[:1] == [chapter])
        loads = [(e.max_score, len(e.mistakes), e.minutes) for e in own]
        assert list(map(float, rows[at][1:])) == [
            sum(column) for column in zip(*loads, strict=True)
        ]
        for row, exercise, load in zip(rows[at + 1 :], own, loads, strict=False):
            assert row[0] == exercise.name
            assert tuple(map(float, row[1:4])) == load
            assert " ".join(row[4:]) == f"({exercise.signature})"


def test_a_right_file_passes(run):
    row = judged(run, STEP)
    assert row["passed"]
    assert row["score"] == row["max_score"] == registry()["rnn_step"].max_score
    assert row["diagnosis"] == []


def test_a_wrong_file_is_explained_in_words(run):
    status, out, _ = run("check", write("rnn_step.py", STEP.replace(" + b", "")))
    assert status == 1
    assert "bias" in out
    assert "01-vanilla-rnn.ipynb#rnn-step" in out


def test_hidden_cases_are_added_for_a_seed(run):
    public = "import numpy as np\nCASES = []\n" + STEP.replace(
        "    return", "    CASES.append(1)\n    assert len(CASES) <= LIMIT\n    return"
    )
    shown = len([c for c in registry()["rnn_step"].cases_from(0)]) * 2
    text = public.replace("LIMIT", str(shown))
    assert judged(run, text)["passed"]
    assert not judged(run, text, "--hidden", "--seed", 5)["passed"]
    assert judged(run, STEP, "--hidden", "--seed", 5)["passed"]


def test_several_files_give_a_line_each_and_one_failure_fails(run):
    files = [write("rnn_step.py", STEP), write("sigmoid.py", "def sigmoid(a): return a\n")]
    status, out, _ = run("check", *files, "--json")
    assert status == 1
    assert [json.loads(line)["exercise"] for line in out.splitlines()] == ["rnn_step", "sigmoid"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def rnn_step(x, h:\n", "not valid Python"),
        ("def rnn_stp(x): pass\n", "defines no `rnn_step`"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("raise SystemExit(0)\n", "SystemExit"),
        ("import os; os._exit(3)\n", "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", "Python ended"),
        ("rnn_step = 5\n", "no function but a value of type int"),
        ("def rnn_step(x, h, W_x, W_h): return x\n", "takes `(x, h, W_x, W_h)`"),
        ("def rnn_step(x, h, W_x, W_h, b): raise NotImplementedError\n", "not written yet"),
        ("def rnn_step(x, h, W_x, W_h, b): return float('nan') + x[:, :1] * 0 * h\n", "nan"),
        ("\x00", "The file"),
    ],
)
def test_a_broken_file_scores_nothing_and_is_told_why(run, text, words):
    row = judged(run, text)
    assert row["score"] == 0
    assert words in row["message"]


def test_an_endless_loop_ends(run):
    row = judged(run, "while True: pass\n", "--timeout", 2)
    assert row["score"] == 0
    assert "never ends" in row["message"]


def test_what_a_file_prints_does_not_reach_the_json(run):
    assert judged(run, "print('{}')\n" + STEP)["passed"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/rnn_step.py", "There is no file"),
        ("rnn_stepp.py", "Did you mean rnn_step"),
        ("qqqq.py", "`autograder list` shows all names"),
        ("exercises.ipynb", "nbgrader validate"),
    ],
)
def test_bad_arguments_get_one_line_and_status_2(run, name, words):
    if "/" not in name:
        write(name, STEP)
    status, out, err = run("check", name)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hidden", "--seed", "-1"), "a seed is a whole number"),
        (("--timeout", "nan"), "seconds lie between"),
        (("--timeout", "-1"), "seconds lie between"),
    ],
)
def test_numbers_out_of_range_are_refused(run, capsys, options, words):
    with pytest.raises(SystemExit) as ended:
        run("check", write("rnn_step.py", STEP), *options)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_seed_without_hidden_cases_and_a_folder_are_refused(run):
    assert run("check", write("rnn_step.py", STEP), "--seed", 3)[0] == 2
    Path("folder").mkdir()
    Path("folder/rnn_step.py").mkdir()
    status, _, err = run("check", "folder/rnn_step.py")
    assert (status, "is a folder" in err) == (2, True)


def test_modules_beside_a_file_do_not_replace_pythons_own(run):
    write("random.py", "raise RuntimeError('shadow')\n")
    write("token.py", "raise RuntimeError('shadow')\n")
    write("helper.py", "ONE = 1.0\n")
    assert judged(run, "from helper import ONE\n" + STEP.replace("+ b", "+ ONE * b"))["passed"]


def test_swapped_arguments_of_check_are_told():
    from autograder import check

    with pytest.raises(ValueError, match="in quotes"):
        check(lambda: 0, "rnn_step")
    with pytest.raises(ValueError, match="Did you mean rnn_step"):
        check("rnn_stepp", lambda: 0)


def test_freeze_check_says_that_all_is_up_to_date(run):
    status, out, _ = run("freeze", "--check")
    assert status == 0, out
    assert str(len(registry())) in out


def test_doctor_finds_nothing_wrong_where_the_tests_run(run):
    status, out, _ = run("doctor")
    assert status == 0, out
    assert "no course in" in out


def test_doctor_tells_a_damaged_and_a_locked_gradebook(run, root):
    import sqlite3

    Path("class").mkdir()
    Path("nbgrader_config.py").touch()
    Path("class/gradebook.db").write_bytes(b"not a database" * 100)
    status, out, _ = run("doctor")
    assert status == 1
    assert "not a database" in out
    Path("class/gradebook.db").unlink()
    holder = sqlite3.connect("class/gradebook.db")
    holder.execute("CREATE TABLE student (id)")
    holder.execute("BEGIN EXCLUSIVE")
    status, out, _ = run("doctor")
    holder.rollback()
    holder.close()
    assert status == 1
    assert "locked" in out


def test_bundle_outside_of_the_course_is_refused(run):
    status, _, err = run("bundle")
    assert status == 2
    assert "No assignment is released" in err


def test_the_bundle_holds_notebooks_and_no_answers_and_works_alone(
    run, root, tmp_path, monkeypatch
):
    monkeypatch.chdir(root)
    status, _, err = run("bundle", "--out", tmp_path / "dist")
    assert status == 0, err
    archive = zipfile.ZipFile(tmp_path / "dist" / "rnn-course.zip")
    names = archive.namelist()
    assert "rnn-course/chapters/01-vanilla-rnn/exercises.ipynb" in names
    assert not [name for name in names if "solutions" in name or "reference" in name]
    for name in names:
        if name.endswith("exercises.ipynb"):
            assert b"BEGIN SOLUTION" not in archive.read(name)
    archive.extractall(tmp_path)
    readings_find_their_data(tmp_path / "rnn-course" / "chapters")
    wheel = next((tmp_path / "rnn-course").glob("*.whl"))
    contents = zipfile.ZipFile(wheel).namelist()
    assert not [n for n in contents if set(Path(n).parts) & {"reference", "mistakes", "grading"}]
    assert {f"autograder/lexicon/{n}" for n in ("training.txt", "LICENSE")} <= {*contents}
    assert not [n for n in contents if "held_out" in n]
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "rnn_step.py").write_text(STEP.replace(" + b", ""), encoding="utf-8")
    done = run_students_edition(tmp_path, "check", "rnn_step.py", "--json")
    row = json.loads(done.stdout)
    assert row["diagnosis"] == ["forgets_the_bias"]
    spelled = "def pronounce(words):\n    return [list(word.upper()) for word in words]\n"
    (tmp_path / "pronounce.py").write_text(spelled, encoding="utf-8")
    done = run_students_edition(tmp_path, "check", "pronounce.py", "--json")
    assert json.loads(done.stdout)["diagnosis"] == ["spells_the_words"]
    hidden = run_students_edition(tmp_path, "check", "rnn_step.py", "--hidden")
    assert hidden.returncode == 2
    assert "instructor's edition" in hidden.stderr


def readings_find_their_data(chapters):
    """What they import, what that reads, and what experiments found; and not how words are held out."""
    used = {
        name
        for reading in chapters.glob("[0-9]*.ipynb")
        for name in re.findall(r'\bload\(\\"(\w+)', reading.read_text(encoding="utf-8"))
    }
    assert len(used) > 10
    code = (
        "import sys; from lab import datasets, results\n"
        "assert datasets.pronunciations('test') and len(datasets.sunspots())\n"
        "print(sum(bool(results.load(name)) for name in sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *used], cwd=chapters, capture_output=True, text=True
    )
    assert done.stdout == f"{len(used)}\n", done.stderr
    assert not list(chapters.rglob("prepare.py"))


def run_students_edition(folder, *arguments):
    """Run the wheel unpacked in `folder`/site; -S hides the instructor's editable installation."""
    import numpy

    path = os.pathsep.join([str(folder / "site"), str(Path(numpy.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-S", "-m", "autograder.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
