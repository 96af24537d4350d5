import Storage

/// The files that stock firmware reads through fw_cfg.
enum FirmwareFiles {
  private static let tables = "etc/acpi/tables"
  private static let pointer = "etc/acpi/rsdp"
  private static let nameBytes = 56
  /// Bytes of a loader command.
  private static let commandBytes = 128

  /// What a loader command does.
  private enum Command {
    static let allocate: UInt32 = 1
    static let addPointer: UInt32 = 2
    static let addChecksum: UInt32 = 3
  }
  /// Where a file is loaded: anywhere, or where the firmware's segment is searched.
  private enum Zone {
    static let high: UInt8 = 1
    static let searched: UInt8 = 2
  }

  /// All of them.
  /// - Parameter bootOrder: ``bootOrder(_:_:)``.
  static func all(
    _ board: ACPIBoard, below4G: UInt64, above4G: UInt64, bootOrder: [UInt8]
  ) -> [(name: String, bytes: [UInt8])] {
    let acpi = ACPITables(board, facs: nil)
    let smbios = SMBIOS.structures(
      processors: board.processors, memoryBytes: below4G + above4G)
    return [
      ("etc/e820", memory(0, below4G) + (above4G > 0 ? memory(1 << 32, above4G) : [])),
      (tables, acpi.bytes), (pointer, acpi.pointer(base: 0)), ("etc/table-loader", loader(acpi)),
      ("etc/smbios/smbios-tables", smbios.bytes),
      ("etc/smbios/smbios-anchor", SMBIOS.entryPoint(smbios, at: 0)),
      ("bootorder", bootOrder),
    ]
  }

  /// The drives in the order in which they are tried: a line each with its Open Firmware path, then
  /// a zero (IEEE 1275; the ISA and IDE functions are those of ``MemoryMap/isaBridgeSlot``).
  static func bootOrder(_ drives: [Drive], _ kinds: [BootDevice]) -> [UInt8] {
    let cables = DiskControllers.cables(drives)
    let floppies = drives.filter { $0.kind == .floppy }.prefix(2)
    let slot = String(MemoryMap.isaBridgeSlot, radix: 16)
    let lines = kinds.flatMap { kind -> [String] in
      switch kind {
      case .floppy:
        return floppies.indices.map { "/pci@i0cf8/isa@\(slot)/fdc@03f0/floppy@\($0)" }
      case .hardDisk, .cdrom:
        let wanted: DriveKind = kind == .cdrom ? .cdrom : .hardDisk
        return cables.indices.filter { cables[$0]?.kind == wanted }.map {
          "/pci@i0cf8/ide@\(slot),1/drive@\($0 / 2)/disk@\($0 % 2)"
        }
      }
    }
    return Array(lines.joined(separator: "\n").utf8) + [0]
  }

  /// RAM as an E820 entry of 20 bytes.
  private static func memory(_ start: UInt64, _ length: UInt64) -> [UInt8] {
    wide(start) + wide(length) + AML.littleEndian(MemoryRange.Kind.usable.rawValue, 4)
  }

  private static func wide(_ value: UInt64) -> [UInt8] {
    AML.littleEndian(UInt32(truncatingIfNeeded: value), 4)
      + AML.littleEndian(UInt32(truncatingIfNeeded: value >> 32), 4)
  }

  /// The commands by which the firmware puts the tables into memory: allocate both files, make
  /// offsets addresses, and sum the tables up once their pointers are right.
  private static func loader(_ acpi: ACPITables) -> [UInt8] {
    var script = allocate(tables, alignment: 64, zone: Zone.high)
    script += allocate(pointer, alignment: 16, zone: Zone.searched)
    for place in acpi.pointers {
      script += point(tables, at: place.offset, size: place.size, to: tables)
    }
    for sum in acpi.checksums {
      script += checksum(tables, at: sum.offset, start: sum.start, length: sum.length)
    }
    script += point(pointer, at: 16, size: 4, to: tables)
    script += point(pointer, at: 24, size: 8, to: tables)
    script += checksum(pointer, at: 8, start: 0, length: 20)
    script += checksum(pointer, at: 32, start: 0, length: 36)
    return script
  }

  private static func allocate(_ file: String, alignment: UInt32, zone: UInt8) -> [UInt8] {
    padded(
      AML.littleEndian(Command.allocate, 4) + name(file) + AML.littleEndian(alignment, 4) + [zone])
  }

  private static func point(_ file: String, at offset: Int, size: Int, to target: String) -> [UInt8]
  {
    padded(
      AML.littleEndian(Command.addPointer, 4) + name(file) + name(target)
        + AML.littleEndian(UInt32(truncatingIfNeeded: offset), 4) + [UInt8(size & 0xF)])
  }

  private static func checksum(
    _ file: String, at offset: Int, start: Int, length: Int
  ) -> [UInt8] {
    padded(
      AML.littleEndian(Command.addChecksum, 4) + name(file)
        + [offset, start, length].flatMap { AML.littleEndian(UInt32(truncatingIfNeeded: $0), 4) })
  }

  private static func name(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8.prefix(nameBytes - 1))
    return bytes + [UInt8](repeating: 0, count: nameBytes - bytes.count)
  }

  private static func padded(_ command: [UInt8]) -> [UInt8] {
    command + [UInt8](repeating: 0, count: max(0, commandBytes - command.count))
  }
}
