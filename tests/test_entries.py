"""The Cython modules leave the bits that the Numba backend's entries leave, of the same arguments."""

import numpy as np
import pytest
from entry_calls import alike
from helpers import TOLERANCE
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels
from fastlstm.kernels.compiled.layout import SQUARES
from fastlstm.kernels.numpy.dropout import threshold
from fastlstm.kernels.parts import BROKEN, Part, starts_of
from fastlstm.kernels.workspace import Workspace

target = pytest.importorskip("fastlstm.kernels.numba.target")
cython = pytest.importorskip("fastlstm.kernels.cython")
from fastlstm.kernels.numba import head  # noqa: E402
from fastlstm.kernels.numba.entries import entries  # noqa: E402

pytestmark = pytest.mark.every_combination  # equal bits can fail in a single combination

NUMBA, CYTHON, LEVELS = kernels.load("numba"), kernels.load("cython"), cython.f32.levels()


@pytest.fixture
def use():
    """Has both modules take a level, until the test's end."""
    before = cython.f32.level()
    yield cython.take
    cython.take(before)


def bits(array):
    """The numbers as whole numbers; NaNs are all the same, as nobody promises which they are."""
    if array.dtype.kind != "f":
        return array
    return np.where(np.isnan(array), -1, np.ascontiguousarray(array).view(f"i{array.itemsize}"))


class Filled(Workspace):
    """A workspace whose buffers hold a number: what is not written is the same in any of them."""

    def empty(self, name, shape, dtype):
        out = super().empty(name, shape, dtype)
        out[...] = 3
        return out


class Both:
    """Calls of Numba's entries, which leave the same bits as ours."""

    def __init__(self, dtype):
        self.theirs, self.ours = entries(np.dtype(dtype)), cython.entries(np.dtype(dtype))

    def __call__(self, call, *arrays):
        """call(entries, *arrays), of which ours are copies."""
        copies = [alike(array) for array in arrays]
        assert call(self.theirs, *arrays) == call(self.ours, *copies)
        for number, (before, after) in enumerate(zip(arrays, copies, strict=True)):
            assert_array_equal(bits(after), bits(before), err_msg=f"of array {number}, {before.shape}")

    def function(self, name, *arguments):
        """The same of a function, whose arguments are arrays and others."""
        arrays = [n for n, value in enumerate(arguments) if isinstance(value, np.ndarray)]

        def call(entries, *given):
            copied = dict(zip(arrays, given, strict=True))
            return getattr(entries, name)(*[copied.get(n, value) for n, value in enumerate(arguments)])

        self(call, *[arguments[n] for n in arrays])


@pytest.fixture(params=LEVELS)
def both(dtype, request, use):
    """What does the same on every level."""
    use(request.param)
    return Both(dtype)


@pytest.fixture
def level_of_numba(use):
    """The level whose vectors Numba's are here is in use."""
    if target.ISA not in LEVELS or (target.ISA == "sse2" and target.HAS_FMA):
        pytest.skip("no level has Numba's vectors, or not its fused multiply-add")
    use(target.ISA)


