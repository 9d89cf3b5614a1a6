"""Chapter 11: attention instead of recurrence, a recurrence that is scanned, and what each stores."""

from collections.abc import Callable, Iterable

import numpy as np

from autograder.reference.vanilla_rnn import sigmoid

Array = np.ndarray
Pair = tuple[Array, Array]


def causal_self_attention(x: Array, W_q: Array, W_k: Array, W_v: Array) -> Array:
    """Every position of a sequence looks at itself and at what came before it.

    x (T, B, D), W_q, W_k (d, D), W_v (D, D) -> (T, B, D).
    Source: Vaswani et al. (2017), eq. 1, with the mask of section 3.2.3; one head.
    """
    T, d = len(x), len(W_q)
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    scores = np.einsum("tbd,sbd->bts", q, k) / np.sqrt(d)
    sees = np.tril(np.ones((T, T), dtype=bool))
    scores = np.where(sees, scores, -np.inf)  # position s = t is never masked: no empty row
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("bts,sbd->tbd", weights, v)


def streaming_attention(q: Array, keys: Iterable[Array], values: Iterable[Array]) -> Array:
    """Softmax attention over a stream: one pass, and the memory of a single item.

    q (d,), keys an iterator of (d,), values one of (D,), equally long, at least one item -> (D,).
    The sums are kept relative to the largest score so far, so that no exponential overflows.
    Source: Milakov & Gimelshein (2018), alg. 3; Rabe & Staats (2021).
    """
    largest, total, context = -np.inf, 0.0, 0.0
    for k, v in zip(keys, values, strict=True):
        score = q @ k / np.sqrt(len(q))
        before, largest = largest, max(largest, score)
        shrink, weight = np.exp(before - largest), np.exp(score - largest)
        total = shrink * total + weight
        context = shrink * context + weight * v
    return context / total


def linear_recurrence(a: Array, b: Array, h0: Array) -> Array:
    """All states of h_t = a_t * h_{t-1} + b_t, one step after the other.

    a, b (T, ...), h0 of that shape without its first axis -> (T, ...).
    """
    h, hs = h0, np.empty_like(b)
    for t in range(len(b)):
        h = a[t] * h + b[t]
        hs[t] = h
    return hs


def combine(left: Pair, right: Pair) -> Pair:
    """Two steps of a linear recurrence as one step; `left` is the earlier one.

    A pair (a, b) stands for the map h -> a * h + b; a and b are arrays of one shape, or numbers.
    The operator is associative. Source: Blelloch (1990), section 1.4.1.
    """
    a_left, b_left = left
    a_right, b_right = right
    return a_right * a_left, a_right * b_left + b_right


def parallel_scan(a: Array, b: Array, h0: Array, combine: Callable[[Pair, Pair], Pair]) -> Array:
    """The states of `linear_recurrence` in ceil(log2 T) rounds, each of them one call of `combine`.

    After k rounds, the pair at t is the composition of the 2**k steps that end at t.
    Source: Hillis & Steele (1986), Kogge & Stone (1973).
    """
    T, reach = len(b), 1
    while reach < T:
        joined = combine((a[:-reach], b[:-reach]), (a[reach:], b[reach:]))
        a = np.concatenate([a[:reach], joined[0]])
        b = np.concatenate([b[:reach], joined[1]])
        reach *= 2
    return a * h0 + b


def min_gru_step(x: Array, h: Array, W_z: Array, b_z: Array, W_h: Array, b_h: Array) -> Array:
    """One step of the minimal GRU, whose gate and candidate do not see the old state.

    x (B, D), h (B, H), W_z, W_h (H, D), b_z, b_h (H,) -> h_next (B, H).
    Source: Feng et al. (2024), section 3.1.
    """
    z = sigmoid(x @ W_z.T + b_z)
    candidate = x @ W_h.T + b_h
    return (1 - z) * h + z * candidate


def min_gru_parallel(x: Array, h0: Array, W_z: Array, b_z: Array, W_h: Array, b_h: Array) -> Array:
    """All states of the minimal GRU by a scan, in ceil(log2 T) rounds.

    x (T, B, D), h0 (B, H), W_z, W_h (H, D), b_z, b_h (H,) -> (T, B, H). Nothing is divided and no
    logarithm is taken, so nothing overflows, however long the sequence.
    """
    z = sigmoid(x @ W_z.T + b_z)
    candidate = x @ W_h.T + b_h
    return parallel_scan(1 - z, z * candidate, h0, combine)


def decoding_memory(kind: str, layers: int, width: int, n: int, bytes_per_number: int) -> int:
    """How many bytes a model has to keep from one token to the next, after n tokens.

    kind is "gru" (one vector a layer), "lstm" (two: h and c) or "attention" (a key and a value for
    each token). All vectors have `width` numbers.
    """
    vectors = {"gru": 1, "lstm": 2, "attention": 2 * n}[kind]
    return layers * vectors * width * bytes_per_number
