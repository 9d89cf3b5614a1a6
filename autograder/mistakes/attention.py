"""Chapter 10: how weights over the past go wrong, those of gates and those of attention."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.attention import (
    additive_scores,
    alignment_entropy,
    attention_backward,
    attention_decoder_step,
    context_vector,
    dot_product_attention,
    masked_softmax,
    max_path_length,
    sequential_operations,
    unrolled_cell_weights,
    unrolled_gru_weights,
)
from autograder.reference.gru import gru_step
from autograder.reference.vanilla_rnn import sigmoid


def _later(gates, axis=0):
    """For each step the product of the gates of all steps after it; 1 for the last."""
    gates = np.moveaxis(gates, axis, 0)
    running = np.cumprod(gates[::-1], axis=0)[::-1]
    return np.moveaxis(np.concatenate([running[1:], np.ones_like(gates[:1])]), 0, axis)


def _earlier(gates):
    """For each step the product of the gates of all steps before it; 1 for the first."""
    return np.concatenate([np.ones_like(gates[:1]), np.cumprod(gates, axis=0)[:-1]])


def _next(gates):
    """For each step the gate of the next one; 1 for the last."""
    return np.concatenate([gates[1:], np.ones_like(gates[:1])])


def _divided_by_its_own(gates):
    """The later gates as the product that begins with the step's own gate, divided by that gate."""
    with np.errstate(all="ignore"):
        return np.cumprod(gates[::-1], axis=0)[::-1] / gates


def _divided(gates):
    """The later gates as the product of all, divided by the product of the first ones."""
    with np.errstate(all="ignore"):
        return gates.prod(axis=0) / np.cumprod(gates, axis=0)


# unrolled_cell_weights


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__lets_its_own_forget_gate_act(f, i):
    return i * np.cumprod(f[::-1], axis=0)[::-1]


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__takes_the_forget_gates_one_step_early(f, i):
    moved = np.concatenate([np.ones_like(f[:1]), f[:-1]])
    return i * _later(moved)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__leaves_out_the_input_gate(f, i):
    return _later(f)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__takes_one_minus_f_for_the_input_gate(f, i):
    return (1 - f) * _later(f)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__exchanges_f_and_i(f, i):
    return unrolled_cell_weights(i, f)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__multiplies_from_the_start(f, i):
    return i * np.cumprod(f, axis=0)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__turns_round_after_the_product(f, i):
    return i * _earlier(f)[::-1]


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__takes_the_next_forget_gate_only(f, i):
    return i * _next(f)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__makes_the_weights_sum_to_one(f, i):
    weights = unrolled_cell_weights(f, i)
    with np.errstate(all="ignore"):
        return weights / weights.sum(axis=0)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__puts_the_weight_of_c_0_in_front(f, i):
    return np.concatenate([f.prod(axis=0)[None], unrolled_cell_weights(f, i)])


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__orders_by_lag(f, i):
    return unrolled_cell_weights(f, i)[::-1]


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__runs_along_the_batch(f, i):
    return i * _later(f, axis=1)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__divides_by_its_own_gate(f, i):
    return i * _divided_by_its_own(f)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__divides_products(f, i):
    return i * _divided(f)


@mistake_of("unrolled_cell_weights")
def unrolled_cell_weights__writes_into_f(f, i):
    weights, kept = np.empty_like(i), np.ones_like(f[0])
    for t in range(len(f) - 1, -1, -1):
        weights[t] = i[t] * kept
        if t > 0:
            f[t] *= kept
            kept = f[t]
    return weights


# unrolled_gru_weights


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__takes_z_for_the_share_of_the_new(z):
    return unrolled_gru_weights(1 - z)


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__leaves_out_the_share_of_the_candidate(z):
    return np.concatenate([z.prod(axis=0)[None], _later(z)])


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__lets_its_own_gate_act_on_the_candidate(z):
    return np.concatenate([z.prod(axis=0)[None], (1 - z) * z * _later(z)])


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__multiplies_from_the_start(z):
    return np.concatenate([z.prod(axis=0)[None], (1 - z) * _earlier(z)])


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__takes_the_next_gate_only(z):
    return np.concatenate([z.prod(axis=0)[None], (1 - z) * _next(z)])


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__leaves_the_first_gate_out_for_h_0(z):
    weights = unrolled_gru_weights(z)
    weights[0] = z[1:].prod(axis=0)
    return weights


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__gives_h_0_one_minus_the_first_gate(z):
    weights = unrolled_gru_weights(z)
    weights[0] = weights[1]
    return weights


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__leaves_h_0_out(z):
    return unrolled_gru_weights(z)[1:]


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__puts_h_0_last(z):
    return np.roll(unrolled_gru_weights(z), -1, axis=0)


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__orders_by_lag(z):
    return unrolled_gru_weights(z)[::-1]


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__divides_by_its_own_gate(z):
    return np.concatenate([z.prod(axis=0)[None], (1 - z) * _divided_by_its_own(z)])


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__divides_products(z):
    return np.concatenate([z.prod(axis=0)[None], (1 - z) * _divided(z)])


