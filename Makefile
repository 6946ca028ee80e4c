# Set-up is part of every target: the first one makes .venv and installs minise into it.

PYTHON ?= python3
CUDA ?= 13
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo train test check format lint types wheel parity gpu-check docs docs-links size clean

demo: $(VENV)/run.stamp  ## Train SE + FeLU on the embedded data set and evaluate it: about a minute
	rm -rf runs/demo
	$(BIN)/minise train --dataset shapes10 --model se-convnet --act felu --reduction 4 \
	    --limit-train 12000 --limit-test 2000 --epochs 5 --batch-size 64 --no-flip --crop 2 \
	    --optimizer adamw --lr 0.01 --schedule one_cycle --warmup 0 --run runs/demo
	$(BIN)/minise evaluate runs/demo

train: $(VENV)/run.stamp  ## Train SE + FeLU on CIFAR-10, downloaded if it is not there: about five minutes
	$(BIN)/minise train --dataset cifar10 --act felu

test: $(VENV)/dev.stamp  ## Run the tests: no GPU, no PyTorch, no network
	$(BIN)/python -m pytest -n auto

check: lint types test wheel  ## Everything that must hold before a commit

format: $(VENV)/dev.stamp  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

wheel: $(VENV)/dev.stamp  ## Build the wheel, install it into an empty environment and run it there
	rm -rf build dist $(VENV)/clean
	$(BIN)/python -m build --wheel
	$(PYTHON) -m venv $(VENV)/clean
	$(VENV)/clean/bin/pip install --quiet dist/*.whl
	cd $(VENV)/clean && bin/minise --version && bin/minise doctor && \
	    bin/minise train --dataset shapes10 --model se-convnet --limit-train 256 --limit-test 128 \
	        --epochs 1 --run run && bin/minise evaluate run

parity: $(VENV)/dev.stamp  ## Compare with PyTorch, which is installed for it
	$(BIN)/pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pytest -n auto -m torch

gpu-check: $(VENV)/dev.stamp  ## The tests that need an NVIDIA GPU; CUDA=12 for drivers before 580
	$(BIN)/pip install --quiet -e ".[dev,cuda$(CUDA)]"
	$(BIN)/python -m pytest -m gpu tests/kernels/cuda/test_kernels.py tests/kernels/test_gpu.py
	$(BIN)/minise gradcheck --backend cuda

docs: $(VENV)/docs.stamp  ## Build the documentation site into build/docs, and check it
	rm -rf build/docs
	$(BIN)/sphinx-build -q -W --keep-going -j auto -d build/doctrees -b html docs build/docs
	MINISE_DOCS=build/docs $(BIN)/python -m pytest tests/test_docs.py

size:  ## Print the lines of Python per room
	@$(PYTHON) bench/size.py

docs-links: $(VENV)/docs.stamp  ## Check the links to other sites: needs the network
	$(BIN)/sphinx-build -q -d build/doctrees -b linkcheck docs build/docs-links

$(VENV)/docs.stamp: $(VENV)/dev.stamp
	$(BIN)/pip install --quiet -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python >= 3.11 is needed, found {sys.version.split()[0]}: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet -e ".[fast,report,check]"
	touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@ $(VENV)/run.stamp
