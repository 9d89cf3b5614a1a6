"""nbgrader's step after execution: replace what a test cell put out by the verdict and the score."""

import builtins
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Integer, default

from autograder import report
from autograder.answer import Answer, Answers, Failure
from autograder.exercise import Case, Exercise, find
from autograder.files import endless
from autograder.grading import hidden
from autograder.grading.course import course_of, exercise_of, exercises_of
from autograder.grading.execution import (
    DIED,
    NOT_RUN,
    OUT_OF_TIME,
    TOO_LARGE,
    TOO_SLOW,
    answer_in,
    begun,
)
from autograder.grading.expectations import expectations
from autograder.grading.sanitise import KEY
from autograder.grading.submission import PICTURES, is_base64, writable
from autograder.verdict import Expected, Verdict, judge, nothing_to_judge

MAX_FINDING = 5_000  # characters: what is said of an answer may quote it
TIMES_OUT = (TOO_SLOW, "KeyboardInterrupt")
OURS = (*TIMES_OUT, DIED, OUT_OF_TIME)
NO_FAULT = (NotImplementedError.__name__, NOT_RUN)  # a stub; what the machine is to blame for
HELD_BACK = "(what it says is not shown here: the words are held out)"


class Judge(NbGraderPreprocessor):
    """Judges the answers of every test cell. Nothing that a submission holds can make it raise.

    It keeps in the notebook's metadata, for the table of scores, one line for each lost exercise, and
    for the report on the class the name of the known mistake, where there is one.
    """

    seed = Integer(help="From it come the hidden cases; by default the course's.")

    @default("seed")
    def _of_the_course(self):
        return hidden.seed(Path(course_of(self).root))

    def preprocess(self, nb, resources):
        """The notebook with verdicts in it. Raises UnknownExercise for a wrong source notebook."""
        found = dict(nb.metadata.get(KEY, {}))
        known = expectations(exercises_of(nb), self.seed)
        reasons: dict[str, str] = {}
        diagnoses: dict[str, str] = {}
        measures: dict[str, dict] = {}
        for at, cell in enumerate(nb.cells):
            name = exercise_of(cell)
            if not name:
                _keep_harmless(cell)
                continue
            exercise = find(name)
            expected = known[name]
            if refused := found.get("refused"):
                verdict = nothing_to_judge(exercise, refused)
            else:
                answer = _answer_cell(nb, name)
                verdict = self._judge(exercise, expected, cell, answer)
                if exercise.held_out and not verdict.passed:
                    above = _broken(c for c in nb.cells[:at] if c is not answer)
                    verdict = replace(verdict, findings=(*above, *verdict.findings))
            _show(cell, verdict)
            if not verdict.score:
                reasons[name] = writable(reason(verdict))
            if verdict.diagnosis:
                diagnoses[name] = verdict.diagnosis[0]
            if verdict.measures:
                measures[name] = verdict.measures
        found |= {"reasons": reasons, "diagnoses": diagnoses}
        nb.metadata[KEY] = {**found, "measures": measures} if measures else found
        return nb, resources

    def _judge(
        self,
        exercise: Exercise,
        expected: Expected,
        cell: NotebookNode,
        answer: NotebookNode | None,
    ) -> Verdict:
        try:
            text = next((found for o in reversed(cell.outputs) if (found := answer_in(o))), "")
            if not text:
                return nothing_to_judge(exercise, _why_nothing(exercise, cell, answer))
            if text == TOO_LARGE:
                why = f"What `{exercise.name}` returns is far too large to be the answer."
                return nothing_to_judge(exercise, why)
            try:
                answers = Answers.from_json(text)
            except (ValueError, RecursionError):
                why = "The answers cannot be read. Does your notebook change the autograder?"
                return nothing_to_judge(exercise, why)
            if exercise.held_out:
                answers = _without_words(expected, answers)
            verdict = _measured(exercise, expected, answers, judge(exercise, expected, answers))
            return replace(verdict, findings=tuple(_short(text) for text in verdict.findings))
        except Exception as error:
            self.log.exception("The judge failed on %s", exercise.name)
            why = (
                f"These answers could not be judged ({type(error).__name__}). "
                "Show this to your instructor."
            )
            return nothing_to_judge(exercise, why)


