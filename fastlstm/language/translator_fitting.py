"""What a fit of an `LSTMTranslator` trains: the network, the pairs, and the parts held out."""

import functools
from dataclasses import replace

import numpy as np

from fastlstm import sequences, symbols
from fastlstm.estimators import fitting
from fastlstm.estimators.checkpoints import fingerprint
from fastlstm.estimators.data import any_weight, has_validation_data, there
from fastlstm.estimators.inputs import check_weights
from fastlstm.estimators.summary import Summary, layer_of, layers_of
from fastlstm.estimators.validation import check_network_parameters, check_resume
from fastlstm.layers.checks import check_sizes, named
from fastlstm.stacks import Stack
from fastlstm.training import defaults
from fastlstm.training.collective import ALONE
from fastlstm.training.embedding import Embedding
from fastlstm.training.minibatch import Minibatch
from fastlstm.training.partitions import training_on
from fastlstm.translation.model import TranslationModel
from fastlstm.translation.network import TranslationNetwork
from fastlstm.translation.pairs import Pairs

LONGER = 2  # how much longer than the longest target of training translations may be, unless `max_length` says
VALIDATION_ROWS = 64  # pairs held out that are evaluated at once


def prepare_pairs(translator, X, y, sample_weight, validation_data):
    """The `Training` of a translator, and its checkpoints or None."""
    begin(translator)
    pairs = read_pairs(translator, X, y, sample_weight, reset=True)
    held_out = None
    if has_validation_data(*validation_data):
        held_out = [read_pairs(translator, *validation_data, suffix="_val")]
    seed, checkpoints = fitting.seed_of(translator)
    return prepare(translator, [pairs], held_out, seed, checkpoints=checkpoints), checkpoints


def begin(translator, continued=False):
    """Check the parameters of a translator."""
    check_network_parameters(translator)
    check_resume(translator)


def prepare(translator, parts, held_out, seed, continued=False, partial=False, checkpoints=None, share=ALONE):
    """The `Training` of a translator on partitions of pairs; the parameters are those of ``fitting.prepare``."""
    dtype, rng = np.dtype(translator.dtype), np.random.default_rng(seed)
    if translator.early_stopping and held_out is None:
        parts, held_out = _split(translator, parts, int(rng.integers(np.iinfo(np.int32).max)), share)
    sizes = [(len(of), int(of.sources.lengths.max()), of.n_steps) for of in there(parts)]
    n, longest, steps = fitting.sizes_of_all(sizes, share)
    given = {name: getattr(translator, name) for name in defaults.NAMES}
    translator.settings_ = defaults.resolve_for_pairs(
        given, translator.cell, n, longest, steps, n_partitions=share.n_partitions
    )
    fitting.describe(checkpoints, translator, seed, functools.partial(digest_of, translator), parts, held_out, share)
    model = model_of(translator)
    longest_lag = fitting.longest_lag_of(translator, longest)
    translator._model = replace(model, weights=model.initial_weights(rng, longest_lag))
    backend = translator._kernels_for(dtype)
    network = TranslationNetwork(
        translator._model,
        dtype,
        backend,
        dropout=translator.settings_["dropout"],
        recurrent_dropout=translator.recurrent_dropout,
        symbol_dropout=translator.symbol_dropout,
        teacher_forcing=translator.teacher_forcing,
        n_pairs=n,
    )
    validate = None
    if held_out is not None:
        evaluator = TranslationNetwork(translator._model, dtype, backend)

        def validate():
            evaluator.parameters[:] = network.parameters
            loss, total = share.total([evaluate(evaluator, part, translator.n_jobs) for part in there(held_out)])
            return float(-loss / total), float(loss / total)

    return training_on(
        parts,
        share,
        network,
        fitting.settings_of(translator, model.loss),
        seed=seed,
        validate=validate,
        save=checkpoints and checkpoints.save,
        n_jobs=translator.n_jobs,
    )


def digest_of(translator, *parts):
    """Hash of pairs."""
    data = [(of, part.targets, part.weights) for part in parts for of in (part.sources, part.inputs)]
    schemas = translator._source_schema, translator._target_schema
    return fingerprint(*data, vocabularies=[schema.vocabularies[0] for schema in schemas])


