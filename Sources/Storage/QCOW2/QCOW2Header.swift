/// The header of a qcow2 image (QEMU docs/interop/qcow2.rst): all that is checked before anything
/// else of the file is believed.
struct QCOW2Header: Equatable {
  /// How compressed clusters are packed.
  enum Compression: UInt8 {
    case deflate = 0
    case zstd = 1
  }

  static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xFB]
  /// Bytes of a version 2 header, and of a version 3 header without its optional fields.
  static let version2Bytes = 72
  static let version3Bytes = 104
  /// The longest name of a backing file.
  static let maximumBackingName = 1023
  /// The most that the L1 table and the refcount table may take, in bytes, as in QEMU.
  static let maximumL1Bytes: UInt64 = 32 << 20
  static let maximumRefcountTableBytes: UInt64 = 8 << 20
  static let maximumSnapshots: UInt32 = 65536

  var version: UInt32 = 3
  var backingOffset: UInt64 = 0
  var backingName: String?
  var backingFormat: String?
  var clusterBits = 16
  /// Bytes of the medium.
  var size: UInt64 = 0
  var encryption: UInt32 = 0
  /// Entries.
  var l1Count: UInt32 = 0
  var l1Offset: UInt64 = 0
  var refcountTableOffset: UInt64 = 0
  var refcountTableClusters: UInt32 = 0
  var snapshotCount: UInt32 = 0
  var snapshotsOffset: UInt64 = 0
  var incompatible: UInt64 = 0
  var compatible: UInt64 = 0
  var autoclear: UInt64 = 0
  var refcountOrder = 4
  var headerBytes: UInt32 = 104
  var compression = Compression.deflate
  var featureNames: [QCOW2Feature] = []
  var bitmaps: QCOW2Bitmaps?

  var clusterBytes: Int { 1 << clusterBits }
  /// log2 of the entries of an L2 table.
  var l2Bits: Int { clusterBits - 3 }
  /// log2 of the entries of a refcount block.
  var refcountBlockBits: Int { clusterBits + 3 - refcountOrder }

  /// How many entries an L1 table needs for `size` bytes.
  func l1Entries(for size: UInt64) -> UInt64 {
    let span = UInt64(1) << UInt64(clusterBits + l2Bits)
    return size / span + (size % span == 0 ? 0 : 1)
  }
}

/// Where the header's fields stand, in bytes.
enum QCOW2Field {
  static let version = 4
  static let backingOffset = 8
  static let backingSize = 16
  static let clusterBits = 20
  static let size = 24
  static let encryption = 32
  static let l1Count = 36
  static let l1Offset = 40
  static let refcountTableOffset = 48
  static let refcountTableClusters = 56
  static let snapshotCount = 60
  static let snapshotsOffset = 64
  static let incompatible = 72
  static let compatible = 80
  static let autoclear = 88
  static let refcountOrder = 96
  static let headerBytes = 100
  static let compression = 104
}

/// The types of header extensions.
enum QCOW2Extension {
  static let end: UInt32 = 0
  static let backingFormat: UInt32 = 0xE279_2ACA
  static let featureNames: UInt32 = 0x6803_F857
  static let bitmaps: UInt32 = 0x2385_2875
}

extension [UInt8] {
  /// The big-endian quadword at `offset`; 0 beyond the end.
  func big64(_ offset: Int) -> UInt64 {
    UInt64(big32(offset)) << 32 | UInt64(big32(offset + 4))
  }

  /// Puts the bytes of `value`, most significant first, at `offset`, where they have room.
  mutating func setBig<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
    let width = Value.bitWidth / 8
    guard offset >= 0, offset <= count - width else { return }
    Swift.withUnsafeBytes(of: value.bigEndian) { bytes in
      for index in 0..<width { self[offset + index] = bytes[index] }
    }
  }
}
