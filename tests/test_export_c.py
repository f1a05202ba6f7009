"""C code of exported networks: compiled and run, its outputs are those of the estimators."""

import os
import re
import shutil
import subprocess
from copy import deepcopy
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
    "model_layer": lambda: layer(layers.LSTM, (6, 4), 2),
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


#: Networks with all of the loops and buffers; compiling with sanitizers takes long.
SANITIZED = (
    "lstm_three_layers_float64",
    "lstm_per_step",
    "lstm_missing",
    "gru_both_directions_per_step",
    "rnn_two_layers_both_directions",
    "cifg_float64",
    "events_one_hot",
    "events_embedded",
    "quantile_loss",
    "encoder_both_directions",
    "int8_text",
)


@needs_compiler
def test_sanitizers_find_nothing(cases, folder, results, tmp_path):
    some = {name: cases[name] for name in SANITIZED}
    for name in some:
        for suffix in (".c", ".h"):
            shutil.copy(folder / f"{name}{suffix}", tmp_path)
    (tmp_path / "main.c").write_text(driver(some))
    program, done = compile_all(tmp_path, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    if "cannot find" in done.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert done.returncode == 0, done.stderr
    for name, of_case in run(program, some).items():
        for sanitized, plain in zip(of_case, results[name], strict=True):
            for rows, expected in zip(sanitized, plain, strict=True):
                assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)


def exported(est, folder, **options):
    """Texts of the source and the header."""
    to_c(est, folder / "model.c", **options)
    return (folder / "model.c").read_text(), (folder / "model.h").read_text()


# -- the header -------------------------------------------------------------------------------------------------


def test_the_header_describes_inputs_outputs_and_memory(tmp_path):
    case = classifier(["fall", "rise"] * 6)
    _, header = exported(case.est, tmp_path, name="pump")
    text = " ".join(header.split())
    assert "LSTMClassifier, exported by fastlstm" in text
    assert "PUMP_INPUTS = 3 numbers for each step, oldest step first" in text
    assert "probabilities of the classes in pump_classes" in text
    n_bytes = 4 * (4 * SIZE * (3 + SIZE + 1) + 2 * (SIZE + 1))
    assert f"{n_bytes:,} bytes of constants and {4 * 2 * SIZE} bytes for each state" in text
    assert "void pump_step(pump_state *state, const float *x, float *out);" in header


def test_names_of_channels_are_in_the_header(tmp_path):
    names = ["load", "*/ int x; /*", "a\nb"]
    tables = [pd.DataFrame(rng.normal(size=(4, 3)), columns=names) for _ in range(6)]
    est = LSTMRegressor(2, **FEW).fit(tables, rng.normal(size=6))
    _, header = exported(est, tmp_path)
    assert header.count("*/") == header.count("/*") == 1
    assert '"load", "* / int x; / *", "a\\nb".' in " ".join(header.split())


def test_labels_are_integers_or_escaped_texts(tmp_path):
    source, header = exported(classifier([-3, 7] * 6).est, tmp_path)
    assert "extern const long model_classes[2];" in header
    assert "const long model_classes[2] = {\n    -3, 7,\n};" in source
    source, header = exported(classifier(['q"??/', "\u00e9\n"] * 6).est, tmp_path)
    assert "extern const char *const model_classes[2];" in header
    assert r'"q\"\?\?/", "\303\251\012",' in source


def test_symbols_are_listed_by_their_codes(tmp_path):
    case = of_text(embedding_size=2)
    source, header = exported(case.est, tmp_path)
    assert "x[0] is the index of a symbol in model_symbols_0, or any other number" in " ".join(header.split())
    assert 'model_symbols_0[3] = {\n    "a", "b", "c",\n};' in source


# -- int8 -------------------------------------------------------------------------------------------------------


def bytes_of_constants(header):
    return int(re.search(r"([\d,]+) bytes of constants", " ".join(header.split()))[1].replace(",", ""))


def test_int8_takes_a_quarter_of_the_memory_and_changes_little(tmp_path):
    X = np.sin(0.3 * np.arange(20) + rng.uniform(0, 6, size=(60, 1)))
    est = LSTMRegressor(64, **FEW | {"max_iter": 20}).fit(X[:, :-1], X[:, -1])
    _, before = exported(est, tmp_path)
    _, after = exported(est, tmp_path, quantize="int8", X_check=X[:, :-1])
    assert bytes_of_constants(after) < 0.3 * bytes_of_constants(before)
    at_most, on_average, deviation = map(
        float,
        re.search(
            r"at most (\S+), on average by (\S+); their standard deviation is (\S+)\.", " ".join(after.split())
        ).groups(),
    )
    assert 0 < on_average < at_most < 0.05 * deviation


@pytest.mark.parametrize(
    "name", ["int8_gru", "int8_events", "encoder_lstm", "layer_gru", "gru_both_directions_per_step"]
)
def test_the_error_of_weights_is_that_of_the_header(name, tmp_path):
    case = MAKERS[name]()
    X = np.stack([case.X[0]] * 2) if case.is_layer else case.X
    _, header = exported(case.est, tmp_path, quantize="int8", X_check=X)
    text = " ".join(header.split())
    bound = float(re.search(r"of its row, here by at most (\S+)\. On", text)[1])
    _, network = export._read(case.est)
    matrices = export.quantized_weights(network.stack, network.weights)
    assert {name for name, value in network.weights.items() if value.ndim == 2} == matrices.keys()
    largest = max(np.abs(of.restored - network.weights[name]).max() for name, of in matrices.items())
    assert 0.5 * bound < largest < 1.01 * bound
    assert "outputs differ from those of the model by at most" in text


