"""Compare an answer with the expected one and say, as facts, where they differ."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.plain import Other


@dataclass(frozen=True)
class Difference:
    """One way in which an answer is not the expected one.

    part        the returned part ("dW_h"), or "" for the result as a whole
    text        a sentence: what should be, what is, at which index
    expected, got   the two arrays, where only their values differ
    """

    part: str
    text: str
    expected: np.ndarray | None = None
    got: np.ndarray | None = None


def compare(expected: Any, got: Any, parts: tuple[str, ...], rtol: float, atol: float):
    """Differences between two plain values; an empty list where they agree.

    `parts` names the entries of a returned tuple.
    """
    if isinstance(expected, dict):
        return _compare_dicts(expected, got, rtol, atol)
    if isinstance(expected, list):
        return _compare_lists(expected, got, parts, rtol, atol)
    return _compare_leaf(expected, got, "", "the result", rtol, atol)


def _compare_dicts(expected, got, rtol, atol):
    if not isinstance(got, dict):
        names = ", ".join(map(repr, expected))
        return [
            Difference(
                "", f"The result should be a dict with keys {names}, but is {describe(got)}."
            )
        ]
    found = []
    for key, value in expected.items():
        if key not in got:
            has = ", ".join(map(repr, got)) or "none"
            found.append(Difference(key, f"The key {key!r} is missing; the keys are {has}."))
        else:
            found += _compare_tree(value, got[key], key, f'result["{key}"]', rtol, atol)
    extra = [key for key in got if key not in expected]
    if extra:  # the parts that are due may be right all the same
        found.append(Difference(extra[0], f"The result has a key too many: {extra[0]!r}."))
    return found


def _compare_lists(expected, got, parts, rtol, atol):
    names = [parts[i] if i < len(parts) else "" for i in range(len(expected))]
    listed = f" ({', '.join(parts)})" if parts else ""
    if not isinstance(got, list):
        kind = "tuple" if parts else "list"
        text = f"The result should be a {kind} of {len(expected)}{listed}, but is {describe(got)}."
        return [Difference("", text)]
    if len(got) != len(expected):
        text = f"The result should have {len(expected)} entries{listed}, but has {len(got)}."
        return [Difference("", text)]
    found = []
    for i, (name, value, item) in enumerate(zip(names, expected, got, strict=True)):
        found += _compare_tree(value, item, name, name or f"result[{i}]", rtol, atol)
    return found


def _compare_tree(expected, got, part, label, rtol, atol):
    if not isinstance(expected, (list, dict)):
        return _compare_leaf(expected, got, part, label, rtol, atol)
    items = expected.items() if isinstance(expected, dict) else enumerate(expected)
    same_kind = isinstance(got, type(expected)) and len(got) == len(expected)
    if not same_kind or (isinstance(expected, dict) and set(got) != set(expected)):
        return [
            Difference(part, f"`{label}` should be {describe(expected)}, but is {describe(got)}.")
        ]
    return [
        difference
        for key, value in items
        for difference in _compare_tree(value, got[key], part, f"{label}[{key!r}]", rtol, atol)
    ]


def _compare_leaf(expected, got, part, label, rtol, atol):
    shown = label if " " in label else f"`{label}`"
    shown = shown[0].upper() + shown[1:]
    if expected is None or isinstance(expected, (bool, str, Other)):
        if type(got) is type(expected) and got == expected:
            return []
        return [
            Difference(part, f"{shown} should be {describe(expected)}, but is {describe(got)}.")
        ]
    if isinstance(expected, int):
        if isinstance(got, int) and not isinstance(got, bool) and got == expected:
            return []
        hint = " (an int is due)" if not isinstance(got, int) or isinstance(got, bool) else ""
        return [Difference(part, f"{shown} should be {expected}, but is {describe(got)}{hint}.")]
    if isinstance(expected, float):
        if not isinstance(got, float):
            return [Difference(part, f"{shown} should be a float, but is {describe(got)}.")]
        return _compare_arrays(
            np.asarray(expected), np.asarray(got), part, label, shown, rtol, atol
        )
    kind = (
        "integer"
        if expected.dtype.kind in "iu"
        else "boolean"
        if expected.dtype.kind == "b"
        else "float"
    )
    if not isinstance(got, np.ndarray):
        text = f"{shown} should be {describe(expected)}, but is {describe(got)}."
        return [Difference(part, text)]
    if got.shape != expected.shape:
        text = f"{shown} should have shape {expected.shape}, but has shape {got.shape}."
        return [Difference(part, text)]
    kinds = {"integer": "iu", "boolean": "b", "float": "f"}[kind]
    if got.dtype.kind not in kinds:
        return [
            Difference(
                part, f"{shown} should be an array of {kind} dtype, but has dtype {got.dtype}."
            )
        ]
    return _compare_arrays(expected, got, part, label, shown, rtol, atol)


def _compare_arrays(expected, got, part, label, shown, rtol, atol):
    finite = np.isfinite(got)
    if expected.dtype == got.dtype == np.float32:
        # A mistake's outputs, never the reference's: their last digits depend on the machine.
        rtol, atol = max(rtol, 1e-5), max(atol, 1e-6)
    if expected.dtype.kind == "f":
        wide, target = got.astype(np.float64), expected.astype(np.float64)
        with np.errstate(invalid="ignore"):
            agree = np.isfinite(wide) & (np.abs(wide - target) <= atol + rtol * np.abs(target))
    else:
        agree = got == expected
    if agree.all():
        return []
    first = tuple(int(i) for i in np.argwhere(~agree)[0]) if expected.ndim else ()
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0]) if expected.ndim else ()
    # In "the result", an index stands as result[0, 1]; a named part carries it itself.
    name = label if " " not in label else "result"
    place = f"`{name}[{', '.join(map(str, first))}]`" if first else shown
    want, have = _numbers(expected[first], got[first])
    text = f"{place} should be {want}, but is {have}"
    if expected.size > 1:
        text += f"; {int((~agree).sum())} of {expected.size} entries differ"
    if got.dtype == np.float32 and np.allclose(got, expected, rtol=1e-5, atol=1e-6):
        text += ". It agrees to about 7 digits and has dtype float32: compute in float64"
    usable = expected.dtype.kind == "f" and finite.all()
    return [Difference(part, text + ".", expected, got) if usable else Difference(part, text + ".")]


def _numbers(want: Any, have: Any) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart."""
    if not isinstance(want.item(), float):
        return str(want.item()), str(have.item())
    for digits in (6, 9, 12, 17):
        shown = f"{want:.{digits}g}", f"{have:.{digits}g}"
        if shown[0] != shown[1]:
            break
    return shown


def describe(value: Any) -> str:
    """A value in a few words: its type, shape, dtype, or the number itself."""
    match value:
        case None:
            return "None"
        case bool():
            return f"the bool {value}"
        case int():
            return f"the int {value}"
        case float():
            return f"the float {value:.6g}"
        case str():
            return f"the str {value[:40]!r}"
        case Other(what=what):
            return what
        case np.ndarray():
            return f"an array of shape {value.shape} and dtype {value.dtype}"
        case list():
            return f"a tuple or list of {len(value)}"
        case dict():
            return f"a dict with keys {', '.join(map(repr, value)) or '(none)'}"
    return f"a {type(value).__name__}"
