"""Chapter 10: right answers, written otherwise than the reference."""

import math

import numpy as np


def unrolled_cell_weights__running_product(f, i):
    later = np.cumprod(np.concatenate([np.ones_like(f[:1]), f[:0:-1]]), axis=0)[::-1]
    return i * later


def unrolled_cell_weights__runs_the_cell(f, i):
    """Follow a candidate of 1 at one step, and of 0 at all others, to the end."""
    weights = []
    for source in range(len(f)):
        c = np.zeros(f.shape[1:])
        for t in range(len(f)):
            c = f[t] * c + i[t] * (t == source)
        weights.append(c)
    return np.array(weights)


def unrolled_cell_weights__a_product_for_each_step(f, i):
    return np.stack([i[t] * np.prod(f[t + 1 :], axis=0) for t in range(f.shape[0])])


def unrolled_gru_weights__forward(z):
    """Step by step: what is there is worn down, and the new candidate takes what is left."""
    weights = [np.ones_like(z[0])]
    for gate in z:
        weights = [gate * w for w in weights] + [1 - gate]
    return np.stack(weights)


def unrolled_gru_weights__differences(z):
    """What is left of the state after step t, minus what was left of the one before it."""
    T, B, H = z.shape
    left = np.ones((T + 1, B, H))
    for t in range(T, 0, -1):
        left[t - 1] = left[t] * z[t - 1]
    return np.diff(left, axis=0, prepend=np.zeros((1, B, H)))


def unrolled_gru_weights__the_first_is_the_rest(z):
    later = np.array([z[t + 1 :].prod(axis=0) for t in range(len(z))])
    candidates = (1 - z) * later
    return np.vstack([z.prod(axis=0)[None], candidates])


def additive_scores__einsum(query, keys, W_q, W_k, v):
    asked = np.einsum("aq,bq->ba", W_q, query)
    hidden = np.tanh(asked[None] + np.einsum("ae,sbe->sba", W_k, keys))
    return np.einsum("sba,a->sb", hidden, v)


def additive_scores__one_matrix(query, keys, W_q, W_k, v):
    """The two matrices side by side, applied to query and key side by side."""
    both = np.concatenate([np.broadcast_to(query, (len(keys), *query.shape)), keys], axis=2)
    return np.tanh(both @ np.hstack([W_q, W_k]).T).dot(v)


def additive_scores__loops(query, keys, W_q, W_k, v):
    S, B, _ = keys.shape
    scores = np.zeros((S, B))
    for s in range(S):
        for b in range(B):
            for a in range(len(v)):
                scores[s, b] += v[a] * math.tanh(W_q[a] @ query[b] + W_k[a] @ keys[s, b])
    return scores


def masked_softmax__column_by_column(scores, mask):
    weights = np.zeros_like(scores)
    for b in range(scores.shape[1]):
        real = scores[mask[:, b], b]
        if real.size:
            e = np.exp(real - real.max())
            weights[mask[:, b], b] = e / e.sum()
    return weights


def masked_softmax__large_negative_number(scores, mask):
    held = np.where(mask, scores, -1e30)
    e = np.exp(held - held.max(axis=0, keepdims=True)) * mask
    return e / np.maximum(e.sum(axis=0, keepdims=True), 1e-300)


def masked_softmax__log_sum_exp(scores, mask):
    if not mask.any():
        return np.zeros(scores.shape)
    total = np.logaddexp.reduce(scores, axis=0, where=mask, initial=-np.inf)
    with np.errstate(all="ignore"):
        return np.where(mask, np.exp(scores - total), 0.0)


def context_vector__einsum(weights, values):
    return np.einsum("sb,sbe->be", weights, values)


def context_vector__matrix_products(weights, values):
    return (weights.T[:, None] @ values.transpose(1, 0, 2))[:, 0]


def context_vector__loop(weights, values):
    context = np.zeros(values.shape[1:])
    for weight, value in zip(weights, values, strict=True):
        context = context + weight.reshape(-1, 1) * value
    return context


def attention_backward__whole_jacobian(dcontext, weights, values):
    """The Jacobian of each column's softmax, diag(w) - w w', as a matrix."""
    S, B = weights.shape
    dscores = np.empty((S, B))
    for b in range(B):
        w = weights[:, b]
        dscores[:, b] = (np.diag(w) - np.outer(w, w)) @ (values[:, b] @ dcontext[b])
    return dscores, np.einsum("sb,be->sbe", weights, dcontext)


def attention_backward__distance_from_the_context(dcontext, weights, values):
    """How far each value is from the mean of all, seen along the gradient."""
    context = np.einsum("sb,sbe->be", weights, values)
    apart = values - context
    return [weights * np.einsum("sbe,be->sb", apart, dcontext), weights[:, :, None] * dcontext]


