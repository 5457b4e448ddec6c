# The verbs of the project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MEASURING := $(VENV)/.measuring
SCENARIOS ?= ../shared/scenarios
SEEDS ?= 200
KILLS ?= 20
SECONDS ?= 60
QUICK ?=
COMPILED := build/compiled
# not tested again with the compiled core: what runs no line of it (the floor below, the stores beside it, the decoders,
# text), and two about mail servers, disks and databases that are cut off, which wait for clocks and not for the core
WITHOUT_CORE := tests/protocol tests/storage tests/fuzz tests/loadtest tests/router/test_echo.py tests/test_house_rules.py
WITHOUT_CORE += tests/test_kill_mail.py tests/test_trouble.py

.PHONY: help run test compiled check simulate bench bench-check docs demo storm load loadtest clean autobahn fuzz trouble reconnect soak
.DEFAULT_GOAL := help

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "signalbox needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

$(MEASURING): $(READY)
	$(BIN)/pip install --quiet --editable '.[test,bench,loadtest]'
	@touch $@

run: $(READY) ## install, then serve on the embedded store; prints the URL and development tokens
	$(BIN)/signalbox serve --dev

test: $(READY) ## install, start what the tests need (PostgreSQL too), run everything
	$(BIN)/python -m pytest

compiled: $(READY) ## the core compiled with mypyc, in a tree of its own (build/compiled), and the tests there
	rm -rf $(COMPILED) && mkdir -p $(COMPILED)
	git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- --ignore-failed-read | tar -x -C $(COMPILED)
	@if [ -d ../shared ]; then ln -sfn "$$(cd ../shared && pwd)" $(dir $(COMPILED))shared; fi  # as it lies beside us
	cd $(COMPILED) && SIGNALBOX_COMPILE=1 $(CURDIR)/$(BIN)/python setup.py --quiet build_ext --inplace
	cd $(COMPILED) && SIGNALBOX_COMPILE=1 PYTHONPATH=. PYTHONHASHSEED=0 $(CURDIR)/$(BIN)/python -m pytest \
		-rs --numprocesses 2 --dist worksteal $(WITHOUT_CORE:%=--ignore=%)

check: $(READY) ## style, types, floors, docs that are generated
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m docs.generate --check
	$(BIN)/python -m docs.reference --check
	$(BIN)/python -m docs.roles --check

simulate: $(READY) ## play the agreed scenarios against the real core in virtual time (SCENARIOS=...)
	$(BIN)/signalbox simulate $(SCENARIOS)

demo: $(READY) ## a server, four agents and their customers, to watch in the terminal
	$(BIN)/python -m examples.demo

storm: $(READY) ## seeded storms and kill -9 under load (SEEDS=..., KILLS=...); MINUTES=...: also in bad weather, on both stores
	$(BIN)/python -m tests.storm --seeds $(SEEDS)
	$(BIN)/python -m tests.kill --kills $(KILLS)
ifdef MINUTES
	$(BIN)/python -m tests.kill.storm --store sqlite --minutes $(MINUTES)
	$(BIN)/python -m tests.kill.storm --store postgres --minutes $(MINUTES)
endif

trouble: $(READY) ## a full disk (tmpfs if root), a restarted database, 30 s of SIGSTOP, jumps of the clock (libfaketime)
	$(BIN)/python -m tests.kill.trouble disk --tmpfs
	$(BIN)/python -m tests.kill.trouble database
	$(BIN)/python -m tests.kill.trouble pause
	$(BIN)/python -m tests.kill.trouble clock

reconnect: $(READY) ## 5,000 clients are cut off at once; how long until all are back and have caught up
	$(BIN)/python -m tests.kill.reconnect

soak: $(READY) ## mixed load for an hour; the slope of the server's memory (MINUTES=...)
	$(BIN)/python -m tests.kill.soak --minutes $(or $(MINUTES),60)

autobahn: $(READY) ## Autobahn|Testsuite against the WebSocket; says so and is skipped where there is no wstest
	$(BIN)/python -m tests.autobahn

fuzz: $(READY) ## fuzz the decoders (SECONDS=...); what breaks is kept in tests/fuzz/corpus
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

load: $(READY) ## 1,000 clients at once, 5,000 conversations end to end
	$(BIN)/python -m bench.clients

loadtest: $(MEASURING) ## a day of agents, contacts, connectors and supervisors in a minute (Locust), with a check at its end
	$(BIN)/python -m loadtest

bench: $(MEASURING) ## all measurements (QUICK=--quick: two minutes, nothing kept); see docs/performance.md
	$(BIN)/python -m bench $(QUICK)

bench-check: $(MEASURING) ## is anything slower than before? ratios of one run, no times
	$(BIN)/python -m bench.check

docs: $(READY) ## write the generated pages anew
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.reference
	$(BIN)/python -m docs.roles

clean: ## remove what was built, and the development data
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis data
