"""Sums over partitions of the data, the same bits for any number of processes among which the partitions are divided.

The gradients of V partitions are added along one binary tree over 0, ..., V - 1. A process adds those of its own
partitions as far as the tree allows; the remaining `Node`s, whoever holds them, are added in the same order by
`root`. So at most log2(V) + 1 gradients leave a process, and no sum depends on which process holds which partitions.
"""

from typing import NamedTuple

import numpy as np


class Node(NamedTuple):
    """A subtree: the sums over the partitions first, ..., first + width - 1."""

    first: int
    width: int
    gradient: np.ndarray
    sums: np.ndarray  # float64


def push(nodes, node):
    """Add a node behind the others, and merge complete subtrees; returns gradients that are not needed any more."""
    nodes.append(node)
    free = []
    while len(nodes) > 1 and nodes[-2].width == nodes[-1].width and nodes[-2].first % (2 * nodes[-1].width) == 0:
        free.append(_merge(nodes))
    return free


def root(nodes):
    """Gradient and sums of all nodes, which are in order."""
    whole = []
    for node in nodes:
        push(whole, node)
    while len(whole) > 1:
        _merge(whole)
    return whole[0].gradient, whole[0].sums


def _merge(nodes):
    left, right = nodes[-2:]
    np.add(left.gradient, right.gradient, out=left.gradient)
    nodes[-2:] = [left._replace(width=left.width + right.width, sums=left.sums + right.sums)]
    return right.gradient


def share(n_partitions, rank, size):
    """The partitions of a process."""
    return range(n_partitions * rank // size, n_partitions * (rank + 1) // size)


def layout(n_partitions, size):
    """(first, width) of the nodes that each of `size` processes has when it has added what it can."""
    nothing, out = np.empty(0), []
    for rank in range(size):
        nodes = []
        for number in share(n_partitions, rank, size):
            push(nodes, Node(number, 1, nothing, nothing))
        out.append([(node.first, node.width) for node in nodes])
    return out


def sliced(nodes, size, n, dtype):
    """Gradients [n] of k nodes as an array [size, k, m]: the m numbers that each process adds up; filled with 0."""
    m = -(-n // size)
    out = np.empty((size, len(nodes), m), dtype)
    for number, node in enumerate(nodes):
        for rank in range(size):
            part = node.gradient[rank * m : (rank + 1) * m]
            out[rank, number, : len(part)] = part
            out[rank, number, len(part) :] = 0
    return out


class Collective:
    """How the processes of a training exchange numbers; this one is for a process that is alone.

    Adapters of engines override both methods. All processes call the same methods in the same order.

    Attributes
    ----------
    rank, size : int
        Number of this process, and of all processes.
    """

    rank, size = 0, 1

    def reduce(self, nodes, layout):
        """Gradient and sums over all partitions, in every process.

        Parameters
        ----------
        nodes : list of Node
            Those of this process, which may be overwritten. A process without partitions has none.
        layout : list of list of (int, int)
            (first, width) of the nodes of each process, see `layout`.
        """
        return root(nodes)

    def broadcast(self, value, source=0):
        """The `value` of the process `source`, in every process; any object that can be pickled."""
        return value


def gather(collective, value):
    """The values of all processes."""
    return [collective.broadcast(value, source) for source in range(collective.size)]


class Share:
    """The partitions of one process, and what it learns of those of the others.

    Parameters
    ----------
    collective : Collective
    n_partitions : int
        V, the number of partitions of all processes.
    """

    def __init__(self, collective, n_partitions):
        self.collective, self.n_partitions = collective, n_partitions
        self.layout = layout(n_partitions, collective.size)
        self.mine = share(n_partitions, collective.rank, collective.size)

    def gather(self, values):
        """One value for each partition of this process -> for each partition of all processes, in order."""
        return [value for of_process in gather(self.collective, values) for value in of_process]

    def rows_of_mine(self, rows, sizes):
        """Which series of each partition of this process are among `rows`, the numbers of some of all series.

        sizes: number of series of each partition of all processes.
        """
        firsts = np.cumsum(sizes) - sizes
        return [rows[(rows >= firsts[v]) & (rows < firsts[v] + sizes[v])] - firsts[v] for v in self.mine]

    def total(self, values):
        """Sum of one number or array for each partition, over all processes."""
        first, *others = self.gather(values)
        for value in others:
            first = first + value
        return first


#: All data are one partition of a process that is alone.
ALONE = Share(Collective(), 1)