@mistake_of("unrolled_gru_weights")
def unrolled_gru_weights__writes_into_z(z):
    own = 1 - z
    for t in range(len(z) - 2, -1, -1):
        z[t] *= z[t + 1]
    later = np.concatenate([z[1:], np.ones_like(z[:1])])
    return np.concatenate([z[:1], own * later])


# additive_scores


@mistake_of("additive_scores")
def additive_scores__leaves_out_the_tanh(query, keys, W_q, W_k, v):
    return (query @ W_q.T + keys @ W_k.T) @ v


@mistake_of("additive_scores")
def additive_scores__puts_a_sigmoid_for_the_tanh(query, keys, W_q, W_k, v):
    return sigmoid(query @ W_q.T + keys @ W_k.T) @ v


@mistake_of("additive_scores")
def additive_scores__takes_the_tanh_of_each_part(query, keys, W_q, W_k, v):
    return (np.tanh(query @ W_q.T) + np.tanh(keys @ W_k.T)) @ v


@mistake_of("additive_scores")
def additive_scores__takes_the_tanh_last(query, keys, W_q, W_k, v):
    return np.tanh((query @ W_q.T + keys @ W_k.T) @ v)


@mistake_of("additive_scores")
def additive_scores__leaves_out_v(query, keys, W_q, W_k, v):
    return np.tanh(query @ W_q.T + keys @ W_k.T).sum(axis=-1)


@mistake_of("additive_scores")
def additive_scores__averages_over_the_units(query, keys, W_q, W_k, v):
    return additive_scores(query, keys, W_q, W_k, v) / len(v)


@mistake_of("additive_scores")
def additive_scores__divides_by_the_root_of_A(query, keys, W_q, W_k, v):
    return additive_scores(query, keys, W_q, W_k, v) / np.sqrt(len(v))


@mistake_of("additive_scores")
def additive_scores__multiplies_query_and_key(query, keys, W_q, W_k, v):
    return np.tanh((query @ W_q.T) * (keys @ W_k.T)) @ v


@mistake_of("additive_scores")
def additive_scores__ignores_the_query(query, keys, W_q, W_k, v):
    return np.tanh(keys @ W_k.T) @ v


@mistake_of("additive_scores")
def additive_scores__applies_the_softmax_too(query, keys, W_q, W_k, v):
    weights = np.exp(additive_scores(query, keys, W_q, W_k, v))
    return weights / weights.sum(axis=0)


@mistake_of("additive_scores")
def additive_scores__returns_the_batch_first(query, keys, W_q, W_k, v):
    return additive_scores(query, keys, W_q, W_k, v).T


@mistake_of("additive_scores")
def additive_scores__pairs_queries_with_positions(query, keys, W_q, W_k, v):
    return np.tanh((query @ W_q.T)[:, None] + keys @ W_k.T) @ v


@mistake_of("additive_scores")
def additive_scores__asks_with_the_first_query_everywhere(query, keys, W_q, W_k, v):
    return additive_scores(query[:1], keys, W_q, W_k, v)


@mistake_of("additive_scores")
def additive_scores__exchanges_the_two_matrices(query, keys, W_q, W_k, v):
    return additive_scores(query, keys, W_k, W_q, v)


@mistake_of("additive_scores")
def additive_scores__does_not_transpose_the_matrices(query, keys, W_q, W_k, v):
    return np.tanh(query @ W_q + keys @ W_k) @ v


# masked_softmax


@mistake_of("masked_softmax")
def masked_softmax__ignores_the_mask(scores, mask):
    return masked_softmax(scores, np.ones_like(mask))


@mistake_of("masked_softmax")
def masked_softmax__masks_what_is_real(scores, mask):
    return masked_softmax(scores, ~mask)


@mistake_of("masked_softmax")
def masked_softmax__masks_after_the_softmax(scores, mask):
    return masked_softmax(scores, np.ones_like(mask)) * mask


def _filled(scores, mask, value):
    """A softmax over all positions, of which the masked ones have this score."""
    held = np.where(mask, scores, value)
    weights = np.exp(held - held.max(axis=0))
    return weights / weights.sum(axis=0)


