import Synchronization

/// The 8254 programmable interval timer as a PC wires it (Intel 8254 datasheet, 231164-005): counter
/// 0 drives IRQ 0, counter 1 refreshes memory, counter 2's GATE and OUT go to port 61h.
///
/// Counters run on 1,193,182 Hz from the machine's clock 0 on; a count's edges are computed from the
/// clock in which it was loaded, so nothing drifts however late a timer is served.
///
/// IRQ 0 gets one edge for each rise of counter 0's OUT and stays high up to the next: the low phase
/// of modes 2 and 3 is not driven, since that would cost a wake of the host and could withdraw a
/// tick that the guest has not taken yet. Where the host was late, the ticks it missed are made up,
/// since guests keep time by counting them: at most ``maximumOwed``, at no more than twice the rate
/// that the guest asked for and never closer than ``minimumSpacing``, so that a guest is never
/// flooded. A rate above 10 kHz therefore loses ticks.
public final class I8254: Device, PortDevice {
  /// The input clock, Hz: 14.31818 MHz / 12.
  public static let frequency: UInt64 = 1_193_182
  /// How many missed ticks are made up at most.
  public static let maximumOwed: Int64 = 32
  /// The least time between two edges of IRQ 0, nanoseconds.
  public static let minimumSpacing: UInt64 = 100_000
  /// The last clock that is told from never: some 240 years.
  static let lastClock: Int64 = 1 << 53

  /// Three counters and what counter 0 owes IRQ 0.
  public struct SavedState: Codable, Equatable, Sendable {
    var counters = [I8254Counter](repeating: I8254Counter(), count: 3)
    /// Rises of OUT 0 that IRQ 0 has not seen.
    var owed: Int64 = 0
    /// IRQ 0 gets no edge before this, nanoseconds.
    var nextTick: UInt64 = 0
    /// The level of IRQ 0.
    var level = false

    /// The speaker's gate is low after reset; the other two are wired high.
    init() { counters[2].gate = false }
  }

  private struct Guarded {
    var registers = SavedState()
    var timer: (any DeviceTimer)?
    /// What the timer is armed for, nanoseconds; nil where it sleeps.
    var armed: UInt64?
  }

  private let state = Mutex(Guarded())
  private let clock: any Clock
  private let irq0: InterruptLine

  public let name = "i8254"

  public init(clock: any Clock, irq0: InterruptLine) {
    self.clock = clock
    self.irq0 = irq0
    let timer = clock.makeTimer(name) { [weak self] in self?.timerFired() }
    state.withLock { $0.timer = timer }
  }

  /// The input clocks that have passed after `nanoseconds`.
  static func clocks(at nanoseconds: UInt64) -> Int64 {
    let product = nanoseconds.multipliedFullWidth(by: frequency)
    let clocks = UInt64(1_000_000_000).dividingFullWidth(product).quotient
    return min(Int64(truncatingIfNeeded: clocks), lastClock)
  }

