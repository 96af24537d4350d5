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

  /// The ROM with the tables that tell a system about a machine of `processors` processors.
  public static func bytes(processors: Int) -> [UInt8] {
    var image = bytes
    let identity = HostCPUID.result(1, 0)
    let table = MPTable.bytes(
      processors: processors, signature: identity.eax, features: identity.edx,
      at: UInt32(MemoryMap.firmwareTables))
    let place = Int(MemoryMap.firmwareTables - address)
    image.replaceSubrange(place..<place + table.count, with: table)
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
