# `make test` runs every test there is and installs what they need, or says in one line what is missing and fails.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
VENV := target/venv
NPM_CI := npm ci --ignore-scripts --no-audit --no-fund --silent
export TIDINGS_BIN := $(CURDIR)/target/debug/tidings

.PHONY: help test test-rust test-clients test-audits test-python test-browser tools bench

help: ## Say what there is to make.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-14s %s\n", $$1, $$2 }'

test: tools test-rust test-audits test-clients test-python test-browser ## Run every test.

tools:
	@for tool in $(CARGO) node npm $(PYTHON); do command -v $$tool >/dev/null || { echo "make test: $$tool is missing" >&2; exit 1; }; done
	@command -v cargo-nextest >/dev/null || $(CARGO) install --quiet --locked cargo-nextest
