"""Chapter 5: the LSTM's backward pass, its direct path, and biases for a time scale."""

import numpy as np

Array = np.ndarray


def lstm_step_backward(
    dh_next: Array,
    dc_next: Array,
    x: Array,
    h: Array,
    c: Array,
    gates: tuple[Array, Array, Array, Array],
    c_next: Array,
    W_x: Array,
    W_h: Array,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Backward through one LSTM step.

    dh_next (B, H) is dL/dh_next; dc_next (B, H) is what later steps send into c_next, without the
    part through h_next; x (B, D), h, c and c_next (B, H); gates (i, f, g, o), each (B, H) and after
    its nonlinearity; W_x (4H, D), W_h (4H, H). Returns (dx (B, D), dh (B, H), dc (B, H),
    dW_x (4H, D), dW_h (4H, H), db (4H,)), summed over the batch where the batch shares a parameter.
    Source: Graves & Schmidhuber (2005), the full gradient, here without peepholes.
    """
    delta, dc = gate_deltas(dh_next, dc_next, c, gates, c_next)
    return delta @ W_x, delta @ W_h, dc, delta.T @ x, delta.T @ h, delta.sum(axis=0)


def gate_deltas(
    dh_next: Array,
    dc_next: Array,
    c: Array,
    gates: tuple[Array, Array, Array, Array],
    c_next: Array,
) -> tuple[Array, Array]:
    """The gradient at the pre-activations, (B, 4H) in the order i, f, g, o, and dc (B, H).

    Arguments as in `lstm_step_backward`.
    """
    i, f, g, o = gates
    tanh_c = np.tanh(c_next)
    dc_whole = dc_next + dh_next * o * (1 - tanh_c**2)  # c_next reaches the loss through h_next too
    delta_i = dc_whole * g * i * (1 - i)
    delta_f = dc_whole * c * f * (1 - f)
    delta_g = dc_whole * i * (1 - g**2)
    delta_o = dh_next * tanh_c * o * (1 - o)
    return np.concatenate([delta_i, delta_f, delta_g, delta_o], axis=1), dc_whole * f


def lstm_backward(
    dhs: Array,
    x: Array,
    h0: Array,
    c0: Array,
    hs: Array,
    cs: Array,
    gates: Array,
    W_x: Array,
    W_h: Array,
) -> dict[str, Array]:
    """Backpropagation through time for an LSTM (Graves & Schmidhuber, 2005).

    dhs (T, B, H): what the loss itself sends into each hidden state; x (T, B, D); h0, c0 (B, H);
    hs, cs (T, B, H), all states; gates (T, B, 4H), i, f, g, o after the nonlinearities; W_x (4H, D),
    W_h (4H, H). Returns a dict of the gradients of x, h0, c0, W_x, W_h and b, each in the shape of
    what it belongs to. The loss reads no cell state directly.
    """
    before_h = np.concatenate([h0[None], hs[:-1]])  # the states that each step starts from
    before_c = np.concatenate([c0[None], cs[:-1]])
    dx, dW_x, dW_h = np.empty_like(x), np.zeros_like(W_x), np.zeros_like(W_h)
    db = np.zeros(len(W_h))
    dh, dc = np.zeros_like(h0), np.zeros_like(c0)  # from the steps after t
    for t in reversed(range(len(x))):
        step = np.split(gates[t], 4, axis=1)
        dx[t], dh, dc, dW_x_t, dW_h_t, db_t = lstm_step_backward(
            dhs[t] + dh, dc, x[t], before_h[t], before_c[t], step, cs[t], W_x, W_h
        )
        dW_x += dW_x_t  # one matrix, used at every step: its gradients add
        dW_h += dW_h_t
        db += db_t
    return {"x": dx, "h0": dh, "c0": dc, "W_x": dW_x, "W_h": dW_h, "b": db}


def cell_highway(f: Array) -> Array:
    """The direct path dc_{T-1}/dc_t: the product of the forget gates after step t.

    f (T, B, H) -> (T, B, H); the last entry is ones, and f[0] is never used
    (with f = 1 the constant error carousel; the forget gate: Gers, Schmidhuber & Cummins, 2000).
    """
    highway = np.ones_like(f)
    for t in reversed(range(len(f) - 1)):
        highway[t] = highway[t + 1] * f[t + 1]
    return highway


def lstm_state_jacobian(
    gates: tuple[Array, Array, Array, Array], c: Array, c_next: Array, W_h: Array
) -> Array:
    """The Jacobian d(h_next, c_next)/d(h, c) of one step, for one sequence.

    gates (i, f, g, o), each (H,) and after its nonlinearity; c, c_next (H,); W_h (4H, H)
    -> (2H, 2H): rows h_next then c_next, columns h then c. With the gates held fixed, only the two
    blocks of the columns c would be left; the forget gate alone is the lower right one.
    """
    i, f, g, o = gates
    W_i, W_f, W_g, W_o = np.split(W_h, 4)
    tanh_c = np.tanh(c_next)
    slope = o * (1 - tanh_c**2)  # of h_next with respect to c_next
    dc_dh = (
        (g * i * (1 - i))[:, None] * W_i
        + (c * f * (1 - f))[:, None] * W_f
        + (i * (1 - g**2))[:, None] * W_g
    )
    dh_dh = slope[:, None] * dc_dh + (tanh_c * o * (1 - o))[:, None] * W_o
    return np.block([[dh_dh, np.diag(slope * f)], [dc_dh, np.diag(f)]])


def chrono_bias(hidden: int, T: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Chrono initialisation (Tallec & Ollivier, 2018): a time scale for every unit.

    hidden, the number of units; T >= 3, the longest dependency in steps; all chance from `rng`
    -> (b_f, b_i), each (hidden,): b_f = log U(1, T - 1) independently for each unit, b_i = -b_f.
    """
    b_f = np.log(rng.uniform(1, T - 1, size=hidden))
    return b_f, -b_f


def forget_bias_for_horizon(steps: int, remaining: float) -> float:
    """The forget bias b with sigmoid(b)**steps == remaining.

    steps >= 1; 0 < remaining < 1, the fraction of the cell that is left -> float. With the keep
    f = remaining**(1/steps), b = log(f / (1 - f)); written so that f near 1 costs no digits.
    """
    log_f = np.log(remaining) / steps
    return float(log_f - np.log(-np.expm1(log_f)))


def lstm_state_gradients(
    dh_last: Array, dc_last: Array, cs: Array, gates: Array, c0: Array, W_h: Array
) -> tuple[Array, Array]:
    """dL/dh_t and dL/dc_t at every step, where the loss reads only the last h and the last c.

    dh_last, dc_last (B, H); cs (T, B, H); gates (T, B, 4H), i, f, g, o after the nonlinearities;
    c0 (B, H); W_h (4H, H) -> (dh, dc), each (T, B, H), whose last entries are dh_last and dc_last.
    h_t and c_t count as two separate outputs of step t: dc_t has no part through h_t of the same
    step. So neither the first step's gates nor c0 are needed.
    """
    dh, dc = np.empty_like(cs), np.empty_like(cs)
    dh[-1], dc[-1] = dh_last, dc_last
    for t in reversed(range(len(cs) - 1)):
        step = np.split(gates[t + 1], 4, axis=1)  # the step that leads from t to t + 1
        delta, dc[t] = gate_deltas(dh[t + 1], dc[t + 1], cs[t], step, cs[t + 1])
        dh[t] = delta @ W_h
    return dh, dc
