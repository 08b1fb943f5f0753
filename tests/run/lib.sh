# shellcheck shell=bash
# Sourced by the scripts here: running commands that take long, so that they show progress, end with us, and leave nothing behind.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$ROOT"
export CLUSTER_DIR=${CLUSTER_DIR:-$ROOT/target/cluster}
export CLUSTER_ENV=$CLUSTER_DIR/env CARGO_TERM_PROGRESS_WHEN=never
RESULTS=$ROOT/target/run
# shellcheck disable=SC2034 # used by those who source this
TARGET=${CARGO_TARGET_DIR:-$ROOT/target} ENTER=$CLUSTER_DIR/enter
mkdir -p "$RESULTS" 2>/dev/null || true # who may not is told why by check.sh

# Seconds since the outermost script began; tests/cluster/ counts on from the same.
export CLUSTER_BEGAN=${CLUSTER_BEGAN:-$EPOCHSECONDS}
say() { printf '%4d s  %s\n' $((EPOCHSECONDS - CLUSTER_BEGAN)) "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Process groups of ours that run. Each command gets one of its own (set -m), so that all of it can be ended.
groups=()
started=
start() { # COMMAND...: in the background; its group is $started
  set -m
  "$@" </dev/null &
  started=$!
  set +m
  groups+=("$started")
}
alive() { kill -0 -- "-$1" 2>/dev/null; }

# await GROUP WHAT: until it ends; says WHAT every 8 seconds, if it isn't empty.
await() {
  local group=$1 what=$2 next=$((SECONDS + 8)) code=0
  while kill -0 "$group" 2>/dev/null; do
    sleep 0.2
    if [ -n "$what" ] && ((SECONDS >= next)); then
      say "$what" >&2 # stdout may be a file
      next=$((SECONDS + 8))
    fi
  done
  wait "$group" || code=$?
  return "$code"
}

# run WHAT COMMAND...: runs it to its end, with its exit code.
run() {
  local what=$1
  shift
  start "$@"
  await "$started" "$what"
}

end_groups() {
  local group tries=0
  for group in ${groups[@]+"${groups[@]}"}; do kill -TERM -- "-$group" 2>/dev/null || true; done
  for group in ${groups[@]+"${groups[@]}"}; do
    # up.sh takes a half-started cluster down when it is told to end.
    while alive "$group" && ((tries++ < 150)); do sleep 0.2; done
    kill -KILL -- "-$group" 2>/dev/null || true
  done
}

# The cluster: one that runs is used and left; else one is started, and removed by the last who uses it.
# Both files are beside the cluster's folder, which down.sh empties.
OWNED=$CLUSTER_DIR.started-by-a-run
in_use=
use_cluster() {
  exec {in_use}>"$CLUSTER_DIR.in-use"
  flock --shared "$in_use"
  # The marker goes first: an interrupted start is ours to remove. The node outlives this script, so it must not inherit the lock.
  if ! { [ -x "$ENTER" ] && "$ENTER" true 2>/dev/null; }; then touch "$OWNED"; fi
  run "" without_lock tests/cluster/up.sh
}
without_lock() { "$@" {in_use}>&-; }
leave_cluster() {
  [ -n "$in_use" ] || return 0
  if [ ! -e "$OWNED" ]; then
    : # somebody else's, who wants to keep it
  elif flock --exclusive --nonblock "$in_use"; then
    without_lock tests/cluster/down.sh || return 1
    rm -f "$OWNED"
  else
    say "another run uses the cluster and will remove it"
  fi
  exec {in_use}>&-
  in_use=
}

scratch= # a folder that is removed at the end
finish() {
  local code=$?
  trap '' INT TERM HUP
  end_groups
  [ -z "$scratch" ] || rm -rf "$scratch"
  leave_cluster || code=1
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exec >/dev/null 2>&1; exit 129' HUP # the terminal is gone, and writing to it would fail

# record NAME COMMAND...: its output is shown and kept, for `total`.
record() {
  local file=$RESULTS/$1.out
  shift
  "$@" 2>&1 | tee "$file"
  return "${PIPESTATUS[0]}"
}

# total NAME...: the sum of what these recorded, as the last line. What gave no result at all is one failure.
total() {
  local name line passed=0 failed=0
  for name; do
    # Rust's own tests and ours each have their words for it.
    line=$(sed -nE -e 's/^([0-9]+ passed, [0-9]+ failed)$/\1/p' -e 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed;.*/\1 passed, \2 failed/p' \
      "$RESULTS/$name.out" 2>/dev/null | tail -n 1)
    if [ -z "$line" ]; then
      echo "$name ended without a result"
      line="0 passed, 1 failed"
    fi
    passed=$((passed + ${line%% *}))
    line=${line#*, }
    failed=$((failed + ${line%% *}))
  done
  echo "$passed passed, $failed failed"
  ((failed == 0))
}

need_rust() {
  command -v cargo >/dev/null || die "cargo is not on the PATH: install Rust (rustup, channel stable)."
}

# build [failpoints]: the release binary and the suite. $SUITE_BIN and $SUITE name them (ours refuses what it does not know of SCIM_TEKTON_…).
build() {
  if [ "${1:-}" = failpoints ]; then
    # The same target folder, so that only our own crate is compiled twice; the copy keeps its name from the next build.
    run "building scim-tekton with failpoints (cargo)" cargo build --release --locked --features failpoints --bin scim-tekton
    cp "$TARGET/release/scim-tekton" "$TARGET/release/scim-tekton-failpoints"
    export SUITE_FAILPOINTS_BIN=$TARGET/release/scim-tekton-failpoints
  fi
  run "building scim-tekton (cargo)" cargo build --release --locked --bin scim-tekton
  run "building the tests (cargo)" \
    cargo test --release --locked --no-run --test suite --message-format=json-render-diagnostics >"$RESULTS/suite.json"
  export SUITE_BIN=$TARGET/release/scim-tekton
  SUITE=$(sed -nE 's/.*"executable":"([^"]*\/suite-[0-9a-f]+)".*/\1/p' "$RESULTS/suite.json" | tail -n 1)
  [ -x "$SUITE" ] || die "cargo names no program for the test target \"suite\" (see $RESULTS/suite.json)."
}
