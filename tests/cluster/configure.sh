#!/bin/bash
# Writes everything that a start needs and that its users read: keys, the programs' configuration, and kubeconfig, env and enter.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mkdir -p "$CLUSTER_DIR"/{run,conf/cni,volumes} "$LOG"
rm -rf "${LOG:?}"/pods
find "$LOG" -maxdepth 1 -name '*.log' ! -name 'build-*' ! -name 'fetch-*' ! -name 'packages*' -delete
"$HERE/pki.sh"

filled_in() {
  sed -e "s#@CLUSTER_DIR@#$CLUSTER_DIR#g" -e "s#@CGROUP@#$CGROUP#g" -e "s#@NODE_IP@#$NODE_IP#g" -e "s#@POD_RANGE@#$POD_RANGE#g" "$1"
}
for file in containerd.toml kubelet.yaml kube-proxy.yaml resolv-node.conf resolv-pods.conf; do filled_in "$HERE/conf/$file" >"$CLUSTER_DIR/conf/$file"; done
filled_in "$HERE/conf/cni.conflist" >"$CLUSTER_DIR/conf/cni/pods.conflist"

# Names that tests want beside the Services' (cluster-helper reads it again whenever it changes).
echo "$NODE_IP node1" >"$CLUSTER_DIR/hosts"

install -m 600 "$PKI/admin.kubeconfig" "$CLUSTER_DIR/kubeconfig"
cat >"$CLUSTER_DIR/env" <<ENV
KUBECONFIG=$CLUSTER_DIR/kubeconfig
APISERVER_1=https://$NODE_IP:6443
APISERVER_2=https://$NODE_IP_2:6443
CLUSTER_CA=$PKI/ca.crt
CLUSTER_DIR=$CLUSTER_DIR
CLUSTER_BIN=$BIN
CLUSTER_RUN=$RUN
CLUSTER_LOG=$LOG
CLUSTER_HOSTS=$CLUSTER_DIR/hosts
CLUSTER_DNS=$NODE_IP:53
NODE_IP=$NODE_IP
TOOLBOX_IMAGE=localhost/toolbox:1
STEP_IMAGE=localhost/toolbox:1
SCIM_TEKTON_IMAGE=localhost/scim-tekton:dev
STORAGE_CLASS=standard
KUBERNETES_VERSION=$(pinned kubernetes k8s.io/kubernetes)
PIPELINES_VERSION=$(pinned tekton github.com/tektoncd/pipeline)
TRIGGERS_VERSION=$(pinned tekton github.com/tektoncd/triggers)
ENV
cat >"$CLUSTER_DIR/enter" <<ENTER
#!/bin/sh
# Made by tests/cluster/up.sh. enter [COMMAND...]: runs it (or a shell) in the node's namespaces, in this folder and with this environment.
[ \$# -gt 0 ] || set -- "\${SHELL:-/bin/sh}"
# There is no world outside, hence no proxy.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
# The cache of discovery is named after the server's address, which every new cluster has again.
export PATH="$BIN:\$PATH" KUBECONFIG="$CLUSTER_DIR/kubeconfig" KUBECACHEDIR="$RUN/kubectl-cache"
exec "$TOOLS/enter" "$RUN/node" "\$@"
ENTER
chmod 755 "$CLUSTER_DIR/enter"
