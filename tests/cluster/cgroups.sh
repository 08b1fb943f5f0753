#!/bin/bash
# cgroups.sh make|remove: the cgroup that the kubelet puts all pods into. It must exist in every hierarchy before the kubelet starts.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
ROOT=/sys/fs/cgroup
V2=
[ "$(stat -f -c %T "$ROOT")" != cgroup2fs ] || V2=yes

hierarchies() { # cgroup v1: one folder each; names such as cpu,cpuacct are linked
  local folder
  for folder in "$ROOT"/*/; do
    [ -L "${folder%/}" ] || [ ! -e "${folder}cgroup.procs" ] || echo "${folder%/}"
  done
}

make_v1() {
  [ -d "$ROOT/memory" ] || die "no cgroups are mounted in $ROOT (neither v1 with the memory controller nor v2)."
  local hierarchy file
  for hierarchy in $(hierarchies); do
    mkdir -p "$hierarchy/$CGROUP" || die "the cgroup $hierarchy/$CGROUP cannot be made: cgroups are read-only here."
    # A new cpuset is empty, and nothing can run in it.
    for file in cpuset.cpus cpuset.mems; do
      [ ! -e "$hierarchy/$file" ] || cat "$hierarchy/$file" >"$hierarchy/$CGROUP/$file"
    done
  done
}

# The kubelet insists on every controller that the machine has, so each is switched on at the root and in our group. What was off is noted, to be switched off again.
make_v2() {
  local controller
  mkdir -p "$ROOT/$CGROUP" "$RUN" || die "the cgroup $ROOT/$CGROUP cannot be made: cgroups are read-only here."
  # shellcheck disable=SC2013 # one line of words
  for controller in $(cat "$ROOT/cgroup.controllers"); do
    if ! grep -qw "$controller" "$ROOT/cgroup.subtree_control"; then
      echo "+$controller" >"$ROOT/cgroup.subtree_control" 2>/dev/null ||
        die "the cgroup controller $controller cannot be switched on for children of $ROOT (a container without --cgroupns=host?)."
      echo "$controller" >>"$RUN/controllers"
    fi
    echo "+$controller" >"$ROOT/$CGROUP/cgroup.subtree_control"
  done
}

remove_v2_controllers() {
  local controller
  [ -e "$RUN/controllers" ] || return 0
  while read -r controller; do
    # Refused while another cluster (or anybody) uses it: then it stays.
    echo "-$controller" >"$ROOT/cgroup.subtree_control" 2>/dev/null || true
  done <"$RUN/controllers"
  rm -f "$RUN/controllers"
}

# After the last process is gone the kernel needs a moment before a cgroup can be removed.
remove() {
  local attempt folder left
  for attempt in $(seq 50); do
    left=
    for folder in "$ROOT/$CGROUP" "$ROOT"/*/"$CGROUP"; do
      [ -d "$folder" ] || continue
      find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ ! -d "$folder" ] || left+=" $folder"
    done
    [ -n "$left" ] || break
    sleep 0.2
  done
  [ -z "$left" ] || die "cannot be removed after $attempt attempts:$left"
  [ -z "$V2" ] || remove_v2_controllers
}

case ${1:-} in
make) if [ -n "$V2" ]; then make_v2; else make_v1; fi ;;
remove) remove ;;
*) die "usage: cgroups.sh make|remove" ;;
esac
