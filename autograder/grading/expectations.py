"""What is expected of a submission, computed by another process.

To ask a function is to watch its warnings and what it prints, and Python knows these only for a
whole process, while a grader has threads. Where submissions are isolated it is a fork of their warm
process, which has imported what the references need.
"""

import json
import os
import pickle
import subprocess
import sys

from autograder.files import ONE_THREAD
from autograder.grading import isolation
from autograder.grading.course import libraries_of
from autograder.grading.once import once
from autograder.grading.sandbox import provisioner, warm
from autograder.verdict import Expected

TRIES = 3  # how often somebody may kill what computes
ALONE = """\
import json, os, pickle, sys
sys.path[:] = json.loads(sys.argv[1])
out, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 1)
from autograder.grading.live import all_expected
with open(out, "wb") as file:
    pickle.dump(all_expected(json.loads(sys.argv[2]), int(sys.argv[3])), file)
"""


@once
def expectations(names: tuple[str, ...], seed: int) -> dict[str, Expected]:
    """By exercise, what is expected on its public cases and on those of the seed together.

    Raises RuntimeError where it cannot be computed, and Refused as `isolation.on`.
    """
    if not names:
        return {}
    for _ in range(TRIES):
        try:
            said = _forked(names, seed) if isolation.on() else _started(names, seed)
            return pickle.loads(said)
        except (OSError, EOFError, pickle.UnpicklingError):
            continue  # it was killed
    raise RuntimeError("what is expected could not be computed")


def _forked(names: tuple[str, ...], seed: int) -> bytes:
    return provisioner.zygote(libraries_of(names)).expected(names, seed)


def _started(names: tuple[str, ...], seed: int) -> bytes:
    command = [
        sys.executable,
        "-P",
        "-c",
        ALONE,
        json.dumps(warm.paths()),
        json.dumps(names),
        str(seed),
    ]
    environment = {**os.environ, **ONE_THREAD}
    return subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False).stdout
