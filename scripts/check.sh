#!/usr/bin/env bash
# What can be told of the sources without building them. Every finding is a line; any fails.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

echo "formatting"
swift format lint --strict -r Package.swift Sources Tests Fuzz || failed=1

echo "direction of imports"
scripts/check-imports.sh || failed=1

echo "no binaries"
# Git calls a file binary that has lines nobody can count; pictures are the exception.
empty=$(git hash-object -t tree /dev/null)
binaries=$(git diff --numstat --cached "$empty" | awk -F '\t' '$1 == "-" && $3 !~ /\.png$/ { print $3 }')
if [ -n "$binaries" ]; then
  echo "$binaries" | sed 's/$/: binary files do not belong in the repository/'
  failed=1
fi

[ "$failed" -eq 0 ] && echo "all is well"
exit "$failed"
