/* Kernels for every CPU: SSE2 on x86-64, NEON on arm64. */

#include "barrier.h"

#define FL_LEVEL baseline
#define FL_VECTOR_BITS 128
#include "kernels.inc"
