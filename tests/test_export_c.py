"""C code of exported networks: compiled and run, its outputs are those of the estimators."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor, SequenceEncoder, layers
from fastlstm.export import c as export
from fastlstm.export.c import to_c

CC = shutil.which("gcc") or shutil.which("cc")
needs_compiler = pytest.mark.skipif(CC is None or os.name == "nt", reason="no C compiler that takes GCC's options")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SIZE, FEW = 5, {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}
LENGTHS = 7, 3  # of the series that are predicted
rng = np.random.default_rng(0)


# -- networks ---------------------------------------------------------------------------------------------------


@dataclass
class Case:
    """A network, and series to predict."""

    est: object
    X: list
    options: dict = field(default_factory=dict)  # of `to_c`

    @property
    def estimator(self):
        return self.est.estimator_ if isinstance(self.est, SequenceEncoder) else self.est

    @property
    def is_layer(self):
        return isinstance(self.est, layers.LSTM.__base__)

    @property
    def stack(self):
        return self.est._stack if self.is_layer else self.estimator._model.stack

    @property
    def dtype(self):
        return self.est.dtype if self.is_layer else self.estimator._model.dtype

    @property
    def per_step(self):
        return self.is_layer or (self.estimator._model.per_step and self.est is self.estimator)

    @property
    def method(self):
        return "predict_proba" if hasattr(self.est, "predict_proba") else "predict"

    def inputs(self):
        """What C reads, for each series: numbers, and codes of symbols."""
        if self.is_layer:
            return self.X
        series = self.estimator._check_series(self.X)
        return series.members(series.table().astype(self.dtype))

    def predicted(self):
        """Outputs [., K] for each series."""
        if self.is_layer:
            return [self.est(x[None])[0][0] for x in self.X]
        if isinstance(self.est, SequenceEncoder):
            return [self.est.transform([x]) for x in self.X]
        outputs = [getattr(self.est, self.method)([x]) for x in self.X]
        return [
            (out[0] if self.per_step else out).reshape(len(x) if self.per_step else 1, -1)
            for x, out in zip(self.X, outputs, strict=True)
        ]

    def streamed(self):
        """Outputs [T, K] of all steps for each series."""
        if self.per_step:
            return self.predicted()
        if isinstance(self.est, SequenceEncoder):
            return self.estimator.hidden_states(self.X)
        outputs = []
        for x in self.X:
            stream = self.est.stream(method=self.method)
            rows = [x[t : t + 1] for t in range(len(x))]
            outputs.append(np.array([stream.step(row).reshape(-1) for row in rows]))
        return outputs


def numbers(n=12, T=7, C=3, mean=0.0):
    return rng.normal(mean, 2, size=(n, T, C))


def cut(X):
    """Two series, in numbers that float32 represents exactly."""
    return [x[:length].astype("float32").astype("float64") for x, length in zip(X, LENGTHS, strict=False)]


def regressor(*sizes, K=1, mean=0.0, **parameters):
    X = numbers(mean=mean)
    per_step = parameters.get("return_sequences", False)
    y = rng.poisson(3, size=(12, 7, K) if per_step else (12, K)).astype(float)
    if parameters.get("out_activation"):
        y = np.clip(y, 0, 1)
    est = LSTMRegressor(sizes or SIZE, num_layers=max(1, len(sizes)), **FEW, **parameters)
    return Case(est.fit(X, y if K > 1 else y[..., 0]), cut(X))


def classifier(y, *sizes, X=None, **parameters):
    X = numbers() if X is None else X
    est = LSTMClassifier(sizes or SIZE, num_layers=max(1, len(sizes)), **FEW, **parameters)
    return Case(est.fit(X, y), cut(X))


def with_missing(case_of, *args, **parameters):
    """A network fitted on, and applied to, series with missing values."""
    case = case_of(*args, missing="mask", **parameters)
    for x in case.X:
        x[rng.random(x.shape) < 0.4] = np.nan
        x[0, 0] = np.nan  # before the first value
    return case


def of_text(**parameters):
    return Case(LSTMClassifier(SIZE, **FEW, **parameters).fit(["abcab", "ba", "cc", "b"], [0, 1, 1, 0]), ["abcb", "xa"])


def of_events(**parameters):
    tables = [
        pd.DataFrame({"kind": list("abca"), "size": rng.normal(50, 3, 4), "colour": list("rggr")}) for _ in range(6)
    ]
    return Case(LSTMRegressor(SIZE, **FEW, **parameters).fit(tables, rng.normal(size=6)), tables[:2])


def encoder(**parameters):
    case = regressor(**parameters)
    return Case(SequenceEncoder(case.est).fit(None), case.X)


def layer(kind, *args, **parameters):
    of = kind(3, *args, random_state=0, **parameters)
    return Case(of, [x.astype(of.dtype) for x in cut(numbers(2))])


def quantized(case):
    case.options["quantize"] = "int8"
    return case


INDICATORS = rng.integers(2, size=(12, 4))
MAKERS = {
    "lstm_two_layers": lambda: regressor(8, 5, K=2),
    "lstm_three_layers_float64": lambda: regressor(4, 9, 3, dtype="float64"),
    "lstm_far_from_zero": lambda: regressor(mean=3e4),
    "lstm_per_step": lambda: regressor(return_sequences=True, K=2),
    "lstm_missing": lambda: with_missing(regressor),
    "lstm_both_directions": lambda: regressor(bidirectional=True),
    "lstm_unscaled": lambda: regressor(standardize=False),
    "gru_classes": lambda: classifier(list("abc") * 4, 6, 4, cell="gru"),
    "gru_both_directions_per_step": lambda: with_missing(
        classifier, rng.integers(3, size=(12, 7)), 5, 4, 6, cell="gru", bidirectional=True, return_sequences=True
    ),
    "rnn_labels": lambda: classifier(INDICATORS, cell="rnn"),
    "rnn_two_layers_both_directions": lambda: regressor(4, 3, cell="rnn", bidirectional=True),
    "cifg_two_classes": lambda: classifier([3, 7] * 6, cell="cifg"),
    "cifg_float64": lambda: regressor(cell="cifg", dtype="float64", bidirectional=True),
    "text_one_hot": lambda: of_text(embedding_size="onehot"),
    "text_embedded": lambda: of_text(embedding_size=4, cell="gru"),
    "events_one_hot": lambda: of_events(embedding_size="onehot", bidirectional=True),
    "events_embedded": lambda: of_events(embedding_size=3),
    "quantile_loss": lambda: regressor(K=2, loss="quantile", quantile=[0.1, 0.4, 0.9]),
    "one_quantile": lambda: regressor(loss="quantile", quantile=0.9, dtype="float64"),
    "poisson_loss": lambda: regressor(loss="poisson"),
    "gaussian_loss": lambda: regressor(K=2, loss="gaussian_nll"),
    "tanh_outputs": lambda: regressor(out_activation="tanh"),
    "logistic_outputs": lambda: regressor(out_activation="logistic"),
    "encoder_lstm": lambda: encoder(cell="lstm"),
    "encoder_both_directions": lambda: encoder(bidirectional=True),
    "layer_lstm": lambda: layer(layers.LSTM, (6, 4), 2),
    "layer_gru": lambda: layer(layers.GRU, 5, 2, bidirectional=True, dtype="float64"),
    "int8_lstm": lambda: quantized(regressor(8, 5, K=2)),
    "int8_gru": lambda: quantized(regressor(6, cell="gru", bidirectional=True)),
    "int8_text": lambda: quantized(of_text(embedding_size="onehot", dtype="float64")),
    "int8_events": lambda: quantized(of_events(embedding_size=3)),
}


# -- compiling and running --------------------------------------------------------------------------------------


def driver(cases):
    """A program that reads the series of all cases, and writes the results of all functions."""
    blocks = []
    for name, case in cases.items():
        real = "float" if case.dtype == np.float32 else "double"
        for x in case.inputs():
            T, C = x.shape
            rows = T if case.per_step else 1
            NAME = name.upper()
            block = f"{real} x[{T * C}], out[{rows} * {NAME}_OUTPUTS];\n"
            block += f"read(x, sizeof x); if ({NAME}_INPUTS != {C}) return 1;\n"
            if case.stack.bidirectional:
                block += f"{real} *workspace = malloc({NAME}_WORKSPACE({T}) * sizeof({real}));\n"
                block += f"{name}_predict(x, {T}, workspace, out); write(out, sizeof out); free(workspace);\n"
            else:
                block += f"{name}_predict(x, {T}, out); write(out, sizeof out);\n"
                block += f"{name}_state state; {name}_reset(&state);\n"
                block += f"for (int t = 0; t < {T}; t++) {{ {name}_step(&state, x + t * {C}, out);\n"
                block += f"write(out, {NAME}_OUTPUTS * sizeof({real})); }}\n"
            blocks.append(f"{{\n{block}}}\n")
    includes = "".join(f'#include "{name}.h"\n' for name in cases)
    return f"""#include <stdio.h>
