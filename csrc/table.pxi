"""The functions of csrc/table.h, which says what their arguments are, in its order."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from "fastlstm.h":
    const int64_t FL_BROKEN

    enum:
        FL_BLOCK_ROWS
        FL_SUMS_BYTES
        FL_SQUARES
        FL_CROSS_ENTROPY
        FL_BINARY_CROSS_ENTROPY
        FL_QUANTILE
        FL_POISSON
        FL_GAUSSIAN_NLL

    ctypedef struct fl_kernels:
        int64_t lanes
        bint (*wait)(int64_t *, int64_t) noexcept nogil
        void (*pack_gates)(int64_t, int64_t, int64_t, int64_t, int64_t, const real *, const real *, const real *,
            const real *, real *) noexcept nogil
        void (*pack_panels)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, const real *, real *) noexcept nogil
        void (*load_rows)(const int64_t *, int64_t, const int64_t *, bint, int64_t, int64_t, int64_t, int64_t, int64_t,
            const real *, const int64_t *, const real *, int64_t, bint, real *, int64_t) noexcept nogil
        void (*begin_rows)(const int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, const real *, int64_t,
            bint, real *, int64_t) noexcept nogil
        void (*copy_outputs)(const int64_t *, int64_t, const int64_t *, bint, int64_t, int64_t, int64_t, const real *,
            int64_t, real *, int64_t) noexcept nogil
        void (*add_gradients)(const int64_t *, int64_t, const int64_t *, bint, int64_t, int64_t, int64_t, const real *,
            int64_t, real *, int64_t, bint) noexcept nogil
        void (*unpack)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, const real *, real *, real *, real *,
            real *) noexcept nogil
        void (*multiply_rows)(int64_t, int64_t, int64_t, int64_t, int64_t, const real *, const real *, const real *,
            real *) noexcept nogil
        void (*gradient)(int64_t, int64_t, int64_t, int64_t, int64_t, const real *, int64_t, const real *, int64_t,
            real *, real *, bint) noexcept nogil
        void (*lstm_forward)(const int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
            real *, int64_t, real *, int64_t, const real *, bint, const real *, real *, real *, bint, real *,
            const real *, int64_t *, int64_t) noexcept nogil
        void (*lstm_backward)(const int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
            const real *, bint, const real *, const real *, const real *, const real *, bint, real *, real *, real *,
            const real *, bint, int64_t *, int64_t) noexcept nogil
        void (*lstm_step)(const int64_t *, int64_t, int64_t, int64_t, int64_t, real *, int64_t, const real *, real *,
            real *, const real *, const real *, int64_t, real *, int64_t) noexcept nogil
        void (*gru_pack)(int64_t, int64_t, int64_t, int64_t, const real *, const real *, const real *, const real *,
            real *) noexcept nogil
        void (*gru_unpack)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, const real *, int64_t,
            int64_t, real *, real *, real *, real *) noexcept nogil
        void (*gru_forward)(const int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
            real *, int64_t, real *, int64_t, const real *, bint, const real *, real *, bint, real *, const real *,
            int64_t *, int64_t) noexcept nogil
        void (*gru_backward)(const int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
            const real *, int64_t, const real *, bint, const real *, const real *, const real *, bint, real *, real *,
            real *, const real *, bint, int64_t *, int64_t) noexcept nogil
        void (*gru_step)(const int64_t *, int64_t, int64_t, int64_t, int64_t, real *, int64_t, const real *, real *,
            const real *, const real *, int64_t, real *, int64_t) noexcept nogil
        void (*rnn_pack)(int64_t, int64_t, int64_t, int64_t, int64_t, const real *, const real *, const real *,
            const real *, real *) noexcept nogil
        void (*rnn_forward)(const int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
            real *, int64_t, real *, int64_t, const real *, bint, const real *, real *, const real *, int64_t *,
            int64_t) noexcept nogil
        void (*rnn_backward)(const int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
            const real *, int64_t, const real *, bint, const real *, const real *, bint, real *, real *, const real *,
            bint, int64_t *, int64_t) noexcept nogil
        void (*rnn_step)(const int64_t *, int64_t, int64_t, int64_t, int64_t, real *, int64_t, const real *, real *,
            const real *, const real *, int64_t, real *, int64_t) noexcept nogil
        void (*forward_rows)(int64_t, int64_t, int64_t, int64_t, const real *, const real *, const real *,
            real *) noexcept nogil
        void (*differentiate_rows)(int64_t, int64_t, int64_t, int64_t, int64_t, const real *, const real *,
            const real *, const real *, const int64_t *, const real *, int64_t, double *, real *, real *) noexcept nogil
        void (*backward_rows)(int64_t, int64_t, int64_t, int64_t, const real *, const real *, real *) noexcept nogil
        void (*gradient_of_rows)(int64_t, int64_t, int64_t, int64_t, int64_t, const real *, const real *, real *,
            real *, bint) noexcept nogil
        void (*losses_of_rows)(int64_t, int64_t, int64_t, int64_t, const real *, const int64_t *, const real *, int64_t,
            double *, real *, int64_t) noexcept nogil
        void (*losses_of_distributions)(int64_t, int64_t, int64_t, int64_t, const double *, const real *, int64_t,
            const real *, int64_t, double *, real *, int64_t, double *) noexcept nogil
        void (*gather)(const int64_t *, const int64_t *, const int64_t *, bint, int64_t, int64_t, int64_t, int64_t,
            int64_t, const real *, int64_t, real *, int64_t) noexcept nogil
        void (*scatter)(const int64_t *, int64_t, const int64_t *, const int64_t *, int64_t, bint, bint, bint, int64_t,
            const real *, int64_t, int64_t, int64_t, real *, int64_t) noexcept nogil
        void (*draw)(uint64_t, uint64_t, uint64_t, uint64_t, double, const int64_t *, int64_t, int64_t, int64_t, real *,
            int64_t) noexcept nogil
        void (*scale)(const int64_t *, int64_t, int64_t, int64_t, const real *, int64_t, int64_t, int64_t, real *,
            int64_t) noexcept nogil
        void (*square_sums)(int64_t, int64_t, int64_t, const real *, double *) noexcept nogil
        void (*adam)(int64_t, int64_t, int64_t, real *, const real *, real *, const real *) noexcept nogil
        void (*sgd)(int64_t, int64_t, int64_t, real *, const real *, real *, const real *) noexcept nogil
        void (*rmsprop)(int64_t, int64_t, int64_t, real *, const real *, real *, const real *) noexcept nogil
