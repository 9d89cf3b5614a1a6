"""What being late costs: the policy alone, and in the gradebook."""

from datetime import timedelta

import pytest
from nbgrader.preprocessors import AssignLatePenalties
from small_class import FIRST, NAME, SECOND, gradebook, graded, new_class
from sqlalchemy import Engine, event
from traitlets import TraitError
from traitlets.config import Config

from autograder.errors import Refused
from autograder.grading import course, export, late, scores
from autograder.grading.late import DAY, LatePolicy

PERCENT = {"penalty_method": "percent", "percent_per_day": 10, "at_most_percent": 50}
IN_THE_SETTINGS = "c.LatePolicy.penalty_method = 'percent'"


def penalty(seconds, score=20.0, **settings):
    return LatePolicy(**settings).late_submission_penalty("anna", score, seconds)


def test_as_it_stands_being_late_costs_nothing(root):
    assign = AssignLatePenalties(config=course.settings(root))
    assign.init_plugin()
    assert isinstance(assign.plugin_inst, LatePolicy)
    assert assign.plugin_inst.late_submission_penalty("anna", 20.0, 30 * DAY) is None
    assert penalty(30 * DAY) is None


@pytest.mark.parametrize(
    ("seconds", "points"),
    [(1, 2), (DAY, 2), (DAY + 1, 4), (5 * DAY, 10), (6 * DAY, 10), (1000 * DAY, 10)],
)
def test_each_day_that_has_begun_costs_its_percentage_up_to_the_cap(seconds, points):
    assert penalty(seconds, **PERCENT) == pytest.approx(points)


def test_days_count_from_the_end_of_the_grace_period():
    settings = {**PERCENT, "grace_minutes": 15}
    assert penalty(15 * 60, **settings) is None
    assert penalty(15 * 60 + 1, **settings) == pytest.approx(2)
    assert penalty(DAY + 15 * 60, **settings) == pytest.approx(2)
    assert penalty(DAY + 15 * 60 + 1, **settings) == pytest.approx(4)
    assert penalty(15 * 60, penalty_method="zero", grace_minutes=15) is None


def test_zero_takes_all_points():
    assert penalty(1, penalty_method="zero", at_most_percent=50) == 20


@pytest.mark.parametrize("score", [0.0, -3.0, 1e-300, 7.3])
@pytest.mark.parametrize("seconds", [0, 1, DAY, 1e12])
@pytest.mark.parametrize("method", ["none", "percent", "zero"])
def test_nobody_falls_below_zero_and_nobody_gains(score, seconds, method):
    taken = penalty(seconds, score, penalty_method=method, percent_per_day=100) or 0.0
    assert 0 <= taken <= max(0.0, score)


@pytest.mark.parametrize(
    "settings",
    [
        {"percent_per_day": -1},
        {"percent_per_day": 101},
        {"at_most_percent": 101},
        {"grace_minutes": -1},
        {"grace_minutes": float("inf")},
        {"percent_per_day": float("nan")},
        {"penalty_method": "half"},
    ],
)
def test_a_policy_without_meaning_is_refused(settings):
    with pytest.raises(TraitError):
        LatePolicy(**settings)


def settle(root):
    with gradebook(root) as book:
        return late.settle(book, course.settings(root))


def score_of(root, student):
    with gradebook(root) as book:
        found = book.find_submission(NAME, student)
        return found.score - found.late_submission_penalty


def test_points_given_by_hand_are_taken_into_the_penalty(tmp_path):
    new_class(tmp_path, IN_THE_SETTINGS)
    graded(tmp_path, "anna", {f"{FIRST}-check": 2.0}, late=timedelta(days=1))
    graded(tmp_path, "ben", {f"{FIRST}-check": 2.0})
    assert settle(tmp_path) == [f"anna {NAME}"]
    assert score_of(tmp_path, "anna") == pytest.approx(1.8)
    graded(tmp_path, "anna", {f"{FIRST}-check": 2.0}, late=timedelta(days=1), by_hand=4.0)
    assert settle(tmp_path) == [f"anna {NAME}"]
    assert score_of(tmp_path, "anna") == pytest.approx(5.4)
    assert settle(tmp_path) == []
    assert score_of(tmp_path, "ben") == 2


