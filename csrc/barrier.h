/* A spin barrier, at which threads that divide a recurrence wait for each other after every step. */

#ifndef FASTLSTM_BARRIER_H
#define FASTLSTM_BARRIER_H

#include "numbers.h"

#define MAX_SPINS 2000 /* before a waiting thread yields its CPU */

#ifdef _MSC_VER
#include <intrin.h>
__declspec(dllimport) int __stdcall SwitchToThread(void);

static inline int64_t arrive(int64_t *barrier) { return _InterlockedIncrement64((volatile long long *)barrier); }
static inline int64_t arrivals(int64_t *barrier) { return _InterlockedOr64((volatile long long *)barrier, 0); }
static inline void yield_cpu(void) { SwitchToThread(); }
#else
#ifdef _WIN32
__declspec(dllimport) int __stdcall SwitchToThread(void);
static inline void yield_cpu(void) { SwitchToThread(); }
#else
#include <sched.h>
static inline void yield_cpu(void) { sched_yield(); }
#endif

/* Increment barrier[0] and return its new value. Threads that see it also see all that this thread wrote before. */
static inline int64_t arrive(int64_t *barrier) { return __atomic_add_fetch(barrier, 1, __ATOMIC_SEQ_CST); }
/* Read barrier[0] from memory. */
static inline int64_t arrivals(int64_t *barrier) { return __atomic_load_n(barrier, __ATOMIC_SEQ_CST); }
#endif

/* Hint to the core that this is a spin loop. */
static inline void relax_cpu(void)
{
#if FL_X86
    _mm_pause();
#endif
}

/* Return once all `size` threads have arrived or one of them has failed. */
static inline void wait_at_barrier(int64_t *barrier, int64_t size)
{
    const int64_t arrived = arrive(barrier), goal = (arrived + size - 1) / size * size;
    for (int64_t spins = 1; arrived < FL_BROKEN && arrivals(barrier) < goal; spins++) {
        relax_cpu();
        if (spins > MAX_SPINS)
            yield_cpu();
    }
}

/* Wait for all threads, if they divide the units of a recurrence. */
static inline void end_step(const fl_part *part)
{
    if (part->by_units && part->size > 1)
        wait_at_barrier(part->barrier, part->size);
}

/* `wait_at_barrier`, for the table; false if a thread has failed. */
static inline bool wait_for_all(int64_t *barrier, int64_t size)
{
    wait_at_barrier(barrier, size);
    return arrivals(barrier) < FL_BROKEN;
}

#endif
