"""One submission, graded: a sanitised notebook in, a judged one out. Needs no course and no gradebook."""

import ast
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from nbgrader import utils
from nbgrader.preprocessors import LimitOutput
from traitlets.config import Config

import autograder
from autograder.errors import Refused
from autograder.exercise import find
from autograder.grading.course import exercise_of
from autograder.grading.execution import Execute
from autograder.grading.judging import Judge

TRIES = 3  # how often a kernel may be killed by somebody else than the student
STEPS = (Execute, Judge, LimitOutput)
# Where the code that decides a grade begins; the rest is what these import. The last two are not
# imported by the grader: one is started as a process, one is called in the kernel.
ROOTS = ("autograder.grading.job", "autograder.grading.sandbox.zygote", "autograder.check")


@dataclass(frozen=True)
class Job:
    """What a worker needs.

    notebook: the sanitised notebook, as JSON; seed: of the hidden cases; settings: nbgrader's for
    what is done here, as JSON (see `settings_of`); code: what `version` says where the job was made.
    """

    student: str
    assignment: str
    notebook: str
    seed: int
    settings: str = "{}"
    code: str = ""


class KilledFromOutside(RuntimeError):
    """A kernel was killed, and not by what ran in it: this says nothing about the submission."""


def run(job: Job) -> str:
    """The notebook with its outputs, reports and scores, as JSON.

    Raises Refused where this machine cannot grade as the job asks, and KilledFromOutside.
    """
    names = exercises_of(nbformat.reads(job.notebook, as_version=4))
    if job.code and job.code != version(names):
        raise Refused(
            "A Dask worker has other code than this course: install the same autograder there, "
            "and restart the workers."
        )
    config = Config(json.loads(job.settings))
    resources = {"metadata": {"name": job.assignment}, "unique_key": job.student}
    nb = _execute(job, config, resources)
    nb, resources = Judge(config=config, seed=job.seed).preprocess(nb, resources)
    nb, resources = LimitOutput(config=config).preprocess(nb, resources)
    return nbformat.writes(nb)


def _execute(job: Job, config: Config, resources: dict) -> nbformat.NotebookNode:
    """Execute it; anew where that was cut short by what is no doing of the student's."""
    why = ""
    for _ in range(TRIES):
        nb = nbformat.reads(job.notebook, as_version=4)
        execute = _Watched(config=config, seed=job.seed)
        try:
            with utils.setenv(NBGRADER_EXECUTION="autograde"):
                nb, _ = execute.preprocess(nb, resources)
        except Refused:
            raise
        except Exception as error:  # it never raises for what a submission does
            why = f"its kernel could not be used ({type(error).__name__}: {error})"
        else:
            if not execute.disturbed:
                return nb
            why = "its kernel was killed from outside, or for want of memory on that machine"
        logging.getLogger(__name__).debug("%s is executed again: %s", job.student, why)
    raise KilledFromOutside(f"{why}; {TRIES} times")


class _Watched(Execute):
    """Execution that knows whether somebody else ended a kernel."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self._managers: list[KernelManager] = []

    def create_kernel_manager(self) -> KernelManager:
        self._managers.append(super().create_kernel_manager())
        return self._managers[-1]

    @property
    def disturbed(self) -> bool:
        return any(_killed_from_outside(manager) for manager in self._managers)


def _killed_from_outside(manager: KernelManager) -> bool:
    """Whether a jailed kernel was killed by what is not in its jail.

    A kernel is the first process of its jail, which nothing inside can kill; the system itself
    kills it when its seconds are used up. Without a jail nobody can tell.
    """
    said = getattr(manager.provisioner, "said", None)
    if said is None:
        return False
    if not said:  # the process that keeps the jail was killed
        return True
    return said.get("how") == "signal 9" and said.get("cpu", 0) < manager.provisioner.cpu - 1


def settings_of(config: Config) -> str:
    """Those of nbgrader's settings that matter to a job, as JSON."""
    names = {kind.__name__ for step in STEPS for kind in step.__mro__} & set(config)
    return json.dumps({name: dict(config[name]) for name in sorted(names)}, sort_keys=True)


def exercises_of(nb: nbformat.NotebookNode) -> tuple[str, ...]:
    """The exercises that a notebook checks, each once."""
    return tuple(dict.fromkeys(name for cell in nb.cells if (name := exercise_of(cell))))


@cache
def version(names: tuple[str, ...]) -> str:
    """A digest of our own code, as far as it decides the grades of these exercises."""
    digest = hashlib.sha256()
    for name, text in sorted(sources(names).items()):
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def sources(names: Iterable[str]) -> dict[str, bytes]:
    """The modules of ours that decide the grades of these exercises: their texts by name."""
    chapters = {find(name).module for name in names}
    todo = [*ROOTS]
    todo += [
        f"autograder.{kind}.{chapter}"
        for kind in ("exercises", "reference", "mistakes")
        for chapter in chapters
    ]
    found: dict[str, bytes] = {}
    while todo:
        name = todo.pop()
        if name in found or name.split(".")[0] != "autograder":
            continue
        todo.append(name.rpartition(".")[0])
        path = Path(autograder.__file__).parent.joinpath(*name.split(".")[1:])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                found[name] = file.read_bytes()
                todo += _imported(found[name])
    return found


def _imported(text: bytes) -> Iterator[str]:
    """The names of all that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def fingerprint(job: Job, stamp: str = "") -> str:
    """The same fingerprint, the same grade. stamp: when it was handed in."""
    parts = [job.notebook, str(job.seed), job.settings, job.code, stamp]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
