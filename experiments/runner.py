"""Do the runs of an experiment, some at a time, and write down what they found."""

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
RESULTS = HERE.parent / "chapters" / "lab" / "results"
_FRAME = ("__init__", "__main__", "runner")


def names() -> list[str]:
    """All experiments."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in _FRAME)


def experiment(name: str) -> ModuleType:
    return importlib.import_module(f"experiments.{name}")


def reduced(module: ModuleType) -> dict:
    """The settings of the run of seconds. Raises ValueError where it names what there is not."""
    unknown = sorted(set(module.REDUCED) - set(module.SETTINGS))
    if unknown:
        raise ValueError(f"{module.__name__}: REDUCED has {unknown}, SETTINGS has not.")
    return {**module.SETTINGS, **module.REDUCED}


def compute(name: str, settings: dict, workers: int = 1, show: bool = False) -> list[dict]:
    """All runs, in their order: what was asked, under `run`, and what was found."""
    asked = experiment(name).runs(settings)
    found: dict[int, dict] = {}
    began = time.monotonic()
    with ProcessPoolExecutor(workers, get_context("spawn"), _alone) as pool:
        todo = {pool.submit(_do, name, settings, one): at for at, one in enumerate(asked)}
        for done in as_completed(todo):
            found[todo[done]] = done.result()
            if show:
                _progress(name, len(found), len(asked), time.monotonic() - began)
    return [{"run": one, "found": found[at]} for at, one in enumerate(asked)]


def record(name: str, workers: int = 1) -> Path:
    """Do an experiment, whole and reduced, and write its results. Returns the file's path.

    What needs another machine than this one says so in a line, and what such a machine has found stays.
    """
    module = experiment(name)
    path = RESULTS / f"{name}.json"
    lacks = module.lacking() if hasattr(module, "lacking") else ""
    if lacks:
        print(f"{name}: {lacks}; nothing is measured.", file=sys.stderr, flush=True)
    result = {
        "question": (module.__doc__ or "").strip().splitlines()[0],
        "versions": versions(),
        "settings": module.SETTINGS,
        "runs": compute(name, module.SETTINGS, workers, show=not lacks),
        "reduced": compute(name, reduced(module), workers),
    }
    if lacks and _holds_more(path, result):
        return path
    RESULTS.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(_text(result), encoding="utf-8")
    fresh.replace(path)
    return path


def _holds_more(path: Path, result: dict) -> bool:
    """Whether there are results of the same settings in which something else was found."""
    if not path.is_file():
        return False
    stored = json.loads(path.read_text(encoding="utf-8"))
    same = stored["settings"] == json.loads(json.dumps(result["settings"]))
    return same and stored["runs"] != result["runs"]


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    import numpy as np
    import torch

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__.partition("+")[0],
    }


def _alone() -> None:
    """One thread a process: faster side by side, and the same sums in the same order."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def _do(name: str, settings: dict, one: dict) -> dict:
    return json.loads(json.dumps(experiment(name).run(settings, **one), allow_nan=False))


def _progress(name: str, done: int, of: int, seconds: float) -> None:
    bar = "#" * (30 * done // of)
    left = seconds / done * (of - done)
    line = f"{name:24} [{bar:30}] {done}/{of}  {left / 60:.1f} min left"
    print(f"\r{line}", end="\n" if done == of else "", file=sys.stderr, flush=True)


def _text(result: dict) -> str:
    """JSON with a line for each run, so that a change shows as the runs that changed."""
    lines = []
    for key, value in result.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row, allow_nan=False)}" for row in value)
            lines.append(f"{json.dumps(key)}: [\n{rows}\n ]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def differences(expected: object, found: object, measured: tuple[str, ...] = ()) -> Iterator[str]:
    """Where two results differ by more than another machine's rounding does; `measured` may."""
    yield from _differences("", expected, found, measured)


def _differences(where: str, a: object, b: object, measured: tuple[str, ...]) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            if key not in measured:
                yield from _differences(f"{where}.{key}", a[key], b[key], measured)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for at, (left, right) in enumerate(zip(a, b, strict=True)):
            yield from _differences(f"{where}[{at}]", left, right, measured)
    elif isinstance(a, float) and isinstance(b, (int, float)):
        if abs(a - b) > 1e-3 * max(1.0, abs(a)):
            yield f"{where}: {a} was {b}"
    elif a != b:
        yield f"{where}: {a!r} was {b!r}"
