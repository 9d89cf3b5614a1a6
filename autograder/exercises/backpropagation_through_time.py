"""Chapter 2: what is asked about backpropagation through time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograder.compare import Difference, compare
from autograder.detail import with_steps
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "02-backpropagation-through-time"
STEP = Section(CHAPTER, "bptt-step", "Backward through one step")
SEQUENCE = Section(CHAPTER, "bptt-sequence", "Backward through a whole sequence")
SHARED = Section(CHAPTER, "bptt-shared", "Why shared weights add their gradients")
STATES = Section(CHAPTER, "bptt-states", "The gradient at every state")
CHECK = Section(CHAPTER, "bptt-check", "Checking a gradient")
TRUNCATED = Section(CHAPTER, "bptt-truncated", "Truncated backpropagation")

Rng = np.random.Generator
Arrays = dict[str, np.ndarray]


def _weights(rng: Rng, *shape: int) -> np.ndarray:
    """Random signs and sizes, none near zero, scaled so that tanh does not saturate."""
    sizes = rng.uniform(0.4, 1.2, size=shape) * rng.choice([-1.0, 1.0], size=shape)
    return sizes / np.sqrt(shape[-1])


def _run(rng: Rng, T: int, B: int, D: int, H: int) -> Arrays:
    """The arguments of a backward pass, with the states that the network really goes through.

    The bias is not zero, so the states cannot be had from the other arguments alone.
    """
    x, h0, b = rng.normal(size=(T, B, D)), rng.uniform(-0.8, 0.8, size=(B, H)), _weights(rng, H)
    W_x, W_h = 0.7 * _weights(rng, H, D), _weights(rng, H, H)
    states = [h0]
    for x_t in x:
        states.append(np.tanh(x_t @ W_x.T + states[-1] @ W_h.T + b))
    dhs = rng.normal(size=(T, B, H))
    return {"dhs": dhs, "x": x, "h0": h0, "hs": np.stack(states[1:]), "W_x": W_x, "W_h": W_h}


def _compare_step_by_step(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, which also says at which steps a gradient over time is right."""
    return [with_steps(d, ("", "x")) for d in compare(expected, got, (), rtol=1e-9, atol=1e-12)]


def _step_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 3, 5, 4),
        ("values", 2, 3, 3),
        ("values", 4, 2, 4),
        ("sizes", 1, 3, 2),
        ("sizes", 3, 1, 1),
        ("sizes", 1, 1, 1),
    ]
    cases = []
    for kind, B, D, H in sizes:
        run = _run(rng, 1, B, D, H)
        inputs = {
            "dh_next": run["dhs"][0],
            "x": run["x"][0],
            "h": run["h0"],
            "h_next": run["hs"][0],
            "W_x": run["W_x"],
            "W_h": run["W_h"],
        }
        cases.append(Case(f"B = {B}, D = {D}, H = {H}", inputs, kind))
    return cases


