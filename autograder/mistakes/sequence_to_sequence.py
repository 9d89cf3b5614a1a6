"""Chapter 9: how going from a sequence to a sequence goes wrong."""

import itertools

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.sequence_to_sequence import (
    beam_search,
    edit_distance,
    encode,
    greedy_decode,
    sequence_nll,
    shift_right,
    teacher_forcing_mix,
)
from autograder.reference.vanilla_rnn import sigmoid

# shift_right


@mistake_of("shift_right")
def shift_right__shifts_left(targets, bos):
    out = np.full_like(targets, bos)
    out[:-1] = targets[1:]
    return out


@mistake_of("shift_right")
def shift_right__shifts_along_the_batch(targets, bos):
    out = np.full_like(targets, bos)
    out[:, 1:] = targets[:, :-1]
    return out


@mistake_of("shift_right")
def shift_right__returns_one_step_too_many(targets, bos):
    return np.vstack([np.full_like(targets[:1], bos), targets])


@mistake_of("shift_right")
def shift_right__replaces_the_first_token(targets, bos):
    out = targets.copy()
    out[0] = bos
    return out


@mistake_of("shift_right")
def shift_right__wraps_the_last_token_around(targets, bos):
    return np.roll(targets, 1, axis=0)


@mistake_of("shift_right")
def shift_right__puts_0_in_front(targets, bos):
    return shift_right(targets, 0)


@mistake_of("shift_right")
def shift_right__rolls_through_the_flattened_array(targets, bos):
    out = np.roll(targets, 1)
    out[0] = bos
    return out


@mistake_of("shift_right")
def shift_right__copies_bos_to_every_step(targets, bos):
    out = targets.copy()
    out[0] = bos
    for t in range(1, len(out)):
        out[t] = out[t - 1]
    return out


@mistake_of("shift_right")
def shift_right__gives_bos_to_the_first_sequence_only(targets, bos):
    out = np.roll(targets, 1, axis=0)
    out[0, 0] = bos
    return out


@mistake_of("shift_right")
def shift_right__returns_floats(targets, bos):
    return shift_right(targets, bos).astype(float)


@mistake_of("shift_right")
def shift_right__writes_into_the_targets(targets, bos):
    targets[...] = shift_right(targets, bos)
    return targets


# encode


def _encoded(embedded, lengths, parameters, at):
    """All states, and the one at index `at` of each sequence."""
    hs, _ = encode(embedded, lengths, *parameters)
    return hs, hs[at, np.arange(len(lengths))]


