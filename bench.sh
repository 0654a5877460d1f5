#!/usr/bin/env bash
# How fast: against nginx, haproxy and a plain forwarder. bench.sh [quick | full] [SUBJECT...] | bench.sh sustained [MINUTES]
# Prints one table and writes it to bench/results; bench/README.md says how to read it.
set -euo pipefail
cd "$(dirname "$0")"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

need() { # need COMMAND PACKAGE: a Debian package, unless its command is there
  command -v "$1" >/dev/null 2>&1 && return
  echo "installing $2" >&2
  if [ ! -e /tmp/.roadbalancer-apt-updated ]; then
    apt-get update -qq
    touch /tmp/.roadbalancer-apt-updated
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

need wrk wrk
need nginx nginx-light
need haproxy haproxy
need redis-server redis-server
need taskset util-linux

out=bench/.out
dotnet publish src/Functions --configuration Release --output "$out/app" --verbosity quiet -p:RunAnalyzers=false
dotnet publish bench/Bench --configuration Release --output "$out/bench" --verbosity quiet -p:RunAnalyzers=false

ulimit -n "$(ulimit -Hn)"
export BENCH_APP="$PWD/$out/app" BENCH_RESULTS="$PWD/bench/results"
cores=$(nproc)
[ "$cores" -lt 2 ] || pin="taskset -c $((cores - 1))"
exec ${pin:-} dotnet "$out/bench/Roadbalancer.Bench.dll" "${@:-quick}"
