"""The training steps of beyond_clock and the tokens of beyond_decode, on a GPU.

Measured where PyTorch finds a CUDA device. Elsewhere nothing is, "device" is empty, and results that a
machine with a GPU has stored stay as they are. "seconds" are
of wall time, from an idle device until it is idle again; "device" is its name.
"""

import time
from functools import partial

import torch

from experiments.beyond_clock import WAYS, in_turn
from experiments.beyond_decode import steps

SETTINGS = {
    "width": 512,
    "sizes": [[T, B] for B in (1, 16) for T in (64, 256, 1024, 4096, 16384)],
    "before": [63, 1023, 16383, 262143],
    "repeats": 15,
    "at_least": 0.05,
}
REDUCED = {"width": 8, "sizes": [[5, 2]], "before": [3], "repeats": 2, "at_least": 0.0}
MEASURED = ("device", "seconds")
LEFT_OUT = ("LSTM, loop", "minGRU, loop")  # cuDNN's layer cannot be switched off as oneDNN's can


def lacking():
    """What this machine would need to measure anything; empty if it has it."""
    return "" if torch.cuda.is_available() else "needs a GPU, and PyTorch finds none here"


def runs(settings):
    return [{"task": "training", "T": T, "B": B} for T, B in settings["sizes"]] + [
        {"task": "token", "n": n} for n in settings["before"]
    ]


def run(settings, task, **size):
    if lacking():
        return {"device": "", "seconds": {}}
    return on(torch.device("cuda"), settings, task, **size)


def on(device, settings, task, **size):
    torch.manual_seed(0)
    width = settings["width"]
    if task == "token":
        tasks = steps(width, size["n"], device)
    else:
        x = torch.randn(size["T"], size["B"], width, device=device)
        tasks = {
            name: partial(_training, make(width).to(device), x)
            for name, make in WAYS.items()
            if name not in LEFT_OUT
        }
    cuda = device.type == "cuda"
    with torch.inference_mode(task == "token"):
        seconds = in_turn(
            tasks,
            settings["repeats"],
            settings["at_least"],
            time.perf_counter,
            torch.cuda.synchronize if cuda else lambda: None,
        )
    return {
        "device": torch.cuda.get_device_name(device) if cuda else str(device),
        "seconds": seconds,
    }


def _training(model, x):
    model.zero_grad()
    model(x)[0].sum().backward()
