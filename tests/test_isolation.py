"""Where students' code cannot be isolated, nobody grades without having said so."""

import os
import subprocess
import sys

import pytest
import small_class

from autograder.errors import Refused
from autograder.grading import isolation
from autograder.grading.grade import grade
from autograder.grading.sandbox import provisioner

# In a user namespace that may have no further ones, whoever runs the tests.
FORBIDDEN = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
ASK = "from autograder.grading.sandbox import provisioner; print(provisioner.no_isolation())"


@pytest.fixture
def forbidden(monkeypatch):
    monkeypatch.setattr(isolation, "no_isolation", lambda: "it is forbidden")
    monkeypatch.delenv(isolation.VARIABLE, raising=False)


def test_this_machine_isolates_submissions():
    # All tests of the sandbox rest on it. In a container: allow user namespaces.
    assert provisioner.no_isolation() == ""
    assert isolation.on()
    assert isolation.warning() == ""


def test_a_machine_that_forbids_namespaces_is_recognised():
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", FORBIDDEN, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", ASK], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_without_isolation_nothing_is_graded_and_one_line_says_why(forbidden):
    with pytest.raises(Refused, match="it is forbidden") as refused:
        isolation.on()
    assert isolation.VARIABLE in str(refused.value)
    assert "\n" not in str(refused.value)


def test_who_asks_for_it_grades_without_isolation_and_is_warned(forbidden, monkeypatch):
    monkeypatch.setitem(os.environ, isolation.VARIABLE, "1")
    assert not isolation.on()
    assert isolation.warning().startswith("NOT ISOLATED")
    assert "it is forbidden" in isolation.warning()


def test_a_class_is_graded_without_isolation_only_if_asked_for_and_then_it_is_said(
    forbidden, monkeypatch, tmp_path, capsys
):
    root = small_class.new_class(tmp_path)
    answers = {
        name: small_class.model_answer(name) for name in (small_class.FIRST, small_class.SECOND)
    }
    small_class.hand_in(root, "ada", answers)
    before = {path for path in root.rglob("*") if path.name not in (".grading-lock", "hidden-seed")}
    with pytest.raises(Refused, match="it is forbidden"):
        grade(root, [small_class.NAME])
    after = {path for path in root.rglob("*") if path.name not in (".grading-lock", "hidden-seed")}
    assert after == before
    monkeypatch.setitem(os.environ, isolation.VARIABLE, "1")
    assert grade(root, [small_class.NAME]).graded == [f"ada {small_class.NAME}"]
    assert capsys.readouterr().err.count("NOT ISOLATED") == 1