RNN_STEP_BACKWARD = Exercise(
    name="rnn_step_backward",
    chapter=CHAPTER,
    minutes=15,
    signature="dh_next, x, h, h_next, W_x, W_h",
    see=STEP,
    cases=_step_cases,
    parts=("dx", "dh", "dW_x", "dW_h", "db"),
    aspects=(
        Aspect("Gradient of the input, dx", 2, parts=("dx",), kinds=("values",)),
        Aspect("Gradient of the old state, dh", 2, parts=("dh",), kinds=("values",)),
        Aspect("Gradient of the input weights, dW_x", 2, parts=("dW_x",), kinds=("values",)),
        Aspect("Gradient of the recurrent weights, dW_h", 2, parts=("dW_h",), kinds=("values",)),
        Aspect("Gradient of the bias, db", 1, parts=("db",), kinds=("values",)),
        Aspect("One sequence, one unit", 1, kinds=("sizes",), needs="Gradient of the input, dx"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Gradient of the input, dx"),
    ),
    mistakes=(
        Mistake(
            "skips_the_tanh",
            "the incoming gradient goes on as if there were no `tanh`. Before it reaches the weights it "
            "must pass through the `tanh`, which multiplies each entry by the slope at that entry.",
            STEP,
        ),
        Mistake(
            "takes_the_slope_at_the_old_state",
            "the slope of the `tanh` is computed from `h`, the state that enters the step. It belongs "
            "to the output of this `tanh`, which is `h_next`.",
            STEP,
        ),
        Mistake(
            "does_not_square_the_state",
            "the slope of the `tanh` is taken as one minus the state. With h = tanh(a), the derivative "
            "is one minus the square of h.",
            STEP,
        ),
        Mistake(
            "applies_tanh_again",
            "the slope is computed from `tanh(h_next)`. `h_next` is already the output of the `tanh`, "
            "and the derivative is one minus the square of that output; applying `tanh` once more "
            "moves it to another point.",
            STEP,
        ),
        Mistake(
            "uses_the_slope_of_the_sigmoid",
            "the slope is h (1 - h), which is that of the sigmoid in terms of its output. The cell's "
            "nonlinearity is the `tanh`, whose slope is one minus the square of its output.",
            STEP,
        ),
        Mistake(
            "recomputes_the_state_without_its_bias",
            "the slope is taken at tanh(W_x x + W_h h), which is not `h_next`: the bias is missing, and "
            "it is not among the arguments. There is nothing to recompute; the slope follows from "
            "`h_next` alone.",
            STEP,
        ),
        Mistake(
            "multiplies_dh_by_the_transpose",
            "in `dh` the matrix `W_h` stands transposed: it is square, so the shapes do not show it. "
            "The forward step multiplies rows by `W_h.T`, and the way back multiplies by the "
            "transpose of what the forward step used.",
            STEP,
        ),
        Mistake(
            "averages_over_the_batch",
            "the gradients of the parameters are divided by the batch size B. The loss here is whatever "
            "`dh_next` came from, and any 1/B is already in `dh_next`: over the batch, gradients add.",
            STEP,
        ),
        Mistake(
            "uses_the_new_state_in_dW_h",
            "`dW_h` is built with `h_next`. In the forward step `W_h` multiplies the state that "
            "enters, `h`, so `h` is what its gradient is made of.",
            STEP,
        ),
        Mistake(
            "leaves_tanh_out_of_the_parameters",
            "`dx` and `dh` are right, but the gradients of the parameters are made of `dh_next` itself. "
            "All five gradients start from the same quantity, the gradient at the pre-activation, "
            "behind the `tanh`.",
            STEP,
        ),
        Mistake(
            "keeps_db_for_each_sequence",
            "`db` has one row for each sequence of the batch. One bias serves all sequences, so their "
            "gradients are added, and `db` has the shape of `b`, (H,).",
            SHARED,
        ),
        Mistake(
            "returns_dh_before_dx",
            "the gradients of the state and of the input have changed places. They are returned in the "
            "order of the arguments: `dx`, `dh`, `dW_x`, `dW_h`, `db`.",
            STEP,
        ),
        Mistake(
            "transposes_the_weight_gradients",
            "the gradients of both weight matrices are transposed. A gradient has the shape of what it "
            "belongs to, and in `W_h`, which is square, row i belongs to unit i of the new state.",
            STEP,
        ),
    ),
)


def _sequence_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 3, 2, 5),
        ("values", 5, 2, 3, 3),
        ("values", 3, 2, 3, 2),
        ("sizes", 1, 3, 4, 2),
        ("sizes", 3, 1, 2, 1),
    ]
    return [
        Case(f"T = {T}, B = {B}, D = {D}, H = {H}", _run(rng, T, B, D, H), kind)
        for kind, T, B, D, H in sizes
    ]


