import KVMEngine

/// The BIOS data area at segment 40h and the extended one that its word 0Eh names (IBM Personal
/// System/2 and Personal Computer BIOS Interface Technical Reference, section 3).
///
/// All state of the firmware that programs may look at lies here, and nowhere else.
public struct BIOSDataArea: Sendable {
  /// Offsets in segment 40h.
  public enum Field {
    public static let serialPorts: UInt16 = 0x00
    public static let parallelPorts: UInt16 = 0x08
    public static let extendedSegment: UInt16 = 0x0E
    public static let equipment: UInt16 = 0x10
    public static let memoryKiB: UInt16 = 0x13
    public static let keyboardFlags: UInt16 = 0x17
    public static let keyboardFlags2: UInt16 = 0x18
    public static let altInput: UInt16 = 0x19
    public static let bufferHead: UInt16 = 0x1A
    public static let bufferTail: UInt16 = 0x1C
    public static let keyboardBuffer: UInt16 = 0x1E
    public static let keyboardBufferEnd: UInt16 = 0x3E
    public static let resumeAddress: UInt16 = 0x67
    public static let tickCount: UInt16 = 0x6C
    public static let tickOverflow: UInt16 = 0x70
    public static let breakFlag: UInt16 = 0x71
    public static let resetFlag: UInt16 = 0x72
    public static let hardDiskCount: UInt16 = 0x75
    public static let parallelTimeouts: UInt16 = 0x78
    public static let serialTimeouts: UInt16 = 0x7C
    public static let bufferStart: UInt16 = 0x80
    public static let bufferEnd: UInt16 = 0x82
    public static let diskettesInstalled: UInt16 = 0x8F
    public static let disketteMedia: UInt16 = 0x90
    public static let keyboardFlags3: UInt16 = 0x96
    public static let keyboardLights: UInt16 = 0x97
    public static let waitPointer: UInt16 = 0x98
    public static let waitCount: UInt16 = 0x9C
    public static let waitActive: UInt16 = 0xA0
  }

  /// Where segment 40h lies.
  public static let address: UInt64 = 0x400
  /// Bytes that POST clears: the BIOS data area and the DOS communication area behind it.
  static let clearedBytes = 0x200

  private let memory: LinearMemory

  /// The data area as the caller of a service sees it.
  public init(_ memory: LinearMemory) { self.memory = memory }

  /// The data area in physical memory, for POST.
  public init(_ space: AddressSpace) {
    memory = LinearMemory(space: space, system: SystemRegisters())
  }

  public func byte(_ field: UInt16) -> UInt8 {
    memory.load(Self.address + UInt64(field), as: UInt8.self)
  }
  public func word(_ field: UInt16) -> UInt16 {
    memory.load(Self.address + UInt64(field), as: UInt16.self)
  }
  public func dword(_ field: UInt16) -> UInt32 {
    memory.load(Self.address + UInt64(field), as: UInt32.self)
  }
  public func set(_ field: UInt16, byte: UInt8) {
    memory.store(byte, at: Self.address + UInt64(field))
  }
  public func set(_ field: UInt16, word: UInt16) {
    memory.store(word, at: Self.address + UInt64(field))
  }
  public func set(_ field: UInt16, dword: UInt32) {
    memory.store(dword, at: Self.address + UInt64(field))
  }

  /// Sets or clears the bits of `mask` in a byte.
  func change(_ field: UInt16, mask: UInt8, to value: Bool) {
    let old = byte(field)
    let new = value ? old | mask : old & ~mask
    if new != old { set(field, byte: new) }
  }

  // MARK: The extended data area

  /// Offsets in the extended BIOS data area.
  enum ExtendedField {
    static let sizeKiB: UInt16 = 0x00
    /// Offset and segment of the pointing device's handler.
    static let pointerHandler: UInt16 = 0x22
    /// Bits 0-2: bytes of the packet that have come.
    static let pointerFlags: UInt16 = 0x26
    /// Bit 7: a handler is set. Bits 0-2: bytes of a packet, less one.
    static let pointerFlags2: UInt16 = 0x27
    static let pointerPacket: UInt16 = 0x28
    /// Who connected to power management: 0 nobody, else the version that it speaks.
    static let powerManagement: UInt16 = 0x30
    static let hardDisk0: UInt16 = 0x3D
    static let hardDisk1: UInt16 = 0x4D
  }

  /// The linear address of a field of the extended data area.
  func extendedAddress(_ field: UInt16) -> UInt64 {
    UInt64(word(Field.extendedSegment)) << 4 &+ UInt64(field)
  }
  func extendedByte(_ field: UInt16) -> UInt8 {
    memory.load(extendedAddress(field), as: UInt8.self)
  }
  func setExtended(_ field: UInt16, byte: UInt8) { memory.store(byte, at: extendedAddress(field)) }
  func extendedWord(_ field: UInt16) -> UInt16 {
    memory.load(extendedAddress(field), as: UInt16.self)
  }
  func setExtended(_ field: UInt16, word: UInt16) { memory.store(word, at: extendedAddress(field)) }
}

// MARK: - The keyboard buffer

extension BIOSDataArea {
  /// The entry after `pointer`, which wraps at the buffer's end.
  private func next(_ pointer: UInt16) -> UInt16 {
    let following = pointer &+ 2
    return following >= word(Field.bufferEnd) ? word(Field.bufferStart) : following
  }

  /// The oldest keystroke, or nil where there is none.
  func firstKeystroke() -> UInt16? {
    let head = word(Field.bufferHead)
    return head == word(Field.bufferTail) ? nil : word(head)
  }

  /// Forgets the oldest keystroke.
  func dropKeystroke() {
    let head = word(Field.bufferHead)
    if head != word(Field.bufferTail) { set(Field.bufferHead, word: next(head)) }
  }

  /// Appends a keystroke.
  /// - Returns: false where the buffer is full; it holds 15 keystrokes.
  func storeKeystroke(_ code: UInt16) -> Bool {
    let tail = word(Field.bufferTail)
    let following = next(tail)
    guard following != word(Field.bufferHead) else { return false }
    set(tail, word: code)
    set(Field.bufferTail, word: following)
    return true
  }

  /// Empties the buffer.
  func clearKeystrokes() {
    let start = word(Field.bufferStart)
    set(Field.bufferHead, word: start)
    set(Field.bufferTail, word: start)
  }
}
