"""Namespaces, mounts, limits: what a submission sees of the machine, and how much of it it may use.

Linux only. Nothing here imports more than the standard library's small modules: it runs in a
freshly forked process, before any of the student's code.
"""

import contextlib
import ctypes
import errno
import os
import resource
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from autograder.grading.sandbox import calls

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
SIGKILL = 9
MADV_COLLAPSE, LARGE = 25, 1 << 21

INSIDE = 65534  # the user and the group that a submission is, as it sees itself
# A machine has no such folder. OLD is where the machine's own root is for a moment.
WORK, SOCKETS, OLD = "/jail/work", "/jail/sockets", "/jail/old"
SMALL = "size=1m,mode=755"

_libc = ctypes.CDLL(None, use_errno=True)


class NoJail(OSError):
    """This machine does not let us make the namespaces."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Bytes and seconds."""

    memory: int = 2 * 2**30  # of all its processes together
    disk: int = 64 * 2**20  # of its work directory, which is in memory, and of each file
    processes: int = 64
    cpu: int = 600  # of each process
    open_files: int = 512


@dataclass(frozen=True)
class View:
    """What of the machine's files is seen, read-only, at the same paths; the rest is not there.

    hidden: folders in what is seen that are empty there, but for what of them is seen by itself.
    """

    seen: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def _call(name: str, *args) -> None:
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise NoJail(number, f"{name}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    _call("unshare", flags)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )


def die_with_parent(parent: int) -> None:
    """This process is killed as soon as `parent`, which forked it, ends."""
    _call("prctl", PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we could ask for that
        os._exit(1)


def be_opaque() -> None:
    """Not even a process of the same user may read this one's memory."""
    _call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def use_large_pages() -> None:
    """Have this process's memory in pages of 2 MB, where the system can: to fork it costs less.

    What is forked copies a table with a line for each page. It takes some tenths of a second.
    """
    _libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in _read("/proc/self/maps", "").splitlines():
        place, rights, _, _, _, *name = line.split(maxsplit=5)
        if rights == "rw-p" and name in ([], ["[heap]"]):
            start, end = (int(number, 16) for number in place.split("-"))
            for page in range(-(-start // LARGE) * LARGE, end - LARGE + 1, LARGE):
                _libc.madvise(page, LARGE, MADV_COLLAPSE)


def _locked_flags(path: str) -> int:
    """The mount flags that an unprivileged remount must repeat."""
    flags = os.statvfs(path).f_flag
    table = (
        (os.ST_RDONLY, MS_RDONLY),
        (os.ST_NOSUID, MS_NOSUID),
        (os.ST_NODEV, MS_NODEV),
        (os.ST_NOEXEC, MS_NOEXEC),
        (os.ST_NOATIME, 1024),
        (os.ST_NODIRATIME, 2048),
        (os.ST_RELATIME, 1 << 21),
    )
    return sum(mount for seen, mount in table if flags & seen)


def _bind(source: int, target: str, writable: bool = False) -> None:
    """Show what the descriptor `source` stands for at `target`, too."""
    _mount(f"/proc/self/fd/{source}", target, "", MS_BIND | MS_REC)
    flags = MS_BIND | MS_REMOUNT | MS_NOSUID | _locked_flags(target)
    if stat.S_ISDIR(os.fstat(source).st_mode):
        flags |= MS_NODEV
    if not writable:
        flags |= MS_RDONLY
    _mount("", target, "", flags)


def _show(source: int, target: str) -> None:
    """Show a file, a folder or a link, read-only."""
    mode = os.fstat(source).st_mode
    if stat.S_ISLNK(mode):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(os.readlink("", dir_fd=source), target)
        return
    if stat.S_ISDIR(mode):
        Path(target).mkdir(parents=True, exist_ok=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).touch()
    _bind(source, target)


def make_root(view: View, place: str) -> None:
    """Make at `place` what all jails of this process see; it is there for this process and its forks.

    The process is in a mount namespace of its own from then on, and, where it is not root, in a user
    namespace in which it has the same name. Raises NoJail where that is not allowed.
    """
    try:
        unshare(CLONE_NEWNS)
    except NoJail:
        caller = os.getuid(), os.getgid()
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        map_user(*caller, *caller)
    _mount("", "/", "", MS_REC | MS_PRIVATE)
    # Every folder of it is made in one small tmpfs, which is read-only in the end.
    _mount("root", place, "tmpfs", MS_NOSUID | MS_NODEV, SMALL)
    covers = []
    for path in sorted({*view.seen, *view.hidden}):  # a folder comes before what is in it
        if path in view.seen:
            source = os.open(path, os.O_PATH | os.O_NOFOLLOW)
            _show(source, place + path)
            os.close(source)
        elif os.path.isdir(place + path):
            _mount("hidden", place + path, "tmpfs", MS_NOSUID | MS_NODEV, SMALL)
            covers.append(place + path)
    for path in covers:
        _mount("", path, "", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, SMALL)
    for path in (WORK, SOCKETS, OLD, "/proc", "/dev"):
        Path(place + path).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "dev/shm"):  # one bound for all that is written
        with contextlib.suppress(FileExistsError):
            os.symlink(WORK, f"{place}/{name}")
    for name in ("null", "zero", "random", "urandom"):
        Path(place, "dev", name).touch()
        source = os.open(f"/dev/{name}", os.O_PATH | os.O_NOFOLLOW)
        _bind(source, f"{place}/dev/{name}")  # read-only: what is written goes to the device
        os.close(source)
    _mount("", place, "", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, SMALL)


def enter_root(place: str, sockets: str, disk: int) -> None:
    """Have the root at `place`, with a work directory of one's own and the kernel's sockets.

    The process must be in a mount namespace of its own, and in its pid namespace. sockets: the
    folder outside, shown as SOCKETS. disk: bytes of WORK.
    """
    _mount("", "/", "", MS_REC | MS_PRIVATE)
    source = os.open(sockets, os.O_PATH | os.O_NOFOLLOW)
    # A copy: what was mounted in another user namespace cannot be moved.
    _mount(place, place, "", MS_BIND | MS_REC)
    os.chdir(place)
    options = f"size={disk},mode=1777,nr_inodes=4096"
    _mount("work", place + WORK, "tmpfs", MS_NOSUID | MS_NODEV, options)
    _bind(source, place + SOCKETS, writable=True)
    os.close(source)
    with contextlib.suppress(NoJail):  # a container may forbid it; nothing here needs it
        _mount("proc", f"{place}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _call("pivot_root", b".", OLD[1:].encode())
    os.chdir("/")
    _call("umount2", OLD.encode(), MNT_DETACH)


def close_sockets(user: int | None) -> None:
    """The folder of the sockets takes no more files: it lies outside, where nothing bounds it.

    Called by the process that called `enter`, whose root is the jail's, too.
    """
    if user is None:
        flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | _locked_flags(SOCKETS)
        _mount("", SOCKETS, "", flags)
    else:
        os.chown(SOCKETS, 0, 0)
        os.chmod(SOCKETS, 0o755)


def map_user(
    outside_user: int, outside_group: int, user: int = INSIDE, group: int = INSIDE
) -> None:
    """In a user namespace just made: be this user there, and nobody else."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {outside_user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {outside_group} 1")


def forbid_more_namespaces() -> None:
    """No user namespace can be made inside this one: with it would come all capabilities."""
    with contextlib.suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("0")


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    last = int(_read("/proc/sys/kernel/cap_last_cap", "40"))
    for capability in range(last + 1):
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, data = _CapHeader(0x20080522, 0), (_CapData * 2)()
    _call("capset", ctypes.byref(header), ctypes.byref(data))
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def set_limits(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_FSIZE, limits.disk),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_SIGPENDING, 1024),  # timers, too
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def close_all_but(kept: Iterable[int]) -> None:
    """Close every file descriptor except these and the standard ones."""
    low = 3
    for fd in sorted({*kept, os.sysconf("SC_OPEN_MAX")}):
        if fd >= low:
            os.closerange(low, min(fd, 65536))
            low = fd + 1


def _read(path: str, otherwise: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return otherwise


def enter(
    place: str, sockets: str, limits: Limits, user: int | None, start: Callable[[], None]
) -> int:
    """Fork a process into a jail of its own, and run `start` there. Returns its pid.

    place: where `make_root` was called; sockets: see `enter_root`; user: the unprivileged user and group to be outside, where the caller is root; None: stay who
    we are. The caller must be a single thread, and stays in new namespaces itself: fork before.
    Raises NoJail where namespaces are not allowed.
    """
    rest = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
    if user is None:
        caller = os.getuid(), os.getgid()
        # Of an opaque process, its own entries in /proc are root's, and it could not be mapped.
        _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | rest)
        map_user(*caller)
    else:
        unshare(CLONE_NEWNS | CLONE_NEWPID)
    ready, done = os.pipe()
    pid = os.fork()
    if pid:
        be_opaque()
        os.close(done)
        with os.fdopen(ready) as pipe:
            said = pipe.read()
        if said:
            os.waitpid(pid, 0)
            raise NoJail(errno.EPERM, said)
        return pid
    try:
        os.close(ready)
        # A signal to its group must not reach the keeper, which may be the same user.
        os.setpgid(0, 0)
        with contextlib.suppress(OSError):  # if the machine runs out of memory, this goes first
            Path("/proc/self/oom_score_adj").write_text("1000")
        outside = 0  # how a process sees a parent that is in an outer pid namespace
        die_with_parent(outside)
        enter_root(place, sockets, limits.disk)
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            die_with_parent(outside)  # forgotten when the user changes
            # With it, the mounts just made are locked: nothing inside can undo them.
            unshare(CLONE_NEWUSER | CLONE_NEWNS | rest)
            _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
            map_user(user, user)
        forbid_more_namespaces()
        with contextlib.suppress(
            NoJail
        ):  # there may be none; who is root outside could write there
            _mount("", "/proc", "", MS_BIND | MS_REMOUNT | MS_RDONLY | _locked_flags("/proc"))
        os.setresgid(INSIDE, INSIDE, INSIDE)
        os.setresuid(INSIDE, INSIDE, INSIDE)
        set_limits(limits)
        drop_capabilities()
        die_with_parent(outside)
        calls.confine()
        os.chdir(WORK)
    except BaseException as error:
        os.write(done, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    os.close(done)
    status = 1
    try:
        start()
        status = 0
    finally:
        os._exit(status)
