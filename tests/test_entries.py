"""The Cython modules leave the bits that the Numba backend's entries leave, of the same arguments."""

from functools import partial

import numpy as np
import pytest
from conftest import TOLERANCE
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels
from fastlstm.kernels.compiled.head import DISTRIBUTIONS, NUMBERS
from fastlstm.kernels.compiled.layout import SQUARES
from fastlstm.kernels.numpy.dropout import threshold
from fastlstm.kernels.parts import BROKEN, Part, lengths_of, starts_of
from fastlstm.kernels.workspace import Workspace

target = pytest.importorskip("fastlstm.kernels.numba.target")
cython = pytest.importorskip("fastlstm.kernels.cython")
from fastlstm.kernels.numba import head  # noqa: E402
from fastlstm.kernels.numba.entries import entries  # noqa: E402

NUMBA, CYTHON, LEVELS = kernels.load("numba"), kernels.load("cython"), cython.f32.levels()
BY_VECTORS = {  # entries whose arrays depend on how many numbers a vector has
    "pack_gates", "pack_panels", "load_rows", "begin_rows", "copy_outputs", "add_gradients", "unpack", "multiply_rows",
    "gradient", "gru_pack", "gru_unpack", "rnn_pack",
    *(f"{cell}_{what}" for cell in kernels.CELLS for what in ("forward", "backward")),
}  # fmt: skip
OTHERS = {
    "wait", "forward_rows", "differentiate_rows", "backward_rows", "gradient_of_rows", "losses_of_rows",
    "losses_of_distributions", "gather", "scatter", "draw", "scale", "square_sums", "adam", "sgd", "rmsprop",
}  # fmt: skip


@pytest.fixture
def use():
    """Has both modules take a level, until the test's end."""
    before = cython.f32.level()
    yield cython.take
    cython.take(before)


