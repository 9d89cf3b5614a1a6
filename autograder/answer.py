"""Ask a student's function: run it on cases and keep what it did. Knows no expected values."""

import contextlib
import inspect
import io
import json
import linecache
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from autograder.exercise import Case, Exercise
from autograder.plain import copy_inputs, decode, encode, identical, snapshot

MAX_MESSAGE = 500


@dataclass(frozen=True)
class Failure:
    """An exception in the student's code: its type and bases, message, and the line that raised."""

    kinds: tuple[str, ...]
    message: str
    line: str = ""
    number: int = 0


@dataclass(frozen=True)
class Answer:
    """What one case gave: the value or the failure, and what else could be seen.

    changed: names of inputs that the call modified; unstable: a second call gave something else;
    warned: messages of warnings about numbers out of range, without repetition.
    """

    value: Any = None
    failure: Failure | None = None
    changed: tuple[str, ...] = ()
    unstable: bool = False
    warned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """All that a function answered, or the `problem` that kept it from being asked."""

    answers: tuple[Answer, ...] = ()
    problem: str = ""

    def to_json(self) -> str:
        """Write without pickle; `from_json` reads it back, every bit of every float kept."""
        rows = [asdict(replace(answer, value=None)) for answer in self.answers]
        for row, answer in zip(rows, self.answers, strict=True):
            row["value"] = encode(answer.value)
        return json.dumps({"problem": self.problem, "answers": rows}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Answers":
        """Raises ValueError for anything that `to_json` does not write."""
        try:
            data = json.loads(text)
            return cls(tuple(_answer_from(row) for row in data["answers"]), str(data["problem"]))
        except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise ValueError(f"these are no answers: {error!r}") from None


def _answer_from(row: dict) -> Answer:
    failure = row["failure"]
    return Answer(
        value=decode(row["value"]),
        failure=failure
        and Failure(
            tuple(str(kind) for kind in failure["kinds"]),
            str(failure["message"])[:MAX_MESSAGE],
            str(failure["line"])[:MAX_MESSAGE],
            int(failure["number"]),
        ),
        changed=tuple(str(name) for name in row["changed"]),
        unstable=bool(row["unstable"]),
        warned=tuple(str(text)[:MAX_MESSAGE] for text in row["warned"]),
    )


def ask(exercise: Exercise, function: Callable, cases: list[Case]) -> Answers:
    """Run `function` on each case, twice, on fresh copies of the inputs."""
    problem = _problem(exercise, function)
    if problem:
        return Answers(problem=problem)
    return Answers(tuple(_ask_case(exercise, function, case) for case in cases))


def _problem(exercise: Exercise, function: Callable) -> str:
    """Why the function cannot be asked at all, or the empty string."""
    wanted = f"`{exercise.name}({exercise.signature})`"
    if not callable(function):
        kind = type(function).__name__
        return (
            f"`{exercise.name}` is no function but a value of type {kind}. "
            f"Pass the function itself, without calling it: {wanted} is what is asked."
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    required = [part for part in _split_signature(exercise.signature) if "=" not in part]
    every = _split_signature(exercise.signature)
    for arguments in (required, every):
        try:
            signature.bind(*arguments)
        except TypeError:
            return (
                f"Your function takes {_show_parameters(signature)}; it is called as {wanted}. "
                "Give it these arguments, in this order."
            )
    return ""


def _split_signature(signature: str) -> list[str]:
    return [part.strip() for part in signature.split(",") if part.strip()]


def _show_parameters(signature: inspect.Signature) -> str:
    """The arguments without their annotations, "*" and "/" included."""
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    shown = str(inspect.Signature(bare))
    return f"`{shown}`" if bare else "no arguments"


def _ask_case(exercise: Exercise, function: Callable, case: Case) -> Answer:
    first = _call(exercise, function, case.inputs)
    if first.failure:
        return first
    second = _call(exercise, function, case.inputs)
    same = not second.failure and identical(first.value, second.value)
    return first if same else replace(first, unstable=True)


def _call(exercise: Exercise, function: Callable, inputs: dict[str, Any]) -> Answer:
    given = copy_inputs(inputs)
    with (
        warnings.catch_warnings(record=True) as caught,
        np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"),
    ):
        warnings.simplefilter("always")
        try:
            with (
                contextlib.redirect_stdout(_Nowhere()),
                contextlib.redirect_stderr(_Nowhere()),
            ):
                value, failure = snapshot(exercise.call(function, given)), None
        except (Exception, SystemExit) as error:
            value, failure = None, _failure(error, function)
    warned = tuple(sorted({str(w.message)[:MAX_MESSAGE] for w in caught if _matters(w)}))
    changed = tuple(name for name in inputs if not identical(inputs[name], given.get(name)))
    return Answer(value, failure, changed, False, warned)


class _Nowhere(io.TextIOBase):
    """Takes what a function prints and keeps none of it, however much it is."""

    def write(self, text: str) -> int:
        return len(text)


def _matters(warning: warnings.WarningMessage) -> bool:
    """Whether a warning is about numbers out of range; an underflow to zero does no harm."""
    text = str(warning.message)
    return issubclass(warning.category, RuntimeWarning) and any(
        word in text for word in ("overflow", "divide by zero", "invalid value")
    )


def message_of(error: BaseException) -> str:
    """An exception's message, whatever its own code does when it is asked for it."""
    try:
        return str(error)[:MAX_MESSAGE]
    except Exception as broken:
        return f"(its message could not be read: {type(broken).__name__})"


def _failure(error: BaseException, function: Callable) -> Failure:
    kinds = tuple(kind.__name__ for kind in type(error).__mro__[:-2])
    message = message_of(error)
    # The innermost line of the student's own code, not one inside NumPy or the autograder.
    code = getattr(function, "__code__", None) or getattr(function.__init__, "__code__", None)
    own = getattr(code, "co_filename", None)  # a class has its code where it is set up
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    if not frames:
        return Failure(kinds, message)
    frame = frames[-1]
    line = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
    return Failure(kinds, message, line[:MAX_MESSAGE], frame.lineno or 0)
