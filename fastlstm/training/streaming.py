"""Step-by-step evaluation of a model on several sequences at once, in microseconds per step."""

from math import hypot, inf

import numpy as np

from fastlstm import kernels, sequences, threads
from fastlstm.kernels.numpy.roll_out import RollOut
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.lookup import Lookup
from fastlstm.phases import ByRows
from fastlstm.stacks import Inputs, PackedStack, StackRun
from fastlstm.training.inference import team_for
from fastlstm.training.recording import Activations

KNOWN_BYTES = 1 << 26  # most memory for the products of all symbols; with more, those of a step are computed in it
FEW = 32  # up to this many values, a norm in Python is faster than np.isfinite, which costs as much as a small step


class _Recorded:
    """Single steps of a run that records its gates, which the kernels' own step does not."""

    def __init__(self, run):
        self._run, self.stepped = run, False

    def step(self, packed, x, h):
        run = self._run
        run.inputs[: len(x)] = x
        run.forward(Part(), packed)
        for state, state_n in zip(run.state, run.state_n, strict=True):
            state[...] = state_n
        h[...] = run.state[0]
        self.stepped = True

    def copy_of(self, letter):
        """Copy of a gate of the last step, or of a state after it."""
        return self._run.activations()[letter][-self._run.N :].copy()


class _AsRun:
    """All layers of a `Stepper` as one run."""

    def __init__(self, stepper):
        self._stepper, self.H, self.dtype = stepper, stepper.last.shape[1], stepper.dtype

    def step(self, packed, x, h):
        self._stepper.advance(x)
        h[...] = self._stepper.last


