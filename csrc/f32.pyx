# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float32; see csrc/entries.pxi."""

cdef extern from *:
    """
    #include "fastlstm.h"
    #define FL_TYPE(name) name##_f32
    #define FL_LEVEL(name) fl_f32_##name
    #define FL_ON_AVX512_BF16 fl_f32_avx512
    #define FL_ON_AMX fl_f32_avx512
    """

ctypedef float real
ctypedef float operand
cdef enum:
    WIDTH = 1 # factors in an operand

include "entries.pxi"
