#!/bin/bash
# Says in one sentence each what this machine lacks for a cluster. Changes nothing (what it tries, it removes).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

missing=0
lacks() {
  echo "check.sh: $*" >&2
  missing=1
}

[ "$(uname -s)" = Linux ] || die "the cluster needs Linux: it is made of Linux namespaces and cgroups."
[ "$(id -u)" = 0 ] || die "the cluster needs root: it makes namespaces, mounts and cgroups (try sudo)."

# Paths go into mount options, YAML and TOML, where these characters would need quoting.
for path in "$CLUSTER_DIR" "$CACHE" "$HERE"; do
  [[ $path =~ ^[A-Za-z0-9/._+@=-]+$ ]] || lacks "the path $path has a character other than letters, digits and /._+@=- (set CLUSTER_DIR or XDG_CACHE_HOME)."
done
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)) || lacks "bash 5.1 or newer is needed, this is $BASH_VERSION."

if command -v go >/dev/null; then
  wanted=$(sed -n 's/^go //p' "$HERE"/kubernetes/go.mod "$HERE"/tekton/go.mod | sort -V | tail -n 1)
  found=$(go env GOVERSION)
  [ "$(printf '%s\n' "$wanted" "${found#go}" | sort -V | head -n 1)" = "$wanted" ] || lacks "Go $wanted or newer is needed, this is $found."
elif [ ! -d "$BIN" ]; then
  lacks "Go is not on the PATH; it builds Kubernetes and Tekton."
fi
command -v gcc >/dev/null || [ -d "$BIN" ] || lacks "gcc is not on the PATH; it builds the pause container and enter (apt-get install gcc libc6-dev)."

# In a private mount namespace everything tried disappears by itself. overlayfs on overlayfs (a checkout inside of a container) is refused by the kernel.
mkdir -p "$CLUSTER_DIR"
try=$(mktemp -d "$CLUSTER_DIR/check.XXXXXX")
trap 'rm -rf "$try"' EXIT
mkdir "$try"/{lower,upper,work,merged}
if ! command -v unshare >/dev/null; then
  lacks "unshare is missing (apt-get install util-linux)."
elif ! unshare --fork --pid --mount --net --uts --ipc mount -t proc proc /proc 2>/dev/null; then
  lacks "namespaces cannot be made here (an unprivileged container?): unshare --fork --pid --mount --net --uts --ipc is refused."
elif ! unshare --mount mount -t overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" overlay "$try/merged" 2>/dev/null; then
  lacks "overlayfs cannot be mounted in $CLUSTER_DIR, which is on $(stat -f -c %T "$CLUSTER_DIR") (set CLUSTER_DIR to a folder on ext4 or xfs)."
fi

# Asked of the kernel itself; the programs may come only with packages.sh, and then up.sh would fail later and less clearly.
if command -v ip >/dev/null && ! unshare --net ip link add name one type veth peer name two 2>/dev/null; then
  lacks "the kernel makes no veth devices (module veth), so pods could have no network."
fi
nat='add table ip t; add chain ip t c { type nat hook prerouting priority 0; }; add rule ip t c dnat to 10.0.0.1'
if command -v nft >/dev/null && ! unshare --net nft "$nat" 2>/dev/null; then
  lacks "the kernel refuses address translation by nftables (modules nf_tables, nft_nat), so Services could not work."
fi

# Inside, these three are empty file systems in memory, so nothing that must be seen there may be below them.
for path in "$CLUSTER_DIR" "$CACHE" "$REPOSITORY"; do
  case $path/ in /run/* | /var/run/* | /var/log/* | /var/lib/*) lacks "$path would be hidden inside the node, which has its own /run, /var/log and /var/lib (move it)." ;; esac
done

if [ ! -d "/sys/fs/cgroup/memory/$CGROUP" ] && [ ! -d "/sys/fs/cgroup/$CGROUP" ]; then # else it runs, and has shown that it can
  if reason=$("$HERE/cgroups.sh" make 2>&1); then
    "$HERE/cgroups.sh" remove || lacks "the cgroup $CGROUP could be made but not removed."
  else
    "$HERE/cgroups.sh" remove 2>/dev/null || true
    lacks "${reason##*cgroups.sh: }"
  fi
fi

free_in() { df --output=avail -m "$1" | tail -n 1 | tr -d ' '; }
(($(free_in "$CLUSTER_DIR") >= 3000)) || lacks "less than 3 GB are free in $CLUSTER_DIR, the running cluster needs about 2."
if [ ! -d "$BIN" ]; then
  mkdir -p "$CACHE"
  (($(free_in "$CACHE") >= 9000)) || lacks "less than 9 GB are free in $CACHE, a first build needs that with Go's own cache."
fi
memory=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
[ -n "$(node_holder)" ] || ((memory >= 3000)) || lacks "less than 3 GB of memory are available ($memory MB), the cluster uses about 2."
exit $missing
