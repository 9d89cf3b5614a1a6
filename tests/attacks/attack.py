"""What an attack is, and the assignment that is attacked: two exercises of chapter 2."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.exercise import find
from autograder.grading import course, live, wrong_answers

ROOT = Path(__file__).resolve().parent.parent.parent
ASSIGNMENT = "02-backpropagation-through-time"
ATTACKED, OTHER = "rnn_step_backward", "rnn_backward"
RIGHT = {
    name: wrong_answers.written_out(name, live.reference_of(find(name)))
    for name in (ATTACKED, OTHER)
}
SIGNATURE = f"def {ATTACKED}(dh_next, x, h, h_next, W_x, W_h):"


@dataclass(frozen=True)
class Attack:
    """One submission.

    name     of the student, too
    answer   the cell of the attacked exercise; the other exercise is answered honestly
    before   cells that stand in front of all others; after: behind them
    edit     what is done to the notebook's JSON in the end
    place    what lies at the notebook's path instead: called with the path
    gains    points for the attacked exercise, for what in it is honest; 0 where nothing is
    other    whether the honest answer to the other exercise earns its points all the same; None:
             that depends, and concerns nobody else
    says     words that the report on the attacked exercise must hold
    """

    name: str
    answer: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    edit: Callable[[dict], None] | None = None
    place: Callable[[Path], None] | None = None
    gains: float = 0.0
    other: bool | None = True
    says: str = ""

    @property
    def others(self) -> set[float]:
        """The points that the other exercise may earn."""
        both = {True: full(OTHER), False: 0.0}
        return set(both.values()) if self.other is None else {both[self.other]}

    def hand_in(self, path: Path) -> None:
        """Put this submission at `path`."""
        if self.place:
            self.place(path)
            return
        notebook = honest()
        cell_of(notebook, ATTACKED)["source"] = self.answer
        before, after = ([code(text) for text in texts] for texts in (self.before, self.after))
        notebook["cells"] = before + notebook["cells"] + after
        if self.edit:
            self.edit(notebook)
        path.write_text(json.dumps(notebook), encoding="utf-8")


def source() -> NotebookNode:
    """nbgrader's source of the assignment, cut down to the two exercises."""
    nb = nbformat.read(ROOT / "solutions" / ASSIGNMENT / "exercises.ipynb", as_version=4)
    wanted = {
        f"{name}{part}" for name in (ATTACKED, OTHER) for part in ("", "-statement", "-check")
    }
    wanted.add("imports")
    nb.cells = [
        cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade_id") in wanted
    ]
    return nb


def template(path: Path) -> NotebookNode:
    """The assignment as released; its source is written to `path`."""
    if not path.exists():
        nbformat.write(source(), path)
    return course.released(path)


@cache
def _honest() -> str:
    nb = source()
    for cell in nb.cells:
        name = cell.metadata["nbgrader"]["grade_id"]
        if name in RIGHT:
            cell.source = RIGHT[name]
    return json.dumps(nb)


def honest() -> dict:
    """The notebook of somebody who has solved both."""
    return json.loads(_honest())


def cell_of(notebook: dict, grade_id: str) -> dict:
    found = {c["metadata"].get("nbgrader", {}).get("grade_id"): c for c in notebook["cells"]}
    return found[grade_id]


def code(text: str, **metadata) -> dict:
    empty = {"cell_type": "code", "outputs": [], "execution_count": None}
    return empty | {"metadata": metadata, "source": text}


def full(name: str) -> float:
    return find(name).max_score


def wrong(body: str = "return 0") -> str:
    """An answer that knows nothing; what earns by itself must not be in `body`."""
    return f"{SIGNATURE}\n    {body}"
