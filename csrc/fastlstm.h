/* The kernels of fastlstm in C: what the Numba backend's entries compute, to the same bits.

   Shapes, here and in all files of this folder; arrays are contiguous, their last axis the fastest:

       T   steps                             L   numbers in a vector register
       N   sequences of a batch              P   hidden units, padded to whole vectors
       C   inputs (channels)                 M   rows of a packed batch, starts[T]
       H   hidden units                      G   gates of a cell

   A batch is packed as fastlstm/kernels/__init__.py says: starts [T+1] is where each step's rows begin. Arrays of
   states have M+N rows; row starts[t] + n is the state of sequence n before step t, row M + n that after its last.

   A row is all that a step's gates depend on, [x (C), 1, h' (H)] with h' the state before the step. Rows lie `stride`
   apart, and there is room for P units from row + C + 1 on. Where the gates see masked states, `rows` holds them times
   mask [N, P], and `states` is elsewhere; otherwise states = rows + C + 1 with the same stride. A run, fl_run, holds
   the buffers of a pass over a batch; a part, fl_part, says what one thread computes of it.

   `name_stride` is the distance of two rows of `name`, in numbers, and [a, b : stride] an array with such rows.
   Pointers point to the first number used and are owned by the caller; const arrays are only read. A padded unit
   has zero weights, hence zero states and gradients. No function allocates, checks sizes or starts threads.

   A level is a set of CPU features; each has one table of functions per floating-point type. The caller must make sure
   that the CPU and its operating system support the level. Weights packed by a table's functions are for the functions
   of the same table. */

#ifndef FASTLSTM_H
#define FASTLSTM_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#define FL_X86 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define FL_X86 0
#else
#error "csrc has kernels for x86-64 and arm64; other CPUs have the Numba backend"
#endif

/* Whether the compiler knows AVX512-BF16. */
#if FL_X86 && defined(__clang__)
#define FL_AVX512_BF16 (__clang_major__ >= 9)
#elif FL_X86 && defined(__GNUC__)
#define FL_AVX512_BF16 (__GNUC__ >= 10)
#else
#define FL_AVX512_BF16 0
#endif

/* Whether the compiler knows AMX, and the system is one that lends its registers on demand. */
#if FL_X86 && defined(__linux__) && defined(__clang__)
#define FL_AMX (__clang_major__ >= 12)
#elif FL_X86 && defined(__linux__) && defined(__GNUC__)
#define FL_AMX (__GNUC__ >= 11)
#else
#define FL_AMX 0
#endif

/* Whether it knows vpdpbusd of AVX512-VNNI and of AVX-VNNI. */
#if FL_X86 && defined(__clang__)
#define FL_AVX512_VNNI (__clang_major__ >= 7)
#define FL_AVX_VNNI (__clang_major__ >= 12)
#elif FL_X86 && defined(__GNUC__)
#define FL_AVX512_VNNI (__GNUC__ >= 8)
#define FL_AVX_VNNI (__GNUC__ >= 11)
#else
#define FL_AVX512_VNNI 0
#define FL_AVX_VNNI 0
#endif

/* Gradients are summed over blocks of so many rows; a panel holds one block. */
#define FL_BLOCK_ROWS 64
/* Bytes of the gates' sums that are kept in the first-level cache; see `sums` of a run. */
#define FL_SUMS_BYTES (8 * 1024)
/* Maximum number of threads in a team. */
#define FL_MAX_THREADS (1 << 16)
/* Block size of the sum of a gradient's squares. */
#define FL_SQUARES 4096
/* A barrier with so many arrivals is broken, and nobody waits at it: a thread that fails sets this. */
#define FL_BROKEN ((int64_t)1 << 60)

/* The compiled losses, first those of single scores, then those of distributions, named as the files in
   fastlstm/training/losses/. */
enum fl_losses {
    FL_CROSS_ENTROPY,
    FL_SQUARED_ERROR,
    FL_ABSOLUTE_ERROR,
    FL_HUBER,
    FL_BINARY_CROSS_ENTROPY,
    FL_QUANTILE,
    FL_POISSON,
    FL_GAUSSIAN_NLL
};

/* A batch of sequences, packed. */
typedef struct {
    const int64_t *starts;  /* [T+1] */
    const int64_t *lengths; /* [N]: the steps of each sequence */
    int64_t T, N, M;
} fl_batch;

/* The part of one thread of a team: its rows of a batch, and its columns of weights, which follow from `rank`. A
   recurrence is divided by rows or, with `by_units`, by hidden units: every thread then has all rows, and all of them
   wait at a barrier after every step. */
typedef struct {
    int64_t first, last; /* sequences */
    int64_t rank, size;  /* which thread, of how many */
    bool by_units;
    int64_t *barrier; /* [1]: number of arrivals, from 0; only used where threads divide the units */
} fl_part;

/* Which random numbers dropout draws; see `draw`. */
typedef struct {
    uint64_t seed, epoch, stream, threshold;
    double keep;
} fl_draw;

#define FL_REAL float
#define FL_OPERAND float
#define FL_NAME(name) name##_f32
#include "table.h"
#undef FL_OPERAND
#undef FL_NAME

#define FL_OPERAND uint32_t
#define FL_NAME(name) name##_bf16
#include "table.h"
#undef FL_NAME

#define FL_NAME(name) name##_int8
#include "table.h"
#undef FL_REAL
#undef FL_OPERAND
#undef FL_NAME

#define FL_REAL double
#define FL_OPERAND double
#define FL_NAME(name) name##_f64
#include "table.h"
#undef FL_REAL
#undef FL_OPERAND
#undef FL_NAME

#if FL_X86
extern const fl_kernels_f32 fl_f32_avx512; /* AVX-512F, and what AVX2 needs */
extern const fl_kernels_f64 fl_f64_avx512;
extern const fl_kernels_bf16 fl_bf16_avx512;
extern const fl_kernels_bf16 fl_bf16_avx512_bf16; /* and AVX512-BF16 */
extern const fl_kernels_bf16 fl_bf16_amx;         /* or AMX */
extern const fl_kernels_int8 fl_int8_avx512;
extern const fl_kernels_int8 fl_int8_avx512_vnni; /* and AVX512-VNNI */
extern const fl_kernels_f32 fl_f32_avx2; /* AVX2 and FMA */
extern const fl_kernels_f64 fl_f64_avx2;
extern const fl_kernels_bf16 fl_bf16_avx2;
extern const fl_kernels_int8 fl_int8_avx2;
extern const fl_kernels_int8 fl_int8_avx2_vnni; /* and AVX-VNNI */
#endif
extern const fl_kernels_f32 fl_f32_baseline; /* SSE2 on x86-64, without FMA; NEON on arm64 */
extern const fl_kernels_f64 fl_f64_baseline;
extern const fl_kernels_bf16 fl_bf16_baseline;
extern const fl_kernels_int8 fl_int8_baseline;

#endif
