"""Solvers, and the norm that clipping needs."""

cdef inline int update_fits(
    int64_t first, int64_t last, const real[::1] p, const real[::1] g, const real[:, ::1] moments, int64_t rows,
    const real[::1] c, int64_t settings,
) except -1:
    """Parameters from `first` to `last` of p[P] and g[P]; moments[rows, P]; and enough settings c."""
    range_in("parameters", first, last, g.shape[0])
    fits("p", p.shape[0], last)
    is_matrix("moments", moments.shape[0], moments.shape[1], rows, g.shape[0])
    return fits("c", c.shape[0], settings)


def square_sums(int64_t first, int64_t last, const real[::1] g, double[::1] sums):
    range_in("blocks", first, last, total(g.shape[0], FL_SQUARES - 1) // FL_SQUARES)
    fits("sums", sums.shape[0], last)
    with nogil:
        table.square_sums(first, last, g.shape[0], &g[0], &sums[0])


def adam(int64_t first, int64_t last, real[::1] p, const real[::1] g, real[:, ::1] moments, const real[::1] c):
    update_fits(first, last, p, g, moments, 2, c, 6)
    with nogil:
        table.adam(first, last, g.shape[0], &p[0], &g[0], &moments[0, 0], &c[0])


def sgd(int64_t first, int64_t last, real[::1] p, const real[::1] g, real[:, ::1] moments, const real[::1] c):
    update_fits(first, last, p, g, moments, 1, c, 4)
    with nogil:
        table.sgd(first, last, g.shape[0], &p[0], &g[0], &moments[0, 0], &c[0])


def rmsprop(int64_t first, int64_t last, real[::1] p, const real[::1] g, real[:, ::1] moments, const real[::1] c):
    update_fits(first, last, p, g, moments, 1, c, 4)
    with nogil:
        table.rmsprop(first, last, g.shape[0], &p[0], &g[0], &moments[0, 0], &c[0])
