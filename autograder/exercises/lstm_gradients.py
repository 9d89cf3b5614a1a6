"""Chapter 5: what is asked about the LSTM's gradients and its time scales."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograder.compare import Difference, compare
from autograder.detail import with_gates, with_steps
from autograder.draws import away_from_zero
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "05-lstm-gradients"
DELTAS = Section(CHAPTER, "lstmgrad-deltas", "Four gates, four deltas")
STEP = Section(CHAPTER, "lstmgrad-step", "Backward through one LSTM step")
SEQUENCE = Section(CHAPTER, "lstmgrad-sequence", "Backward through the whole sequence")
STATES = Section(CHAPTER, "lstmgrad-states", "The gradient at every state")
DIRECT = Section(CHAPTER, "lstmgrad-direct", "The direct path")
JACOBIAN = Section(CHAPTER, "lstmgrad-jacobian", "The whole Jacobian")
HALFLIFE = Section(CHAPTER, "lstmgrad-halflife", "The half-life of a memory")
CHRONO = Section(CHAPTER, "lstmgrad-chrono", "A bias for every time scale")
LAYOUT = Section("04-lstm", "lstm-layout", "Four gates in one matrix")
SHARED = Section(
    "02-backpropagation-through-time",
    "bptt-shared",
    "Why shared weights add their gradients",
)

RTOL, ATOL = 1e-9, 1e-12
VALUES, PURITY = "Values", "Leaves its inputs alone"

Rng = np.random.Generator
Arrays = dict[str, np.ndarray]


# A network that really runs, so that its states and gates belong together.


def _weights(rng: Rng, *shape: int) -> np.ndarray:
    """Random signs and sizes, none near zero, scaled so that the gates do not saturate."""
    return away_from_zero(rng, shape, 0.4, 1.2) / np.sqrt(shape[-1])


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * a))


def _run(rng: Rng, T: int, B: int, D: int, H: int) -> Arrays:
    """Inputs, weights, and the states and gates that an LSTM with a bias goes through."""
    x = rng.normal(size=(T, B, D))
    h0, c0 = away_from_zero(rng, (B, H), 0.2, 0.7), away_from_zero(rng, (B, H), 0.4, 1.2)
    W_x, W_h = 0.7 * _weights(rng, 4 * H, D), _weights(rng, 4 * H, H)
    b = away_from_zero(rng, (4 * H,), 0.3, 0.8)
    h, c, rows = h0, c0, []
    for x_t in x:
        a_i, a_f, a_g, a_o = np.split(x_t @ W_x.T + h @ W_h.T + b, 4, axis=1)
        gates = _sigmoid(a_i), _sigmoid(a_f), np.tanh(a_g), _sigmoid(a_o)
        i, f, g, o = gates
        c = f * c + i * g
        h = o * np.tanh(c)
        rows.append((h, c, np.concatenate(gates, axis=1)))
    hs, cs, gates = (np.stack(row) for row in zip(*rows, strict=True))
    return {
        **{"x": x, "h0": h0, "c0": c0, "hs": hs, "cs": cs, "gates": gates, "W_x": W_x, "W_h": W_h},
        "dhs": rng.normal(size=(T, B, H)),
        "dcs": rng.normal(size=(T, B, H)),
    }


def _call_with_four_gates(function: Callable, inputs: dict[str, Any]) -> Any:
    """Frozen cases hold lists where there were tuples; `gates` is a tuple, as promised."""
    return function(*{**inputs, "gates": tuple(inputs["gates"])}.values())


# lstm_step_backward


def _step_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 3, 2),
        ("values", 3, 2, 2),
        ("sizes", 1, 3, 2),
        ("sizes", 3, 2, 1),
    ]
    cases = []
    for kind, B, D, H in sizes:
        run = _run(rng, 1, B, D, H)
        inputs = {
            "dh_next": run["dhs"][0],
            "dc_next": run["dcs"][0],
            "x": run["x"][0],
            "h": run["h0"],
            "c": run["c0"],
            "gates": tuple(np.split(run["gates"][0], 4, axis=1)),
            "c_next": run["cs"][0],
            "W_x": run["W_x"],
            "W_h": run["W_h"],
        }
        cases.append(Case(f"B = {B}, D = {D}, H = {H}", inputs, kind))
    return cases


STEP_PARTS = ("dx", "dh", "dc", "dW_x", "dW_h", "db")


def _compare_one_step(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, which also says in which gates a gradient of parameters is right."""
    found = compare(expected, got, STEP_PARTS, RTOL, ATOL)
    return [with_gates(difference, ("dW_x", "dW_h", "db")) for difference in found]


DC = "Gradient of the old cell, dc"

