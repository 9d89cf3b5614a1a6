"""Chapter 10's references against torch, to 1e-10, and against the cells that they unroll."""

import itertools

import numpy as np
import pytest
import torch

from autograder.reference import attention as reference

GATES = [(1, 1, 1), (1, 2, 3), (2, 1, 3), (5, 3, 2), (5, 3, 3), (3, 3, 3)]  # T, B, H
each_gates = pytest.mark.parametrize(("T", "B", "H"), GATES)
COLUMNS = [(1, 1), (1, 3), (2, 1), (5, 3), (4, 4)]  # S, B
each_columns = pytest.mark.parametrize(("S", "B"), COLUMNS)
STEPS = [  # S, B, D, E, H, A
    (1, 1, 1, 1, 1, 1),
    (2, 1, 3, 2, 4, 3),
    (5, 3, 2, 4, 3, 6),
    (4, 2, 3, 5, 3, 2),
    (3, 3, 3, 3, 3, 3),
]
each_step = pytest.mark.parametrize(("S", "B", "D", "E", "H", "A"), STEPS)
ATTENDS = [(1, 1, 1, 1, 1), (2, 1, 3, 4, 2), (2, 3, 1, 2, 5), (2, 4, 3, 5, 6), (3, 3, 3, 3, 3)]
each_attends = pytest.mark.parametrize(("B", "Tq", "Tk", "d", "Dv"), ATTENDS)


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


def tensor(array, grad=False):
    return torch.tensor(array, requires_grad=grad)


def random_mask(rng, *shape):
    """(S, ...): about two thirds of the positions are real, and at least one of each column."""
    mask = rng.random(shape) < 0.67
    mask[0] |= ~mask.any(axis=0)
    return mask


# Gates, unrolled


@each_gates
def test_the_cells_weights_are_its_derivatives_and_give_back_the_cell(T, B, H):
    rng = np.random.default_rng(0)
    f, i = rng.random((2, T, B, H))
    g, c_0 = rng.normal(size=(T, B, H)), rng.normal(size=(B, H))
    candidates = tensor(g, grad=True)
    c = tensor(c_0)
    for t in range(T):
        c = tensor(f[t]) * c + tensor(i[t]) * candidates[t]
    c.sum().backward()
    weights = reference.unrolled_cell_weights(f, i)
    close(weights, candidates.grad.numpy())
    close((weights * g).sum(axis=0) + f.prod(axis=0) * c_0, c.detach().numpy())


@each_gates
def test_the_weights_are_those_of_torchs_lstm(T, B, H):
    rng = np.random.default_rng(1)
    lstm = torch.nn.LSTMCell(3, H, dtype=torch.float64)
    x, h, c_0 = (tensor(rng.normal(size=shape)) for shape in [(T, B, 3), (B, H), (B, H)])
    c, gates = c_0, []
    with torch.no_grad():
        for t in range(T):
            pre = x[t] @ lstm.weight_ih.T + lstm.bias_ih + h @ lstm.weight_hh.T + lstm.bias_hh
            i, f, g, _ = pre.chunk(4, dim=1)
            gates.append(
                (torch.sigmoid(f).numpy(), torch.sigmoid(i).numpy(), torch.tanh(g).numpy())
            )
            h, c = lstm(x[t], (h, c))
    f, i, g = (np.stack(part) for part in zip(*gates, strict=True))
    rebuilt = (reference.unrolled_cell_weights(f, i) * g).sum(axis=0) + f.prod(axis=0) * c_0.numpy()
    close(rebuilt, c.numpy())


@each_gates
def test_the_grus_weights_are_its_derivatives_and_sum_to_one(T, B, H):
    rng = np.random.default_rng(2)
    z = rng.random((T, B, H))
    mixed = tensor(rng.normal(size=(T + 1, B, H)), grad=True)  # h_0, then the candidates
    h = mixed[0]
    for t in range(T):
        h = (1 - tensor(z[t])) * mixed[t + 1] + tensor(z[t]) * h
    h.sum().backward()
    weights = reference.unrolled_gru_weights(z)
    close(weights, mixed.grad.numpy())
    close(weights.sum(axis=0), np.ones((B, H)))
    assert (weights >= 0).all()


def test_closed_gates_leave_one_candidate_and_open_ones_the_first_state():
    z = np.ones((4, 1, 1))
    assert reference.unrolled_gru_weights(z).ravel().tolist() == [1, 0, 0, 0, 0]
    z[2] = 0.0
    assert reference.unrolled_gru_weights(z).ravel().tolist() == [0, 0, 0, 1, 0]
    assert reference.unrolled_cell_weights(z, np.ones_like(z)).ravel().tolist() == [0, 0, 1, 1]


# Scores, weights, context


@each_step
def test_additive_scores_are_those_of_two_linear_layers(S, B, D, E, H, A):
    rng = np.random.default_rng(3)
    query, keys = rng.normal(size=(B, H)), rng.normal(size=(S, B, E))
    W_q, W_k, v = rng.normal(size=(A, H)), rng.normal(size=(A, E)), rng.normal(size=A)
    linear = torch.nn.functional.linear
    hidden = torch.tanh(linear(tensor(query), tensor(W_q)) + linear(tensor(keys), tensor(W_k)))
    close(
        reference.additive_scores(query, keys, W_q, W_k, v),
        linear(hidden, tensor(v)[None])[..., 0].numpy(),
    )


