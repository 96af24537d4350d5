import KVMEngine
import Synchronization

/// Port 402h, where stock firmware says what it does: its lines go to the log. Reading E9h tells
/// the firmware that somebody listens.
public final class FirmwareDebugPort: Device, PortDevice {
  /// The line that is being written.
  public struct SavedState: Codable, Equatable, Sendable {
    var line: [UInt8] = []
  }

  private static let present: UInt32 = 0xE9
  private static let longestLine = 240

  public let name = "firmware-debug"
  private let state = Mutex(SavedState())
  private let log: @Sendable (String) -> Void

  /// - Parameter log: gets a line at a time, without its end.
  public init(log: @escaping @Sendable (String) -> Void) { self.log = log }

  public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { Self.present }

  public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    let byte = UInt8(truncatingIfNeeded: value)
    let line = state.withLock { state -> [UInt8]? in
      let ends = byte == UInt8(ascii: "\n") || state.line.count >= Self.longestLine
      if byte >= 0x20 && byte < 0x7F { state.line.append(byte) }
      guard ends else { return nil }
      defer { state.line = [] }
      return state.line
    }
    if let line, !line.isEmpty { log("firmware: " + String(decoding: line, as: UTF8.self)) }
  }

  public func reset() { state.withLock { $0 = SavedState() } }
  public func save() -> SavedState { state.withLock { $0 } }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    guard saved.line.count <= Self.longestLine + 1 else {
      throw RestoreError(device: name, problem: "the line is too long")
    }
    state.withLock { $0 = saved }
  }
}