RNN_BACKWARD = Exercise(
    name="rnn_backward",
    chapter=CHAPTER,
    minutes=35,
    signature="dhs, x, h0, hs, W_x, W_h",
    see=SEQUENCE,
    cases=_sequence_cases,
    compare=_compare_step_by_step,
    aspects=(
        Aspect("Gradient of the inputs", 2, parts=("x",), kinds=("values",)),
        Aspect("Gradient of the initial state", 2, parts=("h0",), kinds=("values",)),
        Aspect("Gradient of the input weights", 2, parts=("W_x",), kinds=("values",)),
        Aspect("Gradient of the recurrent weights", 2, parts=("W_h",), kinds=("values",)),
        Aspect("Gradient of the bias", 2, parts=("b",), kinds=("values",)),
        Aspect(
            "One step, one sequence, one unit", 1, kinds=("sizes",), needs="Gradient of the inputs"
        ),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Gradient of the inputs"),
    ),
    mistakes=(
        Mistake(
            "reads_only_the_last_dhs",
            "only `dhs[-1]` enters. The loss sends a gradient of its own into every state, and at each "
            "step it must be added to what comes back from the later steps.",
            SEQUENCE,
        ),
        Mistake(
            "sends_nothing_back_in_time",
            "each step sees only its own `dhs[t]`, as if the steps were separate networks. The `dh` "
            "that comes out of a step belongs to the state before it and must be added there.",
            SEQUENCE,
        ),
        Mistake(
            "adds_dhs_twice",
            "every `dhs[t]` except the last one is counted twice. What travels back from step to step is "
            "only what came through `W_h`; the loss's own part is added once, at the step it belongs to.",
            SEQUENCE,
        ),
        Mistake(
            "keeps_adding_to_the_carry",
            "what comes out of one step is added to what came out of the step after it, and so on. Each "
            "step's `dh` already contains all that came from later; the next step back receives it "
            "alone, besides its own `dhs[t]`.",
            SEQUENCE,
        ),
        Mistake(
            "carries_da_without_the_matrix",
            "between two steps the gradient at the pre-activation is handed on as it is. It belongs to "
            "a_t, and the state before reaches a_t through `W_h`: only after the product with `W_h` is "
            "it the gradient of that state.",
            SEQUENCE,
        ),
        Mistake(
            "takes_only_dhs_through_the_tanh",
            "`dhs[t]` goes through the slope of the `tanh`, what comes back from the later steps does not. "
            "Both are gradients of the same state: add them first, then go through the `tanh`.",
            SEQUENCE,
        ),
        Mistake(
            "keeps_only_one_step_of_the_weights",
            "the gradients of `W_x`, `W_h` and `b` are those of step t = 0 alone: each step replaces "
            "what the steps before it in the loop had found. The parameters are shared by all steps, "
            "so their gradients are sums.",
            SHARED,
        ),
        Mistake(
            "uses_the_new_state_in_W_h",
            "the gradient of `W_h` is built with the states after each step. At step t, `W_h` "
            "multiplies the state that enters: `hs[t - 1]`, and `h0` at the first step.",
            SEQUENCE,
        ),
        Mistake(
            "wraps_around_to_the_last_state",
            "at t = 0 the last state is used in place of `h0`: `hs[t - 1]` is `hs[-1]` there, and "
            "Python counts that from the end without complaint.",
            SEQUENCE,
        ),
        Mistake(
            "starts_from_a_zero_state",
            "the gradient of `W_h` is computed as if the first step started from zeros. It starts from "
            "`h0`, which is not zero here, and `W_h` multiplies it as it does any other state.",
            SEQUENCE,
        ),
        Mistake(
            "loops_forward_in_time",
            "the steps are visited from the first to the last, so that gradients are carried from the "
            "past into the future. A state influences only later losses: what it receives comes from "
            "later steps, so the last step has to be first.",
            SEQUENCE,
        ),
        Mistake(
            "stops_before_the_first_step",
            "the loop ends before t = 0, so the first step adds nothing and `x[0]` gets zeros. A range "
            "excludes its stop: `range(T - 1, 0, -1)` ends at 1.",
            SEQUENCE,
        ),
        Mistake(
            "gives_h0_the_gradient_of_the_first_state",
            "all is right except that `h0` gets the gradient of `hs[0]`, the state after the first "
            "step. `h0` lies one step earlier: the gradient still has to go through the first `tanh` "
            "and through `W_h`.",
            SEQUENCE,
        ),
        Mistake(
            "carries_by_the_transpose",
            "on the way back in time `W_h` stands transposed: it is square, so the shapes do not show "
            "it. The forward step multiplies rows by `W_h.T`, and the way back multiplies by the "
            "transpose of what the forward step used.",
            STEP,
        ),
        Mistake(
            "takes_the_slope_at_the_old_state",
            "the slope of the `tanh` at step t is computed from the state before the step. It belongs "
            "to the output of that `tanh`, `hs[t]`.",
            STEP,
        ),
        Mistake(
            "skips_the_tanh",
            "the gradients go back as if there were no `tanh`. At every step the gradient at the "
            "state is multiplied by the slope of the `tanh` before it reaches the weights.",
            STEP,
        ),
        Mistake(
            "averages_over_the_batch",
            "the gradients of the parameters are divided by the batch size B. Any 1/B is already in "
            "`dhs`: over the batch, as over time, gradients add.",
            SHARED,
        ),
        Mistake(
            "averages_over_time",
            "the gradients of the parameters are divided by the number of steps T. Each step uses the "
            "same parameters, so what the steps find is added; any 1/T is already in `dhs`.",
            SHARED,
        ),
        Mistake(
            "writes_into_dhs",
            "the numbers are right, but where there is more than one step, `dhs` is not what it was: "
            "something is written into it, as `dhs[t] += ...` does. The caller may need `dhs` once "
            "more, as it was. Write into a new array.",
            SEQUENCE,
        ),
    ),
)

