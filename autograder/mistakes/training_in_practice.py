"""Chapter 8: how tasks, training steps and truncation go wrong."""

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.training_in_practice import (
    adding_problem,
    delayed_recall,
    detach_state,
    perplexity,
    split_parameters,
    tbptt_epoch,
    train_step,
)

# adding_problem


def _additions(T, B, rng, first=None, second=None, values=None):
    """The adding problem with other steps or other values: x, y, and what they are made of."""
    values = rng.random((T, B)) if values is None else values
    first = rng.integers(0, T // 2, size=B) if first is None else first
    second = rng.integers(T // 2, T, size=B) if second is None else second
    marks = np.zeros((T, B))
    marks[first, np.arange(B)] = 1.0
    marks[second, np.arange(B)] = 1.0
    return np.stack([values, marks], axis=2), np.sum(values * marks, axis=0)


@mistake_of("adding_problem")
def adding_problem__marks_two_steps_anywhere(T, B, rng):
    steps = np.array([rng.choice(T, size=2, replace=False) for _ in range(B)])
    return _additions(T, B, rng, *steps.T)


@mistake_of("adding_problem")
def adding_problem__may_mark_one_step_twice(T, B, rng):
    return _additions(T, B, rng, *rng.integers(0, T, size=(2, B)))


@mistake_of("adding_problem")
def adding_problem__draws_the_second_after_the_first(T, B, rng):
    first = rng.integers(0, T // 2, size=B)
    return _additions(T, B, rng, first, rng.integers(first + 1, T))


@mistake_of("adding_problem")
def adding_problem__lets_the_halves_overlap(T, B, rng):
    return _additions(T, B, rng, first=rng.integers(0, T // 2 + 1, size=B))


@mistake_of("adding_problem")
def adding_problem__leaves_the_middle_out(T, B, rng):
    return _additions(T, B, rng, second=rng.integers(T // 2 + 1, T, size=B))


@mistake_of("adding_problem")
def adding_problem__never_marks_the_last_step(T, B, rng):
    return _additions(T, B, rng, second=rng.integers(T // 2, T - 1, size=B))


@mistake_of("adding_problem")
def adding_problem__never_marks_the_end_of_the_first_half(T, B, rng):
    return _additions(T, B, rng, first=rng.integers(0, T // 2 - 1, size=B))


@mistake_of("adding_problem")
def adding_problem__cuts_an_odd_length_later(T, B, rng):
    half = (T + 1) // 2
    return _additions(T, B, rng, rng.integers(0, half, size=B), rng.integers(half, T, size=B))


@mistake_of("adding_problem")
def adding_problem__marks_all_sequences_alike(T, B, rng):
    return _additions(T, B, rng, rng.integers(0, T // 2), rng.integers(T // 2, T))


@mistake_of("adding_problem")
def adding_problem__keeps_the_markers_at_one_distance(T, B, rng):
    first = rng.integers(0, T // 2, size=B)
    return _additions(T, B, rng, first, first + T // 2)


@mistake_of("adding_problem")
def adding_problem__gives_all_sequences_the_same_values(T, B, rng):
    return _additions(T, B, rng, values=np.repeat(rng.random((T, 1)), B, axis=1))


@mistake_of("adding_problem")
def adding_problem__draws_values_from_minus_one(T, B, rng):
    return _additions(T, B, rng, values=rng.uniform(-1, 1, size=(T, B)))


@mistake_of("adding_problem")
def adding_problem__marks_the_ends_too(T, B, rng):
    x, y = adding_problem(T, B, rng)
    ends = x[[0, -1], :, 1]
    x[[0, -1], :, 1] = np.where(ends == 0, -1.0, ends)
    return x, y


@mistake_of("adding_problem")
def adding_problem__takes_the_mean(T, B, rng):
    x, y = adding_problem(T, B, rng)
    return x, y / 2


@mistake_of("adding_problem")
def adding_problem__multiplies_the_marked_values(T, B, rng):
    x, _ = adding_problem(T, B, rng)
    return x, np.where(x[..., 1] == 1, x[..., 0], 1.0).prod(axis=0)


@mistake_of("adding_problem")
def adding_problem__adds_all_values(T, B, rng):
    x, _ = adding_problem(T, B, rng)
    return x, x[..., 0].sum(axis=0)


@mistake_of("adding_problem")
def adding_problem__scales_the_sum_as_in_1997(T, B, rng):
    x, y = adding_problem(T, B, rng)
    return x, 0.5 + y / 4


@mistake_of("adding_problem")
def adding_problem__puts_the_markers_first(T, B, rng):
    x, y = adding_problem(T, B, rng)
    return x[..., ::-1], y


@mistake_of("adding_problem")
def adding_problem__returns_the_batch_first(T, B, rng):
    x, y = adding_problem(T, B, rng)
    return x.swapaxes(0, 1), y


@mistake_of("adding_problem")
def adding_problem__keeps_y_as_a_column(T, B, rng):
    x, y = adding_problem(T, B, rng)
    return x, y[:, None]


@mistake_of("adding_problem")
def adding_problem__repeats_the_sequences(T, B, rng):
    return adding_problem(T, B, np.random.default_rng(0))


@mistake_of("adding_problem")
def adding_problem__uses_another_generator(T, B, rng):
    return adding_problem(T, B, np.random.default_rng())


# delayed_recall


def _recalls(T, B, symbols, rng, first=None, rest=None):
    x = rng.integers(symbols, 2 * symbols, size=(T, B)) if rest is None else rest
    x[0] = rng.integers(0, symbols, size=B) if first is None else first
    return x, x[0].copy()


@mistake_of("delayed_recall")
def delayed_recall__lets_symbols_be_distractors(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, rest=rng.integers(0, symbols, size=(T, B)))


@mistake_of("delayed_recall")
def delayed_recall__lets_the_last_symbol_be_a_distractor(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, rest=rng.integers(symbols - 1, 2 * symbols, size=(T, B)))


@mistake_of("delayed_recall")
def delayed_recall__begins_with_a_distractor(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, first=rng.integers(symbols, 2 * symbols, size=B))


@mistake_of("delayed_recall")
def delayed_recall__draws_one_symbol_too_many(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, first=rng.integers(0, symbols + 1, size=B))


@mistake_of("delayed_recall")
def delayed_recall__counts_symbols_from_one(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, first=rng.integers(1, symbols + 1, size=B))


@mistake_of("delayed_recall")
def delayed_recall__never_draws_the_last_symbol(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, first=rng.integers(0, symbols - 1, size=B))


@mistake_of("delayed_recall")
def delayed_recall__never_draws_zero(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, first=rng.integers(1, symbols, size=B))


@mistake_of("delayed_recall")
def delayed_recall__asks_for_the_last_token(T, B, symbols, rng):
    x, _ = delayed_recall(T, B, symbols, rng)
    return x, x[-1]


@mistake_of("delayed_recall")
def delayed_recall__draws_the_answer_by_itself(T, B, symbols, rng):
    x, _ = delayed_recall(T, B, symbols, rng)
    return x, rng.integers(0, symbols, size=B)


@mistake_of("delayed_recall")
def delayed_recall__gives_all_sequences_one_symbol(T, B, symbols, rng):
    return _recalls(T, B, symbols, rng, first=rng.integers(0, symbols))


@mistake_of("delayed_recall")
def delayed_recall__repeats_the_first_tokens(T, B, symbols, rng):
    return delayed_recall(T, B, symbols, np.random.default_rng(0))


@mistake_of("delayed_recall")
def delayed_recall__adds_a_step(T, B, symbols, rng):
    return delayed_recall(T + 1, B, symbols, rng)


@mistake_of("delayed_recall")
def delayed_recall__returns_floats(T, B, symbols, rng):
    x, y = delayed_recall(T, B, symbols, rng)
    return x.astype(float), y.astype(float)


@mistake_of("delayed_recall")
def delayed_recall__returns_the_batch_first(T, B, symbols, rng):
    x, y = delayed_recall(T, B, symbols, rng)
    return x.T, y


@mistake_of("delayed_recall")
def delayed_recall__keeps_the_axis_of_time_in_y(T, B, symbols, rng):
    x, y = delayed_recall(T, B, symbols, rng)
    return x, y[None]


@mistake_of("delayed_recall")
def delayed_recall__makes_y_one_hot(T, B, symbols, rng):
    x, y = delayed_recall(T, B, symbols, rng)
    return x, np.eye(symbols)[y]


@mistake_of("delayed_recall")
def delayed_recall__uses_another_generator(T, B, symbols, rng):
    return delayed_recall(T, B, symbols, np.random.default_rng())


# train_step


def _clip(model, max_norm):
    import torch

    return torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)


def _gradients(model):
    return [p.grad for p in model.parameters() if p.grad is not None]


def _norm(model):
    return sum(float((grad**2).sum()) for grad in _gradients(model)) ** 0.5


def _step(model, loss_fn, optimizer, x, y, shorten):
    """One update in which `shorten` does what should be clipping."""
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    shorten()
    optimizer.step()
    return loss.item()


def _scale(model, factor):
    for grad in _gradients(model):
        grad *= factor


@mistake_of("train_step")
def train_step__never_clears_the_gradients(model, loss_fn, optimizer, x, y, max_norm):
    loss = loss_fn(model(x), y)
    loss.backward()
    _clip(model, max_norm)
    optimizer.step()
    return loss.item()


@mistake_of("train_step")
def train_step__clears_the_gradients_afterwards(model, loss_fn, optimizer, x, y, max_norm):
    loss = train_step__never_clears_the_gradients(model, loss_fn, optimizer, x, y, max_norm)
    optimizer.zero_grad()
    return loss


@mistake_of("train_step")
def train_step__clears_the_gradients_before_the_step(model, loss_fn, optimizer, x, y, max_norm):
    return _step(model, loss_fn, optimizer, x, y, optimizer.zero_grad)


@mistake_of("train_step")
def train_step__never_clips(model, loss_fn, optimizer, x, y, max_norm):
    return _step(model, loss_fn, optimizer, x, y, lambda: None)


@mistake_of("train_step")
def train_step__clips_each_entry(model, loss_fn, optimizer, x, y, max_norm):
    import torch

    shorten = lambda: torch.nn.utils.clip_grad_value_(model.parameters(), max_norm)  # noqa: E731
    return _step(model, loss_fn, optimizer, x, y, shorten)


@mistake_of("train_step")
def train_step__clips_each_parameter(model, loss_fn, optimizer, x, y, max_norm):
    import torch

    def shorten():
        for parameter in model.parameters():
            torch.nn.utils.clip_grad_norm_(parameter, max_norm)

    return _step(model, loss_fn, optimizer, x, y, shorten)


@mistake_of("train_step")
def train_step__always_rescales(model, loss_fn, optimizer, x, y, max_norm):
    shorten = lambda: _scale(model, max_norm / _norm(model))  # noqa: E731
    return _step(model, loss_fn, optimizer, x, y, shorten)


@mistake_of("train_step")
def train_step__rescales_to_one(model, loss_fn, optimizer, x, y, max_norm):
    shorten = lambda: _scale(model, 1 / max(_norm(model), 1.0))  # noqa: E731
    return _step(model, loss_fn, optimizer, x, y, shorten)


@mistake_of("train_step")
def train_step__clips_the_largest_entry(model, loss_fn, optimizer, x, y, max_norm):
    def shorten():
        largest = max(float(grad.abs().max()) for grad in _gradients(model))
        _scale(model, min(1.0, max_norm / largest))

    return _step(model, loss_fn, optimizer, x, y, shorten)


@mistake_of("train_step")
def train_step__returns_the_loss_after_the_update(model, loss_fn, optimizer, x, y, max_norm):
    train_step(model, loss_fn, optimizer, x, y, max_norm)
    return loss_fn(model(x), y).item()


@mistake_of("train_step")
def train_step__returns_the_tensor(model, loss_fn, optimizer, x, y, max_norm):
    loss = loss_fn(model(x), y)
    train_step(model, loss_fn, optimizer, x, y, max_norm)
    return loss


@mistake_of("train_step")
def train_step__returns_the_norm(model, loss_fn, optimizer, x, y, max_norm):
    norms = []
    _step(model, loss_fn, optimizer, x, y, lambda: norms.append(_clip(model, max_norm).item()))
    return norms[0]


@mistake_of("train_step")
def train_step__returns_nothing(model, loss_fn, optimizer, x, y, max_norm):
    train_step(model, loss_fn, optimizer, x, y, max_norm)


@mistake_of("train_step")
def train_step__exchanges_prediction_and_target(model, loss_fn, optimizer, x, y, max_norm):
    return train_step(model, lambda out, y: loss_fn(y, out), optimizer, x, y, max_norm)


@mistake_of("train_step")
def train_step__climbs_instead_of_descending(model, loss_fn, optimizer, x, y, max_norm):
    return -train_step(model, lambda out, y: -loss_fn(out, y), optimizer, x, y, max_norm)


@mistake_of("train_step")
def train_step__updates_twice(model, loss_fn, optimizer, x, y, max_norm):
    loss = train_step(model, loss_fn, optimizer, x, y, max_norm)
    optimizer.step()
    return loss


# detach_state


def _map(state, change):
    """The same nesting, with `change` applied to its tensors."""
    if isinstance(state, dict):
        return {key: _map(part, change) for key, part in state.items()}
    if isinstance(state, (tuple, list)):
        return type(state)(_map(part, change) for part in state)
    return None if state is None else change(state)


@mistake_of("detach_state")
def detach_state__stays_in_the_graph(state):
    return _map(state, lambda tensor: tensor.clone())


@mistake_of("detach_state")
def detach_state__starts_from_zeros(state):
    return _map(state, lambda tensor: 0 * tensor.detach())


@mistake_of("detach_state")
def detach_state__cuts_in_place(state):
    return _map(state, lambda tensor: tensor.detach_())


@mistake_of("detach_state")
def detach_state__writes_into_the_containers(state):
    if isinstance(state, (list, dict)):
        for key in state if isinstance(state, dict) else range(len(state)):
            state[key] = detach_state__writes_into_the_containers(state[key])
        return state
    if isinstance(state, tuple):
        return tuple(map(detach_state__writes_into_the_containers, state))
    return detach_state(state)


@mistake_of("detach_state")
def detach_state__makes_lists_of_tuples(state):
    if isinstance(state, (tuple, list)):
        return [detach_state__makes_lists_of_tuples(part) for part in state]
    if isinstance(state, dict):
        return {key: detach_state__makes_lists_of_tuples(part) for key, part in state.items()}
    return detach_state(state)


@mistake_of("detach_state")
def detach_state__makes_tuples_of_lists(state):
    if isinstance(state, (tuple, list)):
        return tuple(detach_state__makes_tuples_of_lists(part) for part in state)
    if isinstance(state, dict):
        return {key: detach_state__makes_tuples_of_lists(part) for key, part in state.items()}
    return detach_state(state)


@mistake_of("detach_state")
def detach_state__leaves_deeper_states_as_they_are(state):
    def one_level(part):
        return part if isinstance(part, (tuple, list, dict)) else detach_state(part)

    if isinstance(state, (tuple, list)):
        return type(state)(map(one_level, state))
    if isinstance(state, dict):
        return {key: one_level(part) for key, part in state.items()}
    return detach_state(state)


@mistake_of("detach_state")
def detach_state__leaves_dicts_as_they_are(state):
    if isinstance(state, (tuple, list)):
        return type(state)(detach_state__leaves_dicts_as_they_are(part) for part in state)
    return state if isinstance(state, dict) else detach_state(state)


@mistake_of("detach_state")
def detach_state__leaves_None_out(state):
    if isinstance(state, dict):
        return {key: detach_state__leaves_None_out(part) for key, part in state.items()}
    if isinstance(state, (tuple, list)):
        return type(state)(detach_state__leaves_None_out(p) for p in state if p is not None)
    return detach_state(state)


@mistake_of("detach_state")
def detach_state__returns_arrays(state):
    return _map(state, lambda tensor: tensor.detach().numpy())


@mistake_of("detach_state")
def detach_state__leaves_learned_states(state):
    return _map(state, lambda tensor: tensor if tensor.grad_fn is None else tensor.detach())


# tbptt_epoch


def _windows(x, y, window):
    for start in range(0, len(x), window):
        yield x[start : start + window], y[start : start + window]


def _epoch(
    model, loss_fn, optimizer, windows, shorten, carry=detach_state, clear=True, retain=False
):
    """Truncated backpropagation over these windows, with `carry` between them."""
    state, losses = None, []
    for x, y in windows:
        if clear:
            optimizer.zero_grad()
        out, state = model(x, carry(state))
        loss = loss_fn(out, y)
        loss.backward(retain_graph=retain)
        shorten()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _usual(model, x, y, window, max_norm):
    return _windows(x, y, window), lambda: _clip(model, max_norm)


@mistake_of("tbptt_epoch")
def tbptt_epoch__does_not_cut_the_state(model, loss_fn, optimizer, x, y, window, max_norm):
    usual = _usual(model, x, y, window, max_norm)
    return _epoch(model, loss_fn, optimizer, *usual, carry=lambda state: state)


@mistake_of("tbptt_epoch")
def tbptt_epoch__retains_the_graph(model, loss_fn, optimizer, x, y, window, max_norm):
    usual = _usual(model, x, y, window, max_norm)
    return _epoch(model, loss_fn, optimizer, *usual, carry=lambda state: state, retain=True)


@mistake_of("tbptt_epoch")
def tbptt_epoch__does_not_carry_the_state(model, loss_fn, optimizer, x, y, window, max_norm):
    usual = _usual(model, x, y, window, max_norm)
    return _epoch(model, loss_fn, optimizer, *usual, carry=lambda state: None)


@mistake_of("tbptt_epoch")
def tbptt_epoch__carries_only_h(model, loss_fn, optimizer, x, y, window, max_norm):
    def carry(state):
        state = detach_state(state)
        return (state[0], 0 * state[1]) if isinstance(state, tuple) else state

    usual = _usual(model, x, y, window, max_norm)
    return _epoch(model, loss_fn, optimizer, *usual, carry=carry)


@mistake_of("tbptt_epoch")
def tbptt_epoch__cuts_only_h(model, loss_fn, optimizer, x, y, window, max_norm):
    def carry(state):
        return (state[0].detach(), state[1]) if isinstance(state, tuple) else detach_state(state)

    usual = _usual(model, x, y, window, max_norm)
    return _epoch(model, loss_fn, optimizer, *usual, carry=carry)


@mistake_of("tbptt_epoch")
def tbptt_epoch__goes_step_by_step(model, loss_fn, optimizer, x, y, window, max_norm):
    return tbptt_epoch(model, loss_fn, optimizer, x, y, 1, max_norm)


@mistake_of("tbptt_epoch")
def tbptt_epoch__reads_each_window_twice(model, loss_fn, optimizer, x, y, window, max_norm):
    state, losses = None, []
    for part, targets in _windows(x, y, window):
        start = state
        losses.append(_one_window(model, loss_fn, optimizer, part, targets, start, max_norm))
        state = detach_state(model(part, start)[1])
    return losses


def _one_window(model, loss_fn, optimizer, x, y, state, max_norm):
    def read(x):
        return model(x, state)[0]

    return _step(read, loss_fn, optimizer, x, y, lambda: _clip(model, max_norm))


@mistake_of("tbptt_epoch")
def tbptt_epoch__drops_the_last_window(model, loss_fn, optimizer, x, y, window, max_norm):
    whole = len(x) // window * window
    return tbptt_epoch(model, loss_fn, optimizer, x[:whole], y[:whole], window, max_norm)


@mistake_of("tbptt_epoch")
def tbptt_epoch__updates_once(model, loss_fn, optimizer, x, y, window, max_norm):
    state, losses = None, []
    optimizer.zero_grad()
    for part, targets in _windows(x, y, window):
        out, state = model(part, detach_state(state))
        loss = loss_fn(out, targets)
        loss.backward()
        losses.append(loss.item())
    _clip(model, max_norm)
    optimizer.step()
    return losses


@mistake_of("tbptt_epoch")
def tbptt_epoch__reads_all_at_once(model, loss_fn, optimizer, x, y, window, max_norm):
    return tbptt_epoch(model, loss_fn, optimizer, x, y, len(x), max_norm)


@mistake_of("tbptt_epoch")
def tbptt_epoch__slides_the_window(model, loss_fn, optimizer, x, y, window, max_norm):
    last = max(1, len(x) - window + 1)
    windows = ((x[t : t + window], y[t : t + window]) for t in range(last))
    return _epoch(model, loss_fn, optimizer, windows, lambda: _clip(model, max_norm))


@mistake_of("tbptt_epoch")
def tbptt_epoch__cuts_along_the_batch(model, loss_fn, optimizer, x, y, window, max_norm):
    B = x.shape[1]
    cuts = [slice(start, start + window) for start in range(0, B, window)]
    windows = ((x[:, cut], y[:, cut]) for cut in cuts)
    return _epoch(model, loss_fn, optimizer, windows, lambda: _clip(model, max_norm))


@mistake_of("tbptt_epoch")
def tbptt_epoch__never_clears_the_gradients(model, loss_fn, optimizer, x, y, window, max_norm):
    usual = _usual(model, x, y, window, max_norm)
    return _epoch(model, loss_fn, optimizer, *usual, clear=False)


@mistake_of("tbptt_epoch")
def tbptt_epoch__never_clips(model, loss_fn, optimizer, x, y, window, max_norm):
    return tbptt_epoch(model, loss_fn, optimizer, x, y, window, 1e9)


@mistake_of("tbptt_epoch")
def tbptt_epoch__clips_each_entry(model, loss_fn, optimizer, x, y, window, max_norm):
    import torch

    shorten = lambda: torch.nn.utils.clip_grad_value_(model.parameters(), max_norm)  # noqa: E731
    return _epoch(model, loss_fn, optimizer, _windows(x, y, window), shorten)


@mistake_of("tbptt_epoch")
def tbptt_epoch__returns_the_mean(model, loss_fn, optimizer, x, y, window, max_norm):
    losses = tbptt_epoch(model, loss_fn, optimizer, x, y, window, max_norm)
    return sum(losses) / len(losses)


@mistake_of("tbptt_epoch")
def tbptt_epoch__returns_the_sum(model, loss_fn, optimizer, x, y, window, max_norm):
    return sum(tbptt_epoch(model, loss_fn, optimizer, x, y, window, max_norm))


@mistake_of("tbptt_epoch")
def tbptt_epoch__returns_tensors(model, loss_fn, optimizer, x, y, window, max_norm):
    import torch

    losses = tbptt_epoch(model, loss_fn, optimizer, x, y, window, max_norm)
    return [torch.tensor(loss) for loss in losses]


@mistake_of("tbptt_epoch")
def tbptt_epoch__returns_the_last_loss(model, loss_fn, optimizer, x, y, window, max_norm):
    return tbptt_epoch(model, loss_fn, optimizer, x, y, window, max_norm)[-1:]


# perplexity


@mistake_of("perplexity")
def perplexity__counts_the_padding(nll, mask):
    return float(np.exp(nll.mean()))


@mistake_of("perplexity")
def perplexity__divides_by_all_positions(nll, mask):
    return float(np.exp((nll * mask).mean()))


@mistake_of("perplexity")
def perplexity__divides_by_the_steps(nll, mask):
    return float(np.exp(nll[mask].sum() / len(nll)))


@mistake_of("perplexity")
def perplexity__turns_the_mask_round(nll, mask):
    return float(np.exp(np.mean(nll[~mask])))


def _exp_of_the_mean_of_means(nll, mask, axis):
    counts = mask.sum(axis=axis)
    means = (nll * mask).sum(axis=axis)[counts > 0] / counts[counts > 0]
    return float(np.exp(means.mean()))


@mistake_of("perplexity")
def perplexity__averages_over_the_sequences_first(nll, mask):
    return _exp_of_the_mean_of_means(nll, mask, axis=0)


@mistake_of("perplexity")
def perplexity__averages_over_the_steps_first(nll, mask):
    return _exp_of_the_mean_of_means(nll, mask, axis=1)


@mistake_of("perplexity")
def perplexity__averages_the_exponentials(nll, mask):
    return float(np.mean(np.exp(nll[mask])))


@mistake_of("perplexity")
def perplexity__takes_powers_of_two(nll, mask):
    return float(2 ** np.mean(nll[mask]))


@mistake_of("perplexity")
def perplexity__returns_the_mean(nll, mask):
    return float(np.mean(nll[mask]))


@mistake_of("perplexity")
def perplexity__returns_bits(nll, mask):
    return float(np.mean(nll[mask]) / np.log(2))


@mistake_of("perplexity")
def perplexity__exponentiates_bits(nll, mask):
    return float(np.exp(np.mean(nll[mask]) / np.log(2)))


@mistake_of("perplexity")
def perplexity__returns_the_inverse(nll, mask):
    return float(np.exp(-np.mean(nll[mask])))


@mistake_of("perplexity")
def perplexity__takes_the_sum(nll, mask):
    return float(np.exp(np.sum(nll[mask])))


@mistake_of("perplexity")
def perplexity__multiplies_probabilities(nll, mask):
    return float(np.prod(np.exp(-nll[mask])) ** (-1 / mask.sum()))


@mistake_of("perplexity")
def perplexity__gives_one_for_each_sequence(nll, mask):
    return np.exp((nll * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1))


@mistake_of("perplexity")
def perplexity__writes_into_the_losses(nll, mask):
    right = perplexity(nll, mask)
    nll *= mask
    return right


# split_parameters


def _trainable(model):
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def _split(pairs, first):
    """Two lists of parameters: those for which first(name, parameter) holds, and the others."""
    groups = [], []
    for name, parameter in pairs:
        groups[0 if first(name, parameter) else 1].append(parameter)
    return groups


@mistake_of("split_parameters")
def split_parameters__goes_by_the_name(model):
    return _split(_trainable(model), lambda name, p: "bias" not in name)


@mistake_of("split_parameters")
def split_parameters__looks_for_weight_and_bias(model):
    pairs = _trainable(model)
    return [[p for name, p in pairs if word in name] for word in ("weight", "bias")]


@mistake_of("split_parameters")
def split_parameters__decays_matrices_only(model):
    return _split(_trainable(model), lambda name, p: p.ndim == 2)


@mistake_of("split_parameters")
def split_parameters__spares_single_numbers_only(model):
    return _split(_trainable(model), lambda name, p: p.ndim >= 1)


@mistake_of("split_parameters")
def split_parameters__decays_everything(model):
    return _split(_trainable(model), lambda name, p: True)


@mistake_of("split_parameters")
def split_parameters__leaves_single_numbers_out(model):
    decay, no_decay = split_parameters(model)
    return decay, [p for p in no_decay if p.ndim == 1]


@mistake_of("split_parameters")
def split_parameters__spares_the_embeddings(model):
    return _split(_trainable(model), lambda name, p: p.ndim >= 2 and "embed" not in name)


@mistake_of("split_parameters")
def split_parameters__exchanges_the_lists(model):
    return split_parameters(model)[::-1]


@mistake_of("split_parameters")
def split_parameters__keeps_frozen_parameters(model):
    return _split(model.named_parameters(), lambda name, p: p.ndim >= 2)


@mistake_of("split_parameters")
def split_parameters__lists_tied_parameters_twice(model):
    every = model.named_parameters(remove_duplicate=False)
    return _split([pair for pair in every if pair[1].requires_grad], lambda name, p: p.ndim >= 2)


@mistake_of("split_parameters")
def split_parameters__lists_parameters_of_each_level(model):
    pairs = [("", p) for part in model.modules() for p in part.parameters() if p.requires_grad]
    return _split(pairs, lambda name, p: p.ndim >= 2)


@mistake_of("split_parameters")
def split_parameters__stays_at_the_surface(model):
    parts = [model, *model.children()]
    found = {id(p): p for part in parts for p in part.parameters(recurse=False)}
    pairs = [("", p) for p in found.values() if p.requires_grad]
    return _split(pairs, lambda name, p: p.ndim >= 2)


@mistake_of("split_parameters")
def split_parameters__returns_names(model):
    pairs = _trainable(model)
    return [name for name, p in pairs if p.ndim >= 2], [name for name, p in pairs if p.ndim < 2]


@mistake_of("split_parameters")
def split_parameters__returns_pairs(model):
    pairs = _trainable(model)
    return [pair for pair in pairs if pair[1].ndim >= 2], [p for p in pairs if p[1].ndim < 2]


@mistake_of("split_parameters")
def split_parameters__returns_copies(model):
    return [[p.detach() for p in group] for group in split_parameters(model)]


@mistake_of("split_parameters")
def split_parameters__returns_groups_for_an_optimiser(model):
    decay, no_decay = split_parameters(model)
    return [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}]
