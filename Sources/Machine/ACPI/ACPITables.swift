/// What the tables tell of the machine.
struct ACPIBoard: Sendable, Equatable {
  /// Processors, 1 or more; their local APICs are numbered from 0.
  var processors: Int
  /// Memory that PCI functions can have, below 4 GiB.
  var pciHole: ClosedRange<UInt64>
  /// Bytes of RAM.
  var memoryBytes: UInt64 = 128 << 20
  var hasHPET = true
  var hasFloppyController = false
}

/// The ACPI tables of a machine (ACPI specification 6.5, chapter 5): FACS, DSDT, FADT, MADT, HPET,
/// RSDT and XSDT in one piece, and the RSDP that leads to them.
///
/// Addresses in the piece count from its beginning until ``relocate(to:)``; firmware that loads
/// tables by itself gets them so, with the list of what to change.
struct ACPITables: Sendable {
  /// A pointer inside ``bytes`` to another place inside ``bytes``.
  struct Pointer: Sendable {
    let offset: Int
    /// Bytes, 4 or 8.
    let size: Int
  }
  /// A byte that makes a table's sum zero.
  struct Checksum: Sendable {
    let offset: Int
    let start: Int
    let length: Int
  }

  /// All tables but the RSDP.
  private(set) var bytes: [UInt8] = []
  private(set) var pointers: [Pointer] = []
  private(set) var checksums: [Checksum] = []
  /// Where the RSDT and the XSDT are in ``bytes``.
  let roots: (rsdt: Int, xsdt: Int)

  private static let headerBytes = 36
  private static let alignment = 16

  /// - Parameter facs: where the firmware keeps the FACS in memory that can be written; nil to have
  ///   it at the beginning of the piece.
  init(_ board: ACPIBoard, facs: UInt32?) {
    var builder = Builder()
    if facs == nil { builder.append(Self.facsBytes) }
    let dsdt = builder.table("DSDT", revision: 2, DSDT.terms(board))
    let fadt = builder.table("FACP", revision: 3, Self.fadtBody(facs: facs ?? 0))
    let pointer32 = fadt + FADTOffset.dsdt
    builder.point(pointer32, 4, to: dsdt)
    builder.point(fadt + FADTOffset.wideDSDT, 8, to: dsdt)
    if facs == nil { builder.point(fadt + FADTOffset.facs, 4, to: 0) }
    var tables = [fadt, builder.table("APIC", revision: 3, Self.madtBody(board))]
    if board.hasHPET { tables.append(builder.table("HPET", revision: 1, Self.hpetBody)) }
    let count = tables.count
    let rsdt = builder.table("RSDT", revision: 1, [UInt8](repeating: 0, count: 4 * count))
    let xsdt = builder.table("XSDT", revision: 1, [UInt8](repeating: 0, count: 8 * count))
    for (index, table) in tables.enumerated() {
      builder.point(rsdt + Self.headerBytes + 4 * index, 4, to: table)
      builder.point(xsdt + Self.headerBytes + 8 * index, 8, to: table)
    }
    roots = (rsdt, xsdt)
    bytes = builder.bytes
    pointers = builder.pointers
    checksums = builder.checksums
    sum()
  }

  /// Makes all addresses those of a piece that lies at `base`.
  mutating func relocate(to base: UInt32) {
    for pointer in pointers {
      let old = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[pointer.offset + $1]) << ($1 * 8) }
      bytes.replaceSubrange(
        pointer.offset..<(pointer.offset + 4), with: AML.littleEndian(old &+ base, 4))
    }
    sum()
  }

  private mutating func sum() {
    for checksum in checksums {
      bytes[checksum.offset] = 0
      let table = bytes[checksum.start..<(checksum.start + checksum.length)]
      bytes[checksum.offset] = 0 &- table.reduce(0, &+)
    }
  }

  /// The RSDP (5.2.5.3) of tables that lie at `base`.
  func pointer(base: UInt32) -> [UInt8] {
    var table = FirmwareTableBytes()
    table.append(text: "RSD PTR ")
    table.append(0)
    table.append(text: Builder.maker)
    table.append(2)
    table.append(dword: base &+ UInt32(truncatingIfNeeded: roots.rsdt))
    var bytes = table.withChecksum(at: 8)
    bytes += AML.littleEndian(36, 4)
    bytes += AML.littleEndian(base &+ UInt32(truncatingIfNeeded: roots.xsdt), 4) + [0, 0, 0, 0]
    bytes += [0, 0, 0, 0]
    bytes[32] = 0 &- bytes.reduce(0, &+)
    return bytes
  }

  /// The firmware ACPI control structure (5.2.10): no waking vector, the global lock free.
  static let facsBytes: [UInt8] =
    Array("FACS".utf8) + AML.littleEndian(64, 4) + [UInt8](repeating: 0, count: 24) + [1]
    + [UInt8](repeating: 0, count: 31)

  /// Tables one behind the other.
  private struct Builder {
    static let maker = "PRTHOL"
    private(set) var bytes: [UInt8] = []
    private(set) var pointers: [Pointer] = []
    private(set) var checksums: [Checksum] = []

    mutating func append(_ piece: [UInt8]) { bytes += piece }

    /// A table with the header that all have (5.2.6).
    /// - Returns: its offset.
    mutating func table(_ signature: String, revision: UInt8, _ body: [UInt8]) -> Int {
      while bytes.count % alignment != 0 { bytes.append(0) }
      let start = bytes.count
      let length = headerBytes + body.count
      bytes += Array(signature.utf8) + AML.littleEndian(UInt32(length), 4) + [revision, 0]
      bytes += Array((Self.maker + "PORTHOLE").utf8) + AML.littleEndian(1, 4)
      bytes += Array("PRTH".utf8) + AML.littleEndian(1, 4) + body
      checksums.append(Checksum(offset: start + 9, start: start, length: length))
      return start
    }

    mutating func point(_ offset: Int, _ size: Int, to target: Int) {
      bytes.replaceSubrange(offset..<(offset + 4), with: AML.littleEndian(UInt32(target), 4))
      pointers.append(Pointer(offset: offset, size: size))
    }
  }
}
