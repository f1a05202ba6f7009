/* Vectors of floating-point numbers of FL_BITS bits: the operations the kernels are written in.

   The including file defines FL_LEVEL, its name, and FL_VECTOR_BITS; the command line FL_BITS and, where products are
   of bfloat16 numbers or of bytes, FL_BFLOAT16 or FL_INT8. Multiplications and additions are fused only by
   vfma and vnfma, so that a result has the same bits on every vector width with fused multiply-add hardware.

   Names of functions are macros that add type and level to them: no two files have one symbol. */

#define JOIN_(a, b, c, d) a##b##c##d
#define JOIN(a, b, c, d) JOIN_(a, b, c, d)
#ifdef FL_BFLOAT16
#define FL(name) JOIN(name, _bf16, _, FL_LEVEL)
#define OF_TYPE(name) JOIN(name, _bf16, , )
#elif defined(FL_INT8)
#define FL(name) JOIN(name, _int8, _, FL_LEVEL)
#define OF_TYPE(name) JOIN(name, _int8, , )
#else
#define FL(name) JOIN(name##_f, FL_BITS, _, FL_LEVEL)
#define OF_TYPE(name) JOIN(name, _f, FL_BITS, )
#endif

#define real FL(real)
#define vec FL(vec)

/* Structs of fastlstm.h for this type. */
#define fl_matrix OF_TYPE(fl_matrix)
#define fl_blocks OF_TYPE(fl_blocks)
#define fl_weights OF_TYPE(fl_weights)
#define fl_packed OF_TYPE(fl_packed)
#define fl_run OF_TYPE(fl_run)
#define fl_linear OF_TYPE(fl_linear)
#define fl_loss OF_TYPE(fl_loss)
#define fl_cell OF_TYPE(fl_cell)
#define fl_layer OF_TYPE(fl_layer)
#define fl_roll_out OF_TYPE(fl_roll_out)
#define fl_attention OF_TYPE(fl_attention)

/* Numbers in a vector. */
#define L ((int64_t)(VECTOR_BYTES / sizeof(real)))
#define VECTOR_BYTES (FL_VECTOR_BITS / 8)

/* Registers, and the largest number of rows of a tile of four vectors, and of any: accumulators, weights and a broadcast
   fit. */
#define REGISTERS (FL_X86 && FL_VECTOR_BITS < 512 ? 16 : 32)
#define ROWS (REGISTERS == 32 ? 6 : 3)
#define TALLEST_TILE 6

/* -- compilers ----------------------------------------------------------------------------------------------------- */

#ifdef _MSC_VER
#define INLINE static __forceinline
#define OUTLINE static __declspec(noinline)
#define UNROLLED
#pragma fp_contract(off)
#elif defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#define OUTLINE static __attribute__((noinline))
#define UNROLLED _Pragma("unroll")
#pragma STDC FP_CONTRACT OFF
#else /* GCC has no pragma for contraction: it needs -ffp-contract=off */
#define INLINE static inline __attribute__((always_inline))
#define OUTLINE static __attribute__((noinline))
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* Memory is read and written on either side in the order of the program. */
#ifdef _MSC_VER
#define MEMORY_BARRIER _ReadWriteBarrier()
#else
#define MEMORY_BARRIER __asm__ volatile("" : : : "memory")
#endif

/* -- instructions -------------------------------------------------------------------------------------------------- */

#if FL_BITS == 32
typedef float real;
#define TYPE s
#else
typedef double real;
#define TYPE d
#endif

#if FL_X86

#if FL_VECTOR_BITS == 512
#define X86(op) JOIN(_mm512_, op, _p, TYPE)
#elif FL_VECTOR_BITS == 256
#define X86(op) JOIN(_mm256_, op, _p, TYPE)
#else
#define X86(op) JOIN(_mm_, op, _p, TYPE)
#endif

#if FL_VECTOR_BITS == 512 && FL_BITS == 32
typedef __m512 vec;
#elif FL_VECTOR_BITS == 512
typedef __m512d vec;
#elif FL_VECTOR_BITS == 256 && FL_BITS == 32
typedef __m256 vec;
#elif FL_VECTOR_BITS == 256
typedef __m256d vec;
#elif FL_BITS == 32
typedef __m128 vec;
#else
typedef __m128d vec;
#endif

#define vload(place) X86(loadu)(place)
#define vstore(place, a) X86(storeu)(place, a)
#define vsplat(number) X86(set1)(number)
#define vadd(a, b) X86(add)(a, b)
#define vsub(a, b) X86(sub)(a, b)
#define vmul(a, b) X86(mul)(a, b)
#define vdiv(a, b) X86(div)(a, b)
/* The smaller and the larger; x where it is NaN. */
#define vmin(bound, x) X86(min)(bound, x)
#define vmax(bound, x) X86(max)(bound, x)
/* a * b + c and c - a * b, rounded once where the level can. */
#if FL_VECTOR_BITS > 128
#define vfma(a, b, c) X86(fmadd)(a, b, c)
#define vnfma(a, b, c) X86(fnmadd)(a, b, c)
#else
#define vfma(a, b, c) vadd(vmul(a, b), c)
#define vnfma(a, b, c) vsub(c, vmul(a, b))
#endif

#else /* NEON */

#define NEON(op) JOIN(v, op, q_f, FL_BITS)

#if FL_BITS == 32
typedef float32x4_t vec;
#else
typedef float64x2_t vec;
#endif

