"""What do networks that learned to recall over 50 steps recall over 2000, and which symbols survive?

Trained on first-symbol recall, the length "fixed" at 50 or "random", uniform from 25 to 50; tested with
the same number of sequences from each of the four symbols at each length. Found are "answers", the share
of each answer (last axis) to each symbol at each length, and "first" and "last": how far, before and
after training, the right logit moves with the first and with the last input (norm of the gradient,
mean over sequences; "untrained_first", "untrained_last": before).
"""

import numpy as np
import torch
from lab.cells import init_keep_bias
from lab.comparison import start
from lab.tasks import first_symbol_recall, recall_at_random_lag
from lab.training import LastStateClassifier, input_gradient_norms, train

SETTINGS = {
    "seeds": [0, 1, 2, 3, 4],
    "T": 50,
    "cells": [
        ["RNN", "horizon"],
        ["GRU", "horizon"],
        ["LSTM", "horizon"],
        ["LSTM", "bias 3"],
    ],
    "width": 64,
    "rate": 0.003,
    "steps": 300,
    "batch": 32,
    "max_norm": 1.0,
    "lengths": [25, 50, 100, 200, 500, 1000, 2000],
    "sequences": 50,  # of each symbol
    "gradient_sequences": 16,
}
REDUCED = {"seeds": [0], "T": 10, "width": 8, "steps": 4, "lengths": [5, 20], "sequences": 4}
INPUTS, SYMBOLS = 8, 4


def runs(settings: dict) -> list[dict]:
    return [
        {"lag": lag, "cell": cell, "init": init, "seed": seed}
        for lag in ("fixed", "random")
        for cell, init in settings["cells"]
        for seed in settings["seeds"]
    ]


def run(settings: dict, lag: str, cell: str, init: str, seed: int) -> dict:
    torch.manual_seed(seed)
    T, draw = settings["T"], first_symbol_recall if lag == "fixed" else recall_at_random_lag
    rnn = start(cell, "horizon" if init == "horizon" else "default", INPUTS, settings["width"], T)
    if init == "bias 3":
        init_keep_bias(rnn, 3)
    model = LastStateClassifier(rnn, SYMBOLS)
    before = _sensitivity(model, settings)
    log = train(
        model,
        lambda rng: draw(T, settings["batch"], rng),
        torch.optim.Adam(model.parameters(), lr=settings["rate"]),
        settings["steps"],
        settings["max_norm"],
        seed,
    )
    after = _sensitivity(model, settings)
    return {
        "solved": log.first_solved(),
        "loss": float(np.mean(log.loss[-20:])),
        "answers": [_answers(model, n, settings["sequences"]) for n in settings["lengths"]],
        "first": after[0],
        "last": after[1],
        "untrained_first": before[0],
        "untrained_last": before[1],
    }


@torch.no_grad()
def _answers(model, length, sequences):
    """Row by row, symbol by symbol: the share of each answer."""
    x, _ = first_symbol_recall(length, SYMBOLS * sequences, np.random.default_rng(10_000))
    y = torch.arange(SYMBOLS).repeat_interleave(sequences)
    x[0] = torch.nn.functional.one_hot(y, INPUTS)
    answers = model(x).argmax(-1).reshape(SYMBOLS, sequences)
    return [torch.bincount(row, minlength=SYMBOLS).div(sequences).tolist() for row in answers]


def _sensitivity(model, settings):
    """The norms at the first input, length by length, and at the last."""
    first, last = [], []
    for length in settings["lengths"]:
        rng = np.random.default_rng(10_001)
        x, y = first_symbol_recall(length, settings["gradient_sequences"], rng)
        norms = input_gradient_norms(model, x, y)
        first.append(float(norms[0]))
        last.append(float(norms[-1]))
    return first, last
