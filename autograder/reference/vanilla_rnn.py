"""Chapter 1: the vanilla RNN."""

import numpy as np


def rnn_step(x, h, W_x, W_h, b):
    """One step of the tanh cell (Elman, 1990).

    x (B, D), h (B, H), W_x (H, D), W_h (H, H), b (H,) -> h_next (B, H)
    """
    return np.tanh(x @ W_x.T + h @ W_h.T + b)
