"""Chapter 9: from a sequence to a sequence: encoder, loss, decoding, and what to measure.

A model is asked by `step(token, state) -> (log_probs (V,), state)`: one token in, the logarithms of
the probabilities of the next one out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograder.reference.gru import gru_forward
from autograder.reference.vanilla_rnn import softmax_cross_entropy

Array = np.ndarray
Step = Callable[[int, Any], tuple[Array, Any]]


def shift_right(targets: Array, bos: int) -> Array:
    """What the decoder reads while it is taught: each target one step later, bos before the first.

    targets (T, B), ints -> decoder inputs (T, B), ints. The last target is read by nobody.
    Source: teacher forcing, Williams & Zipser (1989).
    """
    inputs = np.empty_like(targets)
    inputs[0] = bos
    inputs[1:] = targets[:-1]
    return inputs


def encode(
    embedded: Array, lengths: Array, W_x: Array, W_h: Array, b_x: Array, b_h: Array
) -> tuple[Array, Array]:
    """Read a padded batch with a GRU (PyTorch's form) from a state of zeros.

    embedded (T, B, D), lengths (B,) ints in 1..T, W_x (3H, D), W_h (3H, H), b_x, b_h (3H,).
    Returns (hs (T, B, H), context (B, H)): all states, and each sequence's state after its last
    real step. Source: Cho et al. (2014), Sutskever, Vinyals & Le (2014).
    """
    B, H = embedded.shape[1], W_h.shape[1]
    hs = gru_forward(embedded, np.zeros((B, H)), W_x, W_h, b_x, b_h)
    # A state depends on its own and on earlier inputs only: padding behind the end cannot reach it.
    return hs, hs[lengths - 1, np.arange(B)]


def sequence_nll(logits: Array, targets: Array, pad: int) -> float:
    """Mean negative log likelihood, in nats, of the tokens that are not padding.

    logits (T, B, V), targets (T, B) ints, of which those equal to `pad` do not count. 0.0 if none
    counts.
    """
    real = targets != pad
    loss, _ = softmax_cross_entropy(logits, np.where(real, targets, 0), real)
    return loss


def greedy_decode(step: Step, state: Any, bos: int, eos: int, max_len: int) -> list[int]:
    """The likeliest token at each step, until that is eos or there are max_len >= 1 tokens.

    Of equally likely tokens the first is taken. Returns the tokens without bos and eos.
    """
    tokens: list[int] = []
    token = bos
    while len(tokens) < max_len:
        log_probs, state = step(token, state)
        token = int(np.argmax(log_probs))
        if token == eos:
            break
        tokens.append(token)
    return tokens


def beam_search(
    step: Step, state: Any, bos: int, eos: int, max_len: int, width: int, alpha: float = 0.0
) -> tuple[list[int], float]:
    """Search for a likely sequence, with at most `width` hypotheses at a time.

    At each of at most max_len >= 1 steps the best `width` >= 1 of all extensions of the live
    hypotheses are kept, by their log probability; ties go to the hypothesis that was ranked higher,
    then to the lower token. Those that end in eos are finished and leave the beam. In the end
    finished and live ones compete by log probability / n**alpha, n the number of generated tokens,
    eos among them where there is one; ties go to the finished, then to the one found first.
    Returns (tokens without eos, score). Source: Lowerre (1976) for the beam; dividing by a power
    of the length is one of the forms in Wu et al. (2016).
    """
    finished: list[tuple[list[int], float]] = []
    live = [([], 0.0, bos, state)]  # tokens, their log probability, what to feed next, the state
    for _ in range(max_len):
        extensions = []
        for tokens, log_prob, last, before in live:
            log_probs, after = step(last, before)
            for token in range(len(log_probs)):
                if token != bos:
                    total = log_prob + float(log_probs[token])
                    extensions.append(([*tokens, token], total, token, after))
        # The extensions stand in the order that decides ties, and Python's sort is stable.
        best = sorted(extensions, key=lambda extension: -extension[1])[:width]
        finished += [(tokens, log_prob) for tokens, log_prob, token, _ in best if token == eos]
        live = [extension for extension in best if extension[2] != eos]
        if not live:
            break
    found = finished + [(tokens, log_prob) for tokens, log_prob, _, _ in live]
    scores = [log_prob / len(tokens) ** alpha for tokens, log_prob in found]
    winner = int(np.argmax(scores))  # the first of equals
    tokens = [token for token in found[winner][0] if token != eos]
    return tokens, scores[winner]


def edit_distance(a: Sequence, b: Sequence) -> int:
    """The least number of insertions, deletions and substitutions that turn a into b.

    Row i of the table holds the distances between the first i items of a and each beginning of b;
    only two rows are kept. Source: Levenshtein (1966); the table is Wagner & Fischer's (1974).
    """
    row = list(range(len(b) + 1))  # from nothing to each beginning of b: insertions
    for i, item in enumerate(a, start=1):
        above, row = row, [i]
        for j, other in enumerate(b, start=1):
            substituted = above[j - 1] + (item != other)
            row.append(min(substituted, above[j] + 1, row[j - 1] + 1))
    return row[-1]


def teacher_forcing_mix(targets: Array, predictions: Array, u: Array, p: float) -> Array:
    """Scheduled sampling: the gold token where u < p, else the model's own.

    targets, predictions (T, B) ints; u (T, B), uniform in [0, 1); p in [0, 1] -> (T, B) ints.
    Source: Bengio, Vinyals, Jaitly & Shazeer (2015).
    """
    return np.where(u < p, targets, predictions)
