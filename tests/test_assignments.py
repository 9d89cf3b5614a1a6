"""The assignments: what is asked stands where it should, and students get exactly what it makes."""

import contextlib
import doctest
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from autograder.exercise import registry
from autograder.grading.course import trained_less

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted(path.parent.name for path in ROOT.glob("solutions/*/exercises.ipynb"))
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def source_of(chapter):
    return nbformat.read(ROOT / "solutions" / chapter / "exercises.ipynb", as_version=4)


def released_of(chapter):
    return nbformat.read(ROOT / "chapters" / chapter / "exercises.ipynb", as_version=4)


def exercises_of(chapter):
    return [exercise for exercise in registry().values() if exercise.chapter == chapter]


def cell_called(notebook, grade_id):
    cells = [
        c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id
    ]
    assert len(cells) == 1, grade_id
    return cells[0]


def statement_of(notebook, name):
    cells = [c for c in notebook.cells if c.cell_type == "markdown"]
    chosen = [c for c in cells if re.search(rf"^## {name}$", c.source, re.MULTILINE)]
    assert len(chosen) == 1, f"one cell has the heading {name}"
    return chosen[0].source


def headings_by_label(reading):
    """The labels of a reading and the headings below them."""
    notebook = nbformat.read(ROOT / "chapters" / f"{reading}.ipynb", as_version=4)
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return dict(re.findall(r"^\(([\w-]+)\)=\s*\n#+ (.+)$", text, re.MULTILINE))


def run(notebook, folder):
    """Execute a notebook whatever it raises; returns it with its outputs."""
    client = NotebookClient(
        notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


def test_every_chapter_of_the_registry_has_an_assignment():
    assert sorted({exercise.chapter for exercise in registry().values()}) == CHAPTERS


@each_chapter
def test_exercises_stand_in_order_each_with_answer_and_check_cell(chapter):
    notebook = source_of(chapter)
    names = [exercise.name for exercise in exercises_of(chapter)]
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    assert [i for i in ids if i in names] == names
    checks = [i for i, c in zip(ids, notebook.cells, strict=True) if c.source.startswith("check(")]
    assert checks == [f"{name}-check" for name in names]
    for exercise in exercises_of(chapter):
        answer = cell_called(notebook, exercise.name)
        assert answer.metadata.nbgrader.solution and not answer.metadata.nbgrader.grade
        test = cell_called(notebook, f"{exercise.name}-check")
        assert test.source == f'check("{exercise.name}", {exercise.name})'
        assert test.metadata.nbgrader.grade and test.metadata.nbgrader.locked
        assert test.metadata.nbgrader.points == exercise.max_score


@each_chapter
def test_the_stored_outputs_of_the_model_answers_are_full_points(chapter):
    notebook = source_of(chapter)
    for exercise in exercises_of(chapter):
        outputs = cell_called(notebook, f"{exercise.name}-check").outputs
        text = "".join(output.get("data", {}).get("text/plain", "") for output in outputs)
        assert "all right" in text, exercise.name


@each_chapter
def test_examples_in_statements_are_what_the_model_answers_print(chapter):
    notebook = source_of(chapter)
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in notebook.cells:
            nbgrader = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code" and not nbgrader.get("grade"):
                exec(trained_less(cell.source, 3), names)  # to train it is nbval's affair
    for exercise in exercises_of(chapter):
        text = statement_of(notebook, exercise.name)
        # A blank line or the closing fence ends an expected output.
        test = doctest.DocTestParser().get_doctest(
            text.replace("```", "\n"), dict(names), exercise.name, None, 0
        )
        assert test.examples, f"{exercise.name} has no worked example"
        failures = io.StringIO()
        result = doctest.DocTestRunner(verbose=False).run(test, out=failures.write)
        assert result.failed == 0, failures.getvalue()


@each_chapter
def test_statements_give_the_signature_the_effort_and_a_hint(chapter):
    notebook = source_of(chapter)
    for exercise in exercises_of(chapter):
        text = statement_of(notebook, exercise.name)
        assert f"{exercise.name}({exercise.signature})" in text
        effort = rf"Difficulty [●○]{{5}} · importance [●○]{{5}} · about {exercise.minutes} minutes"
        assert re.search(effort, text)
        assert "<summary>Hint</summary>" in text
        definition = cell_called(notebook, exercise.name).source
        function = f"def {exercise.name}({exercise.signature})"
        built = f"class {exercise.name}("  # a class has its arguments where it is set up
        setup = f"def __init__(self, {exercise.signature})"
        assert function in definition or (built in definition and setup in definition)


@each_chapter
def test_links_from_statements_lead_to_a_section_of_a_reading(chapter):
    notebook = source_of(chapter)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)", text)
    assert len(links) >= len(exercises_of(chapter))
    for target, label in links:
        path = (ROOT / "chapters" / chapter / target).resolve()
        assert path.is_file(), target
        if label:
            assert label in headings_by_label(path.stem), f"{target}#{label}"


