"""Chapter 9: what is asked about going from a sequence to a sequence."""

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare, describe
from autograder.detail import with_steps
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "09-sequence-to-sequence"
ENCODER = Section(CHAPTER, "seq-encoder", "The encoder")
DECODER = Section(CHAPTER, "seq-decoder", "The decoder, one token at a time")
FORCING = Section(CHAPTER, "seq-forcing", "Teacher forcing")
LOSS = Section(CHAPTER, "seq-loss", "A loss that ignores padding")
EXPOSURE = Section(CHAPTER, "seq-exposure", "Exposure bias")
GREEDY = Section(CHAPTER, "seq-greedy", "Greedy decoding")
BEAM = Section(CHAPTER, "seq-beam", "Beam search")
LENGTH = Section(CHAPTER, "seq-length", "Why beams like short answers")
DISTANCE = Section(CHAPTER, "seq-distance", "How far off: edit distance")

RTOL, ATOL = 1e-9, 1e-12
VALUES, PURITY = "Values", "Leaves its inputs alone"

Rng = np.random.Generator
Inputs = dict[str, Any]


def _compare_int_arrays(case: Case, expected: Any, got: Any) -> list[Difference]:
    """Right tokens as floats are wrong in that alone; all else is the usual comparison."""
    if (
        isinstance(got, np.ndarray)
        and got.dtype.kind in "fb"
        and got.shape == expected.shape
        and np.array_equal(got, expected)
    ):
        text = f"The result should be an array of integer dtype, but has dtype {got.dtype}."
        return [Difference("dtype", text)]
    found = compare(expected, got, (), RTOL, ATOL)
    return [replace(difference, part="tokens") for difference in found]


INTEGERS = Aspect("Integers", 1, parts=("dtype",), kinds=("values",), needs=VALUES)


def _tokens(rng: Rng, T: int, B: int, V: int) -> np.ndarray:
    """Ints in 0..V-1, no two neighbours of a sequence or of a step the same."""
    steps = rng.integers(1, V, size=(T, B)).cumsum(axis=0)
    tokens = (steps + rng.integers(0, V)) % V
    for n in range(1, B):
        while (tokens[:, n] == tokens[:, n - 1]).any():
            tokens[:, n] = (rng.integers(0, V) + rng.integers(1, V, size=T).cumsum()) % V
    return tokens


# shift_right


def _shift_cases(rng: Rng) -> list[Case]:
    sizes = [  # kind, T, B, V, what is special about the ids
        ("values", 4, 3, 7, "bos is 1"),
        ("values", 3, 3, 6, "bos is the largest id"),
        ("values", 5, 2, 6, "bos is 0"),
        ("values", 4, 1, 8, "one sequence"),
        ("one step", 1, 3, 5, "one step"),
        ("one step", 1, 1, 5, "one step, one sequence"),
    ]
    cases = []
    for kind, T, B, V, told in sizes:
        bos = {"bos is 1": 1, "bos is 0": 0}.get(told, V)
        tokens = _tokens(rng, T, B, V - 1)
        targets = tokens + (tokens >= bos)  # bos is never a target
        cases.append(Case(f"T = {T}, B = {B}, {told}", {"targets": targets, "bos": bos}, kind))
    return cases


SHIFT_RIGHT = Exercise(
    name="shift_right",
    chapter=CHAPTER,
    minutes=5,
    signature="targets, bos",
    see=FORCING,
    cases=_shift_cases,
    compare=_compare_int_arrays,
    aspects=(
        Aspect(VALUES, 2, parts=("tokens",), kinds=("values",)),
        Aspect("One step", 1, parts=("tokens",), kinds=("one step",), needs=VALUES),
        INTEGERS,
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "shifts_left",
            "the tokens have moved one step earlier. Then the decoder would read at step t the token "
            "that comes after the one it has to say. It reads the one before, and `bos` at the first "
            "step.",
            FORCING,
        ),
        Mistake(
            "shifts_along_the_batch",
            "the tokens have moved from one sequence to the next, along axis 1. Time is axis 0: each "
            "token moves to the next step of its own sequence.",
            FORCING,
        ),
        Mistake(
            "returns_one_step_too_many",
            "`bos` stands in front and all targets follow, T + 1 steps. The result has T steps, as many "
            "as there are targets to predict: no step reads the last target.",
            FORCING,
        ),
        Mistake(
            "replaces_the_first_token",
            "`bos` has taken the place of the first target, and all others stay where they are. Then "
            "every step but the first reads the very token that it has to predict. All tokens move one "
            "step later, and `bos` comes in front.",
            FORCING,
        ),
        Mistake(
            "wraps_the_last_token_around",
            "the last token of each sequence has come round to the first step, as `np.roll` moves it. "
            "At the first step the decoder would read the end of its own answer; there stands `bos`.",
            FORCING,
        ),
        Mistake(
            "puts_0_in_front",
            "the first step holds 0, whatever `bos` is. All else is right: there belongs `bos`, which the "
            "caller chooses.",
            FORCING,
        ),
        Mistake(
            "rolls_through_the_flattened_array",
            "`bos` is at the first step, but all else has moved by one place in the flattened array, "
            "which is to the next sequence and not to the next step. `np.roll` does this where it is "
            "given no axis.",
            FORCING,
        ),
        Mistake(
            "copies_bos_to_every_step",
            "`bos` stands at every step. This happens when the rows are moved one by one inside one "
            "array, from the first to the last: each row is overwritten before it has been read.",
            FORCING,
        ),
        Mistake(
            "gives_bos_to_the_first_sequence_only",
            "only the first sequence begins with `bos`; at the first step of the others something else "
            "stands. Each of the B sequences begins with it.",
            FORCING,
        ),
        Mistake(
            "returns_floats",
            "the numbers are right, but they are floats, as `np.zeros` and `np.ones` make them where no "
            "`dtype` is given. Tokens are used as indices, and a float is no index.",
            FORCING,
        ),
        Mistake(
            "writes_into_the_targets",
            "the result is right, but the array `targets` that was passed in has been overwritten. The "
            "loss still needs it: work on a copy.",
            FORCING,
        ),
    ),
)


# encode

ENCODED = ("hs", "context")
STATES, CONTEXT = "States at the real steps", "Context"


def _encode(function: Callable, inputs: Inputs) -> Any:
    """Call `encode`; what it left in `hs` behind a sequence's end becomes zero, for it is free."""
    lengths = inputs["lengths"].copy()
    value = function(*inputs.values())
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return value
    hs, context = value
    wanted = (*inputs["embedded"].shape[:2], inputs["W_h"].shape[1])
    if isinstance(hs, np.ndarray) and hs.shape == wanted and hs.dtype.kind == "f":
        real = np.arange(len(hs))[:, None, None] < lengths[:, None]
        hs = np.where(real, hs, hs.dtype.type(0))
    return hs, context


def _encode_cases(rng: Rng) -> list[Case]:
    sizes = [  # kind, D, H, T, lengths
        ("values", 2, 4, 4, (4, 1, 3)),
        ("values", 3, 3, 3, (2, 3, 1)),
        ("values", 4, 3, 4, (2, 4)),
        ("not full", 3, 2, 5, (2, 4, 1)),
        ("sizes", 3, 2, 1, (1, 1, 1)),
        ("sizes", 2, 3, 4, (4,)),
        ("sizes", 1, 1, 3, (3, 2)),
    ]
    cases = []
    for kind, D, H, T, lengths in sizes:
        B = len(lengths)
        inputs = {
            "embedded": away_from_zero(rng, (T, B, D), 0.3, 1.0),
            "lengths": np.array(lengths),
            "W_x": away_from_zero(rng, (3 * H, D), 0.5, 1.0) / np.sqrt(D),
            "W_h": away_from_zero(rng, (3 * H, H), 0.5, 1.0) / np.sqrt(H),
            "b_x": away_from_zero(rng, (3 * H,), 0.2, 0.5),
            "b_h": away_from_zero(rng, (3 * H,), 0.2, 0.5),
        }
        told = "one sequence" if B == 1 else f"lengths {', '.join(map(str, lengths))}"
        cases.append(Case(f"T = {T}, {told}, D = {D}, H = {H}", inputs, kind))
    return cases


