"""Register tiles as Numba types: the words the kernels are written in.

A tile is ``rows x vecs`` vectors of ``lanes(dtype)`` numbers held in registers. Arithmetic on tiles is
written as on numbers (``f * c + i * g``); a few functions move tiles between registers and flat arrays.
Offsets and strides are in elements. Nothing here checks bounds: callers size their buffers first.

# Design: LLVM vectors through numba.extending.intrinsic, because Numba's own loop vectoriser neither
# keeps a block of accumulators in registers nor promises an order of additions. Multiplications and
# additions are fused only where ``fma`` is written, so that a result has the same bits on every vector
# width with fused multiply-add hardware.
"""

import operator
import platform

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

I32, I64 = ir.IntType(32), ir.IntType(64)


def target_features():
    """CPU features that Numba generates code for (its settings first, then the host's)."""
    if config.CPU_FEATURES:
        return config.CPU_FEATURES
    if config.CPU_NAME and config.CPU_NAME != "host":  # a named CPU without a list: only its architecture's base
        return ""
    return llvm.get_host_cpu_features().flatten()


def _describe_target():
    features = set(target_features().split(","))
    if "+avx512f" in features:
        return "avx512", 64, 32, True
    if "+avx2" in features and "+fma" in features:
        return "avx2", 32, 16, True
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "neon", 16, 32, True
    return "sse2", 16, 16, "+fma" in features


#: Name of the vector instruction set, bytes and number of its registers, whether it has fused multiply-add.
ISA, VECTOR_BYTES, REGISTERS, HAS_FMA = _describe_target()
#: Largest number of rows of a tile of four vectors: accumulators, weights and a broadcast fit the registers.
ROWS = 6 if REGISTERS == 32 else 3


def lanes(dtype):
    """Numbers of `dtype` in one vector register."""
    return VECTOR_BYTES // dtype.itemsize


class Tile(types.Type):
    """``rows x vecs`` vectors of `dtype` in registers."""

    def __init__(self, dtype, rows, vecs):
        self.dtype, self.rows, self.vecs = dtype, rows, vecs
        self.lanes = VECTOR_BYTES // (dtype.bitwidth // 8)
        super().__init__(name=f"Tile({dtype}, {rows}x{vecs})")

    @property
    def scalar(self):
        return ir.FloatType() if self.dtype.bitwidth == 32 else ir.DoubleType()

    @property
    def vector(self):
        return ir.VectorType(self.scalar, self.lanes)

    @property
    def integers(self):
        return ir.VectorType(ir.IntType(self.dtype.bitwidth), self.lanes)


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.ArrayType(fe_type.vector, fe_type.rows * fe_type.vecs))


# -- code generation helpers ------------------------------------------------------------------------------


def _address(context, builder, array_type, array, offset):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def _load_vector(builder, tile, pointer):
    vector = builder.load(builder.bitcast(pointer, tile.vector.as_pointer()))
    vector.align = tile.dtype.bitwidth // 8
    return vector


def _splat(builder, tile, scalar):
    lane0 = builder.insert_element(ir.Constant(tile.vector, ir.Undefined), scalar, I32(0))
    return builder.shuffle_vector(lane0, lane0, ir.Constant(ir.VectorType(I32, tile.lanes), [0] * tile.lanes))


def _pack(builder, tile, vectors):
    out = ir.Constant(ir.ArrayType(tile.vector, len(vectors)), ir.Undefined)
    for n, vector in enumerate(vectors):
        out = builder.insert_value(out, vector, n)
    return out


def _unpack(builder, tile, value):
    return [builder.extract_value(value, n) for n in range(tile.rows * tile.vecs)]


def emit_call(builder, tile, name, *args):
    """Call the LLVM vector intrinsic `name` on vectors of `tile`."""
    suffix = f"v{tile.lanes}f{tile.dtype.bitwidth}"
    function_type = ir.FunctionType(tile.vector, [tile.vector] * len(args))
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}")
    return builder.call(function, args)


def emit_fma(builder, tile, a, b, c):
    """a * b + c, rounded once where the target can."""
    if HAS_FMA:
        return emit_call(builder, tile, "fma", a, b, c)
    return builder.fadd(builder.fmul(a, b), c)


def emit_constant(tile, value):
    """A vector with `value` in every lane."""
    return ir.Constant(tile.vector, [value] * tile.lanes)


def elementwise(emit):
    """A function of tiles of one type from ``emit(builder, tile, *vectors) -> vector``."""

    def codegen(context, builder, signature, args):
        tile = signature.return_type
        columns = zip(*(_unpack(builder, tile, arg) for arg in args), strict=True)
        return _pack(builder, tile, [emit(builder, tile, *vectors) for vectors in columns])

    arity = emit.__code__.co_argcount - 2
    if arity == 1:

        @intrinsic
        def op(typingctx, a):
            return (a(a), codegen) if isinstance(a, Tile) else None
    elif arity == 2:

        @intrinsic
        def op(typingctx, a, b):
            return (a(a, b), codegen) if isinstance(a, Tile) and a == b else None
    else:

        @intrinsic
        def op(typingctx, a, b, c):
            return (a(a, b, c), codegen) if isinstance(a, Tile) and a == b == c else None

    return op


