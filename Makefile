# Everything runs in .venv, made on first use with the versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
GANREV := $(RUN) -m ganrev
INSTALLED := $(VENV)/.installed
EXTRAS ?= dev,perceptual,joblib,submitit,opponents,train,qr,demo
ARGS ?=
RUNS ?= results/runs/*
REPORT ?= results/report.html
CURVES ?= results/tables/rd.csv

# Without these, glibc returns every freed tensor to the kernel: a step of training takes nearly twice as long.
export MALLOC_TRIM_THRESHOLD_ = 100000000000
export MALLOC_MMAP_MAX_ = 0
export MALLOC_TOP_PAD_ = 100000000

.PHONY: help install table1 table2 table figures rd automatic sweep bench scale collect report test fuzz guided kills mutants coverage lint format generator opponents clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo '  ARGS="..." passes Hydra overrides on, for example: make table1 ARGS="data.limit=60"'

install: $(INSTALLED) ## create .venv with the pinned versions

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ganrev needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $@

table1: $(INSTALLED) ## the paper's Table 1, measured (fetches 25 MB of sample pictures once)
	$(GANREV) table table1 $(ARGS)

table2: $(INSTALLED) ## all codecs at 120, 250, 445 and 700 bytes: make table2 ARGS="codec.faces=[shard.tar]"
	$(GANREV) table table2 $(ARGS)

table: $(INSTALLED) ## another table: make table ARGS="baselines data.limit=60"
	$(GANREV) table $(ARGS)

figures: $(INSTALLED) ## all figures whose runs are stored: make figures ARGS="--make" makes the others' first
	$(GANREV) figures $(ARGS)

rd: $(INSTALLED) ## rate and distortion of all codecs, BD-rates: make rd ARGS="codec.faces=[shard.tar] data.limit=100"
	$(GANREV) rd $(ARGS)

automatic: $(INSTALLED) ## automatic mode against the best of a full grid
	$(GANREV) automatic $(ARGS)

sweep: $(INSTALLED) ## a grid over loss, learning rate, step and restarts, as one CSV
	$(GANREV) sweep $(ARGS)

bench: $(INSTALLED) ## speed, memory and load beside a plain loop, in half an hour: make bench ARGS="--quick"
	$(GANREV) bench $(ARGS)

scale: $(INSTALLED) ## peak memory of runs over 1,000 and 10,000 pictures, of decoding them, and of make table1
	$(RUN) -m experiments.bench.scale $(ARGS)

collect: $(INSTALLED) ## merge shards (data.shard=1/4 ...) into whole runs: make collect ARGS="results/runs"
	$(GANREV) collect $(ARGS)

report: $(INSTALLED) ## one HTML file of stored runs, and of what make rd left: make report ARGS="--at 250,445" RUNS="results/runs/jpeg-*"
	$(GANREV) report $(RUNS) -o $(REPORT) $(if $(wildcard $(CURVES)),--curves $(CURVES)) $(ARGS)

demo: $(INSTALLED) ## a page to drop a photo on: make demo ARGS="--port 8080"
	$(GANREV) demo $(ARGS)

test: $(INSTALLED) ## the test-suite
	$(RUN) -m pytest $(ARGS)

fuzz: $(INSTALLED) ## decode damaged files of every format for five minutes: make fuzz ARGS="--mutants 1000000 --minutes 60"
	OMP_NUM_THREADS=1 $(RUN) -m tests.fuzz $(ARGS)

guided: $(INSTALLED) ## fuzzing guided by coverage, with Atheris: make guided ARGS="pca --minutes 15", or container
	$(RUN) -m pip install --disable-pip-version-check --quiet --constraint constraints.txt atheris
	OMP_NUM_THREADS=1 $(RUN) -m tests.fuzz.guided $(ARGS)

kills: $(INSTALLED) ## kill a sweep fifty times, fill its disk ten times, count what is lost: make kills ARGS="--kills 5"
	$(RUN) -m tests.kills $(ARGS)

mutants: $(INSTALLED) ## small changes of the code that tests should notice, half an hour: make mutants ARGS="--number 0"
	$(PYTHON) -m venv $(VENV)-mutants
	$(VENV)-mutants/bin/pip install --disable-pip-version-check --quiet mutmut==3.8.1
	$(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$(echo $(VENV)-mutants/lib/python*/site-packages)/ganrev.pth
	$(VENV)-mutants/bin/python -m tests.mutants $(ARGS)

coverage: $(INSTALLED) ## the test-suite, and which lines of the package it runs in its own process
	$(RUN) -m pytest --cov=ganrev --cov=baselines --cov=experiments --cov-report=term-missing:skip-covered $(ARGS)

lint: $(INSTALLED) ## ruff, import contracts, types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(RUN) -m mypy

format: $(INSTALLED) ## let ruff mend what it can
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

generator: $(INSTALLED) ## train the generator: make generator ARGS="train.faces=[shard.tar] train.valid=folder"
	$(GANREV) train $(ARGS)

opponents: $(INSTALLED) ## train the learned codecs: make opponents ARGS="--faces shard.tar --valid folder"
	$(RUN) -m experiments.opponents $(ARGS)

clean: ## remove results, caches and the environment
	rm -rf $(VENV) results/runs results/tables results/figures results/sweeps results/bench results/fuzz results/report.html outputs multirun .pytest_cache .ruff_cache .coverage
