"""The stored results of long experiments are what their code finds, with the settings it has now."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from experiments import runner

NAMES = runner.names()


def stored(name):
    return json.loads((runner.RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def test_every_experiment_has_results_and_every_result_an_experiment():
    assert NAMES
    assert sorted(path.stem for path in runner.RESULTS.glob("*")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_results_are_of_the_settings_that_the_code_has(name):
    module, result = runner.experiment(name), stored(name)
    assert result["settings"] == json.loads(json.dumps(module.SETTINGS))
    assert [row["run"] for row in result["runs"]] == module.runs(module.SETTINGS)
    assert result["question"] == module.__doc__.strip().splitlines()[0]
    assert result["versions"]["torch"] == runner.versions()["torch"]


@pytest.mark.parametrize("name", NAMES)
def test_a_reduced_run_finds_what_it_found(name):
    module = runner.experiment(name)
    found = runner.compute(name, runner.reduced(module))
    assert found
    measured = getattr(module, "MEASURED", ())
    assert list(runner.differences(stored(name)["reduced"], found, measured)) == []


@pytest.mark.parametrize(
    ("expected", "found", "says"),
    [
        ([{"a": 1.0}], [{"a": 1.0004}], []),
        ([{"a": 1.0}], [{"a": 1.002}], ["[0].a: 1.0 was 1.002"]),
        ([{"a": [1, 2]}], [{"a": [1, 3]}], ["[0].a[1]: 2 was 3"]),
        ([{"a": 1}], [{"b": 1}], ["[0]: {'a': 1} was {'b': 1}"]),
        ([{"seconds": 1.0}], [{"seconds": 9.0}], []),
        ([], [1], [": [] was [1]"]),
    ],
)
def test_what_counts_as_a_difference(expected, found, says):
    assert list(runner.differences(expected, found, ("seconds",))) == says
