"""Chapter 5: how the LSTM's backward pass and its time scales go wrong."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.lstm_gradients import (
    cell_highway,
    gate_deltas,
    lstm_backward,
    lstm_state_gradients,
    lstm_state_jacobian,
    lstm_step_backward,
)
from autograder.reference.vanilla_rnn import sigmoid

# lstm_step_backward


def _slopes(gates):
    """The slope of each gate's nonlinearity, from its own value."""
    i, f, g, o = gates
    return {"i": i * (1 - i), "f": f * (1 - f), "g": 1 - g**2, "o": o * (1 - o)}


def _deltas(dh_next, dc_next, c, gates, c_next, whole=None, at=None, slopes=None, order="ifgo"):
    """Like `gate_deltas`, with a place for each thing that can be done wrongly.

    whole: all of dL/dc_next; at: gradients at some gates' values, by name; slopes: of some gates'
    nonlinearities, by name; order: in which the deltas are stacked.
    """
    i, f, g, o = gates
    tanh_c = np.tanh(c_next)
    if whole is None:
        whole = dc_next + dh_next * o * (1 - tanh_c**2)
    at = {"i": whole * g, "f": whole * c, "g": whole * i, "o": dh_next * tanh_c, **(at or {})}
    slopes = {**_slopes(gates), **(slopes or {})}
    return np.concatenate([at[name] * slopes[name] for name in order], axis=1), whole * f


def _six(delta, dc, x, h, W_x, W_h):
    """All six gradients from the one at the pre-activations and that of the old cell."""
    return delta @ W_x, delta @ W_h, dc, delta.T @ x, delta.T @ h, delta.sum(axis=0)


def _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, **changes):
    delta, dc = _deltas(dh_next, dc_next, c, gates, c_next, **changes)
    return _six(delta, dc, x, h, W_x, W_h)


@mistake_of("lstm_step_backward")
def lstm_step_backward__ignores_dc_next(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    return lstm_step_backward(dh_next, 0 * dc_next, x, h, c, gates, c_next, W_x, W_h)


@mistake_of("lstm_step_backward")
def lstm_step_backward__leaves_out_the_path_through_h(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, whole=dc_next)


@mistake_of("lstm_step_backward")
def lstm_step_backward__forgets_the_slope_of_tanh_c(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    whole = dc_next + dh_next * gates[3]
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, whole=whole)


@mistake_of("lstm_step_backward")
def lstm_step_backward__forgets_the_output_gate(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    whole = dc_next + dh_next * (1 - np.tanh(c_next) ** 2)
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, whole=whole)


@mistake_of("lstm_step_backward")
def lstm_step_backward__takes_the_tanh_of_the_old_cell(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    whole = dc_next + dh_next * gates[3] * (1 - np.tanh(c) ** 2)
    at = {"o": dh_next * np.tanh(c)}
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, whole=whole, at=at)


@mistake_of("lstm_step_backward")
def lstm_step_backward__does_not_square_the_tanh(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    whole = dc_next + dh_next * gates[3] * (1 - np.tanh(c_next))
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, whole=whole)


@mistake_of("lstm_step_backward")
def lstm_step_backward__squares_the_cell_without_its_tanh(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    whole = dc_next + dh_next * gates[3] * (1 - c_next**2)
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, whole=whole)


@mistake_of("lstm_step_backward")
def lstm_step_backward__takes_dc_next_through_the_tanh(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    whole = (dc_next + dh_next * gates[3]) * (1 - np.tanh(c_next) ** 2)
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, whole=whole)


@mistake_of("lstm_step_backward")
def lstm_step_backward__leaves_out_the_gates_slopes(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    slopes = dict.fromkeys("ifgo", 1.0)
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, slopes=slopes)


@mistake_of("lstm_step_backward")
def lstm_step_backward__applies_the_nonlinearities_again(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    i, f, g, o = gates
    slopes = _slopes((sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)))
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, slopes=slopes)


@mistake_of("lstm_step_backward")
def lstm_step_backward__gives_the_candidate_the_slope_of_a_sigmoid(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    slopes = {"g": gates[2] * (1 - gates[2])}
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, slopes=slopes)


