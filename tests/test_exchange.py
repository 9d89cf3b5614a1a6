"""The way through nbgrader's exchange, as on a JupyterHub: given out, handed in, graded, returned."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_nbgrader import NAME, new_course

from autograder.grading import hidden


@pytest.fixture
def course(tmp_path):
    """A course with an exchange of its own, and a student's home."""
    root = tmp_path / "course"
    root.mkdir()
    new_course(root)
    exchange, home = tmp_path / "exchange", tmp_path / "home"
    exchange.mkdir()
    exchange.chmod(0o777)
    home.mkdir()
    return root, exchange, home


def run(folder: Path, exchange: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(exchange.parent / "home"),
            "JUPYTER_DATA_DIR": str(exchange.parent / "home" / "data"),
            hidden.VARIABLE: "271828",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_handed_in_through_the_exchange_is_graded_and_comes_back(course):
    root, exchange, home = course
    place = [f"--Exchange.root={exchange}", "--CourseDirectory.course_id=rnn"]
    run(root, exchange, "nbgrader", "release_assignment", NAME, *place)
    run(home, exchange, "nbgrader", "fetch_assignment", NAME, *place)
    assert json.loads((home / NAME / "exercises.ipynb").read_text())["cells"]
    run(home, exchange, "nbgrader", "submit", NAME, *place)
    run(root, exchange, "nbgrader", "collect", NAME, *place)
    (student,) = (path.name for path in (root / "class" / "submitted").iterdir())
    run(root, exchange, "autograder.cli", "grade", NAME)
    run(root, exchange, "nbgrader", "generate_feedback", NAME, *place)
    run(root, exchange, "nbgrader", "release_feedback", NAME, *place)
    run(home, exchange, "nbgrader", "fetch_feedback", NAME, *place)
    (page,) = (home / NAME / "feedback").rglob("*.html")
    made = root / "class" / "feedback" / student / NAME / "exercises.html"
    assert page.read_text() == made.read_text()
