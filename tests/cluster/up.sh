#!/bin/bash
# Starts the cluster: Kubernetes with two API servers and one node, Tekton Pipelines and Triggers in it. Says "is up" and ends when everything works.
# Runs already and is healthy: says so and ends. Interrupted: takes everything down again.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/await.sh"

mkdir -p "$RUN" "$LOG"
exec {lock}>"$CLUSTER_DIR/lock"
until flock --wait 8 "$lock"; do say "another up.sh or down.sh is at work in $CLUSTER_DIR: waiting"; done

# A foreground child would delay the trap until it ends, which may be a quarter of an hour.
stage_pid=
stage() {
  "$HERE/$1" &
  stage_pid=$!
  wait "$stage_pid" || {
    [ -z "$(node_holder)" ] || echo "up.sh: what runs is left as it is, to be looked at; down.sh removes it" >&2
    exit 1
  }
  stage_pid=
}
interrupted() {
  trap '' INT TERM HUP
  say "interrupted: everything is taken down again"
  if [ -n "$stage_pid" ]; then
    kill -TERM "$stage_pid" 2>/dev/null || true
    wait "$stage_pid" || true
  fi
  CLUSTER_LOCKED=1 "$HERE/down.sh"
  exit 130
}
trap interrupted INT TERM HUP

# A cluster that other programs or another configuration made is another cluster.
stamp=$(cd "$HERE" && key lib.sh up.sh inner.sh configure.sh pki.sh images.sh manifests.sh tekton.sh conf/* enter.c image/main.go kubernetes/* tekton/*)${CLUSTER_ETCD_FSYNC:-}
if [ -n "$(node_holder)" ]; then
  if [ "$(cat "$RUN/up" 2>/dev/null)" = "$stamp" ] && api_ready >/dev/null && tekton_available >/dev/null 2>&1; then
    say "the cluster is up already: $CLUSTER_DIR/enter kubectl get pods -A"
    exit 0
  fi
  say "a cluster runs here, but it is broken, unfinished or made by other versions of these scripts: it is replaced"
fi

"$HERE/check.sh"
if [ -e "$RUN/node" ] || [ -n "$(node_holder)" ]; then CLUSTER_LOCKED=1 "$HERE/down.sh"; fi
stage packages.sh
stage build.sh
stage images.sh
stage manifests.sh
stage configure.sh
"$HERE/cgroups.sh" make

# One process holds everything: when it is killed, so is all that was started in these namespaces. The lock must not live on in it.
# What the caller's environment says (proxies, ETCD_…) is nothing to it.
setsid env -i PATH="$PATH" HOME="${HOME:-/root}" CLUSTER_DIR="$CLUSTER_DIR" CLUSTER_ETCD_FSYNC="${CLUSTER_ETCD_FSYNC:-}" ${XDG_CACHE_HOME:+XDG_CACHE_HOME="$XDG_CACHE_HOME"} \
  unshare --fork --kill-child=SIGKILL --pid --mount --net --uts --ipc --propagation private \
  bash "$HERE/inner.sh" "$CLUSTER_DIR" >"$LOG/node.log" 2>&1 </dev/null {lock}>&- &
holder=$!
disown # else bash reports its death when the trap takes it down
init=
until [ -n "$init" ]; do
  kill -0 "$holder" 2>/dev/null || die "the node's namespaces could not be made" "$LOG/node.log"
  read -r init _ <"/proc/$holder/task/$holder/children" || sleep 0.05
done
# The namespace's name tells later that the number still means this process.
echo "$init $(readlink "/proc/$init/ns/pid")" >"$RUN/node"

say "the node has started (logs: $LOG)"
await "the API servers" 120 "$LOG/kube-apiserver-1.log" api_ready
say "both API servers answer"
await "the images" 180 "$LOG/import.log" test -e "$RUN/images-imported"
say "the images are imported"
stage tekton.sh
echo "$stamp" >"$RUN/up"
say "the cluster is up: $CLUSTER_DIR/enter kubectl get pods -A"
