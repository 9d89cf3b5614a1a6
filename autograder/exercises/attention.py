"""Chapter 10: what is asked about weights over the past: unrolled gates, attention, its cost."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare
from autograder.detail import with_steps
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "10-attention"
UNROLL = Section(CHAPTER, "attn-unroll", "An LSTM's memory is a weighted sum")
UNROLL_GRU = Section(CHAPTER, "attn-unroll-gru", "The GRU's weights sum to one")
SCORES = Section(CHAPTER, "attn-scores", "Scores")
SOFTMAX = Section(CHAPTER, "attn-softmax", "A softmax that knows what is padding")
CONTEXT = Section(CHAPTER, "attn-context", "The context")
BACKWARD = Section(CHAPTER, "attn-backward", "The gradient through a choice")
DECODER = Section(CHAPTER, "attn-decoder", "A decoder that looks back")
DOT = Section(CHAPTER, "attn-dot", "The dot product, and its scale")
MASKS = Section(CHAPTER, "attn-masks", "Masks")
ENTROPY = Section(CHAPTER, "attn-entropy", "How sharp is a look?")
PATH = Section(CHAPTER, "attn-path", "How far a gradient has to go")
COST = Section(CHAPTER, "attn-cost", "What it costs")

RTOL, ATOL = 1e-9, 1e-12
VALUES, PURITY = "Values", "Leaves its inputs alone"
NOTHING_REAL = "A column without a real position"
SMALL = "One position, one sequence"
DIGITS, ALL_DIGITS = "digits", "To the last digits"

Rng = np.random.Generator
Inputs = dict[str, Any]


def _where(masks: dict[str, np.ndarray], expected: np.ndarray, got: np.ndarray) -> Iterator:
    """One difference for each mask under which the two arrays differ, its first index under it."""
    for part, mask in masks.items():
        there = np.where(mask, got, expected)
        for difference in compare(expected, there, (), RTOL, ATOL):
            yield replace(difference, part=part)


def _but_for_digits(difference: Difference, part: str) -> Difference:
    """Give it this part, or "digits" where only the last digits of a float64 array are wrong."""
    got = difference.got
    if got is None or got.dtype != np.float64:
        return replace(difference, part=part)
    near = np.allclose(got, difference.expected, rtol=1e-6, atol=1e-6)
    return replace(difference, part=DIGITS if near else part)


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over axis 0, of scores that are not large."""
    weights = np.exp(scores)
    return weights / weights.sum(axis=0)


def _mask(rng: Rng, S: int, *shape: int) -> np.ndarray:
    """(S, *shape): of S >= 3 positions, from 2 to S - 1 are real, anywhere, another set each time.

    Of fewer, all are.
    """
    mask = np.ones((S, *shape), dtype=bool)
    chosen = None
    for index in np.ndindex(*shape) if S >= 3 else ():
        before = chosen
        while chosen is None or np.array_equal(chosen, before):
            chosen = rng.permutation(S) < rng.integers(2, S)
        mask[:, *index] = chosen
    return mask


def _scores(rng: Rng, S: int, B: int) -> np.ndarray:
    """Of which a softmax makes weights that are neither even nor all in one place."""
    return away_from_zero(rng, (S, B), 0.2, 1.5)


# unrolled_cell_weights


def _gates(rng: Rng, *shape: int) -> np.ndarray:
    return rng.uniform(0.2, 0.9, size=shape)


def _closed(rng: Rng, T: int, B: int, H: int) -> np.ndarray:
    """Gates of which, in each unit, one inner one is exactly 0 and another exactly 1."""
    gates = _gates(rng, T, B, H)
    for n, k in np.ndindex(B, H):
        zero, one = 1 + rng.permutation(T - 2)[:2]
        gates[zero, n, k], gates[one, n, k] = 0.0, 1.0
    return gates


SIZES_OF_GATES = [
    ("values", 4, 2, 3),
    ("values", 3, 3, 3),
    ("values", 6, 3, 2),
    ("values", 5, 5, 1),
    ("sizes", 1, 2, 3),
    ("sizes", 4, 1, 2),
    ("sizes", 2, 1, 1),
]


def _cell_cases(rng: Rng) -> list[Case]:
    cases = [
        Case(
            f"T = {T}, B = {B}, H = {H}",
            {"f": _gates(rng, T, B, H), "i": _gates(rng, T, B, H)},
            kind,
        )
        for kind, T, B, H in SIZES_OF_GATES
    ]
    closed = {"f": _closed(rng, 6, 2, 3), "i": _closed(rng, 6, 2, 3)}
    return [*cases, Case("some gates exactly 0 or 1, T = 6", closed, "closed")]


def _compare_over_time(case: Case, expected: Any, got: Any) -> list[Difference]:
    return [with_steps(d, ("",)) for d in compare(expected, got, (), RTOL, ATOL)]


UNROLLED_CELL_WEIGHTS = Exercise(
    name="unrolled_cell_weights",
    chapter=CHAPTER,
    minutes=10,
    signature="f, i",
    see=UNROLL,
    cases=_cell_cases,
    compare=_compare_over_time,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("One step, one sequence", 1, kinds=("sizes",), needs=VALUES),
        Aspect("Gates that are exactly 0 or 1", 1, kinds=("closed",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "lets_its_own_forget_gate_act",
            "the weight of g_t contains the forget gate of step t itself. That gate scales the cell as it was "
            "before g_t was added. Only the forget gates of the later steps act on g_t.",
            UNROLL,
        ),
        Mistake(
            "takes_the_forget_gates_one_step_early",
            "the weight of g_t contains the forget gates from step t on, without that of the last step. The "
            "first one that g_t meets is that of step t + 1, and the last one acts on it as well.",
            UNROLL,
        ),
        Mistake(
            "leaves_out_the_input_gate",
            "the weights hold forget gates only, so that the last candidate has the weight 1. How much of a "
            "candidate was written in the first place is up to the input gate of its own step.",
            UNROLL,
        ),
        Mistake(
            "takes_one_minus_f_for_the_input_gate",
            "a candidate is written with the share 1 - f, and `i` has no influence. That is a cell with coupled "
            "gates. In the LSTM the input gate is a gate of its own.",
            UNROLL,
        ),
        Mistake(
            "exchanges_f_and_i",
            "`f` and `i` have changed places: the first argument is the forget gate. A candidate is written "
            "once, by the input gate of its step, and then passes one forget gate at each later step.",
            UNROLL,
        ),
        Mistake(
            "multiplies_from_the_start",
            "the forget gates up to step t are multiplied. They decide what is left of c_0 at step t. A "
            "candidate that comes in at step t meets the gates after it.",
            UNROLL,
        ),
        Mistake(
            "turns_round_after_the_product",
            "each weight has the right number of forget gates, but they are the first ones and not the last: "
            "the running product begins at the first step and is turned round afterwards. Let it begin at the end.",
            UNROLL,
        ),
        Mistake(
            "takes_the_next_forget_gate_only",
            "each weight has one forget gate, that of the next step. On its way to the end a candidate passes "
            "one at every later step, and they are multiplied.",
            UNROLL,
        ),
        Mistake(
            "makes_the_weights_sum_to_one",
            "the weights are divided by their sum. An LSTM's weights need not sum to anything in particular: "
            "that is why its cell can count, and grow.",
            UNROLL,
        ),
        Mistake(
            "puts_the_weight_of_c_0_in_front",
            "there is one entry too many: in front stands the product of all forget gates, the weight of c_0. "
            "Asked for are the weights of the T candidates.",
            UNROLL,
        ),
        Mistake(
            "orders_by_lag",
            "the right weights stand in the opposite order, the last step first. Entry t belongs to the "
            "candidate of step t.",
            UNROLL,
        ),
        Mistake(
            "runs_along_the_batch",
            "the product runs along axis 1, which counts the sequences. Time comes first; sequences have "
            "nothing to do with each other.",
            UNROLL,
        ),
        Mistake(
            "divides_by_its_own_gate",
            "all is right except where a gate is 0. There the result is nan: the product that begins with the gate of "
            "the step itself is divided by that gate again (or its logarithm is subtracted). Do not multiply it in.",
            UNROLL,
        ),
        Mistake(
            "divides_products",
            "the product of all forget gates is divided by the product of the first ones (or logarithms are "
            "subtracted, which is the same). Where a gate is exactly 0, this is 0/0. Multiply the later gates "
            "themselves, from the end to the front.",
            UNROLL,
        ),
        Mistake(
            "writes_into_f",
            "the weights are right, but where there is more than one step, `f` is not what it was: something is "
            "written into it, as `*=` does. Fill a new array.",
            UNROLL,
        ),
    ),
)


