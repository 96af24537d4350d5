import KVMEngine
import Synchronization

/// C0000h to FFFFFh: RAM or ROM, a segment at a time, as the host bridge's PAM registers say (82441FX
/// PMC datasheet, 3.2.18 "PAM").
///
/// What can be mapped is; the bus entry answers what is not, such as writes to RAM that reads as ROM,
/// and everything while a segment changes hands.
public final class ShadowMemory: MemoryDevice {
  /// The addresses that the registers route.
  static let range: ClosedRange<UInt64> = 0xC0000...0xFFFFF
  /// PAM registers, each of two segments.
  static let registers = 7

  /// Bits of a segment's half of a register.
  private enum Bit {
    static let read: UInt8 = 1
    static let write: UInt8 = 2
  }

  private struct Segment {
    let address: UInt64
    let size: Int
    let ram: MemoryWindow
    /// Nil where no ROM lies behind the segment.
    let rom: MemoryWindow?
    let romOffset: Int
    var attributes: UInt8 = 0
  }

  private let segments: Mutex<[Segment]>
  private let ram: MemoryBlock
  private let rom: MemoryBlock
  private let log: @Sendable (String) -> Void

  /// - Parameters:
  ///   - ram: whose byte n is that of address n.
  ///   - rom: the firmware, whose end lies at 1 MiB; its last 128 KiB at most are seen there.
  public init(
    ram: MemoryBlock, rom: MemoryBlock, space: AddressSpace,
    log: @escaping @Sendable (String) -> Void
  ) {
    self.ram = ram
    self.rom = rom
    self.log = log
    let end = Self.range.upperBound + 1
    let romStart = end - UInt64(min(rom.size, 0x20000))
    var list: [Segment] = []
    for (address, size) in Self.places {
      let hasROM = address >= romStart
      list.append(
        Segment(
          address: address, size: size, ram: space.makeWindow(ram),
          rom: hasROM ? space.makeWindow(rom) : nil, romOffset: rom.size - Int(end - address)))
    }
    segments = Mutex(list)
    segments.withLock { list in
      for index in list.indices { show(list[index]) }
    }
  }

  /// The BIOS segment, which PAM0's upper half has, then the others upwards from C0000h.
  private static let places: [(UInt64, Int)] =
    [(0xF0000, 0x10000)] + (0..<12).map { (0xC0000 + UInt64($0) * 0x4000, 0x4000) }

  /// Takes the PAM registers as they are now.
  func apply(_ pam: [UInt8]) {
    guard pam.count == Self.registers else { return }
    segments.withLock { list in
      for index in list.indices {
        // PAM0's lower half has no segment.
        let half = index + 1
        let attributes = pam[half / 2] >> UInt8(half % 2 * 4) & (Bit.read | Bit.write)
        guard attributes != list[index].attributes else { continue }
        list[index].attributes = attributes
        show(list[index])
      }
    }
  }

  private func show(_ segment: Segment) {
    do {
      if segment.attributes & Bit.read != 0 {
        try segment.rom?.unmap()
        try segment.ram.map(
          at: segment.address, offset: Int(segment.address), size: segment.size,
          readOnly: segment.attributes & Bit.write == 0)
      } else {
        try segment.ram.unmap()
        try segment.rom?.map(
          at: segment.address, offset: segment.romOffset, size: segment.size, readOnly: true)
      }
    } catch {
      log("shadow memory does not change: \(error)")
    }
  }

  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    segments.withLock { list in
      var value: UInt64 = 0
      for index in 0..<width.bytes {
        value |=
          UInt64(byte(at: Self.range.lowerBound &+ offset &+ UInt64(index), list))
          << UInt64(index * 8)
      }
      return value
    }
  }

  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    segments.withLock { list in
      for index in 0..<width.bytes {
        let address = Self.range.lowerBound &+ offset &+ UInt64(index)
        guard let segment = Self.segment(of: address, list),
          segment.attributes & Bit.write != 0
        else { continue }
        ram.setByte(Int(address), UInt8(truncatingIfNeeded: value >> UInt64(index * 8)))
      }
    }
  }

  private func byte(at address: UInt64, _ list: [Segment]) -> UInt8 {
    guard let segment = Self.segment(of: address, list) else { return 0xFF }
    if segment.attributes & Bit.read != 0 { return ram.byte(Int(address)) }
    guard segment.rom != nil else { return 0xFF }
    return rom.byte(segment.romOffset + Int(address - segment.address))
  }

  private static func segment(of address: UInt64, _ list: [Segment]) -> Segment? {
    guard range.contains(address), list.count == places.count else { return nil }
    return address >= 0xF0000 ? list[0] : list[1 + Int(address - range.lowerBound) / 0x4000]
  }
}

extension MemoryBlock {
  /// The byte at `offset`; all ones beyond the block.
  func byte(_ offset: Int) -> UInt8 {
    bytes(at: offset, count: 1)?.first ?? 0xFF
  }

  /// Stores a byte, as a device's write: decoded code of it is stale.
  func setByte(_ offset: Int, _ value: UInt8) {
    guard let bytes = bytes(at: offset, count: 1) else { return }
    bytes[0] = value
    code.page(offset >> 12)?.pointee.noteWrite(from: offset & 4095, through: offset & 4095)
  }
}
