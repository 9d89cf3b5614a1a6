"""Chapter 3's references against autograd and linear algebra, and in their statistics."""

import numpy as np
import pytest
import torch

from autograder.reference import vanishing_gradients as reference


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


def states(T, H, seed=0):
    """The states of a run, its weights, and d h_{T-1} / d h_t for every t, by autograd."""
    rng = np.random.default_rng(seed)
    W_h = torch.tensor(rng.normal(size=(H, H)) / np.sqrt(H))
    inputs = torch.tensor(rng.normal(size=(T, H)))
    hs = [torch.tanh(inputs[0]).requires_grad_()]
    for t in range(1, T):
        hs.append(torch.tanh(inputs[t] + W_h @ hs[-1]))
    jacobians = [
        torch.stack([torch.autograd.grad(hs[-1][i], h, retain_graph=True)[0] for i in range(H)])
        for h in hs
    ]
    stacked = torch.stack(hs).detach().numpy()
    return stacked, W_h.numpy(), [jacobian.numpy() for jacobian in jacobians]


@pytest.mark.parametrize("H", [1, 2, 5])
def test_step_jacobian_is_autograds(H):
    hs, W_h, jacobians = states(2, H)
    close(reference.step_jacobian(hs[1], W_h), jacobians[0])


@pytest.mark.parametrize(("T", "H"), [(1, 3), (2, 1), (6, 4)])
def test_jacobian_product_norms_are_autograds(T, H):
    hs, W_h, jacobians = states(T, H)
    theirs = [np.linalg.norm(jacobian, 2) for jacobian in reversed(jacobians)]
    norms = reference.jacobian_product_norms(hs, W_h)
    close(norms, theirs)
    assert norms[0] == 1


def test_radius_and_norm_of_known_matrices():
    rotation = 0.5 * np.array([[0.0, -1.0], [1.0, 0.0]])
    sheared = np.array([[0.5, 100.0], [0.0, 0.25]])
    close(reference.spectral_radius(rotation), 0.5)
    close(reference.spectral_norm(rotation), 0.5)
    close(reference.spectral_radius(sheared), 0.5)
    assert reference.spectral_norm(sheared) > 100


@pytest.mark.parametrize("rho", [0.0, 0.577, 1.0, 3.0])
def test_rescaling_reaches_the_radius_and_keeps_the_direction(rho):
    W = np.random.default_rng(1).normal(size=(5, 5))
    before = W.copy()
    scaled = reference.rescale_to_spectral_radius(W, rho)
    close(np.abs(np.linalg.eigvals(scaled)).max(), rho)
    close(scaled * W[0, 0], W * scaled[0, 0])
    assert scaled is not W
    assert (before == W).all()


def test_the_bound_holds_and_is_sharp_for_orthogonal_linear_steps():
    hs, W_h, _ = states(8, 4)
    norms = reference.jacobian_product_norms(hs, W_h)
    bounds = [reference.gradient_bound(W_h, k) for k in range(8)]
    assert all(norm <= bound * (1 + 1e-12) for norm, bound in zip(norms, bounds, strict=True))
    Q = 0.9 * reference.orthogonal_matrix(4, np.random.default_rng(0))
    close(reference.gradient_bound(Q, 7), 0.9**7)
    close(np.linalg.norm(np.linalg.matrix_power(Q, 7), 2), 0.9**7)
    close(reference.gradient_bound(Q, 3, slope=0.25), (0.25 * 0.9) ** 3)
    assert reference.gradient_bound(Q, 0) == 1


@pytest.mark.parametrize(
    ("norms", "threshold", "lag"),
    [
        ([1, 0.5, 0.1], 0.5, 2),
        ([1, 0.5, 0.1], 0.01, 3),
        ([1, 0.2, 5.0, 0.1], 0.5, 1),
        ([1.0], 2.0, 0),
    ],
)
def test_the_horizon_is_the_first_lag_strictly_below(norms, threshold, lag):
    assert reference.memory_horizon(np.array(norms, dtype=float), threshold) == lag


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e3])
def test_clipping_is_torchs(max_norm):
    rng = np.random.default_rng(0)
    grads = {"W_h": rng.normal(size=(3, 4)), "b": rng.normal(size=3), "s": np.array(0.5)}
    leaves = [torch.zeros(value.shape, dtype=torch.double) for value in grads.values()]
    for leaf, value in zip(leaves, grads.values(), strict=True):
        leaf.grad = torch.tensor(value)
    theirs = torch.nn.utils.clip_grad_norm_(leaves, max_norm).item()
    clipped, norm = reference.clip_by_global_norm(grads, max_norm)
    close(norm, theirs)
    for value, leaf in zip(clipped.values(), leaves, strict=True):
        close(value, leaf.grad.numpy(), rtol=1e-4)  # torch adds 1e-6 to the norm
    total = np.sqrt(sum((value**2).sum() for value in clipped.values()))
    close(total, min(norm, max_norm))


def test_clipping_leaves_zeros_alone():
    clipped, norm = reference.clip_by_global_norm({"b": np.zeros(3)}, 1.0)
    assert norm == 0
    assert not clipped["b"].any()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_orthogonal_matrices_are_orthogonal(n):
    Q = reference.orthogonal_matrix(n, np.random.default_rng(n))
    close(Q @ Q.T, np.eye(n))


def test_orthogonal_matrices_are_haar_distributed():
    # For Haar measure the trace has mean 0 and variance 1, also with rows' signs fixed by nothing.
    rng = np.random.default_rng(0)
    draws = np.array([reference.orthogonal_matrix(3, rng) for _ in range(4000)])
    traces = np.trace(draws, axis1=1, axis2=2)
    margin = 5 / np.sqrt(len(draws))
    assert abs(traces.mean()) < margin
    assert abs((traces**2).mean() - 1) < 3 * margin
    assert abs((np.linalg.det(draws) > 0).mean() - 0.5) < margin
    assert np.abs(draws.mean(axis=0)).max() < margin
