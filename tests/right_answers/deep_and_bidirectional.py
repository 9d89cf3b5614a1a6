"""Chapter 7: right answers, written otherwise than the reference."""

import itertools
import math

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def _sigmoid(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


# stacked_rnn_forward


def stacked_rnn_forward__time_outside_depth_inside(x, layers):
    states = [layer["h0"] for layer in layers]
    all_states = [[] for _ in layers]
    for x_t in x:
        signal = x_t
        for k, layer in enumerate(layers):
            a = signal @ layer["W_x"].T + states[k] @ layer["W_h"].T + layer["b"]
            signal = states[k] = np.tanh(a)
            all_states[k].append(signal)
    return [np.array(hs) for hs in all_states]


def stacked_rnn_forward__recursion(x, layers):
    if not layers:
        return ()
    (T, B, _), first = x.shape, layers[0]
    hs = np.zeros((T, *first["h0"].shape))
    for t, n in itertools.product(range(T), range(B)):
        h = hs[t - 1, n] if t else first["h0"][n]
        hs[t, n] = np.tanh(first["W_x"].dot(x[t, n]) + first["W_h"].dot(h) + first["b"])
    return (hs, *stacked_rnn_forward__recursion(hs, layers[1:]))


def stacked_rnn_forward__one_wide_network(x, layers):
    """All layers as one state vector; layer k of step t is reached at time t + k."""
    B, sizes = x.shape[1], [layer["h0"].shape[1] for layer in layers]
    results = [np.empty((len(x), B, size)) for size in sizes]
    for time in range(len(x) + len(layers) - 1):
        for k in reversed(range(len(layers))):
            t, layer = time - k, layers[k]
            if 0 <= t < len(x):
                below = x[t] if k == 0 else results[k - 1][t]
                h = layer["h0"] if t == 0 else results[k][t - 1]
                joined = np.hstack([below, h, np.ones((B, 1))])
                weights = np.hstack([layer["W_x"], layer["W_h"], layer["b"][:, None]])
                results[k][t] = np.tanh(joined @ weights.T)
    return results


# reverse_padded


def reverse_padded__slices(x, lengths):
    out = x.copy()
    for n, length in enumerate(lengths):
        out[:length, n] = x[:length, n][::-1]
    return out


def reverse_padded__rolls_the_reversed_array(x, lengths):
    turned = x[::-1]
    columns = [
        np.concatenate([turned[len(x) - length :, n], x[length:, n]])
        for n, length in enumerate(lengths)
    ]
    return np.stack(columns, axis=1)


def reverse_padded__permutation_matrices(x, lengths):
    T, B, _ = x.shape
    P = np.zeros((B, T, T))
    for n, t in itertools.product(range(B), range(T)):
        P[n, t, lengths[n] - 1 - t if t < lengths[n] else t] = 1
    return np.einsum("nts,snd->tnd", P, x)


# masked_rnn_forward


def masked_rnn_forward__sums_of_masks(x, h0, W_x, W_h, b, lengths):
    mask = (np.arange(len(x))[:, None, None] < lengths[:, None]).astype(float)
    hs = [h0]
    for x_t, m in zip(x, mask, strict=True):
        hs.append(m * np.tanh(x_t @ W_x.T + hs[-1] @ W_h.T + b) + (1 - m) * hs[-1])
    return np.array(hs[1:])


def masked_rnn_forward__each_sequence_by_itself(x, h0, W_x, W_h, b, lengths):
    hs = np.zeros((len(x), *h0.shape))
    for n, length in enumerate(lengths):
        h = h0[n]
        for t in range(length):
            h = np.tanh(W_x @ x[t, n] + W_h @ h + b)
            hs[t, n] = h
        hs[length:, n] = h
    return hs


def masked_rnn_forward__runs_on_and_repairs_afterwards(x, h0, W_x, W_h, b, lengths):
    h, hs, drive = h0, [], x @ W_x.T + b
    for a_x in drive:
        h = np.tanh(a_x + h @ W_h.T)
        hs.append(h)
    hs = np.array(hs)
    source = np.minimum(np.arange(len(x))[:, None], lengths - 1)
    return np.take_along_axis(hs, source[:, :, None], axis=0)


# last_valid


def last_valid__one_by_one(hs, lengths):
    return np.array([hs[length - 1, n] for n, length in enumerate(lengths)])


def last_valid__a_mask_of_one_step(hs, lengths):
    last = np.arange(len(hs))[:, None] == lengths - 1
    return np.einsum("tn,tnh->nh", last.astype(float), hs)


def last_valid__take_along_axis(hs, lengths):
    return np.take_along_axis(hs, (lengths - 1).reshape(1, -1, 1), axis=0)[0]


def last_valid__the_diagonal(hs, lengths):
    return hs[lengths - 1].diagonal(axis1=0, axis2=1).T


# bidirectional_rnn_forward


def bidirectional_rnn_forward__holds_h0_until_the_end(x, lengths, forward, backward):
    """From the last step of the array to the first; before a sequence's end its state waits."""
    T, B, _ = x.shape
    H = forward["h0"].shape[1]
    out = np.zeros((T, B, 2 * H))
    for half, net, order in ((0, forward, range(T)), (1, backward, reversed(range(T)))):
        h = net["h0"]
        for t in order:
            real = (t < lengths)[:, None]
            new = np.tanh(x[t] @ net["W_x"].T + h @ net["W_h"].T + net["b"])
            h = np.where(real, new, h)
            out[t, :, half * H : (half + 1) * H] = np.where(real, h, 0)
    return out


def bidirectional_rnn_forward__each_sequence_by_itself(x, lengths, forward, backward):
    T, B, _ = x.shape
    H = forward["h0"].shape[1]
    out = np.zeros((T, B, 2 * H))

    def read(net, n, order):
        h = net["h0"][n]
        for t in order:
            h = np.tanh(net["W_x"].dot(x[t, n]) + net["W_h"].dot(h) + net["b"])
            yield t, h

    for n, length in enumerate(lengths):
        for t, h in read(forward, n, range(length)):
            out[t, n, :H] = h
        for t, h in read(backward, n, range(length - 1, -1, -1)):
            out[t, n, H:] = h
    return out


def bidirectional_rnn_forward__one_network_of_two_blocks(x, lengths, forward, backward):
    """A single tanh network whose state holds both directions, with block-diagonal weights."""
    D, H = x.shape[2], forward["h0"].shape[1]
    turned = reverse_padded__slices(x, lengths)
    none = np.zeros((H, D)), np.zeros((H, H))
    W_x = np.block([[forward["W_x"], none[0]], [none[0], backward["W_x"]]])
    W_h = np.block([[forward["W_h"], none[1]], [none[1], backward["W_h"]]])
    b = np.concatenate([forward["b"], backward["b"]])
    h0 = np.hstack([forward["h0"], backward["h0"]])
    hs = masked_rnn_forward__sums_of_masks(
        np.concatenate([x, turned], axis=2), h0, W_x, W_h, b, lengths
    )
    hs[:, :, H:] = reverse_padded__slices(hs[:, :, H:], lengths)
    hs[np.arange(len(x))[:, None] >= lengths] = 0
    return hs


# locked_dropout


def locked_dropout__where(x, u, p, training):
    if training and p > 0:
        return np.where(u[None] >= p, x / (1 - p), 0.0)
    return x.copy()


def locked_dropout__entry_by_entry(x, u, p, training):
    out = np.zeros(x.shape)
    for t, n, d in np.ndindex(x.shape):
        keep = not training or not u[n, d] < p
        out[t, n, d] = keep * x[t, n, d] * (1 / (1 - p) if training else 1)
    return out


def locked_dropout__a_factor_for_each_entry(x, u, p, training):
    q = 1 - p
    factor = np.where(u < p, 0.0, 1 / q) if training else np.ones_like(u)
    return np.einsum("tnd,nd->tnd", x, factor)


# layer_norm


def layer_norm__numpys_own(a, gain, bias, eps=1e-5):
    mean, variance = np.mean(a, -1, keepdims=True), np.var(a, -1, keepdims=True)
    return (a - mean) * gain * (variance + eps) ** -0.5 + bias


def layer_norm__row_by_row(a, gain, bias, eps=1e-5):
    out = np.empty(a.shape)
    for index in np.ndindex(a.shape[:-1]):
        row = a[index]
        mean = sum(row) / len(row)
        variance = sum((number - mean) ** 2 for number in row) / len(row)
        for k, number in enumerate(row):
            out[(*index, k)] = gain[k] * (number - mean) / math.sqrt(variance + eps) + bias[k]
    return out


def layer_norm__a_projection(a, gain, bias, eps=1e-5):
    H = a.shape[-1]
    centred = a @ (np.eye(H) - np.full((H, H), 1 / H))
    if np.abs(a).max() > 1e3:  # a product with 1 / H loses digits far from zero
        centred = a - a[..., :1]
        centred = centred - centred.sum(axis=-1, keepdims=True) / H
    length = np.sqrt(np.einsum("...h,...h->...", centred, centred) / H + eps)
    return centred / length[..., None] * gain + bias


# layer_norm_lstm_step


def layer_norm_lstm_step__each_gate_by_itself(x, h, c, W_x, W_h, b, gains, biases):
    H = h.shape[1]

    def normalised(k):
        rows = slice(k * H, (k + 1) * H)
        a = x @ W_x[rows].T + h @ W_h[rows].T + b[rows]
        return layer_norm__numpys_own(a, gains[k], biases[k])

    i, f, o = (1 / (1 + np.exp(-normalised(k))) for k in (0, 1, 3))
    c_next = f * c + i * np.tanh(normalised(2))
    return [o * np.tanh(c_next), c_next]


def layer_norm_lstm_step__loops(x, h, c, W_x, W_h, b, gains, biases):
    B, H = h.shape
    h_next, c_next = np.zeros((B, H)), np.zeros((B, H))
    for n in range(B):
        a = np.concatenate([W_x, W_h, b[:, None]], axis=1) @ np.concatenate([x[n], h[n], [1.0]])
        a = layer_norm__row_by_row(a.reshape(4, H), np.ones(H), np.zeros(H)) * gains + biases
        for k in range(H):
            i, f, o = (1 / (1 + math.exp(-a[gate, k])) for gate in (0, 1, 3))
            c_next[n, k] = f * c[n, k] + i * math.tanh(a[2, k])
            h_next[n, k] = o * math.tanh(c_next[n, k])
    return h_next, c_next


def layer_norm_lstm_step__folds_the_mean_into_the_weights(x, h, c, W_x, W_h, b, gains, biases):
    H = h.shape[1]

    def centred(W):
        return (W.reshape(4, H, -1) - W.reshape(4, H, -1).mean(axis=1, keepdims=True)).reshape(
            W.shape
        )

    a = (x @ centred(W_x).T + h @ centred(W_h).T + centred(b)).reshape(-1, 4, H)
    a = a / np.sqrt((a * a).mean(axis=2, keepdims=True) + 1e-5) * gains + biases
    i, f, g, o = _sigmoid(a[:, 0]), _sigmoid(a[:, 1]), np.tanh(a[:, 2]), _sigmoid(a[:, 3])
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next


# BiTagger


class BiTagger__packed_gru(torch.nn.Module):
    def __init__(self, vocab, tags, embed, hidden):
        super().__init__()
        self.lookup = torch.nn.Embedding(vocab, embed, padding_idx=0)
        self.drop = torch.nn.Dropout(0.3)
        self.gru = torch.nn.GRU(embed, hidden, bidirectional=True)
        self.out = torch.nn.Linear(hidden * 2, tags)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.drop(self.lookup(tokens)), lengths, enforce_sorted=False)
        states, _ = self.gru(packed)
        states, _ = pad_packed_sequence(states, total_length=tokens.size(0))
        return self.out(states)


