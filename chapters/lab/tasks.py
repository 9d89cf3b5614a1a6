"""Synthetic tasks whose difficulty is one number: how far back the answer lies.

Batches are drawn from a numpy Generator, so a seed fixes them on every machine.
Sequences are time-major, (T, B, D), in torch's default dtype; targets are integer tensors.
"""

import numpy as np
import torch


def one_hot(tokens, size, scale=1.0):
    """Turn integer tokens of any shape into one-hot vectors, times `scale`."""
    hot = torch.nn.functional.one_hot(torch.as_tensor(tokens), size)
    return scale * hot.to(torch.get_default_dtype())


def first_symbol_recall(T, B, rng, symbols=4, distractors=4, scale=1.0):
    """Draw a batch whose answer is the first token, and whose other tokens mean nothing.

    The first token of each sequence is one of `symbols`; the T - 1 that follow are drawn
    from `distractors` other tokens. A network that reads its answer off the last state must
    carry the symbol over T - 1 state transitions: the lag is T - 1. Guessing costs
    log(symbols) nats. For a lag that cannot be known in advance, draw T anew for each batch.

    rng: numpy Generator. scale: the size of the non-zero input entry.
    Returns (x, y): x (T, B, symbols + distractors), y (B,) int64.
    """
    if T < 1:
        raise ValueError(f"a sequence needs at least one token, not T = {T}")
    tokens = rng.integers(symbols, symbols + distractors, size=(T, B))
    tokens[0] = rng.integers(0, symbols, size=B)
    return one_hot(tokens, symbols + distractors, scale), torch.from_numpy(tokens[0].copy())


def delayed_echo(T, B, delay, rng):
    """Draw a stream of fair bits and, at each step, the bit that stood `delay` steps earlier.

    rng: numpy Generator. Returns (x, y): x (T, B, 1) with entries -1 and 1; y (T, B) int64 with
    entries 0 and 1, and -100 (cross-entropy's "ignore") in the first `delay` steps, where
    no answer exists.
    """
    bits = rng.integers(0, 2, size=(T, B))
    y = np.full((T, B), -100)
    y[delay:] = bits[: max(T - delay, 0)]
    x = torch.from_numpy(2.0 * bits[..., None] - 1.0).to(torch.get_default_dtype())
    return x, torch.from_numpy(y)
