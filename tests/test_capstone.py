"""The capstone: words that are held out, models that are measured, a table of the class."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from small_class import NAME as OTHER
from small_class import marks, new_class

from autograder import frozen, lexicon, report
from autograder.answer import Answer, Answers, Failure, ask
from autograder.check import MIME, examine
from autograder.cli import main
from autograder.exercise import PUBLIC_SEED, Needs, find
from autograder.exercises import capstone
from autograder.grading import (
    course,
    execution,
    job,
    leaderboard,
    live,
    sample_class,
    sanitise,
    similarity,
    submission,
)
from autograder.grading.course import needs_of, trained_less
from autograder.grading.execution import Execute
from autograder.grading.judging import Judge
from autograder.grading.sanitise import KEY, rebuild
from autograder.plain import identical
from autograder.reference import held_out
from autograder.sent import sent_cases, to_send
from autograder.verdict import Expected, judge

ROOT = Path(__file__).resolve().parent.parent
NAME = "12-capstone"
SOURCE = ROOT / "solutions" / NAME / "exercises.ipynb"
PRONOUNCE = find("pronounce")
SEED = 271828
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "chapters" / "lab" / "data"))

SOUNDS = """
    SOUNDS = dict(zip("abcdefghijklmnopqrstuvwxyz", "AE B K D EH F G HH IH JH K L M N AA P K R "
                      "S T AH V W Z Y Z".split()))
