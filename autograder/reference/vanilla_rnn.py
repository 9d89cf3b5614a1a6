"""Chapter 1: the vanilla RNN, from one step to a read-out, a loss and a choice of tokens."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Array = np.ndarray


def sigmoid(a: Array | float) -> Array | float:
    """The logistic function 1 / (1 + exp(-a)), entry by entry, without overflow at any finite a.

    a: an array of any shape (0-d too) or a number; the result is like it. The exponent is -|a|,
    never positive: 1 / (1 + exp(-|a|)) where a >= 0, exp(-|a|) / (1 + exp(-|a|)) where a < 0.
    """
    small = np.exp(-np.abs(a))  # in (0, 1]
    return np.where(np.asarray(a) >= 0, 1.0, small) / (1.0 + small)


def rnn_step(x: Array, h: Array, W_x: Array, W_h: Array, b: Array) -> Array:
    """One step of the tanh cell, h_next = tanh(W_x x + W_h h + b) (Elman, 1990).

    x (B, D), h (B, H), W_x (H, D), W_h (H, H), b (H,) -> h_next (B, H). The equation has columns,
    a batch has rows, so the matrices stand transposed on the right.
    """
    return np.tanh(x @ W_x.T + h @ W_h.T + b)


def rnn_forward(x: Array, h0: Array, W_x: Array, W_h: Array, b: Array) -> Array:
    """The same step, repeated over a sequence: h_t = tanh(W_x x_t + W_h h_{t-1} + b) (Elman, 1990).

    x (T, B, D), h0 (B, H), W_x (H, D), W_h (H, H), b (H,) -> hs (T, B, H), where hs[0] is the
    state after the first input; h0 is not among them.
    """
    hs = np.empty((len(x), *h0.shape))
    h = h0
    for t in range(len(x)):
        h = rnn_step(x[t], h, W_x, W_h, b)
        hs[t] = h
    return hs


def softmax_cross_entropy(logits: Array, targets: Array, mask: Array) -> tuple[float, Array]:
    """Mean of -ln softmax(logits)[target] over the unmasked positions, and its gradient.

    logits (T, B, V); targets (T, B), ints in 0..V-1; mask (T, B), True where a position counts.
    Returns (loss, dlogits (T, B, V)); 0.0 and zeros where nothing counts. With N positions that
    count, dlogits = mask / N * (softmax(logits) - onehot(targets)) (Bridle, 1990).
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    # ln p, never the logarithm of a computed p, which may have underflowed to zero.
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    onehot = np.arange(logits.shape[-1]) == targets[..., None]
    N = max(mask.sum(), 1)  # the sums are zero where nothing counts, and zero they remain
    nll = -np.where(onehot, log_p, 0.0).sum(axis=-1)
    loss = float(np.where(mask, nll, 0.0).sum() / N)
    return loss, mask[..., None] * (np.exp(log_p) - onehot) / N


def token_distribution(logits: Array, temperature: float) -> Array:
    """The probabilities softmax(logits / temperature) over the last axis.

    logits (..., V), temperature >= 0 -> (..., V), each row of which sums to 1. At temperature 0
    all mass is on the largest logit, the first of them where several are equal.
    Source: Ackley, Hinton & Sejnowski (1985).
    """
    if temperature == 0:
        return np.eye(logits.shape[-1])[logits.argmax(axis=-1)]
    # Shift first: what is divided by a small temperature is then never positive.
    p = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return p / p.sum(axis=-1, keepdims=True)


def rnn_parameter_count(D: int, H: int, V: int) -> int:
    """Learned numbers in a tanh cell with one bias and a linear read-out with bias.

    D inputs, H hidden units, V outputs: W_x (H, D), W_h (H, H), b (H,), W_y (V, H), b_y (V,).
    """
    cell = H * D + H * H + H
    read_out = V * H + V
    return cell + read_out


def to_torch_rnn(W_x: Array, W_h: Array, b: Array) -> "torch.nn.RNN":
    """The network of `rnn_forward` as a float64, time-major torch.nn.RNN with copies of the weights.

    W_x (H, D), W_h (H, H), b (H,). The module takes x (T, B, D) and h0 (1, B, H) and returns all
    states (T, B, H) and the last one (1, B, H). PyTorch keeps two biases, of which only the sum
    acts: the first is b, the second zero.
    """
    import torch

    H, D = W_x.shape
    model = torch.nn.RNN(D, H, dtype=torch.float64)
    with torch.no_grad():
        model.weight_ih_l0.copy_(torch.tensor(W_x))  # copy_ writes into the module's own memory
        model.weight_hh_l0.copy_(torch.tensor(W_h))
        model.bias_ih_l0.copy_(torch.tensor(b))
        model.bias_hh_l0.zero_()
    return model
