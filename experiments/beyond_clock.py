"""What does a training step cost on one core: a recurrence, attention, or a scan, as the sequence grows?

Each way maps T steps of B sequences, D numbers wide, to as many; "seconds" of CPU time, one thread, of
a forward and backward pass. Each repeat times all ways, one after the other, so that all meet the same
machine. "operators": how many operators PyTorch calls in a forward pass. The LSTM runs in oneDNN's fused
layer, and beside it with that switched off, as a loop of small operators.
"""

import time
from functools import partial

import torch
from lab import scan
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

SETTINGS = {
    "width": 64,
    "sizes": [[T, B] for B in (1, 16) for T in (16, 64, 256, 1024, 4096)],
    "repeats": 9,
    "at_least": 0.02,  # seconds of one measurement
    "longest_loop": 1024,  # steps; loops of small operators are not timed on longer sequences
}
REDUCED = {"width": 4, "sizes": [[5, 2]], "repeats": 2, "at_least": 0.0}
MEASURED = ("seconds", "operators")
LOOPS = ("LSTM, loop", "minGRU, loop")


class CausalAttention(nn.Module):
    """One head, as wide as its input, without biases: position t looks at positions up to t."""

    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, 3 * width, bias=False)  # rows: queries, keys, values

    def forward(self, x):
        """x (T, B, D) -> ((T, B, D), None), as `nn.GRU` returns it."""
        heads = self.layer(x).transpose(0, 1).unsqueeze(1)  # (B, one head, T, 3 D)
        q, k, v = heads.chunk(3, dim=-1)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y.squeeze(1).transpose(0, 1), None


WAYS = {
    "LSTM": lambda width: nn.LSTM(width, width),
    "LSTM, loop": lambda width: nn.LSTM(width, width),
    "attention": CausalAttention,
    "minGRU, pairs": lambda width: scan.MinGRU(width, width, way=scan.in_pairs),
    "minGRU, doubling": lambda width: scan.MinGRU(width, width, way=scan.by_doubling),
    "minGRU, loop": lambda width: scan.MinGRU(width, width, way=scan.in_steps),
}


def runs(settings):
    return [{"T": T, "B": B} for T, B in settings["sizes"]]


def run(settings, T, B):
    torch.manual_seed(0)
    x = torch.randn(T, B, settings["width"])
    tasks, operators = {}, {}
    for name, make in WAYS.items():
        if name in LOOPS and settings["longest_loop"] < T:
            continue
        model = make(settings["width"])
        tasks[name] = partial(_training, model, x, name != "LSTM, loop")
        operators[name] = _operators(model, x, name != "LSTM, loop")
    return {
        "seconds": in_turn(tasks, settings["repeats"], settings["at_least"]),
        "operators": operators,
    }


def in_turn(tasks, repeats, at_least, clock=time.process_time, finish=lambda: None):
    """Seconds of one call of each task, a list over repeats; the tasks alternate.

    A task is called as often as it takes for a measurement to last `at_least` seconds. finish: waits
    until all that was asked for has been done, where a device works by itself.
    """

    def seconds(task, calls):
        finish()
        began = clock()
        for _ in range(calls):
            task()
        finish()
        return (clock() - began) / calls

    calls = {}
    for name, task in tasks.items():
        task()  # to warm up
        calls[name] = 1 + int(at_least / max(seconds(task, 1), 1e-6))
    found = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            found[name].append(float(f"{seconds(task, calls[name]):.4g}"))
    return found


def _training(model, x, fused):
    with torch.backends.mkldnn.flags(enabled=fused):
        model.zero_grad()
        model(x)[0].sum().backward()


def _operators(model, x, fused):
    with torch.backends.mkldnn.flags(enabled=fused), torch.no_grad(), _Count() as seen:
        model(x)
    return seen.calls


class _Count(TorchDispatchMode):
    """How many operators are called inside."""

    calls = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.calls += 1
        return operator(*args, **(kwargs or {}))
