"""How well does a network say words that it has not seen, if it may look back at their letters?

`seq_phonemes` with another decoder, and nothing else changed: the same words, sizes, seeds and
updates. The fixed context's short training is repeated, to look into both. Found are, under teacher
forcing and for a few words: the weights over the encoder's states; how strongly each letter moves
each phone (`lab.seq2seq.influence`), as shares; and, for a fixed context, with which weight its GRU
holds each letter's candidate in the last state, the mean over units.

And, over `tried` words, whether weights and influence tell what happens if a letter is replaced by
another: the change at a step is the total variation between the distributions over phones before
and after, a mean of `swaps` replacements.
"""

import numpy as np
import torch
from lab import cells
from lab.datasets import LETTERS
from lab.seq2seq import FIRST, PAD, AttentionDecoder, FixedContextDecoder, collate, influence

from experiments import seq_phonemes

DECODERS = {"attention": AttentionDecoder, "fixed": FixedContextDecoder}

SETTINGS = {
    **seq_phonemes.SETTINGS,
    "updates": {"attention": [1000], "fixed": [1000]},
    "beams": {},
    "mapped": [1, 11, 18, 26, 36, 42, 49, 50],  # words of the test part
    "tried": 300,
    "swaps": 5,
    "gates": 2000,  # words over which the weights of a GRU are averaged
}
REDUCED = {
    **seq_phonemes.REDUCED,
    "beams": {},
    "updates": {"attention": [12], "fixed": [12]},
    "mapped": [1],
    "tried": 20,
    "swaps": 2,
    "gates": 30,
}


def runs(settings):
    return [
        {"decoder": decoder, "updates": updates, "seed": seed}
        for decoder, counts in settings["updates"].items()
        for updates in counts
        for seed in settings["seeds"]
    ]


def run(settings, decoder, updates, seed):
    def look(model, pairs):
        return _look(model, pairs, settings)

    return seq_phonemes.study(settings, DECODERS[decoder], updates, seed, look)


def _look(model, pairs, settings):
    chosen = [pairs[at] for at in settings["mapped"]]
    tried = pairs[: settings["tried"]]
    gates = _gate_weights(model, pairs[: settings["gates"]])
    return {
        "maps": [_maps(model, pair) for pair in chosen],
        "gates_by_lag": _by_lag(gates, pairs[: settings["gates"]]),
        **_agreement(model, tried, settings["swaps"]),
    }


def _maps(model, pair):
    """Of one word, a row for each phone: what it looks at, and what moves it."""
    batch = collate([pair])
    found = {"influence": _rows(_shares(influence(model, batch)[:, :, 0]))}
    found["gates"] = _rows(_gate_weights(model, [pair])[:, :, 0])[0]
    if isinstance(model.decoder, AttentionDecoder):
        found["weights"] = _rows(_weights(model, batch)[:, :, 0])
    return found


@torch.no_grad()
def _weights(model, batch):
    return model.decoder.align(batch.read, *model.begin(batch.source, batch.lengths))[2]


@torch.no_grad()
def _gate_weights(model, pairs):
    """With which weight the last state holds each letter's candidate: (1, S, B), mean over units."""
    batch = collate(pairs)
    encoder = model.encoder
    keep = torch.stack(cells.unroll(encoder.rnn, encoder.embedding(batch.source))["z"])
    real = (batch.source != PAD)[..., None]
    keep = keep.where(real, 1.0)  # the state of a sequence that has ended stays
    later = keep.flip(0).cumprod(dim=0).flip(0)  # of this step and all after it
    later = torch.cat([later[1:], torch.ones_like(later[:1])])
    return ((1 - keep) * later).mean(dim=-1)[None]


def _by_lag(gates, pairs):
    """The mean weight at each distance from the last letter: of words that have so many."""
    lags = [[] for _ in range(gates.shape[1])]
    for n, (word, _) in enumerate(pairs):
        for lag in range(len(word)):
            lags[lag].append(gates[0, len(word) - 1 - lag, n].item())
    return [float(np.mean(lag)) for lag in lags]


def _agreement(model, pairs, swaps):
    """Means over all phones of these words; EOS does not count."""
    batch = collate(pairs)
    said = (batch.targets >= FIRST)[:, None]
    real = (batch.source != PAD)[None]
    changed = _changes(model, pairs, swaps)
    moved = _shares(influence(model, batch))
    maps = {"influence": moved}
    if isinstance(model.decoder, AttentionDecoder):
        maps["weights"] = _weights(model, batch)
    place = torch.arange(len(batch.source))[None, :, None]
    top = _top(changed, real)
    found = {"changed": {"largest": _mean(changed.amax(dim=1, keepdim=True), said)}}
    for name, values in maps.items():
        best = _top(values, real)
        entropy = -torch.xlogy(values, values).sum(dim=1, keepdim=True)
        forward = best[1:] >= best[:-1]
        found[name] = {
            "largest": _mean(values.amax(dim=1, keepdim=True), said),
            "entropy": _mean(entropy, said),
            "at_change": _mean(best == top, said),
            "one_after_change": _mean(best == top + 1, said),
            "forward": _mean(forward, said[1:]),
            "later_than_change": _mean(((values - _shares(changed)) * place).sum(1, True), said),
        }
    return found


@torch.no_grad()
def _changes(model, pairs, swaps):
    """How much replacing letter j changes the distribution at step t: (T, S, B)."""
    rng = np.random.default_rng(0)
    batch = collate(pairs)
    before = model(batch).softmax(dim=-1)
    changed = torch.zeros(len(batch.targets), *batch.source.shape)
    for j in range(len(batch.source)):
        has = batch.source[j] != PAD
        for _ in range(swaps):
            other = torch.from_numpy(rng.integers(1, len(LETTERS), size=len(pairs)))
            source = batch.source.clone()
            source[j] = (source[j] - FIRST + other) % len(LETTERS) + FIRST
            source[j] = source[j].where(has, PAD)
            after = model(batch._replace(source=source)).softmax(dim=-1)
            changed[:, j] += (after - before).abs().sum(dim=-1) / 2 / swaps * has
    return changed


def _shares(values):
    """Shares of the sum over the letters."""
    return values / values.sum(dim=1, keepdim=True).clamp_min(1e-30)


def _top(values, real):
    return values.masked_fill(~real, -1.0).argmax(dim=1, keepdim=True)


def _mean(values, where):
    return values.double()[where].mean().item()


def _rows(values):
    return [[round(x, 4) for x in row] for row in values.tolist()]
