# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float64; see csrc/entries.pxi."""

cdef extern from *:
    """
    #include "fastlstm.h"
    #define FL_TYPE(name) name##_f64
    #define FL_LEVEL(name) fl_f64_##name
    """

ctypedef double real

include "entries.pxi"
