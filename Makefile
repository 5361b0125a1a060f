# Two commands are the whole set-up: `make demo` and `make test`. They need Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

# without written bytecode every process compiles PyTorch's sources anew: 17 s instead of 4
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench bench-presets bench-search bench-step torture leaks fuzz honesty golden slow gpu lock clean

demo: $(READY)
	$(BIN)/harness run ultrasound-nerve-segmentation --sample

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 15 -m "not slow and not gpu"

slow: $(READY)
	$(BIN)/python -m pytest -m slow --durations 15

# on a machine with a CUDA device; elsewhere they are skipped, and say so
gpu: $(READY)
	$(BIN)/python -m pytest -m gpu -rs --durations 5

# ten minutes over the readers of what strangers write; fails where one breaks
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz 600

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# a hundred seeds of noise for each type of task; goes on where it was stopped
honesty: $(READY)
	$(BIN)/python -m benchmarks.honesty

bench-presets: $(READY)
	$(BIN)/python -m benchmarks.presets

# an hour or two; goes on where it was stopped
bench-search: $(READY)
	$(BIN)/python -m benchmarks.search

# a quarter of an hour: 200 kills, 100 failing disks; rewrites benchmarks/results/torture.md
torture: $(READY)
	$(BIN)/python -m benchmarks.torture

bench-step: $(READY)
	$(BIN)/python -m benchmarks.step

# twelve kinds of leak planted into every sample
leaks: $(READY)
	$(BIN)/python -m benchmarks.leaks

bench: $(READY)
	$(BIN)/python -m benchmarks.run_lengths
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.predict_memory
	$(BIN)/python -m benchmarks.thresholds
	$(BIN)/python -m benchmarks.duplicates
	$(BIN)/python -m benchmarks.bundle

# rewrites the recorded loss curves: only for a change that means to move them
golden: $(READY)
	$(BIN)/python -m pytest tests/test_golden.py --rewrite-golden

lock: UPGRADE ?= --upgrade
lock: $(READY)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" --extra dev --extra kaggle $(UPGRADE) pyproject.toml -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep -oE '^uv==[0-9.]+' requirements.lock)
	$(BIN)/uv pip sync --quiet --system-certs --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf .venv
