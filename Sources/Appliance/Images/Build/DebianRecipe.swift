import Glibc

/// What a Debian image is made of.
struct DebianRecipe: Sendable, Equatable {
  /// A Debian release that there can be, by its codename or suite.
  var release = "bookworm"
  /// The kernel's package.
  var kernel = Self.standardKernel
  /// Packages beside those that every image has.
  var packages: [String] = []
  /// Where the packages come from; nil is deb.debian.org.
  var mirror: String?
  /// Who may log in, and become root by sudo.
  var user = "user"
  var password: String
  /// Bytes of the disk.
  var size = Self.standardSize

  static let standardKernel = "linux-image-cloud-amd64"
  static let standardSize = 2 << 30
  /// A system with its kernel takes 400 MiB; a partition table of this kind ends at 2 TiB.
  static let sizes = (1 << 30)...(2 << 40 - (1 << 20))
  /// Whatever is made is dated so: the day on which Debian 12 came out. Two builds from the same
  /// packages are the same bytes.
  static let date = 1_686_355_200
  /// What makes it a system that one can log in to, and that the power button switches off.
  private static let basis = [
    "dbus", "e2fsprogs", "fdisk", "initramfs-tools", "kmod", "less", "procps", "sudo",
    "systemd-sysv", "udev", "vim-tiny",
  ]

  /// Every package to install, in order.
  var allPackages: [String] { ([kernel] + Self.basis + packages.sorted()).uniqued() }

  /// Sixteen bytes that differ with what the image is made of, as 32 hexadecimal digits.
  var fingerprint: String {
    let parts = [release, user, "\(size)"] + allPackages
    return String(ContentDigest.of(parts.joined(separator: "\n")).prefix(32))
  }

  /// The file system's UUID: version 8 of RFC 9562, whose bits are the maker's own.
  var uuid: String {
    let digits = Array(fingerprint)
    func part(_ range: Range<Int>) -> String { String(digits[range]) }
    return "\(part(0..<8))-\(part(8..<12))-8\(part(13..<16))-8\(part(17..<20))-\(part(20..<32))"
  }

  /// The salt of the password's hash: another for another password.
  var salt: String {
    String(ContentDigest.of("\(fingerprint) \(user) \(password)").prefix(16))
  }

  /// What mmdebstrap is asked for, to write the system as an archive to `archive`.
  func arguments(archive: String) -> [String] {
    var arguments = ["--variant=minbase", "--format=tar", "--dpkgopt=force-unsafe-io"]
    for folder in ["doc", "man", "info", "locale"] {
      arguments.append("--dpkgopt=path-exclude=/usr/share/\(folder)/*")
    }
    arguments += [
      "--dpkgopt=path-include=/usr/share/doc/*/copyright",
      "--include=" + allPackages.joined(separator: ","),
      "--essential-hook=" + Self.initramfs,
      "--customize-hook=" + Self.account,
      "--customize-hook=" + boot,
      "--customize-hook=" + GrowingRoot.hook,
    ]
    return arguments + [release, archive] + (mirror.map { [$0] } ?? [])
  }

  /// What the hooks are told, where no other user sees it.
  var environment: [String: String] {
    [
      "SOURCE_DATE_EPOCH": "\(Self.date)", "LC_ALL": "C.UTF-8", "PORTHOLE_USER": user,
      "PORTHOLE_PASSWORD": password, "PORTHOLE_SALT": salt,
    ]
  }

  /// Drivers for the disks of this PC, and of other virtual ones; not for all that there are.
  private static let initramfs = """
    set -e; t="$1/etc/initramfs-tools"; mkdir -p "$t/conf.d" "$t/hooks"; \
    printf 'MODULES=list\\nRESUME=none\\n' > "$t/conf.d/porthole"; \
    printf '%s\\n' '#!/bin/sh' '[ "$1" != prereqs ] || exit 0' \
    '. /usr/share/initramfs-tools/hook-functions' \
    'manual_add_modules ata_piix ata_generic ahci sd_mod virtio_pci virtio_blk virtio_scsi ext4' \
    > "$t/hooks/porthole"; chmod 755 "$t/hooks/porthole"
    """

