/* Kernels for CPUs with AVX-512F. */

#include "barrier.h"

#if FL_X86

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx2,fma")
#endif

#define FL_LEVEL avx512
#define FL_VECTOR_BITS 512
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
