"""The capstone: what is asked of a trained model that says how words sound.

No two models say the same, so no answer is compared with another one. What counts is the phoneme
error rate: edits over phonemes, against the pronunciation of each word that is nearest to what was said.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from autograder import lexicon
from autograder.compare import Difference
from autograder.exercise import Aspect, Case, Exercise, Mistake, Needs, Section
from autograder.plain import Other

CHAPTER = "12-capstone"
SEQUENCES = "09-sequence-to-sequence"
DECODER = Section(SEQUENCES, "seq-decoder", "The decoder, one token at a time")
GREEDY = Section(SEQUENCES, "seq-greedy", "Greedy decoding")
TASK = Section(SEQUENCES, "seq-phonemes", "From letters to sounds")
PADDING = Section("07-deep-and-bidirectional", "deep-padding", "Uneven lengths: padding and masks")
BOTH = Section("07-deep-and-bidirectional", "deep-both", "Both directions")
LOOK_BACK = Section("10-attention", "attn-decoder", "A decoder that looks back")
DROPOUT = Section("07-deep-and-bidirectional", "deep-dropout", "Dropout between layers")

DEVELOPMENT, HELD_OUT = "development", "held-out"  # kinds of cases, as reports say them
THRESHOLDS = {40: 3, 25: 3, 20: 2, 13: 2}  # percent: points for an error rate of at most that
GETS_THERE = {
    20: BOTH,
    13: LOOK_BACK,
}  # what to read where that is the first threshold to be missed
TOO_GOOD = 0.08  # no model of ours, trained on these words alone, came near this error rate
ALONE = 20  # the shortest words, which are asked a second time, each by itself
LONG, LONGEST = 20, 60  # phonemes: an answer that has not ended; what is looked at of one
SHOWN, QUOTED = 5, 10  # words that are shown, and how much of what was said of one

Inputs = dict[str, Any]
Rows = list[list[str]]


def case_of(kind: str, entries: Iterable[tuple[str, Iterable[Iterable[str]]]]) -> Case:
    """A case that asks for these words, of which all pronunciations are known."""
    asked = [(word, [" ".join(way) for way in ways]) for word, ways in entries]
    return Case(
        f"{len(asked)} {kind} words",
        {"words": [word for word, _ in asked]},
        kind,
        truth=[ways for _, ways in asked],
    )


def _cases(rng: np.random.Generator) -> list[Case]:
    return [case_of(DEVELOPMENT, lexicon.development())]


# Asking


def _listen(function: Callable, inputs: Inputs) -> Inputs:
    """What it says of all the words together, of some of them alone, and how large its model is."""
    words = list(inputs["words"])  # as they are before it is called
    with _parameters_that_run() as parameters:
        said = function(inputs["words"])
    if said is None:
        return None
    try:
        alone = [_spoken(function([words[at]])) for at in _asked_alone(words)]
    except Exception:  # told by `_compare`, and costs no other points than those for words alone
        alone = None
    return {
        "said": _spoken(said),
        "alone": alone,
        "parameters": sum(parameters.values()) or None,
    }


def _asked_alone(words: list[str]) -> list[int]:
    """Which words are asked a second time: the shortest, beside which there was most padding."""
    return sorted(range(len(words)), key=lambda at: (len(words[at]), at))[:ALONE]


def _spoken(said: Any) -> Any:
    """A list of words' phonemes with those of a word in one string; anything else, as it is."""
    if not isinstance(said, (list, tuple)):
        return {"other": said}
    rows = [row.tolist() if isinstance(row, np.ndarray) else row for row in said]
    fine = all(isinstance(row, (list, tuple)) and all(map(_is_symbol, row)) for row in rows)
    return [" ".join(row[:LONGEST]) for row in rows] if fine else {"other": list(said[:LONGEST])}


def _is_symbol(item: Any) -> bool:
    return isinstance(item, str) and 0 < len(item) <= LONG and not any(map(str.isspace, item))


