"""Translations by beam search: the most probable targets of new sources, symbol by symbol.

A beam of hypotheses grows by one symbol in each step, and the most probable ones are kept. One that ends is compared
with others of other lengths by its log-probability divided by ((6 + T) / 6)^penalty, T symbols without the end (Wu et
al. 2016, equation 14, where the end counts).
"""

from typing import NamedTuple

import numpy as np

from fastlstm import kernels, threads
from fastlstm.kernels.parts import Part
from fastlstm.phases import Phase
from fastlstm.training.losses._functions import log_softmax
from fastlstm.training.model import Model
from fastlstm.training.outputs import ClassificationOutput
from fastlstm.training.recurrence import Recurrence
from fastlstm.training.streaming import Stepper
from fastlstm.translation.bridge import Bridge
from fastlstm.translation.network import by_sequence, offsets
from fastlstm.translation.readout import Readout

ROWS = 128  # most hypotheses that are continued at once
FIRST_ROOM = 16  # symbols that there is room for at first


class Hypothesis(NamedTuple):
    """A translation: codes without the end, and the logarithm of its probability, that of the end included."""

    codes: np.ndarray
    log_probability: float


class Search(NamedTuple):
    """How to search: hypotheses kept, how many to return, most symbols of a translation, exponent of the length."""

    width: int = 1
    n_best: int = 1
    max_length: int = 100
    length_penalty: float = 0.0

    def score(self, log_probability, length):
        """What hypotheses of so many symbols are compared by; greater is better."""
        return log_probability / ((6 + length) / 6) ** self.length_penalty


