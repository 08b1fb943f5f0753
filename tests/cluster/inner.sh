#!/bin/bash
# PID 1 of the node, started by up.sh in namespaces of its own: sets them up, starts every program and keeps it running.
# When it ends, the kernel ends everything in here.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# --- the machine as the node sees it

mount -t proc proc /proc
mount --make-rshared / # the kubelet needs it, for volumes; these are our mounts only
for folder in /run /var/log /var/lib; do mount -t tmpfs -o mode=755 tmpfs $folder; done
# What is large lies on the disk, under its usual path: below a deep checkout the kubelet's sockets would pass 108 characters.
on_disk() {
  mkdir -p "$1" "$2"
  mount --bind "$1" "$2"
}
for program in etcd containerd kubelet; do on_disk "$CLUSTER_DIR/$program" /var/lib/$program; done
on_disk "$LOG/pods" /var/log/pods

# The kubelet wants these values. They hold for the whole machine, so it gets files to read and write instead.
fake_sysctl() {
  [ "$(cat "/proc/sys/$1")" != "$2" ] || return 0
  mkdir -p "/run/sysctl/$(dirname "$1")"
  echo "$2" >"/run/sysctl/$1"
  mount --bind "/run/sysctl/$1" "/proc/sys/$1"
}
fake_sysctl vm/overcommit_memory 1
fake_sysctl vm/panic_on_oom 0
fake_sysctl kernel/panic 10
fake_sysctl kernel/panic_on_oops 1
fake_sysctl kernel/keys/root_maxkeys 1000000
fake_sysctl kernel/keys/root_maxbytes 25000000

# Programs that run in here by `enter` look names up as pods do. The file may be a link into the /run that is hidden now.
resolv=$(readlink -m /etc/resolv.conf)
[ -e "$resolv" ] || { mkdir -p "$(dirname "$resolv")" && : >"$resolv"; }
mount --bind "$CLUSTER_DIR/conf/resolv-node.conf" "$resolv"

hostname node1
ip link set lo up
ip addr add "$NODE_IP/32" dev lo
ip addr add "$NODE_IP_2/32" dev lo
# Address translation comes after routing, and there is no default route: without this the API servers get "network is unreachable" for webhooks' Services.
ip route add "$SERVICE_RANGE" dev lo src "$NODE_IP"
echo 1 >/proc/sys/net/ipv4/ip_forward
for interface in all default; do echo 0 >/proc/sys/net/ipv4/conf/$interface/rp_filter; done # a strict host would hand its own on

# --- its programs

# keep NAME COMMAND...: starts it again whenever it ends. run/NAME.pid is its number in here: tests stop and kill by that.
keep() {
  local name=$1 pid status
  shift
  while :; do
    status=0
    "$@" >>"$LOG/$name.log" 2>&1 &
    pid=$!
    echo $pid >"$RUN/$name.pid.new"
    mv "$RUN/$name.pid.new" "$RUN/$name.pid"
    wait $pid || status=$?
    echo "$(date -u +%T) $name ended with status $status and is started again: see $LOG/$name.log"
    sleep 0.5
  done
}

etcd() {
  local fsync=(--unsafe-no-fsync) # nothing here outlives the machine; benchmarks want the real cost
  [ "${CLUSTER_ETCD_FSYNC:-}" != 1 ] || fsync=()
  keep etcd "$BIN/etcd" --data-dir /var/lib/etcd/data --log-level=warn "${fsync[@]}" \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 --initial-cluster=default=http://127.0.0.1:2380
}

# An API server takes its identity from the host's name, and two of one name would quarrel about a Lease: each gets a name of its own.
apiserver() { # NUMBER ADDRESS
  # shellcheck disable=SC2016 # the inner shell's arguments
  keep "kube-apiserver-$1" unshare --uts sh -c 'hostname "$0" && exec "$@"' "apiserver-$1" "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address="$2" --advertise-address="$2" --secure-port=6443 \
    --service-cluster-ip-range="$SERVICE_RANGE" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-signing-key-file="$PKI/sa.key" --service-account-key-file="$PKI/sa.pub" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" --kubelet-client-key="$PKI/apiserver-kubelet.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP --v=1
}

kubelet() {
  keep kubelet "$BIN/kubelet" --config="$CLUSTER_DIR/conf/kubelet.yaml" --kubeconfig="$PKI/kubelet.kubeconfig" \
    --hostname-override=node1 --node-ip="$NODE_IP" --v=2
}

# The defaults are meant for thousands of nodes; more at once lets a hundred runs measure us, not the queue.
controller_manager() {
  keep kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig="$PKI/controller-manager.kubeconfig" \
    --authentication-kubeconfig="$PKI/controller-manager.kubeconfig" --authorization-kubeconfig="$PKI/controller-manager.kubeconfig" \
    --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials=true \
    --service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --kube-api-qps=500 --kube-api-burst=1000 --concurrent-namespace-syncs=30 --concurrent-serviceaccount-token-syncs=20 \
    --concurrent-deployment-syncs=20 --concurrent-replicaset-syncs=20 --concurrent-service-endpoint-syncs=20 --concurrent-gc-syncs=40 --v=1
}

scheduler() {
  keep kube-scheduler "$BIN/kube-scheduler" --kubeconfig="$PKI/scheduler.kubeconfig" --authentication-kubeconfig="$PKI/scheduler.kubeconfig" \
    --authorization-kubeconfig="$PKI/scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000 --v=1
}

helper() {
  keep cluster-helper "$BIN/cluster-helper" -kubeconfig "$PKI/admin.kubeconfig" -dns "$NODE_IP:53" -hosts "$CLUSTER_DIR/hosts" -volumes "$CLUSTER_DIR/volumes"
}

import_images() {
  until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
  local archive
  # pause first: no pod starts without it.
  for archive in "$IMAGES"/pause.tar "$IMAGES"/*.tar; do
    until ctr --namespace k8s.io images import "$archive"; do sleep 0.5; done
  done >"$LOG/import.log" 2>&1
  touch "$RUN/images-imported"
}

# waits until an API server has its RBAC rules (readyz covers that): controller-manager and scheduler end for good when they come before.
ready() {
  until [ "$(curl -s -m 2 --cacert "$PKI/ca.crt" "https://$1:6443/readyz")" = ok ]; do sleep 0.2; done
}

etcd &
keep containerd containerd --config "$CLUSTER_DIR/conf/containerd.toml" &
apiserver 1 "$NODE_IP" &
apiserver 2 "$NODE_IP_2" &
import_images &
importer=$!
ready "$NODE_IP"
kubelet &
controller_manager &
scheduler &
keep kube-proxy "$BIN/kube-proxy" --config="$CLUSTER_DIR/conf/kube-proxy.yaml" --v=1 &
helper &

# Bash reaps whatever loses its parent in here as long as it waits. Each keep is for ever: when one ends, something is broken, and then all must end.
trap 'exit 0' TERM INT
while wait -n -p ended || true; [ "$ended" = "$importer" ]; do :; done
echo "the supervisor with pid $ended is gone, so the node ends"
exit 1
