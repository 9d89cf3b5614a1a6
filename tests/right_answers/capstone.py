"""The capstone: right answers, as far as a dictionary can give them, in other forms than the reference's."""

from functools import cache

import numpy as np

from autograder import words as public
from autograder.reference import held_out


@cache
def _ways():
    known = {word: [phonemes] for word, phonemes in public.training()}
    return known | dict(public.development()) | held_out.entries()


def pronounce__the_last_way_to_say_it(words):
    """Whichever of its pronunciations: the nearest counts."""
    ways = _ways()
    return [list(ways[word][-1]) for word in words]


def pronounce__arrays_in_a_tuple(words):
    ways = _ways()
    return tuple(np.array(ways[word][0]) for word in words)


def pronounce__a_good_model(words):
    """A vowel wrong in every word that has an AH: an error rate of about 0.07."""
    ways = _ways()
    answers = []
    for word in words:
        answer = list(ways[word][0])
        if "AH" in answer:
            answer[answer.index("AH")] = "IH"
        answers.append(answer)
    return answers
