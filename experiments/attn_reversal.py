"""How long a string of digits can a network say backwards, if it may look back at what it has read?

`seq_reversal` with another decoder, and nothing else changed: the same strings, sizes, seeds and
updates (the longer training for two of the sizes), tested on strings of up to twice the trained
length. Besides, for each length, on which state the weights lie while a digit is said, counted from
the place where that digit was read: on the state there (offset 0), on the one after it (1), ...; for
strings of `mapped` digits the mean weight and the mean share of the influence
(`lab.seq2seq.influence`) of each place at each step; and at lengths `doubled` the errors after a digit
that the string has once, and after one that it has several times. All of that under teacher forcing.
"""

import torch
from lab.seq2seq import AttentionDecoder, influence

from experiments import seq_reversal

SETTINGS = {
    **seq_reversal.SETTINGS,
    "hidden": {"1000": [16, 32, 64, 128], "4000": [16, 64]},  # by the number of updates
    "lengths": [*seq_reversal.SETTINGS["lengths"], 40],
    "offsets": [-2, -1, 0, 1, 2],
    "mapped": 12,
    "doubled": [15, 20, 30],
}
REDUCED = {
    **seq_reversal.REDUCED,
    "hidden": {"20": [8], "30": [12]},
    "mapped": 3,
    "doubled": [4],
}


def runs(settings):
    return [
        {"hidden": hidden, "updates": updates, "seed": seed}
        for updates in settings["updates"]
        for hidden in settings["hidden"][str(updates)]
        for seed in settings["seeds"]
    ]


def run(settings, hidden, updates, seed):
    def look(model, strings):
        return _look(model, strings, settings)

    return seq_reversal.study(settings, AttentionDecoder, hidden, updates, seed, look)


def _look(model, strings, settings):
    """Where the weights lie, where the influence comes from, and after what it goes wrong."""
    batch = strings(settings["mapped"])
    weights, _ = _weights(model, batch)
    moved = influence(model, batch)[:-1]
    moved = moved / moved.sum(dim=1, keepdim=True)
    return {
        "weights": _rounded(weights.mean(dim=-1)),
        "influence": _rounded(moved.mean(dim=-1)),
        "at_offsets": [_at_offsets(model, strings(n), settings) for n in settings["lengths"]],
        "after": [_after(model, strings(n)) for n in settings["doubled"]],
    }


@torch.no_grad()
def _weights(model, batch):
    """Of all steps at which a digit is said, (T, S, B), and where a wrong one is likeliest, (T, B)."""
    logits, _, weights = model.decoder.align(batch.read, *model.begin(batch.source, batch.lengths))
    return weights[:-1], (logits.argmax(dim=-1) != batch.targets)[:-1]


def _at_offsets(model, batch, settings):
    """The mean weight at each offset, over the steps at which there is such a place; else None."""
    weights, _ = _weights(model, batch)
    length = len(weights)
    means = []
    for offset in settings["offsets"]:
        places = [(t, length - 1 - t + offset) for t in range(length)]
        here = [weights[t, j].mean().item() for t, j in places if 0 <= j < length]
        means.append(sum(here) / len(here) if here else None)
    return means


def _after(model, batch):
    """Steps and errors, by whether the string has the digit said before (right) at one place."""
    _, wrong = _weights(model, batch)
    often = (batch.read[1:, None] == batch.source).sum(dim=1)[:-1] > 1  # of the digits read
    wrong = wrong[1:]
    return {
        "once": [(~often).sum().item(), (wrong & ~often).sum().item()],
        "several": [often.sum().item(), (wrong & often).sum().item()],
    }


def _rounded(values):
    return [[round(x, 4) for x in row] for row in values.tolist()]
