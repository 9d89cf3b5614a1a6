"""The capstone: how saying words goes wrong, whatever the model; each spoils the dictionary's answers."""

import itertools

from autograder.lexicon import PHONEMES
from autograder.mistakes import mistake_of
from autograder.reference.capstone import pronounce

_calls = itertools.count()


@mistake_of("pronounce")
def pronounce__spells_the_words(words):
    return [list(word.upper()) for word in words]


@mistake_of("pronounce")
def pronounce__says_a_phoneme_for_each_letter(words):
    sounds = dict(a="AE", b="B", c="K", d="D", e="EH", f="F", g="G", h="HH", i="IH", j="JH")
    sounds |= dict(k="K", l="L", m="M", n="N", o="AA", p="P", q="K", r="R", s="S", t="T")
    sounds |= dict(u="AH", v="V", w="W", x="Z", y="Y", z="Z")
    return [[sounds[letter] for letter in word] for word in words]


@mistake_of("pronounce")
def pronounce__returns_strings(words):
    return [" ".join(phonemes) for phonemes in pronounce(words)]


@mistake_of("pronounce")
def pronounce__answers_for_one_word(words):
    return pronounce(words[:1])[0]


@mistake_of("pronounce")
def pronounce__unwraps_a_single_word(words):
    rows = pronounce(words)
    return rows if len(rows) > 1 else rows[0]


@mistake_of("pronounce")
def pronounce__leaves_words_out(words):
    rows = []
    for start in range(0, len(words) - 63, 64):
        rows += pronounce(words[start : start + 64])
    return rows


@mistake_of("pronounce")
def pronounce__returns_numbers(words):
    return [[PHONEMES.index(phoneme) for phoneme in row] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__keeps_stress_digits(words):
    return [[p + "1" if p[0] in "AEIOU" else p for p in row] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__answers_in_lower_case(words):
    return [[phoneme.lower() for phoneme in row] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__keeps_the_end_token(words):
    return [[*row, "EOS"] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__keeps_the_start_token(words):
    return [["BOS", *row] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__keeps_the_padding(words):
    rows = pronounce(words)
    longest = max(map(len, rows))
    return [row + ["PAD"] * (longest - len(row)) for row in rows]


@mistake_of("pronounce")
def pronounce__never_stops(words):
    return [(row + 25 * row[-1:])[:25] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__stops_after_one_phoneme(words):
    return [row[:1] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__says_nothing(words):
    return [[] for _ in words]


@mistake_of("pronounce")
def pronounce__says_the_same_to_all(words):
    return [["S", "AH", "N", "T", "ER"] for _ in words]


@mistake_of("pronounce")
def pronounce__answers_the_longest_word_first(words):
    return pronounce(sorted(words, key=len, reverse=True))


@mistake_of("pronounce")
def pronounce__answers_the_shortest_word_first(words):
    return pronounce(sorted(words, key=len))


@mistake_of("pronounce")
def pronounce__answers_in_alphabetical_order(words):
    return pronounce(sorted(words))


@mistake_of("pronounce")
def pronounce__answers_in_another_order(words):
    rows = pronounce(words)
    return rows[1:] + rows[:1]


@mistake_of("pronounce")
def pronounce__says_the_words_backwards(words):
    return [row[::-1] for row in pronounce(words)]


@mistake_of("pronounce")
def pronounce__listens_to_the_neighbours(words):
    """As if each letter of padding were read as one more end of the word."""
    longest = max(map(len, words))
    return [r + r[-1:] * (len(w) < longest) for w, r in zip(words, pronounce(words), strict=True)]


@mistake_of("pronounce")
def pronounce__leaves_dropout_on(words):
    """Whatever is left out, it is another phoneme in each call."""
    call = next(_calls)
    rows = pronounce(words)
    return [row[: call % len(row)] + row[call % len(row) + 1 :] for row in rows]


@mistake_of("pronounce")
def pronounce__sorts_the_words_in_place(words):
    words.sort(key=len)
    return pronounce(words)
