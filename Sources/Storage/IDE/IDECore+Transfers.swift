/// Data between the buffer and the host, and what follows when the buffer is empty or full.
extension IDECore {
  // MARK: Commands that move sectors

  /// The sector that the registers name, by CHS, 28 or 48 bits; nil where there is none.
  func address(_ device: Int, _ disk: ATADisk, extended: Bool) -> UInt64? {
    let file = state.devices[device].file
    if extended { return file.usesLBA ? file.lba48 : nil }
    return file.usesLBA ? file.lba28 : ATATranslation(state.devices[device], disk).sector(file)
  }

  /// Begins a read, a write or, with no direction, a verification.
  mutating func transferSectors(
    _ device: Int, _ disk: ATADisk, _ code: UInt8, _ direction: IDETransfer.Direction
  ) {
    let extended = ATACommand.isExtended(code)
    let isMultiple =
      code == ATACommand.readMultiple || code == ATACommand.writeMultiple
      || code == ATACommand.readMultipleExt || code == ATACommand.writeMultipleExt
    let multiple = Int(state.devices[device].multiple)
    guard !isMultiple || multiple > 0 else { return fail(device, ATAError.aborted) }
    let count = sectorCount(device, extended: extended)
    guard let sector = address(device, disk, extended: extended), sector < disk.sectorCount,
      UInt64(count) <= disk.sectorCount - sector
    else { return fail(device, ATAError.notFound) }
    guard direction != .fromHost || !disk.image.isReadOnly else {
      return fail(device, ATAError.writeProtected | ATAError.aborted)
    }
    state.devices[device].power = 0xFF
    state.transfer.direction = direction
    state.transfer.usesImage = true
    state.transfer.sector = sector
    state.transfer.remaining = count
    state.transfer.blockBytes = (isMultiple ? multiple : 1) * Sector.bytes
    switch code {
    case ATACommand.readDMA, ATACommand.writeDMA, ATACommand.readDMAExt, ATACommand.writeDMAExt:
      requestDMA(device)
    default:
      switch direction {
      case .toHost: job = .fill
      case .fromHost: presentBlock(silently: true)
      default: job = .verify
      }
    }
  }

  private func sectorCount(_ device: Int, extended: Bool) -> Int {
    let count = state.devices[device].file.count
    if extended {
      let both = Int(count.high) << 8 | Int(count.low)
      return both == 0 ? 0x10000 : both
    }
    return count.low == 0 ? 0x100 : Int(count.low)
  }

  // MARK: DRQ blocks

  /// Requests the next block of data, in either direction.
  /// - Parameter silently: without an interrupt, as before the first block of a write.
  mutating func presentBlock(silently: Bool = false) {
    let device = state.transfer.device
    let size = max(2, state.transfer.blockBytes)
    state.blockEnd = min(state.position + size, blockLimit)
    if state.transfer.direction == .packet {
      state.devices[device].file.count.low = PacketReason.command
    } else if state.transfer.isPacket {
      let toHost = state.transfer.direction == .toHost
      state.devices[device].file.count.low = toHost ? PacketReason.toHost : 0
      state.devices[device].file.word =
        UInt16(truncatingIfNeeded: state.blockEnd - state.position)
    }
    state.devices[device].file.status =
      ATAStatus.ready | ATAStatus.seekComplete | ATAStatus.dataRequest
    if !silently { interrupt(device) }
  }

  /// Where the buffer's data ends, or where the room for the host's data ends.
  private var blockLimit: Int {
    switch state.transfer.direction {
    case .toHost: state.filled
    case .packet: CDCommand.packetBytes
    case .fromHost: roomEnd
    case .none: 0
    }
  }

  /// How far the host may fill the buffer: to the command's end or to the last whole block.
  private var roomEnd: Int {
    let size = max(2, state.transfer.blockBytes)
    let wanted =
      state.transfer.usesImage ? state.transfer.remaining * Sector.bytes : state.transfer.expected
    return min(wanted, IDEBuffer.bytes / size * size)
  }

  /// A read of the data port by `count` bytes; all ones where no data is there.
  @inline(__always)
  mutating func readData(_ count: Int) -> UInt32 {
    let left = state.blockEnd &- state.position
    guard left > 0, state.transfer.direction == .toHost, !state.transfer.isDMA,
      state.transfer.device == state.selected
    else { return .max }
    let taken = min(count, left)
    let value = buffer.load(state.position, count: taken)
    state.position &+= taken
    if taken == left { blockIsEmpty() }
    return value
  }

