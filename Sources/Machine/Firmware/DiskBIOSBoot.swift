import KVMEngine
import Storage

extension DiskBIOS: BootLoader {
  /// Where a boot sector is loaded.
  static let bootAddress: UInt64 = 0x7C00

  public func prepareForBoot() -> DriveInventory {
    reset()
    return DriveInventory(
      floppyTypes: Self.floppyTypes(drives(.floppy)),
      hardDisks: drives(.hardDisk).compactMap { drive in
        drive.medium.map {
          DriveGeometry(
            cylinders: UInt16(clamping: min($0.geometry.cylinders, 1024)),
            heads: UInt8(clamping: $0.geometry.heads),
            sectorsPerTrack: UInt8(clamping: $0.geometry.sectors))
        }
      })
  }

  /// The kinds of drives A: and B:, as INT 13h and the CMOS memory number them.
  static func floppyTypes(_ drives: [Drive]) -> [UInt8] {
    drives.filter { $0.kind == .floppy }.prefix(2).map {
      type($0.medium?.geometry ?? FloppyGeometry.usual.chs).rawValue
    }
  }

  public func bootTitle(_ device: BootDevice) -> String? {
    let (kind, title): (DriveKind, String) =
      switch device {
      case .floppy: (.floppy, "Floppy disk")
      case .hardDisk: (.hardDisk, "Hard disk")
      case .cdrom: (.cdrom, "CD-ROM")
      }
    guard let drive = drives(kind).first else { return nil }
    guard let medium = drive.medium else { return "\(title): the drive is empty" }
    return "\(title): \(Self.shortName(medium.path))"
  }

  public func loadBootCode(from device: BootDevice) -> BootResult {
    bootedCD.withLock { $0 = nil }
    defer { publishCounts() }
    switch device {
    case .floppy: return loadBootSector(0, "Floppy disk")
    case .hardDisk: return loadBootSector(DiskUnit.firstHardDisk, "Hard disk")
    case .cdrom: return loadFromCD()
    }
  }

  private func loadBootSector(_ number: UInt8, _ title: String) -> BootResult {
    guard let unit = unit(number) else { return .failed("\(title): there is no such drive.") }
    guard let medium = unit.drive.medium, let image = unit.image else {
      return .failed("\(title): the drive is empty.")
    }
    let name = Self.shortName(medium.path)
    return loadBootSector(image, number, at: Self.bootAddress) {
      Self.line("\(title) (\(name)): \($0).")
    }
  }

  /// Loads the first sector of `image` to `address`, if it is one to boot from.
  /// - Parameter line: makes a screen's line of a problem.
  func loadBootSector(
    _ image: any BlockImage, _ number: UInt8, at address: UInt64, line: (String) -> String
  ) -> BootResult {
    let sector: [UInt8]
    do throws(ImageError) { sector = try image.bytes(sector: 0) } catch {
      report(error)
      return .failed(line("sector 0 can't be read"))
    }
    if let problem = Self.problem(sector, isHardDisk: number >= DiskUnit.firstHardDisk) {
      return .failed(line(problem))
    }
    memory.write(address, bytes: sector)
    return Self.enter(number, address)
  }

  /// Why nobody would boot `sector`, nil where it looks like boot code. Diskettes need no signature:
  /// the first ones had none.
  private static func problem(_ sector: [UInt8], isHardDisk: Bool) -> String? {
    if let first = sector.first, sector.allSatisfy({ $0 == first }) {
      return first == 0 ? "sector 0 is empty" : "sector 0 has nothing but fill bytes"
    }
    guard isHardDisk else { return nil }
    guard sector.count == 512, sector[510] == 0x55, sector[511] == 0xAA else {
      return "no boot signature 55 AA in sector 0"
    }
    return sector[..<440].allSatisfy { $0 == 0 } ? "sector 0 has no boot code" : nil
  }

  /// Boot code at `address`; the usual place is entered as 0000:7C00.
  static func enter(_ number: UInt8, _ address: UInt64) -> BootResult {
    if address == bootAddress {
      return .loaded(drive: number, segment: 0, offset: UInt16(bootAddress))
    }
    return .loaded(drive: number, segment: UInt16(truncatingIfNeeded: address >> 4), offset: 0)
  }

  /// The last component of `path` in at most 18 ASCII characters.
  static func shortName(_ path: String) -> String {
    let name = ascii(String(path.split(separator: "/").last ?? "image"))
    return name.count <= 18 ? name : "\(name.prefix(9))..\(name.suffix(7))"
  }

  /// `text` as one line for the screen: 76 ASCII characters at most.
  static func line(_ text: String) -> String {
    let text = ascii(text)
    return text.count <= 76 ? text : "\(text.prefix(73))..."
  }

  private static func ascii(_ text: String) -> String {
    String(text.map { $0.isASCII && $0 >= " " && $0 != "\u{7F}" ? $0 : "?" })
  }
}
