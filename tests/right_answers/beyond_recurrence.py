"""Chapter 11: right answers, written otherwise than the reference."""

import functools
import itertools
import math

import numpy as np


def causal_self_attention__one_position_after_the_other(x, W_q, W_k, W_v):
    """No mask: each position is given only what it may see."""
    q, k, v = (np.einsum("tbi,oi->bto", x, W) for W in (W_q, W_k, W_v))
    out = np.empty(x.shape)
    for t in range(len(x)):
        scores = np.einsum("bd,bsd->bs", q[:, t], k[:, : t + 1]) / math.sqrt(W_q.shape[0])
        weights = np.exp(scores)
        out[t] = np.einsum("bs,bsd->bd", weights, v[:, : t + 1]) / weights.sum(1)[:, None]
    return out


def causal_self_attention__batch_first_matmul(x, W_q, W_k, W_v):
    batch = x.transpose(1, 0, 2)
    scores = (batch @ W_q.T) @ (batch @ W_k.T).transpose(0, 2, 1) * W_q.shape[0] ** -0.5
    later = np.triu_indices(len(x), 1)
    scores[:, later[0], later[1]] = -1e9
    scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
    return (np.exp(scores) @ batch @ W_v.T).transpose(1, 0, 2)


def causal_self_attention__one_merged_matrix(x, W_q, W_k, W_v):
    """Only the product W_q^T W_k acts; the weights are summed up while they are made."""
    T, B, D = x.shape
    M = W_q.T @ W_k / np.sqrt(len(W_q))
    out = []
    for t in range(T):
        total, context = np.zeros((B, 1)), np.zeros((B, D))
        for s in range(t + 1):
            weight = np.exp(((x[t] @ M) * x[s]).sum(axis=1, keepdims=True))
            total, context = total + weight, context + weight * x[s]
        out.append(context / total @ W_v.T)
    return np.array(out)


def streaming_attention__running_mean(q, keys, values):
    """The context so far moves towards each new value by that value's share of the weights."""
    log_total, context = None, None
    for k, v in zip(keys, values, strict=False):
        score = float(np.dot(q, k)) / math.sqrt(q.size)
        if log_total is None:
            log_total, context = score, np.array(v)
            continue
        log_total = np.logaddexp(log_total, score)
        context = context + math.exp(score - log_total) * (v - context)
    return context


def streaming_attention__rescales_when_a_larger_score_comes(q, keys, values):
    scale = 1 / np.sqrt(len(q))
    top = scale * (q @ next(keys))
    total, context = 1.0, next(values).copy()
    for k in keys:
        score = scale * (q @ k)
        if score > top:
            factor = np.exp(top - score)
            top, total, context = score, total * factor, context * factor
        weight = np.exp(score - top)
        total += weight
        context += weight * next(values)
    return context / total


def streaming_attention__a_few_items_at_a_time(q, keys, values):
    """Chunks of 16 items: more than one, but not more the longer the stream is."""
    top, total, context = -1e30, 0.0, 0.0
    while chunk := list(itertools.islice(keys, 16)):
        scores = np.array(chunk) @ q / len(q) ** 0.5
        new = max(top, scores.max())
        weights = np.exp(scores - new)
        shrink = np.exp(top - new)
        total = total * shrink + weights.sum()
        context = context * shrink + weights @ np.array(list(itertools.islice(values, 16)))
        top = new
    return context / total


def linear_recurrence__accumulate(a, b, h0):
    pairs = zip(a, b, strict=True)
    states = itertools.accumulate(pairs, lambda h, ab: ab[0] * h + ab[1], initial=h0)
    return np.stack(list(states)[1:])


def linear_recurrence__sums_over_all_paths(a, b, h0):
    """h_t is the sum of what every step has added, times all factors since."""
    out = []
    for t in range(len(b)):
        state = np.prod(a[: t + 1], axis=0) * h0
        for s in range(t + 1):
            state = state + np.prod(a[s + 1 : t + 1], axis=0) * b[s]
        out.append(state)
    return np.array(out)


def combine__from_what_the_two_steps_do(left, right):
    """The map is affine: where it sends 0 is its summand; without summands, where it sends 1."""

    def both(h):
        return right[0] * (left[0] * h + left[1]) + right[1]

    def bare(h):
        return right[0] * (left[0] * h)

    return [bare(1.0), both(0.0)]


def combine__matrices(left, right):
    def matrix(pair):
        a, b = map(np.asarray, pair)
        out = np.zeros((*a.shape, 2, 2))
        out[..., 0, 0], out[..., 0, 1], out[..., 1, 1] = a, b, 1
        return out

    product = np.einsum("...ij,...jk->...ik", matrix(right), matrix(left))
    return product[..., 0, 0], product[..., 0, 1]


def parallel_scan__h0_in_front(a, b, h0, combine):
    """The state before the first step is a pair, too: a step that forgets all and adds h0."""
    a = np.concatenate([np.zeros((1, *a.shape[1:])), a])
    b = np.concatenate([np.asarray(h0)[None], b])
    for k in range(math.ceil(math.log2(len(b)))):
        late = slice(2**k, None)
        new = combine((a[: -(2**k)], b[: -(2**k)]), (a[late], b[late]))
        a, b = a.copy(), b.copy()
        a[late], b[late] = new
    return b[1:]


