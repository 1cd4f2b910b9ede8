# make demo       1,000 images from the bundled generator, and a picture of them
# make test       lint, types, tests
# make test-long  the long proofs
# make benchmark  figures for BENCHMARKS.md
# Each makes .venv first, once; a change of setup.cfg, pyproject.toml or constraints.txt installs again.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test test-long benchmark

demo: $(INSTALLED)
	rm -rf synthetic/demo
	$(BIN)/gan-batch --model models/steel_scratches_128.onnx --count 1000 --seed 1 --out synthetic/demo
	@echo
	@echo "1,000 images:     synthetic/demo/00000/"
	@echo "their manifest:   synthetic/demo/manifest.csv"
	@echo "look at this one: synthetic/demo/contact_sheet.png"
	@echo
	@echo "Next, on your own photos:"
	@echo "  source .venv/bin/activate"
	@echo "  gan-train path/to/photos"
	@echo "  gan-export onnx"
	@echo "  gan-batch --count 10000"

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not long"

test-long: $(INSTALLED)
	$(BIN)/pytest -m long

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/png.py
	$(BIN)/python benchmarks/train.py

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@
