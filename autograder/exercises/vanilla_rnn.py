"""Chapter 1: what is asked about the vanilla RNN."""

import numpy as np

from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "01-vanilla-rnn"
STEP = Section(CHAPTER, "rnn-step", "One step")


def _cell(rng: np.random.Generator, D: int, H: int) -> dict[str, np.ndarray]:
    """Weights of a cell, none of them zero or symmetric."""
    return {
        "W_x": rng.normal(size=(H, D)) / np.sqrt(D),
        "W_h": rng.normal(size=(H, H)) / np.sqrt(H),
        "b": rng.normal(size=H),
    }


def _step_cases(rng: np.random.Generator) -> list[Case]:
    sizes = [("values", 3, 5, 4), ("values", 2, 3, 3), ("sizes", 1, 2, 3), ("sizes", 4, 1, 1)]
    return [
        Case(
            f"B = {B}, D = {D}, H = {H}",
            {"x": rng.normal(size=(B, D)), "h": rng.normal(size=(B, H)), **_cell(rng, D, H)},
            kind,
        )
        for kind, B, D, H in sizes
    ]


RNN_STEP = Exercise(
    name="rnn_step",
    chapter=CHAPTER,
    signature="x, h, W_x, W_h, b",
    see=STEP,
    cases=_step_cases,
    aspects=(
        Aspect("Values", 6, kinds=("values",)),
        Aspect("One sequence, one unit", 2, kinds=("sizes",), needs="Values"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Values"),
    ),
    mistakes=(
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out. Add it to the pre-activation, before `tanh`.",
            STEP,
        ),
    ),
)

EXERCISES = [RNN_STEP]
