"""Near-identical answers: what counts as the same, what counts as coincidence, what must not crash."""

import importlib
import inspect
import itertools
import re
import shutil
from functools import cache
from pathlib import Path

import nbformat
import pytest
from small_class import FIRST, NAME, SECOND, hand_in, model_answer, new_class

from autograder.cli import main
from autograder.errors import Refused
from autograder.exercise import registry
from autograder.grading import similarity
from autograder.grading.similarity import LEAST, THRESHOLD, answer_in, code_in, parse

ROOT = Path(__file__).resolve().parent.parent
ANSWER = '''
def f(x, W, steps=3):
    """A docstring."""
    total = np.zeros(W.shape[0])
    for t in range(steps):  # a comment
        a = W @ x + np.sum(x * x, axis=0, keepdims=True)
        total += np.tanh(a) / (1 + t)
        if np.any(total > 4):
            total = clip(total, 4)
    return total, x

def clip(v, limit):
    return np.where(v > limit, limit, v)
'''
REWORDED = """
import numpy
from numpy import tanh as squash

def shorten(quantity, most):
    # another comment
    return numpy.where(quantity > most, most, quantity)

def f(x: numpy.ndarray, W, steps=3) -> tuple:
    result: numpy.ndarray = numpy.zeros(
        W.shape[0]
    )
    for number in range(steps):
        pre = W @ x + numpy.sum(x * x, keepdims=True, axis=0)
        result = result + squash(pre) / (1 + number)
        if (numpy.any(result > 4)):
            "explained"
            result = shorten(result, 4)
    return (result, x)
"""
OTHER = """
def f(x, W, steps=3):
    factors = 1 / np.arange(1, steps + 1)
    states = [np.zeros(len(W))]
    while len(states) <= steps:
        new = states[-1] + np.tanh(W.dot(x) + (x**2).sum(0)) * factors[len(states) - 1]
        states.append(np.minimum(new, 4))
    return states.pop(), x
"""


def pieces(text, name="f"):
    return answer_in(code_in(["import numpy as np", text]), name, [name]).pieces


def alike(first, second):
    a, b = pieces(first), pieces(second)
    return 2 * (a & b).total() / (a.total() + b.total())


# What is the same


def test_names_comments_layout_annotations_and_imports_make_no_difference():
    assert pieces(ANSWER) == pieces(REWORDED)


@pytest.mark.parametrize(
    ("old", "new"),
    [("1 + t", "2 + t"), ("W @ x", "x @ W"), ("axis=0", "axis=1"), ("np.tanh", "np.sin")],
)
def test_what_is_computed_makes_a_difference(old, new):
    changed = ANSWER.replace(old, new)
    assert pieces(changed) != pieces(ANSWER)
    assert alike(changed, ANSWER) > 0.7


def test_another_way_to_the_same_result_is_not_alike():
    assert alike(ANSWER, OTHER) < 0.3


def test_which_variable_stands_where_makes_a_difference():
    assert pieces("def f(a, b):\n    return a * b + a") == pieces(
        "def f(p, q):\n    return p * q + p"
    )
    assert pieces("def f(a, b):\n    return a * b + a") != pieces(
        "def f(a, b):\n    return a * b + b"
    )


def test_an_answer_in_another_cell_counts_and_the_last_one_wins():
    cells = [
        "def f(x):\n    return x + 1 + 2",
        "%time\n!ls\nx = 3",
        "def f(x):\n    return x * 5 * 6",
    ]
    assert answer_in(code_in(cells), "f", ["f"]).pieces == pieces("def f(x):\n    return x * 5 * 6")


def test_an_answer_may_be_a_class():
    text = "class {}(torch.nn.Module):\n    def forward(self, {}):\n        return {} + 1 + 2"
    assert pieces(text.format("A", "x", "x"), "A") == pieces(text.format("B", "y", "y"), "B") != {}


def test_an_exercise_that_calls_another_one_is_not_compared_with_it():
    text = "def g(x):\n    return x + 1 + 2\n\ndef f(x):\n    return g(x) * 5 * 6"
    code = code_in([text])
    assert answer_in(code, "f", ["f", "g"]).pieces == pieces("def f(x):\n    return g(x) * 5 * 6")
    assert (
        answer_in(code, "f", ["f"]).pieces.total() > answer_in(code, "f", ["f", "g"]).pieces.total()
    )


@cache
def solution(chapter):
    """The code of a chapter's model answers."""
    notebook = nbformat.read(ROOT / "solutions" / chapter / "exercises.ipynb", as_version=4)
    return code_in(cell.source for cell in notebook.cells if cell.cell_type == "code")


def test_right_answers_of_different_people_are_not_flagged():
    """The tests have right answers written in different ways; none is near another."""
    compared = 0
    for name, exercise in registry().items():
        module = importlib.import_module(f"right_answers.{exercise.module}")
        code = code_in([inspect.getsource(module)])
        variants = [f for f in code.definitions if "__" in f]
        model = answer_in(solution(exercise.chapter), name, [name]).pieces
        own = [
            answer_in(code, variant, variants).pieces - model
            for variant in variants
            if variant.startswith(f"{name}__")
        ]
        own = [left for left in own if left.total() >= LEAST]
        for a, b in itertools.combinations(own, 2):
            compared += 1
            assert 2 * (a & b).total() / (a.total() + b.total()) < THRESHOLD / 2
    assert compared > 20


# What must not crash

