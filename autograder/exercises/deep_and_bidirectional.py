"""Chapter 7: what is asked about deep and bidirectional networks, and about padding."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.compare import Difference, compare, describe
from autograder.detail import with_steps
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "07-deep-and-bidirectional"
STACK = Section(CHAPTER, "deep-stack", "A network on top of a network")
DEPTH = Section(CHAPTER, "deep-depth", "What depth adds, and what it does not")
PADDING = Section(CHAPTER, "deep-padding", "Uneven lengths: padding and masks")
LAST = Section(CHAPTER, "deep-last", "The last real state")
REVERSE = Section(CHAPTER, "deep-reverse", "Reversing within the length")
BOTH = Section(CHAPTER, "deep-both", "Both directions")
TAGGER = Section(CHAPTER, "deep-tagger", "A tagger, and padding that does not leak")
DROPOUT = Section(CHAPTER, "deep-dropout", "Dropout between layers")
LOCKED = Section(CHAPTER, "deep-locked", "One mask for all steps")
NORM = Section(CHAPTER, "deep-norm", "Layer normalisation")
NORM_LSTM = Section(CHAPTER, "deep-normlstm", "Layer normalisation inside the LSTM")

RTOL, ATOL = 1e-9, 1e-12
VALUES, PURITY = "Values", "Leaves its inputs alone"
SMALL = "One step, one sequence, one unit"
Rng = np.random.Generator
Inputs = dict[str, Any]


def _cell(rng: Rng, D: int, H: int) -> Inputs:
    """Weights of a tanh cell that does not saturate; no entry can be left out unseen."""
    return {
        "W_x": away_from_zero(rng, (H, D), 0.4, 1.0) / np.sqrt(D),
        "W_h": away_from_zero(rng, (H, H), 0.4, 1.0) / np.sqrt(H),
        "b": away_from_zero(rng, (H,), 0.2, 0.7),
    }


def _network(rng: Rng, B: int, D: int, H: int) -> Inputs:
    return {"h0": away_from_zero(rng, (B, H), 0.2, 0.9), **_cell(rng, D, H)}


def _inputs(rng: Rng, *shape: int) -> np.ndarray:
    return away_from_zero(rng, shape, 0.3, 1.2)


def _told(lengths: Iterable[int]) -> str:
    return f"lengths = {', '.join(map(str, lengths))}"


def _is_real(case: Case, T: int) -> np.ndarray:
    """(T, B): True where a position belongs to its sequence."""
    return np.arange(T)[:, None] < case.inputs["lengths"]


def _where(masks: dict[str, np.ndarray], expected: np.ndarray, got: np.ndarray) -> Iterator:
    """One difference for each mask under which the two arrays differ, its first index under it."""
    for part, mask in masks.items():
        there = np.where(mask, got, expected)
        for difference in compare(expected, there, (), RTOL, ATOL):
            yield replace(difference, part=part)


# stacked_rnn_forward

ABOVE = tuple(f"hs[{k}]" for k in range(1, 4))


def _stack_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 3, 2, (3, 4)),
        ("values", 3, 2, 3, (3, 3, 3)),
        ("values", 5, 2, 4, (2, 3, 2)),
        ("values", 2, 2, 2, (2, 2)),
        ("sizes", 3, 2, 4, (3,)),
        ("sizes", 1, 3, 2, (3, 2)),
        ("sizes", 3, 1, 1, (1, 1, 2)),
    ]
    cases = []
    for kind, T, B, D, units in sizes:
        reads = (D, *units[:-1])
        layers = [_network(rng, B, R, H) for R, H in zip(reads, units, strict=True)]
        name = f"T = {T}, B = {B}, D = {D}, H = {', '.join(map(str, units))}"
        cases.append(Case(name, {"x": _inputs(rng, T, B, D), "layers": layers}, kind))
    return cases


def _compare_layers(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison of a list, each layer by its name, with the steps that are right."""
    if not isinstance(got, list) or len(got) != len(expected):
        return compare(expected, got, (), RTOL, ATOL)
    names = tuple(f"hs[{k}]" for k in range(len(expected)))
    return [with_steps(d, names) for d in compare(expected, got, names, RTOL, ATOL)]


STACKED_RNN_FORWARD = Exercise(
    name="stacked_rnn_forward",
    chapter=CHAPTER,
    minutes=10,
    signature="x, layers",
    see=STACK,
    cases=_stack_cases,
    compare=_compare_layers,
    aspects=(
        Aspect("The lowest layer", 2, parts=("hs[0]",), kinds=("values",)),
        Aspect("The layers above it", 4, parts=ABOVE, kinds=("values",)),
        Aspect(
            "One layer, one step, one sequence", 1, kinds=("sizes",), needs="The layers above it"
        ),
        Aspect(PURITY, 1, of="purity", needs="The layers above it"),
    ),
    mistakes=(
        Mistake(
            "lets_every_layer_read_the_input",
            "every layer reads `x`. Only the lowest one does; each layer above it reads, at every "
            "step, the state that the layer below has just reached. Where the sizes differ, this "
            "raises an error; where they are equal, only the numbers are wrong.",
            STACK,
        ),
        Mistake(
            "returns_the_top_layer_only",
            "only the states of the top layer are returned. Asked for is a list with the states of "
            "every layer, the lowest first.",
            STACK,
        ),
        Mistake(
            "returns_the_last_states_only",
            "each layer is right, but only its last state is returned, of shape (B, H). All states of "
            "every layer are asked for, (T, B, H) each.",
            STACK,
        ),
        Mistake(
            "puts_the_input_in_front",
            "the list begins with `x`. The input is no layer: entry 0 holds the states of the lowest "
            "layer, and there are as many entries as layers.",
            STACK,
        ),
        Mistake(
            "returns_the_top_layer_first",
            "all states are right, but the list begins with the top layer. It has the order of "
            "`layers`: the lowest first.",
            STACK,
        ),
        Mistake(
            "starts_from_zeros",
            "every layer starts from a state of zeros. Each dict brings an `h0` of its own.",
            STACK,
        ),
        Mistake(
            "starts_each_layer_where_the_one_below_ended",
            "the lowest layer is right, but each layer above it starts from the last state of the layer "
            "below. What goes up are the states as inputs, step by step. Every layer has a first state "
            "of its own, the `h0` in its dict.",
            STACK,
        ),
        Mistake(
            "starts_all_layers_from_the_first_h0",
            "all layers start from the `h0` of the lowest one. Each dict brings an `h0` of its own, and "
            "its size may be another.",
            STACK,
        ),
        Mistake(
            "uses_the_first_layers_weights",
            "every layer computes with the weights of the lowest one. The weights are shared over time, "
            "not over depth: each dict holds its own.",
            STACK,
        ),
        Mistake(
            "reads_the_last_state_of_the_layer_below",
            "each layer above the first reads the same thing at every step, the last state of the layer "
            "below. At step t it reads the state of step t: the layers run side by side, and the whole "
            "sequence goes up.",
            STACK,
        ),
        Mistake(
            "reads_the_layer_below_one_step_late",
            "each layer above the first reads the state that the layer below had one step before. "
            "Within one step the signal goes all the way up: the layer below comes first, and its new "
            "state is what the next layer reads.",
            STACK,
        ),
        Mistake(
            "keeps_the_input_in_the_sum",
            "where the sizes allow it, what a layer has read is added to what it hands up. Such "
            "residual connections are useful in deep stacks. They are not asked for here: a layer "
            "reads the states of the layer below, and nothing else.",
            DEPTH,
        ),
        Mistake(
            "gives_the_last_states_for_every_step",
            "all entries of a layer are its last state. This happens when one list of current states "
            "is changed at each step and stored T times: what is stored is then the same list T "
            "times, with its last contents. Store what is in it, or a copy.",
            STACK,
        ),
        Mistake(
            "lists_the_steps_instead_of_the_layers",
            "the states are right, but the list has an entry for each step, and each entry holds the "
            "states of all layers. It is the other way round: one entry for each layer, and in it all "
            "steps, (T, B, H).",
            STACK,
        ),
        Mistake(
            "does_not_transpose_W_h",
            "`W_h` is used the wrong way round in every layer: it is square, so the shapes do not show "
            "it. Row i belongs to unit i of the new state, so with the states as rows the matrix "
            "stands transposed.",
            STACK,
        ),
        Mistake(
            "forgets_the_biases",
            "the biases `b` are left out. Each layer has one of its own, inside the `tanh`.",
            STACK,
        ),
        Mistake(
            "changes_the_dicts",
            "the states are right, but afterwards the dicts in `layers` are not what they were. "
            "`layer.pop(...)` takes an entry out, and an assignment into `layer['h0']` writes into the "
            "caller's array. Read them, and compute into new arrays.",
            STACK,
        ),
    ),
)


# reverse_padded

REAL, PAD, PADDED = "result[t < lengths]", "result[t >= lengths]", "padding"


def _reverse_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 6, 2, (4, 6, 1)),
        ("values", 5, 3, (3, 4, 2, 3)),
        ("values", 4, 4, (2, 4, 1, 3)),
        ("sizes", 1, 2, (1, 1)),
        ("sizes", 5, 3, (3,)),
        ("sizes", 4, 1, (4, 4)),
    ]
    return [
        Case(
            f"T = {T}, D = {D}, {_told(lengths)}",
            {"x": _inputs(rng, T, len(lengths), D), "lengths": np.array(lengths)},
            kind,
        )
        for kind, T, D, lengths in sizes
    ]


