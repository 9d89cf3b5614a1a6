"""Look for what is missing or wrong in an installation, and say how to mend it."""

import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from autograder import frozen
from autograder.exercise import registry

STUDENT_NEEDS = ("numpy", "torch", "matplotlib", "jupyterlab", "nbgrader")
INSTRUCTOR_NEEDS = (
    *STUDENT_NEEDS,
    "jupyter-book",
    "distributed",
    "nbval",
    "pytest",
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `mend` is empty where it is right."""

    what: str
    mend: str = ""

    @property
    def bad(self) -> bool:
        return bool(self.mend)

    def __str__(self) -> str:
        return f"!!  {self.what}\n    {self.mend}" if self.bad else f"ok  {self.what}"


def examine(root: Path) -> list[Finding]:
    """All findings for the installation, and for the course in `root` if one is there."""
    return [
        *_python(),
        *_packages(),
        *_cases(),
        *_kernel(),
        *_isolation(),
        *_course(root),
        *_gradebook(root),
    ]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < (3, 11)
    yield Finding(f"Python {version}", "Install Python 3.11 or newer." if old else "")


def _packages() -> Iterator[Finding]:
    instructor = find_spec("autograder.grading") is not None
    yield Finding(f"autograder, {'instructor' if instructor else 'student'}'s edition")
    for name in INSTRUCTOR_NEEDS if instructor else STUDENT_NEEDS:
        try:
            yield Finding(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Finding(f"{name} is not installed", f"pip install {name}, or `make course`.")


def _cases() -> Iterator[Finding]:
    for name in registry():
        try:
            frozen.load(name)
        except frozen.NoCases as error:
            yield Finding(f"the cases of {name}", str(error))
            return
    yield Finding(f"the cases of {len(registry())} exercises")


def _kernel() -> Iterator[Finding]:
    if find_spec("jupyter_client") is None:
        return
    from jupyter_client.kernelspec import KernelSpecManager

    there = "python3" in KernelSpecManager().find_kernel_specs()
    mend = "" if there else "python -m ipykernel install --sys-prefix"
    yield Finding("the kernel python3" + ("" if there else " is not installed"), mend)


def _isolation() -> Iterator[Finding]:
    if find_spec("autograder.grading") is None or find_spec("jupyter_client") is None:
        return
    from autograder.grading.sandbox.provisioner import no_isolation

    why = no_isolation()
    yield Finding(
        f"submissions cannot be isolated here: {why}" if why else "submissions run isolated",
        "Grade on a Linux machine that allows user namespaces." if why else "",
    )


def _course(root: Path) -> Iterator[Finding]:
    if not (root / "nbgrader_config.py").is_file():
        yield Finding(f"no course in {root} (no nbgrader_config.py): nothing to grade here")
        return
    sources = sorted(path.parent.name for path in root.glob("solutions/*/exercises.ipynb"))
    released = {path.parent.name for path in root.glob("chapters/*/exercises.ipynb")}
    missing = [name for name in sources if name not in released]
    yield Finding(
        f"{len(sources)} assignments, {len(released)} released",
        f"nbgrader generate_assignment {missing[0]}" if missing else "",
    )


def _gradebook(root: Path) -> Iterator[Finding]:
    path = root / "class" / "gradebook.db"
    if not path.exists():
        return
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=1)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT count(*) FROM student").fetchone()
            connection.rollback()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        yield Finding(
            f"the gradebook {path}: {error}",
            "If it is locked, another nbgrader, formgrader or backup holds it: end that, try again.",
        )
    except sqlite3.DatabaseError as error:
        yield Finding(
            f"the gradebook {path}: {error}", "Restore it from a backup; keep the damaged file."
        )
    else:
        yield Finding(f"the gradebook {path}")
