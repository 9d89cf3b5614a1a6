"""Chapter 3: what is asked about vanishing and exploding gradients."""

import numpy as np

from autograder.compare import Difference, compare
from autograder.exercise import Aspect, Case, Exercise, Mistake, Section

CHAPTER = "03-vanishing-gradients"
JACOBIAN = Section(CHAPTER, "vanish-jacobian", "The Jacobian of one step")
PRODUCT = Section(CHAPTER, "vanish-product", "A product of Jacobians")
BOUND = Section(CHAPTER, "vanish-bound", "A bound, and what it does not say")
RADIUS = Section(CHAPTER, "vanish-radius", "Norm, radius and transient growth")
MEASURE = Section(CHAPTER, "vanish-measure", "Measuring the gradient against the lag")
TEN = Section(CHAPTER, "vanish-ten", "Where the ten steps come from")
ORTHOGONAL = Section(CHAPTER, "vanish-orthogonal", "Orthogonal matrices")
CLIPPING = Section(CHAPTER, "vanish-clipping", "Clipping")

VALUES, PURITY = "Values", "Leaves its inputs alone"


# Matrices with known eigenvalues. A Schur form with large entries above its diagonal, turned into
# a random basis, is far from normal for any seed, and its eigenvalues are well conditioned.


def _basis(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def _above_diagonal(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.triu(rng.uniform(1.5, 2.5, size=(n, n)) * rng.choice([-1, 1], size=(n, n)), 1)


def _real(rng: np.random.Generator, eigenvalues: list[float]) -> np.ndarray:
    """A non-normal matrix with these real eigenvalues, each moved by a few per cent."""
    moved = np.array(eigenvalues) * rng.uniform(0.97, 1.03, len(eigenvalues))
    Q = _basis(rng, len(eigenvalues))
    return Q @ (np.diag(moved) + _above_diagonal(rng, len(eigenvalues))) @ Q.T


def _complex(rng: np.random.Generator, others: list[float]) -> np.ndarray:
    """A non-normal matrix whose largest eigenvalues are a complex pair of negative real part."""
    n = 2 + len(others)
    size, angle, skew = rng.uniform(1.15, 1.4), rng.uniform(1.9, 2.2), rng.uniform(1.6, 2.2)
    schur = np.diag([0.0, 0.0, *others]) + _above_diagonal(rng, n)
    # A scaled rotation, pulled out along one axis: the eigenvalues stay, the norm grows.
    turn = [[np.cos(angle), -np.sin(angle) * skew], [np.sin(angle) / skew, np.cos(angle)]]
    schur[:2, :2] = size * np.array(turn)
    Q = _basis(rng, n)
    return Q @ schur @ Q.T


def _upper(rng: np.random.Generator, diagonal: list[float]) -> np.ndarray:
    """An upper triangular matrix: its eigenvalues are exactly the given diagonal."""
    return np.diag(diagonal) + _above_diagonal(rng, len(diagonal))


def _states(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """States of a tanh unit, neither near 0 nor saturated."""
    return rng.uniform(0.25, 0.75, size=shape) * rng.choice([-1, 1], size=shape)


# step_jacobian


def _step_jacobian_cases(rng: np.random.Generator) -> list[Case]:
    cases = [
        Case(f"H = {H}", {"h_next": _states(rng, H), "W_h": rng.normal(size=(H, H))})
        for H in (3, 5, 2)
    ]
    resting = np.array([0.0, 1.0, -1.0, 0.5])
    edges = [
        ("H = 1", _states(rng, 1), rng.normal(size=(1, 1))),
        ("units at exactly 0, 1 and -1", resting, rng.normal(size=(4, 4))),
    ]
    return cases + [Case(name, {"h_next": h, "W_h": W}, "edge") for name, h, W in edges]


STEP_JACOBIAN = Exercise(
    name="step_jacobian",
    chapter=CHAPTER,
    minutes=5,
    signature="h_next, W_h",
    see=JACOBIAN,
    cases=_step_jacobian_cases,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("One unit; units at rest and saturated", 1, kinds=("edge",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "scales_the_columns",
            "the slopes multiply the columns of `W_h`. Entry [i, j] is the derivative of new unit "
            "i with respect to old unit j, so the slope of unit i belongs to row i. NumPy lines up "
            "an `(H,)` vector with the last axis, the columns; give it a second axis first.",
            JACOBIAN,
        ),
        Mistake(
            "returns_the_transpose",
            "the whole matrix is transposed. Row i is for unit i of the result `h_next`, column j "
            "for unit j of the argument `h`. (A backward pass multiplies by the transpose; the "
            "Jacobian itself is this way round.)",
            JACOBIAN,
        ),
        Mistake(
            "transposes_the_weights",
            "`W_h` is transposed, while the slopes are where they belong. The `.T` in the code of "
            "the step is there because a batch has its sequences as rows; the derivative of new "
            "unit i with respect to old unit j contains `W_h[i, j]`.",
            JACOBIAN,
        ),
        Mistake(
            "forgets_the_slope",
            "the result is `W_h` alone. That is the derivative of the pre-activation; by the chain "
            "rule each row is still to be multiplied by the slope of tanh at that unit.",
            JACOBIAN,
        ),
        Mistake(
            "forgets_the_square",
            "the slope of tanh is taken as 1 - h. Written with the state itself, it is one minus "
            "the *square* of the state: 1 at rest, and 0 at both ends.",
            JACOBIAN,
        ),
        Mistake(
            "applies_tanh_again",
            "tanh is applied to `h_next` once more before the slope is taken. `h_next` is already "
            "the tanh of the pre-activation, so the slope follows from it directly.",
            JACOBIAN,
        ),
        Mistake(
            "takes_the_slope_of_a_sigmoid",
            "the slope is h (1 - h), that of the logistic sigmoid. This cell uses tanh, whose "
            "slope, written with its own value, is another.",
            JACOBIAN,
        ),
        Mistake(
            "returns_the_slopes_alone",
            "the result is the diagonal matrix of the slopes, without `W_h`. The chain rule has "
            "two factors: from `h_next` to the pre-activation, and from there to `h`.",
            JACOBIAN,
        ),
    ),
)


# jacobian_product_norms


def _product_cases(rng: np.random.Generator) -> list[Case]:
    sizes = [
        ("values", 5, 3),
        ("values", 4, 4),
        ("values", 7, 2),
        ("edge", 1, 3),
        ("edge", 4, 1),
        ("edge", 2, 2),
    ]
    # Weights large enough that no product of these few Jacobians comes near the tolerance.
    return [
        Case(
            f"T = {T}, H = {H}",
            {"hs": _states(rng, T, H), "W_h": 1.5 * rng.normal(size=(H, H))},
            kind,
        )
        for kind, T, H in sizes
    ]


JACOBIAN_PRODUCT_NORMS = Exercise(
    name="jacobian_product_norms",
    chapter=CHAPTER,
    minutes=15,
    signature="hs, W_h",
    see=PRODUCT,
    cases=_product_cases,
    aspects=(
        Aspect(VALUES, 7, kinds=("values",)),
        Aspect("One step, two steps, one unit", 2, kinds=("edge",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "multiplies_on_the_wrong_side",
            "the Jacobians stand in the opposite order in the product. The last step acts last, so "
            "its Jacobian stands on the far left, and each earlier one is multiplied on the right.",
            PRODUCT,
        ),
        Mistake(
            "orders_by_time",
            "the right norms stand in the opposite order, by time instead of by lag. Entry 0 is "
            "lag 0, the last state with respect to itself; the last entry reaches furthest back.",
            PRODUCT,
        ),
        Mistake(
            "starts_from_the_first_state",
            "entry k is the norm of dh_k/dh_0: how the first state acts on later ones. Asked is "
            "how the *last* state depends on earlier ones; the product begins with the last step.",
            PRODUCT,
        ),
        Mistake(
            "uses_the_state_before_the_step",
            "the Jacobian of each step is taken at the state that enters the step. The slope of "
            "tanh is that of the state which comes out of it: dh_t/dh_{t-1} needs `hs[t]`, not "
            "`hs[t - 1]`.",
            JACOBIAN,
        ),
        Mistake(
            "starts_at_lag_one",
            "entry 0 is already the norm for lag 1, and all others are one step too far too. Entry "
            "0 is dh_{T-1}/dh_{T-1}, the identity, whose norm is 1; `hs[0]` is needed by none.",
            PRODUCT,
        ),
        Mistake(
            "takes_the_frobenius_norm",
            "the norm is the root of the sum of all squared entries, which is what "
            "`np.linalg.norm` gives for a matrix unless told otherwise. The spectral norm is the "
            "largest singular value; for the identity it is 1.",
            BOUND,
        ),
        Mistake(
            "takes_the_spectral_radius",
            "each entry is the spectral radius of the product (its largest eigenvalue). How much a "
            "gradient can grow is the largest singular value.",
            RADIUS,
        ),
        Mistake(
            "multiplies_the_norms",
            "the norms of the single Jacobians are multiplied. That is only an upper bound: one "
            "step seldom stretches most in the direction that the next one stretches most. "
            "Multiply the matrices, then take the norm.",
            BOUND,
        ),
        Mistake(
            "measures_single_steps",
            "entry k is the norm of one step's Jacobian, not of the product of the last k. The "
            "chain rule multiplies them up.",
            PRODUCT,
        ),
        Mistake(
            "forgets_the_slope",
            "entry k is the norm of the k-th power of `W_h`, as if tanh had slope 1 everywhere. "
            "Each step's Jacobian contains the slopes at the state of that step.",
            JACOBIAN,
        ),
    ),
)


# spectral_radius and spectral_norm


def _radius_cases(rng: np.random.Generator) -> list[Case]:
    cases = [
        ("values", "a complex pair is largest, H = 4", _complex(rng, [0.8, -0.5])),
        ("values", "a negative eigenvalue is largest, H = 3", _real(rng, [-1.4, 0.7, 0.2])),
        ("values", "a positive eigenvalue is largest, H = 3", _real(rng, [0.9, -0.5, 0.2])),
        ("values", "a complex pair alone, H = 2", _complex(rng, [])),
        ("edge", "H = 1, negative", -rng.uniform(1.2, 2.0, size=(1, 1))),
        ("edge", "zeros, H = 2", np.zeros((2, 2))),
        ("edge", "all eigenvalues 0, H = 3", _upper(rng, [0.0] * 3)),
    ]
    return [Case(name, {"W": W}, kind) for kind, name, W in cases]


SPECTRAL_RADIUS = Exercise(
    name="spectral_radius",
    chapter=CHAPTER,
    minutes=5,
    signature="W",
    see=RADIUS,
    cases=_radius_cases,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("One unit; all eigenvalues 0", 1, kinds=("edge",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "takes_the_largest_real_part",
            "the result is the largest real part of an eigenvalue. A negative or complex "
            "eigenvalue drives the powers of W just as much: what counts is the distance from 0.",
            RADIUS,
        ),
        Mistake(
            "ignores_imaginary_parts",
            "the imaginary parts are dropped before the absolute value is taken. For a complex "
            "eigenvalue the absolute value is the root of the sum of both parts squared.",
            RADIUS,
        ),
        Mistake(
            "takes_the_maximum_first",
            "the absolute value is taken of the eigenvalue with the largest real part. Take the "
            "absolute values of all eigenvalues first, then the largest of these.",
            RADIUS,
        ),
        Mistake(
            "forgets_the_absolute_value",
            "the result is an eigenvalue itself, the one with the largest real part: complex or "
            "too small where another is further from 0. The radius is the largest absolute value.",
            RADIUS,
        ),
        Mistake(
            "takes_the_spectral_norm",
            "the result is the largest singular value, the spectral *norm*. The radius is the "
            "largest absolute value of an eigenvalue; the two agree only for normal matrices, with "
            "rare exceptions.",
            RADIUS,
        ),
        Mistake(
            "takes_the_frobenius_norm",
            "the result is the root of the sum of all squared entries. The radius is made from the "
            "eigenvalues.",
            RADIUS,
        ),
        Mistake(
            "treats_W_as_symmetric",
            "the eigenvalues are those of a symmetric matrix, made from the lower triangle of W, "
            "as `np.linalg.eigvalsh` and `eigh` do. Recurrent weights are not symmetric; use the "
            "function for general matrices.",
            RADIUS,
        ),
        Mistake(
            "takes_the_smallest",
            "the result is the smallest absolute value of an eigenvalue. The long run belongs to "
            "the largest.",
            RADIUS,
        ),
    ),
)


def _norm_cases(rng: np.random.Generator) -> list[Case]:
    Q = _basis(rng, 3)
    turned = np.diag([1.3, 1.0, -2.0]) * rng.uniform(0.97, 1.03)
    cases = [
        ("values", "H = 4", rng.normal(size=(4, 4))),
        ("values", "norm far above the radius, H = 3", _real(rng, [0.3, -0.2, 0.1])),
        ("values", "symmetric, a negative eigenvalue is largest, H = 3", Q @ turned @ Q.T),
        ("values", "all eigenvalues 0, H = 5", _upper(rng, [0.0] * 5)),
        ("values", "stretches all directions alike, H = 3", rng.uniform(1.3, 1.7) * _basis(rng, 3)),
        ("edge", "H = 1, negative", -rng.uniform(1.2, 2.0, size=(1, 1))),
        ("edge", "zeros, H = 2", np.zeros((2, 2))),
    ]
    return [Case(name, {"W": W}, kind) for kind, name, W in cases]


SPECTRAL_NORM = Exercise(
    name="spectral_norm",
    chapter=CHAPTER,
    minutes=5,
    signature="W",
    see=BOUND,
    cases=_norm_cases,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("One unit; zeros", 1, kinds=("edge",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "takes_the_frobenius_norm",
            "the result is the root of the sum of all squared entries, which is what "
            "`np.linalg.norm` gives for a matrix unless told otherwise. The spectral norm is the "
            "largest singular value only, not all of them together.",
            BOUND,
        ),
        Mistake(
            "takes_the_spectral_radius",
            "the result is the largest absolute value of an eigenvalue. A matrix can stretch a "
            "vector far more than that in one step, even if all its eigenvalues are 0.",
            RADIUS,
        ),
        Mistake(
            "forgets_the_root",
            "the result is the square of the largest singular value: an eigenvalue of the product "
            "of W with its transpose. Take its root.",
            BOUND,
        ),
        Mistake(
            "takes_the_largest_column_sum",
            "the result is the largest sum of absolute values in a column, the norm with `ord=1`. "
            "The spectral norm measures lengths as roots of sums of squares.",
            BOUND,
        ),
        Mistake(
            "takes_the_largest_row_sum",
            "the result is the largest sum of absolute values in a row, the norm with "
            "`ord=np.inf`. The spectral norm measures lengths as roots of sums of squares.",
            BOUND,
        ),
        Mistake(
            "adds_the_singular_values",
            "the result is the sum of all singular values. A vector can lie along one direction of "
            "stretching at a time: only the largest one counts.",
            BOUND,
        ),
        Mistake(
            "takes_the_smallest",
            "the result is the smallest singular value, the least that W stretches a vector. NumPy "
            "gives them in descending order.",
            BOUND,
        ),
        Mistake(
            "takes_the_largest_entry",
            "the result is the largest absolute value of an entry of W. The norm belongs to W as a "
            "whole: how far it can stretch a vector of length 1.",
            BOUND,
        ),
    ),
)


# rescale_to_spectral_radius


def _rescale(function, inputs):
    """The result, and whether it shares memory with W; None alone where None is returned."""
    result = function(inputs["W"], inputs["rho"])
    shared = isinstance(result, np.ndarray) and np.shares_memory(result, inputs["W"])
    return None if result is None else [result, shared]


def _compare_rescaled(case, expected, got):
    result, shared = got if isinstance(got, list) and len(got) == 2 else (got, False)
    right = expected[0] + 0.0  # W times 0 has entries -0, which nobody wants to read about
    found = compare([right], [result], ("result",), 1e-9, 1e-12)
    if shared is True:
        text = (
            "The result is `W` itself, or shares its memory: whoever changes one changes the "
            "other. Return a new array, also where there is nothing to scale."
        )
        found.append(Difference("memory", text))
    return found


def _rescale_cases(rng: np.random.Generator) -> list[Case]:
    cases = [
        ("values", "a complex pair is largest, H = 4", _complex(rng, [0.8, -0.5]), 0.9),
        ("values", "a negative eigenvalue is largest, H = 3", _real(rng, [-1.4, 0.7, 0.2]), 1.25),
        ("values", "norm far above the radius, H = 3", _real(rng, [0.4, -0.2, 0.1]), 1.1),
        ("edge", "rho is the present radius, H = 3", _upper(rng, [0.25, -0.75, 0.5]), 0.75),
        ("edge", "rho = 0, H = 2", _real(rng, [0.8, -0.5]), 0.0),
        ("edge", "H = 1, negative", -rng.uniform(1.2, 2.0, size=(1, 1)), 0.5),
    ]
    return [Case(name, {"W": W, "rho": rho}, kind) for kind, name, W, rho in cases]


RESCALE_TO_SPECTRAL_RADIUS = Exercise(
    name="rescale_to_spectral_radius",
    chapter=CHAPTER,
    minutes=5,
    signature="W, rho",
    see=RADIUS,
    cases=_rescale_cases,
    call=_rescale,
    compare=_compare_rescaled,
    aspects=(
        Aspect(VALUES, 4, parts=("result",), kinds=("values",)),
        Aspect(
            "rho = 0, rho as it is, one unit", 1, parts=("result",), kinds=("edge",), needs=VALUES
        ),
        Aspect("A new array", 1, parts=("memory",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "divides_by_the_spectral_norm",
            "W is scaled by its largest singular value. Then the *norm* of the result is rho, and "
            "its radius is smaller. Scale by the largest absolute value of an eigenvalue.",
            RADIUS,
        ),
        Mistake(
            "divides_by_the_frobenius_norm",
            "W is scaled by the root of the sum of its squared entries, which is what "
            "`np.linalg.norm` gives. Scale by the largest absolute value of an eigenvalue.",
            RADIUS,
        ),
        Mistake(
            "divides_by_the_largest_real_part",
            "W is scaled by the largest real part of an eigenvalue. Its radius is the largest "
            "*absolute value*; negative and complex eigenvalues count too.",
            RADIUS,
        ),
        Mistake(
            "leaves_out_rho",
            "the result has the radius 1, whatever `rho` is. Dividing by the present radius is the "
            "first half; the result is still to be brought to `rho`.",
            RADIUS,
        ),
        Mistake(
            "forgets_the_present_radius",
            "W is multiplied by `rho`, so the new radius is `rho` times the old one. Divide the "
            "old one out.",
            RADIUS,
        ),
        Mistake(
            "inverts_the_ratio",
            "the factor is the old radius over the new one, upside down. Eigenvalues scale with "
            "the matrix: which factor takes the old radius to `rho`?",
            RADIUS,
        ),
        Mistake(
            "returns_W_itself",
            "the values are right, but where W already has the radius `rho`, the result is W itself "
            "or shares its memory. Then a change of the result would change W; return a new array "
            "in every case.",
            RADIUS,
        ),
        Mistake(
            "writes_into_W",
            "the values are right, but they are written into the memory of W, and returned there. "
            "The caller's matrix is changed behind its back; make a new one. (`W *= s` writes into "
            "W, `W * s` does not.)",
            RADIUS,
        ),
        Mistake(
            "only_shrinks",
            "W is brought to `rho` where its radius is larger, and left as it is where its radius "
            "is smaller. Here the radius is to become `rho` in both directions: this is no "
            "clipping.",
            RADIUS,
        ),
    ),
)


# gradient_bound


def _bound_cases(rng: np.random.Generator) -> list[Case]:
    far, wide, large = _real(rng, [0.6, -0.4, 0.2]), _complex(rng, [0.5, -0.3]), _real(rng, [1, -2])
    return [
        Case("lag 4, slope not given, H = 3", {"W_h": far, "lag": 4}),
        Case("lag 3, slope 0.7, H = 4", {"W_h": wide, "lag": 3, "slope": 0.7}),
        Case("lag 5, slope 0.25, H = 2", {"W_h": large, "lag": 5, "slope": 0.25}, "values"),
        Case("lag 2, slope 1.4, H = 1", {"W_h": np.array([[-0.8]]), "lag": 2, "slope": 1.4}),
        Case("lag 1, slope 0.5, H = 3", {"W_h": far, "lag": 1, "slope": 0.5}, "edge"),
        Case("lag 0, slope not given, H = 3", {"W_h": far, "lag": 0}, "edge"),
        Case("lag 0, slope 0.7, H = 4", {"W_h": wide, "lag": 0, "slope": 0.7}, "edge"),
    ]


GRADIENT_BOUND = Exercise(
    name="gradient_bound",
    chapter=CHAPTER,
    minutes=5,
    signature="W_h, lag, slope=1.0",
    see=BOUND,
    cases=_bound_cases,
    aspects=(
        Aspect(VALUES, 4, kinds=("values",)),
        Aspect("Lags 0 and 1", 1, kinds=("edge",), needs=VALUES),
        Aspect(PURITY, 1, of="purity", needs=VALUES),
    ),
    mistakes=(
        Mistake(
            "takes_the_spectral_radius",
            "the number raised to the power is made with the spectral radius. For a non-normal "
            "matrix that is no bound: its powers can first grow well beyond it. The bound needs "
            "the largest singular value.",
            RADIUS,
        ),
        Mistake(
            "leaves_the_slope_outside_the_power",
            "the slope enters once only. Every step has its own nonlinearity, so every one of the "
            "`lag` factors contains the slope.",
            BOUND,
        ),
        Mistake(
            "ignores_the_slope",
            "the argument `slope` has no effect. Each step contributes the slope of the "
            "nonlinearity times the norm of `W_h`.",
            BOUND,
        ),
        Mistake(
            "counts_one_step_too_many",
            "there is one factor more than there are steps. Over lag 0 nothing is multiplied, and "
            "the bound is 1.",
            BOUND,
        ),
        Mistake(
            "multiplies_by_the_lag",
            "the norm and the slope are multiplied by the lag instead of raised to its power. One "
            "factor a step is multiplied with the others: that is why gradients change "
            "exponentially.",
            BOUND,
        ),
        Mistake(
            "takes_the_frobenius_norm",
            "the norm is the root of the sum of all squared entries, which is what "
            "`np.linalg.norm` gives for a matrix unless told otherwise. It gives a bound too, but "
            "a weaker one; the bound asked for has the largest singular value.",
            BOUND,
        ),
        Mistake(
            "forgets_the_root",
            "the norm of `W_h` is squared before the power is taken. A singular value is the "
            "*root* of an eigenvalue of the product of `W_h` with its transpose.",
            BOUND,
        ),
        Mistake(
            "takes_the_norm_of_the_power",
            "the matrix is raised to the power first, and the norm is taken then. That is smaller, "
            "and no bound on the gradient: with a slope that differs from unit to unit the "
            "Jacobians are not all alike. Take the norm of `W_h`, then the power.",
            BOUND,
        ),
    ),
)


# memory_horizon


def _norms(rng: np.random.Generator, pattern: str, threshold: float) -> np.ndarray:
    """Norms clearly above (A), below (b) or exactly at (=) the threshold."""
    factor = {"A": (1.5, 9.0), "b": (0.1, 0.7), "=": (1.0, 1.0)}
    return threshold * np.array([rng.uniform(*factor[letter]) for letter in pattern])


def _horizon_cases(rng: np.random.Generator) -> list[Case]:
    falling = np.sort(_norms(rng, "AAAAAbbb", 0.01))[::-1].copy()
    rising = np.sort(_norms(rng, "AAAA", 0.5))
    cases = [
        ("values", "falls steadily", falling, 0.01),
        ("values", "dips below and comes back", _norms(rng, "AAbAAAbbb", 0.125), 0.125),
        ("values", "dips below, comes back, stays", _norms(rng, "AAAbAA", 2.0), 2.0),
        ("values", "below at once", _norms(rng, "bAbAA", 0.25), 0.25),
        ("equal", "equal to the threshold, then below", _norms(rng, "AA=Abb", 0.25), 0.25),
        ("equal", "equal to the threshold at once", _norms(rng, "=Ab", 0.5), 0.5),
        ("never", "grows, never below", rising, 0.5),
        ("never", "one lag, above", _norms(rng, "A", 0.1), 0.1),
        ("values", "one lag, below", _norms(rng, "b", 0.1), 0.1),
    ]
    return [Case(name, {"norms": n, "threshold": limit}, kind) for kind, name, n, limit in cases]


MEMORY_HORIZON = Exercise(
    name="memory_horizon",
    chapter=CHAPTER,
    minutes=5,
    signature="norms, threshold",
    see=TEN,
    cases=_horizon_cases,
    aspects=(
        Aspect("The first lag below", 3, kinds=("values",)),
        Aspect("Equal is not below", 1, kinds=("equal",), needs="The first lag below"),
        Aspect("Never below", 1, kinds=("never",), needs="The first lag below"),
        Aspect(PURITY, 1, of="purity", needs="The first lag below"),
    ),
    mistakes=(
        Mistake(
            "accepts_equality",
            "a norm equal to the threshold counts as below it. Strictly below is asked.",
            TEN,
        ),
        Mistake(
            "waits_until_it_stays_below",
            "the result is the lag from which on all norms are below. Norms may dip below and come "
            "back; the *first* lag below is asked.",
            TEN,
        ),
        Mistake(
            "counts_the_lags_above",
            "the result is the number of norms that are not below the threshold. That is the first "
            "lag below only if the norms never come back; look for the first one.",
            TEN,
        ),
        Mistake(
            "answers_zero_when_none_is_below",
            "the result is 0 where no norm is below. (`np.argmax` of a mask without a single True "
            "gives 0.) Then the horizon lies beyond all lags: the number of lags is due.",
            TEN,
        ),
        Mistake(
            "answers_minus_one_when_none_is_below",
            "the result is -1 where no norm is below. The horizon then lies beyond all lags: the "
            "number of lags is due.",
            TEN,
        ),
        Mistake(
            "answers_none_when_none_is_below",
            "nothing is returned where no norm is below. The horizon then lies beyond all lags: "
            "the number of lags is due. Does the function have a `return` after its loop?",
            TEN,
        ),
        Mistake(
            "answers_the_last_lag_when_none_is_below",
            "the result is the last lag where no norm is below. That would say it was below there; "
            "the number of lags is due, one more.",
            TEN,
        ),
        Mistake(
            "counts_lags_from_one",
            "the result is one too many everywhere. Lags count from 0, the last state itself, so a "
            "lag is simply the index of its norm.",
            MEASURE,
        ),
        Mistake(
            "gives_the_last_lag_before",
            "the result is one too few everywhere: the last lag before a norm falls below. Asked "
            "is the first lag that is below.",
            TEN,
        ),
        Mistake(
            "looks_for_the_first_above",
            "the result is the first lag whose norm is *above* the threshold. The comparison is "
            "the wrong way round.",
            TEN,
        ),
        Mistake(
            "divides_by_the_first_norm",
            "the norms are divided by the first of them before they are compared. Compare them as "
            "they are given; the caller decides what they are relative to.",
            TEN,
        ),
    ),
)


# clip_by_global_norm

EPSILON = 1e-6  # tolerated in the denominator, as torch.nn.utils.clip_grad_norm_ has it


def _compare_clipped(case, expected, got):
    """From the limit on, any factor from max_norm / (norm + EPSILON) to max_norm / norm will do."""
    parts = ("clipped", "norm")
    found = compare(expected, got, parts, 1e-9, 1e-12)
    norm = expected[1]
    off = [d for d in found if d.part == "clipped"]
    if not off or norm < case.inputs["max_norm"] or any(d.expected is None for d in off):
        return found
    size = sum(np.sum(d.expected**2) for d in off)
    if size == 0:
        return found
    factor = sum(np.sum(d.expected * d.got.astype(float)) for d in off) / size
    factor = np.clip(factor, norm / (norm + EPSILON), 1.0)
    clipped = {name: value * factor for name, value in expected[0].items()}
    tolerant = compare([clipped, norm], got, parts, 1e-9, 1e-12)
    return found if any(d.part == "clipped" for d in tolerant) else tolerant


def _gradients(rng: np.random.Generator, norm: float, **shapes: tuple) -> dict[str, np.ndarray]:
    """Gradients of these shapes, of the given global norm, no entry near 0."""
    grads = {
        name: np.array(rng.uniform(0.5, 1.0, size=shape) * rng.choice([-1, 1], size=shape))
        for name, shape in shapes.items()
    }
    present = np.sqrt(sum(np.sum(grad**2) for grad in grads.values()))
    return {name: np.array(grad * (norm / present)) for name, grad in grads.items()}


def _at_the_limit(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], float]:
    """Gradients whose squares add up to the square of the limit without any rounding."""
    unit = rng.choice([0.5, 1.0, 2.0])
    signs = rng.choice([-1.0, 1.0], size=5)
    entries = unit * signs * rng.permutation([1.0, 2.0, 2.0, 4.0, 0.0])
    return {"W_h": entries[:4].reshape(2, 2), "b": entries[4:]}, float(5 * unit)


def _clipping_cases(rng: np.random.Generator) -> list[Case]:
    several = {"W_x": (3, 2), "W_h": (3, 3), "b": (3,), "gain": ()}
    apart = {**_gradients(rng, 1.7, W_h=(2, 2)), **_gradients(rng, 1.5, b=(3,))}
    uneven = {**_gradients(rng, 12.0, W_y=(1, 2)), **_gradients(rng, 1.2, b=(2, 1, 3))}
    equal, limit = _at_the_limit(rng)
    cases = [
        ("over", "four arrays, norm 5, limit 2", _gradients(rng, 5.0, **several), 2.0),
        ("over", "two arrays, each within the limit, together over it", apart, 2.0),
        ("over", "one array, norm 3, limit 0.4", _gradients(rng, 3.0, W_h=(2, 4)), 0.4),
        ("over", "one array far larger than the other, limit 3", uneven, 3.0),
        ("within", "four arrays, norm 1.5, limit 2", _gradients(rng, 1.5, **several), 2.0),
        ("within", "one number, norm 1.1, limit 8", _gradients(rng, 1.1, gain=()), 8.0),
        ("within", "norm exactly at the limit", equal, limit),
        ("within", "zero gradients", {"W_h": np.zeros((2, 2)), "b": np.zeros(2)}, 0.5),
    ]
    return [
        Case(name, {"grads": grads, "max_norm": limit}, kind) for kind, name, grads, limit in cases
    ]


CLIPPED = "Too long: shortened to the limit"

CLIP_BY_GLOBAL_NORM = Exercise(
    name="clip_by_global_norm",
    chapter=CHAPTER,
    minutes=10,
    signature="grads, max_norm",
    see=CLIPPING,
    cases=_clipping_cases,
    aspects=(
        Aspect(CLIPPED, 4, parts=("clipped",), kinds=("over",)),
        Aspect(
            "Within the limit, or zero: unchanged",
            2,
            parts=("clipped",),
            kinds=("within",),
            needs=CLIPPED,
        ),
        Aspect("The norm before clipping", 3, parts=("norm",)),
        Aspect(PURITY, 1, of="purity", needs=CLIPPED),
    ),
    parts=("clipped", "norm"),
    compare=_compare_clipped,
    mistakes=(
        Mistake(
            "clips_each_entry",
            "every entry by itself is cut off at the limit. That turns the gradient into another "
            "direction. Multiply all entries of all arrays by one common factor.",
            CLIPPING,
        ),
        Mistake(
            "clips_each_array",
            "every array is shortened by its own norm. Then arrays lose their proportions to each "
            "other, and together they can still be too long. One norm, over all arrays, gives one "
            "factor.",
            CLIPPING,
        ),
        Mistake(
            "always_rescales",
            "gradients within the limit are stretched up to it, and zero gradients become NaN. "
            "Clipping only shortens: what is within the limit stays as it is.",
            CLIPPING,
        ),
        Mistake(
            "always_rescales_except_zero",
            "gradients within the limit are stretched up to it (except zeros). Clipping only "
            "shortens: what is within the limit stays as it is.",
            CLIPPING,
        ),
        Mistake(
            "never_rescales",
            "the norm is right, but the gradients come back as they were, also those over the "
            "limit. These are to be multiplied by one common factor.",
            CLIPPING,
        ),
        Mistake(
            "adds_absolute_values",
            "the norm is the sum of absolute values. The global norm is a length: squares, summed "
            "over all entries of all arrays, and one root at the end.",
            CLIPPING,
        ),
        Mistake(
            "forgets_the_root",
            "the norm is the sum of squares. A length is the root of it, taken once at the end.",
            CLIPPING,
        ),
        Mistake(
            "forgets_the_root_in_the_returned_norm",
            "the gradients are right, but the returned norm is the sum of squares. Return its "
            "root, the length itself.",
            CLIPPING,
        ),
        Mistake(
            "adds_the_norms_of_the_arrays",
            "the norm is the sum of the arrays' norms. Lengths of perpendicular parts do not add; "
            "their squares do.",
            CLIPPING,
        ),
        Mistake(
            "takes_the_largest_norm_of_an_array",
            "the norm is that of the longest array. The global norm is the length of all arrays "
            "taken as one long vector.",
            CLIPPING,
        ),
        Mistake(
            "takes_the_norm_of_the_last_array",
            "the norm is that of the last array in the dict alone. The squares of all arrays are "
            "to be added up; is the sum perhaps set anew for each array?",
            CLIPPING,
        ),
        Mistake(
            "takes_the_mean_of_the_squares",
            "the norm is the root of the *mean* of the squares. The global norm has their sum: it "
            "does not get smaller when there are more parameters.",
            CLIPPING,
        ),
        Mistake(
            "takes_the_largest_entry",
            "the norm is the largest absolute value of an entry. The global norm is a length: "
            "squares, summed over all entries of all arrays, and one root at the end.",
            CLIPPING,
        ),
        Mistake(
            "rescales_to_one",
            "gradients over the limit are brought to the length 1, whatever the limit is. They are "
            "to get the length `max_norm`.",
            CLIPPING,
        ),
        Mistake(
            "rescales_the_short_ones",
            "gradients within the limit are stretched up to it, and those over it are left as they "
            "are. The comparison is the wrong way round (or `max` stands where `min` belongs).",
            CLIPPING,
        ),
        Mistake(
            "returns_the_norm_after_clipping",
            "the gradients are right, but the returned norm is that of the clipped ones. The norm "
            "before clipping is the useful one: it shows in a log when gradients explode.",
            CLIPPING,
        ),
        Mistake(
            "changes_the_given_gradients",
            "what is returned is right, but where the norm is over the limit, the caller's dict or "
            "its arrays are changed: by `*=` on an array, say, which writes into it, or by assigning "
            "to the keys of the given dict. Build a new dict of new arrays where you scale.",
            CLIPPING,
        ),
        Mistake(
            "returns_in_the_wrong_order",
            "the norm is returned first and the gradients second. Return them in the order "
            "`(clipped, norm)`.",
            CLIPPING,
        ),
    ),
)


# orthogonal_matrix

FEW = (
    10  # up to so many draws are kept bit for bit, more as integer hundredths, to keep cases small
)


def _draw(function, inputs):
    """Draws from one generator: an array (draws, n, n), or the first result that is unlike one."""
    n, rng = inputs["n"], np.random.default_rng(inputs["seed"])
    draws = [function(n, rng) for _ in range(inputs["draws"])]
    for Q in draws:
        if not isinstance(Q, np.ndarray) or Q.shape != (n, n) or Q.dtype.kind != "f":
            return Q
    exact = np.array(draws)
    # Generous, because what Gram-Schmidt loses on a nearly singular draw is not a wrong law.
    off = np.abs(exact.mT @ exact - np.eye(n)).max(axis=(1, 2))
    if not (off < 1e-4).all():
        return exact[np.argmax(~(off < 1e-4))]
    return exact if len(draws) <= FEW else np.round(100 * exact).astype(np.int8)


def _compare_draws(case, expected, got):
    n, draws = case.inputs["n"], case.inputs["draws"]
    if not isinstance(got, np.ndarray) or got.shape != (draws, n, n):
        text = _not_orthogonal(n, got)
    elif draws <= FEW:
        text = next(filter(None, (_not_orthogonal(n, Q) for Q in got)), "") or _repeats(got)
    else:
        text = _repeats(got) or _not_haar(got / 100)
    return [Difference("", text)] if text else []


def _not_orthogonal(n: int, Q) -> str:
    """Why a single result is no orthogonal matrix, or ""."""
    wrong = compare(np.eye(n), Q, (), 0.0, np.inf)  # type, shape, dtype and finiteness only
    if wrong:
        return wrong[0].text
    product = Q.T @ Q
    off = np.abs(product - np.eye(n))
    # Backward stable algorithms come to 1e-15, Gram-Schmidt to that times the condition number.
    if off.max() < 1e-8:
        return ""
    i, j = np.unravel_index(np.argmax(off), off.shape)
    return (
        f"The result is not orthogonal: `(Q.T @ Q)[{i}, {j}]` should be {float(i == j):g}, "
        f"but is {product[i, j]:.9g}."
    )


def _repeats(draws: np.ndarray) -> str:
    """Why draws of n > 1 are not random, or ""."""
    if draws.shape[1] > 1 and (draws == draws[0]).all():
        return (
            "Each call returns the same matrix. Draw all your "
            "random numbers from the given `rng`, anew in each call."
        )
    return ""


def _not_haar(Q: np.ndarray) -> str:
    """Which property of the uniform distribution many draws (draws, n, n) lack, or "".

    Each statistic may lie 6 standard deviations from its mean: for a right answer about 2e-9 a
    statistic, below 1e-7 for all cases together.
    """
    draws, n = Q.shape[:2]
    margin = 6 / np.sqrt(draws)
    signs = np.sign(np.linalg.det(Q))
    if abs(signs.mean()) > margin:
        plus = int((signs > 0).sum())
        what = "entry" if n == 1 else "determinant"
        return (
            f"In {draws} draws with n = {n} the {what} is +1 {_times(plus)} and -1 "
            f"{_times(draws - plus)}; each should come in about half of them."
        )
    mean = Q.mean(axis=0)
    i, j = np.unravel_index(np.argmax(np.abs(mean)), mean.shape)
    if abs(mean[i, j]) > margin / np.sqrt(n):  # the variance of an entry is 1 / n
        negative = int((Q[:, i, j] < 0).sum())
        return (
            f"Over {draws} draws with n = {n}, `Q[{i}, {j}]` is {mean[i, j]:.2f} on average and "
            f"negative in {negative}; it should be 0 on average and negative in about half of them."
        )
    if n == 1:
        return ""
    more = "Some directions come more often than others."
    fourth = np.mean(Q**4)
    wanted = 3 / (n * (n + 2))
    if abs(fourth - wanted) > margin * FOURTH_POWER_DEVIATION[n]:
        return (
            f"Over {draws} draws with n = {n}, the mean of `Q**4` is {fourth:.3f}; it should "
            f"be {wanted:.3f}. {more}"
        )
    squares = np.mean(Q**2, axis=0)
    diagonal = np.diag(squares).mean()
    if abs(diagonal - 1 / n) > margin * DIAGONAL_SQUARES_DEVIATION[n]:
        return (
            f"Over {draws} draws with n = {n}, the squares of the entries on the diagonal are "
            f"{diagonal:.3f} on average; they should be {1 / n:.3f}, as everywhere. {more}"
        )
    off = np.abs(squares - 1 / n)
    i, j = np.unravel_index(np.argmax(off), off.shape)
    if off[i, j] > margin * np.sqrt(wanted - 1 / n**2):
        return (
            f"Over {draws} draws with n = {n}, `Q[{i}, {j}]**2` is {squares[i, j]:.3f} on average; "
            f"it should be {1 / n:.3f}. {more}"
        )
    return ""


# Standard deviations for one Haar distributed matrix, by n: of the mean of Q**4 over all entries, and
# of the mean of Q**2 over the diagonal.
FOURTH_POWER_DEVIATION = {2: 0.0884, 3: 0.0445}
DIAGONAL_SQUARES_DEVIATION = {2: 0.3536, 3: 0.2108}


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _orthogonal_cases(rng: np.random.Generator) -> list[Case]:
    sizes = [
        ("orthogonal", "3 draws, n = 4", 4, 3),
        ("orthogonal", "2 draws, n = 3", 3, 2),
        ("haar", "1200 draws, n = 3", 3, 1200),
        ("haar", "150 draws, n = 2", 2, 150),
        ("one", "200 draws, n = 1", 1, 200),
    ]
    return [
        Case(name, {"n": n, "seed": int(rng.integers(2**31)), "draws": draws}, kind)
        for kind, name, n, draws in sizes
    ]


ORTHOGONAL_MATRIX = Exercise(
    name="orthogonal_matrix",
    chapter=CHAPTER,
    minutes=10,
    signature="n, rng",
    see=ORTHOGONAL,
    cases=_orthogonal_cases,
    call=_draw,
    compare=_compare_draws,
    aspects=(
        Aspect("Orthogonal, and random", 3, kinds=("orthogonal",)),
        Aspect(
            "Uniform: no direction preferred", 3, kinds=("haar",), needs="Orthogonal, and random"
        ),
        Aspect("n = 1: both signs", 1, kinds=("one",), needs="Orthogonal, and random"),
        Aspect("Random by `rng` alone", 1, of="purity", needs="Orthogonal, and random"),
    ),
    mistakes=(
        Mistake(
            "keeps_the_signs_of_qr",
            "Q is orthogonal, but its signs are those that the QR algorithm happens to choose: the "
            "determinant is always the same and some entries are always negative. The "
            "factorisation is unique only up to the signs of R's diagonal; make those positive, "
            "and carry the change over to Q's columns.",
            ORTHOGONAL,
        ),
        Mistake(
            "only_rotates",
            "every determinant is +1: only rotations come. Half of all orthogonal matrices are "
            "reflections, with determinant -1, and they belong to the distribution.",
            ORTHOGONAL,
        ),
        Mistake(
            "draws_uniform_entries",
            "the random matrix has entries uniform on [-1, 1), so its columns prefer the corners "
            "of a cube, and so does Q. Only independent normal entries have no preferred "
            "direction.",
            ORTHOGONAL,
        ),
        Mistake(
            "draws_positive_entries",
            "the random matrix has entries from [0, 1), all positive, so the first column of Q "
            "always has positive entries only. Only independent normal entries have no preferred "
            "direction.",
            ORTHOGONAL,
        ),
        Mistake(
            "takes_left_singular_vectors",
            "the result is the matrix of left singular vectors, whose signs the algorithm chooses, "
            "not chance: they are not uniform. Multiply it by the matrix of right singular "
            "vectors, or use QR and mind the signs.",
            ORTHOGONAL,
        ),
        Mistake(
            "only_normalises_the_columns",
            "the columns have length 1, but are not perpendicular to each other. Both are needed "
            "for Q.T @ Q to be the identity.",
            ORTHOGONAL,
        ),
        Mistake(
            "reflects_once",
            "the result is one reflection, at a random mirror. It is orthogonal, but symmetric, "
            "with determinant -1 always; most orthogonal matrices are no such thing.",
            ORTHOGONAL,
        ),
        Mistake(
            "seeds_anew",
            "each call makes its own generator with the seed 0, and so returns the same matrix. "
            "Draw from the given `rng`, which moves on with each draw.",
            ORTHOGONAL,
        ),
    ),
)


EXERCISES = [
    STEP_JACOBIAN,
    JACOBIAN_PRODUCT_NORMS,
    SPECTRAL_RADIUS,
    SPECTRAL_NORM,
    RESCALE_TO_SPECTRAL_RADIUS,
    GRADIENT_BOUND,
    MEMORY_HORIZON,
    CLIP_BY_GLOBAL_NORM,
    ORTHOGONAL_MATRIX,
]
