/* Products of numbers rounded to int8, four by four, with sums of int32; forward only.

   A row of numbers is rounded to integers times a scale, its largest absolute value / 127: of each row, the inputs and
   the states before the step at the beginning of the step; of each gate of a unit, its weights of either. So a sum is

       bias + (scale_x * scale_of_w_x) * sum_x + (scale_h * scale_of_w_h) * sum_h

   Sums of products of integers are exact in any order: all levels have the same, and the rest is float32. An int32 holds
   those of 2^17 numbers.

   vpdpbusd multiplies unsigned by signed bytes. There, weights are larger by 128, and sums begin with -128 times the sum
   of the row. */

/* instead of those of reals.h */
#undef operand
#undef WIDTH
#undef OPERANDS
#undef HAS_BACKWARD
#undef run_of_part
#undef round_step

#define operand uint32_t /* four bytes, in the order of memory */
#define WIDTH 4
#define OPERANDS(n) (((n) + 3) / 4)
#define HAS_BACKWARD 0
#define row_factors(run, row) ((run)->rows + (row) * (run)->stride) /* rounded later, for each step */

/* -- instructions: sums, SUMS in a vector, of the products of bytes ------------------------------------------------ */

#if FL_X86 && FL_VECTOR_BITS == 512
#define converted(place) _mm512_cvtepi32_ps(_mm512_loadu_si512((const void *)(place)))
#elif FL_X86 && FL_VECTOR_BITS == 256
#define converted(place) _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(place)))
#elif FL_X86
#define converted(place) _mm_cvtepi32_ps(_mm_loadu_si128((const __m128i *)(place)))
#else
#define converted(place) vcvtq_f32_s32(vld1q_s32(place))
#endif

#define word_of FL(word_of)
INLINE int32_t word_of(const int8_t *bytes)
{
    int32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

#define sums_of_bytes FL(sums_of_bytes)
#define splat_of_bytes FL(splat_of_bytes)
#define splat_bytes FL(splat_bytes)
#define add_bytes FL(add_bytes)
#define plus FL(plus)
#define store_sums FL(store_sums)

#ifdef FL_BYTE_PRODUCTS /* vpdpbusd */

#define OFFSET 128 /* of weights */
#define CHAINS 8   /* hide the instruction's latency */
#if FL_VECTOR_BITS == 512
#define SUMS 16
#define BYTE_ROWS 6
typedef __m512i sums_of_bytes;
#define dpbusd _mm512_dpbusd_epi32
#define I32(op) _mm512_##op##_epi32
#define load_bytes(place) _mm512_loadu_si512((const void *)(place))
INLINE void store_sums(int32_t *out, sums_of_bytes sums) { _mm512_storeu_si512((void *)out, sums); }
#else
#define SUMS 8
#define BYTE_ROWS 3
typedef __m256i sums_of_bytes;
#define dpbusd _mm256_dpbusd_avx_epi32
#define I32(op) _mm256_##op##_epi32
#define load_bytes(place) _mm256_loadu_si256((const __m256i *)(place))
INLINE void store_sums(int32_t *out, sums_of_bytes sums) { _mm256_storeu_si256((__m256i *)out, sums); }
#endif
typedef sums_of_bytes splat_of_bytes;
#define begin_sums(number) I32(set1)(number)
INLINE splat_of_bytes splat_bytes(const int8_t *place) { return I32(set1)(word_of(place)); }
INLINE sums_of_bytes add_bytes(sums_of_bytes sums, sums_of_bytes w, splat_of_bytes x) { return dpbusd(sums, w, x); }
INLINE sums_of_bytes plus(sums_of_bytes a, sums_of_bytes b) { return I32(add)(a, b); }

#elif FL_X86 && FL_VECTOR_BITS > 128 /* vpmaddubsw, of |x| and w with the sign of x: 2 * 127 * 127 fits into 16 bits */

#define OFFSET 0
#define CHAINS 1
#define SUMS 8 /* AVX-512F has no such instruction for its longer vectors */
#define BYTE_ROWS (FL_VECTOR_BITS == 256 ? 2 : 1)
typedef __m256i sums_of_bytes;
typedef struct {
    __m256i x, absolute;
} splat_of_bytes;
#define load_bytes(place) _mm256_loadu_si256((const __m256i *)(place))
#define begin_sums(number) ((void)(number), _mm256_setzero_si256())
INLINE splat_of_bytes splat_bytes(const int8_t *place)
{
    const __m256i x = _mm256_set1_epi32(word_of(place));
    return (splat_of_bytes){x, _mm256_abs_epi8(x)};
}
INLINE sums_of_bytes add_bytes(sums_of_bytes sums, __m256i w, splat_of_bytes x)
{
    const __m256i pairs = _mm256_maddubs_epi16(x.absolute, _mm256_sign_epi8(w, x.x));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE sums_of_bytes plus(sums_of_bytes a, sums_of_bytes b) { return _mm256_add_epi32(a, b); }
INLINE void store_sums(int32_t *out, sums_of_bytes sums) { _mm256_storeu_si256((__m256i *)out, sums); }

#else /* products of int16: two sums, which are added at the end, of each column */

#define OFFSET 0
#define CHAINS 1
#define SUMS 4
#define BYTE_ROWS (FL_X86 ? 1 : 2)
#define begin_sums(number) ((void)(number), (sums_of_bytes){ZERO, ZERO})

#if FL_X86
typedef struct {
    __m128i low, high; /* of the first and the last two columns */
} sums_of_bytes;
typedef __m128i splat_of_bytes;
#define ZERO _mm_setzero_si128()
#define load_bytes(place) _mm_loadu_si128((const __m128i *)(place))
#define widen(half, a) _mm_srai_epi16(_mm_unpack##half##_epi8(a, a), 8)
INLINE splat_of_bytes splat_bytes(const int8_t *place) { return widen(lo, _mm_set1_epi32(word_of(place))); }
INLINE sums_of_bytes add_bytes(sums_of_bytes sums, __m128i w, splat_of_bytes x)
{
    return (sums_of_bytes){
        _mm_add_epi32(sums.low, _mm_madd_epi16(widen(lo, w), x)),
        _mm_add_epi32(sums.high, _mm_madd_epi16(widen(hi, w), x)),
    };
}
INLINE sums_of_bytes plus(sums_of_bytes a, sums_of_bytes b)
{
    return (sums_of_bytes){_mm_add_epi32(a.low, b.low), _mm_add_epi32(a.high, b.high)};
}
INLINE void store_sums(int32_t *out, sums_of_bytes sums)
{
    const __m128 low = _mm_castsi128_ps(sums.low), high = _mm_castsi128_ps(sums.high);
    const __m128i even = _mm_castps_si128(_mm_shuffle_ps(low, high, 0x88));
    const __m128i odd = _mm_castps_si128(_mm_shuffle_ps(low, high, 0xdd));
    _mm_storeu_si128((__m128i *)out, _mm_add_epi32(even, odd));
}
#else /* NEON */
typedef struct {
    int32x4_t low, high;
} sums_of_bytes;
typedef int8x8_t splat_of_bytes;
#define ZERO vdupq_n_s32(0)
#define load_bytes(place) vld1q_s8((const int8_t *)(place))
INLINE splat_of_bytes splat_bytes(const int8_t *place) { return vreinterpret_s8_s32(vdup_n_s32(word_of(place))); }
INLINE sums_of_bytes add_bytes(sums_of_bytes sums, int8x16_t w, splat_of_bytes x)
{
    return (sums_of_bytes){
        vpadalq_s16(sums.low, vmull_s8(vget_low_s8(w), x)),
        vpadalq_s16(sums.high, vmull_s8(vget_high_s8(w), x)),
    };
}
INLINE sums_of_bytes plus(sums_of_bytes a, sums_of_bytes b)
{
    return (sums_of_bytes){vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)};
}
INLINE void store_sums(int32_t *out, sums_of_bytes sums) { vst1q_s32(out, vpaddq_s32(sums.low, sums.high)); }
#endif

#endif

/* -- rounding ------------------------------------------------------------------------------------------------------ */

#define SMALLEST 0x1p-120f /* rows that have no larger number are zeros: the inverse of their scale could be infinite */

/* out[L] = the integers nearest to numbers, even ones of two. */
#define put_bytes FL(put_bytes)
INLINE void put_bytes(int8_t *out, vec numbers)
{
#if FL_X86 && FL_VECTOR_BITS == 512
    _mm_storeu_si128((__m128i *)out, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(numbers)));
#elif FL_X86
#if FL_VECTOR_BITS == 256
    const __m256i words = _mm256_cvtps_epi32(numbers);
    const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storel_epi64((__m128i *)out, _mm_packs_epi16(halves, halves));
#else
    const __m128i words = _mm_cvtps_epi32(numbers), halves = _mm_packs_epi32(words, words);
    const int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(halves, halves));
    memcpy(out, &four, sizeof four);
