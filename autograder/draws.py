"""How the numbers of cases are drawn: so that nothing can be left out, exchanged or flipped unseen."""

import numpy as np


def away_from_zero(
    rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float
) -> np.ndarray:
    """Numbers between low and high in size, of both signs, as many of one as of the other."""
    size = int(np.prod(shape))
    signs = rng.permutation(np.resize([-1.0, 1.0], size))
    return (signs * rng.uniform(low, high, size)).reshape(shape)
