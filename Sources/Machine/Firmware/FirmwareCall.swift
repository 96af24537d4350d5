import KVMEngine

/// How a firmware service ended.
public enum FirmwareOutcome: Sendable, Equatable {
  /// The ROM's stub returns to the caller.
  case done
  /// The ROM's stub lets interrupts in, halts until one came, and calls the service again with the
  /// caller's registers.
  case wait
  /// The caller is gone: the processor goes on with the call's registers and segments as they are.
  case enter
}

/// A service of the firmware, reached through a stub in the ROM that traps into Swift.
public protocol FirmwareService: AnyObject, Sendable {
  /// Serves one call. Runs on the vCPU's thread, with the vCPU outside guest code.
  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome
}

/// One trapped call: the caller's registers and memory, as a service reads and changes them.
///
/// The stub has pushed nothing, so at SS:SP lie IP, CS and FLAGS of the INT instruction. A service
/// answers in registers, in the caller's memory, and in the FLAGS image that IRET will load.
public struct FirmwareCall {
  /// The caller's general registers. RIP and RFLAGS are the stub's own; services leave them alone.
  public var registers: Registers
  /// The caller's segments and control registers. Read-only: a service never changes a segment
  /// but ES and DS, for which ``setES(_:)`` and ``setDS(_:)`` exist.
  public private(set) var system: SystemRegisters
  /// Whether ``system`` was changed and has to go back to the vCPU.
  public private(set) var systemChanged = false
  /// The caller's memory by linear address.
  public let memory: LinearMemory

  public init(registers: Registers, system: SystemRegisters, space: AddressSpace) {
    self.registers = registers
    self.system = system
    memory = LinearMemory(space: space, system: system)
  }

  // MARK: Registers by their 16- and 8-bit names

  public var ax: UInt16 {
    get { UInt16(truncatingIfNeeded: registers.rax) }
    set { Self.setLow(&registers.rax, newValue) }
  }
  public var bx: UInt16 {
    get { UInt16(truncatingIfNeeded: registers.rbx) }
    set { Self.setLow(&registers.rbx, newValue) }
  }
  public var cx: UInt16 {
    get { UInt16(truncatingIfNeeded: registers.rcx) }
    set { Self.setLow(&registers.rcx, newValue) }
  }
  public var dx: UInt16 {
    get { UInt16(truncatingIfNeeded: registers.rdx) }
    set { Self.setLow(&registers.rdx, newValue) }
  }
  public var si: UInt16 {
    get { UInt16(truncatingIfNeeded: registers.rsi) }
    set { Self.setLow(&registers.rsi, newValue) }
  }
  public var di: UInt16 {
    get { UInt16(truncatingIfNeeded: registers.rdi) }
    set { Self.setLow(&registers.rdi, newValue) }
  }
  public var bp: UInt16 {
    get { UInt16(truncatingIfNeeded: registers.rbp) }
    set { Self.setLow(&registers.rbp, newValue) }
  }
  public var al: UInt8 {
    get { UInt8(truncatingIfNeeded: ax) }
    set { ax = ax & 0xFF00 | UInt16(newValue) }
  }
  public var ah: UInt8 {
    get { UInt8(truncatingIfNeeded: ax >> 8) }
    set { ax = ax & 0x00FF | UInt16(newValue) << 8 }
  }
  public var bl: UInt8 {
    get { UInt8(truncatingIfNeeded: bx) }
    set { bx = bx & 0xFF00 | UInt16(newValue) }
  }
  public var bh: UInt8 {
    get { UInt8(truncatingIfNeeded: bx >> 8) }
    set { bx = bx & 0x00FF | UInt16(newValue) << 8 }
  }
  public var cl: UInt8 {
    get { UInt8(truncatingIfNeeded: cx) }
    set { cx = cx & 0xFF00 | UInt16(newValue) }
  }
  public var ch: UInt8 {
    get { UInt8(truncatingIfNeeded: cx >> 8) }
    set { cx = cx & 0x00FF | UInt16(newValue) << 8 }
  }
  public var dl: UInt8 {
    get { UInt8(truncatingIfNeeded: dx) }
    set { dx = dx & 0xFF00 | UInt16(newValue) }
  }
  public var dh: UInt8 {
    get { UInt8(truncatingIfNeeded: dx >> 8) }
    set { dx = dx & 0x00FF | UInt16(newValue) << 8 }
  }
  /// The 32-bit registers; setting one clears the upper half of the 64-bit register.
  public var eax: UInt32 {
    get { UInt32(truncatingIfNeeded: registers.rax) }
    set { registers.rax = UInt64(newValue) }
  }
  public var ebx: UInt32 {
    get { UInt32(truncatingIfNeeded: registers.rbx) }
    set { registers.rbx = UInt64(newValue) }
  }
  public var ecx: UInt32 {
    get { UInt32(truncatingIfNeeded: registers.rcx) }
    set { registers.rcx = UInt64(newValue) }
  }
  public var edx: UInt32 {
    get { UInt32(truncatingIfNeeded: registers.rdx) }
    set { registers.rdx = UInt64(newValue) }
  }