def model_of(translator):
    """The layers for the fitted vocabularies, without weights."""
    sizes = check_sizes(translator.hidden_size, translator.num_layers)
    width = None if translator.embedding_size == "onehot" else int(translator.embedding_size)
    V, V_target = len(translator.source_vocabulary_), len(translator.target_vocabulary_)
    source = Embedding(1, (0,), (V + 1,), width)
    target = Embedding(1, (0,), (V_target + 2,), width)
    encoder = Stack(translator.cell, source.n_outputs, sizes, bool(translator.bidirectional))
    decoder = Stack(translator.cell, target.n_outputs, sizes)
    return TranslationModel(encoder, decoder, source, target, translator.attention, V_target + 1, {})


def read_pairs(translator, X, y, sample_weight=None, reset=False, suffix="", of_all=True):
    """Validate sources and targets; with `reset`, learn their vocabularies. `of_all` as in `check_weights`."""
    x_name, y_name, dtype = f"X{suffix}", f"y{suffix}", translator.dtype
    limits = translator.max_vocabulary, translator.min_count
    if reset:
        known = vars(translator).get("_known_schema")  # of more pairs than these
        if known is None:
            sources, translator._source_schema = symbols.learn(X, x_name, dtype, *limits)
            targets, translator._target_schema = symbols.learn(y, y_name, dtype, *limits, allow_empty=True)
        else:
            translator._source_schema, translator._target_schema = known
            sources = symbols.read(X, x_name, known[0], dtype)
            targets = symbols.read(y, y_name, known[1], dtype, allow_empty=True)
        for schema, name in ((translator._source_schema, x_name), (translator._target_schema, y_name)):
            symbols.check_plain(schema.names, name)
        longest = int(targets.lengths.max())
        translator.max_length_ = LONGER * longest if translator.max_length is None else translator.max_length
        translator.n_features_in_ = 1
    else:
        sources = symbols.read(X, x_name, translator._source_schema, dtype)
        targets = symbols.read(y, y_name, translator._target_schema, dtype, allow_empty=True)
    check_same_number(sources, targets, x_name, y_name)
    longest = int(targets.lengths.argmax())
    if reset and targets.lengths[longest] > translator.max_length_:
        raise ValueError(
            f"{y_name}[{longest}] has {targets.lengths[longest]} symbols, more than max_length="
            f"{translator.max_length_}: raise max_length, or leave out longer sequences."
        )
    with named(f"sample_weight{suffix}"):
        weights = check_weights(sample_weight, X, 1, f"sample_weight{suffix}", of_all)[:, 0]
    return pairs_of(sources, targets, weights, len(translator.target_vocabulary_))


def check_same_number(sources, targets, x_name, y_name):
    """Raise ValueError unless there is a target for each source."""
    if len(sources) != len(targets):
        raise ValueError(
            f"{x_name} has {len(sources)} sequences, but {y_name} has {len(targets)}; expected one target per source."
        )


def series_of(codes, dtype):
    """Series of arrays of codes."""
    lengths = np.array(list(map(len, codes)))
    return sequences.of_table(np.concatenate(codes)[:, None].astype(dtype), lengths, "list")


def pairs_of(sources, targets, weights, V):
    """Pairs of `Series` of codes, V of which are symbols of the vocabulary of the targets.

    An unknown symbol of a target is read, but has weight 0 as a target, since it cannot be predicted.
    """
    end, start, unknown = V, V, V + 1
    codes, lengths = targets.table(copy=False)[:, 0], targets.lengths
    begin = targets.step_at + np.arange(len(lengths))  # with one step more for each sequence
    is_end = np.zeros(len(codes) + len(lengths), bool)
    is_end[begin + lengths] = True
    predicted = np.full(len(is_end), end)
    predicted[~is_end] = codes
    read = np.full(len(is_end), start, codes.dtype)
    read[np.delete(np.arange(len(is_end)), begin)] = np.where(codes == V, unknown, codes)
    is_known = is_end | (predicted != V)
    of_steps = np.repeat(weights, lengths + 1) * is_known
    inputs = replace(targets, values=read, at=begin, lengths=lengths + 1, form="list", T=0)
    return Pairs(sources, inputs, predicted[:, None], of_steps[:, None])


