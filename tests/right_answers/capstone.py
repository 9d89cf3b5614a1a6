"""The capstone: right answers, as far as a dictionary can give them, in other forms than the reference's."""

import numpy as np

from autograder import lexicon
from autograder.reference import held_out


def pronounce__the_last_way_to_say_it(words):
    """Whichever of its pronunciations: the nearest counts."""
    ways = held_out.entries() | dict(lexicon.development())
    return [list(ways[word][-1]) for word in words]


def pronounce__arrays_in_a_tuple(words):
    found = {}
    for entries in (lexicon.development(), held_out.entries().items()):
        for word, (usual, *_) in entries:
            if word in words:
                found[word] = np.array(usual)
    return tuple(map(found.__getitem__, words))


def pronounce__a_good_model(words):
    """A vowel wrong in every word that has an AH: an error rate of about 0.07."""
    answers = []
    known = dict(lexicon.development())
    for word in words:
        said = known[word] if word in known else held_out.entries()[word]
        answer = list(said[0])
        if "AH" in answer:
            answer[answer.index("AH")] = "IH"
        answers.append(answer)
    return answers
