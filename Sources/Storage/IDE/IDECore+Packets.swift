/// Packet devices: PACKET itself and the packet commands (ATA/ATAPI-6, 8.21; MMC-4).
extension IDECore {
  mutating func packetDeviceCommand(_ device: Int, _ code: UInt8) {
    switch code {
    case ATACommand.packet:
      let limit = Int(state.devices[device].file.word)
      state.transfer.direction = .packet
      state.transfer.isPacket = true
      state.transfer.isDMA = state.devices[device].file.features.low & 1 != 0
      // No limit at all is no transfer to any standard, and the largest to most drives.
      state.transfer.limit = limit < 2 ? 0xFFFE : limit & 0xFFFE
      presentBlock(silently: true)
    case ATACommand.identifyPacket:
      reply(
        device,
        ATAIdentity(
          packet: state.devices[device], serial: "PTH-CD\(device)", isSecond: device == 1
        ).bytes)
    case ATACommand.deviceReset:
      sign(device)
    case ATACommand.identify, 0x20:
      // Tells a host that takes it for a disk what it is (9.12).
      state.devices[device].file.setSignature(packet: true)
      fail(device, ATAError.aborted)
    default: commonCommand(device, code)
    }
  }

  /// Ends a packet command: command complete, or with `sense` CHECK CONDITION.
  mutating func completePacket(_ device: Int, _ sense: CDSense? = nil) {
    if let sense { state.devices[device].disc.sense = sense }
    state.devices[device].file.count.low = PacketReason.command | PacketReason.toHost
    let key = sense?.key ?? 0
    finish(
      device, status: ATAStatus.ready | (sense == nil ? 0 : ATAStatus.error), error: key << 4)
  }

  /// The host gave all twelve bytes.
  mutating func executePacket(_ device: Int) {
    let packet = buffer.prefix(CDCommand.packetBytes)
    (state.position, state.blockEnd, state.filled) = (0, 0, 0)
    state.transfer.direction = .none
    guard let drive = slots[device].disc, packet.count == CDCommand.packetBytes else {
      return completePacket(device, .invalidCommand)
    }
    state.transfer.command = packet[0]
    state.devices[device].power = 0xFF
    noticeChange(device, drive)
    switch packet[0] {
    case CDCommand.requestSense: return requestSense(device, packet)
    case CDCommand.inquiry: return inquiry(device, packet)
    case CDCommand.getConfiguration: return getConfiguration(device, drive, packet)
    case CDCommand.getEvents: return getEvents(device, drive, packet)
    default: break
    }
    switch state.devices[device].disc.attention {
    case .none: break
    case .reset:
      state.devices[device].disc.attention = .none
      return completePacket(device, .reset)
    case .changed:
      state.devices[device].disc.attention = .none
      return completePacket(device, .changed)
    }
    execute(device, drive, packet)
  }

  private mutating func execute(_ device: Int, _ drive: Drive, _ packet: [UInt8]) {
    switch packet[0] {
    case CDCommand.testUnitReady, CDCommand.seek:
      completePacket(device, missing(device, drive))
    case CDCommand.setSpeed, CDCommand.synchronize, CDCommand.stopPlay: completePacket(device)
    case CDCommand.startStop: startStop(device, drive, packet)
    case CDCommand.preventAllow:
      drive.lockCount = packet[4] & 1 == 0 ? 0 : max(1, drive.lockCount)
      completePacket(device)
    case CDCommand.read10:
      read(device, drive, block: UInt64(packet.big32(2)), count: UInt64(packet.big16(7)))
    case CDCommand.read12:
      read(device, drive, block: UInt64(packet.big32(2)), count: UInt64(packet.big32(6)))
    case CDCommand.readCD, CDCommand.readCDMSF: readCD(device, drive, packet)
    case CDCommand.modeSense6, CDCommand.modeSense10: modeSense(device, packet)
    case CDCommand.modeSelect6: receive(device, packet[4] == 0 ? 0 : Int(packet[4]))
    case CDCommand.modeSelect10: receive(device, packet.big16(7))
    case CDCommand.mechanismStatus: mechanismStatus(device, packet)
    default: tellOfDisc(device, drive, packet)
    }
  }

  /// Takes note of a medium that came or went since the last command.
  private mutating func noticeChange(_ device: Int, _ drive: Drive) {
    let changes = drive.changeCount
    guard changes != changesSeen[device] else { return }
    changesSeen[device] = changes
    let isLoaded = drive.medium != nil
    state.devices[device].disc.attention = .changed
    state.devices[device].disc.event = isLoaded ? .newMedia : .removed
    state.devices[device].disc.isTrayOpen = false
  }

  /// What a command that needs a medium answers where there is none.
  func missing(_ device: Int, _ drive: Drive) -> CDSense? {
    if drive.medium != nil { return nil }
    return state.devices[device].disc.isTrayOpen ? .noMediumTrayOpen : .noMedium
  }

  // MARK: Data

  /// Gives the host `bytes`, but no more than it allocated.
  mutating func give(_ device: Int, _ bytes: [UInt8], allocated: Int) {
    let length = min(bytes.count, allocated)
    guard length > 0 else { return completePacket(device) }
    state.transfer.direction = .toHost
    state.transfer.blockBytes = state.transfer.limit
    state.filled = buffer.fill(Array(bytes.prefix(length)))
    if state.transfer.isDMA { requestDMA(device) } else { presentBlock() }
  }

  /// Asks the host for a parameter list.
  private mutating func receive(_ device: Int, _ length: Int) {
    guard length > 0 else { return completePacket(device) }
    state.transfer.direction = .fromHost
    state.transfer.blockBytes = state.transfer.limit
    state.transfer.expected = length
    if state.transfer.isDMA { requestDMA(device) } else { presentBlock() }
  }

