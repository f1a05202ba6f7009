/* Kernels for CPUs with AVX-512F and AVX512-BF16, which multiplies bfloat16 numbers. */

#include "barrier.h"

#if FL_AVX512_BF16 && defined(FL_BFLOAT16)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512bf16,avx512f,avx2,fma")
#endif

#define FL_LEVEL avx512_bf16
#define FL_PAIR_PRODUCTS 1
#define FL_VECTOR_BITS 512
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
