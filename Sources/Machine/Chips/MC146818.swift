import KVMEngine
import Synchronization

/// The MC146818 real-time clock with 128 bytes of CMOS memory (Motorola MC146818A datasheet,
/// ADI1064R1; the century byte at 0x32 is the PC/AT's).
///
/// The time is the host's plus what the guest set it ahead or back by. A second's edge comes from
/// the machine's clock, so that the update cycle, its flags and the registers agree; where the host's
/// time is two or more seconds away (after a pause, or where it was set), the registers follow it.
///
/// The timer is armed only for an interrupt that is enabled and has not come yet: flags of events
/// that nobody waits for are found when register C is read.
///
/// Not modelled: the daylight saving bit (kept, without effect), the square wave pin, the second
/// bank of CMOS memory.
public final class MC146818: Device, PortDevice {
  /// Registers, memory, and how the guest's time differs from the host's.
  public struct SavedState: Codable, Equatable, Sendable {
    /// The register that port 1 reaches.
    var index: UInt8 = 0
    /// All 128 bytes; time registers hold their value only while they stand still.
    var bytes = MC146818.powerOnBytes
    /// Guest time minus host time, seconds.
    var offset: Int64 = 0
    /// The guest's day of the week minus the calendar's, 0 to 6.
    var weekdayShift: Int64 = 0
    /// When a second ends: nanoseconds into each second of the machine's clock.
    var phase: UInt64 = 0
    /// The guest's time, seconds since 1970, in second `cycle` of the clock.
    var latched: Int64 = 0
    /// The second of the clock that `latched` belongs to; -1 before the first.
    var cycle: Int64 = -1
    /// Up to which second update and alarm flags were found.
    var flaggedCycle: Int64 = 1
    /// Up to which clock of 32,768 Hz the periodic flag was found.
    var flaggedTick: Int64 = 0
  }

  struct Guarded {
    var registers = SavedState()
    var timer: (any DeviceTimer)?
  }

  let state = Mutex(Guarded())
  let clock: any Clock
  let irq8: InterruptLine
  let wallTime: @Sendable () -> Int64

  public let name = "mc146818"

  /// - Parameter wallTime: the host's time, seconds since 1970 UTC.
  public init(
    clock: any Clock, irq8: InterruptLine, wallTime: @escaping @Sendable () -> Int64
  ) {
    self.clock = clock
    self.irq8 = irq8
    self.wallTime = wallTime
    let timer = clock.makeTimer(name) { [weak self] in self?.atNow { _, _ in } }
    state.withLock { $0.timer = timer }
  }

  private static var powerOnBytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 128)
    bytes[Int(RTCRegister.a)] = RTCBit.normalDivider | 0x06
    bytes[Int(RTCRegister.b)] = RTCBit.hours24
    bytes[Int(RTCRegister.d)] = RTCBit.validMemory
    return bytes
  }

  /// Port 0 selects a register and can't be read; bit 7 masks NMI, which nothing raises here.
  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    guard offset & 1 == 1 else { return 0xFF }
    return UInt32(atNow { state, now in read(&state, now) })
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let byte = UInt8(truncatingIfNeeded: value)
    if offset & 1 == 0 {
      state.withLock { $0.registers.index = byte & 0x7F }
    } else {
      atNow { state, now in write(byte, &state, now) }
    }
  }

  /// Sets byte `index` (bit 7 is ignored) of CMOS memory, as firmware set-up does before power-on.
  /// Time registers and registers A to D belong to the chip and stay.
  public func setCMOS(_ index: UInt8, _ value: UInt8) {
    let register = index & 0x7F
    guard register > RTCRegister.d, register != RTCRegister.century else { return }
    state.withLock { $0.registers.bytes[Int(register)] = value }
  }

  /// Byte `index` (bit 7 is ignored) as the guest would read it, without a read's effects.
  public func readCMOS(_ index: UInt8) -> UInt8 {
    state.withLock { state in
      let now = clock.now()
      latch(&state.registers, now)
      var copy = state.registers
      copy.index = index & 0x7F
      findFlags(&copy, now)
      return peek(copy, now)
    }
  }

  /// RESET#: interrupts are off and their flags gone; time and memory stay.
  public func reset() {
    atNow { state, _ in
      state.index = 0
      state.b &= ~(RTCBit.enables | RTCBit.squareWave)
      state.c = 0
    }
  }

  public func save() -> SavedState { state.withLock { $0.registers } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    func refuse(_ problem: String) -> RestoreError { RestoreError(device: name, problem: problem) }
    guard state.bytes.count == 128 else { throw refuse("\(state.bytes.count) bytes of memory") }
    guard state.index < 128 else { throw refuse("register \(state.index) does not exist") }
    guard state.phase < RTCTime.second, (0...6).contains(state.weekdayShift) else {
      throw refuse("a second or a week has no such part")
    }
    let times = -RTCTime.furthest...RTCTime.furthest
    guard times.contains(state.offset), times.contains(state.latched),
      times.contains(state.cycle), times.contains(state.flaggedCycle),
      (0...Int64.max / 2).contains(state.flaggedTick)
    else { throw refuse("a time is out of range") }
    self.state.withLock { guarded in
      guarded.registers = state
      irq8.set(state.c & RTCBit.requested != 0)
      arm(&guarded, clock.now())
    }
  }

  /// Brings flags to now, runs `body`, and drives IRQ 8 and the timer to match.
  @discardableResult
  func atNow<Result: Sendable>(_ body: (inout SavedState, UInt64) -> Result) -> Result {
    state.withLock { state in
      let now = clock.now()
      latch(&state.registers, now)
      findFlags(&state.registers, now)
      let result = body(&state.registers, now)
      updateRequest(&state.registers)
      irq8.set(state.registers.c & RTCBit.requested != 0)
      arm(&state, now)
      return result
    }
  }
}

