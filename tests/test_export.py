"""Scores for Canvas, Moodle and spreadsheets."""

import csv
import io
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from small_class import FIRST, NAME, POINTS, SECOND, forget, gradebook, graded, new_class

from autograder.cli import main
from autograder.errors import Refused
from autograder.grading import export
from autograder.grading.export import export as exported

FULL = {f"{FIRST}-check": POINTS[f"{FIRST}-check"], f"{SECOND}-check": 0.0}
TOTAL = sum(POINTS.values())
SCORE = f"{POINTS[f'{FIRST}-check'] + 3:g}"  # with three points by hand


@pytest.fixture(scope="module")
def as_made(tmp_path_factory):
    """anna: all graded; ben: waits for hand grading; cleo: known, handed nothing in."""
    root = new_class(tmp_path_factory.mktemp("course"))
    person = {"first_name": "Anna", "last_name": "Ó Sé", "email": "anna@x.org"}
    graded(root, "anna", FULL, by_hand=3.0, lms_user_id="4711", **person)
    graded(root, "ben", FULL, email="ben@x.org", lms_user_id="s-99")
    with gradebook(root) as book:
        book.update_or_create_student("cleo", email="cleo@x.org")
    return root


@pytest.fixture
def room(as_made, tmp_path):
    return Path(shutil.copytree(as_made, tmp_path / "course"))


def table(made):
    return list(csv.reader(io.StringIO(made.text)))


def by_student(made, column):
    head, *rows = table(made)
    return {row[head.index(column)]: dict(zip(head, row, strict=True)) for row in rows}


# Canvas


def test_canvas_gets_the_columns_and_the_row_of_points_that_its_importer_asks_for(room):
    head, points, *rows = table(exported(room, "canvas"))
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", NAME]
    assert points == ["    Points Possible", "", "", "", "", f"{TOTAL:g}"]
    assert rows == [["Ó Sé, Anna", "4711", "", "anna", "", SCORE]]


def test_canvas_gets_the_numbers_of_assignments_behind_their_names(room):
    assert table(exported(room, "canvas", numbers={NAME: "77"}))[0][-1] == f"{NAME} (77)"
    with pytest.raises(Refused, match="other is not exported"):
        exported(room, "canvas", numbers={"other": "77"})
    with pytest.raises(Refused, match="belong to the format canvas"):
        exported(room, "csv", numbers={NAME: "77"})


def test_what_is_no_number_never_stands_in_canvass_column_of_numbers(room):
    found = by_student(exported(room, "canvas", partial=True), "SIS Login ID")
    assert (found["ben"]["ID"], found["ben"]["SIS User ID"]) == ("", "s-99")
    assert found["ben"]["Student"] == "ben"


# Moodle


def test_moodle_gets_identifying_columns_only_where_everybody_has_one(room):
    made = exported(room, "moodle", partial=True)
    assert table(made)[0] == [
        "First name", "Last name", "Username", "ID number", "Email address", NAME,
    ]  # fmt: skip
    assert any("“Email address”" in note for note in made.notes)
    graded(room, "dora", FULL, by_hand=1.0)
    made = exported(room, "moodle", partial=True)
    assert table(made)[0] == ["First name", "Last name", "Username", NAME]
    assert any("No column “Email address”" in note and "dora" in note for note in made.notes)
    assert all(row[2] for row in table(made))


def test_moodle_gets_feedback_only_beside_a_grade(room):
    why = {"reasons": {SECOND: "not written yet"}}
    graded(room, "anna", FULL, by_hand=3.0, metadata=why)
    graded(room, "ben", FULL, metadata=why)
    graded(room, "dora", FULL, by_hand=0.0)
    found = by_student(exported(room, "moodle", feedback=True), "Username")
    assert found["anna"][f"{NAME} (feedback)"] == f"{SECOND}: not written yet"
    assert found["dora"][f"{NAME} (feedback)"] == ""
    assert "ben" not in found
    with pytest.raises(Refused, match="belongs to the format moodle"):
        exported(room, "canvas", feedback=True)


# What is final, and what is not


