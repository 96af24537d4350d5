/// Numbers of the local APIC's registers: bits 4 to 11 of the offset in its page, and the distance
/// from MSR 0x800 (Intel SDM vol. 3, tables 11-1 and 11-6).
enum LocalAPICRegister {
  static let identifier: UInt32 = 0x02
  static let version: UInt32 = 0x03
  static let taskPriority: UInt32 = 0x08
  static let arbitrationPriority: UInt32 = 0x09
  static let processorPriority: UInt32 = 0x0A
  static let endOfInterrupt: UInt32 = 0x0B
  static let remoteRead: UInt32 = 0x0C
  static let logicalDestination: UInt32 = 0x0D
  static let destinationFormat: UInt32 = 0x0E
  static let spurious: UInt32 = 0x0F
  static let inService: ClosedRange<UInt32> = 0x10...0x17
  static let triggerModes: ClosedRange<UInt32> = 0x18...0x1F
  static let requests: ClosedRange<UInt32> = 0x20...0x27
  static let errorStatus: UInt32 = 0x28
  static let command: UInt32 = 0x30
  static let commandHigh: UInt32 = 0x31
  static let timerEntry: UInt32 = 0x32
  static let thermalEntry: UInt32 = 0x33
  static let performanceEntry: UInt32 = 0x34
  static let lint0Entry: UInt32 = 0x35
  static let lint1Entry: UInt32 = 0x36
  static let errorEntry: UInt32 = 0x37
  static let entries: ClosedRange<UInt32> = 0x32...0x37
  static let initialCount: UInt32 = 0x38
  static let currentCount: UInt32 = 0x39
  static let divideConfiguration: UInt32 = 0x3E
  /// x2APIC mode alone.
  static let selfIPI: UInt32 = 0x3F

  /// Registers that x2APIC mode does not have, or does not have under this number.
  static func isAbsentInX2APIC(_ register: UInt32) -> Bool {
    switch register {
    case arbitrationPriority, remoteRead, destinationFormat, commandHigh: true
    default: false
    }
  }

  /// Bits that WRMSR may set in x2APIC mode without #GP; nil where the register can't be written.
  /// Read-only status bits may be set: software writes back what it read.
  static func x2APICWritable(_ register: UInt32) -> UInt64? {
    switch register {
    case taskPriority, selfIPI: 0xFF
    case endOfInterrupt, errorStatus: 0
    case spurious: UInt64(LocalAPICState.Spurious.writable)
    case command: 0xFFFF_FFFF_000C_DFFF
    case lint0Entry, lint1Entry: 0x1_F7FF
    case entries:
      UInt64(LocalAPICVectorTable.writable(register) | LocalAPICVectorEntry.deliveryStatus)
    case initialCount: 0xFFFF_FFFF
    case divideConfiguration: UInt64(LocalAPICState.divideWritable)
    default: nil
    }
  }
}

/// Bits of IA32_APIC_BASE (Intel SDM vol. 3, 11.4.4 and 11.12.1).
enum LocalAPICBase {
  static let bootstrap: UInt64 = 1 << 8
  static let x2APIC: UInt64 = 1 << 10
  static let enable: UInt64 = 1 << 11
  /// Where the registers are after reset.
  static let address: UInt64 = 0xFEE0_0000
}
