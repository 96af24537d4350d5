/// What a drive tells about the disc in it (MMC-4). Every disc is one track of data in one session.
extension IDECore {
  /// The commands that tell of the disc; all others are none that exists.
  mutating func tellOfDisc(_ device: Int, _ drive: Drive, _ packet: [UInt8]) {
    switch packet[0] {
    case CDCommand.readCapacity, CDCommand.readSubchannel, CDCommand.readTOC, CDCommand.readHeader,
      CDCommand.readDiscInformation, CDCommand.readTrackInformation:
      break
    default: return completePacket(device, .invalidCommand)
    }
    guard let image = drive.medium?.image else {
      return completePacket(device, missing(device, drive))
    }
    let blocks = UInt32(clamping: image.sectorCount / Sector.perCDBlock)
    let allocated = packet.big16(7)
    switch packet[0] {
    case CDCommand.readCapacity:
      give(device, .big32(max(1, blocks) - 1) + .big32(2048), allocated: 8)
    case CDCommand.readSubchannel: readSubchannel(device, packet, allocated)
    case CDCommand.readTOC: readTOC(device, packet, blocks, allocated)
    case CDCommand.readHeader:
      guard packet.big32(2) < blocks else { return completePacket(device, .outOfRange) }
      let place = Self.address(packet.big32(2), asTime: packet[1] & 2 != 0)
      give(device, [1, 0, 0, 0] + place, allocated: allocated)
    case CDCommand.readDiscInformation: give(device, Self.discInformation, allocated: allocated)
    default: readTrackInformation(device, packet, blocks, allocated)
    }
  }

  /// A block's address, as a number or as reserved, minutes, seconds, frames.
  private static func address(_ block: UInt32, asTime: Bool) -> [UInt8] {
    asTime ? [0] + time(block) : .big32(block)
  }

  private static func time(_ block: UInt32) -> [UInt8] {
    let frames = block &+ 150
    return [
      UInt8(truncatingIfNeeded: frames / (75 * 60)), UInt8(frames / 75 % 60), UInt8(frames % 75),
    ]
  }

  /// No audio, so nothing plays: the header, and where asked for the current position.
  private mutating func readSubchannel(_ device: Int, _ packet: [UInt8], _ allocated: Int) {
    guard packet[2] & 0x40 != 0 else {
      return give(device, [0, 0x15, 0, 0], allocated: allocated)
    }
    switch packet[3] {
    case 1:
      let place = Self.address(0, asTime: packet[1] & 2 != 0)
      give(
        device, [0, 0x15, 0, 12, 1, 0x14, 1, 1] + place + Self.address(0, asTime: false),
        allocated: allocated)
    case 2, 3:
      let empty = [UInt8](repeating: 0, count: 19)
      give(device, [0, 0x15, 0, 20, packet[3]] + empty, allocated: allocated)
    default: completePacket(device, .invalidField)
    }
  }

  // MARK: Table of contents

  private mutating func readTOC(
    _ device: Int, _ packet: [UInt8], _ blocks: UInt32, _ allocated: Int
  ) {
    let asTime = packet[1] & 2 != 0
    // Drives of SFF-8020i have the format in the last byte's topmost bits.
    let format = packet[2] & 0x0F != 0 ? packet[2] & 0x0F : packet[9] >> 6
    let track = packet[6]
    let lead = Self.address(blocks, asTime: asTime)
    switch format {
    case 0:
      guard track <= 1 || track == 0xAA else { return completePacket(device, .invalidField) }
      var entries: [UInt8] = []
      if track <= 1 { entries += [0, 0x14, 1, 0] + Self.address(0, asTime: asTime) }
      entries += [0, 0x16, 0xAA, 0] + lead
      give(device, .big16(entries.count + 2) + [1, 1] + entries, allocated: allocated)
    case 1:
      let first = Self.address(0, asTime: asTime)
      give(device, .big16(10) + [1, 1, 0, 0x14, 1, 0] + first, allocated: allocated)
    case 2:
      let points: [[UInt8]] = [
        [0xA0, 0, 0, 0, 0, 1, 0, 0], [0xA1, 0, 0, 0, 0, 1, 0, 0],
        [0xA2, 0, 0, 0, 0] + Self.time(blocks), [0x01, 0, 0, 0, 0] + Self.time(0),
      ]
      var entries: [UInt8] = []
      for point in points { entries += [1, 0x14, 0] + point }
      give(device, .big16(entries.count + 2) + [1, 1] + entries, allocated: allocated)
    default: completePacket(device, .invalidField)
    }
  }

