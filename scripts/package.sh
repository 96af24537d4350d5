#!/usr/bin/env bash
# Makes a Debian package of a built command: package.sh PORTHOLE FOLDER. Prints the package's path.
# Manual pages and completions are what the command says of itself, dependencies are what it links.
# The same command, sources and SOURCE_DATE_EPOCH (the changelog's date without it) give the same
# package. COMPRESSION is dpkg-deb's -Z (xz).
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 2 ] || { echo "usage: $0 PORTHOLE FOLDER" >&2; exit 64; }
binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
umask 022
export LC_ALL=C.UTF-8

complain() { echo "porthole: $*" >&2; exit 1; }
for tool in dpkg-deb dpkg-shlibdeps dpkg-parsechangelog strip python3; do
  command -v "$tool" >/dev/null || complain "$tool is missing: apt install dpkg-dev binutils python3"
done

version=$("$binary" --version | sed 's/^porthole //')
written=$(dpkg-parsechangelog -l Packaging/changelog -S Version)
[ "$version" = "$written" ] ||
  complain "the command is $version, and Packaging/changelog ends with $written"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog -l Packaging/changelog -S Timestamp)}
architecture=$(dpkg --print-architecture)

work=$(mktemp -d "$folder/package.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
share=$tree/usr/share
documents=$share/doc/porthole

# Packs `file` as the package keeps its texts: without a name and a time in the header.
packed() { gzip -9n <"$1"; }
fill() { install -D -m 644 /dev/stdin "$1"; }

install -d "$tree/usr/bin" "$tree/DEBIAN"
strip --strip-unneeded -R .comment -R .note.gnu.gold-version -o "$tree/usr/bin/porthole" "$binary"
chmod 755 "$tree/usr/bin/porthole"
install -D -m 644 Packaging/porthole@.service "$tree/usr/lib/systemd/system/porthole@.service"
install -D -m 644 Packaging/60-porthole.rules "$tree/usr/lib/udev/rules.d/60-porthole.rules"

scripts/man-pages.py "$binary" "$work/man"
for page in "$work/man"/*.1; do packed "$page" | fill "$share/man/man1/${page##*/}.gz"; done
# It is sourced, not run.
"$binary" --generate-completion-script bash | sed '1{/^#!/d}' |
  fill "$share/bash-completion/completions/porthole"
"$binary" --generate-completion-script zsh | fill "$share/zsh/vendor-completions/_porthole"
"$binary" --generate-completion-script fish | fill "$share/fish/vendor_completions.d/porthole.fish"

packed Packaging/changelog | fill "$documents/changelog.gz"
packed CHANGELOG.md | fill "$documents/NEWS.md.gz"
packed README.md | fill "$documents/README.md.gz"
fonts=$(sed -n 's/^[A-Z].*: Copyright //p' Guests/demo/LICENSE-OFL | sed '2,$s/^/ /')
license=$(sed -n '/^PREAMBLE/,$p' Guests/demo/LICENSE-OFL | sed 's/^$/./; s/^/ /')
fonts=$fonts license=$license python3 - Packaging/copyright <<'PYTHON' | fill "$documents/copyright"
import os, sys
text = open(sys.argv[1], encoding="utf-8").read()
print(text.replace("@FONTS@", os.environ["fonts"]).replace("@OFL@", os.environ["license"]), end="")
PYTHON
install -D -m 644 Packaging/lintian-overrides "$share/lintian/overrides/porthole"

# dpkg-shlibdeps wants a source package around it.
mkdir -p "$work/source/debian"
printf 'Source: porthole\n\nPackage: porthole\nArchitecture: any\n' >"$work/source/debian/control"
depends=$(cd "$work/source" && dpkg-shlibdeps -O -S"$tree" -e"$tree/usr/bin/porthole" | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || complain "dpkg-shlibdeps names no dependency of $binary"

control=$tree/DEBIAN
size=$(du -k -s --apparent-size "$tree" | cut -f 1)
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/; s/@DEPENDS@/$depends/" \
  Packaging/control | fill "$control/control"
for name in postinst prerm postrm; do install -m 755 "Packaging/$name" "$control/$name"; done
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) | fill "$control/md5sums"

package=$folder/porthole_${version}_$architecture.deb
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$tree" "$work/package.deb" >/dev/null
mv "$work/package.deb" "$package"
echo "$package"
