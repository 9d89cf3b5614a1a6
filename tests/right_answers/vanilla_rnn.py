"""Chapter 1: right answers, written otherwise than the reference."""

import functools
import itertools
import math

import numpy as np


def sigmoid__by_tanh(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


def sigmoid__masks(a):
    a = np.asarray(a, dtype=float)
    result = np.empty_like(a)
    positive = a >= 0
    result[positive] = 1 / (1 + np.exp(-a[positive]))
    e = np.exp(a[~positive])
    result[~positive] = e / (1 + e)
    return result


def sigmoid__one_number_at_a_time(a):
    def one(number):
        if number >= 0:
            return 1 / (1 + math.exp(-number))
        return math.exp(number) / (1 + math.exp(number))

    if np.ndim(a) == 0:
        return one(float(a))
    return np.array([one(number) for number in a.ravel()]).reshape(a.shape)


def sigmoid__logarithm_first(a):
    return np.exp(-np.logaddexp(0.0, -a))


def sigmoid__clipped_where_it_cannot_matter(a):
    return 1 / (1 + np.exp(-np.clip(a, -500, 500)))


def rnn_step__einsum(x, h, W_x, W_h, b):
    return np.tanh(np.einsum("bd,hd->bh", x, W_x) + np.einsum("bk,hk->bh", h, W_h) + b)


def rnn_step__loops(x, h, W_x, W_h, b):
    (B, D), H = x.shape, len(b)
    h_next = np.empty((B, H))
    for n, i in itertools.product(range(B), range(H)):
        a = b[i]
        for d in range(D):
            a += W_x[i, d] * x[n, d]
        for j in range(H):
            a += W_h[i, j] * h[n, j]
        h_next[n, i] = math.tanh(a)
    return h_next


def rnn_step__one_matrix_for_all(x, h, W_x, W_h, b):
    W = np.hstack([W_x, W_h, b[:, None]])
    return np.tanh(W @ np.hstack([x, h, np.ones((len(x), 1))]).T).T


def rnn_forward__inputs_of_all_steps_at_once(x, h0, W_x, W_h, b):
    drive, hs = x @ W_x.T + b, [h0]
    for a in drive:
        hs.append(np.tanh(a + hs[-1] @ W_h.T))
    return np.array(hs[1:])


def rnn_forward__each_sequence_by_itself(x, h0, W_x, W_h, b):
    T, B, _ = x.shape
    hs = np.zeros((T, B, len(b)))
    for n in range(B):
        h = h0[n]
        for t in range(T):
            h = np.tanh(W_x.dot(x[t, n]) + W_h.dot(h) + b)
            hs[t, n, :] = h
    return hs


def rnn_forward__recursion(x, h0, W_x, W_h, b):
    if len(x) == 0:
        return np.empty((0, *h0.shape))
    h = np.tanh(np.inner(x[0], W_x) + np.inner(h0, W_h) + b)
    return np.concatenate([[h], rnn_forward__recursion(x[1:], h, W_x, W_h, b)])


def rnn_forward__accumulate_in_fortran_order(x, h0, W_x, W_h, b):
    def step(h, x_t):
        return np.tanh(np.tensordot(x_t, W_x, (1, 1)) + np.tensordot(h, W_h, (1, 1)) + b)

    return np.asfortranarray(list(itertools.accumulate(x, step, initial=h0))[1:])


def softmax_cross_entropy__only_positions_that_count(logits, targets, mask):
    dlogits = np.zeros_like(logits)
    if not mask.any():
        return [np.array(0.0), dlogits]
    chosen, right = logits[mask], targets[mask]
    rows = np.arange(len(chosen))
    log_p = chosen - np.logaddexp.reduce(chosen, axis=1, keepdims=True)
    grad = np.exp(log_p)
    grad[rows, right] -= 1
    dlogits[mask] = grad / len(chosen)
    return [-log_p[rows, right].mean(), dlogits]


def softmax_cross_entropy__loops(logits, targets, mask):
    T, B, V = logits.shape
    N, loss = int(mask.sum()), 0.0
    dlogits = np.zeros((T, B, V))
    for t in range(T):
        for n in range(B):
            if not mask[t, n]:
                continue
            scores = logits[t, n].tolist()
            top = max(scores)
            total = sum(math.exp(s - top) for s in scores)
            y = int(targets[t, n])
            loss += (top - scores[y] + math.log(total)) / N
            for k in range(V):
                dlogits[t, n, k] = (math.exp(scores[k] - top) / total - (k == y)) / N
    return loss, dlogits


def softmax_cross_entropy__weights(logits, targets, mask):
    weights = mask / max(1, np.count_nonzero(mask))
    onehot = np.eye(logits.shape[-1])[targets]
    differences = logits - (logits * onehot).sum(-1)[..., None]  # to the target's logit
    top = differences.max(-1)
    total = np.exp(differences - top[..., None]).sum(-1)
    loss = np.einsum("tb,tb->", weights, top + np.log(total))
    p = np.exp(differences - top[..., None]) / total[..., None]
    return loss, np.einsum("tb,tbv->tbv", weights, p - onehot)


def token_distribution__row_by_row(logits, temperature):
    if logits.ndim > 1:
        return np.array([token_distribution__row_by_row(row, temperature) for row in logits])
    best = max(range(len(logits)), key=lambda k: logits[k])
    if temperature == 0:
        return np.array([1.0 if k == best else 0.0 for k in range(len(logits))])
    weights = [math.exp((s - logits[best]) / temperature) for s in logits]
    return np.array(weights) / math.fsum(weights)


def token_distribution__log_sum_exp(logits, temperature):
    if not temperature:
        p = np.zeros(logits.shape)
        np.put_along_axis(p, np.argmax(logits, axis=-1, keepdims=True), 1.0, axis=-1)
        return p
    scaled = logits / temperature
    return np.exp(scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True))


