"""Make what students get: the released notebooks, the readings, and a wheel without the answers."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

from autograder.errors import Refused

KEPT_BACK = ("reference", "mistakes", "grading")
PACKAGES = ("numpy", "torch", "matplotlib", "jupyterlab", "nbgrader")
DRAWS = "prepare.py"  # it makes the data of the readings, and the held-out words
NAME = "rnn-course"
README = """\
What the Gradient Remembers: the students' edition

1. With Python 3.11 or newer, in this folder:

       python -m venv .venv
       source .venv/bin/activate          (Windows: .venv\\Scripts\\activate)
       pip install -r requirements.txt

2. Start JupyterLab and open chapters/01-vanilla-rnn/exercises.ipynb:

       jupyter lab

3. Before you hand a notebook in:

       nbgrader validate chapters/01-vanilla-rnn/exercises.ipynb

   The capstone trains a network, and needs more time:

       nbgrader validate --Execute.timeout=300 chapters/12-capstone/exercises.ipynb

`autograder doctor` says what is missing where something does not work.
"""

# It names a module of the instructor's side, as kernels for submissions.
PROVISIONER = re.compile(r'^\[project\.entry-points\."jupyter_client[^\[]*', re.MULTILINE)


def bundle(root: Path, out: Path) -> list[Path]:
    """Write `out`/rnn-course.zip and the wheel beside it; returns both paths.

    root: the course's repository. Raises Refused where no assignment is released there.
    """
    released = sorted(root.glob("chapters/*/exercises.ipynb"))
    if not released:
        raise Refused(
            f"No assignment is released in {root / 'chapters'}: run this from the course's root, "
            "after `make release`."
        )
    out.mkdir(parents=True, exist_ok=True)
    wheel = _student_wheel(root, out)
    archive = out / f"{NAME}.zip"
    partial = archive.with_suffix(".zip.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for path in [*released, *_readings(root)]:
            file.write(path, f"{NAME}/{path.relative_to(root)}")
        file.write(wheel, f"{NAME}/{wheel.name}")
        file.writestr(f"{NAME}/requirements.txt", _requirements(wheel))
        file.writestr(f"{NAME}/README.txt", README)
    partial.replace(archive)
    return [archive, wheel]


def _readings(root: Path) -> list[Path]:
    """The readings, with what they import, the data that they read, and the results that they show."""
    lab = [path for path in root.glob("chapters/lab/**/*") if path.is_file()]
    seen = [path for path in lab if path.parent.name != "__pycache__" and path.name != DRAWS]
    return [*sorted(root.glob("chapters/[0-9]*.ipynb")), *sorted(seen)]


def _requirements(wheel: Path) -> str:
    pins = [f"{name}=={metadata.version(name).split('+')[0]}" for name in PACKAGES]
    return "\n".join([f"./{wheel.name}", *pins]) + "\n"


def _student_wheel(root: Path, out: Path) -> Path:
    """Build the package without its instructor's side."""
    with tempfile.TemporaryDirectory(prefix="autograder-") as folder:
        copy = Path(folder) / "source"
        ignore = shutil.ignore_patterns("__pycache__", *KEPT_BACK)
        shutil.copytree(root / "autograder", copy / "autograder", ignore=ignore)
        project = (root / "pyproject.toml").read_text(encoding="utf-8")
        (copy / "pyproject.toml").write_text(PROVISIONER.sub("", project), encoding="utf-8")
        built = Path(folder) / "wheel"
        command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *command, "--wheel-dir", str(built), str(copy)],
            capture_output=True,
            text=True,
        )
        wheels = list(built.glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise Refused(f"The wheel could not be built: {done.stderr.strip()[-500:]}")
        _refuse_answers(wheels[0])
        return Path(shutil.copy(wheels[0], out))


def _refuse_answers(wheel: Path) -> None:
    """Whatever went wrong above: no wheel with an answer in it leaves this function."""
    with zipfile.ZipFile(wheel) as file:
        for name in file.namelist():
            if set(Path(name).parts) & set(KEPT_BACK):
                raise Refused(f"The students' wheel would hold {name}; it was not written.")
