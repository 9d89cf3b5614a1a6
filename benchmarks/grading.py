"""What grading costs: the same class with stock nbgrader and with `autograder grade`, in turn.

    python benchmarks/grading.py                         two assignments, a class of 10
    python benchmarks/grading.py --sizes 10 40 160       and how the cost grows
    python benchmarks/grading.py --stock 40 --rounds 3   larger classes for stock nbgrader, too

Run it from anywhere; it works in a temporary folder. Linux only, and alone on the machine. The exit
status is 1 where grades differ or where the CPU time of a known load was not seen.

The class is honest: model answers, and a known mistake in one exercise of every fourth student.
Stock nbgrader has its default configuration and kernel; there `check` compares in the student's own
process and returns the points. CPU seconds are user and system time of the command and of all that
it started, whoever their parents are: a process that outlives its parent becomes ours, and is
waited for. Memory is the largest sum of proportional set sizes that a look every quarter of a
second found.
"""

import argparse
import copy
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "exercises"
SEED = "271828"
# An assignment, a cell that every student has added, the largest share of stock's CPU time.
ASSIGNMENTS = {
    "02-backpropagation-through-time": ("", 1 / 5),
    "04-lstm": ("import torch, matplotlib.pyplot", 1 / 10),
}
LOOK = 0.25  # seconds between two looks at the memory
MEMORY = 1.5e9
SEEN = (0.75, 1.25)  # of a known load: who misses its jail or its orphan sees half of it
BURNT = 3.0  # CPU seconds of the known load, once in a jail and once in an orphan
STOCK_CONFIG = """\
c = get_config()
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "chapters"
c.CourseDirectory.submitted_directory = "class/submitted"
c.CourseDirectory.autograded_directory = "class/autograded"
"""
GRADE = {
    "stock": ["nbgrader", "autograde"],
    "ours": ["autograder.cli", "grade"],
}


@dataclass(frozen=True)
class Cost:
    """Of one command: seconds of CPU and of wall time, bytes of memory at the peak."""

    cpu: float
    wall: float
    memory: float


# What a command costs


