"""Sums of products in registers: the loop at the heart of all matrix products."""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastlstm.kernels.numba.pairs import is_of_pairs
from fastlstm.kernels.numba.subnormals import emit_barrier
from fastlstm.kernels.numba.target import HAS_PAIR_PRODUCTS, REGISTERS, VECTOR_BYTES, X86
from fastlstm.kernels.numba.tiles import (
    I32,
    I64,
    emit_fma,
    emit_load,
    emit_prefetch,
    emit_splat,
    pack,
    unpack,
)


class Product(NamedTuple):
    """How operands are multiplied: functions that emit code, for each of the `parts` of a product in order."""

    parts: int
    splat: object  # (place, part): a vector with the operand in every lane
    load: object  # (place, part): a vector of operands
    add: object  # (x, y, total): total + x * y


def _of_numbers(builder, tile):
    return Product(
        parts=1,
        splat=lambda place, part: emit_splat(builder, tile.vector, builder.load(place)),
        load=lambda place, part: emit_load(builder, tile.vector, place),
        add=lambda x, y, total: emit_fma(builder, tile, x, y, total),
    )


def _of_pairs(builder, tile):
    """The products of a pair are added one after the other, the second first, each with one rounding.

    The instruction vdpbf16ps does so; elsewhere, two multiply-adds have the same bits.
    """

    def splat(place):
        pair = builder.load(builder.bitcast(place, I32.as_pointer()))
        pair.align = 2
        return emit_splat(builder, tile.integers, pair)

    def load(place):
        return emit_load(builder, tile.integers, place)

    def dot(x, y, total):
        name = "llvm.x86.avx512bf16.dpbf16ps.512"  # LLVM casts integers to bfloat, a type that llvmlite does not have
        function_type = ir.FunctionType(tile.vector, [tile.vector, tile.integers, tile.integers])
        return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), [total, x, y])

    if HAS_PAIR_PRODUCTS:
        return Product(1, lambda place, part: splat(place), lambda place, part: load(place), dot)

    sixteen, upper_half = (ir.Constant(tile.integers, [number] * tile.lanes) for number in (16, 0xFFFF0000))
    mask = _emit_hidden(builder, upper_half)

    def numbers(pairs, part):
        """The second numbers of pairs, then the first, as float32, whose upper halves they are."""
        return builder.bitcast(builder.shl(pairs, sixteen) if part else builder.and_(pairs, mask), tile.vector)

    return Product(
        parts=2,
        splat=lambda place, part: numbers(_emit_hidden(builder, splat(place)), part),
        load=lambda place, part: numbers(load(place), part),
        add=lambda x, y, total: emit_fma(builder, tile, x, y, total),
    )


def _emit_hidden(builder, vector):
    """A vector in a register, of which the optimiser of LLVM does not know what it is.

    It would mask and shift numbers before they are copied to all lanes, in scalar registers, and turn the mask into
    blends: tiles of 2 x 4 vectors then are a fifth slower, with 60 instead of 75 GFLOP/s on a Zen 2 core at 3.3 GHz.
    """
    if not X86:
        return vector
    register = "v" if VECTOR_BYTES == 64 else "x"
    return builder.asm(ir.FunctionType(vector.type, [vector.type]), "", f"={register},0", [vector], side_effect=False)


def _emit_rank1(tile, product, total, elements, weights, part):
    """Rank-1 update of the vectors by one part of a product: total[r, v] += elements[r] * weights[v]."""

    def accumulate(r, v, x, y):
        total[r * tile.vecs + v] = product.add(x, y, total[r * tile.vecs + v])

    # The number of registers determines the order. If all weight vectors fit, they are loaded first, and each element
    # is live for `vecs` multiplications; otherwise the elements are loaded first, and each weight vector just before
    # its use. The wrong order spills accumulators, which halves the speed.
    if tile.rows * tile.vecs + tile.vecs + 1 <= REGISTERS:
        loaded = [product.load(place, part) for place in weights]
        for r, place in enumerate(elements):
            x = product.splat(place, part)
            for v, y in enumerate(loaded):
                accumulate(r, v, x, y)
    else:
        loaded = [product.splat(place, part) for place in elements]
        for v, place in enumerate(weights):
            y = product.load(place, part)
            for r, x in enumerate(loaded):
                accumulate(r, v, x, y)


@intrinsic
def add_products(typingctx, tile, K, a, a_row, a_k, w, p, q):
    """tile[r, :] += sum over k < K of a[r * a_row + k * a_k] * w[k * vecs * lanes : ...]

    The K >= 1 products of operands are accumulated in the order of k; a points to factors, w to operands. p and q are
    pairs (pointer, distance): iteration k prefetches p[k * distance] and q[k * distance], which are needed next.
    """
    # Design: the loop is emitted as LLVM IR rather than written in Python around a rank-1 update, because Numba would
    # take half a second to compile each Python function for each tile shape.

    def codegen(context, builder, signature, args):
        acc, K_, a_, a_row_, a_k_, w_, p_, q_ = args
        product = (_of_pairs if is_of_pairs(w) else _of_numbers)(builder, tile)
        rows = [builder.mul(a_row_, I64(r)) for r in range(tile.rows)]
        before, body, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("done")
        start = unpack(builder, tile, acc)
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(I64)
        phis = [builder.phi(tile.vector) for _ in start]
        row0 = builder.gep(a_, [builder.mul(k, a_k_)])
        weights0 = builder.gep(w_, [builder.mul(k, I64(tile.vecs * tile.lanes))])
        for kind, (memory, step) in ((kind, cgutils.unpack_tuple(builder, pair)) for kind, pair in ((p, p_), (q, q_))):
            emit_prefetch(context, builder, kind[0], memory, builder.mul(k, step))
        total = list(phis)
        elements = [builder.gep(row0, [row]) for row in rows]
        weights = [builder.gep(weights0, [I64(v * tile.lanes)]) for v in range(tile.vecs)]
        for part in range(product.parts):
            if part > 0:  # load all again, because registers do not hold both parts
                emit_barrier(builder)
            _emit_rank1(tile, product, total, elements, weights, part)
        next_k = builder.add(k, I64(1))
        builder.cbranch(builder.icmp_signed("<", next_k, K_), body, after)
        for phi, first, again in zip([k, *phis], [I64(0), *start], [next_k, *total], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(again, body)
        builder.position_at_end(after)
        return pack(builder, tile, total)

    index = types.int64
    ahead = [types.Tuple([pair[0], index]) for pair in (p, q)]
    return tile(tile, index, a, index, index, w, *ahead), codegen