def token_distribution__differences_of_pairs(logits, temperature):
    if temperature > 0:
        differences = (logits[..., None, :] - logits[..., :, None]) / temperature
        return 1 / np.exp(np.minimum(differences, 700)).sum(axis=-1)
    first = np.cumsum(logits == logits.max(-1, keepdims=True), axis=-1) == 1
    return (first & (logits == logits.max(-1)[..., None])).astype(float)


def rnn_parameter_count__shapes(D, H, V):
    return sum(math.prod(shape) for shape in [(H, D), (H, H), (H,), (V, H), (V,)])


def rnn_parameter_count__inputs_and_a_constant_one(D, H, V):
    return np.int64(H * (D + H + 1) + V * (H + 1))


def rnn_parameter_count__arrays(D, H, V):
    ones = functools.partial(np.broadcast_to, 1)
    return ones((H, D + H + 1)).size + ones((H + 1, V)).size


def to_torch_rnn__state_dict(W_x, W_h, b):
    import torch

    rnn = torch.nn.RNN(input_size=W_x.shape[1], hidden_size=W_x.shape[0]).double()
    rnn.load_state_dict(
        {
            "weight_ih_l0": torch.from_numpy(W_x),
            "weight_hh_l0": torch.from_numpy(W_h),
            "bias_ih_l0": torch.zeros(len(b)),
            "bias_hh_l0": torch.from_numpy(b),
        }
    )
    return rnn


def to_torch_rnn__new_parameters_and_half_a_bias_each(W_x, W_h, b):
    import torch

    rnn = torch.nn.RNN(W_x.shape[1], len(b), 1)
    for name, value in [
        ("weight_ih_l0", W_x),
        ("weight_hh_l0", W_h),
        ("bias_ih_l0", b / 2),
        ("bias_hh_l0", b / 2),
    ]:
        setattr(rnn, name, torch.nn.Parameter(torch.tensor(value)))
    return rnn


def to_torch_rnn__in_place_on_data(W_x, W_h, b):
    import torch

    class Cell(torch.nn.RNN):
        """A subclass is an RNN too."""

    rnn = Cell(W_x.shape[1], W_h.shape[1], nonlinearity="tanh", dtype=torch.float64)
    values = [W_x, W_h, 3 * b, -2 * b]
    for parameter, value in zip(rnn.all_weights[0], values, strict=True):
        parameter.data[:] = torch.as_tensor(value)
        parameter.requires_grad_(False)
    return rnn