@contextlib.contextmanager
def _parameters_that_run() -> Iterator[dict[int, int]]:
    """The sizes of the parameters of all of PyTorch's modules that are called meanwhile."""
    found: dict[int, int] = {}
    if "torch" not in sys.modules:
        yield found
        return
    from torch.nn.modules.module import register_module_forward_pre_hook

    def count(module: Any, _: Any) -> None:
        found.update((id(p), p.numel()) for p in module.parameters())

    hook = register_module_forward_pre_hook(count)
    try:
        yield found
    finally:
        hook.remove()


# Judging


def edits(a: list[str], b: list[str]) -> int:
    """The Levenshtein distance."""
    if a == b:
        return 0
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def _counted(case: Case, rows: Rows) -> np.ndarray:
    """For each word the edits, and the phonemes of the pronunciation that is nearest: (words, 2)."""
    found = []
    for row, ways in zip(rows, case.truth, strict=True):
        right = [way.split() for way in ways]
        found.append(min((edits(row, way), len(way)) for way in right))
    return np.array(found)


def _rate(case: Case, rows: Rows) -> float:
    wrong, of = _counted(case, rows).sum(axis=0)
    return float(wrong / of)


def _rows(case: Case, got: Any) -> Rows | None:
    """What was said of each word, or None where it is not a list of phonemes for each."""
    said = got.get("said") if isinstance(got, dict) else None
    if not _is_rows(said, len(case.truth)):
        return None
    return [row.split()[:LONGEST] for row in said]


def _alone(case: Case, got: Any) -> int | str:
    """Of the words that are asked alone, how many are said otherwise; or what came instead, as `_form`."""
    alone, asked = got.get("alone"), _asked_alone(case.inputs["words"])
    if alone is None:
        return "error"
    if not isinstance(alone, list) or len(alone) != len(asked):
        return len(asked)
    together = [[got["said"][at]] for at in asked]
    odd = next((one for one in alone if not _is_rows(one, 1)), None)
    if odd is not None:
        return _form(odd, 1)
    return sum(one != beside for one, beside in zip(alone, together, strict=True))


def _compare(case: Case, expected: Any, got: Any) -> list[Difference]:
    """Which thresholds are missed. Nothing that was said is repeated: it may be about held-out words."""
    rows = _rows(case, got)
    if rows is None:
        said = got.get("said") if isinstance(got, dict) else None
        due = f"A list of {len(case.truth)} lists of phonemes is due, one for each word"
        form = _form(said, len(case.truth))
        return [Difference("", f"{due}, such as {_EXAMPLE}, but {_came(case, said, form)}.")]
    wrong, of = map(int, _counted(case, rows).sum(axis=0))
    missed = [percent for percent in THRESHOLDS if 100 * wrong > percent * of]
    found = [Difference(str(percent), "it is higher.") for percent in missed]
    if other := _alone(case, got):
        found.append(Difference("alone", _why_not_alone(case, got, other)))
    return found


_EXAMPLE = "[['K', 'AE', 'T'], ['D', 'AO', 'G']]"


def _why_not_alone(case: Case, got: Any, other: int | str) -> str:
    if other == "error":
        return 'For a list with one word it raises an error. Try it: `pronounce(["cat"])`.'
    if isinstance(other, str):
        odd = next(one for one in got["alone"] if not _is_rows(one, 1))
        return (
            "For a list with one word a list with one list of phonemes is due, such as "
            f"[['K', 'AE', 'T']], but {_came(case, odd, other)}."
        )
    return (
        f"{other} of {len(_asked_alone(case.inputs['words']))} words are said otherwise when they are "
        "asked alone. What a model says of a word must not depend on the words beside it."
    )


