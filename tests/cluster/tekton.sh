#!/bin/bash
# Applies Tekton's manifests to the running cluster and waits until it works, not only until its pods run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/await.sh"

apply() { kubectl apply --server-side --force-conflicts "$@"; }

# Its kind is among the things that are applied first, so it has to come later.
late=$MANIFESTS/triggers/core-interceptors.yaml
early=()
for file in "$MANIFESTS"/{namespace,pipeline,triggers}/*.yaml; do [ "$file" = "$late" ] || early+=(-f "$file"); done

# The namespace's ServiceAccounts and the CRDs are made by controllers, a moment later; hence more than one try.
await "Tekton's manifests" 60 "$LOG/kube-apiserver-1.log" apply "${early[@]}"
# Before their pod starts: it looks for them then, and later only once a minute.
await "Tekton's interceptors" 60 "$LOG/kube-apiserver-1.log" apply -f "$late"
await "Tekton's pods" 180 "$LOG/kubelet.log" tekton_available

# An EventListener that starts while a ClusterInterceptor has no caBundle yet ends for good.
have_bundles() {
  local missing
  missing=$(kubectl get clusterinterceptors -o jsonpath='{range .items[*]}{.metadata.name}={.spec.clientConfig.caBundle}{"\n"}{end}' | sed -n 's/^\([^=]*\)=$/\1/p' | tr '\n' ' ')
  [ -z "$missing" ] || {
    echo "without a caBundle: $missing"
    return 1
  }
}
await "the interceptors' certificates" 60 "$LOG/kube-apiserver-1.log" have_bundles

# Each API server calls Tekton's webhooks by itself, and gets their certificate later than the pods are available.
admits() { kubectl --server "https://$1:6443" create --dry-run=server -f "$HERE/conf/admission-probe.yaml"; }
await "Tekton's webhooks from API server 1" 60 "$LOG/kube-apiserver-1.log" admits "$NODE_IP"
await "Tekton's webhooks from API server 2" 60 "$LOG/kube-apiserver-2.log" admits "$NODE_IP_2"