#define vsplat(number) JOIN(vdupq_n, _f, FL_BITS, )(number)
#define vload(place) NEON(ld1)(place)
#define vstore(place, a) NEON(st1)(place, a)
#define vadd(a, b) NEON(add)(a, b)
#define vsub(a, b) NEON(sub)(a, b)
#define vmul(a, b) NEON(mul)(a, b)
#define vdiv(a, b) NEON(div)(a, b)
#define vmin(bound, x) NEON(min)(bound, x)
#define vmax(bound, x) NEON(max)(bound, x)
#define vfma(a, b, c) NEON(fma)(c, a, b)
#define vnfma(a, b, c) NEON(fms)(c, a, b)

#endif

#define one_minus(a) vsub(vsplat(1), a)

/* -- out[L, L : out_stride] = a[L, L : a_stride].T ----------------------------------------------------------------- */

#define transpose_lanes FL(transpose_lanes)
#define transpose_square FL(transpose_square)

/* Numbers in 128 bits. */
#define LANE (16 / (int)sizeof(real))

/* LANE rows from a: of every 128 bits, the square they make with the same bits of the rows beside them. */
INLINE void transpose_lanes(const real *a, int64_t stride, vec *rows)
{
#if FL_X86 && FL_BITS == 32
    const vec row_0 = vload(a), row_1 = vload(a + stride), row_2 = vload(a + 2 * stride), row_3 = vload(a + 3 * stride);
    const vec low_0 = X86(unpacklo)(row_0, row_1), low_1 = X86(unpacklo)(row_2, row_3);
    const vec high_0 = X86(unpackhi)(row_0, row_1), high_1 = X86(unpackhi)(row_2, row_3);
    rows[0] = X86(shuffle)(low_0, low_1, 0x44);
    rows[1] = X86(shuffle)(low_0, low_1, 0xee);
    rows[2] = X86(shuffle)(high_0, high_1, 0x44);
    rows[3] = X86(shuffle)(high_0, high_1, 0xee);
#elif FL_X86
    const vec row_0 = vload(a), row_1 = vload(a + stride);
    rows[0] = X86(unpacklo)(row_0, row_1);
    rows[1] = X86(unpackhi)(row_0, row_1);
#elif FL_BITS == 32
    const vec row_0 = vload(a), row_1 = vload(a + stride), row_2 = vload(a + 2 * stride), row_3 = vload(a + 3 * stride);
    const float64x2_t even_0 = vreinterpretq_f64_f32(vtrn1q_f32(row_0, row_1));
    const float64x2_t even_1 = vreinterpretq_f64_f32(vtrn1q_f32(row_2, row_3));
    const float64x2_t odd_0 = vreinterpretq_f64_f32(vtrn2q_f32(row_0, row_1));
    const float64x2_t odd_1 = vreinterpretq_f64_f32(vtrn2q_f32(row_2, row_3));
    rows[0] = vreinterpretq_f32_f64(vtrn1q_f64(even_0, even_1));
    rows[1] = vreinterpretq_f32_f64(vtrn1q_f64(odd_0, odd_1));
    rows[2] = vreinterpretq_f32_f64(vtrn2q_f64(even_0, even_1));
    rows[3] = vreinterpretq_f32_f64(vtrn2q_f64(odd_0, odd_1));
#else
    const vec row_0 = vload(a), row_1 = vload(a + stride);
    rows[0] = vtrn1q_f64(row_0, row_1);
    rows[1] = vtrn2q_f64(row_0, row_1);
#endif
}

#if FL_VECTOR_BITS == 512 && FL_BITS == 32
#define SHUFFLE(a, b, order) _mm512_shuffle_f32x4(a, b, order)
#elif FL_VECTOR_BITS == 512
#define SHUFFLE(a, b, order) _mm512_shuffle_f64x2(a, b, order)
#elif FL_VECTOR_BITS == 256
#define SHUFFLE(a, b, order) X86(permute2f128)(a, b, order)
#endif

/* Not inlined: the compiler would keep the addresses of all rows, on the stack. */
OUTLINE void transpose_square(const real *a, int64_t a_stride, real *out, int64_t out_stride)
{
    vec rows[L];
    UNROLLED for (int r = 0; r < L; r += LANE)
        transpose_lanes(a + r * a_stride, a_stride, rows + r);
    UNROLLED for (int r = 0; r < LANE; r++) { /* the square that 128 bits of every LANE-th row make */
#if FL_VECTOR_BITS == 512
        const vec row_0 = rows[r], row_1 = rows[r + LANE], row_2 = rows[r + 2 * LANE], row_3 = rows[r + 3 * LANE];
        const vec low_0 = SHUFFLE(row_0, row_1, 0x44), low_1 = SHUFFLE(row_2, row_3, 0x44);
        const vec high_0 = SHUFFLE(row_0, row_1, 0xee), high_1 = SHUFFLE(row_2, row_3, 0xee);
        vstore(out + r * out_stride, SHUFFLE(low_0, low_1, 0x88));
        vstore(out + (r + LANE) * out_stride, SHUFFLE(low_0, low_1, 0xdd));
        vstore(out + (r + 2 * LANE) * out_stride, SHUFFLE(high_0, high_1, 0x88));
        vstore(out + (r + 3 * LANE) * out_stride, SHUFFLE(high_0, high_1, 0xdd));
#elif FL_VECTOR_BITS == 256
        vstore(out + r * out_stride, SHUFFLE(rows[r], rows[r + LANE], 0x20));
        vstore(out + (r + LANE) * out_stride, SHUFFLE(rows[r], rows[r + LANE], 0x31));
#else
        vstore(out + r * out_stride, rows[r]);
#endif
    }
}
