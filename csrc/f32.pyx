# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The kernels of csrc for float32; csrc/entries.pxi says more."""

cdef extern from *:
    """
    #include "fastlstm.h"
    typedef struct fl_kernels_f32 fl_kernels;
    #define FL_TABLE_OF(level) fl_f32_##level
    """

ctypedef float real

include "entries.pxi"
