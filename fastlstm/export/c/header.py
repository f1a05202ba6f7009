"""The header of a C file: its declarations, and what a caller must know."""

import json
import textwrap

import numpy as np

from fastlstm._version import __version__
from fastlstm.export.c.weights import listed, string
from fastlstm.kernels import CELLS

LARGEST_INT = 2**31 - 1  # of a C long on any platform


def header(network, name, file, quantized, measured=None):
    """Text of the header.

    Parameters
    ----------
    network : Network
    name, file : str
        Prefix of the declarations, and name of the header file.
    quantized : dict
        `Quantized` weights by name; empty if weights are floating-point numbers.
    measured : str or None
        What is known of the outputs' error from quantisation.
    """
    upper, real = name.upper(), network.real
    paragraphs = [
        f"{file}: {network.title}, exported by fastlstm {__version__}.",
        _of_inputs(network, upper, name),
        _of_outputs(network, upper, name),
        _of_calls(network, upper, name),
        _of_memory(network, quantized),
        _of_precision(network, quantized, measured),
    ]
    text = "\n\n".join(textwrap.fill(line, 112, initial_indent="   ", subsequent_indent="   ") for line in paragraphs)
    guard = f"{upper}_H"
    return "\n".join(
        [
            f"/*{text[2:]} */",
            "",
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            f"#define {upper}_INPUTS {network.n_inputs}",
            f"#define {upper}_OUTPUTS {network.n_outputs}",
            *_declarations(network, name, upper, real),
            "",
            *(f"extern const {kind}{array}[{len(texts)}];" for kind, array, texts in _labels(network, name)),
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
    )


def label_arrays(network, name):
    """Definitions of the arrays of labels and symbols that the header declares."""
    return [listed(f"const {kind}{array}[{len(texts)}]", texts) for kind, array, texts in _labels(network, name)]


def _declarations(network, name, upper, real):
    if network.stack.bidirectional:
        yield f"#define {upper}_WORKSPACE(steps) ((steps) * {sum(network.buffers)})"
        yield ""
        yield f"void {name}_predict(const {real} *x, int steps, {real} *workspace, {real} *out);"
        return
    yield ""
    yield "typedef struct {"
    for suffix, _, H in network.stack.places:
        yield f"    {real} {', '.join(f'{state}{suffix}[{H}]' for state in CELLS[network.stack.cell].states)};"
    if network.masked:
        yield f"    {real} seen[{network.n_numbers}]; /* last observed value of each input */"
    yield f"}} {name}_state;"
    yield ""
    yield f"void {name}_reset({name}_state *state);"
    yield f"void {name}_step({name}_state *state, const {real} *x, {real} *out);"
    yield f"void {name}_predict(const {real} *x, int steps, {real} *out);"


def _labels(network, name):
    """Type, name and elements of the arrays of class labels and symbols."""
    if hasattr(network.output, "classes"):
        yield _array(f"{name}_classes", network.output.classes)
    for k, vocabulary in enumerate(network.vocabularies):
        yield _array(f"{name}_symbols_{k}", vocabulary)


def _array(name, labels):
    labels = np.asarray(labels)
    if labels.dtype.kind in "iub" and all(abs(int(label)) <= LARGEST_INT for label in labels):
        return "long ", name, [str(int(label)) for label in labels]
    return "char *const ", name, [string(label) for label in labels]


# -- the comment ------------------------------------------------------------------------------------------------


def _of_inputs(network, upper, name):
    text = f"Inputs: {upper}_INPUTS = {_counted(network.n_inputs)} for each step, oldest step first"
    if network.channel_names is not None:
        text += f": {', '.join(map(_quoted, network.channel_names))}"
    text += "."
    if network.n_numbers:
        text += " Numbers are in the units of the training data." if network.scaling is not None else ""
        text += " NaN marks missing values; infinity is invalid." if network.masked else " Numbers must be finite."
    for k in range(network.n_symbols):
        channel = f"x[{network.n_numbers + k}]"
        text += f" {channel} is the index of a symbol in {name}_symbols_{k}, or any other number for an unknown symbol."
    return text


def _of_outputs(network, upper, name):
    output = network.output
    if output is None:
        what = "hidden states of the last layer"
    elif hasattr(output, "classes"):
        what = f"probabilities of the {'labels' if output.multilabel else 'classes'} in {name}_classes"
    else:
        what = "predictions in the units of the targets"
        if output.loss.is_distribution:
            point = "median" if output.loss.name == "quantile" else "mean"
            what += f": the {point} of each distribution"
    return f"Outputs: {upper}_OUTPUTS = {_counted(network.n_outputs)}, {what}."


def _of_calls(network, upper, name):
    each = f"{upper}_OUTPUTS numbers {'for each step' if network.per_step else 'in all'}"
    predict = f"{name}_predict reads a whole series, x[steps][{upper}_INPUTS], of at least one step, and writes {each}."
    if network.stack.bidirectional:
        return (
            f"Calls: {predict} It needs a workspace of {upper}_WORKSPACE(steps) numbers, which need not be "
            "initialised. The network is bidirectional and so cannot be run step by step."
        )
    after = "" if network.per_step else ", the result for the series so far"
    return (
        f"Calls: {name}_reset starts a series; {name}_step reads its next step and writes {upper}_OUTPUTS "
        f"numbers{after}. Any number of series can be processed at the same time, each with its own state. {predict}"
    )


def _counted(n):
    return f"{n} number{'s' * (n != 1)}"


def _of_memory(network, quantized):
    stack, weights, cell = network.stack, network.weights, CELLS[network.stack.cell]
    of_real, n_sums = network.dtype.itemsize, cell.n_slots
    matrices = [name for name, value in weights.items() if value.ndim == 2]
    constants = sum(weights[name].size for name in matrices) * (1 if quantized else of_real)
    n_numbers = sum(n_sums * H for _, _, H in stack.places) * (2 if quantized else 1)  # biases, scales
    if network.output is not None:
        n_numbers += network.n_scores * (2 if quantized else 1)
    n_state = sum(len(stack.states) * H for _, _, H in stack.places) + network.masked * network.n_numbers
    n_stack = n_sums * max(stack.hidden_sizes) + network.n_features + network.n_scores
    n_stack += len(cell.states) * max(stack.hidden_sizes) + stack.width if stack.bidirectional else n_state
    state = "" if stack.bidirectional else f" and {of_real * n_state:,} bytes for each state"
    return (
        f"Memory: about {constants + of_real * n_numbers:,} bytes of constants{state}. Calls use about "
        f"{of_real * n_stack:,} bytes of the stack, and allocate nothing."
    )


def _of_precision(network, quantized, measured):
    digits = "7" if network.real == "float" else "16"
    text = f"Precision: numbers are of type {network.real}, with about {digits} significant digits."
    if quantized:
        step = max(float(matrix.scale.max()) for matrix in quantized.values())
        text += (
            " Matrices of weights are rounded to int8, with one scale for each row: a weight differs from that of the "
            f"model by at most 1/254 of the largest one of its row, here by at most {step / 2:.2g}."
        )
        text += f" {measured}" if measured else ""
    return text


def _quoted(name):
    """A name as it can stand in a comment."""
    text = json.dumps(str(name), ensure_ascii=False)
    for pair in ("*/", "/*", "??"):
        text = text.replace(pair, " ".join(pair))
    return text
