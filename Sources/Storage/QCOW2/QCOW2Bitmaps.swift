/// Where an image keeps bitmaps of what was written to it (QEMU docs/interop/qcow2.rst, "Bitmaps
/// extension"). They are not kept up to date here: the first write says so (``QCOW2Feature/bitmaps``),
/// and only their clusters are known.
struct QCOW2Bitmaps: Equatable {
  let count: UInt32
  let directoryBytes: UInt64
  let directoryOffset: UInt64

  private static let entryBytes = 24
  private static let maximumCount: UInt32 = 65535
  private static let maximumDirectoryBytes: UInt64 = 64 << 20

  /// - Parameter extensionData: the header extension's.
  init(_ extensionData: [UInt8]) {
    count = extensionData.big32(0)
    directoryBytes = extensionData.big64(8)
    directoryOffset = extensionData.big64(16)
  }

  /// The table of each bitmap: its place, and its entries.
  func tables(
    _ file: any HostFile, _ header: QCOW2Header
  ) throws(ImageError) -> [(offset: UInt64, count: UInt64)] {
    guard count <= Self.maximumCount, directoryBytes <= Self.maximumDirectoryBytes,
      directoryOffset % UInt64(header.clusterBytes) == 0, directoryOffset < (try file.size())
    else {
      throw ImageError.damaged(
        file.path, "its directory of bitmaps at byte \(directoryOffset) can't be there")
    }
    let bytes = try file.loadBytes(Int(directoryBytes), at: directoryOffset)
    var found: [(offset: UInt64, count: UInt64)] = []
    var at = 0
    for number in 0..<Int(count) {
      guard at <= bytes.count - Self.entryBytes else {
        throw ImageError.damaged(
          file.path, "its directory of bitmaps ends before bitmap \(number)")
      }
      found.append((bytes.big64(at), UInt64(bytes.big32(at + 8))))
      let names = UInt64(bytes.big32(at + 16) & 0xFFFF) + UInt64(bytes.big32(at + 20))
      at += Int(clamping: (UInt64(Self.entryBytes) + names + 7) / 8 * 8)
    }
    return found
  }
}

extension QCOW2Checker {
  /// Entries of bitmaps' tables that are looked at: bitmaps for 64 KiB each of many disks.
  private static let bitmapEntryLimit: UInt64 = 16 << 20

  /// Counts what bitmaps take, where they are up to date; else nothing refers to it.
  mutating func readBitmaps() throws(ImageError) {
    guard header.autoclear & QCOW2Feature.bitmaps != 0, let bitmaps = header.bitmaps else { return }
    let tables = try bitmaps.tables(file, header)
    refer("directory of bitmaps", bitmaps.directoryOffset, bitmaps.directoryBytes)
    var left = Self.bitmapEntryLimit
    for (number, table) in tables.enumerated() {
      guard table.count <= left else {
        throw ImageError.damaged(file.path, "its bitmaps have too many tables to look at")
      }
      left -= table.count
      refer("table of bitmap \(number)", table.offset, table.count * 8, isOneOfMany: true)
      guard isPlausible(table.offset, "the table of bitmap \(number)") else { continue }
      let raw = try file.loadBytes(Int(table.count) * 8, at: table.offset)
      for at in stride(from: 0, to: raw.count, by: 8) {
        let offset = L2Entry(raw: raw.big64(at)).offset
        guard offset != 0, isPlausible(offset, "part \(at / 8) of bitmap \(number)") else {
          continue
        }
        references.add(offset >> UInt64(header.clusterBits))
      }
    }
  }
}
