import KVMEngine

/// A port by which a test guest ends its machine and says how it went. No PC has one: a machine
/// has it only when asked for, at F4h.
public final class DebugExitPort: Device, PortDevice {
  /// Nothing is kept.
  public struct SavedState: Codable, Equatable, Sendable {}

  private let exitRequested: @Sendable (UInt8) -> Void

  public let name = "debug-exit"

  /// - Parameter exitRequested: given the byte that the guest wrote.
  public init(exitRequested: @escaping @Sendable (UInt8) -> Void) {
    self.exitRequested = exitRequested
  }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0xFF }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    exitRequested(UInt8(truncatingIfNeeded: value))
  }

  public func reset() {}
  public func save() -> SavedState { SavedState() }
  public func restore(_ state: SavedState) throws(RestoreError) {}
}