# unrolled_gru_weights

H0, CANDIDATES = "weights[0]", "weights[1:]"


def _gru_cases(rng: Rng) -> list[Case]:
    cases = [
        Case(f"T = {T}, B = {B}, H = {H}", {"z": _gates(rng, T, B, H)}, kind)
        for kind, T, B, H in SIZES_OF_GATES
    ]
    closed = {"z": _closed(rng, 6, 2, 3)}
    closed["z"][int(rng.integers(6)), 1] = 1.0
    closed["z"][0, 0, 0] = 1.0
    return [*cases, Case("some gates exactly 0 or 1, T = 6", closed, "closed")]


def _compare_h0_and_candidates(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, told apart: the weight of h_0, and those of the candidates."""
    found = compare(expected, got, (), RTOL, ATOL)
    if not found or not isinstance(got, np.ndarray) or got.shape != expected.shape:
        return found
    first = np.arange(len(expected))[:, None, None] == 0
    return list(_where({H0: first, CANDIDATES: ~first}, expected, got)) or found


WEIGHTS_OF_CANDIDATES = "The weights of the candidates"

UNROLLED_GRU_WEIGHTS = Exercise(
    name="unrolled_gru_weights",
    chapter=CHAPTER,
    minutes=10,
    signature="z",
    see=UNROLL_GRU,
    cases=_gru_cases,
    compare=_compare_h0_and_candidates,
    aspects=(
        Aspect(WEIGHTS_OF_CANDIDATES, 4, parts=(CANDIDATES,), kinds=("values",)),
        Aspect("The weight of the first state", 2, parts=(H0,)),
        Aspect(
            "One step, one sequence",
            1,
            parts=(CANDIDATES,),
            kinds=("sizes",),
            needs=WEIGHTS_OF_CANDIDATES,
        ),
        Aspect(
            "Gates that are exactly 0 or 1",
            1,
            parts=(CANDIDATES,),
            kinds=("closed",),
            needs=WEIGHTS_OF_CANDIDATES,
        ),
        Aspect(PURITY, 1, of="purity", needs=WEIGHTS_OF_CANDIDATES),
    ),
    mistakes=(
        Mistake(
            "takes_z_for_the_share_of_the_new",
            "`z` and `1 - z` have changed places. In PyTorch's form z is the share of the old state, and 1 - z "
            "that of the candidate.",
            UNROLL_GRU,
        ),
        Mistake(
            "leaves_out_the_share_of_the_candidate",
            "the weight of n_t holds the later gates only, so that the last candidate has the weight 1. The "
            "candidate enters with the share that the gate of its own step leaves to it.",
            UNROLL_GRU,
        ),
        Mistake(
            "lets_its_own_gate_act_on_the_candidate",
            "the weight of n_t contains z_t as a factor, besides 1 - z_t. At step t, z_t multiplies the old "
            "state and 1 - z_t the candidate. The candidate meets the z of the later steps only.",
            UNROLL_GRU,
        ),
        Mistake(
            "multiplies_from_the_start",
            "the weight of n_t holds the gates *before* step t. These weights sum to 1 as well, but they give "
            "the last candidate what is left over. A candidate is worn down by the gates after it.",
            UNROLL_GRU,
        ),
        Mistake(
            "takes_the_next_gate_only",
            "the weight of n_t has one later gate, that of the next step. On its way to the end a candidate "
            "passes all later ones.",
            UNROLL_GRU,
        ),
        Mistake(
            "leaves_the_first_gate_out_for_h_0",
            "the weight of h_0 lacks the gate of the first step. That step already mixes h_0 with a candidate, "
            "so all T gates act on h_0.",
            UNROLL_GRU,
        ),
        Mistake(
            "gives_h_0_one_minus_the_first_gate",
            "h_0 is treated like a candidate: its weight is 1 - z_1 times the later gates. Nothing is mixed in "
            "before the first step; h_0 is the old state there, and keeps the share z_1.",
            UNROLL_GRU,
        ),
        Mistake(
            "leaves_h_0_out",
            "there are T entries, one for each candidate. h_0 has a weight too, entry 0. Without it the weights "
            "do not sum to 1.",
            UNROLL_GRU,
        ),
        Mistake(
            "puts_h_0_last",
            "the numbers are right, but the weight of h_0 stands at the end. Entry 0 is for h_0, and entry t for "
            "the candidate of step t.",
            UNROLL_GRU,
        ),
        Mistake(
            "orders_by_lag",
            "the right numbers stand in the opposite order, the last step first. Entry 0 is for h_0, entry T for "
            "the last candidate.",
            UNROLL_GRU,
        ),
        Mistake(
            "divides_by_its_own_gate",
            "all is right except where a gate is 0. There the result is nan: the product that begins with the gate of "
            "the step itself is divided by that gate again (or its logarithm is subtracted). Do not multiply it in.",
            UNROLL_GRU,
        ),
        Mistake(
            "divides_products",
            "the product of all gates is divided by the product of the first ones (or logarithms are "
            "subtracted, which is the same). Where a gate is exactly 0, this is 0/0. Multiply the later gates "
            "themselves, from the end to the front.",
            UNROLL_GRU,
        ),
        Mistake(
            "writes_into_z",
            "the weights are right, but where there is more than one step, `z` is not what it was: something is "
            "written into it, as `*=` does. Fill a new array.",
            UNROLL_GRU,
        ),
    ),
)


# additive_scores


def _additive(rng: Rng, Q: int, E: int, A: int) -> Inputs:
    """Weights with which no unit saturates, and none can be left out unseen."""
    return {
        "W_q": away_from_zero(rng, (A, Q), 0.5, 1.0) / np.sqrt(Q),
        "W_k": away_from_zero(rng, (A, E), 0.5, 1.0) / np.sqrt(E),
        "v": away_from_zero(rng, (A,), 0.6, 1.4),
    }


def _additive_cases(rng: Rng) -> list[Case]:
    sizes = [  # S, B, Q, E, A
        ("values", 5, 3, 2, 4, 6),
        ("values", 4, 2, 5, 3, 2),
        ("values", 3, 3, 2, 5, 4),
        ("values", 3, 3, 3, 3, 3),
        ("sizes", 1, 3, 2, 4, 3),
        ("sizes", 4, 1, 3, 2, 5),
        ("sizes", 3, 2, 1, 1, 1),
    ]
    cases = []
    for kind, S, B, Q, E, A in sizes:
        inputs = {
            "query": away_from_zero(rng, (B, Q), 0.3, 1.2),
            "keys": away_from_zero(rng, (S, B, E), 0.3, 1.2),
            **_additive(rng, Q, E, A),
        }
        cases.append(Case(f"S = {S}, B = {B}, Q = {Q}, E = {E}, A = {A}", inputs, kind))
    return cases


ADDITIVE_SCORES = Exercise(
    name="additive_scores",
    chapter=CHAPTER,
    minutes=15,
    signature="query, keys, W_q, W_k, v",
    see=SCORES,
    cases=_additive_cases,
    aspects=(
        Aspect(VALUES, 5, kinds=("values",)),
        Aspect("One position, one sequence, one unit", 1, kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "leaves_out_the_tanh",
            "there is no `tanh` between the sum and `v`. Then query and key enter the score as two separate "
            "terms. The query adds the same number at every position, and after the softmax it makes no "
            "difference at all.",
            SCORES,
        ),
        Mistake(
            "puts_a_sigmoid_for_the_tanh",
            "the hidden layer has a sigmoid. It is a `tanh`.",
            SCORES,
        ),
        Mistake(
            "takes_the_tanh_of_each_part",
            "query and key go through a `tanh` each, and are added afterwards. Then they never meet inside the "
            "nonlinearity: the query adds the same number at every position, and the softmax does not notice it.",
            SCORES,
        ),
        Mistake(
            "takes_the_tanh_last",
            "`v` is applied before the `tanh`. The hidden units come first, each with its `tanh`, and `v` weighs "
            "what comes out of them. A score may be larger than 1.",
            SCORES,
        ),
        Mistake(
            "leaves_out_v",
            "the hidden units are added up as they are, and `v` has no influence. It weighs them: a unit may "
            "count much, or against.",
            SCORES,
        ),
        Mistake(
            "averages_over_the_units",
            "the score is divided by the number of hidden units A. The inner product with `v` is a sum.",
            SCORES,
        ),
        Mistake(
            "divides_by_the_root_of_A",
            "the score is divided by the root of A. Such a scale belongs to the dot product of a query and a "
            "key. Here the size of the score is up to `v`.",
            DOT,
        ),
        Mistake(
            "multiplies_query_and_key",
            "what the two matrices make of query and key is multiplied, unit by unit. This score adds them; that "
            "is where it has its name from.",
            SCORES,
        ),
        Mistake(
            "ignores_the_query",
            "the query has no influence. A key's score depends on what is asked for.",
            SCORES,
        ),
        Mistake(
            "applies_the_softmax_too",
            "the scores have been turned into weights already. That is the next step, where the mask is known. "
            "Here the scores themselves are asked for.",
            SCORES,
        ),
        Mistake(
            "returns_the_batch_first",
            "the scores are right, but they stand as (B, S). The source position comes first: (S, B).",
            SCORES,
        ),
        Mistake(
            "pairs_queries_with_positions",
            "the axis of the queries that counts the batch has been laid along the source positions: position s "
            "gets the query of sequence s. Where S and B differ, this mostly raises an error; where they are "
            "equal, only the numbers are wrong. A sequence's query serves all positions of that sequence.",
            SCORES,
        ),
        Mistake(
            "asks_with_the_first_query_everywhere",
            "all sequences are asked with the query of the first one. Each has its own.",
            SCORES,
        ),
        Mistake(
            "exchanges_the_two_matrices",
            "`W_q` is applied to the keys and `W_k` to the query. Where Q and E differ, this raises an error; "
            "where they are equal, only the numbers are wrong.",
            SCORES,
        ),
        Mistake(
            "does_not_transpose_the_matrices",
            "`W_q` and `W_k` are used the wrong way round. Where all sizes are equal, the shapes do not show it; "
            "elsewhere it raises an error. Row a belongs to hidden unit a, so with queries and keys as rows the "
            "matrices stand transposed.",
            SCORES,
        ),
    ),
)


# masked_softmax

REAL, MASKED = "result[mask]", "result[~mask]"


def _softmax_cases(rng: Rng) -> list[Case]:
    def case(kind: str, told: str, S: int, B: int, scores=None, mask=None) -> Case:
        scores = _scores(rng, S, B) if scores is None else scores
        mask = _mask(rng, S, B) if mask is None else mask
        return Case(f"S = {S}, B = {B}{told}", {"scores": scores, "mask": mask}, kind)

    def real(S: int, B: int) -> np.ndarray:
        return np.ones((S, B), dtype=bool)

    near = _scores(rng, 4, 3) + 1e4
    apart = _scores(rng, 4, 3) + rng.permutation([1e4, 0.0, -1e4])
    mask = _mask(rng, 5, 2)
    high = np.where(mask, _scores(rng, 5, 2), away_from_zero(rng, (5, 2), 0.9e4, 1e4))
    for n in range(2):  # in each column at least one masked score is far above the real ones
        high[np.flatnonzero(~mask[:, n])[0], n] = rng.uniform(0.9e4, 1e4)
    low_mask = _mask(rng, 4, 2)
    low = np.where(low_mask, _scores(rng, 4, 2) - 1e4, _scores(rng, 4, 2))
    emptied, emptied_large = _mask(rng, 4, 3), _mask(rng, 3, 3)
    emptied[:, rng.integers(3)] = False
    emptied_large[:, rng.integers(3)] = False
    return [
        case("values", "", 5, 3),
        case("values", "", 4, 4),
        case("values", "", 3, 5),
        case("values", ", all real", 4, 2, mask=real(4, 2)),
        case("large", ", all scores near 1e4", 4, 3, near),
        case("large", ", columns near 1e4, near 0 and near -1e4", 4, 3, apart, real(4, 3)),
        case("large", ", scores of 1e4 where masked", 5, 2, high, mask),
        case("large", ", scores of -1e4 where real", 4, 2, low, low_mask),
        case("empty", ", one column all masked", 4, 3, mask=emptied),
        case("empty", ", one column all masked", 3, 3, _scores(rng, 3, 3) * 3, emptied_large),
        case("empty", ", all masked", 1, 1, mask=~real(1, 1)),
        case("sizes", "", 1, 3, mask=real(1, 3)),
        case("sizes", "", 4, 1),
    ]


def _compare_masked(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, told apart: real positions, and masked ones, which are exactly 0."""
    found = compare(expected, got, (), RTOL, ATOL)
    usable = isinstance(got, np.ndarray) and got.shape == expected.shape and got.dtype.kind == "f"
    if not usable:
        return found
    mask = case.inputs["mask"]
    found = [_but_for_digits(d, REAL) for d in _where({REAL: mask}, expected, got)]
    found += _where({MASKED: ~mask}, expected, got)
    left = np.argwhere(~mask & (got != 0))
    if len(left) and all(difference.part != MASKED for difference in found):
        first = tuple(int(k) for k in left[0])
        place = ", ".join(map(str, first))
        text = f"`result[{place}]` is masked, and should be exactly 0, but is {got[first]:.3g}."
        found.append(Difference(MASKED, text))
    return found


REAL_WEIGHTS = "Weights of the real positions"

MASKED_SOFTMAX = Exercise(
    name="masked_softmax",
    chapter=CHAPTER,
    minutes=10,
    signature="scores, mask",
    see=SOFTMAX,
    cases=_softmax_cases,
    compare=_compare_masked,
    aspects=(
        Aspect(REAL_WEIGHTS, 3, parts=(REAL,), kinds=("values",)),
        Aspect(
            "Masked positions exactly 0", 2, parts=(MASKED,), kinds=("values",), needs=REAL_WEIGHTS
        ),
        Aspect("Scores of 1e4", 2, parts=(REAL, MASKED), kinds=("large",), needs=REAL_WEIGHTS),
        Aspect(NOTHING_REAL, 1, parts=(REAL, MASKED), kinds=("empty",), needs=REAL_WEIGHTS),
        Aspect(SMALL, 1, parts=(REAL, MASKED), kinds=("sizes",), needs=REAL_WEIGHTS),
        Aspect(ALL_DIGITS, 1, parts=(DIGITS,), needs=REAL_WEIGHTS),
        Aspect(PURITY, 1, of="purity", needs=REAL_WEIGHTS),
    ),
    mistakes=(
        Mistake(
            "ignores_the_mask",
            "the mask has no influence: masked positions have weights like the others. What stands there is "
            "padding, and no part of the sum.",
            SOFTMAX,
        ),
        Mistake(
            "masks_what_is_real",
            "the mask is the wrong way round: the real positions have the weight 0. True means real here. (In "
            "some libraries True means masked.)",
            SOFTMAX,
        ),
        Mistake(
            "masks_after_the_softmax",
            "the weights of a softmax over all positions are multiplied by the mask. The masked ones are 0, but "
            "the others do not sum to 1 any more: the padding had its share in the sum.",
            SOFTMAX,
        ),
        Mistake(
            "gives_masked_positions_a_score_of_0",
            "it is as if masked positions had the score 0. Its exponential is 1, so they still have a weight. "
            "Only a score of minus infinity makes it zero.",
            SOFTMAX,
        ),
        Mistake(
            "fills_with_minus_30",
            "masked positions have a tiny weight, as if their score were -30. It is not zero, and where the real "
            "scores are lower still, the masked positions get everything. Nothing finite is low enough for all scores.",
            SOFTMAX,
        ),
        Mistake(
            "fills_with_minus_1e4",
            "masked positions get a score of -1e4, as programs in half precision do. Real scores may be as low "
            "as that, and then the padding has its share. Nothing finite is low enough for all scores.",
            SOFTMAX,
        ),
        Mistake(
            "spreads_an_empty_column_evenly",
            "all is right except where a column has no real position. There the weights are all equal, as they come "
            "out when every score of the column is the same large negative number. All zeros are asked for.",
            SOFTMAX,
        ),
        Mistake(
            "adds_minus_1e9",
            "all is right except where a column has no real position. There a large negative number has been "
            "added to every score; the softmax does not notice that, and the padding gets the weights it would "
            "have without a mask, but for lost digits. All zeros are asked for.",
            SOFTMAX,
        ),
        Mistake(
            "gives_nan_for_an_empty_column",
            "all is right except where a column has no real position. There the result is nan: minus infinity "
            "minus minus infinity, or 0/0. All zeros are asked for.",
            SOFTMAX,
        ),
        Mistake(
            "overflows",
            "the exponentials are taken of the scores as they are. Beyond 709 the exponential is infinite, and "
            "infinity by infinity is nan; far below zero it is 0/0. First subtract from each column its largest "
            "real score: the weights stay the same.",
            SOFTMAX,
        ),
        Mistake(
            "subtracts_a_masked_maximum",
            "the maximum that is subtracted is taken over masked positions, too. Where padding has by far the "
            "largest score, all real exponentials vanish, and 0/0 is left. Take it over the real ones.",
            SOFTMAX,
        ),
        Mistake(
            "subtracts_a_masked_maximum_and_guards_the_sum",
            "the maximum that is subtracted is taken over masked positions, too. Where padding has by far the "
            "largest score, all real exponentials vanish, and the column looks as if nothing were real. Take it "
            "over the real ones.",
            SOFTMAX,
        ),
        Mistake(
            "subtracts_one_maximum_for_all_columns",
            "the largest score of the whole array is subtracted everywhere. A column far below it loses all its "
            "exponentials. Each column has a largest score of its own.",
            SOFTMAX,
        ),
        Mistake(
            "normalises_along_the_batch",
            "the weights sum to 1 along axis 1, over the sequences. Each sequence has its own weights: the sum "
            "runs over axis 0, the source positions.",
            SOFTMAX,
        ),
        Mistake(
            "normalises_over_everything",
            "the weights of all sequences together sum to 1. Each column is a softmax of its own.",
            SOFTMAX,
        ),
        Mistake(
            "adds_1e_8_to_the_sum",
            "the sum of the exponentials has a small number added, about 1e-8, against a division by zero. Then "
            "no column sums to 1. Only a column without a real position needs such a guard.",
            SOFTMAX,
        ),
        Mistake(
            "writes_into_the_scores",
            "the result is right, but the array `scores` that was passed in has been overwritten, as "
            "`scores[~mask] = ...` does. Work on a copy.",
            SOFTMAX,
        ),
    ),
)


# context_vector


def _context_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 3, 4),
        ("values", 3, 4, 2),
        ("values", 3, 3, 3),
        ("sizes", 1, 3, 2),
        ("sizes", 4, 1, 3),
        ("sizes", 3, 2, 1),
        ("empty", 4, 3, 2),
    ]
    cases = []
    for kind, S, B, E in sizes:
        inputs = {
            "weights": _softmax(_scores(rng, S, B)),
            "values": away_from_zero(rng, (S, B, E), 0.3, 1.5),
        }
        told = f"S = {S}, B = {B}, E = {E}"
        if kind == "empty":
            inputs["weights"][:, rng.integers(B)] = 0.0
            told += ", one column of zeros"
        cases.append(Case(told, inputs, kind))
    return cases