@mistake_of("encode")
def encode__takes_the_last_step_for_all(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, _ = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    return hs, hs[-1]


@mistake_of("encode")
def encode__takes_the_last_step_of_the_longest(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, _ = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    return hs, hs[lengths.max() - 1]


@mistake_of("encode")
def encode__counts_lengths_from_zero(embedded, lengths, W_x, W_h, b_x, b_h):
    return _encoded(embedded, lengths, (W_x, W_h, b_x, b_h), lengths)


@mistake_of("encode")
def encode__reads_one_step_of_padding(embedded, lengths, W_x, W_h, b_x, b_h):
    at = np.minimum(lengths, len(embedded) - 1)
    return _encoded(embedded, lengths, (W_x, W_h, b_x, b_h), at)


@mistake_of("encode")
def encode__takes_one_step_too_early(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, _ = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    before = np.concatenate([np.zeros_like(hs[:1]), hs])
    return hs, before[lengths - 1, np.arange(len(lengths))]


@mistake_of("encode")
def encode__pairs_every_length_with_every_sequence(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, _ = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    return hs, hs[lengths - 1]


@mistake_of("encode")
def encode__averages_the_states(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, _ = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    real = (np.arange(len(hs))[:, None] < lengths)[..., None]
    return hs, (hs * real).sum(axis=0) / lengths[:, None]


@mistake_of("encode")
def encode__replaces_the_padding_by_zeros(embedded, lengths, W_x, W_h, b_x, b_h):
    real = (np.arange(len(embedded))[:, None] < lengths)[..., None]
    hs, _ = encode(embedded * real, lengths, W_x, W_h, b_x, b_h)
    return hs, hs[-1]


@mistake_of("encode")
def encode__zeroes_the_state_on_padding(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, _ = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    hs = hs * (np.arange(len(hs))[:, None] < lengths)[..., None]
    return hs, hs[-1]


@mistake_of("encode")
def encode__sorts_the_contexts_by_length(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, context = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    return hs, context[np.argsort(-lengths, kind="stable")]


@mistake_of("encode")
def encode__cuts_the_padding_off(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, context = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    return hs[: lengths.max()], context


@mistake_of("encode")
def encode__keeps_an_axis_for_layers(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, context = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    return hs, context[None]


@mistake_of("encode")
def encode__returns_the_context_first(embedded, lengths, W_x, W_h, b_x, b_h):
    hs, context = encode(embedded, lengths, W_x, W_h, b_x, b_h)
    return context, hs


@mistake_of("encode")
def encode__starts_every_step_from_zero(embedded, lengths, W_x, W_h, b_x, b_h):
    steps = [encode(x[None], np.ones_like(lengths), W_x, W_h, b_x, b_h)[1] for x in embedded]
    hs = np.stack(steps)
    return hs, hs[lengths - 1, np.arange(len(lengths))]


def _own_gru(embedded, lengths, W_x, W_h, b_x, b_h, before=False):
    """The encoder with its step spelled out; `before`: the reset gate comes before the product."""
    h, hs = np.zeros((len(lengths), W_h.shape[1])), []
    W_hn, b_hn = np.split(W_h, 3)[2], np.split(b_h, 3)[2]
    for x in embedded:
        x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=1)
        h_r, h_z, h_n = np.split(h @ W_h.T + b_h, 3, axis=1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + ((r * h) @ W_hn.T + b_hn if before else r * (h_n - b_hn) + b_hn))
        h = (1 - z) * n + z * h
        hs.append(h)
    hs = np.stack(hs)
    return hs, hs[lengths - 1, np.arange(len(lengths))]


@mistake_of("encode")
def encode__resets_before_the_product(embedded, lengths, W_x, W_h, b_x, b_h):
    return _own_gru(embedded, lengths, W_x, W_h, b_x, b_h, before=True)


@mistake_of("encode")
def encode__leaves_b_hn_outside_the_reset(embedded, lengths, W_x, W_h, b_x, b_h):
    return _own_gru(embedded, lengths, W_x, W_h, b_x, b_h)


@mistake_of("encode")
def encode__stacks_the_gates_z_r_n(embedded, lengths, W_x, W_h, b_x, b_h):
    z, r, n = np.split(np.arange(len(b_x)), 3)
    order = np.concatenate([r, z, n])
    return encode(embedded, lengths, W_x[order], W_h[order], b_x[order], b_h[order])


@mistake_of("encode")
def encode__flips_the_update_gate(embedded, lengths, W_x, W_h, b_x, b_h):
    H = W_h.shape[1]
    sign = np.repeat([1.0, -1.0, 1.0], H)
    return encode(
        embedded, lengths, sign[:, None] * W_x, sign[:, None] * W_h, sign * b_x, sign * b_h
    )


@mistake_of("encode")
def encode__writes_into_embedded(embedded, lengths, W_x, W_h, b_x, b_h):
    embedded[np.arange(len(embedded))[:, None] >= lengths] = 0.0
    return encode(embedded, lengths, W_x, W_h, b_x, b_h)


# sequence_nll


def _log_softmax(logits, axis=-1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _at_targets(array, targets):
    return np.take_along_axis(array, targets[..., None], axis=-1)[..., 0]


def _mean(losses, targets, pad):
    real = targets != pad
    return float(losses[real].sum() / max(real.sum(), 1))


def _losses(logits, targets):
    return -_at_targets(_log_softmax(logits), targets)


@mistake_of("sequence_nll")
def sequence_nll__counts_the_padding(logits, targets, pad):
    return float(_losses(logits, targets).mean())


@mistake_of("sequence_nll")
def sequence_nll__divides_by_all_positions(logits, targets, pad):
    return float((_losses(logits, targets) * (targets != pad)).mean())


def _mean_of_means(logits, targets, pad, axis):
    real = targets != pad
    sums, counts = (_losses(logits, targets) * real).sum(axis=axis), real.sum(axis=axis)
    return float((sums / np.maximum(counts, 1)).sum() / max((counts > 0).sum(), 1))


@mistake_of("sequence_nll")
def sequence_nll__averages_each_sequence_first(logits, targets, pad):
    return _mean_of_means(logits, targets, pad, axis=0)


@mistake_of("sequence_nll")
def sequence_nll__averages_each_step_first(logits, targets, pad):
    return _mean_of_means(logits, targets, pad, axis=1)


@mistake_of("sequence_nll")
def sequence_nll__takes_the_sum_over_a_sequence(logits, targets, pad):
    return float((_losses(logits, targets) * (targets != pad)).sum(axis=0).mean())


@mistake_of("sequence_nll")
def sequence_nll__takes_the_sum(logits, targets, pad):
    return float((_losses(logits, targets) * (targets != pad)).sum())


@mistake_of("sequence_nll")
def sequence_nll__takes_0_for_the_padding(logits, targets, pad):
    return sequence_nll(logits, targets, 0)


@mistake_of("sequence_nll")
def sequence_nll__leaves_pad_out_of_the_softmax(logits, targets, pad):
    logits = logits.copy()
    logits[..., pad] = -np.inf
    real = targets != pad
    losses = -_at_targets(_log_softmax(logits), np.where(real, targets, (pad + 1) % 2))
    return _mean(losses, targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__takes_logits_for_log_probabilities(logits, targets, pad):
    return _mean(-_at_targets(logits, targets), targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__forgets_the_minus(logits, targets, pad):
    return -sequence_nll(logits, targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__forgets_the_logarithm(logits, targets, pad):
    return _mean(-np.exp(-_losses(logits, targets)), targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__measures_in_bits(logits, targets, pad):
    return sequence_nll(logits, targets, pad) / np.log(2)


@mistake_of("sequence_nll")
def sequence_nll__returns_the_perplexity(logits, targets, pad):
    return np.exp(sequence_nll(logits, targets, pad))


@mistake_of("sequence_nll")
def sequence_nll__gives_nan_for_nothing_but_padding(logits, targets, pad):
    real = targets != pad
    return sequence_nll(logits, targets, pad) if real.any() else float("nan")


def _unguarded(logits, targets, pad, shift=0.0, add=0.0):
    """The softmax first and its logarithm afterwards, with this shift."""
    with np.errstate(all="ignore"):
        exponentials = np.exp(logits - shift)
        p = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return _mean(-np.log(_at_targets(p, targets) + add), targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__overflows(logits, targets, pad):
    return _unguarded(logits, targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__shifts_by_a_shared_maximum(logits, targets, pad):
    with np.errstate(all="ignore"):
        shifted = logits - logits.max()
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return _mean(-_at_targets(log_p, targets), targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__takes_the_logarithm_of_the_probability(logits, targets, pad):
    return _unguarded(logits, targets, pad, logits.max(axis=-1, keepdims=True))


@mistake_of("sequence_nll")
def sequence_nll__adds_1e_12_inside_the_logarithm(logits, targets, pad):
    return _unguarded(logits, targets, pad, logits.max(axis=-1, keepdims=True), 1e-12)


@mistake_of("sequence_nll")
def sequence_nll__normalises_over_time(logits, targets, pad):
    return _mean(-_at_targets(_log_softmax(logits, axis=0), targets), targets, pad)


@mistake_of("sequence_nll")
def sequence_nll__writes_into_the_logits(logits, targets, pad):
    logits -= logits.max(axis=-1, keepdims=True)
    return sequence_nll(logits, targets, pad)


# greedy_decode


@mistake_of("greedy_decode")
def greedy_decode__keeps_eos(step, state, bos, eos, max_len):
    tokens, token = [], bos
    while len(tokens) < max_len and token != eos:
        log_probs, state = step(token, state)
        token = int(np.argmax(log_probs))
        tokens.append(token)
    return tokens


@mistake_of("greedy_decode")
def greedy_decode__keeps_bos(step, state, bos, eos, max_len):
    return [bos, *greedy_decode(step, state, bos, eos, max_len)]


@mistake_of("greedy_decode")
def greedy_decode__feeds_bos_at_every_step(step, state, bos, eos, max_len):
    return greedy_decode(lambda token, state: step(bos, state), state, bos, eos, max_len)


@mistake_of("greedy_decode")
def greedy_decode__does_not_start_from_bos(step, state, bos, eos, max_len):
    return greedy_decode(step, state, 0, eos, max_len)


@mistake_of("greedy_decode")
def greedy_decode__forgets_the_new_state(step, state, bos, eos, max_len):
    first = state
    return greedy_decode(lambda token, state: step(token, first), state, bos, eos, max_len)


@mistake_of("greedy_decode")
def greedy_decode__loses_the_last_token_where_no_eos_comes(step, state, bos, eos, max_len):
    return greedy_decode__keeps_eos(step, state, bos, eos, max_len)[:-1]


@mistake_of("greedy_decode")
def greedy_decode__takes_one_token_too_many(step, state, bos, eos, max_len):
    return greedy_decode(step, state, bos, eos, max_len + 1)


@mistake_of("greedy_decode")
def greedy_decode__ignores_max_len(step, state, bos, eos, max_len):
    return greedy_decode(step, state, bos, eos, 10**6)


@mistake_of("greedy_decode")
def greedy_decode__does_not_stop_at_eos(step, state, bos, eos, max_len):
    tokens, token = [], bos
    for _ in range(max_len):
        log_probs, state = step(token, state)
        token = int(np.argmax(log_probs))
        tokens.append(token)
    return [token for token in tokens if token != eos]


@mistake_of("greedy_decode")
def greedy_decode__takes_the_last_of_equals(step, state, bos, eos, max_len):
    def backwards(token, state):
        log_probs, state = step(len(log_ids) - 1 - token, state)
        return log_probs[::-1], state

    log_ids, _ = step(bos, state)
    last = len(log_ids) - 1
    tokens = greedy_decode(backwards, state, last - bos, last - eos, max_len)
    return [last - token for token in tokens]


@mistake_of("greedy_decode")
def greedy_decode__returns_an_array(step, state, bos, eos, max_len):
    return np.array(greedy_decode(step, state, bos, eos, max_len), dtype=int)


# beam_search


def _score(log_prob, tokens, eos, alpha):
    return log_prob / len(tokens) ** alpha


def _first_best(finished, live, scores):
    """The first of the best; the finished stand before the live."""
    return int(np.argmax(scores))


def _by_rank(extension):
    return -extension["log_prob"]


def _search(
    step,
    state,
    bos,
    eos,
    max_len,
    width,
    alpha=0.0,
    order=_by_rank,
    prune=None,
    stop=None,
    score=_score,
    winner=_first_best,
    live_first=False,
    places=None,
):
    """Beam search with a place for each thing that can be done wrongly.

    order: the key by which extensions are sorted; prune: (extensions sorted within each hypothesis,
    width) -> those kept; stop: (finished, live) -> whether to stop after a step; score:
    (log_prob, tokens, eos, alpha) -> number; winner: the index of the best of finished + live;
    places: (width, finished so far) -> how many are kept. Returns (tokens with eos, score, log_prob).
    """
    finished = []
    live = [{"tokens": [], "log_prob": 0.0, "last": bos, "state": state}]
    for _ in range(max_len):
        pools = []
        for hypothesis in live:
            log_probs, after = step(hypothesis["last"], hypothesis["state"])
            pools.append(
                [
                    {
                        "tokens": [*hypothesis["tokens"], token],
                        "log_prob": hypothesis["log_prob"] + float(log_probs[token]),
                        "own": float(log_probs[token]),
                        "last": token,
                        "state": after,
                    }
                    for token in range(len(log_probs))
                    if token != bos
                ]
            )
        room = places(width, len(finished)) if places else width
        every = list(itertools.chain(*pools))
        best = prune(pools, room) if prune else sorted(every, key=order)[:room]
        finished += [extension for extension in best if extension["last"] == eos]
        live = [extension for extension in best if extension["last"] != eos]
        if not live or (stop and stop(finished, live)):
            break
    found = live + finished if live_first else finished + live
    scores = [score(one["log_prob"], one["tokens"], eos, alpha) for one in found]
    best = winner(finished, live, scores)
    return found[best]["tokens"], scores[best], found[best]["log_prob"]


def _without_eos(found, eos):
    tokens, score, _ = found
    return [token for token in tokens if token != eos], score


@mistake_of("beam_search")
def beam_search__ignores_the_width(step, state, bos, eos, max_len, width, alpha=0.0):
    return beam_search(step, state, bos, eos, max_len, 1, alpha)


@mistake_of("beam_search")
def beam_search__extends_each_greedily(step, state, bos, eos, max_len, width, alpha=0.0):
    def prune(pools, width):
        if len(pools) == 1 and len(pools[0][0]["tokens"]) == 1:
            return sorted(pools[0], key=_by_rank)[:width]
        return sorted([min(pool, key=_by_rank) for pool in pools], key=_by_rank)

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, prune=prune), eos)


@mistake_of("beam_search")
def beam_search__prunes_each_hypothesis_by_itself(step, state, bos, eos, max_len, width, alpha=0.0):
    def prune(pools, width):
        return [one for pool in pools for one in sorted(pool, key=_by_rank)[:width]]

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, prune=prune), eos)


@mistake_of("beam_search")
def beam_search__ranks_by_the_last_step_alone(step, state, bos, eos, max_len, width, alpha=0.0):
    found = _search(
        step, state, bos, eos, max_len, width, alpha, order=lambda extension: -extension["own"]
    )
    return _without_eos(found, eos)


@mistake_of("beam_search")
def beam_search__feeds_the_wrong_states(step, state, bos, eos, max_len, width, alpha=0.0):
    finished, live, states = [], [([], 0.0)], [state]
    for _ in range(max_len):
        pool, states_after = [], []
        for (tokens, log_prob), before in zip(live, states, strict=True):
            log_probs, after = step(tokens[-1] if tokens else bos, before)
            states_after.append(after)
            pool += [([*tokens, k], log_prob + float(log_probs[k])) for k in range(len(log_probs))]
        best = sorted(pool, key=lambda extension: -extension[1])[:width]
        finished += [one for one in best if one[0][-1] == eos]
        live = [one for one in best if one[0][-1] != eos]
        states = [states_after[min(i, len(states_after) - 1)] for i in range(len(live))]
        if not live:
            break
    found = finished + live
    scores = [log_prob / len(tokens) ** alpha for tokens, log_prob in found]
    best = int(np.argmax(scores))
    return [token for token in found[best][0] if token != eos], scores[best]


@mistake_of("beam_search")
def beam_search__shares_one_state(step, state, bos, eos, max_len, width, alpha=0.0):
    shared = state

    def step_from_shared(token, _):
        nonlocal shared
        log_probs, shared = step(token, shared)
        return log_probs, shared

    return beam_search(step_from_shared, state, bos, eos, max_len, width, alpha)


@mistake_of("beam_search")
def beam_search__stops_at_the_first_end(step, state, bos, eos, max_len, width, alpha=0.0):
    def best_finished(finished, live, scores):
        return int(np.argmax(scores[: len(finished)] or scores))

    found = _search(
        step,
        state,
        bos,
        eos,
        max_len,
        width,
        alpha,
        stop=lambda finished, live: bool(finished),
        winner=best_finished,
    )
    return _without_eos(found, eos)


@mistake_of("beam_search")
def beam_search__stops_after_width_ends(step, state, bos, eos, max_len, width, alpha=0.0):
    def enough(finished, live):
        return len(finished) >= width

    def winner(finished, live, scores):
        chosen = scores[: len(finished)] if len(finished) >= width else scores
        return int(np.argmax(chosen))

    found = _search(step, state, bos, eos, max_len, width, alpha, stop=enough, winner=winner)
    return _without_eos(found, eos)


@mistake_of("beam_search")
def beam_search__stops_when_the_finished_lead(step, state, bos, eos, max_len, width, alpha=0.0):
    def best(hypotheses):
        scores = [_score(one["log_prob"], one["tokens"], eos, alpha) for one in hypotheses]
        return max(scores, default=-np.inf)

    found = _search(
        step,
        state,
        bos,
        eos,
        max_len,
        width,
        alpha,
        stop=lambda finished, live: best(finished) >= best(live),
    )
    return _without_eos(found, eos)


@mistake_of("beam_search")
def beam_search__narrows_the_beam(step, state, bos, eos, max_len, width, alpha=0.0):
    found = _search(
        step,
        state,
        bos,
        eos,
        max_len,
        width,
        alpha,
        places=lambda width, ended: width - ended,
        stop=lambda finished, live: len(finished) >= width,
    )
    return _without_eos(found, eos)


@mistake_of("beam_search")
def beam_search__finished_keep_their_places(step, state, bos, eos, max_len, width, alpha=0.0):
    beam = [([], 0.0, state)]
    for _ in range(max_len):
        pool = []
        for tokens, log_prob, before in beam:
            if tokens and tokens[-1] == eos:
                pool.append((tokens, log_prob, before))
                continue
            log_probs, after = step(tokens[-1] if tokens else bos, before)
            pool += [
                ([*tokens, k], log_prob + float(log_probs[k]), after)
                for k in range(len(log_probs))
                if k != bos
            ]
        beam = sorted(pool, key=lambda extension: -extension[1])[:width]
    scores = [log_prob / len(tokens) ** alpha for tokens, log_prob, _ in beam]
    best = int(np.argmax(scores))
    return [token for token in beam[best][0] if token != eos], scores[best]


@mistake_of("beam_search")
def beam_search__eos_takes_no_place(step, state, bos, eos, max_len, width, alpha=0.0):
    def prune(pools, width):
        ended = [one for pool in pools for one in pool if one["last"] == eos]
        others = [one for pool in pools for one in pool if one["last"] != eos]
        return ended + sorted(others, key=_by_rank)[:width]

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, prune=prune), eos)


@mistake_of("beam_search")
def beam_search__fills_the_places_of_the_ended_at_once(
    step, state, bos, eos, max_len, width, alpha=0.0
):
    def prune(pools, width):
        best = sorted(itertools.chain(*pools), key=_by_rank)
        ended = [one for one in best[:width] if one["last"] == eos]
        return ended + [one for one in best if one["last"] != eos][:width]

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, prune=prune), eos)


@mistake_of("beam_search")
def beam_search__goes_on_after_eos(step, state, bos, eos, max_len, width, alpha=0.0):
    tokens, score, _ = _search(step, state, bos, -1, max_len, width, alpha)
    return tokens[: tokens.index(eos)] if eos in tokens else tokens, score


@mistake_of("beam_search")
def beam_search__live_do_not_compete(step, state, bos, eos, max_len, width, alpha=0.0):
    def winner(finished, live, scores):
        return int(np.argmax(scores[: len(finished)] or scores))

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, winner=winner), eos)


@mistake_of("beam_search")
def beam_search__finished_do_not_compete(step, state, bos, eos, max_len, width, alpha=0.0):
    def winner(finished, live, scores):
        ignored = len(finished) if live else 0
        return ignored + int(np.argmax(scores[ignored:]))

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, winner=winner), eos)


@mistake_of("beam_search")
def beam_search__takes_one_step_too_few(step, state, bos, eos, max_len, width, alpha=0.0):
    if max_len == 1:
        return [], 0.0
    return beam_search(step, state, bos, eos, max_len - 1, width, alpha)


@mistake_of("beam_search")
def beam_search__takes_one_step_too_many(step, state, bos, eos, max_len, width, alpha=0.0):
    return beam_search(step, state, bos, eos, max_len + 1, width, alpha)


@mistake_of("beam_search")
def beam_search__ignores_alpha(step, state, bos, eos, max_len, width, alpha=0.0):
    return beam_search(step, state, bos, eos, max_len, width)


def _scored_by(score):
    """Beam search with another score."""

    def search(step, state, bos, eos, max_len, width, alpha=0.0):
        found = _search(step, state, bos, eos, max_len, width, alpha, score=score)
        return _without_eos(found, eos)

    return search


@mistake_of("beam_search")
def beam_search__uses_another_length_penalty(step, state, bos, eos, max_len, width, alpha=0.0):
    search = _scored_by(
        lambda log_prob, tokens, eos, alpha: log_prob / ((5 + len(tokens)) / 6) ** alpha
    )
    return search(step, state, bos, eos, max_len, width, alpha)


@mistake_of("beam_search")
def beam_search__does_not_count_eos(step, state, bos, eos, max_len, width, alpha=0.0):
    def score(log_prob, tokens, eos, alpha):
        n = len(tokens) - (tokens[-1] == eos)
        with np.errstate(divide="ignore"):
            return float(np.float64(log_prob) / n**alpha)  # nothing but eos: minus infinity

    return _scored_by(score)(step, state, bos, eos, max_len, width, alpha)


@mistake_of("beam_search")
def beam_search__divides_by_the_length_of_the_empty_answer(
    step, state, bos, eos, max_len, width, alpha=0.0
):
    def score(log_prob, tokens, eos, alpha):
        return log_prob / (len(tokens) - (tokens[-1] == eos)) ** alpha

    return _scored_by(score)(step, state, bos, eos, max_len, width, alpha)


@mistake_of("beam_search")
def beam_search__counts_eos_for_the_live(step, state, bos, eos, max_len, width, alpha=0.0):
    def score(log_prob, tokens, eos, alpha):
        return log_prob / (len(tokens) + (tokens[-1] != eos)) ** alpha

    return _scored_by(score)(step, state, bos, eos, max_len, width, alpha)


@mistake_of("beam_search")
def beam_search__counts_bos(step, state, bos, eos, max_len, width, alpha=0.0):
    search = _scored_by(lambda log_prob, tokens, eos, alpha: log_prob / (len(tokens) + 1) ** alpha)
    return search(step, state, bos, eos, max_len, width, alpha)


@mistake_of("beam_search")
def beam_search__chooses_before_it_normalises(step, state, bos, eos, max_len, width, alpha=0.0):
    tokens, score, _ = _search(step, state, bos, eos, max_len, width)
    return [token for token in tokens if token != eos], score / len(tokens) ** alpha


@mistake_of("beam_search")
def beam_search__returns_the_raw_score(step, state, bos, eos, max_len, width, alpha=0.0):
    tokens, _, log_prob = _search(step, state, bos, eos, max_len, width, alpha)
    return [token for token in tokens if token != eos], log_prob


@mistake_of("beam_search")
def beam_search__keeps_eos(step, state, bos, eos, max_len, width, alpha=0.0):
    return _search(step, state, bos, eos, max_len, width, alpha)[:2]


@mistake_of("beam_search")
def beam_search__keeps_bos(step, state, bos, eos, max_len, width, alpha=0.0):
    tokens, score = beam_search(step, state, bos, eos, max_len, width, alpha)
    return [bos, *tokens], score


@mistake_of("beam_search")
def beam_search__returns_the_score_first(step, state, bos, eos, max_len, width, alpha=0.0):
    return beam_search(step, state, bos, eos, max_len, width, alpha)[::-1]


@mistake_of("beam_search")
def beam_search__lower_token_before_higher_rank(step, state, bos, eos, max_len, width, alpha=0.0):
    found = _search(
        step,
        state,
        bos,
        eos,
        max_len,
        width,
        alpha,
        order=lambda extension: (-extension["log_prob"], extension["last"]),
    )
    return _without_eos(found, eos)


@mistake_of("beam_search")
def beam_search__keeps_the_last_of_equals(step, state, bos, eos, max_len, width, alpha=0.0):
    def prune(pools, width):
        upwards = sorted(itertools.chain(*pools), key=lambda extension: extension["log_prob"])
        return upwards[::-1][:width]

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, prune=prune), eos)


@mistake_of("beam_search")
def beam_search__last_found_wins(step, state, bos, eos, max_len, width, alpha=0.0):
    def winner(finished, live, scores):
        return len(scores) - 1 - int(np.argmax(scores[::-1]))

    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, winner=winner), eos)


