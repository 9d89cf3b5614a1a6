"""What a jailed kernel sees of the machine, what it may use of it, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from queue import Empty

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

import autograder
from autograder.check import ANSWER_ONLY
from autograder.grading.sandbox import jail, provisioner, warm

WHY = provisioner.no_isolation()
# Where tests must tell the truth, they fail.
pytestmark = pytest.mark.skipif(
    bool(WHY) and "CI" not in os.environ, reason=f"no jails here: {WHY}"
)

PACKAGE = Path(autograder.__file__).parent
ROOT = PACKAGE.parent
SMALL = {"memory": 300 * 2**20, "disk": 8 * 2**20, "processes": 24}
LONG = 60  # seconds after which a test gives up; none of them waits for it


class Kernel:
    """A kernel in a jail of its own."""

    def __init__(self, env: dict[str, str] | None = None, **config):
        self.manager = KernelManager()
        self.manager._kernel_spec = KernelSpec(
            display_name="a submission",
            language="python",
            metadata={
                "kernel_provisioner": {"provisioner_name": provisioner.NAME, "config": config}
            },
        )
        self.manager.start_kernel(env={**os.environ, **(env or {})})
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LONG)

    def run(self, code: str) -> str:
        """What the code prints, or how it fails."""
        said: list[str] = []

        def hook(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
            elif message["msg_type"] == "error":
                said.append(f"{content['ename']}: {content['evalue']}")

        self.client.execute_interactive(code, timeout=LONG, output_hook=hook, allow_stdin=False)
        return "".join(said)

    def value(self, expression: str):
        """The value of an expression, through JSON."""
        said = self.run(f"import json, os, socket, sys; print(json.dumps({expression}))")
        try:
            return json.loads(said)
        except ValueError:
            raise AssertionError(said) from None

    def how_it_ended(self) -> dict:
        """Wait until it has ended; what its keeper says of it."""
        jailed = self.manager.provisioner.jailed
        jailed.wait(LONG)
        assert not jailed.alive
        return jailed.close()

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@contextmanager
def kernel(**options):
    started = Kernel(**options)
    try:
        yield started
    finally:
        started.end()


@pytest.fixture(scope="module")
def inside():
    with kernel(env={ANSWER_ONLY: "7"}) as started:
        yield started


def tasks(session_of: int) -> list[int]:
    """All processes below one, as this machine sees them."""
    found, todo = [], [session_of]
    while todo:
        here = todo.pop()
        found.append(here)
        for path in Path(f"/proc/{here}/task").glob("*/children"):
            todo += [int(pid) for pid in path.read_text().split()]
    return found


def keeper_of(started: Kernel) -> int:
    info = Path(f"/proc/self/fdinfo/{started.manager.provisioner.jailed.keeper}").read_text()
    return int(info.split("Pid:")[1].split()[0])


# What it sees


def test_only_python_the_system_and_the_students_edition_are_there(inside):
    top = set(inside.value("os.listdir('/')"))
    assert {"jail", "proc", "dev", "tmp", "usr"} <= top
    assert not top & {"home", "mnt", "media", "srv", "boot", "var", "run", "sys", "old", "class"}


@pytest.mark.parametrize("name", ["reference", "mistakes", "grading"])
def test_the_answers_are_not_there(inside, name):
    assert list((PACKAGE / name).iterdir())
    assert inside.value(f"os.listdir({str(PACKAGE / name)!r})") == []
    said = inside.run(f"import autograder.{name}.live, autograder.{name}.gru")
    assert "ModuleNotFoundError" in said


@pytest.mark.parametrize("name", ["solutions", "class", "tests", "nbgrader_config.py", ".git"])
def test_the_course_is_not_there(inside, name):
    assert not inside.value(f"os.path.lexists({str(ROOT / name)!r})")


def test_the_home_directory_and_temporary_files_are_not_there(inside, tmp_path):
    (tmp_path / "mine").write_text("a secret")
    for path in (
        tmp_path,
        Path.home() / ".ssh",
        Path.home() / ".bashrc",
        "/etc/passwd",
        "/etc/shadow",
    ):
        assert not inside.value(f"os.path.lexists({str(path)!r})"), path


def test_nothing_of_the_grader_is_in_its_environment(monkeypatch):
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.setenv("AUTOGRADER_DATABASE", "postgresql://grader:password@host/book")
    with kernel(env={ANSWER_ONLY: "7", "AUTOGRADER_HIDDEN_SEED": "8"}) as started:
        names = started.value("sorted(os.environ)")
        raw = started.value("open('/proc/1/environ').read()")
    assert [name for name in names if name.startswith("AUTOGRADER_")] == [ANSWER_ONLY]
    assert "A_SECRET" not in names
    assert "password" not in raw and "A_SECRET" not in raw


def test_it_has_no_descriptors_but_its_own(inside):
    links = inside.value(
        "{f: os.readlink(f'/proc/self/fd/{f}') for f in os.listdir('/proc/self/fd')"
        " if os.path.islink(f'/proc/self/fd/{f}')}"
    )
    kinds = {link.split(":")[0] for link in links.values()}
    own = {"anon_inode", "socket", "pipe", "/dev/null", f"/proc/{1}/fd"}
    assert kinds <= own, links
    # Each pipe has both of its ends here: nobody outside writes into it, or reads from it.
    pipes = [link for link in links.values() if link.startswith("pipe:")]
    modes = inside.value(
        "[[os.readlink(f'/proc/self/fd/{f}'), int(open(f'/proc/self/fdinfo/{f}').read().split('flags:')[1].split()[0], 8) & 3]"
        " for f in os.listdir('/proc/self/fd') if os.path.islink(f'/proc/self/fd/{f}')"
        " and os.readlink(f'/proc/self/fd/{f}').startswith('pipe:')]"
    )
    for pipe in set(pipes):
        assert {mode for link, mode in modes if link == pipe} == {0, 1}, pipe


def test_it_sees_no_other_process(inside):
    assert inside.value("[p for p in os.listdir('/proc') if p.isdigit()]") == ["1"]
    assert inside.value("[os.getpid(), os.getppid()]") == [1, 0]


# Who it is


def test_it_is_nobody_inside_and_no_privileged_user_outside(inside):
    assert inside.value("[*os.getresuid(), *os.getresgid()]") == [jail.INSIDE] * 6
    assert inside.value("[g for g in os.getgroups() if g != os.getgid()]") == []
    kernels = tasks(keeper_of(inside))[1:]
    assert kernels
    for pid in kernels:
        status = Path(f"/proc/{pid}/status").read_text()
        users = status.split("Uid:")[1].splitlines()[0].split()
        assert "0" not in users or os.geteuid() != 0


def test_it_has_no_capabilities_and_can_get_none(inside):
    status = inside.value(
        "dict(r.split(':\\t') for r in open('/proc/self/status').read().splitlines())"
    )
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert "Error" in inside.run("import os; os.setuid(0)")


@pytest.mark.parametrize("flag", ["NEWUSER", "NEWNS", "NEWPID", "NEWNET", "NEWIPC", "NEWUTS"])
def test_it_makes_no_namespaces_of_its_own(inside, flag):
    number = getattr(jail, f"CLONE_{flag}")
    assert inside.value(f"__import__('ctypes').CDLL(None).unshare({number})") == -1


def test_it_cannot_mount(inside):
    inside.run("import ctypes; libc = ctypes.CDLL(None)")
    assert inside.value("libc.mount(b'x', b'/jail/work', b'tmpfs', 0, None)") == -1
    assert inside.value("libc.mount(b'', b'/', None, 32 | 4096, None)") == -1
    assert inside.value("libc.umount2(b'/usr', 2)") == -1


# Files


def test_all_but_its_work_directory_is_read_only(inside):
    said = inside.value(
        "[p for p, folders, files in os.walk('/') if not p.startswith('/proc')"
        " and os.access(p, os.W_OK)]"
    )
    assert [path for path in said if not path.startswith("/jail/work")] == []


def test_the_folder_of_its_sockets_takes_no_files(inside):
    said = inside.run("open('/jail/sockets/mine', 'w')")
    assert "PermissionError" in said or "Read-only" in said
    said = inside.run("import os; os.unlink('/jail/sockets/k-1')")
    assert "PermissionError" in said or "Read-only" in said


def test_temporary_files_are_in_the_work_directory(inside):
    for path in ("/dev/shm", "~", "."):
        assert inside.value(f"os.path.realpath(os.path.expanduser({path!r}))") == "/jail/work"
    assert inside.value("__import__('tempfile').gettempdir()") == "/jail/work"
    assert inside.run("import tempfile; tempfile.NamedTemporaryFile().close()") == ""


def test_what_it_writes_is_limited_and_gone_with_it():
    with kernel(**SMALL) as started:
        said = started.run(
            "with open('/jail/work/flood', 'wb') as file:\n"
            "    while True: file.write(bytes(1 << 20)); file.flush()"
        )
        assert "OSError" in said
        assert started.value("os.path.getsize('/jail/work/flood')") <= SMALL["disk"]
        folder = started.manager.provisioner.folder
        assert folder.is_dir()
    assert not folder.exists()


def test_no_device_but_the_harmless_ones_is_there(inside):
    assert set(inside.value("os.listdir('/dev')")) == {"null", "zero", "random", "urandom", "shm"}


# Network


def test_it_cannot_reach_a_server_on_this_machine(inside):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = inside.run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
    assert "OSError" in said or "ConnectionRefusedError" in said


def test_it_has_no_interface_to_any_network(inside):
    assert [name for _, name in inside.value("socket.if_nameindex()")] == ["lo"]


def test_it_cannot_reach_an_abstract_socket_of_this_machine(inside):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0autograder-test")
        server.listen()
        said = inside.run(
            "import socket; socket.socket(socket.AF_UNIX).connect('\\0autograder-test')"
        )
    assert "ConnectionRefusedError" in said


@pytest.mark.parametrize("family", ["AF_VSOCK", "AF_ALG", "AF_PACKET", "AF_RDS"])
def test_it_has_no_sockets_that_namespaces_do_not_confine(inside, family):
    said = inside.run(
        f"import socket\nfor kind in (1, 2, 3, 5): \n"
        f"    try: socket.socket(socket.{family}, kind); print('made')\n    except OSError: pass"
    )
    assert said == ""


# Libraries


def test_torch_is_there_only_where_an_assignment_says_so(inside):
    assert "ModuleNotFoundError" in inside.run("import torch")
    with kernel(libraries=["torch"]) as started:
        assert started.run("import torch; print(torch.ones(2).sum().item())") == "2.0\n"


def test_numpy_and_matplotlib_work(inside):
    said = inside.run(
        "import numpy as np, matplotlib.pyplot as plt\n"
        "plt.plot(np.linalg.inv(np.eye(3)))\nplt.savefig('a.png')\nprint(np.ones(3).sum())"
    )
    assert said.endswith("3.0\n")


@pytest.mark.parametrize("name", ["nbgrader", "distributed", "sqlalchemy", "nbclient", "pytest"])
def test_the_graders_own_libraries_are_not_there(inside, name):
    assert inside.value(f"__import__('importlib.util').util.find_spec({name!r}) is None")


# Limits


def test_memory_of_one_process_is_limited():
    with kernel(**SMALL) as started:
        assert "MemoryError" in started.run("x = bytearray(400 << 20)")
        assert started.run("print(1)") == "1\n"


MANY = (
    "import os, time\n"
    "for _ in range(6):\n"
    "    if os.fork() == 0:\n"
    "        kept = bytearray(b'x') * (100 << 20)\n"
    "        time.sleep(600)\n"
)
SHARED = (
    "import mmap, os, time\n"
    "kept = mmap.mmap(-1, 600 << 20)\n"
    "for _ in range(2): os.fork()\n"
    "for n in range(0, len(kept), 4096): kept[n] = 1\n"
    "time.sleep(600)"
)


@pytest.mark.parametrize("code", [MANY, SHARED], ids=["many", "shared"])
def test_memory_of_all_processes_together_is_limited(code):
    with kernel(**SMALL) as started:
        started.client.execute(code)
        assert started.how_it_ended()["how"] == "memory"


@pytest.mark.parametrize(
    "code",
    [
        "import os; fd = os.memfd_create('x'); os.posix_fallocate(fd, 0, 4 << 20)",
        "import ctypes; assert ctypes.CDLL(None).shmget(0, ctypes.c_size_t(4 << 20), 0o1600) >= 0",
    ],
    ids=["memfd", "sysv"],
)
def test_no_memory_is_had_that_belongs_to_no_process(inside, code):
    said = inside.run(code)
    assert "Error" in said


CALL = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"


@pytest.mark.parametrize(
    "code",
    [
        "import os\n"
        "class Piece(ctypes.Structure): _fields_ = [('at', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n"
        "page = ctypes.create_string_buffer(4096)\n"
        "piece = Piece(ctypes.addressof(page), 4096)\n"
        "print(libc.vmsplice(os.pipe()[1], ctypes.byref(piece), ctypes.c_size_t(1), 0))",
        "import fcntl\nfile = open('/jail/work/locked', 'w')\nfcntl.lockf(file, fcntl.LOCK_EX)",
        "import socket\na, b = socket.socketpair()\n"
        "a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)",
        "print(libc.inotify_init1(0))",
    ],
    ids=["vmsplice", "locks", "buffers", "inotify"],
)
def test_the_system_keeps_nothing_for_it_that_nothing_bounds(inside, code):
    said = inside.run(CALL + code)
    assert "Error" in said or said == "-1\n"


TABLES = (
    "import mmap\n"
    "kept = [mmap.mmap(-1, 1 << 36, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE | 0x4000)"
    " for _ in range(5)]\n"
    "for m in kept: m.madvise(mmap.MADV_NOHUGEPAGE)\n"
    "for m in kept:\n"
    "    for n in range(0, len(m), 2 << 20): m[n]\n"
)
MANY_SOCKETS = (
    "import os, socket, time\n"
    "kept = []\n"
    "while True:\n"
    "    try: kept.append(socket.socketpair())\n"
    "    except OSError:\n"
    "        if os.fork(): break\n"
    "        kept = []\n"
    "time.sleep(600)"
)


@pytest.mark.parametrize("code", [TABLES, MANY_SOCKETS], ids=["page tables", "sockets"])
def test_what_the_system_keeps_for_it_counts_as_its_memory(code):
    with kernel(**SMALL) as started:
        started.client.execute(code)
        assert started.how_it_ended()["how"] == "memory"


@pytest.mark.parametrize(
    "code",
    ["import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))"]
    + [f"print(libc.prctl({option}, {value}, 0, 0, 0))" for option, value in ((1, 0), (4, 0))],
    ids=["limits", "parent", "memory"],
)
def test_how_it_is_watched_is_not_its_own_to_say(inside, code):
    said = inside.run(CALL + code)
    assert "Error" in said or said == "-1\n"


def test_a_jail_is_one_session_whatever_it_asks_for(inside):
    said = inside.value(
        "[os.getsid(0), os.waitpid(os.fork() or (os.setsid(), os._exit(os.getsid(0) != 0)), 0)[1]]"
    )
    assert said == [0, 0]


def test_many_that_run_at_once_wait_for_those_of_other_jails():
    with kernel(**SMALL) as started:
        started.run(
            "import os\nfor _ in range(8):\n    if not os.fork():\n        while True: pass"
        )
        until = time.monotonic() + LONG
        first, *rest = tasks(keeper_of(started))[1:]
        nice = {os.getpriority(os.PRIO_PROCESS, pid) for pid in rest}
        while nice != {19} and time.monotonic() < until:
            time.sleep(0.1)
            nice = {os.getpriority(os.PRIO_PROCESS, pid) for pid in rest}
        assert len(rest) == 8
        assert nice == {19}
        assert os.getpriority(os.PRIO_PROCESS, first) == os.getpriority(os.PRIO_PROCESS, 0)


def test_where_the_machine_has_no_memory_left_it_goes_first(inside):
    assert inside.value("int(open('/proc/self/oom_score_adj').read())") == 1000


def test_processes_and_threads_are_limited():
    with kernel(**SMALL) as started:
        said = started.run(
            "import threading, time\n"
            "made = 0\n"
            "try:\n"
            "    while made < 500:\n"
            "        threading.Thread(target=time.sleep, args=(600,), daemon=True).start(); made += 1\n"
            "except RuntimeError: pass\n"
            "print(made)"
        )
        assert int(said) < SMALL["processes"]


def test_open_files_are_limited(inside):
    said = inside.run(
        "kept = []\ntry:\n    while True: kept.append(open('/dev/null'))\n"
        "except OSError: print(len(kept))\nkept.clear()"
    )
    assert 0 < int(said) < jail.Limits().open_files


def test_cpu_seconds_are_limited():
    with kernel(cpu=2) as started:
        started.client.execute("while True: pass")
        assert started.how_it_ended()["how"] == "signal 9"


def test_no_core_is_dumped_and_no_memory_locked(inside):
    limits = inside.value(
        "[__import__('resource').getrlimit(getattr(__import__('resource'), n))"
        " for n in ('RLIMIT_CORE', 'RLIMIT_MEMLOCK', 'RLIMIT_MSGQUEUE', 'RLIMIT_RTPRIO')]"
    )
    assert limits == [[0, 0]] * 4
    assert "ValueError" in inside.run(
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (10_000, 10_000))"
    )


# Its end

DAEMON = (
    "import os, signal, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        for n in range(1, 32):\n"
    "            try: signal.signal(n, signal.SIG_IGN)\n"
    "            except (OSError, ValueError): pass\n"
    "        while True: time.sleep(1)\n"
    "    os._exit(0)\n"
    "os.wait()\n"
    "print('started')"
)
DEAF = (
    "import signal\n"
    "for n in range(1, 32):\n"
    "    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\n"
    "print('deaf', flush=True)\n"
    "while True: pass"
)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits for its funeral does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until_gone(pids: list[int]) -> list[int]:
    """Those of the processes that are still there when there was time enough to end."""
    until = time.monotonic() + LONG
    while pids and time.monotonic() < until:
        pids = [pid for pid in pids if is_alive(pid)]
    return pids


def test_all_that_it_started_dies_with_it():
    with kernel() as started:
        assert started.run(DAEMON) == "started\n"
        below = tasks(keeper_of(started))
        assert len(below) >= 3  # the keeper, the kernel, the daemon
    assert wait_until_gone(below) == []


def test_a_loop_that_is_deaf_to_interrupts_ends_when_it_is_told_to():
    started = Kernel()
    started.client.execute(DEAF)
    while started.client.get_iopub_msg(timeout=LONG)["msg_type"] != "stream":
        pass
    below = tasks(keeper_of(started))
    started.manager.interrupt_kernel()
    started.end()
    assert wait_until_gone(below) == []


def test_an_interrupt_reaches_a_loop():
    with kernel() as started:
        started.client.execute("print('here', flush=True)\nwhile True: pass", stop_on_error=False)
        while started.client.get_iopub_msg(timeout=LONG)["msg_type"] != "stream":
            pass
        started.manager.interrupt_kernel()
        kinds = []
        while "error" not in kinds:
            kinds.append(started.client.get_iopub_msg(timeout=LONG)["msg_type"])
        assert started.run("print(2)") == "2\n"


def test_nothing_inside_can_kill_the_kernel_or_what_keeps_it(inside):
    inside.run(
        "import os, signal\n"
        "for target in (1, -1, os.getppid()):\n"
        "    if target:\n"
        "        try: os.kill(target, signal.SIGKILL)\n"
        "        except OSError: pass"
    )
    assert inside.run("print(3)") == "3\n"


def test_how_it_ended_is_known():
    with kernel() as started:
        started.client.execute("import os; os._exit(3)")
        assert started.how_it_ended()["how"] == "exit"
    with kernel() as started:
        said = started.manager.provisioner.jailed
        assert said.alive
        assert said.close()["how"] == "ended by us"


def test_a_kernel_dies_with_the_warm_process():
    zygote = provisioner.new_zygote()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provisioner, "zygote", lambda libraries: zygote)
        started = Kernel()
    started.run("import ctypes; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)")  # ask to be forgotten
    below = tasks(keeper_of(started))
    zygote._process.send_signal(signal.SIGKILL)
    zygote._process.wait()
    assert wait_until_gone(below) == []
    started.end()


# The warm process


def test_a_warm_process_whose_grader_is_gone_ends_without_a_word(tmp_path):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()  # before it is ready
    told = {"fd": theirs.fileno(), "place": str(tmp_path), "libraries": None}
    told["view"] = {"seen": [], "hidden": []}
    with theirs:
        done = subprocess.run(
            [sys.executable, "-P", "-c", warm.START, json.dumps(warm.paths()), json.dumps(told)],
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_works_for_who_is_not_root(tmp_path):
    ask = (
        "import os; from autograder.grading.sandbox import provisioner; "
        "print(os.geteuid(), provisioner.no_isolation())"
    )

    def become_nobody() -> None:  # by another name: this Python may lie where only root may look
        jail.unshare(jail.CLONE_NEWUSER)
        jail.map_user(0, 0)

    done = subprocess.run(
        [sys.executable, "-B", "-c", ask],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": "/tmp", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        preexec_fn=None if os.geteuid() else become_nobody,
    )
    assert done.stdout == f"{os.geteuid() or jail.INSIDE} \n", done.stderr


NAME_ONLY = """
import json, nbformat
from autograder.grading.execution import Execute
step = Execute(seed=1, timeout=30, startup_timeout=120)
step.shutdown_kernel, step.store_widget_state = "immediate", False
cell = nbformat.v4.new_code_cell('''
import os
tried = []
def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return
    tried.append((what.__name__, *map(str, arguments)))
for name in ("null", "zero", "random", "urandom"):
    attempt(os.chmod, f"/dev/{name}", 0o666)
for place, folders, names in os.walk("/proc"):
    folders[:] = [name for name in folders if not name.isdigit() and name != "self"]
    for name in names:
        attempt(lambda path: os.close(os.open(path, os.O_WRONLY)), os.path.join(place, name))
open("/dev/null", "w").write("still there")
print(os.getuid(), tried)
''')
nb = step.preprocess(nbformat.v4.new_notebook(cells=[cell]), {"metadata": {"name": "x"}, "unique_key": "x"})[0]
print([output.get("text", output) for output in nb.cells[0].outputs])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is no root in name only")
def test_where_the_grader_is_root_in_name_only_nothing_of_the_machine_is_changed():
    """There, a jail's user is the machine's root outside, and may write what is root's."""

    def become_root_in_name() -> None:
        jail.unshare(jail.CLONE_NEWUSER)
        jail.map_user(0, 0, 0, 0)

    done = subprocess.run(
        [sys.executable, "-B", "-c", NAME_ONLY],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        preexec_fn=become_root_in_name,
    )
    assert done.stdout == f"['{jail.INSIDE} []\\n']\n", done.stdout + done.stderr


