"""Answering, comparing, diagnosing and reporting, on an exercise made for these tests."""

import numpy as np
import pytest

from autograder import report
from autograder.answer import Answers, ask
from autograder.compare import compare
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section
from autograder.verdict import Expected, judge, nothing_to_judge

HERE = Section("01-vanilla-rnn", "rnn-step", "One step")


def cases(rng):
    return [
        Case("T = 3", {"x": rng.normal(size=(3, 2)), "scale": 2.0}),
        Case("T = 4", {"x": rng.normal(size=(4, 2)), "scale": 3.0}),
        Case("scale 0", {"x": rng.normal(size=(1, 2)), "scale": 0.0}, "edge"),
        Case("scale -1", {"x": rng.normal(size=(1, 2)), "scale": -1.0}, "illegal"),
    ]


def reference(x, scale):
    """A tuple: the scaled array, and its sum."""
    if scale < 0:
        raise ValueError("scale must not be negative")
    return scale * x, float((scale * x).sum())


def half(x, scale):
    if scale < 0:
        raise ValueError
    return scale * x / 2, float(scale * x.sum())


def keeps_x(x, scale):
    if scale < 0:
        raise ValueError
    return x + 0, float(scale * x.sum())


EXERCISE = Exercise(
    name="scaled",
    chapter="00-test",
    minutes=5,
    signature="x, scale",
    see=HERE,
    cases=cases,
    parts=("y", "total"),
    aspects=(
        Aspect("y", 3, parts=("y",), kinds=("values",)),
        Aspect("total", 2, parts=("total",), kinds=("values",)),
        Aspect("Scale 0", 1, kinds=("edge",), needs="y"),
        Aspect("Negative scale", 1, kinds=("illegal",)),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="y"),
        Aspect("No warnings", 1, of="quiet", needs="y"),
    ),
    mistakes=(
        Mistake("half", "the result is halved; nothing asks for that here.", HERE),
        Mistake("keeps_x", "the scale is never used; multiply by it.", HERE),
    ),
)


@pytest.fixture
def expected():
    chosen = EXERCISE.cases_from(0)
    return Expected(
        tuple(chosen),
        ask(EXERCISE, reference, chosen),
        {f.__name__: ask(EXERCISE, f, chosen) for f in (half, keeps_x)},
    )


@pytest.fixture
def verdict_on(expected):
    return lambda function: judge(EXERCISE, expected, ask(EXERCISE, function, list(expected.cases)))


def earned(verdict):
    return {aspect.name: aspect.earned for aspect in verdict.aspects}


def test_a_right_answer_has_all_points_and_no_findings(verdict_on):
    verdict = verdict_on(lambda x, scale: list(reference(x, scale)))
    assert verdict.passed
    assert (verdict.score, verdict.findings) == (9, ())
    assert report.as_text(verdict) == "scaled: 9 of 9 points, all right."


def test_points_are_given_part_by_part(verdict_on):
    def answer(x, scale):
        y, total = reference(x, scale)
        return y, total + 1

    verdict = verdict_on(answer)
    assert earned(verdict)["y"] == 3
    assert earned(verdict)["total"] == 0
    assert not verdict.passed
    assert "`total`" in verdict.findings[0] or "total" in verdict.findings[0]


def test_an_aspect_that_needs_another_earns_nothing_without_it(verdict_on):
    verdict = verdict_on(lambda x, scale: (x * 0, 0.0))
    zero = next(a for a in verdict.aspects if a.name == "Scale 0")
    assert (zero.passed, zero.earned, zero.waits_for) == (True, 0, "y")
    assert verdict.score == 0
    assert "counts once “y” is right" in report.as_text(verdict)


def test_the_first_wrong_index_and_both_numbers_are_told(verdict_on, expected):
    def answer(x, scale):
        y, total = reference(x, scale)
        y[-1, 1] += 0.25
        return y, total

    text = verdict_on(answer).findings[0]
    right = expected.reference.answers[0].value[0][2, 1]
    assert "`y[2, 1]`" in text
    assert f"{right:.6g}" in text
    assert f"{right + 0.25:.6g}" in text
    assert "1 of 6 entries differ" in text
    assert "“T = 3”" in text


def test_a_mistake_is_named_when_every_case_agrees(verdict_on):
    assert verdict_on(lambda x, scale: half(x, scale)).diagnosis == ("half",)


def test_no_mistake_is_named_when_one_case_disagrees(verdict_on):
    def answer(x, scale):
        return keeps_x(x, scale) if len(x) != 4 else (x + 1, float(scale * x.sum()))

    assert verdict_on(answer).diagnosis == ()


def test_no_mistake_is_named_when_two_fit(expected):
    twice = Expected(
        expected.cases,
        expected.reference,
        {**expected.mistakes, "again": expected.mistakes["half"]},
    )
    answers = ask(EXERCISE, half, list(expected.cases))
    assert judge(EXERCISE, twice, answers).diagnosis == ()


