"""Chapter 2: backpropagation through time, and how to check a gradient."""

from collections.abc import Callable

import numpy as np

Array = np.ndarray


def rnn_step_backward(
    dh_next: Array, x: Array, h: Array, h_next: Array, W_x: Array, W_h: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Backward through one tanh step, h_next = tanh(W_x x + W_h h + b).

    dh_next (B, H) is dL/dh_next; x (B, D), h (B, H), h_next (B, H), W_x (H, D), W_h (H, H).
    Returns (dx (B, D), dh (B, H), dW_x (H, D), dW_h (H, H), db (H,)), summed over the batch where
    the batch shares a parameter. Source: Rumelhart, Hinton & Williams (1986).
    """
    da = dh_next * (1 - h_next**2)  # tanh' in terms of its own output
    return da @ W_x, da @ W_h, da.T @ x, da.T @ h, da.sum(axis=0)


def rnn_backward(
    dhs: Array, x: Array, h0: Array, hs: Array, W_x: Array, W_h: Array
) -> dict[str, Array]:
    """Backpropagation through time (Werbos, 1990).

    dhs (T, B, H): what the loss itself sends into each state; x (T, B, D), h0 (B, H),
    hs (T, B, H) all states, W_x (H, D), W_h (H, H). Returns a dict of the gradients of x, h0, W_x,
    W_h and b, each in the shape of what it belongs to.
    """
    previous = np.concatenate([h0[None], hs[:-1]])  # the state that each step starts from
    dx, dW_x, dW_h = np.empty_like(x), np.zeros_like(W_x), np.zeros_like(W_h)
    db = np.zeros(len(W_h))
    dh_later = np.zeros_like(h0)  # what the steps after t send into the state after step t
    for t in reversed(range(len(x))):
        dx[t], dh_later, dW_x_t, dW_h_t, db_t = rnn_step_backward(
            dhs[t] + dh_later, x[t], previous[t], hs[t], W_x, W_h
        )
        dW_x += dW_x_t  # one matrix, used at every step: its gradients add
        dW_h += dW_h_t
        db += db_t
    return {"x": dx, "h0": dh_later, "W_x": dW_x, "W_h": dW_h, "b": db}


def numerical_gradient(f: Callable[[Array], float], x: Array, eps: float = 1e-5) -> Array:
    """Central differences of the scalar f(array): (f(x + eps e_i) - f(x - eps e_i)) / (2 eps).

    x: float array of any shape and memory layout, 0-d too. It is perturbed in place, and bit for
    bit what it was at the end. Returns an array of the shape of x. The error is of order eps**2.
    """
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        value = x[index]  # putting it back is exact; subtracting eps again would not be
        x[index] = value + eps
        above = f(x)
        x[index] = value - eps
        below = f(x)
        x[index] = value
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def relative_error(a: Array, b: Array) -> float:
    """The largest |a - b| / max(1e-8, |a| + |b|) over the entries of two arrays of one shape."""
    return float(np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))))


def state_gradients(dh_last: Array, hs: Array, W_h: Array) -> Array:
    """dL/dh_t at every step, where the loss reads only the last state.

    dh_last (B, H), hs (T, B, H), W_h (H, H) -> (T, B, H), whose last entry is dh_last: a product of
    the transposed Jacobians W_h^T diag(1 - h_t^2), step by step (Pascanu, Mikolov & Bengio, 2013).
    """
    gradients = np.empty_like(hs)
    gradients[-1] = dh_last
    for t in reversed(range(len(hs) - 1)):
        gradients[t] = (gradients[t + 1] * (1 - hs[t + 1] ** 2)) @ W_h
    return gradients


def truncated_rnn_backward(
    dhs: Array, x: Array, h0: Array, hs: Array, W_x: Array, W_h: Array, window: int
) -> dict[str, Array]:
    """Backpropagation through time in which no gradient crosses from a block into the one before.

    Arguments and result as in `rnn_backward`. Blocks of `window` >= 1 steps are counted from t = 0,
    and the last may be shorter. States still cross, as constants; h0 gets the first block's
    gradient. This is what a loop that detaches the state after every block computes
    (Williams & Peng, 1990, in its simplest form).
    """
    blocks = []
    for start in range(0, len(x), window):
        steps = slice(start, start + window)
        entering = h0 if start == 0 else hs[start - 1]  # its value crosses, as a constant
        blocks.append(rnn_backward(dhs[steps], x[steps], entering, hs[steps], W_x, W_h))
    return {
        "x": np.concatenate([block["x"] for block in blocks]),
        "h0": blocks[0]["h0"],
        **{name: sum(block[name] for block in blocks) for name in ("W_x", "W_h", "b")},
    }
