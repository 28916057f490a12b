# Two commands do all the set-up: make demo, make test. make check is the whole gate.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test check format bench clean

setup: $(READY)

# Plain pip, and PyTorch first: its CPU build then satisfies everything that asks for it.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/goodteacher search digits --teacher mlp:256,256 --student mlp:8 \
	  --batch-sizes 16,64,256 --epochs 32 \
	  --student-batch-size 32 --student-epochs 54 --seeds 10 --threads 1 --out demo

test: $(READY)
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python benchmarks/peers/run.py --out benchmarks/results/peers.json
	$(BIN)/python benchmarks/step_cost.py --out benchmarks/results/step_cost.json
	$(BIN)/python benchmarks/student_epoch.py
	$(BIN)/python benchmarks/fashion_mnist_search.py

clean:
	rm -rf $(VENV) .bench demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
