"""Chapter 6: what is asked about the GRU."""

from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare
from autograder.detail import first_and_later_states, with_gates
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "06-gru"
STEP = Section(CHAPTER, "gru-step", "The cell, line by line")
SEQUENCE = Section(CHAPTER, "gru-sequence", "A whole sequence")
RESET = Section(CHAPTER, "gru-reset", "Where the reset acts")
FLIP = Section(CHAPTER, "gru-flip", "What z = 1 means")
DIALECTS = Section(CHAPTER, "gru-dialects", "Four dialects, side by side")
BACKWARD = Section(CHAPTER, "gru-backward", "Backward through one GRU step")
DIRECT = Section(CHAPTER, "gru-direct", "The direct path")
PARAMETERS = Section(CHAPTER, "gru-parameters", "Three quarters, and when not")

RTOL, ATOL = 1e-9, 1e-12
VALUES, PURITY = "Values", "Leaves its inputs alone"
GATES = ("r", "z", "n")

Rng = np.random.Generator
Inputs = dict[str, Any]


def _cell(rng: Rng, D: int, H: int) -> Inputs:
    """Parameters whose gates stay within 0.2 and 0.8 for the most part; no entry is near zero."""
    return {
        "W_x": away_from_zero(rng, (3 * H, D), 0.5, 1.0) / np.sqrt(D),
        "W_h": away_from_zero(rng, (3 * H, H), 0.5, 1.0) / np.sqrt(H),
        "b_x": away_from_zero(rng, (3 * H,), 0.2, 0.5),
        "b_h": away_from_zero(rng, (3 * H,), 0.2, 0.5),
    }


def _inputs(rng: Rng, *shape: int) -> np.ndarray:
    return away_from_zero(rng, shape, 0.3, 1.0)


def _state(rng: Rng, B: int, H: int) -> np.ndarray:
    return away_from_zero(rng, (B, H), 0.2, 0.9)


# gru_step

STEP_SIZES = [  # kind, B, D, H
    ("values", 3, 5, 4),
    ("values", 2, 3, 3),
    ("values", 4, 2, 3),
    ("sizes", 1, 3, 2),
    ("sizes", 3, 1, 1),
    ("sizes", 1, 1, 1),
]
FROM_ZERO = "From a state of zeros"


def _step_cases(rng: Rng) -> list[Case]:
    cases = [
        Case(
            f"B = {B}, D = {D}, H = {H}",
            {"x": _inputs(rng, B, D), "h": _state(rng, B, H), **_cell(rng, D, H)},
            kind,
        )
        for kind, B, D, H in STEP_SIZES
    ]
    zero = {"x": _inputs(rng, 3, 4), "h": np.zeros((3, 2)), **_cell(rng, 4, 2)}
    zero["b_h"][4:] = 0  # nothing is left that the reset gate could act on
    return [*cases, Case("h = 0 and b_hn = 0", zero, "zero")]


GRU_STEP = Exercise(
    name="gru_step",
    chapter=CHAPTER,
    minutes=15,
    signature="x, h, W_x, W_h, b_x, b_h",
    see=STEP,
    cases=_step_cases,
    aspects=(
        Aspect(VALUES, 6, kinds=("values",)),
        Aspect(FROM_ZERO, 2, kinds=("zero",)),
        Aspect("One sequence, one unit", 1, kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "resets_before_the_product",
            "the reset gate multiplies the old state, and `W_hn` is applied afterwards, as in the "
            "paper of 2014. In PyTorch's cell the gate comes after: it multiplies, unit by unit, what "
            "the matrix has made of the old state.",
            RESET,
        ),
        Mistake(
            "leaves_b_hn_outside_the_reset",
            "the recurrent bias of the candidate is added after the reset gate has acted. In this "
            "cell it belongs to what is reset, together with `W_hn h`; that is why the candidate "
            "needs a second bias at all.",
            RESET,
        ),
        Mistake(
            "flips_the_update_gate",
            "`z` and `1 - z` have changed places, so that z = 1 takes the candidate. Both conventions "
            "are in use. Here, as in PyTorch, z = 1 keeps the old state.",
            FLIP,
        ),
        Mistake(
            "flips_the_update_gate_and_resets_before_the_product",
            "this is the GRU of many blogs and of Chung and others: z = 1 takes the candidate, and the reset "
            "gate multiplies the old state before `W_hn` does. PyTorch's cell differs in both: z = 1 keeps "
            "the old state, and the reset gate comes after the product.",
            DIALECTS,
        ),
        Mistake(
            "stacks_the_gates_z_r_n",
            "the first block of rows is taken for z and the second for r. That is the order of Keras; "
            "here the rows come in the order r, z, n.",
            DIALECTS,
        ),
        Mistake(
            "never_resets",
            "the reset gate has no influence: the candidate hears the old state in full, as if r were "
            "1. In the candidate, what comes from the old state is multiplied by r.",
            STEP,
        ),
        Mistake(
            "resets_the_input_too",
            "the reset gate multiplies the candidate's whole pre-activation. It decides how much of "
            "the past is heard; what comes from the input is not multiplied.",
            RESET,
        ),
        Mistake(
            "resets_both_biases",
            "the reset gate multiplies both of the candidate's biases. `b_hn` comes with the old state "
            "and is reset with it; `b_xn` comes with the input and is not.",
            RESET,
        ),
        Mistake(
            "adds_the_reset_gate",
            "the reset gate is added to the candidate's pre-activation, as one input more. A gate "
            "multiplies: r = 0 has to silence what comes from the old state.",
            RESET,
        ),
        Mistake(
            "mixes_in_the_reset_state",
            "in the last line the old state stands multiplied by r. The reset gate acts inside the "
            "candidate only; what is kept of the old state is decided by z alone.",
            STEP,
        ),
        Mistake(
            "squashes_the_candidate_by_a_sigmoid",
            "the candidate goes through the sigmoid, so it can never be negative. Only r and z are "
            "gates; the candidate is new content, and goes through the `tanh`.",
            STEP,
        ),
        Mistake(
            "squashes_the_gates_by_a_tanh",
            "r and z go through the `tanh`, so they run from -1 to 1. A gate says what share passes, "
            "between 0 and 1, which is what the sigmoid gives.",
            STEP,
        ),
        Mistake(
            "forgets_the_tanh",
            "the candidate is its own pre-activation, without the `tanh`. Squashed, it lies between -1 "
            "and 1, and so does every mixture of it with such a state.",
            STEP,
        ),
        Mistake(
            "squashes_the_new_state",
            "the new state goes through one more `tanh`, as in an LSTM's last line. A GRU has no such "
            "line: the mixture is the state, so z = 1 really leaves the old one as it was.",
            STEP,
        ),
        Mistake(
            "adds_the_whole_candidate",
            "the candidate is added in full, whatever z is. The two weights belong together: what z "
            "leaves of 1 is the candidate's share, so that the new state lies between the two.",
            STEP,
        ),
        Mistake(
            "keeps_nothing_of_the_old_state",
            "the candidate is weighed by `1 - z`, but the old state is not mixed in. Its share of the "
            "new state is z.",
            STEP,
        ),
        Mistake(
            "returns_the_candidate",
            "the candidate n is returned, and z is not used. The new state is a mixture of the "
            "candidate and the old state, with weights that z decides.",
            STEP,
        ),
        Mistake(
            "forgets_b_h",
            "the recurrent bias `b_h` is left out. It is added to the product with `W_h`, in all three "
            "blocks.",
            STEP,
        ),
        Mistake(
            "forgets_b_x",
            "the bias `b_x` is left out. It is added to the product with `W_x`, in all three blocks.",
            STEP,
        ),
        Mistake(
            "forgets_b_h_in_the_gates",
            "`b_h` is used in the candidate only. Its first two blocks belong to r and z, where they "
            "are added as `b_x` is.",
            STEP,
        ),
        Mistake(
            "forgets_b_h_in_the_candidate",
            "the last block of `b_h` is left out. It belongs to the candidate, where it is added to "
            "the product with `W_hn`, before the reset gate acts.",
            RESET,
        ),
        Mistake(
            "does_not_transpose_W_h",
            "each block of `W_h` is used the wrong way round: it is square, so the shapes do not show "
            "it. Its row i belongs to unit i; with the states as rows of a batch this asks for the "
            "transpose, just as with `W_x`.",
            STEP,
        ),
        Mistake(
            "writes_into_the_old_state",
            "the values are right, but something is written into the array `h` that was passed in, as "
            "`h[...] =`, `h *= ...` and `out=h` do. The caller may still need the old state: compute "
            "into a new array.",
            STEP,
        ),
    ),
)


