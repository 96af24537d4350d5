import Synchronization

/// Port 61h of the PC/AT (IBM PC/AT Technical Reference, "System Control Port B"; 82371SB PIIX3
/// datasheet, "NMI Status and Control Register"): the speaker, and time by two free-running bits.
///
/// Bits 6 and 7 (channel check and parity error) read 0: there is no bad memory here.
public final class SystemControlPortB: Device, PortDevice {
  /// What was written.
  public struct SavedState: Codable, Equatable, Sendable {
    /// Bits 0 to 3.
    var control: UInt8 = 0
  }

  /// Bits of the port.
  private enum Bit {
    static let gate2: UInt8 = 0x01
    static let speakerData: UInt8 = 0x02
    static let writable: UInt8 = 0x0F
    static let refresh: UInt8 = 0x10
    static let output2: UInt8 = 0x20
  }

  /// Nanoseconds between two toggles of the refresh bit: 18 clocks of the 8254, 15.085 µs.
  private static let refreshInterval: UInt64 = 15_085

  private let state = Mutex(SavedState())
  private let clock: any Clock
  private let timer: I8254

  public let name = "system-control-b"

  /// - Parameter timer: the 8254 whose counter 2 makes the tone. Its lock comes after this one's.
  public init(clock: any Clock, timer: I8254) {
    self.clock = clock
    self.timer = timer
  }

  /// Whether the speaker follows counter 2 now.
  public var speakerOn: Bool {
    state.withLock { $0.control & (Bit.gate2 | Bit.speakerData) == Bit.gate2 | Bit.speakerData }
  }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    var value = state.withLock { $0.control }
    if clock.now() / Self.refreshInterval & 1 != 0 { value |= Bit.refresh }
    if timer.output2 { value |= Bit.output2 }
    return UInt32(value)
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    state.withLock { state in
      state.control = UInt8(truncatingIfNeeded: value) & Bit.writable
      timer.setGate2(state.control & Bit.gate2 != 0)
    }
  }

  public func reset() {
    state.withLock { state in
      state = SavedState()
      timer.setGate2(false)
    }
  }

  public func save() -> SavedState { state.withLock { $0 } }

  /// The gate itself is part of the 8254's state.
  public func restore(_ state: SavedState) throws(RestoreError) {
    guard state.control & ~Bit.writable == 0 else {
      throw RestoreError(device: name, problem: "control has bits that it lacks")
    }
    self.state.withLock { $0 = state }
  }
}
