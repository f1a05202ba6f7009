# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float32, in whose recurrences the products are of bfloat16; see csrc/entries.pxi."""

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include "fastlstm.h"
    #define FL_TYPE(name) name##_bf16
    #define FL_LEVEL(name) fl_bf16_##name
    #if FL_AVX512_BF16
    #define FL_ON_AVX512_BF16 fl_bf16_avx512_bf16
    #else
    #define FL_ON_AVX512_BF16 fl_bf16_avx512
    #endif
    #define FL_ON_AMX fl_bf16_amx
    """

ctypedef float real
ctypedef uint32_t operand
cdef enum:
    WIDTH = 2 # factors in an operand

include "entries.pxi"