DEEP = {
    "brackets": "(" * 9_000 + ")" * 9_000,
    "signs": "x = " + "-" * 90_000 + "1",
    "spaced signs": "x = " + "- " * 40_000 + "1",
    "nots": "x = " + "not " * 20_000 + "1",
    "lambdas": "x = " + "lambda: " * 20_000 + "1",
    "attributes": "x = " + "a." * 50_000 + "a",
    "calls": "x = a" + "()" * 50_000,
    "sums": "x = " + "1+" * 50_000 + "1",
    "powers": "x = " + "1**" * 50_000 + "1",
    "ternaries": "x = " + "1 if 1 else " * 10_000 + "1",
    "elifs": "if 1: pass\n" + "elif 1: pass\n" * 9_000,
    "indentation": "".join(" " * i + "if 1:\n" for i in range(200)) + " " * 200 + "pass",
    "awaits": "x = " + "await " * 20_000 + "1",
    "format": "f'" * 200 + "{" * 200,
    "a long number": "x = " + "9" * 90_000,
    "a zero byte": "a\0",
    "half of a pair": "x = '\ud800'",
    "no Python": "x = = 3",
    "an escape": "x = '\\d' is 3",
    "nothing": "",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_no_code_whatever_it_is_makes_reading_fail(text):
    parse(text)
    inside = "\n".join(f"    {line}" for line in text.splitlines())
    answer_in(code_in([f"def f(a):\n{inside}\n    return a"]), "f", ["f"])


def test_code_is_never_executed(tmp_path):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    text = f"{trap}\n@{trap}\ndef f(a={trap}):\n    {trap}\n    return a"
    assert answer_in(code_in([text]), "f", ["f"])
    assert not (tmp_path / "ran").exists()


def test_an_absurdly_long_answer_is_left_out():
    long = "def f(a):\n" + "    a = a + (a * (a - (a / (a + 1))))\n" * 5_000
    assert answer_in(code_in([long]), "f", ["f"]) is None
    assert not code_in(["x = 1\n" * 100_000 + "def f(a):\n    return a"]).definitions


# A class


def body(name, lines):
    signature = registry()[name].signature
    return f"def {name}({signature}):\n" + "".join(f"    {line}\n" for line in lines)


LONG = [
    "rows = [np.exp(value) for value in np.ravel(1.5)]",
    "for place, row in enumerate(rows):",
    "    rows[place] = row / (row + np.cosh(place) * 3)",
    "    if row > 7 and place < 4:",
    "        rows[place] = np.clip(row, -2, 2) - place",
    "return np.array(rows).reshape(2, -1).T",
]
RENAMED = [re.sub(r"\brows\b", "out", re.sub(r"\brow\b", "r", line)) for line in LONG]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    root = new_class(tmp_path_factory.mktemp("course"))
    hand_in(root, "anna", {FIRST: body(FIRST, LONG), SECOND: model_answer(SECOND)})
    hand_in(root, "ben", {FIRST: body(FIRST, RENAMED), SECOND: model_answer(SECOND)})
    hand_in(root, "cleo", {FIRST: model_answer(FIRST)})
    hand_in(root, "dora", {FIRST: model_answer(FIRST), SECOND: "def ((("})
    stub = body(FIRST, ["raise NotImplementedError"])
    hand_in(root, "emil", {FIRST: stub})
    hand_in(root, "fay", {FIRST: stub})
    broken = root / "class" / "submitted" / "gil" / NAME
    broken.mkdir(parents=True)
    (broken / "exercises.ipynb").write_text("{")
    return root


def test_only_the_copied_answer_is_listed(room):
    found = similarity.find(room, NAME)
    assert [(pair.exercise, pair.students) for pair in found.pairs] == [(FIRST, ("anna", "ben"))]
    assert found.pairs[0].score > 0.95
    assert found.students == 7
    assert found.compared == 2


def test_what_is_not_compared_is_counted(room):
    left_out = similarity.find(room, NAME).left_out
    assert left_out["in files that are no notebooks"] == 2
    assert sum(left_out.values()) == 2 * 7 - 2


def test_thousands_of_answers_are_compared_in_blocks(room, monkeypatch):
    before = similarity.find(room, NAME)
    monkeypatch.setattr(similarity, "BLOCK", 1)
    assert similarity.find(room, NAME) == before


def test_the_report_says_what_it_is_and_shows_where_to_read(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    assert main(["similar", NAME]) == 0
    said = capsys.readouterr().out
    for words in (
        "not of what anybody did",
        "Read both answers",
        "let nobody's points depend",
        f"{FIRST}: anna and ben",
        "np.cosh",
        "class/submitted/STUDENT",
    ):
        assert words in said
    assert main(["similar", NAME, "--threshold", "1"]) == 0
    assert "100%" in capsys.readouterr().out


def test_an_answer_is_compared_whatever_kind_of_cell_it_says_it_is(room, tmp_path):
    """It is run as code: what counts is its place."""
    copy = shutil.copytree(room, tmp_path / "course")
    path = copy / "class" / "submitted" / "ben" / NAME / "exercises.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == FIRST:
            cell.cell_type = "raw"
            del cell["outputs"], cell["execution_count"]
    nbformat.write(notebook, path)
    (pair,) = similarity.find(copy, NAME).pairs
    assert pair.students == ("anna", "ben")


def test_control_characters_in_an_answer_never_reach_the_terminal(tmp_path):
    root = new_class(tmp_path)
    for student in ("anna", "ben"):
        hand_in(root, student, {FIRST: body(FIRST, [LONG[0] + "  # \x1b[2J\u202e", *LONG[1:]])})
    assert similarity.find(root, NAME).pairs
    assert not {"\x1b", "\u202e"} & set(similarity.report(root))


def test_an_unknown_assignment_or_an_empty_class_is_told(room, tmp_path):
    with pytest.raises(Refused, match="no assignment '99-none'"):
        similarity.report(room, "99-none")
    with pytest.raises(Refused, match="Nobody has handed in"):
        similarity.report(new_class(tmp_path))
