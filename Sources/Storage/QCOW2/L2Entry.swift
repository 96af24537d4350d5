/// An entry of an L2 table: where a cluster of the medium is (QEMU docs/interop/qcow2.rst, "Cluster
/// mapping"). Also the flags of an entry of the L1 table.
struct L2Entry: Equatable {
  var raw: UInt64

  /// Only this entry uses the cluster: it may be written where it is.
  static let copied: UInt64 = 1 << 63
  static let compressed: UInt64 = 1 << 62
  /// The cluster reads as zeroes, whatever is in it.
  static let zero: UInt64 = 1
  static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00
  /// What is 0 in every entry, but for compressed clusters and the zero flag.
  static let reserved: UInt64 = 0x3F00_0000_0000_01FE

  var isCopied: Bool { raw & Self.copied != 0 }
  var isCompressed: Bool { raw & Self.compressed != 0 }
  var isZero: Bool { !isCompressed && raw & Self.zero != 0 }
  /// Where the cluster is in the file; 0 where there is none.
  var offset: UInt64 { raw & Self.offsetMask }
  /// Nothing is here: what is below shows.
  var isAbsent: Bool { raw & (Self.compressed | Self.zero) == 0 && offset == 0 }

  /// Where a compressed cluster's data is.
  /// - Returns: its first byte, and how many bytes it may have.
  func packed(clusterBits: Int) -> (offset: UInt64, count: Int) {
    let bits = UInt64(62 - (clusterBits - 8))
    let offset = raw & ((1 << bits) - 1)
    let sectors = (raw & (Self.compressed - 1)) >> bits
    return (offset, Int(sectors + 1) * Sector.bytes - Int(offset % UInt64(Sector.bytes)))
  }

  /// The entry for compressed data of `count` bytes at `offset`.
  static func packed(offset: UInt64, count: Int, clusterBits: Int) -> L2Entry {
    let bits = UInt64(62 - (clusterBits - 8))
    let last = (offset + UInt64(max(1, count)) - 1) / UInt64(Sector.bytes)
    return L2Entry(raw: compressed | (last - offset / UInt64(Sector.bytes)) << bits | offset)
  }
}
