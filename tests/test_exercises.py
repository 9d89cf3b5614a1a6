"""The tests of the tests: for every exercise, right answers pass, wrong ones fail and are named."""

import importlib
import inspect

import numpy as np
import pytest

from autograder import frozen
from autograder.answer import ask
from autograder.check import examine
from autograder.exercise import PUBLIC_SEED, registry
from autograder.grading import live
from autograder.grading.freeze import stale
from autograder.plain import identical
from autograder.verdict import judge

EXERCISES = list(registry().values())
NAMES = [exercise.name for exercise in EXERCISES]
HIDDEN_SEEDS = (1, 2, 3)

# Of cells, backward passes and clipping students know more ways to go wrong.
EIGHT_MISTAKES = {"lstm_step", "lstm_step_backward", "gru_step", "gru_step_backward"}
SIX_MISTAKES = {
    "bidirectional_rnn_forward",
    "layer_norm_lstm_step",
    "BiTagger",
    "adding_problem",
    "train_step",
    "tbptt_epoch",
    "encode",
    "sequence_nll",
    "beam_search",
    "rnn_step",
    "rnn_forward",
    "rnn_step_backward",
    "rnn_backward",
    "truncated_rnn_backward",
    "state_gradients",
    "clip_by_global_norm",
    "carousel_step",
    "lstm_gates",
    "lstm_forward",
    "peephole_lstm_step",
    "lstm_backward",
    "lstm_state_jacobian",
    "lstm_state_gradients",
    "gru_step_cho",
    "gru_forward",
    "unrolled_cell_weights",
    "unrolled_gru_weights",
    "additive_scores",
    "masked_softmax",
    "attention_backward",
    "attention_decoder_step",
    "dot_product_attention",
    "causal_self_attention",
    "streaming_attention",
    "linear_recurrence",
    "combine",
    "parallel_scan",
    "min_gru_step",
    "min_gru_parallel",
    "decoding_memory",
}


def right_answers(exercise):
    module = importlib.import_module(f"tests.right_answers.{exercise.module}")
    prefix = f"{exercise.name}__"
    return {name: f for name, f in vars(module).items() if name.startswith(prefix)}


RIGHT = [
    pytest.param(exercise, function, id=name)
    for exercise in EXERCISES
    for name, function in right_answers(exercise).items()
]
WRONG = [
    pytest.param(exercise, name, id=f"{exercise.name}__{name}")
    for exercise in EXERCISES
    for name in live.mistake_functions(exercise)
]
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=NAMES)


def verdict_on(exercise, function, seed):
    expected = live.expected(exercise.name, seed)
    return judge(exercise, expected, ask(exercise, function, list(expected.cases)))


@each_exercise
def test_the_frozen_cases_are_up_to_date(exercise):
    assert stale(exercise) == ""


@each_exercise
def test_the_reference_passes_the_frozen_cases(exercise):
    assert examine(exercise.name, live.reference_of(exercise)).passed


@each_exercise
def test_there_are_two_right_answers_written_differently(exercise):
    functions = [live.reference_of(exercise), *right_answers(exercise).values()]
    bodies = {inspect.getsource(function).split(":", 1)[1] for function in functions}
    assert len(bodies) >= 3


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_a_right_answer_passes_on_public_and_hidden_cases(exercise, function):
    public = examine(exercise.name, function)
    assert public.passed, public.findings
    assert public.score == exercise.max_score
    for seed in HIDDEN_SEEDS:
        hidden = verdict_on(exercise, function, seed)
        assert hidden.passed, (seed, hidden.findings)


@pytest.mark.parametrize(("exercise", "name"), WRONG)
def test_a_mistake_is_named_as_itself_and_loses_points(exercise, name):
    function = live.mistake_functions(exercise)[name]
    verdict = examine(exercise.name, function)
    assert verdict.diagnosis == (name,), verdict.findings
    assert verdict.score < exercise.max_score


@pytest.mark.parametrize(("exercise", "name"), WRONG)
def test_a_mistake_fails_the_hidden_cases_of_any_class(exercise, name):
    function = live.mistake_functions(exercise)[name]
    for seed in HIDDEN_SEEDS:
        verdict = verdict_on(exercise, function, seed)
        assert not verdict.passed, seed
        assert verdict.diagnosis in ((name,), ()), "another mistake was named"


