"""Which system calls a submission may make: all but those that namespaces and limits do not confine.

Memory that belongs to no process, keys of the grader's session, sockets to the hypervisor. A filter
(seccomp) that nothing can take off again; what is refused fails with an ordinary error.
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

# machine: its number for the kernel; refused calls; socket, clone, clone3
_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            **{"shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101},
            **{"add_key": 248, "request_key": 249, "keyctl": 250},
            **{"unshare": 272, "setns": 308, "perf_event_open": 298, "bpf": 321},
            **{"memfd_create": 319, "memfd_secret": 447, "userfaultfd": 323},
            "io_uring_setup": 425,
        },
        (41, 56, 435),
    ),
    "aarch64": (
        0xC00000B7,
        {
            **{"shmget": 194, "semget": 190, "msgget": 186, "ptrace": 117},
            **{"add_key": 217, "request_key": 218, "keyctl": 219},
            **{"unshare": 97, "setns": 268, "perf_event_open": 241, "bpf": 280},
            **{"memfd_create": 279, "memfd_secret": 447, "userfaultfd": 282},
            "io_uring_setup": 425,
        },
        (198, 220, 435),
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse(number: int = errno.EPERM) -> bytes:
    return _step(_RETURN, _ERROR | number)


def _filter(machine: int, refused: dict[str, int], special: tuple[int, int, int]) -> bytes:
    socket, clone, clone3 = special
    steps = [_step(_LOAD, _MACHINE), _step(_EQUAL, machine, 1, 0), _refuse()]
    steps += [_step(_LOAD, _NUMBER), _step(_AT_LEAST, 0x40000000, 0, 1), _refuse()]
    for number in refused.values():
        steps += [_step(_EQUAL, number, 0, 1), _refuse()]
    # Its flags cannot be looked at; without it, the C library takes `clone`.
    steps += [_step(_EQUAL, clone3, 0, 1), _refuse(errno.ENOSYS)]
    steps += [_step(_EQUAL, clone, 0, 3), _step(_LOAD, _FIRST), _step(_ANY_OF, ANY_NAMESPACE, 0, 1)]
    steps += [_refuse(), _step(_LOAD, _NUMBER)]
    steps += [_step(_EQUAL, socket, 0, 2 + len(FAMILIES)), _step(_LOAD, _FIRST)]
    steps += [_step(_EQUAL, family, len(FAMILIES) - n, 0) for n, family in enumerate(FAMILIES)]
    steps += [_refuse(errno.EAFNOSUPPORT), _step(_RETURN, _ALLOW)]
    return b"".join(steps)


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
