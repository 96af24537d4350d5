/// MODE SENSE and MODE SELECT of a CD drive (MMC-4, 7.2 to 7.11; SFF-8020i, 10.8.6).
extension IDECore {
  private static let allPages: UInt8 = 0x3F
  private static let pages: [UInt8] = [0x01, 0x0E, 0x2A]

  mutating func modeSense(_ device: Int, _ packet: [UInt8]) {
    let isLong = packet[0] == CDCommand.modeSense10
    let (control, page) = (packet[2] >> 6, packet[2] & Self.allPages)
    guard control != 3 else { return completePacket(device, .noSavedPages) }
    guard page == Self.allPages || Self.pages.contains(page) else {
      return completePacket(device, .invalidField)
    }
    var body: [UInt8] = []
    for each in Self.pages where page == Self.allPages || page == each {
      body += modePage(each, device, control)
    }
    let drive = slots[device].disc
    let medium: UInt8 =
      state.devices[device].disc.isTrayOpen ? 0x71 : drive?.medium == nil ? 0x70 : 0x01
    if isLong {
      let header = [UInt8].big16(body.count + 6) + [medium, 0, 0, 0, 0, 0]
      give(device, header + body, allocated: packet.big16(7))
    } else {
      let header = [UInt8(truncatingIfNeeded: body.count + 3), medium, 0, 0]
      give(device, header + body, allocated: Int(packet[4]))
    }
  }

  /// - Parameter control: 0 current values, 1 a mask of what can be changed, 2 defaults.
  private func modePage(_ page: UInt8, _ device: Int, _ control: UInt8) -> [UInt8] {
    let isMask = control == 1
    let disc = control == 0 ? state.devices[device].disc : CDState()
    switch page {
    case 0x01:
      return [0x01, 6] + (isMask ? [0xFF, 0xFF] : [disc.recovery, disc.retries]) + [0, 0, 0, 0]
    case 0x0E:
      let volumes: [UInt8] = (0..<8).map {
        isMask ? 0xFF : UInt8(truncatingIfNeeded: disc.volumes >> UInt64($0 * 8))
      }
      return [0x0E, 14] + (isMask ? [0, 0, 0, 0, 0, 0] : [4, 0, 0, 0, 0, 75]) + volumes
    default: return capabilities(device, isMask: isMask)
    }
  }

  /// Page 2Ah: reads CDs and DVDs, has a tray that can be locked; 24 times the speed of audio.
  private func capabilities(_ device: Int, isMask: Bool) -> [UInt8] {
    guard !isMask else { return [0x2A, 18] + [UInt8](repeating: 0, count: 18) }
    let isLocked = (slots[device].disc?.lockCount ?? 0) > 0
    var bytes: [UInt8] = [0x2A, 18, 0x3B, 0x00, 0x70, 0x60, 0x29 | (isLocked ? 2 : 0), 0x00]
    bytes += .big16(4234) + .big16(256) + .big16(512) + .big16(4234) + [0, 0, 0, 0]
    return bytes
  }

  /// Takes the pages of a parameter list; the header tells by its length which of the two it is.
  /// - Returns: the sense data of a list that makes no sense.
  mutating func modeSelect(_ device: Int, _ list: [UInt8]) -> CDSense? {
    let isLong = state.transfer.command == CDCommand.modeSelect10
    let header = isLong ? 8 : 4
    guard list.count >= header else { return .invalidParameter }
    var at = header + (isLong ? list.big16(6) : Int(list[3]))
    while at + 2 <= list.count {
      let length = Int(list[at + 1])
      guard at + 2 + length <= list.count else { return .invalidParameter }
      switch list[at] & Self.allPages {
      case 0x01 where length >= 2:
        state.devices[device].disc.recovery = list[at + 2]
        state.devices[device].disc.retries = list[at + 3]
      case 0x0E where length >= 14:
        var volumes: UInt64 = 0
        for index in 0..<8 { volumes |= UInt64(list[at + 8 + index]) << UInt64(index * 8) }
        state.devices[device].disc.volumes = volumes
      case 0x2A: break
      default: return .invalidParameter
      }
      at += 2 + length
    }
    return nil
  }
}