CONTEXT_VECTOR = Exercise(
    name="context_vector",
    chapter=CHAPTER,
    minutes=5,
    signature="weights, values",
    see=CONTEXT,
    cases=_context_cases,
    aspects=(
        Aspect(VALUES, 3, kinds=("values",)),
        Aspect("One position, one sequence, one feature", 1, kinds=("sizes",), needs=VALUES),
        Aspect("A column of zeros", 1, kinds=("empty",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "does_not_sum",
            "the values are multiplied by their weights, but not added up: the result has an entry for each "
            "source position. The context is one vector for each sequence.",
            CONTEXT,
        ),
        Mistake(
            "divides_by_the_number_of_positions",
            "the weighted values are averaged over the S positions. The weights already sum to 1, so their sum "
            "is the mean that is wanted.",
            CONTEXT,
        ),
        Mistake(
            "ignores_the_weights",
            "all positions count alike: the context is the plain mean of the values. Each has its own weight.",
            CONTEXT,
        ),
        Mistake(
            "sums_over_the_batch",
            "the sum runs over the sequences. It runs over axis 0, the source positions, and the sequences stay "
            "apart.",
            CONTEXT,
        ),
        Mistake(
            "takes_the_heaviest_position_alone",
            "the context is the value with the largest weight, and the others are left out. That is a hard "
            "choice, which has no useful gradient. All positions enter, by their weights.",
            CONTEXT,
        ),
        Mistake(
            "applies_the_softmax_once_more",
            "the weights go through another softmax first. They are weights already; a second one makes them "
            "nearly even.",
            CONTEXT,
        ),
        Mistake(
            "divides_by_the_sum_of_the_weights",
            "all is right except for a column of zeros, where the result is nan: the sum is divided by the sum of "
            "the weights, which is 0 there. The weights of the others sum to 1 as they are. Where nothing is "
            "real, the context is zero.",
            CONTEXT,
        ),
        Mistake(
            "pairs_every_weight_with_every_sequence",
            "the weights of each sequence are applied to the values of all sequences, so the result has an axis "
            "too many. The batch axis of both is the same one, and is not summed over.",
            CONTEXT,
        ),
        Mistake(
            "sums_over_the_features",
            "the features of each weighted value are added up. The sum runs over axis 0, the source positions, "
            "and the features stay.",
            CONTEXT,
        ),
        Mistake(
            "writes_into_the_values",
            "the context is right, but the array `values` that was passed in holds the weighted values "
            "afterwards, as `*=` leaves it. The next decoder step still needs them.",
            CONTEXT,
        ),
    ),
)


# attention_backward

GRADIENTS = ("dscores", "dvalues")
OF_SCORES, OF_VALUES = "Gradient of the scores", "Gradient of the values"


def _backward_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 3, 4),
        ("values", 3, 4, 2),
        ("values", 3, 3, 3),
        ("sizes", 1, 3, 2),
        ("sizes", 4, 1, 3),
        ("sizes", 3, 2, 1),
        ("empty", 4, 3, 2),
    ]
    cases = []
    for kind, S, B, E in sizes:
        weights = _softmax(_scores(rng, S, B))
        told = f"S = {S}, B = {B}, E = {E}"
        if kind == "empty":
            weights[rng.integers(S), rng.integers(B)] = 0.0  # one position is masked
            weights /= weights.sum(axis=0)
            weights[:, rng.integers(B)] = 0.0
            told += ", one column of zeros"
        inputs = {
            "dcontext": away_from_zero(rng, (B, E), 0.4, 1.2),
            "weights": weights,
            "values": away_from_zero(rng, (S, B, E), 0.3, 1.5),
        }
        cases.append(Case(told, inputs, kind))
    return cases


