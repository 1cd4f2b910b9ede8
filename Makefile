# make demo       1,000 images from the bundled generator, and a picture of them
# make test       lint, types, tests
# make test-long  the long proofs
# make benchmark  figures for BENCHMARKS.md
# Each makes .venv first, once; a change of setup.cfg, pyproject.toml or constraints.txt installs again. make test also
# installs the other runtimes that read our files; one that cannot be installed here has its tests skipped. So have
# pages theirs where there is no Chromium (Debian: apt-get install chromium).

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
OLDEST := .venv-oldest/installed
TRAINERS := .venv/trainers
WEB := tests/export/web/node_modules/.package-lock.json

.PHONY: demo test test-long benchmark

demo: $(INSTALLED)
	rm -rf synthetic/demo
	$(BIN)/gan-batch --model bundled --count 1000 --seed 1 --out synthetic/demo
	@echo
	@echo "1,000 images:     synthetic/demo/images/00000/"
	@echo "their manifest:   synthetic/demo/manifest.csv"
	@echo "look at this one: synthetic/demo/contact_sheet.png"
	@echo
	@echo "Next, on your own photos:"
	@echo "  source .venv/bin/activate"
	@echo "  gan-train path/to/photos"
	@echo "  gan-export onnx"
	@echo "  gan-batch --count 10000"

test: $(INSTALLED) $(OLDEST) $(if $(shell command -v npm 2>/dev/null),$(WEB))
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# mypy works on one core, so the tests have the other meanwhile; what it says comes last, where it is seen.
	$(BIN)/mypy >.venv/types 2>&1 & types=$$!; \
	$(BIN)/pytest -m "not long" -n auto --dist worksteal; tests=$$?; \
	wait $$types; types=$$?; cat .venv/types; [ $$types = 0 ] || exit $$types; exit $$tests

test-long: $(TRAINERS)
	$(BIN)/pytest -m long

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/png.py
	$(BIN)/python benchmarks/variants.py
	$(BIN)/python benchmarks/scale.py --shards 1000,10000
	$(BIN)/python benchmarks/train.py

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@

# The trainers that read what `gan-batch convert` writes.
$(TRAINERS): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[trainers]'
	@touch $@

# The oldest ONNX Runtime that is claimed to run our files, with a NumPy of its days. It knows Python up to 3.13.
$(OLDEST): Makefile | $(INSTALLED)
	$(BIN)/python -m venv --clear --without-pip .venv-oldest
	$(BIN)/pip --python .venv-oldest/bin/python install --quiet --no-deps \
		'onnxruntime==1.20.1; python_version < "3.14"' 'numpy==2.1.3; python_version < "3.14"'
	@touch $@

# npm ci ends with this file.
$(WEB): tests/export/web/package.json tests/export/web/package-lock.json
	cd $(<D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
