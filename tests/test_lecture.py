"""The report on the class's mistakes, from what the judge leaves in graded notebooks."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from small_class import FIRST, NAME, POINTS, SECOND, gradebook, graded, marks, new_class

from autograder import report
from autograder.answer import ask
from autograder.cli import main
from autograder.errors import Refused
from autograder.exercise import find
from autograder.grading import lecture, live
from autograder.grading.judging import reason
from autograder.verdict import judge, nothing_to_judge

EXERCISE = find(FIRST)
POINTS_OF_FIRST = POINTS[f"{FIRST}-check"]


def judged(function):
    expected = live.expected(FIRST)
    return judge(EXERCISE, expected, ask(EXERCISE, function, list(expected.cases)))


def told_by(mistake):
    return judged(live.mistake_functions(EXERCISE)[mistake])


MISTAKE, ANOTHER = [m.name for m in EXERCISE.mistakes if told_by(m.name).diagnosis == (m.name,)][:2]
LOST = next(m.name for m in EXERCISE.mistakes if told_by(m.name).score == 0)
RIGHT = judged(live.reference_of(EXERCISE))
BLANK = nothing_to_judge(
    EXERCISE, f"`{FIRST}` is not written yet: it raises NotImplementedError. X."
)


def result(root, student, verdict, **found):
    """The student's graded notebook and grade for FIRST, as the judge leaves them but for `found`."""
    reasons = {} if verdict.score else {FIRST: reason(verdict)}
    diagnoses = {FIRST: verdict.diagnosis[0]} if verdict.diagnosis else {}
    found = {"reasons": reasons, "diagnoses": diagnoses} | found
    found = {name: value for name, value in found.items() if value is not None}
    graded(root, student, {f"{FIRST}-check": verdict.score}, metadata=found)
    shown = {"text/plain": report.as_text(verdict)}
    test = marks(f"{FIRST}-check", locked=True, grade=True, points=POINTS_OF_FIRST)
    cell = new_code_cell(f'check("{FIRST}", {FIRST})', metadata=test)
    cell.outputs = [new_output("display_data", data=shown)]
    done = new_notebook(cells=[cell], metadata={"autograder": found})
    path = root / "class" / "autograded" / student / NAME / "exercises.ipynb"
    path.write_text(json.dumps(done), encoding="utf-8")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    root = new_class(tmp_path_factory.mktemp("course"))
    result(root, "anna", RIGHT)
    result(root, "ben", told_by(MISTAKE))
    result(root, "cleo", told_by(MISTAKE))
    result(root, "dora", told_by(ANOTHER))
    result(root, "emil", BLANK)
    graded(root, "fay", {f"{FIRST}-check": 0.0}, metadata={"refused": "empty", "reasons": {}})
    graded(root, "gil", {f"{FIRST}-check": 0.0}, metadata={})  # interrupted
    return root


def tally_of(root, name=FIRST):
    (found,) = lecture.read(root, NAME)
    return next(tally for tally in found.tallies if tally.exercise.name == name)


def test_each_graded_notebook_counts_once_by_its_points(room):
    (found,) = lecture.read(room, NAME)
    assert (found.graded, found.refused, found.waiting) == (5, 1, 1)
    tally = tally_of(room)
    assert tally.full == 1
    assert tally.full + tally.partial + tally.none == 5


def test_known_mistakes_are_counted_most_frequent_first(room):
    assert [(m.name, count) for m, count in tally_of(room).known()] == [(MISTAKE, 2), (ANOTHER, 1)]
    assert dict(tally_of(room).reasons) == {"not written yet": 1}


def test_a_mistake_counts_where_the_judge_kept_it_and_not_where_a_report_says_it(tmp_path):
    root = new_class(tmp_path)
    result(root, "anna", told_by(MISTAKE), diagnoses={})
    assert tally_of(root).known() == []


def test_without_a_name_that_is_known_now_the_reason_counts(tmp_path):
    root = new_class(tmp_path)
    result(root, "anna", told_by(MISTAKE), diagnoses=None)  # graded before names were kept
    result(root, "ben", told_by(LOST), diagnoses=None)
    result(root, "cleo", told_by(LOST), diagnoses={FIRST: "a_name_of_a_former_year"})
    tally = tally_of(root)
    assert (tally.partial, tally.none, tally.known()) == (1, 2, [])
    assert dict(tally.reasons) == {reason(told_by(LOST)): 2}
    assert tally.missed


def test_points_given_by_hand_count_as_they_stand(room, tmp_path):
    root = new_class(tmp_path)
    result(root, "anna", told_by(MISTAKE))
    with gradebook(root) as book:
        book.find_grade(f"{FIRST}-check", "exercises", NAME, "anna").manual_score = POINTS_OF_FIRST
        book.db.commit()
    tally = tally_of(root)
    assert (tally.full, tally.known()) == (1, [])


def test_missed_parts_are_counted_where_no_mistake_is_known():
    heart, *others = EXERCISE.aspects
    table = [f"{FIRST}: 1 of 9 points.", f"  ok  {heart.name:<50}  1/1"]
    table += [f"  --  {aspect.name:<50}  0/1" for aspect in others]
    table[-1] += f"  counts once “{heart.name}” is right"
    text = "\n".join(table) + f"\n\n  --  {heart.name} stands in a student's message"
    assert lecture._missed(EXERCISE, text) == [aspect.name for aspect in others[:-1]]


def test_the_report_has_the_words_and_the_section_for_the_lecture(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    assert main(["mistakes", NAME]) == 0
    said = " ".join(capsys.readouterr().out.split())
    mistake = EXERCISE.mistake(MISTAKE)
    assert " ".join(mistake.says.split()) in said
    assert str(EXERCISE.see) in said
    assert f"2 {MISTAKE.replace('_', ' ')}" in said
    assert "5 notebooks graded, 1 file that could not be graded, 1 not graded yet" in said


def test_the_plot_is_an_svg_and_the_same_each_time(room, monkeypatch, tmp_path):
    monkeypatch.chdir(room)
    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        assert main(["mistakes", NAME, "--plot", str(path)]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    words = " ".join(ElementTree.parse(paths[0]).getroot().itertext())
    for expected in (FIRST, SECOND, MISTAKE.replace("_", " "), "known mistake", "students"):
        assert (expected in words) == (expected != SECOND)


@pytest.mark.parametrize(
    ("plot", "words"), [("plot.png", "call the file plot.svg"), ("no/x.svg", "cannot be written")]
)
def test_a_plot_that_cannot_be_is_told(room, monkeypatch, capsys, plot, words):
    monkeypatch.chdir(room)
    assert main(["mistakes", "--plot", plot]) == 2
    assert words in capsys.readouterr().err


def test_nothing_graded_yet_is_told(tmp_path):
    with pytest.raises(Refused, match="Nothing is graded yet"):
        lecture.read(new_class(tmp_path))
