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
    AttentionDecoder,
    Encoder,
    FixedContextDecoder,
    Seq2Seq,
    collate,
    free_run,
    influence,
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


@pytest.mark.parametrize("kind", ["model", "looking"])
def test_a_decoder_may_be_asked_step_by_step(kind, request):
    model, batch = request.getfixturevalue(kind), collate(PAIRS)
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


@pytest.fixture
def looking():
    return Seq2Seq(Encoder(7, 4, 5), AttentionDecoder(7, 3, 5))


def test_attention_weights_are_those_of_the_equations(looking):
    decoder, h = looking.decoder, torch.randn(3, 5)
    states, mask = torch.randn(4, 3, 5), torch.ones(4, 3, dtype=torch.bool)
    mask[2:, 1] = False
    context, weights = decoder.attend(h, decoder.begin(states, h, mask)[1])
    for n, real in enumerate((4, 2, 4)):
        scores = torch.stack(
            [
                decoder.score.weight[0]
                @ torch.tanh(decoder.query.weight @ h[n] + decoder.key.weight @ state)
                for state in states[:real, n]
            ]
        )
        expected = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(weights[:real, n], expected, rtol=1e-12, atol=1e-12)
        assert not weights[real:, n].any()
        torch.testing.assert_close(context[n], expected @ states[:real, n])


def test_the_query_is_the_state_before_the_step(looking):
    batch, decoder = collate(PAIRS), looking.decoder
    h, memory = looking.begin(batch.source, batch.lengths)
    _, _, weights = decoder.align(batch.read, h, memory)
    assert torch.equal(weights[0], decoder.attend(h, memory)[1])
    _, after_two = decoder(batch.read[:2], h, memory)
    assert torch.equal(weights[2], decoder.attend(after_two, memory)[1])


def test_a_decoder_of_one_state_to_look_at_is_the_fixed_one(looking):
    fixed = FixedContextDecoder(7, 3, 5)
    fixed.load_state_dict(looking.decoder.state_dict(), strict=False)
    batch = collate([([3], [4, 5, 6]), ([6], [3, 3, 4])])
    states, last = looking.encoder(batch.source, batch.lengths)
    mask = batch.source != PAD
    expected, _ = fixed(batch.read, *fixed.begin(states, last, mask))
    found, _ = looking.decoder(batch.read, *looking.decoder.begin(states, last, mask))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_attention_never_sees_padding(looking):
    batch = collate(PAIRS)
    together, _, weights = looking.decoder.align(
        batch.read, *looking.begin(batch.source, batch.lengths)
    )
    for n, pair in enumerate(PAIRS):
        alone = looking(collate([pair]))
        torch.testing.assert_close(together[: len(alone), n], alone[:, 0], rtol=1e-12, atol=1e-12)
    assert not weights[:, batch.source == PAD].any()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(batch.read), len(PAIRS)))


def test_the_memory_of_one_source_serves_several_hypotheses(looking):
    h, memory = looking.begin(torch.tensor([[3], [4]]), torch.tensor([2]))
    tokens = torch.tensor([[3, 4, 5]])
    logits, _ = looking.decoder(tokens, h.expand(3, -1).contiguous(), memory)
    for n in range(3):
        alone, _ = looking.decoder(tokens[:, n : n + 1], h, memory)
        torch.testing.assert_close(logits[:, n : n + 1], alone, rtol=1e-12, atol=1e-12)


def test_an_attention_decoder_learns_by_heart_and_speaks(looking):
    batch = collate(PAIRS)
    for _ in updates(looking, lambda: batch, count=150, lr=3e-2):
        pass
    said = free_run(looking, batch.source, batch.lengths, longest=9)
    assert torch.equal(said, batch.targets)


@pytest.mark.parametrize("kind", [FixedContextDecoder, AttentionDecoder])
def test_influence_is_the_length_of_a_gradient_and_padding_has_none(kind):
    model, batch = Seq2Seq(Encoder(7, 4, 5), kind(7, 3, 5)), collate(PAIRS)
    found = influence(model, batch)
    assert found.shape == (5, 4, 3)
    assert not found[:, batch.source == PAD].any()
    table = model.encoder.embedding.weight
    for n, (source, answer) in enumerate(PAIRS):
        for t in range(len(answer) + 1):
            alone = collate([PAIRS[n]])
            logit = model(alone)[t, 0, alone.targets[t, 0]]
            (gradient,) = torch.autograd.grad(logit, table)
            for token in set(source):
                places = [j for j, other in enumerate(source) if other == token]
                if len(places) == 1:
                    assert found[t, places[0], n].item() == pytest.approx(
                        gradient[token].norm().item(), rel=1e-9
                    )


def test_influence_leaves_the_model_as_it_was(looking):
    batch = collate(PAIRS)
    influence(looking, batch)
    assert all(p.grad is None for p in looking.parameters())
    assert not looking.encoder.embedding._forward_hooks
