import KVMEngine
import Synchronization

/// The power management block of the 82371AB (PIIX4 datasheet, 290562, chapter 7; ACPI
/// specification 6.5, 4.8): the PM1 event and control registers, the 24-bit timer of 3.579545 MHz,
/// general-purpose events, and the APM ports B2h and B3h by which a system takes ACPI over.
///
/// Sleep type 0 is soft off, 5 is working; sleeping (type 1 and others) is refused: nothing happens.
/// Without ACPI events are lost, since there is no system management mode. Not modelled: the chip's
/// device monitors, burst timers and clock throttling, whose registers read as zero.
public final class PowerManagement: Device {
  /// The registers.
  public struct SavedState: Codable, Equatable, Sendable {
    var status: UInt16 = 0
    var enable: UInt16 = 0
    var control: UInt16 = 0
    var eventStatus: UInt16 = 0
    var eventEnable: UInt16 = 0
    /// Half turns of the timer that were turned into status bits.
    var halfTurns: UInt64 = 0
    var apmControl: UInt8 = 0
    var apmStatus: UInt8 = 0
  }

  /// Ports of the block, from its base on.
  static let ports: UInt64 = 64
  /// Where the block's parts lie in it.
  enum Offset {
    static let status: UInt16 = 0x00
    static let enable: UInt16 = 0x02
    static let control: UInt16 = 0x04
    static let timer: UInt16 = 0x08
    static let eventStatus: UInt16 = 0x0C
    static let eventEnable: UInt16 = 0x0E
  }

  /// PM1 status and enable bits (ACPI 4.8.3.1).
  private enum Event {
    static let timer: UInt16 = 1 << 0
    static let global: UInt16 = 1 << 5
    static let powerButton: UInt16 = 1 << 8
    static let clock: UInt16 = 1 << 10
    static let all = timer | global | powerButton | clock
  }

  /// PM1 control bits (ACPI 4.8.3.2.1).
  private enum Control {
    static let interrupt: UInt16 = 1 << 0
    static let busMasterWakes: UInt16 = 1 << 1
    static let sleepType: UInt16 = 7 << 10
    static let sleep: UInt16 = 1 << 13
    static let kept = interrupt | busMasterWakes | sleepType
    static let softOff: UInt16 = 0
  }

  /// What a system writes to the APM control port (FADT ACPI_ENABLE and ACPI_DISABLE).
  static let enableCommand: UInt8 = 0xF1
  static let disableCommand: UInt8 = 0xF0
  /// Ticks of the timer a second.
  static let timerFrequency: UInt64 = 3_579_545
  private static let timerBits: UInt64 = 24

  private struct Guarded {
    var registers = SavedState()
    var timer: (any DeviceTimer)?
  }

  public let name = "piix4-pm"
  private let state = Mutex(Guarded())
  private let clock: any Clock
  private let interrupt: InterruptLine
  private let powerOff: @Sendable () -> Void

  /// - Parameters:
  ///   - interrupt: the system control interrupt.
  ///   - powerOff: the guest switched the machine off. Called without the lock.
  public init(
    clock: any Clock, interrupt: InterruptLine, powerOff: @escaping @Sendable () -> Void
  ) {
    self.clock = clock
    self.interrupt = interrupt
    self.powerOff = powerOff
    let timer = clock.makeTimer(name) { [weak self] in self?.update { _ in } }
    state.withLock { $0.timer = timer }
  }

  /// The button on the case.
  /// - Returns: whether the guest asked to be told of it; otherwise nothing will come of it.
  public func pressPowerButton() -> Bool {
    update { registers in
      registers.status |= Event.powerButton
      return registers.control & Control.interrupt != 0
        && registers.enable & Event.powerButton != 0
    }
  }

  /// The real-time clock asserted IRQ 8 (PIIX4 datasheet, RTC_STS), whether or not that wire is the
  /// clock's just now.
  func clockRang() { update { $0.status |= Event.clock } }

  // MARK: Time

  private func ticks(_ now: UInt64) -> UInt64 {
    let product = now.multipliedFullWidth(by: Self.timerFrequency)
    return UInt64(1_000_000_000).dividingFullWidth((product.high % 1_000_000_000, product.low))
      .quotient
  }

  /// Brings the timer's status to now, runs `body`, and drives the interrupt and the host's timer.
  @discardableResult
  private func update<Result>(_ body: (inout SavedState) -> Result) -> Result {
    state.withLock { state in
      let now = clock.now()
      catchUp(&state.registers, now)
      let result = body(&state.registers)
      drive(state.registers)
      arm(&state, now)
      return result
    }
  }

