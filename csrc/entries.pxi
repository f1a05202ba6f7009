"""The kernels as functions and classes of arrays; csrc/table.h says what they compute and of what.

A class holds what many calls share: it has checked its arrays when it was made, and its methods check what they are
given. Every array is as long as the sizes say that it will be read or written, or else a ValueError comes before
anything has changed. The GIL is released while kernels run: arrays of whole numbers must neither change meanwhile nor
overlap what is written.
"""

include "table.pxi"
include "checks.pxi"

cdef extern from *:
    """
    #include <string.h>
    #include "cpu.h"

    /* The table of this level; NULL if the CPU has not got it. */
    static const fl_kernels *table_of(const char *level)
    {
    #if FL_X86
        if (strcmp(level, "avx512") == 0)
            return cpu_has_avx512() ? &FL_LEVEL(avx512) : NULL;
        if (strcmp(level, "avx2") == 0)
            return cpu_has_avx2() ? &FL_LEVEL(avx2) : NULL;
        return strcmp(level, "sse2") == 0 ? &FL_LEVEL(baseline) : NULL;
    #else
        return strcmp(level, "neon") == 0 ? &FL_LEVEL(baseline) : NULL;
    #endif
    }
    """
    const fl_kernels *table_of(const char *level)

cdef const fl_kernels *table  # of the level in use
cdef str name_of_level


def levels():
    """Names of the CPU levels that this CPU and its operating system support, the best first."""
    return tuple([name for name in ("avx512", "avx2", "sse2", "neon") if table_of(name.encode()) is not NULL])


def use(str name):
    """Take the kernels of this level, while no call is under way; what others have packed is not for them."""
    global table, name_of_level
    if name not in levels():
        raise ValueError(f"{name!r} is not a level of this CPU; expected one of {list(levels())}.")
    table, name_of_level = table_of(name.encode()), name


def level():
    """Name of the level in use."""
    return name_of_level


def lanes():
    """How many numbers a vector of the level in use has: L."""
    return table.lanes


use(levels()[0])

include "runs.pxi"
include "rows.pxi"
include "head.pxi"
include "solvers.pxi"
