import KVMEngine
import Synchronization

/// The high precision event timer (IA-PC HPET specification 1.0a): a 64-bit counter of 100 MHz and
/// three comparators, each one-shot or periodic, edge- or level-triggered, on a wire of the I/O APIC
/// or, for the first two, in place of the 8254's and the real-time clock's interrupts.
///
/// Not modelled: delivery as messages. Lock order: the chip's, then the interrupt wires'.
public final class HPET: Device {
  static let timerCount = 3
  /// Femtoseconds of a tick: 10 ns.
  private static let period: UInt64 = 10_000_000
  private static let nanosecondsPerTick: UInt64 = 10
  /// A comparator that is this close may be missed, in ticks (the HPET table tells).
  static let minimumTicks: UInt16 = 100
  /// The low half of the capabilities: Intel, legacy replacement, a 64-bit counter, three timers,
  /// revision 1.
  static let identification: UInt32 = 0x8086_A201
  /// Wires that a comparator can drive: pins 16 to 23 of the I/O APIC, which nothing else drives.
  private static let routes: UInt64 = 0x00FF_0000

  /// One comparator.
  struct Comparator: Codable, Equatable, Sendable {
    var configuration: UInt64 = 0
    /// What the guest reads: the next match.
    var comparator = UInt64.max
    var period: UInt64 = 0
  }

  /// The registers.
  public struct SavedState: Codable, Equatable, Sendable {
    var configuration: UInt64 = 0
    var status: UInt64 = 0
    /// The counter while it stands, or its value at time 0 of the clock while it runs.
    var counter: UInt64 = 0
    var timers = [Comparator](repeating: Comparator(), count: HPET.timerCount)
    /// Up to which count matches were found, bit 63 of nothing: the counter at the last look.
    var seen: UInt64 = 0
  }

  private struct Guarded {
    var registers = SavedState()
    var timer: (any DeviceTimer)?
  }

  public let name = "hpet"
  private let state = Mutex(Guarded())
  private let clock: any Clock
  private let wire: @Sendable (Int) -> InterruptLine
  private let legacy: LegacyReplacement

  /// - Parameters:
  ///   - wire: pin n of the I/O APIC, 16 to 23.
  ///   - legacy: where comparators 0 and 1 go in legacy replacement mode.
  public init(
    clock: any Clock, wire: @escaping @Sendable (Int) -> InterruptLine, legacy: LegacyReplacement
  ) {
    self.clock = clock
    self.wire = wire
    self.legacy = legacy
    let timer = clock.makeTimer(name) { [weak self] in self?.atNow { _, _ in } }
    state.withLock { $0.timer = timer }
  }

  /// Finds the matches up to now, runs `body` and drives everything to match.
  @discardableResult
  func atNow<Result>(_ body: (inout SavedState, UInt64) -> Result) -> Result {
    state.withLock { state in
      let now = clock.now()
      var fired = Self.findMatches(&state.registers, now)
      let before = state.registers
      let result = body(&state.registers, now)
      if before != state.registers {
        // What the guest moved behind the counter is not a match: it waits for the next turn.
        fired |= Self.findMatches(&state.registers, now)
      }
      drive(state.registers, old: before, fired: fired)
      arm(&state, now)
      return result
    }
  }

  // MARK: Time

  private static func counter(_ registers: SavedState, _ now: UInt64) -> UInt64 {
    registers.isRunning ? registers.counter &+ now / nanosecondsPerTick : registers.counter
  }

  /// Matches since the last look, bit n for timer n.
  private static func findMatches(_ registers: inout SavedState, _ now: UInt64) -> UInt8 {
    let count = counter(registers, now)
    var fired: UInt8 = 0
    for index in 0..<timerCount {
      let timer = registers.timers[index]
      let distance = timer.truncated(timer.comparator &- registers.seen)
      let passed = timer.truncated(count &- registers.seen)
      let wrapped = timer.is32Bit && count &- registers.seen > UInt64(UInt32.max)
      guard distance != 0, distance <= passed || wrapped else { continue }
      fired |= 1 << UInt8(index)
      registers.timers[index].goOn(past: count)
    }
    registers.seen = count
    for index in 0..<timerCount where fired >> UInt8(index) & 1 != 0 {
      if registers.timers[index].isLevel, registers.timers[index].isEnabled {
        registers.status |= 1 << UInt64(index)
      }
    }
    return fired
  }

