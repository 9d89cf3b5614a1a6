"""Chapter 5's references against torch.nn and autograd, to 1e-10, and against finite differences."""

import math

import numpy as np
import pytest
import torch

from autograder.reference import lstm_gradients as reference
from autograder.reference.backpropagation_through_time import numerical_gradient, relative_error

SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 2, 4), (5, 2, 3, 3)]
each_size = pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)
KEYS = ("x", "h0", "c0", "W_x", "W_h", "b")


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


def problem(T, B, D, H, seed=0):
    """The inputs of an LSTM and random upstream gradients of all its hidden and cell states."""
    rng = np.random.default_rng(seed)
    inputs = {
        "x": rng.normal(size=(T, B, D)),
        "h0": rng.normal(size=(B, H)),
        "c0": rng.normal(size=(B, H)),
        "W_x": rng.normal(size=(4 * H, D)) / np.sqrt(D),
        "W_h": rng.normal(size=(4 * H, H)) / np.sqrt(H),
        "b": rng.normal(size=4 * H),
    }
    return inputs, rng.normal(size=(T, B, H)), rng.normal(size=(T, B, H))


def forward(x, h0, c0, W_x, W_h, b):
    """All states and gates, in torch, each step's kept in the graph."""
    h, c, rows = h0, c0, []
    for x_t in x:
        a_i, a_f, a_g, a_o = (x_t @ W_x.T + h @ W_h.T + b).chunk(4, dim=1)
        i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
        c = f * c + i * g
        c.retain_grad()
        h = o * c.tanh()
        h.retain_grad()
        rows.append((h, c, torch.cat([i, f, g, o], dim=1)))
    hs, cs, gates = zip(*rows, strict=True)
    return list(hs), list(cs), list(gates)


def leaves_of(inputs):
    return {key: torch.tensor(value, requires_grad=True) for key, value in inputs.items()}


def arrays(tensors):
    return torch.stack(tensors).detach().numpy()


def torch_lstm(inputs):
    """The same network as a torch.nn.LSTM, its bias split unevenly between PyTorch's two."""
    D, H = inputs["x"].shape[2], inputs["h0"].shape[1]
    lstm = torch.nn.LSTM(D, H, dtype=torch.float64)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(torch.tensor(inputs["W_x"]))
        lstm.weight_hh_l0.copy_(torch.tensor(inputs["W_h"]))
        lstm.bias_ih_l0.copy_(torch.tensor(0.3 * inputs["b"]))
        lstm.bias_hh_l0.copy_(torch.tensor(0.7 * inputs["b"]))
    return lstm


@each_size
def test_one_step_backward_is_that_of_lstm_cell(T, B, D, H):
    inputs, dhs, dcs = problem(1, B, D, H)
    cell = torch.nn.LSTMCell(D, H, dtype=torch.float64)
    lstm = torch_lstm(inputs)
    cell.load_state_dict({f"{k[:-3]}": v for k, v in lstm.state_dict().items()})
    x, h, c = (
        torch.tensor(inputs[key], requires_grad=True).reshape(B, -1) for key in ("x", "h0", "c0")
    )
    for leaf in (x, h, c):
        leaf.retain_grad()
    h_next, c_next = cell(x, (h, c))
    ((h_next * torch.tensor(dhs[0])).sum() + (c_next * torch.tensor(dcs[0])).sum()).backward()
    _, cs, gates = forward(**leaves_of(inputs))
    ours = reference.lstm_step_backward(
        dhs[0],
        dcs[0],
        inputs["x"][0],
        inputs["h0"],
        inputs["c0"],
        tuple(np.split(arrays(gates)[0], 4, axis=1)),
        arrays(cs)[0],
        inputs["W_x"],
        inputs["W_h"],
    )
    theirs = [x.grad, h.grad, c.grad, cell.weight_ih.grad, cell.weight_hh.grad, cell.bias_ih.grad]
    for gradient, wanted in zip(ours, theirs, strict=True):
        close(gradient, wanted.numpy())
    close(ours[-1], cell.bias_hh.grad.numpy())


def arguments(inputs, hs, cs, gates):
    return (
        *(inputs["x"], inputs["h0"], inputs["c0"], arrays(hs), arrays(cs), arrays(gates)),
        *(inputs["W_x"], inputs["W_h"]),
    )


@each_size
def test_backward_through_time_is_that_of_torchs_lstm(T, B, D, H):
    inputs, dhs, _ = problem(T, B, D, H)
    lstm = torch_lstm(inputs)
    x, h0, c0 = (torch.tensor(inputs[key], requires_grad=True) for key in ("x", "h0", "c0"))
    hs, _ = lstm(x, (h0[None], c0[None]))
    (hs * torch.tensor(dhs)).sum().backward()
    ours = reference.lstm_backward(dhs, *arguments(inputs, *forward(**leaves_of(inputs))))
    assert tuple(ours) == KEYS
    theirs = (x, h0, c0, lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0)
    for key, leaf in zip(KEYS, theirs, strict=True):
        close(ours[key], leaf.grad.numpy())
    close(ours["b"], lstm.bias_hh_l0.grad.numpy())


