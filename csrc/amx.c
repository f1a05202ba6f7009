/* Kernels for CPUs with AMX, whose matrix unit multiplies bfloat16 numbers, beside AVX-512F. */

#include "barrier.h"

#if FL_AMX && defined(FL_BFLOAT16)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("amx-tile,amx-bf16,avx512f,avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("amx-tile,amx-bf16,avx512f,avx2,fma")
#endif

#define FL_LEVEL amx
#define FL_MATRIX_UNIT 1
#define FL_VECTOR_BITS 512
#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