@mistake_of("masked_softmax")
def masked_softmax__gives_masked_positions_a_score_of_0(scores, mask):
    return _filled(scores, mask, 0.0)


@mistake_of("masked_softmax")
def masked_softmax__fills_with_minus_30(scores, mask):
    return _filled(scores, mask, -30.0)


@mistake_of("masked_softmax")
def masked_softmax__fills_with_minus_1e4(scores, mask):
    return _filled(scores, mask, -1e4)


@mistake_of("masked_softmax")
def masked_softmax__spreads_an_empty_column_evenly(scores, mask):
    return _filled(scores, mask, -1e9)


@mistake_of("masked_softmax")
def masked_softmax__adds_minus_1e9(scores, mask):
    held = scores + ~mask * -1e9
    weights = np.exp(held - held.max(axis=0))
    return weights / weights.sum(axis=0)


@mistake_of("masked_softmax")
def masked_softmax__gives_nan_for_an_empty_column(scores, mask):
    with np.errstate(all="ignore"):
        return _filled(scores, mask, -np.inf)


@mistake_of("masked_softmax")
def masked_softmax__overflows(scores, mask):
    with np.errstate(all="ignore"):
        weights = np.where(mask, np.exp(scores), 0.0)
        return weights / weights.sum(axis=0)


@mistake_of("masked_softmax")
def masked_softmax__subtracts_a_masked_maximum(scores, mask):
    with np.errstate(all="ignore"):
        weights = np.exp(scores - scores.max(axis=0)) * mask
        return weights / weights.sum(axis=0)


@mistake_of("masked_softmax")
def masked_softmax__subtracts_a_masked_maximum_and_guards_the_sum(scores, mask):
    weights = np.exp(scores - scores.max(axis=0)) * mask
    total = weights.sum(axis=0)
    return weights / np.where(total > 0, total, 1.0)


@mistake_of("masked_softmax")
def masked_softmax__subtracts_one_maximum_for_all_columns(scores, mask):
    with np.errstate(all="ignore"):
        held = np.where(mask, scores, -np.inf)
        weights = np.exp(held - held.max())
        return weights / weights.sum(axis=0)


@mistake_of("masked_softmax")
def masked_softmax__normalises_along_the_batch(scores, mask):
    return masked_softmax(scores.T, mask.T).T


@mistake_of("masked_softmax")
def masked_softmax__normalises_over_everything(scores, mask):
    return masked_softmax(scores.reshape(-1, 1), mask.reshape(-1, 1)).reshape(scores.shape)


@mistake_of("masked_softmax")
def masked_softmax__adds_1e_8_to_the_sum(scores, mask):
    held = np.where(mask, scores, -1e9)
    weights = np.exp(held - held.max(axis=0)) * mask
    return weights / (weights.sum(axis=0) + 1e-8)


@mistake_of("masked_softmax")
def masked_softmax__writes_into_the_scores(scores, mask):
    scores[~mask] = -1e9
    scores -= scores.max(axis=0)
    return masked_softmax(scores, mask)


# context_vector


@mistake_of("context_vector")
def context_vector__does_not_sum(weights, values):
    return weights[..., None] * values


@mistake_of("context_vector")
def context_vector__divides_by_the_number_of_positions(weights, values):
    return (weights[..., None] * values).mean(axis=0)


@mistake_of("context_vector")
def context_vector__ignores_the_weights(weights, values):
    return values.mean(axis=0)


@mistake_of("context_vector")
def context_vector__sums_over_the_batch(weights, values):
    return (weights[..., None] * values).sum(axis=1)


@mistake_of("context_vector")
def context_vector__takes_the_heaviest_position_alone(weights, values):
    return values[weights.argmax(axis=0), np.arange(weights.shape[1])]


@mistake_of("context_vector")
def context_vector__applies_the_softmax_once_more(weights, values):
    again = np.exp(weights) / np.exp(weights).sum(axis=0)
    return context_vector(again, values)


@mistake_of("context_vector")
def context_vector__divides_by_the_sum_of_the_weights(weights, values):
    with np.errstate(all="ignore"):
        return context_vector(weights, values) / weights.sum(axis=0)[:, None]


@mistake_of("context_vector")
def context_vector__pairs_every_weight_with_every_sequence(weights, values):
    return np.tensordot(weights, values, axes=(0, 0))


@mistake_of("context_vector")
def context_vector__sums_over_the_features(weights, values):
    return (weights[..., None] * values).sum(axis=-1)


@mistake_of("context_vector")
def context_vector__writes_into_the_values(weights, values):
    values *= weights[..., None]
    return values.sum(axis=0)


# attention_backward


