"""Chapter 6: right answers, written otherwise than the reference."""

import bisect
import functools
import itertools
import math

import numpy as np


def _sigmoid(a):
    return 0.5 + 0.5 * np.tanh(a / 2)


def gru_step__one_block_at_a_time(x, h, W_x, W_h, b_x, b_h):
    H = h.shape[1]
    W_xr, W_xz, W_xn = W_x[:H], W_x[H : 2 * H], W_x[2 * H :]
    W_hr, W_hz, W_hn = W_h.reshape(3, H, H)
    r = 1 / (1 + np.exp(-(x @ W_xr.T + h @ W_hr.T + b_x[:H] + b_h[:H])))
    z = 1 / (1 + np.exp(-(x @ W_xz.T + h @ W_hz.T + b_x[H : 2 * H] + b_h[H : 2 * H])))
    n = np.tanh(x @ W_xn.T + b_x[-H:] + r * (h @ W_hn.T + b_h[-H:]))
    return n + z * (h - n)


def gru_step__loops(x, h, W_x, W_h, b_x, b_h):
    B, H = h.shape
    h_next = np.empty((B, H))

    def side(row, W, v, b):
        return b[row] + sum(W[row, j] * v[j] for j in range(len(v)))

    for k, i in itertools.product(range(B), range(H)):
        r = 1 / (1 + math.exp(-side(i, W_x, x[k], b_x) - side(i, W_h, h[k], b_h)))
        z = 1 / (1 + math.exp(-side(H + i, W_x, x[k], b_x) - side(H + i, W_h, h[k], b_h)))
        recurrent = r * side(2 * H + i, W_h, h[k], b_h)
        n = math.tanh(side(2 * H + i, W_x, x[k], b_x) + recurrent)
        h_next[k, i] = (1 - z) * n + z * h[k, i]
    return h_next


def gru_step__gates_in_an_axis_of_their_own(x, h, W_x, W_h, b_x, b_h):
    H = h.shape[-1]
    from_x = np.einsum("gid,bd->gbi", W_x.reshape(3, H, -1), x) + b_x.reshape(3, 1, H)
    from_h = np.einsum("gij,bj->gbi", W_h.reshape(3, H, H), h) + b_h.reshape(3, 1, H)
    r, z = _sigmoid(from_x[:2] + from_h[:2])
    both = np.stack([np.tanh(from_x[2] + r * from_h[2]), h])
    return (np.stack([1 - z, z]) * both).sum(axis=0)


def gru_step_cho__diagonal_matrices(x, h, W_x, W_h, b):
    """One sequence at a time: W_hn diag(r) h."""
    out = []
    for x_k, h_k in zip(x, h, strict=True):
        W_r, W_z, W_n = np.vsplit(W_h, 3)
        d_r, d_z, d_n = np.array_split(W_x @ x_k + b, 3)
        R, Z = np.diag(_sigmoid(d_r + W_r @ h_k)), np.diag(_sigmoid(d_z + W_z @ h_k))
        n = np.tanh(d_n + W_n @ R @ h_k)
        out.append(Z @ h_k + n - Z @ n)
    return np.array(out)


def gru_step_cho__inputs_side_by_side(x, h, W_x, W_h, b):
    """The papers' form: one matrix for each gate, acting on [h, x]."""
    H = len(b) // 3
    W = np.hstack([W_h, W_x])
    both = np.hstack([h, x])
    gates = 1 / (1 + np.exp(-(both @ W[: 2 * H].T + b[: 2 * H])))
    r, z = gates[:, :H], gates[:, H:]
    n = np.tanh(np.hstack([r * h, x]) @ W[2 * H :].T + b[2 * H :])
    return h * z + n * (1 - z)


def gru_step_cho__einsum(x, h, W_x, W_h, b):
    from_x = np.einsum("bd,kd->bk", x, W_x) + b
    H = h.shape[1]
    r = _sigmoid(from_x[:, :H] + np.einsum("bj,ij->bi", h, W_h[:H]))
    z = _sigmoid(from_x[:, H:-H] + np.einsum("bj,ij->bi", h, W_h[H:-H]))
    n = np.tanh(from_x[:, -H:] + np.einsum("bj,bj,ij->bi", r, h, W_h[-H:]))
    return np.einsum("kbi,kbi->bi", [z, 1 - z], [h, n])


