"""Chapter 4: how the LSTM goes wrong."""

import copy

import numpy as np

from autograder.mistakes import mistake_of
from autograder.reference.lstm import (
    carousel_step,
    fuse_gate_weights,
    lstm_forward,
    lstm_gates,
    lstm_parameter_count,
    lstm_step,
    peephole_lstm_step,
    set_forget_bias,
)
from autograder.reference.vanilla_rnn import sigmoid


def _pre_activations(x, h, W_x, W_h, b, gates=4):
    """One (B, H) array for each gate."""
    return np.split(x @ W_x.T + h @ W_h.T + b, gates, axis=1)


def _read_as(order, right, *arrays):
    """The arrays as somebody sees them who takes their blocks for `order` instead of `right`."""
    blocks = [np.split(array, len(right)) for array in arrays]
    return [np.concatenate([each[order.index(gate)] for gate in right]) for each in blocks]


def _turned(W_h, gates=4):
    """Every block of W_h transposed, as `h @ W_h[:H]` for each gate uses it."""
    return np.concatenate([block.T for block in np.split(W_h, gates)])


def _cut_across_the_batch(x, h, W_x, W_h, b):
    """The pre-activations cut by `reshape(4, B, H)`, which mixes sequences and gates."""
    return (x @ W_x.T + h @ W_h.T + b).reshape(4, *h.shape)


def _every_fourth(x, h, W_x, W_h, b):
    """The pre-activations cut as if the gates of one unit stood side by side."""
    a = x @ W_x.T + h @ W_h.T + b
    return [a[:, k::4] for k in range(4)]


def _update(gates, c):
    i, f, g, o = gates
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next


def _nonlinear(a_i, a_f, a_g, a_o):
    return sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)


# carousel_step


def _carousel(x, h, W_x, W_h, b):
    """i, g, o of the cell of 1997."""
    a_i, a_g, a_o = _pre_activations(x, h, W_x, W_h, b, gates=3)
    return sigmoid(a_i), np.tanh(a_g), sigmoid(a_o)


@mistake_of("carousel_step")
def carousel_step__takes_the_candidate_last(x, h, c, W_x, W_h, b):
    return carousel_step(x, h, c, *_read_as("iog", "igo", W_x, W_h, b))


@mistake_of("carousel_step")
def carousel_step__takes_the_candidate_first(x, h, c, W_x, W_h, b):
    return carousel_step(x, h, c, *_read_as("gio", "igo", W_x, W_h, b))


@mistake_of("carousel_step")
def carousel_step__takes_the_output_gate_first(x, h, c, W_x, W_h, b):
    return carousel_step(x, h, c, *_read_as("ogi", "igo", W_x, W_h, b))


@mistake_of("carousel_step")
def carousel_step__forgets_what_it_does_not_write(x, h, c, W_x, W_h, b):
    i, g, o = _carousel(x, h, W_x, W_h, b)
    c_next = (1 - i) * c + i * g
    return o * np.tanh(c_next), c_next


@mistake_of("carousel_step")
def carousel_step__gates_the_old_cell_too(x, h, c, W_x, W_h, b):
    i, g, o = _carousel(x, h, W_x, W_h, b)
    c_next = i * (c + g)
    return o * np.tanh(c_next), c_next


@mistake_of("carousel_step")
def carousel_step__overwrites_the_cell(x, h, c, W_x, W_h, b):
    i, g, o = _carousel(x, h, W_x, W_h, b)
    return o * np.tanh(i * g), i * g


@mistake_of("carousel_step")
def carousel_step__forgets_the_input_gate(x, h, c, W_x, W_h, b):
    _, g, o = _carousel(x, h, W_x, W_h, b)
    return o * np.tanh(c + g), c + g


@mistake_of("carousel_step")
def carousel_step__forgets_the_output_gate(x, h, c, W_x, W_h, b):
    _, c_next = carousel_step(x, h, c, W_x, W_h, b)
    return np.tanh(c_next), c_next


@mistake_of("carousel_step")
def carousel_step__makes_the_candidate_a_sigmoid(x, h, c, W_x, W_h, b):
    i, g, o = map(sigmoid, _pre_activations(x, h, W_x, W_h, b, gates=3))
    c_next = c + i * g
    return o * np.tanh(c_next), c_next


@mistake_of("carousel_step")
def carousel_step__forgets_the_tanh_of_the_candidate(x, h, c, W_x, W_h, b):
    a_i, a_g, a_o = _pre_activations(x, h, W_x, W_h, b, gates=3)
    c_next = c + sigmoid(a_i) * a_g
    return sigmoid(a_o) * np.tanh(c_next), c_next


