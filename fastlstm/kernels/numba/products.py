"""Sums of products in registers: the loop at the heart of all matrix products."""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastlstm.kernels.numba.pairs import is_of_pairs
from fastlstm.kernels.numba.subnormals import emit_barrier
from fastlstm.kernels.numba.target import HAS_PAIR_PRODUCTS, REGISTERS
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
    splat: object  # (builder, tile, place, part): a vector with the operand in every lane
    load: object  # (builder, tile, place, part): a vector of operands
    add: object  # (builder, tile, x, y, total): total + x * y


def _emit_splat_of_pair(builder, tile, place):
    pair = builder.load(builder.bitcast(place, I32.as_pointer()))
    pair.align = 2
    return emit_splat(builder, tile.integers, pair)


def _emit_pairs(builder, tile, place):
    return emit_load(builder, tile.integers, place)


def _emit_numbers(builder, tile, pairs, part):
    """The second numbers of pairs, then the first: as float32, whose upper halves they are."""
    number = 16 if part else 0xFFFF0000
    constant = ir.Constant(tile.integers, [number] * tile.lanes)
    return builder.bitcast(builder.shl(pairs, constant) if part else builder.and_(pairs, constant), tile.vector)


def _emit_pair_products(builder, tile, x, y, total):
    function_type = ir.FunctionType(tile.vector, [tile.vector, tile.integers, tile.integers])
    name = "llvm.x86.avx512bf16.dpbf16ps.512"  # LLVM converts the integers to vectors of bfloat, which llvmlite lacks
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), [total, x, y])


OF_NUMBERS = Product(
    1,
    lambda builder, tile, place, part: emit_splat(builder, tile.vector, builder.load(place)),
    lambda builder, tile, place, part: emit_load(builder, tile.vector, place),
    emit_fma,
)
#: The products of pairs are added one after the other, the second first, each with one rounding: by the instruction
#: vdpbf16ps, or by two multiply-adds to the same bits.
OF_PAIRS = Product(
    2,
    lambda builder, tile, place, part: _emit_numbers(builder, tile, _emit_splat_of_pair(builder, tile, place), part),
    lambda builder, tile, place, part: _emit_numbers(builder, tile, _emit_pairs(builder, tile, place), part),
    emit_fma,
)
if HAS_PAIR_PRODUCTS:
    OF_PAIRS = Product(
        1,
        lambda builder, tile, place, part: _emit_splat_of_pair(builder, tile, place),
        lambda builder, tile, place, part: _emit_pairs(builder, tile, place),
        _emit_pair_products,
    )


def _emit_rank1(builder, tile, product, total, elements, weights, part):
    """Rank-1 update of the vectors by one part of a product: total[r, v] += elements[r] * weights[v]."""

    def accumulate(r, v, x, y):
        total[r * tile.vecs + v] = product.add(builder, tile, x, y, total[r * tile.vecs + v])

    # The number of registers determines the order. If all weight vectors fit, they are loaded first, and each element
    # is live for `vecs` multiplications; otherwise the elements are loaded first, and each weight vector just before
    # its use. The wrong order spills accumulators, which halves the speed.
    if tile.rows * tile.vecs + tile.vecs + 1 <= REGISTERS:
        loaded = [product.load(builder, tile, place, part) for place in weights]
        for r, place in enumerate(elements):
            x = product.splat(builder, tile, place, part)
            for v, y in enumerate(loaded):
                accumulate(r, v, x, y)
    else:
        loaded = [product.splat(builder, tile, place, part) for place in elements]
        for v, place in enumerate(weights):
            y = product.load(builder, tile, place, part)
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
    product = OF_PAIRS if is_of_pairs(w) else OF_NUMBERS

    def codegen(context, builder, signature, args):
        acc, K_, a_, a_row_, a_k_, w_, p_, q_ = args
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
            _emit_rank1(builder, tile, product, total, elements, weights, part)
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
