/// The boot catalog of a CD ("El Torito" Bootable CD-ROM Format Specification 1.0, section 2).
public struct BootCatalog: Sendable, Equatable {
  /// Who an entry is for (figure 2 and UEFI 2.10, 13.3.2.1).
  public enum Platform: Sendable, Equatable {
    case pc
    case efi
    /// PowerPC, Macintosh, or a number that nobody gave a meaning.
    case other(UInt8)

    init(_ number: UInt8) {
      switch number {
      case 0: self = .pc
      case 0xEF: self = .efi
      default: self = .other(number)
      }
    }
  }

  /// How the drive behaves towards the program that was booted (figure 3, byte 1).
  public enum Media: UInt8, Sendable, Codable {
    case noEmulation = 0
    case floppy1200 = 1
    case floppy1440 = 2
    case floppy2880 = 3
    case hardDisk = 4
  }

  /// An initial or a section entry (figures 3 and 5).
  public struct Entry: Sendable, Equatable {
    public let platform: Platform
    public let isBootable: Bool
    public let media: Media
    /// Bits 6 and 7 of the media byte: the image has an ATAPI or a SCSI driver.
    public let driverFlags: UInt8
    /// Where the boot code is loaded; 0 means 07C0h.
    public let loadSegment: UInt16
    /// The partition type of an emulated hard disk.
    public let systemType: UInt8
    /// How many sectors of 512 bytes are loaded.
    public let sectorCount: UInt16
    /// The image's first block of 2048 bytes.
    public let block: UInt32

    /// A bootable entry for a PC.
    public init(
      media: Media, driverFlags: UInt8, loadSegment: UInt16, sectorCount: UInt16, block: UInt32
    ) {
      platform = .pc
      isBootable = true
      self.media = media
      self.driverFlags = driverFlags
      self.loadSegment = loadSegment
      systemType = 0
      self.sectorCount = sectorCount
      self.block = block
    }
  }

  /// The initial entry first, then the sections' in their order.
  public let entries: [Entry]

  /// Reads the catalog that the boot record of `image` names.
  /// - Throws: ``ImageError`` `.notISO9660`, `.noBootRecord` or `.badBootCatalog`.
  public init(_ image: any BlockImage, path: String) throws(ImageError) {
    guard let start = try ISO9660(image, path: path).bootCatalog else {
      throw ImageError(path, .noBootRecord, "\(path) has no El Torito boot record")
    }
    var bytes: [UInt8] = []
    for index in 0..<Self.maximumBlocks {
      guard let block = try image.cdBlock(UInt64(start) + index) else { break }
      bytes += block
    }
    try self.init(bytes, path: path)
  }

  /// 16 blocks hold 1024 records of 32 bytes.
  private static let maximumBlocks: UInt64 = 16
  private static let recordBytes = 32

  init(_ bytes: [UInt8], path: String) throws(ImageError) {
    func damaged(_ why: String) -> ImageError {
      ImageError(path, .badBootCatalog, "\(path) has a damaged El Torito boot catalog: \(why)")
    }
    let records = stride(from: 0, to: bytes.count - Self.recordBytes + 1, by: Self.recordBytes)
      .map { Array(bytes[$0..<($0 + Self.recordBytes)]) }
    guard let validation = records.first else { throw damaged("it lies beyond the end") }
    guard validation[0] == 1 else { throw damaged("its validation entry is missing") }
    guard validation[30] == 0x55, validation[31] == 0xAA else {
      throw damaged("its key bytes are wrong")
    }
    let sum = stride(from: 0, to: Self.recordBytes, by: 2)
      .reduce(UInt16(0)) { $0 &+ validation.little16($1) }
    guard sum == 0 else { throw damaged("its checksum is wrong") }
    guard records.count > 1, let initial = Entry(records[1], platform: Platform(validation[1]))
    else { throw damaged("its initial entry has an unknown media type") }
    entries = [initial] + Self.sections(records[2...])
  }

  /// The entries of all sections; what follows a record that makes no sense is left out.
  private static func sections(_ records: ArraySlice<[UInt8]>) -> [Entry] {
    var found: [Entry] = []
    var rest = records
    while let header = rest.popFirst(), header[0] == 0x90 || header[0] == 0x91 {
      for _ in 0..<header.little16(2) {
        guard let record = rest.popFirst(), record[0] == 0x88 || record[0] == 0 else {
          return found
        }
        if let entry = Entry(record, platform: Platform(header[1])) { found.append(entry) }
        while record[1] & 0x20 != 0, rest.first?[0] == 0x44 { rest.removeFirst() }
      }
      if header[0] == 0x91 { break }
    }
    return found
  }

  /// The entry that a PC's BIOS boots: the initial one if it can, else the first that can.
  /// - Throws: ``ImageError`` `.noBootEntry`.
  public func entryForPC(path: String) throws(ImageError) -> Entry {
    if let entry = entries.first(where: { $0.isBootable && $0.platform == .pc }) { return entry }
    let isEFI = entries.contains { $0.isBootable && $0.platform == .efi }
    throw ImageError(
      path, .noBootEntry,
      isEFI
        ? "\(path) boots by EFI only: its boot catalog has no entry for a PC BIOS"
        : "\(path) is not bootable: its boot catalog has no entry for a PC BIOS")
  }
}

extension BootCatalog.Entry {
  /// An entry from its 32 bytes; nil where its media type is none that exists.
  init?(_ record: [UInt8], platform: BootCatalog.Platform) {
    guard record.count >= 32, let media = BootCatalog.Media(rawValue: record[1] & 0x0F) else {
      return nil
    }
    self.platform = platform
    isBootable = record[0] == 0x88
    self.media = media
    driverFlags = record[1] & 0xC0
    loadSegment = record.little16(2)
    systemType = record[4]
    sectorCount = record.little16(6)
    block = record.little32(8)
  }

  /// The disk inside `image` that the entry emulates, with its geometry; nil for no emulation.
  /// - Throws: ``ImageError`` where it lies beyond the end or its partition table is missing.
  public func emulatedDisk(
    in image: any BlockImage, path: String
  ) throws(ImageError) -> (image: ImageSlice, geometry: CHSGeometry)? {
    guard media != .noEmulation else { return nil }
    let first = UInt64(block) * Sector.perCDBlock
    guard image.holds(sector: first, count: 1) else {
      throw ImageError(
        path, .badBootCatalog, "\(path) has a boot image that lies beyond its end")
    }
    guard let geometry = try geometry(firstSector: image.bytes(sector: first)) else {
      throw ImageError(
        path, .noBootSector, "\(path) has a hard-disk boot image without a partition table")
    }
    return (ImageSlice(of: image, first: first, count: geometry.sectorCount), geometry)
  }

  private func geometry(firstSector: [UInt8]) -> CHSGeometry? {
    switch media {
    case .noEmulation: nil
    case .floppy1200: CHSGeometry(cylinders: 80, heads: 2, sectors: 15)
    case .floppy1440: CHSGeometry(cylinders: 80, heads: 2, sectors: 18)
    case .floppy2880: CHSGeometry(cylinders: 80, heads: 2, sectors: 36)
    case .hardDisk: DiskGeometry.emulated(firstSector: firstSector)
    }
  }
}
