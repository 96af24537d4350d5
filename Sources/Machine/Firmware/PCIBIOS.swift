import KVMEngine

/// INT 1Ah, AH=B1h: the PCI BIOS (PCI BIOS Specification 2.1, section 4), for real mode.
///
/// The 32-bit entry is code in the ROM. There is no special cycle: that function says that it is not
/// supported. Interrupts are in `PCIBIOS+Interrupts.swift`.
struct PCIBIOS {
  let ports: FirmwarePorts

  /// What AH tells (table 4-1).
  enum Result {
    static let successful: UInt8 = 0x00
    static let unsupported: UInt8 = 0x81
    static let badVendor: UInt8 = 0x83
    static let deviceNotFound: UInt8 = 0x86
    static let badRegister: UInt8 = 0x87
    static let setFailed: UInt8 = 0x88
    static let bufferTooSmall: UInt8 = 0x89
  }

  private static let signature: UInt32 = 0x2049_4350  // "PCI "
  private static let version: UInt16 = 0x0210
  private static let mechanism1: UInt8 = 0x01
  private static let nobody: UInt16 = 0xFFFF
  private static let functions = 256

  init(_ ports: FirmwarePorts) { self.ports = ports }

  /// Serves the function in AL.
  func serve(_ call: inout FirmwareCall) {
    let result: UInt8
    switch call.al {
    case 0x01: result = tellPresence(&call)
    case 0x02: result = findDevice(&call)
    case 0x03: result = findClass(&call)
    case 0x08...0x0A: result = read(&call, width: Self.width(call.al))
    case 0x0B...0x0D: result = write(call, width: Self.width(call.al))
    case 0x0E: result = tellRoutes(&call)
    case 0x0F: result = route(call)
    default: result = Result.unsupported
    }
    call.ah = result
    call.carry = result != Result.successful
  }

  /// Functions 08h to 0Ah read, 0Bh to 0Dh write a byte, a word, a doubleword.
  private static func width(_ function: UInt8) -> AccessWidth {
    switch (function - 0x08) % 3 {
    case 0: .byte
    case 1: .word
    default: .dword
    }
  }

  private func tellPresence(_ call: inout FirmwareCall) -> UInt8 {
    call.edx = Self.signature
    call.registers.rdi &= ~0xFFFF_FFFF
    call.al = Self.mechanism1
    call.bx = Self.version
    call.cl = 0  // the last bus
    return Result.successful
  }

  private func findDevice(_ call: inout FirmwareCall) -> UInt8 {
    guard call.dx != Self.nobody else { return Result.badVendor }
    let wanted = UInt32(call.cx) << 16 | UInt32(call.dx)
    return find(&call) { configuration($0, 0x00, .dword) == wanted }
  }

  private func findClass(_ call: inout FirmwareCall) -> UInt8 {
    let wanted = call.ecx & 0xFF_FFFF
    return find(&call) { configuration($0, 0x08, .dword) >> 8 == wanted }
  }

  /// The function number SI of those that match, to BX.
  private func find(_ call: inout FirmwareCall, _ matches: (UInt16) -> Bool) -> UInt8 {
    var left = call.si
    for place in 0..<UInt16(Self.functions) where exists(place) && matches(place) {
      if left == 0 {
        call.bx = place
        return Result.successful
      }
      left -= 1
    }
    return Result.deviceNotFound
  }

  private func exists(_ place: UInt16) -> Bool {
    configuration(place, 0x00, .word) != UInt32(Self.nobody)
  }

  private func read(_ call: inout FirmwareCall, width: AccessWidth) -> UInt8 {
    guard Self.isRegister(call.di, width) else { return Result.badRegister }
    let value = configuration(call.bx, call.di, width)
    switch width {
    case .byte: call.cl = UInt8(truncatingIfNeeded: value)
    case .word: call.cx = UInt16(truncatingIfNeeded: value)
    default: call.ecx = value
    }
    return Result.successful
  }

  private func write(_ call: FirmwareCall, width: AccessWidth) -> UInt8 {
    guard Self.isRegister(call.di, width) else { return Result.badRegister }
    select(call.bx, call.di)
    ports.bus.write(Self.data(call.di), width: width, value: call.ecx)
    return Result.successful
  }

  private static func isRegister(_ register: UInt16, _ width: AccessWidth) -> Bool {
    register < 256 && Int(register) % width.bytes == 0
  }

  // MARK: The chipset

  private func configuration(_ place: UInt16, _ register: UInt16, _ width: AccessWidth) -> UInt32 {
    select(place, register)
    return ports.bus.read(Self.data(register), width: width)
      & UInt32(truncatingIfNeeded: width.mask)
  }

  static func data(_ register: UInt16) -> UInt16 {
    MemoryMap.configurationData.lowerBound + (register & 3)
  }

  /// - Parameter place: bus, device and function as BX has them.
  func select(_ place: UInt16, _ register: UInt16) {
    let enable: UInt32 = 0x8000_0000
    ports.bus.write(
      MemoryMap.configurationAddress.lowerBound, width: .dword,
      value: enable | UInt32(place) << 8 | UInt32(register & 0xFC))
  }
}
