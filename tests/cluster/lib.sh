# shellcheck shell=bash disable=SC2034
# Sourced by the scripts here: where everything is, and how they speak. Reading it changes nothing.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
REPOSITORY=$(cd "$HERE/../.." && pwd -P)
CLUSTER_DIR=$(realpath -m "${CLUSTER_DIR:-$REPOSITORY/target/cluster}")
RUN=$CLUSTER_DIR/run LOG=$CLUSTER_DIR/log PKI=$CLUSTER_DIR/pki
export CLUSTER_DIR

# One cgroup for each state folder, so that two checkouts can run at once. Derived, not stored: down.sh finds it in any case.
CGROUP=scim-tekton-$(printf %s "$CLUSTER_DIR" | cksum | cut -d' ' -f1)

# These addresses exist only inside the node's network namespace. Each API server has its own, so that the `kubernetes` Service has
# two endpoints, as in a real control plane.
NODE_IP=10.250.0.1 NODE_IP_2=10.250.0.2 SERVICE_RANGE=10.96.0.0/16 KUBERNETES_IP=10.96.0.1 POD_RANGE=10.244.0.0/22

# The versions are said once, in the go.mod files.
pinned() { awk -v module="$2" '$1 == module && $2 ~ /^v/ {print $2; exit}' "$HERE/$1/go.mod"; }

# What is built is kept outside of the checkout and named by what it is made from: another clone finds it, a changed pin does not.
key() { cat "$@" | sha256sum | cut -c1-16; }
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/scim-tekton/cluster
CACHED=$CACHE/$(cd "$HERE" && key kubernetes/{go.mod,go.sum,*.go} tekton/{go.mod,go.sum} build.sh)
BIN=$CACHED/bin
TOOLS=$CACHED/tools-$(cd "$HERE" && key image/main.go enter.c)
IMAGES=$CACHED/images-$(cd "$HERE" && key image/main.go images.sh ldd.sh) MANIFESTS=$CACHED/manifests-$(key "$HERE/manifests.sh")

# Go must not download another compiler, look at an outer workspace, or ask git about the checkout: same input, same cache key.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off

# Seconds since the outermost script began, so that nested scripts count on.
export CLUSTER_BEGAN=${CLUSTER_BEGAN:-$EPOCHSECONDS}
say() { printf '%4d s  %s\n' $((EPOCHSECONDS - CLUSTER_BEGAN)) "$*"; }

# die SENTENCE [LOG]: a log is named and its end shown, so that a CI's output is enough to understand.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  if [ -n "${2:-}" ]; then
    tail -n 15 "$2" 2>/dev/null | cut -c1-400 | sed 's/^/    /' >&2 || true
    printf '%s: read %s\n' "$(basename "$0")" "$2" >&2
  fi
  exit 1
}

# with_progress WHAT LOG COMMAND...: runs COMMAND with its output in LOG; says every few seconds that it still runs, and how much it has written.
with_progress() {
  local what=$1 log=$2 began=$SECONDS next=8 pid
  shift 2
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 &
  pid=$!
  # A background job of a script is deaf to Ctrl-C.
  # shellcheck disable=SC2064 # the pid of now is meant
  trap "kill $pid 2>/dev/null; exit 130" INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.3
    if ((SECONDS - began >= next)); then
      say "$what: $((SECONDS - began)) s, $(wc -l <"$log") lines in $(basename "$log")"
      next=$((SECONDS - began + 8))
    fi
  done
  wait "$pid" || die "$what failed" "$log"
  trap - INT TERM
}

# cached FOLDER FUNCTION: if FOLDER is missing, FUNCTION makes its content in a temporary folder beside it, which is then renamed:
# half a result is never seen. The lock keeps a second checkout from doing the same work at the same time.
cached() {
  local folder=$1 function=$2 lock
  [ ! -d "$folder" ] || return 0
  mkdir -p "$CACHED"
  exec {lock}>"$CACHE/lock"
  until flock --wait 8 "$lock"; do say "another run builds into $CACHE: waiting"; done
  if [ ! -d "$folder" ]; then
    rm -rf "$folder.tmp"
    mkdir "$folder.tmp"
    "$function" "$folder.tmp"
    mv "$folder.tmp" "$folder"
  fi
  exec {lock}>&-
}

# The pid of the `unshare` that holds the node, found by its argument: a file could be stale or gone (cargo clean).
node_holder() {
  local file first
  # shellcheck disable=SC2013 # no name in there has a space
  for file in $(grep -lzxFs -- "$CLUSTER_DIR" /proc/[0-9]*/cmdline); do
    { IFS= read -r -d "" first <"$file"; } 2>/dev/null || continue
    if [ "$first" = unshare ]; then
      file=${file#/proc/}
      echo "${file%/cmdline}"
    fi
  done
}

# Runs a program in the node's namespaces, where there is no world outside, hence no proxy.
enter() { env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY "$TOOLS/enter" "$RUN/node" "$@"; }
kubectl() { KUBECONFIG=$CLUSTER_DIR/kubeconfig KUBECACHEDIR=$RUN/kubectl-cache enter "$BIN/kubectl" "$@"; }
