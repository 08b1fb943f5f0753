#!/bin/bash
# load.sh ARCHIVE...: gives the images of these OCI archives to the running cluster. A name that exists then means the new image; pods that run keep the old.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "usage: load.sh ARCHIVE..."
for archive; do
  [ -f "$archive" ] || die "$archive: no such file."
  archive=$(realpath "$archive")
  enter ctr --namespace k8s.io images import "$archive" >"$LOG/load.log" 2>&1 || die "importing $archive failed" "$LOG/load.log"
done
