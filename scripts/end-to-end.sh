#!/usr/bin/env bash
# Drives the built command from outside: real media, real VNC clients. What needs /dev/kvm is skipped
# by name where there is none, and what this host's KVM lacks instructions for is an expected failure
# that names them.
#
#   end-to-end.sh [COMMAND [PYTEST OPTIONS]]
#
# PORTHOLE_FULL=1 waits for what takes minutes where real mode is emulated. PORTHOLE_KEEP is the folder
# for pictures of failed comparisons (.build/end-to-end); PORTHOLE_GOLDEN=1 keeps golden pictures anew.
set -euo pipefail
cd "$(dirname "$0")/.."
export PORTHOLE=${1:-$PWD/.build/release/porthole} PYTHONDONTWRITEBYTECODE=1
exec scripts/python.sh -m pytest -p no:cacheprovider -rsxX --no-fold-skipped --durations=5 --tb=short \
  Tests/EndToEnd "${@:2}"
