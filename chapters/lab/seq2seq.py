"""From one sequence to another: encoder-decoders, their batches, their training.

    model = Seq2Seq(Encoder(29, 64, 128), FixedContextDecoder(42, 64, 128))
    losses = list(updates(model, draw, count=1000, lr=3e-3))  # draw() returns a Batch
    answers = free_run(model, batch.source, batch.lengths, longest=15)

The tokens 0, 1 and 2 are PAD, BOS and EOS, on both sides; the task's own begin at FIRST. Sequences
are time-major, the source (S, B) and the answer (T, B), the shorter ones padded at their end.
`AttentionDecoder` takes the place of `FixedContextDecoder`, and so does any other that has the same
two methods, `begin` and `forward`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

PAD, BOS, EOS, FIRST = 0, 1, 2, 3


class Batch(NamedTuple):
    """Pairs side by side, as int64 tokens: what is read, and what is to be said."""

    source: Tensor  # (S, B)
    lengths: Tensor  # (B,), each 1 to S
    read: Tensor  # (T, B), what the decoder reads under teacher forcing: BOS, then the answer
    targets: Tensor  # (T, B), what it has to say at these steps: the answer, then EOS


def collate(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """Pad pairs (source, answer) of tokens from FIRST upwards, and frame the answers."""

    def padded(rows):
        return pad_sequence([torch.as_tensor(row) for row in rows], padding_value=PAD)

    return Batch(
        source=padded([source for source, _ in pairs]),
        lengths=torch.tensor([len(source) for source, _ in pairs]),
        read=padded([[BOS, *answer] for _, answer in pairs]),
        targets=padded([[*answer, EOS] for _, answer in pairs]),
    )


class Encoder(nn.Module):
    """A GRU that reads the source: all its states (S, B, H), zero on padding, and the last (B, H)."""

    def __init__(self, symbols: int, embed: int, hidden: int):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embed)
        self.rnn = nn.GRU(embed, hidden)

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        # Packed, each sequence ends where it ends: its last state is that of its last real token.
        packed = pack_padded_sequence(self.embedding(source), lengths, enforce_sorted=False)
        states, last = self.rnn(packed)
        return pad_packed_sequence(states, total_length=len(source))[0], last[0]


class FixedContextDecoder(nn.Module):
    """A GRU that starts from the context and reads it at every step, beside the token before.

    As in Cho et al. (2014), where the read-out, too, sees the context and the token before.
    """

    def __init__(self, symbols: int, embed: int, hidden: int):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embed)
        self.start = nn.Linear(hidden, hidden)
        self.rnn = nn.GRU(embed + hidden, hidden)
        self.readout = nn.Linear(hidden, symbols)

    def begin(self, states: Tensor, last: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The first state (B, H), and what stays at hand all along: here the context (B, H).

        mask (S, B) is True where the source is real.
        """
        return torch.tanh(self.start(last)), last

    def forward(self, tokens: Tensor, h: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Read tokens (T, B) from state h: logits (T, B, symbols) for what follows each, and h.

        A context of one sequence, (1, H), serves any number of hypotheses about it.
        """
        x = torch.cat([self.embedding(tokens), context.expand(*tokens.shape, -1)], dim=-1)
        hs, h = self.rnn(x, h[None])
        return self.readout(hs), h[0]


class Memory(NamedTuple):
    """What an `AttentionDecoder` looks back at: the encoder's states, all of them."""

    states: Tensor  # (S, B, H), the values
    keys: Tensor  # (S, B, H), the states as the scores see them, computed once
    mask: Tensor  # (S, B), True where the source is real


class AttentionDecoder(nn.Module):
    """A GRU that makes its context anew at each step, out of all states of the encoder.

    Additive attention, as in Bahdanau et al. (2015): the state before the step is the query. But for
    the choice of the context it is `FixedContextDecoder`: the same start, GRU and read-out.
    """

    def __init__(self, symbols: int, embed: int, hidden: int):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embed)
        self.start = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.rnn = nn.GRU(embed + hidden, hidden)
        self.readout = nn.Linear(hidden, symbols)

    def begin(self, states: Tensor, last: Tensor, mask: Tensor) -> tuple[Tensor, Memory]:
        """The first state (B, H), and what stays at hand all along: the encoder's states."""
        return torch.tanh(self.start(last)), Memory(states, self.key(states), mask)

    def attend(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The context (B, H) for a query h (B, H), and the weights (S, B) that made it."""
        scores = self.score(torch.tanh(self.query(h) + memory.keys))[..., 0]
        weights = scores.masked_fill(~memory.mask, -torch.inf).softmax(dim=0)
        return (weights[..., None] * memory.states).sum(dim=0), weights

    def align(self, tokens: Tensor, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` returns, and the weights of all steps, (T, S, B)."""
        hs, looks = [], []
        for x in self.embedding(tokens):
            context, weights = self.attend(h, memory)
            _, h = self.rnn(torch.cat([x, context], dim=-1)[None], h[None])
            h = h[0]
            hs.append(h)
            looks.append(weights)
        return self.readout(torch.stack(hs)), h, torch.stack(looks)

    def forward(self, tokens: Tensor, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Read tokens (T, B) from state h: logits (T, B, symbols) for what follows each, and h.

        The memory of one source serves any number of hypotheses about it.
        """
        return self.align(tokens, h, memory)[:2]


class Seq2Seq(nn.Module):
    """An encoder and a decoder. `forward(batch)` returns the logits under teacher forcing."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def begin(self, source: Tensor, lengths: Tensor):
        """Read the source; what the decoder begins with."""
        return self.decoder.begin(*self.encoder(source, lengths), source != PAD)

    def forward(self, batch: Batch) -> Tensor:
        return self.decoder(batch.read, *self.begin(batch.source, batch.lengths))[0]


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy, in nats, over the targets (T, B) that are not padding."""
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD)


def updates(
    model: nn.Module, draw: Callable[[], Batch], count: int, lr: float, max_norm: float = 1.0
) -> Iterator[float]:
    """Make `count` updates, and after each yield what the loss of its batch was before it.

    Adam, with a learning rate that falls from `lr` to zero in a straight line, and clipping.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr)
    fall = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 1 - done / count)
    for _ in range(count):
        model.train()
        batch = draw()
        loss = token_loss(model(batch), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        fall.step()
        yield loss.item()


@torch.no_grad()
def free_run(model: Seq2Seq, source: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """What the model says when it reads its own words: the likeliest token, then the next.

    Returns tokens (T, B), EOS and then PAD where a sequence has ended. T is at most `longest`.
    """
    model.eval()
    h, memory = model.begin(source, lengths)
    token = torch.full_like(lengths, BOS)
    ended = torch.zeros_like(lengths, dtype=torch.bool)
    said = []
    while len(said) < longest and not ended.all():
        logits, h = model.decoder(token[None], h, memory)
        logits[..., [PAD, BOS]] = -torch.inf  # never to be said
        token = logits[0].argmax(-1).masked_fill(ended, PAD)
        ended = ended | (token == EOS)
        said.append(token)
    return torch.stack(said)


def influence(model: Seq2Seq, batch: Batch) -> Tensor:
    """How strongly each source token moves each word of the answer, under teacher forcing: (T, S, B).

    The norm of d(logit of the target at step t) / d(embedding of source token j), zero on padding of
    the source. What stands at padded targets means nothing.
    """
    model.eval()
    kept: list[Tensor] = []
    hook = model.encoder.embedding.register_forward_hook(lambda *call: kept.append(call[-1]))
    try:
        logits = model(batch)
    finally:
        hook.remove()
    right = logits.gather(-1, batch.targets[..., None])[..., 0].sum(dim=1)
    gradients = [torch.autograd.grad(step, kept[0], retain_graph=True)[0] for step in right]
    return torch.stack(gradients).norm(dim=-1)


__all__ = ["BOS", "EOS", "FIRST", "PAD", "AttentionDecoder", "Batch", "Encoder"]
__all__ += ["FixedContextDecoder", "Memory", "Seq2Seq", "collate", "free_run", "influence"]
__all__ += ["token_loss", "updates"]
