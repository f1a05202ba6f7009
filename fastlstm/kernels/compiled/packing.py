"""Copies between packed rows and arrays with one block per sequence; see the contract."""


def gather(entries, starts, order, reverse, first, last, array, column, rows):
    entries(rows.dtype).gather(starts, order, reverse, first, last, array, column, rows)


def scatter(entries, starts, order, reverse, states, add, rows, out, column):
    entries(rows.dtype).scatter(starts, order, reverse, states, add, rows, out, column)
