# Two commands do everything on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test slow lowest lint types docs gallery clean

demo: $(STAMP)
	$(BIN)/searchbench run examples/contest.toml --store demo.db --resume --brief
	$(BIN)/searchbench run examples/demo.toml --store demo.db --resume --brief

# One process per core, file by file, so that what a file sets up once is set up once.
test: $(STAMP)
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

slow: $(STAMP)
	$(BIN)/python -m pytest -q -m slow

# The lowest declared versions of every dependency, in an environment of their own; TORCH=torch==2.4.0 for PyTorch's too.
TORCH  ?= --constraint constraints.txt torch
LOWEST := $(VENV)-lowest
lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) .ci/lowest_versions.py > $(LOWEST)/floors.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/floors.txt \
	  --editable '.[images]' pytest pytest-timeout pytest-xdist hypothesis
	$(LOWEST)/bin/python -m pytest -q -n auto --dist loadfile -m 'not slow and not ray and not gpu' tests/unit tests/statistics

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

# The studies of docs/gallery, their pages and figures; a study whose data is not there is left out and said to be.
gallery: $(STAMP)
	$(BIN)/python benchmarks/gallery.py

# PyTorch is installed first and by itself, at the pinned version, so that nothing else pulls another build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "searchbench needs Python 3.11 or newer; try: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,images]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(LOWEST) site gallery demo.db demo.db-wal demo.db-shm *-report
