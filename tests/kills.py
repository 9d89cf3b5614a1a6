"""`autograder grade`, of which processes are killed at chosen moments; run by test_grade.py.

    python tests/kills.py FOLDER ARGUMENT...

FOLDER/kills.json holds a list of kills. At each a file FOLDER/struck-NUMBER is written, so that it
comes once, however often the command is run. There are two kinds of them:

{"who": "client" or "a worker" or FILE, "at": [KIND, N, TURNS]} strikes by the client's own clock:
what it does. KIND is "import", a module that it loads, or "record", something that it does to the
gradebook or to the graded notebooks; after the Nth of these, and then TURNS turns of its event
loop, or when the next of these comes, one is killed. FILE holds the number of a process, and
"signal" may say by which signal it ends.

{"who": "worker", "kernel", "keeper" or "zygote", "student": ..., "call": N} strikes by the clock of
that student's submission: at the Nth function that the worker calls for it; for all but the worker,
the Nth since there is a kernel.

Without a kills.json nobody is killed, and FOLDER/clocks.json says what there is to draw from.
"""

import atexit
import json
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that a process has started, or come to."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        pass  # it has just ended
    return found


def lives(pid: int) -> bool:
    """Whether there is such a process, and it has not ended: one can have, and be kept in a list."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def strike(mark: Path, found: list[int], by: int = signal.SIGKILL) -> bool:
    """Kill those of them that live, if that has not been done; whether it is done now.

    The mark comes first: one of them may be the caller.
    """
    victims = [pid for pid in found if lives(pid)]
    if not victims:
        return False
    try:
        with open(mark, "x", encoding="ascii") as file:
            file.write(" ".join(map(str, victims)))
    except FileExistsError:
        return True
    try:
        for pid in victims:
            os.kill(pid, by)
    except ProcessLookupError:  # a miss
        mark.unlink()
        return False
    return True


# The client's clock


class Clock:
    """Counts what the client does; strikes when it is time."""

    def __init__(self, folder: Path, kills: dict[Path, dict] | None):
        self._folder, self._pending = folder, {}
        for mark, kill in (kills or {}).items():
            kind, number, turns = kill["at"]
            self._pending[mark] = {"kill": kill, "kind": kind, "before": number, "turns": turns}
        self._lock, self._busy = threading.RLock(), False
        self._counts = {"import": 0, "record": 0}
        self._ticks: list[tuple] = []
        self._began, self._last, self._turns = time.monotonic(), "", 0
        self._born = None  # when there was a worker
        self._keeps = kills is None

    def tick(self, kind: str) -> None:
        """Something of that kind happens: "import", "record" or "turn"."""
        with self._lock:
            if self._busy:  # it is the clock that does this
                return
            self._busy = True
            for mark, pending in list(self._pending.items()):
                self._look(mark, pending, kind)
            if self._keeps:
                self._keep(kind)
            self._busy = False

    def _look(self, mark: Path, pending: dict, kind: str) -> None:
        if pending["before"]:
            pending["before"] -= kind == pending["kind"]
        elif kind == "turn":
            pending["turns"] -= 1
        else:
            pending["turns"] = 0
        if not pending["before"] and pending["turns"] <= 0:
            self._strike(mark, pending["kill"])

    def _strike(self, mark: Path, kill: dict) -> None:
        who = kill["who"]
        if who == "client":
            victims = [os.getpid()]
        elif who == "a worker":
            victims = self._workers()[:1]
        else:
            victims = [int(Path(who).read_text())]
        if strike(mark, victims, kill.get("signal", signal.SIGKILL)):
            del self._pending[mark]

    def _workers(self) -> list[int]:
        """Those on this machine, which the client has started."""
        return [pid for pid in children(os.getpid()) if b"spawn_main" in _command(pid)]

    def _keep(self, kind: str) -> None:
        if kind == "turn":
            self._turns += 1
        else:
            self._last, self._turns = kind, 0
            self._counts[kind] += 1
        if self._last:
            at = [self._last, self._counts[self._last], self._turns]
            self._ticks.append((time.monotonic() - self._began, at))
        if self._born is None and kind == "turn" and self._workers():
            self._born = time.monotonic() - self._began

    def end(self) -> None:
        """The last moment of all, for what is not yet done."""
        for mark, pending in list(self._pending.items()):
            if pending["kill"]["who"] == "client":
                self._strike(mark, pending["kill"])
        if self._keeps:
            calls = {
                path.name.removeprefix("calls-"): json.loads(path.read_text())
                for path in self._folder.glob("calls-*")
            }
            said = {"ticks": self._ticks, "born": self._born, "calls": calls}
            (self._folder / "clocks.json").write_text(json.dumps(said))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def listen(clock: Clock) -> None:
    """Let the clock hear what this process does."""

    def hear(name: str, arguments: tuple) -> None:
        if name == "import":
            clock.tick("import")
            return
        touched = str(arguments[0]) if name in ("open", "os.rename", "os.mkdir") else ""
        if "/autograded/" in touched and (name != "open" or "w" in str(arguments[1])):
            clock.tick("record")

    sys.addaudithook(hear)

    from asyncio import BaseEventLoop

    from sqlalchemy import Engine, event

    for name in ("after_cursor_execute", "commit"):
        event.listen(Engine, name, lambda *_: clock.tick("record"))
    original = BaseEventLoop._run_once

    def run_once(loop) -> None:
        clock.tick("turn")
        original(loop)

    BaseEventLoop._run_once = run_once


# A submission's clock


def run_and_kill(job, folder: Path, kills: dict[Path, dict] | None) -> str:
    """What a worker does instead of `run`: the same, but at that moment somebody dies."""
    from autograder.grading import job as jobs
    from autograder.grading.sandbox import provisioner

    due = {mark: kill for mark, kill in (kills or {}).items() if kill["student"] == job.student}
    if kills is not None and not due:
        return jobs.run(job)
    calls, launched, ended = 0, 0, 0  # the last two: while there is a kernel
    keeper = -1  # of the kernel's jail

    def victims(who: str) -> list[int]:
        if who == "worker":
            return [os.getpid()]
        if who == "zygote":
            return [warm._process.pid for warm in provisioner._zygotes.values()]
        keeps = _process(keeper)
        return [keeps] if who == "keeper" else children(keeps)

    def look(late: tuple[str, ...] = ()) -> None:
        for mark, kill in list(due.items()):
            who = kill["who"]
            since = calls if who == "worker" else calls - launched if launched else 0
            if (since >= kill["call"] or who in late) and strike(mark, victims(who)):
                del due[mark]

    def count(frame, what: str, _) -> None:
        nonlocal calls, launched, ended, keeper
        if what == "call":
            calls += 1
            if calls % 10 == 0:  # to look at the machine's processes takes its time
                look()
        if frame.f_code.co_filename == provisioner.__file__:
            if (what, frame.f_code.co_name) == ("return", "launch_kernel"):
                launched, keeper = launched or calls, frame.f_locals["self"].jailed.keeper
            elif (what, frame.f_code.co_name) == ("call", "kill"):  # all is done
                ended = calls
                look(late=("kernel", "keeper", "zygote"))

    sys.setprofile(count)
    try:
        done = jobs.run(job)
    finally:
        sys.setprofile(None)
    look(late=("worker",))
    if kills is None:
        (folder / f"calls-{job.student}").write_text(json.dumps([calls, ended - launched]))
    return done


def _process(descriptor: int) -> int:
    """The process that a pidfd stands for; -1 where there is none any more."""
    try:
        rows = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    except OSError:
        return -1
    return next((int(row.split()[1]) for row in rows if row.startswith("Pid:")), -1)


def main(folder: str, *arguments: str) -> int:
    place = Path(folder)
    kills: dict[Path, dict] | None = None
    if (place / "kills.json").exists():
        listed = enumerate(json.loads((place / "kills.json").read_text()))
        marks = {place / f"struck-{number}": kill for number, kill in listed}
        kills = {mark: kill for mark, kill in marks.items() if not mark.exists()}
    ours = kills and {mark: kill for mark, kill in kills.items() if "at" in kill}
    theirs = kills and {mark: kill for mark, kill in kills.items() if "call" in kill}
    clock = Clock(place, ours)
    atexit.register(clock.end)
    listen(clock)

    from autograder import cli
    from autograder.grading import farm

    farm.REACH = 5  # whatever is reached here is on this machine
    if theirs != {}:
        farm.run = partial(run_and_kill, folder=place, kills=theirs)
    return cli.main(["grade", *arguments])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
