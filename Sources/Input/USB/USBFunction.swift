/// The setup packet of a control transfer (Universal Serial Bus Specification 2.0, table 9-2).
public struct USBSetup: Codable, Equatable, Sendable {
  /// Direction, type and recipient.
  public var requestType: UInt8
  public var request: UInt8
  public var value: UInt16
  public var index: UInt16
  /// Bytes of the data stage.
  public var length: UInt16

  /// From its eight bytes, the first in the lowest bits.
  public init(_ bytes: UInt64) {
    requestType = UInt8(truncatingIfNeeded: bytes)
    request = UInt8(truncatingIfNeeded: bytes >> 8)
    value = UInt16(truncatingIfNeeded: bytes >> 16)
    index = UInt16(truncatingIfNeeded: bytes >> 32)
    length = UInt16(truncatingIfNeeded: bytes >> 48)
  }

  /// Whether the data stage goes to the host.
  public var isIn: Bool { requestType & 0x80 != 0 }
}

/// What a device answers to a control transfer.
public enum USBAnswer: Equatable, Sendable {
  /// The data stage; empty where there is none, or the host sends it.
  case data([UInt8])
  /// The request is not supported.
  case stall
}

/// A device on the bus, as its host controller talks to it. It is called with the controller's lock
/// held and must not call back.
public protocol USBFunction: AnyObject, Sendable {
  /// A reset of the port: back to the default state.
  func busReset()
  /// A control transfer to endpoint 0; `data` is what the host sent.
  func control(_ setup: USBSetup, data: [UInt8]) -> USBAnswer
  /// What interrupt endpoint `number` (IN) has for the host; nil for nothing yet (NAK).
  func interruptIn(_ number: Int) -> [UInt8]?
  /// The host no longer asks interrupt endpoint `number`, until it does again.
  func interruptStopped(_ number: Int)
  /// Has `ready` called whenever an interrupt endpoint that had nothing has something. Called with no
  /// lock of the device held.
  func connect(ready: @escaping @Sendable () -> Void)
}
