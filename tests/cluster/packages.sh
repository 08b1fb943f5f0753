#!/bin/bash
# Installs the Debian packages whose programs are missing. Costs nothing when none is.
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
needs containerd containerd ctr containerd-shim-runc-v2
needs runc runc
needs containernetworking-plugins /usr/lib/cni/ptp /usr/lib/cni/host-local
needs busybox-static /bin/busybox
needs nftables nft
needs iproute2 ip ss
needs kmod modprobe
needs openssl openssl
needs curl curl
needs util-linux unshare flock mount setsid
needs gcc gcc
needs libc6-dev /usr/include/stdio.h
[ ${#packages[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || die "missing: ${packages[*]} (Debian's names; without apt-get they have to be installed by hand)"
mkdir -p "$LOG"
log=$LOG/packages.log
: >"$log"
say "installing Debian packages: ${packages[*]}"

# The cluster starts a containerd of its own. Debian's package would start another one for the whole machine, and leave it there.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] && ! command -v containerd >/dev/null; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install=(apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}")
"${install[@]}" >"$log" 2>&1 || {
  # A new machine has no package lists, an old one stale ones.
  with_progress "reading Debian's package lists" "$log" apt-get -o DPkg::Lock::Timeout=300 update
  with_progress "installing Debian packages" "$log" "${install[@]}"
}
if [ -e "$policy" ] && [ -d /run/systemd/system ] && ! systemctl is-active --quiet containerd; then
  systemctl disable --quiet containerd 2>>"$log" || true # policy-rc.d kept it from starting now; this, from starting at the next boot
fi
say "Debian packages installed"
