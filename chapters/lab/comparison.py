"""Cells on equal terms: as wide, or with as many parameters; started by default, or for the task.

An experiment that compares cells states four things: what is held equal (`contenders`, `hidden_for`),
how each cell starts (`start`), how its learning rate was found (`measure`), and its seeds.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

from lab.cells import init_chrono
from lab.training import init_orthogonal

CELLS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


def contenders() -> list[dict[str, str]]:
    """What is compared: five networks, each started in two ways.

    "equal" is what a network has in common with the LSTM: "width", or "parameters". The LSTM itself
    stands under "width" only; it is the measure of both.
    """
    pairs = [("width", cell) for cell in CELLS] + [("parameters", "RNN"), ("parameters", "GRU")]
    return [
        {"equal": equal, "cell": cell, "init": init}
        for equal, cell in pairs
        for init in ("default", "horizon")
    ]


def count(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters())


def hidden_for(cell: str, equal: str, inputs: int, width: int, outputs: int) -> int:
    """How wide a network is: `width`, or as wide as brings it nearest to the LSTM's parameters.

    Counted are the cell and a linear readout, the LSTM's being `width` wide.
    """
    if equal == "width":
        return width

    def size(name: str, hidden: int) -> int:
        with torch.device("meta"):  # shapes without numbers
            return count(CELLS[name](inputs, hidden)) + count(nn.Linear(hidden, outputs))

    goal = size("LSTM", width)
    return min(range(1, 4 * width + 1), key=lambda hidden: abs(size(cell, hidden) - goal))


def start(cell: str, init: str, inputs: int, hidden: int, horizon: int) -> nn.Module:
    """A new cell from torch's global generator: PyTorch's "default", or for a "horizon" of steps.

    For a horizon an LSTM and a GRU get chrono biases (chapter 5), an RNN an orthogonal recurrent
    matrix and no biases (chapter 3).
    """
    rnn = CELLS[cell](inputs, hidden)
    if init == "default":
        return rnn
    return init_orthogonal(rnn) if cell == "RNN" else init_chrono(rnn, horizon)


def measure(
    once: Callable[[float, int], dict],
    rates: Sequence[float],
    choosing: Iterable[int],
    seeds: Iterable[int],
) -> dict:
    """What a network reaches at the learning rate that suits it best.

    once: trains with (rate, seed) and returns what it found; under "validation" a loss. The rate is
    the one with the lowest mean of it over the seeds `choosing`, which are not those that are reported.
    Returns "rate"; "tried", a row of validation losses a rate, a column a seed of `choosing`; and for
    each entry of what `once` found a list, seed by seed of `seeds`.
    """
    choosing = list(choosing)
    tried = [[once(rate, seed)["validation"] for seed in choosing] for rate in rates]
    # A loss that is no number is worse than any.
    score = [math.inf if math.isnan(sum_) else sum_ for sum_ in map(math.fsum, tried)]
    rate = rates[score.index(min(score))]
    found = [once(rate, seed) for seed in seeds]
    return {"rate": rate, "tried": tried, **{key: [one[key] for one in found] for key in found[0]}}


__all__ = ["CELLS", "contenders", "count", "hidden_for", "measure", "start"]