def test_points_given_by_hand_count_where_scores_are_read(tmp_path):
    new_class(tmp_path, IN_THE_SETTINGS)
    graded(tmp_path, "anna", {f"{FIRST}-check": 2.0}, late=timedelta(days=1))
    settle(tmp_path)
    graded(tmp_path, "anna", {f"{FIRST}-check": 2.0}, late=timedelta(days=1), by_hand=4.0)
    told = f"Late penalties brought up to date: anna {NAME}."
    assert told in scores.table(tmp_path)
    assert told not in scores.table(tmp_path)
    (row,) = scores.read(tmp_path)[0].rows
    assert (row.score, row.penalty) == (pytest.approx(5.4), pytest.approx(0.6))


def test_another_policy_counts_as_soon_as_scores_are_read_or_exported(tmp_path):
    new_class(tmp_path)
    earned = {f"{FIRST}-check": 2.0, f"{SECOND}-check": 0.0}
    graded(tmp_path, "anna", earned, late=timedelta(days=1), by_hand=4.0)
    assert scores.read(tmp_path)[0].rows[0].score == 6
    with (tmp_path / "nbgrader_config.py").open("a") as file:
        file.write(f"{IN_THE_SETTINGS}\n")
    assert scores.read(tmp_path)[0].rows[0].score == pytest.approx(5.4)
    with (tmp_path / "nbgrader_config.py").open("a") as file:
        file.write("c.LatePolicy.percent_per_day = 50\n")
    made = export.export(tmp_path, "csv")
    assert f",3,3,{export.GRADED}" in made.text
    assert f"Late penalties brought up to date: anna {NAME}." in made.notes


def asked_by(read):
    """The statements that reading, which changes nothing, puts to the gradebook."""
    asked = []

    def note(_connection, _cursor, statement, *_):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        read()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return [text for text in asked if not text.startswith("PRAGMA")]


def test_the_gradebook_is_asked_no_more_for_more_students(tmp_path):
    new_class(tmp_path, IN_THE_SETTINGS)
    asked = []
    for students in (range(2), range(2, 8)):
        for number in students:
            graded(tmp_path, f"s{number}", {f"{FIRST}-check": 2.0}, late=timedelta(days=number))
        settle(tmp_path)
        asked.append(asked_by(lambda: scores.read(tmp_path)))
    assert asked[0] == asked[1]
    assert all(text.startswith("SELECT") for text in asked[0])


def test_an_extension_of_no_due_date_is_not_late(tmp_path):
    new_class(tmp_path, IN_THE_SETTINGS)
    graded(tmp_path, "anna", {f"{FIRST}-check": 2.0}, late=timedelta(days=1))
    with gradebook(tmp_path) as book:
        book.grant_extension(NAME, "anna", days=2)
        book.find_assignment(NAME).duedate = None
        book.db.commit()
    assert settle(tmp_path) == []


def test_many_changes_are_told_in_one_line():
    assert late.told(list("abcdefgh")).endswith("date: a, b, c, d, e and 3 others.")


def test_an_extension_takes_the_penalty_back(tmp_path):
    new_class(tmp_path, IN_THE_SETTINGS)
    graded(tmp_path, "anna", {f"{FIRST}-check": 2.0}, late=timedelta(days=1))
    settle(tmp_path)
    with gradebook(tmp_path) as book:
        book.grant_extension(NAME, "anna", days=2)
    assert settle(tmp_path) == [f"anna {NAME}"]
    assert score_of(tmp_path, "anna") == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"LatePolicy": {"percent_per_day": 900}},
        {"AssignLatePenalties": {"plugin_class": "autograder.grading.late.NoSuchPolicy"}},
    ],
)
def test_wrong_settings_are_told_in_one_line(tmp_path, settings):
    new_class(tmp_path)
    config = course.settings(tmp_path)
    config.merge(Config(settings))
    with gradebook(tmp_path) as book, pytest.raises(Refused, match="late policy") as caught:
        late.settle(book, config)
    assert "\n" not in str(caught.value)
