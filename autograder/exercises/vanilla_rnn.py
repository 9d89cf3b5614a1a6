"""Chapter 1: what is asked about the vanilla RNN."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare, describe
from autograder.detail import first_and_later_states
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "01-vanilla-rnn"
STEP = Section(CHAPTER, "rnn-step", "One step")
UNROLL = Section(CHAPTER, "rnn-unroll", "Many steps")
SIGMOID_SECTION = Section(CHAPTER, "rnn-sigmoid", "Squashing functions, computed safely")
LOSS = Section(CHAPTER, "rnn-loss", "Reading out: softmax and cross-entropy")
SAMPLING = Section(CHAPTER, "rnn-sampling", "Choosing a token: temperature")
PARAMETERS = Section(CHAPTER, "rnn-parameters", "Counting parameters")
TORCH = Section(CHAPTER, "rnn-torch", "The same network in PyTorch")

RTOL, ATOL = 1e-9, 1e-12
Rng = np.random.Generator
Inputs = dict[str, Any]


def _cell(rng: Rng, D: int, H: int) -> Inputs:
    """Weights of a cell that does not saturate; no entry can be left out unseen."""
    return {
        "W_x": away_from_zero(rng, (H, D), 0.4, 1.0) / np.sqrt(D),
        "W_h": away_from_zero(rng, (H, H), 0.4, 1.0) / np.sqrt(H),
        "b": away_from_zero(rng, (H,), 0.2, 0.7),
    }


# sigmoid


def _sigmoid_cases(rng: Rng) -> list[Case]:
    cases = [
        Case(f"shape {shape}", {"a": away_from_zero(rng, shape, 0.3, 4.0)})
        for shape in [(3, 4), (5,), (2, 3, 2)]
    ]
    large = np.array([22.0, 31.0, 45.0, 800.0, 1e4]) + rng.uniform(0, 1, size=5)
    both = rng.permutation([*large[1:], *(-large[1:] - 0.5)]).reshape(2, 4)
    return [
        *cases,
        Case("a 0-d array", {"a": np.array(-rng.uniform(0.5, 2.0))}, "numbers"),
        Case("a Python number", {"a": float(rng.uniform(0.5, 2.0))}, "numbers"),
        Case("from 22 to 1e4", {"a": large}, "large"),
        Case("from -22 to -1e4", {"a": -large[::-1].copy()}, "large"),
        Case("from -1e4 to 1e4, in no order", {"a": both}, "large"),
        Case("the Python number 1e4", {"a": 1e4}, "large"),
        Case("the Python number -1e4", {"a": -1e4}, "large"),
        Case("a 0-d array of 1e4", {"a": np.array(1e4)}, "large"),
        Case("a 0-d array of -1e4", {"a": np.array(-1e4)}, "large"),
    ]


SIGMOID = Exercise(
    name="sigmoid",
    chapter=CHAPTER,
    minutes=10,
    signature="a",
    see=SIGMOID_SECTION,
    cases=_sigmoid_cases,
    rtol=0.0,  # what is asked for is absolute accuracy
    aspects=(
        Aspect("Values", 3, kinds=("values",)),
        Aspect("Numbers and 0-d arrays", 1, kinds=("numbers",), needs="Values"),
        Aspect("Values far from zero", 1, kinds=("large",), needs="Values"),
        Aspect("No overflow warning", 2, of="quiet", kinds=("large",), needs="Values"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Values"),
    ),
    mistakes=(
        Mistake(
            "overflows_at_large_negative_numbers",
            "the values are right, but at large negative numbers an exponential overflows and NumPy "
            "warns. That of -a does so, since -a is large and positive there. For negative a there "
            "is another form of the same fraction, in which the exponent is a itself.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "overflows_at_both_ends",
            "the values are right, but both at large positive and at large negative numbers an "
            "exponential of a large positive number overflows on the way, and NumPy warns. This is "
            "so, for one, when both forms are computed for every entry and `np.where` chooses "
            "afterwards: what it throws away has overflowed all the same. No exponent may be "
            "positive anywhere.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "divides_infinity_by_infinity",
            "at large positive numbers the result is nan, because exp(a) overflows to infinity in the "
            "numerator and in the denominator. That form of the fraction is safe for negative a only; "
            "for positive a use the one with exp(-a).",
            SIGMOID_SECTION,
        ),
        Mistake(
            "chooses_one_form_for_the_whole_array",
            "arrays of one sign are right, but where an array holds large numbers of both signs, the "
            "large positive ones become nan, as they do in the form that is safe for negative a "
            "only. Which form is safe depends on the sign of each entry; one test for the whole "
            "array cannot decide it.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "has_the_wrong_sign_in_the_exponent",
            "the results are the sigmoid of -a, so they fall where they should rise. The exponent in "
            "1 / (1 + e^...) is minus a: a large positive number gives a value near 1.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "does_not_halve_the_argument",
            "the results are the sigmoid of 2a: the curve is twice as steep. The tanh runs twice as "
            "fast as the sigmoid, so in (1 + tanh(...)) / 2 the argument is half of a.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "returns_the_tanh",
            "the results are tanh(a), between -1 and 1. The sigmoid lies between 0 and 1 and is one "
            "half at zero; the two are related, but not the same.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "forgets_the_negative_side",
            "the results are the sigmoid of |a|, never below one half. Making the exponent negative "
            "is right, but for negative a it is the other form of the fraction that has to be used.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "clips_at_20",
            "the argument is held between -20 and 20. The sigmoid of -20 is 2e-9 and not yet zero, so "
            "beyond these limits the results are off by that much. Nothing needs to be cut off where "
            "the exponent is never positive.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "returns_the_slope",
            "the results are s (1 - s), the slope of the sigmoid s. What is asked is its value.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "gives_an_array_for_a_number",
            "arrays are right, but a single number comes back as an array of shape (1,). The result "
            "is like the argument: a number for a number. An expression without indexing, or a "
            "reshape to the shape of the argument at the end, does this by itself.",
            SIGMOID_SECTION,
        ),
        Mistake(
            "overwrites_its_input",
            "the values are right, but something is written into every array that is passed in. "
            "Assignments such as `a[...] =`, `a *= -1` or `out=a` write into the caller's array; "
            "compute into a new one.",
            SIGMOID_SECTION,
        ),
    ),
)


# rnn_step


def _step_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 3, 5, 4),
        ("values", 2, 3, 3),
        ("values", 3, 3, 3),
        ("values", 4, 2, 4),
        ("sizes", 1, 2, 3),
        ("sizes", 4, 1, 1),
        ("sizes", 1, 1, 1),
    ]
    return [
        Case(
            f"B = {B}, D = {D}, H = {H}",
            {
                "x": rng.normal(size=(B, D)),
                "h": away_from_zero(rng, (B, H), 0.2, 0.9),
                **_cell(rng, D, H),
            },
            kind,
        )
        for kind, B, D, H in sizes
    ]


RNN_STEP = Exercise(
    name="rnn_step",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h, W_x, W_h, b",
    see=STEP,
    cases=_step_cases,
    aspects=(
        Aspect("Values", 5, kinds=("values",)),
        Aspect("One sequence, one unit", 2, kinds=("sizes",), needs="Values"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Values"),
    ),
    mistakes=(
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out. Add it to the pre-activation, before `tanh`.",
            STEP,
        ),
        Mistake(
            "does_not_transpose_W_h",
            "`W_h` is used the wrong way round: it is square, so the shapes do not show it. Its row i "
            "belongs to unit i of the new state, and with the states as rows this asks for the "
            "transpose, just as with `W_x`.",
            STEP,
        ),
        Mistake(
            "multiplies_columns",
            "the matrices stand on the left of `x` and `h`, as in the equation for one column. In a "
            "batch each sequence is a row, so the product is written the other way round; where "
            "B = D = H the shapes happen to fit and only the numbers are wrong.",
            STEP,
        ),
        Mistake(
            "returns_the_transpose",
            "the result is right but transposed, of shape (H, B). The new state has the shape of the "
            "old one, (B, H): one row for each sequence.",
            STEP,
        ),
        Mistake(
            "adds_the_bias_as_a_column",
            "the bias is added along the wrong axis: entry i of `b` goes to row i, which is a "
            "sequence. It belongs to unit i, which is a column of the `(B, H)` array; a bias of shape "
            "`(H,)` is broadcast that way by itself.",
            STEP,
        ),
        Mistake(
            "forgets_the_tanh",
            "the result is the pre-activation. The new state is its `tanh`, entry by entry.",
            STEP,
        ),
        Mistake(
            "uses_the_sigmoid",
            "the pre-activation goes through the sigmoid. In this cell it goes through the `tanh`, "
            "so that a state can be negative as well.",
            STEP,
        ),
        Mistake(
            "adds_the_bias_after_the_tanh",
            "the bias is added to the result of the `tanh`. It belongs to the pre-activation, inside; "
            "else the state leaves the interval from -1 to 1.",
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
            "the old state `h` has no influence: the result is an ordinary layer applied to `x`. The "
            "term with `W_h` is what makes the network recurrent.",
            STEP,
        ),
        Mistake(
            "adds_the_old_state_without_W_h",
            "the old state is added as it is, without `W_h`. Each unit hears all units of the old "
            "state, weighed by its row of `W_h`.",
            STEP,
        ),
        Mistake(
            "squashes_the_old_state_instead",
            "the `tanh` is applied to the old state before `W_h`, and the sum is returned as it is. "
            "Some papers write the network in this form, but then the state is another quantity, the "
            "pre-activation. Here the `tanh` acts on the whole sum.",
            STEP,
        ),
        Mistake(
            "writes_into_the_old_state",
            "the values are right, but something is written into the array `h` that was passed in, "
            "as `h[...] =`, `h += ...` and `out=h` do. The caller may still need the old state: "
            "compute into a new array.",
            STEP,
        ),
    ),
)


# rnn_forward


def _forward_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 3, 2, 5),
        ("values", 3, 3, 4, 2),
        ("values", 5, 2, 3, 3),
        ("sizes", 1, 3, 4, 2),
        ("sizes", 3, 1, 2, 4),
        ("sizes", 4, 2, 1, 1),
    ]
    return [
        Case(
            f"T = {T}, B = {B}, D = {D}, H = {H}",
            {
                "x": rng.normal(size=(T, B, D)),
                "h0": away_from_zero(rng, (B, H), 0.2, 0.9),
                **_cell(rng, D, H),
            },
            kind,
        )
        for kind, T, B, D, H in sizes
    ]


RNN_FORWARD = Exercise(
    name="rnn_forward",
    chapter=CHAPTER,
    minutes=15,
    signature="x, h0, W_x, W_h, b",
    see=UNROLL,
    cases=_forward_cases,
    compare=first_and_later_states,
    aspects=(
        Aspect("The state after the first input", 2, parts=("hs[0]",), kinds=("values",)),
        Aspect("The states after it", 4, parts=("hs[1:]",), kinds=("values",)),
        Aspect(
            "One step, one sequence, one unit", 2, kinds=("sizes",), needs="The states after it"
        ),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="The states after it"),
    ),
    mistakes=(
        Mistake(
            "starts_from_zeros",
            "the first step starts from a state of zeros, and `h0` is not used. It is an argument "
            "because a sequence may continue where another one ended.",
            UNROLL,
        ),
        Mistake(
            "never_hands_the_state_on",
            "every step starts from `h0`. Only the first one does; each later step starts from the "
            "state that the step before it returned.",
            UNROLL,
        ),
        Mistake(
            "returns_only_the_last_state",
            "the last state alone is returned, of shape (B, H). All states are asked for, (T, B, H), "
            "one after each step.",
            UNROLL,
        ),
        Mistake(
            "puts_h0_in_front",
            "`h0` is returned in front of the states, T + 1 of them in all. `hs[0]` is the state after "
            "the first input; the initial state is not part of `hs`.",
            UNROLL,
        ),
        Mistake(
            "stores_the_state_before_each_step",
            "each entry is the state before its step, not the one after it: `hs[0]` is `h0`, and the "
            "last state is missing. Store the state once the step has been done.",
            UNROLL,
        ),
        Mistake(
            "reads_the_sequence_backwards",
            "the inputs are read from the last to the first. A state depends on its own input and on "
            "the earlier ones, so the loop begins at t = 0.",
            UNROLL,
        ),
        Mistake(
            "takes_the_batch_for_time",
            "the loop runs over the second axis of `x`, which counts the sequences, and the states "
            "are stacked along it. Time comes first here: `x[t]` is one step of all sequences, of "
            "shape (B, D).",
            UNROLL,
        ),
        Mistake(
            "returns_the_batch_first",
            "the states are right, but in shape (B, T, H). Time comes first: `hs[t]` is what belongs "
            "to step t, for all sequences, and the shape is (T, B, H).",
            UNROLL,
        ),
        Mistake(
            "gives_the_last_state_for_every_step",
            "all entries are the last state. This happens when one array is overwritten at each step "
            "and kept in a list T times: the list then holds the same array T times. Make a new "
            "array at each step, or copy the values into `hs[t]`.",
            UNROLL,
        ),
        Mistake(
            "leaves_the_last_step_out",
            "the last state is zero, as if the loop ended one step early; all others are right. "
            "`range(T)` already leaves out T, so T - 1 is its last value.",
            UNROLL,
        ),
        Mistake(
            "returns_inside_the_loop",
            "only the first state is filled in, the rest are zeros. Is the `return` indented as part of "
            "the loop? Then it ends the function after the first step.",
            UNROLL,
        ),
        Mistake(
            "carries_the_pre_activation",
            "what is handed from step to step is the pre-activation. The next step hears the state, "
            "which has been through the `tanh`.",
            UNROLL,
        ),
        Mistake(
            "does_not_transpose_W_h",
            "`W_h` is used the wrong way round at every step: it is square, so the shapes do not show "
            "it. With the states as rows of a batch it stands transposed, as `W_x` does.",
            STEP,
        ),
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out at every step. It is part of each pre-activation.",
            STEP,
        ),
        Mistake(
            "writes_into_h0",
            "the states are right, but something is written into the array `h0` that was passed in. "
            "Statements such as `h[...] =`, `h += ...` or `out=h` write into the caller's array as "
            "long as `h` is `h0`; let each step make a new array.",
            UNROLL,
        ),
    ),
)


# softmax_cross_entropy


def _loss_inputs(
    rng: Rng, T: int, B: int, V: int, counts: tuple[int, ...] | None = None, spread: float = 1.5
) -> Inputs:
    """Logits, targets and a mask in which sequence n has counts[n] True entries (None: all T)."""
    mask = np.ones((T, B), dtype=bool)
    for n, count in enumerate(counts or ()):
        mask[rng.permutation(T)[count:], n] = False
    logits = spread * rng.normal(size=(T, B, V))
    logits[~mask] *= 5  # what stands in masked places must not matter
    targets = rng.permutation(np.resize(np.arange(V), T * B)).reshape(T, B)
    return {"logits": logits, "targets": targets, "mask": mask}


def _far_apart(rng: Rng, rows: int, columns: int) -> np.ndarray:
    """1e4, 0 and -1e4, no two of three neighbours in a row or column the same."""
    around = np.add.outer(np.arange(rows), np.arange(columns)) % 3
    return rng.permutation([1e4, 0.0, -1e4])[around]


def _loss_cases(rng: Rng) -> list[Case]:
    cases = [
        Case(f"T = {T}, B = {B}, V = {V}, all count", _loss_inputs(rng, T, B, V))
        for T, B, V in [(3, 2, 4), (1, 4, 3), (3, 3, 3)]
    ]
    for T, B, V, counts in [(4, 3, 5, (4, 1, 2)), (5, 2, 3, (1, 4)), (3, 1, 4, (1,))]:
        name = f"T = {T}, B = {B}, V = {V}, {sum(counts)} of {T * B} count"
        cases.append(Case(name, _loss_inputs(rng, T, B, V, counts), "mask"))

    shifted = _loss_inputs(rng, 2, 2, 3)
    shifted["logits"] += 1e4
    apart = _loss_inputs(rng, 3, 2, 3)
    apart["logits"] += _far_apart(rng, 3, 2)[..., None]
    certain = _loss_inputs(rng, 2, 3, 4)
    believed = certain["targets"].copy()
    believed.flat[::2] = (believed.flat[::2] + rng.integers(1, 4)) % 4  # every second one is wrong
    np.put_along_axis(certain["logits"], believed[..., None], 1e4, axis=-1)
    hidden = _loss_inputs(rng, 3, 2, 3, (2, 1))
    masked = ~hidden["mask"]
    hidden["logits"][masked] = away_from_zero(rng, (int(masked.sum()), 3), 9e3, 1e4)
    return [
        *cases,
        Case("all logits near 1e4", shifted, "large"),
        Case("positions near 1e4, near 0 and near -1e4", apart, "large"),
        Case("one logit of 1e4 at each position", certain, "large"),
        Case("logits of 1e4 where masked", hidden, "large"),
        Case("nothing counts", _loss_inputs(rng, 2, 3, 4, (0, 0, 0)), "empty"),
    ]


SOFTMAX_CROSS_ENTROPY = Exercise(
    name="softmax_cross_entropy",
    chapter=CHAPTER,
    minutes=25,
    signature="logits, targets, mask",
    see=LOSS,
    cases=_loss_cases,
    parts=("loss", "dlogits"),
    aspects=(
        Aspect("Loss", 2, parts=("loss",), kinds=("values",)),
        Aspect("Gradient", 2, parts=("dlogits",), kinds=("values",)),
        Aspect("Loss with a mask", 2, parts=("loss",), kinds=("mask",), needs="Loss"),
        Aspect("Gradient with a mask", 2, parts=("dlogits",), kinds=("mask",), needs="Gradient"),
        Aspect("Logits of 1e4", 2, kinds=("large",), needs="Loss"),
        Aspect("Everything masked", 1, kinds=("empty",), needs="Loss"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Loss"),
    ),
    mistakes=(
        Mistake(
            "ignores_the_mask",
            "the mask has no influence: all T B positions count, in the loss and in the gradient. "
            "Only those where the mask is True may, and what stands elsewhere must not matter.",
            LOSS,
        ),
        Mistake(
            "divides_by_all_positions",
            "the sum runs over the positions that count, but it is divided by all T B of them. A mean is "
            "divided by the number of its terms, which is the number of True entries in the mask.",
            LOSS,
        ),
        Mistake(
            "forgets_the_mean_in_the_gradient",
            "the loss is the mean, but the gradient is that of the sum. Where the loss is divided by the "
            "number of positions that count, its gradient is divided too.",
            LOSS,
        ),
        Mistake(
            "takes_the_sum_for_the_mean",
            "the losses of the positions are added up but not divided by their number, in the loss and in "
            "the gradient. The mean over the positions that count is asked for.",
            LOSS,
        ),
        Mistake(
            "leaves_gradients_at_masked_positions",
            "the loss is right, but masked positions have a gradient of their own. They are not in "
            "the loss, so it does not depend on their logits: there the gradient is exactly zero.",
            LOSS,
        ),
        Mistake(
            "averages_each_sequence_first",
            "the mean is taken over each sequence, and then over the sequences. A token of a short "
            "sequence then weighs more than one of a long sequence; here every position that counts "
            "weighs the same.",
            LOSS,
        ),
        Mistake(
            "overflows",
            "with logits of 1e4 the exponential overflows to infinity, and infinity divided by infinity "
            "is nan. Only differences of logits matter: subtract the largest of each position first, "
            "so that no exponent is positive.",
            LOSS,
        ),
        Mistake(
            "overflows_in_the_log_sum_exp",
            "with logits of 1e4 the exponential overflows, so that the logarithm of the sum is infinite and "
            "the softmax nan. Take the largest logit of each position out of the sum first: it stands "
            "before the logarithm then, and no exponent is positive.",
            LOSS,
        ),
        Mistake(
            "shifts_by_a_shared_maximum",
            "where one position's logits lie far below another's, the results are not finite: no "
            "exponential there is above zero, and so neither is their sum. This is so when several "
            "positions share one maximum, such as that of the whole array. Subtract from each position "
            "the largest of its own logits: then at least one exponential is 1.",
            LOSS,
        ),
        Mistake(
            "takes_the_logarithm_of_the_probability",
            "at a target far below the largest logit the loss is infinite, or nan: there the probability "
            "has underflowed to zero before its logarithm is taken. Form the logarithm on paper "
            "first: the target's logit minus the log-sum-exp of all logits.",
            LOSS,
        ),
        Mistake(
            "adds_1e_12_inside_the_logarithm",
            "1e-12 is added to the probability before the logarithm. This hides the underflow, but the loss "
            "can then never exceed 27.6, though it should be near 1e4 at logits of 1e4. Form the logarithm "
            "on paper first: the target's logit minus the log-sum-exp of all logits.",
            LOSS,
        ),
        Mistake(
            "normalises_over_time",
            "the softmax runs over axis 0, which is time. The probabilities of one position sum to 1 "
            "over the V tokens, the last axis.",
            LOSS,
        ),
        Mistake(
            "normalises_over_the_batch",
            "the softmax runs over axis 1, which counts the sequences. The probabilities of one position "
            "sum to 1 over the V tokens, the last axis.",
            LOSS,
        ),
        Mistake(
            "normalises_over_everything",
            "one sum over the whole array is the denominator of the softmax everywhere. Each position "
            "has its own distribution: sum over the last axis only, and keep that axis so that the "
            "division is broadcast.",
            LOSS,
        ),
        Mistake(
            "gives_nan_when_nothing_counts",
            "all is right except where the whole mask is False: there 0 is divided by 0, which is nan, and "
            "one nan spoils every weight that is updated with it. The answer there is a loss of 0.0 and "
            "zeros.",
            LOSS,
        ),
        Mistake(
            "forgets_to_subtract_the_truth",
            "the gradient is made of the probabilities alone. It is what was said minus what was true: "
            "at each position 1 has to be subtracted from the target's entry.",
            LOSS,
        ),
        Mistake(
            "has_the_gradient_the_wrong_way_round",
            "the gradient has the opposite sign: it is what was true minus what was said. That is the "
            "direction in which the loss falls; the gradient points to where it rises.",
            LOSS,
        ),
        Mistake(
            "forgets_the_minus_of_the_loss",
            "the loss has the opposite sign. It is minus the mean logarithm of a probability, which is "
            "never negative; the gradient is right.",
            LOSS,
        ),
        Mistake(
            "writes_into_the_logits",
            "the results are right, but something is written into the array `logits` that was passed in. "
            "A statement like `logits -= ...` does that; `logits - ...` makes a new array.",
            LOSS,
        ),
    ),
)


# token_distribution


def _spaced(rng: Rng, *shape: int) -> np.ndarray:
    """Logits whose last axis has no two entries nearer than 0.5, and no order."""
    steps = np.broadcast_to(np.arange(shape[-1], dtype=float), shape)
    return rng.permuted(steps, axis=-1) + rng.uniform(-0.25, 0.25, size=shape) - 1.5


def _tied(rng: Rng, *shape: int) -> np.ndarray:
    """Logits in which two entries of every row are equally the largest."""
    logits = _spaced(rng, *shape)
    rows = logits.reshape(-1, shape[-1])
    for row in rows:
        row[rng.permutation(shape[-1])[:2]] = row.max() + 1
    return logits


def _token_cases(rng: Rng) -> list[Case]:
    def case(kind: str, name: str, logits: np.ndarray, temperature: float) -> Case:
        name = f"{name}, temperature {temperature:g}"
        return Case(name, {"logits": logits, "temperature": temperature}, kind)

    signs = np.array([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, 1.0, -1.0]])
    return [
        *(
            case("values", f"logits {shape}", _spaced(rng, *shape), temperature)
            for shape, temperature in [((3, 5), 0.7), ((4,), 2.5), ((2, 3, 4), 1.3), ((3, 3), 1.0)]
        ),
        case("zero", "logits (2, 3, 4)", _spaced(rng, 2, 3, 4), 0.0),
        case("zero", "logits (5,), all negative", _spaced(rng, 5) - 9, 0.0),
        case("ties", "two largest in each of 3 rows", _tied(rng, 3, 4), 0.0),
        case("ties", "all equal", np.full((2, 3), rng.uniform(0.5, 2.0)), 0.0),
        case("large", "logits near 1e4", 1e4 + _spaced(rng, 2, 4), 0.5),
        case("large", "logits of 1e4 and -1e4", 1e4 * signs + _spaced(rng, 2, 4), 2.0),
        case(
            "large",
            "rows near 1e4, near 0 and near -1e4",
            _far_apart(rng, 2, 3)[..., None] + _spaced(rng, 2, 3, 4),
            0.5,
        ),
        case("large", "logits (3, 4)", _spaced(rng, 3, 4), 0.001),
        case("large", "logits about 0.001 apart", 1e-3 * _spaced(rng, 2, 4), 0.001),
    ]


TOKEN_DISTRIBUTION = Exercise(
    name="token_distribution",
    chapter=CHAPTER,
    minutes=15,
    signature="logits, temperature",
    see=SAMPLING,
    cases=_token_cases,
    aspects=(
        Aspect("Values", 4, kinds=("values",)),
        Aspect("Temperature 0", 2, kinds=("zero",), needs="Values"),
        Aspect("Ties at temperature 0", 1, kinds=("ties",), needs="Values"),
        Aspect("Logits of 1e4, small temperatures", 2, kinds=("large",), needs="Values"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Values"),
    ),
    mistakes=(
        Mistake(
            "ignores_the_temperature",
            "at every temperature but 0 the result is the softmax of the logits as they are. The "
            "logits have to be divided by the temperature before the exponential; to divide "
            "afterwards and normalise changes nothing.",
            SAMPLING,
        ),
        Mistake(
            "multiplies_by_the_temperature",
            "the logits are multiplied by the temperature. They are divided by it: a high "
            "temperature brings the logits together and makes the choice freer.",
            SAMPLING,
        ),
        Mistake(
            "tempers_the_probabilities",
            "the softmax is taken twice: the probabilities, divided by the temperature, go through it "
            "once more. The temperature divides the logits, and one softmax follows.",
            SAMPLING,
        ),
        Mistake(
            "normalises_over_the_first_axis",
            "the probabilities sum to 1 over the first axis. The tokens are on the last one, whatever "
            "stands before it.",
            SAMPLING,
        ),
        Mistake(
            "normalises_over_everything",
            "the whole array sums to 1. Each row along the last axis is a distribution of its own: sum "
            "over that axis only, and keep it so that the division is broadcast.",
            SAMPLING,
        ),
        Mistake(
            "overflows",
            "with logits of 1e4, or a small temperature, the exponential overflows to infinity, and "
            "infinity divided by infinity is nan. Subtract the largest logit of each row first, so that "
            "no exponent is positive.",
            SAMPLING,
        ),
        Mistake(
            "shifts_by_a_shared_maximum",
            "rows whose logits lie far below those of another row become nan: no exponential there "
            "is above zero, and zero divided by zero is nan. This is so when several rows share one "
            "maximum, such as that of the whole array. Subtract from each row the largest of its own "
            "logits: then at least one exponential is 1.",
            SAMPLING,
        ),
        Mistake(
            "divides_by_zero",
            "at temperature 0 the result is nan, because the logits are divided by zero. There the "
            "formula has no value, and the function has to decide by itself: all mass goes to the "
            "largest logit.",
            SAMPLING,
        ),
        Mistake(
            "shares_ties_equally",
            "at temperature 0 equally large logits share the mass, as they do in the limit of small "
            "temperatures. At 0 itself the convention is another one: the first of them takes all.",
            SAMPLING,
        ),
        Mistake(
            "takes_the_last_of_equals",
            "at temperature 0 the last of several equally large logits takes all. The convention is "
            "the first, as `argmax` counts.",
            SAMPLING,
        ),
        Mistake(
            "gives_each_of_equals_everything",
            "at temperature 0 every entry that equals the largest logit gets 1. With ties the row then sums to "
            "more than 1; the first of them alone takes all.",
            SAMPLING,
        ),
        Mistake(
            "takes_one_argmax_for_all_rows",
            "at temperature 0 a single entry of the whole array gets the mass: that is what `argmax` "
            "without an axis finds. Each row along the last axis has its own.",
            SAMPLING,
        ),
        Mistake(
            "returns_the_index_at_zero",
            "at temperature 0 the result is the index of the largest logit. The caller expects "
            "probabilities at every temperature, here 1 at that index and 0 elsewhere.",
            SAMPLING,
        ),
        Mistake(
            "writes_into_the_logits",
            "the values are right, but unless the temperature is 0 something is written into the "
            "array `logits` that was passed in. A statement like `logits -= ...` or `logits /= ...` "
            "does that; `logits - ...` makes a new array.",
            SAMPLING,
        ),
    ),
)


# rnn_parameter_count


def _count_cases(rng: Rng) -> list[Case]:
    def case(kind: str, D: int, H: int, V: int) -> Case:
        return Case(f"D = {D}, H = {H}, V = {V}", {"D": D, "H": H, "V": V}, kind)

    def distinct(stop: int) -> list[int]:
        return [int(n) for n in rng.choice(np.arange(3, stop), size=3, replace=False)]

    same = int(rng.integers(4, 20))
    return [
        case("values", *distinct(12)),
        case("values", *distinct(30)),
        case("values", same, same, same + 3),
        case("sizes", 1, 1, 1),
        case("sizes", 5, 1, 2),
        case("sizes", *(int(n) for n in rng.integers(300, 3000, size=3))),
    ]


RNN_PARAMETER_COUNT = Exercise(
    name="rnn_parameter_count",
    chapter=CHAPTER,
    minutes=5,
    signature="D, H, V",
    see=PARAMETERS,
    cases=_count_cases,
    aspects=(
        Aspect("Count", 3, kinds=("values",)),
        Aspect("Sizes of 1 and of a thousand", 1, kinds=("sizes",), needs="Count"),
    ),
    mistakes=(
        Mistake(
            "counts_H_numbers_too_many",
            "the count is too large by H. This is so when the cell is given two biases, as PyTorch "
            "does, or when the initial state is counted with the parameters. Here the cell has one "
            "bias, and `h0` is an input.",
            PARAMETERS,
        ),
        Mistake(
            "forgets_the_bias_of_the_read_out",
            "the count is too small by V: the bias of the read-out is missing. It has one entry for "
            "each token.",
            PARAMETERS,
        ),
        Mistake(
            "forgets_the_bias_of_the_cell",
            "the count is too small by H: the bias of the cell is missing. It has one entry for each "
            "hidden unit.",
            PARAMETERS,
        ),
        Mistake(
            "forgets_both_biases",
            "the matrices are all counted, but neither the bias of the cell, H numbers, nor that of "
            "the read-out, V numbers.",
            PARAMETERS,
        ),
        Mistake(
            "counts_a_bias_as_one_number",
            "each of the two biases is counted as a single number. A bias is a vector: one entry for "
            "each hidden unit, and in the read-out one for each token.",
            PARAMETERS,
        ),
        Mistake(
            "forgets_the_read_out",
            "the cell is counted, but not the read-out: a matrix and a bias that turn the state into "
            "V logits.",
            PARAMETERS,
        ),
        Mistake(
            "forgets_the_recurrent_matrix",
            "the recurrent weights are missing. Each of the H units hears each of the H units of the old "
            "state, which makes a square matrix.",
            PARAMETERS,
        ),
        Mistake(
            "counts_one_recurrent_weight_a_unit",
            "the recurrent weights are counted as H numbers, one a unit. Each unit hears all H units "
            "of the old state and not only itself, which makes a square matrix.",
            PARAMETERS,
        ),
        Mistake(
            "reads_out_from_the_input",
            "the read-out is given D columns. It reads the hidden state, which has H entries; the "
            "input is seen by the cell only.",
            PARAMETERS,
        ),
        Mistake(
            "exchanges_D_and_H_in_the_cell",
            "the cell is counted with D and H exchanged. The state has H entries: the recurrent matrix is "
            "(H, H), and the bias has one entry for each hidden unit.",
            PARAMETERS,
        ),
    ),
)


# to_torch_rnn

MODULE_PARTS = (
    "output",
    "weight_ih_l0",
    "weight_hh_l0",
    "bias_ih_l0+bias_hh_l0",
    "dtype",
    "batch_first",
    "shares_memory",
    "random",
)


def _run_module(function: Callable, inputs: Inputs) -> Any:
    """Make the module, run it, and return as plain values all that is asked of it (MODULE_PARTS).

    After the first run the arrays that the function was given are filled with nan, and a second run
    shows whether the module looks at their memory. What the function itself did to them is put
    into `inputs` before that. A second module, made from another state of torch's random numbers,
    shows which parameters were left as they are drawn.
    """
    import torch

    names = ("W_x", "W_h", "b")

    def make(seed: int) -> tuple[Any, list[np.ndarray]]:
        arrays = [inputs[name].copy() for name in names]
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.manual_seed(seed)
            return function(*arrays), arrays

    def array_of(tensor: Any) -> np.ndarray:  # NumPy knows no bfloat16; float32 holds its numbers
        tensor = tensor.detach()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().copy()

    def parameters(module: Any) -> dict[str, np.ndarray]:
        return {key: array_of(value) for key, value in module.named_parameters()}

    model, arrays = make(seed=0)
    if model is None:
        return None
    if not isinstance(model, torch.nn.RNN):
        return {"type": type(model).__name__}
    own, others = parameters(model), parameters(make(seed=1)[0])
    for name, array in zip(names, arrays, strict=True):
        inputs[name][...] = array
    if not {"weight_ih_l0", "weight_hh_l0"} <= set(own):
        return {"parameters": _listed(own)}
    kinds = {key: value.dtype for key, value in model.named_parameters()}
    # A module in another dtype throughout is run in that one: its dtype is wrong, perhaps no more.
    dtype = torch.float64 if len(set(kinds.values())) > 1 else kinds["weight_hh_l0"]

    def run() -> np.ndarray:
        x, h0 = (torch.from_numpy(inputs[name]).to(dtype) for name in ("x", "h0"))
        with torch.no_grad():
            if model.batch_first:
                return array_of(model(x.transpose(0, 1), h0[None])[0].transpose(0, 1))
            return array_of(model(x, h0[None])[0])

    try:
        output = run()
    except (RuntimeError, ValueError, TypeError) as error:
        other = [key for key, kind in kinds.items() if kind != torch.float64]
        return {"says": str(error)[:500], "not_float64": _listed(other)}
    for array in arrays:
        array[...] = np.nan
    biases = [own.get(key, 0.0) for key in ("bias_ih_l0", "bias_hh_l0")]
    return [
        output,
        own["weight_ih_l0"],
        own["weight_hh_l0"],
        np.zeros(len(own["weight_hh_l0"]), own["weight_hh_l0"].dtype) + biases[0] + biases[1],
        " and ".join(sorted({str(kind).removeprefix("torch.") for kind in kinds.values()})),
        bool(model.batch_first),
        not np.array_equal(output, run()),
        _listed(key for key in own if not np.array_equal(own[key], others.get(key))),
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# How near a module can come that computes in another dtype: relative and absolute tolerance.
COARSE = {"float32": (1e-4, 1e-5), "float16": (1e-2, 1e-2), "bfloat16": (5e-2, 5e-2)}


def _compare_modules(case: Case, expected: Any, got: Any) -> list[Difference]:
    """Part by part; a module in float32 is wrong in that alone, not in all of its numbers."""
    if not isinstance(got, list):
        return [Difference("", _no_module_to_compare(got))]
    found = compare(expected, got, MODULE_PARTS, *COARSE.get(got[4], (RTOL, ATOL)))
    return [_in_words(difference, got) for difference in found]


def _no_module_to_compare(got: Any) -> str:
    match got:
        case {"says": says, "not_float64": names}:
            text = (
                "The returned module cannot be run on float64 inputs x (T, B, D) and "
                f"h0 (1, B, H). It says: {str(says).rstrip('.')}."
            )
            return text + (f" Not in float64: {names}." if names else "")
        case {"parameters": names}:
            return (
                "The returned module should have parameters `weight_ih_l0` and `weight_hh_l0`, as "
                f"a `torch.nn.RNN` of one layer has, but its parameters are {names or 'none'}."
            )
        case {"type": kind}:
            came = f"an object of type {kind}"
        case _:
            came = describe(got)
    return f"The function should return a `torch.nn.RNN`, but returns {came}."


def _in_words(difference: Difference, got: list) -> Difference:
    """What a part means, where its name and value alone do not tell."""
    texts = {
        "dtype": f"The module computes in {got[4]}; float64 is asked for.",
        "batch_first": "The module has `batch_first=True`, but time comes first here.",
        "shares_memory": (
            "The module changes when the arrays that you were given are overwritten afterwards: "
            "a parameter of it looks at the same memory. Give it copies."
        ),
    }
    if difference.part == "output" and got[7]:
        left = f"Left at the random numbers it was made with: {got[7]}. "
        return replace(difference, text=left + difference.text)
    return replace(difference, text=texts.get(difference.part, difference.text))


def _module_cases(rng: Rng) -> list[Case]:
    sizes = [(4, 3, 2, 5), (3, 2, 4, 4), (1, 3, 5, 2), (5, 1, 3, 3), (2, 2, 1, 1)]
    return [
        Case(
            f"T = {T}, B = {B}, D = {D}, H = {H}",
            {
                **_cell(rng, D, H),
                "x": rng.normal(size=(T, B, D)),
                "h0": away_from_zero(rng, (B, H), 0.2, 0.9),
            },
        )
        for T, B, D, H in sizes
    ]


TO_TORCH_RNN = Exercise(
    name="to_torch_rnn",
    chapter=CHAPTER,
    minutes=20,
    signature="W_x, W_h, b",
    see=TORCH,
    cases=_module_cases,
    parts=MODULE_PARTS,
    call=_run_module,
    compare=_compare_modules,
    libraries=("torch",),
    aspects=(
        Aspect("States that the module computes", 3, parts=("output",)),
        Aspect("Input weights", 1, parts=("weight_ih_l0",)),
        Aspect("Recurrent weights", 1, parts=("weight_hh_l0",)),
        Aspect("Sum of the two biases", 1, parts=("bias_ih_l0+bias_hh_l0",)),
        Aspect(
            "float64, time first",
            1,
            parts=("dtype", "batch_first"),
            needs="States that the module computes",
        ),
        Aspect(
            "Holds copies", 1, parts=("shares_memory",), needs="States that the module computes"
        ),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="States that the module computes"),
    ),
    mistakes=(
        Mistake(
            "gives_the_bias_to_both",
            "the two biases of the module add up to twice `b`. Only their sum acts, so their sum has "
            "to be `b`.",
            TORCH,
        ),
        Mistake(
            "forgets_the_bias",
            "the module has no bias, or biases of zero. `b` has to go into one of the two, and zeros "
            "into the other.",
            TORCH,
        ),
        Mistake(
            "transposes_W_h",
            "`W_h` is in the module the wrong way round; it is square, so the shapes do not show it. "
            "PyTorch stores (out, in) as this course does, and nothing is transposed.",
            TORCH,
        ),
        Mistake(
            "shares_memory",
            "the module computes the right thing, but looks at the memory of the arrays it was made "
            "from, so that training it would change them, and the other way round. "
            "`torch.from_numpy` and `torch.as_tensor` do not copy; `torch.tensor` does, and so does "
            "`copy_` into a parameter that is already there.",
            TORCH,
        ),
        Mistake(
            "stays_in_float32",
            "the module computes in float32, PyTorch's default, with about 7 digits. The `dtype` can "
            "be given when the module is made.",
            TORCH,
        ),
        Mistake(
            "loses_digits_on_the_way",
            "the module is in float64, but its numbers have been through float32 and are right to "
            "about 7 digits only. Make the module in float64 before the weights go in: what was "
            "rounded does not come back.",
            TORCH,
        ),
        Mistake(
            "expects_the_batch_first",
            "the module is made with `batch_first=True`, so it takes (B, T, D). All else is right; in "
            "this course time comes first, which is PyTorch's default.",
            TORCH,
        ),
        Mistake(
            "uses_relu",
            "the weights are right, but the nonlinearity is `relu`. The cell of this chapter has a "
            "`tanh`, which is PyTorch's default.",
            TORCH,
        ),
        Mistake(
            "changes_the_given_bias",
            "the module is right, but something is written into the array `b` that was passed in. A "
            "statement like `b /= 2` or `b[...] =` does that; `b / 2` makes a new array.",
            TORCH,
        ),
    ),
)


EXERCISES = [
    SIGMOID,
    RNN_STEP,
    RNN_FORWARD,
    SOFTMAX_CROSS_ENTROPY,
    TOKEN_DISTRIBUTION,
    RNN_PARAMETER_COUNT,
    TO_TORCH_RNN,
]
