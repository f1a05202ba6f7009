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
   mask [N, P], and `states` is elsewhere; otherwise states = rows + C + 1 with the same stride.

   `name_stride` is the distance of two rows of `name`, in numbers, and [a, b : stride] an array with such rows.
   Pointers are to the first number that is used, and owned by the caller; what is const is only read. A padded unit
   has zero weights, hence zero states and gradients. No function allocates, checks sizes or starts threads.

   A level is a set of CPU features; each has one table of functions per type of numbers. The caller must have made sure
   that the CPU and its operating system support the level. What a table's functions have packed is for its own. */

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

/* Rows whose gradients are summed by themselves: `panel` in `gradient` has room for so many. */
#define FL_BLOCK_ROWS 64
/* Bytes of gates' sums that wait in the first-level cache: `sums` has room for them, and for [N, 4, L] at least. */
#define FL_SUMS_BYTES (8 * 1024)
/* Numbers of a gradient whose squares are summed by themselves. */
#define FL_SQUARES 4096
/* Arrivals at a meeting from which on nobody waits: a thread that fails sets them. */
#define FL_BROKEN ((int64_t)1 << 60)

/* Losses, numbered in the order of fastlstm/kernels/numpy/losses.py. */
enum fl_loss {
    FL_CROSS_ENTROPY,
    FL_SQUARED_ERROR,
    FL_ABSOLUTE_ERROR,
    FL_HUBER,
    FL_BINARY_CROSS_ENTROPY,
    FL_QUANTILE,
    FL_POISSON,
    FL_GAUSSIAN_NLL
};

#define FL_REAL float
#define FL_TABLE fl_kernels_f32
#include "table.h"
#undef FL_REAL
#undef FL_TABLE

#define FL_REAL double
#define FL_TABLE fl_kernels_f64
#include "table.h"
#undef FL_REAL
#undef FL_TABLE

#if FL_X86
extern const struct fl_kernels_f32 fl_f32_avx512; /* AVX-512F, and what AVX2 needs */
extern const struct fl_kernels_f64 fl_f64_avx512;
extern const struct fl_kernels_f32 fl_f32_avx2; /* AVX2 and FMA */
extern const struct fl_kernels_f64 fl_f64_avx2;
#endif
extern const struct fl_kernels_f32 fl_f32_baseline; /* SSE2 on x86-64, without FMA; NEON on arm64 */
extern const struct fl_kernels_f64 fl_f64_baseline;

#endif
