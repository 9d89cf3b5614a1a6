"""Chapter 7: networks on top of networks, in both directions, over sequences of uneven lengths."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from autograder.reference.vanilla_rnn import rnn_forward, rnn_step, sigmoid

if TYPE_CHECKING:
    import torch

Array = np.ndarray
Layer = dict[str, Array]


def stacked_rnn_forward(x: Array, layers: list[Layer]) -> list[Array]:
    """A stack of tanh networks: each layer reads the states of the layer below, step by step.

    x (T, B, D); layers: one dict a layer, the lowest first, with h0 (B, H), W_x (H, R), W_h (H, H),
    b (H,), where R is what the layer reads: D for the lowest, else the H of the layer below.
    Returns a list of hs (T, B, H), one a layer. Source: Graves, Mohamed & Hinton (2013).
    """
    states, below = [], x
    for layer in layers:
        below = rnn_forward(below, layer["h0"], layer["W_x"], layer["W_h"], layer["b"])
        states.append(below)
    return states


def reverse_padded(x: Array, lengths: Array) -> Array:
    """Each sequence from its end to its beginning; the padding stays where it is.

    x (T, B, D), lengths (B,) ints from 1 to T -> (T, B, D). Entry t of a sequence of length n comes
    from n - 1 - t where t < n, and from t itself on the padding. Twice, it changes nothing.
    """
    t = np.arange(len(x))[:, None]
    source = np.where(t < lengths, lengths - 1 - t, t)  # (T, B)
    return np.take_along_axis(x, source[:, :, None], axis=0)


def masked_rnn_forward(
    x: Array, h0: Array, W_x: Array, W_h: Array, b: Array, lengths: Array
) -> Array:
    """The tanh network over sequences of uneven lengths; at its end a sequence's state stands still.

    x (T, B, D), h0 (B, H), W_x (H, D), W_h (H, H), b (H,), lengths (B,) ints from 1 to T
    -> hs (T, B, H): h_t = tanh(W_x x_t + W_h h_{t-1} + b) on real steps, h_t = h_{t-1} on padding.
    """
    hs = np.empty((len(x), *h0.shape))
    h = h0
    for t in range(len(x)):
        real = (t < lengths)[:, None]  # (B, 1)
        h = np.where(real, rnn_step(x[t], h, W_x, W_h, b), h)
        hs[t] = h
    return hs


def last_valid(hs: Array, lengths: Array) -> Array:
    """The state after each sequence's last real step.

    hs (T, B, H), lengths (B,) ints from 1 to T -> (B, H): row n is hs[lengths[n] - 1, n].
    """
    return hs[lengths - 1, np.arange(len(lengths))]


def bidirectional_rnn_forward(x: Array, lengths: Array, forward: Layer, backward: Layer) -> Array:
    """Two tanh networks, one from the beginning and one from each sequence's own end, side by side.

    x (T, B, D), lengths (B,) ints from 1 to T; forward, backward: dicts h0 (B, H), W_x (H, D),
    W_h (H, H), b (H,). Returns (T, B, 2H): on real steps the forward state and the backward state
    that have read x_t last, zeros on padding. Source: Schuster & Paliwal (1997).
    """
    ahead = masked_rnn_forward(x, **forward, lengths=lengths)
    back = masked_rnn_forward(reverse_padded(x, lengths), **backward, lengths=lengths)
    both = np.concatenate([ahead, reverse_padded(back, lengths)], axis=2)
    real = np.arange(len(x))[:, None] < lengths  # (T, B)
    return np.where(real[:, :, None], both, 0.0)


def locked_dropout(x: Array, u: Array, p: float, training: bool) -> Array:
    """Dropout with one mask for all steps of a sequence.

    x (T, B, D); u (B, D), uniform in [0, 1); 0 <= p < 1 the probability of being dropped.
    Training: x where u >= p, divided by 1 - p so that the mean stays what it was, zero elsewhere.
    Evaluation: x. Source: Gal & Ghahramani (2016).
    """
    if not training:
        return x
    return x * (u >= p) / (1 - p)


def layer_norm(a: Array, gain: Array, bias: Array, eps: float = 1e-5) -> Array:
    """gain * (a - mean) / sqrt(variance + eps) + bias, with mean and variance of each last axis.

    a (..., H), gain and bias (H,) -> (..., H). The variance is that of the population: it is divided
    by H. Source: Ba, Kiros & Hinton (2016).
    """
    centred = a - a.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return gain * centred / np.sqrt(variance + eps) + bias


def layer_norm_lstm_step(
    x: Array,
    h: Array,
    c: Array,
    W_x: Array,
    W_h: Array,
    b: Array,
    gains: Array,
    biases: Array,
) -> tuple[Array, Array]:
    """One step of an LSTM whose four pre-activations are normalised, each gate by itself.

    x (B, D), h (B, H), c (B, H), W_x (4H, D), W_h (4H, H), b (4H,); gains, biases (4, H), a row for
    each of i, f, g, o -> (h_next, c_next), each (B, H). The whole pre-activation of a gate, b
    included, is normalised over its H units; the cell state is not. After Ba, Kiros & Hinton
    (2016), who normalise the two products apart and the cell state too.
    """
    a = (x @ W_x.T + h @ W_h.T + b).reshape(len(x), 4, -1)
    a_i, a_f, a_g, a_o = np.moveaxis(layer_norm(a, gains, biases), 1, 0)
    c_next = sigmoid(a_f) * c + sigmoid(a_i) * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(c_next), c_next


def BiTagger(vocab: int, tags: int, embed: int, hidden: int) -> "torch.nn.Module":
    """A tagger that reads a sentence from both sides: a torch.nn.Module.

    vocab tokens, tags kinds of answers, embed numbers for each token, hidden units each way.
    forward(tokens (T, B), lengths (B,)) -> logits (T, B, tags). Padding changes no real position.
    Source: Graves & Schmidhuber (2005).
    """
    return tagger_class()(vocab, tags, embed, hidden)


@cache
def tagger_class() -> type:
    """The class of what `BiTagger` makes; torch is not imported before somebody asks for it."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class Tagger(torch.nn.Module):
        def __init__(self, vocab: int, tags: int, embed: int, hidden: int):
            super().__init__()
            self.embedding = torch.nn.Embedding(vocab, embed)
            self.rnn = torch.nn.LSTM(embed, hidden, bidirectional=True)
            self.read_out = torch.nn.Linear(2 * hidden, tags)

        def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            embedded = self.embedding(tokens)  # (T, B, embed)
            # Packed, a sequence has an end, and the backward direction begins there.
            packed = pack_padded_sequence(embedded, lengths.cpu(), enforce_sorted=False)
            states, _ = pad_packed_sequence(self.rnn(packed)[0], total_length=len(tokens))
            return self.read_out(states)  # (T, B, tags)

    return Tagger
