#!/bin/bash
# conformance-on.sh sqlite|postgres: what conformance.sh does on one of them. It has built the program and installed the suites.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
on=$1

scratch=$(mktemp -d)
case $on in
sqlite) store=sqlite://$scratch/store.db ;;
postgres) store=$POSTGRES_FOR_TESTS ;;
esac
# Two ports that were free a moment ago.
read -r http admin < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for one in sockets: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))')
export SCIM_TEKTON_CONFIG=tests/conformance/config.yaml SCIM_TEKTON_STORE=$store
export SCIM_TEKTON_LISTEN_HTTP=127.0.0.1:$http SCIM_TEKTON_LISTEN_ADMIN=127.0.0.1:$admin SCIM_TEKTON_LISTEN_CONTROL=$scratch/control.sock
serve() { exec "$SUITE_BIN" serve >"$RESULTS/$on-server.log" 2>&1; }
start serve
server=$started
ready() { python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$admin/readyz', timeout=2)" 2>/dev/null; }
for ((tries = 0; tries < 150; tries++)); do
  alive "$server" || die "the server ended: $(tail -n 1 "$RESULTS/$on-server.log")"
  ! ready || break
  sleep 0.2
done
ready || die "the server was not ready after 30 s (see $RESULTS/$on-server.log)."

base=http://127.0.0.1:$http/scim/v2
token() { "$SUITE_BIN" idp token create "$1" 2>/dev/null; }
version() { "$1/bin/python" -c "from importlib.metadata import version; print(version('$2'))"; }

# count NAME FILE: reads `STATUS TITLE` lines, shows what did not pass and the figures. scim2-tester's SKIPPED is a failure: it skips
# what it could not try. Of scim-sanity's SKIPs one is none: AgenticApplications are not served (docs/decisions/0012-agents.md).
count() {
  awk -v name="$1" '
    { n[$1]++ }
    $1 == "PASS" { next }
    { print "    " $0 }
    $1 == "SKIP" && $2 == "AgenticApplication" { failed-- }
    END {
      for (s in n) if (s != "PASS") { failed += n[s]; detail = detail ", " n[s] " " tolower(s) }
      # A suite that says nothing has failed.
      if (NR == 0) failed = 1
      printf "%s: %d checks, %d passed%s\n%d passed, %d failed\n", name, NR, n["PASS"], detail, n["PASS"], failed
      exit failed > 0
    }' "$2"
}

code=0
# Its exit code says less than its lines: a skipped check is not passed.
tester=$(token scim2-tester) sanity=$(token scim-sanity)
tester_runs() { "$venv/bin/scim2" -u "$base" -h "Authorization: Bearer $tester" test -v; }
run "scim2-tester runs ($on)" tester_runs >"$RESULTS/$on-scim2-tester.raw" 2>&1 || code=$?
sed -nE -e 's/\x1b\[[0-9;]*m//g' -e 's/^SUCCESS /PASS /p' -e '/^(ERROR|CRITICAL|SKIPPED|DEVIATION|COMPLIANT|ACCEPTABLE) /p' "$RESULTS/$on-scim2-tester.raw" >"$RESULTS/$on-scim2-tester.lines"
record "$on-scim2-tester" count "$on, scim2-tester $(version "$venv" scim2-tester)" "$RESULTS/$on-scim2-tester.lines" || code=$?

run "scim-sanity runs ($on)" "$venv/bin/scim-sanity" probe "$base" --token "$sanity" --i-accept-side-effects --json-output >"$RESULTS/$on-scim-sanity.json" || code=$?
python3 -c '
import json, sys
for one in json.load(sys.stdin)["results"]:
    print(one["status"].upper(), one["name"], one.get("message", "") if one["status"] != "pass" else "")
' <"$RESULTS/$on-scim-sanity.json" >"$RESULTS/$on-scim-sanity.lines" || code=$?
record "$on-scim-sanity" count "$on, scim-sanity $(version "$venv" scim-sanity)" "$RESULTS/$on-scim-sanity.lines" || code=$?

# The clients, each an IdP of its own: what they do, and what is then in the directory. A script that ends early says so by its exit code.
client() { # NAME VENV
  local lines=$RESULTS/$on-$1.lines log=$RESULTS/$on-$1.log
  mkdir "$scratch/$1"
  SCIM_BASE=$base SCIM_IDP=$1 SCIM_TOKEN=$(token "$1") SERVER_LOG=$RESULTS/$on-server.log CLIENT_BIN=$2/bin CLIENT_HOME=$scratch/$1 \
    run "$1 provisions ($on)" python3 -B "tests/conformance/clients/$1.py" >"$lines" 2>"$log" ||
    echo "FAIL it ended early: $(tail -n 1 "$log")" >>"$lines"
  record "$on-$1" count "$on, $1 $(version "$2" "$1")" "$lines" || code=$?
}
client canaille "$canaille_venv"
client scim-sim "$venv"
client scim2-cli "$venv"
exit "$code"