  @inline(__always)
  mutating func writeData(_ value: UInt32, _ count: Int) {
    let left = state.blockEnd &- state.position
    guard left > 0,
      state.transfer.direction == .fromHost || state.transfer.direction == .packet,
      !state.transfer.isDMA || state.transfer.direction == .packet,
      state.transfer.device == state.selected
    else { return }
    let given = min(count, left)
    buffer.store(value, state.position, count: given)
    state.position &+= given
    if given == left { blockIsFull() }
  }

  /// The host took a block's last byte.
  private mutating func blockIsEmpty() {
    let device = state.transfer.device
    state.devices[device].file.status &= ~ATAStatus.dataRequest
    if state.position < state.filled { return presentBlock() }
    if state.transfer.failure != nil { return failTransfer() }
    if state.transfer.usesImage && state.transfer.remaining > 0 {
      (state.position, state.blockEnd, state.filled) = (0, 0, 0)
      job = .fill
      return
    }
    if state.transfer.isPacket { return completePacket(device) }
    showEnd(device)
    state.transfer.direction = .none
    (state.position, state.blockEnd, state.filled) = (0, 0, 0)
  }

  /// The host gave a block's last byte.
  private mutating func blockIsFull() {
    let device = state.transfer.device
    state.devices[device].file.status &= ~ATAStatus.dataRequest
    if state.transfer.direction == .packet { return executePacket(device) }
    if state.position < roomEnd { return presentBlock() }
    state.filled = state.position
    if state.transfer.usesImage {
      job = .store
    } else {
      receivedParameters(device)
    }
  }

  // MARK: DMA

  /// Waits for the bus master with a DMA command.
  mutating func requestDMA(_ device: Int) {
    state.transfer.isDMA = true
    state.devices[device].file.status =
      ATAStatus.ready | ATAStatus.seekComplete | ATAStatus.dataRequest
    pumpDMA()
  }

  /// Has data moved if drive and bus master both are ready for it.
  mutating func pumpDMA() {
    let toMemory = state.busMaster.command & BusMasterCommand.toMemory != 0
    guard state.transfer.isDMA, job == nil, state.busMaster.isStarted, state.busMaster.isActive,
      state.transfer.direction == (toMemory ? .toHost : .fromHost)
    else { return }
    job = .dma
  }

  /// A write to register `offset` (0 to 7) of this channel's half of the bus master.
  mutating func writeBusMaster(_ offset: UInt16, _ value: UInt8) {
    guard state.busMaster.write(offset, value) else { return }
    if state.busMaster.isStarted {
      pumpDMA()
    } else if job == .dma {
      if isWorking { isCancelled = true } else { job = nil }
    }
  }

  // MARK: Ends of transfers

  /// Reports the transfer's failure.
  mutating func failTransfer() {
    let device = state.transfer.device
    let failure = state.transfer.failure ?? .unreadable
    if state.transfer.isPacket { return completePacket(device, CDSense(failure)) }
    showAddress(device, state.transfer.sector)
    switch failure {
    case .unreadable, .unwritable: fail(device, ATAError.uncorrectable)
    case .beyondEnd: fail(device, ATAError.notFound)
    case .writeProtected: fail(device, ATAError.writeProtected | ATAError.aborted)
    case .noSpace, .noMedium:
      let ready = ATAStatus.ready | ATAStatus.seekComplete
      finish(device, status: ready | ATAStatus.fault | ATAStatus.error, error: ATAError.aborted)
    }
  }

  /// Shows the last sector of a command that moved all of them.
  mutating func showEnd(_ device: Int) {
    guard state.transfer.usesImage, state.transfer.sector > 0 else { return }
    showAddress(device, state.transfer.sector - 1)
    state.devices[device].file.count.low = 0
  }

  private mutating func showAddress(_ device: Int, _ sector: UInt64) {
    guard let disk = slots[device].disk else { return }
    if ATACommand.isExtended(state.transfer.command) {
      state.devices[device].file.setLBA48(sector)
    } else if state.devices[device].file.usesLBA {
      state.devices[device].file.setLBA28(sector)
    } else {
      let translation = ATATranslation(state.devices[device], disk)
      translation.show(sector, in: &state.devices[device].file)
    }
  }
}