  /// The first nanosecond at which `clock` has passed; `UInt64.max` for never.
  static func nanoseconds(at clock: Int64) -> UInt64 {
    guard clock > 0 else { return 0 }
    guard clock < lastClock else { return .max }
    let product = UInt64(clock).multipliedFullWidth(by: 1_000_000_000)
    guard product.high < frequency else { return .max }
    let result = frequency.dividingFullWidth(product)
    return result.quotient &+ (result.remainder == 0 ? 0 : 1)
  }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    guard offset < 3 else { return 0xFF }
    return atNow { state, now in UInt32(state.registers.counters[Int(offset)].read(now)) }
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let byte = UInt8(truncatingIfNeeded: value)
    atNow { state, now in
      switch offset {
      case 0, 1, 2: state.registers.counters[Int(offset)].write(byte, now)
      case 3: control(byte, now, &state)
      default: break
      }
    }
  }

  private func control(_ value: UInt8, _ now: Int64, _ state: inout Guarded) {
    let selected = Int(value >> 6)
    if selected == 3 {
      readBack(value, now, &state)
    } else if value & 0x30 == 0 {
      state.registers.counters[selected].latchCount(now)
    } else {
      state.registers.counters[selected].control(value & 0x3F, now)
      if selected == 0 { state.registers.owed = 0 }
    }
  }

  /// Read-back: bit 5 low latches counts, bit 4 low latches status, bits 1 to 3 name counters.
  private func readBack(_ value: UInt8, _ now: Int64, _ state: inout Guarded) {
    for index in 0..<3 where value & (2 << UInt8(index)) != 0 {
      if value & 0x20 == 0 { state.registers.counters[index].latchCount(now) }
      if value & 0x10 == 0 { state.registers.counters[index].latchStatus(now) }
    }
  }

  /// Drives GATE of counter 2, which port 61h does.
  public func setGate2(_ level: Bool) {
    atNow { state, now in state.registers.counters[2].setGate(level, now) }
  }

  /// OUT of counter 2, which port 61h shows and the speaker hears.
  public var output2: Bool {
    atNow { state, now in state.registers.counters[2].output(now) }
  }

  public func reset() {
    state.withLock { state in
      state.registers = SavedState()
      irq0.set(false)
      arm(&state)
    }
  }

  public func save() -> SavedState { state.withLock { $0.registers } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    guard state.counters.count == 3 else {
      throw RestoreError(device: name, problem: "\(state.counters.count) counters instead of 3")
    }
    for counter in state.counters {
      if let problem = counter.problem { throw RestoreError(device: name, problem: problem) }
    }
    guard (0...Self.maximumOwed).contains(state.owed) else {
      throw RestoreError(device: name, problem: "\(state.owed) ticks can't be owed")
    }
    self.state.withLock { guarded in
      guarded.registers = state
      irq0.set(state.level)
      arm(&guarded)
    }
  }
}

extension I8254 {
  private func timerFired() {
    atNow { state, _ in state.armed = nil }
  }

  /// Brings the counters to now, runs `body`, and gives IRQ 0 what follows from both.
  @discardableResult
  private func atNow<Result: Sendable>(_ body: (inout Guarded, Int64) -> Result) -> Result {
    state.withLock { state in
      let time = clock.now()
      let now = Self.clocks(at: time)
      var rises: Int64 = 0
      for index in state.registers.counters.indices {
        let edges = state.registers.counters[index].settle(now)
        if index == 0 { rises = edges }
      }
      state.registers.owed = min(state.registers.owed &+ rises, Self.maximumOwed)
      let before = state.registers.counters.first?.output(now) ?? false
      let result = body(&state, now)
      let after = state.registers.counters.first?.output(now) ?? false
      drive(before, after, time, &state)
      return result
    }
  }

  /// Drives IRQ 0 after a write moved OUT 0 from `before` to `after`, and delivers owed ticks.
  private func drive(_ before: Bool, _ after: Bool, _ time: UInt64, _ state: inout Guarded) {
    if after && !before { state.registers.owed = max(state.registers.owed, 1) }
    if before && !after && state.registers.level {
      state.registers.level = false
      irq0.set(false)
    }
    if state.registers.owed > 0 && time >= state.registers.nextTick {
      state.registers.owed -= 1
      state.registers.level = true
      state.registers.nextTick = time &+ spacing(state.registers)
      irq0.pulse()
    }
    arm(&state)
  }

  /// Half a period, so that late ticks come at no more than twice their rate.
  private func spacing(_ state: SavedState) -> UInt64 {
    guard let counter = state.counters.first, counter.mode == 2 || counter.mode == 3,
      let count = counter.count
    else { return Self.minimumSpacing }
    return max(Self.nanoseconds(at: count) / 2, Self.minimumSpacing)
  }

  /// Sets the timer to when IRQ 0 needs its next edge, or to sleep where none will come.
  private func arm(_ state: inout Guarded) {
    var deadline = UInt64.max
    if state.registers.owed > 0 {
      deadline = state.registers.nextTick
    } else if let counter = state.registers.counters.first,
      let rise = counter.nextRise(after: counter.settled)
    {
      deadline = max(Self.nanoseconds(at: rise), state.registers.nextTick)
    }
    let wanted = deadline == .max ? nil : deadline
    guard wanted != state.armed else { return }
    state.armed = wanted
    if let wanted { state.timer?.arm(at: wanted) } else { state.timer?.cancel() }
  }
}
