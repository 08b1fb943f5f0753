#!/bin/bash
# postgres.sh COMMAND...: starts a PostgreSQL of its own (Debian's), runs the command with POSTGRES_FOR_TESTS, its URL, and ends it.
# Its files and its socket are in a folder that is removed at the end; it listens on 127.0.0.1.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
tests/cluster/packages.sh postgres
bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -x "$bin/postgres" ] || die "Debian's package postgresql brought no server."

scratch=$(mktemp -d)
# It refuses to run as root.
as=()
if [ "$(id -u)" = 0 ]; then
  id postgres >/dev/null 2>&1 || die "there is no user postgres, as which Debian's package runs it."
  chown postgres "$scratch"
  as=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
port=$(python3 -c '
import socket
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    print(one.getsockname()[1])')
log=$RESULTS/postgres.log
run "making a PostgreSQL database" "${as[@]}" "$bin/initdb" --pgdata="$scratch/data" --username=tekton --auth=trust --encoding=UTF8 \
  --locale=C.UTF-8 >"$log" 2>&1 || die "initdb failed: $(tail -n 1 "$log")"
# A store holds five connections, and every test has a store.
# For who asks for encryption; the file is what they are to trust.
"${as[@]}" openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/key.pem" -out "$scratch/certificate.pem" -days 2 \
  -subj /CN=postgres -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE 2>>"$log" ||
  die "openssl failed: $(tail -n 1 "$log")"
# Told to end (TERM), it would wait for whoever is connected, and write everything down, which is thrown away in the next moment.
serve() {
  cd "$scratch"
  "${as[@]}" "$bin/postgres" -D "$scratch/data" -k "$scratch" -h 127.0.0.1 -p "$port" -c max_connections=300 -c shared_buffers=256MB \
    -c ssl=on -c ssl_cert_file="$scratch/certificate.pem" -c ssl_key_file="$scratch/key.pem" >>"$log" 2>&1 &
  trap 'kill -QUIT $!' TERM
  while kill -0 $! 2>/dev/null; do wait $! || true; done
}
start serve
server=$started
for ((tries = 0; tries < 150; tries++)); do
  alive "$server" || die "PostgreSQL ended: $(tail -n 1 "$log")"
  ! "${as[@]}" "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" || break
  sleep 0.2
done
((tries < 150)) || die "PostgreSQL was not ready after 30 s (see $log)."
export POSTGRES_FOR_TESTS=postgres://tekton@127.0.0.1:$port/postgres POSTGRES_FOR_TESTS_CA=$scratch/certificate.pem
run "" "$@"
