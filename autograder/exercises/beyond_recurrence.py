"""Chapter 11: what is asked about attention in place of recurrence, and about scans."""

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare, describe
from autograder.detail import with_steps
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section
from autograder.plain import copy_inputs

CHAPTER = "11-beyond-recurrence"
SELF = Section(CHAPTER, "beyond-self", "A sequence that looks at itself")
CAUSAL = Section(CHAPTER, "beyond-causal", "Without looking ahead")
STREAM = Section(CHAPTER, "beyond-stream", "Attention in constant memory")
MEMORY = Section(CHAPTER, "beyond-memory", "The memory of a past")
LINEAR = Section(CHAPTER, "beyond-linear", "A recurrence without a squashing")
BRACKETS = Section(CHAPTER, "beyond-associative", "What may be bracketed otherwise")
SCAN = Section(CHAPTER, "beyond-scan", "The scan")
MIN_GRU = Section(CHAPTER, "beyond-mingru", "A GRU that can be scanned")

RTOL, ATOL = 1e-9, 1e-12
VALUES, PURITY = "Values", "Leaves its inputs alone"

Rng = np.random.Generator
Inputs = dict[str, Any]


# causal_self_attention


def _attention_cases(rng: Rng) -> list[Case]:
    sizes = [  # kind, T, B, D, d
        ("values", 4, 3, 5, 2),
        ("values", 5, 2, 3, 4),
        ("values", 4, 4, 3, 3),
        ("sizes", 1, 3, 2, 3),
        ("sizes", 3, 1, 4, 2),
        ("sizes", 6, 2, 1, 1),
    ]
    cases = []
    for kind, T, B, D, d in sizes:
        inputs = {
            "x": away_from_zero(rng, (T, B, D), 0.4, 1.3),
            "W_q": away_from_zero(rng, (d, D), 0.7, 1.15) / np.sqrt(D),
            "W_k": away_from_zero(rng, (d, D), 0.7, 1.15) / np.sqrt(D),
            "W_v": away_from_zero(rng, (D, D), 0.4, 1.0) / np.sqrt(D),
        }
        cases.append(Case(f"T = {T}, B = {B}, D = {D}, d = {d}", inputs, kind))
    return cases


