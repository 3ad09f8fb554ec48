# The only entry points. Build results go to a cache outside the clone, so that a fresh clone builds quickly.
TALLY_CACHE ?= $(HOME)/.cache/tally
CARGO_TARGET_DIR ?= $(TALLY_CACHE)/target
export TALLY_CACHE CARGO_TARGET_DIR

# further arguments for the program, for example `make up ARGS="--help"`
ARGS ?=
tally = $(CARGO_TARGET_DIR)/release/tally

.DEFAULT_GOAL := help
.PHONY: up test torture bench demo fmt lint clean help

up: ## install what is missing, build, and run everything on this machine
	@scripts/setup
	cargo build --release --locked -p tally
	$(tally) up $(ARGS)

test: ## every check: formatting, lints, tests, foreign clients, licences
	@scripts/setup
	@scripts/test

torture: ## kill, cut, flip and fill things for minutes or hours, and check every promise; see docs/testing.md
	@scripts/setup
	cargo build --release --locked -p tally -p tally-torture
	$(CARGO_TARGET_DIR)/release/torture $(ARGS)

bench: ## build, and measure how much the system takes
	@scripts/setup
	cargo build --release --locked -p tally
	$(tally) bench $(ARGS)

demo: ## play a show against the running server
	cargo build --release --locked -p tally
	$(tally) demo $(ARGS)

fmt: ## format the code
	cargo fmt --all

lint: ## formatting, the repository's rules and clippy, without tests
	cargo fmt --all --check
	scripts/tidy
	cargo clippy --workspace --all-targets --locked -- -D warnings

clean: ## remove the build results, not the data
	cargo clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
