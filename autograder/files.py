"""Judge students' files: each answers in a process of its own, with a time limit."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from autograder import frozen
from autograder.answer import Answers
from autograder.exercise import Exercise
from autograder.sent import to_send
from autograder.verdict import Expected, Verdict, judge, nothing_to_judge

LIBRARIES = ("OMP", "OPENBLAS", "MKL")  # what computes in threads


def threads(count: int) -> dict[str, str]:
    """The environment in which so many threads of a process compute at once."""
    return {f"{name}_NUM_THREADS": str(count) for name in LIBRARIES}


ONE_THREAD = threads(1)


def judge_file(
    exercise: Exercise,
    file: Path,
    timeout: float | None = None,
    hidden: tuple[int, Expected] | None = None,
) -> Verdict:
    """Run `file`, ask its function, compare.

    timeout in seconds, by default a minute, or more where the exercise needs more; hidden: a seed and
    what the references answer to its cases, to be added. Held-out cases take the place of the others.
    """
    timeout = timeout or 60 * exercise.needs.times
    expected, seed, sent = frozen.load(exercise.name), None, ""
    if hidden and exercise.held_out:
        expected, sent = hidden[1], to_send(hidden[1].cases)
    elif hidden:
        seed, expected = hidden[0], expected + hidden[1]
    with tempfile.TemporaryDirectory(prefix="autograder-") as folder:
        out = Path(folder) / "answers.json"
        errors = Path(folder) / "stderr"
        job = {"exercise": exercise.name, "file": str(file), "seed": seed, "sent": sent}
        job["out"] = str(out)
        status = _run(json.dumps(job), errors, timeout, exercise.needs.cores)
        if status is None:
            why = f"It was not done after {timeout:g} seconds. {endless(exercise)}"
            return nothing_to_judge(exercise, why)
        try:
            answers = Answers.from_json(out.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = f": {said[-1][:300]}" if said else ""
            why = f"Python ended while it ran your code (exit status {status}){last}."
            return nothing_to_judge(exercise, why)
    return judge(exercise, expected, answers)


def endless(exercise: Exercise) -> str:
    """What to ask somebody whose code was not done in time."""
    asked = "Is there a loop that never ends?"
    if exercise.needs.times > 1:
        return f"{asked} Or does it compute too much?"
    return f"{asked} A right answer takes less than a second."


def _run(job: str, errors: Path, timeout: float, cores: int) -> int | None:
    """The exit status of a process that answers the job, or None where it took too long.

    Everything it started ends with it.
    """
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autograder.answering"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**threads(cores), **os.environ},
            start_new_session=True,
        )
        try:
            process.communicate(job.encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)
    return process.returncode


def _end(process: subprocess.Popen) -> None:
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    else:
        process.kill()
    process.wait()
