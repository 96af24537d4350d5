import KVMEngine
import Synchronization

/// Port 92h (IBM PS/2 Hardware Interface Technical Reference, "System Control Port A"): the A20
/// gate and the fast reset.
///
/// The gate has a second master, the keyboard controller; the last write of either counts. The
/// security lock, disk lamp and watchdog bits are kept without effect.
public final class SystemControlPortA: Device, PortDevice {
  /// What was written.
  public struct SavedState: Codable, Equatable, Sendable {
    /// The gate is open after power-on, as the keyboard controller's is.
    var control: UInt8 = 0x02
  }

  private enum Bit {
    static let reset: UInt8 = 0x01
    static let a20: UInt8 = 0x02
  }

  private let state = Mutex(SavedState())
  private let a20Changed: @Sendable (Bool) -> Void
  private let resetRequested: @Sendable () -> Void

  public let name = "system-control-a"

  /// Both closures are called without the lock; `a20Changed` at every write.
  public init(
    a20Changed: @escaping @Sendable (Bool) -> Void, resetRequested: @escaping @Sendable () -> Void
  ) {
    self.a20Changed = a20Changed
    self.resetRequested = resetRequested
  }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    UInt32(state.withLock { $0.control })
  }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let new = UInt8(truncatingIfNeeded: value)
    let old = state.withLock { state in
      let old = state.control
      state.control = new
      return old
    }
    a20Changed(new & Bit.a20 != 0)
    if new & ~old & Bit.reset != 0 { resetRequested() }
  }

  public func reset() {
    state.withLock { $0 = SavedState() }
    a20Changed(true)
  }

  public func save() -> SavedState { state.withLock { $0 } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    self.state.withLock { $0 = state }
    a20Changed(state.control & Bit.a20 != 0)
  }
}
