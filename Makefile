# Two commands for everyone: `make demo` and `make test`. Each sets itself up in .venv of this checkout.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
IN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check install --quiet
BENCH := $(IN)/python -m pytest -W default --benchmark-only --benchmark-quiet
PARALLEL := -n auto --dist worksteal
AVX2 := +avx2,+fma,+avx,+sse4.2,+sse4.1,+ssse3,+bmi,+bmi2,+popcnt
# after an edit of these, the compiled backend is made anew
BUILT := pyproject.toml setup.py $(wildcard csrc/*)

.PHONY: demo test contracts test-system test-slow test-all test-oldest fuzz faults wheel sanitize results precision-results bench bench-backends forecasts translations latency precision report torch golden models pictures clean

demo: $(VENV)/examples
	$(IN)/python examples/demo.py

test: $(VENV)/test
	$(IN)/ruff format --check .
	$(IN)/ruff check .
	$(IN)/python -m pytest $(PARALLEL)

# builds, caches of machine code, processes under joblib and such that are killed
test-system: $(VENV)/test
	$(IN)/python -m pytest $(PARALLEL) -m system

# what takes minutes: that the LSTM learns, and all of Numba's kernels compiled for other CPUs
test-slow: $(VENV)/test $(VENV)/aeon
	$(IN)/python -m pytest -m slow

# every combination of a test's parameters, where `make test` runs every pair of them
test-all: $(VENV)/test
	$(IN)/python -m pytest $(PARALLEL) --every-combination

# whether the tests catch the faults in tests/planted_faults.txt, one at a time; about half an hour
faults: $(VENV)/test
	$(IN)/python tests/planted_faults.py

# the same as a table, with times and, after `make torch`, torch's
results: $(VENV)/test $(VENV)/aeon
	$(IN)/python bench/results.py

# whether products of bfloat16 numbers learn as much, with five seeds and paired tests; some hours
precision-results: export OMP_NUM_THREADS = 1
precision-results: $(VENV)/test $(VENV)/aeon $(VENV)/sktime
	$(IN)/python bench/precision_learning.py

# the oldest supported versions of the runtime dependencies
test-oldest: $(OLDEST)/test
	$(OLDEST)/bin/python -m pytest $(PARALLEL)

# time series libraries that call the estimators, each in an environment of its own; `make contracts-darts` for one
CONTRACTS := $(patsubst tests/contracts/%.txt,contracts-%,$(wildcard tests/contracts/*.txt))
contracts: $(CONTRACTS)

contracts-%: .venv-contracts-%/ok
	.venv-contracts-$*/bin/python -m pytest -c tests/contracts/pytest.ini --rootdir . tests/contracts/test_$(*)*.py

# the property tests on many more examples, a thousand random bad calls of each method, and 100,000 forged model files
fuzz: $(VENV)/test
	HYPOTHESIS_PROFILE=fuzz $(IN)/python -m pytest tests/test_lengths.py tests/test_forged_checkpoints.py -k "any_batch or any_forgery or any_bytes"
	HYPOTHESIS_PROFILE=fuzz $(IN)/python -m pytest tests/test_random_calls.py
	HYPOTHESIS_PROFILE=fuzz $(IN)/python -m pytest tests/test_forged_models.py

# the sdist and this platform's wheel, in dist/, and the kernel tests against it
wheel: $(VENV)/python
	PYTHON=$(IN)/python tests/wheel.sh

# the compiled kernels under AddressSanitizer and UndefinedBehaviorSanitizer, and their threads under ThreadSanitizer
sanitize: $(VENV)/test
	PYTHON=$(IN)/python tests/sanitize.sh address
	PYTHON=$(IN)/python tests/sanitize.sh thread

# some fifteen minutes; peers that are not installed are left out, and their warnings are not our errors
bench: $(VENV)/bench
	mkdir -p .benchmarks
	$(BENCH) bench --ignore=bench/test_backends.py --benchmark-json=.benchmarks/latest.json
	$(IN)/python bench/processes.py .benchmarks/latest.json

# the cython backend beside Numba's, as on this CPU and as on one with AVX2 only (x86-64)
bench-backends: $(VENV)/bench
	mkdir -p .benchmarks
	$(BENCH) bench/test_backends.py --benchmark-json=.benchmarks/backends.json
	FASTLSTM_ISA=avx2 NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=$(AVX2) \
		$(BENCH) bench/test_backends.py --benchmark-json=.benchmarks/backends_avx2.json

# forecasts of real and simulated series beside those of other libraries, some hours; the libraries, which need an older
# pandas, have an environment of their own
FORECASTS := .venv-forecasts/bin/python
forecasts: export OMP_NUM_THREADS = 1
forecasts: .venv-forecasts/ok
	$(FORECASTS) bench/forecasting.py
	$(FORECASTS) bench/forecasting_darts.py

# pairs to translate, and a picture of attention; some hours, most of them for 2 x 256 cells on the pronunciations
translations: $(VENV)/translation
	$(IN)/python bench/translation.py
	$(IN)/python bench/translation_picture.py

# a single call of predict beside those of scikit-learn, and a single step of stacked layers in both precisions
latency: $(VENV)/examples
	$(IN)/python bench/latency.py
	$(IN)/python bench/step_latency.py

# both precisions beside torch's, some eight minutes; `FASTLSTM_ISA=avx2 make precision` for that level of the CPU
precision: $(VENV)/bench
	$(IN)/python bench/precision.py --json .benchmarks/precision$(FASTLSTM_ISA:%=_%).json

# the last benchmark as tables and pictures
report: $(VENV)/bench
	$(IN)/python bench/report.py

# the peer that the benchmark, the demo and the live parity tests compare with; a CPU build is enough
torch: $(VENV)/test
	$(IN)/python $(PIP) torch==2.13.0

# parity data for machines without torch
golden: torch
	$(IN)/python tests/make_golden.py

# files of models of this version, which later ones must load; once for each release
models: $(VENV)/test
	$(IN)/python tests/make_models.py

# the pictures that the displays are compared with
pictures: $(VENV)/test
	$(IN)/python tests/make_pictures.py

$(VENV)/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"fastlstm needs Python 3.11 or newer, this is {sys.version}; set PYTHON="'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/%: $(VENV)/python $(BUILT)
	$(IN)/python $(PIP) --editable '.[$*]'
	touch $@

# for the data sets that come with it; without what it depends on, an old Numba among others, as it is never imported
$(VENV)/aeon: $(VENV)/python
	$(IN)/python $(PIP) --no-deps aeon==1.6.0
	touch $@

# likewise
$(VENV)/sktime: $(VENV)/python
	$(IN)/python $(PIP) --no-deps sktime==1.2.0
	touch $@

$(OLDEST)/test: $(BUILT) tests/oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP) --editable '.[test]' --constraint tests/oldest.txt
	touch $@

.venv-contracts-%/ok: $(BUILT) tests/contracts/%.txt
	$(PYTHON) -m venv .venv-contracts-$*
	.venv-contracts-$*/bin/python $(PIP) --editable . --requirement tests/contracts/$*.txt
	touch $@

.venv-forecasts/ok: $(BUILT) bench/forecasting_peers.txt
	$(PYTHON) -m venv .venv-forecasts
	$(FORECASTS) $(PIP) torch==2.13.0
	$(FORECASTS) $(PIP) --editable . --requirement bench/forecasting_peers.txt
	$(FORECASTS) $(PIP) --no-deps aeon==1.6.0 sktime==1.2.0
	touch $@

.PRECIOUS: .venv-contracts-%/ok

clean:
	rm -rf $(VENV) $(OLDEST) .venv-contracts-* .venv-forecasts .venv-wheel build dist demo fastlstm/kernels/cython/*.so
