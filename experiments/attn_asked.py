"""Whose number was it: does it help a network to know the question before it reads, or to look back?

A list gives each of `pairs` names a number from 0 to 9, a name and its number a step, in any order;
then the number of one name is wanted. Three networks, all with one GRU: one is told the name before
the list, one after it, and both answer from the last state; the third is told after it, too, and
answers from an average of the states of the list, with additive attention and the last state as the
query. Found are the share of right answers in each stretch of training (every list is a new one) and
at the end, and the weights at the end: a row for each place of the pair that is wanted, a column for
each place of the list. Those of a GRU are the weights of the candidates in its last state, a mean
over units.
"""

import numpy as np
import torch
from lab import cells
from torch import nn

SETTINGS = {
    "networks": [["before", 32], ["after", 32], ["looks back", 32], ["after", 128]],
    "seeds": [0, 1, 2],
    "pairs": 8,
    "updates": 6000,
    "batch": 64,
    "lr": 1e-2,
    "every": 100,
    "lists": 4000,
    "dtype": "float32",
}
REDUCED = {
    "networks": [["before", 6], ["after", 6], ["looks back", 6]],
    "seeds": [0],
    "pairs": 3,
    "updates": 40,
    "every": 10,
    "lists": 200,
    "dtype": "float64",  # so that no likeliest number hangs on the last digit of a sum
}

NUMBERS = 10


def runs(settings):
    return [
        {"told": told, "hidden": hidden, "seed": seed}
        for told, hidden in settings["networks"]
        for seed in settings["seeds"]
    ]


def run(settings, told, hidden, seed):
    torch.set_default_dtype(getattr(torch, settings["dtype"]))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    names, count = settings["pairs"], settings["updates"]
    model = Network(told, names, hidden)
    optimizer = torch.optim.Adam(model.parameters(), settings["lr"])
    fall = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 1 - done / count)
    right = []
    for _ in range(count):
        pairs, question, answer, _ = lists(names, settings["batch"], rng)
        logits = model(pairs, question)
        loss = nn.functional.cross_entropy(logits, answer)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        fall.step()
        right.append((logits.argmax(dim=-1) == answer).double().mean().item())
    return {
        "right": np.reshape(right, (-1, settings["every"])).mean(axis=1).tolist(),
        **_test(model, *lists(names, settings["lists"], rng)),
    }


def lists(names, count, rng):
    """Pairs (names, B, D) and questions (1, B, D) in one-hot form, answers (B,), wanted places (B,)."""
    order = np.argsort(rng.random((names, count)), axis=0)
    numbers = rng.integers(0, NUMBERS, size=(names, count))
    place = rng.integers(0, names, size=count)
    wanted, answer = order[place, np.arange(count)], numbers[place, np.arange(count)]
    blank = np.zeros((names, count, names))
    pairs = np.concatenate([np.eye(names)[order], np.eye(NUMBERS)[numbers], blank], axis=-1)
    question = np.zeros((1, count, pairs.shape[-1]))
    question[..., -names:] = np.eye(names)[wanted]
    form = torch.get_default_dtype()
    return (
        torch.from_numpy(pairs).to(form),
        torch.from_numpy(question).to(form),
        torch.from_numpy(answer),
        torch.from_numpy(place),
    )


class Network(nn.Module):
    """told: "before", "after" or "looks back". `forward` returns logits (B, NUMBERS)."""

    def __init__(self, told, names, hidden):
        super().__init__()
        self.told = told
        self.rnn = nn.GRU(2 * names + NUMBERS, hidden)
        self.readout = nn.Linear(hidden, NUMBERS)
        if told == "looks back":
            self.query = nn.Linear(hidden, hidden, bias=False)
            self.key = nn.Linear(hidden, hidden, bias=False)
            self.score = nn.Linear(hidden, 1, bias=False)

    def read(self, pairs, question):
        """The inputs in the order in which they are read."""
        return torch.cat([question, pairs] if self.told == "before" else [pairs, question])

    def attend(self, states):
        """The weights of all states but the last, which asks: (names, B)."""
        mixed = torch.tanh(self.key(states[:-1]) + self.query(states[-1]))
        return self.score(mixed)[..., 0].softmax(dim=0)

    def forward(self, pairs, question):
        states, last = self.rnn(self.read(pairs, question))
        if self.told != "looks back":
            return self.readout(last[0])
        return self.readout((self.attend(states)[..., None] * states[:-1]).sum(dim=0))


@torch.no_grad()
def _test(model, pairs, question, answer, place):
    right = (model(pairs, question).argmax(dim=-1) == answer).double()
    x = model.read(pairs, question)
    if model.told == "looks back":
        weights = model.attend(model.rnn(x)[0])
    else:
        keep = torch.stack(cells.unroll(model.rnn, x)["z"])
        later = torch.cat([keep[1:], torch.ones_like(keep[:1])]).flip(0).cumprod(dim=0).flip(0)
        weights = ((1 - keep) * later).mean(dim=-1)
        weights = weights[1:] if model.told == "before" else weights[:-1]
    places = range(len(pairs))
    return {
        "test": right.mean().item(),
        "test_places": [right[place == at].mean().item() for at in places],
        "weights": [
            [round(x, 4) for x in weights[:, place == at].mean(dim=1).tolist()] for at in places
        ],
    }
