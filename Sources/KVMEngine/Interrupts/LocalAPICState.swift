/// One local APIC as a value: its registers, its pins and what it holds for its processor (Intel
/// SDM vol. 3, chapter 11). The chip with its lock, clock and wires is ``LocalAPIC``.
public struct LocalAPICState: Codable, Equatable, Sendable {
  /// The APIC ID, constant: the initial one, 0 to 255 in xAPIC mode.
  let identifier: UInt32
  /// Whether this is the bootstrap processor's, constant.
  let isBootstrap: Bool
  /// IA32_APIC_BASE.
  var base: UInt64
  /// TPR.
  var taskPriority: UInt8 = 0
  /// IRR.
  var requests = LocalAPICVectorSet()
  /// ISR.
  var inService = LocalAPICVectorSet()
  /// TMR: a set bit makes the EOI of that vector known to the I/O APIC.
  var triggerModes = LocalAPICVectorSet()
  /// LDR bits 24 to 31 of xAPIC mode; x2APIC mode derives its own from the ID.
  var logicalDestination: UInt8 = 0
  /// DFR bits 28 to 31.
  var destinationFormat: UInt8 = 0xF
  /// The spurious-interrupt vector register.
  var spurious: UInt32 = 0xFF
  /// ESR as it is read.
  var errorStatus: UInt8 = 0
  /// Errors since ESR was last written.
  var loggedErrors: UInt8 = 0
  /// Whether the next error interrupts; a write of ESR makes it so.
  var errorInterruptArmed = true
  /// ICR; in xAPIC mode bits 56 to 63 are the destination.
  var command: UInt64 = 0
  /// LVT.
  var table = LocalAPICVectorTable()
  var initialCount: UInt32 = 0
  /// Bits 0, 1 and 3 of the divide configuration register.
  var divideConfiguration: UInt8 = 0
  /// When the count reaches zero next, nanoseconds of the machine's clock; nil where it stands.
  var expiry: UInt64?
  /// IA32_TSC_DEADLINE, 0 where disarmed.
  var tscDeadline: UInt64 = 0
  /// Levels of the pins.
  var lint0 = false
  var lint1 = false
  /// An NMI waits for the processor.
  var nmiPending = false
  /// An INIT waits for the processor.
  var initPending = false
  /// The processor waits for a start-up message, or will once it has taken the INIT.
  var waitsForStartup: Bool
  /// The page number that a start-up message brought.
  var startupVector: UInt8?

  /// Bits of the spurious-interrupt vector register (11.9).
  enum Spurious {
    static let enable: UInt32 = 1 << 8
    static let suppressEOIBroadcast: UInt32 = 1 << 12
    /// Bit 9, focus processor checking, is kept and does not act.
    static let writable: UInt32 = 0x13FF
  }

  /// Bits of ESR (11.5.3).
  enum ErrorBit {
    static let sendIllegalVector: UInt8 = 1 << 5
    static let receiveIllegalVector: UInt8 = 1 << 6
    static let illegalRegister: UInt8 = 1 << 7
    static let all: UInt8 = 0xE0
  }

  /// The DFR model in which LDR is a cluster and a set of its members.
  static let clusterModel: UInt8 = 0
  static let divideWritable: UInt32 = 0xB

  /// Entries of the boot processor after reset: LINT0 is ExtINT and LINT1 is NMI, both open.
  private static let virtualWire: (lint0: UInt32, lint1: UInt32) = (0x700, 0x400)

  /// The state after RESET#.
  init(identifier: UInt32, isBootstrap: Bool) {
    self.identifier = identifier
    self.isBootstrap = isBootstrap
    base =
      LocalAPICBase.address | LocalAPICBase.enable | (isBootstrap ? LocalAPICBase.bootstrap : 0)
    waitsForStartup = !isBootstrap
    connectVirtualWire()
  }

  /// Virtual wire mode (MultiProcessor specification, 3.6.2.2), which a PC's firmware sets up on
  /// the boot processor before it lets anyone see interrupts. Ours finds it done.
  private mutating func connectVirtualWire() {
    guard isBootstrap else { return }
    table.lint0.rawValue = Self.virtualWire.lint0
    table.lint1.rawValue = Self.virtualWire.lint1
  }

  /// RESET#: everything but the levels of the pins.
  mutating func reset() {
    let pins = (lint0, lint1)
    self = LocalAPICState(identifier: identifier, isBootstrap: isBootstrap)
    (lint0, lint1) = pins
  }

  /// Registers to their values after reset, without the boot processor's virtual wire; the base,
  /// the pins and what waits for the processor stay (11.4.7.1, 11.4.3).
  mutating func clearRegisters() {
    var fresh = LocalAPICState(identifier: identifier, isBootstrap: isBootstrap)
    fresh.table = LocalAPICVectorTable()
    (fresh.base, fresh.lint0, fresh.lint1) = (base, lint0, lint1)
    (fresh.nmiPending, fresh.initPending) = (nmiPending, initPending)
    (fresh.waitsForStartup, fresh.startupVector) = (waitsForStartup, startupVector)
    self = fresh
  }

  /// IA32_APIC_BASE.EN.
  var isEnabled: Bool { base & LocalAPICBase.enable != 0 }
  /// IA32_APIC_BASE.EXTD.
  var isX2APIC: Bool { base & LocalAPICBase.x2APIC != 0 }
  /// The enable bit of the spurious-interrupt vector register.
  var isSoftwareEnabled: Bool { spurious & Spurious.enable != 0 }

  /// Whether LINT0 carries the 8259 pair's INTR: in ExtINT mode, and without a local APIC.
  var allowsExternalInterrupt: Bool {
    !isEnabled || (!table.lint0.isMasked && table.lint0.mode == .external)
  }

