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
        slices = sliced(nodes, size)
        k, m, before = len(nodes), slices.shape[2], counts.cumsum() - counts
        got = np.empty((counts.sum(), m), slices.dtype)
        self.comm.Alltoallv([slices, (np.full(size, k * m), np.arange(size) * k * m)], [got, (counts * m, before * m)])
        own = np.array([node.sums for node in nodes])
        sums = np.empty((counts.sum(), own.shape[1]))
        self.comm.Allgatherv(own, [sums, (counts * own.shape[1], before * own.shape[1])])
        places = [place for of_rank in layout for place in of_rank]
        part, total = root([Node(*place, *row) for place, *row in zip(places, got, sums, strict=True)])
        whole = np.empty((size, m), slices.dtype)
        self.comm.Allgather(np.ascontiguousarray(part), whole)
        return whole.reshape(-1)[: nodes[0].gradient.size], total

    def broadcast(self, value, source=0):
        return self.comm.bcast(value, source)