def _compare_encoded(case: Case, expected: Any, got: Any) -> list[Difference]:
    found = compare(expected, got, ENCODED, RTOL, ATOL)
    return [with_steps(difference, ("hs",)) for difference in found]


ENCODE = Exercise(
    name="encode",
    chapter=CHAPTER,
    minutes=20,
    signature="embedded, lengths, W_x, W_h, b_x, b_h",
    see=ENCODER,
    cases=_encode_cases,
    parts=ENCODED,
    call=_encode,
    compare=_compare_encoded,
    aspects=(
        Aspect(CONTEXT, 4, parts=("context",), kinds=("values",)),
        Aspect(STATES, 3, parts=("hs",), kinds=("values",)),
        Aspect("A batch in which no sequence has T steps", 1, kinds=("not full",), needs=CONTEXT),
        Aspect("One step, one sequence, one unit", 1, kinds=("sizes",), needs=CONTEXT),
        Aspect(PURITY, 1, of="purity", needs=STATES),
    ),
    mistakes=(
        Mistake(
            "takes_the_last_step_for_all",
            "the context is the state at the last step of the batch, for all sequences. A shorter "
            "sequence has been reading padding by then. Its context is the state after its own last "
            "real step.",
            ENCODER,
        ),
        Mistake(
            "takes_the_last_step_of_the_longest",
            "the context is taken, for all sequences, at the last real step of the longest one. Each "
            "sequence has its own last step.",
            ENCODER,
        ),
        Mistake(
            "counts_lengths_from_zero",
            "the context is taken one step too late: `hs[t]` is the state after t + 1 inputs, so the "
            "last real step of a sequence of n tokens is not at index n. Where a sequence fills all T "
            "steps, that index does not exist.",
            ENCODER,
        ),
        Mistake(
            "reads_one_step_of_padding",
            "the context of a sequence shorter than T has taken in one step of padding. A sequence of n "
            "tokens has its real steps at t = 0 to n - 1, and step n is padding already.",
            ENCODER,
        ),
        Mistake(
            "takes_one_step_too_early",
            "the context is the state before the last real step, so the last token is not in it. "
            "`hs[t]` is the state after the input at t.",
            ENCODER,
        ),
        Mistake(
            "pairs_every_length_with_every_sequence",
            "the context has shape (B, B, H): each length has been looked up for every sequence. Only "
            "the pairs of a sequence with its own length are wanted, and for these two index arrays "
            "have to go side by side.",
            ENCODER,
        ),
        Mistake(
            "averages_the_states",
            "the context is the mean of the real states. That is a summary that people use too; here "
            "the context is one state, the one after the last real step.",
            ENCODER,
        ),
        Mistake(
            "replaces_the_padding_by_zeros",
            "the padding is set to zero and the context read at the last step. An input of zeros is "
            "still a step: biases and recurrent weights go on changing the state.",
            ENCODER,
        ),
        Mistake(
            "zeroes_the_state_on_padding",
            "the context of every sequence shorter than T is zero: the state is multiplied by the mask, "
            "and so wiped out when the padding begins. There it would have to stay what it is.",
            ENCODER,
        ),
        Mistake(
            "sorts_the_contexts_by_length",
            "the contexts stand in the order of the lengths, the longest first. Where sequences are "
            "sorted on the way, their contexts have to be put back in the order in which they came.",
            ENCODER,
        ),
        Mistake(
            "cuts_the_padding_off",
            "`hs` ends with the longest sequence of the batch, though it should have T steps, padding or "
            "not: whoever reads it aligns it with `embedded`. Its values there are free.",
            ENCODER,
        ),
        Mistake(
            "keeps_an_axis_for_layers",
            "the context has shape (1, B, H), with the axis for layers that PyTorch puts in front. Here "
            "there is one layer, and the context is (B, H).",
            ENCODER,
        ),
        Mistake(
            "returns_the_context_first",
            "the two results stand in the opposite order: `hs` comes first, then the context.",
            ENCODER,
        ),
        Mistake(
            "starts_every_step_from_zero",
            "every step starts from a state of zeros. Only the first does; each later one starts from "
            "the state that the step before it has left.",
            ENCODER,
        ),
        Mistake(
            "resets_before_the_product",
            "the reset gate multiplies the old state, and `W_hn` comes afterwards, as in the paper of "
            "2014. In PyTorch's form it multiplies what the matrix has made of the old state, `b_hn` "
            "included.",
            ENCODER,
        ),
        Mistake(
            "leaves_b_hn_outside_the_reset",
            "the two biases of the candidate are added up, outside of what the reset gate multiplies. "
            "`b_hn` comes with the recurrent product, and is reset with it.",
            ENCODER,
        ),
        Mistake(
            "stacks_the_gates_z_r_n",
            "the first block of rows is taken for z and the second for r. That is the order of Keras; here "
            "the rows come in the order r, z, n.",
            ENCODER,
        ),
        Mistake(
            "flips_the_update_gate",
            "`z` and `1 - z` have changed places. In PyTorch's form z = 1 keeps the old state.",
            ENCODER,
        ),
        Mistake(
            "writes_into_embedded",
            "the results are right, but something is written into the array `embedded` that was passed "
            "in, as `embedded[...] = 0` does. The padding need not be touched: it comes after the state "
            "that is wanted.",
            ENCODER,
        ),
    ),
)


# sequence_nll

WITH_PADDING = "With padding"


def _padded(
    rng: Rng, T: int, V: int, lengths: tuple[int, ...], pad: int, spread: float = 1.5
) -> Inputs:
    """Logits and targets that end in padding. At padding the logits are far from all others."""
    B = len(lengths)
    targets = rng.permutation(np.resize(np.delete(np.arange(V), pad), T * B)).reshape(T, B)
    logits = spread * rng.normal(size=(T, B, V))
    behind = np.arange(T)[:, None] >= np.array(lengths)
    targets[behind] = pad
    logits[behind] *= 4
    return {"logits": logits, "targets": targets, "pad": pad}


def _nll_cases(rng: Rng) -> list[Case]:
    def case(kind, T, V, lengths, pad):
        told = f"{sum(lengths)} of {T * len(lengths)} tokens real, pad is {pad}"
        name = f"T = {T}, B = {len(lengths)}, V = {V}, {told}"
        return Case(name, _padded(rng, T, V, lengths, pad), kind)

    shifted = _padded(rng, 3, 4, (3, 1), 2)
    shifted["logits"] += 1e4
    apart = _padded(rng, 3, 4, (3, 2), 0)
    apart["logits"] += rng.permutation([1e4, 0.0, -1e4])[:, None, None]
    certain = _padded(rng, 3, 4, (2, 3), 1)
    right = np.arange(6).reshape(3, 2) % 2 == 1  # every second position is sure of a wrong token
    believed = np.where(right, certain["targets"], 3 - certain["targets"])
    np.put_along_axis(certain["logits"], believed[..., None], 1e4, axis=-1)
    return [
        case("full", 3, 5, (3, 3), 0),
        case("full", 1, 4, (1, 1, 1), 0),
        case("full", 3, 3, (3, 3, 3), 0),
        case("padded", 4, 5, (4, 1, 2), 0),
        case("padded", 5, 4, (2, 5), 3),
        case("padded", 4, 6, (3,), 2),
        Case("all logits near 1e4", shifted, "large"),
        Case("steps near 1e4, near 0 and near -1e4", apart, "large"),
        Case("one logit of 1e4 at each position", certain, "large"),
        case("empty", 2, 4, (0, 0, 0), 1),
    ]


