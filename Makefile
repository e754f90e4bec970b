# `make demo` and `make test` set themselves up; repeated calls are instant.
# PYTHON=... chooses an interpreter (3.11 to 3.13); otherwise the newest one found is taken.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test soak lint format docs docs-check constraints clean

VENV := .venv
DEV := .venv-test
DEMO_FOLDER := segue-demo
TORCH := 2.13.0
# PyTorch's own page of builds without CUDA; asked only where the usual index has none.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
PIP := -m pip --disable-pip-version-check install --quiet
PYTEST := OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest

# One line of shell that prints the interpreter to use, or says in one line why there is none.
CHECK := import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else 1)
CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
FIND_PYTHON = python=; for name in $(CANDIDATES); do \
	if "$$name" -c '$(CHECK)' >/dev/null 2>&1; then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then \
	echo "Segue needs Python 3.11, 3.12 or 3.13; none of these is one: $(CANDIDATES). Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	echo "$$python lacks the venv module: install it (Debian, Ubuntu: apt install python3-venv), or name another: make PYTHON=/path/to/python3.11" >&2; exit 1; fi

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.ready ## inpaint a bundled piece; MIDI, WAV and picture in ./segue-demo (no PyTorch)
	@$(VENV)/bin/segue demo --output $(DEMO_FOLDER)

test: $(DEV)/.ready ## run the tests (brings a CPU PyTorch)
	@$(PYTEST) -n 2 $(ARGS)

soak: $(DEV)/.ready ## run the long counts of the promises (hours)
	@$(PYTEST) -m soak --timeout 0 $(ARGS)

lint: $(DEV)/.ready ## style, types and import rules
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.ready ## write the code in the house format
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

docs: $(DEV)/.ready ## write the generated pages of docs/reference
	$(DEV)/bin/python docs/make_reference.py

docs-check: $(DEV)/.ready ## the generated pages are current and every documented command exists
	$(DEV)/bin/python docs/make_reference.py --check
	@$(PYTEST) tests/architecture/test_documents.py

constraints: ## write constraints.txt anew (needs uv)
	@grep '^#' constraints.txt > constraints.new
	@echo "torch==$(TORCH)" | uv pip compile --universal --python-version 3.11 --extra dev \
		--no-header --no-annotate --no-emit-index-url -q -c /dev/stdin pyproject.toml >> constraints.new
	@mv constraints.new constraints.txt

clean: ## remove what make made
	rm -rf $(VENV) $(DEV) $(DEMO_FOLDER) build dist

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || { \
		$(FIND_PYTHON); echo "Setting up $(VENV) with $$python (once)"; \
		rm -rf $(VENV) && "$$python" -m venv $(VENV); }
	@$(VENV)/bin/python $(PIP) -c constraints.txt -e . && touch $@

$(DEV)/.ready: pyproject.toml constraints.txt
	@$(DEV)/bin/python -m pip --version >/dev/null 2>&1 || { \
		$(FIND_PYTHON); echo "Setting up $(DEV) with $$python and a CPU PyTorch (once, minutes)"; \
		rm -rf $(DEV) && "$$python" -m venv $(DEV); }
	@if [ "$$(uname -s)" = Linux ]; then \
		$(DEV)/bin/python $(PIP) -c constraints.txt "torch==$(TORCH)+cpu" 2>/dev/null \
		|| $(DEV)/bin/python $(PIP) -c constraints.txt --timeout 15 --retries 1 \
			--extra-index-url $(TORCH_CPU_INDEX) "torch==$(TORCH)+cpu" 2>/dev/null \
		|| echo "No CPU build of PyTorch $(TORCH) is offered here; taking the usual build."; fi
	@$(DEV)/bin/python $(PIP) -c constraints.txt -e '.[dev]' && touch $@
