/* Kernels for CPUs with AVX-512F and AVX512-VNNI, which multiplies bytes. */

#include "barrier.h"

#if FL_AVX512_VNNI && defined(FL_INT8)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512vnni,avx512f,avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512vnni,avx512f,avx2,fma")
#endif

#define FL_LEVEL avx512_vnni
#define FL_BYTE_PRODUCTS 1
#define FL_VECTOR_BITS 512
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
