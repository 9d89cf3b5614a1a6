"""No hostile or broken submission gains a point, or costs anybody else one."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from attacks import machine, messages, notebooks, python
from attacks.attack import ASSIGNMENT, ATTACKED, OTHER, ROOT, Attack, full, source, template
from autograder.answer import Answers
from autograder.exercise import find, registry
from autograder.grading import course, hidden, job, live, submission
from autograder.grading.sandbox.provisioner import no_isolation
from autograder.grading.sanitise import rebuild, refuse
from autograder.plain import identical
from autograder.verdict import judge

WHY = no_isolation()
pytestmark = pytest.mark.skipif(
    bool(WHY) and "CI" not in os.environ, reason=f"no jails here: {WHY}"
)

SEED = 271828
ATTACKS: list[Attack] = [
    *notebooks.TRICKS,
    *notebooks.FILES,
    *notebooks.HARMLESS,
    *python.HOOKS,
    *python.PATCHES,
    *python.SHADOWS,
    *python.SEARCHES,
    *machine.FILES,
    *machine.NETWORK,
    *machine.PROCESSES,
    *machine.FLOODS,
    *machine.HANGS,
    *messages.VALUES,
    *messages.FORGED,
    *messages.MESSAGES,
]
HONEST = {
    "honest-ada": Attack("honest-ada", messages.RIGHT[ATTACKED]),
    "honest-ben": Attack("honest-ben", "raise NotImplementedError"),
    "honest-cem": Attack("honest-cem", python.wrong("return h, x")),
}
OUTSIDE = (Path("/attack-was-here"), Path("/tmp/attack-was-here"))


def new_course(root: Path) -> Path:
    """A course with the cut assignment, released; its cells may run for three seconds."""
    config = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    (root / "nbgrader_config.py").write_text(f"{config}c.Execute.iopub_timeout = 3\n")
    path = root / "solutions" / ASSIGNMENT / "exercises.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(source(), path)
    (root / "chapters").mkdir()
    command(root, "nbgrader", "generate_assignment", ASSIGNMENT)
    return root


def command(root: Path, module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=root,
        env={**os.environ, "AUTOGRADER_CELL_SECONDS": "3", hidden.VARIABLE: str(SEED)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def hand_in(root: Path, attack: Attack) -> None:
    folder = root / "class" / "submitted" / attack.name / ASSIGNMENT
    folder.mkdir(parents=True)
    attack.hand_in(folder / "exercises.ipynb")


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> str:
    """nbgrader's settings for a worker, with three seconds for a cell."""
    root = tmp_path_factory.mktemp("settings")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOGRADER_CELL_SECONDS", "3")
        config = course.settings(root)
    config.Execute.iopub_timeout = 3
    return job.settings_of(config)


