#!/usr/bin/env bash
# Imports point one way: a target imports those of lower ranks only, and no sibling. Foundation stays
# out of everything that a desktop needs to start.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files -z 'Sources/*.swift' | xargs -0 awk '
  BEGIN {
    rank["CKVM"] = rank["CVNC"] = rank["CPNG"] = rank["CYAML"] = rank["CDigest"] = rank["CProcess"] = rank["CStorage"] = rank["CUnpack"] = rank["CInterpreter"] = rank["BIOS"] = rank["Guests"] = 1
    rank["KVMEngine"] = rank["Configuration"] = 2
    rank["Interpreter"] = 3
    rank["Storage"] = rank["Network"] = rank["Display"] = rank["Input"] = 4
    rank["Machine"] = 5
    rank["Appliance"] = 6
  }
  {
    line = $0
    sub(/^[ \t]+/, "", line)
    while (sub(/^(@[A-Za-z_]+|public|package|internal|fileprivate|private)[ \t]+/, "", line)) {}
    if (line !~ /^import[ \t]/) next
    count = split(line, words, /[ \t.]+/)
    name = words[2]
    if (name ~ /^(struct|class|enum|protocol|func|var|let|typealias)$/) name = words[3]
    split(FILENAME, path, "/")
    home = path[2]
    if (!(home in rank)) {
      print FILENAME ":" FNR ": target " home " has no rank in scripts/check-imports.sh"
      bad = 1
    } else if (name in rank && name != home && rank[name] >= rank[home]) {
      print FILENAME ":" FNR ": " home " must not import " name
      bad = 1
    } else if (name ~ /^Foundation/ && home != "Appliance") {
      print FILENAME ":" FNR ": " home " must do without " name
      bad = 1
    }
  }
  END { exit bad }
'
