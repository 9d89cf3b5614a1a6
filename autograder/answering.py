"""Run one student's file in a process of its own: ``python -m autograder.answering``.

Reads a job as JSON from standard input ({"exercise", "file", "seed", "sent", "out"}), writes the
answers to the file `out`. The process that started it judges them, and survives whatever happens here.
"""

import json
import os
import runpy
import sys
from pathlib import Path

from autograder import frozen
from autograder.answer import Answers, ask, message_of
from autograder.exercise import find
from autograder.sent import sent_cases


def answer_file(name: str, file: str, seed: int | None, sent: str = "") -> Answers:
    """Run `file` and ask its function `name`: the frozen cases, then those of `seed`, or what was sent."""
    exercise = find(name)
    cases = sent_cases(sent) if sent else list(frozen.load(name).cases)
    if seed is not None and not sent:
        cases += exercise.cases_from(seed)
    # At the end: a student's random.py or token.py must not take the place of Python's own.
    sys.path.append(str(Path(file).resolve().parent))
    try:
        names = runpy.run_path(file)
    except SyntaxError as error:
        line = f" (line {error.lineno})" if error.lineno else ""
        return Answers(problem=f"The file is not valid Python: {error.msg}{line}.")
    except (Exception, SystemExit) as error:
        said = message_of(error)
        said = f": {said}" if said else ""
        return Answers(problem=f"Running the file raises {type(error).__name__}{said}.")
    if name not in names:
        return Answers(
            problem=f"The file defines no `{name}`. Define `{name}({exercise.signature})`."
        )
    return ask(exercise, names[name], cases)


def _limit_files(size: int = 64 * 2**20) -> None:
    """No file that this process writes, its log of errors included, may grow beyond `size` bytes."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def main() -> None:
    _limit_files()
    job = json.load(sys.stdin)
    out = job["out"]
    answers = answer_file(job["exercise"], job["file"], job["seed"], job["sent"])
    partial = Path(f"{out}.part")
    partial.write_text(answers.to_json(), encoding="utf-8")
    os.replace(partial, out)


if __name__ == "__main__":
    main()
