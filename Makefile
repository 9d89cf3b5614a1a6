# The two commands that matter: `make course` and `make test`. Both create what they need.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
ASSIGNMENTS := $(notdir $(patsubst %/exercises.ipynb,%,$(wildcard solutions/*/exercises.ipynb)))
READINGS := $(wildcard chapters/[0-9]*.ipynb)
SOURCES := $(wildcard solutions/*/exercises.ipynb)
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile

# Two kernels share two cores; one BLAS thread each is faster and repeatable.
export OMP_NUM_THREADS := 1
export PATH := $(BIN):$(PATH)
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib
export PYTHONWARNINGS := ignore:::debugpy

.PHONY: course site release grade test lint look serve solutions-book formgrader notebooks experiments lock clean help

help:
	@echo "make course      build the site, release the exercises, grade a made-up class"
	@echo "make test        everything that CI runs"
	@echo "make serve       the site on http://127.0.0.1:8000"
	@echo "make solutions-book  the course with model answers and rubrics, for instructors"
	@echo "make formgrader  nbgrader's own pages for the class in class/"
	@echo "make look        check every page in headless Chromium (needs Chromium)"
	@echo "make notebooks   run the readings and the solutions again and store their outputs"
	@echo "make experiments compute the results of long training runs again (hours)"
	@echo "make clean       remove what was built; class/ stays"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -c 'import matplotlib.pyplot'
	@touch $@

course: site release grade
	@echo
	@echo "The site:      _build/html/index.html (or: make serve)"

site: $(READY)
	jupyter-book build -n -W --keep-going --all --quiet .

release: $(READY)
	for name in $(ASSIGNMENTS); do nbgrader generate_assignment --log-level=ERROR $$name; done

# The made-up class holds endless loops; ten seconds a cell are enough to see them end.
grade: export AUTOGRADER_CELL_SECONDS := 10
grade: release
	autograder sample-class
	autograder grade
	for name in $(ASSIGNMENTS); do nbgrader generate_feedback --force --log-level=ERROR $$name; done
	nbgrader export --log-level=ERROR --to=class/grades.csv
	@autograder scores

test: lint
	python -m pytest $(SIDE_BY_SIDE) -rfEs tests
	python -m pytest $(SIDE_BY_SIDE) --nbval --nbval-sanitize-with=tests/nbval.cfg $(READINGS) $(SOURCES)

lint: $(READY)
	ruff check .
	ruff format --check .

look: site
	python tests/browser/check_pages.py _build/html

serve: site
	python -m http.server --bind 127.0.0.1 --directory _build/html 8000

# The same book with the solutions in place of the assignments. Nothing of it goes into _build/html.
solutions-book: $(READY)
	rm -rf _build/solutions
	mkdir -p _build/solutions
	cp -r _config.yml _toc.yml _ext references.bib chapters _build/solutions
	cp -r solutions/. _build/solutions/chapters
	sed -i.bak 's/^title: .*/&, with solutions/' _build/solutions/_config.yml
	jupyter-book build -n -W --keep-going --all --quiet _build/solutions --path-output _build/solutions/book
	@echo "For instructors only: _build/solutions/book/_build/html/index.html"

formgrader: $(READY)
	jupyter notebook --no-browser --ip=127.0.0.1

notebooks: $(READY)
	for notebook in $(READINGS) $(SOURCES); do \
	  jupyter nbconvert --to notebook --execute --inplace \
	    --ExecutePreprocessor.record_timing=False $$notebook; \
	done

experiments: $(READY)
	python -m experiments

lock:
	$(PYTHON) -m venv _build/lock
	_build/lock/bin/pip install --quiet -r requirements.txt
	{ echo "# Every package, exactly; made from requirements.txt by \`make lock\`."; \
	  _build/lock/bin/pip freeze | sed 's/+cpu$$//'; } > requirements.lock
	rm -rf _build/lock

clean:
	rm -rf _build dist $(VENV)
