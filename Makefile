# Every command of this repository. `make` or `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help build demo test cluster cluster-down install conformance bench lint fmt crds

help: ## this list
	@awk -F ' *## *' '/^[a-z-]+:.* ## / {split($$1, name, ":"); printf "make %-14s %s\n", name[1], $$2}' $(MAKEFILE_LIST)

build: ## the program: target/release/scim-tekton
	cargo build --release --locked

demo: ## the whole story on a real Kubernetes and a real Tekton, each step checked (Linux, root)
	@tests/run/demo.sh

test: ## everything: the library's tests, then the suite in the cluster; FULL=1 fuzzes ten minutes each (Linux, root)
	@tests/run/test.sh

cluster: ## starts the cluster and leaves it up; target/cluster/enter kubectl get pods -A
	@rm -f $${CLUSTER_DIR:-target/cluster}.started-by-a-run
	@tests/cluster/up.sh

cluster-down: ## removes it, with everything in it
	@tests/cluster/down.sh

install: build ## installs scim-tekton from config/ into the running cluster; CONFIG=FILE is its configuration
	@tests/run/install.sh

conformance: ## foreign SCIM suites (scim2-tester, scim-sanity) and clients (Canaille, scim-sim, scim2-cli) against the running program
	@tests/run/conformance.sh

bench: ## benchmarks, into target/bench/results.json; BENCH=deprovision runs one
	@tests/run/bench.sh

lint: ## formatting and clippy without a warning; with FULL=1 licences and advisories too
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
ifdef FULL
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny --locked check
endif

fmt: ## formats the Rust code
	cargo fmt

crds: ## writes config/300-crds.yaml from the Rust types
	@cargo run --quiet --release --locked -- crds > target/300-crds.yaml && mv target/300-crds.yaml config/300-crds.yaml
