"""`autograder grade`, of which one process is killed at a chosen moment; run by test_grade.py.

    python tests/kills.py WHO WHEN MARK ARGUMENT...

WHO: "client", killed at the WHENth thing that it does to the gradebook or to the graded notebooks;
or "worker", "kernel", "keeper", "zygote", killed when the worker is at the cell that WHEN says:
STUDENT:CELL:before, STUDENT:CELL:after; or "nobody". MARK: a file that is written at that moment,
so that it comes once; for "nobody" it holds how many things the client did.
"""

import os
import signal
import sys
from pathlib import Path

from sqlalchemy import Engine, event


def children(pid: int) -> list[int]:
    """The processes that a process has started, or come to."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        pass  # it has just ended
    return found


def kill_client(when: int, mark: str) -> None:
    """Count what is done to the gradebook and to files; at the `when`th, end at once."""
    done = 0

    def count(*_) -> None:
        nonlocal done
        done += 1
        if done == when:
            os.kill(os.getpid(), signal.SIGKILL)
        if not when:
            Path(mark).write_text(str(done))

    def hear(name: str, arguments: tuple) -> None:
        touched = str(arguments[0]) if name in ("open", "os.rename", "os.mkdir") else ""
        if "/autograded/" in touched and (name != "open" or "w" in str(arguments[1])):
            count()

    for name in ("after_cursor_execute", "commit"):
        event.listen(Engine, name, count)
    sys.addaudithook(hear)


def run_and_kill(job, who: str, when: str, mark: str) -> str:
    """What a worker does instead of `run`: the same, but at that moment somebody dies."""
    from autograder.grading import job as jobs
    from autograder.grading.execution import Execute
    from autograder.grading.sandbox import provisioner

    student, cell, moment = when.split(":")
    original = Execute.preprocess_cell

    def strike() -> None:
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        zygotes = [warm._process.pid for warm in provisioner._zygotes.values()]
        keepers = [child for pid in zygotes for child in children(pid)]
        kernels = [child for pid in keepers for child in children(pid)]
        victims = {"worker": [os.getpid()], "zygote": zygotes, "keeper": keepers}
        for pid in victims.get(who, kernels):
            os.kill(pid, signal.SIGKILL)

    def preprocess_cell(self, found, resources, index):
        if (index, moment) == (int(cell), "before"):
            strike()
        done = original(self, found, resources, index)
        if (index, moment) == (int(cell), "after"):
            strike()
        return done

    if job.student != student:
        return jobs.run(job)
    Execute.preprocess_cell = preprocess_cell
    try:
        return jobs.run(job)
    finally:
        Execute.preprocess_cell = original


def main(who: str, when: str, mark: str, *arguments: str) -> int:
    from functools import partial

    from autograder import cli
    from autograder.grading import farm

    if who in ("client", "nobody"):
        kill_client(int(when), mark)
    else:
        farm.run = partial(run_and_kill, who=who, when=when, mark=mark)
    return cli.main(["grade", *arguments])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