  private static func setLow(_ register: inout UInt64, _ value: UInt16) {
    register = register & ~0xFFFF | UInt64(value)
  }

  // MARK: Segments

  public var es: UInt16 { system.es.selector }
  public var ds: UInt16 { system.ds.selector }
  /// The linear address of ES:offset.
  public func esAddress(_ offset: UInt16) -> UInt64 { system.es.base &+ UInt64(offset) }
  /// The linear address of DS:offset.
  public func dsAddress(_ offset: UInt16) -> UInt64 { system.ds.base &+ UInt64(offset) }

  /// Loads ES as real mode does.
  public mutating func setES(_ selector: UInt16) {
    system.es.selector = selector
    system.es.base = UInt64(selector) << 4
    systemChanged = true
  }

  /// Loads DS as real mode does.
  public mutating func setDS(_ selector: UInt16) {
    system.ds.selector = selector
    system.ds.base = UInt64(selector) << 4
    systemChanged = true
  }

  /// Replaces all of the processor's state, for the outcome `enter`.
  mutating func enter(_ registers: Registers, _ system: SystemRegisters) {
    self.registers = registers
    self.system = system
    systemChanged = true
  }

  // MARK: The FLAGS image that IRET loads

  /// Where the word `offset` bytes above SS:SP lies.
  private func stackAddress(_ offset: UInt16) -> UInt64 {
    system.ss.base &+ UInt64(UInt16(truncatingIfNeeded: registers.rsp) &+ offset)
  }

  /// The IP that IRET will load.
  public var returnIP: UInt16 { memory.load(stackAddress(0), as: UInt16.self) }
  /// The CS that IRET will load.
  public var returnCS: UInt16 { memory.load(stackAddress(2), as: UInt16.self) }

  /// The FLAGS that IRET will load.
  public var returnFlags: UInt16 {
    get { memory.load(stackAddress(4), as: UInt16.self) }
    nonmutating set { memory.store(newValue, at: stackAddress(4)) }
  }

  /// CF of ``returnFlags``: the usual sign of an error.
  public var carry: Bool {
    get { returnFlags & UInt16(Flags.carry) != 0 }
    nonmutating set { setReturnFlag(UInt16(Flags.carry), newValue) }
  }

  /// ZF of ``returnFlags``.
  public var zero: Bool {
    get { returnFlags & UInt16(Flags.zero) != 0 }
    nonmutating set { setReturnFlag(UInt16(Flags.zero), newValue) }
  }

  private func setReturnFlag(_ bit: UInt16, _ value: Bool) {
    returnFlags = value ? returnFlags | bit : returnFlags & ~bit
  }
}
