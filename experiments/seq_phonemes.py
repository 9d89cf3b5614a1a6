"""How well does a network say words that it has not seen, if all it reads must fit into one vector?

Letters in, phones out: `lab.datasets.pronunciations`. Found are the errors of greedy decoding and of
beams, and where they come from: at each position those under teacher forcing and those of the free
run, on the same words; and how often the right answer is likelier than the wrong one that was given.
"""

import numpy as np
import torch
from lab import seq2seq
from lab.datasets import LETTERS, PHONES, encode, pronunciations
from lab.seq2seq import BOS, EOS, FIRST, PAD, collate

SETTINGS = {
    "seeds": [0, 1, 2],
    "hidden": 128,
    "embed": 64,
    "updates": [1000, 3000],
    "batch": 64,
    "lr": 3e-3,
    "every": 50,
    "words": 2000,  # of the validation part and of the test part
    "beams": {"beam 4": [4, 0.0], "beam 4, alpha 1": [4, 1.0], "beam 16": [16, 0.0]},
    "longest": 15,
    "shown": 40,
    "dtype": "float32",
}
REDUCED = {
    "seeds": [0],
    "hidden": 16,
    "embed": 8,
    "updates": [12],
    "every": 4,
    "words": 30,
    "beams": {"beam 3": [3, 1.0]},
    "shown": 2,
    "dtype": "float64",  # so that no likeliest phone hangs on the last digit of a sum
}


def runs(settings):
    return [
        {"updates": updates, "seed": seed}
        for updates in settings["updates"]
        for seed in settings["seeds"]
    ]


def run(settings, updates, seed):
    return study(settings, seq2seq.FixedContextDecoder, updates, seed)


def study(settings, decoder, updates, seed, look=None):
    """Train an encoder with this kind of decoder, and see how it does on the test words.

    look: called as `look(model, pairs)` with these words when all else is done; returns a dict of
    what else was found.
    """
    torch.set_default_dtype(getattr(torch, settings["dtype"]))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    sizes = settings["embed"], settings["hidden"]
    encoder = seq2seq.Encoder(FIRST + len(LETTERS), *sizes)
    model = seq2seq.Seq2Seq(encoder, decoder(FIRST + len(PHONES), *sizes))
    train, validation, test = (_pairs(part) for part in ("train", "validation", "test"))
    validation = collate(validation[: settings["words"]])

    def draw():
        return collate([train[at] for at in rng.integers(0, len(train), settings["batch"])])

    losses, held_out = [], []
    for loss in seq2seq.updates(model, draw, updates, settings["lr"]):
        losses.append(loss)
        if len(losses) % settings["every"] == 0:
            with torch.no_grad():
                held_out.append(seq2seq.token_loss(model(validation), validation.targets).item())
    return {
        "loss": np.reshape(losses, (-1, settings["every"])).mean(axis=1).tolist(),
        "validation": held_out,
        **_judge(model, test[: settings["words"]], settings),
        **(look(model, test[: settings["words"]]) if look else {}),
    }


def _pairs(part):
    def tokens(symbols, alphabet):
        return (FIRST + encode(symbols, alphabet)).tolist()

    return [
        (tokens(word, LETTERS), tokens(phones, PHONES)) for word, phones in pronunciations(part)
    ]