#endif
#else
    const int16x4_t halves = vqmovn_s32(vcvtnq_s32_f32(numbers));
    const int8x8_t eight = vqmovn_s16(vcombine_s16(halves, halves));
    const int32_t four = vget_lane_s32(vreinterpret_s32_s8(eight), 0);
    memcpy(out, &four, sizeof four);
#endif
}

/* The n < L numbers from a on, then zeros. */
#define vload_some FL(vload_some)
INLINE vec vload_some(int64_t n, const real *a)
{
    real some[L] = {0};
    for (int64_t j = 0; j < n; j++)
        some[j] = a[j];
    return vload(some);
}

/* The largest absolute value of a[n]; NaN if a number is not finite. */
#define largest_of FL(largest_of)
INLINE real largest_of(int64_t n, const real *a)
{
    real largest[L], zero[L];
    vec most = vsplat(0), zeros = vsplat(0);
    for (int64_t j = 0; j < n; j += L) {
        const vec numbers = j + L <= n ? vload(a + j) : vload_some(n - j, a + j);
        most = vmax(most, vmax(vsub(vsplat(0), numbers), numbers));
        zeros = vfma(numbers, vsplat(0), zeros);
    }
    vstore(largest, most);
    vstore(zero, zeros);
    for (int j = 1; j < L; j++) {
        largest[0] = largest[j] > largest[0] ? largest[j] : largest[0];
        zero[0] += zero[j];
    }
    return largest[0] + zero[0];
}

/* The scale of numbers of which this is the largest, and its inverse; NaN and 0 if it is NaN. */
#define scale_of(largest) ((largest) < SMALLEST ? 0 : (largest) / 127)
#define inverse_of(largest) ((largest) >= SMALLEST ? 127 / (largest) : 0)

/* out[n padded to L] = a[n] * inverse, rounded, then zeros. */
#define round_row FL(round_row)
INLINE void round_row(int64_t n, const real *a, real inverse, int8_t *out)
{
    int64_t j = 0;
    for (; j + L <= n; j += L)
        put_bytes(out + j, vmul(vload(a + j), vsplat(inverse)));
    if (j < n)
        put_bytes(out + j, vmul(vload_some(n - j, a + j), vsplat(inverse)));
}
