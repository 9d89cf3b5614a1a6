"""Chapter 4: the LSTM, from the constant error carousel to today's cell."""

from typing import TYPE_CHECKING

import numpy as np

from autograder.reference.vanilla_rnn import sigmoid

if TYPE_CHECKING:
    import torch

Array = np.ndarray


def carousel_step(
    x: Array, h: Array, c: Array, W_x: Array, W_h: Array, b: Array
) -> tuple[Array, Array]:
    """One step of the cell of 1997: the old cell state is kept whole, and nothing can remove it.

    x (B, D), h (B, H), c (B, H); W_x (3H, D), W_h (3H, H), b (3H,) hold the input gate i, the
    candidate g and the output gate o. Returns (h_next, c_next), each (B, H):
    c_next = c + i * g, h_next = o * tanh(c_next). Source: Hochreiter & Schmidhuber (1997), whose
    squashing functions have other ranges: g from -2 to 2, and h = o * (2 sigmoid(c) - 1).
    """
    a_i, a_g, a_o = np.split(x @ W_x.T + h @ W_h.T + b, 3, axis=1)
    c_next = c + sigmoid(a_i) * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(c_next), c_next


def lstm_gates(
    x: Array, h: Array, W_x: Array, W_h: Array, b: Array
) -> tuple[Array, Array, Array, Array]:
    """The input gate, forget gate, candidate and output gate of one step, after their nonlinearity.

    x (B, D), h (B, H), W_x (4H, D), W_h (4H, H), b (4H,), one block of H rows for each of
    i, f, g, o -> (i, f, g, o), each (B, H). Source: Gers, Schmidhuber & Cummins (2000).
    """
    a_i, a_f, a_g, a_o = np.split(x @ W_x.T + h @ W_h.T + b, 4, axis=1)
    return sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)


def lstm_step(
    x: Array, h: Array, c: Array, W_x: Array, W_h: Array, b: Array
) -> tuple[Array, Array]:
    """One step of today's LSTM, the one in torch.nn.LSTM.

    x (B, D), h (B, H), c (B, H), W_x (4H, D), W_h (4H, H), b (4H,) -> (h_next, c_next), each
    (B, H): c_next = f * c + i * g, h_next = o * tanh(c_next).
    Source: Gers, Schmidhuber & Cummins (2000), here without peepholes.
    """
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next


def lstm_forward(
    x: Array, h0: Array, c0: Array, W_x: Array, W_h: Array, b: Array
) -> tuple[Array, Array]:
    """The same step, repeated over a sequence.

    x (T, B, D), h0 (B, H), c0 (B, H), W_x (4H, D), W_h (4H, H), b (4H,) -> (hs, cs), each
    (T, B, H): the states after each step. h0 and c0 are not among them.
    """
    hs, cs = np.empty((len(x), *h0.shape)), np.empty((len(x), *c0.shape))
    h, c = h0, c0
    for t in range(len(x)):
        h, c = lstm_step(x[t], h, c, W_x, W_h, b)
        hs[t], cs[t] = h, c
    return hs, cs


def fuse_gate_weights(
    W_f: Array,
    W_i: Array,
    W_c: Array,
    W_o: Array,
    b_f: Array,
    b_i: Array,
    b_c: Array,
    b_o: Array,
) -> tuple[Array, Array, Array]:
    """One matrix for the input, one for the state and one bias, from a matrix for each gate.

    W_f, W_i, W_c, W_o (H, H + D) act on [h, x], the state first; W_c makes the candidate;
    b_f, b_i, b_c, b_o (H,). Returns (W_x (4H, D), W_h (4H, H), b (4H,)), stacked i, f, g, o, the
    layout of torch.nn.LSTM. A product with a joined vector is a sum of two products:
    W [h, x] = W[:, :H] h + W[:, H:] x.
    """
    H = len(b_f)
    W = np.concatenate([W_i, W_f, W_c, W_o])
    b = np.concatenate([b_i, b_f, b_c, b_o])
    return W[:, H:], W[:, :H], b


def set_forget_bias(lstm: "torch.nn.LSTM", value: float) -> "torch.nn.LSTM":
    """Set the forget bias of every layer and direction of an LSTM to `value`, in place.

    lstm: any torch.nn.LSTM, also with layers, two directions or projections; it is returned.
    PyTorch adds two biases, so the forget rows (H to 2H) of one become `value` and those of the
    other zero. Everything else stays as it is. Raises ValueError for an LSTM without biases.
    Source: Gers, Schmidhuber & Cummins (2000); Jozefowicz, Zaremba & Sutskever (2015).
    """
    import torch

    if not lstm.bias:
        raise ValueError("this LSTM has no biases (it was made with bias=False)")
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)
    with torch.no_grad():  # setting a start value is no part of what is differentiated
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias_ih"):
                parameter[forget] = value
            elif name.startswith("bias_hh"):
                parameter[forget] = 0.0
    return lstm


def peephole_lstm_step(
    x: Array,
    h: Array,
    c: Array,
    W_x: Array,
    W_h: Array,
    b: Array,
    p_i: Array,
    p_f: Array,
    p_o: Array,
) -> tuple[Array, Array]:
    """One step of an LSTM whose gates see the cell state, each unit its own (diagonal peepholes).

    x (B, D), h (B, H), c (B, H), W_x (4H, D), W_h (4H, H), b (4H,) stacked i, f, g, o; p_i, p_f,
    p_o (H,). i and f see the old c, o sees c_next; the candidate sees none. Returns
    (h_next, c_next), each (B, H). Source: Gers & Schmidhuber (2000).
    """
    a_i, a_f, a_g, a_o = np.split(x @ W_x.T + h @ W_h.T + b, 4, axis=1)
    i, f, g = sigmoid(a_i + p_i * c), sigmoid(a_f + p_f * c), np.tanh(a_g)
    c_next = f * c + i * g
    o = sigmoid(a_o + p_o * c_next)  # it decides last, so it can see what it will let through
    return o * np.tanh(c_next), c_next


def lstm_parameter_count(
    input_size: int, hidden_size: int, num_layers: int = 1, bidirectional: bool = False
) -> int:
    """Learned numbers in a torch.nn.LSTM, which keeps two biases in each layer and direction.

    A layer and direction that reads R numbers has W_x (4H, R), W_h (4H, H) and two biases (4H,).
    The first layer reads the input, each later one what the layer below puts out: H numbers, or
    2H where there are two directions.
    """
    H, directions = hidden_size, 2 if bidirectional else 1
    reads = [input_size] + [directions * H] * (num_layers - 1)
    return directions * sum(4 * H * R + 4 * H * H + 2 * 4 * H for R in reads)