@torch.no_grad()
def _judge(model, test, settings):
    """What the trained model makes of the test words, decoded in several ways."""
    batch, right = collate(test), [answer for _, answer in test]
    forced = model(batch).argmax(dim=-1).where(batch.targets != PAD, PAD)
    free = seq2seq.free_run(model, batch.source, batch.lengths, settings["longest"])
    said = {"greedy": _answers(free)}
    for name, (width, alpha) in settings["beams"].items():
        said[name] = [_beam(model, word, width, alpha, settings["longest"]) for word, _ in test]

    decoders = {name: _errors(answers, right) for name, answers in said.items()}
    likelihood = _log_likelihood(model, test, right)
    for name, answers in said.items():
        missed = _log_likelihood(model, test, answers) < likelihood - 1e-3
        decoders[name]["missed"] = missed.mean().item()
    letters = {}
    for n in sorted({len(word) for word, _ in test}):
        of_n = [at for at, (word, _) in enumerate(test) if len(word) == n]
        letters[n] = _errors([said["greedy"][at] for at in of_n], [right[at] for at in of_n])
    shown = [
        {name: [PHONES[phone - FIRST] for phone in answers[at]] for name, answers in said.items()}
        for at in range(settings["shown"])
    ]
    return {
        "decoders": decoders,
        "forced": _errors(_answers(forced), right),
        "letters": letters,
        "positions": _positions(batch.targets, forced, free),
        "shown": shown,
    }


def _answers(tokens):
    """The answers in tokens (T, B), as lists: what stands before EOS and is not padding."""
    return [[token for token in answer if token >= FIRST] for answer in tokens.T.tolist()]


def _beam(model, word, width, alpha, longest):
    """The answer that a beam of this width finds, by its log probability / tokens**alpha."""
    h, context = model.begin(torch.tensor(word)[:, None], torch.tensor([len(word)]))
    live, score, found = [[BOS]], torch.zeros(1), []
    for n in range(1, longest + 1):
        last = torch.tensor([[answer[-1] for answer in live]])
        logits, h = model.decoder(last, h, context)
        logits[..., [PAD, BOS]] = -torch.inf  # never to be said
        score = (score[:, None] + logits[0].log_softmax(dim=-1)).flatten()
        score, best = score.topk(min(width, len(score)))
        parent, token = best // logits.shape[-1], best % logits.shape[-1]
        live = [[*live[p], t] for p, t in zip(parent.tolist(), token.tolist(), strict=True)]
        ranked = list(zip((score / n**alpha).tolist(), live, strict=True))
        found += [pair for pair in ranked if pair[1][-1] == EOS]
        on = token != EOS
        live, score, h = [a for a in live if a[-1] != EOS], score[on], h[parent[on]]
        if not live:
            break
    else:
        found += [pair for pair in ranked if pair[1][-1] != EOS]
    _, answer = max(found, key=lambda pair: pair[0])
    return [token for token in answer if token >= FIRST]


def _log_likelihood(model, test, answers):
    """The log probability of each of these answers, EOS with it: (words,)."""
    batch = collate([(word, answer) for (word, _), answer in zip(test, answers, strict=True)])
    logits = model(batch).log_softmax(dim=-1)
    each = logits.gather(-1, batch.targets[..., None])[..., 0]
    return each.where(batch.targets != PAD, 0).sum(dim=0).numpy()


def _errors(answers, right):
    """The phone error rate, edits over right phones, and the share of words without any."""
    edits = [_edits(a, b) for a, b in zip(answers, right, strict=True)]
    return {
        "words": len(edits),
        "phones": sum(map(len, answers)) / sum(map(len, right)),
        "error_rate": sum(edits) / sum(map(len, right)),
        "words_right": edits.count(0) / len(edits),
    }


def _edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def _positions(targets, forced, free):
    """Errors at each position of the answers; those of words that went wrong before, apart."""
    free = torch.nn.functional.pad(free, (0, 0, 0, max(0, len(targets) - len(free))))
    real = targets != PAD
    forced, free = (forced != targets) & real, (free[: len(targets)] != targets) & real
    fell = (free.cumsum(dim=0) - free.int()) > 0
    after = real & fell
    return {
        "words": real.sum(dim=1).tolist(),
        "forced": forced.sum(dim=1).tolist(),
        "free": free.sum(dim=1).tolist(),
        "words_after_error": after.sum(dim=1).tolist(),
        "forced_after_error": (forced & after).sum(dim=1).tolist(),
        "free_after_error": (free & after).sum(dim=1).tolist(),
    }