ATTENTION_BACKWARD = Exercise(
    name="attention_backward",
    chapter=CHAPTER,
    minutes=25,
    signature="dcontext, weights, values",
    see=BACKWARD,
    cases=_backward_cases,
    parts=GRADIENTS,
    aspects=(
        Aspect(OF_SCORES, 5, parts=("dscores",), kinds=("values",)),
        Aspect(OF_VALUES, 3, parts=("dvalues",)),
        Aspect(
            "One position, one sequence, one feature",
            1,
            parts=("dscores",),
            kinds=("sizes",),
            needs=OF_SCORES,
        ),
        Aspect(
            "A masked position, a column of zeros",
            1,
            parts=("dscores",),
            kinds=("empty",),
            needs=OF_SCORES,
        ),
        Aspect(PURITY, 1, of="purity", needs=OF_SCORES),
    ),
    mistakes=(
        Mistake(
            "stops_at_the_weights",
            "`dscores` is the gradient at the weights. The softmax between scores and weights is left out: the "
            "gradient still has to go back through it.",
            BACKWARD,
        ),
        Mistake(
            "multiplies_by_the_weights_alone",
            "`dscores` is each weight times its own gradient. A softmax ties the weights together: where one "
            "rises, the others fall. What is taken from the others belongs into it, too.",
            BACKWARD,
        ),
        Mistake(
            "takes_the_diagonal_of_the_softmax",
            "`dscores` has the factor w (1 - w), as a sigmoid would have it. That is only the influence of a "
            "score on its own weight. Each score moves all weights of its column, and all of this counts.",
            BACKWARD,
        ),
        Mistake(
            "subtracts_the_plain_mean",
            "what is subtracted from the gradients of the weights is their plain mean over the positions. It is "
            "the mean weighted by the weights.",
            BACKWARD,
        ),
        Mistake(
            "subtracts_the_plain_sum",
            "what is subtracted from the gradients of the weights is their plain sum over the positions. It is "
            "their mean, weighted by the weights.",
            BACKWARD,
        ),
        Mistake(
            "does_not_weigh_what_is_subtracted",
            "the weighted mean is subtracted after the multiplication by the weights, so it reaches every "
            "position in full. Each position loses its own share of it: the weight multiplies the difference.",
            BACKWARD,
        ),
        Mistake(
            "takes_the_mean_over_the_batch",
            "the mean that is subtracted runs over the sequences. The softmax runs over axis 0, the source "
            "positions, and so does what it sends back.",
            BACKWARD,
        ),
        Mistake(
            "takes_the_mean_over_everything",
            "the mean that is subtracted is one number for the whole batch. Each sequence has a softmax of its "
            "own, so the sum runs over its column alone.",
            BACKWARD,
        ),
        Mistake(
            "gives_dscores_the_other_sign",
            "`dscores` has the wrong sign. The gradient at a score is positive where the gradient of its weight is "
            "above the mean of the column: the mean is what is subtracted.",
            BACKWARD,
        ),
        Mistake(
            "forgets_the_weights_in_dvalues",
            "each value gets the whole gradient of the context. It entered the context with its weight, so that "
            "is the share of the gradient that it gets.",
            BACKWARD,
        ),
        Mistake(
            "makes_dvalues_of_the_values",
            "`dvalues` is weight times value, which is the value's part of the context. Its gradient is the weight "
            "times what comes from the context, `dcontext`.",
            BACKWARD,
        ),
        Mistake(
            "sums_dvalues_over_the_positions",
            "`dvalues` is summed over the source positions. Every value has a gradient of its own, in the shape "
            "of `values`.",
            BACKWARD,
        ),
        Mistake(
            "averages_over_the_batch",
            "both gradients are divided by the batch size. Any 1/B is already in `dcontext`; sequences share "
            "nothing here.",
            BACKWARD,
        ),
        Mistake(
            "divides_by_the_weights",
            "all is right except where a weight is 0. There the result is nan, as it comes out of a division by the "
            "weight, or of its logarithm. Write the backward pass with products of weights only.",
            BACKWARD,
        ),
        Mistake(
            "returns_dvalues_first",
            "the two gradients have changed places: first `dscores`, then `dvalues`.",
            BACKWARD,
        ),
        Mistake(
            "writes_into_the_weights",
            "the gradients are right, but the array `weights` that was passed in is overwritten, as `*=` does. "
            "Make a new array.",
            BACKWARD,
        ),
    ),
)


