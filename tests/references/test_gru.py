"""Chapter 6's references against torch and autograd, to 1e-10, finite differences, and claims."""

import numpy as np
import pytest
import torch

from autograder.reference import gru as reference
from autograder.reference.backpropagation_through_time import numerical_gradient, relative_error
from autograder.reference.vanilla_rnn import sigmoid

SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 2, 4), (5, 2, 3, 3), (2, 3, 3, 3)]  # T, B, D, H
each_size = pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)
PARAMETERS = ("W_x", "W_h", "b_x", "b_h")


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


def cell(D, H, rng):
    return {
        "W_x": rng.normal(size=(3 * H, D)) / np.sqrt(D),
        "W_h": rng.normal(size=(3 * H, H)) / np.sqrt(H),
        "b_x": rng.normal(size=3 * H),
        "b_h": rng.normal(size=3 * H),
    }


def problem(T, B, D, H, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(T, B, D)), rng.normal(size=(B, H)), cell(D, H, rng), rng


def loaded(module, parameters):
    """A torch module with these parameters, which it keeps in the order of `PARAMETERS`."""
    with torch.no_grad():
        for theirs, name in zip(module.parameters(), PARAMETERS, strict=True):
            theirs.copy_(torch.tensor(parameters[name]))
    return module


def gates(x, h, W_x, W_h, b_x, b_h):
    """r, z, n and a of one step, as `gru_step_backward` is given them."""
    from_x = np.split(x @ W_x.T + b_x, 3, axis=1)
    from_h = np.split(h @ W_h.T + b_h, 3, axis=1)
    r, z = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
    return r, z, np.tanh(from_x[2] + r * from_h[2]), from_h[2]


def step_backward(dh_next, x, h, parameters):
    W_x, W_h = parameters["W_x"], parameters["W_h"]
    return reference.gru_step_backward(dh_next, x, h, *gates(x, h, **parameters), W_x, W_h)


@each_size
def test_one_step_is_torchs_cell(T, B, D, H):
    x, h0, parameters, _ = problem(T, B, D, H)
    theirs = loaded(torch.nn.GRUCell(D, H, dtype=torch.float64), parameters)
    expected = theirs(torch.tensor(x[0]), torch.tensor(h0)).detach().numpy()
    close(reference.gru_step(x[0], h0, **parameters), expected)


@each_size
def test_a_sequence_is_torchs_gru(T, B, D, H):
    x, h0, parameters, _ = problem(T, B, D, H)
    theirs = loaded(torch.nn.GRU(D, H, dtype=torch.float64), parameters)
    expected, last = theirs(torch.tensor(x), torch.tensor(h0)[None])
    hs = reference.gru_forward(x, h0, **parameters)
    close(hs, expected.detach().numpy())
    close(hs[-1], last[0].detach().numpy())


@each_size
def test_one_step_backward_is_autograds(T, B, D, H):
    x, h0, parameters, rng = problem(1, B, D, H)
    dh_next = rng.normal(size=(B, H))
    theirs = loaded(torch.nn.GRUCell(D, H, dtype=torch.float64), parameters)
    x_, h_ = (torch.tensor(value, requires_grad=True) for value in (x[0], h0))
    theirs(x_, h_).backward(torch.tensor(dh_next))
    expected = [x_.grad, h_.grad, *(parameter.grad for parameter in theirs.parameters())]
    for ours, gradient in zip(step_backward(dh_next, x[0], h0, parameters), expected, strict=True):
        close(ours, gradient.numpy())


