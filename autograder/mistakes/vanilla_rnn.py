"""Chapter 1: how the vanilla RNN goes wrong."""

import numpy as np

from autograder.mistakes import mistake_of


@mistake_of("rnn_step")
def rnn_step__forgets_the_bias(x, h, W_x, W_h, b):
    return np.tanh(x @ W_x.T + h @ W_h.T)
