"""What is expected is what the references answer, whichever process asks them."""

import pytest

from autograder.grading import expectations as module
from autograder.grading import isolation, live
from autograder.grading.expectations import TRIES, expectations
from autograder.grading.sandbox import provisioner

NAMES, SEED = ("rnn_step", "set_forget_bias"), 4711  # the second one needs PyTorch


@pytest.fixture(autouse=True)
def nothing_is_known():
    expectations.cache_clear()
    yield
    expectations.cache_clear()


def as_text(found):
    """NumPy's arrays have no one answer to whether they are equal."""
    return {
        name: (
            repr(e.cases),
            e.reference.to_json(),
            {k: v.to_json() for k, v in e.mistakes.items()},
        )
        for name, e in found.items()
    }


@pytest.mark.parametrize("isolated", [True, False])
def test_another_process_finds_what_this_one_would(isolated, monkeypatch):
    monkeypatch.setattr(isolation, "on", lambda: isolated)
    here = live.all_expected(NAMES, SEED)
    assert as_text(expectations(NAMES, SEED)) == as_text(here)
    cases = here["rnn_step"].cases
    assert len(cases) == 2 * len(live.expected("rnn_step").cases)


def test_where_what_computes_is_killed_it_is_done_again(monkeypatch):
    said = [b"", b"\x80\x05", module._forked(("rnn_step",), SEED)]
    monkeypatch.setattr(module, "_forked", lambda *_: said.pop(0))
    assert set(expectations(("rnn_step",), SEED)) == {"rnn_step"}
    assert not said


def test_where_it_never_can_be_done_it_says_so(monkeypatch):
    tries = []
    monkeypatch.setattr(module, "_forked", lambda *_: tries.append(1) or b"")
    with pytest.raises(RuntimeError, match="could not be computed"):
        expectations(("rnn_step",), SEED)
    assert len(tries) == TRIES


def test_a_warm_process_that_has_died_is_started_again():
    provisioner.zygote(())._process.kill()  # it may not have died when it is asked
    assert set(expectations(("rnn_step",), SEED)) == {"rnn_step"}


def test_a_warm_process_whose_folder_was_tidied_away_is_started_again():
    warm = provisioner.zygote(())
    warm._place.rmdir()
    assert provisioner.zygote(()) is not warm
    assert set(expectations(("rnn_step",), SEED)) == {"rnn_step"}


def test_a_notebook_without_exercises_expects_nothing():
    assert expectations((), SEED) == {}
