"""Chapter 4: what is asked about the LSTM."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare, describe
from autograder.detail import LSTM_GATES, with_gates, with_steps
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "04-lstm"
CELL_1997 = Section(CHAPTER, "lstm-1997", "The cell of 1997")
STEP = Section(CHAPTER, "lstm-step", "Today's cell, line by line")
LAYOUT = Section(CHAPTER, "lstm-layout", "Four gates in one matrix")
SEQUENCE = Section(CHAPTER, "lstm-sequence", "A whole sequence")
FORGET_BIAS = Section(CHAPTER, "lstm-forget-bias", "What the forget bias does")
PEEPHOLES = Section(CHAPTER, "lstm-peepholes", "Peepholes")
PARAMETERS = Section(CHAPTER, "lstm-parameters", "Counting parameters")

RTOL, ATOL = 1e-9, 1e-12
Rng = np.random.Generator
Inputs = dict[str, Any]


def _cell(rng: Rng, D: int, H: int, blocks: int) -> Inputs:
    """Weights with one block of H rows for each gate; no entry can be left out unseen."""
    return {
        "W_x": away_from_zero(rng, (blocks * H, D), 0.4, 1.0) / np.sqrt(D),
        "W_h": away_from_zero(rng, (blocks * H, H), 0.4, 1.0) / np.sqrt(H),
        "b": away_from_zero(rng, (blocks * H,), 0.2, 0.7),
    }


def _step(rng: Rng, B: int, D: int, H: int, blocks: int = 4) -> Inputs:
    """x, h, c and weights with which no gate is saturated, and none hardly moved."""
    while True:
        x, h = rng.normal(size=(B, D)), away_from_zero(rng, (B, H), 0.2, 0.9)
        cell = _cell(rng, D, H, blocks)
        sizes = np.abs(x @ cell["W_x"].T + h @ cell["W_h"].T + cell["b"])
        if sizes.min() > 0.02 and sizes.max() < 3.0:
            return {"x": x, "h": h, "c": away_from_zero(rng, (B, H), 0.4, 1.5), **cell}


# (what a case is for, B, D, H)
STEP_SIZES = [
    ("values", 3, 5, 4),
    ("values", 2, 3, 3),
    ("values", 4, 2, 4),
    ("sizes", 1, 2, 3),
    ("sizes", 4, 1, 1),
    ("sizes", 1, 1, 1),
]


def _sized(B: int, D: int, H: int) -> str:
    return f"B = {B}, D = {D}, H = {H}"


# carousel_step


def _carousel_cases(rng: Rng) -> list[Case]:
    return [
        Case(_sized(B, D, H), _step(rng, B, D, H, blocks=3), kind) for kind, B, D, H in STEP_SIZES
    ]


CAROUSEL_STEP = Exercise(
    name="carousel_step",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h, c, W_x, W_h, b",
    see=CELL_1997,
    cases=_carousel_cases,
    parts=("h_next", "c_next"),
    aspects=(
        Aspect("The new cell state, c_next", 3, parts=("c_next",), kinds=("values",)),
        Aspect("The new hidden state, h_next", 3, parts=("h_next",), kinds=("values",)),
        Aspect("One sequence, one unit", 1, kinds=("sizes",), needs="The new cell state, c_next"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="The new cell state, c_next"),
    ),
    mistakes=(
        Mistake(
            "takes_the_candidate_last",
            "the blocks are read in the order i, o, g: the candidate and the output gate have changed "
            "places. The first block of rows is the input gate, the second the candidate, the third "
            "the output gate.",
            CELL_1997,
        ),
        Mistake(
            "takes_the_candidate_first",
            "the blocks are read in the order g, i, o: the candidate and the input gate have changed "
            "places. The first block of rows is the input gate, the second the candidate, the third "
            "the output gate.",
            CELL_1997,
        ),
        Mistake(
            "takes_the_output_gate_first",
            "the input gate and the output gate have changed places. The first block of rows is the "
            "input gate, which decides what is written; the third is the output gate, which decides "
            "what is shown.",
            CELL_1997,
        ),
        Mistake(
            "forgets_what_it_does_not_write",
            "the old cell state is multiplied by 1 - i. That couples writing to forgetting, as later "
            "cells do. In the cell of 1997 nothing multiplies the old cell state: its weight is 1 "
            "at every step.",
            CELL_1997,
        ),
        Mistake(
            "gates_the_old_cell_too",
            "the input gate multiplies the old cell state as well as the candidate. The gate stands "
            "in front of what comes in. What is already there is kept whole, with the weight 1.",
            CELL_1997,
        ),
        Mistake(
            "overwrites_the_cell",
            "the old cell state `c` is gone: the new one is only what is written in this step. The "
            "carousel adds to what it holds.",
            CELL_1997,
        ),
        Mistake(
            "forgets_the_input_gate",
            "the candidate is added whole, without the input gate. The gate decides for each unit "
            "how much of the candidate gets in; without it every input disturbs what is stored.",
            CELL_1997,
        ),
        Mistake(
            "forgets_the_output_gate",
            "the new cell state is right, but `h_next` is shown whole, without the output gate. The "
            "gate decides for each unit how much the others get to see.",
            CELL_1997,
        ),
        Mistake(
            "makes_the_candidate_a_sigmoid",
            "the candidate goes through the sigmoid, so it is never negative and the cell state can "
            "only grow. The candidate is a `tanh`; only the two gates are sigmoids.",
            CELL_1997,
        ),
        Mistake(
            "forgets_the_tanh_of_the_candidate",
            "the candidate is its pre-activation. It goes through a `tanh`, so that one step can "
            "change the cell state by less than 1.",
            CELL_1997,
        ),
        Mistake(
            "forgets_the_tanh_of_the_cell",
            "the new cell state is right, but it goes out through the output gate as it is. It is "
            "squashed by a `tanh` first, so that `h_next` stays between -1 and 1 however large the "
            "cell state has become.",
            CELL_1997,
        ),
        Mistake(
            "keeps_the_squashed_cell",
            "`h_next` is right, but the cell state that is returned has been through the `tanh`. The "
            "`tanh` belongs to the way out only; what the cell keeps is the sum itself. A squashed "
            "cell would shrink at every step.",
            CELL_1997,
        ),
        Mistake(
            "lets_the_old_cell_out",
            "the new cell state is right, but `h_next` is made of the old one. What is written in "
            "this step can be seen in this step: the `tanh` acts on the new cell state.",
            CELL_1997,
        ),
        Mistake(
            "squashes_as_in_the_paper",
            "the squashing functions are those of the paper of 1997: the candidate runs from -2 to 2, "
            "and the cell state goes out through 2 sigmoid(c) - 1, which is the tanh of c / 2. Here "
            "both are a plain `tanh`, so that the cell differs from today's in the forget gate alone.",
            CELL_1997,
        ),
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out. It is part of all three pre-activations.",
            CELL_1997,
        ),
        Mistake(
            "does_not_transpose_the_blocks_of_W_h",
            "each gate's block of `W_h` is used the wrong way round: a block is square, so the shapes "
            "do not show it. Row i of a block belongs to unit i of that gate, so with the states as "
            "rows the block stands transposed, as that of `W_x` does.",
            CELL_1997,
        ),
        Mistake(
            "returns_the_cell_first",
            "both results are right, but in the wrong places. The hidden state is returned first, "
            "then the cell state.",
            CELL_1997,
        ),
        Mistake(
            "writes_into_the_old_cell",
            "the values are right, but something is written into the array `c` that was passed in, as "
            "`c += ...` does. The caller may still need the old cell state: compute into a new array.",
            CELL_1997,
        ),
    ),
)


# lstm_gates


def _gate_cases(rng: Rng) -> list[Case]:
    cases = []
    for kind, B, D, H in STEP_SIZES:
        inputs = _step(rng, B, D, H)
        del inputs["c"]
        cases.append(Case(_sized(B, D, H), inputs, kind))
    return cases


def _compare_gates(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, which also says when one gate's numbers stand in another's place."""
    found = compare(expected, got, LSTM_GATES, RTOL, ATOL)
    return [_with_true_name(d, dict(zip(LSTM_GATES, expected, strict=True))) for d in found]


