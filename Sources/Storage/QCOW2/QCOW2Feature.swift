/// A bit of a qcow2 header's feature masks (QEMU docs/interop/qcow2.rst, "Header").
struct QCOW2Feature: Equatable {
  /// What a program does that does not know a feature.
  enum Kind: UInt8 {
    case incompatible = 0
    case compatible = 1
    case autoclear = 2
  }

  /// Incompatible: the refcounts were left behind when the image was last open.
  static let dirty: UInt64 = 1 << 0
  /// Incompatible: somebody found the metadata damaged.
  static let corrupt: UInt64 = 1 << 1
  /// Incompatible: clusters are in another file.
  static let externalData: UInt64 = 1 << 2
  /// Incompatible: the header's compression type counts.
  static let compressionType: UInt64 = 1 << 3
  /// Incompatible: L2 entries are 16 bytes.
  static let extendedL2: UInt64 = 1 << 4
  /// What is read here of the incompatible ones.
  static let supported = dirty | corrupt | compressionType
  /// Compatible: refcounts may be left behind.
  static let lazyRefcounts: UInt64 = 1 << 0

  /// Autoclear: the bitmaps agree with the data.
  static let bitmaps: UInt64 = 1 << 0

  let kind: Kind
  let bit: UInt8
  let name: String

  /// The names of what is not read here, for images without a table of names.
  private static let known: [UInt8: String] = [
    2: "external data file", 4: "extended L2 entries",
  ]

  /// The names of the incompatible features in `mask`, as `table` has them.
  static func names(_ mask: UInt64, table: [QCOW2Feature]) -> [String] {
    (0..<64).filter { mask >> UInt64($0) & 1 != 0 }.map { bit in
      table.first { $0.kind == .incompatible && $0.bit == bit }.map { "\"\($0.name)\"" }
        ?? known[UInt8(bit)].map { "\"\($0)\"" } ?? "number \(bit)"
    }
  }
}