  private static let account = """
    set -e; chroot "$1" useradd --create-home --shell /bin/bash --groups sudo "$PORTHOLE_USER"; \
    hash=$(printf %s "$PORTHOLE_PASSWORD" | \
    chroot "$1" perl -e 'print crypt(<STDIN>, "\\$6\\$$ARGV[0]\\$")' "$PORTHOLE_SALT"); \
    printf '%s:%s\\n' "$PORTHOLE_USER" "$hash" | chroot "$1" chpasswd --encrypted
    """

  /// The menu of the boot loader, the table of file systems, and no work in the background.
  private var boot: String {
    """
    set -e; echo debian > "$1/etc/hostname"; \
    printf '127.0.0.1 localhost debian\\n::1 localhost\\n' > "$1/etc/hosts"; \
    echo 'UUID=\(uuid) / ext4 errors=remount-ro 0 1' > "$1/etc/fstab"; mkdir -p "$1/boot/grub"; \
    printf '%s\\n' 'set timeout=1' 'menuentry "Debian" {' \
    '  linux /vmlinuz root=UUID=\(uuid) ro console=tty0 console=ttyS0,115200' \
    '  initrd /initrd.img' '}' > "$1/boot/grub/grub.cfg"; \
    for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service; do \
    chroot "$1" systemctl disable --quiet "$unit" || true; done
    """
  }
}

extension Array where Element: Hashable {
  /// Each element once, where it stands first.
  fileprivate func uniqued() -> [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}

extension DebianRecipe {
  /// `text`, if a release may be called so.
  static func release(_ text: String) throws(Complaint) -> String {
    guard text.isWord(allowing: "-") else {
      throw Complaint("\"\(text)\" is no Debian release; they are called as bookworm or trixie")
    }
    return text
  }

  /// `text`, if a package may be called so (Debian Policy, 5.6.1).
  static func package(_ text: String) throws(Complaint) -> String {
    guard text.utf8.count >= 2, text.isWord(allowing: "+-.") else {
      throw Complaint("\"\(text)\" can't be the name of a Debian package")
    }
    return text
  }

  /// `text`, if a user may be called so (useradd(8)).
  static func user(_ text: String) throws(Complaint) -> String {
    guard text.utf8.count <= 32, text.isWord(allowing: "-_"), text.first?.isNumber == false,
      text != "root"
    else {
      throw Complaint(
        "\"\(text)\" can't be the user's name: small letters, digits, dashes and underscores, "
          + "a letter first, and not root")
    }
    return text
  }

  /// `text`, if it is a mirror's address.
  static func mirror(_ text: String) throws(Complaint) -> String {
    let schemes = ["http://", "https://", "file:///", "copy:///"]
    guard schemes.contains(where: text.hasPrefix),
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else {
      throw Complaint("\"\(text)\" is no mirror; give an address as http://deb.debian.org/debian")
    }
    return text
  }

  /// `text` as the disk's size in bytes, in whole mebibytes.
  static func size(_ text: String) throws(Complaint) -> Int {
    let bytes = try MemorySize.parse(text)
    guard sizes.contains(bytes) else {
      throw Complaint("the disk has 1G to 1T, and not \(text)")
    }
    return bytes
  }
}

extension String {
  /// Whether it is small letters, digits and `others`, a letter or digit first.
  fileprivate func isWord(allowing others: String) -> Bool {
    let small = UInt8(ascii: "a")...UInt8(ascii: "z")
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard let first = utf8.first, small.contains(first) || digits.contains(first) else {
      return false
    }
    return utf8.allSatisfy { small.contains($0) || digits.contains($0) || others.utf8.contains($0) }
  }
}
