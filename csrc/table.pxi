"""The structs and functions of csrc/table.h, which says what they are, in its order."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from "fastlstm.h":
    const int64_t FL_BROKEN

    enum:
        FL_BLOCK_ROWS
        FL_SUMS_BYTES
        FL_SQUARES
        FL_MAX_THREADS
        FL_CROSS_ENTROPY
        FL_SQUARED_ERROR
        FL_ABSOLUTE_ERROR
        FL_HUBER
        FL_BINARY_CROSS_ENTROPY
        FL_QUANTILE
        FL_POISSON
        FL_GAUSSIAN_NLL

    ctypedef struct fl_batch:
        const int64_t *starts
        const int64_t *lengths
        int64_t T, N, M

    ctypedef struct fl_part:
        int64_t first, last, rank, size
        bint by_units
        int64_t *barrier

    ctypedef struct fl_draw:
        uint64_t seed, epoch, stream, threshold
        double keep

cdef extern from *:
    """
    typedef FL_TYPE(fl_matrix) fl_matrix;
    typedef FL_TYPE(fl_blocks) fl_blocks;
    typedef FL_TYPE(fl_weights) fl_weights;
    typedef FL_TYPE(fl_packed) fl_packed;
    typedef FL_TYPE(fl_run) fl_run;
    typedef FL_TYPE(fl_linear) fl_linear;
    typedef FL_TYPE(fl_loss) fl_loss;
    typedef FL_TYPE(fl_cell) fl_cell;
    typedef FL_TYPE(fl_layer) fl_layer;
    typedef FL_TYPE(fl_roll_out) fl_roll_out;
    typedef FL_TYPE(fl_attention) fl_attention;
    typedef FL_TYPE(fl_kernels) fl_kernels;
    """

    ctypedef struct fl_matrix:
        real *at
        int64_t rows, columns, stride

    ctypedef struct fl_blocks:
        real *at
        int64_t T, F, N
        const int64_t *order

    ctypedef struct fl_weights:
        int64_t C, H, P
        real *weight_ih
        real *weight_hh
        real *bias_ih
        real *bias_hh

    ctypedef struct fl_packed:
        operand *forward
        operand *backward
        operand *inputs
        real *gradient

    ctypedef struct fl_run:
        fl_batch batch
        int64_t C, H, P
        real *rows
        int64_t stride
        real *factors
        int64_t f_stride
        real *states
        int64_t s_stride
        const real *mask
        real *c
        real *gates
        real *sums
        const real *zero
        const real *known
        const int64_t *which
        int64_t S
        real *d_h
        real *dz
        real *dz_factors
        real *dh
        real *dc
        real *d_seen
        real *panels

    ctypedef struct fl_linear:
        int64_t K, F
        real *weight
        real *bias

    ctypedef struct fl_loss:
        int64_t number, K
        const real *targets
        const int64_t *labels
        const real *weights
        int64_t weight_columns
        double *values
        int64_t S
        const double *levels
        double *slopes

    ctypedef struct fl_cell:
        const char *name
        int64_t gates, slots, separate_biases
        bint keeps_gates, has_c, direct
        void (*pack)(const fl_weights *, const fl_part *, const fl_packed *) noexcept nogil
        void (*unpack)(const fl_weights *, const fl_part *, const real *) noexcept nogil
        void (*forward)(const fl_run *, const fl_part *, const operand *) noexcept nogil
        void (*backward)(const fl_run *, const fl_part *, const operand *, bint) noexcept nogil
        void (*step)(const fl_run *, const fl_part *, const operand *, const real *, int64_t, real *,
            int64_t) noexcept nogil
        void (*weight_gradient)(const fl_run *, const fl_part *, real *, bint) noexcept nogil
        void (*input_gradient)(const fl_run *, const fl_part *, const operand *, real *) noexcept nogil

    ctypedef struct fl_layer:
        const fl_cell *cell
        const fl_run *run
        const operand *w

    ctypedef struct fl_roll_out:
        int64_t T, S, C, depth
        const fl_layer *layers
        const fl_linear *linear
        double *series
        real *x
        real *scores
        const double *offset
        const double *lags
        const double *noise
        double point, width, sharpness

    ctypedef struct fl_attention:
        int64_t A, W
        const int64_t *source
        const int64_t *target
        const int64_t *columns
        const int64_t *at
        int64_t largest
        const real *keys
        const real *queries
        const real *memory
        const real *vector
        real *context
        real *weights
        real *keys_t
        real *memory_t
        const real *d_context
        real *d_keys
        real *d_queries
        real *d_memory
        real *d_vector

    ctypedef struct fl_kernels:
        int64_t lanes
        const fl_cell *const *cells
        bint (*wait)(int64_t *, int64_t) noexcept nogil
        void (*load_rows)(const fl_run *, const fl_part *, const real *, const int64_t *, bint) noexcept nogil
        void (*put_states)(const fl_run *, const fl_part *, const real *, int64_t, const real *,
            int64_t) noexcept nogil
        void (*copy_outputs)(const fl_run *, const fl_part *, bint, real *, int64_t) noexcept nogil
        void (*add_gradients)(const fl_run *, const fl_part *, bint, const real *, int64_t, bint) noexcept nogil
        void (*pack_panels)(int64_t, int64_t, int64_t, int64_t, int64_t, const real *, real *) noexcept nogil
        void (*multiply_rows)(int64_t, int64_t, const fl_matrix *, const real *, int64_t, const real *,
            real *) noexcept nogil
        void (*gradient)(const fl_matrix *, const fl_matrix *, int64_t, int64_t, real *, real *, bint) noexcept nogil
        void (*add_rows)(const fl_matrix *, const int64_t *, int64_t, int64_t, int64_t, real *, int64_t) noexcept nogil
        void (*forward_rows)(const fl_linear *, int64_t, int64_t, const real *, real *) noexcept nogil
        void (*differentiate_rows)(const fl_linear *, const fl_loss *, int64_t, int64_t, const real *, real *,
            real *) noexcept nogil
        void (*backward_rows)(const fl_linear *, int64_t, int64_t, const real *, real *) noexcept nogil
        void (*gradient_of_rows)(const fl_linear *, int64_t, int64_t, int64_t, const real *, const real *,
            bint) noexcept nogil
        void (*losses_of_rows)(const fl_loss *, int64_t, int64_t, real *, int64_t) noexcept nogil
        void (*roll_out)(const fl_roll_out *, const fl_part *) noexcept nogil
        void (*transpose_memory)(const fl_attention *, int64_t, int64_t) noexcept nogil
        void (*attend)(const fl_attention *, int64_t, int64_t, real *) noexcept nogil
        void (*attend_back)(const fl_attention *, int64_t, int64_t, real *) noexcept nogil
        void (*tanh_rows)(int64_t, int64_t, const fl_matrix *) noexcept nogil
        void (*gather)(const fl_batch *, const fl_blocks *, bint, int64_t, int64_t, const fl_matrix *) noexcept nogil
        void (*scatter)(const fl_batch *, const fl_blocks *, bint, bint, bint, const fl_matrix *) noexcept nogil
        void (*draw)(const fl_draw *, const int64_t *, int64_t, int64_t, const fl_matrix *) noexcept nogil
        void (*scale)(const fl_batch *, int64_t, int64_t, const fl_matrix *, const fl_matrix *) noexcept nogil
        void (*square_sums)(int64_t, int64_t, int64_t, const real *, double *) noexcept nogil
        void (*adam)(int64_t, int64_t, int64_t, real *, const real *, real *, const real *) noexcept nogil
        void (*sgd)(int64_t, int64_t, int64_t, real *, const real *, real *, const real *) noexcept nogil
        void (*rmsprop)(int64_t, int64_t, int64_t, real *, const real *, real *, const real *) noexcept nogil
