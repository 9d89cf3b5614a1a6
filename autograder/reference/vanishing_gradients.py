"""Chapter 3: how a gradient shrinks or grows on its way back through the steps."""

import numpy as np


def step_jacobian(h_next: np.ndarray, W_h: np.ndarray) -> np.ndarray:
    """The Jacobian dh_next/dh = diag(1 - h_next**2) W_h of one tanh step (Bengio et al., 1994).

    h_next (H,), the state after the step; W_h (H, H) -> (H, H), entry [i, j] = dh_next[i]/dh[j]
    """
    slope = 1.0 - h_next**2
    return slope[:, None] * W_h


def jacobian_product_norms(hs: np.ndarray, W_h: np.ndarray) -> np.ndarray:
    """How much a gradient can grow over each lag: spectral norms of products of step Jacobians.

    hs (T, H), the states after each step; W_h (H, H) -> (T,), entry k the spectral norm of
    dh_{T-1}/dh_{T-1-k} = J_{T-1} J_{T-2} ... J_{T-k}; entry 0 is 1 (Pascanu et al., 2013, sec. 2).
    """
    T, H = hs.shape
    product = np.eye(H)
    norms = np.ones(T)
    for k in range(1, T):
        product = product @ step_jacobian(hs[T - k], W_h)
        norms[k] = np.linalg.norm(product, 2)
    return norms


def spectral_radius(W: np.ndarray) -> float:
    """The largest absolute value of an eigenvalue, real or complex. W (H, H)."""
    return float(np.max(np.abs(np.linalg.eigvals(W))))


def spectral_norm(W: np.ndarray) -> float:
    """The largest singular value: the most by which W stretches a vector. W (H, H)."""
    return float(np.linalg.svd(W, compute_uv=False)[0])


def rescale_to_spectral_radius(W: np.ndarray, rho: float) -> np.ndarray:
    """A new array: W times the number that makes its spectral radius `rho`.

    W (H, H) with a radius that is not 0; rho >= 0 -> (H, H)
    """
    return W * (rho / spectral_radius(W))


def gradient_bound(W_h: np.ndarray, lag: int, slope: float = 1.0) -> float:
    """The bound on the norm of dh_t/dh_{t-lag} (Pascanu et al., 2013, section 2.1).

    W_h (H, H); lag >= 0 steps; slope, the largest derivative of the nonlinearity (1 for tanh)
    -> (slope * spectral norm of W_h) ** lag
    """
    return float((slope * spectral_norm(W_h)) ** lag)


def memory_horizon(norms: np.ndarray, threshold: float) -> int:
    """The first lag whose norm is strictly below `threshold`, or len(norms). norms (T,)."""
    below = np.flatnonzero(norms < threshold)
    return int(below[0]) if below.size else len(norms)


def clip_by_global_norm(
    grads: dict[str, np.ndarray], max_norm: float
) -> tuple[dict[str, np.ndarray], float]:
    """Shorten gradients, as one long vector, to `max_norm` (Pascanu et al., 2013, algorithm 1).

    grads, arrays of any shapes by name; max_norm > 0 -> (clipped, norm): a dict with the same keys,
    and the norm before clipping. Gradients within the limit come back unchanged.
    """
    norm = float(np.sqrt(sum(np.sum(grad**2) for grad in grads.values())))
    if norm <= max_norm:
        return dict(grads), norm
    return {name: grad * (max_norm / norm) for name, grad in grads.items()}, norm


def orthogonal_matrix(n: int, rng: np.random.Generator) -> np.ndarray:
    """A random (n, n) orthogonal matrix, Haar distributed (Mezzadri, 2007, section 5).

    The QR decomposition of a Gaussian matrix is unique only up to the signs of R's diagonal, and
    LAPACK's choice of them is not uniform; with that diagonal made positive, Q is Haar distributed.
    """
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * np.sign(np.diag(R))