# attention_decoder_step

STEPPED = ("h_next", "weights")
NEW_STATE, LOOKED = "The new state", "The weights"


def _decoder_cases(rng: Rng) -> list[Case]:
    sizes = [  # S, B, D, E, H, A
        ("values", 5, 3, 2, 4, 3, 6),
        ("values", 3, 3, 3, 3, 3, 3),
        ("mask", 4, 2, 3, 2, 5, 3),
        ("mask", 3, 4, 3, 2, 4, 5),
        ("empty", 4, 3, 2, 3, 4, 5),
        ("sizes", 1, 2, 3, 4, 2, 5),
        ("sizes", 4, 1, 2, 3, 4, 3),
        ("sizes", 3, 2, 1, 1, 1, 1),
    ]
    cases = []
    for kind, S, B, D, E, H, A in sizes:
        mask = np.ones((S, B), dtype=bool)
        told = f"S = {S}, B = {B}, D = {D}, E = {E}, H = {H}, A = {A}"
        if kind in ("mask", "empty"):
            mask = _mask(rng, S, B)
        if kind == "mask":
            told += ", masked"
        if kind == "empty":
            mask[:, rng.integers(B)] = False
            told += ", one column all masked"
        params = {
            **_additive(rng, H, E, A),
            "W_x": away_from_zero(rng, (3 * H, D + E), 0.5, 1.0) / np.sqrt(D + E),
            "W_h": away_from_zero(rng, (3 * H, H), 0.5, 1.0) / np.sqrt(H),
            "b_x": away_from_zero(rng, (3 * H,), 0.2, 0.5),
            "b_h": away_from_zero(rng, (3 * H,), 0.2, 0.5),
        }
        inputs = {
            "y": away_from_zero(rng, (B, D), 0.3, 1.2),
            "h": away_from_zero(rng, (B, H), 0.2, 0.9),
            "keys": away_from_zero(rng, (S, B, E), 0.3, 0.9),
            "mask": mask,
            "params": params,
        }
        cases.append(Case(told, inputs, kind))
    return cases


