"""Where does a word end, in English without spaces: how much must have been read of what follows?

Jane Austen's novel as one string of letters. Each letter gets a tag: a word ends here, or it does
not. Readers: an LSTM that answers `delay` letters later, a stack of two, and one in both directions
with half the units each way. All make the same number of updates on the same number of letters.
"""

import re
from functools import cache

import numpy as np
import torch
from lab import datasets
from torch import nn
from torch.nn import functional as F

SETTINGS = {
    "readers": [
        {"delay": 0, "layers": 1, "both": False},
        {"delay": 1, "layers": 1, "both": False},
        {"delay": 2, "layers": 1, "both": False},
        {"delay": 3, "layers": 1, "both": False},
        {"delay": 5, "layers": 1, "both": False},
        {"delay": 0, "layers": 2, "both": False},
        {"delay": 0, "layers": 1, "both": True},
    ],
    "seeds": [0, 1, 2],
    "embed": 16,
    "units": 64,
    "window": 80,
    "warm": 20,  # letters at the start of a window whose tags do not count
    "tail": 8,  # and at its end, so that every delay has its letters
    "batch": 32,
    "updates": 600,
    "rate": 5e-3,
    "max_norm": 1.0,
    "test_letters": 35000,
    "dtype": "float32",
}
REDUCED = {
    "readers": [{"delay": 1, "layers": 2, "both": False}, {"delay": 0, "layers": 1, "both": True}],
    "seeds": [0],
    "updates": 2,
    "test_letters": 1000,
    "dtype": "float64",
}


def runs(settings: dict) -> list[dict]:
    return [{**r, "seed": seed} for r in settings["readers"] for seed in settings["seeds"]]


@cache
def letters_and_ends(part: str) -> tuple[np.ndarray, np.ndarray]:
    """The letters of the novel without spaces, int64 (N,), and where a word ends, 0 or 1, (N,)."""
    words = re.findall("[a-z]+", datasets.novel(part))
    ends = np.zeros(sum(map(len, words)), dtype=np.int64)
    ends[np.cumsum([len(word) for word in words]) - 1] = 1
    return datasets.encode("".join(words), datasets.LETTERS), ends


class Reader(nn.Module):
    """Letters (T, B) -> logits (T, B, 2)."""

    def __init__(self, embed: int, units: int, layers: int, both: bool):
        super().__init__()
        self.embedding = nn.Embedding(len(datasets.LETTERS), embed)
        each = units // 2 if both else units
        self.rnn = nn.LSTM(embed, each, layers, bidirectional=both)
        self.read_out = nn.Linear(units, 2)

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        return self.read_out(self.rnn(self.embedding(letters))[0])


def windows(settings: dict, delay: int, letters, ends, starts) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of letters, and at place t + delay the tag of place t; -100 where none counts."""
    places = starts + np.arange(settings["window"])[:, None]
    asked = np.arange(settings["warm"], settings["window"] - settings["tail"])
    tags = np.full(places.shape, -100)
    tags[asked + delay] = ends[places[asked]]
    return torch.from_numpy(letters[places]), torch.from_numpy(tags)


def run(settings: dict, delay: int, layers: int, both: bool, seed: int) -> dict:
    torch.set_default_dtype(getattr(torch, settings["dtype"]))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Reader(settings["embed"], settings["units"], layers, both)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["rate"])
    letters, ends = letters_and_ends("train")
    last = len(letters) - settings["window"]
    for _ in range(settings["updates"]):
        starts = rng.integers(0, last, size=settings["batch"])
        x, tags = windows(settings, delay, letters, ends, starts)
        loss = F.cross_entropy(model(x).flatten(0, 1), tags.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
        optimizer.step()

    letters, ends = (a[: settings["test_letters"]] for a in letters_and_ends("test"))
    stride = settings["window"] - settings["warm"] - settings["tail"]  # every letter is asked once
    starts = np.arange(0, len(letters) - settings["window"] + 1, stride)
    x, tags = windows(settings, delay, letters, ends, starts)
    model.eval()
    with torch.no_grad():
        logits = model(x)
    asked = tags >= 0
    return {
        "loss": F.cross_entropy(logits.flatten(0, 1), tags.flatten()).item(),
        "wrong": (logits.argmax(-1) != tags)[asked].double().mean().item(),
        "ends": tags[asked].double().mean().item(),
        "asked": int(asked.sum()),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
