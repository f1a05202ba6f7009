# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float64; csrc/entries.pxi says more."""

cdef extern from *:
    """
    #include "fastlstm.h"
    typedef struct fl_kernels_f64 fl_kernels;
    #define FL_TABLE_OF(level) fl_f64_##level
    """

ctypedef double real

include "entries.pxi"
