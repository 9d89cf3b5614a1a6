"""Who can follow a state: parity of a stream of bits, and a ball under one of three cups?

"parity": is the number of ones so far odd? "cups": a ball lies under the left of three cups; a token
exchanges the left two, or the right two; where is the ball? The answer is asked for at every step. One
layer each ("two layers": two, with a nonlinear layer between), `width` units, and a head with a hidden
layer, trained on lengths of 1 to `longest`, with the best of some rates; tested on longer ones.
Found are "validation", the loss on sequences apart of the longest length trained on, and "accuracy", the
share of right answers at the last step of random sequences of each tested length. Of parity also "ones":
the share of right answers in the stream of ones, up to each tested length.
"""

import numpy as np
import torch
from lab import scan
from lab.comparison import measure
from lab.tasks import one_hot
from lab.training import every_step_loss, init_orthogonal
from torch import nn

from experiments.beyond_clock import CausalAttention

SETTINGS = {
    "tasks": ["parity", "cups"],
    "layers": [
        "RNN",
        "GRU",
        "LSTM",
        "attention",
        "minGRU",
        "minGRU, two layers",
        "minGRU, signed",
    ],
    "seeds": [0, 1, 2, 3, 4],
    "choosing": [100, 101],
    "rates": [0.003, 0.01, 0.03],
    "width": 32,
    "longest": 20,
    "steps": 1000,
    "batch": 32,
    "max_norm": 1.0,
    "tested": [5, 10, 20, 40, 80, 160, 320],
    "sequences": 500,
}
REDUCED = {
    "seeds": [0],
    "choosing": [100],
    "rates": [0.01],
    "width": 4,
    "longest": 5,
    "steps": 4,
    "tested": [2, 10],
    "sequences": 20,
}
CLASSES = {"parity": 2, "cups": 3}
TOKENS = 2


def runs(settings):
    return [{"task": t, "layer": layer} for t in settings["tasks"] for layer in settings["layers"]]


def run(settings, task, layer):
    def once(rate, seed):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        model = _Model(layer, settings["width"], CLASSES[task])
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for done in range(settings["steps"]):
            length = int(rng.integers(1, settings["longest"] + 1))
            x, y = draw(task, length, settings["batch"], rng)
            loss = every_step_loss(model(x), y)
            optimizer.param_groups[0]["lr"] = rate * (1 - done / settings["steps"])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
            optimizer.step()
        return _found(model, settings, task)

    return measure(once, settings["rates"], settings["choosing"], settings["seeds"])


@torch.no_grad()
def _found(model, settings, task):
    x, y = draw(task, settings["longest"], settings["sequences"], np.random.default_rng(10_000))
    found = {"validation": every_step_loss(model(x), y).item(), "accuracy": []}
    rng = np.random.default_rng(10_001)
    for length in settings["tested"]:
        x, y = draw(task, length, settings["sequences"], rng)
        found["accuracy"].append(_right(model, x, y)[-1].mean().item())
    if task == "parity":
        longest = max(settings["tested"])
        x, y = parity(torch.ones(longest, 1, dtype=torch.int64))
        right = _right(model, x, y)
        found["ones"] = [right[:length].mean().item() for length in settings["tested"]]
    return found


def _right(model, x, y):
    return (model(x).argmax(-1) == y).double()


def draw(task, T, B, rng):
    """(x (T, B, 2), y (T, B))."""
    return {"parity": parity, "cups": cups}[task](torch.from_numpy(rng.integers(2, size=(T, B))))


def parity(bits):
    return one_hot(bits, TOKENS), bits.cumsum(0) % 2


def cups(exchanges):
    """0 exchanges the left and the middle cup, 1 the middle and the right; the ball begins left."""
    place = torch.zeros_like(exchanges[0])
    y = []
    for k in exchanges:
        # Only a ball under one of the two cups, k or k + 1, moves to the other.
        place = torch.where(place == k, k + 1, torch.where(place == k + 1, k, place))
        y.append(place)
    return one_hot(exchanges, TOKENS), torch.stack(y)


class _Model(nn.Module):
    def __init__(self, layer, width, classes):
        super().__init__()
        self.embed = nn.Linear(TOKENS, width) if layer == "attention" else nn.Identity()
        self.layer = _layer(layer, width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, x):
        return self.head(self.layer(self.embed(x))[0])


def _layer(name, width):
    if name == "RNN":
        return init_orthogonal(nn.RNN(TOKENS, width))
    if name in ("GRU", "LSTM"):
        return getattr(nn, name)(TOKENS, width)
    if name == "attention":
        return CausalAttention(width)
    if name == "minGRU, two layers":
        return _Two(width)
    return scan.MinGRU(TOKENS, width, keeps="signed" if name == "minGRU, signed" else "share")


class _Two(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = scan.MinGRU(TOKENS, width), scan.MinGRU(width, width)
        self.between = nn.Sequential(nn.Linear(width, width), nn.ReLU())

    def forward(self, x):
        return self.second(self.between(self.first(x)[0]))