"""
SPELLER = (
    f"def pronounce(words):{SOUNDS}    return [[SOUNDS[x] for x in word[::2]] for word in words]"
)


def small_case(**ways):
    """A case of words with their pronunciations; in Python, a name has no spaces."""
    entries = [(word, [way.split("_") for way in said]) for word, said in ways.items()]
    return capstone.case_of(capstone.DEVELOPMENT, entries)


def verdict_on(case, said, **more):
    """What is judged of these answers, each phonemes in one string."""
    asked = capstone._asked_alone(case.inputs["words"])
    got = {"said": said, "alone": [[said[at]] for at in asked], "parameters": None}
    usual = [ways[0] for ways in case.truth]
    right = {"said": usual, "alone": [[usual[at]] for at in asked]}
    expected = Expected((case,), Answers((Answer(right | {"parameters": None}),)))
    return judge(PRONOUNCE, expected, Answers((Answer(got | more),)))


def earned(verdict):
    return [aspect.earned for aspect in verdict.aspects]


# The words


def test_words_are_short_and_lower_case_and_phonemes_are_those_of_the_readings():
    sys.path.insert(0, str(ROOT / "chapters"))
    from lab.datasets import PHONES

    assert lexicon.PHONEMES == PHONES
    parts = dict(lexicon.training()), dict(lexicon.development()), held_out.entries()
    assert [len(part) for part in parts] == [16_000, 1_000, 10_000]
    for part in parts:
        assert all(word.isascii() and word.islower() and 3 <= len(word) <= 14 for word in part)
    said = [p for p in parts[0].values()] + [
        w for part in parts[1:] for ws in part.values() for w in ws
    ]
    assert {phoneme for phonemes in said for phoneme in phonemes} == set(lexicon.PHONEMES)


def test_no_word_and_no_inflected_form_of_it_is_in_two_parts():
    from prepare import stem

    parts = [dict(lexicon.training()), dict(lexicon.development()), held_out.entries()]
    stems = [{stem(word) for word in part} for part in parts]
    assert not stems[0] & stems[1] and not stems[0] & stems[2] and not stems[1] & stems[2]


def test_held_out_words_stand_nowhere_else_in_the_course():
    lab = (ROOT / "chapters" / "lab" / "data" / "pronunciations").glob("*.txt")
    others = {line.split()[0] for path in lab for line in path.read_text().splitlines()}
    assert others and not others & held_out.entries().keys()


def test_the_dictionarys_licence_lies_beside_both_files():
    for folder in (ROOT / "autograder" / "lexicon", ROOT / "autograder" / "reference" / "held_out"):
        assert "Carnegie Mellon University" in (folder / "LICENSE").read_text(encoding="utf-8")


# Cases that are held out


def test_a_class_draws_its_own_words_and_each_time_the_same():
    first, again, other = (live.cases_of(PRONOUNCE, seed)[0] for seed in (1, 1, 2))
    assert identical(first.inputs, again.inputs) and identical(first.truth, again.truth)
    asked = set(first.inputs["words"])
    assert len(asked) == 1000
    assert len(asked & set(other.inputs["words"])) < 200
    assert asked <= held_out.entries().keys()


def test_the_students_side_has_no_hidden_cases():
    with pytest.raises(ValueError, match="instructor"):
        PRONOUNCE.cases_from(1)
    assert PRONOUNCE.cases_from(PUBLIC_SEED)[0].kind == capstone.DEVELOPMENT


def test_of_a_case_only_name_kind_and_inputs_are_sent():
    (case,) = live.cases_of(PRONOUNCE, SEED)
    text = to_send([case])
    (back,) = sent_cases(text)
    assert back == replace(case, truth=None)
    assert not any(way in text for ways in case.truth for way in ways if len(way) > 3)


def test_what_a_submission_is_held_against_are_the_held_out_words_alone():
    expected = live.all_expected(["pronounce", "rnn_step"], SEED)
    assert [case.kind for case in expected["pronounce"].cases] == [capstone.HELD_OUT]
    public = frozen.load("rnn_step").cases
    assert len(expected["rnn_step"].cases) == len(public) + len(
        live.cases_of(find("rnn_step"), SEED)
    )


# Judging a model


def test_thresholds_are_met_at_the_very_number():
    ways = {f"w{n}": ["AH_B_K_D_EH_F_G_HH_IH_JH"] for n in range(10)}
    case, right = small_case(**ways), "AH B K D EH F G HH IH JH"
    wrong = " ".join(["Z"] * 10)
    for percent in capstone.THRESHOLDS:
        tens, ones = divmod(percent, 10)
        part = " ".join(["Z"] * ones + right.split()[ones:])
        said = [wrong] * tens + [part] * (ones > 0)
        said += [right] * (10 - len(said))
        met = [points for limit, points in capstone.THRESHOLDS.items() if percent <= limit]
        verdict = verdict_on(case, said)
        assert sum(earned(verdict)[:4]) == sum(met), percent
        worse = [f"{row} Z" if row == right else row for row in said]
        assert sum(earned(verdict_on(case, worse))[:4]) < sum(met)


@pytest.mark.parametrize(
    ("wrong", "read"),
    [(5, capstone.TASK), (3, capstone.TASK), (2, capstone.LOOK_BACK), (1, None)],
)
def test_what_to_read_again_is_what_gets_over_the_first_threshold_that_is_missed(wrong, read):
    case = small_case(word=["AH_B_K_D_EH_F_G_HH_IH_JH"])
    right = case.truth[0][0].split()
    said = [" ".join(["Z"] * wrong + right[wrong:])]
    text = report.message(verdict_on(case, said))
    assert (f"To read again: {read}." in text) if read else ("To read again" not in text)


def test_the_nearest_pronunciation_counts():
    case = small_case(tomato=["T_AH_M_EY_T_OW", "T_AH_M_AA_T_OW"], cat=["K_AE_T"])
    verdict = verdict_on(case, ["T AH M AA T OW", "K AE T"])
    assert verdict.passed
    got = {"said": ["T AH M AA T AH", "K AE T"], "parameters": 7}
    assert capstone._measure(case, None, got)["error rate"] == 1 / 9
    assert capstone._measure(case, None, got)["parameters"] == 7


def test_the_report_tells_the_luck_of_the_draw_and_the_worst_words_of_development():
    def careless(asked):
        usual = live.reference_of(PRONOUNCE)(asked)
        return [
            ["T"] if word == "saucier" else row[:-1] for word, row in zip(asked, usual, strict=True)
        ]

    text = report.message(examine("pronounce", careless))
    assert "saucier (T; right: S AO S IY ER)" in text
    assert "on other words of this kind expect 0." in text


def test_whoever_meets_the_last_threshold_narrowly_is_told_and_others_are_not():
    usual = live.reference_of(PRONOUNCE)

    def off(percent):
        """Of so many words the last phoneme is missing."""

        def say(asked):
            short = [sum(map(ord, word)) % 100 < percent for word in asked]
            return [row[:-1] if s else row for row, s in zip(usual(asked), short, strict=True)]

        return examine("pronounce", say)

    narrow = next(found for p in range(100, 0, -1) if (found := off(p)).passed)
    assert "all right.\n\nBut narrowly. On the 1000" in report.as_text(narrow)
    assert report.as_text(off(30)) == "pronounce: 12 of 12 points, all right."


def test_held_out_words_are_not_told():
    (case,) = live.cases_of(PRONOUNCE, SEED)
    expected = live.expected("pronounce", SEED)
    for name, function in live.mistake_functions(PRONOUNCE).items():
        verdict = judge(PRONOUNCE, expected, ask(PRONOUNCE, function, [case]))
        text = report.message(verdict)
        assert not [word for word in case.inputs["words"] if len(word) > 7 and word in text], name


def batches_of_64(usual, asked):
    rows = []
    for start in range(0, 64 * (len(asked) // 64), 64):
        rows += usual(asked[start : start + 64])
    return rows


def one_at_a_time_fails(usual, asked):
    if len(asked) == 1:
        raise ValueError("a squeezed axis")
    return usual(asked)


ODD = {
    "the last batch is missing": (
        batches_of_64,
        "leaves_words_out",
        "A list of 1000 lists of phonemes is due, one for each word, such as [['K', 'AE', 'T'], "
        "['D', 'AO', 'G']], but there are 960 lists.",
    ),
    "only the first word": (
        lambda usual, asked: usual(asked[:1]),
        "leaves_words_out",
        "but there is 1 list.",
    ),
    "too many": (lambda usual, asked: usual(asked) * 2, None, "but there are 2000 lists."),
    "one word is unwrapped": (
        lambda usual, asked: usual(asked) if len(asked) > 1 else usual(asked)[0],
        "unwraps_a_single_word",
        "For a list with one word a list with one list of phonemes is due, such as [['K', 'AE', 'T']], "
        "but the phonemes of one word came, in one list.",
    ),
    "one word fails": (one_at_a_time_fails, None, "For a list with one word it raises an error."),
    "one answer for all": (
        lambda usual, asked: usual(asked[:1]) * len(asked),
        "says_the_same_to_all",
        "1000 of 1000 answers are the same as that of another word",
    ),
    "padded to 15": (
        lambda usual, asked: [(row + ["-"] * 15)[:15] for row in usual(asked)],
        "keeps_the_padding",
        "Cut each one off where it ends.",
    ),
    "sorted, and not put back": (
        lambda usual, asked: usual(sorted(asked, key=len)),
        "answers_the_shortest_word_first",
        "in the order of rising lengths",
    ),
    "a generator": (lambda usual, asked: (r for r in usual(asked)), None, "a generator came."),
    "pairs": (
        lambda usual, asked: [(row, None) for row in usual(asked)],
        None,
        "but some of the lists in it hold lists themselves.",
    ),
    "with their words": (
        lambda usual, asked: list(zip(asked, usual(asked), strict=True)),
        None,
        "but some of the lists in it hold lists themselves.",
    ),
    "two places further": (
        lambda usual, asked: usual(asked)[-2:] + usual(asked)[:-2] if asked[1:] else usual(asked),
        "answers_in_another_order",
        "but at the place of another word.",
    ),
    "spaces": (
        lambda usual, asked: [[" ".join(row)] for row in usual(asked)],
        None,
        "are empty, or long, or have spaces in them.",
    ),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_answers_are_called_what_they_are(odd):
    function, name, said = odd
    usual = live.reference_of(PRONOUNCE)
    verdict = examine("pronounce", lambda asked: function(usual, asked))
    assert verdict.diagnosis == ((name,) if name else ())
    assert said in " ".join(report.message(verdict).split())


def test_whoever_fails_for_one_word_alone_keeps_the_other_points():
    usual = live.reference_of(PRONOUNCE)
    for way in (one_at_a_time_fails, ODD["one word is unwrapped"][0]):
        assert examine("pronounce", lambda asked, way=way: way(usual, asked)).score == 11


def test_the_luck_of_the_draw_is_told_where_it_can_matter_only():
    assert "luck" not in report.message(examine("pronounce", lambda asked: [["S"] for _ in asked]))


def test_a_model_that_is_only_weak_has_no_known_mistake():
    def weak(asked):
        return [[p if n % 2 else "AH" for n, p in enumerate(row)] for row in reference(asked)]

    reference = live.reference_of(PRONOUNCE)
    verdict = examine("pronounce", weak)
    assert 0 < verdict.score < PRONOUNCE.max_score or not verdict.score
    assert verdict.diagnosis == ()


def test_the_size_of_the_model_is_that_of_the_modules_that_ran():
    torch = pytest.importorskip("torch")
    table, other = torch.nn.Embedding(26, 39), torch.nn.Linear(5, 5)

    def asks(asked):
        letters = [[ord(letter) - ord("a") for letter in word] for word in asked]
        return [[lexicon.PHONEMES[i] for i in table(torch.tensor(w)).argmax(-1)] for w in letters]

    (case,) = PRONOUNCE.cases_from(PUBLIC_SEED)
    case = replace(case, inputs={"words": case.inputs["words"][:3]})
    (answer,) = ask(PRONOUNCE, asks, [case]).answers
    assert answer.value["parameters"] == 26 * 39
    assert other.in_features == 5


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "K AE T",
        [],
        {},
        {"said": None},
        {"said": 5, "alone": 5, "parameters": "many"},
        {"said": ["K"] * 1000},
        {"said": ["K"] * 1000, "alone": ["K"] * 20, "parameters": -1},
        {"said": ["Z " * 5000] * 1000, "alone": [], "parameters": 2**80},
        {"said": [["K"]] * 1000, "alone": [[]], "parameters": None},
        {"said": ["K"] * 999, "alone": [], "parameters": None},
        {"said": {"other": [1.5, None, {"a": []}]}, "alone": None, "parameters": None},
        {"said": {"other": {"other": 1}}, "alone": {}},
        {"said": [None] * 1000, "alone": [None]},
    ],
)
def test_odd_answers_earn_nothing_and_break_nothing(value):
    expected = live.expected("pronounce", SEED)
    verdict = judge(PRONOUNCE, expected, Answers((Answer(value),)))
    assert verdict.score == 0
    assert capstone._measure(expected.cases[0], None, value).get("error rate", 1) > 0.5
    report.as_html(verdict)


# Graded in a sandbox


def submitted(answer, *own, before=()):
    """The assignment's notebook with this `pronounce` and no training, and own cells around it."""
    template = course.released(SOURCE)
    cells = [submission.Cell("code", text) for text in before]
    cells += [submission.Cell("code", answer, "pronounce")]
    cells += [submission.Cell("code", 'check("pronounce", pronounce)', "pronounce-check")]
    return rebuild(template, cells + [submission.Cell("code", text) for text in own])


