/* Kernels for CPUs with AVX2, FMA and AVX-VNNI, which multiplies bytes. */

#include "barrier.h"

#if FL_AVX_VNNI && defined(FL_INT8)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avxvnni,avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avxvnni,avx2,fma")
#endif

#define FL_LEVEL avx2_vnni
#define FL_BYTE_PRODUCTS 1
#define FL_VECTOR_BITS 256
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