# gru_step_cho


def _cho_cases(rng: Rng) -> list[Case]:
    cases = []
    for case in _step_cases(rng):
        inputs = dict(case.inputs)
        inputs["b"] = inputs.pop("b_x")
        del inputs["b_h"]
        name = "h = 0" if case.kind == "zero" else case.name
        cases.append(Case(name, inputs, case.kind))
    return cases


GRU_STEP_CHO = Exercise(
    name="gru_step_cho",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h, W_x, W_h, b",
    see=RESET,
    cases=_cho_cases,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect(FROM_ZERO, 1, kinds=("zero",)),
        Aspect("One sequence, one unit", 1, kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "resets_after_the_product",
            "the reset gate multiplies what `W_hn` has made of the old state, as PyTorch does. In the "
            "paper's form it comes first: unit by unit it multiplies the old state, and the matrix "
            "mixes what is left.",
            RESET,
        ),
        Mistake(
            "resets_after_the_product_and_the_bias_too",
            "the reset gate multiplies the product with `W_hn` and the bias `b_n`. In the paper's form "
            "it multiplies the old state, before the matrix does, and the bias is outside.",
            RESET,
        ),
        Mistake(
            "resets_the_input_too",
            "the reset gate multiplies the candidate's whole pre-activation. It acts on the old state, "
            "before `W_hn` does; neither the input nor the bias is multiplied.",
            RESET,
        ),
        Mistake(
            "adds_the_reset_gate",
            "the reset gate is added to the old state. This is what becomes of the formula when the "
            "product of r and h is written with a comma, or a plus. A gate multiplies: r = 0 has to "
            "silence the old state.",
            RESET,
        ),
        Mistake(
            "never_resets",
            "the reset gate has no influence: the candidate hears the old state in full, as if r were "
            "1. The candidate's matrix `W_hn` is applied to the old state multiplied by r.",
            RESET,
        ),
        Mistake(
            "resets_the_update_gate_too",
            "z is computed from the reset state, as happens when `h` is replaced by `r * h` too soon. "
            "Both gates hear the old state in full; only the candidate hears it reset.",
            RESET,
        ),
        Mistake(
            "mixes_in_the_reset_state",
            "in the last line the old state stands multiplied by r, as happens when the name `h` is "
            "given to the reset state. The reset acts inside the candidate only; what is kept of the "
            "old state is decided by z alone.",
            RESET,
        ),
        Mistake(
            "uses_the_reset_state_everywhere",
            "z, n and the last line are all made with the reset state, as happens when `h` is replaced by "
            "`r * h` as soon as r is known. Only the candidate hears it; z and the last line have the old "
            "state in full.",
            RESET,
        ),
        Mistake(
            "writes_the_reset_state_into_h",
            "the array `h` that was passed in is changed, and the reset state is mixed in by the last "
            "line. Both happen after `h *= r`, which writes into the caller's array. Give the reset "
            "state an array of its own.",
            RESET,
        ),
        Mistake(
            "flips_the_update_gate",
            "`z` and `1 - z` have changed places, so that z = 1 takes the candidate. That is the "
            "convention of Chung and others; here z = 1 keeps the old state.",
            FLIP,
        ),
        Mistake(
            "stacks_the_gates_z_r_n",
            "the first block of rows is taken for z and the second for r. That is the order of Keras; "
            "here the rows come in the order r, z, n.",
            DIALECTS,
        ),
        Mistake(
            "squashes_the_candidate_by_a_sigmoid",
            "the candidate goes through the sigmoid, so it can never be negative. Only r and z are "
            "gates; the candidate is new content, and goes through the `tanh`.",
            STEP,
        ),
        Mistake(
            "forgets_the_tanh",
            "the candidate is its own pre-activation, without the `tanh`. Squashed, it lies between -1 "
            "and 1, and so does every mixture of it with such a state.",
            STEP,
        ),
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out. It is added to the pre-activations of r, z and n.",
            STEP,
        ),
        Mistake(
            "adds_the_bias_twice",
            "the bias enters twice, as happens when one vector is used for both of PyTorch's. Here "
            "there is one bias, and it is added once.",
            RESET,
        ),
        Mistake(
            "keeps_nothing_of_the_old_state",
            "the candidate is weighed by `1 - z`, but the old state is not mixed in. Its share of the "
            "new state is z.",
            STEP,
        ),
        Mistake(
            "does_not_transpose_W_h",
            "each block of `W_h` is used the wrong way round: it is square, so the shapes do not show "
            "it. Its row i belongs to unit i; with the states as rows of a batch this asks for the "
            "transpose, just as with `W_x`.",
            STEP,
        ),
    ),
)


