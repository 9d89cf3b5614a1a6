"""The vocabulary in which exercises are declared, and the registry that finds them by name."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np

from autograder.errors import Refused

PUBLIC_SEED = 20260


@dataclass(frozen=True)
class Section:
    """A place in a reading: the page's name, the label before the heading, and the heading."""

    page: str
    label: str
    title: str

    def __str__(self) -> str:
        return f"“{self.title}” in chapter {int(self.page[:2])} ({self.page}.ipynb#{self.label})"


@dataclass(frozen=True)
class Case:
    """One set of inputs. `kind` says what it probes; aspects choose their cases by it."""

    name: str
    inputs: dict[str, Any]
    kind: str = "values"


@dataclass(frozen=True)
class Aspect:
    """A part of the task that earns points by itself.

    An aspect passes when, in each case of its `kinds` (None: every case), `of` holds:
    - "values": the returned `parts` (None: all that is returned) are the reference's;
    - "purity": the inputs are as they were, and a second call gives the same result;
    - "quiet":  no warning was raised.
    With `needs`, it earns its points only where the aspect of that name passes too: somebody who
    returns zeros has not "left the inputs alone" in any sense worth points.
    """

    name: str
    points: float
    of: Literal["values", "purity", "quiet"] = "values"
    parts: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    needs: str | None = None


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that students really give.

    `name` is the function in `autograder.mistakes` that makes it; `says` tells the student what
    was done and what is right; `see` is where the reading takes the right step.
    """

    name: str
    says: str
    see: Section


def call_with_inputs(function: Callable, inputs: dict[str, Any]) -> Any:
    """The usual way to ask: the inputs, in order, as positional arguments."""
    return function(*inputs.values())


@dataclass(frozen=True)
class Exercise:
    """Everything about one exercise except its answers.

    name, chapter   the graded function, and the chapter's slug ("01-vanilla-rnn")
    minutes         what it takes somebody who does it for the first time, about
    signature       its arguments as the statement shows them: "x, h, W_x, W_h, b"
    see             the section of the reading that explains it
    cases           from a random generator, the cases; the same generator state, the same cases
    aspects         what earns points; the first is the heart of the matter
    mistakes        the wrong answers that are known
    parts           names of the returned parts, where a tuple is returned
    call            how a case calls the function; must return what is to be compared
    compare         replaces the comparison with the reference for answers that are not unique:
                    (case, expected, got) -> list of Difference
    rtol, atol      tolerance against the reference
    libraries       what may be imported besides NumPy
    """

    name: str
    chapter: str
    minutes: int
    signature: str
    see: Section
    cases: Callable[[np.random.Generator], list[Case]]
    aspects: tuple[Aspect, ...]
    mistakes: tuple[Mistake, ...]
    parts: tuple[str, ...] = ()
    call: Callable[[Callable, dict[str, Any]], Any] = call_with_inputs
    compare: Callable[[Case, Any, Any], list] | None = None
    rtol: float = 1e-9
    atol: float = 1e-12
    libraries: tuple[str, ...] = field(default=())

    @property
    def max_score(self) -> float:
        return sum(aspect.points for aspect in self.aspects)

    @property
    def module(self) -> str:
        """The chapter's module name in `reference` and `mistakes`: "vanilla_rnn"."""
        return self.chapter.split("-", 1)[1].replace("-", "_")

    def cases_from(self, seed: int) -> list[Case]:
        return self.cases(np.random.default_rng(seed))

    def mistake(self, name: str) -> Mistake:
        return next(mistake for mistake in self.mistakes if mistake.name == name)


class UnknownExercise(Refused):
    """No exercise has that name; the message offers the nearest ones."""


@cache
def registry() -> dict[str, Exercise]:
    """All exercises by name, in the order of the chapters."""
    from autograder import exercises

    found: dict[str, Exercise] = {}
    modules = [
        importlib.import_module(f"{exercises.__name__}.{module.name}")
        for module in pkgutil.iter_modules(exercises.__path__)
    ]
    for module in sorted(modules, key=lambda module: module.EXERCISES[0].chapter):
        for exercise in module.EXERCISES:
            if exercise.name in found:
                raise ValueError(f"two exercises are called {exercise.name}")
            found[exercise.name] = exercise
    return found


def find(name: str) -> Exercise:
    """The exercise of that name. Raises UnknownExercise with suggestions."""
    known = registry()
    if not isinstance(name, str):
        raise UnknownExercise(
            f"The exercise's name comes first, in quotes, not a {type(name).__name__}: "
            'check("rnn_step", rnn_step).'
        )
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`autograder list` shows all names."
    raise UnknownExercise(f"There is no exercise called {name!r}. {hint}")
