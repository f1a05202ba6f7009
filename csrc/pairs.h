/* Products of bfloat16 numbers, two by two, with float32 sums; see matmul.h.

   A pair is two neighbours of a sum. Its products are added one after the other, the second first, each with one
   rounding, as the instruction vdpbf16ps does it: where a level does not have it, two multiply-adds have the same bits.
   The instruction takes subnormal numbers for zeros, and so does `without_subnormals`. Those of Arm (bfdot, bfmmla) round
   in other places.

   Tiles of a few rows multiply weights as they are, which take half of the memory. Without the instruction, each tile
   has to make them float32 numbers again: for more rows, widened.h does so once for all tiles. */

/* instead of those of reals.h */
#undef factor
#undef operand
#undef matrix
#undef OF_FACTORS
#undef WIDTH
#undef OPERANDS
#undef put_transposed
#undef put_factor
#undef put_rows
#undef put_factors
#undef STATES_AT
#undef HAS_FACTORS
#undef without_subnormals
#undef restore
#undef tile_operand
#undef operands
#undef PARTS
#undef load_operands
#undef splat_operand
#undef add_product
#undef STEP
#undef TILES

#define operand uint32_t /* a pair; its first number is the lower half */
#define OF_FACTORS(name) FL(name##_of_pairs)
#define WIDTH 2
#define OPERANDS(n) (((n) + 1) / 2)

#define tile_operand uint32_t
#define STEP 2
#define TILES(name) FL(name##_of_pairs)

/* The bits of the nearest bfloat16 number, the even one of two, as a float32 number. */
#define rounded_bits FL(rounded_bits)
INLINE uint32_t rounded_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    const uint32_t nearest = bits + 0x7fff + (bits >> 16 & 1);
    return (number == number ? nearest : bits | 0x400000) & 0xffff0000;
}
#define rounded(number) (rounded_bits(number) >> 16)

/* Vectors of the bits of float32 numbers. */
#if FL_X86
#if FL_VECTOR_BITS == 512
#define INTS(op) _mm512_##op##_epi32
#define BITS(op) _mm512_##op##_si512
#define ints __m512i
#define vec_of(ints) _mm512_castsi512_ps(ints)
#define ints_of(vec) _mm512_castps_si512(vec)
#define or_if_nan(a, bits, nan) _mm512_mask_or_epi32(a, _mm512_cmp_ps_mask(vec_of(bits), vec_of(bits), 3), bits, nan)
#elif FL_VECTOR_BITS == 256
#define INTS(op) _mm256_##op##_epi32
#define BITS(op) _mm256_##op##_si256
#define ints __m256i
#define vec_of(ints) _mm256_castsi256_ps(ints)
#define ints_of(vec) _mm256_castps_si256(vec)
#define or_if_nan(a, bits, nan) \
    _mm256_blendv_epi8(a, BITS(or)(bits, nan), ints_of(_mm256_cmp_ps(vec_of(bits), vec_of(bits), 3)))
#else
#define INTS(op) _mm_##op##_epi32
#define BITS(op) _mm_##op##_si128
#define ints __m128i
#define vec_of(ints) _mm_castsi128_ps(ints)
#define ints_of(vec) _mm_castps_si128(vec)
#define or_if_nan(a, bits, nan) or_where(ints_of(_mm_cmpunord_ps(vec_of(bits), vec_of(bits))), a, bits, nan)
#define or_where(mask, a, bits, nan) BITS(or)(BITS(andnot)(mask, a), BITS(and)(mask, BITS(or)(bits, nan)))
#endif
#define load_ints(place) BITS(loadu)((const void *)(place))
#define SHIFTED(op, a) INTS(op)(a, 16)
#define SPLAT(bits) INTS(set1)(bits)
#else /* NEON */
#define INTS(op) v##op##q_u32
#define BITS(op) NEON_##op
#define NEON_and vandq_u32
#define NEON_or vorrq_u32
#define ints uint32x4_t
#define vec_of(ints) vreinterpretq_f32_u32(ints)
#define ints_of(vec) vreinterpretq_u32_f32(vec)
#define or_if_nan(a, bits, nan) vbslq_u32(vceqq_f32(vec_of(bits), vec_of(bits)), a, vorrq_u32(bits, nan))
#define load_ints(place) vld1q_u32(place)
#define SHIFTED(op, a) NEON_##op(a)
#define NEON_slli(a) vshlq_n_u32(a, 16)
#define NEON_srli(a) vshrq_n_u32(a, 16)
#define SPLAT(bits) vdupq_n_u32((uint32_t)(bits))
#endif
#define UPPER SPLAT(-65536)

/* Each number rounded like `rounded_bits`. */
#define vrounded FL(vrounded)
INLINE vec vrounded(vec a)
{
    const ints bits = ints_of(a), odd = BITS(and)(SHIFTED(srli, bits), SPLAT(1));
    const ints nearest = INTS(add)(INTS(add)(bits, SPLAT(0x7fff)), odd);
    return vec_of(BITS(and)(or_if_nan(nearest, bits, SPLAT(0x400000)), UPPER));
}

