"""The three walls: readings and the autograder do not know each other, and `check` no answers."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = ("autograder.reference", "autograder.mistakes", "autograder.grading")


def imported_names(source: str) -> set[str]:
    """Every module that some import statement in `source` names."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
    return "\n".join(
        line for line in lines.splitlines() if not line.lstrip().startswith(("%", "!"))
    )


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_autograder_loads_neither_torch_nor_matplotlib():
    code = "import sys, autograder; print(sorted({'torch', 'matplotlib', 'nbgrader', 'IPython'} & set(sys.modules)))"
    assert run_python(code) == "[]"


def test_checking_every_exercise_never_imports_the_answers():
    code = (
        "import sys\n"
        "from autograder.check import examine\n"
        "from autograder.exercise import registry\n"
        "for name in registry(): examine(name, lambda *a, **k: 0.0)\n"
        f"print(sorted(m for m in sys.modules if m.startswith({ANSWERS!r})))"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize("module", ["check", "answering", "files", "doctor"])
def test_what_students_get_works_without_the_answers(module):
    code = (
        "import sys\n"
        "class Wall:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.startswith({ANSWERS!r}): raise ImportError('behind the wall: ' + name)\n"
        "sys.meta_path.insert(0, Wall())\n"
        f"import autograder.{module}\n"
        "from autograder.exercise import registry\n"
        "print(len(registry()) > 0)"
    )
    assert run_python(code) == "True"


def test_the_wall_would_be_noticed():
    assert "autograder.reference" in imported_names("from autograder import reference")
    assert "autograder.mistakes.vanilla_rnn" in imported_names(
        "import autograder.mistakes.vanilla_rnn"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_reading_never_imports_the_autograder(path):
    names = imported_names(code_of(path))
    assert not [name for name in names if name.split(".")[0] == "autograder"]


def test_the_lab_never_imports_the_autograder():
    for path in (ROOT / "chapters" / "lab").glob("*.py"):
        assert not [n for n in imported_names(path.read_text()) if n.startswith("autograder")], path


@pytest.mark.parametrize("path", sorted((ROOT / "autograder").rglob("*.py")), ids=lambda p: p.stem)
def test_the_autograder_never_imports_the_lab(path):
    names = imported_names(path.read_text(encoding="utf-8"))
    assert not [name for name in names if name.split(".")[0] in ("lab", "chapters")]
