"""Chapter 4's references against PyTorch, to 1e-10, and at their extremes."""

import itertools

import numpy as np
import pytest
import torch

from autograder.reference import lstm as reference
from autograder.reference.vanilla_rnn import sigmoid

SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 2, 4), (2, 2, 3, 3), (1, 4, 5, 2), (5, 2, 4, 4)]
each_size = pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)
LAYERS = list(itertools.product((1, 2, 3), (False, True)))
each_stack = pytest.mark.parametrize(("layers", "bidirectional"), LAYERS)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def cell(rng, D, H, blocks=4):
    shapes = [(blocks * H, D), (blocks * H, H), (blocks * H,)]
    return [rng.normal(size=shape) for shape in shapes]


def sequence(T, B, D, H):
    rng = np.random.default_rng([T, B, D, H])
    states = [rng.normal(size=(B, H)) for _ in range(2)]
    return rng.normal(size=(T, B, D)), *states, *cell(rng, D, H)


def torch_lstm(W_x, W_h, b):
    """Torch's module of these weights; the bias is shared out unevenly, as only the sum acts."""
    model = torch.nn.LSTM(W_x.shape[1], W_h.shape[1], dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), [W_x, W_h, 3 * b, -2 * b], strict=True):
            parameter.copy_(torch.tensor(value))
    return model


@each_size
def test_forward_is_torchs(T, B, D, H):
    x, h0, c0, *weights = sequence(T, B, D, H)
    first = torch.tensor(h0)[None], torch.tensor(c0)[None]
    theirs, (h_last, c_last) = torch_lstm(*weights)(torch.tensor(x), first)
    hs, cs = reference.lstm_forward(x, h0, c0, *weights)
    close(hs, theirs.detach().numpy())
    close(hs[-1], h_last[0].detach().numpy())
    close(cs[-1], c_last[0].detach().numpy())


@each_size
def test_step_is_torchs_cell(T, B, D, H):
    x, h, c, *weights = sequence(T, B, D, H)
    model = torch.nn.LSTMCell(D, H, dtype=torch.float64)
    model.load_state_dict(
        {k.removesuffix("_l0"): v for k, v in torch_lstm(*weights).state_dict().items()}
    )
    theirs = model(torch.tensor(x[0]), (torch.tensor(h), torch.tensor(c)))
    for ours, tensor in zip(reference.lstm_step(x[0], h, c, *weights), theirs, strict=True):
        close(ours, tensor.detach().numpy())


@each_size
def test_gates_are_those_of_the_step(T, B, D, H):
    x, h, c, *weights = sequence(T, B, D, H)
    i, f, g, o = reference.lstm_gates(x[0], h, *weights)
    h_next, c_next = reference.lstm_step(x[0], h, c, *weights)
    close(c_next, f * c + i * g)
    close(h_next, o * np.tanh(c_next))
    a = (
        torch.tensor(x[0]) @ torch.tensor(weights[0]).T
        + torch.tensor(h) @ torch.tensor(weights[1]).T
    )
    a = (a + torch.tensor(weights[2])).chunk(4, dim=1)
    for ours, theirs in zip(
        (i, f, g, o), (a[0].sigmoid(), a[1].sigmoid(), a[2].tanh(), a[3].sigmoid()), strict=True
    ):
        close(ours, theirs.numpy())


@each_size
def test_a_sequence_may_be_cut_where_both_states_are_carried(T, B, D, H):
    x, h0, c0, *weights = sequence(T + 1, B, D, H)
    hs, cs = reference.lstm_forward(x, h0, c0, *weights)
    first_h, first_c = reference.lstm_forward(x[:1], h0, c0, *weights)
    later = reference.lstm_forward(x[1:], first_h[-1], first_c[-1], *weights)
    close(np.concatenate([first_h, later[0]]), hs)
    close(np.concatenate([first_c, later[1]]), cs)


def test_gates_open_and_shut_at_the_extremes():
    x, h, c = np.zeros((2, 1)), np.zeros((2, 2)), np.array([[1.5, -3.0], [0.2, 40.0]])

    def step(i, f, g, o):
        b = np.repeat([float(i), float(f), float(g), float(o)], 2)
        return reference.lstm_step(x, h, c, np.zeros((8, 1)), np.zeros((8, 2)), b)

    shut, wide = -1e3, 1e3
    close(step(shut, wide, 0.7, wide), [np.tanh(c), c])  # holds, and shows it
    close(step(wide, shut, 0.7, shut), [0 * c, np.full_like(c, np.tanh(0.7))])  # overwrites
    close(step(shut, shut, 0.7, wide), [0 * c, 0 * c])  # clears
    close(step(wide, wide, wide, shut)[1], c + 1)  # counts


