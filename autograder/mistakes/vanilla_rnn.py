"""Chapter 1: how the vanilla RNN goes wrong."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.vanilla_rnn import (
    rnn_forward,
    rnn_step,
    sigmoid,
    softmax_cross_entropy,
    to_torch_rnn,
    token_distribution,
)

# sigmoid


@mistake_of("sigmoid")
def sigmoid__overflows_at_large_negative_numbers(a):
    return 1 / (1 + np.exp(-a))


@mistake_of("sigmoid")
def sigmoid__overflows_at_both_ends(a):
    return np.where(np.asarray(a) < 0, np.exp(a) / (1 + np.exp(a)), 1 / (1 + np.exp(-a)))


@mistake_of("sigmoid")
def sigmoid__divides_infinity_by_infinity(a):
    return np.exp(a) / (1 + np.exp(a))


@mistake_of("sigmoid")
def sigmoid__chooses_one_form_for_the_whole_array(a):
    if np.min(a) >= 0:
        return 1 / (1 + np.exp(-a))
    return np.exp(a) / (1 + np.exp(a))


@mistake_of("sigmoid")
def sigmoid__has_the_wrong_sign_in_the_exponent(a):
    return 1 / (1 + np.exp(a))


@mistake_of("sigmoid")
def sigmoid__does_not_halve_the_argument(a):
    return (1 + np.tanh(a)) / 2


@mistake_of("sigmoid")
def sigmoid__returns_the_tanh(a):
    return np.tanh(a)


@mistake_of("sigmoid")
def sigmoid__forgets_the_negative_side(a):
    return 1 / (1 + np.exp(-np.abs(a)))


@mistake_of("sigmoid")
def sigmoid__clips_at_20(a):
    return 1 / (1 + np.exp(-np.clip(a, -20, 20)))


@mistake_of("sigmoid")
def sigmoid__returns_the_slope(a):
    return sigmoid(a) * sigmoid(-a)


@mistake_of("sigmoid")
def sigmoid__gives_an_array_for_a_number(a):
    a = np.atleast_1d(a)
    result = np.empty(a.shape)
    result[a >= 0] = 1 / (1 + np.exp(-a[a >= 0]))
    result[a < 0] = np.exp(a[a < 0]) / (1 + np.exp(a[a < 0]))
    return result


@mistake_of("sigmoid")
def sigmoid__overwrites_its_input(a):
    result = sigmoid(a)
    if isinstance(a, np.ndarray):
        a[...] = result
    return result


# rnn_step


@mistake_of("rnn_step")
def rnn_step__forgets_the_bias(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + h @ W_h.T)


@mistake_of("rnn_step")
def rnn_step__does_not_transpose_W_h(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + h @ W_h + b)


@mistake_of("rnn_step")
def rnn_step__multiplies_columns(x, h, W_x, W_h, b):
    return np.tanh(W_x @ x + W_h @ h + b)


@mistake_of("rnn_step")
def rnn_step__returns_the_transpose(x, h, W_x, W_h, b):
    return np.tanh(W_x @ x.T + W_h @ h.T + b[:, None])


@mistake_of("rnn_step")
def rnn_step__adds_the_bias_as_a_column(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + h @ W_h.T + b.reshape(-1, 1))


@mistake_of("rnn_step")
def rnn_step__forgets_the_tanh(x, h, W_x, W_h, b):
    return x @ W_x.T + h @ W_h.T + b


@mistake_of("rnn_step")
def rnn_step__uses_the_sigmoid(x, h, W_x, W_h, b):
    return sigmoid(x @ W_x.T + h @ W_h.T + b)


@mistake_of("rnn_step")
def rnn_step__adds_the_bias_after_the_tanh(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + h @ W_h.T) + b


@mistake_of("rnn_step")
def rnn_step__adds_the_bias_twice(x, h, W_x, W_h, b):
    return np.tanh((x @ W_x.T + b) + (h @ W_h.T + b))


@mistake_of("rnn_step")
def rnn_step__forgets_the_old_state(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + b)


@mistake_of("rnn_step")
def rnn_step__adds_the_old_state_without_W_h(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + h + b)


@mistake_of("rnn_step")
def rnn_step__squashes_the_old_state_instead(x, h, W_x, W_h, b):
    return x @ W_x.T + np.tanh(h) @ W_h.T + b


@mistake_of("rnn_step")
def rnn_step__writes_into_the_old_state(x, h, W_x, W_h, b):
    h[...] = np.tanh(x @ W_x.T + h @ W_h.T + b)
    return h


# rnn_forward


@mistake_of("rnn_forward")
def rnn_forward__starts_from_zeros(x, h0, W_x, W_h, b):
    return rnn_forward(x, np.zeros_like(h0), W_x, W_h, b)


@mistake_of("rnn_forward")
def rnn_forward__never_hands_the_state_on(x, h0, W_x, W_h, b):
    return np.stack([rnn_step(x_t, h0, W_x, W_h, b) for x_t in x])


@mistake_of("rnn_forward")
def rnn_forward__returns_only_the_last_state(x, h0, W_x, W_h, b):
    h = h0
    for x_t in x:
        h = rnn_step(x_t, h, W_x, W_h, b)
    return h


@mistake_of("rnn_forward")
def rnn_forward__puts_h0_in_front(x, h0, W_x, W_h, b):
    hs = [h0]
    for x_t in x:
        hs.append(rnn_step(x_t, hs[-1], W_x, W_h, b))
    return np.stack(hs)


@mistake_of("rnn_forward")
def rnn_forward__stores_the_state_before_each_step(x, h0, W_x, W_h, b):
    h, hs = h0, []
    for x_t in x:
        hs.append(h)
        h = rnn_step(x_t, h, W_x, W_h, b)
    return np.stack(hs)


@mistake_of("rnn_forward")
def rnn_forward__reads_the_sequence_backwards(x, h0, W_x, W_h, b):
    return rnn_forward(x[::-1], h0, W_x, W_h, b)[::-1]


@mistake_of("rnn_forward")
def rnn_forward__takes_the_batch_for_time(x, h0, W_x, W_h, b):
    h, hs = h0, []
    for t in range(x.shape[1]):
        h = rnn_step(x[:, t], h, W_x, W_h, b)
        hs.append(h)
    return np.stack(hs, axis=1)


@mistake_of("rnn_forward")
def rnn_forward__returns_the_batch_first(x, h0, W_x, W_h, b):
    return rnn_forward(x, h0, W_x, W_h, b).swapaxes(0, 1)


@mistake_of("rnn_forward")
def rnn_forward__gives_the_last_state_for_every_step(x, h0, W_x, W_h, b):
    h, hs = h0.copy(), []
    for x_t in x:
        h[...] = rnn_step(x_t, h, W_x, W_h, b)
        hs.append(h)
    return np.stack(hs)


@mistake_of("rnn_forward")
def rnn_forward__leaves_the_last_step_out(x, h0, W_x, W_h, b):
    hs, h = np.zeros((len(x), *h0.shape)), h0
    for t in range(len(x) - 1):
        hs[t] = h = rnn_step(x[t], h, W_x, W_h, b)
    return hs


@mistake_of("rnn_forward")
def rnn_forward__returns_inside_the_loop(x, h0, W_x, W_h, b):
    hs, h = np.zeros((len(x), *h0.shape)), h0
    for t in range(len(x)):
        hs[t] = h = rnn_step(x[t], h, W_x, W_h, b)
        return hs


@mistake_of("rnn_forward")
def rnn_forward__carries_the_pre_activation(x, h0, W_x, W_h, b):
    h, hs = h0, []
    for x_t in x:
        h = x_t @ W_x.T + h @ W_h.T + b
        hs.append(np.tanh(h))
    return np.stack(hs)


@mistake_of("rnn_forward")
def rnn_forward__does_not_transpose_W_h(x, h0, W_x, W_h, b):
    return rnn_forward(x, h0, W_x, W_h.T, b)


@mistake_of("rnn_forward")
def rnn_forward__forgets_the_bias(x, h0, W_x, W_h, b):
    return rnn_forward(x, h0, W_x, W_h, np.zeros_like(b))


@mistake_of("rnn_forward")
def rnn_forward__writes_into_h0(x, h0, W_x, W_h, b):
    hs, h = np.empty((len(x), *h0.shape)), h0
    for t in range(len(x)):
        h[...] = rnn_step(x[t], h, W_x, W_h, b)
        hs[t] = h
    return hs


# softmax_cross_entropy


def _softmax(logits, axis=-1):
    p = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return p / p.sum(axis=axis, keepdims=True)


def _onehot(logits, targets):
    return np.eye(logits.shape[-1])[targets]


def _from_probabilities(p, targets, mask, tiny=0.0):
    """Loss and gradient in which the logarithm is taken of the computed probability."""
    p_target = np.take_along_axis(p, targets[..., None], axis=-1)[..., 0]
    dlogits = (p - _onehot(p, targets)) * mask[..., None] / max(mask.sum(), 1)
    return (-np.log(p_target + tiny) * mask).sum() / max(mask.sum(), 1), dlogits


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__ignores_the_mask(logits, targets, mask):
    return softmax_cross_entropy(logits, targets, np.ones_like(mask))


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__divides_by_all_positions(logits, targets, mask):
    loss, dlogits = softmax_cross_entropy(logits, targets, mask)
    return loss * mask.sum() / mask.size, dlogits * mask.sum() / mask.size


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__forgets_the_mean_in_the_gradient(logits, targets, mask):
    loss, dlogits = softmax_cross_entropy(logits, targets, mask)
    return loss, dlogits * mask.sum()


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__takes_the_sum_for_the_mean(logits, targets, mask):
    loss, dlogits = softmax_cross_entropy(logits, targets, mask)
    return loss * mask.sum(), dlogits * mask.sum()


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__leaves_gradients_at_masked_positions(logits, targets, mask):
    loss, _ = softmax_cross_entropy(logits, targets, mask)
    return loss, (_softmax(logits) - _onehot(logits, targets)) / max(mask.sum(), 1)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__averages_each_sequence_first(logits, targets, mask):
    loss, dlogits, B = 0.0, np.zeros_like(logits), mask.shape[1]
    for n in range(B):
        one = [array[:, n : n + 1] for array in (logits, targets, mask)]
        loss_n, dlogits_n = softmax_cross_entropy(*one)
        loss += loss_n / B
        dlogits[:, n : n + 1] = dlogits_n / B
    return loss, dlogits


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__overflows(logits, targets, mask):
    p = np.exp(logits)
    return _from_probabilities(p / p.sum(axis=-1, keepdims=True), targets, mask)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__overflows_in_the_log_sum_exp(logits, targets, mask):
    total = np.exp(logits).sum(axis=-1)
    nll = np.log(total) - np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    N = max(mask.sum(), 1)
    dlogits = np.exp(logits) / total[..., None] - _onehot(logits, targets)
    return (nll * mask).sum() / N, dlogits * mask[..., None] / N


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__shifts_by_a_shared_maximum(logits, targets, mask):
    shifted = logits - logits.max()
    return softmax_cross_entropy__overflows_in_the_log_sum_exp(shifted, targets, mask)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__takes_the_logarithm_of_the_probability(logits, targets, mask):
    return _from_probabilities(_softmax(logits), targets, mask)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__adds_1e_12_inside_the_logarithm(logits, targets, mask):
    return _from_probabilities(_softmax(logits), targets, mask, tiny=1e-12)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__normalises_over_time(logits, targets, mask):
    return _from_probabilities(_softmax(logits, axis=0), targets, mask)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__normalises_over_the_batch(logits, targets, mask):
    return _from_probabilities(_softmax(logits, axis=1), targets, mask)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__normalises_over_everything(logits, targets, mask):
    p = np.exp(logits - logits.max())
    return _from_probabilities(p / p.sum(), targets, mask)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__gives_nan_when_nothing_counts(logits, targets, mask):
    loss, dlogits = softmax_cross_entropy(logits, targets, mask)
    return np.float64(loss) * mask.sum() / mask.sum(), dlogits * mask.sum() / mask.sum()


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__forgets_to_subtract_the_truth(logits, targets, mask):
    loss, _ = softmax_cross_entropy(logits, targets, mask)
    return loss, _softmax(logits) * mask[..., None] / max(mask.sum(), 1)


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__has_the_gradient_the_wrong_way_round(logits, targets, mask):
    loss, dlogits = softmax_cross_entropy(logits, targets, mask)
    return loss, -dlogits


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__forgets_the_minus_of_the_loss(logits, targets, mask):
    loss, dlogits = softmax_cross_entropy(logits, targets, mask)
    return -loss, dlogits


@mistake_of("softmax_cross_entropy")
def softmax_cross_entropy__writes_into_the_logits(logits, targets, mask):
    logits -= logits.max(axis=-1, keepdims=True)
    return softmax_cross_entropy(logits, targets, mask)


# token_distribution


def _greedy(logits):
    return token_distribution(logits, 0)


@mistake_of("token_distribution")
def token_distribution__ignores_the_temperature(logits, temperature):
    return _greedy(logits) if temperature == 0 else _softmax(logits)


@mistake_of("token_distribution")
def token_distribution__multiplies_by_the_temperature(logits, temperature):
    return _greedy(logits) if temperature == 0 else _softmax(logits * temperature)


@mistake_of("token_distribution")
def token_distribution__tempers_the_probabilities(logits, temperature):
    return _greedy(logits) if temperature == 0 else _softmax(_softmax(logits) / temperature)


@mistake_of("token_distribution")
def token_distribution__normalises_over_the_first_axis(logits, temperature):
    return _greedy(logits) if temperature == 0 else _softmax(logits / temperature, axis=0)


@mistake_of("token_distribution")
def token_distribution__normalises_over_everything(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    p = np.exp((logits - logits.max()) / temperature)
    return p / p.sum()


@mistake_of("token_distribution")
def token_distribution__overflows(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    p = np.exp(logits / temperature)
    return p / p.sum(axis=-1, keepdims=True)


@mistake_of("token_distribution")
def token_distribution__shifts_by_a_shared_maximum(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    p = np.exp((logits - logits.max()) / temperature)
    return p / p.sum(axis=-1, keepdims=True)


@mistake_of("token_distribution")
def token_distribution__divides_by_zero(logits, temperature):
    p = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return p / p.sum(axis=-1, keepdims=True)


def _at_zero(choose, logits, temperature):
    return choose(logits) if temperature == 0 else token_distribution(logits, temperature)


def _largest(logits):
    return (logits == logits.max(axis=-1, keepdims=True)).astype(float)


@mistake_of("token_distribution")
def token_distribution__shares_ties_equally(logits, temperature):
    return _at_zero(
        lambda s: _largest(s) / _largest(s).sum(axis=-1, keepdims=True), logits, temperature
    )


@mistake_of("token_distribution")
def token_distribution__takes_the_last_of_equals(logits, temperature):
    return _at_zero(lambda s: _greedy(s[..., ::-1])[..., ::-1], logits, temperature)


@mistake_of("token_distribution")
def token_distribution__gives_each_of_equals_everything(logits, temperature):
    return _at_zero(_largest, logits, temperature)


@mistake_of("token_distribution")
def token_distribution__takes_one_argmax_for_all_rows(logits, temperature):
    def choose(s):
        p = np.zeros_like(s)
        p.flat[s.argmax()] = 1
        return p

    return _at_zero(choose, logits, temperature)


@mistake_of("token_distribution")
def token_distribution__returns_the_index_at_zero(logits, temperature):
    return _at_zero(lambda s: s.argmax(axis=-1), logits, temperature)


@mistake_of("token_distribution")
def token_distribution__writes_into_the_logits(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    logits -= logits.max(axis=-1, keepdims=True)
    return token_distribution(logits, temperature)


# rnn_parameter_count


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__counts_H_numbers_too_many(D, H, V):
    return H * (D + H) + 2 * H + V * H + V


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__forgets_the_bias_of_the_read_out(D, H, V):
    return H * (D + H) + H + V * H


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__forgets_the_bias_of_the_cell(D, H, V):
    return H * (D + H) + V * H + V


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__forgets_both_biases(D, H, V):
    return H * (D + H) + V * H


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__counts_a_bias_as_one_number(D, H, V):
    return H * (D + H) + 1 + V * H + 1


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__forgets_the_read_out(D, H, V):
    return H * (D + H) + H


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__forgets_the_recurrent_matrix(D, H, V):
    return H * D + H + V * H + V


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__counts_one_recurrent_weight_a_unit(D, H, V):
    return H * D + H + H + V * H + V


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__reads_out_from_the_input(D, H, V):
    return H * (D + H) + H + V * D + V


@mistake_of("rnn_parameter_count")
def rnn_parameter_count__exchanges_D_and_H_in_the_cell(D, H, V):
    return D * (H + D) + D + V * H + V


# to_torch_rnn


@mistake_of("to_torch_rnn")
def to_torch_rnn__gives_the_bias_to_both(W_x, W_h, b):
    return to_torch_rnn(W_x, W_h, 2 * b)


@mistake_of("to_torch_rnn")
def to_torch_rnn__forgets_the_bias(W_x, W_h, b):
    return to_torch_rnn(W_x, W_h, 0 * b)


@mistake_of("to_torch_rnn")
def to_torch_rnn__transposes_W_h(W_x, W_h, b):
    return to_torch_rnn(W_x, W_h.T, b)


@mistake_of("to_torch_rnn")
def to_torch_rnn__shares_memory(W_x, W_h, b):
    import torch

    model = to_torch_rnn(W_x, W_h, b)
    model.weight_ih_l0 = torch.nn.Parameter(torch.from_numpy(W_x))
    model.weight_hh_l0 = torch.nn.Parameter(torch.from_numpy(W_h))
    model.bias_ih_l0 = torch.nn.Parameter(torch.from_numpy(b))
    return model


@mistake_of("to_torch_rnn")
def to_torch_rnn__stays_in_float32(W_x, W_h, b):
    return to_torch_rnn(W_x, W_h, b).float()


@mistake_of("to_torch_rnn")
def to_torch_rnn__loses_digits_on_the_way(W_x, W_h, b):
    return to_torch_rnn(W_x, W_h, b).float().double()


@mistake_of("to_torch_rnn")
def to_torch_rnn__expects_the_batch_first(W_x, W_h, b):
    model = to_torch_rnn(W_x, W_h, b)
    model.batch_first = True
    return model


@mistake_of("to_torch_rnn")
def to_torch_rnn__uses_relu(W_x, W_h, b):
    import torch

    H, D = W_x.shape
    model = torch.nn.RNN(D, H, nonlinearity="relu", dtype=torch.float64)
    model.load_state_dict(to_torch_rnn(W_x, W_h, b).state_dict())
    return model


@mistake_of("to_torch_rnn")
def to_torch_rnn__changes_the_given_bias(W_x, W_h, b):
    model = to_torch_rnn(W_x, W_h, b)
    b /= 2
    return model
