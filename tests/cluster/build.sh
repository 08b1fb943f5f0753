#!/bin/bash
# Builds every program from its pinned Go module into the cache, once for each content of the modules: some 15 minutes on two cold
# cores, a minute or two when Go's own cache is warm. Costs and says nothing when it is done already.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# fetch MODULE PACKAGE...: apart from building, and thrice, because networks fail for other reasons than compilers.
fetch() {
  local module=$1
  shift
  with_progress "fetching the modules of $module" "$LOG/fetch-$module.log" thrice go -C "$HERE/$module" list -deps "$@"
}
thrice() { "$@" || { sleep 5 && "$@"; } || { sleep 20 && "$@"; }; }

# compile MODULE LDFLAGS OUT PACKAGE...: -v writes a line for each compiled package. trimpath: wherever the checkout is, the bytes are the same.
compile() {
  local module=$1 ldflags=$2 out=$3
  shift 3
  with_progress "building $module (a line a package)" "$LOG/build-$module.log" \
    go -C "$HERE/$module" build -v -trimpath -mod=readonly -ldflags "-s -w $ldflags" -o "$out" "$@"
}

kubernetes() {
  local out=$1 version minor stamp=k8s.io/component-base/version ldflags name source
  version=$(pinned kubernetes k8s.io/kubernetes)
  minor=${version#v1.} minor=${minor%%.*}
  # Without these Kubernetes calls itself v0.0.0-master+…, which Tekton refuses.
  ldflags="-X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean -X $stamp.buildDate=1970-01-01T00:00:00Z"
  fetch kubernetes .
  compile kubernetes "$ldflags" "$out/kube" .
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl cluster-helper; do
    ln -s kube "$out/$name"
  done
  source=$(go -C "$HERE/kubernetes" list -m -f '{{.Dir}}' k8s.io/kubernetes)/build/pause/linux/pause.c
  gcc -Os -static -DVERSION="$version" -o "$out/pause" "$source"
}

# go.mod's tool lines say which programs. Two are called controller and two webhook, hence a folder for each project.
tekton() {
  local out=$1 project packages
  fetch tekton tool
  for project in pipeline triggers; do
    mkdir "$out/$project"
    mapfile -t packages < <(go -C "$HERE/tekton" list tool | grep "/$project/cmd/")
    compile tekton "" "$out/$project/" "${packages[@]}"
  done
}

programs() {
  # What no run has touched for a month belongs to pins that are gone.
  find "$CACHE" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf {} +
  say "building the cluster's programs into $BIN (once; cold it takes some 15 minutes on two cores)"
  kubernetes "$1"
  tekton "$1"
  say "the cluster's programs are built"
}

tools() {
  go -C "$HERE/image" build -trimpath -ldflags '-s -w' -o "$1/image" .
  gcc -std=gnu11 -O2 -Wall -Wextra -o "$1/enter" "$HERE/enter.c"
}

cached "$BIN" programs
cached "$TOOLS" tools
touch "$CACHED"