def _without_words(expected: Expected, answers: Answers) -> Answers:
    """The answers to held-out cases without any text that could carry something out of these.

    What is left are the values, of which an exercise with such cases says nothing but numbers.
    """
    if answers.problem:
        return Answers(problem="The function could not be asked: see what `check` says of it.")

    def told(case: Case, answer: Answer) -> Answer:
        failure = answer.failure and Failure((_known(answer.failure.kinds),), HELD_BACK)
        changed = tuple(name for name in case.inputs if name in answer.changed)
        return replace(answer, failure=failure, changed=changed, warned=())

    rows = list(zip(expected.cases, answers.answers, strict=False))
    return Answers(tuple(told(*row) for row in rows))


def _known(kinds: Iterable[str]) -> str:
    """The first of Python's own exceptions among these."""
    own = (getattr(builtins, kind, None) for kind in kinds)
    return next(
        (e.__name__ for e in own if isinstance(e, type) and issubclass(e, BaseException)), "Error"
    )


def _measured(
    exercise: Exercise, expected: Expected, answers: Answers, verdict: Verdict
) -> Verdict:
    """The verdict with what is measured of the answers."""
    if exercise.measure is None or len(answers.answers) != len(expected.cases):
        return verdict
    measures: dict[str, float | None] = {}
    for case, right, answer in zip(
        expected.cases, expected.reference.answers, answers.answers, strict=True
    ):
        if not answer.failure:
            measures |= exercise.measure(case, right.value, answer.value)
    return replace(verdict, measures=measures)


def reason(verdict: Verdict) -> str:
    """Why there are no points, in one short line that does not repeat the exercise's name."""
    if verdict.diagnosis:
        return f"known mistake: {verdict.diagnosis[0].replace('_', ' ')}"
    first = verdict.findings[0].split(". ")[0].rstrip(".") if verdict.findings else "wrong"
    name = f"`{verdict.exercise.name}`"
    for long, short in (
        (f"{name} is not written yet: it raises NotImplementedError", "not written yet"),
        (f"The cell of {name} ", "its cell "),
        (f"There is no function {name}", "there is no such function"),
        (f"Python ended while {name} was asked", "ended Python"),
        (f"{name} ", ""),
    ):
        first = first.replace(long, short)
    return first if len(first) <= 100 else f"{first[:99]}…"


def _short(text: str) -> str:
    return text if len(text) <= MAX_FINDING else f"{text[:MAX_FINDING]}…"


def _show(cell: NotebookNode, verdict: Verdict) -> None:
    """Replace all outputs by the report and the score, which nbgrader reads from the second."""
    points = float(cell.metadata["nbgrader"]["points"])
    share = verdict.score / verdict.max_score if verdict.max_score else 0.0
    shown = {"text/plain": report.as_text(verdict), "text/html": report.as_html(verdict)}
    shown = {mime: writable(text) for mime, text in shown.items()}
    cell.outputs = [
        new_output("display_data", data=shown),
        new_output(
            "execute_result", data={"text/plain": f"{points * share:.10g}"}, execution_count=None
        ),
    ]
    cell.execution_count = None


