# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float64; see csrc/entries.pxi."""

cdef extern from *:
    """
    #include "fastlstm.h"
    #define FL_TYPE(name) name##_f64
    #define FL_LEVEL(name) fl_f64_##name
    #define FL_ON_AVX512_BF16 fl_f64_avx512
    #define FL_ON_AMX fl_f64_avx512
    """

ctypedef double real
ctypedef double operand
cdef enum:
    WIDTH = 1 # factors in an operand

include "entries.pxi"