@pytest.mark.parametrize("T", [1, 2, 5])
def test_backward_through_time_agrees_with_finite_differences(T):
    inputs, dhs, _ = problem(T, 2, 3, 2)
    ours = reference.lstm_backward(dhs, *arguments(inputs, *forward(**leaves_of(inputs))))
    for key in KEYS:

        def loss(value, key=key):
            hs, _, _ = forward(**leaves_of({**inputs, key: value}))
            return float((arrays(hs) * dhs).sum())

        numerical = numerical_gradient(loss, inputs[key].copy())
        assert relative_error(ours[key], numerical) < 1e-6, key


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize(("B", "D", "H"), [(1, 1, 1), (3, 2, 4), (2, 3, 3)])
def test_the_gradients_at_every_state_are_autograds(T, B, D, H):
    inputs, dhs, dcs = problem(T, B, D, H)
    hs, cs, gates = forward(**leaves_of(inputs))
    loss = (hs[-1] * torch.tensor(dhs[-1])).sum() + (cs[-1] * torch.tensor(dcs[-1])).sum()
    loss.backward()
    dh, dc = reference.lstm_state_gradients(
        dhs[-1], dcs[-1], arrays(cs), arrays(gates), inputs["c0"], inputs["W_h"]
    )
    for t in range(T):
        close(dh[t], hs[t].grad.numpy())
        # Autograd's gradient at c_t has the part through h_t of the same step; ours has not.
        tanh_c, o = np.tanh(arrays(cs)[t]), arrays(gates)[t][:, -H:]
        close(dc[t] + dh[t] * o * (1 - tanh_c**2), cs[t].grad.numpy())


@pytest.mark.parametrize("T", [2, 5])
def test_a_state_gradient_is_what_a_shift_of_that_state_alone_does_to_the_loss(T):
    """The convention itself: h_t and c_t are shifted separately, after step t."""
    inputs, dhs, dcs = problem(T, 1, 2, 2)
    hs, cs, gates = forward(**leaves_of(inputs))
    dh, dc = reference.lstm_state_gradients(
        dhs[-1], dcs[-1], arrays(cs), arrays(gates), inputs["c0"], inputs["W_h"]
    )
    for t in range(T - 1):
        rest = {**inputs, "x": inputs["x"][t + 1 :], "h0": arrays(hs)[t], "c0": arrays(cs)[t]}
        for key, gradient in (("h0", dh[t]), ("c0", dc[t])):

            def loss(value, rest=rest, key=key):
                hs, cs, _ = forward(**leaves_of({**rest, key: value}))
                return float((arrays(hs)[-1] * dhs[-1] + arrays(cs)[-1] * dcs[-1]).sum())

            assert relative_error(gradient, numerical_gradient(loss, rest[key].copy())) < 1e-6


@pytest.mark.parametrize("T", [1, 2, 5])
def test_state_gradients_continue_into_the_initial_state(T):
    inputs, dhs, _ = problem(T, 2, 3, 4)
    dhs[:-1] = 0
    hs, cs, gates = forward(**leaves_of(inputs))
    dh, dc = reference.lstm_state_gradients(
        dhs[-1], np.zeros_like(dhs[-1]), arrays(cs), arrays(gates), inputs["c0"], inputs["W_h"]
    )
    step = tuple(np.split(arrays(gates)[0], 4, axis=1))
    _, dh0, dc0, *_ = reference.lstm_step_backward(
        *(dh[0], dc[0], inputs["x"][0], inputs["h0"], inputs["c0"], step, arrays(cs)[0]),
        *(inputs["W_x"], inputs["W_h"]),
    )
    whole = reference.lstm_backward(dhs, *arguments(inputs, hs, cs, gates))
    close(dh0, whole["h0"])
    close(dc0, whole["c0"])


@pytest.mark.parametrize("T", [1, 2, 5])
def test_the_highway_is_autograd_with_the_gates_held_fixed(T):
    rng = np.random.default_rng(0)
    f, ig = rng.uniform(size=(T, 3, 2)), rng.normal(size=(T, 3, 2))
    c, cs = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True), []
    for t in range(T):
        c = torch.tensor(f[t]) * c + torch.tensor(ig[t])
        c.retain_grad()
        cs.append(c)
    cs[-1].sum().backward()
    close(reference.cell_highway(f), np.stack([c.grad.numpy() for c in cs]))


def test_the_highway_with_gates_open_shut_and_over_many_steps():
    ones = np.ones((5, 2, 3))
    close(reference.cell_highway(ones), ones)
    shut = ones.copy()
    shut[3] = 0.0
    close(reference.cell_highway(shut)[:, 0, 0], [0, 0, 0, 1, 1])
    long = reference.cell_highway(np.full((20_000, 1, 1), 0.5))
    assert np.isfinite(long).all()
    close(long[-11:, 0, 0], 0.5 ** np.arange(10, -1, -1))


