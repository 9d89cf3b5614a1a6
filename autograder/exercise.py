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
    """One set of inputs. `kind` says what it probes; aspects choose their cases by it.

    `truth` is what answers are held against besides the reference's, such as all that are right; the
    function that is asked never sees it, and no kernel does.
    """

    name: str
    inputs: dict[str, Any]
    kind: str = "values"
    truth: Any = None


@dataclass(frozen=True)
class Aspect:
    """A part of the task that earns points by itself.

    An aspect passes when, in each case of its `kinds` (None: every case), `of` holds:
    - "values": the returned `parts` (None: all that is returned) are the reference's;
    - "purity": the inputs are as they were, and a second call gives the same result;
    - "quiet":  no warning was raised.
    With `needs`, it earns its points only where the aspect of that name passes too: somebody who
    returns zeros has not "left the inputs alone" in any sense worth points. `see` is what to read again
    where it is the first that fails; by default what the exercise says.
    """

    name: str
    points: float
    of: Literal["values", "purity", "quiet"] = "values"
    parts: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    needs: str | None = None
    see: Section | None = None


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that students really give.

    `name` is the function in `autograder.mistakes` that makes it; `says` tells the student what
    was done and what is right; `see` is where the reading takes the right step.
    """

    name: str
    says: str
    see: Section


@dataclass(frozen=True)
class Needs:
    """What a notebook with an exercise may use where it is graded, and others may not.

    times   of the usual limit on the seconds of a cell; the notebook may take as long as two such cells
    cores   that compute at once
    code    the most bytes of code that are graded, in all cells together; None: no more than
            cells may have anyway. Where data could stand in for the work, it is what bounds the data.
    """

    times: int = 1
    cores: int = 1
    code: int | None = None

    def __or__(self, other: "Needs") -> "Needs":
        """What is enough for both, with the stricter bound on code."""
        bounds = [bound for bound in (self.code, other.code) if bound is not None]
        most = max(self.times, other.times), max(self.cores, other.cores)
        return Needs(*most, min(bounds, default=None))


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
    needs           what a notebook with it may use where it is graded

    Where no two right answers are the same, as those of trained models, there is more to declare:

    held_out        whether the hidden cases are drawn from what students do not have. They are made
                    outside by `NAME_cases` of the reference's module, of a random generator, and only
                    their inputs are sent to the kernel; they alone count. The public cases are the same
                    for every seed
    profile         of what is returned, what tells a known mistake: (case, expected, got) -> plain value;
                    a mistake is named where the profile is just that mistake's
    measure         what is kept of a graded answer, for a table of the class: (case, expected, got) ->
                    numbers by name
    tell            sentences about an answer, besides those about differences: the same arguments, and
                    whether all is right; then it says what is to be known all the same
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
    needs: Needs = Needs()
    held_out: bool = False
    profile: Callable[[Case, Any, Any], Any] | None = None
    measure: Callable[[Case, Any, Any], dict[str, float | None]] | None = None
    tell: Callable[[Case, Any, Any, bool], list[str]] | None = None

    @property
    def max_score(self) -> float:
        return sum(aspect.points for aspect in self.aspects)

    @property
    def module(self) -> str:
        """The chapter's module name in `reference` and `mistakes`: "vanilla_rnn"."""
        return self.chapter.split("-", 1)[1].replace("-", "_")

    def cases_from(self, seed: int) -> list[Case]:
        """Raises ValueError where the cases of that seed are held out."""
        if self.held_out and seed != PUBLIC_SEED:
            raise ValueError(f"the hidden cases of {self.name} are made by the instructor's side")
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
