"""Which system calls a submission may make: all but those that namespaces and limits do not confine.

Memory that belongs to no process, keys of the grader's session, sockets to the hypervisor; limits,
which are the grader's. A filter (seccomp) that nothing can take off again; what is refused fails with
an ordinary error.
"""

import ctypes
import errno
import platform
import struct

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
FAMILIES = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)  # there is no network to reach with the others
ANY_NAMESPACE = 0x7E020000  # CLONE_NEW... in the flags of clone
PR_SET_SECCOMP, FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _MACHINE, _FIRST = 0, 4, 16  # where in what is looked at they stand

# machine: its number for the kernel; its calls, as far as they are looked at
_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            **{"shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101},
            **{"add_key": 248, "request_key": 249, "keyctl": 250},
            **{"unshare": 272, "setns": 308, "perf_event_open": 298, "bpf": 321},
            **{"memfd_create": 319, "memfd_secret": 447, "userfaultfd": 323, "vmsplice": 278},
            **{"io_uring_setup": 425, "io_setup": 206, "fanotify_init": 300},
            **{"inotify_init": 253, "inotify_init1": 294, "sync": 162, "syncfs": 306},
            **{"syslog": 103, "setrlimit": 160},
            **{"socket": 41, "socketpair": 53, "clone": 56, "clone3": 435, "setsid": 112},
            **{"prctl": 157, "fcntl": 72, "setsockopt": 54, "prlimit64": 302},
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            **{"shmget": 194, "semget": 190, "msgget": 186, "ptrace": 117},
            **{"add_key": 217, "request_key": 218, "keyctl": 219},
            **{"unshare": 97, "setns": 268, "perf_event_open": 241, "bpf": 280},
            **{"memfd_create": 279, "memfd_secret": 447, "userfaultfd": 282, "vmsplice": 75},
            **{"io_uring_setup": 425, "io_setup": 0, "fanotify_init": 262},
            **{"inotify_init1": 26, "sync": 81, "syncfs": 267},
            **{"syslog": 116, "setrlimit": 164},
            **{"socket": 198, "socketpair": 199, "clone": 220, "clone3": 435, "setsid": 157},
            **{"prctl": 167, "fcntl": 25, "setsockopt": 208, "prlimit64": 261},
        },
    ),
}
# What is allowed but for some values of an argument (counted from 0), and the error that these give.
_BUT = {
    # Neither outlive the one that keeps the jail, nor hide its memory from that.
    "prctl": (0, (1, 4), errno.EPERM),  # PR_SET_PDEATHSIG, PR_SET_DUMPABLE
    # Locks on parts of files: each takes memory that nothing bounds. Leases and notes on files
    # (F_SETLEASE, F_NOTIFY): who opens them, outside, would wait or be seen.
    "fcntl": (1, (6, 7, 37, 38, 1024, 1026), errno.ENOLCK),
    "setsockopt": (2, (7, 8), errno.EPERM),  # SO_SNDBUF, SO_RCVBUF
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse(number: int = errno.EPERM) -> bytes:
    return _step(_RETURN, _ERROR | number)


def _argument(number: int, high: bool = False) -> bytes:
    return _step(_LOAD, _FIRST + 8 * number + 4 * high)


def _only(number: int, steps: list[bytes]) -> list[bytes]:
    """These steps for one call alone."""
    return [_step(_EQUAL, number, 0, len(steps) + 1), *steps, _step(_LOAD, _NUMBER)]


def _filter(machine: int, calls: dict[str, int]) -> bytes:
    steps = [_step(_LOAD, _MACHINE), _step(_EQUAL, machine, 1, 0), _refuse()]
    steps += [_step(_LOAD, _NUMBER), _step(_AT_LEAST, 0x40000000, 0, 1), _refuse()]
    special = {"socket", "socketpair", "clone", "clone3", "setsid", "prlimit64", *_BUT}
    for name in calls.keys() - special:
        steps += _only(calls[name], [_refuse()])
    for name, (argument, values, error) in _BUT.items():
        tests = [step for v in values for step in (_step(_EQUAL, v, 0, 1), _refuse(error))]
        steps += _only(calls[name], [_argument(argument), *tests])
    # Its flags cannot be looked at; without it, the C library takes `clone`.
    steps += _only(calls["clone3"], [_refuse(errno.ENOSYS)])
    steps += _only(calls["clone"], [_argument(0), _step(_ANY_OF, ANY_NAMESPACE, 0, 1), _refuse()])
    # Time is shared among sessions where the system does so: a jail is one, whatever it asks for.
    steps += _only(calls["setsid"], [_refuse(0)])
    # To look at a limit is allowed, to set one is not.
    null = [
        step
        for high in (False, True)
        for step in (_argument(2, high), _step(_EQUAL, 0, 1), _refuse())
    ]
    steps += _only(calls["prlimit64"], null)
    for name in ("socket", "socketpair"):
        known = [_step(_EQUAL, f, len(FAMILIES) - n, 0) for n, f in enumerate(FAMILIES)]
        steps += _only(calls[name], [_argument(0), *known, _refuse(errno.EAFNOSUPPORT)])
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def confine() -> None:
    """Put the filter on this process and all that come from it. Raises OSError.

    It must be unable to gain privileges already. On other machines than these two, nothing is done.
    """
    known = _CALLS.get(platform.machine())
    if known is None:
        return
    text = _filter(*known)
    program = _Program(len(text) // 8, text)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, "seccomp: no filter of system calls")
