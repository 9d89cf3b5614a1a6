"""What the references and the mistakes answer, computed now."""

import importlib
from collections.abc import Callable, Iterable
from functools import cache

from autograder.answer import ask
from autograder.exercise import PUBLIC_SEED, Exercise, find
from autograder.mistakes import mistakes_of
from autograder.verdict import Expected


def reference_of(exercise: Exercise) -> Callable:
    """The right answer to an exercise."""
    return getattr(
        importlib.import_module(f"autograder.reference.{exercise.module}"), exercise.name
    )


def mistake_functions(exercise: Exercise) -> dict[str, Callable]:
    """The runnable mistakes of an exercise by name."""
    importlib.import_module(f"autograder.mistakes.{exercise.module}")
    return mistakes_of(exercise.name)


@cache
def expected(name: str, seed: int = PUBLIC_SEED) -> Expected:
    """The cases of that seed, and what the reference and each mistake answer to them."""
    exercise = find(name)
    cases = exercise.cases_from(seed)
    return Expected(
        tuple(cases),
        ask(exercise, reference_of(exercise), cases),
        {key: ask(exercise, wrong, cases) for key, wrong in mistake_functions(exercise).items()},
    )


def all_expected(names: Iterable[str], seed: int) -> dict[str, Expected]:
    """By exercise, what is expected on the public cases and on those of the seed together."""
    return {name: expected(name) + expected(name, seed) for name in names}
