"""Chapter 2: right answers, written otherwise than the reference."""

import itertools

import numpy as np


def rnn_step_backward__einsum(dh_next, x, h, h_next, W_x, W_h):
    da = (1 + h_next) * (1 - h_next) * dh_next
    dx = np.einsum("bh,hd->bd", da, W_x)
    dh = np.einsum("bh,hk->bk", da, W_h)
    return [dx, dh, np.einsum("bh,bd->hd", da, x), np.einsum("bh,bk->hk", da, h), sum(da)]


def rnn_step_backward__loops(dh_next, x, h, h_next, W_x, W_h):
    (B, D), H = x.shape, len(W_h)
    dx, dh = np.zeros((B, D)), np.zeros((B, H))
    dW_x, dW_h, db = np.zeros((H, D)), np.zeros((H, H)), np.zeros(H)
    for n in range(B):
        for i in range(H):
            da = dh_next[n, i] - dh_next[n, i] * h_next[n, i] ** 2
            db[i] += da
            for d in range(D):
                dx[n, d] += da * W_x[i, d]
                dW_x[i, d] += da * x[n, d]
            for j in range(H):
                dh[n, j] += da * W_h[i, j]
                dW_h[i, j] += da * h[n, j]
    return dx, dh, dW_x, dW_h, db


def rnn_step_backward__one_stacked_matrix(dh_next, x, h, h_next, W_x, W_h):
    D = x.shape[1]
    W, z = np.hstack([W_x, W_h]), np.hstack([x, h, np.ones((len(x), 1))])
    da = dh_next / np.cosh(np.arctanh(h_next)) ** 2
    dz, dW = da @ W, (z.T @ da).T
    return dz[:, :D], dz[:, D:], dW[:, :D], dW[:, D:-1], dW[:, -1]


def rnn_backward__all_steps_at_once_at_the_end(dhs, x, h0, hs, W_x, W_h):
    das, dh = [], 0.0
    for dh_own, h in zip(dhs[::-1], hs[::-1], strict=True):
        das.insert(0, (dh_own + dh) * (1 - h * h))
        dh = das[0] @ W_h
    da = np.stack(das)
    return {
        "b": da.sum((0, 1)),
        "W_h": np.tensordot(da, np.vstack([h0[None], hs])[:-1], axes=((0, 1), (0, 1))),
        "W_x": np.einsum("tbh,tbd->hd", da, x),
        "h0": dh,
        "x": da @ W_x,
    }


def rnn_backward__every_loss_by_itself(dhs, x, h0, hs, W_x, W_h):
    """For every pair of steps s <= t, the part of the loss at t that reaches step s."""
    grads = {"x": 0 * x, "h0": 0 * h0, "W_x": 0 * W_x, "W_h": 0 * W_h, "b": 0 * W_h[0]}
    for t in range(len(x)):
        dh = dhs[t]
        for s in range(t, -1, -1):
            da = dh * (1 - hs[s] ** 2)
            grads["x"][s] += np.dot(da, W_x)
            grads["W_x"] += np.dot(x[s].T, da).T
            grads["W_h"] += np.dot(da.T, hs[s - 1] if s else h0)
            grads["b"] += np.ones(len(da)) @ da
            dh = np.dot(da, W_h)
        grads["h0"] += dh
    return grads


def numerical_gradient__in_place(f, x, eps=1e-5):
    grad = np.zeros_like(x, order="C")
    it = np.nditer(x, flags=["multi_index", "zerosize_ok"])
    while not it.finished:
        i = it.multi_index
        old = x[i].copy()
        x[i] += eps
        up = f(x)
        x[i] = old
        x[i] -= eps
        down = f(x)
        x[i] = old
        grad[i] = 0.5 * (up - down) / eps
        it.iternext()
    return grad


def numerical_gradient__on_copies(f, x, eps=1e-5):
    steps = eps * np.eye(x.size).reshape(x.size, *x.shape)
    sides = [(f(x + step) - f(x - step)) / (eps + eps) for step in steps]
    return np.array(sides).reshape(x.shape)


def numerical_gradient__through_flat(f, x, eps=1e-5):
    """Shifts a running copy by 2 eps; its own step is exact only up to rounding."""
    point, grad = np.array(x), []
    for i in range(x.size):
        point.flat[i] += eps
        above = f(point)
        point.flat[i] -= 2 * eps
        grad.append(above / (2 * eps) - f(point) / (2 * eps))
        point.flat[i] += eps
    return np.reshape(grad, x.shape)


def relative_error__python_loop(a, b):
    worst = 0.0
    for p, q in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        worst = max(worst, abs(p - q) / max(1e-8, abs(p) + abs(q)))
    return worst


def relative_error__clip(a, b):
    size = np.clip(abs(a) + abs(b), 1e-8, None)
    return np.asarray(np.abs((b - a) / size).max())


def relative_error__infinity_norm(a, b):
    size = abs(a) + abs(b)
    size[size < 1e-8] = 1e-8
    return np.linalg.norm((np.abs(a - b) / size).ravel(), ord=np.inf)


def state_gradients__jacobians(dh_last, hs, W_h):
    """The product of the steps' Jacobians, one sequence at a time."""
    T, B, H = hs.shape
    out = np.zeros((T, B, H))
    for n in range(B):
        J = np.eye(H)
        for t in range(T - 1, -1, -1):
            out[t, n] = dh_last[n] @ J
            J = J @ (np.diag(1 - hs[t, n] ** 2) @ W_h)
    return out


def state_gradients__accumulate(dh_last, hs, W_h):
    back = itertools.accumulate(
        hs[:0:-1], lambda dh, h: np.einsum("bi,ij->bj", dh - dh * h * h, W_h), initial=dh_last
    )
    return np.array(list(back)[::-1])


def truncated_rnn_backward__one_loop(dhs, x, h0, hs, W_x, W_h, window):
    T = len(x)
    da, carry = np.zeros(hs.shape), np.zeros(h0.shape)
    for t in range(T - 1, -1, -1):
        da[t] = (dhs[t] + carry) * (1 - hs[t] ** 2)
        carry = da[t] @ W_h
        if t % window == 0 and t > 0:
            carry = carry * 0
    before = np.concatenate((h0[np.newaxis], hs))[:T].reshape(-1, len(W_h))
    flat = da.reshape(-1, len(W_h))
    return {
        "x": np.einsum("tbh,hd->tbd", da, W_x),
        "h0": carry,
        "W_x": flat.T @ x.reshape(len(flat), -1),
        "W_h": flat.T @ before,
        "b": flat.sum(0),
    }


def truncated_rnn_backward__a_forward_loop_over_blocks(dhs, x, h0, hs, W_x, W_h, window):
    grads = {"x": [], "h0": None, "W_x": 0 * W_x, "W_h": 0 * W_h, "b": np.zeros(len(W_h))}
    h = h0
    for start in range(0, len(x), window):
        stop = min(start + window, len(x))
        dh, rows = np.zeros(h0.shape), []
        for t in range(stop - 1, start - 1, -1):
            da = (dhs[t] + dh) * (1 - hs[t] ** 2)
            dh, before = da @ W_h, h if t == start else hs[t - 1]
            for n in range(len(da)):
                grads["W_x"] += np.outer(da[n], x[t, n])
                grads["W_h"] += np.outer(da[n], before[n])
                grads["b"] += da[n]
            rows.append(da @ W_x)
        grads["x"] += rows[::-1]
        grads["h0"] = dh if start == 0 else grads["h0"]
        h = hs[stop - 1]
    grads["x"] = np.array(grads["x"])
    return grads
