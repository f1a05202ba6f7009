"""Series that do not fit into memory: the forms in which they are accepted, and the interface for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray


class SeriesSource(Protocol):
    """Interface of an object that reads series from wherever they are stored.

    `LSTMClassifier`, `LSTMRegressor`, `SequenceEncoder` and `SequenceScaler` accept as X any object with these two
    methods; it need not inherit from this class. They also read the following from storage, without such an object:

    - ``numpy.memmap``, h5py datasets and Zarr arrays of shape (n, T, C) or (n, T), and lists of these, of shape
      (T_i, C) or (T_i,);
    - ``pyarrow.Table``, for example of a memory-mapped file, and ``pyarrow.dataset.Dataset``, for example of Parquet
      files. Its columns are the steps of univariate series or, if it has a single column of lists, each list is a
      series: of numbers, or of steps that are lists of one number per channel.

    A fit reads all series once to check them, twice to standardise them, and then in every epoch, in which it reads the
    next minibatch while it computes on the last. Values are converted, standardised and filled minibatch by minibatch,
    so that no more than a few minibatches, or some 10 MB, are in memory at a time. The result has the same bits as with
    the data in memory. Predictions are computed in blocks of series.

    Targets and sample weights are read into memory, also with ``return_sequences=True``; they may be h5py datasets or
    Zarr arrays. The results of methods that return a value for each step must fit into memory.

    Notes
    -----
    Shuffling means that a minibatch consists of series from anywhere in the file. Store h5py datasets and Zarr arrays
    in chunks of few series, since a chunk is read as a whole. Files that cannot be read at random at all, those of a
    ``pyarrow.dataset.Dataset``, are first converted to a temporary file of float32 or float64 numbers, in the directory
    of ``tempfile.gettempdir()``, which is deleted at the end of the call. Of Parquet files, one row group at a time is
    in memory.

    With `bptt_steps`, only the steps of a chunk are read of arrays. An object with these two methods reads whole
    series, so that a minibatch of whole series should fit into memory.

    Symbols (`embedding_size`) are not read from storage.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> class Waves:  # computed when they are read
    ...     def lengths(self):
    ...         return np.full(40, 25)
    ...     def read(self, rows):
    ...         return [np.sin(row + np.arange(25) / 5) for row in rows]
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(Waves(), np.sin(np.arange(40) + 5))
    >>> model.predict(Waves()).shape
    (40,)
    """

    def lengths(self) -> ArrayLike:
        """Number of steps of each series.

        Returns
        -------
        array of int of shape (n,)
        """
        ...

    def read(self, rows: NDArray[Any]) -> Sequence[NDArray[Any]] | NDArray[Any]:
        """Read series. May be called in another thread than that of the fit, but not by two threads at a time.

        Parameters
        ----------
        rows : ndarray of int
            Indices of the series, in any order.

        Returns
        -------
        list of arrays of shape (T_i, C) or (T_i,), or array of shape (len(rows), T, C) or (len(rows), T)
            The series in the order of `rows`: float32 throughout, or any other type of real numbers, which is then
            treated as float64.
        """
        ...
