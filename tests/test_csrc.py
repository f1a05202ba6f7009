"""The kernels of csrc leave the bits that the Numba backend's entries leave."""

import re
from functools import partial

import numpy as np
import pytest

import csrc
from fastlstm import kernels
from fastlstm.kernels.compiled.head import NUMBERS
from fastlstm.kernels.compiled.layout import SQUARES
from fastlstm.kernels.numpy.dropout import threshold
from fastlstm.kernels.numpy.losses import DISTRIBUTIONS
from fastlstm.kernels.parts import BROKEN, Part, lengths_of, starts_of
from fastlstm.kernels.workspace import Workspace

target = pytest.importorskip("fastlstm.kernels.numba.target")
from fastlstm.kernels.numba import activations, distributions, head, meeting  # noqa: E402
from fastlstm.kernels.numba.entries import entries  # noqa: E402

NUMBA = kernels.load("numba")
#: Functions of csrc that other tests than these run beside their twins.
OTHERS = {"wait", "losses_of_distributions", "lstm_step", "gru_step", "rnn_step"}

compiled = pytest.mark.skipif(csrc.COMPILER is None, reason="there is no C compiler, cc")


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """The functions of the level whose vectors Numba's are here, by the type of numbers."""
    if target.ISA == "sse2" and target.HAS_FMA:
        pytest.skip("the baseline has no fused multiply-add on x86, Numba has it here")
    library, level = csrc.build(tmp_path_factory.mktemp("csrc")), csrc.LEVELS[target.ISA]
    tables = {dtype: csrc.table(library, level, np.dtype(dtype)) for dtype in ("float32", "float64")}
    for dtype, table in tables.items():
        assert table["lanes"] == target.lanes(np.dtype(dtype))
    return tables


@pytest.fixture
def twins(dtype, functions, monkeypatch):
    """The entries of Numba, which run beside their twins."""
    ours = entries(np.dtype(dtype))
    for name in csrc.SIGNATURES.keys() - OTHERS:
        monkeypatch.setattr(ours, name, csrc.beside(functions, name, getattr(ours, name)))
    for name in kernels.CELLS:
        step = csrc.beside(functions, f"{name}_step", getattr(ours, f"{name}_stepper").args[0])
        monkeypatch.setattr(ours, f"{name}_stepper", partial(partial, step))
    return ours


class Numbers:
    """Random choices, and numbers of one type."""

    def __init__(self, seed, dtype, scales):
        self.rng, self.dtype = np.random.default_rng(seed), np.dtype(dtype)
        self.scale = float(self.rng.choice(scales))

    def normal(self, *shape):
        return (self.scale * self.rng.standard_normal(shape)).astype(self.dtype)

    def shares(self, *shape):
        """Some of them zero."""
        shares = self.rng.random(shape).astype(self.dtype)
        shares[self.rng.random(shape) < 0.2] = 0
        return shares

    def one_of(self, *numbers):
        return int(self.rng.choice(numbers))

    def whether(self, chance=0.5):
        return bool(self.rng.random() < chance)

    def range_in(self, size):
        """(first, last) in range(size)"""
        return sorted(self.rng.integers(0, size + 1, 2).tolist())


def sizes_of_run(seed, draw):
    """C, H, falling lengths"""
    L, rng = target.lanes(draw.dtype), draw.rng
    H = draw.one_of(1, L, L + 1, 2 * L - 1, 4 * L + 1, rng.integers(1, 71))
    C = draw.one_of(1, 2, 3, L, L + 1, rng.integers(1, 40))
    N, T = rng.integers(1, 14), rng.integers(1, 5)
    if seed == 0:  # more than one block of every kind
        N, C, H = 40, 70, 130
    return C, H, np.sort(rng.integers(1, T + 1, N))[::-1].copy() if draw.whether() else np.full(N, T)


