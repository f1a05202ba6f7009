/* Kernels for CPUs with AVX2 and FMA. */

#include "barrier.h"

#if FL_X86

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2,fma")
#endif

#define FL_LEVEL avx2
#define FL_VECTOR_BITS 256
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
