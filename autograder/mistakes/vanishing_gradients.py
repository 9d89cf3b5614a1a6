"""Chapter 3: how vanishing gradients, their measures and their cures go wrong."""

import numpy as np

from autograder.mistakes import mistake_of


def _norm(W):
    return np.linalg.norm(W, 2)


def _radius(W):
    return np.max(np.abs(np.linalg.eigvals(W)))


def _jacobian(h_next, W_h):
    return (1 - h_next**2)[:, None] * W_h


# step_jacobian


@mistake_of("step_jacobian")
def step_jacobian__scales_the_columns(h_next, W_h):
    return (1 - h_next**2) * W_h


@mistake_of("step_jacobian")
def step_jacobian__returns_the_transpose(h_next, W_h):
    return _jacobian(h_next, W_h).T


@mistake_of("step_jacobian")
def step_jacobian__transposes_the_weights(h_next, W_h):
    return _jacobian(h_next, W_h.T)


@mistake_of("step_jacobian")
def step_jacobian__forgets_the_slope(h_next, W_h):
    return W_h.copy()


@mistake_of("step_jacobian")
def step_jacobian__forgets_the_square(h_next, W_h):
    return (1 - h_next)[:, None] * W_h


@mistake_of("step_jacobian")
def step_jacobian__applies_tanh_again(h_next, W_h):
    return _jacobian(np.tanh(h_next), W_h)


@mistake_of("step_jacobian")
def step_jacobian__takes_the_slope_of_a_sigmoid(h_next, W_h):
    return (h_next * (1 - h_next))[:, None] * W_h


@mistake_of("step_jacobian")
def step_jacobian__returns_the_slopes_alone(h_next, W_h):
    return np.diag(1 - h_next**2)


# jacobian_product_norms


def _product_norms(jacobians, measure=_norm, left=False):
    """Norms of the growing product of `jacobians`, with the identity first."""
    product = np.eye(len(jacobians[0])) if len(jacobians) else np.eye(1)
    norms = [1.0]
    for jacobian in jacobians:
        product = jacobian @ product if left else product @ jacobian
        norms.append(measure(product))
    return np.array(norms)


def _backwards(hs, W_h):
    return [_jacobian(h, W_h) for h in hs[:0:-1]]


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__multiplies_on_the_wrong_side(hs, W_h):
    return _product_norms(_backwards(hs, W_h), left=True)


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__orders_by_time(hs, W_h):
    return _product_norms(_backwards(hs, W_h))[::-1]


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__starts_from_the_first_state(hs, W_h):
    return _product_norms([_jacobian(h, W_h) for h in hs[1:]], left=True)


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__uses_the_state_before_the_step(hs, W_h):
    return _product_norms([_jacobian(h, W_h) for h in hs[-2::-1]] if len(hs) > 1 else [])


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__starts_at_lag_one(hs, W_h):
    return _product_norms([_jacobian(h, W_h) for h in hs[::-1]])[1:]


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__takes_the_frobenius_norm(hs, W_h):
    norms = _product_norms(_backwards(hs, W_h), np.linalg.norm)
    norms[0] = np.sqrt(len(W_h))
    return norms


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__takes_the_spectral_radius(hs, W_h):
    return _product_norms(_backwards(hs, W_h), _radius)


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__multiplies_the_norms(hs, W_h):
    return np.cumprod([1.0] + [_norm(jacobian) for jacobian in _backwards(hs, W_h)])


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__measures_single_steps(hs, W_h):
    return np.array([1.0] + [_norm(jacobian) for jacobian in _backwards(hs, W_h)])


@mistake_of("jacobian_product_norms")
def jacobian_product_norms__forgets_the_slope(hs, W_h):
    return _product_norms([W_h] * (len(hs) - 1))


# spectral_radius


@mistake_of("spectral_radius")
def spectral_radius__takes_the_largest_real_part(W):
    return np.max(np.linalg.eigvals(W).real)


@mistake_of("spectral_radius")
def spectral_radius__ignores_imaginary_parts(W):
    return np.max(np.abs(np.linalg.eigvals(W).real))


@mistake_of("spectral_radius")
def spectral_radius__takes_the_maximum_first(W):
    return np.abs(np.max(np.linalg.eigvals(W)))


@mistake_of("spectral_radius")
def spectral_radius__forgets_the_absolute_value(W):
    return np.max(np.linalg.eigvals(W))


@mistake_of("spectral_radius")
def spectral_radius__takes_the_spectral_norm(W):
    return _norm(W)


@mistake_of("spectral_radius")
def spectral_radius__takes_the_frobenius_norm(W):
    return np.linalg.norm(W)


@mistake_of("spectral_radius")
def spectral_radius__treats_W_as_symmetric(W):
    return np.max(np.abs(np.linalg.eigvalsh(W)))


@mistake_of("spectral_radius")
def spectral_radius__takes_the_smallest(W):
    return np.min(np.abs(np.linalg.eigvals(W)))


# spectral_norm


@mistake_of("spectral_norm")
def spectral_norm__takes_the_frobenius_norm(W):
    return np.linalg.norm(W)