class Numbers:
    """Random choices, and numbers of one type."""

    def __init__(self, seed, dtype, scales):
        self.rng, self.dtype = np.random.default_rng(seed), np.dtype(dtype)
        self.scale = float(self.rng.choice(scales))

    def normal(self, *shape):
        return (self.scale * self.rng.standard_normal(shape)).astype(self.dtype)

    def weights(self, *shape):
        """Some of them zero."""
        weights = self.rng.random(shape).astype(self.dtype)
        weights[self.rng.random(shape) < 0.2] = 0
        return weights

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
    """A run forward and back; its results, and all buffers, by name."""
    draw = Numbers((seed, len(cell)), dtype, scales)
    module, G, number = getattr(backend, cell), len(kernels.CELLS[cell].gates), len(kernels.CELLS[cell].states)
    C, H, lengths = sizes_of_run(seed, draw)
    N, starts, normal, dtype = len(lengths), starts_of(lengths).astype(np.int64), draw.normal, draw.dtype
    M, reverse_outputs, masked, recording = int(starts[-1]), draw.whether(), draw.whether(), draw.whether(0.8)
    size = draw.one_of(1, 2, 3)
    parts = [Part(rank, size, by_units, np.full(1, BROKEN, np.int64)) for rank in range(size)]  # nobody waits

    packed = module.Packed(C, H, dtype, Filled(), backward=True, inputs=True)
    weights = [normal(G * H, C), normal(G * H, H), normal(G * H), normal(G * H)]
    for part in parts:
        packed.fill(part, weights)

    x, at = normal(int(lengths.sum()) * C), (np.cumsum(lengths) - lengths) * C
    if draw.whether(0.1):
        x[draw.rng.integers(x.size)] = draw.rng.choice([np.inf, -np.inf, np.nan])
    state = tuple(normal(N, 2 * H)[:, :H] for _ in range(number)) if draw.whether() else None
    run = module.Run(C, H, starts, dtype, Filled(), recording=recording, threads=size, masked=masked)
    if masked:
        run.mask[:] = 1.5 * (draw.rng.random((N, H)) < 0.6)
    reverse, out = draw.whether(), np.zeros((M, H + 5), dtype)
    for part in parts:
        run.load(part, x, at, state, reverse)
    looks_up, rows = draw.whether(0.4), draw.one_of(1, 7)
    if looks_up:
        products = np.zeros((rows, G, run.P), dtype)
        products[:, :, :H] = normal(rows, G, H)
        run.look_up(products, draw.rng.integers(0, rows, (M, draw.one_of(1, 2))))
    for part in parts:
        run.forward(part, packed)
        run.outputs(part, reverse_outputs, out, 3)
    above = module.Run(H, H, starts, dtype, Filled())
    above.connect(Part(), [run], [reverse_outputs], state)
    results = {"out": out, "state": np.stack(run.state_n)}
    buffers = {"above": above._buffers.rows, **run._buffers._asdict()}
    buffers |= {name: getattr(packed, name) for name in ("forward", "backward", "inputs")}
    if not recording:
        return results, buffers

    outputs, to_start = draw.whether(), draw.whether()
    run.prepare_backward(outputs=outputs, inputs=True, keep=draw.whether())
    for d_state in run.d_state:
        d_state[:] = normal(N, H)
    d_outputs = [normal(M, H + 7) for _ in range(draw.one_of(1, 2))]
    for part in parts:
        if outputs:
            run.collect(part, d_outputs, [reverse_outputs, not reverse_outputs][: len(d_outputs)], 2)
    for part in parts:
        run.backward(part, packed, to_start)
    d_products = np.ones((rows, G, run.P), dtype)
    for accumulate in (False, True):
        for part in parts:
            run.weight_gradient(part, packed, accumulate)
            if looks_up:
                run.add_rows(part, d_products, accumulate)
    d_weights = [np.zeros_like(weight) for weight in weights]
    for part in parts:
        run.input_gradient(part, packed)
        packed.unpack(part, d_weights)
    results |= {f"d_{n}": array for n, array in enumerate(d_weights)}
    results |= {"d_x": run.d_x, "d_state": np.stack(run.d_state), "d_products": d_products[:, :, :H]}
    return results, buffers | {"dz": run._dz, "d_w": packed.gradient}


@np.errstate(all="ignore")  # parts run one after the other here: units of the others are what memory held
@pytest.mark.parametrize("by_units", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("level_of_numba")
def test_runs(seed, by_units, cell, dtype):
    """In all buffers."""
    ours, theirs = (
        results | buffers
        for results, buffers in (
            take_run(backend, seed, cell, dtype, (1, 1, 1, 30, 1e-20), by_units) for backend in (CYTHON, NUMBA)
        )
    )
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        if isinstance(array, np.ndarray):
            assert_array_equal(bits(ours[name]), bits(array), err_msg=name)
        else:
            assert ours[name] == array, name


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(4))
def test_levels(seed, level, cell, dtype, use):
    use(level)
    ours, theirs = (take_run(backend, seed, cell, dtype, (1,), False)[0] for backend in (CYTHON, NUMBA))
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        if target.HAS_FMA and level != "sse2":
            assert_array_equal(bits(ours[name]), bits(array), err_msg=name)
        else:  # roundings differ
            scale = np.abs(array[np.isfinite(array)]).max(initial=1)
            assert_allclose(ours[name], array, rtol=0, atol=10 * scale * TOLERANCE[dtype], err_msg=name)