def _with_true_name(difference: Difference, right: dict[str, np.ndarray]) -> Difference:
    if difference.got is None:
        return difference
    for name, gate in right.items():
        if np.allclose(difference.got, gate, RTOL, ATOL):
            text = f"{difference.text} These numbers are those of `{name}`."
            return replace(difference, text=text)
    return difference


LSTM_GATES_EXERCISE = Exercise(
    name="lstm_gates",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h, W_x, W_h, b",
    see=LAYOUT,
    cases=_gate_cases,
    compare=_compare_gates,
    parts=LSTM_GATES,
    aspects=(
        Aspect("Input gate and forget gate, i and f", 2, parts=("i", "f"), kinds=("values",)),
        Aspect("Candidate, g", 2, parts=("g",), kinds=("values",)),
        Aspect("Output gate, o", 1, parts=("o",), kinds=("values",)),
        Aspect(
            "One sequence, one unit",
            1,
            kinds=("sizes",),
            needs="Input gate and forget gate, i and f",
        ),
        Aspect(
            "Leaves its inputs alone",
            1,
            of="purity",
            needs="Input gate and forget gate, i and f",
        ),
    ),
    mistakes=(
        Mistake(
            "makes_the_candidate_a_sigmoid",
            "all four go through the sigmoid. The three gates do, since each says how much, from 0 to "
            "1. The candidate `g` is what is written: it has to be able to be negative and goes "
            "through the `tanh`.",
            STEP,
        ),
        Mistake(
            "squashes_the_candidate_twice",
            "the candidate goes through the sigmoid and then through the `tanh`. This happens when the "
            "sigmoid is applied to the whole array before it is cut. The candidate is the `tanh` of "
            "its own pre-activation.",
            STEP,
        ),
        Mistake(
            "exchanges_i_and_f",
            "the input gate and the forget gate have changed places, as if the blocks were stacked "
            "f, i, g, o. Some papers name the forget gate first. Here, as in PyTorch, the order is "
            "i, f, g, o.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_candidate_last",
            "the blocks are read in the order i, f, o, g, so the third block goes through the sigmoid "
            "and the fourth through the `tanh`. Other courses stack them like that. Here, as in "
            "PyTorch, the candidate is the third block and the output gate the fourth.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_candidate_second",
            "the blocks are read in the order i, g, f, o, so the second block goes through the `tanh`. "
            "Some libraries stack them like that. Here, as in PyTorch, the forget gate is the second "
            "block and the candidate the third.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_candidate_first",
            "the blocks are read in the order g, i, f, o. Some papers list the parts of the cell like "
            "that. Here, as in PyTorch, the order is i, f, g, o: the candidate is the third block.",
            LAYOUT,
        ),
        Mistake(
            "takes_f_first_and_the_candidate_last",
            "the blocks are read in the order f, i, o, g. Here, as in PyTorch, the order is "
            "i, f, g, o: the input gate comes first, and the candidate is the third block.",
            LAYOUT,
        ),
        Mistake(
            "returns_the_candidate_last",
            "all four arrays are right, but the last two are returned in the wrong places. They are "
            "returned in the order of the blocks: `i, f, g, o`.",
            LAYOUT,
        ),
        Mistake(
            "returns_pre_activations",
            "what is returned are the pre-activations. The three gates still have to go through the "
            "sigmoid, and the candidate through the `tanh`.",
            STEP,
        ),
        Mistake(
            "takes_tanh_for_all",
            "all four go through the `tanh`. That is right for the candidate. The three gates are "
            "factors from 0 to 1, and that is what the sigmoid gives.",
            STEP,
        ),
        Mistake(
            "exchanges_sigmoid_and_tanh",
            "the gates go through the `tanh` and the candidate through the sigmoid. It is the other "
            "way round: a gate is a factor from 0 to 1, a candidate may be negative.",
            STEP,
        ),
        Mistake(
            "has_the_wrong_sign_in_the_sigmoid",
            "each gate is the sigmoid of minus its pre-activation, so it shuts where it should open. "
            "The exponent in 1 / (1 + e^...) is minus a: a large positive number gives a value near 1.",
            STEP,
        ),
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out. It is part of all four pre-activations.",
            STEP,
        ),
        Mistake(
            "adds_the_bias_twice",
            "the bias enters twice. PyTorch adds two biases, but here there is one, and it is added "
            "once.",
            STEP,
        ),
        Mistake(
            "forgets_the_old_state",
            "the old state `h` has no influence. Each gate looks at the input and at the old hidden "
            "state, through its block of `W_x` and its block of `W_h`.",
            STEP,
        ),
        Mistake(
            "does_not_transpose_the_blocks_of_W_h",
            "each gate's block of `W_h` is used the wrong way round: a block is square, so the shapes "
            "do not show it. Row i of a block belongs to unit i of that gate, so with the states as "
            "rows the block stands transposed, as that of `W_x` does.",
            LAYOUT,
        ),
        Mistake(
            "cuts_across_the_batch",
            "the (B, 4H) array of pre-activations is cut as if it were laid out gate by gate, which is "
            "what `reshape(4, B, H)` does. It is laid out sequence by sequence: each row holds all "
            "four gates of one sequence, so it has to be cut along its second axis.",
            LAYOUT,
        ),
        Mistake(
            "takes_every_fourth_column",
            "every fourth column is taken for one gate, as if the four gates of one unit stood side by "
            "side. The gates are stacked in blocks: the first H columns are the input gate of all "
            "units, the next H the forget gate, and so on.",
            LAYOUT,
        ),
    ),
)


# lstm_step


def _step_cases(rng: Rng) -> list[Case]:
    return [Case(_sized(B, D, H), _step(rng, B, D, H), kind) for kind, B, D, H in STEP_SIZES]


