"""Who recalls the first symbol when the lag is drawn anew for each batch, and holds it for longer ones?

Training lengths are uniform from T // 2 to T. Found are the loss (chance: ln 4 = 1.386) and the accuracy
(chance: 0.25) on sequences apart, of T // 2, T and 4 T steps, and after how many updates the last ten
batches had a mean accuracy of 0.99 (null: not within the budget).
"""

import numpy as np
import torch
from lab.comparison import contenders, count, hidden_for, measure, start
from lab.tasks import first_symbol_recall, recall_at_random_lag
from lab.training import LastStateClassifier, accuracy, train

SETTINGS = {
    "seeds": [0, 1, 2, 3],
    "choosing": [100, 101, 102, 103, 104],
    "rates": [0.001, 0.003, 0.01, 0.03, 0.1],
    "T": [10, 20, 40, 80],
    "steps": 300,
    "batch": 32,
    "width": 32,
    "max_norm": 1.0,
    "sequences": 400,
}
REDUCED = {
    "seeds": [0],
    "rates": [0.003, 0.01],
    "T": [10],
    "steps": 4,
    "width": 8,
    "sequences": 20,
}
INPUTS, SYMBOLS = 8, 4


def runs(settings: dict) -> list[dict]:
    return [{"T": T, **one} for T in settings["T"] for one in contenders()]


def run(settings: dict, T: int, equal: str, cell: str, init: str) -> dict:
    hidden = hidden_for(cell, equal, INPUTS, settings["width"], SYMBOLS)

    def once(rate: float, seed: int) -> dict:
        torch.manual_seed(seed)
        model = LastStateClassifier(start(cell, init, INPUTS, hidden, T), SYMBOLS)
        log = train(
            model,
            lambda rng: recall_at_random_lag(T, settings["batch"], rng),
            torch.optim.Adam(model.parameters(), lr=rate),
            settings["steps"],
            settings["max_norm"],
            seed,
        )
        validation = [_loss(model, *_test(n, 10_000)) for n in (T // 2, T)]
        tests = [_test(n, 10_001) for n in (T // 2, T, 4 * T)]
        return {
            "validation": sum(validation) / 2,
            "test": [_loss(model, *test) for test in tests],
            "accuracy": [accuracy(model, *test) for test in tests],
            "solved": log.first_solved(),
            "curve": [float(np.mean(log.loss[k : k + 20])) for k in range(0, len(log.loss), 20)],
        }

    def _test(n: int, seed: int):
        return first_symbol_recall(n, settings["sequences"], np.random.default_rng(seed))

    parameters = count(LastStateClassifier(start(cell, init, INPUTS, hidden, T), SYMBOLS))
    found = measure(once, settings["rates"], settings["choosing"], settings["seeds"])
    return {"hidden": hidden, "parameters": parameters, **found}


@torch.no_grad()
def _loss(model, x, y):
    return torch.nn.functional.cross_entropy(model(x), y).item()
