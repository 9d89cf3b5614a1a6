"""A jail's kernel shows what any IPython kernel shows."""

import nbformat
import pytest

from autograder.grading import isolation
from autograder.grading.execution import Execute

CELLS = [
    "import sys",
    "print('a', end='')\nsys.stdout.flush()\nprint('b')\nprint('c', file=sys.stderr)\nprint('d')",
    "x = 1\nx",
    "x = 1\nx",
    "import asyncio\nawait asyncio.sleep(0)\nprint('awaited')",
    "%precision 2\n3.14159",
    "%%capture said\nprint('kept')",
    "said.stdout",
    "def f(:",
    "%no_such_magic",
    "1 / 0",
    "?",
    "display({'text/plain': 'shown'}, raw=True)\nprint('after')",
    "type(get_ipython()).__name__, len(sys.modules) > 100",
    "import logging\nlogging.getLogger('a').warning('told')",
    "input()",
]


@pytest.fixture(scope="module")
def shown():
    """The outputs of the cells, in a jail and in a stock kernel."""

    def run() -> list:
        step = Execute(seed=1, timeout=30, startup_timeout=120)
        step.shutdown_kernel, step.store_widget_state = "immediate", False
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
        cells = step.preprocess(nb, {"metadata": {"name": "x"}, "unique_key": "x"})[0].cells
        return [[_plain(output) for output in cell.outputs] for cell in cells]

    jailed = run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolation, "on", lambda: False)
        return jailed, run()


def _plain(output) -> tuple:
    """Without what names a place on this machine."""
    if output.output_type == "error":
        return "error", f"{output.ename}: {output.evalue}"
    if output.output_type == "stream":
        return output.name, output.text
    return output.output_type, str(output.data)


def _together(outputs: list) -> list:
    """What is printed comes in pieces, as time will have it."""
    found: dict[str, str] = {}
    for kind, text in outputs:
        found[kind] = found.get(kind, "") + text
    return sorted(found.items())


@pytest.mark.parametrize("number", range(len(CELLS)), ids=CELLS)
def test_it_shows_what_a_stock_kernel_shows(number, shown):
    jailed, stock = shown
    assert _together(jailed[number]) == _together(stock[number])


def test_each_cell_shows_what_it_should(shown):
    kinds = [{kind for kind, _ in outputs} for outputs in shown[0]]
    assert kinds[0] == set()
    assert [kinds[1], kinds[3]] == [{"stdout", "stderr"}, {"execute_result"}]
    assert ("error", "ZeroDivisionError: division by zero") in shown[0][CELLS.index("1 / 0")]
    printed = "".join(text for kind, text in shown[0][1] if kind == "stdout")
    assert printed == "ab\nd\n"