  /// The host gave its parameter list.
  mutating func receivedPacketParameters(_ device: Int) {
    let list = buffer.prefix(state.transfer.expected)
    completePacket(device, modeSelect(device, list))
  }

  /// Reads blocks of 2048 bytes.
  mutating func read(_ device: Int, _ drive: Drive, block: UInt64, count: UInt64) {
    guard let image = drive.medium?.image else {
      return completePacket(device, missing(device, drive))
    }
    let blocks = image.sectorCount / Sector.perCDBlock
    guard block <= blocks, count <= blocks - block else {
      return completePacket(device, .outOfRange)
    }
    guard count > 0 else { return completePacket(device) }
    state.transfer.direction = .toHost
    state.transfer.usesImage = true
    state.transfer.sector = block * Sector.perCDBlock
    state.transfer.remaining = Int(clamping: count * Sector.perCDBlock)
    state.transfer.blockBytes = state.transfer.limit
    if state.transfer.isDMA { requestDMA(device) } else { job = .fill }
  }

  /// READ CD and READ CD MSF, of user data alone (MMC-4, 6.21 and 6.22).
  private mutating func readCD(_ device: Int, _ drive: Drive, _ packet: [UInt8]) {
    var block = UInt64(packet.big32(2))
    var count = UInt64(packet.big24(6))
    if packet[0] == CDCommand.readCDMSF {
      let (first, end) = (Self.block(packet, at: 3), Self.block(packet, at: 6))
      guard let first, let end, first <= end else { return completePacket(device, .invalidField) }
      (block, count) = (first, end - first)
    }
    // Any type of sector, or mode 1.
    guard packet[1] >> 2 & 7 == 0 || packet[1] >> 2 & 7 == 2 else {
      return completePacket(device, .wrongMode)
    }
    guard packet[10] & 7 == 0, packet[9] & 0xF8 == 0x10 || packet[9] & 0xF8 == 0 else {
      return completePacket(device, .invalidField)
    }
    read(device, drive, block: block, count: packet[9] & 0xF8 == 0 ? 0 : count)
  }

  /// The block at a time of minutes, seconds and frames.
  private static func block(_ packet: [UInt8], at: Int) -> UInt64? {
    let frames = (UInt64(packet[at]) * 60 + UInt64(packet[at + 1])) * 75 + UInt64(packet[at + 2])
    return frames >= 150 ? frames - 150 : nil
  }

  // MARK: Drive

  private mutating func startStop(_ device: Int, _ drive: Drive, _ packet: [UInt8]) {
    let (start, moves) = (packet[4] & 1 != 0, packet[4] & 2 != 0)
    guard moves else { return completePacket(device, start ? missing(device, drive) : nil) }
    if start {
      state.devices[device].disc.isTrayOpen = false
      return completePacket(device)
    }
    guard drive.lockCount == 0 else { return completePacket(device, .removalPrevented) }
    if drive.medium != nil {
      // A CD is never written: nothing can fail to be flushed.
      do throws(ImageError) { try drive.eject() } catch {
        return completePacket(device, .removalPrevented)
      }
      changesSeen[device] = drive.changeCount
      state.devices[device].disc.event = .removed
    }
    state.devices[device].disc.isTrayOpen = true
    completePacket(device)
  }

  private mutating func requestSense(_ device: Int, _ packet: [UInt8]) {
    var sense = state.devices[device].disc.sense
    if sense == CDSense() {
      switch state.devices[device].disc.attention {
      case .none: break
      case .reset: sense = .reset
      case .changed: sense = .changed
      }
      state.devices[device].disc.attention = .none
    }
    state.devices[device].disc.sense = CDSense()
    var bytes = [UInt8](repeating: 0, count: 18)
    bytes[0] = 0x70
    bytes[2] = sense.key
    bytes[7] = 10
    bytes[12] = sense.code
    bytes[13] = sense.qualifier
    give(device, bytes, allocated: Int(packet[4]))
  }

  private mutating func inquiry(_ device: Int, _ packet: [UInt8]) {
    let allocated = packet.big16(3)
    guard packet[1] & 1 == 0 else {
      // Vital product data: page 00h alone, which lists itself.
      guard packet[2] == 0 else { return completePacket(device, .invalidField) }
      return give(device, [5, 0, 0, 1, 0], allocated: allocated)
    }
    guard packet[2] == 0 else { return completePacket(device, .invalidField) }
    var bytes: [UInt8] = [0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0]
    bytes += .padded("PORTHOLE", 8) + .padded("CD-ROM", 16) + .padded("1.0", 4)
    give(device, bytes, allocated: allocated)
  }

  private mutating func mechanismStatus(_ device: Int, _ packet: [UInt8]) {
    let tray: UInt8 = state.devices[device].disc.isTrayOpen ? 0x10 : 0
    give(device, [0, tray, 0, 0, 0, 0, 0, 0], allocated: packet.big16(8))
  }

  /// GET EVENT STATUS NOTIFICATION, polled, of the media class (MMC-4, 6.6).
  private mutating func getEvents(_ device: Int, _ drive: Drive, _ packet: [UInt8]) {
    guard packet[1] & 1 != 0 else { return completePacket(device, .invalidField) }
    let allocated = packet.big16(7)
    guard packet[4] & 0x10 != 0 else {
      return give(device, [0, 2, 0x80, 0x10], allocated: allocated)
    }
    let tray: UInt8 = state.devices[device].disc.isTrayOpen ? 1 : 0
    let medium: UInt8 = drive.medium == nil ? 0 : 2
    let event = state.devices[device].disc.event.rawValue
    if allocated > 4 { state.devices[device].disc.event = .none }
    give(device, [0, 6, 0x04, 0x10, event, tray | medium, 0, 0], allocated: allocated)
  }
}