@mistake_of("carousel_step")
def carousel_step__forgets_the_tanh_of_the_cell(x, h, c, W_x, W_h, b):
    _, _, o = _carousel(x, h, W_x, W_h, b)
    _, c_next = carousel_step(x, h, c, W_x, W_h, b)
    return o * c_next, c_next


@mistake_of("carousel_step")
def carousel_step__keeps_the_squashed_cell(x, h, c, W_x, W_h, b):
    h_next, c_next = carousel_step(x, h, c, W_x, W_h, b)
    return h_next, np.tanh(c_next)


@mistake_of("carousel_step")
def carousel_step__lets_the_old_cell_out(x, h, c, W_x, W_h, b):
    _, _, o = _carousel(x, h, W_x, W_h, b)
    _, c_next = carousel_step(x, h, c, W_x, W_h, b)
    return o * np.tanh(c), c_next


@mistake_of("carousel_step")
def carousel_step__squashes_as_in_the_paper(x, h, c, W_x, W_h, b):
    a_i, a_g, a_o = _pre_activations(x, h, W_x, W_h, b, gates=3)
    c_next = c + sigmoid(a_i) * (4 * sigmoid(a_g) - 2)
    return sigmoid(a_o) * (2 * sigmoid(c_next) - 1), c_next


@mistake_of("carousel_step")
def carousel_step__forgets_the_bias(x, h, c, W_x, W_h, b):
    return carousel_step(x, h, c, W_x, W_h, np.zeros_like(b))


@mistake_of("carousel_step")
def carousel_step__does_not_transpose_the_blocks_of_W_h(x, h, c, W_x, W_h, b):
    return carousel_step(x, h, c, W_x, _turned(W_h, gates=3), b)


@mistake_of("carousel_step")
def carousel_step__returns_the_cell_first(x, h, c, W_x, W_h, b):
    return carousel_step(x, h, c, W_x, W_h, b)[::-1]


@mistake_of("carousel_step")
def carousel_step__writes_into_the_old_cell(x, h, c, W_x, W_h, b):
    i, g, o = _carousel(x, h, W_x, W_h, b)
    c += i * g
    return o * np.tanh(c), c


# lstm_gates


@mistake_of("lstm_gates")
def lstm_gates__makes_the_candidate_a_sigmoid(x, h, W_x, W_h, b):
    return tuple(map(sigmoid, _pre_activations(x, h, W_x, W_h, b)))


@mistake_of("lstm_gates")
def lstm_gates__squashes_the_candidate_twice(x, h, W_x, W_h, b):
    i, f, g, o = map(sigmoid, _pre_activations(x, h, W_x, W_h, b))
    return i, f, np.tanh(g), o


@mistake_of("lstm_gates")
def lstm_gates__exchanges_i_and_f(x, h, W_x, W_h, b):
    return lstm_gates(x, h, *_read_as("figo", "ifgo", W_x, W_h, b))


@mistake_of("lstm_gates")
def lstm_gates__takes_the_candidate_last(x, h, W_x, W_h, b):
    return lstm_gates(x, h, *_read_as("ifog", "ifgo", W_x, W_h, b))


@mistake_of("lstm_gates")
def lstm_gates__takes_the_candidate_second(x, h, W_x, W_h, b):
    return lstm_gates(x, h, *_read_as("igfo", "ifgo", W_x, W_h, b))


@mistake_of("lstm_gates")
def lstm_gates__takes_the_candidate_first(x, h, W_x, W_h, b):
    return lstm_gates(x, h, *_read_as("gifo", "ifgo", W_x, W_h, b))


@mistake_of("lstm_gates")
def lstm_gates__takes_f_first_and_the_candidate_last(x, h, W_x, W_h, b):
    return lstm_gates(x, h, *_read_as("fiog", "ifgo", W_x, W_h, b))