ATTENTION_DECODER_STEP = Exercise(
    name="attention_decoder_step",
    chapter=CHAPTER,
    minutes=20,
    signature="y, h, keys, mask, params",
    see=DECODER,
    cases=_decoder_cases,
    parts=STEPPED,
    aspects=(
        Aspect(NEW_STATE, 4, parts=("h_next",), kinds=("values",)),
        Aspect(LOOKED, 2, parts=("weights",), kinds=("values", "sizes")),
        Aspect(
            "The new state, with a mask", 2, parts=("h_next",), kinds=("mask",), needs=NEW_STATE
        ),
        Aspect(
            "The weights, with a mask", 1, parts=("weights",), kinds=("mask", "empty"), needs=LOOKED
        ),
        Aspect(NOTHING_REAL, 1, parts=("h_next",), kinds=("empty",), needs=NEW_STATE),
        Aspect(
            "One position, one sequence, one unit",
            1,
            parts=("h_next",),
            kinds=("sizes",),
            needs=NEW_STATE,
        ),
        Aspect(PURITY, 1, of="purity", needs=NEW_STATE),
    ),
    mistakes=(
        Mistake(
            "puts_the_context_first",
            "the GRU reads `[context, y]`. The columns of `W_x` are laid out for `[y, context]`, and the sum of "
            "the two sizes is the same, so no shape complains.",
            DECODER,
        ),
        Mistake(
            "leaves_the_context_out",
            "the weights are right, but the GRU reads zeros in place of the context. What was looked at must "
            "reach the state: the context stands beside `y`.",
            DECODER,
        ),
        Mistake(
            "reads_the_mean_of_the_keys",
            "the GRU reads the plain mean of the real keys, whatever the weights say. The context is their sum, "
            "each by its weight.",
            CONTEXT,
        ),
        Mistake(
            "reads_the_likeliest_key_alone",
            "the GRU reads the one key with the largest weight. The context is the weighted sum of all of them.",
            CONTEXT,
        ),
        Mistake(
            "reads_the_context_of_all_positions",
            "the weights that are returned are right, but the context also contains masked keys: it is made with the "
            "weights of a softmax that does not know the mask.",
            SOFTMAX,
        ),
        Mistake(
            "ignores_the_mask",
            "the mask has no influence: padding gets weights, and is read. Positions where the mask is False "
            "have the weight 0.",
            SOFTMAX,
        ),
        Mistake(
            "masks_what_is_real",
            "the mask is the wrong way round: the weights are on the padding. True means real.",
            SOFTMAX,
        ),
        Mistake(
            "masks_after_the_softmax",
            "the weights of a softmax over all positions are multiplied by the mask, so they do not sum to 1 where "
            "something is masked. Masked positions have no part in the sum.",
            SOFTMAX,
        ),
        Mistake(
            "spreads_an_empty_column_evenly",
            "all is right except where a sequence has no real position. There the weights are all equal, and the mean of "
            "the padding is read. Weights and context are zero there.",
            SOFTMAX,
        ),
        Mistake(
            "gives_nan_for_an_empty_column",
            "all is right except where a sequence has no real position. There the softmax gives nan, and the new state "
            "is nan with it. Weights and context are zero there; the GRU still makes its step.",
            SOFTMAX,
        ),
        Mistake(
            "leaves_the_state_where_nothing_is_real",
            "all is right except where a sequence has no real position. There the old state is returned. The context is "
            "zero, but `y` is there: the GRU makes its step as always.",
            DECODER,
        ),
        Mistake(
            "returns_the_scores",
            "the second result holds the scores, before the softmax. The weights are asked for.",
            DECODER,
        ),
        Mistake(
            "returns_the_context",
            "the second result is the context. The weights are asked for: they show where the decoder looked.",
            DECODER,
        ),
        Mistake(
            "returns_the_weights_first",
            "the two results have changed places: first the new state, then the weights.",
            DECODER,
        ),
        Mistake(
            "looks_with_the_new_state",
            "the weights that are returned belong to a second look, with the new state. Here the decoder looks "
            "once, with the old state, before it reads; the new state is made from what it saw.",
            DECODER,
        ),
        Mistake(
            "leaves_out_the_tanh",
            "the scores are made without a `tanh`. Then the old state adds the same number at every position, "
            "and it makes no difference to the weights what is asked.",
            SCORES,
        ),
        Mistake(
            "starts_the_GRU_from_zero",
            "the GRU makes its step from a state of zeros. `h` has two parts to play: it asks, and it is the old "
            "state of the GRU.",
            DECODER,
        ),
        Mistake(
            "flips_the_update_gate",
            "`z` and `1 - z` have changed places. In PyTorch's form z = 1 keeps the old state.",
            DECODER,
        ),
        Mistake(
            "resets_before_the_product",
            "the reset gate multiplies the old state, and `W_hn` comes afterwards, as in the paper. Here the GRU is "
            "PyTorch's: the gate multiplies what the matrix has made of the old state, `b_hn` included.",
            DECODER,
        ),
        Mistake(
            "resets_the_input_too",
            "the reset gate multiplies the whole candidate, what was read included. It multiplies the recurrent "
            "part alone: what is new is read in any case.",
            DECODER,
        ),
        Mistake(
            "leaves_out_the_biases",
            "`b_x` and `b_h` have no influence. Each is added to its product.",
            DECODER,
        ),
        Mistake(
            "takes_the_scores_for_weights",
            "there is no softmax: the scores themselves are returned, and the context is made with them (those of "
            "masked positions set to 0).",
            SOFTMAX,
        ),
        Mistake(
            "leaves_b_hn_outside_the_reset",
            "the two biases of the candidate are added up, outside of what the reset gate multiplies. `b_hn` "
            "comes with the recurrent product, and is reset with it.",
            DECODER,
        ),
        Mistake(
            "stacks_the_gates_z_r_n",
            "the first block of rows is taken for z and the second for r. The rows come in the order r, z, n.",
            DECODER,
        ),
        Mistake(
            "takes_entries_out_of_params",
            "the results are right, but afterwards the dict `params` is not what it was. `pop` takes an entry out, "
            "and the next step will miss it. Read it by its key.",
            DECODER,
        ),
    ),
)


# dot_product_attention

PLAIN, WITH_MASK = "Without a mask", "With a mask"


def _dot_cases(rng: Rng) -> list[Case]:
    def case(kind: str, sizes: tuple[int, ...], masked: bool | None = False, told="") -> Case:
        B, Tq, Tk, d, Dv = sizes
        inputs = {
            "Q": away_from_zero(rng, (B, Tq, d), 0.5, 1.5),
            "K": away_from_zero(rng, (B, Tk, d), 0.5, 1.5),
            "V": away_from_zero(rng, (B, Tk, Dv), 0.3, 1.5),
        }
        if masked:
            inputs["mask"] = np.moveaxis(_mask(rng, Tk, B, Tq), 0, 2).copy()
        elif masked is None:
            inputs["mask"] = None
            told += ", mask=None"
        name = f"B = {B}, Tq = {Tq}, Tk = {Tk}, d = {d}, Dv = {Dv}{told}"
        return Case(name, inputs, kind)

    large = case("large", (2, 3, 4, 2, 3), told=", scores of 1e4")
    # Along one direction the scores are all alike, and very large: no weight depends on it.
    for name in ("Q", "K"):
        large.inputs[name][..., 0] = np.sqrt(1e4 * np.sqrt(2))
    large.inputs["Q"][1, :, 0] *= -1.0
    masked = case("large", (2, 2, 4, 3, 2), True, told=", scores of 1e4 where masked")
    # The masked keys are far away along a feature in which the real ones are zero.
    own = masked.inputs["mask"] = np.repeat(masked.inputs["mask"][:, :1], 2, axis=1)
    masked.inputs["Q"][..., 0] = rng.uniform(1.0, 1.5, size=(2, 2))
    masked.inputs["K"][..., 0] = np.where(own[:, 0], 0.0, 1.6e4)
    empty = case("empty", (2, 3, 4, 3, 2), True, told=", one row all masked in each sequence")
    for n in range(2):
        empty.inputs["mask"][n, rng.integers(3)] = False
    return [
        case("values", (2, 4, 3, 5, 2)),
        case("values", (3, 2, 5, 4, 2)),
        case("values", (3, 3, 3, 3, 3)),
        case("values", (2, 4, 4, 2, 3), None),
        case("mask", (2, 3, 5, 4, 3), True, told=", masked"),
        case("mask", (2, 4, 4, 3, 2), True, told=", masked"),
        case("mask", (3, 3, 3, 3, 3), True, told=", masked"),
        large,
        masked,
        empty,
        case("sizes", (2, 3, 1, 4, 2)),
        case("sizes", (1, 1, 4, 2, 3)),
        case("sizes", (2, 2, 3, 1, 1)),
    ]


