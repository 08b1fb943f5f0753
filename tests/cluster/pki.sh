#!/bin/bash
# pki.sh: a certificate authority, every certificate, the key that signs service accounts' tokens, and kubeconfigs. All new at every start.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

umask 077
rm -rf "$PKI"
mkdir -p "$PKI"
cd "$PKI"

quietly() { openssl "$@" 2>openssl.log || die "openssl $1 failed" "$PKI/openssl.log"; }
new_key() { quietly ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

new_key ca
quietly req -x509 -new -key ca.key -subj /CN=cluster-ca -days 30 -out ca.crt \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
new_key sa
quietly ec -in sa.key -pubout -out sa.pub

certificate() { # NAME SUBJECT USAGE [SUBJECT-ALTERNATIVE-NAMES]
  new_key "$1"
  printf '%s\n' keyUsage=critical,digitalSignature "extendedKeyUsage=$3" ${4:+"subjectAltName=$4"} >extensions
  quietly req -new -key "$1.key" -subj "$2" -out request
  quietly x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" -extfile extensions
}
names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
certificate apiserver /CN=kube-apiserver serverAuth "IP:127.0.0.1,IP:$NODE_IP,IP:$NODE_IP_2,IP:$KUBERNETES_IP,$names"
certificate kubelet-server /CN=node1 serverAuth "IP:$NODE_IP,DNS:node1"
certificate admin /O=system:masters/CN=admin clientAuth
certificate apiserver-kubelet /O=system:masters/CN=apiserver-kubelet clientAuth
certificate kubelet /O=system:nodes/CN=system:node:node1 clientAuth
certificate controller-manager /CN=system:kube-controller-manager clientAuth
certificate scheduler /CN=system:kube-scheduler clientAuth
certificate proxy /CN=system:kube-proxy clientAuth

kubeconfig() { # USER: everything embedded, so that the file may be copied
  base64_of() { base64 -w0 "$1"; }
  cat <<YAML
apiVersion: v1
kind: Config
clusters: [{name: cluster, cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64_of ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64_of "$1.crt"), client-key-data: $(base64_of "$1.key")}}]
contexts: [{name: cluster, context: {cluster: cluster, user: $1}}]
current-context: cluster
YAML
}
for user in admin kubelet controller-manager scheduler proxy; do kubeconfig $user >$user.kubeconfig; done
rm -f extensions request openssl.log ca.srl
