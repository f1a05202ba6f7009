"""The collective through MPI."""

import numpy as np
from mpi4py import MPI

from fastlstm.training.collective import Collective, Node, root, sliced


def world():
    """The communicator of all processes."""
    return MPI.COMM_WORLD


class MpiCollective(Collective):
    """Every process adds up a slice of the gradient, and all get it: the traffic of a ring allreduce.

    comm : mpi4py.MPI.Comm
    """

    def __init__(self, comm):
        self.comm, self.rank, self.size = comm, comm.rank, comm.size

    def reduce(self, nodes, layout):
        size, counts = self.size, np.array([len(of_rank) for of_rank in layout])
        n, dtype, n_sums = self._sizes(nodes, layout)
        slices = sliced(nodes, size, n, dtype)
        k, m, before = len(nodes), slices.shape[2], counts.cumsum() - counts
        got = np.empty((counts.sum(), m), dtype)
        self.comm.Alltoallv([slices, (np.full(size, k * m), np.arange(size) * k * m)], [got, (counts * m, before * m)])
        own = np.array([node.sums for node in nodes]).reshape(k, n_sums)
        sums = np.empty((counts.sum(), n_sums))
        self.comm.Allgatherv(own, [sums, (counts * n_sums, before * n_sums)])
        places = [place for of_rank in layout for place in of_rank]
        part, total = root([Node(*place, *row) for place, *row in zip(places, got, sums, strict=True)])
        whole = np.empty((size, m), dtype)
        self.comm.Allgather(np.ascontiguousarray(part), whole)
        return whole.reshape(-1)[:n], total

    def _sizes(self, nodes, layout):
        """Length and type of the gradient, and number of sums; a process without partitions must be told."""
        of_nodes = (nodes[0].gradient.size, nodes[0].gradient.dtype, nodes[0].sums.size) if nodes else None
        if all(layout):
            return of_nodes
        return self.broadcast(of_nodes, next(rank for rank, of_rank in enumerate(layout) if of_rank))

    def broadcast(self, value, source=0):
        return self.comm.bcast(value, source)
