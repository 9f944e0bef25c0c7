# Two commands do all, on a machine with Python 3.11 or newer, pip, make and git: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
UV      = .bootstrap/bin/uv
BIN     = $(VENV)/bin

export UV_COMPILE_BYTECODE = 1
export UV_LINK_MODE = copy

.PHONY: demo test lint lock board clean help

help:
	@echo "make demo   install into $(VENV), run the whole way on real data offline, print the table, name the board"
	@echo "make test   install into $(VENV), run the linters and the tests"
	@echo "make lint   ruff and mypy"
	@echo "make board  render leaderboard/ from the committed records"
	@echo "make lock   compile requirements.txt from pyproject.toml anew"

demo: $(VENV)/.installed
	$(BIN)/ssl-bench demo

# One worker per core and one thread per worker: threads of several workers on one core wait for one another.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

board: $(VENV)/.installed
	$(BIN)/ssl-bench board --unpaired --suite small7 --html leaderboard/board.html --markdown leaderboard/README.md \
		--csv leaderboard/board.csv --parquet leaderboard/board.parquet

# uv comes from the index into a folder of its own (`--target` is allowed where the system's Python is externally
# managed); it also makes environments where the venv module has no ensurepip.
$(UV):
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .bootstrap uv

$(VENV)/.installed: requirements.txt pyproject.toml | $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --python "$$(command -v $(PYTHON))" $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

lock: | $(UV)
	$(UV) pip compile --quiet --universal --python-version 3.11 --extra dev --no-emit-index-url --no-header \
		--no-annotate --output-file requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) .bootstrap demo build dist
