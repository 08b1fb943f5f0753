#!/bin/bash
# Tries everything in the running cluster (stops and kills API server 2 for a moment: not beside other tests) that the project's tests rely on. Some 30 s; says OK for each, or what is wrong.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/await.sh"

ok() { say "OK: $*"; }
k() { kubectl -n smoke "$@"; }
# is WANTED ARGUMENTS...: a question to kubectl has this answer.
is() {
  local wanted=$1 answer
  shift
  answer=$(k "$@") || return 1
  [ "$answer" = "$wanted" ] || { echo "expected '$wanted', it is '$answer'"; return 1; }
}
expect() { await "$1" "$2" "$LOG/kubelet.log" "${@:3}"; ok "$1"; }

kubectl delete namespace smoke --ignore-not-found >/dev/null
kubectl create namespace smoke >/dev/null
trap 'kubectl delete namespace smoke --wait=false >/dev/null; kubectl delete clusterrolebinding smoke-sink >/dev/null' EXIT

expect "the kubernetes Service has both API servers" 10 \
  is "$NODE_IP $NODE_IP_2" get endpointslice kubernetes -n default -o 'jsonpath={.endpoints[*].addresses[0]}'

k apply --server-side -f "$HERE/smoke/eventlistener.yaml" >/dev/null
expect "an EventListener becomes available" 60 is True get deployment el-smoke -o 'jsonpath={.status.conditions[?(@.type=="Available")].status}'
post() { enter curl -sS --fail -m 5 -H 'Content-Type: application/json' -d '{"n": 1}' http://el-smoke.smoke.svc.cluster.local:8080/; }
expect "an event is taken, by the Service's name, from the node" 15 post
expect "the event has passed an interceptor and become a PipelineRun" 15 is 2 get pipelineruns -l from=event -o 'jsonpath={.items[0].spec.params[0].value}'

k apply --server-side -f "$HERE/smoke/workload.yaml" >/dev/null
expect "a claim is bound to a volume" 15 is Bound get pvc data -o 'jsonpath={.status.phase}'
expect "a pod reaches API servers and Services by name, and writes to its volume" 30 is Succeeded get pod pod -o 'jsonpath={.status.phase}'
expect "a TaskRun passes a result on" 60 is "True forty-two" get taskrun taskrun -o 'jsonpath={.status.conditions[0].status} {.status.results[0].value}'
expect "a PipelineRun of two tasks" 60 is "True got passed-on" get pipelinerun pipelinerun -o 'jsonpath={.status.conditions[0].status} {.status.results[0].value}'
expect "a step.s log comes through the kubelet" 10 is /workspace/sub/dir logs taskrun-pod -c step-command --limit-bytes=18

volume=$(k get pvc data -o 'jsonpath={.spec.volumeName}')
k delete pod pod --now >/dev/null && k delete pvc data >/dev/null
is_gone() { ! kubectl get pv "$volume"; }
expect "a deleted claim takes its volume along" 15 is_gone
k apply --server-side -f "$HERE/smoke/workload.yaml" >/dev/null
expect "the claim made again is bound again" 15 is Bound get pvc data -o 'jsonpath={.status.phase}'

enter kill -STOP "$(cat "$RUN/kube-apiserver-2.pid")"
stopped() { ! enter curl -s -m 1 --cacert "$PKI/ca.crt" "https://$NODE_IP_2:6443/readyz" && kubectl get namespace smoke >/dev/null; }
expect "API server 2 is stopped, number 1 answers" 10 stopped
enter kill -CONT "$(cat "$RUN/kube-apiserver-2.pid")"
expect "and both answer when it goes on" 20 api_ready
enter kill -KILL "$(cat "$RUN/kube-apiserver-2.pid")"
expect "killed, it is started again" 30 api_ready
