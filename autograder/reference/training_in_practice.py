"""Chapter 8: tasks that measure one thing, one step of training, truncation with a carried state."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Array = np.ndarray


def adding_problem(T: int, B: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """A batch of the adding problem: find two marked numbers in a sequence, and add them.

    T >= 2 steps, B >= 1 sequences; rng, the only source of chance -> x (T, B, 2), y (B,)
    Channel 0 of x holds numbers from [0, 1); channel 1 is 1 at one step of 0..T//2-1 and at one of
    T//2..T-1, else 0; y is the sum of the two marked numbers. Whoever answers 1 always has a mean
    squared error of 1/6. Source: Hochreiter & Schmidhuber (1997), experiment 4, in the form of
    Le, Jaitly & Hinton (2015).
    """
    values = rng.random((T, B))
    marks = np.zeros((T, B))
    sequences = np.arange(B)
    marks[rng.integers(0, T // 2, size=B), sequences] = 1.0
    marks[rng.integers(T // 2, T, size=B), sequences] = 1.0
    return np.stack([values, marks], axis=2), np.sum(values * marks, axis=0)


def delayed_recall(T: int, B: int, symbols: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """A batch of delayed recall: which token came first, T - 1 distractors ago?

    T >= 1 steps, B >= 1 sequences, symbols >= 1; rng, the only source of chance
    -> x (T, B) ints, y (B,) ints: x[0] uniform in 0..symbols-1, y equal to it, and distractors in
    symbols..2*symbols-1 at all later steps. Whoever guesses is right in 1/symbols of all sequences.
    """
    x = rng.integers(symbols, 2 * symbols, size=(T, B))
    x[0] = rng.integers(0, symbols, size=B)
    return x, x[0].copy()


def train_step(
    model: "torch.nn.Module",
    loss_fn: Callable,
    optimizer: "torch.optim.Optimizer",
    x: "torch.Tensor",
    y: "torch.Tensor",
    max_norm: float,
) -> float:
    """One update of the model's parameters, in place, with gradients clipped to a global norm.

    loss_fn(model(x), y) is a scalar tensor; max_norm > 0 -> that loss before the update, a float.
    Source of the clipping: Pascanu, Mikolov & Bengio (2013), algorithm 1.
    """
    import torch

    optimizer.zero_grad()  # backward adds to what is there
    loss = loss_fn(model(x), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


def detach_state(state: Any) -> Any:
    """The same state, cut from the graph that made it.

    state: a tensor, None, or a tuple, list or dict of states -> the same nesting in new containers
    of the same types, with tensors that hold the same numbers and lead no gradient back.
    """
    if state is None:
        return None
    if isinstance(state, dict):
        return {key: detach_state(part) for key, part in state.items()}
    if isinstance(state, (tuple, list)):
        return type(state)(detach_state(part) for part in state)
    return state.detach()


def tbptt_epoch(
    model: "torch.nn.Module",
    loss_fn: Callable,
    optimizer: "torch.optim.Optimizer",
    x: "torch.Tensor",
    y: "torch.Tensor",
    window: int,
    max_norm: float,
) -> list[float]:
    """Once through long sequences with truncated backpropagation: one update a window, in place.

    x (T, ...), y (T, ...), time first; window >= 1 steps, the last window may be shorter;
    model(x, state) -> (out, state), the first state None, later ones carried but cut from the graph
    -> the losses of the windows, each before its own update.
    Source: Williams & Peng (1990); in this form Mikolov (2012).
    """
    import torch

    state, losses = None, []
    for start in range(0, len(x), window):
        now = slice(start, start + window)
        optimizer.zero_grad()
        out, state = model(x[now], detach_state(state))
        loss = loss_fn(out, y[now])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses


def perplexity(nll: Array, mask: Array) -> float:
    """Among how many equally likely tokens a model hesitates, on average.

    nll (T, B), minus the logarithm of the probability of each token, in nats; mask (T, B), True
    where a token counts, at least once -> exp of the mean of nll over the tokens that count.
    """
    return float(np.exp(np.mean(nll[mask])))


def split_parameters(
    model: "torch.nn.Module",
) -> tuple[list["torch.nn.Parameter"], list["torch.nn.Parameter"]]:
    """The trainable parameters: those with two or more axes, to be decayed, and the others.

    -> (decay, no_decay): lists of the parameters themselves; one that has several names stands
    there once, one that does not require a gradient not at all.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]  # each parameter once
    decay = [p for p in trainable if p.ndim >= 2]
    no_decay = [p for p in trainable if p.ndim < 2]
    return decay, no_decay
