"""Chapter 4: right answers, written otherwise than the reference."""

import itertools
import math

import numpy as np


def _sigmoid(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


# carousel_step


def carousel_step__einsum_over_stacked_blocks(x, h, c, W_x, W_h, b):
    D, H = x.shape[1], h.shape[1]
    a = np.einsum("bd,khd->kbh", x, W_x.reshape(3, H, D))
    a += np.einsum("bj,khj->kbh", h, W_h.reshape(3, H, H)) + b.reshape(3, 1, H)
    c_next = c + _sigmoid(a[0]) * np.tanh(a[1])
    return _sigmoid(a[2]) * np.tanh(c_next), c_next


def carousel_step__loops(x, h, c, W_x, W_h, b):
    (B, D), H = x.shape, h.shape[1]
    h_next, c_next = np.zeros((B, H)), np.zeros((B, H))
    for n, k in itertools.product(range(B), range(H)):
        i, g, o = (
            b[row]
            + sum(W_x[row, d] * x[n, d] for d in range(D))
            + sum(W_h[row, j] * h[n, j] for j in range(H))
            for row in (k, H + k, 2 * H + k)
        )
        c_next[n, k] = c[n, k] + math.tanh(g) / (1 + math.exp(-i))
        h_next[n, k] = math.tanh(c_next[n, k]) / (1 + math.exp(-o))
    return [h_next, c_next]


def carousel_step__todays_cell_that_never_forgets(x, h, c, W_x, W_h, b):
    H = h.shape[1]
    widened = [np.insert(W, [H] * H, 0.0, axis=0) for W in (W_x, W_h)]
    always_open = np.insert(b, [H] * H, 1e3)  # sigmoid(1000) is exactly 1
    return lstm_step__one_matrix_for_all(x, h, c, *widened, always_open)


# lstm_gates


def lstm_gates__each_gate_by_itself(x, h, W_x, W_h, b):
    H = h.shape[-1]

    def a(k):
        rows = slice(k * H, (k + 1) * H)
        return x @ W_x[rows].T + h @ W_h[rows].T + b[rows]

    return [
        1 / (1 + np.exp(-a(0))),
        1 / (1 + np.exp(-a(1))),
        np.tanh(a(2)),
        1 / (1 + np.exp(-a(3))),
    ]


def lstm_gates__one_tanh_for_all_four(x, h, W_x, W_h, b):
    H = h.shape[1]
    slope = np.repeat([0.5, 0.5, 1.0, 0.5], H)
    squashed = np.tanh(slope * (x @ W_x.T + h @ W_h.T + b))
    gates = slope * squashed + (1 - slope)  # (1 + tanh(a / 2)) / 2 is the sigmoid of a
    return tuple(gates[:, k * H : (k + 1) * H] for k in range(4))


def lstm_gates__one_sequence_after_another(x, h, W_x, W_h, b):
    a = np.array([W_x.dot(x_n) + W_h.dot(h_n) + b for x_n, h_n in zip(x, h, strict=True)])
    i, f, g, o = a.reshape(len(x), 4, -1).swapaxes(0, 1)
    return _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)


# lstm_step


def lstm_step__one_matrix_for_all(x, h, c, W_x, W_h, b):
    W = np.hstack([W_x, W_h, b[:, None]])
    a = W @ np.hstack([x, h, np.ones((len(x), 1))]).T
    i, f, g, o = a.reshape(4, h.shape[1], len(x))
    c_next = _sigmoid(f) * c.T + _sigmoid(i) * np.tanh(g)
    return (_sigmoid(o) * np.tanh(c_next)).T, c_next.T


def lstm_step__loops(x, h, c, W_x, W_h, b):
    H = h.shape[1]
    h_next, c_next = np.empty_like(h), np.empty_like(c)
    for n in range(len(x)):
        for k in range(H):
            i, f, g, o = (
                float(np.dot(W_x[r], x[n]) + np.dot(W_h[r], h[n]) + b[r])
                for r in range(k, 4 * H, H)
            )
            kept = c[n, k] / (1 + math.exp(-f))
            c_next[n, k] = kept + math.tanh(g) / (1 + math.exp(-i))
            h_next[n, k] = math.tanh(c_next[n, k]) / (1 + math.exp(-o))
    return h_next, c_next


def lstm_step__weights_that_need_not_sum_to_one(x, h, c, W_x, W_h, b):
    H = h.shape[1]
    a = np.tensordot(x, W_x, (1, 1)) + np.tensordot(h, W_h, (1, 1)) + b
    gates = 1 / (1 + np.exp(-a))
    candidate = 2 / (1 + np.exp(-2 * a[:, 2 * H : 3 * H])) - 1  # tanh by the sigmoid
    sources, weights = np.stack([candidate, c]), np.stack([gates[:, :H], gates[:, H : 2 * H]])
    c_next = np.einsum("kbh,kbh->bh", weights, sources)
    return gates[:, -H:] * np.tanh(c_next), c_next


