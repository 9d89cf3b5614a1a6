"""Chapter 6: the GRU, in two of its dialects, backward, and its size.

Gates are stacked r, z, n along axis 0 of W_x (3H, D), W_h (3H, H) and the biases (3H,).
"""

import numpy as np

from autograder.reference.vanilla_rnn import sigmoid

Array = np.ndarray


def gru_step(x: Array, h: Array, W_x: Array, W_h: Array, b_x: Array, b_h: Array) -> Array:
    """One step of the GRU as PyTorch computes it: the reset gate acts after the matrix product.

    r = sigmoid(W_xr x + b_xr + W_hr h + b_hr), z likewise;
    n = tanh(W_xn x + b_xn + r * (W_hn h + b_hn)); h_next = (1 - z) * n + z * h.
    x (B, D), h (B, H), W_x (3H, D), W_h (3H, H), b_x (3H,), b_h (3H,) -> h_next (B, H).
    Source: the first version of Cho et al. (2014), arXiv 1406.1078v1; the documentation of
    torch.nn.GRU.
    """
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=1)
    h_r, h_z, a = np.split(h @ W_h.T + b_h, 3, axis=1)
    r = sigmoid(x_r + h_r)
    z = sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * a)
    return (1 - z) * n + z * h


def gru_step_cho(x: Array, h: Array, W_x: Array, W_h: Array, b: Array) -> Array:
    """One step of the GRU as it was published: the reset gate acts on the state, before the product.

    n = tanh(W_xn x + W_hn (r * h) + b_n), h_next = z * h + (1 - z) * n.
    x (B, D), h (B, H), W_x (3H, D), W_h (3H, H), b (3H,) -> h_next (B, H).
    Source: Cho et al. (2014), equations 5 to 8, which leave the biases out.
    """
    W_hr, W_hz, W_hn = np.split(W_h, 3)
    x_r, x_z, x_n = np.split(x @ W_x.T + b, 3, axis=1)
    r = sigmoid(x_r + h @ W_hr.T)
    z = sigmoid(x_z + h @ W_hz.T)
    n = np.tanh(x_n + (r * h) @ W_hn.T)
    return z * h + (1 - z) * n


def gru_forward(x: Array, h0: Array, W_x: Array, W_h: Array, b_x: Array, b_h: Array) -> Array:
    """`gru_step`, repeated over a sequence.

    x (T, B, D), h0 (B, H), W_x (3H, D), W_h (3H, H), b_x, b_h (3H,) -> hs (T, B, H), where hs[0]
    is the state after the first input; h0 is not among them.
    """
    hs = np.empty((len(x), *h0.shape))
    h = h0
    for t in range(len(x)):
        h = gru_step(x[t], h, W_x, W_h, b_x, b_h)
        hs[t] = h
    return hs


def gru_step_backward(
    dh_next: Array,
    x: Array,
    h: Array,
    r: Array,
    z: Array,
    n: Array,
    a: Array,
    W_x: Array,
    W_h: Array,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Backward through one `gru_step`.

    dh_next (B, H) is dL/dh_next; x (B, D), h (B, H); r, z, n (B, H) after their nonlinearities;
    a = W_hn h + b_hn (B, H), before the reset gate; W_x (3H, D), W_h (3H, H). Returns
    (dx (B, D), dh (B, H), dW_x (3H, D), dW_h (3H, H), db_x (3H,), db_h (3H,)), summed over the
    batch where the batch shares a parameter. The deltas differ between the two sides only in the
    candidate's block, where the recurrent side lies behind the reset gate.
    """
    delta_n = dh_next * (1 - z) * (1 - n**2)
    delta_z = dh_next * (h - n) * z * (1 - z)
    delta_r = delta_n * a * r * (1 - r)
    delta_x = np.hstack([delta_r, delta_z, delta_n])  # at W_x x + b_x
    delta_h = np.hstack([delta_r, delta_z, delta_n * r])  # at W_h h + b_h
    dx = delta_x @ W_x
    dh = dh_next * z + delta_h @ W_h
    return dx, dh, delta_x.T @ x, delta_h.T @ h, delta_x.sum(axis=0), delta_h.sum(axis=0)


def flip_update_gate(
    W_x: Array, W_h: Array, b_x: Array, b_h: Array
) -> tuple[Array, Array, Array, Array]:
    """New parameters for the convention h_next = z * n + (1 - z) * h, which compute the same.

    W_x (3H, D), W_h (3H, H), b_x, b_h (3H,) -> four arrays of the same shapes. As
    sigmoid(-a) = 1 - sigmoid(a), the rows of z change their sign, and nothing else does.
    """
    H = W_h.shape[1]
    sign = np.repeat([1.0, -1.0, 1.0], H)
    return sign[:, None] * W_x, sign[:, None] * W_h, sign * b_x, sign * b_h


def _layer_count(blocks: int, inputs: int, hidden: int) -> int:
    """Parameters of one layer in one direction with two biases: 3 blocks a GRU, 4 an LSTM."""
    return blocks * hidden * (inputs + hidden + 2)


def gru_parameter_count(
    input_size: int, hidden_size: int, num_layers: int = 1, bidirectional: bool = False
) -> int:
    """Learned numbers in a torch.nn.GRU of these sizes, which keeps two biases.

    The layers above the first read the states below: those of both directions, where there are two.
    """
    directions = 2 if bidirectional else 1
    first = _layer_count(3, input_size, hidden_size)
    above = _layer_count(3, directions * hidden_size, hidden_size)
    return directions * (first + (num_layers - 1) * above)


def matching_gru_width(input_size: int, lstm_hidden: int) -> int:
    """The width whose one-layer torch.nn.GRU is nearest in size to that torch.nn.LSTM.

    Nearest in the number of parameters, the smaller width where two are equally near. All in
    integers, so it is exact at any size.
    """
    size = _layer_count(4, input_size, lstm_hidden)
    width = lstm_hidden  # at which the GRU is 3/4 of the size
    while _layer_count(3, input_size, width + 1) <= size:
        width += 1
    below = size - _layer_count(3, input_size, width)
    above = _layer_count(3, input_size, width + 1) - size
    return width if below <= above else width + 1


def update_highway(z: Array) -> Array:
    """The direct path dh_{T-1}/dh_t through the term z * h, in PyTorch's convention.

    z (T, B, H), the update gates of all steps -> (T, B, H), entry t the product of
    z[t + 1], ..., z[T - 1]; the last entry is ones.
    """
    highway = np.ones_like(z)
    for t in reversed(range(len(z) - 1)):
        highway[t] = z[t + 1] * highway[t + 1]
    return highway
