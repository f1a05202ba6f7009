"""Stochastic gradient descent with momentum; Nesterov momentum in the form of Sutskever et al. (2013)."""

MOMENTS, SQUARES = 1, None


def coefficients(rate, scale, t, options):
    return scale, options.momentum, options.nesterov, rate


def update(first, last, p, g, moments, c):
    scale, momentum, nesterov, rate = c
    velocity = moments[0, first:last]
    g = scale * g[first:last]
    velocity *= momentum
    velocity += g
    p[first:last] -= rate * (velocity + nesterov * (g + momentum * velocity - velocity))
