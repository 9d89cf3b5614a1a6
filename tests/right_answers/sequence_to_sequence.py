"""Chapter 9: right answers, written otherwise than the reference."""

import functools
import heapq

import numpy as np


def shift_right__roll(targets, bos):
    out = np.roll(targets, 1, axis=0)
    out[:1] = bos
    return out


def shift_right__stack_and_cut(targets, bos):
    first = np.full((1, targets.shape[1]), bos)
    return np.concatenate((first, targets))[:-1]


def shift_right__loops(targets, bos):
    out = np.zeros(targets.shape, dtype=np.int32)
    for t in range(targets.shape[0]):
        for n in range(targets.shape[1]):
            out[t, n] = targets[t - 1, n] if t else bos
    return out


def encode__each_sequence_by_itself(embedded, lengths, W_x, W_h, b_x, b_h):
    """Reads no padding at all; behind the end stands nan, which is as good as anything."""
    (T, B, _), H = embedded.shape, W_h.shape[1]
    hs, context = np.full((T, B, H), np.nan), np.zeros((B, H))
    for n in range(B):
        for t in range(lengths[n]):
            u, v, h = W_x @ embedded[t, n] + b_x, W_h @ context[n] + b_h, context[n]
            r, z = 1 / (1 + np.exp(-(u + v)[: 2 * H])).reshape(2, H)
            context[n] = h + (1 - z) * (np.tanh(u[2 * H :] + r * v[2 * H :]) - h)
            hs[t, n] = context[n]
    return hs, context


def encode__carries_the_state_along(embedded, lengths, W_x, W_h, b_x, b_h):
    """A mask holds each state from its end on, so the last row is the context."""
    H = len(b_h) // 3
    from_x = np.einsum("tbd,gd->tbg", embedded, W_x) + b_x
    h, hs = np.zeros((embedded.shape[1], H)), []
    for t, u in enumerate(from_x):
        v = np.einsum("bh,gh->bg", h, W_h) + b_h
        r = 0.5 + 0.5 * np.tanh((u[:, :H] + v[:, :H]) / 2)
        keep = 0.5 + 0.5 * np.tanh((u[:, H:-H] + v[:, H:-H]) / 2)
        new = keep * h + (1 - keep) * np.tanh(u[:, -H:] + r * v[:, -H:])
        h = np.where((t < lengths)[:, None], new, h)
        hs.append(h)
    return [np.array(hs), hs[-1]]


def sequence_nll__mean_of_the_chosen(logits, targets, pad):
    real = targets != pad
    if not real.any():
        return 0.0
    chosen, wanted = logits[real], targets[real]
    log_p = chosen[np.arange(len(chosen)), wanted] - np.logaddexp.reduce(chosen, axis=1)
    return -log_p.mean()


def sequence_nll__python_loop(logits, targets, pad):
    total, count = 0.0, 0
    for scores, token in zip(logits.reshape(-1, logits.shape[-1]), targets.ravel(), strict=True):
        if token == pad:
            continue
        # -ln p_y = ln sum_v exp(a_v - a_y), from its largest term.
        apart = scores - scores[token]
        top = apart.max()
        total += top + np.log(np.exp(apart - top).sum())
        count += 1
    return np.float64(total / max(1, count))


def greedy_decode__recursive(step, state, bos, eos, max_len):
    if max_len == 0:
        return []
    log_probs, state = step(bos, state)
    best = max(range(len(log_probs)), key=log_probs.__getitem__)
    return (
        []
        if best == eos
        else [best, *greedy_decode__recursive(step, state, best, eos, max_len - 1)]
    )


def greedy_decode__cuts_afterwards(step, state, bos, eos, max_len):
    """Goes on to the end whatever comes, and cuts at the first eos."""
    tokens = [bos]
    for _ in range(max_len):
        log_probs, state = step(tokens[-1], state)
        tokens.append(np.asarray(log_probs).argmax())
    tokens = tokens[1:]
    return tuple(tokens[: tokens.index(eos)] if eos in tokens else tokens)


