"""Threads of one process as an engine: no more data or machines, but the same bits as with any other engine."""

import threading
from contextlib import suppress

import numpy as np

from fastlstm.training.collective import Collective, Node, root


class Board:
    """What the threads of one training share."""

    def __init__(self, size):
        self.barrier, self.slots, self.whole = threading.Barrier(size), [None] * size, None


class Threads(Collective):
    """The collective of one of several threads."""

    def __init__(self, board, rank):
        self.rank, self.size, self._board = rank, len(board.slots), board

    def _exchange(self, value):
        """What all threads pass; they must wait once more before the next exchange."""
        self._board.slots[self.rank] = value
        self._board.barrier.wait()
        return self._board.slots

    def reduce(self, nodes, layout):
        board = self._board
        every = [node for of_rank in self._exchange(nodes) for node in of_rank]
        n, dtype = every[0].gradient.size, every[0].gradient.dtype
        if self.rank == 0:
            board.whole = np.empty(n, dtype)
        board.barrier.wait()
        mine = slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)
        part, sums = root([Node(*node[:2], node.gradient[mine].copy(), node.sums.copy()) for node in every])
        board.whole[mine] = part
        board.barrier.wait()
        whole = board.whole
        board.barrier.wait()
        return whole, sums

    def broadcast(self, value, source=0):
        value = self._exchange(value)[source]
        self._board.barrier.wait()
        return value


def in_threads(size, function):
    """Results of ``function(collective)`` in `size` threads, the first of them the caller's; or their first error."""
    board, results, errors = Board(size), [None] * size, []

    def run(rank):
        try:
            results[rank] = function(Threads(board, rank))
        except threading.BrokenBarrierError:  # another thread has failed
            pass
        except BaseException as error:
            errors.append(error)
            board.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(1, size)]
    try:
        for thread in threads:
            thread.start()
        run(0)
    finally:
        board.barrier.abort()
        for thread in threads:
            with suppress(RuntimeError):  # if it could not be started
                thread.join()
    if errors:
        raise errors[0]
    return results
