"""What a notebook calls: ask the student's function, and report.

While a submission is graded, `check` only answers: it emits what the function returned, and a
preprocessor outside the student's kernel compares (see `autograder.grading`).
"""

import os
import sys
from collections.abc import Callable

from autograder import frozen, report
from autograder.answer import ask
from autograder.exercise import UnknownExercise, find
from autograder.sent import sent_cases
from autograder.verdict import Verdict, judge

MIME = "application/vnd.autograder.answers"
ANSWER_ONLY = "AUTOGRADER_ANSWER_ONLY"  # set by the grading side: the seed of the hidden cases


def examine(name: str, function: Callable) -> Verdict:
    """Judge `function` as the exercise `name` on the public cases. Raises UnknownExercise, NoCases."""
    exercise = find(name)
    expected = frozen.load(name)
    return judge(exercise, expected, ask(exercise, function, list(expected.cases)))


def check(name: str, function: Callable) -> float | None:
    """Check one exercise and show a report; return the points (nbgrader reads them as the score).

    name: the exercise, as in the cell's heading; function: yours, not called.
    """
    try:
        exercise = find(name)
    except UnknownExercise as error:
        raise ValueError(str(error)) from None
    seed = os.environ.get(ANSWER_ONLY)
    if seed:
        cases = list(frozen.load(name).cases)
        if not exercise.held_out:
            cases += exercise.cases_from(int(seed))
        _emit({MIME: ask(exercise, function, cases).to_json()})
        return None
    verdict = examine(name, function)
    text = report.as_text(verdict)
    if os.environ.get("NBGRADER_EXECUTION") == "validate" and not verdict.passed:
        # `nbgrader validate` shows only what a failing cell wrote to stderr.
        print(text, file=sys.stderr)
    elif "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        _emit({"text/plain": text, "text/html": report.as_html(verdict)})
    else:
        print(text)
    return verdict.score


def answer(name: str, function: Callable, sent: str) -> None:
    """While a submission is graded: answer cases that were sent (see `autograder.sent`)."""
    _emit({MIME: ask(find(name), function, sent_cases(sent)).to_json()})


def _emit(bundle: dict[str, str]) -> None:
    from IPython.display import publish_display_data

    publish_display_data(bundle)