# gru_forward


def _forward_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 3, 2, 5),
        ("values", 3, 2, 4, 3),
        ("values", 5, 2, 3, 3),
        ("sizes", 1, 3, 4, 2),
        ("sizes", 3, 1, 2, 4),
        ("sizes", 4, 2, 1, 1),
    ]
    return [
        Case(
            f"T = {T}, B = {B}, D = {D}, H = {H}",
            {"x": _inputs(rng, T, B, D), "h0": _state(rng, B, H), **_cell(rng, D, H)},
            kind,
        )
        for kind, T, B, D, H in sizes
    ]


LATER = "The states after it"

GRU_FORWARD = Exercise(
    name="gru_forward",
    chapter=CHAPTER,
    minutes=5,
    signature="x, h0, W_x, W_h, b_x, b_h",
    see=SEQUENCE,
    cases=_forward_cases,
    compare=first_and_later_states,
    aspects=(
        Aspect("The state after the first input", 2, parts=("hs[0]",), kinds=("values",)),
        Aspect(LATER, 3, parts=("hs[1:]",), kinds=("values",)),
        Aspect("One step, one sequence, one unit", 1, kinds=("sizes",), needs=LATER),
        Aspect(PURITY, 1, of="purity", needs=LATER),
    ),
    mistakes=(
        Mistake(
            "starts_from_zeros",
            "the first step starts from a state of zeros, and `h0` is not used. It is an argument "
            "because a sequence may continue where another one ended.",
            SEQUENCE,
        ),
        Mistake(
            "never_hands_the_state_on",
            "every step starts from `h0`. Only the first one does; each later step starts from the "
            "state that the step before it returned.",
            SEQUENCE,
        ),
        Mistake(
            "hands_the_candidate_on",
            "what the next step starts from is the candidate n. It starts from the new state, which is "
            "the mixture of the candidate and the old state.",
            SEQUENCE,
        ),
        Mistake(
            "mixes_with_h0_at_every_step",
            "every step mixes its candidate with `h0`. Only the first one does; later steps mix it "
            "with the state of the step before, the same that their gates hear.",
            SEQUENCE,
        ),
        Mistake(
            "takes_the_gates_from_h0_at_every_step",
            "the gates of every step hear `h0`, while the candidate and the mixture follow the state. "
            "Both gates depend on the state of the step before, so they cannot be computed ahead of "
            "the loop.",
            SEQUENCE,
        ),
        Mistake(
            "returns_only_the_last_state",
            "the last state alone is returned, of shape (B, H). All states are asked for, (T, B, H), "
            "one after each step.",
            SEQUENCE,
        ),
        Mistake(
            "puts_h0_in_front",
            "`h0` is returned in front of the states, T + 1 of them in all. `hs[0]` is the state after "
            "the first input; the initial state is not part of `hs`.",
            SEQUENCE,
        ),
        Mistake(
            "stores_the_state_before_each_step",
            "each entry is the state before its step, not the one after it: `hs[0]` is `h0`, and the "
            "last state is missing. Store the state once the step has been done.",
            SEQUENCE,
        ),
        Mistake(
            "reads_the_sequence_backwards",
            "the inputs are read from the last to the first. A state depends on its own input and on "
            "the earlier ones, so the loop begins at t = 0.",
            SEQUENCE,
        ),
        Mistake(
            "gives_the_last_state_for_every_step",
            "all entries are the last state. This happens when one array is overwritten at each step "
            "and kept in a list T times. Make a new array at each step, or copy the values.",
            SEQUENCE,
        ),
        Mistake(
            "writes_every_state_into_h0",
            "all entries are the last state, and so is `h0`: the states were written, one over the other, "
            "into one array, the one that was passed in, as `h[...] =` does as long as `h` is `h0`. Make a "
            "new array at each step.",
            SEQUENCE,
        ),
        Mistake(
            "returns_inside_the_loop",
            "only the first state is filled in, the rest are zeros. Is the `return` indented as part of "
            "the loop? Then it ends the function after the first step.",
            SEQUENCE,
        ),
        Mistake(
            "resets_before_the_product",
            "at every step the reset gate multiplies the old state, and `W_hn` is applied afterwards, "
            "as in the paper of 2014. In PyTorch's cell the gate multiplies what comes out of the "
            "matrix product.",
            RESET,
        ),
        Mistake(
            "leaves_b_hn_outside_the_reset",
            "at every step the recurrent bias of the candidate is added after the reset gate has "
            "acted. In this cell it belongs to what is reset, together with `W_hn h`.",
            RESET,
        ),
        Mistake(
            "flips_the_update_gate",
            "at every step `z` and `1 - z` have changed places, so that z = 1 takes the candidate. "
            "Here, as in PyTorch, z = 1 keeps the old state.",
            FLIP,
        ),
        Mistake(
            "flips_the_update_gate_and_resets_before_the_product",
            "every step is that of the GRU of many blogs and of Chung and others: z = 1 takes the "
            "candidate, and the reset gate multiplies the old state before `W_hn` does. PyTorch's cell "
            "differs in both.",
            DIALECTS,
        ),
        Mistake(
            "stacks_the_gates_z_r_n",
            "the first block of rows is taken for z and the second for r. That is the order of Keras; "
            "here the rows come in the order r, z, n.",
            DIALECTS,
        ),
        Mistake(
            "does_not_transpose_W_h",
            "each block of `W_h` is used the wrong way round at every step: it is square, so the shapes "
            "do not show it. With the states as rows of a batch it stands transposed, as `W_x` does.",
            STEP,
        ),
        Mistake(
            "forgets_b_h",
            "the recurrent bias `b_h` is left out at every step. It is added to the product with "
            "`W_h`, in all three blocks.",
            STEP,
        ),
        Mistake(
            "writes_into_h0",
            "the states are right, but something is written into the array `h0` that was passed in. "
            "Statements such as `h[...] =`, `h *= ...` and `out=h` write into the caller's array as "
            "long as `h` is `h0`; let each step make a new array.",
            SEQUENCE,
        ),
    ),
)


