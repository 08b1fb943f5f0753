#!/bin/bash
# our-image.sh BINARY OUT.tar [NAME:TAG]: makes the image of scim-tekton from a release binary (dynamic, as cargo links it here): the
# program, the libraries of this machine that it needs, and nothing else. It runs as 65532.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 2 ] || die "usage: our-image.sh BINARY OUT.tar [NAME:TAG]"
binary=$1 out=$2 name=${3:-localhost/scim-tekton:dev}
[ -x "$binary" ] || die "$binary is no program: cargo build --release makes it."
[ -x "$TOOLS/image" ] || "$HERE/build.sh"
libraries=$("$HERE/ldd.sh" "$binary") || die "$binary: its libraries are not found."
mapfile -t libraries <<<"$libraries"

mkdir -p "$(dirname "$out")"
"$TOOLS/image" -out "$out.new" -name "$name" -user 65532:65532 -workdir /var/lib/scim-tekton -entrypoint /usr/local/bin/scim-tekton \
  -dir /tmp:1777 -dir /var/lib/scim-tekton:755:65532 \
  -text $'/etc/passwd=root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/var/lib/scim-tekton:/sbin/nologin\n' \
  -text $'/etc/group=root:x:0:\nnonroot:x:65532:\n' \
  "$binary=/usr/local/bin/scim-tekton" "${libraries[@]}"
mv "$out.new" "$out"
