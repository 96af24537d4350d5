/// ATA commands by their codes (ATA/ATAPI-6, table 26 and annex B; the older ones ATA-3).
enum ATACommand {
  static let noOperation: UInt8 = 0x00
  /// ACS-3, 7.5.
  static let dataSetManagement: UInt8 = 0x06
  static let deviceReset: UInt8 = 0x08
  static let recalibrate: ClosedRange<UInt8> = 0x10...0x1F
  static let readSectors: ClosedRange<UInt8> = 0x20...0x21
  static let readSectorsExt: UInt8 = 0x24
  static let readDMAExt: UInt8 = 0x25
  static let readNativeMaxExt: UInt8 = 0x27
  static let readMultipleExt: UInt8 = 0x29
  static let writeSectors: ClosedRange<UInt8> = 0x30...0x31
  static let writeSectorsExt: UInt8 = 0x34
  static let writeDMAExt: UInt8 = 0x35
  static let writeMultipleExt: UInt8 = 0x39
  static let writeVerify: UInt8 = 0x3C
  static let verify: ClosedRange<UInt8> = 0x40...0x41
  static let verifyExt: UInt8 = 0x42
  static let seek: ClosedRange<UInt8> = 0x70...0x7F
  static let diagnostic: UInt8 = 0x90
  static let initializeParameters: UInt8 = 0x91
  static let packet: UInt8 = 0xA0
  static let identifyPacket: UInt8 = 0xA1
  static let smart: UInt8 = 0xB0
  static let readMultiple: UInt8 = 0xC4
  static let writeMultiple: UInt8 = 0xC5
  static let setMultiple: UInt8 = 0xC6
  static let readDMA: ClosedRange<UInt8> = 0xC8...0xC9
  static let writeDMA: ClosedRange<UInt8> = 0xCA...0xCB
  static let standbyImmediate: UInt8 = 0xE0
  static let idleImmediate: UInt8 = 0xE1
  static let standby: UInt8 = 0xE2
  static let idle: UInt8 = 0xE3
  static let checkPower: UInt8 = 0xE5
  static let sleep: UInt8 = 0xE6
  static let flush: UInt8 = 0xE7
  static let flushExt: UInt8 = 0xEA
  static let identify: UInt8 = 0xEC
  static let setFeatures: UInt8 = 0xEF
  static let readNativeMax: UInt8 = 0xF8

  /// The power commands of ATA-1, which lie at 94h to 99h.
  static func modern(_ code: UInt8) -> UInt8 {
    switch code {
    case 0x94: standbyImmediate
    case 0x95: idleImmediate
    case 0x96: standby
    case 0x97: idle
    case 0x98: checkPower
    case 0x99: sleep
    default: code
    }
  }

  /// Whether the command addresses by 48 bits.
  static func isExtended(_ code: UInt8) -> Bool {
    switch code {
    case readSectorsExt, readDMAExt, readMultipleExt, writeSectorsExt, writeDMAExt,
      writeMultipleExt, verifyExt, dataSetManagement:
      true
    default: false
    }
  }
}

/// What SET FEATURES is asked to do (ATA/ATAPI-6, 8.46).
enum ATAFeature {
  static let enableWriteCache: UInt8 = 0x02
  static let transferMode: UInt8 = 0x03
  static let disableRevert: UInt8 = 0x66
  static let disableLookAhead: UInt8 = 0x55
  static let disableWriteCache: UInt8 = 0x82
  static let enableLookAhead: UInt8 = 0xAA
  static let enableRevert: UInt8 = 0xCC
}
