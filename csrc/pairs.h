/* Products of bfloat16 numbers, two by two, with float32 sums; see matmul.h.

   A pair is two neighbours of a sum. Its products are added one after the other, the second first, each with one
   rounding, as the instruction vdpbf16ps does it: where a level does not have it, two multiply-adds have the same bits.
   The instruction takes subnormal numbers for zeros, and so does `without_subnormals`. */

/* instead of those of reals.h */
#undef factor
#undef operand
#undef operands
#undef matrix
#undef OF_FACTORS
#undef WIDTH
#undef OPERANDS
#undef PARTS
#undef TALLEST
#undef load_operands
#undef splat_operand
#undef add_product
#undef LEFT_OPERANDS
#undef LEFT_STRIDE
#undef left_operands
#undef right_operands
#undef put_transposed
#undef put_factor
#undef put_rows
#undef put_factors
#undef STATES_AT
#undef HAS_FACTORS
#undef without_subnormals
#undef restore

#define factor uint16_t /* a bfloat16 number: the upper half of a float32 */
#define operand uint32_t /* a pair; its first number is the lower half */
#define operands FL(operands)
#define matrix FL(factors)
#define OF_FACTORS(name) FL(name##_of_pairs)
#define WIDTH 2
#define OPERANDS(n) (((n) + 1) / 2)

typedef struct {
    const uint16_t *at;
    int64_t rows, columns, stride;
} matrix;

#ifdef FL_PAIR_PRODUCTS /* vdpbf16ps */
#define PARTS 1
#define TALLEST ROWS
typedef __m512bh operands;
#define load_operands(place, part) ((__m512bh)_mm512_loadu_si512(place))
#define splat_operand(place, part) ((__m512bh)_mm512_set1_epi32(bits_of_pair(place)))
#define add_product(a, b, sum) _mm512_dpbf16_ps(sum, a, b)
#else
#define PARTS 2 /* the second numbers of pairs, then the first: as float32, whose upper halves they are */
#define TALLEST (REGISTERS == 32 ? ROWS : 2) /* there is a mask, too */
typedef vec operands;
#define add_product(a, b, sum) vfma(a, b, sum)
#if FL_X86 && FL_VECTOR_BITS == 512
#define number_of_pairs(pairs, part) \
    _mm512_castsi512_ps(part ? _mm512_slli_epi32(pairs, 16) : _mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))
#define load_operands(place, part) number_of_pairs(_mm512_loadu_si512(place), part)
#define splat_operand(place, part) number_of_pairs(_mm512_set1_epi32(bits_of_pair(place)), part)
#elif FL_X86 && FL_VECTOR_BITS == 256
#define number_of_pairs(pairs, part) \
    _mm256_castsi256_ps(part ? _mm256_slli_epi32(pairs, 16) : _mm256_and_si256(pairs, _mm256_set1_epi32(-65536)))
#define load_operands(place, part) number_of_pairs(_mm256_loadu_si256((const __m256i *)(place)), part)
#define splat_operand(place, part) number_of_pairs(_mm256_set1_epi32(bits_of_pair(place)), part)
#elif FL_X86
#define number_of_pairs(pairs, part) \
    _mm_castsi128_ps(part ? _mm_slli_epi32(pairs, 16) : _mm_and_si128(pairs, _mm_set1_epi32(-65536)))
#define load_operands(place, part) number_of_pairs(_mm_loadu_si128((const __m128i *)(place)), part)
#define splat_operand(place, part) number_of_pairs(_mm_set1_epi32(bits_of_pair(place)), part)
#else
#define number_of_pairs(pairs, part) \
    vreinterpretq_f32_u32(part ? vshlq_n_u32(pairs, 16) : vandq_u32(pairs, vdupq_n_u32(0xffff0000)))
#define load_operands(place, part) number_of_pairs(vld1q_u32(place), part)
#define splat_operand(place, part) number_of_pairs(vdupq_n_u32((uint32_t)bits_of_pair(place)), part)
#endif
#endif

#define bits_of_pair FL(bits_of_pair)
INLINE int32_t bits_of_pair(const uint16_t *pair)
{
    int32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return bits;
}

/* The nearest bfloat16 number, the even one of two. */
#define rounded FL(rounded)
INLINE uint16_t rounded(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    const uint32_t nearest = bits + 0x7fff + (bits >> 16 & 1);
    return (uint16_t)((number == number ? nearest : bits | 0x400000) >> 16);
}