@each_size
def test_the_carousel_is_the_step_that_never_forgets(T, B, D, H):
    x, h, c, *weights = sequence(T, B, D, H)
    open_gate = [np.insert(W, [H] * H, 0.0, axis=0) for W in (w[: 3 * H] for w in weights[:2])]
    b = np.insert(weights[2][: 3 * H], [H] * H, 1e3)
    ours = reference.carousel_step(x[0], h, c, *(w[: 3 * H] for w in weights))
    theirs = reference.lstm_step(x[0], h, c, *open_gate, b)
    for one, other in zip(ours, theirs, strict=True):
        close(one, other)


def test_the_carousel_grows_linearly_under_a_constant_drive():
    x, W_x, W_h, b = np.ones((1, 1)), np.ones((3, 1)), np.zeros((3, 1)), np.zeros(3)
    h, c, states = np.zeros((1, 1)), np.zeros((1, 1)), []
    for _ in range(1000):
        h, c = reference.carousel_step(x, h, c, W_x, W_h, b)
        states.append(c.item())
    increment = sigmoid(1.0) * np.tanh(1.0)
    close(states, increment * np.arange(1, 1001))
    assert abs(h.item()) <= 1  # what is shown stays bounded


@each_size
def test_the_carousel_keeps_a_derivative_of_one_along_the_cell(T, B, D, H):
    x, h, c, *weights = sequence(T, B, D, H)
    weights = [w[: 3 * H] for w in weights]
    moved = reference.carousel_step(x[0], h, c + 0.25, *weights)[1]
    close(moved - reference.carousel_step(x[0], h, c, *weights)[1], np.full((B, H), 0.25))


@each_size
def test_fused_weights_compute_the_papers_equations(T, B, D, H):
    rng = np.random.default_rng(T)
    W = {gate: rng.normal(size=(H, H + D)) for gate in "fico"}
    b = {gate: rng.normal(size=H) for gate in "fico"}
    x, h, c = rng.normal(size=(B, D)), rng.normal(size=(B, H)), rng.normal(size=(B, H))
    fused = reference.fuse_gate_weights(*(W[k] for k in "fico"), *(b[k] for k in "fico"))
    assert [part.shape for part in fused] == [(4 * H, D), (4 * H, H), (4 * H,)]
    ours = reference.lstm_step(x, h, c, *fused)
    for n in range(B):
        a = {k: W[k] @ np.concatenate([h[n], x[n]]) + b[k] for k in "fico"}
        c_next = sigmoid(a["f"]) * c[n] + sigmoid(a["i"]) * np.tanh(a["c"])
        close(ours[1][n], c_next)
        close(ours[0][n], sigmoid(a["o"]) * np.tanh(c_next))


def stacked(layers, bidirectional, **more):
    torch.manual_seed(layers)
    return torch.nn.LSTM(3, 5, layers, bidirectional=bidirectional, **more)


@each_stack
@pytest.mark.parametrize("more", [{}, {"proj_size": 2}, {"dtype": torch.float64}])
def test_the_forget_bias_is_set_and_nothing_else(layers, bidirectional, more):
    lstm = stacked(layers, bidirectional, **more)
    before = {name: p.detach().clone() for name, p in lstm.named_parameters()}
    kept = list(lstm.parameters())
    for value in (1.0, -0.5):  # the second call starts from what the first has left
        assert reference.set_forget_bias(lstm, value) is lstm
        assert all(a is b for a, b in zip(kept, lstm.parameters(), strict=True))
        assert all(p.requires_grad and p.is_leaf for p in lstm.parameters())
        now, rows = dict(lstm.named_parameters()), slice(5, 10)
        totals = [now[k] + now[k.replace("ih", "hh")] for k in now if k.startswith("bias_ih")]
        assert len(totals) == layers * (1 + bidirectional)
        for total in totals:
            close(total[rows].detach(), np.full(5, value))
        for name, parameter in now.items():
            old, new = before[name].clone(), parameter.detach().clone()
            if name.startswith("bias"):
                old[rows], new[rows] = 0, 0
            assert torch.equal(old, new), name