def take_steps(backend, seed, cell, dtype):
    """The states after single steps."""
    draw = Numbers((seed, len(cell)), dtype, (1, 30))
    module, G, number = getattr(backend, cell), len(kernels.CELLS[cell].gates), len(kernels.CELLS[cell].states)
    C, H, lengths = sizes_of_run(seed, draw)
    N, normal = len(lengths), draw.normal
    packed = module.Packed(C, H, draw.dtype, Workspace())
    packed.fill(Part(), [normal(G * H, C), normal(G * H, H), normal(G * H), normal(G * H)])
    run = module.Run(C, H, starts_of(np.ones(N, int)).astype(np.int64), draw.dtype, Workspace())
    run.load(Part(), normal(N * C), np.arange(N) * C, tuple(normal(N, H) for _ in range(number)))
    states = np.empty((2, N, H), draw.dtype)
    for h in states:
        run.step(packed, normal(N, C), h)
    return states


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.usefixtures("level_of_numba")
def test_single_steps(seed, cell, dtype):
    assert_array_equal(*(bits(take_steps(backend, seed, cell, dtype)) for backend in (CYTHON, NUMBA)))


@pytest.mark.parametrize("seed", range(10))
def test_heads_and_losses(seed, dtype, both):
    draw = Numbers(seed, dtype, (1, 1, 5, 100))
    rng, normal = draw.rng, draw.normal
    M = draw.one_of(1, 2, 63, 64, 65, 130, rng.integers(1, 40))
    F, K = draw.one_of(1, 15, 16, 17, 31, 64, 65, rng.integers(1, 150)), draw.one_of(1, 2)
    number, rows, x = seed % 5, draw.range_in(M), normal(M, F)
    if draw.whether(0.1):
        x[rng.integers(M), rng.integers(F)] = rng.choice([np.nan, np.inf])

    def targets(K):
        if number == head.CROSS_ENTROPY:
            return rng.integers(0, K, (M, 1)), draw.weights(M, 1)
        of_loss = rng.integers(0, 2, (M, K)).astype(dtype) if number == head.BINARY_CROSS_ENTROPY else normal(M, K)
        return of_loss, draw.weights(M, draw.one_of(1, K))

    weight, bias, scores, values = normal(K, F), normal(K), normal(M, K), np.zeros(M)
    layer = weight, bias
    both(lambda on, *of: on.Linear(*of[:2]).forward(*rows, *of[2:]), *layer, x, scores)
    both(lambda on, *of: on.Linear(*of[:2]).backward(*rows, *of[2:]), *layer, normal(M, K), normal(M, F))

    def differentiate(on, weight, bias, targets, weights, values, *given):
        of_rows = on.Loss(number, len(weight), None, targets, weights, values)
        on.Linear(weight, bias).differentiate(of_rows, *rows, *given)

    both(differentiate, *layer, *targets(K), values, x, scores, normal(M, F))
    both.function("gradient_of_rows", 16 if F > 16 else 0, F, x, scores, normal(K, F), normal(K), draw.whether())
    both.function("gradient_of_rows", 0, min(F, 16), x, scores, normal(K, F), normal(K), draw.whether())
    K = draw.one_of(*range(1, 20))
    both(
        lambda on, *of: on.Loss(number, K, None, *of[:3]).of_rows(*rows, of[3]),
        *targets(K), values, normal(M, K + draw.one_of(0, 4)),
    )  # fmt: skip

    for name in ("quantile", "poisson", "gaussian_nll"):
        S, K = {"quantile": draw.one_of(1, 2, 5), "poisson": 1, "gaussian_nll": 2}[name], draw.one_of(1, 2, 3)
        of_name = rng.poisson(2, (M, K)).astype(dtype) if name == "poisson" else normal(M, K)
        scores = normal(M, K * S + 3)
        if name == "quantile" and draw.whether():
            scores[:, 0] = of_name[:, 0]  # at the edge of both slopes
        levels, weights = np.sort(rng.random(S)), draw.weights(M, draw.one_of(1, K))

        def losses(on, *of, name=name, K=K):
            on.Loss(on.LOSSES[name], K, *of[:4]).of_rows(*rows, of[4])

        both(losses, levels, of_name, weights, values, scores)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.usefixtures("level_of_numba")