def attention_decoder_step__spelled_out(y, h, keys, mask, params):
    p = params
    H = h.shape[1]
    hidden = np.tanh(np.einsum("ah,bh->ba", p["W_q"], h) + np.einsum("ae,sbe->sba", p["W_k"], keys))
    e = np.exp(hidden @ p["v"]) * mask
    total = e.sum(axis=0)
    weights = np.divide(e, total, out=np.zeros_like(e), where=total > 0)
    context = np.einsum("sb,sbe->be", weights, keys)
    gx = np.hstack([y, context]) @ p["W_x"].T + p["b_x"]
    gh = h @ p["W_h"].T + p["b_h"]
    rz = 1 / (1 + np.exp(-(gx + gh)[:, : 2 * H]))
    r, z = rz[:, :H], rz[:, H:]
    n = np.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
    return n + z * (h - n), weights


def attention_decoder_step__each_sequence_by_itself(y, h, keys, mask, params):
    """Only what is real is ever looked at; the columns of W_x are taken apart."""
    (S, B, E), D = keys.shape, y.shape[1]
    weights, states = np.zeros((S, B)), []
    W_y, W_c = params["W_x"][:, :D], params["W_x"][:, D:]
    for b in range(B):
        own = np.flatnonzero(mask[:, b])
        context = np.zeros(E)
        if len(own):
            memory = keys[own, b]
            hidden = np.tanh(memory @ params["W_k"].T + params["W_q"] @ h[b])
            scores = hidden @ params["v"]
            weights[own, b] = np.exp(scores - np.logaddexp.reduce(scores))
            context = weights[own, b] @ memory
        u_r, u_z, u_n = np.split(W_y @ y[b] + W_c @ context + params["b_x"], 3)
        q_r, q_z, q_n = np.split(params["W_h"] @ h[b] + params["b_h"], 3)
        r, z = (1 + np.tanh((u_r + q_r) / 2)) / 2, (1 + np.tanh((u_z + q_z) / 2)) / 2
        states.append((1 - z) * np.tanh(u_n + r * q_n) + z * h[b])
    return [np.stack(states), weights]


def dot_product_attention__query_by_query(Q, K, V, mask=None):
    out = np.zeros((*Q.shape[:2], V.shape[2]))
    for b in range(len(Q)):
        for t, query in enumerate(Q[b]):
            seen = slice(None) if mask is None else mask[b, t]
            scores = K[b][seen] @ query * Q.shape[2] ** -0.5
            if scores.size:
                out[b, t] = np.exp(scores - np.logaddexp.reduce(scores)) @ V[b][seen]
    return out


def dot_product_attention__einsum(Q, K, V, mask=None):
    scores = np.einsum("bqd,bkd->bqk", Q / np.sqrt(Q.shape[2]), K)
    if mask is not None:
        scores = np.where(mask, scores, np.finfo(scores.dtype).min)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    if mask is not None:
        e = np.where(mask, e, 0)
    return np.einsum("bqk,bkv->bqv", e / np.maximum(e.sum(-1, keepdims=True), 1e-200), V)


def alignment_entropy__term_by_term(weights):
    columns = weights.T.tolist()
    return np.array([math.fsum(-w * math.log(w) for w in column if w > 0) for column in columns])


def alignment_entropy__log_where(weights):
    logs = np.zeros_like(weights)
    np.log(weights, out=logs, where=weights > 0)
    return np.einsum("sb,sb->b", weights, -logs)


def alignment_entropy__smallest_number(weights):
    """Far below all weights, so that no digit notices it."""
    return -np.sum(weights * np.log(np.maximum(weights, 1e-300)), axis=0)


def max_path_length__table(kind, n):
    table = {"rnn": n - 1, "self-attention": 1, "convolution": n - 1}
    if kind not in table:
        raise ValueError(kind)
    return table[kind]


def max_path_length__spreads(kind, n):
    """Let a signal spread from the first position, a layer or a step at a time."""
    if kind not in {"rnn", "self-attention", "convolution"}:
        raise ValueError(f"{kind} is not known")
    reach = {"rnn": 1, "self-attention": n, "convolution": 1}[kind]
    farthest, steps = 0, 0
    while farthest < n - 1:
        farthest, steps = farthest + reach, steps + 1
    return np.int64(steps)


def sequential_operations__match(kind, n):
    match kind:
        case "rnn":
            return n
        case "self-attention" | "convolution":
            return 1
        case _:
            raise ValueError("rnn, self-attention or convolution")


def sequential_operations__longest_chain(kind, n):
    """The longest chain in which each operation waits for the one before it."""
    waits_for_the_one_before = {"rnn": True, "self-attention": False, "convolution": False}
    try:
        waits = waits_for_the_one_before[kind]
    except KeyError:
        raise ValueError(f"what is {kind!r}?") from None
    chain = [1]
    for _ in range(1, n):
        chain.append(chain[-1] + 1 if waits else 1)
    return max(chain)