def assert_same_header_in_bfloat16(case, narrow, folder):
    X = np.stack([case.X[0]] * 2)
    expected = exported(case.est, folder, quantize="int8", X_check=X)
    assert not np.array_equal(narrow.predicted()[0], case.predicted()[0])
    assert exported(narrow.est, folder, quantize="int8", X_check=X) == expected


@pytest.mark.parametrize("make", [regressor, encoder])
def test_the_error_of_outputs_does_not_depend_on_precision(make, tmp_path):
    case = make()
    narrow = Case(deepcopy(case.est), case.X)
    narrow.estimator.set_params(precision="bfloat16")
    assert_same_header_in_bfloat16(case, narrow, tmp_path)


def test_the_error_of_the_outputs_of_a_layer_does_not_depend_on_precision(tmp_path):
    case = layer(layers.GRU, 5)
    narrow = Case(layer(layers.GRU, 5, precision="bfloat16").est, case.X)
    assert_same_header_in_bfloat16(case, narrow, tmp_path)


def test_rows_of_zeros_have_a_scale():
    case = regressor()
    weights = {name: value.copy() for name, value in case.est.weights_.items()}
    weights["head.weight"][:] = 0
    matrices = export.quantized_weights(case.stack, weights)
    assert not matrices["head.weight"].restored.any()
    assert (matrices["head.weight"].scale > 0).all()


# -- invalid arguments ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return regressor().est


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "2x"}, "name='2x': expected letters, digits and underscores"),
        ({"name": "x;"}, "name='x;'"),
        ({"name": "\u00e9"}, "expected letters"),
        ({"name": None}, "name=None"),
        ({"quantize": "int4"}, "quantize='int4': expected 'int8' or None"),
        ({"quantize": np.array(["int8", "x"])}, "dtype='<U4'): expected 'int8' or None"),
        ({"X_check": [[0, 1]]}, "X_check has no effect without quantize"),
        ({"path": "model.h"}, "'model.h': expected a name that ends in .c"),
        ({"path": 'a"b.c'}, "cannot be part of the name"),
        ({"path": "math.c"}, "the header would have the name of one of the C library"),
    ],
)
def test_invalid_arguments_are_refused(fitted, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=re.escape(message)):
        to_c(fitted, **{"path": "model.c", **options})
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_named(fitted, tmp_path):
    path = tmp_path / "model.c"
    with pytest.raises(TypeError, match="path is of type int"):
        to_c(fitted, 3)
    with pytest.raises(TypeError, match=r"estimator is of type Pipeline; .*: export its last step"):
        to_c(make_pipeline(FunctionTransformer(), fitted), path)
    with pytest.raises(TypeError, match="estimator is of type LSTMForecaster"):
        to_c(LSTMForecaster(3), path)
    with pytest.raises(TypeError, match="estimator is the class LSTMRegressor"):
        to_c(LSTMRegressor, path)
    for est in (LSTMRegressor(), SequenceEncoder()):
        with pytest.raises(NotFittedError):
            to_c(est, path)
    assert not list(tmp_path.iterdir())


def test_numbers_without_counterpart_in_c_are_refused(tmp_path):
    est = regressor().est
    est.weights_ = {**est.weights_, "head.bias": np.array([np.nan], "float32")}
    with pytest.raises(ValueError, match=r"weights_\['head.bias'\] has values that are not finite"):
        to_c(est, tmp_path / "model.c")
    tiny = LSTMRegressor(2, **FEW).fit(numbers() * [1, 1, 1e-45], rng.normal(size=12))
    with pytest.raises(ValueError, match=r"Column 2 of X has the mean .* which float32 cannot represent: fit with"):
        to_c(tiny, tmp_path / "model.c")
    large = LSTMRegressor(2, **FEW).fit(numbers(), rng.normal(size=12) * 1e50)
    with pytest.raises(ValueError, match="Column 0 of y"):
        to_c(large, tmp_path / "model.c")
    assert not list(tmp_path.iterdir())


# -- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [1, 2])
def test_a_failure_leaves_both_files_as_they_were(fitted, fails, tmp_path, monkeypatch):
    before = exported(fitted, tmp_path)
    flush, calls = os.fsync, []

    def fail(descriptor):
        calls.append(descriptor)
        if len(calls) == fails:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        exported(fitted, tmp_path, name="other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.c", "model.h"]
    assert ((tmp_path / "model.c").read_text(), (tmp_path / "model.h").read_text()) == before


@pytest.mark.parametrize("suffix", [".c", ".h"])
def test_a_folder_in_the_place_of_a_file_is_an_error(fitted, suffix, tmp_path):
    (tmp_path / f"model{suffix}").mkdir()
    with pytest.raises(IsADirectoryError, match="not a file"):
        to_c(fitted, tmp_path / "model.c")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_an_error(fitted, tmp_path):
    with pytest.raises(FileNotFoundError):
        to_c(fitted, tmp_path / "missing" / "model.c")


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_links_are_kept_and_their_targets_written(fitted, tmp_path):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "a.c").write_text("old")
    (tmp_path / "model.c").symlink_to(target / "a.c")
    source, _ = exported(fitted, tmp_path)
    assert (tmp_path / "model.c").is_symlink()
    assert (target / "a.c").read_text() == source != "old"
    assert (tmp_path / "model.h").exists()


def test_the_same_network_gives_the_same_files(fitted, tmp_path):
    assert exported(fitted, tmp_path) == exported(fitted, tmp_path)