_FORMS = {
    "text": "a single string came",
    "one word": "the phonemes of one word came, in one list",
    "strings": "a list of strings came; a word's phonemes are strings in a list of their own",
    "numbers": "numbers came; the phonemes' names are due",
    "spaced": "some of the strings in these lists are empty, or long, or have spaces in them",
    "nested": "some of the lists in it hold lists themselves",
    "dict": "a dict came",
}
_TYPES = ("a generator", "a map", "a zip", "a set", "a torch.Tensor", "a function", "None")


def _came(case: Case, said: Any, form: str) -> str:
    """What came in place of lists of phonemes, in words that carry no held-out ones out of a kernel."""
    if form in ("fewer", "more"):
        return f"there {'is 1 list' if len(said) == 1 else f'are {len(said)} lists'}"
    if form in _FORMS:
        return _FORMS[form]
    value = _value(said)
    items = [value] if not isinstance(value, list) else [i for v in value for i in _items(v)]
    odd = next((item for item in items if not isinstance(item, str)), None)
    what = odd.what if isinstance(odd, Other) else {type(None): "None"}.get(type(odd), "")
    if not what or (case.kind == HELD_OUT and what not in _TYPES):
        what = "something else"
    return f"{what} {'is in it' if isinstance(value, list) else 'came'}"


def _items(value: Any) -> list:
    return value if isinstance(value, list) and value else [value]


def _value(said: Any) -> Any:
    """What was returned, where it could not be written as a word's phonemes in a string each."""
    return said.get("other") if isinstance(said, dict) else said


def _is_rows(said: Any, due: int) -> bool:
    return isinstance(said, list) and len(said) == due and all(isinstance(r, str) for r in said)


def _form(said: Any, due: int) -> str:
    """What came in place of so many lists of phonemes, of what `_spoken` made of it."""
    if isinstance(said, list) and all(isinstance(row, str) for row in said):
        return "fewer" if len(said) < due else "more"
    value = _value(said)
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return "one word" if all(item in lexicon.PHONEMES for item in value) else "strings"
        inner = [i for item in value for i in _items(item)]
        if all(isinstance(item, str) for item in inner):
            return "spaced"
        if any(isinstance(item, list) for item in inner):
            return "nested"
        numbers = (bool, int, float, np.ndarray)
        return "numbers" if all(isinstance(item, numbers) for item in inner) else "else"
    return {str: "text", dict: "dict", np.ndarray: "numbers"}.get(type(value), "else")


# What a mistake is known by


def _profile(case: Case, expected: Any, got: Any) -> dict[str, Any]:
    """What of an answer does not depend on how well a model was trained."""
    rows = _rows(case, got)
    if rows is None:
        return {"form": _form(got.get("said") if isinstance(got, dict) else None, len(case.truth))}
    asked, alone = case.inputs["words"], _alone(case, got)
    symbols, alike = _symbols(asked, rows), all(row == rows[0] for row in rows)
    explained = alike or symbols == "padded"  # then it is no leak that makes the difference
    return {
        "symbols": symbols,
        "lengths": _lengths(asked, rows),
        "alike": alike,
        "alone": alone if isinstance(alone, str) else alone > 0 and not explained,
        "order": _order(case, got, rows) if symbols == "known" else "",
    }


def _symbols(asked: list[str], rows: Rows) -> str:
    unknown = {symbol for row in rows for symbol in row} - set(lexicon.PHONEMES)
    if not unknown:
        return "known"
    if all("".join(row).lower() == word for word, row in zip(asked, rows, strict=True)):
        return "letters"
    if all(symbol[-1].isdigit() and symbol[:-1] in lexicon.PHONEMES for symbol in unknown):
        return "stress"
    if all(symbol.upper() in lexicon.PHONEMES for symbol in unknown):
        return "lower case"
    if len(unknown) == 1:
        (odd,) = unknown
        counts = [row.count(odd) for row in rows]
        if set(counts) == {1}:
            ends = {"last": -1, "first": 0}
            return next((e for e, at in ends.items() if all(r[at] == odd for r in rows)), "else")
        if all(odd not in row[: len(row) - count] for row, count in zip(rows, counts, strict=True)):
            return "padded"
    return "else"


