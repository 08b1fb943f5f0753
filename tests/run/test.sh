#!/bin/bash
# make test: everything. Tests of the library first, then the suite in the cluster; the last line is the sum of both.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
tests/cluster/check.sh
need_rust
run "" tests/cluster/packages.sh cluster postgres
build failpoints

code=0
run "building and running the library's tests" record library cargo test --release --locked --lib || code=$?
# One contract for both databases, and what is so of PostgreSQL alone.
run "the store's tests run on PostgreSQL" record postgres \
  tests/run/postgres.sh cargo test --release --locked --lib -- --include-ignored store:: scim:: cli:: || code=$?
use_cluster
CONFIG=tests/suite/config.yaml run "" tests/run/install.sh
run "the suite runs" record suite "$ENTER" "$SUITE" || code=$?
leave_cluster || code=1
total library postgres suite || exit 1
exit "$code"
