"""What the readings share says what it does: the opened cells are PyTorch's, the tasks are right.

Real data is what its README says it is: these sizes, these splits, this licence.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))

from lab import cells, datasets, tasks, training

ROOT = Path(__file__).parents[1]
DATA = ROOT / "chapters" / "lab" / "data"


@pytest.fixture(autouse=True)
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_an_opened_cell_computes_what_torch_computes(kind, T):
    rnn, x = kind(3, 4), torch.randn(T, 2, 3)
    parts = cells.unroll(rnn, x)
    outputs, _ = rnn(x)
    torch.testing.assert_close(torch.stack(parts["h"]), outputs, rtol=1e-12, atol=1e-12)


def test_an_opened_lstm_starts_from_the_state_it_is_given():
    rnn, x, h0, c0 = nn.LSTM(3, 3), torch.randn(4, 2, 3), torch.randn(2, 3), torch.randn(2, 3)
    parts = cells.unroll(rnn, x, (h0, c0))
    _, (h, c) = rnn(x, (h0[None], c0[None]))
    torch.testing.assert_close(parts["h"][-1], h[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(parts["c"][-1], c[0], rtol=1e-12, atol=1e-12)


def test_stacks_cannot_be_opened():
    with pytest.raises(ValueError, match="one layer"):
        cells.unroll(nn.GRU(3, 4, num_layers=2), torch.randn(2, 1, 3))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_the_keep_bias_is_the_gates_whole_bias_and_nothing_else_changes(kind):
    rnn = kind(3, 4)
    before = {name: p.detach().clone() for name, p in rnn.named_parameters()}
    assert cells.init_keep_bias(rnn, 2.5) is rnn
    total = rnn.bias_ih_l0 + rnn.bias_hh_l0
    torch.testing.assert_close(total[4:8], torch.full((4,), 2.5))
    for name, p in rnn.named_parameters():
        kept = torch.ones(len(p), dtype=bool)
        kept[4:8] = not name.startswith("bias")
        assert torch.equal(p[kept], before[name][kept])
    zero = cells.unroll(rnn, torch.zeros(1, 1, 3))
    torch.testing.assert_close(zero["f" if kind is nn.LSTM else "z"][0], total[4:8].sigmoid()[None])


def test_chrono_draws_time_scales_uniformly_and_ties_the_input_gate():
    lstm = cells.init_chrono(nn.LSTM(2, 4000), 50)
    i, f, _, _ = (lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)
    scales = f.exp()
    assert 1 <= scales.min() < 1.2 and 48.8 < scales.max() <= 49
    assert abs(scales.mean() - 25) < 1
    assert torch.equal(i, -f)


def test_recall_at_a_random_lag_draws_every_length():
    rng = np.random.default_rng(0)
    lengths = {len(tasks.recall_at_random_lag(8, 2, rng)[0]) for _ in range(200)}
    assert lengths == {4, 5, 6, 7, 8}


def test_the_latch_answers_with_the_latest_sign_that_was_written():
    x, y = tasks.latch(40, 3, np.random.default_rng(0))
    for b in range(3):
        held = None
        for t in range(40):
            sign, write, read = x[t, b].tolist()
            held = sign if write else held
            assert y[t, b] == (0 if not read else 1 if held < 0 else 2)
    assert set(y.flatten().tolist()) == {0, 1, 2}


def test_the_loss_of_every_step_is_the_mean_over_steps_that_have_an_answer():
    logits, y = torch.randn(3, 2, 4), torch.tensor([[0, 1], [-100, 2], [3, -100]])
    logp = logits.log_softmax(-1)
    own = -(logp[0, 0, 0] + logp[0, 1, 1] + logp[1, 1, 2] + logp[2, 0, 3]) / 4
    torch.testing.assert_close(training.every_step_loss(logits, y), own)


def contents(name):
    """What a stored file holds: its bytes, or those of its arrays, since zlib may pack them anew."""
    if not name.endswith(".npz"):
        return (DATA / name).read_bytes()
    with np.load(DATA / name) as stored:
        return stored["images"].tobytes() + stored["labels"].tobytes()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("digits/digits.npz", "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"),
        (
            "persuasion/train.txt",
            "b4e48b4f3fc396c0cd7b06103a84d5ab2847d0296608d388ca144052d3a3b673",
        ),
        (
            "persuasion/validation.txt",
            "1b680fdb998b6c9a7edf346b76147351f29cc3ce5e24c724578118a66bb24955",
        ),
        ("persuasion/test.txt", "74975a92a70d180e309694de22003a3174805a243a1bd4f1b892d32add032001"),
        (
            "pronunciations/train.txt",
            "7669f6b7081797a372f5315051e16b53329bddf19f804ae959d690430891d841",
        ),
        (
            "pronunciations/validation.txt",
            "5855e487f3a49e2fa8e389c7988cd69a3273db21d0b238f44a4a6b8d13be6e0a",
        ),
        (
            "pronunciations/test.txt",
            "70f7a66be30f50522b1abc428bd369827528a563ef0a0f5db7c982e7790648e9",
        ),
        ("sunspots/yearly.csv", "3617fb5c428f88aec9a12c8a0b8136a9537479e8611c8a986abf0591698e5a6b"),
    ],
)
def test_the_data_is_what_prepare_made(name, digest):
    assert hashlib.sha256(contents(name)).hexdigest() == digest


def test_every_data_set_is_small_has_its_licence_and_a_row_in_the_readme():
    folders = {path for path in DATA.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {f.name for f in folders} == {"digits", "persuasion", "pronunciations", "sunspots"}
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    words = {
        "digits": "Creative Commons Attribution 4.0",
        "persuasion": "public domain",
        "pronunciations": "Carnegie Mellon University",
        "sunspots": "This data is public domain.",
    }
    for folder in folders:
        assert words[folder.name] in (folder / "LICENSE").read_text(encoding="utf-8")
        assert f"| `{folder.name}/` |" in readme
        assert sum(path.stat().st_size for path in folder.iterdir()) < 500_000


def test_the_repository_says_that_some_data_is_others():
    for name in ("README.md", "LICENSE-text"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "chapters/lab/data" in text and "data of others" in text


def test_the_data_needs_no_torch():
    source = (ROOT / "chapters" / "lab" / "datasets.py").read_text(encoding="utf-8")
    assert "torch" not in source


def test_pronunciations_are_short_lower_case_words_and_phones_without_stress():
    sizes = {part: len(datasets.pronunciations(part)) for part in datasets.PARTS}
    assert sizes == {"train": 16000, "validation": 2000, "test": 2000}
    pairs = [pair for part in datasets.PARTS for pair in datasets.pronunciations(part)]
    assert {len(word) for word, _ in pairs} == set(range(3, 11))
    assert {letter for word, _ in pairs for letter in word} == set(datasets.LETTERS)
    assert {phone for _, phones in pairs for phone in phones} == set(datasets.PHONES)
    assert len(datasets.PHONES) == 39
    assert {len(phones) for _, phones in pairs} == set(range(1, 12))
    assert datasets.pronunciations("train")[0] == ("wizened", ("W", "AY", "Z", "AH", "N", "D"))


def test_no_word_and_no_inflected_form_of_it_is_in_two_parts():
    spec = importlib.util.spec_from_file_location("prepare", DATA / "prepare.py")
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    assert {prepare.stem(word) for word in ("bake", "bakes", "baker", "baking")} == {"bak"}
    assert {prepare.stem(word) for word in ("happy", "happily", "happier")} == {"hap"}
    words = {part: [w for w, _ in datasets.pronunciations(part)] for part in datasets.PARTS}
    assert len({word for part in words.values() for word in part}) == 20000
    stems = {part: {prepare.stem(word) for word in words[part]} for part in words}
    assert len(set().union(*stems.values())) == sum(map(len, stems.values()))


def test_the_novel_has_forty_characters_and_begins_and_ends_as_it_should():
    parts = {part: datasets.novel(part) for part in datasets.PARTS}
    assert list(map(len, parts.values())) == [384986, 32686, 45350]
    assert {c for text in parts.values() for c in text} == set(datasets.CHARACTERS)
    assert len(datasets.CHARACTERS) == 40
    assert parts["train"].startswith("sir walter elliot, of kellynch hall, in somersetshire, was")
    assert parts["validation"].startswith("anne went home to think over all that she had heard.")
    assert parts["test"].startswith("one day only had passed since anne's conversation with mrs s")
    assert parts["test"].endswith("domestic virtues than in its national importance.\n")
    assert not any(noise in "".join(parts.values()) for noise in ("  ", "\n\n", " \n", "chapter 0"))


def test_the_sunspots_are_version_one_of_the_series():
    years, numbers = datasets.sunspots()
    assert years.dtype == np.int64 and np.array_equal(years, np.arange(1700, 2009))
    assert numbers.dtype == np.float64 and numbers.shape == (309,)
    assert numbers[:3].tolist() == [5, 11, 16] and numbers[-1] == 2.9
    assert (years[numbers.argmax()], numbers.max(), numbers.min()) == (1957, 190.2, 0)


def test_the_digits_are_images_in_sixteenths_and_parts_are_whole_forms():
    images, labels = zip(*map(datasets.digits, datasets.PARTS), strict=True)
    assert [x.shape for x in images] == [(1157, 8, 8), (258, 8, 8), (382, 8, 8)]
    assert all(x.dtype == np.float64 and (x.min(), x.max()) == (0, 1) for x in images)
    assert all(y.dtype == np.int64 for y in labels)
    assert np.array_equal(np.concatenate(images) * 16 % 1, np.zeros((1797, 8, 8)))
    counts = np.bincount(np.concatenate(labels)).tolist()
    assert counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    for y in labels:  # every form begins with the ten digits in order, twice
        assert y[:20].tolist() == [*range(10), *range(10)]


@pytest.mark.parametrize("load", [datasets.digits, datasets.novel, datasets.pronunciations])
def test_there_are_three_parts_and_no_path_among_them(load):
    with pytest.raises(ValueError, match="train, validation, test"):
        load("../sunspots/yearly")


def test_encoding_gives_places_in_the_alphabet_and_refuses_what_it_lacks():
    assert datasets.encode("cab", datasets.LETTERS).tolist() == [2, 0, 1]
    codes = datasets.encode(("K", "AE", "B"), datasets.PHONES)
    assert codes.dtype == np.int64 and [datasets.PHONES[i] for i in codes] == ["K", "AE", "B"]
    assert datasets.encode("", datasets.LETTERS).shape == (0,)
    with pytest.raises(KeyError):
        datasets.encode("Cab", datasets.LETTERS)