class Stepper:
    """A unidirectional `Model` applied to n sequences, one step per call.

    Parameters
    ----------
    model : Model
        The model. Its weights are packed for the kernels; later changes to it have no effect.
    n : int
        Number of sequences.
    backend : str
        Name of the kernels' backend.
    gates : bool
        Whether to record the gates of each step, for `activations`. Steps take longer then.

    Attributes
    ----------
    states : list of tuple of arrays [n, H]
        Current states of each layer.
    last : array [n, H]
        Current states of the last layer.
    seen : array [n, C] or None
        Last observed value of each channel, if values may be missing.
    """

    def __init__(self, model, n, backend, gates=False):
        stack, weights, dtype = model.stack, model.weights, model.dtype
        package, self._n, self.dtype = kernels.load(backend), n, dtype
        self._precision = kernels.precision_of(backend)
        self._limit = kernels.LIMITS.get(self._precision, inf)
        self._model, self._backend, self._stack, self._package = model, backend, stack, package
        self._lookup, recurrent = None, [weights[name] for name in stack.shapes]
        if model.embedding:
            lookup = self._lookup = Lookup(model.embedding, stack, package, dtype)
            recurrent, self._stack = lookup.recurrent(weights), lookup.stack
            self._holds_all = lookup.bytes_of_all <= KNOWN_BYTES
            self._find(None if self._holds_all else np.zeros((1, len(model.embedding.columns)), np.int64))
            self._which = np.zeros((n, len(model.embedding.columns)), np.int64)
        stack = self._stack
        packed = self._packed = PackedStack(stack, package, dtype)
        packed.fill(Part(), recurrent)
        self.states = None
        run = self._run = self._run_of(1, gates)
        K = len(weights["head.bias"])
        self._head = package.head.Head(K, stack.width, dtype, Workspace())
        self._head.fill(weights["head.weight"].copy(), weights["head.bias"].copy())
        self._features, self._room = self._head.room("features", n), np.empty((n, self._head.columns), dtype)
        self._scores = self._room[:, :K]

        C = stack.input_size
        self._x = np.zeros((n, C), dtype)
        self._flat, self._few = self._x.reshape(-1), n * C <= FEW
        C = model.embedding.channels if model.embedding else C
        self.shape = (n, C // 2) if model.masked else (n, C)
        self.seen = np.zeros(self.shape, dtype) if model.masked else None
        self._scaling, self._wide = model.scaling, np.empty(self.shape)
        # the last layer writes its states where the head reads them, unless those rows are not contiguous
        of_head = self._features[:, : stack.width]
        self.last = of_head if of_head.flags.c_contiguous else np.empty((n, stack.width), dtype)
        hidden = [*(np.empty((n, one.H), dtype) for one in run.runs[:-1]), self.last]
        self._copies = None if self.last is of_head else of_head
        self.states = [one.state for one in run.runs]
        self._runs = [_Recorded(one) for one in run.runs] if gates else run.runs
        self._layers = list(zip(self._runs, packed.runs, [self._x, *hidden[:-1]], hidden, strict=True))

    @property
    def input_dtype(self):
        """Input type that needs no conversion: values are not rounded before they are standardised."""
        return self.dtype if self._scaling is None else np.dtype("float64")

    def step(self, x):
        """Scores [n, K S] after a step x of `shape`, or of an equivalent one.

        Raises ValueError, and leaves the states unchanged, if a value is infinite, or NaN while missing values are not
        allowed.
        """
        self.advance(x)
        return self.scores_of_last()

    def _find(self, codes):
        """Compute the products of these codes [M, S], or of all."""
        lookup = self._lookup
        lookup.find_all() if codes is None else lookup.find(codes)
        lookup.fill(self._model.weights)
        lookup.multiply(Part())

    def advance(self, x):
        """Compute the states after a step x, as `step` does, and `last`, but no scores."""
        if self._scaling is not None:
            x = self._standardise(x)
        numbers = x
        if self._lookup:
            numbers, codes = self._model.embedding.split(x.reshape(self.shape))
            if not self._holds_all:
                self._find(codes)
            self._which[...] = self._lookup.which(codes)
            if not self._holds_all:  # the rows must be those of the new products
                self._run.look_up(self._lookup.known, self._which)
        if self.seen is None:
            self._x[...] = numbers
            if not (self._few and hypot(*self._flat.tolist()) < self._limit):  # false if a value is NaN
                self._check_finite(x)
        else:
            self._fill_missing(x)
        for run, packed, inputs, h in self._layers:
            run.step(packed, inputs, h)

    def scores_of_last(self):
        """Scores of the last states in `_last`."""
        if self._copies is not None:
            self._copies[...] = self.last
        self._head.forward(0, self._n, self._features, self._room)
        return self._scores.copy()

    def read(self, x, n_jobs=None):
        """Scores after all steps of x [n, T, C], prepared inputs, in one run; the same bits as `step` by step."""
        n, T, C = x.shape
        x, starts = np.ascontiguousarray(x, self.dtype), np.arange(T + 1) * n
        with team_for(self._package, self._stack, self.dtype, n, n * T, n_jobs) as team:
            workspaces = [Workspace() for _ in self._stack.places]
            run = StackRun(self._stack, self._package, starts, self.dtype, workspaces, threads=team.size)
            x, at = x.reshape(-1), np.arange(n) * (T * C)
            if self._lookup:
                if not self._holds_all:
                    self._find(self._lookup.codes(x.reshape(-1, C)))
                x, at, which = self._lookup.take(x, at, starts, found=True)
                run.look_up(self._lookup.known, which)
            inputs = Inputs(x, at, [tuple(map(np.copy, of)) for of in self.states])
            phases = list(run.forward(self._packed, inputs))
            team.run(phases.__iter__)
        self._set_states([now.state_n for now in run.runs])
        run.last_outputs(slice(0, n), self.last)
        return self.scores_of_last()

    def roll_out(self, forecast, n_jobs=None):
        """Complete a `Forecast` of the n sequences, whose inputs are prepared; the states advance as by `step`."""
        n, steps = forecast.offset.shape
        if self._lookup:  # the kernels' roll-out looks nothing up
            RollOut([_AsRun(self)], [None], self._head, forecast).run(Part())
            return
        size, _ = threads.worthwhile(n_jobs, self._stack.flops(n * steps), n, 0)  # always divided by rows
        with threads.team(size, False, self._package) as team:
            run = self._run if team.size == 1 else self._run_of(team.size)
            roll_out = self._package.roll_out.RollOut(run.runs, self._packed.runs, self._head, forecast)
            team.run([ByRows(roll_out.run)].__iter__)
        self._set_states([one.state for one in run.runs])

    def _run_of(self, size, gates=False):
        """A loaded run of one step, for as many threads."""
        n, workspaces = self._n, [Workspace() for _ in self._stack.places]
        run = StackRun(self._stack, self._package, np.array([0, n]), self.dtype, workspaces, gates, size)
        for one, state in zip(run.runs, self.states or [None] * len(run.runs), strict=True):
            one.load(Part(), np.zeros(n * one.C, self.dtype), np.arange(n) * one.C, state)
        if self._lookup:
            run.look_up(self._lookup.known, self._which)
        return run

    def _set_states(self, states):
        for of_run, values in zip(self.states, states, strict=True):
            for array, value in zip(of_run, values, strict=True):
                array[...] = value

    def activations(self):
        """Copies of the gates and states [n, H] of the last step by name, one dict per layer; None before any step."""
        if not self._runs[-1].stepped:
            return None
        return [dict(Activations(self._stack.cell, run.copy_of)) for run in self._runs]

    def repeated(self, copies):
        """A stepper in which each sequence is repeated, with its states."""
        twin = Stepper(self._model, self._n * copies, self._backend)
        for array, value in zip(twin.arrays(), self.arrays(), strict=True):
            array[...] = np.repeat(value, copies, axis=0)
        return twin

    def _standardise(self, x):
        """The step, standardised by the same operations as whole series, for the same bits."""
        np.subtract(x.reshape(self.shape), self._scaling.mean, out=self._wide)
        np.divide(self._wide, self._scaling.scale, out=self._wide)
        with np.errstate(over="ignore"):  # reported as infinite
            return self._wide.astype(self.dtype)

    def _check_finite(self, x):
        x = x.reshape(self.shape)
        sizes = np.abs(x)
        wrong = ~(sizes < self._limit) if self.seen is None else sizes >= self._limit
        if not wrong.any():
            return
        stream, channel = np.argwhere(wrong)[0]
        what, advice = "NaN", ": impute missing values, or fit with missing='mask'"
        if not np.isnan(x[stream, channel]):
            what, advice = sequences.too_large(x[stream, channel], self._precision)
        raise ValueError(f"x_t contains {what} in stream {stream}, channel {channel}{advice}.")

    def _fill_missing(self, x):
        """Set the inputs as `sequences.with_mask` does: NaN becomes the last observed value, with an indicator."""
        C, missing = self.shape[1], 0
        if self._few and hypot(*x.ravel().tolist()) < self._limit:
            self.seen[...] = x
        else:
            self._check_finite(x)
            missing = np.isnan(x)
            np.copyto(self.seen, x, where=~missing)
        self._x[:, :C], self._x[:, C:] = self.seen, missing

    def arrays(self):
        """All arrays that carry over from step to step; their first axis is the sequences."""
        return [part for state in self.states for part in state] + [self.seen] * (self.seen is not None)
