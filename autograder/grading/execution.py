"""Run a sanitised submission: every cell, whatever the others do, in a kernel told to answer only."""

import json
import os
import re
from pathlib import Path
from time import monotonic

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient.client import CellExecutionComplete
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute as StockExecute
from traitlets import Integer, default

from autograder.check import ANSWER_ONLY, MIME
from autograder.errors import Refused
from autograder.exercise import Needs, find
from autograder.files import threads
from autograder.grading import hidden, isolation
from autograder.grading.course import course_of, exercise_of, exercises_of, libraries_of, needs_of
from autograder.grading.expectations import expectations
from autograder.grading.sandbox import provisioner
from autograder.grading.sandbox.jail import Limits
from autograder.grading.sanitise import KEY
from autograder.sent import to_send

MAX_OUTPUT, MAX_SHOWN = 1_000_000, 20_000_000  # characters shown by one cell, by all together
MAX_REPLY = 100_000  # characters of an error of which only the kernel's reply tells
MIN_OUTPUT = 200  # for how many an output counts at least
MAX_ANSWER = 5_000_000  # characters of answers from one test cell
TOO_LARGE = "too large"
OUTPUTS = ("stream", "display_data", "execute_result", "error")
TAKEN = (*OUTPUTS, "status", "execute_input", "clear_output")
TRIES = 3  # how often a kernel may be killed by somebody else than the student

# What stands in a cell's outputs, as the name of an error, where it did not run to its end.
TOO_SLOW, DIED, OUT_OF_TIME = "CellTimeoutError", "KernelDied", "NotebookTimeout"
NOT_RUN = "NotRun"


class KilledFromOutside(RuntimeError):
    """A kernel was killed, and not by what ran in it: this says nothing about the submission."""


