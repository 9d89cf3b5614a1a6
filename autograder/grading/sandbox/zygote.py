"""The warm process: it has imported what kernels need, and forks one into a jail when asked.

`warm.Zygote` starts it. Its line is a Unix socket (SOCK_SEQPACKET). When the imports are done it
says "ready"; each message that comes is a job (JSON, see `warm.Zygote.fork`), answered with two
file descriptors: of the process that keeps the jail (a pidfd), and of a pipe on which that process
says how the kernel ended. The message may ask instead what is expected (see `warm.Zygote.expected`);
the answer is a pipe on which another fork says it. When the socket closes, the zygote ends, and
every kernel with it.

It has no other threads, makes no BLAS call, opens no ZeroMQ context: it must stay fit to be forked.
"""

import contextlib
import gc
import importlib
import itertools
import json
import os
import pickle
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator

from autograder.grading.sandbox import jail

# What a kernel imports when it starts, so that it need not. Without its debugger, which nobody uses
# here, and which would take half of the time.
LEFT_OUT = ("debugpy",)
KERNEL = (
    "faulthandler",
    "sqlite3",
    "tornado.platform.asyncio",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.debugger_backport",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "IPython.core.interactiveshell",
    "IPython.core.completer",
    "matplotlib_inline.backend_inline",
    "matplotlib.pyplot",
    "autograder.check",
    "autograder.grading.sandbox.kernel",
)
MANY = 16  # kernels: from here on it pays to make forks cheaper
LOOK = 0.2  # seconds between two looks at a jail
CROWD, NICE = 4, 19  # from how many tasks that run at once a jail waits for others, and how much
SOCKET = 1 << 19  # bytes: the most that waits in a socket, and what the system keeps of it


def main(fd: int, place: str, view: dict, libraries: list[str] | None) -> None:
    """fd: of the line; place: an empty folder for the jails' root, in which `view` is seen.

    libraries: to be imported; None: import nothing, only see whether there can be a jail.
    """
    why = ""
    try:
        jail.make_root(jail.View(**view), place)
    except OSError as error:
        why = error.strerror
    jail.be_opaque()
    gc.disable()  # nothing of what is imported is garbage
    if libraries is not None:
        _warm_up(libraries)
    # What is here for good is not looked at when a kernel collects garbage: each page that such a
    # look touches would be copied.
    gc.freeze()
    gc.enable()
    # A grader that was killed, or interrupted before we were ready, is one that has ended.
    with socket.socket(fileno=fd) as line, contextlib.suppress(ConnectionError):
        line.send(b"ready")
        for number in itertools.count(1):
            if not (job := line.recv(1 << 20)):
                break
            _bury(os.WNOHANG)
            if number == MANY:
                jail.use_large_pages()
            asked = json.loads(job)
            if "expected" in asked:
                _tell(line, asked)
            else:
                _fork(line, {**asked, "place": place, "no jail": why})
    # Keepers end their jails when we are gone, and need not be waited for.
    _bury(os.WNOHANG)


def _warm_up(libraries: list[str]) -> None:
    sys.modules.update(dict.fromkeys(LEFT_OUT))
    for name in (*KERNEL, *libraries):
        importlib.import_module(name)
    from autograder import frozen
    from autograder.exercise import registry

    _practise()
    for name in registry():  # what students have, too: read once, and not once a submission
        with contextlib.suppress(frozen.NoCases):
            frozen.load(name)


def _practise() -> None:
    """Set up IPython once and let it read a cell: what it keeps from that, each kernel has, too."""
    from ipykernel.zmqshell import ZMQInteractiveShell
    from traitlets.config import Config

    from autograder.grading.sandbox.kernel import SETTINGS

    hooks = sys.displayhook, sys.excepthook
    with tempfile.TemporaryDirectory() as folder:
        shell = ZMQInteractiveShell.instance(config=Config(SETTINGS), ipython_dir=folder)
        shell.transform_cell("def f(x):\n    return x\n")
    ZMQInteractiveShell.clear_instance()
    tempfile.tempdir = None  # in a jail it is another one
    sys.displayhook, sys.excepthook = hooks