# What the student's function is asked to differentiate, by the name under which a case shows it.
# No value is much above 3, so that rounding stays below 1e-9 at a step of 1e-5.
FUNCTIONS: dict[str, Callable[[np.ndarray], Any]] = {
    "log sum exp(x)": lambda x: np.log(np.sum(np.exp(x))),
    "sum sin(x_k) / k": lambda x: np.sum(np.sin(x) / _numbered(x)),
    "prod cos(x_k / k)": lambda x: np.prod(np.cos(x / _numbered(x))),
    "sum x_k^3": lambda x: np.sum(x**3),
    "sum sin(1000 x_k) / 1000": lambda x: np.sum(np.sin(1000 * x)) / 1000,
}


def _numbered(x: np.ndarray) -> np.ndarray:
    """1, 2, 3, ... in the shape of x."""
    return np.arange(1.0, np.size(x) + 1).reshape(np.shape(x))


def _laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """The same entries, otherwise laid out in memory."""
    if layout == "transposed":
        return np.array(x.T, order="C").T
    if layout == "columns":
        return np.concatenate([x, x], axis=-1)[..., : x.shape[-1]]
    return x


def _differentiate(function: Callable, inputs: dict[str, Any]) -> Any:
    """Call `numerical_gradient` with the named function, the layout and, if given, the eps."""
    x = _laid_out(inputs["x"], inputs["layout"])
    shape = x.shape

    def f(point: np.ndarray) -> float:
        if np.shape(point) != shape:
            raise ValueError(f"f was called with shape {np.shape(point)}, but x has shape {shape}")
        return float(FUNCTIONS[inputs["f"]](point))

    try:
        return function(f, x) if inputs["eps"] is None else function(f, x, inputs["eps"])
    finally:
        inputs["x"][...] = x  # what was done to x shows


def _gradient_cases(rng: Rng) -> list[Case]:
    # (what a case asks, f, shape, layout, eps). Entries lie where no derivative nearly vanishes
    # and where forward differences, or another eps, are off by far more than the tolerance.
    asked = [
        ("values", "log sum exp(x)", (4,), "", None),
        ("values", "sum sin(x_k) / k", (2, 3), "", None),
        ("values", "prod cos(x_k / k)", (3, 3), "", None),
        ("values", "sum x_k^3", (2, 1, 2), "", None),
        ("eps", "sum x_k^3", (3,), "", 0.1),
        ("eps", "log sum exp(x)", (2, 2), "", 0.5),
        ("eps", "sum sin(1000 x_k) / 1000", (2,), "", None),
        ("layout", "log sum exp(x)", (3, 2), "transposed", None),
        ("layout", "prod cos(x_k / k)", (2, 3), "columns", None),
        ("layout", "sum sin(x_k) / k", (), "", None),
    ]
    axes = ["x 0-d", "one axis", "two axes", "three axes"]
    told = {"transposed": ", a transposed view", "columns": ", part of a wider array"}
    cases = []
    for kind, f, shape, layout, eps in asked:
        x = np.array(rng.uniform(0.3, 0.9, size=shape))
        if f == "sum sin(1000 x_k) / 1000":  # cos(1000 x) stays above 0.8 in size
            x = (np.pi * rng.integers(100, 300, size=shape) + rng.uniform(0.1, 0.6, shape)) / 1000
        x.flat[-1] *= 1e-9 / 0.9  # so small that adding eps and subtracting it loses digits
        name = f"f = {f}, {axes[len(shape)]}" + told.get(layout, "")
        if kind == "eps":
            name = f"f = {f}, " + (f"eps = {eps}" if eps else "eps not given")
        cases.append(Case(name, {"f": f, "x": x, "layout": layout, "eps": eps}, kind))
    return cases


