"""How long a string of digits can a network say backwards, if all of it must fit into one vector?

A fixed context of `hidden` numbers, strings of 1 to `longest` digits. Besides the share of digits
and of whole strings that the free run gets right, it is found how much of the string came through,
in bits: a string of L digits has L log2(10), and what it still costs the decoder to say it (its
cross-entropy under teacher forcing) did not come through. This is a lower bound of the information
that the context has about the string; under zero, the decoder is sure of what is wrong. And the
share of right digits at each place, also under teacher forcing, so that no place suffers from an
error before it.
"""

import math

import numpy as np
import torch
from lab import seq2seq
from lab.seq2seq import FIRST, Encoder, FixedContextDecoder, Seq2Seq, collate, free_run

SETTINGS = {
    "hidden": [16, 32, 64, 128],
    "updates": [1000, 4000],
    "seeds": [0, 1, 2],
    "embed": 32,
    "batch": 64,
    "longest": 20,
    "lr": 1e-2,
    "every": 100,
    "lengths": [*range(1, 21), 22, 25, 30],
    "strings": 500,  # of each length, to test
    "dtype": "float32",
}
REDUCED = {
    "hidden": [8, 12],
    "updates": [20, 30],
    "seeds": [0],
    "embed": 4,
    "longest": 5,
    "every": 10,
    "lengths": [1, 2, 4, 8],
    "strings": 50,
    "dtype": "float64",  # so that no likeliest digit hangs on the last digit of a sum
}


def runs(settings):
    return [
        {"hidden": hidden, "updates": updates, "seed": seed}
        for updates in settings["updates"]
        for hidden in settings["hidden"]
        for seed in settings["seeds"]
    ]


def run(settings, hidden, updates, seed):
    return study(settings, FixedContextDecoder, hidden, updates, seed)


def study(settings, decoder, hidden, updates, seed, look=None):
    """Train an encoder with this kind of decoder, and see how it does at each length.

    look: called as `look(model, strings)` when all else is done, `strings(length)` being a fresh
    batch; returns a dict of what else was found.
    """
    torch.set_default_dtype(getattr(torch, settings["dtype"]))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    symbols, embed = FIRST + 10, settings["embed"]
    model = Seq2Seq(Encoder(symbols, embed, hidden), decoder(symbols, embed, hidden))

    def draw():
        return _strings(int(rng.integers(1, settings["longest"] + 1)), settings["batch"], rng)

    losses = list(seq2seq.updates(model, draw, updates, settings["lr"]))
    tests = [
        _test(model, _strings(length, settings["strings"], rng)) for length in settings["lengths"]
    ]
    return {
        "loss": np.reshape(losses, (-1, settings["every"])).mean(axis=1).tolist(),
        **{key: [test[key] for test in tests] for key in tests[0]},
        **(look(model, lambda length: _strings(length, settings["strings"], rng)) if look else {}),
    }


def _strings(length, count, rng):
    """Strings of digits and their reversals: a batch of one length needs no padding."""
    digits = rng.integers(FIRST, FIRST + 10, size=(count, length)).tolist()
    return collate([(string, string[::-1]) for string in digits])


@torch.no_grad()
def _test(model, batch):
    """What comes out of strings of one length."""
    length = len(batch.source)
    said = free_run(model, batch.source, batch.lengths, length + 1)
    said = torch.nn.functional.pad(said, (0, 0, 0, length + 1 - len(said)))
    right = said == batch.targets
    logits, targets = model(batch)[:-1], batch.targets[:-1]
    cost = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    taught = logits.argmax(dim=-1) == targets
    return {
        "digits": right[:-1].double().mean().item(),
        "exact": right.all(dim=0).double().mean().item(),
        "bits": length * (math.log2(10) - cost.item() / math.log(2)),
        "places": taught.double().mean(dim=1).tolist(),
    }