def parallel_scan__blocks(a, b, h0, combine):
    """Sklansky's form: the end of each left block is combined with the whole block on its right."""
    T = len(b)
    rounds = math.ceil(math.log2(T)) if T > 1 else 0
    room = 2**rounds - T
    shape = a.shape[1:]
    a = np.concatenate([a, np.ones((room, *shape))])
    b = np.concatenate([b, np.zeros((room, *shape))])
    b[0] += a[0] * h0
    for k in range(rounds):
        a, b = (array.reshape(-1, 2, 2**k, *shape).copy() for array in (a, b))
        ends = a[:, 0, -1:], b[:, 0, -1:]
        a[:, 1], b[:, 1] = combine(ends, (a[:, 1], b[:, 1]))
        a, b = (array.reshape(-1, *shape) for array in (a, b))
    return b[:T]


def parallel_scan__recursive(a, b, h0, combine):
    """The scan with reach r is the scan with reach 2r of what one call makes of it."""

    def scan(a, b, reach):
        if reach >= len(a):
            return a, b
        A, B = combine([a[:-reach], b[:-reach]], [a[reach:], b[reach:]])
        return scan(np.r_[a[:reach], A], np.r_[b[:reach], B], 2 * reach)

    factors, summands = scan(a, b, 1)
    return summands + factors * h0


def min_gru_step__moves_towards_the_candidate(x, h, W_z, b_z, W_h, b_h):
    gate = 0.5 + 0.5 * np.tanh((np.einsum("bd,hd->bh", x, W_z) + b_z) / 2)
    return h + gate * (np.einsum("bd,hd->bh", x, W_h) + b_h - h)


def min_gru_step__each_sequence_by_itself(x, h, W_z, b_z, W_h, b_h):
    out = np.empty_like(h)
    for n, (x_n, h_n) in enumerate(zip(x, h, strict=True)):
        odds = np.exp(W_z @ x_n + b_z)
        out[n] = (h_n + odds * (W_h @ x_n + b_h)) / (1 + odds)
    return out


def min_gru_parallel__logarithms(x, h0, W_z, b_z, W_h, b_h):
    """What is positive and what is negative is summed up in logarithms, each by itself."""
    a = x @ W_z.T + b_z
    candidate = x @ W_h.T + b_h
    past = np.cumsum(-np.logaddexp(0, a), axis=0)  # ln of the product of 1 - z

    def total(part, start):
        with np.errstate(divide="ignore"):
            first = np.log(start)[None]
            inputs = np.log(part) - np.logaddexp(0, -a) - past
        summed = np.logaddexp.accumulate(np.concatenate([first, inputs]), axis=0)[1:]
        return np.exp(past + summed)

    above = total(np.maximum(candidate, 0), np.maximum(h0, 0))
    return above - total(np.maximum(-candidate, 0), np.maximum(-h0, 0))


def min_gru_parallel__every_pair_of_steps(x, h0, W_z, b_z, W_h, b_h):
    """All (T, T) products of factors at once, as exponentials of differences that are never positive."""
    T = len(x)
    a = x @ W_z.T + b_z
    z = 1 / (1 + np.exp(-a))
    past = np.cumsum(-np.logaddexp(0, a), axis=0)
    apart = np.minimum(past[:, None] - past[None, :], 0.0)
    kept = np.exp(apart) * np.tril(np.ones((T, T)))[:, :, None, None]
    return np.einsum("tsbh,sbh->tbh", kept, z * (x @ W_h.T + b_h)) + np.exp(past) * h0


def min_gru_parallel__halves(x, h0, W_z, b_z, W_h, b_h):
    """Odd and even: the sequence of every second state is a recurrence of half the length."""
    a = 1 / (1 + np.exp(x @ W_z.T + b_z))
    b = (1 - a) * (x @ W_h.T + b_h)
    b[0] += a[0] * h0

    def scan(a, b):
        T = len(b)
        if T == 1:
            return b
        even = 2 * (T // 2)
        later = scan(a[1::2] * a[:even:2], a[1::2] * b[:even:2] + b[1::2])
        out = np.empty_like(b)
        out[1::2] = later
        out[0] = b[0]
        out[2::2] = a[2::2] * later[: len(b[2::2])] + b[2::2]
        return out

    return scan(a, b)


def decoding_memory__by_cases(kind, layers, width, n, bytes_per_number):
    one = width * bytes_per_number
    if kind == "attention":
        return np.int64(sum((one + one) * n for _ in range(layers)))
    return layers * (one + one if kind == "lstm" else one)


def decoding_memory__size_of_an_array(kind, layers, width, n, bytes_per_number):
    shape = {"gru": (), "lstm": (2,), "attention": (2, n)}[kind]
    return functools.reduce(lambda p, q: p * q, (*shape, layers, width), bytes_per_number)