NUMERICAL_GRADIENT = Exercise(
    name="numerical_gradient",
    chapter=CHAPTER,
    minutes=10,
    signature="f, x, eps=1e-5",
    see=CHECK,
    cases=_gradient_cases,
    call=_differentiate,
    # Rounding makes two right answers differ by 1e-10 or so; forward differences are off by 1e-6,
    # and so is every other eps where it matters; a result in float32 is off by 3e-8 of itself.
    rtol=1e-8,
    atol=2e-9,
    aspects=(
        Aspect("Values", 4, kinds=("values",)),
        Aspect("The given step, and the default one", 2, kinds=("eps",), needs="Values"),
        Aspect("Any memory layout, and 0-d", 2, kinds=("layout",), needs="Values"),
        Aspect("Leaves x as it was, to the last bit", 2, of="purity", needs="Values"),
    ),
    mistakes=(
        Mistake(
            "takes_forward_differences",
            "f is compared at x + eps with x itself: a forward difference, whose error shrinks like "
            "eps. Central differences go eps to both sides, and their error shrinks like eps squared.",
            CHECK,
        ),
        Mistake(
            "takes_backward_differences",
            "f is compared at x - eps with x itself: a one-sided difference, whose error shrinks like "
            "eps. Central differences go eps to both sides, and their error shrinks like eps squared.",
            CHECK,
        ),
        Mistake(
            "divides_by_eps",
            "the difference is divided by eps, so all is twice what it should be. The two points lie "
            "eps on either side of x: how far are they apart?",
            CHECK,
        ),
        Mistake(
            "goes_half_a_step_to_each_side",
            "this is a central difference, but over points eps / 2 on either side. Here `eps` is the "
            "distance to each side, so the points are 2 eps apart; at a large `eps` it shows.",
            CHECK,
        ),
        Mistake(
            "ignores_the_given_eps",
            "the step is 1e-5 whatever `eps` is passed. Use the argument, in the two points and in the "
            "denominator.",
            CHECK,
        ),
        Mistake(
            "moves_all_entries_at_once",
            "every entry of x is moved by eps at the same time, which gives one number, the derivative "
            "in the direction (1, ..., 1), in every place. Move one entry at a time.",
            CHECK,
        ),
        Mistake(
            "moves_one_array_both_ways",
            "the gradient is zero everywhere, and x is not what it was at the end. This is so, for "
            "one, when both calls of f see the same numbers: `y = x` gives an array a second name "
            "and makes no copy, and moving y up and then z down moves the same entry up and down.",
            CHECK,
        ),
        Mistake(
            "does_not_put_the_entry_back",
            "an entry that was moved stays moved while the next ones are differentiated, and x is not "
            "what it was at the end. Keep the old value before you move it, and put it back after the "
            "second call of f.",
            CHECK,
        ),
        Mistake(
            "does_not_restore_x_to_the_last_bit",
            "the gradient is right, but at the end x is not, bit for bit, what it was. One way to get "
            "there is to add eps and subtract it again: each of the two rounds, and together they need "
            "not cancel. Keep the old number, and put it back.",
            CHECK,
        ),
        Mistake(
            "moves_entries_of_a_flat_copy",
            "where x is not laid out row after row in memory, the gradient is zero. Then `ravel` and "
            "`reshape` return a copy, and moving the copy's entries does not move x. Index x itself.",
            CHECK,
        ),
        Mistake(
            "writes_into_a_flat_copy_of_the_result",
            "where x is a transposed view, the gradient is zero. There `zeros_like(x)` takes over the "
            "layout of x, so that a flattened result is a copy, and what is written into it is lost. "
            "Make the result with `np.zeros(x.shape)`, or index it as you index x.",
            CHECK,
        ),
    ),
)


def _error_cases(rng: Rng) -> list[Case]:
    """Pairs whose largest relative error is at a known place, far from a tie.

    Entries are 20 or more in size, so that a floor that is added, not a maximum, costs only the
    cases that are about the floor.
    """

    def pair(shape, relative, largest, at):
        a = rng.uniform(20, 40, size=shape) * rng.choice([-1.0, 1.0], size=shape)
        a.flat[0] = rng.uniform(400, 500)  # the largest absolute difference is elsewhere
        off = 1 + relative * rng.uniform(0.3, 0.6, size=shape) * rng.choice([-1.0, 1.0], size=shape)
        b = a * off
        b.flat[at] = a.flat[at] * (1 + largest)
        return a, b

    def case(name, kind, ab):
        return Case(name, {"a": ab[0], "b": ab[1]}, kind)

    # `a` is made positive where it matters, so that a - b is negative at the largest error.
    first = pair((5,), 0.2, rng.uniform(0.4, 0.6), 3)
    first[0][3], first[1][3] = abs(first[0][3]), abs(first[1][3])
    second = pair((2, 4), 0.2, -rng.uniform(0.3, 0.4), 6)
    second[0].flat[6], second[1].flat[6] = -abs(second[0].flat[6]), -abs(second[1].flat[6])
    close = pair((3, 2, 2), 1e-7, 1e-6 * rng.uniform(1, 2), 9)
    other_sign = pair((2, 3), 0.2, 0.3, 5)
    other_sign[1][0, 1] *= -0.5
    zeros = (np.zeros((2, 3)), np.zeros((2, 3)))
    some_zero = pair((4,), 0.2, rng.uniform(0.4, 0.6), 3)
    some_zero[0][1] = some_zero[1][1] = 0.0
    tiny = (rng.uniform(1e-9, 2e-9, size=(3,)), -rng.uniform(1e-9, 2e-9, size=(3,)))
    return [
        case("some per cent apart", "values", first),
        case("entries of both signs", "values", second),
        case("nearly equal", "values", close),
        case("one entry of the other sign", "values", other_sign),
        case("both zero everywhere", "floor", zeros),
        case("both zero in one place", "floor", some_zero),
        case("entries near 1e-9", "floor", tiny),
        case("b exactly zero, a of 5e-9", "floor", (np.full((2, 2), 5e-9), np.zeros((2, 2)))),
    ]