def test_no_mistake_is_named_only_because_both_raise(expected):
    def raises(x, scale):
        raise ValueError("shapes")

    answers = ask(EXERCISE, raises, list(expected.cases))
    with_it = Expected(expected.cases, expected.reference, {"half": answers})
    assert judge(EXERCISE, with_it, answers).diagnosis == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: -y, "with the opposite sign"),
        (lambda y: y * 4, "if multiplied by 0.25"),
        (lambda y: y[::-1], "in the opposite order along its first axis"),
        (lambda y: y + 0.5, "if 0.5 were subtracted"),
    ],
)
def test_an_exact_relation_is_stated(verdict_on, change, words):
    def answer(x, scale):
        y, total = reference(x, scale)
        return change(y), total

    assert any(words in finding for finding in verdict_on(answer).findings)


def test_no_relation_is_stated_when_it_fails_in_one_case(verdict_on):
    def answer(x, scale):
        y, total = reference(x, scale)
        return -y if len(x) == 3 else 2 * y, total

    assert not any("would be right" in finding for finding in verdict_on(answer).findings)


def test_changing_an_input_is_told_by_name(verdict_on):
    def answer(x, scale):
        result = reference(x, scale)
        x *= 0
        return result

    verdict = verdict_on(answer)
    assert verdict.score == 8
    assert "changes its input `x`" in verdict.findings[0]


def test_a_changed_input_is_told_even_where_the_values_are_wrong_too(verdict_on):
    def answer(x, scale):
        x *= 2
        return reference(x, scale)

    verdict = verdict_on(answer)
    assert verdict.score < 8
    assert any("changes its input `x`" in finding for finding in verdict.findings)


def test_memory_between_calls_is_told(verdict_on):
    calls = []

    def answer(x, scale):
        calls.append(1)
        y, total = reference(x, scale)
        return y, total if len(calls) % 2 else total + 1.0

    assert any("second call" in finding for finding in verdict_on(answer).findings)


def test_a_warning_is_told(verdict_on):
    def answer(x, scale):
        np.exp(np.array([1e4]))
        return reference(x, scale)

    verdict = verdict_on(answer)
    assert earned(verdict)["No warnings"] == 0
    assert "overflow" in verdict.findings[0]


def test_an_underflow_to_zero_is_no_warning(verdict_on):
    def answer(x, scale):
        with np.errstate(all="warn"):
            np.exp(np.array([-1e4]))
        return reference(x, scale)

    assert verdict_on(answer).passed


def test_what_a_function_prints_is_not_kept(verdict_on, capsys):
    def answer(x, scale):
        for _ in range(1000):
            print("x" * 10_000)
        return reference(x, scale)

    assert verdict_on(answer).passed
    assert capsys.readouterr().out == ""


def test_lost_digits_are_no_relation(verdict_on):
    def answer(x, scale):
        y, total = reference(x, scale)
        return y + 1e-8, total

    assert not any("would be right" in finding for finding in verdict_on(answer).findings)


def test_a_relation_of_the_wrong_cases_does_not_claim_the_right_ones(verdict_on):
    def answer(x, scale):
        y, total = reference(x, scale)
        return (-y if len(x) == 4 else y), total

    found = [f for f in verdict_on(answer).findings if "would be right" in f]
    assert found == ["Wherever it is wrong, your `y` would be right with the opposite sign."]


def test_an_exception_is_told_with_its_line(verdict_on):
    def answer(x, scale):
        return x @ np.ones(99), scale

    text = verdict_on(answer).findings[0]
    assert "ValueError" in text
    assert "`return x @ np.ones(99), scale`" in text


def test_an_exception_that_is_due_must_be_of_that_type(verdict_on):
    def answer(x, scale):
        return abs(scale) * x, float(abs(scale) * x.sum())

    verdict = verdict_on(answer)
    assert earned(verdict)["Negative scale"] == 0
    assert "ValueError is due" in verdict.findings[0]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (3, "no function but a value of type int"),
        (lambda x: x, "Your function takes `(x)`"),
        (lambda: 0, "takes no arguments"),
        (lambda x, *, scale: x, "takes `(x, *, scale)`"),
        (lambda x, scale, /, more: x, "takes `(x, scale, /, more)`"),
        (lambda x, scale: None, "returns None"),
    ],
)
def test_what_cannot_be_asked_gets_one_clear_sentence(verdict_on, function, words):
    verdict = verdict_on(function)
    assert verdict.score == 0
    assert len(verdict.findings) == 1
    assert words in verdict.findings[0]


def test_an_exception_whose_message_raises_does_not_stop_the_judge(verdict_on):
    class Hostile(Exception):
        def __str__(self):
            raise RuntimeError

    def answer(x, scale):
        raise Hostile

    assert "Hostile" in verdict_on(answer).findings[0]


