"""How well do networks say words that they have not seen, with one vector and with attention?

It is the capstone's own model that is trained: the cells of `solutions/12-capstone/exercises.ipynb`, with
the settings named here; and chapter 9's network, in the same way. Found are the phoneme error rates on
words out of those that grading draws from, decoded greedily and with a beam.

What the capstone's notebook shows of it is `autograder/lexicon/measured.json`, to be written after this:
`python -c "from experiments import capstone; capstone.write_summary()"`.
"""

import contextlib
import io
import json
import time
from pathlib import Path

import nbformat
import numpy as np
import torch
from lab import seq2seq

from autograder.grading.course import trained_less
from autograder.reference import held_out

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "solutions" / "12-capstone" / "exercises.ipynb"
SUMMARY = ROOT / "autograder" / "lexicon" / "measured.json"

CHAPTER_9 = "chapter 9's network"
SETTINGS = {
    "models": {
        CHAPTER_9: [{"embed": 64, "hidden": 128}, 3000],
        "one vector": [{"attention": False}, 1500],
        "one vector, larger and longer": [
            {"attention": False, "hidden": 256, "dropout": 0.3},
            4000,
        ],
        "attention, not so long": [{}, 1500],
        "attention": [{}, 2000],
    },
    "seeds": [0, 1, 2],
    "words": 2000,
    "width": 4,
    "longest": 20,
    "dtype": "float32",
}
REDUCED = {
    "models": {
        CHAPTER_9: [{"hidden": 8, "embed": 4}, 3],
        "one vector": [{"attention": False, "hidden": 8, "embed": 4}, 3],
        "attention": [{"hidden": 8, "embed": 4}, 3],
    },
    "seeds": [0],
    "words": 20,
    "dtype": "float64",  # so that no likeliest phoneme hangs on the last digit of a sum
}
MEASURED = ("seconds",)


def runs(settings):
    return [
        {"model": model, "seed": seed} for model in settings["models"] for seed in settings["seeds"]
    ]


def run(settings, model, seed):
    torch.set_default_dtype(getattr(torch, settings["dtype"]))
    names = _names()
    sizes, updates = settings["models"][model]
    torch.manual_seed(seed)
    network = (_of_chapter_9 if model == CHAPTER_9 else _own)(names, **sizes)
    began = time.process_time()
    curve = names["train"](network, updates, seed=seed)
    seconds = time.process_time() - began
    entries = list(held_out.entries().items())[: settings["words"]]
    asked = [word for word, _ in entries]
    said = {
        "greedy": network.answers(asked, settings["longest"]),
        "beam": _beam(names, network, asked, settings["width"], settings["longest"]),
    }
    rate = names["error_rate"]
    return {
        "error_rate": {
            how: rate(answers, [(w, [list(way) for way in ways]) for w, ways in entries])
            for how, answers in said.items()
        },
        "words_right": {
            how: float(np.mean([tuple(a) in w for a, (_, w) in zip(answers, entries, strict=True)]))
            for how, answers in said.items()
        },
        "curve": curve,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seconds": seconds,
    }


def _own(names, **sizes):
    return names["Speaker"](**sizes)


def _of_chapter_9(names, embed, hidden):
    """Chapter 9's encoder and decoder, which are asked as the capstone's own model is."""

    class Network(names["Speaker"]):
        def __init__(self):
            torch.nn.Module.__init__(self)
            first, lexicon = names["FIRST"], names["lexicon"]
            self.encoder = seq2seq.Encoder(first + len(lexicon.LETTERS), embed, hidden)
            symbols = first + len(lexicon.PHONEMES)
            self.decoder = seq2seq.FixedContextDecoder(symbols, embed, hidden)

        def read(self, source, lengths):
            states, last = self.encoder(source, lengths)
            mask = source != names["PAD"]
            h, context = self.decoder.begin(states, last, mask)
            return h, (states, context, mask)

        def say(self, read, h, memory):
            return self.decoder(read, h, memory[1])

    return Network()


def _names() -> dict:
    """What the cells of the model answer define; it is trained for one update only."""
    notebook = nbformat.read(SOURCE, as_version=4)
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in notebook.cells}
    names: dict = {}
    for name in ("imports", "data", "scaffold", "parts", "model", "training"):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(trained_less(cells[name].source, 1), names)
    return names


@torch.no_grad()
def _beam(names, network, asked, width, longest):
    """The likeliest answers that beams of this width find, all words at once."""
    PAD, BOS, EOS, FIRST = (names[name] for name in ("PAD", "BOS", "EOS", "FIRST"))
    network.eval()
    source = names["pad_sequence"]([names["letters"](word) for word in asked], padding_value=PAD)
    h, (states, last, mask) = network.read(source, torch.tensor([len(word) for word in asked]))
    h, last = (x.repeat_interleave(width, 0) for x in (h, last))
    states, mask = (x.repeat_interleave(width, 1) for x in (states, mask))
    count = len(asked)
    score = torch.full((count, width), -torch.inf)
    score[:, 0] = 0  # one hypothesis to begin with
    token = torch.full((count, width), BOS)
    ended = torch.zeros(count, width, dtype=torch.bool)
    said = torch.zeros(count, width, 0, dtype=torch.long)
    for _ in range(longest):
        logits, h = network.say(token.reshape(1, -1), h, (states, last, mask))
        logits[..., [PAD, BOS]] = -torch.inf
        log_p = logits[0].log_softmax(dim=-1).reshape(count, width, -1)
        waits = torch.full_like(log_p, -torch.inf)
        waits[..., PAD] = 0  # a finished one stays what it is
        log_p = torch.where(ended[..., None], waits, log_p)
        symbols = log_p.shape[-1]
        score, best = (score[..., None] + log_p).reshape(count, -1).topk(width)
        parent, token = best // symbols, best % symbols
        said = said.gather(1, parent[..., None].expand(-1, -1, said.shape[-1]))
        said = torch.cat([said, token[..., None]], dim=-1)
        ended = ended.gather(1, parent) | (token == EOS)
        rows = parent[..., None].expand(-1, -1, h.shape[-1])
        h = h.reshape(count, width, -1).gather(1, rows).reshape(count * width, -1)
        if ended.all():
            break
    phonemes = names["lexicon"].PHONEMES
    return [[phonemes[t - FIRST] for t in row if t >= FIRST] for row in said[:, 0].tolist()]


def summary(result: dict) -> list[dict]:
    """What the capstone's notebook shows: for each model and way of decoding, over all seeds."""
    rows = []
    for model in result["settings"]["models"]:
        found = [row["found"] for row in result["runs"] if row["run"]["model"] == model]
        for how in ("greedy", "beam"):
            rates = [one["error_rate"][how] for one in found]
            row = {"model": f"{model}, {'greedy' if how == 'greedy' else 'beam of 4'}"}
            row |= {"error rate": round(float(np.mean(rates)), 5)}
            row |= {
                "words right": round(float(np.mean([one["words_right"][how] for one in found])), 3)
            }
            row |= {"range": [round(min(rates), 5), round(max(rates), 5)], "seeds": len(rates)}
            row |= {"parameters": found[0]["parameters"]}
            row |= {"seconds": round(float(np.median([one["seconds"] for one in found])))}
            rows.append(row)
    return rows


def write_summary() -> None:
    from experiments.runner import RESULTS

    result = json.loads((RESULTS / "capstone.json").read_text(encoding="utf-8"))
    rows = ",\n".join(f"  {json.dumps(row)}" for row in summary(result))
    SUMMARY.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
