"""Chapter 11: how attention over a past, streams and scans go wrong."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.beyond_recurrence import (
    causal_self_attention,
    decoding_memory,
    linear_recurrence,
    min_gru_step,
    streaming_attention,
)
from autograder.reference.vanilla_rnn import sigmoid

# causal_self_attention


def _softmax(scores, axis=-1):
    weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


def _scores(x, W_q, W_k, scale):
    """Of every position (axis 1) for every position (axis 2): (B, T, T)."""
    return np.einsum("tbd,sbd->bts", x @ W_q.T, x @ W_k.T) / scale


def _weigh(weights, values):
    return np.einsum("bts,sbd->tbd", weights, values)


def _masked(x, W_q, W_k, scale, ahead=0):
    """The scores, with minus infinity where s > t + ahead."""
    sees = np.tril(np.ones((len(x), len(x)), dtype=bool), ahead)
    return np.where(sees, _scores(x, W_q, W_k, scale), -np.inf)


@mistake_of("causal_self_attention")
def causal_self_attention__looks_ahead(x, W_q, W_k, W_v):
    return _weigh(_softmax(_scores(x, W_q, W_k, np.sqrt(len(W_q)))), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__sees_one_step_ahead(x, W_q, W_k, W_v):
    return _weigh(_softmax(_masked(x, W_q, W_k, np.sqrt(len(W_q)), ahead=1)), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__leaves_itself_out(x, W_q, W_k, W_v):
    return _weigh(_softmax(_masked(x, W_q, W_k, np.sqrt(len(W_q)), ahead=-1)), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__leaves_itself_out_but_for_the_first(x, W_q, W_k, W_v):
    scores = _masked(x, W_q, W_k, np.sqrt(len(W_q)), ahead=-1)
    return _weigh(_softmax(np.where(np.isfinite(scores), scores, -1e9)), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__masks_the_past(x, W_q, W_k, W_v):
    sees = np.triu(np.ones((len(x), len(x)), dtype=bool))
    scores = np.where(sees, _scores(x, W_q, W_k, np.sqrt(len(W_q))), -np.inf)
    return _weigh(_softmax(scores), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__masks_after_the_softmax(x, W_q, W_k, W_v):
    weights = np.tril(_softmax(_scores(x, W_q, W_k, np.sqrt(len(W_q)))))
    return _weigh(weights, x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__multiplies_a_mask_by_infinity(x, W_q, W_k, W_v):
    later = np.triu(np.ones((len(x), len(x))), 1)
    scores = _scores(x, W_q, W_k, np.sqrt(len(W_q))) - later * np.inf
    return _weigh(_softmax(scores), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__masks_with_zero(x, W_q, W_k, W_v):
    return _weigh(_softmax(np.tril(_scores(x, W_q, W_k, np.sqrt(len(W_q))))), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__forgets_the_scale(x, W_q, W_k, W_v):
    return _weigh(_softmax(_masked(x, W_q, W_k, 1.0)), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__divides_by_d(x, W_q, W_k, W_v):
    return _weigh(_softmax(_masked(x, W_q, W_k, len(W_q))), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__scales_by_the_width_of_x(x, W_q, W_k, W_v):
    return _weigh(_softmax(_masked(x, W_q, W_k, np.sqrt(x.shape[-1]))), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__exchanges_queries_and_keys(x, W_q, W_k, W_v):
    return causal_self_attention(x, W_k, W_q, W_v)


@mistake_of("causal_self_attention")
def causal_self_attention__normalises_over_the_queries(x, W_q, W_k, W_v):
    return _weigh(_softmax(_masked(x, W_q, W_k, np.sqrt(len(W_q))), axis=1), x @ W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__adds_up_the_inputs(x, W_q, W_k, W_v):
    return causal_self_attention(x, W_q, W_k, np.eye(x.shape[-1]))


@mistake_of("causal_self_attention")
def causal_self_attention__forgets_to_transpose_W_v(x, W_q, W_k, W_v):
    return causal_self_attention(x, W_q, W_k, W_v.T)


@mistake_of("causal_self_attention")
def causal_self_attention__attends_along_the_batch(x, W_q, W_k, W_v):
    return causal_self_attention(x.swapaxes(0, 1), W_q, W_k, W_v).swapaxes(0, 1)


@mistake_of("causal_self_attention")
def causal_self_attention__returns_the_batch_first(x, W_q, W_k, W_v):
    return causal_self_attention(x, W_q, W_k, W_v).swapaxes(0, 1)


@mistake_of("causal_self_attention")
def causal_self_attention__adds_the_input(x, W_q, W_k, W_v):
    return x + causal_self_attention(x, W_q, W_k, W_v)


# streaming_attention


@mistake_of("streaming_attention")
def streaming_attention__keeps_the_stream(q, keys, values):
    keys, values = np.stack(list(keys)), np.stack(list(values))
    return _softmax(keys @ q / np.sqrt(len(q))) @ values


@mistake_of("streaming_attention")
def streaming_attention__exponentiates_the_scores(q, keys, values):
    total, context = np.float64(0), 0.0
    for k, v in zip(keys, values, strict=True):
        weight = np.exp(q @ k / np.sqrt(len(q)))
        total, context = total + weight, context + weight * v
    return context / total


@mistake_of("streaming_attention")
def streaming_attention__subtracts_the_first_score(q, keys, values):
    first, total, context = None, 0.0, 0.0
    for k, v in zip(keys, values, strict=True):
        score = q @ k / np.sqrt(len(q))
        first = score if first is None else first
        weight = np.exp(score - first)
        total, context = total + weight, context + weight * v
    return context / total


@mistake_of("streaming_attention")
def streaming_attention__starts_the_maximum_at_zero(q, keys, values):
    largest, total, context = 0.0, 0.0, 0.0
    for k, v in zip(keys, values, strict=True):
        score = q @ k / np.sqrt(len(q))
        before, largest = largest, max(largest, score)
        shrink, weight = np.exp(before - largest), np.exp(score - largest)
        total, context = shrink * total + weight, shrink * context + weight * v
    return context / total


def _streamed(q, keys, values, of_total, of_context, inverse=False):
    """Both sums and the weight, with the choice which of them is rescaled, and which way."""
    largest, total, context = None, 0.0, 0.0
    for k, v in zip(keys, values, strict=True):
        score = q @ k / np.sqrt(len(q))
        before = score if largest is None else largest
        largest = max(before, score)
        shrink = np.exp(largest - before if inverse else before - largest)
        weight = np.exp(score - largest)
        total = (shrink if of_total else 1.0) * total + weight
        context = (shrink if of_context else 1.0) * context + weight * v
    return context, total


@mistake_of("streaming_attention")
def streaming_attention__rescales_neither_sum(q, keys, values):
    context, total = _streamed(q, keys, values, of_total=False, of_context=False)
    return context / total


@mistake_of("streaming_attention")
def streaming_attention__rescales_only_the_weights(q, keys, values):
    context, total = _streamed(q, keys, values, of_total=True, of_context=False)
    return context / total


@mistake_of("streaming_attention")
def streaming_attention__rescales_only_the_values(q, keys, values):
    context, total = _streamed(q, keys, values, of_total=False, of_context=True)
    return context / total


@mistake_of("streaming_attention")
def streaming_attention__rescales_the_new_item_too(q, keys, values):
    largest, total, context = -np.inf, 0.0, 0.0
    for k, v in zip(keys, values, strict=True):
        score = q @ k / np.sqrt(len(q))
        before, largest = largest, max(largest, score)
        shrink = np.exp(before - largest) if np.isfinite(before) else 1.0
        weight = np.exp(score - largest)
        total, context = shrink * (total + weight), shrink * (context + weight * v)
    return context / total


@mistake_of("streaming_attention")
def streaming_attention__rescales_the_wrong_way(q, keys, values):
    context, total = _streamed(q, keys, values, of_total=True, of_context=True, inverse=True)
    return context / total


@mistake_of("streaming_attention")
def streaming_attention__does_not_divide(q, keys, values):
    return _streamed(q, keys, values, of_total=True, of_context=True)[0]


@mistake_of("streaming_attention")
def streaming_attention__divides_at_every_step(q, keys, values):
    largest, total, context = -np.inf, 0.0, 0.0
    for k, v in zip(keys, values, strict=True):
        score = q @ k / np.sqrt(len(q))
        before, largest = largest, max(largest, score)
        shrink, weight = np.exp(before - largest), np.exp(score - largest)
        total = shrink * total + weight
        context = (shrink * context + weight * v) / total
    return context


@mistake_of("streaming_attention")
def streaming_attention__forgets_the_scale(q, keys, values):
    return streaming_attention(q * np.sqrt(len(q)), keys, values)


@mistake_of("streaming_attention")
def streaming_attention__divides_by_the_length_of_q(q, keys, values):
    return streaming_attention(q / np.sqrt(len(q)), keys, values)


@mistake_of("streaming_attention")
def streaming_attention__takes_the_value_of_the_largest_score(q, keys, values):
    largest, best = -np.inf, None
    for k, v in zip(keys, values, strict=True):
        if q @ k > largest:
            largest, best = q @ k, v
    return best


# linear_recurrence


@mistake_of("linear_recurrence")
def linear_recurrence__exchanges_a_and_b(a, b, h0):
    return linear_recurrence(b, a, h0)


@mistake_of("linear_recurrence")
def linear_recurrence__starts_from_zero(a, b, h0):
    return linear_recurrence(a, b, np.zeros_like(h0))


@mistake_of("linear_recurrence")
def linear_recurrence__returns_the_states_before_each_step(a, b, h0):
    return np.concatenate([h0[None], linear_recurrence(a, b, h0)[:-1]])


@mistake_of("linear_recurrence")
def linear_recurrence__returns_h0_too(a, b, h0):
    return np.concatenate([h0[None], linear_recurrence(a, b, h0)])


@mistake_of("linear_recurrence")
def linear_recurrence__multiplies_the_input_too(a, b, h0):
    return linear_recurrence(a, a * b, h0)


@mistake_of("linear_recurrence")
def linear_recurrence__weighs_the_input_by_the_rest(a, b, h0):
    return linear_recurrence(a, (1 - a) * b, h0)


@mistake_of("linear_recurrence")
def linear_recurrence__starts_every_step_from_h0(a, b, h0):
    return a * h0 + b


@mistake_of("linear_recurrence")
def linear_recurrence__lists_one_array_again_and_again(a, b, h0):
    h, hs = np.array(h0), []
    for t in range(len(b)):
        h *= a[t]
        h += b[t]
        hs.append(h)
    return np.stack(hs)


@mistake_of("linear_recurrence")
def linear_recurrence__takes_the_factor_of_the_step_before(a, b, h0):
    return linear_recurrence(np.roll(a, 1, axis=0), b, h0)


@mistake_of("linear_recurrence")
def linear_recurrence__goes_backwards(a, b, h0):
    return linear_recurrence(a[::-1], b[::-1], h0)[::-1]


@mistake_of("linear_recurrence")
def linear_recurrence__divides_by_the_product_of_the_factors(a, b, h0):
    product = np.cumprod(a, axis=0)
    return product * (h0 + np.cumsum(b / product, axis=0))


@mistake_of("linear_recurrence")
def linear_recurrence__returns_the_last_state(a, b, h0):
    return linear_recurrence(a, b, h0)[-1]


@mistake_of("linear_recurrence")
def linear_recurrence__writes_into_b(a, b, h0):
    for t in range(len(b)):
        b[t] += a[t] * (b[t - 1] if t else h0)
    return b


# combine


@mistake_of("combine")
def combine__takes_the_right_one_as_earlier(left, right):
    return left[0] * right[0], left[0] * right[1] + left[1]


@mistake_of("combine")
def combine__adds_the_summands(left, right):
    return left[0] * right[0], left[1] + right[1]


@mistake_of("combine")
def combine__multiplies_both_summands(left, right):
    return left[0] * right[0], right[0] * (left[1] + right[1])


@mistake_of("combine")
def combine__takes_the_left_factor(left, right):
    return left[0] * right[0], left[0] * left[1] + right[1]


@mistake_of("combine")
def combine__multiplies_by_both_factors(left, right):
    return left[0] * right[0], left[0] * right[0] * left[1] + right[1]


@mistake_of("combine")
def combine__loses_the_right_summand(left, right):
    return left[0] * right[0], right[0] * left[1]


@mistake_of("combine")
def combine__adds_the_factors(left, right):
    return left[0] + right[0], right[0] * left[1] + right[1]


@mistake_of("combine")
def combine__keeps_the_right_factor(left, right):
    return right[0], right[0] * left[1] + right[1]


@mistake_of("combine")
def combine__keeps_the_left_factor(left, right):
    return left[0], right[0] * left[1] + right[1]


@mistake_of("combine")
def combine__returns_the_summand_first(left, right):
    return right[0] * left[1] + right[1], left[0] * right[0]


@mistake_of("combine")
def combine__writes_into_left(left, right):
    (a, b), (c, d) = left, right
    a *= c
    b *= c
    b += d
    return a, b


# parallel_scan


@mistake_of("parallel_scan")
def parallel_scan__combines_step_by_step(a, b, h0, combine):
    pairs = [(a[0], b[0])]
    for t in range(1, len(b)):
        pairs.append(combine(pairs[-1], (a[t], b[t])))
    return np.stack([factor * h0 + summand for factor, summand in pairs])


@mistake_of("parallel_scan")
def parallel_scan__does_not_use_combine(a, b, h0, combine):
    return linear_recurrence(a, b, h0)


def _scan(a, b, combine, rounds=None):
    """All compositions from the first step on: (a, b), or those after so many rounds."""
    reach, done = 1, 0
    while reach < len(b) and done != rounds:
        new = combine((a[:-reach], b[:-reach]), (a[reach:], b[reach:]))
        a, b = (np.concatenate([old[:reach], late]) for old, late in zip((a, b), new, strict=True))
        reach, done = 2 * reach, done + 1
    return a, b


@mistake_of("parallel_scan")
def parallel_scan__exchanges_left_and_right(a, b, h0, combine):
    reach = 1
    while reach < len(b):
        late = combine((a[reach:], b[reach:]), (a[:-reach], b[:-reach]))
        a, b = np.concatenate([a[:reach], late[0]]), np.concatenate([b[:reach], late[1]])
        reach *= 2
    return a * h0 + b


@mistake_of("parallel_scan")
def parallel_scan__forgets_h0(a, b, h0, combine):
    return _scan(a, b, combine)[1]


@mistake_of("parallel_scan")
def parallel_scan__adds_h0_to_every_state(a, b, h0, combine):
    return _scan(a, b, combine)[1] + h0


@mistake_of("parallel_scan")
def parallel_scan__adds_h0_to_the_first_summand(a, b, h0, combine):
    return _scan(a, np.concatenate([b[:1] + h0, b[1:]]), combine)[1]


@mistake_of("parallel_scan")
def parallel_scan__multiplies_h0_by_its_own_factor_only(a, b, h0, combine):
    return _scan(a, b, combine)[1] + a * h0


@mistake_of("parallel_scan")
def parallel_scan__scans_the_summands_only(a, b, h0, combine):
    reach = 1
    while reach < len(b):
        _, new = combine((a[:-reach], b[:-reach]), (a[reach:], b[reach:]))
        b = np.concatenate([b[:reach], new])
        reach *= 2
    return a * h0 + b


@mistake_of("parallel_scan")
def parallel_scan__stops_one_round_early(a, b, h0, combine):
    rounds = max(0, int(np.ceil(np.log2(len(b)))) - 1)
    factor, summand = _scan(a, b, combine, rounds)
    return factor * h0 + summand


@mistake_of("parallel_scan")
def parallel_scan__rounds_the_logarithm_down(a, b, h0, combine):
    factor, summand = _scan(a, b, combine, int(np.log2(len(b))))
    return factor * h0 + summand


@mistake_of("parallel_scan")
def parallel_scan__wraps_around(a, b, h0, combine):
    reach = 1
    while reach < len(b):
        a, b = combine((np.roll(a, reach, axis=0), np.roll(b, reach, axis=0)), (a, b))
        reach *= 2
    return a * h0 + b


@mistake_of("parallel_scan")
def parallel_scan__drops_the_finished_pairs(a, b, h0, combine):
    reach = 1
    while reach < len(b):
        a, b = combine((a[:-reach], b[:-reach]), (a[reach:], b[reach:]))
        reach *= 2
    return a * h0 + b


@mistake_of("parallel_scan")
def parallel_scan__returns_h0_too(a, b, h0, combine):
    factor, summand = _scan(a, b, combine)
    return np.concatenate([h0[None], factor * h0 + summand])


@mistake_of("parallel_scan")
def parallel_scan__returns_the_pair(a, b, h0, combine):
    return _scan(a, b, combine)


@mistake_of("parallel_scan")
def parallel_scan__writes_into_a_and_b(a, b, h0, combine):
    reach = 1
    while reach < len(b):
        a[reach:], b[reach:] = combine((a[:-reach], b[:-reach]), (a[reach:], b[reach:]))
        reach *= 2
    return a * h0 + b


# min_gru_step


def _gate_and_candidate(x, W_z, b_z, W_h, b_h):
    return sigmoid(x @ W_z.T + b_z), x @ W_h.T + b_h


def _positive(candidate):
    return np.where(candidate >= 0, candidate + 0.5, sigmoid(candidate))


@mistake_of("min_gru_step")
def min_gru_step__flips_the_gate(x, h, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return z * h + (1 - z) * candidate


@mistake_of("min_gru_step")
def min_gru_step__squashes_the_candidate(x, h, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return (1 - z) * h + z * np.tanh(candidate)


@mistake_of("min_gru_step")
def min_gru_step__squashes_the_state(x, h, W_z, b_z, W_h, b_h):
    return np.tanh(min_gru_step(x, h, W_z, b_z, W_h, b_h))


@mistake_of("min_gru_step")
def min_gru_step__makes_the_candidate_positive(x, h, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return (1 - z) * h + z * _positive(candidate)


@mistake_of("min_gru_step")
def min_gru_step__forgets_the_sigmoid(x, h, W_z, b_z, W_h, b_h):
    z = x @ W_z.T + b_z
    return (1 - z) * h + z * (x @ W_h.T + b_h)


@mistake_of("min_gru_step")
def min_gru_step__takes_tanh_for_the_gate(x, h, W_z, b_z, W_h, b_h):
    z = np.tanh(x @ W_z.T + b_z)
    return (1 - z) * h + z * (x @ W_h.T + b_h)


@mistake_of("min_gru_step")
def min_gru_step__exchanges_gate_and_candidate(x, h, W_z, b_z, W_h, b_h):
    return min_gru_step(x, h, W_h, b_h, W_z, b_z)


@mistake_of("min_gru_step")
def min_gru_step__forgets_b_z(x, h, W_z, b_z, W_h, b_h):
    return min_gru_step(x, h, W_z, 0, W_h, b_h)


@mistake_of("min_gru_step")
def min_gru_step__forgets_b_h(x, h, W_z, b_z, W_h, b_h):
    return min_gru_step(x, h, W_z, b_z, W_h, 0)


@mistake_of("min_gru_step")
def min_gru_step__adds_the_candidate_whole(x, h, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return (1 - z) * h + candidate


@mistake_of("min_gru_step")
def min_gru_step__keeps_the_state_whole(x, h, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return h + z * candidate


@mistake_of("min_gru_step")
def min_gru_step__writes_into_h(x, h, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    h *= 1 - z
    h += z * candidate
    return h


# min_gru_parallel


def _join(left, right):
    return right[0] * left[0], right[0] * left[1] + right[1]


def _states(a, b, h0, rounds=None):
    factor, summand = _scan(a, b, _join, rounds)
    return factor * h0 + summand


@mistake_of("min_gru_parallel")
def min_gru_parallel__goes_step_by_step(x, h0, W_z, b_z, W_h, b_h):
    h, hs = h0, []
    for x_t in x:
        h = min_gru_step(x_t, h, W_z, b_z, W_h, b_h)
        hs.append(h)
    return np.stack(hs)


@mistake_of("min_gru_parallel")
def min_gru_parallel__divides_by_the_product_of_the_factors(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    product = np.cumprod(1 - z, axis=0)
    return product * (h0 + np.cumsum(z * candidate / product, axis=0))


@mistake_of("min_gru_parallel")
def min_gru_parallel__guards_the_division(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    product = np.cumprod(1 - z, axis=0)
    return product * (h0 + np.cumsum(z * candidate / np.maximum(product, 1e-12), axis=0))


@mistake_of("min_gru_parallel")
def min_gru_parallel__takes_logarithms_of_negative_numbers(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    past = np.cumsum(np.log(1 - z), axis=0)
    inputs = np.logaddexp.accumulate(np.log(z) + np.log(candidate) - past, axis=0)
    return np.exp(past) * h0 + np.exp(past + inputs)


@mistake_of("min_gru_parallel")
def min_gru_parallel__flips_the_gate(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return _states(z, (1 - z) * candidate, h0)


@mistake_of("min_gru_parallel")
def min_gru_parallel__squashes_the_candidate(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return _states(1 - z, z * np.tanh(candidate), h0)


@mistake_of("min_gru_parallel")
def min_gru_parallel__makes_the_candidate_positive(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return _states(1 - z, z * _positive(candidate), h0)


@mistake_of("min_gru_parallel")
def min_gru_parallel__adds_the_candidate_whole(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return _states(1 - z, candidate, h0)


@mistake_of("min_gru_parallel")
def min_gru_parallel__forgets_h0(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return _states(1 - z, z * candidate, np.zeros_like(h0))


@mistake_of("min_gru_parallel")
def min_gru_parallel__adds_up_without_forgetting(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return np.cumprod(1 - z, axis=0) * h0 + np.cumsum(z * candidate, axis=0)


@mistake_of("min_gru_parallel")
def min_gru_parallel__adds_h0_to_every_state(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return _states(1 - z, z * candidate, np.zeros_like(h0)) + h0


@mistake_of("min_gru_parallel")
def min_gru_parallel__combines_the_later_step_first(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    factor, summand = _scan(1 - z, z * candidate, lambda left, right: _join(right, left))
    return factor * h0 + summand


@mistake_of("min_gru_parallel")
def min_gru_parallel__rounds_the_logarithm_down(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return _states(1 - z, z * candidate, h0, rounds=int(np.log2(len(x))))


@mistake_of("min_gru_parallel")
def min_gru_parallel__returns_h0_too(x, h0, W_z, b_z, W_h, b_h):
    z, candidate = _gate_and_candidate(x, W_z, b_z, W_h, b_h)
    return np.concatenate([h0[None], _states(1 - z, z * candidate, h0)])


# decoding_memory


@mistake_of("decoding_memory")
def decoding_memory__keeps_one_vector_a_token(kind, layers, width, n, bytes_per_number):
    vectors = {"gru": 1, "lstm": 2, "attention": n}[kind]
    return layers * vectors * width * bytes_per_number


@mistake_of("decoding_memory")
def decoding_memory__keeps_queries_too(kind, layers, width, n, bytes_per_number):
    vectors = {"gru": 1, "lstm": 2, "attention": 3 * n}[kind]
    return layers * vectors * width * bytes_per_number


@mistake_of("decoding_memory")
def decoding_memory__keeps_the_weights_of_all_pairs(kind, layers, width, n, bytes_per_number):
    weights = layers * n * n * bytes_per_number if kind == "attention" else 0
    return decoding_memory(kind, layers, width, n, bytes_per_number) + weights


@mistake_of("decoding_memory")
def decoding_memory__lets_the_past_not_grow(kind, layers, width, n, bytes_per_number):
    return decoding_memory(kind, layers, width, 1, bytes_per_number)


@mistake_of("decoding_memory")
def decoding_memory__lets_recurrent_states_grow(kind, layers, width, n, bytes_per_number):
    vectors = {"gru": n, "lstm": 2 * n, "attention": 2 * n}[kind]
    return layers * vectors * width * bytes_per_number


@mistake_of("decoding_memory")
def decoding_memory__counts_one_vector_for_an_lstm(kind, layers, width, n, bytes_per_number):
    vectors = {"gru": 1, "lstm": 1, "attention": 2 * n}[kind]
    return layers * vectors * width * bytes_per_number


@mistake_of("decoding_memory")
def decoding_memory__counts_the_gates(kind, layers, width, n, bytes_per_number):
    vectors = {"gru": 3, "lstm": 4, "attention": 2 * n}[kind]
    return layers * vectors * width * bytes_per_number


@mistake_of("decoding_memory")
def decoding_memory__counts_one_layer(kind, layers, width, n, bytes_per_number):
    return decoding_memory(kind, 1, width, n, bytes_per_number)


@mistake_of("decoding_memory")
def decoding_memory__counts_numbers(kind, layers, width, n, bytes_per_number):
    return decoding_memory(kind, layers, width, n, 1)


@mistake_of("decoding_memory")
def decoding_memory__counts_bits(kind, layers, width, n, bytes_per_number):
    return decoding_memory(kind, layers, width, n, 8 * bytes_per_number)


@mistake_of("decoding_memory")
def decoding_memory__returns_a_float(kind, layers, width, n, bytes_per_number):
    return float(decoding_memory(kind, layers, width, n, bytes_per_number))