def _call_quietly(function: Callable, inputs: dict[str, Any]) -> Any:
    """A division by zero shows in the result; whether it also warned is no matter here."""
    with np.errstate(all="ignore"):
        return function(*inputs.values())


RELATIVE_ERROR = Exercise(
    name="relative_error",
    chapter=CHAPTER,
    minutes=5,
    signature="a, b",
    see=CHECK,
    cases=_error_cases,
    call=_call_quietly,
    aspects=(
        Aspect("Values", 3, kinds=("values",)),
        Aspect("Zero and very small entries", 2, kinds=("floor",), needs="Values"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Values"),
    ),
    mistakes=(
        Mistake(
            "averages",
            "the mean over the entries is returned. One wrong entry among a thousand right ones hardly "
            "moves a mean; the largest entry shows it.",
            CHECK,
        ),
        Mistake(
            "divides_norms",
            "the norm of the difference is divided by the sum of the two norms. That is one number for "
            "the whole array, and large entries hide small wrong ones. Divide entry by entry, then "
            "take the largest.",
            CHECK,
        ),
        Mistake(
            "divides_the_largest_difference_by_the_largest_sum",
            "the largest difference is divided by the largest |a| + |b|, which may stand elsewhere. "
            "Divide entry by entry, then take the largest.",
            CHECK,
        ),
        Mistake(
            "keeps_the_sign_of_the_difference",
            "the differences keep their sign, so where b is the larger one the error counts as "
            "negative and the maximum passes over it. Take |a - b|.",
            CHECK,
        ),
        Mistake(
            "adds_before_taking_sizes",
            "the denominator is |a + b|. Where a and b have opposite signs that is small, or zero, "
            "although the numbers are not: take the sizes first, then add.",
            CHECK,
        ),
        Mistake(
            "divides_by_the_first_alone",
            "the difference is divided by |a| alone, so exchanging a and b changes the result and the "
            "error has no upper limit. The denominator is |a| + |b|.",
            CHECK,
        ),
        Mistake(
            "divides_by_the_larger",
            "the difference is divided by the larger of |a| and |b|. That is a relative error too, but "
            "here the denominator is their sum, which keeps the result between 0 and 1.",
            CHECK,
        ),
        Mistake(
            "does_not_divide",
            "this is the largest absolute difference. 1e-4 is a lot where the gradients are 1e-4 and "
            "nothing where they are 100: divide by the sizes.",
            CHECK,
        ),
        Mistake(
            "has_no_floor",
            "the denominator is |a| + |b| without a floor, so two zeros give 0/0, and numbers that are "
            "no more than rounding count as badly wrong. The denominator is never below 1e-8.",
            CHECK,
        ),
        Mistake(
            "adds_the_floor",
            "1e-8 is added to the denominator. It is a floor: it takes the place of |a| + |b| where that "
            "is smaller, and does nothing elsewhere.",
            CHECK,
        ),
    ),
)


def _state_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 3, 5),
        ("values", 5, 3, 3),
        ("values", 7, 2, 4),
        ("values", 3, 1, 2),
        ("one step", 1, 3, 2),
        ("one step", 1, 1, 3),
        ("one unit", 4, 2, 1),
    ]
    cases = []
    for kind, T, B, H in sizes:
        run = _run(rng, T, B, 2, H)
        inputs = {"dh_last": run["dhs"][-1], "hs": run["hs"], "W_h": run["W_h"]}
        cases.append(Case(f"T = {T}, B = {B}, H = {H}", inputs, kind))
    return cases


