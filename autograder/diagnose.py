"""Explain a wrong answer: name a known mistake where that is certain, else state exact relations.

Nothing here guesses. A mistake is named only when its own outputs, on every case, are the student's,
and no other known mistake's are. A relation ("times 2, it would be right") is stated only when it
holds in every case in which the part is wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from autograder.answer import Answer, Answers
from autograder.compare import compare
from autograder.exercise import Case, Exercise


def known_mistake(
    exercise: Exercise,
    answers: Answers,
    reference: Answers,
    mistakes: dict[str, Answers],
    cases: Sequence[Case] = (),
) -> str | None:
    """The one mistake whose outputs are the student's in every case, or None.

    Of an exercise with a profile, `mistakes` has the profiles of their outputs (see `profiled`), to
    which the student's is compared; cases: what was asked.
    """
    if exercise.profile:
        answers = profiled(exercise, cases, reference, answers)
        reference = profiled(exercise, cases, reference, reference)
    matching = [
        name
        for name, outputs in mistakes.items()
        if len(outputs.answers) == len(answers.answers)
        and all(
            _same(exercise, *pair) for pair in zip(outputs.answers, answers.answers, strict=True)
        )
        and _tells(exercise, outputs, reference)
    ]
    return matching[0] if len(matching) == 1 else None


def profiled(
    exercise: Exercise, cases: Sequence[Case], reference: Answers, answers: Answers
) -> Answers:
    """The same answers with their profiles in place of their values, where the exercise has one."""
    if exercise.profile is None:
        return answers
    rows = zip(cases, reference.answers, answers.answers, strict=True)
    found = [
        a if a.failure else replace(a, value=exercise.profile(case, right.value, a.value))
        for case, right, a in rows
    ]
    return replace(answers, answers=tuple(found))


def _same(exercise: Exercise, a: Answer, b: Answer) -> bool:
    if a.failure or b.failure:
        return bool(a.failure and b.failure and a.failure.kinds[:1] == b.failure.kinds[:1])
    # A warning counts where the exercise asks for silence; elsewhere it is a matter of style.
    quiet = any(aspect.of == "quiet" for aspect in exercise.aspects)
    flags_a = (a.changed, a.unstable, quiet and _kinds(a.warned))
    flags_b = (b.changed, b.unstable, quiet and _kinds(b.warned))
    return flags_a == flags_b and _equal_values(exercise, a, b)


def _kinds(warned: tuple[str, ...]) -> set[str]:
    """Warnings without the operation that raised them, whose name depends on NumPy's release."""
    return {text.split(" encountered", 1)[0] for text in warned}


def _equal_values(exercise: Exercise, a: Answer, b: Answer) -> bool:
    if _has_nan(a.value) or _has_nan(b.value):
        return _pattern(a.value) == _pattern(b.value)
    return not compare(a.value, b.value, exercise.parts, exercise.rtol, exercise.atol)


def _has_nan(value) -> bool:
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    if isinstance(value, list):
        return any(map(_has_nan, value))
    if isinstance(value, float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
        return not bool(np.isfinite(value).all())
    return False


def _pattern(value):
    """A value in which non-finite numbers compare equal to themselves, to 9 digits."""
    if isinstance(value, dict):
        return {key: _pattern(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_pattern(item) for item in value]
    if isinstance(value, np.ndarray):
        return [value.shape, *map(_pattern, value.ravel().tolist())]
    return f"{value:.9g}" if isinstance(value, float) else value


def _tells(exercise: Exercise, outputs: Answers, reference: Answers) -> bool:
    """Whether some case shows more of the mistake than that something was raised."""
    for wrong, right in zip(outputs.answers, reference.answers, strict=True):
        if wrong.failure:
            continue
        if right.failure or not _same(exercise, wrong, right):
            return True
    return False


def relation(
    pairs: list[tuple[np.ndarray, np.ndarray]], label: str, rtol: float = 1e-9, atol: float = 1e-12
) -> str:
    """A sentence naming one change that would make `label` right in every pair, or "".

    pairs: (expected, got), wherever the part is wrong. Where it is off by a millionth only, digits
    were lost, and no change is named.
    """
    if any(np.allclose(got, expected, rtol=1e-6, atol=1e-9) for expected, got in pairs):
        return ""
    for sentence, changes in _changes(pairs):
        if all(
            changed is not None
            and changed.shape == expected.shape
            and np.allclose(changed, expected, rtol=10 * rtol, atol=10 * atol)
            for changed, (expected, _) in zip(changes, pairs, strict=True)
        ):
            return f"{label} would be right {sentence}."
    return ""


def _changes(pairs) -> Iterator[tuple[str, list[np.ndarray | None]]]:
    if not pairs or not any(np.any(expected) for expected, _ in pairs):
        return
    gots = [got for _, got in pairs]
    if not any(np.any(got) for got in gots):
        return
    yield "with the opposite sign", [-got for got in gots]
    factor = _common_factor(pairs)
    if factor is not None:
        yield f"if multiplied by {factor:.6g}", [got * factor for got in gots]
    square = [got.T if got.ndim == 2 else None for got in gots]
    yield "if transposed", square
    if all(got.ndim >= 1 and got.shape[0] > 1 for got in gots):
        yield "in the opposite order along its first axis", [got[::-1] for got in gots]
    shift = _common_shift(pairs)
    if shift is not None:
        yield (
            f"if {abs(shift):.6g} were {'added' if shift > 0 else 'subtracted'}",
            [got + shift for got in gots],
        )


def _common_factor(pairs) -> float | None:
    expected = np.concatenate([np.ravel(expected) for expected, _ in pairs])
    got = np.concatenate([np.ravel(got) for _, got in pairs])
    largest = int(np.argmax(np.abs(got)))
    if expected.size < 3 or got[largest] == 0 or expected[largest] == 0:
        return None
    return float(expected[largest] / got[largest])


def _common_shift(pairs) -> float | None:
    expected = np.concatenate([np.ravel(expected) for expected, _ in pairs])
    got = np.concatenate([np.ravel(got) for _, got in pairs])
    return float(expected[0] - got[0]) if expected.size >= 3 else None
