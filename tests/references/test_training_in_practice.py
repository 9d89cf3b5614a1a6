"""Chapter 8's references against torch, against formulas written out, and in their statistics."""

import math

import numpy as np
import pytest
import torch

from autograder.exercise import PUBLIC_SEED
from autograder.exercises import training_in_practice as asked
from autograder.plain import copy_inputs
from autograder.reference import training_in_practice as reference
from autograder.reference.backpropagation_through_time import (
    numerical_gradient,
    truncated_rnn_backward,
)
from autograder.reference.vanilla_rnn import softmax_cross_entropy
from autograder.reference.vanishing_gradients import clip_by_global_norm

SIZES = [(1, 2, 3, 2), (2, 1, 2, 2), (5, 3, 2, 4), (5, 2, 3, 3), (2, 2, 1, 1)]


def close(a, b, rtol=1e-10, atol=1e-12):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


class Reader(torch.nn.Module):
    """A tanh RNN whose last state is read out."""

    def __init__(self, D, H, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.rnn = torch.nn.RNN(D, H, dtype=torch.double)
        self.read_out = torch.nn.Linear(H, 1, dtype=torch.double)

    def forward(self, x):
        return self.read_out(self.rnn(x)[0][-1])[:, 0]


class Carrier(torch.nn.Module):
    """A cell that shows its states."""

    def __init__(self, kind, D, H, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.cell = getattr(torch.nn, kind)(D, H, dtype=torch.double)

    def forward(self, x, state):
        return self.cell(x, state)


class Alone(torch.nn.Module):
    """A carrier that starts from nothing and shows no state."""

    def __init__(self, carrier):
        super().__init__()
        self.carrier = carrier

    def forward(self, x):
        return self.carrier(x, None)[0]


def squared_error(out, y):
    return ((out - y) ** 2).mean()


def batch(T, B, D, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(T, B, D))), torch.tensor(rng.normal(size=B) + 2)


def arrays(model):
    return {name: p.detach().numpy().copy() for name, p in model.named_parameters()}


# adding_problem


@pytest.mark.parametrize(("T", "B"), [(2, 1), (3, 4), (7, 5), (10, 1)])
def test_two_steps_are_marked_and_their_values_add_up(T, B):
    x, y = reference.adding_problem(T, B, np.random.default_rng(T))
    assert x.shape == (T, B, 2)
    assert y.shape == (B,)
    assert ((x[..., 0] >= 0) & (x[..., 0] < 1)).all()
    assert set(np.unique(x[..., 1])) <= {0.0, 1.0}
    close(x[: T // 2, :, 1].sum(axis=0), np.ones(B))
    close(x[T // 2 :, :, 1].sum(axis=0), np.ones(B))
    close((x[..., 0] * x[..., 1]).sum(axis=0), y)


def test_marked_steps_are_uniform_and_independent_and_guessing_one_costs_a_sixth():
    N = 60_000
    x, y = reference.adding_problem(5, N, np.random.default_rng(0))
    first, second = x[:2, :, 1].argmax(axis=0), 2 + x[2:, :, 1].argmax(axis=0)
    for i in (0, 1):
        for j in (2, 3, 4):
            assert abs(((first == i) & (second == j)).mean() - 1 / 6) < 0.01
    assert abs(((y - 1) ** 2).mean() - 1 / 6) < 0.005


def test_equal_seeds_give_equal_sequences_and_later_calls_others():
    for make in (
        lambda rng: reference.adding_problem(6, 4, rng),
        lambda rng: reference.delayed_recall(6, 4, 3, rng),
    ):
        a, b = np.random.default_rng(3), np.random.default_rng(3)
        one, two, three = make(a), make(b), make(a)
        assert all((p == q).all() for p, q in zip(one, two, strict=True))
        assert (one[0] != three[0]).any()


# delayed_recall


@pytest.mark.parametrize(("T", "B", "symbols"), [(1, 3, 2), (2, 1, 4), (6, 5, 1), (5, 4, 3)])
def test_the_first_token_is_asked_for_and_no_distractor_looks_like_one(T, B, symbols):
    x, y = reference.delayed_recall(T, B, symbols, np.random.default_rng(0))
    assert x.shape == (T, B)
    assert x.dtype.kind == y.dtype.kind == "i"
    assert (x[0] == y).all()
    assert ((y >= 0) & (y < symbols)).all()
    assert (x[1:] >= symbols).all()


def test_first_tokens_are_uniform():
    _, y = reference.delayed_recall(2, 40_000, 4, np.random.default_rng(1))
    assert np.abs(np.bincount(y) / len(y) - 0.25).max() < 0.01


@pytest.mark.parametrize("name", ["adding_problem", "delayed_recall"])
def test_a_right_answer_has_no_bad_luck_in_a_hundred_classes(name):
    exercise = next(e for e in asked.EXERCISES if e.name == name)
    function = getattr(reference, name)
    for seed in range(100):
        for case in exercise.cases_from(seed):
            made = exercise.call(function, case.inputs)
            assert exercise.compare(case, made, made) == [], (seed, case.name)


# train_step


@pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)
@pytest.mark.parametrize("max_norm", [0.05, 1e6])
def test_one_step_of_sgd_is_the_clipped_gradient_by_finite_differences(T, B, D, H, max_norm):
    x, y = batch(T, B, D)
    model, twin = Reader(D, H), Reader(D, H)

    grads = {}
    for name, p in twin.named_parameters():
        # PyTorch shares the array's memory, so what is perturbed is the parameter itself.
        grads[name] = numerical_gradient(
            lambda _: float(squared_error(twin(x), y).detach()), p.detach().numpy()
        )
    clipped, norm = clip_by_global_norm(grads, max_norm)
    assert (norm > max_norm) == (max_norm < 1)
    before = arrays(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with torch.no_grad():
        wanted = float(squared_error(model(x), y))
    assert reference.train_step(model, squared_error, optimizer, x, y, max_norm) == wanted
    for name, after in arrays(model).items():
        # Central differences are good to about 1e-8, and torch adds 1e-6 to the norm.
        close(after - before[name], -0.3 * clipped[name], rtol=1e-5, atol=1e-7)


def test_momentum_sees_the_clipped_gradients_and_nothing_left_from_before():
    model, twin = Reader(2, 3), Reader(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for p in model.parameters():
        p.grad = torch.full_like(p, 7.0)
    velocity = {name: 0.0 for name, _ in twin.named_parameters()}
    for seed in range(4):
        x, y = batch(4, 3, 2, seed)
        loss = squared_error(twin(x), y)
        names, parameters = zip(*twin.named_parameters(), strict=True)
        grads = [g.numpy() for g in torch.autograd.grad(loss, parameters)]
        clipped, norm = clip_by_global_norm(dict(zip(names, grads, strict=True)), 0.7)
        close(reference.train_step(model, squared_error, optimizer, x, y, 0.7), loss.item(), 1e-6)
        with torch.no_grad():
            for name, p in zip(names, parameters, strict=True):
                velocity[name] = 0.9 * velocity[name] + clipped[name]
                p -= 0.1 * torch.tensor(velocity[name])
        assert norm > 0.7
        for name, value in arrays(model).items():
            close(value, arrays(twin)[name], rtol=1e-5, atol=1e-6)


def test_adam_sees_the_clipped_gradients_too():
    model, twin = Reader(2, 2), Reader(2, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    names, parameters = zip(*twin.named_parameters(), strict=True)
    m = {name: 0.0 for name in names}
    v = dict(m)
    for t in range(1, 5):
        x, y = batch(3, 2, 2, seed=t)
        grads = torch.autograd.grad(squared_error(twin(x), y), parameters)
        grads = {name: g.numpy() for name, g in zip(names, grads, strict=True)}
        clipped, _ = clip_by_global_norm(grads, 0.5)
        reference.train_step(model, squared_error, optimizer, x, y, 0.5)
        with torch.no_grad():
            for name, p in zip(names, parameters, strict=True):
                m[name] = 0.9 * m[name] + 0.1 * clipped[name]
                v[name] = 0.999 * v[name] + 0.001 * clipped[name] ** 2
                step = (m[name] / (1 - 0.9**t)) / (np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8)
                p -= 0.05 * torch.tensor(step)
    for name, value in arrays(model).items():
        close(value, arrays(twin)[name], rtol=1e-5, atol=1e-5)


def test_parameters_without_gradient_stay_where_they_are():
    model = Reader(2, 3)
    model.spare = torch.nn.Parameter(torch.ones(2, dtype=torch.double))
    model.rnn.bias_hh_l0.requires_grad_(False)
    before = arrays(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = reference.train_step(model, squared_error, optimizer, *batch(3, 2, 2), 1.0)
    assert isinstance(loss, float)
    moved = {name for name, value in arrays(model).items() if (value != before[name]).any()}
    assert moved == set(before) - {"spare", "rnn.bias_hh_l0"}


def norms_of(case):
    """The norm of the gradients of each batch, before clipping, while the reference trains."""
    norms = []

    def watch(model, loss_fn, optimizer, x, y, max_norm):
        parameters = [p for p in model.parameters() if p.requires_grad]
        grads = torch.autograd.grad(loss_fn(model(x), y), parameters, allow_unused=True)
        norms.append(math.sqrt(sum(float((g**2).sum()) for g in grads if g is not None)))
        return reference.train_step(model, loss_fn, optimizer, x, y, max_norm)

    asked.TRAIN_STEP.call(watch, copy_inputs(case.inputs))
    return norms


@pytest.mark.parametrize("seed", [PUBLIC_SEED, *range(1, 8)])
def test_the_cases_lie_on_the_side_of_the_limit_that_their_names_say(seed):
    for case in asked.TRAIN_STEP.cases_from(seed):
        limit = case.inputs["max_norm"]
        for norm in norms_of(case):
            if case.kind in ("within", "old"):
                assert norm < 0.5 * limit
            else:
                assert norm > 1.2 * limit, case.name
            assert norm > 0.05  # so that 1e-6 in the denominator does not matter


# detach_state


def test_no_gradient_comes_back_through_a_detached_state():
    source = torch.ones(2, dtype=torch.double, requires_grad=True)
    learned = torch.nn.Parameter(torch.ones(2, dtype=torch.double))
    state = [(2 * source, None), {"h": source**2, "c": [learned]}]
    cut = reference.detach_state(state)
    tensors = [cut[0][0], cut[1]["h"], cut[1]["c"][0]]
    weight = torch.ones((), dtype=torch.double, requires_grad=True)
    sum((weight * tensor).sum() for tensor in tensors).backward()
    assert weight.grad is not None
    assert source.grad is None
    assert learned.grad is None
    given = [state[0][0], state[1]["h"], state[1]["c"][0]]
    assert all(torch.equal(a, b) for a, b in zip(tensors, given, strict=True))
    assert all(tensor.requires_grad for tensor in given)


@pytest.mark.parametrize("empty", [None, (), [], {}, ((), [], {"a": None})])
def test_nothing_stays_nothing(empty):
    assert reference.detach_state(empty) == empty
    assert type(reference.detach_state(empty)) is type(empty)


def test_containers_are_new_and_of_the_same_type():
    tensor = torch.ones(1, requires_grad=True) * 2
    state = [{"a": (tensor, [tensor])}]
    cut = reference.detach_state(state)
    assert cut is not state
    assert cut[0] is not state[0]
    assert [type(cut), type(cut[0]), type(cut[0]["a"]), type(cut[0]["a"][1])] == [
        *(list, dict, tuple, list)
    ]


# tbptt_epoch


def gradients_of_windows(kind, x, dhs, window):
    """The losses, and each parameter's gradients added over the windows, while nothing moves."""
    model = Carrier(kind, x.shape[2], dhs.shape[2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    total = {name: np.zeros(p.shape) for name, p in model.named_parameters()}

    def add(*_):
        for name, p in model.named_parameters():
            total[name] += p.grad.numpy()

    optimizer.register_step_pre_hook(add)
    losses = reference.tbptt_epoch(
        model, lambda out, y: (out * y).sum(), optimizer, x, dhs, window, 1e9
    )
    return model, losses, total


@pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)
@pytest.mark.parametrize("window", [1, 2, 3, 9])
def test_windows_give_the_truncated_gradients_of_chapter_2(T, B, D, H, window):
    rng = np.random.default_rng(T)
    x, dhs = torch.tensor(rng.normal(size=(T, B, D))), torch.tensor(rng.normal(size=(T, B, H)))
    model, losses, total = gradients_of_windows("RNN", x, dhs, window)
    hs = model.cell(x)[0].detach()
    W_x, W_h = model.cell.weight_ih_l0.detach().numpy(), model.cell.weight_hh_l0.detach().numpy()
    theirs = truncated_rnn_backward(
        dhs.numpy(), x.numpy(), np.zeros((B, H)), hs.numpy(), W_x, W_h, window
    )
    close(total["cell.weight_ih_l0"], theirs["W_x"])
    close(total["cell.weight_hh_l0"], theirs["W_h"])
    close(total["cell.bias_ih_l0"], theirs["b"])
    close(losses, [float((hs * dhs)[t : t + window].sum()) for t in range(0, T, window)])


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_one_long_window_is_one_training_step_on_the_whole(kind):
    rng = np.random.default_rng(0)
    x, y = torch.tensor(rng.normal(size=(5, 2, 3))), torch.tensor(rng.normal(size=(5, 2, 2)))
    model, twin = Carrier(kind, 3, 2), Carrier(kind, 3, 2)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, twin)]
    losses = reference.tbptt_epoch(model, squared_error, optimizers[0], x, y, 7, 0.1)
    loss = reference.train_step(Alone(twin), squared_error, optimizers[1], x, y, 0.1)
    assert losses == [loss]
    for name, value in arrays(model).items():
        close(value, arrays(twin)[name])


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_the_state_is_carried_and_each_window_updates(kind):
    rng = np.random.default_rng(1)
    x, y = torch.tensor(rng.normal(size=(7, 2, 3))), torch.tensor(rng.normal(size=(7, 2, 2)))
    model, twin = Carrier(kind, 3, 2), Carrier(kind, 3, 2)
    ours, theirs = (torch.optim.Adam(m.parameters(), lr=0.01) for m in (model, twin))
    losses = reference.tbptt_epoch(model, squared_error, ours, x, y, 3, 0.1)
    state, wanted = None, []
    for start in (0, 3, 6):
        theirs.zero_grad()
        out, state = twin(x[start : start + 3], state)
        loss = squared_error(out, y[start : start + 3])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.1)
        theirs.step()
        state = tuple(s.data for s in state) if kind == "LSTM" else state.data
        wanted.append(loss.item())
    assert losses == wanted
    for name, value in arrays(model).items():
        close(value, arrays(twin)[name])


# perplexity


def test_perplexity_is_the_exponential_of_the_cross_entropy():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(5, 3, 7)), rng.integers(0, 7, size=(5, 3))
    mask = rng.random((5, 3)) < 0.6
    nll = torch.nn.functional.cross_entropy(
        torch.tensor(logits).flatten(0, 1), torch.tensor(targets).flatten(), reduction="none"
    )
    loss, _ = softmax_cross_entropy(logits, targets, mask)
    close(reference.perplexity(nll.numpy().reshape(5, 3), mask), np.exp(loss))


@pytest.mark.parametrize(("T", "B", "V"), [(1, 1, 2), (2, 3, 50), (500, 4, 10_000)])
def test_guessing_among_V_tokens_has_the_perplexity_V(T, B, V):
    mask = np.ones((T, B), dtype=bool)
    close(reference.perplexity(np.full((T, B), np.log(V)), mask), V)


# split_parameters


class Language(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(7, 4)
        self.inner = torch.nn.ModuleDict(
            {"gru": torch.nn.GRU(4, 4), "conv": torch.nn.Conv1d(4, 4, 3)}
        )
        self.norm = torch.nn.LayerNorm(4)
        self.out = torch.nn.Linear(4, 7)
        self.out.weight = self.embed.weight
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.inner["gru"].weight_ih_l0.requires_grad_(False)


def test_every_trainable_parameter_stands_in_one_list_once():
    model = Language()
    decay, no_decay = reference.split_parameters(model)
    ids = [id(p) for p in decay + no_decay]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in model.parameters() if p.requires_grad}
    assert all(p.ndim >= 2 for p in decay)
    assert all(p.ndim < 2 for p in no_decay)
    names = {id(p): name for name, p in model.named_parameters()}
    assert sorted(names[id(p)] for p in decay) == [
        *("embed.weight", "inner.conv.weight", "inner.gru.weight_hh_l0")
    ]


def test_an_optimizer_takes_the_lists_and_decays_the_first_alone():
    model = Language()
    decay, no_decay = reference.split_parameters(model)
    before = arrays(model)
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.5}, {"params": no_decay, "weight_decay": 0.0}], lr=0.1
    )
    for p in decay + no_decay:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    decayed = {id(p) for p in decay}
    for name, p in model.named_parameters():
        factor = 0.95 if id(p) in decayed else 1.0
        close(p.detach().numpy(), factor * before[name], rtol=1e-6)