  private func arm(_ state: inout Guarded, _ now: UInt64) {
    let registers = state.registers
    guard registers.isRunning else {
      state.timer?.cancel()
      return
    }
    var next = UInt64.max
    for timer in registers.timers where timer.isEnabled {
      let distance = timer.truncated(timer.comparator &- registers.seen)
      next = min(next, distance == 0 ? timer.truncated(.max) : distance)
    }
    guard next < UInt64.max / 32 else {
      state.timer?.cancel()
      return
    }
    // The tick in which the counter gets there begins at a multiple of its length.
    let tick = now / Self.nanosecondsPerTick &+ next
    state.timer?.arm(at: tick &* Self.nanosecondsPerTick)
  }

  // MARK: Interrupts

  private func drive(_ registers: SavedState, old: SavedState, fired: UInt8) {
    legacy.setReplaced(registers.replacesLegacy && registers.isRunning)
    for index in 0..<Self.timerCount {
      let timer = registers.timers[index]
      let line = output(index, registers)
      if let previous = output(index, old), previous.number != line?.number {
        previous.set(false)
      }
      guard let line else { continue }
      if timer.isLevel {
        line.set(timer.isEnabled && registers.status >> UInt64(index) & 1 != 0)
      } else if fired >> UInt8(index) & 1 != 0, timer.isEnabled {
        line.pulse()
        line.set(false)
      }
    }
  }

  /// Where timer `index` goes; nil for nowhere.
  private func output(_ index: Int, _ registers: SavedState) -> InterruptLine? {
    if registers.replacesLegacy, index < 2 { return legacy.timerLine(index) }
    let route = Int(registers.timers[index].configuration >> 9 & 31)
    guard Self.routes >> UInt64(route) & 1 != 0 else { return nil }
    return wire(route)
  }

  // MARK: Device

  public func reset() {
    atNow { registers, _ in registers = SavedState() }
  }

  public func save() -> SavedState { state.withLock { $0.registers } }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    guard saved.timers.count == Self.timerCount, saved.configuration & ~3 == 0,
      saved.status & ~7 == 0,
      saved.timers.allSatisfy({ $0.configuration & ~Comparator.writable == 0 })
    else { throw RestoreError(device: name, problem: "registers that the chip does not have") }
    state.withLock { state in
      let old = state.registers
      state.registers = saved
      drive(saved, old: old, fired: 0)
      arm(&state, clock.now())
    }
  }
}

extension HPET.SavedState {
  /// ENABLE_CNF
  var isRunning: Bool { configuration & 1 != 0 }
  /// LEG_RT_CNF
  var replacesLegacy: Bool { configuration & 2 != 0 }
}

extension HPET.Comparator {
  /// Tn_INT_TYPE, Tn_INT_ENB, Tn_TYPE, Tn_VAL_SET, Tn_32MODE, Tn_INT_ROUTE.
  static let writable: UInt64 = 0x3F4E
  static let valueSet: UInt64 = 1 << 6

  var isLevel: Bool { configuration & 1 << 1 != 0 }
  var isEnabled: Bool { configuration & 1 << 2 != 0 }
  var isPeriodic: Bool { configuration & 1 << 3 != 0 }
  var is32Bit: Bool { configuration & 1 << 8 != 0 }

  /// As much of `value` as the comparator compares.
  func truncated(_ value: UInt64) -> UInt64 { is32Bit ? value & 0xFFFF_FFFF : value }

  /// After a match: a periodic comparator goes on to the first of its times after `count`.
  mutating func goOn(past count: UInt64) {
    let period = truncated(period)
    guard isPeriodic, period != 0 else { return }
    let behind = truncated(count &- comparator)
    comparator = truncated(comparator &+ (behind / period &+ 1) &* period)
  }
}

