"""The cython backend beside Numba's, at every shape; `make bench-backends` runs it on two CPU levels."""

import pytest
from ours import normal, our_inference, our_stream, our_training
from shapes import SHAPES, inference_flops, label, training_flops
from test_fit import data, our_epoch

from fastlstm import kernels, layers

pytestmark = pytest.mark.skipif("cython" not in kernels.available(), reason="the cython backend is not built")
shapes = pytest.mark.parametrize("shape", SHAPES, ids=label)
cells = pytest.mark.parametrize("cell", kernels.CELLS)


@pytest.fixture
def of_backends(side_by_side, threads):
    """Time `make(threads, ..., backend=)`, ours being the cython backend's."""

    def run(work, shape, flops, make, *args, dtype="float32", steps=1, **options):
        ours, numba = (make(threads, *args, **options, backend=name) for name in ("cython", "numba"))
        side_by_side(f"{work} of backends", shape, flops, ours, {"numba": numba}, dtype, steps)

    return run


@shapes
@cells
def test_inference(of_backends, cell, shape):
    N, T, C, H = shape
    flops = inference_flops(N * T, C, H, len(kernels.CELLS[cell].gates))
    of_backends("inference", shape, flops, our_inference, normal(N, T, C), H, kind=getattr(layers, cell.upper()))


@shapes
@cells
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training(of_backends, cell, shape, dtype):
    N, T, C, H = shape
    x, d_output = normal(N, T, C, dtype=dtype), normal(N, T, H, dtype=dtype)
    flops = training_flops(N * T, C, H, len(kernels.CELLS[cell].gates))
    kind = getattr(layers, cell.upper())
    of_backends("training", shape, flops, our_training, x, d_output, dtype=dtype, kind=kind)


@shapes
def test_epoch(of_backends, shape):
    N, T, C, H = shape
    flops = training_flops(N * T, C, H)
    batches = 20 if flops < 1e9 else 2
    of_backends("epoch", shape, batches * flops, our_epoch, *data(batches, N, T, C), H, N)


@cells
def test_stream(of_backends, cell):
    C, H, calls = 8, 32, 1000
    kind, flops = getattr(layers, cell.upper()), inference_flops(1, C, H, len(kernels.CELLS[cell].gates))
    of_backends("stream", (1, 1, C, H), flops, our_stream, C, H, calls, steps=calls, kind=kind)
