"""jupyter_client's extension point: kernels that are forked into jails instead of being launched."""

import asyncio
import atexit
import contextlib
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerBase
from traitlets import Integer, List, Unicode

from autograder.check import ANSWER_ONLY
from autograder.files import threads
from autograder.grading.sandbox.channels import Channel
from autograder.grading.sandbox.jail import SOCKETS, Limits
from autograder.grading.sandbox.warm import Jailed, Zygote, view_of

NAME = "autograder-sandbox"  # as in pyproject.toml
JAILS, YOUNG = "autograder-jails-", 60  # seconds
_PORTS = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
_zygotes: dict[tuple[str, ...], Zygote] = {}
_starting = threading.Lock()  # a worker may have several threads, which share the warm processes


def zygote(libraries: tuple[str, ...]) -> Zygote:
    """The warm process with these libraries; started where there is none, or where it has died."""
    view_of(libraries)  # known from here on: its lock may be held by one who waits for ours
    with _starting:
        warm = _zygotes.get(libraries)
        if warm is None or not warm.alive:
            warm = _zygotes[libraries] = new_zygote(libraries)
        return warm


def new_zygote(libraries: tuple[str, ...] = (), bare: bool = False) -> Zygote:
    return Zygote(Path(tempfile.mkdtemp(prefix="root-", dir=_jails())), libraries, bare)


@cache
def _jails() -> str:
    """A folder of this process, with one of sockets in it for each jail.

    Those of graders that were killed are removed.
    """
    place = Path(tempfile.gettempdir())
    for folder in place.glob(f"{JAILS}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and _abandoned(folder):
                shutil.rmtree(folder)
    made = Path(tempfile.mkdtemp(prefix=JAILS))
    _hold(made)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return str(made)


def _hold(folder: Path) -> int:
    """Lock it; the system frees it when this process ends, however. Raises OSError."""
    import fcntl

    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _abandoned(folder: Path) -> bool:
    """Whether the process that made it has ended."""
    if time.time() - folder.stat().st_ctime < YOUNG:  # it may not have locked it yet
        return False
    os.close(_hold(folder))
    return True


@cache
def no_isolation() -> str:
    """Why submissions cannot be isolated on this machine; "" where they can."""
    if not sys.platform.startswith("linux"):
        return f"it needs Linux namespaces, and this is {platform.system()}"
    with tempfile.TemporaryDirectory(dir=_jails()) as folder:
        bare = new_zygote(
            bare=True
        )  # a warm one takes a second, and may not be what is needed next
        try:
            jailed = bare.fork(None, Path(folder), {}, Limits())
            jailed.wait(30)
            how = jailed.close().get("how", "the process that keeps it was killed")
        finally:
            bare.close()
    return "" if how == "exit" else how.removeprefix("no jail: ")


@atexit.register
def close_all() -> None:
    """End all warm processes, and with them every kernel."""
    while _zygotes:
        _zygotes.popitem()[1].close()


class SandboxClient(AsyncKernelClient):
    """Knows when a kernel is ready without waiting for silence.

    jupyter_client's own takes any message as a sign and then waits until none has come for 0.2 s.
    Here a kernel is ready when it has said, on the channel of outputs, that it is done with our
    request; whatever came before has then been read. It has no other channels than it needs, and
    ZeroMQ's own sockets have no part in it.
    """

    def start_channels(self, *_, **__) -> None:
        for name, kind in (("shell", "DEALER"), ("iopub", "SUB")):
            path = f"{self.ip}-{getattr(self, f'{name}_port')}"
            setattr(self, f"_{name}_channel", Channel(path, kind, self.session))

    def stop_channels(self) -> None:
        for channel in (self._shell_channel, self._iopub_channel):
            if channel is not None:
                channel.stop()

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Raises RuntimeError where the kernel has died, or is not ready in time (seconds)."""
        deadline = time.monotonic() + (timeout or float("inf"))
        await self.iopub_channel.connected(1)
        while time.monotonic() < deadline:
            try:
                return await self._answer(self.kernel_info())
            except Empty:
                pass  # it is not yet there, or has not yet heard that we listen
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
        raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    async def _answer(self, request: str) -> None:
        """Read both channels up to the end of a request. Raises Empty where that is long in coming."""
        while True:
            reply = await self.shell_channel.get_msg(timeout=1)
            if reply["parent_header"].get("msg_id") == request:
                break
        self._handle_kernel_info_reply(reply)
        while True:
            said = await self.iopub_channel.get_msg(timeout=0.03)
            ours = said["parent_header"].get("msg_id") == request
            if ours and said["content"].get("execution_state") == "idle":
                return


class SandboxProvisioner(KernelProvisionerBase):
    """One submission's kernel, in namespaces of its own, talking through Unix sockets."""

    libraries = List(Unicode(), help="What may be imported besides NumPy.").tag(config=True)
    memory = Integer(Limits.memory, help="Bytes of memory for a submission.").tag(config=True)
    disk = Integer(Limits.disk, help="Bytes that a submission may write.").tag(config=True)
    processes = Integer(Limits.processes, help="Processes and threads.").tag(config=True)
    cpu = Integer(Limits.cpu, help="Seconds of CPU time.").tag(config=True)
    cores = Integer(1, help="Threads of a library that compute at once.").tag(config=True)

    jailed: Jailed | None = None
    folder: Path | None = None
    said: dict  # what is known of the kernel when it has ended: see `Jailed.close`

    @property
    def has_process(self) -> bool:
        return self.jailed is not None

    async def poll(self) -> int | None:
        return None if self.jailed is not None and self.jailed.alive else 1

    async def wait(self) -> int | None:
        while await self.poll() is None:
            await asyncio.sleep(0.01)
        self._forget()
        return 1

    async def send_signal(self, signum: int) -> None:
        if self.jailed is not None and signum:
            self.jailed.signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """End it. It is soon gone: jupyter_client would look again only after 0.1 s."""
        await self.send_signal(signal.SIGKILL)
        end = time.monotonic() + 0.1
        while await self.poll() is None and time.monotonic() < end:
            await asyncio.sleep(0.002)

    async def terminate(self, restart: bool = False) -> None:
        await self.kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        self._forget()

    def _forget(self) -> None:
        if self.jailed is not None:
            self.said = self.jailed.close()
            self.jailed = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose where the sockets stand. Unix sockets: there is no network to talk through."""
        manager = self.parent
        self.folder = Path(tempfile.mkdtemp(dir=_jails()))
        manager.client_factory = SandboxClient
        manager._connect_control_socket = lambda: None  # it would be read, and is never written to
        manager.transport, manager.ip = "ipc", str(self.folder / "k")
        manager.connection_file = f"{self.folder}.json"  # it goes where a killed grader's things go
        for number, port in enumerate(_PORTS, start=1):
            setattr(manager, port, number)
        self.connection_info = manager.get_connection_info()
        kwargs.pop("extra_arguments", None)
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork it. What is in the environment of the grader is not in the kernel's."""
        libraries = tuple(self.libraries)
        key = self.connection_info["key"]
        inside = {
            **{
                name: self.connection_info[name]
                for name in (*_PORTS, "transport", "signature_scheme")
            },
            "ip": f"{SOCKETS}/k",
            "key": key.decode() if isinstance(key, bytes) else key,
        }
        limits = Limits(self.memory, self.disk, self.processes, self.cpu)
        given = kwargs.get("env", {})
        environment = {name: given[name] for name in (ANSWER_ONLY,) if name in given}
        environment |= threads(self.cores)
        self.jailed = zygote(libraries).fork(inside, self.folder, environment, limits)
        return self.connection_info