/// The registers (IA-PC HPET specification 1.0a, 2.3), 64 bits each, reached whole or in halves.
extension HPET: MemoryDevice {
  private enum Offset {
    static let capabilities: UInt64 = 0x00
    static let configuration: UInt64 = 0x10
    static let status: UInt64 = 0x20
    static let counter: UInt64 = 0xF0
    static let timers: UInt64 = 0x100
    static let timerBytes: UInt64 = 0x20
  }

  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    let register = atNow { registers, now in read(offset & ~7, registers, now) }
    return register >> ((offset & 7) * 8)
  }

  private func read(_ offset: UInt64, _ registers: SavedState, _ now: UInt64) -> UInt64 {
    switch offset {
    case Offset.capabilities: return Self.period << 32 | UInt64(Self.identification)
    case Offset.configuration: return registers.configuration
    case Offset.status: return registers.status
    case Offset.counter: return Self.counter(registers, now)
    default:
      guard let place = Self.timer(offset) else { return 0 }
      let timer = registers.timers[place.index]
      switch place.register {
      case 0: return timer.configuration | Self.routes << 32 | 0x30
      case 8: return timer.comparator
      default: return 0
      }
    }
  }

  /// Which timer's register lies at `offset`.
  private static func timer(_ offset: UInt64) -> (index: Int, register: UInt64)? {
    guard offset >= Offset.timers else { return nil }
    let index = (offset - Offset.timers) / Offset.timerBytes
    guard index < UInt64(timerCount) else { return nil }
    return (Int(index), (offset - Offset.timers) % Offset.timerBytes)
  }

  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    let shift = (offset & 7) * 8
    let mask = width.mask << shift
    atNow { registers, now in
      write(offset & ~7, &registers, now, value: value << shift, mask: mask)
    }
  }

  private func write(
    _ offset: UInt64, _ registers: inout SavedState, _ now: UInt64, value: UInt64, mask: UInt64
  ) {
    func merged(_ old: UInt64) -> UInt64 { old & ~mask | value & mask }
    switch offset {
    case Offset.configuration: setConfiguration(&registers, now, merged(registers.configuration))
    case Offset.status: registers.status &= ~(value & mask)
    case Offset.counter:
      let count = merged(Self.counter(registers, now))
      registers.counter =
        registers.isRunning ? count &- now / Self.nanosecondsPerTick : count
      registers.seen = count
    default:
      guard let place = Self.timer(offset) else { return }
      if place.register == 0 {
        setTimer(
          &registers.timers[place.index], merged(registers.timers[place.index].configuration))
      } else if place.register == 8 {
        setComparator(&registers.timers[place.index], value, mask)
      }
    }
  }

  /// Starting and stopping keeps the count.
  private func setConfiguration(_ registers: inout SavedState, _ now: UInt64, _ value: UInt64) {
    let count = Self.counter(registers, now)
    registers.configuration = value & 3
    registers.counter =
      registers.isRunning ? count &- now / Self.nanosecondsPerTick : count
  }

  private func setTimer(_ timer: inout Comparator, _ value: UInt64) {
    timer.configuration = value & Comparator.writable
    if timer.is32Bit {
      timer.comparator &= 0xFFFF_FFFF
      timer.period &= 0xFFFF_FFFF
    }
  }

  /// For a periodic timer a write sets the period, and the next match too if Tn_VAL_SET was set
  /// before (2.3.9.2.2).
  private func setComparator(_ timer: inout Comparator, _ value: UInt64, _ mask: UInt64) {
    func merged(_ old: UInt64) -> UInt64 { timer.truncated(old & ~mask | value & mask) }
    if !timer.isPeriodic || timer.configuration & Comparator.valueSet != 0 {
      timer.comparator = merged(timer.comparator)
    }
    if timer.isPeriodic { timer.period = merged(timer.period) }
    timer.configuration &= ~Comparator.valueSet
  }
}
