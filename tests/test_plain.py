"""Plain values: copied out of reach, written without pickle, read back bit for bit."""

import json

import numpy as np
import pytest

from autograder.plain import MAX_NUMBERS, Other, copy_inputs, decode, encode, identical, snapshot


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        -0.1,
        float("nan"),
        float("-inf"),
        "text",
        [1, [2.5, None]],
        {"W_h": np.arange(6.0).reshape(2, 3), "b": np.float64(0.1)},
        np.array([], dtype=np.int64),
        np.array([np.nan, np.inf, 0.1]),
        np.array([[True, False]]),
        np.float32([0.1, 0.2]),
        Other("a torch.Tensor"),
    ],
    ids=repr,
)
def test_a_snapshot_survives_writing_and_reading(value):
    plain = snapshot(value) if not isinstance(value, Other) else value
    text = json.dumps(encode(plain), allow_nan=False)
    assert identical(decode(json.loads(text)), plain)


def test_a_snapshot_is_out_of_reach_of_later_changes():
    state = np.zeros(3)
    kept = snapshot([state])
    state += 1
    assert kept[0].tolist() == [0, 0, 0]


def test_tuples_and_numpy_scalars_become_lists_and_numbers():
    kept = snapshot((np.float64(0.5), np.int32(3), np.bool_(True), np.array(2.0)))
    assert kept == [0.5, 3, True, 2.0]
    assert [type(item) for item in kept] == [float, int, bool, float]


def test_what_is_not_plain_is_only_named():
    import torch

    assert snapshot(torch.zeros(2)) == Other("a torch.Tensor")
    assert snapshot(np.array([1j])) == Other("an array of dtype complex128")
    assert snapshot(np.array([object()])) == Other("an array of dtype object")
    assert snapshot(2**80) == Other("an int beyond 64 bits")
    assert isinstance(snapshot(lambda: 0), Other)


def test_size_and_depth_are_bounded():
    assert isinstance(snapshot(np.zeros(MAX_NUMBERS + 1)), Other)
    assert isinstance(snapshot([0] * (MAX_NUMBERS + 1)), Other)
    loop = []
    loop.append(loop)
    assert "nested too deeply" in repr(snapshot(loop))


@pytest.mark.parametrize(
    "data",
    [
        {"array": "AAAA", "shape": [1], "dtype": "float64"},
        {"array": "", "shape": [1], "dtype": "object"},
        {"array": 3, "shape": [1], "dtype": "float64"},
        {"array": "AAAAAAAAAAA=", "shape": [-7, 3], "dtype": "float64"},
        {"array": "AAAAAAAAAAA=", "shape": [10**9], "dtype": "float64"},
        {"pickle": "cos\nsystem"},
        {"dict": [1]},
        {"float": "one"},
    ],
)
def test_reading_anything_else_is_refused(data):
    with pytest.raises(ValueError):
        decode(data)


def test_copies_of_inputs_do_not_share_memory():
    inputs = {"x": np.ones(2), "layers": [{"W": np.ones(2)}], "n": 3}
    copy = copy_inputs(inputs)
    copy["x"] += 1
    copy["layers"][0]["W"] += 1
    assert inputs["x"].tolist() == inputs["layers"][0]["W"].tolist() == [1, 1]


def test_identical_sees_one_bit_and_the_dtype():
    a = np.array([0.1, np.nan])
    assert identical(a, a.copy())
    assert not identical(np.array([0.0]), np.array([-0.0]))
    assert not identical(np.array([1.0]), np.array([1.0], dtype=np.float32))
    assert not identical([1], [1.0])
    assert not identical({"x": a}, {"y": a})
