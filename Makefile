# Postrider. `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help demo run test test-long test-setup check lint programs faults fuzz bench bench-full generated fmt build release clean

CARGO ?= cargo

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Show the whole way of an event on this machine (the first build takes minutes)
	@$(CARGO) build --bin postrider
	@target/debug/postrider demo

run: ## Start a server for development, with SQLite in ./postrider.db
	@$(CARGO) build --bin postrider
	@target/debug/postrider serve --dev

test: test-setup programs ## Run all tests but the long ones (sets up what they need)
	scripts/test

test-long: test-setup programs ## Run what takes minutes or promises a time
	scripts/test long

test-setup: ## Install what the tests need, or say what is missing
	scripts/test-setup

check: ## Check format and lints, and run the unit tests of what changed: the quick look before a commit
	scripts/check

lint: ## Check format, lints and dependencies
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	scripts/check-dependencies

programs: ## Build the programs that the tests start
	$(CARGO) build --workspace --bins

faults: test-setup programs ## Kill, cut off and poison it under load, and check what must hold (an hour)
	scripts/in-network scripts/with-postgres target/debug/faults

fuzz: ## Feed each reader of outside input for FUZZ_SECONDS (60); needs a nightly compiler
	scripts/fuzz

generated: ## Write the files that are made from the code: docs/openapi.json, docs/configuration.md, deploy/postrider.toml
	@$(CARGO) build --quiet --bin postrider
	@target/debug/postrider openapi > docs/openapi.json
	@target/debug/postrider config reference > docs/configuration.md
	@target/debug/postrider config example > deploy/postrider.toml

fmt: ## Format the code
	$(CARGO) fmt

build: ## Build for development
	$(CARGO) build --workspace --bins

bench: ## Measure the release binary on this machine (under 10 minutes, after the build)
	$(CARGO) build --release -p postrider-server -p postrider-bench --features postrider-bench/harness --bins
	scripts/bench

bench-full: ## The same with a million pending and ten million finished deliveries (half an hour, 25 GB of disk)
	$(CARGO) build --release -p postrider-server -p postrider-bench --features postrider-bench/harness --bins
	scripts/bench --full

release: ## Build the release binary
	$(CARGO) build --release --bin postrider

clean: ## Remove what was built
	$(CARGO) clean