def _compare_positions(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The last position, which sees everything with a mask or without, told from the others."""
    found = compare(expected, got, (), RTOL, ATOL)
    if not found or found[0].got is None:
        return found
    steps = with_steps(found[0], ("",)).text.removeprefix(found[0].text)
    differences = []
    for part, chosen in (("last", slice(-1, None)), ("earlier", slice(0, -1))):
        only = expected.copy()
        only[chosen] = got[chosen]
        differences += [
            Difference(part, one.text + steps, expected[chosen], got[chosen])
            for one in compare(expected, only, (), RTOL, ATOL)
        ]
    return differences


LAST, EARLIER = "The last position, which sees all", "The positions before it, which see less"

CAUSAL_SELF_ATTENTION = Exercise(
    name="causal_self_attention",
    chapter=CHAPTER,
    minutes=15,
    signature="x, W_q, W_k, W_v",
    see=CAUSAL,
    cases=_attention_cases,
    compare=_compare_positions,
    aspects=(
        Aspect(LAST, 4, parts=("last",), kinds=("values",)),
        Aspect(EARLIER, 3, parts=("earlier",), kinds=("values",)),
        Aspect(
            "One step, one sequence, one number", 1, parts=("last",), kinds=("sizes",), needs=LAST
        ),
        Aspect(PURITY, 1, of="purity", needs=LAST),
    ),
    mistakes=(
        Mistake(
            "looks_ahead",
            "every position sees the whole sequence, what comes after it included. Nothing is masked. "
            "Trained like this to predict the next token, a model would only have to read it.",
            CAUSAL,
        ),
        Mistake(
            "sees_one_step_ahead",
            "position t sees 0..t+1. The mask is shifted by one: the last thing that a position may see "
            "is itself.",
            CAUSAL,
        ),
        Mistake(
            "leaves_itself_out",
            "position t sees 0..t-1 and not itself. Then position 0 sees nothing at all, and its softmax "
            "is 0/0. A position's own token is known when the position is computed, and belongs to 0..t.",
            CAUSAL,
        ),
        Mistake(
            "leaves_itself_out_but_for_the_first",
            "position t sees 0..t-1 and not itself. Only position 0 gives a number all the same: all its "
            "scores are masked by the same large number, which makes equal weights for the whole sequence. "
            "A position's own token belongs to what it sees.",
            CAUSAL,
        ),
        Mistake(
            "masks_the_past",
            "position t sees t..T-1: itself and what is still to come. The mask is the wrong way round. In "
            "an array of weights with the looking position first, what it may see stands on and below the "
            "diagonal.",
            CAUSAL,
        ),
        Mistake(
            "masks_after_the_softmax",
            "the softmax runs over the whole sequence, and the later weights are set to zero afterwards. "
            "What is left does not sum to 1, and it depends on what comes later, through the denominator. "
            "Mask the scores, before the softmax.",
            CAUSAL,
        ),
        Mistake(
            "multiplies_a_mask_by_infinity",
            "every number is nan, as when a mask of zeros and ones is multiplied by infinity: 0 times "
            "infinity is nan. Choose between a score and minus infinity instead, as `np.where` does.",
            CAUSAL,
        ),
        Mistake(
            "masks_with_zero",
            "the masked scores are set to 0. A score of 0 is a score like others: exp(0) is 1, and that "
            "position gets its share. What may not be seen needs a score of which the exponential is 0.",
            CAUSAL,
        ),
        Mistake(
            "forgets_the_scale",
            "the scores are not divided by sqrt(d). With d numbers of size 1 in a query and a key, their "
            "product has a spread of about sqrt(d), and the softmax would get the sharper the wider they are.",
            SELF,
        ),
        Mistake(
            "divides_by_d",
            "the scores are divided by d. A sum of d products that vary independently has a spread that "
            "grows with the root of d, so the root is what takes it out.",
            SELF,
        ),
        Mistake(
            "scales_by_the_width_of_x",
            "the scores are divided by sqrt(D), the width of x. The sum in a score runs over the d numbers "
            "of a query and a key, so it is d that counts.",
            SELF,
        ),
        Mistake(
            "exchanges_queries_and_keys",
            "queries and keys have changed places: the score of t for s is the one that s should have for "
            "t. The position that looks brings the query.",
            SELF,
        ),
        Mistake(
            "normalises_over_the_queries",
            "the softmax runs over the positions that look, not over those that are looked at. For each "
            "position t, the weights of all s that it sees sum to 1.",
            SELF,
        ),
        Mistake(
            "adds_up_the_inputs",
            "the weights are right, but they weigh x itself. They weigh the values, which `W_v` makes of x.",
            SELF,
        ),
        Mistake(
            "forgets_to_transpose_W_v",
            "the values are `x @ W_v`. `W_v` is square, so no shape complains. But all matrices here are "
            "(out, in), and x has its features in the last axis.",
            SELF,
        ),
        Mistake(
            "attends_along_the_batch",
            "the first axis is taken for the batch and the second for time. So the sequences of a batch "
            "look at each other, step by step. In x time comes first: (T, B, D).",
            SELF,
        ),
        Mistake(
            "returns_the_batch_first",
            "the numbers are right, but the batch is the first axis of the result. Time comes first, as in "
            "x: (T, B, D).",
            SELF,
        ),
        Mistake(
            "adds_the_input",
            "x has been added to the result. Transformers do that around their attention, as a residual "
            "connection. Here the attention alone is asked for.",
            SELF,
        ),
    ),
)


# streaming_attention

LONG = 1200  # items of a stream
PER_ITEM = 16  # bytes: whoever keeps but one number of each item needs more


class _Stream:
    """An iterator that can be read once; counts its items and how often its end was met."""

    def __init__(self, items: np.ndarray) -> None:
        self.items, self.read, self.ends = iter(items), 0, 0

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> np.ndarray:
        try:
            item = next(self.items)
        except StopIteration:
            self.ends += 1
            raise
        self.read += 1
        return item


def _attend(function: Callable, inputs: Inputs) -> Any:
    """Call with iterators that can be read once and tell nothing about their length."""
    if "items" in inputs:
        return _attend_long(function, inputs)
    keys, values = _Stream(inputs["keys"]), _Stream(inputs["values"])
    try:
        return function(inputs["q"], keys, values)
    except Exception as error:
        if keys.ends > 1 and not values.read:
            error.args = (
                f"{error}. The keys had been read to their end, and were read again: {ONCE}",
            )
        raise


ONCE = "an iterator gives its items only once"


def _attend_long(function: Callable, inputs: Inputs) -> Any:
    """A stream whose items nobody else keeps; and whether memory grows while it is read."""
    rng = np.random.default_rng(inputs["seed"])
    n, d, D = inputs["items"], inputs["d"], inputs["D"]
    q, keys, values = (rng.normal(size=size) for size in (d, (n, d), (n, D)))
    grown: list[float] = []
    gc.collect()
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    try:
        context = function(q, _measured(keys, grown), _measured(values, grown))
    finally:
        if not already:
            tracemalloc.stop()
    if context is None:
        return None
    grows = any(growth > PER_ITEM for growth in grown)
    return {"context": context, "memory": "grows" if grows else "constant"}


def _measured(items: np.ndarray, grown: list[float]) -> Iterator[np.ndarray]:
    """Fresh copies of the items; notes by how many bytes an item memory has grown meanwhile.

    Compared are the most that was in use in the first quarter and the least in the second half, so
    that whoever takes a few dozen items at a time, and then forgets them, is not blamed.
    """
    n = len(items)
    used = np.zeros(n)  # not a list: that would grow itself
    for k, item in enumerate(items):
        used[k] = tracemalloc.get_traced_memory()[0]
        if k == n - 1:
            grown.append((used[n // 2 :].min() - used[: n // 4].max()) / (n // 4))
        yield item.copy()


def _compare_streamed(case: Case, expected: Any, got: Any) -> list[Difference]:
    found = compare(expected, got, (), RTOL, ATOL)
    if case.kind != "long":
        return found
    return [
        replace(
            one,
            text=f"In a stream of {LONG} items, memory grows with every item that is read. Something "
            "is kept of each: a list of keys, values or scores, or an array that becomes longer.",
        )
        if one.part == "memory"
        else one
        for one in found
    ]


def _stream_cases(rng: Rng) -> list[Case]:
    def case(kind: str, n: int, d: int, D: int, scores: Any = None, told: str = "") -> Case:
        q = away_from_zero(rng, (d,), 0.6, 1.4)
        keys = away_from_zero(rng, (n, d), 0.3, 1.2)
        if scores is not None:  # along q, the keys are moved to where these scores come out
            off = np.asarray(scores) * np.sqrt(d) - keys @ q
            keys = keys + off[:, None] * q / (q @ q)
        inputs = {"q": q, "keys": keys, "values": away_from_zero(rng, (n, D), 0.4, 1.5)}
        return Case(f"{n} items, d = {d}, D = {D}{told}", inputs, kind)

    def near(level: float, n: int) -> np.ndarray:
        return level + rng.uniform(-1.5, 1.5, n)

    rising = np.array([-9000.0, -500.0, 4000.0, 9998.0, 9999.5, 10000.0]) + rng.uniform(0, 1, 6)
    falling = np.array([10000.0, 9999.0, 9999.8, 3000.0, -8000.0]) + rng.uniform(0, 0.5, 5)
    seed = int(rng.integers(2**31))
    return [
        case("values", 5, 4, 3),
        case("values", 7, 2, 5),
        case("values", 4, 4, 4),
        case("stable", 5, 3, 2, near(1e4, 5), ", scores near 1e4"),
        case("stable", 4, 2, 3, near(-1e4, 4), ", scores near -1e4"),
        case("stable", 6, 4, 2, rising, ", rising scores"),
        case("stable", 5, 2, 4, falling, ", falling scores"),
        case("sizes", 1, 3, 2, told=", one item"),
        case("sizes", 3, 1, 1),
        Case(f"{LONG} items", {"items": LONG, "d": 4, "D": 6, "seed": seed}, "long"),
    ]


STREAMING_ATTENTION = Exercise(
    name="streaming_attention",
    chapter=CHAPTER,
    minutes=20,
    signature="q, keys, values",
    see=STREAM,
    cases=_stream_cases,
    call=_attend,
    compare=_compare_streamed,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("Scores of 1e4", 3, kinds=("stable",), needs=VALUES),
        Aspect("Constant memory", 3, kinds=("long",), needs=VALUES),
        Aspect("One item; one number", 1, kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", kinds=("values",), needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "keeps_the_stream",
            "the results are right, but something is kept of every item: a list of keys, values or scores, "
            "or an array that becomes longer. Two running sums, and the largest score so far, are enough.",
            STREAM,
        ),
        Mistake(
            "exponentiates_the_scores",
            "the exponentials are taken of the scores as they are. exp(1e4) overflows, and where all scores "
            "are far below zero every weight underflows to 0. Both sums can be kept relative to the largest "
            "score so far: a common factor cancels in their quotient.",
            STREAM,
        ),
        Mistake(
            "subtracts_the_first_score",
            "the scores are taken relative to the first one. That goes well until a much larger one comes "
            "later, as it does where the scores rise to 1e4. They have to be relative to the largest so far, "
            "which changes on the way.",
            STREAM,
        ),
        Mistake(
            "starts_the_maximum_at_zero",
            "the largest score so far starts at 0, or at another number that may be far above all scores. "
            "Where the scores are near -1e4, every weight then underflows to 0, and the result is 0/0. "
            "Before the first item there is no score yet: which number is smaller than all others?",
            STREAM,
        ),
        Mistake(
            "rescales_neither_sum",
            "each weight is taken relative to the largest score so far, but what has been summed up before "
            "stays relative to an older one. When the largest score changes, both sums have to be "
            "multiplied by the same factor.",
            STREAM,
        ),
        Mistake(
            "rescales_only_the_weights",
            "when a new largest score comes, the sum of the weights is rescaled, but not the weighted sum "
            "of the values. Both are relative to the same score, so both change.",
            STREAM,
        ),
        Mistake(
            "rescales_only_the_values",
            "when a new largest score comes, the weighted sum of the values is rescaled, but not the sum of "
            "the weights. Both are relative to the same score, so both change.",
            STREAM,
        ),
        Mistake(
            "rescales_the_new_item_too",
            "the sums are rescaled after the new item has been added. The new weight is relative to the new "
            "largest score already; only what was summed up before it has to be rescaled.",
            STREAM,
        ),
        Mistake(
            "rescales_the_wrong_way",
            "when a new largest score comes, the sums are multiplied by the inverse of the right factor. "
            "What was relative to the smaller score becomes smaller, not larger.",
            STREAM,
        ),
        Mistake(
            "does_not_divide",
            "the result is the weighted sum of the values, relative to the largest score. It has not been "
            "divided by the sum of the weights, so the weights do not sum to 1.",
            STREAM,
        ),
        Mistake(
            "divides_at_every_step",
            "the running sum is divided by the sum of the weights at every item, as if it were the sum of "
            "the values again at the next one. Divide once, after the last item.",
            STREAM,
        ),
        Mistake(
            "forgets_the_scale",
            "the scores are not divided by sqrt(len(q)).",
            STREAM,
        ),
        Mistake(
            "divides_by_the_length_of_q",
            "the scores are divided by len(q). It is the root of it that takes out how the spread of a "
            "product grows with the number of its terms.",
            STREAM,
        ),
        Mistake(
            "takes_the_value_of_the_largest_score",
            "the result is the value of the item with the largest score. Attention is softer: every item has "
            "its weight, and the result is their weighted mean.",
            STREAM,
        ),
    ),
)


# linear_recurrence


def _recurrence_inputs(rng: Rng, shape: tuple[int, ...], low: float = 0.3) -> Inputs:
    return {
        "a": away_from_zero(rng, shape, low, 1.3),
        "b": away_from_zero(rng, shape, 0.3, 1.2),
        "h0": away_from_zero(rng, shape[1:], 0.5, 1.5),
    }


def _recurrence_cases(rng: Rng) -> list[Case]:
    def case(kind: str, *shape: int, told: str = "") -> Case:
        return Case(f"shape {_shown(shape)}{told}", _recurrence_inputs(rng, shape), kind)

    zeros = case("long", 6, 2, 3, told=", with zeros in a")
    zeros.inputs["a"][2] = 0.0
    zeros.inputs["a"][4, :, 1] = 0.0
    far = case("long", 150, 1, 1, told=", small a")
    far.inputs["a"] *= 0.005
    return [
        case("values", 4, 3, 2),
        case("values", 3, 3, 3),
        case("values", 6, 1, 4),
        zeros,
        far,
        case("shapes", 5),
        case("shapes", 4, 2, 3, 2),
        case("one step", 1, 3, 2),
        case("one step", 1, 1, 1),
    ]


def _shown(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def _compare_states(case: Case, expected: Any, got: Any) -> list[Difference]:
    return [with_steps(d, ("",)) for d in compare(expected, got, (), RTOL, ATOL)]


LINEAR_RECURRENCE = Exercise(
    name="linear_recurrence",
    chapter=CHAPTER,
    minutes=10,
    signature="a, b, h0",
    see=LINEAR,
    cases=_recurrence_cases,
    compare=_compare_states,
    aspects=(
        Aspect(VALUES, 3, kinds=("values",)),
        Aspect("Zeros and small factors", 2, kinds=("long",), needs=VALUES),
        Aspect("Other numbers of axes", 1, kinds=("shapes",), needs=VALUES),
        Aspect("One step", 1, kinds=("one step",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "exchanges_a_and_b",
            "a and b have changed places. a multiplies the state before, b is added.",
            LINEAR,
        ),
        Mistake(
            "starts_from_zero",
            "the state before the first step is zero. It is `h0`.",
            LINEAR,
        ),
        Mistake(
            "returns_the_states_before_each_step",
            "each entry is the state before its step: the first is `h0` itself, and the last state is "
            "missing. Entry t is the state after a_t and b_t have acted.",
            LINEAR,
        ),
        Mistake(
            "returns_h0_too",
            "there are T + 1 states, `h0` being the first. The states after the T steps are asked for.",
            LINEAR,
        ),
        Mistake(
            "multiplies_the_input_too",
            "b_t is added before the multiplication, so a_t multiplies both. It multiplies the old state "
            "only.",
            LINEAR,
        ),
        Mistake(
            "weighs_the_input_by_the_rest",
            "the input is weighted by 1 - a, as an average or a gate would do. Here a and b are "
            "independent of each other: b_t is added as it is.",
            LINEAR,
        ),
        Mistake(
            "starts_every_step_from_h0",
            "every step starts from `h0`. Only the first does; each later one goes on from the state that "
            "the step before it has left.",
            LINEAR,
        ),
        Mistake(
            "lists_one_array_again_and_again",
            "all states are the last one. It is as if one array had been changed in place at each step "
            "and put into the list T times: `h *= ...` and `h += ...` change the array that is in the list "
            "already, `h = ...` makes a new one.",
            LINEAR,
        ),
        Mistake(
            "takes_the_factor_of_the_step_before",
            "the state is multiplied by the factor of the step before, a_{t-1}. Both a and b are those of "
            "the step itself.",
            LINEAR,
        ),
        Mistake(
            "goes_backwards",
            "the steps are taken from the last to the first. h_t depends on what came before it.",
            LINEAR,
        ),
        Mistake(
            "divides_by_the_product_of_the_factors",
            "the states are formed with the product of all factors so far and a division by it. On paper "
            "that is the same. But the product is 0 from the first factor on that is 0, and it underflows "
            "to 0 after many small ones: then there is a division by zero.",
            LINEAR,
        ),
        Mistake(
            "returns_the_last_state",
            "only the last state is returned. All T of them are asked for.",
            LINEAR,
        ),
        Mistake(
            "writes_into_b",
            "the states are right, but they have been written into the array `b` that was passed in. The "
            "caller still needs it: fill an array of your own.",
            LINEAR,
        ),
    ),
)


# combine

PAIR = ("a", "b")
A, B = "The factor, a", "The summand, b"


def _combine(function: Callable, inputs: Inputs) -> Any:
    """Two pairs are combined; three in both of the ways in which they can be bracketed."""
    pairs = [tuple(pair) for pair in inputs.values()]
    if len(pairs) == 2:
        return function(*pairs)
    again = [tuple(map(copy_inputs, pair)) for pair in pairs]
    left, right = function(*pairs[:2]), function(*again[1:])
    if left is None and right is None:
        return None
    return {
        "combine(combine(first, second), third)": function(left, pairs[2]),
        "combine(first, combine(second, third))": function(again[0], right),
    }


def _combine_cases(rng: Rng) -> list[Case]:
    def pair(shape: tuple[int, ...]) -> tuple:
        a, b = (away_from_zero(rng, shape, 0.3, 1.6) for _ in range(2))
        return (a, b) if shape else (a.item(), b.item())

    def case(kind: str, *shape: int, names: tuple = ("left", "right"), told: str = "") -> Case:
        name = f"arrays {_shown(shape)}" if shape else "plain numbers"
        return Case(name + told, {name: pair(shape) for name in names}, kind)

    three = ("first", "second", "third")
    nothing = case("values", 5, told=", zeros in a")
    for side in ("left", "right"):
        nothing.inputs[side][0][rng.integers(0, 5)] = 0.0
    return [
        case("values", 3, 2, 4),
        case("values", 2, 2),
        nothing,
        case("numbers"),
        case("chain", 3, 2, names=three, told=", three pairs"),
        case("chain", 4, names=three, told=", three pairs"),
    ]


COMBINE = Exercise(
    name="combine",
    chapter=CHAPTER,
    minutes=10,
    signature="left, right",
    see=BRACKETS,
    cases=_combine_cases,
    parts=PAIR,
    call=_combine,
    aspects=(
        Aspect(B, 3, parts=("b",), kinds=("values",)),
        Aspect(A, 2, parts=("a",), kinds=("values",)),
        Aspect("Three in a row, bracketed both ways", 2, kinds=("chain",), needs=B),
        Aspect("Plain numbers", 1, kinds=("numbers",), needs=B),
        Aspect(PURITY, 1, of="purity", needs=B),
    ),
    mistakes=(
        Mistake(
            "takes_the_right_one_as_earlier",
            "left and right have changed places. The left pair is the earlier step, so it acts first, and "
            "the right one acts on what comes out. The factors may be exchanged, the summands may not.",
            BRACKETS,
        ),
        Mistake(
            "adds_the_summands",
            "the summand is b_left + b_right. But the right step comes later and multiplies all that was "
            "there before it, b_left included.",
            BRACKETS,
        ),
        Mistake(
            "multiplies_both_summands",
            "the right factor multiplies both summands. Put one step into the other: b_right is added after "
            "the multiplication by a_right.",
            BRACKETS,
        ),
        Mistake(
            "takes_the_left_factor",
            "b_left is multiplied by the left factor. In its own step it was added after that factor had "
            "acted; what multiplies it is the factor of the step that comes afterwards.",
            BRACKETS,
        ),
        Mistake(
            "multiplies_by_both_factors",
            "b_left is multiplied by both factors. It was added after the left factor had acted, so only "
            "the right one multiplies it.",
            BRACKETS,
        ),
        Mistake(
            "loses_the_right_summand",
            "b_right is missing from the summand. The right step adds it to whatever it was given.",
            BRACKETS,
        ),
        Mistake(
            "adds_the_factors",
            "the factors are added. Two steps one after the other multiply the state twice, so the factors "
            "multiply.",
            BRACKETS,
        ),
        Mistake(
            "keeps_the_right_factor",
            "the factor is that of the right step alone. The state has been multiplied by the left one "
            "before.",
            BRACKETS,
        ),
        Mistake(
            "keeps_the_left_factor",
            "the factor is that of the left step alone. The right step multiplies the state once more.",
            BRACKETS,
        ),
        Mistake(
            "returns_the_summand_first",
            "the two entries have changed places. A pair is (a, b): the factor first.",
            BRACKETS,
        ),
        Mistake(
            "writes_into_left",
            "the result is right where arrays come in for the first time, but it has been written into the "
            "arrays of `left`. They belong to the caller, who may need them for another call: make new "
            "ones. `a *= ...` and `a[...] = ...` write into what is there.",
            BRACKETS,
        ),
    ),
)


# parallel_scan


def most_calls(T: int) -> int:
    """ceil(log2 T) + 1."""
    return (T - 1).bit_length() + 1


def _make_combine(power: int, calls: list[int]) -> Callable:
    """The operator of h -> a**power * h + b, as products of 2 x 2 matrices; notes its calls.

    With power 1 it is the operator of the recurrence, with 2 another associative one.
    """

    def matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = np.broadcast_arrays(a, b)
        rows = [[a**power, b], [np.zeros_like(a), np.ones_like(a)]]
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    def combine(left: Any, right: Any) -> tuple[np.ndarray, np.ndarray]:
        calls.append(1)
        for side, pair in (("left", left), ("right", right)):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"combine: {side} should be a pair (a, b)")
        (a, b), (c, d) = ([np.asarray(part, dtype=float) for part in p] for p in (left, right))
        return a * c, (matrix(c, d) @ matrix(a, b))[..., 0, 1]

    combine.__qualname__ = "combine"
    return combine


def _scan(function: Callable, inputs: Inputs) -> Any:
    calls: list[int] = []
    a, b, h0 = (inputs[name] for name in ("a", "b", "h0"))
    h = function(a, b, h0, _make_combine(inputs["power"], calls))
    return None if h is None else {"h": h, "calls": _calls_told(len(calls), len(b))}


def _calls_told(calls: int, T: int) -> str:
    if calls <= most_calls(T):
        return "few"
    return "about one for each step" if T - 1 <= calls <= T + 1 else str(calls)


def _compare_scans(case: Case, expected: Any, got: Any) -> list[Difference]:
    differences = []
    T = len(case.inputs["b"])
    for one in compare(expected, got, (), RTOL, ATOL):
        one = replace(one, text=one.text.replace('result["h"]', "result"))
        if one.part == "h" and case.kind == "other":
            text = f"With another associative operator as `combine`, and h0 = 0: {one.text}"
            one = replace(one, text=text)
        if one.part == "calls" and isinstance(got["calls"], str):
            came = got["calls"]
            text = f"`combine` should be called at most {most_calls(T)} times for T = {T}, but is called "
            one = replace(one, text=text + (f"{came} times." if came.isdigit() else f"{came}."))
        differences.append(with_steps(one, ("h",)))
    return differences


def _scan_cases(rng: Rng) -> list[Case]:
    def case(kind: str, *shape: int, power: int = 1, told: str = "") -> Case:
        inputs = {**_recurrence_inputs(rng, shape), "power": power}
        return Case(f"T = {shape[0]}, shape {_shown(shape)}{told}", inputs, kind)

    zeros = case("values", 11, 3, told=", zeros in a")
    zeros.inputs["a"][rng.integers(2, 9)] = 0.0
    other = case("other", 9, 2, power=2, told=", another combine")
    other.inputs["h0"][:] = 0.0
    other.inputs["a"] *= 0.8
    return [
        case("values", 7, 2, 3),
        case("values", 8, 3, 2),
        case("values", 13, 2, 2),
        zeros,
        other,
        case("sizes", 1, 2, 3),
        case("sizes", 2, 3),
        case("sizes", 9),
        case("sizes", 3, 2, 2, 3),
    ]


CALLS = "At most ceil(log2 T) + 1 calls"

PARALLEL_SCAN = Exercise(
    name="parallel_scan",
    chapter=CHAPTER,
    minutes=25,
    signature="a, b, h0, combine",
    see=SCAN,
    cases=_scan_cases,
    call=_scan,
    compare=_compare_scans,
    aspects=(
        Aspect(VALUES, 4, parts=("h",), kinds=("values",)),
        Aspect(CALLS, 3, parts=("calls",), kinds=("values",), needs=VALUES),
        Aspect("By `combine` alone", 2, parts=("h",), kinds=("other",), needs=VALUES),
        Aspect("Small T, other shapes", 1, parts=("h",), kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "combines_step_by_step",
            "the states are right, but `combine` is called about once for each step. That is as many calls "
            "one after the other as a recurrence has steps. One call can do a whole slice, and the reach of "
            "each pair can double from call to call.",
            SCAN,
        ),
        Mistake(
            "does_not_use_combine",
            "the states are right, but steps are joined without the given `combine`: with another operator "
            "in its place, the result does not follow. The scan does not need to know the operator, as long "
            "as it is associative.",
            SCAN,
        ),
        Mistake(
            "exchanges_left_and_right",
            "the pairs are handed to `combine` in the wrong order. The left one has to be the earlier.",
            SCAN,
        ),
        Mistake(
            "forgets_h0",
            "`h0` has no effect: the result is as if it were zero.",
            SCAN,
        ),
        Mistake(
            "adds_h0_to_every_state",
            "`h0` is added to every state as it is. By step t it has been multiplied by all the factors up "
            "to t, and the scan delivers their product.",
            SCAN,
        ),
        Mistake(
            "adds_h0_to_the_first_summand",
            "`h0` is added to the first summand as it is. The first step multiplies it by a_0 first.",
            SCAN,
        ),
        Mistake(
            "multiplies_h0_by_its_own_factor_only",
            "`h0` is multiplied by a_t alone in the state at t. It has been multiplied by all the factors "
            "up to t, whose product the scan delivers beside the summand.",
            SCAN,
        ),
        Mistake(
            "scans_the_summands_only",
            "the summands are brought up to date after each round, the factors are not: they stay those of "
            "single steps. `combine` returns both parts of the new pairs, and the next round needs both.",
            SCAN,
        ),
        Mistake(
            "stops_one_round_early",
            "the last round is missing: only the pairs of few steps reach back to the beginning. After k "
            "rounds a pair reaches back over 2**k steps, and the last one has to reach over all T.",
            SCAN,
        ),
        Mistake(
            "rounds_the_logarithm_down",
            "where T is no power of two, the last round is missing. The number of rounds is the logarithm "
            "rounded up.",
            SCAN,
        ),
        Mistake(
            "wraps_around",
            "the first pairs are combined with pairs from the end of the sequence, as `np.roll` brings them "
            "round. Before the first step there is nothing to combine with: such pairs stay as they are.",
            SCAN,
        ),
        Mistake(
            "drops_the_finished_pairs",
            "the result is too short: the pairs at the beginning, which are finished, have been left out. "
            "Each round combines all but the first few, and those stay in front as they are.",
            SCAN,
        ),
        Mistake(
            "returns_h0_too",
            "there are T + 1 states, `h0` being the first. The states after the T steps are asked for.",
            SCAN,
        ),
        Mistake(
            "returns_the_pair",
            "the pair of scanned arrays (a, b) is returned. What is asked is the states: each pair stands "
            "for a map, which still has to be applied to `h0`.",
            SCAN,
        ),
        Mistake(
            "writes_into_a_and_b",
            "the result of the first call is right, but the arrays `a` and `b` that were passed in have been "
            "overwritten. Work on copies, or build new arrays.",
            SCAN,
        ),
    ),
)


# min_gru_step

MADE_POSITIVE = Mistake(
    "makes_the_candidate_positive",
    "the candidate has been made positive (x + 1/2 above zero, a sigmoid below), as in the form "
    "that is computed with logarithms. Here it is `W_h x + b_h` as it is.",
    MIN_GRU,
)


def _min_gru(rng: Rng, D: int, H: int) -> Inputs:
    """Weights with which no gate is saturated and none is a half."""
    return {
        "W_z": away_from_zero(rng, (H, D), 0.5, 1.0) / np.sqrt(D),
        "b_z": away_from_zero(rng, (H,), 0.3, 0.7),
        "W_h": away_from_zero(rng, (H, D), 0.6, 1.2) / np.sqrt(D),
        "b_h": away_from_zero(rng, (H,), 0.3, 0.7),
    }


def _min_step_cases(rng: Rng) -> list[Case]:
    sizes = [  # kind, B, D, H
        ("values", 3, 2, 4),
        ("values", 2, 5, 3),
        ("values", 4, 3, 3),
        ("sizes", 1, 3, 2),
        ("sizes", 2, 1, 1),
    ]
    return [
        Case(
            f"B = {B}, D = {D}, H = {H}",
            {
                "x": away_from_zero(rng, (B, D), 0.3, 1.2),
                "h": away_from_zero(rng, (B, H), 0.3, 1.2),
                **_min_gru(rng, D, H),
            },
            kind,
        )
        for kind, B, D, H in sizes
    ]


MIN_GRU_STEP = Exercise(
    name="min_gru_step",
    chapter=CHAPTER,
    minutes=5,
    signature="x, h, W_z, b_z, W_h, b_h",
    see=MIN_GRU,
    cases=_min_step_cases,
    aspects=(
        Aspect(VALUES, 3, kinds=("values",)),
        Aspect("One sequence; one number, one unit", 1, kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "flips_the_gate",
            "`z` and `1 - z` have changed places. Here z = 1 takes the candidate, and z = 0 keeps the old "
            "state. In PyTorch's GRU it is the other way round.",
            MIN_GRU,
        ),
        Mistake(
            "squashes_the_candidate",
            "the candidate has gone through a tanh. Here it has no nonlinearity at all: it is linear in x.",
            MIN_GRU,
        ),
        Mistake(
            "squashes_the_state",
            "the new state has gone through a tanh. Then it would no longer be linear in the old one, and no "
            "scan could compute it.",
            MIN_GRU,
        ),
        MADE_POSITIVE,
        Mistake(
            "forgets_the_sigmoid",
            "the gate is used without the sigmoid, so it is not between 0 and 1.",
            MIN_GRU,
        ),
        Mistake(
            "takes_tanh_for_the_gate",
            "the gate has gone through a tanh in place of the sigmoid. A gate lies between 0 and 1.",
            MIN_GRU,
        ),
        Mistake(
            "exchanges_gate_and_candidate",
            "the weights of the gate and of the candidate have changed places.",
            MIN_GRU,
        ),
        Mistake(
            "forgets_b_z",
            "the bias of the gate, `b_z`, has no effect.",
            MIN_GRU,
        ),
        Mistake(
            "forgets_b_h",
            "the bias of the candidate, `b_h`, has no effect.",
            MIN_GRU,
        ),
        Mistake(
            "adds_the_candidate_whole",
            "the candidate is added whole, without the gate. What is kept and what is new share: 1 - z of "
            "the one, z of the other.",
            MIN_GRU,
        ),
        Mistake(
            "keeps_the_state_whole",
            "the old state is kept whole, and the gated candidate added to it. Only 1 - z of it stays.",
            MIN_GRU,
        ),
        Mistake(
            "writes_into_h",
            "the result is right, but the array `h` that was passed in has been overwritten. Make a new "
            "array: `h *= ...` writes into the old one.",
            MIN_GRU,
        ),
    ),
)


# min_gru_parallel

STEPS = 1000
RUNS = 100  # of one line at STEPS steps: ten rounds are enough
SEEN = (0, 1, 2, 99, 499, 998, 999)


def _min_parallel(function: Callable, inputs: Inputs) -> Any:
    if "seed" not in inputs:
        return function(*inputs.values())
    arguments = dict(inputs)
    rng = np.random.default_rng(arguments.pop("seed"))
    B, D = len(inputs["h0"]), inputs["W_z"].shape[1]
    hs, runs = _with_most_runs(function, rng.normal(size=(STEPS, B, D)), *arguments.values())
    if not isinstance(hs, np.ndarray) or hs.shape != (STEPS, *inputs["h0"].shape):
        return hs
    told = "few" if runs <= RUNS else "one for each step" if runs > 0.9 * STEPS else "many"
    with np.errstate(all="ignore"):
        mean = hs.mean(axis=0)
    return {**{f"step {t}": hs[t] for t in SEEN}, "mean": mean, "steps": told}


def _with_most_runs(function: Callable, *arguments: Any) -> tuple[Any, int]:
    """The result, and how often that line of Python ran that ran most often meanwhile.

    Also counts lines of functions that are called on the way, and rounds of comprehensions.
    """
    runs: Counter = Counter()

    def trace(frame: Any, event: str, _: Any) -> Callable:
        if event == "line":
            runs[frame.f_code, frame.f_lineno] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = function(*arguments)
    finally:
        sys.settrace(before)
    return result, max(runs.values(), default=0)


def _compare_parallel(case: Case, expected: Any, got: Any) -> list[Difference]:
    if case.kind != "long":
        return _compare_states(case, expected, got)
    if not isinstance(got, dict):
        due = np.empty((STEPS, *case.inputs["h0"].shape))
        return compare(due, got, (), RTOL, ATOL) or [
            Difference("", f"The result should be {describe(due)}.")
        ]
    differences = []
    for one in compare(expected, got, (), RTOL, ATOL):
        if one.part == "steps":
            often = "once for each step" if got["steps"] == "one for each step" else "too often"
            text = (
                f"At T = {STEPS} no line should run more than {RUNS} times, but some line runs {often}. "
                "Lines of functions that yours calls count too."
            )
            differences.append(replace(one, text=text))
        else:
            shown = "The mean over t" if one.part == "mean" else f"At {one.part}"
            differences.append(replace(one, part="states", text=f"{shown}: {one.text}"))
    return differences


def _min_parallel_cases(rng: Rng) -> list[Case]:
    sizes = [  # kind, T, B, D, H
        ("values", 5, 3, 2, 4),
        ("values", 8, 2, 4, 3),
        ("values", 7, 4, 3, 3),
        ("sizes", 1, 2, 3, 2),
        ("sizes", 4, 1, 2, 3),
        ("sizes", 3, 2, 1, 1),
    ]
    cases = [
        Case(
            f"T = {T}, B = {B}, D = {D}, H = {H}",
            {
                "x": away_from_zero(rng, (T, B, D), 0.3, 1.2),
                "h0": away_from_zero(rng, (B, H), 0.5, 1.2),
                **_min_gru(rng, D, H),
            },
            kind,
        )
        for kind, T, B, D, H in sizes
    ]
    # One unit that forgets little in a thousand steps, one that halves, one that forgets at once.
    far = {
        "seed": int(rng.integers(2**31)),
        "h0": away_from_zero(rng, (1, 3), 0.5, 1.2),
        **_min_gru(rng, 2, 3),
    }
    far["b_z"] = np.array([-7.0, 0.0, 5.0]) + far["b_z"]
    return [*cases, Case(f"T = {STEPS}, one sequence, 3 units", far, "long")]


TOGETHER = "Not step by step"

MIN_GRU_PARALLEL = Exercise(
    name="min_gru_parallel",
    chapter=CHAPTER,
    minutes=25,
    signature="x, h0, W_z, b_z, W_h, b_h",
    see=MIN_GRU,
    cases=_min_parallel_cases,
    call=_min_parallel,
    compare=_compare_parallel,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("A thousand steps", 3, parts=("states",), kinds=("long",), needs=VALUES),
        Aspect(TOGETHER, 3, parts=("steps",), kinds=("long",), needs=VALUES),
        Aspect("One step, one sequence, one unit", 1, kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "goes_step_by_step",
            "the states are right, but some line runs once for each step. Gates and candidates do not "
            "depend on the states, so they can all be computed at once. What is left is a linear "
            "recurrence, and a scan needs about log2 T rounds for it.",
            SCAN,
        ),
        Mistake(
            "divides_by_the_product_of_the_factors",
            "the states are formed as if with the product of all factors so far and a division by it. On "
            "paper that is right, and it works for a few steps. In a thousand steps the product underflows "
            "to 0, its inverse is infinite, and together they make nan. Writing both as exponentials of a sum "
            "of logarithms changes nothing. A scan never divides.",
            MIN_GRU,
        ),
        Mistake(
            "guards_the_division",
            "the states are formed by a division by the product of all factors so far, with 1e-12 added or "
            "as its least value, so that it is never 0. The result is finite, but wrong as soon as the "
            "product is as small as that. A scan never divides.",
            MIN_GRU,
        ),
        Mistake(
            "takes_logarithms_of_negative_numbers",
            "the candidates have gone through a logarithm, and that of a negative number is nan. Only a "
            "candidate that is kept positive can be computed in logarithms.",
            MIN_GRU,
        ),
        Mistake(
            "flips_the_gate",
            "`z` and `1 - z` have changed places. Here z = 1 takes the candidate, and z = 0 keeps the old "
            "state.",
            MIN_GRU,
        ),
        Mistake(
            "squashes_the_candidate",
            "the candidate has gone through a tanh. Here it is linear in x.",
            MIN_GRU,
        ),
        MADE_POSITIVE,
        Mistake(
            "adds_the_candidate_whole",
            "what is added at each step is the candidate, without its gate. The summand of the recurrence "
            "is z times the candidate.",
            MIN_GRU,
        ),
        Mistake(
            "forgets_h0",
            "`h0` has no effect: the result is as if it were zero.",
            MIN_GRU,
        ),
        Mistake(
            "adds_up_without_forgetting",
            "what has been added at the earlier steps is summed up as it is. It has been multiplied by the "
            "factors 1 - z of all steps since; `h0` alone has been treated so here.",
            MIN_GRU,
        ),
        Mistake(
            "adds_h0_to_every_state",
            "`h0` is added to every state as it is. By step t it has been multiplied by all the factors "
            "1 - z up to t.",
            MIN_GRU,
        ),
        Mistake(
            "combines_the_later_step_first",
            "the two steps that are combined have changed places: the earlier one acts on the later one.",
            SCAN,
        ),
        Mistake(
            "rounds_the_logarithm_down",
            "where T is no power of two, the last round of the scan is missing. The number of rounds is "
            "the logarithm rounded up.",
            SCAN,
        ),
        Mistake(
            "returns_h0_too",
            "there are T + 1 states, `h0` being the first. The states after the T steps are asked for.",
            MIN_GRU,
        ),
    ),
)


# decoding_memory

ATTENTION, RECURRENT = "Attention", "GRU and LSTM"


def _compare_bytes(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The right number as a float is wrong in that alone."""
    if isinstance(got, float) and got == expected:
        return [Difference("type", f"The result should be an int, but is {describe(got)}.")]
    return [replace(d, part="bytes") for d in compare(expected, got, (), RTOL, ATOL)]


def _memory_cases(rng: Rng) -> list[Case]:
    def case(kind: str, model: str, most: int, n: int | None = None) -> Case:
        layers, width = int(rng.integers(3, 60)), int(rng.integers(65, 3000))
        n = n or int(rng.integers(100, most))
        per = int(rng.choice([1, 2, 4, 8]))
        inputs = {
            "kind": model,
            "layers": layers,
            "width": width,
            "n": n,
            "bytes_per_number": per if kind == "attention" else max(per, 2),
        }
        told = "one token" if n == 1 else f"{n} tokens"
        return Case(f"{model}, {layers} layers, width {width}, {told}", inputs, kind)

    return [
        case("attention", "attention", 900),
        case("attention", "attention", 5000),
        case("attention", "attention", 200_000),
        case("attention", "attention", 2, n=1),
        case("recurrent", "gru", 1000),
        case("recurrent", "gru", 100_000),
        case("recurrent", "lstm", 1000),
        case("recurrent", "lstm", 100_000),
    ]


DECODING_MEMORY = Exercise(
    name="decoding_memory",
    chapter=CHAPTER,
    minutes=5,
    signature="kind, layers, width, n, bytes_per_number",
    see=MEMORY,
    cases=_memory_cases,
    compare=_compare_bytes,
    aspects=(
        Aspect(ATTENTION, 2, parts=("bytes",), kinds=("attention",)),
        Aspect(RECURRENT, 2, parts=("bytes",), kinds=("recurrent",)),
        Aspect("An int", 1, parts=("type",), needs=ATTENTION),
    ),
    mistakes=(
        Mistake(
            "keeps_one_vector_a_token",
            "attention keeps one vector for each token. It needs two: a key to be found by, and a value to be "
            "read.",
            MEMORY,
        ),
        Mistake(
            "keeps_queries_too",
            "attention keeps three vectors for each token, as if the queries were needed again. A query is "
            "used once, when its own token looks back; nobody asks for it later.",
            MEMORY,
        ),
        Mistake(
            "keeps_the_weights_of_all_pairs",
            "attention keeps the keys and values and n * n weights in each layer. The weights are computed "
            "anew for each token, and are not needed afterwards.",
            MEMORY,
        ),
        Mistake(
            "lets_the_past_not_grow",
            "the number of tokens has no effect on attention. It is a recurrent network that has a state "
            "of one size; attention keeps a key and a value of every token.",
            MEMORY,
        ),
        Mistake(
            "lets_recurrent_states_grow",
            "the memory of the recurrent networks grows with the number of tokens. To go on, they need the "
            "last state only. All earlier states are needed in training, not in decoding.",
            MEMORY,
        ),
        Mistake(
            "counts_one_vector_for_an_lstm",
            "an LSTM is counted with one vector a layer. It hands on two: h and c.",
            MEMORY,
        ),
        Mistake(
            "counts_the_gates",
            "the recurrent networks are counted with a vector for each of their gates and candidates: three "
            "for a GRU, four for an LSTM. These are computed anew at each step. What is kept is the state.",
            MEMORY,
        ),
        Mistake(
            "counts_one_layer",
            "the number of layers has no effect. Each layer keeps a state, or keys and values, of its own.",
            MEMORY,
        ),
        Mistake(
            "counts_numbers",
            "this is how many numbers are kept, not how many bytes. Each takes `bytes_per_number`.",
            MEMORY,
        ),
        Mistake(
            "counts_bits",
            "this is eight times too much, as if bits were asked for. `bytes_per_number` is in bytes already.",
            MEMORY,
        ),
        Mistake(
            "returns_a_float",
            "the number is right, but it is a float. A number of bytes is counted, so an int is asked for.",
            MEMORY,
        ),
    ),
)

EXERCISES = [
    CAUSAL_SELF_ATTENTION,
    STREAMING_ATTENTION,
    LINEAR_RECURRENCE,
    COMBINE,
    PARALLEL_SCAN,
    MIN_GRU_STEP,
    MIN_GRU_PARALLEL,
    DECODING_MEMORY,
]
