"""Recurrent layers, for use without an estimator and for comparison with PyTorch.

There is one class for each cell of ``kernels.CELLS``, named after it in capitals.
"""

from fastlstm.layers.base import Layer
from fastlstm.layers.streams import StreamState
from fastlstm.layers.tape import Gradients, Tape

__all__ = ["CIFG", "GRU", "LSTM", "RNN", "Gradients", "StreamState", "Tape"]


class LSTM(Layer):
    """LSTM layers.

    Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000), computed as
    ``torch.nn.LSTM(batch_first=True)`` does, with the same names and shapes of weights. Input weights are initialised
    Glorot uniform, recurrent weights orthogonal and biases zero, except the forget gate's input bias, which is 1.

    Parameters
    ----------
    input_size : int
        Number of input features per step, C.
    hidden_size : int or sequence of int
        Number of hidden units, H. A sequence gives each layer its own number.
    num_layers : int, default=1
        Number of stacked recurrent layers, L.
    bidirectional : bool, default=False
        Whether each layer also reads the sequence in reverse, with separate weights (Schuster & Paliwal 1997). The
        outputs of both directions are concatenated.
    dropout : float, default=0.0
        Fraction of each layer's outputs to drop before the next layer in `record`. Each call draws a new mask for each
        sequence, shared by all its steps (Gal & Ghahramani 2016). Calling the layer itself applies no dropout.
    dtype : {"float32", "float64"}, default="float32"
        Data type of weights, inputs and outputs.
    backend : {"auto", "cython", "numba", "numpy"}, default="auto"
        Implementation of the kernels. "auto" selects the one named by the environment variable FASTLSTM_BACKEND or,
        if it is not set, the first of "cython", "numba" and "numpy" that is available. "cython" and "numba" give the
        same bits; "numba" compiles for a few seconds the first time it is used on a machine.
    n_jobs : int or None, default=None
        Maximum number of threads. -1 uses all CPUs available to this process, -2 all but one, and so on. If None, use
        as many as are worthwhile, but one in a task of Dask. Results have the same bits for any number of threads.
    random_state : int, numpy.random.Generator or None, default=None
        Seed for the initial weights and dropout.
    precision : {"float32", "bfloat16", "int8"}, default="float32"
        Numbers that are multiplied in the recurrence: with "bfloat16", weights, inputs, states and the gradient of the
        gates' sums are rounded to 8 significant bits for products, which are summed in float32; states, gradients and
        weights stay float32 (mixed precision: Kalamkar et al. 2019, "A Study of BFLOAT16 for Deep Learning Training").
        The bits are the same on every CPU with fused multiply-add; `LSTMClassifier` says where this is faster. With
        "int8", weights, inputs and states are rounded to 8 bits for products, in each row with a scale of its own, and
        `backward` raises an error. Both for dtype="float32"; "int8" for the backends "cython" and "numpy".

    Raises
    ------
    ValueError
        If a size is not a positive integer, `hidden_size` does not have `num_layers` sizes, `dropout` is not in [0, 1)
        or is used with a single layer, `dtype`, `backend` or `precision` is unknown, or `n_jobs` is 0 or not an
        integer, or `precision` is not "float32" with dtype="float64" or a backend that does not have it.

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
    the reset gate is applied after the recurrent product and its bias. Input weights are initialised Glorot uniform,
    recurrent weights orthogonal and biases zero.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bidirectional, dropout, dtype, backend, n_jobs, random_state, precision
        See `LSTM`.

    Raises
    ------
    ValueError
        See `LSTM`.

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

    Elman (1990), computed as ``torch.nn.RNN(batch_first=True)`` does, with the same names and shapes of weights. A
    baseline for the gated cells. Input weights are initialised Glorot uniform, recurrent weights orthogonal and biases
    zero.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bidirectional, dropout, dtype, backend, n_jobs, random_state, precision
        See `LSTM`.

    Raises
    ------
    ValueError
        See `LSTM`.

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


class CIFG(Layer):
    """LSTM layers whose input gate is coupled to the forget gate: i = 1 - f.

    Greff et al. (2017), "LSTM: A Search Space Odyssey". It has three quarters of the LSTM's weights. Weights have the
    names of ``torch.nn.LSTM`` and the order of its gates, without i: f, g, o. They start as those of `LSTM`.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bidirectional, dropout, dtype, backend, n_jobs, random_state, precision
        As of `LSTM`.

    Raises
    ------
    ValueError
        As of `LSTM`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.layers import CIFG
    >>> layer = CIFG(input_size=3, hidden_size=8, random_state=0)
    >>> output, (h_n, c_n) = layer(np.zeros((2, 5, 3), dtype="float32"))
    >>> output.shape, h_n.shape, c_n.shape
    ((2, 5, 8), (1, 2, 8), (1, 2, 8))
    """

    _cell = "cifg"
