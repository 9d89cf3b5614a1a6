"""How far do trained networks count: after n letters a, do they expect exactly n letters b?

A word is a start sign, n letters a, n letters b and an end sign; the network predicts the next sign at
every step. Trained on n from 1 to 20, tested on each n up to 200: right, if from the first b on every
prediction is. Found are the loss on words apart ("validation"; not zero, since n cannot be foreseen)
and "reach", the number of words from n = 1 on that are right without a gap.
"""

import numpy as np
import torch
from lab.comparison import count, measure, start
from lab.tasks import one_hot
from torch import nn

SETTINGS = {
    "cells": ["RNN", "GRU", "LSTM"],
    "inits": ["default", "horizon"],
    "seeds": [0, 1, 2, 3, 4],
    "choosing": [100],
    "rates": [0.003, 0.01, 0.03, 0.1],
    "longest": 20,
    "tested": 200,
    "steps": 1500,
    "batch": 16,
    "width": 10,
    "horizon": 40,
    "max_norm": 1.0,
}
REDUCED = {"seeds": [0], "rates": [0.003, 0.01], "longest": 4, "tested": 6, "steps": 4, "width": 4}
A, B, END = range(3)


def runs(settings: dict) -> list[dict]:
    return [
        {"cell": cell, "init": init} for cell in settings["cells"] for init in settings["inits"]
    ]


def run(settings: dict, cell: str, init: str) -> dict:
    def once(rate: float, seed: int) -> dict:
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        model = _Predictor(start(cell, init, 3, settings["width"], settings["horizon"]))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(settings["steps"]):
            lengths = rng.integers(1, settings["longest"] + 1, size=settings["batch"])
            loss = model.loss(*_words(lengths.tolist()))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
            optimizer.step()
        with torch.no_grad():
            validation = model.loss(*_words(list(range(1, settings["longest"] + 1)))).item()
        return {"validation": validation, "reach": _reach(model, settings["tested"])}

    parameters = count(_Predictor(start(cell, init, 3, settings["width"], 2)))
    found = measure(once, settings["rates"], settings["choosing"], settings["seeds"])
    return {"hidden": settings["width"], "parameters": parameters, **found}


class _Predictor(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.readout = nn.Linear(rnn.hidden_size, 3)

    def forward(self, x):
        return self.readout(self.rnn(x)[0])

    def loss(self, x, y):
        return nn.functional.cross_entropy(self(x).flatten(0, 1), y.flatten())


def _words(lengths):
    """Inputs (T, len(lengths), 3) and targets, -100 behind the end of a word."""
    words = [[END] + [A] * n + [B] * n + [END] for n in lengths]
    T = max(len(word) for word in words) - 1
    x = np.full((T, len(words)), END)
    y = np.full((T, len(words)), -100)
    for column, word in enumerate(words):
        x[: len(word) - 1, column], y[: len(word) - 1, column] = word[:-1], word[1:]
    return one_hot(x, 3), torch.from_numpy(y)


@torch.no_grad()
def _reach(model, tested):
    for n in range(1, tested + 1):
        x, y = _words([n])
        if not (model(x).argmax(-1) == y)[n + 1 :].all():
            return n - 1
    return tested