def test_leaving_python_is_an_exception_like_any_other(verdict_on):
    def answer(x, scale):
        raise SystemExit(0)

    assert "SystemExit" in verdict_on(answer).findings[0]


@pytest.mark.parametrize(
    ("expected_value", "got", "words"),
    [
        (0.5, 1, "should be a float, but is the int 1"),
        (0.5, float("nan"), "should be 0.5, but is nan"),
        (3, 3.0, "an int is due"),
        (1, True, "an int is due"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape (2, 3), but has shape (3, 2)"),
        (np.zeros(2), np.zeros(2, dtype=int), "float dtype, but has dtype int64"),
        (np.zeros(2), [0.0, 0.0], "but is a tuple or list of 2"),
        (np.zeros(2), None, "but is None"),
        ({"W_h": 1.0}, {"W_x": 1.0}, "'W_h' is missing"),
        ({"W_h": 1.0}, {"W_h": 1.0, "dW": 1.0}, "a key too many: 'dW'"),
        ({"W_h": 1.0}, 1.0, "should be a dict with keys 'W_h'"),
        ([1.0, 2.0], [1.0], "should have 2 entries"),
        ([1.0, 2.0], np.ones(2), "should be a list of 2"),
    ],
)
def test_each_way_of_being_wrong_has_its_sentence(expected_value, got, words):
    found = compare(expected_value, got, (), 1e-9, 1e-12)
    assert len(found) >= 1
    assert any(words in difference.text for difference in found)


@pytest.mark.parametrize(
    ("expected_value", "got"),
    [
        (np.ones(2), np.ones(2, dtype=np.float32)),
        (1e-3, 1e-3 * (1 + 5e-10)),
        (0.0, 1e-13),
        ([1.0, 2.0], [1.0, 2.0]),
        (np.array([1, 2]), np.array([1, 2], dtype=np.int32)),
    ],
)
def test_what_agrees_is_no_difference(expected_value, got):
    assert compare(expected_value, got, (), 1e-9, 1e-12) == []


def test_single_precision_fails_on_the_values_and_is_told():
    right = np.array([0.1, 0.7])
    found = compare(right, right.astype(np.float32), (), 1e-9, 1e-12)
    assert "float32" in found[0].text


def test_two_results_in_single_precision_are_the_same_to_five_digits():
    # So a mistake's outputs, frozen on one machine, are recognised on another.
    right = np.array([0.1, 0.7], dtype=np.float32)
    assert compare(right, np.nextafter(right, np.float32(1)), (), 1e-9, 1e-12) == []
    assert compare(right, right * np.float32(1.0001), (), 1e-9, 1e-12) != []


def test_answers_survive_the_way_out_of_the_kernel(expected):
    def answer(x, scale):
        if scale == 0:
            raise KeyError("k")
        return np.array([np.nan, 1.0]), {"a": [1, None, "s"]}

    answers = ask(EXERCISE, answer, list(expected.cases))
    again = Answers.from_json(answers.to_json())
    assert again.to_json() == answers.to_json()
    assert again.answers[2].failure == answers.answers[2].failure


ENDLESS = """{"problem": "", "answers": [{"value": null, "changed": [], "unstable": false, "warned": [],
    "failure": {"kinds": [], "message": "", "line": "", "number": Infinity}}]}"""


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"answers": [{}], "problem": ""}', "{" * 9000, ENDLESS]
)
def test_unreadable_answers_are_refused(text):
    with pytest.raises(ValueError):
        Answers.from_json(text)


def test_too_few_answers_score_nothing(expected):
    assert judge(EXERCISE, expected, Answers(expected.reference.answers[:1])).score == 0


def test_the_html_report_escapes_what_students_write():
    verdict = nothing_to_judge(EXERCISE, "raises <script>alert(1)</script> in `a < b`")
    page = report.as_html(verdict)
    assert "<script>" not in page
    assert "<code style='color:inherit'>a &lt; b</code>" in page


def test_the_text_report_fits_a_terminal(verdict_on):
    text = report.as_text(verdict_on(half))
    assert max(map(len, text.splitlines())) <= report.WIDTH
    assert "“One step” in chapter 1 (01-vanilla-rnn.ipynb#rnn-step)" in text


def test_the_report_that_the_site_shows_is_the_one_that_students_get():
    import re
    from pathlib import Path

    from autograder.check import examine

    page = Path(__file__).resolve().parent.parent / "chapters" / "start.md"
    shown = re.search(r"```text\n(rnn_step: .*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[
        1
    ]
    verdict = examine("rnn_step", lambda x, h, W_x, W_h, b: np.tanh(x @ W_x.T + h @ W_h + b))
    real, place = " ".join(report.as_text(verdict).split()), 0
    # The page leaves out what it marks so, and the file's name after "chapter 1".
    for piece in re.split(r"\[\.\.\.\]|(?<=in chapter 1)\.", " ".join(shown.split())):
        place = real.find(piece.strip(), place)
        assert place >= 0, f"{piece!r} is not in the report"
