/* A meeting point of threads: a spin barrier, as fastlstm/kernels/numba/meeting.py explains it. */

#ifndef FASTLSTM_MEETING_H
#define FASTLSTM_MEETING_H

#include "numbers.h"

#define PATIENCE 2000 /* turns before the CPU is offered to others */

#ifdef _MSC_VER
#include <intrin.h>
__declspec(dllimport) int __stdcall SwitchToThread(void);

static inline int64_t arrive(int64_t *meeting) { return _InterlockedIncrement64((volatile long long *)meeting); }
static inline int64_t arrivals(int64_t *meeting) { return _InterlockedOr64((volatile long long *)meeting, 0); }
static inline void offer_cpu(void) { SwitchToThread(); }
#else
#ifdef _WIN32
__declspec(dllimport) int __stdcall SwitchToThread(void);
static inline void offer_cpu(void) { SwitchToThread(); }
#else
#include <sched.h>
static inline void offer_cpu(void) { sched_yield(); }
#endif

/* meeting[0] += 1; the value after it. Whatever this thread wrote before is seen by those who see that. */
static inline int64_t arrive(int64_t *meeting) { return __atomic_add_fetch(meeting, 1, __ATOMIC_SEQ_CST); }
/* meeting[0], read anew. */
static inline int64_t arrivals(int64_t *meeting) { return __atomic_load_n(meeting, __ATOMIC_SEQ_CST); }
#endif

/* Tell the core that its thread is waiting. */
static inline void rest(void)
{
#if FL_X86
    _mm_pause();
#endif
}

/* Return when all `size` threads are here, or one of them has failed. */
static inline void meet(int64_t *meeting, int64_t size)
{
    const int64_t arrived = arrive(meeting), goal = (arrived + size - 1) / size * size;
    for (int64_t turns = 1; arrived < FL_BROKEN && arrivals(meeting) < goal; turns++) {
        rest();
        if (turns > PATIENCE)
            offer_cpu();
    }
}

/* Where threads divide the units of a recurrence, wait for all of them. */
static inline void end_step(const fl_part *part)
{
    if (part->by_units && part->size > 1)
        meet(part->meeting, part->size);
}

/* `meet`, for the table; whether all is well. */
static inline bool wait_for_all(int64_t *meeting, int64_t size)
{
    meet(meeting, size);
    return arrivals(meeting) < FL_BROKEN;
}

#endif
