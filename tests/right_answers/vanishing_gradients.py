"""Chapter 3: right answers, written otherwise than the references."""

import itertools
import math

import numpy as np

# step_jacobian


def step_jacobian__diagonal_matrix(h_next, W_h):
    return np.diag(1 - h_next**2) @ W_h


def step_jacobian__loops(h_next, W_h):
    H = len(h_next)
    J = np.zeros((H, H))
    for i, j in itertools.product(range(H), range(H)):
        J[i, j] = (1 - h_next[i]) * (1 + h_next[i]) * W_h[i, j]
    return J


def step_jacobian__einsum_in_fortran_order(h_next, W_h):
    return np.asfortranarray(np.einsum("i,ij->ij", 1 - h_next * h_next, W_h))


def step_jacobian__slope_from_the_pre_activation(h_next, W_h):
    # cosh is not defined where h is exactly 1, so the slope comes from exponentials of 2a = 2 artanh(h).
    with np.errstate(divide="ignore"):
        e = np.exp(-2 * np.arctanh(np.abs(h_next)))
    return (4 * e / (1 + e) ** 2)[:, np.newaxis] * W_h


# jacobian_product_norms


def jacobian_product_norms__singular_values(hs, W_h):
    product, norms = np.eye(hs.shape[1]), [1.0]
    for h in hs[:0:-1]:
        product = product @ np.diag(1 - h**2) @ W_h
        norms.append(np.linalg.svd(product)[1].max())
    return np.array(norms)


def jacobian_product_norms__each_lag_from_scratch(hs, W_h):
    T, H = hs.shape
    jacobians = (1 - hs**2)[:, :, None] * W_h
    norms = np.empty(T)
    for k in range(T):
        J = np.linalg.multi_dot([np.eye(H), np.eye(H), *jacobians[T - k :][::-1]])
        norms[k] = math.sqrt(np.linalg.eigvalsh(J @ J.T)[-1])
    return norms


def jacobian_product_norms__gradients_of_every_unit(hs, W_h):
    # Backpropagates all H unit vectors at once; the rows are dh_{T-1, i}/dh_t.
    rows, norms = np.eye(hs.shape[1]), []
    for h in reversed(hs):
        norms.append(np.linalg.norm(rows, ord=2))
        rows = (rows * (1 - h**2)) @ W_h
    return np.stack(norms)


# spectral_radius


def spectral_radius__real_and_imaginary_parts(W):
    eigenvalues, _ = np.linalg.eig(W)
    return np.sqrt(eigenvalues.real**2 + eigenvalues.imag**2).max()


def spectral_radius__gelfand(W):
    # Gelfand's formula, the limit of the k-th root of the norm of W**k, at k = 2**60 by squaring.
    log, power = 0.0, W
    for doubling in range(61):
        size = np.linalg.norm(power)
        if size == 0:
            return 0.0
        log += math.log(size) / 2**doubling
        power = (power / size) @ (power / size)
    return math.exp(log)


def spectral_radius__sorted(W):
    return np.asarray(sorted(abs(value) for value in np.linalg.eigvals(W.T))[-1])


# spectral_norm


def spectral_norm__norm_of_order_two(W):
    return np.linalg.norm(W, ord=2)


def spectral_norm__eigenvalues_of_the_gram_matrix(W):
    return float(np.sqrt(np.linalg.eigvalsh(W.T @ W).max()))


def spectral_norm__of_the_symmetric_double(W):
    zero = np.zeros_like(W)
    return np.asarray(np.linalg.eigvalsh(np.block([[zero, W], [W.T, zero]])).max())


# rescale_to_spectral_radius


def rescale_to_spectral_radius__divides_first(W, rho):
    return rho * (W / np.abs(np.linalg.eigvals(W)).max())


def rescale_to_spectral_radius__copies_then_scales(W, rho):
    scaled = W.copy()
    scaled *= rho
    scaled /= max(abs(np.linalg.eigvals(W)))
    return scaled


def rescale_to_spectral_radius__returns_a_copy_early(W, rho):
    radius = np.abs(np.linalg.eig(W)[0]).max()
    if rho == radius:
        return W.copy(order="F")
    return np.zeros_like(W) if rho == 0 else np.multiply(W, rho / radius)


# gradient_bound


def gradient_bound__power_of_each(W_h, lag, slope=1.0):
    return slope**lag * np.linalg.norm(W_h, 2) ** lag


