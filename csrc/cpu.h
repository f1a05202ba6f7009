/* Which levels the CPU and its operating system, which must save the registers, support. */

#ifndef FASTLSTM_CPU_H
#define FASTLSTM_CPU_H

#include "fastlstm.h"

#if FL_X86

#ifdef _MSC_VER
#include <immintrin.h>
#include <intrin.h>

static inline bool cpu_has_avx2(void)
{
    int leaf[4]; /* eax, ebx, ecx, edx */
    __cpuid(leaf, 0);
    if (leaf[0] < 7)
        return false;
    __cpuid(leaf, 1);
    const int fma = 1 << 12, osxsave = 1 << 27;
    if (!(leaf[2] & fma) || !(leaf[2] & osxsave) || (_xgetbv(0) & 0x06) != 0x06) /* XMM and YMM */
        return false;
    __cpuidex(leaf, 7, 0);
    return leaf[1] & 1 << 5;
}

static inline bool cpu_has_avx512(void)
{
    if (!cpu_has_avx2() || (_xgetbv(0) & 0xe6) != 0xe6) /* those, masks and ZMM */
        return false;
    int leaf[4];
    __cpuidex(leaf, 7, 0);
    return leaf[1] & 1 << 16;
}
#else
static inline bool cpu_has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static inline bool cpu_has_avx512(void) { return cpu_has_avx2() && __builtin_cpu_supports("avx512f"); }
#endif

static inline bool cpu_has_avx512_bf16(void)
{
#if FL_AVX512_BF16
    return cpu_has_avx512() && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

/* Whether vdpbf16ps is worth its use: Intel's CPUs take four times as long for it as for the multiply-add of as many
   float32 numbers, which has half of the products (measured on a Xeon with AMX). AMD's take as long. */
static inline bool cpu_multiplies_pairs_fast(void)
{
#if FL_AVX512_BF16
    return !__builtin_cpu_is("intel");
#else
    return false;
#endif
}

#endif

#endif