DOT_PRODUCT_ATTENTION = Exercise(
    name="dot_product_attention",
    chapter=CHAPTER,
    minutes=15,
    signature="Q, K, V, mask=None",
    see=DOT,
    cases=_dot_cases,
    aspects=(
        Aspect(PLAIN, 4, kinds=("values",)),
        Aspect(WITH_MASK, 3, kinds=("mask",), needs=PLAIN),
        Aspect("A row with everything masked", 1, kinds=("empty",), needs=WITH_MASK),
        Aspect("Large scores", 1, kinds=("large",), needs=PLAIN),
        Aspect("One key, one query, one feature", 1, kinds=("sizes",), needs=PLAIN),
        Aspect(PURITY, 1, of="purity", needs=PLAIN),
    ),
    mistakes=(
        Mistake(
            "leaves_the_scores_unscaled",
            "the scores are not divided by the root of d. An inner product of d numbers gets larger with d, and "
            "the softmax too sharp.",
            DOT,
        ),
        Mistake(
            "divides_by_d",
            "the scores are divided by d, not by its root. (Dividing both Q and K by the root of d does the "
            "same.) The inner product of d independent numbers has a spread that grows with the root.",
            DOT,
        ),
        Mistake(
            "multiplies_by_the_root_of_d",
            "the scores are multiplied by the root of d. They are to be brought back to a spread of about one, "
            "so it divides.",
            DOT,
        ),
        Mistake(
            "scales_by_the_number_of_keys",
            "the scores are divided by the root of Tk, the number of keys. It is the size d of a query and a key "
            "that makes an inner product large.",
            DOT,
        ),
        Mistake(
            "scales_by_the_size_of_the_values",
            "the scores are divided by the root of Dv. The values take no part in the scores: d is the size of "
            "the queries and keys.",
            DOT,
        ),
        Mistake(
            "scales_after_the_softmax",
            "the weights are divided by the root of d, so they do not sum to 1. The scale belongs to the scores, "
            "before the softmax.",
            DOT,
        ),
        Mistake(
            "reshapes_the_keys",
            "the keys have been brought into the shape (B, d, Tk) by `reshape`. That only cuts the same row of "
            "numbers at other places, and mixes up keys and features. To exchange two axes is something else.",
            DOT,
        ),
        Mistake(
            "normalises_over_the_queries",
            "the weights of each key sum to 1 over the queries. It is the other way round: each query spreads "
            "the weight of 1 over the keys, along the last axis.",
            DOT,
        ),
        Mistake(
            "normalises_over_the_batch",
            "the weights sum to 1 along axis 0. Here that is the batch, and the keys stand along the last axis of "
            "the scores.",
            DOT,
        ),
        Mistake(
            "returns_queries_first",
            "the numbers are right, but the first two axes of the result have changed places. Here the batch "
            "comes first: (B, Tq, Dv).",
            DOT,
        ),
        Mistake(
            "returns_the_weights",
            "the weights are returned, and the values have no influence. The weights are there to add up the "
            "values.",
            DOT,
        ),
        Mistake(
            "adds_up_the_keys",
            "the weights are applied to the keys. They add up the values; keys are only there to be compared.",
            DOT,
        ),
        Mistake(
            "lets_no_query_look_ahead",
            "each query sees only the keys up to its own position, whatever the mask says. Such a mask is for a "
            "decoder that must not see the future. Here the mask is an argument, and without one all keys count.",
            MASKS,
        ),
        Mistake(
            "ignores_the_mask",
            "all is right without a mask, but with one nothing changes. Where it is False, the query of that row "
            "may not look.",
            MASKS,
        ),
        Mistake(
            "masks_what_may_be_seen",
            "the mask is the wrong way round: each query looks only where it may not. True means that it may "
            "look. (In `torch.nn.MultiheadAttention` True means the opposite.)",
            MASKS,
        ),
        Mistake(
            "turns_the_mask_round",
            "the rows and columns of the mask have changed places. Where Tq and Tk differ, this raises an error; where "
            "they are equal, only the numbers are wrong. The row is the query, the column the key.",
            MASKS,
        ),
        Mistake(
            "masks_after_the_softmax",
            "the mask is applied to the weights of a softmax over all keys. What is left does not sum to 1. "
            "Masked keys must have no part in the sum.",
            MASKS,
        ),
        Mistake(
            "gives_masked_keys_a_score_of_0",
            "it is as if masked keys had the score 0. Its exponential is 1, so they still have a weight.",
            MASKS,
        ),
        Mistake(
            "spreads_an_empty_row_evenly",
            "all is right except where everything is masked for a query. There it gets the plain mean of all values, as "
            "if all weights were equal. A query that may look nowhere gets zeros.",
            MASKS,
        ),
        Mistake(
            "adds_minus_1e9",
            "all is right except where everything is masked for a query. There a large negative number has been "
            "added to every score; the softmax does not notice that, and the query looks as if there were no mask. "
            "A query that may look nowhere gets zeros.",
            MASKS,
        ),
        Mistake(
            "gives_nan_for_an_empty_row",
            "all is right except where everything is masked for a query. There the softmax gives nan. A query that may "
            "look nowhere gets zeros.",
            MASKS,
        ),
        Mistake(
            "overflows",
            "the exponentials are taken of the scores as they are. Beyond 709 the exponential is infinite, and "
            "far below zero all of them are 0. First subtract from each row its largest score that counts: the "
            "weights stay the same.",
            SOFTMAX,
        ),
        Mistake(
            "subtracts_a_masked_maximum",
            "the maximum that is subtracted is taken over masked keys, too. Where a masked key has by far the "
            "largest score, all exponentials that count vanish.",
            SOFTMAX,
        ),
        Mistake(
            "writes_into_Q",
            "the result is right, but the array `Q` that was passed in has been scaled, as `/=` does. Make a new "
            "array.",
            DOT,
        ),
    ),
)


# alignment_entropy


def _entropy_cases(rng: Rng) -> list[Case]:
    def weights(S: int, B: int) -> np.ndarray:
        return _softmax(_scores(rng, S, B))

    partly = np.where(_mask(rng, 5, 3), weights(5, 3), 0.0)
    partly /= partly.sum(axis=0)
    certain = weights(4, 3)
    certain[:, rng.integers(3)] = np.eye(4)[rng.integers(4)]
    nothing = weights(3, 4)
    nothing[:, rng.integers(4)] = 0.0
    return [
        Case("S = 5, B = 3", {"weights": weights(5, 3)}),
        Case("S = 3, B = 4", {"weights": weights(3, 4)}),
        Case("S = 4, B = 4", {"weights": weights(4, 4)}),
        Case("some weights exactly 0", {"weights": partly}, "zeros"),
        Case("one column with all weight in one place", {"weights": certain}, "zeros"),
        Case("one column of zeros", {"weights": nothing}, "zeros"),
        Case("S = 6, B = 1", {"weights": weights(6, 1)}, "sizes"),
        Case("S = 2, B = 2", {"weights": weights(2, 2)}, "sizes"),
        Case("S = 1, B = 3", {"weights": np.ones((1, 3))}, "sizes"),
    ]


def _compare_entropies(case: Case, expected: Any, got: Any) -> list[Difference]:
    found = compare(expected, got, (), RTOL, ATOL)
    if not isinstance(got, np.ndarray) or got.shape != expected.shape:
        return found
    return [_but_for_digits(difference, "entropies") for difference in found]


ALIGNMENT_ENTROPY = Exercise(
    name="alignment_entropy",
    chapter=CHAPTER,
    minutes=5,
    signature="weights",
    see=ENTROPY,
    cases=_entropy_cases,
    compare=_compare_entropies,
    aspects=(
        Aspect(VALUES, 3, parts=("entropies",), kinds=("values",)),
        Aspect("Weights of exactly 0", 2, parts=("entropies",), kinds=("zeros",), needs=VALUES),
        Aspect(SMALL, 1, parts=("entropies",), kinds=("sizes",), needs=VALUES),
        Aspect(ALL_DIGITS, 1, parts=(DIGITS,), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "gives_nan_for_a_weight_of_0",
            "all is right except where a weight is 0. There the result is nan: the logarithm of 0 is minus infinity, "
            "and 0 times infinity is nan. The term of such a weight is 0, which is its limit.",
            ENTROPY,
        ),
        Mistake(
            "adds_1e_12_inside_the_logarithm",
            "a small number, about 1e-12, is added to each weight inside the logarithm. That avoids ln 0, but where "
            "all weight is in one place, the entropy comes out below zero. No entropy is negative.",
            ENTROPY,
        ),
        Mistake(
            "adds_1e_9_inside_the_logarithm",
            "a small number, about 1e-9, is added to each weight inside the logarithm. That avoids ln 0, but all "
            "entropies come out a little too small, and below zero where all weight is in one place.",
            ENTROPY,
        ),
        Mistake(
            "adds_1e_8_inside_the_logarithm",
            "a small number, about 1e-8, is added to each weight inside the logarithm. That avoids ln 0, but all "
            "entropies come out a little too small, and below zero where all weight is in one place.",
            ENTROPY,
        ),
        Mistake(
            "forgets_the_minus",
            "the sign is wrong. The logarithm of a weight is never positive, and an entropy never negative: a "
            "minus stands in front.",
            ENTROPY,
        ),
        Mistake(
            "measures_in_bits",
            "the logarithms are to the base 2, so the result is in bits. Nats are asked for: natural logarithms.",
            ENTROPY,
        ),
        Mistake(
            "divides_by_the_largest_possible",
            "the entropy is divided by ln S, so that even weights give 1. The entropy itself is asked for.",
            ENTROPY,
        ),
        Mistake(
            "averages_over_the_positions",
            "the terms are averaged over the S positions. The weights in them do the averaging already: an "
            "entropy is their sum.",
            ENTROPY,
        ),
        Mistake(
            "leaves_out_the_weights",
            "the logarithms are added up without their weights. Each counts with its own weight.",
            ENTROPY,
        ),
        Mistake(
            "sums_over_the_batch",
            "the sum runs over axis 1, the sequences. Each sequence has one distribution, along axis 0.",
            ENTROPY,
        ),
        Mistake(
            "sums_over_everything",
            "all columns are added up into one number. Each sequence has an entropy of its own.",
            ENTROPY,
        ),
        Mistake(
            "averages_over_the_batch",
            "the entropies are averaged into one number. One for each sequence is asked for, (B,).",
            ENTROPY,
        ),
        Mistake(
            "returns_the_perplexity",
            "the result is the exponential of the entropy, a number of positions. The entropy itself is asked for.",
            ENTROPY,
        ),
        Mistake(
            "writes_into_the_weights",
            "the entropies are right, but something is written into the array `weights` that was passed in, such "
            "as a 1 where it was 0. Work on a copy.",
            ENTROPY,
        ),
    ),
)