STATE_GRADIENTS = Exercise(
    name="state_gradients",
    chapter=CHAPTER,
    minutes=10,
    signature="dh_last, hs, W_h",
    see=STATES,
    cases=_state_cases,
    compare=_compare_step_by_step,
    aspects=(
        Aspect("Values", 5, kinds=("values",)),
        Aspect("T = 1", 1, kinds=("one step",), needs="Values"),
        Aspect("One unit", 1, kinds=("one unit",), needs="Values"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Values"),
    ),
    mistakes=(
        Mistake(
            "takes_the_slope_one_step_early",
            "the slope of the `tanh` is taken at h_t, where it should be at h_{t+1}. The step that "
            "leads from h_t to h_{t+1} goes through the `tanh` whose output is h_{t+1}.",
            STATES,
        ),
        Mistake(
            "multiplies_by_the_transpose",
            "`W_h` stands transposed: it is square, so the shapes do not show it. The forward step "
            "multiplies rows by `W_h.T`, and the way back multiplies by the transpose of what the "
            "forward step used.",
            STATES,
        ),
        Mistake(
            "skips_the_tanh",
            "each step back multiplies by `W_h` alone. The step is h_{t+1} = tanh(... + W_h h_t ...), "
            "and its `tanh` multiplies by a slope that is at most 1.",
            STATES,
        ),
        Mistake(
            "applies_the_tanh_after_the_matrix",
            "on the way back the gradient meets `W_h` first and the slope of the `tanh` afterwards. "
            "Forward, the matrix comes first and the `tanh` second, so backward it is the other way "
            "round.",
            STATES,
        ),
        Mistake(
            "does_not_square_the_state",
            "the slope of the `tanh` is taken as one minus the state. With h = tanh(a), the derivative "
            "is one minus the square of h.",
            STEP,
        ),
        Mistake(
            "returns_the_order_of_the_loop",
            "the gradients stand in the order in which the loop finds them, the last step first. Entry "
            "t belongs to `hs[t]`, so the last entry is `dh_last`.",
            STATES,
        ),
        Mistake(
            "returns_the_gradient_at_the_pre_activation",
            "every entry is multiplied by the slope of the `tanh` at its own step: these are the "
            "gradients at the pre-activations a_t. The gradient at h_t is what arrives before that "
            "`tanh`; the last entry is `dh_last` itself.",
            STATES,
        ),
        Mistake(
            "goes_one_step_too_far",
            "entry t holds the gradient at the state before h_t: each has been taken back one step too "
            "far. The last entry is `dh_last` itself, so store first and go back afterwards.",
            STATES,
        ),
        Mistake(
            "adds_dh_last_at_every_step",
            "`dh_last` is added at every step, as if the loss read every state. Here it reads the last "
            "one only: whatever reaches an earlier state has come back through the steps after it.",
            STATES,
        ),
        Mistake(
            "goes_back_one_step_only",
            "every entry but the last is `dh_last` taken back through one step. To reach h_t the gradient passes "
            "through all the steps after t: begin each one with what the step after it gave.",
            STATES,
        ),
        Mistake(
            "writes_into_dh_last",
            "the numbers are right, but where there is more than one step, `dh_last` is not what it was: "
            "something is written into it, as `*=` does to the array behind the name. Make a new array "
            "at each step.",
            STATES,
        ),
    ),
)


def _truncated_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 5, 2, 3, 4, 2, "the last block shorter"),
        ("values", 7, 1, 2, 2, 3, "the last block shorter"),
        ("values", 6, 2, 1, 3, 3, "blocks of equal length"),
        ("one", 3, 1, 3, 2, 1, "each step by itself"),
        ("whole", 4, 1, 2, 2, 4, "one block"),
        ("whole", 3, 2, 1, 3, 5, "longer than the sequence"),
        ("whole", 1, 2, 2, 1, 2, "a single step"),
    ]
    return [
        Case(
            f"T = {T}, window = {window}: {told}",
            {**_run(rng, T, B, D, H), "window": window},
            kind,
        )
        for kind, T, B, D, H, window, told in sizes
    ]


