import KVMEngine

/// The time registers, the update cycle, and what sets register C's flags.
extension MC146818 {
  /// UIP is high for as long before a second's end: 244 µs of warning and an update of 1,984 µs.
  private static let updateWarning: UInt64 = 2_228_000
  /// The first update comes this long after the divider is released.
  private static let firstUpdate: UInt64 = 500_000_000
  /// How many seconds ahead or back the registers may be before they follow the host.
  private static let tolerance: Int64 = 1
  private static let secondsPerDay: Int64 = 86_400

  /// The second of the clock that `now` lies in; seconds start at the phase.
  private func cycle(_ state: SavedState, _ now: UInt64) -> Int64 {
    guard now >= state.phase else { return 0 }
    return Int64((now - state.phase) / RTCTime.second) + 1
  }

  /// Brings the guest's time to the second that `now` lies in.
  func latch(_ state: inout SavedState, _ now: UInt64) {
    let cycle = cycle(state, now)
    guard !state.isFrozen, cycle != state.cycle else { return }
    let host = min(max(wallTime(), -RTCTime.furthest / 2), RTCTime.furthest / 2)
    let actual = bounded(host + state.offset)
    let expected = bounded(state.latched &+ (cycle &- state.cycle))
    let isFirst = state.cycle < 0
    let isClose = abs(actual - expected) <= Self.tolerance
    state.latched = isClose && !isFirst ? expected : actual
    state.cycle = cycle
  }

  private func bounded(_ seconds: Int64) -> Int64 {
    min(max(seconds, -RTCTime.furthest), RTCTime.furthest)
  }

  // MARK: - Reads

  /// A read of the selected register, with its effects.
  func read(_ state: inout SavedState, _ now: UInt64) -> UInt8 {
    let value = peek(state, now)
    if state.index == RTCRegister.c { state.c = 0 }
    return value
  }

  /// The selected register's value.
  func peek(_ state: SavedState, _ now: UInt64) -> UInt8 {
    switch state.index {
    case RTCRegister.a: state.a | (isUpdating(state, now) ? RTCBit.updateInProgress : 0)
    case let index where RTCRegister.time.contains(index) && !state.isFrozen:
      timeByte(index, state)
    default: state.byte(state.index)
    }
  }

  private func isUpdating(_ state: SavedState, _ now: UInt64) -> Bool {
    guard !state.isFrozen else { return false }
    return nextSecond(state, now) &- now <= Self.updateWarning
  }

  /// When the second that `now` lies in ends, nanoseconds.
  private func nextSecond(_ state: SavedState, _ now: UInt64) -> UInt64 {
    let inSecond = (now % RTCTime.second + RTCTime.second - state.phase) % RTCTime.second
    return now &+ (RTCTime.second - inSecond)
  }

  private func timeByte(_ index: UInt8, _ state: SavedState) -> UInt8 {
    let time = RTCTime(seconds: state.latched)
    let format = state.format
    switch index {
    case RTCRegister.seconds: return format.encode(time.second)
    case RTCRegister.minutes: return format.encode(time.minute)
    case RTCRegister.hours: return format.encodeHour(time.hour)
    case RTCRegister.weekday:
      return format.encode((RTCTime.weekday(state.latched) + state.weekdayShift) % 7 + 1)
    case RTCRegister.day: return format.encode(time.day)
    case RTCRegister.month: return format.encode(time.month)
    case RTCRegister.year: return format.encode(time.year)
    default: return format.encode(time.year / 100)
    }
  }

  // MARK: - Writes

  /// A write to the selected register.
  func write(_ value: UInt8, _ state: inout SavedState, _ now: UInt64) {
    switch state.index {
    case RTCRegister.a: writeA(value, &state, now)
    case RTCRegister.b: writeB(value, &state, now)
    case RTCRegister.c, RTCRegister.d: break
    case let index where RTCRegister.time.contains(index):
      if state.isFrozen {
        state.set(index, value)
      } else {
        freeze(&state)
        state.set(index, value)
        thaw(&state, now)
      }
    default: state.set(state.index, value)
    }
  }

  private func writeA(_ value: UInt8, _ state: inout SavedState, _ now: UInt64) {
    let wasFrozen = state.isFrozen
    let wasHalted = state.isHalted
    if value & 0x60 == 0x60 && !wasFrozen { freeze(&state) }
    state.a = value & ~RTCBit.updateInProgress
    guard wasHalted, !state.isHalted else { return }
    state.phase = (now + Self.firstUpdate) % RTCTime.second
    state.flaggedCycle = cycle(state, now)
    if !state.isFrozen { thaw(&state, now) }
  }

  private func writeB(_ value: UInt8, _ state: inout SavedState, _ now: UInt64) {
    let wasFrozen = state.isFrozen
    if value & RTCBit.set != 0 {
      if !wasFrozen { freeze(&state) }
      // Setting SET clears UIE (datasheet, register B).
      state.b = value & ~RTCBit.updateEnded
    } else {
      state.b = value
      if wasFrozen && !state.isFrozen { thaw(&state, now) }
    }
  }

  /// Puts the time into its registers, which the guest owns from now on.
  private func freeze(_ state: inout SavedState) {
    for index in RTCRegister.time { state.set(index, timeByte(index, state)) }
  }

