"""Chapter 8: right answers that differ from the references as ideas."""

import itertools
import math

import numpy as np

# adding_problem


def adding_problem__one_sequence_at_a_time(T, B, rng):
    x, y = np.zeros((T, B, 2)), np.zeros(B)
    for n in range(B):
        i, j = int(rng.integers(T // 2)), int(rng.integers(T // 2, T))
        x[:, n, 0] = rng.uniform(size=T)
        x[[i, j], n, 1] = 1
        y[n] = x[i, n, 0] + x[j, n, 0]
    return x, y


def adding_problem__one_hot_rows(T, B, rng):
    half = T // 2
    marks = np.concatenate(
        [np.eye(half)[rng.choice(half, B)], np.eye(T - half)[rng.choice(T - half, B)]], axis=1
    ).T
    values = 1 - rng.uniform(0, 1, size=(B, T)).T
    values[values == 1] = 0.0
    return [np.dstack([values, marks]), np.einsum("tb,tb->b", values, marks)]


def adding_problem__largest_of_random_keys(T, B, rng):
    keys = rng.normal(size=(B, T))
    first = keys[:, : T // 2].argmax(axis=1)
    second = T // 2 + keys[:, T // 2 :].argmin(axis=1)
    steps = np.arange(T)[:, None]
    marks = ((steps == first) | (steps == second)).astype(float)
    values = rng.random((T, B))
    return np.stack((values, marks), axis=-1), values[first, range(B)] + values[second, range(B)]


def adding_problem__in_float32(T, B, rng):
    x = np.zeros((T, B, 2), dtype=np.float32)
    x[..., 0] = rng.random((T, B), dtype=np.float32)
    for low, high in ((0, T // 2), (T // 2, T)):
        np.put_along_axis(x[..., 1], rng.integers(low, high, (1, B)), 1.0, axis=0)
    return x, x.prod(axis=2).sum(axis=0)


# delayed_recall


def delayed_recall__joined(T, B, symbols, rng):
    first = rng.integers(symbols, size=(1, B))
    rest = rng.integers(symbols, symbols + 100, size=(T - 1, B))
    return np.concatenate([first, rest]), first[0]


def delayed_recall__one_distractor_only(T, B, symbols, rng):
    x = np.full((T, B), symbols, dtype=np.int32)
    x[0] = np.floor(rng.random(B) * symbols)
    return [x, x[0]]


def delayed_recall__by_choice(T, B, symbols, rng):
    y = rng.choice(symbols, size=B).astype(np.uint8)
    x = np.stack([y.astype(np.int64)] + [rng.permutation(B) + symbols for _ in range(T - 1)])
    return x, y


def delayed_recall__a_loop(T, B, symbols, rng):
    x = np.zeros((T, B), dtype=int)
    for n, t in itertools.product(range(B), range(T)):
        x[t, n] = rng.integers(0, symbols) + (symbols if t else 0)
    return x, np.array([x[0, n] for n in range(B)])


# train_step


def train_step__by_hand(model, loss_fn, optimizer, x, y, max_norm):
    import torch

    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    loss = loss_fn(model(x), y)
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.sqrt(sum((grad**2).sum() for grad in grads))
    if norm > max_norm:
        for grad in grads:
            grad.mul_(max_norm / norm)
    optimizer.step()
    return float(loss)


def train_step__autograd_grad(model, loss_fn, optimizer, x, y, max_norm):
    import torch

    parameters = [p for p in model.parameters() if p.requires_grad]
    model.train()
    loss = loss_fn(model(x), y)
    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
    norm = math.sqrt(sum(float(g.pow(2).sum()) for g in grads if g is not None))
    factor = min(1.0, max_norm / (norm + 1e-6))
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = None if grad is None else grad * factor
    optimizer.step()
    return loss.detach().numpy()


def train_step__closure(model, loss_fn, optimizer, x, y, max_norm):
    import torch

    def closure():
        model.zero_grad(set_to_none=True)
        loss = loss_fn(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm, norm_type=2)
        return loss

    result = optimizer.step(closure).item()
    optimizer.zero_grad(set_to_none=False)
    return np.float64(result)


# detach_state


def detach_state__match(state):
    match state:
        case tuple():
            return tuple([detach_state__match(part) for part in state])
        case list():
            return list(map(detach_state__match, state))
        case dict():
            return dict(zip(state, map(detach_state__match, state.values()), strict=True))
        case None:
            return state
    return state.data.clone()


def detach_state__new_leaves(state):
    import torch

    if isinstance(state, torch.Tensor):
        return torch.tensor(state.detach().numpy()).requires_grad_()
    if isinstance(state, dict):
        return {key: detach_state__new_leaves(state[key]) for key in sorted(state)}
    return state if state is None else type(state)([detach_state__new_leaves(s) for s in state])


def detach_state__by_tree_map(state):
    import torch
    from torch.utils._pytree import tree_map

    def cut(leaf):
        with torch.no_grad():
            return leaf.clone() if isinstance(leaf, torch.Tensor) else leaf

    return tree_map(cut, state)


# tbptt_epoch


def tbptt_epoch__split(model, loss_fn, optimizer, x, y, window, max_norm):
    import torch

    state, losses = None, ()
    for part, targets in zip(x.split(window), y.split(window), strict=True):
        out, state = model(part, state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        loss = loss_fn(out, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        losses += (float(loss),)
    return losses


def tbptt_epoch__while(model, loss_fn, optimizer, x, y, window, max_norm):
    import torch

    losses, state, t = np.zeros(-(-x.shape[0] // window)), None, 0
    while t * window < x.shape[0]:
        inputs, targets = (each[t * window : min((t + 1) * window, len(x))] for each in (x, y))
        out, state = model(inputs, state) if t else model(inputs, None)
        loss = loss_fn(out, targets)
        parameters = list(model.parameters())
        grads = torch.autograd.grad(loss, parameters)
        norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in grads]))
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad * torch.clamp(max_norm / norm, max=1.0)
        optimizer.step()
        state = [s.data for s in state] if isinstance(state, tuple) else state.data.clone()
        losses[t] = loss.item()
        t += 1
    return losses


def tbptt_epoch__recursive(model, loss_fn, optimizer, x, y, window, max_norm, state=None):
    import torch

    if not len(x):
        return []
    optimizer.zero_grad()
    out, state = model(x[:window], state)
    loss = loss_fn(out, y[:window])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    carried = [part.detach() for part in state] if isinstance(state, tuple) else state.detach()
    rest = tbptt_epoch__recursive(
        model, loss_fn, optimizer, x[window:], y[window:], window, max_norm, carried
    )
    return [loss.item(), *rest]


# perplexity


def perplexity__weighted_mean(nll, mask):
    return np.exp(np.average(nll, weights=mask))


def perplexity__sums(nll, mask):
    return np.asarray(math.exp((nll * mask).sum() / mask.sum()))


def perplexity__geometric_mean_in_bits(nll, mask):
    bits = [value / math.log(2) for value, real in zip(nll.flat, mask.flat, strict=True) if real]
    return 2 ** (sum(bits) / len(bits))


def perplexity__masked_array(nll, mask):
    return float(np.exp(np.ma.array(nll, mask=~mask).mean()))


# split_parameters


def split_parameters__by_dim(model):
    decay, no_decay = [], []
    for _, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.dim() > 1:
            decay.append(parameter)
        else:
            no_decay.append(parameter)
    return decay, no_decay


def split_parameters__walk_and_remember(model):
    seen, groups = set(), {True: [], False: []}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None and id(parameter) not in seen and parameter.requires_grad:
                seen.add(id(parameter))
                groups[len(parameter.shape) >= 2].append(parameter)
    return [groups[True], groups[False]]


def split_parameters__sorted_and_cut(model):
    trainable = sorted(filter(lambda p: p.requires_grad, model.parameters()), key=lambda p: -p.ndim)
    cut = sum(p.ndim >= 2 for p in trainable)
    return tuple(trainable[:cut]), tuple(trainable[cut:])
