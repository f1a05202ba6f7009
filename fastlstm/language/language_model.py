"""A language model: the probabilities of the next symbol of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, symbols
from fastlstm.estimators.atomic import AtomicUpdate, snapshot
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.estimator import Estimator
from fastlstm.estimators.parameters import OF_RUNS, NetworkParameters, Parameters, RealNumbers, documented
from fastlstm.estimators.validation import validates_parameters
from fastlstm.language.parameters import SHARED, LanguageParameters
from fastlstm.language.pieces import Codes, cut, inputs_and_targets, weights_of
from fastlstm.layers.checks import is_count

if TYPE_CHECKING:
    from typing import Any, Self

    from numpy.typing import NDArray

MAX_SEED = np.iinfo(np.int32).max
BLOCK_SCORES = 1 << 22  # scores that are computed at a time
#: Parameters of the classifier inside.
OF_CLASSIFIER = (
    *(name for name in SHARED if name not in ("max_vocabulary", "min_count")),
    "bptt_steps",
    "embedding_size",
)


@documented
@dataclass(repr=False, eq=False)
class LSTMLanguageModel(LanguageParameters, Estimator):
    """Language model: predicts the next symbol of a sequence, and writes sequences.

    Symbols are characters, words, notes or any others that repeat. A recurrent network reads a sequence symbol by
    symbol, and after each predicts the probabilities of the next one, or of the sequence's end.

    Parameters
    ----------
    embedding_size : int or "onehot", default=32
        Size of the vector that each symbol becomes, which is learned; or "onehot", one channel for each symbol.
    max_vocabulary : int or None, default=None
        Maximum number of symbols; the most frequent ones are kept. Others are unknown.
    min_count : int, default=1
        Number of times that a symbol must occur in X to be in the vocabulary.
    symbol_dropout : float, default=0.01
        Fraction of the symbols that are replaced by the unknown one during training, so that its vector is learned.
    bptt_steps : int or None, default=100
        Number of steps of truncated backpropagation through time: sequences are read in chunks of this many steps, with
        one update each, and states are carried from chunk to chunk. Few long sequences are cut into pieces of several
        chunks, which are read at once. If None, gradients propagate through whole sequences.
    tol, n_iter_no_change, early_stopping, validation_fraction, checkpoint_path, checkpoint_every, resume
        See `LSTMClassifier`; what is held out are whole sequences, or pieces of them.

    Attributes
    ----------
    vocabulary_ : ndarray of shape (V,)
        The symbols, sorted.
    classifier_ : LSTMClassifier
        The fitted network, a classifier of sequences of codes: the positions in the vocabulary, and then that of the
        end as a target, and those of unknown symbols and of the start as inputs.
    settings_ : dict of str
        Values used for the parameters that can be "auto".
    n_iter_ : int
        Number of epochs trained.
    loss_curve_ : list of float
        Training loss of each epoch, the mean negative logarithm of the probability of a symbol.

    Notes
    -----
    Below, n is the number of sequences, or pieces of them, and T their length. Strings are compared by code point,
    after Unicode normalisation (NFC).

    See Also
    --------
    fastlstm.LSTMClassifier : Labels for sequences of symbols, or for each symbol.

    Examples
    --------
    >>> from fastlstm.language import LSTMLanguageModel
    >>> names = ["anna", "hannah", "ana", "hana"] * 20
    >>> model = LSTMLanguageModel(16, max_iter=60, random_state=0).fit(names)
    >>> dict(zip(model.vocabulary_.tolist(), model.predict_proba(["ha"])[0].round(1).tolist()))
    {'a': 0.0, 'h': 0.0, 'n': 1.0}
    >>> model.sample(3, random_state=0)
    ['anna', 'ana', 'hannah']
    """

    # by position, too
    hidden_size: int | Sequence[int] = 64
    num_layers: int = 1
    _: KW_ONLY
    embedding_size: int | Literal["onehot"] = 32
    bptt_steps: int | None = 100

    _parameter_constraints = {
        **LanguageParameters._parameter_constraints,
        "bptt_steps": Parameters._parameter_constraints["bptt_steps"],
    }

    @validates_parameters
    def fit(self, X: Any, y: None = None) -> Self:
        """Fit the model to sequences.

        If an error is raised, the model remains unchanged; after a KeyboardInterrupt, it has the complete epochs.

        Parameters
        ----------
        X : list of n sequences, or another form of sequences of symbols
            Strings, which are read character by character, or lists or arrays of str or int; see `embedding_size` of
            `LSTMClassifier`. A single text is a list of one string.
        y : None
            Ignored.

        Returns
        -------
        self : LSTMLanguageModel
            The fitted model.

        Raises
        ------
        ValueError
            If a parameter or X is invalid.
        FloatingPointError
            If training diverges: the loss or its gradient is not finite.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> LSTMLanguageModel(8, max_iter=2).fit(["abab", "ab"]).vocabulary_.tolist()
        ['a', 'b']
        """
        self._check_parameters()
        update = AtomicUpdate(self)
        try:
            update.copy._fit(X)
        except KeyboardInterrupt:  # the classifier has kept its complete epochs, if any
            if hasattr(update.copy.__dict__.get("classifier_"), "n_iter_"):
                update.copy._describe()
                update.commit()
            raise
        update.commit()
        return self

    def _check_parameters(self):
        if self.bidirectional:
            raise ValueError(
                "bidirectional=True: a language model reads what comes before a symbol only; set it to False."
            )

    def _fit(self, X):
        series, schema = symbols.learn(X, "X", "int64", self.max_vocabulary, self.min_count)
        self._begin(schema)
        self.classifier_.fit(*self._examples(self._sequences(series), series.steps + len(series)))
        self._describe()

    def _begin(self, schema):
        """Set what follows from the vocabulary, and a classifier to fit."""
        symbols.check_plain(schema.names, "X")
        self._schema, self.vocabulary_ = schema, schema.vocabularies[0].symbols
        self._codes, self.n_features_in_ = Codes.of(self.vocabulary_), 1
        of_network = {field.name: getattr(self, field.name) for field in fields(NetworkParameters)}
        others = {name: getattr(self, name) for name in OF_CLASSIFIER}
        self.classifier_ = LSTMClassifier(**of_network, **others, return_sequences=True, standardize=False)

    def _examples(self, sequences, total):
        """Inputs, targets and weights for the classifier; `total`: the number of steps of all data's inputs."""
        pairs = [inputs_and_targets(sequence, self._codes) for sequence in sequences]
        weights = [weights_of(sequence, self._codes) for sequence in sequences]
        inputs, targets, weights = (
            cut(arrays, self.bptt_steps, total) for arrays in (*map(list, zip(*pairs, strict=True)), weights)
        )
        targets = [np.where(of > 0, target, self._codes.end) for target, of in zip(targets, weights, strict=True)]
        return inputs, targets, weights

    def _describe(self):
        """Set the attributes that describe the training."""
        self.settings_, self.n_iter_ = self.classifier_.settings_, self.classifier_.n_iter_
        self.loss_curve_ = self.classifier_.loss_curve_

    def _sequences(self, series):
        """Codes [T_i] of each sequence."""
        return [array[:, 0] for array in series.members(series.table(copy=False))]

    def _fitted(self):
        check_is_fitted(self, "classifier_")
        return snapshot(self)

    def _network(self):
        """Snapshot of the fitted classifier, which runs as the parameters of this model say."""
        network = snapshot(self.classifier_).set_params(**{name: getattr(self, name) for name in OF_RUNS})
        return network._fitted()

    def _read(self, X):
        return self._sequences(symbols.read(X, "X", self._schema, "int64"))

    def predict_proba(self, X: Any) -> NDArray[np.floating[Any]]:
        """Probabilities of the symbol that follows each sequence.

        Parameters
        ----------
        X : like X of `fit`
            n sequences.

        Returns
        -------
        ndarray of shape (n, V + 1)
            Probabilities of the symbols of the vocabulary and, last, of the sequence's end.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> model = LSTMLanguageModel(8, max_iter=2).fit(["abab", "ab"])
        >>> model.predict_proba(["a", "aba"]).shape
        (2, 3)
        """
        fitted = self._fitted()
        inputs = [np.concatenate([[fitted._codes.start], sequence]) for sequence in fitted._read(X)]
        network = fitted._network()
        model = replace(network._model, per_step=False)
        scores = model.scores(network._check_series(inputs), network._kernels_for(model.dtype), network.n_jobs)
        return model.output.predict_proba(scores)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable symbol that follows each sequence, the end aside.

        Parameters
        ----------
        X : like X of `fit`
            n sequences.

        Returns
        -------
        ndarray of shape (n,)
            Symbols.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> model = LSTMLanguageModel(8, max_iter=40, random_state=0).fit(["ababab"] * 10)
        >>> model.predict(["a", "ab"]).tolist()
        ['b', 'a']
        """
        fitted = self._fitted()
        return fitted.vocabulary_[fitted.predict_proba(X)[:, :-1].argmax(axis=1)]

    def bits_per_symbol(self, X: Any) -> float:
        """Mean number of bits that the model needs for a symbol: the negative binary logarithm of its probability.

        The end of each sequence counts as a symbol. Unknown symbols do not count, as they have no probability: bits of
        models with different vocabularies cannot be compared.

        Parameters
        ----------
        X : like X of `fit`
            Sequences.

        Returns
        -------
        float
            Bits per symbol; less is better. Guessing among K equally probable symbols takes log2(K) bits.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> model = LSTMLanguageModel(8, random_state=0).fit(["ababab"] * 10)
        >>> model.bits_per_symbol(["ababab"]) < 0.1 < model.bits_per_symbol(["bbbbbb"])
        True
        """
        fitted = self._fitted()
        sequences = fitted._read(X)
        pairs = [inputs_and_targets(sequence, fitted._codes) for sequence in sequences]
        targets = np.concatenate([targets for _, targets in pairs])
        weights = np.concatenate([weights_of(sequence, fitted._codes) for sequence in sequences])
        network = fitted._network()
        _, states = network._states([inputs for inputs, _ in pairs], per_step=True)
        model, total = network._model, 0.0
        size = max(1, BLOCK_SCORES // len(model.weights["head.bias"]))  # the scores of all steps would fill the memory
        for first in range(0, len(targets), size):
            rows = slice(first, first + size)
            scores = states[rows] @ model.weights["head.weight"].T + model.weights["head.bias"]
            logarithms = np.take_along_axis(model.output.predict_log_proba(scores), targets[rows, None], axis=1)[:, 0]
            total -= float((logarithms.astype(float) * weights[rows]).sum())
        return float(total / weights.sum() / np.log(2))

    def score(self, X: Any, y: None = None) -> float:
        """Minus `bits_per_symbol`, so that greater is better.

        Parameters
        ----------
        X : like X of `fit`
            Sequences.
        y : None
            Ignored.

        Returns
        -------
        float
            Minus the bits per symbol.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> model = LSTMLanguageModel(8, max_iter=2, random_state=0).fit(["abab", "ab"])
        >>> model.score(["ab"]) == -model.bits_per_symbol(["ab"])
        True
        """
        return -self.bits_per_symbol(X)

    def sample(
        self,
        n: int = 1,
        *,
        prompt: Any = None,
        max_length: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Any:
        """Write sequences, symbol by symbol, each drawn by its probability.

        Parameters
        ----------
        n : int, default=1
            Number of sequences.
        prompt : sequence of symbols or None, default=None
            What all sequences begin with, for example a string.
        max_length : int, default=100
            Maximum number of symbols, those of the prompt included; sequences end earlier where the model ends them.
        temperature : float, default=1.0
            Divides the logarithms of the probabilities: below 1, probable symbols become more probable still.
        top_k : int or None, default=None
            If set, draw from this many most probable symbols only.
        random_state : int, RandomState or None, default=None
            Pass an int for the same sequences in each call; the first ones do not depend on n.

        Returns
        -------
        list or object array of n sequences
            In the form of the sequences that were fitted: strings, lists of str, or arrays of int.

        Raises
        ------
        ValueError
            If an argument is invalid.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> model = LSTMLanguageModel(8, random_state=0).fit(["ababab"] * 10)
        >>> model.sample(prompt="aba", random_state=0)
        ['ababab']
        """
        fitted = self._fitted()
        for name, value, is_valid, expected in (
            ("n", n, is_count(n), "a number of sequences, 1 or more"),
            ("max_length", max_length, is_count(max_length), "a number of symbols, 1 or more"),
            ("temperature", temperature, RealNumbers(0, None, "neither").is_satisfied_by(temperature), "above 0"),
            ("top_k", top_k, top_k is None or is_count(top_k), "None, or a number of symbols, 1 or more"),
        ):
            if not is_valid:
                raise ValueError(f"{name}={containers.brief(value)}: expected {expected}.")
        start = np.empty(0, np.int64)
        if prompt is not None:
            (start,) = fitted._sequences(symbols.read([prompt], "prompt", fitted._schema, "int64"))
        if len(start) > max_length:
            raise ValueError(f"prompt has {len(start)} symbols, more than max_length={max_length}: pass a larger one.")
        seed = int(check_random_state(random_state).randint(MAX_SEED))
        drawn = np.stack([np.random.default_rng([seed, k]).random(max_length) for k in range(n)], axis=1)
        written = fitted._write(start, drawn, temperature, top_k)
        return fitted._schema.decode(written, unknown=fitted._unknown())

    def _write(self, start, drawn, temperature, top_k):
        """n sequences of codes that begin with `start`, from uniform random numbers [max_length, n]."""
        max_length, n = drawn.shape
        stream = SymbolStream(self, n)
        for code in start:
            stream._advance(np.full(n, code))
        written, ended = [np.full(n, code) for code in start], np.zeros(n, bool)
        lengths = np.full(n, max_length)
        for step in range(len(start), max_length):
            with np.errstate(divide="ignore", over="ignore"):  # those of probabilities that are hardly more than 0
                weights = np.log(stream.probabilities.astype(float))
                weights = np.exp((weights - weights.max(axis=1, keepdims=True)) / temperature)
            if top_k is not None:
                others = np.argsort(-weights, axis=1, kind="stable")[:, top_k:]
                np.put_along_axis(weights, others, 0, axis=1)
            weights = weights.cumsum(axis=1)
            # the first code whose cumulated weight exceeds the random number
            codes = (weights <= drawn[step, :, None] * weights[:, -1:]).sum(axis=1)
            lengths[~ended & (codes == self._codes.end)] = step
            ended |= codes == self._codes.end
            if ended.all():
                break
            written.append(np.where(ended, 0, codes))
            stream._advance(written[-1])
        rows = np.stack(written, axis=1) if written else np.empty((n, 0), np.int64)
        return [row[:length] for row, length in zip(rows, lengths, strict=True)]

    def _unknown(self):
        """What stands for unknown symbols of a prompt."""
        return "\N{REPLACEMENT CHARACTER}" if self.vocabulary_.dtype.kind == "U" else -1

    def stream(self, n_streams: int = 1) -> SymbolStream:
        """Create a stream, which predicts the next symbol of one or more sequences as they come.

        Parameters
        ----------
        n_streams : int, default=1
            Number of sequences at once.

        Returns
        -------
        SymbolStream
            Object with a method ``step(symbols)`` and the attribute `probabilities`.

        Raises
        ------
        ValueError
            If `n_streams` is invalid.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> model = LSTMLanguageModel(8, max_iter=2).fit(["abab", "ab"])
        >>> stream = model.stream()
        >>> bool((stream.step("a") == model.predict_proba(["a"])).all())
        True
        """
        return SymbolStream(self._fitted(), n_streams)


class SymbolStream:
    """Probabilities of the next symbols of one or more sequences; created by `LSTMLanguageModel.stream`.

    Attributes
    ----------
    probabilities : ndarray of shape (n_streams, V + 1)
        Those of the next symbol of each sequence, and of its end; at first, of the first symbol.

    Examples
    --------
    >>> from fastlstm.language import LSTMLanguageModel
    >>> stream = LSTMLanguageModel(8, max_iter=2).fit(["abab", "ab"]).stream(2)
    >>> stream.probabilities.shape, stream.step(["a", "b"]).shape
    ((2, 3), (2, 3))
    """

    def __init__(self, model: LSTMLanguageModel, n_streams: int = 1) -> None:
        self._model, self.n_streams = model, n_streams
        self._stream = model._network().stream(n_streams, "predict_proba")
        self.reset()

    def reset(self) -> None:
        """Start all sequences anew.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> stream = LSTMLanguageModel(8, max_iter=2).fit(["abab", "ab"]).stream()
        >>> first = stream.probabilities
        >>> after_a = stream.step("a")
        >>> stream.reset()
        >>> bool((stream.probabilities == first).all())
        True
        """
        self._stream.reset()
        self._advance(np.full(self.n_streams, self._model._codes.start))

    def step(self, symbols_t: Any) -> NDArray[np.floating[Any]]:
        """Read the next symbol of each sequence.

        Parameters
        ----------
        symbols_t : list of n_streams symbols
            The symbols; for a single sequence also the symbol alone.

        Returns
        -------
        ndarray of shape (n_streams, V + 1)
            The new `probabilities`, with the same bits as `LSTMLanguageModel.predict_proba`.

        Raises
        ------
        ValueError
            If there is another number of symbols, or they are of another kind than those that were fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMLanguageModel
        >>> stream = LSTMLanguageModel(8, max_iter=2).fit([[1, 2, 1], [2]]).stream()
        >>> stream.step(2).shape
        (1, 3)
        """
        codes = symbols.read_step(symbols_t, "symbols_t", self._model._schema, "int64", self.n_streams)[:, 0]
        return self._advance(codes)

    def _advance(self, codes):
        self.probabilities = self._stream.step(codes)
        return self.probabilities