/// Indices of the chip's registers (datasheet figure 11).
enum RTCRegister {
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
  static let a: UInt8 = 0x0A
  static let b: UInt8 = 0x0B
  static let c: UInt8 = 0x0C
  static let d: UInt8 = 0x0D
  static let century: UInt8 = 0x32

  /// Registers that hold a part of the time.
  static let time: [UInt8] = [seconds, minutes, hours, weekday, day, month, year, century]
}

/// Bits of registers A to D (datasheet, "Registers").
enum RTCBit {
  static let updateInProgress: UInt8 = 0x80
  static let divider: UInt8 = 0x70
  static let normalDivider: UInt8 = 0x20
  static let rate: UInt8 = 0x0F
  static let set: UInt8 = 0x80
  /// PIE, AIE and UIE in register B; PF, AF and UF in register C.
  static let periodic: UInt8 = 0x40
  static let alarm: UInt8 = 0x20
  static let updateEnded: UInt8 = 0x10
  static let enables: UInt8 = 0x70
  static let squareWave: UInt8 = 0x08
  static let binary: UInt8 = 0x04
  static let hours24: UInt8 = 0x02
  /// IRQF in register C.
  static let requested: UInt8 = 0x80
  static let validMemory: UInt8 = 0x80
  /// Afternoon, in an hour of twelve.
  static let afternoon: UInt8 = 0x80
  /// Both bits set in an alarm byte: any value will do.
  static let anyTime: UInt8 = 0xC0
}

extension MC146818.SavedState {
  /// Register A without UIP.
  var a: UInt8 {
    get { byte(RTCRegister.a) }
    set { set(RTCRegister.a, newValue) }
  }
  /// Register B.
  var b: UInt8 {
    get { byte(RTCRegister.b) }
    set { set(RTCRegister.b, newValue) }
  }
  /// Register C.
  var c: UInt8 {
    get { byte(RTCRegister.c) }
    set { set(RTCRegister.c, newValue) }
  }

  /// Byte `index`, 0 to 127.
  func byte(_ index: UInt8) -> UInt8 { bytes[Int(index & 0x7F)] }
  mutating func set(_ index: UInt8, _ value: UInt8) { bytes[Int(index & 0x7F)] = value }

  /// Whether the divider is held in reset: seconds do not pass.
  var isHalted: Bool { a & 0x60 == 0x60 }
  /// Whether the time registers stand still and belong to the guest.
  var isFrozen: Bool { b & RTCBit.set != 0 || isHalted }
  /// How hours and numbers are written.
  var format: RTCFormat {
    RTCFormat(isBinary: b & RTCBit.binary != 0, is24Hours: b & RTCBit.hours24 != 0)
  }
}