# max_path_length

RNN, CONVOLUTION, ANOTHER = "rnn", "convolution", "Another kind: ValueError"
SELF_ATTENTION = "self-attention"


def _lengths(rng: Rng, count: int) -> list[int]:
    """Different numbers of positions, small and large."""
    small = rng.choice(np.arange(12, 60), size=count - 1, replace=False)
    return [*map(int, small), int(rng.integers(200, 5000))]


def _kind_cases(rng: Rng, smallest: int) -> list[Case]:
    def case(kind: str, n: int, of: str = "") -> Case:
        return Case(f"{kind!r}, n = {n}", {"kind": kind, "n": n}, of or kind)

    kinds = (RNN, SELF_ATTENTION, CONVOLUTION)
    return [
        *(case(kind, n) for kind in kinds for n in [*_lengths(rng, 3), smallest]),
        *(case(kind, int(rng.integers(9, 99)), "another") for kind in ("transformer", "pooling")),
    ]


def _path_cases(rng: Rng) -> list[Case]:
    return _kind_cases(rng, 2)


MAX_PATH_LENGTH = Exercise(
    name="max_path_length",
    chapter=CHAPTER,
    minutes=5,
    signature="kind, n",
    see=PATH,
    cases=_path_cases,
    aspects=(
        Aspect("A recurrent layer", 2, kinds=(RNN,)),
        Aspect("Convolutions", 2, kinds=(CONVOLUTION,)),
        Aspect("Self-attention", 1, kinds=(SELF_ATTENTION,), needs="A recurrent layer"),
        Aspect(ANOTHER, 1, kinds=("another",), needs="A recurrent layer"),
    ),
    mistakes=(
        Mistake(
            "counts_positions",
            "n is given for the recurrent layer and for the convolutions. From the first of n positions to the "
            "last one it is one step fewer: the first is where the signal starts.",
            PATH,
        ),
        Mistake(
            "counts_positions_of_the_rnn",
            "for the recurrent layer n is given. From the first of n positions to the last one it is one step "
            "fewer: the first is where the signal starts.",
            PATH,
        ),
        Mistake(
            "counts_layers_until_one_position_sees_all",
            "for the convolutions about n / 2 layers are counted. After these the middle position sees everything. But "
            "a path is asked for between the two ends: one layer of width 3 moves a signal by one position.",
            PATH,
        ),
        Mistake(
            "divides_by_the_width",
            "for the convolutions n / 3 layers are counted. As an order of growth, n / k is what the paper "
            "says. Counted exactly, a centred kernel of width 3 reaches one position to either side, so one layer "
            "moves a signal by one.",
            PATH,
        ),
        Mistake(
            "dilates_the_convolutions",
            "for the convolutions a logarithm of n is given. That holds for dilated ones, which leave wider and "
            "wider gaps. Here each layer reads direct neighbours.",
            PATH,
        ),
        Mistake(
            "gives_1_to_the_convolutions",
            "for the convolutions 1 is given. One layer of width 3 connects neighbours only; for two positions "
            "farther apart layers have to be stacked.",
            PATH,
        ),
        Mistake(
            "gives_self_attention_two_steps",
            "for self-attention 2 is given. Every position reads every other directly, in the one layer.",
            PATH,
        ),
        Mistake(
            "gives_self_attention_the_distance",
            "for self-attention n - 1 is given. Every position reads every other directly, however far it is.",
            PATH,
        ),
        Mistake(
            "returns_none_for_another_kind",
            "all is right except for a kind that is not known: there None is returned. A caller who has mistyped a name "
            "should hear of it at once: a ValueError is due.",
            PATH,
        ),
        Mistake(
            "takes_any_other_kind_for_self_attention",
            "all is right except for a kind that is not known: it is treated like self-attention, as by a last "
            "`else`. A ValueError is due.",
            PATH,
        ),
        Mistake(
            "takes_any_other_kind_for_a_convolution",
            "all is right except for a kind that is not known: it is treated like a convolution, as by a last "
            "`else`. A ValueError is due.",
            PATH,
        ),
    ),
)


# sequential_operations


def _sequential_cases(rng: Rng) -> list[Case]:
    return _kind_cases(rng, 1)


RNN_AND_ATTENTION = "A recurrent layer, and self-attention"

SEQUENTIAL_OPERATIONS = Exercise(
    name="sequential_operations",
    chapter=CHAPTER,
    minutes=5,
    signature="kind, n",
    see=COST,
    cases=_sequential_cases,
    aspects=(
        Aspect(RNN_AND_ATTENTION, 2, kinds=(RNN, SELF_ATTENTION)),
        Aspect("A convolution", 1, kinds=(CONVOLUTION,), needs=RNN_AND_ATTENTION),
        Aspect(ANOTHER, 1, kinds=("another",), needs=RNN_AND_ATTENTION),
    ),
    mistakes=(
        Mistake(
            "counts_the_steps_between_the_ends",
            "for the recurrent layer n - 1 is given. That is the length of the path from the first state to the "
            "last. The first state has to be computed as well: n operations one after the other.",
            COST,
        ),
        Mistake(
            "counts_all_operations",
            "for self-attention the number of pairs is given, n squared, as if they had to wait for each other. Their "
            "number is the work. Here it is asked how many have to be done one after the other.",
            COST,
        ),
        Mistake(
            "generates_token_by_token",
            "for self-attention n is given. So many steps are needed to generate n tokens. Where all positions are "
            "given, as in training, none has to wait for another.",
            COST,
        ),
        Mistake(
            "counts_stacked_convolutions",
            "for the convolution n - 1 is given, the layers needed to connect the two ends. One layer is asked "
            "about: its positions do not wait for each other.",
            COST,
        ),
        Mistake(
            "slides_the_convolution",
            "for the convolution n is given, as if its kernel had to visit one position after the other. No "
            "position needs the result of another, so all can be done at once.",
            COST,
        ),
        Mistake(
            "gives_every_kind_the_same",
            "1 is given for every kind. A state of the recurrent layer cannot be computed before the state "
            "before it.",
            COST,
        ),
        Mistake(
            "returns_none_for_another_kind",
            "all is right except for a kind that is not known: there None is returned. A caller who has mistyped a name "
            "should hear of it at once: a ValueError is due.",
            COST,
        ),
        Mistake(
            "takes_any_other_kind_for_parallel",
            "all is right except for a kind that is not known: 1 is returned, as by a last `else`. A ValueError "
            "is due.",
            COST,
        ),
    ),
)


EXERCISES = [
    UNROLLED_CELL_WEIGHTS,
    UNROLLED_GRU_WEIGHTS,
    ADDITIVE_SCORES,
    MASKED_SOFTMAX,
    CONTEXT_VECTOR,
    ATTENTION_BACKWARD,
    ATTENTION_DECODER_STEP,
    DOT_PRODUCT_ATTENTION,
    ALIGNMENT_ENTROPY,
    MAX_PATH_LENGTH,
    SEQUENTIAL_OPERATIONS,
]
