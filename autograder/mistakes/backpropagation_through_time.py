"""Chapter 2: how backpropagation through time goes wrong."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.backpropagation_through_time import (
    numerical_gradient,
    rnn_backward,
    rnn_step_backward,
    state_gradients,
    truncated_rnn_backward,
)


def _five(da, x, h, W_x, W_h):
    """All five gradients from the one at the pre-activation."""
    return da @ W_x, da @ W_h, da.T @ x, da.T @ h, da.sum(axis=0)


@mistake_of("rnn_step_backward")
def rnn_step_backward__skips_the_tanh(dh_next, x, h, h_next, W_x, W_h):
    return _five(dh_next, x, h, W_x, W_h)


@mistake_of("rnn_step_backward")
def rnn_step_backward__takes_the_slope_at_the_old_state(dh_next, x, h, h_next, W_x, W_h):
    return _five(dh_next * (1 - h**2), x, h, W_x, W_h)


@mistake_of("rnn_step_backward")
def rnn_step_backward__does_not_square_the_state(dh_next, x, h, h_next, W_x, W_h):
    return _five(dh_next * (1 - h_next), x, h, W_x, W_h)


@mistake_of("rnn_step_backward")
def rnn_step_backward__applies_tanh_again(dh_next, x, h, h_next, W_x, W_h):
    return _five(dh_next * (1 - np.tanh(h_next) ** 2), x, h, W_x, W_h)


@mistake_of("rnn_step_backward")
def rnn_step_backward__uses_the_slope_of_the_sigmoid(dh_next, x, h, h_next, W_x, W_h):
    return _five(dh_next * h_next * (1 - h_next), x, h, W_x, W_h)


@mistake_of("rnn_step_backward")
def rnn_step_backward__recomputes_the_state_without_its_bias(dh_next, x, h, h_next, W_x, W_h):
    state = np.tanh(x @ W_x.T + h @ W_h.T)
    return _five(dh_next * (1 - state**2), x, h, W_x, W_h)


@mistake_of("rnn_step_backward")
def rnn_step_backward__multiplies_dh_by_the_transpose(dh_next, x, h, h_next, W_x, W_h):
    da = dh_next * (1 - h_next**2)
    return da @ W_x, da @ W_h.T, da.T @ x, da.T @ h, da.sum(axis=0)


@mistake_of("rnn_step_backward")
def rnn_step_backward__averages_over_the_batch(dh_next, x, h, h_next, W_x, W_h):
    da = dh_next * (1 - h_next**2)
    return da @ W_x, da @ W_h, da.T @ x / len(x), da.T @ h / len(x), da.mean(axis=0)


@mistake_of("rnn_step_backward")
def rnn_step_backward__uses_the_new_state_in_dW_h(dh_next, x, h, h_next, W_x, W_h):
    return _five(dh_next * (1 - h_next**2), x, h_next, W_x, W_h)


@mistake_of("rnn_step_backward")
def rnn_step_backward__leaves_tanh_out_of_the_parameters(dh_next, x, h, h_next, W_x, W_h):
    da = dh_next * (1 - h_next**2)
    return da @ W_x, da @ W_h, dh_next.T @ x, dh_next.T @ h, dh_next.sum(axis=0)


@mistake_of("rnn_step_backward")
def rnn_step_backward__keeps_db_for_each_sequence(dh_next, x, h, h_next, W_x, W_h):
    da = dh_next * (1 - h_next**2)
    return da @ W_x, da @ W_h, da.T @ x, da.T @ h, da


@mistake_of("rnn_step_backward")
def rnn_step_backward__returns_dh_before_dx(dh_next, x, h, h_next, W_x, W_h):
    dx, dh, *parameters = rnn_step_backward(dh_next, x, h, h_next, W_x, W_h)
    return dh, dx, *parameters


@mistake_of("rnn_step_backward")
def rnn_step_backward__transposes_the_weight_gradients(dh_next, x, h, h_next, W_x, W_h):
    dx, dh, dW_x, dW_h, db = rnn_step_backward(dh_next, x, h, h_next, W_x, W_h)
    return dx, dh, dW_x.T, dW_h.T, db


def _previous(h0, hs):
    """The state that each step starts from."""
    return np.concatenate([h0[None], hs[:-1]])


def _slope(before, after):
    return 1 - after**2


def _loop(dhs, x, h0, hs, W_x, W_h, steps=None, slope=_slope, back=None, cut=(), first=None):
    """Backpropagation through time with a place for each thing that can be done wrongly.

    steps: the order of the steps; slope: of the tanh, from the states before and after it; back:
    from da and the dh that arrived, what goes back; cut: the steps that send nothing back; first:
    another state that a step starts from in the gradient of W_h, as {step: state}.
    """
    previous = _previous(h0, hs)
    used = previous.copy()
    for t, state in (first or {}).items():
        used[t] = state
    dx, dW_x, dW_h = np.zeros_like(x), np.zeros_like(W_x), np.zeros_like(W_h)
    db, dh = np.zeros(len(W_h)), np.zeros_like(h0)
    for t in reversed(range(len(x))) if steps is None else steps:
        da = (dhs[t] + dh) * slope(previous[t], hs[t])
        dx[t] = da @ W_x
        dW_x += da.T @ x[t]
        dW_h += da.T @ used[t]
        db += da.sum(axis=0)
        sent = back(da, dh) if back else da @ W_h
        dh = np.zeros_like(h0) if t in cut else sent
    return {"x": dx, "h0": dh, "W_x": dW_x, "W_h": dW_h, "b": db}


def _with_weights(grads, change):
    return {key: value if key in ("x", "h0") else change(value) for key, value in grads.items()}


@mistake_of("rnn_backward")
def rnn_backward__reads_only_the_last_dhs(dhs, x, h0, hs, W_x, W_h):
    last = np.zeros_like(dhs)
    last[-1] = dhs[-1]
    return _loop(last, x, h0, hs, W_x, W_h)


@mistake_of("rnn_backward")
def rnn_backward__sends_nothing_back_in_time(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, cut=range(1, len(x)))


@mistake_of("rnn_backward")
def rnn_backward__adds_dhs_twice(dhs, x, h0, hs, W_x, W_h):
    twice = 2 * dhs
    twice[-1] = dhs[-1]
    return _loop(twice, x, h0, hs, W_x, W_h)


@mistake_of("rnn_backward")
def rnn_backward__keeps_adding_to_the_carry(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, back=lambda da, dh: dh + da @ W_h)


@mistake_of("rnn_backward")
def rnn_backward__carries_da_without_the_matrix(dhs, x, h0, hs, W_x, W_h):
    grads = _loop(dhs, x, h0, hs, W_x, W_h, back=lambda da, dh: da)
    return {**grads, "h0": grads["h0"] @ W_h}


@mistake_of("rnn_backward")
def rnn_backward__takes_only_dhs_through_the_tanh(dhs, x, h0, hs, W_x, W_h):
    through = dhs * (1 - hs**2)
    return _loop(through, x, h0, hs, W_x, W_h, slope=lambda before, after: 1.0)


@mistake_of("rnn_backward")
def rnn_backward__keeps_only_one_step_of_the_weights(dhs, x, h0, hs, W_x, W_h):
    right, dh = _loop(dhs, x, h0, hs, W_x, W_h), np.zeros_like(h0)
    for t in reversed(range(len(x))):
        h = hs[t - 1] if t else h0
        _, dh, dW_x, dW_h, db = rnn_step_backward(dhs[t] + dh, x[t], h, hs[t], W_x, W_h)
    return {**right, "W_x": dW_x, "W_h": dW_h, "b": db}


@mistake_of("rnn_backward")
def rnn_backward__uses_the_new_state_in_W_h(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, first=dict(enumerate(hs)))


@mistake_of("rnn_backward")
def rnn_backward__wraps_around_to_the_last_state(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, first={0: hs[-1]})


@mistake_of("rnn_backward")
def rnn_backward__starts_from_a_zero_state(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, first={0: 0.0})


@mistake_of("rnn_backward")
def rnn_backward__loops_forward_in_time(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, steps=range(len(x)))


@mistake_of("rnn_backward")
def rnn_backward__stops_before_the_first_step(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, steps=range(len(x) - 1, 0, -1))


@mistake_of("rnn_backward")
def rnn_backward__gives_h0_the_gradient_of_the_first_state(dhs, x, h0, hs, W_x, W_h):
    later = _loop(dhs, x, h0, hs, W_x, W_h, steps=range(len(x) - 1, 0, -1))
    return {**rnn_backward(dhs, x, h0, hs, W_x, W_h), "h0": dhs[0] + later["h0"]}


@mistake_of("rnn_backward")
def rnn_backward__carries_by_the_transpose(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, back=lambda da, dh: da @ W_h.T)


@mistake_of("rnn_backward")
def rnn_backward__takes_the_slope_at_the_old_state(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, slope=lambda before, after: 1 - before**2)


@mistake_of("rnn_backward")
def rnn_backward__skips_the_tanh(dhs, x, h0, hs, W_x, W_h):
    return _loop(dhs, x, h0, hs, W_x, W_h, slope=lambda before, after: 1.0)


@mistake_of("rnn_backward")
def rnn_backward__averages_over_the_batch(dhs, x, h0, hs, W_x, W_h):
    return _with_weights(_loop(dhs, x, h0, hs, W_x, W_h), lambda grad: grad / x.shape[1])


@mistake_of("rnn_backward")
def rnn_backward__averages_over_time(dhs, x, h0, hs, W_x, W_h):
    return _with_weights(_loop(dhs, x, h0, hs, W_x, W_h), lambda grad: grad / len(x))


@mistake_of("rnn_backward")
def rnn_backward__writes_into_dhs(dhs, x, h0, hs, W_x, W_h):
    grads = _loop(dhs, x, h0, hs, W_x, W_h)
    for t in reversed(range(1, len(x))):
        dhs[t - 1] += (dhs[t] * (1 - hs[t] ** 2)) @ W_h
    return grads


@mistake_of("numerical_gradient")
def numerical_gradient__takes_forward_differences(f, x, eps=1e-5):
    return _one_at_a_time(x, lambda e: (f(x + eps * e) - f(x)) / eps)


@mistake_of("numerical_gradient")
def numerical_gradient__takes_backward_differences(f, x, eps=1e-5):
    return _one_at_a_time(x, lambda e: (f(x) - f(x - eps * e)) / eps)


def _one_at_a_time(x, difference):
    """difference(e) for each unit array e in the shape of x."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        unit = np.zeros(x.shape)
        unit[index] = 1.0
        gradient[index] = difference(unit)
    return gradient