@mistake_of("beam_search")
def beam_search__live_win_ties(step, state, bos, eos, max_len, width, alpha=0.0):
    return _without_eos(_search(step, state, bos, eos, max_len, width, alpha, live_first=True), eos)


# edit_distance


def _table(a, b, fill):
    """The last entry of a table; fill: (above, left, diagonal, whether equal) -> the next entry."""
    rows = [list(range(len(b) + 1))]
    for i, item in enumerate(a, start=1):
        row, above = [i], rows[-1]
        for j, other in enumerate(b, start=1):
            same = item == other
            row.append(fill(above[j], row[j - 1], above[j - 1], same))
        rows.append(row)
    return rows[-1][-1]


@mistake_of("edit_distance")
def edit_distance__compares_position_by_position(a, b):
    return sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b))


@mistake_of("edit_distance")
def edit_distance__charges_two_for_a_substitution(a, b):
    return _table(a, b, fill=lambda up, left, diag, same: diag if same else 1 + min(up, left))


@mistake_of("edit_distance")
def edit_distance__counts_an_exchange_of_neighbours_as_one(a, b):
    rows = [list(range(len(b) + 1))]
    for i in range(1, len(a) + 1):
        row = [i]
        for j in range(1, len(b) + 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


@mistake_of("edit_distance")
def edit_distance__charges_for_equal_tokens(a, b):
    return _table(a, b, fill=lambda up, left, diag, same: 1 + min(up, left, diag))


def _with_edges(a, b, row, column):
    """The distance from a table whose first row or column holds zeros instead of the counts."""
    rows = [[j * row for j in range(len(b) + 1)]]
    for i, item in enumerate(a, start=1):
        new, above = [i * column], rows[-1]
        for j, other in enumerate(b, start=1):
            new.append(min(above[j] + 1, new[j - 1] + 1, above[j - 1] + (item != other)))
        rows.append(new)
    return rows[-1][-1]


@mistake_of("edit_distance")
def edit_distance__starts_the_table_with_zeros(a, b):
    return _with_edges(a, b, row=0, column=0)


@mistake_of("edit_distance")
def edit_distance__leaves_the_first_column_at_zero(a, b):
    return _with_edges(a, b, row=1, column=0)


@mistake_of("edit_distance")
def edit_distance__leaves_the_first_row_at_zero(a, b):
    return _with_edges(a, b, row=0, column=1)


@mistake_of("edit_distance")
def edit_distance__goes_anywhere_for_free_at_a_match(a, b):
    return _table(a, b, fill=lambda up, left, diag, same: min(up, left, diag) + (not same))


@mistake_of("edit_distance")
def edit_distance__never_deletes(a, b):
    return _table(a, b, fill=lambda up, left, diag, same: min(left + 1, diag + (not same)))


@mistake_of("edit_distance")
def edit_distance__leaves_out_the_last_tokens(a, b):
    return edit_distance(a[:-1], b[:-1])


@mistake_of("edit_distance")
def edit_distance__takes_an_empty_sequence_for_equal(a, b):
    return edit_distance(a, b) if a and b else 0


@mistake_of("edit_distance")
def edit_distance__compares_characters(a, b):
    return edit_distance("".join(map(str, a)), "".join(map(str, b)))


@mistake_of("edit_distance")
def edit_distance__divides_by_the_length(a, b):
    return edit_distance(a, b) / max(len(a), len(b), 1)


@mistake_of("edit_distance")
def edit_distance__returns_a_float(a, b):
    return float(edit_distance(a, b))


# teacher_forcing_mix


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__takes_the_prediction_below_p(targets, predictions, u, p):
    return np.where(u < p, predictions, targets)


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__takes_the_target_above_p(targets, predictions, u, p):
    return np.where(u > p, targets, predictions)


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__takes_the_target_at_p_itself(targets, predictions, u, p):
    return np.where(u <= p, targets, predictions)


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__decides_once_for_a_sequence(targets, predictions, u, p):
    return np.where(u[0] < p, targets, predictions)


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__decides_once_for_a_step(targets, predictions, u, p):
    return np.where(u[:, :1] < p, targets, predictions)


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__decides_once_for_the_batch(targets, predictions, u, p):
    return targets.copy() if u[0, 0] < p else predictions.copy()


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__blends_the_ids(targets, predictions, u, p):
    return p * targets + (1 - p) * predictions


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__takes_the_prediction_of_the_step_before(targets, predictions, u, p):
    before = np.concatenate([targets[:1], predictions[:-1]])
    return np.where(u < p, targets, before)


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__keeps_the_first_target(targets, predictions, u, p):
    out = teacher_forcing_mix(targets, predictions, u, p)
    out[0] = targets[0]
    return out


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__returns_floats(targets, predictions, u, p):
    gold = (u < p).astype(float)
    return gold * targets + (1 - gold) * predictions


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__writes_into_the_targets(targets, predictions, u, p):
    targets[u >= p] = predictions[u >= p]
    return targets


@mistake_of("teacher_forcing_mix")
def teacher_forcing_mix__writes_into_the_predictions(targets, predictions, u, p):
    predictions[u < p] = targets[u < p]
    return predictions