def graded_job(nb, seconds=30):
    settings = json.dumps({"Execute": {"timeout": seconds}})
    done = job.run(job.Job("anna", NAME, nbformat.writes(nb), SEED, settings))
    return nbformat.reads(done, as_version=4)


def text_of(nb, grade_id="pronounce-check"):
    cell = next(c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)
    return "\n".join(o.data["text/plain"] for o in cell.outputs)


LEAKS = f"""
import sys
{SPELLER.replace("def pronounce", "def say")}
def pronounce(words):
    global KNOWN
    KNOWN = list(words)
    print(KNOWN)
    print(KNOWN, file=sys.__stdout__)
    display(" ".join(KNOWN))
    WAY
"""
WAYS = {
    "prints": "return say(words)",
    "raises": "raise ValueError(' '.join(KNOWN))",
    "raises a type of that name": "raise type(' '.join(KNOWN), (Exception,), {})()",
    "says the words": "return [[w] for w in words]",
    "returns a type of that name": "return type(' '.join(KNOWN)[:150], (), {})()",
    "returns a dict of them": "return {w: w for w in words}",
    "ends Python": "print(KNOWN, flush=True); import os; os._exit(1)",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_held_out_words_do_not_come_back_to_students(way):
    after = "print(KNOWN)\nraise ValueError(' '.join(KNOWN))"
    handed_in = submitted(LEAKS.replace("WAY", way), after, after)
    before = nbformat.writes(handed_in)
    text = nbformat.writes(graded_job(handed_in))
    (case,) = live.cases_of(PRONOUNCE, SEED)
    telling = [word for word in case.inputs["words"] if len(word) > 6 and word not in before]
    assert len(telling) > 400
    assert [word for word in telling if word in text] == []


def test_a_weak_model_is_measured_and_told_so():
    nb = graded_job(submitted(SPELLER))
    found = nb.metadata[KEY]["measures"]["pronounce"]
    assert 0.5 < found["error rate"] < 1 and found["words"] == 1000
    assert found["parameters"] is None and not found["too good"]
    assert f"the phoneme error rate is {found['error rate']:.4f}" in " ".join(text_of(nb).split())
    assert "pronounce" in nb.metadata[KEY]["reasons"]


# The patterns are not what they match, so that they do not find themselves.
SEARCH = """
import glob, re
HIDDEN, SHOWN = re.compile(rb"N UW G AA T AO [R] IY"), re.compile(rb"S AO S IY [E]R")
found, known = [], []
for root in ({root!r}, "/jail", "/root", "/home", "/tmp"):
    for path in glob.glob(root + "/**/*.*", recursive=True):
        try:
            text = open(path, "rb").read()
        except OSError:
            continue
        found += HIDDEN.findall(text)
        known += SHOWN.findall(text)
for name in ("autograder.reference.held_out", "autograder.grading.live", "prepare"):
    try:
        __import__(name)
        found.append(name)
    except ImportError:
        pass
in_files, known = len(known), []
def pronounce(words):
    for line in [] if known else open("/proc/self/maps"):
        place, rights, *_ = line.split()
        start, end = (int(number, 16) for number in place.split("-"))
        try:
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(start)
                text = memory.read(min(end - start, 1 << 28))
        except (OSError, OverflowError):
            continue
        found.extend(HIDDEN.findall(text))
        known.extend(SHOWN.findall(text))
    seen = (1 + len(found)) if in_files and known else 0
    return [["K" if word < "m" else "S"] * seen for word in words]
"""


def test_no_answer_to_a_held_out_word_is_in_the_kernel():
    """It would say more than one phoneme a word, if it found something, and nothing if it saw nothing."""
    assert held_out.entries()["nugatory"] and dict(lexicon.development())["saucier"]
    nb = graded_job(submitted(SEARCH.format(root=str(ROOT))))
    assert "every answer is one phoneme long" in " ".join(text_of(nb).split())


def test_the_seed_of_held_out_words_is_not_in_the_kernel_either():
    """With it, and the 10,000 words, everybody would know which are asked."""
    look = "import os\nprint([v for v in os.environ.values() if v.isdigit() and len(v) > 3])"
    nb = graded_job(submitted(SPELLER, before=[look]))
    shown = [o.text for c in nb.cells if c.source == look for o in c.outputs]
    assert shown == ["[]\n"]
    assert nb.metadata[KEY]["measures"]


FORGED = """
import json
from autograder import check as _
from autograder.check import MIME
from autograder.answer import Answer, Answers
from IPython.display import publish_display_data
def forge(name, function, sent):
    value = {value}
    publish_display_data({{MIME: Answers((Answer(value),)).to_json()}})
import sys
sys.modules["autograder.check"].answer = forge
def pronounce(words):
    return []
"""
FORGERIES = {
    "nothing": "None",
    "all thresholds": "{'said': [], 'alone': [], 'parameters': 1, 'error rate': 0.0}",
    "empty answers": "{'said': [''] * 1000, 'alone': [['']] * 20, 'parameters': 1}",
    "giant": "{'said': ['K ' * 4000] * 1000, 'alone': [], 'parameters': 1}",
    "a profile": "{'form': 'dict'}",
}


@pytest.mark.parametrize("value", FORGERIES.values(), ids=FORGERIES)
def test_forged_answers_earn_nothing(value):
    nb = graded_job(submitted(FORGED.format(value=value)))
    assert text_of(nb).splitlines()[-1] == "0"
    assert "pronounce: 0 of 12 points" in text_of(nb)


def test_no_answers_alone_earn_nothing_for_words_alone():
    case = small_case(tomato=["T_AH_M_EY_T_OW"], cat=["K_AE_T"])
    verdict = verdict_on(case, ["T AH M EY T OW", "K AE T"], alone=[])
    assert [aspect.name for aspect in verdict.aspects if not aspect.earned] == [
        "A word is said the same alone"
    ]


@pytest.mark.parametrize("kind", ["raw", "markdown"])
def test_code_is_bounded_whatever_a_cell_says_it_is(kind):
    blob = "DATA = '" + "x" * PRONOUNCE.needs.code + "'"
    with pytest.raises(submission.NoNotebook):
        rebuild(course.released(SOURCE), [submission.Cell(kind, blob, "parts")])


def test_once_words_have_been_sent_there_is_no_second_kernel():
    """It could find out which of the system's files the first one has read, and print that."""
    ends = f"import os\n{SPELLER.splitlines()[0]}\n    os._exit(1)"
    after = "print('a second kernel')"
    nb = graded_job(submitted(ends, after, before=["print('the first one')"]))
    assert "Python ended while `pronounce` was asked" in " ".join(text_of(nb).split())
    (own,) = [cell for cell in nb.cells if cell.source == after]
    assert [output.ename for output in own.outputs] == [execution.NOT_RUN]


def test_what_a_second_kernel_says_is_not_shown_if_the_first_was_killed_from_outside(monkeypatch):
    said = iter([True])
    monkeypatch.setattr(execution, "_killed_from_outside", lambda manager: next(said, False))
    nb = graded_job(submitted(SPELLER, before=["print('again')"]))
    assert nb.metadata[KEY]["measures"]["pronounce"]["words"] == 1000
    assert "mend it first" not in text_of(nb)  # no cell of the student's failed
    (own,) = [cell for cell in nb.cells if cell.source == "print('again')"]
    assert [output.ename for output in own.outputs] == [execution.NOT_RUN]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("while True: pass", "The cell `training` was not done in time."),
        ("x = bytearray(1 << 40)", "The cell `training` stops with MemoryError"),
        ("import os; os._exit(1)", "The cell `training` ended Python."),
        ("raise KeyError('lr')", "The cell `training` stops with KeyError: 'lr'."),
    ],
)
def test_who_fails_in_training_is_told_of_that_and_not_of_what_was_missing_then(cell, said):
    answer = "def pronounce(words):\n    return MODEL(words)"
    train = submission.Cell("code", cell, "training")
    nb = graded_job(
        rebuild(course.released(SOURCE), [train, submission.Cell("code", answer, "pronounce")]), 1
    )
    text = " ".join(text_of(nb).split())
    assert said in text
    assert "MODEL" not in text
    assert said[:30] in nb.metadata[KEY]["reasons"]["pronounce"]