  /// The status bit is set whenever the highest bit changes (ACPI 4.8.3.3).
  private func catchUp(_ registers: inout SavedState, _ now: UInt64) {
    let halfTurns = ticks(now) >> (Self.timerBits - 1)
    if halfTurns != registers.halfTurns { registers.status |= Event.timer }
    registers.halfTurns = halfTurns
  }

  private func arm(_ state: inout Guarded, _ now: UInt64) {
    guard state.registers.enable & Event.timer != 0, state.registers.status & Event.timer == 0
    else {
      state.timer?.cancel()
      return
    }
    let next = (state.registers.halfTurns &+ 1) << (Self.timerBits - 1)
    let product = next.multipliedFullWidth(by: 1_000_000_000)
    let deadline = Self.timerFrequency.dividingFullWidth(
      (product.high % Self.timerFrequency, product.low)
    ).quotient
    state.timer?.arm(at: max(deadline, now) &+ 1)
  }

  private func drive(_ registers: SavedState) {
    let events = registers.status & registers.enable & Event.all
    let general = registers.eventStatus & registers.eventEnable
    interrupt.set(registers.control & Control.interrupt != 0 && events | general != 0)
  }

  // MARK: Device

  /// The timer's status is whatever it became; time goes on.
  public func reset() {
    update { registers in
      let halfTurns = registers.halfTurns
      registers = SavedState()
      registers.halfTurns = halfTurns
    }
  }

  public func save() -> SavedState { state.withLock { $0.registers } }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    guard saved.status & ~Event.all == 0, saved.enable & ~Event.all == 0,
      saved.control & ~Control.kept == 0
    else { throw RestoreError(device: name, problem: "a register has bits that it lacks") }
    state.withLock { state in
      state.registers = saved
      drive(saved)
      arm(&state, clock.now())
    }
  }
}

/// The block's ports, from its base on. Registers are words; the timer is a doubleword.
extension PowerManagement: PortDevice {
  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    let first = offset & ~3
    let value = update { registers -> UInt32 in
      switch first {
      case Offset.status: return UInt32(registers.status) | UInt32(registers.enable) << 16
      case Offset.control: return UInt32(registers.control)
      case Offset.timer:
        return UInt32(truncatingIfNeeded: ticks(clock.now()) & (1 << Self.timerBits - 1))
      case Offset.eventStatus:
        return UInt32(registers.eventStatus) | UInt32(registers.eventEnable) << 16
      default: return 0
      }
    }
    return value >> (UInt32(offset & 3) * 8)
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    var off = false
    for index in 0..<UInt16(truncatingIfNeeded: min(width.bytes, 4)) {
      let byte = UInt8(truncatingIfNeeded: value >> (UInt32(index) * 8))
      if update({ write(&$0, offset &+ index, byte) }) { off = true }
    }
    if off { powerOff() }
  }

  /// One byte.
  /// - Returns: whether the machine is to go off.
  private func write(_ registers: inout SavedState, _ offset: UInt16, _ byte: UInt8) -> Bool {
    let shift = (offset & 1) * 8
    let bits = UInt16(byte) << shift
    let mask: UInt16 = 0xFF << shift
    switch offset & ~1 {
    case Offset.status: registers.status &= ~bits
    case Offset.enable: registers.enable = registers.enable & ~mask | bits & Event.all
    case Offset.control:
      registers.control = registers.control & ~mask | bits & Control.kept
      let type = registers.control & Control.sleepType
      return bits & Control.sleep != 0 && type == Control.softOff
    case Offset.eventStatus: registers.eventStatus &= ~bits
    case Offset.eventEnable: registers.eventEnable = registers.eventEnable & ~mask | bits
    default: break
    }
    return false
  }

  /// Ports B2h (control) and B3h (status): the first takes commands, both keep what was written.
  public var apmPorts: any PortDevice { APMPorts(self) }

  fileprivate func readAPM(_ offset: UInt16) -> UInt8 {
    state.withLock { offset & 1 == 0 ? $0.registers.apmControl : $0.registers.apmStatus }
  }

  fileprivate func writeAPM(_ offset: UInt16, _ value: UInt8) {
    update { (registers: inout SavedState) in
      guard offset & 1 == 0 else {
        registers.apmStatus = value
        return
      }
      registers.apmControl = value
      if value == Self.enableCommand { registers.control |= Control.interrupt }
      if value == Self.disableCommand { registers.control &= ~Control.interrupt }
    }
  }
}

private final class APMPorts: PortDevice {
  private let chip: PowerManagement
  init(_ chip: PowerManagement) { self.chip = chip }
  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { UInt32(chip.readAPM(offset)) }
  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    chip.writeAPM(offset, UInt8(truncatingIfNeeded: value))
  }
}
