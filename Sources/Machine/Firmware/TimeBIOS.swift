import KVMEngine

/// INT 1Ah: the day's ticks and the real-time clock (IBM PS/2 and PC BIOS Interface Technical
/// Reference, section 2, INT 1Ah).
///
/// Clock values are BCD as the clock keeps them. AH=B1h is the PCI BIOS.
final class TimeBIOS: FirmwareService {
  private typealias Field = BIOSDataArea.Field
  private let context: FirmwareContext
  private var ports: FirmwarePorts { context.ports }

  /// Registers of the MC146818.
  enum Register {
    static let seconds: UInt8 = 0x00
    static let secondsAlarm: UInt8 = 0x01
    static let minutes: UInt8 = 0x02
    static let minutesAlarm: UInt8 = 0x03
    static let hours: UInt8 = 0x04
    static let hoursAlarm: UInt8 = 0x05
    static let weekday: UInt8 = 0x06
    static let day: UInt8 = 0x07
    static let month: UInt8 = 0x08
    static let year: UInt8 = 0x09
    static let statusA: UInt8 = 0x0A
    static let statusB: UInt8 = 0x0B
    static let century: UInt8 = 0x32
  }

  /// Bits of status registers A and B.
  enum Status {
    static let updateInProgress: UInt8 = 0x80
    static let halt: UInt8 = 0x80
    static let periodicInterrupt: UInt8 = 0x40
    static let alarmInterrupt: UInt8 = 0x20
    static let daylightSaving: UInt8 = 0x01
  }

  init(_ context: FirmwareContext) { self.context = context }

  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    call.carry = false
    switch call.ah {
    case 0x00: readTicks(&call)
    case 0x01: setTicks(call)
    case 0x02: readTime(&call)
    case 0x03: setTime(call)
    case 0x04: readDate(&call)
    case 0x05: setDate(call)
    case 0x06: setAlarm(call)
    case 0x07: changeStatusB { $0 & ~Status.alarmInterrupt }
    case 0xB1: PCIBIOS(ports).serve(&call)
    default: call.carry = true
    }
    return .done
  }

  private func readTicks(_ call: inout FirmwareCall) {
    let data = BIOSDataArea(call.memory)
    let ticks = data.dword(Field.tickCount)
    call.cx = UInt16(truncatingIfNeeded: ticks >> 16)
    call.dx = UInt16(truncatingIfNeeded: ticks)
    call.al = data.byte(Field.tickOverflow)
    data.set(Field.tickOverflow, byte: 0)
  }

  private func setTicks(_ call: FirmwareCall) {
    let data = BIOSDataArea(call.memory)
    data.set(Field.tickCount, dword: UInt32(call.cx) << 16 | UInt32(call.dx))
    data.set(Field.tickOverflow, byte: 0)
  }

  private func readTime(_ call: inout FirmwareCall) {
    guard settle() else {
      call.carry = true
      return
    }
    call.ch = ports.readCMOS(Register.hours)
    call.cl = ports.readCMOS(Register.minutes)
    call.dh = ports.readCMOS(Register.seconds)
    call.dl = ports.readCMOS(Register.statusB) & Status.daylightSaving
    call.ah = 0
    call.al = call.ch
  }

  private func setTime(_ call: FirmwareCall) {
    changeStatusB {
      $0 & ~Status.daylightSaving | Status.halt | (call.dl & Status.daylightSaving)
    }
    ports.writeCMOS(Register.hours, call.ch)
    ports.writeCMOS(Register.minutes, call.cl)
    ports.writeCMOS(Register.seconds, call.dh)
    changeStatusB { $0 & ~Status.halt }
  }

  private func readDate(_ call: inout FirmwareCall) {
    guard settle() else {
      call.carry = true
      return
    }
    call.ch = ports.readCMOS(Register.century)
    call.cl = ports.readCMOS(Register.year)
    call.dh = ports.readCMOS(Register.month)
    call.dl = ports.readCMOS(Register.day)
    call.ah = 0
    call.al = call.ch
  }

  private func setDate(_ call: FirmwareCall) {
    changeStatusB { $0 | Status.halt }
    ports.writeCMOS(Register.year, call.cl)
    ports.writeCMOS(Register.month, call.dh)
    ports.writeCMOS(Register.day, call.dl)
    ports.writeCMOS(Register.century, call.ch)
    changeStatusB { $0 & ~Status.halt }
  }

  /// INT 4Ah comes at that time of every day. Fails where an alarm is set already.
  private func setAlarm(_ call: FirmwareCall) {
    guard ports.readCMOS(Register.statusB) & Status.alarmInterrupt == 0 else {
      call.carry = true
      return
    }
    ports.writeCMOS(Register.hoursAlarm, call.ch)
    ports.writeCMOS(Register.minutesAlarm, call.cl)
    ports.writeCMOS(Register.secondsAlarm, call.dh)
    ports.unmask(irq: 8)
    changeStatusB { $0 & ~Status.halt | Status.alarmInterrupt }
  }

  private func changeStatusB(_ change: (UInt8) -> UInt8) {
    ports.writeCMOS(Register.statusB, change(ports.readCMOS(Register.statusB)))
  }

  /// Waits until the clock's registers hold still: an update takes 2 ms at most.
  private func settle() -> Bool {
    for _ in 0..<30 {
      if ports.readCMOS(Register.statusA) & Status.updateInProgress == 0 { return true }
      context.pause(100_000)
    }
    return false
  }

  /// The day's ticks so far by the real-time clock, for POST: 1193182/65536 a second.
  func ticksSinceMidnight() -> UInt32 {
    guard settle() else { return 0 }
    let isBinary = ports.readCMOS(Register.statusB) & 0x04 != 0
    func value(_ register: UInt8) -> UInt64 {
      let raw = ports.readCMOS(register)
      return UInt64(isBinary ? raw : (raw >> 4) &* 10 &+ (raw & 0x0F))
    }
    let minutes = value(Register.hours) * 60 + value(Register.minutes)
    let ticks = (minutes * 60 + value(Register.seconds)) * 1_193_182 / 65_536
    return UInt32(truncatingIfNeeded: min(ticks, 0x1800AF))
  }
}