def measure(command: list[str]) -> Cost:
    """Run a command and wait for all that it started. Raises CalledProcessError.

    The caller must have no other children: see `measured`.
    """
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "orphans cannot be waited for")
    began, peak = time.monotonic(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while True:
        try:
            process.wait(LOOK)
            break
        except subprocess.TimeoutExpired:
            peak = max(peak, sum(map(_memory, _descendants(os.getpid()))))
    wall = time.monotonic() - began
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(used.ru_utime + used.ru_stime, wall, peak)


def measured(command: list[str], folder: Path) -> Cost:
    """`measure` in a process of its own, in `folder`."""
    return Cost(**_ask("measure", *command, folder=folder))


def _ask(*arguments: str, folder: Path) -> dict:
    """Let a fresh process of this program do one of its parts. Raises SystemExit where it fails."""
    done = subprocess.run(
        [sys.executable, __file__, "--part", *arguments],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed in {folder}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _environment() -> dict[str, str]:
    """The same for both: this repository's package, our commands first, no one's settings."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOGRADER", "NBGRADER"))
    }
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **inherited,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "AUTOGRADER_HIDDEN_SEED": SEED,
    }


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    except OSError:
        pass  # it has just ended
    return found


def _memory(pid: int) -> float:
    """Bytes of a process; what it shares with others counts in parts."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return 1024 * next(float(row.split()[1]) for row in rows if row.startswith("Pss:"))
    except PermissionError:  # not root: then all of what it shares counts
        return resource.getpagesize() * float(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, StopIteration):
        return 0.0


def _cpu_of_descendants() -> float:
    """CPU seconds of all processes below this one, ended or not, to a hundredth."""
    total = 0
    for pid in _descendants(os.getpid()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


# The class


def new_course(folder: Path, assignment: str, config: str) -> None:
    """A course with one assignment, released, and known to its gradebook."""
    shutil.copytree(ROOT / "solutions" / assignment, folder / "solutions" / assignment)
    (folder / "chapters").mkdir()
    (folder / "class").mkdir()
    (folder / "nbgrader_config.py").write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", assignment]
    subprocess.run(command, cwd=folder, env=_environment(), check=True, capture_output=True)


def hand_in(folder: Path, assignment: str, extra: str, size: int) -> None:
    """A class of honest students. extra: the source of a cell that each of them has added."""
    import nbformat

    from autograder.exercise import find
    from autograder.grading import sample_class, wrong_answers
    from autograder.grading.course import exercise_of

    release, source = (
        nbformat.read(folder / place / assignment / f"{NOTEBOOK}.ipynb", as_version=4)
        for place in ("chapters", "solutions")
    )
    right = nbformat.reads(sample_class._hand_in("right", release, source), as_version=4)
    if extra:
        right.cells.insert(1, nbformat.v4.new_code_cell(extra, id="students-own"))
    exercises = [name for cell in source.cells if (name := exercise_of(cell))]
    for number in range(size):
        notebook = copy.deepcopy(right)
        if number % 4 == 3:
            name = exercises[number // 4 % len(exercises)]
            if mistakes := wrong_answers.sources(find(name)):
                for cell in notebook.cells:
                    if cell.metadata.get("nbgrader", {}).get("grade_id") == name:
                        cell.source = mistakes[number // 4 % len(mistakes)]
        path = folder / "class" / "submitted" / f"student-{number:03}" / assignment
        path.mkdir(parents=True)
        nbformat.write(notebook, path / f"{NOTEBOOK}.ipynb")


def scores(folder: Path, assignment: str) -> dict[str, dict[str, float]]:
    """From a course's gradebook: each student's points for each cell that is graded by itself."""
    from nbgrader.api import Gradebook

    path = folder / "class" / "gradebook.db"
    path = path if path.exists() else folder / "gradebook.db"
    with Gradebook(f"sqlite:///{path}") as gradebook:
        return {
            submission.student.id: {
                grade.name: grade.auto_score
                for notebook in submission.notebooks
                for grade in notebook.grades
                if grade.auto_score is not None
            }
            for submission in gradebook.assignment_submissions(assignment)
        }


# What is compared


def compare(
    assignment: str, size: int, rounds: int, workers: int, with_stock: bool, folder: Path
) -> dict:
    """Grade one class by both in turn. Returns the median costs and where the grades differ."""
    ours_config = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    configs = {"stock": STOCK_CONFIG, "ours": ours_config}
    names = ["stock", "ours"] if with_stock else ["ours"]
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    grades: dict[str, dict] = {}
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else names[::-1]:
            place = folder / f"{assignment}-{size}-{turn}-{name}"
            new_course(place, assignment, configs[name])
            hand_in(place, assignment, ASSIGNMENTS[assignment][0], size)
            command = [sys.executable, "-m", *GRADE[name], assignment]
            command += ["--workers", str(workers)] if name == "ours" else ["--log-level=ERROR"]
            costs[name].append(measured(command, place))
            grades[name] = scores(place, assignment)
    return {
        "assignment": assignment,
        "size": size,
        **{name: asdict(_median(found)) for name, found in costs.items()},
        "most": max(sum(row.values()) for row in grades["ours"].values()),
        "points": sum(sum(row.values()) for row in grades["ours"].values()),
        "students": len(grades["ours"]),
        "different": _differences(grades["stock"], grades["ours"]) if with_stock else [],
    }


def _median(costs: list[Cost]) -> Cost:
    columns = zip(*(asdict(cost).values() for cost in costs), strict=True)
    return Cost(*map(statistics.median, columns))


def _differences(one: dict, other: dict) -> list[str]:
    lines = []
    for student in sorted({*one, *other}):
        a, b = one.get(student, {}), other.get(student, {})
        for cell in sorted({*a, *b}):
            x, y = a.get(cell), b.get(cell)
            if x is None or y is None or abs(x - y) > 1e-6:
                lines.append(f"{student} {cell}: stock {x}, ours {y}")
    return lines


def known_load(folder: Path) -> float:
    """The share of a known load that is seen: 1.0 where the accounting is right."""
    command = [sys.executable, __file__, "--part", "burn"]
    loads = (0, BURNT, 0)  # what the rest costs varies by tenths of a second: before and after
    before, with_it, after = (measured([*command, str(load)], folder).cpu for load in loads)
    return (with_it - (before + after) / 2) / (2 * BURNT)


BURN = "import time\nwhile time.process_time() - {began} < {seconds}: pass"


def burn(seconds: float) -> None:
    """Use CPU time where it is easily lost: in a submission's jail, and in an orphan."""
    import nbformat

    from autograder.grading.job import Job, run

    cell = "import time; began = time.process_time()\n" + BURN.format(
        began="began", seconds=seconds
    )
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    run(Job("nobody", "nothing", nbformat.writes(nb), 1))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            began = time.process_time()
            while time.process_time() - began < seconds:
                pass
        os._exit(0)
    os.wait()


def floor(path: str) -> dict:
    """The cells of a submission alone: run by `exec` in a process forked from a warm one."""
    import importlib

    check = importlib.import_module("autograder.check")
    from autograder.exercise import registry

    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for name in ("numpy", "matplotlib.pyplot", *(("torch",) if "torch" in str(code) else ())):
        importlib.import_module(name)
    registry()
    os.environ[check.ANSWER_ONLY] = SEED
    check._emit = lambda bundle: None
    used = []
    for _ in range(7):
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            names: dict = {"__name__": "__main__"}
            for text in code:
                try:
                    exec(compile(text, "<cell>", "exec"), names)
                except Exception as error:
                    print(error, file=sys.stderr)
            os._exit(0)
        spent = os.wait4(pid, 0)[2]
        used.append(spent.ru_utime + spent.ru_stime)
    return {"cpu": statistics.median(used)}


def stages(assignment: str) -> dict:
    """CPU and wall seconds a submission of each stage, for the class in this folder.

    One submission after another, in one process that has graded one before.
    """
    import nbformat
    from nbgrader import utils
    from nbgrader.preprocessors import LimitOutput

    from autograder.grading import course as courses
    from autograder.grading import submission
    from autograder.grading.execution import Execute
    from autograder.grading.judging import Judge
    from autograder.grading.record import Recorder
    from autograder.grading.sanitise import rebuild

    root = Path.cwd()
    directory, config = courses.course(root), courses.settings(root)
    source = root / "solutions" / assignment / f"{NOTEBOOK}.ipynb"
    text = nbformat.writes(courses.released(source, config))
    spent: dict[str, list[float]] = {}

    def stage(name: str, work: Callable):
        cpu, wall = time.process_time() + _cpu_of_descendants(), time.monotonic()
        result = work()
        total = spent.setdefault(name, [0.0, 0.0])
        total[0] += time.process_time() + _cpu_of_descendants() - cpu
        total[1] += time.monotonic() - wall
        return result

    def execute(nb, only: int | None = None):
        step = Execute(seed=int(SEED), timeout=30, startup_timeout=120, iopub_timeout=20)
        step.shutdown_kernel, step.store_widget_state = "immediate", False
        if only is not None:
            checks = [cell for cell in nb.cells if courses.exercise_of(cell)]
            step._libraries = lambda: _libraries(checks)
            nb.cells = nb.cells[:only]
        with utils.setenv(NBGRADER_EXECUTION="autograde"):
            return step.preprocess(nb, {"metadata": {"name": assignment}, "unique_key": "x"})[0]

    def judged(nb):
        nb, resources = Judge(seed=int(SEED)).preprocess(nb, {})
        return nbformat.writes(LimitOutput().preprocess(nb, resources)[0])

    folders = sorted(root.glob(f"class/submitted/*/{assignment}"))
    with Recorder(directory, config) as record:
        for folder in [folders[0], *folders]:
            path = folder / f"{NOTEBOOK}.ipynb"
            nb = stage(
                "read, sanitise",
                lambda path=path: rebuild(nbformat.reads(text, 4), submission.read(path)),
            )
            stage("kernel", lambda nb=nb: execute(copy.deepcopy(nb), only=0))
            nb = stage("cells", lambda nb=nb: execute(nb))
            nb = stage("judge", lambda nb=nb: judged(nb))
            stage("record", lambda nb=nb, who=folder.parent.name: record(who, assignment, nb))
            if folder is folders[0] and "warm" not in spent:  # the first one only warms
                spent.clear()
                spent["warm"] = [0.0, 0.0]
    del spent["warm"]
    for column in (0, 1):  # the stage of the cells had a kernel to start, too
        spent["cells"][column] -= spent["kernel"][column]
    return {name: [seconds / len(folders) for seconds in both] for name, both in spent.items()}


def _libraries(checks: list) -> tuple[str, ...]:
    from autograder.exercise import find
    from autograder.grading.course import exercise_of

    return tuple(sorted({lib for cell in checks for lib in find(exercise_of(cell)).libraries}))


# What is printed


def report(found: dict) -> str:
    """All that was found, for people to read."""
    lines = [
        f"Of a known load, {found['known_load']:.0%} was seen (a jail, an orphan).",
        "",
        "assignment                       class | CPU s a submission    | wall s a submission   | peak MB",
        "                                       | stock   ours    ratio | stock   ours    ratio | stock  ours",
    ]
    for row in found["classes"]:
        size, ours, stock = row["size"], row["ours"], row.get("stock")
        cells = []
        for what in ("cpu", "wall"):
            mine = ours[what] / size
            if stock:
                theirs = stock[what] / size
                cells.append(f"{theirs:6.2f} {mine:6.2f} {theirs / mine:7.1f}x")
            else:
                cells.append(f"{'':6} {mine:6.2f} {'':8}")
        theirs = f"{stock['memory'] / 1e6:5.0f}" if stock else "     "
        lines.append(
            f"{row['assignment']:<32} {size:5} | {cells[0]} | {cells[1]} "
            f"| {theirs} {ours['memory'] / 1e6:5.0f}"
        )
    for name, parts in found["stages"].items():
        cpu, wall = (sum(both[i] for both in parts["spent"].values()) for i in (0, 1))
        lines += [
            "",
            f"{name}: one submission, after the start: {cpu:.3f} s CPU, {wall:.2f} s wall",
        ]
        lines += [
            f"  {stage:<16} {c:7.3f} s CPU {c / cpu:5.0%}   {w:6.3f} s wall {w / wall:5.0%}"
            for stage, (c, w) in parts["spent"].items()
        ]
        lines.append(
            f"  the floor (its cells alone, in a warm forked process): {parts['floor']:.3f} s CPU"
        )
    lines += ["", *(f"{'met ' if met else 'NOT '} {what}" for what, met in targets(found))]
    return "\n".join(lines)


def targets(found: dict) -> list[tuple[str, bool]]:
    """What grading must reach, and whether it did."""
    seen = found["known_load"]
    results = [(f"the accounting is right: {seen:.1%} of a known load", _accounted(seen))]
    for name in dict.fromkeys(row["assignment"] for row in found["classes"]):
        rows = [row for row in found["classes"] if row["assignment"] == name]
        compared = [row for row in rows if "stock" in row]
        different = [line for row in compared for line in row["different"]]
        graded = sum(row["students"] for row in compared)
        what = f"{name}: the grades of {graded} submissions are identical"
        results.append(("; ".join([what, *different[:5]]), not different and graded > 0))
        stock = compared[-1]["stock"]["cpu"] / compared[-1]["size"]
        for row in rows:
            share, most = row["ours"]["cpu"] / row["size"] / stock, ASSIGNMENTS[name][1]
            what = f"{name}, {row['size']}: 1/{1 / share:.1f} of stock's CPU (at most 1/{1 / most:.0f})"
            results.append((what, share <= most))
        small, large = rows[0], rows[-1]
        if large["size"] > small["size"]:
            a, b = (row["ours"]["cpu"] / row["size"] for row in (small, large))
            more = (large["ours"]["cpu"] - small["ours"]["cpu"]) / (large["size"] - small["size"])
            what = (
                f"{name}: {b:.3f} s CPU a submission of {large['size']}, {a:.3f} of "
                f"{small['size']}; each further one {more:.3f}"
            )
            results.append((what, b <= a))
        peak = max(row["ours"]["memory"] for row in rows)
        results.append((f"{name}: {peak / 1e6:.0f} MB at the peak", peak < MEMORY))
    return results


def _accounted(seen: float) -> bool:
    return SEEN[0] < seen < SEEN[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10], help="of the class")
    parser.add_argument("--stock", type=int, default=10, help="largest class for stock nbgrader")
    parser.add_argument("--rounds", type=int, default=1, help="how often; medians are printed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--assignments", nargs="+", choices=ASSIGNMENTS, default=[*ASSIGNMENTS])
    parser.add_argument("--json", type=Path, help="also write all that was found to this file")
    options = parser.parse_args()
    sizes = sorted(options.sizes)
    found: dict = {"classes": [], "stages": {}}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        found["known_load"] = known_load(folder)
        for assignment in options.assignments:
            for size in sizes:
                with_stock = size <= max(options.stock, sizes[0])
                print(f"{assignment}, a class of {size} ...", file=sys.stderr)
                row = compare(assignment, size, options.rounds, options.workers, with_stock, folder)
                found["classes"].append(row)
            place = folder / f"{assignment}-{sizes[0]}-0-ours"
            path = place / "class" / "submitted" / "student-000" / assignment
            found["stages"][assignment] = {
                "spent": _ask("stages", assignment, folder=place),
                "floor": _ask("floor", str(path / f"{NOTEBOOK}.ipynb"), folder=place)["cpu"],
            }
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(report(found))
    right = all(not row["different"] for row in found["classes"])
    return 0 if right and _accounted(found["known_load"]) else 1


def part(name: str, arguments: list[str]) -> None:
    """One part of the benchmark, in a process of its own; its last line of output is JSON."""
    if name == "measure":
        print(json.dumps(asdict(measure(arguments))))
    elif name == "burn":
        burn(float(arguments[0]))
    elif name == "stages":
        print(json.dumps(stages(arguments[0])))
    elif name == "floor":
        print(json.dumps(floor(arguments[0])))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        part(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