  /// Takes the time from its registers and lets it go on.
  private func thaw(_ state: inout SavedState, _ now: UInt64) {
    let format = state.format
    func value(_ index: UInt8) -> Int64 { format.decode(state.byte(index)) }
    let time = RTCTime(
      year: value(RTCRegister.century) * 100 + value(RTCRegister.year) % 100,
      month: min(max(value(RTCRegister.month), 1), 12), day: value(RTCRegister.day),
      hour: format.decodeHour(state.byte(RTCRegister.hours)),
      minute: value(RTCRegister.minutes), second: value(RTCRegister.seconds))
    let seconds = bounded(time.secondsSince1970)
    let weekday = value(RTCRegister.weekday) - 1
    state.weekdayShift = ((weekday - RTCTime.weekday(seconds)) % 7 + 7) % 7
    state.latched = seconds
    state.cycle = cycle(state, now)
    state.flaggedCycle = state.cycle
    state.offset = bounded(seconds - min(max(wallTime(), 0), RTCTime.furthest / 2))
  }

  // MARK: - Flags

  /// Sets the flags of what happened up to `now`.
  func findFlags(_ state: inout SavedState, _ now: UInt64) {
    let tick = Self.tick(now)
    if let period = period(state), tick / period > state.flaggedTick / period {
      state.c |= RTCBit.periodic
    }
    state.flaggedTick = tick
    let cycle = cycle(state, now)
    if !state.isFrozen && cycle > state.flaggedCycle {
      state.c |= RTCBit.updateEnded
      let passed = min(cycle &- state.flaggedCycle, Self.secondsPerDay)
      if let wait = secondsToAlarm(state, from: state.latched &- passed), wait <= passed {
        state.c |= RTCBit.alarm
      }
    }
    state.flaggedCycle = cycle
    updateRequest(&state)
  }

  /// IRQF follows the flags that are enabled.
  func updateRequest(_ state: inout SavedState) {
    let active = state.b & state.c & RTCBit.enables != 0
    state.c = (state.c & ~RTCBit.requested) | (active ? RTCBit.requested : 0)
  }

  /// Clocks of 32,768 Hz up to `now`.
  private static func tick(_ now: UInt64) -> Int64 {
    let product = now.multipliedFullWidth(by: 32_768)
    return Int64(truncatingIfNeeded: RTCTime.second.dividingFullWidth(product).quotient)
  }

  /// The periodic rate as clocks of 32,768 Hz; nil where none is selected (datasheet table 5).
  private func period(_ state: SavedState) -> Int64? {
    let rate = state.a & RTCBit.rate
    guard rate != 0, !state.isHalted else { return nil }
    return 1 << Int64(rate < 3 ? rate + 6 : rate - 1)
  }

  /// Seconds from `time` to the first moment after it that the alarm bytes match, 1 to 86,400.
  private func secondsToAlarm(_ state: SavedState, from time: Int64) -> Int64? {
    func wanted(_ index: UInt8, _ decode: (UInt8) -> Int64) -> Int64? {
      let byte = state.byte(index)
      return byte & RTCBit.anyTime == RTCBit.anyTime ? nil : decode(byte)
    }
    let format = state.format
    let second = wanted(RTCRegister.secondsAlarm, format.decode)
    let minute = wanted(RTCRegister.minutesAlarm, format.decode)
    // An afternoon's hour has bit 7 set, so "any" needs both bits there too.
    let hour = wanted(RTCRegister.hoursAlarm, format.decodeHour)
    var ahead: Int64 = 1
    while ahead <= Self.secondsPerDay {
      let inDay = ((time &+ ahead) % Self.secondsPerDay + Self.secondsPerDay) % Self.secondsPerDay
      if let hour, inDay / 3600 != hour {
        ahead += 3600 - inDay % 3600
      } else if let minute, inDay / 60 % 60 != minute {
        ahead += 60 - inDay % 60
      } else if let second, inDay % 60 != second {
        ahead += 1
      } else {
        return ahead
      }
    }
    return nil
  }

  // MARK: - Timer

  /// Sets the timer to the next interrupt that is enabled and has not come, if there is one.
  func arm(_ state: inout Guarded, _ now: UInt64) {
    let registers = state.registers
    let waiting = registers.b & RTCBit.enables & ~registers.c
    guard registers.c & RTCBit.requested == 0, waiting != 0 else {
      state.timer?.cancel()
      return
    }
    var deadline = UInt64.max
    if waiting & RTCBit.periodic != 0, let period = period(registers) {
      let next = (Self.tick(now) / period &+ 1) &* period
      deadline = min(deadline, Self.nanoseconds(atTick: next))
    }
    if !registers.isFrozen {
      let second = nextSecond(registers, now)
      if waiting & RTCBit.updateEnded != 0 { deadline = min(deadline, second) }
      if waiting & RTCBit.alarm != 0,
        let wait = secondsToAlarm(registers, from: registers.latched)
      {
        deadline = min(deadline, second &+ UInt64(wait - 1) &* RTCTime.second)
      }
    }
    if deadline == .max { state.timer?.cancel() } else { state.timer?.arm(at: deadline) }
  }

  /// The first nanosecond at which a clock of 32,768 Hz has passed `tick` times.
  private static func nanoseconds(atTick tick: Int64) -> UInt64 {
    let product = UInt64(max(tick, 0)).multipliedFullWidth(by: RTCTime.second)
    guard product.high < 32_768 else { return .max }
    let result = UInt64(32_768).dividingFullWidth(product)
    return result.quotient &+ (result.remainder == 0 ? 0 : 1)
  }
}

extension RTCTime {
  init(year: Int64, month: Int64, day: Int64, hour: Int64, minute: Int64, second: Int64) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }
}