def translate(model, sources, search, backend, n_jobs=None):
    """For each of the `Series` of sources, a list of up to ``search.n_best`` hypotheses, the best first."""
    package, out = kernels.load(backend), [None] * len(sources)
    n, order = max(1, ROWS // search.width), sources.order
    blocks = [order[first : first + n] for first in range(0, len(order), n)]
    # as if targets were as long as sources; a score takes exponentials, too
    of_scores = 2 * model.decoder.width * (model.encoder.width + model.decoder.width + 10 * model.n_outputs)
    flops = model.encoder.flops(sources.steps) + search.width * (
        model.decoder.flops(sources.steps) + of_scores * sources.steps
    )
    size, _ = threads.worthwhile(n_jobs, flops, len(blocks), 0)

    def translate_some(part):
        decoder = Decoder(model, backend)
        for rows in blocks[part.rank :: part.size]:
            for row, hypotheses in zip(rows, decoder.translate(sources, rows, search), strict=True):
                out[row] = hypotheses

    with threads.team(size, False, package) as team:
        team.run([Phase(translate_some)].__iter__)
    return out


class Decoder:
    """Encoder and decoder in one thread, for one batch of sources at a time."""

    def __init__(self, model, backend):
        self._model, self._package, self._backend = model, kernels.load(backend), backend
        self._dtype, weights = model.dtype, model.weights
        self._encoder = Recurrence(model.encoder, model.source, model.side("encoder"), self._package, self._dtype)
        self._bridge = Bridge(model, weights, self._package, self._dtype)
        self._readout = Readout(model, weights, self._package, self._dtype)
        self._readout.fill()
        self._bridge.fill()
        head = {name: weights[name] for name in ("head.weight", "head.bias")}
        output = ClassificationOutput(np.arange(model.n_outputs))
        self._of_decoder = Model(
            model.decoder, {**model.side("decoder"), **head}, output, model.n_outputs, embedding=model.target
        )

    def _encode(self, sources, rows):
        """Outputs of the encoder of one source after another, where each begins, and the decoder's first states."""
        encoder, N, alone = self._encoder, len(rows), Part()
        starts = sources.pack(rows)[1]
        encoder.take(sources.values, sources.at[rows], starts, None)
        run = encoder.make_run(starts, recording=False)
        encoder.set_inputs()
        encoder.fill(alone)
        encoder.lookup.multiply(alone)
        for phase in run.forward(encoder.packed, encoder.inputs):
            phase.function(alone, *phase.args)
        self._bridge.resize(N)
        states = self._bridge.forward(run, 0, N)
        memory = None
        if self._model.attention is not None:
            packed = np.empty((int(starts[-1]), self._model.encoder.width), self._dtype)
            run.outputs(alone, packed)
            memory = packed[by_sequence(starts)]
        return memory, offsets(sources.lengths[rows]), states

    def translate(self, sources, rows, search):
        """Hypotheses of the sources `rows`, which are sorted by decreasing length."""
        beam = Beam(search, len(rows), self._model)
        memory, begin, states = self._encode(sources, rows)
        self._start(memory, begin, [np.repeat(state, search.width, axis=0) for of in states for state in of])
        codes = np.full(len(rows) * search.width, self._model.start)
        while True:
            parents, codes, keep = beam.advance(self._scores(codes))
            if codes is None:
                return beam.best()
            if keep is None:
                for state in self._stepper.arrays():
                    state[...] = state[parents]
                continue
            states = [state[parents] for state in self._stepper.arrays()]
            if memory is not None:
                memory = np.concatenate([memory[begin[n] : begin[n + 1]] for n in keep])
            begin = offsets(np.diff(begin)[keep])
            self._start(memory, begin, states)

    def _start(self, memory, begin, states):
        """Prepare the decoder for the hypotheses of some sources, with these states."""
        n = len(states[0])
        self._stepper = Stepper(self._of_decoder, n, self._backend)
        for array, state in zip(self._stepper.arrays(), states, strict=True):
            array[...] = state
        width = n // (len(begin) - 1)
        self._readout.lay_out(begin, np.arange(len(begin)) * width)
        if memory is not None:
            self._readout.set_memory(0, len(memory), memory)
        self._run(self._readout.prepare_memory())

    def _run(self, phases):
        for phase in phases:
            phase.function(Part(), *phase.args)

    def _scores(self, codes):
        """Scores [n, K] after the hypotheses have read these codes."""
        self._stepper.advance(codes[:, None].astype(self._dtype))
        n = len(codes)
        self._readout.set_outputs(0, n, self._stepper.last)
        self._run(self._readout.forward())
        return self._readout.head.forward(0, n)


class Beam:
    """The hypotheses of N sources, `width` each, and those that have ended."""

    def __init__(self, search, N, model):
        self._search, self._end = search, model.end
        self._sources, self._ended = np.arange(N), [[] for _ in range(N)]
        self._log_probabilities = np.full((N, search.width), -np.inf)
        self._log_probabilities[:, 0] = 0  # at first, there is one hypothesis
        self._written = np.empty((N * search.width, FIRST_ROOM), np.int64)
        self._length = 0

    def advance(self, scores):
        """Continue all hypotheses, by the scores [n, K] of their next symbols.

        Returns the rows of the hypotheses that are continued, the codes that continue them, and which of the sources
        are left, if so many have ended that the others should be moved together, or else None. Codes are None at the
        end.
        """
        N, width, K, end = *self._log_probabilities.shape, scores.shape[1], self._end
        log_probabilities = self._log_probabilities[:, :, None] + log_softmax(scores).reshape(N, width, K)
        if self._length == self._search.max_length:
            self._end_all(log_probabilities[:, :, end])
            return None, None, None
        flat = log_probabilities.reshape(N, width * K)
        most = min(2 * width, width * K) if width > 1 else 1  # of these, at most half can end
        best = flat.argmax(axis=1)[:, None] if most == 1 else _largest(flat, most)
        values, parents, codes = np.take_along_axis(flat, best, axis=1), best // K, best % K
        ends = codes == end
        for n, rank in np.argwhere(ends[:, :width]):
            self._add(n, parents[n, rank], values[n, rank])
        going = np.argsort(ends, axis=1, kind="stable")[:, :width]  # hypotheses that go on, in their order
        values, parents, codes = (np.take_along_axis(of, going, axis=1) for of in (values, parents, codes))
        values[np.take_along_axis(ends, going, axis=1)] = -np.inf
        is_left = np.array([len(self._ended[source]) < width for source in self._sources])
        is_left &= np.isfinite(values).any(axis=1)
        if not is_left.any():
            return None, None, None
        keep = None
        if 2 * is_left.sum() <= N:
            keep = np.flatnonzero(is_left)
            self._sources, values, parents, codes = self._sources[keep], values[keep], parents[keep], codes[keep]
        rows = ((np.arange(N) if keep is None else keep)[:, None] * width + parents).ravel()
        self._log_probabilities, self._written = values, self._written[rows]
        if self._length == self._written.shape[1]:
            self._written = np.concatenate([self._written, np.empty_like(self._written)], axis=1)
        self._written[:, self._length] = codes.ravel()
        self._length += 1
        return rows, codes.ravel(), keep

    def _add(self, n, parent, log_probability):
        """A hypothesis of the n-th source that is left has ended, unless it has enough of them."""
        ended, width = self._ended[self._sources[n]], self._search.width
        if len(ended) < width and np.isfinite(log_probability):
            codes = self._written[n * width + parent, : self._length].copy()
            ended.append(Hypothesis(codes, float(log_probability)))

    def _end_all(self, log_probabilities):
        """All hypotheses end, as they are as long as allowed."""
        for n, of_source in enumerate(log_probabilities):
            for parent in np.argsort(-of_source, kind="stable"):
                self._add(n, parent, of_source[parent])

    def best(self):
        """For each source, the best hypotheses that have ended."""
        search = self._search

        def score(hypothesis):
            return -search.score(hypothesis.log_probability, len(hypothesis.codes))

        return [sorted(ended, key=score)[: search.n_best] for ended in self._ended]


def _largest(values, n):
    """Columns of the n largest values of each row, in decreasing order; of equal ones, the first."""
    # not argpartition, whose choice among equal values depends on the CPU
    least = np.partition(values, -n, axis=1)[:, -n:].min(axis=1)
    rows, columns = np.nonzero(values >= least[:, None])
    order = np.lexsort((columns, -values[rows, columns], rows))
    first = np.searchsorted(rows, np.arange(len(values)))
    return columns[order][first[:, None] + np.arange(n)]