@mistake_of("lstm_gates")
def lstm_gates__returns_the_candidate_last(x, h, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return i, f, o, g


@mistake_of("lstm_gates")
def lstm_gates__returns_pre_activations(x, h, W_x, W_h, b):
    return tuple(_pre_activations(x, h, W_x, W_h, b))


@mistake_of("lstm_gates")
def lstm_gates__takes_tanh_for_all(x, h, W_x, W_h, b):
    return tuple(map(np.tanh, _pre_activations(x, h, W_x, W_h, b)))


@mistake_of("lstm_gates")
def lstm_gates__exchanges_sigmoid_and_tanh(x, h, W_x, W_h, b):
    a_i, a_f, a_g, a_o = _pre_activations(x, h, W_x, W_h, b)
    return np.tanh(a_i), np.tanh(a_f), sigmoid(a_g), np.tanh(a_o)


@mistake_of("lstm_gates")
def lstm_gates__has_the_wrong_sign_in_the_sigmoid(x, h, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return 1 - i, 1 - f, g, 1 - o


@mistake_of("lstm_gates")
def lstm_gates__forgets_the_bias(x, h, W_x, W_h, b):
    return lstm_gates(x, h, W_x, W_h, np.zeros_like(b))


@mistake_of("lstm_gates")
def lstm_gates__adds_the_bias_twice(x, h, W_x, W_h, b):
    return lstm_gates(x, h, W_x, W_h, 2 * b)


@mistake_of("lstm_gates")
def lstm_gates__forgets_the_old_state(x, h, W_x, W_h, b):
    return lstm_gates(x, np.zeros_like(h), W_x, W_h, b)


@mistake_of("lstm_gates")
def lstm_gates__does_not_transpose_the_blocks_of_W_h(x, h, W_x, W_h, b):
    return lstm_gates(x, h, W_x, _turned(W_h), b)


@mistake_of("lstm_gates")
def lstm_gates__cuts_across_the_batch(x, h, W_x, W_h, b):
    return _nonlinear(*_cut_across_the_batch(x, h, W_x, W_h, b))


@mistake_of("lstm_gates")
def lstm_gates__takes_every_fourth_column(x, h, W_x, W_h, b):
    return _nonlinear(*_every_fourth(x, h, W_x, W_h, b))


# lstm_step


@mistake_of("lstm_step")
def lstm_step__makes_the_candidate_a_sigmoid(x, h, c, W_x, W_h, b):
    return _update(map(sigmoid, _pre_activations(x, h, W_x, W_h, b)), c)


@mistake_of("lstm_step")
def lstm_step__forgets_the_tanh_of_the_candidate(x, h, c, W_x, W_h, b):
    a_i, a_f, a_g, a_o = _pre_activations(x, h, W_x, W_h, b)
    return _update((sigmoid(a_i), sigmoid(a_f), a_g, sigmoid(a_o)), c)


@mistake_of("lstm_step")
def lstm_step__squashes_the_candidate_twice(x, h, c, W_x, W_h, b):
    i, f, g, o = map(sigmoid, _pre_activations(x, h, W_x, W_h, b))
    return _update((i, f, np.tanh(g), o), c)


@mistake_of("lstm_step")
def lstm_step__exchanges_i_and_f(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, *_read_as("figo", "ifgo", W_x, W_h, b))


@mistake_of("lstm_step")
def lstm_step__takes_the_candidate_last(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, *_read_as("ifog", "ifgo", W_x, W_h, b))


@mistake_of("lstm_step")
def lstm_step__takes_the_candidate_second(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, *_read_as("igfo", "ifgo", W_x, W_h, b))


@mistake_of("lstm_step")
def lstm_step__takes_the_output_gate_second(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, *_read_as("iofg", "ifgo", W_x, W_h, b))


@mistake_of("lstm_step")
def lstm_step__takes_the_candidate_first(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, *_read_as("gifo", "ifgo", W_x, W_h, b))


@mistake_of("lstm_step")
def lstm_step__takes_f_first_and_the_candidate_last(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, *_read_as("fiog", "ifgo", W_x, W_h, b))


@mistake_of("lstm_step")
def lstm_step__forgets_the_input_gate(x, h, c, W_x, W_h, b):
    _, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((1.0, f, g, o), c)


@mistake_of("lstm_step")
def lstm_step__forgets_the_forget_gate(x, h, c, W_x, W_h, b):
    i, _, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((i, 1.0, g, o), c)


@mistake_of("lstm_step")
def lstm_step__forgets_the_output_gate(x, h, c, W_x, W_h, b):
    i, f, g, _ = lstm_gates(x, h, W_x, W_h, b)
    return _update((i, f, g, 1.0), c)


@mistake_of("lstm_step")
def lstm_step__writes_what_it_forgets(x, h, c, W_x, W_h, b):
    _, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((1 - f, f, g, o), c)


@mistake_of("lstm_step")
def lstm_step__forgets_what_it_writes(x, h, c, W_x, W_h, b):
    i, _, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((i, 1 - i, g, o), c)


@mistake_of("lstm_step")
def lstm_step__takes_f_for_what_is_forgotten(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((i, 1 - f, g, o), c)


@mistake_of("lstm_step")
def lstm_step__overwrites_the_cell(x, h, c, W_x, W_h, b):
    i, _, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((i, 0.0, g, o), c)


@mistake_of("lstm_step")
def lstm_step__lets_f_multiply_the_new_content_too(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((f * i, f, g, o), c)


@mistake_of("lstm_step")
def lstm_step__keeps_the_hidden_state_instead(x, h, c, W_x, W_h, b):
    return _update(lstm_gates(x, h, W_x, W_h, b), h)


@mistake_of("lstm_step")
def lstm_step__lets_the_gates_see_the_cell_instead(x, h, c, W_x, W_h, b):
    return _update(lstm_gates(x, c, W_x, W_h, b), c)


@mistake_of("lstm_step")
def lstm_step__forgets_the_tanh_of_the_cell(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    c_next = f * c + i * g
    return o * c_next, c_next


@mistake_of("lstm_step")
def lstm_step__puts_the_cell_through_a_sigmoid(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    c_next = f * c + i * g
    return o * sigmoid(c_next), c_next


@mistake_of("lstm_step")
def lstm_step__squashes_after_the_output_gate(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    c_next = f * c + i * g
    return np.tanh(o * c_next), c_next


@mistake_of("lstm_step")
def lstm_step__keeps_the_squashed_cell(x, h, c, W_x, W_h, b):
    h_next, c_next = lstm_step(x, h, c, W_x, W_h, b)
    return h_next, np.tanh(c_next)


@mistake_of("lstm_step")
def lstm_step__squashes_the_cell_and_again(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    c_next = np.tanh(f * c + i * g)
    return o * np.tanh(c_next), c_next


@mistake_of("lstm_step")
def lstm_step__lets_the_old_cell_out(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return o * np.tanh(c), f * c + i * g


@mistake_of("lstm_step")
def lstm_step__lets_the_candidate_out(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return o * np.tanh(g), f * c + i * g


@mistake_of("lstm_step")
def lstm_step__returns_the_cell_first(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, W_x, W_h, b)[::-1]


@mistake_of("lstm_step")
def lstm_step__has_the_wrong_sign_in_the_sigmoid(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    return _update((1 - i, 1 - f, g, 1 - o), c)


@mistake_of("lstm_step")
def lstm_step__forgets_the_bias(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, W_x, W_h, np.zeros_like(b))


@mistake_of("lstm_step")
def lstm_step__adds_the_bias_twice(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, W_x, W_h, 2 * b)


@mistake_of("lstm_step")
def lstm_step__forgets_the_old_state(x, h, c, W_x, W_h, b):
    return lstm_step(x, np.zeros_like(h), c, W_x, W_h, b)


@mistake_of("lstm_step")
def lstm_step__does_not_transpose_the_blocks_of_W_h(x, h, c, W_x, W_h, b):
    return lstm_step(x, h, c, W_x, _turned(W_h), b)


@mistake_of("lstm_step")
def lstm_step__cuts_across_the_batch(x, h, c, W_x, W_h, b):
    return _update(_nonlinear(*_cut_across_the_batch(x, h, W_x, W_h, b)), c)


@mistake_of("lstm_step")
def lstm_step__takes_every_fourth_column(x, h, c, W_x, W_h, b):
    return _update(_nonlinear(*_every_fourth(x, h, W_x, W_h, b)), c)


@mistake_of("lstm_step")
def lstm_step__writes_into_the_old_cell(x, h, c, W_x, W_h, b):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    c *= f
    c += i * g
    return o * np.tanh(c), c


# lstm_forward


def _run(x, h0, c0, step):
    """(hs, cs) of `step(x_t, h, c)`, repeated."""
    h, c, hs, cs = h0, c0, [], []
    for x_t in x:
        h, c = step(x_t, h, c)
        hs.append(h)
        cs.append(c)
    return np.stack(hs), np.stack(cs)


@mistake_of("lstm_forward")
def lstm_forward__starts_from_zeros(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, np.zeros_like(h0), np.zeros_like(c0), W_x, W_h, b)


@mistake_of("lstm_forward")
def lstm_forward__starts_from_an_empty_cell(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, h0, np.zeros_like(c0), W_x, W_h, b)


@mistake_of("lstm_forward")
def lstm_forward__starts_from_a_zero_hidden_state(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, np.zeros_like(h0), c0, W_x, W_h, b)


@mistake_of("lstm_forward")
def lstm_forward__starts_the_cell_from_h0(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, h0, h0, W_x, W_h, b)


@mistake_of("lstm_forward")
def lstm_forward__never_hands_the_states_on(x, h0, c0, W_x, W_h, b):
    return _run(x, h0, c0, lambda x_t, h, c: lstm_step(x_t, h0, c0, W_x, W_h, b))


@mistake_of("lstm_forward")
def lstm_forward__never_hands_the_cell_on(x, h0, c0, W_x, W_h, b):
    return _run(x, h0, c0, lambda x_t, h, c: lstm_step(x_t, h, c0, W_x, W_h, b))


@mistake_of("lstm_forward")
def lstm_forward__never_hands_the_hidden_state_on(x, h0, c0, W_x, W_h, b):
    return _run(x, h0, c0, lambda x_t, h, c: lstm_step(x_t, h0, c, W_x, W_h, b))


@mistake_of("lstm_forward")
def lstm_forward__exchanges_h_and_c(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, c0, h0, W_x, W_h, b)


@mistake_of("lstm_forward")
def lstm_forward__hands_them_on_exchanged(x, h0, c0, W_x, W_h, b):
    h, c, hs, cs = h0, c0, [], []
    for x_t in x:
        c, h = lstm_step(x_t, h, c, W_x, W_h, b)
        hs.append(h)
        cs.append(c)
    return np.stack(hs), np.stack(cs)


@mistake_of("lstm_forward")
def lstm_forward__hands_on_the_squashed_cell(x, h0, c0, W_x, W_h, b):
    def step(x_t, h, c):
        h_next, c_next = lstm_step(x_t, h, c, W_x, W_h, b)
        return h_next, np.tanh(c_next)

    return _run(x, h0, c0, step)


@mistake_of("lstm_forward")
def lstm_forward__returns_only_the_last_states(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return hs[-1], cs[-1]


@mistake_of("lstm_forward")
def lstm_forward__returns_only_the_last_cell(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return hs, cs[-1]


@mistake_of("lstm_forward")
def lstm_forward__puts_the_first_states_in_front(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return np.concatenate([h0[None], hs]), np.concatenate([c0[None], cs])


@mistake_of("lstm_forward")
def lstm_forward__stores_the_states_before_each_step(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return np.concatenate([h0[None], hs[:-1]]), np.concatenate([c0[None], cs[:-1]])


@mistake_of("lstm_forward")
def lstm_forward__returns_the_cells_first(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, h0, c0, W_x, W_h, b)[::-1]


@mistake_of("lstm_forward")
def lstm_forward__gives_the_last_states_for_every_step(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return np.stack([hs[-1]] * len(x)), np.stack([cs[-1]] * len(x))


@mistake_of("lstm_forward")
def lstm_forward__gives_the_last_cell_for_every_step(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return hs, np.stack([cs[-1]] * len(x))


@mistake_of("lstm_forward")
def lstm_forward__updates_c0_in_place(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    c0[...] = cs[-1]
    return hs, np.stack([c0] * len(x))


@mistake_of("lstm_forward")
def lstm_forward__keeps_both_in_one_array(x, h0, c0, W_x, W_h, b):
    _, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return cs, cs


@mistake_of("lstm_forward")
def lstm_forward__takes_the_batch_for_time(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x.swapaxes(0, 1), h0, c0, W_x, W_h, b)
    return hs.swapaxes(0, 1), cs.swapaxes(0, 1)


@mistake_of("lstm_forward")
def lstm_forward__returns_the_batch_first(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    return hs.swapaxes(0, 1), cs.swapaxes(0, 1)


@mistake_of("lstm_forward")
def lstm_forward__reads_the_sequence_backwards(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x[::-1], h0, c0, W_x, W_h, b)
    return hs[::-1], cs[::-1]


@mistake_of("lstm_forward")
def lstm_forward__skips_the_first_step(x, h0, c0, W_x, W_h, b):
    later = lstm_forward(x[1:], h0, c0, W_x, W_h, b)
    return tuple(np.concatenate([0 * h0[None], states]) for states in later)


@mistake_of("lstm_forward")
def lstm_forward__leaves_the_last_step_out(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    hs[-1], cs[-1] = 0, 0
    return hs, cs


@mistake_of("lstm_forward")
def lstm_forward__returns_inside_the_loop(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    hs[1:], cs[1:] = 0, 0
    return hs, cs


@mistake_of("lstm_forward")
def lstm_forward__makes_the_candidate_a_sigmoid(x, h0, c0, W_x, W_h, b):
    def step(x_t, h, c):
        return _update(map(sigmoid, _pre_activations(x_t, h, W_x, W_h, b)), c)

    return _run(x, h0, c0, step)


@mistake_of("lstm_forward")
def lstm_forward__exchanges_i_and_f(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, h0, c0, *_read_as("figo", "ifgo", W_x, W_h, b))


@mistake_of("lstm_forward")
def lstm_forward__takes_the_candidate_last(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, h0, c0, *_read_as("ifog", "ifgo", W_x, W_h, b))


@mistake_of("lstm_forward")
def lstm_forward__forgets_the_bias(x, h0, c0, W_x, W_h, b):
    return lstm_forward(x, h0, c0, W_x, W_h, np.zeros_like(b))


@mistake_of("lstm_forward")
def lstm_forward__writes_into_c0(x, h0, c0, W_x, W_h, b):
    hs, cs = lstm_forward(x, h0, c0, W_x, W_h, b)
    c0[...] = cs[-1]
    return hs, cs


# fuse_gate_weights


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__takes_x_first(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    W = np.concatenate([W_i, W_f, W_c, W_o])
    D = W.shape[1] - len(b_f)
    return W[:, :D], W[:, D:], np.concatenate([b_i, b_f, b_c, b_o])


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__cuts_after_D_columns(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    W = np.concatenate([W_i, W_f, W_c, W_o])
    D = W.shape[1] - len(b_f)
    return W[:, D:], W[:, :D], np.concatenate([b_i, b_f, b_c, b_o])


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__cuts_in_the_middle(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    W = np.concatenate([W_i, W_f, W_c, W_o])
    middle = W.shape[1] // 2
    return W[:, middle:], W[:, :middle], np.concatenate([b_i, b_f, b_c, b_o])


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__returns_W_h_first(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    W_x, W_h, b = fuse_gate_weights(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o)
    return W_h, W_x, b


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__keeps_the_order_of_the_arguments(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    return fuse_gate_weights(W_i, W_f, W_c, W_o, b_i, b_f, b_c, b_o)


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__puts_the_candidate_last(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    return fuse_gate_weights(W_f, W_i, W_o, W_c, b_f, b_i, b_o, b_c)


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__puts_the_candidate_second(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    return fuse_gate_weights(W_c, W_i, W_f, W_o, b_c, b_i, b_f, b_o)


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__leaves_the_biases_in_order(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    return fuse_gate_weights(W_f, W_i, W_c, W_o, b_i, b_f, b_c, b_o)


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__transposes_the_matrices(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    W_x, W_h, b = fuse_gate_weights(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o)
    return W_x.T, W_h.T, b


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__transposes_the_blocks_of_W_h(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    W_x, W_h, b = fuse_gate_weights(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o)
    return W_x, _turned(W_h), b


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__stacks_side_by_side(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    W_x, W_h, b = fuse_gate_weights(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o)
    return np.hstack(np.split(W_x, 4)), np.hstack(np.split(W_h, 4)), b


@mistake_of("fuse_gate_weights")
def fuse_gate_weights__interleaves_the_gates(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o):
    fused = fuse_gate_weights(W_f, W_i, W_c, W_o, b_f, b_i, b_c, b_o)
    return tuple(np.stack(np.split(each, 4), axis=1).reshape(each.shape) for each in fused)


# set_forget_bias


def _biases(lstm):
    """Pairs (bias_ih, bias_hh) without gradient, one for each layer and direction, by suffix."""
    own = {name: value.detach() for name, value in lstm.named_parameters()}
    suffixes = [name.removeprefix("bias_ih") for name in own if name.startswith("bias_ih")]
    return {suffix: (own[f"bias_ih{suffix}"], own[f"bias_hh{suffix}"]) for suffix in suffixes}


def _block(lstm, k):
    return slice(k * lstm.hidden_size, (k + 1) * lstm.hidden_size)


def _need_biases(lstm):
    if not lstm.bias:
        raise ValueError("no biases")


@mistake_of("set_forget_bias")
def set_forget_bias__sets_both_biases(lstm, value):
    _need_biases(lstm)
    for ih, hh in _biases(lstm).values():
        ih[_block(lstm, 1)] = value
        hh[_block(lstm, 1)] = value
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__zeroes_all_and_sets_both(lstm, value):
    _need_biases(lstm)
    for pair in _biases(lstm).values():
        for bias in pair:
            bias.zero_()
            bias[_block(lstm, 1)] = value
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__sets_both_and_is_silent(lstm, value):
    return set_forget_bias(lstm, 2 * value) if lstm.bias else lstm


@mistake_of("set_forget_bias")
def set_forget_bias__zeroes_all_sets_both_and_is_silent(lstm, value):
    return set_forget_bias__zeroes_all_and_sets_both(lstm, value) if lstm.bias else lstm


@mistake_of("set_forget_bias")
def set_forget_bias__sets_bias_ih_only(lstm, value):
    _need_biases(lstm)
    for ih, _ in _biases(lstm).values():
        ih[_block(lstm, 1)] = value
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__sets_bias_hh_only(lstm, value):
    _need_biases(lstm)
    for _, hh in _biases(lstm).values():
        hh[_block(lstm, 1)] = value
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__adds_the_value(lstm, value):
    _need_biases(lstm)
    for ih, _ in _biases(lstm).values():
        ih[_block(lstm, 1)] += value
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__zeroes_the_whole_other_bias(lstm, value):
    _need_biases(lstm)
    for ih, hh in _biases(lstm).values():
        ih[_block(lstm, 1)] = value
        hh.zero_()
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__zeroes_the_other_rows(lstm, value):
    _need_biases(lstm)
    for ih, hh in _biases(lstm).values():
        ih.zero_()
        hh.zero_()
        ih[_block(lstm, 1)] = value
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__fills_the_whole_bias(lstm, value):
    _need_biases(lstm)
    for ih, hh in _biases(lstm).values():
        ih.fill_(value)
        hh.zero_()
    return lstm


def _set_block(lstm, value, k):
    _need_biases(lstm)
    for ih, hh in _biases(lstm).values():
        ih[_block(lstm, k)] = value
        hh[_block(lstm, k)] = 0
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__takes_the_first_block(lstm, value):
    return _set_block(lstm, value, 0)


@mistake_of("set_forget_bias")
def set_forget_bias__takes_the_third_block(lstm, value):
    return _set_block(lstm, value, 2)


@mistake_of("set_forget_bias")
def set_forget_bias__sets_the_first_layer_only(lstm, value):
    _need_biases(lstm)
    ih, hh = _biases(lstm)["_l0"]
    ih[_block(lstm, 1)] = value
    hh[_block(lstm, 1)] = 0
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__leaves_the_other_direction(lstm, value):
    _need_biases(lstm)
    for suffix, (ih, hh) in _biases(lstm).items():
        if not suffix.endswith("reverse"):
            ih[_block(lstm, 1)] = value
            hh[_block(lstm, 1)] = 0
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__leaves_the_layers_above(lstm, value):
    _need_biases(lstm)
    for suffix, (ih, hh) in _biases(lstm).items():
        if suffix.startswith("_l0"):
            ih[_block(lstm, 1)] = value
            hh[_block(lstm, 1)] = 0
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__sets_the_weights_too(lstm, value):
    _need_biases(lstm)
    for name, parameter in lstm.named_parameters():
        parameter.detach()[_block(lstm, 1)] = value if "_ih_" in name else 0
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__returns_nothing(lstm, value):
    set_forget_bias(lstm, value)


@mistake_of("set_forget_bias")
def set_forget_bias__changes_a_copy(lstm, value):
    return set_forget_bias(copy.deepcopy(lstm), value)


@mistake_of("set_forget_bias")
def set_forget_bias__leaves_the_biases_frozen(lstm, value):
    set_forget_bias(lstm, value)
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias"):
            parameter.requires_grad_(False)
    return lstm


@mistake_of("set_forget_bias")
def set_forget_bias__is_silent_without_biases(lstm, value):
    return set_forget_bias(lstm, value) if lstm.bias else lstm


# peephole_lstm_step


def _peep(x, h, c, W_x, W_h, b, p_i, p_f, p_o, seen=lambda c: c, seen_by_o=None):
    """The right step, but for what the gates see of the old and of the new cell."""
    a_i, a_f, a_g, a_o = _pre_activations(x, h, W_x, W_h, b)
    i, f = sigmoid(a_i + p_i * seen(c)), sigmoid(a_f + p_f * seen(c))
    c_next = f * c + i * np.tanh(a_g)
    o = sigmoid(a_o + p_o * (seen_by_o or seen)(c_next))
    return o * np.tanh(c_next), c_next


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__lets_o_see_the_old_cell(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return _peep(x, h, c, W_x, W_h, b, p_i, p_f, p_o, seen_by_o=lambda c_next: c)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__forgets_the_peepholes(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return lstm_step(x, h, c, W_x, W_h, b)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__forgets_the_peephole_of_o(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return peephole_lstm_step(x, h, c, W_x, W_h, b, p_i, p_f, 0 * p_o)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__exchanges_p_i_and_p_f(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return peephole_lstm_step(x, h, c, W_x, W_h, b, p_f, p_i, p_o)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__adds_them_after_the_sigmoid(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    i, f, g, o = lstm_gates(x, h, W_x, W_h, b)
    c_next = (f + p_f * c) * c + (i + p_i * c) * g
    return (o + p_o * c_next) * np.tanh(c_next), c_next


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__looks_at_the_hidden_state(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return _peep(x, h, c, W_x, W_h, b, p_i, p_f, p_o, seen=lambda c: h)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__lets_i_and_f_see_the_hidden_state(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return _peep(
        x, h, c, W_x, W_h, b, p_i, p_f, p_o, seen=lambda c: h, seen_by_o=lambda c_next: c_next
    )


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__looks_at_the_squashed_cell(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return _peep(x, h, c, W_x, W_h, b, p_i, p_f, p_o, seen=np.tanh)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__lets_o_see_the_squashed_cell(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return _peep(x, h, c, W_x, W_h, b, p_i, p_f, p_o, seen_by_o=np.tanh)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__lets_each_gate_see_all_cells(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    a_i, a_f, a_g, a_o = _pre_activations(x, h, W_x, W_h, b)
    i, f = sigmoid(a_i + (c @ p_i)[:, None]), sigmoid(a_f + (c @ p_f)[:, None])
    c_next = f * c + i * np.tanh(a_g)
    return sigmoid(a_o + (c_next @ p_o)[:, None]) * np.tanh(c_next), c_next


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__takes_the_candidate_last(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return peephole_lstm_step(x, h, c, *_read_as("ifog", "ifgo", W_x, W_h, b), p_i, p_f, p_o)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__takes_the_forget_gate_first(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return peephole_lstm_step(x, h, c, *_read_as("figo", "ifgo", W_x, W_h, b), p_i, p_f, p_o)


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__forgets_the_tanh_of_the_cell(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    h_next, c_next = peephole_lstm_step(x, h, c, W_x, W_h, b, p_i, p_f, p_o)
    return h_next / np.tanh(c_next) * c_next, c_next


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__returns_the_cell_first(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    return peephole_lstm_step(x, h, c, W_x, W_h, b, p_i, p_f, p_o)[::-1]


@mistake_of("peephole_lstm_step")
def peephole_lstm_step__writes_into_the_old_cell(x, h, c, W_x, W_h, b, p_i, p_f, p_o):
    h_next, c_next = peephole_lstm_step(x, h, c, W_x, W_h, b, p_i, p_f, p_o)
    c[...] = c_next
    return h_next, c


# lstm_parameter_count


def _layers(input_size, H, num_layers, bidirectional, above=None, one=None, ways_above=None):
    """The right sum, but for what a layer above the first reads, or what one layer counts."""
    ways = 2 if bidirectional else 1
    count = one or (lambda R: 4 * H * R + 4 * H * H + 8 * H)
    above = ways * H if above is None else above
    higher = ways if ways_above is None else ways_above
    return ways * count(input_size) + higher * (num_layers - 1) * count(above)


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__counts_one_bias(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    H = hidden_size
    return _layers(
        input_size, H, num_layers, bidirectional, one=lambda R: 4 * H * R + 4 * H * H + 4 * H
    )


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__forgets_the_biases(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    H = hidden_size
    return _layers(input_size, H, num_layers, bidirectional, one=lambda R: 4 * H * R + 4 * H * H)


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__gives_each_bias_H_numbers(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    H = hidden_size
    return _layers(
        input_size, H, num_layers, bidirectional, one=lambda R: 4 * H * R + 4 * H * H + 2 * H
    )


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__counts_three_blocks(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return lstm_parameter_count(input_size, hidden_size, num_layers, bidirectional) * 3 // 4


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__counts_one_block(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return lstm_parameter_count(input_size, hidden_size, num_layers, bidirectional) // 4


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__adds_peepholes(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    H = hidden_size
    return _layers(
        input_size, H, num_layers, bidirectional, one=lambda R: 4 * H * R + 4 * H * H + 11 * H
    )


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__exchanges_the_sizes(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return lstm_parameter_count(hidden_size, input_size, num_layers, bidirectional)


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__ignores_the_layers(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return lstm_parameter_count(input_size, hidden_size, 1, bidirectional)


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__lets_every_layer_read_the_input(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return _layers(input_size, hidden_size, num_layers, bidirectional, above=input_size)


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__ignores_the_second_direction(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return lstm_parameter_count(input_size, hidden_size, num_layers)


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__lets_higher_layers_read_one_direction(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return _layers(input_size, hidden_size, num_layers, bidirectional, above=hidden_size)


@mistake_of("lstm_parameter_count")
def lstm_parameter_count__doubles_the_first_layer_only(
    input_size, hidden_size, num_layers=1, bidirectional=False
):
    return _layers(
        input_size, hidden_size, num_layers, bidirectional, above=hidden_size, ways_above=1
    )
