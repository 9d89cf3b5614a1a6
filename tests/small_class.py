"""A course with two exercises and a class of the test's own making, without kernel or command."""

import json
import shutil
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook

from autograder.exercise import find, registry
from autograder.grading import live, wrong_answers

ROOT = Path(__file__).resolve().parent.parent
FIRST, SECOND = list(registry())[:2]
NAME = find(FIRST).chapter
FILE = "exercises.ipynb"
DUE = datetime(2030, 1, 10, 12)
POINTS = {f"{name}-check": find(name).max_score for name in (FIRST, SECOND)} | {"why": 4.0}


def marks(grade_id, **values):
    base = {"schema_version": 3, "grade_id": grade_id}
    base |= {"locked": False, "grade": False, "solution": False, "task": False}
    return {"nbgrader": base | values}


def model_answer(name):
    return wrong_answers.written_out(name, live.reference_of(find(name)))


def notebook(answers):
    """The assignment with an answer cell and a test cell for each exercise, and a question."""
    cells = []
    for name, answer in answers.items():
        cells.append(new_code_cell(answer, metadata=marks(name, solution=True)))
        test = marks(f"{name}-check", locked=True, grade=True, points=find(name).max_score)
        cells.append(new_code_cell(f'check("{name}", {name})', metadata=test))
    question = marks("why", solution=True, grade=True, points=4)
    cells.append(new_markdown_cell("Because.", metadata=question))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def source(name):
    head, arguments, body = model_answer(name).partition(f"def {name}({find(name).signature}):\n")
    return f"{head}{arguments}    ### BEGIN SOLUTION\n{body}    ### END SOLUTION"


def new_class(root, settings=""):
    """The course's settings (and more of them), the source of the assignment, and a gradebook."""
    config = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    (root / "nbgrader_config.py").write_text(f"{config}\n{settings}\n", encoding="utf-8")
    folder = root / "solutions" / NAME
    folder.mkdir(parents=True)
    nbformat.write(notebook({name: source(name) for name in (FIRST, SECOND)}), folder / FILE)
    (root / "class").mkdir()
    (root / "class" / "gradebook.db").write_bytes(_empty_gradebook())
    with gradebook(root) as book:
        book.add_assignment(NAME, duedate=DUE)
        book.add_notebook("exercises", NAME)
        for cell, points in POINTS.items():
            kind = "markdown" if cell == "why" else "code"
            book.add_grade_cell(cell, "exercises", NAME, max_score=points, cell_type=kind)
        for cell in (FIRST, SECOND, "why"):
            book.add_solution_cell(cell, "exercises", NAME)
    return root


@cache
def _empty_gradebook():
    """nbgrader asks a command for the version of each new gradebook; this asks it once."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "class").mkdir()
        gradebook(Path(folder)).close()
        return (Path(folder) / "class" / "gradebook.db").read_bytes()


def gradebook(root):
    return Gradebook(f"sqlite:///{root / 'class' / 'gradebook.db'}", "what-the-gradient-remembers")


def hand_in(root, student, answers):
    """A submission with these answers by exercise; "" leaves a cell empty."""
    folder = root / "class" / "submitted" / student / NAME
    folder.mkdir(parents=True)
    nbformat.write(notebook({FIRST: "", SECOND: ""} | answers), folder / FILE)


def graded(root, student, scores, late=timedelta(), by_hand=None, metadata=None, **person):
    """A student with these scores by machine, as if graded: in the gradebook, and a notebook."""
    (root / "class" / "submitted" / student / NAME).mkdir(parents=True, exist_ok=True)
    with gradebook(root) as book:
        book.update_or_create_student(student, **person)
        book.update_or_create_submission(NAME, student, timestamp=DUE + late)
        for cell, score in scores.items():
            grade = book.find_grade(cell, "exercises", NAME, student)
            grade.auto_score, grade.needs_manual_grade = score, False
        question = book.find_grade("why", "exercises", NAME, student)
        question.manual_score, question.needs_manual_grade = by_hand, by_hand is None
        book.db.commit()
    found = {"reasons": {}} if metadata is None else metadata
    folder = root / "class" / "autograded" / student / NAME
    folder.mkdir(parents=True, exist_ok=True)
    done = notebook({FIRST: "", SECOND: ""})
    done.metadata["autograder"] = found
    (folder / FILE).write_text(json.dumps(done), encoding="utf-8")


def forget(root, student):
    """As if the student's grading had not come to its end."""
    shutil.rmtree(root / "class" / "autograded" / student)