def beam_search__one_matrix_a_step(step, state, bos, eos, max_len, width, alpha=0.0):
    """All extensions in one matrix (live, V); sequences are read back along parents in the end."""
    scores, last, states, paths = np.zeros(1), np.array([bos]), [state], [()]
    best_score, best_path = -np.inf, ()

    def offer(score, path, n):
        nonlocal best_score, best_path
        if score / n**alpha > best_score:
            best_score, best_path = score / n**alpha, path

    for n in range(1, max_len + 1):
        answers = [step(token, before) for token, before in zip(last, states, strict=True)]
        table = np.stack([log_probs for log_probs, _ in answers])
        total = scores[:, None] + table
        V = total.shape[1]
        order = np.argsort(-total.ravel(), kind="stable")[:width]
        parents, tokens = order // V, order % V
        for k in np.flatnonzero(tokens == eos):
            offer(total.ravel()[order[k]], paths[parents[k]], n)
        alive = tokens != eos
        scores, last = total.ravel()[order][alive], tokens[alive]
        states = [answers[parent][1] for parent in parents[alive]]
        paths = [
            (*paths[parent], int(token)) for parent, token in zip(parents[alive], last, strict=True)
        ]
        if not len(paths):
            break
    for score, path in zip(scores, paths, strict=True):
        offer(score, path, n)
    return list(best_path), float(best_score)


def beam_search__heap(step, state, bos, eos, max_len, width, alpha=0.0):
    """A heap with explicit ranks; hypotheses are linked lists from the last token backwards."""
    beam, finished = [(0.0, (bos, None), state)], []

    def unroll(node):
        out = []
        while node[1] is not None:
            out.insert(0, node[0])
            node = node[1]
        return out

    while beam and max_len > 0:
        max_len -= 1
        extensions = []
        for rank, (log_prob, node, before) in enumerate(beam):
            log_probs, after = step(node[0], before)
            for token, own in enumerate(log_probs.tolist()):
                extensions.append((-(log_prob + own), rank, token, node, after))
        beam = []
        for minus, _, token, node, after in heapq.nsmallest(width, extensions, key=lambda e: e[:3]):
            hypothesis = (-minus, (token, node), after)
            (finished if token == eos else beam).append(hypothesis)
    ranked = []
    for number, (log_prob, node, _) in enumerate(finished + beam):
        tokens = unroll(node)
        score = log_prob / pow(len(tokens), alpha)
        ranked.append((-score, number, [t for t in tokens if t != eos]))
    score, _, tokens = min(ranked)
    return tokens, -score


def edit_distance__recursive(a, b):
    @functools.cache
    def between(i, j):
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        if a[i] == b[j]:
            return between(i + 1, j + 1)
        return 1 + min(between(i + 1, j), between(i, j + 1), between(i + 1, j + 1))

    return between(0, 0)


def edit_distance__whole_table(a, b):
    table = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + int(a[i - 1] != b[j - 1]),
            )
    return table[-1, -1]


def edit_distance__shortest_path(a, b):
    """The fewest edits by widening the set of pairs of positions that can be reached."""
    reached, edits = {(0, 0)}, 0
    while True:
        stack = list(reached)
        while stack:  # equal tokens cost nothing
            i, j = stack.pop()
            if i < len(a) and j < len(b) and a[i] == b[j] and (i + 1, j + 1) not in reached:
                reached.add((i + 1, j + 1))
                stack.append((i + 1, j + 1))
        if (len(a), len(b)) in reached:
            return edits
        for i, j in list(reached):
            reached |= {(i + 1, j), (i, j + 1), (i + 1, j + 1)}
        edits += 1


def teacher_forcing_mix__mask_of_ints(targets, predictions, u, p):
    gold = (u < p).astype(int)
    return gold * targets + (1 - gold) * predictions


def teacher_forcing_mix__fills_a_copy(targets, predictions, u, p):
    out = predictions.copy()
    out[u < p] = targets[u < p]
    return out


def teacher_forcing_mix__loops(targets, predictions, u, p):
    pairs = zip(targets.ravel(), predictions.ravel(), u.ravel(), strict=True)
    return np.array([y if q < p else own for y, own, q in pairs]).reshape(u.shape)
