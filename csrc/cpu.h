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

#if FL_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TILE_DATA 18 /* the state, among those that XSAVE saves */

/* Whether the CPU has AMX for bfloat16, and the kernel knows it; a process has to ask for its registers. */
static inline bool cpu_has_amx(void)
{
    unsigned a, b, c, d;
    unsigned long long known = 0;
    const unsigned bf16 = 1u << 22, tile = 1u << 24;
    return cpu_has_avx512() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & bf16) && (d & tile) &&
           syscall(SYS_arch_prctl, 0x1021 /* ARCH_GET_XCOMP_SUPP */, &known) == 0 && (known >> TILE_DATA & 1);
}

static inline bool allow_amx(void) { return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, TILE_DATA) == 0; }
#endif

static inline bool cpu_has_avx512_vnni(void)
{
#if FL_AVX512_VNNI
    return cpu_has_avx512() && __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

static inline bool cpu_has_avx2_vnni(void)
{
#if FL_AVX_VNNI
    return cpu_has_avx2() && __builtin_cpu_supports("avxvnni");
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
