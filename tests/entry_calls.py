"""A good call of every entry of a backend, for tests that vary its arguments."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastlstm import kernels
from fastlstm.kernels.compiled.attention import Arrays
from fastlstm.kernels.compiled.layout import row_layout
from fastlstm.kernels.compiled.recurrence import Buffers
from fastlstm.kernels.forecast import Forecast
from fastlstm.kernels.parts import BROKEN, starts_of

#: What the objects of a run's calls are made of.
PART = ["first", "last", "rank", "size", "by_units", "barrier"]
PACKED = ["forward", "backward", "inputs", "gradient"]
BUFFERS = list(Buffers._fields)
BACKWARD = ["dz", "dh", "panels", "d_h", "dc", "d_seen", "dz_factors"]
WEIGHTS = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
D_WEIGHTS = [f"d_{name}" for name in WEIGHTS]

RUN = ["C", "H", "starts", *BUFFERS]
#: The methods, and the arguments of each, those of the objects that it needs included.
METHODS = {
    "fill": ["C", "H", "forward", "backward", "inputs", *PART[2:], *WEIGHTS],
    "unpack": ["C", "H", "gradient", *PART[2:], *D_WEIGHTS],
    "load": [*RUN, *PART, "x", "at", "h_0", "c_0", "reverse"],
    "begin": [*RUN, *PART, "h_0", "c_0"],
    "copy_outputs": [*RUN, *PART, "reverse", "out", "column", "o_stride"],
    "forward": [*RUN, "forward", *PART],
    "step": [*RUN, "forward", "x_t", "h_t"],
    "roll_out": [*RUN, "forward", *PART, "weight", "bias", "series", "lags", "offset", "x", "scores", "noise"],
    "add_gradients": [*RUN, *BACKWARD, *PART, "reverse", "d", "column", "d_stride", "more"],
    "backward": [*RUN, *BACKWARD, "backward", *PART, "to_start"],
    "weight_gradient": [*RUN, *BACKWARD, "gradient", *PART, "more"],
    "input_gradient": [*RUN, *BACKWARD, "inputs", *PART, "d_x"],
    "look_up": [*RUN, "forward", *PART, "products", "which"],
    "add_rows": [*RUN, *BACKWARD, "products", "which", "q_first", "q_last", "d_products"],
}
OF_CELLS = [f"{cell}_{method}" for cell in kernels.CELLS for method in METHODS]
OTHERS = [
    "wait", "pack_panels", "multiply_rows", "gradient", "linear_forward", "linear_differentiate", "linear_backward",
    "gradient_of_rows", "losses_of_rows", "losses_of_distributions", "gather", "scatter", "draw", "scale",
    "square_sums", "adam", "sgd", "rmsprop", "transpose_memory", "attend", "attend_back", "tanh_rows",
]  # fmt: skip
NAMES = sorted(OF_CELLS + OTHERS)


class Call(NamedTuple):
    """A call that is good, and what it is made of."""

    function: object
    given: dict  # the arguments by name

    def __call__(self, **other):
        """Call it, with other arguments in place of some; the arrays, of which the others are copied, afterwards."""
        given = {name: alike(value) if isinstance(value, np.ndarray) else value for name, value in self.given.items()}
        given |= other
        self.function(**given)
        return {name: value for name, value in given.items() if isinstance(value, np.ndarray)}

    def refused(self, expected=ValueError, **other):
        """What the error says; these arrays are as they were."""
        before = {name: value.copy() for name, value in other.items() if isinstance(value, np.ndarray)}
        with pytest.raises(expected) as error:
            self(**other)
        for name, value in before.items():
            assert_array_equal(other[name], value)
        return str(error.value)

    def arrays(self):
        return {name: value for name, value in self.given.items() if isinstance(value, np.ndarray)}


def alike(array):
    """A copy, whose rows lie as far apart."""
    if array.flags.c_contiguous:
        return array.copy()
    copy = np.zeros((len(array), array.strides[0] // array.itemsize), array.dtype)[:, : array.shape[1]]
    copy[:] = array
    return copy


def good_calls(entries, dtype):
    """A call of every one of these entries, for numbers of this type, by name."""
    dtype, calls, gradients = np.dtype(dtype), {}, entries.operands(4) > 1  # there is none of products of int8
    for cell in kernels.CELLS:
        special = {"step": arguments_of_step, "roll_out": arguments_of_roll_out}
        for method, names in METHODS.items():
            if not gradients and (method == "unpack" or "dz" in names):
                continue
            given = special.get(method, arguments_of_run)(entries, cell, dtype)
            function = method_of(entries, cell, method)
            calls[f"{cell}_{method}"] = Call(function, {name: given[name] for name in names if name in given})
    return calls | others(entries, dtype)


def method_of(entries, cell, method):
    """A function of the arguments of a method and of those of the objects that it needs."""

    def call(**given):
        def of(names):
            return [given.get(name) for name in names]

        state = of(["h_0", "c_0"])
        if method not in ("step", "add_rows"):
            part = entries.Part(given.get("first", 0), given.get("last", 0), *of(PART[2:]))
        packed = entries.Packed(cell, *of(["C", "H"]), *of(PACKED))
        if method in ("fill", "unpack"):
            getattr(packed, method)(part, *of(WEIGHTS if method == "fill" else D_WEIGHTS))
            return
        run = entries.Run(cell, *of(["C", "H", "starts"]), Buffers(*of(BUFFERS)))
        if "products" in given:
            run.look_up(*of(["products", "which"]))
        back = (
            run.prepare_backward(*of(BACKWARD if "dz_factors" in given else BACKWARD[:-1])) if "dz" in given else None
        )
        if method == "load":
            run.load(part, *of(["x", "at"]), state, given["reverse"])
        elif method == "begin":
            run.begin(part, state)
        elif method == "copy_outputs":
            run.copy_outputs(part, *of(["reverse", "out", "column", "o_stride"]))
        elif method in ("forward", "look_up"):
            run.forward(part, packed)
        elif method == "add_rows":
            back.add_rows(*of(["q_first", "q_last", "d_products"]))
        elif method == "step":
            run.step(packed, *of(["x_t", "h_t"]))
        elif method == "roll_out":
            forecast = Forecast(*of(["series", "lags", "offset", "x", "scores"]), 0.7, given["noise"], 0.5, 0.8)
            entries.RollOut([run], [packed], entries.Linear(*of(["weight", "bias"])), forecast).run(part)
        elif method == "add_gradients":
            back.add_gradients(part, *of(["reverse", "d", "column", "d_stride", "more"]))
        else:
            last = {"backward": "to_start", "weight_gradient": "more", "input_gradient": "d_x"}[method]
            getattr(back, method)(part, packed, given[last])

    return call


def padded(units, lanes):
    return -(-units // lanes) * lanes


def sizes_of(cell, C, H, lanes):
    """P, G, the numbers of the weights and of the gradient of the inputs in a row."""
    P, G = padded(H, lanes), len(kernels.CELLS[cell].gates)
    return P, G, (G * (C + 1 + H) + kernels.CELLS[cell].separate_biases) * P, padded(C, lanes)


def narrow(entries, given, cell, C, H, M, N):
    """What takes the place of some arguments where products are of bfloat16 numbers."""
    P, G, _, columns = sizes_of(cell, C, H, entries.lanes())
    rng, kind, of = np.random.default_rng(3), kernels.CELLS[cell], entries.operands
    sizes = {"forward": (G * (of(C + 1) + of(H)) + kind.separate_biases) * P, "backward": of(G * P) * P}
    sizes["inputs"] = of(G * P) * columns
    small = 0x3C003C00  # both numbers of a pair near 0.01
    packed = {name: small + rng.integers(0, 1 << 7, size, np.uint32) for name, size in sizes.items()}
    f_stride = 2 * of(C + 1) + P
    factors = {"factors": np.zeros((M + N) * f_stride, np.float32), "f_stride": f_stride}
    return given | packed | factors | {"dz_factors": np.zeros(M * kind.n_slots * P, np.float32)}


def of_bytes(entries, given, cell, C, H, N):
    """What takes the place of some arguments where products are of int8; there is no gradient."""
    P, G, *_ = sizes_of(cell, C, H, entries.lanes())
    of, separate = entries.operands, kernels.CELLS[cell].n_slots + 2 * G
    numbers = np.random.default_rng(3).standard_normal((G * (of(C + 1) + of(H)) + separate) * P)
    f_stride = 4 + of(C + 1) + of(P)
    kept = {name: value for name, value in given.items() if name not in ("backward", "inputs", "gradient")}
    factors = {"factors": np.zeros(2 * N * f_stride, np.float32), "f_stride": f_stride}
    return kept | factors | {"forward": (numbers / 100).astype(np.float32).view(np.uint32)}


def arguments_of_run(entries, cell, dtype):
    """Those of a thread that has half of the rows or the last of the units, of a run with every array there is."""
    rng, kind, lanes = np.random.default_rng(0), kernels.CELLS[cell], entries.lanes()
    C, H, N, lengths = 3, 21, 4, np.array([4, 4, 3, 1])
    starts = starts_of(lengths).astype(np.int64)
    M, (P, G, of_weights, columns) = int(starts[-1]), sizes_of(cell, C, H, lanes)
    _, stride = row_layout(C + 1, P, dtype)

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def states(rows):
        array = np.zeros((rows, P), dtype)
        array[:, :H] = normal(rows, H)
        return array.reshape(-1)

    given = {
        "C": C, "H": H, "starts": starts, "rows": normal((M + N) * stride), "stride": stride, "h": states(M + N),
        "mask": states(N), "sums": np.zeros(2 * max(8192 // dtype.itemsize, 4 * N * lanes), dtype),
        "zero": np.zeros(max(4 * P, columns), dtype),
        "first": 2, "last": N, "rank": 1, "size": 2, "by_units": True, "barrier": np.full(1, BROKEN, np.int64),
        "forward": normal(of_weights), "backward": normal(G * P * P), "inputs": normal(G * P * columns),
        "gradient": normal(of_weights),
        "weight_ih": normal(G * H * C), "weight_hh": normal(G * H * H), "bias_ih": normal(G * H),
        "bias_hh": normal(G * H), "d_weight_ih": normal(G * H * C), "d_weight_hh": normal(G * H * H),
        "d_bias_ih": normal(G * H), "d_bias_hh": normal(G * H),
        "x": normal(M * C), "at": (np.cumsum(lengths) - lengths) * C, "h_0": normal(N, 2 * H)[:, :H], "reverse": True,
        "out": normal(M * (H + 5)), "column": 2, "o_stride": H + 5, "d": normal(M * (H + 5)), "d_stride": H + 5,
        "more": True, "to_start": True,
        "dz": normal(M * kind.n_slots * P), "dh": states(N), "panels": np.zeros(2 * 64 * 4 * lanes, dtype),
        "d_h": states(M), "d_x": normal(M * columns),
        "products": normal(5 * G * P), "which": rng.integers(0, 5, (M, 2)), "q_first": lanes, "q_last": G * P,
        "d_products": normal(5 * G * P),
    }  # fmt: skip
    if kind.keeps_gates:
        given["gates"] = normal(M * kind.n_slots * P)
    if "c" in kind.states:
        given |= {"c": states(M + N), "dc": states(N), "c_0": normal(N, 2 * H)[:, :H]}
    if kind.direct:
        given["d_seen"] = states(N)
    if entries.operands(4) == 1:
        return of_bytes(entries, given, cell, C, H, N)
    return narrow(entries, given, cell, C, H, M, N) if entries.operands(2) == 1 else given


def arguments_of_step(entries, cell, dtype):
    given, N, lanes = arguments_of_run(entries, cell, dtype), 4, entries.lanes()
    C, H, stride, rng = given["C"], given["H"], given["stride"], np.random.default_rng(1)
    given |= {
        "starts": np.array([0, N], np.int64), "rows": rng.standard_normal(2 * N * stride).astype(dtype),
        "x_t": rng.standard_normal((N, C + 2)).astype(dtype)[:, :C], "h_t": np.zeros((N, H + 2), dtype)[:, :H],
    }  # fmt: skip
    if "c" in kernels.CELLS[cell].states:
        given["c"] = given["c"][: N * sizes_of(cell, C, H, lanes)[0]]
    return {name: value for name, value in given.items() if name not in ("h", "mask", "gates")}


def arguments_of_roll_out(entries, cell, dtype):
    """As many steps as channels, after windows of 18 steps."""
    given, rng = arguments_of_step(entries, cell, dtype), np.random.default_rng(2)
    N, T, S, C, K, H = 4, 18, 3, given["C"], 2, given["H"]
    forecast = {
        "series": rng.standard_normal((N, T + S)), "lags": rng.standard_normal(T),
        "offset": rng.standard_normal((N, S)), "noise": rng.standard_normal((N, S)),
    }  # fmt: skip
    of_network = {"weight": (K, H), "bias": (K,), "x": (N, S - 1, C), "scores": (N, K)}
    return given | forecast | {name: rng.standard_normal(shape).astype(dtype) for name, shape in of_network.items()}


def others(entries, dtype):
    """Calls of what has no runs."""
    rng, lanes, calls = np.random.default_rng(0), entries.lanes(), {}
    M, F, K, S = 7, 19, 2, 3

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def put(name, function, **given):
        calls[name] = Call(function, given)

    def linear(method):
        return lambda weight, bias, **given: getattr(entries.Linear(weight, bias), method)(*given.values())

    def differentiate(number, weight, bias, targets, weights, values, **given):
        loss = entries.Loss(number, len(weight), None, targets, weights, values)
        entries.Linear(weight, bias).differentiate(loss, *given.values())

    def losses(number, K, targets, weights, values, levels=None, **given):
        entries.Loss(number, K, levels, targets, weights, values).of_rows(*given.values())

    def draw(seed, epoch, stream, **given):
        entries.draw((seed, epoch, stream), *given.values())

    def plain(name):
        return lambda **given: getattr(entries, name)(*given.values())

    put("wait", plain("wait"), barrier=np.zeros(1, np.int64), size=1)
    wide = {"w": normal(21 * 40), "out": normal(32 * 4 * lanes)}
    put("pack_panels", plain("pack_panels"), H=21, P=32, M=40, first=lanes, last=4 * lanes, **wide)
    of_products = {"a": normal(M, F), "w": normal(F * 2 * lanes), "start": normal(2 * lanes)}
    put("multiply_rows", plain("multiply_rows"), first=2, last=M, **of_products, out=normal(M, 2 * lanes))
    of_gradient = {"a": normal(M, K), "b": normal(M, 6 * lanes), "panels": np.zeros(2 * 64 * 4 * lanes, dtype)}
    of_gradient |= {"out": normal(K, 6 * lanes), "more": True}
    put("gradient", plain("gradient"), first=4 * lanes, last=6 * lanes, R=K, **of_gradient)

    layer, rows = {"weight": normal(K, F), "bias": normal(K)}, {"first": 2, "last": M}
    put("linear_forward", linear("forward"), **layer, **rows, features=normal(M, F), scores=normal(M, K))
    classes = {"targets": rng.integers(0, K, (M, 1)), "weights": normal(M, 1), "values": np.zeros(M)}
    gradients = {"features": normal(M, F), "d_scores": normal(M, K), "d_features": normal(M, F)}
    put("linear_differentiate", differentiate, number=0, **layer, **classes, **rows, **gradients)
    of_features = {"d_scores": normal(M, K), "d_features": normal(M, F)}
    put("linear_backward", linear("backward"), **layer, **rows, **of_features)
    of_weights = {"d_scores": normal(M, K), "d_weight": normal(K, F), "d_bias": normal(K), "more": True}
    put("gradient_of_rows", plain("gradient_of_rows"), first=0, last=F, features=normal(M, F), **of_weights)
    K = 3
    given = {"K": K, "targets": normal(M, K), "weights": normal(M, K), "values": np.zeros(M)}
    put("losses_of_rows", losses, number=entries.LOSSES["huber"], **given, **rows, d_scores=normal(M, K + 1))
    given |= {"levels": np.array([0.1, 0.5, 0.9]), **rows, "d_scores": normal(M, K * S + 1)}
    put("losses_of_distributions", losses, number=entries.LOSSES["quantile"], **given)

    starts, N, T, W = starts_of(np.array([4, 3, 3, 1])).astype(np.int64), 4, 4, 6
    packed, order = normal(int(starts[-1]) + N, W + 2)[:, :W], rng.permutation(N)
    blocks = normal(N, T, W + 3)
    put(
        "gather", plain("gather"), starts=starts, order=order, reverse=True, first=0, last=4, array=blocks, column=2,
        rows=packed,
    )  # fmt: skip
    put(
        "scatter", plain("scatter"), starts=starts, order=order, reverse=True, states=True, add=True, rows=packed,
        out=blocks, column=2,
    )  # fmt: skip
    key = {"seed": 9, "epoch": 5, "stream": 2, "threshold": 2**31, "keep": 2.0}
    put("draw", draw, **key, sequences=rng.integers(0, 9, N), first=1, last=N, masks=normal(N, W + 2)[:, :W])
    masks = normal(N, W + 2)
    put("scale", plain("scale"), starts=starts, first=1, last=N, masks=masks, column=1, rows=packed)

    def attention(method):
        def call(A, W, source, target, first, last, scratch=None, **given):
            arrays = Arrays(**{name: given.get(name) for name in Arrays._fields})
            of_sequences = entries.Attention(A, W, source, target, arrays)
            getattr(of_sequences, method)(first, last, *([] if scratch is None else [scratch]))

        return call

    A, W, source, target = 5, lanes + 1, np.array([0, 3, 5]), np.array([0, 2, 6])
    of_memory = {"keys": normal(5, padded(A, lanes)), "memory": normal(5, padded(W, lanes))}
    of_queries = {"queries": normal(6, padded(A, lanes)), "context": normal(6, padded(W, lanes))}
    of_queries |= {"vector": normal(padded(A, lanes)), "weights": normal(6 * lanes), "keys_t": normal(2 * lanes * A)}
    of_all = {"A": A, "W": W, "source": source, "target": target, "first": 0, "last": 2, **of_memory, **of_queries}
    gradients = {"memory_t": normal(2 * lanes * W), "d_vector": normal(2, padded(A, lanes))}
    gradients |= {f"d_{name}": normal(*of_all[name].shape) for name in ("context", "keys", "queries", "memory")}
    put("transpose_memory", attention("transpose_memory"), **of_all, **gradients)
    put("attend", attention("forward"), **of_all, scratch=np.zeros(64 * 4 * lanes + 4 * A, dtype))
    of_back = {"scratch": np.zeros(64 * 4 * lanes + 4 * lanes + 4 * W, dtype)}
    put("attend_back", attention("backward"), **of_all, **gradients, **of_back)

    put("tanh_rows", plain("tanh_rows"), first=1, last=3, rows=normal(4, lanes + 3))

    P = 5000
    put("square_sums", plain("square_sums"), first=0, last=2, g=normal(P), sums=np.zeros(2))
    settings = np.array([0.7, 0.1, 0.001, 1e-3, 1.5, 1e-8], dtype)
    for solver in ("adam", "sgd", "rmsprop"):
        moments = np.abs(normal(2, P))
        put(solver, plain(solver), first=9, last=P, p=normal(P), g=normal(P), moments=moments, c=settings)
    return calls