def _weight_gradients(dcontext, values):
    return (dcontext * values).sum(axis=-1)


@mistake_of("attention_backward")
def attention_backward__stops_at_the_weights(dcontext, weights, values):
    return _weight_gradients(dcontext, values), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__multiplies_by_the_weights_alone(dcontext, weights, values):
    return weights * _weight_gradients(dcontext, values), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__takes_the_diagonal_of_the_softmax(dcontext, weights, values):
    slope = weights * (1 - weights)
    return slope * _weight_gradients(dcontext, values), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__subtracts_the_plain_mean(dcontext, weights, values):
    dw = _weight_gradients(dcontext, values)
    return weights * (dw - dw.mean(axis=0)), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__subtracts_the_plain_sum(dcontext, weights, values):
    dw = _weight_gradients(dcontext, values)
    return weights * (dw - dw.sum(axis=0)), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__does_not_weigh_what_is_subtracted(dcontext, weights, values):
    weighed = weights * _weight_gradients(dcontext, values)
    return weighed - weighed.sum(axis=0), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__takes_the_mean_over_the_batch(dcontext, weights, values):
    dw = _weight_gradients(dcontext, values)
    mean = (weights * dw).sum(axis=1, keepdims=True)
    return weights * (dw - mean), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__takes_the_mean_over_everything(dcontext, weights, values):
    dw = _weight_gradients(dcontext, values)
    return weights * (dw - (weights * dw).sum()), weights[..., None] * dcontext


@mistake_of("attention_backward")
def attention_backward__gives_dscores_the_other_sign(dcontext, weights, values):
    dscores, dvalues = attention_backward(dcontext, weights, values)
    return -dscores, dvalues


@mistake_of("attention_backward")
def attention_backward__forgets_the_weights_in_dvalues(dcontext, weights, values):
    dscores, _ = attention_backward(dcontext, weights, values)
    return dscores, np.repeat(dcontext[None], len(values), axis=0)


@mistake_of("attention_backward")
def attention_backward__makes_dvalues_of_the_values(dcontext, weights, values):
    dscores, _ = attention_backward(dcontext, weights, values)
    return dscores, weights[..., None] * values


@mistake_of("attention_backward")
def attention_backward__sums_dvalues_over_the_positions(dcontext, weights, values):
    dscores, dvalues = attention_backward(dcontext, weights, values)
    return dscores, dvalues.sum(axis=0)


@mistake_of("attention_backward")
def attention_backward__averages_over_the_batch(dcontext, weights, values):
    return attention_backward(dcontext / len(dcontext), weights, values)


@mistake_of("attention_backward")
def attention_backward__divides_by_the_weights(dcontext, weights, values):
    dscores, dvalues = attention_backward(dcontext, weights, values)
    with np.errstate(all="ignore"):
        return dscores / weights * weights, dvalues


@mistake_of("attention_backward")
def attention_backward__returns_dvalues_first(dcontext, weights, values):
    return attention_backward(dcontext, weights, values)[::-1]


@mistake_of("attention_backward")
def attention_backward__writes_into_the_weights(dcontext, weights, values):
    dscores, dvalues = attention_backward(dcontext, weights, values)
    weights *= _weight_gradients(dcontext, values)
    return dscores, dvalues


# attention_decoder_step


def _look(h, keys, mask, params):
    scores = additive_scores(h, keys, params["W_q"], params["W_k"], params["v"])
    return masked_softmax(scores, mask)


def _read(y, context, h, params):
    x = np.concatenate([y, context], axis=1)
    return gru_step(x, h, params["W_x"], params["W_h"], params["b_x"], params["b_h"])


def _with_weights(y, h, keys, weights, params):
    return _read(y, context_vector(weights, keys), h, params), weights


@mistake_of("attention_decoder_step")
def attention_decoder_step__puts_the_context_first(y, h, keys, mask, params):
    weights = _look(h, keys, mask, params)
    return _read(context_vector(weights, keys), y, h, params), weights


@mistake_of("attention_decoder_step")
def attention_decoder_step__leaves_the_context_out(y, h, keys, mask, params):
    weights = _look(h, keys, mask, params)
    return _read(y, 0 * context_vector(weights, keys), h, params), weights


