#!/bin/bash
# Removes the cluster and looks whether anything is left: processes, namespaces (and with them mounts, addresses, ports), cgroups, files. Only logs stay.
# Nothing runs: says nothing and succeeds.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ ! -d "$CLUSTER_DIR" ] && [ -z "$(node_holder)" ]; then exec "$HERE/cgroups.sh" remove; fi
mkdir -p "$CLUSTER_DIR" # it may be gone while the cluster runs: cargo clean
if [ -z "${CLUSTER_LOCKED:-}" ]; then
  exec {lock}>"$CLUSTER_DIR/lock"
  until flock --wait 8 "$lock"; do say "another up.sh or down.sh is at work in $CLUSTER_DIR: waiting"; done
fi

# Who lives in the node's pid namespace, by its name: also what outlived the holder, if anything could.
namespaces=()
inhabitants() {
  local link
  [ ${#namespaces[@]} -gt 0 ] || return 0
  for link in /proc/[0-9]*/ns/pid; do
    case " ${namespaces[*]} " in *" $(readlink "$link" 2>/dev/null || echo gone) "*) echo "${link//[^0-9]/}" ;; esac
  done
}

if read -r _ namespace <"$RUN/node"; then namespaces+=("$namespace"); fi 2>/dev/null
holders=$(node_holder)
for holder in $holders; do
  # shellcheck disable=SC2013 # one line of words
  for child in $(cat "/proc/$holder/task/$holder/children" 2>/dev/null); do namespaces+=("$(readlink "/proc/$child/ns/pid" || true)"); done
  kill -KILL "$holder" 2>/dev/null || true
done

for _ in $(seq 300); do
  left=$(inhabitants)
  [ -n "$left" ] || break
  sleep 0.1
done
# shellcheck disable=SC2086 # several numbers
[ -z "$left" ] || die "these processes of the node do not end: $(ps -o pid=,args= -p ${left//$'\n'/,} | head -n 5)"
"$HERE/cgroups.sh" remove
for _ in $(seq 50); do
  mounts=$(grep -F " $CLUSTER_DIR/" /proc/mounts || true)
  [ -n "$mounts" ] || break
  sleep 0.1
done
[ -z "$mounts" ] || die "still mounted: $mounts"
find "$CLUSTER_DIR" -mindepth 1 -maxdepth 1 ! -name log ! -name lock -exec rm -rf {} +
[ -z "$holders" ] || say "the cluster is down"
