"""Chapter 9's references against torch, to 1e-10, and against searching everything."""

import itertools

import numpy as np
import pytest
import torch

from autograder.reference import sequence_to_sequence as reference

SIZES = [(1, 1, 1, 1), (2, 1, 3, 2), (5, 3, 2, 4), (5, 4, 3, 3), (3, 3, 3, 3)]  # T, B, D, H
each_size = pytest.mark.parametrize(("T", "B", "D", "H"), SIZES)
each_seed = pytest.mark.parametrize("seed", range(20))
BOS, EOS = 3, 1


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


# The encoder and the loss


def problem(T, B, D, H, seed=0):
    rng = np.random.default_rng(seed)
    parameters = [
        rng.normal(size=(3 * H, D)) / np.sqrt(D),
        rng.normal(size=(3 * H, H)) / np.sqrt(H),
        rng.normal(size=3 * H),
        rng.normal(size=3 * H),
    ]
    return rng.normal(size=(T, B, D)), rng.integers(1, T + 1, size=B), parameters


@each_size
def test_the_encoder_is_torchs_gru_on_a_packed_batch(T, B, D, H):
    embedded, lengths, parameters = problem(T, B, D, H)
    theirs = torch.nn.GRU(D, H, dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), parameters, strict=True):
            parameter.copy_(torch.tensor(value))
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(embedded), torch.tensor(lengths), enforce_sorted=False
    )
    out, last = theirs(packed)
    states, _ = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=T)
    hs, context = reference.encode(embedded, lengths, *parameters)
    real = np.arange(T)[:, None] < lengths
    close(hs[real], states.detach().numpy()[real])
    close(context, last[0].detach().numpy())


@each_size
def test_padding_reaches_neither_a_real_state_nor_the_context(T, B, D, H):
    embedded, lengths, parameters = problem(T, B, D, H)
    real = np.arange(T)[:, None] < lengths
    other = np.where(real[..., None], embedded, 100.0)
    hs, context = reference.encode(embedded, lengths, *parameters)
    hs_other, context_other = reference.encode(other, lengths, *parameters)
    assert np.array_equal(hs[real], hs_other[real])
    assert np.array_equal(context, context_other)


@pytest.mark.parametrize("pad", [0, 2, 4])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_loss_is_torchs_with_an_ignored_index(pad, scale):
    rng = np.random.default_rng(pad)
    for T, B in [(1, 1), (1, 3), (4, 2), (5, 5)]:
        logits = scale * rng.normal(size=(T, B, 5))
        targets = rng.integers(0, 5, size=(T, B))
        targets[0, 0] = (pad + 1) % 5
        theirs = torch.nn.functional.cross_entropy(
            torch.tensor(logits).reshape(-1, 5), torch.tensor(targets).ravel(), ignore_index=pad
        )
        close(reference.sequence_nll(logits, targets, pad), float(theirs))


def test_a_batch_of_padding_costs_nothing_and_any_id_can_be_the_padding():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4))
    for pad in (0, 3, -100):
        loss = reference.sequence_nll(logits, np.full((2, 3), pad), pad)
        assert isinstance(loss, float)
        assert loss == 0.0


def test_shifted_targets_begin_with_bos_and_lose_their_last():
    targets = np.arange(12).reshape(4, 3)
    shifted = reference.shift_right(targets, 99)
    assert shifted.dtype == targets.dtype
    assert (shifted[0] == 99).all()
    assert np.array_equal(shifted[1:], targets[:-1])
    assert (reference.shift_right(targets[:1], 99) == 99).all()


# Decoding


def random_step(seed, V=4):
    """A model with random probabilities after every prefix, of which the state is the whole."""
    tables = {}

    def step(token, state):
        prefix = (*state, int(token))
        assert prefix[0] == BOS
        if prefix not in tables:
            logits = np.random.default_rng([seed, *prefix]).normal(scale=1.5, size=V)
            logits[BOS] = -np.inf
            tables[prefix] = logits - np.logaddexp.reduce(logits)
        return tables[prefix].copy(), prefix

    return step


def log_prob(step, tokens):
    """Of a sequence of tokens, eos among them where it ends."""
    total, state, last = 0.0, (), BOS
    for token in tokens:
        log_probs, state = step(last, state)
        total, last = total + log_probs[token], token
    return total


def every_sequence(max_len, V=4):
    """All that can be generated: with eos at the end, or max_len tokens without it."""
    words = [token for token in range(V) if token not in (BOS, EOS)]
    for n in range(max_len):
        for tokens in itertools.product(words, repeat=n):
            yield (*tokens, EOS)
    yield from itertools.product(words, repeat=max_len)


@each_seed
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("max_len", [1, 2, 4])
def test_a_beam_that_is_wide_enough_finds_the_best_of_all(seed, alpha, max_len):
    step = random_step(seed)
    tokens, score = reference.beam_search(step, (), BOS, EOS, max_len, 3**max_len, alpha)
    scores = {
        sequence: log_prob(step, sequence) / len(sequence) ** alpha
        for sequence in every_sequence(max_len)
    }
    best = max(scores, key=scores.get)
    close(score, scores[best])
    assert tokens == [token for token in best if token != EOS]