# lstm_forward


def lstm_forward__inputs_of_all_steps_at_once(x, h0, c0, W_x, W_h, b):
    H, drive = h0.shape[1], x @ W_x.T + b
    hs, cs = [h0], [c0]
    for a_x in drive:
        a = a_x + hs[-1] @ W_h.T
        gates = _sigmoid(a)
        cs.append(gates[:, H : 2 * H] * cs[-1] + gates[:, :H] * np.tanh(a[:, 2 * H : 3 * H]))
        hs.append(gates[:, 3 * H :] * np.tanh(cs[-1]))
    return np.array(hs[1:]), np.array(cs[1:])


def lstm_forward__each_sequence_by_itself(x, h0, c0, W_x, W_h, b):
    T, B, _ = x.shape
    hs, cs = np.zeros((T, *h0.shape)), np.zeros((T, *c0.shape))
    for n in range(B):
        h, c = h0[n], c0[n]
        for t in range(T):
            i, f, g, o = np.split(W_x.dot(x[t, n]) + W_h.dot(h) + b, 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
            hs[t, n], cs[t, n] = h, c
    return [hs, cs]


def lstm_forward__recursion(x, h0, c0, W_x, W_h, b):
    if len(x) == 0:
        return np.empty((0, *h0.shape)), np.empty((0, *c0.shape))
    h, c = lstm_step__one_matrix_for_all(x[0], h0, c0, W_x, W_h, b)
    hs, cs = lstm_forward__recursion(x[1:], h, c, W_x, W_h, b)
    return np.concatenate([h[None], hs]), np.concatenate([c[None], cs])


def lstm_forward__one_array_for_both_states(x, h0, c0, W_x, W_h, b):
    both = np.empty((len(x) + 1, 2, *h0.shape), order="F")
    both[0] = h0, c0
    for t, x_t in enumerate(x):
        both[t + 1] = lstm_step__loops(x_t, both[t, 0], both[t, 1], W_x, W_h, b)
    return both[1:, 0], both[1:, 1]


# fuse_gate_weights


def fuse_gate_weights__row_by_row(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    H, both = W_f.shape
    W_x, W_h, b = np.zeros((4 * H, both - H)), np.zeros((4 * H, H)), np.zeros(4 * H)
    blocks = [(W_i, b_i), (W_f, b_f), (W_c, b_c), (W_o, b_o)]
    for k, (W, bias) in enumerate(blocks):
        for unit in range(H):
            row = k * H + unit
            W_h[row], W_x[row], b[row] = W[unit, :H], W[unit, H:], bias[unit]
    return [W_x, W_h, b]


def fuse_gate_weights__asks_what_the_gates_do(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    H, both = W_f.shape

    def pre_activations(hx):
        return np.hstack([W_i @ hx + b_i, W_f @ hx + b_f, W_c @ hx + b_c, W_o @ hx + b_o])

    W = np.array([W_each for W_each in (W_i, W_f, W_c, W_o)])
    columns = [W @ unit for unit in np.eye(both)]
    W = np.stack([column.ravel() for column in columns], axis=1)
    return W[:, -(both - H) :], W[:, : -(both - H)], pre_activations(np.zeros(both))


def fuse_gate_weights__by_a_permutation(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    H = W_i.shape[0]
    swap = np.kron(np.eye(4)[[1, 0, 2, 3]], np.eye(H))
    W_h, W_x = np.split(swap @ np.vstack([W_f, W_i, W_c, W_o]), [H], axis=1)
    return W_x, W_h, swap @ np.r_[b_f, b_i, b_c, b_o]


# set_forget_bias


def set_forget_bias__half_in_each(lstm, value):
    if lstm.bias is False:
        raise ValueError("no bias")
    for name, parameter in lstm.named_parameters():
        if "bias" in name:
            quarter = parameter.shape[0] // 4
            parameter.data[quarter : 2 * quarter].fill_(value / 2)
    return lstm


def set_forget_bias__subtracts_what_the_other_has(lstm, value):
    import torch

    if not any(name.startswith("bias") for name, _ in lstm.named_parameters()):
        raise ValueError("This LSTM has no biases.")
    H = lstm.hidden_size
    with torch.no_grad():
        for layer in lstm.all_weights:
            ih, hh = (bias[H : 2 * H] for bias in layer[2:])
            hh.copy_(value - ih)
    return lstm


def set_forget_bias__by_the_state_dict(lstm, value):
    state = lstm.state_dict()
    biases = [name for name in state if name.startswith("bias_ih")]
    if not biases:
        raise ValueError("without biases there is nothing to set")
    for name in biases:
        i, f, g, o = state[name].chunk(4)
        state[name] = f.new_tensor([*i.tolist(), *[3 * value] * len(f), *g.tolist(), *o.tolist()])
        other = state[name.replace("ih", "hh")].clone()
        other.chunk(4)[1][:] = -2 * value
        state[name.replace("ih", "hh")] = other
    lstm.load_state_dict(state)
    return lstm


def set_forget_bias__new_parameters(lstm, value):
    import torch

    class NoBias(ValueError):
        """A subclass is a ValueError too."""

    if not lstm.bias:
        raise NoBias
    directions = ["", "_reverse"] if lstm.bidirectional else [""]
    for layer in range(lstm.num_layers):
        for suffix in directions:
            for kind, share in (("ih", 0.0), ("hh", float(value))):
                name = f"bias_{kind}_l{layer}{suffix}"
                bias = getattr(lstm, name).detach().clone()
                bias[lstm.hidden_size : 2 * lstm.hidden_size] = share
                setattr(lstm, name, torch.nn.Parameter(bias))
    return lstm


# peephole_lstm_step


def peephole_lstm_step__diagonal_matrices(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    W_xi, W_xf, W_xg, W_xo = np.vsplit(W_x, 4)
    W_hi, W_hf, W_hg, W_ho = np.vsplit(W_h, 4)
    b_i, b_f, b_g, b_o = b.reshape(4, -1)
    i = _sigmoid(x @ W_xi.T + h @ W_hi.T + c @ np.diag(p_i) + b_i)
    f = _sigmoid(x @ W_xf.T + h @ W_hf.T + c @ np.diag(p_f) + b_f)
    c_next = f * c + i * np.tanh(x @ W_xg.T + h @ W_hg.T + b_g)
    o = _sigmoid(x @ W_xo.T + h @ W_ho.T + c_next @ np.diag(p_o) + b_o)
    return o * np.tanh(c_next), c_next


def peephole_lstm_step__a_plain_step_with_a_wider_state(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    H, none = h.shape[1], np.zeros((h.shape[1], h.shape[1]))
    seen = np.vstack([np.diag(p_i), np.diag(p_f), none, none])
    a = np.hstack([x, h, c]) @ np.hstack([W_x, W_h, seen]).T + b
    c_next = 1 / (1 + np.exp(-a[:, H : 2 * H])) * c
    c_next = c_next + np.tanh(a[:, 2 * H : 3 * H]) / (1 + np.exp(-a[:, :H]))
    return np.tanh(c_next) / (1 + np.exp(-a[:, 3 * H :] - c_next * p_o)), c_next


def peephole_lstm_step__loops(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    (B, H), h_next, c_next = h.shape, np.zeros_like(h), np.zeros_like(c)

    def sigma(a):
        return 1 / (1 + math.exp(-a))

    for n in range(B):
        a = W_x @ x[n] + W_h @ h[n] + b
        for k in range(H):
            i = sigma(a[k] + p_i[k] * c[n, k])
            f = sigma(a[H + k] + p_f[k] * c[n, k])
            c_next[n, k] = f * c[n, k] + i * math.tanh(a[2 * H + k])
            o = sigma(a[3 * H + k] + p_o[k] * c_next[n, k])
            h_next[n, k] = o * math.tanh(c_next[n, k])
    return h_next, c_next


# lstm_parameter_count


def lstm_parameter_count__closed_form(input_size, hidden_size, num_layers=1, bidirectional=False):
    D, H, L, w = input_size, hidden_size, num_layers, 1 + int(bidirectional)
    return 4 * H * w * (D + (L - 1) * w * H + L * (H + 2))


def lstm_parameter_count__shapes(input_size, hidden_size, num_layers=1, bidirectional=False):
    total, reads = np.int64(0), input_size
    for _ in range(num_layers):
        for _direction in range(2 if bidirectional else 1):
            for shape in [(4, hidden_size, reads), (4, hidden_size, hidden_size), (8, hidden_size)]:
                total += np.prod(shape)
        reads = hidden_size * (2 if bidirectional else 1)
    return total


def lstm_parameter_count__recursion(input_size, hidden_size, num_layers=1, bidirectional=False):
    if bidirectional and num_layers == 1:
        return 2 * lstm_parameter_count__recursion(input_size, hidden_size)
    if num_layers == 1:
        return 4 * hidden_size * (input_size + hidden_size + 1 + 1)
    width = 2 * hidden_size if bidirectional else hidden_size
    below = lstm_parameter_count__recursion(input_size, hidden_size, num_layers - 1, bidirectional)
    return below + lstm_parameter_count__recursion(width, hidden_size, 1, bidirectional)
