"""Is a GRU faster than an LSTM on this machine, and what decides it?

Each size is (T steps, B sequences, D inputs, H units); each repeat times RNN, GRU and LSTM, with oneDNN
("on", PyTorch's default) and without ("off"), one after the other, so that all meet the same machine.
Times are milliseconds of CPU time, one thread, a call: "forward" without gradients, "training" forward
and backward. Found beside them: whether a call goes to oneDNN's fused layer, and how many operators
PyTorch calls in a forward pass.
"""

import time
from itertools import product

import torch
from lab.comparison import CELLS, count
from torch.profiler import ProfilerActivity, profile

SETTINGS = {
    "sizes": [[100, 1, 32, 64], [100, 32, 32, 32], [100, 32, 64, 128], [100, 64, 128, 256]],
    "repeats": 15,
    "at_least": 0.02,  # seconds of one measurement
}
REDUCED = {"sizes": [[5, 2, 4, 8]], "repeats": 2, "at_least": 0.0}
MEASURED = ("forward", "training", "operators")
FUSED = "aten::mkldnn_rnn_layer"


def runs(settings: dict) -> list[dict]:
    return [dict(zip("TBDH", size, strict=True)) for size in settings["sizes"]]


def run(settings: dict, T: int, B: int, D: int, H: int) -> dict:
    torch.manual_seed(0)
    x = torch.randn(T, B, D)
    rnns = {cell: make(D, H) for cell, make in CELLS.items()}
    ways = [(cell, kernel) for cell in rnns for kernel in ("on", "off")]
    tasks = {"forward": _forward, "training": _training}
    times = {name: {cell: {"on": [], "off": []} for cell in rnns} for name in tasks}
    calls = {}
    for repeat in range(settings["repeats"] + 1):
        for (name, task), (cell, kernel) in product(tasks.items(), ways):
            with torch.backends.mkldnn.flags(enabled=kernel == "on"):
                if repeat == 0:  # to warm up, and to see how long one call takes
                    task(rnns[cell], x)
                    seconds = _seconds(1, task, rnns[cell], x)
                    calls[name, cell, kernel] = 1 + int(settings["at_least"] / seconds)
                else:
                    seconds = _seconds(calls[name, cell, kernel], task, rnns[cell], x)
                    times[name][cell][kernel].append(round(1e3 * seconds, 4))
    seen = {
        cell: {kernel: _operators(rnns[cell], x, kernel) for kernel in ("on", "off")}
        for cell in rnns
    }
    return {
        "parameters": {cell: count(rnn) for cell, rnn in rnns.items()},
        "fused": {
            cell: {k: FUSED in names for k, names in found.items()} for cell, found in seen.items()
        },
        "operators": {
            cell: {k: len(names) for k, names in found.items()} for cell, found in seen.items()
        },
        **times,
    }


def _forward(rnn, x):
    with torch.no_grad():
        rnn(x)


def _training(rnn, x):
    rnn.zero_grad()
    outputs, _ = rnn(x)
    outputs.sum().backward()


def _seconds(calls, task, *arguments):
    began = time.process_time()
    for _ in range(calls):
        task(*arguments)
    return (time.process_time() - began) / calls


def _operators(rnn, x, kernel):
    """The names of the operators of a forward pass, those that an operator calls as well."""
    with (
        torch.backends.mkldnn.flags(enabled=kernel == "on"),
        profile(activities=[ProfilerActivity.CPU]) as seen,
    ):
        _forward(rnn, x)
    return [event.name for event in seen.events() if event.name.startswith("aten::")]
