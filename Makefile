# Every target sets up what it needs: on a fresh machine `make demo` and `make test` are the only commands.

SHELL := bash
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STAMP := $(VENV)/.kcore-installed
PROJECTS := . backends/torch backends/jax backends/tf conformance examples/backends/mlx
TESTS := $(wildcard kcore tests backends/*/tests conformance/tests examples/backends/*/tests)

# Random stacks of layers on all backends, others each time: ARGS="-k jax".
stacks: $(STAMP)
	@KCORE_STACKS=$${KCORE_STACKS:-300} $(PY) -m pytest -q tests/properties $(ARGS)

# 200 rounds of build, fit, predict, clear_session on each backend: ARGS="--backend torch --rounds 50".
memory: $(STAMP)
	$(PY) benchmarks/memory.py $(ARGS)

# 100 processes each that save are killed at random moments of the save: ARGS="-k checkpoint".
kills: $(STAMP)
	@KCORE_KILLS=$${KCORE_KILLS:-100} $(PY) -m pytest -q -s tests/saving/test_kill.py $(ARGS)

# Damaged files of every format, 2,000 of each kind: ARGS="-k keras2_newer", KCORE_DAMAGE=10000.
fuzz: $(STAMP)
	@KCORE_DAMAGE=$${KCORE_DAMAGE:-2000} $(PY) -m pytest -q -s tests/saving/test_damage.py $(ARGS)

.PHONY: venv demo test golden proof stacks memory fuzz kills roundtrip lint bench bench-files clean

venv: $(STAMP)

# torch by itself and by exact version first: left to a resolver, its other builds bring gigabytes of CUDA.
# tf_keras asks for a TensorFlow distribution of another name than the CPU build has.
# The editable installs come last and take no dependencies, so that nothing above is exchanged.
$(STAMP): constraints.txt $(addsuffix /pyproject.toml,$(PROJECTS))
	@echo "Setting up $(VENV) (several minutes the first time) ..."
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip setuptools wheel
	$(PIP) torch==2.13.0
	$(PIP) tensorflow-cpu jax jaxlib "mlx[cpu]"
	$(PIP) numpy h5py pluggy pyyaml pytest pytest-xdist hypothesis ruff mypy scikit-learn pillow scipy pandas pydot matplotlib tensorboard safetensors
	$(PIP) --no-deps tf_keras
	for project in $(PROJECTS); do $(PIP) --no-deps --no-build-isolation --editable ./$$project || exit 1; done
	touch $@

demo: $(STAMP)
	$(PY) examples/demo.py

# ARGS="-k name" narrows a run. pytest's summary stays the last line.
test: $(STAMP)
	@$(PY) -m pytest -q -n 2 $(TESTS) $(ARGS)

# Every golden case on every backend (make test runs a part where each case is compiled).
golden: $(STAMP)
	@KCORE_GOLDEN_ALL=1 $(PY) -m pytest -q -n 2 tests/golden $(ARGS)

# The whole default conformance suite on every planted fault: ARGS="--sample 15", ARGS="-k mask".
proof: $(STAMP)
	$(PY) conformance/tests/prove.py $(ARGS)

# Model files to and from the real Keras 2.3.1 (where there is a Python 3.7), tf_keras and Keras 3: ARGS="--match lstm".
PYTHON37 ?= $(shell for p in python3.7 $(HOME)/.pyenv/versions/3.7*/bin/python; do $$p -c "" 2>/dev/null && echo $$p && break; done)
KERAS2 := keras==2.3.1 tensorflow==1.15.5 h5py==2.10.0 numpy==1.18.5 protobuf==3.20.3 pyyaml==6.0.1 scipy==1.7.3

roundtrip: $(STAMP)
	@test -x .venv37/bin/python -o -n "$$KERAS2_PYTHON" -o -z "$(PYTHON37)" || { \
		echo "Setting up .venv37 ..."; $(PYTHON37) -m venv .venv37; \
		.venv37/bin/pip --disable-pip-version-check install --quiet $(KERAS2) || rm -rf .venv37; }
	$(PY) tests/saving/roundtrip.py $(ARGS)

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(STAMP)
	$(PY) benchmarks/run.py $(ARGS)

# Saving and loading beside h5py and Keras 3: ARGS="--backend torch --cpu".
bench-files: $(STAMP)
	$(PY) -m benchmarks.files $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