  /// READ DISC INFORMATION: complete, one session, CD-ROM (MMC-4, 6.25).
  private static var discInformation: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 34)
    bytes[1] = 32
    bytes[2] = 0x0E
    for index in 3...6 { bytes[index] = 1 }
    bytes[7] = 0x20
    for index in 16...23 { bytes[index] = 0xFF }
    return bytes
  }

  /// READ TRACK INFORMATION by address, track or session (MMC-4, 6.27).
  private mutating func readTrackInformation(
    _ device: Int, _ packet: [UInt8], _ blocks: UInt32, _ allocated: Int
  ) {
    let number = packet.big32(2)
    let isThere = packet[1] & 3 == 0 ? number < blocks : number == 1
    guard isThere, packet[1] & 3 != 3 else { return completePacket(device, .invalidField) }
    var bytes = [UInt8](repeating: 0, count: 36)
    bytes[1] = 34
    bytes[2] = 1
    bytes[3] = 1
    bytes[5] = 0x04
    bytes[6] = 0x01
    bytes.replaceSubrange(24..<28, with: [UInt8].big32(blocks))
    give(device, bytes, allocated: allocated)
  }

  // MARK: Configuration

  /// GET CONFIGURATION: the features that a reading drive must have (MMC-4, 5.3 and 6.5).
  mutating func getConfiguration(_ device: Int, _ drive: Drive, _ packet: [UInt8]) {
    let blocks = (drive.medium?.image.sectorCount ?? 0) / Sector.perCDBlock
    // What no CD holds is a DVD.
    let isDVD = blocks > 450_000
    let profile: UInt8 = drive.medium == nil ? 0 : isDVD ? 0x10 : 0x08
    let features: [(number: Int, bytes: [UInt8])] = [
      (0x00, [0x03, 8, 0, 0x10, isDVD ? 1 : 0, 0, 0, 0x08, profile == 0x08 ? 1 : 0, 0]),
      (0x01, [0x0B, 8, 0, 0, 0, 2, 1, 0, 0, 0]),
      (0x02, [0x07, 4, 2, 0, 0, 0]),
      (0x03, [0x0B, 4, 0x29, 0, 0, 0]),
      (0x10, [0x01 & profile.nonzero, 8, 0, 0, 8, 0, 0, 1, 0, 0]),
      (0x1E, [0x08 | (profile == 0x08 ? 1 : 0), 4, 0, 0, 0, 0]),
      (0x1F, [0x08 | (isDVD ? 1 : 0), 4, 0, 0, 0, 0]),
    ]
    let first = packet.big16(2)
    let type = packet[1] & 3
    guard type != 3 else { return completePacket(device, .invalidField) }
    let chosen = features.filter { feature in
      switch type {
      case 0: feature.number >= first
      case 1: feature.number >= first && feature.bytes[0] & 1 != 0
      default: feature.number == first
      }
    }
    var body: [UInt8] = []
    for feature in chosen { body += .big16(feature.number) + feature.bytes }
    let length = UInt32(body.count + 4)
    give(
      device, .big32(length) + [0, 0, 0, profile] + body, allocated: packet.big16(7))
  }
}

extension UInt8 {
  /// All ones where it is not zero.
  fileprivate var nonzero: UInt8 { self == 0 ? 0 : 0xFF }
}
