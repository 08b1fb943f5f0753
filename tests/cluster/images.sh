#!/bin/bash
# Makes the archives of all images that the cluster itself needs, from the built programs, into the cache. Says nothing when they are there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# What steps, plain pods and curious people use: a shell with busybox's tools, curl (with its libraries) and kubectl.
toolbox() {
  local links=() tool libraries
  for tool in $(busybox --list); do
    [ "$tool" = busybox ] || links+=(-link "/bin/busybox=/bin/$tool")
  done
  libraries=$("$HERE/ldd.sh" "$(command -v curl)")
  libraries+=$'\n'$("$HERE/ldd.sh" "$(command -v busybox)" 2>/dev/null || true) # static, if the package is busybox-static
  mapfile -t libraries <<<"${libraries%$'\n'}"
  "$TOOLS/image" -out "$1/toolbox.tar" -name localhost/toolbox:1 -dir /tmp:1777 -dir /root:700 -dir /workspace:1777 \
    -text $'/etc/passwd=root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n' \
    -text $'/etc/group=root:x:0:\nnonroot:x:65532:\nnobody:x:65534:\n' "${links[@]}" \
    "$(command -v busybox)=/bin/busybox" "$BIN/kubectl=/usr/local/bin/kubectl" "$(command -v curl)=/usr/bin/curl" "${libraries[@]}"
}

# In Tekton's own images the program is /ko-app/NAME, and ko's folder for data exists and is empty: so here.
tekton() {
  local folder=$1 project=$2 version program
  version=$(pinned tekton "github.com/tektoncd/$project")
  for program in "$BIN/$project"/*; do
    program=${program##*/}
    "$TOOLS/image" -out "$folder/$project-$program.tar" -name "localhost/$project/$program:$version" -entrypoint "/ko-app/$program" \
      -dir /tmp:1777 -dir /var/run/ko -env KO_DATA_PATH=/var/run/ko "$BIN/$project/$program=/ko-app/$program"
  done
}

images() {
  "$TOOLS/image" -out "$1/pause.tar" -name localhost/pause:1 -entrypoint /pause -user 65535:65535 "$BIN/pause=/pause"
  toolbox "$1"
  tekton "$1" pipeline
  tekton "$1" triggers
  say "the images are made"
}

cached "$IMAGES" images