def test_products(seed, dtype):
    both, draw = Both(dtype), Numbers(seed, dtype, (1, 30))
    normal, lanes = draw.normal, both.theirs.lanes()
    assert both.ours.lanes() == lanes
    R, K, M = draw.one_of(1, 63, 64, 65, 130), draw.one_of(1, 20, 127, 300), lanes * draw.one_of(1, 2, 3, 4, 7, 20)
    first, H = draw.one_of(0, *range(0, M, 4 * lanes)), draw.one_of(1, lanes, 3 * lanes + 1)
    H_padded, columns = -(-H // lanes) * lanes, draw.one_of(1, M - 1, M)
    both.function("pack_panels", H, H_padded, columns, first, M, normal(H * columns), normal(H_padded * M))
    both.function("multiply_rows", *draw.range_in(R), normal(R, K), normal(K * M), normal(M), normal(R, M))
    a, b = normal(R, K + 3), normal(R, M)
    panels = normal(-(-M // (4 * lanes)) * 64 * 4 * lanes)
    both.function("gradient", first, M, K, a, b, panels, normal(K, M), draw.whether())


@pytest.mark.parametrize("seed", range(10))
def test_packing_and_dropout(seed, dtype, both):
    draw = Numbers(seed, dtype, (1, 5))
    rng, normal = draw.rng, draw.normal
    N, T, W = draw.one_of(*range(1, 9)), draw.one_of(*range(1, 6)), draw.one_of(1, 3, 16, 17, 33)
    lengths = np.sort(rng.integers(1, T + 1, N))[::-1].copy()
    starts = starts_of(lengths).astype(np.int64)
    M, F, order, reverse, column = int(starts[-1]), W + 4, rng.permutation(N), draw.whether(), draw.one_of(0, 3)
    rows = normal(M + N, W + 5)[:, :W]
    array, steps = normal(N, T, F), draw.range_in(len(starts) - 1)
    both.function("gather", starts, order, reverse, *steps, array, column, rows)
    both.function("scatter", starts, order, reverse, draw.whether(), draw.whether(), rows, normal(N, T, F), column)

    rate, key, those = draw.one_of(0, 1, 5, 9) / 10, (draw.one_of(0, 2**62), 1000, 9), draw.range_in(N)
    sequences, masks = rng.integers(0, 10**6, N), normal(N, draw.one_of(1, 16, 33, 70))
    both.function("draw", key, threshold(rate), 1 / (1 - rate), sequences, *those, masks)
    both.function("scale", starts, *those, normal(N, W + 7), 5, normal(M, W + 3)[:, :W])


@pytest.mark.parametrize("P", [1, 15, 16, 17, 4095, 4096, 4097, 9000])
def test_solvers(P, dtype, both):
    draw = Numbers(P, dtype, (1, 100))
    g, moments, blocks = draw.normal(P), np.abs(draw.normal(2, P)), -(-P // SQUARES)
    those = draw.range_in(P)
    both.function("square_sums", 0, blocks, g, np.zeros(blocks))
    both.function("adam", *those, draw.normal(P), g, moments, np.array([0.7, 0.1, 0.001, 1e-3, 1.5, 1e-8], dtype))
    both.function("sgd", *those, draw.normal(P), g, moments, np.array([0.7, 0.9, 1, 1e-3], dtype))
    both.function("rmsprop", *those, draw.normal(P), g, moments, np.array([0.7, 0.01, 1e-3, 1e-8], dtype))


@pytest.mark.parametrize("arrivals", [0, 5, BROKEN])
def test_barriers(arrivals, both):
    barrier = np.full(1, arrivals, np.int64)
    assert cython.f32.wait(barrier.copy(), 1) == (arrivals < BROKEN)
    both.function("wait", barrier, 1)


def test_every_entry_is_compared():
    classes = {"lanes", "operands", "Part", "Packed", "Run", "Linear", "Loss", "LOSSES", "RollOut", "Attention"}
    assert vars(entries(np.dtype("float32"))).keys() - classes == {
        "wait", "pack_panels", "multiply_rows", "gradient", "gradient_of_rows", "gather", "scatter", "draw", "scale",
        "square_sums", "adam", "sgd", "rmsprop", "tanh_rows",
    }  # fmt: skip
