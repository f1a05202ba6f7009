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

from fastlstm.kernels.numba.target import HAS_FMA, REGISTERS, VECTOR_BYTES

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


def _address(context, builder, kind, memory, offset):
    """Pointer to element `offset` of an array, or of a pointer created by `pointer`."""
    first = memory if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, memory).data
    return builder.gep(first, [offset])


def _load_vector(builder, tile, pointer):
    vector = builder.load(builder.bitcast(pointer, tile.vector.as_pointer()))
    vector.align = tile.dtype.bitwidth // 8
    return vector


def _store_vector(builder, tile, vector, pointer):
    builder.store(vector, builder.bitcast(pointer, tile.vector.as_pointer())).align = tile.dtype.bitwidth // 8


def _places(builder, tile, first, stride):
    """Pointers to the tile's vectors in memory, with rows `stride` elements apart."""
    rows = [builder.gep(first, [builder.mul(stride, I64(r))]) for r in range(tile.rows)]
    return [builder.gep(row, [I64(v * tile.lanes)]) for row in rows for v in range(tile.vecs)]


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
def pointer_to(typingctx, address, like):
    """Convert an address to a `pointer` to elements of the same type as those of `like`."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(like.dtype)(types.int64, like), codegen


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
        first = _address(context, builder, signature.args[2], args[2], args[3])
        places = _places(builder, tile, first, args[4])
        return _pack(builder, tile, [_load_vector(builder, tile, place) for place in places])

    return tile(rows, vecs, a, types.int64, types.int64), codegen


@intrinsic
def store(typingctx, tile, a, offset, stride):
    """Write row r of the tile to ``a[offset + r * stride : ... + vecs * lanes]``."""

    def codegen(context, builder, signature, args):
        first = _address(context, builder, signature.args[1], args[1], args[2])
        places = _places(builder, tile, first, args[3])
        for vector, place in zip(_unpack(builder, tile, args[0]), places, strict=True):
            _store_vector(builder, tile, vector, place)
        return context.get_dummy_value()

    return types.void(tile, a, types.int64, types.int64), codegen


@intrinsic
def load_transposed(typingctx, a, offset, stride):
    """Square tile whose row r, lane l is ``a[offset + l * stride + r]``."""
    lanes = VECTOR_BYTES // (a.dtype.bitwidth // 8)
    tile = Tile(a.dtype, lanes, 1)

    def codegen(context, builder, signature, args):
        first = _address(context, builder, signature.args[0], args[0], args[1])
        rows = [_load_vector(builder, tile, place) for place in _places(builder, tile, first, args[2])]
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
        return _pack(builder, tile, rows)

    return tile(a, types.int64, types.int64), codegen


@intrinsic
def add_to(typingctx, tile, a, offset, stride, add):
    """Store the tile as `store` does, or accumulate it with `add`."""

    def codegen(context, builder, signature, args):
        first = _address(context, builder, signature.args[1], args[1], args[2])
        places, vectors = _places(builder, tile, first, args[3]), _unpack(builder, tile, args[0])
        with builder.if_else(args[4]) as (adding, setting):
            with adding:
                for vector, place in zip(vectors, places, strict=True):
                    _store_vector(builder, tile, builder.fadd(vector, _load_vector(builder, tile, place)), place)
            with setting:
                for vector, place in zip(vectors, places, strict=True):
                    _store_vector(builder, tile, vector, place)
        return context.get_dummy_value()

    return types.void(tile, a, types.int64, types.int64, types.boolean), codegen


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


def _emit_prefetch(context, builder, array_type, array, offset):
    """Prefetch the cache line of ``array[offset]`` into the L2 cache. The offset may be out of bounds."""
    byte = ir.IntType(8).as_pointer()
    pointer = builder.bitcast(_address(context, builder, array_type, array, offset), byte)
    function_type = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
    builder.call(function, [pointer, I32(0), I32(2), I32(1)])


@intrinsic
def prefetch(typingctx, a, offset):
    """Prefetch the cache line of a[offset]. The offset may be out of bounds."""

    def codegen(context, builder, signature, args):
        _emit_prefetch(context, builder, signature.args[0], args[0], args[1])
        return context.get_dummy_value()

    return types.void(a, types.int64), codegen


def _emit_rank1(builder, tile, total, element, weights):
    """Rank-1 update of the vectors, total[r, v] += element(r) * weights(v)."""

    def accumulate(r, v, x, y):
        total[r * tile.vecs + v] = emit_fma(builder, tile, x, y, total[r * tile.vecs + v])

    # The number of registers determines the order. If all weight vectors fit, they are loaded first, and each element
    # is live for `vecs` multiplications; otherwise the elements are loaded first, and each weight vector just before
    # its use. The wrong order spills accumulators, which halves the speed.
    if tile.rows * tile.vecs + tile.vecs + 1 <= REGISTERS:
        loaded = [weights(v) for v in range(tile.vecs)]
        for r in range(tile.rows):
            x = element(r)
            for v, y in enumerate(loaded):
                accumulate(r, v, x, y)
    else:
        loaded = [element(r) for r in range(tile.rows)]
        for v in range(tile.vecs):
            y = weights(v)
            for r, x in enumerate(loaded):
                accumulate(r, v, x, y)
    return total


@intrinsic
def add_products(typingctx, tile, K, a, a_row, a_k, w, p, q):
    """tile[r, :] += sum over k < K of a[r * a_row + k * a_k] * w[k * vecs * lanes : ...]

    The K >= 1 products are accumulated in the order of k. p and q are pairs (pointer, distance): iteration k prefetches
    p[k * distance] and q[k * distance], which are needed next.
    """
    # Design: the loop is emitted as LLVM IR rather than written in Python around a rank-1 update, because Numba would
    # take half a second to compile each Python function for each tile shape.

    def codegen(context, builder, signature, args):
        acc, K_, a_, a_row_, a_k_, w_, p_, q_ = args
        rows = [builder.mul(a_row_, I64(r)) for r in range(tile.rows)]
        before, body, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("done")
        start = _unpack(builder, tile, acc)
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(I64)
        phis = [builder.phi(tile.vector) for _ in start]
        row0 = builder.gep(a_, [builder.mul(k, a_k_)])
        weights0 = builder.gep(w_, [builder.mul(k, I64(tile.vecs * tile.lanes))])
        for kind, (memory, step) in ((kind, cgutils.unpack_tuple(builder, pair)) for kind, pair in ((p, p_), (q, q_))):
            _emit_prefetch(context, builder, kind[0], memory, builder.mul(k, step))
        total = _emit_rank1(
            builder,
            tile,
            list(phis),
            lambda r: _splat(builder, tile, builder.load(builder.gep(row0, [rows[r]]))),
            lambda v: _load_vector(builder, tile, builder.gep(weights0, [I64(v * tile.lanes)])),
        )
        next_k = builder.add(k, I64(1))
        builder.cbranch(builder.icmp_signed("<", next_k, K_), body, after)
        for phi, first, again in zip([k, *phis], [I64(0), *start], [next_k, *total], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(again, body)
        builder.position_at_end(after)
        return _pack(builder, tile, total)

    index = types.int64
    ahead = [types.Tuple([pair[0], index]) for pair in (p, q)]
    return tile(tile, index, a, index, index, w, *ahead), codegen


# -- arithmetic -------------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def zeros(typingctx, rows, vecs, a):
    """Tile of zeros, with the element type of `a`."""
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
    """Lanes of a vector of the element type of `a`, as a compile-time constant."""

    def codegen(context, builder, signature, args):
        return I64(VECTOR_BYTES // (a.dtype.bitwidth // 8))

    return types.int64(a), codegen