  /// PPR (11.8.3.1).
  var processorPriority: UInt8 {
    let served = (inService.highest ?? 0) & 0xF0
    return taskPriority & 0xF0 >= served ? taskPriority : served
  }

  /// APR (11.6.2.4).
  var arbitrationPriority: UInt8 {
    let served = (inService.highest ?? 0) & 0xF0
    let requested = (requests.highest ?? 0) & 0xF0
    let task = taskPriority & 0xF0
    return task >= requested && task > served ? taskPriority : max(task, served, requested)
  }

  /// What the processor has to look at.
  var events: LocalAPICEvents {
    var result: LocalAPICEvents = []
    if let vector = requests.highest, vector & 0xF0 > processorPriority & 0xF0 {
      result.insert(.interrupt)
    }
    if lint0 && allowsExternalInterrupt { result.insert(.external) }
    if nmiPending { result.insert(.nonMaskable) }
    if initPending {
      result.insert(.initialize)
    } else if startupVector != nil {
      result.insert(.startup)
    }
    return result
  }
}

/// Interrupts in and out.
extension LocalAPICState {
  /// Takes what the APIC bus brings.
  /// - Returns: whether it was taken; an interrupt that is requested already counts.
  mutating func accept(_ message: APICBusMessage) -> Bool {
    guard isEnabled else { return false }
    switch message.mode {
    case .fixed, .lowestPriority:
      return request(message.vector, levelTriggered: message.isLevelTriggered)
    case .nonMaskable: nmiPending = true
    case .initialize: receiveInit()
    case .startup: receiveStartup(message.vector)
    case .systemManagement, .external: return false
    }
    return true
  }

  /// Sets `vector` in the IRR. A local APIC disabled by software takes none.
  @discardableResult
  mutating func request(_ vector: UInt8, levelTriggered: Bool = false) -> Bool {
    guard isSoftwareEnabled else { return false }
    guard vector >= LocalAPICVectorSet.firstVector else {
      logError(ErrorBit.receiveIllegalVector)
      return false
    }
    requests[vector] = true
    triggerModes[vector] = levelTriggered
    return true
  }

  /// The processor acknowledges: the highest request goes from IRR to ISR. Nil where none is above
  /// the processor priority.
  mutating func acknowledge() -> UInt8? {
    guard let vector = requests.highest, vector & 0xF0 > processorPriority & 0xF0 else {
      return nil
    }
    requests[vector] = false
    inService[vector] = true
    return vector
  }

  /// A write of EOI (11.8.5).
  /// - Returns: the vector that the I/O APIC has to know of, nil for none.
  mutating func endOfInterrupt() -> UInt8? {
    guard let vector = inService.highest else { return nil }
    inService[vector] = false
    guard triggerModes[vector] else { return nil }
    if table.lint0.remoteIRR && table.lint0.vector == vector {
      table.lint0.remoteIRR = false
      serveLINT0()
    }
    return spurious & Spurious.suppressEOIBroadcast == 0 ? vector : nil
  }

  /// Logs an error, and interrupts with the first one since ESR was written (11.5.3).
  mutating func logError(_ bit: UInt8) {
    loggedErrors |= bit
    guard errorInterruptArmed else { return }
    errorInterruptArmed = false
    if !table.error.isMasked { request(table.error.vector) }
  }

  /// INIT: an application processor waits for a start-up message afterwards, the bootstrap
  /// processor begins at the reset vector (10.4.1). A start-up from before is void.
  private mutating func receiveInit() {
    initPending = true
    startupVector = nil
    waitsForStartup = !isBootstrap
  }

  /// Start-up messages reach only a processor that waits for one, and only the first counts.
  private mutating func receiveStartup(_ vector: UInt8) {
    if waitsForStartup && startupVector == nil { startupVector = vector }
  }

  /// The processor takes an INIT: registers as after reset, the mode stays (11.4.7.3).
  mutating func takeInit() -> Bool {
    guard initPending else { return false }
    initPending = false
    nmiPending = false
    clearRegisters()
    connectVirtualWire()
    return true
  }

  mutating func takeStartup() -> UInt8? {
    guard !initPending, let vector = startupVector else { return nil }
    startupVector = nil
    waitsForStartup = false
    return vector
  }

  /// Drives LINT0. ExtINT is a level that ``events`` shows; everything else but a level-triggered
  /// fixed interrupt is an edge.
  mutating func setLINT0(_ asserted: Bool) {
    let rises = asserted && !lint0
    lint0 = asserted
    guard isEnabled else { return }
    if table.lint0.isLevelTriggered {
      serveLINT0()
    } else if rises {
      raise(table.lint0)
    }
  }

  /// Drives LINT1, always an edge; the NMI pin of a processor without a local APIC.
  mutating func setLINT1(_ asserted: Bool) {
    let rises = asserted && !lint1
    lint1 = asserted
    guard rises else { return }
    if isEnabled { raise(table.lint1) } else { nmiPending = true }
  }

  /// Requests a level-triggered LINT0 where it is asserted, open, and not in service.
  mutating func serveLINT0() {
    guard lint0, table.lint0.isLevelTriggered, !table.lint0.isMasked, !table.lint0.remoteIRR
    else { return }
    if request(table.lint0.vector, levelTriggered: true) { table.lint0.remoteIRR = true }
  }

  /// An event of a local source (11.5.1).
  mutating func raise(_ entry: LocalAPICVectorEntry) {
    guard !entry.isMasked else { return }
    switch entry.mode {
    case .fixed: request(entry.vector)
    case .nonMaskable: nmiPending = true
    case .initialize: receiveInit()
    case .lowestPriority, .systemManagement, .startup, .external, nil: return
    }
  }
}
