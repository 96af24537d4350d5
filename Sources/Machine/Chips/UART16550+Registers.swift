import KVMEngine

/// Bits of the UART's registers (PC16550D datasheet, table II).
enum UARTBit {
  /// Interrupt enable register.
  static let receiverEnable: UInt8 = 0x01
  static let transmitterEnable: UInt8 = 0x02
  static let lineStatusEnable: UInt8 = 0x04
  static let modemStatusEnable: UInt8 = 0x08
  /// FIFO control register.
  static let fifoEnable: UInt8 = 0x01
  static let clearReceiver: UInt8 = 0x02
  static let keptFIFOControl: UInt8 = 0xC9
  /// Line control register.
  static let wordLength: UInt8 = 0x03
  static let twoStopBits: UInt8 = 0x04
  static let parity: UInt8 = 0x08
  static let divisorLatch: UInt8 = 0x80
  /// Modem control register.
  static let dtr: UInt8 = 0x01
  static let rts: UInt8 = 0x02
  static let out1: UInt8 = 0x04
  static let out2: UInt8 = 0x08
  static let loopback: UInt8 = 0x10
  static let modemControl: UInt8 = 0x1F
  /// Line status register.
  static let dataReady: UInt8 = 0x01
  static let overrun: UInt8 = 0x02
  static let transmitterEmpty: UInt8 = 0x60
  /// Modem status register: the lines, and which of them changed in bits 0 to 3.
  static let cts: UInt8 = 0x10
  static let dsr: UInt8 = 0x20
  static let ring: UInt8 = 0x40
  static let carrier: UInt8 = 0x80
  static let ringEnded: UInt8 = 0x04
}

/// Bits 0 to 3 of the interrupt identification register (datasheet table IV), by priority.
enum UARTCause {
  static let lineStatus: UInt8 = 0x06
  static let received: UInt8 = 0x04
  static let timeout: UInt8 = 0x0C
  static let transmitter: UInt8 = 0x02
  static let modemStatus: UInt8 = 0x00
  static let none: UInt8 = 0x01
}

extension UART16550 {
  /// A read of register `offset`, 0 to 7.
  func read(_ offset: UInt16, _ state: inout SavedState) -> UInt8 {
    switch offset {
    case 0: state.isDivisorOpen ? UInt8(truncatingIfNeeded: state.divisor) : readData(&state)
    case 1: state.isDivisorOpen ? UInt8(state.divisor >> 8) : state.interruptEnable
    case 2: readIdentification(&state)
    case 3: state.lineControl
    case 4: state.modemControl
    case 5: readLineStatus(&state)
    case 6: readModemStatus(&state)
    default: state.scratch
    }
  }

  /// A write to register `offset`, 0 to 7.
  func write(_ offset: UInt16, _ value: UInt8, _ state: inout SavedState) {
    switch offset {
    case 0 where state.isDivisorOpen: state.divisor = state.divisor & 0xFF00 | UInt16(value)
    case 0: writeData(value, &state)
    case 1 where state.isDivisorOpen:
      state.divisor = state.divisor & 0x00FF | UInt16(value) << 8
    case 1: writeInterruptEnable(value, &state)
    case 2: writeFIFOControl(value, &state)
    case 3: state.lineControl = value
    case 4: writeModemControl(value, &state)
    case 7: state.scratch = value
    default: break  // The status registers are read-only outside of a factory.
    }
  }

  private func readData(_ state: inout SavedState) -> UInt8 {
    guard !state.received.isEmpty else { return 0 }
    let value = state.received.removeFirst()
    state.restartTimeout(clock.now())
    return value
  }

  /// Seeing the transmitter's interrupt here clears it.
  private func readIdentification(_ state: inout SavedState) -> UInt8 {
    let cause = state.cause
    if cause == UARTCause.transmitter { state.transmitterPending = false }
    return cause | (state.hasFIFO ? 0xC0 : 0)
  }

  private func readLineStatus(_ state: inout SavedState) -> UInt8 {
    var value = UARTBit.transmitterEmpty
    if !state.received.isEmpty { value |= UARTBit.dataReady }
    if state.overrun { value |= UARTBit.overrun }
    state.overrun = false
    return value
  }

  private func readModemStatus(_ state: inout SavedState) -> UInt8 {
    let value = state.modemLines | state.modemChanges
    state.modemChanges = 0
    return value
  }

  private func writeData(_ value: UInt8, _ state: inout SavedState) {
    if state.isLoopback {
      state.loop(value & state.wordMask, clock.now())
    } else {
      output(value & state.wordMask)
    }
    state.transmitterPending = true
  }

  /// Turning the transmitter's interrupt on while the transmitter is empty raises it.
  private func writeInterruptEnable(_ value: UInt8, _ state: inout SavedState) {
    let turnedOn = value & ~state.interruptEnable
    state.interruptEnable = value & 0x0F
    if turnedOn & UARTBit.transmitterEnable != 0 { state.transmitterPending = true }
  }

