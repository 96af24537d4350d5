/// What a CD drive remembers between commands.
struct CDState: Codable, Equatable, Sendable {
  /// Why the next command that may fail for it does: a UNIT ATTENTION.
  enum Attention: String, Codable, Sendable {
    case none
    case reset
    case changed
  }

  /// What GET EVENT STATUS NOTIFICATION tells next (MMC-4, table 219).
  enum MediaEvent: UInt8, Codable, Sendable {
    case none = 0
    case newMedia = 2
    case removed = 3
  }

  /// Of the last command that failed.
  var sense = CDSense()
  var attention = Attention.none
  var event = MediaEvent.none
  var isTrayOpen = false
  /// Bytes 2 and 3 of mode page 01h: error recovery and retries.
  var recovery: UInt8 = 0
  var retries: UInt8 = 5
  /// Bytes 8 to 15 of mode page 0Eh, the first one lowest: ports and volumes.
  var volumes: UInt64 = 0x0000_0000_FF02_FF01
}

/// Sense data (SPC-3, 4.5; MMC-4, annex F).
struct CDSense: Codable, Equatable, Sendable {
  var key: UInt8 = 0
  var code: UInt8 = 0
  var qualifier: UInt8 = 0

  init(_ key: UInt8 = 0, _ code: UInt8 = 0, _ qualifier: UInt8 = 0) {
    self.key = key & 0x0F
    self.code = code
    self.qualifier = qualifier
  }

  init(_ failure: IDEFailure) {
    switch failure {
    case .noMedium: self = .noMedium
    case .beyondEnd: self = .outOfRange
    default: self = CDSense(3, 0x11, 0x00)
    }
  }

  static let noMedium = CDSense(2, 0x3A, 0x01)
  static let noMediumTrayOpen = CDSense(2, 0x3A, 0x02)
  static let invalidCommand = CDSense(5, 0x20, 0x00)
  static let outOfRange = CDSense(5, 0x21, 0x00)
  static let invalidField = CDSense(5, 0x24, 0x00)
  static let invalidParameter = CDSense(5, 0x26, 0x00)
  static let noSavedPages = CDSense(5, 0x39, 0x00)
  static let removalPrevented = CDSense(5, 0x53, 0x02)
  static let wrongMode = CDSense(5, 0x64, 0x00)
  static let changed = CDSense(6, 0x28, 0x00)
  static let reset = CDSense(6, 0x29, 0x00)
}

/// Packet commands by their codes (MMC-4, SPC-3, SFF-8020i).
enum CDCommand {
  /// Bytes of a packet.
  static let packetBytes = 12

  static let testUnitReady: UInt8 = 0x00
  static let requestSense: UInt8 = 0x03
  static let inquiry: UInt8 = 0x12
  static let modeSelect6: UInt8 = 0x15
  static let modeSense6: UInt8 = 0x1A
  static let startStop: UInt8 = 0x1B
  static let preventAllow: UInt8 = 0x1E
  static let readCapacity: UInt8 = 0x25
  static let read10: UInt8 = 0x28
  static let seek: UInt8 = 0x2B
  static let synchronize: UInt8 = 0x35
  static let readSubchannel: UInt8 = 0x42
  static let readTOC: UInt8 = 0x43
  static let readHeader: UInt8 = 0x44
  static let getConfiguration: UInt8 = 0x46
  static let getEvents: UInt8 = 0x4A
  static let stopPlay: UInt8 = 0x4E
  static let readDiscInformation: UInt8 = 0x51
  static let readTrackInformation: UInt8 = 0x52
  static let modeSelect10: UInt8 = 0x55
  static let modeSense10: UInt8 = 0x5A
  static let read12: UInt8 = 0xA8
  static let readCDMSF: UInt8 = 0xB9
  static let setSpeed: UInt8 = 0xBB
  static let mechanismStatus: UInt8 = 0xBD
  static let readCD: UInt8 = 0xBE
}

/// Big-endian fields, as all of SCSI has them.
extension [UInt8] {
  func big16(_ at: Int) -> Int {
    at >= 0 && at + 2 <= count ? Int(self[at]) << 8 | Int(self[at + 1]) : 0
  }

  func big24(_ at: Int) -> Int {
    at >= 0 && at + 3 <= count ? Int(self[at]) << 16 | big16(at + 1) : 0
  }

  func big32(_ at: Int) -> UInt32 { UInt32(big16(at)) << 16 | UInt32(big16(at + 2)) }

  static func big16(_ value: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
  }

  static func big32(_ value: UInt32) -> [UInt8] {
    big16(Int(value >> 16)) + big16(Int(value & 0xFFFF))
  }

  /// `text` in `count` bytes, padded with blanks.
  static func padded(_ text: String, _ count: Int) -> [UInt8] {
    let letters = Array(text.utf8.prefix(count))
    return letters + [UInt8](repeating: 0x20, count: count - letters.count)
  }
}
