#!/usr/bin/env bash
# Installs what is missing to build and run (run), to test as well (test), to measure (bench), to
# pack (package), or to fuzz (fuzz).
# Does nothing, and asks no network, where everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}

complain() { echo "porthole: $*" >&2; exit 1; }

build_packages=(
  libvncserver-dev libpng-dev zlib1g-dev liblzma-dev libzstd-dev liblz4-dev libbz2-dev libyaml-dev nettle-dev git
)
pack_packages=(dpkg-dev binutils python3)
test_packages=(
  "${pack_packages[@]}" mount procps systemd-container zsh fish mandoc mmdebstrap fakeroot uidmap e2fsprogs
  python3-venv grub-pc-bin grub-common xorriso mtools dosfstools syslinux syslinux-common
  memtest86+ mbr debian-archive-keyring tigervnc-viewer tigervnc-tools xvfb xdotool imagemagick
  strace faketime acpica-tools dmidecode seabios ovmf grub-efi-amd64-bin qemu-utils
  gvncviewer remmina remmina-plugin-vnc dbus-daemon novnc websockify chromium
)
reference_packages=(qemu-system-x86)

check_swift() {
  local version
  version=$(swift --version 2>/dev/null | grep -oE 'Swift version [0-9]+\.[0-9]+' | grep -oE '[0-9.]+$') ||
    complain "Swift is missing: install Swift 6.2 or newer from https://www.swift.org/install/linux/"
  [ "$(printf '%s\n6.2\n' "$version" | sort -V | head -n 1)" = 6.2 ] ||
    complain "Swift $version is too old: install 6.2 or newer from https://www.swift.org/install/linux/"
}

# Prints those of the packages named that are not installed.
missing() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      echo "$package"
  done
}

# Runs a command, and shows what it said where it failed.
quietly() {
  local said
  said=$("$@" 2>&1) || { echo "$said" >&2; return 1; }
}

install_packages() {
  local list=("$@") become=() apt
  if [ "$(id -u)" -ne 0 ]; then
    # Without a terminal nobody could answer sudo's question.
    command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; } ||
      complain "these Debian packages are missing, and only root can install them: ${list[*]}"
    become=(sudo)
  fi
  echo "installing from Debian: ${list[*]}" >&2
  apt=("${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
  quietly "${apt[@]}" install --no-install-recommends -y "${list[@]}" 2>/dev/null ||
    { quietly "${apt[@]}" update && quietly "${apt[@]}" install --no-install-recommends -y "${list[@]}"; }
}

# Where the host is no Debian, the headers decide.
check_other_system() {
  local header
  for header in rfb/rfb.h png.h zlib.h lzma.h zstd.h lz4.h bzlib.h yaml.h nettle/sha2.h; do
    echo "#include <$header>" | cc -fsyntax-only -x c - 2>/dev/null ||
      complain "the header $header is missing: install what your system calls ${build_packages[*]}"
  done
}

check_swift
case $purpose in
  run) wanted=("${build_packages[@]}") ;;
  test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  bench) wanted=("${build_packages[@]}" python3 debian-archive-keyring tigervnc-standalone-server qemu-utils fio) ;;
  package) wanted=("${build_packages[@]}" "${pack_packages[@]}") ;;
  fuzz) wanted=("${build_packages[@]}" python3 qemu-utils) ;;
  *) complain "usage: $0 run|test|bench|package|fuzz" ;;
esac

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  mapfile -t lacking < <(missing "${wanted[@]}")
  if [ "${#lacking[@]}" -gt 0 ]; then
    install_packages "${lacking[@]}" ||
      complain "these Debian packages are missing and could not be installed: ${lacking[*]}"
  fi
  if [[ $purpose == @(test|bench) ]] && ! command -v qemu-system-x86_64 >/dev/null; then
    install_packages "${reference_packages[@]}" ||
      echo "porthole: QEMU is not there and could not be installed: nothing is compared with it" >&2
  fi
else
  check_other_system
fi

[ "$purpose" != test ] || scripts/python.sh --prepare
[ -r /dev/kvm ] && [ -w /dev/kvm ] || {
  if [ -e /dev/kvm ]; then
    note="$(id -un) may not open /dev/kvm: add the user to group kvm (usermod -aG kvm $(id -un)) and log in again"
  else
    note="there is no /dev/kvm: switch virtualization on in the firmware, or load the module kvm_intel or kvm_amd"
  fi
  case $purpose in
    test | bench) echo "porthole: $note; what needs it is skipped" >&2 ;;
    run) echo "porthole: $note; until then desktops run by the processor in software" >&2 ;;
  esac
}
