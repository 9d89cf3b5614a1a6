"""How well do RNN, GRU and LSTM predict the next character of a novel, at equal width and at equal size?

All make the same updates on the same windows, with the state carried from window to window and the
gradient cut there. Bits are binary logarithms, a character; validation and test run in parallel
streams, each from a zero state. "counts" is no network: it predicts from the frequencies of what
followed the last characters, and where there are few of these, from those after one character less.
"""

from collections import Counter

import numpy as np
import torch
from lab.comparison import contenders, count, hidden_for, measure, start
from lab.datasets import CHARACTERS, encode, novel
from lab.tasks import one_hot
from torch import nn

SETTINGS = {
    "seeds": [0, 1, 2],
    "choosing": [100],
    "rates": [0.003, 0.01, 0.03, 0.1],
    "steps": 400,
    "streams": 32,
    "window": 64,
    "width": 128,
    "horizon": 64,
    "max_norm": 1.0,
    "test_streams": 16,
    "test_characters": 50_000,  # at most: all of both parts
    "orders": [0, 1, 2, 3, 4, 5],
    "strength": 4.0,
}
REDUCED = {
    "seeds": [0],
    "rates": [0.003, 0.01],
    "steps": 3,
    "width": 16,
    "test_characters": 800,
    "orders": [1],
}
SYMBOLS = len(CHARACTERS)


def runs(settings: dict) -> list[dict]:
    return contenders() + [{"cell": "counts", "order": order} for order in settings["orders"]]


def run(settings: dict, cell: str, equal: str = "", init: str = "", order: int = 0) -> dict:
    train, validation, test = (
        encode(novel(part), CHARACTERS) for part in ("train", "validation", "test")
    )
    validation, test = (part[: settings["test_characters"]] for part in (validation, test))
    if cell == "counts":
        bits = _count_bits(train, [validation, test], order, settings["strength"])
        return dict(zip(("validation", "test"), bits, strict=True))
    hidden = hidden_for(cell, equal, SYMBOLS, settings["width"], SYMBOLS)

    def once(rate: float, seed: int) -> dict:
        torch.manual_seed(seed)
        model = _Characters(start(cell, init, SYMBOLS, hidden, settings["horizon"]))
        curve = _train(model, _streams(train, settings["streams"]), rate, settings)
        streams = settings["test_streams"]
        return {
            "validation": _bits(model, _streams(validation, streams)),
            "test": _bits(model, _streams(test, streams)),
            "curve": curve,
        }

    parameters = count(start(cell, init, SYMBOLS, hidden, 2)) + SYMBOLS * (hidden + 1)
    found = measure(once, settings["rates"], settings["choosing"], settings["seeds"])
    return {"hidden": hidden, "parameters": parameters, **found}


class _Characters(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.readout = nn.Linear(rnn.hidden_size, SYMBOLS)

    def forward(self, tokens, state=None):
        outputs, state = self.rnn(one_hot(tokens, SYMBOLS), state)
        return self.readout(outputs), state

    def bits(self, tokens, state=None):
        """Of each character but the first, from those before it, (T, B); and the state."""
        logits, state = self(tokens[:-1], state)
        nats = nn.functional.cross_entropy(logits.transpose(1, 2), tokens[1:], reduction="none")
        return nats / np.log(2), state


def _streams(text, streams):
    """The text as (T, streams): contiguous pieces, one beside the other."""
    length = len(text) // streams
    return torch.from_numpy(text[: length * streams].reshape(streams, length).T.copy())


def _train(model, tokens, rate, settings):
    """Train, and return the mean bits of every 20 updates (of the last ones too, if fewer)."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    state, at, losses = None, 0, []
    for _ in range(settings["steps"]):
        if at + settings["window"] >= len(tokens):
            state, at = None, 0
        bits, state = model.bits(tokens[at : at + settings["window"] + 1], state)
        at += settings["window"]
        state = (
            tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        )
        loss = bits.mean()
        optimizer.zero_grad()
        (loss * np.log(2)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
        optimizer.step()
        losses.append(loss.item())
    return [float(np.mean(losses[k : k + 20])) for k in range(0, len(losses), 20)]


@torch.no_grad()
def _bits(model, tokens):
    return model.bits(tokens)[0].mean().item()


def _count_bits(train, parts, order, strength):
    """Bits a character of each part: p(x | last n) = (count + strength p(x | last n-1)) / (n's + strength)."""
    text = train.tolist()
    p = [np.full(len(part), 1 / SYMBOLS) for part in parts]
    for n in range(order + 1):
        whole = Counter(tuple(text[i - n : i + 1]) for i in range(n, len(text)))
        context = Counter(tuple(text[i - n : i]) for i in range(n, len(text)))
        for part, probability in zip([part.tolist() for part in parts], p, strict=True):
            for i in range(n, len(part)):
                seen, followed = context[tuple(part[i - n : i])], whole[tuple(part[i - n : i + 1])]
                probability[i] = (followed + strength * probability[i]) / (seen + strength)
    return [float(-np.log2(probability).mean()) for probability in p]


__all__ = ["REDUCED", "SETTINGS", "run", "runs"]