def gru_forward__inputs_of_all_steps_at_once(x, h0, W_x, W_h, b_x, b_h):
    hs = np.zeros((len(x), *h0.shape))
    before = h0
    for state, drive in zip(hs, x @ W_x.T + b_x, strict=True):
        back = before @ W_h.T + b_h
        H = h0.shape[1]
        r, z = np.split(_sigmoid(drive[:, : 2 * H] + back[:, : 2 * H]), 2, axis=1)
        n = np.tanh(drive[:, 2 * H :] + r * back[:, 2 * H :])
        state[...] = before * z + n * (1 - z)
        before = state
    return hs


def gru_forward__accumulate(x, h0, W_x, W_h, b_x, b_h):
    def step(h, x_t):
        return gru_step__one_block_at_a_time(x_t, h, W_x, W_h, b_x, b_h)

    return np.asfortranarray(list(itertools.accumulate(x, step, initial=h0))[1:])


def gru_forward__each_sequence_by_itself(x, h0, W_x, W_h, b_x, b_h):
    T, B, _ = x.shape
    hs = np.empty((T, B, h0.shape[1]))
    for k in range(B):
        h = h0[k]
        for t in range(T):
            (x_r, x_z, x_n), (h_r, h_z, a) = (
                np.split(W_x @ x[t, k] + b_x, 3),
                np.split(W_h @ h + b_h, 3),
            )
            n = np.tanh(x_n + _sigmoid(x_r + h_r) * a)
            hs[t, k] = h = n + (h - n) / (1 + np.exp(-x_z - h_z))
    return hs


def gru_step_backward__gate_by_gate(dh_next, x, h, r, z, n, a, W_x, W_h):
    H = h.shape[1]
    blocks = [slice(0, H), slice(H, 2 * H), slice(2 * H, 3 * H)]
    dW_x, dW_h = np.zeros_like(W_x), np.zeros_like(W_h)
    db_x, db_h = np.zeros(3 * H), np.zeros(3 * H)
    dx, dh = np.zeros_like(x), z * dh_next
    dn = (1 - z) * dh_next
    da_n = dn - dn * n**2
    dreset = da_n * r
    deltas = [a * da_n * (r - r**2), (h * dh_next - n * dh_next) * (z - z**2), da_n]
    for rows, delta, recurrent in zip(blocks, deltas, [*deltas[:2], dreset], strict=True):
        dx += np.dot(delta, W_x[rows])
        dh += np.dot(recurrent, W_h[rows])
        dW_x[rows] = np.dot(delta.T, x)
        dW_h[rows] = np.dot(recurrent.T, h)
        db_x[rows] = delta.sum(0)
        db_h[rows] = recurrent.sum(0)
    return [dx, dh, dW_x, dW_h, db_x, db_h]


def gru_step_backward__jacobians(dh_next, x, h, r, z, n, a, W_x, W_h):
    """The Jacobian of one sequence's new state with respect to both pre-activations, (H, 6H)."""
    dx, dh, out_x, out_h = [], [], [], []
    for k in range(len(x)):
        to_n = np.diag((1 - z[k]) * (1 - n[k] ** 2))
        to_r = to_n @ np.diag(a[k] * r[k] * (1 - r[k]))
        to_z = np.diag((h[k] - n[k]) * z[k] * (1 - z[k]))
        J_x = np.hstack([to_r, to_z, to_n])
        J_h = np.hstack([to_r, to_z, to_n @ np.diag(r[k])])
        dx.append((J_x @ W_x).T @ dh_next[k])
        dh.append((np.diag(z[k]) + J_h @ W_h).T @ dh_next[k])
        out_x.append(J_x.T @ dh_next[k])
        out_h.append(J_h.T @ dh_next[k])
    dW_x = sum(np.outer(delta, x_k) for delta, x_k in zip(out_x, x, strict=True))
    dW_h = sum(np.outer(delta, h_k) for delta, h_k in zip(out_h, h, strict=True))
    return np.array(dx), np.array(dh), dW_x, dW_h, sum(out_x), sum(out_h)


