"""Cases whose inputs are sent to where a function is asked, and nothing else of them."""

import json
from collections.abc import Iterable

from autograder.exercise import Case
from autograder.plain import decode, encode


def to_send(cases: Iterable[Case]) -> str:
    """The cases without what is known of their answers, as text that `sent_cases` reads."""
    rows = [{"name": c.name, "kind": c.kind, "inputs": encode(c.inputs)} for c in cases]
    return json.dumps(rows)


def sent_cases(text: str) -> list[Case]:
    return [Case(row["name"], decode(row["inputs"]), row["kind"]) for row in json.loads(text)]
