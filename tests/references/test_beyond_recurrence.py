"""Chapter 11's references against torch, to 1e-10, and against each other."""

import math

import numpy as np
import pytest
import torch

from autograder.answer import ask
from autograder.exercise import find
from autograder.exercises import beyond_recurrence as asked
from autograder.reference import beyond_recurrence as reference

LENGTHS = [1, 2, 3, 4, 5, 8, 13, 64, 65]
each_length = pytest.mark.parametrize("T", LENGTHS)
SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 4, 2), (5, 2, 3, 3), (4, 4, 2, 5)]  # T, B, D, d
each_size = pytest.mark.parametrize(("T", "B", "D", "d"), SIZES)


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


# Attention


def attention(T, B, D, d):
    weights = normal(d, D, seed=1), normal(d, D, seed=2), normal(D, D, seed=3)
    return normal(T, B, D), *weights


@each_size
def test_causal_attention_is_torchs(T, B, D, d):
    x, *weights = attention(T, B, D, d)
    q, k, v = (torch.tensor(np.swapaxes(x @ W.T, 0, 1)) for W in weights)
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    close(reference.causal_self_attention(x, *weights), theirs.transpose(0, 1).numpy())


@each_size
def test_what_comes_later_changes_nothing_before(T, B, D, d):
    x, *weights = attention(T, B, D, d)
    for t in range(T):
        other = x.copy()
        other[t + 1 :] = 1e3
        before = slice(0, t + 1)
        ours = reference.causal_self_attention(x, *weights)[before]
        close(reference.causal_self_attention(other, *weights)[before], ours)


@pytest.mark.parametrize(("n", "d", "D"), [(1, 1, 1), (2, 3, 2), (5, 2, 4), (7, 3, 3)])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_attention_over_a_stream_is_torchs(n, d, D, scale):
    q, keys, values = scale * normal(d), normal(n, d, seed=1), normal(n, D, seed=2)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *(torch.tensor(array) for array in (q[None], keys, values))
    )
    close(reference.streaming_attention(q, iter(keys), iter(values)), theirs[0].numpy())


def test_attention_over_a_stream_in_another_order_is_the_same():
    q, keys, values = normal(3), normal(9, 3, seed=1), normal(9, 2, seed=2)
    order = np.random.default_rng(0).permutation(9)
    close(
        reference.streaming_attention(q, iter(keys[order]), iter(values[order])),
        reference.streaming_attention(q, iter(keys), iter(values)),
    )


def test_a_decoder_with_a_stream_of_its_past_is_causal_attention():
    x, W_q, W_k, W_v = attention(5, 1, 4, 2)
    whole = reference.causal_self_attention(x, W_q, W_k, W_v)
    for t in range(5):
        past = x[: t + 1, 0]
        keys, values = (past @ W.T for W in (W_k, W_v))
        close(reference.streaming_attention(W_q @ x[t, 0], iter(keys), iter(values)), whole[t, 0])


# Recurrences and scans


def recurrence(*shape):
    return normal(*shape, seed=1), normal(*shape, seed=2), np.asarray(normal(*shape, seed=3)[0])


@each_length
@pytest.mark.parametrize("rest", [(), (3,), (2, 3), (2, 1, 2)])
def test_the_scan_is_the_recurrence(T, rest):
    a, b, h0 = recurrence(T, *rest)
    states = reference.linear_recurrence(a, b, h0)
    assert states.shape == (T, *rest)
    close(reference.parallel_scan(a, b, h0, reference.combine), states)


@each_length
def test_the_recurrence_is_a_triangular_system(T):
    """h - a * (h one step before) = b, with a * h0 added to the first."""
    a, b, h0 = recurrence(T)
    matrix = np.eye(T) - np.diag(a[1:], -1)
    right = np.concatenate([[b[0] + a[0] * h0], b[1:]])
    close(reference.linear_recurrence(a, b, h0), np.linalg.solve(matrix, right))