# gru_step_backward


def _passed(x, h, W_x, W_h, b_x, b_h):
    """What a step leaves for its way back: r, z, n, and a before the reset gate."""
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=1)
    h_r, h_z, a = np.split(h @ W_h.T + b_h, 3, axis=1)
    r, z = 1 / (1 + np.exp(-x_r - h_r)), 1 / (1 + np.exp(-x_z - h_z))
    return {"r": r, "z": z, "n": np.tanh(x_n + r * a), "a": a}


def _backward_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 3, 4, 2),
        ("values", 2, 3, 3),
        ("sizes", 1, 3, 2),
        ("sizes", 2, 1, 1),
    ]
    cases = []
    for kind, B, D, H in sizes:
        x, h, cell = _inputs(rng, B, D), _state(rng, B, H), _cell(rng, D, H)
        inputs = {
            "dh_next": away_from_zero(rng, (B, H), 0.3, 1.5),
            "x": x,
            "h": h,
            **_passed(x, h, **cell),
            "W_x": cell["W_x"],
            "W_h": cell["W_h"],
        }
        cases.append(Case(f"B = {B}, D = {D}, H = {H}", inputs, kind))
    return cases


GRADIENTS = ("dx", "dh", "dW_x", "dW_h", "db_x", "db_h")


# The rows of a gate in the parameters' gradients are made of its delta, so they stand or fall with it.
# Only the candidate has two: on the recurrent side its delta has passed the reset gate.
DELTAS = {
    "dW_x": ("delta_r", "delta_z", "delta_n"),
    "db_x": ("delta_r", "delta_z", "delta_n"),
    "dW_h": ("delta_r", "delta_z", "r * delta_n"),
    "db_h": ("delta_r", "delta_z", "r * delta_n"),
}


TWIN = {"dW_x": "db_x", "db_x": "dW_x", "dW_h": "db_h", "db_h": "dW_h"}  # made of the same deltas