@compiled
@np.errstate(all="ignore")  # parts run one after the other here: units of the others are what memory held
@pytest.mark.parametrize("seed", range(6))
def test_runs(seed, cell, dtype, twins):
    draw = Numbers((seed, len(cell)), dtype, (1, 1, 1, 30, 1e-20))
    module, G, number = getattr(NUMBA, cell), len(kernels.CELLS[cell].gates), len(kernels.CELLS[cell].states)
    C, H, lengths = sizes_of_run(seed, draw)
    N, starts, normal, dtype = len(lengths), starts_of(lengths).astype(np.int64), draw.normal, draw.dtype
    M, turned, masked, recording = int(starts[-1]), draw.whether(), draw.whether(), draw.whether(0.8)
    size, by_units = draw.one_of(1, 2, 3), draw.whether()
    parts = [Part(rank, size, by_units, np.full(1, BROKEN, np.int64)) for rank in range(size)]  # nobody waits

    packed = module.Packed(C, H, dtype, Workspace(), backward=True, inputs=True)
    for array in (packed.forward, packed.backward, packed.inputs, packed.gradient):
        array[:] = 7
    weights = [normal(G * H, C), normal(G * H, H), normal(G * H), normal(G * H)]
    for part in parts:
        packed.fill(part, weights)

    x, at = normal(int(lengths.sum()) * C), (np.cumsum(lengths) - lengths) * C
    if draw.whether(0.1):
        x[draw.rng.integers(x.size)] = draw.rng.choice([np.inf, -np.inf, np.nan])
    state = tuple(normal(N, 2 * H)[:, :H] for _ in range(number)) if draw.whether() else None
    run = module.Run(C, H, starts, dtype, Workspace(), recording=recording, threads=size, masked=masked)
    run._sums[:] = 5
    if run._gates is not None:
        run._gates[:] = 3
    if masked:
        run.mask[:] = 1.5 * (draw.rng.random((N, H)) < 0.6)
    reverse, out = draw.whether(), np.zeros((M, H + 5), dtype)
    for part in parts:
        run.load(part, x, at, state, reverse)
    for part in parts:
        run.forward(part, packed)
        run.outputs(part, turned, out, 3)
    module.Run(H, H, starts, dtype, Workspace()).connect(Part(), [run], [turned], state)
    if not recording:
        return

    outputs, to_start = draw.whether(), draw.whether()
    run.prepare_backward(outputs=outputs, inputs=True, keep=draw.whether())
    for d_state in run.d_state:
        d_state[:] = normal(N, H)
    d_outputs = [normal(M, H + 7) for _ in range(draw.one_of(1, 2))]
    for part in parts:
        if outputs:
            run.collect(part, d_outputs, [turned, not turned][: len(d_outputs)], 2)
    for part in parts:
        run.backward(part, packed, to_start)
    for more in (False, True):
        for part in parts:
            run.weight_gradient(part, packed, more)
    for part in parts:
        run.input_gradient(part, packed)
        packed.unpack(part, [np.zeros_like(weight) for weight in weights])


@compiled
@pytest.mark.parametrize("seed", range(2))
def test_single_steps(seed, cell, dtype, twins):
    draw = Numbers((seed, len(cell)), dtype, (1, 30))
    module, G, number = getattr(NUMBA, cell), len(kernels.CELLS[cell].gates), len(kernels.CELLS[cell].states)
    C, H, lengths = sizes_of_run(seed, draw)
    N, normal = len(lengths), draw.normal
    packed = module.Packed(C, H, draw.dtype, Workspace())
    packed.fill(Part(), [normal(G * H, C), normal(G * H, H), normal(G * H), normal(G * H)])
    run = module.Run(C, H, starts_of(np.ones(N, int)).astype(np.int64), draw.dtype, Workspace())
    run.load(Part(), normal(N * C), np.arange(N) * C, tuple(normal(N, H) for _ in range(number)))
    for _ in range(2):
        run.step(packed, normal(N, C), np.empty((N, H), draw.dtype))


@compiled
@pytest.mark.parametrize("seed", range(10))
def test_heads_and_losses(seed, dtype, twins, functions):
    draw = Numbers(seed, dtype, (1, 1, 5, 100))
    rng, normal = draw.rng, draw.normal
    M = draw.one_of(1, 2, 63, 64, 65, 130, rng.integers(1, 40))
    F, K = draw.one_of(1, 15, 16, 17, 31, 64, 65, rng.integers(1, 150)), draw.one_of(1, 2)
    number, rows, x = seed % 5, draw.range_in(M), normal(M, F)
    if draw.whether(0.1):
        x[rng.integers(M), rng.integers(F)] = rng.choice([np.nan, np.inf])

    def targets(K):
        if number == head.CROSS_ENTROPY:
            return rng.integers(0, K, (M, 1)), draw.shares(M, 1)
        of_loss = rng.integers(0, 2, (M, K)).astype(dtype) if number == head.BINARY_CROSS_ENTROPY else normal(M, K)
        return of_loss, draw.shares(M, draw.one_of(1, K))

    weight, bias, scores, values = normal(K, F), normal(K), normal(M, K), np.zeros(M)
    twins.forward_rows(*rows, x, weight, bias, scores)
    twins.differentiate_rows(number, *rows, x, weight, bias, *targets(K), values, scores, normal(M, F))
    twins.backward_rows(*rows, weight, normal(M, K), normal(M, F))
    twins.gradient_of_rows(16 if F > 16 else 0, F, x, scores, normal(K, F), normal(K), draw.whether())
    twins.gradient_of_rows(0, min(F, 16), x, scores, normal(K, F), normal(K), draw.whether())
    K = draw.one_of(*range(1, 20))
    twins.losses_of_rows(number, *rows, K, *targets(K), values, normal(M, K + draw.one_of(0, 4)))

    for name in DISTRIBUTIONS:
        of_name = distributions.ENTRIES[NUMBERS[name]]
        losses = csrc.beside(functions, "losses_of_distributions", of_name, number=NUMBERS[name])
        S, K = {"quantile": draw.one_of(1, 2, 5), "poisson": 1, "gaussian_nll": 2}[name], draw.one_of(1, 2, 3)
        of_name = rng.poisson(2, (M, K)).astype(dtype) if name == "poisson" else normal(M, K)
        scores = normal(M, K * S + 3)
        if name == "quantile" and draw.whether():
            scores[:, 0] = of_name[:, 0]  # at the edge of both slopes
        losses(
            *rows, S, np.sort(rng.random(S)), of_name, draw.shares(M, draw.one_of(1, K)), values, scores, np.empty(S)
        )


