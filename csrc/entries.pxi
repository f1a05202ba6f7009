"""The kernels as functions and classes of arrays; csrc/table.h says what they compute and of what.

A class holds what many calls share. It checks its arrays when it is made; its methods check their arguments. An array
that is shorter than what the sizes say will be read or written raises a ValueError before anything has changed. The
GIL is released while kernels run: meanwhile, integer arrays must neither change nor overlap what is written.
"""

include "table.pxi"
include "checks.pxi"

cdef extern from *:
    """
    #include <string.h>
    #include "cpu.h"

    /* The table of this level; NULL if the CPU does not support it. Modules that have a table for a level which
       others lack, such as amx, define its name as FL_ON_AMX. */
    static const fl_kernels *table_of(const char *level)
    {
    #if FL_AMX && defined(FL_ON_AMX)
        if (strcmp(level, "amx") == 0)
            return cpu_has_amx() ? &FL_ON_AMX : NULL;
    #endif
    #if FL_X86
    #ifdef FL_ON_AVX512_BF16
        if (strcmp(level, "avx512_bf16") == 0)
            return cpu_has_avx512_bf16() ? &FL_ON_AVX512_BF16 : NULL;
    #endif
    #ifdef FL_ON_AVX512_VNNI
        if (strcmp(level, "avx512_vnni") == 0)
            return cpu_has_avx512_vnni() ? &FL_ON_AVX512_VNNI : NULL;
    #endif
    #ifdef FL_ON_AVX2_VNNI
        if (strcmp(level, "avx2_vnni") == 0)
            return cpu_has_avx2_vnni() ? &FL_ON_AVX2_VNNI : NULL;
    #endif
        if (strcmp(level, "avx512") == 0)
            return cpu_has_avx512() ? &FL_LEVEL(avx512) : NULL;
        if (strcmp(level, "avx2") == 0)
            return cpu_has_avx2() ? &FL_LEVEL(avx2) : NULL;
        return strcmp(level, "sse2") == 0 ? &FL_LEVEL(baseline) : NULL;
    #else
        return strcmp(level, "neon") == 0 ? &FL_LEVEL(baseline) : NULL;
    #endif
    }

    #if !FL_X86
    static bool cpu_multiplies_pairs_fast(void) { return false; }
    #endif
    #if !FL_AMX
    static bool allow_amx(void) { return false; }
    #endif
    """
    const fl_kernels *table_of(const char *level)
    bint cpu_multiplies_pairs_fast()
    bint allow_amx()

cdef const fl_kernels *table  # of the level in use
cdef str name_of_level


def levels():
    """Names of the CPU levels that this CPU and its operating system support, the best first.

    The last may be "amx", on which products of bfloat16 have bits of their own: it is only used if asked for.
    """
    names = ["avx512_bf16", "avx512"] if cpu_multiplies_pairs_fast() else ["avx512", "avx512_bf16"]
    names = ["avx512_vnni", *names, "avx2_vnni", "avx2", "sse2", "neon", "amx"]
    return tuple([name for name in names if table_of(name.encode()) is not NULL])


def use(str name):
    """Use the kernels of this level, which cannot read weights packed by another. No call may be running."""
    global table, name_of_level
    if name not in levels():
        raise ValueError(f"{name!r} is not a level of this CPU; expected one of {list(levels())}.")
    if name == "amx" and not allow_amx():
        raise ValueError("the operating system does not lend this process the registers of 'amx'.")
    table, name_of_level = table_of(name.encode()), name


def level():
    """Name of the level in use."""
    return name_of_level


def lanes():
    """Number of elements in a vector of the level in use, L."""
    return table.lanes


def operands(int64_t n):
    """Number of operands of n factors of a sum: one of each or, of bfloat16, of two; of int8, of four."""
    return operands_of(n)


use(levels()[0])

include "runs.pxi"
include "rows.pxi"
include "head.pxi"
include "roll_out.pxi"
include "attention.pxi"
include "solvers.pxi"
