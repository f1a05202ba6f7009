"""The arrays of a C file."""

import numpy as np

from fastlstm.export.c.weights import constants, of_sums, reordered


def tables(network, quantized):
    """Definitions of all arrays, and of the layers that refer to them.

    quantized: `Quantized` weights by name; empty if weights are floating-point numbers.
    """
    values = network.weights | {name: matrix.values for name, matrix in quantized.items()}
    scales = {name: matrix.scale for name, matrix in quantized.items()}
    yield from _of_inputs(network, values, scales)
    for n, place in enumerate(network.stack.places):
        yield from _of_layer(network, place, n < network.stack.directions, values, scales)
    if network.output is not None:
        yield from _of_head(network, values, scales)


def _of_inputs(network, values, scales):
    real, embedding = network.real, network.embedding
    if network.scaling is not None and network.n_numbers:
        mean, scale = (of[: network.n_numbers] for of in network.scaling)
        rounded = mean.astype(network.dtype)
        yield constants(real, "x_mean", rounded)
        if network.dtype == np.float32:
            yield constants(real, "x_mean_rest", (mean - rounded).astype(network.dtype))
        yield constants(real, "x_scale", scale.astype(network.dtype))
    if network.one_hot:
        yield constants("int", "first_rows", np.array([block.start for block in embedding.blocks]))
    elif embedding:
        for k, name in enumerate(embedding.names):
            yield constants("weight", f"embedding_{k}", values[name])
            if scales:
                yield constants(real, f"embedding_{k}_scale", scales[name])


def _of_layer(network, place, is_first, values, scales):
    cell, real, (suffix, C, H) = network.stack.cell, network.real, place
    of_x, of_h, bias_of_x, bias_of_h = (f"{kind}{suffix}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    yield constants("weight", f"W{suffix}", reordered(cell, values[of_x]).T)
    yield constants("weight", f"U{suffix}", values[of_h].T)
    yield constants(real, f"b{suffix}", of_sums(cell, values[bias_of_x], values[bias_of_h], np.add))
    inputs = network.n_numbers if network.one_hot and is_first else C
    fields = [inputs, H, f"W{suffix}", f"U{suffix}", f"b{suffix}"]
    if scales:
        yield constants(real, f"scale{suffix}", of_sums(cell, scales[of_x], scales[of_h], np.maximum))
        fields.append(f"scale{suffix}")
    if network.one_hot:
        fields.append(network.n_symbols if is_first else 0)
    yield f"static const layer layer{suffix} = {{{', '.join(map(str, fields))}}};"


def _of_head(network, values, scales):
    yield constants("weight", "head_W", values["head.weight"].T)
    yield constants(network.real, "head_b", values["head.bias"])
    if scales:
        yield constants(network.real, "head_scale", scales["head.weight"])
    if network.target_scaling is not None:
        for name, of_targets in network.target_scaling._asdict().items():
            yield constants(network.real, f"y_{name}", of_targets.astype(network.dtype))
