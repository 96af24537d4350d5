/// One counter of the 8254 as a value (Intel 8254 datasheet, 231164-005).
///
/// Time is a number of input clocks, and the counting element is never stepped: what it holds
/// follows from the clock in which its count was loaded. ``settle(_:)`` brings the few things that
/// happen by themselves (a new count that waits for its cycle) up to a moment.
struct I8254Counter: Codable, Equatable, Sendable {
  /// Mode 0 to 5; a control word's 6 and 7 are 2 and 3.
  var mode: UInt8 = 3
  /// Binary-coded decimal, four digits, rather than 16 bits.
  var isBCD = false
  /// The RW field: 1 low byte only, 2 high byte only, 3 low then high.
  var access: UInt8 = 3
  /// The low byte of a two-byte count whose high byte is awaited.
  var writtenLow: UInt8?
  /// Whether the next read of a two-byte access gives the high byte.
  var readsHigh = false
  /// Output latch, if a latch command filled it.
  var latchedCount: UInt16?
  /// Status latch, if a read-back command filled it.
  var latchedStatus: UInt8?
  /// Level of the GATE input.
  var gate = true
  /// The count that was loaded, 1 to 65536 (10000 in BCD); nil before the first.
  var count: Int64?
  /// A count that was written and waits for the end of a cycle or for a trigger.
  var pending: Int64?
  /// The clock in which `count` was loaded. A phase, so it can lie before 0.
  var start: Int64 = 0
  /// The clocks that had passed when GATE stopped the count; nil while it runs.
  var held: Int64?
  /// Up to when ``settle(_:)`` went.
  var settled: Int64 = 0

  private var modulus: Int64 { isBCD ? 10_000 : 65_536 }
  private var isPeriodic: Bool { mode == 2 || mode == 3 }
  /// Modes that a rising GATE starts and no write does.
  private var waitsForTrigger: Bool { mode == 1 || mode == 5 }

  /// Clocks since the count was loaded, below 0 until it is.
  private func elapsed(_ now: Int64) -> Int64 { held ?? (now &- start) }

  /// Clocks that OUT is high in one period of mode 3.
  private static func highPart(_ count: Int64) -> Int64 { (count + 1) / 2 }

  /// The OUT pin at `now`, not before the last ``settle(_:)``.
  func output(_ now: Int64) -> Bool {
    guard let count else { return mode != 0 }
    let passed = elapsed(now)
    switch mode {
    case 0: return passed >= count && writtenLow == nil
    case 1: return passed < 0 || passed >= count
    case 2: return !gate || passed < 0 || passed % count != count - 1
    case 3: return !gate || passed < 0 || passed % count < Self.highPart(count)
    default: return passed != count
    }
  }

  /// What the counting element holds at `now`, in the notation of the counter.
  func value(_ now: Int64) -> UInt16 {
    guard let count else { return 0 }
    let passed = max(elapsed(now), 0)
    var left: Int64
    switch mode {
    case 2: left = count - passed % count
    case 3:
      let inPeriod = passed % count
      let high = Self.highPart(count)
      // Counts by two from an even number, in each half of the period.
      left = (count & ~1) - 2 * (inPeriod < high ? inPeriod : inPeriod - high)
    default: left = count - passed % modulus
    }
    left = ((left % modulus) + modulus) % modulus
    return isBCD ? Self.decimal(left) : UInt16(truncatingIfNeeded: left)
  }

  private static func decimal(_ value: Int64) -> UInt16 {
    let digits = [value % 10, value / 10 % 10, value / 100 % 10, value / 1000 % 10]
    return digits.reversed().reduce(0) { $0 << 4 | UInt16(truncatingIfNeeded: $1) }
  }

  /// Whether a written count has not reached the counting element at `now`.
  private func isNull(_ now: Int64) -> Bool {
    count == nil || pending != nil || (held == nil && now < start)
  }

  /// The status byte of the read-back command.
  func status(_ now: Int64) -> UInt8 {
    (output(now) ? 0x80 : 0) | (isNull(now) ? 0x40 : 0) | access << 4 | mode << 1 | (isBCD ? 1 : 0)
  }

  // MARK: - Time

  /// Lets a new count take over where its cycle came, up to `now`.
  /// - Returns: how often OUT rose by itself.
  mutating func settle(_ now: Int64) -> Int64 {
    guard now > settled else { return 0 }
    var edges: Int64 = 0
    if let pending, let boundary = nextBoundary(after: settled), boundary <= now {
      edges = risingEdges(from: settled, to: boundary)
      let startsLow = mode == 3 && isHalfWay(boundary)
      count = pending
      start = startsLow ? boundary &- Self.highPart(pending) : boundary
      self.pending = nil
      settled = boundary
    }
    edges += risingEdges(from: settled, to: now)
    settled = now
    return edges
  }

  /// When a periodic counter next loads its count: in mode 3 at each half of the period.
  private func nextBoundary(after now: Int64) -> Int64? {
    guard isPeriodic, held == nil, let count else { return nil }
    let passed = now &- start
    guard passed >= 0 else { return start &+ (mode == 3 ? Self.highPart(count) : count) }
    let periodStart = now &- passed % count
    let half = periodStart &+ Self.highPart(count)
    return mode == 3 && half > now ? half : periodStart &+ count
  }

