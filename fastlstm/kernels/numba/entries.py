"""The entries by the names of ``csrc/table.h``."""

from functools import cache, partial
from types import SimpleNamespace

from fastlstm.kernels.numba import (
    buffers,
    distributions,
    dropout,
    gru,
    head,
    lstm,
    matmul,
    meeting,
    packing,
    rnn,
    solvers,
)
from fastlstm.kernels.numba.target import lanes


def stepper(step):
    """From a step's buffers, the function of x and h that takes it."""
    return partial(partial, step)


@cache
def entries(dtype):
    """One set for each type of numbers; Numba tells the types of arrays, and compiles once more for every other."""
    return SimpleNamespace(
        lanes=partial(lanes, dtype),
        **dict.fromkeys(("unread", "held", "held_sizes"), lambda array: array),
        wait=meeting.wait,
        pack_gates=buffers.pack_gates,
        pack_panels=buffers.pack_panels,
        load_rows=buffers.load_rows,
        begin_rows=buffers.begin_rows,
        copy_outputs=buffers.copy_outputs,
        add_gradients=buffers.add_gradients,
        unpack=buffers.unpack,
        multiply_rows=matmul.multiply_rows,
        gradient=matmul.gradient,
        lstm_forward=lstm.forward_steps,
        lstm_backward=lstm.backward_steps,
        lstm_stepper=stepper(lstm.one_step),
        gru_pack=gru.pack,
        gru_unpack=gru.unpack,
        gru_forward=gru.forward_steps,
        gru_backward=gru.backward_steps,
        gru_stepper=stepper(gru.one_step),
        rnn_pack=rnn.pack,
        rnn_forward=rnn.forward_steps,
        rnn_backward=rnn.backward_steps,
        rnn_stepper=stepper(rnn.one_step),
        forward_rows=head.forward_rows,
        differentiate_rows=head.differentiate_rows,
        backward_rows=head.backward_rows,
        gradient_of_rows=head.gradient_of_rows,
        losses_of_rows=head.losses_of_rows,
        losses_of_distributions=distributions.losses_of_distributions,
        gather=packing.gather,
        scatter=packing.scatter,
        draw=dropout.draw,
        scale=dropout.scale,
        square_sums=solvers.square_sums,
        adam=solvers.adam,
        sgd=solvers.sgd,
        rmsprop=solvers.rmsprop,
    )