def _lengths(asked: list[str], rows: Rows) -> str:
    lengths = {len(row) for row in rows}
    if len(lengths) == 1:
        length = lengths.pop()
        return {0: "none", 1: "one"}.get(length, "the same")
    return "letters" if all(len(r) == len(w) for w, r in zip(asked, rows, strict=True)) else ""


def _order(case: Case, got: Any, rows: Rows) -> str:
    """In which other order the answers, or their phonemes, have less than half of the errors, or "".

    "another" where most of what is said of words alone is said beside others, too, but of other words.
    """
    asked = case.inputs["words"]
    orders = {
        "longest first": sorted(range(len(asked)), key=lambda at: -len(asked[at])),
        "shortest first": sorted(range(len(asked)), key=lambda at: len(asked[at])),
        "alphabetical": sorted(range(len(asked)), key=lambda at: asked[at]),
    }
    now = _rate(case, rows)
    if now <= max(THRESHOLDS) / 100:
        return ""
    if _rate(case, [row[::-1] for row in rows]) < now / 2:
        return "backwards"
    for name, order in orders.items():
        back = [rows[0]] * len(rows)
        for place, at in enumerate(order):
            back[at] = rows[place]
        if _rate(case, back) < now / 2:
            return name
    if isinstance(_alone(case, got), int) and isinstance(got["alone"], list):
        lone = [" ".join(one) for one in got["alone"]]
        places = list(zip(lone, _asked_alone(asked), strict=False))
        moved = sum(one != got["said"][at] and one in got["said"] for one, at in places)
        if 2 * moved > len(places):
            return "another"
    return ""


# Telling and keeping


def _measure(case: Case, expected: Any, got: Any) -> dict[str, float | bool | None]:
    rows = _rows(case, got)
    if rows is None:
        return {}
    counted = _counted(case, rows)
    wrong, of = counted.sum(axis=0)
    size = got.get("parameters")
    known = isinstance(size, int) and not isinstance(size, bool) and 0 < size < 10**9
    return {
        "error rate": float(wrong / of),
        "words right": float((counted[:, 0] == 0).mean()),
        "words": len(rows),
        "parameters": size if known else None,
        "too good": bool(wrong < TOO_GOOD * of),
    }


def _tell(case: Case, expected: Any, got: Any, right: bool) -> list[str]:
    """How far off it is, and what is odd about it; examples only of words that the student has.

    Of development words where all is right, only whether that may be luck.
    """
    rows = _rows(case, got)
    if rows is None:
        return []
    counted = _counted(case, rows)
    wrong, of = counted.sum(axis=0)
    rate = float(wrong / of)
    whole = int((counted[:, 0] == 0).sum())
    off = (
        f"On the {case.name} the phoneme error rate is {rate:.4f}, {wrong} edits for {of} phonemes; "
        f"{whole} words are right as a whole."
    )
    if case.kind == HELD_OUT:
        return [off] if right else [off, *_odd(case, rows)]
    # Two standard errors of a ratio of sums over words that are drawn independently.
    spread = 2 * float(np.sqrt(((counted[:, 0] - rate * counted[:, 1]) ** 2).sum())) / float(of)
    luck = (
        f"The luck of the draw: on other words of this kind expect {max(0, rate - spread):.3f} to "
        f"{rate + spread:.3f}. Training anew, elsewhere, moves it as well."
    )
    if right:
        return [f"But narrowly. {off} {luck}"] if 100 * (rate + spread) > min(THRESHOLDS) else []
    told = [off, luck] if 100 * rate <= max(THRESHOLDS) else [off]
    told += _odd(case, rows)
    if worst := _worst(case, rows, counted):
        told.append(worst)
    return told


