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
from autograder.verdict import Expected, Verdict, judge, nothing_to_judge

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def judge_file(
    exercise: Exercise,
    file: Path,
    timeout: float = 60,
    hidden: tuple[int, Expected] | None = None,
) -> Verdict:
    """Run `file`, ask its function, compare.

    timeout in seconds; hidden: a seed and what the references answer to its cases, to be added.
    """
    expected = frozen.load(exercise.name)
    seed = None
    if hidden:
        seed, expected = hidden[0], expected + hidden[1]
    with tempfile.TemporaryDirectory(prefix="autograder-") as folder:
        out = Path(folder) / "answers.json"
        errors = Path(folder) / "stderr"
        job = {"exercise": exercise.name, "file": str(file), "seed": seed, "out": str(out)}
        status = _run(json.dumps(job), errors, timeout)
        if status is None:
            why = (
                f"It was not done after {timeout:g} seconds. Is there a loop that never ends? "
                "A right answer takes less than a second."
            )
            return nothing_to_judge(exercise, why)
        try:
            answers = Answers.from_json(out.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = f": {said[-1][:300]}" if said else ""
            why = f"Python ended while it ran your code (exit status {status}){last}."
            return nothing_to_judge(exercise, why)
    return judge(exercise, expected, answers)


def _run(job: str, errors: Path, timeout: float) -> int | None:
    """The exit status of a process that answers the job, or None where it took too long.

    Everything it started ends with it.
    """
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autograder.answering"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**ONE_THREAD, **os.environ},
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
