/* Products of real numbers, one by one; see matmul.h. */

#define factor real
#define operand real
#define matrix fl_matrix
#define OF_FACTORS(name) FL(name)
#define WIDTH 1         /* factors in an operand */
#define OPERANDS(n) (n) /* in n factors */

/* Tiles multiply operands as they are. */
#define WIDENS 0
#define BLOCK_OF_OPERANDS ((void)0)
#define widened(K, vecs, w, out) (w)

#define tile_operand real
#define ENTRIES 1
#define operands vec
#define PARTS 1
#define HAS(part, k, K) 1
#define load_operands(place, columns, part) vload(place)
#define splat_operand(place, a_k, part) vsplat(*(place))
#define add_product(a, b, sum) vfma(a, b, sum)
#define STEP 1
#define TILES(name) FL(name)

/* Operands of a weight gradient: those of a are read where they are. */
#define LEFT_OPERANDS 1
#define LEFT_WIDTH 1 /* factors of an operand that are side by side */
#define LEFT_STRIDE(stride, columns) (stride)
#define left_operands(rows, columns, a, stride, out) ((void)(out), (a))

/* out[rows, columns] = b[rows, columns : stride], with columns a multiple of L */
#define right_operands FL(right_operands)
INLINE void right_operands(int64_t rows, const int64_t columns, const real *b, int64_t stride, real *out)
{
    for (int64_t row = 0; row < rows; row++)
        UNROLLED for (int64_t j = 0; j < columns; j += L)
            vstore(out + row * columns + j, vload(b + row * stride + j));
}

/* -- weights and rows ---------------------------------------------------------------------------------------------- */

/* out[R, Q : out_stride] = a[Q, R : a_stride].T */
#define put_transposed(R, Q, a, a_stride, out, out_stride) transpose(R, Q, a, a_stride, out, out_stride)
/* Factor k of the sums of a column. */
#define put_factor(column, k, stride, number) ((column)[(k) * (stride)] = (number))
/* out[size] = a[size], operands of `rows` rows, one or WIDTH. */
#define put_rows(rows, size, a, stride, out) copy(size, a, out)
/* Factors [L] from numbers. */
#define put_factors(place, numbers) vstore(place, numbers)
/* A row has the factors [x, 1, h']. */
#define STATES_AT(C) ((C) + 1)
#define HAS_FACTORS 0 /* beside the numbers themselves */
#define without_subnormals() 0
#define restore(mode) ((void)(mode))

#define HAS_BACKWARD 1
#define run_of_part(run, part) (*(run))
#define round_step(run, step) ((void)(step)) /* where rows are rounded at the beginning of a step */
