#!/usr/bin/env bash
# Puts libFuzzer's main on a library that was built for it and runs it: fuzz-bytes.sh FOLDER LENGTH
# SECONDS [OPTIONS], FOLDER being the build's, LENGTH an input's most bytes. An input that traps, hangs or
# takes too much memory is kept in the folder; the corpus is kept there too.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
mapfile -t objects < <(find -L "$folder/release" -name '*.o')
[ "${#objects[@]}" -gt 0 ] || { echo "fuzz-bytes: nothing is built in $folder" >&2; exit 1; }
libraries=()
# The display and the kernels' formats need theirs.
case "${objects[*]}" in
  *CVNC.build*) libraries=(-lvncserver -lpng16 -lz -llzma -lzstd -llz4 -lbz2) ;;
  *CUnpack.build*) libraries=(-lz -llzma -lzstd -llz4 -lbz2) ;;
esac
swiftc -sanitize=fuzzer -static-stdlib -o "$folder/bytes" "${objects[@]}" "${libraries[@]}"
mkdir -p "$folder/corpus"
exec "$folder/bytes" -max_total_time="$3" -max_len="$2" -timeout=10 -rss_limit_mb=1024 \
  -artifact_prefix="$folder/" -print_final_stats=1 "$folder/corpus" "${@:4}"