LSTM_STEP_BACKWARD = Exercise(
    name="lstm_step_backward",
    chapter=CHAPTER,
    minutes=30,
    signature="dh_next, dc_next, x, h, c, gates, c_next, W_x, W_h",
    see=STEP,
    cases=_step_cases,
    call=_call_with_four_gates,
    compare=_compare_one_step,
    parts=STEP_PARTS,
    aspects=(
        Aspect(DC, 3, parts=("dc",), kinds=("values",)),
        Aspect("Gradient of the old state, dh", 2, parts=("dh",), kinds=("values",)),
        Aspect("Gradient of the input, dx", 1, parts=("dx",), kinds=("values",)),
        Aspect("Gradient of the bias, db", 1, parts=("db",), kinds=("values",)),
        Aspect("Gradient of the input weights, dW_x", 1, parts=("dW_x",), kinds=("values",)),
        Aspect("Gradient of the recurrent weights, dW_h", 2, parts=("dW_h",), kinds=("values",)),
        Aspect("One sequence, one unit", 1, kinds=("sizes",), needs=DC),
        Aspect(PURITY, 1, of="purity", needs=DC),
    ),
    mistakes=(
        Mistake(
            "ignores_dc_next",
            "`dc_next` does not enter. The new cell is read twice: by `h_next` in this step, and by the next "
            "step's cell, and `dc_next` is what comes from there. Add both before anything goes on.",
            STEP,
        ),
        Mistake(
            "leaves_out_the_path_through_h",
            "only `dc_next` goes into the new cell. `h_next` is made of `c_next` too, so part of `dh_next` "
            "belongs to `c_next`, and `dc_next` does not contain it: add it first.",
            STEP,
        ),
        Mistake(
            "forgets_the_slope_of_tanh_c",
            "what comes from `dh_next` reaches the new cell with the factor o alone. Between `c_next` and "
            "`h_next` stands a `tanh` as well, and its slope belongs into the product.",
            STEP,
        ),
        Mistake(
            "forgets_the_output_gate",
            "what comes from `dh_next` reaches the new cell without the output gate. Forward, h_next is o times "
            "tanh(c_next), so on the way back o is a factor.",
            STEP,
        ),
        Mistake(
            "takes_the_tanh_of_the_old_cell",
            "the `tanh` is taken of `c`, the cell that enters the step. In this step the `tanh` is applied to the cell "
            "after the update, `c_next`: its value and its slope belong there.",
            STEP,
        ),
        Mistake(
            "does_not_square_the_tanh",
            "the slope of the cell's `tanh` is taken as one minus tanh(c_next). The derivative of the `tanh` is "
            "one minus its square.",
            STEP,
        ),
        Mistake(
            "squares_the_cell_without_its_tanh",
            "the slope of the cell's `tanh` is taken as one minus the square of `c_next` itself. The rule is one "
            "minus the square of the `tanh`'s output, and `c_next` is its input: apply the `tanh` first.",
            STEP,
        ),
        Mistake(
            "takes_dc_next_through_the_tanh",
            "`dc_next` is multiplied by the slope of the cell's `tanh`. That `tanh` stands only between `c_next` "
            "and `h_next`. From the next step's cell the gradient reaches `c_next` without passing it.",
            STEP,
        ),
        Mistake(
            "leaves_out_the_gates_slopes",
            "the four deltas are gradients at the gates' values. They belong one step further back, at the "
            "pre-activations: each must still pass its own nonlinearity, three sigmoids and one `tanh`.",
            DELTAS,
        ),
        Mistake(
            "applies_the_nonlinearities_again",
            "the slopes are taken as if the `gates` were pre-activations: sigmoid or `tanh` is applied once more. "
            "The gates are outputs already, and their slopes follow from these outputs directly.",
            DELTAS,
        ),
        Mistake(
            "gives_the_candidate_the_slope_of_a_sigmoid",
            "the candidate g gets the slope g (1 - g), which is that of a sigmoid. Its nonlinearity is a `tanh`, "
            "with another slope.",
            DELTAS,
        ),
        Mistake(
            "multiplies_i_and_g_by_themselves",
            "the gradient at i is multiplied by i, and that at g by g. In the product i g, the derivative with "
            "respect to one factor is the other factor.",
            DELTAS,
        ),
        Mistake(
            "multiplies_f_by_the_new_cell",
            "the gradient at the forget gate is made with `c_next`. Forward, f multiplies the cell that enters, "
            "`c`, and that is the factor here.",
            DELTAS,
        ),
        Mistake(
            "multiplies_o_by_the_cell_without_its_tanh",
            "the gradient at the output gate is made with `c_next` itself. Forward, o multiplies tanh(c_next), "
            "and that is the factor here.",
            DELTAS,
        ),
        Mistake(
            "returns_dc_without_the_forget_gate",
            "`dc` is the whole gradient at the *new* cell. The old cell enters the new one with the factor f, so "
            "one factor is missing.",
            STEP,
        ),
        Mistake(
            "returns_only_dc_next_times_the_forget_gate",
            "`dc` is f times `dc_next` alone, although the deltas are made from all of the new cell's gradient. The "
            "part that comes through `h_next` goes on to the old cell as well.",
            STEP,
        ),
        Mistake(
            "transposes_each_gates_W_h",
            "in `dh` each gate's `(H, H)` block of `W_h` stands transposed: it is square, so the shapes do not show "
            "it. Forward, rows are multiplied by the transpose of a block, so on the way back by the block itself.",
            STEP,
        ),
        Mistake(
            "stacks_the_deltas_as_i_f_o_g",
            "the deltas stand in the order i, f, o, g. The rows of `W_x`, `W_h` and `b` belong to i, f, g, o, "
            "and the deltas must stand as these do.",
            LAYOUT,
        ),
        Mistake(
            "unpacks_the_gates_as_i_f_o_g",
            "`gates` is read in the order i, f, o, g, so candidate and output gate have changed their parts. It "
            "holds i, f, g, o.",
            LAYOUT,
        ),
        Mistake(
            "uses_the_new_state_in_dW_h",
            "`dW_h` is built with the new state. In the forward step `W_h` multiplies the state that enters, `h`, "
            "so `h` is what its gradient is made of.",
            STEP,
        ),
        Mistake(
            "averages_over_the_batch",
            "the gradients of the parameters are divided by the batch size B. Any 1/B is already in `dh_next` and "
            "`dc_next`: over the batch, gradients add.",
            SHARED,
        ),
        Mistake(
            "keeps_db_for_each_sequence",
            "`db` has one row for each sequence of the batch. One bias serves all sequences, so their gradients are "
            "added, and `db` has the shape of `b`, (4H,).",
            SHARED,
        ),
        Mistake(
            "returns_dc_before_dh",
            "the gradients of the state and of the cell have changed places. The order is that of the arguments: "
            "`dx`, `dh`, `dc`, `dW_x`, `dW_h`, `db`.",
            STEP,
        ),
        Mistake(
            "writes_into_dc_next",
            "the numbers are right, but `dc_next` is not what it was: something is written into it, as "
            "`dc_next += ...` does. Put the sum into a new array.",
            STEP,
        ),
    ),
)


# lstm_backward


def _sequence_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 2, 3, 2),
        ("values", 3, 3, 2, 2),
        ("sizes", 1, 2, 1, 2),
        ("sizes", 3, 1, 2, 1),
    ]
    names = ("dhs", "x", "h0", "c0", "hs", "cs", "gates", "W_x", "W_h")
    cases = []
    for kind, T, B, D, H in sizes:
        run = _run(rng, T, B, D, H)
        inputs = {name: run[name] for name in names}
        cases.append(Case(f"T = {T}, B = {B}, D = {D}, H = {H}", inputs, kind))
    return cases