@pytest.fixture(scope="module")
def assignment(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("assignment") / "exercises.ipynb"


def graded(attack: Attack, assignment: Path, folder: Path, settings: str) -> nbformat.NotebookNode:
    """One submission, read, sanitised, executed and judged as a worker does it."""
    attack.hand_in(folder / "exercises.ipynb")
    fresh = template(assignment)
    try:
        nb = rebuild(fresh, submission.read(folder / "exercises.ipynb"))
    except submission.NoNotebook as error:
        nb = refuse(fresh, str(error))
    text = job.run(job.Job(attack.name, ASSIGNMENT, nbformat.writes(nb), SEED, settings))
    return nbformat.reads(text.encode("utf-8").decode("utf-8"), as_version=4)


def judged(nb: nbformat.NotebookNode, name: str) -> tuple[float, str]:
    """The score and the report, in one line, of an exercise."""
    cells = [
        c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") == f"{name}-check"
    ]
    assert len(cells) == 1
    shown, score = cells[0].outputs
    assert cells[0].metadata.nbgrader.points == full(name)
    return float(score.data["text/plain"]), " ".join(shown.data["text/plain"].split())


def printed(nb: nbformat.NotebookNode) -> str:
    outputs = [o for cell in nb.cells for o in cell.get("outputs", [])]
    return "".join(o.text for o in outputs if o.output_type == "stream")


def test_there_are_many_attacks_and_each_has_a_name_of_its_own():
    names = [attack.name for attack in ATTACKS]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_gains_what_is_honest_in_it(attack, assignment, tmp_path, settings):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    nb = graded(attack, assignment, tmp_path, settings)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kilobytes
    assert len(nbformat.writes(nb)) < 3_000_000
    nbformat.validate(nb)
    score, report = judged(nb, ATTACKED)
    assert score == attack.gains, report
    assert attack.says in report
    other, report = judged(nb, OTHER)
    assert other in attack.others, report
    assert "WRITTEN" not in printed(nb)
    assert not [path for path in OUTSIDE if path.exists()]
    assert "<script" not in "".join(
        str(o.data["text/html"])
        for cell in nb.cells
        for o in cell.get("outputs", [])
        if "text/html" in o.get("data", {})
    )


# What is known by heart: `check` shows students the public cases and what is right there. A forged
# message with these answers earns points only where the hidden cases ask nothing new, or where more
# than one answer is right, so that any of the right kind will do.
BY_HEART = {
    "memory_horizon": 6.0,
    "clip_by_global_norm": 3.0,
    "orthogonal_matrix": 8.0,
    "set_forget_bias": 3.0,
    "chrono_bias": 7.0,
}


def from_the_public_cases(name: str) -> Answers:
    """The best answers to all cases of somebody who knows the public ones and nothing else."""
    public, hidden_cases = live.expected(name), live.expected(name, SEED).cases
    known = list(zip(public.cases, public.reference.answers, strict=True))
    found = [answer for _, answer in known]
    for case in hidden_cases:
        same = [answer for seen, answer in known if identical(seen.inputs, case.inputs)]
        alike = [answer for seen, answer in known if seen.name == case.name]
        found.append((same or alike or [known[0][1]])[0])
    return Answers(tuple(found))


@pytest.mark.parametrize("name", registry())
def test_the_public_answers_by_heart_earn_only_what_is_known(name):
    expected = live.expected(name) + live.expected(name, SEED)
    verdict = judge(find(name), expected, from_the_public_cases(name))
    assert verdict.score == BY_HEART.get(name, 0)


# A class


def files_of(root: Path) -> dict[str, str]:
    """A digest of every file of a course but of what grading writes."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        written = name.startswith(("class/autograded", "class/gradebook.db", "class/.grading"))
        if path.is_file() and not path.is_symlink() and not written:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def grades_of(root: Path, students) -> dict[str, list]:
    """All that the gradebook says of these students' submissions."""
    with Gradebook(f"sqlite:///{root / 'class' / 'gradebook.db'}") as book:
        return {
            student: sorted(
                (grade.name, grade.auto_score, grade.manual_score, grade.needs_manual_grade)
                for notebook in book.find_submission(ASSIGNMENT, student).notebooks
                for grade in notebook.grades
            )
            for student in students
        }


def notebooks_of(root: Path, students) -> dict[str, dict]:
    """Their graded notebooks, but for when each cell was run."""
    place, found = root / "class" / "autograded", {}
    for student in students:
        found[student] = json.loads((place / student / ASSIGNMENT / "exercises.ipynb").read_text())
        for cell in found[student]["cells"]:
            cell["metadata"].pop("execution", None)
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The honest ones, graded by themselves."""
    root = new_course(tmp_path_factory.mktemp("alone"))
    for attack in HONEST.values():
        hand_in(root, attack)
    command(root, "autograder.cli", "grade", ASSIGNMENT)
    return root


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, str, dict]:
    """The same class with all attacks in it: the course, what was said, the files before."""
    root = new_course(tmp_path_factory.mktemp("together"))
    for attack in (*ATTACKS, *HONEST.values()):
        hand_in(root, attack)
    before = files_of(root)
    said = command(root, "autograder.cli", "grade", ASSIGNMENT)
    return root, said, before


def test_honest_students_get_what_they_get_without_the_attacks(alone, together):
    root, _, _ = together
    assert grades_of(root, HONEST) == grades_of(alone, HONEST)
    assert notebooks_of(root, HONEST) == notebooks_of(alone, HONEST)
    assert grades_of(alone, HONEST)["honest-ada"] == [
        (f"{OTHER}-check", full(OTHER), None, False),
        (f"{ATTACKED}-check", full(ATTACKED), None, False),
    ]


def test_in_a_class_too_every_attack_is_graded_and_gains_nothing(together):
    root, said, _ = together
    assert f"{len(ATTACKS) + len(HONEST)} graded" in said, said
    assert " 0 failed" in said, said
    names = [attack.name for attack in ATTACKS]
    with Gradebook(f"sqlite:///{root / 'class' / 'gradebook.db'}") as book:
        assert {student.id for student in book.students} == {*names, *HONEST}
        assert {n.name for a in book.assignments for n in a.notebooks} == {"exercises"}
        points = {
            cell.name: cell.max_score
            for cell in book.find_notebook("exercises", ASSIGNMENT).grade_cells
        }
    assert points == {f"{name}-check": full(name) for name in (ATTACKED, OTHER)}
    grades = grades_of(root, names)
    for attack in ATTACKS:
        other, attacked = (row[1] for row in grades[attack.name])
        assert attacked == attack.gains, attack.name
        assert other in attack.others, attack.name


def test_a_class_with_attacks_in_it_leaves_every_other_file_as_it_was(together):
    root, _, before = together
    after = files_of(root)
    after.pop("class/hidden-seed", None)
    assert after == before
    assert not [path for path in OUTSIDE if path.exists()]


def test_those_whose_file_is_no_notebook_are_flagged_with_a_reason(together):
    _, said, _ = together
    for attack in notebooks.FILES:
        if attack.says:
            assert f"flagged: {attack.name} {ASSIGNMENT}: " in said, attack.name