@each_length
def test_the_scan_calls_combine_once_a_round(T):
    calls = []

    def combine(left, right):
        calls.append(1)
        assert left[0].shape == left[1].shape == right[0].shape == right[1].shape
        return reference.combine(left, right)

    a, b, h0 = recurrence(T, 2)
    reference.parallel_scan(a, b, h0, combine)
    assert len(calls) == math.ceil(math.log2(T)) < asked.most_calls(T)


@each_length
def test_the_most_calls_are_those_of_the_syllabus(T):
    assert asked.most_calls(T) == math.ceil(math.log2(T)) + 1


def test_combine_is_two_steps_in_one_and_associative():
    first, second, third = (tuple(normal(2, 3, 2, seed=s)) for s in range(3))
    h = normal(3, 2, seed=9)
    a, b = reference.combine(first, second)
    close(a * h + b, second[0] * (first[0] * h + first[1]) + second[1])
    left = reference.combine(reference.combine(first, second), third)
    right = reference.combine(first, reference.combine(second, third))
    close(left, right)
    close(reference.combine((1.0, 0.0), first), first)
    close(reference.combine(first, (1.0, 0.0)), first)


def test_the_operator_that_is_handed_in_is_the_right_one_and_the_other_one_is_associative():
    first, second, third = (tuple(normal(2, 3, 2, seed=s)) for s in range(3))
    for power in (1, 2):
        combine = asked._make_combine(power, [])
        left = combine(combine(first, second), third)
        close(left, combine(first, combine(second, third)))
        assert np.allclose(left, reference.combine(reference.combine(first, second), third)) == (
            power == 1
        )
        wide = combine(tuple(part[:1] for part in first), second)  # it broadcasts
        close(wide[1][0], combine(first, second)[1][0])
        with pytest.raises(TypeError, match="pair"):
            combine(first[0], second)


# The minimal GRU


def min_gru(T, B, D, H, seed=0):
    shapes = [(T, B, D), (B, H), (H, D), (H,), (H, D), (H,)]
    return [normal(*shape, seed=seed + k) for k, shape in enumerate(shapes)]


@each_length
def test_all_states_at_once_are_those_of_the_steps(T):
    for B, D, H in [(1, 1, 1), (3, 2, 4), (2, 3, 3)]:
        x, h, *parameters = min_gru(T, B, D, H)
        hs = reference.min_gru_parallel(x, h, *parameters)
        assert hs.shape == (T, B, H)
        for t in range(T):
            h = reference.min_gru_step(x[t], h, *parameters)
            close(hs[t], h)


@pytest.mark.parametrize("bias", [-20.0, -5.0, 0.0, 5.0, 20.0])
def test_a_thousand_steps_stay_finite_and_accurate(bias):
    x, h, W_z, b_z, W_h, b_h = min_gru(1000, 2, 3, 3)
    parameters = (W_z, b_z + bias, W_h, b_h)
    hs = reference.min_gru_parallel(x, h, *parameters)
    for t in range(1000):
        h = reference.min_gru_step(x[t], h, *parameters)
        close(hs[t], h)


def test_the_gate_of_one_takes_the_candidate_and_that_of_zero_keeps_the_state():
    x, h, W_z, b_z, W_h, b_h = min_gru(1, 3, 2, 4)
    close(reference.min_gru_step(x[0], h, W_z, b_z + 100, W_h, b_h), x[0] @ W_h.T + b_h)
    close(reference.min_gru_step(x[0], h, W_z, b_z - 100, W_h, b_h), h)


def test_the_gradient_passes_through_the_scan_as_through_the_steps():
    """Torch differentiates both; the scan's references are plain NumPy, so they are written again."""
    a, b, h0 = (torch.tensor(array, requires_grad=True) for array in recurrence(13, 2))
    upstream = torch.tensor(normal(13, 2, seed=7))
    h, steps = h0, []
    for t in range(13):
        h = a[t] * h + b[t]
        steps.append(h)
    by_steps = torch.autograd.grad((torch.stack(steps) * upstream).sum(), (a, b, h0))
    reach, A, B = 1, a, b
    while reach < 13:
        new = reference.combine((A[:-reach], B[:-reach]), (A[reach:], B[reach:]))
        A, B = (torch.cat([old[:reach], late]) for old, late in zip((A, B), new, strict=True))
        reach *= 2
    by_scan = torch.autograd.grad(((A * h0 + B) * upstream).sum(), (a, b, h0))
    for ours, theirs in zip(by_scan, by_steps, strict=True):
        close(ours.numpy(), theirs.numpy())