@each_size
def test_steps_backward_in_a_row_are_autograd_through_torchs_gru(T, B, D, H):
    x, h0, parameters, rng = problem(T, B, D, H)
    dhs = rng.normal(size=(T, B, H))
    theirs = loaded(torch.nn.GRU(D, H, dtype=torch.float64), parameters)
    x_, h_ = torch.tensor(x, requires_grad=True), torch.tensor(h0[None], requires_grad=True)
    theirs(x_, h_)[0].backward(torch.tensor(dhs))

    hs = reference.gru_forward(x, h0, **parameters)
    before = np.concatenate([h0[None], hs[:-1]])
    dx, dh, shared = np.empty_like(x), np.zeros_like(h0), [0.0] * 4
    for t in reversed(range(T)):
        dx[t], dh, *found = step_backward(dhs[t] + dh, x[t], before[t], parameters)
        shared = [total + one for total, one in zip(shared, found, strict=True)]
    close(dx, x_.grad.numpy())
    close(dh, h_.grad[0].numpy())
    for ours, parameter in zip(shared, theirs.parameters(), strict=True):
        close(ours, parameter.grad.numpy())


@pytest.mark.parametrize(("B", "D", "H"), [(1, 1, 1), (2, 3, 2), (3, 2, 2)])
def test_one_step_backward_agrees_with_finite_differences(B, D, H):
    x, h0, parameters, rng = problem(1, B, D, H)
    inputs = {"x": x[0], "h": h0, **parameters}
    dh_next = rng.normal(size=(B, H))
    for name, ours in zip(inputs, step_backward(dh_next, x[0], h0, parameters), strict=True):

        def loss(value, name=name):
            return float((reference.gru_step(**{**inputs, name: value}) * dh_next).sum())

        numerical = numerical_gradient(loss, inputs[name].copy())
        assert relative_error(ours, numerical) < 1e-6, name


def cho(x, h, parameters):
    """The step of the paper with the sum of the two biases."""
    b = parameters["b_x"] + parameters["b_h"]
    return reference.gru_step_cho(x, h, parameters["W_x"], parameters["W_h"], b)


def dialects(B=4, D=3, H=5, seed=0):
    x, h, parameters, _ = problem(1, B, D, H, seed)
    parameters["b_h"][2 * H :] = 0  # no bias of the candidate's recurrent side
    return x[0], h, parameters, H


def test_the_two_dialects_differ_in_general():
    x, h, parameters, _ = dialects()
    ours, theirs = reference.gru_step(x, h, **parameters), cho(x, h, parameters)
    assert np.abs(ours - theirs).max() > 1e-3


def test_the_dialects_agree_from_a_state_of_zeros():
    x, h, parameters, _ = dialects()
    close(reference.gru_step(x, 0 * h, **parameters), cho(x, 0 * h, parameters))


def test_the_dialects_agree_where_the_candidates_matrix_is_diagonal():
    x, h, parameters, H = dialects()
    parameters["W_h"][2 * H :] *= np.eye(H)
    close(reference.gru_step(x, h, **parameters), cho(x, h, parameters))


def test_the_dialects_agree_where_all_units_share_one_reset_gate():
    x, h, parameters, H = dialects()
    for value in parameters.values():
        value[:H] = value[0]
    close(reference.gru_step(x, h, **parameters), cho(x, h, parameters))


def test_a_recurrent_bias_of_the_candidate_keeps_the_dialects_apart():
    x, h, parameters, H = dialects()
    parameters["b_h"][2 * H :] = 0.5
    assert np.abs(reference.gru_step(x, 0 * h, **parameters) - cho(x, 0 * h, parameters)).max() > 0


def test_open_gates_make_both_a_vanilla_rnn():
    x, h, parameters, H = dialects()
    for name in ("W_x", "W_h"):
        parameters[name][: 2 * H] = 0
    parameters["b_x"][: 2 * H] = np.repeat([50.0, -50.0], H)  # r = 1, z = 0
    parameters["b_h"][: 2 * H] = 0
    plain = np.tanh(
        x @ parameters["W_x"][2 * H :].T
        + h @ parameters["W_h"][2 * H :].T
        + parameters["b_x"][2 * H :]
    )
    close(reference.gru_step(x, h, **parameters), plain)
    close(cho(x, h, parameters), plain)


