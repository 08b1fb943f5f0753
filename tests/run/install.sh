#!/bin/bash
# Installs scim-tekton into the running cluster as its users would: an image, `kubectl apply -f config/`, and waiting until it is ready.
# With CONFIG=FILE, that file is the configuration in place of the one in config/ (tests/suite/config.yaml: what the story and the suite need).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -x "$ENTER" ] || die "no cluster is running: make cluster"
binary=${SUITE_BIN:-$TARGET/release/scim-tekton}
kubectl() { "$ENTER" kubectl "$@"; }

say "making the image of $(basename "$binary")"
tests/cluster/our-image.sh "$binary" "$CLUSTER_DIR/scim-tekton.tar"
tests/cluster/load.sh "$CLUSTER_DIR/scim-tekton.tar"
# A pod keeps the image that it started with, and the name stays the same: so one that is there already is started anew.
installed=
kubectl -n scim-tekton get deployment scim-tekton >/dev/null 2>&1 && installed=yes
files=(config/*.yaml)
if [ -n "${CONFIG:-}" ]; then
  mkdir -p "$RESULTS/config"
  kubectl -n scim-tekton create configmap scim-tekton-config --from-file=config.yaml="$CONFIG" --dry-run=client -o yaml >"$RESULTS/config/500-config.yaml"
  # The secrets of the clients that tests/suite/config.yaml names.
  kubectl -n scim-tekton create secret generic scim-tekton-issuer-clients --from-literal=registry="the secret of registry" \
    --from-literal=other="the secret of other" --dry-run=client -o yaml >"$RESULTS/config/501-issuer-clients.yaml"
  files=("${files[@]/config\/500-config.yaml/$RESULTS\/config\/500-config.yaml}" "$RESULTS/config/501-issuer-clients.yaml")
fi
say "kubectl apply -f config/${CONFIG:+ with the configuration $CONFIG}"
kubectl apply "${files[@]/#/--filename=}" >"$RESULTS/apply.log" 2>&1 || { cat "$RESULTS/apply.log" >&2; die "config/ could not be applied."; }
[ -z "$installed" ] || kubectl -n scim-tekton rollout restart deployment scim-tekton >/dev/null
if ! run "waiting until scim-tekton is ready" "$ENTER" kubectl -n scim-tekton rollout status deployment scim-tekton --timeout=120s >"$RESULTS/rollout.log"; then
  cat "$RESULTS/rollout.log" >&2
  kubectl -n scim-tekton get pods,events >&2 || true
  kubectl -n scim-tekton logs deployment/scim-tekton --tail=30 >&2 || true
  die "scim-tekton did not become ready in 120 s; its pods, events and log are above."
fi
say "scim-tekton is ready"
