"""Chapter 8: what is asked about training in practice."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autograder.compare import Difference, compare, describe
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section
from autograder.plain import identical, snapshot

CHAPTER = "08-training-in-practice"
RECIPE = Section(CHAPTER, "train-recipe", "One step of training")
CLIP = Section(CHAPTER, "train-clip", "Clipping earns its place")
TBPTT = Section(CHAPTER, "train-tbptt", "Truncation with a carried state")
DECAY = Section(CHAPTER, "train-decay", "Weight decay, on matrices only")
TASKS = Section(CHAPTER, "train-tasks", "Tasks that measure one thing")
PERPLEXITY_SECTION = Section(CHAPTER, "train-perplexity", "Perplexity")

Rng = np.random.Generator
Inputs = dict[str, Any]
Fault = tuple[str, str] | None  # a code, the same however it is drawn, and a sentence
Faults = dict[str, tuple[str, str]]  # by part


# Sequences that are drawn at random. Two right programs draw other numbers, so the numbers are not
# compared. A case makes many draws and keeps what the judge needs: `evidence`, in float arrays, from
# which he decides, and `codes`, which say in words that do not depend on luck what is wrong, and by
# which a known mistake is recognised however it draws. With DRAWN as tolerance, the core's
# comparison takes any two numbers for the same, so that there only the codes count.

DRAWN = np.inf
SURPRISE = 28.0  # a right answer fails a single test with a probability below 2 * exp(-28)
DAMAGED = "The result cannot be read."


def _draw(function: Callable, inputs: Inputs, *names: str) -> list[Any]:
    rng = np.random.default_rng(inputs["seed"])
    return [function(*(inputs[name] for name in names), rng) for _ in range(inputs["calls"])]


def _no_array(name: str, value: Any, shape: tuple[int, ...], kinds: str) -> str:
    """Why a value is no array of this shape and of these kinds of dtype, or ""."""
    if not isinstance(value, np.ndarray):
        return f"`{name}` should be an array of shape {shape}, but is {describe(snapshot(value))}."
    if value.shape != shape:
        return f"`{name}` should have shape {shape}, but has shape {value.shape}."
    if value.dtype.kind not in kinds:
        kind = "float" if "f" in kinds else "integer"
        return f"`{name}` should be an array of {kind} dtype, but has dtype {value.dtype}."
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return f"`{name}` should be finite, but is not."
    return ""


def _misfits(results: list[Any], shapes: dict[str, tuple[int, ...]], kinds: str) -> dict[str, str]:
    """By name, why the first results that are no arrays of these shapes are none; "" for no pair."""
    found: dict[str, str] = {}
    for result in results:
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            return {
                "": f"The result should be a tuple (x, y), but is {describe(snapshot(result))}."
            }
        for (name, shape), value in zip(shapes.items(), result, strict=True):
            text = _no_array(name, value, shape, kinds)
            if text:
                found.setdefault(name, text)
    return found


def _readable(expected: dict, got: Any) -> bool:
    """Whether an answer holds finite evidence of the right shapes."""
    if not isinstance(got, dict) or not isinstance(got.get("evidence"), dict):
        return False
    mine = got["evidence"]
    return all(
        isinstance(mine.get(name), np.ndarray)
        and mine[name].shape == array.shape
        and mine[name].dtype.kind == "f"
        and bool(np.isfinite(mine[name]).all())
        for name, array in expected["evidence"].items()
    )


def _from_evidence(faults: Callable[[Inputs, dict[str, np.ndarray]], Faults]) -> Callable:
    """A comparison that believes no code, but judges the evidence by `faults`."""

    def compare_draws(case: Case, expected: Any, got: Any) -> list[Difference]:
        if isinstance(got, dict) and isinstance(got.get("misfit"), str):
            return [Difference("", got["misfit"])]
        if not _readable(expected, got):
            if got is None or not isinstance(got, dict):
                return [Difference("", f"The result should be a tuple, but is {describe(got)}.")]
            return [Difference("", DAMAGED)]
        found = faults(case.inputs, got["evidence"])
        if isinstance(got.get("y_misfit"), str) and got["y_misfit"]:
            found["y"] = ("misfit", got["y_misfit"])
        return [Difference(part, text) for part, (_, text) in found.items()]

    return compare_draws


def _small(numbers: np.ndarray) -> np.ndarray:
    """Small whole numbers, or numbers between 0 and 1 to three digits, in a quarter of the room."""
    return np.clip(numbers, -2000, 2000).astype(np.float16)


def _repeats(drawn: np.ndarray) -> bool:
    """Whether all calls, along the first axis, gave the same."""
    return len(drawn) > 1 and bool((drawn == drawn[0]).all())


def _same_in_a_call(drawn: np.ndarray) -> bool:
    """Whether in each call, along the first axis, all sequences, along the last, are the same."""
    return drawn.shape[-1] > 1 and bool((drawn == drawn[..., :1]).all())


def _uneven(counts: list[int]) -> bool:
    """Whether these counts are not what equally likely options give, by Chernoff's bound on each."""
    n, share = sum(counts), 1 / len(counts)
    return len(counts) > 1 and any(
        _times_log(k, k / (n * share)) + _times_log(n - k, (n - k) / (n * (1 - share))) > SURPRISE
        for k in counts
    )


def _times_log(count: int, ratio: float) -> float:
    return count * math.log(ratio) if count else 0.0


ANEW = "Draw all your random numbers from the given `rng`, anew in each call."


# adding_problem

WATCHED = 5  # sequences of each call of which something is kept, of up to so many calls:
CALLS = 36


