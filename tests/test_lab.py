"""What the readings share says what it does: the opened cells are PyTorch's, the tasks are right."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))

from lab import cells, tasks, training


@pytest.fixture(autouse=True)
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_an_opened_cell_computes_what_torch_computes(kind, T):
    rnn, x = kind(3, 4), torch.randn(T, 2, 3)
    parts = cells.unroll(rnn, x)
    outputs, _ = rnn(x)
    torch.testing.assert_close(torch.stack(parts["h"]), outputs, rtol=1e-12, atol=1e-12)


def test_an_opened_lstm_starts_from_the_state_it_is_given():
    rnn, x, h0, c0 = nn.LSTM(3, 3), torch.randn(4, 2, 3), torch.randn(2, 3), torch.randn(2, 3)
    parts = cells.unroll(rnn, x, (h0, c0))
    _, (h, c) = rnn(x, (h0[None], c0[None]))
    torch.testing.assert_close(parts["h"][-1], h[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(parts["c"][-1], c[0], rtol=1e-12, atol=1e-12)


def test_stacks_cannot_be_opened():
    with pytest.raises(ValueError, match="one layer"):
        cells.unroll(nn.GRU(3, 4, num_layers=2), torch.randn(2, 1, 3))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_the_keep_bias_is_the_gates_whole_bias_and_nothing_else_changes(kind):
    rnn = kind(3, 4)
    before = {name: p.detach().clone() for name, p in rnn.named_parameters()}
    assert cells.init_keep_bias(rnn, 2.5) is rnn
    total = rnn.bias_ih_l0 + rnn.bias_hh_l0
    torch.testing.assert_close(total[4:8], torch.full((4,), 2.5))
    for name, p in rnn.named_parameters():
        kept = torch.ones(len(p), dtype=bool)
        kept[4:8] = not name.startswith("bias")
        assert torch.equal(p[kept], before[name][kept])
    zero = cells.unroll(rnn, torch.zeros(1, 1, 3))
    torch.testing.assert_close(zero["f" if kind is nn.LSTM else "z"][0], total[4:8].sigmoid()[None])


def test_chrono_draws_time_scales_uniformly_and_ties_the_input_gate():
    lstm = cells.init_chrono(nn.LSTM(2, 4000), 50)
    i, f, _, _ = (lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)
    scales = f.exp()
    assert 1 <= scales.min() < 1.2 and 48.8 < scales.max() <= 49
    assert abs(scales.mean() - 25) < 1
    assert torch.equal(i, -f)


def test_recall_at_a_random_lag_draws_every_length():
    rng = np.random.default_rng(0)
    lengths = {len(tasks.recall_at_random_lag(8, 2, rng)[0]) for _ in range(200)}
    assert lengths == {4, 5, 6, 7, 8}


def test_the_latch_answers_with_the_latest_sign_that_was_written():
    x, y = tasks.latch(40, 3, np.random.default_rng(0))
    for b in range(3):
        held = None
        for t in range(40):
            sign, write, read = x[t, b].tolist()
            held = sign if write else held
            assert y[t, b] == (0 if not read else 1 if held < 0 else 2)
    assert set(y.flatten().tolist()) == {0, 1, 2}


def test_the_loss_of_every_step_is_the_mean_over_steps_that_have_an_answer():
    logits, y = torch.randn(3, 2, 4), torch.tensor([[0, 1], [-100, 2], [3, -100]])
    logp = logits.log_softmax(-1)
    own = -(logp[0, 0, 0] + logp[0, 1, 1] + logp[1, 1, 2] + logp[2, 0, 3]) / 4
    torch.testing.assert_close(training.every_step_loss(logits, y), own)
