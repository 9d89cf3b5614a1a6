"""Turn answers into a verdict: which aspects pass, how many points, and what to tell the student."""

from dataclasses import dataclass, field, replace

import numpy as np

from autograder.answer import Answer, Answers
from autograder.compare import Difference, compare
from autograder.diagnose import known_mistake, relation
from autograder.exercise import Aspect, Case, Exercise


@dataclass(frozen=True)
class Expected:
    """What the cases are and what they should give, and what each known mistake gives, or its profile."""

    cases: tuple[Case, ...]
    reference: Answers
    mistakes: dict[str, Answers] = field(default_factory=dict)

    def __add__(self, other: "Expected") -> "Expected":
        """These cases followed by those of `other`, which must know the same mistakes."""
        join = lambda a, b: Answers(a.answers + b.answers, a.problem or b.problem)  # noqa: E731
        return Expected(
            self.cases + other.cases,
            join(self.reference, other.reference),
            {name: join(self.mistakes[name], other.mistakes[name]) for name in self.mistakes},
        )


@dataclass(frozen=True)
class AspectResult:
    """Whether an aspect passed and what it earned; `waits_for` names the aspect it needs first."""

    name: str
    points: float
    earned: float
    passed: bool
    waits_for: str = ""


@dataclass(frozen=True)
class Verdict:
    """What came out. `findings` are sentences, the most useful first.

    `asked` is whether there was code to judge: else no reading will help. `remarks` are shown also
    where all is right; `measures` are kept, for a table of the class.
    """

    exercise: Exercise
    aspects: tuple[AspectResult, ...]
    findings: tuple[str, ...]
    diagnosis: tuple[str, ...] = ()
    asked: bool = True
    remarks: tuple[str, ...] = ()
    measures: dict[str, float | None] = field(default_factory=dict)

    @property
    def score(self) -> float:
        return float(sum(aspect.earned for aspect in self.aspects))

    @property
    def max_score(self) -> float:
        return float(self.exercise.max_score)

    @property
    def passed(self) -> bool:
        return all(aspect.passed for aspect in self.aspects)


def nothing_to_judge(exercise: Exercise, why: str) -> Verdict:
    """The verdict where there are no answers: no points, and the reason."""
    failed = tuple(AspectResult(a.name, a.points, 0.0, False) for a in exercise.aspects)
    return Verdict(exercise, failed, (why,), asked=False)


def judge(exercise: Exercise, expected: Expected, answers: Answers) -> Verdict:
    """Compare answers with the expected ones; never raises for what a student answered."""
    if answers.problem:
        return nothing_to_judge(exercise, answers.problem)
    if len(answers.answers) != len(expected.cases):
        return nothing_to_judge(exercise, "The answers do not belong to these cases.")
    differences = [
        _differences(exercise, *triple)
        for triple in zip(expected.cases, expected.reference.answers, answers.answers, strict=True)
    ]
    rows = list(zip(expected.cases, answers.answers, differences, strict=True))
    failing = {aspect.name: _failing_rows(aspect, rows) for aspect in exercise.aspects}
    aspects = tuple(
        AspectResult(
            a.name,
            a.points,
            a.points * _earns(a, failing),
            not failing[a.name],
            a.needs if a.needs and failing[a.needs] and not failing[a.name] else "",
        )
        for a in exercise.aspects
    )
    if not any(failing.values()):
        return Verdict(exercise, aspects, (), remarks=_told(exercise, expected, answers, True))
    blank = _blank(exercise, expected, answers)
    if blank:
        return replace(nothing_to_judge(exercise, blank), asked=True)
    name = known_mistake(exercise, answers, expected.reference, expected.mistakes, expected.cases)
    findings = _findings(exercise, failing, rows) + _told(exercise, expected, answers, False)
    return Verdict(exercise, aspects, findings, (name,) if name else ())


def _told(exercise: Exercise, expected: Expected, answers: Answers, right: bool) -> tuple[str, ...]:
    """What the exercise itself has to say of each answer that there is."""
    if exercise.tell is None:
        return ()
    rows = zip(expected.cases, expected.reference.answers, answers.answers, strict=True)
    return tuple(
        text
        for case, due, answer in rows
        if not answer.failure
        for text in exercise.tell(case, due.value, answer.value, right)
    )


def _differences(exercise: Exercise, case: Case, right: Answer, answer: Answer) -> list[Difference]:
    if right.failure:
        wanted = right.failure.kinds[0]
        if answer.failure and wanted in answer.failure.kinds:
            return []
        came = f"{answer.failure.kinds[0]} is raised" if answer.failure else "nothing is raised"
        return [Difference("", f"A {wanted} is due here, but {came}.")]
    if answer.failure:
        return [Difference("", _failure_text(answer))]
    if exercise.compare:
        return exercise.compare(case, right.value, answer.value)
    return compare(right.value, answer.value, exercise.parts, exercise.rtol, exercise.atol)


def _failure_text(answer: Answer) -> str:
    failure = answer.failure
    said = f": {failure.message.rstrip('.')}" if failure.message else ""
    where = f", at `{failure.line}` (line {failure.number})" if failure.line else ""
    return f"Your code raises {failure.kinds[0]}{said}{where}."


