/// What a system's inventory reads (DMTF DSP0134, System Management BIOS Reference Specification
/// 2.8): firmware, system, enclosure, processors, memory.
enum SMBIOS {
  /// The structures one behind the other, and how many and how large they are.
  struct Structures: Sendable {
    fileprivate(set) var bytes: [UInt8] = []
    fileprivate(set) var count = 0
    fileprivate(set) var largest = 0

    /// Appends a structure: its formatted part behind the header, and its strings.
    fileprivate mutating func add(
      _ type: UInt8, _ handle: UInt16, _ body: [UInt8], _ strings: [String]
    ) {
      let length = UInt8(truncatingIfNeeded: 4 + body.count)
      var piece: [UInt8] = [type, length] + AML.littleEndian(UInt32(handle), 2) + body
      for text in strings { piece += Array(text.utf8) + [0] }
      piece += strings.isEmpty ? [0, 0] : [0]
      bytes += piece
      count += 1
      largest = max(largest, piece.count)
    }
  }

  private static let version: (major: UInt8, minor: UInt8) = (2, 8)

  private enum Handle {
    static let firmware: UInt16 = 0x0000
    static let system: UInt16 = 0x0100
    static let enclosure: UInt16 = 0x0300
    static let processor: UInt16 = 0x0400
    static let memoryArray: UInt16 = 0x1000
    static let memoryDevice: UInt16 = 0x1100
    static let mapping: UInt16 = 0x1300
    static let boot: UInt16 = 0x2000
    static let end: UInt16 = 0x7F00
  }

  /// What cannot be told.
  private static let unknown: UInt8 = 2

  /// All structures of a machine.
  static func structures(processors: Int, memoryBytes: UInt64) -> Structures {
    var all = Structures()
    all.add(0, Handle.firmware, firmware, ["Porthole", "0.1", "11/22/2026"])
    all.add(1, Handle.system, system, ["Porthole", "Porthole PC", "1"])
    all.add(3, Handle.enclosure, enclosure, ["Porthole"])
    for index in 0..<processors {
      all.add(
        4, Handle.processor + UInt16(truncatingIfNeeded: index), processor,
        ["CPU \(index)", "Porthole"])
    }
    let megabytes = memoryBytes >> 20
    let kilobytes = UInt32(clamping: memoryBytes >> 10)
    all.add(16, Handle.memoryArray, memoryArray(kilobytes), [])
    all.add(17, Handle.memoryDevice, memoryDevice(megabytes), ["DIMM 0"])
    all.add(19, Handle.mapping, mapping(kilobytes), [])
    all.add(32, Handle.boot, [UInt8](repeating: 0, count: 7), [])
    all.add(127, Handle.end, [], [])
    return all
  }

  /// The 2.1 entry point (5.2.1) of structures at `address`.
  static func entryPoint(_ structures: Structures, at address: UInt32) -> [UInt8] {
    var middle = FirmwareTableBytes()
    middle.append(text: "_DMI_")
    middle.append(0)
    middle.append(word: UInt16(clamping: structures.bytes.count))
    middle.append(dword: address)
    middle.append(word: UInt16(clamping: structures.count))
    middle.append(version.major << 4 | version.minor)
    var table = FirmwareTableBytes()
    table.append(text: "_SM_")
    table.append(0, 31, version.major, version.minor)
    table.append(word: UInt16(clamping: structures.largest))
    table.append(zeroes: 6)
    table.append(middle.withChecksum(at: 5))
    return table.withChecksum(at: 4)
  }

  /// Type 0 (7.1): vendor, version and date; PCI, boot from CD and selectable boot, ACPI.
  private static let firmware: [UInt8] =
    [1, 2, 0x00, 0xF0, 3, 0] + [0x80, 0x80, 0x01, 0x00, 0, 0, 0, 0] + [0x01, 0x10]
    + [0, 1, 0xFF, 0xFF]

  /// Type 1 (7.2): no identifier; woken by the power switch.
  private static let system: [UInt8] =
    [1, 2, 3, 0] + [UInt8](repeating: 0, count: 16) + [6, 0, 0]

  /// Type 3 (7.4): of a kind that is called "other".
  private static let enclosure: [UInt8] =
    [1, 1, 0, 0, 0] + [3, 3, 3, unknown] + [0, 0, 0, 0, 0, 0, 0, 0, 0]

  /// Type 4 (7.5): a central processor in a populated socket, one core with one thread.
  private static let processor: [UInt8] =
    [1, 3, 1, 2] + [UInt8](repeating: 0, count: 8) + [0, 0] + [0, 0, 0, 0, 0, 0]
    + [0x41, 1] + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF] + [0, 0, 0, 1, 1, 1, 0x04, 0x00]
    + [1, 0]

  /// Type 16 (7.17): system memory on the board, one device.
  private static func memoryArray(_ kilobytes: UInt32) -> [UInt8] {
    [1, 3, 3] + AML.littleEndian(kilobytes, 4) + [0xFE, 0xFF, 1, 0]
  }

  /// Type 17 (7.18): a RAM module of that many megabytes.
  private static func memoryDevice(_ megabytes: UInt64) -> [UInt8] {
    let isLarge = megabytes >= 0x7FFF
    let size = isLarge ? 0x7FFF : UInt32(megabytes)
    return AML.littleEndian(UInt32(Handle.memoryArray), 2)
      + [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF] + AML.littleEndian(size, 2) + [0x09, 0, 1, 0]
      + [0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0]
      + AML.littleEndian(isLarge ? UInt32(clamping: megabytes) : 0, 4)
      + [0, 0, 0, 0, 0, 0, 0, 0]
  }

  /// Type 19 (7.20): all of it from address 0 on.
  private static func mapping(_ kilobytes: UInt32) -> [UInt8] {
    AML.littleEndian(0, 4) + AML.littleEndian(kilobytes &- 1, 4)
      + AML.littleEndian(UInt32(Handle.memoryArray), 2) + [1]
      + [UInt8](repeating: 0, count: 16)
  }
}
