# shellcheck shell=bash
# Sourced: waiting for the node, with words.

# await WHAT SECONDS LOG COMMAND...: repeats COMMAND until it succeeds. Says every few seconds what it waits for, and what COMMAND printed last;
# ends at once when the node is gone.
await() {
  local what=$1 limit=$2 log=$3 began=$SECONDS next=5 output=
  shift 3
  until output=$("$@" 2>&1); do
    [ -n "$(node_holder)" ] || die "the node has ended while waiting for $what" "$LOG/node.log"
    ((SECONDS - began < limit)) || die "$what: not within $limit s ($(tail -n 1 <<<"$output"))" "$log"
    if ((SECONDS - began >= next)); then
      say "waiting for $what: $((SECONDS - began)) s ($(tail -n 1 <<<"$output" | cut -c1-160))"
      next=$((SECONDS - began + 8))
    fi
    sleep 0.5
  done
}

# api_ready: both API servers say so themselves.
api_ready() {
  local address answer
  for address in "$NODE_IP" "$NODE_IP_2"; do
    answer=$(enter curl -sS -m 4 --cacert "$PKI/ca.crt" "https://$address:6443/readyz") || return 1
    [ "$answer" = ok ] || {
      echo "$address: $answer"
      return 1
    }
  done
}

# tekton_available: every Deployment of Tekton's namespace is.
tekton_available() {
  local missing
  missing=$(kubectl -n tekton-pipelines get deployments -o jsonpath='{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Available")].status}{"\n"}{end}' | grep -v '=True$' | cut -d= -f1 | tr '\n' ' ')
  [ -z "$missing" ] || {
    echo "not yet: $missing"
    return 1
  }
}
