#!/bin/bash
# Tekton's own manifests, out of the modules that its programs are built from, into the cache. Nothing in them is changed but the names
# of images and how fast the controller may work.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

manifests() {
  local out=$1 pipeline triggers file
  pipeline=$(go -C "$HERE/tekton" list -m -f '{{.Dir}}' github.com/tektoncd/pipeline)
  triggers=$(go -C "$HERE/tekton" list -m -f '{{.Dir}}' github.com/tektoncd/triggers)
  mkdir "$out/namespace" "$out/pipeline" "$out/triggers"
  cat "$pipeline"/config/100-namespace/*.yaml >"$out/namespace/namespace.yaml"
  for file in "$pipeline"/config/*.yaml "$pipeline"/config/300-crds/*.yaml; do
    # Cloud events and autoscaling need programs that this cluster has not.
    case $file in */events.yaml | */webhook-hpa.yaml | */config-leader-election-events.yaml) continue ;; esac
    pipeline_manifest <"$file" >"$out/pipeline/${file##*/}"
  done
  for file in "$triggers"/config/*.yaml "$triggers"/config/interceptors/*.yaml; do
    image_names triggers <"$file" >"$out/triggers/${file##*/}"
  done
  ! grep -rnE 'ko://|[a-z]@sha256:[0-9a-f]' "$out" >&2 || die "Tekton's manifests still name the images above, which nobody has here."
}

image_names() {
  sed -E "s#ko://github.com/tektoncd/$1/cmd/([a-z]+)#localhost/$1/\1:$(pinned tekton "github.com/tektoncd/$1")#"
}

# The controller also names two shells (of Linux and of Windows), as HOST/PATH@sha256:DIGEST.
# By default its client may ask 20 times a second and it has 2 threads a kind: a hundred runs at once would measure that, not us.
pipeline_manifest() {
  image_names pipeline | sed -E \
    -e 's#"[a-z0-9./:-]+@sha256:[0-9a-f]+"#"localhost/toolbox:1"#' \
    -e 's#^( *)args: \[$#&\n\1  "-kube-api-qps", "200", "-kube-api-burst", "400", "-threads-per-controller", "16",#'
}

cached "$MANIFESTS" manifests