@mistake_of("numerical_gradient")
def numerical_gradient__divides_by_eps(f, x, eps=1e-5):
    return 2 * numerical_gradient(f, x, eps)


@mistake_of("numerical_gradient")
def numerical_gradient__goes_half_a_step_to_each_side(f, x, eps=1e-5):
    return numerical_gradient(f, x, eps / 2)


@mistake_of("numerical_gradient")
def numerical_gradient__ignores_the_given_eps(f, x, eps=1e-5):
    return numerical_gradient(f, x)


@mistake_of("numerical_gradient")
def numerical_gradient__moves_all_entries_at_once(f, x, eps=1e-5):
    return np.full(x.shape, (f(x + eps) - f(x - eps)) / (2 * eps))


@mistake_of("numerical_gradient")
def numerical_gradient__moves_one_array_both_ways(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above = below = x  # three names, one array
        above[index] += eps
        below[index] -= eps
        gradient[index] = (f(above) - f(below)) / (2 * eps)
    return gradient


@mistake_of("numerical_gradient")
def numerical_gradient__does_not_put_the_entry_back(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += eps
        above = f(x)
        x[index] -= 2 * eps
        gradient[index] = (above - f(x)) / (2 * eps)
    return gradient


@mistake_of("numerical_gradient")
def numerical_gradient__does_not_restore_x_to_the_last_bit(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += eps
        above = f(x)
        x[index] -= 2 * eps
        gradient[index] = (above - f(x)) / (2 * eps)
        x[index] += eps
    return gradient


@mistake_of("numerical_gradient")
def numerical_gradient__moves_entries_of_a_flat_copy(f, x, eps=1e-5):
    flat = x.reshape(-1)  # a view only where x is laid out row after row
    gradient = np.zeros(x.size)
    for i, value in enumerate(flat.tolist()):
        flat[i] = value + eps
        above = f(x)
        flat[i] = value - eps
        gradient[i] = (above - f(x)) / (2 * eps)
        flat[i] = value
    return gradient.reshape(x.shape)


@mistake_of("numerical_gradient")
def numerical_gradient__writes_into_a_flat_copy_of_the_result(f, x, eps=1e-5):
    gradient = np.zeros_like(x)  # takes over the layout of x
    gradient.reshape(-1)[:] = numerical_gradient(f, x, eps).reshape(-1)
    return gradient


FLOOR = 1e-8


@mistake_of("relative_error")
def relative_error__averages(a, b):
    return np.mean(np.abs(a - b) / np.maximum(FLOOR, np.abs(a) + np.abs(b)))


@mistake_of("relative_error")
def relative_error__divides_norms(a, b):
    return np.linalg.norm(a - b) / max(FLOOR, np.linalg.norm(a) + np.linalg.norm(b))


@mistake_of("relative_error")
def relative_error__divides_the_largest_difference_by_the_largest_sum(a, b):
    return np.max(np.abs(a - b)) / max(FLOOR, np.max(np.abs(a) + np.abs(b)))


@mistake_of("relative_error")
def relative_error__keeps_the_sign_of_the_difference(a, b):
    return np.max((a - b) / np.maximum(FLOOR, np.abs(a) + np.abs(b)))


@mistake_of("relative_error")
def relative_error__adds_before_taking_sizes(a, b):
    return np.max(np.abs(a - b) / np.maximum(FLOOR, np.abs(a + b)))


@mistake_of("relative_error")
def relative_error__divides_by_the_first_alone(a, b):
    return np.max(np.abs(a - b) / np.maximum(FLOOR, np.abs(a)))


@mistake_of("relative_error")
def relative_error__divides_by_the_larger(a, b):
    return np.max(np.abs(a - b) / np.maximum(FLOOR, np.maximum(np.abs(a), np.abs(b))))


@mistake_of("relative_error")
def relative_error__does_not_divide(a, b):
    return np.max(np.abs(a - b))


@mistake_of("relative_error")
def relative_error__has_no_floor(a, b):
    return np.max(np.abs(a - b) / (np.abs(a) + np.abs(b)))


@mistake_of("relative_error")
def relative_error__adds_the_floor(a, b):
    return np.max(np.abs(a - b) / (np.abs(a) + np.abs(b) + FLOOR))


def _states(dh_last, hs, back):
    """Gradients of the states, where back(gradient, t) takes the one of hs[t + 1] to hs[t]."""
    gradients = np.empty_like(hs)
    gradients[-1] = dh_last
    for t in reversed(range(len(hs) - 1)):
        gradients[t] = back(gradients[t + 1], t)
    return gradients


@mistake_of("state_gradients")
def state_gradients__takes_the_slope_one_step_early(dh_last, hs, W_h):
    return _states(dh_last, hs, lambda dh, t: (dh * (1 - hs[t] ** 2)) @ W_h)


@mistake_of("state_gradients")
def state_gradients__multiplies_by_the_transpose(dh_last, hs, W_h):
    return _states(dh_last, hs, lambda dh, t: (dh * (1 - hs[t + 1] ** 2)) @ W_h.T)


@mistake_of("state_gradients")
def state_gradients__skips_the_tanh(dh_last, hs, W_h):
    return _states(dh_last, hs, lambda dh, t: dh @ W_h)


@mistake_of("state_gradients")
def state_gradients__applies_the_tanh_after_the_matrix(dh_last, hs, W_h):
    return _states(dh_last, hs, lambda dh, t: (dh @ W_h) * (1 - hs[t + 1] ** 2))


@mistake_of("state_gradients")
def state_gradients__does_not_square_the_state(dh_last, hs, W_h):
    return _states(dh_last, hs, lambda dh, t: (dh * (1 - hs[t + 1])) @ W_h)


@mistake_of("state_gradients")
def state_gradients__returns_the_order_of_the_loop(dh_last, hs, W_h):
    return state_gradients(dh_last, hs, W_h)[::-1]


@mistake_of("state_gradients")
def state_gradients__returns_the_gradient_at_the_pre_activation(dh_last, hs, W_h):
    return state_gradients(dh_last, hs, W_h) * (1 - hs**2)


@mistake_of("state_gradients")
def state_gradients__goes_one_step_too_far(dh_last, hs, W_h):
    return (state_gradients(dh_last, hs, W_h) * (1 - hs**2)) @ W_h


@mistake_of("state_gradients")
def state_gradients__adds_dh_last_at_every_step(dh_last, hs, W_h):
    return _states(dh_last, hs, lambda dh, t: dh_last + (dh * (1 - hs[t + 1] ** 2)) @ W_h)


@mistake_of("state_gradients")
def state_gradients__goes_back_one_step_only(dh_last, hs, W_h):
    return _states(dh_last, hs, lambda dh, t: (dh_last * (1 - hs[t + 1] ** 2)) @ W_h)


@mistake_of("state_gradients")
def state_gradients__writes_into_dh_last(dh_last, hs, W_h):
    gradients = state_gradients(dh_last, hs, W_h)
    if len(hs) > 1:
        dh_last[:] = gradients[0]
    return gradients


def _blocks(T, window):
    return [range(start, min(start + window, T)) for start in range(0, T, window)]


def _truncated(dhs, x, h0, hs, W_x, W_h, window, **changes):
    cut = range(window, len(x), window)
    return _loop(dhs, x, h0, hs, W_x, W_h, **{"cut": cut, **changes})


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__ignores_the_window(dhs, x, h0, hs, W_x, W_h, window):
    return rnn_backward(dhs, x, h0, hs, W_x, W_h)


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__counts_blocks_from_the_end(dhs, x, h0, hs, W_x, W_h, window):
    return _loop(dhs, x, h0, hs, W_x, W_h, cut=range(len(x) - window, 0, -window))


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__slides_the_window(dhs, x, h0, hs, W_x, W_h, window):
    total = _loop(0 * dhs, x, h0, hs, W_x, W_h)
    for t in range(len(x)):
        one = np.zeros_like(dhs)
        one[t] = dhs[t]
        start = t - window + 1
        part = _loop(one, x, h0, hs, W_x, W_h, cut=[start] if start > 0 else [])
        total = {key: total[key] + part[key] for key in total}
    return total


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__cuts_one_step_early(dhs, x, h0, hs, W_x, W_h, window):
    return _loop(dhs, x, h0, hs, W_x, W_h, cut=range(window - 1, len(x), window))


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__cuts_one_step_late(dhs, x, h0, hs, W_x, W_h, window):
    return _loop(dhs, x, h0, hs, W_x, W_h, cut=range(1, len(x), window))


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__cuts_at_every_step(dhs, x, h0, hs, W_x, W_h, window):
    return truncated_rnn_backward(dhs, x, h0, hs, W_x, W_h, 1)


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__leaves_out_the_last_block(dhs, x, h0, hs, W_x, W_h, window):
    full = len(x) // window * window
    return _truncated(dhs, x, h0, hs, W_x, W_h, window, steps=reversed(range(full)))


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__goes_back_only_from_the_end(dhs, x, h0, hs, W_x, W_h, window):
    steps = range(len(x) - 1, max(-1, len(x) - 1 - window), -1)
    return _loop(dhs, x, h0, hs, W_x, W_h, steps=steps)


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__stops_after_the_first_block(dhs, x, h0, hs, W_x, W_h, window):
    first = range(min(window, len(x)))
    return _loop(dhs, x, h0, hs, W_x, W_h, steps=reversed(first))


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__starts_every_block_from_h0(dhs, x, h0, hs, W_x, W_h, window):
    first = {block[0]: h0 for block in _blocks(len(x), window)}
    return _truncated(dhs, x, h0, hs, W_x, W_h, window, first=first)


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__starts_later_blocks_from_zero(dhs, x, h0, hs, W_x, W_h, window):
    first = {block[0]: 0.0 for block in _blocks(len(x), window)[1:]}
    return _truncated(dhs, x, h0, hs, W_x, W_h, window, first=first)


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__wraps_around_to_the_last_state(dhs, x, h0, hs, W_x, W_h, window):
    return _truncated(dhs, x, h0, hs, W_x, W_h, window, first={0: hs[-1]})


def _each_block(dhs, x, h0, hs, W_x, W_h, window):
    """The gradients of every block by itself."""
    previous = _previous(h0, hs)
    return [
        rnn_backward(dhs[block], x[block], previous[block[0]], hs[block], W_x, W_h)
        for block in map(list, _blocks(len(x), window))
    ]


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__gives_h0_the_last_block(dhs, x, h0, hs, W_x, W_h, window):
    last = _each_block(dhs, x, h0, hs, W_x, W_h, window)[-1]
    return {**truncated_rnn_backward(dhs, x, h0, hs, W_x, W_h, window), "h0": last["h0"]}


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__adds_all_blocks_into_h0(dhs, x, h0, hs, W_x, W_h, window):
    total = sum(block["h0"] for block in _each_block(dhs, x, h0, hs, W_x, W_h, window))
    return {**truncated_rnn_backward(dhs, x, h0, hs, W_x, W_h, window), "h0": total}


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__cuts_h0_off(dhs, x, h0, hs, W_x, W_h, window):
    right = truncated_rnn_backward(dhs, x, h0, hs, W_x, W_h, window)
    return {**right, "h0": np.zeros_like(h0)}


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__keeps_the_weights_of_one_block(dhs, x, h0, hs, W_x, W_h, window):
    last = _each_block(dhs, x, h0, hs, W_x, W_h, window)[-1]
    right = truncated_rnn_backward(dhs, x, h0, hs, W_x, W_h, window)
    return {**last, "x": right["x"], "h0": right["h0"]}


@mistake_of("truncated_rnn_backward")
def truncated_rnn_backward__cuts_the_loss_too(dhs, x, h0, hs, W_x, W_h, window):
    lost = dhs.copy()
    lost[window - 1 :: window] = 0
    return _truncated(lost, x, h0, hs, W_x, W_h, window)
