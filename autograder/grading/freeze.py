"""Write the frozen public cases from the live references and mistakes."""

from autograder import frozen
from autograder.exercise import Exercise, registry
from autograder.grading import live
from autograder.plain import identical
from autograder.verdict import judge


def freeze(names: list[str] | None = None) -> list[str]:
    """Write the cases of these exercises (None: of all). Returns the names whose file changed.

    Files of exercises that are no more are removed. A file whose contents are still right, within
    the exercise's tolerance, stays as it is, so that another machine's last bits change nothing.
    """
    changed = []
    frozen.FOLDER.mkdir(exist_ok=True)
    for exercise in registry().values():
        if names and exercise.name not in names:
            continue
        if not stale(exercise):
            continue
        text = frozen.dump(exercise, live.expected(exercise.name))
        (frozen.FOLDER / f"{exercise.name}.json").write_text(text, encoding="utf-8")
        changed.append(exercise.name)
    if not names:
        for path in frozen.FOLDER.glob("*.json"):
            if path.stem not in registry():
                path.unlink()
                changed.append(path.stem)
    frozen.load.cache_clear()
    return changed


def stale(exercise: Exercise) -> str:
    """Why the frozen cases of an exercise are not what freezing would write now, or ""."""
    now = live.expected(exercise.name)
    try:
        then = frozen.load(exercise.name)
    except frozen.NoCases as error:
        return str(error)
    same_cases = len(then.cases) == len(now.cases) and all(
        (a.name, a.kind) == (b.name, b.kind)
        and identical(a.inputs, b.inputs)
        and identical(a.truth, b.truth)
        for a, b in zip(then.cases, now.cases, strict=True)
    )
    if not same_cases:
        return f"The cases of {exercise.name} are not those that its generator makes."
    if not judge(exercise, then, now.reference).passed:
        return f"The reference of {exercise.name} answers otherwise than its frozen cases say."
    if list(then.mistakes) != list(now.mistakes):
        return f"The frozen cases of {exercise.name} hold other mistakes than are declared."
    for name, answers in live.mistaken(exercise, list(now.cases)).items():
        found = judge(exercise, then, answers).diagnosis
        if found != (name,):
            return f"The mistake {name} of {exercise.name} answers otherwise than its frozen cases."
    return ""
