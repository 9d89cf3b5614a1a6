"""Chapter 7's references against PyTorch, to 1e-10, and what padding must never do."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from autograder.reference import deep_and_bidirectional as reference
from autograder.reference.lstm import lstm_step
from autograder.reference.vanilla_rnn import rnn_forward

SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 2, 4), (2, 2, 3, 3), (1, 4, 5, 2), (5, 4, 4, 4)]
each_size = pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def network(rng, B, D, H):
    shapes = {"h0": (B, H), "W_x": (H, D), "W_h": (H, H), "b": (H,)}
    return {name: 0.7 * rng.normal(size=shape) for name, shape in shapes.items()}


def batch(T, B, D, H):
    """x, lengths (unsorted, padding that is not zero) and two networks."""
    rng = np.random.default_rng([T, B, D, H])
    lengths = rng.integers(1, T + 1, size=B)
    return rng.normal(size=(T, B, D)), lengths, network(rng, B, D, H), network(rng, B, D, H)


def fill(model, networks):
    """Put these weights into a torch RNN; the bias is shared out unevenly, as only the sum acts."""
    values = [
        part for net in networks for part in (net["W_x"], net["W_h"], 3 * net["b"], -2 * net["b"])
    ]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    return model.double()


@each_size
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_stack_is_torchs_rnn_with_layers(T, B, D, H, depth):
    rng = np.random.default_rng([T, B, D, H, depth])
    layers = [network(rng, B, D if k == 0 else H, H) for k in range(depth)]
    x = rng.normal(size=(T, B, D))
    model = fill(torch.nn.RNN(D, H, depth).double(), layers)
    h0 = torch.tensor(np.stack([layer["h0"] for layer in layers]))
    top, last = model(torch.tensor(x), h0)
    states = reference.stacked_rnn_forward(x, layers)
    assert [hs.shape for hs in states] == [(T, B, H)] * depth
    close(states[-1], top.detach().numpy())
    close([hs[-1] for hs in states], last.detach().numpy())


@each_size
def test_layers_of_different_widths_are_networks_in_a_row(T, B, D, H):
    rng = np.random.default_rng([T, B, D, H])
    widths = [D, H, H + 2, 1]
    layers = [network(rng, B, *pair) for pair in itertools.pairwise(widths)]
    x = rng.normal(size=(T, B, D))
    below = torch.tensor(x)
    for layer, hs in zip(layers, reference.stacked_rnn_forward(x, layers), strict=True):
        model = fill(torch.nn.RNN(below.shape[2], layer["h0"].shape[1]).double(), [layer])
        below = model(below, torch.tensor(layer["h0"])[None])[0]
        close(hs, below.detach().numpy())


@each_size
def test_a_stack_of_one_is_the_network_of_chapter_1(T, B, D, H):
    x, _, net, _ = batch(T, B, D, H)
    (hs,) = reference.stacked_rnn_forward(x, [net])
    close(hs, rnn_forward(x, **net))


@each_size
def test_reversing_twice_changes_nothing_and_padding_stays(T, B, D, H):
    x, lengths, _, _ = batch(T, B, D, H)
    turned = reference.reverse_padded(x, lengths)
    for n, length in enumerate(lengths):
        assert np.array_equal(turned[:length, n], x[:length, n][::-1])
        assert np.array_equal(turned[length:, n], x[length:, n])
    assert np.array_equal(reference.reverse_padded(turned, lengths), x)


@each_size
def test_reversing_full_lengths_is_torchs_flip(T, B, D, H):
    x, lengths, _, _ = batch(T, B, D, H)
    theirs = torch.tensor(x).flip(0).numpy()
    assert np.array_equal(reference.reverse_padded(x, np.full_like(lengths, T)), theirs)


@each_size
def test_masked_states_are_torchs_on_a_packed_batch_and_then_stand_still(T, B, D, H):
    x, lengths, net, _ = batch(T, B, D, H)
    model = fill(torch.nn.RNN(D, H).double(), [net])
    packed = pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), enforce_sorted=False)
    theirs, last = model(packed, torch.tensor(net["h0"])[None])
    theirs = pad_packed_sequence(theirs, total_length=T)[0].detach().numpy()
    hs = reference.masked_rnn_forward(x, **net, lengths=lengths)
    real = np.arange(T)[:, None] < lengths
    close(hs[real], theirs[real])
    close(hs[-1], last[0].detach().numpy())
    close(reference.last_valid(hs, lengths), hs[-1])
    for n, length in enumerate(lengths):
        assert np.array_equal(hs[length:, n], np.repeat(hs[length - 1 : length, n], T - length, 0))


@each_size
def test_the_last_valid_state_is_where_torch_finds_it(T, B, D, H):
    hs, lengths, _, _ = batch(T, B, D, H)
    index = torch.tensor(lengths - 1).view(1, B, 1).expand(1, B, D)
    theirs = torch.tensor(hs).gather(0, index)[0].numpy()
    assert np.array_equal(reference.last_valid(hs, lengths), theirs)


@each_size
def test_both_directions_are_torchs_on_a_packed_batch(T, B, D, H):
    x, lengths, forward, backward = batch(T, B, D, H)
    model = fill(torch.nn.RNN(D, H, bidirectional=True).double(), [forward, backward])
    packed = pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), enforce_sorted=False)
    h0 = torch.tensor(np.stack([forward["h0"], backward["h0"]]))
    theirs, last = model(packed, h0)
    theirs = pad_packed_sequence(theirs, total_length=T)[0].detach().numpy()
    ours = reference.bidirectional_rnn_forward(x, lengths, forward, backward)
    close(ours, theirs)  # torch fills padding with zeros too
    close(reference.last_valid(ours, lengths)[:, :H], last[0].detach().numpy())
    close(ours[0, :, H:], last[1].detach().numpy())


@each_size
def test_padding_never_changes_a_real_position(T, B, D, H):
    x, lengths, forward, backward = batch(T, B, D, H)
    real = (np.arange(T)[:, None] < lengths)[:, :, None]
    other = np.where(real, x, 1e3 + x)
    longer = np.concatenate([x, x[:1], x[:1]])
    for function in (
        lambda x: reference.bidirectional_rnn_forward(x, lengths, forward, backward),
        lambda x: reference.masked_rnn_forward(x, **forward, lengths=lengths),
    ):
        assert np.array_equal(function(other), function(x))
        assert np.array_equal(function(longer)[:T], function(x))


@each_size
def test_each_direction_knows_its_own_side_only(T, B, D, H):
    x, lengths, forward, backward = batch(T, B, D, H)
    before = reference.bidirectional_rnn_forward(x, lengths, forward, backward)
    for j in range(T):
        moved = x.copy()
        moved[j] += 0.5
        after = reference.bidirectional_rnn_forward(moved, lengths, forward, backward)
        changed = (after != before).reshape(T, B, 2, H).any(axis=3)
        for n, length in enumerate(lengths):
            t = np.arange(T)
            assert np.array_equal(changed[:, n, 0], (j <= t) & (t < length))
            assert np.array_equal(changed[:, n, 1], (t <= j) & (j < length))


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 0.9])
def test_locked_dropout_keeps_the_mean_and_one_mask(p):
    rng = np.random.default_rng(0)
    x, u = np.ones((7, 40, 500)), rng.uniform(size=(40, 500))
    out = reference.locked_dropout(x, u, p, True)
    assert (out == out[:1]).all()
    assert set(np.unique(out)) <= {0.0, 1 / (1 - p)}
    # 20000 independent entries: 20 standard deviations are out of reach
    assert abs(out.mean() - 1) <= 20 * np.sqrt(p / (1 - p) / u.size) + 1e-12
    assert np.array_equal(reference.locked_dropout(x, u, p, False), x)


def test_locked_dropout_is_torchs_with_the_same_mask():
    """torch.nn.functional.dropout on one step gives the mask; the other steps must share it."""
    torch.manual_seed(0)
    ones = torch.ones(3, 200, dtype=torch.float64)
    mask = torch.nn.functional.dropout(ones, 0.3).numpy()
    u = np.where(mask > 0, 0.3, 0.2999)
    x = np.random.default_rng(1).normal(size=(4, 3, 200))
    close(reference.locked_dropout(x, u, 0.3, True), x * mask)


@pytest.mark.parametrize("shape", [(1,), (5,), (1, 1), (3, 4), (4, 4), (5, 2, 3), (2, 1, 3, 7)])
@pytest.mark.parametrize("eps", [1e-5, 1e-3, 0.5])
def test_layer_norm_is_torchs(shape, eps):
    rng = np.random.default_rng(len(shape))
    a, gain, bias = rng.normal(size=shape), rng.normal(size=shape[-1]), rng.normal(size=shape[-1])
    theirs = torch.nn.LayerNorm(shape[-1], eps=eps, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(gain))
        theirs.bias.copy_(torch.tensor(bias))
    close(reference.layer_norm(a, gain, bias, eps), theirs(torch.tensor(a)).detach().numpy())
    if eps == 1e-5:
        assert torch.nn.LayerNorm(1).eps == eps
        close(reference.layer_norm(a, gain, bias), reference.layer_norm(a, gain, bias, eps))


def test_layer_norm_forgets_scale_and_shift():
    rng = np.random.default_rng(0)
    a, gain, bias = rng.normal(size=(3, 6)), rng.normal(size=6), rng.normal(size=6)
    normed = reference.layer_norm(a, gain, bias, eps=0.0)
    np.testing.assert_allclose(reference.layer_norm(5 * a - 2, gain, bias, 0.0), normed, rtol=1e-9)
    plain = reference.layer_norm(a, np.ones(6), np.zeros(6), eps=0.0)
    np.testing.assert_allclose(plain.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(plain.var(axis=1), 1, rtol=1e-12)


@each_size
def test_the_normalised_step_is_torchs_cell_on_normalised_pre_activations(T, B, D, H):
    rng = np.random.default_rng([T, B, D, H])
    x, h, c = rng.normal(size=(B, D)), rng.normal(size=(B, H)), rng.normal(size=(B, H))
    W_x, W_h, b = rng.normal(size=(4 * H, D)), rng.normal(size=(4 * H, H)), rng.normal(size=4 * H)
    gains, biases = rng.normal(size=(4, H)), rng.normal(size=(4, H))
    a = torch.nn.functional.linear(torch.tensor(x), torch.tensor(W_x), torch.tensor(b))
    a = (a + torch.tensor(h) @ torch.tensor(W_h).T).chunk(4, dim=1)
    normed = [
        torch.nn.functional.layer_norm(
            each, (H,), torch.tensor(gains[k]), torch.tensor(biases[k]), 1e-5
        )
        for k, each in enumerate(a)
    ]
    # An LSTM cell that receives them as inputs, through the identity, and nothing else.
    cell = torch.nn.LSTMCell(4 * H, H, bias=False, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.eye(4 * H))
        cell.weight_hh.zero_()
    theirs = cell(torch.cat(normed, dim=1), (torch.tensor(h), torch.tensor(c)))
    ours = reference.layer_norm_lstm_step(x, h, c, W_x, W_h, b, gains, biases)
    for one, other in zip(ours, theirs, strict=True):
        close(one, other.detach().numpy())


def test_the_normalised_step_forgets_the_scale_of_its_weights():
    rng = np.random.default_rng(0)
    B, D, H = 3, 2, 5
    x, h, c = rng.normal(size=(B, D)), rng.normal(size=(B, H)), rng.normal(size=(B, H))
    weights = [rng.normal(size=s) for s in ((4 * H, D), (4 * H, H), 4 * H)]
    gains, biases = rng.normal(size=(4, H)), rng.normal(size=(4, H))
    one = reference.layer_norm_lstm_step(x, h, c, *(1e4 * w for w in weights), gains, biases)
    other = reference.layer_norm_lstm_step(x, h, c, *(1e6 * w for w in weights), gains, biases)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)
    plain = lstm_step(x, h, c, *weights)
    assert not np.allclose(plain[0], one[0])


def tagger(seed=0, vocab=9, tags=5, embed=4, hidden=3):
    torch.manual_seed(seed)
    return reference.BiTagger(vocab, tags, embed, hidden).double()


def test_the_tagger_is_a_module_of_the_right_sizes():
    model = tagger()
    assert isinstance(model, torch.nn.Module)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes["embedding.weight"] == (9, 4)
    assert shapes["rnn.weight_hh_l0_reverse"] == (12, 3)
    assert shapes["read_out.weight"] == (5, 6)
    assert reference.tagger_class() is reference.tagger_class()


@pytest.mark.parametrize("lengths", [[1], [3, 5, 1], [2, 1, 2], [4, 4]])
@pytest.mark.parametrize("T", [5, 7])
def test_the_tagger_reads_each_sequence_as_if_it_were_alone(lengths, T):
    model = tagger()
    tokens = torch.randint(9, (T, len(lengths)), generator=torch.Generator().manual_seed(1))
    logits = model(tokens, torch.tensor(lengths))
    assert logits.shape == (T, len(lengths), 5)
    for n, length in enumerate(lengths):
        own = tokens[:length, n : n + 1]  # no padding at all, nothing packed
        states = model.rnn(model.embedding(own))[0]
        close(logits[:length, n].detach(), model.read_out(states)[:, 0].detach())


def test_no_gradient_comes_from_padding():
    model = tagger()
    tokens, lengths = torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([3, 1])
    logits = model(tokens, lengths)
    logits[torch.arange(3)[:, None] < lengths].sum().backward()
    moved = model.embedding.weight.grad.abs().sum(dim=1) > 0
    assert set(torch.nonzero(moved).flatten().tolist()) == {1, 2, 3, 5}


@each_size
def test_no_reference_changes_its_inputs(T, B, D, H):
    x, lengths, forward, backward = batch(T, B, D, H)
    rng = np.random.default_rng(T)
    gain, bias, u = rng.normal(size=D), rng.normal(size=D), rng.uniform(size=(B, D))
    given = [x, lengths, *forward.values(), *backward.values(), gain, bias, u]
    before = [array.copy() for array in given]
    reference.stacked_rnn_forward(x, [forward])
    reference.masked_rnn_forward(x, **forward, lengths=lengths)
    reference.bidirectional_rnn_forward(x, lengths, forward, backward)
    reference.reverse_padded(x, lengths)
    reference.last_valid(x, lengths)
    reference.locked_dropout(x, u, 0.5, True)
    reference.layer_norm(x, gain, bias)
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