@pytest.mark.parametrize("command", [1024, 1026], ids=["F_SETLEASE", "F_NOTIFY"])
def test_it_cannot_have_others_wait_for_a_file_or_be_told_who_opens_it(inside, command):
    said = inside.run(
        "import fcntl, os\n"
        "open('/jail/work/leased', 'w').close()\n"
        "try:\n"
        f"    fcntl.fcntl(os.open('/jail/work/leased', os.O_RDONLY), {command}, fcntl.F_WRLCK)\n"
        "except OSError as error:\n"
        "    print(error.strerror)"
    )
    assert said == "No locks available\n"


def test_two_kernels_share_nothing_but_what_was_imported(inside):
    inside.run("open('/jail/work/mine', 'w').write('a'); import numpy; numpy.mine = 1")
    with kernel() as other:
        assert other.value(
            "[os.path.exists('/jail/work/mine'), hasattr(__import__('numpy'), 'mine')]"
        ) == [False, False]
        assert other.value("os.environ.get('AUTOGRADER_ANSWER_ONLY')") is None


def test_what_is_warm_does_not_hold_the_answers():
    with kernel() as started:
        loaded = started.value("sorted(m for m in sys.modules if m.startswith('autograder'))")
    behind = ("autograder.reference", "autograder.mistakes")
    assert not [name for name in loaded if name.startswith(behind)]
    sandbox = ("autograder.grading", "autograder.grading.sandbox")
    assert not [
        name
        for name in loaded
        if name.startswith("autograder.grading")
        and name not in sandbox
        and not name.startswith("autograder.grading.sandbox.")
    ]


