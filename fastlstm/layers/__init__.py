"""The recurrence itself, for use without an estimator and for comparison with PyTorch.

A class for every cell of ``kernels.CELLS``, of its name in capitals.
"""

from fastlstm.layers.base import Layer
from fastlstm.layers.streams import StreamState
from fastlstm.layers.tape import Gradients, Tape

__all__ = ["GRU", "LSTM", "RNN", "Gradients", "StreamState", "Tape"]


class LSTM(Layer):
    """LSTM layers.

    Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000), computed as
    ``torch.nn.LSTM(batch_first=True)`` does, with the same names and shapes of weights. Weights start as Glorot
    uniform (input), orthogonal (recurrent) and zero (biases), but for the forget gate's input bias, which is 1.

    Parameters
    ----------
    input_size : int
        Inputs per step, C.
    hidden_size : int or sequence of int
        Hidden units, H: of every layer, or one number for each.
    num_layers : int, default=1
        Layers upon each other, L: the outputs of one are the inputs of the next.
    bidirectional : bool, default=False
        Whether each layer also goes through the sequence from its end, with weights of its own
        (Schuster & Paliwal 1997); its output is that of both directions side by side.
    dropout : float, default=0.0
        Part of a layer's outputs that `record` leaves out on their way to the next layer: in each call and for each
        sequence others, but the same at all steps (Gal & Ghahramani 2016). A call leaves out nothing.
    dtype : {"float32", "float64"}, default="float32"
        Type of weights, inputs and outputs.
    backend : {"auto", "cython", "numba", "numpy"}, default="auto"
        Who computes; "auto" takes FASTLSTM_BACKEND, else the first of these that is installed. The first two give the
        same bits; "cython" starts at once, "numba" compiles for some seconds when it is first used on a machine.
    n_jobs : int or None, default=None
        Threads to use at the most: -1 for all CPUs that this process may use, -2 for all but one and so on; None for
        as many as pay. Never more than there are CPUs; results are the same bits for any number.
    random_state : int, numpy.random.Generator or None, default=None
        Seed of the weights and of dropout.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `hidden_size` has another number of sizes than `num_layers` says, `dropout`
        is not in [0, 1) or there is no layer for it to act on, `dtype` or `backend` is unknown, or `n_jobs` is 0 or no
        integer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.layers import LSTM
    >>> layer = LSTM(input_size=3, hidden_size=8, random_state=0)
    >>> x = np.zeros((2, 5, 3), dtype="float32")
    >>> output, (h_n, c_n) = layer(x)
    >>> output.shape, h_n.shape, c_n.shape
    ((2, 5, 8), (1, 2, 8), (1, 2, 8))
    >>> deep = LSTM(3, hidden_size=(16, 8), num_layers=2, bidirectional=True, random_state=0)
    >>> output, (h_n, c_n) = deep(x)
    >>> output.shape, [h.shape for h in h_n]
    ((2, 5, 16), [(2, 2, 16), (2, 2, 8)])
    """

    _cell = "lstm"


class GRU(Layer):
    """GRU layers.

    Cho et al. (2014), computed as ``torch.nn.GRU(batch_first=True)`` does, with the same names and shapes of weights:
    the reset gate acts on the product with the state, bias included. Weights start as Glorot uniform (input),
    orthogonal (recurrent) and zero (biases).

    Parameters
    ----------
    input_size, hidden_size, num_layers, bidirectional, dropout, dtype, backend, n_jobs, random_state
        As of `LSTM`.

    Raises
    ------
    ValueError
        As of `LSTM`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.layers import GRU
    >>> layer = GRU(input_size=3, hidden_size=8, random_state=0)
    >>> output, (h_n,) = layer(np.zeros((2, 5, 3), dtype="float32"))
    >>> output.shape, h_n.shape
    ((2, 5, 8), (1, 2, 8))
    """

    _cell = "gru"


class RNN(Layer):
    """Vanilla RNN layers: h = tanh(W_x x + W_h h + b).

    Elman (1990), computed as ``torch.nn.RNN(batch_first=True)`` does, with the same names and shapes of weights. It
    shows what the cell state of an LSTM buys. Weights start as Glorot uniform (input), orthogonal (recurrent) and zero
    (biases).

    Parameters
    ----------
    input_size, hidden_size, num_layers, bidirectional, dropout, dtype, backend, n_jobs, random_state
        As of `LSTM`.

    Raises
    ------
    ValueError
        As of `LSTM`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.layers import RNN
    >>> layer = RNN(input_size=3, hidden_size=8, random_state=0)
    >>> output, (h_n,) = layer(np.zeros((2, 5, 3), dtype="float32"))
    >>> output.shape, h_n.shape
    ((2, 5, 8), (1, 2, 8))
    """

    _cell = "rnn"
