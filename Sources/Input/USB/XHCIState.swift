/// The registers of ``XHCI``, and what it knows of slots and rings.
public struct XHCIState: Codable, Equatable, Sendable {
  /// A ring that the controller reads: where it is, and which cycle bit is its next entry's.
  struct Ring: Codable, Equatable, Sendable {
    var pointer: UInt64 = 0
    var cycle = true
  }

  /// What an endpoint does (xHCI 1.1, table 6-8).
  enum EndpointState: UInt8, Codable, Sendable {
    case disabled = 0
    case running = 1
    case halted = 2
    case stopped = 3
    case error = 4
  }

  struct Endpoint: Codable, Equatable, Sendable {
    var state = EndpointState.disabled
    /// 4 control, 7 interrupt IN (table 6-9).
    var type: UInt8 = 0
    var ring = Ring()
  }

  struct Slot: Codable, Equatable, Sendable {
    var isEnabled = false
    /// The device context in guest memory.
    var context: UInt64 = 0
    /// The root port, 1 on; 0 before the device was addressed.
    var port: UInt8 = 0
    /// By device context index, 0 to 31.
    var endpoints = [Endpoint](repeating: Endpoint(), count: 32)
  }

  struct Event: Codable, Equatable, Sendable {
    var parameter: UInt64
    var status: UInt32
    var control: UInt32
  }

  static let slotCount = 8
  static let portCount = 4
  /// Events that wait for room in the guest's ring at most.
  static let waitingLimit = 256

  var command: UInt32 = 0
  /// HSE, EINT, PCD and HCE; HCHalted follows from ``isRunning``.
  var status: UInt32 = 0
  var isRunning = false
  var notification: UInt32 = 0
  var commandRing = Ring()
  var isCommandRingRunning = false
  var contexts: UInt64 = 0
  var configure: UInt32 = 0
  var ports = [UInt32](repeating: 0, count: XHCIState.portCount)
  var slots = [Slot](repeating: Slot(), count: XHCIState.slotCount + 1)

  var management: UInt32 = 0
  var moderation: UInt32 = 0x0FA0
  var segmentCount: UInt32 = 0
  var segmentTable: UInt64 = 0
  var dequeue: UInt64 = 0
  /// Where the next event goes: the segment, the entry in it, the producer's cycle bit.
  var segment: UInt32 = 0
  var entry: UInt32 = 0
  var producerCycle = true
  var waiting: [Event] = []

  /// What is wrong with a state that came from outside; nil for nothing.
  var problem: String? {
    guard ports.count == Self.portCount, slots.count == Self.slotCount + 1,
      slots.allSatisfy({ $0.endpoints.count == 32 && Int($0.port) <= Self.portCount }),
      waiting.count <= Self.waitingLimit, segmentCount <= 0xFFFF
    else { return "it has another number of ports, slots or events" }
    return nil
  }
}

/// Completion codes (xHCI 1.1, table 6-90).
enum XHCICode {
  static let success: UInt32 = 1
  static let trbError: UInt32 = 5
  static let stall: UInt32 = 6
  static let noSlots: UInt32 = 9
  static let slotNotEnabled: UInt32 = 11
  static let shortPacket: UInt32 = 13
  static let parameter: UInt32 = 17
  static let contextState: UInt32 = 19
  static let commandRingStopped: UInt32 = 24
  static let stopped: UInt32 = 26
}

/// Types of transfer request blocks (xHCI 1.1, table 6-91).
enum XHCIType {
  static let normal: UInt32 = 1
  static let setup: UInt32 = 2
  static let data: UInt32 = 3
  static let status: UInt32 = 4
  static let link: UInt32 = 6
  static let eventData: UInt32 = 7
  static let noOperation: UInt32 = 8
  static let enableSlot: UInt32 = 9
  static let disableSlot: UInt32 = 10
  static let addressDevice: UInt32 = 11
  static let configureEndpoint: UInt32 = 12
  static let evaluateContext: UInt32 = 13
  static let resetEndpoint: UInt32 = 14
  static let stopEndpoint: UInt32 = 15
  static let setDequeue: UInt32 = 16
  static let resetDevice: UInt32 = 17
  static let noOperationCommand: UInt32 = 23
  static let transferEvent: UInt32 = 32
  static let commandCompletion: UInt32 = 33
  static let portStatusChange: UInt32 = 34
}
