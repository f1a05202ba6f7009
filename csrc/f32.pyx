# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float32; see csrc/entries.pxi."""

cdef extern from *:
    """
    #include "fastlstm.h"
    #define FL_TYPE(name) name##_f32
    #define FL_LEVEL(name) fl_f32_##name
    """

ctypedef float real

include "entries.pxi"
