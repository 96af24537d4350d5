import KVMEngine

/// INT 14h and INT 17h: serial ports and printers, through the ports that the BIOS data area names
/// (IBM PS/2 and PC BIOS Interface Technical Reference, section 2).
final class SerialPrinterBIOS: Sendable {
  private typealias Field = BIOSDataArea.Field
  private let context: FirmwareContext
  private let deadlines: CallDeadlines
  private var ports: FirmwarePorts { context.ports }

  /// What one count of a timeout in the BIOS data area is worth.
  private static let timeoutUnit: UInt64 = 1_000_000_000
  private static let timedOut: UInt8 = 0x80
  private static let portCount: UInt16 = 4

  init(_ context: FirmwareContext) {
    self.context = context
    deadlines = CallDeadlines(clock: context.clock)
  }

  /// Registers of a 16550, from its base port.
  private enum UART {
    static let data: UInt16 = 0
    static let interruptEnable: UInt16 = 1
    static let lineControl: UInt16 = 3
    static let modemControl: UInt16 = 4
    static let lineStatus: UInt16 = 5
    static let modemStatus: UInt16 = 6
    static let divisorLatch: UInt8 = 0x80
    static let dataReady: UInt8 = 0x01
    static let transmitterEmpty: UInt8 = 0x20
  }

  // MARK: INT 14h

  /// INT 14h.
  func serial(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let data = BIOSDataArea(call.memory)
    guard call.dx < Self.portCount else { return .done }
    let base = data.word(Field.serialPorts &+ call.dx &* 2)
    guard base != 0 else {
      call.ah = Self.timedOut
      return .done
    }
    switch call.ah {
    case 0x00:
      initialize(base, parameters: call.al)
      serialStatus(base, &call)
    case 0x01: return send(base, data, &call)
    case 0x02: return receive(base, data, &call)
    case 0x03: serialStatus(base, &call)
    case 0x04: initializeExtended(base, &call)
    case 0x05: modemControl(base, &call)
    default: call.ah = Self.timedOut
    }
    return .done
  }

  private func serialStatus(_ base: UInt16, _ call: inout FirmwareCall) {
    call.ah = ports.read(base &+ UART.lineStatus)
    call.al = ports.read(base &+ UART.modemStatus)
  }

  /// AL: bits 7-5 rate, 4-3 parity, 2 stop bits, 1-0 word length.
  private func initialize(_ base: UInt16, parameters: UInt8) {
    let divisors: [UInt16] = [1047, 768, 384, 192, 96, 48, 24, 12]
    setRate(base, divisor: divisors[Int(parameters >> 5)], lineControl: parameters & 0x1F)
  }

  private func setRate(_ base: UInt16, divisor: UInt16, lineControl: UInt8) {
    ports.write(base &+ UART.lineControl, UART.divisorLatch)
    ports.write(base &+ UART.data, UInt8(truncatingIfNeeded: divisor))
    ports.write(base &+ UART.interruptEnable, UInt8(divisor >> 8))
    ports.write(base &+ UART.lineControl, lineControl)
    ports.write(base &+ UART.interruptEnable, 0)
  }

  /// AH=04h: AL break, BH parity, BL stop bits, CH word length, CL rate.
  private func initializeExtended(_ base: UInt16, _ call: inout FirmwareCall) {
    let divisors: [UInt16] = [1047, 768, 384, 192, 96, 48, 24, 12, 6]
    let parities: [UInt8] = [0x00, 0x08, 0x18, 0x28, 0x38]
    guard call.al <= 1, call.bh < parities.count, call.bl <= 1, call.ch <= 3,
      call.cl < divisors.count
    else {
      call.ah = Self.timedOut
      return
    }
    let format = call.ch | call.bl << 2 | parities[Int(call.bh)] | call.al << 6
    setRate(base, divisor: divisors[Int(call.cl)], lineControl: format)
    serialStatus(base, &call)
  }

