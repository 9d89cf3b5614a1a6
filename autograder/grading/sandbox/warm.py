"""The grader's end of the warm process: start it, and ask it for kernels."""

import csv
import errno
import importlib.metadata
import itertools
import json
import os
import select
import signal
import site
import socket
import subprocess
import sys
import sysconfig
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import autograder
from autograder.files import ONE_THREAD
from autograder.grading.once import once
from autograder.grading.sandbox.jail import WORK, Limits, View

FIRST_USER, USERS = 61000, 1000  # real users outside, one a jail, where the grader is root
ENVIRONMENT = {
    "HOME": WORK,
    "TMPDIR": WORK,
    "USER": "student",
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "IPYTHONDIR": f"{WORK}/.ipython",
    "MPLCONFIGDIR": f"{WORK}/.matplotlib",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONDONTWRITEBYTECODE": "1",
    **ONE_THREAD,
}
ALWAYS = ("ipykernel", "numpy", "matplotlib", "matplotlib-inline")
_users = itertools.count(37 * os.getpid())  # another grader on this machine begins elsewhere
PACKAGE = Path(autograder.__file__).parent
# The warm process has the same copies of all packages as we have, whatever else is installed.
START = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from autograder.grading.sandbox.zygote import main
main(**json.loads(sys.argv[2]))
"""
SECRET = ("grading", "reference", "mistakes")  # what the student's edition has not


@dataclass
class Jailed:
    """A kernel in its jail. keeper: pidfd of the process that keeps it; ended: says how it ended."""

    keeper: int
    ended: int

    @property
    def alive(self) -> bool:
        return self.keeper >= 0 and not select.select([self.keeper], [], [], 0)[0]

    def signal(self, number: int) -> None:
        """SIGINT goes on to the kernel; anything else ends it and all it started."""
        if self.alive:
            number = number if number == signal.SIGINT else signal.SIGTERM
            signal.pidfd_send_signal(self.keeper, number)

    def wait(self, seconds: float) -> None:
        """Give it time to end by itself."""
        if self.keeper >= 0:
            select.select([self.keeper], [], [], seconds)

    def close(self) -> dict:
        """End it, if it has not ended. Returns what its keeper says of it.

        how: "exit", "signal 9", "memory", "ended by us", "no jail: ..."; cpu: seconds; memory: the
        largest resident size of its first process, in bytes. Empty where the keeper was killed.
        """
        if self.keeper < 0:
            return {}
        self.signal(signal.SIGTERM)
        if not select.select([self.keeper], [], [], 5)[0]:
            signal.pidfd_send_signal(self.keeper, signal.SIGKILL)
        said = os.read(self.ended, 4096) if select.select([self.ended], [], [], 1)[0] else b""
        os.close(self.keeper)
        os.close(self.ended)
        self.keeper = self.ended = -1
        return json.loads(said) if said else {}


class Zygote:
    """A warm process in which `libraries` are imported. Start one for each set of libraries.

    place: an empty folder of its own. A bare one has imported nothing; it shows whether there can be
    a jail.
    """

    def __init__(self, place: Path, libraries: tuple[str, ...] = (), bare: bool = False):
        view = view_of(libraries)
        self._place, self._lost = place, False
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    START,
                    json.dumps(paths()),
                    json.dumps(
                        {
                            "fd": theirs.fileno(),
                            "place": str(place),
                            "view": asdict(view),
                            "libraries": None if bare else libraries,
                        }
                    ),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={
                    **ENVIRONMENT,
                    "HOME": "/nonexistent",
                    "TMPDIR": "/tmp",
                    "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", ""),
                },
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the grader, which then ends it
            )
        self._line = ours
        if ours.recv(100) != b"ready":
            raise RuntimeError("the warm process did not start")

    def fork(
        self,
        connection: dict | None,
        sockets: Path,
        environment: dict,
        limits: Limits,
    ) -> Jailed:
        """A new kernel. connection: as in a connection file, with paths as seen inside; None: only
        make a jail, and end."""
        with self._lock:
            user = _next_user(sockets) if os.geteuid() == 0 else None
            job = {
                "connection": connection,
                "sockets": str(sockets),
                "env": {**ENVIRONMENT, **environment},
                "limits": asdict(limits),
                "user": user,
            }
            return Jailed(*self._ask(job, 2))

    def expected(self, names: tuple[str, ...], seed: int) -> bytes:
        """What `live.all_expected` returns, pickled; less than that where its process was killed.

        Raises OSError where this one has died.
        """
        with self._lock:
            (answer,) = self._ask({"expected": names, "seed": seed}, 1)
        with open(answer, "rb") as file:
            return file.read()

    def _ask(self, job: dict, most: int) -> list[int]:
        """The descriptors that it answers with. Raises OSError where it has died."""
        try:
            self._line.send(json.dumps(job).encode())
            said, found, _, _ = socket.recv_fds(self._line, 100, most)
            if not said:
                raise ConnectionResetError("the warm process has ended")
        except OSError:
            self._lost = True  # the system may not yet say that it is dead
            raise
        return found

    @property
    def alive(self) -> bool:
        """Whether it can be asked; where its folder was removed, so was what jails see."""
        return not self._lost and self._process.poll() is None and self._place.is_dir()

    def close(self) -> None:
        """End it, and every kernel that it has forked."""
        self._line.close()
        self._process.wait(10)


def _next_user(sockets: Path) -> int | None:
    """A real user for a jail, who then owns `sockets`; None where root is one in name only.

    In a user namespace, as in many containers, there may be no other users.
    """
    user = FIRST_USER + next(_users) % USERS
    try:
        os.chown(sockets, user, user)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return None
    return user


def paths() -> list[str]:
    """Where modules are searched for, with this package's place for certain."""
    found = [path for path in sys.path if os.path.isabs(path)]
    return found if str(PACKAGE.parent) in found else [str(PACKAGE.parent), *found]


