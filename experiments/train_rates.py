"""Which keep bias and which learning rate let a GRU and an LSTM learn recall at random lags?

A grid: each cell with each total bias of its keep gate (all else as PyTorch makes it) and each learning
rate, one run a seed. Found are the update at which the last ten batches had a mean accuracy of 0.99
(null: not within the budget), and the mean loss of the last ten updates (guessing: ln 4 = 1.386).
"""

import numpy as np
import torch
from lab.cells import init_keep_bias
from lab.comparison import CELLS
from lab.tasks import recall_at_random_lag
from lab.training import LastStateClassifier, train

SETTINGS = {
    "cells": ["GRU", "LSTM"],
    "biases": [0, 1, 3, 5],
    "rates": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3],
    "seeds": [0, 1, 2, 3, 4],
    "T": 30,
    "steps": 150,
    "batch": 32,
    "width": 32,
    "max_norm": 1.0,
}
REDUCED = {"biases": [0, 3], "rates": [0.003], "seeds": [0], "T": 10, "steps": 4, "width": 8}
INPUTS, SYMBOLS = 8, 4


def runs(settings: dict) -> list[dict]:
    return [
        {"cell": cell, "bias": bias, "rate": rate, "seed": seed}
        for cell in settings["cells"]
        for bias in settings["biases"]
        for rate in settings["rates"]
        for seed in settings["seeds"]
    ]


def run(settings: dict, cell: str, bias: float, rate: float, seed: int) -> dict:
    torch.manual_seed(seed)
    rnn = init_keep_bias(CELLS[cell](INPUTS, settings["width"]), bias)
    model = LastStateClassifier(rnn, SYMBOLS)
    log = train(
        model,
        lambda rng: recall_at_random_lag(settings["T"], settings["batch"], rng),
        torch.optim.Adam(model.parameters(), lr=rate),
        settings["steps"],
        settings["max_norm"],
        seed,
        until=0.99,
    )
    return {"solved": log.first_solved(), "loss": float(np.mean(log.loss[-10:]))}
