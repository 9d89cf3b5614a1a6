"""Chapter 5: right answers, written otherwise than the references."""

import itertools
import math

import numpy as np

# lstm_step_backward


def lstm_step_backward__gate_by_gate(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    """No stacked array: each gate has its own block of every matrix."""
    i, f, g, o = gates
    H = h.shape[1]
    dc_all = dc_next + dh_next * o / np.cosh(c_next) ** 2
    da = {
        0: dc_all * g * i * (1 - i),
        1: dc_all * c * f * (1 - f),
        2: dc_all * i * (1 - g) * (1 + g),
        3: dh_next * np.tanh(c_next) * o * (1 - o),
    }
    dx, dh = np.zeros_like(x), np.zeros_like(h)
    dW_x, dW_h, db = np.zeros_like(W_x), np.zeros_like(W_h), np.zeros(4 * H)
    for gate, delta in da.items():
        rows = slice(gate * H, (gate + 1) * H)
        dx += delta @ W_x[rows]
        dh += delta @ W_h[rows]
        dW_x[rows], dW_h[rows], db[rows] = delta.T @ x, delta.T @ h, delta.sum(axis=0)
    return [dx, dh, dc_all * f, dW_x, dW_h, db]


def lstm_step_backward__loops(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    (B, D), H = x.shape, h.shape[1]
    dx, dh, dc = np.zeros((B, D)), np.zeros((B, H)), np.zeros((B, H))
    dW_x, dW_h, db = np.zeros((4 * H, D)), np.zeros((4 * H, H)), np.zeros(4 * H)
    for n, k in itertools.product(range(B), range(H)):
        i, f, g, o = (gate[n, k] for gate in gates)
        t = math.tanh(c_next[n, k])
        through_c = dc_next[n, k] + dh_next[n, k] * o * (1 - t * t)
        dc[n, k] = f * through_c
        deltas = (
            through_c * g * (i - i * i),
            through_c * c[n, k] * (f - f * f),
            through_c * i * (1 - g * g),
            dh_next[n, k] * t * (o - o * o),
        )
        for gate, delta in enumerate(deltas):
            row = gate * H + k
            db[row] += delta
            dx[n] += delta * W_x[row]
            dh[n] += delta * W_h[row]
            dW_x[row] += delta * x[n]
            dW_h[row] += delta * h[n]
    return dx, dh, dc, dW_x, dW_h, db


def lstm_step_backward__one_stacked_matrix(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    """The gates as one array (4, B, H), input, state and a constant 1 as one input."""
    G = np.stack(gates)
    t = np.tanh(c_next)
    dc_all = dc_next + (1 - t**2) * G[3] * dh_next
    slope = np.where(np.arange(4)[:, None, None] == 2, 1 - G**2, G - G**2)
    da = slope * np.stack([dc_all * G[2], dc_all * c, dc_all * G[0], dh_next * t])
    W = np.hstack([W_x, W_h]).reshape(4, h.shape[1], -1)
    z = np.hstack([x, h, np.ones((len(x), 1))])
    dz = np.einsum("kbh,khz->bz", da, W)
    dW = np.einsum("kbh,bz->khz", da, z).reshape(len(W_x), -1)
    D = x.shape[1]
    return dz[:, :D], dz[:, D:], dc_all * G[1], dW[:, :D], dW[:, D:-1], dW[:, -1]


# lstm_backward


def lstm_backward__deltas_first(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    """A loop for the deltas alone; the parameters' sums over time and batch at the end."""
    T, B, H = dhs.shape
    i, f, g, o = (gates[..., k * H : (k + 1) * H] for k in range(4))
    tc = np.tanh(cs)
    c_before = np.vstack([c0[None], cs])[:-1]
    h_before = np.vstack([h0[None], hs])[:-1]
    deltas = np.zeros((T, B, 4 * H))
    dh, dc = 0.0, 0.0
    for t in range(T - 1, -1, -1):
        dh = dhs[t] + dh
        dc = dc + dh * o[t] * (1 - tc[t] ** 2)
        deltas[t] = np.hstack(
            [
                dc * g[t] * i[t] * (1 - i[t]),
                dc * c_before[t] * f[t] * (1 - f[t]),
                dc * i[t] * (1 - g[t] ** 2),
                dh * tc[t] * o[t] * (1 - o[t]),
            ]
        )
        dh, dc = deltas[t] @ W_h, dc * f[t]
    return {
        "b": deltas.sum(axis=(0, 1)),
        "W_h": np.tensordot(deltas, h_before, axes=((0, 1), (0, 1))),
        "W_x": np.einsum("tbk,tbd->kd", deltas, x),
        "c0": dc,
        "h0": dh,
        "x": deltas @ W_x,
    }


def lstm_backward__every_loss_by_itself(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    """The loss of each step taken back alone; the results add, because a gradient is linear."""
    T, _, H = dhs.shape
    grads = {
        **{"x": 0 * x, "h0": 0 * h0, "c0": 0 * c0},
        **{"W_x": 0 * W_x, "W_h": 0 * W_h, "b": np.zeros(4 * H)},
    }
    for last in range(T):
        dh, dc = dhs[last], np.zeros_like(c0)
        for t in range(last, -1, -1):
            h, c = (hs[t - 1], cs[t - 1]) if t else (h0, c0)
            i, f, g, o = gates[t].reshape(-1, 4, H).transpose(1, 0, 2)
            dc = dc + dh * o * (1 - np.tanh(cs[t]) ** 2)
            da = np.stack([dc * g, dc * c, dc * i, dh * np.tanh(cs[t])], axis=1)
            da *= np.stack([i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)], axis=1)
            da = da.reshape(len(h), 4 * H)
            grads["x"][t] += da @ W_x
            grads["W_x"] += da.T @ x[t]
            grads["W_h"] += da.T @ h
            grads["b"] += np.ones(len(da)) @ da
            dh, dc = da @ W_h, f * dc
        grads["h0"] += dh
        grads["c0"] += dc
    return grads


# cell_highway


def cell_highway__cumulative_product_from_the_end(f):
    ones = np.ones((1, *f.shape[1:]))
    return np.cumprod(np.concatenate([f[1:], ones])[::-1], axis=0)[::-1]


def cell_highway__each_entry_from_scratch(f):
    return np.stack([np.prod(f[t + 1 :], axis=0) for t in range(len(f))])


def cell_highway__forward_in_time(f):
    """Every new gate multiplies all entries before it."""
    highway = np.ones(f.shape)
    for t in range(1, len(f)):
        highway[:t] *= f[t]
    return highway


def cell_highway__sums_of_logarithms(f):
    with np.errstate(divide="ignore"):
        logs = np.log(f)
    sums = np.zeros_like(f)
    for t in range(len(f) - 2, -1, -1):
        sums[t] = sums[t + 1] + logs[t + 1]
    return np.exp(sums)


# lstm_state_jacobian


def lstm_state_jacobian__rows_by_backward_steps(gates, c, c_next, W_h):
    """Row k is the gradient of output k: one step backward for each unit vector."""
    i, f, g, o = gates
    H = len(c)
    dh_next, dc_next = np.split(np.eye(2 * H), 2, axis=1)
    t = np.tanh(c_next)
    dc = dc_next + dh_next * o * (1 - t**2)
    da = [
        dc * g * i * (1 - i),
        dc * c * f * (1 - f),
        dc * i * (1 - g**2),
        dh_next * t * o * (1 - o),
    ]
    return np.hstack([np.hstack(da) @ W_h, dc * f])


def lstm_state_jacobian__chain_of_matrices(gates, c, c_next, W_h):
    """First from (h, c) to (gates' values, c), then to (c_next, o), then to (h_next, c_next)."""
    i, f, g, o = gates
    H = len(c)
    I, Z = np.eye(H), np.zeros((H, H))  # noqa: E741
    slope = np.concatenate([i * (1 - i), f * (1 - f), 1 - g**2, o * (1 - o)])
    first = np.block([[slope[:, None] * W_h, np.zeros((4 * H, H))], [Z, I]])
    second = np.block([[np.diag(g), np.diag(c), np.diag(i), Z, np.diag(f)], [Z, Z, Z, I, Z]])
    t = np.tanh(c_next)
    third = np.block([[np.diag(o * (1 - t * t)), np.diag(t)], [I, Z]])
    return third @ second @ first


def lstm_state_jacobian__entry_by_entry(gates, c, c_next, W_h):
    i, f, g, o = gates
    H = len(c)
    J = np.zeros((2 * H, 2 * H))
    for r, k in itertools.product(range(H), range(H)):
        moved = g[r] * i[r] * (1 - i[r]) * W_h[r, k]
        moved += c[r] * f[r] * (1 - f[r]) * W_h[H + r, k]
        moved += i[r] * (1 - g[r] ** 2) * W_h[2 * H + r, k]
        slope = o[r] / math.cosh(c_next[r]) ** 2
        J[H + r, k] = moved
        J[r, k] = slope * moved + math.tanh(c_next[r]) * o[r] * (1 - o[r]) * W_h[3 * H + r, k]
        if r == k:
            J[r, H + r], J[H + r, H + r] = slope * f[r], f[r]
    return J


# chrono_bias


def chrono_bias__scaled_by_hand(hidden, T, rng):
    b_f = np.log(1 + (T - 2) * rng.random(hidden))
    return [b_f, 0 - b_f]


def chrono_bias__unit_by_unit(hidden, T, rng):
    b_f, b_i = np.empty(hidden), np.empty(hidden)
    for k in range(hidden):
        u = rng.uniform(1, T - 1)
        b_f[k], b_i[k] = math.log(u), math.log(1 / u)
    return b_f, b_i


def chrono_bias__from_the_top(hidden, T, rng):
    spare = rng.uniform(size=(3, hidden))  # draws more than it needs
    return np.log1p((T - 2) * (1 - spare[1])), -np.log1p((T - 2) * (1 - spare[1]))


# forget_bias_for_horizon


def forget_bias_for_horizon__logit_of_the_root(steps, remaining):
    f = remaining ** (1 / steps)
    return math.log(f / (1 - f))


def forget_bias_for_horizon__solved_for_the_exponential(steps, remaining):
    return -np.log(remaining ** (-1 / steps) - 1)


def forget_bias_for_horizon__inverse_tanh(steps, remaining):
    return np.asarray(2 * np.arctanh(2 * np.exp(np.log(remaining) / steps) - 1))


def forget_bias_for_horizon__bisection(steps, remaining):
    low, high = -50.0, 50.0
    for _ in range(200):
        middle = (low + high) / 2
        left = -steps * math.log1p(math.exp(-middle))  # the logarithm of sigmoid(middle)**steps
        low, high = (middle, high) if left < math.log(remaining) else (low, middle)
    return middle


# lstm_state_gradients


def lstm_state_gradients__whole_gradient_of_the_cell(dh_last, dc_last, cs, gates, c0, W_h):
    """Carries the whole gradient of each cell, and takes the part through h out at the end."""
    T, _, H = cs.shape
    i, f, g, o = np.moveaxis(gates.reshape(*cs.shape[:2], 4, H), 2, 0)
    slope = o * (1 - np.tanh(cs) ** 2)
    dh, whole = np.zeros_like(cs), np.zeros_like(cs)
    dh[-1], whole[-1] = dh_last, dc_last + dh_last * slope[-1]
    for t in range(T - 1, 0, -1):
        da_i = whole[t] * g[t] * i[t] * (1 - i[t])
        da_f = whole[t] * cs[t - 1] * f[t] * (1 - f[t])
        da_g = whole[t] * i[t] * (1 - g[t] ** 2)
        da_o = dh[t] * np.tanh(cs[t]) * o[t] * (1 - o[t])
        dh[t - 1] = np.concatenate([da_i, da_f, da_g, da_o], axis=1) @ W_h
        whole[t - 1] = whole[t] * f[t] + dh[t - 1] * slope[t - 1]
    return dh, whole - dh * slope


def lstm_state_gradients__products_of_jacobians(dh_last, dc_last, cs, gates, c0, W_h):
    """One sequence at a time: the row (dh, dc) times one Jacobian of (h, c) a step."""
    T, B, H = cs.shape
    both = np.zeros((T, B, 2 * H))
    for n in range(B):
        row = np.concatenate([dh_last[n], dc_last[n]])
        for t in range(T - 1, -1, -1):
            both[t, n] = row
            step = gates[t, n].reshape(4, H)
            before = cs[t - 1, n] if t else c0[n]
            row = row @ lstm_state_jacobian__chain_of_matrices(step, before, cs[t, n], W_h)
    return both[..., :H], both[..., H:]


def lstm_state_gradients__list_from_the_end(dh_last, dc_last, cs, gates, c0, W_h):
    pairs = [(dh_last, dc_last)]
    for c, c_next, step in zip(cs[-2::-1], cs[:0:-1], gates[:0:-1], strict=True):
        dh, dc = pairs[-1]
        _, back, dc, *_ = lstm_step_backward__gate_by_gate(
            *(dh, dc, np.zeros((len(c), 1)), 0 * c, c, np.split(step, 4, axis=1), c_next),
            *(np.zeros((len(W_h), 1)), W_h),
        )
        pairs.append((back, dc))
    dhs, dcs = zip(*reversed(pairs), strict=True)
    return np.array(dhs), np.array(dcs)
