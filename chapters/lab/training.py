"""A small training loop for recurrent classifiers, and what it records.

    torch.manual_seed(0)
    model = LastStateClassifier(torch.nn.RNN(8, 64), classes=4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    log = train(model, lambda rng: first_symbol_recall(30, 32, rng), optimizer,
                steps=300, max_norm=1.0, seed=0)

Step counts are fixed, never a time budget: the same seed gives the same run.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn


class LastStateClassifier(nn.Module):
    """Run an `nn.RNN`, `nn.GRU` or `nn.LSTM` and read class scores off its last output.

    `forward(x)` takes x (T, B, D) and returns logits (B, classes). Only for sequences without
    padding: the last step is a real one.
    """

    def __init__(self, rnn, classes):
        super().__init__()
        self.rnn = rnn
        directions = 2 if rnn.bidirectional else 1
        self.readout = nn.Linear(directions * rnn.hidden_size, classes)

    def forward(self, x):
        outputs, _ = self.rnn(x)
        return self.readout(outputs[-1])


class EveryStepClassifier(nn.Module):
    """Run an `nn.RNN`, `nn.GRU` or `nn.LSTM` and read class scores off its output at every step.

    `forward(x)` takes x (T, B, D) and returns logits (T, B, classes). Its loss, for `train`:
    `every_step_loss`.
    """

    def __init__(self, rnn, classes):
        super().__init__()
        self.rnn = rnn
        directions = 2 if rnn.bidirectional else 1
        self.readout = nn.Linear(directions * rnn.hidden_size, classes)

    def forward(self, x):
        outputs, _ = self.rnn(x)
        return self.readout(outputs)


def every_step_loss(logits, y):
    """The mean cross-entropy over steps and batch; logits (T, B, classes), y (T, B), -100: none."""
    return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())


@dataclass
class TrainingLog:
    """One entry an update: its batch's loss and accuracy, and the gradient norm before clipping."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)

    def first_solved(self, level=0.99, window=10):
        """How many updates it took until the last `window` batches had mean accuracy `level`.

        None if it never happened.
        """
        if len(self.accuracy) < window:
            return None
        means = np.convolve(self.accuracy, np.full(window, 1 / window), mode="valid")
        reached = np.flatnonzero(means >= level - 1e-12)
        return int(reached[0]) + window if reached.size else None


def train(model, draw_batch, optimizer, steps, max_norm=None, seed=0, loss_fn=None, until=None):
    """Make `steps` updates on fresh batches and return a `TrainingLog`.

    draw_batch: called with a numpy Generator (seeded with `seed`), returns (x, y).
    max_norm: clip the global gradient norm to this before each update; None: do not clip.
    loss_fn: loss of (model(x), y), cross-entropy by default. Accuracy is the share of
    positions where the largest logit, along the last axis, stands at y.
    until: stop early when `first_solved(until)` holds; None: never.
    """
    loss_fn = loss_fn or nn.functional.cross_entropy
    limit = float("inf") if max_norm is None else max_norm
    rng = np.random.default_rng(seed)
    log = TrainingLog()
    model.train()
    for _ in range(steps):
        x, y = draw_batch(rng)
        logits = model(x)
        loss = loss_fn(logits, y)
        optimizer.zero_grad()
        loss.backward()
        # With an infinite limit this only measures: the gradients stay as they are.
        norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
        optimizer.step()
        log.loss.append(loss.item())
        log.accuracy.append((logits.argmax(-1) == y).float().mean().item())
        log.grad_norm.append(norm.item())
        if until is not None and log.first_solved(until) is not None:
            break
    return log


@torch.no_grad()
def accuracy(model, x, y):
    """The share of sequences (or positions) that `model` classifies correctly, a float."""
    model.eval()
    return (model(x).argmax(-1) == y).float().mean().item()


@torch.no_grad()
def init_orthogonal(rnn, gain=1.0, input_scale=1.0):
    """In place: give an `nn.RNN` orthogonal recurrent matrices, times `gain`, and zero biases.

    W_x keeps PyTorch's draw, times `input_scale`. Every layer and direction. Returns `rnn`.
    Draws from torch's global generator: seed that first.
    """
    for name, parameter in rnn.named_parameters():
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(parameter, gain)
        elif name.startswith("weight_ih"):
            parameter.mul_(input_scale)
        else:
            parameter.zero_()
    return rnn


def input_gradient_norms(model, x, y=None):
    """How strongly each input step moves the answer: the norm of d(score)/dx_t, a (T,) array.

    The score of a sequence is its logit at y (by default, the largest); norms are taken per
    sequence and step, then averaged over the batch. `x` (T, B, D); `model(x)` (B, classes).
    """
    model.eval()
    x = x.detach().clone().requires_grad_(True)
    logits = model(x)
    y = logits.argmax(-1) if y is None else y
    (grad,) = torch.autograd.grad(logits.gather(-1, y[:, None]).sum(), x)
    return grad.norm(dim=-1).mean(dim=1).numpy()


__all__ = [
    "EveryStepClassifier",
    "LastStateClassifier",
    "TrainingLog",
    "accuracy",
    "every_step_loss",
    "init_orthogonal",
    "input_gradient_norms",
    "train",
]
