# Everything runs in .venv: `make demo` and `make test` need only Python, git and make.

PYTHON      ?= python3
# Where pip looks for torch besides its usual index, for example
# https://download.pytorch.org/whl/cpu for the smaller build without CUDA.
TORCH_INDEX ?=
# Processes of the test suite: one more than two cores, since tests wait for disks and servers.
JOBS        ?= 3

# Folder of `make stack`: its logs, ports, secrets and data.
STACK       ?= stack

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.DEFAULT_GOAL := help
.PHONY: help setup demo stack stack-status stack-stop stack-test sbom audit test soak bench docs check lint format lock clean distclean

help:            ## Show this list
	@sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p; s/^\([a-z-]*\):  *## /  make \1\t/p' $(MAKEFILE_LIST)

setup: $(READY)  ## Install expunge and its tools into .venv

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("expunge needs Python 3.11 or newer; try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INDEX) -c requirements.lock -e '.[dev]'
	@touch $@

demo: setup      ## Run the main job on a small real dataset, in demo/
	OMP_NUM_THREADS=1 $(BIN)/python -m expunge.cli demo --workspace demo  # a network this small gains nothing by threads

stack: setup     ## Run PostgreSQL, S3, Prefect, MLflow and two workers here, in stack/
	$(BIN)/python -m deploy.stack --root $(STACK) start

stack-status: setup ## Show each process of the stack
	$(BIN)/python -m deploy.stack --root $(STACK) status

stack-stop: setup ## End every process of the stack
	$(BIN)/python -m deploy.stack --root $(STACK) stop

stack-test: setup ## Run the main job by schedule through a fresh stack, in build/stack-test
	OMP_NUM_THREADS=1 $(BIN)/python -m deploy.stack --root build/stack-test test

# Tools of the supply chain live apart, so that they are not in the list which they make.
build/tools/bin/cyclonedx-py:
	$(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0 pip-audit==2.10.1

sbom: setup build/tools/bin/cyclonedx-py ## Write build/sbom.json (CycloneDX): what .venv holds, with licences
	build/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --of JSON -o build/sbom.json $(BIN)/python

audit: build/tools/bin/cyclonedx-py ## Ask PyPI for known vulnerabilities of requirements.lock; needs the internet
	build/tools/bin/pip-audit --strict --no-deps --disable-pip -r requirements.lock || \
	  { echo "Above: a vulnerability, or PyPI's database is out of reach from here ('could not be audited')."; exit 1; }

test: setup      ## Run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

soak: setup      ## Rounds of faults on real processes (an hour); writes build/soak
	PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak.soak $(SOAK)

bench: setup     ## Compare all strategies; writes docs/benchmarks.md (EXPUNGE_DATA: more datasets)
	PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/dvc repro benchmarks/dvc.yaml

docs: setup      ## Write docs/cli.md and docs/settings.md from the code
	$(BIN)/python -m typer expunge.cli.app utils docs --name expunge --title "The expunge command" --output docs/cli.md
	$(BIN)/python -m expunge.settings.page > docs/settings.md

check: setup     ## Lint, format, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: setup      ## Mend what the linter can mend
	$(BIN)/ruff check --fix .

format: setup    ## Format the code
	$(BIN)/ruff format .

lock: setup      ## Write requirements.lock from what .venv holds
	sed -n '/^#/p' requirements.lock > requirements.lock.new
	$(BIN)/python -m pip freeze --exclude-editable | grep == | sed 's/+.*//' \
	  | grep -viE '^(expunge|nvidia|cuda|triton)' | LC_ALL=C sort -f >> requirements.lock.new
	mv requirements.lock.new requirements.lock
	@touch $(READY)

clean:           ## Remove the demo, build results and caches
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find expunge flows tasks tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove .venv as well
	rm -rf $(VENV) *.egg-info