@each_seed
def test_a_beam_of_one_is_greedy(seed):
    step = random_step(seed)
    for max_len in (1, 2, 5, 9):
        greedy = reference.greedy_decode(step, (), BOS, EOS, max_len)
        assert reference.beam_search(step, (), BOS, EOS, max_len, 1)[0] == greedy
        assert len(greedy) <= max_len


@each_seed
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_the_score_is_that_of_the_returned_tokens(seed, width):
    step = random_step(seed)
    for alpha in (0.0, 0.7):
        tokens, score = reference.beam_search(step, (), BOS, EOS, 4, width, alpha)
        candidates = [(*tokens, EOS)] if len(tokens) < 4 else [tuple(tokens)]
        assert any(abs(log_prob(step, c) / len(c) ** alpha - score) < 1e-10 for c in candidates)
        assert all(token not in (BOS, EOS) for token in tokens)


def table_step(table):
    """A model that is given as {prefix: probabilities}; what is not named is nearly impossible."""

    def step(token, state):
        prefix = state + ("" if token == BOS else "abcdefgh"[token - 4])
        row = np.full(12, -1e9)
        for name, value in table.get(prefix, {".": 0.0}).items():
            row[EOS if name == "." else 4 + "abcdefgh".index(name)] = value
        return row, prefix

    return step


def search(table, width, max_len=6, alpha=0.0):
    tokens, score = reference.beam_search(table_step(table), "", BOS, EOS, max_len, width, alpha)
    return "".join("abcdefgh"[token - 4] for token in tokens), score


def test_ties_go_to_the_higher_rank_then_to_the_lower_token_and_in_the_end_to_the_first_found():
    rank = {"": {"a": -1, "b": -1}, "a": {"d": -1, "e": -0.5}, "b": {"c": -1}, "ae": {".": -9}}
    assert search(rank, 2) == ("ad", -2)
    lower = {"": {"c": -1, "d": -1, "a": -0.5}, "a": {"a": -5}}
    assert search(lower, 2) == ("c", -1)
    first = {"": {"a": -0.5, "b": -1}, "a": {"c": -0.5}, "ac": {".": -0.5}, "b": {".": -0.5}}
    assert search(first, 2) == ("b", -1.5)
    ended = {"": {"a": -0.5}, "a": {".": -1, "c": -0.5}, "ac": {"d": -0.5}}
    assert search(ended, 2, max_len=3) == ("a", -1.5)


def test_a_finished_hypothesis_leaves_the_beam_at_full_width():
    table = {"": {"a": -1, ".": -1.5, "b": -2}, "a": {"c": -1, "d": -1.1}, "ac": {".": -5}}
    assert search(table, 2, alpha=1.0) == ("ad", pytest.approx(-2.1 / 3))
    assert search(table, 2, alpha=0.0) == ("", -1.5)


def test_greedy_takes_the_first_of_equals_and_stops_in_time():
    table = {"": {"c": -1, "b": -1, ".": -1.5}, "b": {"d": -1}, "bd": {"a": -1}, "bda": {".": -1}}
    decode = reference.greedy_decode
    assert decode(table_step(table), "", BOS, EOS, 9) == [5, 7, 4]
    assert decode(table_step(table), "", BOS, EOS, 3) == [5, 7, 4]
    assert decode(table_step(table), "", BOS, EOS, 2) == [5, 7]
    assert decode(table_step({"": {".": -0.1, "a": -2}}), "", BOS, EOS, 4) == []


# Distance, and what the decoder reads


def neighbours(sequence, alphabet):
    """All sequences one edit away."""
    for i in range(len(sequence) + 1):
        yield from (sequence[:i] + x + sequence[i:] for x in alphabet)
        if i < len(sequence):
            yield sequence[:i] + sequence[i + 1 :]
            yield from (sequence[:i] + x + sequence[i + 1 :] for x in alphabet)


def test_the_distance_is_the_length_of_the_shortest_way_of_single_edits():
    start, distances = "abba", {"abba": 0}
    front = [start]
    for edits in range(1, 4):
        front = {b for a in front for b in neighbours(a, "abc") if b not in distances}
        distances |= dict.fromkeys(front, edits)
    for other, edits in distances.items():
        assert reference.edit_distance(start, other) == edits
        assert reference.edit_distance(list(other), list(start)) == edits


def test_the_distance_is_a_metric():
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 3, size=rng.integers(0, 7)).tolist() for _ in range(12)]
    for a, b, c in itertools.product(words, repeat=3):
        to_b = reference.edit_distance(a, b)
        assert (to_b == 0) == (a == b)
        assert to_b == reference.edit_distance(b, a)
        assert to_b <= reference.edit_distance(a, c) + reference.edit_distance(c, b)
        assert abs(len(a) - len(b)) <= to_b <= max(len(a), len(b))


def test_the_mixture_is_gold_with_probability_p():
    rng = np.random.default_rng(0)
    u = rng.random((100, 100))
    targets, predictions = np.ones(u.shape, int), np.zeros(u.shape, int)
    for p in (0.0, 0.3, 1.0):
        mixed = reference.teacher_forcing_mix(targets, predictions, u, p)
        assert mixed.dtype == targets.dtype
        assert abs(mixed.mean() - p) <= 0.02 * (0 < p < 1)
    assert reference.teacher_forcing_mix(targets[:1], predictions[:1], u[:1], u[0, 0])[0, 0] == 0
