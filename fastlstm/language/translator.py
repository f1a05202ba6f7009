"""A translator: sequences of symbols to sequences of other symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.utils._param_validation import StrOptions, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, symbols
from fastlstm.estimators import fitting
from fastlstm.estimators.atomic import snapshot
from fastlstm.estimators.callbacks import CallbackSupportMixin
from fastlstm.estimators.estimator import Estimator
from fastlstm.estimators.inputs import check_weights
from fastlstm.estimators.metadata import MetadataRequestMixin
from fastlstm.estimators.parameters import OF_RUNS, Integers, RealNumbers, documented
from fastlstm.estimators.validation import validates_parameters
from fastlstm.language import translator_fitting
from fastlstm.language.parameters import LanguageParameters
from fastlstm.layers.checks import check_state_dict, is_count, named
from fastlstm.translation.decoding import Search, translate
from fastlstm.translation.model import ATTENTION
from fastlstm.translation.network import TranslationNetwork
from fastlstm.user_warnings import warn

if TYPE_CHECKING:
    from typing import Any, Self

    from numpy.typing import ArrayLike, NDArray

    from fastlstm.estimators.summary import Summary

MANY_UNKNOWN = 0.5  # part of the symbols
#: Parameters that apply to predictions of a fitted translator.
OF_PREDICTION = ("beam_width", "length_penalty", *OF_RUNS)


@documented
@dataclass(repr=False, eq=False)
class LSTMTranslator(MetadataRequestMixin, LanguageParameters, CallbackSupportMixin, Estimator):
    """Translator: turns sequences of symbols into sequences of other symbols, of other lengths.

    An encoder reads the source; its last states are the first ones of a decoder, which writes the target symbol by
    symbol [1]_, [2]_. With attention, the decoder also looks back at all steps of the source before it writes a symbol
    [3]_, [4]_.

    Parameters
    ----------
    bidirectional : bool, default=True
        Whether each layer of the encoder also reads the source in reverse. The decoder then starts from a learned
        linear function of the states of both directions.
    attention : {"dot", "additive"} or None, default="dot"
        How the decoder's output s is compared with the encoder's outputs m: by the product s . m, with a learned matrix
        between them if the sizes differ [3]_; or by v . tanh(Q s + K m) [4]_. If None, the decoder knows of the source
        only its first states.
    embedding_size : int or "onehot", default=64
        Size of the vector that each symbol becomes, which is learned; or "onehot", one channel for each symbol.
    beam_width : int, default=1
        Number of translations that are pursued at the same time in `predict` (beam search). If 1, the most probable
        symbol is taken at each step.
    length_penalty : float, default=0.6
        With a beam, translations of T symbols are compared by their log-probability divided by ((6 + T) / 6) to this
        power [5]_, equation 14, as short ones would always win otherwise. Like `beam_width`, it can be changed after
        `fit`.
    max_length : int or None, default=None
        Maximum number of symbols of a translation, which ends there; a longer y is an error in `fit`. If None, twice
        that of the longest y of `fit`.
    teacher_forcing : float, default=1.0
        Fraction of the symbols that the decoder reads from y during training. In place of the others it reads what it
        would predict itself when it reads y, so that it learns to go on after errors [6]_.
    max_vocabulary : int or None, default=None
        Maximum number of symbols of X, and of y; the most frequent ones are kept. Others are unknown.
    min_count : int, default=1
        Number of times that a symbol must occur in X, or in y, to be in the vocabulary.
    symbol_dropout : float, default=0.01
        Fraction of the symbols that encoder and decoder read as unknown ones during training.
    tol, n_iter_no_change, early_stopping, validation_fraction, checkpoint_path, checkpoint_every, resume
        See `LSTMClassifier`. The validation score is minus the validation loss, as the part of the symbols that are
        right no longer tells good weights from better ones.

    Attributes
    ----------
    source_vocabulary_, target_vocabulary_ : ndarray of shape (V,)
        The symbols of X and of y, sorted.
    weights_ : dict of str to ndarray
        Weights of ``encoder.`` and ``decoder.``, with PyTorch's names and shapes; of the ``bridge.`` between their
        states, the ``attention.``, the layer ``combine.`` after it, and the ``head.``.
    max_length_ : int
        Maximum number of symbols of a translation.
    n_features_in_ : int
        1, as each step of a source is one symbol.
    settings_ : dict of str
        Values used for the parameters that can be "auto".
    n_iter_ : int
        Number of epochs trained.
    loss_, loss_curve_ : float, list of float
        Training loss after the last and after each epoch, the mean negative logarithm of the probability of a symbol.
    validation_scores_, validation_loss_curve_, best_validation_score_ : list of float, list of float, float, or None
        Of each epoch, and the best one; None without validation data.
    grad_norm_curve_, learning_rate_curve_, best_loss_, t_
        See `LSTMClassifier`.

    Notes
    -----
    Strings are compared by code point, after Unicode normalisation (NFC). Symbols that are not in the vocabulary of X
    are read as unknown ones. Those that are not in that of y cannot be written: a y with such symbols counts as wrong
    in `score`, and in `fit` they have no weight.

    Of the parameters set to "auto", these differ from what is said below: `learning_rate_init` is 0.005 with the
    "cosine" schedule and more than 32 pairs, `init` is "standard", and there are twice as many updates, and up to
    100 + T epochs.

    Training reads both sides packed, without padding, and all steps of a target at once. Results have the same bits
    whatever else is translated in the same call.

    References
    ----------
    .. [1] Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine
       translation".
    .. [2] Sutskever, Vinyals & Le (2014), "Sequence to sequence learning with neural networks".
    .. [3] Luong, Pham & Manning (2015), "Effective approaches to attention-based neural machine translation".
    .. [4] Bahdanau, Cho & Bengio (2015), "Neural machine translation by jointly learning to align and translate".
    .. [5] Wu et al. (2016), "Google's neural machine translation system".
    .. [6] Duckworth et al. (2019), "Parallel scheduled sampling".

    See Also
    --------
    fastlstm.LSTMClassifier : With ``return_sequences=True``, one label for each symbol of a sequence.
    fastlstm.inspection.AttentionDisplay : Picture of where the decoder looks.

    Examples
    --------
    >>> from fastlstm.language import LSTMTranslator
    >>> english = ["one", "two", "three", "four"] * 5
    >>> german = ["eins", "zwei", "drei", "vier"] * 5
    >>> translator = LSTMTranslator(16, random_state=0).fit(english, german)
    >>> translator.predict(["three", "one"])
    ['drei', 'eins']
    >>> translator.score(english, german)
    1.0
    """

    # by position, too
    hidden_size: int | Sequence[int] = 64
    num_layers: int = 1
    _: KW_ONLY
    bidirectional: bool = True
    attention: Literal["dot", "additive"] | None = "dot"
    beam_width: int = 1
    length_penalty: float = 0.6
    max_length: int | None = None
    teacher_forcing: float = 1.0

    _parameter_constraints = {
        **LanguageParameters._parameter_constraints,
        "attention": [None, StrOptions(set(ATTENTION))],
        "beam_width": [Integers(1)],
        "length_penalty": [RealNumbers(0, None, "left")],
        "max_length": [None, Integers(1)],
        "teacher_forcing": [RealNumbers(0, 1, "both")],
    }

    _standardised, _reads_symbols = False, True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @validates_parameters
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the translator to pairs of sequences.

        If an error is raised, the translator remains unchanged; after a KeyboardInterrupt, it has the complete epochs.

        Parameters
        ----------
        X : list of n sequences, or another form of sequences of symbols
            The sources: strings, which are read character by character, or lists or arrays of str or int; see
            `embedding_size` of `LSTMClassifier`. None may be empty.
        y : list of n sequences, or another form of sequences of symbols
            The targets, which may be of another kind than X, and empty.
        sample_weight : array of shape (n,) or None, default=None
            Weights of the pairs. If None, all are 1.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
            Validation data, evaluated after each epoch. If None and ``early_stopping=True``, a fraction of the training
            data, `validation_fraction`, is held out.

        Returns
        -------
        self : LSTMTranslator
            The fitted translator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an input is invalid.
        FloatingPointError
            If training diverges: the loss or its gradient is not finite.
        OSError
            If a checkpoint cannot be written. The previous checkpoint remains valid.

        Examples
        --------
        >>> from fastlstm.language import LSTMTranslator
        >>> translator = LSTMTranslator(8, max_iter=2).fit([["good", "night"]], [["gute", "Nacht"]])
        >>> translator.target_vocabulary_.tolist()
        ['Nacht', 'gute']
        """

        def prepared(copy):
            return translator_fitting.prepare_pairs(copy, X, y, sample_weight, (X_val, y_val, sample_weight_val))

        return fitting.train(self, (X, y, sample_weight), prepared)

    # -- the fitted model -------------------------------------------------------------------------------

    @property
    def weights_(self):
        return self._fitted_attribute("weights_", "_model").weights

    def load_state_dict(self, mapping: Mapping[str, ArrayLike]) -> None:
        """Load weights from a mapping such as `weights_`.

        Parameters
        ----------
        mapping : mapping of str to array or tensor
            One entry for each name in `weights_`, of the same shape. All names may have one prefix.

        Raises
        ------
        ValueError, TypeError
            See `LSTMClassifier.load_state_dict`. The translator is left unchanged.
        sklearn.exceptions.NotFittedError
            If the translator is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMTranslator
        >>> X, y = ["ab", "ba"], ["x", "yx"]
        >>> one, other = (LSTMTranslator(8, max_iter=2, random_state=seed).fit(X, y) for seed in (0, 1))
        >>> other.load_state_dict(one.weights_)
        >>> one.predict(["ab"]) == other.predict(["ab"])
        True
        """
        model = self._fitted()._model
        self._model = replace(model, weights=check_state_dict(mapping, model.shapes, model.dtype))

    @property
    def source_vocabulary_(self):
        return self._fitted_attribute("source_vocabulary_", "_source_schema").vocabularies[0].symbols

    @property
    def target_vocabulary_(self):
        return self._fitted_attribute("target_vocabulary_", "_target_schema").vocabularies[0].symbols

    def _fitted_attribute(self, name, holder):
        try:
            return vars(self)[holder]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: call fit first.") from None

    def __sklearn_is_fitted__(self):
        return "n_iter_" in vars(self)

    def _fitted(self):
        """Snapshot of the fitted translator, whose parameters for prediction are valid."""
        check_is_fitted(self)
        fitted = snapshot(self)
        constraints = {name: self._parameter_constraints[name] for name in OF_PREDICTION}
        given = {name: getattr(fitted, name) for name in OF_PREDICTION}
        validate_parameter_constraints(constraints, given, caller_name=type(self).__name__)
        return fitted

    def summary(self) -> Summary:
        """Table of the layers: shapes, number and size of the parameters, and multiplications per step.

        Returns
        -------
        Summary
            Object whose `str` is the table, with the attributes `layers` and `total`. Sources have S steps, targets T.
            Multiplications are those of the matrix products with weights, at each step of a source or target.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the translator is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMTranslator
        >>> translator = LSTMTranslator(8, embedding_size=4, max_iter=2).fit(["ab", "ba"], ["x", "yx"])
        >>> print(translator.summary())
        LSTMTranslator
        -----------------------------------------------------------------------------------------
        layer                           output shape  parameters  bytes  multiplications per step
        -----------------------------------------------------------------------------------------
        encoder, embedding              (S, 4)                12     48                         0
        encoder, lstm 1, bidirectional  (S, 16)              896  3,584                       768
        bridge                          (16,)                272  1,088      0 (+ 256 at the end)
        decoder, embedding              (T, 4)                16     64                         0
        decoder, lstm 1                 (T, 8)               448  1,792                       384
        dot attention                   (T, S)               128    512                         0
        linear, tanh                    (T, 8)               200    800                       192
        linear                          (T, 3)                27    108                        24
        -----------------------------------------------------------------------------------------
        total                                              1,999  7,996  1,368 (+ 256 at the end)
        """
        return translator_fitting.summarize(self._fitted()._model, type(self).__name__)

    # -- prediction -------------------------------------------------------------------------------------

    def _read(self, X, y=None):
        """Sources and, if there are any, as many targets."""
        dtype = self._model.dtype
        sources, targets = symbols.read(X, "X", self._source_schema, dtype), None
        unknown = float(np.mean(sources.table(copy=False) == len(self.source_vocabulary_)))
        if unknown > MANY_UNKNOWN:
            warn(
                f"{unknown:.0%} of the symbols of X are unknown, as they were not in X of fit: check that these are "
                "sources of the same kind.",
                UserWarning,
            )
        if y is not None:
            targets = symbols.read(y, "y", self._target_schema, dtype, allow_empty=True)
            translator_fitting.check_same_number(sources, targets, "X", "y")
        return sources, targets

    def _translations(self, sources, n_best=1):
        """Hypotheses of each source."""
        search = Search(max(self.beam_width, n_best), n_best, self.max_length_, self.length_penalty)
        return translate(self._model, sources, search, self._kernels_for(self._model.dtype), self.n_jobs)

    def predict(self, X: Any) -> Any:
        """Translate sources.

        Parameters
        ----------
        X : like X of `fit`
            n sources. Unknown symbols are read as such.

        Returns
        -------
        list or object array of n sequences
            The translations in the form of y of `fit`: strings, lists of str, or arrays of int; a list if y was one.

        Raises
        ------
        ValueError, TypeError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the translator is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMTranslator
        >>> pairs = [[1, 2, 3], [4, 5]] * 5, ["abc", "de"] * 5
        >>> LSTMTranslator(16, random_state=0).fit(*pairs).predict([[4, 5]])
        ['de']
        """
        fitted = self._fitted()
        sources, _ = fitted._read(X)
        return fitted._target_schema.decode([best.codes for (best,) in fitted._translations(sources)])

    def predict_n_best(self, X: Any, n: int = 5) -> list[list[tuple[Any, float]]]:
        """Several translations of each source, with the logarithms of their probabilities.

        The best of several may differ from that of `predict`, as the beam is at least as wide as n.

        Parameters
        ----------
        X : like X of `fit`
            Sources.
        n : int, default=5
            Number of translations.

        Returns
        -------
        list of list of tuple
            For each source up to n pairs (translation, log-probability), the best first by `length_penalty`. There are
            fewer if the beam has found no more.

        Raises
        ------
        ValueError, TypeError
            If X or n is invalid.
        sklearn.exceptions.NotFittedError
            If the translator is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMTranslator
        >>> pairs = ["night", "knight"] * 5, ["Nacht", "Ritter"] * 5
        >>> translator = LSTMTranslator(16, random_state=0).fit(*pairs)
        >>> [word for word, _ in translator.predict_n_best(["night"], 2)[0]][0]
        'Nacht'
        """
        fitted = self._fitted()
        if not is_count(n):
            raise ValueError(f"n={containers.brief(n)}: expected a number of translations, 1 or more.")
        sources, _ = fitted._read(X)
        hypotheses = fitted._translations(sources, int(n))
        decoded = iter(fitted._target_schema.decode([one.codes for of in hypotheses for one in of]))
        return [[(next(decoded), one.log_probability) for one in of] for of in hypotheses]

    def attention_weights(self, X: Any, y: Any = None) -> list[NDArray[np.floating[Any]]]:
        """Where the decoder looks in the source when it writes each symbol.

        Parameters
        ----------
        X : like X of `fit`
            n sources.
        y : like y of `fit` or None, default=None
            Targets to read; if None, the translations of `predict`.

        Returns
        -------
        list of n ndarray of shape (T_i + 1, S_i)
            For each of the T_i symbols of the target, and then for its end, the weights of the S_i symbols of the
            source; each row sums to 1.

        Raises
        ------
        ValueError, TypeError
            If X or y is invalid, or the translator has no attention.
        sklearn.exceptions.NotFittedError
            If the translator is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMTranslator
        >>> translator = LSTMTranslator(8, max_iter=2).fit(["night", "light"], ["Nacht", "Licht"])
        >>> translator.attention_weights(["light"], ["Licht"])[0].shape
        (6, 5)
        """
        fitted = self._fitted()
        if fitted._model.attention is None:
            raise ValueError("attention=None: the fitted translator has no attention; fit one with attention='dot'.")
        (sources, targets), dtype = fitted._read(X, y), fitted._model.dtype
        if targets is None:
            targets = translator_fitting.series_of([best.codes for (best,) in fitted._translations(sources)], dtype)
        pairs = translator_fitting.pairs_of(sources, targets, np.ones(len(sources)), len(fitted.target_vocabulary_))
        network = TranslationNetwork(fitted._model, dtype, fitted._kernels_for(dtype))
        out = [None] * len(sources)
        for rows, batch in translator_fitting.minibatches(pairs, dtype, fitted._model.loss):
            translator_fitting.run(network, batch, fitted.n_jobs)
            for n, row in enumerate(rows):
                out[row] = network.readout.attention.weights_of(n).copy()
        return out

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Part of the sources whose translation is exactly y.

        Parameters
        ----------
        X, y : like X and y of `fit`
            Sources and targets.
        sample_weight : array of shape (n,) or None, default=None
            Weights of the pairs.

        Returns
        -------
        float
            From 0 to 1. `edit_distance` and `token_accuracy` tell how far the others are off.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        sklearn.exceptions.NotFittedError
            If the translator is not fitted.

        Examples
        --------
        >>> from fastlstm.language import LSTMTranslator, edit_distance
        >>> pairs = ["night", "light"] * 5, ["Nacht", "Licht"] * 5
        >>> translator = LSTMTranslator(16, random_state=0).fit(*pairs)
        >>> translator.score(*pairs), edit_distance(pairs[1], translator.predict(pairs[0]))
        (1.0, 0.0)
        """
        fitted = self._fitted()
        sources, targets = fitted._read(X, y)
        with named("sample_weight"):
            weights = check_weights(sample_weight, X, 1, "sample_weight")[:, 0]
        predicted = [best.codes for (best,) in fitted._translations(sources)]
        true = targets.members(targets.table(copy=False)[:, 0])
        right = [np.array_equal(one, other) for one, other in zip(predicted, true, strict=True)]
        return float(np.average(right, weights=weights))
