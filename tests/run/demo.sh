#!/bin/bash
# make demo: the story, on real parts. Rust is built first; what needs no cluster plays while Go builds the cluster's parts.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
tests/cluster/check.sh
need_rust
run "" tests/cluster/packages.sh
build

start tests/cluster/build.sh
cluster_build=$started
code=0
run "" record step0 "$SUITE" step0 || code=$?
((code == 0)) || { total step0 || true; exit "$code"; }

await "$cluster_build" "" || die "the cluster's programs could not be built (see above)."
use_cluster
CONFIG=tests/suite/config.yaml run "" tests/run/install.sh
run "the story goes on" record demo "$ENTER" "$SUITE" demo || code=$?
leave_cluster || code=1
total step0 demo || exit 1
exit "$code"
