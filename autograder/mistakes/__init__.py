"""The wrong answers that students really give, as runnable code, one module a chapter.

Each function is declared with ``@mistake_of("exercise")`` and named after the mistake.
"""

from collections import defaultdict
from collections.abc import Callable

_FUNCTIONS: dict[str, dict[str, Callable]] = defaultdict(dict)


def mistake_of(exercise: str) -> Callable[[Callable], Callable]:
    """Register the decorated function as a mistake of that exercise, under its own name."""

    def register(function: Callable) -> Callable:
        name = function.__name__.removeprefix(f"{exercise}__")
        if name in _FUNCTIONS[exercise]:
            raise ValueError(f"{exercise} has two mistakes called {name}")
        _FUNCTIONS[exercise][name] = function
        return function

    return register


def mistakes_of(exercise: str) -> dict[str, Callable]:
    """The mistakes of an exercise by name; its chapter's module must have been imported."""
    return dict(_FUNCTIONS[exercise])
