"""The gated cells of PyTorch, opened: their gates and states at every step, and how to start them.

"Keep gate" is what multiplies the old state: the forget gate f of an LSTM, the update gate z of a
GRU in PyTorch's convention. A keep bias is the sum of the two biases that PyTorch holds for it.
"""

import torch
from torch import nn

_KEEP = {nn.LSTM: 1, nn.GRU: 1}  # the place of the keep gate among the blocks of rows


def _rows(rnn, block):
    """The rows of a one-layer module's stacked parameters that belong to a gate."""
    return slice(block * rnn.hidden_size, (block + 1) * rnn.hidden_size)


def unroll(rnn, x, state=None):
    """Run a one-layer, one-direction `nn.LSTM` or `nn.GRU` step by step, keeping every part.

    x (T, B, D); state: h0, or (h0, c0) for an LSTM, each (B, H), zeros by default. Returns a dict
    of lists with one (B, H) tensor a step: i, f, g, o, c, h of an LSTM, r, z, n, h of a GRU. They
    are the nodes of one graph, so `torch.autograd.grad(loss, parts["c"])` has the gradient at each
    cell state, through all paths. `torch.stack(parts["f"]).detach()` is (T, B, H).
    """
    if rnn.num_layers > 1 or rnn.bidirectional:
        raise ValueError("unroll opens one layer in one direction")
    step = _lstm_step if isinstance(rnn, nn.LSTM) else _gru_step
    zeros = x.new_zeros(x.shape[1], rnn.hidden_size)
    if state is None:
        state = (zeros, zeros) if isinstance(rnn, nn.LSTM) else zeros
    parts = {}
    for x_t in x:
        state, made = step(rnn, x_t, state)
        for name, value in made.items():
            parts.setdefault(name, []).append(value)
    return parts


def _lstm_step(rnn, x, state):
    h, c = state
    a = x @ rnn.weight_ih_l0.T + h @ rnn.weight_hh_l0.T + rnn.bias_ih_l0 + rnn.bias_hh_l0
    i, f, g, o = a.chunk(4, dim=-1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    h = o * c.tanh()
    return (h, c), {"i": i, "f": f, "g": g, "o": o, "c": c, "h": h}


def _gru_step(rnn, x, h):
    from_x = (x @ rnn.weight_ih_l0.T + rnn.bias_ih_l0).chunk(3, dim=-1)
    from_h = (h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0).chunk(3, dim=-1)
    r = (from_x[0] + from_h[0]).sigmoid()
    z = (from_x[1] + from_h[1]).sigmoid()
    n = (from_x[2] + r * from_h[2]).tanh()
    h = (1 - z) * n + z * h
    return h, {"r": r, "z": z, "n": n, "h": h}


@torch.no_grad()
def init_keep_bias(rnn, value):
    """In place: give every keep gate of a one-layer `nn.LSTM` or `nn.GRU` this total bias.

    value: a number, or an (H,) tensor with one for each unit. The other biases stay. Returns `rnn`.
    """
    rows = _rows(rnn, _KEEP[type(rnn)])
    rnn.bias_ih_l0[rows] = torch.as_tensor(value, dtype=rnn.bias_ih_l0.dtype)
    rnn.bias_hh_l0[rows] = 0
    return rnn


@torch.no_grad()
def init_chrono(rnn, T):
    """In place: chrono initialisation for lags up to T (Tallec & Ollivier, 2018). Returns `rnn`.

    Each unit's keep bias is the logarithm of a number drawn uniformly from 1 to T - 1. An LSTM's
    input gate gets the negative of it (a GRU's 1 - z does so by itself). The draws come from
    torch's global generator: seed that first.
    """
    bias = torch.empty(rnn.hidden_size).uniform_(1, T - 1).log()
    init_keep_bias(rnn, bias)
    if isinstance(rnn, nn.LSTM):
        rows = _rows(rnn, 0)
        rnn.bias_ih_l0[rows] = -bias.to(rnn.bias_ih_l0.dtype)
        rnn.bias_hh_l0[rows] = 0
    return rnn


__all__ = ["init_chrono", "init_keep_bias", "unroll"]