def test_kernels_can_be_made_from_several_threads_at_once():
    said: list[str] = []

    def one() -> None:
        with kernel() as started:
            said.append(started.run("print(4)"))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["4\n"] * 4


def test_messages_with_the_wrong_key_are_dropped(inside):
    client = inside.manager.blocking_client()
    client.session.key = b"another key"
    client.start_channels()
    try:
        client.execute("open('/jail/work/forged', 'w')")
        with pytest.raises(Empty):
            client.get_shell_msg(timeout=0.5)
    finally:
        client.stop_channels()
    assert not inside.value("os.path.exists('/jail/work/forged')")


def test_what_killed_graders_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, living, others = (
        tmp_path / name for name in (f"{provisioner.JAILS}a", f"{provisioner.JAILS}b", "jails")
    )
    for folder in (killed, living, others):
        (folder / "of-one-kernel").mkdir(parents=True)
    held = provisioner._hold(living)
    just_made = provisioner._jails.__wrapped__()
    assert {killed, living, others, Path(just_made)} <= set(tmp_path.iterdir())
    monkeypatch.setattr(provisioner, "YOUNG", 0)
    mine = provisioner._jails.__wrapped__()
    assert set(tmp_path.iterdir()) == {living, others, Path(just_made), Path(mine)}
    os.close(held)
