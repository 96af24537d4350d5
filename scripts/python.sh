#!/usr/bin/env bash
# Runs Python with the clients that drive desktops from outside, from an environment in the user's
# cache folder, which is made once. --prepare only makes it.
set -euo pipefail
cd "$(dirname "$0")/.."
requirements=scripts/requirements.txt

complain() { echo "porthole: $*" >&2; exit 1; }

python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3) || complain "Python 3 is missing: install python3"
key=$({ "$python" --version; cat "$requirements"; } | sha256sum | cut -c 1-12)
environment=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/porthole/python-$key

if [ ! -e "$environment/ready" ]; then
  echo "making the Python environment of the end-to-end tests" >&2
  mkdir -p "$(dirname "$environment")"
  # One at a time: two test runs may begin together.
  exec 9>"$environment.lock"
  flock 9
  if [ ! -e "$environment/ready" ]; then
    "$python" -m venv --clear "$environment" >/dev/null ||
      complain "Python cannot make an environment: install the package python3-venv"
    "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" ||
      complain "the Python packages $(tr '\n' ' ' <"$requirements")could not be installed: is there a network?"
    touch "$environment/ready"
  fi
  exec 9>&-
fi
[ "${1:-}" = --prepare ] || exec "$environment/bin/python" "$@"