class BiTagger__rectified_and_closed_on_padding(torch.nn.Module):
    """What stands on padding is free: here no tag is possible there."""

    def __init__(self, vocab, tags, embed, hidden):
        super().__init__()
        self.one_hot = torch.nn.Linear(vocab, embed, bias=False)
        self.rnn = torch.nn.RNN(
            embed, hidden, nonlinearity="relu", bidirectional=True, batch_first=True
        )
        self.read_out = torch.nn.Linear(2 * hidden, tags)

    def forward(self, tokens, lengths):
        T, vocab = len(tokens), self.one_hot.in_features
        one_hot = torch.nn.functional.one_hot(tokens.T, vocab).to(self.one_hot.weight.dtype)
        packed = pack_padded_sequence(self.one_hot(one_hot), lengths, True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=T)
        logits = self.read_out(states).transpose(0, 1)
        return logits.masked_fill((torch.arange(T)[:, None] >= lengths)[..., None], -torch.inf)


class BiTagger__two_networks_and_a_gather(torch.nn.Module):
    def __init__(self, vocab, tags, embed, hidden):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab, embed)
        self.ahead = torch.nn.RNN(embed, hidden)
        self.back = torch.nn.RNN(embed, hidden)
        self.read_out = torch.nn.Linear(2 * hidden, tags)

    @staticmethod
    def turned(x, lengths):
        t = torch.arange(len(x)).unsqueeze(1)
        source = torch.where(t < lengths, lengths - 1 - t, t)
        return x.gather(0, source.unsqueeze(2).expand_as(x))

    def forward(self, tokens, lengths):
        x = self.embedding(tokens)
        ahead, _ = self.ahead(x)
        back, _ = self.back(self.turned(x, lengths))
        return self.read_out(torch.cat([ahead, self.turned(back, lengths)], dim=2))