class Execute(StockExecute):
    """nbgrader's execution, which here always ends and gives every test cell its chance.

    A cell that ends the kernel is left out, and the notebook is run again without it. Where
    somebody else ended the kernel, all is run again. An assignment may need more time than others.
    Once held-out cases have been sent, nothing that a kernel says is shown to anybody: only test
    cells are run from there on, and no other kernel. It might find what the first one left in the
    machine's memory, such as which files have been read.
    """

    restarts = Integer(3, help="How often a kernel that died is replaced.").tag(config=True)
    notebook_timeout = Integer(help="Seconds for a usual notebook as a whole.").tag(config=True)
    seed = Integer(help="From it come the hidden cases; by default the course's.")

    @default("notebook_timeout")
    def _ten_cells(self):
        return 10 * (self.timeout or 30)

    @default("timeout_func")
    def _as_it_needs(self):
        return lambda cell: self._needs.times * (self.timeout or 30)

    _needs = Needs()

    @property
    def _whole(self) -> int:
        """Seconds for the whole notebook."""
        return max(self.notebook_timeout, 2 * self._as_it_needs()(None))

    @default("record_timing")
    def _nobody_asks(self):
        return False

    @default("seed")
    def _of_the_course(self):
        return hidden.seed(Path(course_of(self).root))

    def preprocess(self, nb, resources, km=None):
        """Execute all cells; never raises for what a submission does.

        Raises Refused where this machine cannot, KilledFromOutside, and RuntimeError as `expectations`.
        """
        if "refused" in nb.metadata.get(KEY, {}):
            return nb, resources
        why, names = "", exercises_of(nb)
        self._needs = needs_of(names)
        self._questions: dict[str, str] = {}  # the held-out cases, by exercise
        if any(find(name).held_out for name in names):
            known = expectations(names, self.seed)
            self._questions = {n: to_send(known[n].cases) for n in names if find(n).held_out}
        seen = False  # whether a kernel before this one has been sent held-out cases
        for _ in range(TRIES):
            self._managers: list[KernelManager] = []
            self._sent = False
            try:
                done = self._preprocess(nb, resources, km)
            except Refused:
                raise
            except Exception as error:
                why = f"its kernel could not be used ({type(error).__name__}: {error})"
            else:
                if not any(_killed_from_outside(manager) for manager in self._managers):
                    if seen:
                        _show_nothing(nb)
                    return done
                why = "its kernel was killed from outside, or for want of memory on that machine"
            seen |= self._sent
            self.log.warning("It is executed again: %s", why)
            self._forget_kernel()
        raise KilledFromOutside(f"{why}; {TRIES} times")

    def _preprocess(self, nb, resources, km):
        """Execute all cells; those that end the kernel are left out."""
        self._deadline = monotonic() + self._whole
        self._ended: dict[int, NotebookNode] = {}  # what to say of cells that ended the kernel
        while True:
            self._current, self._shown, self._sent = -1, 0, False
            try:
                return super().preprocess(nb, resources, km)
            except Exception as error:
                if self._current < 0 or self._current in self._ended:
                    raise  # the kernel did not start, or could not be ended: not the student's doing
                self.log.warning("Cell %d ended the kernel: %r", self._current, error)
                self._ended[self._current] = _stopped(error)
            if self._sent:
                _leave_out(nb.cells[self._current], self._ended[self._current])
                for cell in nb.cells[self._current + 1 :]:
                    _leave_out(cell, _not_any_more())
                return nb, resources
            if len(self._ended) > self.restarts:
                for index in range(self._current + 1, len(nb.cells)):
                    _leave_out(nb.cells[index], _ended_before())
                return nb, resources
            self._forget_kernel()

    def _forget_kernel(self) -> None:
        """Whatever the last kernel left behind, the next run starts a new one."""
        if self.km is not None:
            try:
                self._cleanup_kernel()
            except Exception as error:
                self.log.warning("The kernel could not be cleaned up: %r", error)
        self.km = self.kc = None

    def create_kernel_manager(self):
        """A manager whose kernels are forked into jails, whatever kernel the notebook names."""
        if not isolation.on():
            self._managers.append(super().create_kernel_manager())
            return self.km
        manager = self.kernel_manager_class(config=self.config)
        own = {
            "libraries": list(libraries_of(exercises_of(self.nb))),
            "cores": self._needs.cores,
            "cpu": max(Limits.cpu, self._needs.cores * self._whole),
        }
        manager._kernel_spec = KernelSpec(
            display_name="a submission",
            language="python",
            metadata={"kernel_provisioner": {"provisioner_name": provisioner.NAME, "config": own}},
        )
        self.km = manager
        self._managers.append(manager)
        return manager

    def start_new_kernel(self, **kwargs):
        """Start the kernel with the hidden seed in its environment, and only there.

        Where all hidden cases are held out, it is sent those, and no seed that leads to them.
        """
        names = exercises_of(self.nb)
        drawn = not names or any(not find(name).held_out for name in names)
        seed = str(self.seed if drawn else 0)
        stock = {"NBGRADER_EXECUTION": "autograde"}
        computing = threads(self._needs.cores)
        environment = {**computing, **os.environ, **stock, ANSWER_ONLY: seed}
        super().start_new_kernel(env=environment, **kwargs)

    def preprocess_cell(self, cell, resources, index):
        """Execute one cell; a test cell calls the course's `check`, whatever that name means now."""
        self._current = index
        # Of thousands of outputs the kernel drops some, and with them the note that a cell is done.
        self.raise_on_iopub_timeout = False
        if cell.cell_type != "code":
            return cell, resources
        cell.outputs, cell.execution_count, self._printed = [], None, 0
        if index in self._ended:
            _leave_out(cell, self._ended[index])
            return cell, resources
        if monotonic() > self._deadline:
            _leave_out(cell, _out_of_time(self._whole))
            return cell, resources
        shown, name = cell.source, exercise_of(cell)
        if self._sent and not name:
            _leave_out(cell, _not_any_more())
            return cell, resources
        try:
            if name:
                cell.source = self._question(name, shown.strip())
            return super().preprocess_cell(cell, resources, index)
        finally:
            cell.source = shown

    def _question(self, name: str, call: str) -> str:
        """What the kernel is asked in a test cell, whose text is `call`: check("name", name)."""
        if name not in self._questions:
            return f"__import__('autograder').{call}"
        self._sent, sent = True, self._questions[name]
        module = "__import__('autograder.check', fromlist=['answer'])"
        return f"{module}.answer({call.removeprefix('check(').removesuffix(')')}, {sent!r})"

    async def _async_check_alive(self):
        """As nbclient's; a look that comes after a kernel was given up finds it dead."""
        if self.kc is None:
            raise DeadKernelError("It was given up.")
        await super()._async_check_alive()

    async def _async_handle_timeout(self, timeout, cell=None):
        """Interrupt a cell; where it does not say that it is done, it cannot be interrupted."""
        self.raise_on_iopub_timeout = True
        if self.error_on_timeout is not None:
            said = f"not done after {timeout} seconds"
            told = {"evalue": said, "traceback": [f"{TOO_SLOW}: {said}"]}
            self.error_on_timeout = {**self.error_on_timeout, **told}
        return await super()._async_handle_timeout(timeout, cell)

    def process_message(self, msg, cell, cell_index):
        """Take one message of the kernel; outputs beyond the bounds are dropped as they come."""
        kind, content = msg["msg_type"], msg["content"]
        if kind not in TAKEN:
            return None
        if kind in OUTPUTS:
            content.pop("transient", None)  # no display changes a later or an earlier cell
            data = content.get("data")
            if isinstance(data, dict) and MIME in data:
                answer = data[MIME]
                fits = isinstance(answer, str) and len(answer) <= MAX_ANSWER
                content["data"] = {MIME: answer if fits else TOO_LARGE}
                cell.outputs = [output for output in cell.outputs if not answer_in(output)]
            else:
                size = max(_size(content), MIN_OUTPUT)
                if self._printed + size > MAX_OUTPUT or self._shown + size > MAX_SHOWN:
                    self._cut(cell)
                    return None
                self._printed += size
                self._shown += size
        try:
            return super().process_message(msg, cell, cell_index)
        except CellExecutionComplete:
            raise
        except Exception as error:
            self.log.debug("A malformed message was dropped: %r", error)
            return None

    def on_cell_executed(self, **kwargs):
        """As nbgrader does; what the kernel replies is a student's text too."""
        said = kwargs["execute_reply"]["content"]
        if said.get("status") == "error":
            lines = said.get("traceback")
            said["ename"], said["evalue"] = str(said.get("ename")), str(said.get("evalue"))
            said["traceback"] = [str(line) for line in lines] if isinstance(lines, list) else []
            size = _size(said)
            if size > MAX_REPLY or self._shown + size > MAX_SHOWN:
                said["ename"], said["evalue"] = said["ename"][:100], said["evalue"][:1000]
                said["traceback"] = []
            else:
                self._shown += size
        super().on_cell_executed(**kwargs)

    def _cut(self, cell: NotebookNode) -> None:
        if self._printed <= MAX_OUTPUT:
            self._printed = MAX_OUTPUT + 1
            text = (
                f"\n... cut here: a cell shows at most {MAX_OUTPUT} characters, "
                f"and all together {MAX_SHOWN}.\n"
            )
            cell.outputs.append(new_output("stream", name="stdout", text=text))


