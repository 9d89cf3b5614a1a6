"""The frozen public cases: inputs, the reference's answers and each mistake's, as data, no code.

They are what `check` compares with where the references are not installed, and they are written by
`autograder freeze`. One JSON file an exercise, arrays bit for bit.
"""

import json
from functools import cache
from pathlib import Path

from autograder.answer import Answers
from autograder.errors import Refused
from autograder.exercise import Case, Exercise
from autograder.plain import decode, encode
from autograder.verdict import Expected

FOLDER = Path(__file__).parent / "cases"


class NoCases(Refused):
    """The frozen cases of an exercise are missing or damaged; the message says how to mend it."""


@cache
def load(name: str) -> Expected:
    """The frozen cases of the exercise of that name. Raises NoCases."""
    path = FOLDER / f"{name}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        cases = tuple(
            Case(c["name"], decode(c["inputs"]), c["kind"], decode(c.get("truth")))
            for c in data["cases"]
        )
        return Expected(
            cases,
            Answers.from_json(json.dumps(data["reference"])),
            {key: Answers.from_json(json.dumps(row)) for key, row in data["mistakes"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoCases(
            f"The cases of {name!r} cannot be read from {path} ({error}). "
            "Reinstall the course's autograder, or run `autograder freeze` where you develop it."
        ) from None


def dump(exercise: Exercise, expected: Expected) -> str:
    """The text of the file that `load` reads."""
    data = {
        "exercise": exercise.name,
        "cases": [
            {"name": case.name, "kind": case.kind, "inputs": encode(case.inputs)}
            | ({} if case.truth is None else {"truth": encode(case.truth)})
            for case in expected.cases
        ],
        "reference": json.loads(expected.reference.to_json()),
        "mistakes": {key: json.loads(row.to_json()) for key, row in expected.mistakes.items()},
    }
    return json.dumps(data, indent=1) + "\n"
