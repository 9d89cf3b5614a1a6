"""The IPython kernel of a jail: ipykernel's own, less what nobody asks for here.

It has no command line, no files of settings, no heartbeat; it does each thing once that ipykernel
does again for every cell. What a cell sees is the same.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ipykernel import ipkernel
from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from traitlets.config import Config

SETTINGS = {
    "IPKernelApp": {"log_level": "ERROR", "outstream_class": f"{__name__}.Stream"},
    "HistoryManager": {"enabled": False},
}


def application(connection_file: str) -> IPKernelApp:
    config = Config(SETTINGS)
    config.IPKernelApp.connection_file = connection_file
    return Application.instance(config=config)


class Application(IPKernelApp):
    def parse_command_line(self, argv=None):
        pass

    def load_config_file(self, *_, **__):
        pass

    def _configure_logging(self):
        """Nobody reads a log, and to configure it is to touch every logger that there is."""

    def init_heartbeat(self):
        """Whether it lives, its keeper knows."""

    def init_kernel(self):
        with _no_modules():
            super().init_kernel()

    def init_shell(self):
        super().init_shell()
        self.shell.transform_cell = _remembering_the_last(self.shell.transform_cell)


class Stream(OutStream):
    """What is printed; to flush it is to wait for another thread, five times a cell."""

    def flush(self):
        with self._buffer_lock:
            waiting = bool(self._buffers)
        if waiting:
            super().flush()


class _Without:
    """The module `sys`, with no modules in it."""

    modules: dict = {}  # noqa: RUF012

    def __getattr__(self, name: str):
        return getattr(sys, name)


@contextmanager
def _no_modules() -> Iterator[None]:
    """ipykernel makes a list of all modules for its debugger, which is not there.

    In a process that was forked, each module that is so much as looked at is copied.
    """
    ipkernel.sys = _Without()
    try:
        yield
    finally:
        ipkernel.sys = sys


def _remembering_the_last(transform: Callable[[str], str]) -> Callable[[str], str]:
    """A cell is transformed to see whether it runs asynchronously, and again to be run."""
    last: dict[str, str] = {}

    def remembered(raw_cell: str) -> str:
        if raw_cell in last:
            return last.pop(raw_cell)
        last.clear()
        last[raw_cell] = transform(raw_cell)
        return last[raw_cell]

    return remembered
