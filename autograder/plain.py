"""Plain values: what a function returned, copied out of reach and written without pickle.

A plain value is None, a bool, an int, a float, a str, a numeric NumPy array, a list or a dict of
plain values, or `Other`, which only names what it was. Tuples become lists and NumPy scalars become
Python numbers, because no exercise tells them apart.
"""

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_NUMBERS = 1_000_000
MAX_DEPTH = 6
DTYPES = frozenset(
    f"{kind}{bits}"
    for kind, sizes in (("int", "8 16 32 64"), ("uint", "8 16 32 64"), ("float", "16 32 64"))
    for bits in sizes.split()
) | {"bool"}


@dataclass(frozen=True)
class Other:
    """Something that is no plain value; only its description is kept."""

    what: str


def snapshot(value: Any) -> Any:
    """Copy `value` into a plain value that later changes cannot reach."""
    return _snapshot(value, MAX_DEPTH, [MAX_NUMBERS])


def _snapshot(value: Any, depth: int, budget: list[int]) -> Any:
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return _snapshot_array(value, budget)
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else Other("an int beyond 64 bits")
    if isinstance(value, str):
        return str(value) if len(value) <= 1000 else Other("a very long str")
    if depth == 0:
        return Other("something nested too deeply")
    if isinstance(value, (list, tuple)):
        budget[0] -= len(value)
        if budget[0] < 0:
            return Other("something too large to compare")
        return [_snapshot(item, depth - 1, budget) for item in value]
    if isinstance(value, dict):
        budget[0] -= len(value)
        if budget[0] < 0:
            return Other("something too large to compare")
        return {str(key): _snapshot(item, depth - 1, budget) for key, item in value.items()}
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}."
    return Other(f"a {module}{kind.__qualname__}")


def _snapshot_array(array: np.ndarray, budget: list[int]) -> Any:
    if array.dtype.kind not in "biuf":
        return Other(f"an array of dtype {array.dtype}")
    budget[0] -= array.size
    if budget[0] < 0:
        return Other(f"an array too large to compare, of shape {array.shape}")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.ndim == 0:
        return array.item()
    return np.array(array, order="C", subok=False)


def encode(value: Any) -> Any:
    """Write a plain value as JSON-compatible lists, dicts and numbers; floats keep every bit."""
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"), order="C")
        data = base64.b64encode(little.tobytes()).decode("ascii")
        return {"array": data, "shape": list(value.shape), "dtype": value.dtype.name}
    if isinstance(value, Other):
        return {"other": value.what}
    if isinstance(value, dict):
        return {"dict": {key: encode(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def decode(data: Any) -> Any:
    """Read what `encode` wrote. Raises ValueError for anything else."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    keys = set(data)
    try:
        if keys == {"other"}:
            return Other(str(data["other"])[:200])
        if keys == {"float"}:
            return float(data["float"])
        if keys == {"dict"}:
            return {str(key): decode(item) for key, item in data["dict"].items()}
        if keys == {"array", "shape", "dtype"}:
            name = str(data["dtype"])
            if name not in DTYPES:
                raise ValueError(f"arrays of dtype {name[:40]} are not plain")
            dtype = np.dtype(name)
            flat = np.frombuffer(base64.b64decode(data["array"]), dtype.newbyteorder("<"))
            return flat.astype(dtype).reshape([int(n) for n in data["shape"]])
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a plain value: {error}") from None
    raise ValueError(f"not a plain value: keys {sorted(map(str, keys))}")


def copy_inputs(value: Any) -> Any:
    """Copy a tree of inputs so that the original stays what it was. Arrays come out C-ordered."""
    if isinstance(value, np.ndarray):
        return np.array(value, order="C")
    if isinstance(value, dict):
        return {key: copy_inputs(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copy_inputs(item) for item in value)
    return value


def identical(a: Any, b: Any) -> bool:
    """Whether two trees are bitwise the same (NaN equals NaN)."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.shape == b.shape
            and a.dtype == b.dtype
            and a.tobytes() == b.tobytes()
        )
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b
