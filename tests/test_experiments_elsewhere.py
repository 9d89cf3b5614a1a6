"""An experiment that needs a GPU says so without one, and keeps what was found where there is one."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from experiments import beyond_device, runner


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_is_said_and_stored_measurements_stay(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    path = runner.record("beyond_device")
    assert len(capsys.readouterr().err.splitlines()) == 1
    found = json.loads(path.read_text(encoding="utf-8"))
    assert {row["found"]["device"] for row in found["runs"]} == {""}

    found["runs"][0]["found"] = {"device": "some GPU", "seconds": {"LSTM": [1.0]}}
    path.write_text(json.dumps(found), encoding="utf-8")
    before = path.read_bytes()
    assert runner.record("beyond_device") == path
    assert path.read_bytes() == before

    found["settings"]["width"] += 1  # of other settings: no longer what the code asks for
    path.write_text(json.dumps(found), encoding="utf-8")
    runner.record("beyond_device")
    assert json.loads(path.read_text(encoding="utf-8"))["settings"] == beyond_device.SETTINGS


def test_the_measurement_itself_runs():
    settings = runner.reduced(beyond_device)
    for one in beyond_device.runs(settings):
        found = beyond_device.on(torch.device("cpu"), settings, **one)
        assert found["device"] == "cpu"
        assert all(len(times) == settings["repeats"] for times in found["seconds"].values())