  private func isHalfWay(_ boundary: Int64) -> Bool {
    guard let count else { return false }
    return (boundary &- start) % count != 0
  }

  /// When OUT rises next by itself, after `now`; nil where it does not.
  func nextRise(after now: Int64) -> Int64? {
    guard let count, held == nil else { return nil }
    if isPeriodic {
      if let pending, let boundary = nextBoundary(after: now), mode == 3, isHalfWay(boundary) {
        return boundary &+ pending / 2
      }
      let passed = now &- start
      return passed < 0 ? start &+ count : now &- passed % count &+ count
    }
    let rise = start &+ count &+ (mode >= 4 ? 1 : 0)
    return rise > now && !(mode == 0 && writtenLow != nil) ? rise : nil
  }

  /// How often OUT rose in (from, to], with the count that is loaded.
  private func risingEdges(from: Int64, to: Int64) -> Int64 {
    guard let count, held == nil, to > from else { return 0 }
    if isPeriodic {
      return max(to &- start, 0) / count - max(from &- start, 0) / count
    }
    guard let rise = nextRise(after: from) else { return 0 }
    return rise <= to ? 1 : 0
  }

  // MARK: - Commands

  /// A control word: bits 5 to 0 of what was written to the control port, RW not 0.
  mutating func control(_ value: UInt8, _ now: Int64) {
    let kept = gate
    self = I8254Counter()
    gate = kept
    settled = now
    let requested = value >> 1 & 7
    mode = requested > 5 ? requested - 4 : requested
    isBCD = value & 1 != 0
    access = value >> 4 & 3
  }

  /// Latches the count, if it is not latched yet.
  mutating func latchCount(_ now: Int64) {
    if latchedCount == nil { latchedCount = value(now) }
  }

  /// Latches the status, if it is not latched yet.
  mutating func latchStatus(_ now: Int64) {
    if latchedStatus == nil { latchedStatus = status(now) }
  }

  /// A read of the counter's port.
  mutating func read(_ now: Int64) -> UInt8 {
    if let status = latchedStatus {
      latchedStatus = nil
      return status
    }
    let value = latchedCount ?? value(now)
    let high = access == 2 || (access == 3 && readsHigh)
    if access == 3 { readsHigh.toggle() }
    if access != 3 || high { latchedCount = nil }
    return UInt8(truncatingIfNeeded: high ? value >> 8 : value)
  }

  /// A write to the counter's port.
  mutating func write(_ byte: UInt8, _ now: Int64) {
    switch access {
    case 1: load(UInt16(byte), now)
    case 2: load(UInt16(byte) << 8, now)
    default:
      if let low = writtenLow {
        writtenLow = nil
        load(UInt16(byte) << 8 | UInt16(low), now)
      } else {
        writtenLow = byte
      }
    }
  }

  /// A whole count was written: it is loaded with the next clock, or waits.
  private mutating func load(_ raw: UInt16, _ now: Int64) {
    let new = isBCD ? Self.binary(raw) : Int64(raw)
    let written = new == 0 ? modulus : new
    if waitsForTrigger || (isPeriodic && (count != nil || !gate)) {
      pending = written
      return
    }
    count = written
    start = now &+ 1
    held = gate ? nil : 0
  }

  /// Digits above 9 count as what they are, which stays in range.
  private static func binary(_ raw: UInt16) -> Int64 {
    let digits = [raw >> 12, raw >> 8 & 15, raw >> 4 & 15, raw & 15]
    return digits.reduce(0) { $0 * 10 + Int64($1) } % 10_000
  }

  /// Drives the GATE input (datasheet, "Gate settings" of each mode).
  mutating func setGate(_ level: Bool, _ now: Int64) {
    guard level != gate else { return }
    gate = level
    if waitsForTrigger || isPeriodic {
      if level { trigger(now) } else if isPeriodic { hold(now) }
    } else if level {
      if let held, count != nil { start = now &- held }
      held = nil
    } else {
      hold(now)
    }
  }

  private mutating func hold(_ now: Int64) {
    if count != nil { held = max(now &- start, 0) }
  }

  /// A rising GATE loads the count anew with the next clock.
  private mutating func trigger(_ now: Int64) {
    held = nil
    guard let next = pending ?? count else { return }
    count = next
    pending = nil
    start = now &+ 1
  }

  /// Why this can't be a counter's state, or nil.
  var problem: String? {
    if mode > 5 { return "mode \(mode) does not exist" }
    if !(1...3).contains(access) { return "access \(access) does not exist" }
    for value in [count, pending] {
      if let value, !(1...modulus).contains(value) { return "count \(value) is out of range" }
    }
    let times = -2 * I8254.lastClock...2 * I8254.lastClock
    let isHeldWell = held.map { times.contains($0) } ?? true
    guard times.contains(start), times.contains(settled), isHeldWell else {
      return "a clock is out of range"
    }
    return nil
  }
}
