"""Base classes of all cells: the arrays of a run, and everything except the recurrence.

A cell adds its equations in `forward` and `backward`. `forward` fills the states and `_kept`, the activations that
`backward` needs; `backward` fills `_d_of_x` and `_d_of_h`, the gradients of the terms of x and h in the gates' sums,
and updates `d_state`.
"""

import numpy as np

from fastlstm.kernels import NO_GRADIENT
from fastlstm.kernels.numpy.packing import places, reversed_rows

SMALLEST = np.float32(2.0**-120)  # rows that have no larger number are rounded to zeros as int8


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def rows_times(a, w):
    """a [..., K] @ w [M, K].T with one product per row, so that the result of a row does not depend on other rows."""
    # sums may overflow, and OpenBLAS may warn about memory beyond small arrays (numpy issue 24067)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.matmul(w, a[..., None])[..., 0]


def bfloat16(array):
    """float32 numbers rounded to the nearest bfloat16 number, the even one of two."""
    bits = array.astype(np.float32).view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return np.where(np.isnan(array), array, nearest.astype(np.uint32).view(np.float32))


def int8(array):
    """Rows of float32 numbers as integers from -127 to 127, and their scales [..., 1]."""
    largest = np.abs(array).max(axis=-1, keepdims=True, initial=0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scale = np.where(largest < SMALLEST, 0, largest / np.float32(127))
        integers = np.rint(array * np.where(largest < SMALLEST, 0, np.float32(127) / largest))
    return integers, np.where(np.isfinite(largest), scale, np.float32(np.nan))


class Packed:
    """Weights and their gradient; this backend keeps them in their original shapes."""

    GATES = None  # letters, in the order of the weights
    PRECISION = "float32"  # of products; float64 numbers keep their own

    def __init__(self, C, H, dtype, workspace, forward=True, backward=False, inputs=False):
        if self.PRECISION == "int8" and (backward or inputs):
            raise ValueError(NO_GRADIENT)
        G = len(self.GATES) * H
        self._shapes = (G, C), (G, H), (G,), (G,)

    def fill(self, part, weights):
        self.weights = [np.array(w).reshape(shape) for w, shape in zip(weights, self._shapes, strict=True)]
        if self.PRECISION == "int8":
            self.rounded = [int8(w) for w in self.weights[:2]]
        if self.PRECISION == "bfloat16":
            weight_ih, weight_hh, bias_ih, bias_hh = self.weights
            one, other = self._biases(bias_ih, bias_hh)
            self.weights = [bfloat16(weight_ih), bfloat16(weight_hh), bfloat16(one), other]
        self.gradient = [np.zeros_like(w) for w in self.weights]

    def _biases(self, bias_ih, bias_hh):
        """The same biases as weights of the 1 beside the inputs, and the rest."""
        return bias_ih + bias_hh, np.zeros_like(bias_hh)

    def unpack(self, part, d_weights):
        for d_w, value in zip(d_weights, self.gradient, strict=True):
            d_w[...] = value.reshape(d_w.shape)


class Run:
    """A run over a packed batch, with its buffers; see the contract."""

    STATES, GATES = "h", None  # letters of the states, and of the gates in the order of the weights
    ORDER = None  # letters of the gates in the order of products that are looked up, if it is another
    KEPT = ""  # letters of the activations that forward stores for backward
    PRECISION = "float32"  # of products; float64 numbers keep their own

    def __init__(self, C, H, starts, dtype, workspace, recording=False, threads=1, masked=False):
        self.workspace = workspace
        self.N, self.M, self.C, self.H, self.P, self.dtype = starts[1], starts[-1], C, H, H, dtype
        self._places, self._reversed_rows = list(places(starts)), reversed_rows(starts)
        self._after = np.concatenate([after for _, after in self._places])
        self._x = self.inputs = np.empty((self.M, C), dtype)
        self.mask = np.ones((self.N, H), dtype) if masked else None
        self._states = np.zeros((len(self.STATES), self.M + self.N, H), dtype)
        self.h = self._states[0]
        self.state, self.state_n = tuple(self._states[:, : self.N]), tuple(self._states[:, self.M :])
        self._kept, self._products = np.empty((len(self.KEPT), self.M, H), dtype), None

    def _factors(self, array):
        """Numbers as products read them."""
        return bfloat16(array) if self.PRECISION == "bfloat16" else array

    def _times(self, array, packed, which):
        """Products of rows and the weights of inputs, which=0, or of states, which=1."""
        if self.PRECISION != "int8":
            return rows_times(self._factors(array), packed.weights[which])
        (integers, scale), (of_weights, scale_of_weights) = int8(array), packed.rounded[which]
        sums = rows_times(integers.astype(float), of_weights.astype(float))  # exact
        with np.errstate(over="ignore"):
            return (scale * scale_of_weights.T) * sums.astype(np.float32)

    def look_up(self, products, which):
        self._products, self._which = products, which

    def _products_of_x(self, rows, packed):
        """Products of the inputs of these rows, plus those that are looked up."""
        products = self._times(self._x[rows], packed, 0)
        if self._products is not None:
            looked_up = self._products[self._which[rows]].sum(axis=1)
            products = products + looked_up[:, [(self.ORDER or self.GATES).index(gate) for gate in self.GATES]].reshape(
                products.shape
            )
        return products

    def add_rows(self, part, d_products, accumulate=False):
        if not accumulate:
            d_products[...] = 0
        d_rows = self._d_of_x.reshape(self.M, len(self.GATES), self.H)
        d_rows = d_rows[:, [self.GATES.index(gate) for gate in self.ORDER or self.GATES]]
        for which in self._which.T:
            np.add.at(d_products, which, d_rows)

    def _seen(self, rows):
        """The states before a step, multiplied by the recurrent dropout mask if there is one."""
        h = self.h[rows]
        return h if self.mask is None else h * self.mask[: len(h)]

    def _products_of_h(self, rows, packed):
        """Products of the states before a step."""
        return self._times(self._seen(rows), packed, 1)

    def _past(self, d_sums, packed):
        """Gradient of the states before a step, given that of the gates' sums."""
        d_h = rows_times(self._factors(d_sums), packed.weights[1].T)
        return d_h if self.mask is None else d_h * self.mask[: len(d_h)]

    def bounds(self, part):
        return 0, self.N

    def load(self, part, x, at, state=None, reverse=False):
        inputs = np.empty_like(self._x)
        for t, (rows, _) in enumerate(self._places):
            active = rows.stop - rows.start
            inputs[rows] = x[at[:active, None] + t * self.C + np.arange(self.C)]
        self._x[:] = inputs[self._reversed_rows] if reverse else inputs
        self._states[:, : self.N] = 0 if state is None else state

    def connect(self, part, below, reverse, state=None):
        column = 0
        for run, is_reversed in zip(below, reverse, strict=True):
            run.outputs(part, is_reversed, self._x, column)
            column += run.H
        self._states[:, : self.N] = 0 if state is None else state

    def activations(self):
        return dict(zip([*self.KEPT, *self.STATES], [*self._kept, *self._states], strict=True))

    def outputs(self, part, reverse, out, column):
        outputs = self.h[self._after]
        out[:, column : column + self.H] = outputs[self._reversed_rows] if reverse else outputs

    def step(self, packed, x, h):
        self._x[:] = x
        self.forward(None, packed)
        for first, last in zip(self.state, self.state_n, strict=True):
            first[:] = last
        h[:] = self.state[0]

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        if self.PRECISION == "int8":
            raise ValueError(NO_GRADIENT)
        self.d_state = tuple(np.zeros((len(self.STATES), self.N, self.H), self.dtype))
        self.d_h = np.zeros((self.M, self.H), self.dtype)
        self._d_of_x, self._d_of_h = np.empty((2, self.M, len(self.GATES) * self.H), self.dtype)

    def collect(self, part, d_outputs, reverse, column):
        columns = slice(column, column + self.H)
        self.d_h[:] = sum(
            d[self._reversed_rows, columns] if is_reversed else d[:, columns]
            for d, is_reversed in zip(d_outputs, reverse, strict=True)
        )

    def d_sums(self):
        d_sums = dict(zip(self.GATES, np.split(self._d_of_x, len(self.GATES), axis=1), strict=True))
        if "m" in self.KEPT:
            d_sums["m"] = self._d_of_h[:, -self.H :]
        return d_sums

    def weight_gradient(self, part, packed, accumulate=False):
        of_x, of_h = self._factors(self._d_of_x), self._factors(self._d_of_h)
        parts = (
            np.einsum("mg,mc->gc", of_x, self._factors(self._x)),
            np.einsum("mg,mh->gh", of_h, self._factors(np.concatenate([self._seen(now) for now, _ in self._places]))),
            of_x.sum(axis=0),
            of_h.sum(axis=0),
        )
        packed.gradient = [old + new if accumulate else new for old, new in zip(packed.gradient, parts, strict=True)]

    def input_gradient(self, part, packed):
        self.d_x = self.d_inputs = rows_times(self._factors(self._d_of_x), packed.weights[0].T)