def _killed_from_outside(manager: KernelManager) -> bool:
    """Whether a jailed kernel was killed by what is not in its jail.

    A kernel is the first process of its jail, which nothing inside can kill; the system itself
    kills it when its seconds are used up. Without a jail nobody can tell.
    """
    said = getattr(manager.provisioner, "said", None)
    if said is None:
        return False
    if not said:  # the process that keeps the jail was killed
        return True
    return said.get("how") == "signal 9" and said.get("cpu", 0) < manager.provisioner.cpu - 1


def answer_in(output: NotebookNode) -> str:
    """The text of the answers that an output holds, or ""."""
    data = output.get("data")
    text = data.get(MIME) if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""


def _size(content: dict) -> int:
    try:
        return len(content["text"]) if "text" in content else len(json.dumps(content))
    except (TypeError, ValueError):
        return MAX_OUTPUT + 1


def _error(name: str, text: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])


def _stopped(error: Exception) -> NotebookNode:
    if isinstance(error, CellTimeoutError):
        why = "This cell was not done in time, and could not be interrupted"
        return _error(TOO_SLOW, f"{why}. The other cells were run without it.")
    why = f"This cell ended Python ({type(error).__name__})"
    return _error(DIED, f"{why}. The other cells were run without it.")


def _ended_before() -> NotebookNode:
    return _error(DIED, "Not run: too many cells before this one ended Python.")


def _out_of_time(seconds: int) -> NotebookNode:
    return _error(OUT_OF_TIME, f"Not run: the notebook had used up its {seconds} seconds.")


def begun(error: NotebookNode) -> bool:
    """Whether a cell with this error was asked of the kernel at all, which then may have said anything."""
    ours = (str(_ended_before().evalue), str(_out_of_time(0).evalue))
    return re.sub(r"\d{1,6}", "0", str(error.get("evalue")), count=1) not in ours


def _not_any_more() -> NotebookNode:
    return _error(NOT_RUN, "This cell comes after the check of held-out cases: it is not run.")


def _show_nothing(nb: NotebookNode) -> None:
    """Of what ran after another kernel had been sent held-out cases, leave only the test cells."""
    said = "This machine made it necessary to run the notebook twice; what it said is not shown."
    for cell in nb.cells:
        if not exercise_of(cell):
            _leave_out(cell, _error(NOT_RUN, said))


def _leave_out(cell: NotebookNode, note: NotebookNode) -> None:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [note], None
