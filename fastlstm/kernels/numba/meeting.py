"""A meeting point of threads in machine code: a spin barrier.

# Design: threads meet some times a minibatch, or once a step where a recurrence is divided by units. Waking a
# sleeping thread takes tens of microseconds, a step less than that; so those who wait spin. After a while they offer
# their CPU to others at every turn, for the one they wait for may need it.
"""

import platform
import sys

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.parts import BROKEN

PATIENCE = 2000  # turns before the CPU is offered to others

#: LLVM's function for an instruction that tells the core that its thread is waiting.
PAUSE = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}.get(platform.machine())


@intrinsic
def _arrive(typingctx, meeting):
    """meeting[0] += 1; the value after it. Whatever this thread wrote before is seen by those who see that."""

    def codegen(context, builder, signature, args):
        place = context.make_array(signature.args[0])(context, builder, args[0]).data
        one = ir.Constant(ir.IntType(64), 1)
        return builder.add(builder.atomic_rmw("add", place, one, "seq_cst"), one)

    return types.int64(meeting), codegen


@intrinsic
def _arrivals(typingctx, meeting):
    """meeting[0], read anew."""

    def codegen(context, builder, signature, args):
        place = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(meeting), codegen


@intrinsic
def _rest(typingctx, offer):
    """Let a moment pass; where `offer`, let the system run another thread on this CPU."""

    def codegen(context, builder, signature, args):
        nothing = ir.FunctionType(ir.VoidType(), [])
        if PAUSE:
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, PAUSE), [])
        if sys.platform != "win32":
            function_type = ir.FunctionType(ir.IntType(32), [])
            sched_yield = cgutils.get_or_insert_function(builder.module, function_type, "sched_yield")
            with builder.if_then(args[0]):
                builder.call(sched_yield, [])
        return context.get_dummy_value()

    return types.void(offer), codegen


@kernel
def meet(meeting, size):
    """Return when all `size` threads are here, or one of them has failed."""
    arrived = _arrive(meeting)
    goal = (arrived + size - 1) // size * size
    turns = 0
    while arrived < BROKEN and _arrivals(meeting) < goal:
        turns += 1
        _rest(turns > PATIENCE)


@entry
def wait(meeting, size):
    """`meet`, for Python; whether all is well."""
    meet(meeting, size)
    return meeting[0] < BROKEN