def test_a_notebook_of_stubs_is_not_told_that_cells_failed():
    nb = graded_job(course.released(SOURCE))
    assert "mend it first" not in text_of(nb)


def test_who_is_never_asked_is_not_told_that_the_function_ended_python():
    dies = ["import os; os._exit(1)  # " + "again" * n for n in range(5)]
    nb = graded_job(submitted(SPELLER, before=dies))
    text = " ".join(text_of(nb).split())
    assert "too many cells before this one ended Python" in text
    assert "while `pronounce` was asked" not in text


def test_more_code_than_is_allowed_is_refused_and_told():
    most = PRONOUNCE.needs.code
    blob = "DATA = '" + "x" * most + "'"
    with pytest.raises(submission.NoNotebook, match=str(most)):
        submitted(SPELLER, before=[blob])
    with pytest.raises(submission.NoNotebook):  # two bytes each
        submitted(SPELLER, before=["DATA = '" + "é" * (most // 2) + "'"])
    text = [submission.Cell("markdown", "x" * 2 * most), submission.Cell("code", "y = 1")]
    assert rebuild(course.released(SOURCE), text)


def test_the_command_of_nbgrader_refuses_too_much_code_as_well(monkeypatch):
    monkeypatch.setattr(sanitise, "course_of", lambda part: None)
    monkeypatch.setattr(sanitise, "as_released", lambda *_: course.released(SOURCE))
    step = sanitise.Sanitise()
    marks_of = {"assignment": NAME, "notebook": "exercises", "student": "anna"}
    for size, refused in ((100, False), (50_000, True)):
        cells = [submission.Cell("code", "x" * size)]
        resources = {"nbgrader": marks_of, KEY: {"cells": cells}}
        nb, _ = step.preprocess(new_notebook(), resources)
        assert ("refused" in nb.metadata.get(KEY, {})) == refused


def test_the_model_answer_has_room_in_its_bound():
    cells = submission.read(SOURCE)
    size = sum(len(cell.source.encode()) for cell in cells if cell.kind == "code")
    assert size < PRONOUNCE.needs.code / 3


# What a notebook may use


def test_needs_add_up_to_what_is_enough_for_all_with_the_stricter_bound():
    assert needs_of([]) == needs_of(["rnn_step"]) == Needs()
    assert needs_of(["rnn_step", "pronounce"]) == PRONOUNCE.needs
    assert Needs(2, 4, 900) | Needs(3, 1, 500) == Needs(3, 4, 500)
    assert Needs(2, 4, 900) | Needs() == Needs(2, 4, 900)


def executed(monkeypatch, needs, *sources, **settings):
    monkeypatch.setattr(execution, "needs_of", lambda names: needs)
    step = Execute(seed=1, startup_timeout=120, **{"timeout": 2, "iopub_timeout": 10, **settings})
    step.interrupt_on_timeout, step.shutdown_kernel = True, "immediate"
    step.error_on_timeout = {"ename": "CellTimeoutError", "evalue": "", "traceback": []}
    step.store_widget_state = False
    nb = new_notebook(cells=[new_code_cell(text) for text in sources])
    done, _ = step.preprocess(nb, {"metadata": {"name": "x"}, "unique_key": "x"})
    return step, done.cells


SLEEP = "import time\ntime.sleep(3)\nprint('slept')"


def test_who_needs_longer_has_longer_and_others_have_not(monkeypatch):
    step, (cell,) = executed(monkeypatch, Needs(times=40), SLEEP)
    assert [output.text for output in cell.outputs] == ["slept\n"]
    assert step._whole == 160  # two cells of 80 seconds
    step, (cell,) = executed(monkeypatch, Needs(), SLEEP)
    assert step._whole == 20  # ten cells of 2 seconds, as ever
    assert cell.outputs[-1].evalue == "not done after 2 seconds"


def test_cores_and_seconds_of_the_processor_are_as_declared(monkeypatch):
    ask_for = (
        "import os, resource\n"
        "print(os.environ['OMP_NUM_THREADS'], resource.getrlimit(resource.RLIMIT_CPU)[0])"
    )
    for needs, said in ((Needs(), "1 600"), (Needs(10, 3), "3 1800")):
        _, (cell,) = executed(monkeypatch, needs, ask_for, timeout=30)
        assert [output.text.strip() for output in cell.outputs] == [said]


# The table of the class


def measured(rate, right=0.5, parameters=300_000, too_good=False):
    found = {"error rate": rate, "words right": right, "words": 1000}
    return {"pronounce": found | {"parameters": parameters, "too good": too_good}}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A class whose gradebook knows the capstone, with four models and one that is none."""
    from nbgrader.api import Gradebook

    root = tmp_path_factory.mktemp("course")
    new_class(root)
    (root / "solutions" / NAME).mkdir()
    (root / "solutions" / NAME / "exercises.ipynb").write_bytes(SOURCE.read_bytes())
    with Gradebook(f"sqlite:///{root / 'class' / 'gradebook.db'}") as book:
        book.add_assignment(NAME)
        book.add_notebook("exercises", NAME)
        book.add_grade_cell("pronounce-check", "exercises", NAME, max_score=12.0, cell_type="code")
    students = {
        "=anna": (measured(0.1234), 12.0),
        "ben": (measured(0.21999, parameters=None), 8.0),
        "cleo": (measured(0.22001), 8.0),
        "dora": (measured(0.01, too_good=True), 12.0),
        "emil": ({}, 0.0),
    }
    with Gradebook(f"sqlite:///{root / 'class' / 'gradebook.db'}") as book:
        for student, (found, score) in students.items():
            book.update_or_create_student(student)
            book.update_or_create_submission(NAME, student)
            grade = book.find_grade("pronounce-check", "exercises", NAME, student)
            grade.auto_score, grade.needs_manual_grade = score, False
            book.db.commit()
            test = marks("pronounce-check", locked=True, grade=True, points=12)
            cell = new_code_cell('check("pronounce", pronounce)', metadata=test)
            kept = {"reasons": {}, "diagnoses": {}} | ({"measures": found} if found else {})
            nb = new_notebook(cells=[cell], metadata={KEY: kept})
            folder = root / "class" / "autograded" / student / NAME
            folder.mkdir(parents=True)
            (folder / "exercises.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    return root


def test_the_best_model_comes_first_and_equal_ones_share_a_place(room):
    board = leaderboard.read(room)
    assert [entry.student for entry in board.entries] == ["dora", "=anna", "ben", "cleo"]
    assert [board.place(entry) for entry in board.entries] == [1, 2, 3, 3]
    assert (board.points, board.words, board.without) == (12.0, 1000, 1)


def test_the_table_has_no_names_unless_they_are_asked_for(room):
    board = leaderboard.read(room, NAME)
    text = leaderboard.table(board)
    assert not any(name in text for name in ("anna", "ben", "cleo", "dora", "emil", "!"))
    assert "0.1234" in text and "1 without an error rate" in text
    for own in lexicon.measured():  # the course's own networks stand among them
        name, _, how = own["model"].rpartition(", ")
        assert how != "greedy" or f"(ours: {name})" in text
    named = leaderboard.table(board, names=True)
    assert "=anna" in named and "! dora" in named and "no verdict" in named


def test_the_table_as_csv_runs_nothing_in_a_spreadsheet(room, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(room)
    assert main(["leaderboard", NAME, "--format", "csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["place", "error rate", "words right", "points", "parameters"]
    assert rows[3] == ["3", "0.2200", "0.500", "8", ""]
    file = tmp_path / "board.csv"
    assert main(["leaderboard", "--format", "csv", "--names", "--out", str(file)]) == 0
    rows = list(csv.reader(file.open(encoding="utf-8", newline="")))
    assert rows[1][-2:] == ["dora", "!"] and rows[2][-2:] == ["'=anna", ""]


def test_where_nothing_is_measured_the_table_is_refused(room, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(room)
    assert main(["leaderboard", OTHER]) == 2
    assert NAME in capsys.readouterr().err
    assert main(["leaderboard", "13-nothing"]) == 2
    new_class(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["leaderboard"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_what_the_judge_measured_reaches_the_table(tmp_path):
    """From a graded notebook, as `autograder grade` records it."""
    found = graded_job(submitted(SPELLER)).metadata[KEY]
    assert set(found["measures"]["pronounce"]) == set(measured(0.1)["pronounce"])


def test_near_identical_answers_are_found_in_the_whole_notebook():
    """`pronounce` may be one line; what it asks is an object that no definition names."""
    cells = [c.source for c in submission.read(SOURCE) if c.kind == "code"]
    pieces = similarity._pieces(similarity.code_in(cells), "pronounce", ["pronounce"])
    assert any("pack_padded_sequence" in piece for piece in pieces)


# The notebook


def test_a_model_answer_trains_as_long_as_it_is_told():
    text = "x = 1\nUPDATES = 800\nprint(UPDATES)\n"
    assert trained_less(text, 3) == "x = 1\nUPDATES = 3\nprint(UPDATES)\n"
    assert trained_less("def f():\n    return 800\n", 3) == "def f():\n    return 800\n"
    cells = nbformat.read(SOURCE, as_version=4).cells
    assert sum(trained_less(cell.source, 3) != cell.source for cell in cells) == 1


def test_made_up_students_hand_in_code_where_code_is_due_and_train_for_different_times():
    source = nbformat.read(SOURCE, as_version=4)
    release = course.released(SOURCE)
    handed = {}
    for manner in ("right", "mixed 0", "stubs"):
        text = sample_class._hand_in(manner, nbformat.from_dict(dict(release)), source)
        nb = nbformat.reads(text, as_version=4)
        handed[manner] = {
            c.metadata.nbgrader.grade_id: c.source for c in nb.cells if "nbgrader" in c.metadata
        }
        release = course.released(SOURCE)
    assert "class Speaker" in handed["right"]["model"]
    assert "made-up" in handed["right"]["report"]
    assert handed["right"]["training"] != handed["mixed 0"]["training"]
    assert "NotImplementedError" in handed["stubs"]["training"]


def test_what_the_notebook_shows_of_measurements_is_what_was_measured():
    from experiments import capstone as experiment
    from experiments.runner import RESULTS

    result = json.loads((RESULTS / "capstone.json").read_text(encoding="utf-8"))
    assert lexicon.measured() == experiment.summary(result)


def test_only_attention_reached_the_last_threshold_and_it_did_so_with_every_seed():
    last = min(capstone.THRESHOLDS) / 100
    rows = lexicon.measured()
    attention = [row for row in rows if row["model"].startswith("attention")]
    one_vector = [row for row in rows if row["model"].startswith("one vector")]
    assert attention and one_vector
    assert all(row["range"][1] < last - 0.005 for row in attention)
    assert all(row["range"][0] > last + 0.005 for row in one_vector)


# In a terminal


def test_a_file_is_judged_like_any_other(tmp_path, capsys):
    file = tmp_path / "pronounce.py"
    file.write_text(SPELLER, encoding="utf-8")
    assert main(["check", str(file), "--json"]) == 1
    row = json.loads(capsys.readouterr().out)
    assert (row["exercise"], row["score"], row["max_score"]) == ("pronounce", 0.0, 12.0)
    assert main(["check", str(file), "--hidden", "--seed", "1"]) == 1
    assert "On the 1000 held-out words" in " ".join(capsys.readouterr().out.split())


def test_a_failure_on_held_out_words_keeps_its_message_to_itself():
    expected = live.expected("pronounce", SEED)
    failure = Failure(("nugatory", "ValueError"), "nugatory", "nugatory", 3)
    answers = Answers((Answer(failure=failure, changed=("nugatory",), warned=("nugatory",)),))
    test = marks("pronounce-check", locked=True, grade=True, points=12)
    cell = new_code_cell('check("pronounce", pronounce)', metadata=test)
    cell.outputs = [new_output("display_data", data={MIME: answers.to_json()})]
    verdict = Judge(seed=SEED)._judge(PRONOUNCE, expected, cell, None)
    text = report.message(verdict)
    assert "nugatory" not in text and "raises ValueError" in text
    assert verdict.score == 0
