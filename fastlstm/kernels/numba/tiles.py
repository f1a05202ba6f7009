"""Register tiles as a Numba type, with the operations that the kernels are built from.

A tile is ``rows x vecs`` vectors of ``lanes(dtype)`` elements, held in registers. Tiles support the arithmetic
operators of scalars (``f * c + i * g``); a few functions load tiles from flat arrays and store them. Offsets and
strides are in elements. There are no bounds checks.

# Design: tiles are LLVM vectors, created by numba.extending.intrinsic, because Numba's loop vectoriser neither keeps a
# block of accumulators in registers nor guarantees an order of additions. Multiplications and additions are fused only
# by explicit calls of ``fma``, so that results are bitwise identical for every vector width on hardware with fused
# multiply-add.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from fastlstm.kernels.numba.target import HAS_FMA, VECTOR_BYTES

I32, I64 = ir.IntType(32), ir.IntType(64)


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


def emit_address(context, builder, kind, memory, offset):
    """Pointer to element `offset` of an array, or of a pointer created by `pointer`."""
    first = memory if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, memory).data
    return builder.gep(first, [offset])


def _alignment(vector):
    element = vector.element
    return element.width // 8 if isinstance(element, ir.IntType) else 4 if isinstance(element, ir.FloatType) else 8


def emit_load(builder, kind, pointer):
    """Load a vector of this type, aligned like its elements."""
    vector = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    vector.align = _alignment(kind)
    return vector


def emit_store(builder, vector, pointer):
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer())).align = _alignment(vector.type)


def places_of(builder, tile, first, stride):
    """Pointers to the tile's vectors in memory, with rows `stride` elements apart."""
    rows = [builder.gep(first, [builder.mul(stride, I64(r))]) for r in range(tile.rows)]
    return [builder.gep(row, [I64(v * tile.lanes)]) for row in rows for v in range(tile.vecs)]


def emit_splat(builder, kind, scalar):
    """A vector of this type with `scalar` in every lane."""
    lane0 = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
    return builder.shuffle_vector(lane0, lane0, ir.Constant(ir.VectorType(I32, kind.count), [0] * kind.count))


def pack(builder, tile, vectors):
    out = ir.Constant(ir.ArrayType(tile.vector, len(vectors)), ir.Undefined)
    for n, vector in enumerate(vectors):
        out = builder.insert_value(out, vector, n)
    return out


def unpack(builder, tile, value):
    return [builder.extract_value(value, n) for n in range(tile.rows * tile.vecs)]


def emit_call(builder, tile, name, *args):
    """Call the LLVM vector intrinsic `name` on vectors of `tile`."""
    suffix = f"v{tile.lanes}f{tile.dtype.bitwidth}"
    function_type = ir.FunctionType(tile.vector, [tile.vector] * len(args))
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}")
    return builder.call(function, args)


def emit_fma(builder, tile, a, b, c):
    """a * b + c, rounded once if the target supports it."""
    if HAS_FMA:
        return emit_call(builder, tile, "fma", a, b, c)
    return builder.fadd(builder.fmul(a, b), c)


def emit_constant(tile, value):
    """A vector with `value` in every lane."""
    return ir.Constant(tile.vector, [value] * tile.lanes)


def elementwise(emit):
    """Create an elementwise function of tiles of the same type from ``emit(builder, tile, *vectors) -> vector``."""

    def codegen(context, builder, signature, args):
        tile = signature.return_type
        columns = zip(*(unpack(builder, tile, arg) for arg in args), strict=True)
        return pack(builder, tile, [emit(builder, tile, *vectors) for vectors in columns])

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