LSTM_STEP = Exercise(
    name="lstm_step",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h, c, W_x, W_h, b",
    see=STEP,
    cases=_step_cases,
    parts=("h_next", "c_next"),
    aspects=(
        Aspect("The new cell state, c_next", 4, parts=("c_next",), kinds=("values",)),
        Aspect("The new hidden state, h_next", 3, parts=("h_next",), kinds=("values",)),
        Aspect("One sequence, one unit", 2, kinds=("sizes",), needs="The new cell state, c_next"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="The new cell state, c_next"),
    ),
    mistakes=(
        Mistake(
            "makes_the_candidate_a_sigmoid",
            "the candidate goes through the sigmoid, so nothing negative can ever be written and the "
            "cell state cannot be lowered except by forgetting. It is often drawn like that. The "
            "three gates are sigmoids; the candidate is a `tanh`.",
            STEP,
        ),
        Mistake(
            "forgets_the_tanh_of_the_candidate",
            "the candidate is its pre-activation. It goes through a `tanh`, so that one step can "
            "change the cell state by less than 1.",
            STEP,
        ),
        Mistake(
            "squashes_the_candidate_twice",
            "the candidate goes through the sigmoid and then through the `tanh`. This happens when the "
            "sigmoid is applied to the whole array before it is cut. The candidate is the `tanh` of "
            "its own pre-activation.",
            STEP,
        ),
        Mistake(
            "exchanges_i_and_f",
            "the input gate and the forget gate have changed places. Either the blocks are read as "
            "f, i, g, o, as some papers stack them, or the two gates stand at the wrong products. The "
            "order here is i, f, g, o; f multiplies the old cell state and i the candidate.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_candidate_last",
            "the blocks are read in the order i, f, o, g: the candidate and the output gate have "
            "changed places. Other courses stack them like that. Here, as in PyTorch, the candidate "
            "is the third block and the output gate the fourth.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_candidate_second",
            "the blocks are read in the order i, g, f, o: the candidate and the forget gate have "
            "changed places. Some libraries stack them like that. Here, as in PyTorch, the forget "
            "gate is the second block and the candidate the third.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_output_gate_second",
            "the blocks are read in the order i, o, f, g. That is how ONNX stacks them. Here, as in "
            "PyTorch, the order is i, f, g, o.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_candidate_first",
            "the blocks are read in the order g, i, f, o. Some papers list the parts of the cell like "
            "that. Here, as in PyTorch, the order is i, f, g, o: the candidate is the third block.",
            LAYOUT,
        ),
        Mistake(
            "takes_f_first_and_the_candidate_last",
            "the blocks are read in the order f, i, o, g. Here, as in PyTorch, the order is "
            "i, f, g, o: the input gate comes first, and the candidate is the third block.",
            LAYOUT,
        ),
        Mistake(
            "forgets_the_input_gate",
            "the candidate is added whole, without the input gate. The gate decides for each unit how "
            "much of the candidate is written.",
            STEP,
        ),
        Mistake(
            "forgets_the_forget_gate",
            "the old cell state is kept whole, without the forget gate. That is the cell of 1997, "
            "which can only add. Today's cell multiplies the old state by f first.",
            STEP,
        ),
        Mistake(
            "forgets_the_output_gate",
            "the new cell state is right, but `h_next` is its `tanh`, without the output gate. The gate "
            "decides for each unit how much the others get to see.",
            STEP,
        ),
        Mistake(
            "writes_what_it_forgets",
            "the candidate is multiplied by 1 - f, so the input gate has no influence. Coupling the two "
            "is a variant with a name of its own. Here the gates are independent: a cell may keep "
            "everything and still write.",
            STEP,
        ),
        Mistake(
            "forgets_what_it_writes",
            "the old cell state is multiplied by 1 - i, so the forget gate has no influence. Coupling "
            "the two is a variant with a name of its own. Here the gates are independent: a cell may "
            "write and still keep everything.",
            STEP,
        ),
        Mistake(
            "takes_f_for_what_is_forgotten",
            "the old cell state is multiplied by 1 - f. In spite of its name the forget gate says how "
            "much is kept: f = 1 keeps all, f = 0 forgets all.",
            STEP,
        ),
        Mistake(
            "overwrites_the_cell",
            "the old cell state has no part in the new one, which is only what is written in this "
            "step. The formula that is left out most often is the one that makes the memory: what "
            "the forget gate keeps, plus what the input gate lets in.",
            STEP,
        ),
        Mistake(
            "lets_f_multiply_the_new_content_too",
            "the forget gate multiplies the whole sum, what is written as well as what is kept. It "
            "multiplies the old cell state alone. Are the brackets where they belong?",
            STEP,
        ),
        Mistake(
            "keeps_the_hidden_state_instead",
            "the forget gate multiplies the old hidden state `h`. The memory is the cell state `c`: it "
            "is `c` that is kept, and `h` is only seen by the gates.",
            STEP,
        ),
        Mistake(
            "lets_the_gates_see_the_cell_instead",
            "`W_h` multiplies the old cell state `c`. The gates and the candidate look at the old hidden "
            "state `h`; the cell state enters at one place only, where the forget gate multiplies it.",
            STEP,
        ),
        Mistake(
            "forgets_the_tanh_of_the_cell",
            "the new cell state is right, but it goes out through the output gate as it is. It goes "
            "through a `tanh` first, so that `h_next` stays between -1 and 1 however large the cell "
            "state has become.",
            STEP,
        ),
        Mistake(
            "puts_the_cell_through_a_sigmoid",
            "the new cell state is right, but it goes out through a sigmoid, so that `h_next` is never "
            "negative. Before the output gate it goes through a `tanh`.",
            STEP,
        ),
        Mistake(
            "squashes_after_the_output_gate",
            "the new cell state is right, but `h_next` is the `tanh` of the product of the output gate "
            "and the cell. The `tanh` acts on the cell state alone, and the output gate multiplies its "
            "result.",
            STEP,
        ),
        Mistake(
            "keeps_the_squashed_cell",
            "`h_next` is right, but the cell state that is returned has been through the `tanh`. The "
            "`tanh` belongs to the way out only; what the cell keeps is the sum itself. A squashed "
            "cell would shrink at every step.",
            STEP,
        ),
        Mistake(
            "squashes_the_cell_and_again",
            "the cell state goes through a `tanh` when it is made, and once more on its way out. What "
            "the cell keeps is the sum itself, without any squashing: only so can it hold a value for "
            "many steps. The one `tanh` of the cell belongs to `h_next`.",
            STEP,
        ),
        Mistake(
            "lets_the_old_cell_out",
            "the new cell state is right, but `h_next` is made of the old one. What is written in this "
            "step can be seen in this step: the `tanh` acts on the new cell state.",
            STEP,
        ),
        Mistake(
            "lets_the_candidate_out",
            "the new cell state is right, but `h_next` is made of the candidate. What goes out through "
            "the output gate is the `tanh` of the whole new cell state, old content and new.",
            STEP,
        ),
        Mistake(
            "returns_the_cell_first",
            "both results are right, but in the wrong places. The hidden state is returned first, then "
            "the cell state.",
            STEP,
        ),
        Mistake(
            "has_the_wrong_sign_in_the_sigmoid",
            "each gate is the sigmoid of minus its pre-activation, so it shuts where it should open. "
            "The exponent in 1 / (1 + e^...) is minus a: a large positive number gives a value near 1.",
            STEP,
        ),
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out. It is part of all four pre-activations.",
            STEP,
        ),
        Mistake(
            "adds_the_bias_twice",
            "the bias enters twice. PyTorch adds two biases, but here there is one, and it is added "
            "once.",
            STEP,
        ),
        Mistake(
            "forgets_the_old_state",
            "the old hidden state `h` has no influence. Each gate looks at the input and at the old "
            "hidden state, through its block of `W_x` and its block of `W_h`.",
            STEP,
        ),
        Mistake(
            "does_not_transpose_the_blocks_of_W_h",
            "each gate's block of `W_h` is used the wrong way round: a block is square, so the shapes "
            "do not show it. Row i of a block belongs to unit i of that gate, so with the states as "
            "rows the block stands transposed, as that of `W_x` does.",
            LAYOUT,
        ),
        Mistake(
            "cuts_across_the_batch",
            "the (B, 4H) array of pre-activations is cut as if it were laid out gate by gate, which is "
            "what `reshape(4, B, H)` does. It is laid out sequence by sequence: each row holds all "
            "four gates of one sequence, so it has to be cut along its second axis.",
            LAYOUT,
        ),
        Mistake(
            "takes_every_fourth_column",
            "every fourth column is taken for one gate, as if the four gates of one unit stood side by "
            "side. The gates are stacked in blocks: the first H columns are the input gate of all "
            "units, the next H the forget gate, and so on.",
            LAYOUT,
        ),
        Mistake(
            "writes_into_the_old_cell",
            "the values are right, but something is written into the array `c` that was passed in, as "
            "`c *= f` or `c += ...` does. The caller may still need the old cell state: compute into a "
            "new array.",
            STEP,
        ),
    ),
)