class BiTagger__own_cells_in_float32(torch.nn.Module):
    """Cells from bare parameters, one sequence after another, everything made in float32."""

    def __init__(self, vocab, tags, embed, hidden):
        super().__init__()
        self.hidden = hidden
        self.table = torch.nn.Parameter(torch.randn(vocab, embed, dtype=torch.float32))
        self.W_x = torch.nn.Parameter(torch.randn(2, hidden, embed, dtype=torch.float32))
        self.W_h = torch.nn.Parameter(torch.randn(2, hidden, hidden, dtype=torch.float32))
        self.W_y = torch.nn.Parameter(torch.randn(tags, 2 * hidden, dtype=torch.float32))
        self.b = torch.nn.Parameter(torch.zeros(2, hidden))

    def forward(self, tokens, lengths):
        T, B = tokens.shape
        logits = torch.zeros(T, B, len(self.W_y), dtype=torch.float32)
        for n in range(B):
            length = int(lengths[n])
            states = torch.zeros(length, 2, self.hidden, dtype=torch.float32)
            for way, order in enumerate([range(length), reversed(range(length))]):
                h = torch.zeros(self.hidden, dtype=torch.float32)
                for t in order:
                    x = self.table[tokens[t, n]]
                    h = torch.tanh(self.W_x[way] @ x + self.W_h[way] @ h + self.b[way])
                    states[t, way] = h
            logits[:length, n] = states.flatten(1) @ self.W_y.T
        return logits


def BiTagger__sorts_and_gives_log_probabilities(vocab, tags, embed, hidden):
    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleDict(
                {
                    "embedding": torch.nn.Embedding(vocab, embed),
                    "rnn": torch.nn.LSTM(embed, hidden, num_layers=2, bidirectional=True),
                    "read_out": torch.nn.Linear(2 * hidden, tags),
                }
            )

        def forward(self, tokens, lengths):
            order = torch.argsort(lengths, descending=True)
            x = self.layers["embedding"](tokens[:, order])
            packed = pack_padded_sequence(x, lengths[order].tolist())
            states, _ = pad_packed_sequence(self.layers["rnn"](packed)[0])
            missing = len(tokens) - len(states)
            states = torch.nn.functional.pad(states, (0, 0, 0, 0, 0, missing))
            logits = self.layers["read_out"](states[:, torch.argsort(order)])
            return torch.log_softmax(logits, dim=2)

    return Tagger()
