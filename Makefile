# Two commands do all the set-up: make demo, make test. make check is the whole gate.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

EXTRAS := .venv-extras
VISION := .venv-vision
LOWEST := .venv-lowest

.PHONY: setup demo test test-extras test-vision test-lowest check dist docs format bench study clean

setup: $(READY)

# Plain pip, and PyTorch first: its CPU build then satisfies everything that asks for it.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

# The search of docs/quickstart.md: students see a tenth of the digits, others never a 3; then ONNX.
demo: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[onnx]'
	$(BIN)/goodteacher search digits --teacher mlp:256,256 --student mlp:32 \
	  --transfer-fraction 0.1 --selection-fraction 0.3 --batch-sizes 16,64 \
	  --student-epochs 150 --student-batch-size 16 --temperatures 1,2,4,8,16 --seeds 10 --out demo
	$(BIN)/goodteacher verify demo --seeds 10 --omit-class 3
	$(BIN)/goodteacher export demo --out demo/shipped

# One process a core, each with one thread: two threads for each would wait for one another.
TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

test: $(READY)
	$(TESTS)

# What needs optional packages (transformers, Lightning, Keras, ONNX Runtime, skl2onnx, trackers, s3fs,
# Ray, a notebook's kernel, Playwright with a Chromium), in an environment of its own.
test-extras:
	test -x $(EXTRAS)/bin/python || $(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(EXTRAS)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test-extras]'
	OMP_NUM_THREADS=1 $(EXTRAS)/bin/pytest -n auto --dist worksteal tests/integrations tests/examples \
	  tests/engines tests/teachers tests/contracts tests/delivery tests/public/test_exporting.py \
	  tests/public/test_beside_teacher.py tests/report/trackers tests/report/test_browser*.py \
	  tests/report/test_screens.py tests/report/test_live.py \
	  tests/networks/test_pretrained.py tests/networks/test_processing.py tests/studies \
	  tests/test_study_hugging_face.py tests/test_study_vision.py tests/test_study_at_a_url.py

# Networks of timm and torchvision. 5 GB, and so not a part of CI: torchvision runs only with the
# build of PyTorch that it was made for, so both come from the registry here, libraries for GPUs included.
test-vision:
	test -x $(VISION)/bin/python || $(PYTHON) -m venv $(VISION)
	sed '/^torch==/d' constraints.txt > $(VISION)/constraints.txt
	$(VISION)/bin/pip install --quiet --disable-pip-version-check --constraint $(VISION)/constraints.txt torchvision timm
	$(VISION)/bin/pip install --quiet --disable-pip-version-check --constraint $(VISION)/constraints.txt --editable '.[test-vision]'
	OMP_NUM_THREADS=1 $(VISION)/bin/pytest -n auto --dist worksteal tests/contracts tests/networks tests/examples \
	  tests/test_study_vision.py tests/experiments/test_pretrained_teacher.py

# The tests that need no extra, with the lowest version of each dependency that pyproject.toml declares. PyTorch 2.6
# makes no single graph of a loss when it compiles it, so that is left out.
test-lowest:
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(PYTHON) scripts/lowest.py > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/lowest.txt --editable . \
	  pytest pytest-xdist hypothesis pyyaml pandas
	OMP_NUM_THREADS=1 $(LOWEST)/bin/pytest -n auto --dist worksteal -W default -k 'not compiled_loss' tests/maths tests/config tests/records \
	  tests/data tests/networks tests/responses tests/training tests/studies tests/students tests/cli tests/public

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TESTS)

# Wheel and sdist in dist/, built twice from the same commit: every byte must be equal.
EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 1577836800)
dist: $(READY)
	rm -rf dist build/again
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python -m build --quiet --outdir dist .
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python -m build --quiet --outdir build/again .
	for file in dist/*; do cmp $$file build/again/$$(basename $$file) || exit 1; done

# The site, in site/. Its search needs a server: python -m http.server --directory site. A warning, such as a
# link that leads nowhere, is an error.
docs: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	$(BIN)/mkdocs build --strict --clean --quiet

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Nothing else should run on the machine meanwhile: about an hour and a half on two cores.
RESULTS := benchmarks/results
bench: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/peers/run.py --out $(RESULTS)/peers.json
	$(BIN)/python benchmarks/peers/run.py --teacher cnn:32,64,128 --student cnn:16,32,64 \
	  --examples 2560 --epochs 6 --teacher-epochs 8 --out $(RESULTS)/peers_small.json
	$(BIN)/python benchmarks/step_cost.py --out $(RESULTS)/step_cost.json
	$(BIN)/python benchmarks/stack_profile.py --out $(RESULTS)/stack_profile.json
	$(BIN)/python benchmarks/teacher_step.py --out $(RESULTS)/teacher_step.json
	$(BIN)/python benchmarks/student_epoch.py --out $(RESULTS)/student_epoch.json
	$(BIN)/python benchmarks/scaling.py --out $(RESULTS)/scaling.json --plot docs/scaling.svg
	$(BIN)/python benchmarks/search.py fashion_mnist
	$(BIN)/python benchmarks/search.py cifar10 --config cifar10_small
	$(BIN)/python benchmarks/tables.py

# The study of docs/study.md; hours on two cores (STUDY=gpu: for a GPU). Run again, it goes on.
STUDY := cpu
study: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python experiments/run.py experiments/$(STUDY)/*.toml --out study
	$(BIN)/python experiments/taking.py study/results
	$(BIN)/python experiments/assemble.py

clean:
	rm -rf $(VENV) $(EXTRAS) $(VISION) $(LOWEST) site .bench demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