def _odd(case: Case, rows: Rows) -> list[str]:
    """Counts of answers that no training explains."""
    unknown = [[symbol for symbol in row if symbol not in lexicon.PHONEMES] for row in rows]
    often = Counter(map(tuple, rows))
    alike = sum(often[tuple(row)] > 1 for row in rows)
    counts = {
        "are empty": sum(not row for row in rows),
        f"have {LONG} phonemes or more: does decoding stop at the end token": sum(
            len(row) >= LONG for row in rows
        ),
        "hold symbols that are no phonemes": sum(map(bool, unknown)),
    }
    if alike > len(rows) // 2:
        counts["are the same as that of another word: does the decoder see its word"] = alike
    told = []
    for what, count in counts.items():
        if count:
            names = ""
            if case.kind == DEVELOPMENT and what.endswith("no phonemes"):
                some = sorted({symbol for row in unknown for symbol in row})[:SHOWN]
                names = f" ({', '.join(map(repr, some))})"
            end = "?" if ": does" in what else "."
            told.append(f"{count} of {len(rows)} answers {what}{names}{end}")
    return told


def _worst(case: Case, rows: Rows, counted: np.ndarray) -> str:
    """The words with the most edits for their length, what was said and what is right."""
    share = counted[:, 0] / counted[:, 1]
    order = sorted(range(len(rows)), key=lambda at: (-share[at], case.inputs["words"][at]))
    shown = []
    for at in order[:SHOWN]:
        if share[at] > 0:
            right = min(case.truth[at], key=lambda way: edits(rows[at], way.split()))
            said = " ".join([*rows[at][:QUOTED], "…"][: len(rows[at])]) or "nothing"
            shown.append(f"{case.inputs['words'][at]} ({said}; right: {right})")
    return f"The worst: {', '.join(shown)}." if shown else ""


def _threshold(percent: int) -> str:
    return f"Phoneme error rate at most {percent / 100:.2f}"