TRUNCATED_RNN_BACKWARD = Exercise(
    name="truncated_rnn_backward",
    chapter=CHAPTER,
    minutes=15,
    signature="dhs, x, h0, hs, W_x, W_h, window",
    see=TRUNCATED,
    cases=_truncated_cases,
    compare=_compare_step_by_step,
    aspects=(
        Aspect("Gradient of the inputs", 2, parts=("x",), kinds=("values",)),
        Aspect("Gradient of the initial state", 2, parts=("h0",), kinds=("values",)),
        Aspect("Gradient of the input weights", 1, parts=("W_x",), kinds=("values",)),
        Aspect("Gradient of the recurrent weights", 2, parts=("W_h",), kinds=("values",)),
        Aspect("Gradient of the bias", 1, parts=("b",), kinds=("values",)),
        Aspect("A window of 1", 1, kinds=("one",), needs="Gradient of the inputs"),
        Aspect("A window of T or more", 2, kinds=("whole",), needs="Gradient of the inputs"),
        Aspect("Leaves its inputs alone", 1, of="purity", needs="Gradient of the inputs"),
    ),
    mistakes=(
        Mistake(
            "ignores_the_window",
            "the gradient goes all the way back, whatever `window` is: this is `rnn_backward`. Where a "
            "block begins, what comes back from it must not reach the state before it.",
            TRUNCATED,
        ),
        Mistake(
            "counts_blocks_from_the_end",
            "the blocks are counted from the end of the sequence, so that the first one is the shorter. "
            "They are counted from t = 0: the first begins there, and the last takes what is left.",
            TRUNCATED,
        ),
        Mistake(
            "slides_the_window",
            "the loss at every step is followed back through `window` steps, itself included. That is "
            "another truncation, with a window that slides. Here the blocks are fixed: the gradient "
            "goes back to the beginning of its block, be that near or far.",
            TRUNCATED,
        ),
        Mistake(
            "cuts_one_step_early",
            "the cuts lie one step too early in time: before the last step of each block, where they "
            "should lie after it. The steps `window`, 2 `window` and so on, counted from t = 0, are "
            "the first ones of their blocks.",
            TRUNCATED,
        ),
        Mistake(
            "cuts_one_step_late",
            "the cuts lie one step too late in time: after the first step of each block, where they "
            "should lie before it. What is cut is what the first step of a block sends back, not what "
            "it receives.",
            TRUNCATED,
        ),
        Mistake(
            "cuts_at_every_step",
            "no gradient crosses from any step to the one before, whatever `window` is. Inside a block "
            "it does; only between blocks it does not.",
            TRUNCATED,
        ),
        Mistake(
            "leaves_out_the_last_block",
            "the last, shorter block is left out: `T // window` counts only full blocks. Its steps have "
            "losses too.",
            TRUNCATED,
        ),
        Mistake(
            "goes_back_only_from_the_end",
            "only the last `window` steps take part; the inputs before them get zeros. Truncation does "
            "not forget the earlier losses: each block is gone through backwards, from its own end to "
            "its own beginning.",
            TRUNCATED,
        ),
        Mistake(
            "stops_after_the_first_block",
            "only the first `window` steps take part, all later steps get zeros. Each block is gone "
            "through backwards, and what they give the parameters is added.",
            TRUNCATED,
        ),
        Mistake(
            "starts_every_block_from_h0",
            "in the gradient of `W_h`, every block starts from `h0`. Only the first does: values still "
            "cross, so a later block starts from the last state of the block before it.",
            TRUNCATED,
        ),
        Mistake(
            "starts_later_blocks_from_zero",
            "in the gradient of `W_h`, every block but the first starts from zeros. Truncation cuts "
            "gradients, not values: a block starts from the last state of the block before it.",
            TRUNCATED,
        ),
        Mistake(
            "wraps_around_to_the_last_state",
            "at t = 0 the last state is used in place of `h0`: `hs[t - 1]` is `hs[-1]` there, and "
            "Python counts that from the end without complaint.",
            TRUNCATED,
        ),
        Mistake(
            "gives_h0_the_last_block",
            "`h0` gets the gradient at the beginning of the last block, where another state entered. "
            "`h0` enters the first block, so it gets that block's.",
            TRUNCATED,
        ),
        Mistake(
            "adds_all_blocks_into_h0",
            "`h0` gets the sum of what arrives at the beginning of every block. `h0` enters only the "
            "first block; what arrives at the others belongs to states in the middle of the sequence, "
            "and is dropped.",
            TRUNCATED,
        ),
        Mistake(
            "cuts_h0_off",
            "`h0` gets zeros, as if the gradient were cut before t = 0 too. The first block has no block "
            "before it, so what arrives there is kept, for `h0`.",
            TRUNCATED,
        ),
        Mistake(
            "keeps_the_weights_of_one_block",
            "the gradients of `W_x`, `W_h` and `b` are those of the last block alone. All blocks use the "
            "same parameters: add what each of them gives.",
            SHARED,
        ),
        Mistake(
            "cuts_the_loss_too",
            "at every step that ends a full block, the loss's own gradient `dhs[t]` is lost, along with "
            "what comes back from the next block. Only the latter is cut.",
            TRUNCATED,
        ),
    ),
)

EXERCISES = [
    RNN_STEP_BACKWARD,
    RNN_BACKWARD,
    NUMERICAL_GRADIENT,
    RELATIVE_ERROR,
    STATE_GRADIENTS,
    TRUNCATED_RNN_BACKWARD,
]
