import BIOS
import Interpreter

/// The firmware's ROM as the guest sees it: 64 KiB at F000:0000 and just below 4 GiB.
public enum ROMImage {
  /// Bytes of the ROM.
  public static let size = Int(BIOS_ROM_SIZE)
  /// The real-mode segment that the ROM fills.
  public static let segment: UInt16 = 0xF000
  /// The guest-physical address that `segment`:0 stands for.
  public static let address: UInt64 = 0xF0000

  /// The assembled ROM with the fonts and the video tables in place and a checksum that makes all bytes' sum zero.
  public static let bytes: [UInt8] = compose()

  private static func compose() -> [UInt8] {
    // SAFETY: the pointer names constant data of this binary, of the size that bios.h documents.
    var image = [UInt8](UnsafeBufferPointer(start: bios_rom_bytes(), count: size))
    VideoROM.install(in: &image)
    let sum = image.dropLast().reduce(UInt8(0), &+)
    image[image.count - 1] = 0 &- sum
    return image
  }

  /// The ROM with the tables that tell a system about a machine: the MP table first, where systems
  /// look for it, then the others, each on a multiple of 16.
  static func bytes(_ board: ACPIBoard) -> [UInt8] {
    var image = bytes
    let identity = HostCPUID.result(1, 0)
    var place = FirmwareTablesPlace()
    place.put(
      MPTable.bytes(
        processors: board.processors, signature: identity.eax, features: identity.edx,
        at: place.next))
    var tables = ACPITables(board, facs: UInt32(MemoryMap.acpiControl))
    let pointerBytes: UInt32 = 48
    let base = place.next + pointerBytes
    tables.relocate(to: base)
    place.put(tables.pointer(base: base))
    place.put(tables.bytes)
    place.put(ServiceDirectory.bytes(entry: UInt32(address) + UInt32(bios_layout.directory32)))
    place.put(PCIRoutingTable.bytes)
    let inventory = SMBIOS.structures(
      processors: board.processors, memoryBytes: board.memoryBytes)
    let entryPointBytes: UInt32 = 32
    place.put(SMBIOS.entryPoint(inventory, at: place.next + entryPointBytes))
    place.put(inventory.bytes)
    let start = Int(MemoryMap.firmwareTables - address)
    image.replaceSubrange(start..<start + place.bytes.count, with: place.bytes)
    image[image.count - 1] = 0
    image[image.count - 1] = 0 &- image.reduce(0, &+)
    return image
  }

  /// A little-endian word of the ROM.
  static func word(_ offset: UInt16) -> UInt16 {
    let index = Int(offset)
    guard index + 1 < bytes.count else { return 0xFFFF }
    return UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8
  }
}

/// The ROM's room for tables, being filled.
private struct FirmwareTablesPlace {
  private(set) var bytes: [UInt8] = []
  /// The guest-physical address of the next table.
  var next: UInt32 {
    UInt32(MemoryMap.firmwareTables) + UInt32(truncatingIfNeeded: bytes.count)
  }

  /// Appends a table. One that finds no room is left out: the machine then lacks it.
  mutating func put(_ table: [UInt8]) {
    guard bytes.count + table.count + 15 <= MemoryMap.firmwareTablesBytes else { return }
    bytes += table
    while bytes.count % 16 != 0 { bytes.append(0) }
  }
}