@each_size
def test_no_state_leaves_the_largest_of_one_and_where_it_started(T, B, D, H):
    x, h0, parameters, _ = problem(T, B, D, H)
    for start in (h0, 5 * h0):
        limit = np.maximum(np.abs(start), 1)
        hs = reference.gru_forward(20 * x, start, **parameters)
        assert (np.abs(hs) <= limit).all()
        assert (np.abs(cho(20 * x[0], start, parameters)) <= limit).all()


def overwriting_step(x, h, W_x, W_h, b_x, b_h):
    """The other convention: z = 1 takes the candidate."""
    _, z, n, _ = gates(x, h, W_x, W_h, b_x, b_h)
    return z * n + (1 - z) * h


@each_size
def test_flipped_parameters_compute_the_same_in_the_other_convention(T, B, D, H):
    x, h0, parameters, _ = problem(T, B, D, H)
    before = {name: value.copy() for name, value in parameters.items()}
    flipped = reference.flip_update_gate(**parameters)
    close(overwriting_step(x[0], h0, *flipped), reference.gru_step(x[0], h0, **parameters))
    for value, old, new in zip(before.values(), parameters.values(), flipped, strict=True):
        assert (value == old).all()
        assert not np.shares_memory(old, new)
    for value, twice in zip(before.values(), reference.flip_update_gate(*flipped), strict=True):
        assert (value == twice).all()


@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (7, 2), (4, 4)])
@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("both", [False, True])
def test_the_count_is_torchs(sizes, layers, both):
    theirs = torch.nn.GRU(*sizes, num_layers=layers, bidirectional=both)
    count = sum(parameter.numel() for parameter in theirs.parameters())
    assert reference.gru_parameter_count(*sizes, layers, both) == count
    if layers == 1 and not both:
        assert reference.gru_parameter_count(*sizes) == count


def torch_counts(input_size, hidden):
    return [
        sum(parameter.numel() for parameter in kind(input_size, hidden).parameters())
        for kind in (torch.nn.LSTM, torch.nn.GRU)
    ]


@pytest.mark.parametrize(("D", "H"), [(1, 1), (5, 2), (4, 2), (3, 17), (64, 64), (40, 3), (5, 26)])
def test_the_matching_width_is_the_first_of_the_nearest(D, H):
    size, _ = torch_counts(D, H)
    distances = [abs(torch_counts(D, width)[1] - size) for width in range(1, 3 * H + 3)]
    assert reference.matching_gru_width(D, H) == 1 + distances.index(min(distances))


def test_the_matching_width_on_a_tie_is_the_smaller():
    size, (two, three) = torch_counts(5, 2)[0], [torch_counts(5, width)[1] for width in (2, 3)]
    assert size - two == three - size
    assert reference.matching_gru_width(5, 2) == 2


def test_the_matching_width_lies_between_the_two_rules_of_thumb():
    for D, H in [(1, 1000), (300, 512), (5000, 100), (10**6, 300)]:
        width = reference.matching_gru_width(D, H)
        assert np.sqrt(4 / 3) * H - 1 < width < 4 / 3 * H + 1
    assert reference.matching_gru_width(10**6, 300) == 400
    assert reference.matching_gru_width(1, 10**4) == 11547


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize(("B", "H"), [(1, 1), (2, 3)])
def test_the_highway_is_autograd_through_the_mixture_alone(T, B, H):
    rng = np.random.default_rng(T)
    z, n = sigmoid(rng.normal(size=(T, B, H))), rng.normal(size=(T, B, H))
    h, hs = torch.zeros(B, H, dtype=torch.float64, requires_grad=True), []
    for t in range(T):  # gates and candidates are constants here
        h = (1 - torch.tensor(z[t])) * torch.tensor(n[t]) + torch.tensor(z[t]) * h
        h.retain_grad()
        hs.append(h)
    hs[-1].sum().backward()
    close(reference.update_highway(z), np.stack([h.grad.numpy() for h in hs]))


def test_the_highway_crosses_no_closed_gate():
    z = np.array([0.5, 0.25, 0.0, 1.0, 0.5]).reshape(5, 1, 1)
    close(reference.update_highway(z).ravel(), [0, 0, 0.5, 0.5, 1])
