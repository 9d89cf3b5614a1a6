"""The capstone: what the words sound like, as the dictionary has it, and which are asked.

There is no reference model: an answer is right where it is the dictionary's, and otherwise as wrong as
its edit distance says.
"""

from functools import cache

import numpy as np

from autograder import lexicon
from autograder.exercise import Case
from autograder.exercises.capstone import HELD_OUT, case_of
from autograder.reference import held_out

ASKED = 1000


def pronounce(words: list[str]) -> list[list[str]]:
    """The usual way to say each word. Raises KeyError for a word that is in no part."""
    return [list(_usual()[word]) for word in words]


def pronounce_cases(rng: np.random.Generator) -> list[Case]:
    """A class's own draw of the held-out words, with all ways to say each of them."""
    entries = list(held_out.entries().items())
    chosen = rng.choice(len(entries), ASKED, replace=False)
    return [case_of(HELD_OUT, [entries[at] for at in chosen])]


@cache
def _usual() -> dict[str, tuple[str, ...]]:
    known = {word: tuple(phonemes) for word, phonemes in lexicon.training()}
    known |= {word: tuple(ways[0]) for word, ways in lexicon.development()}
    return known | {word: ways[0] for word, ways in held_out.entries().items()}