#if defined(FL_PAIR_PRODUCTS) || defined(FL_MATRIX_UNIT) /* vdpbf16ps, or AMX */

#define factor uint16_t /* the upper half of a float32 number */
#define matrix FL(factors)
typedef struct {
    const uint16_t *at;
    int64_t rows, columns, stride;
} matrix;

#define bits_of_pair FL(bits_of_pair)
INLINE int32_t bits_of_pair(const uint16_t *pair)
{
    int32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return bits;
}

#define operands __m512bh
#define PARTS 1
#define load_operands(place, columns, part) ((__m512bh)_mm512_loadu_si512(place))
#define splat_operand(place, a_k, part) ((__m512bh)_mm512_set1_epi32(bits_of_pair(place)))
#define add_product(a, b, sum) _mm512_dpbf16_ps(sum, a, b)

/* Factors [L] from numbers, and one. */
#define put_factors(place, numbers) \
    _mm256_storeu_si256((__m256i *)(place), _mm512_cvtepi32_epi16(SHIFTED(srli, ints_of(vrounded(numbers)))))
#define put_one(place, number) (*(place) = (uint16_t)rounded(number))

/* Operands of a weight gradient, each of two numbers of a column: out[(rows+1)/2, columns] of a[rows, columns]. */
#undef LEFT_OPERANDS
#undef LEFT_WIDTH
#undef LEFT_STRIDE
#undef left_operands
#undef right_operands
#define LEFT_OPERANDS (FL_BLOCK_ROWS / 2 * CHUNK)
#define LEFT_WIDTH 2
#define LEFT_STRIDE(stride, columns) (2 * (columns))
#define left_operands(rows, columns, a, stride, out) \
    (right_operands(rows, columns, a, stride, out), (const uint16_t *)(out))

#define right_operands FL(right_operands_of_pairs)
INLINE void right_operands(int64_t rows, int64_t columns, const uint16_t *b, int64_t stride, uint32_t *out)
{
    for (int64_t row = 0; row < rows; row += 2) {
        const uint16_t *const first = b + row * stride, *const second = first + (row + 1 < rows ? stride : 0);
        const uint32_t has_second = row + 1 < rows;
        for (int64_t j = 0; j < columns; j++)
            out[row / 2 * columns + j] = first[j] | has_second * second[j] << 16;
    }
}

#else

#define factor real /* with the lower half 0 */
#define matrix fl_matrix

/* The second numbers of pairs, then the first: as float32, whose upper halves they are. */
#define second_numbers(pairs) vec_of(BITS(and)(pairs, UPPER))
#define first_numbers(pairs) vec_of(SHIFTED(slli, pairs))

#define operands vec
#define PARTS 2
#define load_operands(place, columns, part) (part ? first_numbers(load_ints(place)) : second_numbers(load_ints(place)))
#define splat_operand(place, a_k, part) vsplat((place)[(1 - (part)) * (a_k) / 2])
#define add_product(a, b, sum) vfma(a, b, sum)

#define put_factors(place, numbers) vstore(place, vrounded(numbers))

#define put_one FL(put_one)
INLINE void put_one(float *place, float number)
{
    const uint32_t bits = rounded_bits(number);
    memcpy(place, &bits, sizeof bits);
}

#endif

/* out[n] = a[n], rounded */
#define round_row FL(round_row)
INLINE void round_row(int64_t n, const float *a, factor *out)
{
    int64_t j = 0;
    for (; j + L <= n; j += L)
        put_factors(out + j, vload(a + j));
    for (; j < n; j++)
        put_one(out + j, a[j]);
}

/* -- weights and rows ---------------------------------------------------------------------------------------------- */

/* Factor k of the sums of a column. */
#define put_factor(column, k, stride, number) put_half((column) + (k) / 2 * (stride), (k) % 2, number)
#define put_half FL(put_half)
INLINE void put_half(uint32_t *pair, int64_t half, float number)
{
    *pair = half ? (*pair & 0xffff) | rounded_bits(number) : (*pair & 0xffff0000) | rounded(number);
}

/* out[size] = the pairs of a[rows, size : stride], of one row or two. */
#define put_rows FL(put_rows)
INLINE void put_rows(int64_t rows, int64_t size, const float *a, int64_t stride, uint32_t *out)
{
    const float *const second = a + (rows > 1 ? stride : 0);
    int64_t j = 0;
    for (; rows > 1 && j + L <= size; j += L) {
        const ints upper = ints_of(vrounded(vload(second + j)));
        vstore((float *)out + j, vec_of(BITS(or)(SHIFTED(srli, ints_of(vrounded(vload(a + j)))), upper)));
    }
    for (; j < size; j++)
        out[j] = rounded(a[j]) | (rows > 1 ? rounded_bits(second[j]) : 0);
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

/* A row has the factors [x, 1], 0 if they would be odd, and h'. */
#define STATES_AT(C) (2 * OPERANDS((C) + 1))
#define HAS_FACTORS 1 /* beside the numbers themselves */

#ifdef FL_MATRIX_UNIT
#define release_tiles FL(release_tiles)
static void release_tiles(void);
#endif

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
#ifdef FL_MATRIX_UNIT
    release_tiles();
#endif
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
