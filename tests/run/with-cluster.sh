#!/bin/bash
# with-cluster.sh COMMAND...: runs COMMAND while a cluster is up: the one that runs, which is left, or one of its own, which is removed
# afterwards, also after Ctrl-C. Ends with COMMAND's exit code.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || die "usage: with-cluster.sh COMMAND..."
tests/cluster/check.sh
use_cluster
run "" "$@"