@mistake_of("lstm_step_backward")
def lstm_step_backward__multiplies_i_and_g_by_themselves(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    i, _, g, o = gates
    whole = dc_next + dh_next * o * (1 - np.tanh(c_next) ** 2)
    at = {"i": whole * i, "g": whole * g}
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, at=at)


@mistake_of("lstm_step_backward")
def lstm_step_backward__multiplies_f_by_the_new_cell(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    whole = dc_next + dh_next * gates[3] * (1 - np.tanh(c_next) ** 2)
    at = {"f": whole * c_next}
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, at=at)


@mistake_of("lstm_step_backward")
def lstm_step_backward__multiplies_o_by_the_cell_without_its_tanh(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    at = {"o": dh_next * c_next}
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, at=at)


@mistake_of("lstm_step_backward")
def lstm_step_backward__returns_dc_without_the_forget_gate(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    delta, dc = gate_deltas(dh_next, dc_next, c, gates, c_next)
    return _six(delta, dc / gates[1], x, h, W_x, W_h)


@mistake_of("lstm_step_backward")
def lstm_step_backward__returns_only_dc_next_times_the_forget_gate(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    delta, _ = gate_deltas(dh_next, dc_next, c, gates, c_next)
    return _six(delta, dc_next * gates[1], x, h, W_x, W_h)


@mistake_of("lstm_step_backward")
def lstm_step_backward__transposes_each_gates_W_h(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    delta, dc = gate_deltas(dh_next, dc_next, c, gates, c_next)
    dx, _, dc, *rest = _six(delta, dc, x, h, W_x, W_h)
    return dx, delta @ _block_transposed(W_h), dc, *rest


def _block_transposed(W_h):
    return np.concatenate([block.T for block in np.split(W_h, 4)])


@mistake_of("lstm_step_backward")
def lstm_step_backward__stacks_the_deltas_as_i_f_o_g(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, order="ifog")


@mistake_of("lstm_step_backward")
def lstm_step_backward__unpacks_the_gates_as_i_f_o_g(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    i, f, o, g = gates
    gates = (i, f, g, o)
    return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, order="ifog")


@mistake_of("lstm_step_backward")
def lstm_step_backward__uses_the_new_state_in_dW_h(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    h_next = gates[3] * np.tanh(c_next)
    return lstm_step_backward(dh_next, dc_next, x, h_next, c, gates, c_next, W_x, W_h)


@mistake_of("lstm_step_backward")
def lstm_step_backward__averages_over_the_batch(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    dx, dh, dc, *rest = lstm_step_backward(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h)
    return dx, dh, dc, *(gradient / len(x) for gradient in rest)


@mistake_of("lstm_step_backward")
def lstm_step_backward__keeps_db_for_each_sequence(
    dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h
):
    delta, dc = gate_deltas(dh_next, dc_next, c, gates, c_next)
    return *_six(delta, dc, x, h, W_x, W_h)[:5], delta


@mistake_of("lstm_step_backward")
def lstm_step_backward__returns_dc_before_dh(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    dx, dh, dc, *rest = lstm_step_backward(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h)
    return dx, dc, dh, *rest


@mistake_of("lstm_step_backward")
def lstm_step_backward__writes_into_dc_next(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
    grads = lstm_step_backward(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h)
    dc_next += dh_next * gates[3] * (1 - np.tanh(c_next) ** 2)
    return grads


# lstm_backward


def _before(first, states):
    """The state that each step starts from."""
    return np.concatenate([first[None], states[:-1]])


def _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, steps=None, before=None, step=None, carry=None):
    """Backpropagation through time with a place for each thing that can be done wrongly.

    steps: the order of the steps; before: the states (h, c) that each step starts from; step: the
    backward pass of one step; carry: from t, the dh and dc of step t and those that it received,
    what is handed on.
    """
    before_h, before_c = before or (_before(h0, hs), _before(c0, cs))
    dx, dW_x, dW_h = np.zeros_like(x), np.zeros_like(W_x), np.zeros_like(W_h)
    db, dh, dc = np.zeros(len(W_h)), np.zeros_like(h0), np.zeros_like(c0)
    for t in reversed(range(len(x))) if steps is None else steps:
        received = dh, dc
        dx[t], dh, dc, *own = (step or lstm_step_backward)(
            dhs[t] + dh,
            dc,
            x[t],
            before_h[t],
            before_c[t],
            np.split(gates[t], 4, axis=1),
            cs[t],
            W_x,
            W_h,
        )
        if carry:
            dh, dc = carry(t, dh, dc, *received)
        for total, part in zip((dW_x, dW_h, db), own, strict=True):
            total += part
    return {"x": dx, "h0": dh, "c0": dc, "W_x": dW_x, "W_h": dW_h, "b": db}


STATES = ("x", "h0", "c0")


def _with_weights(grads, change):
    return {key: value if key in STATES else change(value) for key, value in grads.items()}


@mistake_of("lstm_backward")
def lstm_backward__does_not_carry_dc(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    def carry(t, dh, dc, *received):
        return dh, dc if t == 0 else 0 * dc

    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, carry=carry)


@mistake_of("lstm_backward")
def lstm_backward__does_not_carry_dh(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    def carry(t, dh, dc, *received):
        return dh if t == 0 else 0 * dh, dc

    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, carry=carry)


@mistake_of("lstm_backward")
def lstm_backward__keeps_adding_to_the_carry(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    def carry(t, dh, dc, received_dh, received_dc):
        return dh + received_dh, dc + received_dc

    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, carry=carry)


@mistake_of("lstm_backward")
def lstm_backward__reads_only_the_last_dhs(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    last = np.zeros_like(dhs)
    last[-1] = dhs[-1]
    return _loop(last, x, h0, c0, hs, cs, gates, W_x, W_h)


@mistake_of("lstm_backward")
def lstm_backward__adds_dhs_twice(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    twice = 2 * dhs
    twice[-1] = dhs[-1]
    return _loop(twice, x, h0, c0, hs, cs, gates, W_x, W_h)


@mistake_of("lstm_backward")
def lstm_backward__leaves_out_the_path_through_h(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    def step(dh_next, dc_next, *rest):
        return _step(dh_next, dc_next, *rest, whole=dc_next)

    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, step=step)


@mistake_of("lstm_backward")
def lstm_backward__forgets_the_forget_gate_in_the_carry(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    def step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
        dx, dh, dc, *rest = lstm_step_backward(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h)
        return dx, dh, dc / gates[1], *rest

    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, step=step)


@mistake_of("lstm_backward")
def lstm_backward__keeps_only_one_step_of_the_weights(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    own = []

    def step(*inputs):
        grads = lstm_step_backward(*inputs)
        own[:] = grads[3:]
        return grads

    grads = _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, step=step)
    return {**grads, **dict(zip(("W_x", "W_h", "b"), own, strict=True))}


@mistake_of("lstm_backward")
def lstm_backward__uses_the_new_states(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, before=(hs, cs))


@mistake_of("lstm_backward")
def lstm_backward__uses_the_new_cell(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, before=(_before(h0, hs), cs))


@mistake_of("lstm_backward")
def lstm_backward__uses_the_new_state_in_W_h(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, before=(hs, _before(c0, cs)))


@mistake_of("lstm_backward")
def lstm_backward__wraps_around_to_the_last_states(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    before = _before(hs[-1], hs), _before(cs[-1], cs)
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, before=before)


@mistake_of("lstm_backward")
def lstm_backward__starts_from_zeros(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    before = _before(0 * h0, hs), _before(0 * c0, cs)
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, before=before)


@mistake_of("lstm_backward")
def lstm_backward__swaps_h0_and_c0(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    grads = lstm_backward(dhs, x, h0, c0, hs, cs, gates, W_x, W_h)
    return {**grads, "h0": grads["c0"], "c0": grads["h0"]}


@mistake_of("lstm_backward")
def lstm_backward__gives_h0_and_c0_what_arrives_at_the_first_states(
    dhs, x, h0, c0, hs, cs, gates, W_x, W_h
):
    later = _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, steps=range(len(x) - 1, 0, -1))
    grads = lstm_backward(dhs, x, h0, c0, hs, cs, gates, W_x, W_h)
    return {**grads, "h0": dhs[0] + later["h0"], "c0": later["c0"]}


@mistake_of("lstm_backward")
def lstm_backward__loops_forward_in_time(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, steps=range(len(x)))


@mistake_of("lstm_backward")
def lstm_backward__stops_before_the_first_step(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, steps=range(len(x) - 1, 0, -1))


@mistake_of("lstm_backward")
def lstm_backward__transposes_each_gates_W_h(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, _block_transposed(W_h))


@mistake_of("lstm_backward")
def lstm_backward__reads_the_gates_as_i_f_o_g(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    def step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h):
        i, f, o, g = gates
        gates = (i, f, g, o)
        return _step(dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h, order="ifog")

    return _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, step=step)


@mistake_of("lstm_backward")
def lstm_backward__averages_over_the_batch(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    grads = lstm_backward(dhs, x, h0, c0, hs, cs, gates, W_x, W_h)
    return _with_weights(grads, lambda grad: grad / x.shape[1])


@mistake_of("lstm_backward")
def lstm_backward__averages_over_time(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    grads = lstm_backward(dhs, x, h0, c0, hs, cs, gates, W_x, W_h)
    return _with_weights(grads, lambda grad: grad / len(x))


@mistake_of("lstm_backward")
def lstm_backward__writes_into_dhs(dhs, x, h0, c0, hs, cs, gates, W_x, W_h):
    carried = []

    def step(*inputs):
        grads = lstm_step_backward(*inputs)
        carried.append(grads[1])
        return grads

    grads = _loop(dhs, x, h0, c0, hs, cs, gates, W_x, W_h, step=step)
    dhs[:-1] += np.array(carried[:-1][::-1]).reshape(dhs[:-1].shape)
    return grads


# cell_highway


def _running(f, start, combine=np.multiply):
    """From the end to the beginning, entry t combined with f[t]."""
    kept = [start]
    for f_t in f[::-1]:
        kept.insert(0, combine(kept[0], f_t))
    return np.array(kept)


@mistake_of("cell_highway")
def cell_highway__includes_the_gate_of_its_own_step(f):
    return np.cumprod(f[::-1], axis=0)[::-1]


@mistake_of("cell_highway")
def cell_highway__takes_the_gate_of_its_own_step_instead_of_the_last(f):
    return _running(f[:-1], np.ones(f.shape[1:]))


@mistake_of("cell_highway")
def cell_highway__multiplies_from_the_beginning(f):
    return np.cumprod(f, axis=0)


@mistake_of("cell_highway")
def cell_highway__starts_from_the_first_cell(f):
    return np.concatenate([np.ones_like(f[:1]), np.cumprod(f[1:], axis=0)])


@mistake_of("cell_highway")
def cell_highway__orders_by_lag(f):
    return cell_highway(f)[::-1]


@mistake_of("cell_highway")
def cell_highway__turns_round_after_the_product(f):
    return np.concatenate([np.cumprod(f[1:], axis=0)[::-1], np.ones_like(f[:1])])


@mistake_of("cell_highway")
def cell_highway__takes_only_the_next_gate(f):
    return np.concatenate([f[1:], np.ones_like(f[:1])])


@mistake_of("cell_highway")
def cell_highway__takes_powers_of_one_gate(f):
    lags = np.arange(len(f))[::-1, None, None]
    return f**lags


@mistake_of("cell_highway")
def cell_highway__gives_every_step_the_whole_product(f):
    return np.ones_like(f) * np.prod(f, axis=0)


@mistake_of("cell_highway")
def cell_highway__adds_the_gates(f):
    return _running(f[1:], np.zeros(f.shape[1:]), np.add)


@mistake_of("cell_highway")
def cell_highway__stops_at_the_logarithm(f):
    with np.errstate(divide="ignore"):
        return _running(np.log(f[1:]), np.zeros(f.shape[1:]), np.add)


@mistake_of("cell_highway")
def cell_highway__multiplies_what_is_forgotten(f):
    return cell_highway(1 - f)


@mistake_of("cell_highway")
def cell_highway__runs_along_the_units(f):
    return cell_highway(f.transpose(2, 1, 0)).transpose(2, 1, 0)


@mistake_of("cell_highway")
def cell_highway__divides_the_whole_product(f):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.prod(f, axis=0) / np.cumprod(f, axis=0)


# lstm_state_jacobian


def _jacobian(gates, c, c_next, W_h, slope=None, slopes=None, cell=None, order="ifgo"):
    """The four blocks, with a place for each thing that can be done wrongly.

    slope: of h_next with respect to c_next; slopes: of some gates' nonlinearities; cell: what the
    forget gate multiplies; order: of the blocks of W_h.
    """
    i, f, g, o = gates
    W = dict(zip(order, np.split(W_h, 4), strict=True))
    tanh_c = np.tanh(c_next)
    slope = o * (1 - tanh_c**2) if slope is None else slope
    slopes = {**_slopes(gates), **(slopes or {})}
    at = {"i": g, "f": c if cell is None else cell, "g": i}
    dc_dh = sum((at[name] * slopes[name])[:, None] * W[name] for name in "ifg")
    output = (tanh_c * slopes["o"])[:, None] * W["o"]
    return {
        "hh": slope[:, None] * dc_dh + output,
        "hc": np.diag(slope * f),
        "ch": dc_dh,
        "cc": np.diag(f),
        "output": output,
    }


def _assembled(blocks):
    return np.block([[blocks["hh"], blocks["hc"]], [blocks["ch"], blocks["cc"]]])


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__keeps_only_the_forget_gate(gates, c, c_next, W_h):
    blocks = _jacobian(gates, c, c_next, W_h)
    return _assembled({name: block * (name == "cc") for name, block in blocks.items()})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__holds_the_gates_fixed(gates, c, c_next, W_h):
    blocks = _jacobian(gates, c, c_next, W_h)
    return _assembled({**blocks, "hh": 0 * blocks["hh"], "ch": 0 * blocks["ch"]})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__leaves_out_the_way_from_h_to_the_cell(gates, c, c_next, W_h):
    blocks = _jacobian(gates, c, c_next, W_h)
    return _assembled({**blocks, "hh": blocks["output"], "ch": 0 * blocks["ch"]})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__takes_h_to_h_through_the_output_gate_alone(gates, c, c_next, W_h):
    blocks = _jacobian(gates, c, c_next, W_h)
    return _assembled({**blocks, "hh": blocks["output"]})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__leaves_out_the_output_gates_own_part(gates, c, c_next, W_h):
    blocks = _jacobian(gates, c, c_next, W_h)
    return _assembled({**blocks, "hh": blocks["hh"] - blocks["output"]})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__leaves_the_forget_gate_out_of_c_to_h(gates, c, c_next, W_h):
    blocks = _jacobian(gates, c, c_next, W_h)
    return _assembled({**blocks, "hc": np.diag(gates[3] * (1 - np.tanh(c_next) ** 2))})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__forgets_the_slope_of_tanh_c(gates, c, c_next, W_h):
    return _assembled(_jacobian(gates, c, c_next, W_h, slope=gates[3]))


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__takes_the_tanh_of_the_old_cell(gates, c, c_next, W_h):
    return lstm_state_jacobian(gates, c, c, W_h)


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__fills_blocks_where_diagonals_are_due(gates, c, c_next, W_h):
    blocks = _jacobian(gates, c, c_next, W_h)
    full = {name: np.ones_like(blocks[name]) * np.diag(blocks[name]) for name in ("hc", "cc")}
    return _assembled({**blocks, **full})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__multiplies_f_by_the_new_cell(gates, c, c_next, W_h):
    return _assembled(_jacobian(gates, c, c_next, W_h, cell=c_next))


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__leaves_out_the_gates_slopes(gates, c, c_next, W_h):
    slopes = dict.fromkeys("ifgo", np.ones_like(c))
    return _assembled(_jacobian(gates, c, c_next, W_h, slopes=slopes))


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__reads_the_blocks_of_W_h_as_i_f_o_g(gates, c, c_next, W_h):
    return _assembled(_jacobian(gates, c, c_next, W_h, order="ifog"))


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__transposes_each_gates_W_h(gates, c, c_next, W_h):
    return _assembled(_jacobian(gates, c, c_next, _block_transposed(W_h)))


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__scales_the_columns(gates, c, c_next, W_h):
    # Transposed twice: the same products with columns in place of rows.
    blocks = _jacobian(gates, c, c_next, _block_transposed(W_h))
    return _assembled({**blocks, "hh": blocks["hh"].T, "ch": blocks["ch"].T})


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__returns_the_transpose(gates, c, c_next, W_h):
    return lstm_state_jacobian(gates, c, c_next, W_h).T


@mistake_of("lstm_state_jacobian")
def lstm_state_jacobian__puts_the_cell_first(gates, c, c_next, W_h):
    H = len(c)
    return np.roll(lstm_state_jacobian(gates, c, c_next, W_h), H, axis=(0, 1))


# chrono_bias


def _scales(hidden, T, rng):
    return rng.uniform(1, T - 1, size=hidden)


def _opposite(b_f):
    return b_f, -b_f


@mistake_of("chrono_bias")
def chrono_bias__draws_the_logarithm_uniformly(hidden, T, rng):
    return _opposite(rng.uniform(0, np.log(T - 1), size=hidden))


@mistake_of("chrono_bias")
def chrono_bias__forgets_the_logarithm(hidden, T, rng):
    return _opposite(_scales(hidden, T, rng))


@mistake_of("chrono_bias")
def chrono_bias__draws_one_number_for_all_units(hidden, T, rng):
    return _opposite(np.log(np.full(hidden, rng.uniform(1, T - 1))))


@mistake_of("chrono_bias")
def chrono_bias__draws_up_to_T(hidden, T, rng):
    return _opposite(np.log(rng.uniform(1, T, size=hidden)))


@mistake_of("chrono_bias")
def chrono_bias__draws_from_zero(hidden, T, rng):
    return _opposite(np.log(rng.uniform(0, T - 1, size=hidden)))


@mistake_of("chrono_bias")
def chrono_bias__draws_whole_numbers(hidden, T, rng):
    return _opposite(np.log(rng.integers(1, T, size=hidden)))


@mistake_of("chrono_bias")
def chrono_bias__spaces_the_units_evenly(hidden, T, rng):
    return _opposite(np.log(np.linspace(1, T - 1, hidden)))


@mistake_of("chrono_bias")
def chrono_bias__seeds_anew(hidden, T, rng):
    return _opposite(np.log(_scales(hidden, T, np.random.default_rng(0))))


@mistake_of("chrono_bias")
def chrono_bias__gives_both_biases_the_same_sign(hidden, T, rng):
    b_f = np.log(_scales(hidden, T, rng))
    return b_f, b_f.copy()


@mistake_of("chrono_bias")
def chrono_bias__leaves_b_i_at_zero(hidden, T, rng):
    b_f = np.log(_scales(hidden, T, rng))
    return b_f, np.zeros(hidden)


@mistake_of("chrono_bias")
def chrono_bias__draws_b_i_by_itself(hidden, T, rng):
    return np.log(_scales(hidden, T, rng)), -np.log(_scales(hidden, T, rng))


@mistake_of("chrono_bias")
def chrono_bias__returns_b_i_before_b_f(hidden, T, rng):
    b_f = np.log(_scales(hidden, T, rng))
    return -b_f, b_f


# forget_bias_for_horizon


def _logit(p):
    return np.log(p / (1 - p))


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__answers_for_one_step(steps, remaining):
    return _logit(remaining)


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__returns_the_gate(steps, remaining):
    return remaining ** (1 / steps)


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__takes_the_logarithm_of_the_gate(steps, remaining):
    return np.log(remaining) / steps


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__takes_the_opposite_sign(steps, remaining):
    return -_logit(remaining ** (1 / steps))


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__inverts_the_tanh(steps, remaining):
    return np.arctanh(remaining ** (1 / steps))


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__takes_the_part_that_is_lost(steps, remaining):
    return _logit((1 - remaining) ** (1 / steps))


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__loses_the_same_amount_at_each_step(steps, remaining):
    return _logit(1 - (1 - remaining) / steps)


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__raises_to_the_power_of_the_steps(steps, remaining):
    return _logit(remaining**steps)


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__assumes_that_half_is_left(steps, remaining):
    return _logit(0.5 ** (1 / steps))


@mistake_of("forget_bias_for_horizon")
def forget_bias_for_horizon__takes_the_time_constant(steps, remaining):
    with np.errstate(divide="ignore"):
        return np.log(steps - 1.0)


# lstm_state_gradients


def _states(dh_last, dc_last, cs, gates, W_h, back=gate_deltas, order="ifgo"):
    """Both gradients at every step, with a place for each thing that can be done wrongly.

    back: like `gate_deltas`; order: in which the gates stand in `gates`.
    """
    dh, dc = np.empty_like(cs), np.empty_like(cs)
    dh[-1], dc[-1] = dh_last, dc_last
    for t in reversed(range(len(cs) - 1)):
        named = dict(zip(order, np.split(gates[t + 1], 4, axis=1), strict=True))
        step = tuple(named[name] for name in "ifgo")
        delta, dc[t] = back(dh[t + 1], dc[t + 1], cs[t], step, cs[t + 1])
        dh[t] = delta @ W_h
    return dh, dc


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__adds_the_part_through_h_of_the_same_step(
    dh_last, dc_last, cs, gates, c0, W_h
):
    dh, dc = lstm_state_gradients(dh_last, dc_last, cs, gates, c0, W_h)
    o = np.split(gates, 4, axis=2)[3]
    return dh, dc + dh * o * (1 - np.tanh(cs) ** 2)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__adds_that_part_everywhere_but_at_the_end(
    dh_last, dc_last, cs, gates, c0, W_h
):
    dh, dc = lstm_state_gradients(dh_last, dc_last, cs, gates, c0, W_h)
    o = np.split(gates, 4, axis=2)[3]
    return dh, np.concatenate([(dc + dh * o * (1 - np.tanh(cs) ** 2))[:-1], dc[-1:]])


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__counts_the_part_through_h_twice(dh_last, dc_last, cs, gates, c0, W_h):
    wholes = [dc_last]
    dhs = [dh_last]
    for t in reversed(range(len(cs) - 1)):
        step = np.split(gates[t + 1], 4, axis=1)
        delta, dc = gate_deltas(dhs[-1], wholes[-1], cs[t], step, cs[t + 1])
        dhs.append(delta @ W_h)
        o = np.split(gates[t], 4, axis=1)[3]
        wholes.append(dc + dhs[-1] * o * (1 - np.tanh(cs[t]) ** 2))
    return np.array(dhs[::-1]), np.array(wholes[::-1])


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__multiplies_dc_by_the_forget_gates_alone(
    dh_last, dc_last, cs, gates, c0, W_h
):
    def back(dh_next, dc_next, c, gates, c_next):
        delta, _ = gate_deltas(dh_next, dc_next, c, gates, c_next)
        return delta, dc_next * gates[1]

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__leaves_out_the_path_through_h(dh_last, dc_last, cs, gates, c0, W_h):
    def back(dh_next, dc_next, *rest):
        return _deltas(dh_next, dc_next, *rest, whole=dc_next)

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__sends_dh_back_through_the_output_gate_alone(
    dh_last, dc_last, cs, gates, c0, W_h
):
    def back(*inputs):
        delta, dc = gate_deltas(*inputs)
        delta[:, : 3 * dc.shape[1]] = 0
        return delta, dc

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__ignores_dc_on_the_way_through_a_step(
    dh_last, dc_last, cs, gates, c0, W_h
):
    def back(dh_next, dc_next, *rest):
        return gate_deltas(dh_next, 0 * dc_next, *rest)

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__forgets_the_forget_gate(dh_last, dc_last, cs, gates, c0, W_h):
    def back(dh_next, dc_next, c, gates, c_next):
        delta, dc = gate_deltas(dh_next, dc_next, c, gates, c_next)
        return delta, dc / gates[1]

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__takes_the_tanh_of_the_old_cell(dh_last, dc_last, cs, gates, c0, W_h):
    def back(dh_next, dc_next, c, gates, c_next):
        return gate_deltas(dh_next, dc_next, c, gates, c)

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__takes_the_gates_one_step_early(dh_last, dc_last, cs, gates, c0, W_h):
    return _states(dh_last, dc_last, cs, np.concatenate([gates[:1], gates[:-1]]), W_h)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__goes_back_through_its_own_step(dh_last, dc_last, cs, gates, c0, W_h):
    before = _before(c0, cs)
    dh, dc = np.empty_like(cs), np.empty_like(cs)
    dh[-1], dc[-1] = dh_last, dc_last
    for t in reversed(range(len(cs) - 1)):
        step = np.split(gates[t], 4, axis=1)
        delta, dc[t] = gate_deltas(dh[t + 1], dc[t + 1], before[t], step, cs[t])
        dh[t] = delta @ W_h
    return dh, dc


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__goes_one_step_too_far(dh_last, dc_last, cs, gates, c0, W_h):
    before = np.concatenate([c0[None], cs])
    first = np.concatenate([gates[:1], gates])
    dh, dc = _states(dh_last, dc_last, before, first, W_h)
    return dh[:-1], dc[:-1]


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__multiplies_f_by_the_new_cell(dh_last, dc_last, cs, gates, c0, W_h):
    def back(dh_next, dc_next, c, gates, c_next):
        delta, _ = gate_deltas(dh_next, dc_next, c_next, gates, c_next)
        return delta, gate_deltas(dh_next, dc_next, c, gates, c_next)[1]

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__forgets_the_slope_of_tanh_c(dh_last, dc_last, cs, gates, c0, W_h):
    def back(dh_next, dc_next, c, gates, c_next):
        whole = dc_next + dh_next * gates[3]
        return _deltas(dh_next, dc_next, c, gates, c_next, whole=whole)

    return _states(dh_last, dc_last, cs, gates, W_h, back)


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__adds_dh_last_at_every_step(dh_last, dc_last, cs, gates, c0, W_h):
    dh, dc = np.empty_like(cs), np.empty_like(cs)
    dh[-1], dc[-1] = dh_last, dc_last
    for t in reversed(range(len(cs) - 1)):
        step = np.split(gates[t + 1], 4, axis=1)
        delta, dc[t] = gate_deltas(dh[t + 1], dc[t + 1], cs[t], step, cs[t + 1])
        dh[t] = delta @ W_h + dh_last
    return dh, dc


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__transposes_each_gates_W_h(dh_last, dc_last, cs, gates, c0, W_h):
    return _states(dh_last, dc_last, cs, gates, _block_transposed(W_h))


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__reads_the_gates_as_i_f_o_g(dh_last, dc_last, cs, gates, c0, W_h):
    def back(*inputs):
        return _deltas(*inputs, order="ifog")

    return _states(dh_last, dc_last, cs, gates, W_h, back, order="ifog")


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__returns_the_order_of_the_loop(dh_last, dc_last, cs, gates, c0, W_h):
    dh, dc = lstm_state_gradients(dh_last, dc_last, cs, gates, c0, W_h)
    return dh[::-1], dc[::-1]


@mistake_of("lstm_state_gradients")
def lstm_state_gradients__returns_dc_before_dh(dh_last, dc_last, cs, gates, c0, W_h):
    return lstm_state_gradients(dh_last, dc_last, cs, gates, c0, W_h)[::-1]