def test_the_forget_gate_starts_at_the_sigmoid_of_its_bias():
    lstm = reference.set_forget_bias(torch.nn.LSTM(2, 3, dtype=torch.float64), 2.0)
    with torch.no_grad():
        lstm.weight_ih_l0.zero_()
        lstm.weight_hh_l0.zero_()
        c0 = torch.tensor([[[1.0, -2.0, 0.5]]], dtype=torch.float64)
        x, h0 = torch.zeros(1, 1, 2, dtype=torch.float64), torch.zeros_like(c0)
        moved = lstm(x, (h0, c0))[1][1] - lstm(x, (h0, 0 * c0))[1][1]
    close(moved, (sigmoid(2.0) * c0).numpy())


@each_stack
def test_an_lstm_without_biases_is_refused_and_left_alone(layers, bidirectional):
    lstm = stacked(layers, bidirectional, bias=False)
    before = [p.detach().clone() for p in lstm.parameters()]
    with pytest.raises(ValueError, match="bias"):
        reference.set_forget_bias(lstm, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, lstm.parameters(), strict=True))


@each_size
def test_peepholes_of_zero_leave_the_step_of_torch(T, B, D, H):
    x, h, c, *weights = sequence(T, B, D, H)
    zero = np.zeros(H)
    ours = reference.peephole_lstm_step(x[0], h, c, *weights, zero, zero, zero)
    for one, other in zip(ours, reference.lstm_step(x[0], h, c, *weights), strict=True):
        close(one, other)


@each_size
def test_a_peephole_is_a_bias_that_moves_with_the_cell(T, B, D, H):
    """Out of torch's cell, one sequence at a time: shift its biases, twice."""
    x, h, c, *weights = sequence(T, B, D, H)
    p_i, p_f, p_o = np.random.default_rng(T).normal(size=(3, H))
    ours = reference.peephole_lstm_step(x[0], h, c, *weights, p_i, p_f, p_o)
    for n in range(B):
        rows = slice(n, n + 1)
        first = torch.tensor(h[rows])[None], torch.tensor(c[rows])[None]
        seen_by_o = np.zeros(H)
        for _ in range(2):  # the new cell state is known after the first pass
            shift = np.concatenate([p_i * c[n], p_f * c[n], np.zeros(H), seen_by_o])
            model = torch_lstm(weights[0], weights[1], weights[2] + shift)
            h_next, c_next = (
                each[0, 0].detach().numpy() for each in model(torch.tensor(x[:1, rows]), first)[1]
            )
            seen_by_o = p_o * c_next
        close(ours[0][n], h_next)
        close(ours[1][n], c_next)


@each_stack
@pytest.mark.parametrize(("D", "H"), [(1, 1), (3, 5), (4, 4), (7, 2)])
def test_the_count_is_torchs(layers, bidirectional, D, H):
    model = torch.nn.LSTM(D, H, layers, bidirectional=bidirectional)
    theirs = sum(parameter.numel() for parameter in model.parameters())
    ours = reference.lstm_parameter_count(D, H, layers, bidirectional)
    assert ours == theirs
    assert isinstance(ours, int)


def test_the_count_of_one_layer_needs_no_more_than_two_sizes():
    assert reference.lstm_parameter_count(3, 5) == 4 * (5 * 3 + 5 * 5 + 2 * 5)
    assert reference.lstm_parameter_count(3, 5, bidirectional=True) == 2 * 4 * (15 + 25 + 10)


@each_size
def test_no_reference_changes_its_inputs(T, B, D, H):
    x, h, c, *weights = sequence(T, B, D, H)
    p = np.random.default_rng(T).normal(size=(3, H))
    given = [x, h, c, *weights, p]
    before = [array.copy() for array in given]
    reference.lstm_gates(x[0], h, *weights)
    reference.lstm_step(x[0], h, c, *weights)
    reference.lstm_forward(x, h, c, *weights)
    reference.peephole_lstm_step(x[0], h, c, *weights, *p)
    reference.carousel_step(x[0], h, c, *(w[: 3 * H] for w in weights))
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