def _bury(how: int) -> None:
    """Wait for keepers that have ended: the time that they and their kernels used becomes ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass


def _tell(line: socket.socket, asked: dict) -> None:
    """Have a process compute what is expected of submissions: there is no jail, and no submission."""
    read, write = os.pipe()
    zygote = os.getpid()
    if os.fork() == 0:
        status = 1
        try:
            jail.die_with_parent(zygote)
            from autograder.grading import live

            with open(write, "wb") as file:
                pickle.dump(live.all_expected(asked["expected"], asked["seed"]), file)
            status = 0
        except BrokenPipeError:
            pass  # who asked has ended
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    socket.send_fds(line, [b"asked"], [read])
    os.close(read)
    os.close(write)


def _fork(line: socket.socket, job: dict) -> None:
    ended, say = os.pipe()
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(ended)
            _keep(job, say, zygote)
            status = 0
        finally:
            os._exit(status)
    keeper = os.pidfd_open(pid)
    socket.send_fds(line, [b"forked"], [keeper, ended])
    for fd in (keeper, ended, say):
        os.close(fd)


def _keep(job: dict, say: int, zygote: int) -> None:
    """Keep one jail: start the kernel in it, watch its memory, say how it ended."""
    jail.die_with_parent(zygote)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    limits = jail.Limits(**job["limits"])
    jail.close_all_but([say])
    # A jail's own /proc becomes ours with its root: this one knows its processes by our numbers.
    processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    stand, tell = os.pipe()
    begin, release = os.pipe()
    watched = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        if job["no jail"]:
            raise jail.NoJail(0, job["no jail"])
        pid = jail.enter(
            job["place"], job["sockets"], limits, job["user"], lambda: _run_kernel(job, tell, begin)
        )
    except OSError as error:
        os.write(say, json.dumps({"how": f"no jail: {error.strerror}"}).encode())
        return
    os.close(tell)
    os.close(begin)
    if os.read(stand, 1):
        jail.close_sockets(job["user"])
        with contextlib.suppress(BrokenPipeError):
            os.write(release, b"!")
    os.close(stand)
    os.close(release)
    how = ""
    while True:
        gone, status, used = os.wait4(pid, os.WNOHANG)
        if gone:
            break
        came = signal.sigtimedwait(watched, LOOK)
        if came is not None and came.si_signo == signal.SIGINT:
            os.kill(pid, signal.SIGINT)
        elif came is not None and came.si_signo == signal.SIGTERM:
            how = how or "ended by us"
            os.kill(pid, signal.SIGKILL)
        elif came is None and not how:
            if _too_large(processes, pid, limits.memory):
                how = "memory"
                os.kill(pid, signal.SIGKILL)
            else:
                _calm(processes, pid)
    by = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "exit"
    report = {
        "how": how or by,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
    }
    os.write(say, json.dumps(report).encode())


def _too_large(processes: int, pid: int, limit: int) -> bool:
    """Whether the processes of a jail hold more than `limit` bytes by themselves, or the system for them.

    All that is resident is quickly known and is more; only where it is too much, it is worth a
    walk through all pages.
    """
    limit -= SOCKET * _sockets(processes, pid)
    if _memory(processes, pid, "status", ("VmRSS:", "VmSwap:", "VmPTE:")) <= limit:
        return False
    limit -= _memory(processes, pid, "status", ("VmPTE:",))
    return limit < _memory(processes, pid, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:", "SwapPss:"))


def _memory(processes: int, pid: int, table: str, rows: tuple[str, ...]) -> int:
    """Bytes in these rows of a table in /proc, for all processes of a jail; `pid` is the first."""
    total = 0
    for here, _ in _family(processes, pid):
        with contextlib.suppress(OSError, ValueError):  # it has just ended
            text = _text(processes, f"{here}/{table}")
            found = [row for row in text.splitlines() if row.startswith(rows)]
            total += sum(int(row.split()[1]) for row in found)
    return total * 1024


def _sockets(processes: int, pid: int) -> int:
    """How many sockets there are in a jail, which has a network of its own."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_text(processes, f"{pid}/net/sockstat").split()[2])  # "sockets: used 7"
    return 0


def _calm(processes: int, pid: int) -> None:
    """Where many tasks of a jail run at once, they wait for those of other jails from now on.

    All but the kernel's own first one, which must go on hearing what it is told.
    """
    tasks = [task for here, names in _family(processes, pid) for task in names]
    running = 0
    for task in tasks:
        with contextlib.suppress(OSError):
            running += _text(processes, f"{task}/stat").rpartition(") ")[2].startswith("R")
    if running > CROWD:
        for task in tasks:
            with contextlib.suppress(OSError):
                if int(task) != pid:
                    os.setpriority(os.PRIO_PROCESS, int(task), NICE)


def _family(processes: int, pid: int) -> Iterator[tuple[str, list[str]]]:
    """All processes of a jail, and the tasks of each; `pid` is the first.

    The others are all its descendants: an orphan in a pid namespace becomes a child of the first.
    """
    todo = [str(pid)]
    while todo:
        here, names = todo.pop(), []
        with contextlib.suppress(OSError):  # it has just ended
            tasks = os.open(f"{here}/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=processes)
            try:
                names = os.listdir(tasks)
            finally:
                os.close(tasks)
        for task in names:
            with contextlib.suppress(OSError):
                todo += _text(processes, f"{here}/task/{task}/children").split()
        yield here, names


def _text(processes: int, path: str) -> str:
    fd = os.open(path, os.O_RDONLY, dir_fd=processes)
    with open(fd, encoding="ascii", errors="replace") as file:
        return file.read()


def _run_kernel(job: dict, tell: int, begin: int) -> None:
    """In the jail: become an IPython kernel.

    When its sockets stand, it says so to `tell`, and begins when it hears from `begin`.
    """
    jail.close_all_but([tell, begin])
    if job["connection"] is None:  # it was only to be seen whether there can be a jail
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.environ.clear()
    os.environ.update(job["env"])
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(fd, mode) for fd, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv[:] = ["kernel"]
    sys.path[:0] = [""]
    with open("kernel.json", "w", encoding="utf-8") as file:
        json.dump(job["connection"], file)
    if "torch" in sys.modules:  # it has counted its threads when it was imported
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    from autograder.grading.sandbox import kernel  # imported when it was warmed up

    app = kernel.application(os.path.abspath("kernel.json"))
    app.initialize()
    os.write(tell, b"!")
    if not os.read(begin, 1):
        return
    os.close(tell)
    os.close(begin)
    app.start()
