"""The C file of a network."""

import re
from string import Template

import numpy as np

from fastlstm.export.c import templates
from fastlstm.export.c.header import label_arrays
from fastlstm.export.c.tables import tables
from fastlstm.kernels import CELLS, rationals

DOUBLES = {"float": "double", "FLT_MAX": "DBL_MAX"} | {
    f"{function}f": function for function in ("exp", "tanh", "log1p", "fmax", "fabs")
}
#: Names that need a header of the standard library.
LIBRARIES = {
    "float": "FLT_MAX|DBL_MAX",
    "math": "(exp|tanh|log1p|fmax|fabs)f?|isnan",
    "stddef": "size_t",
}
#: Functions that are defined where others call them, the innermost last.
HELPERS = {
    "point": templates.QUANTILE_POINT,
    "limited": templates.LIMITED,
    "code": templates.CODE,
    "embed": templates.EMBED,
    "sigmoid": templates.SIGMOID,
    "fast_tanh": templates.TANH,
}
RATIONALS = {
    ("fast_tanh", "float"): rationals.TANH32,
    ("fast_tanh", "double"): rationals.TANH64,
    ("sigmoid", "float"): rationals.SIGMOID32,
    ("sigmoid", "double"): rationals.SIGMOID64,
}


class Source:
    """The text of a C file.

    Parameters
    ----------
    network : Network
    name : str
        Prefix of everything that the header declares.
    header : str
        Name of the header file.
    quantized : dict
        `Quantized` weights by name; empty if weights are floating-point numbers.
    """

    def __init__(self, network, name, header, quantized):
        self._network, self._name, self._header, self._quantized = network, name, header, quantized
        cell = CELLS[network.stack.cell]
        self._states, self._slots = cell.states, cell.n_slots

    def text(self):
        functions = self._adapted(self._functions())
        libraries = [library for library, names in LIBRARIES.items() if re.search(rf"\b({names})\b", functions)]
        includes = [f'#include "{self._header}"', *(f"#include <{library}.h>" for library in libraries)]
        kind = "signed char" if self._quantized else self._network.real
        return joined(
            f"/* See {self._header}. */\n" + "\n".join(includes),
            f"typedef {kind} weight;",
            self._sizes(),
            self._adapted(filled(templates.LAYER, fields=self._fields())),
            *label_arrays(self._network, self._name),
            *tables(self._network, self._quantized),
            functions,
        )

    def _adapted(self, code):
        """Code as the templates have it, with the names and types of this network."""
        code = re.sub(r"\bmodel_", f"{self._name}_", re.sub(r"\bMODEL_", f"{self._name.upper()}_", code))
        if self._network.dtype == np.float64:
            code = re.sub(r"\b\w+\b", lambda word: DOUBLES.get(word[0], word[0]), code)
            code = re.sub(r"\b(\d+(?:\.\d+)?(?:e-?\d+)?)f\b", r"\1", code)
        return code

    def _sizes(self):
        network, stack = self._network, self._network.stack
        sizes = {"MOST_UNITS": max(stack.hidden_sizes), "FEATURES": network.n_features, "NUMBERS": network.n_numbers}
        if network.output is not None:
            sizes |= {"WIDTH": stack.width, "SCORES": network.n_scores}
        if network.embedding and not network.one_hot:
            sizes["EMBEDDING"] = network.embedding.width
        return f"enum {{ {', '.join(f'{name} = {size}' for name, size in sizes.items())} }};\n"

    def _fields(self):
        fields = "    const float *scale;\n" if self._quantized else ""
        return fields + (
            "    int symbols; /* one-hot encoded ones after the inputs */\n" if self._network.one_hot else ""
        )

    def _functions(self):
        network = self._network
        parts = [
            templates.PRODUCTS,
            self._add_up(),
            templates.CELLS[network.stack.cell],
            self._prepare(),
            self._outputs(),
            self._bidirectional() if network.stack.bidirectional else self._stepwise(),
        ]
        text = joined(*parts)
        for name, template in HELPERS.items():
            if re.search(rf"\b{name}\(", text):
                text = joined(filled(template, **self._gaps_of(name)), text)
        return text

    def _gaps_of(self, helper):
        if helper == "embed":
            return {"declared": "const float *scale, ", "scale": "scale[row] * "} if self._quantized else NO_SCALE
        if helper == "point":
            return quantile_point(self._network.output.loss.levels)
        rational = RATIONALS.get((helper, self._network.real))
        if rational is None:
            return {}
        bound, p, q = rational
        error = "5e-7" if self._network.real == "float" else "1e-15"
        return {"bound": f"{bound}f", "p": polynomial(p), "q": polynomial(q), "error": error}

    def _add_up(self):
        gates = self._network.stack.gates
        scale = (
            "    for (int j = 0; j < $slots * units; j++)\n        sums[j] = sums[j] * of->scale[j] + of->bias[j];\n"
        )
        return filled(
            templates.ADD_UP,
            slots=self._slots,
            gates=gates,
            start="0.0f" if self._quantized else "of->bias[j]",
            symbols=filled(templates.ONE_HOT, gates=gates) if self._network.one_hot else "",
            offset=" + units" if self._network.stack.cell == "gru" else "",
            scale=filled(scale, slots=self._slots) if self._quantized else "",
        )

    def _prepare(self):
        network, body = self._network, ""
        if network.n_numbers:
            centred = "x[k] - x_mean[k]"
            if network.dtype == np.float32:
                centred = f"({centred}) - x_mean_rest[k]"
            value = "x[k]" if network.scaling is None else f"({centred}) / x_scale[k]"
            body = filled(templates.NUMBERS_OR_MISSING if network.masked else templates.NUMBERS, value=value)
        for k, size in enumerate(network.embedding.sizes if network.embedding else ()):
            code, width = f"code(x[NUMBERS + {k}], {size})", network.embedding.width
            if network.one_hot:
                body += f"    features[NUMBERS + {k}] = (float){code};\n"
            else:
                scale = f"embedding_{k}_scale, " if self._quantized else ""
                body += f"    embed(embedding_{k}, {scale}{code}, features + NUMBERS + {k * width});\n"
        return filled(templates.PREPARE, seen="float *seen, " if network.masked else "", body=body)

    def _outputs(self):
        output = self._network.output
        if output is None:
            return filled(templates.OUTPUTS, body=templates.STATES)
        scale = "    for (int k = 0; k < SCORES; k++)\n        scores[k] = scores[k] * head_scale[k] + head_b[k];\n"
        body = filled(
            templates.SCORES,
            start="0.0f" if self._quantized else "head_b[k]",
            scale=scale if self._quantized else "",
        )
        if hasattr(output, "classes"):
            body += templates.SIGMOIDS if output.multilabel else templates.SOFTMAX
        else:
            loss = output.loss
            value = templates.POINTS[loss.name] if loss.is_distribution else templates.ACTIVATIONS[loss.activation]
            value += " * y_scale[k] + y_mean[k]" if self._network.target_scaling is not None else ""
            body += filled(templates.TARGETS, width=loss.width, value=value)
        return filled(templates.OUTPUTS, body=body)

    def _stepwise(self):
        stack, source, steps = self._network.stack, "features", []
        for place in stack.places:
            states = ", ".join(f"state->{state}{place.suffix}" for state in self._states)
            steps.append(f"    step(&layer{place.suffix}, {source}, {states});\n")
            source = f"state->h{place.suffix}"
        last = f"h{stack.places[-1].suffix}"
        of_series = filled(templates.PREDICT_SERIES, last=last)
        return filled(
            templates.STATE,
            seen="state->seen, " if self._network.masked else "",
            steps="".join(steps),
            last=last,
            predict=templates.PREDICT_STEPS if self._network.per_step else of_series,
        )

    def _bidirectional(self):
        network, stack = self._network, self._network.stack
        sizes, runs, buffers = network.buffers, [], ("even", "odd")
        declarations = "    float *const even = workspace;\n"
        if sizes[1]:
            declarations += f"    float *const odd = workspace + (size_t)steps * {sizes[0]};\n"
        if network.masked:
            declarations += "    float seen[NUMBERS] = {0.0f};\n"
        width = network.n_features
        for n, places in enumerate(stack.layers):
            last = n == len(stack.layers) - 1 and not network.per_step
            target, stride = ("last", 0) if last else (buffers[(n + 1) % 2], stack.widths[n])
            for reverse, place in enumerate(places):
                column = f" + {place.H}" if reverse else ""
                source = buffers[n % 2]
                runs.append(
                    f"    run(&layer{place.suffix}, {reverse}, steps, {source}, {width}, {target}{column}, {stride});\n"
                )
            width = stack.widths[n]
        if network.per_step:
            outputs = (
                "    for (int t = 0; t < steps; t++)\n"
                f"        write_outputs({target} + (size_t)t * {width}, out + (size_t)t * MODEL_OUTPUTS);\n"
            )
        else:
            declarations += f"    float last[{width}];\n"
            outputs = "    write_outputs(last, out);\n"
        arrays = ", ".join(f"{state}[MOST_UNITS] = {{0.0f}}" for state in self._states)
        run = filled(templates.RUN, arrays=arrays, states=", ".join(self._states))
        return run + filled(
            templates.BIDIRECTIONAL,
            declarations=declarations,
            seen="seen, " if network.masked else "",
            runs="".join(runs),
            outputs=outputs,
        )


def filled(template, **parts):
    """A template with its gaps filled."""
    return Template(template).substitute(parts)


def joined(*parts):
    """Parts of a file, separated by empty lines."""
    return "\n".join(part.strip("\n") + "\n" for part in parts)


NO_SCALE = {"declared": "", "scale": ""}


def polynomial(coefficients):
    """A polynomial in u, by Horner's method."""
    first, *others = coefficients
    return f"{first!r}f + u * ({polynomial(others)})" if others else f"{first!r}f"


def quantile_point(levels):
    """Gaps of the template of a quantile loss's points, which are those of ``training/losses/quantile.py``."""
    level = min(max(0.5, levels[0]), levels[-1])
    above = int(np.searchsorted(levels, level))
    if levels[above] == level:
        return {"S": len(levels), "expression": f"quantiles[{above}]"}
    low, part = f"quantiles[{above - 1}]", (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    return {"S": len(levels), "expression": f"{low} + {float(part)!r}f * (quantiles[{above}] - {low})"}
