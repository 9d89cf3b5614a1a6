"""What does one more token cost, if n tokens have gone before: with a state, and with a cache?

One layer, D numbers wide, one sequence, no gradients. A recurrent cell makes its step; attention projects
the new token, puts its key and value into a cache that has room, and looks at all n + 1. "seconds" of
CPU time, one thread, a token; each repeat times all, one after the other, at every n.
"""

import math
from functools import partial

import torch
from torch import nn

from experiments.beyond_clock import in_turn

SETTINGS = {
    "width": 256,
    "before": [15, 63, 255, 1023, 4095, 16383, 65535],
    "repeats": 9,
    "at_least": 0.02,
}
REDUCED = {"width": 4, "before": [3], "repeats": 2, "at_least": 0.0}
MEASURED = ("seconds",)


def runs(settings):
    return [{"n": n} for n in settings["before"]]


def run(settings, n):
    torch.manual_seed(0)
    tasks = steps(settings["width"], n)
    with torch.inference_mode():
        return {"seconds": in_turn(tasks, settings["repeats"], settings["at_least"])}


def steps(width, n, device="cpu"):
    """What each layer does for one more token behind n others."""
    with torch.device(device):
        x, h = torch.randn(1, width), torch.randn(1, width)
        keys, values = torch.randn(n + 1, width), torch.randn(n + 1, width)
        lstm, gru = nn.LSTMCell(width, width), nn.GRUCell(width, width)
        two, three = nn.Linear(width, 2 * width), nn.Linear(width, 3 * width, bias=False)
    return {
        "LSTM": partial(lstm, x, (h, h)),
        "GRU": partial(gru, x, h),
        "minGRU": partial(_min_gru, two, x, h),
        "attention": partial(_attention, three, x, keys, values),
    }


def _min_gru(layer, x, h):
    gate, candidate = layer(x).chunk(2, dim=-1)
    return torch.lerp(h, candidate, gate.sigmoid())


def _attention(layer, x, keys, values):
    q, keys[-1:], values[-1:] = layer(x).chunk(3, dim=-1)
    weights = (keys @ (q[0] / math.sqrt(len(q[0])))).softmax(dim=0)
    return weights @ values
