"""What the tests share: the places of the course, and every exercise by name."""

import os

# Before NumPy or torch is loaded: two test processes share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
from pathlib import Path

import pytest

# nbgrader starts commands of its environment by name.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """No variable of whoever runs the tests may put `check` into another mode."""
    for name in ("NBGRADER_EXECUTION", "NBGRADER_VALIDATING", "AUTOGRADER_ANSWER_ONLY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AUTOGRADER_HIDDEN_SEED", raising=False)
