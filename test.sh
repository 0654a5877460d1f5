#!/usr/bin/env bash
# Everything needed to test: installs what is missing, restores, builds with warnings as errors, checks formatting, runs all tests.
# Ends with a line "N passed, N failed". Arguments go to the test program (for instance: -class '*RetryPlan*').
set -euo pipefail
cd "$(dirname "$0")"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

need() { # need COMMAND PACKAGE: a Debian package, unless its command is there
  command -v "$1" >/dev/null 2>&1 && return
  echo "installing $2"
  if [ ! -e /tmp/.roadbalancer-apt-updated ]; then
    apt-get update -qq
    touch /tmp/.roadbalancer-apt-updated
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

need node nodejs
need npm npm
need curl curl
need script bsdutils
need redis-server redis-server
need promtool prometheus
need chromium chromium
if ! cmp -s tests/node/package-lock.json tests/node/node_modules/.installed-lock.json; then
  echo "installing the npm packages of tests/node"
  npm ci --prefix tests/node --no-audit --no-fund --silent
  cp tests/node/package-lock.json tests/node/node_modules/.installed-lock.json
fi

dotnet restore Functions.sln --locked-mode --verbosity quiet
dotnet build Functions.sln --configuration Release --no-restore --verbosity quiet
dotnet format Functions.sln whitespace --no-restore --verify-no-changes

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
dotnet tests/bin/Release/net10.0/Roadbalancer.Tests.dll -noLogo -noColor "$@" | tee "$log" || status=$?

count() { sed -nE "s/.*Total: ([0-9]+), Errors: ([0-9]+), Failed: ([0-9]+), Skipped: ([0-9]+).*/\\$1/p" "$log" | tail -n 1; }
total=$(count 1)
if [ -z "$total" ]; then
  echo "the tests did not run to their end" >&2
  exit 1
fi

failed=$(($(count 2) + $(count 3)))
skipped=$(count 4)
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
  echo "the test program ended with status $status" >&2
  failed=1
fi

line="$((total - $(count 3) - skipped)) passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