def _split(translator, parts, seed, share):
    """The pairs of each partition to train on, and those held out; None where there are none."""
    sizes = share.gather([len(pairs) for pairs in parts])
    n = sum(sizes)
    held = int(np.ceil(translator.validation_fraction * n))
    if held >= n:
        raise ValueError(
            f"validation_fraction={translator.validation_fraction:g} holds out all of the {n} pairs: pass "
            "more pairs, lower validation_fraction, or pass X_val and y_val."
        )
    order = np.random.default_rng(seed).permutation(n)
    split = [
        [
            pairs.take(rows) if len(rows) else None
            for pairs, rows in zip(parts, share.rows_of_mine(of_all, sizes), strict=True)
        ]
        for of_all in (np.sort(order[held:]), np.sort(order[:held]))
    ]
    for of_kind, what, how in zip(
        split,
        ("Every pair to train on has weight 0, except those held out", "Every pair held out has weight 0"),
        ("lower", "raise"),
        strict=True,
    ):
        if not any_weight(of_kind, share):
            raise ValueError(
                f"{what}: pass X_val and y_val, or {how} validation_fraction (now {translator.validation_fraction:g})."
            )
    return split


def minibatches(pairs, dtype, loss):
    """All pairs as minibatches without gradient: numbers of the pairs, and the minibatch."""
    order = np.argsort(-pairs.sources.lengths, kind="stable")
    for first in range(0, len(order), VALIDATION_ROWS):
        drawn = pairs.batch(order[first : first + VALIDATION_ROWS], 0, None, dtype)
        yield drawn.rows, Minibatch(
            drawn.starts, drawn.x, drawn.at, drawn.targets,
            np.ones((len(drawn.targets), 1), dtype) if drawn.sample_weight is None else drawn.sample_weight,
            loss, (0, 0, drawn.rows), 0, drawn.total_weight, drawn.expected_weight, decoder=drawn.decoder,
        )  # fmt: skip


def run(network, batch, n_jobs):
    """Run a network forward over a minibatch, with the target as the decoder's inputs."""
    with network.team(batch.rows, int(batch.starts[-1] + batch.decoder.starts[-1]), n_jobs) as team:
        network.prepare_batch(batch, team.size, recording=False)
        team.run(lambda: network.phases(forward_only=True))


def evaluate(network, pairs, n_jobs):
    """Sums of the losses and of the weights of validation data, when the decoder reads the targets."""
    loss = total = 0.0
    for _, batch in minibatches(pairs, network.parameters.dtype, network.model.loss):
        if batch.total_weight:
            run(network, batch, n_jobs)
            loss += float(network.values.sum() * batch.expected_weight)
            total += float(batch.total_weight)
    return np.array([loss, total])


def summarize(model, title):
    """The `Summary` of the layers of a `TranslationModel`."""

    def named_as(begin):
        return [value for name, value in model.weights.items() if name.startswith(begin)]

    def products(begin):
        return sum(value.size for value in named_as(begin) if value.ndim == 2)

    layers = []
    for side, stack, steps in (("encoder", model.encoder, "S"), ("decoder", model.decoder, "T")):
        of_side = [layer_of(named_as(f"{side}.embedding."), "embedding", (steps, stack.input_size))]
        of_side += layers_of(stack, model.side(side), steps, (steps,))
        layers += [replace(layer, name=f"{side}, {layer.name}") for layer in of_side]
        if side == "encoder" and model.bridges:
            states = sum(model.decoder.widths) * len(model.decoder.states)
            layers.append(layer_of(named_as("bridge."), "bridge", (states,), 0, products("bridge.")))
    H = model.decoder.width
    if model.attention is not None:
        of_attention = products("attention.") - products("attention.key")
        layers.append(layer_of(named_as("attention."), f"{model.attention} attention", ("T", "S"), of_attention))
        layers.append(layer_of(named_as("combine."), "linear, tanh", ("T", H), products("combine.")))
    layers.append(layer_of(named_as("head."), "linear", ("T", model.n_outputs), products("head.")))
    return Summary(title, layers)
