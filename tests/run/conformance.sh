#!/bin/bash
# make conformance: foreign SCIM suites, from PyPI, against the running program, on a file and on a PostgreSQL. Needs python3, and root only to
# install PostgreSQL; the last line is the sum of all.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "python3 is not on the PATH; the suites are Python programs (apt-get install python3 python3-venv)."

if [ -z "${SUITE_BIN:-}" ]; then
  need_rust
  run "building scim-tekton (cargo)" cargo build --release --locked --bin scim-tekton
  SUITE_BIN=$TARGET/release/scim-tekton
fi
export SUITE_BIN
[ -x "$SUITE_BIN" ] || die "there is no program $SUITE_BIN."

# A folder for each list of pinned versions, named by its content, so that a half-finished one is never taken for whole.
pins=tests/conformance/requirements.txt
export venv=$ROOT/target/conformance/$(sha256sum $pins | cut -c 1-16)
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  run "making a virtual environment" python3 -m venv "$venv" >"$RESULTS/venv.log" 2>&1 ||
    die "python3 -m venv failed (apt-get install python3-venv): $(tail -n 1 "$RESULTS/venv.log")"
  run "installing the suites (pip)" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r $pins
  touch "$venv/complete"
fi

code=0
tests/run/conformance-on.sh sqlite || code=$?
tests/run/postgres.sh tests/run/conformance-on.sh postgres || code=$?
total sqlite-scim2-tester sqlite-scim-sanity postgres-scim2-tester postgres-scim-sanity || exit 1
exit "$code"