def _compare_by_delta(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, with the parameters' gradients told apart by gate.

    A delta is wrong where its rows are wrong in both arrays that are made of it. Where they are wrong
    in one alone, the delta is right, and what is wrong is how that array was made.
    """
    differences = compare(expected, got, GRADIENTS, RTOL, ATOL)
    found = [told for difference in differences for told in _by_delta(difference)]
    wrong = {(delta, array) for delta, array, _ in found if delta}
    return [
        replace(difference, part=delta) if delta and (delta, TWIN[array]) in wrong else difference
        for delta, array, difference in found
    ]


def _by_delta(difference: Difference) -> list[tuple[str, str, Difference]]:
    """For each gate whose rows are wrong: its delta, the array, and the difference in these rows."""
    array = difference.part
    deltas = DELTAS.get(array)
    if deltas is None or difference.expected is None:  # a wrong shape is the array's own fault
        return [("", array, difference)]
    H, found = len(difference.expected) // 3, []
    for k, delta in enumerate(deltas):
        rows, one_wrong = slice(k * H, k * H + H), difference.expected.copy()
        one_wrong[rows] = difference.got[rows]
        wrong = compare([difference.expected], [one_wrong], (array,), RTOL, ATOL)
        found += [
            (delta, array, replace(d, expected=d.expected[rows], got=d.got[rows])) for d in wrong
        ]
    return found


CANDIDATE = "Rows of n, input side: dW_x, db_x"

GRU_STEP_BACKWARD = Exercise(
    name="gru_step_backward",
    chapter=CHAPTER,
    minutes=30,
    signature="dh_next, x, h, r, z, n, a, W_x, W_h",
    see=BACKWARD,
    cases=_backward_cases,
    compare=_compare_by_delta,
    parts=GRADIENTS,
    aspects=(
        Aspect(CANDIDATE, 1, parts=("delta_n",), kinds=("values",)),
        Aspect(
            "Rows of n, recurrent side: dW_h, db_h", 2, parts=("r * delta_n",), kinds=("values",)
        ),
        Aspect("Rows of z, both sides", 1, parts=("delta_z",), kinds=("values",)),
        Aspect("Rows of r, both sides", 1, parts=("delta_r",), kinds=("values",)),
        Aspect(
            "From the deltas to dW and db", 2, parts=tuple(TWIN), kinds=("values",), needs=CANDIDATE
        ),
        Aspect("Gradient of the input, dx", 1, parts=("dx",), kinds=("values",)),
        Aspect("Gradient of the old state, dh", 2, parts=("dh",), kinds=("values",)),
        Aspect("One sequence, one unit", 1, kinds=("sizes",), needs=CANDIDATE),
        Aspect(PURITY, 1, of="purity", needs=CANDIDATE),
    ),
    mistakes=(
        Mistake(
            "forgets_the_direct_path",
            "`dh` holds what comes back through the gates and the candidate, but not what comes straight "
            "from the last line of the step. There the old state stands by itself, multiplied by z.",
            DIRECT,
        ),
        Mistake(
            "returns_the_direct_path_alone",
            "`dh` is the direct path alone. The old state also goes into r, z and n through `W_h`, and "
            "these three routes come back as well.",
            BACKWARD,
        ),
        Mistake(
            "keeps_all_on_the_direct_path",
            "`dh_next` enters `dh` as it is. In the last line of the step the old state is multiplied "
            "by z, so on the direct path the gradient is multiplied by z too.",
            DIRECT,
        ),
        Mistake(
            "flips_the_direct_path",
            "on the direct path the gradient is multiplied by `1 - z`. That is the candidate's share; "
            "the old state's share is z.",
            DIRECT,
        ),
        Mistake(
            "flips_the_update_gate",
            "this is the way back through the other convention, in which z = 1 takes the candidate. "
            "Here the old state is multiplied by z and the candidate by `1 - z`.",
            FLIP,
        ),
        Mistake(
            "has_the_difference_the_wrong_way_round",
            "the gradient at z has the wrong sign. Where z grows, the new state moves from the candidate "
            "to the old state, so the derivative is the old state minus the candidate.",
            BACKWARD,
        ),
        Mistake(
            "sends_only_the_old_state_to_the_update_gate",
            "the gradient at z is made with the old state alone. z stands twice in the last line of the "
            "step, and its second place, in `1 - z`, brings in the candidate.",
            BACKWARD,
        ),
        Mistake(
            "forgets_the_reset_on_the_recurrent_side",
            "the candidate's gradient goes to `W_hn`, `b_hn` and the old state as if there were no "
            "reset gate. Forward, r multiplies what comes from that side; backward, it multiplies what "
            "goes there. The input side has no such factor.",
            BACKWARD,
        ),
        Mistake(
            "forgets_the_reset_in_the_parameters",
            "`dh` is right, but in the candidate's rows of `dW_h` and `db_h` the reset gate is missing. "
            "`W_hn` and `b_hn` stand before r in the forward step, so what reaches them has been "
            "multiplied by r.",
            BACKWARD,
        ),
        Mistake(
            "gives_both_biases_the_same_gradient",
            "`db_h` is a copy of `db_x`. That holds for r and z, where the biases are simply added. In "
            "the candidate `b_hn` stands before the reset gate and `b_xn` does not.",
            BACKWARD,
        ),
        Mistake(
            "resets_the_input_side_too",
            "what goes to `W_xn`, `b_xn` and the input is multiplied by r in the candidate. The reset "
            "gate acts on the recurrent side only, so the two sides need different deltas in their "
            "last block.",
            BACKWARD,
        ),
        Mistake(
            "takes_h_for_a",
            "the gradient at the reset gate is made with the old state `h`. What r multiplies in this "
            "cell is `a`, the old state after the matrix and the bias.",
            RESET,
        ),
        Mistake(
            "leaves_the_bias_out_of_a",
            "the gradient at the reset gate is made with `W_hn h`, without the bias `b_hn`. What r "
            "multiplies is `a`, with its bias, and it is given: there is nothing to recompute.",
            BACKWARD,
        ),
        Mistake(
            "goes_back_through_the_other_cell",
            "this is the way back through the cell of the 2014 paper, where r multiplies the old state "
            "before `W_hn` does. Here r multiplies `a`, what comes out of the matrix.",
            RESET,
        ),
        Mistake(
            "skips_the_tanh",
            "the gradient passes the candidate as if there were no `tanh`. What arrives at n has to be "
            "multiplied by the slope of the `tanh` there.",
            BACKWARD,
        ),
        Mistake(
            "does_not_square_the_candidate",
            "the slope of the `tanh` is taken as one minus n. With n = tanh(...), the derivative is one "
            "minus the square of n.",
            BACKWARD,
        ),
        Mistake(
            "leaves_the_tanh_out_of_the_reset_gate",
            "the gradient goes to the reset gate without the slope of the `tanh`. r stands inside the "
            "candidate, so what reaches it has come back through the `tanh` first.",
            BACKWARD,
        ),
        Mistake(
            "skips_the_slopes_of_the_gates",
            "the gradients at r and z are taken for those at their pre-activations. Each gate is a "
            "sigmoid, whose slope still has to be multiplied in.",
            BACKWARD,
        ),
        Mistake(
            "applies_the_sigmoid_again",
            "the slopes of the gates are computed from `sigmoid(r)` and `sigmoid(z)`. What is given has "
            "been through the sigmoid already, and the slope follows from it directly.",
            BACKWARD,
        ),
        Mistake(
            "sends_nothing_through_the_reset_gate",
            "nothing goes back through r, as if the reset gate were a constant. It depends on the input "
            "and the old state, and it has rows of its own in all four parameters.",
            BACKWARD,
        ),
        Mistake(
            "multiplies_dh_by_the_transpose",
            "in `dh` each block of `W_h` stands transposed: it is square, so the shapes do not show it. "
            "The forward step multiplies rows by the transposes, and the way back multiplies by the "
            "transpose of what the forward step used.",
            BACKWARD,
        ),
        Mistake(
            "stacks_the_gates_z_r_n",
            "the first block of rows is taken for z and the second for r. That is the order of Keras; "
            "here the rows come in the order r, z, n, in the parameters and in their gradients.",
            DIALECTS,
        ),
        Mistake(
            "uses_the_new_state_in_dW_h",
            "`dW_h` is built with the new state. In the forward step `W_h` multiplies the state that "
            "enters, `h`, so `h` is what its gradient is made of.",
            BACKWARD,
        ),
        Mistake(
            "averages_over_the_batch",
            "the gradients of the parameters are divided by the batch size B. Any 1/B is already in "
            "`dh_next`: over the batch, gradients add.",
            BACKWARD,
        ),
        Mistake(
            "writes_into_dh_next",
            "the gradients are right, but `dh_next` is not what it was: something is written into it, as "
            "`*=` and `+=` do to the array behind the name. The caller may need it once more.",
            BACKWARD,
        ),
    ),
)


# flip_update_gate


def _flip_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 4),
        ("values", 3, 3),
        ("values", 2, 3),
        ("sizes", 3, 1),
        ("sizes", 1, 2),
        ("sizes", 1, 1),
    ]
    return [Case(f"D = {D}, H = {H}", _cell(rng, D, H), kind) for kind, D, H in sizes]


FLIPPED = ("W_x", "W_h", "b_x", "b_h")


def _compare_flipped(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, except that r and z may have their bias in either of the two vectors.

    In these gates the two biases are simply added, so only their sum acts.
    """
    if not any(d.got is None for d in compare(expected, got, FLIPPED, RTOL, ATOL)):
        (W_x, W_h, b_x, b_h), biases = got, expected[2:]
        same = np.isclose(b_x + b_h, sum(biases), RTOL, ATOL)
        same[2 * len(same) // 3 :] = False  # in the candidate each bias has its own place
        got = [W_x, W_h, np.where(same, biases[0], b_x), np.where(same, biases[1], b_h)]
    found = compare(expected, got, FLIPPED, RTOL, ATOL)
    return [with_gates(d, FLIPPED, GATES) for d in found]


W_X = "Input weights, W_x"

FLIP_UPDATE_GATE = Exercise(
    name="flip_update_gate",
    chapter=CHAPTER,
    minutes=10,
    signature="W_x, W_h, b_x, b_h",
    see=FLIP,
    cases=_flip_cases,
    compare=_compare_flipped,
    parts=FLIPPED,
    aspects=(
        Aspect(W_X, 1, parts=("W_x",), kinds=("values",)),
        Aspect("Recurrent weights, W_h", 1, parts=("W_h",), kinds=("values",)),
        Aspect("Biases, b_x and b_h", 2, parts=("b_x", "b_h"), kinds=("values",)),
        Aspect("One input, one unit", 1, kinds=("sizes",), needs=W_X),
        Aspect(PURITY, 1, of="purity", needs=W_X),
    ),
    mistakes=(
        Mistake(
            "negates_the_reset_gate",
            "the rows of r, the first block, are negated. What changes its meaning is the update gate, "
            "the second block.",
            FLIP,
        ),
        Mistake(
            "negates_the_candidate",
            "the rows of n, the last block, are negated. This turns the sign of the candidate. What has "
            "to become one minus itself is the update gate, the second block.",
            FLIP,
        ),
        Mistake(
            "negates_both_gates",
            "the rows of r and z are negated. The reset gate means the same in both conventions; only "
            "the update gate is read the other way round.",
            FLIP,
        ),
        Mistake(
            "negates_everything",
            "all parameters are negated, so that r and the candidate change as well. Only z has to "
            "become one minus itself.",
            FLIP,
        ),
        Mistake(
            "leaves_the_biases",
            "the weights are right, but the biases are as they were. The sigmoid of minus a is one minus "
            "the sigmoid of a only if the whole pre-activation changes its sign, and the biases are part "
            "of it.",
            FLIP,
        ),
        Mistake(
            "leaves_b_h",
            "all is right except `b_h`, which is as it was. The update gate adds both biases, so both of "
            "them change their sign in its rows.",
            FLIP,
        ),
        Mistake(
            "leaves_the_recurrent_side",
            "`W_x` and `b_x` are right, but `W_h` and `b_h` are as they were. The whole pre-activation "
            "of z has to change its sign, also what comes from the old state.",
            FLIP,
        ),
        Mistake(
            "negates_only_the_biases",
            "the biases are right, but the weights are as they were. The whole pre-activation of z has to "
            "change its sign, for every input and every state.",
            FLIP,
        ),
        Mistake(
            "exchanges_r_and_z",
            "the blocks of r and z have changed places. That translates between two orders of the gates. "
            "Here the order stays, and z has to become one minus itself.",
            DIALECTS,
        ),
        Mistake(
            "subtracts_the_parameters_from_one",
            "the parameters of z are subtracted from 1. It is the gate, behind the sigmoid, that becomes "
            "one minus itself: what has to happen to a for the sigmoid of a to become that?",
            FLIP,
        ),
        Mistake(
            "takes_reciprocals",
            "the parameters of z are replaced by one over themselves. The gate is to become one minus "
            "itself: what has to happen to a for the sigmoid of a to become that?",
            FLIP,
        ),
        Mistake(
            "takes_every_third_row",
            "every third row is negated, as if the rows of the three gates took turns. They are stacked "
            "in blocks: H rows of r, then H rows of z, then H rows of n.",
            FLIP,
        ),
        Mistake(
            "writes_into_the_given_parameters",
            "the values are right, but the arrays that were passed in are changed. The caller's network "
            "then computes something else. Make new arrays.",
            FLIP,
        ),
    ),
)


# gru_parameter_count


def _count_cases(rng: Rng) -> list[Case]:
    def case(kind: str, D: int, H: int, *more) -> Case:
        names = ("input_size", "hidden_size", "num_layers", "bidirectional")
        inputs = dict(zip(names, (D, H, *more), strict=False))
        told = f"{D} inputs, {H} units"
        if more:
            told += f", {more[0]} layer{'s' if more[0] > 1 else ''}"
        if len(more) > 1:
            told += ", both directions" if more[1] else ", one direction"
        return Case(told, inputs, kind)

    def two(low: int, high: int) -> list[int]:
        return [int(n) for n in rng.choice(np.arange(low, high), size=2, replace=False)]

    same = int(rng.integers(4, 20))
    return [
        case("one", *two(3, 12)),
        case("one", *two(12, 40)),
        case("one", same, same),
        case("one", 1, 1),
        case("one", *two(300, 3000)),
        case("layers", *two(3, 12), 2),
        case("layers", *two(3, 20), int(rng.integers(3, 6)), False),
        case("both", *two(3, 12), 1, True),
        case("both", *two(3, 20), 2, True),
        case("both", *two(3, 20), int(rng.integers(3, 6)), True),
    ]


ONE = "One layer, one direction"

GRU_PARAMETER_COUNT = Exercise(
    name="gru_parameter_count",
    chapter=CHAPTER,
    minutes=5,
    signature="input_size, hidden_size, num_layers=1, bidirectional=False",
    see=PARAMETERS,
    cases=_count_cases,
    aspects=(
        Aspect(ONE, 2, kinds=("one",)),
        Aspect("Several layers", 1, kinds=("layers",), needs=ONE),
        Aspect("Both directions", 2, kinds=("both",), needs=ONE),
    ),
    mistakes=(
        Mistake(
            "counts_an_lstm",
            "four blocks are counted, as in an LSTM. A GRU has three: r, z and n.",
            PARAMETERS,
        ),
        Mistake(
            "counts_two_blocks",
            "two blocks are counted, those of the two gates. The candidate has weights and biases of its "
            "own, which makes three blocks.",
            PARAMETERS,
        ),
        Mistake(
            "counts_one_block",
            "one block is counted, as in a vanilla RNN. r, z and n each have such a block of their own.",
            PARAMETERS,
        ),
        Mistake(
            "counts_one_bias",
            "one bias is counted for each of r, z and n. PyTorch's module holds two, one for the input "
            "side and one for the recurrent side.",
            PARAMETERS,
        ),
        Mistake(
            "forgets_the_biases",
            "the matrices are counted, but no bias. PyTorch's module holds two bias vectors in each layer "
            "and direction.",
            PARAMETERS,
        ),
        Mistake(
            "gives_the_recurrent_bias_to_the_candidate_alone",
            "the candidate is counted with two biases, r and z with one each. One would do for r and z, "
            "where only the sum acts. But PyTorch's module holds both, and counts them as parameters.",
            PARAMETERS,
        ),
        Mistake(
            "lets_every_layer_read_the_input",
            "every layer is counted as large as the first. A later layer reads the states of the layer "
            "below it, so its input weights have another number of columns.",
            PARAMETERS,
        ),
        Mistake(
            "lets_later_layers_read_one_direction",
            "with two directions, the count is twice that for one. But each direction of a later layer "
            "reads the states of both directions below it, side by side.",
            PARAMETERS,
        ),
        Mistake(
            "ignores_the_direction",
            "`bidirectional` has no effect. The second direction is a network of its own, with its own "
            "parameters in every layer.",
            PARAMETERS,
        ),
        Mistake(
            "ignores_the_layers",
            "`num_layers` has no effect: only the first layer is counted.",
            PARAMETERS,
        ),
        Mistake(
            "doubles_the_state_for_two_directions",
            "with two directions, the count is that of one network with twice as many units. Such a network "
            "has weights between the two directions, but they do not hear each other.",
            PARAMETERS,
        ),
    ),
)


# matching_gru_width

# Pairs (input_size, lstm_hidden), chosen for what they tell apart. In all of them neither 4/3 nor the
# root of 4/3 times the LSTM's width is the answer.
ROUNDED_DOWN = [
    *((16, 108), (26, 81), (36, 13), (36, 103), (58, 16), (60, 87), (64, 99), (66, 63)),
    *((73, 103), (74, 45), (76, 120), (77, 127), (84, 77), (85, 101), (118, 18), (119, 86)),
]
ROUNDED_UP = [
    *((8, 66), (14, 94), (20, 42), (24, 84), (27, 65), (40, 85), (43, 102), (48, 35)),
    *((50, 25), (69, 38), (78, 27), (80, 32), (84, 75), (88, 50), (100, 87), (121, 62)),
]
WITH_ONE_BIAS_OTHERWISE = [
    *((6, 45), (12, 113), (15, 17), (17, 111), (26, 88), (39, 41), (47, 69), (51, 74)),
    *((59, 27), (67, 70), (68, 64), (73, 41), (75, 110), (79, 103), (81, 40), (106, 58)),
]
WITHOUT_BIAS_OTHERWISE = [
    *((3, 21), (4, 85), (5, 14), (5, 59), (15, 42), (33, 61), (34, 73), (36, 60)),
    *((48, 57), (53, 117), (60, 78), (69, 47), (78, 68), (80, 103), (103, 43), (125, 51)),
]
TIES = [
    *((5, 26), (5, 71), (15, 6), (15, 54), (23, 21), (23, 45), (29, 20), (29, 68)),
    *((39, 24), (39, 96), (47, 9), (69, 31), (69, 58), (93, 16), (95, 12), (117, 37)),
]
ONE_PARAMETER_NEARER = [  # to the smaller width, although the exact solution rounds up
    *((4, 20), (4, 65), (16, 11), (16, 41), (52, 5), (64, 17), (88, 83), (124, 122)),
]
RATIO_OTHERWISE = [  # nearest in the number of parameters, but another width is nearest in proportion
    *((14, 48), (22, 33), (26, 38), (46, 57), (51, 86), (58, 78), (70, 87), (74, 98)),
]


def _width_cases(rng: Rng) -> list[Case]:
    def case(kind: str, pair) -> Case:
        D, H = map(int, pair)
        told = f"D = {D}, an LSTM of {H}"
        return Case(told, {"input_size": D, "lstm_hidden": H}, kind)

    lists = (ROUNDED_DOWN, ROUNDED_UP, WITH_ONE_BIAS_OTHERWISE, WITHOUT_BIAS_OTHERWISE)
    same = rng.integers(20, 200)
    return [
        *(case("values", rng.choice(pairs)) for pairs in lists),
        case("values", (same, same)),
        case("values", rng.integers(300, 1500, size=2)),
        case("close", rng.choice(TIES)),
        case("close", (5, 2)),
        case("close", rng.choice(ONE_PARAMETER_NEARER)),
        case("close", rng.choice(RATIO_OTHERWISE)),
        case("small", (1, 1)),
        case("small", (rng.integers(2, 9), 1)),
        case("small", (rng.integers(40, 90), 2)),
    ]


NEAREST = "The nearest width"

MATCHING_GRU_WIDTH = Exercise(
    name="matching_gru_width",
    chapter=CHAPTER,
    minutes=10,
    signature="input_size, lstm_hidden",
    see=PARAMETERS,
    cases=_width_cases,
    aspects=(
        Aspect(NEAREST, 3, kinds=("values",)),
        Aspect("Ties, and nearly ties", 1, kinds=("close",), needs=NEAREST),
        Aspect("An LSTM of one or two units", 1, kinds=("small",), needs=NEAREST),
    ),
    mistakes=(
        Mistake(
            "takes_four_thirds",
            "the width is 4/3 of the LSTM's, rounded. That would be right if the count grew in "
            "proportion to the width. But the recurrent matrix grows with its square, so less is enough.",
            PARAMETERS,
        ),
        Mistake(
            "takes_four_thirds_rounded_down",
            "the width is 4/3 of the LSTM's, rounded down. 4/3 would be right if the count grew in "
            "proportion to the width. But the recurrent matrix grows with its square, so less is enough.",
            PARAMETERS,
        ),
        Mistake(
            "takes_the_root_of_four_thirds",
            "the width is the LSTM's times the root of 4/3, rounded. That would be right if there were "
            "only recurrent weights, which grow with the square of the width. The input weights and the "
            "biases grow in proportion to it.",
            PARAMETERS,
        ),
        Mistake(
            "counts_one_bias",
            "the counts have one bias for each block, on both sides. PyTorch's modules hold two, which "
            "moves the nearest width now and then.",
            PARAMETERS,
        ),
        Mistake(
            "counts_no_bias",
            "the counts have no biases. PyTorch's modules hold two for each block, which moves the "
            "nearest width now and then.",
            PARAMETERS,
        ),
        Mistake(
            "stays_below",
            "this is the largest width at which the GRU is not larger than the LSTM. The next width is "
            "sometimes nearer in its count, although it is above.",
            PARAMETERS,
        ),
        Mistake(
            "goes_above",
            "this is the smallest width at which the GRU is not smaller than the LSTM. The width before "
            "it is sometimes nearer in its count, although it is below.",
            PARAMETERS,
        ),
        Mistake(
            "takes_the_larger_on_a_tie",
            "all is right except where two widths are equally near: there the smaller one is asked for.",
            PARAMETERS,
        ),
        Mistake(
            "compares_ratios",
            "the width is the one whose count is nearest in proportion. Nearest is asked in the number of "
            "parameters: compare differences.",
            PARAMETERS,
        ),
        Mistake(
            "rounds_the_exact_solution",
            "the width at which the counts would be equal is rounded to an integer. Nearest in the width "
            "is not quite nearest in the count, which grows faster and faster: where the solution lies just "
            "above a half, the smaller width may still be as near, or nearer. Compare the counts of the two.",
            PARAMETERS,
        ),
        Mistake(
            "matches_the_other_way_round",
            "this is the width of the LSTM that matches a GRU of the given width. Given is the LSTM's; the "
            "GRU has one block less, so it may be wider.",
            PARAMETERS,
        ),
    ),
)


# update_highway


def _highway_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 3, 4),
        ("values", 4, 2, 2),
        ("values", 3, 3, 3),
        ("values", 7, 2, 1),
        ("sizes", 1, 3, 2),
        ("sizes", 2, 1, 3),
        ("sizes", 6, 1, 1),
    ]
    cases = [
        Case(f"T = {T}, B = {B}, H = {H}", {"z": rng.uniform(0.2, 0.8, size=(T, B, H))}, kind)
        for kind, T, B, H in sizes
    ]
    closed = rng.uniform(0.2, 0.8, size=(6, 2, 3))
    closed[rng.permutation(6)[:3], 0, range(3)] = 0.0
    closed[rng.permutation(6)[:3], 1, range(3)] = 1.0
    closed[int(rng.integers(2, 5)), 1, 0] = 0.0
    return [*cases, Case("some gates exactly 0 or 1, T = 6", {"z": closed}, "closed")]


