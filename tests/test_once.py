"""What is computed once is computed by one thread, and again where Python itself failed."""

import threading

import pytest

from autograder.grading import job
from autograder.grading.once import TRIES, once
from autograder.grading.sandbox import warm


def in_threads(count, function):
    """What it returns, or raises, in as many threads at the same time."""
    ready, found = threading.Barrier(count), []

    def ask():
        ready.wait(10)
        try:
            found.append(function())
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_of_all_that_ask_at_the_same_time_one_computes():
    inside, most, calls = [], [], []

    @once
    def first(number):
        inside.append(number)
        calls.append(number)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.remove(number)
        return number

    @once
    def second(number):
        return first(number) + 1

    assert in_threads(4, lambda: first(1) + second(2)) == [4] * 4
    assert sorted(calls) == [1, 2]
    assert max(most) == 1


def test_for_what_is_known_nobody_waits():
    inside, done = threading.Event(), threading.Event()

    @once
    def quick(number):
        return number

    @once
    def slow():
        inside.set()
        return done.wait(30)

    assert quick(1) == 1
    computing = threading.Thread(target=slow)
    computing.start()
    assert inside.wait(10)
    found = []
    threading.Thread(target=lambda: found.append(quick(1)), daemon=True).start()
    for _ in range(1000):
        if found:
            break
        done.wait(0.01)
    assert found == [1]
    done.set()
    computing.join(10)


def test_where_python_failed_it_is_tried_again():
    tries = []

    @once
    def fails_at_first():
        tries.append(1)
        if len(tries) < 4:
            raise SystemError("AST constructor recursion depth mismatch (before=63, after=55)")
        return "done"

    @once
    def always_fails():
        tries.append(1)
        raise SystemError

    assert fails_at_first() == "done"
    tries.clear()
    with pytest.raises(SystemError):
        always_fails()
    assert len(tries) == TRIES + 1


def test_an_error_of_its_own_is_raised_at_once():
    tries = []

    @once
    def wrong():
        tries.append(1)
        raise ValueError

    with pytest.raises(ValueError):
        wrong()
    assert len(tries) == 1


def test_threads_that_begin_together_read_the_same_code_and_the_same_packages():
    expected = job.version(("rnn_step",)), warm.view_of(())
    for function in (job.version, warm.view_of):
        function.cache_clear()
    found = in_threads(4, lambda: (job.version(("rnn_step",)), warm.view_of(())))
    assert found == [expected] * 4
