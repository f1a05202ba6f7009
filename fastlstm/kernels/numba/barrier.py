"""A spin barrier for the threads of a team, in machine code.

# Design: threads synchronize a few times per minibatch, or once per step if a recurrence is divided by units. Waking a
# sleeping thread takes tens of microseconds, longer than a step, so waiting threads spin. After a while they yield
# their CPU in every iteration, because the thread they wait for may need it.
"""

import platform
import sys

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.parts import BROKEN

PATIENCE = 2000  # iterations before a waiting thread yields its CPU

#: LLVM intrinsic that hints to the CPU that this is a spin loop.
PAUSE = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}.get(platform.machine())


@intrinsic
def _arrive(typingctx, barrier):
    """Atomically increment barrier[0] and return it. A thread that reads the new value sees all previous writes."""

    def codegen(context, builder, signature, args):
        place = context.make_array(signature.args[0])(context, builder, args[0]).data
        one = ir.Constant(ir.IntType(64), 1)
        return builder.add(builder.atomic_rmw("add", place, one, "seq_cst"), one)

    return types.int64(barrier), codegen


@intrinsic
def _arrivals(typingctx, barrier):
    """Atomically read barrier[0]."""

    def codegen(context, builder, signature, args):
        place = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(barrier), codegen


@intrinsic
def _rest(typingctx, give_way):
    """Pause briefly; if `give_way`, yield the CPU to another thread."""

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

    return types.void(give_way), codegen


@kernel
def synchronize(barrier, size):
    """Return once `size` threads have called this, or one of them has failed."""
    arrived = _arrive(barrier)
    goal = (arrived + size - 1) // size * size
    turns = 0
    while arrived < BROKEN and _arrivals(barrier) < goal:
        turns += 1
        _rest(turns > PATIENCE)


@entry
def wait(barrier, size):
    """Call `synchronize` from Python; return False if a thread has failed."""
    synchronize(barrier, size)
    return barrier[0] < BROKEN