MANY_SHAPES = 5
Row = tuple[Case, Answer, list[Difference]]


def _failing_rows(aspect: Aspect, rows: list[Row]) -> list[Row]:
    chosen = [row for row in rows if aspect.kinds is None or row[0].kind in aspect.kinds]
    # An exception that is due leaves no difference, and spoils neither purity nor quiet.
    if aspect.of == "purity":
        return [row for row in chosen if _fails(row) or row[1].changed or row[1].unstable]
    if aspect.of == "quiet":
        return [row for row in chosen if _fails(row) or row[1].warned]
    found = []
    for case, answer, differences in chosen:
        own = [d for d in differences if not d.part or not aspect.parts or d.part in aspect.parts]
        if own:
            found.append((case, answer, own))
    return found


def _fails(row: Row) -> bool:
    _, answer, differences = row
    return bool(answer.failure and differences)


def _earns(aspect: Aspect, failing: dict[str, list[Row]]) -> bool:
    return not failing[aspect.name] and not (aspect.needs and failing[aspect.needs])


def _blank(exercise: Exercise, expected: Expected, answers: Answers) -> str:
    """What to say of a function that does nothing yet, or the empty string."""
    kinds = {answer.failure.kinds[0] if answer.failure else None for answer in answers.answers}
    if kinds == {"NotImplementedError"}:
        return (
            f"`{exercise.name}` is not written yet: it raises NotImplementedError. "
            "Replace that line by your own code."
        )
    nothing = all(answer.value is None for answer in answers.answers) and kinds == {None}
    if nothing and any(right.value is not None for right in expected.reference.answers):
        return f"`{exercise.name}` returns None. Does it end with `return` and the result?"
    return ""


def _findings(
    exercise: Exercise, failing: dict[str, list[Row]], rows: list[Row]
) -> tuple[str, ...]:
    """Facts: about the first aspect that fails in full, about others in a sentence each."""
    wrong = [aspect for aspect in exercise.aspects if failing[aspect.name]]
    first, others = wrong[0], wrong[1:]
    text = _fact(first, failing[first.name])
    findings = [f"{first.name}, {_place(failing[first.name][0][0])}: {text}"]
    if first.of == "values":
        findings += [text for text in [_relation(exercise, failing[first.name], rows)] if text]
        chosen = [row for row in rows if first.kinds is None or row[0].kind in first.kinds]
        bad = {id(row[0]) for row in failing[first.name]}
        right = [f"“{case.name}”" for case, *_ in chosen if id(case) not in bad]
        if right:
            listed = ", ".join(dict.fromkeys(right))
            findings.append(f"Right in {len(right)} of {len(chosen)} such cases: {listed}.")
    said, place = {text}, failing[first.name][0][0]
    for aspect in others:
        # That an input is changed may be why all else is wrong: it is said even then.
        changed = [row for row in failing[aspect.name] if row[1].changed]
        chosen = (aspect.of == "purity" and changed) or failing[aspect.name]
        case, text = chosen[0][0], _fact(aspect, chosen)
        explained = aspect.needs and failing[aspect.needs] and chosen is not changed
        if text not in said and not explained and len(said) < 4:
            said.add(text)
            where = "in the same case" if case is place else _place(case)
            findings.append(f"{aspect.name}, {where}: {text}")
    return tuple(findings)


def _fact(aspect: Aspect, failing: list[Row]) -> str:
    _, answer, differences = failing[0]
    if aspect.of == "values":
        return differences[0].text
    if _fails(failing[0]):
        return _failure_text(answer)
    if aspect.of == "purity":
        return _impurity(answer)
    return f"Your code causes a warning: {answer.warned[0]}."


def _place(case: Case) -> str:
    shapes = [
        f"{name} {value.shape}"
        for name, value in case.inputs.items()
        if isinstance(value, np.ndarray) and value.ndim
    ]
    if len(shapes) > MANY_SHAPES and " = " in case.name:
        shapes = []  # the sizes in the name say it in fewer words
    return f"in the case “{case.name}”" + (f" ({', '.join(shapes)})" if shapes else "")


def _impurity(answer: Answer) -> str:
    if answer.changed:
        names = " and ".join(f"`{name}`" for name in answer.changed)
        several = "s" if len(answer.changed) > 1 else ""
        return f"Your function changes its input{several} {names}. Leave inputs as they are: work on a copy."
    return (
        "A second call with the same inputs gives another result. Does the function keep something "
        "between calls, or draw random numbers of its own?"
    )


def _relation(exercise: Exercise, failing: list[Row], rows: list[Row]) -> str:
    """One exact change that would make the first wrong part right wherever it is wrong.

    Where the part is right in some case, the sentence says that the change is for the others.
    """
    part = failing[0][2][0].part
    wrong, right = [], 0
    for _, answer, differences in rows:
        own = [d for d in differences if d.part == part or not d.part]
        if answer.failure and differences:
            return ""
        right += not own
        wrong += own
    if any(d.expected is None or d.part != part for d in wrong):
        return ""
    label = f"Your `{part}`" if part else "Your result"
    where = f"Wherever it is wrong, y{label[1:]}" if right else label
    pairs = [(d.expected, d.got) for d in wrong]
    return relation(pairs, where, exercise.rtol, exercise.atol)