def _compare_sequence(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison, which also says at which steps and in which gates it is right."""
    found = compare(expected, got, (), RTOL, ATOL)
    return [with_gates(with_steps(d, ("x",)), ("W_x", "W_h", "b")) for d in found]


DX = "Gradient of the inputs"

LSTM_BACKWARD = Exercise(
    name="lstm_backward",
    chapter=CHAPTER,
    minutes=25,
    signature="dhs, x, h0, c0, hs, cs, gates, W_x, W_h",
    see=SEQUENCE,
    cases=_sequence_cases,
    compare=_compare_sequence,
    aspects=(
        Aspect(DX, 3, parts=("x",), kinds=("values",)),
        Aspect("Gradient of the initial cell", 2, parts=("c0",), kinds=("values",)),
        Aspect("Gradient of the initial state", 1, parts=("h0",), kinds=("values",)),
        Aspect("Gradient of the bias", 1, parts=("b",), kinds=("values",)),
        Aspect("Gradient of the input weights", 1, parts=("W_x",), kinds=("values",)),
        Aspect("Gradient of the recurrent weights", 2, parts=("W_h",), kinds=("values",)),
        Aspect("One step, one sequence, one unit", 1, kinds=("sizes",), needs=DX),
        Aspect(PURITY, 1, of="purity", needs=DX),
    ),
    mistakes=(
        Mistake(
            "does_not_carry_dc",
            "it is as if only `dh` travelled back from step to step. Two states connect one step to the next, and the "
            "`dc` that comes out of a step must enter the step before it, and be used there: otherwise the memory "
            "lane is cut.",
            SEQUENCE,
        ),
        Mistake(
            "does_not_carry_dh",
            "between the steps only `dc` travels back. The state h also enters the next step, through all four "
            "gates, so the `dh` that comes out of a step must be added to `dhs` of the step before.",
            SEQUENCE,
        ),
        Mistake(
            "keeps_adding_to_the_carry",
            "the `dh` and `dc` of a step are added to those of the step after it, and so on. What comes out of a "
            "step already contains all that came from later; the step before receives it alone, besides its own `dhs[t]`.",
            SEQUENCE,
        ),
        Mistake(
            "reads_only_the_last_dhs",
            "only `dhs[-1]` enters. The loss sends a gradient of its own into every state, and at each step it "
            "must be added to what comes back from the later steps.",
            SEQUENCE,
        ),
        Mistake(
            "adds_dhs_twice",
            "every `dhs[t]` except the last one is counted twice. What travels back from step to step is only what "
            "came out of the step; the loss's own part is added once, at the step it belongs to.",
            SEQUENCE,
        ),
        Mistake(
            "leaves_out_the_path_through_h",
            "the cells get nothing from the hidden states, as if h_t were not made of c_t. The loss reads h_t "
            "only, so everything that a cell receives comes in through some h: add that part at every step.",
            STEP,
        ),
        Mistake(
            "forgets_the_forget_gate_in_the_carry",
            "the cell's gradient travels back without the factor f, as in a cell that never forgets. Each step "
            "multiplies the old cell by its forget gate, and so the gradient on its way back.",
            STEP,
        ),
        Mistake(
            "keeps_only_one_step_of_the_weights",
            "the gradients of `W_x`, `W_h` and `b` are those of step t = 0 alone: each step replaces what the steps "
            "before it in the loop had found. All steps share the parameters, so their gradients are sums.",
            SHARED,
        ),
        Mistake(
            "uses_the_new_states",
            "each step is given `hs[t]` and `cs[t]`, the states after it. It started from those before: one index "
            "earlier, and `h0` and `c0` at the first step.",
            SEQUENCE,
        ),
        Mistake(
            "uses_the_new_cell",
            "the gradient at the forget gate of step t is made with `cs[t]`, the cell after the step. The forget "
            "gate multiplies the cell that enters: one index earlier, and `c0` at the first step.",
            SEQUENCE,
        ),
        Mistake(
            "uses_the_new_state_in_W_h",
            "the gradient of `W_h` is built with the states after each step. At step t, `W_h` multiplies the state "
            "that enters: `hs[t - 1]`, and `h0` at the first step.",
            SEQUENCE,
        ),
        Mistake(
            "wraps_around_to_the_last_states",
            "at t = 0 the last states are used in place of `h0` and `c0`: the index t - 1 is -1 there, and Python "
            "counts that from the end without complaint.",
            SEQUENCE,
        ),
        Mistake(
            "starts_from_zeros",
            "the first step is treated as if it started from zeros. It starts from `h0` and `c0`, which are not "
            "zero here.",
            SEQUENCE,
        ),
        Mistake(
            "swaps_h0_and_c0",
            "the gradients of `h0` and `c0` have changed places. What comes out of the first step as `dh` belongs "
            "to `h0`, what comes out as `dc` to `c0`.",
            SEQUENCE,
        ),
        Mistake(
            "gives_h0_and_c0_what_arrives_at_the_first_states",
            "all is right except that `h0` and `c0` get what arrives at `hs[0]` and `cs[0]`, the states after the "
            "first step. They lie one step earlier: the gradient still has to go back through that step.",
            SEQUENCE,
        ),
        Mistake(
            "loops_forward_in_time",
            "the steps are visited from the first to the last, so that gradients are carried from the past into "
            "the future. A state influences only later losses: the last step has to be first.",
            SEQUENCE,
        ),
        Mistake(
            "stops_before_the_first_step",
            "the loop ends before t = 0, so the first step adds nothing and `x[0]` gets zeros. A range excludes "
            "its stop: `range(T - 1, 0, -1)` ends at 1.",
            SEQUENCE,
        ),
        Mistake(
            "transposes_each_gates_W_h",
            "on the way back each gate's `(H, H)` block of `W_h` stands transposed: it is square, so the shapes do "
            "not show it. Forward, rows are multiplied by the transpose of a block, so on the way back by the block "
            "itself.",
            STEP,
        ),
        Mistake(
            "reads_the_gates_as_i_f_o_g",
            "the last axis of `gates` is read in the order i, f, o, g, so candidate and output gate have changed "
            "their parts. It holds i, f, g, o.",
            LAYOUT,
        ),
        Mistake(
            "averages_over_the_batch",
            "the gradients of the parameters are divided by the batch size B. Any 1/B is already in `dhs`: over "
            "the batch, as over time, gradients add.",
            SHARED,
        ),
        Mistake(
            "averages_over_time",
            "the gradients of the parameters are divided by the number of steps T. Each step uses the same "
            "parameters, so what the steps find is added; any 1/T is already in `dhs`.",
            SHARED,
        ),
        Mistake(
            "writes_into_dhs",
            "the numbers are right, but where there is more than one step, `dhs` is not what it was: something is "
            "written into it, as `dhs[t] += ...` does. Write into a new array.",
            SEQUENCE,
        ),
    ),
)


# cell_highway


def _highway_cases(rng: Rng) -> list[Case]:
    def f(*shape: int) -> np.ndarray:
        return rng.uniform(0.3, 0.95, size=shape)

    shut = f(5, 2, 3)
    shut[2, 0, 1] = shut[3, 1, 0] = shut[0, 0, 0] = 0.0
    shut[1, 1, 2] = shut[4, 0, 2] = 1.0
    nearly = f(4, 1, 2)
    nearly[1:3] *= 1e-170  # their product is below the smallest number there is
    return [
        Case("T = 4, B = 2, H = 3", {"f": f(4, 2, 3)}),
        Case("T = 3, B = 3, H = 3", {"f": f(3, 3, 3)}),
        Case("T = 5, B = 1, H = 2", {"f": f(5, 1, 2)}),
        Case("T = 1, B = 2, H = 3", {"f": f(1, 2, 3)}, "one step"),
        Case("gates of exactly 0 and 1", {"f": shut}, "shut"),
        Case("gates so small that their product is 0", {"f": nearly}, "shut"),
    ]


def _compare_over_time(case: Case, expected: Any, got: Any) -> list[Difference]:
    return [with_steps(d, ("",)) for d in compare(expected, got, (), RTOL, ATOL)]


CELL_HIGHWAY = Exercise(
    name="cell_highway",
    chapter=CHAPTER,
    minutes=10,
    signature="f",
    see=DIRECT,
    cases=_highway_cases,
    compare=_compare_over_time,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("T = 1", 1, kinds=("one step",), needs=VALUES),
        Aspect("Gates that are shut", 1, kinds=("shut",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "includes_the_gate_of_its_own_step",
            "entry t contains `f[t]` too, one factor too many. `f[t]` leads from c_{t-1} to c_t; after c_t has "
            "been made, only the later gates stand between it and the last cell.",
            DIRECT,
        ),
        Mistake(
            "takes_the_gate_of_its_own_step_instead_of_the_last",
            "entry t is the product from `f[t]` up to the last gate but one: all factors are one step too early. "
            "The step from c_t to c_{t+1} multiplies by `f[t + 1]`.",
            DIRECT,
        ),
        Mistake(
            "multiplies_from_the_beginning",
            "entry t is the product of the gates up to t: what is left of c_0. Asked is what is left of c_t at "
            "the end, which the gates after t decide.",
            DIRECT,
        ),
        Mistake(
            "starts_from_the_first_cell",
            "entry t says how c_t depends on the first cell. Asked is how the *last* cell depends on c_t: the "
            "product begins at the end, and the last entry is 1.",
            DIRECT,
        ),
        Mistake(
            "orders_by_lag",
            "the right numbers stand in the opposite order, by lag instead of by time. Entry t belongs to c_t, so "
            "the last entry is 1 and the first has come the longest way.",
            DIRECT,
        ),
        Mistake(
            "turns_round_after_the_product",
            "each entry has the right number of factors, but they are the first gates instead of the last: the running "
            "product begins at the beginning and is turned round afterwards. Let it begin at the end.",
            DIRECT,
        ),
        Mistake(
            "takes_only_the_next_gate",
            "entry t is `f[t + 1]`, the way to the next cell only. To the last cell the gradient passes all later "
            "gates, and their factors multiply.",
            DIRECT,
        ),
        Mistake(
            "takes_powers_of_one_gate",
            "entry t is a power of `f[t]`, as if the gate stayed the same from there on. Each step has its own "
            "gate; multiply those.",
            DIRECT,
        ),
        Mistake(
            "gives_every_step_the_whole_product",
            "every entry is the product of all gates. Entry t passes only the gates after step t. (It also "
            "comes from one array that is multiplied in place and kept in a list: the list then holds that "
            "same array T times.)",
            DIRECT,
        ),
        Mistake(
            "adds_the_gates",
            "the gates are added up. Along a chain, derivatives multiply.",
            DIRECT,
        ),
        Mistake(
            "stops_at_the_logarithm",
            "the result is the logarithm of the right one. A sum of logarithms has to be turned back into a "
            "product by `exp`.",
            DIRECT,
        ),
        Mistake(
            "multiplies_what_is_forgotten",
            "the product is made of 1 - f. In the LSTM, f is what is *kept* of the old cell, in spite of its name.",
            DIRECT,
        ),
        Mistake(
            "runs_along_the_units",
            "the product runs along the last axis, over units. Time is the first axis of `(T, B, H)`, and on the "
            "direct path the units have nothing to do with each other.",
            DIRECT,
        ),
        Mistake(
            "divides_the_whole_product",
            "the product of all gates is divided by the product of the first ones. That is 0/0 after a gate that "
            "is shut, or where so many small gates meet that the product is 0. Multiply from the end instead of "
            "dividing.",
            DIRECT,
        ),
    ),
)


# lstm_state_jacobian


def _jacobian_cases(rng: Rng) -> list[Case]:
    cases = []
    for kind, H in [("values", 3), ("values", 2), ("values", 4), ("one unit", 1)]:
        run = _run(rng, 1, 1, 2, H)
        inputs = {
            "gates": tuple(np.split(run["gates"][0, 0], 4)),
            "c": run["c0"][0],
            "c_next": run["cs"][0, 0],
            "W_h": run["W_h"],
        }
        cases.append(Case(f"H = {H}", inputs, kind))
    return cases


BLOCKS = ("dh_next/dh", "dh_next/dc", "dc_next/dh", "dc_next/dc")


def _compare_blocks(case: Case, expected: Any, got: Any) -> list[Difference]:
    """The usual comparison of each block by itself; indices are those of the whole matrix."""
    H = len(case.inputs["c"])
    found = compare(expected, got, (), RTOL, np.inf)  # type, shape, dtype and finiteness only
    if found:
        return found
    for number, name in enumerate(BLOCKS):
        row, column = (H * k for k in divmod(number, 2))
        block = slice(row, row + H), slice(column, column + H)
        rest_right = expected.copy()
        rest_right[block] = got[block]
        for difference in compare(expected, rest_right, (), RTOL, ATOL):
            text = f"In the block {name}, {difference.text[0].lower()}{difference.text[1:]}"
            found.append(Difference(name, text, expected[block], got[block]))
    return found


FROM_H_TO_C = "From h to c_next, through three gates"

LSTM_STATE_JACOBIAN = Exercise(
    name="lstm_state_jacobian",
    chapter=CHAPTER,
    minutes=25,
    signature="gates, c, c_next, W_h",
    see=JACOBIAN,
    cases=_jacobian_cases,
    call=_call_with_four_gates,
    compare=_compare_blocks,
    aspects=(
        Aspect(FROM_H_TO_C, 3, parts=("dc_next/dh",), kinds=("values",)),
        Aspect("From h to h_next", 3, parts=("dh_next/dh",), kinds=("values",)),
        Aspect("From c to h_next", 2, parts=("dh_next/dc",), kinds=("values",)),
        Aspect("From c to c_next, the direct path", 1, parts=("dc_next/dc",), kinds=("values",)),
        Aspect("One unit", 1, kinds=("one unit",), needs=FROM_H_TO_C),
        Aspect(PURITY, 1, of="purity", needs=FROM_H_TO_C),
    ),
    mistakes=(
        Mistake(
            "keeps_only_the_forget_gate",
            "only the block from c to c_next is filled, with the forget gates. That is the direct path. The new "
            "cell and the new state also depend on the old state, through all four gates, and the new state on "
            "the old cell.",
            JACOBIAN,
        ),
        Mistake(
            "holds_the_gates_fixed",
            "the columns for h are zero, as if the gates were given numbers. Every gate reads h through its block "
            "of `W_h`, and the loss feels that.",
            JACOBIAN,
        ),
        Mistake(
            "leaves_out_the_way_from_h_to_the_cell",
            "the new cell does not depend on h here; only the output gate does. The gates i, f and g read h too, "
            "and through them the new cell changes, and with it h_next.",
            JACOBIAN,
        ),
        Mistake(
            "takes_h_to_h_through_the_output_gate_alone",
            "in the block from h to h_next only the output gate moves. h also moves c_next, by three gates, and "
            "h_next is made of c_next: add that way, which continues the block from h to c_next.",
            JACOBIAN,
        ),
        Mistake(
            "leaves_out_the_output_gates_own_part",
            "in the block from h to h_next the output gate is held fixed. h_next is a product, o times "
            "tanh(c_next), and h moves both factors.",
            JACOBIAN,
        ),
        Mistake(
            "leaves_the_forget_gate_out_of_c_to_h",
            "the block from c to h_next holds the derivative with respect to the *new* cell. From the old cell to "
            "the new one there is one factor more.",
            JACOBIAN,
        ),
        Mistake(
            "forgets_the_slope_of_tanh_c",
            "on the way from c_next to h_next there is only the factor o. Between the two stands a `tanh` as "
            "well, and its slope belongs into the product.",
            JACOBIAN,
        ),
        Mistake(
            "takes_the_tanh_of_the_old_cell",
            "the `tanh` is taken of `c`. In this step the `tanh` is applied to the cell after the update, `c_next`: its "
            "value and its slope belong there.",
            JACOBIAN,
        ),
        Mistake(
            "fills_blocks_where_diagonals_are_due",
            "in the columns for c, whole blocks are filled. A unit's cell depends on no other unit's cell, so these "
            "two blocks are diagonal matrices. NumPy spreads an `(H,)` vector over all rows of a block that it is "
            "assigned to.",
            JACOBIAN,
        ),
        Mistake(
            "multiplies_f_by_the_new_cell",
            "where the forget gate moves, it is multiplied by `c_next`. Forward, f multiplies the cell that "
            "enters, `c`.",
            DELTAS,
        ),
        Mistake(
            "leaves_out_the_gates_slopes",
            "the gates move as if they had no nonlinearity. `W_h` moves a pre-activation; how far the gate then "
            "moves is decided by the slope of its sigmoid or `tanh`.",
            DELTAS,
        ),
        Mistake(
            "reads_the_blocks_of_W_h_as_i_f_o_g",
            "candidate and output gate use each other's block of `W_h`. Its rows belong to i, f, g, o, in this "
            "order.",
            LAYOUT,
        ),
        Mistake(
            "transposes_each_gates_W_h",
            "each gate's `(H, H)` block of `W_h` stands transposed. The derivative of new unit i with respect to "
            "old unit j contains entry [i, j] of a block; the `.T` in the code of the step is there only because "
            "a batch has its sequences as rows.",
            JACOBIAN,
        ),
        Mistake(
            "scales_the_columns",
            "the gates' factors multiply the columns of `W_h`. They belong to the unit whose gate it is, which is "
            "the row. NumPy lines up an `(H,)` vector with the last axis, the columns; give it a second axis first.",
            JACOBIAN,
        ),
        Mistake(
            "returns_the_transpose",
            "the whole matrix is transposed. Rows are for what comes out, h_next and c_next; columns for what goes "
            "in, h and c. (A backward pass multiplies by the transpose; the Jacobian itself is this way round.)",
            JACOBIAN,
        ),
        Mistake(
            "puts_the_cell_first",
            "the four blocks are right, but the cell stands before the state, in rows and columns. The order is h, "
            "then c.",
            JACOBIAN,
        ),
    ),
)


# chrono_bias

FEW = 10  # up to so many draws are kept bit for bit; of more, whole hundredths, to keep cases small
WHOLE = 30_000  # hundredths beyond this do not fit into 16 bits, and no right answer is so large


def _draw_biases(function: Callable, inputs: dict[str, Any]) -> Any:
    """Draws from one generator, or the first result that is not two finite arrays `(hidden,)`.

    A few draws: [b_f, b_i], each (draws, hidden). Many: [b_f in hundredths, largest |b_f + b_i|].
    """
    hidden, T, rng = inputs["hidden"], inputs["T"], np.random.default_rng(inputs["seed"])
    draws = [function(hidden, T, rng) for _ in range(inputs["draws"])]
    for result in draws:
        if not _are_biases(hidden, result):
            return result
    b_f, b_i = (np.array(biases, dtype=np.float64) for biases in zip(*draws, strict=True))
    if len(draws) <= FEW:
        return b_f, b_i
    hundredths = np.clip(np.round(100 * b_f), -WHOLE, WHOLE)
    return hundredths.astype(np.int16), float(np.abs(b_f + b_i).max())


def _are_biases(hidden: int, result: Any) -> bool:
    return (
        isinstance(result, (tuple, list))
        and len(result) == 2
        and all(
            isinstance(b, np.ndarray)
            and b.shape == (hidden,)
            and b.dtype.kind == "f"
            and np.isfinite(b).all()
            for b in result
        )
    )


def _compare_biases(case: Case, expected: Any, got: Any) -> list[Difference]:
    hidden, T, draws = (case.inputs[name] for name in ("hidden", "T", "draws"))
    few = draws <= FEW
    shape = (draws, hidden)
    if not (isinstance(got, list) and len(got) == 2 and getattr(got[0], "shape", 0) == shape):
        one = [np.zeros(hidden), np.zeros(hidden)]
        # Type, shape, dtype and finiteness only.
        return compare(one, got, ("b_f", "b_i"), 0.0, np.inf)
    b_f = got[0] if few else got[0] / 100
    slack = 1e-9 if few else 0.006
    wrong = _out_of_range(b_f, T, slack) or _dependent(b_f)
    if not wrong and not few:
        wrong = _not_uniform(b_f, T)
    found = [Difference("b_f", wrong)] if wrong else []
    if few and not np.allclose(got[1], -b_f, rtol=RTOL, atol=ATOL):
        n = np.argmax(np.abs(got[1] + b_f).max(axis=1))
        found += compare([b_f[n], -b_f[n]], [b_f[n], got[1][n]], ("b_f", "b_i"), RTOL, ATOL)
    if not few and not got[1] <= 1e-9:
        text = f"`b_i` should be `-b_f`, but the two add up to as much as {got[1]:.3g}."
        found.append(Difference("b_i", text))
    return found


def _out_of_range(b_f: np.ndarray, T: int, slack: float) -> str:
    """Which bias lies outside 0 .. log(T - 1), or ""."""
    top = math.log(T - 1)
    outside = np.maximum(b_f - top, -b_f)
    n, unit = np.unravel_index(np.argmax(outside), b_f.shape)
    if outside[n, unit] <= slack:
        return ""
    return (
        f"With T = {T}, `b_f` should lie between log(1) = 0 and log({T - 1}) = {top:.3f}, but "
        f"`b_f[{unit}]` is {b_f[n, unit]:.3f} in one of the draws."
    )


def _dependent(b_f: np.ndarray) -> str:
    """Why draws (draws, hidden) are not random or not independent over the units, or ""."""
    draws, hidden = b_f.shape
    if draws > 1 and (b_f == b_f[0]).all():
        return (
            "Each call returns the same biases. Draw all your "
            "random numbers from the given `rng`, anew in each call."
        )
    if hidden > 1 and (b_f == b_f[:, :1]).all():
        return "All units of a draw have the same bias. Each unit needs a draw of its own."
    return ""


def _not_uniform(b_f: np.ndarray, T: int) -> str:
    """Which property of independent draws, uniform in exp(b_f), many draws lack, or "".

    A right answer fails each of these with a probability of about 1e-9.
    """
    draws, hidden = b_f.shape
    place = np.clip((np.exp(b_f) - 1) / (T - 2), 0, 1)  # uniform on 0..1
    margin = math.sqrt(math.log(2e9) / (2 * draws)) + 0.01  # Kolmogorov's, and the hundredths
    steps = np.arange(draws + 1) / draws
    for unit in range(hidden):
        ordered = np.sort(place[:, unit])
        if max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])) > margin:
            counts = [int((place[:, unit] < share).sum()) for share in (0.05, 0.5, 0.95)]
            due = [round(draws * share) for share in (0.05, 0.5, 0.05)]
            return (
                f"With T = {T}, exp(b_f) should be uniform between 1 and {T - 1}. In {draws} draws, "
                f"`exp(b_f[{unit}])` lies in the lowest twentieth of this range {counts[0]} times, "
                f"in its lower half {counts[1]} times and in its highest twentieth "
                f"{draws - counts[2]} times; about {due[0]}, {due[1]} and {due[2]} are due."
            )
    for unit in range(1, hidden):
        together = np.corrcoef(place[:, 0], place[:, unit])[0, 1]
        if abs(together) > 6 / math.sqrt(draws):
            return (
                f"The biases of the units 0 and {unit} hang together: over {draws} draws their "
                f"correlation is {together:.2f}. Each unit needs a draw of its own."
            )
    return ""


def _chrono_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("few", "3 draws, hidden = 5, T = 12", 5, 12, 3),
        ("few", "2 draws, hidden = 4, T = 3", 4, 3, 2),
        ("few", "3 draws, hidden = 1, T = 7", 1, 7, 3),
        ("many", "300 draws, hidden = 2, T = 50", 2, 50, 300),
        ("many", "300 draws, hidden = 3, T = 4", 3, 4, 300),
    ]
    return [
        Case(
            name,
            {"hidden": hidden, "T": T, "seed": int(rng.integers(2**31)), "draws": draws},
            kind,
        )
        for kind, name, hidden, T, draws in sizes
    ]


DRAWN = "b_f: range, distribution, a draw a unit"

CHRONO_BIAS = Exercise(
    name="chrono_bias",
    chapter=CHAPTER,
    minutes=10,
    signature="hidden, T, rng",
    see=CHRONO,
    cases=_chrono_cases,
    call=_draw_biases,
    compare=_compare_biases,
    parts=("b_f", "b_i"),
    aspects=(
        Aspect(DRAWN, 3, parts=("b_f",), kinds=("many",)),
        Aspect("b_i is the opposite of b_f", 2, parts=("b_i",), needs=DRAWN),
        Aspect("T = 3; one unit", 1, parts=("b_f",), kinds=("few",), needs=DRAWN),
        Aspect("Random by `rng` alone", 1, of="purity", needs=DRAWN),
    ),
    mistakes=(
        Mistake(
            "draws_the_logarithm_uniformly",
            "`b_f` itself is uniform, between 0 and log(T - 1). Then short time scales come far more often than long "
            "ones. It is the time scale, exp(b_f) up to a constant 1, that is drawn uniformly; the logarithm is "
            "taken afterwards.",
            CHRONO,
        ),
        Mistake(
            "forgets_the_logarithm",
            "`b_f` is the drawn number itself, up to T - 1. A bias of 50 means a gate that differs from 1 by "
            "e^-50: it never forgets at all. The bias is the logarithm of the time scale.",
            CHRONO,
        ),
        Mistake(
            "draws_one_number_for_all_units",
            "one number is drawn and given to all units. The point is that units differ: each gets a time scale of "
            "its own, so that together they cover the range.",
            CHRONO,
        ),
        Mistake(
            "draws_up_to_T",
            "the time scale is drawn between 1 and T. The upper end is T - 1: a gate with the bias log(u) keeps "
            "for about 1 + u steps, so u = T - 1 stands for T steps.",
            CHRONO,
        ),
        Mistake(
            "draws_from_zero",
            "the time scale is drawn from 0 on. The logarithm of a number below 1 is negative, and of 0 it is "
            "minus infinity: such units forget faster than at a bias of 0. The range begins at 1.",
            CHRONO,
        ),
        Mistake(
            "draws_whole_numbers",
            "the time scales are whole numbers. The uniform distribution meant here is continuous: any real "
            "number between 1 and T - 1.",
            CHRONO,
        ),
        Mistake(
            "spaces_the_units_evenly",
            "the time scales are evenly spaced, without chance. That covers the range as well, but what is asked is "
            "an independent draw for each unit, from the given `rng`.",
            CHRONO,
        ),
        Mistake(
            "seeds_anew",
            "each call makes its own generator with the seed 0, and so returns the same biases. Draw from the given "
            "`rng`, which moves on with each draw.",
            CHRONO,
        ),
        Mistake(
            "gives_both_biases_the_same_sign",
            "`b_i` is the same as `b_f`. A unit that keeps nearly all of its cell at each step should let in little: "
            "then the sum of what it takes in stays of the size of one candidate. So the sign is the opposite.",
            CHRONO,
        ),
        Mistake(
            "leaves_b_i_at_zero",
            "`b_i` is zero. A unit that keeps nearly all of its cell at each step should let in little, or the cell "
            "piles up: its input bias is the opposite of its forget bias.",
            CHRONO,
        ),
        Mistake(
            "draws_b_i_by_itself",
            "`b_i` is drawn a second time. It belongs to the same unit and the same time scale as `b_f`: it is "
            "`-b_f`, not another number of the same kind.",
            CHRONO,
        ),
        Mistake(
            "returns_b_i_before_b_f",
            "the two biases have changed places, or their signs. The forget bias is the positive one and is returned "
            "first.",
            CHRONO,
        ),
    ),
)


# forget_bias_for_horizon


def _horizon_cases(rng: Rng) -> list[Case]:
    def case(steps: int, remaining: float, kind: str = "values") -> Case:
        shown = f"steps = {steps}, remaining = {remaining:g}"
        return Case(shown, {"steps": steps, "remaining": remaining}, kind)

    def near(value: float) -> float:
        return round(value * rng.uniform(0.9, 1.05), 4)

    return [
        case(100, 0.5),
        case(7, near(0.3)),
        case(20, near(0.02)),
        case(1000, near(0.9)),
        case(1, near(0.8), "edge"),
        case(1, near(0.2), "edge"),
        case(2, 0.25, "edge"),
        case(3, near(0.001), "edge"),
    ]


FORGET_BIAS_FOR_HORIZON = Exercise(
    name="forget_bias_for_horizon",
    chapter=CHAPTER,
    minutes=5,
    signature="steps, remaining",
    see=HALFLIFE,
    cases=_horizon_cases,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("A single step; a bias of 0 or below", 1, kinds=("edge",), needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "answers_for_one_step",
            "`steps` has no effect: this is the bias at which `remaining` is left after one step. Each step "
            "multiplies by the gate again, so one gate has to be the root of `remaining`.",
            HALFLIFE,
        ),
        Mistake(
            "returns_the_gate",
            "the result is the gate's value, between 0 and 1. Asked is the bias, the pre-activation at which the "
            "sigmoid has this value.",
            HALFLIFE,
        ),
        Mistake(
            "takes_the_logarithm_of_the_gate",
            "the result is the logarithm of the gate, which undoes an `exp`. The gate is a sigmoid of the bias, "
            "and its inverse has the part that is forgotten in it too.",
            HALFLIFE,
        ),
        Mistake(
            "takes_the_opposite_sign",
            "the sign is the opposite: with this bias the gate would *forget* the share that it should keep. A "
            "large positive bias keeps nearly all.",
            HALFLIFE,
        ),
        Mistake(
            "inverts_the_tanh",
            "the inverse of the `tanh` is taken. The forget gate is a sigmoid, and sigmoid(b) is "
            "(1 + tanh(b / 2)) / 2.",
            HALFLIFE,
        ),
        Mistake(
            "takes_the_part_that_is_lost",
            "`remaining` is treated as the part that is lost. It is what is *left* after all the steps.",
            HALFLIFE,
        ),
        Mistake(
            "loses_the_same_amount_at_each_step",
            "the loss is spread evenly: the same amount at each step. A gate takes the same *share* of what is "
            "there at each step, so what is left falls like a power.",
            HALFLIFE,
        ),
        Mistake(
            "raises_to_the_power_of_the_steps",
            "`remaining` is raised to the power `steps`. It is the other way round: the gate to the power `steps` is "
            "`remaining`, so the gate is a root.",
            HALFLIFE,
        ),
        Mistake(
            "assumes_that_half_is_left",
            "`remaining` has no effect: this is the bias at which half is left. The half-life is one case; put "
            "`remaining` where 1/2 stands.",
            HALFLIFE,
        ),
        Mistake(
            "takes_the_time_constant",
            "`remaining` has no effect: this is log(steps - 1), the bias of a gate that loses one part in `steps` "
            "at each step. That leaves about 1/e in the end, and for one step it is minus infinity.",
            CHRONO,
        ),
    ),
)


# lstm_state_gradients


def _state_cases(rng: Rng) -> list[Case]:
    sizes = [
        ("values", 4, 2, 3),
        ("values", 3, 2, 2),
        ("values", 5, 1, 2),
        ("one step", 1, 2, 3),
        ("one unit", 4, 2, 1),
    ]
    cases = []
    for kind, T, B, H in sizes:
        run = _run(rng, T, B, 2, H)
        inputs = {
            "dh_last": run["dhs"][-1],
            "dc_last": run["dcs"][-1],
            **{name: run[name] for name in ("cs", "gates", "c0", "W_h")},
        }
        cases.append(Case(f"T = {T}, B = {B}, H = {H}", inputs, kind))
    return cases


def _compare_states(case: Case, expected: Any, got: Any) -> list[Difference]:
    found = compare(expected, got, ("dh", "dc"), RTOL, ATOL)
    return [with_steps(difference, ("dh", "dc")) for difference in found]


DCS = "Gradients of the cells, dc"

LSTM_STATE_GRADIENTS = Exercise(
    name="lstm_state_gradients",
    chapter=CHAPTER,
    minutes=20,
    signature="dh_last, dc_last, cs, gates, c0, W_h",
    see=STATES,
    cases=_state_cases,
    compare=_compare_states,
    parts=("dh", "dc"),
    aspects=(
        Aspect(DCS, 4, parts=("dc",), kinds=("values",)),
        Aspect("Gradients of the hidden states, dh", 3, parts=("dh",), kinds=("values",)),
        Aspect("T = 1", 1, kinds=("one step",), needs=DCS),
        Aspect("One unit", 1, kinds=("one unit",), needs=DCS),
        Aspect(PURITY, 1, of="purity", needs=DCS),
    ),
    mistakes=(
        Mistake(
            "adds_the_part_through_h_of_the_same_step",
            "each `dc[t]` contains the part that goes through h_t of the same step, as automatic differentiation "
            "would report it. Here h_t and c_t count as two separate outputs of step t: that part is in `dh[t]` "
            "already, and the last entry is `dc_last` itself.",
            STATES,
        ),
        Mistake(
            "adds_that_part_everywhere_but_at_the_end",
            "each `dc[t]` except the last contains the part that goes through h_t of the same step. Here h_t and c_t "
            "count as two separate outputs of step t: that part is in `dh[t]` already. Inside a step you need the "
            "sum; what you hand on and store is f times it.",
            STATES,
        ),
        Mistake(
            "counts_the_part_through_h_twice",
            "the part of `dc[t]` that goes through h_t is added when `dc[t]` is stored, and once more on the way "
            "through the step. Add it once, inside the step; what is stored and handed on is without it.",
            STATES,
        ),
        Mistake(
            "multiplies_dc_by_the_forget_gates_alone",
            "`dc` goes back as f times the `dc` after it, nothing else. That is the direct path. The gradient that "
            "enters through h_{t+1} reaches c_{t+1} as well, and from there c_t.",
            DIRECT,
        ),
        Mistake(
            "leaves_out_the_path_through_h",
            "no part of a `dh` reaches the cell of the same step: both results are as if h_t were not made of c_t. "
            "Inside each step, the whole gradient of c_{t+1} has a part through h_{t+1}.",
            STEP,
        ),
        Mistake(
            "sends_dh_back_through_the_output_gate_alone",
            "`dh` comes back through the output gate alone. The old state enters all four gates, so all four deltas "
            "send something to it.",
            STEP,
        ),
        Mistake(
            "ignores_dc_on_the_way_through_a_step",
            "each step back is made of `dh` alone, as if `dc` were zero. The cell that comes out of a step goes on to "
            "the next one, so its own gradient enters the step back as well, `dc_last` to begin with.",
            STATES,
        ),
        Mistake(
            "forgets_the_forget_gate",
            "`dc[t]` is the whole gradient at the *next* cell. The cell enters the next one with the factor f, so one "
            "factor is missing at each step.",
            STATES,
        ),
        Mistake(
            "takes_the_tanh_of_the_old_cell",
            "on the way from step t + 1 back to t, the `tanh` is taken of `cs[t]`. In that step it is applied to the "
            "cell after the update, `cs[t + 1]`: its value and its slope belong there.",
            STEP,
        ),
        Mistake(
            "takes_the_gates_one_step_early",
            "the gates of step t lead back from t + 1 to t. The step between these two states is the one that made "
            "h_{t+1} and c_{t+1}, and its gates are `gates[t + 1]`.",
            STATES,
        ),
        Mistake(
            "goes_back_through_its_own_step",
            "between t + 1 and t the gradient goes through step t: its gates, its cell, and c_{t-1} as the cell "
            "before. The step between these two states is the one that made h_{t+1} and c_{t+1}, one index later.",
            STATES,
        ),
        Mistake(
            "goes_one_step_too_far",
            "entry t holds the gradients at the states before h_t and c_t: each has been taken back one step too "
            "far. The last entries are `dh_last` and `dc_last` themselves, so store first and go back afterwards.",
            STATES,
        ),
        Mistake(
            "multiplies_f_by_the_new_cell",
            "the gradient at the forget gate is made with the cell after the step. Forward, f multiplies the cell "
            "before it: between t and t + 1 that is `cs[t]`.",
            DELTAS,
        ),
        Mistake(
            "forgets_the_slope_of_tanh_c",
            "what comes from `dh` reaches the cell of the same step with the factor o alone. Between c and h stands "
            "a `tanh` as well, and its slope belongs into the product.",
            STEP,
        ),
        Mistake(
            "adds_dh_last_at_every_step",
            "`dh_last` is added at every step, as if the loss read every state. Here it reads the last ones only: "
            "whatever reaches earlier states has come back through the steps after them.",
            STATES,
        ),
        Mistake(
            "transposes_each_gates_W_h",
            "each gate's `(H, H)` block of `W_h` stands transposed: it is square, so the shapes do not show it. "
            "Forward, rows are multiplied by the transpose of a block, so on the way back by the block itself.",
            STEP,
        ),
        Mistake(
            "reads_the_gates_as_i_f_o_g",
            "the last axis of `gates` is read in the order i, f, o, g, so candidate and output gate have changed "
            "their parts. It holds i, f, g, o.",
            LAYOUT,
        ),
        Mistake(
            "returns_the_order_of_the_loop",
            "the gradients stand in the order in which the loop finds them, the last step first. Entry t belongs to "
            "step t, so the last entries are `dh_last` and `dc_last`.",
            STATES,
        ),
        Mistake(
            "returns_dc_before_dh",
            "the two results have changed places: first `dh`, then `dc`.",
            STATES,
        ),
    ),
)


EXERCISES = [
    LSTM_STEP_BACKWARD,
    LSTM_BACKWARD,
    CELL_HIGHWAY,
    LSTM_STATE_JACOBIAN,
    CHRONO_BIAS,
    FORGET_BIAS_FOR_HORIZON,
    LSTM_STATE_GRADIENTS,
]
