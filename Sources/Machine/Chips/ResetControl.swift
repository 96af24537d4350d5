import KVMEngine
import Synchronization

/// The reset control register at CF9h (82371SB PIIX3 datasheet, 2.5.6).
///
/// Soft, hard and full reset are one here: the whole machine resets.
public final class ResetControl: Device, PortDevice {
  /// What was written.
  public struct SavedState: Codable, Equatable, Sendable {
    /// Bits 1 to 3.
    var control: UInt8 = 0
  }

  private enum Bit {
    /// A rising edge resets; always reads 0 then, since the reset clears it.
    static let resetProcessor: UInt8 = 0x04
    static let writable: UInt8 = 0x0E
  }

  private let state = Mutex(SavedState())
  private let resetRequested: @Sendable () -> Void

  public let name = "reset-control"

  /// - Parameter resetRequested: called without the lock.
  public init(resetRequested: @escaping @Sendable () -> Void) {
    self.resetRequested = resetRequested
  }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    UInt32(state.withLock { $0.control })
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let new = UInt8(truncatingIfNeeded: value) & Bit.writable
    let old = state.withLock { state in
      let old = state.control
      state.control = new
      return old
    }
    if new & ~old & Bit.resetProcessor != 0 { resetRequested() }
  }

  public func reset() { state.withLock { $0 = SavedState() } }

  public func save() -> SavedState { state.withLock { $0 } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    guard state.control & ~Bit.writable == 0 else {
      throw RestoreError(device: name, problem: "control has bits that it lacks")
    }
    self.state.withLock { $0 = state }
  }
}