@mistake_of("spectral_norm")
def spectral_norm__takes_the_spectral_radius(W):
    return _radius(W)


@mistake_of("spectral_norm")
def spectral_norm__forgets_the_root(W):
    return _norm(W) ** 2


@mistake_of("spectral_norm")
def spectral_norm__takes_the_largest_column_sum(W):
    return np.linalg.norm(W, 1)


@mistake_of("spectral_norm")
def spectral_norm__takes_the_largest_row_sum(W):
    return np.linalg.norm(W, np.inf)


@mistake_of("spectral_norm")
def spectral_norm__adds_the_singular_values(W):
    return np.linalg.norm(W, "nuc")


@mistake_of("spectral_norm")
def spectral_norm__takes_the_smallest(W):
    return np.linalg.svd(W, compute_uv=False)[-1]


@mistake_of("spectral_norm")
def spectral_norm__takes_the_largest_entry(W):
    return np.max(np.abs(W))


# rescale_to_spectral_radius


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__divides_by_the_spectral_norm(W, rho):
    return W * (rho / _norm(W))


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__divides_by_the_frobenius_norm(W, rho):
    return W * (rho / np.linalg.norm(W))


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__divides_by_the_largest_real_part(W, rho):
    return W * (rho / np.max(np.linalg.eigvals(W).real))


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__leaves_out_rho(W, rho):
    return W / _radius(W)


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__forgets_the_present_radius(W, rho):
    return W * rho


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__inverts_the_ratio(W, rho):
    return W * (_radius(W) / rho)


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__returns_W_itself(W, rho):
    radius = _radius(W)
    return W if np.isclose(radius, rho) else W * (rho / radius)


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__writes_into_W(W, rho):
    W *= rho / _radius(W)
    return W


@mistake_of("rescale_to_spectral_radius")
def rescale_to_spectral_radius__only_shrinks(W, rho):
    return W * min(1.0, rho / _radius(W))


# gradient_bound


@mistake_of("gradient_bound")
def gradient_bound__takes_the_spectral_radius(W_h, lag, slope=1.0):
    return (slope * _radius(W_h)) ** lag


@mistake_of("gradient_bound")
def gradient_bound__leaves_the_slope_outside_the_power(W_h, lag, slope=1.0):
    return slope * _norm(W_h) ** lag


@mistake_of("gradient_bound")
def gradient_bound__ignores_the_slope(W_h, lag, slope=1.0):
    return _norm(W_h) ** lag


@mistake_of("gradient_bound")
def gradient_bound__counts_one_step_too_many(W_h, lag, slope=1.0):
    return (slope * _norm(W_h)) ** (lag + 1)


@mistake_of("gradient_bound")
def gradient_bound__multiplies_by_the_lag(W_h, lag, slope=1.0):
    return slope * _norm(W_h) * lag


@mistake_of("gradient_bound")
def gradient_bound__takes_the_frobenius_norm(W_h, lag, slope=1.0):
    return (slope * np.linalg.norm(W_h)) ** lag


@mistake_of("gradient_bound")
def gradient_bound__forgets_the_root(W_h, lag, slope=1.0):
    return (slope * _norm(W_h) ** 2) ** lag


@mistake_of("gradient_bound")
def gradient_bound__takes_the_norm_of_the_power(W_h, lag, slope=1.0):
    return slope**lag * _norm(np.linalg.matrix_power(W_h, lag))


# memory_horizon


def _first_below(norms, threshold, otherwise):
    return next((k for k, norm in enumerate(norms) if norm < threshold), otherwise)


@mistake_of("memory_horizon")
def memory_horizon__accepts_equality(norms, threshold):
    return next((k for k, norm in enumerate(norms) if norm <= threshold), len(norms))


@mistake_of("memory_horizon")
def memory_horizon__waits_until_it_stays_below(norms, threshold):
    return max((k + 1 for k, norm in enumerate(norms) if norm >= threshold), default=0)


@mistake_of("memory_horizon")
def memory_horizon__counts_the_lags_above(norms, threshold):
    return int(np.sum(norms >= threshold))


@mistake_of("memory_horizon")
def memory_horizon__answers_zero_when_none_is_below(norms, threshold):
    return int(np.argmax(norms < threshold))


@mistake_of("memory_horizon")
def memory_horizon__answers_minus_one_when_none_is_below(norms, threshold):
    return _first_below(norms, threshold, -1)


@mistake_of("memory_horizon")
def memory_horizon__answers_none_when_none_is_below(norms, threshold):
    return _first_below(norms, threshold, None)


@mistake_of("memory_horizon")
def memory_horizon__answers_the_last_lag_when_none_is_below(norms, threshold):
    return _first_below(norms, threshold, len(norms) - 1)


@mistake_of("memory_horizon")
def memory_horizon__counts_lags_from_one(norms, threshold):
    return _first_below(norms, threshold, len(norms)) + 1


@mistake_of("memory_horizon")
def memory_horizon__gives_the_last_lag_before(norms, threshold):
    return _first_below(norms, threshold, len(norms)) - 1


