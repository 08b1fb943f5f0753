#!/bin/bash
# make bench: every benchmark, or BENCH=NAME; FULL=1 adds the cases that take hours (docs/benchmarks.md).
# In a cluster of its own whose etcd syncs to disk, as a real one does.
export CLUSTER_DIR=${CLUSTER_DIR:-$(cd "$(dirname "$0")/../.." && pwd -P)/target/cluster-bench} CLUSTER_ETCD_FSYNC=1
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
tests/cluster/check.sh
need_rust
run "" tests/cluster/packages.sh
run "building scim-tekton (cargo)" cargo build --release --locked --bin scim-tekton
export SUITE_BIN=$TARGET/release/scim-tekton
run "building the benchmarks (cargo)" cargo bench --locked --no-run --bench bench --message-format=json-render-diagnostics >"$RESULTS/bench.json"
program=$(sed -nE 's/.*"executable":"([^"]*\/bench-[0-9a-f]+)".*/\1/p' "$RESULTS/bench.json" | tail -n 1)
[ -x "$program" ] || die "cargo names no program for the benchmark target \"bench\" (see $RESULTS/bench.json)."
use_cluster
CONFIG=tests/suite/config.yaml run "" tests/run/install.sh
# shellcheck disable=SC2086 # no name is no argument
run "" "$ENTER" "$program" ${BENCH:-}
