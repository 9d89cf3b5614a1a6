"""Chapter 1's references against PyTorch, to 1e-10, and at their extremes."""

import numpy as np
import pytest
import torch

from autograder.reference import vanilla_rnn as reference

SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 2, 4), (4, 2, 3, 3), (7, 4, 1, 5)]
each_size = pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)


def cell(rng, D, H):
    return rng.normal(size=(H, D)), rng.normal(size=(H, H)), rng.normal(size=H)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_sigmoid_is_torchs_and_silent_at_the_extremes():
    a = np.concatenate([np.linspace(-750, 750, 301), [-1e4, 1e4, 0.0]])
    with np.errstate(all="raise", under="ignore"):
        ours = reference.sigmoid(a)
    close(ours, torch.sigmoid(torch.tensor(a)).numpy())
    assert ours[-3] == 0 and ours[-2] == 1 and ours[-1] == 0.5


@pytest.mark.parametrize("a", [0.3, np.float64(-2.0), np.array(1.5), np.zeros((2, 0, 3))])
def test_sigmoid_takes_numbers_and_any_shape(a):
    assert np.shape(reference.sigmoid(a)) == np.shape(a)


@each_size
def test_step_and_forward_are_torchs(T, B, D, H):
    rng = np.random.default_rng(T)
    x, h0, weights = rng.normal(size=(T, B, D)), rng.normal(size=(B, H)), cell(rng, D, H)
    model = torch.nn.RNN(D, H).double()
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), [*weights, np.zeros(H)], strict=True):
            parameter.copy_(torch.tensor(value))
        theirs = model(torch.tensor(x), torch.tensor(h0)[None])[0].numpy()
    close(reference.rnn_forward(x, h0, *weights), theirs)
    close(reference.rnn_step(x[0], h0, *weights), theirs[0])


@each_size
def test_softmax_cross_entropy_is_torchs_with_its_gradient(T, B, D, H):
    rng = np.random.default_rng(T + 10)
    V = D + 1
    logits, targets = 3 * rng.normal(size=(T, B, V)), rng.integers(V, size=(T, B))
    mask = rng.random((T, B)) < 0.7
    mask[0, 0] = True
    leaf = torch.tensor(logits, requires_grad=True)
    chosen = torch.tensor(mask)
    theirs = torch.nn.functional.cross_entropy(leaf[chosen], torch.tensor(targets)[chosen])
    theirs.backward()
    loss, dlogits = reference.softmax_cross_entropy(logits, targets, mask)
    close(loss, theirs.item())
    close(dlogits, leaf.grad.numpy())


def test_softmax_cross_entropy_survives_large_logits_and_an_empty_mask():
    logits = np.array([[[1e4, 0.0, -1e4]]])
    targets = np.array([[2]])
    loss, dlogits = reference.softmax_cross_entropy(logits, targets, np.array([[True]]))
    close(loss, 2e4)
    close(dlogits, [[[1.0, 0.0, -1.0]]])
    loss, dlogits = reference.softmax_cross_entropy(logits, targets, np.array([[False]]))
    assert loss == 0.0
    assert not dlogits.any()


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_token_distribution_is_torchs(temperature):
    logits = np.random.default_rng(0).normal(size=(3, 2, 5))
    theirs = torch.softmax(torch.tensor(logits) / temperature, -1).numpy()
    close(reference.token_distribution(logits, temperature), theirs)


def test_token_distribution_at_its_extremes():
    tied = np.array([[1.0, 3.0, 3.0, -2.0]])
    close(reference.token_distribution(tied, 0), [[0, 1, 0, 0]])
    close(reference.token_distribution(tied, 1e12), np.full((1, 4), 0.25))
    close(reference.token_distribution(np.array([1e4, -1e4]), 0.5), [1, 0])


@each_size
def test_the_count_is_torchs(T, B, D, H):
    V = T + 1
    cell_count = sum(p.numel() for p in torch.nn.RNNCell(D, H).parameters()) - H  # two biases
    read_out = sum(p.numel() for p in torch.nn.Linear(H, V).parameters())
    assert reference.rnn_parameter_count(D, H, V) == cell_count + read_out


@each_size
def test_the_torch_module_computes_the_reference(T, B, D, H):
    rng = np.random.default_rng(T)
    x, h0, weights = rng.normal(size=(T, B, D)), rng.normal(size=(B, H)), cell(rng, D, H)
    model = reference.to_torch_rnn(*weights)
    theirs, last = model(torch.tensor(x), torch.tensor(h0)[None])
    ours = reference.rnn_forward(x, h0, *weights)
    close(ours, theirs.detach().numpy())
    close(ours[-1], last[0].detach().numpy())
    before = [p.detach().clone() for p in model.parameters()]
    for weight in weights:
        weight += 1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
