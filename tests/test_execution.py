"""How a submission's cells are executed, whatever they do."""

import nbformat
import pytest

from autograder.grading import execution
from autograder.grading.execution import Execute


@pytest.fixture(scope="module")
def execute():
    """Runs a notebook of these cells; returns them with their outputs."""

    def run(*sources: str, **settings) -> list:
        step = Execute(seed=1, **{"timeout": 30, "startup_timeout": 120, **settings})
        step.shutdown_kernel, step.store_widget_state = "immediate", False
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
        return step.preprocess(nb, {"metadata": {"name": "x"}, "unique_key": "x"})[0].cells

    return run


def test_a_cell_that_shows_thousands_of_things_does_not_count_as_one_that_never_ends(execute):
    loud, after = execute(
        "for i in range(5000): display(i)\nanswer = i", "print(answer)", iopub_timeout=2
    )
    assert all(output.output_type == "display_data" for output in loud.outputs)
    assert loud.outputs
    assert [output.text for output in after.outputs] == ["4999\n"]


def test_an_error_in_a_cell_stops_no_other(execute):
    fails, after = execute("1 / 0", "print('after')")
    assert [output.ename for output in fails.outputs] == ["ZeroDivisionError"]
    assert [output.text for output in after.outputs] == ["after\n"]


def test_a_cell_that_cannot_be_interrupted_costs_no_other_one(execute):
    deaf, after = execute(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)",
        "print('after')",
        timeout=1,
        iopub_timeout=1,
        error_on_timeout={"ename": "CellTimeoutError", "evalue": "", "traceback": []},
    )
    assert [output.ename for output in deaf.outputs] == ["CellTimeoutError"]
    assert [output.text for output in after.outputs] == ["after\n"]


def test_all_cells_together_show_only_so_much(execute, monkeypatch):
    monkeypatch.setattr(execution, "MAX_SHOWN", 10_000)
    cells = execute(*["print('x' * 3000)"] * 10)
    shown = ["".join(output.text for output in cell.outputs) for cell in cells]
    assert all("x" * 3000 in text for text in shown[:3])
    assert all("cut here" in text and "x" not in text for text in shown[3:])


def test_an_error_told_in_the_reply_alone_is_bounded_too(execute):
    (cell,) = execute(
        "kernel = get_ipython().kernel\n"
        "send = kernel.session.send\n"
        "def forged(stream, kind, content=None, *a, **k):\n"
        "    if kind == 'execute_reply':\n"
        "        content = dict(status='error', ename='E', evalue='v' * 9_000_000,\n"
        "                       traceback=['x' * 9_000_000] * 2, execution_count=1)\n"
        "    return send(stream, kind, content, *a, **k)\n"
        "kernel.session.send = forged"
    )
    assert [output.ename for output in cell.outputs] == ["E"]
    assert len(str(cell.outputs)) < 3_000
