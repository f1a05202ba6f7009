/* Packing of weights in the order in which matmul.h reads them; for one type of factors, see there. */

#define pack_gates OF_FACTORS(pack_gates)
#define pack_groups OF_FACTORS(pack_groups)

/* Operands of a row: of x and the 1, and of all. */
#define OF_X(sizes) OPERANDS((sizes)->C + 1)
#define OF_ROW(sizes) (OF_X(sizes) + OPERANDS((sizes)->H))

/* Clear out[size] if not all of it will be written, for there are padded units, beside these, or padded factors. */
#define clear_unless_full OF_FACTORS(clear_unless_full)
INLINE void clear_unless_full(const fl_weights *weights, int64_t units, int64_t wide, int64_t size, operand *out)
{
    if (units < wide || OF_X(weights) * WIDTH > weights->C + 1 || OPERANDS(weights->H) * WIDTH > weights->H)
        for (int64_t j = 0; j < size; j++)
            out[j] = 0;
}

/* out[P/L][OF_ROW][G][L], of some units: for each vector of them, the weights of [x, 1, h'] of its G gates. */
static inline void pack_gates(int64_t G, const fl_weights *weights, range units, operand *out)
{
    const int64_t C = weights->C, H = weights->H, K = OF_ROW(weights), wide = G * L;
    for (int64_t unit = units.first; unit < smaller(units.last, H); unit += L) {
        const int64_t size = smaller(L, H - unit);
        operand *const block = out + unit * G * K;
        clear_unless_full(weights, size, L, K * wide, block);
        for (int64_t gate = 0; gate < G; gate++) {
            const int64_t row = gate * H + unit;
            operand *const x_part = block + gate * L, *const h_part = x_part + OF_X(weights) * wide;
            put_transposed(C, size, weights->weight_ih + row * C, C, x_part, wide);
            put_transposed(H, size, weights->weight_hh + row * H, H, h_part, wide);
            for (int64_t j = 0; j < size; j++)
                put_factor(x_part + j, C, wide, weights->bias_ih[row + j] + weights->bias_hh[row + j]);
        }
    }
}

/* `pack_panels` of w[G, H, M]: each of the G groups, from `start` on and then from 0, becomes P rows. */
static inline void pack_groups(int64_t G, int64_t start, int64_t H, int64_t P, int64_t M, range columns,
                               const real *w, operand *out)
{
    for (int64_t m = columns.first, wide; m < columns.last; m += wide) {
        wide = m + 4 * L <= columns.last ? 4 * L : m + 2 * L <= columns.last ? 2 * L : L;
        const int64_t filled = larger(0, smaller(wide, M - m));
        operand *row_out = out + m * OPERANDS(G * P);
        for (int64_t g = 0; g < G; g++) {
            const int64_t group = g + start < G ? g + start : g + start - G;
            for (int64_t row = 0; row < P; row += WIDTH, row_out += wide) {
                const int64_t size = row < H ? filled : 0;
                if (size > 0)
                    put_rows(smaller(WIDTH, H - row), size, w + (group * H + row) * M + m, M, row_out);
                for (int64_t j = size; j < wide; j++)
                    row_out[j] = 0;
            }
        }
    }
}

static inline void OF_FACTORS(pack_panels)(int64_t H, int64_t P, int64_t M, int64_t first, int64_t last,
                                           const real *w, operand *out)
{
    pack_groups(1, 0, H, P, M, (range){first, last}, w, out);
}
