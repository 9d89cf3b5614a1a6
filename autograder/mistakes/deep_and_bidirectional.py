"""Chapter 7: how deep and bidirectional networks go wrong, and what padding does meanwhile."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.deep_and_bidirectional import (
    bidirectional_rnn_forward,
    last_valid,
    layer_norm,
    layer_norm_lstm_step,
    locked_dropout,
    masked_rnn_forward,
    reverse_padded,
    stacked_rnn_forward,
)
from autograder.reference.lstm import lstm_step
from autograder.reference.vanilla_rnn import rnn_forward, rnn_step, sigmoid


def _is_real(x, lengths):
    """(T, B, 1): True where a position belongs to its sequence."""
    return (np.arange(len(x))[:, None] < lengths)[:, :, None]


# stacked_rnn_forward


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__lets_every_layer_read_the_input(x, layers):
    return [rnn_forward(x, **layer) for layer in layers]


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__returns_the_top_layer_only(x, layers):
    return stacked_rnn_forward(x, layers)[-1]


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__returns_the_last_states_only(x, layers):
    return [hs[-1] for hs in stacked_rnn_forward(x, layers)]


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__puts_the_input_in_front(x, layers):
    return [x, *stacked_rnn_forward(x, layers)]


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__returns_the_top_layer_first(x, layers):
    return stacked_rnn_forward(x, layers)[::-1]


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__starts_from_zeros(x, layers):
    return stacked_rnn_forward(x, [layer | {"h0": 0 * layer["h0"]} for layer in layers])


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__starts_each_layer_where_the_one_below_ended(x, layers):
    states, below, h0 = [], x, layers[0]["h0"]
    for layer in layers:
        below = rnn_forward(below, **layer | {"h0": h0})
        states.append(below)
        h0 = below[-1]
    return states


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__starts_all_layers_from_the_first_h0(x, layers):
    return stacked_rnn_forward(x, [layer | {"h0": layers[0]["h0"]} for layer in layers])


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__uses_the_first_layers_weights(x, layers):
    return stacked_rnn_forward(x, [layers[0] | {"h0": layer["h0"]} for layer in layers])


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__reads_the_last_state_of_the_layer_below(x, layers):
    states, below = [], x
    for layer in layers:
        states.append(rnn_forward(below, **layer))
        below = np.broadcast_to(states[-1][-1], states[-1].shape)
    return states


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__reads_the_layer_below_one_step_late(x, layers):
    states, below = [], x
    for layer in layers:
        states.append(rnn_forward(below, **layer))
        below = np.concatenate([layer["h0"][None], states[-1][:-1]])
    return states


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__keeps_the_input_in_the_sum(x, layers):
    states, below = [], x
    for layer in layers:
        states.append(rnn_forward(below, **layer))
        below = below + states[-1] if below.shape == states[-1].shape else states[-1]
    return states


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__gives_the_last_states_for_every_step(x, layers):
    return [np.repeat(hs[-1:], len(x), axis=0) for hs in stacked_rnn_forward(x, layers)]


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__lists_the_steps_instead_of_the_layers(x, layers):
    return [list(states) for states in zip(*stacked_rnn_forward(x, layers), strict=True)]


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__does_not_transpose_W_h(x, layers):
    return stacked_rnn_forward(x, [layer | {"W_h": layer["W_h"].T} for layer in layers])


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__forgets_the_biases(x, layers):
    return stacked_rnn_forward(x, [layer | {"b": 0 * layer["b"]} for layer in layers])


@mistake_of("stacked_rnn_forward")
def stacked_rnn_forward__changes_the_dicts(x, layers):
    states, below = [], x
    for layer in layers:
        h0 = layer.pop("h0")
        below = rnn_forward(below, h0, **layer)
        states.append(below)
    return states


# reverse_padded


@mistake_of("reverse_padded")
def reverse_padded__reverses_the_whole_array(x, lengths):
    return x[::-1].copy()


@mistake_of("reverse_padded")
def reverse_padded__moves_the_padding_to_the_front(x, lengths):
    return x[::-1] * _is_real(x, lengths)[::-1]


@mistake_of("reverse_padded")
def reverse_padded__reverses_the_padding_too(x, lengths):
    source = lengths - 1 - np.arange(len(x))[:, None]
    return np.take_along_axis(x, source[:, :, None] % len(x), axis=0)


@mistake_of("reverse_padded")
def reverse_padded__fills_the_padding_with_zeros(x, lengths):
    return np.where(_is_real(x, lengths), reverse_padded(x, lengths), 0.0)


@mistake_of("reverse_padded")
def reverse_padded__fills_the_padding_with_the_first_step(x, lengths):
    source = np.maximum(lengths - 1 - np.arange(len(x))[:, None], 0)
    return np.take_along_axis(x, source[:, :, None], axis=0)


@mistake_of("reverse_padded")
def reverse_padded__takes_the_largest_length_for_all(x, lengths):
    return reverse_padded(x, np.full_like(lengths, lengths.max()))


@mistake_of("reverse_padded")
def reverse_padded__takes_the_first_length_for_all(x, lengths):
    return reverse_padded(x, np.full_like(lengths, lengths[0]))


@mistake_of("reverse_padded")
def reverse_padded__begins_one_step_too_late(x, lengths):
    t = np.arange(len(x))[:, None]
    source = np.where(t < lengths, lengths - t, t)
    return np.take_along_axis(x, source[:, :, None], axis=0)


@mistake_of("reverse_padded")
def reverse_padded__leaves_the_last_step_where_it_is(x, lengths):
    return reverse_padded(x, np.maximum(lengths - 1, 1))


@mistake_of("reverse_padded")
def reverse_padded__reverses_the_features_too(x, lengths):
    return np.where(_is_real(x, lengths), reverse_padded(x, lengths)[:, :, ::-1], x)


@mistake_of("reverse_padded")
def reverse_padded__reverses_along_the_batch(x, lengths):
    return x[:, ::-1].copy()


@mistake_of("reverse_padded")
def reverse_padded__reverses_the_features_instead(x, lengths):
    return np.where(_is_real(x, lengths), x[:, :, ::-1], x)


@mistake_of("reverse_padded")
def reverse_padded__overwrites_what_it_still_needs(x, lengths):
    for n, length in enumerate(lengths):
        for t in range(length):
            x[t, n] = x[length - 1 - t, n]
    return x


@mistake_of("reverse_padded")
def reverse_padded__reverses_in_place(x, lengths):
    x[...] = reverse_padded(x, lengths)
    return x


# masked_rnn_forward


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__reads_the_padding(x, h0, W_x, W_h, b, lengths):
    return rnn_forward(x, h0, W_x, W_h, b)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__reads_zeros_on_padding(x, h0, W_x, W_h, b, lengths):
    return rnn_forward(x * _is_real(x, lengths), h0, W_x, W_h, b)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__gives_zeros_on_padding(x, h0, W_x, W_h, b, lengths):
    return rnn_forward(x, h0, W_x, W_h, b) * _is_real(x, lengths)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__goes_back_to_h0(x, h0, W_x, W_h, b, lengths):
    return np.where(_is_real(x, lengths), rnn_forward(x, h0, W_x, W_h, b), h0)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__stops_one_step_too_early(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, h0, W_x, W_h, b, lengths - 1)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__stops_one_step_too_late(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, h0, W_x, W_h, b, lengths + 1)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__stops_all_with_the_shortest(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, h0, W_x, W_h, b, np.full_like(lengths, lengths.min()))


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__stops_all_with_the_first(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, h0, W_x, W_h, b, np.full_like(lengths, lengths[0]))


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__carries_the_real_steps_and_reads_the_padding(x, h0, W_x, W_h, b, lengths):
    hs, h = [], h0
    for t, x_t in enumerate(x):
        h = np.where((t < lengths)[:, None], h, rnn_step(x_t, h, W_x, W_h, b))
        hs.append(h)
    return np.stack(hs)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__starts_from_zeros(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, np.zeros_like(h0), W_x, W_h, b, lengths)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__does_not_transpose_W_h(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, h0, W_x, W_h.T, b, lengths)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__forgets_the_bias(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, h0, W_x, W_h, np.zeros_like(b), lengths)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__gives_the_last_state_for_every_step(x, h0, W_x, W_h, b, lengths):
    h, hs = h0.copy(), []
    for t, x_t in enumerate(x):
        real = t < lengths
        h[real] = rnn_step(x_t, h, W_x, W_h, b)[real]
        hs.append(h)
    return np.stack(hs)


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__returns_only_the_last_states(x, h0, W_x, W_h, b, lengths):
    return masked_rnn_forward(x, h0, W_x, W_h, b, lengths)[-1]


@mistake_of("masked_rnn_forward")
def masked_rnn_forward__writes_into_h0(x, h0, W_x, W_h, b, lengths):
    hs, h = np.empty((len(x), *h0.shape)), h0
    for t, x_t in enumerate(x):
        real = t < lengths
        h[real] = rnn_step(x_t, h, W_x, W_h, b)[real]
        hs[t] = h
    return hs


# last_valid


@mistake_of("last_valid")
def last_valid__takes_the_last_row(hs, lengths):
    return hs[-1]


@mistake_of("last_valid")
def last_valid__takes_the_last_row_after_clearing(hs, lengths):
    return (hs * _is_real(hs, lengths))[-1]


@mistake_of("last_valid")
def last_valid__is_one_step_late(hs, lengths):
    return hs[lengths, np.arange(len(lengths))]


@mistake_of("last_valid")
def last_valid__is_one_step_late_and_stops_at_the_end(hs, lengths):
    return hs[np.minimum(lengths, len(hs) - 1), np.arange(len(lengths))]


@mistake_of("last_valid")
def last_valid__is_one_step_early(hs, lengths):
    return hs[lengths - 2, np.arange(len(lengths))]


@mistake_of("last_valid")
def last_valid__takes_whole_steps(hs, lengths):
    return hs[lengths - 1]


@mistake_of("last_valid")
def last_valid__takes_the_end_of_the_longest(hs, lengths):
    return hs[lengths.max() - 1]


@mistake_of("last_valid")
def last_valid__takes_the_end_of_the_shortest(hs, lengths):
    return hs[lengths.min() - 1]


@mistake_of("last_valid")
def last_valid__takes_the_end_of_the_first(hs, lengths):
    return hs[lengths[0] - 1]


@mistake_of("last_valid")
def last_valid__counts_from_the_end(hs, lengths):
    return hs[-lengths, np.arange(len(lengths))]


@mistake_of("last_valid")
def last_valid__takes_the_batch_for_time(hs, lengths):
    return hs[np.arange(len(lengths)), lengths - 1]


@mistake_of("last_valid")
def last_valid__averages_the_real_states(hs, lengths):
    return (hs * _is_real(hs, lengths)).sum(axis=0) / lengths[:, None]


@mistake_of("last_valid")
def last_valid__adds_up_the_real_states(hs, lengths):
    return (hs * _is_real(hs, lengths)).sum(axis=0)


@mistake_of("last_valid")
def last_valid__takes_the_largest_of_the_real_states(hs, lengths):
    return np.where(_is_real(hs, lengths), hs, -np.inf).max(axis=0)


@mistake_of("last_valid")
def last_valid__takes_the_first_state(hs, lengths):
    return hs[0]


@mistake_of("last_valid")
def last_valid__sorts_the_sequences_by_length(hs, lengths):
    order = np.argsort(-lengths, kind="stable")
    return last_valid(hs, lengths)[order]


@mistake_of("last_valid")
def last_valid__clears_the_padding_in_place(hs, lengths):
    hs *= _is_real(hs, lengths)
    return last_valid(hs, lengths)


# bidirectional_rnn_forward


def _both(x, lengths, ahead, back):
    """Side by side, zeros on padding."""
    return np.concatenate([ahead, back], axis=2) * _is_real(x, lengths)


def _ahead(x, forward):
    return rnn_forward(x, **forward)


def _back(x, lengths, backward):
    return reverse_padded(rnn_forward(reverse_padded(x, lengths), **backward), lengths)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__clears_the_state_on_padding(x, lengths, forward, backward):
    waits = np.where((lengths == len(x))[:, None], backward["h0"], 0.0)
    return bidirectional_rnn_forward(x, lengths, forward, backward | {"h0": waits})


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__reads_zeros_and_shows_them(x, lengths, forward, backward):
    empty = x * _is_real(x, lengths)
    back = rnn_forward(empty[::-1], **backward)[::-1]
    return np.concatenate([_ahead(empty, forward), back], axis=2)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__begins_in_the_padding(x, lengths, forward, backward):
    back = rnn_forward(x[::-1], **backward)[::-1]
    return _both(x, lengths, _ahead(x, forward), back)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__ignores_the_lengths(x, lengths, forward, backward):
    back = rnn_forward(x[::-1], **backward)[::-1]
    return np.concatenate([_ahead(x, forward), back], axis=2)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__reads_zeros_on_padding(x, lengths, forward, backward):
    empty = x * _is_real(x, lengths)
    back = rnn_forward(empty[::-1], **backward)[::-1]
    return _both(x, lengths, _ahead(x, forward), back)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__does_not_turn_the_states_back(x, lengths, forward, backward):
    back = rnn_forward(reverse_padded(x, lengths), **backward)
    return _both(x, lengths, _ahead(x, forward), back)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__turns_the_states_back_as_a_whole(x, lengths, forward, backward):
    back = rnn_forward(reverse_padded(x, lengths), **backward)[::-1]
    return _both(x, lengths, _ahead(x, forward), back)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__turns_the_inputs_as_a_whole(x, lengths, forward, backward):
    back = reverse_padded(rnn_forward(x[::-1], **backward), lengths)
    return _both(x, lengths, _ahead(x, forward), back)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__turns_the_inputs_as_a_whole_and_nothing_back(
    x, lengths, forward, backward
):
    return _both(x, lengths, _ahead(x, forward), rnn_forward(x[::-1], **backward))


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__never_reads_the_first_step(x, lengths, forward, backward):
    back = _back(x, lengths, backward)
    back[0] = 0
    return _both(x, lengths, _ahead(x, forward), back)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__does_not_turn_the_inputs(x, lengths, forward, backward):
    return _both(x, lengths, _ahead(x, forward), rnn_forward(x, **backward))


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__reverses_along_the_batch(x, lengths, forward, backward):
    back = rnn_forward(x[:, ::-1], **backward)[:, ::-1]
    return _both(x, lengths, _ahead(x, forward), back)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__puts_the_backward_states_first(x, lengths, forward, backward):
    return _both(x, lengths, _back(x, lengths, backward), _ahead(x, forward))


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__exchanges_the_two_networks(x, lengths, forward, backward):
    return bidirectional_rnn_forward(x, lengths, backward, forward)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__uses_the_forward_network_twice(x, lengths, forward, backward):
    return bidirectional_rnn_forward(x, lengths, forward, forward)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__adds_the_two(x, lengths, forward, backward):
    return (_ahead(x, forward) + _back(x, lengths, backward)) * _is_real(x, lengths)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__interleaves_the_two(x, lengths, forward, backward):
    pairs = np.stack([_ahead(x, forward), _back(x, lengths, backward)], axis=3)
    return pairs.reshape(*x.shape[:2], -1) * _is_real(x, lengths)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__leaves_states_on_the_padding(x, lengths, forward, backward):
    return np.concatenate([_ahead(x, forward), _back(x, lengths, backward)], axis=2)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__carries_states_into_the_padding(x, lengths, forward, backward):
    ahead = masked_rnn_forward(x, **forward, lengths=lengths)
    back = masked_rnn_forward(reverse_padded(x, lengths), **backward, lengths=lengths)
    return np.concatenate([ahead, reverse_padded(back, lengths)], axis=2)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__starts_backward_where_forward_ended(x, lengths, forward, backward):
    h_last = last_valid(_ahead(x, forward), lengths)
    return bidirectional_rnn_forward(x, lengths, forward, backward | {"h0": h_last})


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__starts_backward_from_zeros(x, lengths, forward, backward):
    return bidirectional_rnn_forward(x, lengths, forward, backward | {"h0": 0 * backward["h0"]})


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__starts_both_from_zeros(x, lengths, forward, backward):
    first = {"h0": 0 * forward["h0"]}
    return bidirectional_rnn_forward(x, lengths, forward | first, backward | first)


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__starts_both_from_the_forward_h0(x, lengths, forward, backward):
    return bidirectional_rnn_forward(x, lengths, forward, backward | {"h0": forward["h0"]})


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__leaves_the_present_out_of_the_future(x, lengths, forward, backward):
    states = rnn_forward(reverse_padded(x, lengths), **backward)
    before = np.concatenate([backward["h0"][None], states[:-1]])
    return _both(x, lengths, _ahead(x, forward), reverse_padded(before, lengths))


@mistake_of("bidirectional_rnn_forward")
def bidirectional_rnn_forward__writes_zeros_into_x(x, lengths, forward, backward):
    both = bidirectional_rnn_forward(x, lengths, forward, backward)
    x *= _is_real(x, lengths)
    return both


# locked_dropout


def _train(x, mask, training):
    return x * mask if training else x


@mistake_of("locked_dropout")
def locked_dropout__keeps_what_should_go(x, u, p, training):
    return _train(x, (u < p) / (1 - p), training)


@mistake_of("locked_dropout")
def locked_dropout__does_not_scale(x, u, p, training):
    return _train(x, u >= p, training)


@mistake_of("locked_dropout")
def locked_dropout__scales_in_evaluation_instead(x, u, p, training):
    return x * (u >= p) if training else x * (1 - p)


@mistake_of("locked_dropout")
def locked_dropout__scales_in_both(x, u, p, training):
    return x * (u >= p) / (1 - p) if training else x * (1 - p)


@mistake_of("locked_dropout")
def locked_dropout__multiplies_by_what_it_should_divide_by(x, u, p, training):
    return _train(x, (u >= p) * (1 - p), training)


@mistake_of("locked_dropout")
def locked_dropout__divides_by_p(x, u, p, training):
    return x * (u >= p) / np.float64(p) if training else x


@mistake_of("locked_dropout")
def locked_dropout__takes_p_for_what_is_kept(x, u, p, training):
    return x * (u < p) / np.float64(p) if training else x


@mistake_of("locked_dropout")
def locked_dropout__drops_in_evaluation_too(x, u, p, training):
    return locked_dropout(x, u, p, True)


@mistake_of("locked_dropout")
def locked_dropout__does_it_the_other_way_round(x, u, p, training):
    return locked_dropout(x, u, p, not training)


@mistake_of("locked_dropout")
def locked_dropout__keeps_only_above_p(x, u, p, training):
    return _train(x, (u > p) / (1 - p), training)


@mistake_of("locked_dropout")
def locked_dropout__scales_by_the_share_that_was_kept(x, u, p, training):
    return _train(x, (u >= p) / (u >= p).mean(), training)


@mistake_of("locked_dropout")
def locked_dropout__gives_all_sequences_the_first_mask(x, u, p, training):
    return locked_dropout(x, u[:1], p, training)


@mistake_of("locked_dropout")
def locked_dropout__lays_the_mask_along_time(x, u, p, training):
    return locked_dropout(x, u[:, None], p, training)


@mistake_of("locked_dropout")
def locked_dropout__drops_whole_sequences(x, u, p, training):
    return locked_dropout(x, u[:, :1], p, training)


@mistake_of("locked_dropout")
def locked_dropout__drops_in_the_first_step_only(x, u, p, training):
    return np.concatenate([locked_dropout(x[:1], u, p, training), x[1:]])


@mistake_of("locked_dropout")
def locked_dropout__multiplies_by_u(x, u, p, training):
    return _train(x, u * (u >= p) / (1 - p), training)


@mistake_of("locked_dropout")
def locked_dropout__writes_into_x(x, u, p, training):
    if training:
        x *= (u >= p) / (1 - p)
    return x


# layer_norm


def _normalised(a, axis=-1, ddof=0, eps=1e-5):
    variance = a.var(axis=axis, ddof=ddof, keepdims=True)
    return (a - a.mean(axis=axis, keepdims=True)) / np.sqrt(variance + eps)


@mistake_of("layer_norm")
def layer_norm__takes_the_sample_variance(a, gain, bias, eps=1e-5):
    return gain * _normalised(a, ddof=1, eps=eps) + bias


@mistake_of("layer_norm")
def layer_norm__adds_eps_outside_the_root(a, gain, bias, eps=1e-5):
    centred = a - a.mean(axis=-1, keepdims=True)
    return gain * centred / (a.std(axis=-1, keepdims=True) + eps) + bias


@mistake_of("layer_norm")
def layer_norm__forgets_eps(a, gain, bias, eps=1e-5):
    return gain * _normalised(a, eps=0.0) + bias


@mistake_of("layer_norm")
def layer_norm__squares_eps(a, gain, bias, eps=1e-5):
    return layer_norm(a, gain, bias, eps**2)


@mistake_of("layer_norm")
def layer_norm__ignores_the_eps_that_is_given(a, gain, bias, eps=1e-5):
    return layer_norm(a, gain, bias, 1e-5)


@mistake_of("layer_norm")
def layer_norm__has_another_default(a, gain, bias, eps=1e-6):
    return layer_norm(a, gain, bias, eps)


@mistake_of("layer_norm")
def layer_norm__has_an_eps_of_1e_8_by_default(a, gain, bias, eps=1e-8):
    return layer_norm(a, gain, bias, eps)


@mistake_of("layer_norm")
def layer_norm__divides_by_the_variance(a, gain, bias, eps=1e-5):
    centred = a - a.mean(axis=-1, keepdims=True)
    return gain * centred / (a.var(axis=-1, keepdims=True) + eps) + bias


@mistake_of("layer_norm")
def layer_norm__forgets_to_divide_the_sum(a, gain, bias, eps=1e-5):
    centred = a - a.mean(axis=-1, keepdims=True)
    return gain * centred / np.sqrt((centred**2).sum(axis=-1, keepdims=True) + eps) + bias


@mistake_of("layer_norm")
def layer_norm__normalises_over_the_second_axis(a, gain, bias, eps=1e-5):
    return gain * _normalised(a, axis=1, eps=eps) + bias


@mistake_of("layer_norm")
def layer_norm__normalises_over_the_first_axis(a, gain, bias, eps=1e-5):
    return gain * _normalised(a, axis=0, eps=eps) + bias


@mistake_of("layer_norm")
def layer_norm__normalises_over_everything(a, gain, bias, eps=1e-5):
    return gain * _normalised(a, axis=None, eps=eps) + bias


@mistake_of("layer_norm")
def layer_norm__normalises_over_all_but_the_last_axis(a, gain, bias, eps=1e-5):
    return gain * _normalised(a, axis=tuple(range(a.ndim - 1)), eps=eps) + bias


@mistake_of("layer_norm")
def layer_norm__does_not_subtract_the_mean(a, gain, bias, eps=1e-5):
    return gain * a / np.sqrt((a**2).mean(axis=-1, keepdims=True) + eps) + bias


@mistake_of("layer_norm")
def layer_norm__divides_only(a, gain, bias, eps=1e-5):
    return gain * a / np.sqrt(a.var(axis=-1, keepdims=True) + eps) + bias


@mistake_of("layer_norm")
def layer_norm__centres_only(a, gain, bias, eps=1e-5):
    return gain * (a - a.mean(axis=-1, keepdims=True)) + bias


@mistake_of("layer_norm")
def layer_norm__forgets_the_gain(a, gain, bias, eps=1e-5):
    return _normalised(a, eps=eps) + bias


@mistake_of("layer_norm")
def layer_norm__forgets_the_bias(a, gain, bias, eps=1e-5):
    return gain * _normalised(a, eps=eps)


@mistake_of("layer_norm")
def layer_norm__forgets_gain_and_bias(a, gain, bias, eps=1e-5):
    return _normalised(a, eps=eps)


@mistake_of("layer_norm")
def layer_norm__multiplies_the_bias_by_the_gain(a, gain, bias, eps=1e-5):
    return gain * (_normalised(a, eps=eps) + bias)


@mistake_of("layer_norm")
def layer_norm__takes_one_plus_the_gain(a, gain, bias, eps=1e-5):
    return layer_norm(a, 1 + gain, bias, eps)


@mistake_of("layer_norm")
def layer_norm__loses_digits_far_from_zero(a, gain, bias, eps=1e-5):
    mean = a.mean(axis=-1, keepdims=True)
    variance = (a**2).mean(axis=-1, keepdims=True) - mean**2
    return gain * (a - mean) / np.sqrt(variance + eps) + bias


@mistake_of("layer_norm")
def layer_norm__writes_into_its_input(a, gain, bias, eps=1e-5):
    normalised = layer_norm(a, gain, bias, eps)
    a[...] = normalised
    return a


# layer_norm_lstm_step


def _pre_activations(x, h, W_x, W_h, b):
    """(4, B, H): one block for each of i, f, g, o."""
    return np.stack(np.split(x @ W_x.T + h @ W_h.T + b, 4, axis=1))


def _normed(a, gains, biases, eps=1e-5):
    """The four pre-activations, each normalised over its units."""
    return [layer_norm(*each, eps) for each in zip(a, gains, biases, strict=True)]


def _update(a, c):
    a_i, a_f, a_g, a_o = a
    c_next = sigmoid(a_f) * c + sigmoid(a_i) * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(c_next), c_next


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__normalises_all_gates_together(x, h, c, W_x, W_h, b, gains, biases):
    a = layer_norm(x @ W_x.T + h @ W_h.T + b, gains.ravel(), biases.ravel())
    return _update(np.split(a, 4, axis=1), c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__normalises_the_two_products_apart(x, h, c, W_x, W_h, b, gains, biases):
    parts = [np.stack(np.split(part, 4, axis=1)) for part in (x @ W_x.T, h @ W_h.T)]
    from_x, from_h = (_normed(part, gains, biases) for part in parts)
    return _update(
        [one + two + c_ for one, two, c_ in zip(from_x, from_h, np.split(b, 4), strict=True)], c
    )


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__adds_b_after_the_norm(x, h, c, W_x, W_h, b, gains, biases):
    a = _normed(_pre_activations(x, h, W_x, W_h, 0 * b), gains, biases)
    return _update([each + own for each, own in zip(a, np.split(b, 4), strict=True)], c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__forgets_b(x, h, c, W_x, W_h, b, gains, biases):
    return layer_norm_lstm_step(x, h, c, W_x, W_h, 0 * b, gains, biases)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__forgets_the_norm(x, h, c, W_x, W_h, b, gains, biases):
    return lstm_step(x, h, c, W_x, W_h, b)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__forgets_gains_and_biases(x, h, c, W_x, W_h, b, gains, biases):
    return layer_norm_lstm_step(x, h, c, W_x, W_h, b, np.ones_like(gains), 0 * biases)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__gives_all_gates_the_first_row(x, h, c, W_x, W_h, b, gains, biases):
    rows = [np.broadcast_to(each[0], each.shape) for each in (gains, biases)]
    return layer_norm_lstm_step(x, h, c, W_x, W_h, b, *rows)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__takes_the_rows_as_i_f_o_g(x, h, c, W_x, W_h, b, gains, biases):
    order = [0, 1, 3, 2]
    return layer_norm_lstm_step(x, h, c, W_x, W_h, b, gains[order], biases[order])


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__takes_the_candidate_last(x, h, c, W_x, W_h, b, gains, biases):
    a_i, a_f, a_o, a_g = _normed(_pre_activations(x, h, W_x, W_h, b), gains, biases)
    return _update([a_i, a_f, a_g, a_o], c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__exchanges_i_and_f(x, h, c, W_x, W_h, b, gains, biases):
    a_f, a_i, a_g, a_o = _normed(_pre_activations(x, h, W_x, W_h, b), gains, biases)
    return _update([a_i, a_f, a_g, a_o], c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__exchanges_gains_and_biases(x, h, c, W_x, W_h, b, gains, biases):
    return layer_norm_lstm_step(x, h, c, W_x, W_h, b, biases, gains)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__cuts_across_the_batch(x, h, c, W_x, W_h, b, gains, biases):
    a = (x @ W_x.T + h @ W_h.T + b).reshape(4, *h.shape)
    return _update(_normed(a, gains, biases), c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__normalises_the_gates(x, h, c, W_x, W_h, b, gains, biases):
    a_i, a_f, a_g, a_o = _pre_activations(x, h, W_x, W_h, b)
    gates = [sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)]
    i, f, g, o = _normed(gates, gains, biases)
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__leaves_the_candidate_out(x, h, c, W_x, W_h, b, gains, biases):
    a = _pre_activations(x, h, W_x, W_h, b)
    a_i, a_f, _, a_o = _normed(a, gains, biases)
    return _update([a_i, a_f, a[2], a_o], c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__makes_the_candidate_a_sigmoid(x, h, c, W_x, W_h, b, gains, biases):
    i, f, g, o = map(sigmoid, _normed(_pre_activations(x, h, W_x, W_h, b), gains, biases))
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__shows_a_normalised_cell(x, h, c, W_x, W_h, b, gains, biases):
    a = _normed(_pre_activations(x, h, W_x, W_h, b), gains, biases)
    _, c_next = _update(a, c)
    return sigmoid(a[3]) * np.tanh(_normalised(c_next)), c_next


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__keeps_a_normalised_cell(x, h, c, W_x, W_h, b, gains, biases):
    a = _normed(_pre_activations(x, h, W_x, W_h, b), gains, biases)
    c_next = _normalised(_update(a, c)[1])
    return sigmoid(a[3]) * np.tanh(c_next), c_next


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__normalises_over_the_batch(x, h, c, W_x, W_h, b, gains, biases):
    a = _normalised(_pre_activations(x, h, W_x, W_h, b), axis=1)
    return _update(a * gains[:, None] + biases[:, None], c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__takes_the_sample_variance(x, h, c, W_x, W_h, b, gains, biases):
    a = _normalised(_pre_activations(x, h, W_x, W_h, b), ddof=1)
    return _update(a * gains[:, None] + biases[:, None], c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__forgets_eps(x, h, c, W_x, W_h, b, gains, biases):
    return _update(_normed(_pre_activations(x, h, W_x, W_h, b), gains, biases, eps=0.0), c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__adds_eps_outside_the_root(x, h, c, W_x, W_h, b, gains, biases):
    a = _pre_activations(x, h, W_x, W_h, b)
    a = (a - a.mean(axis=2, keepdims=True)) / (a.std(axis=2, keepdims=True) + 1e-5)
    return _update(a * gains[:, None] + biases[:, None], c)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__does_not_transpose_the_blocks_of_W_h(x, h, c, W_x, W_h, b, gains, biases):
    turned = np.concatenate([block.T for block in np.split(W_h, 4)])
    return layer_norm_lstm_step(x, h, c, W_x, turned, b, gains, biases)


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__forgets_the_tanh_of_the_cell(x, h, c, W_x, W_h, b, gains, biases):
    a = _normed(_pre_activations(x, h, W_x, W_h, b), gains, biases)
    _, c_next = _update(a, c)
    return sigmoid(a[3]) * c_next, c_next


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__returns_the_cell_first(x, h, c, W_x, W_h, b, gains, biases):
    return layer_norm_lstm_step(x, h, c, W_x, W_h, b, gains, biases)[::-1]


@mistake_of("layer_norm_lstm_step")
def layer_norm_lstm_step__writes_into_the_old_cell(x, h, c, W_x, W_h, b, gains, biases):
    h_next, c_next = layer_norm_lstm_step(x, h, c, W_x, W_h, b, gains, biases)
    c[...] = c_next
    return h_next, c


# BiTagger


def _tagger(vocab, tags, embed, hidden, forward, **more):
    """A module with an embedding, a recurrent network and a read-out, run as `forward` says."""
    import torch

    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            rnn = {"bidirectional": True, **more}
            self.embedding = torch.nn.Embedding(vocab, embed)
            self.rnn = torch.nn.LSTM(embed, hidden, **rnn)
            ways = 2 if rnn["bidirectional"] else 1
            self.read_out = torch.nn.Linear(ways * hidden, tags)

        def forward(self, tokens, lengths):
            return forward(self, tokens, lengths)

    return Tagger()


def _packed_states(model, embedded, lengths, steps):
    """The states of both directions, each sequence up to its own end."""
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    packed = pack_padded_sequence(embedded, lengths, enforce_sorted=False)
    return pad_packed_sequence(model.rnn(packed)[0], total_length=steps)[0]


def _right(model, tokens, lengths):
    embedded = model.embedding(tokens)
    return model.read_out(_packed_states(model, embedded, lengths, len(tokens)))


@mistake_of("BiTagger")
def BiTagger__reads_the_padding(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        return self.read_out(self.rnn(self.embedding(tokens))[0])

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__clears_the_padding_and_reads_it(vocab, tags, embed, hidden):
    import torch

    def forward(self, tokens, lengths):
        real = torch.arange(len(tokens))[:, None] < lengths
        return self.read_out(self.rnn(self.embedding(tokens) * real[:, :, None])[0])

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__asks_for_sorted_lengths(vocab, tags, embed, hidden):
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embedding(tokens), lengths)
        return self.read_out(pad_packed_sequence(self.rnn(packed)[0], total_length=len(tokens))[0])

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__asks_for_sorted_lengths_and_ends_with_the_longest(vocab, tags, embed, hidden):
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embedding(tokens), lengths)
        return self.read_out(pad_packed_sequence(self.rnn(packed)[0])[0])

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__ends_with_the_longest(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        return _right(self, tokens, lengths)[: int(lengths.max())]

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__reads_one_way(vocab, tags, embed, hidden):
    return _tagger(vocab, tags, embed, hidden, _right, bidirectional=False)


@mistake_of("BiTagger")
def BiTagger__looks_at_each_token_alone(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        embedded = self.embedding(tokens)
        alone = embedded.flatten(0, 1)[None]  # one step of many sequences
        return self.read_out(self.rnn(alone)[0]).view(*tokens.shape, tags)

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__takes_the_batch_for_time(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        return self.read_out(self.rnn(self.embedding(tokens))[0])

    return _tagger(vocab, tags, embed, hidden, forward, batch_first=True)


@mistake_of("BiTagger")
def BiTagger__gives_all_positions_the_last_states(vocab, tags, embed, hidden):
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embedding(tokens), lengths, enforce_sorted=False)
        last = torch.cat(list(self.rnn(packed)[1][0]), dim=1)
        return self.read_out(last).expand(len(tokens), -1, -1)

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__does_not_turn_the_states_back(vocab, tags, embed, hidden):
    import torch

    def forward(self, tokens, lengths):
        states = _packed_states(self, self.embedding(tokens), lengths, len(tokens))
        t = torch.arange(len(tokens))[:, None]
        source = torch.where(t < lengths, lengths - 1 - t, t)[:, :, None]
        ahead, back = states.chunk(2, dim=2)
        back = back.gather(0, source.expand_as(back))
        return self.read_out(torch.cat([ahead, back], dim=2))

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__shares_the_units_between_the_directions(vocab, tags, embed, hidden):
    return _tagger(vocab, tags, embed, hidden // 2, _right)


@mistake_of("BiTagger")
def BiTagger__exchanges_embed_and_hidden(vocab, tags, embed, hidden):
    return _tagger(vocab, tags, hidden, embed, _right)


@mistake_of("BiTagger")
def BiTagger__returns_probabilities(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        return _right(self, tokens, lengths).softmax(dim=-1)

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__returns_the_tags(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        return _right(self, tokens, lengths).argmax(dim=-1)

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__returns_the_batch_first(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        return _right(self, tokens, lengths).transpose(0, 1)

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__leaves_the_sequences_sorted(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        order = lengths.argsort(descending=True, stable=True)
        return _right(self, tokens[:, order], lengths[order])

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__undoes_the_sorting_with_the_same_order(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        order = lengths.argsort(descending=True, stable=True)
        return _right(self, tokens[:, order], lengths[order])[:, order]

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__hides_its_layers_in_a_list(vocab, tags, embed, hidden):
    model = _tagger(vocab, tags, embed, hidden, _right)
    rnn = model.rnn
    del model.rnn
    object.__setattr__(model, "rnn", rnn)  # as `self.layers = [rnn]` does: PyTorch does not see it
    return model


@mistake_of("BiTagger")
def BiTagger__cuts_the_gradient(vocab, tags, embed, hidden):
    def forward(self, tokens, lengths):
        return _right(self, tokens, lengths).detach()

    return _tagger(vocab, tags, embed, hidden, forward)


@mistake_of("BiTagger")
def BiTagger__writes_into_the_tokens(vocab, tags, embed, hidden):
    import torch

    def forward(self, tokens, lengths):
        tokens[torch.arange(len(tokens))[:, None] >= lengths] = 0
        return _right(self, tokens, lengths)

    return _tagger(vocab, tags, embed, hidden, forward)
