import KVMEngine

/// The floppy disk controller without its lock, clock and wire.
struct FloppyCore {
  let drives: [Drive]
  var state = FloppyState()
  /// A command waits for the worker, or is with it.
  var hasWork = false
  var isWorking = false
  /// A reset came meanwhile: what the worker brings back is dropped.
  var dropsResult = false
  /// How often each drive's medium had changed when its change line was last told.
  var changesSeen: [UInt64]

  /// Nanoseconds until the interrupt of a command that the worker has no part in.
  static let delay: UInt64 = 50_000

  init(_ drives: [Drive]) {
    self.drives = Array(drives.prefix(4))
    changesSeen = self.drives.map(\.changeCount)
  }

  func drive(_ number: Int) -> Drive? { drives.indices.contains(number) ? drives[number] : nil }

  // MARK: Reset

  /// RESET: everything.
  mutating func hardReset() {
    hasWork = false
    state = FloppyState()
    changesSeen = drives.map(\.changeCount)
  }

  /// By the digital output or the data rate register; ends when the bit is set again.
  mutating func enterReset() {
    if isWorking { dropsResult = true } else { hasWork = false }
    state.phase = .command
    (state.command, state.result, state.data, state.position) = ([], [], [], 0)
    state.seeks = [nil, nil, nil, nil]
    state.polls = 0
    state.interrupt = false
    state.interruptAt = nil
    if !state.isLocked {
      state.configure = 0
      state.precompensation = 0
    }
    state.perpendicular &= 0x3C
  }

  mutating func leaveReset(_ now: UInt64) {
    guard state.configure & FloppyBit.noPolling == 0 else { return }
    state.polls = 4
    state.interruptAt = now &+ Self.delay
  }

  var isInReset: Bool { state.output & FloppyBit.notReset == 0 }

  // MARK: Registers

  mutating func writeOutput(_ value: UInt8, _ now: UInt64) {
    let rises = value & ~state.output & FloppyBit.notReset != 0
    let falls = ~value & state.output & FloppyBit.notReset != 0
    state.output = value
    if falls { enterReset() }
    if rises { leaveReset(now) }
  }

  mutating func writeRate(_ value: UInt8, _ now: UInt64) {
    state.rate = value & FloppyBit.rateMask
    if value & FloppyBit.softwareReset != 0, !isInReset {
      enterReset()
      leaveReset(now)
    }
  }

  var mainStatus: UInt8 {
    guard !isInReset, !dropsResult else { return 0 }
    var status: UInt8 = 0
    for index in 0..<4 where state.seeks[index] != nil { status |= 1 << UInt8(index) }
    switch state.phase {
    case .command: status |= FloppyBit.ready | (state.command.isEmpty ? 0 : FloppyBit.busy)
    case .execution: status |= FloppyBit.busy
    case .toHost:
      status |= FloppyBit.ready | FloppyBit.toHost | FloppyBit.withoutDMA | FloppyBit.busy
    case .fromHost: status |= FloppyBit.ready | FloppyBit.withoutDMA | FloppyBit.busy
    case .result: status |= FloppyBit.ready | FloppyBit.toHost | FloppyBit.busy
    }
    return status
  }

  /// The disk change line of the selected drive, which an empty drive holds.
  mutating func readInput() -> UInt8 {
    let number = Int(state.output & 3)
    guard let drive = drive(number) else { return 0 }
    noticeChange(number, drive)
    return state.changed[number] || drive.medium == nil ? FloppyBit.diskChange : 0
  }

  mutating func noticeChange(_ number: Int, _ drive: Drive) {
    let changes = drive.changeCount
    guard changesSeen.indices.contains(number), changes != changesSeen[number] else { return }
    changesSeen[number] = changes
    state.changed[number] = true
  }

  // MARK: The data register

  mutating func readData() -> UInt8 {
    switch state.phase {
    case .toHost:
      guard state.data.indices.contains(state.position) else { return 0 }
      let value = state.data[state.position]
      state.position += 1
      state.interrupt = state.position < state.data.count
      if !state.interrupt { endByHost() }
      return value
    case .result:
      guard state.result.indices.contains(state.position) else { return 0 }
      let value = state.result[state.position]
      if state.position == 0 { state.interrupt = false }
      state.position += 1
      if state.position == state.result.count {
        (state.phase, state.position) = (.command, 0)
        (state.result, state.command) = ([], [])
      }
      return value
    case .command, .execution, .fromHost: return 0
    }
  }

  mutating func writeData(_ value: UInt8, _ now: UInt64) {
    guard !isInReset, !dropsResult else { return }
    switch state.phase {
    case .command:
      state.command.append(value)
      guard let first = state.command.first,
        state.command.count >= FloppyCommand.length(first)
      else { return }
      execute(now)
    case .fromHost:
      guard state.data.indices.contains(state.position) else { return }
      state.data[state.position] = value
      state.position += 1
      guard state.position == state.data.count else { return }
      state.position = 0
      state.interrupt = false
      state.phase = .execution
      hasWork = true
    case .execution, .toHost, .result: break
    }
  }

  /// Ends a command with `result`, which the host reads.
  mutating func answer(_ result: [UInt8]) {
    state.command = []
    state.data = []
    state.position = 0
    state.result = result
    state.phase = result.isEmpty ? .command : .result
  }
}
