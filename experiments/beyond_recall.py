"""Does a minGRU recall the first symbol at random lags, as chapter 8 asked of RNN, GRU and LSTM?

Task, budget, rates and seeds are those of train_recall; the minGRU is as wide as brings it nearest to the
LSTM's parameters there, and starts by PyTorch's "default", or for the "horizon", with biases that spread
its time scales over the lags. Found is what train_recall finds.
"""

import numpy as np
import torch
from lab.comparison import count, measure, start
from lab.scan import MinGRU
from lab.tasks import first_symbol_recall, recall_at_random_lag
from lab.training import LastStateClassifier, accuracy, train

from experiments import train_recall
from experiments.train_recall import INPUTS, SYMBOLS

SETTINGS = train_recall.SETTINGS
REDUCED = train_recall.REDUCED


def runs(settings):
    return [{"T": T, "init": init} for T in settings["T"] for init in ("default", "horizon")]


def run(settings, T, init):
    hidden = _hidden(settings["width"])

    def make():
        rnn = MinGRU(INPUTS, hidden)
        return LastStateClassifier(rnn if init == "default" else rnn.init_chrono(T), SYMBOLS)

    def test(length, seed):
        return first_symbol_recall(length, settings["sequences"], np.random.default_rng(seed))

    def once(rate, seed):
        torch.manual_seed(seed)
        model = make()
        log = train(
            model,
            lambda rng: recall_at_random_lag(T, settings["batch"], rng),
            torch.optim.Adam(model.parameters(), lr=rate),
            settings["steps"],
            settings["max_norm"],
            seed,
        )
        tests = [test(length, 10_001) for length in (T // 2, T, 4 * T)]
        return {
            "validation": sum(_loss(model, *test(length, 10_000)) for length in (T // 2, T)) / 2,
            "test": [_loss(model, *drawn) for drawn in tests],
            "accuracy": [accuracy(model, *drawn) for drawn in tests],
            "solved": log.first_solved(),
        }

    found = measure(once, settings["rates"], settings["choosing"], settings["seeds"])
    return {"hidden": hidden, "parameters": count(make()), **found}


def _hidden(width):
    """As many units as bring a minGRU nearest to the parameters of an LSTM `width` wide."""
    goal = count(LastStateClassifier(start("LSTM", "default", INPUTS, width, 2), SYMBOLS))

    def size(hidden):
        with torch.device("meta"):  # shapes without numbers
            return count(LastStateClassifier(MinGRU(INPUTS, hidden), SYMBOLS))

    return min(range(1, 16 * width), key=lambda hidden: abs(size(hidden) - goal))


@torch.no_grad()
def _loss(model, x, y):
    return torch.nn.functional.cross_entropy(model(x), y).item()
