"""Chunks and partitions of pairs of sequences, for translators; the functions are those of ``chunks.py``."""

import numpy as np

from fastlstm.distributed import chunks
from fastlstm.distributed.chunks import NOTHING, Chunk, Facts, join_series
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.language import translator_fitting
from fastlstm.language.translator_fitting import begin as begin
from fastlstm.language.translator_fitting import prepare as prepare
from fastlstm.translation.pairs import Pairs


def read(translator, reset, X, y=None, sample_weight=None, suffix="", schema=None, classes=None):
    if not len(X):
        return NOTHING
    update = AtomicUpdate(chunks.unfitted(translator) if reset else translator)
    update.copy._known_schema = schema
    pairs = translator_fitting.read_pairs(update.copy, X, y, sample_weight, reset, suffix, of_all=False)
    del update.copy._known_schema
    return Chunk(Facts(len(pairs), translator.dtype, update.changes(), bool(pairs.weights.any())), pairs)


def merge(facts):
    there = [of for of in facts if of.n]
    attributes = chunks.merge(facts, differing={"max_length_"})
    return {**attributes, "max_length_": max(of.attributes["max_length_"] for of in there)}


def encode(translator, chunk, attributes):
    return chunk.data


def cut(translator, pairs, first, last):
    return pairs.take(np.arange(first, last))


def join(parts):
    if len(parts) < 2:
        return parts[0] if parts else None
    sources, inputs = (join_series([getattr(of, side) for of in parts]) for side in ("sources", "inputs"))
    targets, weights = (np.concatenate([getattr(of, name) for of in parts]) for name in ("targets", "weights"))
    return Pairs(sources, inputs, targets, weights)