@once
def view_of(libraries: tuple[str, ...]) -> View:
    """What a submission sees: Python, the student's edition, and these libraries with their needs.

    NumPy, matplotlib and the kernel are always there. Other installed packages are not: who may
    not use a library cannot import it.
    """
    system = ("/usr", "/bin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache")
    seen = {path for path in system if os.path.lexists(path)}
    seen |= {
        path
        for path in (sysconfig.get_path("stdlib"), sys.base_prefix)
        if not path.startswith("/usr/") or path.startswith("/usr/local")
    }
    places = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    places |= {sysconfig.get_path(kind, vars=base) for kind in ("purelib", "platlib")}
    places |= {path for path in site.getsitepackages() if os.path.isdir(path)}
    seen |= {str(path) for path in _packages((*ALWAYS, *libraries))}
    seen.add(str(PACKAGE))
    hidden = {*places, "/usr/local", "/usr/lib/python3", *(str(PACKAGE / name) for name in SECRET)}
    return View(tuple(sorted(seen)), tuple(sorted(hidden)))


def _packages(names: tuple[str, ...]) -> set[Path]:
    """Where these distributions, and all that they need, lie: the top of each."""
    done: set[str] = set()
    found: set[Path] = set()
    todo = list(names)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in done:
            continue
        done.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found |= {Path(distribution.locate_file(top)) for top in _tops(distribution)}
        for text in distribution.requires or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                todo.append(need.name)
    return {path for path in found if path.exists()}


def _tops(distribution: importlib.metadata.Distribution) -> set[str]:
    """The first parts of the paths of its files, but for what lies elsewhere.

    `distribution.files` has them, too, but takes ten times as long.
    """
    record = distribution.read_text("RECORD")
    if record is None:
        tops = {file.parts[0] for file in distribution.files or ()}
    else:
        tops = {row.lstrip('"').partition("/")[0] for row in record.splitlines()}
        tops = {next(csv.reader([top]))[0] if "," in top else top for top in tops if top}
    return {top for top in tops if top not in ("..", "")}
