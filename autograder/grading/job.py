"""One submission, graded: a sanitised notebook in, a judged one out. Needs no course and no gradebook."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbgrader.preprocessors import LimitOutput
from traitlets.config import Config

import autograder
from autograder.errors import Refused
from autograder.exercise import find
from autograder.grading.course import exercises_of
from autograder.grading.execution import Execute
from autograder.grading.judging import Judge
from autograder.grading.once import once

STEPS = (Execute, Judge, LimitOutput)
# Where the code that decides a grade begins; the rest is what these import. The others are not
# imported by the grader: two work in processes of their own, one is called in the kernel.
ROOTS = (
    "autograder.grading.job",
    "autograder.grading.live",
    "autograder.grading.sandbox.zygote",
    "autograder.check",
)


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


def run(job: Job) -> str:
    """The notebook with its outputs, reports and scores, as JSON.

    Raises Refused where this machine cannot grade as the job asks, and KilledFromOutside.
    """
    nb = nbformat.reads(job.notebook, as_version=4)
    names = exercises_of(nb)
    if job.code and job.code != version(names):
        raise Refused(
            "A Dask worker has other code than this course: install the same autograder there, "
            "and restart the workers."
        )
    config = Config(json.loads(job.settings))
    resources = {"metadata": {"name": job.assignment}, "unique_key": job.student}
    nb, resources = Execute(config=config, seed=job.seed).preprocess(nb, resources)
    nb, resources = Judge(config=config, seed=job.seed).preprocess(nb, resources)
    nb, resources = LimitOutput(config=config).preprocess(nb, resources)
    return nbformat.writes(nb)


def settings_of(config: Config) -> str:
    """Those of nbgrader's settings that matter to a job, as JSON."""
    names = {kind.__name__ for step in STEPS for kind in step.__mro__} & set(config)
    return json.dumps({name: dict(config[name]) for name in sorted(names)}, sort_keys=True)


@once
def version(names: tuple[str, ...]) -> str:
    """A digest of our own code, as far as it decides the grades of these exercises."""
    digest = hashlib.sha256()
    for name, text in sorted(sources(names).items()):
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def sources(names: Iterable[str]) -> dict[str, bytes]:
    """The modules of ours that decide the grades of these exercises, and their data: texts by name."""
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
        found |= {f"{name}/{data.name}": data.read_bytes() for data in path.glob("*.txt")}
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
