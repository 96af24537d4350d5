/// The general registers, the instruction pointer and RFLAGS of one vCPU (Intel SDM vol. 1, 3.4).
public struct Registers: Sendable, Equatable, Codable {
  public var rax: UInt64 = 0
  public var rbx: UInt64 = 0
  public var rcx: UInt64 = 0
  public var rdx: UInt64 = 0
  public var rsi: UInt64 = 0
  public var rdi: UInt64 = 0
  public var rsp: UInt64 = 0
  public var rbp: UInt64 = 0
  public var r8: UInt64 = 0
  public var r9: UInt64 = 0
  public var r10: UInt64 = 0
  public var r11: UInt64 = 0
  public var r12: UInt64 = 0
  public var r13: UInt64 = 0
  public var r14: UInt64 = 0
  public var r15: UInt64 = 0
  public var rip: UInt64 = 0
  public var rflags: UInt64 = 2

  public init() {}
}

/// Bits of RFLAGS (Intel SDM vol. 1, 3.4.3).
public enum Flags {
  public static let carry: UInt64 = 1 << 0
  public static let parity: UInt64 = 1 << 2
  public static let auxiliaryCarry: UInt64 = 1 << 4
  public static let zero: UInt64 = 1 << 6
  public static let sign: UInt64 = 1 << 7
  public static let trap: UInt64 = 1 << 8
  public static let interruptEnable: UInt64 = 1 << 9
  public static let direction: UInt64 = 1 << 10
  public static let overflow: UInt64 = 1 << 11
  public static let virtual8086: UInt64 = 1 << 17
}

/// One segment register with its hidden part (Intel SDM vol. 3, 3.4.3).
public struct Segment: Sendable, Equatable, Codable {
  public var selector: UInt16 = 0
  public var base: UInt64 = 0
  /// In bytes, granularity applied.
  public var limit: UInt32 = 0xFFFF
  /// The descriptor's type field, 0 to 15.
  public var type: UInt8 = 3
  /// The S flag: a code or data segment, not a system one.
  public var isCodeOrData = true
  /// Descriptor privilege level, 0 to 3.
  public var privilege: UInt8 = 0
  public var present = true
  /// The D/B flag: 32-bit.
  public var isBig = false
  /// The L flag: 64-bit code.
  public var isLong = false
  public var granularity = false
  public var available = false

  public init() {}
}

/// GDTR or IDTR.
public struct DescriptorTable: Sendable, Equatable, Codable {
  public var base: UInt64 = 0
  public var limit: UInt16 = 0xFFFF

  public init() {}
}

/// Segments, descriptor tables, control registers, EFER and the APIC base of one vCPU.
public struct SystemRegisters: Sendable, Equatable, Codable {
  public var cs = Segment()
  public var ds = Segment()
  public var es = Segment()
  public var fs = Segment()
  public var gs = Segment()
  public var ss = Segment()
  public var tr = Segment()
  public var ldt = Segment()
  public var gdt = DescriptorTable()
  public var idt = DescriptorTable()
  public var cr0: UInt64 = 0
  public var cr2: UInt64 = 0
  public var cr3: UInt64 = 0
  public var cr4: UInt64 = 0
  public var cr8: UInt64 = 0
  public var efer: UInt64 = 0
  public var apicBase: UInt64 = 0

  public init() {}
}

/// Bits of CR0, CR4 and EFER that a VMM looks at (Intel SDM vol. 3, 2.5).
public enum ControlBits {
  public static let cr0ProtectionEnable: UInt64 = 1 << 0
  public static let cr0Paging: UInt64 = 1 << 31
  public static let cr4PageSizeExtension: UInt64 = 1 << 4
  public static let cr4PhysicalAddressExtension: UInt64 = 1 << 5
  public static let cr4FiveLevelPaging: UInt64 = 1 << 12
  public static let eferLongModeActive: UInt64 = 1 << 10
}

/// What kind of code a vCPU executes.
public enum ProcessorMode: String, Sendable, CaseIterable {
  case real = "16-bit real mode"
  case virtual8086 = "virtual-8086 mode"
  case protected16 = "16-bit protected mode"
  case protected32 = "32-bit protected mode"
  case paged32 = "32-bit protected mode with paging"
  case compatibility = "compatibility mode"
  case long = "64-bit mode"

  public init(_ registers: Registers, _ system: SystemRegisters) {
    if system.cr0 & ControlBits.cr0ProtectionEnable == 0 {
      self = .real
    } else if registers.rflags & Flags.virtual8086 != 0 {
      self = .virtual8086
    } else if system.efer & ControlBits.eferLongModeActive != 0 {
      self = system.cs.isLong ? .long : .compatibility
    } else if system.cr0 & ControlBits.cr0Paging != 0 {
      self = .paged32
    } else {
      self = system.cs.isBig ? .protected32 : .protected16
    }
  }
}