def test_reports_name_sections_that_are_there():
    for exercise in registry().values():
        sections = [exercise.see, *(mistake.see for mistake in exercise.mistakes)]
        sections += [aspect.see for aspect in exercise.aspects if aspect.see]
        for section in sections:
            assert headings_by_label(section.page).get(section.label) == section.title, section


@each_chapter
def test_there_are_written_questions_with_a_rubric_that_students_do_not_get(chapter):
    released = released_of(chapter)
    written = [
        cell
        for cell in source_of(chapter).cells
        if cell.cell_type == "markdown" and cell.metadata.get("nbgrader", {}).get("grade")
    ]
    assert 1 <= len(written) <= 2
    for cell in written:
        assert "ubric" in cell.source
        given = cell_called(released, cell.metadata.nbgrader.grade_id)
        assert "YOUR ANSWER HERE" in given.source
        assert "ubric" not in given.source


@each_chapter
def test_released_notebooks_hold_no_answer_and_no_output(chapter):
    for cell in released_of(chapter).cells:
        assert "SOLUTION" not in cell.source
        assert not cell.get("outputs")
    model, given = source_of(chapter), released_of(chapter)
    for exercise in exercises_of(chapter):
        inside = re.search(
            r"### BEGIN SOLUTION\n(.*?)### END SOLUTION",
            cell_called(model, exercise.name).source,
            re.DOTALL,
        )
        assert inside, exercise.name
        stub = cell_called(given, exercise.name).source
        assert "raise NotImplementedError" in stub
        for line in inside[1].splitlines():
            assert len(line.strip()) < 12 or line not in stub


@each_chapter
def test_code_that_students_get_is_narrow_enough_for_the_page(chapter):
    for cell in released_of(chapter).cells:
        if cell.cell_type == "code":
            assert max(map(len, cell.source.splitlines()), default=0) <= 85, cell.source