def test_the_table_of_mistakes_and_diagnoses_is_the_identity(capsys):
    total = right = 0
    lines = []
    for exercise in EXERCISES:
        for name, function in live.mistake_functions(exercise).items():
            named = examine(exercise.name, function).diagnosis
            total += 1
            right += named == (name,)
            lines.append(f"{exercise.name:<28}{name:<44}-> {', '.join(named) or '(nothing)'}")
        named = examine(exercise.name, live.reference_of(exercise)).diagnosis
        total += 1
        right += named == ()
        lines.append(
            f"{exercise.name:<28}{'(the reference)':<44}-> {', '.join(named) or '(nothing)'}"
        )
    with capsys.disabled():
        print("\n\nmistake made -> mistake named")
        print("\n".join(lines))
        print(f"{right} of {total} on the diagonal")
    assert right == total


@each_exercise
def test_enough_mistakes_are_known(exercise):
    wanted = 8 if exercise.name in EIGHT_MISTAKES else 6 if exercise.name in SIX_MISTAKES else 4
    assert len(exercise.mistakes) >= wanted


@each_exercise
def test_every_mistake_has_words_and_every_word_a_mistake(exercise):
    declared = [mistake.name for mistake in exercise.mistakes]
    assert sorted(declared) == sorted(live.mistake_functions(exercise))
    assert len(set(declared)) == len(declared)
    for mistake in exercise.mistakes:
        assert mistake.says.rstrip(")").endswith((".", "?")), mistake.name
        assert len(mistake.says) > 40, "a sentence that helps is longer"


def not_written(*args, **kwargs):
    raise NotImplementedError


def nothing(*args, **kwargs):
    pass


@each_exercise
@pytest.mark.parametrize("stub", [not_written, nothing], ids=["raises", "returns None"])
def test_a_stub_scores_nothing_and_is_told_so(exercise, stub):
    verdict = examine(exercise.name, stub)
    assert verdict.score == 0
    assert verdict.diagnosis == ()
    assert exercise.name in verdict.findings[0]


def zeros_like_right(exercise):
    """What a student might return to see points without work: the right shapes, all zero."""

    def blank(value):
        if isinstance(value, dict):
            return {key: blank(item) for key, item in value.items()}
        if isinstance(value, list):
            return [blank(item) for item in value]
        if isinstance(value, np.ndarray):
            return np.zeros_like(value)
        if isinstance(value, str):
            return ""
        return type(value)(0) if isinstance(value, (int, float)) else value

    expected = frozen.load(exercise.name)
    return [blank(answer.value) for answer in expected.reference.answers]


@each_exercise
def test_returning_zeros_of_the_right_shape_scores_nothing(exercise):
    from dataclasses import replace

    expected = frozen.load(exercise.name)
    answers = replace(
        expected.reference,
        answers=tuple(
            replace(answer, value=value, failure=None, warned=())
            for answer, value in zip(
                expected.reference.answers, zeros_like_right(exercise), strict=True
            )
        ),
    )
    assert judge(exercise, expected, answers).score == 0


@each_exercise
def test_returning_an_input_scores_nothing(exercise):
    count = len([part for part in exercise.signature.split(",") if part.strip()])
    for i in range(count):
        verdict = examine(exercise.name, lambda *args, i=i, **kw: args[i] if i < len(args) else 0)
        assert verdict.score == 0, f"argument {i}"


@each_exercise
def test_wrong_arity_is_told_before_anything_else(exercise):
    verdict = examine(exercise.name, lambda: 0)
    assert verdict.score == 0
    assert f"{exercise.name}({exercise.signature})" in verdict.findings[0]


@each_exercise
def test_aspects_are_worth_whole_points_and_have_different_names(exercise):
    assert all(aspect.points == int(aspect.points) > 0 for aspect in exercise.aspects)
    names = [aspect.name for aspect in exercise.aspects]
    assert len(set(names)) == len(names)
    assert all(aspect.needs in (None, *names) for aspect in exercise.aspects)
    assert 4 <= exercise.max_score <= 12


@each_exercise
def test_every_aspect_has_cases_and_every_case_an_aspect(exercise):
    kinds = {case.kind for case in frozen.load(exercise.name).cases}
    values = [aspect for aspect in exercise.aspects if aspect.of == "values"]
    for aspect in exercise.aspects:
        assert aspect.kinds is None or set(aspect.kinds) <= kinds, aspect.name
    covered = set().union(*[set(a.kinds) if a.kinds is not None else kinds for a in values])
    assert covered == kinds


@each_exercise
def test_hidden_cases_are_not_the_public_ones(exercise):
    public, hidden = (live.cases_of(exercise, seed) for seed in (PUBLIC_SEED, HIDDEN_SEEDS[0]))
    assert any(not identical(a.inputs, b.inputs) for a, b in zip(public, hidden, strict=True))
