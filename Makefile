# make serve     set up what is needed and watch a simulated headset
# make test      set up what is needed, a browser included, and run every check
# make fuzz      try many more damaged files, invalid requests and examples than make test does
# make docs      build the documentation into build/docs
# make pictures  take screenshots of the page's states, into tests/screenshots
# make bench     measure what this machine can do
# make scale     kill workers, gateways and a NATS server under a session, and count what is lost;
#                make scale KILLS=200
# make clean     remove what was made here

PYTHON ?= python3
KILLS ?= 20
# An extra package index, e.g. https://download.pytorch.org/whl/cpu for PyTorch's CPU builds.
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt $(INDEX)
TWO := $(MAKE) --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync)
SOURCES := pyproject.toml constraints.txt hatch_build.py
PAGE := $(shell find dashboard -type f -not -path '*/node_modules/*' -not -path '*/dist/*')

# Tests start many programs, which would compile the package anew each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test pytest lint types page-test docs fuzz pictures bench scale packages python-packages clean

serve: $(VENV)/serve
	$(BIN)/mimamba serve

# The checks run one after the other beside the tests, which wait half of their time, and beside the
# compilation for these. As many tests at a time as tests/conftest.py says, in the order it gives; the
# + shows their progress at once.
test: $(VENV)/test
	$(TWO) pytest lint types page-test docs

pytest: $(VENV)/bytecode
	+$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder --durations=10

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test
	$(BIN)/mypy

page-test: $(VENV)/test
	$(BIN)/python -m tests.npm check lint test

docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

fuzz: $(VENV)/test
	MIMAMBA_MUTATIONS=200 MIMAMBA_API_EXAMPLES=20 $(BIN)/python -m pytest tests/drivers/formats/test_hostile.py tests/service/api/test_openapi.py
	MIMAMBA_EXAMPLES=1000 $(BIN)/python -m pytest --numprocesses=auto --timeout=3600 tests/drivers tests/models tests/service/sessions

pictures: $(VENV)/test
	MIMAMBA_PICTURES=1 $(BIN)/python -m pytest tests/page

bench: $(VENV)/test
	$(BIN)/mimamba bench

scale: $(VENV)/test
	$(BIN)/python -m tests.benchmarks.cluster.take_over --kills $(KILLS)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mimamba needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip  # that of Python 3.11 takes twice as long to find all versions

$(VENV)/serve: $(VENV)/bin/python $(SOURCES) $(PAGE)
	$(INSTALL) --editable .
	touch $@

# The extra "dev" holds all of "docs". The system's packages come meanwhile; a browser that only
# Playwright can install comes after it.
$(VENV)/test: $(VENV)/bin/python $(SOURCES) $(PAGE)
	$(TWO) packages python-packages
	$(BIN)/python -m tests.browser
	touch $(VENV)/serve $(VENV)/docs $@

packages: $(VENV)/bin/python
	$(BIN)/python -m tests.packages

# Once, instead of in each of the processes that run the tests.
$(VENV)/bytecode: $(VENV)/test
	$(BIN)/python -m pytest --collect-only --quiet --quiet > /dev/null
	touch $@

python-packages: $(VENV)/bin/python
	$(INSTALL) --editable '.[dev]'

$(VENV)/docs: $(VENV)/serve
	$(INSTALL) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) service/dist dashboard/node_modules build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