def gru_step_backward__complex_steps(dh_next, x, h, r, z, n, a, W_x, W_h):
    """Differentiates the forward step by tiny imaginary steps, which lose no digits."""
    H, tiny = h.shape[1], 1e-40
    b_h = np.hstack([np.zeros((len(x), 2 * H)), a - h @ W_h[2 * H :].T])
    gates = np.hstack([np.log(r / (1 - r)), np.log(z / (1 - z)), np.arctanh(n) - r * a])
    b_x = gates - x @ W_x.T
    b_x[:, : 2 * H] -= h @ W_h[: 2 * H].T

    def loss(x, h, W_x, W_h, c_x, c_h):
        from_x, from_h = x @ W_x.T + b_x + c_x, h @ W_h.T + b_h + c_h
        r, z = np.split(1 / (1 + np.exp(-from_x[:, : 2 * H] - from_h[:, : 2 * H])), 2, axis=1)
        n = np.tanh(from_x[:, 2 * H :] + r * from_h[:, 2 * H :])
        return np.sum(dh_next * (n + z * (h - n)))

    point = [x, h, W_x, W_h, np.zeros(3 * H), np.zeros(3 * H)]
    gradients = [np.zeros(value.shape) for value in point]
    for which, gradient in enumerate(gradients):
        for index in np.ndindex(gradient.shape):
            moved = [value.astype(complex) for value in point]
            moved[which][index] += 1j * tiny
            gradient[index] = loss(*moved).imag / tiny
    return tuple(gradients)


def flip_update_gate__negated_slices(W_x, W_h, b_x, b_h):
    H = len(b_x) // 3
    flipped = []
    for array in (W_x, W_h, b_x, b_h):
        array = array.copy()
        array[H : 2 * H] = -array[H : 2 * H]
        flipped.append(array)
    return flipped


def flip_update_gate__signs_as_a_matrix(W_x, W_h, b_x, b_h):
    S = np.kron(np.diag([1.0, -1.0, 1.0]), np.eye(W_h.shape[-1]))
    return S @ W_x, S @ W_h, S @ b_x, S @ b_h


def flip_update_gate__all_bias_of_z_in_one_vector(W_x, W_h, b_x, b_h):
    """In z the two biases are added, so one of the two can hold both."""
    blocks = [np.split(array, 3) for array in (W_x, W_h, b_x, b_h)]
    (x_r, x_z, x_n), (h_r, h_z, h_n) = blocks[2:]
    weights = [np.concatenate([r, -z, n]) for r, z, n in blocks[:2]]
    return *weights, np.hstack([x_r, -x_z - h_z, x_n]), np.hstack([h_r, 0 * h_z, h_n])


def gru_parameter_count__shapes(input_size, hidden_size, num_layers=1, bidirectional=False):
    H, total = hidden_size, 0
    inputs = input_size
    for _ in range(num_layers):
        for _ in range(2 if bidirectional else 1):
            shapes = [(3 * H, inputs), (3 * H, H), (3 * H,), (3 * H,)]
            total += sum(math.prod(shape) for shape in shapes)
        inputs = 2 * H if bidirectional else H
    return total


def gru_parameter_count__three_quarters_of_an_lstm(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    D, H, L, k = input_size, hidden_size, num_layers, 1 + int(bidirectional)
    lstm = 4 * k * H * (D + H + 2) + 4 * k * (L - 1) * H * (k * H + H + 2)
    return np.int64(lstm * 3 // 4)


def matching_gru_width__tries_all(input_size, lstm_hidden):
    size = 4 * lstm_hidden * (input_size + lstm_hidden + 2)
    widths = range(1, 2 * lstm_hidden + 2)
    return min(widths, key=lambda width: abs(3 * width * (input_size + width + 2) - size))


def matching_gru_width__bisection(input_size, lstm_hidden):
    size = gru_parameter_count__shapes(input_size, lstm_hidden) // 3 * 4
    count = functools.partial(gru_parameter_count__shapes, input_size)
    above = bisect.bisect_left(range(1, 2 * lstm_hidden + 2), size, key=count) + 1
    if above > 1 and size - count(above - 1) <= count(above) - size:
        return above - 1
    return above


def matching_gru_width__integer_root(input_size, lstm_hidden):
    s = input_size + 2
    size = 4 * lstm_hidden * (s + lstm_hidden)
    # The largest w with 3 w (s + w) <= size, that is (2 w + s)^2 <= 4 size / 3 + s^2.
    w = (math.isqrt((4 * size) // 3 + s * s) - s) // 2
    return w + (3 * w * (s + w) + 3 * (w + 1) * (s + w + 1) < 2 * size)


def update_highway__cumprod_from_the_end(z):
    shifted = np.concatenate([z[1:], np.ones((1, *z.shape[1:]))])
    return np.cumprod(shifted[::-1], axis=0)[::-1]


def update_highway__a_product_for_every_entry(z):
    return np.array([np.prod(z[t + 1 :], axis=0) for t in range(len(z))])


def update_highway__logarithms(z):
    with np.errstate(divide="ignore"):
        logs = np.log(z)
    later = [logs[t + 1 :].sum(axis=0) for t in range(len(z))]
    return np.exp(later)