/* out[n] = a[n], rounded */
#define round_row FL(round_row)
INLINE void round_row(int64_t n, const float *a, uint16_t *out)
{
    for (int64_t j = 0; j < n; j++)
        out[j] = rounded(a[j]);
}

/* out[n] = pairs of first[n] and second[n]; without `second`, of first and 0 */
#define join FL(join)
INLINE void join(int64_t n, const uint16_t *first, const uint16_t *second, uint32_t *out)
{
    for (int64_t j = 0; j < n; j++)
        out[j] = first[j] | (second ? (uint32_t)second[j] << 16 : 0);
}

/* Operands of a weight gradient, each of two numbers of a column: out[(rows+1)/2, columns] of a[rows, columns]. */
#define LEFT_OPERANDS (FL_BLOCK_ROWS / 2 * CHUNK)
#define LEFT_STRIDE(stride, columns) (2 * (columns))
#define left_operands(rows, columns, a, stride, out) \
    (right_operands(rows, columns, a, stride, out), (const uint16_t *)(out))

#define right_operands FL(right_operands_of_pairs)
INLINE void right_operands(int64_t rows, int64_t columns, const uint16_t *b, int64_t stride, uint32_t *out)
{
    for (int64_t row = 0; row < rows; row += 2) {
        const uint16_t *const first = b + row * stride;
        join(columns, first, row + 1 < rows ? first + stride : NULL, out + row / 2 * columns);
    }
}

/* -- weights and rows ---------------------------------------------------------------------------------------------- */

/* Factor k of the sums of a column. */
#define put_factor(column, k, stride, number) put_half((column) + (k) / 2 * (stride), (k) % 2, number)
#define put_half FL(put_half)
INLINE void put_half(uint32_t *pair, int64_t half, float number)
{
    *pair = half ? (*pair & 0xffff) | (uint32_t)rounded(number) << 16 : (*pair & 0xffff0000) | rounded(number);
}

/* out[size] = the pairs of a[rows, size : stride], of one row or two. */
#define put_rows FL(put_rows)
INLINE void put_rows(int64_t rows, int64_t size, const float *a, int64_t stride, uint32_t *out)
{
    const float *const second = a + (rows > 1 ? stride : 0);
    for (int64_t j = 0; j < size; j++)
        out[j] = rounded(a[j]) | (rows > 1 ? (uint32_t)rounded(second[j]) << 16 : 0);
}

/* out[OPERANDS(R), Q : out_stride]: the pairs of a[Q, R : a_stride].T. The last second number of an odd R is kept. */
#define put_transposed FL(put_transposed)
static void put_transposed(int64_t R, int64_t Q, const float *a, int64_t a_stride, uint32_t *out, int64_t out_stride)
{
    float square[L * L];
    for (int64_t r = 0; r < R; r += L)
        for (int64_t q = 0; q < Q; q += L) {
            const int64_t rows = smaller(L, R - r), columns = smaller(L, Q - q);
            transpose(rows, columns, a + q * a_stride + r, a_stride, square, L);
            for (int64_t row = 0; row + 1 < rows; row += 2)
                put_rows(2, columns, square + row * L, L, out + (r + row) / 2 * out_stride + q);
            for (int64_t j = 0; j < columns && rows % 2; j++)
                put_factor(out + q + j, r + rows - 1, out_stride, square[(rows - 1) * L + j]);
        }
}

/* Factors [L] from numbers. */
#define put_factors FL(put_factors)
INLINE void put_factors(uint16_t *place, vec numbers)
{
    float array[L];
    vstore(array, numbers);
    round_row(L, array, place);
}

/* A row has the factors [x, 1], 0 if they would be odd, and h'. */
#define STATES_AT(C) (2 * OPERANDS((C) + 1))
#define HAS_FACTORS 1 /* beside the numbers themselves */

/* From here on subnormal numbers are zeros, until `restore`; what is between reads and writes memory. */
#define without_subnormals FL(without_subnormals)
#define restore FL(restore)
#if FL_X86
INLINE uint64_t without_subnormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* results and arguments */
    MEMORY_BARRIER;
    return before;
}
INLINE void restore(uint64_t mode)
{
    MEMORY_BARRIER;
    _mm_setcsr((unsigned)mode);
}
#else
INLINE uint64_t without_subnormals(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1 << 24) : "memory");
    return before;
}
INLINE void restore(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }
#endif