@pytest.mark.parametrize(("D", "H"), [(1, 1), (3, 2), (3, 3), (2, 5)])
def test_the_jacobian_of_the_two_states_is_autograds(D, H):
    inputs, _, _ = problem(1, 1, D, H)
    leaves = {key: torch.tensor(value) for key, value in inputs.items()}

    def step(state):
        h, c = state.chunk(2)
        hs, cs, _ = forward(**{**leaves, "h0": h[None], "c0": c[None]})
        return torch.cat([hs[0][0], cs[0][0]])

    state = torch.cat([leaves["h0"][0], leaves["c0"][0]]).requires_grad_()
    theirs = torch.autograd.functional.jacobian(step, state)
    _, cs, gates = forward(**leaves_of(inputs))
    ours = reference.lstm_state_jacobian(
        tuple(np.split(arrays(gates)[0, 0], 4)), inputs["c0"][0], arrays(cs)[0, 0], inputs["W_h"]
    )
    close(ours, theirs.numpy())


@pytest.mark.parametrize("T", [2, 5])
def test_products_of_jacobians_take_the_state_gradients_back(T):
    inputs, dhs, dcs = problem(T, 1, 2, 3)
    _, cs, gates = forward(**leaves_of(inputs))
    cs, gates = arrays(cs), arrays(gates)
    dh, dc = reference.lstm_state_gradients(
        dhs[-1], dcs[-1], cs, gates, inputs["c0"], inputs["W_h"]
    )
    both = np.concatenate([dhs[-1, 0], dcs[-1, 0]])
    for t in reversed(range(T - 1)):
        step = tuple(np.split(gates[t + 1, 0], 4))
        both = both @ reference.lstm_state_jacobian(step, cs[t, 0], cs[t + 1, 0], inputs["W_h"])
        close(both, np.concatenate([dh[t, 0], dc[t, 0]]))


def test_without_recurrent_weights_only_the_direct_path_is_left():
    inputs, dhs, dcs = problem(5, 2, 3, 4)
    inputs["W_h"] = np.zeros_like(inputs["W_h"])
    _, cs, gates = forward(**leaves_of(inputs))
    cs, gates = arrays(cs), arrays(gates)
    dh, dc = reference.lstm_state_gradients(
        dhs[-1], dcs[-1], cs, gates, inputs["c0"], inputs["W_h"]
    )
    assert not dh[:-1].any()
    f, o = gates[..., 4:8], gates[-1][:, 12:]
    whole = dcs[-1] + dhs[-1] * o * (1 - np.tanh(cs[-1]) ** 2)
    close(dc[:-1], (whole * reference.cell_highway(f))[:-1])


def test_chrono_biases_are_one_draw_a_unit_within_their_range():
    b_f, b_i = reference.chrono_bias(20_000, 50, np.random.default_rng(0))
    assert b_f.shape == b_i.shape == (20_000,)
    np.testing.assert_array_equal(b_i, -b_f)
    scales = np.sort((np.exp(b_f) - 1) / 48)
    assert scales[0] >= 0
    assert scales[-1] <= 1
    empirical = (np.arange(len(scales)) + 0.5) / len(scales)
    assert np.abs(scales - empirical).max() < 0.02  # Kolmogorov-Smirnov, at four times its scale
    # The gate it gives keeps 1 - 1/U in each step: a time scale of U steps.
    close(1 / (1 - 1 / (1 + np.exp(-b_f))), 1 + np.exp(b_f))


def test_chrono_biases_at_the_shortest_scale():
    b_f, _ = reference.chrono_bias(1000, 3, np.random.default_rng(1))
    assert 0 <= b_f.min() < b_f.max() <= math.log(2)


@pytest.mark.parametrize("steps", [1, 2, 69, 100_000])
@pytest.mark.parametrize("remaining", [1e-6, 0.1, 0.5, 0.99])
def test_the_bias_for_a_horizon_leaves_what_is_asked(steps, remaining):
    b = reference.forget_bias_for_horizon(steps, remaining)
    f = torch.sigmoid(torch.tensor(b, dtype=torch.float64)).item()
    assert math.isclose(f**steps, remaining, rel_tol=1e-9)


def test_the_bias_for_a_horizon_at_known_values():
    close(reference.forget_bias_for_horizon(1, 0.5), 0.0)
    close(reference.forget_bias_for_horizon(2, 0.25), 0.0)
    close(reference.forget_bias_for_horizon(1, 0.75), math.log(3))
    # Far beyond where 1 - f can be formed by subtraction, f = 1 - ln 2 / steps.
    close(reference.forget_bias_for_horizon(10**15, 0.5), math.log(1e15 / math.log(2)))