def _draw_additions(function: Callable, inputs: Inputs) -> Any:
    """Many sequences, and what the judge needs of them."""
    T, B = inputs["T"], inputs["B"]
    results = _draw(function, inputs, "T", "B")
    if all(result is None for result in results):
        return None
    misfits = _misfits(results, {"x": (T, B, 2), "y": (B,)}, "f")
    if "" in misfits or "x" in misfits:
        return {"misfit": " ".join(misfits.values())}
    x = np.stack([result[0] for result in results])  # (calls, T, B, 2)
    y = np.zeros(x.shape[:1] + x.shape[2:3])
    if "y" not in misfits:
        y = np.stack([result[1] for result in results])
    values, markers = (x[..., k] for k in ((1, 0) if _exchanged(x) else (0, 1)))
    # Which steps of a sequence are marked, in binary digits; -1 where other numbers stand.
    marks = np.tensordot(markers == 1, 2 ** np.arange(T), axes=(1, 0))  # (calls, B)
    marks[~((markers == 1) | (markers == 0)).all(axis=1)] = -1
    allowed = np.array([[2**i + 2**j for j in range(T // 2, T)] for i in range(T // 2)])
    wrong = marks[~np.isin(marks, allowed)]
    off = np.abs(y - (values * (markers == 1)).sum(axis=1))
    worst = np.unravel_index(np.argmax(off), off.shape)
    evidence = {
        "x": np.stack([x[-1, :, -1], x[worst[0], :, worst[1]]], axis=1),  # two are kept whole
        "y": np.stack([y[-1, -1], y[worst]]),
        "values": _small(values[:CALLS, :, :WATCHED]),
        "marks": _small(marks[:CALLS, :WATCHED]),
        "counts": (marks[..., None, None] == allowed).sum(axis=(0, 1)).astype(float),
        "wrong": np.array([len(wrong), wrong.min(initial=2**T)], dtype=float),
    }
    faults = _addition_faults(inputs, evidence)
    if "y" in misfits:
        faults["y"] = ("misfit", "")
    codes = {part: code for part, (code, _) in faults.items()}
    if codes.get("markers") == "wrong":
        codes["markers"] = " ".join(str(mark) for mark in np.unique(marks))
    return {"evidence": evidence, "codes": codes, "y_misfit": misfits.get("y", "")}


def _exchanged(x: np.ndarray) -> bool:
    """Whether channel 0 holds only zeros and ones, and channel 1 does not."""
    binary = [bool(np.isin(x[..., k], (0, 1)).all()) for k in range(2)]
    return binary == [True, False]


def _addition_faults(inputs: Inputs, evidence: dict[str, np.ndarray]) -> Faults:
    """What is wrong with sequences of the adding problem, by part."""
    wrong = _wrong_markers(inputs, evidence["wrong"], evidence["x"])
    sequences = evidence["counts"].sum() + evidence["wrong"][0]
    if not wrong and sequences != inputs["B"] * inputs["calls"]:
        wrong = "unknown", DAMAGED
    found = {
        "markers": wrong,
        "places": ("unknown", wrong[1])
        if wrong
        else _wrong_places(inputs["T"], evidence["counts"], evidence["marks"]),
        "values": _wrong_values(evidence["values"].astype(float)),
        "y": _wrong_sums(evidence["x"], evidence["y"]),
    }
    return {part: fault for part, fault in found.items() if fault}


def _wrong_markers(inputs: Inputs, wrong: np.ndarray, x: np.ndarray) -> Fault:
    if _exchanged(x):
        return "exchanged", (
            "The markers stand in channel 0, `x[:, :, 0]`, and the values in channel 1. The values "
            "are due in channel 0 and the markers in channel 1."
        )
    count, example = wrong.astype(int).tolist()
    if not count:
        return None
    if example < 0:
        others = x[..., 1][~np.isin(x[..., 1], (0, 1))]
        shown = f", but {others[0]:.6g} is among its numbers" if others.size else ""
        return "other numbers", f"Channel 1 should hold 1 or 0 at every step{shown}."
    T = inputs["T"]
    early = "step 0" if T // 2 == 1 else f"steps 0..{T // 2 - 1}"
    late = f"step {T - 1}" if T - T // 2 == 1 else f"steps {T // 2}..{T - 1}"
    marked = [t for t in range(T) if example >> t & 1]
    listed = _steps(marked) if len(marked) < 5 else f"{len(marked)} steps"
    return "wrong", (
        f"With T = {T}, exactly one step of {early} and one of {late} should be marked by a 1. In "
        f"{count} of {inputs['B'] * inputs['calls']} sequences it is not so: one of them is marked "
        f"at {listed}."
    )


def _steps(steps: list[int]) -> str:
    if not steps:
        return "no step"
    return ("step " if len(steps) == 1 else "steps ") + " and ".join(map(str, steps))


def _wrong_places(T: int, counts: np.ndarray, marks: np.ndarray) -> Fault:
    """Which property of uniform, independent places the right markers lack, or None."""
    if counts.size == 1:
        return None
    if _repeats(marks) and marks.shape[1] == 1:
        return "repeats", f"With T = {T}, every call with B = 1 marks the same two steps."
    if _repeats(marks):
        return "repeats", f"Each call marks the same steps. {ANEW}"
    if _same_in_a_call(marks):
        return "alike", (
            "All sequences of a call are marked at the same steps. Each sequence needs draws of its "
            "own."
        )
    n = int(counts.sum())
    for name, axis, start in (("first", 1, 0), ("second", 0, T // 2)):
        came = counts.sum(axis=axis).astype(int).tolist()
        due = f"each of the steps {start}..{start + len(came) - 1} equally often"
        never = [start + k for k, count in enumerate(came) if not count]
        if never:
            return f"{name} never {never}", (
                f"With T = {T}, {_steps(never)} is never marked in {n} sequences. The {name} marker "
                f"should come at {due}."
            )
        if _uneven(came):
            return f"{name} uneven", (
                f"With T = {T}, the {name} marker should come at {due}. In {n} sequences the counts "
                f"are {', '.join(map(str, came))}."
            )
    if _uneven(counts.ravel().tolist()):
        i, j = np.unravel_index(np.argmax(np.abs(counts - counts.mean())), counts.shape)
        return "together", (
            f"The two marked steps hang together: with T = {T}, steps {i} and {j + T // 2} are marked "
            f"in {int(counts[i, j])} of {n} sequences; about {n / counts.size:.0f} are due, as for "
            "every other pair. Draw the second step without regard to the first."
        )
    return None


def _wrong_values(values: np.ndarray) -> Fault:
    """Which property of uniform, independent values (calls, T, sequences) lack, or None."""
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        code = ("below " if low < 0 else "") + ("above" if high > 1 else "")
        return code, (
            f"The values in channel 0 should lie in [0, 1), but run from {low:.3g} to {high:.3g}."
        )
    if _repeats(values):
        return "repeats", f"Each call gives the same values. {ANEW}"
    if _same_in_a_call(values):
        return "alike", "All sequences of a call have the same values. Each needs draws of its own."
    if values.shape[1] > 1 and (values == values[:, :1]).all():
        return "constant", "Within a sequence all values are the same. Each step needs a draw."
    ordered = np.sort(values.ravel())
    n = len(ordered)
    margin = math.sqrt(SURPRISE / (2 * n)) + 0.001  # Massart's bound, and the three digits
    steps = np.arange(n + 1) / n
    if max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])) > margin:
        came = np.histogram(ordered, bins=4, range=(0, 1))[0]
        return "not uniform", (
            f"The values in channel 0 should be uniform in [0, 1). In the four quarters of this range "
            f"{', '.join(map(str, came))} of {n} values lie; about {n / 4:.0f} are due in each."
        )
    return None


def _wrong_sums(x: np.ndarray, y: np.ndarray) -> Fault:
    """Whether `y` is not the sum of the marked values, and what it is instead, if that is known."""
    values, marks = (x[..., k] for k in ((1, 0) if _exchanged(x) else (0, 1)))
    marked = np.where(marks == 1, values, 0.0)
    due = marked.sum(axis=0)
    coarsest = max(np.finfo(x.dtype).eps, np.finfo(y.dtype).eps)
    near = lambda other: np.allclose(y, other, rtol=1e-9, atol=1e-12 + 16 * coarsest)  # noqa: E731
    if not marks.any():
        return "unknown", "No step is marked, so that nothing can be said about `y`."
    if near(due):
        return None
    others = {
        "mean": due / 2,
        "product": np.where(marks == 1, values, 1.0).prod(axis=0),
        "all": values.sum(axis=0),
        "1997": 0.5 + due / 4,
        "first": marked[: len(x) // 2].sum(axis=0),
        "difference": marked[len(x) // 2 :].sum(axis=0) - marked[: len(x) // 2].sum(axis=0),
    }
    code = next((name for name, other in others.items() if near(other)), "else")
    k = int(np.argmax(np.abs(y - due)))
    return code, (
        f"`y` should be the sum of the marked values. In one sequence the marked values add up to "
        f"{due[k]:.6g}, but its `y` is {y[k]:.6g}."
    )


def _addition_cases(rng: Rng) -> list[Case]:
    odd, even = int(rng.choice([7, 9])), int(rng.choice([6, 8]))
    sizes = [
        ("values", odd, int(rng.integers(480, 520)), 4),
        ("values", even, int(rng.integers(280, 320)), 3),
        ("small", 2, int(rng.integers(30, 50)), 2),
        ("small", 3, 1, int(rng.integers(60, 70))),
    ]
    return [
        Case(
            f"{calls} calls, T = {T}, B = {B}",
            {"T": T, "B": B, "seed": int(rng.integers(2**31)), "calls": calls},
            kind,
        )
        for kind, T, B, calls in sizes
    ]


MARKERS, PLACES = "One marker in each half", "Places uniform and independent"

ADDING_PROBLEM = Exercise(
    name="adding_problem",
    chapter=CHAPTER,
    minutes=15,
    signature="T, B, rng",
    see=TASKS,
    cases=_addition_cases,
    call=_draw_additions,
    compare=_from_evidence(_addition_faults),
    atol=DRAWN,
    aspects=(
        Aspect(MARKERS, 3, parts=("markers",), kinds=("values",)),
        Aspect("y is the sum of the marked values", 2, parts=("y",), kinds=("values",)),
        Aspect("Values uniform in [0, 1)", 1, parts=("values",), kinds=("values",)),
        Aspect(PLACES, 2, parts=("places",), kinds=("values",), needs=MARKERS),
        Aspect("T = 2; T = 3 and one sequence", 1, kinds=("small",), needs=MARKERS),
        Aspect("Random by `rng` alone", 1, of="purity", kinds=("values",), needs=PLACES),
    ),
    mistakes=(
        Mistake(
            "marks_two_steps_anywhere",
            "the two marked steps are different, but both may lie in the same half. One belongs to "
            "the first half and one to the second, so that the first has to be kept while the second "
            "is still to come.",
            TASKS,
        ),
        Mistake(
            "may_mark_one_step_twice",
            "both markers are drawn from all steps, so they may fall on the same step, and then only "
            "one step is marked; or both lie in one half. Draw one from the first half and one from "
            "the second: then they are never the same.",
            TASKS,
        ),
        Mistake(
            "draws_the_second_after_the_first",
            "the first marker lies in the first half, but the second anywhere behind it, and so "
            "sometimes in the first half too. The second is drawn from the second half.",
            TASKS,
        ),
        Mistake(
            "lets_the_halves_overlap",
            "step T//2 may get the first marker as well as the second. A generator's `integers` leaves "
            "out its upper end, so the upper end for the first half is T//2 itself.",
            TASKS,
        ),
        Mistake(
            "leaves_the_middle_out",
            "step T//2 is never marked. The second half begins at T//2, and `integers` does include "
            "its lower end.",
            TASKS,
        ),
        Mistake(
            "never_marks_the_last_step",
            "step T - 1 is never marked. A generator's `integers` leaves out its upper end, so the "
            "upper end is T.",
            TASKS,
        ),
        Mistake(
            "never_marks_the_end_of_the_first_half",
            "step T//2 - 1 is never marked. A generator's `integers` leaves out its upper end, so for "
            "the first half the upper end is T//2.",
            TASKS,
        ),
        Mistake(
            "cuts_an_odd_length_later",
            "with an odd T the middle step counts as part of the first half. The second half begins at "
            "T//2, rounded down, so it is the longer one.",
            TASKS,
        ),
        Mistake(
            "marks_all_sequences_alike",
            "the two steps are drawn once a call, and all sequences of the batch are marked there. A "
            "network could learn the places of this batch. Each sequence needs draws of its own.",
            TASKS,
        ),
        Mistake(
            "keeps_the_markers_at_one_distance",
            "the second marker always comes T//2 steps after the first. Then a network can do with "
            "one fixed lag. The two steps are drawn independently.",
            TASKS,
        ),
        Mistake(
            "gives_all_sequences_the_same_values",
            "the values are drawn once for each step, and all sequences of a call share them. Each "
            "sequence needs draws of its own.",
            TASKS,
        ),
        Mistake(
            "draws_values_from_minus_one",
            "the values are uniform between -1 and 1, as in the task of 1997. Here they lie in [0, 1), "
            "and the errors that a reader compares are those of this range.",
            TASKS,
        ),
        Mistake(
            "marks_the_ends_too",
            "channel 1 holds other numbers than 0 and 1. In the task of 1997 the first and the last step were "
            "marked by -1; here there are the two markers and nothing else.",
            TASKS,
        ),
        Mistake(
            "takes_the_mean",
            "`y` is the mean of the two marked values. It is their sum.",
            TASKS,
        ),
        Mistake(
            "multiplies_the_marked_values",
            "`y` is the product of the two marked values. That is a task of its own; here they are "
            "added.",
            TASKS,
        ),
        Mistake(
            "adds_all_values",
            "`y` is the sum over all steps, marked or not. Only the two marked values count; to "
            "tell them from the others is the task.",
            TASKS,
        ),
        Mistake(
            "scales_the_sum_as_in_1997",
            "`y` is one half plus a quarter of the sum, the scaling in the paper of 1997, whose read-out "
            "was a sigmoid. Here `y` is the sum itself.",
            TASKS,
        ),
        Mistake(
            "puts_the_markers_first",
            "the two channels have changed places. Channel 0 holds the values, channel 1 the markers.",
            TASKS,
        ),
        Mistake(
            "returns_the_batch_first",
            "`x` has the batch as its first axis. In this course time comes first: (T, B, 2).",
            TASKS,
        ),
        Mistake(
            "keeps_y_as_a_column",
            "all is right but the shape of `y`: it is (B, 1) where (B,) is due. Subtracted from "
            "predictions of shape (B,), a column gives a (B, B) array, and the loss is silently wrong.",
            TASKS,
        ),
        Mistake(
            "repeats_the_sequences",
            "each call returns the same sequences, as it does when the function makes a generator of its own "
            "with a fixed seed. Then a network is trained on one batch for ever. Draw from the given `rng`, "
            "which moves on with each draw.",
            TASKS,
        ),
        Mistake(
            "uses_another_generator",
            "the sequences are right, but equally seeded generators do not give the same ones: some "
            "draws do not come from the given `rng`, but from `np.random` or a generator made in the "
            "function. Then no experiment can be repeated.",
            TASKS,
        ),
    ),
)


# delayed_recall


def _draw_recalls(function: Callable, inputs: Inputs) -> Any:
    """Many sequences, and what the judge needs of them."""
    T, B = inputs["T"], inputs["B"]
    results = _draw(function, inputs, "T", "B", "symbols")
    if all(result is None for result in results):
        return None
    misfits = _misfits(results, {"x": (T, B), "y": (B,)}, "iu")
    if "" in misfits or "x" in misfits:
        return {"misfit": " ".join(misfits.values())}
    x = np.stack([result[0] for result in results])  # (calls, T, B)
    y = np.zeros_like(x[:, 0])
    if "y" not in misfits:
        y = np.stack([result[1] for result in results])
    evidence = {
        "first": _small(x[:, 0]),
        "last": _small(x[:, -1, :WATCHED]),
        "y": _small(y[:, :WATCHED]),
        "lowest": _small(x[:, 1:].min(axis=(1, 2)) if T > 1 else np.full(len(x), 2000)),
    }
    faults = _recall_faults(inputs, evidence)
    if "y" in misfits:
        faults["y"] = ("misfit", "")
    codes = {part: code for part, (code, _) in faults.items()}
    return {"evidence": evidence, "codes": codes, "y_misfit": misfits.get("y", "")}


def _recall_faults(inputs: Inputs, evidence: dict[str, np.ndarray]) -> Faults:
    """What is wrong with sequences of delayed recall, by part."""
    T, symbols = inputs["T"], inputs["symbols"]
    first, last, lowest, y = (evidence[name] for name in ("first", "last", "lowest", "y"))
    faults: Faults = {}
    wrong = _wrong_first(first, symbols)
    if wrong:
        faults["first"] = wrong
    if (lowest < symbols).any():
        least = int(lowest.min())
        faults["rest"] = (
            str(least),
            f"With symbols = {symbols}, all tokens after the first should be distractors, {symbols} "
            f"or larger, but {least} is among them.",
        )
    due = first[:, : y.shape[1]]
    if len({*first.ravel().tolist(), *lowest.tolist()}) == 1:
        faults["y"] = "unknown", "All tokens are the same, so that nothing can be said about `y`."
    elif not (y == due).all():
        n = int(np.argmax(y.ravel() != due.ravel()))
        faults["y"] = (
            "last" if T > 1 and (y == last).all() else "else",
            f"`y` should be the first token of each sequence. One sequence begins with "
            f"{int(due.ravel()[n])}, but its `y` is {int(y.ravel()[n])}.",
        )
    return faults


def _wrong_first(first: np.ndarray, symbols: int) -> Fault:
    """Which property of uniform, independent first tokens (calls, B) lack, or None."""
    due = f"The first token should be uniform in 0..{symbols - 1}"
    drawn = first.ravel()
    outside = sorted(set(drawn[(drawn < 0) | (drawn >= symbols)].astype(int).tolist()))
    never = [token for token in range(symbols) if not (drawn == token).any()]
    if outside:
        kind = "just beyond" if outside == [symbols] else "outside"
        return f"{kind}, never {never}", f"{due}, but is {outside[0]} in one of the sequences."
    if symbols == 1:
        return None
    if len(drawn) > 1 and (drawn == drawn[0]).all():
        return "constant", f"{due}, but is {int(drawn[0])} in all {len(drawn)} sequences."
    if _repeats(first):
        return "repeats", f"Each call gives the same first tokens. {ANEW}"
    if _same_in_a_call(first):
        return (
            "alike",
            "All sequences of a call have the same first token. Each needs its own draw.",
        )
    if never:
        listed = ", ".join(map(str, never))
        return f"never {never}", f"{due}, but is never {listed} in {len(drawn)} sequences."
    counts = [int((drawn == token).sum()) for token in range(symbols)]
    if _uneven(counts):
        return "uneven", (
            f"{due}. In {len(drawn)} sequences these tokens come "
            f"{', '.join(map(str, counts))} times."
        )
    return None


def _recall_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", int(rng.integers(5, 9)), int(rng.integers(95, 110)), 4, 4),
        ("values", int(rng.integers(3, 5)), int(rng.integers(60, 70)), 5, 4),
        ("small", 1, int(rng.integers(40, 60)), 3, 3),
        ("small", int(rng.integers(3, 7)), 1, 2, int(rng.integers(75, 85))),
    ]
    return [
        Case(
            f"{calls} calls, T = {T}, B = {B}, symbols = {symbols}",
            {
                "T": T,
                "B": B,
                "symbols": symbols,
                "seed": int(rng.integers(2**31)),
                "calls": calls,
            },
            kind,
        )
        for kind, T, B, symbols, calls in sizes
    ]


FIRST = "The first token: range, distribution"

DELAYED_RECALL = Exercise(
    name="delayed_recall",
    chapter=CHAPTER,
    minutes=10,
    signature="T, B, symbols, rng",
    see=TASKS,
    cases=_recall_cases,
    call=_draw_recalls,
    compare=_from_evidence(_recall_faults),
    atol=DRAWN,
    aspects=(
        Aspect(FIRST, 3, parts=("first",), kinds=("values",)),
        Aspect("y is the first token", 2, parts=("y",), kinds=("values",)),
        Aspect("Distractors at all later steps", 2, parts=("rest",), kinds=("values",)),
        Aspect("T = 1; one sequence", 1, kinds=("small",), needs=FIRST),
        Aspect("Random by `rng` alone", 1, of="purity", kinds=("values",), needs=FIRST),
    ),
    mistakes=(
        Mistake(
            "lets_symbols_be_distractors",
            "the distractors are drawn from 0..symbols-1, like the first token. Then a later token "
            "cannot be told from one that has to be remembered. Distractors have numbers of their own, "
            "from `symbols` on.",
            TASKS,
        ),
        Mistake(
            "lets_the_last_symbol_be_a_distractor",
            "the distractors begin at symbols - 1, which is still a symbol: the symbols are "
            "0..symbols-1, so the first number that is free is `symbols`.",
            TASKS,
        ),
        Mistake(
            "begins_with_a_distractor",
            "the first token is drawn like the others: it is a distractor, `symbols` or larger. The "
            "first one, which has to be remembered, lies in 0..symbols-1.",
            TASKS,
        ),
        Mistake(
            "draws_one_symbol_too_many",
            "the first token is sometimes equal to `symbols`. There are `symbols` of them, counted from "
            "0, so the largest is symbols - 1; a generator's `integers` leaves out its upper end, "
            "Python's `randint` does not.",
            TASKS,
        ),
        Mistake(
            "counts_symbols_from_one",
            "the first token is never 0 and sometimes equal to `symbols`. Tokens are counted from 0: "
            "0..symbols-1.",
            TASKS,
        ),
        Mistake(
            "never_draws_the_last_symbol",
            "the first token is never symbols - 1. A generator's `integers` leaves out its upper end, so "
            "the upper end is `symbols` itself.",
            TASKS,
        ),
        Mistake(
            "never_draws_zero",
            "the first token is never 0, and lies in 1..symbols-1. Tokens are counted from 0, so that "
            "one symbol is missing. Is 0 perhaps thought of as padding? There is none here.",
            TASKS,
        ),
        Mistake(
            "asks_for_the_last_token",
            "`y` is the last token of each sequence, which needs no memory at all. Asked for is the "
            "first one, T - 1 steps ago.",
            TASKS,
        ),
        Mistake(
            "draws_the_answer_by_itself",
            "`y` is not the first token of its sequence, but seems to be drawn by itself. Nothing in `x` "
            "tells such an answer. Draw the first token once, and use it in both places.",
            TASKS,
        ),
        Mistake(
            "gives_all_sequences_one_symbol",
            "one first token is drawn, and all sequences of the call begin with it. Then the answer can "
            "be learned from the batch, without memory. Each sequence needs a draw of its own.",
            TASKS,
        ),
        Mistake(
            "repeats_the_first_tokens",
            "each call begins its sequences with the same first tokens, as it does when they are dealt out "
            "in turn, or when the function makes a generator of its own with a fixed seed. Then the place "
            "in the batch tells the answer. Draw them from the given `rng`, which moves on with each draw.",
            TASKS,
        ),
        Mistake(
            "adds_a_step",
            "`x` has T + 1 steps. The first token is one of the T steps, so there are T - 1 distractors.",
            TASKS,
        ),
        Mistake(
            "returns_floats",
            "the tokens are floats. A token is the number of a row in an embedding: an integer dtype is "
            "due, in `x` and in `y`.",
            TASKS,
        ),
        Mistake(
            "returns_the_batch_first",
            "`x` has the batch as its first axis. In this course time comes first: (T, B).",
            TASKS,
        ),
        Mistake(
            "keeps_the_axis_of_time_in_y",
            "all is right but the shape of `y`: it is (1, B), a piece of `x`, where (B,) is due. There is "
            "one answer for each sequence.",
            TASKS,
        ),
        Mistake(
            "makes_y_one_hot",
            "`y` is one-hot. The answer is a token, so `y` holds one integer for each sequence, (B,).",
            TASKS,
        ),
        Mistake(
            "uses_another_generator",
            "the sequences are right, but equally seeded generators do not give the same ones: some "
            "draws do not come from the given `rng`, but from `np.random` or a generator made in the "
            "function. Then no experiment can be repeated.",
            TASKS,
        ),
    ),
)


# Small networks in PyTorch. A case holds plain arrays; the network is made where it is trained.

# clip_grad_norm_ adds 1e-6 to the norm, which is allowed and moves updates by about a millionth.
TORCH_RTOL, TORCH_ATOL = 1e-5, 1e-7


def _make_network(described: Inputs) -> Any:
    """A float64 network: a cell and a linear read-out, filled from one long array.

    With "carries", model(x, state) -> (outputs (T, B, K), state); else model(x) -> (B, K), read out
    of the last state. "frozen" names parameters that are not trained; "spare" adds one not used.
    """
    import torch

    class Network(torch.nn.Module):
        def __init__(self, cell: str, D: int, H: int, K: int):
            super().__init__()
            self.cell = getattr(torch.nn, cell)(D, H, dtype=torch.float64)
            self.read_out = torch.nn.Linear(H, K, dtype=torch.float64)

    class Reader(Network):
        def forward(self, x):
            return self.read_out(self.cell(x)[0][-1])

    class Carrier(Network):
        def forward(self, x, state=None):
            hs, state = self.cell(x, state)
            return self.read_out(hs), state

    sizes = (described["cell"], described["D"], described["H"], described["K"])
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        model = (Carrier if described["carries"] else Reader)(*sizes)
    values = np.array(described["parameters"])
    with torch.no_grad():
        for parameter in model.parameters():
            own, values = np.split(values, [parameter.numel()])
            parameter.copy_(torch.from_numpy(own).reshape(parameter.shape))
    for name in described.get("frozen", []):
        model.get_parameter(name).requires_grad_(False)
    if described.get("spare"):
        model.spare = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    return model


def _network(rng: Rng, cell: str, D: int, H: int, K: int, carries: bool, **more: Any) -> Inputs:
    """The description of a network whose states neither saturate nor rest."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[cell]
    shapes = [(gates * H, D), (gates * H, H), (gates * H,), (gates * H,), (K, H), (K,)]
    arrays = [away_from_zero(rng, shape, 0.3, 0.9) / math.sqrt(shape[-1]) for shape in shapes[:2]]
    arrays += [away_from_zero(rng, shape, 0.1, 0.4) for shape in shapes[2:4]]
    arrays += [away_from_zero(rng, shape, 0.3, 0.9) for shape in shapes[4:]]
    parameters = np.concatenate([array.ravel() for array in arrays])
    sizes = {"cell": cell, "D": D, "H": H, "K": K, "carries": carries}
    return {**sizes, "parameters": parameters, **more}


def _make_optimizer(described: Inputs, model: Any) -> Any:
    import torch

    settings = {key: value for key, value in described.items() if key != "kind"}
    return getattr(torch.optim, described["kind"])(model.parameters(), **settings)


def _make_loss(kind: str) -> Callable:
    """Cross-entropy over the last axis, or a squared error that weighs too little thrice.

    Neither takes its two arguments in either order.
    """
    import torch

    def cross_entropy(logits, targets):
        return torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())

    def uneven(outputs, targets):
        error = outputs[..., 0] - targets
        return (torch.where(error > 0, 1.0, 3.0) * error**2).mean()

    return {"cross-entropy": cross_entropy, "uneven": uneven}[kind]


def _layout(described: Inputs) -> dict[str, int]:
    """The network's parameters in a fixed order, and how many numbers each has."""
    D, H, K = (described[name] for name in "DHK")
    rows = {"RNN": 1, "GRU": 3, "LSTM": 4}[described["cell"]] * H
    sizes = {
        "cell.weight_ih_l0": rows * D,
        "cell.weight_hh_l0": rows * H,
        "cell.bias_ih_l0": rows,
        "cell.bias_hh_l0": rows,
        "read_out.weight": K * H,
        "read_out.bias": K,
    }
    return {**sizes, "spare": 2} if described.get("spare") else sizes


def _as_one_vector(parameters: dict[str, Any], described: Inputs) -> np.ndarray:
    """All numbers of these parameters, in the order of the layout."""
    return np.concatenate(
        [parameters[name].detach().numpy().ravel().copy() for name in _layout(described)]
    )


def _moved_by(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How the parameters have changed, to the digits that are compared."""
    with np.errstate(over="ignore"):
        return (after - before).astype(np.float32)


def _targets(rng: Rng, loss: str, K: int, *shape: int) -> np.ndarray:
    if loss == "uneven":
        return away_from_zero(rng, shape, 1.5, 3.0)
    return rng.permutation(np.resize(np.arange(K), int(np.prod(shape)))).reshape(shape)


def _wrong_move(start: str, want: np.ndarray, have: np.ndarray, described: Inputs) -> str:
    """How a change of parameters is not the right one, its size, direction and place; or ""."""
    if not np.isfinite(have).all():
        return f"{start} makes some parameters infinite or nan."
    near = np.isclose(have, want, TORCH_RTOL, TORCH_ATOL)
    if near.all():
        return ""
    w, h = want.astype(float), have.astype(float)
    if not h.any():
        return f"{start} leaves every parameter where it was."
    sizes = [float(np.linalg.norm(each)) for each in (w, h)]
    text = (
        f"{start} should move the parameters, taken as one long vector, by {sizes[0]:.4g}, but moves "
        f"them by {sizes[1]:.4g}"
    )
    cosine = float(w @ h) / (sizes[0] * sizes[1]) if all(sizes) else 0.0
    if abs(cosine) > 1 - 1e-9:
        return f"{text}, in the {'right' if cosine > 0 else 'opposite'} direction."
    layout = _layout(described)
    pieces = np.split(near, np.cumsum(list(layout.values()))[:-1])
    right = [f"`{name}`" for name, piece in zip(layout, pieces, strict=True) if piece.all()]
    also = f" Right: {_listed(right)}." if right else ""
    return f"{text}, in another direction.{also}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


# train_step


def _train(function: Callable, inputs: Inputs) -> Any:
    """Let the function make one update for each batch; return the losses and how all has moved."""
    import torch

    model = _make_network(inputs["model"])
    optimizer = _make_optimizer(inputs["optimizer"], model)
    loss_fn = _make_loss(inputs["loss"])
    own = dict(model.named_parameters())
    if inputs["old gradients"]:
        for parameter in own.values():
            parameter.grad = torch.full_like(parameter, inputs["old gradients"])
    losses, moves = [], []
    for x, y in zip(inputs["xs"], inputs["ys"], strict=True):
        before = _as_one_vector(own, inputs["model"])
        batch = torch.tensor(x), torch.tensor(y)
        losses.append(function(model, loss_fn, optimizer, *batch, inputs["max_norm"]))
        moves.append(_moved_by(before, _as_one_vector(own, inputs["model"])))
    if all(loss is None for loss in losses) and not np.any(moves):
        return None
    return {"loss": losses, "update": np.stack(moves)}


def _compare_training(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, in words that speak of losses and updates."""
    match got:
        case {"loss": list(losses), "update": update} if _is_like(expected["update"], update):
            pass
        case _:
            return [Difference("", f"A float should be returned, but it is {describe(got)}.")]
    if len(losses) != len(expected["loss"]):
        return [Difference("", DAMAGED)]
    found, several = [], len(losses) > 1
    for k, (want, have) in enumerate(zip(expected["loss"], losses, strict=True)):
        which = f"{ORDINALS[k]} " if several else ""
        if not isinstance(have, float):
            text = f"The {which}loss that is returned should be a float, but is {describe(have)}."
            found.append(Difference("loss", text))
        elif not _near(want, have):
            text = f"The {which}loss that is returned should be {want:.6g}, but is {have:.6g}."
            found.append(Difference("loss", text))
    for k, (want, have) in enumerate(zip(expected["update"], update, strict=True)):
        start = f"The {ORDINALS[k]} update" if several else "The update"
        text = _wrong_move(start, want, have, case.inputs["model"])
        if text:
            found.append(Difference("update", text + _used(case, want, have)))
    return found


ORDINALS = ("first", "second", "third")


def _near(want: float, have: float) -> bool:
    return math.isclose(want, have, rel_tol=TORCH_RTOL, abs_tol=TORCH_ATOL)


def _is_like(expected: np.ndarray, got: Any) -> bool:
    return (
        isinstance(got, np.ndarray) and got.shape == expected.shape and got.dtype == expected.dtype
    )


def _used(case: Case, want: np.ndarray, have: np.ndarray) -> str:
    """With plain gradient descent, the length of the gradient that was used."""
    optimizer = case.inputs["optimizer"]
    if optimizer["kind"] != "SGD" or "momentum" in optimizer or len(case.inputs["xs"]) > 1:
        return ""
    used, due = (float(np.linalg.norm(move)) / optimizer["lr"] for move in (have, want))
    if not used or not math.isfinite(used):
        return ""
    return (
        f" With the learning rate {optimizer['lr']}, that is a gradient of length {used:.4g}; "
        f"{due:.4g} is due, and max_norm is {case.inputs['max_norm']:.4g}."
    )


def _training_cases(rng: Rng) -> list[Case]:
    def case(
        kind: str,
        name: str,
        sizes: tuple[str, int, int, int, int, int],
        loss: str,
        optimizer: Inputs,
        max_norm: float,
        batches: int = 1,
        old: float = 0.0,
        **more: Any,
    ) -> Case:
        cell, T, B, D, H, K = sizes
        inputs = {
            "model": _network(rng, cell, D, H, K, carries=False, **more),
            "optimizer": optimizer,
            "loss": loss,
            "old gradients": old,
            "xs": rng.normal(size=(batches, T, B, D)),
            "ys": np.stack([_targets(rng, loss, K, B) for _ in range(batches)]),
            "max_norm": max_norm,
        }
        return Case(name, inputs, kind)

    plain, adam = {"kind": "SGD", "lr": 0.2}, {"kind": "Adam", "lr": 0.05}
    momentum = {"kind": "SGD", "lr": 0.1, "momentum": 0.9}
    rnn, gru = ("RNN", 4, 3, 2, 3, 1), ("GRU", 3, 4, 3, 2, 3)
    one = ("RNN", 1, 1, 2, 2, 1)
    spare = {"frozen": ["cell.bias_hh_l0"], "spare": True}
    return [
        case("within", "one update by SGD, within the limit", rnn, "uneven", plain, 1e3),
        case("within", "one update by Adam, within the limit", gru, "cross-entropy", adam, 1e3),
        case("over", "one update by SGD, over the limit", rnn, "uneven", plain, 0.5),
        case("over", "one update by SGD, over a small limit", gru, "cross-entropy", plain, 0.02),
        case("over", "one sequence of one step, over the limit", one, "uneven", plain, 0.3),
        case("several", "three updates with momentum", rnn, "uneven", momentum, 0.7, batches=3),
        case("several", "three updates by Adam", gru, "cross-entropy", adam, 0.05, batches=3),
        case("old", "gradients left from before", rnn, "uneven", plain, 1e3, old=0.4),
        case("without", "parameters without gradient", rnn, "uneven", plain, 0.5, **spare),
    ]


WITHIN, OVER = "The update, within the limit", "The update, over the limit"

TRAIN_STEP = Exercise(
    name="train_step",
    chapter=CHAPTER,
    minutes=15,
    signature="model, loss_fn, optimizer, x, y, max_norm",
    see=RECIPE,
    cases=_training_cases,
    call=_train,
    compare=_compare_training,
    libraries=("torch",),
    rtol=TORCH_RTOL,
    atol=TORCH_ATOL,
    aspects=(
        Aspect(WITHIN, 2, parts=("update",), kinds=("within",)),
        Aspect(OVER, 3, parts=("update",), kinds=("over",)),
        Aspect("The loss before the update, a float", 2, parts=("loss",), kinds=("within", "over")),
        Aspect("Several updates in a row", 2, kinds=("several",), parts=("update",), needs=WITHIN),
        Aspect("Gradients left from before", 1, kinds=("old",), parts=("update",), needs=WITHIN),
        Aspect(
            "Parameters without a gradient", 1, kinds=("without",), parts=("update",), needs=OVER
        ),
    ),
    mistakes=(
        Mistake(
            "never_clears_the_gradients",
            "the gradients are never cleared. `backward` adds to what stands in `.grad`, so from the "
            "second batch on each update goes in the direction of a sum over all batches so far.",
            RECIPE,
        ),
        Mistake(
            "clears_the_gradients_afterwards",
            "the gradients are cleared after the update only. So the first update contains whatever "
            "stood in `.grad` when the function was called. Clear them before `backward`: then it does "
            "not matter what was there.",
            RECIPE,
        ),
        Mistake(
            "clears_the_gradients_before_the_step",
            "the parameters do not move, as if the gradients were cleared between `backward` and the "
            "optimiser's step, which then has nothing to go by; or as if the step were missing.",
            RECIPE,
        ),
        Mistake(
            "never_clips",
            "the gradients are not clipped, as if that part were missing or came at a moment when it has "
            "no effect: before `backward` there is nothing to clip, and after the step it is too late.",
            CLIP,
        ),
        Mistake(
            "clips_each_entry",
            "each entry of the gradients is cut off at max_norm by itself, as `clip_grad_value_` does. That "
            "turns the gradient into another direction. The norm is one number for all parameters, and "
            "all are shortened by one factor.",
            CLIP,
        ),
        Mistake(
            "clips_each_parameter",
            "each parameter's gradient is shortened by its own norm. Then the parameters lose their "
            "proportions, and together the gradients can still be too long. One norm, over all of them, "
            "gives one factor.",
            CLIP,
        ),
        Mistake(
            "always_rescales",
            "gradients within the limit are stretched to the length max_norm. Clipping only shortens: what "
            "is within the limit stays as it is.",
            CLIP,
        ),
        Mistake(
            "rescales_to_one",
            "gradients over the limit are brought to the length 1, or left alone if they are shorter, "
            "whatever max_norm is. The limit is max_norm.",
            CLIP,
        ),
        Mistake(
            "clips_the_largest_entry",
            "the norm is taken to be the largest absolute value of an entry. The global norm is a length: "
            "the root of the sum of all squares.",
            CLIP,
        ),
        Mistake(
            "returns_the_loss_after_the_update",
            "the update is right, but the loss that is returned is that of the updated model. It costs a "
            "second forward pass, and it is not the number that the gradient belongs to.",
            RECIPE,
        ),
        Mistake(
            "returns_the_tensor",
            "the update is right, but the loss is returned as a tensor. It holds on to the graph it came "
            "from, so a list of such losses fills the memory. Return a Python number.",
            RECIPE,
        ),
        Mistake(
            "returns_the_norm",
            "the update is right, but what is returned is the norm of the gradients, which the clipping "
            "gives back. Asked for is the loss.",
            RECIPE,
        ),
        Mistake(
            "returns_nothing",
            "the update is right, but nothing is returned. Whoever trains wants to see the loss.",
            RECIPE,
        ),
        Mistake(
            "exchanges_prediction_and_target",
            "the loss is called with the target first. The order is `loss_fn(model(x), y)`. For a plain "
            "squared error both orders are the same; for most losses they are not.",
            RECIPE,
        ),
        Mistake(
            "climbs_instead_of_descending",
            "the update goes uphill: each parameter moves in the opposite direction. The optimiser "
            "subtracts the gradient of the loss itself; no sign has to be changed.",
            RECIPE,
        ),
        Mistake(
            "updates_twice",
            "two updates are made in one call. Is the step called twice? One call, one update.",
            RECIPE,
        ),
    ),
)


# detach_state


def _build(described: Any, leaves: list) -> Any:
    """The state that a description stands for. Every tensor that is learned goes into `leaves`."""
    import torch

    match described:
        case {"tensor": array}:
            source = torch.ones((), dtype=torch.float64, requires_grad=True)
            leaves.append(source)
            return torch.tensor(array) * source
        case {"learned": array}:
            leaves.append(torch.nn.Parameter(torch.tensor(array)))
            return leaves[-1]
        case {"tuple": items}:
            return tuple(_build(item, leaves) for item in items)
        case {"list": items}:
            return [_build(item, leaves) for item in items]
        case {"dict": items}:
            return {key: _build(item, leaves) for key, item in items.items()}
    return None


def _look(state: Any, path: str, tensors: dict[str, Any]) -> str:
    """How a state is nested, as text; its tensors go into `tensors`, by where they stand."""
    import torch

    if isinstance(state, torch.Tensor):
        tensors[path] = state
        return "tensor"
    if len(path) > 60:
        return "..."
    if type(state) in (tuple, list):
        inside = [_look(part, f"{path}[{k}]", tensors) for k, part in enumerate(state)]
        if type(state) is list:
            return f"[{_listed(inside)}]"
        return f"({inside[0]},)" if len(inside) == 1 else f"({_listed(inside)})"
    if type(state) is dict:
        items = sorted(state.items(), key=lambda item: str(item[0]))
        inside = [f"{key!r}: {_look(part, f'{path}[{key!r}]', tensors)}" for key, part in items]
        return f"{{{_listed(inside)}}}"
    return describe(snapshot(state))


def _leads_back(tensor: Any, leaves: list) -> bool:
    """Whether a gradient goes from a tensor to one of these leaves."""
    import torch

    if not tensor.requires_grad:
        return False
    try:
        grads = torch.autograd.grad(tensor.sum(), leaves, allow_unused=True, retain_graph=True)
    except RuntimeError:
        return True
    return any(grad is not None for grad in grads)


def _detach_and_look(function: Callable, inputs: Inputs) -> Any:
    """Let the function cut a state; return how the result is nested, its numbers, what is not cut.

    Where the state that was given is not what it was, it is marked as changed.
    """
    leaves: list = []
    state = _build(inputs["state"], leaves)
    given: dict[str, Any] = {}
    nesting = _look(state, "state", given)
    numbers = {path: tensor.detach().numpy().copy() for path, tensor in given.items()}

    returned = function(state)

    now: dict[str, Any] = {}
    same = _look(state, "state", now) == nesting and all(
        now[path] is tensor
        and tensor.requires_grad
        and identical(tensor.detach().numpy(), numbers[path])
        for path, tensor in given.items()
    )
    if not same:
        inputs["state"] = "changed"
    if returned is None:
        return None
    tensors: dict[str, Any] = {}
    return {
        "containers": _look(returned, "state", tensors),
        "values": {path: _numbers_of(tensor) for path, tensor in tensors.items()},
        "graph": _listed(path for path, tensor in tensors.items() if _leads_back(tensor, leaves)),
    }


def _numbers_of(tensor: Any) -> Any:
    tensor = tensor.detach()
    return (tensor.float() if tensor.element_size() < 4 else tensor).numpy().copy()


def _compare_states(case: Case, expected: Any, got: Any) -> list[Difference]:
    match expected, got:
        case None, None:
            return []
        case None, _:
            came = got.get("containers") if isinstance(got, dict) else describe(got)
            return [Difference("", f"For None, None should be returned, but it is {came}.")]
        case _, {"containers": str(nesting), "values": dict(values), "graph": str(graph)}:
            pass
        case _:
            return [Difference("", f"A state should be returned, but it is {describe(got)}.")]
    found = []
    if graph:
        where = _listed(f"`{path}`" for path in graph.split(", "))
        text = (
            f"With the result called `state`: still in the graph is {where}. A gradient goes from "
            "there back to the parameters that made the state."
        )
        found.append(Difference("graph", text))
    if nesting != expected["containers"]:
        text = f"The result should be {_a(expected['containers'])}, but is {_a(nesting)}."
        found.append(Difference("containers", text))
    missing = [path for path in expected["values"] if path not in values]
    if missing:
        place = "the result" if missing[0] == "state" else f"the place of `{missing[0]}`"
        text = f"No tensor stands in {place}: the result is {_a(nesting)}."
        found.append(Difference("values", text))
    for path, want in expected["values"].items():
        wrong = [] if path in missing else compare(want, values[path], (), 1e-9, 1e-12)
        if wrong:
            text = wrong[0].text.replace("The result", f"`{path}`").replace("result[", f"{path}[")
            found.append(Difference("values", text))
    return found


def _a(nesting: str) -> str:
    return "a tensor" if nesting == "tensor" else nesting


def _state_cases(rng: Rng) -> list[Case]:
    def tensor(*shape: int) -> Inputs:
        return {"tensor": away_from_zero(rng, shape, 0.2, 0.9)}

    H = int(rng.integers(2, 5))
    stack = {"list": [{"tuple": [tensor(1, H), tensor(1, H)]}, None, tensor(1, 2)]}
    by_name = {"dict": {"cell": {"list": [tensor(2), {"tuple": [tensor(3)]}]}, "h": tensor(1, 2)}}
    learned = {"learned": away_from_zero(rng, (1, 2, H), 0.2, 0.9)}
    cases = [
        ("tensor", "a tensor", tensor(1, 2, H)),
        ("tensor", "a number", tensor()),
        ("pair", "the pair of an LSTM, (h, c)", {"tuple": [tensor(1, 2, H), tensor(1, 2, H)]}),
        ("pair", "a list of three tensors", {"list": [tensor(1, 3), tensor(2), tensor(1)]}),
        ("nested", "a list with a pair, None and a tensor", stack),
        ("nested", "a dict with a list, a tuple of one and a tensor", by_name),
        (
            "nested",
            "nothing in it: ((), [], {})",
            {"tuple": [{"tuple": []}, {"list": []}, {"dict": {}}]},
        ),
        ("none", "None, before the first window", None),
        ("leaf", "a first state that is learned", {"tuple": [learned, tensor(1, 2, H)]}),
    ]
    return [Case(name, {"state": state}, kind) for kind, name, state in cases]


TENSOR, CUT = "A tensor", ("graph", "values")

DETACH_STATE = Exercise(
    name="detach_state",
    chapter=CHAPTER,
    minutes=10,
    signature="state",
    see=TBPTT,
    cases=_state_cases,
    call=_detach_and_look,
    compare=_compare_states,
    libraries=("torch",),
    aspects=(
        Aspect(TENSOR, 2, kinds=("tensor",)),
        Aspect("A tuple or list of tensors", 2, parts=CUT, kinds=("pair",)),
        Aspect(
            "Deeper nestings, dicts and None in them", 2, parts=CUT, kinds=("nested",), needs=TENSOR
        ),
        Aspect(
            "The same containers", 2, parts=("containers",), kinds=("pair", "nested"), needs=TENSOR
        ),
        Aspect("None", 1, kinds=("none",), needs=TENSOR),
        Aspect("A first state that is learned", 1, parts=CUT, kinds=("leaf",), needs=TENSOR),
        Aspect(
            "Leaves the given state alone",
            1,
            of="purity",
            kinds=("tensor", "pair"),
            needs=TENSOR,
        ),
    ),
    mistakes=(
        Mistake(
            "stays_in_the_graph",
            "what is returned is still in the graph, as the state itself is, or a `clone()` of it. A "
            "tensor that is made from it inside `torch.no_grad()` is cut, but the state itself is not: "
            "what matters is how a tensor was made, not where it is returned.",
            TBPTT,
        ),
        Mistake(
            "starts_from_zeros",
            "the result is cut from the graph, but its numbers are gone: it is all zeros. The gradient "
            "ends between two windows; what the network remembers goes on.",
            TBPTT,
        ),
        Mistake(
            "cuts_in_place",
            "the result is right, but the tensors that were given have been cut too, as `detach_` does it. "
            "The caller may still want to send a gradient through them.",
            TBPTT,
        ),
        Mistake(
            "writes_into_the_containers",
            "the result is right, but the list or dict that was given has been changed: its tensors have "
            "been replaced by the cut ones. Build a new container.",
            TBPTT,
        ),
        Mistake(
            "makes_lists_of_tuples",
            "tuples come back as lists. Some models unpack what they get, others test its type; the state "
            "has to come back as it was given.",
            TBPTT,
        ),
        Mistake(
            "makes_tuples_of_lists",
            "lists come back as tuples. Some models write into their list of states, or test its type; the "
            "state has to come back as it was given.",
            TBPTT,
        ),
        Mistake(
            "leaves_deeper_states_as_they_are",
            "a tensor and a tuple, list or dict of tensors are cut, but what is nested deeper comes back as "
            "it was, still in the graph. Each part of a state is a state again, so the function may call "
            "itself.",
            TBPTT,
        ),
        Mistake(
            "leaves_dicts_as_they_are",
            "tensors, tuples and lists are handled, but what stands in a dict comes back as it was, still in "
            "the graph. Cut the values of a dict and keep its keys.",
            TBPTT,
        ),
        Mistake(
            "leaves_None_out",
            "a None inside a list is left out, so what comes after it moves up by one place. It has to "
            "stay where it is: a model finds its states by their places.",
            TBPTT,
        ),
        Mistake(
            "returns_arrays",
            "the result holds NumPy arrays. The next window's model expects tensors.",
            TBPTT,
        ),
        Mistake(
            "leaves_learned_states",
            "a tensor that was made by no operation is returned as it is. But a parameter, such as a first "
            "state that is learned, has no history and is still in the graph: it is where a gradient "
            "arrives.",
            TBPTT,
        ),
    ),
)


# tbptt_epoch


def _run_epoch(function: Callable, inputs: Inputs) -> Any:
    """Let the function train on one long sequence; return the losses and how all has moved."""
    import torch

    model = _make_network(inputs["model"])
    optimizer = _make_optimizer(inputs["optimizer"], model)
    own = dict(model.named_parameters())
    before = _as_one_vector(own, inputs["model"])
    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    more = inputs["window"], inputs["max_norm"]
    try:
        losses = function(model, _make_loss(inputs["loss"]), optimizer, x, y, *more)
    except RuntimeError as error:
        cause = _through_the_graph(str(error))
        if not cause:
            raise
        return {"raised": cause}
    move = _moved_by(before, _as_one_vector(own, inputs["model"]))
    if losses is None and not move.any():
        return None
    if isinstance(losses, np.ndarray) and losses.ndim == 1:
        losses = list(losses)
    return {"losses": losses, "update": move}


def _through_the_graph(message: str) -> str:
    """Which of the two errors it is that tell of a state that was not cut, or ""."""
    known = {
        "backward through the graph a second time": "a second time",
        "modified by an inplace operation": "in place",
    }
    return next((cause for text, cause in known.items() if text in message), "")


RAISED = {
    "a second time": (
        "PyTorch raises a RuntimeError: “Trying to backward through the graph a second time”. A "
        "`backward` has come to a part of the graph that an earlier one had already gone through."
    ),
    "in place": (
        "PyTorch raises a RuntimeError: “one of the variables needed for gradient computation has "
        "been modified by an inplace operation”. A `backward` needs weights as they were before an "
        "update."
    ),
}


def _compare_epochs(case: Case, expected: Any, got: Any) -> list[Difference]:
    match got:
        case {"raised": str(cause)} if cause in RAISED:
            return [Difference("", RAISED[cause])]
        case {"losses": losses, "update": update} if _is_like(expected["update"], update):
            pass
        case _:
            return [Difference("", f"A list of losses should be returned, not {describe(got)}.")]
    found = []
    text = _wrong_losses(expected["losses"], losses)
    if text:
        found.append(Difference("losses", text))
    text = _wrong_move("The whole call", expected["update"], update, case.inputs["model"])
    if text:
        found.append(Difference("update", text))
    return found


def _wrong_losses(expected: list[float], losses: Any) -> str:
    if not isinstance(losses, list):
        return f"A list of {len(expected)} losses should be returned, but it is {describe(losses)}."
    if len(losses) != len(expected):
        return (
            f"{len(expected)} losses are due, one for each window, but {len(losses)} are returned."
        )
    for k, (want, have) in enumerate(zip(expected, losses, strict=True)):
        if not isinstance(have, float):
            return f"Each loss should be a float, but `losses[{k}]` is {describe(have)}."
        if not _near(want, have):
            before = "; the one before it is right" if k == 1 else "; those before it are right"
            return f"`losses[{k}]` should be {want:.6g}, but is {have:.6g}{before if k else ''}."
    return ""


def _epoch_cases(rng: Rng) -> list[Case]:
    def case(
        kind: str,
        sizes: tuple[str, int, int, int, int, int],
        window: int,
        loss: str,
        optimizer: Inputs,
        max_norm: float = 1e3,
    ) -> Case:
        cell, T, B, D, H, K = sizes
        inputs = {
            "model": _network(rng, cell, D, H, K, carries=True),
            "optimizer": optimizer,
            "loss": loss,
            "x": rng.normal(size=(T, B, D)),
            "y": _targets(rng, loss, K, T, B),
            "window": window,
            "max_norm": max_norm,
        }
        limit = ", clipped" if max_norm < 100 else ""
        article = "a" if cell == "GRU" else "an"
        return Case(f"{article} {cell}, T = {T}, window = {window}{limit}", inputs, kind)

    plain, adam = {"kind": "SGD", "lr": 0.2}, {"kind": "Adam", "lr": 0.05}
    momentum = {"kind": "SGD", "lr": 0.1, "momentum": 0.9}
    return [
        case("values", ("GRU", 6, 2, 3, 2, 1), 3, "uneven", plain),
        case("values", ("RNN", 4, 3, 2, 3, 3), 2, "cross-entropy", adam),
        case("many", ("GRU", 9, 2, 2, 2, 3), 3, "cross-entropy", momentum),
        case("clipped", ("RNN", 6, 2, 2, 3, 1), 3, "uneven", plain, max_norm=0.6),
        case("clipped", ("GRU", 4, 3, 2, 2, 2), 2, "cross-entropy", momentum, max_norm=0.02),
        case("pair", ("LSTM", 6, 2, 2, 2, 1), 3, "uneven", plain),
        case("short", ("GRU", 7, 2, 2, 3, 1), 3, "uneven", plain),
        case("short", ("RNN", 5, 1, 3, 1, 2), 4, "cross-entropy", plain),
        case("one", ("RNN", 4, 2, 3, 2, 1), 4, "uneven", plain),
        case("one", ("GRU", 3, 2, 2, 2, 3), 8, "cross-entropy", plain),
        case("many", ("RNN", 3, 2, 2, 2, 1), 1, "uneven", plain),
    ]


LOSSES, UPDATES = "The losses of two windows", "The parameters after two windows"

TBPTT_EPOCH = Exercise(
    name="tbptt_epoch",
    chapter=CHAPTER,
    minutes=25,
    signature="model, loss_fn, optimizer, x, y, window, max_norm",
    see=TBPTT,
    cases=_epoch_cases,
    call=_run_epoch,
    compare=_compare_epochs,
    libraries=("torch",),
    rtol=TORCH_RTOL,
    atol=TORCH_ATOL,
    aspects=(
        Aspect(LOSSES, 2, parts=("losses",), kinds=("values",)),
        Aspect(UPDATES, 2, parts=("update",), kinds=("values",)),
        Aspect("One window for the whole sequence", 2, parts=("update",), kinds=("one",)),
        Aspect("Many windows", 1, parts=("update",), kinds=("many",), needs=UPDATES),
        Aspect("Clipping", 2, parts=("update",), kinds=("clipped",), needs=UPDATES),
        Aspect("A state that is a pair", 1, parts=("update",), kinds=("pair",), needs=UPDATES),
        Aspect("A shorter last window", 1, parts=("update",), kinds=("short",), needs=UPDATES),
    ),
    mistakes=(
        Mistake(
            "does_not_cut_the_state",
            "from the second window on PyTorch raises “Trying to backward through the graph a second "
            "time”. The state that is handed on still hangs on the window that made it, so `backward` "
            "runs on into a part of the graph that is gone. Cut the state from the graph before the next "
            "window reads it.",
            TBPTT,
        ),
        Mistake(
            "retains_the_graph",
            "PyTorch raises an error about a variable “modified by an inplace operation”. It comes when "
            "the graph of earlier windows is kept, as with `retain_graph=True`: `backward` runs into "
            "them, but their weights have been updated since. Keep nothing; cut the state.",
            TBPTT,
        ),
        Mistake(
            "does_not_carry_the_state",
            "every window starts without a memory, from None or from zeros. Only the first window does. A "
            "later one starts from the state in which the one before it ended; what is not handed on "
            "is the gradient.",
            TBPTT,
        ),
        Mistake(
            "carries_only_h",
            "with a pair (h, c) as its state, the cell state c starts each window from zero. Both parts "
            "are carried on.",
            TBPTT,
        ),
        Mistake(
            "cuts_only_h",
            "with a pair (h, c) as its state, PyTorch raises “Trying to backward through the graph a second "
            "time”, as if only h were cut. The cell state c hangs on the window before as well: both parts "
            "are cut.",
            TBPTT,
        ),
        Mistake(
            "goes_step_by_step",
            "there is an update after every step, whatever the window is. A window holds `window` steps, and "
            "the gradient goes back through all of them before one update is made.",
            TBPTT,
        ),
        Mistake(
            "reads_each_window_twice",
            "the state that is carried on comes from a second reading of the window, after the update. "
            "Hand on the state that the model returned with the outputs of which the loss was made.",
            TBPTT,
        ),
        Mistake(
            "drops_the_last_window",
            "where the window does not divide the length, the last steps are left out. The last window is "
            "shorter, and it is trained on too.",
            TBPTT,
        ),
        Mistake(
            "updates_once",
            "there is one update at the end, with the gradients of all windows together. Each window is "
            "followed by an update of its own, and the next one is read by the changed model.",
            TBPTT,
        ),
        Mistake(
            "reads_all_at_once",
            "the whole sequence is one window. That is backpropagation through time without truncation: "
            "one update, and a graph as long as the sequence.",
            TBPTT,
        ),
        Mistake(
            "slides_the_window",
            "the windows overlap: each begins one step after the one before. They stand side by "
            "side, so that every step is read once and the carried state fits what comes next.",
            TBPTT,
        ),
        Mistake(
            "cuts_along_the_batch",
            "the windows are cut along the axis of the batch. Time is axis 0 here: `x` is (T, B, D).",
            TBPTT,
        ),
        Mistake(
            "never_clears_the_gradients",
            "the gradients are never cleared. `backward` adds to what stands in `.grad`, so each window's "
            "update contains the gradients of the windows before.",
            RECIPE,
        ),
        Mistake(
            "never_clips",
            "the gradients are not clipped, as if that part were missing or came at a moment when it has no "
            "effect: before `backward` or after the step. Each window's gradients are clipped between the "
            "two.",
            CLIP,
        ),
        Mistake(
            "clips_each_entry",
            "each entry of the gradients is cut off at max_norm by itself, as `clip_grad_value_` does. That "
            "turns the gradient into another direction. All are shortened by one factor.",
            CLIP,
        ),
        Mistake(
            "returns_the_mean",
            "the training is right, but one number is returned, the mean of the losses. Asked for is the "
            "list, one loss for each window.",
            TBPTT,
        ),
        Mistake(
            "returns_the_sum",
            "the training is right, but one number is returned, the sum of the losses. Asked for is the "
            "list, one loss for each window.",
            TBPTT,
        ),
        Mistake(
            "returns_tensors",
            "the training is right, but the list holds tensors. Each of them holds on to the graph of its "
            "window, so the memory that truncation saves is lost again. Store Python numbers.",
            TBPTT,
        ),
        Mistake(
            "returns_the_last_loss",
            "the training is right, but only the last window's loss is returned. Asked for is the list, one "
            "loss for each window. Does the `return` stand inside the loop, or is the list made anew?",
            TBPTT,
        ),
    ),
)


# perplexity


def _token_losses(rng: Rng, T: int, B: int, low: float, high: float, share: float) -> Inputs:
    """Losses (T, B) and a mask with about this share of real tokens, uneven over the sequences."""
    nll = rng.uniform(low, high, size=(T, B))
    lengths = np.maximum(1, np.round(T * share * np.linspace(1.4, 0.6, B))).astype(int)
    mask = np.arange(T)[:, None] < np.minimum(lengths, T)
    return {"nll": np.where(mask, nll, nll + rng.uniform(3, 6, size=(T, B))), "mask": mask}


def _perplexity_cases(rng: Rng) -> list[Case]:
    def alone() -> Inputs:
        mask = np.zeros((3, 2), dtype=bool)
        mask[1, int(rng.integers(2))] = True
        return {"nll": rng.uniform(0.5, 4.0, size=(3, 2)), "mask": mask}

    cases = [
        ("all", "all tokens count", _token_losses(rng, 4, 3, 0.3, 4.0, 2.0)),
        ("all", "one token", _token_losses(rng, 1, 1, 1.5, 3.0, 2.0)),
        ("masked", "sequences of uneven lengths", _token_losses(rng, 6, 3, 0.3, 4.0, 0.6)),
        ("masked", "more padding than tokens", _token_losses(rng, 9, 4, 0.3, 4.0, 0.3)),
        ("masked", "one token among padding", alone()),
        ("long", "a long text", _token_losses(rng, 100, 4, 4.0, 8.0, 0.7)),
    ]
    return [Case(name, inputs, kind) for kind, name, inputs in cases]


ALL_TOKENS = "All tokens count"

PERPLEXITY = Exercise(
    name="perplexity",
    chapter=CHAPTER,
    minutes=10,
    signature="nll, mask",
    see=PERPLEXITY_SECTION,
    cases=_perplexity_cases,
    aspects=(
        Aspect(ALL_TOKENS, 2, kinds=("all",)),
        Aspect("Masked tokens do not count", 2, kinds=("masked",), needs=ALL_TOKENS),
        Aspect("A long text", 1, kinds=("long",), needs=ALL_TOKENS),
        Aspect("Leaves its inputs alone", 1, of="purity", needs=ALL_TOKENS),
    ),
    mistakes=(
        Mistake(
            "counts_the_padding",
            "the mask has no influence: the padding is averaged over as well. Only tokens where the mask is "
            "True count.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "divides_by_all_positions",
            "the sum is taken over the tokens that count, but divided by the number of all positions. So the "
            "perplexity falls with every step of padding. Divide by the number of tokens that count.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "divides_by_the_steps",
            "the sum of the losses is divided by the number of steps, T, as `len(nll)` gives it. There are B "
            "tokens in a step, less the masked ones: divide by the number of tokens that count.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "turns_the_mask_round",
            "only the padding counts, as if the mask were True there. It is True where a position is real.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "averages_over_the_sequences_first",
            "the mean is taken within each sequence first, and then over the sequences. So a token in a short "
            "sequence weighs more than one in a long one. All tokens have the same weight.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "averages_over_the_steps_first",
            "the mean is taken within each step first, and then over the steps. So late tokens, where few "
            "sequences are left, weigh more. All tokens have the same weight.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "averages_the_exponentials",
            "each loss is exponentiated first and the mean is taken afterwards. One very surprising token "
            "then rules the result. The mean comes first: a perplexity is a geometric mean.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "takes_powers_of_two",
            "the result is 2 to the mean. That is right for losses in bits; these are in nats, so the base "
            "is e.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "returns_the_mean",
            "the result is the mean loss itself, in nats. Its exponential is the perplexity.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "returns_bits",
            "the result is the mean loss in bits a token. The perplexity is the exponential of the mean loss "
            "in nats.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "exponentiates_bits",
            "the mean is turned into bits, and e is raised to it. The base and the unit belong together: e with "
            "nats, or 2 with bits. Both give the same.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "returns_the_inverse",
            "the result is the exponential of *minus* the mean loss: the geometric mean of the "
            "probabilities. The perplexity is its inverse. A perfect model has 1, every other more.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "takes_the_sum",
            "the losses are added and not averaged, so the result grows with the length of the text. The "
            "perplexity is that of a single token, on average.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "multiplies_probabilities",
            "short texts are right, but on a long one the product of the probabilities is zero in floating "
            "point. Take the mean of the logarithms, and exponentiate once at the end.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "gives_one_for_each_sequence",
            "the result has one perplexity for each sequence. Asked for is one number for all tokens "
            "together.",
            PERPLEXITY_SECTION,
        ),
        Mistake(
            "writes_into_the_losses",
            "the value is right, but something is written into the array `nll` that was passed in, as "
            "`nll *= mask` or `nll[~mask] = 0` does. Work on a copy.",
            PERPLEXITY_SECTION,
        ),
    ),
)


# split_parameters


def _make_model(described: Inputs) -> Any:
    """A torch.nn.Module of these parts, own parameters, ties and frozen parameters."""
    import torch

    model = torch.nn.Module()
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        for name, kind, sizes in described["parts"]:
            outer, _, inner = name.rpartition(".")
            if outer and not hasattr(model, outer):
                model.add_module(outer, torch.nn.Module())
            part = getattr(torch.nn, kind)(*sizes)
            model.get_submodule(outer).add_module(inner, part)
    for name, shape in described["own"]:
        model.register_parameter(name, torch.nn.Parameter(torch.ones(tuple(shape))))
    for name, other in described["tied"]:
        outer, _, inner = name.rpartition(".")
        setattr(model.get_submodule(outer), inner, model.get_parameter(other))
    for name in described["frozen"]:
        model.get_parameter(name).requires_grad_(False)
    return model


PARTS = ("decay", "no_decay")


def _split_and_look(function: Callable, inputs: Inputs) -> Any:
    """Let the function split a model's parameters; return by name how often each is listed."""
    model = _make_model(inputs["model"])
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), name)
    returned = function(model)
    if returned is None:
        return None
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        return {
            "misfit": f"Two lists should be returned, but it is {describe(snapshot(returned))}."
        }
    for part, group in zip(PARTS, returned, strict=True):
        if not isinstance(group, (tuple, list)):
            return {"misfit": f"`{part}` should be a list, but is {describe(snapshot(group))}."}
    counts: list[dict[str, int]] = [{}, {}]
    for group, count in zip(returned, counts, strict=True):
        for parameter in group:
            name = names.get(id(parameter)) or _stranger(parameter)
            count[name] = count.get(name, 0) + 1
    return counts


def _stranger(value: Any) -> str:
    """What something is that is no parameter of the model."""
    import torch

    return (
        "a tensor"
        if isinstance(value, torch.Tensor)
        else describe(snapshot(value)).split(" of ")[0]
    )


def _compare_groups(case: Case, expected: Any, got: Any) -> list[Difference]:
    match got:
        case {"misfit": str(text)}:
            return [Difference("", text)]
        case [dict(), dict()] if all(type(n) is int for group in got for n in group.values()):
            pass
        case _:
            return [Difference("", f"Two lists should be returned, but it is {describe(got)}.")]
    known = {**expected[0], **expected[1]}
    axes = {name: "2 or more axes" for name in expected[0]} | {
        name: "fewer than 2 axes" for name in expected[1]
    }
    found = []
    for part, want, have in zip(PARTS, expected, got, strict=True):
        texts = []
        strangers = [name for name in have if name not in known]
        frozen = [name for name in strangers if name in _frozen(case)]
        strange = [name for name in strangers if name not in frozen]
        missing = [name for name in want if name not in have]
        wrong = [name for name in have if name in known and name not in want]
        twice = [name for name in have if name in want and have[name] != want[name]]
        if strange:
            texts.append(f"holds {strange[0]} that is no parameter of the model")
        if frozen:
            texts.append(f"holds {_quoted(frozen)}, which requires no gradient")
        if missing:
            texts.append(f"lacks {_quoted(missing)} ({axes[missing[0]]})")
        if wrong:
            texts.append(f"holds {_quoted(wrong)} ({axes[wrong[0]]})")
        if twice:
            texts.append(f"holds {_quoted(twice)} more than once")
        if texts:
            found.append(Difference(part, f"`{part}` {'; it '.join(texts)}."))
    return found


def _frozen(case: Case) -> list[str]:
    return list(case.inputs["model"]["frozen"])


def _quoted(names: list[str]) -> str:
    listed = _listed(f"`{name}`" for name in names[:3])
    return listed + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _split_cases(rng: Rng) -> list[Case]:
    def size() -> int:
        return int(rng.integers(2, 6))

    def case(kind: str, name: str, parts: list, own=(), tied=(), frozen=()) -> Case:
        model = {
            "parts": [list(part) for part in parts],
            "own": [list(item) for item in own],
            "tied": [list(pair) for pair in tied],
            "frozen": list(frozen),
        }
        return Case(name, {"model": model}, kind)

    def one_of(*names: str) -> str:
        return str(rng.choice(names))

    D, H, V = size(), size(), size() + 3
    cell = one_of("GRU", "LSTM", "RNN")
    frozen_part = one_of("weight_ih_l0", "weight_hh_l0")
    embed = one_of("embed", "embedding", "word_embedding", "embed_in")
    memory = one_of("cell", "memory", "recurrent", "reader")
    read_out = one_of("read_out", "head", "output", "answer")
    tagger = [
        (embed, "Embedding", [V, D]),
        (memory, cell, [D, H, int(rng.integers(1, 3))]),
        (read_out, "Linear", [H, V]),
    ]
    normed = [
        (embed, "Embedding", [V, D]),
        (f"encoder.{memory}", "LSTM", [D, H, 2]),
        ("encoder.norm", "LayerNorm", [H]),
        (read_out, "Linear", [H, 3]),
    ]
    language = [
        (embed, "Embedding", [V, H]),
        (memory, "GRU", [H, H]),
        ("hidden", "Linear", [H, H]),
        ("second", "Linear", [H, H]),
        (read_out, "Linear", [H, V]),
    ]
    shapes = [("conv", "Conv1d", [D, H, 3]), ("mix", "Bilinear", [2, 3, H])]
    own = [("temperature", []), ("position_bias", [4, H]), ("first_weight", [H])]
    one = [(one_of("read_out", "slope", "line", "price"), "Linear", [1, 1])]
    return [
        case("plain", f"an embedding, a {cell}, a read-out", tagger),
        case("plain", "a read-out with one input and one output", one),
        case("shapes", "two layers and a layer norm in a part of a part", normed),
        case("shapes", "parameters with 0, 1, 2 and 3 axes", shapes, own),
        case("frozen", "some parameters are frozen", tagger, frozen=(
            f"{embed}.weight", f"{memory}.{frozen_part}", f"{read_out}.bias")),
        case("tied", "read-out and embedding share their weights, two layers their bias", language, tied=(
            (f"{read_out}.weight", f"{embed}.weight"), ("second.bias", "hidden.bias"))),
    ]  # fmt: skip


MATRICES, VECTORS = "Matrices are to be decayed", "Biases are not"

SPLIT_PARAMETERS = Exercise(
    name="split_parameters",
    chapter=CHAPTER,
    minutes=10,
    signature="model",
    see=DECAY,
    cases=_split_cases,
    call=_split_and_look,
    compare=_compare_groups,
    parts=PARTS,
    libraries=("torch",),
    aspects=(
        Aspect(MATRICES, 2, parts=("decay",), kinds=("plain",)),
        Aspect(VECTORS, 2, parts=("no_decay",), kinds=("plain",)),
        Aspect("Gains, numbers, parts of parts", 2, kinds=("shapes",), needs=MATRICES),
        Aspect("Frozen parameters are left out", 1, kinds=("frozen",), needs=MATRICES),
        Aspect("A tied parameter is listed once", 1, kinds=("tied",), needs=MATRICES),
    ),
    mistakes=(
        Mistake(
            "goes_by_the_name",
            "every parameter whose name contains “bias” is spared, and no other. The gain of a layer norm "
            "is called `weight` and is a vector; a matrix may be called `position_bias`. What counts is the "
            "number of axes.",
            DECAY,
        ),
        Mistake(
            "looks_for_weight_and_bias",
            "parameters with “weight” in their name are decayed, those with “bias” are spared, and all others "
            "are lost. The gain of a layer norm is called `weight` and is a vector; a parameter may have any "
            "name. What counts is the number of axes.",
            DECAY,
        ),
        Mistake(
            "decays_matrices_only",
            "only parameters with exactly two axes are decayed. Weights with three, such as those of a "
            "convolution, belong to them too: two or more.",
            DECAY,
        ),
        Mistake(
            "spares_single_numbers_only",
            "vectors stand among the parameters that are decayed. Two axes are needed for that; biases and "
            "gains have one.",
            DECAY,
        ),
        Mistake(
            "decays_everything",
            "all parameters stand in the first list. Biases and gains are spared: pulling a gain towards "
            "zero closes what it scales, and a bias towards zero is no simpler a model.",
            DECAY,
        ),
        Mistake(
            "leaves_single_numbers_out",
            "a parameter without axes, a single number, stands in neither list, so the optimiser would never "
            "train it. It belongs to the second list, with all that have fewer than two axes.",
            DECAY,
        ),
        Mistake(
            "spares_the_embeddings",
            "embeddings stand in the second list. Some recipes spare them too; here the number of axes alone "
            "decides, and an embedding is a matrix.",
            DECAY,
        ),
        Mistake(
            "exchanges_the_lists",
            "the two lists have changed places. Those with two or more axes, which are decayed, come first.",
            DECAY,
        ),
        Mistake(
            "keeps_frozen_parameters",
            "parameters that require no gradient are listed as well. Only trainable ones are asked for: a "
            "frozen one is not to be changed by any optimiser, and weight decay would change it.",
            DECAY,
        ),
        Mistake(
            "lists_tied_parameters_twice",
            "a parameter that two modules share is listed once for each of them. An optimiser warns of that "
            "or refuses it, and by hand it would be decayed twice. `model.parameters()` gives each once; a "
            "walk over the modules does not.",
            DECAY,
        ),
        Mistake(
            "lists_parameters_of_each_level",
            "parameters are listed several times: for the module that holds them, and again for every module "
            "around it. `modules()` goes through all levels, and so does the `parameters()` of each of "
            "them. One of the two walks is enough, and `model.parameters()` gives each parameter once.",
            DECAY,
        ),
        Mistake(
            "stays_at_the_surface",
            "parameters of modules that stand inside another module are missing. `model.parameters()` goes "
            "through all of them, at any depth.",
            DECAY,
        ),
        Mistake(
            "returns_names",
            "the lists hold names. An optimiser takes the parameters themselves.",
            DECAY,
        ),
        Mistake(
            "returns_pairs",
            "the lists hold pairs of a name and a parameter, as `named_parameters()` gives them. An optimiser "
            "takes the parameters themselves.",
            DECAY,
        ),
        Mistake(
            "returns_copies",
            "the lists hold tensors that are no parameters of the model, as `.data`, `detach()` or `clone()` "
            "make them. An optimiser would look for gradients there in vain.",
            DECAY,
        ),
        Mistake(
            "returns_groups_for_an_optimiser",
            "the result is made for an optimiser already: dicts with `params` and `weight_decay`. Asked for are "
            "the two lists; whoever makes the optimiser decides how much is decayed.",
            DECAY,
        ),
    ),
)


EXERCISES = [
    ADDING_PROBLEM,
    DELAYED_RECALL,
    TRAIN_STEP,
    DETACH_STATE,
    TBPTT_EPOCH,
    PERPLEXITY,
    SPLIT_PARAMETERS,
]
