"""Chapter 10: gates unrolled into weights, attention forward and backward, and what it costs.

Scores, masks and weights are (S, B), keys and values (S, B, E): the source position comes first.
"""

import numpy as np

from autograder.reference.gru import gru_step

Array = np.ndarray


def unrolled_cell_weights(f: Array, i: Array) -> Array:
    """The weight of each candidate g_t in the last cell state of an LSTM, w_t = i_t * f_{t+1} ... f_T.

    f, i (T, B, H), the forget and the input gates -> (T, B, H). With these weights
    c_T = sum_t w_t * g_t + f_1 ... f_T * c_0: c_t = f_t * c_{t-1} + i_t * g_t, multiplied out.
    """
    weights = np.empty_like(f)
    kept = np.ones_like(f[0])  # the share of c_t that is left at the end: the gates after t
    for t in reversed(range(len(f))):
        weights[t] = i[t] * kept
        kept = kept * f[t]
    return weights


def unrolled_gru_weights(z: Array) -> Array:
    """The weights of h_0 and of each candidate n_t in the last state of a GRU (PyTorch's form).

    z (T, B, H) -> (T + 1, B, H): entry 0 is the weight z_1 ... z_T of h_0, and entry t, from 1 to T,
    the weight (1 - z_t) z_{t+1} ... z_T of n_t. They are not negative, and sum to 1 over axis 0.
    """
    weights = np.empty((len(z) + 1, *z.shape[1:]))
    kept = np.ones(z.shape[1:])
    for t in range(len(z), 0, -1):
        weights[t] = (1 - z[t - 1]) * kept  # z[t - 1] is the gate of step t
        kept = kept * z[t - 1]
    weights[0] = kept
    return weights


def additive_scores(query: Array, keys: Array, W_q: Array, W_k: Array, v: Array) -> Array:
    """How well each key answers the query: v . tanh(W_q q + W_k k).

    query (B, Q), keys (S, B, E), W_q (A, Q), W_k (A, E), v (A,) -> (S, B).
    Source: Bahdanau, Cho & Bengio (2015), appendix A.1.2.
    """
    return np.tanh(query @ W_q.T + keys @ W_k.T) @ v  # the query's (B, A) serves all S positions


def masked_softmax(scores: Array, mask: Array) -> Array:
    """A softmax over axis 0 in which masked positions have the weight 0, exactly.

    scores (S, B), mask (S, B), True where a position is real -> (S, B). Each column sums to 1; one
    without a real position is all zeros. Nothing that stands at a masked position matters.
    """
    held = np.where(mask, scores, -np.inf)
    top = held.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)  # a column without a real position has no largest
    weights = np.exp(held - top)  # exp(-inf) is exactly 0
    total = weights.sum(axis=0)
    return weights / np.where(total > 0, total, 1.0)


def context_vector(weights: Array, values: Array) -> Array:
    """The weighted sum of the values of each sequence, over its source positions.

    weights (S, B), values (S, B, E) -> (B, E).
    """
    return (weights[..., None] * values).sum(axis=0)


def attention_backward(dcontext: Array, weights: Array, values: Array) -> tuple[Array, Array]:
    """Backward through the context and through the softmax that made its weights.

    dcontext (B, E), weights (S, B), values (S, B, E) -> (dscores (S, B), dvalues (S, B, E)).
    A weight's gradient counts only by how far it is above the weighted mean of its column:
    dscores = w * (dw - sum_s w dw). A column of zeros gets zeros.
    """
    dweights = (dcontext * values).sum(axis=-1)
    mean = (weights * dweights).sum(axis=0)
    return weights * (dweights - mean), weights[..., None] * dcontext


def attention_decoder_step(
    y: Array, h: Array, keys: Array, mask: Array, params: dict[str, Array]
) -> tuple[Array, Array]:
    """One step of a decoder that looks back: score the keys with h, read [y, context] with a GRU.

    y (B, D), an embedded token; h (B, H); keys (S, B, E), which are the values too; mask (S, B);
    params: W_q (A, H), W_k (A, E), v (A,), W_x (3H, D + E), W_h (3H, H), b_x, b_h (3H,).
    Returns (h_next (B, H), weights (S, B)). Where nothing is real, weights and context are zero.
    Source: Bahdanau, Cho & Bengio (2015), whose GRU resets before the product; here PyTorch's form.
    """
    scores = additive_scores(h, keys, params["W_q"], params["W_k"], params["v"])
    weights = masked_softmax(scores, mask)
    x = np.concatenate([y, context_vector(weights, keys)], axis=1)
    h_next = gru_step(x, h, params["W_x"], params["W_h"], params["b_x"], params["b_h"])
    return h_next, weights


def dot_product_attention(Q: Array, K: Array, V: Array, mask: Array | None = None) -> Array:
    """softmax(Q K^T / sqrt(d)) V, batch first (Vaswani et al., 2017, equation 1).

    Q (B, Tq, d), K (B, Tk, d), V (B, Tk, Dv), mask (B, Tq, Tk), True where the query of that row
    may look -> (B, Tq, Dv). A query that may look nowhere gets zeros.
    """
    scores = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[-1])
    if mask is None:
        mask = np.ones(scores.shape, dtype=bool)
    # `masked_softmax` works over axis 0: the keys go there, and come back.
    weights = np.moveaxis(masked_softmax(np.moveaxis(scores, 2, 0), np.moveaxis(mask, 2, 0)), 0, 2)
    return weights @ V


def alignment_entropy(weights: Array) -> Array:
    """How spread out each column of weights is: -sum_s w ln w, in nats, with 0 ln 0 = 0.

    weights (S, B), not negative -> (B,): 0 where all weight is in one place, ln S where it is even.
    """
    logarithms = np.log(np.where(weights > 0, weights, 1.0))  # ln 1 = 0 stands in for ln 0
    return 0.0 - (weights * logarithms).sum(axis=0)  # where the sum is 0, its negative is -0


def max_path_length(kind: str, n: int) -> int:
    """The steps that a signal has to take between the two positions, of n >= 2, farthest apart.

    kind: "rnn", one step for each place (in one direction of one layer); "self-attention", where
    every position reads every other; "convolution", centred and of width 3, so that one layer moves
    a signal by one place. Another kind raises ValueError. Source: Vaswani et al. (2017), table 1,
    which has dilated convolutions in their place.
    """
    if kind in ("rnn", "convolution"):
        return n - 1
    if kind == "self-attention":
        return 1
    raise ValueError(f"no such kind of layer: {kind!r}")


def sequential_operations(kind: str, n: int) -> int:
    """How many operations of one layer have to wait for each other, at n positions.

    kind: "rnn", whose state waits for the state before; "self-attention" and "convolution", whose
    positions wait for nothing. Another kind raises ValueError. Source: Vaswani et al. (2017),
    table 1.
    """
    if kind == "rnn":
        return n
    if kind in ("self-attention", "convolution"):
        return 1
    raise ValueError(f"no such kind of layer: {kind!r}")