# lstm_forward


def _forward_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 3, 2, 3),
        ("values", 3, 3, 4, 2),
        ("values", 5, 2, 2, 2),
        ("sizes", 1, 3, 4, 2),
        ("sizes", 3, 1, 2, 4),
        ("sizes", 4, 2, 1, 1),
    ]
    cases = []
    for kind, T, B, D, H in sizes:
        first = _step(rng, B, D, H)
        x = np.concatenate([first["x"][None], rng.normal(size=(T - 1, B, D))])
        weights = {name: first[name] for name in ("W_x", "W_h", "b")}
        inputs = {"x": x, "h0": first["h"], "c0": first["c"], **weights}
        cases.append(Case(f"T = {T}, {_sized(B, D, H)}", inputs, kind))
    return cases


def _compare_first_and_later_states(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, told apart by time: a wrong first state, wrong later ones, or both."""
    found = []
    for difference in compare(expected, got, ("hs", "cs"), RTOL, ATOL):
        name, want, have = difference.part, difference.expected, difference.got
        if not name:
            found.append(difference)
            continue
        told = with_steps(difference, ("hs", "cs"))
        for part, steps in {"[0]": slice(0, 1), "[1:]": slice(1, None)}.items():
            if want is None:
                found.append(replace(told, part=name + part))
            elif not np.allclose(have[steps], want[steps], RTOL, ATOL):
                pieces = {"expected": want[steps], "got": have[steps]}
                found.append(replace(told, part=name + part, **pieces))
    return found


LSTM_FORWARD = Exercise(
    name="lstm_forward",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h0, c0, W_x, W_h, b",
    see=SEQUENCE,
    cases=_forward_cases,
    compare=_compare_first_and_later_states,
    parts=("hs", "cs"),
    aspects=(
        Aspect("The states after the first input", 2, parts=("hs[0]", "cs[0]"), kinds=("values",)),
        Aspect("The hidden states after it, hs", 3, parts=("hs[1:]",), kinds=("values",)),
        Aspect("The cell states after it, cs", 3, parts=("cs[1:]",), kinds=("values",)),
        Aspect(
            "One step, one sequence, one unit",
            1,
            kinds=("sizes",),
            needs="The hidden states after it, hs",
        ),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="The hidden states after it, hs"),
    ),
    mistakes=(
        Mistake(
            "starts_from_zeros",
            "the first step starts from states of zeros, and neither `h0` nor `c0` is used. They are "
            "arguments because a sequence may continue where another one ended.",
            SEQUENCE,
        ),
        Mistake(
            "starts_from_an_empty_cell",
            "the first step starts from `h0`, but with a cell state of zeros. The cell has a past of "
            "its own, `c0`.",
            SEQUENCE,
        ),
        Mistake(
            "starts_from_a_zero_hidden_state",
            "the first step starts from `c0`, but with a hidden state of zeros. The gates of the first "
            "step look at `h0`.",
            SEQUENCE,
        ),
        Mistake(
            "starts_the_cell_from_h0",
            "the first step takes `h0` for the old cell state too, and `c0` is not used. An LSTM "
            "carries two states, and each has its own first value.",
            SEQUENCE,
        ),
        Mistake(
            "never_hands_the_states_on",
            "every step starts from `h0` and `c0`. Only the first one does; each later step starts "
            "from the two states that the step before it returned.",
            SEQUENCE,
        ),
        Mistake(
            "never_hands_the_cell_on",
            "the hidden state is carried along, but every step starts from the cell state `c0`. What a "
            "step has written must be there for the next one: both states are handed on.",
            SEQUENCE,
        ),
        Mistake(
            "never_hands_the_hidden_state_on",
            "the cell state is carried along, but the gates look at `h0` in every step. From the second "
            "step on they look at the hidden state of the step before.",
            SEQUENCE,
        ),
        Mistake(
            "exchanges_h_and_c",
            "the first step takes `c0` for the hidden state and `h0` for the cell state. The hidden "
            "state is what `W_h` multiplies; the cell state is what the forget gate multiplies.",
            SEQUENCE,
        ),
        Mistake(
            "hands_them_on_exchanged",
            "after each step the hidden state and the cell state change places, in what is stored and "
            "in what the next step gets. A step returns `h_next` first and `c_next` second.",
            SEQUENCE,
        ),
        Mistake(
            "hands_on_the_squashed_cell",
            "the cell state goes through the `tanh` before it is stored and handed on, so it shrinks "
            "at every step. The `tanh` belongs to the hidden state only; what is kept is the sum "
            "itself.",
            STEP,
        ),
        Mistake(
            "returns_only_the_last_states",
            "the last hidden state and the last cell state alone are returned, each of shape (B, H). "
            "All states are asked for, (T, B, H), one after each step.",
            SEQUENCE,
        ),
        Mistake(
            "returns_only_the_last_cell",
            "`hs` is right, but of the cell states only the last is returned. PyTorch does something "
            "similar; here all of them are asked for, `cs` of shape (T, B, H).",
            SEQUENCE,
        ),
        Mistake(
            "puts_the_first_states_in_front",
            "`h0` and `c0` are returned in front of the others, T + 1 states in all. `hs[0]` and `cs[0]` "
            "are the states after the first input; the initial ones are not among them.",
            SEQUENCE,
        ),
        Mistake(
            "stores_the_states_before_each_step",
            "each entry is the state before its step, not the one after it: `hs[0]` is `h0`, `cs[0]` is "
            "`c0`, and the last states are missing. Store the states once the step has been done.",
            SEQUENCE,
        ),
        Mistake(
            "returns_the_cells_first",
            "both results are right, but in the wrong places. The hidden states are returned first, "
            "then the cell states.",
            SEQUENCE,
        ),
        Mistake(
            "gives_the_last_states_for_every_step",
            "all entries are the last states. This happens when one array is overwritten at each step "
            "and kept in a list T times: the list then holds the same array T times. Make new arrays "
            "at each step, or copy the values into `hs[t]` and `cs[t]`.",
            SEQUENCE,
        ),
        Mistake(
            "gives_the_last_cell_for_every_step",
            "`hs` is right, but all entries of `cs` are the last cell state. This happens when `c` is "
            "updated in place, as `c *= f` and `c += ...` do, and kept in a list: the list then holds "
            "the same array T times. Make a new array at each step.",
            SEQUENCE,
        ),
        Mistake(
            "updates_c0_in_place",
            "`hs` is right, but all entries of `cs` are the last cell state, and `c0` itself has become "
            "that too. This happens when `c` begins as `c0`, is updated in place, as `c *= f` and "
            "`c += ...` do, and is kept in a list: there is only one array all the time. Make a new "
            "array at each step.",
            SEQUENCE,
        ),
        Mistake(
            "keeps_both_in_one_array",
            "`hs` holds the cell states, as `cs` does. This happens when both names are given to one "
            "array, as in `hs = cs = np.zeros(...)`: what is stored last is then in both. Make two "
            "arrays.",
            SEQUENCE,
        ),
        Mistake(
            "takes_the_batch_for_time",
            "the loop runs over the second axis of `x`, which counts the sequences, and the states are "
            "stacked along it. Time comes first here: `x[t]` is one step of all sequences, of shape "
            "(B, D).",
            SEQUENCE,
        ),
        Mistake(
            "returns_the_batch_first",
            "the states are right, but in shape (B, T, H). Time comes first: `hs[t]` and `cs[t]` are "
            "what belongs to step t, for all sequences.",
            SEQUENCE,
        ),
        Mistake(
            "reads_the_sequence_backwards",
            "the inputs are read from the last to the first. A state depends on its own input and on "
            "the earlier ones, so the loop begins at t = 0.",
            SEQUENCE,
        ),
        Mistake(
            "skips_the_first_step",
            "the first states are zero, and the second step starts from `h0` and `c0`, as if the loop "
            "began at t = 1. The first input is `x[0]`, and it counts.",
            SEQUENCE,
        ),
        Mistake(
            "leaves_the_last_step_out",
            "the last states are zero, as if the loop ended one step early; all others are right. "
            "`range(T)` already leaves out T, so T - 1 is its last value.",
            SEQUENCE,
        ),
        Mistake(
            "returns_inside_the_loop",
            "only the first states are filled in, the rest are zeros. Is the `return` indented as part "
            "of the loop? Then it ends the function after the first step.",
            SEQUENCE,
        ),
        Mistake(
            "makes_the_candidate_a_sigmoid",
            "in each step the candidate goes through the sigmoid. The three gates do; the candidate is "
            "a `tanh`, so that something negative can be written too.",
            STEP,
        ),
        Mistake(
            "exchanges_i_and_f",
            "in each step the input gate and the forget gate have changed places. The blocks are "
            "stacked i, f, g, o; f multiplies the old cell state and i the candidate.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_candidate_last",
            "in each step the blocks are read in the order i, f, o, g: the candidate and the output gate "
            "have changed places. Here, as in PyTorch, the candidate is the third block and the output "
            "gate the fourth.",
            LAYOUT,
        ),
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out at every step. It is part of all four pre-activations.",
            STEP,
        ),
        Mistake(
            "writes_into_c0",
            "the states are right, but something is written into the array `c0` that was passed in. "
            "Statements such as `c *= f` and `c += ...` write into the caller's array as long as `c` is "
            "`c0`; let each step make a new array.",
            SEQUENCE,
        ),
    ),
)


# fuse_gate_weights


def _fuse_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 3, 2),
        ("values", 2, 5),
        ("values", 3, 3),
        ("sizes", 1, 4),
        ("sizes", 4, 1),
        ("sizes", 1, 1),
    ]
    cases = []
    for kind, H, D in sizes:
        matrices = {f"W_{gate}": rng.normal(size=(H, H + D)) for gate in "fico"}
        biases = {f"b_{gate}": rng.normal(size=H) for gate in "fico"}
        cases.append(Case(f"H = {H}, D = {D}", matrices | biases, kind))
    return cases


def _compare_gate_by_gate(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, which also says which gates' rows are right."""
    parts = ("W_x", "W_h", "b")
    return [with_gates(d, parts) for d in compare(expected, got, parts, RTOL, ATOL)]


FUSE_GATE_WEIGHTS = Exercise(
    name="fuse_gate_weights",
    chapter=CHAPTER,
    minutes=10,
    signature="W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o",
    see=LAYOUT,
    cases=_fuse_cases,
    compare=_compare_gate_by_gate,
    parts=("W_x", "W_h", "b"),
    aspects=(
        Aspect("Input weights, W_x", 2, parts=("W_x",), kinds=("values",)),
        Aspect("Recurrent weights, W_h", 2, parts=("W_h",), kinds=("values",)),
        Aspect("Bias, b", 1, parts=("b",), kinds=("values",)),
        Aspect("One unit, one input", 1, kinds=("sizes",), needs="Input weights, W_x"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Input weights, W_x"),
    ),
    mistakes=(
        Mistake(
            "takes_x_first",
            "the columns are cut as if each matrix acted on [x, h]. Here it acts on [h, x]: the first H "
            "columns multiply the state, the D columns after them the input.",
            LAYOUT,
        ),
        Mistake(
            "cuts_after_D_columns",
            "the columns are cut after the first D of them. That is right only where D equals H. The state "
            "comes first in [h, x], and it has H entries, as many as the matrix has rows.",
            LAYOUT,
        ),
        Mistake(
            "cuts_in_the_middle",
            "the columns are cut in the middle. That is right only where D equals H. The state comes "
            "first in [h, x], and it has H entries, as many as the matrix has rows.",
            LAYOUT,
        ),
        Mistake(
            "returns_W_h_first",
            "both matrices are right, but in the wrong places. `W_x` is returned first, then `W_h`, "
            "although the papers put h before x.",
            LAYOUT,
        ),
        Mistake(
            "keeps_the_order_of_the_arguments",
            "the gates are stacked f, i, c, o, the order in which they are passed. The layout here is "
            "i, f, g, o: the input gate before the forget gate. (The candidate, here g, is W_c there.)",
            LAYOUT,
        ),
        Mistake(
            "puts_the_candidate_last",
            "the gates are stacked i, f, o, c, with the candidate last. In the layout here, i, f, g, o, "
            "it is the third block. (The candidate, here g, is W_c there.)",
            LAYOUT,
        ),
        Mistake(
            "puts_the_candidate_second",
            "the gates are stacked i, c, f, o, with the candidate second. In the layout here, "
            "i, f, g, o, it is the third block. (The candidate, here g, is W_c there.)",
            LAYOUT,
        ),
        Mistake(
            "leaves_the_biases_in_order",
            "the matrices are right, but the biases are stacked f, i, c, o, the order in which they are "
            "passed. They belong to the same gates as the rows of the matrices and are stacked alike.",
            LAYOUT,
        ),
        Mistake(
            "transposes_the_matrices",
            "both matrices are transposed. In this layout a matrix is (out, in): the gates stand one "
            "below the other, `W_x` has shape (4H, D) and `W_h` (4H, H). The matrices that are passed in "
            "are (out, in) already.",
            LAYOUT,
        ),
        Mistake(
            "transposes_the_blocks_of_W_h",
            "each gate's block of `W_h` is transposed: a block is square, so the shapes do not show it. "
            "The papers' matrices are (out, in), as those here, and nothing is transposed.",
            LAYOUT,
        ),
        Mistake(
            "stacks_side_by_side",
            "the gates stand side by side, so that `W_x` has shape (H, 4D). They are stacked one below "
            "the other, along axis 0: `W_x` has shape (4H, D) and `W_h` (4H, H).",
            LAYOUT,
        ),
        Mistake(
            "interleaves_the_gates",
            "the rows alternate between the gates: all four of unit 0, then all four of unit 1. The "
            "layout here has blocks: the H rows of the input gate, below them those of the forget gate, "
            "and so on.",
            LAYOUT,
        ),
    ),
)


# set_forget_bias

OTHER_ROWS = "rows of i, g and o"


def _names(layer: int, reverse: bool = False) -> str:
    """How the two biases of a layer and direction are called: "bias_ih_l0 + bias_hh_l0"."""
    suffix = f"l{layer}" + ("_reverse" if reverse else "")
    return f"bias_ih_{suffix} + bias_hh_{suffix}"


FIRST = _names(0)
OTHERS = tuple(_names(k, reverse) for k in range(3) for reverse in (False, True))[1:]


def _make_lstm(described: Inputs) -> Any:
    """A float64 torch.nn.LSTM of these sizes, its parameters filled from one long array."""
    import torch

    sizes = {key: value for key, value in described.items() if key != "parameters"}
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        lstm = torch.nn.LSTM(**sizes, dtype=torch.float64)
    values = np.array(described["parameters"])
    with torch.no_grad():
        for parameter in lstm.parameters():
            own, values = np.split(values, [parameter.numel()])
            parameter.copy_(torch.from_numpy(own).reshape(parameter.shape))
    return lstm


WRITES = "Writes into the forget rows"


def _set_and_look(function: Callable, inputs: Inputs) -> Any:
    """Let the function set the forget bias of an LSTM; return what the LSTM is like afterwards.

    How the bias is shared out between the two that PyTorch adds is free, so their sum is looked at.
    """
    import torch

    lstm = _make_lstm(inputs["lstm"])
    before = {name: p.detach().numpy().copy() for name, p in lstm.named_parameters()}
    returned = function(lstm, inputs["value"])
    now = dict(lstm.named_parameters())
    after = {name: p.detach().numpy().copy() for name, p in now.items()}
    if _kinds(before) != _kinds(after):
        return {"parameters": _listed(_kinds(after))}
    changed = {name: _changed_gates(name, before[name], after[name]) for name in before}
    unchanged = all(np.array_equal(before[name], after[name]) for name in before)
    if returned is None and unchanged:
        return None
    sums = {
        f"{name} + {name.replace('ih', 'hh')}": after[name] + after[name.replace("ih", "hh")]
        for name in before
        if name.startswith("bias_ih")
    }
    blocks = {name: np.split(both, 4) for name, both in sums.items()}
    fixed = [n for n, p in now.items() if not (p.requires_grad and p.is_leaf)]
    kind = "nothing" if returned is None else f"an object of type {type(returned).__name__}"
    if isinstance(returned, torch.nn.LSTM):
        kind = "another module"
    return {
        **{name: f for name, (_, f, _, _) in blocks.items()},
        "touched": int(_forget_rows_changed(before, after)),
        "changed": _listed(f"`{n}` (rows of {gates})" for n, gates in changed.items() if gates),
        OTHER_ROWS: np.array([[i, g, o] for i, _, g, o in blocks.values()]),
        "returned": "the module" if returned is lstm else kind,
        "fixed": _listed(f"`{name}`" for name in fixed),
    }


def _forget_rows_changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> bool:
    """Whether the forget bias of the first layer, in total, is another than before."""
    rows = [
        sum(np.split(arrays[name], 4)[1] for name in ("bias_ih_l0", "bias_hh_l0"))
        for arrays in (before, after)
        if "bias_ih_l0" in arrays
    ]
    return len(rows) == 2 and not np.array_equal(*rows)


def _changed_gates(name: str, before: np.ndarray, after: np.ndarray) -> str:
    """The gates whose rows have changed, but for the rows that are to be changed: "i, o"."""
    pairs = zip(LSTM_GATES, np.split(before, 4), np.split(after, 4), strict=True)
    return ", ".join(
        gate
        for gate, a, b in pairs
        if not (np.array_equal(a, b) or (gate == "f" and name.startswith("bias")))
    )


def _kinds(arrays: dict[str, np.ndarray]) -> list[str]:
    return [f"`{name}` {array.shape} {array.dtype}" for name, array in arrays.items()]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _compare_lstms(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, in words that speak of the module."""
    match got:
        case {"parameters": str(names)}:
            text = (
                f"The parameters should keep their names, shapes and dtype, but now are: {names}."
            )
            return [Difference("", text)]
        case dict():
            found = compare(expected, got, (), RTOL, ATOL)
            return [replace(d, text=_about(d, got)) for d in found]
    return [Difference("", f"The function should return the LSTM, but returns {describe(got)}.")]


def _about(difference: Difference, got: dict) -> str:
    part = difference.part
    if part in (FIRST, *OTHERS) and difference.got is not None:
        agree = np.isclose(difference.got, difference.expected, rtol=RTOL, atol=ATOL)
        k, rows = int(np.argmin(agree)), len(agree)
        return (
            f"In `{part}` the rows of f should all be {difference.expected[k]:.6g}, but row "
            f"{rows + k} is {difference.got[k]:.6g}; wrong: {int((~agree).sum())} of {rows}."
        )
    if part in (FIRST, *OTHERS):
        return f"In `{part}` the rows of f are not all finite numbers of the right shape."
    match part:
        case "touched":
            return "The forget bias of the first layer is what it was before."
        case "changed":
            return f"Besides the forget rows of the biases, this has changed: {got[part]}."
        case "returned":
            return f"The module that was given should be returned, but {got[part]} is."
        case "fixed":
            return f"After the call these are no parameters that can be trained: {got[part]}."
        case _ if part == OTHER_ROWS:
            return "The biases of the other gates are not what they were."
    return difference.text


def _forget_cases(rng: Rng) -> list[Case]:
    # (what a case is for, D, H, layers, both directions, with biases)
    asked = [
        ("values", 2, 3, 1, False, True),
        ("values", 3, 2, 2, True, True),
        ("values", 2, 2, 1, False, True),
        ("values", 1, 2, 3, False, True),
        ("values", 3, 1, 1, True, True),
        ("error", 2, 3, 1, False, False),
        ("error", 1, 2, 2, True, False),
    ]
    cases = []
    for n, (kind, D, H, layers, both, bias) in enumerate(asked):
        ways = 2 if both else 1
        rows = [4 * H * (R + H + 2 * bias) for R in [D] + [ways * H] * (layers - 1)]
        lstm = {
            "input_size": D,
            "hidden_size": H,
            "num_layers": layers,
            "bias": bias,
            "bidirectional": both,
            "parameters": away_from_zero(rng, (ways * sum(rows),), 0.1, 0.7),
        }
        value = round(float(rng.uniform(0.8, 2.5)), 2) * (-1 if n == 2 else 1)
        told = [
            f"D = {D}, H = {H}",
            "1 layer" if layers == 1 else f"{layers} layers",
            *(["both directions"] if both else []),
            *([f"value = {value}"] if bias else ["no biases"]),
        ]
        cases.append(Case(", ".join(told), {"lstm": lstm, "value": value}, kind))
    return cases


SET_FORGET_BIAS = Exercise(
    name="set_forget_bias",
    chapter=CHAPTER,
    minutes=20,
    signature="lstm, value",
    see=FORGET_BIAS,
    cases=_forget_cases,
    call=_set_and_look,
    compare=_compare_lstms,
    libraries=("torch",),
    aspects=(
        Aspect("The forget bias of the first layer", 2, parts=(FIRST,), kinds=("values",)),
        Aspect(WRITES, 1, parts=("touched",), kinds=("values",)),
        Aspect("That of every layer and direction", 2, parts=OTHERS, kinds=("values",)),
        Aspect(
            "Changes nothing else",
            2,
            parts=("changed", OTHER_ROWS),
            kinds=("values",),
            needs=WRITES,
        ),
        Aspect(
            "Returns the same module, still trainable",
            1,
            parts=("returned", "fixed"),
            kinds=("values",),
            needs=WRITES,
        ),
        Aspect(
            "ValueError without biases",
            1,
            kinds=("error",),
            needs=WRITES,
        ),
    ),
    mistakes=(
        Mistake(
            "sets_both_biases",
            "the forget rows of both biases are set to `value`. PyTorch adds the two, so the forget "
            "bias is twice what was asked for. The slip is widely copied: a 1 in each of them starts "
            "the gate at 2.",
            FORGET_BIAS,
        ),
        Mistake(
            "zeroes_all_and_sets_both",
            "both biases are filled with zeros, and then the forget rows of both are set to `value`. "
            "PyTorch adds the two, so the forget bias is twice what was asked for; and the other "
            "gates have lost the biases they had.",
            FORGET_BIAS,
        ),
        Mistake(
            "sets_both_and_is_silent",
            "the forget rows of both biases are set to `value`. PyTorch adds the two, so the forget "
            "bias is twice what was asked for. Besides, an LSTM made with `bias=False` comes back "
            "without a word, where a ValueError is due.",
            FORGET_BIAS,
        ),
        Mistake(
            "zeroes_all_sets_both_and_is_silent",
            "both biases are filled with zeros, and then the forget rows of both are set to `value`. "
            "PyTorch adds the two, so the forget bias is twice what was asked for; and the other "
            "gates have lost the biases they had. Besides, an LSTM made with `bias=False` comes back "
            "without a word, where a ValueError is due.",
            FORGET_BIAS,
        ),
        Mistake(
            "sets_bias_ih_only",
            "the forget rows of `bias_ih` are set to `value`, but those of `bias_hh` keep the random "
            "numbers they were made with. PyTorch adds the two: it is their sum that has to be "
            "`value`.",
            FORGET_BIAS,
        ),
        Mistake(
            "sets_bias_hh_only",
            "the forget rows of `bias_hh` are set to `value`, but those of `bias_ih` keep the random "
            "numbers they were made with. PyTorch adds the two: it is their sum that has to be "
            "`value`.",
            FORGET_BIAS,
        ),
        Mistake(
            "adds_the_value",
            "`value` is added to what was there. The forget bias is to be set: afterwards the sum of "
            "the two biases is `value`, whatever it was before, also on a second call.",
            FORGET_BIAS,
        ),
        Mistake(
            "zeroes_the_whole_other_bias",
            "the forget bias is right, but one of the two biases is filled with zeros as a whole. Only "
            "its forget rows may change; the other three quarters belong to the other gates.",
            FORGET_BIAS,
        ),
        Mistake(
            "zeroes_the_other_rows",
            "the forget bias is right, but all other rows of both biases are zero. Only the forget "
            "rows may change; the others are what the module was made, or has been trained, with.",
            FORGET_BIAS,
        ),
        Mistake(
            "fills_the_whole_bias",
            "all rows of the bias are `value`, so the input gate, the candidate and the output gate get "
            "it too. The forget gate has one quarter of the rows, the second.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_first_block",
            "the first quarter of the rows is set. That is the input gate: PyTorch stacks the gates "
            "i, f, g, o, and the forget gate has the second quarter.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_third_block",
            "the third quarter of the rows is set. That is the candidate: PyTorch stacks the gates "
            "i, f, g, o, and the forget gate has the second quarter.",
            LAYOUT,
        ),
        Mistake(
            "sets_the_first_layer_only",
            "only `bias_ih_l0` and `bias_hh_l0` are set. Each layer and each direction has two biases "
            "of its own, with names that end in `_l1`, `_l0_reverse` and so on.",
            FORGET_BIAS,
        ),
        Mistake(
            "leaves_the_other_direction",
            "all layers are set, but only in the forward direction. In a bidirectional LSTM each layer "
            "has two more biases, whose names end in `_reverse`.",
            FORGET_BIAS,
        ),
        Mistake(
            "leaves_the_layers_above",
            "the first layer is set in each direction, but the layers above it are not. Each layer has "
            "biases of its own, with names that end in `_l1`, `_l2` and so on.",
            FORGET_BIAS,
        ),
        Mistake(
            "sets_the_weights_too",
            "the forget bias is right, but the forget rows of the weight matrices have been overwritten "
            "as well. The names of the biases begin with `bias`; a loop over all parameters meets the "
            "matrices too.",
            FORGET_BIAS,
        ),
        Mistake(
            "returns_nothing",
            "the module is right afterwards, but nothing is returned. Return the module that was given, "
            "so that the call can stand where the module is made.",
            FORGET_BIAS,
        ),
        Mistake(
            "changes_a_copy",
            "the module that was given has not changed; another one is returned. The function works in "
            "place: an optimiser may already hold the parameters of this very module.",
            FORGET_BIAS,
        ),
        Mistake(
            "leaves_the_biases_frozen",
            "the values are right, but afterwards the biases no longer require a gradient, so training "
            "will never move them. Only the write itself has to be kept out of the gradient's sight, "
            "and `torch.no_grad()` does that.",
            FORGET_BIAS,
        ),
        Mistake(
            "is_silent_without_biases",
            "all is right where there are biases, but an LSTM made with `bias=False` comes back as if "
            "its forget bias had been set. It has none to set, and whoever asked should hear of it: "
            "raise a ValueError.",
            FORGET_BIAS,
        ),
    ),
)


# peephole_lstm_step


def _peephole_cases(rng: Rng) -> list[Case]:
    return [
        Case(
            _sized(B, D, H),
            _step(rng, B, D, H)
            | {f"p_{gate}": away_from_zero(rng, (H,), 0.4, 1.0) for gate in "ifo"},
            kind,
        )
        for kind, B, D, H in STEP_SIZES
    ]


PEEPHOLE_LSTM_STEP = Exercise(
    name="peephole_lstm_step",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h, c, W_x, W_h, b, p_i, p_f, p_o",
    see=PEEPHOLES,
    cases=_peephole_cases,
    parts=("h_next", "c_next"),
    aspects=(
        Aspect("The new cell state, c_next", 3, parts=("c_next",), kinds=("values",)),
        Aspect("The new hidden state, h_next", 3, parts=("h_next",), kinds=("values",)),
        Aspect("One sequence, one unit", 1, kinds=("sizes",), needs="The new cell state, c_next"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="The new cell state, c_next"),
    ),
    mistakes=(
        Mistake(
            "lets_o_see_the_old_cell",
            "the new cell state is right, but the output gate looks at the old one. When the output "
            "gate decides, the new cell state is already there, and that is what it looks at. So the "
            "four gates cannot all be computed at the start.",
            PEEPHOLES,
        ),
        Mistake(
            "forgets_the_peepholes",
            "the results are those of a step without peepholes: `p_i`, `p_f` and `p_o` have no "
            "influence. Each adds a term to the pre-activation of its gate.",
            PEEPHOLES,
        ),
        Mistake(
            "forgets_the_peephole_of_o",
            "the new cell state is right, but the output gate has no peephole. It sees the new cell "
            "state, through `p_o`.",
            PEEPHOLES,
        ),
        Mistake(
            "exchanges_p_i_and_p_f",
            "the peepholes of the input gate and of the forget gate have changed places. `p_i` belongs "
            "to the first block of rows, `p_f` to the second.",
            PEEPHOLES,
        ),
        Mistake(
            "adds_them_after_the_sigmoid",
            "the peepholes are added to the gates, behind the sigmoid. Then a gate is no longer between "
            "0 and 1. They are part of the pre-activation.",
            PEEPHOLES,
        ),
        Mistake(
            "looks_at_the_hidden_state",
            "all three gates look at the old hidden state through their peepholes. A peephole is there "
            "because `h` may be closed off by the output gate: it looks at the cell state itself.",
            PEEPHOLES,
        ),
        Mistake(
            "lets_i_and_f_see_the_hidden_state",
            "the output gate looks at the new cell state, but the input gate and the forget gate look "
            "at the old hidden state. A peephole is there because `h` may be closed off by the output "
            "gate: these two look at the old cell state.",
            PEEPHOLES,
        ),
        Mistake(
            "looks_at_the_squashed_cell",
            "the gates look at the `tanh` of the cell state. A peephole sees the cell state as it is; "
            "the `tanh` stands only on the way out to the hidden state.",
            PEEPHOLES,
        ),
        Mistake(
            "lets_o_see_the_squashed_cell",
            "the new cell state is right, but the output gate looks at its `tanh`. A peephole sees the "
            "cell state as it is; the `tanh` is only what the gate then lets through.",
            PEEPHOLES,
        ),
        Mistake(
            "lets_each_gate_see_all_cells",
            "each gate looks at a sum over the cells of all units, as a matrix product or a scalar "
            "product gives it. These peepholes are diagonal: unit k's gates see cell k alone, so the "
            "product is taken entry by entry.",
            PEEPHOLES,
        ),
        Mistake(
            "takes_the_candidate_last",
            "the blocks are read in the order i, f, o, g: the candidate and the output gate have "
            "changed places. Here, as in PyTorch, the candidate is the third block and the output "
            "gate the fourth.",
            LAYOUT,
        ),
        Mistake(
            "takes_the_forget_gate_first",
            "the blocks are read in the order f, i, g, o, while the peepholes are at their gates. Here, "
            "as in PyTorch, the first block is the input gate and the second the forget gate.",
            LAYOUT,
        ),
        Mistake(
            "forgets_the_tanh_of_the_cell",
            "the new cell state is right, but it goes out through the output gate as it is. It goes "
            "through a `tanh` first, as in the cell without peepholes.",
            STEP,
        ),
        Mistake(
            "returns_the_cell_first",
            "both results are right, but in the wrong places. The hidden state is returned first, then "
            "the cell state.",
            PEEPHOLES,
        ),
        Mistake(
            "writes_into_the_old_cell",
            "the values are right, but something is written into the array `c` that was passed in, as "
            "`c *= f` or `c += ...` does. The caller may still need the old cell state: compute into a "
            "new array.",
            PEEPHOLES,
        ),
    ),
)


# lstm_parameter_count


def _count_cases(rng: Rng) -> list[Case]:
    def sizes(start: int, stop: int) -> dict[str, int]:
        D, H = rng.choice(np.arange(start, stop), size=2, replace=False)
        return {"input_size": int(D), "hidden_size": int(H)}

    same = int(rng.integers(3, 20))
    asked = [
        ("one", sizes(3, 12), {}),
        ("one", sizes(3, 30), {"num_layers": 1}),
        ("one", {"input_size": same, "hidden_size": same}, {}),
        ("one", {"input_size": 5, "hidden_size": 1}, {"num_layers": 1, "bidirectional": False}),
        ("layers", sizes(3, 12), {"num_layers": 2}),
        ("layers", sizes(300, 3000), {"num_layers": 5, "bidirectional": False}),
        ("layers", {"input_size": same, "hidden_size": same}, {"num_layers": 3}),
        ("directions", sizes(3, 12), {"num_layers": 1, "bidirectional": True}),
        ("directions", sizes(300, 3000), {"num_layers": 1, "bidirectional": True}),
        ("both", sizes(3, 12), {"num_layers": 2, "bidirectional": True}),
        ("both", sizes(3, 30), {"num_layers": 4, "bidirectional": True}),
        ("both", {"input_size": 1, "hidden_size": 1}, {"num_layers": 3, "bidirectional": True}),
    ]
    return [
        Case(
            ", ".join(f"{key} = {value}" for key, value in (pair | more).items()), pair | more, kind
        )
        for kind, pair, more in asked
    ]


LSTM_PARAMETER_COUNT = Exercise(
    name="lstm_parameter_count",
    chapter=CHAPTER,
    minutes=5,
    signature="input_size, hidden_size, num_layers=1, bidirectional=False",
    see=PARAMETERS,
    cases=_count_cases,
    aspects=(
        Aspect("One layer", 2, kinds=("one",)),
        Aspect("Several layers", 1, kinds=("layers",), needs="One layer"),
        Aspect("Two directions", 1, kinds=("directions",), needs="One layer"),
        Aspect("Several layers in two directions", 2, kinds=("both",), needs="One layer"),
    ),
    mistakes=(
        Mistake(
            "counts_one_bias",
            "each layer and direction is counted with one bias. One would do, but PyTorch keeps two, "
            "`bias_ih` and `bias_hh`, and counts both.",
            PARAMETERS,
        ),
        Mistake(
            "forgets_the_biases",
            "the matrices are all counted, but no biases. PyTorch keeps two in each layer and "
            "direction, each with 4H entries.",
            PARAMETERS,
        ),
        Mistake(
            "gives_each_bias_H_numbers",
            "each bias is counted with H entries. A bias has an entry for each row of the stacked "
            "matrices, and these have four blocks of H rows.",
            PARAMETERS,
        ),
        Mistake(
            "counts_three_blocks",
            "the count is three quarters of the right one, as if there were three blocks of rows. There "
            "are three gates, but the candidate has weights of its own too, so there are four blocks.",
            PARAMETERS,
        ),
        Mistake(
            "counts_one_block",
            "the count is a quarter of the right one: it is that of a plain tanh RNN. Each of the three "
            "gates and the candidate has such a set of weights.",
            PARAMETERS,
        ),
        Mistake(
            "adds_peepholes",
            "the count is too large by 3H for each layer and direction, which is what peepholes would "
            "add. PyTorch's LSTM has none.",
            PARAMETERS,
        ),
        Mistake(
            "exchanges_the_sizes",
            "`input_size` and `hidden_size` have changed places. Rows and recurrent columns count the "
            "hidden units; the input is seen only by the columns of the first layer's `W_x`.",
            PARAMETERS,
        ),
        Mistake(
            "ignores_the_layers",
            "only the first layer is counted. Each further layer has weights of its own.",
            PARAMETERS,
        ),
        Mistake(
            "lets_every_layer_read_the_input",
            "every layer is counted as if it read the input. Only the first one does; a layer above it "
            "reads what the layer below puts out.",
            PARAMETERS,
        ),
        Mistake(
            "ignores_the_second_direction",
            "`bidirectional` has no influence. The second direction is an LSTM of its own in every "
            "layer, with its own weights.",
            PARAMETERS,
        ),
        Mistake(
            "lets_higher_layers_read_one_direction",
            "in a bidirectional LSTM the layers above the first are counted as if they read H numbers. "
            "They read the states of both directions side by side.",
            PARAMETERS,
        ),
        Mistake(
            "doubles_the_first_layer_only",
            "in a bidirectional LSTM only the first layer is counted with two directions. Every layer "
            "has two, and each layer above the first reads both directions of the layer below.",
            PARAMETERS,
        ),
    ),
)


EXERCISES = [
    CAROUSEL_STEP,
    LSTM_GATES_EXERCISE,
    LSTM_STEP,
    LSTM_FORWARD,
    FUSE_GATE_WEIGHTS,
    SET_FORGET_BIAS,
    PEEPHOLE_LSTM_STEP,
    LSTM_PARAMETER_COUNT,
]