  /// AH=05h: AL=0 reads the modem control register into BL, AL=1 writes BL to it.
  private func modemControl(_ base: UInt16, _ call: inout FirmwareCall) {
    switch call.al {
    case 0: call.bl = ports.read(base &+ UART.modemControl)
    case 1: ports.write(base &+ UART.modemControl, call.bl)
    default:
      call.ah = Self.timedOut
      return
    }
    serialStatus(base, &call)
  }

  private func send(
    _ base: UInt16, _ data: BIOSDataArea, _ call: inout FirmwareCall
  ) -> FirmwareOutcome {
    ports.write(base &+ UART.modemControl, ports.read(base &+ UART.modemControl) | 0x03)
    let status = ports.read(base &+ UART.lineStatus)
    if status & UART.transmitterEmpty == 0 {
      if keepsWaiting(data.byte(Field.serialTimeouts &+ call.dx), call) { return .wait }
      call.ah = status | Self.timedOut
    } else {
      ports.write(base &+ UART.data, call.al)
      call.ah = ports.read(base &+ UART.lineStatus) & ~Self.timedOut
    }
    deadlines.finish(call)
    return .done
  }

  private func receive(
    _ base: UInt16, _ data: BIOSDataArea, _ call: inout FirmwareCall
  ) -> FirmwareOutcome {
    ports.write(base &+ UART.modemControl, ports.read(base &+ UART.modemControl) | 0x01)
    let status = ports.read(base &+ UART.lineStatus)
    if status & UART.dataReady == 0 {
      if keepsWaiting(data.byte(Field.serialTimeouts &+ call.dx), call) { return .wait }
      call.ah = status | Self.timedOut
    } else {
      call.al = ports.read(base &+ UART.data)
      call.ah = status & 0x1E
    }
    deadlines.finish(call)
    return .done
  }

  private func keepsWaiting(_ timeout: UInt8, _ call: FirmwareCall) -> Bool {
    deadlines.remaining(of: UInt64(timeout) * Self.timeoutUnit, for: call).left > 0
  }

  // MARK: INT 17h

  /// Registers of a parallel port, from its base port.
  private enum Parallel {
    static let status: UInt16 = 1
    static let control: UInt16 = 2
    /// Clear while the printer is busy.
    static let ready: UInt8 = 0x80
    /// Bits that INT 17h inverts: acknowledge and I/O error.
    static let inverted: UInt8 = 0x48
    static let idle: UInt8 = 0x0C
    static let strobe: UInt8 = 0x0D
    static let initialize: UInt8 = 0x08
  }
  private static let printerTimedOut: UInt8 = 0x01

  /// INT 17h.
  func printer(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let data = BIOSDataArea(call.memory)
    guard call.dx < Self.portCount - 1 else { return .done }
    let base = data.word(Field.parallelPorts &+ call.dx &* 2)
    guard base != 0 else {
      call.ah = Self.printerTimedOut
      return .done
    }
    switch call.ah {
    case 0x00: return printCharacter(base, data, &call)
    case 0x01:
      ports.write(base &+ Parallel.control, Parallel.initialize)
      context.pause(50_000)
      ports.write(base &+ Parallel.control, Parallel.idle)
      call.ah = printerStatus(base)
    case 0x02: call.ah = printerStatus(base)
    default: call.ah = Self.printerTimedOut
    }
    return .done
  }

  private func printerStatus(_ base: UInt16) -> UInt8 {
    (ports.read(base &+ Parallel.status) ^ Parallel.inverted) & 0xF8
  }

  private func printCharacter(
    _ base: UInt16, _ data: BIOSDataArea, _ call: inout FirmwareCall
  ) -> FirmwareOutcome {
    let ready = ports.read(base &+ Parallel.status) & Parallel.ready != 0
    if !ready {
      if keepsWaiting(data.byte(Field.parallelTimeouts &+ call.dx), call) { return .wait }
      call.ah = printerStatus(base) | Self.printerTimedOut
    } else {
      ports.write(base, call.al)
      ports.write(base &+ Parallel.control, Parallel.strobe)
      ports.write(base &+ Parallel.control, Parallel.idle)
      call.ah = printerStatus(base)
    }
    deadlines.finish(call)
    return .done
  }
}
