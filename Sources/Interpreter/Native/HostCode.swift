/// Registers of the host's processor, by the numbers that its instructions give them.
enum HostRegister {
  static let rax: UInt8 = 0
  static let rcx: UInt8 = 1
  static let rdx: UInt8 = 2
  static let r8: UInt8 = 8
  static let r9: UInt8 = 9
  static let r10: UInt8 = 10
  /// The operation of the moment.
  static let rsi: UInt8 = 6
  /// The processor's memory.
  static let rdi: UInt8 = 7
  /// Those that hold the guest's: the first four are anybody's in a call, the others the caller's.
  static let pool: [UInt8] = [8, 9, 10, 11, 3, 5, 12, 13, 14, 15]
  static let free = 4
}

/// Puts instructions of the host together (Intel SDM vol. 2, chapter 2). Operand sizes are powers of
/// two of bytes, 0 to 3.
struct HostCode {
  private(set) var bytes: [UInt8] = []
  var count: Int { bytes.count }

  init() { bytes.reserveCapacity(1024) }

  mutating func emit(_ more: UInt8...) { bytes += more }
  mutating func emit(_ value: UInt64, bytes count: Int) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
  }
  private mutating func emit(displacement: Int32) {
    emit(UInt64(UInt32(bitPattern: displacement)), bytes: 4)
  }

  /// Prefixes for operands of `size`; always a REX, so that a byte is a register's lowest.
  private mutating func prefix(_ size: UInt8, _ reg: UInt8, _ index: UInt8, _ rm: UInt8) {
    if size == 1 { bytes.append(0x66) }
    let (high, middle) = ((reg >> 3) << 2, (index >> 3) << 1)
    bytes.append(0x40 | (size == 3 ? 8 : 0) | high | middle | rm >> 3)
  }
  private mutating func emit(opcode: UInt16) {
    if opcode > 0xFF { bytes.append(UInt8(truncatingIfNeeded: opcode >> 8)) }
    bytes.append(UInt8(truncatingIfNeeded: opcode))
  }

  /// An instruction on two registers.
  mutating func registers(_ opcode: UInt16, _ size: UInt8, _ reg: UInt8, _ rm: UInt8) {
    prefix(size, reg, 0, rm)
    emit(opcode: opcode)
    bytes.append(0xC0 | (reg & 7) << 3 | rm & 7)
  }

  /// An instruction on a register and memory at `base` + `displacement`; `base` is not RSP or R12.
  mutating func memory(
    _ opcode: UInt16, _ size: UInt8, _ reg: UInt8, _ base: UInt8, _ displacement: Int32 = 0
  ) {
    prefix(size, reg, 0, base)
    emit(opcode: opcode)
    bytes.append(0x80 | (reg & 7) << 3 | base & 7)
    emit(displacement: displacement)
  }

  /// LEA of a base, an index that is shifted, or neither, and a displacement.
  mutating func loadAddress(
    _ size: UInt8, _ reg: UInt8, base: UInt8?, index: UInt8?, scale: UInt8, _ displacement: Int32
  ) {
    prefix(size, reg, index ?? 0, base ?? 0)
    bytes.append(0x8D)
    // Mode 2 has a displacement of 32 bits; mode 0 with base 5 has no base. Index 4 is none.
    bytes.append((base == nil ? 0 : 0x80) | (reg & 7) << 3 | 4)
    bytes.append((scale & 3) << 6 | ((index ?? 4) & 7) << 3 | (base ?? 5) & 7)
    emit(displacement: displacement)
  }

  /// A jump on `condition` to what ``land(_:)`` says later; where its distance stands.
  mutating func jump(on condition: UInt8) -> Int {
    emit(0x0F, 0x80 | condition & 15, 0, 0, 0, 0)
    return count
  }

  /// A jump back to `place`.
  mutating func jump(to place: Int) {
    emit(0xE9)
    emit(UInt64(bitPattern: Int64(place - count - 4)), bytes: 4)
  }

  /// Lets the jump at `place` lead here.
  mutating func land(_ place: Int) {
    let distance = UInt32(truncatingIfNeeded: count - place)
    for index in 0..<4 {
      bytes[place - 4 + index] = UInt8(truncatingIfNeeded: distance >> UInt32(index * 8))
    }
  }

  mutating func push(_ register: UInt8) { emit(0x40 | register >> 3, 0x50 | register & 7) }
  mutating func pop(_ register: UInt8) { emit(0x40 | register >> 3, 0x58 | register & 7) }

  /// MOV of a constant, as short as it can be.
  mutating func load(_ register: UInt8, _ size: UInt8, _ value: UInt64) {
    let isWide = size == 3 && value > UInt64(UInt32.max)
    prefix(isWide ? 3 : min(size, 2), 0, 0, register)
    bytes.append((size == 0 ? 0xB0 : 0xB8) | register & 7)
    emit(value, bytes: isWide ? 8 : 1 << Int(min(size, 2)))
  }
}
