"""Say more about a difference than where its first wrong number stands: which steps, which gates."""

from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare
from autograder.exercise import Case

LSTM_GATES = ("i", "f", "g", "o")
RTOL, ATOL = 1e-9, 1e-12


def with_steps(difference: Difference, parts: tuple[str, ...]) -> Difference:
    """Add at which steps it is right, for these parts, whose first axis is time."""
    right, wrong = _sorted(difference, parts, lambda array: array)
    if not right:
        return difference
    listed = [", ".join(map(str, steps)) for steps in (right, wrong)]
    text = f"{difference.text} It is right at t = {listed[0]} and wrong at t = {listed[1]}."
    return replace(difference, text=text)


def first_and_later_states(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison of `hs`, told apart: a wrong first state, wrong later ones, or both."""
    found = compare(expected, got, (), RTOL, ATOL)
    if not found or found[0].got is None:
        return found
    parts = {"hs[0]": slice(0, 1), "hs[1:]": slice(1, None)}
    return [
        replace(found[0], part=part, expected=expected[steps], got=got[steps])
        for part, steps in parts.items()
        if not np.allclose(got[steps], expected[steps], RTOL, ATOL)
    ]


def with_gates(
    difference: Difference, parts: tuple[str, ...], gates: tuple[str, ...] = LSTM_GATES
) -> Difference:
    """Add which gates' rows are right, for these parts, whose first axis stacks the gates."""
    right, wrong = _sorted(difference, parts, lambda array: np.split(array, len(gates)))
    if not right:
        return difference
    listed = [", ".join(gates[k] for k in blocks) for blocks in (right, wrong)]
    text = f"{difference.text} The rows of {listed[0]} are right, those of {listed[1]} wrong."
    return replace(difference, text=text)


def _sorted(difference, parts, pieces) -> tuple[list[int], list[int]]:
    """Which pieces of the two arrays agree and which do not; none where there is nothing to say."""
    if difference.part not in parts or difference.expected is None or difference.got is None:
        return [], []
    pairs = zip(pieces(difference.expected), pieces(difference.got), strict=True)
    agree = [np.allclose(got, wanted, RTOL, ATOL) for wanted, got in pairs]
    return [k for k, same in enumerate(agree) if same], [k for k, s in enumerate(agree) if not s]
