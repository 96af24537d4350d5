/// The partition table in a master boot record (the four entries from offset 1BEh on).
struct PartitionTable: Equatable {
  /// One used entry.
  struct Entry: Equatable {
    let type: UInt8
    let firstSector: UInt32
    let sectorCount: UInt32
    let start: Tuple
    let end: Tuple
    /// The first sector behind the partition.
    var limit: UInt64 { UInt64(firstSector) + UInt64(sectorCount) }
  }

  /// A sector's address as three bytes: head, sector with cylinder bits 8 and 9, cylinder.
  struct Tuple: Equatable {
    let cylinder: Int
    let head: Int
    let sector: Int

    init(_ bytes: ArraySlice<UInt8>) {
      let parts = Array(bytes)
      guard parts.count == 3 else {
        (cylinder, head, sector) = (0, 0, 0)
        return
      }
      head = Int(parts[0])
      sector = Int(parts[1] & 0x3F)
      cylinder = Int(parts[2]) | Int(parts[1] & 0xC0) << 2
    }

    /// Whether it stands for a place that three bytes can't say.
    var isSaturated: Bool { cylinder >= 1023 }
  }

  let entries: [Entry]

  /// The type of the one entry that covers a disk with a GUID partition table.
  static let protective: UInt8 = 0xEE

  /// Nil where `sector` is no master boot record with at least one partition.
  init?(_ sector: [UInt8]) {
    guard sector.count >= 512, sector[510] == 0x55, sector[511] == 0xAA,
      BIOSParameterBlock(sector) == nil
    else { return nil }
    var found: [Entry] = []
    for index in 0..<4 {
      let at = 0x1BE + index * 16
      guard sector[at] & 0x7F == 0 else { return nil }
      let count = sector.little32(at + 12)
      guard sector[at + 4] != 0, count != 0 else { continue }
      found.append(
        Entry(
          type: sector[at + 4], firstSector: sector.little32(at + 8), sectorCount: count,
          start: Tuple(sector[(at + 1)..<(at + 4)]), end: Tuple(sector[(at + 5)..<(at + 8)])))
    }
    guard !found.isEmpty else { return nil }
    entries = found
  }

  /// The first sector behind the last partition; 0 where that says nothing.
  var limit: UInt64 { entries.filter { $0.type != Self.protective }.map(\.limit).max() ?? 0 }

  /// Whether every address that the table gives twice, as a tuple and as a number, is the same
  /// sector in `geometry`. False where it gives none.
  func agrees(with geometry: CHSGeometry) -> Bool {
    var checked = 0
    for entry in entries where entry.type != Self.protective {
      for (tuple, number) in [
        (entry.start, UInt64(entry.firstSector)), (entry.end, entry.limit - 1),
      ]
      where !tuple.isSaturated && tuple.sector != 0 {
        let block = geometry.block(
          cylinder: tuple.cylinder, head: tuple.head, sector: tuple.sector)
        guard block == number else { return false }
        checked += 1
      }
    }
    return checked > 0
  }
}
