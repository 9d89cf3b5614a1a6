"""The benchmark of grading works, counts all CPU time, and finds the grades of both identical."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NUMPY_ONLY = "02-backpropagation-through-time"
STAGES = {"read, sanitise", "kernel", "cells", "judge", "record"}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a run with a class of four, one of them with a known mistake, finds."""
    file = tmp_path_factory.mktemp("benchmark") / "found.json"
    command = [sys.executable, "benchmarks/grading.py", "--sizes", "4", "--json", str(file)]
    done = subprocess.run(
        [*command, "--assignments", NUMPY_ONLY],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text()) | {"printed": done.stdout}


def test_stock_nbgrader_gives_the_same_grades(found):
    (row,) = found["classes"]
    assert row["students"] == row["size"] == 4
    assert row["different"] == []
    assert row["points"] > 0


def test_one_student_of_the_class_has_lost_points(found):
    (row,) = found["classes"]
    assert row["points"] < 4 * row["most"]


def test_cpu_time_in_jails_and_orphans_is_counted(found):
    # An accounting that misses a jail or an orphan sees half of this load at most.
    assert found["known_load"] > 0.75


def test_every_stage_and_the_floor_are_reported(found):
    (parts,) = found["stages"].values()
    assert set(parts["spent"]) == STAGES
    assert parts["floor"] > 0
    assert all(stage in found["printed"] for stage in STAGES)
