#!/bin/bash
# make bench: every benchmark, or BENCH=NAME; FULL=1 adds the cases that take hours (docs/benchmarks.md).
# Those with a cluster have one of their own whose etcd syncs to disk, as a real one does; scim needs none, and no root.
export CLUSTER_DIR=${CLUSTER_DIR:-$(cd "$(dirname "$0")/../.." && pwd -P)/target/cluster-bench} CLUSTER_ETCD_FSYNC=1
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
PEERS=$ROOT/target/bench/peers

# The servers beside which ours is measured, in memory both: SCIMMY (npm) and scim2-server (PyPI).
install_peers() {
  mkdir -p "$PEERS"
  cp benches/bench/scim/scimmy.mjs "$PEERS"
  local scimmy="scimmy@1.3.5 scimmy-routers@1.3.2 express@5.3.0" python="scim2-server==0.8.3"
  [ "$(cat "$PEERS/installed" 2>/dev/null)" = "$scimmy $python" ] && return
  # shellcheck disable=SC2086 # three packages
  npm install --prefix "$PEERS" --no-audit --no-fund --no-package-lock --loglevel=error $scimmy >"$PEERS/npm.log"
  python3 -m venv "$PEERS"
  "$PEERS/bin/pip" install --quiet --disable-pip-version-check "$python"
  echo "$scimmy $python" >"$PEERS/installed"
}

# Each program adds to it.
rm -f target/bench/results.json
benchmarks=${BENCH:-scim deprovision}
need_rust
case $benchmarks in *deprovision*)
  tests/cluster/check.sh
  run "" tests/cluster/packages.sh
  ;;
esac
run "building scim-tekton (cargo)" cargo build --release --locked --bin scim-tekton
export SUITE_BIN=$TARGET/release/scim-tekton
run "building the benchmarks (cargo)" cargo bench --locked --no-run --bench bench --message-format=json-render-diagnostics >"$RESULTS/bench.json"
program=$(sed -nE 's/.*"executable":"([^"]*\/bench-[0-9a-f]+)".*/\1/p' "$RESULTS/bench.json" | tail -n 1)
[ -x "$program" ] || die "cargo names no program for the benchmark target \"bench\" (see $RESULTS/bench.json)."
for benchmark in $benchmarks; do
  case $benchmark in
  scim)
    run "installing the peers" install_peers
    run "" tests/run/postgres.sh "$program" scim
    ;;
  *)
    use_cluster
    CONFIG=tests/suite/config.yaml run "" tests/run/install.sh
    run "" "$ENTER" "$program" "$benchmark"
    ;;
  esac
done