#include <stdlib.h>
{includes}
static void read(void *to, size_t size) {{ if (fread(to, 1, size, stdin) != size) exit(1); }}
static void write(const void *of, size_t size) {{ if (fwrite(of, 1, size, stdout) != size) exit(1); }}
int main(void)
{{
{"".join(blocks)}return 0;
}}
"""


def compile_all(folder, *options):
    program = folder / "program"
    command = [CC, *STRICT, *options, "-o", program, *sorted(folder.glob("*.c")), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    return program, done


def run(program, cases):
    """For each case, what model_predict and model_step write for each series."""
    data = b"".join(x.tobytes() for case in cases.values() for x in case.inputs())
    done = subprocess.run([program], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    results, at = {}, 0
    for name, case in cases.items():
        predicted, streamed = [], []
        for x, expected in zip(case.inputs(), case.predicted(), strict=True):
            K = expected.shape[1]
            for rows, results_of in ((len(expected), predicted), (len(x), streamed)):
                if results_of is streamed and case.stack.bidirectional:
                    continue
                size = rows * K * case.dtype.itemsize
                results_of.append(np.frombuffer(done.stdout[at : at + size], case.dtype).reshape(rows, K))
                at += size
        results[name] = predicted, streamed
    assert at == len(done.stdout)
    return results


@pytest.fixture(scope="module")
def cases():
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def folder(cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    for name, case in cases.items():
        to_c(case.est, folder / f"{name}.c", name=name, **case.options)
    (folder / "main.c").write_text(driver(cases))
    return folder


@pytest.fixture(scope="module")
def results(cases, folder):
    program, done = compile_all(folder, "-O2")
    assert done.returncode == 0, done.stderr
    return run(program, cases)


def assert_same(actual, expected, dtype):
    scale = max(1, max(np.abs(rows).max() for rows in expected))
    for rows, of in zip(actual, expected, strict=True):
        assert_allclose(rows, of, rtol=0, atol=scale * (1e-6 if dtype == np.float32 else 1e-12))


def exact(case):
    """The case, or if it is quantised, that of the quantised weights."""
    if not case.options:
        return case
    est, network = export._read(case.est)
    matrices = export.quantized_weights(network.stack, network.weights)
    return Case(export._with_weights(est, {name: of.restored for name, of in matrices.items()}), case.X)


@needs_compiler
@pytest.mark.parametrize("name", MAKERS)
def test_outputs_are_those_of_the_estimator(name, cases, results):
    case, (predicted, streamed) = exact(cases[name]), results[name]
    assert_same(predicted, case.predicted(), case.dtype)
    if not case.stack.bidirectional:
        assert_same(streamed, case.streamed(), case.dtype)


@needs_compiler
def test_sanitizers_find_nothing(cases, folder, results):
    program, done = compile_all(folder, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    if "cannot find" in done.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert done.returncode == 0, done.stderr
    for name, of_case in run(program, cases).items():
        for sanitized, plain in zip(of_case, results[name], strict=True):
            for rows, expected in zip(sanitized, plain, strict=True):
                assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)
