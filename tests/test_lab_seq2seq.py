"""What chapters 9 and 10 train with: padding is never seen, and an answer ends where it ends."""

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))

from lab.seq2seq import (
    BOS,
    EOS,
    FIRST,
    PAD,
    Encoder,
    FixedContextDecoder,
    Seq2Seq,
    collate,
    free_run,
    token_loss,
    updates,
)

PAIRS = [([3, 4, 5, 6], [6, 5, 4]), ([5], [5]), ([4, 3], [3, 4, 3, 3])]


@pytest.fixture(autouse=True)
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def model():
    return Seq2Seq(Encoder(7, 4, 5), FixedContextDecoder(7, 3, 5))


def test_an_answer_is_framed_and_padded():
    batch = collate(PAIRS[:2])
    assert batch.source.T.tolist() == [[3, 4, 5, 6], [5, PAD, PAD, PAD]]
    assert batch.lengths.tolist() == [4, 1]
    assert batch.read.T.tolist() == [[BOS, 6, 5, 4], [BOS, 5, PAD, PAD]]
    assert batch.targets.T.tolist() == [[6, 5, 4, EOS], [5, EOS, PAD, PAD]]


def test_padding_never_changes_a_real_position(model):
    together = model(collate(PAIRS))
    for n, pair in enumerate(PAIRS):
        alone = model(collate([pair]))
        torch.testing.assert_close(together[: len(alone), n], alone[:, 0], rtol=1e-12, atol=1e-12)


def test_the_encoder_returns_each_sequences_own_last_state(model):
    batch = collate(PAIRS)
    states, last = model.encoder(batch.source, batch.lengths)
    assert states.shape == (4, 3, 5)
    assert torch.equal(states[batch.lengths - 1, torch.arange(3)], last)
    assert not states[1:, 1].any()


def test_the_loss_ignores_padding(model):
    batch = collate(PAIRS)
    logits = model(batch)
    changed = logits.where((batch.targets != PAD)[..., None], 100 * torch.randn(logits.shape))
    assert torch.equal(token_loss(changed, batch.targets), token_loss(logits, batch.targets))


def test_the_loss_is_a_mean_over_tokens():
    targets = collate(PAIRS).targets
    assert token_loss(torch.zeros(*targets.shape, 7), targets).item() == pytest.approx(math.log(7))


def test_the_decoder_may_be_asked_step_by_step(model):
    batch = collate(PAIRS)
    h, context = model.begin(batch.source, batch.lengths)
    steps = []
    for tokens in batch.read:
        logits, h = model.decoder(tokens[None], h, context)
        steps.append(logits)
    torch.testing.assert_close(torch.cat(steps), model(batch), rtol=1e-12, atol=1e-12)


def test_one_context_serves_several_hypotheses(model):
    h, context = model.begin(torch.tensor([[3], [4]]), torch.tensor([2]))
    logits, _ = model.decoder(torch.tensor([[3, 4, 5]]), h.expand(3, -1).contiguous(), context)
    expected, _ = model.decoder(
        torch.tensor([[3, 4, 5]]), h.expand(3, -1).contiguous(), context.expand(3, -1)
    )
    assert torch.equal(logits, expected)


def _always(model, token):
    """Make the model say this token and nothing else."""
    model.decoder.readout.weight.data.zero_()
    model.decoder.readout.bias.data.zero_()[token] = 1.0
    return model


@pytest.mark.parametrize(("token", "steps"), [(EOS, 1), (FIRST, 6)])
def test_a_free_run_stops_when_all_have_ended_or_at_the_limit(model, token, steps):
    batch = collate(PAIRS)
    said = free_run(_always(model, token), batch.source, batch.lengths, longest=6)
    assert said.tolist() == [[token] * 3] * steps


def test_a_free_run_says_neither_padding_nor_bos(model):
    model.decoder.readout.bias.data[[PAD, BOS]] = 100.0
    batch = collate(PAIRS)
    said = free_run(model, batch.source, batch.lengths, longest=6)
    assert set(said[0].tolist()) <= set(range(EOS, 7))


def test_a_free_run_reads_what_it_has_said(model):
    model.decoder.readout.weight.data *= 10  # so that what was read matters
    batch = collate(PAIRS)
    said = free_run(model, batch.source, batch.lengths, longest=9)
    read = torch.cat([torch.full((1, 3), BOS), said[:-1]])
    logits = model(batch._replace(read=read))
    logits[..., [PAD, BOS]] = -torch.inf
    assert torch.equal(logits.argmax(dim=-1).where(said != PAD, PAD), said)


def test_what_was_learnt_by_heart_comes_back_and_is_padded_after_its_end(model):
    batch = collate(PAIRS)
    for _ in updates(model, lambda: batch, count=150, lr=3e-2):
        pass
    said = free_run(model, batch.source, batch.lengths, longest=9)
    assert torch.equal(said, batch.targets)


def test_updates_lower_the_loss_and_are_the_same_again():
    def losses():
        torch.manual_seed(1)
        model = Seq2Seq(Encoder(7, 4, 5), FixedContextDecoder(7, 3, 5))
        return list(updates(model, lambda: collate(PAIRS), count=30, lr=1e-2))

    first = losses()
    assert len(first) == 30 and first[-1] < 0.8 * first[0]
    assert first == losses()