@intrinsic
def pointer(typingctx, array):
    """Pointer to an array's first element, which can be indexed and passed on like a flat array.

    Numba updates an array's reference count, with atomic operations, on each function call and assignment. This takes
    as much time as the products of a small step, so entries convert their arrays to pointers first.
    """

    def codegen(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def address(typingctx, array):
    """Address of an array's first element, as an integer."""

    def codegen(context, builder, signature, args):
        return builder.ptrtoint(context.make_array(signature.args[0])(context, builder, args[0]).data, I64)

    return types.int64(array), codegen


@intrinsic
def integers_at(typingctx, address):
    """Convert an address to a `pointer` to int64 elements."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(types.int64), codegen


@intrinsic
def shift(typingctx, pointer, offset):
    """Pointer to element `offset`."""

    def codegen(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.int64), codegen


@intrinsic(prefer_literal=True)
def load(typingctx, rows, vecs, a, offset, stride):
    """Tile whose row r is ``a[offset + r * stride : ... + vecs * lanes]``; stride 0 repeats one row."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vecs, types.IntegerLiteral)):
        return None
    tile = Tile(a.dtype, rows.literal_value, vecs.literal_value)

    def codegen(context, builder, signature, args):
        first = emit_address(context, builder, signature.args[2], args[2], args[3])
        places = places_of(builder, tile, first, args[4])
        return pack(builder, tile, [emit_load(builder, tile.vector, place) for place in places])

    return tile(rows, vecs, a, types.int64, types.int64), codegen


@intrinsic
def store(typingctx, tile, a, offset, stride):
    """Write row r of the tile to ``a[offset + r * stride : ... + vecs * lanes]``."""

    def codegen(context, builder, signature, args):
        first = emit_address(context, builder, signature.args[1], args[1], args[2])
        places = places_of(builder, tile, first, args[3])
        for vector, place in zip(unpack(builder, tile, args[0]), places, strict=True):
            emit_store(builder, vector, place)
        return context.get_dummy_value()

    return types.void(tile, a, types.int64, types.int64), codegen


@intrinsic
def load_transposed(typingctx, a, offset, stride):
    """Square tile whose row r, lane l is ``a[offset + l * stride + r]``."""
    lanes = VECTOR_BYTES // (a.dtype.bitwidth // 8)
    tile = Tile(a.dtype, lanes, 1)

    def codegen(context, builder, signature, args):
        first = emit_address(context, builder, signature.args[0], args[0], args[1])
        rows = [emit_load(builder, tile.vector, place) for place in places_of(builder, tile, first, args[2])]
        half = lanes // 2
        while half:  # swap the off-diagonal quarters of every block of 2 * half (Eklundh 1972)
            low = [lane if not lane & half else lanes + lane - half for lane in range(lanes)]
            high = [lane + half if not lane & half else lanes + lane for lane in range(lanes)]
            masks = [ir.Constant(ir.VectorType(I32, lanes), mask) for mask in (low, high)]
            for r in range(lanes):
                if not r & half:
                    pair = rows[r], rows[r + half]
                    rows[r], rows[r + half] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            half //= 2
        return pack(builder, tile, rows)

    return tile(a, types.int64, types.int64), codegen


@intrinsic
def add_to(typingctx, tile, a, offset, stride, add):
    """Store the tile as `store` does, or accumulate it with `add`."""

    def codegen(context, builder, signature, args):
        first = emit_address(context, builder, signature.args[1], args[1], args[2])
        places, vectors = places_of(builder, tile, first, args[3]), unpack(builder, tile, args[0])
        with builder.if_else(args[4]) as (adding, setting):
            with adding:
                for vector, place in zip(vectors, places, strict=True):
                    emit_store(builder, builder.fadd(vector, emit_load(builder, tile.vector, place)), place)
            with setting:
                for vector, place in zip(vectors, places, strict=True):
                    emit_store(builder, vector, place)
        return context.get_dummy_value()

    return types.void(tile, a, types.int64, types.int64, types.boolean), codegen


@intrinsic(prefer_literal=True)
def column(typingctx, tile, v):
    """Vector v of every row."""
    if not isinstance(v, types.IntegerLiteral):
        return None
    out = Tile(tile.dtype, tile.rows, 1)

    def codegen(context, builder, signature, args):
        vectors = unpack(builder, tile, args[0])
        return pack(builder, out, vectors[v.literal_value :: tile.vecs])

    return out(tile, v), codegen


def emit_prefetch(context, builder, array_type, array, offset):
    """Prefetch the cache line of ``array[offset]`` into the L2 cache. The offset may be out of bounds."""
    byte = ir.IntType(8).as_pointer()
    pointer = builder.bitcast(emit_address(context, builder, array_type, array, offset), byte)
    function_type = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
    builder.call(function, [pointer, I32(0), I32(2), I32(1)])


@intrinsic
def prefetch(typingctx, a, offset):
    """Prefetch the cache line of a[offset]. The offset may be out of bounds."""

    def codegen(context, builder, signature, args):
        emit_prefetch(context, builder, signature.args[0], args[0], args[1])
        return context.get_dummy_value()

    return types.void(a, types.int64), codegen


# -- arithmetic -------------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def zeros(typingctx, rows, vecs, a):
    """Tile of zeros, with the element type of `a`."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vecs, types.IntegerLiteral)):
        return None
    tile = Tile(a.dtype, rows.literal_value, vecs.literal_value)

    def codegen(context, builder, signature, args):
        return pack(builder, tile, [emit_constant(tile, 0.0)] * (tile.rows * tile.vecs))

    return tile(rows, vecs, a), codegen


fma = elementwise(lambda builder, tile, a, b, c: emit_fma(builder, tile, a, b, c))


@intrinsic
def _spread(typingctx, tile, number):
    """A tile like `tile` with `number` in every lane."""

    def codegen(context, builder, signature, args):
        scalar = context.cast(builder, args[1], number, tile.dtype)
        return pack(builder, tile, [emit_splat(builder, tile.vector, scalar)] * (tile.rows * tile.vecs))

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
    """Lanes of a vector of the element type of `a`, as a compile-time constant."""

    def codegen(context, builder, signature, args):
        return I64(VECTOR_BYTES // (a.dtype.bitwidth // 8))

    return types.int64(a), codegen
