"""Many submissions at once, on Dask: a local cluster, or any scheduler.

Most of a submission's work is done in its kernel, a process of its own. What is left is little: one
process serves several submissions at once, each in a thread.
"""

import contextlib
import logging
import math
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager

from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, Security, WorkerPlugin, as_completed

from autograder.errors import Refused
from autograder.files import ONE_THREAD
from autograder.grading.job import Job, run

THREADS = 4  # submissions at once in one process; more would wait for one another
AHEAD = 3  # jobs that wait at each worker, so that none is idle and none are many
AT_LEAST = 12  # jobs that wait all the same: a cluster that grows with its work must see some
TRIES = 2  # how many workers may die of a job before it is given up
ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/]+:\d{1,5}/?")
REACH = 10  # seconds in which a scheduler must answer
NOT_STARTED = "The workers on this machine could not be started: run the same command again."
LOST = "The Dask cluster was lost. What was graded is kept: run the same command again."


class Outcome:
    """A job that has come back: its notebook as JSON, or why there is none."""

    def __init__(self, job: Job, notebook: str = "", failure: str = ""):
        self.job, self.notebook, self.failure = job, notebook, failure


class _DeafToInterrupts(WorkerPlugin):
    """Ctrl-C reaches every process of the terminal; it is for the client, which ends the others."""

    name = "deaf-to-interrupts"

    def setup(self, worker) -> None:
        with contextlib.suppress(ValueError):  # not in a process of its own
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def farm(workers: int | None = None, scheduler: str | None = None) -> Iterator[Client]:
    """A Dask client. workers: submissions at once on this machine, by default one a core; scheduler:
    the address of a running one instead. Raises Refused where that cannot be reached.

    For a few submissions at once there is no other process, and nobody else can hand in work.
    """
    import dask

    settings = {
        "distributed.scheduler.allowed-failures": TRIES,
        "distributed.worker.daemon": False,  # a worker starts the process that kernels come from
        "distributed.admin.large-graph-warning-threshold": "1GB",
        "distributed.scheduler.http.routes": [],  # nothing is served to browsers
        "distributed.worker.http.routes": [],
        "distributed.worker.profile.enabled": False,  # looks at all threads, a hundred times a second
        "distributed.admin.tick.interval": "1s",
    }
    for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is to be said, we say in one line
    with dask.config.set(settings):
        if scheduler:
            if not ADDRESS.fullmatch(scheduler):
                raise Refused(f"{scheduler!r} is no address of a Dask scheduler: tcp://HOST:PORT.")
            try:
                client = Client(scheduler, timeout=REACH, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                said = str(error).splitlines()[0].rstrip(".")
                raise Refused(f"There is no Dask scheduler at {scheduler}: {said}.") from None
            with client:
                try:
                    empty = not client.ncores()
                except OSError as error:
                    raise Refused(LOST) from error
                if empty:
                    said = f"The cluster at {scheduler} has no workers yet; waiting for the first."
                    print(said, file=sys.stderr)
                yield client
            return
        workers = workers or CPU_COUNT
        processes = math.ceil(workers / THREADS)
        many = processes > 1
        with ExitStack() as stack:
            try:
                cluster = LocalCluster(
                    n_workers=processes,
                    threads_per_worker=math.ceil(workers / processes),
                    processes=many,
                    host="127.0.0.1" if many else None,
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    # Without keys, everybody on this machine could talk to its workers.
                    security=Security.temporary() if many else None,
                    memory_limit=0,  # submissions have a limit of their own
                    silence_logs=50,
                    **({"env": dict(ONE_THREAD)} if many else {}),
                )
                stack.enter_context(cluster)
                client = stack.enter_context(Client(cluster, set_as_default=False))
                if many:
                    client.register_plugin(_DeafToInterrupts())
            except (OSError, RuntimeError) as error:
                raise Refused(NOT_STARTED) from error
            yield client


def outcomes(client: Client, jobs: Iterable[Job]) -> Iterator[Outcome]:
    """The outcome of each job, in the order in which they are done.

    At no time are there more than a few jobs and results, however many are to come. Raises Refused
    for what is wrong for all of them.
    """
    waiting = iter(jobs)
    known: dict = {}
    done = as_completed(loop=client.loop)

    def submit() -> None:
        """Top up: workers may have come or gone."""
        wanted = max(AT_LEAST, AHEAD * sum(client.ncores().values()))
        while len(known) < wanted and (job := next(waiting, None)) is not None:
            future = client.submit(run, job, pure=False, retries=0)
            known[future] = job
            done.add(future)

    try:
        submit()
        for future in done:
            yield _outcome(known.pop(future), future)
            future.release()
            submit()
    except (OSError, CancelledError) as error:
        raise Refused(LOST) from error
    finally:
        for future in known:
            future.release()


def _outcome(job: Job, future) -> Outcome:
    # A worker may die with a result that nobody has fetched: then it is made again, and waited for.
    error = future.exception()  # raises CancelledError where the scheduler was lost
    if error is None:
        return Outcome(job, notebook=future.result())
    if isinstance(error, Refused):
        raise error
    said = str(error).splitlines() or [""]
    return Outcome(job, failure=f"{type(error).__name__}: {said[0]}")