UPDATE_HIGHWAY = Exercise(
    name="update_highway",
    chapter=CHAPTER,
    minutes=5,
    signature="z",
    see=DIRECT,
    cases=_highway_cases,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("One step, one sequence", 1, kinds=("sizes",), needs=VALUES),
        Aspect("Gates that are closed, or open", 1, kinds=("closed",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "takes_one_minus_z",
            "the factors are 1 - z. That is the old state's share in the other convention. In PyTorch's "
            "the old state is multiplied by z.",
            FLIP,
        ),
        Mistake(
            "includes_its_own_gate",
            "entry t contains the gate of step t itself. That gate acts on the way into h_t. From h_t to "
            "the end only the gates of the later steps act, so the last entry is an empty product, 1.",
            DIRECT,
        ),
        Mistake(
            "is_one_gate_early",
            "entry t contains the gates from step t on, without that of the last step. The way from h_t "
            "to the end begins with the gate of step t + 1 and ends with the last.",
            DIRECT,
        ),
        Mistake(
            "multiplies_from_the_start",
            "entry t is the product of the gates from the first step up to t. That is how much of `h0` is "
            "left in h_t. Asked is how much of h_t is left at the end.",
            DIRECT,
        ),
        Mistake(
            "looks_from_the_first_state",
            "entry t is the product of the gates after the first step, up to t: how much of the first "
            "state is left in h_t. Asked is how much of h_t is left at the end.",
            DIRECT,
        ),
        Mistake(
            "orders_by_lag",
            "the products are right, but they stand in the opposite order, by lag. Entry t belongs to "
            "h_t, so the last entry, not the first, is ones.",
            DIRECT,
        ),
        Mistake(
            "takes_single_steps",
            "entry t is the gate of the next step alone. From h_t to the end there is one gate for every "
            "later step, and they are multiplied.",
            DIRECT,
        ),
        Mistake(
            "gives_the_whole_product_everywhere",
            "every entry is the product of all gates. The way from h_t to the end has only the gates of "
            "the steps after t. (It also comes from one array that is multiplied in place and kept in a list: "
            "the list then holds that same array T times.)",
            DIRECT,
        ),
        Mistake(
            "runs_along_the_batch",
            "the products run along axis 1, which counts the sequences. Time comes first: the gates of "
            "different steps are multiplied, and sequences have nothing to do with each other.",
            DIRECT,
        ),
        Mistake(
            "divides_products",
            "the product of all gates is divided by the product of the first ones, or sums of their logarithms "
            "are subtracted, which is the same. Where a gate is exactly 0, that is 0/0, or infinity from itself. "
            "Multiply the gates that belong to an entry, from the end to the front.",
            DIRECT,
        ),
        Mistake(
            "writes_into_z",
            "the result is right, but where there is more than one step, `z` is not what it was: "
            "something is written into it, as `*=` does to the array behind the name. Fill a new array.",
            DIRECT,
        ),
    ),
)

EXERCISES = [
    GRU_STEP,
    GRU_STEP_CHO,
    GRU_FORWARD,
    GRU_STEP_BACKWARD,
    FLIP_UPDATE_GATE,
    GRU_PARAMETER_COUNT,
    MATCHING_GRU_WIDTH,
    UPDATE_HIGHWAY,
]