def test_a_score_that_waits_for_hand_grading_is_empty_unless_partial(room):
    made = exported(room, "csv")
    found = by_student(made, "student")
    assert (found["ben"]["score"], found["ben"]["state"]) == ("", "waits for hand grading")
    assert found["anna"]["score"] == SCORE
    assert "1 score left empty: waits for hand grading." in made.notes
    found = by_student(exported(room, "csv", partial=True), "student")
    assert found["ben"]["score"] == f"{FULL[f'{FIRST}-check']:g}"


def test_who_handed_nothing_in_has_no_score_and_no_row_in_a_platforms_file(room):
    found = by_student(exported(room, "csv"), "student")["cleo"]
    assert (found["score"], found["state"]) == ("", "not handed in")
    for kind in ("canvas", "moodle"):
        assert "cleo" not in exported(room, kind).text


@pytest.mark.parametrize("partial", [False, True])
def test_a_grading_that_did_not_end_is_no_score(room, partial):
    graded(room, "dora", FULL, by_hand=1.0, metadata={})  # interrupted
    graded(room, "emil", FULL, by_hand=1.0)
    forget(room, "emil")
    graded(room, "fay", dict.fromkeys(FULL, 0.0), by_hand=0.0, metadata={"refused": "empty"})
    found = by_student(exported(room, "csv", partial=partial), "student")
    assert {found[name]["state"] for name in ("dora", "emil", "fay")} == {"not graded"}
    assert not any(found[name]["score"] for name in ("dora", "emil", "fay"))


def test_a_file_that_could_not_be_graded_has_zero_points(room):
    refused = {"reasons": {}, "refused": "`exercises.ipynb` is empty. Save it."}
    graded(room, "dora", dict.fromkeys(FULL, 0.0), by_hand=0.0, metadata=refused)
    assert by_student(exported(room, "csv"), "student")["dora"]["score"] == "0"


def test_scores_are_those_after_penalties_as_they_are_due_now(tmp_path):
    root = new_class(tmp_path, "c.LatePolicy.penalty_method = 'percent'")
    graded(root, "anna", FULL, by_hand=3.0, late=timedelta(hours=1))
    found = by_student(exported(root, "csv"), "student")["anna"]
    assert float(found["score"]) == pytest.approx(0.9 * float(SCORE), abs=0.006)
    assert float(found["late_penalty"]) == pytest.approx(0.1 * float(SCORE), abs=0.006)


def test_without_any_score_there_is_no_file_for_a_platform(tmp_path):
    root = new_class(tmp_path)
    graded(root, "ben", FULL)
    with pytest.raises(Refused, match="no score to export yet"):
        exported(root, "canvas")


# What others typed


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\n=1", "＝1"])
def test_no_cell_begins_as_a_formula(room, text):
    person = {"first_name": text, "last_name": text, "email": text, "lms_user_id": text}
    graded(room, "dora", FULL, by_hand=1.0, **person)
    for kind in ("csv", "canvas", "moodle"):
        made = exported(room, kind)
        cells = [cell for row in table(made) for cell in row]
        assert not [cell for cell in cells if cell.strip()[:1] in tuple("=+-@＝") and cell.strip()]
        assert any("apostrophe" in note for note in made.notes)


def test_commas_quotes_and_lines_in_a_name_stay_in_their_cell(room):
    graded(room, "dora", FULL, by_hand=1.0, first_name='D"o,r\na;\x00', last_name="X")
    assert by_student(exported(room, "canvas"), "SIS Login ID")["dora"]["Student"] == 'X, D"o,r a; '


# The command


def test_the_command_writes_the_file_and_says_what_to_know(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    assert main(["export", "--format", "canvas", "--id", f"{NAME}=5", "--out", "c.csv", NAME]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 score left empty" in said.err
    assert f"{NAME} (5)" in (room / "c.csv").read_text(encoding="utf-8")
    assert main(["export"]) == 0
    assert capsys.readouterr().out.startswith("student,last_name")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["99-none"], "no assignment '99-none'"),
        (["--out", "no/such/folder/x.csv"], "cannot be written"),
        (["--feedback"], "belongs to the format moodle"),
    ],
)
def test_the_command_refuses_in_one_line(room, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(room)
    assert main(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_there_is_no_other_format(room):
    with pytest.raises(Refused, match=r"no format 'xls'\. There are: csv, canvas, moodle"):
        exported(room, "xls")
    assert set(export.FORMATS) == {"csv", "canvas", "moodle"}
