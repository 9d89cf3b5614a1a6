"""What depth, dropout and layer normalisation do for an LSTM that reads small handwritten digits.

An image of 8 by 8 is read row by row, eight steps; the read-out is at the last. All networks make the
same number of updates. The kinds:

- "plain": LSTMs on top of each other, nothing between them;
- "residual": what a layer has read is added to what it hands up, from the second layer on;
- "dropout" between the layers, with a new mask at every step; "locked": with one mask for all steps;
- "norm": layer normalisation of what each layer hands up, the top one to the read-out;
- "inside": layer normalisation of the four pre-activations of each LSTM, and nothing between;
- "both": in both directions, half of the units each way.
"""

import numpy as np
import torch
from lab import datasets
from torch import nn
from torch.nn import functional as F

SETTINGS = {
    "networks": [
        {"layers": 1, "kind": "plain"},
        {"layers": 2, "kind": "plain"},
        {"layers": 4, "kind": "plain"},
        {"layers": 4, "kind": "residual"},
        {"layers": 2, "kind": "dropout"},
        {"layers": 2, "kind": "locked"},
        {"layers": 1, "kind": "norm"},
        {"layers": 2, "kind": "norm"},
        {"layers": 4, "kind": "norm"},
        {"layers": 1, "kind": "inside"},
        {"layers": 2, "kind": "inside"},
        {"layers": 1, "kind": "both"},
    ],
    "seeds": [0, 1, 2, 3, 4],
    "units": 48,
    "drop": 0.3,
    "batch": 32,
    "updates": 1500,
    "report": 250,
    "rate": 3e-3,
    "max_norm": 1.0,
    "dtype": "float32",
}
REDUCED = {"seeds": [0], "updates": 3, "report": 3, "dtype": "float64"}


def runs(settings: dict) -> list[dict]:
    return [{**n, "seed": seed} for n in settings["networks"] for seed in settings["seeds"]]


class NormLSTM(nn.Module):
    """An LSTM whose four pre-activations are normalised, each gate by itself: x (T, B, D) -> hs."""

    def __init__(self, D: int, H: int):
        super().__init__()
        start = nn.LSTM(D, H)
        self.W_x, self.W_h, self.b = start.weight_ih_l0, start.weight_hh_l0, start.bias_ih_l0
        self.gains, self.biases = nn.Parameter(torch.ones(4, H)), nn.Parameter(torch.zeros(4, H))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        H = self.gains.shape[1]
        h = c = x.new_zeros(x.shape[1], H)
        hs = []
        for from_x in x @ self.W_x.T + self.b:
            a = (from_x + h @ self.W_h.T).unflatten(1, (4, H))
            i, f, g, o = (self.gains * F.layer_norm(a, (H,)) + self.biases).unbind(1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
        return torch.stack(hs), None


class Stack(nn.Module):
    """x (T, B, D) -> logits (B, 10), read off the last step of the top layer.

    The backward half of "both" is read off where that direction ends, at the first step.
    """

    def __init__(self, D: int, H: int, layers: int, kind: str, drop: float):
        super().__init__()
        self.kind, self.drop = kind, drop
        sizes = [D] + [H] * (layers - 1)
        if kind == "both":
            self.layers = nn.ModuleList(nn.LSTM(R, H // 2, bidirectional=True) for R in sizes)
        else:
            cell = NormLSTM if kind == "inside" else nn.LSTM
            self.layers = nn.ModuleList(cell(R, H) for R in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(H) for _ in sizes) if kind == "norm" else None
        self.read_out = nn.Linear(H, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for k, layer in enumerate(self.layers):
            if k and self.kind == "dropout":
                x = F.dropout(x, self.drop, self.training)
            if k and self.kind == "locked" and self.training:
                x = x * (torch.rand(x.shape[1:]) >= self.drop) / (1 - self.drop)
            hs = layer(x)[0]
            if k and self.kind == "residual":
                hs = hs + x
            x = hs if self.norms is None else self.norms[k](hs)
        if self.kind == "both":
            H = x.shape[2] // 2
            return self.read_out(torch.cat([x[-1, :, :H], x[0, :, H:]], dim=1))
        return self.read_out(x[-1])


def rows(part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The images as sequences of rows, (8, N, 8), and their labels, (N,)."""
    images, labels = datasets.digits(part)
    x = torch.from_numpy(images).transpose(0, 1).contiguous()
    return x.to(torch.get_default_dtype()), torch.from_numpy(labels)


def run(settings: dict, layers: int, kind: str, seed: int) -> dict:
    torch.set_default_dtype(getattr(torch, settings["dtype"]))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Stack(8, settings["units"], layers, kind, settings["drop"])
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["rate"])
    (x, y), *others = (rows(part) for part in ("train", "validation", "test"))
    found: dict = {"loss": [], "validation": [], "test": []}
    order, losses = np.empty(0, dtype=int), []
    for update in range(1, settings["updates"] + 1):
        if len(order) < settings["batch"]:  # a new epoch; what is left of the old one is not seen
            order = rng.permutation(len(y))
        chosen, order = np.split(order, [settings["batch"]])
        model.train()
        loss = F.cross_entropy(model(x[:, chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
        optimizer.step()
        losses.append(loss.item())
        if update % settings["report"] == 0:
            found["loss"].append(float(np.mean(losses[-settings["report"] :])))
            model.eval()
            with torch.no_grad():
                for name, (images, labels) in zip(("validation", "test"), others, strict=True):
                    right = model(images).argmax(-1) == labels
                    found[name].append(right.double().mean().item())
    found["parameters"] = sum(p.numel() for p in model.parameters())
    return found
