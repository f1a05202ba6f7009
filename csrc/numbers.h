/* Helpers that do not depend on the floating-point type. */

#ifndef FASTLSTM_NUMBERS_H
#define FASTLSTM_NUMBERS_H

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "fastlstm.h"

#if FL_X86
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

typedef struct {
    int64_t first, last;
} range;

/* This part of range(n): bounds are multiples of `multiple`, or n. */
static inline range share(const fl_part *part, int64_t n, int64_t multiple)
{
    const int64_t groups = (n + multiple - 1) / multiple;
    const int64_t first = part->rank * groups / part->size, last = (part->rank + 1) * groups / part->size;
    return (range){smaller(first * multiple, n), smaller(last * multiple, n)};
}

/* The address of array[offset], which may lie outside the array. */
#define ADDRESS(array, offset) ((uintptr_t)(array) + (uintptr_t)((offset) * (int64_t)sizeof *(array)))

/* Prefetch the cache line at an address, of an array or not, into the second-level cache. (Macros, because GCC drops
   calls of functions that do nothing else.) */
#if FL_X86
#define PREFETCH(address) _mm_prefetch((const char *)(address), _MM_HINT_T1)
#elif defined(_MSC_VER)
#define PREFETCH(address) __prefetch((const void *)(address))
#else
#define PREFETCH(address) __builtin_prefetch((const void *)(address), 0, 2)
#endif

#endif