def _why_nothing(exercise: Exercise, cell: NotebookNode, answer: NotebookNode | None) -> str:
    """What kept the function from being asked: what happened, where, and how to mend it."""
    name = exercise.name
    error = _error(cell)
    if error is None:
        return f"The check of `{name}` gave no answers. Does your notebook change the autograder?"
    kind, said = _kind_and_text(error)
    if exercise.held_out and begun(error):  # the kernel knew the held-out cases when it said this
        kind, said = (kind, "") if kind in OURS else (_known([kind]), HELD_BACK)
    if kind in TIMES_OUT:
        return f"`{name}` was not done in time. {endless(exercise)}"
    if kind == OUT_OF_TIME:
        why = said or "The notebook had used up its time"
        return f"{why}. Look for the cell above that takes so long, and mend it."
    if kind == DIED and said.startswith("Not run"):
        return f"{said}. Look for the cells above that call `exit()` or use up all memory."
    if kind == DIED:
        return (
            f"Python ended while `{name}` was asked. Does it call `exit()` or `quit()`, "
            "or use up all memory?"
        )
    if kind == "NameError" and (f"'{name}'" in said or exercise.held_out):
        return _missing(exercise, answer)
    return f"`{name}` could not be asked: {kind}: {said}."


def _missing(exercise: Exercise, answer: NotebookNode | None) -> str:
    name = exercise.name
    wanted = f"`def {name}({exercise.signature}):`"
    error = _error(answer) if answer is not None else None
    if error is None:
        return (
            f"There is no function `{name}`. Its cell must define it: {wanted}. "
            "Run your notebook from top to bottom to see this yourself."
        )
    return (
        f"The cell of `{name}` {_happened(error)}. So there was no function to ask. Mend that cell: "
        f"it must run to its end and define {wanted}."
    )


def _happened(error: NotebookNode) -> str:
    """What became of a cell that did not run to its end."""
    kind, said = _kind_and_text(error)
    if kind in TIMES_OUT:
        return "was not done in time"
    if kind == DIED:
        return (
            "ended Python" if begun(error) else "was not run, because those above it ended Python"
        )
    if kind == OUT_OF_TIME:
        return "was not run, because the cells above it took too long"
    return f"stops with {kind}: {said}"


def _broken(cells: Iterable[NotebookNode]) -> list[str]:
    """Of the cells on all of which an answer rests, the first that did not run to its end."""
    for cell in cells:
        error = _error(cell)
        if error is None or error.get("ename") in NO_FAULT:
            continue
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        called = f"The cell `{grade_id}`" if grade_id else "A cell of your own"
        return [
            f"{called} {_happened(error)}. What it defines or trains was missing, and all that "
            "follows may come from this: mend it first."
        ]
    return []


def _kind_and_text(error: NotebookNode) -> tuple[str, str]:
    return str(error.get("ename", "")), str(error.get("evalue", ""))[:300].rstrip(".")


def _error(cell: NotebookNode) -> NotebookNode | None:
    """The error that says most about why a cell did not run to its end."""
    errors = [o for o in cell.get("outputs", []) if o.get("output_type") == "error"]
    return errors[-1] if errors else None


def _answer_cell(nb: NotebookNode, name: str) -> NotebookNode | None:
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade_id") == name:
            return cell
    return None


def _keep_harmless(cell: NotebookNode) -> None:
    """Leave text and pictures in a student's outputs, and nothing that runs in a grader's browser.

    A kernel may have said anything: what stays is made anew, such that a file can hold it.
    """
    if cell.cell_type == "code":
        cell.execution_count = _number(cell.execution_count)
        cell.outputs = [_harmless(output) for output in cell.outputs]


def _harmless(output: NotebookNode) -> NotebookNode:
    kind = output["output_type"]
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return new_output(kind, name=name, text=_as_text(output.get("text")))
    if kind == "error":
        lines = output.get("traceback")
        lines = [_as_text(line) for line in lines] if isinstance(lines, list) else []
        said = {name: _as_text(output.get(name)) for name in ("ename", "evalue")}
        return new_output(kind, **said, traceback=lines)
    found = output.get("data")
    data = {
        mime: _as_text(text)
        for mime, text in (found.items() if isinstance(found, dict) else ())
        if mime == "text/plain" or (mime in PICTURES and is_base64(text))
    }
    if kind == "execute_result":
        count = _number(output.get("execution_count"))
        return new_output(kind, data=data, execution_count=count)
    return new_output("display_data", data=data)


def _as_text(value: object) -> str:
    return writable(value if isinstance(value, str) else str(value))


def _number(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