@mistake_of("attention_decoder_step")
def attention_decoder_step__reads_the_mean_of_the_keys(y, h, keys, mask, params):
    mean = (keys * mask[..., None]).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)[:, None]
    return _read(y, mean, h, params), _look(h, keys, mask, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__reads_the_likeliest_key_alone(y, h, keys, mask, params):
    weights = _look(h, keys, mask, params)
    chosen = np.eye(len(keys))[weights.argmax(axis=0)].T * mask
    return _read(y, context_vector(chosen, keys), h, params), weights


@mistake_of("attention_decoder_step")
def attention_decoder_step__reads_the_context_of_all_positions(y, h, keys, mask, params):
    everywhere = _look(h, keys, np.ones_like(mask), params)
    h_next, _ = _with_weights(y, h, keys, everywhere, params)
    return h_next, _look(h, keys, mask, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__ignores_the_mask(y, h, keys, mask, params):
    return attention_decoder_step(y, h, keys, np.ones_like(mask), params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__masks_what_is_real(y, h, keys, mask, params):
    return attention_decoder_step(y, h, keys, ~mask, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__masks_after_the_softmax(y, h, keys, mask, params):
    weights = _look(h, keys, np.ones_like(mask), params) * mask
    return _with_weights(y, h, keys, weights, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__spreads_an_empty_column_evenly(y, h, keys, mask, params):
    weights = _look(h, keys, mask, params)
    weights = np.where(mask.any(axis=0), weights, 1 / len(mask))
    return _with_weights(y, h, keys, weights, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__gives_nan_for_an_empty_column(y, h, keys, mask, params):
    weights = np.where(mask.any(axis=0), _look(h, keys, mask, params), np.nan)
    with np.errstate(all="ignore"):
        return _with_weights(y, h, keys, weights, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__leaves_the_state_where_nothing_is_real(y, h, keys, mask, params):
    h_next, weights = attention_decoder_step(y, h, keys, mask, params)
    return np.where(mask.any(axis=0)[:, None], h_next, h), weights


@mistake_of("attention_decoder_step")
def attention_decoder_step__returns_the_scores(y, h, keys, mask, params):
    h_next, _ = attention_decoder_step(y, h, keys, mask, params)
    return h_next, additive_scores(h, keys, params["W_q"], params["W_k"], params["v"])


@mistake_of("attention_decoder_step")
def attention_decoder_step__returns_the_context(y, h, keys, mask, params):
    h_next, weights = attention_decoder_step(y, h, keys, mask, params)
    return h_next, context_vector(weights, keys)


@mistake_of("attention_decoder_step")
def attention_decoder_step__returns_the_weights_first(y, h, keys, mask, params):
    return attention_decoder_step(y, h, keys, mask, params)[::-1]


@mistake_of("attention_decoder_step")
def attention_decoder_step__looks_with_the_new_state(y, h, keys, mask, params):
    h_next, _ = attention_decoder_step(y, h, keys, mask, params)
    return h_next, _look(h_next, keys, mask, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__leaves_out_the_tanh(y, h, keys, mask, params):
    scores = (h @ params["W_q"].T + keys @ params["W_k"].T) @ params["v"]
    return _with_weights(y, h, keys, masked_softmax(scores, mask), params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__starts_the_GRU_from_zero(y, h, keys, mask, params):
    weights = _look(h, keys, mask, params)
    return _read(y, context_vector(weights, keys), 0 * h, params), weights


def _with_gates(params, order, signs):
    """The parameters with the GRU's blocks in this order and with these signs."""
    blocks = np.concatenate([np.split(np.arange(len(params["b_x"])), 3)[k] for k in order])
    sign = np.repeat(np.array(signs), len(blocks) // 3)
    changed = dict(params)
    for name in ("W_x", "W_h"):
        changed[name] = params[name][blocks] * sign[:, None]
    for name in ("b_x", "b_h"):
        changed[name] = params[name][blocks] * sign
    return changed


@mistake_of("attention_decoder_step")
def attention_decoder_step__flips_the_update_gate(y, h, keys, mask, params):
    return attention_decoder_step(
        y, h, keys, mask, _with_gates(params, (0, 1, 2), (1.0, -1.0, 1.0))
    )


@mistake_of("attention_decoder_step")
def attention_decoder_step__stacks_the_gates_z_r_n(y, h, keys, mask, params):
    return attention_decoder_step(y, h, keys, mask, _with_gates(params, (1, 0, 2), (1.0, 1.0, 1.0)))


def _own_gru(y, h, keys, mask, params, before):
    """The step with its GRU spelled out; `before`: the reset gate comes before the product."""
    weights = _look(h, keys, mask, params)
    x = np.concatenate([y, context_vector(weights, keys)], axis=1)
    W_hn, b_hn = np.split(params["W_h"], 3)[2], np.split(params["b_h"], 3)[2]
    x_r, x_z, x_n = np.split(x @ params["W_x"].T + params["b_x"], 3, axis=1)
    h_r, h_z, h_n = np.split(h @ params["W_h"].T + params["b_h"], 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + ((r * h) @ W_hn.T + b_hn if before else r * (h_n - b_hn) + b_hn))
    return (1 - z) * n + z * h, weights


@mistake_of("attention_decoder_step")
def attention_decoder_step__resets_before_the_product(y, h, keys, mask, params):
    return _own_gru(y, h, keys, mask, params, before=True)


@mistake_of("attention_decoder_step")
def attention_decoder_step__leaves_b_hn_outside_the_reset(y, h, keys, mask, params):
    return _own_gru(y, h, keys, mask, params, before=False)


@mistake_of("attention_decoder_step")
def attention_decoder_step__resets_the_input_too(y, h, keys, mask, params):
    weights = _look(h, keys, mask, params)
    x = np.concatenate([y, context_vector(weights, keys)], axis=1)
    x_r, x_z, x_n = np.split(x @ params["W_x"].T + params["b_x"], 3, axis=1)
    h_r, h_z, h_n = np.split(h @ params["W_h"].T + params["b_h"], 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return (1 - z) * np.tanh(r * (x_n + h_n)) + z * h, weights


@mistake_of("attention_decoder_step")
def attention_decoder_step__leaves_out_the_biases(y, h, keys, mask, params):
    without = {name: value * (not name.startswith("b_")) for name, value in params.items()}
    return attention_decoder_step(y, h, keys, mask, without)


@mistake_of("attention_decoder_step")
def attention_decoder_step__takes_the_scores_for_weights(y, h, keys, mask, params):
    scores = additive_scores(h, keys, params["W_q"], params["W_k"], params["v"])
    return _with_weights(y, h, keys, scores * mask, params)


@mistake_of("attention_decoder_step")
def attention_decoder_step__takes_entries_out_of_params(y, h, keys, mask, params):
    v = params.pop("v")
    return attention_decoder_step(y, h, keys, mask, {**params, "v": v})


# dot_product_attention


def _attend(Q, K, V, mask, scale):
    """Attention with another scale, by which the scores are multiplied."""
    return dot_product_attention(Q * (scale * np.sqrt(Q.shape[-1])), K, V, mask)


@mistake_of("dot_product_attention")
def dot_product_attention__leaves_the_scores_unscaled(Q, K, V, mask=None):
    return _attend(Q, K, V, mask, 1.0)


@mistake_of("dot_product_attention")
def dot_product_attention__divides_by_d(Q, K, V, mask=None):
    return _attend(Q, K, V, mask, 1 / Q.shape[-1])


@mistake_of("dot_product_attention")
def dot_product_attention__multiplies_by_the_root_of_d(Q, K, V, mask=None):
    return _attend(Q, K, V, mask, np.sqrt(Q.shape[-1]))


@mistake_of("dot_product_attention")
def dot_product_attention__scales_by_the_number_of_keys(Q, K, V, mask=None):
    return _attend(Q, K, V, mask, 1 / np.sqrt(K.shape[1]))


@mistake_of("dot_product_attention")
def dot_product_attention__scales_by_the_size_of_the_values(Q, K, V, mask=None):
    return _attend(Q, K, V, mask, 1 / np.sqrt(V.shape[-1]))


@mistake_of("dot_product_attention")
def dot_product_attention__scales_after_the_softmax(Q, K, V, mask=None):
    return _attend(Q, K, V, mask, 1.0) / np.sqrt(Q.shape[-1])


def _scores_and_mask(Q, K, mask):
    scores = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[-1])
    return scores, np.ones(scores.shape, dtype=bool) if mask is None else mask


def _over(scores, mask, axis):
    """A masked softmax along this axis."""
    moved = masked_softmax(np.moveaxis(scores, axis, 0), np.moveaxis(mask, axis, 0))
    return np.moveaxis(moved, 0, axis)


@mistake_of("dot_product_attention")
def dot_product_attention__reshapes_the_keys(Q, K, V, mask=None):
    turned = K.reshape(K.shape[0], K.shape[2], K.shape[1])
    return dot_product_attention(Q, turned.swapaxes(1, 2), V, mask)


@mistake_of("dot_product_attention")
def dot_product_attention__normalises_over_the_queries(Q, K, V, mask=None):
    return _over(*_scores_and_mask(Q, K, mask), 1) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__normalises_over_the_batch(Q, K, V, mask=None):
    return _over(*_scores_and_mask(Q, K, mask), 0) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__returns_queries_first(Q, K, V, mask=None):
    return dot_product_attention(Q, K, V, mask).swapaxes(0, 1)


@mistake_of("dot_product_attention")
def dot_product_attention__returns_the_weights(Q, K, V, mask=None):
    return _over(*_scores_and_mask(Q, K, mask), 2)


@mistake_of("dot_product_attention")
def dot_product_attention__adds_up_the_keys(Q, K, V, mask=None):
    return dot_product_attention(Q, K, K, mask)


@mistake_of("dot_product_attention")
def dot_product_attention__lets_no_query_look_ahead(Q, K, V, mask=None):
    scores, mask = _scores_and_mask(Q, K, mask)
    return _over(scores, mask & np.tri(*scores.shape[1:], dtype=bool), 2) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__ignores_the_mask(Q, K, V, mask=None):
    return dot_product_attention(Q, K, V)


@mistake_of("dot_product_attention")
def dot_product_attention__masks_what_may_be_seen(Q, K, V, mask=None):
    return dot_product_attention(Q, K, V, None if mask is None else ~mask)


@mistake_of("dot_product_attention")
def dot_product_attention__turns_the_mask_round(Q, K, V, mask=None):
    scores, mask = _scores_and_mask(Q, K, None if mask is None else mask.swapaxes(1, 2))
    return _over(np.where(mask, scores, 0.0), mask, 2) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__masks_after_the_softmax(Q, K, V, mask=None):
    scores, mask = _scores_and_mask(Q, K, mask)
    return (_over(scores, np.ones_like(mask), 2) * mask) @ V


def _filled_rows(Q, K, V, mask, value):
    """Attention in which masked keys have this score."""
    scores, mask = _scores_and_mask(Q, K, mask)
    held = np.where(mask, scores, value)
    weights = np.exp(held - held.max(axis=2, keepdims=True))
    return weights / weights.sum(axis=2, keepdims=True) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__gives_masked_keys_a_score_of_0(Q, K, V, mask=None):
    return _filled_rows(Q, K, V, mask, 0.0)


@mistake_of("dot_product_attention")
def dot_product_attention__spreads_an_empty_row_evenly(Q, K, V, mask=None):
    return _filled_rows(Q, K, V, mask, -1e9)


@mistake_of("dot_product_attention")
def dot_product_attention__adds_minus_1e9(Q, K, V, mask=None):
    scores, mask = _scores_and_mask(Q, K, mask)
    held = scores + ~mask * -1e9
    weights = np.exp(held - held.max(axis=2, keepdims=True))
    return weights / weights.sum(axis=2, keepdims=True) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__gives_nan_for_an_empty_row(Q, K, V, mask=None):
    with np.errstate(all="ignore"):
        return _filled_rows(Q, K, V, mask, -np.inf)


@mistake_of("dot_product_attention")
def dot_product_attention__overflows(Q, K, V, mask=None):
    scores, mask = _scores_and_mask(Q, K, mask)
    with np.errstate(all="ignore"):
        weights = np.where(mask, np.exp(scores), 0.0)
        return weights / weights.sum(axis=2, keepdims=True) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__subtracts_a_masked_maximum(Q, K, V, mask=None):
    scores, mask = _scores_and_mask(Q, K, mask)
    with np.errstate(all="ignore"):
        weights = np.exp(scores - scores.max(axis=2, keepdims=True)) * mask
        return weights / weights.sum(axis=2, keepdims=True) @ V


@mistake_of("dot_product_attention")
def dot_product_attention__writes_into_Q(Q, K, V, mask=None):
    result = dot_product_attention(Q, K, V, mask)
    Q *= 1 / np.sqrt(2 * Q.shape[-1])
    return result


# alignment_entropy


@mistake_of("alignment_entropy")
def alignment_entropy__gives_nan_for_a_weight_of_0(weights):
    with np.errstate(all="ignore"):
        return -(weights * np.log(weights)).sum(axis=0)


@mistake_of("alignment_entropy")
def alignment_entropy__adds_1e_12_inside_the_logarithm(weights):
    return -(weights * np.log(weights + 1e-12)).sum(axis=0)


@mistake_of("alignment_entropy")
def alignment_entropy__adds_1e_9_inside_the_logarithm(weights):
    return -(weights * np.log(weights + 1e-9)).sum(axis=0)


@mistake_of("alignment_entropy")
def alignment_entropy__adds_1e_8_inside_the_logarithm(weights):
    return -(weights * np.log(weights + 1e-8)).sum(axis=0)


@mistake_of("alignment_entropy")
def alignment_entropy__forgets_the_minus(weights):
    return -alignment_entropy(weights)


@mistake_of("alignment_entropy")
def alignment_entropy__measures_in_bits(weights):
    return alignment_entropy(weights) / np.log(2)


@mistake_of("alignment_entropy")
def alignment_entropy__divides_by_the_largest_possible(weights):
    with np.errstate(all="ignore"):
        return alignment_entropy(weights) / np.log(len(weights))


@mistake_of("alignment_entropy")
def alignment_entropy__averages_over_the_positions(weights):
    return alignment_entropy(weights) / len(weights)


@mistake_of("alignment_entropy")
def alignment_entropy__leaves_out_the_weights(weights):
    with np.errstate(all="ignore"):
        return -np.log(weights).sum(axis=0)


@mistake_of("alignment_entropy")
def alignment_entropy__sums_over_the_batch(weights):
    return alignment_entropy(weights.T)


@mistake_of("alignment_entropy")
def alignment_entropy__sums_over_everything(weights):
    return alignment_entropy(weights).sum()


@mistake_of("alignment_entropy")
def alignment_entropy__averages_over_the_batch(weights):
    return alignment_entropy(weights).mean()


@mistake_of("alignment_entropy")
def alignment_entropy__returns_the_perplexity(weights):
    return np.exp(alignment_entropy(weights))


@mistake_of("alignment_entropy")
def alignment_entropy__writes_into_the_weights(weights):
    weights[weights == 0] = 1.0
    return -(weights * np.log(weights)).sum(axis=0)


# max_path_length


@mistake_of("max_path_length")
def max_path_length__counts_positions(kind, n):
    steps = max_path_length(kind, n)
    return steps if kind == "self-attention" else n


@mistake_of("max_path_length")
def max_path_length__counts_positions_of_the_rnn(kind, n):
    return n if kind == "rnn" else max_path_length(kind, n)


@mistake_of("max_path_length")
def max_path_length__counts_layers_until_one_position_sees_all(kind, n):
    return n // 2 if kind == "convolution" else max_path_length(kind, n)


@mistake_of("max_path_length")
def max_path_length__divides_by_the_width(kind, n):
    return -(-n // 3) if kind == "convolution" else max_path_length(kind, n)


@mistake_of("max_path_length")
def max_path_length__dilates_the_convolutions(kind, n):
    steps, reached = 0, 1
    while reached < n:
        steps, reached = steps + 1, 3 * reached
    return steps if kind == "convolution" else max_path_length(kind, n)


@mistake_of("max_path_length")
def max_path_length__gives_1_to_the_convolutions(kind, n):
    return 1 if kind == "convolution" else max_path_length(kind, n)


@mistake_of("max_path_length")
def max_path_length__gives_self_attention_two_steps(kind, n):
    return 2 if kind == "self-attention" else max_path_length(kind, n)


@mistake_of("max_path_length")
def max_path_length__gives_self_attention_the_distance(kind, n):
    return n - 1 if kind == "self-attention" else max_path_length(kind, n)


@mistake_of("max_path_length")
def max_path_length__returns_none_for_another_kind(kind, n):
    return {"rnn": n - 1, "convolution": n - 1, "self-attention": 1}.get(kind)


@mistake_of("max_path_length")
def max_path_length__takes_any_other_kind_for_self_attention(kind, n):
    return n - 1 if kind in ("rnn", "convolution") else 1


@mistake_of("max_path_length")
def max_path_length__takes_any_other_kind_for_a_convolution(kind, n):
    return 1 if kind == "self-attention" else n - 1


# sequential_operations


@mistake_of("sequential_operations")
def sequential_operations__counts_the_steps_between_the_ends(kind, n):
    return n - 1 if kind == "rnn" else sequential_operations(kind, n)


@mistake_of("sequential_operations")
def sequential_operations__counts_all_operations(kind, n):
    return n * n if kind == "self-attention" else sequential_operations(kind, n)


@mistake_of("sequential_operations")
def sequential_operations__generates_token_by_token(kind, n):
    return n if kind == "self-attention" else sequential_operations(kind, n)


@mistake_of("sequential_operations")
def sequential_operations__counts_stacked_convolutions(kind, n):
    return n - 1 if kind == "convolution" else sequential_operations(kind, n)


@mistake_of("sequential_operations")
def sequential_operations__slides_the_convolution(kind, n):
    return n if kind == "convolution" else sequential_operations(kind, n)


@mistake_of("sequential_operations")
def sequential_operations__gives_every_kind_the_same(kind, n):
    return 1 if kind == "rnn" else sequential_operations(kind, n)


@mistake_of("sequential_operations")
def sequential_operations__returns_none_for_another_kind(kind, n):
    return {"rnn": n, "convolution": 1, "self-attention": 1}.get(kind)


@mistake_of("sequential_operations")
def sequential_operations__takes_any_other_kind_for_parallel(kind, n):
    return n if kind == "rnn" else 1
