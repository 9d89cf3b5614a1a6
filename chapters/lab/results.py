"""Results of the experiments that take longer than a reading may; `make experiments` computes them."""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def load(name: str) -> dict:
    """What an experiment found, with how it was done.

    "question": what it answers; "settings": what was chosen; "versions": of Python, NumPy, PyTorch;
    "runs": a list of {"run": what was asked, "found": what came out}. Raises FileNotFoundError.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"There are no results of {name!r}: run `make experiments`.")
    return json.loads(path.read_text(encoding="utf-8"))


def select(result: dict, key: str, **wanted) -> list:
    """What the runs with these arguments found under `key`, in their order (so, seed by seed)."""
    return [
        row["found"][key]
        for row in result["runs"]
        if all(row["run"][name] == value for name, value in wanted.items())
    ]
