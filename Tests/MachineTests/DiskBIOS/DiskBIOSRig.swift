import DeviceTestKit
import Glibc
import KVMEngine
import Storage

@testable import Machine

/// The disk services with memory, a caller at 0000:7C00 and drives in memory.
final class DiskBIOSRig {
  let space: AddressSpace
  let bios: DiskBIOS
  let drives: [Drive]

  /// Where calls put their buffers and packets.
  static let buffer: UInt16 = 0x9000
  static let packet: UInt16 = 0x0600

  init(_ drives: [Drive]) throws {
    let block = try MemoryBlock(name: "test", size: 4 << 20)
    space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    try space.map(block, size: 4 << 20, at: 0)
    self.drives = drives
    bios = DiskBIOS(drives: drives, memory: space)
    space.store(UInt16(639), at: 0x413)
    space.store(UInt16(0x9FC0), at: 0x40E)
    // INT 1Eh points at the table in the ROM's segment.
    space.store(UInt32(0xF000_EFC7), at: 0x78)
    space.write(0xFEFC7, bytes: DisketteTable.template)
  }

  /// Calls INT 13h with what `set` puts into the registers.
  @discardableResult
  func call(
    _ ax: UInt16, dl: UInt8, on service: (any FirmwareService)? = nil,
    _ set: (inout FirmwareCall) -> Void = { _ in }
  ) -> FirmwareCall {
    var registers = Registers()
    registers.rsp = 0x7C00 - 6
    var call = FirmwareCall(registers: registers, system: SystemRegisters(), space: space)
    call.ax = ax
    call.dl = dl
    call.bx = Self.buffer
    set(&call)
    call.carry = !call.carry
    _ = (service ?? bios).serve(&call)
    return call
  }

  /// CHS function `ah` for `count` sectors.
  func chs(
    _ ah: UInt8, _ count: UInt8, _ cylinder: Int, _ head: UInt8, _ sector: UInt8, dl: UInt8
  ) -> FirmwareCall {
    call(UInt16(ah) << 8 | UInt16(count), dl: dl) {
      $0.ch = UInt8(truncatingIfNeeded: cylinder)
      $0.cl = sector | UInt8(truncatingIfNeeded: cylinder >> 2) & 0xC0
      $0.dh = head
    }
  }

  /// Extended function `ax` with a packet.
  func extended(
    _ ax: UInt16, dl: UInt8, size: UInt8 = 0x10, count: UInt16, block: UInt64,
    segment: UInt16 = 0, offset: UInt16 = buffer, flat: UInt64 = 0
  ) -> FirmwareCall {
    let at = UInt64(Self.packet)
    space.store(UInt16(size), at: at)
    space.store(count, at: at + 2)
    space.store(offset, at: at + 4)
    space.store(segment, at: at + 6)
    space.store(block, at: at + 8)
    space.store(flat, at: at + 16)
    return call(ax, dl: dl) { $0.si = Self.packet }
  }

  var packetCount: UInt16 { space.load(UInt64(Self.packet) + 2, as: UInt16.self) }

  func bytes(_ at: UInt64, _ count: Int) -> [UInt8] { space.bytes(at: at, count: count) }
}

/// A folder for a test's images, removed when nobody holds it.
final class DiskImages {
  private let folder: String
  private var paths: [String] = []

  init() {
    var template = Array("/tmp/diskbios.XXXXXX".utf8CString)
    folder = template.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress, let made = mkdtemp(base) else { return "/nowhere" }
      return String(cString: made)
    }
  }

  deinit {
    for path in paths { unlink(path) }
    rmdir(folder)
  }

  /// A file of `size` bytes that begins with `bytes`.
  func make(_ name: String, _ bytes: [UInt8], size: Int? = nil) -> String {
    let path = "\(folder)/\(name)"
    let fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0o600)
    bytes.withUnsafeBytes { _ = Glibc.write(fd, $0.baseAddress, $0.count) }
    if let size { ftruncate(fd, size) }
    close(fd)
    paths.append(path)
    return path
  }

  /// A drive with a file of `sectors` sectors in which every sector starts with its number.
  func drive(
    _ kind: DriveKind, sectors: Int, readOnly: Bool = false, first: [UInt8]? = nil,
    name: String = "disk.img"
  ) throws -> Drive {
    var bytes = numberedSectors(sectors)
    if let first { bytes.replaceSubrange(0..<first.count, with: first) }
    return try Drive(
      DriveDescription(kind: kind, path: make(name, bytes), readOnly: readOnly))
  }
}

/// Sectors that start with their numbers, little-endian.
func numberedSectors(_ sectors: Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: sectors * 512)
  for sector in 0..<sectors {
    for byte in 0..<4 {
      bytes[sector * 512 + byte] = UInt8(truncatingIfNeeded: sector >> (byte * 8))
    }
    bytes[sector * 512 + 511] = 0xEE
  }
  return bytes
}

/// A boot sector that halts.
let haltingBootSector: [UInt8] = [0xF4] + [UInt8](repeating: 0, count: 509) + [0x55, 0xAA]

func diskWord(_ value: Int) -> [UInt8] {
  [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
}
func diskLong(_ value: Int) -> [UInt8] { diskWord(value) + diskWord(value >> 16) }

/// A CD of 100 blocks, each sector numbered, with an El Torito entry at block 30.
func bootCD(
  media: UInt8 = 0, segment: Int = 0, count: Int = 4, image: [UInt8] = haltingBootSector,
  bootBlock: Int = 30
) -> [UInt8] {
  var cd = numberedSectors(400)
  func put(_ at: Int, _ part: [UInt8]) { cd.replaceSubrange(at..<(at + part.count), with: part) }
  put(16 * 2048, [1] + Array("CD001".utf8) + [1])
  put(16 * 2048 + 80, diskLong(100))
  put(17 * 2048, [0] + Array("CD001".utf8) + [1] + Array("EL TORITO SPECIFICATION".utf8))
  put(17 * 2048 + 0x47, diskLong(19))
  put(18 * 2048, [255] + Array("CD001".utf8) + [1])
  put(
    19 * 2048,
    [1] + [UInt8](repeating: 0, count: 27) + diskWord(0x10000 - 1 - 0xAA55) + [0x55, 0xAA])
  put(
    19 * 2048 + 32,
    [0x88, media] + diskWord(segment) + [0, 0] + diskWord(count) + diskLong(bootBlock)
      + [UInt8](repeating: 0, count: 20))
  if bootBlock < 100 { put(bootBlock * 2048, image) }
  return cd
}