FIRST = _threshold(max(THRESHOLDS))
EXERCISES = (
    Exercise(
        name="pronounce",
        chapter=CHAPTER,
        minutes=240,
        signature="words",
        see=TASK,
        cases=_cases,
        call=_listen,
        compare=_compare,
        profile=_profile,
        measure=_measure,
        tell=_tell,
        held_out=True,
        libraries=("torch",),
        needs=Needs(times=10, code=40_000),
        aspects=(
            *(
                Aspect(
                    _threshold(percent),
                    points,
                    parts=(str(percent),),
                    needs=None if percent == max(THRESHOLDS) else FIRST,
                    see=GETS_THERE.get(percent),
                )
                for percent, points in THRESHOLDS.items()
            ),
            Aspect("A word is said the same alone", 1, parts=("alone",), needs=FIRST, see=PADDING),
            Aspect("Asked again, it says the same", 1, of="purity", needs=FIRST),
        ),
        mistakes=(
            Mistake(
                "spells_the_words",
                "each word comes back as its own letters. Letters are what the model reads; it has to say "
                "phonemes, the symbols in `lexicon.PHONEMES`.",
                TASK,
            ),
            Mistake(
                "says_a_phoneme_for_each_letter",
                "every answer has as many phonemes as its word has letters. English does not work like "
                "this: “phone” has five letters and three sounds. The decoder has to say by itself when "
                "it is done, by an end token that it is taught.",
                DECODER,
            ),
            Mistake(
                "returns_strings",
                "each word's phonemes stand in one string. Return them as a list of strings: "
                "`['K', 'AE', 'T']`, not `'K AE T'`.",
                TASK,
            ),
            Mistake(
                "answers_for_one_word",
                "one list of phonemes comes back, for a single word. `words` is a list of words, and the "
                "result has a list of phonemes for each of them.",
                TASK,
            ),
            Mistake(
                "unwraps_a_single_word",
                "a list with one word gets that word's phonemes in one list, and longer lists get a list "
                "for each word. One word wants a list of lists, too: `[['K', 'AE', 'T']]`.",
                TASK,
            ),
            Mistake(
                "leaves_words_out",
                "fewer lists of phonemes come back than words were asked. Where words are taken in batches, "
                "the last batch is seldom full, and its words want answers, too.",
                TASK,
            ),
            Mistake(
                "returns_numbers",
                "the answers are numbers, as the network has them. Look up the name of each phoneme before "
                "you return it.",
                TASK,
            ),
            Mistake(
                "keeps_stress_digits",
                "vowels carry stress digits, such as `AH0`. They were taken off here: the phonemes are those in "
                "`lexicon.PHONEMES`.",
                TASK,
            ),
            Mistake(
                "answers_in_lower_case",
                "the phonemes are in lower case. Their names are those in `lexicon.PHONEMES`, in upper case.",
                TASK,
            ),
            Mistake(
                "keeps_the_end_token",
                "each answer ends with one more symbol, always the same, which is no phoneme. The end token "
                "tells the decoder to stop and is no part of the answer.",
                GREEDY,
            ),
            Mistake(
                "keeps_the_start_token",
                "each answer begins with one more symbol, always the same, which is no phoneme. The start "
                "token is what the decoder reads first and is no part of the answer.",
                GREEDY,
            ),
            Mistake(
                "keeps_the_padding",
                "the answers are filled up to the same length with a symbol that is no phoneme. Cut each one "
                "off where it ends.",
                GREEDY,
            ),
            Mistake(
                "never_stops",
                "all answers are equally long, whatever the word: decoding goes on to its limit. Stop each "
                "answer where the model says its end token, and see that the token is among the targets that "
                "it is taught.",
                GREEDY,
            ),
            Mistake(
                "stops_after_one_phoneme",
                "every answer is one phoneme long. The decoder has to read what it said, and go on until it "
                "says its end token.",
                GREEDY,
            ),
            Mistake(
                "says_nothing",
                "every answer is empty. Does the loop stop before the first phoneme, or is what it finds "
                "never kept?",
                GREEDY,
            ),
            Mistake(
                "says_the_same_to_all",
                "every word gets the same answer. Nothing of the word reaches the decoder, or it has not been "
                "trained, or one word's answer is given to all. Look at its first state, and at the context: "
                "do they differ from word to word?",
                DECODER,
            ),
            Mistake(
                "answers_the_longest_word_first",
                "the answers are good ones, but not in the order of the words: they are in the order of "
                "falling lengths. Where you sort a batch, put the answers back.",
                PADDING,
            ),
            Mistake(
                "answers_the_shortest_word_first",
                "the answers are good ones, but not in the order of the words: they are in the order of "
                "rising lengths. Where you sort a batch, put the answers back.",
                PADDING,
            ),
            Mistake(
                "answers_in_alphabetical_order",
                "the answers are good ones, but not in the order of the words: they are in alphabetical order. "
                "Where you sort, put the answers back.",
                PADDING,
            ),
            Mistake(
                "answers_in_another_order",
                "the answers are not in the order of the words: what is said of a word alone is said in the "
                "whole list as well, but at the place of another word. Is something sorted or shifted, or does "
                "a batch begin at the wrong place?",
                PADDING,
            ),
            Mistake(
                "says_the_words_backwards",
                "the phonemes of each answer come in the opposite order. If you train on reversed answers, "
                "turn round what is said.",
                TASK,
            ),
            Mistake(
                "listens_to_the_neighbours",
                "what is said of a word depends on the words beside it: alone, it is said otherwise. Padding "
                "must not be read, nor attended to.",
                PADDING,
            ),
            Mistake(
                "leaves_dropout_on",
                "what is said changes from call to call, and from the whole list to a word alone. Dropout is "
                "for training only: call `model.eval()` before you ask.",
                DROPOUT,
            ),
            Mistake(
                "sorts_the_words_in_place",
                "the list `words` itself is sorted, and the answers belong to the sorted one. Sort a copy, and "
                "put the answers back into the order of the words.",
                PADDING,
            ),
        ),
    ),
)