@each_chapter
def test_what_students_get_is_exactly_what_the_source_generates(chapter, tmp_path):
    for name in ("nbgrader_config.py", "solutions"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", chapter],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "chapters" / chapter / "exercises.ipynb").read_text(encoding="utf-8")
    kept = (ROOT / "chapters" / chapter / "exercises.ipynb").read_text(encoding="utf-8")
    assert json.loads(made) == json.loads(kept), "run `make release`"


@each_chapter
def test_a_released_notebook_raises_only_what_a_stub_raises_and_scores_nothing(chapter):
    folder = ROOT / "chapters" / chapter
    notebook = run(released_of(chapter), folder)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                assert output.ename == "NotImplementedError", output.evalue
            assert output.get("name") != "stderr", output.text
    for exercise in exercises_of(chapter):
        results = [
            output.data["text/plain"]
            for output in cell_called(notebook, f"{exercise.name}-check").outputs
            if output.output_type == "execute_result"
        ]
        assert results == ["0.0"], exercise.name


def nbval(path):
    """Validate one notebook as `make test` does; returns the finished process."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--nbval", "-p", "no:cacheprovider", "-q"),
            f"--nbval-sanitize-with={ROOT / 'tests' / 'nbval.cfg'}",
            *("--rootdir", str(path.parent), str(path)),
        ],
        capture_output=True,
        text=True,
    )


def numbered_notebook():
    """A notebook with one number, one figure, and an assertion beside the figure."""
    v4 = nbformat.v4
    code = (
        "import matplotlib.pyplot as plt\n"
        "from matplotlib_inline.backend_inline import set_matplotlib_formats\n"
        "set_matplotlib_formats('svg')\n"
        "import numpy as np\n"
        "norms = 0.577 ** np.arange(20)\n"
        "plt.plot(norms)\n"
        "assert norms[13] < 1e-3\n"
        "print(f'{norms[13]:.6f}')\n"
        "plt.show()"
    )
    notebook = v4.new_notebook(cells=[v4.new_code_cell(code)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    return notebook


def test_validation_passes_what_is_true_and_catches_one_wrong_digit(tmp_path):
    notebook = run(numbered_notebook(), tmp_path)
    printed = next(o for o in notebook.cells[0].outputs if o.output_type == "stream")
    assert any("image/svg+xml" in o.get("data", {}) for o in notebook.cells[0].outputs)
    nbformat.write(notebook, tmp_path / "true.ipynb")
    printed.text = printed.text.replace("8", "9")
    nbformat.write(notebook, tmp_path / "false.ipynb")

    true, false = nbval(tmp_path / "true.ipynb"), nbval(tmp_path / "false.ipynb")
    assert true.returncode == 0, true.stdout
    assert false.returncode == 1
    assert "1 failed" in false.stdout


@each_chapter
def test_validation_catches_a_wrong_score_in_a_solution(chapter, tmp_path):
    notebook = source_of(chapter)
    first = exercises_of(chapter)[0]
    if less := [c for c in notebook.cells if trained_less(c.source, 3) != c.source]:
        for cell in less:
            cell.source = trained_less(cell.source, 3)
        notebook = run(notebook, tmp_path)
    cell = cell_called(notebook, f"{first.name}-check")
    result = next(o for o in cell.outputs if o.output_type == "execute_result")
    result.data["text/plain"] = str(float(result.data["text/plain"]) - 1)
    end = notebook.cells.index(cell) + 1
    notebook.cells = notebook.cells[:end]
    nbformat.write(notebook, tmp_path / "exercises.ipynb")
    done = nbval(tmp_path / "exercises.ipynb")
    assert done.returncode == 1
    assert "1 failed" in done.stdout


def readings():
    return sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("path", readings(), ids=lambda p: p.stem)
def test_a_reading_is_stored_whole(path):
    """Run from top to bottom, without errors or warnings, every figure with its claim checked."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert not [
            o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"
        ]
    assert path.stat().st_size < 2_000_000


@pytest.mark.parametrize("path", readings(), ids=lambda p: p.stem)
def test_every_figure_of_a_reading_has_a_name_a_caption_and_words_for_who_cannot_see_it(path):
    notebook = nbformat.read(path, as_version=4)
    figures = 0
    for cell in notebook.cells:
        pictures = [o for o in cell.get("outputs", []) if "image/svg+xml" in o.get("data", {})]
        if pictures:
            figures += 1
            shown = cell.metadata["mystnb"]
            assert len(shown["image"]["alt"]) > 20
            assert shown["figure"]["name"].startswith("fig-")
            assert shown["figure"]["caption"]
    assert figures >= 3


@pytest.mark.parametrize("path", readings(), ids=lambda p: p.stem)
def test_a_reading_points_to_each_of_its_exercises(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for exercise in exercises_of(path.stem):
        anchor = exercise.name.lower()  # as the site makes it
        assert f"[`{exercise.name}`]({path.stem}/exercises.ipynb#{anchor})" in text, exercise.name


@pytest.mark.parametrize("path", readings(), ids=lambda p: p.stem)
def test_a_reading_promises_the_minutes_that_the_statement_says(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for exercise in exercises_of(path.stem):
        statement = statement_of(source_of(path.stem), exercise.name)
        minutes = re.search(r"about (\d+) minutes", statement)[1]
        assert f"exercises.ipynb#{exercise.name.lower()}) (about {minutes} minutes)" in text
