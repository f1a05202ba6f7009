"""Training of an encoder-decoder on minibatches, and its losses."""

import numpy as np

from fastlstm import kernels, threads
from fastlstm.dropout import Masks
from fastlstm.kernels.parts import lengths_of
from fastlstm.phases import Alone, ByRows, Phase
from fastlstm.sequences import within
from fastlstm.training.recurrence import Recurrence
from fastlstm.training.weights import FlatWeights, named
from fastlstm.translation.bridge import Bridge
from fastlstm.translation.readout import Readout


def by_sequence(starts, position=None):
    """Packed rows of one sequence after another; sequence n is packed at position[n]."""
    lengths = lengths_of(starts)
    position = np.arange(len(lengths)) if position is None else position
    lengths = lengths[position]
    return starts[within(lengths)] + np.repeat(position, lengths)


def offsets(lengths):
    """Where each sequence begins, and their total length."""
    return np.concatenate([[0], np.cumsum(lengths)])


class TranslationNetwork(FlatWeights):
    """An encoder-decoder that is trained by ``training.loop``.

    Methods that take a `part` are phases; `phases` defines their order.

    Parameters
    ----------
    model : TranslationModel
        Its weights are copied.
    dtype : dtype
    backend : str
        Name of the kernels' backend.
    dropout, recurrent_dropout, symbol_dropout : float
        Dropout rates, as in `Network`.
    teacher_forcing : float
        Fraction of the decoder's inputs that are the target's symbols. The others are what the network, when it reads
        the target, predicts there.
    n_pairs : int
        Number of all pairs, so that dropout masks of encoder and decoder differ.
    """

    is_whole = True  # one segment of all steps

    def __init__(
        self, model, dtype, backend, dropout=0.0, recurrent_dropout=0.0, symbol_dropout=0.0, teacher_forcing=1.0,
        n_pairs=0,
    ):  # fmt: skip
        super().__init__(model.weights, dtype)
        self.model, self.kernels, dtype = model, kernels.load(backend), self.parameters.dtype
        self.stack, self.embedding = model.encoder, model.source
        self._rates, self._teacher_forcing, self._n_pairs = (
            (dropout, dropout, recurrent_dropout),
            teacher_forcing,
            n_pairs,
        )

        def recurrence(stack, embedding, prefix):
            weights, d_weights = named(self.weights, prefix), named(self.d_weights, prefix)
            return Recurrence(stack, embedding, weights, self.kernels, dtype, d_weights, symbol_dropout)

        self.encoder = recurrence(model.encoder, model.source, "encoder.")
        self.decoder = recurrence(model.decoder, model.target, "decoder.")
        self.bridge = Bridge(model, self.weights, self.kernels, dtype, self.d_weights)
        self.readout = Readout(model, self.weights, self.kernels, dtype, self.d_weights)
        self.batch = self._masks = None

    def team(self, rows, steps, n_jobs):
        """Team of threads to train on batches of up to `rows` pairs and `steps` steps of both sides.

        There are several times as many barriers as for recurrent layers alone, so that threads are worthwhile later.
        """
        H, W = self.model.decoder.width, self.model.encoder.width
        each = max(self.model.encoder.multiplications, self.model.decoder.multiplications + H * (W + H))
        return threads.team(*threads.worthwhile(n_jobs, 2 * each * steps, rows, 0), self.kernels)

    # -- a batch -----------------------------------------------------------------------------------------------

    def prepare_batch(self, batch, size, recording=True):
        """Allocate buffers for a `Minibatch` with both sides and a team of `size` threads; forward only unless
        `recording`."""
        self.batch, (seed, epoch, sequences), side, dtype = (
            batch,
            batch.dropout_key,
            batch.decoder,
            self.parameters.dtype,
        )
        N, order = batch.rows, side.order
        self._seeds = [[seed, epoch, batch.number, int(at), k] for k, at in enumerate((batch.at[0], side.at[0], 0))]
        self.encoder.take(batch.x, batch.at, batch.starts, self._seeds[0])
        self.decoder.take(side.x, side.at, side.starts, self._seeds[1])
        masks = [None, None]
        if any(self._rates):
            masks = [Masks(stack, self.kernels, N, dtype, *self._rates) for stack in (self.stack, self.model.decoder)]
        self._masks = list(zip(masks, (sequences, sequences[order] + self._n_pairs), strict=True))
        position = np.empty(N, np.int64)
        position[order] = np.arange(N)
        self._position, self._of_source, self._of_target = (
            position, by_sequence(batch.starts), by_sequence(side.starts, position)
        )  # fmt: skip
        has_attention = self.model.attention is not None
        for of_side, starts, mask, outputs in (
            (self.encoder, batch.starts, masks[0], has_attention), (self.decoder, side.starts, masks[1], True),
        ):  # fmt: skip
            run = of_side.make_run(starts, recording, size, mask)
            if recording:
                run.prepare_backward(outputs=outputs)
        self._states = [
            tuple(np.empty((N, H), dtype) for _ in self.model.decoder.states) for H in self.model.decoder.widths
        ]
        self.encoder.set_inputs()
        self.decoder.set_inputs(self._states)
        self._encoded = np.empty((len(self._of_source), self.model.encoder.width), dtype) if has_attention else None
        self._decoded = np.empty((len(self._of_target), self.model.decoder.width), dtype)
        self.bridge.resize(N)
        target = offsets(lengths_of(side.starts)[position])
        self.readout.lay_out(offsets(lengths_of(batch.starts)), target)
        self.values, self.predicted = np.empty(len(self._of_target)), np.empty(len(self._of_target), np.int64)
        return False

    # -- phases ------------------------------------------------------------------------------------------------

    def phases(self, forward_only=False):
        """Phases that compute the weighted losses `values` and, unless `forward_only`, the gradient of their sum."""
        yield from self._forward()
        if self._teacher_forcing < 1 and not forward_only:
            yield from self._read_own_predictions()
        if forward_only:
            yield Phase(self._predict)
        yield Phase(self._differentiate)
        if forward_only:
            return
        yield from self.readout.backward()
        yield Phase(self._collect_d_outputs)
        yield ByRows(self._set_d_decoded)
        yield from self.decoder.run.backward(self.decoder.packed, to_start=True)
        yield Phase(self._to_encoder)
        if self.model.attention is not None:
            yield ByRows(self.encoder.run.set_d_outputs, self._encoded)
        yield from self.encoder.run.backward(self.encoder.packed)
        yield Phase(self._gradients)
        yield Phase(self.encoder.lookup.backward)
        yield Phase(self.decoder.lookup.backward)
        yield Alone(self.encoder.collect)
        yield Alone(self.decoder.collect)

    def _forward(self):
        """From the sources to the inputs of the head."""
        yield Phase(self._fill)
        yield Phase(self.encoder.lookup.multiply)
        yield from self.encoder.run.forward(self.encoder.packed, self.encoder.inputs)
        if self.model.attention is not None:
            yield ByRows(self.encoder.run.outputs, self._encoded)
            yield Phase(self._set_memory)
            yield from self.readout.prepare_memory()
        yield Phase(self._bridge)
        yield from self._decode()

    def _decode(self):
        yield Phase(self.decoder.lookup.multiply)
        yield from self.decoder.run.forward(self.decoder.packed, self.decoder.inputs)
        yield ByRows(self.decoder.run.outputs, self._decoded)
        yield Phase(self._set_outputs)
        yield from self.readout.forward()

    def _read_own_predictions(self):
        """Replace some inputs of the decoder by predictions, and decode once more.

        All predictions are made by the first pass (Duckworth et al. 2019, "Parallel scheduled sampling", with one
        pass), so that a step need not wait for the one before.
        """
        yield Phase(self._predict)
        yield Alone(self._replace_inputs)
        yield Phase(self.decoder.fill)
        yield from self._decode()

    def _fill(self, part):
        self.encoder.fill(part)
        self.decoder.fill(part)
        if part.rank == 0:
            self.readout.fill()
            self.bridge.fill()
        for masks, sequences in self._masks:
            if masks:
                seed, epoch, _ = self.batch.dropout_key
                masks.draw(*part.share(self.batch.rows), seed, epoch, sequences)

    def _set_memory(self, part):
        first, last = part.share(len(self._of_source))
        self.readout.set_memory(first, last, self._encoded[self._of_source[first:last]])

    def _bridge(self, part):
        """The decoder's first states, in its order of the sequences, from the encoder's last ones."""
        first, last = part.share(self.batch.rows)
        there = self._position[first:last]
        for states, given in zip(self._states, self.bridge.forward(self.encoder.run, first, last), strict=True):
            for state, values in zip(states, given, strict=True):
                state[there] = values

    def _set_outputs(self, part):
        first, last = part.share(len(self._of_target))
        self.readout.set_outputs(first, last, self._decoded[self._of_target[first:last]])

    def _predict(self, part):
        """The most probable symbol of each row, `predicted`."""
        first, last = part.share(self.readout.head.rows)
        self.predicted[first:last] = self.readout.head.forward(first, last).argmax(axis=1)

    def _replace_inputs(self):
        """Replace inputs of the decoder, at random, by what is predicted from the one before."""
        side, target = self.batch.decoder, self.readout.target
        lengths = np.diff(target)
        t = within(lengths)
        codes = side.x[np.repeat(side.at[self._position], lengths) + t]
        before = np.concatenate([[0], self.predicted[:-1]])
        drawn = np.random.default_rng(self._seeds[2]).random(len(codes)) >= self._teacher_forcing
        codes = np.where(drawn & (t > 0) & (before != self.model.end), before, codes)
        self.decoder.take(codes.astype(side.x.dtype), target[:-1][side.order], side.starts, self._seeds[1])
        self.decoder.set_inputs(self._states)

    def _differentiate(self, part):
        """The losses, and the gradient of the head's inputs."""
        batch, head = self.batch, self.readout.head
        head.head.differentiate(
            batch.loss, *part.share(head.rows), head.inputs, batch.targets, batch.sample_weight, self.values,
            head.d_outputs, head.d_inputs,
        )  # fmt: skip

    def _collect_d_outputs(self, part):
        first, last = part.share(len(self._of_target))
        self._decoded[self._of_target[first:last]] = self.readout.d_outputs(first, last)

    def _set_d_decoded(self, part):
        run = self.decoder.run
        run.set_d_states(slice(*run.bounds(part)))
        run.set_d_outputs(part, self._decoded)

    def _to_encoder(self, part):
        """The gradients of the encoder's last states and of its outputs."""
        first, last = part.share(self.batch.rows)
        there = self._position[first:last]
        d_states = [[d_state[there] for d_state in run.d_state] for run in self.decoder.run.runs]
        self.bridge.backward(self.encoder.run, first, last, d_states)
        if self.model.attention is not None:
            first, last = part.share(len(self._of_source))
            self._encoded[self._of_source[first:last]] = self.readout.d_memory(first, last)

    def _gradients(self, part):
        for side in (self.encoder, self.decoder):
            side.gradients(part)
            side.unpack(part)
        self.readout.weight_gradients(part)
        self.bridge.weight_gradient(part)