def test_the_memory_of_decoding_by_hand():
    assert reference.decoding_memory("gru", 2, 512, 1000, 4) == 4096
    assert reference.decoding_memory("lstm", 2, 512, 1000, 4) == 8192
    assert reference.decoding_memory("attention", 2, 512, 1000, 4) == 8_192_000
    assert reference.decoding_memory("attention", 3, 5, 1, 2) == reference.decoding_memory(
        "lstm", 3, 5, 1, 2
    )


# How the check sees what cannot be seen in the numbers


def answer_of(name, function, kind):
    exercise = find(name)
    cases = [case for case in exercise.cases_from(7) if case.kind == kind]
    return ask(exercise, function, cases).answers[0].value


def collected(keep):
    """Attention over a stream that keeps something of every item."""

    def function(q, keys, values):
        kept = []
        for k, v in zip(keys, values, strict=True):
            kept.append(keep(k, v))
        return np.zeros(6)

    return function


@pytest.mark.parametrize(
    "keep",
    [
        lambda k, v: k,
        lambda k, v: v,
        lambda k, v: k.copy(),
        lambda k, v: tuple(v),
        lambda k, v: k @ k,
        lambda k, v: float(k[0]),
    ],
)
def test_whoever_keeps_something_of_every_item_is_seen(keep):
    assert answer_of("streaming_attention", collected(keep), "long")["memory"] == "grows"


def test_whoever_reads_the_one_stream_before_the_other_is_seen():
    def values_first(q, keys, values):
        values = list(values)
        return sum(np.exp(q @ k) * v for k, v in zip(keys, values, strict=True))

    assert answer_of("streaming_attention", values_first, "long")["memory"] == "grows"


def test_whoever_reads_the_keys_twice_is_told_that_they_are_gone():
    def function(q, keys, values):
        largest = max(q @ k for k in keys)
        weights = [np.exp(q @ k - largest) for k in keys]
        return sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)

    exercise = find("streaming_attention")
    failure = ask(exercise, function, exercise.cases_from(7)[:1]).answers[0].failure
    assert failure.kinds[0] == "ZeroDivisionError"
    assert "were read again" in failure.message
    assert failure.line.startswith("return sum")


@pytest.mark.parametrize("size", [1, 2, 16, 64, 100])
def test_whoever_keeps_a_few_items_at_a_time_is_not_blamed(size):
    def chunks(q, keys, values):
        kept = []
        for k, v in zip(keys, values, strict=True):
            kept.append((k, v))
            if len(kept) == size:
                kept.clear()
        return np.zeros(6)

    assert answer_of("streaming_attention", chunks, "long")["memory"] == "constant"


def step(a, h, b):
    return a * h + b


@pytest.mark.parametrize("way", ["for", "comprehension", "while", "map", "one line"])
def test_every_way_to_go_step_by_step_is_seen(way):
    def function(x, h0, W_z, b_z, W_h, b_h):
        a, b = 1 / (1 + np.exp(x @ W_z.T + b_z)), x @ W_h.T + b_h
        h, hs, t = h0, [], 0
        if way == "for":
            for t in range(len(x)):
                h = a[t] * h + b[t]
                hs.append(h)
        elif way == "comprehension":
            hs = [h := c * h + d for c, d in zip(a, b, strict=True)]
        elif way == "while":
            while t < len(x):
                hs.append(step(a[t], hs[-1] if hs else h0, b[t]))
                t += 1
        elif way == "map":
            hs = list(map(step, a, b, b))
        else:
            # fmt: off
            for t in range(len(x)): hs.append(a[t] + b[t])  # noqa: E701
            # fmt: on
        return np.stack(hs)

    assert answer_of("min_gru_parallel", function, "long")["steps"] == "one for each step"
