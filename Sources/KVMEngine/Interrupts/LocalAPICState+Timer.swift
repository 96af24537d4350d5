/// The timer (Intel SDM vol. 3, 11.5.4). It counts nanoseconds, divided; the moment of its next zero
/// is all that is kept, so that counts read exact and periods don't drift.
extension LocalAPICState {
  /// The least time between two host timers of a periodic count, nanoseconds. A guest that asks for
  /// a shorter period gets interrupts at a whole multiple of it.
  static let minimumSpacing: UInt64 = 50_000

  /// The power of two by which the bus clock is divided, 0 to 7.
  private var divideShift: UInt64 {
    let bits = UInt64(divideConfiguration & 3 | (divideConfiguration & 8) >> 1)
    return (bits &+ 1) & 7
  }

  /// Nanoseconds from the initial count to zero.
  private var period: UInt64 { UInt64(initialCount) << divideShift }

  /// Counts until the next expiry, rounded up.
  private func ticks(_ now: UInt64) -> UInt64 {
    guard let expiry, expiry > now else { return 0 }
    let rest = expiry &- now
    let whole = rest >> divideShift
    return min(whole &<< divideShift == rest ? whole : whole &+ 1, UInt64(UInt32.max))
  }

  /// The current count register; what has expired by `now` must have been served.
  func currentCount(_ now: UInt64) -> UInt32 {
    let ticks = ticks(now)
    guard ticks > 0, initialCount > 0, table.timer.timerMode != .deadline else { return 0 }
    let initial = UInt64(initialCount)
    let count = table.timer.timerMode == .periodic ? (ticks - 1) % initial + 1 : min(ticks, initial)
    return UInt32(truncatingIfNeeded: count)
  }

  /// A write of the initial count starts the timer anew; zero stops it.
  mutating func setInitialCount(_ value: UInt32, _ now: UInt64) {
    guard table.timer.timerMode != .deadline else { return }
    initialCount = value
    expiry = value == 0 ? nil : now &+ period
  }

  /// Goes on counting from `count`; zero is a count that has ended.
  mutating func resumeCount(_ count: UInt32, _ now: UInt64) {
    if count > 0 && initialCount > 0 {
      expiry = now &+ UInt64(count) << divideShift
    } else {
      expiry = table.timer.timerMode == .periodic && initialCount > 0 ? now &+ period : nil
    }
  }

  /// The count goes on from where it is at the new rate.
  mutating func setDivide(_ value: UInt32, _ now: UInt64) {
    let left = ticks(now)
    divideConfiguration = UInt8(truncatingIfNeeded: value & Self.divideWritable)
    if expiry != nil { expiry = now &+ left << divideShift }
  }

  /// Steps into and out of TSC-deadline mode disarm the timer; between one-shot and periodic it goes
  /// on counting (11.5.4.1).
  mutating func timerModeChanged(from old: LocalAPICTimerMode) {
    guard (old == .deadline) != (table.timer.timerMode == .deadline) else { return }
    initialCount = 0
    expiry = nil
    tscDeadline = 0
  }

  /// Serves what has expired by `now`: one interrupt however many periods have passed, as the IRR
  /// keeps one.
  mutating func expire(_ now: UInt64, _ counter: LocalAPIC.TimestampCounter) {
    if table.timer.timerMode == .deadline {
      guard tscDeadline != 0, counter.read() >= tscDeadline else { return }
      tscDeadline = 0
    } else {
      guard let due = expiry, due <= now else { return }
      expiry = table.timer.timerMode == .periodic ? nextExpiry(after: due, now) : nil
    }
    raise(table.timer)
  }

  /// The first whole period from `due` that lies after `now`, by the minimum spacing where periods
  /// are shorter than that.
  private func nextExpiry(after due: UInt64, _ now: UInt64) -> UInt64? {
    guard period > 0 else { return nil }
    let earliest = now &- due &+ (period < Self.minimumSpacing ? Self.minimumSpacing : 0)
    return due &+ (earliest / period &+ 1) &* period
  }

  /// When the host has to look again, nanoseconds; nil for never. Nobody has to for a masked timer:
  /// what expires then is settled by the next access.
  func nextWake(_ now: UInt64, _ counter: LocalAPIC.TimestampCounter) -> UInt64? {
    guard !table.timer.isMasked else { return nil }
    guard table.timer.timerMode == .deadline else { return expiry }
    guard tscDeadline != 0 else { return nil }
    let current = counter.read()
    guard tscDeadline > current else { return now }
    let product = (tscDeadline &- current).multipliedFullWidth(by: 1_000_000_000)
    let frequency = counter.frequency()
    guard product.high < frequency else { return nil }
    let (quotient, remainder) = frequency.dividingFullWidth(product)
    let (sum, overflow) = now.addingReportingOverflow(quotient)
    guard !overflow, sum < .max else { return nil }
    return sum &+ (remainder == 0 ? 0 : 1)
  }
}
