#!/usr/bin/env bash
# Drives the built command from outside: real media, real VNC clients. What needs /dev/kvm is skipped
# by name where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
export PORTHOLE=${1:-$PWD/.build/release/porthole}
exec scripts/python.sh -m pytest -p no:cacheprovider -rs --durations=5 Tests/EndToEnd
