"""Linear recurrences h_t = a_t * h_{t-1} + b_t, step by step or by a scan, and a GRU made of one.

A scan brackets the steps otherwise (Kogge & Stone, 1973; Hillis & Steele, 1986; Blelloch, 1990):
the chain of steps that wait for each other is as long as the logarithm of T, not as T.
"""

import torch
from torch import nn


def in_steps(a, b):
    """h (T, ...) from a zero state, one step after the other: T - 1 steps that wait for each other."""
    h = torch.empty_like(b)
    h[0] = b[0]
    for t in range(1, len(b)):
        torch.addcmul(b[t], a[t], h[t - 1], out=h[t])
    return h


def by_doubling(a, b):
    """The same by Hillis and Steele: in pass k every position meets the one 2**k before it.

    ceil(log2 T) passes over all T positions: a short chain, but more work than step by step.
    """
    reach = 1
    while reach < len(b):
        b = torch.cat([b[:reach], torch.addcmul(b[reach:], a[reach:], b[:-reach])])
        a = torch.cat([a[:reach], a[reach:] * a[:-reach]])
        reach *= 2
    return b


def in_pairs(a, b):
    """The same by pairs, as Blelloch's: two steps become one, half the length is solved, the rest
    filled in. About 2 log2 T passes, and about twice the work of going step by step."""
    if len(b) == 1:
        return b
    end = len(b) // 2 * 2
    first, second = slice(0, end, 2), slice(1, end, 2)
    odd = in_pairs(a[second] * a[first], torch.addcmul(b[second], a[second], b[first]))
    h = torch.empty_like(b)
    h[0] = b[0]
    h[second] = odd
    rest = b[2::2]
    h[2::2] = torch.addcmul(rest, a[2::2], odd[: len(rest)])
    return h


class _Recurrence(torch.autograd.Function):
    """The gradient of a linear recurrence is one too, backwards in time (Martin & Cundy, 2018)."""

    @staticmethod
    def forward(ctx, a, b, way):
        h = way(a, b)
        ctx.save_for_backward(a, h)
        ctx.way = way
        return h

    @staticmethod
    def backward(ctx, dh):
        a, h = ctx.saved_tensors
        # db_t = dh_t + a_{t+1} db_{t+1}: reversed, step t has the factor of step t + 1.
        later = torch.cat([torch.zeros_like(a[:1]), a[1:].flip(0)])
        db = ctx.way(later, dh.flip(0)).flip(0)
        before = torch.cat([torch.zeros_like(h[:1]), h[:-1]])
        return db * before, db, None


def recurrence(a, b, h0=None, way=in_pairs):
    """h (T, ...) of h_t = a_t * h_{t-1} + b_t, with gradients. a, b (T, ...); h0 (...), or zero.

    way: `in_steps`, `by_doubling` or `in_pairs`; they agree up to rounding.
    """
    if h0 is not None:
        b = torch.cat([(b[0] + a[0] * h0)[None], b[1:]])
    return _Recurrence.apply(a, b, way)


class MinGRU(nn.Module):
    """A GRU whose gate and candidate see the input only (Feng et al., 2024).

    `forward(x)` takes x (T, B, D) and returns (hs (T, B, H), last state (1, B, H)), as `nn.GRU`
    does. Here z *writes*: h_t = (1 - z_t) * h_{t-1} + z_t * n_t, from a zero state. The candidate n_t
    is linear in x_t. keeps: "share", the factor 1 - z_t, between 0 and 1; or "signed", any factor
    between -1 and 1, tanh of its own pre-activation, with the candidate as it is.
    """

    bidirectional = False

    def __init__(self, input_size, hidden_size, keeps="share", way=in_pairs):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.keeps, self.way = keeps, way
        self.layer = nn.Linear(input_size, 2 * hidden_size)  # rows: gate, candidate

    def forward(self, x):
        gate, n = self.layer(x).chunk(2, dim=-1)
        if self.keeps == "signed":
            hs = recurrence(gate.tanh(), n, way=self.way)
        else:  # sigmoid(-gate) is 1 - sigmoid(gate), also where that would be rounded
            hs = recurrence((-gate).sigmoid(), gate.sigmoid() * n, way=self.way)
        return hs, hs[-1:]

    @torch.no_grad()
    def init_chrono(self, T):
        """In place: spread the units' time scales over lags up to T, as chapter 5 does. Returns self.

        The draws come from torch's global generator: seed that first.
        """
        bias = torch.empty(self.hidden_size).uniform_(1, T - 1).log()
        self.layer.bias[: self.hidden_size] = -bias
        return self


__all__ = ["MinGRU", "by_doubling", "in_pairs", "in_steps", "recurrence"]
