/// Tables of fixed layout.
extension ACPITables {
  /// Offsets in the FADT that hold addresses of other tables (5.2.9).
  enum FADTOffset {
    static let facs = 36
    static let dsdt = 40
    static let wideDSDT = 140
  }

  /// FADT flags (table 5.10).
  private enum Flag {
    static let wbinvd: UInt32 = 1 << 0
    static let c1: UInt32 = 1 << 2
    static let noSleepButton: UInt32 = 1 << 5
    static let resetRegister: UInt32 = 1 << 10
  }

  /// Legacy devices and an 8042 (table 5.11).
  private static let bootArchitecture: UInt16 = 0x0003
  private static let desktop: UInt8 = 1
  private static let centuryRegister: UInt8 = 0x32
  /// Latencies that say "there is no such state".
  private static let noC2: UInt16 = 0x0FFF
  private static let noC3: UInt16 = 0x0FFF
  /// What the reset register at CF9h takes for a hard reset.
  private static let resetValue: UInt8 = 0x06

  /// The FADT behind its header, revision 3: 244 bytes with it (5.2.9).
  static func fadtBody(facs: UInt32) -> [UInt8] {
    let base = UInt32(MemoryMap.powerManagement)
    typealias Offset = PowerManagement.Offset
    let events = base + UInt32(Offset.status)
    let control = base + UInt32(Offset.control)
    let timer = base + UInt32(Offset.timer)
    let general = base + UInt32(Offset.eventStatus)
    var table = FirmwareTableBytes()
    table.append(dword: facs)
    table.append(dword: 0)  // DSDT
    table.append(1, desktop)
    table.append(word: UInt16(MemoryMap.systemControlIRQ))
    table.append(dword: UInt32(MemoryMap.apm.lowerBound))
    table.append(PowerManagement.enableCommand, PowerManagement.disableCommand, 0, 0)
    for block in [events, 0, control, 0, 0, timer, general, 0] { table.append(dword: block) }
    table.append(4, 2, 0, 4, 4, 0, 0, 0)  // lengths of the blocks
    table.append(word: noC2)
    table.append(word: noC3)
    table.append(zeroes: 8)  // cache flushing, clock duty, day and month alarms
    table.append(centuryRegister)
    table.append(word: bootArchitecture)
    table.append(0)
    table.append(
      dword: Flag.wbinvd | Flag.c1 | Flag.noSleepButton | Flag.resetRegister)
    table.append(portAddress(UInt32(MemoryMap.configurationAddress.lowerBound) + 1, bits: 8))
    table.append(resetValue)
    table.append(zeroes: 3 + 8 + 8)  // wide FACS and DSDT
    table.append(portAddress(events, bits: 32))
    table.append(zeroes: 12)
    table.append(portAddress(control, bits: 16))
    table.append(zeroes: 24)
    table.append(portAddress(timer, bits: 32))
    table.append(portAddress(general, bits: 32))
    table.append(zeroes: 12)
    return table.bytes
  }

  /// A generic address in port space (5.2.3.2).
  private static func portAddress(_ port: UInt32, bits: UInt8) -> [UInt8] {
    let access: UInt8 = bits == 8 ? 1 : bits == 16 ? 2 : 3
    return [1, bits, 0, access] + AML.littleEndian(port, 4) + [0, 0, 0, 0]
  }

  /// Interrupts that are level-triggered and active high although they are ISA ones: the system
  /// control interrupt and those that PCI wires are routed to.
  private static let levelInterrupts: [UInt8] = [5, 9, 10, 11]

  /// The MADT behind its header (5.2.12).
  static func madtBody(_ board: ACPIBoard) -> [UInt8] {
    var table = FirmwareTableBytes()
    let hasPair: UInt32 = 1
    table.append(dword: UInt32(MemoryMap.localAPIC))
    table.append(dword: hasPair)
    for index in 0..<board.processors {
      let identifier = UInt8(truncatingIfNeeded: index)
      table.append(0, 8, identifier, identifier)
      table.append(dword: 1)  // enabled
    }
    table.append(1, 12, MPTable.ioAPICIdentifier(processors: board.processors), 0)
    table.append(dword: UInt32(MemoryMap.ioapic.lowerBound))
    table.append(dword: 0)
    override(&table, irq: 0, pin: 2, flags: 0)
    let highLevel: UInt16 = 0x000D
    for irq in levelInterrupts { override(&table, irq: irq, pin: UInt32(irq), flags: highLevel) }
    table.append(4, 6, 0xFF)  // every processor's LINT1 is the non-maskable interrupt
    table.append(word: 0)
    table.append(1)
    return table.bytes
  }

  /// An interrupt source override (5.2.12.5).
  private static func override(
    _ table: inout FirmwareTableBytes, irq: UInt8, pin: UInt32, flags: UInt16
  ) {
    table.append(2, 10, 0, irq)
    table.append(dword: pin)
    table.append(word: flags)
  }

  /// The HPET table behind its header (IA-PC HPET specification 1.0a, 3.2.4).
  static let hpetBody: [UInt8] = {
    var table = FirmwareTableBytes()
    table.append(dword: HPET.identification)
    table.append(0, 64, 0, 0)  // memory
    table.append(dword: UInt32(MemoryMap.hpet.lowerBound))
    table.append(dword: 0)
    table.append(0)
    table.append(word: HPET.minimumTicks)
    table.append(0)
    return table.bytes
  }()
}
