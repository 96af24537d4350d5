import KVMEngine
import Synchronization

/// Port 80h, where firmware writes how far its self-test is (IBM PC/AT Technical Reference, "POST
/// checkpoint"). Programs also write it to wait a moment.
public final class POSTCodePort: Device, PortDevice {
  /// The last code.
  public struct SavedState: Codable, Equatable, Sendable {
    var code: UInt8 = 0
  }

  private let state = Mutex(SavedState())

  public let name = "post-code"

  public init() {}

  /// The last code that was written, 0 after reset.
  public var code: UInt8 { state.withLock { $0.code } }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { UInt32(code) }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    state.withLock { $0.code = UInt8(truncatingIfNeeded: value) }
  }

  public func reset() { state.withLock { $0 = SavedState() } }

  public func save() -> SavedState { state.withLock { $0 } }

  public func restore(_ state: SavedState) throws(RestoreError) {
    self.state.withLock { $0 = state }
  }
}