def gradient_bound__loop(W_h, lag, slope=1.0):
    bound, factor = 1.0, slope * np.linalg.svd(W_h)[1][0]
    for _ in range(lag):
        bound *= factor
    return bound


def gradient_bound__norm_of_the_scaled_matrix(W_h, lag, slope=1.0):
    return np.asarray(np.linalg.norm(slope * W_h, 2) ** lag)


# memory_horizon


def memory_horizon__loop(norms, threshold):
    for k, norm in enumerate(norms):
        if norm < threshold:
            return k
    return len(norms)


def memory_horizon__argmax_with_a_sentinel(norms, threshold):
    return np.argmax(np.append(norms, -np.inf) < threshold)


def memory_horizon__takewhile(norms, threshold):
    return sum(1 for _ in itertools.takewhile(lambda norm: norm >= threshold, norms))


def memory_horizon__minimum_so_far(norms, threshold):
    return np.count_nonzero(np.minimum.accumulate(norms) >= threshold)


# clip_by_global_norm


def clip_by_global_norm__one_long_vector(grads, max_norm):
    norm = np.linalg.norm(np.concatenate([np.ravel(grad) for grad in grads.values()]))
    factor = max_norm / norm if norm > max_norm else 1.0
    return {name: factor * grad for name, grad in grads.items()}, norm


def clip_by_global_norm__as_torch_does(grads, max_norm):
    norm = np.linalg.norm([np.linalg.norm(np.ravel(grad)) for grad in grads.values()])
    factor = min(1.0, max_norm / (norm + 1e-6))
    return [{name: grad * factor for name, grad in grads.items()}, np.asarray(norm)]


def clip_by_global_norm__shortens_at_the_limit_too(grads, max_norm):
    clipped = {name: np.copy(grad) for name, grad in grads.items()}
    norm = math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads.values()))
    if norm >= max_norm:
        for name in clipped:
            clipped[name] = clipped[name] / (norm + 1e-6) * max_norm
    return clipped, norm


def clip_by_global_norm__returns_its_input(grads, max_norm):
    squares = 0.0
    for grad in grads.values():
        squares += np.sum(np.square(grad))
    norm = np.sqrt(squares)
    if norm < max_norm:
        return grads, norm
    return {name: grad / max(norm / max_norm, 1.0) for name, grad in grads.items()}, norm


def clip_by_global_norm__divides_by_the_larger(grads, max_norm):
    norm = math.hypot(*(x for grad in grads.values() for x in np.ravel(grad)))
    return {k: grad * max_norm / max(norm, max_norm) for k, grad in grads.items()}, norm


# orthogonal_matrix


def orthogonal_matrix__polar(n, rng):
    U, _, Vt = np.linalg.svd(rng.normal(size=(n, n)))
    return U @ Vt


def orthogonal_matrix__random_column_signs(n, rng):
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * rng.choice([-1.0, 1.0], size=n)


def orthogonal_matrix__gram_schmidt(n, rng):
    Q = np.zeros((n, n))
    for j in range(n):
        v = rng.standard_normal(n)
        for _ in range(2):  # the second pass removes what rounding left
            v -= Q[:, :j] @ (Q[:, :j].T @ v)
        Q[:, j] = v / np.linalg.norm(v)
    return Q


def orthogonal_matrix__householder(n, rng):
    # Stewart (1980): a product of reflections in dimensions 1 to n that send e_1 to random directions.
    Q = np.array([[rng.choice([-1.0, 1.0])]])
    for size in range(2, n + 1):
        u = rng.standard_normal(size)
        u /= np.linalg.norm(u)
        v = u.copy()
        v[0] -= 1.0
        H = np.eye(size) - 2 * np.outer(v, v) / (v @ v)
        Q = H @ np.block([[np.eye(1), np.zeros((1, size - 1))], [np.zeros((size - 1, 1)), Q]])
    return Q


def orthogonal_matrix__rows_and_transposed(n, rng):
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return (Q @ np.diag(np.where(np.diag(R) < 0, -1.0, 1.0))).T


def orthogonal_matrix__rotation_and_a_coin(n, rng):
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    Q = Q * np.sign(np.diag(R))
    if np.linalg.det(Q) < 0:
        Q[:, -1] = -Q[:, -1]
    if rng.random() < 0.5:
        Q[:, 0] = -Q[:, 0]
    return Q