def alike(array):
    """A copy, whose rows lie as far apart."""
    if array.flags.c_contiguous:
        return array.copy()
    copy = np.empty((len(array), array.strides[0] // array.itemsize), array.dtype)[:, : array.shape[1]]
    copy[:] = array
    return copy


def bits(array):
    """The numbers as whole numbers; NaNs are all the same, as nobody promises which they are."""
    if array.dtype.kind != "f":
        return array
    return np.where(np.isnan(array), -1, np.ascontiguousarray(array).view(f"i{array.itemsize}"))


def beside(theirs, ours):
    """Numba's entry, which fails where ours leaves other bits in copies of the arrays."""

    def both(*arguments):
        copies = {}

        def copied(value):
            if not isinstance(value, np.ndarray):
                return value
            place = value.ctypes.data, value.shape, value.strides  # an array may come twice
            return copies.setdefault(place, (value, alike(value)))[1]

        given = [copied(value) for value in arguments]
        assert theirs(*arguments) == ours(*given)
        for before, after in copies.values():
            assert_array_equal(bits(after), bits(before), err_msg=f"of an array {before.shape}")

    return both


def run_beside(monkeypatch, dtype, names):
    """Numba's entries, of which these run beside ours."""
    theirs, ours = entries(np.dtype(dtype)), cython.entries(np.dtype(dtype))
    for name in names:
        monkeypatch.setattr(theirs, name, beside(getattr(theirs, name), getattr(ours, name)))
    return theirs


@pytest.fixture
def runs(dtype, use, monkeypatch):
    """Numba's entries beside those of the level whose vectors Numba's are here."""
    if target.ISA not in LEVELS or (target.ISA == "sse2" and target.HAS_FMA):
        pytest.skip("no level has Numba's vectors, or not its fused multiply-add")
    use(target.ISA)
    theirs, ours = run_beside(monkeypatch, dtype, BY_VECTORS), cython.entries(np.dtype(dtype))
    assert theirs.lanes() == ours.lanes()

    def step(theirs, ours, *arguments):
        """A step beside that of a stepper of ours, which is made for this step."""
        return beside(theirs, lambda *given: ours(*given[:-2])(*given[-2:]))(*arguments)

    for cell in kernels.CELLS:
        name = f"{cell}_stepper"
        both = partial(step, getattr(theirs, name).args[0], getattr(ours, name))
        monkeypatch.setattr(theirs, name, partial(partial, both))
    return theirs


@pytest.fixture(params=LEVELS)
def twins(dtype, request, use, monkeypatch):
    """Numba's entries beside ours, those that do the same on every level."""
    use(request.param)
    return run_beside(monkeypatch, dtype, OTHERS)


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


def take_run(backend, seed, cell, dtype, scales, by_units):
    """A run forward and back; its results."""
    draw = Numbers((seed, len(cell)), dtype, scales)
    module, G, number = getattr(backend, cell), len(kernels.CELLS[cell].gates), len(kernels.CELLS[cell].states)
    C, H, lengths = sizes_of_run(seed, draw)
    N, starts, normal, dtype = len(lengths), starts_of(lengths).astype(np.int64), draw.normal, draw.dtype
    M, turned, masked, recording = int(starts[-1]), draw.whether(), draw.whether(), draw.whether(0.8)
    size = draw.one_of(1, 2, 3)
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
    results = {"out": out, "state": np.stack(run.state_n)}
    if not recording:
        return results

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
    d_weights = [np.zeros_like(weight) for weight in weights]
    for part in parts:
        run.input_gradient(part, packed)
        packed.unpack(part, d_weights)
    return results | {
        "d_x": run.d_x, "d_state": np.stack(run.d_state), **{f"d_{n}": array for n, array in enumerate(d_weights)}
    }  # fmt: skip


@np.errstate(all="ignore")  # parts run one after the other here: units of the others are what memory held
@pytest.mark.parametrize("by_units", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_runs(seed, by_units, cell, dtype, runs):
    take_run(NUMBA, seed, cell, dtype, (1, 1, 1, 30, 1e-20), by_units)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(4))
def test_levels(seed, level, cell, dtype, use):
    use(level)
    ours, theirs = (take_run(backend, seed, cell, dtype, (1,), False) for backend in (CYTHON, NUMBA))
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        if target.HAS_FMA and level != "sse2":
            assert_array_equal(bits(ours[name]), bits(array), err_msg=name)
        else:  # roundings differ
            scale = np.abs(array[np.isfinite(array)]).max(initial=1)
            assert_allclose(ours[name], array, rtol=0, atol=10 * scale * TOLERANCE[dtype], err_msg=name)


@pytest.mark.parametrize("seed", range(2))
def test_single_steps(seed, cell, dtype, runs):
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


@pytest.mark.parametrize("seed", range(10))
def test_heads_and_losses(seed, dtype, twins):
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
        S, K = {"quantile": draw.one_of(1, 2, 5), "poisson": 1, "gaussian_nll": 2}[name], draw.one_of(1, 2, 3)
        of_name = rng.poisson(2, (M, K)).astype(dtype) if name == "poisson" else normal(M, K)
        scores = normal(M, K * S + 3)
        if name == "quantile" and draw.whether():
            scores[:, 0] = of_name[:, 0]  # at the edge of both slopes
        levels, shares = np.sort(rng.random(S)), draw.shares(M, draw.one_of(1, K))
        twins.losses_of_distributions(NUMBERS[name], *rows, S, levels, of_name, shares, values, scores, np.empty(S))


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
    twins.scale(starts, *those, normal(N, W + 7), W + 7, 5, W, normal(M, W + 3)[:, :W], W + 3)


@pytest.mark.parametrize("P", [1, 15, 16, 17, 4095, 4096, 4097, 9000])
def test_solvers(P, dtype, twins):
    draw = Numbers(P, dtype, (1, 100))
    g, moments, blocks = draw.normal(P), np.abs(draw.normal(2, P)), -(-P // SQUARES)
    those = draw.range_in(P)
    twins.square_sums(0, blocks, g, np.zeros(blocks))
    twins.adam(*those, draw.normal(P), g, moments, np.array([0.7, 0.1, 0.001, 1e-3, 1.5, 1e-8], dtype))
    twins.sgd(*those, draw.normal(P), g, moments, np.array([0.7, 0.9, 1, 1e-3], dtype))
    twins.rmsprop(*those, draw.normal(P), g, moments, np.array([0.7, 0.01, 1e-3, 1e-8], dtype))


@pytest.mark.parametrize("arrivals", [0, 5, BROKEN])
def test_meetings(arrivals, twins):
    meeting = np.full(1, arrivals, np.int64)
    assert cython.f32.wait(meeting.copy(), 1) == (arrivals < BROKEN)
    twins.wait(meeting, 1)


def test_every_entry_is_compared():
    steppers = {f"{cell}_stepper" for cell in kernels.CELLS}
    ours = vars(entries(np.dtype("float32"))).keys() - {"lanes", "unread", "held", "held_sizes"}
    assert ours == BY_VECTORS | OTHERS | steppers
