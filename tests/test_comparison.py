"""Cells that are compared are on equal terms, and the rate is chosen on other seeds than those reported."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))

from lab.comparison import CELLS, contenders, count, hidden_for, measure, start
from lab.training import LastStateClassifier


def size(cell, hidden, inputs=5, outputs=3):
    return count(LastStateClassifier(CELLS[cell](inputs, hidden), outputs))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("width", [1, 7, 32])
def test_no_other_width_comes_nearer_to_the_parameters_of_the_lstm(cell, width):
    assert hidden_for(cell, "width", 5, width, 3) == width
    hidden, goal = hidden_for(cell, "parameters", 5, width, 3), size("LSTM", width)
    off = [abs(size(cell, h) - goal) for h in (max(hidden - 1, 1), hidden, hidden + 1)]
    assert off[1] == min(off)
    if cell == "LSTM":
        assert hidden == width


def test_every_contender_can_be_started_and_the_two_starts_differ():
    assert len(contenders()) == len({tuple(one.values()) for one in contenders()}) == 10
    for one in contenders():
        torch.manual_seed(0)
        rnn = start(one["cell"], one["init"], 5, 8, horizon=50)
        torch.manual_seed(0)
        plain = CELLS[one["cell"]](5, 8)
        same = all(map(torch.equal, rnn.parameters(), plain.parameters()))
        assert same == (one["init"] == "default")


def test_the_rate_with_the_lowest_mean_validation_loss_is_reported_on_the_other_seeds():
    losses = {0.1: [3.0, 1.0], 0.2: [1.0, 2.0], 0.3: [0.0, 9.0]}
    done = []

    def once(rate, seed):
        done.append((rate, seed))
        return {"validation": losses[rate][seed - 100] if seed >= 100 else -rate, "test": seed}

    found = measure(once, list(losses), [100, 101], [0, 1, 2])
    assert found == {
        "rate": 0.2,
        "tried": list(losses.values()),
        "validation": [-0.2] * 3,
        "test": [0, 1, 2],
    }
    assert done[-3:] == [(0.2, 0), (0.2, 1), (0.2, 2)]


def test_a_rate_whose_loss_is_no_number_is_not_chosen():
    def once(rate, seed):
        return {"validation": float("nan") if rate == 1 else rate}

    assert measure(once, [1, 3, 2], [0], [1])["rate"] == 2
