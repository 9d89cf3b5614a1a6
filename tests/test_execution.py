"""How a submission's cells are executed, whatever they do."""

import nbformat
import pytest

from autograder.grading.execution import Execute


@pytest.fixture(scope="module")
def execute():
    """Runs a notebook of these cells; returns them with their outputs."""

    def run(*sources: str, **settings) -> list:
        step = Execute(seed=1, timeout=30, startup_timeout=120, **settings)
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
