"""What is expected is computed while nothing else is done in the process."""

import threading

import pytest

from autograder.grading import live

NAMES, SEED = ("rnn_step",), 4711


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    monkeypatch.setattr(live, "_known", set())


def test_preparing_waits_for_those_at_work_and_others_wait_for_it(monkeypatch):
    order: list[str] = []
    monkeypatch.setattr(live, "expected", lambda name, seed=0: order.append("prepared"))
    working, let_go = threading.Event(), threading.Event()

    def first() -> None:
        with live.at_work():
            working.set()
            let_go.wait(10)
            order.append("first done")

    def later() -> None:
        with live.at_work():
            order.append("later")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert working.wait(10)
    threads.append(threading.Thread(target=live.prepare, args=(NAMES, SEED)))
    threads[1].start()
    while not live._waiting:
        assert threads[1].is_alive()
    threads.append(threading.Thread(target=later))
    threads[2].start()
    threads[2].join(0.1)
    assert order == []
    let_go.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first done", "prepared", "prepared", "later"]


def test_what_fails_while_preparing_keeps_nobody_from_work(monkeypatch):
    def fail(*_) -> None:
        raise ValueError

    monkeypatch.setattr(live, "expected", fail)
    with pytest.raises(ValueError):
        live.prepare(NAMES, SEED)
    with live.at_work():
        assert (live._working, live._waiting) == (1, 0)
    assert (live._working, live._waiting) == (0, 0)


def test_for_what_is_prepared_nobody_waits(monkeypatch):
    monkeypatch.setattr(live, "expected", lambda name, seed=0: None)
    live.prepare(NAMES, SEED)
    monkeypatch.setattr(live, "expected", None)
    with live.at_work():
        again = threading.Thread(target=live.prepare, args=(NAMES, SEED), daemon=True)
        again.start()
        again.join(10)
        assert not again.is_alive()
