"""Who learns to add two marked numbers that stand far apart, at equal width and at equal size?

The adding problem: T pairs of a number, uniform in [0, 1), and a marker, which is 1 at one step of the
first half and at one of the second; the answer is the sum of the two marked numbers. To answer 1 always
costs 1/6, the variance of the sum. Found are mean squared errors, in training and on sequences apart.
"""

import numpy as np
import torch
from lab.comparison import contenders, count, hidden_for, measure, start
from lab.training import LastStateClassifier, train

SETTINGS = {
    "seeds": [0, 1, 2],
    "choosing": [100, 101],
    "rates": [0.001, 0.005, 0.02, 0.05, 0.1],
    "T": [10, 20, 80],
    "steps": 600,
    "batch": 32,
    "width": 32,
    "max_norm": 1.0,
    "sequences": 1000,
}
REDUCED = {"seeds": [0], "rates": [0.001, 0.02], "T": [10], "steps": 4, "width": 8}


def runs(settings: dict) -> list[dict]:
    return [{"T": T, **one} for T in settings["T"] for one in contenders()]


def run(settings: dict, T: int, equal: str, cell: str, init: str) -> dict:
    hidden = hidden_for(cell, equal, 2, settings["width"], 1)
    validation, test = (
        _draw(T, settings["sequences"], np.random.default_rng(10_000 + k)) for k in (0, 1)
    )

    def once(rate: float, seed: int) -> dict:
        torch.manual_seed(seed)
        model = LastStateClassifier(start(cell, init, 2, hidden, T), classes=1)
        log = train(
            model,
            lambda rng: _draw(T, settings["batch"], rng),
            torch.optim.Adam(model.parameters(), lr=rate),
            settings["steps"],
            settings["max_norm"],
            seed,
            _squared_error,
        )
        curve = [float(np.mean(log.loss[k : k + 20])) for k in range(0, len(log.loss), 20)]
        return {
            "validation": _error(model, *validation),
            "test": _error(model, *test),
            "curve": curve,
        }

    parameters = count(LastStateClassifier(start(cell, init, 2, hidden, T), classes=1))
    found = measure(once, settings["rates"], settings["choosing"], settings["seeds"])
    return {"hidden": hidden, "parameters": parameters, **found}


def _draw(T, B, rng):
    """x (T, B, 2) and y (B, 1)."""
    x = np.zeros((T, B, 2))
    x[..., 0] = rng.random((T, B))
    for low, high in ((0, T // 2), (T // 2, T)):
        x[rng.integers(low, high, B), np.arange(B), 1] = 1
    y = (x[..., 0] * x[..., 1]).sum(0)[:, None]
    return torch.from_numpy(x).float(), torch.from_numpy(y).float()


def _squared_error(answers, y):
    return (answers - y).square().mean()


@torch.no_grad()
def _error(model, x, y):
    return _squared_error(model(x), y).item()
