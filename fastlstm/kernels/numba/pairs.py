"""Pairs of bfloat16 numbers as operands of products; the counterpart of ``csrc/reals.h`` and ``csrc/pairs.h``.

Products multiply *operands*, of one *factor* or of two that are neighbours in a sum. The type of an array decides:
uint16 holds bfloat16 factors, each the upper half of a float32, and uint32 holds pairs of them, the first in the lower
half. In arrays of real numbers, a factor and an operand are a number itself. All functions are compiled for either.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from fastlstm.kernels.numba.jit import OPTIONS, kernel
from fastlstm.kernels.numba.target import HAS_PAIR_PRODUCTS, REGISTERS, ROWS
from fastlstm.kernels.numba.tiles import I64, Tile, emit_address, emit_load, emit_store, places_of, unpack

I16, I32 = ir.IntType(16), ir.IntType(32)


def is_of_pairs(kind):
    """Whether the type of an array or pointer is that of factors or operands of pairs."""
    return kind.dtype in (types.uint16, types.uint32)


def _real(kind):
    return types.float32 if is_of_pairs(kind) else kind.dtype


def _factor(kind):
    return types.uint16 if is_of_pairs(kind) else kind.dtype


def for_pairs(function):
    """Decorator for kernels of a run that only products of pairs need. For other runs, a call does nothing."""
    compiled = kernel(function)

    def only_for_pairs(run, *args):
        """For Numba, which selects a version below by the type of the run."""

    @overload(only_for_pairs, jit_options=OPTIONS)
    def _(run, *args):
        if is_of_pairs(run[run.fields.index("factors")]):
            return lambda run, *args: compiled(run, *args)
        return lambda run, *args: None

    return only_for_pairs


# -- sizes and pointers ---------------------------------------------------------------------------------------------


def _constant(number_of):
    """Create a function of an array or pointer that returns ``number_of(kind)``, as a compile-time constant."""

    @intrinsic
    def constant(typingctx, like):
        return types.int64(like), lambda context, builder, signature, args: I64(number_of(like))

    return constant


#: Number of factors in an operand.
factors_in = _constant(lambda kind: 2 if is_of_pairs(kind) else 1)
#: Maximum number of rows of a tile of products. In place of the instruction, 16 registers also hold a mask.
tallest = _constant(lambda kind: 2 if is_of_pairs(kind) and not HAS_PAIR_PRODUCTS and REGISTERS == 16 else ROWS)


# Design: these are intrinsics, though a line of Python would do, because each function takes Numba 50 ms to compile.


def _emit_operands(builder, n, kind):
    return builder.lshr(builder.add(n, I64(1)), I64(1)) if is_of_pairs(kind) else n


@intrinsic
def operands(typingctx, n, like):
    """Number of operands in a sum of n products."""
    return types.int64(types.int64, like), lambda _, builder, signature, args: _emit_operands(builder, args[0], like)


@intrinsic
def operands_of_row(typingctx, C, H, like):
    """Number of operands of [x, 1, h']; each of [x, 1] and h' begins with a new one."""

    def codegen(context, builder, signature, args):
        of_x = _emit_operands(builder, builder.add(args[0], I64(1)), like)
        return builder.add(of_x, _emit_operands(builder, args[1], like))

    return types.int64(types.int64, types.int64, like), codegen


@intrinsic
def factors_of_x(typingctx, C, like):
    """Number of factors of [x, 1] in a row; those of h' follow."""

    def codegen(context, builder, signature, args):
        of_x = builder.add(args[0], I64(1))
        return builder.shl(_emit_operands(builder, of_x, like), I64(1)) if is_of_pairs(like) else of_x

    return types.int64(types.int64, like), codegen


@intrinsic
def has_gaps(typingctx, C, H, like):
    """Whether [x, 1] or h' has an odd number of factors, so that the second factor of its last pair is padding."""

    def codegen(context, builder, signature, args):
        odd = builder.or_(builder.add(args[0], I64(1)), args[1])
        return builder.trunc(odd if is_of_pairs(like) else I64(0), ir.IntType(1))

    return types.boolean(types.int64, types.int64, like), codegen


def _pointers(dtype_of):
    """Create functions that return a pointer to numbers of ``dtype_of(kind)``."""

    @intrinsic
    def same_memory(typingctx, pointer):
        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(dtype_of(pointer))(pointer), codegen

    @intrinsic
    def at_address(typingctx, address, like):
        def codegen(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(dtype_of(like))(types.int64, like), codegen

    return same_memory, at_address


#: The memory of a pointer, and at an address, as real numbers; likewise, as factors.
(reals, reals_at), (factors, factors_at) = _pointers(_real), _pointers(_factor)


@intrinsic(prefer_literal=True)
def room_for_pairs(typingctx, size, like):
    """Pointer to memory for so many pairs, on the stack of the calling kernel; null if operands are numbers."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        kind = context.get_value_type(signature.return_type)
        if not is_of_pairs(like):
            return ir.Constant(kind, None)
        return builder.bitcast(cgutils.alloca_once(builder, ir.ArrayType(I32, size.literal_value)), kind)

    return types.CPointer(like.dtype)(size, like), codegen


# -- rounding -------------------------------------------------------------------------------------------------------


def _emit_rounded(builder, number):
    """The nearest bfloat16 number, the even one of two, of a float32 or of each in a vector; as 32-bit integers."""
    lanes = getattr(number.type, "count", None)
    kind = ir.VectorType(I32, lanes) if lanes else I32

    def constant(value):
        return ir.Constant(kind, [value] * lanes if lanes else value)

    bits = builder.bitcast(number, kind)
    odd = builder.and_(builder.lshr(bits, constant(16)), constant(1))
    nearest = builder.add(builder.add(bits, constant(0x7FFF)), odd)
    is_number = builder.fcmp_ordered("ord", number, number)
    return builder.lshr(builder.select(is_number, nearest, builder.or_(bits, constant(0x400000))), constant(16))


def _emit_pair(builder, first, second):
    return builder.or_(first, builder.shl(second, ir.Constant(second.type, [16] * second.type.count)))


def _emit_factors(builder, numbers, kind):
    """A number as a factor, or each in a vector."""
    if not is_of_pairs(kind):
        return numbers
    lanes = getattr(numbers.type, "count", None)
    return builder.trunc(_emit_rounded(builder, numbers), ir.VectorType(I16, lanes) if lanes else I16)


@intrinsic
def put_factor(typingctx, column, k, stride, number):
    """Write factor k of the sums of a column, whose operands are `stride` apart."""

    def codegen(context, builder, signature, args):
        column_, k_, stride_, number_ = args
        factor = _emit_factors(builder, context.cast(builder, number_, number, _real(column)), column)
        if is_of_pairs(column):
            column_ = builder.bitcast(column_, I16.as_pointer())
            operand, half = builder.lshr(k_, I64(1)), builder.and_(k_, I64(1))
            at = builder.add(builder.shl(builder.mul(operand, stride_), I64(1)), half)
        else:
            at = builder.mul(k_, stride_)
        builder.store(factor, builder.gep(column_, [at]))
        return context.get_dummy_value()

    return types.void(column, types.int64, types.int64, number), codegen


@intrinsic
def put_factors(typingctx, numbers, a, offset):
    """Write a vector, or a number, as factors from a[offset] on."""

    def codegen(context, builder, signature, args):
        place = emit_address(context, builder, a, args[1], args[2])
        if isinstance(numbers, Tile):
            emit_store(builder, _emit_factors(builder, *unpack(builder, numbers, args[0]), a), place)
        else:
            builder.store(_emit_factors(builder, args[0], a), place)
        return context.get_dummy_value()

    return types.void(numbers, a, types.int64), codegen


@intrinsic
def put_transposed(typingctx, square, a, offset, stride):
    """Write the rows of a tile as operands, those of pairs from two rows each, `stride` apart."""

    def codegen(context, builder, signature, args):
        rows, first = unpack(builder, square, args[0]), emit_address(context, builder, a, args[1], args[2])
        if is_of_pairs(a):
            rounded = [_emit_rounded(builder, row) for row in rows]
            rows = [_emit_pair(builder, *of) for of in zip(rounded[::2], rounded[1::2], strict=True)]
        for row, place in zip(rows, places_of(builder, Tile(square.dtype, len(rows), 1), first, args[3]), strict=True):
            emit_store(builder, row, place)
        return context.get_dummy_value()

    return types.void(square, a, types.int64, types.int64), codegen


@intrinsic(prefer_literal=True)
def put_operands(typingctx, vecs, a, at, stride, rows, out, out_at):
    """Write out[out_at : out_at + vecs * lanes], operands of the columns of one row from a[at] on.

    Pairs are of two rows, `stride` apart, or of one row and zeros if only one of the `rows` is left. a holds real
    numbers or factors.
    """
    if not isinstance(vecs, types.IntegerLiteral):
        return None
    tile = Tile(_real(out), 1, vecs.literal_value)

    def codegen(context, builder, signature, args):
        _, a_, at_, stride_, rows_, out_, out_at_ = args
        places = places_of(builder, tile, emit_address(context, builder, out, out_, out_at_), I64(0))

        def load_row(offset):
            first, kind = emit_address(context, builder, a, a_, offset), context.get_value_type(a.dtype)
            vector = ir.VectorType(kind, tile.lanes)
            loaded = [emit_load(builder, vector, of) for of in places_of(builder, tile, first, I64(0))]
            if not is_of_pairs(out):
                return loaded
            if is_of_pairs(a):
                return [builder.zext(of, ir.VectorType(I32, tile.lanes)) for of in loaded]
            return [_emit_rounded(builder, of) for of in loaded]

        row = load_row(at_)
        if is_of_pairs(out):
            is_left = builder.icmp_signed(">", rows_, I64(1))
            second = load_row(builder.add(at_, builder.select(is_left, stride_, I64(0))))
            zero = ir.Constant(row[0].type, [0] * tile.lanes)
            row = [_emit_pair(builder, x, builder.select(is_left, y, zero)) for x, y in zip(row, second, strict=True)]
        for vector, place in zip(row, places, strict=True):
            emit_store(builder, vector, place)
        return context.get_dummy_value()

    index = types.int64
    return types.void(vecs, a, index, index, index, out, index), codegen
