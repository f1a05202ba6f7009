"""The CPU's mode in which subnormal numbers are zeros, as the instruction vdpbf16ps takes them.

# Design: LLVM may move floating-point arithmetic across a change of mode, but neither loads nor stores across code that
# may access any memory. So what is computed from memory, to memory, stays between `without_subnormals` and `restore`.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastlstm.kernels.numba.pairs import is_of_pairs
from fastlstm.kernels.numba.target import ARM64, X86

I32, I64, BYTE, VOID = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer(), ir.VoidType()

#: Bits of the control register: on x86 for results and arguments, on arm64 for both.
FLUSH = 0x8040 if X86 else 1 << 24


def emit_barrier(builder):
    """Memory is accessed on either side in the order of the program."""
    builder.asm(ir.FunctionType(VOID, []), "", "~{memory}", [], side_effect=True)


def _call(builder, name, result, *args):
    function_type = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), args)


def _read(builder):
    if ARM64:
        return _call(builder, "llvm.aarch64.get.fpcr", I64)
    slot = cgutils.alloca_once(builder, I32)
    _call(builder, "llvm.x86.sse.stmxcsr", VOID, builder.bitcast(slot, BYTE))
    return builder.zext(builder.load(slot), I64)


def _write(builder, mode):
    if ARM64:
        _call(builder, "llvm.aarch64.set.fpcr", VOID, mode)
        return
    slot = cgutils.alloca_once(builder, I32)
    builder.store(builder.trunc(mode, I32), slot)
    _call(builder, "llvm.x86.sse.ldmxcsr", VOID, builder.bitcast(slot, BYTE))


def _is_changed(like):
    """Whether products with these operands have the mode. Other CPUs than these have neither C kernels nor the mode."""
    return is_of_pairs(like) and (X86 or ARM64)


@intrinsic
def without_subnormals(typingctx, like):
    """Take subnormal numbers for zeros if operands are pairs; returns the mode before, for `restore`."""

    def codegen(context, builder, signature, args):
        if not _is_changed(like):
            return I64(0)
        before = _read(builder)
        _write(builder, builder.or_(before, I64(FLUSH)))
        emit_barrier(builder)
        return before

    return types.int64(like), codegen


@intrinsic
def restore(typingctx, mode, like):
    def codegen(context, builder, signature, args):
        if _is_changed(like):
            emit_barrier(builder)
            _write(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64, like), codegen
