#!/bin/bash
# make conformance: foreign SCIM suites and clients, from PyPI, against the running program, on a file and on a PostgreSQL. Needs python3, and root
# only to install PostgreSQL; the last line is the sum of all.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || die "python3 is not on the PATH; suites and clients are Python programs (apt-get install python3 python3-venv)."

if [ -z "${SUITE_BIN:-}" ]; then
  need_rust
  run "building scim-tekton (cargo)" cargo build --release --locked --bin scim-tekton
  SUITE_BIN=$TARGET/release/scim-tekton
fi
export SUITE_BIN
[ -x "$SUITE_BIN" ] || die "there is no program $SUITE_BIN."

# packages FILE: the folder $packages with these pinned versions. It is named by its content, so that a half-finished one is never taken for whole.
packages() {
  packages=$ROOT/target/conformance/$(sha256sum "$1" | cut -c 1-16)
  [ ! -e "$packages/complete" ] || return 0
  rm -rf "$packages"
  run "making a virtual environment" python3 -m venv "$packages" >"$RESULTS/venv.log" 2>&1 ||
    die "python3 -m venv failed (apt-get install python3-venv): $(tail -n 1 "$RESULTS/venv.log")"
  run "installing $(basename "$1" .txt) (pip)" "$packages/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1"
  touch "$packages/complete"
}
packages tests/conformance/requirements.txt
export venv=$packages
packages tests/conformance/clients/canaille.txt
export canaille_venv=$packages

code=0
tests/run/conformance-on.sh sqlite || code=$?
tests/run/postgres.sh tests/run/conformance-on.sh postgres || code=$?
parts=()
for on in sqlite postgres; do
  for part in scim2-tester scim-sanity canaille scim-sim scim2-cli; do parts+=("$on-$part"); done
done
total "${parts[@]}" || exit 1
exit "$code"
