"""Computed once in a process, whichever of its threads asks first."""

import threading
from collections.abc import Callable
from functools import wraps

_alone = threading.RLock()
TRIES = 10


def once(function: Callable) -> Callable:
    """A cache that one thread at a time may fill, and only one of all that are decorated.

    For what builds syntax trees: before 3.11.8, Python cannot build two at a time (gh-106905), and
    one of them fails with SystemError, where memory is tidied up meanwhile and Dask looks on. Others
    build them, too, such as a log that shows an exception; so what failed by that is tried again.
    """
    remembered: dict = {}

    @wraps(function)
    def asked(*arguments):
        if arguments not in remembered:
            with _alone:
                if arguments not in remembered:
                    remembered[arguments] = _tried(function, arguments)
        return remembered[arguments]

    asked.cache_clear = remembered.clear
    return asked


def _tried(function: Callable, arguments: tuple):
    for _ in range(TRIES):
        try:
            return function(*arguments)
        except SystemError:
            continue
    return function(*arguments)
