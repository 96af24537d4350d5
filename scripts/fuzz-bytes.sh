#!/usr/bin/env bash
# Puts libFuzzer's main on the built library and runs it: fuzz-bytes.sh SECONDS [OPTIONS]. An input that
# traps, hangs or takes too much memory is kept in .build/fuzzer; the corpus is kept there too.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=.build/fuzzer
mapfile -t objects < <(find -L "$folder/release" -name '*.o')
[ "${#objects[@]}" -gt 0 ] || { echo "fuzz-bytes: nothing is built: make fuzz-bytes" >&2; exit 1; }
swiftc -sanitize=fuzzer -static-stdlib -o "$folder/bytes" "${objects[@]}"
mkdir -p "$folder/corpus"
exec "$folder/bytes" -max_total_time="$1" -max_len=128 -timeout=10 -rss_limit_mb=1024 \
  -artifact_prefix="$folder/" -print_final_stats=1 "$folder/corpus" "${@:2}"
