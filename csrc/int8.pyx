# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float32, whose recurrences have products of int8 and no gradient; see csrc/entries.pxi."""

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include "fastlstm.h"
    #define FL_TYPE(name) name##_int8
    #define FL_LEVEL(name) fl_int8_##name
    #if FL_AVX512_VNNI
    #define FL_ON_AVX512_VNNI fl_int8_avx512_vnni
    #endif
    #if FL_AVX_VNNI
    #define FL_ON_AVX2_VNNI fl_int8_avx2_vnni
    #endif
    """

ctypedef float real
ctypedef uint32_t operand
cdef enum:
    WIDTH = 4 # factors in an operand

include "entries.pxi"
