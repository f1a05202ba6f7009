"""Checks of arguments, after which no pointer leaves its array.

Sizes are added and multiplied with saturation: INT64_MAX stands for anything too large, which no array has. Python
objects are only made for error messages.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc

cdef extern from "<stdint.h>":
    const int64_t INT64_MAX


cdef inline int64_t product(int64_t a, int64_t b) noexcept nogil:
    """a * b of non-negative numbers, saturated."""
    if (a | b) >> 31 == 0:
        return a * b
    return INT64_MAX if b > 0 and a > INT64_MAX // b else a * b


cdef inline int64_t total(int64_t a, int64_t b) noexcept nogil:
    """a + b of non-negative numbers, saturated."""
    return INT64_MAX if a > INT64_MAX - b else a + b


# -- sizes and ranges --------------------------------------------------------------------------------------------------

cdef inline int at_least(str name, int64_t value, int64_t least) except -1:
    if value < least:
        raise ValueError(f"{name} is {value}, expected at least {least}.")
    return 0


cdef inline int range_in(str name, int64_t first, int64_t last, int64_t end) except -1:
    if not 0 <= first <= last <= end:
        raise ValueError(f"{name} from {first} to {last}: expected 0 <= first <= last <= {end}.")
    return 0


cdef inline int multiples(int64_t first, int64_t last, int64_t of_first, int64_t of_last) except -1:
    """`first` and `last` are multiples of these."""
    if first % of_first or last % of_last:
        raise ValueError(f"columns from {first} to {last}: expected multiples of {of_first} and of {of_last}.")
    return 0


cdef inline int64_t padded(int64_t size) noexcept:
    """`size` rounded up to whole vectors."""
    return product(total(size, table.lanes - 1) // table.lanes, table.lanes)


cdef inline int64_t operands_of(int64_t size) noexcept:
    """Operands of so many factors of a sum."""
    return total(size, WIDTH - 1) // WIDTH


# -- arrays ------------------------------------------------------------------------------------------------------------

cdef int too_short(str name, int64_t size, int64_t needed) except -1:
    if needed == INT64_MAX:
        raise ValueError(f"{name} has {size} elements, but these sizes need more than any array can have.")
    raise ValueError(f"{name} has {size} elements, expected at least {needed}.")


cdef inline int fits(str name, int64_t size, int64_t needed) except -1:
    """A flat array of this size is large enough."""
    if size < needed:
        too_short(name, size, needed)
    return 0


cdef inline int is_barrier(const int64_t[::1] barrier, int64_t size) except -1:
    """An array that so many threads can use as a barrier."""
    if not 0 < size < FL_BROKEN:
        raise ValueError(f"size is {size}, expected a number of threads, at least 1.")
    return fits("barrier", barrier.shape[0], 1)


cdef inline int fits_from(str name, int64_t size, int64_t at, int64_t needed) except -1:
    """The same, from `at` on."""
    if at < 0:
        raise ValueError(f"{name} is read or written from {at} on, expected an offset of at least 0.")
    return fits(name, size, total(at, needed))


cdef inline int rows_fit(str name, int64_t size, int64_t at, int64_t rows, int64_t stride, int64_t width) except -1:
    """[rows, width : stride] from `at` on in a flat array; the last row needs only `width` elements."""
    if stride < width:
        raise ValueError(f"{name} has a row stride of {stride}, expected at least {width}.")
    return fits_from(name, size, at, total(product(rows - 1, stride), width)) if rows > 0 else 0


cdef inline int is_matrix(str name, int64_t rows, int64_t columns, int64_t needed, int64_t width) except -1:
    """An array [rows, columns] has enough rows, and this width."""
    if rows < needed or columns != width:
        raise ValueError(f"{name} has shape ({rows}, {columns}), expected at least {needed} rows of {width}.")
    return 0


cdef inline int64_t distance(str name, const real[:, :] a, int64_t rows, int64_t columns) except? -1:
    """The row stride of a, in elements; a is [rows, columns] or larger, and its rows are contiguous."""
    cdef int64_t size = sizeof(real)
    if a.shape[0] < rows or a.shape[1] < columns:
        raise ValueError(f"{name} has shape ({a.shape[0]}, {a.shape[1]}), expected at least ({rows}, {columns}).")
    if (columns > 1 and a.strides[1] != size) or (rows > 1 and a.strides[0] % size):
        raise ValueError(f"{name} has rows that are not contiguous.")
    return a.strides[0] // size


# -- packed batches ----------------------------------------------------------------------------------------------------

cdef class Batch:
    """A batch whose rows are in an array of this name and size. It copies starts, which may change later."""

    cdef fl_batch of

    def __cinit__(self, const int64_t[::1] starts, str name, int64_t size):
        cdef int64_t T = starts.shape[0] - 1, t, n, active, before = INT64_MAX
        cdef int64_t *numbers
        if T < 1 or starts[0] != 0:
            raise ValueError("starts must begin with 0 and have one element more than there are steps.")
        for t in range(T):
            active = starts[t + 1] - starts[t] if starts[t + 1] > starts[t] else 0
            if not 0 < active <= before:
                raise ValueError(
                    f"starts[{t + 1}] is {starts[t + 1]}: expected at least one row per step, and no more than before."
                )
            before = active
        if size < starts[T]:
            raise ValueError(f"{name} has {size} rows, expected at least {starts[T]}.")
        numbers = <int64_t *>PyMem_Malloc((T + 1 + starts[1]) * sizeof(int64_t))
        if numbers is NULL:
            raise MemoryError()
        self.of = fl_batch(numbers, &numbers[T + 1], T, starts[1], starts[T])
        t = T
        for n in range(T + 1):
            numbers[n] = starts[n]
        for n in range(starts[1]):
            while starts[t] - starts[t - 1] <= n:
                t -= 1
            numbers[T + 1 + n] = t

    def __dealloc__(self):
        PyMem_Free(<void *>self.of.starts)


cdef int order_fits(const int64_t[::1] order, int64_t N, str name, int64_t blocks) except -1:
    """`order` has at least N elements, all of them blocks of an array with so many."""
    cdef int64_t n
    fits("order", order.shape[0], N)
    for n in range(order.shape[0]):
        if not 0 <= order[n] < blocks:
            raise ValueError(f"order[{n}] is {order[n]}, but {name} has {blocks} blocks.")
    return 0