@each_columns
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_softmax_is_torchs_over_what_is_real(S, B, scale):
    rng = np.random.default_rng(4)
    scores, mask = scale * rng.normal(size=(S, B)), random_mask(rng, S, B)
    theirs = torch.softmax(tensor(scores).masked_fill(~tensor(mask), -torch.inf), dim=0)
    weights = reference.masked_softmax(scores, mask)
    close(weights, theirs.numpy())
    assert (weights[~mask] == 0).all()
    close(weights.sum(axis=0), np.ones(B))


@each_columns
def test_what_stands_at_a_masked_position_never_matters(S, B):
    rng = np.random.default_rng(5)
    scores, mask = rng.normal(size=(S, B)), random_mask(rng, S, B)
    for other in (1e4, -1e4, 0.0):
        again = reference.masked_softmax(np.where(mask, scores, other), mask)
        assert np.array_equal(again, reference.masked_softmax(scores, mask))


@each_columns
def test_a_column_without_a_real_position_is_zeros_without_a_warning(S, B):
    scores, mask = np.full((S, B), 1e4), np.ones((S, B), dtype=bool)
    mask[:, -1] = False
    with np.errstate(all="raise"):
        weights = reference.masked_softmax(scores, mask)
    assert not weights[:, -1].any()
    close(weights[:, :-1], np.full((S, B - 1), 1 / S))


@each_columns
def test_the_backward_pass_is_automatic_differentiation(S, B):
    rng = np.random.default_rng(6)
    for E in (1, 2, S):
        scores, mask = rng.normal(size=(S, B)), random_mask(rng, S, B)
        values, dcontext = rng.normal(size=(S, B, E)), rng.normal(size=(B, E))
        t_scores, t_values = tensor(scores, grad=True), tensor(values, grad=True)
        weights = torch.softmax(t_scores.masked_fill(~tensor(mask), -torch.inf), dim=0)
        context = (weights[..., None] * t_values).sum(dim=0)
        context.backward(tensor(dcontext))
        own = reference.masked_softmax(scores, mask)
        close(reference.context_vector(own, values), context.detach().numpy())
        dscores, dvalues = reference.attention_backward(dcontext, own, values)
        close(dscores, t_scores.grad.numpy())
        close(dvalues, t_values.grad.numpy())
        close(dscores.sum(axis=0), np.zeros(B))  # a softmax does not notice a common shift


def test_the_backward_pass_is_a_finite_difference():
    rng = np.random.default_rng(7)
    scores, mask = rng.normal(size=(4, 2)), random_mask(rng, 4, 2)
    values, dcontext = rng.normal(size=(4, 2, 3)), rng.normal(size=(2, 3))

    def loss(scores):
        context = reference.context_vector(reference.masked_softmax(scores, mask), values)
        return (context * dcontext).sum()

    weights = reference.masked_softmax(scores, mask)
    dscores, _ = reference.attention_backward(dcontext, weights, values)
    for s, b in np.ndindex(4, 2):
        step = np.zeros((4, 2))
        step[s, b] = 1e-5
        slope = (loss(scores + step) - loss(scores - step)) / 2e-5
        np.testing.assert_allclose(dscores[s, b], slope, atol=1e-8)


def test_a_column_of_zeros_has_a_context_and_gradients_of_zeros():
    rng = np.random.default_rng(8)
    weights, values = np.zeros((3, 2)), rng.normal(size=(3, 2, 4))
    assert not reference.context_vector(weights, values).any()
    for gradient in reference.attention_backward(rng.normal(size=(2, 4)), weights, values):
        assert not gradient.any()


# The decoder


def decoder(S, B, D, E, H, A, seed=9):
    rng = np.random.default_rng(seed)
    shapes = {
        "W_q": (A, H),
        "W_k": (A, E),
        "v": (A,),
        "W_x": (3 * H, D + E),
        "W_h": (3 * H, H),
        "b_x": (3 * H,),
        "b_h": (3 * H,),
    }
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    mask = random_mask(rng, S, B)
    return (
        rng.normal(size=(B, D)),
        rng.normal(size=(B, H)),
        rng.normal(size=(S, B, E)),
        mask,
        params,
    )


@each_step
def test_the_decoders_step_is_torchs_gru_cell_on_what_was_looked_at(S, B, D, E, H, A):
    y, h, keys, mask, params = decoder(S, B, D, E, H, A)
    p = {name: tensor(value) for name, value in params.items()}
    scores = torch.tanh(tensor(h) @ p["W_q"].T + tensor(keys) @ p["W_k"].T) @ p["v"]
    weights = torch.softmax(scores.masked_fill(~tensor(mask), -torch.inf), dim=0)
    context = torch.einsum("sb,sbe->be", weights, tensor(keys))
    cell = torch.nn.GRUCell(D + E, H, dtype=torch.float64)
    with torch.no_grad():
        for own, name in zip(cell.parameters(), ("W_x", "W_h", "b_x", "b_h"), strict=True):
            own.copy_(p[name])
        theirs = cell(torch.cat([tensor(y), context], dim=1), tensor(h))
    h_next, ours = reference.attention_decoder_step(y, h, keys, mask, params)
    close(h_next, theirs.numpy())
    close(ours, weights.numpy())


