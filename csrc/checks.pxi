"""Checks of a call's arguments, after which no pointer leaves its array.

Sizes are added and multiplied without overflow: what is too large stands as MOST, which no array has. Nothing here
makes a Python object, but to say what is wrong.
"""

cdef extern from "<stdint.h>":
    const int64_t MOST "INT64_MAX"


cdef inline int64_t product(int64_t a, int64_t b) noexcept nogil:
    """a * b, of numbers that are not negative."""
    if (a | b) >> 31 == 0:
        return a * b
    return MOST if b > 0 and a > MOST // b else a * b


cdef inline int64_t total(int64_t a, int64_t b) noexcept nogil:
    """a + b, of numbers that are not negative."""
    return MOST if a > MOST - b else a + b


# -- sizes and ranges --------------------------------------------------------------------------------------------------

cdef inline int at_least(str name, int64_t value, int64_t least) except -1:
    if value < least:
        raise ValueError(f"{name} is {value}, expected {least} or more.")
    return 0


cdef inline int range_in(str name, int64_t first, int64_t last, int64_t end) except -1:
    if not 0 <= first <= last <= end:
        raise ValueError(f"{name} from {first} to {last}: expected 0 <= first <= last <= {end}.")
    return 0


cdef inline int bounded(str name, int64_t first, int64_t last, int64_t multiple, int64_t end) except -1:
    """Bounds in range(end) are multiples of so many, or the end."""
    range_in(name, first, last, end)
    if (first % multiple and first < end) or (last % multiple and last < end):
        raise ValueError(f"{name} from {first} to {last}: expected multiples of {multiple}, or {end}.")
    return 0


cdef inline int multiples(int64_t first, int64_t last, int64_t of_first, int64_t of_last) except -1:
    """Columns from `first` to `last` begin and end at multiples of so many."""
    if first % of_first or last % of_last:
        raise ValueError(f"columns from {first} to {last}: expected multiples of {of_first} and of {of_last}.")
    return 0


cdef inline int64_t padded(int64_t size) noexcept:
    """`size` filled up to whole vectors."""
    return product(total(size, table.lanes - 1) // table.lanes, table.lanes)


cdef inline int units_fit(int64_t H, int64_t P) except -1:
    """P is H filled up to whole vectors, or more."""
    at_least("H", H, 1)
    if P < H or P % table.lanes:
        raise ValueError(f"P is {P}, expected a multiple of {table.lanes}, and H = {H} or more.")
    return 0


# -- arrays ------------------------------------------------------------------------------------------------------------

cdef int too_short(str name, int64_t size, int64_t needed) except -1:
    if needed == MOST:
        raise ValueError(f"{name} has {size} numbers, more than any array has are needed.")
    raise ValueError(f"{name} has {size} numbers, {needed} are needed.")


cdef inline int fits(str name, int64_t size, int64_t needed) except -1:
    """A flat array of this size has the numbers that are needed."""
    if size < needed:
        too_short(name, size, needed)
    return 0


cdef inline int can_meet(const int64_t[::1] meeting, int64_t size) except -1:
    """So many threads can."""
    if not 0 < size < FL_BROKEN:
        raise ValueError(f"size is {size}, expected a number of threads.")
    return fits("meeting", meeting.shape[0], 1)


cdef inline int fits_from(str name, int64_t size, int64_t at, int64_t needed) except -1:
    """So many numbers from `at` on."""
    if at < 0:
        raise ValueError(f"{name} begins at {at}.")
    return fits(name, size, total(at, needed))


cdef inline int rows_fit(str name, int64_t size, int64_t at, int64_t rows, int64_t stride, int64_t width) except -1:
    """[rows, width : stride] from `at` on in a flat array; the last row needs `width` numbers only."""
    if stride < width:
        raise ValueError(f"rows of {name} lie {stride} numbers apart, but have {width}.")
    return fits_from(name, size, at, total(product(rows - 1, stride), width)) if rows > 0 else 0


cdef inline int is_matrix(str name, int64_t rows, int64_t columns, int64_t needed, int64_t width) except -1:
    """An array [rows, columns] has as many rows as are needed, and this width."""
    if rows < needed or columns != width:
        raise ValueError(f"{name} is [{rows}, {columns}], [{needed}, {width}] is needed.")
    return 0


cdef inline int64_t distance(str name, const real[:, :] a, int64_t rows, int64_t columns) except? -1:
    """How far apart the rows of a, which has [rows, columns] or more, lie, in numbers."""
    cdef int64_t size = sizeof(real)
    if a.shape[0] < rows or a.shape[1] < columns:
        raise ValueError(f"{name} is [{a.shape[0]}, {a.shape[1]}], [{rows}, {columns}] is needed.")
    if (columns > 1 and a.strides[1] != size) or (rows > 1 and a.strides[0] % size):
        raise ValueError(f"{name} has rows that are not contiguous.")
    return a.strides[0] // size


# -- packed batches ----------------------------------------------------------------------------------------------------

cdef int64_t rows_of(const int64_t[::1] starts) except -1:
    """M of a packed batch with these `starts`, of which N is starts[1]."""
    cdef int64_t T = starts.shape[0] - 1, t, active, before = MOST
    if T < 1 or starts[0] != 0:
        raise ValueError("starts begins with 0 and has one number more than there are steps.")
    for t in range(T):
        active = starts[t + 1] - starts[t] if starts[t + 1] > starts[t] else 0
        if not 0 < active <= before:
            raise ValueError(f"starts[{t + 1}] is {starts[t + 1]}: a step has one row or more, and none that ended.")
        before = active
    return starts[T]


cdef inline int64_t steps_of(const int64_t *starts, int64_t n, int64_t most) noexcept:
    """The steps of sequence n, which are not more than `most`."""
    while starts[most] - starts[most - 1] <= n:
        most -= 1
    return most


cdef int lengths_fit(const int64_t[::1] starts, const int64_t[::1] lengths, int64_t first, int64_t last) except -1:
    """Lengths of the sequences from `first` to `last` are those that `starts` says."""
    cdef int64_t n, steps = starts.shape[0] - 1
    fits("lengths", lengths.shape[0], last)
    for n in range(first, last):
        steps = steps_of(&starts[0], n, steps)
        if lengths[n] != steps:
            raise ValueError(f"lengths[{n}] is {lengths[n]}, but by starts that sequence has {steps} steps.")
    return 0


cdef int order_fits(const int64_t[::1] order, int64_t N, str name, int64_t blocks) except -1:
    """The blocks of N sequences, or more, are in an array of so many."""
    cdef int64_t n
    fits("order", order.shape[0], N)
    for n in range(order.shape[0]):
        if not 0 <= order[n] < blocks:
            raise ValueError(f"order[{n}] is {order[n]}, but {name} has {blocks} blocks.")
    return 0
