"""Which limit should gradients be clipped to, and what has it to do with the learning rate?

A vanilla network with an orthogonal matrix times 1.5 learns first-symbol recall by stochastic gradient
descent with momentum. "product" is learning rate times limit, the length of a step that is clipped
(null: no limit). Found are the mean loss of the last 20 updates (guessing: ln 4 = 1.386), the share of
updates that were clipped, and the largest norm of a gradient before clipping.
"""

import numpy as np
import torch
from lab.tasks import first_symbol_recall
from lab.training import LastStateClassifier, init_orthogonal, train
from torch import nn

SETTINGS = {
    "rates": [0.01, 0.1],
    "products": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, None],
    "seeds": [0, 1, 2, 3, 4],
    "momentum": 0.9,
    "T": 40,
    "gain": 1.5,
    "steps": 120,
    "batch": 16,
    "width": 32,
}
REDUCED = {"products": [0.001, None], "seeds": [0], "T": 10, "steps": 4, "width": 8}
INPUTS, SYMBOLS = 8, 4


def runs(settings: dict) -> list[dict]:
    return [
        {"rate": rate, "product": product, "seed": seed}
        for rate in settings["rates"]
        for product in settings["products"]
        for seed in settings["seeds"]
    ]


def run(settings: dict, rate: float, product: float | None, seed: int) -> dict:
    torch.manual_seed(seed)
    rnn = init_orthogonal(nn.RNN(INPUTS, settings["width"]), settings["gain"])
    model = LastStateClassifier(rnn, SYMBOLS)
    limit = None if product is None else product / rate
    log = train(
        model,
        lambda rng: first_symbol_recall(settings["T"], settings["batch"], rng),
        torch.optim.SGD(model.parameters(), lr=rate, momentum=settings["momentum"]),
        settings["steps"],
        limit,
        seed,
    )
    norms = np.array(log.grad_norm)
    return {
        "loss": float(np.mean(log.loss[-20:])),
        "clipped": 0.0 if limit is None else float(np.mean(norms > limit)),
        "largest": float(norms.max()),
    }
