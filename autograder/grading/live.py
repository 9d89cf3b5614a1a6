"""What the references and the mistakes answer, computed now."""

import importlib
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np

from autograder.answer import Answers, ask
from autograder.diagnose import profiled
from autograder.exercise import PUBLIC_SEED, Case, Exercise, find
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
    """The cases of that seed, what the reference answers to them, and each mistake, or its profile."""
    exercise = find(name)
    cases = cases_of(exercise, seed)
    reference = ask(exercise, reference_of(exercise), cases)
    answers = mistaken(exercise, cases).items()
    mistakes = {key: profiled(exercise, cases, reference, wrong) for key, wrong in answers}
    return Expected(tuple(cases), reference, mistakes)


def mistaken(exercise: Exercise, cases: list[Case]) -> dict[str, Answers]:
    """What each known mistake answers."""
    return {key: ask(exercise, wrong, cases) for key, wrong in mistake_functions(exercise).items()}


def cases_of(exercise: Exercise, seed: int) -> list[Case]:
    """The cases of that seed, also where they are drawn from what students do not have."""
    if not exercise.held_out or seed == PUBLIC_SEED:
        return exercise.cases_from(seed)
    module = importlib.import_module(f"autograder.reference.{exercise.module}")
    return getattr(module, f"{exercise.name}_cases")(np.random.default_rng(seed))


def all_expected(names: Iterable[str], seed: int) -> dict[str, Expected]:
    """By exercise, what is expected of a submission: on the public cases and on those of the seed.

    Where cases are held out, these alone count.
    """
    return {
        name: expected(name, seed) if find(name).held_out else expected(name) + expected(name, seed)
        for name in names
    }
