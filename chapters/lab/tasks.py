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


def recall_at_random_lag(T, B, rng, symbols=4, distractors=4):
    """`first_symbol_recall` with a length drawn anew for each batch, uniformly from T//2 to T.

    A network that has only learnt to turn its state to the right place after a fixed number of
    steps fails here: the symbol must be held. Returns (x, y) as `first_symbol_recall` does.
    """
    length = int(rng.integers(T // 2, T + 1))
    return first_symbol_recall(length, B, rng, symbols, distractors)


def latch(T, B, rng, write=0.15, read=0.15):
    """Draw streams that must be written, held and read: a memory of one bit with two buttons.

    x (T, B, 3): a fair sign at every step, -1 or 1; a write flag, 0 or 1; a read flag, 0 or 1.
    y (T, B) int64: 0 ("silent") where nothing is read; where the read flag is up, 1 or 2 for the
    sign, - or +, that stood at the latest write, this step's included. `write` and `read` are the
    flags' probabilities; the first step always writes.
    """
    signs = rng.choice([-1.0, 1.0], size=(T, B))
    writes = rng.random((T, B)) < write
    writes[0] = True
    reads = rng.random((T, B)) < read
    latest = np.maximum.accumulate(np.where(writes, np.arange(T)[:, None], 0), axis=0)
    held = np.take_along_axis(signs, latest, axis=0)
    y = np.where(reads, np.where(held > 0, 2, 1), 0)
    x = torch.from_numpy(np.stack([signs, writes, reads], axis=-1).astype(float))
    return x.to(torch.get_default_dtype()), torch.from_numpy(y)