@mistake_of("memory_horizon")
def memory_horizon__looks_for_the_first_above(norms, threshold):
    return next((k for k, norm in enumerate(norms) if norm > threshold), len(norms))


@mistake_of("memory_horizon")
def memory_horizon__divides_by_the_first_norm(norms, threshold):
    return _first_below(norms / norms[0], threshold, len(norms))


# clip_by_global_norm


def _global_norm(grads):
    return float(np.sqrt(sum(np.sum(grad**2) for grad in grads.values())))


def _scale(grads, factor):
    return {name: grad * factor for name, grad in grads.items()}


def _clip_with(grads, max_norm, norm):
    """Clip rightly, but by a norm that is wrong."""
    return _scale(grads, max_norm / norm if norm > max_norm else 1.0), norm


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__clips_each_entry(grads, max_norm):
    clipped = {name: np.clip(grad, -max_norm, max_norm) for name, grad in grads.items()}
    return clipped, _global_norm(grads)


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__clips_each_array(grads, max_norm):
    clipped = {name: _clip_with({name: g}, max_norm, np.sqrt(np.sum(g**2)))[0][name]
               for name, g in grads.items()}  # fmt: skip
    return clipped, _global_norm(grads)


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__always_rescales(grads, max_norm):
    norm = np.float64(_global_norm(grads))
    return _scale(grads, max_norm / norm), norm


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__always_rescales_except_zero(grads, max_norm):
    norm = _global_norm(grads)
    return _scale(grads, max_norm / (norm + 1e-6)), norm


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__never_rescales(grads, max_norm):
    return dict(grads), _global_norm(grads)


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__adds_absolute_values(grads, max_norm):
    return _clip_with(grads, max_norm, sum(np.sum(np.abs(grad)) for grad in grads.values()))


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__forgets_the_root(grads, max_norm):
    return _clip_with(grads, max_norm, _global_norm(grads) ** 2)


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__forgets_the_root_in_the_returned_norm(grads, max_norm):
    norm = _global_norm(grads)
    return _clip_with(grads, max_norm, norm)[0], norm**2


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__adds_the_norms_of_the_arrays(grads, max_norm):
    return _clip_with(grads, max_norm, sum(np.sqrt(np.sum(grad**2)) for grad in grads.values()))


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__takes_the_largest_norm_of_an_array(grads, max_norm):
    return _clip_with(grads, max_norm, max(np.sqrt(np.sum(grad**2)) for grad in grads.values()))


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__takes_the_norm_of_the_last_array(grads, max_norm):
    return _clip_with(grads, max_norm, np.sqrt(np.sum(list(grads.values())[-1] ** 2)))


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__takes_the_mean_of_the_squares(grads, max_norm):
    size = sum(grad.size for grad in grads.values())
    return _clip_with(grads, max_norm, _global_norm(grads) / np.sqrt(size))


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__takes_the_largest_entry(grads, max_norm):
    return _clip_with(grads, max_norm, max(np.max(np.abs(grad)) for grad in grads.values()))


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__rescales_to_one(grads, max_norm):
    norm = _global_norm(grads)
    return _scale(grads, 1.0 / norm if norm > max_norm else 1.0), norm


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__rescales_the_short_ones(grads, max_norm):
    norm = _global_norm(grads)
    return _scale(grads, max_norm / norm if 0 < norm < max_norm else 1.0), norm


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__returns_the_norm_after_clipping(grads, max_norm):
    clipped, _ = _clip_with(grads, max_norm, _global_norm(grads))
    return clipped, _global_norm(clipped)


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__changes_the_given_gradients(grads, max_norm):
    norm = _global_norm(grads)
    if norm > max_norm:
        for grad in grads.values():
            grad *= max_norm / norm
    return grads, norm


@mistake_of("clip_by_global_norm")
def clip_by_global_norm__returns_in_the_wrong_order(grads, max_norm):
    clipped, norm = _clip_with(grads, max_norm, _global_norm(grads))
    return norm, clipped


# orthogonal_matrix


def _positive_qr(A):
    Q, R = np.linalg.qr(A)
    return Q * np.sign(np.diag(R))


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__keeps_the_signs_of_qr(n, rng):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__only_rotates(n, rng):
    Q = _positive_qr(rng.standard_normal((n, n)))
    if np.linalg.det(Q) < 0:
        Q[:, 0] *= -1
    return Q


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__draws_uniform_entries(n, rng):
    return _positive_qr(rng.uniform(-1, 1, (n, n)))


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__draws_positive_entries(n, rng):
    return _positive_qr(rng.random((n, n)))


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__takes_left_singular_vectors(n, rng):
    return np.linalg.svd(rng.standard_normal((n, n)))[0]


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__only_normalises_the_columns(n, rng):
    A = rng.standard_normal((n, n))
    return A / np.linalg.norm(A, axis=0)


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__reflects_once(n, rng):
    v = rng.standard_normal(n)
    return np.eye(n) - 2 * np.outer(v, v) / (v @ v)


@mistake_of("orthogonal_matrix")
def orthogonal_matrix__seeds_anew(n, rng):
    return _positive_qr(np.random.default_rng(0).standard_normal((n, n)))
