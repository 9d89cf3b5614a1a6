"""Chapter 2's references against autograd, to 1e-10, and against finite differences."""

import numpy as np
import pytest
import torch

from autograder.reference import backpropagation_through_time as reference

SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 2, 4), (4, 2, 3, 3)]
each_size = pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)
KEYS = ("x", "h0", "W_x", "W_h", "b")


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


def problem(T, B, D, H, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(T, B, D)),
        "h0": rng.normal(size=(B, H)),
        "W_x": rng.normal(size=(H, D)) / np.sqrt(D),
        "W_h": rng.normal(size=(H, H)) / np.sqrt(H),
        "b": rng.normal(size=H),
    }, rng.normal(size=(T, B, H))


def forward(x, h0, W_x, W_h, b, detach_every=None):
    """All states, in torch; before each block of `detach_every` steps the gradient is cut."""
    hs, h = [], h0
    for t in range(len(x)):
        if detach_every and t and t % detach_every == 0:
            h = h.detach()
        h = torch.tanh(x[t] @ W_x.T + h @ W_h.T + b)
        h.retain_grad()
        hs.append(h)
    return hs


def autograd(inputs, dhs, detach_every=None):
    leaves = {key: torch.tensor(value, requires_grad=True) for key, value in inputs.items()}
    hs = forward(**leaves, detach_every=detach_every)
    (torch.stack(hs) * torch.tensor(dhs)).sum().backward()
    grads = {key: leaf.grad.numpy() for key, leaf in leaves.items()}
    return torch.stack(hs).detach().numpy(), grads, np.stack([h.grad.numpy() for h in hs])


@each_size
def test_one_step_backward_is_autograds(T, B, D, H):
    inputs, dhs = problem(1, B, D, H)
    hs, grads, _ = autograd(inputs, dhs)
    ours = reference.rnn_step_backward(
        dhs[0], inputs["x"][0], inputs["h0"], hs[0], inputs["W_x"], inputs["W_h"]
    )
    grads["x"] = grads["x"][0]
    for key, gradient in zip(KEYS, ours, strict=True):
        close(gradient, grads[key])


def arguments(inputs, hs):
    return inputs["x"], inputs["h0"], hs, inputs["W_x"], inputs["W_h"]


@each_size
def test_backward_through_time_is_autograds(T, B, D, H):
    inputs, dhs = problem(T, B, D, H)
    hs, grads, _ = autograd(inputs, dhs)
    ours = reference.rnn_backward(dhs, *arguments(inputs, hs))
    assert tuple(ours) == KEYS
    for key in KEYS:
        close(ours[key], grads[key])


@pytest.mark.parametrize("T", [1, 2, 5])
def test_backward_through_time_agrees_with_finite_differences(T):
    inputs, dhs = problem(T, 2, 3, 2)
    hs, _, _ = autograd(inputs, dhs)
    ours = reference.rnn_backward(dhs, *arguments(inputs, hs))
    for key in KEYS:

        def loss(value, key=key):
            leaves = {
                k: torch.tensor(v, requires_grad=True) for k, v in {**inputs, key: value}.items()
            }
            states = torch.stack(forward(**leaves))
            return float((states.detach().numpy() * dhs).sum())

        numerical = reference.numerical_gradient(loss, inputs[key].copy())
        assert reference.relative_error(ours[key], numerical) < 1e-6, key


@each_size
def test_the_gradient_at_every_state_is_autograds(T, B, D, H):
    inputs, dhs = problem(T, B, D, H)
    dhs[:-1] = 0
    hs, _, at_states = autograd(inputs, dhs)
    close(reference.state_gradients(dhs[-1], hs, inputs["W_h"]), at_states)


@each_size
@pytest.mark.parametrize("window", [1, 2, 3, 99])
def test_truncated_backward_is_autograd_with_the_graph_cut(T, B, D, H, window):
    inputs, dhs = problem(T, B, D, H)
    hs, grads, _ = autograd(inputs, dhs, detach_every=window)
    ours = reference.truncated_rnn_backward(dhs, *arguments(inputs, hs), window)
    for key in KEYS:
        close(ours[key], grads[key])


def test_numerical_gradient_restores_every_bit_of_any_kind_of_array():
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(4, 6))
    for x in (whole[::2, ::3], whole.T, np.array(0.3), np.asfortranarray(whole)):
        before = x.copy()
        gradient = reference.numerical_gradient(lambda a: float(np.sin(a).sum()), x)
        assert x.tobytes() == before.tobytes()
        assert gradient.shape == x.shape
        close(gradient, np.cos(x), rtol=1e-8)


def test_numerical_gradient_uses_the_step_it_is_given():
    # For a cubic the error of a central difference is exactly eps squared.
    gradient = reference.numerical_gradient(lambda a: float((a**3).sum()), np.array([2.0]), eps=0.5)
    close(gradient, [12.25])


def test_relative_error_at_its_extremes():
    assert reference.relative_error(np.zeros(3), np.zeros(3)) == 0
    close(reference.relative_error(np.array([1.0, 2.0]), np.array([1.0, 2.2])), 0.2 / 4.2)
    close(reference.relative_error(np.array([1.0]), np.array([-1.0])), 1.0)
    close(reference.relative_error(np.array([1e-9]), np.array([0.0])), 0.1)