# -- between arrays and registers -------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def load(typingctx, rows, vecs, a, offset, stride):
    """Tile whose row r is ``a[offset + r * stride : ... + vecs * lanes]``; stride 0 repeats one row."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vecs, types.IntegerLiteral)):
        return None
    tile = Tile(a.dtype, rows.literal_value, vecs.literal_value)

    def codegen(context, builder, signature, args):
        first = _address(context, builder, signature.args[2], args[2], args[3])
        vectors = []
        for r in range(tile.rows):
            row = builder.gep(first, [builder.mul(args[4], I64(r))])
            vectors += [_load_vector(builder, tile, builder.gep(row, [I64(v * tile.lanes)])) for v in range(tile.vecs)]
        return _pack(builder, tile, vectors)

    return tile(rows, vecs, a, types.int64, types.int64), codegen


@intrinsic
def store(typingctx, tile, a, offset, stride):
    """Write row r of the tile to ``a[offset + r * stride : ... + vecs * lanes]``."""

    def codegen(context, builder, signature, args):
        first = _address(context, builder, signature.args[1], args[1], args[2])
        for n, vector in enumerate(_unpack(builder, tile, args[0])):
            r, v = divmod(n, tile.vecs)
            place = builder.gep(first, [builder.add(builder.mul(args[3], I64(r)), I64(v * tile.lanes))])
            builder.store(vector, builder.bitcast(place, tile.vector.as_pointer())).align = tile.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(tile, a, types.int64, types.int64), codegen


@intrinsic(prefer_literal=True)
def column(typingctx, tile, v):
    """Vector v of every row."""
    if not isinstance(v, types.IntegerLiteral):
        return None
    out = Tile(tile.dtype, tile.rows, 1)

    def codegen(context, builder, signature, args):
        vectors = _unpack(builder, tile, args[0])
        return _pack(builder, out, vectors[v.literal_value :: tile.vecs])

    return out(tile, v), codegen


@intrinsic
def prefetch(typingctx, a, offset):
    """Ask for the cache line of ``a[offset]``, which may lie beyond the array's end, in the second-level cache."""

    def codegen(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(_address(context, builder, signature.args[0], *args), byte)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32]), "llvm.prefetch.p0"
        )
        builder.call(function, [pointer, I32(0), I32(2), I32(1)])
        return context.get_dummy_value()

    return types.void(a, types.int64), codegen


@intrinsic
def rank1(typingctx, tile, a, a_offset, a_stride, w, w_offset):
    """tile[r, :] += a[a_offset + r * a_stride] * w[w_offset : w_offset + vecs * lanes]."""
    # Registers decide the order. With room for all weight vectors, they are loaded first and each broadcast
    # lives for `vecs` multiplications; otherwise the broadcasts are loaded first and each weight vector
    # just before its use. The wrong order spills accumulators and halves the speed.
    weights_first = tile.rows * tile.vecs + tile.vecs + 1 <= REGISTERS

    def codegen(context, builder, signature, args):
        acc, a_, a_offset_, stride, w_, w_offset_ = args
        pa = _address(context, builder, signature.args[1], a_, a_offset_)
        pw = _address(context, builder, signature.args[4], w_, w_offset_)
        total = _unpack(builder, tile, acc)

        def broadcast(r):
            return _splat(builder, tile, builder.load(builder.gep(pa, [builder.mul(stride, I64(r))])))

        def weights(v):
            return _load_vector(builder, tile, builder.gep(pw, [I64(v * tile.lanes)]))

        def accumulate(r, v, x, y):
            total[r * tile.vecs + v] = emit_fma(builder, tile, x, y, total[r * tile.vecs + v])

        if weights_first:
            loaded = [weights(v) for v in range(tile.vecs)]
            for r in range(tile.rows):
                x = broadcast(r)
                for v, y in enumerate(loaded):
                    accumulate(r, v, x, y)
        else:
            loaded = [broadcast(r) for r in range(tile.rows)]
            for v in range(tile.vecs):
                y = weights(v)
                for r, x in enumerate(loaded):
                    accumulate(r, v, x, y)
        return _pack(builder, tile, total)

    return tile(tile, a, types.int64, types.int64, w, types.int64), codegen


# -- arithmetic -------------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def zeros(typingctx, rows, vecs, a):
    """Tile of zeros, of the type of the numbers in `a`."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vecs, types.IntegerLiteral)):
        return None
    tile = Tile(a.dtype, rows.literal_value, vecs.literal_value)

    def codegen(context, builder, signature, args):
        return _pack(builder, tile, [emit_constant(tile, 0.0)] * (tile.rows * tile.vecs))

    return tile(rows, vecs, a), codegen


fma = elementwise(lambda builder, tile, a, b, c: emit_fma(builder, tile, a, b, c))


@intrinsic
def _spread(typingctx, tile, number):
    """A tile like `tile` with `number` in every lane."""

    def codegen(context, builder, signature, args):
        scalar = context.cast(builder, args[1], number, tile.dtype)
        return _pack(builder, tile, [_splat(builder, tile, scalar)] * (tile.rows * tile.vecs))

    return (tile(tile, number), codegen) if isinstance(tile, Tile) and isinstance(number, types.Number) else None


def _define_operator(symbol, emit):
    op = elementwise(emit)

    @overload(symbol)
    def _(a, b):
        if isinstance(a, Tile) and a == b:
            return lambda a, b: op(a, b)
        if isinstance(a, Tile) and isinstance(b, types.Number):
            return lambda a, b: op(a, _spread(a, b))
        if isinstance(b, Tile) and isinstance(a, types.Number):
            return lambda a, b: op(_spread(b, a), b)


_define_operator(operator.add, lambda builder, tile, a, b: builder.fadd(a, b))
_define_operator(operator.sub, lambda builder, tile, a, b: builder.fsub(a, b))
_define_operator(operator.mul, lambda builder, tile, a, b: builder.fmul(a, b))


@intrinsic
def width(typingctx, a):
    """Lanes of one vector of the numbers in `a`, a constant to the compiler."""

    def codegen(context, builder, signature, args):
        return I64(VECTOR_BYTES // (a.dtype.bitwidth // 8))

    return types.int64(a), codegen
