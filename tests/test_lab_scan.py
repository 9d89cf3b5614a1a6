"""The lab's scans agree with the step by step, forwards and backwards, and with autograd."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))

from lab import scan

WAYS = [scan.in_steps, scan.by_doubling, scan.in_pairs]


def drawn(T, seed=0):
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand(T, 2, 3, generator=generator, dtype=torch.float64) * 2 - 1
    b, h0 = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((T, 2, 3), (2, 3))
    )
    return [v.requires_grad_() for v in (a, b, h0)]


def by_autograd(a, b, h0):
    hs = []
    for a_t, b_t in zip(a, b, strict=True):
        h0 = a_t * h0 + b_t
        hs.append(h0)
    return torch.stack(hs)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("T", [1, 2, 3, 5, 8, 13, 64])
def test_every_way_is_the_recurrence_and_has_its_gradients(way, T):
    inputs = drawn(T)
    upstream = torch.randn(T, 2, 3, dtype=torch.float64)
    expected, found = by_autograd(*inputs), scan.recurrence(*inputs, way=way)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    for left, right in zip(
        torch.autograd.grad(expected, inputs, upstream),
        torch.autograd.grad(found, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(right, left, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_a_scan_leaves_its_inputs_alone(way):
    a, b, _ = (v.detach() for v in drawn(7))
    before = a.clone(), b.clone()
    way(a, b)
    assert torch.equal(a, before[0])
    assert torch.equal(b, before[1])


@pytest.mark.parametrize("way", WAYS)
def test_a_thousand_strong_gates_are_finite(way):
    rnn = scan.MinGRU(3, 4, way=way).double()
    with torch.no_grad():
        rnn.layer.weight.mul_(1000)
    hs, last = rnn(torch.randn(1000, 2, 3, dtype=torch.float64))
    assert hs.isfinite().all()
    assert torch.equal(last[0], hs[-1])


def test_min_gru_is_its_equation():
    torch.manual_seed(0)
    rnn = scan.MinGRU(3, 4).double()
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    h = torch.zeros(2, 4, dtype=torch.float64)
    for x_t, expected in zip(x, rnn(x)[0], strict=True):
        gate, n = rnn.layer(x_t).chunk(2, dim=-1)
        h = (1 - gate.sigmoid()) * h + gate.sigmoid() * n
        torch.testing.assert_close(expected, h)


def test_chrono_keeps_for_lags_up_to_t():
    torch.manual_seed(0)
    rnn = scan.MinGRU(3, 500).init_chrono(80)
    keep = (-rnn.layer.bias[:500]).sigmoid()
    assert keep.min() >= 0.5
    assert keep.max() <= 79 / 80 + 1e-6
