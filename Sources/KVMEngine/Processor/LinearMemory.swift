/// Guest memory as the guest's own instructions address it: linear addresses, translated by the
/// guest's page tables where paging is on (Intel SDM vol. 3, chapter 4).
///
/// Firmware services see their callers' buffers through it. It checks presence only, not rights:
/// the firmware is the most privileged code there is. What is not mapped reads as all ones and
/// swallows writes.
public struct LinearMemory: Sendable {
  public let space: AddressSpace
  private let cr0: UInt64
  private let cr3: UInt64
  private let cr4: UInt64
  private let efer: UInt64

  /// Linear memory as a vCPU with `system` sees it.
  public init(space: AddressSpace, system: SystemRegisters) {
    self.space = space
    cr0 = system.cr0
    cr3 = system.cr3
    cr4 = system.cr4
    efer = system.efer
  }

  private static let present: UInt64 = 1
  private static let largePage: UInt64 = 1 << 7
  private static let frame: UInt64 = 0x000F_FFFF_FFFF_F000

  /// The guest-physical address behind `linear`, or nil where no page is present.
  public func translate(_ linear: UInt64) -> UInt64? {
    guard cr0 & ControlBits.cr0Paging != 0 else { return linear & 0xFFFF_FFFF }
    if efer & ControlBits.eferLongModeActive != 0 {
      let levels = cr4 & ControlBits.cr4FiveLevelPaging != 0 ? 5 : 4
      return walk(linear, table: cr3 & Self.frame, levels: levels)
    }
    if cr4 & ControlBits.cr4PhysicalAddressExtension != 0 {
      let pointer = space.load((cr3 & 0xFFFF_FFE0) + (linear >> 30 & 3) * 8, as: UInt64.self)
      guard pointer & Self.present != 0 else { return nil }
      return walk(linear & 0xFFFF_FFFF, table: pointer & Self.frame, levels: 2)
    }
    return walkTwoLevels(linear & 0xFFFF_FFFF)
  }

  private func walk(_ linear: UInt64, table: UInt64, levels: Int) -> UInt64? {
    var table = table
    for level in stride(from: levels - 1, through: 0, by: -1) {
      let shift = UInt64(12 + 9 * level)
      let entry = space.load(table + (linear >> shift & 0x1FF) * 8, as: UInt64.self)
      guard entry & Self.present != 0 else { return nil }
      if level == 0 || (level <= 2 && entry & Self.largePage != 0) {
        let offsetMask = (UInt64(1) << shift) - 1
        return (entry & Self.frame & ~offsetMask) | (linear & offsetMask)
      }
      table = entry & Self.frame
    }
    return nil
  }

  private func walkTwoLevels(_ linear: UInt64) -> UInt64? {
    let directory = space.load((cr3 & 0xFFFF_F000) + (linear >> 22) * 4, as: UInt32.self)
    guard directory & 1 != 0 else { return nil }
    if directory & 0x80 != 0, cr4 & ControlBits.cr4PageSizeExtension != 0 {
      let high = UInt64(directory >> 13 & 0xFF) << 32
      return high | UInt64(directory & 0xFFC0_0000) | (linear & 0x003F_FFFF)
    }
    let table = UInt64(directory & 0xFFFF_F000)
    let entry = space.load(table + (linear >> 12 & 0x3FF) * 4, as: UInt32.self)
    guard entry & 1 != 0 else { return nil }
    return UInt64(entry & 0xFFFF_F000) | (linear & 0xFFF)
  }

  /// Copies `buffer.count` bytes from `linear` on.
  public func read(_ linear: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
    forEachPage(linear, count: buffer.count) { address, range in
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[range])
      if let address { space.read(address, into: part) } else { fill(part) }
    }
  }

  /// Copies `buffer` to `linear` and what follows.
  public func write(_ linear: UInt64, from buffer: UnsafeRawBufferPointer) {
    forEachPage(linear, count: buffer.count) { address, range in
      guard let address else { return }
      space.write(address, from: UnsafeRawBufferPointer(rebasing: buffer[range]))
    }
  }

  private func fill(_ buffer: UnsafeMutableRawBufferPointer) {
    for index in buffer.indices { buffer[index] = 0xFF }
  }

  private func forEachPage(_ linear: UInt64, count: Int, _ body: (UInt64?, Range<Int>) -> Void) {
    guard cr0 & ControlBits.cr0Paging != 0 else { return body(linear & 0xFFFF_FFFF, 0..<count) }
    var done = 0
    while done < count {
      let at = linear &+ UInt64(done)
      let step = min(count - done, 4096 - Int(at & 0xFFF))
      body(translate(at), done..<(done + step))
      done += step
    }
  }

  /// A little-endian load.
  public func load<Value: FixedWidthInteger>(_ linear: UInt64, as type: Value.Type) -> Value {
    var value: Value = 0
    withUnsafeMutableBytes(of: &value) { read(linear, into: $0) }
    return Value(littleEndian: value)
  }

  /// A little-endian store.
  public func store<Value: FixedWidthInteger>(_ value: Value, at linear: UInt64) {
    withUnsafeBytes(of: value.littleEndian) { write(linear, from: $0) }
  }

  /// `count` bytes from `linear` on.
  public func bytes(at linear: UInt64, count: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: max(0, count))
    result.withUnsafeMutableBytes { read(linear, into: $0) }
    return result
  }

  /// Copies `bytes` to `linear` and what follows.
  public func write(_ linear: UInt64, bytes: [UInt8]) {
    bytes.withUnsafeBytes { write(linear, from: $0) }
  }
}