  /// Turning the FIFOs on or off empties them; other bits count only while they are on.
  private func writeFIFOControl(_ value: UInt8, _ state: inout SavedState) {
    let switches = (value ^ state.fifoControl) & UARTBit.fifoEnable != 0
    if switches || value & UARTBit.clearReceiver != 0 {
      state.received = []
      state.timeoutAt = nil
      state.timedOut = false
    }
    state.fifoControl =
      value & UARTBit.fifoEnable != 0 ? value & UARTBit.keptFIFOControl : 0
  }

  private func writeModemControl(_ value: UInt8, _ state: inout SavedState) {
    let before = state.modemLines
    state.modemControl = value & UARTBit.modemControl
    let after = state.modemLines
    // CTS, DSR and carrier note any change, ring only its end.
    let changed = (before ^ after) >> 4 & ~UARTBit.ringEnded
    let ringEnded = before & ~after & UARTBit.ring != 0 ? UARTBit.ringEnded : 0
    state.modemChanges |= changed | ringEnded
  }
}

extension UART16550.SavedState {
  /// Characters that the receiver's FIFO holds.
  static let fifoDepth = 16
  /// Nanoseconds of one bit at 115,200 baud.
  private static let bitTime: UInt64 = 8_681

  var isDivisorOpen: Bool { lineControl & UARTBit.divisorLatch != 0 }
  var hasFIFO: Bool { fifoControl & UARTBit.fifoEnable != 0 }
  var isLoopback: Bool { modemControl & UARTBit.loopback != 0 }
  /// Characters that the receiver could take.
  var room: Int { (hasFIFO ? Self.fifoDepth : 1) - received.count }
  /// The bits of a character that a line of 5 to 8 bits carries.
  var wordMask: UInt8 { 0xFF >> (3 - (lineControl & UARTBit.wordLength)) }

  /// CTS, DSR, ring and carrier: the ready modem, or in loopback the UART's own outputs.
  var modemLines: UInt8 {
    guard isLoopback else { return UARTBit.cts | UARTBit.dsr | UARTBit.carrier }
    var lines: UInt8 = 0
    if modemControl & UARTBit.rts != 0 { lines |= UARTBit.cts }
    if modemControl & UARTBit.dtr != 0 { lines |= UARTBit.dsr }
    if modemControl & UARTBit.out1 != 0 { lines |= UARTBit.ring }
    if modemControl & UARTBit.out2 != 0 { lines |= UARTBit.carrier }
    return lines
  }

  /// How many characters raise the receiver's interrupt (datasheet, "FIFO control register").
  private var triggerLevel: Int {
    guard hasFIFO else { return 1 }
    return [1, 4, 8, 14][Int(fifoControl >> 6)]
  }

  /// The interrupt of highest priority that is enabled and pending.
  var cause: UInt8 {
    if interruptEnable & UARTBit.lineStatusEnable != 0, overrun { return UARTCause.lineStatus }
    if interruptEnable & UARTBit.receiverEnable != 0 {
      if received.count >= triggerLevel { return UARTCause.received }
      if timedOut { return UARTCause.timeout }
    }
    if interruptEnable & UARTBit.transmitterEnable != 0, transmitterPending {
      return UARTCause.transmitter
    }
    if interruptEnable & UARTBit.modemStatusEnable != 0, modemChanges != 0 {
      return UARTCause.modemStatus
    }
    return UARTCause.none
  }

  /// Whether a character timeout could interrupt.
  var wantsTimeout: Bool { interruptEnable & UARTBit.receiverEnable != 0 }

  /// A character came or was read: the timeout of four character times starts anew.
  mutating func restartTimeout(_ now: UInt64) {
    timedOut = false
    timeoutAt = hasFIFO && !received.isEmpty ? now &+ 4 &* characterTime : nil
  }

  /// Without characters, or with no FIFO, there is no timeout.
  mutating func checkTimeout() {
    guard received.isEmpty || !hasFIFO else { return }
    timeoutAt = nil
    timedOut = false
  }

  /// Nanoseconds that one character takes: start bit, data, parity, stop bits.
  private var characterTime: UInt64 {
    var bits = 7 + UInt64(lineControl & UARTBit.wordLength)
    if lineControl & UARTBit.parity != 0 { bits += 1 }
    if lineControl & UARTBit.twoStopBits != 0 { bits += 1 }
    return bits * UInt64(max(divisor, 1)) * Self.bitTime
  }

  /// A character sent in loopback mode arrives. A full FIFO keeps what it has; without FIFOs the
  /// new character takes the old one's place.
  mutating func loop(_ byte: UInt8, _ now: UInt64) {
    if room > 0 {
      received.append(byte)
    } else {
      overrun = true
      if !hasFIFO { received = [byte] }
    }
    restartTimeout(now)
  }
}
