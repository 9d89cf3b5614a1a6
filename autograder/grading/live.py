"""What the references and the mistakes answer, computed now."""

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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


# To ask a function is to watch its warnings and what it prints, and Python knows these only for a
# whole process. Where a process has several threads, nothing else is done at that time.
_change = threading.Condition()
_working, _waiting = 0, 0
_known: set[tuple[str, int]] = set()  # prepared: for these nobody has to wait


def prepare(names: Iterable[str], seed: int) -> None:
    """Compute what is expected in these exercises, while nobody in this process is `at_work`."""
    global _waiting
    wanted = {(name, seed) for name in names}
    with _change:
        if wanted <= _known:
            return
        _waiting += 1
        try:
            _change.wait_for(lambda: not _working)
            for name, _ in sorted(wanted):
                expected(name)
                expected(name, seed)
            _known.update(wanted)
        finally:
            _waiting -= 1
            _change.notify_all()


@contextmanager
def at_work() -> Iterator[None]:
    """Do what nobody may do while something is prepared."""
    global _working
    with _change:
        _change.wait_for(lambda: not _waiting)
        _working += 1
    try:
        yield
    finally:
        with _change:
            _working -= 1
            _change.notify_all()