def _compare_real_and_padding(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, told apart: real steps and padding, and which sequences are right."""
    found = compare(expected, got, (), RTOL, ATOL)
    if not found or found[0].got is None:
        return found
    real = _is_real(case, len(expected))[:, :, None]
    told = _where({REAL: real, PAD: ~real}, expected, got)
    return [_with_sequences(case, difference) for difference in told]


def _with_sequences(case: Case, difference: Difference) -> Difference:
    """Add which sequences are right, by their numbers, where some are."""
    if difference.expected is None or difference.got is None:
        return difference
    pairs = zip(difference.expected.swapaxes(0, 1), difference.got.swapaxes(0, 1), strict=True)
    agree = [np.allclose(got, wanted, RTOL, ATOL) for wanted, got in pairs]
    if all(agree) or not any(agree) or difference.part in (PAD, PADDED):
        return difference
    numbered = [f"{n} (length {case.inputs['lengths'][n]})" for n in range(len(agree))]
    right, wrong = (
        ", ".join(name for name, same in zip(numbered, agree, strict=True) if same == wanted)
        for wanted in (True, False)
    )
    text = f"{difference.text} Sequences where it is right: {right}; where it is wrong: {wrong}."
    return replace(difference, text=text)


REVERSE_PADDED = Exercise(
    name="reverse_padded",
    chapter=CHAPTER,
    minutes=10,
    signature="x, lengths",
    see=REVERSE,
    cases=_reverse_cases,
    compare=_compare_real_and_padding,
    aspects=(
        Aspect("The real steps, reversed", 4, parts=(REAL,), kinds=("values",)),
        Aspect(
            "The padding, where it was",
            2,
            parts=(PAD,),
            kinds=("values",),
            needs="The real steps, reversed",
        ),
        Aspect(
            "One step, one sequence, no padding",
            1,
            kinds=("sizes",),
            needs="The real steps, reversed",
        ),
        Aspect(PURITY, 1, of="purity", needs="The real steps, reversed"),
    ),
    mistakes=(
        Mistake(
            "reverses_the_whole_array",
            "the whole time axis is reversed, so the padding comes first and every short sequence is "
            "moved to the end. Each sequence is to be reversed between its own first and its own last "
            "real step.",
            REVERSE,
        ),
        Mistake(
            "moves_the_padding_to_the_front",
            "each sequence is reversed rightly, but it stands at the end of the time axis, with zeros "
            "before it. It begins at step 0 as before, and the padding stays where it is, behind it.",
            REVERSE,
        ),
        Mistake(
            "reverses_the_padding_too",
            "the real steps are right, but the padding has been reversed as well, within itself. An "
            "index such as length - 1 - t becomes negative there, and NumPy then counts from the end. "
            "Padding stays where it is.",
            REVERSE,
        ),
        Mistake(
            "fills_the_padding_with_zeros",
            "the real steps are right, but the padding is zero. It is to be left as it is, so that "
            "reversing twice gives back the same array.",
            REVERSE,
        ),
        Mistake(
            "fills_the_padding_with_the_first_step",
            "the real steps are right, but on the padding stands the sequence's first step again and "
            "again, as when the index is stopped at 0. Padding is to be left as it is.",
            REVERSE,
        ),
        Mistake(
            "takes_the_largest_length_for_all",
            "every sequence is reversed within the length of the longest one. That is right for the "
            "longest; in the others padding comes first. Each has a length of its own.",
            REVERSE,
        ),
        Mistake(
            "takes_the_first_length_for_all",
            "every sequence is reversed within the length of the first one. Each has a length of its "
            "own, `lengths[n]`.",
            REVERSE,
        ),
        Mistake(
            "begins_one_step_too_late",
            "each reversed sequence begins with the step behind its last real one. Steps are counted "
            "from 0, so the last real step of a sequence of length n is step n - 1.",
            REVERSE,
        ),
        Mistake(
            "leaves_the_last_step_where_it_is",
            "each sequence is reversed but for its last real step, which stays where it is. A sequence "
            "of length n has the real steps 0 to n - 1; the end of a slice is not part of it.",
            REVERSE,
        ),
        Mistake(
            "reverses_the_features_too",
            "time is reversed rightly, but the D numbers of each step are reversed as well. A slice "
            "with a step of -1 belongs on the time axis alone.",
            REVERSE,
        ),
        Mistake(
            "reverses_along_the_batch",
            "the order of the sequences is reversed, and time runs as before. Time is the first axis, "
            "the batch the second.",
            REVERSE,
        ),
        Mistake(
            "reverses_the_features_instead",
            "the D numbers of each real step are reversed, and time runs as before. Time is the first "
            "axis of `x`, the features are its last.",
            REVERSE,
        ),
        Mistake(
            "overwrites_what_it_still_needs",
            "the first half of each result is right, and the second half repeats it, mirrored. This "
            "happens when steps are written one after another into the array that is still being read. "
            "Write into a new array; `x` must stay what it was anyway.",
            REVERSE,
        ),
        Mistake(
            "reverses_in_place",
            "the result is right, but it is written into the `x` that was passed in. The forward "
            "direction still needs it: work on a copy.",
            REVERSE,
        ),
    ),
)


# masked_rnn_forward


def _masked_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 2, 3, (3, 5, 1)),
        ("values", 6, 3, 2, (4, 2, 5)),
        ("values", 4, 3, 3, (2, 4, 1)),
        ("sizes", 1, 2, 3, (1, 1)),
        ("sizes", 4, 3, 2, (2,)),
        ("sizes", 5, 1, 1, (5, 3)),
    ]
    cases = []
    for kind, T, D, H, lengths in sizes:
        B = len(lengths)
        inputs = {
            "x": _inputs(rng, T, B, D),
            **_network(rng, B, D, H),
            "lengths": np.array(lengths),
        }
        cases.append(Case(f"T = {T}, D = {D}, H = {H}, {_told(lengths)}", inputs, kind))
    return cases


MASKED_RNN_FORWARD = Exercise(
    name="masked_rnn_forward",
    chapter=CHAPTER,
    minutes=10,
    signature="x, h0, W_x, W_h, b, lengths",
    see=PADDING,
    cases=_masked_cases,
    compare=_compare_real_and_padding,
    aspects=(
        Aspect("The states on real steps", 3, parts=(REAL,), kinds=("values",)),
        Aspect("The state, carried over the padding", 3, parts=(PAD,), kinds=("values",)),
        Aspect(SMALL, 1, kinds=("sizes",), needs="The state, carried over the padding"),
        Aspect(PURITY, 1, of="purity", needs="The states on real steps"),
    ),
    mistakes=(
        Mistake(
            "reads_the_padding",
            "the network runs on over the padding as if it were input, and `lengths` has no influence. "
            "After a sequence's last real step its state stays what it is.",
            PADDING,
        ),
        Mistake(
            "reads_zeros_on_padding",
            "the padding is set to zero and then read. An input of zero is still a step: the old state "
            "and the bias move the state on. After a sequence's end its state stays what it is.",
            PADDING,
        ),
        Mistake(
            "gives_zeros_on_padding",
            "the states on real steps are right, but on padding they are zero. The last real state is "
            "to be carried along, so that the last entry of `hs` holds it for every sequence.",
            PADDING,
        ),
        Mistake(
            "goes_back_to_h0",
            "the states on real steps are right, but on padding stands `h0` again. What is carried "
            "along is the state of the step before, not the one before the first input.",
            PADDING,
        ),
        Mistake(
            "stops_one_step_too_early",
            "each sequence's state stands still one step too early, so its last real input is never "
            "read. Steps are counted from 0: with a length of n, step n - 1 is still real.",
            PADDING,
        ),
        Mistake(
            "stops_one_step_too_late",
            "each sequence reads one step of padding before its state stands still. Steps are counted "
            "from 0: with a length of n, step n is padding already.",
            PADDING,
        ),
        Mistake(
            "stops_all_with_the_shortest",
            "all sequences stand still as soon as the shortest has ended. Each has a length of its own, "
            "so at every step it must be decided for each sequence whether it still moves.",
            PADDING,
        ),
        Mistake(
            "stops_all_with_the_first",
            "all sequences are treated as if they had the length of the first one. Each has a length "
            "of its own, so at every step it must be decided for each whether it still moves.",
            PADDING,
        ),
        Mistake(
            "carries_the_real_steps_and_reads_the_padding",
            "the mask is the wrong way round: on real steps the state stands still, and on padding it "
            "moves. A position is real where t is less than the length.",
            PADDING,
        ),
        Mistake(
            "starts_from_zeros",
            "the first step starts from a state of zeros, and `h0` is not used.",
            PADDING,
        ),
        Mistake(
            "does_not_transpose_W_h",
            "`W_h` is used the wrong way round: it is square, so the shapes do not show it. Row i "
            "belongs to unit i of the new state, so with the states as rows the matrix stands "
            "transposed.",
            PADDING,
        ),
        Mistake(
            "forgets_the_bias",
            "the bias `b` is left out. Add it to the pre-activation, inside the `tanh`.",
            PADDING,
        ),
        Mistake(
            "gives_the_last_state_for_every_step",
            "all entries are the last state. This happens when one array is changed at each step and "
            "stored T times: a list then holds the same array T times. Store a copy.",
            PADDING,
        ),
        Mistake(
            "returns_only_the_last_states",
            "the last states alone are returned, of shape (B, H). All states are asked for, (T, B, H), "
            "padding included.",
            PADDING,
        ),
        Mistake(
            "writes_into_h0",
            "the states are right, but something is written into the array `h0` that was passed in. "
            "After `h = h0` both names mean the same array, and `h[...] =` changes it for the caller "
            "too. Compute into a new one.",
            PADDING,
        ),
    ),
)


# last_valid


def _last_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 3, (2, 5, 1, 4)),
        ("values", 4, 4, (3, 1, 4, 2)),
        ("short", 6, 2, (3, 2, 4)),
        ("short", 5, 3, (2, 4)),
        ("sizes", 1, 3, (1, 1)),
        ("sizes", 5, 2, (3,)),
        ("sizes", 3, 1, (3, 2)),
    ]
    return [
        Case(
            f"T = {T}, H = {H}, {_told(lengths)}",
            {
                "hs": away_from_zero(rng, (T, len(lengths), H), 0.1, 0.9),
                "lengths": np.array(lengths),
            },
            kind,
        )
        for kind, T, H, lengths in sizes
    ]


LAST_VALID = Exercise(
    name="last_valid",
    chapter=CHAPTER,
    minutes=5,
    signature="hs, lengths",
    see=LAST,
    cases=_last_cases,
    aspects=(
        Aspect(VALUES, 3, kinds=("values",)),
        Aspect("No sequence reaches the end", 1, kinds=("short",), needs=VALUES),
        Aspect(SMALL, 1, kinds=("sizes",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "takes_the_last_row",
            "the last entry of `hs` is returned. It is right only for a sequence that fills all T "
            "steps; for the others it stands on padding.",
            LAST,
        ),
        Mistake(
            "takes_the_last_row_after_clearing",
            "the last entry of `hs` is returned with zeros where a sequence has ended before. A mask "
            "says which positions are real; here one of them has to be found, the last.",
            LAST,
        ),
        Mistake(
            "is_one_step_late",
            "the step behind the last real one is taken. Where a sequence has the full length there is "
            "none, and NumPy raises an IndexError. Steps are counted from 0, so the last real step of "
            "a sequence of length n is step n - 1.",
            LAST,
        ),
        Mistake(
            "is_one_step_late_and_stops_at_the_end",
            "the step behind the last real one is taken, except where a sequence fills all T steps. "
            "Steps are counted from 0, so the last real step of a sequence of length n is step n - 1.",
            LAST,
        ),
        Mistake(
            "is_one_step_early",
            "the step before the last real one is taken; for a sequence of length 1 the index is -1, "
            "which NumPy counts from the end. The last real step of a sequence of length n is step "
            "n - 1.",
            LAST,
        ),
        Mistake(
            "takes_whole_steps",
            "for each length a whole step of all sequences is taken, so the result has the shape "
            "(B, B, H), and only its diagonal is what is asked. The second axis needs an index as "
            "well: length n goes with sequence n.",
            LAST,
        ),
        Mistake(
            "takes_the_end_of_the_longest",
            "all states are taken from the step where the longest sequence ends. Each sequence ends at "
            "a step of its own.",
            LAST,
        ),
        Mistake(
            "takes_the_end_of_the_shortest",
            "all states are taken from the step where the shortest sequence ends. Each sequence ends "
            "at a step of its own.",
            LAST,
        ),
        Mistake(
            "takes_the_end_of_the_first",
            "all states are taken from the step where the first sequence ends. Each sequence ends at a "
            "step of its own.",
            LAST,
        ),
        Mistake(
            "counts_from_the_end",
            "the steps are counted from the end of the array, as a negative index does. A length counts "
            "from the beginning; behind it comes the padding.",
            LAST,
        ),
        Mistake(
            "takes_the_batch_for_time",
            "the number of the sequence is used on the first axis of `hs` and the step on the second. "
            "Time comes first here: `hs[t, n]` is the state of sequence n after step t.",
            LAST,
        ),
        Mistake(
            "averages_the_real_states",
            "the mean of all real states is returned. That is a summary one can use, but asked for is "
            "one of them: the last.",
            LAST,
        ),
        Mistake(
            "adds_up_the_real_states",
            "the sum of all real states is returned. Asked for is one of them, the last. A mask that is "
            "to pick it out has to be true at one step only.",
            LAST,
        ),
        Mistake(
            "takes_the_largest_of_the_real_states",
            "for each unit the largest value over the real steps is returned. That is a summary one can "
            "use, but asked for is the state after the last real step.",
            LAST,
        ),
        Mistake(
            "takes_the_first_state",
            "the first entry of `hs` is returned, the state after the first input. Asked for is the one "
            "after the last real input of each sequence.",
            LAST,
        ),
        Mistake(
            "sorts_the_sequences_by_length",
            "all states are there, but sorted by the lengths of their sequences, the longest first. Row "
            "n of the result belongs to sequence n, in the order of `hs`.",
            LAST,
        ),
        Mistake(
            "clears_the_padding_in_place",
            "the states are right, but afterwards the padding in the `hs` that was passed in is zero. "
            "Leave inputs as they are: `hs * mask` makes a new array, `hs *= mask` does not.",
            LAST,
        ),
    ),
)


# bidirectional_rnn_forward

AHEAD, BACK = "result[..., :H]", "result[..., H:]"


def _bidirectional_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 2, 3, (3, 5, 2)),
        ("values", 4, 3, 2, (3, 1, 2)),
        ("values", 3, 3, 3, (2, 3, 1)),
        ("sizes", 1, 2, 3, (1, 1)),
        ("sizes", 4, 3, 2, (2,)),
        ("sizes", 3, 1, 1, (3, 2)),
    ]
    cases = []
    for kind, T, D, H, lengths in sizes:
        B = len(lengths)
        inputs = {
            "x": _inputs(rng, T, B, D),
            "lengths": np.array(lengths),
            "forward": _network(rng, B, D, H),
            "backward": _network(rng, B, D, H),
        }
        cases.append(Case(f"T = {T}, D = {D}, H = {H}, {_told(lengths)}", inputs, kind))
    return cases


def _compare_directions(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, told apart: forward states, backward states, and the padding."""
    found = compare(expected, got, (), RTOL, ATOL)
    if not found or found[0].got is None:
        return found
    real = _is_real(case, len(expected))[:, :, None]
    first_half = np.arange(expected.shape[2]) < expected.shape[2] // 2
    masks = {AHEAD: real & first_half, BACK: real & ~first_half, PADDED: ~real}
    return [_with_sequences(case, d) for d in _where(masks, expected, got)]


FORWARD_HALF = "The forward states"
BIDIRECTIONAL_RNN_FORWARD = Exercise(
    name="bidirectional_rnn_forward",
    chapter=CHAPTER,
    minutes=20,
    signature="x, lengths, forward, backward",
    see=BOTH,
    cases=_bidirectional_cases,
    compare=_compare_directions,
    aspects=(
        Aspect("The backward states", 4, parts=(BACK,), kinds=("values",)),
        Aspect(FORWARD_HALF, 2, parts=(AHEAD,), kinds=("values",)),
        Aspect("Zeros on padding", 2, parts=(PADDED,), kinds=("values",), needs=FORWARD_HALF),
        Aspect(SMALL, 1, kinds=("sizes",), needs="The backward states"),
        Aspect(PURITY, 1, of="purity", needs=FORWARD_HALF),
    ),
    mistakes=(
        Mistake(
            "clears_the_state_on_padding",
            "as long as the backward network stands on padding, its state is set to zero, so a short "
            "sequence begins from zeros. At each sequence's own end it is `h0` that acts: on padding "
            "the state has to wait, unchanged.",
            BOTH,
        ),
        Mistake(
            "reads_zeros_and_shows_them",
            "the padding is set to zero, and then both networks read it and show their states there, "
            "as if `lengths` were all equal. An input of zero is still a step: the bias and the old "
            "state move the state on. The backward network begins at each sequence's own last real "
            "step, and on padding the result is zero.",
            BOTH,
        ),
        Mistake(
            "begins_in_the_padding",
            "the backward network begins at the last step of the array, so in a short sequence it reads "
            "padding first and arrives at the real steps with a state made of it. It begins at each "
            "sequence's own last real step, from its `h0`.",
            BOTH,
        ),
        Mistake(
            "ignores_the_lengths",
            "`lengths` has no influence: the backward network begins at the end of the array, in the "
            "padding, and the states on padding are returned. It begins at each sequence's own last "
            "real step, and on padding the result is zero.",
            BOTH,
        ),
        Mistake(
            "reads_zeros_on_padding",
            "the padding is set to zero, and the backward network reads it all the same before it comes "
            "to the real steps. An input of zero is still a step: the bias and the old state move the "
            "state on. It begins at each sequence's own last real step.",
            BOTH,
        ),
        Mistake(
            "does_not_turn_the_states_back",
            "the backward states stand in the order in which they were computed: the first of them "
            "belongs to the last real step. They have to be turned back, so that at each position "
            "stand the two states that have read it last.",
            BOTH,
        ),
        Mistake(
            "turns_the_states_back_as_a_whole",
            "the inputs are reversed within each length, but the backward states are turned back over "
            "the whole time axis. In a short sequence they end up on the padding. Both turns are of "
            "the same kind: within the length.",
            BOTH,
        ),
        Mistake(
            "turns_the_inputs_as_a_whole",
            "the backward states are turned back within each length, but the inputs were reversed over "
            "the whole time axis, so that padding was read first. Both turns are of the same kind: "
            "within the length.",
            BOTH,
        ),
        Mistake(
            "turns_the_inputs_as_a_whole_and_nothing_back",
            "the inputs of the backward network are reversed over the whole time axis, so that "
            "padding is read first, and its states are not turned back. Both turns are needed, and "
            "both within the length of each sequence.",
            BOTH,
        ),
        Mistake(
            "never_reads_the_first_step",
            "the backward network stops one step before it reaches the beginning, so at t = 0 its "
            "half is zero. Its last step is the first one of the sequence: the end of a `range` is "
            "not part of it.",
            BOTH,
        ),
        Mistake(
            "does_not_turn_the_inputs",
            "both networks read from left to right. The second one has to read each sequence from its "
            "own end to its beginning; else no state knows what comes after it.",
            BOTH,
        ),
        Mistake(
            "reverses_along_the_batch",
            "the order of the sequences is reversed for the second network, and time runs as before. "
            "Time is the first axis, the batch the second.",
            BOTH,
        ),
        Mistake(
            "puts_the_backward_states_first",
            "both halves are right, but in the wrong places. The forward states come first, units 0 to "
            "H - 1, then the backward ones.",
            BOTH,
        ),
        Mistake(
            "exchanges_the_two_networks",
            "the weights of `forward` read from right to left, and those of `backward` from left to "
            "right.",
            BOTH,
        ),
        Mistake(
            "uses_the_forward_network_twice",
            "the network `forward` reads in both directions, and `backward` is not used. The two "
            "directions are two networks, each with its own weights and its own `h0`.",
            BOTH,
        ),
        Mistake(
            "adds_the_two",
            "the two states of a position are added. They stand side by side, 2H numbers: the layer "
            "above can then weigh past and future differently.",
            BOTH,
        ),
        Mistake(
            "interleaves_the_two",
            "the units of the two directions alternate. All forward units come first, then all "
            "backward ones.",
            BOTH,
        ),
        Mistake(
            "leaves_states_on_the_padding",
            "the real positions are right, but on padding stand states that have been computed from it. "
            "On padding the result is zero.",
            BOTH,
        ),
        Mistake(
            "carries_states_into_the_padding",
            "the real positions are right, but the last states are carried along over the padding. "
            "That is right inside each direction; in the result padding is zero.",
            BOTH,
        ),
        Mistake(
            "starts_backward_where_forward_ended",
            "the backward network starts from the last real state of the forward one. The two know "
            "nothing of each other: it starts from its own `h0`.",
            BOTH,
        ),
        Mistake(
            "starts_backward_from_zeros",
            "the backward network starts from a state of zeros. It has an `h0` of its own, which acts "
            "at each sequence's own end.",
            BOTH,
        ),
        Mistake(
            "starts_both_from_zeros",
            "both networks start from states of zeros. Each has an `h0` of its own; that of the "
            "backward network acts at each sequence's own end.",
            BOTH,
        ),
        Mistake(
            "starts_both_from_the_forward_h0",
            "both networks start from the `h0` of `forward`. The backward network has one of its own, "
            "which acts at each sequence's own end.",
            BOTH,
        ),
        Mistake(
            "leaves_the_present_out_of_the_future",
            "at each position stands the backward state that has not yet read it: it is one step late. "
            "Both states of a position have read that position last.",
            BOTH,
        ),
        Mistake(
            "writes_zeros_into_x",
            "the result is right, but afterwards the padding in the `x` that was passed in is zero. "
            "Leave inputs as they are: `x * mask` makes a new array, `x *= mask` does not.",
            BOTH,
        ),
    ),
)


# locked_dropout


def _dropout_cases(rng: Rng) -> list[Case]:
    # (what a case is for, T, B, D, p, training)
    asked = [
        ("values", 4, 2, 5, 0.4, True),
        ("values", 3, 3, 3, 0.7, True),
        ("values", 2, 3, 4, 0.2, True),
        ("evaluation", 3, 2, 4, 0.4, False),
        ("evaluation", 2, 2, 2, 0.6, False),
        ("edge", 3, 2, 3, 0.0, True),
        ("edge", 2, 2, 3, 0.0, False),
        ("edge", 2, 2, 4, 0.5, True),
        ("sizes", 1, 2, 4, 0.3, True),
        ("sizes", 4, 1, 3, 0.6, True),
        ("sizes", 3, 2, 1, 0.4, True),
    ]
    cases = []
    for kind, T, B, D, p, training in asked:
        u = _uniform(rng, B, D, p)
        if kind == "edge":  # the smallest number that is kept is p itself
            u[0, 1] = u[1, 0] = p
        name = f"T = {T}, B = {B}, D = {D}, p = {p}, {'training' if training else 'evaluation'}"
        inputs = {"x": _inputs(rng, T, B, D), "u": u, "p": p, "training": training}
        cases.append(Case(name, inputs, kind))
    return cases


def _uniform(rng: Rng, B: int, D: int, p: float) -> np.ndarray:
    """Numbers of which some are below p and some above, in other places in every sequence."""
    while True:
        u = rng.uniform(0, 1, size=(B, D))
        kept = u >= p
        some = kept.any() and (not p or not kept.all())
        differ = B == 1 or p == 0 or not (kept == kept[:1]).all()
        share = p == 0 or abs(kept.mean() - (1 - p)) > 0.01
        if some and differ and share and np.abs(u - p).min() > 0.01:
            return u


def _compare_masks_and_values(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, told apart: what is zero and what is not, and the numbers themselves."""
    found = compare(expected, got, (), RTOL, ATOL)
    if not found or found[0].got is None:
        return found
    kept, due = got != 0, expected != 0
    found = [replace(found[0], part="numbers")]
    if not (kept == due).all():
        t, n, d = (int(i) for i in np.argwhere(kept != due)[0])
        u, p = case.inputs["u"][n, d], case.inputs["p"]
        text = f"`result[{t}, {n}, {d}]` should be {'kept' if due[t, n, d] else 'dropped'}"
        if case.inputs["training"]:
            text += f", since `u[{n}, {d}]` is {u:.6g} and p is {p}"
        wrong = int((kept != due).sum())
        text += f", but is {got[t, n, d]:.6g}; so it is with {wrong} of {due.size} entries."
        found.insert(0, Difference("mask", text))
    return found


MASK = "What is kept and what is dropped"
LOCKED_DROPOUT = Exercise(
    name="locked_dropout",
    chapter=CHAPTER,
    minutes=10,
    signature="x, u, p, training",
    see=LOCKED,
    cases=_dropout_cases,
    compare=_compare_masks_and_values,
    aspects=(
        Aspect(MASK, 3, parts=("mask",), kinds=("values",)),
        Aspect("The scaling of what is kept", 2, parts=("numbers",), kinds=("values",), needs=MASK),
        Aspect("In evaluation", 2, kinds=("evaluation",), needs=MASK),
        Aspect("p = 0, and u equal to p", 1, parts=("mask",), kinds=("edge",), needs=MASK),
        Aspect(SMALL, 1, parts=("mask",), kinds=("sizes",), needs=MASK),
        Aspect(PURITY, 1, of="purity", needs=MASK),
    ),
    mistakes=(
        Mistake(
            "keeps_what_should_go",
            "what is kept and what is dropped have changed places: only entries with u below p remain. "
            "An entry is dropped with the probability p, so it is kept where u is at least p.",
            LOCKED,
        ),
        Mistake(
            "does_not_scale",
            "the mask is right, but what is kept is not scaled. With a share p of the inputs gone, the "
            "next layer receives smaller sums in training than in evaluation. Dividing by the "
            "probability of being kept makes up for it.",
            DROPOUT,
        ),
        Mistake(
            "scales_in_evaluation_instead",
            "what is kept in training is not scaled, and in evaluation everything is multiplied by "
            "1 - p. That is how dropout was first published, and the means agree. Here the scaling is "
            "inverted: it happens in training, and evaluation changes nothing.",
            DROPOUT,
        ),
        Mistake(
            "scales_in_both",
            "training is right, but in evaluation everything is multiplied by 1 - p. It is one or the "
            "other: here the scaling happens in training, and evaluation changes nothing.",
            DROPOUT,
        ),
        Mistake(
            "multiplies_by_what_it_should_divide_by",
            "what is kept is multiplied by 1 - p. To keep the mean, it has to become larger, not "
            "smaller.",
            DROPOUT,
        ),
        Mistake(
            "divides_by_p",
            "what is kept is divided by p, the probability of being dropped. To keep the mean, divide "
            "by the probability of being kept.",
            DROPOUT,
        ),
        Mistake(
            "takes_p_for_what_is_kept",
            "`p` is taken for the probability of being kept, both in the mask and in the scaling. Some "
            "papers and libraries use it so. Here, as in PyTorch, p is the probability of being "
            "dropped.",
            DROPOUT,
        ),
        Mistake(
            "drops_in_evaluation_too",
            "training is right, but `training` has no influence. In evaluation nothing is dropped and "
            "nothing is scaled.",
            DROPOUT,
        ),
        Mistake(
            "does_it_the_other_way_round",
            "entries are dropped in evaluation and left alone in training. `training` being true is "
            "when the mask acts.",
            DROPOUT,
        ),
        Mistake(
            "keeps_only_above_p",
            "an entry whose u is exactly p is dropped. The range of u begins at 0, so with p = 0 an "
            "entry with u = 0 would be lost, although nothing should be: it is kept where u is at least "
            "p.",
            LOCKED,
        ),
        Mistake(
            "scales_by_the_share_that_was_kept",
            "what is kept is divided by the share of the mask that happens to be 1. Then the scaling "
            "differs from batch to batch. Divide by the probability, 1 - p, which keeps the mean on "
            "average.",
            DROPOUT,
        ),
        Mistake(
            "gives_all_sequences_the_first_mask",
            "all sequences have the mask of the first one. `u` has a row for each sequence: the mask is "
            "the same at all steps, not in all sequences.",
            LOCKED,
        ),
        Mistake(
            "lays_the_mask_along_time",
            "the rows of `u` are laid along time, so that the mask changes from step to step and is "
            "shared by all sequences. Where T and B differ, the shapes do not fit and an error is "
            "raised. A (B, D) array fits on a (T, B, D) one by itself, from the right.",
            LOCKED,
        ),
        Mistake(
            "drops_whole_sequences",
            "the first column of `u` decides for all features of a sequence. Each feature of each "
            "sequence has its own entry; only the steps share it.",
            LOCKED,
        ),
        Mistake(
            "drops_in_the_first_step_only",
            "the mask acts at the first step only. It is one mask for all steps: what is dropped at the "
            "first is dropped at every one.",
            LOCKED,
        ),
        Mistake(
            "multiplies_by_u",
            "what is kept is multiplied by u as well. `u` only decides what is kept; as a factor the "
            "mask is 0 or 1.",
            LOCKED,
        ),
        Mistake(
            "writes_into_x",
            "the result is right, but in training it is written into the `x` that was passed in. `x *= "
            "...` changes the caller's array; `x * ...` makes a new one.",
            LOCKED,
        ),
    ),
)


# layer_norm


def _norm_cases(rng: Rng) -> list[Case]:
    def inputs(a: np.ndarray, **more: float) -> Inputs:
        H = a.shape[-1]
        own = {
            "gain": away_from_zero(rng, (H,), 0.5, 1.5),
            "bias": away_from_zero(rng, (H,), 0.3, 1.0),
        }
        return {"a": a, **own, **more}

    def moderate(*shape: int) -> np.ndarray:
        return 2 * _inputs(rng, *shape) + 0.7

    def shown(a: np.ndarray) -> str:
        return f"shape {a.shape}"

    plain = [moderate(*shape) for shape in [(3, 5), (2, 3, 4), (3, 3), (4, 2, 3)]]
    other = [moderate(*shape) for shape in [(4,), (1, 3), (2, 1)]]
    # Eighths, four of them in a row: their mean is exact, and a constant row is one in any order.
    constant = np.array([[0.625] * 4, [-1.375] * 4]) + rng.integers(1, 4) / 4
    hardly = 0.3 + 0.003 * away_from_zero(rng, (3, 5), 0.5, 1.0)
    given = 0.1 * moderate(3, 4)
    # Pairs on a grid: the mean is exact, and so is the variance if it is taken around the mean.
    # Its square is lost in the rounding of the numbers' own squares, whatever is drawn.
    far = rng.integers(17_000_000, 20_000_000, (3, 1)) + rng.integers(16, 32, (3, 2)).cumsum(1) / 64
    return [
        *(Case(shown(a), inputs(a)) for a in plain),
        Case("rows of equal numbers", inputs(constant), "eps"),
        Case("numbers that hardly differ", inputs(hardly), "eps"),
        Case("eps = 0.01", inputs(given, eps=0.01), "eps"),
        Case("numbers near 20 million", inputs(far), "far"),
        *(Case(shown(a), inputs(a), "sizes") for a in other),
    ]


COARSE = 1e-3


def _compare_up_to_eps(case: Case, expected: Any, got: Any, parts: tuple = ()) -> list[Difference]:
    """The usual comparison; a difference as small as eps makes it is of the part "digits"."""
    found = compare(expected, got, parts, RTOL, ATOL)
    return [_called_digits(d) if _is_small(d) else d for d in found]


def _is_small(difference: Difference) -> bool:
    if difference.got is None or difference.expected is None:
        return False
    return bool(np.allclose(difference.got, difference.expected, rtol=COARSE, atol=COARSE))


def _called_digits(difference: Difference) -> Difference:
    return Difference("digits", f"{difference.text} To about three digits it is right.")


LAYER_NORM = Exercise(
    name="layer_norm",
    chapter=CHAPTER,
    minutes=10,
    signature="a, gain, bias, eps=1e-5",
    see=NORM,
    cases=_norm_cases,
    compare=_compare_up_to_eps,
    aspects=(
        Aspect("Values, to three digits", 4, parts=("",), kinds=("values",)),
        Aspect(
            "To the last digit: eps", 2, kinds=("values", "eps"), needs="Values, to three digits"
        ),
        Aspect(
            "Numbers far from zero",
            1,
            parts=("",),
            kinds=("far",),
            needs="Values, to three digits",
        ),
        Aspect(
            "One axis, one row, one number",
            1,
            parts=("",),
            kinds=("sizes",),
            needs="Values, to three digits",
        ),
        Aspect(PURITY, 1, of="purity", needs="Values, to three digits"),
    ),
    mistakes=(
        Mistake(
            "takes_the_sample_variance",
            "the sum of squares is divided by H - 1, as for a sample. Here it is divided by H: the H "
            "numbers are all there are. With a single number, H - 1 would be zero.",
            NORM,
        ),
        Mistake(
            "adds_eps_outside_the_root",
            "eps is added to the standard deviation, outside the root. It belongs to the variance, "
            "inside. Where the variance is large the two hardly differ; where it is small, the result "
            "is another.",
            NORM,
        ),
        Mistake(
            "forgets_eps",
            "eps is left out. With equal numbers in a row the variance is zero, and zero is divided by "
            "zero. It is added to the variance, inside the root.",
            NORM,
        ),
        Mistake(
            "squares_eps",
            "the square of eps is added to the variance. It is eps itself that is added.",
            NORM,
        ),
        Mistake(
            "ignores_the_eps_that_is_given",
            "all is right with the default, but an `eps` that is passed in has no influence.",
            NORM,
        ),
        Mistake(
            "has_another_default",
            "the default of `eps` is 1e-6, as in some libraries. Here, as in PyTorch, it is 1e-5.",
            NORM,
        ),
        Mistake(
            "has_an_eps_of_1e_8_by_default",
            "the default of `eps` is 1e-8, which is what some optimisers use. Here it is 1e-5.",
            NORM,
        ),
        Mistake(
            "divides_by_the_variance",
            "the numbers are divided by the variance. It is its root that has their unit; only after "
            "that do they have a variance of one.",
            NORM,
        ),
        Mistake(
            "forgets_to_divide_the_sum",
            "the sum of the squared deviations is taken for the variance. The variance is their mean: "
            "the sum divided by H.",
            NORM,
        ),
        Mistake(
            "normalises_over_the_second_axis",
            "mean and variance are taken over axis 1. In a (B, H) array that is the last axis, but in "
            "a (T, B, H) array it counts the sequences, and a (H,) array has none. Count from the "
            "end: the last axis is -1.",
            NORM,
        ),
        Mistake(
            "normalises_over_the_first_axis",
            "mean and variance are taken over the first axis. That mixes different sequences, or "
            "different steps. Layer normalisation looks at the units of one layer, which are the last "
            "axis, and at nothing else.",
            NORM,
        ),
        Mistake(
            "normalises_over_everything",
            "one mean and one variance are taken over the whole array. Each row along the last axis has "
            "its own, so that a sequence does not depend on those beside it.",
            NORM,
        ),
        Mistake(
            "normalises_over_all_but_the_last_axis",
            "mean and variance are taken for each unit, over all sequences and steps. That is batch "
            "normalisation. Layer normalisation takes them for each sequence and step, over the units, "
            "which are the last axis.",
            NORM,
        ),
        Mistake(
            "does_not_subtract_the_mean",
            "the numbers are divided by the root of their mean square, and no mean is subtracted. Such "
            "a normalisation exists too. Layer normalisation subtracts the mean, and the variance is "
            "taken around it.",
            NORM,
        ),
        Mistake(
            "divides_only",
            "the variance is right, but the mean is not subtracted from the numbers that are divided.",
            NORM,
        ),
        Mistake(
            "centres_only",
            "the mean is subtracted, but nothing is divided. The numbers still have to be divided by "
            "the root of variance plus eps.",
            NORM,
        ),
        Mistake(
            "forgets_the_gain",
            "`gain` has no influence. After the division each unit is multiplied by its own gain.",
            NORM,
        ),
        Mistake(
            "forgets_the_bias",
            "`bias` has no influence. At the end each unit's own bias is added.",
            NORM,
        ),
        Mistake(
            "forgets_gain_and_bias",
            "the normalised numbers are right, but they are returned as they are. Each unit is then "
            "multiplied by its own gain, and its own bias is added.",
            NORM,
        ),
        Mistake(
            "multiplies_the_bias_by_the_gain",
            "the bias is added before the gain multiplies, so it is multiplied too. The gain acts on "
            "the normalised numbers, and the bias is added at the end.",
            NORM,
        ),
        Mistake(
            "takes_one_plus_the_gain",
            "the numbers are multiplied by 1 + gain. Some libraries store the gain like that, so that "
            "zero is its neutral value. Here it is the factor itself.",
            NORM,
        ),
        Mistake(
            "loses_digits_far_from_zero",
            "all is right near zero, but where the numbers are large and close together, digits are "
            "lost. The variance is the difference of two nearly equal numbers when it is computed as "
            "the mean of the squares minus the square of the mean. Subtract the mean first, then "
            "square.",
            NORM,
        ),
        Mistake(
            "writes_into_its_input",
            "the result is right, but it is written into the array `a` that was passed in. `a -= ...` "
            "and `a[...] =` change the caller's array; compute into a new one.",
            NORM,
        ),
    ),
)


# layer_norm_lstm_step

STEP_SIZES = [  # kind, B, D, H
    ("values", 3, 2, 4),
    ("values", 2, 3, 3),
    ("values", 4, 5, 3),
    ("values", 3, 3, 5),
    ("sizes", 1, 3, 2),
    ("sizes", 3, 1, 1),
    ("sizes", 1, 1, 1),
]


def _norm_step(rng: Rng, B: int, D: int, H: int) -> Inputs:
    """A step in which, with several units, no gate's pre-activations are nearly equal."""
    while True:
        inputs = {
            "x": _inputs(rng, B, D),
            "h": away_from_zero(rng, (B, H), 0.2, 0.9),
            "c": away_from_zero(rng, (B, H), 0.4, 1.5),
            "W_x": away_from_zero(rng, (4 * H, D), 0.4, 1.0) / np.sqrt(D),
            "W_h": away_from_zero(rng, (4 * H, H), 0.4, 1.0) / np.sqrt(H),
            "b": away_from_zero(rng, (4 * H,), 0.2, 0.7),
            "gains": away_from_zero(rng, (4, H), 0.5, 1.2),
            "biases": away_from_zero(rng, (4, H), 0.2, 0.8),
        }
        x, h, _, W_x, W_h, b, _, _ = inputs.values()
        a = (x @ W_x.T + h @ W_h.T + b).reshape(B, 4, H)
        if H == 1 or a.var(axis=2).min() > 0.1:
            return inputs


def _norm_step_cases(rng: Rng) -> list[Case]:
    return [
        Case(f"B = {B}, D = {D}, H = {H}", _norm_step(rng, B, D, H), kind)
        for kind, B, D, H in STEP_SIZES
    ]


def _compare_steps_up_to_eps(case: Case, expected: Any, got: Any) -> list[Difference]:
    return _compare_up_to_eps(case, expected, got, ("h_next", "c_next"))


C_NEXT = "The new cell state, c_next"
LAYER_NORM_LSTM_STEP = Exercise(
    name="layer_norm_lstm_step",
    chapter=CHAPTER,
    minutes=20,
    signature="x, h, c, W_x, W_h, b, gains, biases",
    see=NORM_LSTM,
    cases=_norm_step_cases,
    parts=("h_next", "c_next"),
    compare=_compare_steps_up_to_eps,
    aspects=(
        Aspect(C_NEXT, 4, parts=("c_next",), kinds=("values",)),
        Aspect("The new hidden state, h_next", 3, parts=("h_next",), kinds=("values",)),
        Aspect("To the last digit: eps", 1, parts=("digits",), kinds=("values",), needs=C_NEXT),
        Aspect(
            "One sequence, one unit",
            1,
            parts=("h_next", "c_next"),
            kinds=("sizes",),
            needs=C_NEXT,
        ),
        Aspect(PURITY, 1, of="purity", needs=C_NEXT),
    ),
    mistakes=(
        Mistake(
            "normalises_all_gates_together",
            "one mean and one variance are taken over all 4H pre-activations of a sequence. Then one "
            "gate's numbers shift and scale those of the others. Each gate's H numbers are normalised "
            "by themselves.",
            NORM_LSTM,
        ),
        Mistake(
            "normalises_the_two_products_apart",
            "the product with `x` and the product with `h` are normalised each by itself, added, and "
            "then `b` is added. The paper does something like it, with gains for each product. Here "
            "the whole pre-activation is normalised once, `b` included.",
            NORM_LSTM,
        ),
        Mistake(
            "adds_b_after_the_norm",
            "`b` is added after the normalisation. Here it is part of what is normalised; what is added "
            "afterwards are `biases`.",
            NORM_LSTM,
        ),
        Mistake(
            "forgets_b",
            "`b` has no influence. It is part of each pre-activation, before the normalisation. "
            "`biases`, which come after it, do not replace it.",
            NORM_LSTM,
        ),
        Mistake(
            "forgets_the_norm",
            "the results are those of the plain LSTM step: nothing is normalised.",
            NORM_LSTM,
        ),
        Mistake(
            "forgets_gains_and_biases",
            "the pre-activations are normalised, but `gains` and `biases` have no influence. Each gate "
            "has a row of each.",
            NORM_LSTM,
        ),
        Mistake(
            "gives_all_gates_the_first_row",
            "all four gates have the first row of `gains` and of `biases`. Each gate has its own row, "
            "in the order i, f, g, o.",
            NORM_LSTM,
        ),
        Mistake(
            "takes_the_rows_as_i_f_o_g",
            "the weights are read in the right order, but the rows of `gains` and `biases` as i, f, o, "
            "g. They have the order of the blocks: i, f, g, o.",
            NORM_LSTM,
        ),
        Mistake(
            "takes_the_candidate_last",
            "the blocks and the rows are read in the order i, f, o, g: the candidate and the output "
            "gate have changed places. Here, as in PyTorch, the candidate is the third and the output "
            "gate the fourth.",
            NORM_LSTM,
        ),
        Mistake(
            "exchanges_i_and_f",
            "the input gate and the forget gate have changed places. The first block and the first row "
            "belong to the input gate.",
            NORM_LSTM,
        ),
        Mistake(
            "exchanges_gains_and_biases",
            "`gains` is added and `biases` multiplies. A gain is the factor, a bias is what is added "
            "afterwards.",
            NORM_LSTM,
        ),
        Mistake(
            "cuts_across_the_batch",
            "the (B, 4H) array of pre-activations is cut as if it were laid out gate by gate, which "
            "is what `reshape(4, B, H)` does. It is laid out sequence by sequence: each row holds all "
            "four gates of one sequence, so it has to be cut along its second axis.",
            NORM_LSTM,
        ),
        Mistake(
            "normalises_the_gates",
            "the normalisation comes after the sigmoids and the tanh. Then a gate is no longer between "
            "0 and 1. What is normalised is the pre-activation.",
            NORM_LSTM,
        ),
        Mistake(
            "leaves_the_candidate_out",
            "the three gates are normalised, but the candidate is not. All four pre-activations are.",
            NORM_LSTM,
        ),
        Mistake(
            "makes_the_candidate_a_sigmoid",
            "all four go through the sigmoid. The three gates do; the candidate goes through the "
            "`tanh`, so that it can be negative.",
            NORM_LSTM,
        ),
        Mistake(
            "shows_a_normalised_cell",
            "the new cell state is right, but before it goes out through the `tanh` it is normalised. "
            "The paper does this too. Here the cell state is nowhere normalised.",
            NORM_LSTM,
        ),
        Mistake(
            "keeps_a_normalised_cell",
            "the new cell state is normalised, and kept so. Then everything that is stored is rescaled "
            "at every step, and the carousel is gone. Here the cell state is not normalised.",
            NORM_LSTM,
        ),
        Mistake(
            "normalises_over_the_batch",
            "mean and variance are taken over the sequences of the batch, unit by unit. They are taken "
            "over the H units of a gate, for each sequence by itself.",
            NORM_LSTM,
        ),
        Mistake(
            "takes_the_sample_variance",
            "in the normalisation the sum of squares is divided by H - 1. Here it is divided by H; with "
            "one unit, H - 1 would be zero.",
            NORM,
        ),
        Mistake(
            "forgets_eps",
            "in the normalisation eps is left out. It is 1e-5, added to the variance. With one unit the "
            "variance is zero, and there it is all that keeps zero from being divided by zero.",
            NORM,
        ),
        Mistake(
            "adds_eps_outside_the_root",
            "in the normalisation eps is added to the standard deviation. It belongs to the variance, "
            "inside the root.",
            NORM,
        ),
        Mistake(
            "does_not_transpose_the_blocks_of_W_h",
            "each gate's block of `W_h` is used the wrong way round: a block is square, so the shapes "
            "do not show it. Row i of a block belongs to unit i of that gate, so with the states as "
            "rows the block stands transposed.",
            NORM_LSTM,
        ),
        Mistake(
            "forgets_the_tanh_of_the_cell",
            "the new cell state is right, but it goes out through the output gate as it is. It goes "
            "through a `tanh` first, as in the plain LSTM.",
            NORM_LSTM,
        ),
        Mistake(
            "returns_the_cell_first",
            "both results are right, but in the wrong places. The hidden state is returned first, then "
            "the cell state.",
            NORM_LSTM,
        ),
        Mistake(
            "writes_into_the_old_cell",
            "the values are right, but something is written into the array `c` that was passed in, as "
            "`c *= f` or `c += ...` does. Compute into a new array.",
            NORM_LSTM,
        ),
    ),
)


# BiTagger

SIZES = ("vocab", "tags", "embed", "hidden")


def _tagger_cases(rng: Rng) -> list[Case]:
    # (what a case is for, vocab, tags, embed, hidden, T, lengths)
    asked = [
        ("values", 9, 11, 3, 4, 5, (5, 3, 1)),
        ("values", 6, 7, 4, 2, 6, (4, 4, 2)),
        ("values", 5, 8, 3, 3, 4, (3, 2)),
        ("order", 7, 6, 4, 3, 5, (2, 5, 1, 4)),
        ("order", 6, 5, 2, 3, 4, (1, 3)),
        ("sizes", 2, 3, 2, 1, 1, (1,)),
        ("sizes", 4, 3, 1, 2, 3, (2,)),
    ]
    cases = []
    for kind, vocab, tags, embed, hidden, T, lengths in asked:
        # Some steps more: what depends on what is another answer then.
        more = int(rng.integers(0, 4))
        T, lengths = T + more, tuple(length + more for length in lengths)
        inputs = {
            **dict(zip(SIZES, (vocab, tags, embed, hidden), strict=True)),
            "tokens": rng.integers(0, vocab, size=(T, len(lengths))),
            "lengths": np.array(lengths),
            "seed": int(rng.integers(1, 10**6)),
        }
        name = f"vocab = {vocab}, tags = {tags}, embed = {embed}, hidden = {hidden}, T = {T}"
        cases.append(Case(f"{name}, {_told(lengths)}", inputs, kind))
    return cases


@contextmanager
def _as_default(dtype: Any) -> Iterator[None]:
    """Modules and tensors that are made meanwhile, without saying of what, are of this dtype."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _watch_tagger(function: Callable, inputs: Inputs) -> Any:
    """Make a tagger and see what its logits depend on; returns that, as plain values.

    Its cell, its names and its first random numbers are free, so no number of its own is compared.
    It is made and run in float64, or in float32 where it cannot do otherwise.
    """
    import torch

    try:
        with _as_default(torch.float64):
            return _Watch(function, inputs).report()
    except Exception as error:
        if _wants_sorted(error):
            return {"refuses": "unsorted lengths"}
    try:
        with _as_default(torch.float32):
            return _Watch(function, inputs).report()
    except RuntimeError as error:
        if _wants_sorted(error):
            return {"refuses": "unsorted lengths"}
        raise


def _wants_sorted(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "enforce_sorted" in str(error)


class _Odd(Exception):
    """What came from the tagger is nothing whose rows could be compared; says what it is."""


class _Watch:
    """One tagger on one batch, and on batches that differ from it a little.

    real(...) is a list with the logits (length, tags) of each sequence, padding cut off.
    """

    def __init__(self, function: Callable, inputs: Inputs):
        self.function, self.inputs = function, inputs
        self.vocab, self.tags, self.embed, self.hidden = (inputs[key] for key in SIZES)
        self.tokens, self.lengths = inputs["tokens"].copy(), inputs["lengths"].copy()
        self.T = len(self.tokens)
        self.padding = np.arange(self.T)[:, None] >= self.lengths
        self.runs = 0

    def report(self) -> Any:
        import torch

        self.model = self.make(seed=0)
        if self.model is None:
            return None
        if not isinstance(self.model, torch.nn.Module):
            return {"makes": f"an object of type {type(self.model).__name__}"}
        try:
            with torch.no_grad():
                return self.look()
        except _Odd as odd:
            return {"returns": str(odd)}

    def make(self, seed: int) -> Any:
        """A tagger, made under this seed; its parameters are then filled with numbers of ours."""
        import torch

        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.default_generator.manual_seed(seed)
            model = self.function(self.vocab, self.tags, self.embed, self.hidden)
        if isinstance(model, torch.nn.Module):
            self.fill(model, self.inputs["seed"])
            model.eval()
        return model

    def fill(self, model: Any, seed: int) -> None:
        """Put numbers of moderate size into all parameters, the same ones for the same seed."""
        import torch

        rng = np.random.default_rng(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                shape = tuple(parameter.shape)
                numbers = away_from_zero(rng, shape, 0.4, 1.0)
                if len(shape) > 1:
                    numbers = 1.5 * numbers / np.sqrt(shape[-1])
                parameter.copy_(torch.from_numpy(numbers))

    def run(self, model: Any, tokens: np.ndarray, lengths: np.ndarray, own: bool = False) -> Any:
        """The logits, a tensor (at least as long as the longest sequence, B, tags).

        own: the tokens and lengths are those of the case, and what is done to them is kept there.
        """
        import torch

        given = [torch.tensor(tokens), torch.tensor(lengths)]
        self.runs += 1
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(
                self.runs
            )  # what is random in evaluation mode shows as such
            logits = model(*given)
        if own:
            for name, tensor in zip(("tokens", "lengths"), given, strict=True):
                self.inputs[name][...] = tensor.numpy()
        if not isinstance(logits, torch.Tensor):
            raise _Odd(f"an object of type {type(logits).__name__}")
        if not logits.is_floating_point():
            raise _Odd(f"a tensor of dtype {str(logits.dtype).removeprefix('torch.')}")
        shape = tuple(logits.shape)
        if len(shape) != 3 or shape[1:] != (len(lengths), self.tags) or shape[0] < max(lengths):
            B = len(lengths)
            raise _Odd(
                f"a tensor of shape {shape} where (T, B, tags) is {(len(tokens), B, self.tags)}"
            )
        return logits

    def real(
        self, tokens: np.ndarray, lengths: np.ndarray | None = None, model: Any = None
    ) -> list:
        lengths = self.lengths if lengths is None else lengths
        logits = self.run(model or self.model, tokens, lengths).detach().double().numpy()
        return [logits[:length, n] for n, length in enumerate(lengths)]

    def differ(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """For each step, whether its logits differ by more than rounding."""
        return np.abs(one - other).max(axis=-1) > self.rounding

    def first_change(self, others: list) -> str:
        """The first position at which these logits are not those of the case, or ""."""
        for n, (own, other) in enumerate(zip(self.own, others, strict=True)):
            changed = self.differ(own, other)
            if changed.any():
                return f"t = {int(np.argmax(changed))} of sequence {n}"
        return ""

    def look(self) -> Any:
        import torch

        logits = self.run(self.model, self.tokens, self.lengths, own=True)
        self.own = self.real(self.tokens)
        if not all(np.isfinite(own).all() for own in self.own):
            raise _Odd("logits that are not finite")
        exact = logits.dtype == torch.float64
        largest = max(np.abs(own).max() for own in self.own)
        self.rounding = (1e-9 if exact else 1e-4) * max(1.0, float(largest))
        if self.first_change(self.real(self.tokens)):
            raise _Odd("other logits when it is run again in evaluation mode")
        longest = self.own[int(np.argmax(self.lengths))]
        alike = not self.differ(longest[1:], longest[:1]).any()
        normed = all(
            (own >= 0).all() and np.allclose(own.sum(axis=1), 1, rtol=0, atol=1e-5)
            for own in self.own
        )
        return {
            "sees": self.sees(),
            "alike": len(longest) > 1 and alike,
            "tokens": self.first_change(self.real(self.otherwise_on_padding())),
            "steps": self.first_change(self.real(self.with_more_padding())),
            "neighbours": self.first_change(self.each_alone()),
            "length": int(logits.shape[0]),
            "normed": normed,
            "units": self.units(),
            "embedding": self.embedding(),
            "unknown": bool(self.first_change(self.real(self.tokens, model=self.make(seed=1)))),
            "cut": self.cut(),
        }

    def sees(self) -> np.ndarray:
        """(n, n) ints for the longest sequence: 1 where the logits of row t depend on token j.

        Where something seems not to matter, it is tried with other parameters too: a unit that
        cannot be negative may hide it.
        """
        n = int(np.argmax(self.lengths))
        return self.with_other_parameters(lambda: self.seen_in(n), 1).astype(np.int64)

    def with_other_parameters(self, look: Callable[[], Any], all_of_it: int) -> Any:
        """The most that is seen, entry by entry, with up to five choices of the parameters."""
        found = look()
        for more in range(1, 5):
            if np.all(found == all_of_it):
                break
            self.fill(self.model, self.inputs["seed"] + more)
            found = np.maximum(found, look())
        self.fill(self.model, self.inputs["seed"])
        return found

    def seen_in(self, n: int) -> np.ndarray:
        own, columns = self.real(self.tokens)[n], []
        for j in range(self.lengths[n]):
            tokens = self.tokens.copy()
            tokens[j] = (tokens[j] + 1) % self.vocab
            columns.append(self.differ(own, self.real(tokens)[n]))
        return np.array(columns).T

    def otherwise_on_padding(self) -> np.ndarray:
        return np.where(self.padding, (self.tokens + 1) % self.vocab, self.tokens)

    def with_more_padding(self) -> np.ndarray:
        return np.concatenate([self.tokens, self.tokens[:1], self.tokens[:1]])

    def each_alone(self) -> list:
        """The logits of each sequence in a batch of its own, with the padding it has here."""
        return [
            self.real(self.tokens[:, n : n + 1], self.lengths[n : n + 1])[0]
            for n in range(len(self.lengths))
        ]

    def units(self) -> str:
        """How many hidden units each way: as its layers say, else by the rank of the logits."""
        import torch

        kinds = (torch.nn.RNNBase, torch.nn.RNNCellBase)
        found = {m.hidden_size for m in self.model.modules() if isinstance(m, kinds)}
        if found:
            return ", ".join(map(str, sorted(found)))
        if min(sum(self.lengths) - 1, self.tags) <= 2 * self.hidden:
            return str(self.hidden)  # too few rows or tags to tell
        return f"{self.with_other_parameters(self.rank, 2 * self.hidden) / 2:g}"

    def rank(self) -> int:
        """In how many directions the logits vary, as far as rounding lets it be seen."""
        rows = np.concatenate(self.real(self.tokens))
        sizes = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
        return int((sizes > 1e2 * self.rounding).sum())

    def embedding(self) -> str:
        """How many numbers stand for a token."""
        import torch

        layers = [m for m in self.model.modules() if isinstance(m, torch.nn.Embedding)]
        if layers:
            return ", ".join(map(str, sorted({m.embedding_dim for m in layers})))
        shapes = [tuple(p.shape) for p in self.model.parameters()]
        known = any(self.embed in shape for shape in shapes)
        return str(self.embed) if known else "other"

    def cut(self) -> str:
        """Whether some parameter that acts on the logits gets no gradient: "", "some", "all"."""
        without = set(self.model.parameters())
        for more in range(5):  # with other numbers too: a unit may be shut for the first ones
            self.fill(self.model, self.inputs["seed"] + more)
            loss = self.loss()
            if not loss.requires_grad:
                return "all"
            self.model.zero_grad()
            loss.backward()
            without = {p for p in without if p.grad is None or not p.grad.any()}
            if not without:
                return ""
        self.fill(self.model, self.inputs["seed"])
        for parameter in without:
            parameter += 0.1
            acts = self.first_change(self.real(self.tokens))
            parameter -= 0.1
            if acts:
                return "some"
        return ""

    def loss(self) -> Any:
        """A number to which each logit of a real position contributes with a weight of its own."""
        import torch

        with torch.enable_grad():
            logits = self.run(self.model, self.tokens, self.lengths)
            rows = [logits[:length, n].flatten() for n, length in enumerate(self.lengths)]
            logits = torch.cat(rows)
            return (logits * torch.linspace(1, 2, len(logits))).sum()


EXPECTS = "tokens (T, B) and lengths (B,)"


def _compare_taggers(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, in words that speak of the module."""
    match got:
        case {"makes": str(what)}:
            text = f"`BiTagger(...)` should make a `torch.nn.Module`, but makes {what}."
        case {"refuses": str(what)}:
            text = f"The module refuses {what}; they may come in any order."
        case {"returns": str(what)}:
            text = f"Given {EXPECTS}, the module should return float logits (T, B, tags), but returns {what}."
        case dict():
            found = compare(expected, got, (), RTOL, ATOL)
            return [d for difference in found for d in _about(case, difference, expected, got)]
        case _:
            text = f"`BiTagger(...)` should make a `torch.nn.Module`, but makes {describe(got)}."
    return [Difference("", text)]


def _about(case: Case, difference: Difference, expected: dict, got: dict) -> list[Difference]:
    part, value = difference.part, got.get(difference.part)
    if part == "sees" and isinstance(value, np.ndarray) and value.shape == expected[part].shape:
        return _unseen(case, value) or [replace(difference, part="")]
    T = len(case.inputs["tokens"])
    texts = {
        "alike": "The logits are the same at all positions of the longest sequence.",
        "tokens": f"The logits at {value} change when other tokens stand on the padding.",
        "steps": f"The logits at {value} change when two more steps of padding are appended.",
        "neighbours": f"The logits at {value} change when this sequence stands alone in the batch.",
        "length": f"The logits have {value} steps, but `tokens` has T = {T}, padding included.",
        "normed": "The logits of each position are not negative and add up to 1: these are "
        "probabilities. Logits come before the softmax, which the loss computes itself.",
        "units": f"There should be {expected.get(part)} hidden units each way, but there are {value}.",
        "embedding": f"Each token should be embedded in {expected.get(part)} numbers, but the size is {value}.",
        "unknown": "Two modules with the same parameters give different logits, so some numbers that "
        "act are not among `model.parameters()`, and no optimiser would move them.",
        "cut": f"In `loss.backward()` {value} of the parameters that act on the logits get no gradient.",
    }
    if part not in texts:  # nothing that `_watch_tagger` reports
        return [replace(difference, part="")]
    return [replace(difference, text=texts[part])]


def _unseen(case: Case, sees: np.ndarray) -> list[Difference]:
    """What a position does not depend on: its own token, or others of its sequence."""
    n = int(np.argmax(case.inputs["lengths"]))
    found = []
    diagonal = np.eye(len(sees), dtype=bool)
    for part, asked in {"own": diagonal, "others": ~diagonal}.items():
        missing = np.argwhere(asked & (sees != 1))
        if len(missing):
            t, j = (int(i) for i in missing[0])
            text = (
                f"In sequence {n} (length {len(sees)}), the logits at t = {t} do not change when the "
                f"token at t = {j} does; so it is for {len(missing)} of {int(asked.sum())} such pairs."
            )
            found.append(Difference(part, text))
    return found


OWN = "Logits from each position's token"
BITAGGER = Exercise(
    name="BiTagger",
    chapter=CHAPTER,
    minutes=25,
    signature="vocab, tags, embed, hidden",
    see=TAGGER,
    cases=_tagger_cases,
    call=_watch_tagger,
    compare=_compare_taggers,
    libraries=("torch",),
    aspects=(
        Aspect(OWN, 1, parts=("own",), kinds=("values",)),
        Aspect("Reads to both sides", 2, parts=("others", "alike"), kinds=("values",), needs=OWN),
        Aspect(
            "Padding and neighbours change nothing",
            3,
            parts=("tokens", "steps", "neighbours"),
            kinds=("values",),
            needs="Reads to both sides",
        ),
        Aspect("Always T steps long", 1, parts=("length",), kinds=("values",), needs=OWN),
        Aspect(
            "Lengths in any order",
            2,
            parts=("own", "neighbours"),
            kinds=("order",),
            needs=OWN,
        ),
        Aspect("Sizes as asked", 1, parts=("units", "embedding"), needs=OWN),
        Aspect(
            "Can be trained", 1, parts=("normed", "unknown", "cut"), kinds=("values",), needs=OWN
        ),
        Aspect(PURITY, 1, of="purity", needs=OWN),
    ),
    mistakes=(
        Mistake(
            "reads_the_padding",
            "both directions run over the padding, and what stands there changes the logits of real "
            "positions. For the forward direction padding comes last and does no harm. The backward "
            "one meets it first and has to begin at each sequence's own end.",
            TAGGER,
        ),
        Mistake(
            "clears_the_padding_and_reads_it",
            "which tokens stand on the padding does not matter, but how much padding there is does: the "
            "backward direction reads it as zeros before it comes to the real positions. An input of "
            "zero is still a step, in which biases and the old state move the state on. It has to "
            "begin at each sequence's own end.",
            TAGGER,
        ),
        Mistake(
            "asks_for_sorted_lengths",
            "all is right where the longest sequence comes first; else PyTorch raises an error. "
            "`pack_padded_sequence` expects sorted lengths unless it is told otherwise, and it has an "
            "argument for that.",
            TAGGER,
        ),
        Mistake(
            "asks_for_sorted_lengths_and_ends_with_the_longest",
            "two things happen. Where the lengths are not sorted PyTorch raises an error, and where "
            "they are, the logits end with the longest sequence, not after T steps. "
            "`pack_padded_sequence` and `pad_packed_sequence` each have an argument for it.",
            TAGGER,
        ),
        Mistake(
            "ends_with_the_longest",
            "all numbers are right, but the logits end where the longest sequence does. They should "
            "have the T steps of `tokens`, also where all sequences are shorter. "
            "`pad_packed_sequence` can be told how long its result is to be.",
            TAGGER,
        ),
        Mistake(
            "reads_one_way",
            "no position depends on the tokens after it: the network reads from left to right only. A "
            "second direction reads each sequence from its end, and each position has the states of "
            "both.",
            TAGGER,
        ),
        Mistake(
            "looks_at_each_token_alone",
            "no position depends on any token but its own: no state is carried from one position to "
            "another. The read-out has to receive the states of a recurrent network in both "
            "directions.",
            TAGGER,
        ),
        Mistake(
            "takes_the_batch_for_time",
            "each position depends on the same step of the other sequences, and not on its own "
            "sequence. The recurrent layer takes the first axis for the batch. Time comes first here, "
            "which is PyTorch's default.",
            TAGGER,
        ),
        Mistake(
            "gives_all_positions_the_last_states",
            "all positions have the same logits, made of the last states of the two directions. That "
            "is one answer for a whole sequence. A tagger answers at each position, from the two "
            "states of that position.",
            TAGGER,
        ),
        Mistake(
            "does_not_turn_the_states_back",
            "a position hears the backward states in the order in which they were computed: the first "
            "position gets the one that has read only the last token. They have to be turned back "
            "within each length before the two directions are joined.",
            TAGGER,
        ),
        Mistake(
            "shares_the_units_between_the_directions",
            "each direction has half of `hidden` units. Here `hidden` counts the units each way, as in "
            "PyTorch, so that the read-out receives twice as many.",
            TAGGER,
        ),
        Mistake(
            "exchanges_embed_and_hidden",
            "`embed` and `hidden` have changed places: the first is the size of a token's vector, the "
            "second the number of units each way.",
            TAGGER,
        ),
        Mistake(
            "returns_probabilities",
            "the numbers of each position have been through a softmax. Asked for are the logits before "
            "it. `cross_entropy` takes a softmax itself, and a second one in front of it flattens the "
            "gradient.",
            TAGGER,
        ),
        Mistake(
            "returns_the_tags",
            "the best tag of each position is returned, an integer. Asked for are the logits of all "
            "tags: an argmax has no gradient to learn from.",
            TAGGER,
        ),
        Mistake(
            "returns_the_batch_first",
            "the logits come in shape (B, T, tags). Time comes first here, (T, B, tags), as in "
            "`tokens`.",
            TAGGER,
        ),
        Mistake(
            "leaves_the_sequences_sorted",
            "the sequences come back sorted by their lengths, the longest first. Column n of the logits "
            "belongs to column n of `tokens`: whoever sorts has to undo it, or need not sort at all.",
            TAGGER,
        ),
        Mistake(
            "undoes_the_sorting_with_the_same_order",
            "the sequences are sorted by their lengths, and afterwards the same index is applied once "
            "more. That puts them back only where sorting exchanged pairs. What undoes a permutation "
            "is its inverse, the `argsort` of the index; best, leave the sorting to PyTorch.",
            TAGGER,
        ),
        Mistake(
            "hides_its_layers_in_a_list",
            "the module computes the right thing, but some of its layers are not among its parameters, "
            "so no optimiser would move them and no checkpoint would keep them. PyTorch finds layers "
            "that are attributes of the module or stand in a `ModuleList`; in a plain Python list or "
            "dict it does not.",
            TAGGER,
        ),
        Mistake(
            "cuts_the_gradient",
            "the logits are right, but no gradient leads from them to the parameters, so nothing can be "
            "learnt. `detach()`, `.data`, `torch.no_grad()` and a way through NumPy all cut it.",
            TAGGER,
        ),
        Mistake(
            "writes_into_the_tokens",
            "the logits are right, but the padding in the `tokens` that were passed in has been "
            "overwritten. `masked_fill_` and an assignment into `tokens[...]` do that; `masked_fill` and "
            "`torch.where` make a new tensor.",
            TAGGER,
        ),
    ),
)


EXERCISES = [
    STACKED_RNN_FORWARD,
    REVERSE_PADDED,
    MASKED_RNN_FORWARD,
    LAST_VALID,
    BIDIRECTIONAL_RNN_FORWARD,
    LOCKED_DROPOUT,
    LAYER_NORM,
    LAYER_NORM_LSTM_STEP,
    BITAGGER,
]