@each_step
def test_padding_never_reaches_the_decoder(S, B, D, E, H, A):
    y, h, keys, mask, params = decoder(S, B, D, E, H, A)
    other = np.where(mask[..., None], keys, 100.0)
    for ours, again in zip(
        reference.attention_decoder_step(y, h, keys, mask, params),
        reference.attention_decoder_step(y, h, other, mask, params),
        strict=True,
    ):
        assert np.array_equal(ours, again)


@each_step
def test_with_nothing_real_the_decoder_reads_its_token_alone(S, B, D, E, H, A):
    y, h, keys, mask, params = decoder(S, B, D, E, H, A)
    h_next, weights = reference.attention_decoder_step(y, h, keys, 0 * mask > 0, params)
    without, _ = reference.attention_decoder_step(y, h, 0 * keys, mask, params)
    assert not weights.any()
    close(h_next, without)


# The dot product


@each_attends
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e2])
def test_attention_is_torchs_scaled_dot_product_attention(B, Tq, Tk, d, Dv, masked, scale):
    rng = np.random.default_rng(10)
    Q, K = scale * rng.normal(size=(B, Tq, d)), scale * rng.normal(size=(B, Tk, d))
    V = rng.normal(size=(B, Tk, Dv))
    mask = np.moveaxis(random_mask(rng, Tk, B, Tq), 0, 2) if masked else None
    theirs = torch.nn.functional.scaled_dot_product_attention(
        tensor(Q), tensor(K), tensor(V), attn_mask=tensor(mask.copy()) if masked else None
    )
    np.testing.assert_allclose(
        reference.dot_product_attention(Q, K, V, mask), theirs.numpy(), rtol=1e-10, atol=1e-11
    )


def test_a_query_that_may_look_nowhere_gets_zeros():
    rng = np.random.default_rng(11)
    Q, K, V = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5, 2))
    mask = np.ones((2, 3, 5), dtype=bool)
    mask[1, 2] = False
    out = reference.dot_product_attention(Q, K, V, mask)
    assert not out[1, 2].any()
    close(out[0], reference.dot_product_attention(Q, K, V)[0])
    close(out[1, :2], reference.dot_product_attention(Q, K, V)[1, :2])


def test_the_order_of_keys_with_their_values_makes_no_difference():
    rng = np.random.default_rng(12)
    Q, K, V = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5, 2))
    order = rng.permutation(5)
    close(
        reference.dot_product_attention(Q, K[:, order], V[:, order]),
        reference.dot_product_attention(Q, K, V),
    )


# Entropy, paths and costs


@each_columns
def test_the_entropy_is_torchs(S, B):
    weights = np.random.default_rng(13).dirichlet(np.ones(S), size=B).T
    theirs = torch.distributions.Categorical(tensor(weights.T.copy())).entropy()
    np.testing.assert_allclose(reference.alignment_entropy(weights), theirs.numpy(), atol=1e-10)


def test_entropy_is_zero_for_one_place_and_the_logarithm_of_the_number_for_all():
    with np.errstate(all="raise"):
        weights = np.stack([[0, 1, 0, 0], np.full(4, 0.25), [0.5, 0.5, 0, 0], np.zeros(4)], axis=1)
        close(reference.alignment_entropy(weights), [0, np.log(4), np.log(2), 0])


def reads(kind, n):
    """(n, n): which positions each position reads in one step or layer, itself among them."""
    apart = np.subtract.outer(np.arange(n), np.arange(n))
    return {
        "rnn": (apart == 0) | (apart == 1),
        "convolution": np.abs(apart) <= 1,
        "self-attention": np.ones((n, n), dtype=bool),
    }[kind]


@pytest.mark.parametrize("kind", ["rnn", "convolution", "self-attention"])
@pytest.mark.parametrize("n", [2, 3, 4, 9])
def test_the_longest_path_is_found_by_following_all_of_them(kind, n):
    once = reads(kind, n).astype(int)
    due = np.tril(np.ones((n, n), dtype=bool)) if kind == "rnn" else np.ones((n, n), dtype=bool)
    for steps in itertools.count(1):
        if (np.linalg.matrix_power(once, steps) > 0)[due].all():
            break
    assert reference.max_path_length(kind, n) == steps


def test_only_the_recurrence_waits_for_itself():
    for n in (1, 2, 7, 100):
        assert reference.sequential_operations("rnn", n) == n
        assert reference.sequential_operations("self-attention", n) == 1
        assert reference.sequential_operations("convolution", n) == 1


@pytest.mark.parametrize("kind", ["transformer", "", "RNN"])
def test_another_kind_of_layer_is_refused(kind):
    for function in (reference.max_path_length, reference.sequential_operations):
        with pytest.raises(ValueError, match="kind"):
            function(kind, 5)