@compiled
@pytest.mark.parametrize("seed", range(10))
def test_packing_and_dropout(seed, dtype, twins):
    draw = Numbers(seed, dtype, (1, 5))
    rng, normal = draw.rng, draw.normal
    N, T, W = draw.one_of(*range(1, 9)), draw.one_of(*range(1, 6)), draw.one_of(1, 3, 16, 17, 33)
    lengths = np.sort(rng.integers(1, T + 1, N))[::-1].copy()
    starts = starts_of(lengths).astype(np.int64)
    M, F, order, reverse, column = int(starts[-1]), W + 4, rng.permutation(N), draw.whether(), draw.one_of(0, 3)
    rows = normal(M + N, W + 5)[:, :W]
    batch = starts, lengths_of(starts), order, reverse
    twins.gather(*batch, *draw.range_in(len(starts) - 1), T, F, column, normal(N * T * F), rows)
    twins.scatter(*batch, draw.whether(), draw.whether(), rows, normal(N, T, F), column)

    rate, key, those = draw.one_of(0, 1, 5, 9) / 10, [draw.one_of(0, 2**62), 1000, 9], draw.range_in(N)
    sequences = rng.integers(0, 10**6, N)
    twins.draw(*key, threshold(rate), 1 / (1 - rate), sequences, *those, normal(N, draw.one_of(1, 16, 33, 70)))
    twins.scale(starts, *those, normal(N, W + 7), W + 7, 5, W, normal(M * (W + 3)), W + 3)


@compiled
@pytest.mark.parametrize("P", [1, 15, 16, 17, 4095, 4096, 4097, 9000])
def test_solvers(P, dtype, twins):
    draw = Numbers(P, dtype, (1, 100))
    g, moments, blocks = draw.normal(P), np.abs(draw.normal(2, P)), -(-P // SQUARES)
    those = draw.range_in(P)
    twins.square_sums(0, blocks, g, np.zeros(blocks))
    twins.adam(*those, draw.normal(P), g, moments, np.array([0.7, 0.1, 0.001, 1e-3, 1.5, 1e-8], dtype))
    twins.sgd(*those, draw.normal(P), g, moments, np.array([0.7, 0.9, 1, 1e-3], dtype))
    twins.rmsprop(*those, draw.normal(P), g, moments, np.array([0.7, 0.01, 1e-3, 1e-8], dtype))


@compiled
@pytest.mark.parametrize("arrivals", [0, 5, BROKEN])
def test_meetings(arrivals, functions):
    ours, theirs = np.full((2, 1), arrivals, np.int64)
    well = csrc.call(functions["float32"], "wait", {"meeting": theirs, "size": 1})
    assert well == meeting.wait(ours, 1) == (arrivals < BROKEN)
    assert theirs == ours


def test_coefficients_of_activations():
    text = (csrc.FOLDER / "activations.h").read_text()
    single, double = re.search(r"#if FL_BITS == 32\n(.*?)#else\n(.*?)#endif", text, flags=re.DOTALL).groups()
    for bits, part in ((32, single), (64, double)):
        arrays = dict(re.findall(r"real (\w+)\[\] = \{(.*?)\}", part, flags=re.DOTALL))
        arrays |= dict(re.findall(r"#define (\w+_BOUND) (\S+)", part))
        numbers = {
            name: tuple(float(n.rstrip("f")) for n in re.split(r",\s*", of.strip())) for name, of in arrays.items()
        }
        for name in ("TANH", "SIGMOID"):
            bound, p, q = getattr(activations, f"{name}{bits}")
            assert (numbers[f"{name}_BOUND"], numbers[f"{name}_P"], numbers[f"{name}_Q"]) == ((bound,), p, q)


def test_neither_python_nor_allocation():
    for path in csrc.FOLDER.glob("*.[chi]*"):
        assert not re.search(r"Python\.h|\b(m|c|re|aligned_)alloc\b|\bfree\(", path.read_text()), path.name
