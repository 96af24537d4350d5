/// Bits and codes of the floppy disk controller (Intel 82077AA datasheet, 290166-007).
enum FloppyBit {
  // Digital output register, 3F2h.
  static let notReset: UInt8 = 0x04
  static let dmaGate: UInt8 = 0x08
  // Main status register, 3F4h.
  static let ready: UInt8 = 0x80
  static let toHost: UInt8 = 0x40
  static let withoutDMA: UInt8 = 0x20
  static let busy: UInt8 = 0x10
  // Data rate select register, 3F4h.
  static let softwareReset: UInt8 = 0x80
  static let rateMask: UInt8 = 0x03
  // Digital input register, 3F7h.
  static let diskChange: UInt8 = 0x80
  // CONFIGURE.
  static let impliedSeek: UInt8 = 0x40
  static let noPolling: UInt8 = 0x10
  // Command byte.
  static let multiTrack: UInt8 = 0x80
  static let doubleDensity: UInt8 = 0x40
  static let skip: UInt8 = 0x20
  static let code: UInt8 = 0x1F
  // Status register 0.
  static let abnormal: UInt8 = 0x40
  static let invalid: UInt8 = 0x80
  static let polled: UInt8 = 0xC0
  static let seekEnd: UInt8 = 0x20
  static let equipmentCheck: UInt8 = 0x10
  // Status register 1.
  static let endOfCylinder: UInt8 = 0x80
  static let dataError: UInt8 = 0x20
  static let overrun: UInt8 = 0x10
  static let noData: UInt8 = 0x04
  static let notWritable: UInt8 = 0x02
  static let noAddressMark: UInt8 = 0x01
  // Status register 2.
  static let controlMark: UInt8 = 0x40
  static let dataErrorInData: UInt8 = 0x20
  static let wrongCylinder: UInt8 = 0x10
}

/// Commands by the lower five bits of their first byte, and how many bytes each has (table 6-1).
enum FloppyCommand {
  static let readTrack: UInt8 = 0x02
  static let specify: UInt8 = 0x03
  static let senseDrive: UInt8 = 0x04
  static let write: UInt8 = 0x05
  static let read: UInt8 = 0x06
  static let recalibrate: UInt8 = 0x07
  static let senseInterrupt: UInt8 = 0x08
  static let writeDeleted: UInt8 = 0x09
  static let readID: UInt8 = 0x0A
  static let readDeleted: UInt8 = 0x0C
  static let format: UInt8 = 0x0D
  static let dumpRegisters: UInt8 = 0x0E
  static let seek: UInt8 = 0x0F
  static let version: UInt8 = 0x10
  static let perpendicular: UInt8 = 0x12
  static let configure: UInt8 = 0x13
  static let lock: UInt8 = 0x14
  static let verify: UInt8 = 0x16
  static let partID: UInt8 = 0x18

  /// Bytes of the command that begins with `first`; 1 for those that do not exist.
  static func length(_ first: UInt8) -> Int {
    switch first & FloppyBit.code {
    case readTrack, write, read, writeDeleted, readDeleted, verify: 9
    case specify, seek: 3
    case senseDrive, recalibrate, readID, perpendicular: 2
    case format: 6
    case configure: 4
    default: 1
    }
  }
}

/// What the controller remembers.
struct FloppyState: Codable, Equatable, Sendable {
  enum Phase: String, Codable, Sendable {
    /// Takes a command's bytes.
    case command
    /// The worker is at it.
    case execution
    /// The host takes, or gives, the sectors byte by byte.
    case toHost
    case fromHost
    case result
  }

  var output: UInt8 = 0
  var tape: UInt8 = 0
  /// 0 to 3: 500, 300, 250 and 1000 kbit/s.
  var rate: UInt8 = 2
  var specify: [UInt8] = [0, 0]
  var configure: UInt8 = 0
  var precompensation: UInt8 = 0
  var perpendicular: UInt8 = 0
  var isLocked = false
  var phase = Phase.command
  var command: [UInt8] = []
  var result: [UInt8] = []
  /// Sectors between host and image, where the host moves them itself.
  var data: [UInt8] = []
  /// The next byte of ``data`` or ``result``.
  var position = 0
  /// Where the heads of drives 0 to 3 stand.
  var cylinders: [UInt8] = [0, 0, 0, 0]
  /// The disk change line of each drive.
  var changed = [false, false, false, false]
  /// Status register 0 of seeks that were not sensed; nil where there is none.
  var seeks: [UInt8?] = [nil, nil, nil, nil]
  /// How many drives' status after a reset was not sensed, counted down to drive 3.
  var polls = 0
  /// The interrupt pin's level.
  var interrupt = false
  /// When it rises, nanoseconds of the machine's clock.
  var interruptAt: UInt64?

  static let maximumResult = 16
  /// Two tracks of 36 sectors.
  static let maximumData = 72 * Sector.bytes

  var withoutDMA: Bool { specify.count > 1 && specify[1] & 1 != 0 }

  var problem: String? {
    guard specify.count == 2, cylinders.count == 4, changed.count == 4, seeks.count == 4 else {
      return "it has four drives"
    }
    guard command.count <= 9, result.count <= Self.maximumResult, data.count <= Self.maximumData,
      (0...4).contains(polls), rate < 4
    else { return "a register has more than it holds" }
    switch phase {
    case .command, .execution:
      return command.count <= 9 && position == 0 ? nil : "its command is impossible"
    case .result:
      return result.indices.contains(position) ? nil : "its result is impossible"
    case .toHost, .fromHost:
      let isWhole = data.count % 4 == 0 && command.count >= 6
      return data.indices.contains(position) && isWhole ? nil : "its data is impossible"
    }
  }
}