SEQUENCE_NLL = Exercise(
    name="sequence_nll",
    chapter=CHAPTER,
    minutes=15,
    signature="logits, targets, pad",
    see=LOSS,
    cases=_nll_cases,
    aspects=(
        Aspect("Without padding", 2, kinds=("full",)),
        Aspect("With padding", 3, kinds=("padded",), needs="Without padding"),
        Aspect("Logits of 1e4", 1, kinds=("large",), needs="With padding"),
        Aspect("Nothing but padding", 1, kinds=("empty",), needs="Without padding"),
        Aspect(PURITY, 1, of="purity", needs="Without padding"),
    ),
    mistakes=(
        Mistake(
            "counts_the_padding",
            "every position counts, those that hold `pad` too. How well the model predicts padding says "
            "nothing: only the others may count.",
            LOSS,
        ),
        Mistake(
            "divides_by_all_positions",
            "only the real tokens are added up, but the sum is divided by all T B positions. A mean is "
            "divided by the number of its terms, here that of the real tokens.",
            LOSS,
        ),
        Mistake(
            "averages_each_sequence_first",
            "the mean is taken over each sequence, and then over the sequences. A token of a short "
            "sequence then weighs more than one of a long sequence; here every real token weighs the "
            "same.",
            LOSS,
        ),
        Mistake(
            "averages_each_step_first",
            "the mean is taken over the batch at each step, and then over the steps. At the late steps, "
            "where few sequences are left, a token then weighs more; here every real token weighs the "
            "same.",
            LOSS,
        ),
        Mistake(
            "takes_the_sum_over_a_sequence",
            "the losses of each sequence are added up, and the mean is over the sequences. Then a long "
            "sequence looks worse than a short one. The mean over the real tokens is asked for.",
            LOSS,
        ),
        Mistake(
            "takes_the_sum",
            "the losses of the real tokens are added up, but not divided by their number. The mean is "
            "asked for.",
            LOSS,
        ),
        Mistake(
            "takes_0_for_the_padding",
            "the tokens that do not count are those equal to 0, whatever `pad` is. Which id stands for "
            "padding is the caller's choice.",
            LOSS,
        ),
        Mistake(
            "leaves_pad_out_of_the_softmax",
            "the probabilities are shared out among the other tokens, as if the model could not predict "
            "`pad`. It is a token of the vocabulary like any other; it is only as a target that it does "
            "not count.",
            LOSS,
        ),
        Mistake(
            "takes_logits_for_log_probabilities",
            "the logits are used as if they were log probabilities already. They become so when the "
            "log-sum-exp of all logits at the position is subtracted.",
            LOSS,
        ),
        Mistake(
            "forgets_the_minus",
            "the sign is the opposite one: this is the mean log likelihood, which is never positive. A "
            "loss falls as the model gets better.",
            LOSS,
        ),
        Mistake(
            "forgets_the_logarithm",
            "the probabilities of the targets are averaged, with a minus, and not their logarithms. A "
            "token that was thought impossible then costs no more than 1.",
            LOSS,
        ),
        Mistake(
            "measures_in_bits",
            "the logarithm has base 2, so the loss is in bits. Nats are asked for, the natural logarithm.",
            LOSS,
        ),
        Mistake(
            "returns_the_perplexity",
            "the exponential of the mean is returned, which is the perplexity. The mean itself is asked "
            "for, in nats.",
            LOSS,
        ),
        Mistake(
            "gives_nan_for_nothing_but_padding",
            "all is right except where every target is padding: there 0 is divided by 0, or a mean taken "
            "of nothing, which is nan. The answer there is 0.0.",
            LOSS,
        ),
        Mistake(
            "overflows",
            "at logits of 1e4 the result is not finite, because the exponential overflows. Only differences "
            "of logits matter: subtract the largest of each position first.",
            LOSS,
        ),
        Mistake(
            "shifts_by_a_shared_maximum",
            "where one position's logits lie far below another's, the result is not finite: no "
            "exponential there is above zero. This is so when one maximum is subtracted everywhere, such "
            "as that of the whole array. Subtract from each position the largest of its own logits.",
            LOSS,
        ),
        Mistake(
            "takes_the_logarithm_of_the_probability",
            "at a target far below the largest logit the loss is infinite: its probability has "
            "underflowed to zero before the logarithm is taken. Form the logarithm on paper first: the "
            "target's logit minus the log-sum-exp of all logits.",
            LOSS,
        ),
        Mistake(
            "adds_1e_12_inside_the_logarithm",
            "1e-12 is added to the probability before the logarithm. This hides the underflow, but no token "
            "can then cost more than 27.6 nats. Form the logarithm on paper first: the target's logit "
            "minus the log-sum-exp of all logits.",
            LOSS,
        ),
        Mistake(
            "normalises_over_time",
            "the softmax runs over axis 0, which is time. The probabilities of one position sum to 1 "
            "over the V tokens, the last axis.",
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


# Models to decode with: finite tables, asked by `step`, in which every likely path is laid out

Model = dict[str, Any]
Tree = dict[str, dict[str, float]]
EOS, BOS = ".", "^"
NEVER = -1e9  # the log probability of bos
MOST_CALLS = 10_000


def _make_step(model: Model) -> tuple[Callable, Any]:
    """The function `step` of a model, and the state to begin with.

    A model is a table: `moves (S, V)` says to which of S places a token leads from which, and
    `log_probs (S, V)` what is said there. The state is the place, in a tuple or as a one-hot vector.
    """
    (S, V), calls = model["moves"].shape, 0

    def wrapped(place: int) -> Any:
        return np.eye(S)[place] if model["state"] == "vector" else (place,)

    def step(token: Any, state: Any) -> tuple[np.ndarray, Any]:
        nonlocal calls
        calls += 1
        if calls > MOST_CALLS:
            raise RuntimeError(f"step has been called {MOST_CALLS} times: does the loop end?")
        place = model["moves"][_place(state, S, model["state"]), _token(token, V)]
        return model["log_probs"][place].copy(), wrapped(int(place))

    return step, wrapped(0)


def _token(token: Any, V: int) -> int:
    try:
        index = operator.index(token)
    except TypeError:
        kind = type(token).__name__
        raise TypeError(f"step(token, state): the token should be an int, not {kind}") from None
    if not 0 <= index < V:
        raise ValueError(f"step(token, state): the token should be in 0..{V - 1}, not {index}")
    return index


def _place(state: Any, S: int, kind: str) -> int:
    try:
        flat = np.asarray(state, dtype=float).ravel()
        place = int(flat.argmax() if kind == "vector" else flat[0])
        if flat.size == (S if kind == "vector" else 1) and 0 <= place < S:
            return place
    except (TypeError, ValueError, IndexError, OverflowError):
        pass
    raise TypeError("step(token, state): the state should be one that step has returned")


def _normal(row: np.ndarray) -> np.ndarray:
    return row / row.sum()


def _tree_model(
    rng: Rng, tree: Tree, exact: bool = False, state: str = "tuple"
) -> tuple[Model, dict[str, int]]:
    """A model that says after each prefix in `tree` what its row says, and the ids of the letters.

    A row gives letters, and "." for eos, their probabilities; the letters it does not name share
    what is left. After other prefixes, and where the first token is not bos, eos has 0.9. After eos,
    or bos in the middle, the last letter has 0.9. Probabilities are changed by up to 2 per cent,
    unless they are `exact`: then they are given as logarithms, and the ids of the letters ascend.
    """
    letters = sorted({name for row in tree.values() for name in row} - {EOS})
    V = len(letters) + 2
    ids = rng.permutation(V)
    if ids[-1] == 0:  # bos is not 0, which some would feed without being told to
        ids[[-1, 0]] = ids[[0, -1]]
    if exact:
        ids[:-2].sort()
    names = [*letters, EOS, BOS]
    ids_by_name = dict(zip(names, ids.tolist(), strict=True))
    inside = ids[:-1]  # all but bos

    def filled(row: dict[str, float]) -> np.ndarray:
        """Logarithms of the probabilities of all tokens."""
        given = [ids_by_name[name] for name in row]
        others = np.setdiff1d(inside, given)
        logs = np.full(V, NEVER)
        if exact:
            logs[given] = list(row.values())
            left = 1 - np.exp(logs[given]).sum()
            logs[others] = np.log(left / len(others)) if len(others) else NEVER
            return logs
        p = np.zeros(V)
        p[given] = list(row.values()) * np.exp(rng.uniform(-0.02, 0.02, len(given)))
        left = max(1 - p.sum(), 1e-3)
        p[others] = left * _normal(rng.uniform(0.8, 1.2, len(others))) if len(others) else 0
        logs[inside] = np.log(_normal(p[inside]))
        return logs

    prefixes = list(tree)
    start, first, rest, astray = 0, 1, len(tree) + 1, len(tree) + 2
    rows = [np.zeros(V), *(filled(tree[prefix]) for prefix in prefixes)]
    ending, erring = {EOS: 0.9}, {letters[-1]: 0.9}
    if exact:
        ending, erring = ({name: np.log(p) for name, p in row.items()} for row in (ending, erring))
    rows += [filled(ending), filled(erring)]
    rows[0] = rows[-1]
    moves = np.full((len(rows), V), rest, dtype=np.int8)
    for number, prefix in enumerate(prefixes, start=first):
        for name in letters:
            if prefix + name in tree:
                moves[number, ids_by_name[name]] = first + prefixes.index(prefix + name)
    moves[:, ids_by_name[EOS]] = moves[:, ids_by_name[BOS]] = astray
    moves[start] = rest
    moves[start, ids_by_name[BOS]] = first + prefixes.index("")
    return {"moves": moves, "log_probs": np.stack(rows), "state": state}, ids_by_name


def _layered_model(
    rng: Rng, V: int, endings: tuple[float, ...], places: int = 3, state: str = "tuple"
) -> tuple[Model, dict[str, int]]:
    """A random model, `places` places deep at each step; eos has about probability endings[t]."""
    bos, eos = rng.permutation(V)[:2]
    if bos == 0:
        bos, eos = eos, bos
    inside = np.delete(np.arange(V), bos)
    depths = np.repeat(np.arange(len(endings)), places)
    S = 1 + len(depths)
    log_probs, moves = np.full((S, V), NEVER), np.ones((S, V), dtype=np.int8)
    for number, depth in enumerate([0, *depths]):
        p = np.exp(rng.normal(scale=1.0, size=V))
        p[bos] = p[eos] = 0
        p = (1 - endings[depth]) * _normal(p)
        p[eos] = endings[depth]
        p[inside] = _normal(p[inside] * np.exp(rng.uniform(-0.2, 0.2, V - 1)))
        log_probs[number, inside] = np.log(p[inside])
        deeper = min(depth + (number > 0), len(endings) - 1)
        moves[number] = 1 + deeper * places + rng.permutation(np.resize(np.arange(places), V))
    return {"moves": moves, "log_probs": log_probs, "state": state}, {EOS: int(eos), BOS: int(bos)}


def _listed_tokens(value: Any) -> list[int] | None:
    """The tokens of a list or an array of ints; None for anything else."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist() if value.dtype.kind in "iu" or not value.size else None
    if not isinstance(value, list):
        return None
    return value if all(type(token) is int for token in value) else None


def _token_difference(case: Case, label: str, expected: list, got: Any) -> list[Difference]:
    """How the tokens differ; where it is by a bos or eos alone, the part is "marks"."""
    tokens = _listed_tokens(got)
    if tokens is None:
        came = describe(got)
        if isinstance(got, list) and got:
            wrong = next(token for token in got if type(token) is not int)
            came = f"a tuple or list that holds {describe(wrong)}"
        return [Difference("tokens", f"{label} should be a list of ints, but is {came}.")]
    if tokens == expected:
        return []
    bos, eos = case.inputs["bos"], case.inputs["eos"]
    shown = str(tokens) if len(tokens) <= 20 else f"{str(tokens[:20])[:-1]}, ...]"
    text = f"{label} should be {expected}, but is {shown}; bos is {bos}, eos is {eos}."
    bare = tokens[tokens[:1] == [bos] : len(tokens) - (tokens[-1:] == [eos])]
    return [Difference("marks" if bare == expected else "tokens", text)]


# greedy_decode


def _greedy(function: Callable, inputs: Inputs) -> Any:
    step, start = _make_step(inputs["model"])
    return function(step, start, inputs["bos"], inputs["eos"], inputs["max_len"])


def _compare_greedy(case: Case, expected: Any, got: Any) -> list[Difference]:
    found = _token_difference(case, "The result", expected, got)
    if isinstance(got, np.ndarray) and not found:
        return [Difference("type", f"The result should be a list, but is {describe(got)}.")]
    if isinstance(got, list) and {type(token) for token in got} == {float} and got == expected:
        return [Difference("type", "The result should be a list of ints, but holds floats.")]
    return found


def _path(tokens: str, p: float = 0.5) -> Tree:
    """A tree in which, from the beginning, each next letter of the path is likeliest."""
    tree = {tokens[:k]: {tokens[k]: p, EOS: 0.05} for k in range(len(tokens))}
    return {**tree, tokens: {EOS: 0.6}}


def _greedy_cases(rng: Rng) -> list[Case]:
    def case(kind: str, name: str, model: tuple, max_len: int) -> Case:
        table, ids = model
        inputs = {"model": table, "bos": ids[BOS], "eos": ids[EOS], "max_len": max_len}
        return Case(f"{name}, max_len = {max_len}", inputs, kind)

    def path(tokens: str, **options: Any) -> tuple:
        tree = _path(tokens)
        tree[""] = {"b": 0.2, "d": 0.15} | tree[""]  # letters that are in no path, too
        return _tree_model(rng, tree, **options)

    tied = {
        "": {"b": -1.0, "c": -1.0, "d": -2.5},
        "b": {"a": -1.25, "c": -1.25, EOS: -1.5},
        "ba": {EOS: -0.5},
        "c": {"d": -0.5},
        "cd": {EOS: -0.5},
        "bc": {"d": -0.5},
    }
    tied_eos = {
        "": {"a": -1.5, "d": -0.75},
        "d": {"a": -1.0, EOS: -1.0, "c": -2.5},
        "da": {"c": -0.5},
        "dac": {EOS: -0.5},
    }
    return [
        case("values", "three tokens, then eos", path("aca"), 8),
        case(
            "values", "two tokens, then eos; the state is a vector", path("ec", state="vector"), 9
        ),
        case("values", "four tokens, then eos", path("cceb"), 7),
        case("limit", "no eos in time", path("caeca"), 3),
        case("limit", "no eos in time", path("eac"), 1),
        case("limit", "eos would be next", path("bec"), 3),
        case("limit", "eos at the last moment", path("ecb"), 4),
        case("empty", "eos at once", _tree_model(rng, {"": {EOS: 0.6, "a": 0.2, "b": 0.1}}), 5),
        case("ties", "two tokens equally likely", _tree_model(rng, tied, exact=True), 6),
        case("ties", "a token and eos equally likely", _tree_model(rng, tied_eos, exact=True), 6),
    ]


TOKENS, NO_MARKS = "Tokens", "Without bos and eos"

GREEDY_DECODE = Exercise(
    name="greedy_decode",
    chapter=CHAPTER,
    minutes=10,
    signature="step, state, bos, eos, max_len",
    see=GREEDY,
    cases=_greedy_cases,
    call=_greedy,
    compare=_compare_greedy,
    aspects=(
        Aspect(TOKENS, 3, parts=("tokens",), kinds=("values",)),
        Aspect("At most max_len tokens", 2, parts=("tokens",), kinds=("limit",), needs=TOKENS),
        Aspect("Nothing but eos", 1, parts=("tokens",), kinds=("empty",), needs=TOKENS),
        Aspect("Ties", 1, parts=("tokens",), kinds=("ties",), needs=TOKENS),
        Aspect("A list of ints", 1, parts=("type",), kinds=("values",), needs=TOKENS),
        Aspect(NO_MARKS, 1, parts=("marks",), needs=TOKENS),
    ),
    mistakes=(
        Mistake(
            "keeps_eos",
            "`eos` is in the list where the model has said it. It only says that the sequence is over, "
            "and is no part of it.",
            GREEDY,
        ),
        Mistake(
            "keeps_bos",
            "the list begins with `bos`. It is what the model is fed first; it has not been generated.",
            GREEDY,
        ),
        Mistake(
            "feeds_bos_at_every_step",
            "the model is fed `bos` at every step. It is fed `bos` once; afterwards it is fed the token "
            "that it has just said.",
            DECODER,
        ),
        Mistake(
            "does_not_start_from_bos",
            "the first token that the model is fed is not `bos`. It has learned what an answer begins "
            "with from `bos`, and from no other token.",
            DECODER,
        ),
        Mistake(
            "forgets_the_new_state",
            "every step starts from the state that was given at the beginning. `step` returns a new state "
            "each time, and the next call needs it: the model's memory of what it has said is in there.",
            DECODER,
        ),
        Mistake(
            "loses_the_last_token_where_no_eos_comes",
            "where `eos` does not come in time, the last token is missing. This happens when the last "
            "token is always cut off, as if it were `eos`, and when `bos` or `eos` is counted in "
            "`max_len`. The list itself may have `max_len` tokens.",
            GREEDY,
        ),
        Mistake(
            "takes_one_token_too_many",
            "where `eos` does not come in time, there is one token too many. At most `max_len` tokens are "
            "generated.",
            GREEDY,
        ),
        Mistake(
            "ignores_max_len",
            "the loop goes on until `eos` comes, however long that takes. A model may never say it, so "
            "after `max_len` tokens the loop has to end.",
            GREEDY,
        ),
        Mistake(
            "does_not_stop_at_eos",
            "`eos` is left out of the list, but the loop goes on behind it. What the model says after "
            "`eos` means nothing: it has never been taught what comes there.",
            GREEDY,
        ),
        Mistake(
            "takes_the_last_of_equals",
            "of several equally likely tokens the last is taken. The convention is the first, as `argmax` "
            "counts.",
            GREEDY,
        ),
        Mistake(
            "returns_an_array",
            "the tokens are right, but they come as an array. A list of ints is asked for.",
            GREEDY,
        ),
    ),
)


# beam_search

FOUND = ("tokens", "score")


def _beam(function: Callable, inputs: Inputs) -> Any:
    step, start = _make_step(inputs["model"])
    names = ("bos", "eos", "max_len", "width", "alpha")
    return function(step, start, *(inputs[name] for name in names if name in inputs))


def _compare_found(case: Case, expected: Any, got: Any) -> list[Difference]:
    if isinstance(got, (list, np.ndarray)) and len(got) and _listed_tokens(got):
        text = "The result should be a tuple (tokens, score), but is a list of tokens alone."
        return [Difference("", text)]
    if not isinstance(got, list) or len(got) != 2:
        return compare(expected, got, FOUND, RTOL, ATOL)
    found = _token_difference(case, "`tokens`", expected[0], got[0])
    scores = compare([expected[1]], [got[1]], ("score",), RTOL, ATOL)
    return found + scores


def _beam_cases(rng: Rng) -> list[Case]:
    def case(kind, name, model, max_len, width, alpha=None):
        table, ids = model
        inputs = {"model": table, "bos": ids[BOS], "eos": ids[EOS], "max_len": max_len}
        inputs |= {"width": width} | ({} if alpha is None else {"alpha": alpha})
        sizes = f"width = {width}, max_len = {max_len}" + (f", alpha = {alpha}" if alpha else "")
        return Case(f"{name}: {sizes}", inputs, kind)

    def tree(rows: Tree, **options: Any) -> tuple:
        return _tree_model(rng, rows, **options)

    def layers(V: int, *endings: float, **options: Any) -> tuple:
        return _layered_model(rng, V, endings, **options)

    garden = {  # the likeliest first token leads nowhere good
        "": {"a": 0.55, "b": 0.35, EOS: 0.05},
        "a": {"c": 0.3, "d": 0.27, "e": 0.24, EOS: 0.1},
        "b": {"d": 0.92},
        "bd": {"a": 0.93},
        "bda": {EOS: 0.9},
    }
    crowd = {  # both places go to extensions of "a", and the second of them wins
        "": {"a": 0.6, "b": 0.3},
        "a": {"c": 0.45, "d": 0.4},
        "b": {"e": 0.55},
        "ac": {name: 1 / 6 for name in "abcde."},
        "ad": {EOS: 0.95},
        "be": {EOS: 0.7},
    }
    missed = {  # the likeliest sequence begins with what is third after two steps
        "": {"a": 0.5, "b": 0.42},
        "a": {"c": 0.48, "d": 0.44},
        "b": {"e": 0.46},
        "ac": {EOS: 0.4},
        "ad": {name: 1 / 6 for name in "abcde."},
        "be": {EOS: 0.97},
    }
    early = {  # the first to end are not the likeliest
        "": {"a": 0.6, EOS: 0.3},
        "a": {"c": 0.62, EOS: 0.3},
        "ac": {EOS: 0.93},
    }
    room = {  # of three that are kept, one ends at once; the third place is needed again
        "": {"a": 0.48, "b": 0.33, EOS: 0.15},
        "a": {"c": 0.5, "d": 0.44},
        "b": {"e": 0.62},
        "ac": {name: 1 / 6 for name in "abcde."},
        "ad": {name: 1 / 6 for name in "abcde."},
        "be": {EOS: 0.95},
    }
    outside = {  # eos is third at the first step, and the beam has two places
        "": {"a": 0.4, "b": 0.35, EOS: 0.2},
        "a": {"c": 0.32, "d": 0.27, "e": 0.2},
        "b": {"c": 0.25, "d": 0.24, "e": 0.23},
    }
    long = {  # a long sequence, each of whose tokens is likelier than those of the short ones
        "": {"a": 0.5, EOS: 0.36},
        "a": {"c": 0.85, EOS: 0.1},
        "ac": {"d": 0.9},
        "acd": {EOS: 0.88},
    }
    displaced = {  # what has ended is likelier so far than what will win
        "": {"a": 0.5, EOS: 0.4},
        "a": {"c": 0.67, "d": 0.28},
        "ac": {name: 1 / 6 for name in "abcde."},
        "ad": {EOS: 0.96},
    }
    overtaken = {  # what leads at the second step has ended; what lies behind goes on surely
        "": {"a": 0.5, "b": 0.32, EOS: 0.05},
        "a": {EOS: 0.6, "c": 0.1},
        "b": {"c": 0.8},
        "bc": {"d": 0.95},
        "bcd": {EOS: 0.95},
    }
    thinned = {  # eos takes the second place; what is third has none, though it would win
        "": {"a": 0.5, EOS: 0.3, "b": 0.16},
        "a": {"c": 0.24, "d": 0.21, "e": 0.18},
        "b": {"e": 0.95},
        "be": {"d": 0.96},
        "bed": {EOS: 0.96},
    }
    counted = {  # "a." wins; with one step more in its length, "acd" would
        "": {"a": 0.9},
        "a": {"c": 0.5, EOS: 0.45},
        "ac": {"d": 0.467},
    }
    unfinished = {"": {"a": 0.7, EOS: 0.25}, "a": {"c": 0.9}, "ac": {EOS: 0.9}}
    at_once = {"": {"a": 0.55, "b": 0.35, EOS: 0.05}, "a": {"b": 0.8}, "ab": {EOS: 0.9}}

    # Ties, in logarithms that add up without rounding.
    rank = {  # "ad" and "bc" are equal, and one of them stays beside "ae"
        "": {"a": -0.75, "b": -0.75},
        "a": {"e": -0.25, "d": -1.75},
        "b": {"c": -1.75},
        "ad": {EOS: -0.0625},
        "bc": {EOS: -0.0625},
        "ae": {name: -2.0 for name in "abcdef"},
    }
    lower = {  # "c" and "d" are equal, and one of them stays beside "a"
        "": {"c": -1.5, "d": -1.5, "a": -0.75},
        "c": {EOS: -0.125},
        "d": {EOS: -0.125},
        "a": {name: -2.0 for name in "abcdef"},
    }
    first = {  # "b." is found one step before "ac.", and they are equal
        "": {"a": -0.5, "b": -1.0},
        "a": {"c": -0.5, "f": -3.0},
        "b": {EOS: -0.5},
        "ac": {EOS: -0.5, "e": -3.0},
    }
    ended = {  # at the end "a." is as likely as "acd", which is still alive
        "": {"a": -0.5, "e": -3.0, "f": -3.0},
        "a": {EOS: -1.0, "c": -0.5},
        "ac": {"d": -0.5, EOS: -3.0},
    }
    return [
        case("search", "the likeliest first token is a trap", tree(garden), 5, 2),
        case("search", "both places go to one hypothesis", tree(crowd), 5, 2),
        case("search", "the likeliest sequence is lost on the way", tree(missed), 5, 2),
        case("search", "the first to end is not the best", tree(early, state="vector"), 6, 2),
        case("search", "one ends early, the others need all places", tree(room), 6, 3),
        case("search", "an early eos is not among the best", tree(outside), 5, 2),
        case("search", "a random model", layers(6, 0.01, 0.02, 0.1, 0.4, 0.9), 9, 3),
        case("length", "a long answer beats a short one", tree(long), 6, 2, 1.0),
        case("length", "the finished do not fill the beam", tree(displaced), 5, 2, 0.8),
        case("length", "what has ended has taken a place", tree(thinned), 6, 2, 1.0),
        case("length", "a late answer overtakes", tree(overtaken), 6, 2, 1.0),
        case("length", "what is alive at the end is not better", tree(counted), 3, 2, 1.0),
        case("limit", "what is still alive is the best", tree(unfinished), 2, 2),
        case("limit", "one step, and nothing has ended", tree(at_once), 1, 2),
        case("width", "greedy", tree(garden, state="vector"), 5, 1),
        case("width", "wide enough for all", layers(4, 0.02, 0.1, 0.3, 0.4), 4, 500),
        case("ties", "the higher rank stays", tree(rank, exact=True), 4, 2),
        case("ties", "the lower token stays", tree(lower, exact=True), 4, 2),
        case("ties", "the first found wins", tree(first, exact=True), 5, 2),
        case("ties", "the finished one wins", tree(ended, exact=True), 3, 2),
    ]


BEST = "Best sequence"

BEAM_SEARCH = Exercise(
    name="beam_search",
    chapter=CHAPTER,
    minutes=60,
    signature="step, state, bos, eos, max_len, width, alpha=0.0",
    see=BEAM,
    cases=_beam_cases,
    parts=FOUND,
    call=_beam,
    compare=_compare_found,
    aspects=(
        Aspect(BEST, 4, parts=("tokens",), kinds=("search",)),
        Aspect("Its score", 1, parts=("score",), kinds=("search",)),
        Aspect("Length normalisation", 2, parts=FOUND, kinds=("length",), needs=BEST),
        Aspect("The hypotheses alive at max_len", 2, parts=FOUND, kinds=("limit",), needs=BEST),
        Aspect("Width 1, and wide enough for all", 1, parts=FOUND, kinds=("width",), needs=BEST),
        Aspect("Ties", 1, parts=("tokens",), kinds=("ties",), needs=BEST),
        Aspect(NO_MARKS, 1, parts=("marks",), needs=BEST),
    ),
    mistakes=(
        Mistake(
            "ignores_the_width",
            "only the best extension is kept at each step, whatever `width` is: this is greedy decoding. "
            "A beam keeps `width` hypotheses, so that one that looks worse at first may win.",
            BEAM,
        ),
        Mistake(
            "extends_each_greedily",
            "after the first step each hypothesis goes on with its own likeliest token alone. All "
            "extensions of all live hypotheses compete for the places: one hypothesis may take several "
            "of them, and another none.",
            BEAM,
        ),
        Mistake(
            "prunes_each_hypothesis_by_itself",
            "the best `width` extensions of each hypothesis are kept, so there are more and more of "
            "them. All extensions of all live hypotheses compete for `width` places.",
            BEAM,
        ),
        Mistake(
            "ranks_by_the_last_step_alone",
            "hypotheses are ranked by the log probability of their last token. The whole sequence "
            "counts: the log probabilities of its tokens are added up from the beginning.",
            BEAM,
        ),
        Mistake(
            "feeds_the_wrong_states",
            "it is as if each place of the beam kept its own state, whichever hypothesis comes to stand "
            "there. A state belongs to the hypothesis that led to it: an extension goes on from the state that "
            "`step` returned for its own beginning.",
            BEAM,
        ),
        Mistake(
            "shares_one_state",
            "there is one state for all hypotheses: what `step` returned for one is handed to the next. A state "
            "belongs to the hypothesis that led to it, so each hypothesis keeps its own, and all of its "
            "extensions begin with that one.",
            BEAM,
        ),
        Mistake(
            "stops_at_the_first_end",
            "the search stops at the first step at which a hypothesis ends in `eos`. Those that are alive "
            "may still end in something better: it goes on until none is alive, or `max_len` is reached.",
            BEAM,
        ),
        Mistake(
            "stops_after_width_ends",
            "the search stops as soon as `width` hypotheses have ended. Many libraries do that; here it "
            "goes on until none is alive, or `max_len` is reached.",
            BEAM,
        ),
        Mistake(
            "stops_when_the_finished_lead",
            "the search stops as soon as the best finished hypothesis scores better than every live one. "
            "Without length normalisation that is safe; with it, a live one may improve, because its "
            "later tokens raise its average.",
            LENGTH,
        ),
        Mistake(
            "narrows_the_beam",
            "each hypothesis that ends makes the beam narrower by one. Here the finished leave the beam "
            "and their places are free again: at every step the best `width` extensions are kept.",
            BEAM,
        ),
        Mistake(
            "finished_keep_their_places",
            "a finished hypothesis stays in the beam and competes with the live ones for its place. Here "
            "it leaves the beam, and all `width` places go to extensions of live hypotheses.",
            BEAM,
        ),
        Mistake(
            "eos_takes_no_place",
            "every extension by `eos` is collected as finished, also where it is not among the best "
            "`width`. It has to win a place like any other extension.",
            BEAM,
        ),
        Mistake(
            "fills_the_places_of_the_ended_at_once",
            "where extensions by `eos` are among the best `width`, the next best ones move up, so that there "
            "are always `width` live hypotheses. Here the best `width` extensions are taken first; those "
            "that end in `eos` then leave, and what was not among them is lost.",
            BEAM,
        ),
        Mistake(
            "goes_on_after_eos",
            "`eos` is treated as a token like any other: the hypothesis goes on behind it, and what comes "
            "there is added to its log probability. With `eos` it is finished, and leaves the beam.",
            BEAM,
        ),
        Mistake(
            "live_do_not_compete",
            "where anything has ended, only what has ended is looked at in the end. The hypotheses that "
            "are still alive at `max_len` compete, too.",
            BEAM,
        ),
        Mistake(
            "finished_do_not_compete",
            "where anything is alive at `max_len`, only what is alive is looked at in the end. What has ended "
            "before competes, too, and may be better.",
            BEAM,
        ),
        Mistake(
            "takes_one_step_too_few",
            "the search makes one step less than `max_len`, as happens when `bos` is counted. A hypothesis may "
            "have `max_len` generated tokens.",
            BEAM,
        ),
        Mistake(
            "takes_one_step_too_many",
            "the search makes one step more than `max_len`. No hypothesis has more than `max_len` tokens, "
            "`eos` counted.",
            BEAM,
        ),
        Mistake(
            "ignores_alpha",
            "`alpha` has no influence: hypotheses compete by their log probability alone. In the end it "
            "is divided by n**alpha.",
            LENGTH,
        ),
        Mistake(
            "uses_another_length_penalty",
            "the log probability is divided by ((5 + n) / 6)**alpha. That is the penalty of Google's "
            "translation system; here it is n**alpha.",
            LENGTH,
        ),
        Mistake(
            "does_not_count_eos",
            "a finished hypothesis is divided by its length without `eos`. Its log probability has a term "
            "for `eos`, so `eos` counts where it was generated.",
            LENGTH,
        ),
        Mistake(
            "divides_by_the_length_of_the_empty_answer",
            "a finished hypothesis is divided by its length without `eos`, and the code stops where it has "
            "nothing but `eos`: that length is 0. The log probability has a term for `eos`, so `eos` counts "
            "where it was generated, and n is at least 1.",
            LENGTH,
        ),
        Mistake(
            "counts_eos_for_the_live",
            "`eos` is counted for hypotheses that are still alive, too. n is the number of generated tokens, "
            "and these have not generated it.",
            LENGTH,
        ),
        Mistake(
            "counts_bos",
            "the length counts `bos`. n is the number of generated tokens: `bos` is given, and has no log "
            "probability among those that are added up.",
            LENGTH,
        ),
        Mistake(
            "chooses_before_it_normalises",
            "the sequence is chosen by its log probability, and only then is the score divided by n**alpha. In "
            "the end the sequences compete by the divided scores.",
            LENGTH,
        ),
        Mistake(
            "returns_the_raw_score",
            "the right sequence is returned, but beside it stands its log probability. The score is what "
            "the sequences compete by in the end: it is divided by n**alpha.",
            LENGTH,
        ),
        Mistake(
            "keeps_eos",
            "`eos` is in the returned tokens. It says that the sequence is over, and counts in the score, "
            "but it is no part of the answer.",
            BEAM,
        ),
        Mistake(
            "keeps_bos",
            "the returned tokens begin with `bos`. It is what the model is fed first; it has not been "
            "generated.",
            BEAM,
        ),
        Mistake(
            "returns_the_score_first",
            "the two results stand in the opposite order: `tokens` comes first, then `score`.",
            BEAM,
        ),
        Mistake(
            "lower_token_before_higher_rank",
            "of equally good extensions the one with the lower token is kept. The rank of the hypothesis "
            "decides first, and the token only between extensions of the same one.",
            BEAM,
        ),
        Mistake(
            "keeps_the_last_of_equals",
            "of equally good extensions those that come last are kept, as happens when a sorted list is "
            "read from its end. Ties go to the hypothesis ranked higher so far, then to the lower token.",
            BEAM,
        ),
        Mistake(
            "last_found_wins",
            "in the end, of equally good sequences the one found last is returned, as `>=` does in place of "
            "`>`. Ties go to the finished, then to the one found first.",
            BEAM,
        ),
        Mistake(
            "live_win_ties",
            "in the end a live hypothesis wins over an equally good finished one, as when the live ones "
            "stand first in the list. Ties go to the finished.",
            BEAM,
        ),
    ),
)


# edit_distance

# Pairs of sequences that show what a distance counts; their letters stand for any tokens.
PAIRS = [  # what is special, one, the other
    ("a deletion and a substitution", "abcde", "abfe"),
    ("two neighbours exchanged", "abcde", "acbde"),
    ("one shifted against the other", "abcdef", "bcdefa"),
    ("two tokens more at the beginning", "cab", "dacab"),
    ("two tokens less at the beginning", "dacab", "cab"),
    ("another end", "abac", "abad"),
    ("the same twice", "abcab", "abcab"),
    ("with repetitions", "aabab", "babbaa"),
]
WORDS = [
    *("AH0", "K", "T", "IY1", "S", "N", "NG", "ER0", "AE1", "D", "L", "OW1"),
]
# Numbers of two digits, no digit in two of them.
NUMBERS = [10, 25, 34, 67, 89]


def _distance_cases(rng: Rng) -> list[Case]:
    def named(letters: str, pool: list) -> dict[str, Any]:
        chosen = rng.permutation(len(pool))[: len(letters)]
        return {letter: pool[i] for letter, i in zip(letters, chosen, strict=True)}

    def case(kind: str, name: str, a: Any, b: Any) -> Case:
        return Case(name, {"a": a, "b": b}, kind)

    cases = []
    for number, (told, a, b) in enumerate(PAIRS):
        pool, what = (WORDS, "words") if number % 2 else (list(range(60)), "numbers")
        names = named("abcdef", pool)
        pair = [[names[letter] for letter in letters] for letters in (a, b)]
        if "beginning" not in told and (number < 2 or rng.random() < 0.5):
            pair.reverse()
        kind = "exchange" if "exchanged" in told else "tokens"
        cases.append(case(kind, f"lists of {what}, {told}", *pair))
    for number in range(1, 6):
        tokens = rng.permutation(40).tolist()
        pair = [tokens[:8], tokens[:8]]
        for side, changes in zip(pair, rng.integers(1, 4, size=(2, 2)), strict=True):
            for _ in range(changes[0]):
                del side[int(rng.integers(len(side)))]
            for _ in range(changes[1]):
                side[int(rng.integers(len(side)))] = tokens.pop()
        cases.append(case("tokens", f"lists of numbers, changed at random ({number})", *pair))
    names = named("abcde", NUMBERS)
    a, b = ([names[letter] for letter in letters] for letters in ("abcd", "aec"))
    cases.append(case("tokens", "lists of numbers with two digits", a, b))
    letters = [chr(ord("a") + i) for i in range(26)]
    for told, a, b in [("two", "kitten", "sitting"), ("two longer", "sunday", "saturday")]:
        used = sorted({*a, *b})
        names = named("".join(used), letters)
        pair = ["".join(names[letter] for letter in word) for word in (a, b)]
        cases.append(case("strings", f"{told} strings", *pair))
    names = named("abc", list(range(60)))
    tokens = [names[letter] for letter in "abca"]
    return [
        *cases,
        case("empty", "from an empty list", [], tokens),
        case("empty", "to an empty list", tokens[:3], []),
        case("empty", "two empty lists", [], []),
        case("empty", "an empty string", "".join(rng.permutation(letters[:5])), ""),
    ]


def _compare_distance(case: Case, expected: Any, got: Any) -> list[Difference]:
    if isinstance(got, float) and got == expected:
        return [Difference("type", f"The result should be an int, but is {describe(got)}.")]
    found = compare(expected, got, (), RTOL, ATOL)
    return [replace(difference, part="distance") for difference in found]


LISTS = "Lists of tokens"

EDIT_DISTANCE = Exercise(
    name="edit_distance",
    chapter=CHAPTER,
    minutes=20,
    signature="a, b",
    see=DISTANCE,
    cases=_distance_cases,
    compare=_compare_distance,
    aspects=(
        Aspect(LISTS, 3, parts=("distance",), kinds=("tokens",)),
        Aspect("Neighbours exchanged", 1, parts=("distance",), kinds=("exchange",), needs=LISTS),
        Aspect("Strings", 1, parts=("distance",), kinds=("strings",), needs=LISTS),
        Aspect("Empty sequences", 1, parts=("distance",), kinds=("empty",), needs=LISTS),
        Aspect("An int", 1, parts=("type",), kinds=("tokens",), needs=LISTS),
        Aspect(PURITY, 1, of="purity", needs=LISTS),
    ),
    mistakes=(
        Mistake(
            "compares_position_by_position",
            "position t of one is compared with position t of the other, and what one has more is added. "
            "After a single missing token everything would count as wrong. An insertion or deletion moves "
            "the rest, at the cost of 1.",
            DISTANCE,
        ),
        Mistake(
            "charges_two_for_a_substitution",
            "to exchange a token costs 2, a deletion and an insertion. In the Levenshtein distance a "
            "substitution is one step, and costs 1.",
            DISTANCE,
        ),
        Mistake(
            "counts_an_exchange_of_neighbours_as_one",
            "two neighbours that have changed places count as one step. That is the distance of Damerau; "
            "Levenshtein's knows insertions, deletions and substitutions only.",
            DISTANCE,
        ),
        Mistake(
            "charges_for_equal_tokens",
            "equal tokens cost 1 like different ones, so the result is the length of the longer "
            "sequence. Where the two tokens are equal, going on with both costs nothing.",
            DISTANCE,
        ),
        Mistake(
            "starts_the_table_with_zeros",
            "the first row and column of the table are zeros, as if a beginning could be left out free of "
            "charge. To make i tokens from none takes i insertions.",
            DISTANCE,
        ),
        Mistake(
            "leaves_the_first_column_at_zero",
            "tokens at the beginning of `a` are dropped free of charge, and so is all of `a` where `b` is "
            "empty: this is so where the first column of the table holds zeros. To get rid of i tokens "
            "takes i deletions.",
            DISTANCE,
        ),
        Mistake(
            "leaves_the_first_row_at_zero",
            "tokens at the beginning of `b` come free of charge, and so does all of `b` where `a` is empty: "
            "this is so where the first row of the table holds zeros. To make j tokens from none takes j "
            "insertions.",
            DISTANCE,
        ),
        Mistake(
            "goes_anywhere_for_free_at_a_match",
            "where two tokens are equal, the smallest of the three neighbours in the table is taken as it "
            "is. An equal pair makes only the diagonal step free: to leave a token out still costs 1.",
            DISTANCE,
        ),
        Mistake(
            "never_deletes",
            "it is as if a token of `a` could not be deleted once `b` has begun. A field of the table is "
            "reached in three ways: by a deletion, by an insertion, and by using up one token of each.",
            DISTANCE,
        ),
        Mistake(
            "leaves_out_the_last_tokens",
            "the last token of each sequence is not looked at. The table has one row and one column more "
            "than there are tokens, for the empty beginnings, and the answer stands in its last corner.",
            DISTANCE,
        ),
        Mistake(
            "takes_an_empty_sequence_for_equal",
            "all is right except where one of the two is empty: there the result is 0. It takes as many "
            "insertions or deletions as the other one has tokens.",
            DISTANCE,
        ),
        Mistake(
            "compares_characters",
            "the tokens are joined to one text and its characters compared. A token is one item, however "
            "many characters it is written with.",
            DISTANCE,
        ),
        Mistake(
            "divides_by_the_length",
            "the distance is divided by the length of the longer sequence, which makes it a rate. The number "
            "of steps itself is asked for, an int.",
            DISTANCE,
        ),
        Mistake(
            "returns_a_float",
            "the number is right, but it is a float, as it comes out of a table made by `np.zeros`. The "
            "distance counts steps: an int is asked for.",
            DISTANCE,
        ),
    ),
)


# teacher_forcing_mix


def _mix_cases(rng: Rng) -> list[Case]:
    def case(kind: str, T: int, B: int, p: float) -> Case:
        V = 9
        targets = _tokens(rng, T, B, V)
        predictions = (targets + rng.integers(1, V, size=(T, B))) % V  # the two differ everywhere
        below = rng.permutation(np.resize([True, False], T * B)).reshape(T, B)
        if B > 1:  # decisions differ within the first step, and within the first sequence
            below[0, :2] = rng.permutation([True, False])
        if T > 1:
            below[1, 0] = not below[0, 0]
        u = np.where(below, rng.uniform(0, p, (T, B)), rng.uniform(p, 1, (T, B)))
        if kind == "ends":
            u = rng.uniform(0, 1, (T, B))
            u[rng.integers(0, T), rng.integers(0, B)] = 0
        if kind == "equal":
            u[rng.integers(0, T), 0] = u[-1, -1] = p
        told = ", u exactly p in places" if kind == "equal" else ""
        inputs = {"targets": targets, "predictions": predictions, "u": u, "p": p}
        return Case(f"T = {T}, B = {B}, p = {p:.3g}{told}", inputs, kind)

    def share() -> float:
        return float(rng.uniform(0.35, 0.65))

    return [
        case("values", 5, 3, share()),
        case("values", 4, 4, share()),
        case("values", 6, 2, 0.25),
        case("sizes", 1, 4, share()),
        case("sizes", 6, 1, share()),
        case("ends", 4, 3, 0.0),
        case("ends", 3, 4, 1.0),
        case("equal", 4, 3, share()),
        case("equal", 3, 2, 0.5),
    ]


TEACHER_FORCING_MIX = Exercise(
    name="teacher_forcing_mix",
    chapter=CHAPTER,
    minutes=5,
    signature="targets, predictions, u, p",
    see=EXPOSURE,
    cases=_mix_cases,
    compare=_compare_int_arrays,
    aspects=(
        Aspect(VALUES, 3, parts=("tokens",), kinds=("values",)),
        Aspect("p = 0 and p = 1", 1, parts=("tokens",), kinds=("ends",), needs=VALUES),
        Aspect("u exactly p", 1, parts=("tokens",), kinds=("equal",), needs=VALUES),
        Aspect("One step, one sequence", 1, parts=("tokens",), kinds=("sizes",), needs=VALUES),
        INTEGERS,
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "takes_the_prediction_below_p",
            "where u < p the prediction is taken, and else the target. p is the probability of the target: "
            "at p = 1 this is teacher forcing throughout.",
            EXPOSURE,
        ),
        Mistake(
            "takes_the_target_above_p",
            "the target is taken where u is greater than p. p is the probability of the target, so it is "
            "taken where u is smaller; at p = 1 this is teacher forcing throughout.",
            EXPOSURE,
        ),
        Mistake(
            "takes_the_target_at_p_itself",
            "the target is also taken where u equals p. The condition is u < p, so that at p = 0 no target is "
            "taken, even where u is 0.",
            EXPOSURE,
        ),
        Mistake(
            "decides_once_for_a_sequence",
            "the first step of each sequence decides for all its steps. Every position has its own u, and "
            "is decided by itself.",
            EXPOSURE,
        ),
        Mistake(
            "decides_once_for_a_step",
            "the first sequence decides for all sequences at each step. Every position has its own u, and "
            "is decided by itself.",
            EXPOSURE,
        ),
        Mistake(
            "decides_once_for_the_batch",
            "a single entry of u decides for the whole batch. Every position has its own u, and is "
            "decided by itself.",
            EXPOSURE,
        ),
        Mistake(
            "blends_the_ids",
            "the ids of target and prediction are averaged with weights p and 1 - p. Ids are names: a blend "
            "of two is the id of a third token, or of none. One or the other is taken.",
            EXPOSURE,
        ),
        Mistake(
            "takes_the_prediction_of_the_step_before",
            "where a prediction is due, the one of the step before is taken. Both arrays are lined up "
            "already: position t of the result comes from position t of one of the two.",
            EXPOSURE,
        ),
        Mistake(
            "keeps_the_first_target",
            "the first step always gets the target. There, too, u decides; `bos` is put in front by "
            "another function.",
            EXPOSURE,
        ),
        Mistake(
            "returns_floats",
            "the choices are right, but they come as floats, as multiplying by a mask of floats makes them. "
            "Tokens are used as indices, and a float is no index.",
            EXPOSURE,
        ),
        Mistake(
            "writes_into_the_targets",
            "the result is right, but predictions have been written into the array `targets` that was passed "
            "in. The loss still needs it: work on a copy.",
            EXPOSURE,
        ),
        Mistake(
            "writes_into_the_predictions",
            "the result is right, but targets have been written into the array `predictions` that was passed "
            "in. Work on a copy.",
            EXPOSURE,
        ),
    ),
)


EXERCISES = [
    SHIFT_RIGHT,
    ENCODE,
    SEQUENCE_NLL,
    GREEDY_DECODE,
    BEAM_SEARCH,
    EDIT_DISTANCE,
    TEACHER_FORCING_MIX,
]
