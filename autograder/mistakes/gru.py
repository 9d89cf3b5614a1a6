"""Chapter 6: how GRUs go wrong."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.gru import (
    gru_forward,
    gru_parameter_count,
    gru_step,
    gru_step_backward,
    matching_gru_width,
    update_highway,
)
from autograder.reference.vanilla_rnn import sigmoid


def _sides(x, h, W_x, W_h, b_x, b_h):
    """What the input and the old state send to r, z and n: six arrays (B, H)."""
    return *np.split(x @ W_x.T + b_x, 3, axis=1), *np.split(h @ W_h.T + b_h, 3, axis=1)


def _gates(x_r, x_z, h_r, h_z):
    return sigmoid(x_r + h_r), sigmoid(x_z + h_z)


def _mix(z, n, h):
    return (1 - z) * n + z * h


def _turn_blocks(W_h):
    """Each square block of W_h transposed."""
    return np.concatenate([block.T for block in np.split(W_h, 3)])


def _reorder(W):
    """The first two blocks of rows exchanged."""
    r, z, n = np.split(W, 3)
    return np.concatenate([z, r, n])


# gru_step


@mistake_of("gru_step")
def gru_step__resets_before_the_product(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, _ = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    a = (r * h) @ np.split(W_h, 3)[2].T + np.split(b_h, 3)[2]
    return _mix(z, np.tanh(x_n + a), h)


@mistake_of("gru_step")
def gru_step__leaves_b_hn_outside_the_reset(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    b_hn = np.split(b_h, 3)[2]
    return _mix(z, np.tanh(x_n + r * (a - b_hn) + b_hn), h)


@mistake_of("gru_step")
def gru_step__flips_the_update_gate(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return _mix(1 - z, np.tanh(x_n + r * a), h)


@mistake_of("gru_step")
def gru_step__flips_the_update_gate_and_resets_before_the_product(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, _ = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    a = (r * h) @ np.split(W_h, 3)[2].T + np.split(b_h, 3)[2]
    return _mix(1 - z, np.tanh(x_n + a), h)


@mistake_of("gru_step")
def gru_step__stacks_the_gates_z_r_n(x, h, W_x, W_h, b_x, b_h):
    return gru_step(x, h, *(_reorder(array) for array in (W_x, W_h, b_x, b_h)))


@mistake_of("gru_step")
def gru_step__never_resets(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    _, z = _gates(x_r, x_z, h_r, h_z)
    return _mix(z, np.tanh(x_n + a), h)


@mistake_of("gru_step")
def gru_step__resets_the_input_too(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return _mix(z, np.tanh(r * (x_n + a)), h)


@mistake_of("gru_step")
def gru_step__resets_both_biases(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    b_xn = np.split(b_x, 3)[2]
    return _mix(z, np.tanh(x_n - b_xn + r * (a + b_xn)), h)


@mistake_of("gru_step")
def gru_step__adds_the_reset_gate(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return _mix(z, np.tanh(x_n + r + a), h)


@mistake_of("gru_step")
def gru_step__mixes_in_the_reset_state(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return _mix(z, np.tanh(x_n + r * a), r * h)


@mistake_of("gru_step")
def gru_step__squashes_the_candidate_by_a_sigmoid(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return _mix(z, sigmoid(x_n + r * a), h)


@mistake_of("gru_step")
def gru_step__squashes_the_gates_by_a_tanh(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    return _mix(np.tanh(x_z + h_z), np.tanh(x_n + np.tanh(x_r + h_r) * a), h)


@mistake_of("gru_step")
def gru_step__forgets_the_tanh(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return _mix(z, x_n + r * a, h)


@mistake_of("gru_step")
def gru_step__squashes_the_new_state(x, h, W_x, W_h, b_x, b_h):
    return np.tanh(gru_step(x, h, W_x, W_h, b_x, b_h))


@mistake_of("gru_step")
def gru_step__adds_the_whole_candidate(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return np.tanh(x_n + r * a) + z * h


@mistake_of("gru_step")
def gru_step__keeps_nothing_of_the_old_state(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, z = _gates(x_r, x_z, h_r, h_z)
    return (1 - z) * np.tanh(x_n + r * a)


@mistake_of("gru_step")
def gru_step__returns_the_candidate(x, h, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n, h_r, h_z, a = _sides(x, h, W_x, W_h, b_x, b_h)
    r, _ = _gates(x_r, x_z, h_r, h_z)
    return np.tanh(x_n + r * a)


@mistake_of("gru_step")
def gru_step__forgets_b_h(x, h, W_x, W_h, b_x, b_h):
    return gru_step(x, h, W_x, W_h, b_x, 0 * b_h)


@mistake_of("gru_step")
def gru_step__forgets_b_x(x, h, W_x, W_h, b_x, b_h):
    return gru_step(x, h, W_x, W_h, 0 * b_x, b_h)


@mistake_of("gru_step")
def gru_step__forgets_b_h_in_the_gates(x, h, W_x, W_h, b_x, b_h):
    zero = np.zeros(len(b_h) // 3)
    return gru_step(x, h, W_x, W_h, b_x, np.concatenate([zero, zero, np.split(b_h, 3)[2]]))


@mistake_of("gru_step")
def gru_step__forgets_b_h_in_the_candidate(x, h, W_x, W_h, b_x, b_h):
    zero = np.zeros(len(b_h) // 3)
    return gru_step(x, h, W_x, W_h, b_x, np.concatenate([*np.split(b_h, 3)[:2], zero]))


@mistake_of("gru_step")
def gru_step__does_not_transpose_W_h(x, h, W_x, W_h, b_x, b_h):
    return gru_step(x, h, W_x, _turn_blocks(W_h), b_x, b_h)


@mistake_of("gru_step")
def gru_step__writes_into_the_old_state(x, h, W_x, W_h, b_x, b_h):
    h[...] = gru_step(x, h, W_x, W_h, b_x, b_h)
    return h


# gru_step_cho


def _before(x, h, W_x, W_h, b):
    """What r and z are, what the input sends to the candidate, and W_hn."""
    x_r, x_z, x_n = np.split(x @ W_x.T + b, 3, axis=1)
    W_hr, W_hz, W_hn = np.split(W_h, 3)
    return sigmoid(x_r + h @ W_hr.T), sigmoid(x_z + h @ W_hz.T), x_n, W_hn


@mistake_of("gru_step_cho")
def gru_step_cho__resets_after_the_product(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(z, np.tanh(x_n + r * (h @ W_hn.T)), h)


@mistake_of("gru_step_cho")
def gru_step_cho__resets_after_the_product_and_the_bias_too(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    b_n = np.split(b, 3)[2]
    return _mix(z, np.tanh(x_n - b_n + r * (h @ W_hn.T + b_n)), h)


@mistake_of("gru_step_cho")
def gru_step_cho__resets_the_input_too(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(z, np.tanh(r * (x_n + h @ W_hn.T)), h)


@mistake_of("gru_step_cho")
def gru_step_cho__adds_the_reset_gate(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(z, np.tanh(x_n + (r + h) @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__never_resets(x, h, W_x, W_h, b):
    _, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(z, np.tanh(x_n + h @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__resets_the_update_gate_too(x, h, W_x, W_h, b):
    r, _, x_n, W_hn = _before(x, h, W_x, W_h, b)
    _, z, _, _ = _before(x, r * h, W_x, W_h, b)
    return _mix(z, np.tanh(x_n + (r * h) @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__mixes_in_the_reset_state(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(z, np.tanh(x_n + (r * h) @ W_hn.T), r * h)


@mistake_of("gru_step_cho")
def gru_step_cho__uses_the_reset_state_everywhere(x, h, W_x, W_h, b):
    r, _, x_n, W_hn = _before(x, h, W_x, W_h, b)
    _, z, _, _ = _before(x, r * h, W_x, W_h, b)
    return _mix(z, np.tanh(x_n + (r * h) @ W_hn.T), r * h)


@mistake_of("gru_step_cho")
def gru_step_cho__writes_the_reset_state_into_h(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    h *= r
    return _mix(z, np.tanh(x_n + h @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__flips_the_update_gate(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(1 - z, np.tanh(x_n + (r * h) @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__stacks_the_gates_z_r_n(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, _reorder(W_x), _reorder(W_h), _reorder(b))
    return _mix(z, np.tanh(x_n + (r * h) @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__squashes_the_candidate_by_a_sigmoid(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(z, sigmoid(x_n + (r * h) @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__forgets_the_tanh(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return _mix(z, x_n + (r * h) @ W_hn.T, h)


@mistake_of("gru_step_cho")
def gru_step_cho__forgets_the_bias(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, 0 * b)
    return _mix(z, np.tanh(x_n + (r * h) @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__adds_the_bias_twice(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, 2 * b)
    return _mix(z, np.tanh(x_n + (r * h) @ W_hn.T), h)


@mistake_of("gru_step_cho")
def gru_step_cho__keeps_nothing_of_the_old_state(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, W_h, b)
    return (1 - z) * np.tanh(x_n + (r * h) @ W_hn.T)


@mistake_of("gru_step_cho")
def gru_step_cho__does_not_transpose_W_h(x, h, W_x, W_h, b):
    r, z, x_n, W_hn = _before(x, h, W_x, _turn_blocks(W_h), b)
    return _mix(z, np.tanh(x_n + (r * h) @ W_hn.T), h)


# gru_forward


def _loop(x, h0, step):
    hs, h = [], h0
    for x_t in x:
        h = step(x_t, h)
        hs.append(h)
    return np.stack(hs)


@mistake_of("gru_forward")
def gru_forward__starts_from_zeros(x, h0, W_x, W_h, b_x, b_h):
    return gru_forward(x, np.zeros_like(h0), W_x, W_h, b_x, b_h)


@mistake_of("gru_forward")
def gru_forward__never_hands_the_state_on(x, h0, W_x, W_h, b_x, b_h):
    return np.stack([gru_step(x_t, h0, W_x, W_h, b_x, b_h) for x_t in x])


@mistake_of("gru_forward")
def gru_forward__hands_the_candidate_on(x, h0, W_x, W_h, b_x, b_h):
    hs, h = [], h0
    for x_t in x:
        x_r, x_z, x_n, h_r, h_z, a = _sides(x_t, h, W_x, W_h, b_x, b_h)
        r, z = _gates(x_r, x_z, h_r, h_z)
        n = np.tanh(x_n + r * a)
        hs.append(_mix(z, n, h))
        h = n
    return np.stack(hs)


@mistake_of("gru_forward")
def gru_forward__mixes_with_h0_at_every_step(x, h0, W_x, W_h, b_x, b_h):
    hs, h = [], h0
    for x_t in x:
        x_r, x_z, x_n, h_r, h_z, a = _sides(x_t, h, W_x, W_h, b_x, b_h)
        r, z = _gates(x_r, x_z, h_r, h_z)
        h = _mix(z, np.tanh(x_n + r * a), h0)
        hs.append(h)
    return np.stack(hs)


@mistake_of("gru_forward")
def gru_forward__takes_the_gates_from_h0_at_every_step(x, h0, W_x, W_h, b_x, b_h):
    hs, h = [], h0
    for x_t in x:
        x_r, x_z, x_n, h_r, h_z, _ = _sides(x_t, h0, W_x, W_h, b_x, b_h)
        r, z = _gates(x_r, x_z, h_r, h_z)
        a = _sides(x_t, h, W_x, W_h, b_x, b_h)[-1]
        h = _mix(z, np.tanh(x_n + r * a), h)
        hs.append(h)
    return np.stack(hs)


@mistake_of("gru_forward")
def gru_forward__returns_only_the_last_state(x, h0, W_x, W_h, b_x, b_h):
    return gru_forward(x, h0, W_x, W_h, b_x, b_h)[-1]


@mistake_of("gru_forward")
def gru_forward__puts_h0_in_front(x, h0, W_x, W_h, b_x, b_h):
    return np.concatenate([h0[None], gru_forward(x, h0, W_x, W_h, b_x, b_h)])


@mistake_of("gru_forward")
def gru_forward__stores_the_state_before_each_step(x, h0, W_x, W_h, b_x, b_h):
    return np.concatenate([h0[None], gru_forward(x, h0, W_x, W_h, b_x, b_h)[:-1]])


@mistake_of("gru_forward")
def gru_forward__reads_the_sequence_backwards(x, h0, W_x, W_h, b_x, b_h):
    return gru_forward(x[::-1], h0, W_x, W_h, b_x, b_h)


@mistake_of("gru_forward")
def gru_forward__gives_the_last_state_for_every_step(x, h0, W_x, W_h, b_x, b_h):
    hs = gru_forward(x, h0, W_x, W_h, b_x, b_h)
    return np.stack([hs[-1]] * len(x))


@mistake_of("gru_forward")
def gru_forward__writes_every_state_into_h0(x, h0, W_x, W_h, b_x, b_h):
    h0[...] = gru_forward(x, h0, W_x, W_h, b_x, b_h)[-1]
    return np.stack([h0] * len(x))


@mistake_of("gru_forward")
def gru_forward__returns_inside_the_loop(x, h0, W_x, W_h, b_x, b_h):
    hs = gru_forward(x, h0, W_x, W_h, b_x, b_h)
    hs[1:] = 0
    return hs


@mistake_of("gru_forward")
def gru_forward__resets_before_the_product(x, h0, W_x, W_h, b_x, b_h):
    def step(x_t, h):
        return gru_step__resets_before_the_product(x_t, h, W_x, W_h, b_x, b_h)

    return _loop(x, h0, step)


@mistake_of("gru_forward")
def gru_forward__leaves_b_hn_outside_the_reset(x, h0, W_x, W_h, b_x, b_h):
    def step(x_t, h):
        return gru_step__leaves_b_hn_outside_the_reset(x_t, h, W_x, W_h, b_x, b_h)

    return _loop(x, h0, step)


@mistake_of("gru_forward")
def gru_forward__flips_the_update_gate(x, h0, W_x, W_h, b_x, b_h):
    def step(x_t, h):
        return gru_step__flips_the_update_gate(x_t, h, W_x, W_h, b_x, b_h)

    return _loop(x, h0, step)


@mistake_of("gru_forward")
def gru_forward__flips_the_update_gate_and_resets_before_the_product(x, h0, W_x, W_h, b_x, b_h):
    def step(x_t, h):
        return gru_step__flips_the_update_gate_and_resets_before_the_product(
            x_t, h, W_x, W_h, b_x, b_h
        )

    return _loop(x, h0, step)


@mistake_of("gru_forward")
def gru_forward__stacks_the_gates_z_r_n(x, h0, W_x, W_h, b_x, b_h):
    return gru_forward(x, h0, *(_reorder(array) for array in (W_x, W_h, b_x, b_h)))


@mistake_of("gru_forward")
def gru_forward__does_not_transpose_W_h(x, h0, W_x, W_h, b_x, b_h):
    return gru_forward(x, h0, W_x, _turn_blocks(W_h), b_x, b_h)


@mistake_of("gru_forward")
def gru_forward__forgets_b_h(x, h0, W_x, W_h, b_x, b_h):
    return gru_forward(x, h0, W_x, W_h, b_x, 0 * b_h)


@mistake_of("gru_forward")
def gru_forward__writes_into_h0(x, h0, W_x, W_h, b_x, b_h):
    hs = gru_forward(x, h0, W_x, W_h, b_x, b_h)
    h0[...] = hs[-1]
    return hs


# gru_step_backward


def _deltas(dh_next, h, r, z, n, a):
    delta_n = dh_next * (1 - z) * (1 - n**2)
    delta_z = dh_next * (h - n) * z * (1 - z)
    return delta_n * a * r * (1 - r), delta_z, delta_n


def _six(dh_next, x, h, r, z, deltas, W_x, W_h):
    """The six gradients from the three deltas."""
    delta_r, delta_z, delta_n = deltas
    delta_x = np.hstack([delta_r, delta_z, delta_n])
    delta_h = np.hstack([delta_r, delta_z, delta_n * r])
    dx, dh = delta_x @ W_x, dh_next * z + delta_h @ W_h
    return dx, dh, delta_x.T @ x, delta_h.T @ h, delta_x.sum(axis=0), delta_h.sum(axis=0)


@mistake_of("gru_step_backward")
def gru_step_backward__forgets_the_direct_path(dh_next, x, h, r, z, n, a, W_x, W_h):
    dx, dh, *rest = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh - dh_next * z, *rest


@mistake_of("gru_step_backward")
def gru_step_backward__returns_the_direct_path_alone(dh_next, x, h, r, z, n, a, W_x, W_h):
    dx, _, *rest = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh_next * z, *rest


@mistake_of("gru_step_backward")
def gru_step_backward__keeps_all_on_the_direct_path(dh_next, x, h, r, z, n, a, W_x, W_h):
    dx, dh, *rest = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh + dh_next * (1 - z), *rest


@mistake_of("gru_step_backward")
def gru_step_backward__flips_the_direct_path(dh_next, x, h, r, z, n, a, W_x, W_h):
    dx, dh, *rest = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh + dh_next * (1 - 2 * z), *rest


@mistake_of("gru_step_backward")
def gru_step_backward__flips_the_update_gate(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta_n = dh_next * z * (1 - n**2)
    deltas = delta_n * a * r * (1 - r), dh_next * (n - h) * z * (1 - z), delta_n
    dx, dh, *rest = _six(dh_next, x, h, r, z, deltas, W_x, W_h)
    return dx, dh + dh_next * (1 - 2 * z), *rest


@mistake_of("gru_step_backward")
def gru_step_backward__has_the_difference_the_wrong_way_round(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta_r, delta_z, delta_n = _deltas(dh_next, h, r, z, n, a)
    return _six(dh_next, x, h, r, z, (delta_r, -delta_z, delta_n), W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__sends_only_the_old_state_to_the_update_gate(
    dh_next, x, h, r, z, n, a, W_x, W_h
):
    delta_r, _, delta_n = _deltas(dh_next, h, r, z, n, a)
    return _six(dh_next, x, h, r, z, (delta_r, dh_next * h * z * (1 - z), delta_n), W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__forgets_the_reset_on_the_recurrent_side(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta = np.hstack(_deltas(dh_next, h, r, z, n, a))
    dx, dh, db = delta @ W_x, dh_next * z + delta @ W_h, delta.sum(axis=0)
    return dx, dh, delta.T @ x, delta.T @ h, db, db


@mistake_of("gru_step_backward")
def gru_step_backward__forgets_the_reset_in_the_parameters(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta = np.hstack(_deltas(dh_next, h, r, z, n, a))
    dx, dh, dW_x, _, db_x, _ = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh, dW_x, delta.T @ h, db_x, db_x


@mistake_of("gru_step_backward")
def gru_step_backward__gives_both_biases_the_same_gradient(dh_next, x, h, r, z, n, a, W_x, W_h):
    dx, dh, dW_x, dW_h, db_x, _ = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh, dW_x, dW_h, db_x, db_x


@mistake_of("gru_step_backward")
def gru_step_backward__resets_the_input_side_too(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta_r, delta_z, delta_n = _deltas(dh_next, h, r, z, n, a)
    delta = np.hstack([delta_r, delta_z, delta_n * r])
    dx, dh, db = delta @ W_x, dh_next * z + delta @ W_h, delta.sum(axis=0)
    return dx, dh, delta.T @ x, delta.T @ h, db, db


@mistake_of("gru_step_backward")
def gru_step_backward__takes_h_for_a(dh_next, x, h, r, z, n, a, W_x, W_h):
    return gru_step_backward(dh_next, x, h, r, z, n, h, W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__leaves_the_bias_out_of_a(dh_next, x, h, r, z, n, a, W_x, W_h):
    without = h @ np.split(W_h, 3)[2].T
    return gru_step_backward(dh_next, x, h, r, z, n, without, W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__goes_back_through_the_other_cell(dh_next, x, h, r, z, n, a, W_x, W_h):
    _, delta_z, delta_n = _deltas(dh_next, h, r, z, n, a)
    H = h.shape[1]
    dreset = delta_n @ W_h[2 * H :]  # at r * h
    delta = np.hstack([dreset * h * r * (1 - r), delta_z, delta_n])
    dh = dh_next * z + delta[:, : 2 * H] @ W_h[: 2 * H] + dreset * r
    dW_h = np.vstack([delta[:, : 2 * H].T @ h, delta_n.T @ (r * h)])
    return delta @ W_x, dh, delta.T @ x, dW_h, delta.sum(axis=0), delta.sum(axis=0)


@mistake_of("gru_step_backward")
def gru_step_backward__skips_the_tanh(dh_next, x, h, r, z, n, a, W_x, W_h):
    _, delta_z, _ = _deltas(dh_next, h, r, z, n, a)
    delta_n = dh_next * (1 - z)
    deltas = delta_n * a * r * (1 - r), delta_z, delta_n
    return _six(dh_next, x, h, r, z, deltas, W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__does_not_square_the_candidate(dh_next, x, h, r, z, n, a, W_x, W_h):
    _, delta_z, _ = _deltas(dh_next, h, r, z, n, a)
    delta_n = dh_next * (1 - z) * (1 - n)
    deltas = delta_n * a * r * (1 - r), delta_z, delta_n
    return _six(dh_next, x, h, r, z, deltas, W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__leaves_the_tanh_out_of_the_reset_gate(dh_next, x, h, r, z, n, a, W_x, W_h):
    _, delta_z, delta_n = _deltas(dh_next, h, r, z, n, a)
    delta_r = dh_next * (1 - z) * a * r * (1 - r)
    return _six(dh_next, x, h, r, z, (delta_r, delta_z, delta_n), W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__skips_the_slopes_of_the_gates(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta_n = dh_next * (1 - z) * (1 - n**2)
    return _six(dh_next, x, h, r, z, (delta_n * a, dh_next * (h - n), delta_n), W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__applies_the_sigmoid_again(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta_n = dh_next * (1 - z) * (1 - n**2)
    again_r, again_z = sigmoid(r), sigmoid(z)
    delta_z = dh_next * (h - n) * again_z * (1 - again_z)
    deltas = delta_n * a * again_r * (1 - again_r), delta_z, delta_n
    return _six(dh_next, x, h, r, z, deltas, W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__sends_nothing_through_the_reset_gate(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta_r, delta_z, delta_n = _deltas(dh_next, h, r, z, n, a)
    return _six(dh_next, x, h, r, z, (0 * delta_r, delta_z, delta_n), W_x, W_h)


@mistake_of("gru_step_backward")
def gru_step_backward__multiplies_dh_by_the_transpose(dh_next, x, h, r, z, n, a, W_x, W_h):
    return gru_step_backward(dh_next, x, h, r, z, n, a, W_x, _turn_blocks(W_h))


@mistake_of("gru_step_backward")
def gru_step_backward__stacks_the_gates_z_r_n(dh_next, x, h, r, z, n, a, W_x, W_h):
    weights = _reorder(W_x), _reorder(W_h)
    dx, dh, *rest = gru_step_backward(dh_next, x, h, r, z, n, a, *weights)
    return dx, dh, *map(_reorder, rest)


@mistake_of("gru_step_backward")
def gru_step_backward__uses_the_new_state_in_dW_h(dh_next, x, h, r, z, n, a, W_x, W_h):
    delta_r, delta_z, delta_n = _deltas(dh_next, h, r, z, n, a)
    dW_h = np.hstack([delta_r, delta_z, delta_n * r]).T @ _mix(z, n, h)
    dx, dh, dW_x, _, *rest = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh, dW_x, dW_h, *rest


@mistake_of("gru_step_backward")
def gru_step_backward__averages_over_the_batch(dh_next, x, h, r, z, n, a, W_x, W_h):
    dx, dh, *rest = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    return dx, dh, *(gradient / len(x) for gradient in rest)


@mistake_of("gru_step_backward")
def gru_step_backward__writes_into_dh_next(dh_next, x, h, r, z, n, a, W_x, W_h):
    gradients = gru_step_backward(dh_next, x, h, r, z, n, a, W_x, W_h)
    dh_next *= z
    return gradients


# flip_update_gate


def _with_signs(signs, *arrays):
    """Each array with its blocks of rows multiplied by the three signs."""
    return [
        np.concatenate([s * block for s, block in zip(signs, np.split(array, 3), strict=True)])
        for array in arrays
    ]


@mistake_of("flip_update_gate")
def flip_update_gate__negates_the_reset_gate(W_x, W_h, b_x, b_h):
    return _with_signs((-1, 1, 1), W_x, W_h, b_x, b_h)


@mistake_of("flip_update_gate")
def flip_update_gate__negates_the_candidate(W_x, W_h, b_x, b_h):
    return _with_signs((1, 1, -1), W_x, W_h, b_x, b_h)


@mistake_of("flip_update_gate")
def flip_update_gate__negates_both_gates(W_x, W_h, b_x, b_h):
    return _with_signs((-1, -1, 1), W_x, W_h, b_x, b_h)


@mistake_of("flip_update_gate")
def flip_update_gate__negates_everything(W_x, W_h, b_x, b_h):
    return -W_x, -W_h, -b_x, -b_h


@mistake_of("flip_update_gate")
def flip_update_gate__leaves_the_biases(W_x, W_h, b_x, b_h):
    return *_with_signs((1, -1, 1), W_x, W_h), b_x, b_h


@mistake_of("flip_update_gate")
def flip_update_gate__leaves_b_h(W_x, W_h, b_x, b_h):
    return *_with_signs((1, -1, 1), W_x, W_h, b_x), b_h


@mistake_of("flip_update_gate")
def flip_update_gate__leaves_the_recurrent_side(W_x, W_h, b_x, b_h):
    W_x, b_x = _with_signs((1, -1, 1), W_x, b_x)
    return W_x, W_h, b_x, b_h


@mistake_of("flip_update_gate")
def flip_update_gate__negates_only_the_biases(W_x, W_h, b_x, b_h):
    return W_x, W_h, *_with_signs((1, -1, 1), b_x, b_h)


@mistake_of("flip_update_gate")
def flip_update_gate__exchanges_r_and_z(W_x, W_h, b_x, b_h):
    return [_reorder(array) for array in (W_x, W_h, b_x, b_h)]


def _z_rows_from(change, arrays):
    """Each array with its middle block of rows replaced by change(block)."""
    blocks = [np.split(array, 3) for array in arrays]
    return [np.concatenate([r, change(z), n]) for r, z, n in blocks]


def _one_minus(block):
    return 1 - block


def _one_over(block):
    return 1 / block


@mistake_of("flip_update_gate")
def flip_update_gate__subtracts_the_parameters_from_one(W_x, W_h, b_x, b_h):
    return _z_rows_from(_one_minus, (W_x, W_h, b_x, b_h))


@mistake_of("flip_update_gate")
def flip_update_gate__takes_reciprocals(W_x, W_h, b_x, b_h):
    return _z_rows_from(_one_over, (W_x, W_h, b_x, b_h))


@mistake_of("flip_update_gate")
def flip_update_gate__takes_every_third_row(W_x, W_h, b_x, b_h):
    flipped = [array.copy() for array in (W_x, W_h, b_x, b_h)]
    for array in flipped:
        array[1::3] *= -1
    return flipped


@mistake_of("flip_update_gate")
def flip_update_gate__writes_into_the_given_parameters(W_x, W_h, b_x, b_h):
    H = W_h.shape[1]
    for array in (W_x, W_h, b_x, b_h):
        array[H : 2 * H] *= -1
    return W_x, W_h, b_x, b_h


# gru_parameter_count


def _count(layer, input_size, hidden_size, num_layers, bidirectional):
    """The count of a whole module, from layer(inputs) for one layer in one direction."""
    directions = 1 + bidirectional
    return directions * (layer(input_size) + (num_layers - 1) * layer(directions * hidden_size))


@mistake_of("gru_parameter_count")
def gru_parameter_count__counts_an_lstm(input_size, hidden_size, num_layers=1, bidirectional=False):
    count = gru_parameter_count(input_size, hidden_size, num_layers, bidirectional)
    return count // 3 * 4


@mistake_of("gru_parameter_count")
def gru_parameter_count__counts_two_blocks(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    count = gru_parameter_count(input_size, hidden_size, num_layers, bidirectional)
    return count // 3 * 2


@mistake_of("gru_parameter_count")
def gru_parameter_count__counts_one_block(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return gru_parameter_count(input_size, hidden_size, num_layers, bidirectional) // 3


@mistake_of("gru_parameter_count")
def gru_parameter_count__counts_one_bias(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    biases = num_layers * (1 + bidirectional) * 3 * hidden_size
    return gru_parameter_count(input_size, hidden_size, num_layers, bidirectional) - biases


@mistake_of("gru_parameter_count")
def gru_parameter_count__forgets_the_biases(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    biases = num_layers * (1 + bidirectional) * 6 * hidden_size
    return gru_parameter_count(input_size, hidden_size, num_layers, bidirectional) - biases


@mistake_of("gru_parameter_count")
def gru_parameter_count__gives_the_recurrent_bias_to_the_candidate_alone(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    biases = num_layers * (1 + bidirectional) * 2 * hidden_size
    return gru_parameter_count(input_size, hidden_size, num_layers, bidirectional) - biases


@mistake_of("gru_parameter_count")
def gru_parameter_count__lets_every_layer_read_the_input(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    one_layer = gru_parameter_count(input_size, hidden_size, 1, bidirectional)
    return num_layers * one_layer


@mistake_of("gru_parameter_count")
def gru_parameter_count__lets_later_layers_read_one_direction(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return (1 + bidirectional) * gru_parameter_count(input_size, hidden_size, num_layers)


@mistake_of("gru_parameter_count")
def gru_parameter_count__ignores_the_direction(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return gru_parameter_count(input_size, hidden_size, num_layers)


@mistake_of("gru_parameter_count")
def gru_parameter_count__ignores_the_layers(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return gru_parameter_count(input_size, hidden_size, 1, bidirectional)


@mistake_of("gru_parameter_count")
def gru_parameter_count__doubles_the_state_for_two_directions(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return gru_parameter_count(input_size, (1 + bidirectional) * hidden_size, num_layers)


# matching_gru_width


def _nearest(input_size, lstm_hidden, biases):
    """The width that matches where each layer has so many biases."""
    return matching_gru_width(input_size + biases - 2, lstm_hidden)


@mistake_of("matching_gru_width")
def matching_gru_width__takes_four_thirds(input_size, lstm_hidden):
    return round(4 * lstm_hidden / 3)


@mistake_of("matching_gru_width")
def matching_gru_width__takes_four_thirds_rounded_down(input_size, lstm_hidden):
    return 4 * lstm_hidden // 3


@mistake_of("matching_gru_width")
def matching_gru_width__takes_the_root_of_four_thirds(input_size, lstm_hidden):
    return round((4 / 3) ** 0.5 * lstm_hidden)


@mistake_of("matching_gru_width")
def matching_gru_width__counts_one_bias(input_size, lstm_hidden):
    return _nearest(input_size, lstm_hidden, 1)


@mistake_of("matching_gru_width")
def matching_gru_width__counts_no_bias(input_size, lstm_hidden):
    return _nearest(input_size, lstm_hidden, 0)


def _largest_within(input_size, lstm_hidden):
    """The largest width at which the GRU is not larger than the LSTM."""
    size = 4 * lstm_hidden * (input_size + lstm_hidden + 2)
    width = lstm_hidden
    while gru_parameter_count(input_size, width + 1) <= size:
        width += 1
    return width


@mistake_of("matching_gru_width")
def matching_gru_width__stays_below(input_size, lstm_hidden):
    return _largest_within(input_size, lstm_hidden)


@mistake_of("matching_gru_width")
def matching_gru_width__goes_above(input_size, lstm_hidden):
    width = _largest_within(input_size, lstm_hidden)
    size = 4 * lstm_hidden * (input_size + lstm_hidden + 2)
    return width if gru_parameter_count(input_size, width) == size else width + 1


@mistake_of("matching_gru_width")
def matching_gru_width__takes_the_larger_on_a_tie(input_size, lstm_hidden):
    width = matching_gru_width(input_size, lstm_hidden)
    size = 4 * lstm_hidden * (input_size + lstm_hidden + 2)
    below = size - gru_parameter_count(input_size, width)
    above = gru_parameter_count(input_size, width + 1) - size
    return width + 1 if below == above else width


@mistake_of("matching_gru_width")
def matching_gru_width__compares_ratios(input_size, lstm_hidden):
    size = 4 * lstm_hidden * (input_size + lstm_hidden + 2)
    widths = range(1, 2 * lstm_hidden + 2)
    counts = [gru_parameter_count(input_size, width) for width in widths]
    return min(widths, key=lambda w: max(size / counts[w - 1], counts[w - 1] / size))


@mistake_of("matching_gru_width")
def matching_gru_width__rounds_the_exact_solution(input_size, lstm_hidden):
    # The positive root w of 3 w (input_size + w + 2) = the LSTM's count.
    s = input_size + 2
    size = 4 * lstm_hidden * (s + lstm_hidden)
    return round((-s + (s * s + 4 * size / 3) ** 0.5) / 2)


@mistake_of("matching_gru_width")
def matching_gru_width__matches_the_other_way_round(input_size, lstm_hidden):
    target = gru_parameter_count(input_size, lstm_hidden)
    distances = [
        abs(4 * width * (input_size + width + 2) - target) for width in range(1, lstm_hidden + 1)
    ]
    return 1 + distances.index(min(distances))


# update_highway


@mistake_of("update_highway")
def update_highway__takes_one_minus_z(z):
    return update_highway(1 - z)


@mistake_of("update_highway")
def update_highway__includes_its_own_gate(z):
    return z * update_highway(z)


@mistake_of("update_highway")
def update_highway__is_one_gate_early(z):
    highway = np.ones_like(z)
    highway[:-1] = np.cumprod(z[:-1][::-1], axis=0)[::-1]
    return highway


@mistake_of("update_highway")
def update_highway__multiplies_from_the_start(z):
    return np.cumprod(z, axis=0)


@mistake_of("update_highway")
def update_highway__looks_from_the_first_state(z):
    highway = np.cumprod(z, axis=0)
    highway[1:] = np.cumprod(z[1:], axis=0)
    highway[0] = 1
    return highway


@mistake_of("update_highway")
def update_highway__orders_by_lag(z):
    return update_highway(z)[::-1]


@mistake_of("update_highway")
def update_highway__takes_single_steps(z):
    return np.concatenate([z[1:], np.ones_like(z[:1])])


@mistake_of("update_highway")
def update_highway__gives_the_whole_product_everywhere(z):
    return np.broadcast_to(np.prod(z, axis=0), z.shape)


@mistake_of("update_highway")
def update_highway__runs_along_the_batch(z):
    return np.swapaxes(update_highway(np.swapaxes(z, 0, 1)), 0, 1)


@mistake_of("update_highway")
def update_highway__divides_products(z):
    with np.errstate(all="ignore"):
        return np.prod(z, axis=0) / np.cumprod(z, axis=0)


@mistake_of("update_highway")
def update_highway__writes_into_z(z):
    highway = update_highway(z)
    if len(z) > 1:
        z *= highway
    return highway
