#!/bin/bash
# packages.sh [cluster|postgres]...: installs the Debian packages whose programs are missing. Costs nothing when none is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages=()
needs() { # PACKAGE FILE-OR-PROGRAM...: the first that is missing brings the package
  local package=$1 what
  shift
  for what; do
    [ -e "$what" ] || command -v "$what" >/dev/null || { packages+=("$package"); return 0; }
  done
}
cluster() {
  needs containerd containerd ctr containerd-shim-runc-v2
  needs runc runc
  needs containernetworking-plugins /usr/lib/cni/ptp /usr/lib/cni/host-local
  needs busybox-static /bin/busybox
  needs nftables nft
  needs iproute2 ip ss
  needs kmod modprobe # the kernel calls it for nftables, veth and overlay
  needs openssl openssl
  needs curl curl
  needs util-linux unshare flock mount setsid
  needs gcc gcc
  needs libc6-dev /usr/include/stdio.h
}
postgres() {
  needs openssl openssl
  # Its programs stand in a folder of their version.
  needs postgresql "$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1)"
}
for group in "${@:-cluster}"; do "$group"; done
[ ${#packages[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || die "missing: ${packages[*]} (Debian's names; without apt-get they have to be installed by hand)"
# The cluster starts a containerd of its own, tests a PostgreSQL of theirs. Debian's packages would start others for the whole machine,
# now and at every boot.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
if [[ " ${packages[*]} " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
export DEBIAN_FRONTEND=noninteractive
# A new machine has no package lists (or is busy with its own first update, hence the wait for the lock), an old one stale ones.
with_progress "reading Debian's package lists" "$LOG/packages-lists.log" apt-get -o DPkg::Lock::Timeout=300 update
with_progress "installing ${packages[*]}" "$LOG/packages.log" apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install -y \
  --no-install-recommends "${packages[@]}"
if [ -d /run/systemd/system ] && [[ " ${packages[*]} " == *" containerd "* ]]; then systemctl disable --quiet containerd || true; fi
say "Debian packages installed: ${packages[*]}"
